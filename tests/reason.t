#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for $cors_reason: the denial in words, with the nearest miss.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite map /)->plan(33);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format reason '$status $cors_reason';

    map $arg_v $by_map {
        default "$arg_v$cors_reason";
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        access_log %%TESTDIR%%/reason.log reason;
        add_header X-Reason $cors_reason always;

        location / {
            cors_allow_origin https://app.example.com https://*.example.org;
            cors_allow_methods PUT;
            return 200;
        }

        # Two policies make the same decision.
        location /first {
            cors_allow_origin https://a.example;
            set $first $cors_reason;
            rewrite ^ /then last;
        }

        location /then {
            cors_allow_origin http://b.example;
            add_header X-Reason "$first/$cors_reason" always;
            return 200;
        }

        location /variable {
            cors_allow_origin $arg_v https://app.example.com;
            return 200;
        }

        location ~ ^/values/(\w+)$ {
            cors_allow_origin "https://$1.example:81";
            error_page 404 /other-values/other;
            return 404;
        }

        location ~ ^/other-values/(\w+)$ {
            cors_allow_origin "https://$1.example:82";
            cors_enforce on;
            return 200;
        }

        location /later {
            cors_allow_origin $later;
            set $later https://app.example.com:81;
            return 200;
        }

        location ~ ^/capture/(\w+)$ {
            cors_allow_origin "https://$1.example:81";
            error_page 404 /captured/other;
            return 404;
        }

        location ~ ^/captured/(\w+)$ {
            return 200;
        }

        location /itself {
            cors_allow_origin $by_map;
            return 200;
        }

        location /expression {
            cors_allow_origin_regex ^https://app\.example\.com$;
            return 200;
        }

        location /file {
            cors_allow_origin_file list;
            return 200;
        }

        location /enforce {
            cors_allow_origin https://app.example.com;
            cors_enforce on;
            return 200;
        }

        location /dry {
            cors_allow_origin https://app.example.com;
            cors_dry_run on;
            return 200;
        }

        location /off {
            cors off;
            return 200;
        }

        location /logged {
            cors_allow_origin https://app.example.com;
            cors_log_level info;
            return 200;
        }
    }
}

EOF

$t->write_file('list', "https://app.example.com\n");
$t->run();

###############################################################################

my $list = 'is not allowed by cors_allow_origin or cors_allow_origin_regex';

is(reason('/', 'https://app.example.com'), '', 'allowed');
is(header(get('/'), 'X-Reason'), '', 'no origin');
is(reason('/off', 'https://b.example'), '', 'no policy');
is(header(get('/', 'http://localhost'), 'X-Reason'), '', 'the own origin');

for (
	['https://b.example', ''],
	['https://app.example.com:8443', 'https://app.example.com (another port)'],
	['http://app.example.com', 'https://app.example.com (another scheme)'],
	['https://example.com', 'https://app.example.com (a subdomain of the origin)'],
	['https://a.app.example.com', 'https://app.example.com (the origin is a subdomain of it)'],
	['https://example.org', 'https://*.example.org (only subdomains of it)'],
	['http://a.b.example.org', 'https://*.example.org (another scheme)'],
	['https://a.example.org:1', 'https://*.example.org (another port)'],
) {
	my ($origin, $nearest) = @$_;

	is(reason('/', $origin), "origin \"$origin\" $list"
		. ($nearest && "; nearest: $nearest"), "nearest: $origin");
}

is(reason('/variable?v=https://a.example/', 'https://a.example'),
	"origin \"https://a.example\" $list; nearest: https://a.example/ (a slash at its end)",
	'a slash in a variable');
is(reason('/variable?v=https://a.example:81,nonsense', 'https://a.example'),
	"origin \"https://a.example\" $list; nearest: https://a.example:81 (another port)",
	'a variable');
is(reason('/variable?v=https://app.example.com/', 'http://app.example.com'),
	"origin \"http://app.example.com\" $list; nearest: https://app.example.com (another scheme)",
	'a variable and the list');
is(reason('/itself?v=https://a.example:81', 'https://a.example'),
	"origin \"https://a.example\" $list; nearest: https://a.example:81 (another port)",
	'a variable that depends on it');
is(reason('/later', 'https://app.example.com'), "origin \"https://app.example.com\" $list",
	'what a variable was set to later');
is(reason('/capture/app', 'https://app.example'),
	"origin \"https://app.example\" $list; nearest: https://app.example:81 (another port)",
	'a capture of the location that decided');
is(reason('/capture/app', 'https://other.example'), "origin \"https://other.example\" $list",
	'a capture of another location');
is(reason('/values/a', 'https://a.example'), "rejected, origin \"https://a.example\" $list",
	'a value of another location');
is(reason('/values/a', 'https://other.example'),
	"rejected, origin \"https://other.example\" $list; nearest: https://other.example:82 (another port)",
	'a value of the location that rejects');
is(reason('/expression', 'http://app.example.com'), "origin \"http://app.example.com\" $list",
	'an expression');
is(reason('/file', 'https://b.example'), 'origin "https://b.example" is not allowed by cors_allow_origin, '
	. 'cors_allow_origin_regex or cors_allow_origin_file', 'a file');
is(reason('/', 'null') =~ s/;.*//r, 'origin "null" is not allowed by cors_allow_origin', 'null');
is(reason('/', "https://\"\xff"), "origin \"https://\\x22\\xFF\" $list", 'escaped');
is(reason('/enforce', 'https://app.example.com:1'),
	"rejected, origin \"https://app.example.com:1\" $list; nearest: https://app.example.com (another port)",
	'rejected');
is(reason('/dry', 'https://b.example'), "origin \"https://b.example\" $list (dry run)", 'dry run');
is(header(preflight('/', 'https://app.example.com', 'PATCH', 'x-a'), 'X-Reason'),
	'method "PATCH" is not in cors_allow_methods, header "x-a" is not in cors_allow_headers',
	'a preflight');
is(header(preflight('/', 'http://app.example.com'), 'X-Reason'),
	"origin \"http://app.example.com\" $list; nearest: https://app.example.com (another scheme)",
	'a preflight from another origin');

is(reason('/first', 'http://a.example'), "origin \"http://a.example\" $list; "
	. "nearest: https://a.example (another scheme)/origin \"http://a.example\" $list", 'each policy has its own');

# The log line has the same words.

get('/logged', 'https://b.example');
$t->stop();
my ($logged) = $t->read_file('error.log') =~ /cors: (origin "https:\/\/b\.example" is not allowed[^,]*),.*GET \/logged/;
is($logged, "origin \"https://b.example\" $list", 'as in the log');
like($t->read_file('reason.log'), qr/^200 origin .* \(another port\)$/m, 'log_format');
unlike($t->read_file('error.log'), qr/cycle while evaluating/, 'no complaints');

###############################################################################

sub reason {
	my ($uri, $origin) = @_;

	return header(get($uri, $origin), 'X-Reason');
}

###############################################################################
