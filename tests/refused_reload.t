#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for reloads that a mistake in this module's directives refuses: the
# running nginx stays as it was, and so do workers that are started later.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http http_ssl rewrite gzip /)
	->has_daemon('curl')->has_daemon('openssl');

# What is added to the server, what is added to the location, and how many
# mistakes are reported.
my @mistakes = (
	['a bad value', 'cors_max_age never;', '', 1],
	['a bad origin', '', 'cors_allow_origin example.com;', 1],
	['a bad method', 'cors_allow_methods get;', '', 1],
	['a contradiction', '',
		'cors_allow_origin *; cors_allow_credentials on;', 1],
	['a contradiction by inheritance',
		'cors_allow_credentials on;', 'cors_allow_origin *;', 1],
	['an expression that does not compile',
		'', 'cors_allow_origin_regex "^https://(";', 1],
	['an expression that is too large', '',
		'cors_allow_origin_regex "^https://(\w{1000}){1000}$";', 1],
	['a duplicate', '', 'cors_max_age 1; cors_max_age 2;', 1],
	['a variable of the module itself', '',
		'cors_allow_origin $cors_origin;', 1],
	# nginx finds these when all modules have built their chains.
	['an unknown variable', '', 'cors_allow_origin $nobody_has_it;', 0],
	['two mistakes', 'cors_max_age never;',
		'cors_allow_origin https://a.example/x;', 2],
	['a mistake of each kind', 'cors_allow_credentials on; cors_max_age never;',
		'cors_allow_origin *; cors_allow_methods get;', 3],
);

$t->plan(8 * @mistakes + 3);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

daemon off;
PROCESSES

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    gzip on;
    gzip_min_length 1;
    add_header X-Frame-Options DENY always;

    server {
        listen       127.0.0.1:8080;
        listen       127.0.0.1:%%PORT_8443%% ssl;
        server_name  localhost;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;

        SERVER

        location / {
            root %%TESTDIR%%;
            LOCATION
        }

        location /policy {
            cors_allow_origin https://a.example;
            return 200 "a policy";
        }

        location /status {
            cors_allow_origin https://a.example;
            add_header X-Status $cors_status;
            return 404;
        }

        location /unseen/ {
            cors_allow_origin https://a.example;
            cors_enforce on;
            proxy_pass http://127.0.0.1:8080;
        }

        location /gone/ {
            cors_allow_origin https://a.example;
            proxy_pass http://127.0.0.1:8080;
        }
    }
}

EOF

my $dir = $t->testdir();
system("openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=localhost "
	. "-keyout $dir/localhost.key -out $dir/localhost.crt >/dev/null 2>&1") == 0
	or die "cannot make a certificate: $!\n";
$t->write_file('large.html', join '', map { "line $_ of a file\n" } 1 .. 4000);

###############################################################################

configure($t, 'worker_processes 2;', '', '');
$t->run();
my $before = responses();
like($before, qr/^X-Frame-Options: DENY/m, 'add_header');
like($before, qr/^Access-Control-Allow-Origin: https:\/\/a\.example/m, 'policy');
like($before, qr/^Content-Encoding: gzip/m, 'gzip');

for (@mistakes) {
	my ($name, $server, $location, $number) = @$_;

	my $said = refuse($t, $name, 'worker_processes 2;', $server, $location);
	is(() = $said =~ /\[emerg\] .*cors_/g, $number, "all are reported: $name");
	is(responses(), $before, "the workers that run: $name");

	my @before = workers($t);
	for my $worker (@before) {
		kill 'KILL', $worker;
		select undef, undef, undef, 0.02 while kill 0, $worker;
	}
	for (1 .. 200) {
		last if workers($t) == 2;
		select undef, undef, undef, 0.02;
	}
	my %is_before = map { $_ => 1 } @before;
	is(scalar(grep { !$is_before{$_} } workers($t)), 2, "other workers: $name");
	is(responses(), $before, "workers that are started later: $name");
	is(responses(), $before, "workers that are started later, again: $name");
}
$t->stop();

# Without a master, the process that reads the configuration serves requests.

configure($t, 'master_process off;', '', '');
$t->run();

SKIP: {
	skip 'such an nginx of OpenResty ends at a reload', 2 * @mistakes unless reloads_alone();

	for (@mistakes) {
		my ($name, $server, $location) = @$_;

		refuse($t, $name, 'master_process off;', $server, $location);
		is(responses(), $before, "a single process: $name");
	}
}

$t->stop();
# nginx logs that a process was killed.
$t->write_file('error.log', $t->read_file('error.log') =~ s/^.*\[alert\].* exited on signal 9\n//gmr);

###############################################################################

sub configure {
	my ($t, $processes, $server, $location) = @_;

	$t->write_file_expand('nginx.conf', $conf =~ s/PROCESSES/$processes/r
		=~ s/SERVER/$server/r =~ s/LOCATION/$location/r);
}

# What nginx says to a configuration with a mistake.
sub refuse {
	my ($t, $name, $processes, $server, $location) = @_;

	configure($t, $processes, $server, $location);
	my $seen = length $t->read_file('error.log');
	$t->reload();
	my $said = '';
	for (1 .. 300 * ($ENV{TEST_NGINX_PATIENCE} // 1)) {
		$said = substr $t->read_file('error.log'), $seen;
		last if $said =~ /\[emerg\]/;
		select undef, undef, undef, 0.02;
	}
	# The last of several.
	select undef, undef, undef, 0.2;
	$said = substr $t->read_file('error.log'), $seen;
	like($said, qr/\[emerg\] /, "refused: $name");
	return $said;
}

sub workers {
	my ($t) = @_;

	my $master = $t->read_file('nginx.pid');
	chomp $master;
	return grep { length } split /\n/, `ps -o pid= --ppid $master`;
}

# All that clients get, but for the time.
sub responses {
	my $port = Test::Nginx::port(8080);
	my $tls = Test::Nginx::port(8443);
	my @requests = (
		"http://127.0.0.1:$port/large.html",
		"--compressed http://127.0.0.1:$port/large.html",
		"-k https://127.0.0.1:$tls/large.html",
		"-k --compressed https://127.0.0.1:$tls/policy",
		"http://127.0.0.1:$port/policy",
		"-H 'Origin: https://b.example' http://127.0.0.1:$port/policy",
		"http://127.0.0.1:$port/status",
		"http://127.0.0.1:$port/gone",
		"-X OPTIONS -H 'Access-Control-Request-Method: PUT' http://127.0.0.1:$port/gone",
		"-X OPTIONS -H 'Access-Control-Request-Method: PUT' http://127.0.0.1:$port/policy",
		"-X OPTIONS -H 'Access-Control-Request-Method: PUT' http://127.0.0.1:$port/unseen",
		"-X POST -H 'Origin: https://b.example' http://127.0.0.1:$port/unseen",
		"http://127.0.0.1:$port/none",
	);
	my $all = '';
	my $seconds = 2 * SOON;

	for my $request (@requests) {
		my $response = `curl -s -i --max-time $seconds -H 'Origin: https://a.example' $request`;
		$all .= "$request: $?\n" . $response =~ s/^(?:Date|Last-Modified|ETag): .*\n//gmr;
	}
	return $all;
}

###############################################################################
