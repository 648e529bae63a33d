#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the module's variables where memory runs out.  "set" reads a
# variable twice, to learn its length and to write it: what it finds has to be
# the same both times.  They take a module with the feature "fault-injection".

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/../lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

use constant {
	VARIABLE => 'NGX_HTTP_CORS_FAULT',
	FAILED => qr/cors: fault: an allocation fails/,
};

my $a = 'https://a.example';
my $b = 'https://b.example';

# A server, a request to it, and the least number of allocations.
my @rows = (
	['status', '/', $a, 2],
	['status', '/', $b, 2],
	['status', "/?v=$b", $b, 2],
	['origin', '/', $a, 2],
	['reason', '/', $b, 3],
	['reason', "/?v=$b", $a . 'a', 3],
	['location', '/', $b, 2],
	['location', '/', $a . 'a' x 2000, 2],
	['all', '/', $b, 3],
);

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(4 * @rows);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  status;

        cors_allow_origin  https://a.example $arg_v;

        set  $early "<$cors_status>";

        location / {
            return  200 "$early";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  origin;

        cors_allow_origin  https://a.example;

        set  $early "<$cors_origin>";

        location / {
            return  200 "$early";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  reason;

        cors_allow_origin  https://a.example $arg_v;

        set  $early "<$cors_reason>";

        location / {
            return  200 "$early";
        }
    }

    # In a location, where the decision has been made.
    server {
        listen       127.0.0.1:8080;
        server_name  location;

        location / {
            cors_allow_origin  https://a.example;

            set     $late "<$cors_reason>";
            return  200 "$late";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  all;

        cors_allow_origin  https://a.example;
        cors_enforce       on;
        cors_dry_run       on;

        set  $early "<$cors_status$cors_origin$cors_reason>";

        location / {
            set     $late "$early<$cors_reason$cors_origin$cors_status>";
            return  200 "$late";
        }
    }
}

EOC

for my $row (@rows) {
	my ($host, $uri, $origin, $least) = @$row;
	my $name = "$host $uri " . substr $origin, 0, 20;

	my ($strange, $log, $number, $died) = ('', '', 0, '');
	for ($number = 1; $number < 100; $number++) {
		($log, my $body) = ask($t, $host, $uri, $origin, "request=$number");
		$died .= "$number " if $log =~ /exited on signal|exited with fatal|\[alert\]/;
		last if $log !~ FAILED;
		$strange .= "$number: '$body' " if $body !~ /^(?:<[^<>\0]*>)*$/ && $body !~ /500 Internal/;
	}
	cmp_ok($number, '>', $least, "allocates: $name");
	cmp_ok($number, '<', 100, "some time there is memory enough: $name");
	is($strange, '', "as long as nginx has found it to be: $name");
	is($died, '', "no worker dies: $name");
}

# The log and the body of a response, of an nginx with a fault.
sub ask {
	my ($t, $host, $uri, $origin, $fault) = @_;

	local $ENV{+VARIABLE} = $fault;
	$t->write_file('error.log', '');
	$t->run();
	my $body = content(get($uri, $origin, "Host: $host")) // '';
	$t->stop();
	return ($t->read_file('error.log'), $body);
}

###############################################################################
