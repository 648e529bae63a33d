#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for WebSocket handshakes.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http proxy /)->plan(24);

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

        # What is not upgraded ends.
        keepalive_timeout 0;

        proxy_http_version 1.1;
        proxy_set_header   Upgrade $http_upgrade;
        proxy_set_header   Connection upgrade;

        location / {
            cors_allow_origin https://app.example.com;
            proxy_pass http://127.0.0.1:8081;
        }

        location /enforce {
            cors_allow_origin https://app.example.com;
            cors_enforce      on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /enforce-alone {
            cors_enforce on;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_daemon(\&serve, port(8081), sub {
	return <<'EOF';
HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade

SEE-THIS
EOF
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

for (

	# location, origin, what comes back

	['/', $app, '101 ' . allowed($app)],
	['/', $evil, '101 ' . VARY],
	['/', undef, '101 ' . VARY],
	['/enforce', $app, '101 ' . allowed($app)],
	['/enforce', $evil, '403 ' . VARY],
	['/enforce', 'null', '403 ' . VARY],
	['/enforce', 'http://localhost:8080', '403 ' . VARY],
	['/enforce', 'http://localhost', '101 ' . VARY],
	['/enforce', undef, '101 ' . VARY],
	['/enforce-alone', 'http://localhost', '101 ' . VARY],
	['/enforce-alone', $app, '403 ' . VARY],
)
{
	my ($uri, $origin, $expected) = @$_;
	my $name = "$uri from " . ($origin // 'no origin');
	my $r = handshake($uri, $origin);

	is(cors($r), $expected, "handshake: $name");

	if ($expected =~ /^101/) {
		like($r, qr/SEE-THIS/, "upgraded: $name");

	} else {
		is(content($r), '', "not upgraded: $name");
	}
}

# Browsers say more

is(cors(handshake('/enforce', $evil, 'Sec-Fetch-Site: cross-site',
	'Sec-Fetch-Mode: websocket')), '403 ' . VARY, 'Sec-Fetch-Site: cross-site');
is(cors(handshake('/enforce', 'http://localhost', 'Sec-Fetch-Site: same-origin',
	'Sec-Fetch-Mode: websocket')), '101 ' . VARY,
	'Sec-Fetch-Site: same-origin');

###############################################################################

sub handshake {
	my ($uri, $origin, @fields) = @_;

	return get($uri, $origin, 'Connection: Upgrade', 'Upgrade: websocket',
		'Sec-WebSocket-Version: 13',
		'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', @fields);
}

###############################################################################
