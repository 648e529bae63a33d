#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for HTTP/2, in clear text and over TLS, and for HTTP/1.1 over TLS.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http http_v2 http_ssl rewrite proxy /)
	->has_daemon('curl')->has_daemon('openssl');

plan(skip_all => 'no HTTP/2 in curl')
	unless `curl --version` =~ /^Features:.*\bHTTP2\b/m;

$t->plan(95);

# The directive came when the parameter of "listen" went.
my $http2 = $t->has_version('1.25.1') ? 'http2 on;' : '';
my $parameter = $http2 ? '' : ' http2';

$t->write_file_expand('nginx.conf', <<'EOF' =~ s/HTTP2/$http2/r =~ s/ http2;/$parameter;/gr);

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    HTTP2

    server {
        listen       127.0.0.1:8080 http2;
        listen       127.0.0.1:%%PORT_8443%% ssl http2;
        server_name  localhost;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;

        cors_allow_origin https://app.example.com;

        location / {
            cors_expose_headers X-Own;
            add_header X-Own yes;
            return 200 "SEE-THIS";
        }

        location /404 {
            return 404;
        }

        location /star {
            cors_allow_origin *;
            return 200;
        }

        location /small {
            client_max_body_size 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /enforce {
            cors_enforce on;
            return 200 "SEE-THIS";
        }

        location /status {
            add_header X-Status $cors_status always;
            return 200;
        }
    }
}

EOF

my $dir = $t->testdir();

system("openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost "
	. "-keyout '$dir/localhost.key' -out '$dir/localhost.crt' "
	. "> '$dir/openssl.out' 2>&1") == 0
	or die "Can't create certificate: $!\n";

$t->run();

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';
my $method = 'Access-Control-Request-Method: PUT';

my $preflight = '-Allow-Methods: GET, HEAD, POST; '
	. "-Allow-Origin: $app; -Expose-Headers: X-Own; " . PREFLIGHT_VARY;
my $allowed = "-Allow-Origin: $app; -Expose-Headers: X-Own; " . VARY;

for (
	['clear text', 'http', 8080, '--http2-prior-knowledge', 2],
	['TLS', 'https', 8443, '--http2', 2],
	['TLS', 'https', 8443, '--http1.1', '1.1'],
)
{
	my ($name, $scheme, $port, $option, $version) = @$_;
	my $base = "$scheme://127.0.0.1:" . port($port);
	my $r;

	for (
		['allowed', 'GET', '/', ["Origin: $app"], "200 $allowed"],
		['denied', 'GET', '/', ["Origin: $evil"], '200 ' . VARY],
		['no origin', 'GET', '/', [], '200 ' . VARY],
		['two origins', 'GET', '/', ["Origin: $app", "origin: $app"],
			'200 ' . VARY],
		['POST', 'POST', '/', ["Origin: $app"], "200 $allowed"],
		['404', 'GET', '/404', ["Origin: $app"], '404 ' . allowed($app)],
		["'*'", 'GET', '/star', ["Origin: $evil"], '200 -Allow-Origin: *'],
		["'*', no origin", 'GET', '/star', [], '200 -Allow-Origin: *'],
		['preflight', 'OPTIONS', '/', ["Origin: $app", $method],
			"204 $preflight"],
		['preflight denied', 'OPTIONS', '/', ["Origin: $evil", $method],
			'403 ' . PREFLIGHT_VARY],
		['no preflight', 'OPTIONS', '/', ["Origin: $app"], "200 $allowed"],
		['enforced', 'GET', '/enforce', ["Origin: $evil"], '403 ' . VARY],
		['enforced, allowed', 'GET', '/enforce', ["Origin: $app"],
			'200 ' . allowed($app)],
		['enforced, own', 'GET', '/enforce', ["Origin: $base"], '200 ' . VARY],
		['body too large', 'POST', '/small', ["Origin: $app", 'body'],
			'413 ' . allowed($app)],
		['body of a preflight', 'OPTIONS', '/', ["Origin: $app", $method,
			'body'], "204 $preflight"],
	)
	{
		my ($what, $verb, $uri, $fields, $expected) = @$_;

		# Some versions of curl take an answer that comes before the whole
		# body was sent for an error of HTTP/2.
		next if $version eq '2' && $$fields[-1] && $$fields[-1] eq 'body';

		$r = curl($option, $verb, "$base$uri", @$fields);
		is(cors($r), $expected, "HTTP/$version, $name: $what");
		like($r, qr/^HTTP\/\Q$version\E /, "HTTP/$version, $name: version, $what");
	}

	$r = curl($option, 'GET', "$base/status", "Origin: $base");
	is(header($r, 'X-Status'), 'SAME_ORIGIN', "HTTP/$version, $name: own");

	# Two requests on one connection, which some versions of curl do not send
	# in clear text.
	next if $scheme eq 'http';

	$r = curl($option, 'OPTIONS', "$base/", "Origin: $app", $method, "$base/");
	is(() = $r =~ /^access-control-allow-origin: \Q$app/mgi, 2,
		"HTTP/$version, $name: two requests");
	is(join(' ', $r =~ /^connections: (\d+)$/mg), '1 0',
		"HTTP/$version, $name: one connection");
}

###############################################################################

sub curl {
	my ($option, $method, $url, @fields) = @_;

	my @arguments = map { $_ eq 'body' ? "--data-binary 'SOME-BODY'"
		: /^http/ ? "'$_'" : "-H '$_'" } @fields;

	my $seconds = 3 * SOON;
	return scalar `curl -skig -m $seconds -w '\nconnections: %{num_connects}\n' $option -X $method @arguments '$url'`;
}

###############################################################################
