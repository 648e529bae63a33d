#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for cors_bypass.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /)->plan(32);

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
            cors_bypass $arg_a $http_x_bypass;
            proxy_pass http://127.0.0.1:8081;
        }

        location /text {
            cors_bypass "$arg_a$arg_b";
            proxy_pass http://127.0.0.1:8081;
        }

        location /repeated {
            cors_bypass $arg_a;
            cors_bypass $arg_b;
            proxy_pass http://127.0.0.1:8081;
        }

        location /always {
            cors_bypass  1;
            cors_enforce on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /star {
            cors_allow_origin *;
            cors_bypass       $arg_a;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_daemon(\&serve, port(8081), sub {
	return <<"EOF";
HTTP/1.0 200 OK
Access-Control-Allow-Origin: https://own.example
Access-Control-Foo: bar
Vary: Accept

$_[0]
EOF
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';
my $own = '200 -Allow-Origin: https://own.example; -Foo: bar; Vary: Accept';
my $ours = "200 -Allow-Origin: $app; Vary: Accept, Origin";

for (
	['/?a=1', $own],
	['/?a=x', $own],
	['/?a=00', $own],
	['/?a=off', $own],
	['/?a=%30', $own],
	['/?a=0', $ours],
	['/?a=', $ours],
	['/', $ours],
	['/text?a=1', $own],
	['/text?b=1', $own],
	['/text?a=0&b=0', $own],
	['/text?a=0', $ours],
	['/text', $ours],
	['/repeated?a=1', $own],
	['/repeated?b=1', $own],
	['/repeated?a=0&b=0', $ours],
	['/always', $own],
	['/star?a=1', $own],
	['/star?a=0', '200 -Allow-Origin: *; Vary: Accept'],
)
{
	my ($uri, $expected) = @$_;

	is(cors(get($uri, $app)), $expected, "neither empty nor 0: $uri");
}

is(cors(get('/', $app, 'X-Bypass: 1')), $own, 'one of several values');
is(cors(get('/?a=0', $app, 'X-Bypass: 0')), $ours, 'none of several values');

for my $origin ($evil, 'null', undef) {
	is(cors(get('/?a=1', $origin)), $own,
		'the module does nothing: ' . ($origin // 'no origin'));
}

for my $origin ($app, $evil) {
	my $r = preflight('/?a=1', $origin);

	is(cors($r), $own, "the module does nothing: preflight $origin");
	like($r, qr/^OPTIONS /m, "passed on: preflight $origin");
	is(cors(request('POST', '/always', "Origin: $origin",
		'Content-Length: 0')), $own, "nothing is enforced: $origin");
}

is(cors(preflight('/?a=0', $app)), '204 -Allow-Methods: GET, HEAD, POST; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY, 'preflight');
is(cors(preflight('/', $evil)), '403 ' . PREFLIGHT_VARY, 'preflight: denied');

###############################################################################
