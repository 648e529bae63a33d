# SPDX-License-Identifier: Apache-2.0
"""Applications as they come, behind nginx-conf's configurations: Django with a session and a CSRF token, the same with
django-cors-headers, an ASGI application with WebSockets, a static site."""

import contextlib
import json
import os
import socket
import sys

import harness
from configurations import ADMIN, APP, started
from harness import Browser, check, free_port, only, running, send, tokens

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.dirname(sys.executable)


@contextlib.contextmanager
def django(settings=None):
    """Yields the port of gunicorn; `settings` are those of django-cors-headers, which is in with them."""
    port = free_port()
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("CORS_SETTINGS", None)
    if settings is not None:
        env["CORS_SETTINGS"] = settings
    command = [f"{BIN}/gunicorn", "--workers", "1", "--log-level", "error", "--bind", f"127.0.0.1:{port}",
               "--chdir", HERE, "django_app:application"]
    with running(command, port, env=env, stderr=subprocess_log()):
        yield port


def subprocess_log():
    """What a server says of errors that the tests provoke is not for the test's output."""
    path = os.path.join(harness.ROOT, "build", "apps")
    os.makedirs(path, exist_ok=True)
    return open(os.path.join(path, "applications.log"), "a")


@contextlib.contextmanager
def uvicorn():
    port = free_port()
    command = [f"{BIN}/uvicorn", "--log-level", "error", "--port", str(port), "--app-dir", HERE, "asgi_app:app"]
    with running(command, port, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stderr=subprocess_log()):
        yield port


def session(port):
    page = Browser(APP, port)
    check("not signed in: the script can read the 401", page.fetch("GET", "/api/items/", credentials=True).said, "401")
    token = json.loads(page.fetch("GET", "/csrf/", credentials=True).body)["token"]
    headers = {"Content-Type": "application/json", "X-CSRFToken": token}
    check("signing in", page.fetch("POST", "/login/", headers, b'{"user": "alice"}', True).said, "200")
    answer = page.fetch("GET", "/api/items/", credentials=True)
    check("the session is there", json.loads(answer.body)["user"], "alice")
    answer = page.fetch("POST", "/api/items/", headers, b'{"item": "two"}', True)
    check("POST with the token", (answer.said, json.loads(answer.body)), ("201", {"items": ["one", "two"]}))
    check("the preflight was nginx's", answer.preflight[0], 204)
    answer = page.fetch("POST", "/api/items/", {"Content-Type": "application/json"}, b'{"item": "three"}', True)
    check("without the token: the script can read Django's 403", answer.said, "403")
    check("an exception: the script can read the 500", page.fetch("GET", "/api/broken/", credentials=True).said, "500")
    check("without credentials no session", page.fetch("GET", "/api/items/").said, "401")

    other = Browser("https://evil.example", port)
    other.cookies = page.cookies
    check("another site with the user's cookies", other.fetch("GET", "/api/items/", credentials=True).said, "403, blocked")
    check("its preflight", other.fetch("POST", "/api/items/", headers, b'{"item": "evil"}', True).said, "preflight 403")
    items = json.loads(page.fetch("GET", "/api/items/", credentials=True).body)["items"]
    check("nothing has come of it", items, ["one", "two"])
    check("behind auth_basic", page.fetch("GET", "/staging/api/public/", dict([ADMIN])).said, "200")
    check("behind auth_basic, without", page.fetch("GET", "/staging/api/public/").said, "401")


def one_set(port):
    """Whatever the application has sent, browsers get what nginx says, once."""
    for name, origin, allowed in (("allowed", APP, APP), ("the application's own", "https://old.example.net", None)):
        status, headers, _ = send(port, "api.example.com", "GET", "/api/public/", [("Origin", origin)])
        # cors_enforce answers the one that is not allowed.
        check(f"{name}: status", status, 200 if allowed else 403)
        check(f"{name}: Access-Control-Allow-Origin", only(headers, "Access-Control-Allow-Origin"), allowed)
        check(f"{name}: Vary", tokens(headers, "Vary").count("origin"), 1)
    status, headers, _ = send(port, "api.example.com", "GET", "/staging/api/public/", [("Origin", "https://old.example.net"), ADMIN])
    check("no field of the application for others", (status, [name for name, _ in headers if name.startswith("Access-Control")]), (200, []))
    check("PUT", Browser(APP, port).fetch("PUT", "/api/public/", credentials=True).said, "200")


def sockets(port):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    def say(origin, word="echo "):
        connection = socket.create_connection(("127.0.0.1", port), 10)
        try:
            with connect("ws://api.example.com/socket", sock=connection, origin=origin, proxy=None) as client:
                client.send(word)
                return client.recv(10)
        except InvalidStatus as error:
            return error.response.status_code

    check("a WebSocket", say(APP), "echo echo ")
    check("of another site", say("https://evil.example"), 403)
    check("of no browser", say(None), "echo echo ")
    check("JSON beside it", Browser(APP, port).fetch("GET", "/", credentials=True).said, "200")


def static_site(port):
    host = "assets.example.com"
    own = ("Origin", "https://www.example.com")
    status, headers, _ = send(port, host, "GET", "/licensed/font.ttf", [own])
    check("a font", (status, only(headers, "Access-Control-Allow-Origin"), only(headers, "Content-Type")),
          (200, own[1], "font/ttf"))
    etag = only(headers, "ETag")
    for what, field, expected in (("not modified", ("If-None-Match", etag), 304), ("a part of it", ("Range", "bytes=0-1"), 206)):
        status, headers, _ = send(port, host, "GET", "/licensed/font.ttf", [own, field])
        check(what, (status, only(headers, "Access-Control-Allow-Origin"), tokens(headers, "Vary")), (expected, own[1], ["origin"]))
    status, headers, _ = send(port, host, "GET", "/licensed/missing.ttf", [own])
    check("missing", (status, only(headers, "Access-Control-Allow-Origin")), (404, own[1]))
    status, headers, _ = send(port, host, "HEAD", "/font.ttf", [own])
    check("HEAD", (status, only(headers, "Access-Control-Allow-Origin")), (200, "*"))


def run(args):
    print("# Django without CORS of its own")
    with django() as upstream, started(args, "application-behind-proxy.conf", upstream) as (port, _):
        session(port)
    for name, settings in (
        ("its own origins", 'CORS_ALLOWED_ORIGINS = ["https://old.example.net", "https://app.example.com"]\n'
                            "CORS_ALLOW_CREDENTIALS = True\n"),
        ("everyone", "CORS_ALLOW_ALL_ORIGINS = True\n"),
    ):
        print(f"# Django with django-cors-headers for {name}")
        with django(settings) as upstream, started(args, "application-behind-proxy.conf", upstream) as (port, _):
            one_set(port)
    print("# ASGI with WebSockets")
    with uvicorn() as upstream, started(args, "websockets.conf", upstream) as (port, _):
        sockets(port)
    print("# A static site")
    with started(args, "assets-cdn.conf", 1) as (port, _):
        static_site(port)
