#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the configurations of those who the module is for, as they wrote them.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /)->plan(76);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  lists;

        location / {
            cors_allow_origin https://example.com https://sub.example.com
                              http://localhost:8080 http://127.0.0.1:9000;
            return 200;
        }

        location /expressions {
            cors_allow_origin_regex ^https://\w+\.example\.com$;
            cors_allow_origin_regex ^http://(localhost|127\.0\.0\.1):\d+$;
            cors_allow_origin_regex ^http://192\.168\.1\.\d+:3000$;
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  development;

        # Allow all.

        location / {
            cors_allow_origin  *;
            cors_allow_methods *;
            cors_allow_headers * Authorization;
            return 200;
        }

        location /one {
            cors_allow_origin *;
            return 200;
        }
    }

    # The same with add_header, and moved over value by value.

    server {
        listen       127.0.0.1:8080;
        server_name  before;

        location / {
            add_header 'Access-Control-Allow-Origin' 'https://example.com' always;
            add_header 'Access-Control-Allow-Methods' 'GET, POST, OPTIONS';
            add_header 'Access-Control-Allow-Headers' 'DNT,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range';
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  after;

        location / {
            cors_allow_origin 'https://example.com';
            cors_allow_methods 'GET, POST, OPTIONS';
            cors_allow_headers 'DNT,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range';
            proxy_pass http://127.0.0.1:8081;
        }
    }

    # The example of the design, and the shortest policy.

    server {
        listen       127.0.0.1:8080;
        server_name  api;

        location /api/ {
            cors_allow_origin        https://app.example.com https://*.example.org http://localhost:*;
            cors_allow_origin_regex  ^https://pr-\d+\.preview\.example\.dev$;
            cors_allow_methods       GET POST PUT DELETE;
            cors_allow_headers       Authorization Content-Type;
            cors_allow_credentials   on;
            cors_max_age             1h;
            proxy_pass               http://127.0.0.1:8081;
        }

        location /alone/ {
            cors_allow_origin https://app.example.com;
            proxy_pass        http://127.0.0.1:8081;
        }
    }
}

EOF

# An application with CORS settings of its own, which fight with those of nginx.

$t->run_daemon(\&serve, port(8081), sub {
	return $_[0] =~ /^OPTIONS/ ? "HTTP/1.0 403 X\n\n" : <<'EOF';
HTTP/1.0 200 OK
Access-Control-Allow-Origin: https://example.com
Access-Control-Allow-Credentials: true
Vary: Cookie

SEE-THIS
EOF
});

$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

# Lists and expressions

my $host = 'Host: lists';

for (
	['/', 'https://example.com', 1],
	['/', 'https://sub.example.com', 1],
	['/', 'http://localhost:8080', 1],
	['/', 'http://127.0.0.1:9000', 1],
	['/', 'http://127.0.0.1:8080', 0],
	['/', 'http://localhost:9000', 0],
	['/', 'http://localhost', 0],
	['/', 'https://localhost:8080', 0],
	['/', 'http://example.com', 0],
	['/', 'https://other.example.com', 0],
	['/', 'https://example.com.evil.example', 0],
	['/expressions', 'https://app.example.com', 1],
	['/expressions', 'https://app_1.example.com', 1],
	['/expressions', 'https://a.b.example.com', 0],
	['/expressions', 'https://example.com', 0],
	['/expressions', 'http://app.example.com', 0],
	['/expressions', 'https://app.example.com:8443', 0],
	['/expressions', 'https://appxexample.com', 0],
	['/expressions', 'http://localhost:3000', 1],
	['/expressions', 'http://127.0.0.1:3000', 1],
	['/expressions', 'http://localhost', 0],
	['/expressions', 'http://127.0.0.2:3000', 0],
	['/expressions', 'http://192.168.1.7:3000', 1],
	['/expressions', 'http://192.168.1.7:3001', 0],
	['/expressions', 'http://192.168.2.7:3000', 0],
	['/expressions', 'http://192.168.1.7', 0],
)
{
	my ($uri, $origin, $allowed) = @$_;

	is(cors(get($uri, $origin, $host)),
		'200 ' . ($allowed ? allowed($origin) : VARY), "$uri $origin");
	is(cors(preflight($uri, $origin, 'PUT', undef, $host)), $allowed
		? "204 -Allow-Methods: GET, HEAD, POST; -Allow-Origin: $origin; "
		. PREFLIGHT_VARY : '403 ' . PREFLIGHT_VARY, "preflight: $uri $origin");
}

# Allow all

for my $origin ('http://localhost:3000', 'null', 'https://evil.example') {
	is(cors(get('/', $origin, 'Host: development')), '200 -Allow-Origin: *',
		"allow all: $origin");
	is(cors(preflight('/', $origin, 'PATCH', 'authorization,x-any',
		'Host: development')), '204 -Allow-Headers: *, Authorization; '
		. '-Allow-Methods: *; -Allow-Origin: *', "allow all: preflight $origin");
	is(cors(get('/one', $origin, 'Host: development')),
		'200 -Allow-Origin: *', "allow all, a line: $origin");
}

# Moved over from add_header

my $example = 'https://example.com';
my $headers = 'DNT,User-Agent,X-Requested-With,If-Modified-Since,'
	. 'Cache-Control,Content-Type,Range';

is(cors(get('/', $example, 'Host: before')), '200 -Allow-Credentials: true; '
	. "-Allow-Headers: $headers; -Allow-Methods: GET, POST, OPTIONS; "
	. "-Allow-Origin: $example; -Allow-Origin: $example; Vary: Cookie",
	'add_header: twice');
is(cors(preflight('/', $example, 'GET', undef, 'Host: before')),
	"403 -Allow-Origin: $example", 'add_header: preflight refused');

is(cors(get('/', $example, 'Host: after')),
	"200 -Allow-Origin: $example; Vary: Cookie, Origin", 'moved over');
is(cors(get('/', 'https://evil.example', 'Host: after')),
	'200 Vary: Cookie, Origin', 'moved over: denied');
is(cors(preflight('/', $example, 'POST', 'content-type', 'Host: after')),
	'204 -Allow-Headers: ' . $headers =~ s/,/, /gr
	. "; -Allow-Methods: GET, POST, OPTIONS; -Allow-Origin: $example; "
	. PREFLIGHT_VARY, 'moved over: preflight');

# The example

for my $origin ('https://app.example.com', 'https://a.example.org',
	'http://localhost:3000', 'https://pr-7.preview.example.dev')
{
	is(cors(get('/api/', $origin, 'Host: api')), '200 -Allow-Credentials: true; '
		. "-Allow-Origin: $origin; Vary: Cookie, Origin", "example: $origin");
	is(cors(preflight('/api/', $origin, 'DELETE', 'authorization',
		'Host: api')), '204 -Allow-Credentials: true; '
		. '-Allow-Headers: Authorization, Content-Type; '
		. "-Allow-Methods: GET, POST, PUT, DELETE; -Allow-Origin: $origin; "
		. '-Max-Age: 3600; ' . PREFLIGHT_VARY, "example: preflight $origin");
}

is(cors(get('/api/', 'https://example.org', 'Host: api')),
	'200 Vary: Cookie, Origin', 'example: denied');
is(cors(get('/alone/', 'https://app.example.com', 'Host: api')),
	'200 -Allow-Origin: https://app.example.com; Vary: Cookie, Origin',
	'a complete policy');

###############################################################################
