#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for origins: exact ones, patterns, "*", "null", and what is one at all.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(204);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    large_client_header_buffers 4 16k;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /exact {
            cors_allow_origin https://app.example.com
                              http://app.example.com:8080
                              chrome-extension://abcdefghijklmnop
                              capacitor://localhost tauri://localhost
                              http://10.0.0.1 http://[::1]
                              http://[::1]:3000 http://[::ffff:7f00:1]
                              https://xn--mnchen-3ya.example;
            return 200;
        }

        location /alike {
            cors_allow_origin https://aaaaaaaaaaaaaaaa.example;
            return 200;
        }

        location /both {
            cors_allow_origin https://aaaaaaaaaaaaaaaa.example https://aaaaaaaa0005f48f.example
                              http://b001d9f0eaaaaaaaa.example;
            return 200;
        }

        location /under {
            cors_allow_origin https://*.example.com;
            return 200;
        }

        location /under-port {
            cors_allow_origin https://*.example.com:8443;
            return 200;
        }

        location /under-any {
            cors_allow_origin https://*.example.com:*;
            return 200;
        }

        location /any-port {
            cors_allow_origin http://localhost:* http://[::1]:*
                              https://app.example.com:*;
            return 200;
        }

        location /star {
            cors_allow_origin *;
            return 200;
        }

        location /null {
            cors_allow_origin null https://app.example.com;
            return 200;
        }

        location /any {
            cors_allow_origin_regex .*;
            return 200;
        }

        location /many {
            include many.conf;
            return 200;
        }
    }
}

EOF

$t->write_file('many.conf', join "\n",
	(map { "cors_allow_origin https://tenant-$_.example;" } 1 .. 5000),
	(map { "cors_allow_origin https://*.group-$_.example;" } 1 .. 500), '');

$t->run();

###############################################################################

my $label = 'a' x 63;
my $host = join '.', ($label) x 3, 'a' x 61;	# 253 characters
my $scheme = 'a' x 64;

is_allowed('/exact', 'an exact origin', <<'EOF');
https://app.example.com
http://app.example.com:8080
chrome-extension://abcdefghijklmnop
capacitor://localhost
tauri://localhost
http://10.0.0.1
http://[::1]
http://[::1]:3000
http://[::ffff:7f00:1]
https://xn--mnchen-3ya.example
EOF

is_denied('/exact', 'compared byte for byte', <<'EOF');
http://app.example.com
https://app.example.com:8080
https://app.example.com:443
https://app.example.com/
https://app.example.com.
https://App.example.com
HTTPS://app.example.com
https://app.example.co
https://app.example.comm
https://app.example.com.evil.example
https://sub.app.example.com
https://xapp.example.com
app.example.com
chrome-extension://abcdefghijklmno
tauri://localhost:80
http://[0:0:0:0:0:0:0:1]
http://[::ffff:127.0.0.1]
http://[::1]:3001
null
EOF

# Three origins with one place in the table of exact origins, and one key there: see set.rs.

is_allowed('/alike', 'with one key: the listed one', 'https://aaaaaaaaaaaaaaaa.example');
is_denied('/alike', 'with one key: another one', <<'EOF');
https://aaaaaaaa0005f48f.example
http://b001d9f0eaaaaaaaa.example
EOF
is_allowed('/both', 'with one key: all are listed', <<'EOF');
https://aaaaaaaaaaaaaaaa.example
https://aaaaaaaa0005f48f.example
http://b001d9f0eaaaaaaaa.example
EOF

is_allowed('/under', 'one or more labels', <<'EOF');
https://a.example.com
https://a.b.example.com
https://a.b.c.d.example.com
https://xn--mnchen-3ya.example.com
EOF

is_denied('/under', 'not the host itself, no port, no other host', <<'EOF');
https://example.com
https://.example.com
https://a..example.com
https://aexample.com
https://a.example.com:8443
http://a.example.com
https://a.example.com.
https://a.example.com.evil.example
https://*.example.com
https://evil.example/.example.com
https://evil.example?.example.com
https://evil.example#.example.com
https://evil@a.example.com
https://A.example.com
null
EOF

is_allowed('/under-port', 'wildcard host with a port', <<'EOF');
https://a.example.com:8443
https://a.b.example.com:8443
EOF

is_denied('/under-port', 'wildcard host with a port', <<'EOF');
https://a.example.com
https://a.example.com:8444
https://example.com:8443
EOF

is_allowed('/under-any', 'wildcard host with any port', <<'EOF');
https://a.example.com
https://a.example.com:1
https://a.b.example.com:65535
EOF

is_denied('/under-any', 'wildcard host with any port', <<'EOF');
https://example.com:8443
https://a.example.com:0
https://a.example.com:443
https://a.example.com:65536
https://a.example.com:
https://a.example.com:x
EOF

is_allowed('/any-port', 'any port, and none', <<'EOF');
http://localhost
http://localhost:1
http://localhost:3000
http://localhost:65535
http://[::1]
http://[::1]:8080
https://app.example.com
https://app.example.com:80
EOF

is_denied('/any-port', 'any port of that host alone', <<'EOF');
https://localhost:3000
http://localhost:
http://localhost:0
http://localhost:80
http://localhost:080
http://localhost:65536
http://localhost:3000x
http://localhost.evil.example:3000
http://a.localhost:3000
http://127.0.0.1:3000
https://app.example.com:443
EOF

# "*"

is(cors(get('/star', $$_[1])), '200 -Allow-Origin: *',
	"'*' is every request: $$_[0]")
	for ['an origin', 'https://app.example.com'], ['null', 'null'],
		['no origin in it', 'not an origin'], ['nothing in it', ''],
		['a byte', "\xff"], ['long', 'x' x 5000],
		['almost an origin', 'https://App.example.com/'];

is(cors(get('/star', 'https://a.example', 'Origin: https://b.example')),
	'200 -Allow-Origin: *', "'*' is every request: two origins");
is(cors(get('/star')), '200 -Allow-Origin: *',
	"'*' is every request: no field");

# "null"

is_allowed('/null', 'null where it is named', "null\nhttps://app.example.com\n");
is_denied('/null', 'null is one name', "NULL\nNull\nnull.\nnull://\n"
	. "null, null\nnull https://app.example.com\n");
is_denied('/any', 'null never matches an expression', "null\n");

# On the wire

is_allowed('/any', 'what browsers send', <<"EOF");
https://a
http://a:443
https://a:80
https://a:1
https://a:65535
https://a.b.c
https://a.b.
https://a_b.-c-.0
https://1.2.3.4:8080
http://[::1]
http://[2001:db8::1]:8080
moz-extension://01234567-89ab-cdef-0123-456789abcdef
a+b-c.d1://a
$scheme://a
https://$label.a
https://$host
https://$host:8080
EOF

is_denied('/any', 'nothing else', <<"EOF");
a
a.example
://a
//a
https:
https:/a
https://
https:a
1https://a
+https://a
h_ttp://a
Https://a
a$scheme://a
https://A
https://a..b
https://.a
https://.
https://a..
https://a$label.a
https://a$host
https://a/
https://a/b
https://a?b
https://a#b
https://a\@b
https://a:b\@c
https://\@a
https://a:
https://a:0
https://a:01
https://a:080
https://a:65536
https://a:100000
https://a:99999999999999999999
https://a:-1
https://a:+1
https://a:1a
https://a:80:80
https://a:443
http://a:80
https://a b
https://a https://b
https://a, https://b
https://a,https://b
https://a;b
https://*
https://*.a
https://a%2eb
https://a\\b
https://a'b
https://a"b
https://a<b>
https://m\xc3\xbcnchen.example
https://\xff
https://::1
https://[]
https://[::1
https://::1]
https://[::1]a
https://[::1]:
https://[::A]
https://[::g]
https://[::1%25eth0]
https://[::1]]
https://[::1]:443
EOF

is(cors(get('/any', '')), '200 ' . VARY, 'an empty field is denied');

for (['https://a', 'https://a'], ['https://a', 'https://b'], ['', 'https://a'],
	['https://a', 'null'])
{
	is(cors(get('/any', $$_[0], "Origin: $$_[1]")), '200 ' . VARY,
		"a repeated field is denied: '$$_[0]' and '$$_[1]'");
}

is(cors(get('/exact', 'https://app.example.com',
	'Origin: https://app.example.com')), '200 ' . VARY,
	'a repeated field is denied: an exact origin');

is(cors(get('/exact', '', 'orIGIN: https://app.example.com')), '200 ' . VARY,
	'a repeated field is denied: names in any case');

is(cors(request('GET', '/exact', 'orIGIN: https://app.example.com')),
	'200 ' . allowed('https://app.example.com'), 'a field name in any case');

# Many

is_allowed('/many', 'thousands', "https://tenant-$_.example\n")
	for 1, 2500, 5000;
is_allowed('/many', 'hundreds of patterns', "https://a.group-$_.example\n")
	for 1, 500;
is_denied('/many', 'one more', <<'EOF');
https://tenant-5001.example
https://tenant-0.example
https://a.group-501.example
https://group-1.example
EOF

###############################################################################
