#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for proxied responses.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http proxy /)->plan(86);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

# Each worker keeps connections of its own.
worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    upstream kept {
        server 127.0.0.1:8083;
        keepalive 1;
    }

    server {
        listen       127.0.0.1:8083;
        server_name  kept;

        add_header   X-Requests $connection_requests always;

        location / {
            return 200;
        }

        location /404 {
            return 404;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://app.example.com https://b.example.com;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /down/ {
            proxy_pass http://127.0.0.1:8082;
        }

        location /late/ {
            proxy_pass http://127.0.0.1:8081;
            proxy_read_timeout 100ms;
        }

        location /unbuffered/ {
            proxy_pass http://127.0.0.1:8081/;
            proxy_buffering off;
        }

        location /kept/ {
            proxy_pass http://kept/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location /star/ {
            cors_allow_origin *;
            proxy_pass http://127.0.0.1:8081/;
        }
    }
}

EOF

$t->run_daemon(\&serve, port(8081), \&answer);
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

for (
	[200, 'GET', '/200'],
	[200, 'HEAD', '/200'],
	[200, 'POST', '/200', 'Content-Length: 0'],
	[200, 'OPTIONS', '/200'],
	[200, 'DELETE', '/200'],
	[200, 'GET', '/chunked'],
	[200, 'HEAD', '/chunked'],
	[201, 'PUT', '/201', 'Content-Length: 0'],
	[204, 'GET', '/204'],
	[302, 'GET', '/302'],
	[304, 'GET', '/304', 'If-None-Match: "x"'],
	[401, 'GET', '/401'],
	[404, 'GET', '/404'],
	[404, 'HEAD', '/404'],
	[422, 'GET', '/422'],
	[500, 'GET', '/500'],
	[503, 'GET', '/503'],
	[502, 'GET', '/invalid'],
	[502, 'GET', '/down/'],
	[502, 'HEAD', '/down/'],
	[504, 'GET', '/late/'],
	[200, 'GET', '/unbuffered/200'],
	[200, 'GET', '/unbuffered/chunked'],
	[404, 'GET', '/unbuffered/404'],
	[200, 'GET', '/kept/200'],
	[404, 'GET', '/kept/404'],
)
{
	my ($status, $method, $uri, @fields) = @$_;
	my $name = "$status: $method $uri";

	is(cors(request($method, $uri, "Origin: $app", @fields)),
		"$status " . allowed($app), "allowed, $name");
	is(cors(request($method, $uri, "Origin: $evil", @fields)),
		"$status " . VARY, "denied, $name");
	is(cors(request($method, $uri, @fields)), "$status " . VARY,
		"no origin, $name");
}

is(cors(get('/star/200', $evil)), '200 -Allow-Origin: *', "'*'");
is(header(get('/302', $app), 'Location'), 'https://elsewhere.example/',
	'other headers stay');
like(get('/chunked', $app), qr/SEE-.*THIS/s, 'chunked content');
like(get('/200', $evil), qr/SEE-THIS/, 'denied: the content is served');

is(header(get('/kept/200', $app), 'X-Requests'), 7, 'kept: one connection to the upstream');
is(cors(get('/kept/200', $app)), '200 ' . allowed($app), 'kept: allowed again');

# What the application gets

like(get('/200', $app), qr/^Origin: \Q$app\E\x0d$/m,
	'the application sees the origin');

# One connection of a client

my $r = http(join '', map {
	my ($uri, $origin) = @$_;
	"GET $uri HTTP/1.1\nHost: localhost\n"
		. ($origin ? "Origin: $origin\n" : '')
		. ($uri eq '/404' ? "Connection: close\n\n" : "\n")
} ['/200', $app], ['/200', $evil], ['/200', 'https://b.example.com'],
	['/200'], ['/404', $app]);

is_deeply([map { cors($_) } split /(?=^HTTP\/1\.1 )/m, $r],
	['200 ' . allowed($app), '200 ' . VARY,
	'200 ' . allowed('https://b.example.com'), '200 ' . VARY,
	'404 ' . allowed($app)], 'requests on one connection');

###############################################################################

sub answer {
	my ($request) = @_;

	my ($what) = $request =~ m{^\S+ /(?:late/)?(\w*)};

	return $what eq 'invalid' ? "HTTP/1.1 200 OK\nno colon\n\n"
		: $what eq '' ? sleep 1
		: $what eq 'chunked' ? <<"EOF"
HTTP/1.1 200 OK
Transfer-Encoding: chunked

4
SEE-
4
THIS
0

EOF
		: $what =~ /204|304/ ? "HTTP/1.1 $what X\n\n"
		: $what eq '302' ? <<'EOF'
HTTP/1.1 302 Found
Location: https://elsewhere.example/
Content-Length: 0

EOF
		: "HTTP/1.1 $what X\nConnection: close\nX-Backend: yes\n\n"
			. ($request =~ /^HEAD/ ? '' : "SEE-THIS\n$request");
}

###############################################################################
