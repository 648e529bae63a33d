# SPDX-License-Identifier: Apache-2.0
"""nginx-conf/kubernetes: that Kubernetes takes the manifests, and that nginx does with their snippets, where each controller puts
them, what docs/kubernetes.md says. Kubernetes's own kinds have their schemas here; those of the controllers' kinds are in no
registry."""

import glob
import os
import re

import harness
from harness import Browser, application, check, free_port

APP = "https://app.example.com"
OWN_KINDS = {"ConfigMap", "Deployment", "Ingress"}


def objects(name):
    import yaml

    with open(os.path.join(harness.ROOT, "nginx-conf/kubernetes", name)) as file:
        return list(yaml.safe_load_all(file))


def object_of(name, kind):
    return next(manifest for manifest in objects(name) if manifest["kind"] == kind)


def validates(manifest):
    import kubernetes_validate

    try:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        return True
    except kubernetes_validate.ValidationError as error:
        return str(error)


def snippets():
    """(where it is from, what is for the main context, what is for a location)"""
    controller = "ingress-controller.yaml"
    main = object_of(controller, "ConfigMap")["data"]["main-snippets"]
    route = object_of(controller, "VirtualServer")["spec"]["routes"][0]
    yield "a VirtualServer", main, route["location-snippets"]
    annotations = object_of(controller, "Ingress")["metadata"]["annotations"]
    yield "an Ingress", main, annotations["nginx.org/location-snippets"]
    of = {snippet["context"]: snippet["value"] for snippet in object_of("gateway-fabric.yaml", "SnippetsFilter")["spec"]["snippets"]}
    yield "a SnippetsFilter", of["main"], of["http.server.location"]


def asks(port):
    page = Browser(APP, port)
    preflighted = page.fetch("PUT", "/", {"Content-Type": "application/json"}, b"{}", True)
    check("PUT with JSON", preflighted.said, "200")
    check("a page of a preview", Browser("https://pr-7.preview.example.com", port).fetch("GET", "/", credentials=True).said, "200")
    check("another page", Browser("https://evil.example", port).fetch("GET", "/").said, "200, blocked")


def run(args):
    for path in sorted(glob.glob(os.path.join(harness.ROOT, "nginx-conf/kubernetes/*.yaml"))):
        for manifest in objects(os.path.basename(path)):
            if manifest["kind"] in OWN_KINDS:
                check(f"{os.path.basename(path)}: {manifest['kind']} {manifest['metadata']['name']}", validates(manifest), True)

    for source, main, location in snippets():
        print(f"# the snippets of {source}")
        check("the module is loaded in the main context", main.strip(), "load_module modules/ngx_http_cors_module.so;")
        port = free_port()
        with application() as (upstream, _):
            http = f"server {{ listen 127.0.0.1:{port}; location / {{ {location} proxy_pass http://127.0.0.1:{upstream}; }} }}"
            with harness.nginx(args, http) as prefix:
                check("nginx -t has nothing to say", prefix.warnings, [])
                asks(port)

    print("# the ConfigMaps of nginx.yaml")
    maps = {manifest["metadata"]["name"]: manifest for manifest in objects("nginx.yaml") if manifest["kind"] == "ConfigMap"}
    port = free_port()
    with application() as (upstream, _):
        http = maps["nginx-conf"]["data"]["api.conf"]
        http = re.sub(r"listen 8080;", f"listen 127.0.0.1:{port};", http).replace("api:8000", f"127.0.0.1:{upstream}")
        http = http.replace("/etc/nginx/", "")
        files = [(f"origins/{name}", text.encode()) for name, text in maps["cors-origins"]["data"].items()]
        with harness.nginx(args, http, files) as prefix:
            check("nginx -t has nothing to say", prefix.warnings, [])
            check("an origin of the file", Browser("https://shop.example", port).fetch("GET", "/", credentials=True).said, "200")
            check("the application's page", Browser(APP, port).fetch("DELETE", "/", credentials=True).said, "200")
            check("another page", Browser("https://evil.example", port).fetch("GET", "/").said, "200, blocked")
