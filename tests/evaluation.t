#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what the evaluation of variables leaves behind: $1 and its like are
# those of the location, and a variable that is read for a later location is
# still what the first location makes of it.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite map /)->plan(68);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $http_origin $by_expression {
        "~^https://([a-z]+)\.one\.example$"  $http_origin;
    }

    map $arg_skip $by_argument {
        "~^(y)(e)s$"  1;
    }

    map $http_x $by_x {
        "~^(y)(e)s$"  "";
        default       "";
    }

    # These two take the captures for themselves.
    map $http_x $ending {
        "~^(.*)-(.*)$"  .example;
        default         .example;
    }

    map $http_x $fresh_ending {
        volatile;
        "~^(.*)-(.*)$"  .example;
        default         .example;
    }

    # This one sets a variable that locations set as well.
    map $http_x $named_ending {
        "~^(?<name>.*)-(.*)$"  .example;
        default                .example;
    }

    # And this one has $1 evaluated again, with the captures of the first one.
    map $1 $fresh_one {
        volatile;
        default  $1;
    }

    map "$ending$fresh_one" $again {
        default  .example;
    }

    # This one has those of the location.
    map $1 $same {
        default  $1;
    }

    map $chosen $by_choice {
        "~^(f)oo$"  https://foo.example;
        default     none;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location ~ ^/origin/(\d+)/(\w+)$ {
            cors_allow_origin  $by_expression;
            return             200 "$1 $2";
        }

        location ~ ^/bypass/(\d+)/(\w+)$ {
            cors_allow_origin  https://one.example;
            cors_bypass        $by_argument;
            return             200 "$1 $2";
        }

        location ~ ^/enforce/(\d+)/(\w+)$ {
            cors_allow_origin  $by_expression;
            cors_enforce       on;
            return             200 "$1 $2";
        }

        location ~ ^/second/(\w+)$ {
            cors_allow_origin  https://one.example;
            cors_bypass        $by_x $1;
            cors_enforce       on;
            return             200;
        }

        location ~ ^/value/(\w+)$ {
            cors_allow_origin  "${by_x}https://$1.example";
            return             200;
        }

        location ~ ^/beside/(\w+)$ {
            cors_allow_origin  "https://$1$ending";
            return             200 $1;
        }

        location ~ ^/fresh/(\w+)$ {
            cors_allow_origin  "https://$1$fresh_ending$fresh_ending";
            return             200 $1;
        }

        location ~ ^/same/(\w+)$ {
            cors_allow_origin  "https://$1$ending.$same";
            return             200 $1;
        }

        location ~ ^/named/(?<name>\w+)$ {
            cors_allow_origin  "https://$name$named_ending";
            return             200;
        }

        location ~ ^/back/(\w+)(/x)?$ {
            cors_allow_origin  "https://$1.example";
            rewrite            ^/back/one$ /back/two last;
            rewrite            ^/back/three$ /back/four/x last;
            return             200;

            location ~ ^/back/(\w+)/x$ {
                cors_expose_headers  X-Inner;
                return               200;
            }
        }

        location ~ ^/both/(?<name>\w+)$ {
            cors_allow_origin  "https://$1.$name$named_ending";
            return             200;
        }

        location ~ ^/skips-named/(?<name>\w+)$ {
            cors_allow_origin  https://one.example;
            cors_bypass        "$name$named_ending";
            return             200;
        }

        location ~ ^/again/(\w+)$ {
            cors_allow_origin  "https://$fresh_one$again";
            return             200;
        }

        location ~ ^/again-beside/(\w+)$ {
            cors_allow_origin  "https://$1.$fresh_one$again";
            return             200;
        }

        location ~ ^/unknown/(\w+)$ {
            root               /nonexistent;
            cors_allow_origin  "https://$1.example$realpath_root";
            cors_bypass        "$realpath_root$arg_skip";
            return             200;
        }

        location /no-captures {
            cors_allow_origin  "https://$1$2a$ending";
            return             200 "'$1'";
        }

        location ~ ^/skips/(\w+)$ {
            cors_allow_origin  https://one.example;
            cors_bypass        "" "$1$by_x";
            return             200 $1;
        }

        location ~ ^/many/(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)(m)(n)(o)(p)$ {
            cors_allow_origin  $by_expression;
            return             200 "$1 $9";
        }

        location ~ ^/more/(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)(m)(n)(o)(p)(q)(r)(s)(t)(u)(v)(w)(x)(y)(z)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)$ {
            cors_allow_origin  $by_expression;
            return             200 "$1 $9";
        }

        location /without {
            cors_allow_origin  $by_expression;
            return             200 "'$1'";
        }

        location /rewrites {
            cors_allow_origin  $by_expression;
            rewrite            ^/rewrites/(\w+)/(\w+) /answers/$2/$1;
            return             200 "$1 $2";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  set.localhost;

        cors_allow_origin  https://listed.example;
        cors_bypass        $set_later;

        location / {
            cors        off;
            set         $set_later 1;
            error_page  404 =200 /own;
            return      404;
        }

        location /own {
            cors_expose_headers  X-Own;
            return               200;
        }
    }

    split_clients $request_id $half {
        50%  1;
        *    0;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  half.localhost;

        cors_allow_origin  https://listed.example;
        cors_bypass        $half;

        location / {
            cors        off;
            error_page  404 =200 /half;
        }

        location /half {
            cors_expose_headers  X-Half;
            add_header           X-Half $half;
            return               200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  choice.localhost;

        cors_allow_origin  https://listed.example $by_choice;

        location ~ \.groupless$ {
            return  200 "'$1'";
        }

        location /inherits {
            cors_expose_headers  X-Own;
            return               200;
        }

        location /off {
            cors    off;
            set     $chosen foo;
            return  200 $by_choice;
        }

        location /list {
            cors_allow_origin  https://other.example;
            set                $chosen foo;
            return             200 $by_choice;
        }

        location /any {
            cors_allow_origin  *;
            set                $chosen foo;
            return             200 $by_choice;
        }

        location /redirects {
            cors        off;
            set         $chosen foo;
            error_page  404 /inherits;
        }
    }
}

EOF

$t->run();

###############################################################################

my $one = 'https://sub.one.example';
my $response;

$response = get('/origin/7/name', $one);
is(cors($response), "200 -Allow-Origin: $one; Vary: Origin", 'allowed');
is(content($response), '7 name', 'captures: allowed by a variable');
is(content(get('/origin/7/name', 'https://evil.example')), '7 name',
	'captures: denied');
is(content(get('/origin/7/name')), '7 name', 'captures: no origin');

is(content(get('/bypass/7/name', $one)), '7 name', 'captures: not bypassed');
is(cors(get('/bypass/7/name', $one)), '200 Vary: Origin', 'not bypassed');
is(content(get('/bypass/7/name?skip=yes', $one)), '7 name',
	'captures: bypassed');
is(cors(get('/bypass/7/name?skip=yes', $one)), '200', 'bypassed');

is(content(get('/enforce/7/name', $one)), '7 name', 'captures: enforced');
my $evil = 'https://evil.example';
is(cors(get('/enforce/7/name', $evil)), '403 Vary: Origin', 'enforced');
# The next value of the same directive sees them, too.
for my $x ('yes', 'no') {
	is(cors(get('/second/0', $evil, "X: $x")), '403 Vary: Origin',
		"captures: zero in the second value, first: $x");
	is(cors(get('/second/1', $evil, "X: $x")), '200',
		"captures: one in the second value, first: $x");
}

my $abc = 'https://abc.example';
is(cors(get('/value/abc', $abc, 'X: no')),
	"200 -Allow-Origin: $abc; Vary: Origin",
	'captures: behind an expression that does not match');
is(cors(get('/value/xyz', $abc, 'X: no')), '200 Vary: Origin',
	'captures: others behind an expression that does not match');

# nginx learns a value's length before it writes it. Between the two, neither
# the captures nor the variables may change.
my $long = 'X: ' . 'https://evil.example/' x 100 . '-b';
for my $x ('X: none', 'X: a-b', $long) {
	my $named = length($x) > 100 ? 'long' : $x;
	is(cors(get('/beside/abc', $abc, $x)),
		"200 -Allow-Origin: $abc; Vary: Origin",
		"beside an expression, $named");
	is(cors(get('/fresh/abc', "$abc.example", $x)),
		"200 -Allow-Origin: $abc.example; Vary: Origin",
		"beside an expression that is matched each time, $named");
	is(cors(get('/no-captures', 'https://a.example', $x)),
		'200 -Allow-Origin: https://a.example; Vary: Origin',
		"beside an expression, no captures, $named");
	is(cors(get('/same/abc', 'https://abc.example.abc', $x)),
		'200 -Allow-Origin: https://abc.example.abc; Vary: Origin',
		"beside an expression and a map of the captures, $named");
}
for my $x ('X: none', 'X: xyz-b', $long) {
	my $named = length($x) > 100 ? 'long' : $x;
	my $of = sub {
		my ($path, $origin) = @_;
		is(cors(get("$path/abc", $origin, $x)),
			"200 -Allow-Origin: $origin; Vary: Origin", "$path, $named");
	};
	$of->('/named', $abc);
	$of->('/both', 'https://abc.abc.example');
	$of->('/again', $abc);
	$of->('/again-beside', 'https://abc.abc.example');
	is(cors(get('/skips-named/abc', $evil, $x)), '200',
		"bypass: a name that an expression sets, too, $named");
}
is(cors(get('/named/abc', 'https://xyz.example', 'X: xyz-b')),
	'200 Vary: Origin', 'a name that an expression sets, too, denied');

# A request comes to the same value again.
for my $row (['one', 'one', ''], ['one', 'two', undef],
	['three', 'three', '-Expose-Headers: X-Inner; '],
	['three', 'four', undef])
{
	my ($path, $name, $fields) = @$row;
	my $origin = "https://$name.example";
	my $allowed = defined $fields ? "-Allow-Origin: $origin; $fields" : '';
	is(cors(get("/back/$path", $origin)), "200 ${allowed}Vary: Origin",
		"comes back from $path, $name");
}

# nginx takes a variable that it cannot evaluate for an empty one.
is(cors(get('/unknown/abc', $abc)),
	"200 -Allow-Origin: $abc; Vary: Origin", 'beside an unknown variable');
is(cors(get('/unknown/abc?skip=1', $evil)), '200',
	'bypass: beside an unknown variable');
is(cors(get('/unknown/abc?skip=0', $evil)), '200 Vary: Origin',
	'bypass: beside an unknown variable, zero');

is(cors(get('/skips/0', $evil, 'X: ' . 'yes' x 100)), '200 Vary: Origin',
	'bypass: beside an expression, zero');
is(cors(get('/skips/1', $evil, 'X: yes')), '200',
	'bypass: beside an expression, one');

$response = get('/more/' . join('', 'a' .. 'z') . 'x' x 70, $one);
is(content($response), 'a i', 'captures: a hundred groups');
$response = get('/many/abcdefghijklmnop', $one);
is(cors($response), "200 -Allow-Origin: $one; Vary: Origin", 'sixteen groups');
is(content($response), 'a i', 'captures: sixteen groups');

is(content(get('/without', $one)), "''", 'captures: a location without any');
is(content(get('/rewrites/a/b', $one)), 'a b', 'captures: of a rewrite');

my $foo = 'https://foo.example';
my @server = ('Host: choice.localhost');

is(content(get('/off', $foo, @server)), $foo, 'set: cors off');
unlike($t->read_file('error.log'), qr/in a variable/,
	'set: cors off says nothing about the variable');
is(content(get('/list', $foo, @server)), $foo, 'set: a list');
is(content(get('/any', $foo, @server)), $foo, 'set: any origin');

# nginx then counts captures that are nowhere.
is(content(get('/x.groupless', $foo, @server)), "''",
	'captures: an expression without groups');

# It is as it was when the request came.
is(cors(get('/redirects', $foo, @server)), '404 Vary: Origin',
	'set: a redirect does not see it');
is(cors(get('/redirects', 'https://listed.example', @server)),
	'404 -Allow-Origin: https://listed.example; -Expose-Headers: X-Own; '
	. 'Vary: Origin', 'set: a redirect, a listed origin');
is(cors(get('/inherits', $foo, @server)), '200 Vary: Origin',
	'set: not set at all');

is(cors(get('/', 'https://listed.example', 'Host: set.localhost')),
	'200 -Allow-Origin: https://listed.example; -Expose-Headers: X-Own; Vary: Origin',
	'set: cors_bypass of a location that a redirect reaches does not see it');

# An identifier is drawn at random for each request, and only once.
my %halves;
for (1 .. 40) {
	$response = get('/missing', 'https://listed.example',
		'Host: half.localhost');
	my $half = header($response, 'X-Half') ? 'bypassed' : 'allowed';
	$halves{"$half: " . cors($response)}++;
}
is_deeply([sort keys %halves],
	['allowed: 200 -Allow-Origin: https://listed.example; '
		. '-Expose-Headers: X-Half; Vary: Origin', 'bypassed: 200'],
	'the identifier of a request');

###############################################################################
