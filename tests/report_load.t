#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for counters under load: exact over reloads, complete when a worker is
# killed; and for the most frequent denials among noise.

use warnings;
use strict;

use Test::More;

use FindBin;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

use constant { CLIENTS => 8, RELOADS => 20, REQUESTS => 250 };
# A connection is closed after `keepalive_requests`.
use constant { NOISY => 4, BATCHES => 250, BATCH => 100, FREQUENT => 20 };

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(40);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    cors_zone cors:SIZE;
    keepalive_requests 1000000;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        # A line for each denial would be most of the work.
        error_log %%TESTDIR%%/quiet.log crit;
        access_log off;

        location / {
            cors_allow_origin https://a.example;
            cors_zone_label LABEL;
            return 204;
        }

        location /preflights {
            cors_allow_origin https://a.example;
            cors_zone_label preflights;
            return 204;
        }

        location = /report {
            cors_report json;
        }
    }
}

EOF

configure($t, '1m', 'first');
$t->run();

###############################################################################

# 8 clients, 4 workers, 20 reloads

my @kinds = (
	sub { get('/', 'https://a.example') },
	sub { get('/', 'https://b.example') },
	sub { get('/', "https://$$.example") },
	sub { preflight('/preflights', 'https://a.example', 'GET') },
);
my @names = ('load allowed', 'load denied', 'load denied', 'preflights preflight');

my $zone = report()->{zone};
cmp_ok($zone->{used}, '<', $zone->{bytes}, 'there is memory left');
# Each denial needs room for its origin.
cmp_ok($zone->{used}, '>', $zone->{denials} * 256, 'memory for denials is in use');

configure($t, '1m', 'load');
$t->reload();
wait_for($t, 'load');
cmp_ok(report()->{zone}{used}, '>', $zone->{used}, 'a policy needs memory');

my %expected;
my $clients = clients($t, sub {
	for (1 .. REQUESTS) {
		my $kind = int rand @kinds;
		my $response = $kinds[$kind]->();
		print "$names[$kind]\n" if $response =~ /^HTTP\/1.1 20/;
		select undef, undef, undef, 0.002;
	}
});
for (1 .. RELOADS) {
	$t->reload();
	select undef, undef, undef, 0.12;
}
$expected{$_}++ for @{$clients->()};

my $numbers = numbers();
my $sum = 0;
for (sort keys %expected) {
	is($numbers->{$_}, $expected{$_}, "exact: $_");
	$sum += $expected{$_};
}
is($sum, CLIENTS * REQUESTS, 'each request had its response');

# A row that nothing uses any more

my %in_use = map { $_->{policy} => $_->{in_use} } @{report()->{policies}};
ok(!$in_use{first}, 'a row of an earlier configuration is marked');
ok($in_use{load}, 'a row of this configuration is not');
is($numbers->{'first allowed'}, 0, 'and remains');

# Workers that are killed

$clients = clients($t, sub {
	for (1 .. REQUESTS) {
		my $response = get('/', 'https://' . int(rand 1e9) . '.example');
		print $response =~ /^HTTP/ ? "answered\n" : "failed\n";
	}
});
for (1 .. 6) {
	select undef, undef, undef, 0.05;
	my ($worker) = workers($t);
	kill 'KILL', $worker if $worker;
}
my %seen;
$seen{$_}++ for @{$clients->()};
my $denied = numbers()->{'load denied'} - $numbers->{'load denied'};
cmp_ok($denied, '>=', $seen{answered}, 'killed: nothing is lost that was answered');
cmp_ok($denied, '<=', CLIENTS * REQUESTS, 'killed: nothing is counted twice');
like(get('/', 'https://new.example'), qr/^HTTP\/1.1 204/, 'killed: no lock is left');
is(scalar(grep { $_->{origin} eq 'https://new.example' } @{report()->{denials}}), 1,
	'killed: denials are still recorded');

my @alerts = $t->read_file('error.log') =~ /\[alert\] (.*)/g;
cmp_ok(scalar @alerts, '>', 0, 'killed: workers were');
is(scalar(grep { !/exited on signal 9/ } @alerts), 0, 'killed: nothing else is reported');
$t->write_file('error.log', '');

# Noise

my $before = report();
my @before = map { anonymous($_) } workers($t);

$clients = clients($t, sub {
	my ($client) = @_;

	return if $client >= NOISY;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8080)) or die;
	for (1 .. BATCHES) {
		my ($batch, $got) = ('', '');
		for (1 .. BATCH) {
			my $n = int rand 400;
			my $origin = $n < FREQUENT ? "https://app$n.example"
				: 'https://' . int(rand 1e12) . '.example';
			print "$n\n" if $n < FREQUENT;
			$batch .= "GET / HTTP/1.1\x0d\nHost: localhost\x0d\nOrigin: $origin\x0d\n\x0d\n";
		}
		print $socket $batch;
		while ((() = $got =~ /\x0d\n\x0d\n/g) < BATCH) {
			sysread($socket, $got, 65536, length $got) or last;
		}
	}
});
my %times;
$times{$_}++ for @{$clients->()};

my $after = report();
my %denials = map { $_->{origin} => $_ } grep { $_->{policy} eq 'load' } @{$after->{denials}};
is(numbers($after)->{'load denied'} - numbers($before)->{'load denied'}, NOISY * BATCHES * BATCH,
	'noise: all are counted');
for my $n (0 .. FREQUENT - 1) {
	my $denial = $denials{"https://app$n.example"} // { count => 0, error => 0 };
	my ($count, $error) = @$denial{qw/ count error /};
	ok($count >= $times{$n} && $count - $error <= $times{$n},
		"noise: app$n: $times{$n} times, $count less at most $error");
}
is("$after->{zone}{used} " . @{$after->{denials}}, "$before->{zone}{used} $after->{zone}{denials}",
	'noise: the memory of the zone is as it was');

SKIP: {
	skip 'valgrind keeps what is freed', 1 if $ENV{VALGRIND_LOGS};
	my @after = map { anonymous($_) } workers($t);
	cmp_ok(max(@after) - max(@before), '<', 1024, 'noise: the memory of workers is as it was');
}

# Another size

configure($t, '2m', 'load');
$t->reload();
wait_for($t, 'load', sub { report()->{zone}{bytes} > 1_500_000 });
is(numbers()->{'load denied'}, 0, 'another size begins anew');

###############################################################################

sub configure {
	my ($t, $size, $label) = @_;

	$t->write_file_expand('nginx.conf', $conf =~ s/SIZE/$size/r =~ s/LABEL/$label/r);
}

sub max { return (sort { $b <=> $a } @_)[0] }

sub report {
	return decode_json(content(get('/report')));
}

sub numbers {
	my ($report) = @_;
	my %numbers;

	for my $policy (@{($report // report())->{policies}}) {
		my $requests = $policy->{requests};
		$numbers{"$policy->{policy} $_"} = $requests->{$_} for keys %$requests;
	}
	return \%numbers;
}

sub wait_for {
	my ($t, $label, $ready) = @_;
	my $right = 0;

	$ready //= sub { grep { $_->{policy} eq $label && $_->{in_use} } @{report()->{policies}} };
	for (1 .. 200) {
		$right = $ready->() ? $right + 1 : 0;
		return if $right == 8;
		select undef, undef, undef, 0.02;
	}
}

sub workers {
	my ($t) = @_;

	my $master = $t->read_file('nginx.pid');
	chomp $master;
	return grep { length } split /\s+/, `ps -o pid= --ppid $master`;
}

# How much memory of its own a process has, in KiB.
sub anonymous {
	my ($pid) = @_;

	open my $status, '<', "/proc/$pid/status" or return 0;
	return join('', <$status>) =~ /^RssAnon:\s+(\d+)/m ? $1 : 0;
}

# Runs clients, and returns what waits for them, and returns the lines that they
# have printed.
sub clients {
	my ($t, $client) = @_;
	my @handles;

	for my $number (0 .. CLIENTS - 1) {
		my $pid = open my $handle, '-|';
		defined $pid or die "cannot fork: $!\n";
		if (!$pid) {
			srand($$);
			$client->($number);
			close STDOUT;
			POSIX::_exit(0);
		}
		push @handles, $handle;
	}
	return sub {
		return [map { my $handle = $_; chomp(my @lines = <$handle>); @lines } @handles];
	};
}

###############################################################################
