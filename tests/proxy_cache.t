#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for cached responses: one that was stored for one origin is served right
# to another.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http proxy cache /)->plan(31);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    proxy_cache_path %%TESTDIR%%/cache keys_zone=one:1m;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://app.example.com https://b.example.com;

        add_header X-Cache-Status $upstream_cache_status always;

        location / {
            proxy_pass http://127.0.0.1:8081;
            proxy_cache one;
        }

        location /star/ {
            cors_allow_origin *;
            proxy_pass http://127.0.0.1:8081;
            proxy_cache one;
        }

        location /stale/ {
            proxy_pass http://127.0.0.1:8081;
            proxy_cache one;
            proxy_cache_use_stale http_500;
        }
    }
}

EOF

my %count;

$t->run_daemon(\&serve, port(8081), sub {
	my ($uri) = $_[0] =~ m{^\S+ (\S+)};
	my $age = $uri =~ /stale/ ? 1 : 100;
	my $vary = $uri =~ /vary/ ? "Vary: Origin\n" : '';

	return "HTTP/1.0 500 X\n\n" if $uri =~ /stale/ && $count{$uri}++;
	return 'HTTP/1.0 ' . ($uri =~ /(404)/ ? 404 : 200) . " X\n" . <<"EOF";
Cache-Control: max-age=$age
Access-Control-Allow-Origin: https://own.example
Access-Control-Allow-Credentials: true
ETag: "x"
Accept-Ranges: bytes
Content-Length: 10
${vary}
SEE-THIS
EOF
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $b = 'https://b.example.com';
my $evil = 'https://evil.example';

# Whoever comes first

for my $first ($app, $evil, undef) {
	my $uri = '/' . ($first // 'none') =~ s/\W//gr;

	is(cached($uri, $first), 'MISS ' . expected($first), "stored: $uri");
	is(cached($uri, $_), 'HIT ' . expected($_),
		"served from the cache: $uri to " . ($_ // 'no origin'))
		for $app, $b, $evil, undef;
}

is(cached('/404', $evil), 'MISS ' . expected($evil, 404), 'stored: 404');
is(cached('/404', $app), 'HIT ' . expected($app, 404),
	'served from the cache: 404');
is(cors(get('/404', $app, 'If-None-Match: "x"')), '404 ' . allowed($app),
	'served from the cache: 404, conditional');
is(cors(get('/none', $app, 'If-None-Match: "x"')), '304 ' . allowed($app),
	'served from the cache: 304');
is(cors(get('/none', $b, 'Range: bytes=0-1')), '206 ' . allowed($b),
	'served from the cache: 206');
is(cors(request('HEAD', '/none', "Origin: $b")), '200 ' . allowed($b),
	'served from the cache: HEAD');

# What the upstream varies by

is(cached('/vary', $app), 'MISS ' . expected($app), 'varies: stored');
is(cached('/vary', $app), 'HIT ' . expected($app), 'varies: served');
is(cached('/vary', $b), 'MISS ' . expected($b), 'varies: the other stored');

# "*"

is(cached('/star/', $app), 'MISS 200 -Allow-Origin: *', "'*': stored");
is(cached('/star/', $_), 'HIT 200 -Allow-Origin: *',
	"'*': served to " . ($_ // 'no origin')) for $evil, undef;

# Stale

is(cached('/stale/', $app), 'MISS ' . expected($app), 'stale: stored');
sleep 2;
is(cached('/stale/', $b), 'STALE ' . expected($b), 'stale: served');

# Preflights are not stored

is(cors(preflight('/preflight', $app)), '204 -Allow-Methods: GET, HEAD, POST; '
	. "-Allow-Origin: $app; " . PREFLIGHT_VARY, 'a preflight');
is(cached('/preflight', $app), 'MISS ' . expected($app),
	'a preflight is not stored');

###############################################################################

sub cached {
	my ($uri, $origin) = @_;

	my $r = get($uri, $origin);

	return header($r, 'X-Cache-Status') . ' ' . cors($r);
}

sub expected {
	my ($origin, $status) = @_;

	return ($status // 200) . ' ' . (($origin // $evil) eq $evil
		? VARY : allowed($origin));
}

###############################################################################
