#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for servers with policies of their own.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(71);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080 default_server;
        server_name  _;

        cors_allow_origin https://default.example;

        location / {
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  one.example *.one.example;

        cors_allow_origin https://app.one.example;

        location / {
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  two.example ~^two-\d+\.example$;

        cors_allow_origin      https://app.two.example;
        cors_allow_credentials on;

        location / {
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  none.example;

        location / {
            return 200;
        }

        location /api {
            cors_allow_origin https://location.example;
            return 200;
        }
    }

    server {
        listen       127.0.0.1:%%PORT_8082%%;
        server_name  one.example;

        cors_allow_origin https://app.port.example;

        location / {
            return 200;
        }
    }
}

EOF

$t->run();

###############################################################################

my $methods = '-Allow-Methods: GET, HEAD, POST; ';

for (

	# Host, origin, what is allowed

	['localhost', 'https://default.example'],
	['unknown.example', 'https://default.example'],
	['one.example', 'https://app.one.example'],
	['ONE.example', 'https://app.one.example'],
	['one.example:8080', 'https://app.one.example'],
	['a.one.example', 'https://app.one.example'],
	['two.example', 'https://app.two.example', '-Allow-Credentials: true; '],
	['two-2.example', 'https://app.two.example', '-Allow-Credentials: true; '],
)
{
	my ($host, $origin, $credentials) = @$_;
	$credentials //= '';

	is(cors(get('/', $origin, "Host: $host")),
		"200 $credentials" . allowed($origin), "allowed for $host");
	is(cors(preflight('/', $origin, 'PUT', undef, "Host: $host")),
		"204 $credentials${methods}-Allow-Origin: $origin; " . PREFLIGHT_VARY,
		"allowed for $host: preflight");

	for my $other (grep { $_ ne $origin } 'https://default.example',
		'https://app.one.example', 'https://app.two.example',
		'https://app.port.example')
	{
		is(cors(get('/', $other, "Host: $host")), '200 ' . VARY,
			"denied for $host: $other");
		is(cors(preflight('/', $other, 'PUT', undef, "Host: $host")),
			'403 ' . PREFLIGHT_VARY, "denied for $host: $other, preflight");
	}
}

is(cors(get('/', 'https://default.example', 'Host: none.example')), '200',
	'a server without');
is(cors(preflight('/', 'https://default.example', 'PUT', undef,
	'Host: none.example')), '200', 'a server without: preflight');
is(cors(get('/api', 'https://location.example', 'Host: none.example')),
	'200 ' . allowed('https://location.example'),
	'a location with, in a server without');
is(cors(preflight('/api', 'https://location.example', 'PUT', undef,
	'Host: none.example')), "204 ${methods}-Allow-Origin: "
	. 'https://location.example; ' . PREFLIGHT_VARY,
	'a location with, in a server without: preflight');
is(cors(get('/', 'https://app.port.example', 'Host: one.example',
	{ PeerAddr => '127.0.0.1:' . port(8082) })),
	'200 ' . allowed('https://app.port.example'), 'another port');
is(cors(get('/', 'https://app.one.example', 'Host: one.example',
	{ PeerAddr => '127.0.0.1:' . port(8082) })), '200 ' . VARY,
	'another port: denied');

# Without Host

is(cors(http("GET / HTTP/1.0\nOrigin: https://default.example\n\n")),
	'200 ' . allowed('https://default.example'), 'no Host');

###############################################################################
