#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for inheritance from level to level.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(49);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    cors_allow_origin          https://http.example;
    cors_allow_origin_regex    ^https://h\d\.http\.example$;
    cors_allow_methods         HTTP;
    cors_allow_headers         X-Http;
    cors_allow_credentials     on;
    cors_expose_headers        X-Http-Exposed;
    cors_max_age               1;
    cors_allow_private_network on;
    cors_reject_status         451;

    server {
        listen       127.0.0.1:8080;
        server_name  same;

        location / {
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  levels;

        cors_allow_methods    SERVER;
        cors_max_age          2;
        cors_preflight_status 200;

        location / {
        }

        location /origin {
            cors_allow_origin https://location.example;
        }

        location /origin_regex {
            cors_allow_origin_regex ^https://location\.example$;
        }

        location /methods {
            cors_allow_methods LOCATION;
        }

        location /headers {
            cors_allow_headers X-Location;
        }

        location /credentials {
            cors_allow_credentials off;
        }

        location /expose {
            cors_expose_headers X-Location-Exposed;
        }

        location /max_age {
            cors_max_age 3;
        }

        location /private_network {
            cors_allow_private_network off;
        }

        location /preflight {
            cors_preflight off;
            return 418;
        }

        location /preflight_status {
            cors_preflight_status 204;
        }

        location /reject_status {
            cors_reject_status 445;
        }

        location /bypass {
            cors_bypass 1;
            return 418;
        }

        location /dry_run {
            cors_dry_run on;
            return 418;
        }

        location /enforce {
            cors_enforce on;
            return 418;
        }

        location /own-headers {
            add_header X-Own yes always;
            proxy_set_header X-Own yes;
        }

        location /outer {
            cors_allow_methods OUTER;

            location /outer/inner {
                cors_allow_headers X-Inner;

                location /outer/inner/inmost {
                    cors_max_age 4;
                }
            }
        }

        location /off {
            cors off;
            return 418;

            location /off/inner {
                return 418;

                location /off/inner/on {
                    cors on;
                }
            }

            location /off/rule {
                cors_allow_origin https://location.example;
                return 418;
            }
        }

        location /if {
            cors_allow_methods IF;

            if ($arg_if) {
                set $true 1;
            }
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  off;

        cors off;

        location / {
            return 418;
        }

        location /on {
            cors on;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  override;

        cors_override off;
        cors_enforce  on;
        cors_dry_run  on;
        cors_bypass   1;

        location / {
            cors_override off;
            cors_enforce  off;
            cors_dry_run  off;
            cors_bypass   "";
            add_header Access-Control-Allow-Origin https://own.example;
            return 200;
        }

        location /override {
            cors_override on;
            cors_dry_run  off;
            cors_bypass   "";
            add_header Access-Control-Allow-Origin https://own.example;
            return 200;
        }
    }
}

EOF

$t->run();

###############################################################################

my %server = (
	status => 200,
	Credentials => 'true',
	Headers => 'X-Http',
	Methods => 'SERVER',
	Origin => 'https://http.example',
	'Private-Network' => 'true',
	Expose => 'X-Http-Exposed',
	Age => 2,
);

# cors_allow_private_network is on in http.
my $vary = PREFLIGHT_VARY . ', Access-Control-Request-Private-Network';

is(answer('same', '/'), expected(status => 204, Methods => 'HTTP', Age => 1),
	'server from http');
is(answer('same', '/', 'https://h1.http.example'),
	expected(status => 204, Methods => 'HTTP', Age => 1,
	Origin => 'https://h1.http.example'), 'server from http: expressions');
is(answer('same', '/', 'https://evil.example'), '451 ' . $vary,
	'server from http: denied');
is(answer('levels', '/'), expected(),
	'setting one directive does not lose the others: server');

my $location = 'https://location.example';

for (
	['/origin', Origin => $location],
	['/origin_regex', Origin => $location],
	['/methods', Methods => 'LOCATION'],
	['/headers', Headers => 'X-Location'],
	['/credentials', Credentials => undef],
	['/expose', Expose => 'X-Location-Exposed'],
	['/max_age', Age => 3],
	['/private_network', 'Private-Network' => undef],
	['/preflight_status', status => 204],
	['/reject_status'],
	['/own-headers'],
	['/enforce'],
	['/outer', Methods => 'OUTER'],
	['/outer/inner', Methods => 'OUTER', Headers => 'X-Inner'],
	['/outer/inner/inmost', Methods => 'OUTER', Headers => 'X-Inner', Age => 4],
	['/off/inner/on'],
	['/if', Methods => 'IF'],
	['/if?if=1', Methods => 'IF'],
)
{
	my ($uri, %own) = @$_;

	is(answer('levels', $uri, $own{Origin}), expected(%own),
		"setting one directive does not lose the others: $uri");
}

# The origin rules inherit as one unit

for my $uri ('/origin', '/origin_regex') {
	is(answer('levels', $uri, $_), '451 ' . $vary,
		"any origin rule replaces all inherited ones: $uri $_")
		for 'https://http.example', 'https://h1.http.example';
}

is(answer('levels', '/methods', 'https://h1.http.example'),
	expected(Methods => 'LOCATION', Origin => 'https://h1.http.example'),
	'the other directives replace no origin rule');
is(answer('levels', '/reject_status', 'https://evil.example'),
	'445 ' . $vary, 'cors_reject_status replaced');

# What has no answer of its own

for my $uri ('/preflight', '/bypass', '/dry_run', '/off', '/off/inner',
	'/off/rule')
{
	is(answer('levels', $uri, $_), $uri eq '/preflight' ? "418 $vary" : '418',
		"replaced or inherited: $uri")
		for $location, 'https://http.example';
}

is(answer('levels', '/off/inner/on', 'https://evil.example'),
	'451 ' . $vary, 'cors on again');

is(cors(get('/enforce', 'https://evil.example', 'Host: levels')), '451 ' . VARY,
	'cors_enforce alone');
is(cors(get('/x', 'https://evil.example', 'Host: levels')), '404 ' . VARY,
	'no cors_enforce on the level above');

is(answer('off', '/'), '418', 'cors off for a server');
is(answer('off', '/on'), expected(status => 204, Methods => 'HTTP', Age => 1),
	'cors off for a server, on in a location');

my $credentials = '-Allow-Credentials: true; -Allow-Origin: '
	. 'https://http.example; -Expose-Headers: X-Http-Exposed; ' . VARY;
my $own = '200 -Allow-Origin: https://own.example; ' . VARY;

is(cors(get('/', 'https://http.example', 'Host: override')), $own,
	'cors_override off');
is(cors(get('/override', 'https://http.example', 'Host: override')),
	"200 $credentials", 'cors_override on again');
is(cors(get('/override', 'https://evil.example', 'Host: override')),
	'451 ' . VARY, 'cors_enforce of the server');
is(cors(get('/', 'https://evil.example', 'Host: override')), $own,
	'cors_enforce off again');

###############################################################################

sub answer {
	my ($host, $uri, $origin) = @_;

	return cors(preflight($uri, $origin // 'https://http.example', 'PUT',
		undef, "Host: $host", 'Access-Control-Request-Private-Network: true'));
}

# The answer of the server to a preflight, with what a location sets.
sub expected {
	my %answer = (%server, @_);

	my @fields = map { defined $$_[1] ? "-$$_[0]: $$_[1]" : () } (
		['Allow-Credentials', $answer{Credentials}],
		['Allow-Headers', $answer{Headers}],
		['Allow-Methods', $answer{Methods}],
		['Allow-Origin', $answer{Origin}],
		['Allow-Private-Network', $answer{'Private-Network'}],
		['Expose-Headers', $answer{Expose}],
		['Max-Age', $answer{Age}],
	);

	return "$answer{status} " . join '; ', @fields,
		defined $answer{'Private-Network'} ? $vary : PREFLIGHT_VARY;
}

###############################################################################
