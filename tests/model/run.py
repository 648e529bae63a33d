# SPDX-License-Identifier: Apache-2.0
"""Compares the answers of an nginx with what model.py predicts, for random configurations and requests.

Each seed gives one http block, with the servers in it and the requests to them. A difference is printed with its seed, and
with the smallest configuration and request that still show it.
"""

import argparse
import contextlib
import copy
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "reliability"))
sys.dont_write_bytecode = True

import generate  # noqa: E402
import model  # noqa: E402
from nginx import Nginx  # noqa: E402

# Those that have failed; a run with a random seed begins with them.
SEEDS = HERE / "seeds"
SERVERS, REQUESTS = 20, 50
FAULT = "NGX_HTTP_CORS_FAULT"
PANICS = ("phase::unlisted", "phase::sent_by", "phase::unless_bypassed", "phase::options", "phase::general_case",
          "filter::among_existing::", "filter::among_existing_for_all", "filter::general_case", "filter::log_denied",
          "filter::unseen")
LISTS = ("access-control-allow-methods", "access-control-allow-headers", "access-control-expose-headers")


class Client:
    """A connection that is kept, and made again where nginx has closed it."""

    def __init__(self, path):
        self.path, self.reader = path, None

    def send(self, request):
        head = [f"{request.method} {request.uri}{'?' + request.args if request.args else ''} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
        if request.body:
            head.append(f"Content-Length: {request.body}")
        if not self.reader:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10)
            self.socket.connect(str(self.path))
            self.reader = self.socket.makefile("rb")
        self.socket.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + b"x" * request.body)
        try:
            return self.read(request.method)
        except (OSError, ValueError, IndexError):
            self.close()
            return None, []

    def read(self, method):
        status = int(self.reader.readline().split()[1])
        fields = []
        while (line := self.reader.readline().decode("latin-1").rstrip("\r\n")):
            name, _, value = line.partition(":")
            fields.append((name, value.strip()))
        known = {name.lower(): value.lower() for name, value in fields}
        if method == "HEAD" or status in (204, 304):
            pass
        elif "chunked" in known.get("transfer-encoding", ""):
            while (size := int(self.reader.readline(), 16)):
                self.reader.read(size + 2)
            self.reader.readline()
        elif "content-length" in known:
            self.reader.read(int(known["content-length"]))
        else:
            self.reader.read()
            known["connection"] = "close"
        if known.get("connection") == "close":
            self.close()
        return status, fields

    def close(self):
        if self.reader:
            self.reader.close()
            self.socket.close()
            self.reader = None


def predict(configuration, request):
    """What is compared, and whether cors_enforce rejects the request."""
    passage = model.Passage(configuration, request)
    return seen(*passage.run()), passage.rejected


def is_worse(prediction, rejected, answer):
    """Whether an answer under a fault allows what it should not."""
    allowed = [line for line in answer if line.startswith("access-control-allow-origin")]
    served = any(line.startswith("status 2") for line in answer)
    return any(line not in prediction for line in allowed) or rejected and served


def seen(status, fields):
    """What is compared of a response."""
    compared = [f"status {status}"]
    for name, value in fields:
        name = name.lower()
        if name in LISTS:
            value = ", ".join(sorted(model.words([value])))
        if name.startswith(model.PREFIX):
            compared.append(f"{name}: {value}")
    compared += [f"vary: {value}" for value in model.vary_of(fields)]
    return sorted(compared)


class Place:
    """A folder with what configurations refer to, and the application behind them, which is an nginx without the module."""

    def __init__(self, options):
        self.options = options
        self.application = Nginx(options.nginx)
        folder = self.application.folder
        self.places = {"root": folder / "root", "backend": folder / "backend"}
        for file in model.FILES:
            path = pathlib.Path(f"{self.places['root']}{file}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('<!--#include virtual="/sub/file.txt" -->' if file.endswith("page.html") else "a file")
        folder.chmod(0o755)
        self.application.configure(("", generate.backend_text(self.places["backend"])))
        self.application.start()

    @contextlib.contextmanager
    def serving(self, http, servers):
        """A client for each server; the nginx that serves is the last value."""
        nginx = Nginx(self.options.nginx, quiet=True)
        try:
            for name, origins in model.ORIGIN_FILES.items():
                (nginx.folder / name).write_text("\n".join(origins) + "\n")
            sockets = [nginx.folder / f"s{number}" for number in range(len(servers))]
            text = generate.http_text(http, list(zip(servers, sockets)), self.places)
            nginx.configure((f"load_module {self.options.module};\nworker_processes 1;", text))
            nginx.start()
            clients = [Client(path) for path in sockets]
            yield clients, nginx
            for client in clients:
                client.close()
        finally:
            nginx.stop()

    def differs(self, configuration, requests):
        """The first difference there is: its number, prediction and answer."""
        predictions = [predict(configuration, request)[0] for request in requests]
        with self.serving(configuration["http"], [configuration["server"]]) as (clients, _):
            for number, (request, prediction) in enumerate(zip(requests, predictions)):
                answer = seen(*clients[0].send(request))
                if answer != prediction:
                    return number, prediction, answer
        return None


def shrink(place, configuration, request):
    """Takes away what the difference does not need."""

    def still(configuration, request):
        try:
            return place.differs(configuration, [request]) is not None
        except Exception:  # what is left is no configuration
            return False

    def parts(node):
        """The parts that may go, each as a way to it."""
        if isinstance(node, dict):
            for key, value in node.items():
                if key not in ("match", "http", "server", "status", "fields"):
                    yield (key,)
                for way in parts(value):
                    yield (key, *way)
        elif isinstance(node, list):
            for number, value in reversed(list(enumerate(node))):
                yield (number,)
                for way in parts(value):
                    yield (number, *way)

    def without(way):
        less = copy.deepcopy(configuration)
        node = less
        for key in way[:-1]:
            node = node[key]
        del node[way[-1]]
        return less

    again = True
    while again:
        again = False
        ways = sorted(parts(configuration), key=len)
        while ways:
            way = ways.pop(0)
            try:
                less = without(way)
            except (KeyError, IndexError):
                continue
            if still(less, request):
                configuration, again = less, True
                ways = [other for other in ways if other[:len(way)] != way]
                if isinstance(way[-1], int):
                    # The parts behind it have moved.
                    ways = [other for other in sorted(parts(configuration), key=len) if len(other) >= len(way)]
    for number in reversed(range(1, len(request.headers))):
        less = copy.deepcopy(request)
        del less.headers[number]
        if still(configuration, less):
            request = less
    return configuration, request


def kept_seeds():
    return [int(line) for line in SEEDS.read_text().split()]


def fault_of(seed):
    """A panic at one entry point, or the failure of one allocation."""
    faults = random.Random(f"fault {seed}")
    return faults.choice([f"panic={faults.choice(PANICS)}", f"request={faults.randint(1, 400)}"])


class Run:
    def __init__(self, options):
        self.place = Place(options)
        self.options = options
        self.requests = self.configurations = self.unlike = 0
        self.differences = []

    def batch(self, seed):
        generator = generate.Generator(random.Random(seed))
        os.environ[FAULT] = fault_of(seed) if self.options.faults else ""
        http = generator.http()
        configurations = [generator.configuration(http) for _ in range(SERVERS)]
        with self.place.serving(http, [configuration["server"] for configuration in configurations]) as (clients, nginx):
            for configuration, client in zip(configurations, clients):
                self.configurations += 1
                for _ in range(REQUESTS):
                    request = generator.request(configuration)
                    prediction, rejected = predict(configuration, request)
                    answer = seen(*client.send(request))
                    self.requests += 1
                    self.unlike += answer != prediction
                    if is_worse(prediction, rejected, answer) if self.options.faults else answer != prediction:
                        self.differences.append((seed, configuration, request, prediction, answer))
                        break
            crashed = [line for line in nginx.log().splitlines() if "exited on signal" in line or "panic" in line and not self.options.faults]
            if crashed:
                self.differences.append((seed, configurations[0], None, [], crashed))

    def tell(self, difference):
        seed, configuration, request, prediction, answer = difference
        if seed not in kept_seeds():
            SEEDS.write_text(SEEDS.read_text() + f"{seed}\n")
        print(f"seed {seed}: a difference{' under ' + fault_of(seed) if self.options.faults else ''}")
        if request and self.options.shrink and not self.options.faults:
            configuration, request = shrink(self.place, configuration, request)
            found = self.place.differs(configuration, [request])
            if found:
                _, prediction, answer = found
        servers = [(configuration["server"], "SOCKET")]
        print(generate.http_text(configuration["http"], servers, {"root": "ROOT", "backend": "BACKEND"}))
        if request:
            print(f"{request.method} {request.uri}?{request.args}, a body of {request.body} bytes")
            for name, value in request.headers:
                print(f"    {name}: {value}")
        for line in prediction:
            print(("    " if line in answer else "  - ") + line)
        for line in answer:
            if line not in prediction:
                print("  + " + line)
        print("as data: " + json.dumps(configuration), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", required=True)
    parser.add_argument("--module", required=True, type=pathlib.Path)
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--seed", type=int, help="the first of the run; without it, a random one")
    parser.add_argument("--faults", action="store_true",
                        help="with the fault-injection build: only what is allowed, and crashes, are differences")
    parser.add_argument("--most", type=int, default=3, help="differences to shrink and print")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false")
    options = parser.parse_args()
    options.module = options.module.resolve()
    version = subprocess.run([options.nginx, "-v"], capture_output=True, text=True, check=True).stderr
    model.JOINS_FIELDS = [int(part) for part in re.findall(r"\d+", version)[:2]] >= [1, 23]
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(10**9)
    kept = kept_seeds() if options.seed is None else []
    print(f"seed {first}", flush=True)
    run = Run(options)
    try:
        for seed in [*kept, *range(first, first + -(-options.configurations // SERVERS))]:
            run.batch(seed)
            if len(run.differences) >= options.most:
                break
        for difference in run.differences[:options.most]:
            run.tell(difference)
        print(f"Model: {run.requests} requests to {run.configurations} configurations from seed {first}, "
              f"{len(run.differences)} differences" + (f", {run.unlike} answers changed by faults" if options.faults else ""),
              flush=True)
    finally:
        run.place.application.stop()
    return 1 if run.differences else 0


if __name__ == "__main__":
    sys.exit(main())
