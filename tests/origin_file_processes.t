#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for files of origins and the processes of nginx: configurations that end
# after a reload, a master that dies, and nginx without a master.

use warnings;
use strict;

use Test::More;

use Time::HiRes qw/ sleep time /;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

use constant WITHIN => $ENV{TEST_NGINX_PATIENCE} // 10;

my $t = Test::Nginx->new()->has(qw/ http /)->plan(14);
my $dir = $t->testdir();

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
PROCESSES

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
            RULE
            return 200;
        }
    }
}

EOC

$t->write_file('list', "https://one.example\n");
configure($t, 'worker_processes 2;', 'cors_allow_origin_file list;');
$t->run();

###############################################################################
# Old configurations, which have connections to complete

ok(in_force('https://one.example'), 'in force');
my ($master) = $t->read_file('nginx.pid') =~ /(\d+)/;
my @connections;
for (1 .. 3) {
	my @before = workers($master);
	push @connections, connection(8080);
	$connections[-1]->print("GET / HTTP/1.1\x0d\nHost: localhost\x0d\n");
	sleep 0.3;
	$t->reload();
	in_time(sub { my %is_old = map { $_ => 1 } @before; 2 == grep { !$is_old{$_} } workers($master) });
	sleep 0.5;
}
sleep 1;
is(scalar workers($master), 2 + 3, 'old workers stay');

$t->write_file('list', "two.example\n");
ok(in_time(sub { errors($t) > 0 }), 'a mistake is reported');
sleep 2;
is(errors($t), 1, 'not by old configurations');

$t->write_file('list', "https://two.example\n");
ok(in_force('https://two.example'), 'in the new configuration');
sleep 1;
$connections[0]->print("Origin: https://two.example\x0d\nConnection: close\x0d\n\x0d\n");
is(cors(join '', readline $connections[0]), '200 ' . allowed('https://two.example'), 'and in the old one');
close $_ for @connections;
ok(in_time(sub { workers($master) == 2 }), 'old workers end');
is(join(' ', map { lists_in($_) } $master, workers($master)), '1 1 1', 'one list is left in memory');

# The master dies.

my @workers = workers($master);
kill 'KILL', $master;
sleep 1;
$t->write_file('list', "https://three.example\n");
ok(in_force('https://three.example'), 'without a master');
kill 'QUIT', @workers;
$t->stop();
# Where nothing reaps orphans, they stay as zombies.
ok(in_time(sub { !grep { `ps -o stat= -p $_` =~ /^[^Z]/ } @workers }), 'the workers end');
unlink "$dir/nginx.pid";

# There has never been one.  After a reload, such an nginx accepts no connections.

configure($t, 'master_process off;', 'cors_allow_origin_file list;');
$t->run();
$t->write_file('list', "https://four.example\n");
ok(in_force('https://four.example'), 'in one process');
$t->write_file('list', "five.example\n");
ok(in_time(sub { errors($t) > 1 }), 'one process reports a mistake');
sleep 1;
is(errors($t), 2, 'once');
$t->stop();
unlink "$dir/nginx.pid";

SKIP: {
	skip 'such an nginx keeps the old configuration, which valgrind reports', 1 if $ENV{VALGRIND_LOGS};
	skip 'such an nginx of OpenResty ends at a reload', 1 unless reloads_alone();

	$t->write_file('error.log', '');
	$t->write_file('list', "https://five.example\n");
	configure($t, 'master_process off;', '');
	$t->run();
	configure($t, 'master_process off;', 'cors_allow_origin_file list;');
	sleep 1;
	$t->reload();
	sleep 1;
	$t->write_file('list', "https://six.example\n");
	ok(in_time(sub { $t->read_file('error.log') =~ /list" is in force, values: 1/ }), 'after a reload');
}

###############################################################################

sub configure {
	my ($t, $processes, $rule) = @_;

	$t->write_file_expand('nginx.conf', $conf =~ s/PROCESSES/$processes/r =~ s/RULE/$rule/r);
}

sub workers {
	my ($of) = @_;

	return my @pids = split ' ', `ps -o pid= --ppid $of`;
}

# How many lists a process has in memory.
sub lists_in {
	my ($pid) = @_;

	open my $maps, '<', "/proc/$pid/maps" or return 'no process';
	return scalar grep { /memfd:cors/ } <$maps>;
}

sub errors {
	my ($t) = @_;

	return scalar(() = $t->read_file('error.log') =~ /\[error\] .*cors_allow_origin_file/g);
}

# Whether an origin is allowed in time, by every process.
sub in_force {
	my ($origin) = @_;

	my $good = 0;
	return in_time(sub { $good = cors(get('/', $origin)) eq '200 ' . allowed($origin) ? $good + 1 : 0; $good == 12 });
}

sub in_time {
	my ($is_true) = @_;

	my $end = time() + WITHIN;
	until ($is_true->()) {
		return 0 if time() > $end;
		sleep 0.02;
	}
	return 1;
}

###############################################################################
