#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replaces files of origins while requests come, and measures what that costs: tests/reliability/files.py --help.

Prints TAP. Every number is this machine's; what is required of it stands beside it.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from nginx import Report, free_port

PORT = free_port()
BYTES = 30


def contents(number, mark):
    """So many origins of 30 bytes each. `mark` is a letter that no other version has in this place."""
    start, end = f"https://{mark}", ".a.example"
    width = BYTES - len(start) - len(end)
    return "".join(f"{start}{i:0{width}d}{end}\n" for i in range(number))


def first(mark):
    return f"https://{mark}{0:0{BYTES - 9 - 10}d}.a.example"


class Server:
    def __init__(self, nginx, module, number, workers):
        self.dir = tempfile.mkdtemp(prefix="cors-files-")
        os.chmod(self.dir, 0o755)
        self.list = os.path.join(self.dir, "list")
        self.replace(contents(number, "a"))
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w") as file:
            file.write(
                f"load_module {module}; worker_processes {workers}; daemon off; pid {self.dir}/nginx.pid;"
                f"error_log {self.dir}/error.log notice; events {{}} http {{ access_log off; keepalive_requests 1000000;"
                f"server {{ listen 127.0.0.1:{PORT} reuseport; location / {{ cors_allow_origin_file list; return 200 hello; }} }} }}"
            )
        self.process = subprocess.Popen([nginx, "-p", self.dir, "-c", conf, "-e", os.path.join(self.dir, "error.log")])
        self.connection = None
        self.wait("a", 30)

    def replace(self, text):
        with open(self.list + ".new", "w") as file:
            file.write(text)
        os.rename(self.list + ".new", self.list)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", PORT))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def allows(self, origin, connection):
        connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n\r\n".encode())
        response = b""
        while not response.endswith(b"hello"):
            received = connection.recv(65536)
            if not received:
                raise OSError("closed")
            response += received
        return b"Access-Control-Allow-Origin: " + origin.encode() in response

    def wait(self, mark, seconds):
        """Waits until the list with this mark is in force on 16 connections, and returns how long that took."""
        start, good = time.monotonic(), 0
        while time.monotonic() < start + seconds:
            try:
                with self.connect() as connection:
                    good = good + 1 if self.allows(first(mark), connection) else 0
            except OSError:
                good = 0
            if good == 16:
                return time.monotonic() - start
            if good == 0:
                time.sleep(0.01)
        raise TimeoutError(f"{mark} is not in force")

    def changes(self, number, marks):
        """Puts one list after the other in force, and returns how long each took."""
        times = []
        for mark in marks:
            self.replace(contents(number, mark))
            times.append(self.wait(mark, 60))
        return times

    def memory(self):
        """The memory of all processes, in bytes: what they share counts once. The pages of programs and libraries do not count: they
        are divided by all that run the same, so that another nginx that ends is a growth of this one."""
        pids = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout
        total = 0
        for pid in [str(self.process.pid), *pids.split()]:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
        return total * 1024

    def latencies(self, number):
        times = []
        with self.connect() as connection:
            for _ in range(number):
                start = time.perf_counter()
                self.allows("https://nobody.example", connection)
                times.append(time.perf_counter() - start)
        return sorted(times)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        with open(os.path.join(self.dir, "error.log")) as file:
            log = file.read()
        shutil.rmtree(self.dir)
        return [line for line in log.splitlines() if "[error]" in line or "[alert]" in line]


@contextlib.contextmanager
def busy_processors():
    """Two programs for each processor that do nothing but run."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * os.cpu_count())]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", required=True)
    parser.add_argument("--module", required=True)
    parser.add_argument("--origins", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--judge-times", action="store_true", help="require times as well, which takes a quiet machine")
    arguments = parser.parse_args()
    marks = "bcdefghijklmnopqrstuvwxyz"
    report = Report()

    def check_time(is_right, text):
        if arguments.judge_times:
            report.ok(is_right, text)
        else:
            report.note(text)

    def check_log(server, text):
        errors = server.stop()
        report.ok(errors == [], text, "\n".join(errors))

    base = Server(arguments.nginx, arguments.module, 1, 4)
    least = base.memory()
    base.stop()
    for number in (100, 100_000, arguments.origins):
        server = Server(arguments.nginx, arguments.module, number, 4)
        times = server.changes(number, marks[:5])
        check_time(max(times) < 1 + number / 100_000, f"from change to effect, {number:,} origins: {sorted(times)[2]:.2f} s, at most {max(times):.2f} s")
        if number == 100_000:
            with busy_processors():
                times = server.changes(number, marks[5:8])
            check_time(max(times) < 10, f"the same while all processors are busy: {sorted(times)[1]:.2f} s, at most {max(times):.2f} s")
        if number == arguments.origins:
            # 100 bytes for each origin.
            time.sleep(1)
            rest = server.memory() - least
            report.ok(rest < number * 100 + (4 << 20), f"memory at rest, {number:,} origins, 4 workers: {rest / 1e6:.0f} MB")
            most, stop = [0], threading.Event()

            def watch():
                while not stop.wait(0.01):
                    most[0] = max(most[0], server.memory() - least)

            watcher = threading.Thread(target=watch)
            watcher.start()
            for mark in marks[8:11]:
                server.replace(contents(number, mark))
                server.wait(mark, 60)
            stop.set()
            watcher.join()
            report.ok(0 < most[0] < number * 200 + (4 << 20), f"memory during a change: {most[0] / 1e6:.0f} MB")
        check_log(server, "no errors")

    server = Server(arguments.nginx, arguments.module, arguments.origins, 2)
    texts = [contents(arguments.origins, mark) for mark in "bc"]
    differences = []
    for pair in range(arguments.pairs):
        quiet = server.latencies(arguments.requests)
        stop, changes = threading.Event(), [0]

        def change():
            while True:
                # A process of its own writes, so that this one's threads do not wait for each other.
                subprocess.run(["cp", f"{server.list}.{changes[0] % 2}", f"{server.list}.new"], check=True)
                os.rename(f"{server.list}.new", server.list)
                changes[0] += 1
                # More often than anyone should, so that there are several during so many requests.
                if stop.wait(2):
                    return

        for number, text in enumerate(texts):
            with open(f"{server.list}.{number}", "w") as file:
                file.write(text)
        changer = threading.Thread(target=change)
        changer.start()
        busy = server.latencies(arguments.requests)
        stop.set()
        changer.join()
        time.sleep(3)
        at = int(arguments.requests * 0.999)
        differences.append(busy[at] - quiet[at])
        print(f"# p99.9 without changes {quiet[at] * 1e3:.2f} ms, with {changes[0]} changes {busy[at] * 1e3:.2f} ms")
    middle = sorted(differences)[len(differences) // 2]
    check_time(middle < 0.005, f"p99.9 of {arguments.requests:,} requests during changes, over that without: {middle * 1e3:.2f} ms")
    check_log(server, "no errors, and no request has failed")

    server = Server(arguments.nginx, arguments.module, 10_000, 4)
    texts = {mark: contents(10_000, mark) for mark in marks[:2]}
    after = 0
    for number in range(arguments.changes):
        mark = marks[number % 2]
        server.replace(texts[mark])
        server.wait(mark, 60)
        if number == arguments.changes // 5:
            after = server.memory()
    time.sleep(1)
    grown = server.memory() - after
    report.ok(grown < 1 << 20, f"memory grows by {grown / 1e6:.2f} MB over {arguments.changes} changes")
    check_log(server, "no errors")
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
