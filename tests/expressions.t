#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for cors_allow_origin_regex.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

use Time::HiRes qw/ time /;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->plan(68);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /anchored {
            cors_allow_origin_regex ^https://pr-\d+\.example\.com$;
            return 200;
        }

        location /bare {
            cors_allow_origin_regex https://pr-\d+\.example\.com;
            return 200;
        }

        location /either {
            cors_allow_origin_regex https://a\.example|https://a\.example\.org;
            return 200;
        }

        location /either-anchored {
            cors_allow_origin_regex ^https://a\.example$|^https://b\.example$;
            return 200;
        }

        location /several {
            cors_allow_origin_regex ^https://a\.example$ ^https://b\.example$;
            cors_allow_origin_regex "^https://[a-z]{2}\.example\.org(:\d+)?$";
            return 200;
        }

        location /beside {
            cors_allow_origin       https://app.example.com null;
            cors_allow_origin_regex ^https://\w+\.example\.org$;
            cors_allow_origin       https://*.example.net;
            return 200;
        }

        location /case {
            cors_allow_origin_regex (?i)^HTTPS://UP\.EXAMPLE$;
            return 200;
        }

        location /any {
            cors_allow_origin_regex .*;
            return 200;
        }

        location /slow {
            cors_allow_origin_regex ^https://(([a-z]+)+)+\.example\.com$;
            return 200;
        }

        location /large {
            cors_allow_origin https://app.example.com;
            cors_allow_origin_regex "https://.*a.{30}" ^https://b\.example$;
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
	map { "cors_allow_origin_regex ^https://\\w+\\.tenant-$_\\.example\$;" }
		1 .. 1000);

$t->run();

###############################################################################

for my $uri ('/anchored', '/bare') {
	is_allowed($uri, 'matches', "https://pr-1.example.com\n"
		. "https://pr-123.example.com\n");
	is_denied($uri, 'must match the whole origin', <<'EOF');
https://pr-.example.com
https://pr-1.example.com.evil.example
https://pr-1.example.com:8443
https://pr-1.example.community
xhttps://pr-1.example.com
http://pr-1.example.com
https://pr-1xexample.com
https://pr-1.example.com.
EOF
}

is_allowed('/either', 'the whole of an alternative', <<'EOF');
https://a.example
https://a.example.org
EOF

is_denied('/either', 'the whole of an alternative', <<'EOF');
https://a.example.net
https://a.example.org.evil.example
https://a.examplehttps://a.example.org
EOF

is_allowed('/either-anchored', 'anchors in alternatives', <<'EOF');
https://a.example
https://b.example
EOF

is_denied('/either-anchored', 'anchors in alternatives', <<'EOF');
https://a.example.evil
https://b.example:8443
EOF

is_allowed('/several', 'one or more expressions', <<'EOF');
https://a.example
https://b.example
https://ab.example.org
https://ab.example.org:8443
EOF

is_denied('/several', 'one or more expressions', <<'EOF');
https://c.example
https://abc.example.org
https://ab.example.org:443
EOF

is_allowed('/beside', 'together with cors_allow_origin', <<'EOF');
https://app.example.com
null
https://a.example.org
https://a.b.example.net
EOF

is_denied('/beside', 'together with cors_allow_origin', <<'EOF');
https://example.net
https://a.b.example.org
EOF

is_allowed('/case', 'flags of the syntax', "https://up.example\n");
is_denied('/case', 'never anything but a well-formed origin',
	"HTTPS://UP.EXAMPLE\nhttps://Up.example\n");
is_denied('/any', 'never anything but a well-formed origin',
	"null\nhttps://a/\nhttps://a b\na\nhttps://a:443\n");
is(cors(get('/any', '')), '200 ' . VARY,
	'never anything but a well-formed origin: an empty field');

is_allowed('/large', 'an automaton that is built while it matches', <<'EOF');
https://app.example.com
https://b.example
https://abbbbbbbbbbbbbbbbbbbbbbbbbb.com
https://xxabbbbbbbbbbbbbbbbbbbbbbb.com:80
EOF

is_denied('/large', 'an automaton that is built while it matches', <<'EOF');
https://abbbbbbbbbbbbbbbbbbbbbbbbb.com
https://xabbbbbbbbbbbbbbbbbbbbbbbbbbb.com
https://bbbbbbbbbbbbbbbbbbbbbbbbbb.com
https://Abbbbbbbbbbbbbbbbbbbbbbbbbb.com
null
EOF

my $start = time();
is_denied('/slow', 'no expression stalls a worker',
	'https://' . join('.', ('a' x 60) x 4) . "\n"
	. 'https://' . 'a' x 60 . ".example.net\n");
cmp_ok(time() - $start, '<', 2, 'no expression stalls a worker: time');

is_allowed('/many', 'a thousand expressions', <<'EOF');
https://a.tenant-1.example
https://b.tenant-500.example
https://c.tenant-1000.example
EOF

is_denied('/many', 'a thousand expressions', <<'EOF');
https://a.tenant-1001.example
https://a.b.tenant-1.example
EOF

###############################################################################
