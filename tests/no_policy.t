#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for subrequests of locations without a policy, and redirects from them,
# to locations with a simple one.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite ssi auth_request mirror proxy /)->plan(10);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        add_header X-Cors "$cors_status $cors_origin" always;
        root       %%TESTDIR%%;

        location /list {
            cors_allow_origin https://a.example;
        }

        location /any {
            cors_allow_origin *;
        }

        location /auth {
            auth_request /list;
        }

        location /auth-any {
            auth_request /any;
        }

        location /mirror {
            mirror /list;
            proxy_pass http://127.0.0.1:8081;
        }

        location /ssi {
            ssi on;
        }

        location /error {
            error_page 404 /list;
            return 404;
        }

        location /post {
            post_action /list;
        }

        location /to-named {
            error_page 404 = @named;
            return 404;
        }

        location @named {
            cors_allow_origin https://a.example;
            return 200;
        }

        location /to-other {
            auth_request /list;
            error_page 404 /other;
        }

        location /other {
            cors_allow_origin https://b.example;
        }
    }

    server {
        listen       127.0.0.1:8081;
        server_name  upstream;

        location / {
            return 200;
        }
    }
}

EOC

$t->write_file($_, '') for qw/ list any auth auth-any post other /;
$t->write_file('ssi.html', '<!--#include virtual="/list" --><!--#include virtual="/any" -->');

$t->run();

my $a = 'https://a.example';
my $allowed = "-Allow-Origin: $a; Vary: Origin ALLOWED $a";

for (
	['/auth', '200 '],
	['/auth-any', '200 '],
	['/mirror', '200 '],
	['/ssi.html', '200 '],
	['/post', '200 '],
	['/error', "404 $allowed"],
	['/to-named', "200 $allowed"],
	['/to-other', '404 Vary: Origin DENIED '],
)
{
	my ($uri, $expected) = @$_;
	my $r = get($uri, $a);
	is(cors($r) . ' ' . (header($r, 'X-Cors') // ''), $expected, $uri);
}

# A preflight is answered by the location to which it is redirected.

is(cors(preflight($_, $a)) =~ s/ .*//r, 204, "a preflight: $_") for qw{/error /to-named};

###############################################################################
