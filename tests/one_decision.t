#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the one decision about a request: it is based on what the client
# sent, and kept across internal redirects; enforcement is judged in every
# location, by the settings of that location.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map /);

my $a = 'https://a.example';
my $b = 'https://b.example';
my $evil = 'https://evil.example';

# What a first location says to be less strict than its server.
my %lax = (
	off => 'cors off;',
	any => 'cors_allow_origin *;',
	list => "cors_allow_origin $evil $a;",
	lenient => 'cors_enforce off;',
	bypass => 'cors_bypass 1;',
	dry => 'cors_dry_run on;',
);

# How a request gets from there to a second location.
my %ways = (
	try_files => 'try_files /none /second;',
	try_named => 'try_files /none @second;',
	error_page => 'error_page 404 /second; return 404;',
	error_named => 'error_page 404 @second; return 404;',
	error_200 => 'error_page 404 =200 /second; return 404;',
	error_named_200 => 'error_page 404 =200 @second; return 404;',
	rewrite => 'rewrite ^ /second last;',
	accel => 'proxy_pass http://127.0.0.1:8081/accel;',
	index => 'index second.html; root %%TESTDIR%%;',
	twice => 'try_files /none /again;',
);

# With modules that Debian packages.
my $places = '/usr/lib/nginx/modules';
my %scripted = (
	lua_exec => ['lua', 'content_by_lua_block { ngx.exec("/second") }'],
	lua_set_uri => ['lua', 'rewrite_by_lua_block { ngx.req.set_uri("/second", true) }'],
	lua_method => ['lua', 'rewrite_by_lua_block { ngx.req.set_method(ngx.HTTP_GET)
		ngx.req.clear_header("Origin") ngx.req.clear_header("Sec-Fetch-Site")
		ngx.req.set_uri("/second", true) }'],
	echo_exec => ['echo', 'echo_exec /second;'],
	js_redirect => ['js', 'js_content main.redirect;'],
	lua_options => ['lua', 'set_by_lua_block $z { ngx.req.set_method(ngx.HTTP_OPTIONS) return "" }
		rewrite ^ /second last;'],
	more_clear => ['headers_more_filter',
		'more_clear_input_headers Origin Sec-Fetch-Site; rewrite ^ /second last;'],
);
my @modules = $Test::Nginx::NGINX eq '/usr/sbin/nginx'
	? grep { -e "$places/$_" } qw/ ndk_http_module.so ngx_http_lua_module.so
		ngx_http_echo_module.so ngx_http_js_module.so
		ngx_http_headers_more_filter_module.so / : ();
my %has = map { /ngx_http_(\w+)_module/ ? ($1 => 1) : () } @modules;

for (grep { $has{$scripted{$_}[0]} } keys %scripted) {
	$ways{$_} = $scripted{$_}[1];
}

my $scripts = ($has{headers_more_filter} ? 4 : 0) + ($has{js} ? 2 : 0);
$t->plan(2 * keys(%ways) * keys(%lax) + 52 + $scripts);

my $firsts = join '', map { my $lax = $_; map { <<"EOC" } sort keys %ways } sort keys %lax;
        location /$_-$lax/ {
            $lax{$lax}
            $ways{$_}
        }
EOC

my $indexed = join '', map { "location = /index-$_/second.html { return 200 reached; }\n" }
	sort keys %lax;

my $load = join "\n", map { "load_module $places/$_;" } @modules;
my $js = $has{js} ? 'js_path %%TESTDIR%%; js_import main.js;' : '';
my $more = $has{headers_more_filter} ? <<'EOC' : '';
        location /hidden {
            more_clear_input_headers Origin;
            proxy_pass http://127.0.0.1:8081/echo;
        }
        location /replaced {
            more_set_input_headers "Origin: https://a.example";
            proxy_pass http://127.0.0.1:8081/echo;
        }
EOC
my $js_variable = $has{js} ? <<'EOC' : '';
        location /js {
            js_content main.variables;
        }
EOC

$t->write_file('main.js', <<'EOF');
function redirect(r) { r.internalRedirect('/second') }
function variables(r) {
	var written = ['cors policy', 'cors kept 2', 'cors kept 4', 'cors kept 5'];
	written = written.filter(function (name) {
		try { r.variables[name] = 'x'.repeat(40); return true } catch (e) { return false }
	});
	r.return(200, 'written: ' + written.join(', '));
}
export default { redirect, variables };
EOF

mkdir $t->testdir() . "/index-$_" for keys %lax;
$t->write_file("index-$_/second.html", 'a file') for keys %lax;
mkdir $t->testdir() . '/indexed';
$t->write_file('indexed/app.html', 'a file');

$t->write_file_expand('nginx.conf', <<'EOF' =~ s/LOAD/$load/r =~ s/JSVARIABLE/$js_variable/r =~ s/JS/$js/r =~ s/FIRSTS/$firsts/r =~ s/INDEXED/$indexed/r =~ s/MORE/$more/r);

%%TEST_GLOBALS%%

LOAD

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    JS

    map $uri $by_uri {
        default   '';
        /by-uri   https://b.example;
        /other    https://evil.example;
    }

    map $cors_status$arg_a $volatile_a {
        volatile;
        default "https://b.example$cors_status";
    }

    map $cors_origin$arg_b $volatile_b {
        volatile;
        default "$cors_origin$volatile_a";
    }

    map $host $any {
        default *;
    }

    map $arg_star $star {
        default '';
        1       *;
    }

    map $request_uri $callback {
        default         0;
        ~^/saml/acs\b   1;
    }

    log_format status '$http_x_id $status $cors_status';

    server {
        listen       127.0.0.1:8080;
        server_name  enforces;

        cors_allow_origin  https://a.example;
        cors_enforce       on;

        FIRSTS
        INDEXED

        location /again {
            cors off;
            try_files /none /second;
        }

        location /second {
            return 200 reached;
        }

        location @second {
            return 200 reached;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  front-controller;

        cors_enforce on;
        cors_bypass  $callback;

        location / {
            try_files /none /index.php;
        }

        location /index.php {
            return 200 reached;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  later;

        cors_allow_origin $later;
        cors_enforce      on;
        set               $later https://b.example;

        location /own {
            cors_allow_origin https://a.example;
            set               $later https://a.example;
            rewrite           ^ /second last;
        }

        location /second {
            return 200 reached;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://a.example;
        cors_allow_methods PUT;

        access_log %%TESTDIR%%/status.log status;

        # Preflights are left to the application, wherever that is.

        location /try {
            cors_preflight off;
            try_files /none @app;
        }

        location /two {
            cors_preflight off;
            try_files /none /two-more;
        }

        location /two-more {
            error_page 404 = @app;
            return 404;
        }

        location /error {
            cors_preflight off;
            error_page 404 = @app;
            return 404;
        }

        location /accel {
            cors_preflight off;
            proxy_pass http://127.0.0.1:8081/accel-app;
        }

        location /app {
            proxy_pass http://127.0.0.1:8081/app;
        }

        location @app {
            rewrite ^ /app break;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /app/ {
            internal;
            proxy_pass http://127.0.0.1:8081/app;
        }

        # Values that change later.

        location /by-uri {
            cors_allow_origin $by_uri;
            rewrite ^ /other last;
        }

        location /other {
            return 200;
        }

        location /set {
            cors_allow_origin $late;
            set $late https://a.example;
            return 200;
        }

        location /bypass {
            cors_bypass $arg_nocors;
            try_files /none /other;
        }

        location /status {
            cors_preflight off;
            try_files /none /status-2;
        }

        location /status-2 {
            add_header X-Status $cors_status;
            return 200;
        }

        MORE
        JSVARIABLE

        # Variables that depend on themselves.

        location /volatile {
            cors_allow_origin $volatile_a $volatile_b;
            add_header X-Status "$volatile_a|$cors_status";
            return 200;
        }

        location /volatile-bypass {
            cors_bypass $volatile_b $volatile_a;
            add_header X-Status $cors_status;
            return 200;
        }

        location /star {
            cors_allow_origin $star;
            cors_allow_credentials on;
            return 200;
        }

        # A redirect into a location that nginx answers itself.

        location /lax {
            cors_allow_origin *;
            rewrite ^ /strict last;
        }

        location /lax-accel {
            cors_allow_origin *;
            proxy_pass http://127.0.0.1:8081/strict;
        }

        location /strict/ {
            cors_allow_origin https://b.example;
            proxy_pass http://127.0.0.1:8081/app;
        }

        location /dry {
            cors_enforce on;
            cors_dry_run on;
            try_files /none /wet;
        }

        location /wet {
            cors_enforce on;
            cors_allow_origin https://b.example;
            return 200;
        }

        location /private {
            cors_allow_private_network on;
            return 200;
        }

        location /private-any {
            cors_allow_origin *;
            cors_allow_private_network on;
            return 200;
        }

        location /twice {
            cors_enforce on;
            return 200;
        }

        # What a variable says does not depend on credentials; what it allows does.

        location /any-first {
            cors_allow_origin $any;
            cors_max_age 5;
            try_files /none @any-second;
        }

        location @any-second {
            cors_allow_origin $any;
            cors_allow_credentials on;
            cors_enforce on;
            return 200 reached;
        }

        location /left {
            cors_preflight off;
            try_files /none @own;
        }

        location @own {
            cors_allow_methods PUT PATCH;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  inherits;

        cors_allow_origin $any;

        location /first {
            cors_max_age 5;
            try_files /none @second;
        }

        location @second {
            cors_allow_credentials on;
            cors_enforce on;
            return 200 reached;
        }

        location /credentials {
            cors_allow_credentials on;
            try_files /none @any;
        }

        location @any {
            cors_allow_credentials off;
            return 200;
        }

        # A configuration may have names with spaces.
        set "$cors kept 1" x;
        set "$cors kept 3" x;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  closed;

        cors_allow_origin https://a.example;
        cors_enforce      on;
        add_header        X-Status "[$cors_status]" always;
        return            503;
    }

    server {
        listen       127.0.0.1:8081;
        server_name  backend;

        location = /echo {
            return 200 $http_origin;
        }

        location = /accel {
            add_header X-Accel-Redirect /second always;
            return 200;
        }

        location = /accel-app {
            add_header X-Accel-Redirect /app/ always;
            return 200;
        }

        location = /strict {
            add_header X-Accel-Redirect /strict always;
            return 200;
        }

        location = /app {
            add_header Access-Control-Allow-Origin https://app.example;
            add_header Access-Control-Allow-Methods APP;
            return 200 app;
        }
    }
}

EOF

$t->run();

###############################################################################

# A less strict first location does not relax a second

for my $lax (sort keys %lax) {
	for my $way (sort keys %ways) {
		my $r = request('POST', "/$way-$lax/", 'Host: enforces',
			"Origin: $evil", 'Content-Length: 5', { body => 'hello' });
		like($r, qr/^HTTP\/1.1 403 (?!.*reached)/s, "rejected: $way, $lax");

		$r = request('POST', "/$way-$lax/", 'Host: enforces',
			"Origin: $a", 'Content-Length: 5', { body => 'hello' });
		like($r, qr/reached$/, "passes: $way, $lax");
	}
}

# One path behind a front controller

like(request('POST', '/saml/acs', 'Host: front-controller', "Origin: $evil",
	'Content-Length: 0'), qr/reached$/, 'an exempted path');
unlike(request('POST', '/other', 'Host: front-controller', "Origin: $evil",
	'Content-Length: 0'), qr/reached$/, 'another path');

# The values of a server that enforces, at a first location whose own list allows the origin

like(get('/own', $a, 'Host: later'), qr/^HTTP\/1.1 403 (?!.*reached)/s,
	'the values of the server, set in the location, are too late');

# Preflights that are left to the application

for my $uri ('/try', '/two', '/error', '/accel') {
	like(cors(preflight($uri, $a)),
		qr/^200 -Allow-Methods: APP; -Allow-Origin: https:\/\/app\.example; Vary: Origin/,
		"cors_preflight off is kept: $uri");
	like(cors(get($uri, $a)), qr/-Allow-Origin: $a; Vary: Origin$/,
		"other requests: $uri");
}
is(header(preflight('/status', $a), 'X-Status'), 'PREFLIGHT', 'and its status');

# Values are read once

for my $r (get('/by-uri', $b), preflight('/by-uri', $b)) {
	like(cors($r), qr/-Allow-Origin: $b/, 'a URI that is rewritten later');
}
for my $r (get('/by-uri', $evil), preflight('/by-uri', $evil)) {
	unlike(cors($r), qr/-Allow-Origin/, 'what it is rewritten to');
}
for my $r (get('/set', $a), preflight('/set', $a)) {
	unlike(cors($r), qr/-Allow-Origin/, 'set in the location is too late for both');
}
is(cors(get('/bypass?nocors=1', $a)), '200', 'bypass is kept');
is(cors(preflight('/bypass?nocors=1', $a)), '200', 'bypass of a preflight is kept');
is(cors(get('/bypass', $a)), '200 ' . allowed($a), 'no bypass');

if ($has{headers_more_filter}) {
	is(cors(get('/hidden', $a)), '200 ' . allowed($a),
		'an Origin that is hidden from the application');
	is(content(get('/hidden', $a)), '', 'it is hidden');
	is(cors(get('/replaced', $evil)), '200 ' . VARY,
		'another Origin grants nothing');
	is(content(get('/replaced', $evil)), $a, 'it is another');
}

if ($has{js}) {
	is(content(get('/js', $a)), 'written: ', 'scripts cannot write what is kept');
	is(cors(get('/js', $a)), '200 ' . allowed($a), 'the worker is alive');
}

# No decision depends on itself

is(cors(get('/volatile', $b)), '200 ' . allowed($b), 'volatile variables');
is(header(get('/volatile', $b), 'X-Status'), 'https://b.exampleALLOWED|ALLOWED',
	'they have values afterwards');
is(cors(preflight('/volatile', $b)) =~ s/ .*//r, '204', 'in a preflight');
is(header(get('/volatile-bypass?b=1', $a), 'X-Status'), 'BYPASS',
	'volatile variables in cors_bypass');
unlike($t->read_file('error.log'), qr/\[error\] .*cycle/, 'no cycle');

# A variable that is *, with credentials

get('/star?star=1');
unlike($t->read_file('error.log'), qr/is "\*"/, 'without Origin, it makes no difference');
get('/star?star=1', $a) for 1 .. 3;
is(() = $t->read_file('error.log') =~ /is "\*", which allows nothing/g, 1,
	'logged once');

# Answered before a location's handlers run, under its policy

for my $uri ('/lax', '/lax-accel') {
	my $r = get($uri, $evil);
	like($r, qr/^HTTP\/1.1 301 /, "a redirect to a slash: $uri");
	is(header($r, 'Access-Control-Allow-Origin'), '', "not the earlier policy: $uri");
	is(header(get($uri, 'https://b.example'), 'Access-Control-Allow-Origin'),
		'https://b.example', "its own: $uri");
}

# Two locations, two lines

my $seen = length $t->read_file('error.log');
is(cors(request('POST', '/dry', "Origin: $evil", 'Content-Length: 0')) =~ s/ .*//r,
	403, 'rejected after a dry run');
my $log = substr $t->read_file('error.log'), $seen;
like($log, qr/rejected, .*\(dry run\)/, 'the line of the dry run');
like($log, qr/rejected, (?!.*dry run)/, 'the line of the rejection');

# Vary

is(header(preflight('/private', $a), 'Vary'),
	PREFLIGHT_VARY =~ s/^Vary: //r . ', Access-Control-Request-Private-Network',
	'Vary of a preflight with private network access');
is(header(preflight('/private-any', $a), 'Vary'),
	'Access-Control-Request-Private-Network', "under '*'");
is(header(get('/private', $a), 'Vary'), 'Origin', 'of another request');
is(header(get('/private-any', $a), 'Vary'), '', "of another request, under '*'");

# Several Sec-Fetch-Site

for (['none', 'cross-site'], ['cross-site', 'none'], ['same-origin', '']) {
	my @fields = map { "Sec-Fetch-Site: $_" } @$_;
	is(cors(request('POST', '/twice', "Origin: $evil", 'Content-Length: 0',
		@fields)) =~ s/ .*//r, 403, "rejected: @$_");
}
is(cors(request('POST', '/twice', 'Sec-Fetch-Site: none',
	'Sec-Fetch-Site: same-origin', 'Content-Length: 0')) =~ s/ .*//r, 200,
	'all vouch for it');

# A variable that is '*' under credentials, whatever a first location made of it

like(request('POST', '/first', 'Host: inherits', "Origin: $evil",
	'Content-Length: 0'), qr/^HTTP\/1.1 403 (?!.*reached)/s,
	"'*' of a first location without credentials");
is(cors(get('/credentials', $evil, 'Host: inherits')), '200 -Allow-Origin: *',
	"'*' after a first location with credentials");
is(cors(request('POST', '/any-first', "Origin: $evil", 'Content-Length: 0'))
	=~ s/ .*//r, 403, "'*' of another rule");

# What the first policy says of preflights is kept

like(cors(preflight('/left', $a)),
	qr/^40[45] Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers$/,
	'left to the application');

# A rejection without Origin

$seen = length $t->read_file('error.log');
request('POST', '/twice', 'Sec-Fetch-Site: cross-site', 'Content-Length: 0');
like(substr($t->read_file('error.log'), $seen), qr/rejected, Sec-Fetch-Site is "cross-site"/,
	'the line of a rejection without Origin');

# A closed server is closed for everyone

my $r = request('POST', '/', 'Host: closed', "Origin: $evil", 'Content-Length: 0');
like($r, qr/^HTTP\/1.1 503 /, 'return 503');
is(header($r, 'X-Status'), '[DENIED]', 'and the module has rejected nothing');

###############################################################################
