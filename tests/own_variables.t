#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for configurations that define $cors_origin, $cors_status or $cors_reason
# themselves: with the module and without a policy, they answer as without the
# module; with a policy, their own values count.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map geo split_clients /);

my @names = qw/ origin status reason /;
my $js = '/usr/lib/nginx/modules/ngx_http_js_module.so';
my $perl = '/usr/lib/nginx/modules/ngx_http_perl_module.so';
my $is_packaged = $Test::Nginx::NGINX eq '/usr/sbin/nginx';

# A description, and what the levels contain; NAME stands for each of the names.
my @forms = (
	['map', http => 'map $http_origin $cors_NAME {
		default ""; ~^https://\w+\.example$ "$http_origin NAME"; }'],
	['map, upper case', http => 'map $uri $Cors_NAME { / ""; default "yes NAME"; }'],
	['map, volatile', http => 'map $http_x_one $cors_NAME {
		volatile; default "NAME of $http_x_one"; }'],
	['map of a map', http => 'map $http_origin $cors_NAME_inner {
		default no; https://a.example "yes"; }
		map $cors_NAME_inner $cors_NAME { yes "NAME is allowed"; }'],
	['geo', http => 'geo $cors_NAME { default "far NAME"; 127.0.0.0/8 "near NAME"; }'],
	['geo of a variable', http => 'geo $arg_ip $cors_NAME {
		default "far NAME"; 10.0.0.0/8 "near NAME"; }'],
	['split_clients', http => 'split_clients $http_origin $cors_NAME {
		50% "one NAME"; * "two NAME"; }'],
	['set in the server', server => 'set $cors_NAME "NAME $http_origin";'],
	['set in the location', location => 'set $cors_NAME "NAME $http_origin";'],
	['set in if', server => 'set $cors_NAME "";
		if ($http_origin ~ ^https://a\.example$) { set $cors_NAME "NAME $http_origin"; }'],
	['set in if alone', location => 'if ($http_origin ~ example) {
		set $cors_NAME "NAME $http_origin"; }'],
	['capture of if', location => 'if ($http_origin ~ "^(?<cors_NAME>https://\w+\.example)$") {
		set $unused 1; }'],
	['capture of rewrite', location => 'rewrite "^/l(?<cors_NAME>.*)$" /l$1;'],
	['capture of map', http => 'map $http_origin $found_NAME {
		default none; "~^https://(?<cors_NAME>\w)\.example$" $cors_NAME; }',
		location => 'set $used_NAME $found_NAME;'],
	['auth_request_set', auth => 'location /auth { internal;
		proxy_pass http://127.0.0.1:8081; }',
		location => 'auth_request_set $cors_NAME $upstream_http_x_NAME;',
		proxied => 'auth_request /auth;'],
	['js_set', main => "load_module $js;", once => 'js_import main from main.js;',
		http => 'js_set $cors_NAME main.value_NAME;'],
	['perl_set', main => "load_module $perl;",
		http => 'perl_set $cors_NAME \'sub { return "perl NAME " . shift->uri }\';'],
);

@forms = grep { my $form = join ' ', @$_;
	($form !~ /js_set/ || $is_packaged && -e $js)
	&& ($form !~ /perl_set/ || $is_packaged && -e $perl)
	&& ($form !~ /auth_request/ || $t->has_module('auth_request'))
} @forms;

my @requests = (
	['GET', '/location'],
	['GET', '/location', 'Origin: https://a.example'],
	['GET', '/location', 'Origin: https://b.example', 'X-One: 1'],
	['GET', '/location?ip=10.0.0.1', 'Origin: null'],
	['POST', '/location', 'Origin: https://a.example', 'Content-Length: 0'],
	['OPTIONS', '/location', 'Origin: https://a.example'],
	['GET', '/return', 'Origin: https://a.example'],
	['GET', '/none', 'Origin: https://a.example'],
);
my @preflight = ('OPTIONS', '/location', 'Origin: https://a.example',
	'Access-Control-Request-Method: PUT');

$t->plan(@forms * (2 * @requests + 2) + 8);

my $conf = <<'EOF';

%%TEST_GLOBALS%%
MAIN

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ONCE
    HTTP
    POLICY

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        SERVER
        AUTH

        add_header X-Origin $cors_origin always;
        add_header X-Status $cors_status always;
        add_header X-Reason $cors_reason always;

        location /location {
            LOCATION
            PROXIED
        }

        location /return {
            return 200 "$cors_origin $cors_status $cors_reason";
        }
    }

    server {
        listen       127.0.0.1:8081;
        server_name  localhost;
        cors         off;

        location / {
            add_header X-Origin "origin $http_origin";
            add_header X-Status "status $http_origin";
            add_header X-Reason "reason $http_origin";
            return 200 "app";
        }
    }
}

EOF

$t->write_file('main.js', 'export default { ' . (join ', ',
	map { "value_$_: r => '$_ ' + r.headersIn.Origin" } @names) . ' };');

###############################################################################

my $policy = 'cors_allow_origin https://a.example;';

for my $form (@forms) {
	my ($name, %levels) = @$form;

	my $without = responses($t, %levels, module => 0);
	my $with = responses($t, %levels, module => 1);
	my $under = responses($t, %levels, module => 1, policy => $policy);

	for my $at (0 .. $#requests) {
		my $title = "$name: @{$requests[$at]}";

		is($with->[$at], $without->[$at], "no policy: $title");
		is(values_of($under->[$at]), values_of($without->[$at]),
			"policy: $title");
	}

	is($with->[-1], $without->[-1], "no policy: $name: preflight");
	is(cors($under->[1]), '200 ' . allowed('https://a.example'),
		"policy: $name: decides");
}

# There is something to compare

my $mapped = responses($t, @{$forms[0]}[1 .. 2], module => 1);
is(values_of($mapped->[1]), join(' ', map { "https://a.example $_" } @names),
	'values');

# A policy may use them

my $used = responses($t, module => 1, http => 'map $http_origin $cors_NAME {
		default ""; https://c.example $http_origin; }',
	policy => 'cors_allow_origin $cors_origin;',
	requests => [['GET', '/return', 'Origin: https://d.example'],
		['GET', '/return', 'Origin: https://c.example']]);
is(cors($used->[0]), '200 Vary: Origin', 'used in cors_allow_origin: denied');
is(cors($used->[1]), '200 ' . allowed('https://c.example'),
	'used in cors_allow_origin: allowed');

$used = responses($t, module => 1, http => 'map $uri $cors_NAME { default 1; }',
	policy => "$policy cors_bypass \$cors_status;");
is(cors($used->[1]), '200', 'used in cors_bypass');

# One that the configuration does not define is the module's

my $one = responses($t, module => 1, policy => $policy, once => 'map $uri $cors_origin {
		default mine; } map $uri $cors_reason { default why; }');
is(values_of($one->[1]), 'mine ALLOWED why', 'one is the module\'s');
is(values_of($one->[2]), 'mine DENIED why', 'one is the module\'s: denied');
is(cors($one->[1]), '200 ' . allowed('https://a.example'),
	'the policy does not depend on them');
$one = responses($t, module => 1, policy => "$policy cors_bypass \$cors_reason;",
	once => 'map $uri $cors_reason { default 1; }');
is(cors($one->[1]), '200', 'the policy depends on the only one that is not the module\'s');

###############################################################################

# The responses to all requests and a preflight.
sub responses {
	my ($t, %levels) = @_;

	my %text = map { my $level = $_;
		my $text = $levels{lc $level} // '';
		my $is_for_each = $text =~ /NAME/;
		($level => join "\n", map { $text =~ s/NAME/$_/gr }
			$is_for_each ? @names : 'none');
	} qw/ MAIN HTTP ONCE POLICY SERVER AUTH LOCATION /;

	$text{PROXIED} = $levels{proxied}
		? "$levels{proxied}\nproxy_pass http://127.0.0.1:8081/;\n"
			. join "\n", map { 'proxy_hide_header X-' . ucfirst . ';' } @names
		: 'return 200 "[$cors_origin $cors_status $cors_reason]";';

	local $ENV{TEST_NGINX_GLOBALS} = $ENV{TEST_NGINX_GLOBALS} // '';
	$ENV{TEST_NGINX_GLOBALS} =~ s/load_module [^;]*_cors_[^;]*;//
		unless $levels{module};
	my $text = $conf =~ s/^ *([A-Z]+)$/$text{$1}/mgr;
	$text =~ s/^ *cors +off;$//m unless $levels{module};

	$t->write_file_expand('nginx.conf', $text);
	$t->run();

	my @responses = map { request(@$_) =~ s/^Date: .*\n//mr }
		@{$levels{requests} // [@requests, [@preflight]]};

	$t->stop();
	return \@responses;
}

sub values_of {
	my ($response) = @_;

	return join ' ', map { header($response, 'X-' . ucfirst) } @names;
}

###############################################################################
