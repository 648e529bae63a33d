# SPDX-License-Identifier: Apache-2.0
"""Random configurations and requests, and what they look like to nginx."""

import model

EXACT = ["https://app.example.com", "http://localhost:8080", "capacitor://localhost", "null", "file://",
         "http://[::1]:3000", "https://a.example", "https://xn--bcher-kva.example"]
PATTERNS = ["https://*.example.org", "http://localhost:*", "https://*.example.net:8443", "https://*.example.io:*"]
EXPRESSIONS = [r"^https://pr-\d+\.preview\.example$", r"https://[a-z]+\.example\.dev", r"^https?://(a|b)\.test(:\d+)?$",
               r"http://only\.test|https://only\.test", r".*\.anything\.example"]
VARIABLES = ["$tenant", "$http_x_origins", "$http_origin", "$arg_origin"]
ORIGINS = EXACT + [
    "https://x.example.org", "https://x.y.example.org", "https://example.org", "https://.example.org",
    "https://xexample.org", "https://x.example.org.evil.test", "https://x.example.org:8443", "http://x.example.org",
    "http://localhost", "http://localhost:1", "http://localhost:", "http://localhost:80", "http://localhost.evil.test",
    "https://x.example.net:8443", "https://x.example.net", "https://x.example.io", "https://x.example.io:1",
    "https://x.example.io:443", "https://pr-17.preview.example", "https://pr-x.preview.example",
    "https://pr-1.preview.example.evil.test", "https://w.example.dev", "xhttps://w.example.dev", "http://a.test",
    "https://b.test:9", "http://only.test", "https://only.test", "http://only.testx", "https://one.example",
    "https://www.one.example", "https://two.example", "https://three.example", "https://shop.example",
    "https://t.partner.example", "https://partner.example", "https://more.example", "https://more.example:8443",
    "https://z.anything.example", "https://APP.example.com", "HTTPS://app.example.com", "https://app.example.com/",
    "https://app.example.com:443", "https://app.example.com.", "https://user@app.example.com", "app.example.com",
    "https://", "nul", "NULL", "*", "file:///", "https://a.example https://a.example", "https://a.example,null",
    "", "http://s.example", "https://s.example:8080", "https://s.example", "\xff", "https://b\xfccher.example",
]
HOSTS = ["s.example", "s.example:8080", "other.example"]
TOP = ["/a/", "/b/", "/c/", "/d/", "/e/"]
NESTED = {"/a/": ["/a/n/", "/a/n/m/"], "/b/": ["/b/n/"]}
REJECT = ["400", "403", "404", "421", "503"]


class Generator:
    def __init__(self, random):
        self.random = random

    def maybe(self, chance):
        return self.random.random() < chance

    def some(self, values, least=1, most=3):
        return self.random.sample(values, self.random.randint(least, min(most, len(values))))

    # The directives of the module.

    def cors(self, above):
        """Directives of one level that go with those of the levels above."""
        for _ in range(50):
            level = {"cors": self.directives()}
            policy = model.Policy.of([*above, level])
            exposed = model.words(policy.settings.get("cors_expose_headers", []))
            if not (policy.on("cors_allow_credentials") and (policy.any_origin() or "*" in exposed)):
                return level["cors"]
        return []

    def directives(self):
        random, lines = self.random, []
        if self.maybe(0.6):
            kind = random.random()
            if kind < 0.15:
                lines.append(["cors_allow_origin", "*"])
            elif kind < 0.2:
                lines.append(["cors_allow_origin", ""])
            else:
                for _ in range(random.choice([1, 1, 2])):
                    lines.append(random.choice([
                        lambda: ["cors_allow_origin", *self.some(EXACT)],
                        lambda: ["cors_allow_origin", *self.some(EXACT + PATTERNS, 1, 4)],
                        lambda: ["cors_allow_origin", ", ".join(self.some(EXACT + PATTERNS, 1, 4))],
                        lambda: ["cors_allow_origin_regex", *self.some(EXPRESSIONS)],
                        lambda: ["cors_allow_origin", *self.some(VARIABLES, 1, 2), *self.some(EXACT, 0, 2)],
                        lambda: ["cors_allow_origin_file", *self.some(list(model.ORIGIN_FILES), 1, 2)],
                    ])())
        for chance, make in (
            (0.06, lambda: ["cors", random.choice(["on", "off"])]),
            (0.25, lambda: ["cors_allow_credentials", random.choice(["on", "off"])]),
            (0.25, lambda: ["cors_allow_methods", *random.choice([["*"], ["GET"], ["PUT, DELETE"], ["GET", "PATCH", "x-own"]])]),
            (0.25, lambda: ["cors_allow_headers", *random.choice([["*"], ["Content-Type", "X-Own"], ["Authorization, X-A"], ["*", "Authorization"]])]),
            (0.2, lambda: ["cors_expose_headers", *random.choice([["*"], ["ETag"], ["ETag, X-Total"], ["Link", "X-Total"]])]),
            (0.2, lambda: ["cors_max_age", random.choice(["0", "600", "86400"])]),
            (0.1, lambda: ["cors_allow_private_network", random.choice(["on", "on", "off"])]),
            (0.15, lambda: ["cors_preflight", random.choice(["on", "off"])]),
            (0.1, lambda: ["cors_preflight_status", random.choice(["200", "204"])]),
            (0.15, lambda: ["cors_override", random.choice(["on", "off", "off"])]),
            (0.1, lambda: ["cors_bypass", *random.choice([["$http_x_bypass"], ["", "$http_x_bypass"], ["$arg_bypass"], [""], ["0"], ["1"]])]),
            (0.2, lambda: ["cors_enforce", random.choice(["on", "on", "off"])]),
            (0.1, lambda: ["cors_reject_status", random.choice(REJECT)]),
            (0.06, lambda: ["cors_dry_run", random.choice(["on", "off"])]),
            (0.05, lambda: ["cors_log_level", "warn"]),
        ):
            if self.maybe(chance):
                lines.append(make())
        random.shuffle(lines)
        return lines

    # What the application, or add_header, sets.

    def fields(self):
        random = self.random
        return [field for chance, field in (
            (0.5, ["Access-Control-Allow-Origin", random.choice(["*", "https://a.example", "https://upstream.example"])]),
            (0.2, ["Access-Control-Allow-Credentials", "true"]),
            (0.2, ["Access-Control-Expose-Headers", "X-Upstream"]),
            (0.2, ["access-control-allow-methods", "TRACE"]),
            (0.1, ["Access-Control-Max-Age", "5"]),
            (0.05, ["Access-Control-Own", "1"]),
            (0.3, ["Vary", random.choice(["Accept-Encoding", "origin", "Accept,Origin", "Cookie", "X-Origin", "*", "Origin, Accept"])]),
            (0.15, ["Vary", random.choice(["Accept-Language", "Cookie,X-A"])]),
        ) if self.maybe(chance)]

    def add(self):
        if self.maybe(0.1):
            # About as many as one part of nginx's list holds.
            return [[f"X-{number}", "1", True] for number in range(self.random.randint(14, 20))]
        fields = [[name, value, self.maybe(0.5)] for name, value in self.fields()]
        return fields or [["X-Added", "1", True]]

    # nginx.

    def target(self, after):
        """A URI in a later location, so that there are no loops."""
        return self.random.choice(after) + self.random.choice(["file.txt", "missing", "", "i/", "d"])

    def error_pages(self, after):
        pages = []
        for code in self.some([301, 302, 401, 403, 404, 405, 413, 500], 1, 4):
            overwrite = self.random.choice([None, None, 200, 0, 404, 503])
            target = self.random.choice([self.target(after), "/err/file.txt", "/err/missing", "@named", "https://errors.example/"])
            pages.append([code, overwrite, target])
        return pages

    def rules(self, location, after):
        random = self.random
        name = location["match"] if location["match"].startswith("/") else "/x/"
        return [random.choice([
            lambda: ["return", random.choice([200, 204, 301, 302, 307, 403, 404, 500, 405]), ""],
            lambda: ["return", random.choice([200, 404, 403]), "text"],
            lambda: ["rewrite", f"^{name}r/(.*)$", random.choice(after) + "$1", "last"],
            lambda: ["rewrite", f"^{name}r/(.*)$", "/a/$1", "break"],
            lambda: ["rewrite", f"^{name}r/(.*)$", random.choice(after) + "$1", random.choice(["redirect", "permanent"])],
            lambda: ["rewrite", "^(.*)missing$", random.choice(after) + "file.txt", "last"],
        ])()]

    def block(self, location, after):
        block = {}
        if self.maybe(0.5):
            block["add"] = self.add()
        if not block or self.maybe(0.5):
            block["rules"] = self.rules(location, after)
        return ["if", self.random.choice(["X-If", "X-Other-If"]), "1", block]

    def location(self, match, above, after):
        random, location = self.random, {"match": match}
        if self.maybe(0.5):
            location["cors"] = self.cors(above)
        if self.maybe(0.25):
            location["add"] = self.add()
        if self.maybe(0.25):
            location["error_pages"] = self.error_pages(after)
        if self.maybe(0.1):
            location["max_body"] = 100
        if self.maybe(0.08) and not match.startswith("@"):
            location["internal"] = True
        if self.maybe(0.12):
            location["auth"] = random.choice(["/auth-yes", "/auth-no", "/auth-who", "/auth-broken"])
        rules = []
        if self.maybe(0.2):
            rules.append(self.block(location, after))
        if self.maybe(0.2):
            rules += self.rules(location, after)
        if rules and self.maybe(0.2):
            rules.insert(0, self.block(location, after))
        if rules:
            location["rules"] = rules
        if self.maybe(0.2):
            location["try_files"] = random.choice(["=404", "=403", self.target(after), "@named"])
        if self.maybe(0.35):
            proxy = {"status": random.choice([200, 200, 200, 204, 401, 404, 500]), "fields": self.fields()}
            if self.maybe(0.3):
                proxy["intercept"] = True
            if self.maybe(0.2):
                proxy["accel"] = self.target(after)
            location["proxy"] = proxy
        for name, chance in (("autoindex", 0.2), ("deny", 0.05), ("recursive", 0.1), ("ssi", 0.2), ("gzip", 0.2), ("sub_filter", 0.1), ("addition", 0.1), ("mirror", 0.1)):
            if self.maybe(chance):
                location[name] = True
        return location

    def configuration(self, http):
        random = self.random
        server = {"cors": self.cors([http]) if self.maybe(0.5) else []}
        above = [http, server]
        if self.maybe(0.2):
            server["add"] = self.add()
        names = sorted(random.sample(TOP, random.randint(2, len(TOP))))
        order = names + ["/err/", "/sub/"]
        if self.maybe(0.3):
            server["error_pages"] = self.error_pages(["/err/"])
        locations = []
        for name in names:
            after = order[order.index(name) + 1:]
            location = self.location(name, above, after)
            locations.append(location)
            outer = [*above, location]
            holder = location
            for nested in NESTED.get(name, []):
                if self.maybe(0.5):
                    inner = self.location(nested, outer, after)
                    holder["locations"] = [inner]
                    holder, outer = inner, [*outer, inner]
        if self.maybe(0.2):
            locations.append(self.location("~ \\.php$", above, ["/err/", "/sub/"]))
        if self.maybe(0.2):
            locations.append(self.location("= /exact", above, ["/err/", "/sub/"]))
        error = self.location("/err/", above, ["/sub/"])
        error.pop("internal", None)
        named = self.location("@named", above, ["/err/", "/sub/"])
        plain = {"match": "/sub/", "cors": self.cors(above) if self.maybe(0.3) else []}
        locations += [error, named, plain]
        for name, status in (("yes", 204), ("no", 403), ("who", 401), ("broken", 404)):
            location = {"match": f"= /auth-{name}", "rules": [["return", status, ""]]}
            if self.maybe(0.2):
                location["cors"] = self.cors(above)
            locations.append(location)
        server["locations"] = locations
        rules = []
        if self.maybe(0.2):
            rules.append(["rewrite", "^/s/(.*)$", random.choice(names) + "$1", random.choice(["last", "redirect"])])
        if self.maybe(0.2):
            rules.append(["if", "X-Server-If", "1", {"rules": [["return", random.choice([301, 404, 200, 403]), random.choice(["", "text"])]]}])
        if rules:
            server["rules"] = rules
        return {"http": http, "server": server}

    def http(self):
        http = {"cors": self.cors([]) if self.maybe(0.4) else []}
        if self.maybe(0.1):
            http["add"] = self.add()
        return http

    # Requests.

    def request(self, configuration):
        random = self.random
        names = []

        def collect(locations):
            for location in locations:
                names.append(location["match"])
                collect(location.get("locations", []))

        collect(configuration["server"]["locations"])
        base = random.choice([name for name in names if name.startswith("/")])
        uri = base + random.choice(["file.txt", "file.txt", "page.html", "missing", "", "i", "i/", "d", "d/", "r/file.txt", "r/missing", "n/file.txt", "x.php"])
        special = random.random()
        if special < 0.05:
            uri = random.choice(["/exact", "/auth-no", "/auth-yes", "/nowhere", "/x.php"])
        elif special < 0.1:
            uri = "/s/" + random.choice(["file.txt", "missing"])
        elif special < 0.13:
            uri = base.rstrip("/")
        headers = [["Host", random.choice(HOSTS)]]
        method = random.choice(["GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "OPTIONS", "OPTIONS"])
        if self.maybe(0.85):
            headers.append(["Origin", self.origin()])
            if self.maybe(0.05):
                headers.append(["Origin", random.choice([headers[-1][1], random.choice(ORIGINS)])])
        if method == "OPTIONS" and self.maybe(0.85):
            headers.append(["Access-Control-Request-Method", random.choice(["GET", "PUT", "PATCH", "x-own", "put", "", "P UT"])])
            if self.maybe(0.03):
                headers.append(["Access-Control-Request-Method", "GET"])
        if self.maybe(0.5 if method == "OPTIONS" else 0.03):
            headers.append(["Access-Control-Request-Headers", random.choice(["x-own", "content-type,x-own", "authorization", "x-a, x-b", "x y,z", "x@y", "", ",x-a"])])
            if self.maybe(0.05):
                headers.append(["Access-Control-Request-Headers", "x-second"])
        if self.maybe(0.2 if method == "OPTIONS" else 0.03):
            headers.append([model.PRIVATE_NETWORK, random.choice(["true", "true", "false"])])
        if self.maybe(0.3):
            headers.append(["Sec-Fetch-Site", random.choice(["same-origin", "same-site", "cross-site", "none"])])
            if self.maybe(0.1):
                headers.append(["Sec-Fetch-Site", random.choice(["same-origin", "none", "cross-site"])])
        for name, chance, values in (
            ("X-Tenant", 0.5, list(model.TENANTS)),
            ("X-Origins", 0.3, ["https://a.example", "null https://app.example.com", "*", "file://", "https://a.example,*", "* *", ""]),
            ("X-Bypass", 0.15, ["1", "0", "yes"]),
            ("X-If", 0.3, ["1"]), ("X-Other-If", 0.3, ["1"]), ("X-Server-If", 0.2, ["1"]),
            ("Accept-Encoding", 0.4, ["gzip"]),
        ):
            if self.maybe(chance):
                headers.append([name, random.choice(values)])
        first, rest = headers[0], headers[1:]
        random.shuffle(rest)
        body = random.choice([0, 50, 150]) if method in ("POST", "PUT") else 0
        args = "&".join(
            text for chance, text in ((0.1, "bypass=1"), (0.3, "origin=" + random.choice(["https://a.example", "null", "*"])))
            if self.maybe(chance))
        return model.Request(method, uri, args, [first, *rest], body)

    def origin(self):
        """Often one that is likely to be allowed."""
        return self.random.choice(ORIGINS if self.maybe(0.6) else EXACT[:6] + ["https://x.example.org", "http://a.test"])


# nginx's syntax.


def quoted(value):
    return "'" + value + "'" if value == "" or any(sign in value for sign in " ;{}*~|()\\") else value


def cors_text(level):
    return [" ".join([name, *(quoted(value) for value in values)]) + ";" for name, *values in level.get("cors", [])]


def level_text(level):
    """The directives that may stand in every block."""
    lines = cors_text(level)
    for name, value, always in level.get("add", []):
        lines.append(f"add_header {name} '{value}'{' always' if always else ''};")
    for code, overwrite, target in level.get("error_pages", []):
        status = "" if overwrite is None else "= " if overwrite == 0 else f"={overwrite} "
        lines.append(f"error_page {code} {status}{target};")
    if "max_body" in level:
        lines.append(f"client_max_body_size {level['max_body']};")
    for kind, *rest in level.get("rules", []):
        if kind == "return":
            status, text = rest
            if status in (301, 302, 307):
                text = "/elsewhere"
            lines.append(f"return {status} {text};" if text else f"return {status};")
        elif kind == "rewrite":
            lines.append(f"rewrite {' '.join(rest)};")
        else:
            header, value, block = rest
            variable = "$http_" + header.lower().replace("-", "_")
            lines += [f"if ({variable} = {value}) {{", *level_text(block), "}"]
    return lines


def location_text(location, places):
    lines = level_text(location)
    if location.get("internal"):
        lines.append("internal;")
    if location.get("auth"):
        lines.append(f"auth_request {location['auth']};")
    if location.get("try_files"):
        lines.append(f"try_files $uri {location['try_files']};")
    if location.get("proxy"):
        proxy = location["proxy"]
        # With a variable, nginx discards the values of others first.
        backend = "$backend" if len(proxy["fields"]) % 2 else f"unix:{places['backend']}"
        lines += [f"proxy_pass http://{backend};", f"proxy_set_header X-Status {proxy['status']};"]
        counts = {}
        for name, value in proxy["fields"]:
            counts[name] = counts.get(name, 0) + 1
            lines.append(f"proxy_set_header X-Set-{name}-{counts[name]} '{value}';")
        if proxy.get("accel"):
            lines.append(f"proxy_set_header X-Set-Accel {proxy['accel']};")
        lines.append(f"proxy_intercept_errors {'on' if proxy.get('intercept') else 'off'};")
    for name, text in (
        ("autoindex", "autoindex on;"), ("deny", "deny all;"), ("recursive", "recursive_error_pages on;"), ("ssi", "ssi on;"), ("gzip", "gzip on; gzip_min_length 1; gzip_types *;"),
        ("sub_filter", "sub_filter e E; sub_filter_types *;"), ("addition", "add_after_body /sub/file.txt; addition_types *;"),
        ("mirror", "mirror /sub/mirror;"),
    ):
        if location.get(name):
            lines.append(text)
    for inner in location.get("locations", []):
        lines += block_text(f"location {inner['match']}", location_text(inner, places))
    return lines


def block_text(name, lines):
    return [name + " {", *("    " + line for line in lines), "}"]


def server_text(server, places, socket):
    lines = [f"listen unix:{socket};", *level_text(server)]
    for location in server["locations"]:
        lines += block_text(f"location {location['match']}", location_text(location, places))
    return block_text("server", lines)


def http_text(http, servers, places):
    """`servers` are pairs of a server and its socket."""
    lines = level_text(http)
    lines.append("root $root;")
    lines += block_text("map $host $root", [f"default {places['root']};"])
    lines += block_text("map $host $backend", [f"default unix:{places['backend']};"])
    values = [f"'{name}' '{value}';" for name, value in model.TENANTS.items()]
    lines += block_text("map $http_x_tenant $tenant", values)
    for server, socket in servers:
        lines += server_text(server, places, socket)
    return "\n".join(lines)


def backend_text(socket):
    lines = [f"listen unix:{socket};"]
    for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
                 "access-control-allow-methods", "Access-Control-Max-Age", "Access-Control-Own", "Vary"):
        for number in (1, 2) if name == "Vary" else (1,):
            lines.append(f"add_header {name} $http_x_set_{name.lower().replace('-', '_')}_{number} always;")
    lines.append("add_header X-Accel-Redirect $http_x_set_accel always;")
    for status in (204, 401, 404, 500):
        lines.append(f"if ($http_x_status = {status}) {{ return {status} answer; }}")
    lines.append("return 200 answer;")
    return "\n".join(block_text("server", lines))
