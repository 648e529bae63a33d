#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what nginx refuses by itself.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http proxy /)->plan(60);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    cors_allow_origin https://app.example.com;
    add_header X-Status $cors_status always;

    large_client_header_buffers 2 1k;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
        }

        location /small {
            client_max_body_size 4;
            proxy_pass http://127.0.0.1:8082;
        }

        location /down {
            proxy_pass http://127.0.0.1:8082;
        }
    }

    server {
        listen       127.0.0.1:%%PORT_8083%%;
        server_name  star;

        cors_allow_origin *;

        location / {
        }
    }
}

EOF

$t->run();

###############################################################################

my $long = 'x' x 2000;

# Where the fields were read before

for (
	[400, 'no Host', "GET / HTTP/1.1\nORIGIN\n\n"],
	[400, 'two Hosts', "GET / HTTP/1.1\nORIGIN\nHost: a\nHost: b\n\n"],
	[400, 'a bad Host', "GET / HTTP/1.1\nORIGIN\nHost: a/b\n\n"],
	[400, 'a bad length', "POST / HTTP/1.1\nHost: a\nORIGIN\n"
		. "Content-Length: x\n\n"],
	[400, 'a field too long', "GET / HTTP/1.1\nHost: a\nORIGIN\nX: $long\n\n"],
	[400, 'too many fields', "GET / HTTP/1.1\nHost: a\nORIGIN\n"
		. "X: @{['x' x 900]}\n" x 4 . "\n"],
	[405, 'TRACE', "TRACE / HTTP/1.1\nHost: a\nORIGIN\n\n"],
	[501, 'an unknown coding', "POST / HTTP/1.1\nHost: a\nORIGIN\n"
		. "Transfer-Encoding: foo\nConnection: close\n\n"],
	[413, 'a body too large', "POST /small HTTP/1.1\nHost: a\nORIGIN\n"
		. "Content-Length: 5\nConnection: close\n\nBODY!"],
	[413, 'a chunk too large', "POST /small HTTP/1.1\x0d\nHost: a\x0d\nORIGIN"
		. "\x0d\nTransfer-Encoding: chunked\x0d\nConnection: close\x0d\n\x0d\n"
		. "5\x0d\nBODY!\x0d\n0\x0d\n\x0d\n"],
	[400, 'a bad chunk', "POST /down HTTP/1.1\nHost: a\nORIGIN\n"
		. "Transfer-Encoding: chunked\nConnection: close\n\nx\n"],
	[404, 'no file', "GET /none HTTP/1.1\nHost: a\nORIGIN\n"
		. "Connection: close\n\n"],
	[502, 'no upstream', "GET /down HTTP/1.1\nHost: a\nORIGIN\n"
		. "Connection: close\n\n"],
)
{
	my ($status, $name, $request) = @$_;

	is(cors(http($request =~ s/ORIGIN/Origin: https:\/\/app.example.com/r)),
		"$status " . allowed('https://app.example.com'),
		"$status: allowed, $name");
	is(cors(http($request =~ s/ORIGIN/Origin: https:\/\/evil.example/r)),
		"$status " . VARY, "$status: denied, $name");
	is(cors(http($request =~ s/ORIGIN\r?\n//r)), "$status " . VARY,
		"$status: no origin, $name");
	is(cors(http($request =~ s/ORIGIN/Origin: https:\/\/evil.example/r,
		PeerAddr => '127.0.0.1:' . port(8083))),
		"$status -Allow-Origin: *", "$status: '*', $name")
		unless $request =~ m{/(?:small|down)};
}

# Preflights of which nginx makes no sense, or that it cannot answer, are not
# answered as such.

for (
	[400, 'two Hosts', "OPTIONS / HTTP/1.1\nFIELDS\nHost: a\nHost: b\n\n"],
	[501, 'an unknown coding', "OPTIONS / HTTP/1.1\nFIELDS\nHost: a\n"
		. "Transfer-Encoding: foo\nConnection: close\n\n"],
)
{
	my ($status, $name, $request) = @$_;
	my $ask = sub {
		my $fields = "Origin: $_[0]\nAccess-Control-Request-Method: PUT";
		http($request =~ s/FIELDS/$fields/r);
	};

	my $r = $ask->('https://app.example.com');
	is(cors($r), "$status " . allowed('https://app.example.com'),
		"$status: allowed preflight, $name");
	is(header($r, 'X-Status'), 'ALLOWED', "$status: its status, $name");
	$r = $ask->('https://evil.example');
	is(cors($r) . header($r, 'X-Status'), "$status " . VARY . 'DENIED',
		"$status: denied preflight, $name");
}

# Where none was read

for (
	[400, 'no request', "GARBAGE\n\n"],
	[400, 'a bad request', "GET / FOO/1.1\nHost: a\n\n"],
	[400, 'a bad URI', "GET foo HTTP/1.1\nHost: a\n\n"],
	[414, 'a URI too long', "GET /$long HTTP/1.1\nHost: a\n\n"],
	[505, 'a version to come', "GET / HTTP/9.0\nHost: a\n\n"],
)
{
	my ($status, $name, $request) = @$_;

	is(cors(http($request)), "$status " . VARY, "$status: $name");
}

# Nobody is there to see it, but the worker is to live.

http("GET /\n");
is(cors(get('/', 'https://app.example.com')) =~ s/^\d+ //r,
	allowed('https://app.example.com'), 'HTTP/0.9');

###############################################################################
