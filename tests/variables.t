#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for $cors_status and $cors_origin.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite map proxy /)->plan(180);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format cors "$request_uri [$cors_status] [$cors_origin]";

    map $cors_status $class {
        ""                     none;
        ALLOWED                in;
        "~^PREFLIGHT"          preflight;
        default                out;
    }

    map $cors_origin $own {
        https://app.example.com app;
        default                 "";
    }

    map $uri $by_uri {
        /a       https://app.example.com;
        /b       https://evil.example;
        default  "";
    }

    map "$uri $http_origin" $skip_by_uri {
        "/a https://evil.example"  1;
        "/d https://evil.example"  1;
        default                    "";
    }

    map $arg_m $by_m {
        ~^x      1;
        default  0;
    }

    map $arg_t $by_t {
        ~^(?<named>\w+)$  1;
        default           0;
    }

    log_format status "$cors_status|$cors_origin";

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        access_log %%TESTDIR%%/cors.log cors;

        add_header X-Status $cors_status always;
        add_header X-Origin $cors_origin always;

        location /none {
            return 200;
        }

        location /off {
            cors_allow_origin https://app.example.com;
            cors off;
            return 200;
        }

        location /list {
            cors_allow_origin  https://app.example.com null;
            cors_allow_methods PUT;
            cors_allow_headers X-Foo;

            location /list/enforce {
                cors_enforce on;
                return 200;
            }

            location /list/dry {
                cors_dry_run on;
                return 200;

                location /list/dry/enforce {
                    cors_enforce on;
                    return 200;
                }

                location /list/dry/bypass {
                    cors_bypass 1;
                    return 200;
                }
            }

            location /list/bypass {
                cors_bypass 1;
                return 200;
            }

            location /list/kept {
                cors_override off;
                add_header X-Status $cors_status always;
                add_header X-Origin $cors_origin always;
                add_header Access-Control-Allow-Origin https://other.example;
                return 200;
            }

            location /list/passed {
                cors_preflight off;
                return 200;
            }

            return 200;
        }

        location /star {
            cors_allow_origin *;
            return 200;
        }

        location /enforce {
            cors_enforce on;
            return 200;
        }

        location /map {
            cors_allow_origin https://app.example.com;
            add_header X-Class $class always;
            add_header X-Own $own always;
            return 200;
        }

        location /if {
            cors_allow_origin https://app.example.com;

            if ($cors_status = DENIED) {
                return 451;
            }

            return 200 "$cors_status $cors_origin";
        }

        location /timing {
            cors_allow_origin https://app.example.com;
            add_header Timing-Allow-Origin $cors_origin;
            return 200;
        }

        location /timing-star {
            cors_allow_origin *;
            add_header Timing-Allow-Origin $cors_origin;
            return 200;
        }

        location /error {
            cors_allow_origin https://app.example.com;
            error_page 404 /none;
        }

        location /proxy {
            cors_allow_origin https://app.example.com;
            proxy_set_header X-Status $cors_status;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    # A use before a location is chosen leaves the values alone.
    server {
        listen       127.0.0.1:8080;
        server_name  early-values.localhost;

        cors_allow_origin  $by_uri;
        cors_bypass        $skip_by_uri;

        set      $early $cors_status;
        rewrite  ^/a$ /b;
        rewrite  ^/c$ /d;

        add_header  X-Early $early always;

        location / {
            return  200;
        }
    }

    # nginx reads a variable of "set" twice, and the map in between changes
    # captures.
    server {
        listen       127.0.0.1:8080;
        server_name  captures.localhost;

        cors_allow_origin  "https://$1.example" $arg_v;

        if ($uri ~ ^/(\w+)$) {
            set  $early "[$cors_reason]$by_m";
        }

        if ($arg_return) {
            return  200 "$cors_reason";
        }

        location / {
            return  200 "$early";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  named.localhost;

        cors_allow_origin  "https://app.example.com$named";
        cors_bypass        $named;

        set  $early "[$cors_status][$cors_origin]$by_t";

        location / {
            return  200 "$early";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  enforced.localhost;

        cors_allow_origin  https://app.example.com;
        cors_enforce       on;

        if ($cors_status = REJECTED) {
            return  503;
        }

        location / {
            return  200;
        }
    }

    # What comes after the response.
    server {
        listen       127.0.0.1:8080;
        server_name  post.localhost;

        access_log  %%TESTDIR%%/post.log status;

        location / {
            cors_allow_origin  https://app.example.com;
            post_action        /post;
            return             200;
        }

        location /bare {
            post_action  /post;
            return       200;
        }

        location /post {
            cors_allow_origin  https://evil.example;
            cors_enforce       on;
            proxy_pass         http://127.0.0.1:8081;
        }
    }

    # There is no response.
    server {
        listen       127.0.0.1:8080;
        server_name  closed.localhost;

        access_log  %%TESTDIR%%/closed.log status;

        cors_allow_origin  https://app.example.com;
        cors_enforce       on;
        if ($arg_text) {
            return  444 text;
        }
        if ($arg_left) {
            return  499 text;
        }
        return             444;
    }

    # In three places before the location that the request ends in.
    server {
        listen       127.0.0.1:8080;
        server_name  places.localhost;

        cors_allow_origin  https://app.example.com;

        set  $in_server $cors_status;

        location /first {
            cors_allow_origin  https://evil.example;
            set                $in_first "$in_server $cors_status";
            rewrite            ^ /second last;
        }

        location /second {
            cors_allow_origin  https://app.example.com;
            set                $in_second "$in_first $cors_status";
            rewrite            ^ /third last;
        }

        location /third {
            cors_allow_origin  https://evil.example;
            add_header         X-Places $in_second;
            return             200;
        }
    }

    # Before a location is chosen.
    server {
        listen       127.0.0.1:8080;
        server_name  early.localhost;

        cors_allow_origin   https://app.example.com;
        cors_allow_methods  PUT;
        cors_bypass         $arg_bypass;

        set  $early "[$cors_status] [$cors_origin] [$cors_reason]";

        add_header  X-Early $early always;
        add_header  X-Late "[$cors_status] [$cors_origin]" always;

        location / {
            return  200;
        }

        location /own {
            cors_allow_origin  https://evil.example;
            return             200;
        }

        location /off {
            cors    off;
            return  200;
        }
    }
}

EOF

$t->run_daemon(\&serve, port(8081), sub {
	return "HTTP/1.0 200 OK\n\n$_[0]";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';
my $self = 'http://localhost';
my @cross = ('Sec-Fetch-Site: cross-site');
my @same = ('Sec-Fetch-Site: same-origin');

# $cors_status, $cors_origin

my @simple = (
	['/none', $app, [], '', ''],
	['/off', $app, [], '', ''],
	['/list', undef, [], '', ''],
	['/list', $app, [], 'ALLOWED', $app],
	['/list', 'null', [], 'ALLOWED', 'null'],
	['/list', $evil, [], 'DENIED', ''],
	['/list', '', [], 'DENIED', ''],
	['/list', "$app/", [], 'DENIED', ''],
	['/list', $app, ["Origin: $app"], 'DENIED', ''],
	['/list', $self, [], 'SAME_ORIGIN', ''],
	['/list', 'https://localhost', [], 'SAME_ORIGIN', ''],
	['/list', "$self:81", [], 'DENIED', ''],
	['/list', $evil, \@same, 'SAME_ORIGIN', ''],
	['/list', $evil, ['Sec-Fetch-Site: none'], 'SAME_ORIGIN', ''],
	['/list', $evil, \@cross, 'DENIED', ''],
	['/list', $evil, ['Sec-Fetch-Site: same-site'], 'DENIED', ''],
	['/list', $self, \@cross, 'DENIED', ''],
	['/list', $app, \@same, 'ALLOWED', $app],
	['/list', $app, ['Host: app.example.com'], 'ALLOWED', $app],
	['/list', $evil, ['Host: evil.example'], 'SAME_ORIGIN', ''],
	['/list', "$evil:8443", ['Host: evil.example:8443'], 'SAME_ORIGIN', ''],
	['/star', undef, [], '', '*'],
	['/star', $app, [], 'ALLOWED', '*'],
	['/star', 'anything', [], 'ALLOWED', '*'],
	['/enforce', undef, [], '', ''],
	['/enforce', $self, [], 'SAME_ORIGIN', ''],
	['/enforce', $evil, [], 'REJECTED', ''],
	['/list/enforce', undef, [], '', ''],
	['/list/enforce', $app, [], 'ALLOWED', $app],
	['/list/enforce', $self, [], 'SAME_ORIGIN', ''],
	['/list/enforce', $evil, [], 'REJECTED', ''],
	['/list/bypass', undef, [], '', ''],
	['/list/bypass', $app, [], 'BYPASS', ''],
	['/list/bypass', $evil, [], 'BYPASS', ''],
	['/list/kept', $app, [], 'ALLOWED', $app],
	['/list/kept', $evil, [], 'DENIED', ''],
	['/list/dry', undef, [], '', ''],
	['/list/dry', $app, [], 'ALLOWED_DRY_RUN', ''],
	['/list/dry', $evil, [], 'DENIED_DRY_RUN', ''],
	['/list/dry', $self, [], 'SAME_ORIGIN_DRY_RUN', ''],
	['/list/dry/enforce', $evil, [], 'REJECTED_DRY_RUN', ''],
	['/list/dry/bypass', $evil, [], 'BYPASS_DRY_RUN', ''],
);

for (@simple) {
	my ($uri, $origin, $fields, $status, $allowed) = @$_;
	my $name = join ' ', $uri, $origin // 'no origin', @$fields;
	my $r = get($uri, $origin, @$fields);

	is(header($r, 'X-Status'), $status, "status: $name");
	is(header($r, 'X-Origin'), $allowed, "origin: $name");
}

my @preflights = (
	['/none', $app, 'PUT', undef, '', ''],
	['/list', $app, 'PUT', 'x-foo', 'PREFLIGHT', $app],
	['/list', $app, 'GET', undef, 'PREFLIGHT', $app],
	['/list', $evil, 'PUT', 'x-foo', 'PREFLIGHT_ORIGIN_DENIED', ''],
	['/list', $evil, 'DELETE', 'x-bar', 'PREFLIGHT_ORIGIN_DENIED', ''],
	['/list', $app, 'DELETE', 'x-foo', 'PREFLIGHT_METHOD_DENIED', $app],
	['/list', $app, 'PUT', 'x-bar', 'PREFLIGHT_HEADER_DENIED', $app],
	['/list', $app, 'DELETE', 'x-bar', 'PREFLIGHT_METHOD_DENIED', $app],
	['/star', $evil, 'GET', undef, 'PREFLIGHT', '*'],
	['/list/enforce', $app, 'PUT', undef, 'PREFLIGHT', $app],
	['/list/enforce', $evil, 'PUT', undef, 'PREFLIGHT_ORIGIN_DENIED', ''],
	['/list/bypass', $app, 'PUT', undef, 'BYPASS', ''],
	['/list/dry', $app, 'PUT', undef, 'PREFLIGHT_DRY_RUN', ''],
	['/list/dry', $evil, 'PUT', undef, 'PREFLIGHT_ORIGIN_DENIED_DRY_RUN', ''],
	['/list/dry', $app, 'DELETE', undef, 'PREFLIGHT_METHOD_DENIED_DRY_RUN', ''],
	['/list/dry', $app, 'PUT', 'x-bar', 'PREFLIGHT_HEADER_DENIED_DRY_RUN', ''],
);

for (@preflights) {
	my ($uri, $origin, $method, $headers, $status, $allowed) = @$_;
	my $name = join ' ', $uri, $origin, $method, $headers // '';
	my $r = preflight($uri, $origin, $method, $headers);

	is(header($r, 'X-Status'), $status, "status of a preflight: $name");
	is(header($r, 'X-Origin'), $allowed, "origin of a preflight: $name");
}

is(header(preflight('/list/passed', $app), 'X-Origin'), '',
	'no origin where the answer is left alone');
is(header(get('/list/kept', $app), 'Access-Control-Allow-Origin'),
	'https://other.example', 'the field that is kept');
is(header(request('OPTIONS', '/list', "Origin: $app"), 'X-Status'), 'ALLOWED',
	'no preflight');

# Where they are used

my $r = get('/map', $app);
is(header($r, 'X-Class') . ' ' . header($r, 'X-Own'), 'in app', 'map: allowed');
is(header(get('/map', $evil), 'X-Class'), 'out', 'map: denied');
is(header(get('/map'), 'X-Class'), 'none', 'map: no origin');
is(header(preflight('/map', $app), 'X-Class'), 'preflight', 'map: preflight');

is(cors(get('/if', $evil)), '451 ' . VARY, 'if');
is(content(get('/if', $app)), "ALLOWED $app", 'return');
is(cors($r = get('/if')), '200 ' . VARY, 'if: no origin');
is(content($r), ' ', 'return: no origin');

like(get('/proxy', $app), qr/^X-Status: ALLOWED\x0d$/m, 'proxy_set_header');
like(get('/proxy', $evil), qr/^X-Status: DENIED\x0d$/m,
	'proxy_set_header: denied');
unlike(content(get('/proxy')), qr/^X-Status/m, 'proxy_set_header: no origin');

is(header(get('/timing', $app), 'Timing-Allow-Origin'), $app,
	'Timing-Allow-Origin');
is(header(get('/timing', $evil), 'Timing-Allow-Origin'), '',
	'Timing-Allow-Origin: denied');
is(header(get('/timing'), 'Timing-Allow-Origin'), '',
	'Timing-Allow-Origin: no origin');
is(header(get('/timing-star'), 'Timing-Allow-Origin'), '*',
	"Timing-Allow-Origin: '*'");

$r = get('/error', $app);
is(header($r, 'X-Status') . ' ' . header($r, 'X-Origin'), "ALLOWED $app",
	'after an internal redirect');
is(header(get('/error', $evil), 'X-Status'), 'DENIED',
	'after an internal redirect: denied');

# Before a location is chosen, they are about the policy of the server.

my $reason = "origin \"$evil\" is not allowed by cors_allow_origin or "
	. 'cors_allow_origin_regex';
for my $row (
	['/', $app, "[ALLOWED] [$app] []", "[ALLOWED] [$app]"],
	['/', $evil, "[DENIED] [] [$reason]", '[DENIED] []'],
	['/own', $app, "[ALLOWED] [$app] []", '[DENIED] []'],
	['/own', $evil, "[DENIED] [] [$reason]", "[ALLOWED] [$evil]"],
	['/off', $app, "[ALLOWED] [$app] []", '[] []'],
	['/?bypass=1', $app, '[BYPASS] [] []', '[BYPASS] []'],
)
{
	my ($uri, $origin, $early, $late) = @$row;
	$r = get($uri, $origin, 'Host: early.localhost');
	is(header($r, 'X-Early'), $early, "in the server: $uri $origin");
	is(header($r, 'X-Late'), $late, "in the location: $uri $origin");
}

is(header(get('/first', $app, 'Host: places.localhost'), 'X-Places'), 'ALLOWED DENIED ALLOWED', 'each place has its own');
is(header(get('/first', $evil, 'Host: places.localhost'), 'X-Places'), 'DENIED ALLOWED DENIED', 'each place has its own: another origin');

# A use before that leaves the values of the decision alone.

for my $row (
	['/a', $app, 'ALLOWED', '200 Vary: Origin'],
	['/a', $evil, 'BYPASS', "200 -Allow-Origin: $evil; Vary: Origin"],
	['/c', $evil, 'DENIED', '200'],
)
{
	my ($uri, $origin, $early, $fields) = @$row;
	$r = get($uri, $origin, 'Host: early-values.localhost');
	is(cors($r), $fields, "values of the location: $uri $origin");
	is(header($r, 'X-Early'), $early, "values of the server: $uri $origin");
}

# A decision before a location is made once.

my $captured = 'https://one.example';
is(content(get('/one?m=x', $captured, 'Host: captures.localhost')), '[]1',
	'captures: allowed twice');
is(content(get('/one?m=x', $evil, 'Host: captures.localhost')), "[$reason]1",
	'captures: denied twice');
is(content(get('/?t=' . 'a' x 35, $app . 'a' x 35, 'Host: named.localhost')),
	'[DENIED][]1', 'named captures: denied twice');
is(content(get('/?t=foo', $app, 'Host: named.localhost')),
	"[ALLOWED][$app]1", 'named captures: allowed twice');
like(content(get("/?return=1&v=$app", "$app:81", 'Host: captures.localhost')),
	qr/; nearest: \Q$app\E \(another port\)$/, 'the nearest value of a variable');

for my $row (
	['503', 'GET', '/', "Origin: $evil"],
	['503', 'POST', '/', 'Content-Length: 0', 'Sec-Fetch-Site: cross-site'],
	['200', 'GET', '/', "Origin: $app"],
)
{
	my ($status, @request) = @$row;
	is(cors(request(@request, 'Host: enforced.localhost')) =~ s/ .*//r, $status,
		"enforced before a location: @request");
}

# post_action

is(cors(get('/', $app, 'Host: post.localhost')), "200 -Allow-Origin: $app; Vary: Origin",
	'before post_action');
is(cors(get('/bare', $app, 'Host: post.localhost')), '200', 'no policy before post_action');

# No response

for ([GET => '/', "Origin: $app"], [GET => '/', "Origin: $evil"],
	[OPTIONS => '/', "Origin: $evil", 'Access-Control-Request-Method: PUT'],
	[POST => '/', 'Content-Length: 0', 'Sec-Fetch-Site: cross-site'])
{
	is(request(@$_, 'Host: closed.localhost') || '', '', "no response: @$_");
}

# nginx sends a text even with these.

for my $uri (qw{ /?text=1 /?left=1 }) {
	like(cors(get($uri, $app, 'Host: closed.localhost')), qr/^4(44|99) .*-Allow-Origin: $app/,
		"a text: $uri");
	is(cors(get($uri, $evil, 'Host: closed.localhost')), '403 Vary: Origin', "a text, rejected: $uri");
	is(cors(preflight($uri, $evil, 'GET', undef, 'Host: closed.localhost')) =~ s/ .*//r, '403',
		"a text, preflight: $uri");
}

# In the log

$t->stop();

is($t->read_file('closed.log'), "ALLOWED|$app\nDENIED|\nDENIED|\n|\n" . "ALLOWED|$app\nREJECTED|\nPREFLIGHT_ORIGIN_DENIED|\n" x 2,
	'a request without a response is not rejected');

is($t->read_file('post.log'), "ALLOWED|$app\n|\n", 'post_action in the log');

my @lines = split /\n/, $t->read_file('cors.log');

is_deeply([@lines[0 .. $#simple]],
	[map { "$$_[0] [$$_[3]] [$$_[4]]" } @simple], 'log_format');
is_deeply([@lines[@simple .. $#simple + @preflights]],
	[map { "$$_[0] [$$_[4]] [$$_[5]]" } @preflights],
	'log_format: preflights');

###############################################################################
