#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what nginx -t says of each mistake that the module knows: the exit
# status, the message with its line, what to write instead, which then passes,
# and that a neighbour which is right passes without a word.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Messages;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $label = 'a' x 63;
my $regex = 'cors_allow_origin_regex ';

# A row: the value, the code of the message and what differs in it from case to
# case, what to write instead, and a neighbour that is right; at its end, the
# value in the message if it is another. Before each block of rows: the level of the messages, the
# directive, and what stands before and after it.

my @blocks = (

	# Origins: errors

	['emerg', 'cors_allow_origin', '', '',
		['example.com', 'no-scheme', 'https://example.com',
			'https://example.com'],
		['localhost:3000', 'no-scheme', 'http://localhost:3000',
			'http://localhost:3000'],
		['//example.com', 'no-scheme', 'https://example.com',
			'capacitor://example.com'],
		['https:/example.com', 'no-scheme',
			'https://example.com', 'https://example.com'],
		['*.example.com', 'no-scheme', 'https://*.example.com',
			'https://*.example.com'],
		['NULL', 'no-scheme', 'null', 'null'],
		['1s://example.com', 'bad-scheme', undef,
			's1://example.com'],
		['a' x 65 . '://example.com', 'bad-scheme',
			undef, 'a' x 64 . '://example.com'],
		['https://example.com/', 'trailing-slash',
			'https://example.com', 'https://example.com'],
		['https://example.com/app', 'path', 'https://example.com',
			'https://app.example.com'],
		['https://example.com?a=b', 'query', 'https://example.com',
			'https://example.com'],
		['"https://example.com#a"', 'fragment',
			'https://example.com', 'https://example.com'],
		['https://me:pw@example.com', 'user-info',
			'https://example.com', 'https://example.com'],
		['https://Example.com', 'upper-case',
			'https://example.com', 'https://example.com'],
		['HTTPS://example.com', 'upper-case',
			'https://example.com', 'https://example.com'],
		["https://m\xc3\xbcnchen.example", 'not-ascii',
			'https://xn--mnchen-3ya.example', 'https://xn--mnchen-3ya.example'],
		["https://*.m\xc3\x9cnchen.example", 'not-ascii',
			'https://*.xn--mnchen-3ya.example',
			'https://*.xn--mnchen-3ya.example'],
		['https://xn--a.example', 'bad-punycode',
			undef, 'https://xn--4ca.example'],
		['https://xn--mnchen-psa.example', 'bad-punycode',
			'https://xn--mnchen-3ya.example',
			'https://xn--mnchen-3ya.example'],
		['https://example.com:443', 'default-port',
			'https://example.com', 'https://example.com:80'],
		['http://example.com:80', 'default-port',
			'http://example.com', 'http://example.com:443'],
		['https://*.example.com:443', 'default-port', 'https://*.example.com',
			'https://*.example.com:8443'],
		['https://example.com:', 'no-port', 'https://example.com',
			'https://example.com:*'],
		['https://example.com:0', 'port-range', undef,
			'https://example.com:1'],
		['https://example.com:65536', 'port-range', undef,
			'https://example.com:65535'],
		['https://example.com:08443', 'port-zeros',
			'https://example.com:8443', 'https://example.com:8443'],
		['https://example.com:http', 'bad-port', undef,
			'https://example.com:8080'],
		['https://', 'no-host', undef, 'https://a'],
		['https://a..example', 'empty-label', undef,
			'https://a.example.'],
		['https://.example', 'empty-label', 'https://example https://*.example',
			'app://.'],
		['https://.', 'empty-label', undef, 'electron://.'],
		["https://${label}a.example", 'long-label', undef, "https://$label.example"],
		['https://' . 'abc.' x 63 . 'ab', 'long-host',
			undef, 'https://' . 'abc.' x 63 . 'a',
			'https://' . 'abc.' x 62 . '...'],
		['https://exa%6dple.com', 'bad-host',
			'https://example.com', 'https://ex_am-ple.com'],
		['http://1', 'ipv4-form',
			'http://0.0.0.1', 'http://1.example'],
		['http://127.1', 'ipv4-form', 'http://127.0.0.1', 'http://127.0.0.1'],
		['http://0x7f.0.0.1:8080', 'ipv4-form',
			'http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
		['http://1.2.3.256', 'bad-ipv4', undef, 'http://1.2.3.255'],
		['http://[0:0:0:0:0:0:0:1]', 'ipv6-form',
			'http://[::1]', 'http://[::1]'],
		['http://[::ffff:127.0.0.1]', 'ipv6-form', 'http://[::ffff:7f00:1]',
			'http://[::ffff:7f00:1]'],
		['http://[::1', 'bad-ipv6', undef,
			'http://[::1]:3000'],
		['file:///home', 'file-scheme', undef, 'null'],
		['https://*', 'wildcard', undef, 'https://*.example.com'],
		['https://www.*.com', 'wildcard', undef, 'https://*.www.example.com'],
		['https://*example.com', 'wildcard', 'https://*.example.com',
			'https://*.example.com'],
		['*://example.com', 'wildcard', undef, 'https://example.com:*'],
		['http://localhost:30*', 'wildcard', undef, 'http://localhost:*'],
				['http://*.127.0.0.1', 'wildcard-address', undef, 'http://127.0.0.1:*'],
		['^https://\w+\.example\.com$', 'is-expression: ' . $regex
			. '^https://\w+\.example\.com$', undef, '$arg_a'],
		['https://.*\.example\.com', 'is-expression: ' . $regex
			. '^https://.*\.example\.com$', undef,
			'https://*.example.com:*'],
		['"https://(a|b).example.com"', 'is-expression: ' . $regex
			. '^https://(a|b)\.example\.com$', undef,
			'"https://a.example.com , https://b.example.com"'],
		['https://[a-z]+.example.com', 'is-expression: ' . $regex
			. '^https://[a-z]+\.example\.com$', undef, 'http://[::a]'],
		['regex:https://a.example', 'is-expression: ' . $regex
			. '^https://a\.example$', undef, 'regex://a.example'],
		['~^https://[', 'is-expression: it in cors_allow_origin_regex', undef,
			'http://[::a]'],
		['* always', 'always', undef, '*', 'always'],
		['https://a.example always', 'always',
			undef, 'https://always', 'always'],
		['all', 'everything-word', undef, '*'],
		['any', 'everything-word', undef, 'https://any'],
		['true', 'everything-word', undef, 'https://true'],
		['.*', 'everything-word', undef, '*'],
		['none', 'nothing-word', undef, 'https://none'],
		['self', 'self-word', undef, 'https://self'],
		['"\'self\'"', 'self-word', undef, 'https://a.example'],
		['<origin>', 'placeholder', undef, 'https://a.example'],
		['"{{origin}}"', 'placeholder', undef, undef],
		['%ORIGIN%', 'placeholder', undef, 'https://a.example'],
		['"\'https://a.example\'"', 'quotes', 'https://a.example',
			"'https://a.example'"],
		['"https://a.example|https://b.example"', 'separated',
			'https://a.example https://b.example',
			'https://a.example , https://b.example'],
		['"a.example;b.example"', 'separated',
			'https://a.example https://b.example', undef],
		['Access-Control-Allow-Origin', 'header-name', undef,
			'https://access-control-allow-origin'],
		['https?://a.example', 'two-schemes',
			'https://a.example http://a.example', 'https://a.example'],
		['http(s)://*.a.example', 'two-schemes',
			'https://*.a.example http://*.a.example', 'https://*.a.example'],
		['data:', 'opaque-scheme', undef, 'null'],
		['about:blank', 'opaque-scheme', undef, 'https://about'],
		['blob:https://a.example', 'blob', 'https://a.example',
			'https://a.example'],
		['wss://app.example.com', 'web-socket-scheme',
			'https://app.example.com',
			'https://app.example.com'],
		['ws://*.example.com:8080', 'web-socket-scheme',
			'http://*.example.com:8080', 'wsx://app.example.com'],
		['file://a.example', 'file-scheme', undef, 'file://'],
		['file:', 'file-scheme', undef, 'files://a.example'],
		['https://https://a.example', 'path', 'https://a.example',
			'https://a.example'],
		['.example.com', 'no-scheme',
			'https://example.com https://*.example.com', 'https://example.com'],
		['192.168.0.0/16', 'no-scheme', undef, 'https://192.168.0.0'],
		['https://a.example ""', 'empty', undef, 'https://a.example', ''],
		['$cors_origin', 'own-variable', undef, '$arg_cors_origin'],
		['a${cors_status}', 'own-variable', undef, '$http_cors_status'],
	],

	['emerg', 'cors_allow_origin', '', ' https://a.example',
		['*', 'any-not-alone', undef, 'https://b.example'],
		['*', 'any-not-alone', undef, 'null'],
	],
	['emerg', 'cors_allow_origin', "cors_allow_origin_regex ^app://.+\$;\n", '',
		['*', 'any-not-alone', undef, 'https://b.example'],
	],
	['emerg', 'cors_allow_origin', '', ' $arg_a',
		['*', 'any-not-alone', undef, 'null'],
	],
	['emerg', 'cors_allow_origin', "cors_allow_credentials on;\n", '',
		['*', 'any-with-credentials', undef, 'app://.'],
		['https://*.com', 'public-suffix-with-credentials',
			undef, 'https://*.example.com'],
		['https://*.github.io', 'public-suffix-with-credentials',
			undef, 'https://*.a.github.io'],
		['https://*.co.uk:8443', 'public-suffix-with-credentials',
			undef, 'https://*.a.co.uk:8443'],
		['https://*.ck', 'public-suffix-with-credentials',
			undef, 'https://*.a.b.ck'],
		['http://*.com', 'public-suffix-with-credentials',
			undef, 'https://*.internal'],
	],

	# Origins: warnings

	['warn', 'cors_allow_origin', "cors_allow_credentials on;\n", '',
		['http://example.com', 'insecure-with-credentials',
			undef, 'https://example.com'],
		['http://192.168.1.1:3000', 'insecure-with-credentials',
			undef, 'http://127.0.0.1:3000'],
		['http://*.example.com', 'insecure-with-credentials',
			undef, 'http://*.localhost:*'],
		['http://localhost.example', 'insecure-with-credentials',
			undef, 'http://localhost'],
		['http://[::2]', 'insecure-with-credentials', undef, 'http://[::1]'],
		['http://128.0.0.1', 'insecure-with-credentials',
			undef, 'http://127.255.255.254'],
		['$http_origin', 'any-origin-with-credentials', undef, '$arg_origin'],
		['"https://a.example ${http_origin}"', 'any-origin-with-credentials',
			undef,
			'https://$http_host'],
	],
	['warn', 'cors_allow_origin', "cors_allow_credentials on;\n", '',
		['null', 'null-with-credentials', undef, 'file://'],
		['null https://a.example', 'null-with-credentials', undef, 'app://null',
			'null'],
		['htps://a.example', 'misspelt-scheme', 'https://a.example',
			'https://a.example'],
		['http://a.example http://b.example', 'insecure-with-credentials',
			undef,
			'https://a.example http://localhost', 'http://a.example'],
	],
	['warn', 'cors_allow_origin', '', '',
		['""', 'empty-origins', undef, 'https://a.example'],
		['" , "', 'empty-origins', undef, '"https://a.example ,"'],
		[', ,', 'empty-origins', undef, 'https://a.example , https://b.example',
			','],
		['https://*.com', 'public-suffix', undef, 'https://*.example.com'],
		['https://*.github.io', 'public-suffix',
			undef, 'https://*.a.github.io'],
		['https://*.com:*', 'public-suffix', undef, 'https://*.internal:*'],
		['http://*.co.uk', 'public-suffix', undef, 'http://*.localhost'],
		['https://*.xn--p1ai', 'public-suffix', undef, 'https://*.lan'],
	],
	['warn', 'cors_allow_origin', '', ' https://b.example null',
		['"https://a.example https://a.example"', 'duplicate', undef,
			'"https://a.example https://a.example:8443"', 'https://a.example'],
		['"null,null"', 'duplicate', undef, 'https://c.example',
			'null'],
		['"https://*.a.example, https://*.a.example"', 'duplicate',
			undef, '"https://*.a.example, https://a.example"',
			'https://*.a.example'],
	],

	# Expressions

	['emerg', 'cors_allow_origin_regex', '', '',
		['"^https://(a"', 'expression: unclosed group at character 10',
			undef, '"^https://(a)"'],
		['"^https://[b-a]$"', 'expression: invalid character class range, the '
			. 'start must be <= the end at character 11', undef,
			'"^https://[a-b]$"'],
		['^https://(?!evil)\w+$', 'expression-lookaround: look-around, including '
			. 'look-ahead and look-behind, is not supported at character 10', undef, '^https://(?:good)\w+$'],
		['^https://(a)\1$', 'expression-lookaround: backreferences are not '
			. 'supported at character 13', undef, '^https://(a)a$'],
		['"^https://(\w{1000}){1000}$"', 'expression-too-large',
			undef, '"^https://(\w{10}){20}$"'],
		["^https://\xff\$", 'expression-not-utf8', undef, '^https://f$'],
		['""', 'empty', undef, '^https://a$'],
		['^https://a$ always', 'always', undef, '^https://a$ , ^https://b$',
			'always'],
		['*', 'is-pattern', undef, '.*'],
		['*.example.com', 'is-pattern', undef, '.*\.example\.com'],
		['https://*.example.com', 'is-pattern', undef,
			'https://.*\.example\.com'],
		['^wss://app\.example\.com$', 'web-socket-scheme',
			'^https://app\.example\.com$', '^\w+://app\.example\.com$'],
		['^wss?://app\.example\.com$', 'web-socket-scheme',
			'^https?://app\.example\.com$', '^https?://app\.example\.com$'],
	],
	['emerg', 'cors_allow_origin_regex', "cors_allow_origin *;\n", '',
		['^https://a$', 'any-not-alone', undef, undef, '*'],
	],

	['warn', 'cors_allow_origin_regex', '', '',
		['^https://app.example\.com$', 'unescaped-dot',
			'^https://app\.example\.com$',
			'^https://app\.example\.com$'],
		['^https://\w+.example.com$', 'unescaped-dot',
			'^https://\w+\.example\.com$',
			'^https://.*\.example\.com$'],
		['^https://(a|b).example\.com$', 'unescaped-dot',
			'^https://(a|b)\.example\.com$',
			'^https://(a|b)[.]example[.]com$'],
		['^app\.example\.com$', 'never-matches', '^https://app\.example\.com$',
			'^\w+://app\.example\.com$'],
		['app\.example\.com', 'never-matches', '^https://app\.example\.com',
			'.*app\.example\.com'],
		['^https://Example\.com$', 'never-matches',
			'^https://example\.com$', '(?i)^https://Example\.com$'],
		['^https://example\.com/$', 'never-matches',
			'^https://example\.com$', '^https://example\.com(/|$)'],
		['~^https://a\.example$', 'tilde', '^https://a\.example$',
			'^https://a\.example$'],
		['~*^https://.+\.example\.com$', 'tilde', '^https://.+\.example\.com$',
			'^https://.+\.example\.com$'],
		['"https://.*a.{30}"', 'expression-lazy', undef, '"https://.*a.{3}"'],
		['/^https:\/\/a\.example$/i', 'never-matches', '^https://a\.example$',
			'^https:\/\/a\.example$'],
		['"\'^https://a\.example$\'"', 'never-matches', '^https://a\.example$',
			'^https://[a]\.example$'],
		['regex:^https://a\.example$', 'never-matches', '^https://a\.example$',
			'^regex://a\.example$'],
		['^https://a\.example$,', 'never-matches', '^https://a\.example$',
			'^https://a\.example$ ,'],
		['^null$', 'never-matches', undef, '^app://null$'],
		['^file://$', 'never-matches', undef, '^app://\.$'],
		['^file://.*$', 'never-matches', undef, '^files?://.*$'],
	],
	['warn', 'cors_allow_origin_regex', '', ' ^https://a$',
		['^https://a$', 'duplicate', undef, '^https://b$'],
	],
	['warn', 'cors_allow_origin_regex', "cors_allow_credentials on;\n", '',
		['.*', 'any-origin-with-credentials',
			undef, '^https://.*\.example\.com$'],
		['^https?://[^/]+$', 'any-origin-with-credentials',
			undef, '^https://[^.]+$'],
		['^https://.*$', 'any-origin-with-credentials',
			undef, '^https://.*\.a\.example$'],
		['^https?://\w+\.\w+$', 'any-origin-with-credentials',
			undef, '^https://\w+\.a\.example$'],
		['^http://.+:\d+$', 'any-origin-with-credentials',
			undef, '^http://localhost:\d+$'],
		['^https://www\..*$', 'any-origin-with-credentials',
			undef, '^https://www\.a\.example$'],
	],
	['warn', 'cors_allow_origin_regex', "cors_allow_credentials on;\n", '',
		map {
			my ($expression, $example, $right, $shown) = @$_;
			[$expression, "open-domain-with-credentials: $example", undef, $right,
				$shown]
		} (
			['^https://.*\.netlify\.app$', 'https://x.netlify.app',
				'^https://.*\.a\.netlify\.app$'],
			['^https://[a-z-]+\.github\.io$', 'https://x.github.io',
				'^https://(a|b)\.github\.io$'],
			['^https://.*\.co\.uk$', 'https://x.co.uk',
				'^https://.*\.a\.co\.uk$'],
			['^https://.*example\.com$', 'https://xexample.com',
				'^https://([a-z0-9-]+\.)?example\.com$'],
			['^https://example.*\.com$', 'https://examplex.com',
				'^https://.*\.example\.com$'],
			['^https://example-.*\.com$', 'https://example-x.com',
				'^https://a-.*\.example\.com$'],
			['^https://[a-z]+\.com$', 'https://x.com',
				'^https://pr-\d+\.preview\.example\.dev$'],
			['^https://(.+\.)?[a-z]+\.example$', 'https://x.example',
				'^https://(.+\.)?[a-z]+\.a\.example$'],
			['^https://example\.[a-z]+$', 'https://example.com',
				'^https://example\.(com|net|org|co\.uk)$'],
			['^https://[a-z]+\.com$ ^https://[a-z]+\.net$', 'https://x.com',
				'^https://[a-z]+\.internal$', '^https://[a-z]+\.com$'],
		)
	],
	['warn', 'cors_allow_origin_regex', "cors_allow_credentials on;\n", '',
		['^https?://app\.example\.com$', 'insecure-with-credentials', undef,
			'^https?://localhost(:\d+)?$'],
		['^http://.+\.example\.com$', 'insecure-with-credentials', undef,
			'^http://.+\.localhost$'],
		['.*\.example\.com', 'insecure-with-credentials', undef,
			'https://.*\.example\.com'],
		['^http://192\.168\.\d+\.\d+(:\d+)?$', 'insecure-with-credentials',
			undef, '^https://192\.168\.\d+\.\d+$'],
		['^http://10\.0\.0\.1$', 'insecure-with-credentials', undef,
			'^http://(127\.0\.0\.1|\[::1\]):\d+$'],
		['^chrome-extension://.*$', 'any-extension-with-credentials', undef,
			'^chrome-extension://(a|b)cdefghijklmnopabcdefghijklmnop$'],
		['^moz-extension://.+$', 'any-extension-with-credentials', undef,
			'^app://.*$'],
		['^(chrome|moz)-extension://[a-z0-9-]+$', 'any-extension-with-credentials',
			undef, '^(capacitor|ionic)://localhost$'],
	],

	# Methods

	['emerg', 'cors_allow_methods', "cors_allow_origin https://a.example;\n", '',
		['get', 'method-case', 'GET', 'GET'],
		['patch', 'method-case', 'PATCH', 'PATCH'],
		['Delete', 'method-case', 'DELETE', 'PROPFIND'],
		['options', 'method-case', 'OPTIONS', 'x-own'],
		['CONNECT', 'forbidden-method', undef, 'CONNECTED'],
		['TRACE', 'forbidden-method', undef, 'PUT'],
		['track', 'forbidden-method', undef, 'tracks'],
		['P@T', 'not-method', undef, 'P-T'],
		['(put)', 'not-method', 'PUT', 'PUT'],
		['$arg_method', 'variable', undef, '*'],
		['$http_access_control_request_method', 'request-variable', '*', '*'],
		['PUT always', 'always', undef, 'PUT Always', 'always'],
		['"GET|POST|PUT"', 'separated', 'GET POST PUT', 'PUT , DELETE'],
		['GET/PUT', 'separated', 'GET PUT', 'GET'],
		['any', 'everything-word', undef, '*'],
		['none', 'nothing-word', undef, 'HEAD'],
		['"\'PUT\'"', 'quotes', 'PUT', "'PUT'"],
		['P*', 'part-of-name', undef, 'P'],
		['%METHODS%', 'placeholder', undef, 'METHODS'],
		['Access-Control-Allow-Methods', 'header-name', undef, 'PUT'],
		['""', 'empty', undef, '"GET, POST, OPTIONS"'],
		['" , "', 'empty', undef, '"PUT,"'],
	],
	['emerg', 'cors_allow_methods', "cors_allow_origin https://a.example;\n",
		' PUT',
		['*', 'any-not-alone', undef, 'PATCH'],
	],
	['warn', 'cors_allow_methods', "cors_allow_origin https://a.example;\n",
		' PUT',
		['PUT', 'duplicate', undef, 'POST'],
	],

	# Request headers

	['emerg', 'cors_allow_headers', "cors_allow_origin https://a.example;\n", '',
		['X:Own', 'not-header', undef, 'X-Own'],
		['Content-Type:', 'not-header', 'Content-Type', 'Content-Type'],
		['$http_access_control_request_headers', 'request-variable', '*', '*'],
		['"X-Own,${http_access_control_request_headers}"', 'request-variable',
			'*',
			'X-Own', '${http_access_control_request_headers}'],
		['X-Own always', 'always', undef, 'X-Own , X-Other', 'always'],
		['x-amz-*', 'part-of-name', undef, 'x-amz-date *'],
		['"X-A|X-B"', 'separated', 'X-A X-B', 'X-A-B'],
		['"X-A;X-B"', 'separated', 'X-A X-B', '"X-A,X-B"'],
		['all', 'everything-word', undef, '*'],
		['<headers>', 'placeholder', undef, 'X-Headers'],
		['a' x 257, 'not-header', undef, 'a' x 256,
			'a' x 256 . '...'],
		['$arg_name', 'variable', undef, '*'],
		['""', 'empty', undef, '"* Authorization"'],
	],
	['warn', 'cors_allow_headers', "cors_allow_origin https://a.example;\n",
		' X-Own',
		['x-own', 'duplicate', undef, 'x-other', 'X-Own'],
		['DNT', 'forbidden-request-header', undef, 'User-Agent'],
		['cookie', 'forbidden-request-header', undef, 'X-Cookie'],
		['Sec-Fetch-Site', 'forbidden-request-header',
			undef, 'X-Sec-Fetch-Site'],
		['Proxy-Authorization', 'forbidden-request-header',
			undef, 'Authorization'],
		['Access-Control-Allow-Origin', 'protocol-header', undef, 'Access-Token'],
	],

	# Response headers

	['emerg', 'cors_expose_headers', "cors_allow_origin https://a.example;\n", '',
		['X@Own', 'not-header', undef, 'X-Own'],
		['ETag always', 'always', undef, 'ETag , Link', 'always'],
		['X-*', 'part-of-name', undef, '*'],
		['"ETag|Link"', 'separated', 'ETag Link', 'ETag Link'],
		['$arg_name', 'variable', undef, '*'],
		['""', 'empty', undef, 'ETag,Link'],
	],
	['emerg', 'cors_expose_headers', "cors_allow_origin https://a.example;\n",
		' X-Own',
		['*', 'any-not-alone', undef, 'ETag'],
	],
	['emerg', 'cors_expose_headers', "cors_allow_origin https://a.example;\n"
			. "cors_allow_credentials on;\n", '',
		['*', 'expose-any-with-credentials', undef, 'ETag'],
	],
	['warn', 'cors_expose_headers', "cors_allow_origin https://a.example;\n",
		' X-Own',
		['x-own', 'duplicate', undef, 'x-other', 'X-Own'],
		['Set-Cookie', 'forbidden-response-header', undef, 'X-Set-Cookie'],
		['Access-Control-Max-Age', 'protocol-header', undef, 'Age'],
	],

	# Values that stand alone

	(map {
		["emerg", $_, "cors_allow_origin https://a.example;\n", '',
			['maybe', 'not-flag', undef, 'on'],
			['1', 'not-flag', 'on', 'off'],
			['true', 'not-flag', 'on', 'on'],
			['False', 'not-flag', 'off', 'off'],
			['""', 'not-flag', undef, 'ON'],
			['$arg_flag', 'variable', undef, 'Off']]
	} qw/ cors cors_allow_credentials cors_allow_private_network cors_preflight
		cors_override cors_enforce cors_dry_run /),

	['emerg', 'cors_max_age', "cors_allow_origin https://a.example;\n", '',
		['x', 'not-time', undef, '0'],
		['-1', 'not-time', '0', '600'],
		['"1 hour"', 'not-time', '1h', '1h'],
		['10ms', 'not-time', undef, '10m'],
		['99999999999999999999', 'not-time', undef, '1h30m'],
		['$arg_age', 'variable', undef, '86400'],
	],
	['warn', 'cors_max_age', "cors_allow_origin https://a.example;\n", '',
		['86401', 'long-max-age', undef, '86400'],
		['2d', 'long-max-age', undef, '1d'],
	],
	['emerg', 'cors_preflight_status', "cors_allow_origin https://a.example;\n",
		'',
		['201', 'not-preflight-status', undef, '200'],
		['0204', 'not-preflight-status', undef, '204'],
		['$arg_status', 'variable', undef, '204'],
	],
	['emerg', 'cors_reject_status', "cors_allow_origin https://a.example;\n", '',
		['399', 'not-reject-status', undef,
			'400'],
		['600', 'not-reject-status', undef,
			'599'],
		['4e2', 'not-reject-status', undef,
			'404'],
	],
	['emerg', 'cors_log_level', "cors_allow_origin https://a.example;\n", '',
		['debug', 'not-log-level',
			undef, 'info'],
		['crit', 'not-log-level',
			undef, 'error'],
	],
	['emerg', 'cors_bypass', "cors_allow_origin https://a.example;\n", '',
		['$cors_status', 'own-variable', undef, '$arg_cors_status'],
		['a${CORS_ORIGIN}', 'own-variable', undef, '$http_origin$arg_a'],
		['$arg_a$cors_origin', 'own-variable', undef, '""'],
	],

	# Directives that stand twice

	(map {
		my ($name, $value) = @$_;
		["emerg", $name, "cors_allow_origin https://a.example;\n$name $value;\n",
			'',
			[$value, 'duplicate-directive', undef, undef,
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
			[$value, 'no-effect', undef, undef, $name]]
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

		my ($code, $differs) = split /: /, $reason, 2;
		my $message = message_of($name, $shown, $code, $instead, $differs);

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
		map { /^\w+: \[(\w+)\] (.*)/ ? "$1 $2" : () } split /\n/, $said;

	return join ' ', $status, @messages;
}

###############################################################################
