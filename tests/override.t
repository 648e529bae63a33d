#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for headers that applications and other modules have set.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /)->plan(146);

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

        location / {
            cors_allow_origin https://app.example.com;
            proxy_pass http://127.0.0.1:8081;
        }

        location /star/ {
            cors_allow_origin *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            cors_allow_origin      https://app.example.com;
            cors_allow_credentials on;
            cors_override          off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off-star/ {
            cors_allow_origin *;
            cors_override     off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /added {
            cors_allow_origin https://app.example.com;
            add_header Access-Control-Allow-Origin https://own.example always;
            add_header X-Kept yes always;
            return 200;
        }

        location /off-added {
            cors_allow_origin https://app.example.com;
            cors_override     off;
            add_header Access-Control-Allow-Origin https://own.example always;
            return 200;
        }

        location /enforce/ {
            cors_allow_origin https://app.example.com;
            cors_override     off;
            cors_enforce      on;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my %sets = (
	none => '',
	same => "Access-Control-Allow-Origin: https://app.example.com\n"
		. "Vary: Origin\n",
	other => "Access-Control-Allow-Origin: https://own.example\n",
	star => "Access-Control-Allow-Origin: *\n",
	lower => "access-control-allow-origin: https://own.example\n"
		. "access-control-allow-credentials: true\nvary: origin\n",
	twice => "Access-Control-Allow-Origin: https://own.example\n"
		. "Access-Control-Allow-Origin: *\n",
	all => "Access-Control-Allow-Origin: https://own.example\n"
		. "Access-Control-Allow-Credentials: true\n"
		. "Access-Control-Allow-Methods: GET, OWN\n"
		. "Access-Control-Allow-Headers: X-Own\n"
		. "Access-Control-Expose-Headers: X-Own\n"
		. "Access-Control-Max-Age: 86400\n"
		. "Access-Control-Allow-Private-Network: true\n"
		. "Access-Control-Foo: bar\n",
	without => "Access-Control-Expose-Headers: X-Own\n",
);

$t->run_daemon(\&serve, port(8081), sub {
	my ($status, $what) = $_[0] =~ m{/(\d+)/(\w+)} or return '';

	return "HTTP/1.0 $status X\nX-Backend: yes\n$sets{$what}\nSEE-THIS";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

for my $status (200, 404, 500) {
	for my $what (sort keys %sets) {
		my $uri = "/$status/$what";
		my $vary = $what eq 'lower' ? 'Vary: origin' : VARY;

		is(cors(get($uri, $app)), "$status -Allow-Origin: $app; $vary",
			"replaced: $uri");
		is(cors(get($uri, $evil)), "$status $vary",
			"removed when denied: $uri");
		is(cors(get($uri)), "$status $vary", "removed, no origin: $uri");

		$vary = $what eq 'lower' ? '; Vary: origin'
			: $what eq 'same' ? '; Vary: Origin' : '';

		is(cors(get("/star$uri", $evil)), "$status -Allow-Origin: *$vary",
			"replaced by '*': $uri");
	}
}

is(cors(request('OPTIONS', '/200/all', "Origin: $app")),
	'200 ' . allowed($app), 'replaced: OPTIONS');
is(header(get('/200/all', $app), 'X-Backend'), 'yes', 'other headers stay');
is(cors(get('/added', $app)), '200 ' . allowed($app), 'add_header replaced');
is(cors(get('/added', $evil)), '200 ' . VARY, 'add_header removed');
is(header(get('/added', $app), 'X-Kept'), 'yes', 'other add_headers stay');

# cors_override off

for my $origin ($app, $evil, undef) {
	my $name = $origin // 'no origin';

	for (['same', "-Allow-Origin: $app; Vary: Origin"],
		['other', '-Allow-Origin: https://own.example'],
		['star', '-Allow-Origin: *'],
		['lower', '-Allow-Credentials: true; '
			. '-Allow-Origin: https://own.example; Vary: origin'],
		['twice', '-Allow-Origin: *; -Allow-Origin: https://own.example'],
		['all', '-Allow-Credentials: true; -Allow-Headers: X-Own; '
			. '-Allow-Methods: GET, OWN; -Allow-Origin: https://own.example; '
			. '-Allow-Private-Network: true; -Expose-Headers: X-Own; '
			. '-Foo: bar; -Max-Age: 86400'])
	{
		my ($what, $expected) = @$_;

		is(cors(get("/off/200/$what", $origin)), "200 $expected"
			. ($expected =~ /Vary/ ? '' : '; Vary: Origin'),
			"left alone, except for Vary: $what, $name");
		is(cors(get("/off-star/404/$what", $origin)), "404 $expected",
			"left alone under '*': $what, $name");
	}

	is(cors(get('/off-added', $origin)), '200 -Allow-Origin: '
		. 'https://own.example; Vary: Origin',
		"left alone, except for Vary: add_header, $name");
}

is(cors(get('/off/200/none', $app)),
	'200 -Allow-Credentials: true; ' . allowed($app),
	'cors_override off: nothing is there');
is(cors(get('/off/200/none', $evil)), '200 ' . VARY,
	'cors_override off: nothing is there, denied');
is(cors(get('/off-star/200/none', $evil)), '200 -Allow-Origin: *',
	"cors_override off: nothing is there, '*'");

# What the module answers is its own

my $r = preflight('/off/200/all', $app);
is(cors($r), '204 -Allow-Credentials: true; -Allow-Methods: GET, HEAD, POST; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY,
	'cors_override off: preflight');
is(header($r, 'X-Backend'), '', 'cors_override off: preflight not passed on');
is(cors(get('/enforce/200/all', $evil)), '403 ' . VARY,
	'cors_override off: rejected');

###############################################################################
