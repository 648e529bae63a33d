# SPDX-License-Identifier: Apache-2.0
"""The part `build` of scripts/bench: a clean build of the module, and what its size is made of."""

import collections
import os
import re
import resource
import shutil
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = os.path.join(ROOT, "build/trees/vendored")


def measure(directory):
    """Seconds, seconds of the processor, and the size of what is given to others; then (crate, bytes of code), largest first."""
    environment = {
        **os.environ,
        "NGINX_SOURCE_DIR": f"{TREE}/src",
        "NGINX_BUILD_DIR": f"{TREE}/objs",
        # What is cached elsewhere is none of a clean build.
        "RUSTC_WRAPPER": "",
    }
    target = os.path.join(directory, "target")
    command = ["cargo", "build", "--quiet", "--release", "--no-default-features", "--package", "ngx-http-cors", "--target-dir", target]
    # What is not here yet is not built, but fetched.
    subprocess.run(["cargo", "fetch", "--quiet", "--locked"], cwd=ROOT, check=True)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    module = os.path.join(target, "release/libngx_http_cors_module.so")
    crates = code_of(module)
    subprocess.run(["strip", module], check=True)
    size = os.path.getsize(module)
    shutil.rmtree(target)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return dict(seconds=seconds, processor=processor, size=size), crates


def code_of(module):
    crates = collections.Counter()
    symbols = subprocess.run(["nm", "--demangle", "--print-size", module], capture_output=True, text=True, check=True).stdout
    for line in symbols.splitlines():
        fields = line.split(None, 3)
        if len(fields) == 4 and fields[2] in "tT":
            name = re.match(r"[<&*\[(]*(?:mut |dyn )*([a-z_0-9]+)::", fields[3])
            crates[name[1] if name else "other"] += int(fields[1], 16)
    return crates.most_common()
