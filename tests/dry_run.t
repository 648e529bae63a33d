#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for cors_dry_run: the responses are, byte for byte, those of a server that
# knows nothing of CORS.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy gzip ssi auth_basic access /)->plan(2417);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    absolute_redirect off;
    keepalive_timeout 0;

    cors_dry_run on;

    # A server without a policy.

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        include locations.conf;
    }

    server {
        listen       127.0.0.1:%%PORT_8081%%;
        server_name  localhost;

        cors_allow_origin          https://app.example.com null;
        cors_allow_origin_regex    ^https://\w+\.example\.org$;
        cors_allow_methods         PUT;
        cors_allow_headers         X-Foo;
        cors_allow_credentials     on;
        cors_expose_headers        X-Bar;
        cors_max_age               1h;
        cors_allow_private_network on;
        cors_reject_status         418;
        cors_preflight_status      200;

        include locations.conf;
    }

    server {
        listen       127.0.0.1:%%PORT_8082%%;
        server_name  localhost;

        cors_allow_origin *;

        include locations.conf;
    }

    server {
        listen       127.0.0.1:%%PORT_8083%%;
        server_name  localhost;

        cors_enforce on;

        include locations.conf;
    }

    server {
        listen       127.0.0.1:%%PORT_8084%%;
        server_name  localhost;

        cors_allow_origin https://app.example.com;
        cors_enforce      on;
        cors_override     off;
        cors_preflight    off;

        include locations.conf;
    }

    server {
        listen       127.0.0.1:%%PORT_8085%%;
        server_name  localhost;

        cors_allow_origin https://$http_x_tenant.example.com;

        include locations.conf;
    }
}

EOF

$t->write_file_expand('locations.conf', <<'EOF');

if ($uri = /server) {
    return 404;
}

location / {
}

location /return/200 { return 200 "SEE-THIS"; }
location /return/204 { return 204; }
location /return/301 { return 301 /; }
location /return/403 { return 403; }
location /return/500 { return 500; }

location /own {
    add_header Access-Control-Allow-Origin https://own.example always;
    add_header Access-Control-Allow-Methods OWN always;
    add_header Vary Accept always;
    return 200;
}

location /proxy {
    proxy_pass http://127.0.0.1:8086;
}

location /down {
    proxy_pass http://127.0.0.1:8087;
}

location /gzip/ {
    gzip            on;
    gzip_vary       on;
    gzip_min_length 0;
    alias %%TESTDIR%%/;
}

location /ssi/ {
    ssi on;
    alias %%TESTDIR%%/;
}

location /basic {
    auth_basic           closed;
    auth_basic_user_file %%TESTDIR%%/htpasswd;
}

location /deny {
    deny all;
}

location /internal {
    internal;
}

location /error {
    error_page 404 /own;
}

location /named {
    try_files $uri @named;
}

location @named {
    return 404 "NAMED";
}

location /rewrite {
    rewrite ^ /own last;
}

location /small {
    client_max_body_size 1;
    proxy_pass http://127.0.0.1:8086;
}

EOF

$t->write_file('htpasswd', '');
$t->write_file('file.html', 'SEE-THIS' x 100);
$t->write_file('ssi.html', 'SSI-<!--#include virtual="/return/200" -->');
mkdir $t->testdir() . '/dir';

$t->run_daemon(\&serve, port(8086), sub {
	return <<"EOF";
HTTP/1.0 200 OK
Access-Control-Allow-Origin: https://own.example
Access-Control-Allow-Credentials: true
Vary: Accept

$_[0]
EOF
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8086));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

my @requests = map { my $line = $_; map { [$line, @$_] } (
	[],
	["Origin: $app"],
	["Origin: $evil"],
	['Origin: null'],
	['Origin:'],
	["Origin: $app", "Origin: $evil"],
	["Origin: $app", 'Access-Control-Request-Method: PUT',
		'Access-Control-Request-Headers: x-foo',
		'Access-Control-Request-Private-Network: true'],
	["Origin: $app", 'Access-Control-Request-Method: DELETE'],
	["Origin: $evil", 'Access-Control-Request-Method: PUT'],
	["Origin: $app", 'Sec-Fetch-Site: cross-site', 'X-Tenant: app'],
	["Origin: $evil", 'Sec-Fetch-Site: cross-site'],
	['Sec-Fetch-Site: cross-site'],
) } 'GET /file.html', 'HEAD /file.html', 'POST /file.html',
	'OPTIONS /file.html', 'GET /none', 'GET /dir', 'GET /dir/',
	(map { "GET /return/$_" } qw/ 200 204 301 403 500 /),
	'OPTIONS /return/200', 'POST /return/200', 'GET /own', 'OPTIONS /own',
	'GET /proxy', 'HEAD /proxy', 'POST /proxy', 'OPTIONS /proxy',
	'GET /down', 'OPTIONS /down', 'GET /gzip/file.html', 'GET /ssi/ssi.html',
	'GET /basic', 'OPTIONS /basic', 'GET /deny', 'OPTIONS /deny',
	'GET /internal', 'OPTIONS /internal', 'GET /error', 'OPTIONS /error',
	'GET /named', 'OPTIONS /named', 'GET /rewrite', 'OPTIONS /rewrite',
	'GET /server', 'OPTIONS /server';

push @requests, map {
	(
		['GET /file.html', @$_, 'Range: bytes=1-2'],
		['GET /file.html', @$_, 'If-Modified-Since: ' . header(
			get('/file.html'), 'Last-Modified')],
		['GET /gzip/file.html', @$_, 'Accept-Encoding: gzip'],
		['POST /small', @$_, 'Content-Length: 9', { body => 'SOME-BODY' }],
		['POST /proxy', @$_, 'Content-Length: 9', { body => 'SOME-BODY' }],
		['GET /file.html', @$_, 'Host: a/b'],
		["GET /file.html", @$_, "Host: a\x0d\nHost: b"],
		['TRACE /file.html', @$_],
		['GET foo', @$_],
	)
} [], ["Origin: $app"], ["Origin: $evil"];

my %bare = map { join("\n", @$_) => answer(8080, @$_) } @requests;

for (
	[8081, 'a list'],
	[8082, "'*'"],
	[8083, 'enforced'],
	[8084, 'enforced list, no override, no preflight'],
	[8085, 'a variable'],
)
{
	my ($port, $name) = @$_;

	for my $request (@requests) {
		is(answer($port, @$request), $bare{join "\n", @$request},
			"$name: " . join ', ', map { s/\x0d\n/, /gr } grep { !ref } @$request);
	}
}

# There is something to compare

like($bare{'GET /file.html'}, qr/SEE-THIS/, 'the server without a policy');
is(scalar(grep { $_ eq '' } values %bare), 0, 'all is answered');

###############################################################################

sub answer {
	my ($port, $line, @fields) = @_;

	my %options = ref $fields[-1] ? %{pop @fields} : ();
	my $response = request(split(/ /, $line), @fields,
		{ %options, PeerAddr => '127.0.0.1:' . port($port) });

	# All but the time is the same.
	return ($response // '') =~ s/^Date: [^\x0d]*/Date:/mr;
}

###############################################################################
