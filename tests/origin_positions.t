#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for an Origin anywhere among the fields of a request, of which nginx
# keeps twenty in a block, and beside fields whose name has the same hash.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $app = 'https://a.example';
my $evil = 'https://b.example';

my @places = (
	[8080, '/list'], [8080, '/any'], [8080, '/bypass'], [8080, "/value?o=$app"],
	[8081, '/enforce'], [8081, '/list'], [8081, '/any'],
);
my $most = 44;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(@places * ($most + 1));

my $common = <<'EOC';
location /list {
            cors_allow_origin https://a.example;
            return 200;
        }

        location /any {
            cors_allow_origin *;
            return 200;
        }
EOC

$t->write_file_expand('nginx.conf', <<'EOC' =~ s/COMMON\n/$common/gr);

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    add_header X-Cors "$cors_status $cors_origin" always;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        COMMON

        location /bypass {
            cors_allow_origin https://a.example;
            cors_bypass $arg_b;
            return 200;
        }

        location /value {
            cors_allow_origin $arg_o;
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8081;
        server_name  localhost;

        COMMON

        location /enforce {
            cors_allow_origin https://a.example;
            cors_enforce on;
            return 200;
        }
    }
}

EOC

$t->run();

# "Q4igin" has the hash of "Origin".
for my $place (@places) {
	my ($port, $uri) = @$place;
	my $is_any = $uri eq '/any';
	my $allowed = $is_any ? 'ALLOWED *' : "ALLOWED $app";
	my $denied = $is_any ? $allowed : $uri eq '/enforce' ? 'REJECTED ' : 'DENIED ';

	is(answer($port, $uri, 0, {}), $is_any ? '*' : '', "$port $uri: none");

	for my $total (1 .. $most) {
		my %positions = map { $_ => 1 } grep { $_ >= 0 && $_ < $total }
			0 .. 4, map({ $_ - 2, $_ - 1, $_, $_ + 1 } int $total / 2, 20, 40), $total - 5 .. $total - 1;
		my $wrong = '';
		for my $at (sort { $a <=> $b } keys %positions) {
			my $other = ($at + 1 + $total % 3) % $total;
			my %with = $other == $at ? () : ($other => "Q4igin: $evil");
			for (
				[$allowed, {$at => "Origin: $app"}],
				[$allowed, {%with, $at => "oRIGIN: $app"}],
				[$denied, {%with, $at => "Origin: $evil"}],
				$other == $at ? () : [$denied, {$at => "Origin: $app", $other => "Origin: $app"}],
			)
			{
				my ($expected, $fields) = @$_;
				my $answer = answer($port, $uri, $total, $fields);
				$wrong .= "$at: $answer; " if $answer ne $expected;
			}
		}
		is($wrong, '', "$port $uri: $total fields");
	}
}

###############################################################################

# What a request gets that has so many fields: these, and others.
sub answer {
	my ($port, $uri, $total, $fields) = @_;

	my $request = join "\x0d\n", "GET $uri HTTP/1.0", (map { $fields->{$_} // "X-Field-$_: value" } 0 .. $total - 1), '', '';
	return header(http($request, PeerAddr => '127.0.0.1:' . port($port)), 'X-Cors') // '';
}

###############################################################################
