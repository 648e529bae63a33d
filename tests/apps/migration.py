# SPDX-License-Identifier: Apache-2.0
"""Holds docs/migrate.md to what it says: its blocks are what is started, its tables are what is compared."""

import os
import re

import applications
import harness
from harness import Browser, application, check, free_port, only, send, tokens

DOCUMENT = os.path.join(harness.ROOT, "docs/migrate.md")
PROXY = "location / { proxy_pass http://127.0.0.1:8000; }"


def blocks(text):
    """{(kind, name): (language, code)} of the blocks with a mark, {(kind, name): [cells]} of the tables with one."""
    code = {
        (kind, name): (language, body)
        for kind, name, language, body in re.findall(r"^<!-- (\w+): (\w+) -->\n```(\w+)\n(.*?)^```$", text, re.M | re.S)
    }
    tables = {}
    for kind, name, body in re.findall(r"^<!-- (\w+): (\w+) -->\n((?:\|.*\n)+)", text, re.M):
        lines = [[cell.strip() for cell in re.split(r" \| ", line.strip("| "))] for line in body.splitlines()]
        tables[kind, name] = lines[2:]
    return code, tables


def http_of(code, port, upstream):
    if "server {" not in code:
        code = f"server {{ listen 80; {code} }}"
    code = re.sub(r"listen +80;", f"listen 127.0.0.1:{port};", code)
    return code.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")


def outcome(port, sentence):
    """What a script gets of a request as the tables put it."""
    origin, method, path, fields, cookies = re.fullmatch(
        r"`(\S+)`: `(\w+) (\S+)`(?: with ((?:`[\w-]+`(?: and )?)+))?(, with cookies)?", sentence
    ).groups()
    headers = {name: "application/json" if name == "Content-Type" else "1" for name in re.findall(r"`(.*?)`", fields or "")}
    answer = Browser(origin, port).fetch(method, path, headers, b"", bool(cookies))
    if answer.said.startswith(("preflight", "method", "header")):
        return answer.said
    _, got, _ = send(port, "api.example.com", method, path, [("Origin", origin), *headers.items()])
    keyed = only(got, "Access-Control-Allow-Origin") == "*" or "origin" in tokens(got, "Vary")
    return answer.said + ("" if keyed else ", no Vary")


def outcomes(args, code, upstream, rows):
    port = free_port()
    with harness.nginx(args, http_of(code, port, upstream)):
        return [outcome(port, row[0]) for row in rows]


def facts(port, origins, asks):
    """All that CORS is of the answers to a fixed set of requests."""
    found = []
    for origin in origins:
        for method, fields in (("GET", []), ("OPTIONS", [("Access-Control-Request-Method", "PUT"), *asks])):
            _, headers, _ = send(port, "api.example.com", method, "/api/public/", [("Origin", origin), *fields])
            found.append((origin, method, {
                name: sorted(tokens(headers, name)) for name, _ in headers if name.lower().startswith("access-control-")
            }))
    return [(origin, method, {name.lower(): value for name, value in fields.items()}) for origin, method, fields in found]


def settings(args, rows):
    """Each setting of django-cors-headers by itself, and the directive beside it."""
    defaults = {
        "cors_allow_origin": "https://app.example.com", "cors_allow_methods": "DELETE GET OPTIONS PATCH POST PUT",
        "cors_allow_headers": "accept authorization content-type user-agent x-csrftoken x-requested-with",
        "cors_max_age": "86400",
    }
    origins = ["https://app.example.com", "http://localhost:3000", "https://evil.example", "null"]
    asks = [("Access-Control-Request-Headers", "x-api-key"), ("Access-Control-Request-Private-Network", "true")]
    for setting, directive in rows:
        python = setting.strip("`") if setting.startswith("`") else ""
        if not directive.startswith("`"):
            directive = ""
        name, _, value = directive.strip("`;").partition(" ")
        with_it = dict(defaults)
        if name.startswith("cors_allow_origin"):
            del with_it["cors_allow_origin"]
        elif "CORS_ALLOWED_ORIGINS" not in python:
            python += '\nCORS_ALLOWED_ORIGINS = ["https://app.example.com"]'
        if name:
            with_it[name] = value
        after = " ".join(f"{key} {words};" for key, words in with_it.items())
        port = free_port()
        with applications.django(python) as upstream, harness.nginx(args, http_of(PROXY, port, upstream)):
            before = facts(port, origins, asks)
        with applications.django() as upstream:
            port = free_port()
            code = f"location /api/ {{ {after} proxy_pass http://127.0.0.1:8000; }} {PROXY}"
            with harness.nginx(args, http_of(code, port, upstream)):
                check(f"{setting} is {directive or 'the location'}", facts(port, origins, asks), before)


def run(args):
    with open(DOCUMENT) as file:
        code, tables = blocks(file.read())
    names = [name for kind, name in tables if kind == "compare"]
    check("each table has its block", sorted(names), sorted(name for kind, name in code if kind == "after"))
    for name in names:
        print(f"# docs/migrate.md: {name}")
        rows = tables["compare", name]
        language, before = code.get(("before", name), (None, None))
        if language == "python":
            with applications.django(before) as upstream:
                befores = outcomes(args, PROXY, upstream, rows)
            with applications.django() as upstream:
                afters = outcomes(args, code["after", name][1], upstream, rows)
        else:
            with application() as (upstream, _):
                befores = outcomes(args, before, upstream, rows) if before else []
                afters = outcomes(args, code["after", name][1], upstream, rows)
        for number, row in enumerate(rows):
            if before:
                check(f"before: {row[0]}", befores[number], row[1])
            check(f"after: {row[0]}", afters[number], row[-1])
    print("# docs/migrate.md: the settings of django-cors-headers")
    settings(args, tables["settings", "django"])
