# SPDX-License-Identifier: Apache-2.0
"""kubernetes.py --command CORS --nginx NGINX --module MODULE [--seed N] [--files N]

Converts random Ingresses and HTTPRoutes with `cors convert`, good and bad ones, and has nginx load what they become. There is no
Kubernetes here: what the routes mean is tested in cli/src/convert."""

import argparse
import json
import random
import tempfile

from envoy import converted, servers
from harness import check, finish, free_port, nginx

PREFIX = "nginx.ingress.kubernetes.io/"
ORIGINS = ("*", "https://a.example", "https://*.b.example, http://c.example:8080", "https://a.example, *", "null, https://a.example",
           "http://*.com", "https://a.example:443", "https://a.example/", "http*://x.example", "https://*", "https://a.example:*",
           "chrome-extension://abc", "https://a.example,https://a.example", "")
METHODS = ("*", "GET, PUT", "get, put", "PUT,*", "TRACE", "")
HEADERS = ("*", "x-a, x-b", "X-A,*,Authorization", "DNT", "a b;c", "")
EXPOSED = ("*", "x-a,*", "Set-Cookie", "x-c")
TIMES = ("600", "-1", "99999999", "abc", "0", "1.5")
FLAGS = ("true", "false", "x")
PATHS = ("/", "/a", "/a/", "/a/b", "/a(/|$)(.*)", "/a{1,2}", "/v[0-9]+", "/(a|b)", "/a b", "/a;b", '/"x"', "/a'b", r"/a\.b", "/a.*", "/%41", "/a//b",
         "/#x", "/\u00fc", "/a$", "/$x", "/(?i)a", "/a(?=b)", "/[", "/a\\", "a", "")
HOSTS = ("a.test", "b.test", "*.a.test", "*.test", "A.test", "a_b.test", "a b", "\u00fc.test", "~^x$", "*")
SERVICES = ("localhost", "127.0.0.1", "bad name")


def some(chance, values, share=0.6):
    """Some of the fields, each with one of its values."""
    return {name: chance.choice(options) for name, options in values.items() if chance.random() < share}


def ingress(chance):
    policy = {"cors-allow-origin": ORIGINS, "cors-allow-methods": METHODS, "cors-allow-headers": HEADERS, "cors-expose-headers": EXPOSED,
              "cors-max-age": TIMES, "cors-allow-credentials": FLAGS}
    others = {"use-regex": FLAGS, "rewrite-target": ("/$1", "/", "/a b"), "backend-protocol": ("HTTPS", "GRPC", "X"),
              "server-alias": ("b.test", r"~^x\d+\.test$", "~^(a|b){2}\\.test$, c.test", "bad host", "*.q.test")}
    annotations = some(chance, {"enable-cors": ("true", "true", "false", "1")}, 0.8) | some(chance, policy) | some(chance, others, 0.15)

    def backend():
        return {"service": {"name": chance.choice(SERVICES), "port": chance.choice(({"number": 80}, {"name": "http"}))}}

    rules = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        paths = [{"path": chance.choice(PATHS), "pathType": chance.choice(("Prefix", "Exact", "ImplementationSpecific")), "backend": backend()}
                 for _ in range(chance.choice((0, 1, 2, 3)))]
        rules.append({"http": {"paths": paths}} | some(chance, {"host": HOSTS}, 0.8))
    spec = {"rules": rules} | ({"defaultBackend": backend()} if chance.random() < 0.2 else {})
    return {"kind": "Ingress", "metadata": {"annotations": {PREFIX + name: value for name, value in annotations.items()}}, "spec": spec}


def route(chance):
    policy = {name: [values.split(",") for values in options] for name, options in
              (("allowOrigins", ORIGINS), ("allowMethods", METHODS), ("allowHeaders", HEADERS), ("exposeHeaders", EXPOSED))}
    policy |= {"maxAge": TIMES, "allowCredentials": (True, False)}

    def match():
        path = {"type": chance.choice(("PathPrefix", "Exact", "RegularExpression")), "value": chance.choice(PATHS)}
        return {"path": path} | some(chance, {"headers": [[{"name": "x", "value": "1"}]], "method": ("POST",)}, 0.15)

    rules = []
    for _ in range(chance.choice((1, 2, 3))):
        filters = [{"type": "CORS", "cors": some(chance, policy)}] if chance.random() < 0.6 else []
        backends = [{"name": chance.choice(SERVICES), "port": 80} for _ in range(chance.choice((0, 1, 1, 2)))]
        rules.append({"matches": [match() for _ in range(chance.choice((0, 1, 2)))], "filters": filters, "backendRefs": backends})
    return {"kind": "HTTPRoute", "spec": {"rules": rules, "hostnames": chance.sample(HOSTS, chance.choice((0, 1, 2)))}}


def load(args, seeds):
    """How many of the files for some seeds have policies, and what nginx says of what they become."""
    found, port = 0, free_port()
    blocks = f"server {{ listen 127.0.0.1:{port}; }}\nserver_names_hash_bucket_size 128;\n"
    with tempfile.TemporaryDirectory() as directory:
        for seed in seeds:
            chance = random.Random(seed)
            make = chance.choice((ingress, route))
            documents = [make(chance) for _ in range(chance.choice((1, 1, 2, 3)))]
            text, *_ = converted(args, {"kind": "List", "items": documents})
            found += "cors_allow_origin" in text
            blocks += f"# Seed {seed}\n{servers(f'{directory}/{seed}', text)}"
        try:
            with nginx(args, blocks):
                return found, []
        except RuntimeError as error:
            return found, [line for line in str(error).splitlines() if "[warn]" not in line]


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--nginx", "--module"):
        parser.add_argument(option, required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--files", type=int, default=400)
    args = parser.parse_args()
    print(f"The first seed is {args.seed}")
    end = args.seed + args.files
    # Each has a socket of its own in nginx, which has 512 connections.
    for start in range(args.seed, end, 400):
        seeds = range(start, min(start + 400, end))
        found, wrong = load(args, seeds)
        check(f"nginx loads what {len(seeds)} files become", wrong, [])
        check("many of them have policies", found * 3 > len(seeds), True)
    finish()


if __name__ == "__main__":
    main()
