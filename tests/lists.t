#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the lists: how they are written, what "*" stands for, how requested
# headers are read.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(101);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    add_header X-Status $cors_status always;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://app.example.com;

        # How lists are written

        location /spaces {
            cors_allow_origin   https://app.example.com https://b.example.com;
            cors_allow_methods  GET PUT DELETE;
            cors_allow_headers  X-One X-Two X-Three;
            cors_expose_headers X-Four X-Five X-Six;
        }

        location /commas {
            cors_allow_origin   https://app.example.com,https://b.example.com;
            cors_allow_methods  GET,PUT,DELETE;
            cors_allow_headers  X-One,X-Two,X-Three;
            cors_expose_headers X-Four,X-Five,X-Six;
        }

        location /both {
            cors_allow_origin   https://app.example.com, https://b.example.com;
            cors_allow_methods  GET, PUT, DELETE;
            cors_allow_headers  X-One, X-Two,X-Three;
            cors_expose_headers X-Four, X-Five,X-Six;
        }

        location /quoted {
            cors_allow_origin   'https://app.example.com https://b.example.com';
            cors_allow_methods  'GET, PUT, DELETE';
            cors_allow_headers  "X-One,X-Two X-Three";
            cors_expose_headers " X-Four , X-Five,,X-Six ";
        }

        location /repeated {
            cors_allow_origin   https://app.example.com;
            cors_allow_methods  GET;
            cors_allow_headers  X-One;
            cors_expose_headers X-Four;
            cors_allow_origin   https://b.example.com;
            cors_allow_methods  PUT DELETE;
            cors_allow_headers  X-Two, X-Three;
            cors_expose_headers 'X-Five, X-Six';
        }

        # "*"

        location /star {
            cors_allow_methods  *;
            cors_allow_headers  *;
            cors_expose_headers *;
        }

        location /star-all {
            cors_allow_origin  *;
            cors_allow_methods *;
            cors_allow_headers *;
        }

        location /star-credentials {
            cors_allow_methods     *;
            cors_allow_headers     *;
            cors_allow_credentials on;
        }

        location /star-authorization {
            cors_allow_headers * Authorization;
        }

        location /star-authorization-credentials {
            cors_allow_headers     * Authorization;
            cors_allow_credentials on;
        }

        # What a list lets through

        location /default {
        }

        location /put {
            cors_allow_methods PUT FOO patch-x;
        }

        location /headers {
            cors_allow_methods PUT;
            cors_allow_headers X-One x-two Authorization;
        }
    }
}

EOF

$t->run();

###############################################################################

my $app = 'https://app.example.com';

# How lists are written

for my $uri (qw{ /spaces /commas /both /quoted /repeated }) {
	is(cors(preflight($uri, $_)), '204 -Allow-Headers: X-One, X-Two, X-Three; '
		. "-Allow-Methods: GET, PUT, DELETE; -Allow-Origin: $_; "
		. '-Expose-Headers: X-Four, X-Five, X-Six; ' . PREFLIGHT_VARY,
		"lists take spaces, commas or both, and may be repeated: $uri $_")
		for $app, 'https://b.example.com';
}

is(cors(preflight('/put', $app)), '204 -Allow-Methods: PUT, FOO, patch-x; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY, 'methods as written');
is(cors(preflight('/headers', $app)), '204 '
	. '-Allow-Headers: X-One, x-two, Authorization; -Allow-Methods: PUT; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY, 'header names as written');

# "*"

is(cors(preflight('/star', $app, 'FOO', 'x-a')), '204 -Allow-Headers: *; '
	. "-Allow-Methods: *; -Allow-Origin: $app; -Expose-Headers: *; "
	. PREFLIGHT_VARY, "'*' without credentials");
is(cors(preflight('/star-all', $app, 'FOO', 'x-a')),
	'204 -Allow-Headers: *; -Allow-Methods: *; -Allow-Origin: *',
	"'*' everywhere");
is(cors(preflight('/star-authorization', $app)),
	'204 -Allow-Headers: *, Authorization; -Allow-Methods: GET, HEAD, POST; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY, 'Authorization beside "*"');

for (

	# asked for, echoed

	['FOO', undef, 'FOO', undef],
	['FOO', '', 'FOO', undef],
	['FOO', 'x-a', 'FOO', 'x-a'],
	['FOO', 'x-a,authorization', 'FOO', 'x-a, authorization'],
	['FOO', 'X-A, x-b', 'FOO', 'X-A, x-b'],
	["F!#\$%&'*+-.^_`|~9", "x!#\$%&'*+-.^_`|~9", "F!#\$%&'*+-.^_`|~9",
		"x!#\$%&'*+-.^_`|~9"],
	['FOO', 'x-a, x b', 'FOO', undef],
	['FOO', 'x-a;x-b', 'FOO', undef],
	['FOO', "x-a, x-\xff", 'FOO', undef],
	['FOO', 'x-a, "x-b"', 'FOO', undef],
	['FOO', 'x:y', 'FOO', undef],
	['FOO BAR', 'x-a', undef, 'x-a'],
	['F<OO>', 'x-a', undef, 'x-a'],
	["F\xff", 'x-a', undef, 'x-a'],
)
{
	my ($method, $headers, $methods_echoed, $headers_echoed) = @$_;

	my $name = join ' ', map { s/([^ -~])/sprintf '\\x%02x', ord $1/ger }
		$method, $headers // '';
	my $r = preflight('/star-credentials', $app, $method, $headers);

	is(header($r, 'Access-Control-Allow-Methods'), $methods_echoed // '',
		"with credentials a method is echoed where it is a token: $name");

	# Names are joined with or without a space.
	is(header($r, 'Access-Control-Allow-Headers') =~ s/,(?! )/, /gr,
		$headers_echoed // '',
		"with credentials headers are echoed where they are tokens: $name");
}

is(cors(preflight('/star-credentials', $app, 'FOO', 'x-a')),
	'204 -Allow-Credentials: true; -Allow-Headers: x-a; -Allow-Methods: FOO; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY, "'*' with credentials");
is(cors(preflight('/star-credentials', 'https://evil.example', 'FOO', 'x-a')),
	'403 ' . PREFLIGHT_VARY, "'*' with credentials: denied");

my $r = preflight('/star-authorization-credentials', $app, 'GET',
	'authorization,x-a');
like(header($r, 'Access-Control-Allow-Headers'), qr/^authorization, ?x-a$/,
	'with credentials what is beside "*" is echoed too');

# What is missing

for (

	# methods

	['/default', 'GET', undef, ''],
	['/default', 'HEAD', undef, ''],
	['/default', 'POST', undef, ''],
	['/default', 'PUT', undef, 'METHOD'],
	['/default', 'DELETE', undef, 'METHOD'],
	['/put', 'GET', undef, ''],
	['/put', 'HEAD', undef, ''],
	['/put', 'POST', undef, ''],
	['/put', 'PUT', undef, ''],
	['/put', 'FOO', undef, ''],
	['/put', 'patch-x', undef, ''],
	['/put', 'PATCH-X', undef, 'METHOD'],
	['/put', 'put', undef, 'METHOD'],
	['/put', 'Put', undef, 'METHOD'],
	['/put', 'get', undef, 'METHOD'],
	['/put', 'PU', undef, 'METHOD'],
	['/put', 'PUTT', undef, 'METHOD'],
	['/put', 'DELETE', undef, 'METHOD'],
	['/star', 'FOO', undef, ''],
	['/star-credentials', 'FOO', undef, ''],

	# headers

	['/default', 'GET', 'x-one', 'HEADER'],
	['/headers', 'GET', '', ''],
	['/headers', 'PUT', 'x-one', ''],
	['/headers', 'PUT', 'x-one,x-two', ''],
	['/headers', 'PUT', 'x-two,x-one', ''],
	['/headers', 'PUT', 'X-ONE, X-Two', ''],
	['/headers', 'PUT', 'x-one,x-one,x-one', ''],
	['/headers', 'PUT', ',,x-one,, ,x-two,', ''],
	['/headers', 'PUT', " \tx-one\t , \tx-two \t", ''],
	['/headers', 'PUT', ',', ''],
	['/headers', 'PUT', 'authorization', ''],
	['/headers', 'PUT', 'x-three', 'HEADER'],
	['/headers', 'PUT', 'x-one,x-three', 'HEADER'],
	['/headers', 'PUT', 'x-three,x-one', 'HEADER'],
	['/headers', 'PUT', 'x-on', 'HEADER'],
	['/headers', 'PUT', 'x-onee', 'HEADER'],
	['/headers', 'PUT', 'x-one x-two', 'HEADER'],
	['/headers', 'PUT', 'x-one;x-two', 'HEADER'],
	['/headers', 'PUT', join(',', ('x-one', '') x 500), ''],
	['/headers', 'PUT', join(',', ('x-one') x 500, 'x-three'), 'HEADER'],
	['/star', 'FOO', 'x-a,x-b', ''],
	['/star', 'FOO', 'authorization', 'HEADER'],
	['/star', 'FOO', 'x-a,AUTHORIZATION', 'HEADER'],
	['/star-all', 'FOO', 'authorization', 'HEADER'],
	['/star-authorization', 'GET', 'x-a,authorization', ''],
	['/star-authorization-credentials', 'GET', 'x-a,authorization', ''],
	['/star-credentials', 'FOO', 'x-a,authorization', ''],

	# the method first where both are missing

	['/headers', 'DELETE', 'x-three', 'METHOD'],
	['/headers', 'DELETE', 'x-one', 'METHOD'],
)
{
	my ($uri, $method, $headers, $missing) = @$_;

	my $name = join ' ', $uri, $method,
		substr(($headers // '') =~ s/\t/\\t/gr, 0, 40);

	is(header(preflight($uri, $app, $method, $headers), 'X-Status'),
		$missing ? "PREFLIGHT_${missing}_DENIED" : 'PREFLIGHT',
		"what is missing: $name");
}

# Several field lines

my $field = 'Access-Control-Request-Headers';

is(header(preflight('/headers', $app, 'PUT', 'x-one', "$field: x-two"),
	'X-Status'), 'PREFLIGHT', 'several field lines');
is(header(preflight('/headers', $app, 'PUT', 'x-one', "$field: x-three"),
	'X-Status'), 'PREFLIGHT_HEADER_DENIED', 'several field lines: the last');
is(header(preflight('/headers', $app, 'PUT', 'x-three', "$field: x-one"),
	'X-Status'), 'PREFLIGHT_HEADER_DENIED', 'several field lines: the first');
is(header(preflight('/headers', $app, 'PUT', 'x-one', "$field:",
	lc "$field: X-TWO"), 'X-Status'), 'PREFLIGHT', 'an empty field line');

$r = preflight('/star-credentials', $app, 'PUT', 'x-one', "$field: x-two");
like(header($r, 'Access-Control-Allow-Headers'), qr/^x-one, ?x-two$/,
	'several field lines: echoed');
$r = preflight('/star-credentials', $app, 'PUT', 'a', "$field: b,c");
like(header($r, 'Access-Control-Allow-Headers'), qr/^a, ?b, ?c$/, 'several field lines of one byte: echoed');

###############################################################################
