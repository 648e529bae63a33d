#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for docs/fleet.md: three instances of nginx follow a key in etcd, and a
# directory as Kubernetes mounts a ConfigMap.

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

for my $program (qw/ etcd etcdctl bash /) {
	plan(skip_all => "$program not found")
		unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

my @t = map { Test::Nginx->new()->has(qw/ http /) } 0 .. 2;
$t[0]->plan(18 + 4);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:PORT;

        location /key {
            cors_allow_origin_file list;
            return 200;
        }

        location /map {
            cors_allow_origin_file map/tenants;
            return 200;
        }
    }
}

EOC

my $program = "$FindBin::Bin/../nginx-conf/fleet/cors-origins";
my @directories = map { $_->testdir() } @t;
my $dir = $directories[0];
my ($client, $peer) = map { 'http://127.0.0.1:' . port($_) } 8090, 8091;
my %process;

$ENV{ETCDCTL_ENDPOINTS} = $client;
$ENV{ETCDCTL_API} = 3;

start_store();
change('https://first.example');

for (0 .. 2) {
	mkdir $t[$_]->testdir() . '/map';
	map_to($_, 1);
	start_service($_);
}
for (0 .. 2) {
	for my $i (1 .. 100) {
		last if -s $t[$_]->testdir() . '/list';
		sleep 0.1;
	}
	$t[$_]->write_file_expand('nginx.conf', $conf =~ s/PORT/8080 + $_/er);
	$t[$_]->run();
}

###############################################################################

ok(in_force('/key', 'https://first.example', 2), 'a first list');
for my $round (1 .. 3) {
	change("https://put$round.example");
	ok(in_force('/key', "https://put$round.example", 2), "etcdctl put: $round");
}
ok(!in_force('/key', 'https://first.example', 0), 'the old list');

# A list with a mistake

change("https://mistake.example\nx");
sleep 2;
ok(!in_force('/key', 'https://mistake.example', 0), 'a mistake');
ok(in_force('/key', 'https://put3.example', 1), 'the old list with a mistake');

# The store is down

stop('store');
sleep 1;
ok(in_force('/key', 'https://put3.example', 1), 'the list without a store');
start_store();
change('https://back.example');
ok(in_force('/key', 'https://back.example', 10), 'the store is back');
etcdctl('del', '/cors');
sleep 1;
ok(in_force('/key', 'https://back.example', 1), 'no key');

# A member is killed

stop('service 1', 'KILL');
$t[1]->stop();
change('https://member.example');
start_service(1);
sleep 2;
$t[1]->run();
ok(in_force('/key', 'https://member.example', 4), 'a member catches up');

# Many changes in a row

change("https://many$_.example") for 1 .. ($ENV{CORS_FLEET_CHANGES} // 60);
my $last = 'https://many' . ($ENV{CORS_FLEET_CHANGES} // 60) . '.example';
ok(in_force('/key', $last, 4), 'the last of many');
sleep 1;
my @lists = map { $_->read_file('list') } @t;
is("@lists", "$last\n $last\n $last\n", 'the same list on all');
ok(!in_force('/key', 'https://many1.example', 0), 'none of the others');

# A ConfigMap

ok(in_force('/map', 'https://map1.example', 1), 'a ConfigMap');
map_to($_, 2) for 0 .. 2;
ok(in_force('/map', 'https://map2.example', 2), 'another');
ok(!in_force('/map', 'https://map1.example', 0), 'not the first');
map_to($_, 3) for 0 .. 2;
ok(in_force('/map', 'https://map3.example', 2), 'once more');

stop($_) for sort { $b cmp $a } keys %process;

###############################################################################

# Whether all members allow an origin in time.  A machine that has other work to
# do takes longer: only scripts/soak insists.
sub in_force {
	my ($uri, $origin, $seconds) = @_;

	my $end = time() + $seconds + ($seconds && !$ENV{CORS_FLEET_STRICT} ? 15 : 0);
	while (1) {
		my $allowed = grep { is_allowed_by(8080 + $_, $uri, $origin) } 0 .. 2;
		return 1 if $allowed == 3;
		return 0 if time() >= $end && ($seconds || $allowed == 0);
		sleep 0.05;
	}
}

sub is_allowed_by {
	my ($port, $uri, $origin) = @_;

	my $connection = connection($port);
	return exchange($connection, 'GET', $uri, "Origin: $origin", 'Connection: close')
		=~ /^Access-Control-Allow-Origin: \Q$origin\E\x0d$/m;
}

# As Kubernetes does it: a new directory, and a link that is switched.
sub map_to {
	my ($member, $number) = @_;

	my $at = "$directories[$member]/map";
	mkdir "$at/..$number";
	open my $file, '>', "$at/..$number/tenants" or die;
	print $file "https://map$number.example\n";
	close $file;
	symlink "..$number", "$at/..data_tmp";
	rename "$at/..data_tmp", "$at/..data";
	symlink '..data/tenants', "$at/tenants" unless -l "$at/tenants";
	system "rm -rf '$at/.." . ($number - 1) . q{'} if $number > 1;
}

sub start {
	my ($name, $directory, @command) = @_;

	my $pid = fork() // die "cannot fork: $!\n";
	if ($pid == 0) {
		setpgrp;
		open STDOUT, '>>', "$directory/out";
		open STDERR, '>>', "$directory/out";
		exec @command or exit 1;
	}
	$process{$name} = $pid;
}

sub stop {
	my ($name, $signal) = @_;

	my $pid = delete $process{$name} or return;
	# The program and what it has started.
	kill $signal // 'TERM', -$pid;
	waitpid $pid, 0;
}

sub start_store {
	start('store', $dir, 'etcd', '--data-dir', "$dir/etcd", '--listen-client-urls', $client,
		'--advertise-client-urls', $client, '--listen-peer-urls', $peer,
		'--initial-advertise-peer-urls', $peer, '--initial-cluster', "default=$peer");
	for (1 .. 100) {
		return if system("etcdctl endpoint health > $dir/health 2>&1") == 0;
		sleep 0.1;
	}
	die "etcd does not start\n";
}

sub start_service {
	my ($member) = @_;

	start("service $member", $directories[$member], 'bash', $program, '/cors', $directories[$member] . '/list');
}

sub etcdctl {
	system("etcdctl " . join(' ', map { "'$_'" } @_) . " > $dir/etcdctl 2>&1") == 0 or die "etcdctl failed\n";
}

sub change {
	my ($value) = @_;

	etcdctl('put', '/cors', $value);
}

###############################################################################
