#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for internal redirects to a location that evaluates settings of the
# server: they are those of the request as the client sent it, although the
# redirect has other arguments.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite map /)->plan(31);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $arg_tenant $tenant {
        one  https://one.example;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_bypass        $arg_bypass;
        cors_allow_origin  $tenant;

        location /replaces-bypass {
            cors_bypass  $http_x_bypass;
            error_page   404 /own;
        }

        location /replaces-origins {
            cors_allow_origin  https://first.example;
            error_page         404 /own;
        }

        location /replaces-both {
            cors_bypass        $http_x_bypass;
            cors_allow_origin  https://first.example;
            error_page         404 /own;
        }

        location /replaces-both-with-any {
            cors_bypass        $http_x_bypass;
            cors_allow_origin  *;
            error_page         404 /own;
        }

        location /off {
            cors        off;
            error_page  404 /own;
        }

        location /inherits {
            error_page  404 /own;
        }

        location /only-bypass {
            error_page  404 /own-bypass;
        }

        location /own {
            cors_expose_headers  X-Own;
            return               200;
        }

        location /own-bypass {
            cors_bypass  $http_x_bypass;
            return       200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  bypass.localhost;

        # Without an origin, the server itself has no policy.
        cors_bypass  $arg_bypass;

        location /first {
            cors_bypass        $http_x_bypass;
            cors_allow_origin  https://first.example;
            error_page         404 /own;
        }

        location /own {
            cors_allow_origin  https://one.example;
            return             200;
        }
    }
}

EOF

$t->run();

###############################################################################

my $one = 'https://one.example';

for my $location (qw!
	/replaces-bypass /replaces-origins /replaces-both
	/replaces-both-with-any /off /inherits
!) {
	is(cors(get("$location?tenant=one", $one)),
		"404 -Allow-Origin: $one; -Expose-Headers: X-Own; Vary: Origin",
		"the variable: $location");
	is(cors(get($location, $one)), '404 Vary: Origin',
		"the variable, without a value: $location");
	is(cors(get("$location?tenant=one&bypass=1", $one)), '404',
		"the bypass: $location");
	is(cors(get("$location?bypass=1")), '404',
		"the bypass, without an origin: $location");
}

# A bypassed request has not needed the variable.
is(cors(get('/only-bypass?tenant=one&bypass=1', $one)),
	"404 -Allow-Origin: $one; Vary: Origin", 'the variable, bypassed before');
is(cors(get('/only-bypass?bypass=1', $one)), '404 Vary: Origin',
	'the variable without a value, bypassed before');
is(cors(get('/only-bypass?tenant=one', $one, 'X-Bypass: 1')), '404',
	'bypassed by the second location');
is(cors(get('/only-bypass?tenant=one', $one)),
	"404 -Allow-Origin: $one; Vary: Origin", 'bypassed by neither');

my @server = ('Host: bypass.localhost');

is(cors(get('/first?bypass=1', $one, @server)), '404',
	'a server without a policy: bypassed');
is(cors(get('/first', $one, @server)),
	"404 -Allow-Origin: $one; Vary: Origin", 'a server without a policy');
is(cors(get('/first', $one, @server, 'X-Bypass: 1')),
	"404 -Allow-Origin: $one; Vary: Origin",
	'a server without a policy: bypassed by the first location alone');

###############################################################################
