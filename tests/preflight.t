#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for preflights.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /)->plan(86);

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

        location /alone {
            cors_allow_origin https://app.example.com;
            return 200 "SEE-THIS";
        }

        location /all {
            cors_allow_origin          https://app.example.com null;
            cors_allow_methods         GET PUT DELETE;
            cors_allow_headers         Authorization X-Foo;
            cors_allow_credentials     on;
            cors_expose_headers        X-Request-Id ETag;
            cors_max_age               1h;
            cors_allow_private_network on;
            return 200;
        }

        location /star {
            cors_allow_origin  *;
            cors_allow_methods PUT;
            cors_max_age       10m;
            return 200;
        }

        location /age/seconds {
            cors_allow_origin https://app.example.com;
            cors_max_age      600;
        }

        location /age/minutes {
            cors_allow_origin https://app.example.com;
            cors_max_age      10m;
        }

        location /age/mixed {
            cors_allow_origin https://app.example.com;
            cors_max_age      1h30m;
        }

        location /age/zero {
            cors_allow_origin https://app.example.com;
            cors_max_age      0;
        }

        location /status/200 {
            cors_allow_origin     https://app.example.com;
            cors_preflight_status 200;
            return 418;
        }

        location /status/204 {
            cors_allow_origin     https://app.example.com;
            cors_preflight_status 204;
            return 418;
        }

        location /reject {
            cors_allow_origin  https://app.example.com;
            cors_reject_status 404;
            return 200;
        }

        location /error {
            cors_allow_origin https://app.example.com;
            error_page 403 =200 /error-page;
            return 200;
        }

        location /error-page {
            add_header X-Error page;
            return 200 "ERROR-PAGE";
        }

        location /proxy {
            cors_allow_origin https://app.example.com;
            add_header X-Status $cors_status always;
            proxy_pass http://127.0.0.1:8081;
        }

        location /passed {
            cors_allow_origin https://app.example.com;
            cors_preflight    off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /passed-star {
            cors_allow_origin *;
            cors_preflight    off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /none {
            return 200;
        }

        location /off {
            cors_allow_origin https://app.example.com;
            cors              off;
            return 200;
        }
    }
}

EOF

$t->run_daemon(\&serve, port(8081), sub {
	my ($request) = @_;

	return <<'EOF' . $request;
HTTP/1.0 200 OK
X-Backend: yes
Access-Control-Allow-Origin: https://own.example
Access-Control-Allow-Methods: OWN
Vary: Accept

EOF
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

my $alone = "204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: $app; "
	. PREFLIGHT_VARY;
my $all = "204 -Allow-Credentials: true; -Allow-Headers: Authorization, X-Foo; "
	. "-Allow-Methods: GET, PUT, DELETE; -Allow-Origin: $app; "
	. "-Expose-Headers: X-Request-Id, ETag; -Max-Age: 3600; " . PREFLIGHT_VARY
	. ', Access-Control-Request-Private-Network';

# Allowed

my $r = preflight('/alone', $app, 'GET');
is(cors($r), $alone, 'an origin alone is a complete policy');
is(content($r), '', 'no body');
is(header($r, 'Content-Type'), '', 'no type of a body');
is(header($r, 'Content-Length'), '', 'no length of a body');
is(header($r, 'Transfer-Encoding'), '', 'no chunks of a body');

is(cors(preflight('/all', $app, 'PUT', 'authorization,x-foo')), $all,
	'all that is configured, as written');
is(cors(preflight('/all', 'null')), $all =~ s/\Q$app/null/r, 'null');
is(cors(preflight('/star', $evil)),
	'204 -Allow-Methods: PUT; -Allow-Origin: *; -Max-Age: 600',
	"nothing is added to Vary under '*'");

is(cors(preflight('/age/seconds', $app)) =~ s/.*(-Max-Age: \d+).*/$1/r,
	'-Max-Age: 600', 'cors_max_age 600');
is(cors(preflight('/age/minutes', $app)) =~ s/.*(-Max-Age: \d+).*/$1/r,
	'-Max-Age: 600', 'cors_max_age 10m');
is(cors(preflight('/age/mixed', $app)) =~ s/.*(-Max-Age: \d+).*/$1/r,
	'-Max-Age: 5400', 'cors_max_age 1h30m');
is(cors(preflight('/age/zero', $app)) =~ s/.*(-Max-Age: \d+).*/$1/r,
	'-Max-Age: 0', 'cors_max_age 0');

# What is missing makes no difference

is(cors(preflight('/all', $app, 'GET')), $all, 'no requested headers');
is(cors(preflight('/all', $app, 'GET', '')), $all, 'empty requested headers');
is(cors(preflight('/all', $app, 'PATCH')), $all, 'a method not on the list');
is(cors(preflight('/all', $app, 'PUT', 'x-bar')), $all,
	'a header not on the list');
is(cors(preflight('/all', $app, 'PATCH', 'x-bar,x-baz')), $all,
	'neither on the list');

# Private network

my $pn = 'Access-Control-Request-Private-Network: true';

is(cors(preflight('/all', $app, 'PUT', undef, $pn)),
	$all =~ s/(?=-Expose)/-Allow-Private-Network: true; /r,
	'private network when on and asked for');
is(cors(preflight('/alone', $app, 'PUT', undef, $pn)), $alone,
	'no private network when off');
is(cors(preflight('/all', $app, 'PUT', undef, $pn =~ s/true/false/r)), $all,
	'no private network when not asked for');

# Denied

my $denied = '403 ' . PREFLIGHT_VARY;

for my $origin ($evil, 'null', 'https://app.example.com/', 'x', '') {
	$r = preflight('/alone', $origin);
	is(cors($r), $denied, "denied: '$origin'");
	is(content($r), '', "denied: no body: '$origin'");
}

$r = preflight('/reject', $evil);
is(cors($r), '404 ' . PREFLIGHT_VARY, 'cors_reject_status');
is(content($r), '', 'cors_reject_status: no body');

$r = preflight('/error', $evil);
is(cors($r), $denied, 'no error_page');
is(content($r) . header($r, 'X-Error'), '', 'no error_page: no body');

is(cors(preflight('/error', $app)), $alone, 'no error_page: allowed');

# The status

for my $status (200, 204) {
	$r = preflight("/status/$status", $app);
	is(cors($r), $alone =~ s/204/$status/r, "cors_preflight_status $status");
	is(content($r), '', "cors_preflight_status $status: no body");
	is(cors(preflight("/status/$status", $evil)), $denied,
		"cors_preflight_status $status: denied");
}

is(header(preflight('/status/200', $app), 'Content-Length'), 0,
	'cors_preflight_status 200: the end of the answer is known');

# Any other OPTIONS goes on as usual

my $method = 'Access-Control-Request-Method: PUT';

for (
	['no field', [], VARY],
	['no requested method', ["Origin: $app"], allowed($app)],
	['no origin', [$method], VARY],
	['two origins', ["Origin: $app", "Origin: $app", $method], VARY],
	['two requested methods', ["Origin: $app", $method, $method],
		allowed($app)],
	['two requested methods in one field', ["Origin: $app", "$method, GET"],
		allowed($app)],
	['no requested method, denied', ["Origin: $evil"], VARY],
	['two requested methods, denied', ["Origin: $evil", $method, $method],
		VARY],
)
{
	my ($name, $fields, $expected) = @$_;

	$r = request('OPTIONS', '/alone', @$fields);
	is(cors($r), "200 $expected", "no preflight: $name");
	is(content($r), 'SEE-THIS', "no preflight: $name: content");
}

for my $verb (qw/ GET HEAD POST PUT /) {
	is(cors(request($verb, '/alone', "Origin: $app", $method)),
		'200 ' . allowed($app), "no preflight: $verb");
}

is(cors(preflight('/none', $app)), '200', 'no policy');
is(cors(preflight('/off', $app)), '200', 'cors off');

# The content handler

for ($app, $evil) {
	$r = preflight('/proxy', $_);
	is(header($r, 'X-Backend'), '', "the application is not asked: $_");
}

like(request('OPTIONS', '/proxy', "Origin: $app"), qr/^OPTIONS \/proxy/m,
	'another OPTIONS is passed on');

for my $origin ($app, $evil, 'null') {
	for my $uri ('/passed', '/passed-star') {
		$r = preflight($uri, $origin, 'PUT', 'x-foo');
		is(cors($r), '200 -Allow-Methods: OWN; '
			. '-Allow-Origin: https://own.example; Vary: Accept'
			. ($uri eq '/passed' ? PREFLIGHT_VARY =~ s/^Vary:/,/r : ''),
			"cors_preflight off: the answer is left alone, except for Vary: "
			. "$uri $origin");
		like(content($r), qr/^OPTIONS .*^Access-Control-Request-Method: PUT/ms,
			"cors_preflight off: passed on: $uri $origin");
	}
}

is(cors(get('/passed', $app)), "200 -Allow-Origin: $app; Vary: Accept, Origin",
	'cors_preflight off: other requests');

# Bodies and connections

$r = request('OPTIONS', '/alone', "Origin: $app", $method, 'Content-Length: 9',
	{ body => 'SOME-BODY' });
is(cors($r), $alone, 'a body');

for my $uri ('/alone', '/status/200') {
	my $first = join "\x0d\n", "OPTIONS $uri HTTP/1.1", 'Host: localhost',
		"Origin: $app", $method, 'Content-Length: 9', '', 'SOME-BODY';
	my $denied = $first =~ s/\Q$app/$evil/r;

	$r = http($first . $denied . <<"EOF");
GET /alone HTTP/1.1
Host: localhost
Connection: close

EOF

	is(join(' ', $r =~ m{^HTTP/1.1 (\d+)}mg),
		$uri eq '/alone' ? '204 403 200' : '200 403 200',
		"bodies are discarded, the connection is kept: $uri");
	is(() = $r =~ /SEE-THIS/g, 1, "no body of an answer: $uri");
}

$r = http(<<"EOF" =~ s{\n}{\x0d\n}gr);
OPTIONS /alone HTTP/1.1
Host: localhost
Origin: $app
$method
Transfer-Encoding: chunked
Connection: close

9
SOME-BODY
0

EOF

is(cors($r), $alone, 'a chunked body');

###############################################################################
