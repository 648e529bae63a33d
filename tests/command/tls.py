# SPDX-License-Identifier: Apache-2.0
"""tls.py --command CORS --nginx NGINX

`cors probe` over TLS: HTTP/1.1 and HTTP/2, certificates of servers and of clients, --resolve and --insecure. nginx answers with a
policy that is written by hand, so the module is not needed."""

import argparse
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../apps"))

from harness import check, finish, free_port, running

NAME = "api.example.com"
APP = "https://app.example.com"


def openssl(directory, *args):
    subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True, timeout=30)


def authority(directory, name):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    openssl(directory, "req", "-x509", *key, "-subj", f"/CN={name}", "-days", "2", "-out", f"{name}.pem")


def certificate(directory, name, issuer, extension):
    """name.pem and name.key, signed by the issuer."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    openssl(directory, "req", *key, "-subj", f"/CN={name}", "-out", f"{name}.csr")
    with open(os.path.join(directory, f"{name}.ext"), "w") as file:
        file.write(extension)
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial",
            "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def configuration(directory, port, mutual, plain):
    user = "user root;" if os.geteuid() == 0 else ""
    server = f"""
        server_name {NAME};
        ssl_certificate server.pem;
        ssl_certificate_key server.key;
        add_header Access-Control-Allow-Origin {APP} always;
        add_header Access-Control-Allow-Methods PUT always;
        location / {{ return 200 "$server_protocol $ssl_client_s_dn"; }}"""
    return f"""
{user} daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log; worker_processes 1;
events {{ }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
    uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    server {{ listen 127.0.0.1:{port} ssl http2; {server} }}
    server {{
        listen 127.0.0.1:{mutual} ssl http2;
        ssl_client_certificate own.pem;
        ssl_verify_client on;
        {server}
    }}
    server {{ listen 127.0.0.1:{plain} http2; {server.replace("ssl_certificate", "# ssl_certificate")} }}
}}
"""


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--nginx"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cors-tls-") as directory:
        os.chmod(directory, 0o755)
        for name in ("own", "other"):
            authority(directory, name)
        certificate(directory, "server", "own", f"subjectAltName = DNS:{NAME}\n")
        certificate(directory, "client", "own", "extendedKeyUsage = clientAuth\n")
        certificate(directory, "stranger", "other", "extendedKeyUsage = clientAuth\n")
        port, mutual, plain = free_port(), free_port(), free_port()
        with open(os.path.join(directory, "nginx.conf"), "w") as file:
            file.write(configuration(directory, port, mutual, plain))

        def probe(url, *options):
            ran = subprocess.run([os.path.abspath(args.command), "probe", url, "--origin", APP, "--timeout", "5", *options], cwd=directory,
                                 capture_output=True, text=True, timeout=30)
            return ran.returncode, ran.stdout + ran.stderr

        def protocols():
            """What nginx has written down of the requests since the last call."""
            with open(os.path.join(directory, "access.log"), "r+") as file:
                found = [line.split('"')[1] for line in file]
                file.truncate(0)
            return found

        def shows(what, ran, code, text):
            check(f"{what}: the exit code", ran[0], code)
            check(f"{what}: {text}", text in ran[1] or ran[1], True)

        command = [args.nginx, "-p", directory, "-c", "nginx.conf", "-e", f"{directory}/error.log"]
        with running(command, port, stderr=subprocess.DEVNULL):
            resolve = ["--resolve", f"{NAME}:{port}:127.0.0.1"]
            trusted = [*resolve, "--cacert", "own.pem"]
            url = f"https://{NAME}:{port}/"
            shows("a trusted certificate", probe(url, *trusted), 0, "  HTTP/2 200")
            check("a trusted certificate: what nginx was sent", protocols(), ["GET / HTTP/2.0"])
            shows("--http 2", probe(url, *trusted, "--http", "2"), 0, "  HTTP/2 200")
            check("--http 2: what nginx was sent", protocols(), ["GET / HTTP/2.0"])
            shows("--http 1.1", probe(url, *trusted, "--http", "1.1"), 0, "  HTTP/1.1 200")
            check("--http 1.1: what nginx was sent", protocols(), ["GET / HTTP/1.1"])
            shows("a preflight over HTTP/2", probe(url, *trusted, "--method", "PUT"), 0, "  HTTP/2 200")
            check("a preflight over HTTP/2: what nginx was sent", protocols(), ["OPTIONS / HTTP/2.0", "PUT / HTTP/2.0"])
            untrusted = "the certificate of the server is not trusted; --insecure takes any"
            shows("an unknown authority", probe(url, *resolve), 2, untrusted)
            shows("another authority", probe(url, *resolve, "--cacert", "other.pem"), 2, untrusted)
            shows("a file that is no certificate", probe(url, *resolve, "--cacert", "nginx.conf"), 2, "--cacert")
            check("a certificate that is not trusted: what nginx was sent", protocols(), [])
            shows("--insecure", probe(url, *resolve, "--insecure"), 0, "  HTTP/2 200")
            # The name in the certificate is another one.
            address = f"https://127.0.0.1:{port}/"
            shows("another name", probe(address, "--cacert", "own.pem"), 2, untrusted)
            shows("another name, --insecure", probe(address, "--insecure"), 0, "  HTTP/2 200")
            protocols()
            # No other address is asked for.
            shows("--resolve to another port", probe(url, "--resolve", f"{NAME}:1:127.0.0.1", "--cacert", "own.pem"), 2, "no answer")
            shows("plain HTTP where TLS is spoken", probe(f"http://127.0.0.1:{port}/"), 0, "  HTTP/1.1 400")
            shows("TLS where none is spoken", probe(f"https://127.0.0.1:{plain}/", "--insecure"), 2, "TLS failed")
            shows("HTTP/2 without TLS", probe(f"http://127.0.0.1:{plain}/", "--http", "2"), 0, "  HTTP/2 200")

            resolve = ["--resolve", f"{NAME}:{mutual}:127.0.0.1", "--cacert", "own.pem"]
            url = f"https://{NAME}:{mutual}/"
            client = ["--cert", "client.pem", "--key", "client.key"]
            shows("a client's certificate", probe(url, *resolve, *client), 0, "  HTTP/2 200")
            with open(os.path.join(directory, "both.pem"), "w") as both:
                for name in ("client.pem", "client.key"):
                    with open(os.path.join(directory, name)) as file:
                        both.write(file.read())
            shows("a certificate with its key", probe(url, *resolve, "--cert", "both.pem"), 0, "  HTTP/2 200")
            shows("no client's certificate", probe(url, *resolve), 0, "  HTTP/2 400")
            stranger = ["--cert", "stranger.pem", "--key", "stranger.key"]
            shows("a stranger's certificate", probe(url, *resolve, *stranger), 0, "  HTTP/2 400")
            wrong = "the certificate of the client cannot be used"
            shows("the key of another", probe(url, *resolve, "--cert", "client.pem", "--key", "stranger.key"), 2, wrong)
            shows("no such file", probe(url, *resolve, "--cert", "none.pem"), 2, wrong)
    finish()


if __name__ == "__main__":
    main()
