#!/usr/bin/perl

# Tests for what nginx -t says of each mistake that the module knows: the exit
# status, the message with its line, what to write instead, which then passes,
# and that a neighbour which is right passes without a word.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $form = 'an origin is scheme://host[:port]';
my $wildcard = 'has a "*" where none may be; it stands alone, for the labels '
	. 'before a domain (https://*.example.com) or for any port '
	. '(http://localhost:*), and anything else is for cors_allow_origin_regex';
my $regex_crate = '; expressions are those of Rust\'s regex crate, which match '
	. 'in linear time and so have neither look-around nor back-references';
my $alone = 'stands next to other values; it is everything and stands alone';
my $variable = 'has a variable; only cors_allow_origin and cors_bypass take '
	. 'variables';
my $own = 'has a variable that is only known when this directive has been '
	. 'looked at';
my $dot = 'has an unescaped dot between characters of a name, which matches '
	. 'any character';
my $never = 'can never match a whole origin, which is scheme://host[:port] in '
	. 'lower case';
my $anyone = 'accepts origins that anyone can register, together with '
	. '"cors_allow_credentials on"';
my $suffix = 'lets everyone who registers a name there in; "*" covers a public '
	. 'suffix';
my $suffix_with = 'lets everyone who registers a name there send credentials; '
	. '"*" covers a public suffix';
my $insecure = 'lets whoever is on the network between send credentials; it is '
	. 'http, and neither loopback nor localhost';
my $no_method = 'is no method; methods are tokens';
my $case = 'is a standard method in another case; methods are case-sensitive';
my $forbidden_method = 'is a method that browsers never send for scripts';
my $no_header = 'is no header name; those are tokens of at most 256 characters';
my $unsettable = 'has no effect: scripts cannot set this header, so no preflight '
	. 'asks for it';
my $unreadable = 'has no effect: no script can read this header';
my $protocol = 'has no effect: it is a header of the CORS protocol itself';
my $flag = 'is neither "on" nor "off"';
my $time = 'is no time; write seconds, or a time such as 10m or 1h';
my $long = 'is longer than browsers keep a preflight\'s answer; Firefox keeps '
	. 'it for 86400 seconds, Chromium for 7200';
my $no_effect = 'has no effect: no origin is allowed here; write '
	. 'cors_allow_origin next to it or above';
my $label = 'a' x 63;

# A row: the value, what is said of it, what to write instead, and a neighbour
# that is right. Before each block of rows: the level of the messages, the
# directive, and what stands before and after it.

my @blocks = (

	# Origins: errors

	['emerg', 'cors_allow_origin', '', '',
		['example.com', "has no scheme; $form", 'https://example.com',
			'https://example.com'],
		['localhost:3000', "has no scheme; $form", 'http://localhost:3000',
			'http://localhost:3000'],
		['//example.com', "has no scheme; $form", 'https://example.com',
			'capacitor://example.com'],
		['https:/example.com', "has no scheme; $form",
			'https://example.com', 'https://example.com'],
		['*.example.com', "has no scheme; $form", 'https://*.example.com',
			'https://*.example.com'],
		['NULL', "has no scheme; $form", 'null', 'null'],
		['1s://example.com', 'has a scheme that is none; a scheme is a letter '
			. 'and then letters, digits, "+", "-" or ".", 64 at most', undef,
			's1://example.com'],
		['a' x 65 . '://example.com', 'has a scheme that is none; a scheme is a '
			. 'letter and then letters, digits, "+", "-" or ".", 64 at most',
			undef, 'a' x 64 . '://example.com'],
		['https://example.com/', "has a slash at its end; $form",
			'https://example.com', 'https://example.com'],
		['https://example.com/app', "has a path; $form", 'https://example.com',
			'https://app.example.com'],
		['https://example.com?a=b', "has a query; $form", 'https://example.com',
			'https://example.com'],
		['"https://example.com#a"', "has a fragment; $form",
			'https://example.com', 'https://example.com'],
		['https://me:pw@example.com', "has user info; $form",
			'https://example.com', 'https://example.com'],
		['https://Example.com', 'has upper-case letters; browsers send origins '
			. 'in lower case and they are compared byte for byte',
			'https://example.com', 'https://example.com'],
		['HTTPS://example.com', 'has upper-case letters; browsers send origins '
			. 'in lower case and they are compared byte for byte',
			'https://example.com', 'https://example.com'],
		["https://m\xc3\xbcnchen.example", 'has characters outside ASCII; '
			. 'browsers send such hosts in punycode',
			'https://xn--mnchen-3ya.example', 'https://xn--mnchen-3ya.example'],
		["https://*.m\xc3\x9cnchen.example", 'has characters outside ASCII; '
			. 'browsers send such hosts in punycode',
			'https://*.xn--mnchen-3ya.example',
			'https://*.xn--mnchen-3ya.example'],
		['https://xn--a.example', 'has a label in punycode that no browser sends',
			undef, 'https://xn--4ca.example'],
		['https://xn--mnchen-psa.example', 'has a label in punycode that no '
			. 'browser sends', 'https://xn--mnchen-3ya.example',
			'https://xn--mnchen-3ya.example'],
		['https://example.com:443', 'has the default port of its scheme; browsers '
			. 'leave it out', 'https://example.com', 'https://example.com:80'],
		['http://example.com:80', 'has the default port of its scheme; browsers '
			. 'leave it out', 'http://example.com', 'http://example.com:443'],
		['https://*.example.com:443', 'has the default port of its scheme; '
			. 'browsers leave it out', 'https://*.example.com',
			'https://*.example.com:8443'],
		['https://example.com:', 'has a colon but no port', 'https://example.com',
			'https://example.com:*'],
		['https://example.com:0', 'has a port outside 1 to 65535', undef,
			'https://example.com:1'],
		['https://example.com:65536', 'has a port outside 1 to 65535', undef,
			'https://example.com:65535'],
		['https://example.com:08443', 'has a port with leading zeros',
			'https://example.com:8443', 'https://example.com:8443'],
		['https://example.com:http', 'has a port that is no number', undef,
			'https://example.com:8080'],
		['https://', "has no host; $form", undef, 'https://a'],
		['https://a..example', 'has an empty label in its host', undef,
			'https://a.example.'],
		['https://.example', 'has an empty label in its host', 'https://example',
			'https://example'],
		["https://${label}a.example", 'has a label of more than 63 characters '
			. 'in its host', undef, "https://$label.example"],
		['https://' . 'abc.' x 63 . 'ab', 'has a host of more than 253 '
			. 'characters', undef, 'https://' . 'abc.' x 63 . 'a',
			'https://' . 'abc.' x 62 . '...'],
		['https://exa%6dple.com', 'has characters in its host that no origin has',
			'https://example.com', 'https://ex_am-ple.com'],
		['http://1', 'has an IPv4 address in a form that browsers do not send',
			'http://0.0.0.1', 'http://1.example'],
		['http://127.1', 'has an IPv4 address in a form that browsers do not '
			. 'send', 'http://127.0.0.1', 'http://127.0.0.1'],
		['http://0x7f.0.0.1:8080', 'has an IPv4 address in a form that browsers '
			. 'do not send', 'http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
		['http://1.2.3.256', 'has a host that ends in a number but is no IPv4 '
			. 'address', undef, 'http://1.2.3.255'],
		['http://[0:0:0:0:0:0:0:1]', 'has an IPv6 address in a form that browsers '
			. 'do not send', 'http://[::1]', 'http://[::1]'],
		['http://[::ffff:127.0.0.1]', 'has an IPv6 address in a form that '
			. 'browsers do not send', 'http://[::ffff:7f00:1]',
			'http://[::ffff:7f00:1]'],
		['http://[::1', 'has brackets that hold no IPv6 address', undef,
			'http://[::1]:3000'],
		['file:///home', 'is no origin that a browser sends; pages from files '
			. 'send "null"', undef, 'null'],
		['https://*', $wildcard, undef, 'https://*.example.com'],
		['https://www.*.com', $wildcard, undef, 'https://*.www.example.com'],
		['https://*example.com', $wildcard, 'https://*.example.com',
			'https://*.example.com'],
		['*://example.com', $wildcard, undef, 'https://example.com:*'],
		['http://localhost:30*', $wildcard, undef, 'http://localhost:*'],
		['https://.*\.example\.com', $wildcard, undef, 'https://*.example.com:*'],
		['http://*.127.0.0.1', 'has a "*" before an IP address, which has no '
			. 'subdomains', undef, 'http://127.0.0.1:*'],
		['^https://\w+\.example\.com$', 'is an expression; those are for '
			. 'cors_allow_origin_regex', undef, '$arg_a'],
		['""', 'is empty', undef, 'https://a.example'],
		['$cors_origin', $own, undef, '$arg_cors_origin'],
		['a${cors_status}', $own, undef, '$http_cors_status'],
	],

	['emerg', 'cors_allow_origin', '', ' https://a.example',
		['*', $alone, undef, 'https://b.example'],
		['*', $alone, undef, 'null'],
	],
	['emerg', 'cors_allow_origin', "cors_allow_origin_regex ^app://.+\$;\n", '',
		['*', $alone, undef, 'https://b.example'],
	],
	['emerg', 'cors_allow_origin', '', ' $arg_a',
		['*', $alone, undef, 'null'],
	],
	['emerg', 'cors_allow_origin', "cors_allow_credentials on;\n", '',
		['*', 'cannot go with "cors_allow_credentials on"; browsers refuse it, '
			. 'so list the origins that may send credentials', undef, 'null'],
		['https://*.com', $suffix_with, undef, 'https://*.example.com'],
		['https://*.github.io', $suffix_with, undef, 'https://*.a.github.io'],
		['https://*.co.uk:8443', $suffix_with, undef, 'https://*.a.co.uk:8443'],
		['https://*.ck', $suffix_with, undef, 'https://*.a.b.ck'],
		['http://*.com', $suffix_with, undef, 'https://*.internal'],
	],

	# Origins: warnings

	['warn', 'cors_allow_origin', "cors_allow_credentials on;\n", '',
		['http://example.com', $insecure, undef, 'https://example.com'],
		['http://192.168.1.1:3000', $insecure, undef, 'http://127.0.0.1:3000'],
		['http://*.example.com', $insecure, undef, 'http://*.localhost:*'],
		['http://localhost.example', $insecure, undef, 'http://localhost'],
		['http://[::2]', $insecure, undef, 'http://[::1]'],
		['http://128.0.0.1', $insecure, undef, 'http://127.255.255.254'],
		['$http_origin', $anyone, undef, '$arg_origin'],
		['"https://a.example ${http_origin}"', $anyone, undef,
			'https://$http_host'],
	],
	['warn', 'cors_allow_origin', '', '',
		['https://*.com', $suffix, undef, 'https://*.example.com'],
		['https://*.github.io', $suffix, undef, 'https://*.a.github.io'],
		['https://*.com:*', $suffix, undef, 'https://*.internal:*'],
		['http://*.co.uk', $suffix, undef, 'http://*.localhost'],
		['https://*.xn--p1ai', $suffix, undef, 'https://*.lan'],
	],
	['warn', 'cors_allow_origin', '', ' https://b.example null',
		['"https://a.example https://a.example"', 'is in the list already', undef,
			'"https://a.example https://a.example:8443"', 'https://a.example'],
		['"null,null"', 'is in the list already', undef, 'https://c.example',
			'null'],
		['"https://*.a.example, https://*.a.example"', 'is in the list already',
			undef, '"https://*.a.example, https://a.example"',
			'https://*.a.example'],
	],

	# Expressions

	['emerg', 'cors_allow_origin_regex', '', '',
		['"^https://(a"', 'does not compile: unclosed group at character 10',
			undef, '"^https://(a)"'],
		['"^https://[b-a]$"', 'does not compile: invalid character class range, '
			. 'the start must be <= the end at character 11', undef,
			'"^https://[a-b]$"'],
		['^https://(?!evil)\w+$', 'does not compile: look-around, including '
			. 'look-ahead and look-behind, is not supported at character 10'
			. $regex_crate, undef, '^https://(?:good)\w+$'],
		['^https://(a)\1$', 'does not compile: backreferences are not supported '
			. "at character 13$regex_crate", undef, '^https://(a)a$'],
		['"^https://(\w{1000}){1000}$"', 'is too large: its automaton takes more '
			. 'than 16 MiB; write it with fewer or smaller counted repetitions',
			undef, '"^https://(\w{10}){20}$"'],
		["^https://\xff\$", 'is not UTF-8', undef, '^https://f$'],
		['""', 'is empty', undef, '^https://a$'],
	],
	['emerg', 'cors_allow_origin_regex', "cors_allow_origin *;\n", '',
		['^https://a$', $alone, undef, undef, '*'],
	],

	['warn', 'cors_allow_origin_regex', '', '',
		['^https://app.example\.com$', $dot, '^https://app\.example\.com$',
			'^https://app\.example\.com$'],
		['^https://\w+.example.com$', $dot, '^https://\w+\.example\.com$',
			'^https://.*\.example\.com$'],
		['^https://(a|b).example\.com$', $dot, '^https://(a|b)\.example\.com$',
			'^https://(a|b)[.]example[.]com$'],
		['^app\.example\.com$', $never, '^https://app\.example\.com$',
			'^\w+://app\.example\.com$'],
		['app\.example\.com', $never, '^https://app\.example\.com',
			'.*app\.example\.com'],
		['^https://Example\.com$', $never, undef, '(?i)^https://Example\.com$'],
		['^https://example\.com/$', $never, undef, '^https://example\.com(/|$)'],
		['~^https://a\.example$', $never, '^https://a\.example$',
			'^https://a\.example$'],
		['^null$', $never, undef, '^app://null$'],
	],
	['warn', 'cors_allow_origin_regex', '', ' ^https://a$',
		['^https://a$', 'is in the list already', undef, '^https://b$'],
	],
	['warn', 'cors_allow_origin_regex', "cors_allow_credentials on;\n", '',
		['.*', $anyone, undef, '^https://.*\.example\.com$'],
		['^https?://[^/]+$', $anyone, undef, '^https://[^.]+$'],
		['^https://.*$', $anyone, undef, '^https://.*\.example$'],
		['^https?://\w+\.\w+$', $anyone, undef, '^https?://\w+\.example$'],
		['^http://.+:\d+$', $anyone, undef, '^http://localhost:\d+$'],
		['^https://www\..*$', $anyone, undef, '^https://www\.[^.]+$'],
	],

	# Methods

	['emerg', 'cors_allow_methods', "cors_allow_origin https://a.example;\n", '',
		['get', $case, 'GET', 'GET'],
		['patch', $case, 'PATCH', 'PATCH'],
		['Delete', $case, 'DELETE', 'PROPFIND'],
		['options', $case, 'OPTIONS', 'x-own'],
		['CONNECT', $forbidden_method, undef, 'CONNECTED'],
		['TRACE', $forbidden_method, undef, 'PUT'],
		['track', $forbidden_method, undef, 'tracks'],
		['P@T', $no_method, undef, 'P-T'],
		['(put)', $no_method, 'PUT', 'PUT'],
		['$arg_method', $variable, undef, '*'],
		['""', 'is empty', undef, '"GET, POST, OPTIONS"'],
		['" , "', 'is empty', undef, '"PUT,"'],
	],
	['emerg', 'cors_allow_methods', "cors_allow_origin https://a.example;\n",
		' PUT',
		['*', $alone, undef, 'PATCH'],
	],
	['warn', 'cors_allow_methods', "cors_allow_origin https://a.example;\n",
		' PUT',
		['PUT', 'is in the list already', undef, 'POST'],
	],

	# Request headers

	['emerg', 'cors_allow_headers', "cors_allow_origin https://a.example;\n", '',
		['X:Own', $no_header, undef, 'X-Own'],
		['Content-Type:', $no_header, 'Content-Type', 'Content-Type'],
		['a' x 257, $no_header, undef, 'a' x 256,
			'a' x 256 . '...'],
		['$arg_name', $variable, undef, '*'],
		['""', 'is empty', undef, '"* Authorization"'],
	],
	['warn', 'cors_allow_headers', "cors_allow_origin https://a.example;\n",
		' X-Own',
		['x-own', 'is in the list already', undef, 'x-other', 'X-Own'],
		['DNT', $unsettable, undef, 'User-Agent'],
		['cookie', $unsettable, undef, 'X-Cookie'],
		['Sec-Fetch-Site', $unsettable, undef, 'X-Sec-Fetch-Site'],
		['Proxy-Authorization', $unsettable, undef, 'Authorization'],
		['Access-Control-Allow-Origin', $protocol, undef, 'Access-Token'],
	],

	# Response headers

	['emerg', 'cors_expose_headers', "cors_allow_origin https://a.example;\n", '',
		['X@Own', $no_header, undef, 'X-Own'],
		['$arg_name', $variable, undef, '*'],
		['""', 'is empty', undef, 'ETag,Link'],
	],
	['emerg', 'cors_expose_headers', "cors_allow_origin https://a.example;\n",
		' X-Own',
		['*', $alone, undef, 'ETag'],
	],
	['emerg', 'cors_expose_headers', "cors_allow_origin https://a.example;\n"
			. "cors_allow_credentials on;\n", '',
		['*', 'cannot go with "cors_allow_credentials on"; browsers then take it '
			. 'for a header\'s name, so list the headers', undef, 'ETag'],
	],
	['warn', 'cors_expose_headers', "cors_allow_origin https://a.example;\n",
		' X-Own',
		['x-own', 'is in the list already', undef, 'x-other', 'X-Own'],
		['Set-Cookie', $unreadable, undef, 'X-Set-Cookie'],
		['Access-Control-Max-Age', $protocol, undef, 'Age'],
	],

	# Values that stand alone

	(map {
		["emerg", $_, "cors_allow_origin https://a.example;\n", '',
			['maybe', $flag, undef, 'on'],
			['1', $flag, undef, 'off'],
			['""', $flag, undef, 'ON'],
			['$arg_flag', $variable, undef, 'Off']]
	} qw/ cors cors_allow_credentials cors_allow_private_network cors_preflight
		cors_override cors_enforce cors_dry_run /),

	['emerg', 'cors_max_age', "cors_allow_origin https://a.example;\n", '',
		['x', $time, undef, '0'],
		['-1', $time, undef, '600'],
		['10ms', $time, undef, '10m'],
		['99999999999999999999', $time, undef, '1h30m'],
		['$arg_age', $variable, undef, '86400'],
	],
	['warn', 'cors_max_age', "cors_allow_origin https://a.example;\n", '',
		['86401', $long, undef, '86400'],
		['2d', $long, undef, '1d'],
	],
	['emerg', 'cors_preflight_status', "cors_allow_origin https://a.example;\n",
		'',
		['201', 'is no status for a preflight; write 200 or 204', undef, '200'],
		['0204', 'is no status for a preflight; write 200 or 204', undef, '204'],
		['$arg_status', $variable, undef, '204'],
	],
	['emerg', 'cors_reject_status', "cors_allow_origin https://a.example;\n", '',
		['399', 'is no status for a refusal; write one from 400 to 599', undef,
			'400'],
		['600', 'is no status for a refusal; write one from 400 to 599', undef,
			'599'],
		['4e2', 'is no status for a refusal; write one from 400 to 599', undef,
			'404'],
	],
	['emerg', 'cors_log_level', "cors_allow_origin https://a.example;\n", '',
		['debug', 'is no level for denials; write info, notice, warn or error',
			undef, 'info'],
		['crit', 'is no level for denials; write info, notice, warn or error',
			undef, 'error'],
	],
	['emerg', 'cors_bypass', "cors_allow_origin https://a.example;\n", '',
		['$cors_status', $own, undef, '$arg_cors_status'],
		['a${CORS_ORIGIN}', $own, undef, '$http_origin$arg_a'],
		['$arg_a$cors_origin', $own, undef, '""'],
	],

	# Directives that stand twice

	(map {
		my ($name, $value) = @$_;
		["emerg", $name, "cors_allow_origin https://a.example;\n$name $value;\n",
			'',
			[$value, 'is duplicate; it may stand once in a block', undef, undef,
				$name]]
	} ['cors', 'on'], ['cors_allow_credentials', 'on'], ['cors_max_age', '1h'],
		['cors_allow_private_network', 'on'], ['cors_preflight', 'off'],
		['cors_preflight_status', '204'], ['cors_override', 'on'],
		['cors_enforce', 'on'], ['cors_reject_status', '403'],
		['cors_dry_run', 'on'], ['cors_log_level', 'warn']),

	# Directives without an origin

	(map {
		my ($name, $value) = @$_;
		["warn", $name, '', '',
			[$value, $no_effect, undef, undef, $name]]
	} ['cors_allow_methods', 'PUT'], ['cors_allow_headers', 'X-Own'],
		['cors_allow_credentials', 'on'], ['cors_expose_headers', 'X-Own'],
		['cors_max_age', '1h'], ['cors_allow_private_network', 'on'],
		['cors_preflight', 'off'], ['cors_preflight_status', '200'],
		['cors_override', 'off'], ['cors_bypass', '$arg_a'],
		['cors_reject_status', '404'], ['cors_dry_run', 'on'],
		['cors_log_level', 'warn']),
);

my $rows = 0;
my $suggestions = 0;
my $neighbours = 0;

for my $block (@blocks) {
	my (undef, undef, undef, undef, @table) = @$block;
	$rows += @table;
	$suggestions += grep { defined $_->[2] } @table;
	$neighbours += grep { defined $_->[3] } @table;
}

my $t = Test::Nginx->new()->has(qw/ http rewrite /)
	->plan($rows + $suggestions + $neighbours);

my $conf = <<'EOT';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
            LOCATION
        }
    }
}

EOT

$t->write_file_expand('nginx.conf', $conf =~ s/LOCATION$/return 204;/mr);
$t->run();

###############################################################################

for my $block (@blocks) {
	my ($level, $name, $before, $after, @table) = @$block;
	my $failed = $level eq 'emerg' ? 1 : 0;

	for my $row (@table) {
		my ($value, $reason, $instead, $right, $shown) = @$row;

		my $config = "$before$name $value$after;";

		$shown //= $value =~ s/^"(.*)"$/$1/r =~ s/\xff/\xef\xbf\xbd/r;

		my $message = "\"$shown\" $reason";
		$message = "$name: $message" unless $reason eq $no_effect;
		$message .= ": write \"$instead\"" if defined $instead;

		is(test_of($t, $conf, $config), "$failed $level $message in HERE",
			'said: ' . title($config));

		is(test_of($t, $conf, "$before$name $instead$after;"), '0',
			'instead: ' . title($config)) if defined $instead;

		is(test_of($t, $conf, "$before$name $right$after;"), '0',
			'neighbour: ' . title("$before$name $right$after;"))
			if defined $right;
	}
}

###############################################################################

sub title {
	my ($config) = @_;

	return substr $config =~ s/\n/ /gr =~ s/[^ -~]/?/gr, 0, 75;
}

# The exit status of nginx -t, and each of its messages with its level, and
# with "HERE" for the line on which what is tested ends.
sub test_of {
	my ($t, $conf, $config) = @_;

	$t->write_file_expand('nginx.conf',
		$conf =~ s/LOCATION$/$config # HERE/mr);

	my ($before) = $t->read_file('nginx.conf') =~ /^(.*)# HERE/s;
	my $line = 1 + ($before =~ tr/\n//);

	my $dir = $t->testdir();
	my $said = `$Test::Nginx::NGINX -t -p $dir/ -c nginx.conf -e error.log 2>&1`;
	my $status = $? >> 8;

	my @messages = map { s/ in \S*nginx\.conf:$line$/ in HERE/r }
		map { /^nginx: \[(\w+)\] (.*)/ ? "$1 $2" : () } split /\n/, $said;

	return join ' ', $status, @messages;
}

###############################################################################
