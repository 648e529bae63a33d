# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench measures: see there.

Instructions are counted by callgrind in one process (`master_process off`), for two numbers of requests on one
connection; the difference falls to the requests alone, whatever starting took. The counts repeat to within a few
instructions, on any machine, with the same binary.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import typing

import bench_build
import bench_command

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "reliability"))
from files import Server

PORT = 18900
UPSTREAM_PORT = PORT + 2
FASTCGI_PORT = PORT + 3

# What Chrome sends with a fetch, but for Origin: nine fields with it.
FIELDS = [
    "Host: api.example.com",
    "Connection: keep-alive",
    'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"',
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Accept: */*",
    "Sec-Fetch-Site: cross-site",
    "Referer: https://app.example.com/",
    "Accept-Language: en-GB,en;q=0.9",
]
ALLOWED = "https://app.example.com"
DENIED = "https://app.example.net"
# What lengthens a request to the 22 fields, of which the cookies take 400 bytes, of a page behind a login.
MORE_FIELDS = [
    "Pragma: no-cache",
    "Cache-Control: no-cache",
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Dest: empty",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "DNT: 1",
    "Priority: u=1, i",
    "If-None-Match: W/\"5f2c-19a4\"",
    "X-Requested-With: XMLHttpRequest",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo",
    f"Cookie: sessionid={'s' * 180}; csrftoken={'c' * 64}; preferences={'p' * 120}",
]
# What responses carry: security headers and an application's own.
OTHER_FIELDS = [
    'Cache-Control "private, max-age=0"',
    "X-Frame-Options DENY",
    "X-Content-Type-Options nosniff",
    'Strict-Transport-Security "max-age=31536000; includeSubDomains"',
    "Referrer-Policy same-origin",
    "Content-Security-Policy \"default-src 'self'\"",
    "X-Request-Id 4f6c0a1e2b7d4a0f",
    'Permissions-Policy "geolocation=()"',
]

MORE_OTHER_FIELDS = [f"X-Field-{number} value" for number in range(12)]


def request(origin=None, method="GET", extra=(), path="/"):
    fields = FIELDS + ([f"Origin: {origin}"] if origin else []) + list(extra)
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode()


# In its place, each of sixteen requests in a row has another letter: where an origin is in a table is a matter of luck.
LETTER = b"~"
LETTERS = "abcdefghijklmnop"

GET = request(ALLOWED)
GET_MANY = request(f"https://ap{LETTER.decode()}.example.com")
GET_DENIED = request(DENIED)
# In its place, each request has another number.
NUMBER = b"@@@@@@@"
GET_DENIED_NEW = request(f"https://x{NUMBER.decode()}.example.net")
GET_PLAIN = request()
PREFLIGHT = request(
    ALLOWED, "OPTIONS", ["Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type"]
)

HELLO = 'return 200 "hello";'
STATIC = f"""
    add_header Access-Control-Allow-Origin {ALLOWED} always;
    add_header Access-Control-Allow-Credentials true always;
    add_header Access-Control-Expose-Headers ETag always;
    add_header Vary Origin always;
"""
ZONE = "cors_zone cors:1m;"
REST = "cors_allow_credentials on; cors_expose_headers ETag;"
EIGHT_FIELDS = "".join(f"add_header {field} always;\n" for field in OTHER_FIELDS)
VARY = "add_header Vary Accept-Encoding always;\n"
# As if the application handled CORS, too.
OF_APPLICATION = """
    add_header Access-Control-Allow-Origin https://app.example.com;
    add_header Access-Control-Allow-Credentials true;
    add_header Access-Control-Allow-Methods "GET, PUT";
    add_header Access-Control-Max-Age 3600;
"""
MAP_HEADERS = """
    add_header Access-Control-Allow-Origin $allow_origin always;
    add_header Access-Control-Allow-Credentials $allow_credentials always;
    add_header Access-Control-Expose-Headers $expose_headers always;
    add_header Vary Origin always;
"""
MAP_PREFLIGHT = (
    MAP_HEADERS
    + """
    if ($request_method = OPTIONS) {
        add_header Access-Control-Allow-Origin $allow_origin always;
        add_header Access-Control-Allow-Credentials $allow_credentials always;
        add_header Access-Control-Allow-Methods "GET, PUT" always;
        add_header Access-Control-Allow-Headers "Content-Type" always;
        add_header Access-Control-Max-Age 3600 always;
        add_header Vary Origin always;
        return 204;
    }
"""
)

ORIGINS_BY_HOST = f'map $host $origins {{ default ""; api.example.com "{ALLOWED} https://www.example.com"; }}'
PREFLIGHT_LISTS = "cors_allow_credentials on; cors_allow_methods GET PUT; cors_allow_headers Content-Type; cors_max_age 1h;"


def exact(n):
    """So many origins, of which ALLOWED is one, and those of GET_MANY if there are enough."""
    asked = [f"https://ap{letter}.example.com" for letter in LETTERS] if n >= len(LETTERS) else [ALLOWED]
    return [f"https://tenant-{i}.example.com" for i in range(n - len(asked))] + asked


def expressions(n):
    return [rf"^https://pr-\d+\.t{i}\.example\.dev$" for i in range(1, n)] + [r"^https://app\.example\.com$"]


def patterns(n):
    return [f"https://*.t{i}.example.dev" for i in range(1, n)] + ["https://*.example.com"]


def map_of(entries):
    lines = "\n".join(f'"{entry}" $http_origin;' for entry in entries)
    return f"""
    map_hash_max_size 4194304;
    map_hash_bucket_size 256;
    map $http_origin $allow_origin {{ default ""; {lines} }}
    map $allow_origin $allow_credentials {{ default true; "" ""; }}
    map $allow_origin $expose_headers {{ default ETag; "" ""; }}
    """


def list_of(directive, entries):
    """One directive, an entry a line."""
    return "\n".join([directive, *(f'"{entry}"' for entry in entries)]) + ";\n"


class Case:
    def __init__(self, group, name, location, sent, http="", version="1.1"):
        self.group, self.name, self.location, self.sent, self.http = group, name, location, sent, http
        self.version = version


def beside(group, location, sent, module, content=HELLO, http="", version="1.1"):
    """What a policy costs in a location, beside the same fields for everybody."""
    also = {"http": http, "version": version}
    return [
        Case(group, "bare", location + content, sent, **also),
        Case(group, "four static add_header lines", location + STATIC + content, sent, **also),
        Case(group, "module", module + location + content, sent, **also),
    ]


def common_cases(quick):
    """What production has: other fields, other kinds of rules."""
    one = module_origins(1)
    pattern, expression = list_of("cors_allow_origin", patterns(1)), list_of("cors_allow_origin_regex", expressions(1))
    # Kinds that do not match the request's origin.
    others = "cors_allow_origin https://other.example.org https://*.example.org;"
    other = r"cors_allow_origin_regex ^https://pr-\d+\.example\.dev$;"
    many = {"allowed": request(ALLOWED, extra=MORE_FIELDS), "denied": request(DENIED, extra=MORE_FIELDS), "no Origin": request(extra=MORE_FIELDS)}
    few = {
        name: request(origin).replace("\r\n".join(["", *FIELDS[4:8]]).encode(), b"")
        for name, origin in (("allowed", ALLOWED), ("denied", DENIED), ("no Origin", None))
    }
    result = []
    for name, sent in (("allowed", GET), ("denied", GET_DENIED), ("no Origin", GET_PLAIN)):
        result += beside(f"{name}, 5 request fields", "", few[name], one)
        result += beside(f"{name}, 22 request fields", "", many[name], one)
        result += beside(f"{name}, 8 other fields", EIGHT_FIELDS, sent, one)
    for count in (4, 12, 16):
        fields = "".join(f"add_header {field} always;\n" for field in (OTHER_FIELDS + MORE_OTHER_FIELDS)[:count])
        result += beside(f"allowed, {count} other fields", fields, GET, one)
    result += beside("allowed, beside a Vary", VARY, GET, one)
    result += beside("allowed, four fields replaced", OF_APPLICATION, GET, one)
    bare = Case("kinds", "bare", HELLO, GET)
    result += [
        bare,
        Case("kinds", "module, a pattern", pattern + REST + HELLO, GET),
        Case("kinds", "module, an expression", expression + REST + HELLO, GET),
        Case("kinds", "module, an expression beside others", others + expression + REST + HELLO, GET),
        Case("kinds", "module, enforced", one + "cors_enforce on;" + HELLO, GET),
        Case("kinds denied", "bare", HELLO, GET_DENIED),
        Case("kinds denied", "module, all three kinds", others + other + REST + HELLO, GET_DENIED),
        Case("bypass", "bare", HELLO, GET),
        Case("bypass", "its variable", "set $seen $arg_x;" + HELLO, GET),
        Case("bypass", "module", one + "cors_bypass $arg_x;" + HELLO, GET),
        Case("variable", "bare", HELLO, GET),
        Case("variable", "its variable", "set $seen $origins;" + HELLO, GET, ORIGINS_BY_HOST),
        Case("variable", "module", "cors_allow_origin $origins;" + REST + HELLO, GET, ORIGINS_BY_HOST),
        Case("preflights", "bare return 204", "return 204;", PREFLIGHT),
        Case("preflights", "module, denied", "cors_allow_origin https://other.example.org;" + PREFLIGHT_LISTS + HELLO, PREFLIGHT),
        Case(
            "preflights",
            "module, * and credentials",
            f"cors_allow_origin {ALLOWED}; cors_allow_credentials on; cors_allow_methods *; cors_allow_headers *; cors_max_age 1h;" + HELLO,
            PREFLIGHT,
        ),
    ]
    proxied = f"proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://upstream"
    upstream = f"upstream upstream {{ server 127.0.0.1:{UPSTREAM_PORT}; keepalive 4; }}"
    fastcgi = f"fastcgi_keep_conn on; fastcgi_param SCRIPT_NAME /; fastcgi_pass 127.0.0.1:{FASTCGI_PORT};"
    compressed = "gzip on; gzip_vary on; gzip_min_length 0; gzip_types *;"
    for fields in (8, 20):
        result += beside(f"allowed, proxied, {fields} fields", "", GET, one, f"{proxied}/{fields};", upstream)
    result += beside("allowed, Vary of gzip", compressed, request(ALLOWED, extra=["Accept-Encoding: gzip"]), one)
    result += beside("allowed, static file, sendfile", "", request(ALLOWED, path="/file.txt"), one, "root files; sendfile on;")
    result += beside("allowed, FastCGI", "", GET, one, fastcgi)
    for version in ("2", "3"):
        result += beside(f"allowed, HTTP/{version}", EIGHT_FIELDS, GET, one, version=version)
    # One group of each kind is enough to see that it runs.
    kept = ("allowed, proxied, 8 fields", "allowed, FastCGI", "allowed, HTTP/2", "allowed, HTTP/3")
    return [case for case in result if case.group in kept] if quick else result


def module_origins(n):
    return list_of("cors_allow_origin", exact(n)) + REST


def cases(quick):
    large = 2_000 if quick else 100_000
    allowed = [
        Case("allowed", "bare", HELLO, GET),
        Case("allowed", "four static add_header lines", STATIC + HELLO, GET),
    ]
    for n in (1,) if quick else (1, 1_000, large):
        allowed.append(Case("allowed", f"map, {n:,} exact", MAP_HEADERS + HELLO, GET if n == 1 else GET_MANY, map_of(exact(n))))
    for n in (1, large) if quick else (1, 1_000, large):
        allowed.append(Case("allowed", f"module, {n:,} exact", module_origins(n) + HELLO, GET if n == 1 else GET_MANY))
    result = allowed
    for n in (1,) if quick else (1, 1_000):
        result.append(
            Case("allowed", f"module, {n:,} patterns", list_of("cors_allow_origin", patterns(n)) + REST + HELLO, GET)
        )
    for n in (1,) if quick else (1, 10, 100, 1_000):
        result.append(
            Case("allowed", f"map, {n:,} expressions", MAP_HEADERS + HELLO, GET, map_of("~" + e for e in expressions(n)))
        )
    for n in (1, 100) if quick else (1, 10, 100, 1_000):
        values = list_of("cors_allow_origin_regex", expressions(n))
        result.append(Case("allowed", f"module, {n:,} expressions", values + REST + HELLO, GET))
    result.append(Case("allowed", "module, 1 exact, cors_zone", module_origins(1) + HELLO, GET, ZONE))
    # Both follow a file, which adds to each request, whatever its policy.
    file = "cors_allow_origin_file origins;"
    elsewhere = f"server {{ listen 127.0.0.1:{PORT + 1}; {file} }}"
    result.append(Case("allowed", "module, 1,000 exact in a file", file + REST + HELLO, GET_MANY, elsewhere))
    result.append(Case("allowed", "module, 1,000 exact, a file elsewhere", module_origins(1_000) + HELLO, GET_MANY, elsewhere))
    result.append(Case("allowed", "module, *", "cors_allow_origin *;" + HELLO, GET))
    for group, sent in (("denied", GET_DENIED), ("no Origin", GET_PLAIN)):
        result += [
            Case(group, "bare", HELLO, sent),
            Case(group, "four static add_header lines", STATIC + HELLO, sent),
            Case(group, "map, 1 exact", MAP_HEADERS + HELLO, sent, map_of(exact(1))),
            Case(group, "module, 1 exact", module_origins(1) + HELLO, sent),
            Case(group, "module, 1 exact, cors_zone", module_origins(1) + HELLO, sent, ZONE),
        ]
    result += [
        Case("denied", "module, 1 exact, cors_zone, new origins", module_origins(1) + HELLO, GET_DENIED_NEW, ZONE),
        Case("denied", f"module, {large:,} exact", module_origins(large) + HELLO, GET_DENIED),
        Case("denied", "module, 1 expression", list_of("cors_allow_origin_regex", expressions(1)) + REST + HELLO, GET_DENIED),
        Case("no policy", "bare", HELLO, GET),
        Case("no policy", "module, policy elsewhere", HELLO, GET, f"server {{ listen 127.0.0.1:{PORT + 1}; {module_origins(1)} }}"),
        Case("preflight", "bare return 204", "return 204;", PREFLIGHT),
        Case("preflight", "map and if", MAP_PREFLIGHT + HELLO, PREFLIGHT, map_of(exact(1))),
        Case(
            "preflight",
            "module",
            list_of("cors_allow_origin", exact(1)) + PREFLIGHT_LISTS + HELLO,
            PREFLIGHT,
        ),
        Case(
            "preflight",
            "module, cors_zone",
            list_of("cors_allow_origin", exact(1)) + PREFLIGHT_LISTS + HELLO,
            PREFLIGHT,
            ZONE,
        ),
    ]
    # What the few targets of the quick form are about.
    return [case for case in result if case.group in ("allowed", "preflight") and " file" not in case.name] if quick else result


def serve_fastcgi(listener):
    """A FastCGI application for one connection after the other: records of eight bytes and their content."""
    body = b"Content-Type: text/plain\r\nCache-Control: no-store\r\nX-Request-Id: 1\r\n\r\nhello"
    stdout, end, empty = 6, 3, 5
    record = lambda kind, content: struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content
    answer = record(stdout, body) + record(stdout, b"") + record(end, bytes(8))

    def serve(connection):
        stream = connection.makefile("rwb")
        while header := stream.read(8):
            _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", header)
            stream.read(length + padding)
            if kind == empty and length == 0:
                stream.write(answer)
                stream.flush()

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


TOTAL = ""
# What the names of the module's own functions begin with.
OURS = "ngx_http_cors_module::"
# glibc's, by whose functions nginx gets a request's pool: what they take depends on what reading the configuration, and the size
# of the environment, have left of the heap.
HEAP = re.compile(r"(_int_|_mid_)?(malloc|calloc|realloc|free|memalign)(\.|$)|posix_memalign|malloc_consolidate|alloc_perturb|unlink_chunk|sys(malloc|trim)")


# What nginx does when a millisecond has passed, and how it writes numbers, which is most of that.
CLOCK = re.compile(r"ngx_time_update|ngx_(v?s[ln]*printf|sprintf_num)|ngx_gmtime|ngx_localtime|__offtime|__tz|clock_gettime|__vdso")


class Bench:
    def __init__(self, nginx, module, quick):
        self.nginx, self.module, self.quick = os.path.abspath(nginx), os.path.abspath(module), quick
        self.upstream = None
        self.dir = tempfile.mkdtemp(prefix="cors-bench-")
        os.chmod(self.dir, 0o755)
        with open(os.path.join(self.dir, "origins"), "w") as file:
            file.writelines(f"{value}\n" for value in exact(1_000))
        certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        certificate += ["-keyout", os.path.join(self.dir, "key"), "-out", os.path.join(self.dir, "cert")]
        subprocess.run(certificate, stderr=subprocess.DEVNULL, check=True)

    def configure(self, case, single, workers=1):
        path = os.path.join(self.dir, "nginx.conf")
        processes = "master_process off;" if single else f"worker_processes {workers};"
        user = "user root;" if os.geteuid() == 0 else ""
        # What the module is compared with is an nginx without it.
        load = f"load_module {self.module};" if "cors_" in case.location + case.http else ""
        listen = {
            "1.1": "",
            "2": "http2 on;",
            "3": f"listen 127.0.0.1:{PORT} quic; ssl_certificate {self.dir}/cert; ssl_certificate_key {self.dir}/key;",
        }[case.version]
        with open(path, "w") as file:
            file.write(f"""
{load}
{user} daemon off; {processes} pid {self.dir}/nginx.pid; error_log {self.dir}/error.log error;
events {{ }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {self.dir}/b; proxy_temp_path {self.dir}/p; fastcgi_temp_path {self.dir}/f;
    uwsgi_temp_path {self.dir}/u; scgi_temp_path {self.dir}/s;
    {case.http}
    server {{ listen 127.0.0.1:{PORT}; {listen} location / {{ {case.location} }} }}
}}
""")
        return path

    def start(self, case, single, wrapper=(), env=None, workers=1):
        path = self.configure(case, single, workers)
        process = subprocess.Popen(
            [*wrapper, self.nginx, "-p", self.dir, "-c", path, "-e", os.path.join(self.dir, "error.log")],
            stderr=subprocess.PIPE,
            env=env,
        )
        for _ in range(1200):
            if process.poll() is not None:
                sys.exit(f"nginx did not start: {process.stderr.read().decode()}{self.errors()}")
            try:
                return process, socket.create_connection(("127.0.0.1", PORT), 60)
            except ConnectionRefusedError:
                time.sleep(0.1)
        sys.exit("nginx did not listen within two minutes")

    def errors(self):
        try:
            with open(os.path.join(self.dir, "error.log")) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    @staticmethod
    def exchange(connection, sent, count):
        """Sends `sent` so often, one after the other, and returns the last response."""
        for number in range(count):
            letter = LETTERS[number % len(LETTERS)].encode()
            connection.sendall(sent.replace(NUMBER, b"%07d" % number).replace(LETTER, letter))
            got = b""
            while b"\r\n\r\n" not in got:
                got += connection.recv(65536)
            head, body = got.split(b"\r\n\r\n", 1)
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            while len(body) < (int(length[1]) if length else 0):
                body += connection.recv(65536)
        return head.decode()

    @staticmethod
    def fields_of(sent):
        """The fields of a request of HTTP/1.1 for one of HTTP/2 or 3."""
        return [field for field in sent.decode().split("\r\n")[2:] if field and not field.startswith("Connection:")]

    @classmethod
    def exchange_http3(cls, sent, count):
        """Sends a request of HTTP/1.1 so often as one of HTTP/3, and returns the last response."""
        # It is not installed for whoever only imports this.
        from curl_cffi import requests

        headers = [tuple(field.split(": ", 1)) for field in cls.fields_of(sent)]
        with requests.Session(http_version="v3only", verify=False, timeout=60) as session:
            for _ in range(count):
                response = session.get(f"https://127.0.0.1:{PORT}/", headers=headers)
                response.raise_for_status()
        return "\r\n".join(f"{name}: {value}" for name, value in response.headers.multi_items())

    @classmethod
    def exchange_http2(cls, sent, count):
        """Sends a request of HTTP/1.1 so often as one of HTTP/2, and returns nothing: the responses are not kept."""
        fields = cls.fields_of(sent)
        arguments = [part for field in fields for part in ("-H", field)]
        result = subprocess.run(
            ["h2load", "-n", str(count), "-c1", "-m1", *arguments, f"http://127.0.0.1:{PORT}/"],
            capture_output=True, text=True, check=True,
        )
        if f"{count} 2xx" not in result.stdout:
            sys.exit(f"h2load: {result.stdout}")
        return ""

    def serve_upstreams(self):
        """Starts what the module is in front of: nginx without it, and a FastCGI application."""
        folder = os.path.join(self.dir, "upstream")
        os.makedirs(os.path.join(self.dir, "files"))
        with open(os.path.join(self.dir, "files", "file.txt"), "w") as file:
            file.write("hello")
        os.mkdir(folder)
        locations = "".join(
            f"location /{count} {{ {''.join(f'add_header {field};' for field in (OTHER_FIELDS + MORE_OTHER_FIELDS)[:count])} {HELLO} }}"
            for count in (8, 20)
        )
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log error; events {{ }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{UPSTREAM_PORT}; {locations} }}
}}
""")
        self.upstream = subprocess.Popen([self.nginx, "-p", folder, "-c", path, "-e", os.path.join(folder, "error.log")])
        listener = socket.create_server(("127.0.0.1", FASTCGI_PORT))
        threading.Thread(target=serve_fastcgi, args=(listener,), daemon=True).start()
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", UPSTREAM_PORT), 10).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.1)
        sys.exit("the upstream did not listen")

    def close(self):
        if self.upstream:
            self.upstream.terminate()
            self.upstream.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self, process, connection):
        connection.close()
        # A single process can miss a signal that comes just before it waits for events: it is told until it goes; but not while
        # valgrind may be writing down what it has counted.
        for _ in range(12):
            process.terminate()
            try:
                process.wait(20)
                return
            except subprocess.TimeoutExpired:
                pass
        sys.exit("nginx did not stop")

    def count(self, case, requests):
        """Instructions, function by function, and the last response."""
        out = os.path.join(self.dir, "callgrind.out")
        wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        process, connection = self.start(case, True, wrapper)
        # Compiling expressions hashes with random keys, so that starting does not take the same steps twice.
        zero = ["callgrind_control", "-z", str(process.pid)]
        subprocess.run(zero, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        if case.version == "1.1":
            head = self.exchange(connection, case.sent, requests)
        else:
            head = {"2": self.exchange_http2, "3": self.exchange_http3}[case.version](case.sent, requests)
        self.stop(process, connection)
        with open(out) as file:
            total = int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M)[1])
        text = subprocess.run(
            ["callgrind_annotate", "--threshold=100", "--show-percs=no", out],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        ).stdout
        counts = {}
        for count, name in re.findall(r"^\s*([\d,]+)\s+\S*?:(\S.*?) \[\S+\]$", text, re.M):
            # What had been called when counting began is given all that came after.
            if not re.match(r"(\(below )?main\b|__libc_start_main|0x", name):
                counts[name] = counts.get(name, 0) + int(count.replace(",", ""))
        # How often the clock ticks meanwhile is not a matter of the request.
        total -= sum(count for name, count in counts.items() if CLOCK.match(name))
        return {**{name: count for name, count in counts.items() if not CLOCK.match(name)}, TOTAL: total}, head

    def functions(self, case):
        """Instructions per request, function by function, and the last response."""
        few, many = (20, 60) if self.quick else (200, 1200)
        low, _ = self.count(case, few)
        high, head = self.count(case, many)
        return {name: (count - low.get(name, 0)) / (many - few) for name, count in high.items()}, head

    def instruction_rows(self):
        rows = []
        bare = {}
        self.serve_upstreams()
        for case in cases(self.quick) + common_cases(self.quick):
            counts, head = self.functions(case)
            total, heap = counts[TOTAL], sum(count for name, count in counts.items() if HEAP.match(name))
            if case.name.startswith("bare"):
                bare[case.group] = total, heap, counts
            over, heap = total - bare[case.group][0], heap - bare[case.group][1]
            differences = {name: counts.get(name, 0) - bare[case.group][2].get(name, 0) for name in {*counts, *bare[case.group][2]} - {TOTAL}}
            functions = {
                name: round(difference)
                for name, difference in sorted(differences.items(), key=lambda item: -item[1])
                if abs(difference) >= 5 and not HEAP.match(name)
            }
            fields = sum(1 for line in head.split("\r\n") if re.match(r"(?i)access-control-|vary:", line))
            row = dict(group=case.group, name=case.name, total=round(total), over=round(over), heap=round(heap), fields=fields, functions=functions)
            rows.append(row)
            print(f"  {case.group:10} {case.name:32} {total:10.0f} {over:+8.0f} {heap:+6.0f}  {fields} fields", file=sys.stderr)
        return rows

    def throughput(self, workers):
        duration, pairs = ("1s", 1) if self.quick else ("3s", 9)
        rivals = {
            "bare": Case("", "", HELLO, GET),
            "four static add_header lines": Case("", "", STATIC + HELLO, GET),
            "map, 1 exact": Case("", "", MAP_HEADERS + HELLO, GET, map_of(exact(1))),
        }
        module = Case("", "", module_origins(1) + HELLO, GET)
        rows = []
        for name, rival in rivals.items():
            ratios, theirs, ours = [], [], []
            for _ in range(pairs):
                theirs.append(self.wrk(rival, duration, workers))
                ours.append(self.wrk(module, duration, workers))
                ratios.append(ours[-1] / theirs[-1])
            rows.append(
                dict(rival=name, workers=workers, theirs=statistics.median(theirs), module=statistics.median(ours), ratio=statistics.median(ratios))
            )
        return rows

    def wrk(self, case, duration, workers):
        process, connection = self.start(case, False, workers=workers)
        fields = [part for field in FIELDS[1:] + [f"Origin: {ALLOWED}"] for part in ("-H", field)]
        result = subprocess.run(
            ["wrk", "-t1", "-c16", f"-d{duration}", *fields, f"http://127.0.0.1:{PORT}/"],
            capture_output=True, text=True, check=True,
        )
        self.stop(process, connection)
        return float(re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)[1])

    def loading(self):
        large = 2_000 if self.quick else 100_000
        many = 50 if self.quick else 1_000
        servers = 100 if self.quick else 10_000
        of_servers = lambda line: "server_names_hash_max_size 65536; server_names_hash_bucket_size 128;\n" + "\n".join(
            f"server {{ listen 127.0.0.1:{PORT + 1}; server_name s{i}.example; {line.replace('#', str(i))} }}" for i in range(servers)
        )
        rows = []
        for name, case in {
            "nothing": Case("", "", HELLO, GET),
            **{
                name: case
                for n in (large, 10 * large)
                for name, case in (
                    (f"map, {n:,} exact", Case("", "", MAP_HEADERS + HELLO, GET, map_of(exact(n)))),
                    (f"module, {n:,} exact", Case("", "", module_origins(n) + HELLO, GET)),
                )
            },
            **{
                name: case
                for n in (many, 5 * many)
                for name, case in (
                    (f"map, {n:,} expressions", Case("", "", MAP_HEADERS + HELLO, GET, map_of("~" + e for e in expressions(n)))),
                    (
                        f"module, {n:,} expressions",
                        Case("", "", list_of("cors_allow_origin_regex", expressions(n)) + REST + HELLO, GET),
                    ),
                )
            },
            f"add_header in {servers:,} servers": Case("", "", HELLO, GET, of_servers("add_header Access-Control-Allow-Origin https://a#.example;")),
            f"module in {servers:,} servers": Case("", "", HELLO, GET, of_servers("cors_allow_origin https://a#.example;")),
        }.items():
            path = self.configure(case, True)
            seconds = []
            for _ in range(1 if self.quick else 5):
                started = time.monotonic()
                status = subprocess.call(
                    [self.nginx, "-t", "-q", "-p", self.dir, "-c", path, "-e", os.path.join(self.dir, "error.log")]
                )
                seconds.append(time.monotonic() - started)
                if status:
                    sys.exit(f"{name}: nginx -t failed: {self.errors()}")
            process, connection = self.start(case, True)
            with open(f"/proc/{process.pid}/status") as file:
                status = file.read()
            self.stop(process, connection)
            peak, resident = (int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024 for field in ("VmHWM", "VmRSS"))
            rows.append(dict(name=name, seconds=statistics.median(seconds), peak=peak, resident=resident))
        return rows

    def changes(self):
        """How long it takes until a changed file of origins is in force in four workers."""
        rows = []
        for number in (100, 1_000) if self.quick else (100, 100_000, 1_000_000):
            server = Server(self.nginx, self.module, number, 4)
            times = server.changes(number, "bcdef")
            rows.append(dict(origins=number, median=statistics.median(times), most=max(times)))
            server.stop()
        return rows

    def allocations(self):
        """Calls of malloc and its like for each request."""
        policy = module_origins(1) + "cors_allow_methods GET PUT; cors_allow_headers Content-Type;"
        vary = "add_header Vary Accept-Encoding;"
        sent = [
            ("allowed", "", GET),
            ("denied", "", GET_DENIED),
            ("no Origin", "", GET_PLAIN),
            ("preflight", "", PREFLIGHT),
            ("allowed, beside a Vary", vary, GET),
            ("denied, beside a Vary", vary, GET_DENIED),
        ]
        return [
            dict(name=name, bare=self.heap(also + HELLO, data), module=self.heap(policy + also + HELLO, data))
            for name, also, data in sent
        ]

    def heap(self, location, data):
        """The same in one location, counted as instructions are."""
        few, many = (10, 30) if self.quick else (100, 600)
        counts = []
        for requests in (few, many):
            log = os.path.join(self.dir, "memcheck.log")
            wrapper = ["valgrind", "--tool=memcheck", "--leak-check=no", f"--log-file={log}"]
            process, connection = self.start(Case("", "", location, data), True, wrapper)
            self.exchange(connection, data, requests)
            self.stop(process, connection)
            with open(log) as file:
                counts.append(int(re.search(r"total heap usage: ([\d,]+) allocs", file.read())[1].replace(",", "")))
        return (counts[1] - counts[0]) / (many - few)


class Target(typing.NamedTuple):
    name: str
    # Group and name of what is measured.
    row: tuple
    measured: float
    bound: float

    def is_met(self):
        return self.measured <= self.bound


def targets(rows, quick):
    """Each target of the project beside what was measured, without malloc, which is luck."""
    over = {(row["group"], row["name"]): row["over"] - row["heap"] for row in rows}
    total = {(row["group"], row["name"]): row["total"] - row["heap"] for row in rows}
    last = lambda pattern: [key for key in over if key[0] == "allowed" and re.match(pattern, key[1])][-1]

    def ratio(name, row, other, bound, of=over):
        return Target(name, row, of[row] / of[row[0], other], bound)

    def to_static(group, bound, module="module", suffix="add_header"):
        return ratio(f"{group} / {suffix}", (group, module), "four static add_header lines", bound)

    def difference(name, row, bound, other=None):
        return Target(name, row, over[row] - (over[row[0], other] if other else 0), bound)

    exact = ("allowed", "module, 1 exact")
    expression = ("allowed", "module, 1 expressions")
    result = [
        to_static("allowed", 0.9, "module, 1 exact", "four add_header lines"),
        ratio("most exact origins / 1", last(r"module, [\d,]+ exact$"), exact[1], 1.05),
        ratio("1 expression / map with 1 expression", expression, "map, 1 expressions", 0.25),
        ratio("most expressions / 1", last(r"module, [\d,]+ expressions$"), expression[1], 1.1),
        difference("cors_zone, allowed", ("allowed", "module, 1 exact, cors_zone"), 40, exact[1]),
        ratio("preflight / bare return 204, whole requests", ("preflight", "module"), "bare return 204", 1.04, total),
    ]
    if quick:
        return result
    result += [
        *(to_static(group, bound, "module, 1 exact", "four add_header lines") for group, bound in (("denied", 0.5), ("no Origin", 0.3))),
        difference("a location without a policy, over bare", ("no policy", "module, policy elsewhere"), 30),
        difference("an exact origin of a file, over one of the configuration", ("allowed", "module, 1,000 exact in a file"), 30, "module, 1,000 exact, a file elsewhere"),
        difference("cors_zone, denied", ("denied", "module, 1 exact, cors_zone"), 150, "module, 1 exact"),
    ]
    # Beside what production has.
    for kind, bound in (("allowed", 0.9), ("denied", 0.5), ("no Origin", 0.3)):
        result += [to_static(f"{kind}, {fields} request fields", bound) for fields in (5, 22)]
    return result + [
        to_static("allowed, 8 other fields", 0.95),
        to_static("denied, 8 other fields", 0.55),
        to_static("no Origin, 8 other fields", 0.45),
        to_static("allowed, beside a Vary", 1.2),
        to_static("allowed, four fields replaced", 0.9),
        difference("allowed by a pattern, over bare", ("kinds", "module, a pattern"), 720),
        difference("allowed by an expression, over bare", ("kinds", "module, an expression"), 720),
        difference("allowed by an expression beside others, over bare", ("kinds", "module, an expression beside others"), 850),
        difference("denied by all three kinds, over bare", ("kinds denied", "module, all three kinds"), 650),
        difference("allowed and enforced, over bare", ("kinds", "module, enforced"), 650),
        difference("allowed beside cors_bypass, over its variable", ("bypass", "module"), 620, "its variable"),
        difference("allowed by a variable, over that variable", ("variable", "module"), 800, "its variable"),
        difference("preflight denied, over return 204", ("preflights", "module, denied"), 350),
        difference("preflight with * and credentials, over return 204", ("preflights", "module, * and credentials"), 1000),
    ]


def plot(rows, path):
    """Cost over the length of the list, as an SVG by gnuplot, and over the number of other fields in a second one."""
    series = {}
    for row in rows:
        match = re.match(r"allowed(?:, (\d+) other fields)?$", row["group"])
        if match and row["name"] in ("four static add_header lines", "module", "module, 1 exact"):
            name = row["name"].removesuffix(", 1 exact")
            series.setdefault(name, []).append((int(match[1] or 0), row["over"] - row["heap"]))
    draw(series, path.replace(".svg", "-fields.svg"), "other fields in the response", "set yrange [0:]")
    series = {}
    for row in rows:
        match = re.fullmatch(r"(map|module), ([\d,]+) (exact|expressions|patterns)", row["name"])
        if row["group"] == "allowed" and match:
            series.setdefault(f"{match[1]}, {match[3]}", []).append((int(match[2].replace(",", "")), row["over"]))
    draw(series, path, "entries in the list", "set logscale xy")


def draw(series, path, label, scale):
    series = {name: sorted(points) for name, points in series.items()}
    blocks = "".join(
        f"$d{i} << E\n" + "".join(f"{n} {over}\n" for n, over in points) + "E\n" for i, points in enumerate(series.values())
    )
    curves = ", ".join(f'$d{i} using 1:2 with linespoints title "{name}"' for i, name in enumerate(series))
    script = f"""
set terminal svg size 760,420 font "sans,12" background "white"
set output "{path}"
{scale}
set xlabel "{label}"
set ylabel "instructions per allowed request, over bare"
set key outside right
set grid
{blocks}
plot {curves}
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def short(name):
    """The name of a function, without the crate and the type that it belongs to."""
    return re.sub(r"<impl .*>::", "", name.removeprefix(OURS))


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("nginx")
    parser.add_argument("module")
    parser.add_argument("command")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--plot")
    parser.add_argument("--only", choices=["instructions", "throughput", "loading", "allocations", "command", "changes", "build"])
    args = parser.parse_args()
    bench = Bench(args.nginx, args.module, args.quick)
    wanted = lambda part: args.only in (None, part)
    figures = {}
    try:
        if wanted("instructions"):
            rows = figures["instructions"] = bench.instruction_rows()
            print("\nInstructions per request\n")
            print("| request | what answers | instructions | over bare | of it malloc | CORS fields |")
            print("| --- | --- | ---: | ---: | ---: | ---: |")
            for row in rows:
                print("| {group} | {name} | {total:,} | {over:+,} | {heap:+,} | {fields} |".format(**row))
            judged = targets(rows, args.quick)
            print("\n| target | measured | bound | |\n| --- | ---: | ---: | --- |")
            for target in judged:
                print(f"| {target.name} | {target.measured:.4g} | {target.bound} | {'met' if target.is_met() else 'missed'} |")
            print("\nWhere the instructions over bare go\n\n| request | functions |\n| --- | --- |")
            functions = {(row["group"], row["name"]): row["functions"] for row in rows}
            for target in [judged[0], *(target for target in judged[1:] if not target.is_met())]:
                parts = ", ".join(f"`{short(name)}` {difference:+}" for name, difference in functions[target.row].items() if abs(difference) >= 10)
                print(f"| {target.name} | {parts} |")
        if wanted("throughput"):
            rows = figures["throughput"] = bench.throughput(1) + bench.throughput(2)
            print("\nThroughput with wrk, medians of pairs\n\n| rival | workers | its requests/s | the module's | ratio |\n| --- | ---: | ---: | ---: | ---: |")
            for row in rows:
                print(f"| {row['rival']} | {row['workers']} | {row['theirs']:,.0f} | {row['module']:,.0f} | {row['ratio']:.3f} |")
        if wanted("loading"):
            rows = figures["loading"] = bench.loading()
            print("\nLoading a configuration\n\n| what | nginx -t, seconds | peak MiB | resident MiB |\n| --- | ---: | ---: | ---: |")
            for row in rows:
                print(f"| {row['name']} | {row['seconds']:.3f} | {row['peak']:.1f} | {row['resident']:.1f} |")
        if wanted("allocations"):
            rows = figures["allocations"] = bench.allocations()
            print("\nHeap allocations per request\n\n| request | bare | module |\n| --- | ---: | ---: |")
            for row in rows:
                print(f"| {row['name']} | {row['bare']:.2f} | {row['module']:.2f} |")
        if wanted("command"):
            rows = figures["command"] = list(bench_command.rows(args.command, args.nginx, args.module, bench.dir, args.quick))
            print("\nThe command cors beside nginx -t\n\n| what | seconds | of the processor |\n| --- | ---: | ---: |")
            for row in rows:
                print(f"| {row['name']} | {row['seconds']:.2f} | {row['processor']:.2f} |")
        if wanted("changes"):
            rows = figures["changes"] = bench.changes()
            print("\nFrom a changed file of origins to its effect, seconds\n\n| origins | median | most |\n| ---: | ---: | ---: |")
            for row in rows:
                print(f"| {row['origins']:,} | {row['median']:.2f} | {row['most']:.2f} |")
        # It takes a minute, and says nothing about requests.
        if args.only == "build":
            figures["build"], crates = bench_build.measure(bench.dir)
            print("\nA clean build\n\n| seconds | of the processors | the module, stripped |\n| ---: | ---: | ---: |")
            print("| {seconds:.0f} | {processor:.0f} | {size:,} |".format(**figures["build"]))
            print("\n| crate | code |\n| --- | ---: |")
            for crate, size in crates[:12]:
                print(f"| `{crate}` | {size:,} |")
    finally:
        bench.close()
    if args.plot:
        plot(figures["instructions"], args.plot)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(figures, file, indent=1)
    # What a timer of nginx's allocates meanwhile is a small part of one for each request.
    if any(row["module"] > row["bare"] + 0.5 for row in figures.get("allocations", ())):
        sys.exit("the module allocates on the heap for a request, which it promises not to do")


main()
