#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for HTTP/3.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http http_v3 http_ssl rewrite /)
	->has_daemon('openssl')->has_daemon('python3');

# Few packages of curl itself have HTTP/3; this one brings a curl that does.
plan(skip_all => 'no curl_cffi in python3')
	if system('python3 -c "import curl_cffi" 2> /dev/null');

$t->plan(26);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:%%PORT_8980_UDP%% quic;
        server_name  localhost;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;

        cors_allow_origin https://app.example.com;

        add_header X-Status $cors_status always;

        location / {
            cors_expose_headers X-Own;
            return 200 "SEE-THIS";
        }

        location /404 {
            return 404;
        }

        location /star {
            cors_allow_origin *;
            return 200;
        }

        location /enforce {
            cors_enforce on;
            return 200;
        }
    }
}

EOF

$t->write_file('client.py', <<'EOF');
import sys
from curl_cffi import requests

method, url, *fields = sys.argv[1:]
r = requests.request(method, url, http_version="v3only", verify=False,
    timeout=8, headers=[tuple(f.split(": ", 1)) for f in fields])
print("HTTP/3", r.status_code)
for name, value in r.headers.multi_items():
    print(f"{name}: {value}")
print()
print(r.text, end="")
EOF

my $dir = $t->testdir();

system("openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost "
	. "-keyout '$dir/localhost.key' -out '$dir/localhost.crt' "
	. "> '$dir/openssl.out' 2>&1") == 0
	or die "Can't create certificate: $!\n";

$t->run();

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';
my $base = 'https://127.0.0.1:' . port(8980, udp => 1);
my $method = 'Access-Control-Request-Method: PUT';
my $allowed = "-Allow-Origin: $app; -Expose-Headers: X-Own; " . VARY;

for (
	['allowed', 'GET', '/', ["Origin: $app"], "200 $allowed", 'ALLOWED'],
	['denied', 'GET', '/', ["Origin: $evil"], '200 ' . VARY, 'DENIED'],
	['no origin', 'GET', '/', [], '200 ' . VARY, ''],
	['own', 'GET', '/', ["Origin: $base"], '200 ' . VARY, 'SAME_ORIGIN'],
	['POST', 'POST', '/', ["Origin: $app"], "200 $allowed", 'ALLOWED'],
	['404', 'GET', '/404', ["Origin: $app"], '404 ' . allowed($app),
		'ALLOWED'],
	["'*'", 'GET', '/star', ["Origin: $evil"], '200 -Allow-Origin: *',
		'ALLOWED'],
	['preflight', 'OPTIONS', '/', ["Origin: $app", $method],
		"204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: $app; "
		. '-Expose-Headers: X-Own; ' . PREFLIGHT_VARY,
		'PREFLIGHT_METHOD_DENIED'],
	['preflight denied', 'OPTIONS', '/', ["Origin: $evil", $method],
		'403 ' . PREFLIGHT_VARY, 'PREFLIGHT_ORIGIN_DENIED'],
	['no preflight', 'OPTIONS', '/', ["Origin: $app"], "200 $allowed",
		'ALLOWED'],
	['enforced', 'GET', '/enforce', ["Origin: $evil"], '403 ' . VARY,
		'REJECTED'],
	['enforced, allowed', 'GET', '/enforce', ["Origin: $app"],
		'200 ' . allowed($app), 'ALLOWED'],
	['enforced, own', 'GET', '/enforce', ["Origin: $base"], '200 ' . VARY,
		'SAME_ORIGIN'],
)
{
	my ($name, $verb, $uri, $fields, $expected, $status) = @$_;
	my $arguments = join ' ', map { "'$_'" } $verb, "$base$uri", @$fields;
	my $r = `python3 '$dir/client.py' $arguments 2>&1`;

	is(cors($r), $expected, $name);
	is(header($r, 'X-Status'), $status, "$name: status");
}

###############################################################################
