#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests that what nginx -t has accepted works when requests come, at the limits
# of what it accepts.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $label = 'a' x 63;
my $host = join '.', ($label) x 3, 'a' x 61;
my $scheme = 's' x 64;

# Each of these allows itself.

my @origins = (
	'https://a', 'https://example.com', 'https://example.com.',
	'https://xn--mnchen-3ya.example', 'https://a_b.-c-.example',
	'https://example.com:1', 'https://example.com:65535', 'http://example.com:443',
	'http://127.0.0.1', 'http://255.255.255.255:9', 'http://[::]',
	'http://[::ffff:7f00:1]:3000', 'http://[1:2:3:4:5:6:7:8]', 'null',
	'chrome-extension://abcdefghijklmnop', 'a+b.c-d://1.2.3.999',
	'app://.', 'file://',
	"https://$host", "$scheme://$host:65535",
);

my @patterns = (
	['https://*.a', 'https://b.a', 'https://a'],
	['https://*.example.com:*', 'https://x.y.example.com:65535',
		'https://example.com:65535'],
	['http://[::1]:*', 'http://[::1]:65535', 'http://[::2]'],
	['https://*.' . substr($host, 2), 'https://' . substr($host, 0, 1)
		. '.' . substr($host, 2), 'https://' . substr($host, 2)],
);

my @names = map { sprintf 'X-%03d-', $_ } 1 .. 60;
$_ .= 'n' x (256 - length) for @names;
my @methods = map { "METHOD-$_" } 1 .. 300;
my @many = map { "https://t$_.example" } 1 .. 500;
my @expressions = map { "'^https://pr-[0-9]{1,5}\\.t$_\\.example\$'" } 1 .. 500;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)
	->plan(@origins + @patterns * 2 + 28);

$t->write_file_expand('nginx.conf', <<'EOT' =~ s/([A-Z_]+S)$/list_of($1)/gmer);

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%


    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /exact {
            ORIGINS
            return 200;
        }

        location /patterns {
            PATTERNS
            return 200;
        }

        location /many {
            MANY_ORIGINS
            return 200;
        }

        location /expressions {
            EXPRESSIONS
            cors_allow_origin_regex  '^https://.*a.{10}$';
            return 200;
        }

        location /lists {
            cors_allow_origin  https://a.example;
            cors_max_age       0;
            METHODS
            HEADERS
            EXPOSED_HEADERS
            return 200;
        }

        location /age {
            cors_allow_origin  https://a.example;
            cors_max_age       30y;
            return 200;
        }

        location /doubtful {
            cors_allow_origin_regex  ^null$ ^example\.com$ ^https://a.example$ .*;
            cors_allow_credentials   on;
            cors_expose_headers      Set-Cookie Access-Control-Max-Age;
            cors_allow_headers       DNT Access-Control-Allow-Origin;
            return 200;
        }

        STATUS_LOCATIONS
    }
}

EOT

$t->run();

###############################################################################

is(origin_of(get('/exact', $_)), $_, 'allowed: ' . substr $_, 0, 40)
	for @origins;

for (@patterns) {
	my ($pattern, $covered, $other) = @$_;
	my $shown = substr $pattern, 0, 40;

	is(origin_of(get('/patterns', $covered)), $covered, "covered: $shown");
	is(origin_of(get('/patterns', $other)), '', "not covered: $shown");
}

is(origin_of(get('/many', $many[-1])), $many[-1], 'the last of many origins');
is(origin_of(get('/many', "$many[-1]x")), '', 'none of many origins');

is(origin_of(get('/expressions', 'https://pr-7.t500.example')),
	'https://pr-7.t500.example', 'the last of many expressions');
is(origin_of(get('/expressions', 'https://pr-7.t501.example')), '',
	'none of many expressions');
is(origin_of(get('/expressions', 'https://xxa1234567890')),
	'https://xxa1234567890', 'a large expression');

my $r = get('/lists', 'https://a.example', 'OPTIONS');
is(field($r, 'Access-Control-Allow-Headers'), join(', ', @names),
	'long names of headers');
is(field($r, 'Access-Control-Allow-Methods'), join(', ', @methods),
	'many methods');
is(field($r, 'Access-Control-Max-Age'), '0', 'no age');
is(field(get('/lists', 'https://a.example'), 'Access-Control-Expose-Headers'),
	join(', ', @names), 'long names of exposed headers');
like(field(get('/age', 'https://a.example', 'OPTIONS'),
	'Access-Control-Max-Age'), qr/^\d{9}$/, 'a long age');

is(origin_of(get('/doubtful', 'https://a.example')), 'https://a.example',
	'with warnings: allowed');
is(origin_of(get('/doubtful', 'null')), '', 'with warnings: never matched');
is(field(get('/doubtful', 'https://a.example', 'OPTIONS'),
	'Access-Control-Allow-Headers'), 'DNT, Access-Control-Allow-Origin',
	'with warnings: as it is written');
is(field(get('/doubtful', 'https://a.example'), 'Access-Control-Expose-Headers'),
	'Set-Cookie, Access-Control-Max-Age', 'with warnings: exposed headers');
is(field(get('/doubtful', 'https://a.example'),
	'Access-Control-Allow-Credentials'), 'true', 'with warnings: credentials');

for my $status (400, 401, 443, 445, 493, 599) {
	like(get("/$status", 'https://b.example'), qr!^HTTP/1.1 $status\b!,
		"rejected with $status");
	like(get("/$status", 'https://b.example', 'OPTIONS'),
		qr!^HTTP/1.1 $status\b!, "a preflight is refused with $status");
}

unlike($t->read_file('error.log'), qr/\[(?:error|crit|alert|emerg)\]/,
	'nothing is wrong');

###############################################################################

# Directives with long lists; nginx takes 4096 characters in an argument.
sub list_of {
	my ($what) = @_;

	my $each = sub { my $name = shift; join "\n", map { "$name $_;" } @_ };

	return {
		ORIGINS => $each->('cors_allow_origin', @origins),
		PATTERNS => $each->('cors_allow_origin', map { $_->[0] } @patterns),
		MANY_ORIGINS => 'cors_allow_origin ' . join("\n", @many) . ';',
		EXPRESSIONS => $each->('cors_allow_origin_regex', @expressions),
		METHODS => 'cors_allow_methods ' . join("\n", @methods) . ';',
		HEADERS => $each->('cors_allow_headers', @names),
		EXPOSED_HEADERS => $each->('cors_expose_headers', @names),
		STATUS_LOCATIONS => join "\n", map { "location /$_ {
            cors_allow_origin   https://a.example;
            cors_enforce        on;
            cors_reject_status  $_;
            return 200;
        }" } 400, 401, 443, 445, 493, 599,
	}->{$what};
}

sub get {
	my ($uri, $origin, $method) = @_;

	my $preflight = defined $method
		? "Access-Control-Request-Method: PUT\n" : '';
	$method //= 'GET';

	return http("$method $uri HTTP/1.1\nHost: localhost\nConnection: close\n"
		. "Origin: $origin\n$preflight\n");
}

sub field {
	my ($r, $name) = @_;

	return join '|', $r =~ /^$name: (.*?)\x0d?$/mg;
}

sub origin_of {
	my ($r) = @_;

	return field($r, 'Access-Control-Allow-Origin');
}

###############################################################################
