# SPDX-License-Identifier: Apache-2.0
"""serve.py --nginx NGINX --module MODULE --names FRONT API OTHER

Django behind nginx-conf/application-behind-proxy.conf, and session.html on the front end's name and on another site's. Prints
"Serving" and the front end's address, and runs until the standard input ends: tests/browser opens it."""

import argparse
import os
import re
import sys

import applications
import harness

parser = argparse.ArgumentParser()
parser.add_argument("--nginx", required=True)
parser.add_argument("--module", required=True)
parser.add_argument("--names", nargs=3, required=True)
args = parser.parse_args()

pages, api = harness.free_port(), harness.free_port()
front, server, other = args.names
origin = f"http://{front}:{pages}"
os.environ["CSRF_TRUSTED_ORIGIN"] = origin
names = f'const names = {{ api: "http://{server}:{api}", other: "http://{other}:{pages}" }};'.encode()

with open(os.path.join(harness.ROOT, "nginx-conf/application-behind-proxy.conf")) as file:
    conf = file.read()
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "session.html"), "rb") as file:
    files = [("pages/index.html", file.read()), ("pages/names.js", names)]

with applications.django() as upstream:
    conf = re.sub(r"listen +80;", f"listen 127.0.0.1:{api};", conf).replace("https://app.example.com", origin)
    conf = conf.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    conf += f"server {{ listen 127.0.0.1:{pages}; root pages; }}"
    with harness.nginx(args, conf, files):
        print(f"Serving {origin}", flush=True)
        sys.stdin.read()
