# SPDX-License-Identifier: Apache-2.0
"""What the tests of applications, configurations and migrations share: nginx, servers behind it, and a client that does
what a browser does."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

passed = failed = 0


def check(what, got, expected):
    global passed, failed
    if got == expected:
        passed += 1
        print(f"ok - {what}")
    else:
        failed += 1
        print(f"not ok - {what}\n#      got: {got!r}\n# expected: {expected!r}")


def finish():
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed or not passed else 0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, what):
    for _ in range(200):
        if process and process.poll() is not None:
            raise RuntimeError(f"{what} has ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} does not listen on {port}")


@contextlib.contextmanager
def running(command, port, **options):
    """A server as a process of its own, from when it listens on `port`."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    try:
        wait_for(port, process, command[0])
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def nginx(args, http, files=()):
    """nginx with the module and these contents of its http block; yields its prefix. `files` are (path, contents)."""
    prefix = tempfile.mkdtemp(prefix="cors-apps-")
    os.chmod(prefix, 0o755)
    try:
        for path, contents in files:
            path = os.path.join(prefix, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(contents)
        # Workers of another user could not read what is in a home directory.
        user = "user root;" if os.geteuid() == 0 else ""
        with open(os.path.join(prefix, "nginx.conf"), "w") as file:
            file.write(f"""
load_module {os.path.abspath(args.module)};
{user} daemon off; pid {prefix}/nginx.pid; error_log {prefix}/error.log info; worker_processes 1;
events {{ }}
http {{
    access_log {prefix}/access.log;
    client_body_temp_path {prefix}/b; proxy_temp_path {prefix}/p; fastcgi_temp_path {prefix}/f;
    uwsgi_temp_path {prefix}/u; scgi_temp_path {prefix}/s;
    types {{ text/html html; application/json json; font/ttf ttf; text/css css; image/gif gif; }}
    {http}
}}
""")
        command = [args.nginx, "-p", prefix, "-c", f"{prefix}/nginx.conf", "-e", f"{prefix}/error.log"]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
        if tested.returncode:
            raise RuntimeError(f"nginx -t: {tested.stderr}")
        port = int(re.search(r"listen 127\.0\.0\.1:(\d+)", http)[1])
        with running(command, port, stderr=subprocess.DEVNULL):
            yield Prefix(prefix, tested.stderr)
    finally:
        shutil.rmtree(prefix, ignore_errors=True)


class Prefix:
    def __init__(self, path, said):
        self.path = path
        # What nginx -t warned of.
        self.warnings = [line for line in said.splitlines() if "[warn]" in line]

    def read(self, name):
        with open(os.path.join(self.path, name)) as file:
            return file.read()


class Application(BaseHTTPRequestHandler):
    """An application without any idea of CORS: it says what it got, and 404 and 500 where it is asked for them."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(f"{self.command} {self.path}")
        status = {"404": 404, "500": 500}.get(self.path.rsplit("/", 1)[-1], 200)
        if self.command == "OPTIONS":
            status = 405
        body = f'{{"method": "{self.command}"}}\n'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("X-Total-Count", "3")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def application():
    """Runs it in this process; yields its port and the list of requests that it has seen."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    server.daemon_threads = True
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], server.seen
    finally:
        server.shutdown()
        server.server_close()


def send(port, host, method, path, fields=(), body=b""):
    """A request as it stands: status, [(name, value)], body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in [("Host", host), *fields]:
            connection.putheader(name, value)
        if body or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    finally:
        connection.close()


def tokens(headers, name):
    """The elements of a list field, in lower case."""
    values = ",".join(value for key, value in headers if key.lower() == name.lower())
    return [value.strip().lower() for value in values.split(",") if value.strip()]


def only(headers, name):
    """The value of a field; two of them are as bad as none to a browser, and said to be two."""
    values = [value for key, value in headers if key.lower() == name.lower()]
    return values[0] if len(values) == 1 else (", ".join(values) if values else None)


SAFELISTED_METHODS = ("GET", "HEAD", "POST")
SAFELISTED_HEADERS = ("accept", "accept-language", "content-language")
SAFELISTED_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
SAFELISTED_RESPONSE = (
    "cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma",
)


class Answer:
    """What a script gets. `said` sums it up: what the tables in docs/migrate.md have in their cells."""

    def __init__(self, said, status=None, headers=(), body=b"", preflight=None):
        self.said, self.status, self.headers, self.body, self.preflight = said, status, dict(headers), body, preflight


class Browser:
    """A page of an origin, after the Fetch standard: it asks before it sends what needs asking for, keeps cookies, and
    lets the script read only what it may. There is one site, so that cookies go wherever credentials do."""

    def __init__(self, origin, port, host="api.example.com"):
        self.origin, self.port, self.host, self.cookies = origin, port, host, {}

    def allows(self, headers, credentials):
        """The CORS check."""
        allowed = only(headers, "Access-Control-Allow-Origin")
        if allowed == "*" and not credentials:
            return True
        if allowed != self.origin:
            return False
        return not credentials or only(headers, "Access-Control-Allow-Credentials") == "true"

    def needs_preflight(self, method, headers):
        unsafe = [
            name.lower() for name, value in headers.items()
            if name.lower() not in SAFELISTED_HEADERS
            and not (name.lower() == "content-type" and value.split(";")[0].strip() in SAFELISTED_TYPES)
        ]
        return method not in SAFELISTED_METHODS or unsafe, sorted(unsafe)

    def fetch(self, method, path, headers=None, body=b"", credentials=False):
        headers = headers or {}
        asked = None
        needed, unsafe = self.needs_preflight(method, headers)
        if needed:
            fields = [("Origin", self.origin), ("Access-Control-Request-Method", method)]
            if unsafe:
                fields.append(("Access-Control-Request-Headers", ",".join(unsafe)))
            status, got, _ = send(self.port, self.host, "OPTIONS", path, fields)
            asked = status, got
            if not 200 <= status < 300:
                return Answer(f"preflight {status}", preflight=asked)
            if not self.allows(got, credentials):
                return Answer("preflight blocked", preflight=asked)
            methods = [
                value.strip() for value in (only(got, "Access-Control-Allow-Methods") or "").split(",")
            ]
            if method not in SAFELISTED_METHODS and method not in methods and (credentials or "*" not in methods):
                return Answer("method refused", preflight=asked)
            names = tokens(got, "Access-Control-Allow-Headers")
            for name in unsafe:
                if name not in names and (credentials or "*" not in names or name == "authorization"):
                    return Answer("header refused", preflight=asked)

        fields = [("Origin", self.origin), ("Referer", f"{self.origin}/"), *headers.items()]
        if credentials and self.cookies:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        status, got, data = send(self.port, self.host, method, path, fields, body)
        if credentials:
            for name, value in got:
                if name.lower() == "set-cookie":
                    key, value = value.split(";")[0].split("=", 1)
                    self.cookies[key] = value
        if not self.allows(got, credentials):
            return Answer(f"{status}, blocked", preflight=asked)
        exposed = tokens(got, "Access-Control-Expose-Headers")
        readable = [
            (name, value) for name, value in got
            if name.lower() in SAFELISTED_RESPONSE or name.lower() in exposed or ("*" in exposed and not credentials)
        ]
        return Answer(f"{status}", status, readable, data, asked)
