#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what README.md says of nginx's own means, in its comparison: they
# are as it has them.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map auth_basic /)
	->plan(23);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $http_origin $allowed {
        https://app.example.com  $http_origin;
        ~app\.example\.org       $http_origin;
        https://slash.example/   $http_origin;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /add_header/ok {
            add_header Access-Control-Allow-Origin https://app.example.com;
            return 200;
        }

        location /add_header {
            add_header Access-Control-Allow-Origin https://app.example.com;

            location /add_header/nested {
                add_header X-Nested 1;
                return 200;
            }

            location /add_header/error {
                return 404;
            }

            location /add_header/always {
                add_header Access-Control-Allow-Origin https://app.example.com
                    always;
                return 404;
            }

            location /add_header/elsewhere {
                add_header Access-Control-Allow-Origin https://app.example.com
                    always;
                error_page 404 /plain;
                return 404;
            }

            location /add_header/app {
                proxy_pass http://127.0.0.1:8081/;
            }

            location /add_header/auth {
                auth_basic           closed;
                auth_basic_user_file %%TESTDIR%%/users;
            }

            location /add_header/slash {
                add_header Access-Control-Allow-Origin https://slash.example/;
                return 200;
            }
        }

        location /map {
            add_header Access-Control-Allow-Origin $allowed always;

            location /map/ok {
                return 200;
            }

            location /map/nested {
                add_header X-Nested 1;
                return 200;
            }

            location /map/error {
                return 404;
            }

            location /map/elsewhere {
                error_page 404 /plain;
                return 404;
            }

            location /map/app {
                proxy_pass http://127.0.0.1:8081/;
            }

            location /map/auth {
                auth_basic           closed;
                auth_basic_user_file %%TESTDIR%%/users;

                if ($request_method = OPTIONS) {
                    return 204;
                }
            }
        }

        location /module {
            cors_allow_origin       https://app.example.com;
            cors_allow_origin_regex https://app\.example\.org;

            location /module/elsewhere {
                error_page 404 /plain;
                return 404;
            }

            location /module/nested {
                add_header X-Nested 1;
                return 200;
            }

            location /module/app {
                proxy_pass http://127.0.0.1:8081/;
            }

            location /module/auth {
                auth_basic           closed;
                auth_basic_user_file %%TESTDIR%%/users;
            }
        }

        location /plain {
            return 404;
        }
    }
}

EOF

$t->write_file('users', '');
$t->run_daemon(\&serve, port(8081), sub {
	return "HTTP/1.0 200 OK\nAccess-Control-Allow-Origin: https://old.example"
		. "\n\n";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $org = 'https://app.example.org';
my $evil = "$org.evil.example";

# add_header

is(origins(get('/add_header/ok', $app)), $app, 'add_header: one origin');
is(origins(get('/add_header/ok', $org)), $app, 'add_header: whoever asks');
is(origins(get('/add_header/error', $app)), '', 'add_header: not on errors');
is(origins(get('/add_header/always', $app)), $app, 'add_header: with always');
is(origins(get('/add_header/elsewhere', $app)), '',
	'add_header: not after error_page');
is(origins(get('/add_header/nested', $app)), '', 'add_header: not nested');
is(origins(get('/add_header/app', $app)), "https://old.example $app",
	'add_header: next to that of the application');
like(preflight('/add_header/auth', $app), qr/^HTTP\S+ 401 /,
	'add_header: a preflight is asked for a password');
is(origins(get('/add_header/slash', $app)), 'https://slash.example/',
	'add_header: a slash is taken');

# map and if

is(origins(get('/map/ok', $app)), $app, 'map: an origin of a list');
is(origins(get('/map/ok', $evil)), $evil, 'map: a part of an origin');
is(origins(get('/map/ok', 'https://slash.example')), '',
	'map: a slash is taken');
is(origins(get('/map/error', $app)), $app, 'map: with always');
is(origins(get('/map/elsewhere', $app)), '', 'map: not after error_page');
is(origins(get('/map/nested', $app)), '', 'map: not nested');
is(origins(get('/map/app', $app)), "https://old.example $app",
	'map: next to that of the application');
like(preflight('/map/auth', $app), qr/^HTTP\S+ 204 /,
	'if: a preflight is answered before passwords');

# The module

is(origins(get('/module/nested', $org)), $org, 'module: an expression');
is(origins(get('/module/nested', $evil)), '', 'module: the whole origin');
is(origins(get('/module/elsewhere', $app)), $app, 'module: after error_page');
is(origins(get('/module/nested', $app)), $app, 'module: nested');
is(origins(get('/module/app', $app)), $app,
	'module: instead of that of the application');
like(preflight('/module/auth', $app), qr/^HTTP\S+ 204 /,
	'module: a preflight is answered before passwords');

###############################################################################

# All that Access-Control-Allow-Origin says.
sub origins {
	my ($response) = @_;

	return join ' ', $response =~ /^Access-Control-Allow-Origin: (.*?)\x0d?$/mg;
}

###############################################################################
