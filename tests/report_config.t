#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what nginx -t says of cors_zone, cors_zone_label and cors_report: the
# message with its line; and that a neighbour that is right passes without one.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Messages;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http http_ssl rewrite access auth_basic auth_request unix /);

my $zone = 'cors_zone cors:1m;';
my $origin = 'cors_allow_origin https://a.example;';
my $no_zone = message_of('', 'cors_report', 'no-zone') =~ s/^: //r;
my $open = message_of('', 'cors_report', 'open-report') =~ s/^: //r;
my $dir = $t->testdir();

# A name, what is added to http, to the server and to the location, and what is
# said; HERE marks the line that the message is to name.

my @rows = (
	['a zone without a size', 'cors_zone cors; # HERE', '', '',
		'1 emerg ' . message_of('cors_zone', 'cors', 'not-zone')],
	['a zone without a name', 'cors_zone :1m; # HERE', '', '',
		'1 emerg ' . message_of('cors_zone', ':1m', 'not-zone')],
	['a zone with a bad size', 'cors_zone cors:1x; # HERE', '', '',
		'1 emerg ' . message_of('cors_zone', 'cors:1x', 'not-zone')],
	['a zone with a variable', 'cors_zone $cors:1m; # HERE', '', '',
		'1 emerg ' . message_of('cors_zone', '$cors:1m', 'variable')],
	['a zone that is too small', 'cors_zone cors:16k; # HERE', '', '',
		'1 emerg ' . message_of('cors_zone', 'cors:16k', 'zone-too-small', undef, '32k')],
	['the smallest zone', "cors_zone cors:32k;", $origin, '', '0'],
	['two zones', "$zone\ncors_zone other:1m; # HERE", '', '',
		'1 emerg ' . message_of('cors_zone', 'cors_zone', 'duplicate-directive')],
	['a zone of another module', "$zone\nproxy_cache_path $dir/cache keys_zone=cors:1m;", '', '',
		qr/^1 emerg the shared memory zone "cors" is already declared for a different use/],
	['a zone in a server', '', "$zone # HERE", '',
		'1 emerg "cors_zone" directive is not allowed here'],

	['a report without a zone', '', '', 'allow 127.0.0.1; deny all; cors_report; # HERE',
		"1 emerg $no_zone"],
	['a label without a zone', '', $origin, 'cors_zone_label a; # HERE',
		'1 emerg ' . $no_zone =~ s/cors_report/cors_zone_label/r],
	['an unknown format', $zone, '', 'deny all; cors_report xml; # HERE',
		'1 emerg ' . message_of('cors_report', 'xml', 'not-report-format')],
	['two reports', $zone, '', "deny all; cors_report;\ncors_report json; # HERE",
		'1 emerg ' . message_of('cors_report', 'cors_report', 'duplicate-directive')],
	['a report in a server', $zone, 'cors_report; # HERE', '',
		'1 emerg "cors_report" directive is not allowed here'],

	['an empty label', $zone, $origin, 'cors_zone_label ""; # HERE',
		'1 emerg ' . message_of('cors_zone_label', '', 'not-label')],
	['a label with a variable', $zone, $origin, 'cors_zone_label a-$host; # HERE',
		'1 emerg ' . message_of('cors_zone_label', 'a-$host', 'variable')],
	['a label with a control character', $zone, $origin, 'cors_zone_label "a\tb"; # HERE',
		'1 emerg ' . message_of('cors_zone_label', "a\\tb", 'not-label')],
	['a label that is not UTF-8', $zone, $origin, "cors_zone_label \"a\xff\"; # HERE",
		'1 emerg ' . message_of('cors_zone_label', "a\xef\xbf\xbd", 'not-label')],
	['a label that is too long', $zone, $origin, 'cors_zone_label ' . 'a' x 256 . '; # HERE',
		'1 emerg ' . message_of('cors_zone_label', 'a' x 256, 'not-label')],
	['two labels', $zone, $origin, "cors_zone_label a;\ncors_zone_label b; # HERE",
		'1 emerg ' . message_of('cors_zone_label', 'cors_zone_label', 'duplicate-directive')],
	['a long label', $zone, $origin, 'cors_zone_label "' . 'a' x 252 . " \xc3\xa4\";", '0'],
	['a label without a policy', $zone, '', 'cors_zone_label a; # HERE',
		'0 warn ' . message_of('', 'cors_zone_label', 'no-effect')],

	['too many policies', 'cors_zone cors:32k; # HERE', policies(200), '',
		qr/^0 warn \Qcors_zone: "cors:32k" is too small for\E \d+ of 200 policies, which are not counted; .* in HERE$/],
	['a thousand policies', $zone, policies(1000), '', '0'],

	# Who can reach a report

	['open', $zone, 'listen *:%%PORT_8081%%;', 'cors_report; # HERE', "0 warn $open"],
	['open, without a policy', $zone, 'listen *:%%PORT_8081%%;', 'cors_report; # HERE', "0 warn $open"],
	['allow alone', $zone, 'listen *:%%PORT_8081%%;', 'allow 10.0.0.0/8; cors_report; # HERE',
		"0 warn $open"],
	['no password', $zone, 'listen *:%%PORT_8081%%; auth_basic a;', 'auth_basic off; cors_report; # HERE',
		"0 warn $open"],
	['an address denied', $zone, 'listen *:%%PORT_8081%%;', 'deny 10.0.0.1; cors_report; # HERE',
		"0 warn $open"],
	['allow all first', $zone, 'listen *:%%PORT_8081%%;', 'allow all; deny all; cors_report; # HERE',
		"0 warn $open"],
	['allow every address first', $zone, 'listen *:%%PORT_8081%%;',
		'allow 0.0.0.0/0; deny all; cors_report; # HERE', "0 warn $open"],
	['allow instead of what is inherited', $zone, 'listen *:%%PORT_8081%%; deny all;',
		'allow 10.0.0.0/8; cors_report; # HERE', "0 warn $open"],
	['a certificate that is optional', $zone, 'listen *:%%PORT_8081%%; ssl_verify_client optional_no_ca;',
		'cors_report; # HERE', "0 warn $open"],
	['another password than none', $zone, 'listen *:%%PORT_8081%%; auth_basic a;',
		'auth_basic off; auth_request off; cors_report; # HERE', "0 warn $open"],
	['an address or a password', $zone, 'listen *:%%PORT_8081%%;',
		'satisfy any; allow all; auth_basic a; auth_basic_user_file b; cors_report; # HERE',
		"0 warn $open"],
	['deny limited to methods', $zone, 'listen *:%%PORT_8081%%;',
		"limit_except GET { deny all; }\ncors_report; # HERE", "0 warn $open"],
	['a condition that rewrites', $zone, 'listen *:%%PORT_8081%%;',
		"if (\$arg_a) { set \$a b; }\ncors_report; # HERE", "0 warn $open"],

	['deny before a password that is off', $zone, 'listen *:%%PORT_8081%%;',
		'deny all; auth_basic off; cors_report;', '0'],
	['allow all after deny', $zone, 'listen *:%%PORT_8081%%;', 'deny all; allow all; cors_report;', '0'],
	['allow all with a password', $zone, 'listen *:%%PORT_8081%%;',
		'allow all; auth_basic a; auth_basic_user_file b; cors_report;', '0'],
	['some addresses or a password', $zone, 'listen *:%%PORT_8081%%;',
		'satisfy any; allow 10.0.0.0/8; auth_basic a; auth_basic_user_file b; cors_report;', '0'],
	['auth_request', $zone, 'listen *:%%PORT_8081%%;', 'auth_request /auth; cors_report;', '0'],
	['a condition of a location around it', $zone, 'listen *:%%PORT_8081%%;',
		"if (\$arg_a) { return 403; }\nlocation /a { cors_report; # HERE\n}", "0 warn $open"],
	['deny for IPv6 alone', $zone, 'listen *:%%PORT_8081%%;', 'deny ::/0; cors_report; # HERE',
		"0 warn $open"],
	['a condition that returns', $zone, 'listen *:%%PORT_8081%%;',
		'if ($http_x_key != a) { return 403; } cors_report;', '0'],
	['a condition of the server', $zone, 'listen *:%%PORT_8081%%; if ($http_x_key != a) { return 403; }',
		'cors_report;', '0'],
	['a certificate', $zone, 'listen *:%%PORT_8081%%; ssl_verify_client on; ssl_client_certificate a.pem;',
		'cors_report;', '0'],
	['deny', $zone, 'listen *:%%PORT_8081%%;', 'allow 10.0.0.0/8; deny all; cors_report;', '0'],
	['deny in the server', $zone, 'listen *:%%PORT_8081%%; deny all;', 'cors_report;', '0'],
	['deny in http', "$zone deny all;", 'listen *:%%PORT_8081%%;', 'cors_report;', '0'],
	['auth_basic', $zone, 'listen *:%%PORT_8081%%;', 'auth_basic a; auth_basic_user_file b; cors_report;', '0'],
	['internal', $zone, 'listen *:%%PORT_8081%%;', 'internal; cors_report;', '0'],
	['loopback', $zone, '', 'cors_report;', '0'],
	['a unix socket', $zone, "listen unix:$dir/sock;", 'cors_report json;', '0'],
	['loopback and others', $zone, 'listen 127.0.0.1:8082; listen %%PORT_8081%%;',
		'cors_report; # HERE', "0 warn $open"],
);

$t->plan(scalar @rows);

my $conf = <<'EOF_CONF';

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

        cors_allow_origin https://a.example;

        SERVER

        location / {
            LOCATION
        }
    }
}

EOF_CONF

$t->write_file_expand('nginx.conf', $conf =~ s/^ +[A-Z]+$//gmr);
$t->run();

###############################################################################

for (@rows) {
	my ($name, $http, $server, $location, $expected) = @$_;

	my $text = $conf =~ s/HTTP$/$http/mr =~ s/SERVER$/$server/mr
		=~ s/LOCATION$/$location/mr;
	$text =~ s/cors_allow_origin https:\/\/a\.example;\n//
		if $server =~ /cors_allow_origin/ || $name =~ /without a policy/;
	$t->write_file_expand('nginx.conf', $text);

	my ($before) = $t->read_file('nginx.conf') =~ /^(.*)# HERE/s;
	my $line = 1 + (($before // '') =~ tr/\n//);
	my $said = `$Test::Nginx::NGINX -t -p $dir/ -c nginx.conf -e error.log 2>&1`;
	my $status = $? >> 8;
	my @messages = map { s/ in \S*nginx\.conf:$line$/ in HERE/r }
		map { /^\w+: \[(\w+)\] (.*)/ ? "$1 $2" : () } split /\n/, $said;
	my $got = join ' ', $status, @messages;

	ref $expected ? like($got, $expected, $name)
		: is($got, $expected eq '0' ? '0' : "$expected in HERE", $name);
}

###############################################################################

sub policies {
	my ($number) = @_;

	return join "\n", map { "location /$_/ { cors_allow_origin https://t$_.example; }" }
		1 .. $number;
}

###############################################################################
