# SPDX-License-Identifier: Apache-2.0
"""refused.py --command CORS --nginx NGINX --module MODULE

`cors explain` refuses what `nginx -t` refuses, with the same messages, and accepts what it accepts."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../apps"))

from harness import ROOT, check, finish

FLAGS = ["cors", "cors_allow_credentials", "cors_allow_private_network", "cors_preflight", "cors_override", "cors_enforce", "cors_dry_run"]
VALUES = {
    **{name: ["on", "off", "ON", "Off", "yes", "true", "0", "''", "$x", '"on "'] for name in FLAGS},
    "cors_max_age": ["0", "600", "10m", "1h30m", "'1h 30m'", "'1h 30'", "1y", "1M", "1m1h", "10ms", "-1", "''", "1.5h", "1hour", "'1 hour'", "m",
                     "9223372036854775807", "9223372036854775808", "300000000000y", "$x", "86401", "1s1s", "'1 1s'", "'7 '", "' 7'"],
    "cors_preflight_status": ["200", "204", "201", "0200", "''", "$x", "'204 '"],
    "cors_reject_status": ["400", "403", "599", "600", "399", "444", "494", "499", "0404", "+40", "''", "$x"],
    "cors_log_level": ["info", "notice", "warn", "error", "debug", "crit", "warning", "WARN", "''", "$x"],
    "cors_zone_label": ["a", "'a b'", "Über", "''", "$x", "a" * 255, "a" * 256, "'a\nb'"],
    "cors_allow_methods": ["PUT", "'GET, PUT'", "*", "'* PUT'", "get", "''", "','", "CONNECT", "a/b", "patch"],
    "cors_allow_headers": ["X-Own", "*", "'X-Own, Accept'", "x:y", "''", "X-*", "Cookie"],
    "cors_expose_headers": ["ETag", "*", "'* ETag'", "a:b", "''", "Set-Cookie", "X-*"],
    "cors_allow_origin": ["https://b.example", "null", "*", "'* null'", "''", "b.example", "https://b.example/", "HTTPS://b.example", "https://*.example.com",
                          "https://*.com", "$x", "'$x *'", "https://b.example:443", "^https://b$", "ws://b.example", "all", "'a,b'", "$http_origin"],
    "cors_allow_origin_regex": [r"^https://b\.example$", "'('", "''", "https://*.example.com", r"~^https://b\.example$", "(?=a)", "^wss://b$",
                                "','", ".*", "'a{1000}{1000}'", "always"],
    "cors_allow_origin_file": ["good", "bad", "none", "$x", "''", "directory", "suffixes"],
}

# Whole blocks; what is above them in http comes first.
BLOCKS = [
    ("", "cors_allow_credentials on; cors_allow_origin *;"),
    ("cors_allow_credentials on;", "cors_allow_origin *;"),
    ("cors_allow_origin *;", "cors_allow_credentials on;"),
    ("cors_allow_origin *;", "cors_allow_credentials on; cors_allow_origin https://a.example;"),
    ("", "cors_allow_origin https://a.example; cors_allow_credentials on; cors_expose_headers *;"),
    ("cors_allow_credentials on;", "cors_allow_origin https://a.example; cors_expose_headers *;"),
    ("cors_expose_headers *;", "cors_allow_origin https://a.example; cors_allow_credentials on;"),
    ("cors_allow_credentials on;", "cors_allow_origin https://*.com; location / { cors_allow_credentials off; }"),
    ("", "cors_allow_credentials on; cors_allow_origin_file suffixes;"),
    ("cors_allow_origin_file suffixes;", "cors_allow_credentials on;"),
    ("", "cors_allow_origin_file good; cors_allow_origin *;"),
    ("", "cors_allow_origin *; cors_allow_origin_file good;"),
    ("", "cors_allow_origin *; cors_allow_origin_regex ^https://a$;"),
    ("", "cors_allow_origin_file good good;"),
    ("", "cors on; cors off;"),
    ("", "cors maybe; cors off;"),
    ("", "cors_max_age 1; cors_max_age 2; location / { cors_max_age 3; }"),
    ("", "cors_allow_methods GET; cors_allow_methods PUT *;"),
    ("", "cors_allow_origin $cors_status;"),
    ("", "cors_bypass $cors_reason;"),
    ("map $host $cors_origin { default null; }", "cors_allow_origin $cors_origin;"),
    ("", "set $cors_status 1; cors_bypass ${CORS_STATUS}x $cors_origin;"),
    ("", "cors_bypass $arg_x; cors_bypass '' $arg_y;"),
    ("", "location / { if ($arg_x) { cors_allow_origin *; } }"),
    ("", "location / { limit_except GET { cors on; } }"),
    ("", "cors_unknown on;"),
    ("", "cors;"),
    ("", "cors on off;"),
    ("", "cors_zone other:1m;"),
    ("", "cors_report;"),
    ("", "location / { cors_report; }"),
    ("", "location / { cors_report json; }"),
    ("", "location / { cors_report yaml; }"),
    ("", "location / { cors_report ''; }"),
    ("", "location / { cors_report json html; }"),
    ("", "location / { cors_report; cors_report; }"),
    ("cors_zone other:1m;", ""),
]
ZONES = ["", "cors_zone cors:1m;", "cors_zone cors;", "cors_zone :1m;", "cors_zone cors:1k;", "cors_zone cors:31k;", "cors_zone cors:32k;", "cors_zone cors:;",
         "cors_zone cors:1g;", "cors_zone $x:1m;", "cors_zone '';"]


def configurations():
    """(what it is about, the zone, what else is in http, what is in the server)"""
    zone = "cors_zone cors:1m;"
    for name, values in VALUES.items():
        rest = "" if name.startswith("cors_allow_origin") else "cors_allow_origin https://a.example;"
        for value in values:
            yield f"{name} {value[:30]!r}", zone, "", f"{name} {value};\n{rest}"
    for above, block in BLOCKS:
        yield f"{above} {{ {block} }}", zone, above, block
    # Each directive there is, in each block, with no argument, and with two.
    with open(os.path.join(ROOT, "docs/directives.md")) as file:
        names = re.findall(r"^### (cors\w*)$", file.read(), flags=re.M)
    check("all directives are documented", len(names) > 20 and set(VALUES) <= set(names), True)
    for name in names:
        for arguments in ("", " on off"):
            yield f"{name}{arguments} in http", "", f"{name}{arguments};", ""
            yield f"{name}{arguments} in server", zone, "", f"{name}{arguments};"
            yield f"{name}{arguments} in location", zone, "", f"location / {{ {name}{arguments}; }}"
    for line in ZONES:
        yield f"the zone {line or 'is missing'}", line, "", "cors_allow_origin https://a.example; cors_zone_label a;"


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--nginx", "--module"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cors-refused-") as directory:
        os.mkdir(os.path.join(directory, "directory"))
        for name, contents in (("good", "https://a.example\n"), ("bad", "a.example\n*\n$x\n"), ("suffixes", "https://*.com\n")):
            with open(os.path.join(directory, name), "w") as file:
                file.write(contents)

        def run(row):
            number, (what, zone, above, block) = row
            path = os.path.join(directory, f"{number}.conf")
            with open(path, "w") as file:
                file.write(f"load_module {os.path.abspath(args.module)};\npid {directory}/pid;\nerror_log stderr;\nevents {{ }}\nhttp {{\n"
                           f"{zone}\nmap $host $x {{ default 1; }}\n{above}\nserver {{\nlisten 127.0.0.1:1;\n{block}\n}}\n}}\n")
            tested = subprocess.run([args.nginx, "-t", "-p", directory, "-c", path, "-e", "stderr"], capture_output=True, text=True, timeout=30)
            lines = set(re.findall(r"\[emerg\] (?:\d+#\d+: )?(.*)", tested.stderr))
            ran = subprocess.run([args.command, "explain", "-c", path, "-o", "https://a.example"], capture_output=True, text=True, timeout=30)
            said = {line.removeprefix("cors: ") for line in ran.stderr.splitlines()}
            return what, tested.returncode, sorted(lines), ran.returncode, sorted(said)

        refused = 0
        with ThreadPoolExecutor(2) as pool:
            for what, code, lines, exit_code, said in pool.map(run, enumerate(configurations())):
                check(f"{what}: the messages", said, lines)
                check(f"{what}: whether it is refused", exit_code == 2, code != 0)
                refused += code != 0
        check("many are refused", refused > 100, True)
    finish()


if __name__ == "__main__":
    main()
