#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for changes to a file of origins that the system reports in part: without
# a writer, by one who has opened the file before, to a file that had the name
# before.  In workers that own the file, and in workers that do not.

use warnings;
use strict;

use Test::More;

use Fcntl qw/ O_RDONLY O_WRONLY /;
use Time::HiRes qw/ sleep time /;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

use constant WITHIN => $ENV{TEST_NGINX_PATIENCE} // 10;

my $t = Test::Nginx->new()->has(qw/ http /);
my $dir = $t->testdir();
my $list = "$dir/now/list";
my @old = map { "https://old$_.example" } 1 .. 3;
my $new = 'https://new.example';
my $number = 1;

plan(skip_all => 'only root can choose the user of workers') if $> != 0;

my @nobody = getpwnam 'nobody';
my @users = ('root root', "nobody @{[scalar getgrgid $nobody[3]]}");

# Whether the file allows each of the old origins and the new one then, and what
# is done to it.

my @changes = (
	['cut', '1 0 0 0', sub { truncate $list, 1 + length $old[0] or die "truncate: $!" }],
	['emptied', '0 0 0 0', sub { truncate $list, 0 or die "truncate: $!" }],
	['cut while it is read', '1 0 0 0', sub {
		my $reader = handle(O_RDONLY);
		close $reader;
		truncate $list, 1 + length $old[0] or die "truncate: $!";
	}],
	['renamed over while the old file is written', '0 0 0 1', sub {
		my ($t) = @_;

		my $writer = handle(O_WRONLY);
		syswrite $writer, '#';
		sleep 0.3;
		another($t);
		rename "$list.new", $list or die "rename: $!";
		for (1 .. 20) {
			syswrite $writer, '#';
			sleep 0.05;
		}
		return $writer;
	}],
	['linked while the old file is written', '0 0 0 1', sub {
		my ($t) = @_;

		my $writer = handle(O_WRONLY);
		another($t);
		unlink $list;
		link "$list.new", $list or die "link: $!";
		for (1 .. 20) {
			syswrite $writer, '#';
			sleep 0.05;
		}
		unlink "$list.new";
		return $writer;
	}],
	['in another directory while the old file is written', '0 0 0 1', sub {
		my ($t) = @_;

		my $writer = handle(O_WRONLY);
		syswrite $writer, '#';
		my $next = "$dir/" . $number++;
		mkdir $next;
		another($t);
		rename "$list.new", "$next/list" or die "rename: $!";
		rename "$dir/now", "$dir/" . $number++ or die "rename: $!";
		rename $next, "$dir/now" or die "rename: $!";
		sleep 0.5;
		return $writer;
	}],
	['linked and read', '0 0 0 1', sub {
		my ($t) = @_;

		another($t);
		unlink $list;
		link "$list.new", $list or die "link: $!";
		unlink "$list.new";
		return handle(O_RDONLY);
	}],
);

# Nothing of these is in force until the writer has closed the file.

my @pauses = (
	['emptied and begun', '1 0 0 1', '>', sub { syswrite $_[0], "$old[0]\n" }],
	['extended', '1 1 1 1', '>>', sub { syswrite $_[0], 'https://half.example' }],
	['emptied and read', '0 0 0 1', '>', sub { close handle(O_RDONLY) }],
	['made anew', '0 0 0 1', '>', sub {}, sub { unlink $list; sleep 0.3 }],
);

$t->plan(@users * (@changes + 3 * @pauses + 3));

my $globals = $ENV{TEST_NGINX_GLOBALS};

for my $user (@users) {
	my $is_owner = $user =~ /root/;
	$ENV{TEST_NGINX_GLOBALS} = "$globals user $user;";
	$t->write_file_expand('nginx.conf', <<EOC);

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
            cors_allow_origin_file now/list;
            return 200;
        }
    }
}

EOC

	chmod 0755, $dir;
	mkdir "$dir/now";
	$t->write_file('now/list', join '', map { "$_\n" } @old);
	$t->run();
	# The workers have begun to follow the file.
	ok(in_time('1 1 1 0'), "$user: at start");
	sleep 0.7;

	for (@changes) {
		my ($name, $expected, $change) = @$_;

		before($t);
		my $kept = $change->($t);
		ok(in_time($expected), "$user: $name") or diag(allowed_now());
	}

	for (@pauses) {
		my ($name, $after, $mode, $begin, $first) = @$_;

		before($t);
		$first->() if $first;
		open my $writer, $mode, $list or die "open: $!";
		$begin->($writer);
		# Longer than a change takes, if it is known that nobody writes, or not known.
		sleep($is_owner ? 1 : 6);
		is(allowed_now(), '1 1 1 0', "$user: $name, not closed");
		syswrite $writer, "\n$new\n";
		sleep 0.5;
		is(allowed_now(), '1 1 1 0', "$user: $name, written");
		close $writer;
		ok(in_time($after), "$user: $name, closed")
			or diag(allowed_now());
	}

	# Who may not read it learns that, and nothing else.
	before($t);
	my $said = length $t->read_file('error.log');
	chmod 0, $list;
	sleep 1;
	my $log = substr $t->read_file('error.log'), $said;
	my $refused = () = $log =~ /cannot be read: Permission denied/g;
	is($refused, $is_owner ? 0 : 1, "$user: without the right to read it");
	unlike($log, qr/does not report/, "$user: nothing of writers");

	$t->stop();
	unlink $list;
}

###############################################################################

# The file, in force as it was.
sub before {
	my ($t) = @_;

	$t->write_file('now/before', join '', map { "$_\n" } @old);
	rename "$dir/now/before", $list or die "rename: $!";
	in_time('1 1 1 0') or die 'the old list is not in force';
	# It has been watched again.
	sleep 0.3;
}

# Another file beside it.
sub another {
	my ($t) = @_;

	$t->write_file('now/list.new', "$new\n");
}

sub handle {
	my ($flags) = @_;

	sysopen my $handle, $list, $flags or die "open: $!";
	return $handle;
}

# Whether each of the old origins, and the new one, are allowed.
sub allowed_now {
	return join ' ', map { cors(get('/', $_)) eq '200 ' . allowed($_) ? 1 : 0 } @old, $new;
}

sub in_time {
	my ($expected) = @_;

	my $end = time() + 2 * WITHIN;
	until (allowed_now() eq $expected) {
		return 0 if time() > $end;
		sleep 0.1;
	}
	return 1;
}

###############################################################################
