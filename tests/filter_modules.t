#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the module's own answers beside the filters of other modules, as
# Debian packages them: whatever these do to a response, it is complete.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $a = 'https://a.example';
my $evil = 'https://evil.example';

# What a location says, by module.  The first are those of nginx, loaded or not.
my @own = (
	[addition => '', 'add_before_body /part; add_after_body /part; addition_types *;'],
	[sub => '', 'sub_filter here there; sub_filter_types *; sub_filter_once off;'],
	[gzip => '', 'gzip on; gzip_min_length 0; gzip_types *; gzip_proxied any;'],
	[slice => '', 'slice 1; proxy_set_header Range $slice_range;'],
	[charset => '', 'charset utf-8; charset_types *;'],
	[ssi => '', 'ssi on; ssi_types *;'],
	[gunzip => '', 'gunzip on;'],
);
my @others = (
	[image_filter => 'ngx_http_image_filter_module.so', 'image_filter test;'],
	[image_filter => 'ngx_http_image_filter_module.so', 'image_filter size;'],
	[xslt => 'ngx_http_xslt_filter_module.so', 'xslt_stylesheet %%TESTDIR%%/a.xslt; xslt_types *;'],
	[subs_filter => 'ngx_http_subs_filter_module.so', 'subs_filter here there; subs_filter_types *;'],
	[brotli => 'ngx_http_brotli_filter_module.so', 'brotli on; brotli_min_length 0; brotli_types *;'],
	[echo => 'ngx_http_echo_module.so', 'echo_before_body before; echo_after_body after;'],
	['headers-more' => 'ngx_http_headers_more_filter_module.so',
		'more_set_headers "X-More: more"; more_clear_headers Content-Length;'],
	[lua => 'ndk_http_module.so ngx_http_lua_module.so',
		'header_filter_by_lua_block { ngx.header.content_length = nil; ngx.header["X-Lua"] = "lua" }
		body_filter_by_lua_block { local chunk = ngx.arg[1] }'],
	[js => 'ngx_http_js_module.so', 'js_header_filter main.header; js_body_filter main.body;'],
);

# These hold the header back until there is a body, and turn even nginx's own
# "return 204" into something else.
my %holds_back = map { $_ => 1 } qw/ image_filter xslt /;

my $places = '/usr/lib/nginx/modules';
my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /);
my $loads = -x '/usr/sbin/nginx' && $Test::Nginx::NGINX eq '/usr/sbin/nginx';

my @cases = ((grep { $_->[0] =~ /^(?:gzip|charset|ssi)$/
	|| $t->has_module($_->[0]) } @own),
	grep { $loads && !grep { !-e "$places/$_" } split ' ', $_->[1] } @others);

my @lua = $loads && -e "$places/ngx_http_lua_module.so" ? (
	['', 'rewrite_by_lua_block', 403],
	['rewrite_by_lua_no_postpone on;', 'rewrite_by_lua_block', 200],
	['', 'server_rewrite_by_lua_block', 200],
) : ();

my @kinds = (
	['allowed preflight', ['OPTIONS', "Origin: $a",
		'Access-Control-Request-Method: PUT'], undef],
	['refused preflight', ['OPTIONS', "Origin: $evil",
		'Access-Control-Request-Method: PUT'], 403],
	['rejected request', ['POST', "Origin: $evil", \'hello'], 403],
	['rejected GET', ['GET', "Origin: $evil"], 403],
	['rejected HEAD', ['HEAD', "Origin: $evil"], 403],
);

$t->plan(@cases * 4 * 3 * @kinds + @lua + 4 * !!@lua + 1);

cmp_ok(scalar @cases, '>', 3, 'there are filters');

$t->write_file('a.xslt', <<'EOF');
<?xml version="1.0"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">here</xsl:template>
</xsl:stylesheet>
EOF

$t->write_file('main.js', <<'EOF');
function header(r) { delete r.headersOut['Content-Length'] }
function body(r, data, flags) { r.sendBuffer(data, flags) }
export default { header, body };
EOF

###############################################################################

for my $case (@cases) {
	my ($name, $modules, $directives) = @$case;

	my $load = join "\n", map { "load_module $places/$_;" } split ' ', $modules;
	my $js = $name eq 'js' ? 'js_path %%TESTDIR%%; js_import main.js;' : '';

	$t->write_file_expand('nginx.conf', <<'EOF' =~ s/LOAD/$load/r =~ s/JS/$js/r =~ s/FILTER/$directives/gr);

%%TEST_GLOBALS%%

LOAD

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    JS

    cors_allow_origin https://a.example;
    cors_enforce      on;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /204 {
            FILTER
            return 200 here;
        }

        location /200 {
            cors_preflight_status 200;
            FILTER
            return 200 here;
        }

        location /part {
            cors off;
            return 200 part;
        }

        location /plain {
            cors off;
            return 200 here;
        }

        # A filter that makes an error of the answer does not take it elsewhere.
        location /elsewhere {
            FILTER
            error_page 415 500 = /other;
            return 200 here;
        }

        location /other {
            return 200 there;
        }
    }

    # The redirect to a slash is answered before any handler of the location.
    server {
        listen       127.0.0.1:8080;
        server_name  redirects;

        location /slash/ {
            FILTER
            proxy_pass http://127.0.0.1:8089;
        }
    }
}

EOF
	$t->run();

	for my $place (['/204', 'localhost', 204], ['/200', 'localhost', 200],
		['/elsewhere', 'localhost', 204],
		['/slash', 'redirects', 204])
	{
		my ($uri, $host, $status) = @$place;

		for my $kind (@kinds) {
			my ($what, $request, $expected) = @$kind;
			my ($method, @fields) = @$request;
			my $test = "$directives $host$uri: $what" =~ s/\s+/ /gr;

			my $s = connection();
			my $r = exchange($s, $method, $uri, "Host: $host", @fields);
			$expected //= $status;
			$expected = $directives !~ /image_filter size|xslt/ && $what eq 'allowed preflight'
				&& $uri ne '/elsewhere' ? 415 : qr/\d+/ if $holds_back{$name};
			like(cors($r) =~ s/ .*//r, qr/^$expected$/, $test);

			unlike($r, qr/there$/, "$test: not redirected");

			# What follows on the connection is the next response.  nginx closes
			# it after an error that a filter has found.
			$r =~ /^Connection: close/m || $holds_back{$name} ? ok(is_closed($s), "$test: closed")
				: like(exchange($s, 'GET', '/plain'),
				qr/^HTTP\/1.1 200 .*here$/s, "$test: second request");
		}
	}

	$t->stop();
}

# Lua, by default, and where it runs before the module

for my $place (@lua) {
	my ($setting, $directive, $expected) = @$place;

	$t->write_file_expand('nginx.conf', <<'EOF' =~ s/SETTING/$setting/r =~ s/BY_LUA/$directive/r =~ s/PLACES/$places/gr);

%%TEST_GLOBALS%%

load_module PLACES/ndk_http_module.so;
load_module PLACES/ngx_http_lua_module.so;

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    SETTING

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://a.example;
        cors_enforce      on;

        BY_LUA { ngx.req.set_header("Origin", "https://a.example") }

        location / {
            return 200;
        }
    }
}

EOF
	$t->run();
	is(cors(request('GET', '/', "Origin: $evil")) =~ s/ .*//r, $expected, "Lua: $setting $directive");
	$t->stop();
}

# Two policies are asked before the module decides.

if (@lua) {
	$t->write_file_expand('nginx.conf', <<'EOF' =~ s/PLACES/$places/gr);

%%TEST_GLOBALS%%

load_module PLACES/ndk_http_module.so;
load_module PLACES/ngx_http_lua_module.so;

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    rewrite_by_lua_no_postpone on;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://a.example;

        set $server $cors_status;
        set $location '';

        location / {
            cors_allow_origin https://b.example;
            rewrite_by_lua_block { ngx.var.location = ngx.var.cors_status }
            add_header X-Status "$server $location $cors_status" always;
            return 200;
        }
    }

    # The response comes in parts, and is sent before a handler of the module has run.
    server {
        listen       127.0.0.1:8080;
        server_name  parts;

        cors_allow_origin https://a.example;
        cors_enforce      on;

        server_rewrite_by_lua_block {
            for part = 1, 3 do
                ngx.print("SEE-THIS")
                ngx.flush(true)
            end
            ngx.exit(ngx.HTTP_OK)
        }
    }
}

EOF
	$t->run();
	is(header(request('GET', '/', 'Origin: https://a.example'), 'X-Status'), 'ALLOWED DENIED DENIED',
		'Lua: the policies of the server and of the location');
	is(content(request('GET', '/', 'Origin: https://a.example', 'Host: parts')) =~ s/SEE-THIS//gr =~ s/\s//gr,
		'', 'Lua: a response in parts');
	my $rejected = request('GET', '/', "Origin: $evil", 'Host: parts');
	is(cors($rejected), '403 Vary: Origin', 'Lua: a response in parts is rejected');
	unlike($rejected, qr/SEE-THIS/, 'Lua: no part is sent');
	$t->stop();
}

###############################################################################
