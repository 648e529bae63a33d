#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# What the other tests rely on the harness for.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx qw/ :DEFAULT :gzip http_start http_end http_content /;

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use IO::Socket::INET;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy gzip /)->plan(31);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        listen       127.0.0.1:%%PORT_8082%%;
        server_name  localhost;

        location /return {
            add_header X-Test one;
            return 200 "VERSION 1";
        }

        location /file.html {
            gzip on;
            gzip_min_length 0;
        }

        location /proxy {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->write_file_expand('nginx.conf', $conf);
$t->write_file('file.html', 'SEE-THIS' x 16);

$t->run_daemon(\&backend, port(8081));
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081)) or die "no backend\n";

###############################################################################

my $lib = dirname(dirname(abs_path($INC{'Test/Nginx.pm'})));

is($lib, abs_path($ENV{TEST_NGINX_LIB} || "$FindBin::Bin/lib"), 'library');

# requests

like(http_get('/return'), qr/^HTTP\/1.1 200 .*X-Test: one.*VERSION 1$/s, 'get');
like(http_head('/return'), qr/^HTTP\/1.1 200 .*\x0d\n\x0d\n$/s, 'head');
like(http_get('/return', PeerAddr => '127.0.0.1:' . port(8082)),
	qr/VERSION 1/, 'other port');

like(http(<<EOF), qr/^HTTP\/1.1 200 /, 'request as written');
OPTIONS /return HTTP/1.1
Host: localhost
Connection: close

EOF

my $socket = http(<<EOF, start => 1);
GET /return HTTP/1.1
Host: localhost

EOF

my $both = http(<<EOF, socket => $socket);
GET /return HTTP/1.1
Host: localhost
Connection: close

EOF

is(() = $both =~ /VERSION 1/g, 2, 'two requests on one connection');

$socket = http_start("GET /return HTTP/1.0\n\n");
like(http_end($socket), qr/VERSION 1/, 'started and ended');

# files, which workers of root must be able to read

like(http_get('/file.html'), qr/SEE-THIS/, 'file');
is($t->read_file('file.html'), 'SEE-THIS' x 16, 'file read back');
like(http_get('/none'), qr/ 404 /, 'no file');

# bodies

my $r = http_gzip_request('/file.html');
like($r, qr/Transfer-Encoding: chunked.*Content-Encoding: gzip/s, 'gzip');
http_gzip_like($r, qr/^(SEE-THIS){16}$/, 'gzip content');

my $head = "HTTP/1.1 200 OK\x0d\nTransfer-Encoding: chunked\x0d\n\x0d\n";

is(http_content("HTTP/1.1 200 OK\x0d\n\x0d\nab\x0d\n"), "ab\x0d\n", 'plain');
is(http_content($head . "1\x0d\na\x0d\nB\x0d\n0\x0d\n3456789a\x0d\n"
	. "0\x0d\n\x0d\n"), "a0\x0d\n3456789a", 'chunks');
is(http_content($head . "3\x0d\nabc\x0d\n"), 'abc[no-last-chunk]', 'cut short');
is(http_content('no head'), undef, 'no head');
is(http_content(undef), undef, 'no response');

# a backend

like(http_get('/proxy'), qr/X-Backend: two.*GET \/proxy/s, 'proxied');
like(http(<<EOF, body => 'SEE-BODY'), qr/POST \/proxy.*SEE-BODY/s, 'body');
POST /proxy HTTP/1.0
Host: localhost
Content-Length: 8

EOF

# what nginx can do

ok($t->has_version('1.0.1'), 'version');
ok(!$t->has_version('99.0'), 'version to come');
ok($t->has_module('http'), 'built in');
ok(!$t->has_module('no_such_module'), 'not built in');

# reload

$t->write_file_expand('nginx.conf', $conf =~ s/VERSION 1/VERSION 2/r);
$t->reload();

for (1 .. 50) {
	$r = http_get('/return');
	last if $r =~ /VERSION 2/;
	select undef, undef, undef, 0.1;
}

# Not asked again: workers on their way out may still take a connection.
like($r, qr/VERSION 2/, 'reload');

# mistakes in a configuration

$t->write_file_expand('nginx.conf', $conf =~ s/X-Test one/X-Test/r);
like($t->dump_config(), qr/\[emerg\] .*"add_header".* in .*nginx.conf:\d+/,
	'mistake');

# the tests that the harness adds

my ($dir, $out) = verdict($t);
like($out, qr/^ok 2 - no alerts\nok 3 - no sanitizer errors\n/m, 'clean');
ok(!-e $dir, 'nothing left behind');

(undef, $out) = verdict($t, "[alert] 1#1: x\nERROR: AddressSanitizer: x\n");
like($out, qr/^not ok 2 - no al.*^not ok 3 - no sanit.*^status [1-9]/ms,
	'alert and sanitizer error');

(undef, $out) = verdict($t, "[alert] 1#1: x\n", '$t->todo_alerts();');
like($out, qr/^not ok 2 - no alerts # TODO.*^status 0/ms, 'alert expected');

(undef, $out) = verdict($t, '', '$t->has("no_such_module");');
like($out, qr/^1\.\.0 # SKIP no no_such_module available/m, 'skipped');

$t->stop();
like($t->read_file('access.log'), qr/"GET \/return HTTP/, 'access log');

###############################################################################

# What becomes of a test that finds this in its error log: the directory that
# it had, and what it said.  A sub with a name that used the $t outside would
# keep it from ending when the file does.
sub verdict {
	my ($t, $log, $code) = @_;

	my $inner = <<'EOF';

use warnings;
use strict;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new();
CODE
$t->plan(1);

print '# dir ', $t->testdir(), "\n";

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8080;
        return 204;
    }
}

EOC

$t->run();
like(http_get('/'), qr/ 204 /, 'request');

open my $log, '>>', $t->testdir() . '/error.log' or die;
print $log $ENV{ERROR_LOG};
close $log;

EOF

	$t->write_file('inner.t', $inner =~ s/CODE/$code || ''/er);

	# One to keep and to show would be the outer directory.
	local @ENV{qw/ TEST_NGINX_LEAVE TEST_NGINX_CATLOG /};
	local $ENV{ERROR_LOG} = join '',
		map { "2000/01/01 00:00:00 $_" } split /^/, $log || '';

	my $file = $t->testdir() . '/inner.t';
	my $out = `'$^X' '-I$lib' $file 2>&1`;

	my ($dir) = $out =~ /^# dir (.+)$/m;

	return ($dir, $out . 'status ' . ($? >> 8) . "\n");
}

sub backend {
	my ($port) = @_;

	my $server = IO::Socket::INET->new(
		Proto => 'tcp',
		LocalAddr => "127.0.0.1:$port",
		Listen => 5,
		Reuse => 1
	)
		or die "Can't create listening socket: $!\n";

	local $SIG{PIPE} = 'IGNORE';

	while (my $client = $server->accept()) {
		my ($request, $body) = ('', '');

		while (my $line = <$client>) {
			$request .= $line;
			last if $line =~ /^\x0d?\n$/;
		}

		$client->read($body, $1) if $request =~ /^Content-Length: (\d+)/mi;

		print $client "HTTP/1.0 200 OK\x0d\n",
			"X-Backend: two\x0d\n\x0d\n$request$body";
		close $client;
	}
}
