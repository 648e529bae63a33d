# SPDX-License-Identifier: Apache-2.0
"""run.py --nginx NGINX --module MODULE [PART...]: configurations, applications, migration, Kubernetes manifests

scripts/test apps installs what these take, and runs them all."""

import argparse
import importlib

import harness

PARTS = ["configurations", "applications", "migration", "manifests"]

parser = argparse.ArgumentParser()
parser.add_argument("--nginx", required=True)
parser.add_argument("--module", required=True)
parser.add_argument("parts", nargs="*", default=PARTS)
args = parser.parse_args()
for part in args.parts or PARTS:
    importlib.import_module(part).run(args)
harness.finish()
