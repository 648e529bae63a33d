#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for where nginx -t says that a mistake is: each with the file and line
# of the directive that holds it, all of them at once, also those that show only
# when levels are merged; and for values that must not push that out of a line.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Messages;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(41);

my $conf = <<'EOT';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    HTTP

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        SERVER

        location / {
            LOCATION

            location /nested/ {
                NESTED
            }
        }

        location /other/ {
            OTHER
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  second;

        SECOND
    }
}

EOT

$t->write_file_expand('nginx.conf', $conf =~ s/^ *[A-Z]+$//gmr);
$t->run();

###############################################################################

my $origin = 'cors_allow_origin https://a.example;';

# Ten mistakes on ten lines of one block. What is told of each holds its mark.

my @mistakes = (
	['cors_allow_origin https://mark1.example/;', 'mark1'],
	['cors_allow_origin mark2.example;', 'mark2'],
	['cors_allow_origin_regex "^https://(mark3";', 'mark3'],
	['cors_allow_methods get;', '"get"'],
	['cors_allow_headers mark5:;', 'mark5'],
	['cors_expose_headers mark6@;', 'mark6'],
	['cors_max_age mark7;', 'mark7'],
	['cors_allow_credentials mark8;', 'mark8'],
	['cors_preflight_status mark9;', 'mark9'],
	['cors_log_level mark10;', 'mark10'],
);

my ($status, @said) = test_of($t, LOCATION => join "\n", map { $_->[0] } @mistakes);

is($status, 1, 'ten mistakes: refused');
is(scalar @said, 10, 'ten mistakes: ten messages');

for my $n (0 .. 9) {
	my ($directive, $mark) = @{$mistakes[$n]};
	my $line = line_of($t, $directive);

	like($said[$n], qr/^emerg .*\Q$mark\E.* in \S*nginx\.conf:$line$/,
		"ten mistakes: $directive");
}

# Several in one directive, in one value, and over several lines

is_said($t, [LOCATION => "cors_allow_origin a.example\nb.example\n"
		. "'c.example, d.example'; # HERE"],
	(map { message_of('cors_allow_origin', "$_.example", 'no-scheme',
		"https://$_.example") } qw/ a b c d /),
	'all mistakes of a directive, with the line that it ends on');

is_said($t, [LOCATION => 'cors_allow_origin * a.example; # HERE'],
	message_of('cors_allow_origin', 'a.example', 'no-scheme',
		'https://a.example'),
	message_of('cors_allow_origin', '*', 'any-not-alone'),
	'* next to what is wrong');

is_said($t, [LOCATION => "$origin cors_allow_methods * get; # HERE"],
	message_of('cors_allow_methods', 'get', 'method-case', 'GET'),
	message_of('cors_allow_methods', '*', 'any-not-alone'),
	'* next to a wrong method');

is_said($t, [LOCATION => "$origin cors_expose_headers * a:; # HERE"],
	message_of('cors_expose_headers', 'a:', 'not-header', 'a'),
	message_of('cors_expose_headers', '*', 'any-not-alone'),
	'* next to a wrong header');

# Errors and warnings together

($status, @said) = test_of($t, HTTP => 'cors_max_age 2d;', SECOND =>
	'cors_allow_methods PUT;', LOCATION => "$origin cors_allow_headers DNT x:;");
is(join(' ', map { /^(\w+)/ } @said), 'warn warn emerg warn',
	'warnings are given next to errors');

# What nginx finds itself ends the reading

($status, @said) = test_of($t, LOCATION =>
	"cors_allow_origin a.example;\ncors_max_age 1 2;\ncors_allow_origin b.example;");
is($status . join('|', map { s/ in \S+$//r } @said),
	'1emerg ' . message_of('cors_allow_origin', 'a.example', 'no-scheme',
		'https://a.example') . '|emerg invalid number of arguments in '
		. '"cors_max_age" directive',
	'nothing is read after a mistake of the syntax');

# Files

$t->write_file('included.conf', "\n\ncors_allow_origin a.example;\n");
($status, @said) = test_of($t, LOCATION => "\ninclude included.conf;\n"
	. 'cors_max_age x; # HERE');
like($said[0], qr/"a\.example".* in \S*included\.conf:3$/, 'an included file');
like($said[1], qr/"x" is not a valid time.* in HERE$/, 'after an included file');

# Levels that only together are a mistake

my $any = ['emerg', message_of('cors_allow_origin', '*',
	'any-with-credentials'), 'elsewhere'];

is_said($t, [SERVER => 'cors_allow_origin *; # HERE',
		NESTED => "\n\n\ncors_allow_credentials on;"], $any,
	'* with credentials: * above');
is_said($t, [HTTP => "\ncors_allow_credentials on;\n\n",
		OTHER => 'cors_allow_origin *; # HERE'], $any,
	'* with credentials: credentials above');
is_said($t, [HTTP => 'cors_allow_origin *; # HERE',
		SERVER => "\n\ncors_allow_credentials on;", LOCATION => 'cors_max_age 1;',
		OTHER => 'cors_allow_credentials on;',
		SECOND => 'cors_allow_credentials on;'], $any,
	'* with credentials: said once');
is_said($t, [HTTP => "\ncors_allow_credentials on;",
		OTHER => "cors_allow_origin *; # HERE\ncors_allow_credentials on;"],
	['emerg', $any->[1]], '* with credentials: both at one level');
is_said($t, [HTTP => 'cors_allow_origin *;', SECOND =>
		"cors_allow_origin https://b.example;\ncors_allow_credentials on;"],
	'* with credentials: other origins next to these');
is_said($t, [HTTP => 'cors_allow_credentials on;', SECOND =>
		"cors_allow_origin *;\ncors_allow_credentials off;"],
	'* with credentials: credentials off next to it');

is_said($t, [SERVER => "$origin cors_expose_headers *; # HERE",
		NESTED => "\n\ncors_allow_credentials on;"],
	['emerg', message_of('cors_expose_headers', '*',
		'expose-any-with-credentials'), 'elsewhere'],
	'* exposed with credentials');
is_said($t, [SERVER => "$origin cors_expose_headers *;",
		NESTED => "cors_expose_headers ETag;\ncors_allow_credentials on;"],
	'other headers are exposed with credentials');

is_said($t, [HTTP => 'cors_allow_origin https://*.github.io; # HERE',
		OTHER => 'cors_allow_credentials on;'],
	['warn', message_of('cors_allow_origin', 'https://*.github.io',
		'public-suffix')],
	['emerg', message_of('cors_allow_origin', 'https://*.github.io',
		'public-suffix-with-credentials'), 'elsewhere'],
	'a public suffix, with credentials in one location');
is_said($t, [SERVER => 'cors_allow_origin http://a.example; # HERE',
		OTHER => 'cors_allow_credentials on;'],
	['warn', message_of('cors_allow_origin', 'http://a.example',
		'insecure-with-credentials'), 'elsewhere'],
	'http, with credentials in one location');
is_said($t, [SERVER => 'cors_allow_origin_regex .*; # HERE',
		OTHER => 'cors_allow_credentials on;'],
	['warn', message_of('cors_allow_origin_regex', '.*',
		'any-origin-with-credentials'), 'elsewhere'],
	'an expression for everyone, with credentials in one location');

# No origin, here or below

is_said($t, [HTTP => 'cors_max_age 1h; # HERE', SECOND => 'cors off;'],
	['warn', message_of('', 'cors_max_age', 'no-effect')], 'no origin anywhere');
is_said($t, [HTTP => 'cors_max_age 1h;', NESTED => $origin], 'an origin below');
is_said($t, [HTTP => $origin, NESTED => 'cors_max_age 1h;'], 'an origin above');
is_said($t, [HTTP => 'cors_max_age 1h;', NESTED => $origin,
		SECOND => 'cors_allow_methods PUT; # HERE'],
	['warn', message_of('', 'cors_allow_methods', 'no-effect')], 'no origin in one server');
is_said($t, [SERVER => "cors_enforce on;\ncors_reject_status 404;\n"
		. 'cors_max_age 1h; # HERE'],
	['warn', message_of('', 'cors_max_age', 'no-effect')], 'enforcement alone');

# Long values, and what a terminal does not show as it is

my $long = 'a' x 3000;

for (
	["cors_allow_origin https://$long.example;", 'a label'],
	["cors_allow_origin_regex '^https://(?!$long)';", 'does not compile'],
	["$origin cors_allow_methods '" . '@' x 3000 . "';", 'not a valid method'],
	["$origin cors_max_age " . "\xc3\xa4" x 1500 . ';', 'not a valid time'],
)
{
	my ($directives, $reason) = @$_;

	(undef, @said) = test_of($t, LOCATION => "$directives # HERE");
	like($said[0], qr/^emerg \w+: ".{200,260}\.\.\." .*$reason.* in HERE$/,
		"long: $reason");
}

is_said($t, [LOCATION => "$origin cors_allow_headers 'a\x1b[31m\x7fb'; # HERE"],
	message_of('cors_allow_headers', 'a\u{1b}[31m\u{7f}b', 'not-header'),
	'control characters');

###############################################################################

# Whether just these messages come, all of the line with "# HERE": errors, or
# pairs of a level and a message. The last argument is the test's name.
# Pairs of a level and a message may have a third part: credentials are turned on
# at another level, and the message says where.
sub is_said {
	my ($t, $levels, @expected) = @_;

	my $name = pop @expected;
	my ($status, @said) = test_of($t, @$levels);
	my @pairs = map { ref $_ ? $_ : ['emerg', $_] } @expected;
	my $elsewhere = '; credentials are turned on in ANOTHER LINE';
	my $failed = (grep { $_->[0] eq 'emerg' } @pairs) ? 1 : 0;

	is(join("\n", $status, @said),
		join("\n", $failed, map { "$_->[0] $_->[1] in HERE"
			. ($_->[2] ? $elsewhere : '') } @pairs), $name);
}

# The exit status of nginx -t, and each of its messages with its level, and
# with "HERE" for the line that holds "# HERE".
sub test_of {
	my ($t, %levels) = @_;

	$t->write_file_expand('nginx.conf',
		$conf =~ s/^ *([A-Z]+)$/$levels{$1} \/\/ ''/egmr);

	my $here = line_of($t, '# HERE');
	my $dir = $t->testdir();
	my $said = `$Test::Nginx::NGINX -t -p $dir/ -c nginx.conf -e error.log 2>&1`;
	my $status = $? >> 8;

	my @lines = ('', split /\n/, $t->read_file('nginx.conf'));
	return $status, map { s/ in \S*nginx\.conf:$here(?=;|$)/ in HERE/r }
		map { s/(?<=on in )\S*nginx\.conf:(\d+)$/
			$lines[$1] =~ m!cors_allow_credentials on! ? 'ANOTHER LINE' : $&/er }
		map { /^\w+: \[(\w+)\] (.*)/ ? "$1 $2" : () } split /\n/, $said;
}

# The line of nginx.conf that holds a text; 0 for none.
sub line_of {
	my ($t, $text) = @_;

	my @lines = split /\n/, $t->read_file('nginx.conf');
	my ($line) = grep { index($lines[$_ - 1], $text) >= 0 } 1 .. @lines;

	return $line // 0;
}

###############################################################################
