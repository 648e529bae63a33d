#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for docs/recipes.md: each configuration is started as it stands, and does
# what the page says.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map auth_basic /);

my %recipes = do {
	open my $page, '<', "$FindBin::Bin/../docs/recipes.md" or die $!;
	local $/;
	<$page> =~ /^<!-- recipe: (\w+) -->\n```nginx\n(.*?)^```$/msg;
};

my $app = 'https://app.example.com';
my $partner = 'https://partner.example';
my $evil = 'https://evil.example';
my @allowed = ("Origin: $app");
my $with_cookies = '-Allow-Credentials: true; ';
my $methods = '-Allow-Methods: GET, HEAD, POST; ';

# What the application that does CORS says of requests of its page.
my $own = "-Allow-Credentials: true; -Allow-Origin: $app; "
	. '-Expose-Headers: X-Own; Vary: Origin';

# By recipe: requests with all that the response says about CORS, or with what it
# matches.
my %expected = (
	json => [
		['OPTIONS /api/', @allowed, asks('POST', 'content-type'),
			"204 $with_cookies-Allow-Headers: Content-Type; $methods"
				. "-Allow-Origin: $app; " . PREFLIGHT_VARY],
		['POST /api/', @allowed, 'Content-Type: application/json',
			'Cookie: a=b', "200 $with_cookies" . allowed($app)],
	],
	application => [
		['GET /api/', @allowed, "200 $own"],
		['OPTIONS /api/', @allowed, asks('PUT'), '200 '
			. $own =~ s/Vary.*//r . PREFLIGHT_VARY],
		['GET /api/502', @allowed, "502 $with_cookies" . allowed($app)],
		['OPTIONS /api/502', @allowed, asks('PUT'), '502 ' . PREFLIGHT_VARY],
		['GET /api/', "Origin: $evil", '200 ' . VARY],
	],
	another => [
		['GET /api/', "Origin: $partner",
			"200 $with_cookies" . allowed($partner)],
		['GET /api/', @allowed, "200 $with_cookies" . allowed($app)],
		['OPTIONS /api/', "Origin: $partner", asks('PUT', 'authorization'),
			"204 $with_cookies-Allow-Headers: Authorization, Content-Type; "
				. '-Allow-Methods: GET, POST, PUT, DELETE; '
				. "-Allow-Origin: $partner; " . PREFLIGHT_VARY],
	],
	hide => [
		['GET /api/', @allowed, '200 ' . allowed($app)],
		['GET /api/', @allowed, qr/\[\]$/],
	],
	controller => [
		['OPTIONS /any', @allowed, asks('GET', 'authorization'),
			qr/^HTTP\S+ 204 .*^Access-Control-Allow-Origin: \Q$app\E/ms],
		['OPTIONS /any', @allowed, asks('GET', 'authorization'),
			qr/^Access-Control-Allow-Headers: Authorization, Content-Type/m],
		['GET /any', @allowed, '401 ' . allowed($app)],
		['GET /any', @allowed, 'Authorization: Basic YTpi',
			'200 ' . allowed($app)],
	],
	errors => [
		['POST /upload', @allowed, 'Content-Length: 2000000',
			'413 ' . allowed($app)],
		['POST /upload', @allowed, 'Content-Length: 2000000', qr/too large/],
	],
	cache => [
		['GET /api/1', @allowed, '200 ' . allowed($app)],
		['GET /api/1', "Origin: $partner", '200 ' . allowed($partner)],
		['GET /api/1', "Origin: $partner", qr/ 1 \[\]$/],
		['GET /api/1', "Origin: $evil", '200 ' . VARY],
	],
	default => [
		['POST /', 'Host: evil.example', 'Origin: http://evil.example',
			qr/^HTTP\S+ 421 /],
		['POST /', 'Host: api.example.com', "Origin: $evil", '403 ' . VARY],
		['POST /', 'Host: api.example.com', @allowed, '200 ' . allowed($app)],
	],
	callback => [
		['POST /', @allowed, '200 ' . allowed($app)],
		['POST /', "Origin: $evil", '403 ' . VARY],
		['POST /saml/acs', 'Origin: null', 'Sec-Fetch-Site: cross-site',
			'200 ' . VARY],
		['POST /saml/acs', '200 ' . VARY],
	],
	bypass => [
		['POST /other', @allowed, '200 ' . allowed($app)],
		['POST /other', "Origin: $evil", '403 ' . VARY],
		['POST /other', "Origin: $evil", '403 ' . VARY],
		['POST /saml/acs', 'Origin: null', 'Sec-Fetch-Site: cross-site',
			"200 $own"],
		['POST /saml/acs?a=b', "Origin: $evil", "200 $own"],
		['POST /saml/acs/other', "Origin: $evil", '403 ' . VARY],
		['POST /other?/saml/acs', "Origin: $evil", '403 ' . VARY],
	],
	host => [
		['POST /', 'Host: backend', 'Origin: https://www.example.com',
			'200 ' . allowed('https://www.example.com')],
		['POST /', 'Host: backend', "Origin: $evil", '403 ' . VARY],
	],
	environment => [
		['GET /api/', 'Origin: https://a.example',
			'200 ' . allowed('https://a.example')],
		['GET /api/', 'Origin: https://b.example',
			'200 ' . allowed('https://b.example')],
	],
	set => [
		['GET /', "Origin: $partner", '200 ' . allowed($partner)],
		['GET /', "Origin: $evil", '200 ' . VARY],
	],
	reason => [
		['GET /api/', @allowed, '200 ' . allowed($app)],
		['GET /api/', "Origin: $app:8443",
			qr/^X-CORS-Reason: origin .*; nearest: \Q$app\E \(another port\)/m],
	],
	tracing => [
		['OPTIONS /api/', @allowed,
			asks('GET', 'baggage,sentry-trace,traceparent'),
			qr/^Access-Control-Allow-Headers: .*sentry-trace/m],
	],
	webdav => [['OPTIONS /dav/a', @allowed, asks('PROPFIND', 'depth'),
		qr/^HTTP\S+ 204 .*^Access-Control-Allow-Methods: .*PROPFIND/ms]],
	tus => [['PATCH /files/1', @allowed,
		qr/^Access-Control-Expose-Headers: .*Upload-Offset/m]],
	s3 => [['PUT /bucket/1', @allowed,
		qr/^Access-Control-Expose-Headers: ETag/m]],
	mcp => [
		['POST /mcp', 'Origin: https://client.example',
			qr/^HTTP\S+ 200 .*^Access-Control-Expose-Headers: Mcp/ms],
		['POST /mcp', "Origin: $evil", '403 ' . VARY],
	],
	shells => [map { ['GET /api/', "Origin: $_",
			"200 $with_cookies" . allowed($_)] }
		qw{ capacitor://localhost https://localhost tauri://localhost
		http://tauri.localhost app://. }],
);

# Its test is with TLS, below.
my @plain = grep { $_ ne 'certificates' } sort keys %recipes;
my $has_tls = $t->has_module('http_ssl') && $t->has_daemon('curl')
	&& $t->has_daemon('openssl');
my $requests = 0;
$requests += @$_ for values %expected;

$t->plan($requests + 2 + ($has_tls ? 4 : 0));

my $conf = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    upstream app {
        server 127.0.0.1:8081;
    }

    proxy_cache_path %%TESTDIR%%/cache-RECIPE keys_zone=api:1m;

    EXAMPLE

    # An application that does CORS.
    server {
        listen 127.0.0.1:8081;
        cors   off;

        location /api/502 {
            return 444;
        }

        location / {
            set $known '';
            set $credentials '';

            if ($http_origin = "https://app.example.com") {
                set $known $http_origin;
            }

            if ($uri = /index.php) {
                set $known https://app.example.com;
            }

            set $exposed '';

            if ($known) {
                set $credentials true;
                set $exposed X-Own;
            }

            add_header Access-Control-Allow-Origin $known;
            add_header Access-Control-Allow-Credentials $credentials;
            add_header Access-Control-Expose-Headers $exposed;
            add_header Vary Origin;
            return 200 "SEEN $connection_requests [$http_origin]";
        }
    }
}

EOF

###############################################################################

is("@{[sort keys %expected, 'certificates']}", "@{[sort keys %recipes]}",
	'all recipes');
cmp_ok(scalar keys %recipes, '>', 15, 'there are recipes');

mkdir $t->testdir() . "/$_" for qw/ srv srv\/app /;
$t->write_file('srv/app/index.php', '');
$t->write_file('srv/users', "a:{PLAIN}b\n");

for my $recipe (@plain) {
	start($t, $recipe);

	for (@{$expected{$recipe}}) {
		my ($line, @fields) = @$_;
		my $expected = pop @fields;
		my ($method, $uri) = split / /, $line;
		push @fields, 'Content-Length: 0'
			if $method eq 'POST' && !grep { /^Content-Length/ } @fields;
		my $response = request($method, $uri, @fields);

		ref $expected ? like($response, $expected, "$recipe: $line @fields")
			: is(cors($response), $expected, "$recipe: $line @fields");
	}

	$t->stop();
}

if ($has_tls) {
	my $dir = $t->testdir();
	for my $name ('api', 'clients') {
		system('openssl req -x509 -newkey rsa:2048 -nodes -days 1 '
			. "-subj /CN=$name -out '$dir/$name.crt' -keyout '$dir/$name.key' "
			. "> '$dir/openssl.out' 2>&1") == 0
			or die "Can't create certificate: $!\n";
	}

	start($t, 'certificates');

	my $curl = "curl -sik -H 'Origin: $app'";
	my $url = 'https://127.0.0.1:' . port(8080) . '/';

	like(`$curl -X OPTIONS -H 'Access-Control-Request-Method: POST' $url`,
		qr/^HTTP\S+ 204 .*^access-control-allow-origin: \Q$app\E/msi,
		'certificates: preflight without one');
	my $response = `$curl $url`;
	like($response, qr/^HTTP\S+ 403 .*^access-control-allow-origin: \Q$app\E/msi,
		'certificates: request without one');
	like($response, qr/^access-control-allow-credentials: true/mi,
		'certificates: with credentials');
	like(`$curl --cert $dir/clients.crt --key $dir/clients.key $url`,
		qr/^HTTP\S+ 200 /, 'certificates: request with one');

	$t->stop();
}

###############################################################################

sub asks {
	my ($method, $headers) = @_;

	return ("Access-Control-Request-Method: $method",
		defined $headers ? "Access-Control-Request-Headers: $headers" : ());
}

# Starts nginx with a recipe, changed only in places and addresses.
sub start {
	my ($t, $recipe) = @_;

	my $example = $recipes{$recipe};
	my $dir = $t->testdir();

	$example = "server {\nlisten 80;\n$example\n}" if $example !~ /^server /m;
	$example =~ s/listen +\d+/listen 127.0.0.1:8080/g;
	$example =~ s!/srv/!$dir/srv/!g;
	$example =~ s!/etc/nginx/tls/!$dir/!g;
	$example =~ s/\$\{CORS_ORIGINS\}/https:\/\/a.example, https:\/\/b.example/g;

	$t->write_file_expand('nginx.conf',
		$conf =~ s/EXAMPLE/$example/r =~ s/RECIPE/$recipe/r);
	$t->run();
}

###############################################################################
