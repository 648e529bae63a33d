#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for internal redirects: an error on an API call reaches the script that
# made the call.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /)->plan(129);

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

        location /api/ {
            cors_allow_origin      https://app.example.com;
            cors_allow_credentials on;

            location /api/error/plain { error_page 404 /plain; }
            location /api/error/named { error_page 404 @named; }
            location /api/error/other { error_page 404 /other; }
            location /api/error/off { error_page 404 /off; }
            location /api/error/off-named { error_page 404 @off; }
            location /api/error/status { error_page 404 =200 /plain; }
            location /api/error/taken { error_page 404 = @named; }
            location /api/error/file { error_page 404 /page.txt; }
            location /api/error/none { error_page 404 /no-page; }
            location /api/error/url {
                error_page 404 https://elsewhere.example/;
            }
            location /api/error/auth {
                auth_basic           closed;
                auth_basic_user_file %%TESTDIR%%/htpasswd;
                error_page 401 /plain;
            }
            location /api/error/down {
                proxy_pass http://127.0.0.1:8082;
                error_page 502 /plain;
            }
            location /api/error/intercepted {
                proxy_pass http://127.0.0.1:8081;
                proxy_intercept_errors on;
                error_page 418 /plain;
            }
            location /api/error/large {
                client_max_body_size 1;
                error_page 413 /plain;
            }
            location /api/error/twice {
                proxy_pass http://127.0.0.1:8082;
                error_page 502 = @again;
                recursive_error_pages on;
            }

            location /api/try/uri { try_files $uri /plain; }
            location /api/try/named { try_files $uri @named; }
            location /api/try/other { try_files $uri /other; }
            location /api/try/off { try_files $uri @off; }
            location /api/try/setting { try_files $uri /setting; }
            location /api/try/status { try_files $uri =404; }

            location /api/accel/ {
                proxy_pass http://127.0.0.1:8081;
            }

            location /api/rewrite/plain { rewrite ^ /plain last; }
            location /api/rewrite/other { rewrite ^ /other last; }
            location /api/rewrite/off { rewrite ^ /off last; }
        }

        location /api/dir/ {
            cors_allow_origin      https://app.example.com;
            cors_allow_credentials on;
            index index.txt;
        }

        location = /plain {
            return 200 "PLAIN";
        }

        location ~ \.txt$ {
            add_header X-Text yes;
        }

        location @named {
            return 200 "NAMED";
        }

        location @again {
            proxy_pass http://127.0.0.1:8082;
            error_page 502 /plain;
            recursive_error_pages on;
        }

        location = /other {
            cors_allow_origin https://other.example https://app.example.com;
            return 200 "OTHER";
        }

        # A directive, and no policy.

        location = /setting {
            cors_max_age 1;
            return 200 "SETTING";
        }

        location = /off {
            cors off;
            return 200 "OFF";
        }

        location @off {
            cors off;
            return 200 "OFF";
        }

        # The first location that is reached has none.

        location /none/ {
            error_page 404 /other;
        }

        location /none-off/ {
            cors off;
            error_page 404 /plain;
        }

        location /enforced/ {
            cors_enforce on;
            error_page 404 /plain;
        }

        # "rewrite ... last" leaves what modules have kept for the request.

        location /decided/ {
            cors_allow_origin https://app.example.com;
            cors_enforce on;
            rewrite /off$ /off last;
            rewrite ^ /careful last;
        }

        location = /careful {
            cors_allow_origin https://other.example;
            cors_override off;
            return 200 "CAREFUL";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  inherits;

        cors_allow_origin https://server.example;

        location /api/ {
            cors_allow_origin https://app.example.com;
            error_page 404 /plain;
        }

        location /off/ {
            cors off;
            error_page 404 /plain;
        }

        location = /api/denied {
            cors_allow_origin https://app.example.com;
            error_page 403 /other;
            return 403;
        }

        location = /plain {
            return 200 "PLAIN";
        }

        location = /other {
            cors_allow_origin https://other.example;
            return 200 "OTHER";
        }
    }
}

EOF

$t->write_file('htpasswd', '');
$t->write_file('page.txt', 'PAGE');
mkdir $t->testdir() . $_ for '/api', '/api/dir';
$t->write_file('api/dir/index.txt', 'INDEX');

$t->run_daemon(\&serve, port(8081), sub {
	return "HTTP/1.0 418 X\n\n" unless $_[0] =~ m{^\S+ /api/accel/(\S+)};

	# A URI with the name of a file would find the location of files.
	my $target = $1 =~ s/_/./r;
	$target = "/$target" unless $target =~ /^@/;

	return "HTTP/1.0 200 OK\nX-Accel-Redirect: $target\n\n";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $other = 'https://other.example';
my $evil = 'https://evil.example';

# The policy of the location reached first is kept

for (
	[404, '/api/error/plain', 'PLAIN'],
	[404, '/api/error/named', 'NAMED'],
	[200, '/api/error/status', 'PLAIN'],
	[200, '/api/error/taken', 'NAMED'],
	[404, '/api/error/file', 'PAGE'],
	[404, '/api/error/none', '404 Not Found'],
	[302, '/api/error/url', '302 Found'],
	[401, '/api/error/auth', 'PLAIN'],
	[502, '/api/error/down', 'PLAIN'],
	[418, '/api/error/intercepted', 'PLAIN'],
	[502, '/api/error/twice', 'PLAIN'],
	[200, '/api/try/uri', 'PLAIN'],
	[200, '/api/try/named', 'NAMED'],
	[200, '/api/try/setting', 'SETTING'],
	[404, '/api/try/status', '404 Not Found'],
	[200, '/api/accel/plain', 'PLAIN'],
	[200, '/api/accel/@named', 'NAMED'],
	[200, '/api/accel/page_txt', 'PAGE'],
	[404, '/api/accel/no-page', '404 Not Found'],
	[200, '/api/dir/', 'INDEX'],
	[200, '/api/rewrite/plain', 'PLAIN'],
)
{
	my ($status, $uri, $content) = @$_;
	my $r;

	is(cors($r = get($uri, $app)),
		"$status -Allow-Credentials: true; " . allowed($app),
		"kept, allowed: $uri");
	like(content($r), qr/$content/, "redirected: $uri");
	is(cors(get($uri, $evil)), "$status " . VARY, "kept, denied: $uri");
	is(cors(get($uri)), "$status " . VARY, "kept, no origin: $uri");
}

# nginx refuses a body that is declared too large before the location's phases
# run; by the time of the redirect nobody knows which location that was.

is(cors(request('POST', '/api/error/large', "Origin: $app",
	'Content-Length: 9', { body => 'SOME-BODY' })),
	'413', 'not kept: 413');
is(cors(request('HEAD', '/api/error/plain', "Origin: $app")),
	"404 -Allow-Credentials: true; " . allowed($app), 'kept: HEAD');

# One of its own

for (
	[404, '/api/error/other'],
	[200, '/api/try/other'],
	[200, '/api/accel/other'],
	[200, '/api/rewrite/other'],
	[404, '/none/'],
)
{
	my ($status, $uri) = @$_;

	is(cors(get($uri, $_)), "$status " . allowed($_),
		"a policy of its own: $uri $_") for $app, $other;
	is(cors(get($uri, $evil)), "$status " . VARY,
		"a policy of its own, denied: $uri");
}

# cors off there

for (
	[404, '/api/error/off'],
	[404, '/api/error/off-named'],
	[200, '/api/try/off'],
	[200, '/api/accel/off'],
	[200, '/api/accel/@off'],
	[200, '/api/rewrite/off'],
)
{
	my ($status, $uri) = @$_;

	is(cors(get($uri, $_)), $status, "cors off ends it: $uri $_")
		for $app, $evil;
}

is(cors(get('/none-off/', $app)), '404', 'none to keep');

# Enforcement

is(cors(get('/enforced/', $evil)), '403 ' . VARY, 'enforced at first');
is(cors(get('/enforced/', 'http://localhost')), '404 ' . VARY,
	'enforced, no rejection');

is(cors(get('/decided/off', $app)), '200', 'decided before cors off');
is(cors(get('/decided/other', $app)), '200 ' . VARY,
	'decided before a policy of its own');

# Preflights go to the location reached first

is(cors(preflight($_, $app)), '204 -Allow-Credentials: true; '
	. "-Allow-Methods: GET, HEAD, POST; -Allow-Origin: $app; "
	. PREFLIGHT_VARY, "preflight: $_")
	for '/api/error/other', '/api/error/off', '/api/try/named',
		'/api/accel/other', '/api/rewrite/other', '/api/dir/';

# A policy that a location has from the server is not one of its own

my $host = 'Host: inherits';

is(cors(get('/api/x', $app, $host)), '404 ' . allowed($app),
	'the policy of the server does not replace it');
is(cors(get('/api/x', 'https://server.example', $host)), '404 ' . VARY,
	'the policy of the server does not replace it: denied');
is(cors(get('/api/denied', $other, $host)), '403 ' . allowed($other),
	'a policy of its own beside that of the server');
is(cors(get('/off/x', 'https://server.example', $host)), '404',
	'the policy of the server does not replace cors off');
is(cors(get('/x', 'https://server.example', $host)),
	'404 ' . allowed('https://server.example'), 'the policy of the server');

###############################################################################
