# SPDX-License-Identifier: Apache-2.0
"""envoy.py --command CORS --nginx NGINX --module MODULE --envoy ENVOY [--seed N] [--configurations N]

Converts random configurations of Envoy with `cors convert`, and sends the same requests to Envoy and to nginx. nginx must allow no
origin that Envoy does not allow, with the same fields, and must pass no request elsewhere. Where it allows less, the command must
have said so."""

import argparse
import collections
import contextlib
import fnmatch
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../apps"))

import harness
from harness import check, free_port, only, tokens

API = "type.googleapis.com/envoy.extensions.filters"
CLUSTERS = ("one", "two", "three")
DOMAINS = ("a.test", "b.test", "x.a.test", "a-x.test", "*", "*.test", "*.a.test", "*-x.test", "a.*", "a-*")
HOSTS = ("a.test", "b.test", "x.a.test", "y.x.a.test", "a-x.test", "b-x.test", "a.example", "a-b.example", "other.example")
PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/A", "/b", "/b.c")
EXPRESSIONS = ("/a", "/a.*", "/a/b?", "/[ab]/?", "/(a|b)/.*", "/.*", "/a|/b", "/b.c")
ORIGINS = ("https://a.example", "https://b.example", "https://x.b.example", "https://a.example.evil.test", "http://a.example", "null")
REQUESTS = 40
METHODS, EXPOSED = ("PUT", "X-OWN"), ("x-c", "x-d", "x-other")


def policy(random):
    matchers = [{"exact": "https://a.example"}, {"exact": "https://b.example"}, {"exact": "*"}, {"suffix": ".b.example"},
                {"prefix": "https://a.example"}, {"safe_regex": {"regex": r"https://.*\.b\.example"}},
                {"safe_regex": {"regex": "https://[ab]\\.example"}}]
    made = {"@type": f"{API}.http.cors.v3.CorsPolicy"}
    if random.random() < 0.9:
        made["allow_origin_string_match"] = random.sample(matchers, random.choice((1, 1, 2)))
    for name, values in (("allow_credentials", (True, False)), ("allow_methods", ("GET, PUT", "PUT,DELETE", "*", "*, PUT")),
                         ("allow_headers", ("x-a, x-b", "*", "x-a, *")), ("expose_headers", ("x-c", "x-c, x-d", "*", "x-c, *")), ("max_age", ("60", "600"))):
        if random.random() < 0.4:
            made[name] = random.choice(values)
    if random.random() < 0.1:
        made["filter_enabled"] = {"default_value": {"numerator": random.choice((0, 1, 100)), "denominator": random.choice(("HUNDRED", "TEN_THOUSAND"))}}
        # Chance would decide.
        if made["filter_enabled"]["default_value"] in ({"numerator": n, "denominator": "TEN_THOUSAND"} for n in (1, 100)):
            made["filter_enabled"]["default_value"]["numerator"] = 10000
        if made["filter_enabled"]["default_value"] == {"numerator": 1, "denominator": "HUNDRED"}:
            made["filter_enabled"]["default_value"]["numerator"] = 0
    return made


def settings(random, share):
    """With a policy, or the filter disabled, or nothing."""
    if random.random() >= share:
        return {}
    if random.random() < 0.15:
        config = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True, "config": {"@type": f"{API}.http.cors.v3.CorsPolicy"}}
    else:
        config = policy(random)
    return {"typed_per_filter_config": {"envoy.filters.http.cors": config}}


def match(random):
    kind = random.choice(("prefix", "prefix", "prefix", "prefix", "path", "path_separated_prefix", "safe_regex"))
    path = random.choice(PATHS)
    if kind == "safe_regex":
        made = {kind: {"regex": random.choice(EXPRESSIONS)}}
    elif kind == "path_separated_prefix":
        made = {kind: path.rstrip("/") or "/a"}
    else:
        made = {kind: path}
    if random.random() < 0.1 and kind != "safe_regex":
        made["case_sensitive"] = False
    if random.random() < 0.15:
        made["headers"] = [{"name": "x-kind", "string_match": {"exact": "1"}}]
    return made


def route(random):
    made = {"match": match(random), **settings(random, 0.8)}
    kind = random.random()
    if kind < 0.06:
        made["redirect"] = {"host_redirect": "elsewhere.test"}
    elif kind < 0.12:
        made["direct_response"] = {"status": 200, "body": {"inline_string": "direct\n"}}
    elif kind < 0.18:
        made["route"] = {"weighted_clusters": {"clusters": [{"name": name, "weight": 1} for name in CLUSTERS[:2]]}}
    else:
        made["route"] = {"cluster": random.choice(CLUSTERS)}
    return made


def configuration(seed):
    """The virtual hosts, and what is around them."""
    chance = random.Random(seed)
    domains = list(DOMAINS)
    chance.shuffle(domains)
    hosts = []
    for number in range(chance.choice((1, 1, 2, 3))):
        own = [domains.pop() for _ in range(chance.choice((1, 1, 2)))]
        routes = [route(chance) for _ in range(chance.choice((1, 2, 3, 4)))]
        hosts.append({"name": f"h{number}", "domains": own, "routes": routes, **settings(chance, 0.3)})
    return {"name": "r", "virtual_hosts": hosts, **settings(chance, 0.15)}


def listener(address, routes):
    manager = {
        "@type": f"{API}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "s", "route_config": routes,
        "http_filters": [{"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{API}.http.{name}.v3.{kind}"}}
                         for name, kind in (("cors", "Cors"), ("router", "Router"))],
    }
    return {"address": address, "filter_chains": [{"filters": [{"name": "m", "typed_config": manager}]}]}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port):
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def converted(args, routes):
    """What the command prints, the codes of what it has left out, and those of what is different."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(routes, file)
        file.flush()
        ran = subprocess.run([args.command, "convert", "--json", file.name], capture_output=True, text=True, timeout=20)
    if not ran.stdout and ("there are no" in ran.stderr or "neither" in ran.stderr):
        return "", {"nothing"}, set()
    made = json.loads(ran.stdout)
    left, different = ({note["code"] for note in made[name]} for name in ("not_carried_over", "different"))
    return made["files"][0]["text"], left, different


def servers(path, text):
    """The servers that the comments above the locations name, in their order, on the socket of this path."""
    found = {None: ""}
    host = None
    for line in text.splitlines():
        comment = re.fullmatch("# (.*)", line)
        host = comment[1] if comment else host
        found[host] = found.get(host, "") + ("" if comment else line + "\n")
        host = None if line == "}" else host
    default = f"server {{ listen unix:{path} default_server; server_name _; {found.pop(None)} }}\n"
    return default + "".join(f"server {{ listen unix:{path}; server_name {host}; {locations} }}\n" for host, locations in found.items())


class Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.send_response(200)
        self.send_header("X-Cluster", self.server.cluster)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_OPTIONS = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def applications():
    made = {}
    for name in CLUSTERS:
        made[name] = ThreadingHTTPServer(("127.0.0.1", 0), Application)
        made[name].cluster, made[name].daemon_threads = name, True
        threading.Thread(target=made[name].serve_forever, daemon=True).start()
    try:
        yield {name: server.server_address[1] for name, server in made.items()}
    finally:
        for server in made.values():
            server.shutdown()
            server.server_close()


class Client:
    """A connection to the socket of this path."""

    def __init__(self, path):
        self.connection = http.client.HTTPConnection("localhost", timeout=20)
        self.connection.sock = socket.socket(socket.AF_UNIX)
        self.connection.sock.connect(path)

    def send(self, method, path, fields):
        self.connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in fields:
            self.connection.putheader(name, value)
        self.connection.endheaders()
        response = self.connection.getresponse()
        response.read()
        return response.status, response.getheaders()


def requests(chance, routes):
    """Mostly such as are allowed."""
    domains = [domain for host in routes["virtual_hosts"] for domain in host["domains"]]
    known = [host for host in HOSTS if any(fnmatch.fnmatchcase(host, domain) for domain in domains)] or HOSTS
    for _ in range(REQUESTS):
        host = chance.choice(known if chance.random() < 0.9 else HOSTS)
        origin = chance.choice(ORIGINS[:3] if chance.random() < 0.8 else ORIGINS)
        path = chance.choice((*PATHS, "/a/bc", "/B", "/other"))
        fields = [("Host", host), ("Origin", origin)]
        if chance.random() < 0.15:
            fields.append(("X-Kind", "1"))
        if chance.random() < 0.3:
            asked = [("Access-Control-Request-Method", chance.choice(METHODS))]
            if chance.random() < 0.7:
                asked.append(("Access-Control-Request-Headers", chance.choice(("x-a", "x-a,x-b", "x-other", "authorization,x-a"))))
            yield "OPTIONS", path, fields + asked
        else:
            yield "GET", path, fields


def granted(method, fields, headers):
    """What an answer lets a script do: https://fetch.spec.whatwg.org/#cors-preflight-fetch"""
    if only(headers, "access-control-allow-origin") is None:
        return None
    credentials = only(headers, "access-control-allow-credentials")
    found = {"credentials": credentials}
    wanted = {"access-control-expose-headers": EXPOSED}
    if method == "OPTIONS":
        wanted = {f"access-control-allow-{name}s": tokens(fields, f"access-control-request-{name}{s}") for name, s in (("method", ""), ("header", "s"))}
        found["max-age"] = only(headers, "access-control-max-age")
    for name, values in wanted.items():
        list = tokens(headers, name)
        is_any = "*" in list and not credentials
        found[name] = [value for value in values if value in list or (is_any and value != "authorization")]
    return found


def judge(method, fields, has_wildcard, envoy, nginx):
    """What is wrong, and whether it is that nginx allows less."""
    (old_status, old), (status, new) = envoy, nginx
    was, now = granted(method, fields, old), granted(method, fields, new)
    if now and only(new, "access-control-allow-origin") not in ("*", only(fields, "origin")):
        yield "the origin in the answer is not that of the request", False
    if now and not was:
        yield "nginx allows what Envoy does not", False
    elif was and not now:
        yield "nginx does not allow it", True
    elif now and was != now and not (has_wildcard and was["credentials"]):
        yield f"Envoy allows {was}, and nginx {now}", False
    clusters = only(old, "x-cluster"), only(new, "x-cluster")
    if clusters[1] and clusters[0] != clusters[1] and method != "OPTIONS":
        yield f"nginx passes to {clusters[1]}, Envoy to {clusters[0]}", False
    if status in (301, 302) and old_status != status:
        yield "nginx redirects the request", False


def compare(args, seeds, counts):
    """What is wrong with the answers for some seeds."""
    made = [configuration(seed) for seed in seeds]
    outputs = [converted(args, routes) for routes in made]
    with applications() as upstreams, tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        sockets = [(f"{directory}/{seed}.envoy", f"{directory}/{seed}.nginx") for seed in seeds]
        old_port, new_port = free_port(), free_port()
        listeners = [listener({"pipe": {"path": old}}, routes) for (old, _), routes in zip(sockets, made)]
        # The harness waits for a port: that of the last one.
        resources = {"listeners": [*listeners, listener(address(old_port), made[0])],
                     "clusters": [cluster(name, port) for name, port in upstreams.items()]}
        with open(f"{directory}/envoy.json", "w") as file:
            json.dump({"static_resources": resources}, file)
        http = f"server_names_hash_bucket_size 128; server {{ listen 127.0.0.1:{new_port}; }}\n"
        http += "".join(f"upstream {name} {{ server 127.0.0.1:{port}; }}\n" for name, port in upstreams.items())
        http += "".join(servers(new, text) for (_, new), (text, *_) in zip(sockets, outputs))
        command = [args.envoy, "--config-path", f"{directory}/envoy.json", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        with harness.running(command, old_port), harness.nginx(args, http):
            for seed, routes, (old, new), (_, left, different) in zip(seeds, made, sockets, outputs):
                envoy, nginx = Client(old), Client(new)
                for method, path, fields in requests(random.Random(seed), routes):
                    counts["requests"] += 1
                    answers = envoy.send(method, path, fields), nginx.send(method, path, fields)
                    counts["allowed by both"] += all(granted(method, fields, headers) for _, headers in answers)
                    for what, is_less in judge(method, fields, "wildcard" in different, *answers):
                        counts["allowed by Envoy alone, as the command says"] += is_less and bool(left)
                        if not (is_less and left):
                            yield f"seed {seed}: {method} {path} {fields}: {what}; left out: {sorted(left)}"


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--nginx", "--module", "--envoy"):
        parser.add_argument(option, required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--configurations", type=int, default=200)
    args = parser.parse_args()
    print(f"The first seed is {args.seed}")
    counts = collections.Counter()
    wrong = []
    end = args.seed + args.configurations
    # Each has a socket of its own in nginx, which has 512 connections.
    for start in range(args.seed, end, 100):
        wrong += compare(args, range(start, min(start + 100, end)), counts)
    print(*wrong[:20], sep="\n")
    check(f"nginx answers as Envoy: {dict(counts)}", len(wrong), 0)
    check("many requests are allowed", counts["allowed by both"] * 20 > counts["requests"], True)
    harness.finish()


if __name__ == "__main__":
    main()
