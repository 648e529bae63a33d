#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for files of origins whose system calls fail, one after the other: a
# configuration is refused, or the change is in force a little later; and for a
# file system that does not answer.  They take a module with the feature
# "fault-injection".

use warnings;
use strict;

use Test::More;

use Time::HiRes qw/ sleep time /;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/../lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

use constant { VARIABLE => 'NGX_HTTP_CORS_FAULT', FAILED => qr/cors: fault: an allocation fails/ };

my $t = Test::Nginx->new()->has(qw/ http /)->plan(9 + 9);
my $dir = $t->testdir();
my $fault = '';

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;

        location / {
            cors_allow_origin_file list;
            return 200;
        }

        location /other {
            cors_allow_origin_file other;
            return 200;
        }

        location /many {
            MANY
            return 200;
        }
    }
}

EOC

$t->write_file_expand('nginx.conf', $conf =~ s/MANY//r);

###############################################################################

put('list', 'https://one.a.example');
put('other', 'https://one.b.example');

# While a configuration is read; what only a warning depends on may fail.

my ($failures, $accepted) = (0, 0);
for (1 .. 100) {
	local $ENV{+VARIABLE} = "system=$_";
	my $output = $t->dump_config();
	$t->write_file('error.log', '');
	unlink "$dir/nginx.pid";
	last if $output !~ FAILED;
	$failures++;
	$accepted++ if $output !~ /test failed/;
}
cmp_ok($failures, '>', 25, 'a configuration makes system calls');
cmp_ok($accepted, '<', 20, 'without most of them it fails');

# While nginx runs: each process counts on its own.

my ($late, $died, $runs, $unseen) = ('', 0, 0, 0);
for my $number ($failures + 1 .. $failures + ($ENV{CORS_FILE_FAULTS} // 24)) {
	put('list', 'https://one.a.example');
	put('other', 'https://one.b.example');
	local $ENV{+VARIABLE} = "system=$number";
	$t->run();
	put('list', 'https://two.a.example');
	$late .= " $number" unless in_force('/', 'https://two.a.example', 8)
		|| $t->read_file('error.log') =~ /is not followed until nginx is reloaded/;
	$late .= " $number: other" unless cors(get('/other', 'https://one.b.example')) =~ /Allow-Origin/;
	$t->stop();
	my $log = $t->read_file('error.log');
	$runs++ if $log =~ FAILED;
	$unseen++ if $log =~ /the system does not report that/;
	$died++ if $log =~ /exited on signal|exited with fatal|\[alert\]/;
	$t->write_file('error.log', '');
}
cmp_ok($runs, '>', 10, 'system calls fail');
cmp_ok($unseen, '>', 0, 'writers that are not reported');
is($late, '', 'the change is in force');
is($died, 0, 'no worker dies');

# A worker that the others cannot see

my ($blind, $wrong) = (0, '');
for my $number ($failures + 1 .. $failures + 6) {
	put('list', 'https://one.a.example');
	local $ENV{+VARIABLE} = "system=$number";
	$t->run();
	sleep 1;
	my @log = $t->read_file('error.log') =~ /\/list" is not followed until nginx is reloaded/g;
	if (@log == 1) {
		$blind++;
		for my $origin ('https://two.a.example', 'https://three.a.example') {
			put('list', $origin);
			sleep 1;
			$wrong .= " $number: $origin" if in_force('/', $origin, 0.5);
			$wrong .= " $number" unless in_force('/', 'https://one.a.example', 0.5);
		}
	}
	$t->stop();
	$t->write_file('error.log', '');
}
cmp_ok($blind, '>', 0, 'a worker cannot be seen by the other');
is($wrong, '', 'the list stays what that worker reads');

# A system that does not say who has a file open

my $writer;
put('list', 'https://one.a.example');
{
	# They own the file, and are told otherwise.
	local $ENV{TEST_NGINX_GLOBALS} = "$ENV{TEST_NGINX_GLOBALS} user root;" if $> == 0;
	$t->write_file_expand('nginx.conf', $conf =~ s/MANY//r);
	local $ENV{+VARIABLE} = 'leases';
	$t->run();
}
sleep 1;
open $writer, '>', "$dir/list" or die "open: $!";
syswrite $writer, "https://two.a.example\nhttps://thr";
sleep 2;
ok(in_force('/', 'https://one.a.example', 2), 'half a list is not in force');
syswrite $writer, "ee.a.example\n";
close $writer;
ok(in_force('/', 'https://three.a.example', 8), 'the whole is');
$t->stop();
$t->write_file('error.log', '');

# No thread can be started for a while

put('list', 'https://one.a.example');
put('busy', '');
$t->write_file_expand('nginx.conf', $conf =~ s/MANY//r);
{
	local $ENV{+VARIABLE} = "threads=$dir/busy";
	$t->run();
}
sleep 7;
unlink "$dir/busy";
put('list', 'https://two.a.example');
ok(in_force('/', 'https://two.a.example', 8), 'a thread is tried again');
my @tries = $t->read_file('error.log') =~ /no thread can be started for "[^"]*\/list"/g;
is(@tries, 2, 'each worker says so once');
$t->stop();
$t->write_file('error.log', '');

# A file system that does not answer

my @many = map { "list$_" } 1 .. 200;
put($_, "https://$_.a.example") for @many;
$t->write_file_expand('nginx.conf', $conf =~ s/MANY/cors_allow_origin_file @many;/r);
{
	put('list', 'https://one.a.example');
	local $ENV{+VARIABLE} = "hang=$dir/list";
	$t->run();
}
put('list', 'https://two.a.example');
put('other', 'https://two.b.example');
ok(in_force('/other', 'https://two.b.example', 3), 'another file');
my $start = time();
get('/', 'https://one.a.example') for 1 .. 100;
cmp_ok(time() - $start, '<', 3, 'no request waits');
is(cors(get('/', 'https://one.a.example')), '200 ' . allowed('https://one.a.example'), 'the old list');
$t->reload();
sleep 1;
is(cors(get('/', 'https://two.a.example')), '200 ' . allowed('https://two.a.example'), 'a reload reads it');
$start = time();
$t->stop();
cmp_ok(time() - $start, '<', 4, 'nginx ends');

unlike($t->read_file('error.log'), qr/exited on signal/, 'no worker has died');

###############################################################################

sub put {
	my ($name, $contents) = @_;

	open my $handle, '>', "$dir/$name.new" or die "cannot write $name: $!\n";
	print $handle "$contents\n";
	close $handle;
	rename "$dir/$name.new", "$dir/$name";
}

sub in_force {
	my ($uri, $origin, $seconds) = @_;

	my ($end, $good) = (time() + $seconds, 0);
	while (time() < $end) {
		$good = cors(get($uri, $origin)) eq '200 ' . allowed($origin) ? $good + 1 : 0;
		return 1 if $good == 6;
		sleep 0.05;
	}
	return 0;
}

###############################################################################
