# SPDX-License-Identifier: Apache-2.0
"""replay.py --command CORS --nginx NGINX --module MODULE

Converts configurations with `cors convert`, and compares what nginx answers before and after. Answers may differ only in what the
command has printed. The configurations are those of configurations.nginx, and those in docs/migrate.md."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../apps"))

import harness
from harness import application, check, free_port, send, tokens
from migration import DOCUMENT, blocks, http_of

HERE = os.path.dirname(os.path.abspath(__file__))
APP = "https://app.example.com"
ORIGINS = [None, APP, "https://admin.example.com", "https://a.example.org", "https://a.b.example.com", "https://partner.example",
           "http://localhost", f"{APP}.evil.example", "https://evil.example", "null"]
LISTS = ("access-control-allow-methods", "access-control-allow-headers", "access-control-max-age")
# What an answer has whoever asks.
PLAIN = ("date", "connection", "content-length", "content-type", "transfer-encoding", "expires", "vary", "keep-alive")


def requests():
    """What is asked: a word for its kind, the origin, the method, the path, and its fields."""
    ask = [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "content-type,x-own")]
    for origin in ORIGINS:
        fields = [("Origin", origin)] if origin else []
        for path in ("/", "/404", "/nested/x", "/a.ttf"):
            yield "simple", origin, "GET", path, fields
        for method in ("POST", "PUT"):
            yield "simple", origin, method, "/", fields
        yield "options", origin, "OPTIONS", "/", fields
        if origin:
            for path in ("/", "/nested/x"):
                yield "preflight", origin, "OPTIONS", path, fields + ask


def answers(args, code, upstream):
    port = free_port()
    found = []
    with harness.nginx(args, http_of(code, port, upstream)):
        for _, _, method, path, fields in requests():
            status, headers, body = send(port, "api.example.com", method, path, fields)
            found.append((status, [(name.lower(), value) for name, value in headers], body))
    return found


def value(answer, name):
    """Lists of names are compared as sets."""
    values = [value for other, value in answer[1] if other == name]
    if name in LISTS[:2] or name == "access-control-expose-headers":
        return sorted(set(tokens(answer[1], name))) or None
    return ", ".join(values) or None


def differences(kind, origin, before, after):
    """(what differs, the codes that explain it)"""
    if before[0] != after[0]:
        codes = {"simple": [], "options": ["options"], "preflight": ["preflight", "preflight-status", "preflight-denied"]}
        yield f"status {before[0]} and {after[0]}", codes[kind]
        # Another handler has made the answer.
        return
    name = "access-control-allow-origin"
    was, now = value(before, name), value(after, name)
    if was != now:
        if now is None:
            codes = ["no-origin"] if origin is None else ["denied"] if was != origin else ["anchors"]
        elif was is None:
            codes = ["nested", "methods"] + (["errors"] if before[0] >= 400 else [])
            codes += ["no-origin"] if origin is None else []
            codes += ["preflight-fields"] if kind == "preflight" else []
        else:
            codes = ["reflected"]
        yield f"{name} {was} and {now}", codes
    allowed = now is not None
    for name in ("access-control-allow-credentials", "access-control-expose-headers", *LISTS):
        was, now = value(before, name), value(after, name)
        if was == now:
            continue
        if kind != "preflight" and name in LISTS:
            codes = ["lists"]
        elif now is None:
            codes = ["any-with-credentials"] if allowed else ["denied", "anchors", "no-origin"]
        elif was is None:
            codes = ["nested", "methods"] + (["errors"] if before[0] >= 400 else [])
            codes += ["preflight-fields"] if kind == "preflight" else []
        else:
            codes = ["no-effect", "max-age", "wildcard", "echo"]
        yield f"{name} {was} and {now}", codes
    was, now = ("origin" in tokens(answer[1], "vary") for answer in (before, after))
    if was != now:
        yield f"Vary: Origin {was} and {now}", ["vary"]
    if kind == "simple" and before[2] != after[2]:
        yield f"bodies {before[2]} and {after[2]}", []

    def rest(answer):
        return sorted({name for name, _ in answer[1] if not name.startswith("access-control-") and name not in PLAIN})

    if rest(before) != rest(after):
        yield f"fields {rest(before)} and {rest(after)}", ["options"] if kind == "options" else []


def convert(args, code, name="nginx.conf"):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write(code)
        ran = subprocess.run([args.command, "convert", "--json", "--proxy-pass", "http://127.0.0.1:8000", path], capture_output=True, text=True, timeout=20)
    if not ran.stdout:
        raise RuntimeError(ran.stderr)
    return json.loads(ran.stdout)


def replay(args, code):
    """What the command says of a configuration and of its own output, and the answers before and after."""
    converted = convert(args, code)
    new = converted["files"][0]["text"]
    again = convert(args, new)["files"][0]["text"]
    with application() as (upstream, _):
        return converted, again, answers(args, code, upstream), answers(args, new, upstream)


def judge(name, left, after, replayed):
    converted, again, olds, news = replayed
    codes = {note["code"] for note in converted["different"]}
    new = converted["files"][0]["text"]
    check(f"{name}: what cannot be carried over", sorted({note["code"] for note in converted["not_carried_over"]}), left)
    if after is None:
        check(f"{name}: it is converted", "cors_allow_origin" in new, "block" not in left or "nested" in name)
    else:
        check(f"{name}: what the page shows is what the command prints", after, new)
    check(f"{name}: once is enough", again, new)
    unexplained, explained = [], 0
    for (kind, origin, method, path, _), old, new in zip(requests(), olds, news):
        for what, known in differences(kind, origin, old, new):
            if codes.isdisjoint(known):
                unexplained.append(f"{kind} {origin} {method} {path}: {what}; printed were {sorted(codes)}")
            else:
                explained += 1
    check(f"{name}: answers differ as printed ({explained} times)", unexplained, [])


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--nginx", "--module"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    with open(os.path.join(HERE, "configurations.nginx")) as file:
        parts = re.split(r"^#### (.*); left:(.*)\n", file.read(), flags=re.M)[1:]
    rows = [(name, sorted(left.split()), None, code) for name, left, code in zip(parts[::3], parts[1::3], parts[2::3])]
    with open(DOCUMENT) as file:
        code, _ = blocks(file.read())
    for (kind, name), (language, before) in code.items():
        if kind == "before" and language == "nginx":
            rows.append((f"docs/migrate.md: {name}", [], code["after", name][1], before))
    others = [(name, language, before) for (kind, name), (language, before) in code.items() if language in ("python", "yaml")]
    for name, language, before in others:
        new = convert(args, before, {"python": "settings.py", "yaml": "policy.yaml"}[language])["files"][0]["text"]
        shown = code["after", name][1]
        # What the signal does is written by hand.
        check(f"docs/migrate.md: {name}: what the page shows is what the command prints", shown[: len(new)], new)
        check(f"docs/migrate.md: {name}: nothing else is on the page", shown[len(new) :] == "", name != "signal")
    check("docs/migrate.md has sources of each kind", len(others), 4)
    # Most of the time goes by while an nginx starts or ends.
    with ThreadPoolExecutor(4) as pool:
        for (name, left, after, _), replayed in zip(rows, pool.map(lambda row: replay(args, row[3]), rows)):
            judge(name, left, after, replayed)
    harness.finish()


if __name__ == "__main__":
    main()
