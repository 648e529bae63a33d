#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for responses that other filters change: sub_filter and addition.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http sub addition /)->plan(18);

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

        location /sub/ {
            cors_allow_origin https://app.example.com;
            sub_filter TEXT SEE-THIS;
            alias %%TESTDIR%%/;
        }

        location /addition/ {
            cors_allow_origin https://app.example.com;
            add_before_body /before;
            add_after_body  /after;
            alias %%TESTDIR%%/;
        }

        location /addition-none/ {
            add_before_body /before;
            add_after_body  /after;
            alias %%TESTDIR%%/;
        }

        # Policies that would end the request, or let everyone in.

        location = /before {
            cors_allow_origin https://other.example;
            cors_enforce      on;
            alias %%TESTDIR%%/before.html;
        }

        location = /after {
            cors_allow_origin *;
            alias %%TESTDIR%%/after.html;
        }
    }
}

EOF

$t->write_file('page.html', '-TEXT-');
$t->write_file('before.html', 'BEFORE');
$t->write_file('after.html', 'AFTER');

$t->run();

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

for (['allowed', $app, '200 ' . allowed($app)],
	['denied', $evil, '200 ' . VARY], ['no origin', undef, '200 ' . VARY])
{
	my ($name, $origin, $expected) = @$_;
	my $r;

	is(cors($r = get('/sub/page.html', $origin)), $expected, "sub_filter: $name");
	like(content($r), qr/-SEE-THIS-/, "sub_filter: content: $name");

	is(cors($r = get('/addition/page.html', $origin)), $expected,
		"addition: subrequests are left alone: $name");
	like(content($r), qr/BEFORE.*-TEXT-.*AFTER/s, "addition: content: $name");

	is(cors($r = get('/addition-none/page.html', $origin)), '200',
		"addition: no policy of subrequests: $name");
	like(content($r), qr/BEFORE.*-TEXT-.*AFTER/s,
		"addition: content, no policy: $name");
}

###############################################################################
