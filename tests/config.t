#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for mistakes in a configuration: found before the first request, with
# the file and the line of the directive.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite access map /)->plan(352);

my $conf = <<'EOF';

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
        }
    }
}

EOF

# What the harness adds to a test that has run: nginx has to be seen to start.

my %levels = (HTTP => 'cors on;', SERVER => '', LOCATION => '');
$t->write_file_expand('nginx.conf', $conf =~ s/(HTTP|SERVER|LOCATION)$/$levels{$1}/gmr);
$t->run();

###############################################################################

my @directives = (
	'cors on',
	'cors_allow_origin https://app.example.com',
	'cors_allow_origin_regex ^https://app\.example\.com$',
	'cors_allow_methods PUT',
	'cors_allow_headers X-Foo',
	'cors_allow_credentials on',
	'cors_expose_headers X-Foo',
	'cors_max_age 600',
	'cors_allow_private_network on',
	'cors_preflight on',
	'cors_preflight_status 204',
	'cors_override on',
	'cors_bypass $arg_bypass',
	'cors_enforce on',
	'cors_reject_status 403',
	'cors_dry_run on',
	'cors_log_level info',
);

my $origin = 'cors_allow_origin https://app.example.com;';
my $credentials = 'cors_allow_credentials on;';

# Contexts

for my $directive (@directives) {
	my ($name) = split / /, $directive;

	my $rule = $name =~ /^cors_allow_origin/ ? '' : $origin;

	is(said($t, "$rule $directive;", $_), '', "context: $_, $name")
		for qw/ HTTP SERVER LOCATION /;

	like(said($t, "if (\$arg_a) {\n$directive;\n}", 'LOCATION', $directive),
		qr/^emerg "$name" directive is not allowed here HERE$/,
		"context: if, $name");
	like(said($t, "if (\$arg_a) {\n$directive;\n}", 'SERVER', $directive),
		qr/^emerg "$name" directive is not allowed here HERE$/,
		"context: if of a server, $name");
	like(said($t, "limit_except GET {\n$directive;\n}", 'LOCATION',
		$directive), qr/^emerg "$name" directive is not allowed here HERE$/,
		"context: limit_except, $name");
	like(said($t, "$name;", undef, "$name;"),
		qr/^emerg invalid number of arguments in "$name" directive HERE$/,
		"no value: $name");

	next if $name =~ /origin|methods|headers|bypass/;

	like(said($t, "$origin\n$directive;\n# once\n$directive; # twice",
		'LOCATION', '# twice'), qr/^emerg .*$name.*HERE$/, "twice: $name");
}

# Errors: what is wrong, what to write instead

for (

	# origins

	['cors_allow_origin example.com', 'https://example.com'],
	['cors_allow_origin https://app.example.com/', 'https://app.example.com'],
	['cors_allow_origin https://app.example.com/a', 'https://app.example.com'],
	['cors_allow_origin https://app.example.com?a', 'https://app.example.com'],
	['cors_allow_origin https://app.example.com#a', 'https://app.example.com'],
	['cors_allow_origin https://a@app.example.com', 'https://app.example.com'],
	['cors_allow_origin https://App.example.com', 'https://app.example.com'],
	['cors_allow_origin HTTPS://app.example.com', 'https://app.example.com'],
	["cors_allow_origin https://m\xc3\xbcnchen.example",
		'https://xn--mnchen-3ya.example'],
	['cors_allow_origin https://xn--a.example'],
	['cors_allow_origin https://app.example.com:443', 'https://app.example.com'],
	['cors_allow_origin http://app.example.com:80', 'http://app.example.com'],
	['cors_allow_origin https://app.example.com:0'],
	['cors_allow_origin https://app.example.com:65536'],
	['cors_allow_origin https://app.example.com:'],
	['cors_allow_origin https://app.example.com:x'],
	['cors_allow_origin https://'],
	['cors_allow_origin https://a..example'],
	['cors_allow_origin https://.example'],
	['cors_allow_origin https://' . 'a' x 64 . '.example'],
	['cors_allow_origin https://' . join('.', ('a' x 60) x 5)],
	['cors_allow_origin http://1', 'http://0.0.0.1'],
	['cors_allow_origin http://127.1', 'http://127.0.0.1'],
	['cors_allow_origin http://[0:0:0:0:0:0:0:1]', 'http://[::1]'],
	['cors_allow_origin http://[::ffff:127.0.0.1]', 'http://[::ffff:7f00:1]'],
	['cors_allow_origin http://[::1'],
	['cors_allow_origin file:///a'],
	['cors_allow_origin file://a'],
	['cors_allow_origin https://*'],
	['cors_allow_origin https://a*.example.com'],
	['cors_allow_origin https://a.*.example.com'],
	['cors_allow_origin https://*.*.example.com'],
	['cors_allow_origin *://app.example.com'],
	['cors_allow_origin *.example.com'],
	['cors_allow_origin https://app.example.com *'],
	['cors_allow_origin * null'],
	["cors_allow_origin *;\n$credentials"],
	["cors_allow_origin https://*.com;\n$credentials"],
	["cors_allow_origin https://*.github.io;\n$credentials"],

	# expressions

	['cors_allow_origin_regex ^https://(a'],
	['cors_allow_origin_regex ^https://(?!evil)\w+\.example\.com$', 'look'],
	['cors_allow_origin_regex ^https://(a)\1\.example\.com$', 'back'],
	['cors_allow_origin_regex "^https://(\w{1000}){1000}$"'],
	['cors_allow_origin_regex ""'],

	# lists

	["$origin\ncors_allow_methods get", 'GET'],
	["$origin\ncors_allow_methods patch", 'PATCH'],
	["$origin\ncors_allow_methods CONNECT"],
	["$origin\ncors_allow_methods TRACE"],
	["$origin\ncors_allow_methods TRACK"],
	["$origin\ncors_allow_methods P\@T"],
	["$origin\ncors_allow_methods * PUT"],
	["$origin\ncors_allow_methods \$arg_methods"],
	["$origin\ncors_allow_methods \"\""],
	["$origin\ncors_allow_headers X:Foo"],
	["$origin\ncors_allow_headers \$arg_headers"],
	["$origin\ncors_expose_headers X\@Foo"],
	["$origin\ncors_expose_headers * X-Foo"],
	["$origin\ncors_expose_headers \$arg_headers"],
	["$origin\n$credentials\ncors_expose_headers *"],

	# scalars

	["$origin\ncors maybe"],
	["$origin\ncors_allow_credentials yes"],
	["$origin\ncors_max_age x"],
	["$origin\ncors_max_age -1"],
	["$origin\ncors_allow_private_network 1"],
	["$origin\ncors_preflight 204"],
	["$origin\ncors_preflight_status 201"],
	["$origin\ncors_preflight_status x"],
	["$origin\ncors_override maybe"],
	["$origin\ncors_enforce maybe"],
	["$origin\ncors_reject_status 399"],
	["$origin\ncors_reject_status 600"],
	["$origin\ncors_dry_run maybe"],
	["$origin\ncors_log_level debug"],
	["$origin\ncors_log_level \$arg_level"],
	["$origin\ncors_max_age \$arg_age"],
)
{
	my ($directives, $instead) = @$_;

	# The last of them, unless that is what makes a wildcard one.
	my @lines = split /\n/, $directives;
	my $at = $lines[-1] eq $credentials ? $lines[0] : $lines[-1];
	my ($name) = $at =~ /^(\w+)/;
	my $said = said($t, "$directives;" =~ s/;;$/;/r, 'LOCATION', $at);
	my $shown = substr $directives =~ s/\n/ /gr =~ s/([^ -~])/?/gr, 0, 60;

	like($said, qr/^emerg .*HERE$/m, "error: $shown");
	like($said, qr/^emerg .*\b$name\b.*HERE$/m, "the directive: $shown");
	# Behind the value, which may hold it as well.
	like($said =~ s/^emerg \w+: "[^"]*"//r, qr/\Q$instead\E/, "instead: $shown")
		if defined $instead;
}

# Warnings

for (
	["cors_allow_origin http://app.example.com;\n$credentials"],
	['cors_allow_origin ""'],
	['cors_allow_origin https://*.com'],
	['cors_allow_origin https://*.github.io'],
	['cors_allow_origin_regex ^https://app.example\.com$'],
	["cors_allow_origin_regex .*;\n$credentials"],
	['cors_allow_origin_regex ^app\.example\.com$'],
	['cors_allow_origin https://app.example.com https://app.example.com'],
	["$origin\ncors_allow_methods PUT PUT"],
	["$origin\ncors_allow_headers X-Foo x-foo"],
	["$origin\ncors_allow_headers DNT"],
	["$origin\ncors_expose_headers Set-Cookie"],
	["$origin\ncors_allow_headers Access-Control-Allow-Origin"],
	["$origin\ncors_expose_headers Access-Control-Allow-Origin"],
	["$origin\ncors_max_age 86401"],
	['cors_allow_methods PUT'],
)
{
	my ($directives) = @$_;

	my @lines = split /\n/, $directives;
	my $at = $lines[-1] eq $credentials ? $lines[0] : $lines[-1];
	my $shown = $directives =~ s/\n/ /gr;
	my $said = said($t, "$directives;" =~ s/;;$/;/r, 'LOCATION', $at);

	like($said, qr/^warn .*HERE$/m, "warning: $shown");
	unlike($said, qr/^emerg/m, "a warning is no error: $shown");
}

# Neither

for (
	"cors_allow_origin http://localhost:* http://127.0.0.1:3000 http://[::1];\n"
		. $credentials,
	'cors_allow_origin https://*.example.com;',
	'cors_allow_origin https://*.internal https://*.localhost;',
	'cors_allow_origin chrome-extension://abcdefghijklmnop;',
	'cors_allow_origin null https://app.example.com;',
	'cors_allow_origin *;',
	'cors_allow_origin $arg_origins;',
	"cors_allow_origin \$arg_origins;\n$credentials",
	"$origin cors_allow_methods *;",
	"$origin cors_allow_headers * Authorization;",
	"$origin cors_expose_headers *;",
	"$origin cors_max_age 86400;",
	"$origin cors_reject_status 400;",
	"$origin cors_reject_status 599;",
	'cors_enforce on;',
)
{
	is(said($t, $_), '', 'neither: ' . s/\n/ /gr);
}

# Files and lines

$t->write_file('included.conf', "\n\ncors_allow_origin example.com;\n");
like(said($t, 'include included.conf;'), qr/included\.conf:3$/m,
	'the file and line of what is included');

my @said = split /\n/, said($t, "cors_allow_origin example.com;\n"
	. "cors_allow_origin https://ok.example https://A.example;\n"
	. 'cors_allow_methods get;');

is(scalar(grep { /^emerg .*(?:example\.com|A\.example|get).*:\d+/ } @said), 3,
	'every mistake is found');
is(() = "@said" =~ /nginx\.conf:(\d+)(?!.*nginx\.conf:\1\b)/gs, 3,
	'every mistake with its line');

# What the module keeps of requests is out of reach of whatever name a configuration uses.

for my $name (map { "cors kept $_" } 1 .. 3) {
	is(said($t, "$origin if ( \"\$$name\" = x ) { return 201; }"),
		"emerg unknown \"$name\" variable", "no variable: $name");
}

###############################################################################

# What nginx says about directives on a level: the level and the text of each
# message, with "HERE" for the place of the line that holds a text.
sub said {
	my ($t, $directives, $level, $at) = @_;

	my %levels = (HTTP => '', SERVER => '', LOCATION => '',
		$level || 'LOCATION', $directives);

	$t->write_file_expand('nginx.conf',
		$conf =~ s/(HTTP|SERVER|LOCATION)$/$levels{$1}/gmr);

	my $here = 'none';
	if (defined $at) {
		my @lines = split /\n/, $t->read_file('nginx.conf');
		my ($n) = grep { index($lines[$_ - 1], $at) >= 0 } 1 .. @lines;
		$here = qr/in \S*nginx\.conf:$n\b/;
	}

	my @said = $t->dump_config() =~ /^\w+: \[(\w+)\] ([^\n]*)/gm;
	my @messages;

	while (my ($severity, $message) = splice @said, 0, 2) {
		push @messages, "$severity " . $message =~ s/$here/HERE/r;
	}

	return join "\n", @messages;
}

###############################################################################
