# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server of the standard library alone, which sends back the first short message of each connection.

    python3 echo.py PORT
"""

import asyncio
import base64
import hashlib
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def serve(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
        key = next(line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        assert fields[b"upgrade"].strip() == b"websocket"
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        while True:
            # RFC 6455, section 5.2: a client's frames are masked; those of 126 bytes and more are not for this server.
            first, length = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(length & 0x7F)))
            writer.write(bytes([first, len(body)]) + body)
            await writer.drain()
            if first & 0x0F == 8:
                break
    except (asyncio.IncompleteReadError, ConnectionError, StopIteration, KeyError, AssertionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
