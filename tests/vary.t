#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for Vary: added to what is there, once.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /)->plan(141);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        LOCATIONS
    }
}

EOF

my ($method, $headers) = map { "Access-Control-Request-$_" }
	qw/ Method Headers /;

my @vary = (

	# what is there, what is added to a response, what to that of a preflight

	[['Accept'], ['Origin'], ['Origin', $method, $headers]],
	[['Accept, Cookie'], ['Origin'], ['Origin', $method, $headers]],
	[['Accept', 'Cookie'], ['Origin'], ['Origin', $method, $headers]],
	[['Origin'], [], [$method, $headers]],
	[['origin'], [], [$method, $headers]],
	[['Accept,ORIGIN ,Cookie'], [], [$method, $headers]],
	[['Accept', 'Origin'], [], [$method, $headers]],
	[['*'], [], []],
	[['Accept, *'], [], []],
	[['Accept', '*'], [], []],
	[['X-Origin'], ['Origin'], ['Origin', $method, $headers]],
	[['Origin-X'], ['Origin'], ['Origin', $method, $headers]],
	[[lc "$method, $headers"], ['Origin'], ['Origin']],
	[["$headers, $method, Origin"], [], []],
);

my $locations = '';

for my $n (0 .. $#vary) {
	my $headers = join "\n            ",
		map { "add_header Vary '$_';" } @{$vary[$n][0]};

	for my $policy (qw{ https://app.example.com * }) {
		my $name = $policy eq '*' ? 'star' : 'list';

		$locations .= <<"EOF";
        location = /$name-$n {
            cors_allow_origin $policy;
            $headers
            return 200;
        }

EOF
	}

	$locations .= <<"EOF";
        location = /proxy-$n {
            cors_allow_origin https://app.example.com;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /star-proxy-$n {
            cors_allow_origin *;
            proxy_pass http://127.0.0.1:8081;
        }

EOF
}

# Names that differ from the module's in one place alone.

my @others = qw/ Vers Vara xary Access-Controll-X Access-Contrax-Allow-Origin Accesz-Control-Allow-Origin Access-Control /;

for my $name (@others) {
	$locations .= <<"EOF";
        location = /$name {
            cors_allow_origin https://app.example.com;
            add_header $name Accept;
            return 200;
        }

        location = /both-$name {
            cors_allow_origin https://app.example.com;
            add_header $name Accept;
            add_header Vary  Accept;
            return 200;
        }

EOF
}

$locations .= <<'EOF';
        location = /proxy-empty {
            cors_allow_origin https://app.example.com;
            proxy_pass http://127.0.0.1:8081;
        }
EOF

$t->write_file_expand('nginx.conf', $conf =~ s/LOCATIONS/$locations/r);
$t->run_daemon(\&serve, port(8081), sub {
	my ($n) = $_[0] =~ m{proxy-(\w+)};
	my @lines = $n eq 'empty' ? '' : @{$vary[$n][0]};

	return "HTTP/1.0 200 OK\n" . join('', map { "vary: $_\n" } @lines) . "\n";
});
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';

for my $n (0 .. $#vary) {
	my ($there, $response, $preflight) = @{$vary[$n]};
	my $was = join ' | ', @$there;
	my $expected = fields($was, @$response);

	is(fields(header(get("/list-$n", $_->[1]), 'Vary')), $expected,
		"added to '$was': $_->[0]")
		for ['allowed', $app], ['denied', $evil], ['no origin', undef];

	is(fields(header(get("/proxy-$n", $app), 'Vary')), $expected,
		"added to '$was' of an upstream");

	is(fields(header(preflight("/list-$n", $app), 'Vary')),
		fields($was, @$preflight), "added to '$was': preflight");

	for my $star ("/star-$n", "/star-proxy-$n") {
		is(header(get($star, $app), 'Vary'), $was,
			"nothing added to '$was' under '*': $star");
	}

	is(header(preflight("/star-$n", $app), 'Vary'), $was,
		"nothing added to '$was' under '*': preflight");
}

for my $name (@others) {
	for my $row (["/$name", 'Origin'], ["/both-$name", 'Accept', 'Origin']) {
		my ($uri, @vary) = @$row;
		my $r = get($uri, $app);
		is(header($r, $name), 'Accept', "another name is left alone: $uri");
		is(fields(header($r, 'Vary')), fields(@vary), "another name: $uri, Vary");
	}
}

is(header(get('/proxy-empty', $app), 'Vary') =~ s/^ \| | \| $//r, 'Origin',
	'added to an empty field of an upstream');

###############################################################################

# How many fields there are, and all that they say with what is to be added: to
# which of the fields, and where in it, is not laid down.
sub fields {
	my ($fields, @added) = @_;

	my @fields = split / \| /, $fields;

	return @fields . ': ' . join ', ', sort @added, map { split /\s*,\s*/ } @fields;
}

###############################################################################
