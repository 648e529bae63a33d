#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what responses get.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(97);

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

        location /list {
            cors_allow_origin https://app.example.com https://b.example.com;
            return 200 "SEE-THIS";
        }

        location /expression {
            cors_allow_origin_regex ^https://\w+\.example\.com$;
            return 200;
        }

        location /null {
            cors_allow_origin null;
            return 200;
        }

        location /all {
            cors_allow_origin          https://app.example.com;
            cors_allow_methods         GET PUT;
            cors_allow_headers         Authorization X-Foo;
            cors_allow_credentials     on;
            cors_expose_headers        X-Request-Id ETag;
            cors_max_age               600;
            cors_allow_private_network on;
            return 200;
        }

        location /star {
            cors_allow_origin   *;
            cors_expose_headers X-Request-Id;
            return 200 "SEE-THIS";
        }

        location /expose-all {
            cors_allow_origin   https://app.example.com;
            cors_expose_headers *;
            return 200;
        }

        location /none {
            return 200;
        }

        location /none-own {
            add_header Access-Control-Allow-Origin https://own.example;
            add_header Access-Control-Foo bar;
            add_header Vary Accept;
            return 200;
        }

        location /off {
            cors_allow_origin https://app.example.com;
            cors off;
            add_header Access-Control-Allow-Origin https://own.example;
            return 200;
        }

        # No origin rule, so no policy.
        location /no-rule {
            cors_allow_methods GET;
            add_header Access-Control-Allow-Origin https://own.example;
            return 200;
        }

        location /own {
            cors_allow_origin https://app.example.com;
            add_header access-control-allow-origin https://own.example always;
            add_header Access-Control-Allow-Origin * always;
            add_header Access-Control-Allow-Credentials true always;
            add_header Access-Control-Foo bar always;
            add_header X-Own kept always;
            return 200;
        }

        location /status/ {
            cors_allow_origin https://app.example.com;

            location /status/200 { return 200; }
            location /status/201 { return 201; }
            location /status/204 { return 204; }
            location /status/301 { return 301 /; }
            location /status/302 { return 302 /; }
            location /status/303 { return 303 /; }
            location /status/307 { return 307 /; }
            location /status/308 { return 308 /; }
            location /status/400 { return 400; }
            location /status/401 { return 401; }
            location /status/403 { return 403; }
            location /status/404 { return 404; }
            location /status/405 { return 405; }
            location /status/410 { return 410; }
            location /status/418 { return 418 "SEE-THIS"; }
            location /status/429 { return 429; }
            location /status/500 { return 500; }
            location /status/502 { return 502; }
            location /status/503 { return 503; }
            location /status/504 { return 504; }
        }
    }
}

EOF

$t->run();

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

# No Origin

is(cors(get('/list')), '200 ' . VARY, 'no origin: list');
is(cors(get('/expression')), '200 ' . VARY, 'no origin: expression');
is(cors(get('/null')), '200 ' . VARY, 'no origin: null');
is(cors(get('/all')), '200 ' . VARY, 'no origin: all there is');
is(cors(get('/star')), '200 -Allow-Origin: *; -Expose-Headers: X-Request-Id',
	"no origin: what an allowed request gets under '*'");

# Allowed

is(cors(get('/list', $app)), '200 ' . allowed($app), 'allowed');
is(cors(get('/list', 'https://b.example.com')),
	'200 ' . allowed('https://b.example.com'), 'allowed, the other');
is(cors(get('/expression', $app)), '200 ' . allowed($app),
	'allowed by an expression');
is(cors(get('/null', 'null')), '200 ' . allowed('null'), 'allowed: null');
is(cors(get('/all', $app)), "200 -Allow-Credentials: true; "
	. "-Allow-Origin: $app; -Expose-Headers: X-Request-Id, ETag; " . VARY,
	'allowed with credentials and exposed headers, nothing of a preflight');
is(cors(get('/star', $app)),
	'200 -Allow-Origin: *; -Expose-Headers: X-Request-Id', "allowed by '*'");
is(cors(get('/expose-all', $app)),
	"200 -Allow-Origin: $app; -Expose-Headers: *; " . VARY,
	'all headers exposed');

for my $method (qw/ HEAD POST PUT PATCH DELETE FOO /) {
	is(cors(request($method, '/list', "Origin: $app")),
		'200 ' . allowed($app), "allowed, $method");
}

is(cors(request('GET', '/all', "Origin: $app",
	'Access-Control-Request-Method: PUT',
	'Access-Control-Request-Headers: x-foo',
	'Access-Control-Request-Private-Network: true')),
	"200 -Allow-Credentials: true; -Allow-Origin: $app; "
	. "-Expose-Headers: X-Request-Id, ETag; " . VARY, 'no preflight but OPTIONS');

# Denied

for my $uri (qw{ /list /expression /null /all /expose-all }) {
	is(cors(get($uri, $evil)), '200 ' . VARY, "denied, $uri");
}

is(content(get('/list', $evil)), 'SEE-THIS',
	'denied: the content is served');

# No policy

for my $origin (undef, $app) {
	is(cors(get('/none', $origin)), '200', 'no policy');
	is(cors(get('/none-own', $origin)), '200 -Allow-Origin: '
		. 'https://own.example; -Foo: bar; Vary: Accept',
		'no policy: headers of others stay');
	is(cors(get('/off', $origin)), '200 -Allow-Origin: https://own.example',
		'cors off');
	is(cors(get('/no-rule', $origin)),
		'200 -Allow-Origin: https://own.example', 'no policy without a rule');
}

# add_header

is(cors(get('/own', $app)), '200 ' . allowed($app), 'add_header is replaced');
is(cors(get('/own', $evil)), '200 ' . VARY, 'add_header is removed: denied');
is(cors(get('/own')), '200 ' . VARY, 'add_header is removed: no origin');
is(header(get('/own', $app), 'X-Own'), 'kept', 'other headers stay');

# On every status

for my $status (qw/ 200 201 204 301 302 303 307 308 400 401 403 404 405 410 418
	429 500 502 503 504 /)
{
	my $uri = "/status/$status";

	is(cors(get($uri, $app)), "$status " . allowed($app), "$status: allowed");
	is(cors(get($uri, $evil)), "$status " . VARY, "$status: denied");
	is(cors(get($uri)), "$status " . VARY, "$status: no origin");
}

###############################################################################
