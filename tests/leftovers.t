#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what nginx -t says of lines of other modules that a policy makes
# superfluous: one warning for each level, with the file and the line.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Messages;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map fastcgi /);

my $conf = <<'EOF';

%%TEST_GLOBALS%%
MAIN
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

        location /other {
            OTHER
        }
    }
}

EOF

my $origin = 'cors_allow_origin https://a.example;';
my $credentials = 'add_header Access-Control-Allow-Credentials true;';
my $line = 'add_header Access-Control-Allow-Origin * always;';
my $said = 'add_header Access-Control-Allow-Origin';

# A description, what the levels contain, and what is said of lines: "1" is the
# line with "# 1".
my @cases = (
	['add_header', [LOCATION => "$origin $line # 1"], [1, $said]],
	['add_header before the policy', [LOCATION => "$line # 1\n$origin"], [1, $said]],
	['names in any case', [LOCATION => "$origin add_header access-control-max-age 1; # 1"],
		[1, 'add_header access-control-max-age']],
	['quoted', [LOCATION => "$origin\nadd_header 'Access-Control-Allow-Origin' \"a; b {\"\n; # 1"],
		[1, $said]],
	['Vary: Origin', [LOCATION => "$origin add_header Vary Origin; # 1"],
		[1, 'add_header Vary']],
	['Vary of preflights', [LOCATION => "$origin add_header Vary "
		. "'Origin, Access-Control-Request-Method'; # 1"], [1, 'add_header Vary']],
	['Vary: nothing', [LOCATION => "$origin add_header Vary '';"]],
	['another header: Origin', [LOCATION => "$origin add_header X-Varies Origin;"]],
	['Vary: others', [LOCATION => "$origin add_header Vary 'Origin, Accept';"]],
	['other headers', [LOCATION => "$origin add_header X-Access-Control 1;"]],
	['proxy_hide_header', [LOCATION => "$origin proxy_hide_header Access-Control-Allow-Origin; # 1"],
		[1, 'proxy_hide_header Access-Control-Allow-Origin']],
	['fastcgi_hide_header', [LOCATION => "$origin fastcgi_hide_header Access-Control-Allow-Origin; # 1"],
		[1, 'fastcgi_hide_header Access-Control-Allow-Origin']],
	['proxy_set_header', [LOCATION => "$origin proxy_set_header Origin '';"]],

	['two lines', [LOCATION => "$origin $line # 1\n$credentials # 2"],
		[1, $said, 'the line, and line LINE2']],
	['three lines', [LOCATION => "$origin $line # 1\n$credentials # 2\n"
		. 'add_header Vary Origin; # 3'],
		[1, $said, 'the line, and lines LINE2, LINE3']],
	['nine lines', [LOCATION => join "\n", $origin, map { "$line # $_" } 1 .. 9],
		[1, $said, 'the line, and lines ' . join ', ', map { "LINE$_" } 2 .. 9]],
	['eleven lines', [LOCATION => join "\n", $origin, map { "$line # $_" } 1 .. 11],
		[1, $said, 'the line, and lines ' . join(', ', map { "LINE$_" } 2 .. 9) . ', ...']],
	['two levels', [SERVER => "$origin $line # 1", OTHER => "$credentials # 2"],
		[1, $said], [2, 'add_header Access-Control-Allow-Credentials']],
	['an inherited policy', [HTTP => $origin, OTHER => "$line # 1"], [1, $said]],
	['enforcement', [LOCATION => "cors_enforce on; $line # 1"], [1, $said]],
	['within if', [LOCATION => "$origin if (\$arg_a) { $line # 1\n}"], [1, $said]],

	['two in a line', [LOCATION => "$origin $line $credentials # 1\n$line # 2"],
		[1, $said, 'the line, and line LINE2']],
	['cors off below, and a line there', [SERVER => $origin, LOCATION => "$line # 1",
		OTHER => "cors off; $line"], [1, $said]],

	['no policy', [LOCATION => $line]],
	['a policy elsewhere', [LOCATION => $line, OTHER => $origin]],
	['a policy below', [SERVER => $line, OTHER => $origin]],
	['cors off', [SERVER => $origin, OTHER => "cors off; $line"]],
	['cors_override off', [LOCATION => "$origin cors_override off; $line"]],
	['cors_dry_run on', [HTTP => 'cors_dry_run on;', LOCATION => "$origin $line"]],
	['cors_bypass', [LOCATION => "$origin cors_bypass \$arg_a; $line"]],
	['cors_preflight off', [LOCATION => "$origin cors_preflight off; $line"]],
	['cors off below', [SERVER => "$origin $line", OTHER => 'cors off;']],
	['cors_override off below', [SERVER => "$origin $line", OTHER => 'cors_override off;']],
	['cors_bypass below', [HTTP => "$origin $line", OTHER => 'cors_bypass $arg_a;']],
	['cors_preflight off further below', [SERVER => "$origin $line",
		OTHER => 'location /other/a { cors_preflight off; }']],
	['a comment', [LOCATION => "$origin # $line\n"]],
	['no directives in map', [HTTP => "$origin map \$uri \$add { add_header Access-Control-Allow-Origin; }"]],
	['${variables}', [LOCATION => "$origin set \$a \"\${uri}{\"; set \$b \${uri}x; $line # 1"],
		[1, $said]],
	['a value with braces', [LOCATION => "$origin add_header Access-Control-Allow-Origin \${arg_a}; # 1"],
		[1, $said]],

	['an included policy', [LOCATION => "include policy.conf; $line # 1"], [1, $said]],
	['an included line', [SERVER => $origin, OTHER => 'include lines/*.conf;'],
		['lines/a.conf:2', $said]],
	['nothing included', [LOCATION => "$origin include none/*.conf; $line # 1"], [1, $said]],
	['files sixteen deep', [LOCATION => "$origin include deep/2.conf;"], ['deep/17.conf:1', $said]],
	# These are not searched, and so nothing is known of what else the level sets.
	['files deeper than that', [LOCATION => "$origin $line include deep/1.conf;"]],
	['folders by a pattern', [LOCATION => "$origin $line include line?/*.conf;"]],
	['one character', [LOCATION => "$origin $line include lines/?.conf;"]],
);

my $places = '/usr/lib/nginx/modules';
my $is_packaged = $Test::Nginx::NGINX eq '/usr/sbin/nginx';
my $more = "$places/ngx_http_headers_more_filter_module.so";
my $lua = "$places/ngx_http_lua_module.so";

push @cases,
	['more_set_headers', [MAIN => "load_module $more;",
		LOCATION => "$origin more_set_headers 'X-A: b' 'Access-Control-Allow-Origin: *'; # 1"],
		[1, 'more_set_headers Access-Control-Allow-Origin', 'this header from the line']],
	['more_set_headers with nothing else', [MAIN => "load_module $more;",
		LOCATION => "$origin more_set_headers 'Access-Control-Allow-Origin: *' 'Vary: Origin'; # 1"],
		[1, 'more_set_headers Access-Control-Allow-Origin']],
	['more_set_headers and a line', [MAIN => "load_module $more;",
		LOCATION => "$origin more_set_headers -s 404 'Access-Control-Allow-Origin: *'; # 1\n$line # 2"],
		[1, 'more_set_headers Access-Control-Allow-Origin', 'this header from the line'], [2, $said]],
	['more_clear_headers', [MAIN => "load_module $more;",
		LOCATION => "$origin more_clear_headers Access-Control-Allow-Origin; # 1"],
		[1, 'more_clear_headers Access-Control-Allow-Origin']]
	if $is_packaged && -e $more;

push @cases,
	['Lua', [MAIN => "load_module $places/ndk_http_module.so; load_module $lua;",
		LOCATION => "$origin content_by_lua_block { -- it's }\n local a = {'}', \"{\"} }\n$line # 1"],
		[1, $said]],
	['long brackets of Lua', [MAIN => "load_module $places/ndk_http_module.so; load_module $lua;",
		LOCATION => "$origin content_by_lua_block { local a = [==[ } \" ]] ]==] --[[ {\n\" ]]\n}\n$line # 1"],
		[1, $said]]
	if $is_packaged && -e $lua;

$t->write_file('policy.conf', $origin);
mkdir $t->testdir() . "/$_" for qw/ lines none deep /;
$t->write_file("deep/$_.conf", 'include deep/' . ($_ + 1) . '.conf;') for 1 .. 16;
$t->write_file('deep/17.conf', $line);
$t->write_file('lines/a.conf', "\n$line\n");
$t->write_file('lines/.b.conf', 'wrong {');
$t->plan(scalar @cases);

###############################################################################

for my $case (@cases) {
	my ($name, $levels, @expected) = @$case;
	my %levels = @$levels;

	$t->write_file_expand('nginx.conf',
		$conf =~ s/^ *([A-Z]+)$/$levels{$1} \/\/ ''/egmr);

	my $dir = $t->testdir();
	my $output = `$Test::Nginx::NGINX -t -p $dir/ -c nginx.conf -e error.log 2>&1`;
	my @said = $output =~ /^\w+: (\[(?!notice).*)/mg;

	my @lines = split /\n/, $t->read_file('nginx.conf');
	my $line_of = sub { my ($mark) = @_;
		(grep { $lines[$_ - 1] =~ /# $mark$/ } 1 .. @lines)[0] };

	is(join("\n", ($? >> 8), map { s/ in \Q$dir\E\// in /r } @said),
		join("\n", 0, map {
			my ($where, $what, $instead) = @$_;
			my $remove = ($instead // 'the line') =~ s/LINE(\d)/$line_of->($1)/ger;
			my $place = $where =~ /:/ ? $where : 'nginx.conf:' . $line_of->($where);
			'[warn] ' . (message_of('', $what, 'leftover', undef, $remove)
				=~ s/^: //r) . " in $place";
		} @expected), $name);
}

###############################################################################
