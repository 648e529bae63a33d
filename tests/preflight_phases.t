#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for preflights in front of all that would refuse them.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite access auth_basic auth_request limit_req proxy /)->plan(108);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://app.example.com;

        location /return {
            return 403;
        }

        location /rewrite {
            rewrite ^ /no-policy last;
        }

        location /if {
            if ($request_method = OPTIONS) {
                return 405;
            }
        }

        location /auth_basic {
            auth_basic           closed;
            auth_basic_user_file %%TESTDIR%%/htpasswd;
        }

        location /auth_request {
            auth_request /auth;
        }

        # Its own policy would end a request: subrequests are left alone.
        location = /auth {
            internal;
            cors_allow_origin https://other.example;
            cors_enforce      on;
            proxy_pass http://127.0.0.1:8081/asked;
        }

        location /auth_allows {
            auth_request /auth-allows;
        }

        location = /auth-allows {
            cors_allow_origin https://other.example;
            cors_enforce      on;
            return 204;
        }

        location /deny {
            deny all;
        }

        location /satisfy_any {
            satisfy any;
            deny all;
            auth_basic           closed;
            auth_basic_user_file %%TESTDIR%%/htpasswd;
        }

        location /satisfy_all {
            satisfy all;
            deny all;
            auth_basic           closed;
            auth_basic_user_file %%TESTDIR%%/htpasswd;
        }

        location /limit_except {
            limit_except GET {
                deny all;
            }
        }

        location /limit_req {
            limit_req zone=one;
        }

        location /try_files {
            try_files $uri /no-policy;
        }

        location /try_named {
            try_files $uri @named;
        }

        location @named {
            cors off;
            return 418;
        }

        location /internal {
            internal;
        }

        location /proxy_pass {
            proxy_pass http://127.0.0.1:8081;
        }

        location /redirected/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location = /no-policy {
            cors off;
            return 418;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  rewrites;

        cors_allow_origin https://app.example.com;

        return 301 https://$host$request_uri;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  empty;

        location / {
            cors_allow_origin https://app.example.com;
            root %%TESTDIR%%/none;
        }
    }
}

EOF

$t->write_file('htpasswd', "user:{PLAIN}password\n");
mkdir $t->testdir() . '/dir';
mkdir $t->testdir() . '/auth_allows';
$t->write_file('auth_allows/file', 'SEE-THIS');

# Says how many requests have come.
my $asked = 0;

$t->run_daemon(\&serve, port(8081), sub {
	return "HTTP/1.0 401 Unauthorized\nX-Asked: " . ++$asked . "\n\n";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

my $allowed = "204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: $app; "
	. PREFLIGHT_VARY;
my $denied = '403 ' . PREFLIGHT_VARY;

for (

	# location, what a simple request gets

	['/return', 403],
	['/rewrite', 418],
	['/if', 404],
	['/auth_basic', 401],
	['/auth_request', 401],
	['/auth_allows', 301],
	['/deny', 403],
	['/satisfy_any', 401],
	['/satisfy_all', 403],
	['/limit_except', 404],
	['/try_files', 418],
	['/try_named', 418],
	['/internal', 404],
	['/proxy_pass', 401],
	['/redirected', 301],
	['/dir', 301],
	['/dir/', 403],
	['/no/such/location', 404],
)
{
	my ($uri, $status) = @$_;
	my $r;

	is(cors(preflight($uri, $app, 'DELETE')), $allowed, "answered: $uri");

	$r = preflight($uri, $evil, 'DELETE');
	is(cors($r), $denied, "refused: $uri");
	is(content($r), '', "refused, no body: $uri");
	is(header($r, 'WWW-Authenticate') . header($r, 'Location'), '',
		"refused, nothing of what stands behind: $uri");

	like(get($uri, $app), qr/^HTTP\/1.1 $status /, "stands behind: $uri");
}

is(cors(request('POST', '/limit_except', "Origin: $app")),
	'403 ' . allowed($app), 'stands behind: limit_except');
is(cors(request('OPTIONS', '/limit_except', "Origin: $app")),
	'403 ' . allowed($app), 'stands behind: limit_except, another OPTIONS');
is(cors(request('OPTIONS', '/if', "Origin: $app")),
	'405 ' . allowed($app), 'stands behind: if, another OPTIONS');

# Every request counts, and preflights are none.

get('/limit_req', $app);
is(cors(get('/limit_req', $app)), '503 ' . allowed($app), 'limit_req');
is(cors(preflight('/limit_req', $app)), $allowed, 'answered: limit_req');
is(cors(preflight('/limit_req', $evil)), $denied, 'refused: limit_req');

# The server's own

is(cors(preflight('/', $app, 'PUT', undef, 'Host: rewrites')), $allowed,
	'answered: return of the server');
is(cors(preflight('/', $evil, 'PUT', undef, 'Host: rewrites')), $denied,
	'refused: return of the server');
is(cors(get('/', $app, 'Host: rewrites')), '301 ' . allowed($app),
	'stands behind: return of the server');
is(cors(preflight('/x', $app, 'PUT', undef, 'Host: empty')), $allowed,
	'answered: no such file');

# Subrequests

my $before = header(get('/proxy_pass'), 'X-Asked');
preflight($_, $app), preflight($_, $evil) for '/auth_request', '/proxy_pass';
is(header(get('/proxy_pass'), 'X-Asked'), $before + 1,
	'a preflight has no subrequest and goes to no upstream');

for my $origin ($app, $evil, undef) {
	my $r = get('/auth_allows/file', $origin);

	is(cors($r), '200 ' . (defined $origin && $origin eq $app
		? allowed($app) : VARY), 'a subrequest is left alone');
	is(content($r), 'SEE-THIS', 'a subrequest is left alone: content');
}

is(cors(request('POST', '/auth_request', "Origin: $evil", 'Content-Length: 0')),
	'401 ' . VARY, 'a subrequest is left alone: not rejected');

###############################################################################
