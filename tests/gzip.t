#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for compressed responses: the Vary of gzip and that of CORS arrive.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx qw/ :DEFAULT :gzip /;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http gzip proxy /)->plan(45);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    gzip            on;
    gzip_vary       on;
    gzip_min_length 0;
    gzip_proxied    any;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
            cors_allow_origin https://app.example.com;
        }

        location /star/ {
            cors_allow_origin *;
            alias %%TESTDIR%%/;
        }

        location /proxy {
            cors_allow_origin https://app.example.com;
            proxy_pass http://127.0.0.1:8081;
        }

        location /no-vary/ {
            cors_allow_origin https://app.example.com;
            gzip_vary off;
            alias %%TESTDIR%%/;
        }
    }
}

EOF

$t->write_file('index.html', 'SEE-THIS' x 100);
$t->run_daemon(\&serve, port(8081), sub {
	return "HTTP/1.0 200 OK\nContent-Type: text/html\n\n" . 'SEE-THIS' x 100;
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

for my $uri ('/index.html', '/proxy') {
	for my $encoding ('gzip', 'identity') {
		for (['allowed', $app, "-Allow-Origin: $app"],
			['denied', $evil, ''], ['no origin', undef, ''])
		{
			my ($name, $origin, $expected) = @$_;
			my $r = get($uri, $origin, "Accept-Encoding: $encoding");

			is(vary($r), 'Accept-Encoding, Origin',
				"both values arrive: $uri $encoding $name");
			is(cors($r) =~ s/; Vary:.*| Vary:.*//r,
				$expected ? "200 $expected" : '200',
				"$uri $encoding $name");
			is(header($r, 'Content-Encoding'),
				$encoding eq 'gzip' ? 'gzip' : '',
				"encoding: $uri $encoding $name");
			http_gzip_like($r, qr/^(SEE-THIS){100}$/,
				"content: $uri $encoding $name") if $encoding eq 'gzip';
		}
	}
}

for my $origin ($app, undef) {
	is(cors(get('/star/index.html', $origin, 'Accept-Encoding: gzip')),
		'200 -Allow-Origin: *; Vary: Accept-Encoding',
		"nothing is added under '*'");
}

is(cors(get('/no-vary/index.html', $app, 'Accept-Encoding: gzip')),
	'200 ' . allowed($app), 'gzip_vary off');

###############################################################################

sub vary {
	my ($response) = @_;

	return join ', ', sort split /, | \| /, header($response, 'Vary');
}

###############################################################################
