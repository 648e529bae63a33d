# SPDX-License-Identifier: Apache-2.0
"""Reloads and upgrades under steady load: no request fails, no memory is kept, and the module can come, go and change."""

import argparse
import functools
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import sys
import time

from nginx import Nginx, Report, free_port, memory, status_of, wait_for

ORIGINS, EXPRESSIONS = 1000, 100
LIMIT = 1024


def policy():
    lines = [f"cors_allow_origin https://tenant-{n}.example.com;" for n in range(ORIGINS)]
    lines += [rf"cors_allow_origin_regex ^https://pr-\d+\.t{n}\.example\.dev$;" for n in range(EXPRESSIONS)]
    return "\n".join([*lines, "cors_allow_methods GET PUT;", "cors_allow_headers X-Own;"])


def configuration(module, port, rules, version):
    load = f"load_module {module};" if module else ""
    zone, report = ("cors_zone cors:1m;", "location = /report { cors_report json; }") if module else ("", "")
    return f"{load}\nworker_processes 2;", f"""
{zone}
server {{
    listen 127.0.0.1:{port} backlog=4096;
    {report}
    location / {{
        {rules}
        add_header X-Version {version};
        return 200 ok;
    }}
}}"""


# The load.


class Connection:
    """A connection that is used again. Where nginx has closed it in between, the request is sent once more, as browsers do."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def exchange(self, request):
        for _ in range(2):
            fresh = not self.socket
            if fresh:
                self.socket = socket.create_connection(("127.0.0.1", self.port), 10)
            try:
                self.socket.sendall(request)
                answer = self.read()
                if answer or fresh:
                    return answer
            except ConnectionError:
                if fresh:
                    raise
            self.close()
        raise ConnectionError("closed twice")

    def read(self):
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self.socket.recv(65536)
            if not data:
                return answer
            answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += self.socket.recv(65536)
        if b"\r\nConnection: close" in head:
            self.close()
        return answer

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None


def request(method, origin, close):
    asked = "Access-Control-Request-Method: PUT\r\n" if method == "OPTIONS" else ""
    end = "Connection: close\r\n" if close else ""
    return f"{method} / HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n{asked}{end}\r\n".encode()


def load(port, stop, without, results, sent_by_all, answered_by_all):
    """Sends requests until `stop`; while `without` is set, the module may or may not be there."""
    rng, sent, wrong = random.Random(os.getpid()), 0, []
    kept = Connection(port)
    while not stop.is_set():
        kind = rng.randrange(4)
        origin = [
            f"https://tenant-{rng.randrange(ORIGINS)}.example.com",
            f"https://pr-{rng.randrange(1000)}.t{rng.randrange(EXPRESSIONS)}.example.dev",
            "https://evil.example",
            f"https://tenant-{rng.randrange(ORIGINS)}.example.com",
        ][kind]
        method = "OPTIONS" if kind == 3 else "GET"
        close = rng.random() < 0.5
        loose = without.is_set()
        add(sent_by_all)
        try:
            answer = (Connection(port) if close else kept).exchange(request(method, origin, close))
        except OSError as error:
            answer = repr(error).encode()
        add(answered_by_all)
        sent += 1
        code = b"204" if method == "OPTIONS" else b"200"
        granted = f"Access-Control-Allow-Origin: {origin}\r\n".encode() in answer
        right = answer.startswith(b"HTTP/1.1 " + code) and granted == (kind != 2)
        if loose or without.is_set():
            right = answer.startswith(b"HTTP/1.1 20")
        if not right:
            wrong.append(f"{method} {origin}: {answer[:300]}")
        time.sleep(0.002)
    results.put((sent, wrong[:5], len(wrong)))


def add(number):
    with number.get_lock():
        number.value += 1


# The tests.


class Count:
    """What the zone counts from now on, beside what the clients send."""

    def __init__(self, port, sent, answered):
        self.port, self.sent, self.answered = port, sent, answered
        self.answered_before = answered.value
        self.before = self.counted()
        self.sent_before = sent.value

    def is_exact(self):
        """A request is counted after it is sent and before it is answered: the clients' last ones may be on their way."""
        answered = self.answered.value - self.sent_before
        counted = self.counted() - self.before
        sent = self.sent.value - self.answered_before
        return answered <= counted <= sent, f"counted {counted} of {answered} to {sent} requests"

    def counted(self):
        answer = Connection(self.port).exchange(b"GET /report HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        policies = json.loads(answer.partition(b"\r\n\r\n")[2])["policies"]
        return sum(sum(policy["requests"].values()) for policy in policies)


def mapped(pid, folder):
    """The files of modules that a process has mapped, and how many times each."""
    lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {(line.split()[4], line.split(None, 5)[5]) for line in lines if str(folder) in line and ".so" in line}


def answers(port, origin="https://tenant-1.example.com"):
    try:
        return Connection(port).exchange(request("GET", origin, True))
    except OSError as error:
        return repr(error).encode()


def repeat(report, nginx, reloads, count):
    first = min(50, reloads * 2 // 5)
    samples, slow = [], 0
    for number in range(reloads):
        master = nginx.master()
        slow += not nginx.reload()
        # Old workers go when their requests are done; what they had is no part of what is measured.
        wait_for(lambda: len(children(master)) == 2, 30)
        samples.append((memory(master), statistics.mean(memory(pid) for pid in nginx.workers())))
        if number % 50 == 49:
            report.note(f"{number + 1} reloads: master {samples[-1][0]} KiB, a worker {samples[-1][1]:.0f} KiB")
    report.ok(not slow, f"{reloads} reloads, each with new workers")
    report.ok(*count.is_exact())
    few = max(3, (reloads - first) // 10)
    for what, at in (("master", 0), ("worker", 1)):
        before = statistics.median(sample[at] for sample in samples[first:first + few])
        after = statistics.median(sample[at] for sample in samples[-few:])
        text = f"{before:.0f} KiB at reload {first}, {after:.0f} KiB at {reloads}"
        report.ok(after - before < LIMIT, f"memory of the {what} is flat: {text}", text)


def children(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []


def come_and_go(report, nginx, port, module, without):
    without.set()
    gone = back = 0
    for number in range(3):
        nginx.configure(configuration(None, port, "", f"without-{number}"))
        nginx.reload()
        gone += wait_for(lambda: not mapped(nginx.master(), module.parent), 30) and \
            b"Access-Control" not in answers(port)
        nginx.configure(configuration(module, port, policy(), f"with-{number}"))
        nginx.reload()
        back += b"Access-Control-Allow-Origin: https://tenant-1.example.com\r\n" in answers(port)
    wait_for(lambda: len(children(nginx.master())) == 2, 30)
    without.clear()
    report.ok(gone == 3, "without load_module the module leaves the process", gone)
    report.ok(back == 3, "with load_module it is back", back)


def replace(report, nginx, port, module, builds):
    """The system's linker knows a library by its path: while one is loaded, a new file in its place is not looked at."""
    right, inode = 0, inodes(nginx, module)
    for number in range(4):
        put(builds[number % 2], module)
        nginx.reload()
        right += inodes(nginx, module) == inode and b"Access-Control-Allow-Origin: https://tenant-1" in answers(port)
    report.ok(right == 4, "a replaced file changes nothing until nginx is started anew", right)

    right = 0
    for number in range(4):
        another = module.with_name(f"cors-{number}.so")
        put(builds[number % 2], another)
        nginx.configure(configuration(another, port, policy(), f"another-{number}"))
        nginx.reload()
        wanted = {str(another.stat().st_ino)}
        right += wait_for(lambda: inodes(nginx, module) == wanted, 30) and \
            b"Access-Control-Allow-Origin: https://tenant-1" in answers(port)
    report.ok(right == 4, "a build under another name takes the place of the one before", right)
    nginx.configure(configuration(module, port, policy(), "again"))
    nginx.reload()


def put(build, path):
    shutil.copy(build, f"{path}.new")
    os.replace(f"{path}.new", path)


def inodes(nginx, module):
    return {inode for inode, _ in mapped(nginx.master(), module.parent)}


def broken(report, nginx, port, module):
    before = nginx.workers()
    nginx.configure(configuration(module, port, policy() + "\ncors_allow_origin example.com;", "broken"))
    os.kill(nginx.master(), signal.SIGHUP)
    said = wait_for(lambda: "example.com" in nginx.log() and "[emerg]" in nginx.log(), 20)
    report.ok(said, "a broken configuration is logged")
    time.sleep(0.5)
    report.ok(nginx.workers() == before, "and changes nothing")
    nginx.configure(configuration(module, port, policy(), "mended"))
    report.ok(nginx.reload() and b"X-Version: mended" in answers(port), "until it is mended")


def upgrade(report, nginx, port, module, count):
    old, before = nginx.master(), count()
    os.kill(old, signal.SIGUSR2)
    started = wait_for(lambda: (nginx.folder / "nginx.pid.oldbin").exists() and (nginx.folder / "nginx.pid").exists()
                       and nginx.master() != old and len(nginx.workers()) == 2, 30)
    report.ok(started, "USR2 starts a new master")
    os.kill(old, signal.SIGWINCH)
    report.ok(wait_for(lambda: not nginx.workers(old), 30), "WINCH ends the old one's workers")
    os.kill(old, signal.SIGQUIT)
    report.ok(wait_for(lambda: status_of(old, "State") in (None, "Z"), 30), "QUIT ends it")
    report.ok(b"Access-Control-Allow-Origin: https://tenant-1" in answers(port), "the new one serves")
    report.ok(inodes(nginx, module) == {str(module.stat().st_ino)}, "with the module that is on disk")
    new = count()
    since = new.sent.value - before.answered_before
    report.ok(10 < before.before and new.before <= since, "its zone counts anew", f"{before.before}, then {new.before} of {since}")
    time.sleep(1)
    report.ok(*new.is_exact())


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--nginx", required=True)
    arguments.add_argument("--module", required=True)
    arguments.add_argument("--other-module", required=True)
    arguments.add_argument("--reloads", type=int, default=20)
    arguments = arguments.parse_args()

    report, nginx = Report(), Nginx(os.path.abspath(arguments.nginx), daemon=True)
    port = free_port()
    module = nginx.folder / "modules" / "ngx_http_cors_module.so"
    module.parent.mkdir()
    shutil.copy(arguments.module, module)
    nginx.configure(configuration(module, port, policy(), "first"))
    stop, without, results = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    sent, answered = multiprocessing.Value("Q"), multiprocessing.Value("Q")
    clients = [
        multiprocessing.Process(target=load, args=(port, stop, without, results, sent, answered)) for _ in range(2)
    ]
    count = functools.partial(Count, port, sent, answered)
    try:
        nginx.start()
        for client in clients:
            client.start()
        repeat(report, nginx, arguments.reloads, count())
        come_and_go(report, nginx, port, module, without)
        replace(report, nginx, port, module, (arguments.other_module, arguments.module))
        broken(report, nginx, port, module)
        upgrade(report, nginx, port, module, count)
        stop.set()
        counts = [results.get(timeout=30) for _ in clients]
        requests, failed = sum(result[0] for result in counts), sum(result[2] for result in counts)
        examples = "\n".join(example for result in counts for example in result[1])
        report.ok(failed == 0, f"{requests} requests in the meantime, {failed} of them failed", examples)
        bad = [line for line in nginx.log().split("\n") if "[alert]" in line or "exited on signal" in line]
        report.ok(not bad, "no alerts", "\n".join(bad[:10]))
    finally:
        stop.set()
        nginx.stop()
        for client in clients:
            if client.pid:
                client.join(20)
                if client.is_alive():
                    client.kill()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
