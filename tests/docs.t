#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the documentation: it has all that there is, its links lead
# somewhere, and nginx takes its examples as they stand.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $root = "$FindBin::Bin/..";
my %text = map { $_ => slurp("$root/$_") } qw!
	README.md docs/directives.md docs/recipes.md
	src/conf/directives.rs src/serve/variables.rs policy/src/decision.rs
!;
my $reference = $text{'docs/directives.md'};

# What there is

my @rows = pairs_of($text{'src/conf/directives.rs'},
	qr/^ +(?:Row \{.*\.\.)?row\(c"(\w+)", (\w+)/m);
my %takes_more = map { $_->[0] => $_->[1] eq 'MORE' } @rows;
my @directives = map { $_->[0] } @rows;
my @variables = $text{'src/serve/variables.rs'}
	=~ /^const \w+: &str = "(cors_\w+)";/mg;
my ($statuses) = $text{'policy/src/decision.rs'} =~ /^statuses! \{\n(.*?)^\}/ms;
my @statuses = $statuses =~ /=> "(\w+)"/g;

# What is written of it

my ($section) = $reference =~ /^## Directives\n(.*?)^## /ms;
my @entries = pairs_of($section, qr/^### (\w+)\n(.*?)(?=^### |\z)/ms);
my %entries = map { @$_ } @entries;
my ($contents) = $reference =~ /^- \[Directives\](.*?)^- /ms;
my ($described) = $reference =~ /^### \$cors_status\n(.*?)^### /ms;
my %context_of = (cors_zone => '`http`', cors_report => '`location`');
my @examples;

for my $file ('README.md', 'docs/directives.md', 'docs/recipes.md') {
	push @examples, map { [$file, @$_] } grep { $_->[1] =~ /\S/ }
		map { [$_, s/^load_module .*\n//r] }
		$text{$file} =~ /^```nginx\n(.*?)^```/msg;
}

my @links = map { my $file = $_;
	map { [$file, $_] }
		slurp("$root/$file") =~ /\]\(((?!https?:|mailto:)[^)\s]+)\)/g
} map { substr $_, 1 + length $root } glob("$root/*.md $root/docs/*.md");

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map gzip auth_basic /);

@examples = grep { $_->[1] !~ /\bssl\b/ } @examples
	unless $t->has_module('http_ssl');

$t
	->plan(6 + 5 * @directives + @examples + @links);

my $conf = <<'EOT';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    upstream app {
        server 127.0.0.1:8081;
    }

    proxy_cache_path %%TESTDIR%%/cache keys_zone=api:1m;

    EXAMPLE
}

EOT

mkdir $t->testdir() . '/logs';
create_certificates($t);
$t->write_file('tenants.origins', "https://tenant.example\n");
$t->write_file_expand('nginx.conf', $conf =~ s/EXAMPLE/server {
        listen 127.0.0.1:8080;
    }/r);
$t->run();

###############################################################################

# The reference has all of them in the order of the table, and nothing else

is(@directives, 21, 'there are directives');
is("@{[map { $_->[0] } @entries]}", "@directives", 'all directives');
is(join(' ', $reference =~ /^### \$(\w+)$/mg), "@variables", 'all variables');
is(join(' ', $described =~ /^\| `(\w+)` \|/mg), "@statuses", 'all statuses');
is(join(' ', $contents =~ /\[(cors\w*)\]\(#\1\)/g),
	"@directives", 'all in the contents');
is(join(' ', $text{'README.md'} =~ /^\| \[`(\w+)`\]/mg), "@directives",
	'all in the README');

for (@directives) {
	my $entry = $entries{$_} // '';
	my ($syntax, $default, $context) = $entry =~ /\A
		\n\*\*Syntax:\*\*\ `(.*)`\\
		\n\*\*Default:\*\*\ (.*)\\
		\n\*\*Context:\*\*\ (.*)\n/x;

	like($syntax // '', qr/^$_ .*;$/, "$_: syntax");
	my $places = $context_of{$_} // '`http`, `server`, `location`';
	is(($syntax // '') =~ / \.\.\.;$/ ? 1 : 0, $takes_more{$_} ? 1 : 0,
		"$_: number of arguments");
	like($default // '', qr/^(?:`$_ .*;`|\xe2\x80\x94)$/, "$_: default");
	is($context, $places, "$_: context");
	like($entry, qr/^```nginx\n.*^ *$_ .*^```$/ms, "$_: example");
}

# Examples

for (@examples) {
	my ($file, $as_it_stands, $example) = @$_;

	$example =~ s/listen +[^\s;]+/listen 127.0.0.1:8080/g;
	$example =~ s!/etc/nginx/tls/\w+!%%TESTDIR%%/tls!g;
	# What envsubst does.
	$example =~ s/\$\{CORS_ORIGINS\}/https:\/\/a.example, https:\/\/b.example/g;
	$example = "location / {\n$example\n}"
		if $example !~ /^(?:server|location|map) /m;
	$example = "server {\nlisten 127.0.0.1:8080;\n$example\n}"
		if $example !~ /^server /m;

	$t->write_file_expand('nginx.conf', $conf =~ s/EXAMPLE/$example/r);

	my ($first) = $example =~ /^ *(cors\w*.*)/m;
	is(test_of($t), '', "example: $file: " . substr $first // '', 0, 50);
}

# Links

for (@links) {
	my ($file, $link) = @$_;
	my ($path, $anchor) = $link =~ /^([^#]*)#?(.*)/;
	my $base = $file =~ s![^/]+$!!r;
	my $target = $path eq '' ? $file : "$base$path";
	my $text = -d "$root/$target" ? '' : slurp("$root/$target");

	my %anchors = map { s/[^\w -]//gr =~ s/ /-/gr => 1 } map { lc }
		$text =~ /^#+ (.*)/mg;

	ok(-e "$root/$target" && ($anchor eq '' || $anchors{$anchor}),
		"link: $file: $link");
}

###############################################################################

# What nginx says of the configuration, if it is not content.
sub test_of {
	my ($t) = @_;

	my $dir = $t->testdir();
	my $said = `$Test::Nginx::NGINX -t -p $dir/ -c nginx.conf -e error.log 2>&1`;

	return join '', $? ? 'failed: ' : '',
		$said =~ /^(nginx: \[(?!notice).*\n)/mg;
}

# Where the examples have certificates, if there are any.
sub create_certificates {
	my ($t) = @_;

	my $dir = $t->testdir();
	return unless grep { $_->[1] =~ /ssl_certificate/ } @examples;

	system('openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost '
		. "-out '$dir/tls.crt' -keyout '$dir/tls.key' > '$dir/openssl.out' 2>&1") == 0
		or die "Can't create certificate: $!\n";
}

sub pairs_of {
	my ($text, $pair) = @_;

	my @pairs;
	push @pairs, [$1, $2] while $text =~ /$pair/g;
	return @pairs;
}

sub slurp {
	my ($file) = @_;

	open my $handle, '<', $file or return '';
	local $/;
	return scalar <$handle>;
}

###############################################################################
