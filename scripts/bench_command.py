# SPDX-License-Identifier: Apache-2.0
"""The part `command` of scripts/bench: what the command cors and `nginx -t` take for the same large configurations."""

import os
import resource
import subprocess
import time


def old(i, _):
    """A server in ten lines, as it was before the module."""
    return f"""    server {{
        listen 127.0.0.1:18990;
        server_name t{i}.example.com;
        location / {{
            add_header Access-Control-Allow-Origin https://app.t{i}.example always;
            add_header Access-Control-Allow-Methods 'GET, PUT' always;
            add_header Access-Control-Allow-Headers Content-Type always;
            return 200;
        }}
    }}
"""


def new(i, is_changed):
    """The same with the module, or with a change in one of a hundred."""
    change = is_changed and i % 100 == 0
    return f"""    server {{
        listen 127.0.0.1:18990;
        server_name t{i}.example.com;
        location / {{
            cors_allow_origin https://app.t{i}.example https://*.t{i}.example;
            cors_allow_origin_regex ^https://{'(pr|mr)' if change else 'pr'}-\\d+\\.t{i}\\.example\\.dev$;
            cors_allow_methods GET PUT{' DELETE' if change else ''};
            return 200;
        }}
    }}
"""


def rows(command, nginx, module, directory, quick):
    """(what, seconds)"""
    count = 100 if quick else 10000
    paths = {}
    for name, server, is_changed in (("old", old, False), ("new", new, False), ("changed", new, True)):
        paths[name] = os.path.join(directory, f"{name}.conf")
        with open(paths[name], "w") as file:
            file.write(f"load_module {module};\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nevents {{ }}\nhttp {{\n"
                       "    access_log off;\n    server_names_hash_max_size 65536;\n"
                       + "".join(server(i, is_changed) for i in range(count)) + "}\n")
    # nginx makes its directories for temporary files in the prefix.
    test = lambda name: [nginx, "-t", "-q", "-p", directory, "-c", paths[name], "-e", f"{directory}/error.log"]
    runs = [
        (f"nginx -t, {count:,} servers with add_header", test("old"), 0),
        ("cors convert", [command, "convert", paths["old"]], 0),
        ("cors convert --diff", [command, "convert", "--diff", paths["old"]], 0),
        (f"nginx -t, {count:,} servers with the module", test("new"), 0),
        ("cors explain", [command, "explain", "-c", paths["new"], "--origin", "https://pr-7.t77.example.dev"], 0),
        ("cors diff, one in a hundred changed", [command, "diff", paths["new"], paths["changed"]], 1),
    ]
    for name, run, code in runs:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        ran = subprocess.run(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seconds = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if ran.returncode != code:
            raise RuntimeError(f"{name}: exit code {ran.returncode}: {ran.stderr.decode()[-2000:]}")
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        yield {"name": name, "seconds": seconds, "processor": used}
