#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for variables in cors_allow_origin.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite map /)->plan(116);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $host $tenant_origins {
        one.example    https://app.one.example;
        two.example    "https://app.two.example https://b.two.example null";
        commas.example "https://a.example,https://b.example , https://c.example";
        star.example   *;
        wild.example   https://*.example.com;
        mixed.example  "https://a.example, *";
        bad.example    "https://A.example https://a.example/ https://b.example:443 https://ok.example";
        default        "";
    }

    server {
        listen       127.0.0.1:8080;
        server_name  _;

        add_header X-Status $cors_status always;
        add_header X-Origin $cors_origin always;

        location / {
            cors_allow_origin $tenant_origins;
            return 200;
        }

        location /beside {
            cors_allow_origin       https://app.example.com $tenant_origins
                                    https://*.example.net;
            cors_allow_origin_regex ^https://pr-\d+\.example\.org$;
            return 200;
        }

        location /text {
            cors_allow_origin https://$arg_tenant.example http://$host:8443;
            return 200;
        }

        location /several {
            cors_allow_origin $tenant_origins $arg_a $arg_b;
            return 200;
        }

        location /credentials {
            cors_allow_origin      $tenant_origins;
            cors_allow_credentials on;
            return 200;
        }

        location /enforce {
            cors_allow_origin $tenant_origins;
            cors_enforce      on;
            return 200;
        }

        location /outer {
            cors_allow_origin $tenant_origins;

            location /outer/inner {
                cors_max_age 1;
                return 200;
            }
        }
    }
}

EOF

$t->run();

###############################################################################

my $evil = 'https://evil.example';

for (
	['one', '/', 'https://app.one.example', 1],
	['one', '/', 'https://app.two.example', 0],
	['one', '/', $evil, 0],
	['one', '/', 'null', 0],
	['one', '/', '', 0],
	['two', '/', 'https://app.two.example', 1],
	['two', '/', 'https://b.two.example', 1],
	['two', '/', 'null', 1],
	['two', '/', 'https://app.one.example', 0],
	['two', '/', 'https://app.two.example https://b.two.example', 0],
	['commas', '/', 'https://a.example', 1],
	['commas', '/', 'https://b.example', 1],
	['commas', '/', 'https://c.example', 1],
	['commas', '/', 'https://d.example', 0],
	['wild', '/', 'https://a.example.com', 0],
	['wild', '/', 'https://*.example.com', 0],
	['mixed', '/', 'https://a.example', 1],
	['mixed', '/', $evil, 0],
	['mixed', '/', '*', 0],
	['mixed', '/credentials', $evil, 0],
	['bad', '/', 'https://A.example', 0],
	['bad', '/', 'https://a.example/', 0],
	['bad', '/', 'https://a.example', 0],
	['bad', '/', 'https://b.example:443', 0],
	['bad', '/', 'https://ok.example', 1],
	['none', '/', $evil, 0],
	['none', '/', '', 0],
	['none', '/', 'null', 0],

	['one', '/beside', 'https://app.example.com', 1],
	['one', '/beside', 'https://app.one.example', 1],
	['one', '/beside', 'https://a.example.net', 1],
	['one', '/beside', 'https://pr-1.example.org', 1],
	['one', '/beside', $evil, 0],
	['none', '/beside', 'https://app.example.com', 1],
	['none', '/beside', 'https://pr-1.example.org', 1],
	['none', '/beside', 'https://app.one.example', 0],

	['one', '/text?tenant=a', 'https://a.example', 1],
	['one', '/text?tenant=a', 'https://b.example', 0],
	['one', '/text?tenant=a', 'http://one.example:8443', 1],
	['two', '/text?tenant=a', 'http://one.example:8443', 0],
	['one', '/text?tenant=*', 'https://a.example', 0],

	['one', '/several?a=https://a.example&b=https://b.example',
		'https://b.example', 1],
	['one', '/several?a=https://a.example', 'https://app.one.example', 1],
	['one', '/several?a=https://a.example', 'https://b.example', 0],

	['one', '/outer/inner', 'https://app.one.example', 1],
	['one', '/outer/inner', $evil, 0],

	['star', '/credentials', $evil, 0],
	['star', '/credentials', '*', 0],
	['star', '/credentials', 'null', 0],
)
{
	my ($host, $uri, $origin, $allowed) = @$_;
	my $r = get($uri, $origin, "Host: $host.example");

	is(cors($r), '200 ' . ($allowed ? allowed($origin) : VARY),
		"evaluated for each request: $host $uri '$origin'");
	is(header($r, 'X-Status') . ' ' . header($r, 'X-Origin'),
		$allowed ? "ALLOWED $origin" : 'DENIED ',
		"variables: $host $uri '$origin'");
}

for my $host (qw/ one none /) {
	is(cors(get('/', undef, "Host: $host.example")), '200 ' . VARY,
		"no origin: $host");
}

is(cors(get('/credentials', 'https://app.one.example', 'Host: one.example')),
	'200 -Allow-Credentials: true; ' . allowed('https://app.one.example'),
	'credentials');

# "*"

for my $origin ($evil, 'null', '', undef) {
	is(cors(get('/', $origin, 'Host: star.example')),
		'200 -Allow-Origin: *', "'*': " . ($origin // 'no origin'));
}

is(cors(preflight('/', $evil, 'PUT', undef, 'Host: star.example')),
	'204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: *', "'*': preflight");

# Preflights, enforcement

is(cors(preflight('/', 'https://app.one.example', 'PUT', undef,
	'Host: one.example')), '204 -Allow-Methods: GET, HEAD, POST; '
	. '-Allow-Origin: https://app.one.example; ' . PREFLIGHT_VARY, 'preflight');
is(cors(preflight('/', $evil, 'PUT', undef, 'Host: one.example')),
	'403 ' . PREFLIGHT_VARY, 'preflight: denied');
is(cors(preflight('/', $evil, 'PUT', undef, 'Host: none.example')),
	'403 ' . PREFLIGHT_VARY, 'preflight: empty');
is(cors(preflight('/credentials', $evil, 'PUT', undef, 'Host: star.example')),
	'403 ' . PREFLIGHT_VARY, "preflight: '*' with credentials");
is(cors(get('/enforce', 'https://app.one.example', 'Host: one.example')),
	'200 ' . allowed('https://app.one.example'), 'enforced: allowed');
is(cors(get('/enforce', $evil, 'Host: one.example')), '403 ' . VARY,
	'enforced: rejected');
is(cors(get('/enforce', $evil, 'Host: star.example')), '200 -Allow-Origin: *',
	"enforced: '*'");

$t->stop();

my $log = $t->read_file('error.log');

like($log, qr/\[error\] .*cors: .*\*.*credentials/,
	"'*' with credentials is logged at error");
unlike($log, qr/\[error\] .*host: "(?:one|two|none|mixed)/, 'nothing else is');
like($log, qr/cors: .*"\*" must be the only value.*host: "mixed/,
	"'*' beside others is logged");

###############################################################################
