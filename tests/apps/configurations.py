# SPDX-License-Identifier: Apache-2.0
"""Starts each of nginx-conf/*.conf, and holds it to what it is for."""

import base64
import contextlib
import glob
import json
import os
import re

import harness
from harness import Browser, application, check, free_port, only, send, tokens

APP = "https://app.example.com"
ADMIN = ("Authorization", "Basic " + base64.b64encode(b"alice:wonderland").decode())

FILES = [
    ("srv/app/index.html", b"<!DOCTYPE html>"),
    ("srv/assets/font.ttf", b"font"),
    ("srv/assets/licensed/font.ttf", b"font"),
    ("srv/users", b"alice:{PLAIN}wonderland\n"),
    ("var/log/nginx/none", b""),
]


@contextlib.contextmanager
def started(args, name, upstream):
    """The file as it is, but for the addresses and paths of this machine; yields its port and prefix."""
    port = free_port()
    with open(os.path.join(harness.ROOT, "nginx-conf", name)) as file:
        http = file.read()
    http = re.sub(r"listen +80\b", f"listen 127.0.0.1:{port}", http)
    http = http.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    # nginx takes paths of the prefix for relative ones; those of logs and roots alike.
    http = re.sub(r"(?<= )/(?=srv/|var/log/)", "", http)
    with harness.nginx(args, http, FILES) as prefix:
        yield port, prefix


def check_rebinding(port):
    """The name of another page, which leads here."""
    check("DNS rebinding", send(port, "evil.example", "POST", "/", [("Origin", "http://evil.example")])[0], 421)


def check_preflight(port, host, origin, method, headers, allowed_methods, allowed_headers, seconds):
    """What a preflight is told, in full."""
    asks = [("Origin", origin), ("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", headers)]
    status, answer, _ = send(port, host, "OPTIONS", "/", [field for field in asks if field[1]])
    said = [only(answer, f"Access-Control-{name}") for name in ("Allow-Methods", "Allow-Headers", "Max-Age")]
    check(f"a preflight for {method}", (status, said), (204, [allowed_methods, allowed_headers, seconds]))


def spa_and_api(port, prefix, seen):
    spa = Browser(APP, port, "api.example.com")
    check("the application is served", send(port, "app.example.com", "GET", "/some/route")[0], 200)
    check("GET", spa.fetch("GET", "/items", credentials=True).said, "200")
    answer = spa.fetch("PUT", "/items/1", {"Content-Type": "application/json"}, b"{}", True)
    check("PUT with JSON", (answer.said, answer.headers.get("X-Total-Count"), answer.headers.get("ETag")), ("200", "3", '"1"'))
    check("no preflight reaches the application", [line for line in seen if line.startswith("OPTIONS")], [])
    check("an error is readable", spa.fetch("GET", "/404", credentials=True).said, "404")
    check("a developer's page", Browser("http://localhost:5173", port).fetch("GET", "/", credentials=True).said, "200")
    check("another page", Browser("https://evil.example", port).fetch("GET", "/").said, "200, blocked")
    check("/admin/", spa.fetch("GET", "/admin/").said, "200, blocked")


def application_behind_proxy(port, prefix, seen):
    page, other = Browser(APP, port), Browser("https://evil.example", port)
    check("POST with a token", page.fetch("POST", "/", {"X-CSRFToken": "1"}, b"x", True).said, "200")
    check_preflight(port, "api.example.com", APP, "PUT", "x-csrftoken", "GET, POST, PUT, PATCH, DELETE",
                    "Authorization, Content-Type, X-CSRFToken", "3600")
    seen.clear()
    check("POST of another site", other.fetch("POST", "/", {}, b"x", True).said, "403, blocked")
    check("it does not reach the application", seen, [])
    check("authentication", page.fetch("GET", "/staging/", dict([ADMIN])).said, "200")
    staged = page.fetch("PUT", "/staging/", {**dict([ADMIN]), "X-CSRFToken": "1"}, b"x", True)
    check("PUT with authentication and a token", staged.said, "200")
    check("without it", page.fetch("GET", "/staging/").said, "401")
    check("a page of its own", send(port, "api.example.com", "POST", "/", [("Origin", "http://api.example.com")])[0], 200)
    check_rebinding(port)


def public_api(port, prefix, seen):
    page = Browser("https://anyone.example", port)
    answer = page.fetch("GET", "/")
    check("GET", (answer.said, answer.headers.get("X-Total-Count")), ("200", "3"))
    _, headers, _ = send(port, "data.example.com", "GET", "/")
    check("without Origin the same", (only(headers, "Access-Control-Allow-Origin"), tokens(headers, "Vary")), ("*", []))
    check("a sandboxed page", Browser("null", port).fetch("GET", "/").said, "200")
    check("PUT", page.fetch("PUT", "/").said, "method refused")
    check_preflight(port, "data.example.com", "https://anyone.example", "HEAD", "", "GET, HEAD", None, "86400")
    check("POST, which browsers send unasked", page.fetch("POST", "/", {}, b"x").said, "403")
    check("with credentials", page.fetch("GET", "/", credentials=True).said, "200, blocked")


def assets_cdn(port, prefix, seen):
    any_page, own = Browser("https://anyone.example", port), Browser("https://www.example.com", port)
    check("a font", any_page.fetch("GET", "/font.ttf").said, "200")
    _, headers, _ = send(port, "assets.example.com", "GET", "/font.ttf")
    check("one copy for all", (only(headers, "Access-Control-Allow-Origin"), tokens(headers, "Vary")), ("*", []))
    check("with its timing", only(headers, "Timing-Allow-Origin"), "*")
    check("a licensed font", own.fetch("GET", "/licensed/font.ttf").said, "200")
    check("for others", any_page.fetch("GET", "/licensed/font.ttf").said, "200, blocked")
    _, headers, _ = send(port, "assets.example.com", "GET", "/licensed/font.ttf")
    check("copies by origin", tokens(headers, "Vary"), ["origin"])


def tenants(port, prefix, seen):
    def said(origin, host, method="GET"):
        return Browser(origin, port, host).fetch(method, "/", credentials=True).said

    check("a tenant's origin", said("https://www.one.example", "one.example.com"), "200")
    check("PUT", said("https://two.example", "two.example.com", "PUT"), "200")
    check_preflight(port, "one.example.com", "https://one.example", "DELETE", "authorization", "GET, POST, PUT, DELETE",
                    "Authorization, Content-Type", "600")
    check("on another tenant's host", said("https://two.example", "one.example.com"), "200, blocked")
    check("PUT on another tenant's host", said("https://two.example", "one.example.com", "PUT"), "preflight 403")
    check("the platform's own", said("https://admin.example.com", "two.example.com"), "200")
    check("a preview", said("https://pr-7.preview.example.com", "two.example.com"), "200")
    check("a host without a tenant", said("https://one.example", "three.example.com"), "200, blocked")


def development(port, prefix, seen):
    for origin in ("http://localhost", "http://localhost:5173", "https://localhost:3000", "http://127.0.0.1:8080",
                   "http://[::1]:4321", "http://a.localhost:8000"):
        answer = Browser(origin, port, "localhost").fetch("PATCH", "/", {"X-Any": "1", "Authorization": "x"}, b"", True)
        check(origin, answer.said, "200")
    check("no other", Browser("https://example.com", port).fetch("GET", "/").said, "200, blocked")
    check("no warning", prefix.warnings, [])


def websockets(port, prefix, seen):
    check("a page's own requests", Browser(APP, port).fetch("GET", "/", credentials=True).said, "200")
    upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
               ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]

    def status(*fields):
        return send(port, "api.example.com", "GET", "/socket", [*upgrade, *fields])[0]

    # The application here knows no WebSockets: that it is asked is what counts. tests/browser opens real ones.
    check("a socket", status(("Origin", APP)), 200)
    check("of another site", status(("Origin", "https://evil.example")), 403)
    check("of a page of this server", status(("Origin", "http://api.example.com")), 200)
    check("of no browser", status(), 200)
    check_rebinding(port)


def dry_run(port, prefix, seen):
    before = only(send(port, "api.example.com", "GET", "/", [("Origin", "https://evil.example")])[1], "Access-Control-Allow-Origin")
    check("what has been there stays", before, APP)
    check_rebinding(port)
    check("nothing is enforced", send(port, "api.example.com", "POST", "/", [("Origin", "https://evil.example")])[0], 200)
    allowed = [("Origin", APP), ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "authorization")]
    send(port, "api.example.com", "OPTIONS", "/", allowed)
    preflight = [("Origin", APP), ("Access-Control-Request-Method", "PATCH")]
    check("preflights go on to the application", send(port, "api.example.com", "OPTIONS", "/", preflight)[0], 405)
    send(port, "api.example.com", "GET", "/", [("Origin", APP)])
    send(port, "api.example.com", "GET", "/")
    log = prefix.read("var/log/nginx/cors.log").splitlines()
    check("the log", [line.rsplit(None, 2)[1:] for line in log], [
        ['"https://evil.example"', "REJECTED_DRY_RUN"],
        ['"https://evil.example"', "REJECTED_DRY_RUN"],
        [f'"{APP}"', "PREFLIGHT_DRY_RUN"],
        [f'"{APP}"', "PREFLIGHT_METHOD_DENIED_DRY_RUN"],
        [f'"{APP}"', "ALLOWED_DRY_RUN"],
    ])
    errors = prefix.read("var/log/nginx/error.log")
    check("the error log has the name", 'method "PATCH"' in errors, True)
    check("and what an allowed response would get", "would set Access-Control-Allow-Credentials" in errors, True)


def monitoring(port, prefix, seen):
    check("no warning", prefix.warnings, [])
    for origin, path in ((APP, "/"), (APP, "/"), ("https://evil.example", "/"), ("https://new.example", "/partners/"),
                         ("https://partner.example", "/partners/")):
        send(port, "api.example.com", "GET", path, [("Origin", origin)])
    metrics = send(port, "status.example.com", "GET", "/metrics")[2].decode()
    check("Prometheus", sorted(re.findall(r"^nginx_cors_requests_total(.*) ([1-9].*)$", metrics, re.M)), [
        ('{policy="api",status="allowed"}', "2"),
        ('{policy="api",status="denied"}', "1"),
        ('{policy="partners",status="allowed",dry_run="true"}', "1"),
        ('{policy="partners",status="rejected",dry_run="true"}', "1"),
    ])
    report = json.loads(send(port, "status.example.com", "GET", "/cors", [("Accept", "application/json")])[2])
    needs = {policy["policy"]: [need["directive"] for need in policy["needs"]] for policy in report["policies"]}
    check("what a dry run needs", needs, {"api": [], "partners": ["cors_allow_origin https://new.example;"]})
    check("PUT with JSON", Browser(APP, port, "api.example.com").fetch("PUT", "/", {"Content-Type": "application/json"}, b"{}").said, "200")
    page = send(port, "status.example.com", "GET", "/cors", [("Accept", "text/html")])
    check("the page", (page[0], only(page[1], "Content-Type")), (200, "text/html; charset=utf-8"))


def run(args):
    names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(harness.ROOT, "nginx-conf/*.conf")))
    for name in names:
        print(f"# nginx-conf/{name}")
        with application() as (upstream, seen), started(args, name, upstream) as (port, prefix):
            globals()[name.removesuffix(".conf").replace("-", "_")](port, prefix, seen)
            check("no worker has complained", [
                line for log in ("error.log", "var/log/nginx/error.log") if os.path.exists(os.path.join(prefix.path, log))
                for line in prefix.read(log).splitlines() if re.search(r"\[(error|crit|alert|emerg)\]", line)
                and not re.search(r"no user/password was provided|access forbidden by rule", line)
            ], [])
