#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for an Origin of any length, and wherever it is in memory: the answers
# are the same.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $a = 'https://a.example';
my $b = 'https://b.example';

# An origin of a certain length, whose host is well-formed up to 253 bytes.
sub long {
	my ($length) = @_;
	return substr('https://' . 'aaaaaaaaa.' x $length, 0, $length - 1) . 'a';
}

my @lengths = (255, 256, 261, 262, 1021 .. 1025, 2047, 2048, 5000);

# Glibc maps large memory by itself, gigabytes away from the rest: the buffer of
# the request, or what nginx keeps of it.
my %servers = (
	near => '',
	buffer => 'client_header_buffer_size 256k;',
	pool => 'request_pool_size 256k;',
	large => 'client_header_buffer_size 64; large_client_header_buffers 4 256k;',
);

my @requests = (
	(map { my $origin = $_; map { ["$_ $origin", 'GET', $_, "Origin: $origin"] }
		qw{/exact /exact/sub /slash /pattern /expression /any /enforce /enforce/off /bypass /bypass?b=1
			/bypass?b=0 /redirect /replaced /error},
		"/value?o=$a", '/value?o=*', '/early', '/off' }
		$a, $b, 'null', '', "$a, $b", "http:///", 'https://pattern.example:8443', long(1022), long(1023), long(1024)),
	(map { my $origin = $_; map { ["preflight $_ $origin", 'OPTIONS', $_, "Origin: $origin",
		'Access-Control-Request-Method: PUT', 'Access-Control-Request-Headers: x-a'] }
		qw{/exact /pattern /any /echo /enforce /bypass?b=1 /early /off}, "/value?o=$a" }
		$a, $b, long(1022), long(1023)),
	(map { ["two $_", 'GET', $_, "Origin: $a", "Origin: $a"],
		["none $_", 'GET', $_],
		["POST $_", 'POST', $_, "Origin: $a", 'Content-Length: 0'],
		["none, POST $_", 'POST', $_, 'Content-Length: 0', 'Sec-Fetch-Site: cross-site'] }
		qw{/exact /any /enforce /bypass /redirect /early}),
);

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map /);

$t->plan(keys(%servers) * @requests - @requests + 4 * @lengths + 2);

my $servers = join '', map { my $name = $_; my $port = $name eq 'near' ? 8080
	: $name eq 'buffer' ? 8081 : $name eq 'pool' ? 8082 : 8083; <<"EOC" } sort keys %servers;
    server {
        listen       127.0.0.1:$port;
        server_name  $name;
        $servers{$name}

        add_header X-Cors "\$cors_status|\$cors_origin|\$cors_reason" always;

        location /exact {
            cors_allow_origin $a;
            return 200;

            location /exact/sub {
                cors_allow_credentials on;
                cors_expose_headers X-A;
                proxy_pass http://127.0.0.1:8084/;
            }
        }

        location /slash/ {
            cors_allow_origin $a;
            proxy_pass http://127.0.0.1:8084/;
        }

        location /pattern {
            cors_allow_origin https://*.example:8443 http://*.other.example;
            return 200;
        }

        location /expression {
            cors_allow_origin_regex ^https://[a-z.]+\$;
            return 200;
        }

        location /any {
            cors_allow_origin *;
            return 200;
        }

        location /echo {
            cors_allow_origin $a;
            cors_allow_credentials on;
            cors_allow_methods *;
            cors_allow_headers *;
            return 200;
        }

        location /enforce {
            cors_allow_origin $a;
            cors_enforce on;
            proxy_pass http://127.0.0.1:8084/;

            location /enforce/off {
                cors_enforce off;
                proxy_pass http://127.0.0.1:8084/;
            }
        }

        location /bypass {
            cors_allow_origin $a;
            cors_bypass \$arg_b;
            proxy_pass http://127.0.0.1:8084/;
        }

        location /value {
            cors_allow_origin \$arg_o \$arg_p;
            proxy_pass http://127.0.0.1:8084/;
        }

        location /redirect {
            cors_allow_origin $a;
            try_files /none /second;
        }

        location /second {
            cors_allow_origin $b;
            proxy_pass http://127.0.0.1:8084/;
        }

        location /replaced {
            cors_allow_origin $a;
            proxy_pass http://127.0.0.1:8084/replaced;
        }

        location /error {
            cors_allow_origin $a;
            error_page 404 /second;
            return 404;
        }

        location /off {
            cors off;
            rewrite ^ /second last;
        }

        location /early {
            rewrite ^ /early-\$cors_status;
            return 200 "\$uri";
        }

        location /early-ALLOWED {
            cors_allow_origin $a;
            proxy_pass http://127.0.0.1:8084/;
        }
    }

    server {
        listen       127.0.0.1:$port;
        server_name  early.$name;
        $servers{$name}

        cors_allow_origin $a;
        set \$early "\$cors_status";

        location / {
            return 200 "\$early|\$cors_status|\$cors_reason";
        }
    }

EOC

$t->write_file_expand('nginx.conf', <<'EOC' =~ s/SERVERS/$servers/r);

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format l '$cors_status $cors_origin';
    access_log %%TESTDIR%%/l.log l;

    SERVERS

    server {
        listen       127.0.0.1:8084;
        server_name  upstream;
        access_log   off;

        location / {
            return 200;
        }

        location /replaced {
            add_header Access-Control-Allow-Origin *;
            add_header Vary Accept;
            return 200;
        }
    }
}

EOC

$t->run();

sub answer {
	my ($port, $host, @request) = @_;
	my $r = request(@request, "Host: $host", { PeerAddr => '127.0.0.1:' . port($port) });
	return join ' ', cors($r), header($r, 'X-Cors') // '', content($r) // '';
}

my %right;
for my $row (@requests) {
	my ($name, @request) = @$row;
	$right{$name} = answer(8080, 'near', @request);
}

my @ports = ([buffer => 8081], [pool => 8082], [large => 8083]);
for my $row (@requests) {
	my ($name, @request) = @$row;
	for (@ports) {
		my ($server, $port) = @$_;
		is(answer($port, $server, @request), $right{$name}, "$server: " . substr $name, 0, 80);
	}
}

like($right{"/exact $a"}, qr/-Allow-Origin: \Q$a\E; .*ALLOWED\|\Q$a\E\|/, 'an allowed origin');
is($right{"/exact $b"}, "200 Vary: Origin DENIED||origin \"$b\" is not allowed by "
	. 'cors_allow_origin or cors_allow_origin_regex ', 'a denied origin');

for my $length (@lengths) {
	my $origin = long($length);
	my $allowed = "200 -Allow-Origin: $origin; Vary: Origin";
	# Messages cut it.
	my $first = substr $origin, 0, 200;
	like(answer(8080, 'near', 'GET', '/exact', "Origin: $origin"),
		qr/^200 Vary: Origin DENIED\|\|origin "\Q$first\E/, "denied: $length");
	my $answer = answer(8080, 'near', 'GET', '/expression', "Origin: $origin");
	$length <= 261
		? is($answer, "$allowed ALLOWED|$origin| ", "an expression: $length")
		: like($answer, qr/^200 Vary: Origin DENIED\|\|/, "an expression: $length");
	$answer = answer(8080, 'near', 'GET', "/value?o=$origin", "Origin: $origin");
	$length <= 261
		? is($answer, "$allowed ALLOWED|$origin| ", "a variable: $length")
		: like($answer, qr/^200 Vary: Origin DENIED\|\|/, "a variable: $length");
	like(answer(8080, 'early.near', 'GET', '/', "Origin: $origin"),
		qr/DENIED\|DENIED\|origin "\Q$first\E/, "early: $length");
}

###############################################################################
