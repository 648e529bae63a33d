# SPDX-License-Identifier: Apache-2.0
"""What the tests in Python share: an nginx on loopback in a folder of its own, and lines for prove."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class Report:
    """Test lines as prove reads them."""

    def __init__(self):
        self.number = self.failed = 0

    def ok(self, right, name, detail=""):
        self.number += 1
        self.failed += not right
        print(f"{'ok' if right else 'not ok'} {self.number} - {name}", flush=True)
        if not right:
            # There because prove keeps the lines above to itself.
            for line in [f"  Failed test '{name}'", *str(detail).splitlines()]:
                print(f"# {line}", file=sys.stderr, flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def end(self):
        print(f"1..{self.number}", flush=True)
        return 1 if self.failed else 0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def status_of(pid, field):
    """A number, or a word, of /proc/PID/status; None where the process is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return line.split()[1]
    return None


def memory(pid):
    """What a process has of its own, in KiB: anonymous memory, which is where leaks are."""
    return int(status_of(pid, "RssAnon") or 0)


class Nginx:
    def __init__(self, binary, daemon=False, quiet=False):
        """What a quiet one has to say is in its log alone."""
        self.binary, self.daemon, self.quiet = binary, daemon, quiet
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nginx-reliability-"))
        self.process = None

    def configure(self, text):
        """`text` is what stands around, before and in the http block: a pair."""
        main, http = text
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        )
        (self.folder / "nginx.conf").write_text(f"""
{main}
daemon {'on' if self.daemon else 'off'};
{user}
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log info;
worker_shutdown_timeout 20s;
events {{ worker_connections 4096; }}
http {{
access_log off;
{temporary}
{http}
}}
""")

    def command(self, *options):
        return [self.binary, *options, "-p", f"{self.folder}/", "-c", "nginx.conf", "-e", "error.log"]

    def test(self):
        result = subprocess.run(self.command("-t"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return result.returncode, result.stdout.decode(errors="replace")

    def start(self):
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL if self.quiet else None
        )
        started = (self.folder / "nginx.pid").exists
        if not wait_for(lambda: started() or self.process.poll() not in (None, 0)):
            raise RuntimeError("nginx has not started")
        if not started():
            raise RuntimeError(f"nginx did not start: {self.log()[-2000:]}")
        wait_for(self.workers)

    def master(self):
        file = self.folder / "nginx.pid"
        # nginx writes the number after it has made the file.
        wait_for(file.read_text)
        return int(file.read_text())

    def workers(self, master=None):
        """Those that serve, without those that are on their way out."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            master = master or self.master()
            children = pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()
            serving = []
            for pid in children:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if b"worker process is shutting" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() and (
                        b"worker process" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                    ):
                        serving.append(int(pid))
            return serving
        return []

    def reload(self, seconds=30):
        """Reloads, and waits until the new workers are the only ones that serve; says whether they are new."""
        before = set(self.workers())
        os.kill(self.master(), signal.SIGHUP)
        return wait_for(lambda: self.workers() and not before & set(self.workers()), seconds)

    def log(self):
        """Its lines end in newlines alone, whatever bytes of a client's are in them."""
        return (self.folder / "error.log").read_bytes().decode("latin-1")

    def stop(self):
        """Ends what this object has started, and only that."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            master = self.master()
            os.kill(master, signal.SIGQUIT)
            wait_for(lambda: status_of(master, "State") in (None, "Z"), 30)
        if self.process:
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
