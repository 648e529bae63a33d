#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for cors_zone and cors_report: what is counted, the most frequent denials,
# and the three formats.

use warnings;
use strict;

use Test::More;

use Digest::SHA qw/ sha256_base64 /;
use FindBin;
use JSON::PP;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy ssi /)->plan(91);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    cors_zone cors:1m;
    cors_allow_origin https://a.example;

    server {
        listen       127.0.0.1:8080;
        server_name  api.example other.example;

        location / {
            return 200;
        }

        location = /exact {
            cors_allow_origin https://b.example;
            return 200;
        }

        location ^~ /static/ {
            cors_allow_origin_regex ^https://c$;
            return 200;
        }

        location ~ ^/re/ {
            cors_allow_origin https://d.example;
            return 200;
        }

        location /label/ {
            cors_allow_origin https://a.example;
            cors_zone_label 'own "label" \ <b>';
            return 200;

            location /label/nested/ {
                cors_max_age 1h;
                return 200;
            }
        }

        location /lists/ {
            cors_allow_origin https://a.example;
            cors_allow_methods PUT;
            cors_allow_headers X-A;
            cors_zone_label lists;
            return 200;
        }

        location /enforce/ {
            cors_allow_origin https://a.example;
            cors_enforce on;
            cors_bypass $arg_bypass;
            cors_zone_label enforce;
            return 200;
        }

        location /dry/ {
            cors_allow_origin https://a.example;
            cors_allow_credentials on;
            cors_enforce on;
            cors_dry_run on;
            cors_zone_label dry;
            return 200;
        }

        location /off/ {
            cors off;
            return 200;
        }

        location /redirects/ {
            cors_allow_origin https://a.example;
            cors_zone_label redirects;
            error_page 404 /redirects/error;
            error_page 403 /other/error;

            location /redirects/error {
                return 200;
            }

            location /redirects/other {
                return 403;
            }

            location /redirects/none {
                return 404;
            }
        }

        location /other/ {
            cors_allow_origin https://a.example;
            cors_zone_label other;
            return 200;
        }

        location /slash/ {
            cors_allow_origin https://a.example;
            cors_zone_label slash;
            proxy_pass http://127.0.0.1:8080/;
        }

        location /closes/ {
            cors_allow_origin https://a.example;
            cors_zone_label closes;
            return 444;
        }

        location /ssi/ {
            cors_allow_origin https://a.example;
            cors_zone_label ssi;
            ssi on;
        }

        location = /ssi/part.html {
            cors_allow_origin https://b.example;
            cors_zone_label part;
        }

        location /range/ {
            cors_allow_origin https://a.example;
            cors_zone_label range;
        }

        location = /report {
            cors off;
            cors_report;
        }

        location = /json {
            cors off;
            cors_report json;
        }

        location = /html {
            cors off;
            cors_report html;
        }

        location = /metrics {
            cors off;
            cors_report prometheus;
        }
    }

    server {
        listen       127.0.0.1:8080;

        cors_allow_origin https://a.example;
        cors_max_age 1;
    }
}

EOF

mkdir $t->testdir() . "/$_" for qw/ ssi range /;
$t->write_file('range/file', 'x');
$t->write_file('ssi/index.html', '<!--#include virtual="/ssi/part.html" -->' x 3);
$t->write_file('ssi/part.html', 'part');
my $began = time();

$t->run();

###############################################################################

my $a = 'https://a.example';
my $b = 'https://b.example';
my $n = 0;

is(join('|', map { $_->{policy} } @{report()->{policies}}), join('|', 'http',
	'api.example = /exact', 'api.example ^~ /static/', 'api.example ~ ^/re/',
	'own "label" \ <b>', 'lists', 'enforce', 'dry', 'redirects', 'other', 'slash',
	'closes', 'ssi', 'part', 'range', '_'), 'labels');
is(scalar(grep { !$_->{in_use} } @{report()->{policies}}), 0, 'all are in use');

# What is counted: one request, one row, one status

counts('http', allowed => sub { get('/', $a) });
counts('http', denied => sub { get('/', $b) });
counts('http', allowed => sub { request('POST', '/', "Origin: $a") });
counts('http', same_origin => sub { get('/', 'http://api.example', 'Host: api.example') });
counts('http', same_origin => sub { get('/', $b, 'Sec-Fetch-Site: same-origin') });
counts('http', denied => sub { get('/', $b, 'Sec-Fetch-Site: same-site') });
counts('http', denied => sub { get('/', $b, 'Sec-Fetch-Site: cross-site') });
# An origin that has been denied before, in requests that are not.
counts('http', same_origin => sub { get('/', $b, 'Sec-Fetch-Site: same-origin') });
counts('http', preflight_origin_denied => sub { preflight('/', $b, 'GET', undef, 'Sec-Fetch-Site: cross-site') });
counts('enforce', rejected => sub { get('/enforce/', $b, 'Sec-Fetch-Site: cross-site') });
counts('http', denied => sub { get('/', $b, "Origin: $a") });
counts('http', preflight => sub { preflight('/', $a, 'GET') });
counts('http', preflight_origin_denied => sub { preflight('/', $b, 'GET') });
counts('http', preflight_method_denied => sub { preflight('/', $a, 'PUT', 'x-a') });
counts('http', preflight_header_denied => sub { preflight('/', $a, 'GET', 'x-a') });
counts('lists', preflight => sub { preflight('/lists/', $a, 'PUT', 'x-a') });
counts('enforce', rejected => sub { get('/enforce/', $b) });
counts('enforce', rejected => sub { request('POST', '/enforce/', 'Sec-Fetch-Site: cross-site') });
counts('enforce', bypass => sub { get('/enforce/?bypass=1', $b) });
counts('enforce', allowed => sub { get('/enforce/', $a) });
counts('dry', denied => sub { request('OPTIONS', '/dry/', "Origin: $b") });
counts('dry', rejected => sub { get('/dry/', $b) });
counts('dry', preflight_origin_denied => sub { preflight('/dry/', $b, 'PATCH', 'x-b') });
counts('own "label" \ <b>', allowed => sub { get('/label/', $a) });
counts('own "label" \ <b>', allowed => sub { get('/label/nested/', $a) });
counts('redirects', allowed => sub { get('/redirects/none', $a) });
counts('other', allowed => sub { get('/redirects/other', $a) });
counts('slash', allowed => sub { get('/slash', $a) });
counts('slash', preflight => sub { preflight('/slash', $a, 'GET') });
counts('ssi', allowed => sub { get('/ssi/index.html', $a) });
# nginx prepares two responses: that of the file, and one that refuses the range.
counts('range', allowed => sub { get('/range/file', $a, 'Range: bytes=1000-') });
counts('range', denied => sub { get('/range/file', $b, 'Range: bytes=1000-') });
counts('range', denied => sub { get('/range/file', $b, 'Range: bytes=1000-', 'Sec-Fetch-Site: cross-site') });

is(counted(sub { get('/') }), '', 'not counted: no origin');
is(counted(sub { get('/enforce/?bypass=1') }), '', 'not counted: bypass without an origin');
is(counted(sub { get('/off/', $a) }), '', 'not counted: off');
is(counted(sub { get('/closes/', $a) }), '', 'not counted: no response');

# Denials

my ($denial) = denials(origin => $b, policy => 'http', status => 'denied');
is($denial->{directive}, "cors_allow_origin $b;", 'directive: origin');
is($denial->{count} . $denial->{error}, '30', 'count and error');
# nginx's clock may be behind by what it takes to go through its events.
cmp_ok($denial->{last}, '>=', $began - 1, 'last time: not before the test');
cmp_ok($denial->{last}, '<=', time(), 'last time: not in the future');
cmp_ok($denial->{first}, '<=', $denial->{last}, 'first time');

is(join(' ', map { $_->{directive} } denials(policy => 'http', status => 'preflight_method_denied')),
	'cors_allow_methods PUT;', 'directive: method');
is(join(' ', map { "$_->{header} $_->{directive} $_->{count}" }
	denials(policy => 'http', status => 'preflight_header_denied')),
	'x-a cors_allow_headers x-a; 2', 'directive: header');
is(join(' ', map { $_->{note} } denials(policy => 'http', origin => undef)),
	'browsers send one Origin field', 'several origins');
is(join(' ', map { $_->{note} } denials(policy => 'enforce', origin => undef)),
	'only cors_bypass lets it pass', 'no origin');

# What is longer than 256 characters is cut, and nothing can be recommended.

for my $row (['x', 256], ['y', 257]) {
	my ($x, $length) = @$row;
	my $long = 'https://' . ($x x 60 . '.') x 4 . $x x ($length - 252);
	get('/', $long);
	($denial) = denials(origin => substr $long, 0, 256);
	is($denial->{directive}, $length > 256 ? undef : "cors_allow_origin $long;",
		"an origin of $length characters");

	my $name = $x x $length;
	preflight('/', $a, 'GET', $name);
	($denial) = denials(header => $x x 256);
	is($denial->{directive}, $length > 256 ? undef : "cors_allow_headers $name;",
		"a name of $length characters");
}

# An origin that is denied again is counted in shorter ways, by its length.

for my $length (15, 16, 32, 33, 256) {
	my $long = 'https://z.' . ('z' x 40 . '.') x 4 . 'z' x 100;
	my $origin = substr($long, 0, $length - 1) . 'z';
	my @answers = map { cors(get('/', $origin, 'Sec-Fetch-Site: cross-site')) } 1 .. 3;
	is_deeply(\@answers, [('200 Vary: Origin') x 3],
		"denied again: $length characters");
	($denial) = denials(origin => $origin);
	is($denial->{count}, 3, "counted again: $length characters");
}

# What begins like one that was denied before is another.
{
	my $long = 'https://w.' . ('w' x 40 . '.') x 4 . 'w' x 82;
	get('/', $_, 'Sec-Fetch-Site: cross-site') for $long, "${long}y";
	is(join(' ', map { $_->{count} } denials(origin => $long)), '1 1', 'cut, like another');
}

my $odd = "https://<script>\"\\\xff&'";
get('/', $odd);
preflight('/', $a, 'A`\'', 'x,"</script>"');
my $json = content(get('/json'));
unlike($json, qr/[<>&]/, 'nothing ends a script');
($denial) = grep { ($_->{origin} // '') =~ /^https:\/\/<script>/ } @{report()->{denials}};
is($denial->{origin}, "https://<script>\"\\\x{fffd}&'", 'any origin');
is($denial->{directive}, undef, 'no directive for what is not an origin');
is(scalar(denials(header => '"</script>"')), 1, 'any header');

for my $wider ('https://*.b.example', 'https://b.example:*') {
	get('/', $wider);
	($denial) = denials(origin => $wider);
	is($denial->{directive}, undef, "no directive that allows more than $wider");
	like($denial->{note}, qr/cannot allow this without allowing more/, "a note: $wider");
}

# What a dry run needs

my ($dry) = grep { $_->{policy} eq 'dry' } @{report()->{policies}};
is($dry->{dry_run}, JSON::PP::true, 'dry run');
get('/dry/', 'http://c.example');
($dry) = grep { $_->{policy} eq 'dry' } @{report()->{policies}};
is(join(' ', map { "$_->{count} $_->{directive}" } @{$dry->{needs}}),
	"3 cors_allow_origin $b; 1 cors_allow_origin http://c.example; "
	. '1 cors_allow_methods PATCH; 1 cors_allow_headers x-b;', 'needs');
like($dry->{needs}[1]{note}, qr/^allows http.*\[cors-insecure-with-credentials\]$/,
	'the warning that nginx -t would give');

# Formats

like(get('/report'), qr/^Content-Type: text\/plain; version=0\.0\.4/m, 'the default');
like(get('/report', undef, 'Accept: application/json'),
	qr/^Content-Type: application\/json\x0d/m, 'JSON');
like(get('/report', undef, 'Accept: text/html,*/*;q=0.8'),
	qr/^Content-Type: text\/html/m, 'a page');
is(header(get('/report'), 'Vary'), 'Accept', 'it depends on Accept');
is(header(get('/json'), 'Vary'), '', 'it does not depend on Accept');
is(header(get('/json'), 'Cache-Control'), 'no-store', 'not stored');
like(get('/metrics', undef, 'Accept: text/html'), qr/^# HELP nginx_cors_/m, 'a fixed format');

my $head = request('HEAD', '/json');
is(content($head), '', 'HEAD: no body');
like($head, qr/^Content-Length: [1-9]\d+\x0d/m, 'HEAD: length');
like(request('POST', '/json'), qr/^HTTP\/1.1 405/, 'POST');

my $text = content(get('/metrics'));
like($text, qr/^nginx_cors_requests_total\{policy="own \\"label\\" \\\\ <b>",status="allowed"\} 2$/m,
	'labels are escaped');
like($text, qr/^nginx_cors_requests_total\{policy="dry",status="rejected",dry_run="true"\} 2$/m,
	'dry run');
unlike($text, qr/b\.example/, 'no client input');

# The page

my $page = get('/html');
my $policy = header($page, 'Content-Security-Policy');
my ($script) = content($page) =~ /<script>(.*?)<\/script>/s;
my ($style) = content($page) =~ /<style>(.*?)<\/style>/s;
like($policy, qr/^default-src 'none'; script-src 'sha256-\Q${\ hash($script)}\E';/, 'the hash of the script');
like($policy, qr/ style-src 'sha256-\Q${\ hash($style)}\E';/, 'the hash of the style');
my ($data) = content($page) =~ /<script id="report" type="application\/json">(.*?)<\/script>/s;
is(decode_json($data)->{version}, 1, 'the data');
like($policy, qr/ frame-ancestors 'none'$/, 'no other site shows it');

###############################################################################

sub hash {
	my $hash = sha256_base64($_[0] // '');
	$hash .= '=' while length($hash) % 4;
	return $hash;
}

sub report {
	return decode_json(content(get('/json')));
}

# All counters that are not zero.
sub numbers {
	my %numbers;

	for my $policy (@{report()->{policies}}) {
		my $requests = $policy->{requests};
		$numbers{"$policy->{policy}: $_"} = $requests->{$_} for keys %$requests;
	}
	return \%numbers;
}

# What a request adds to the counters.
sub counted {
	my ($send) = @_;

	my $before = numbers();
	$send->();
	my $after = numbers();
	return join ', ', map { "$_ +" . ($after->{$_} - $before->{$_}) }
		grep { $after->{$_} != $before->{$_} } sort keys %$after;
}

sub counts {
	my ($policy, $status, $send) = @_;

	is(counted($send), "$policy: $status +1", 'counted ' . ++$n . ": $policy, $status");
}

# The denials with these members.
sub denials {
	my %wanted = @_;

	return grep { my $denial = $_; !grep {
		($denial->{$_} // 'null') ne ($wanted{$_} // 'null') } keys %wanted }
		@{report()->{denials}};
}

###############################################################################
