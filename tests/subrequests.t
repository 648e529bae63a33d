#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for subrequests, which are left alone: those of SSI and of mirror.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http ssi mirror proxy rewrite /)->plan(20);

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
            ssi on;
        }

        location /none/ {
            ssi on;
            alias %%TESTDIR%%/;
        }

        # Policies that would end the request, or let everyone in.

        location /part/enforce {
            cors_allow_origin https://other.example;
            cors_enforce      on;
            return 200 "ENFORCE";
        }

        location /part/star {
            cors_allow_origin *;
            add_header Access-Control-Allow-Origin *;
            return 200 "STAR";
        }

        location /part/off {
            cors off;
            return 200 "OFF";
        }

        location = /mirror {
            internal;
            cors_allow_origin https://other.example;
            cors_enforce      on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /mirrored-file {
            cors_allow_origin https://app.example.com;
            mirror /mirror;
            alias %%TESTDIR%%/file;
        }

        location /asked {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->write_file('page.html', '<!--#include virtual="/part/enforce" -->'
	. '-<!--#include virtual="/part/star" -->'
	. '-<!--#include virtual="/part/off" -->');
$t->write_file('file', 'SEE-THIS');

my $asked = 0;

$t->run_daemon(\&serve, port(8081), sub {
	$asked++;
	return "HTTP/1.0 200 OK\nX-Asked: $asked\n\n";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';
my $r;

for (['allowed', $app, '200 ' . allowed($app)],
	['denied', $evil, '200 ' . VARY], ['no origin', undef, '200 ' . VARY])
{
	my ($name, $origin, $expected) = @$_;

	is(cors($r = get('/page.html', $origin)), $expected, "ssi: $name");
	like(content($r), qr/ENFORCE-.*STAR-.*OFF/s, "ssi: content: $name");

	is(cors($r = get('/none/page.html', $origin)), '200',
		"ssi: no policy of subrequests: $name");
	like(content($r), qr/ENFORCE-.*STAR-.*OFF/s,
		"ssi: content, no policy: $name");

	is(cors($r = get('/mirrored-file', $origin)), $expected, "mirror: $name");
	is(content($r), 'SEE-THIS', "mirror: content: $name");
}

is(header(get('/asked'), 'X-Asked'), 4, 'mirror: subrequests are not rejected');

preflight('/mirrored-file', $_) for $app, $evil;
is(header(get('/asked'), 'X-Asked'), 5, 'mirror: none of a preflight');

###############################################################################
