# SPDX-License-Identifier: Apache-2.0
"""Compares what the repository says about the oldest Rust with `rust-version` in Cargo.toml, which decides it.

Every package in a committed Cargo.lock must compile with it, the workspaces must agree on it, the documents must not name another
version, and scripts/build must refuse an older compiler. Cargo checks only the packages that it compiles, and only when the
compiler is too old.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md")

failures = []
passed = 0


def check(failure, right):
    global passed
    passed += right
    if not right:
        failures.append(failure)
        print(f"not ok - {failure}")


def release(version):
    """(1, 85) for 1.85 and 1.85.1: a patch release compiles the same code."""
    return tuple(int(number) for number in version.split(".")[:2])


def packages(lock):
    # --locked refuses a lock that its manifest does not agree with.
    manifest = (ROOT / lock).with_name("Cargo.toml")
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", manifest]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["packages"]


def refusal(version):
    """What scripts/build says when the compiler is of that version."""
    with tempfile.TemporaryDirectory() as directory:
        for tool in "rustc", "cargo":
            path = Path(directory, tool)
            path.write_text(f"#!/bin/sh\necho {tool} {version}\n")
            path.chmod(0o755)
        env = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
        return subprocess.run(
            [ROOT / "scripts/build"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout


def main():
    oldest = re.search(r'^rust-version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    files = subprocess.run(["git", "ls-files", "*Cargo.lock"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    check("no Cargo.lock is committed", bool(files))
    for lock in files.split():
        for package in packages(lock):
            name, needed = f"{package['name']} {package['version']} in {lock}", package["rust_version"]
            if package["source"] is None:
                check(f"{name}: rust-version is {needed}, not {oldest}", needed == oldest)
            else:
                check(f"{name} needs Rust {needed}, newer than {oldest}", not needed or release(needed) <= release(oldest))
    for document in DOCUMENTS:
        versions = re.findall(r"\bRust (\d+\.\d+)", (ROOT / document).read_text())
        check(f"{document} does not name the oldest Rust", bool(versions))
        for named in versions:
            check(f"{document} says Rust {named}, not {oldest}", named == oldest)
    said = refusal("1.63.0")
    expected = f"build: Rust {oldest} or newer is needed, found 1.63.0: "
    check(f"scripts/build with Rust 1.63.0 says {said!r}", said.startswith(expected) and said.count("\n") == 1)
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
