# SPDX-License-Identifier: Apache-2.0
"""What nginx with the module answers, predicted from docs/directives.md and the documentation of nginx.

A configuration is data: see generate.py, which makes it. Nothing here knows how the module works.
"""

import re
from dataclasses import dataclass, field, replace

ORIGIN_RULES = ("cors_allow_origin", "cors_allow_origin_regex", "cors_allow_origin_file")
PREFIX = "access-control-"
PREFLIGHT_VARY = ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"]
PRIVATE_NETWORK = "Access-Control-Request-Private-Network"
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
LABEL = r"[a-z0-9_-]+"
ORIGIN = re.compile(rf"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:]+\]|{LABEL}(?:\.{LABEL})*\.?)(?::([1-9][0-9]*))?")
DEFAULT_PORTS = {"http": "80", "https": "443"}

# What is on disk, and what map and the files of origins say: generate.py writes the same.
FOLDERS = ["a", "b", "c", "d", "e", "a/n", "b/n", "a/n/m", "err", "sub", "hidden"]
FILES = {f"/{folder}/{name}" for folder in FOLDERS for name in ("file.txt", "page.html", "i/index.html", "d/file.txt")}
DIRECTORIES = {"/"} | {f"/{folder}{name}" for folder in FOLDERS for name in ("", "/i", "/d")}
TENANTS = {
    "one": "https://one.example, https://www.one.example null",
    "two": "https://two.example",
    "star": "*",
    "bad": "a.example https://a.example/ https://three.example",
}
ORIGIN_FILES = {
    "shops.origins": ["https://shop.example", "https://*.partner.example", "http://localhost:*"],
    "more.origins": ["https://more.example", "null"],
}


@dataclass
class Request:
    method: str
    uri: str
    args: str = ""
    headers: list = field(default_factory=list)
    body: int = 0

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def first(self, name):
        return (self.all(name) or [""])[0]

    def arg(self, name):
        for pair in self.args.split("&"):
            key, _, value = pair.partition("=")
            if key == name:
                return value
        return ""


def words(values):
    return [word for value in values for word in re.split(r"[ ,]+", value) if word]


# Whether this nginx joins the fields of a name in $http_ variables.
JOINS_FIELDS = True


def variable(name, request):
    if name == "$tenant":
        return TENANTS.get(request.first("X-Tenant"), "")
    if name.startswith("$http_"):
        values = request.all(name[len("$http_"):].replace("_", "-"))
        return ", ".join(values if JOINS_FIELDS else values[:1])
    return request.arg(name[len("$arg_"):])


# Policies.


@dataclass
class Policy:
    """The settings in effect at a level: the values of the nearest level that sets them."""

    settings: dict
    rules: dict
    own: bool
    # The levels that the origin rules and cors_bypass are set at.
    rules_at: int = 0
    bypass_at: int = 0

    @classmethod
    def of(cls, levels):
        """`levels` are the http block, the server, and the locations from the outermost on."""
        settings, rules, rules_at, bypass_at = {}, {}, 0, 0
        for level in levels:
            here = {}
            for name, *arguments in level.get("cors", []):
                here.setdefault(name, []).extend(arguments)
            if any(name in here for name in ORIGIN_RULES):
                rules, rules_at = {name: here[name] for name in ORIGIN_RULES if name in here}, id(level)
            if "cors_bypass" in here:
                bypass_at = id(level)
            settings.update({name: values for name, values in here.items() if name not in ORIGIN_RULES})
        return cls(settings, rules, any(level.get("cors") for level in levels[2:]), rules_at, bypass_at)

    def on(self, name, default=False):
        return self.settings.get(name, ["on" if default else "off"])[-1] == "on"

    def active(self):
        return self.on("cors", True) and bool(self.rules or self.on("cors_enforce"))

    def status(self, name, default):
        return int(self.settings.get(name, [default])[-1])

    def bypassed(self, request):
        values = (variable(value, request) if value.startswith("$") else value
                  for value in self.settings.get("cors_bypass", []))
        return any(value not in ("", "0") for value in values)

    def any_origin(self):
        return "*" in words(self.rules.get("cors_allow_origin", []))

    def decide(self, request):
        """Access-Control-Allow-Origin for this request: its origin, "*", or None."""
        if self.any_origin():
            return "*"
        origins = request.all("Origin")
        origin = origins[0] if len(origins) == 1 and well_formed(origins[0]) else None
        listed = words(self.rules.get("cors_allow_origin", []))
        for path in self.rules.get("cors_allow_origin_file", []):
            listed = listed + ORIGIN_FILES[path]
        if origin and any(matches(value, origin) for value in listed if not value.startswith("$")):
            return origin
        if origin and origin != "null" and not origin.startswith("file:") and any(
                re.fullmatch(expression, origin) for expression in self.rules.get("cors_allow_origin_regex", [])):
            return origin
        values = [words([variable(name, request)]) for name in listed if name.startswith("$")]
        if ["*"] in values and not self.on("cors_allow_credentials"):
            return "*"
        return origin if origin and any(origin in value for value in values) else None

    def passes(self, request):
        """The rules of cors_enforce."""
        sites, origins = request.all("Sec-Fetch-Site"), request.all("Origin")
        if request.method == "OPTIONS":
            return True
        if not origins and (request.method in ("GET", "HEAD") or not sites):
            return True
        if sites and all(site in ("same-origin", "none") for site in sites):
            return True
        if not sites and len(origins) == 1 and well_formed(origins[0]):
            if origins[0].partition("://")[2] == request.first("Host"):
                return True
        return self.decide(request) is not None


def well_formed(origin):
    if origin in ("null", "file://"):
        return True
    parts = ORIGIN.fullmatch(origin)
    return bool(parts) and (parts[1] not in DEFAULT_PORTS or parts[3] != DEFAULT_PORTS[parts[1]])


def matches(value, origin):
    if "*" not in value:
        return value == origin
    expression = re.escape(value).replace(r"://\*\.", rf"://(?:{LABEL}\.)+").replace(r":\*", r"(?::[0-9]+)?")
    return re.fullmatch(expression, origin) is not None


def is_preflight(request):
    return (request.method == "OPTIONS" and len(request.all("Origin")) == 1
            and len(request.all("Access-Control-Request-Method")) == 1 and request.first("Access-Control-Request-Method") != "")


@dataclass
class Decision:
    """What the first location with a policy has decided."""

    policy: Policy
    request: Request
    bypassed: bool
    passes_on: bool

    def __post_init__(self):
        self.idle = not self.policy.active() or self.bypassed or self.policy.on("cors_dry_run")
        self.preflight = is_preflight(self.request)
        self.allowed = self.policy.decide(self.request)

    def answers(self):
        return self.preflight and not self.idle and not self.passes_on

    def vary(self, written=True):
        """What Vary has to name; a variable with the value * counts only where the module has written that."""
        everyone = self.allowed == "*" if written else self.policy.any_origin()
        values = [] if everyone else list(PREFLIGHT_VARY) if self.preflight else ["Origin"]
        if self.preflight and self.policy.on("cors_allow_private_network"):
            values.append(PRIVATE_NETWORK)
        return values

    def untouched(self, existing):
        """Whether the application's fields stay, with a completed Vary."""
        return not self.policy.on("cors_override", True) and any(name.lower() == "access-control-allow-origin" for name, _ in existing)

    def completed(self, existing, written=False):
        return existing + [("Vary", value) for value in missing(self.vary(written), existing)]

    def fields(self, existing):
        """The fields of a response that would otherwise have `existing`."""
        if self.idle:
            return existing
        if self.preflight and self.passes_on or self.untouched(existing):
            return self.completed(existing)
        kept = [(name, value) for name, value in existing if not name.lower().startswith(PREFIX)]
        return self.completed(kept, True) + self.of_allowed()

    def of_allowed(self):
        if not self.allowed:
            return []
        fields = [("Access-Control-Allow-Origin", self.allowed)]
        if self.policy.on("cors_allow_credentials"):
            fields.append(("Access-Control-Allow-Credentials", "true"))
        if "cors_expose_headers" in self.policy.settings:
            fields.append(("Access-Control-Expose-Headers", ", ".join(words(self.policy.settings["cors_expose_headers"]))))
        return fields

    def answer(self, existing):
        """Status and fields of the answer to a preflight."""
        policy, request = self.policy, self.request
        status = policy.status("cors_preflight_status", 204) if self.allowed else policy.status("cors_reject_status", 403)
        if self.untouched(existing):
            return status, self.completed(existing)
        fields = self.fields(existing)
        if not self.allowed:
            return status, fields
        credentials = policy.on("cors_allow_credentials")
        methods = words(policy.settings.get("cors_allow_methods", ["GET HEAD POST"]))
        if credentials and "*" in methods:
            methods = [method for method in request.all("Access-Control-Request-Method") if TOKEN.fullmatch(method)]
        if methods:
            fields.append(("Access-Control-Allow-Methods", ", ".join(methods)))
        headers = words(policy.settings.get("cors_allow_headers", []))
        if credentials and "*" in headers:
            asked = [name.strip() for value in request.all("Access-Control-Request-Headers") for name in value.split(",") if name.strip()]
            headers = asked if all(TOKEN.fullmatch(name) for name in asked) else []
        if headers:
            fields.append(("Access-Control-Allow-Headers", ", ".join(headers)))
        if "cors_max_age" in policy.settings:
            fields.append(("Access-Control-Max-Age", policy.settings["cors_max_age"][-1]))
        if policy.on("cors_allow_private_network") and request.first(PRIVATE_NETWORK) == "true":
            fields.append(("Access-Control-Allow-Private-Network", "true"))
        return status, fields


def vary_of(fields):
    return [word.lower() for name, value in fields if name.lower() == "vary" for word in words([value])]


def missing(values, existing):
    present = vary_of(existing)
    return [] if "*" in present else [value for value in values if value.lower() not in present]


# nginx.


class Respond(Exception):
    """A response of a content handler: its status may still be that of an error before."""

    def __init__(self, status, fields=()):
        super().__init__(status)
        self.status, self.fields = status, list(fields)


class Fail(Exception):
    """A status that error_page applies to."""


class Go(Exception):
    """An internal redirect or a change of the URI."""

    def __init__(self, uri, again):
        super().__init__(uri)
        self.uri, self.again = uri, again


class Answered(Exception):
    """A response of the module."""

    def __init__(self, status, fields):
        super().__init__(status)
        self.status, self.fields = status, fields


class Passage:
    """The way of one request through nginx."""

    def __init__(self, configuration, request, main=True):
        self.http, self.server = configuration["http"], configuration["server"]
        self.request, self.main = request, main
        self.method, self.uri, self.args = request.method, request.uri, request.args
        self.levels, self.decision = [self.http, self.server], None
        self.internal, self.err_status, self.error_page = not main, 0, False
        self.args_read = {}
        self.length, self.has_read_body = request.body, False
        self.judged = self.passes_on = self.rejected = False
        # nginx ends a request that is redirected more often.
        self.changes = 11

    def run(self):
        """Status and fields."""
        step = self.from_server
        while True:
            try:
                step()
            except Answered as answer:
                return answer.status, answer.fields
            except Respond as response:
                return self.response(response.status, response.fields)
            except Go as go:
                step = self.follow(go)
            except Fail as failure:
                try:
                    self.fail(failure.args[0])
                except Go as go:
                    step = self.follow(go)
                except Respond as response:
                    return self.response(response.status, response.fields)

    @staticmethod
    def cycle():
        raise Fail(500)

    def follow(self, go):
        self.changes -= 1
        if not self.changes:
            return self.cycle
        if go.uri.startswith("@"):
            self.internal = True
            self.levels = [self.http, self.server, self.named(go.uri)]
            return self.in_location
        self.uri, _, args = go.uri.partition("?")
        if go.again:
            self.internal, self.args = True, args
            return self.from_server
        return self.find

    def named(self, name):
        return next(location for location in self.server["locations"] if location["match"] == name)

    def inherited(self, name, default=None):
        """The value at the nearest level that has one."""
        return next((level[name] for level in reversed(self.levels) if level.get(name)), default)

    def response(self, status, fields):
        status = self.err_status or status
        existing = list(fields) + self.added(status)
        if not self.main:
            return status, existing
        if not self.judged:
            # nginx has ended the request before the phases of this location.
            try:
                self.module()
            except Answered as answer:
                return answer.status, answer.fields
        return status, self.decision.fields(existing) if self.decision else existing

    def added(self, status):
        usual = status in (200, 201, 204, 206, 301, 302, 303, 304, 307, 308)
        return [(name, value) for name, value, always in self.inherited("add", []) if usual or always]

    def fail(self, status):
        self.err_status = status
        if not self.error_page and self.changes:
            self.error_page = bool(self.inherited("error_pages")) and not self.inherited("recursive")
            for code, overwrite, target in self.inherited("error_pages", []):
                if code == status:
                    if overwrite is not None:
                        self.err_status = overwrite
                    if target.startswith("http"):
                        self.err_status = overwrite if overwrite in (301, 302, 303, 307, 308) else 302
                        break
                    if target.startswith("/") and self.method != "HEAD":
                        self.method = "GET"
                    raise Go(target, True)
        raise Respond(status)

    # The module.

    def as_read(self, level):
        """The request as it was when the variables of that level were first of interest."""
        return replace(self.request, args=self.args_read.setdefault(level, self.args))

    def bypassed(self, policy):
        return policy.bypassed(self.as_read(policy.bypass_at))

    def read(self):
        """The first location with a policy, or `cors off`: the variables of the server are read too."""
        server = Policy.of([self.http, self.server])
        for level in (server.rules_at, server.bypass_at):
            self.as_read(level)

    def arrive(self):
        """The policy that is in effect in this location; whether it has decided only now."""
        policy = Policy.of(self.levels)
        off = not policy.on("cors", True)
        if self.decision and not policy.own or not (policy.active() or off):
            return False
        if not self.decision:
            self.read()
        if not policy.active():
            self.decision = Decision(policy, self.request, False, False)
            return True
        passes_on = not policy.on("cors_preflight", True)
        if not self.decision:
            self.passes_on = passes_on
        self.decision = Decision(policy, self.as_read(policy.rules_at), self.bypassed(policy), passes_on or self.passes_on)
        return True

    def module(self):
        self.judged = True
        if not self.main:
            return
        decides = self.arrive()
        policy = Policy.of(self.levels)
        if policy.active() and policy.on("cors_enforce") and not (
                self.bypassed(policy) or policy.on("cors_dry_run") or policy.passes(self.as_read(policy.rules_at))):
            rejection = Decision(policy, self.request, False, False)
            rejection.allowed = None
            status = policy.status("cors_reject_status", 403)
            self.rejected = True
            raise Answered(status, rejection.fields(self.added(status)))
        if decides and self.decision.answers():
            status = self.decision.answer([])[0]
            raise Answered(*self.decision.answer(self.added(status)))

    # Phases.

    def discard_body(self):
        """A body that has been read, or that a subrequest shares, keeps its length."""
        if self.main and not self.has_read_body:
            self.length = 0

    def from_server(self):
        self.levels, self.judged = [self.http, self.server], False
        self.rules(self.server.get("rules", []))
        self.find()

    def find(self):
        self.levels, self.judged = [self.http, self.server], False
        redirect = self.search(self.server["locations"])
        if self.inherited("internal") and not self.internal:
            raise Fail(404)
        if self.length > self.inherited("max_body", 1 << 20):
            self.discard_body()
            raise Fail(413)
        if redirect:
            raise Fail(301)
        self.in_location()

    def search(self, locations):
        """Puts the locations that the URI is in on the levels; whether nginx redirects to the URI with a slash."""
        best = None
        for location in locations:
            match = location["match"]
            if match == "= " + self.uri:
                self.levels.append(location)
                return False
            if match == self.uri + "/" and location.get("proxy"):
                self.levels.append(location)
                return True
            if match.startswith("/") and self.uri.startswith(match) and (best is None or len(match) > len(best["match"])):
                best = location
        depth = len(self.levels)
        if best:
            self.levels.append(best)
            if self.search(best.get("locations", [])) or self.levels[-1]["match"].startswith("= "):
                return self.levels[-1]["match"] != "= " + self.uri
        for location in locations:
            if location["match"].startswith("~ ") and re.search(location["match"][2:], self.uri):
                self.levels[depth:] = [location]
                return False
        return False

    def in_location(self):
        self.module()
        if len(self.levels) > 2:
            self.rules(self.levels[-1].get("rules", []))
        self.access()
        self.has_read_body |= bool(self.inherited("mirror"))
        if "match" in self.levels[-1]:
            # "if" does not inherit it.
            self.try_files(self.levels[-1].get("try_files"))
        proxy = next((level.get("proxy") for level in reversed(self.levels) if "match" in level), None)
        if proxy:
            self.proxy(proxy)
        self.static()

    def rules(self, rules):
        """Whether a rewrite has ended them."""
        for kind, *rest in rules:
            if kind == "return":
                status, text = rest
                if status < 400 or text:
                    self.discard_body()
                if status < 300 or status >= 400 and text:
                    raise Respond(status)
                raise Fail(status)
            if kind == "rewrite":
                pattern, replacement, flag = rest
                found = re.search(pattern, self.uri)
                if found:
                    target = replacement.replace("$1", found[1])
                    if flag in ("redirect", "permanent"):
                        raise Fail(302 if flag == "redirect" else 301)
                    self.internal = True
                    if flag == "last" and len(self.levels) > 2:
                        raise Go(target, False)
                    self.uri = target
                    return True
            if kind == "if":
                header, value, block = rest
                if self.request.first(header) == value:
                    if len(self.levels) > 2:
                        # The last of several takes effect.
                        self.levels = [level for level in self.levels if not level.get("if")] + [block | {"if": True}]
                    if self.rules(block.get("rules", [])):
                        return True
        return False

    def access(self):
        if self.inherited("deny") and self.main:
            raise Fail(403)
        target = self.inherited("auth")
        if target and self.main:
            status, _ = Passage({"http": self.http, "server": self.server}, self.subrequest(target), main=False).run()
            if status in (401, 403):
                raise Fail(status)
            if not 200 <= status < 300:
                raise Fail(500)

    def subrequest(self, uri):
        return Request("GET", uri, "", self.request.headers, self.length)

    def try_files(self, tries):
        if not tries:
            return
        if self.uri in FILES:
            return
        if tries.startswith("="):
            raise Fail(int(tries[1:]))
        raise Go(tries, True)

    def proxy(self, proxy):
        self.has_read_body = True
        if proxy["status"] >= 300 and proxy.get("intercept"):
            if any(code == proxy["status"] for code, _, _ in self.inherited("error_pages", [])):
                raise Fail(proxy["status"])
        if proxy.get("accel"):
            if self.method != "HEAD":
                self.method = "GET"
            raise Go(proxy["accel"], True)
        raise Respond(proxy["status"], proxy["fields"])

    def static(self):
        reading = self.method in ("GET", "HEAD")
        if self.uri.endswith("/"):
            if reading or self.method == "POST":
                if self.uri + "index.html" in FILES:
                    raise Go(self.uri + "index.html", True)
                if self.uri.rstrip("/") not in DIRECTORIES and self.uri != "/":
                    raise Fail(404)
                if reading and self.inherited("autoindex"):
                    raise Respond(200)
                raise Fail(403)
            raise Fail(405)
        if not reading and self.method != "POST":
            raise Fail(405)
        if self.uri in DIRECTORIES:
            raise Fail(301)
        if self.uri not in FILES:
            raise Fail(404)
        if self.method == "POST":
            raise Fail(405)
        raise Respond(200)
