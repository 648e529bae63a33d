#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for 103 responses of an application (nginx 1.29): they lose the
# application's fields about CORS, as the final response does.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http proxy /);

plan(skip_all => 'no early_hints') unless $t->has_version('1.29.0');

$t->plan(8);

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

        early_hints 1;
        proxy_http_version 1.1;

        location /policy {
            cors_allow_origin https://a.example;
            proxy_pass http://127.0.0.1:8081;
        }

        location /override {
            cors_allow_origin https://a.example;
            cors_override off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /none {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $port = Test::Nginx::port(8081);
$t->run_daemon(\&serve, $port, sub {
	return "HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload\n"
		. "Access-Control-Allow-Origin: *\n\n"
		. "HTTP/1.1 200 OK\nAccess-Control-Allow-Origin: *\n"
		. "Content-Length: 2\nConnection: close\n\nok";
});
$t->waitforsocket("127.0.0.1:$port");
$t->run();

###############################################################################

for my $origin ('https://a.example', 'https://evil.example') {
	my ($hints, $final) = split /\x0d\n\x0d\n/, get('/policy', $origin);
	like($hints, qr/^HTTP\/1.1 103 .*^Link: /ms, "the 103: $origin");
	unlike($hints, qr/^Access-Control/m, "without fields of CORS: $origin");
	unlike($final, qr/^Access-Control-Allow-Origin: \*/m, "the final one: $origin");
}

for my $uri ('/override', '/none') {
	like(get($uri, 'https://a.example'),
		qr/^HTTP\/1.1 103 .*?^Access-Control-Allow-Origin: \*\x0d\n\x0d/ms,
		"left alone: $uri");
}

###############################################################################
