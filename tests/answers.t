#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the module's own answers: to a preflight, and to a rejected request.
# They are finished as nginx finishes its own, whatever it was about to answer,
# and whatever filters are there.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()
	->has(qw/ http rewrite proxy gzip auth_basic access addition sub /);

my $a = 'https://a.example';
my $evil = 'https://evil.example';

# Where nginx is about to answer something else: before the request reaches a
# location, or in another location first.  All of these end under one policy.
my @places = qw! /plain /down /internal /internal-named /slash /missing /deny
	/deny-200 /auth /dead /accel /too-large /return /too-large-named !;

# Filters that change the length of a body, or add something behind it.
my @filters = qw! /trailer /trailer-always /before /after /both /sub /gzip
	/expires !;

my %hosts = ('/down' => 'down', '/internal' => 'plain', '/slash' => 'plain',
	'/return' => 'returns', '/too-large' => 'plain');

my @kinds = (
	# name, request, status
	['preflight', ['OPTIONS', "Origin: $a",
		'Access-Control-Request-Method: PUT'], 204],
	['refused preflight', ['OPTIONS', "Origin: $evil",
		'Access-Control-Request-Method: PUT'], 403],
	['preflight with a body', ['OPTIONS', "Origin: $a",
		'Access-Control-Request-Method: PUT', \'hello'], 204],
	['rejected GET', ['GET', "Origin: $evil"], 403],
	['rejected HEAD', ['HEAD', "Origin: $evil"], 403],
	['rejected POST', ['POST', "Origin: $evil", \'hello'], 403],
	['rejected POST in chunks', ['POST', "Origin: $evil",
		'Transfer-Encoding: chunked', \"5\x0d\nhello\x0d\n0\x0d\n\x0d\n"], 403],
);

my $answers = (@places + 2 * @filters) * @kinds;
my $bodiless = 4 * (@places + 2 * @filters) - 3 * grep { /large/ } @places;
my $http2 = `curl --version` =~ /^Features:.*\bHTTP2\b/m
	&& $t->has_module('http_v2');

$t->plan(4 * $answers + ($http2 ? $bodiless : 0) + 19);

my $filters = filters('', 204) . filters('-200', 200);

my $listen_http2 = !$http2 ? ''
	: $t->has_version('1.25.1') ? "http2 on;\n"
	: '';
my $parameter = $http2 && !$t->has_version('1.25.1') ? ' http2' : '';

$t->write_file_expand('nginx.conf', <<'EOF' =~ s/FILTERS/$filters/r =~ s/HTTP2/$listen_http2/gr =~ s/PARAMETER/$parameter/gr);

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format status '$http_x_id $status $cors_status';
    access_log %%TESTDIR%%/status.log status;

    cors_allow_origin  https://a.example;
    cors_allow_methods PUT;
    cors_enforce       on;

    add_header X-Own own;
    add_header X-Always always always;

    HTTP2

    server {
        listen       127.0.0.1:8080;
        listen       127.0.0.1:8081PARAMETER;
        server_name  localhost;

        location /plain {
            return 200 here;
        }

        # An internal location, a missing file and the like, each redirected
        # into a location with its own policy.

        location /internal-named {
            internal;
            error_page 404 @named;
        }

        location /missing {
            cors off;
            root %%TESTDIR%%/none;
            error_page 404 405 @named;
        }

        location /deny {
            cors off;
            deny all;
            error_page 403 @named;
        }

        location /deny-200 {
            cors off;
            deny all;
            error_page 403 =200 @named;
        }

        location /auth {
            cors off;
            auth_basic closed;
            auth_basic_user_file %%TESTDIR%%/none;
            error_page 401 @named;
        }

        location /dead {
            cors off;
            proxy_pass http://127.0.0.1:8089;
            error_page 502 @named;
        }

        location /accel {
            cors off;
            proxy_pass http://127.0.0.1:8082;
        }

        location /accelerated {
            internal;
            cors_max_age 1;
            return 200 here;
        }

        location /too-large-named {
            client_max_body_size 1;
            error_page 413 @named;
            return 200 here;
        }

        location @named {
            cors_max_age 1;
            return 200 here;
        }

        location /part {
            cors off;
            return 200 part;
        }

        FILTERS
    }

    server {
        listen       127.0.0.1:8080;
        listen       127.0.0.1:8081PARAMETER;
        server_name  down;

        error_page 503 @down;
        return 503;

        location @down {
            return 200 here;
        }
    }

    server {
        listen       127.0.0.1:8080;
        listen       127.0.0.1:8081PARAMETER;
        server_name  plain;

        location /internal {
            internal;
        }

        location /slash/ {
            proxy_pass http://127.0.0.1:8089;
        }

        location /too-large {
            client_max_body_size 1;
            return 200 here;
        }
    }

    server {
        listen       127.0.0.1:8080;
        listen       127.0.0.1:8081PARAMETER;
        server_name  returns;

        expires 1y;
        add_header Set-Cookie session=1;
        add_header X-Own own;
        add_header X-Always always always;
        add_trailer X-Trailer yes always;
        return 301 /elsewhere;
    }

    server {
        listen       127.0.0.1:8082;
        server_name  backend;
        access_log   off;
        cors         off;

        location / {
            add_header X-Accel-Redirect /accelerated always;
            add_header Set-Cookie accel=1 always;
            add_header Cache-Control public always;
            return 200;
        }
    }
}

EOF

$t->run();

###############################################################################

my ($id, %expected) = 0;

for my $place (@places) {
	is_answered($place, "Host: " . ($hosts{$place} // 'localhost'), 204);
}

for my $filter (@filters) {
	is_answered($filter, 'Host: localhost', 204);
	is_answered("$filter-200", 'Host: localhost', 200);
}

# What the access log says is what was sent

$t->stop();

for (split /\n/, $t->read_file('status.log')) {
	my ($id, $status) = /^(\S+) (\d+)/ or next;
	is($status, $expected{$id}[0], "log: $expected{$id}[1]") if $expected{$id};
}

# Other protocols and orders

$t->run();

my $s = connection();
my $r = exchange($s, 'POST', '/plain', "Origin: $evil",
	'Expect: 100-continue', 'Content-Length: 5');
like($r, qr/^HTTP\/1.1 403 /, 'nobody is asked for a body that is not wanted');

$s = connection();
$r = exchange($s, 'OPTIONS', '/plain', "Origin: $a",
	'Access-Control-Request-Method: PUT', 'Expect: 100-continue',
	'Content-Length: 5');
like($r, qr/^HTTP\/1.1 204 /, 'nor by a preflight');

# Two requests at once

for my $uri ('/plain', '/after-200', '/trailer-200', '/both-200') {
	$s = connection();
	my $pipelined = "OPTIONS $uri HTTP/1.1\x0d\nHost: localhost\x0d\n"
		. "Origin: $a\x0d\nAccess-Control-Request-Method: PUT\x0d\n\x0d\n";
	$s->print($pipelined
		. "GET $uri HTTP/1.1\x0d\nHost: localhost\x0d\nOrigin: $evil\x0d\n\x0d\n");
	like(Cors::receive($s, 'OPTIONS'), qr/^HTTP\/1.1 20[04] .*Allow-Methods: PUT/s,
		"pipelined: $uri");
	like(Cors::receive($s, 'GET'), qr/^HTTP\/1.1 403 /, "pipelined, second: $uri");
}

# HTTP/1.0

for my $uri ('/plain', '/both-200', '/internal-named') {
	$r = http("OPTIONS $uri HTTP/1.0\x0d\nHost: localhost\x0d\nOrigin: $a\x0d\n"
		. "Access-Control-Request-Method: PUT\x0d\n\x0d\n");
	like($r, qr/^HTTP\/1.1 20[04] .*Allow-Methods: PUT/s, "HTTP/1.0: $uri");
	$r = http("POST $uri HTTP/1.0\x0d\nHost: localhost\x0d\nOrigin: $evil\x0d\n"
		. "Content-Length: 0\x0d\n\x0d\n");
	like($r, qr/^HTTP\/1.1 403 /, "HTTP/1.0, rejected: $uri");
}

# A request without Host, which nginx refuses itself

$r = http("OPTIONS /plain HTTP/1.1\x0d\nOrigin: $a\x0d\n"
	. "Access-Control-Request-Method: PUT\x0d\n\x0d\n");
like($r, qr/^HTTP\/1.1 400 .*<\/html>/s, 'without Host');

# The answer has the fields of add_header, and of the response none

$r = http("OPTIONS / HTTP/1.1\x0d\nHost: returns\x0d\nOrigin: $a\x0d\n"
	. "Access-Control-Request-Method: PUT\x0d\nConnection: close\x0d\n\x0d\n");
like($r, qr/^X-Own: own\x0d\n/m, 'add_header on 204');
$r = http("GET / HTTP/1.1\x0d\nHost: returns\x0d\nOrigin: $evil\x0d\n"
	. "Connection: close\x0d\n\x0d\n");
unlike($r, qr/^(?:X-Own|Set-Cookie|Cache-Control|Expires|Location):/mi,
	'no field of the response whose place it takes');

###############################################################################

sub is_answered {
	my ($uri, $host, $preflight_status) = @_;

	for my $kind (@kinds) {
		my ($name, $request, $status) = @$kind;
		my ($method, @fields) = @$request;
		$status = $preflight_status if $status == 204;
		$name = "$uri: $name";

		my $body = ref $fields[-1] ? pop @fields : undef;
		push @fields, $host, 'X-Id: ' . ++$id;
		$expected{$id} = [$status, $name];
		push @fields, $body if $body;
		# Without a body, nothing is too large.
		push @fields, \'hello' if !$body && $uri =~ /large/ && $method ne 'HEAD';

		my $s = connection();
		my $r = exchange($s, $method, $uri, @fields);
		is(cors($r) =~ s/ .*//r, $status, $name);
		unlike($r, qr/^(?:WWW-Authenticate:|Location:|Set-Cookie: accel=|ETag:|Allow:)/mi,
			"$name: no field of another response");

		# The connection can be used again.
		like(exchange($s, 'GET', '/plain'), qr/^HTTP\/1.1 200 .*here$/s,
			"$name: second request") if $r !~ /^Connection: close/m;
		ok(is_closed($s), "$name: closed") if $r =~ /^Connection: close/m;

		# With a body, curl takes even nginx's own answers for errors.
		next if !$http2 || ref $fields[-1];
		my @curl = map { ('-H', $_) } grep { !/^X-Id/ } @fields;
		push @curl, $method eq 'HEAD' ? '--head' : ('-X', $method);
		my $port = Test::Nginx::port(8081);
		open my $curl, '-|', qw/ curl -s -o -  -w %{http_code}
			--http2-prior-knowledge --max-time /, SOON, @curl, "http://127.0.0.1:$port$uri"
			or die "cannot start curl: $!\n";
		my $output = do { local $/; <$curl> };
		my $result = close($curl) ? '' : ' incomplete';
		is(substr($output, -3) . $result, $status, "$name: HTTP/2");
	}
}

# Locations with filters, and the status of their answers to preflights.
sub filters {
	my ($uri, $status) = @_;

	return <<"EOC";
            location /trailer$uri {
                cors_preflight_status $status;
                add_trailer X-Trailer yes;
                return 200 here;
            }
            location /trailer-always$uri {
                cors_preflight_status $status;
                add_trailer X-Trailer yes always;
                return 200 here;
            }
            location /before$uri {
                cors_preflight_status $status;
                add_before_body /part;
                return 200 here;
            }
            location /after$uri {
                cors_preflight_status $status;
                add_after_body /part;
                addition_types *;
                return 200 here;
            }
            location /both$uri {
                cors_preflight_status $status;
                add_before_body /part;
                add_after_body /part;
                addition_types *;
                add_trailer X-Trailer yes always;
                return 200 here;
            }
            location /sub$uri {
                cors_preflight_status $status;
                sub_filter here there;
                sub_filter_types *;
                return 200 here;
            }
            location /gzip$uri {
                cors_preflight_status $status;
                gzip on;
                gzip_min_length 0;
                gzip_types *;
                return 200 here;
            }
            location /expires$uri {
                cors_preflight_status $status;
                expires 1y;
                return 200 here;
            }
EOC
}

###############################################################################
