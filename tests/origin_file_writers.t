#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for many files of origins in workers that do not own them: whom the
# system tells less of those who are writing.

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

# More than the 128 that a user may have of what the system reports with.  Each
# takes addresses for 2 GB, of which valgrind has few.
use constant FILES => $ENV{VALGRIND_LOGS} ? 20 : 140;
use constant WITHIN => $ENV{TEST_NGINX_PATIENCE} // 10;

my $t = Test::Nginx->new()->has(qw/ http /)->plan(12);
my $dir = $t->testdir();
my @files = map { "list$_" } 1 .. FILES;

if ($> == 0) {
	my @nobody = getpwnam('nobody');
	$ENV{TEST_NGINX_GLOBALS} .= " user nobody @{[ scalar getgrgid $nobody[3] ]};";
	chmod 0755, $dir;
}

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
            cors_allow_origin_file @files now/list;
            return 200;
        }
    }
}

EOC

mkdir "$dir/$_" for qw/ now next /;
$t->write_file($_, "https://$_.a.example\n") for @files;
$t->write_file("$_/list", "https://$_.a.example\n") for qw/ now next /;
$t->run();

###############################################################################

is(allowed_of('a.example'), FILES, 'all files');

sleep 2;
my @handles = map { open my $handle, '>', "$dir/$_" or die; $handle->autoflush(1); $handle } @files;
print {$handles[$_]} "https://$files[$_].b.example" for 0 .. $#files;
sleep 2;
is(allowed_of('b.example'), 0, 'a half of each');
print {$_} ".org\n" for @handles;
close $_ for @handles;
ok(in_time(sub { allowed_of('b.example.org') == FILES }), 'the whole of each');
unlike($t->read_file('error.log'), qr/does not report/, 'the system reports all writers');

# A file is replaced

for my $round (1 .. 3) {
	$t->write_file('new', "https://$files[-1].round$round.example\n");
	rename "$dir/new", "$dir/$files[-1]";
	ok(in_time(sub { is_allowed_now("https://$files[-1].round$round.example") }), "renamed over: $round");
}

# A whole directory is replaced

rename "$dir/now", "$dir/before";
rename "$dir/next", "$dir/now";
ok(in_time(sub { is_allowed_now('https://next.a.example') }), 'another directory');
unlink "$dir/now/list";
sleep 0.15;
open my $half, '>', "$dir/now/list" or die;
$half->autoflush(1);
print $half 'https://two.a.example';
sleep 1;
ok(!is_allowed_now('https://two.a.example'), 'a half in the other directory');
print $half ".org\n";
close $half;
ok(in_time(sub { is_allowed_now('https://two.a.example.org') }), 'the whole in the other directory');

# No thread can be started.

SKIP: {
	skip 'only root can limit others', 2 if $> != 0;

	my ($master) = $t->read_file('nginx.pid') =~ /(\d+)/;
	my $workers = sub { split ' ', `ps -o pid= --ppid $master` };
	my @before = $workers->();
	system 'prlimit', '--pid', $master, '--nproc=1:';
	kill 'KILL', @before;
	sleep 4;
	my @said = $t->read_file('error.log') =~ /\[error\] (\d+#.*no thread can be started for ".*?"), which is tried again/g;
	s/#\d+: / / for @said;
	my %different = map { $_ => 1 } @said;
	ok(@said >= FILES && @said == keys %different, 'each worker reports each file once')
		or diag(scalar @said, ' lines');

	chomp(my $most = `prlimit --nproc --noheadings --output=HARD`);
	my @as_worker = ('setpriv', '--clear-groups', map { ("--reuid=$_->[2]", "--regid=$_->[3]") } [getpwnam 'nobody']);
	system @as_worker, 'prlimit', '--pid', $_, "--nproc=$most:" for $workers->();
	$t->write_file($_, "https://$_.c.example\n") for @files;
	ok(in_time(sub { allowed_of('c.example') == FILES }), 'threads are started later');
}

$t->write_file('error.log', $t->read_file('error.log') =~ s/^.*\[alert\].* exited on signal 9\n//gmr);

###############################################################################

sub is_allowed_now {
	my ($origin) = @_;

	return cors(get('/', $origin)) eq '200 ' . allowed($origin);
}

# How many files allow their origin in this domain.
sub allowed_of {
	my ($domain) = @_;

	return scalar grep { is_allowed_now("https://$_.$domain") } @files;
}

sub in_time {
	my ($is_true) = @_;

	my $end = time() + 2 * WITHIN;
	until ($is_true->()) {
		return 0 if time() > $end;
		sleep 0.1;
	}
	return 1;
}

###############################################################################
