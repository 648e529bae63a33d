#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the origins that application shells and browser extensions send, as
# they send them: in a list, by an expression and in a variable.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

# Each with an expression for it.

my @origins = (

	# Electron, with custom schemes

	['app://.', '^app://\.$'],
	['app://-', '^app://-$'],
	['app://bundle', '^app://\w+$'],
	['capacitor-electron://-', '^capacitor-electron://-$'],

	# Capacitor, Cordova, Ionic, Tauri, Wails, Android's asset loader, webOS

	['capacitor://localhost', '^(capacitor|ionic)://localhost$'],
	['ionic://localhost', '^(capacitor|ionic)://localhost$'],
	['app://localhost', '^app://localhost$'],
	['http://localhost', '^https?://localhost$'],
	['https://localhost', '^https?://localhost$'],
	['tauri://localhost', '^tauri://localhost$'],
	['https://tauri.localhost', '^https?://tauri\.localhost$'],
	['http://tauri.localhost', '^https?://tauri\.localhost$'],
	['wails://wails.localhost', '^wails://wails(\.localhost)?$'],
	['https://appassets.androidplatform.net',
		'^https://appassets\.androidplatform\.net$'],
	['luna://com.example.app', '^luna://com\.example\.\w+$'],

	# Editors

	['vscode-file://vscode-app', '^vscode-file://vscode-app$'],
	['vscode-webview://1ujg5cf6ivukd2h3tpqpm3s4gjp6qvi7ndbbfc2rdpobqgh2l2ou',
		'^vscode-webview://[0-9a-z]+$'],
	['vscode-webview://7ea1c0c3-21bd-4d0e-9c93-0f0e1f8e2c4d',
		'^vscode-webview://[0-9a-f-]+$'],

	# Extensions. WebKit's origins are in lower case, its URLs are not.

	['chrome-extension://abcdefghijklmnopabcdefghijklmnop',
		'^chrome-extension://[a-p]{32}$'],
	['moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc',
		'^moz-extension://[0-9a-f-]{36}$'],
	['safari-web-extension://e8bea491-9b80-45db-8b20-3e586473bd47',
		'^safari-web-extension://[0-9a-f-]{36}$'],
);

my @kinds = qw/ list expression variable enforced /;
my @named = qw{ null file:// };
my @never = qw{ file://a.example file://. file:/// https://. http://. app://..
	app://.:80 app:// };

my $t = Test::Nginx->new()->has(qw/ http rewrite map /)
	->plan(@origins * @kinds * 2 + @named * 5 + @never * 4 + 1);

$t->write_file_expand('nginx.conf', <<'EOF' =~ s/^ *(MAPS|LOCATIONS)/generated($1)/gmer);

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    MAPS

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        LOCATIONS

        location /named {
            cors_allow_origin       null file://;
            cors_allow_origin_regex .*;
            return 200;
        }

        location /any-expression {
            cors_allow_origin_regex .* ^file://.*$;
            return 200;
        }

        location /any-variable {
            cors_allow_origin $http_origin;
            return 200;
        }

        location /patterns {
            cors_allow_origin https://*.example app://localhost:* null;
            return 200;
        }
    }
}

EOF

$t->run();

###############################################################################

for my $i (0 .. $#origins) {
	my ($origin) = @{$origins[$i]};

	for my $kind (@kinds) {
		my $uri = "/$kind/$i";
		is(cors(get($uri, $origin, 'Sec-Fetch-Site: cross-site')),
			'200 ' . allowed($origin), "$kind: $origin");
		is(cors(preflight($uri, $origin, 'GET')), '204 -Allow-Methods: GET, '
			. "HEAD, POST; -Allow-Origin: $origin; " . PREFLIGHT_VARY,
			"$kind, preflight: $origin");
	}
}

for my $origin (@named) {
	is(cors(get('/named', $origin)), '200 ' . allowed($origin),
		"by name: $origin");
	is(cors(preflight('/named', $origin, 'GET')), '204 -Allow-Methods: GET, '
		. "HEAD, POST; -Allow-Origin: $origin; " . PREFLIGHT_VARY,
		"by name, preflight: $origin");
	is(cors(get('/any-expression', $origin)), '200 ' . VARY,
		"not by an expression: $origin");
	is(cors(get('/any-variable', $origin)), '200 ' . allowed($origin),
		"by name in a variable: $origin");
	is(cors(get('/patterns', $origin)),
		'200 ' . ($origin eq 'null' ? allowed($origin) : VARY),
		"only if it is named: $origin");
}

for my $origin (@never) {
	is(cors(get($_, $origin)), '200 ' . VARY, "never: $_ $origin")
		for qw! /named /any-expression /any-variable /patterns !;
}

is(cors(get('/any-expression', 'app://.')), '200 ' . allowed('app://.'),
	'by an expression for everything');

###############################################################################

sub generated {
	my ($what) = @_;

	return locations() if $what eq 'LOCATIONS';

	return join "\n", map { "map \$host \$origins_$_ { default "
		. "'$origins[$_][0] https://b.example'; }" } 0 .. $#origins;
}

sub locations {
	return join '', map {
		my ($origin, $expression) = @{$origins[$_]};
		my %rules = (
			list => "cors_allow_origin $origin;",
			expression => "cors_allow_origin_regex '$expression';",
			variable => "cors_allow_origin \$origins_$_;",
			enforced => "cors_allow_origin $origin;\ncors_enforce on;",
		);
		my $i = $_;
		map { "location = /$_/$i {\n$rules{$_}\nreturn 200;\n}\n" } @kinds;
	} 0 .. $#origins;
}

###############################################################################
