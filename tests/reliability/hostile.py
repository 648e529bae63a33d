# SPDX-License-Identifier: Apache-2.0
"""Generated hostile requests against a running nginx, over HTTP/1.1 and HTTP/2.

Each response is compared, status and fields, with what an oracle says that is written from the documentation alone: it
knows the configured values as text, and nothing of the module.
"""

import argparse
import collections
import json
import random
import re
import socket
import sys
import urllib.request

import h2.config
import h2.connection
import h2.events

from nginx import Nginx, Report, free_port, memory

EXACT = ["https://app.example.com", "http://localhost:8080", "http://[::1]:3000", "capacitor://localhost", "null"]
PATTERNS = [("https://", ".example.org", ""), ("http://", ".dev.example", "*")]
WRITTEN_PATTERNS = ["https://*.example.org", "http://*.dev.example:*", "http://127.0.0.1:*"]
EXPRESSION = r"^https://pr-[0-9]+\.preview\.example\.dev$"
ORIGINS = " ".join(EXACT + WRITTEN_PATTERNS)

SAMPLES = [value.encode() for value in EXACT] + [
    b"https://a.example.org",
    b"https://a.b.c.example.org",
    b"http://x.dev.example:8081",
    b"http://x.dev.example",
    b"http://127.0.0.1:5173",
    b"http://127.0.0.1",
    b"https://pr-17.preview.example.dev",
]

# What is in force in each location.
Location = collections.namedtuple("Location", "path kind credentials methods headers enforce")
LOCATIONS = [
    Location("/list", "list", False, ["GET", "PUT", "x-own"], ["Content-Type", "X-Own"], False),
    Location("/any", "any", False, ["*"], ["*"], False),
    Location("/credentials", "list", True, ["*"], ["*"], False),
    Location("/enforce", "list", False, None, [], True),
    Location("/value", "value", False, None, ["*", "Authorization"], False),
]


def configuration(module, port, port2):
    locations = ""
    for location in LOCATIONS:
        rules = {"list": f"cors_allow_origin {ORIGINS}; cors_allow_origin_regex {EXPRESSION};",
                 "any": "cors_allow_origin *;",
                 "value": "cors_allow_origin $http_x_tenant;"}[location.kind]
        methods = f"cors_allow_methods {' '.join(location.methods)};" if location.methods else ""
        headers = f"cors_allow_headers {' '.join(location.headers)};" if location.headers else ""
        locations += f"""
location {location.path} {{
    {rules}
    {methods}
    {headers}
    cors_allow_credentials {'on' if location.credentials else 'off'};
    cors_enforce {'on' if location.enforce else 'off'};
    add_header X-Status $cors_status always;
    add_header X-Origin $cors_origin always;
    return 200 ok;
}}"""
    return f"load_module {module};\nworker_processes 1;", f"""
large_client_header_buffers 8 32k;
keepalive_requests 100000000;
cors_zone cors:64k;
server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{port2} http2;
    server_name localhost;
    location /report {{
        cors_report;
    }}
    {locations}
}}"""


# The oracle.

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
ORIGIN = re.compile(
    rb"(?P<scheme>[a-z][a-z0-9+.-]{0,63})://"
    rb"(?P<authority>(?P<host>\[[0-9a-f:]+\]|[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?)(?::(?P<port>[1-9][0-9]{0,4}))?)"
)


def well_formed(value):
    match = ORIGIN.fullmatch(value)
    if not match or len(match["host"]) > 253 or int(match["port"] or 1) > 65535:
        return None
    if match["host"].startswith(b"["):
        try:
            socket.inet_pton(socket.AF_INET6, match["host"][1:-1].decode())
        except OSError:
            return None
    if match["scheme"] == b"file" or (match["scheme"], match["port"]) in ((b"http", b"80"), (b"https", b"443")):
        return None
    return match


def listed(value):
    if value.decode("latin-1") in EXACT:
        return True
    match = well_formed(value)
    if not match:
        return False
    for scheme, end, port in PATTERNS:
        host = match["host"].decode()
        if match["scheme"].decode() + "://" == scheme and host.endswith(end) and len(host) > len(end):
            if port == "*" or not match["port"]:
                return True
    if match["scheme"] == b"http" and match["host"] == b"127.0.0.1":
        return True
    return re.fullmatch(EXPRESSION.strip("^$").encode(), value) is not None


def elements(line):
    return [element for element in (part.strip(b" \t") for part in line.split(b",")) if element]


def expected(location, request):
    """The status and the fields that count, or None where nginx itself refuses the request."""
    fields = collections.defaultdict(list)
    for name, value in request.fields:
        fields[name.lower()].append(value)
    origins, lines = fields[b"origin"], fields[b"access-control-request-headers"]
    origin = origins[0] if len(origins) == 1 else None
    any_origin = location.kind == "any"
    if location.kind == "value":
        words = re.split(rb"[, \t\r\n\f]+", (fields[b"x-tenant"] or [b""])[0])
        any_origin = [word for word in words if word] == [b"*"]
        allowed = origin is not None and origin in words and (origin in (b"null", b"file://") or bool(well_formed(origin)))
    else:
        allowed = origin is not None and location.kind == "list" and listed(origin)
    grant = b"*" if any_origin else origin if allowed else None

    asked = fields[b"access-control-request-method"]
    asked = elements(asked[0]) if len(asked) == 1 else []
    preflight = request.method == "OPTIONS" and origin is not None and len(asked) == 1

    # One empty field says as little as none.
    sites = fields[b"sec-fetch-site"] if fields[b"sec-fetch-site"] != [b""] else []
    match = well_formed(origin) if origin is not None else None
    vouched = all(site in (b"same-origin", b"none") for site in sites)
    same = vouched if sites else bool(match and match["authority"] == request.host)
    if request.method == "OPTIONS":
        passes = True
    elif request.method in ("GET", "HEAD"):
        passes = not origins
    else:
        passes = not origins and not sites

    out, status, code = {}, None, 200
    if preflight and grant is None:
        code, status = 403, "PREFLIGHT_ORIGIN_DENIED"
    elif preflight:
        code, status = 204, "PREFLIGHT"
        methods = location.methods or ["GET", "HEAD", "POST"]
        names = location.headers
        method = asked[0]
        listed_method = method in (b"GET", b"HEAD", b"POST") or (method != b"*" and method.decode("latin-1") in methods)
        if not listed_method and not ("*" in methods and TOKEN.fullmatch(method)):
            status = "PREFLIGHT_METHOD_DENIED"
        else:
            for line in lines:
                for name in elements(line):
                    lower = name.lower().decode("latin-1")
                    star = "*" in names and TOKEN.fullmatch(name)
                    if lower in [n.lower() for n in names]:
                        continue
                    if star and (location.credentials or lower != "authorization"):
                        continue
                    status = "PREFLIGHT_HEADER_DENIED"
                    break
                if status != "PREFLIGHT":
                    break
        if location.credentials and "*" in methods:
            if TOKEN.fullmatch(method):
                out["access-control-allow-methods"] = method
        else:
            out["access-control-allow-methods"] = ", ".join(methods).encode()
        if location.credentials and "*" in names:
            wanted = [name for line in lines for name in elements(line)]
            if wanted and all(TOKEN.fullmatch(name) for name in wanted):
                out["access-control-allow-headers"] = lines[0].strip(b" \t") if len(lines) == 1 else b", ".join(wanted)
        elif names:
            out["access-control-allow-headers"] = ", ".join(names).encode()
    elif location.enforce and not passes and not same and grant is None:
        code, status = 403, "REJECTED"
    elif origins:
        status = "ALLOWED" if grant else "SAME_ORIGIN" if same else "DENIED"

    if grant is not None:
        out["access-control-allow-origin"] = grant
        if location.credentials:
            out["access-control-allow-credentials"] = b"true"
        out["x-origin"] = grant
    if not any_origin:
        vary = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers" if preflight else b"Origin"
        out["vary"] = vary
    if status:
        out["x-status"] = status.encode()
    return code, out


# The requests.


class Request:
    def __init__(self, method, location, host, fields):
        self.method, self.location, self.host, self.fields = method, location, host, fields

    def __repr__(self):
        return f"{self.method} {self.location.path} Host: {self.host} {self.fields}"

    def as_read(self, trims):
        """The request as nginx hands it on; None where it refuses it."""
        fields = []
        for name, value in self.fields:
            if trims:
                # What comes after a line's end is another field.
                value = value.split(b"\r\n")[0].rstrip(b"\r").strip(b" ")
            if any(byte in value for byte in b"\0\r\n"):
                return None
            fields.append((name, value))
        return Request(self.method, self.location, self.host, fields)


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def junk(self, length):
        kind = self.random.randrange(4)
        alphabet = [bytes(range(1, 256)), b", \t", b"abc.:/-*", b"\x80\xff\xc3\x28\xed\xa0\x80\x7f\x01\x1b"][kind]
        return bytes(self.random.choices(alphabet, k=length)).replace(b"\n", b",")

    def near_miss(self):
        r, value = self.random, self.random.choice(SAMPLES)
        scheme, _, rest = value.partition(b"://")
        at = r.randrange(len(value) + 1)
        options = [
            lambda: value + b".evil.example",
            lambda: value + r.choice([b".", b"/", b" ", b"\t", b"\0", b":", b":443", b":80", b":0", b":65536", b"#", b"?x"]),
            lambda: b"evil" + value,
            lambda: scheme + b"://evil" + rest,
            lambda: scheme + b"://evil." + rest,
            lambda: scheme + b"://evil@" + rest,
            lambda: scheme + b"://" + rest + b"@evil.example",
            lambda: scheme + b"://evil.example/" + rest,
            lambda: scheme + b"://evil.example\\." + rest,
            lambda: r.choice([b"http", b"https", b"ftp", b"file", b"HTTPS", b"", b"java-script"]) + b"://" + rest,
            lambda: value[:at] + value[at:].swapcase(),
            lambda: value.upper(),
            lambda: value.replace(b".", b"%2e"),
            lambda: value.replace(b".", b"x"),
            lambda: value.replace(b"://", b":/"),
            lambda: b"%68" + value[1:],
            lambda: value + b" " + r.choice(SAMPLES),
            lambda: value + b", " + r.choice(SAMPLES),
            lambda: value + b"\r\nX-Injected: 1" if r.random() < 0.2 else value + b"\rX",
            lambda: value[:at] + self.junk(r.randrange(1, 4)) + value[at:],
            lambda: value[:at] + value[at + 1:],
            lambda: r.choice([b"null", b"NULL", b"null.", b"Null", b"nullnull", b"null,null", b"*", b"**", b"https://*"]),
            lambda: b"https://" + b"a." * r.randrange(1, 130) + b"example.org",
            lambda: b"https://" + b"a" * r.randrange(60, 67) + b".example.org",
            lambda: b"http://[" + r.choice([b"::1", b"::", b":::1", b"1::ffff:1.2.3.4", b"::1%1", b"0:0:0:0:0:0:0:1"]) + b"]:3000",
            lambda: b"https://evil.example",
        ]
        return r.choice(options)()

    def origin(self):
        kind = self.random.random()
        if kind < 0.3:
            return self.random.choice(SAMPLES)
        if kind < 0.85:
            return self.near_miss()
        if kind < 0.9:
            return b""
        return self.junk(self.random.choice([1, 10, 100, 326, 327, 1000, 8000]))

    def method_asked(self):
        r = self.random
        return r.choice([b"PUT", b"GET", b"put", b"x-own", b"DELETE", b"*", b"", b",", b"PUT,", b" , PUT", b"PUT, GET", b"PUT GET",
                         b"P\x01T", b"\xff", self.junk(r.choice([1, 5, 50, 8000])), b"A" * 8000])

    def headers_asked(self):
        r = self.random
        names = [b"content-type", b"X-OWN", b"authorization", b"Authorization", b"*", b"", b" ", b"\t", b"x y", b"x:y", b"\xc3\xa4",
                 b"x-other", b"\x7f", b"a" * 300]
        if r.random() < 0.1:
            return r.choice([b"," * 8000, b"x," * 4000, self.junk(8000), b"a" * 8000])
        return r.choice([b",", b", ", b" ,\t", b",,"]).join(r.choices(names, k=r.randrange(0, 6)))

    def one(self, lower):
        r = self.random

        def name(text):
            return text.lower() if lower else r.choice([text, text, text.lower(), text.upper(), text.swapcase()])

        location = r.choice(LOCATIONS)
        method = r.choices(["GET", "OPTIONS", "POST", "HEAD", "DELETE"], [4, 5, 2, 1, 1])[0]
        fields = [(name(b"Origin"), self.origin()) for _ in range(r.choices([0, 1, 2, 3], [1, 20, 1, 1])[0])]
        if method == "OPTIONS" or r.random() < 0.1:
            count = r.choices([0, 1, 2], [1, 12, 1])[0]
            fields += [(name(b"Access-Control-Request-Method"), self.method_asked()) for _ in range(count)]
            count = r.choices([0, 1, 2, 5], [2, 6, 2, 1])[0]
            fields += [(name(b"Access-Control-Request-Headers"), self.headers_asked()) for _ in range(count)]
        if r.random() < 0.2:
            site = r.choice([b"same-origin", b"none", b"cross-site", b"same-site", b"", b"NONE", b"x" * 100])
            fields.append((name(b"Sec-Fetch-Site"), site))
        if location.kind == "value" and r.random() < 0.9:
            tenant = r.choice([b"*", b"null", b"", b",", self.origin(), *(value for _, value in fields[:1]), b" ".join(SAMPLES[:3])])
            fields.append((name(b"X-Tenant"), tenant))
        r.shuffle(fields)
        host = r.choice([b"localhost", b"localhost", b"app.example.com", b"evil.example", b"127.0.0.1:5173"])
        return Request(method, location, host, fields)


# The clients.


class Closed(Exception):
    pass


class Http1:
    """One connection, opened anew where nginx closes it."""

    trims = True

    def __init__(self, port):
        self.port, self.socket, self.buffer = port, None, b""

    def send(self, requests):
        return [self.exchange(request) for request in requests]

    def exchange(self, request):
        if not self.socket:
            self.socket, self.buffer = socket.create_connection(("127.0.0.1", self.port), 10), b""
        lines = [f"{request.method} {request.location.path} HTTP/1.1".encode(), b"Host: " + request.host]
        lines += [name + b": " + value for name, value in request.fields]
        if request.method in ("POST", "DELETE"):
            lines.append(b"Content-Length: 0")
        self.socket.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        head = self.until(b"\r\n\r\n")
        first, *rest = head.split(b"\r\n")
        fields = [tuple(line.split(b": ", 1)) if b": " in line else (line, b"") for line in rest if line]
        code = int(first.split()[1])
        named = {name.lower(): value for name, value in fields}
        if request.method != "HEAD" and code != 204:
            self.exactly(int(named.get(b"content-length", b"0")))
        if named.get(b"connection") == b"close":
            self.socket.close()
            self.socket = None
        return code, [(name.lower().decode("latin-1"), value) for name, value in fields]

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed
        self.buffer += data

    def until(self, end):
        while end not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(end)
        return head

    def exactly(self, length):
        while len(self.buffer) < length:
            self.fill()
        self.buffer = self.buffer[length:]


class Http2:
    """Requests in batches, each on a stream of its own."""

    trims = False

    def __init__(self, port):
        self.port, self.socket = port, None

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 10)
        config = h2.config.H2Configuration(
            client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.streams = 0

    def send(self, requests):
        if not self.socket or self.streams > 5000:
            if self.socket:
                self.socket.close()
            self.open()
        wanted, answers = {}, {}
        for request in requests:
            stream = self.connection.get_next_available_stream_id()
            self.streams += 1
            wanted[stream] = len(wanted)
            fields = [(b":method", request.method.encode()), (b":scheme", b"http"), (b":authority", request.host),
                      (b":path", request.location.path.encode()), *request.fields]
            self.connection.send_headers(stream, fields, end_stream=True)
        self.socket.sendall(self.connection.data_to_send())
        while len(answers) < len(wanted):
            data = self.socket.recv(65536)
            if not data:
                raise Closed
            for event in self.connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    code = int(dict(event.headers)[b":status"])
                    rest = [(name.decode("latin-1"), value) for name, value in event.headers if name != b":status"]
                    answers[wanted[event.stream_id]] = (code, rest)
                elif isinstance(event, h2.events.DataReceived):
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    answers[wanted[event.stream_id]] = (0, [])
                elif isinstance(event, h2.events.ConnectionTerminated):
                    raise Closed
            self.socket.sendall(self.connection.data_to_send())
        return [answers[at] for at in range(len(requests))]


COUNTED = {"access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods",
           "access-control-allow-headers", "vary", "x-status", "x-origin"}
OTHERS = {"server", "date", "content-type", "content-length", "connection", "keep-alive", "transfer-encoding"}


def judge(request, answer, trims):
    """What is wrong with an answer, or None."""
    code, fields = answer
    names = [name for name, _ in fields]
    strange = [name for name in names if name not in COUNTED | OTHERS]
    twice = [name for name in names if names.count(name) > 1]
    if strange or twice:
        return f"fields {strange} {twice}"
    found = {name: value for name, value in fields if name in COUNTED}
    read = request.as_read(trims)
    if read is None:
        # Older ones reset the stream.
        return None if code in (400, 0) and not found else f"{code} {found}, not 400"
    right_code, right = expected(request.location, read)
    if code != right_code or found != right:
        return f"{code} {found}, not {right_code} {right}"
    return None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--nginx", required=True)
    arguments.add_argument("--module", required=True)
    arguments.add_argument("--requests", type=int, default=4000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()

    report, nginx = Report(), Nginx(arguments.nginx)
    port, port2 = free_port(), free_port()
    nginx.configure(configuration(arguments.module, port, port2))
    statuses = collections.Counter()
    try:
        nginx.start()
        workers = nginx.workers()
        for client, size in ((Http1(port), 1), (Http2(port2), 50)):
            statuses += drive(report, nginx, client, size, arguments)
        check_reports(report, port, statuses)
        report.ok(nginx.workers() == workers and len(workers) == 1, "the worker is the first one")
        log = nginx.log()
        lines = log.split("\n")[:-1]
        bad = [line for line in lines if re.search(r"\[(alert|crit|emerg)\]|exited on signal", line)]
        report.ok(not bad, "no alerts", "\n".join(bad[:10]))
        # nginx writes what a client has sent as it is, line ends included, in messages of its own; the module does not.
        ours = [line.partition("cors: ")[2].partition(", client: ")[0] for line in lines if "cors: " in line]
        raw = [line for line in ours if not re.fullmatch(r"[ -~]*", line)]
        report.ok(ours and not raw, f"{len(ours)} lines of the module's are printable", repr(raw[:5]))
    finally:
        nginx.stop()
    return report.end()


def drive(report, nginx, client, size, arguments):
    name = type(client).__name__
    generator = Generator(arguments.seed)
    total, sent, wrong, codes = arguments.requests // 2, 0, [], collections.Counter()
    statuses, warm = collections.Counter(), None
    while sent < total and len(wrong) < 10:
        requests = [generator.one(not client.trims) for _ in range(size)]
        try:
            answers = client.send(requests)
        except (Closed, OSError) as error:
            wrong.append(f"{error!r} for {requests[:1]}")
            client.socket = None
            continue
        for request, answer in zip(requests, answers):
            sent += 1
            codes[answer[0]] += 1
            statuses[dict(answer[1]).get("x-status", b"").decode("latin-1")] += 1
            mistake = judge(request, answer, client.trims)
            if mistake:
                wrong.append(f"{mistake}: {request}"[:2000])
        if warm is None and sent >= total // 2:
            warm = memory(nginx.workers()[0])
    report.ok(not wrong and sent >= total, f"{name}: {sent} answers are right", "\n".join(wrong))
    report.note(f"{name}: {dict(codes)} {dict(statuses)}")
    report.ok(not any(code >= 500 for code in codes), f"{name}: no server errors")
    grown = memory(nginx.workers()[0]) - (warm or 0)
    report.ok(grown < 1024, f"{name}: the second half takes no memory ({grown} KiB)", grown)
    return statuses


def check_reports(report, port, statuses):
    """Every request that has a status is counted, and what clients have sent is written so that it can do no harm."""
    def read(accept):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/report", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    counted = collections.Counter()
    as_json = read("application/json")
    parsed = json.loads(as_json)
    for policy in parsed["policies"]:
        counted.update(policy["requests"])
    right = {status.lower(): count for status, count in statuses.items() if status}
    report.ok(+counted == right, f"{counted.total()} requests are counted", f"{+counted}, not {right}")
    longest = max(len(denial[part] or "") for denial in parsed["denials"] for part in ("origin", "method", "header"))
    report.ok(0 < longest <= 4 * 256, f"{len(parsed['denials'])} denials, their texts are cut", longest)
    for kind in ("application/json", "text/html", "text/plain"):
        bad = re.findall(r"[^\n -~\xa0-\U0010ffff]", read(kind))
        report.ok(not bad, f"no control characters in the report as {kind}", bad[:10])


if __name__ == "__main__":
    sys.exit(main())
