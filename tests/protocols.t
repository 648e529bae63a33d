#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for HTTP/1.0 and HTTP/1.1.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://app.example.com;

        location / {
            return 200 "SEE-THIS";
        }

        location /404 {
            return 404;
        }

        location /star {
            cors_allow_origin *;
            return 200;
        }
    }
}

EOF

$t->run();

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';
my $method = 'Access-Control-Request-Method: PUT';

for my $version ('1.0', '1.1') {
	for (
		['allowed', 'GET /', ["Origin: $app"], '200 ' . allowed($app)],
		['denied', 'GET /', ["Origin: $evil"], '200 ' . VARY],
		['no origin', 'GET /', [], '200 ' . VARY],
		['HEAD', 'HEAD /', ["Origin: $app"], '200 ' . allowed($app)],
		['404', 'GET /404', ["Origin: $app"], '404 ' . allowed($app)],
		["'*'", 'GET /star', ["Origin: $evil"], '200 -Allow-Origin: *'],
		['preflight', 'OPTIONS /', ["Origin: $app", $method],
			"204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: $app; "
			. PREFLIGHT_VARY],
		['preflight denied', 'OPTIONS /', ["Origin: $evil", $method],
			'403 ' . PREFLIGHT_VARY],
		['no preflight', 'OPTIONS /', ["Origin: $app"],
			'200 ' . allowed($app)],
	)
	{
		my ($name, $line, $fields, $expected) = @$_;

		is(cors(http(join "\n", "$line HTTP/$version", 'Host: localhost',
			@$fields, 'Connection: close', '', '')), $expected,
			"HTTP/$version: $name");
	}
}

# Requests sent together

my @origins = ($app, $evil, $app, $evil, $app);
my $r = http(join('', map { "OPTIONS / HTTP/1.1\nHost: localhost\nOrigin: $_\n"
	. "$method\n\n" } @origins)
	. "GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n");

is_deeply([map { cors($_) } split /(?=^HTTP\/1\.1 )/m, $r], [
	(map { $_ eq $app
		? "204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: $app; "
		. PREFLIGHT_VARY : '403 ' . PREFLIGHT_VARY } @origins),
	'200 ' . VARY], 'HTTP/1.1: pipelined preflights');

# HTTP/1.0 keeps a connection only where the end of an answer is known.

$r = http(join '', map { "OPTIONS / HTTP/1.0\nOrigin: $app\n$method\n"
	. "Connection: $_\n\n" } 'keep-alive', 'close');
is(() = $r =~ m{^HTTP/1.1 204}mg, 2, 'HTTP/1.0: kept alive');

###############################################################################
