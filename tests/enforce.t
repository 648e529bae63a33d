#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for enforcement: the decision table of the CrossOriginProtection of Go's
# net/http, with the one rule that differs.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite map proxy auth_basic /)->plan(342);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $uri $trusted {
        default https://trusted.example;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /list {
            cors_allow_origin https://trusted.example;
            cors_enforce      on;
            return 200 "SEE-THIS";
        }

        location /alone {
            cors_enforce on;
            return 200 "SEE-THIS";
        }

        # The same policy, with a value that each request has evaluated.
        location /value {
            cors_allow_origin $trusted;
            cors_enforce      on;
            return 200 "SEE-THIS";
        }

        location /star {
            cors_allow_origin *;
            cors_enforce      on;
            return 200;
        }

        location /null {
            cors_allow_origin null;
            cors_enforce      on;
            return 200;
        }

        location /status {
            cors_enforce       on;
            cors_reject_status 418;
            return 200;
        }

        location /error {
            cors_enforce on;
            error_page 403 =200 /page;
        }

        location /page {
            return 200 "PAGE";
        }

        location /behind {
            cors_allow_origin https://trusted.example;
            cors_enforce      on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /auth {
            cors_allow_origin https://trusted.example;
            cors_enforce      on;
            auth_basic           closed;
            auth_basic_user_file %%TESTDIR%%/htpasswd;
        }

        location /rewrite {
            cors_enforce on;
            rewrite ^ /page last;
        }

        location /arguments {
            cors_allow_origin https://trusted.example;
            cors_enforce      on;
            rewrite ^ /exempt?exempt=1 last;
        }

        location /exempt {
            cors_enforce on;
            cors_bypass  $arg_exempt;
            return 200;
        }

        location /theirs {
            cors_allow_origin https://trusted.example;
            cors_enforce      on;
            cors_override     off;
            add_header        Access-Control-Allow-Origin https://theirs.example always;
            return 200;
        }

        location /off {
            cors_allow_origin https://trusted.example;
            cors_enforce      off;
            return 200;
        }

        location /cors-off {
            cors_enforce on;
            cors         off;
            return 200;
        }

        location /preflight-off {
            cors_allow_origin https://trusted.example;
            cors_enforce      on;
            cors_preflight    off;
            return 200;
        }

        location /internal {
            cors_enforce on;
            internal;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  returns;

        cors_enforce on;

        return 301 https://$host$request_uri;
    }
}

EOF

$t->write_file('htpasswd', '');

my $asked = 0;

$t->run_daemon(\&serve, port(8081), sub {
	return "HTTP/1.0 200 OK\nX-Asked: " . ++$asked . "\n\n";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $trusted = 'https://trusted.example';
my $evil = 'https://attacker.example';

# All of these are sent to https://example.com.

for (

	# method, Sec-Fetch-Site, Origin, whether it passes

	# what the browser says

	['POST', 'same-origin', undef, 1],
	['POST', 'none', undef, 1],
	['POST', 'cross-site', undef, 0],
	['POST', 'same-site', undef, 0],
	['POST', 'same-origin', $evil, 1],
	['POST', 'none', $evil, 1],
	['POST', 'cross-site', 'https://example.com', 0],
	['POST', 'same-site', 'https://example.com', 0],
	['POST', 'same-origin', 'null', 1],
	['POST', 'cross-site', 'null', 0],
	['POST', 'Same-Origin', undef, 0],
	['POST', 'unheard-of', undef, 0],
	['POST', '', undef, 1],
	['POST', '', $evil, 0],

	# what the origin says

	['POST', undef, undef, 1],
	['POST', undef, '', 0],
	['POST', undef, 'https://example.com', 1],
	['POST', undef, 'http://example.com', 1],
	['POST', undef, $evil, 0],
	['POST', undef, 'null', 0],
	['POST', undef, 'https://example.com:8443', 0],
	['POST', undef, 'https://www.example.com', 0],
	['POST', undef, 'https://example.com.attacker.example', 0],
	['POST', undef, 'https://attacker.example/example.com', 0],
	['POST', undef, 'example.com', 0],

	# an allowed origin

	['POST', undef, $trusted, 1],
	['POST', 'cross-site', $trusted, 1],
	['POST', 'same-site', $trusted, 1],
	['POST', undef, "$trusted:8443", 0],

	# other methods that change something

	['PUT', 'cross-site', undef, 0],
	['DELETE', 'cross-site', undef, 0],
	['PATCH', undef, $evil, 0],
	['FOO', undef, $evil, 0],

	# those that do not, without an origin

	['GET', 'cross-site', undef, 1],
	['HEAD', 'cross-site', undef, 1],
	['OPTIONS', 'cross-site', undef, 1],
	['GET', 'same-site', undef, 1],

	# the rule that differs

	['GET', undef, $evil, 0],
	['HEAD', undef, $evil, 0],
	['GET', 'cross-site', $evil, 0],
	['GET', 'same-site', $evil, 0],
	['GET', undef, 'null', 0],
	['GET', 'same-origin', $evil, 1],
	['GET', 'none', $evil, 1],
	['GET', undef, 'https://example.com', 1],
	['GET', 'cross-site', 'https://example.com', 0],
	['GET', undef, $trusted, 1],
	['HEAD', 'cross-site', $trusted, 1],
	['OPTIONS', undef, $evil, 1],
	['OPTIONS', 'cross-site', $evil, 1],
)
{
	my ($method, $site, $origin, $passes) = @$_;
	my $name = join ', ', $method, defined $site ? "'$site'" : 'no site',
		defined $origin ? "'$origin'" : 'no origin';

	for my $uri ('/list', '/alone', '/value') {
		my $allowed = $uri ne '/alone' && ($origin // '') eq $trusted;
		my $through = $passes && ($allowed || ($origin // '') ne $trusted);

		my $r = request($method, $uri, 'Host: example.com',
			defined $site ? "Sec-Fetch-Site: $site" : (),
			defined $origin ? "Origin: $origin" : (), 'Content-Length: 0');

		is(cors($r), ($through ? 200 : 403) . ' '
			. ($allowed ? allowed($origin) : VARY),
			($through ? 'passes' : 'rejected') . ": $uri $name");
		is(content($r), $through && $method ne 'HEAD' ? 'SEE-THIS' : '',
			"content: $uri $name");
	}
}

# Host and port

for (
	['https://example.com', 'example.com', 1],
	['https://example.com:8443', 'example.com:8443', 1],
	['http://example.com:8443', 'example.com:8443', 1],
	['https://example.com', 'example.com:8443', 0],
	['https://example.com:8443', 'example.com', 0],
	['https://example.com:8443', 'example.com:8444', 0],
	['http://127.0.0.1', '127.0.0.1', 1],
	['http://[::1]:3000', '[::1]:3000', 1],
	['https://xample.com', 'example.com', 0],
	['https://example.co', 'example.com', 0],
)
{
	my ($origin, $host, $passes) = @$_;

	is(cors(request('POST', '/alone', "Host: $host", "Origin: $origin",
		'Content-Length: 0')), ($passes ? 200 : 403) . ' ' . VARY,
		"host and port: $origin at $host");
}

is(cors(request('POST', '/list', 'Host: attacker.example', "Origin: $evil",
	"Origin: $evil", 'Content-Length: 0')), '403 ' . VARY,
	'two origins are not the same');
is(cors(http("POST /alone HTTP/1.0\nOrigin: $evil\nContent-Length: 0\n\n")),
	'403 ' . VARY, 'no Host');

# "*" and "null"

for my $origin ($evil, 'null', 'anything') {
	is(cors(request('POST', '/star', "Origin: $origin", 'Content-Length: 0')),
		'200 -Allow-Origin: *', "'*': $origin");
}

is(cors(request('POST', '/null', 'Origin: null', 'Content-Length: 0')),
	'200 ' . allowed('null'), 'null where it is named');
is(cors(request('POST', '/null', "Origin: $evil", 'Content-Length: 0')),
	'403 ' . VARY, 'null where it is named: another');

# The answer

my $r = get('/status', $evil);
is(cors($r), '418 ' . VARY, 'cors_reject_status');
is(content($r), '', 'no body');

$r = get('/error', $evil);
is(cors($r), '403 ' . VARY, 'no error_page');
is(content($r), '', 'no error_page: no body');

# Before anything else sees it

is(header(get('/behind', $trusted), 'X-Asked'), 1, 'the application is asked');
is(header(get('/behind', $evil), 'X-Asked'), '', 'rejected before it is');
request('POST', '/behind', "Origin: $evil", 'Content-Length: 4',
	{ body => 'BODY' });
is(header(get('/behind', $trusted), 'X-Asked'), 2,
	'rejected before it is: POST');

$r = get('/auth', $evil);
is(cors($r), '403 ' . VARY, 'before authentication');
is(header($r, 'WWW-Authenticate'), '', 'before authentication: no challenge');
is(cors(get('/auth', $trusted)), '401 ' . allowed($trusted),
	'authentication of those who pass');
is(cors(get('/rewrite', $evil)), '403 ' . VARY, 'before rewrite');
is(cors(get('/arguments', $evil)), '403 ' . VARY, 'before a rewrite with arguments');
is(cors(get('/arguments', $trusted)), '200', 'a rewrite turns a bypass on');
is(cors(get('/theirs', $evil)), '403 -Allow-Origin: https://theirs.example; ' . VARY,
	'cors_override off leaves the field of others in a rejection');

$r = get('/', $evil, 'Host: returns');
is(cors($r), '403 ' . VARY, 'before return of the server');
is(header($r, 'Location') . content($r), '',
	'before return of the server: no redirect');
is(cors(get('/', undef, 'Host: returns')), '301 ' . VARY,
	'return of the server for those who pass');
is(cors(get('/internal', $evil)), '403 ' . VARY, 'before internal');
is(cors(get('/internal')), '404 ' . VARY, 'internal for those who pass');

# Preflights

is(cors(preflight('/preflight-off', $evil)), '200 ' . PREFLIGHT_VARY,
	'cors_preflight off');
is(cors(preflight('/list', $trusted)),
	"204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: $trusted; "
	. PREFLIGHT_VARY, 'preflight');
is(cors(preflight('/list', $evil)), '403 ' . PREFLIGHT_VARY,
	'preflight: denied');

# Off

is(cors(request('POST', '/off', "Origin: $evil", 'Content-Length: 0')),
	'200 ' . VARY, 'cors_enforce off');
is(cors(request('POST', '/cors-off', "Origin: $evil", 'Content-Length: 0')),
	'200', 'cors off');

# A connection goes on

$r = http(<<"EOF");
POST /list HTTP/1.1
Host: localhost
Origin: $evil
Content-Length: 9

SOME-BODYGET /list HTTP/1.1
Host: localhost
Connection: close

EOF

is(join(' ', $r =~ m{^HTTP/1.1 (\d+)}mg), '403 200',
	'a body is discarded, the connection is kept');

###############################################################################
