#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for static files.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http /)->plan(80);

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
        }

        location /star/ {
            cors_allow_origin *;
            alias %%TESTDIR%%/;
        }
    }
}

EOF

$t->write_file('file.txt', 'SEE-THIS' x 10);
$t->write_file('empty.txt', '');
mkdir $t->testdir() . '/dir';
$t->write_file('dir/index.html', 'INDEX');
mkdir $t->testdir() . '/closed';

$t->run();

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

my $etag = header(get('/file.txt'), 'ETag');
my $modified = header(get('/file.txt'), 'Last-Modified');

for (
	[200, 'GET', '/file.txt'],
	[200, 'HEAD', '/file.txt'],
	[200, 'GET', '/empty.txt'],
	[200, 'GET', '/dir/'],
	[206, 'GET', '/file.txt', 'Range: bytes=1-2'],
	[206, 'GET', '/file.txt', 'Range: bytes=1-2,5-6'],
	[206, 'GET', '/file.txt', 'Range: bytes=1-2', "If-Range: $etag"],
	[301, 'GET', '/dir'],
	[304, 'GET', '/file.txt', "If-None-Match: $etag"],
	[304, 'HEAD', '/file.txt', "If-None-Match: $etag"],
	[304, 'GET', '/file.txt', "If-Modified-Since: $modified"],
	[403, 'GET', '/closed/'],
	[404, 'GET', '/none.txt'],
	[404, 'HEAD', '/none.txt'],
	[405, 'POST', '/file.txt'],
	[405, 'PUT', '/file.txt'],
	[405, 'OPTIONS', '/file.txt'],
	[412, 'GET', '/file.txt', 'If-Match: "x"'],
	[416, 'GET', '/file.txt', 'Range: bytes=1000-'],
)
{
	my ($status, $method, $uri, @fields) = @$_;
	my $name = "$status: $method $uri @fields";

	is(cors(request($method, $uri, "Origin: $app", @fields)),
		"$status " . allowed($app), "allowed, $name");
	is(cors(request($method, $uri, "Origin: $evil", @fields)),
		"$status " . VARY, "denied, $name");
	is(cors(request($method, $uri, @fields)), "$status " . VARY,
		"no origin, $name");
	is(cors(request($method, "/star$uri", "Origin: $evil", @fields)),
		"$status -Allow-Origin: *", "'*', $name");
}

is(content(get('/file.txt', $app)), 'SEE-THIS' x 10, 'content');
is(content(get('/file.txt', $evil)), 'SEE-THIS' x 10,
	'denied: the content is served');
is(content(get('/file.txt', $evil, 'Range: bytes=1-2')), 'EE',
	'denied: a part of the content is served');
is(content(get('/dir/', $app)), 'INDEX', 'index');

###############################################################################
