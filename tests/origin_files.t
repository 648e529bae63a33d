#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for cors_allow_origin_file: what a file may contain, what is said of one
# with mistakes, and changes while nginx runs, however they are made.

use warnings;
use strict;

use Test::More;

use POSIX qw/ mkfifo /;
use Time::HiRes qw/ sleep time /;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

# How long a change may take. It should be a second, but a machine that has other
# work to do takes longer: scripts/soak files measures it.
use constant WITHIN => $ENV{TEST_NGINX_PATIENCE} // 10;

my $a = 'https://one.a.example';
my $pid = $$;
my $t = Test::Nginx->new()->has(qw/ http /);
my $dir = $t->testdir();

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes 3;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    cors_zone cors:1m;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /file {
            cors_allow_origin_file list;
            DIRECTIVE
            return 200;
        }

        location /both {
            cors_allow_origin https://configured.example;
            cors_allow_origin_file %%TESTDIR%%/list;
            return 200;

            location /both/inherited {
                cors_max_age 1h;
                return 200;
            }

            location /both/replaced {
                cors_allow_origin https://other.example;
                return 200;
            }
        }

        location /enforce {
            cors_allow_origin_file list;
            cors_enforce on;
            return 200;
        }

        location /link {
            cors_allow_origin_file link/list;
            return 200;
        }

        location /report {
            cors_report prometheus;
        }
    }
}

EOC

# What is in a file, the level of a message and the message.  The last part is
# what is done to the file.
my $long = 'https://' . 'a' x 1048576;
my @files = (
	['a comment', "# x\n\n$a # y\n"],
	['nothing', ''],
	['Windows', "\xef\xbb\xbf$a\r\nhttps://two.example\r\n"],
	['twice', "$a\n$a\n"],
	['all kinds', "$a\nnull\nhttps://*.example\nhttp://localhost:*\n"],
	['any', "$a\n*\n", 'emerg', qr/"\*" cannot be in a file .*\[cors-any-in-file\] in $dir\/list:2/],
	['a variable', "\$x\n", 'emerg', qr/\[cors-variable-in-file\] in $dir\/list:1/],
	['an expression', "^https://a\$\n", 'emerg', qr/\[cors-expression-in-file\] in $dir\/list:1/],
	['several', "$a https://b.example\n", 'emerg', qr/\[cors-several-in-line\] in $dir\/list:1/],
	['the second of two', "a.example\n\nhttps://b.example/\n", 'emerg',
		qr!\[cors-no-scheme\] in $dir/list:1.*write "https://b.example" \[cors-trailing-slash\] in $dir/list:3!s],
	['binary data', "$a\n\x7fELF\0\0\n\0\0\n", 'emerg', qr/\[cors-binary-file\] in $dir\/list:2\n(?!.*list:3)/s],
	['a long line', "$long\n", 'emerg', qr/"https:\/\/a{200,260}\.\.\." is longer .*\[cors-long-line\] in $dir\/list:1/],
	['many mistakes', "x\n" x 1003, 'emerg', qr/has 3 more lines with mistakes \[cors-more-mistakes\] in $dir\/nginx.conf/],
	['misspelt', "htps://a.example\n", 'warn', qr/\[cors-misspelt-scheme\] in $dir\/list:1/],
	['a public suffix', "https://*.github.io\n", 'warn', qr/\[cors-public-suffix\] in $dir\/list:1/],
	['no file', undef, 'emerg', qr/list" cannot be read: No such file .*\[cors-unreadable-file\] in $dir\/nginx.conf/],
	['a directory', undef, 'emerg', qr/\[cors-not-regular-file\]/, sub { mkdir "$dir/list" }],
	['a FIFO', undef, 'emerg', qr/\[cors-not-regular-file\]/, sub { mkfifo("$dir/list", 0600) }],
	['4 GB', '', 'emerg', qr/is too large; a file of origins has at most 256 MiB \[cors-large-file\]/,
		sub { open my $handle, '>', "$dir/list" or die; truncate $handle, 4 << 30 }],
	['writable', $a, 'warn', qr/every user .*\[cors-writable-file\]/, sub { chmod 0666, "$dir/list" }],
	['in a writable directory', $a, 'warn', qr/every user .*\[cors-writable-directory\]/, sub { chmod 0777, $dir }],
	['in a directory like /tmp', $a, undef, undef, sub { chmod 01777, $dir }],
	['in a directory of one group', $a, undef, undef, sub { chmod 0775, $dir }],
);

# The same with other directives.
my @directives = (
	['cors_allow_credentials on;', "http://a.example\n", 'warn',
		qr/\[cors-insecure-with-credentials\] in $dir\/list:1/],
	['cors_allow_credentials on;', "https://*.com\n", 'emerg', qr/\[cors-public-suffix-with-credentials\] in $dir\/list:1/],
	['cors_allow_credentials on;', "null\n", 'warn', qr/\[cors-null-with-credentials\] in $dir\/list:1/],
	['cors_allow_origin *;', "$a\n", 'emerg', qr/\[cors-any-not-alone\]/],
	['cors_allow_origin_file list;', "$a\n", 'warn', qr/"list" is already in the list \[cors-duplicate\]/],
	['cors_allow_origin_file $uri;', "$a\n", 'emerg', qr/\[cors-variable\]/],
	['cors_allow_origin_file /proc/version;', "$a\n", 'emerg', qr/\[cors-being-written\]/],
	['cors_allow_origin_file "";', "$a\n", 'emerg', qr/\[cors-empty\]/],
);

# How a file is changed, by the new contents.
my @ways = (
	['renamed over', sub { put('new', $_[0]); rename "$dir/new", "$dir/list" }],
	['written in place', sub { put('list', $_[0]) }],
	['removed, and made anew', sub { unlink "$dir/list"; sleep 0.15; put('list', $_[0]) }],
	['appended to', sub {
		put('list', ''); sleep 1; open my $f, '>>', "$dir/list" or die; print $f $_[0] }],
	['hard link', sub { put('new', $_[0]); unlink "$dir/list"; link "$dir/new", "$dir/list"; unlink "$dir/new" }],
);

$t->plan(@files + @directives + 16 + @ways + 67);

mkdir "$dir/first";
mkdir "$dir/second";
put('first/list', "https://first.example\n");
put('second/list', "https://second.example\n");
symlink 'first', "$dir/link";

###############################################################################
# nginx -t

for my $row (@files, map { [@{$_}[0 .. 3], undef, $_->[0]] } @directives) {
	my ($name, $contents, $level, $message, $change, $directive) = @$row;
	$t->write_file_expand('nginx.conf', $conf =~ s/DIRECTIVE/$directive \/\/ ''/er);
	put('list', $contents) if defined $contents;
	$change->() if $change;
	my $output = $t->dump_config();
	my $result = ($level // '') eq 'emerg' ? qr/test failed/ : qr/test is successful/;
	my $lines = join '', $output =~ /^\w+: \[(?:emerg|warn)\] cors.*\n/mg;
	if (defined $level) {
		ok($output =~ $result && $lines =~ $message && $lines =~ /^\w+: \[$level\]/, "-t: $name")
			or diag($lines);
	} else {
		ok($output =~ $result && $lines eq '', "-t: $name") or diag($lines);
	}
	unlink "$dir/list";
	rmdir "$dir/list";
	unlink "$dir/nginx.pid";
}

# Somebody is writing

$t->write_file_expand('nginx.conf', $conf =~ s/DIRECTIVE//r);
my $file = half('https://two.a.example');
like($t->dump_config(), qr!list" is being written; .* \[cors-being-written\] in $dir/nginx.conf:\d+\n.*test failed!s,
	'-t: a half');
close $file;
like($t->dump_config(), qr/test is successful/, '-t: the writer has finished');

# Whoever opens the file while nginx asks the system whether anybody has makes
# the system send a signal.
if (!(my $opens = fork // die)) {
	while (getppid == $pid) {
		open my $handle, '>>', "$dir/list";
		close $handle;
		select undef, undef, undef, 0.0001;
	}
	POSIX::_exit(0);
} else {
	my $ended = grep { $t->dump_config() =~ /test is successful|cors-being-written/ } 1 .. 30;
	is($ended, 30, '-t: the file is opened all the time');
	kill 'KILL', $opens;
	waitpid $opens, 0;
}
unlink "$dir/nginx.pid";

###############################################################################
# Requests

$t->write_file('error.log', '');
$t->write_file_expand('nginx.conf', $conf =~ s/DIRECTIVE//r);
put('list', "$a\nhttps://*.b.example\nnull\n");
$t->run();

is_allowed('/file', 'a file', "$a\nhttps://x.b.example\nnull");
is_denied('/file', 'a file', "https://two.a.example\nhttps://b.example\nhttps://*.b.example");
is_allowed('/both/inherited', 'beside a list', "$a\nhttps://configured.example");
is(cors(get('/both/replaced', $a)), '200 ' . VARY, 'replaced as one');
is(cors(get('/enforce', $a)), '200 ' . allowed($a), 'enforced');
is(cors(get('/enforce', 'https://c.example')), '403 ' . VARY, 'enforced, another');
like(cors(preflight('/file', $a)), qr/^204 -Allow-Methods.*-Allow-Origin: $a/, 'preflight');
is(cors(get('/file')), '200 ' . VARY, 'no origin');

# Changes

for (0 .. $#ways) {
	my ($name, $change) = @{$ways[$_]};
	my $origin = "https://way$_.a.example";
	$change->("$origin\n");
	ok(in_force($origin), "in force: $name");
}

put('list', "$a\n");
ok(in_force($a), 'ready');

unlink "$dir/new";
symlink 'second', "$dir/new";
rename "$dir/new", "$dir/link";
ok(in_force('https://second.example', '/link'), 'a symbolic link is switched');
isnt(cors(get('/link', 'https://first.example')), '200 ' . allowed('https://first.example'), 'the old list');

# A writer that pauses

$file = half('https://two.a.example');
sleep 1;
is_denied('/file', 'a half', 'https://two.a.example');
$t->reload();
ok(logged($t, qr/\[emerg\] .*\[cors-being-written\]/), 'a reload while somebody writes');
is_denied('/file', 'a half after a reload', 'https://two.a.example');
is_allowed('/file', 'the old list during a pause', $a);
print $file ".org\n";
close $file;
ok(in_force('https://two.a.example.org'), 'the whole');
is_denied('/file', 'never', 'https://two.a.example');

# Mistakes

my $errors = errors($t);
is($errors, 0, 'no errors yet');
put('list', "$a\nb.example\nc.example\n");
ok(logged($t, qr/\[error\] .*"b.example" has no scheme.*write "https:\/\/b.example" \[cors-no-scheme\] in $dir\/list:2; another line has a mistake; the old list stays in force/), 'a mistake is logged');
sleep 0.5;
is(errors($t), 1, 'once');
is_allowed('/file', 'the old list with a mistake', 'https://two.a.example.org');
like(content(get('/report')), qr!^nginx_cors_origin_file_errors_total\{file="$dir/list"\} 1$!m, 'counted');
like(content(get('/report')), qr!^nginx_cors_origin_file_origins\{file="$dir/list"\} 1$!m, 'values');
my ($loaded) = content(get('/report')) =~ m!^nginx_cors_origin_file_loaded_timestamp_seconds\{file="$dir/list"\} (\d+)$!m;
cmp_ok(abs(time() - $loaded), '<', 60, 'loaded');

unlink "$dir/list";
ok(logged($t, qr/\[error\] .*list" cannot be read: No such file .*the old list stays in force/), 'a missing file is logged');
sleep 1;
is(errors($t), 2, 'a missing file is logged once');
is_allowed('/file', 'the old list without a file', 'https://two.a.example.org');

put('list', "$a\n");
ok(in_force($a), 'restored');
is(errors($t), 2, 'without an error');

# What `nginx -t` refuses

my @bad = grep { ($_->[2] // '') eq 'emerg' && $_->[3] !~ /nginx\.conf/ } @files;
for (0 .. $#bad) {
	my ($name, $contents, undef, $message, $change) = @{$bad[$_]};
	my ($code) = $message =~ /(cors-[a-z-]+)\\\]/;
	my $line = $message =~ /list:(\d+)/ ? " in $dir/list:$1" : '';
	my $before = errors($t);
	unlink "$dir/list";
	put('list', $contents) if defined $contents;
	$change->() if $change;
	my $logged = logged($t, qr/\[error\] .*\[$code\]$line(?:;.*)?; the old list stays in force/);
	sleep 0.5;
	ok($logged && errors($t) == $before + 1, "one line while nginx runs: $name");
	is_allowed('/file', "the old list: $name", $_ ? "https://after@{[ $_ - 1 ]}.example" : $a);
	# All but what the harness looks for.
	$t->write_file('error.log', join '', $t->read_file('error.log') =~ /^.*\[alert\].*\n/mg);
	rmdir "$dir/list";
	unlink "$dir/list";
	put('list', "https://after$_.example\n");
	ok(in_force("https://after$_.example"), "after $name");
}

put('list', "\xef\xbb\xbf$a\r\nhttps://windows.example\r\n");
ok(in_force('https://windows.example'), 'Windows while nginx runs');
chmod 0666, "$dir/list";
ok(logged($t, qr/\[warn\] .*list" can be changed by every user .*\[cors-writable-file\]/), 'writable while nginx runs');
chmod 0644, "$dir/list";

# A worker dies

for my $round (1 .. 3) {
	my @workers = workers($t);
	my ($reads) = $t->read_file('error.log') =~ /.*\[notice\] (\d+)#.* is in force/s;
	kill 'KILL', $reads;
	for (1 .. 50) {
		last if grep({ $_ != $reads } workers($t)) == 3;
		sleep 0.1;
	}
	my $origin = "https://round$round.a.example";
	put('list', "$origin\n");
	ok(in_force($origin, '/file', 2), "another worker reads: $round");
}

# A worker dies while somebody writes

$file = half('https://left.a.example');
sleep 1;
my ($reads) = $t->read_file('error.log') =~ /.*\[notice\] (\d+)#.* is in force/s;
kill 'KILL', $reads;
ok(logged($t, qr/\[warn\] (?!$reads#).*list" is being written, and is read when its writer closes it/), 'a long time');
is_denied('/file', 'a half for another worker', 'https://left.a.example');
print $file ".org\n";
close $file;
ok(in_force('https://left.a.example.org'), 'the whole for another worker');
is(scalar(() = $t->read_file('error.log') =~ /list" is being written, and/g), 1, 'logged once');

# A reload, and a worker that has been stopped

my @workers = workers($t);
kill 'STOP', $workers[0];
put('list', "https://three.a.example\n");
sleep 1;
put('list', "https://four.a.example\n");
sleep 1;
kill 'CONT', $workers[0];
ok(in_force('https://four.a.example'), 'after a worker was stuck');
$t->reload();
put('list', "https://five.a.example\n");
ok(in_force('https://five.a.example', '/file', 3), 'after a reload');

# More happens in the directory than the system reports in one go

for (1 .. 9000) {
	open my $other, '<', "$dir/nginx.conf" or die;
	close $other;
}
$file = half('https://busy.a.example');
sleep 1;
is_denied('/file', 'a half in a busy directory', 'https://busy.a.example');
print $file ".org\n";
close $file;
ok(in_force('https://busy.a.example.org'), 'the whole in a busy directory');

# A process that serves no requests does not delay a change

$t->write_file_expand('nginx.conf', $conf =~ s/DIRECTIVE//r
	=~ s!cors_zone!proxy_cache_path %%TESTDIR%%/cache keys_zone=cache:1m;\n    cors_zone!r);
$t->reload();

SKIP: {
	skip 'valgrind or an emulator hides the names of processes', 3
		unless grep { `ps -o args= -p $_` =~ /worker process/ } workers($t);
	my $manager;

	# It has its name a moment after it is started.
	for (1 .. 50) {
		($manager) = grep { `ps -o args= -p $_` =~ /cache manager/ } workers($t);
		last if $manager;
		select undef, undef, undef, 0.1;
	}

	ok($manager, 'there is a cache manager') or skip 'nobody to stop', 2;
	kill 'STOP', $manager;
	for my $origin ('https://six.a.example', 'https://seven.a.example') {
		put('list', "$origin\n");
		ok(in_force($origin, '/file', 3), "beside a cache manager that does not answer: $origin");
	}
	kill 'CONT', $manager;
}

# nginx logs that a process was killed.
$t->write_file('error.log', $t->read_file('error.log') =~ s/^.*\[alert\].* exited on signal 9\n//gmr);

###############################################################################

sub put {
	my ($name, $contents) = @_;

	open my $handle, '>', "$dir/$name" or die "cannot write $name: $!\n";
	print $handle $contents;
	close $handle;
}

# The handle of a file that has not been written to its end.
sub half {
	my ($contents) = @_;

	open my $handle, '>', "$dir/list" or die "cannot write: $!\n";
	$handle->autoflush(1);
	print $handle $contents;
	return $handle;
}

# Whether an origin is allowed in time, by every worker.
sub in_force {
	my ($origin, $uri, $patience) = @_;

	my $end = time() + WITHIN * ($patience // 1) + 0.5;
	my $good = 0;
	while (time() < $end) {
		$good = cors(get($uri // '/file', $origin)) eq '200 ' . allowed($origin) ? $good + 1 : 0;
		return 1 if $good == 12;
		sleep 0.02;
	}
	return 0;
}

sub logged {
	my ($t, $message) = @_;

	for (1 .. 40 * WITHIN) {
		return 1 if $t->read_file('error.log') =~ $message;
		sleep 0.05;
	}
	return 0;
}

sub errors {
	my ($t) = @_;

	my $number = () = $t->read_file('error.log') =~ /\[error\] .*cors_allow_origin_file/g;
	return $number;
}

sub workers {
	my ($t) = @_;

	my ($master) = $t->read_file('nginx.pid') =~ /(\d+)/;
	return split ' ', `ps -o pid= --ppid $master`;
}

###############################################################################
