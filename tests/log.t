#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the line that a denial writes.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite ssi /)->plan(52);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin  https://app.example.com;
        cors_allow_methods PUT;
        cors_allow_headers X-One;

        location / {
            return 200;
        }

        location /regex {
            cors_allow_origin_regex ^https://\w+\.example\.com$;
            return 200;
        }

        location /star {
            cors_allow_origin *;
            return 200;
        }

        location /enforce {
            cors_enforce on;
            return 200;
        }

        location /dry {
            cors_dry_run on;
            return 200;
        }

        location /dry-enforce {
            cors_enforce on;
            cors_dry_run on;
            return 200;
        }

        location /info {
            cors_log_level info;
            return 200;
        }

        location /notice {
            cors_log_level notice;
            return 200;
        }

        location /warn {
            cors_log_level warn;
            return 200;
        }

        location /error {
            cors_log_level error;
            return 200;
        }

        location /quiet {
            error_log %%TESTDIR%%/quiet.log notice;
            return 200;
        }

        location /quiet-warn {
            cors_log_level warn;
            error_log %%TESTDIR%%/quiet.log notice;
            return 200;
        }

        location /redirected {
            error_page 404 /page;
        }

        location /page {
            add_header X-Status $cors_status;
            return 200;
        }

        location /ssi {
            ssi on;
        }

        # Denies whom the page allows.
        location /part {
            cors_allow_origin https://other.example;
            cors_enforce      on;
            return 200 PART;
        }

        location /off {
            cors off;
            return 200;
        }

        location /bypass {
            cors_bypass 1;
            return 200;
        }

        location /passed {
            cors_preflight off;
            return 200;
        }
    }
}

EOF

$t->write_file('ssi.html', '<!--#include virtual="/part" -->');

$t->run();

###############################################################################

my $app = 'https://app.example.com';
my $evil = 'https://evil.example';
my $seen = 0;

# What was denied

my $allows = qr/.*\bcors_allow_origin\b.*/;
my $origin = qr/cors: origin "\Q$evil\E" is not allowed/;
# Angie writes both with quotes, and another name.
my $context = qr/, client: "?127\.0\.0\.1"?, server: "?localhost"?, request(?:_line)?: "/;

like(line($t, get('/', $evil)), qr/\[info\] .*$origin$allows$context/, 'origin');
like(line($t, get('/regex', $evil)), qr/$origin/, 'origin: expression');
like(line($t, get('/', 'null')), qr/cors: origin "null" is not allowed/,
	'origin: null');
like(line($t, get('/', '')), qr/cors: origin "" is not allowed/, 'origin: empty');
like(line($t, get('/', $app, "Origin: $app")), qr/cors: .*Origin/,
	'origin: repeated');

like(line($t, preflight('/', $evil, 'DELETE', 'x-two')),
	qr/\[info\] .*$origin.*$context/, 'preflight: origin');
like(line($t, preflight('/', $app, 'DELETE')),
	qr/\[info\] .*cors: method "DELETE" is not in cors_allow_methods$context/,
	'preflight: method');
like(line($t, preflight('/', $app, 'PUT', 'x-one,X-Two,x-three')),
	qr/\[info\] .*cors: headers "X-Two", "x-three" are not in cors_allow_headers$context/,
	'preflight: all headers');
like(line($t, preflight('/', $app, 'PUT', 'x-one,x-two')),
	qr/cors: header "x-two" is not in cors_allow_headers$context/,
	'preflight: one header');
like(line($t, preflight('/', $app, 'PUT', join ',', map { "x-$_" } 1 .. 20)),
	qr/headers "x-1", .*, "x-16", \.\.\. are not in cors_allow_headers$context/,
	'preflight: many headers');
like(line($t, preflight('/', $app, 'PUT', join ',', map { "x-$_" } 1 .. 16)),
	qr/headers "x-1", [^.]*, "x-16" are not in cors_allow_headers$context/,
	'preflight: as many headers as a line has');
like(line($t, preflight('/', $app, 'DELETE', 'x-two')),
	qr/cors: method "DELETE" is not in cors_allow_methods, header "x-two" is not in cors_allow_headers$context/,
	'preflight: the method and a header');

like(line($t, get('/enforce', $evil)),
	qr/\[info\] .*cors: rejected, origin "\Q$evil\E" is not allowed.*$context/,
	'enforced');
like(line($t, request('POST', '/enforce', 'Sec-Fetch-Site: cross-site',
	'Content-Length: 0')),
	qr/cors: rejected, Sec-Fetch-Site is "cross-site" and there is no .*$context/,
	'enforced: no origin');
like(line($t, request('POST', '/enforce', 'Sec-Fetch-Site: same-site',
	'Content-Length: 0')),
	qr/cors: rejected, Sec-Fetch-Site is "same-site" and there is no .*$context/,
	'enforced: no origin, same site');
like(line($t, request('POST', '/enforce', 'Sec-Fetch-Site: elsewhere',
	'Content-Length: 0')),
	qr/cors: rejected, Sec-Fetch-Site is not a browser's and .*$context/,
	'enforced: no origin, no value of a browser');

like(line($t, get('/dry', $evil)), qr/$origin.* \(dry run\)$context/, 'dry run');
like(line($t, preflight('/dry', $evil)), qr/$origin.* \(dry run\)$context/,
	'dry run: preflight');
like(line($t, preflight('/dry', $app, 'DELETE')),
	qr/cors: method "DELETE" .* \(dry run\)$context/, 'dry run: method');
like(line($t, get('/dry-enforce', $evil)),
	qr/cors: rejected, origin "\Q$evil\E" .* \(dry run\)$context/,
	'dry run: enforced');

# Once

like(line($t, get('/redirected', $evil)), qr/^[^\n]*$origin[^\n]*$/,
	'one line after an internal redirect');
like(line($t, get('/page', $evil)), qr/^[^\n]*$origin[^\n]*$/,
	'one line with a variable');

# A preflight of the server's own origin, whose answer has no fields

like(line($t, preflight('/', 'http://localhost')), qr/origin "http:\/\/localhost" is not allowed/,
	'preflight, same origin');

# Nothing that was not denied

for (
	['allowed', get('/', $app)],
	['no origin', get('/')],
	["'*'", get('/star', $evil)],
	['same origin', get('/', 'http://localhost')],
	['same origin, enforced', get('/enforce', 'http://localhost')],
	['same origin, as the browser says', get('/', $evil,
		'Sec-Fetch-Site: same-origin')],
	['preflight', preflight('/', $app, 'PUT', 'x-one')],
	['preflight, safelisted method', preflight('/', $app, 'GET')],
	['cors off', get('/off', $evil)],
	['bypassed', get('/bypass', $evil)],
	['subrequest', get('/ssi.html', $app)],
)
{
	is(line($t, $$_[1]), '', "no line: $$_[0]");
}

like(get('/ssi.html', $app), qr/PART/, 'there is a subrequest');

# Levels

for my $level (qw/ info notice warn error /) {
	like(line($t, get("/$level", $evil)), qr/\[$level\] .*$origin/, $level);
	like(line($t, preflight("/$level", $app, 'DELETE')), qr/\[$level\] .*DELETE/,
		"$level: preflight");
}

get('/quiet', $evil);
preflight('/quiet', $evil);
is($t->read_file('quiet.log'), '', 'a level that is not logged');

get('/quiet-warn', $evil);
like($t->read_file('quiet.log'), qr/\[warn\] .*$origin/,
	'a level that is logged');

# What a client sends cannot break out of its quotes or its line

my $line = line($t, get('/', "https://evil\", client: 1.2.3.4, \x1b[31m\xff\\"));
like($line, qr/cors: origin "https:\/\/evil/, 'escaped');
unlike($line, qr/[^ -~]/, 'escaped: bytes');
unlike($line, qr/evil"/, 'escaped: quotes');
like(line($t, preflight('/', $app, 'PUT', "x-\"\xff")), qr/cors: header "[ -~]*$/,
	'escaped: header');
like(line($t, preflight('/', $app, "DEL\"\xff")), qr/cors: method "[ -~]*$/,
	'escaped: method');

my $longest = 'https://' . 'a' x 248;
like(line($t, get('/', $longest)), qr/origin "\Q$longest\E" is not/,
	'as long as a line has it');
like(line($t, get('/', "${longest}a")), qr/origin "\Q$longest\E\.\.\." is not/,
	'longer than a line has it');

###############################################################################

# The lines that were written for a response, which has to be there before they
# are looked for.
sub line {
	my ($t) = @_;

	my $log = join '', grep { /cors: / } $t->read_file('error.log') =~ /^.*\n/mg;
	my $new = substr $log, $seen;

	$seen = length $log;
	chomp $new;

	return $new;
}

###############################################################################
