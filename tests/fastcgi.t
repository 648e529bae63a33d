#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for responses of FastCGI applications.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

use IO::Socket::INET;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http fastcgi /)->plan(30);

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
            fastcgi_pass  127.0.0.1:8081;
            fastcgi_param REQUEST_URI $request_uri;
        }

        location /down {
            cors_allow_origin https://app.example.com;
            fastcgi_pass 127.0.0.1:8082;
        }

        location /target {
            internal;
            alias %%TESTDIR%%/file.txt;
        }
    }
}

EOF

$t->write_file('file.txt', 'SEE-FILE');

$t->run_daemon(\&fastcgi, port(8081));
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

for (
	[200, '/'],
	[302, '/?Status=302'],
	[404, '/?Status=404'],
	[500, '/?Status=500'],
	[200, '/?Access-Control-Allow-Origin=*'],
	[200, '/?Access-Control-Allow-Origin=https://own.example'
		. '&Access-Control-Allow-Credentials=true&Vary=Origin'],
	[200, '/?X-Accel-Redirect=/target'],
	[502, '/down'],
)
{
	my ($status, $uri) = @$_;

	is(cors(get($uri, $app)), "$status " . allowed($app), "allowed: $uri");
	is(cors(get($uri, $evil)), "$status " . VARY, "denied: $uri");
	is(cors(get($uri)), "$status " . VARY, "no origin: $uri");
}

is(cors(request('HEAD', '/', "Origin: $app")), '200 ' . allowed($app), 'HEAD');
is(cors(request('POST', '/', "Origin: $app", 'Content-Length: 4',
	{ body => 'BODY' })), '200 ' . allowed($app), 'POST');
is(cors(preflight('/', $app)), '204 -Allow-Methods: GET, HEAD, POST; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY, 'preflight');
is(cors(get('/?Vary=Accept', $app)), "200 -Allow-Origin: $app; "
	. 'Vary: Accept, Origin', 'Vary is added to');

like(get('/', $evil), qr/SEE-THIS/, 'denied: the content is served');
like(get('/?X-Accel-Redirect=/target', $app), qr/SEE-FILE/,
	'X-Accel-Redirect: content');

###############################################################################

# An application that sends the header fields which the query string names.
sub fastcgi {
	my ($port) = @_;

	my $server = IO::Socket::INET->new(
		Proto => 'tcp',
		LocalAddr => "127.0.0.1:$port",
		Listen => 5,
		Reuse => 1
	)
		or die "Can't create listening socket: $!\n";

	local $SIG{PIPE} = 'IGNORE';

	while (my $client = $server->accept()) {
		my ($id, $parameters) = (0, '');

		while ($client->read(my $head, 8)) {
			my ($type, $length, $padding);
			(undef, $type, $id, $length, $padding) = unpack 'CCnnC', $head;
			$client->read(my $content, $length + $padding)
				if $length + $padding;

			$parameters .= $content if $type == 4 && $length;
			last if $type == 5 && !$length;
		}

		my ($query) = $parameters =~ m{REQUEST_URI/\w*\?([\w=&*:/.-]*)};
		my $output = join("\x0d\n", 'Content-Type: text/plain',
			(map { s/=/: /r } split /&/, $query // ''), '', 'SEE-THIS');

		# FCGI_STDOUT, its end, FCGI_END_REQUEST
		print $client pack('CCnnCC', 1, 6, $id, length $output, 0, 0), $output,
			pack('CCnnCC', 1, 6, $id, 0, 0, 0),
			pack('CCnnCCNCC3', 1, 3, $id, 8, 0, 0, 0, 0, 0, 0, 0)
			if $id;
		close $client;
	}
}

###############################################################################
