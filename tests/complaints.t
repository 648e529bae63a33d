#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what the module logs about values and responses that cannot work as
# meant, and for what a dry run would change: once a minute for each.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;
use Messages;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy map /)->plan(60);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;
worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $http_origin $reflected {
        default  $http_origin;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  above;

        cors_allow_origin $arg_value;

        location / {
            return 200;
        }

        location /own {
            cors_allow_origin https://a.example;
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  enforces;

        cors_allow_origin https://a.example $arg_value;
        cors_enforce      on;

        location / {
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /value {
            cors_allow_origin $arg_value;
            return 200;
        }

        location /value-beside {
            cors_allow_origin https://a.example $arg_value;
            return 200;
        }

        location /value-notice {
            cors_allow_origin $arg_value;
            cors_log_level    notice;
            return 200;
        }

        location /value-quiet {
            cors_allow_origin $arg_value;
            error_log         %%TESTDIR%%/quiet.log notice;
            return 200;
        }

        location /value-reflected {
            cors_allow_origin $reflected;
            return 200;
        }

        location /added {
            cors_allow_origin https://a.example;
            add_header Access-Control-Allow-Credentials true always;
            return 200;
        }

        location /added-notice {
            cors_allow_origin https://a.example;
            cors_log_level    notice;
            add_header Access-Control-Allow-Credentials true always;
            return 200;
        }

        location /added-false {
            cors_allow_origin https://a.example;
            add_header Access-Control-Allow-Credentials false;
            return 200;
        }

        location /added-enabled {
            cors_allow_origin      https://a.example;
            cors_allow_credentials on;
            add_header Access-Control-Allow-Credentials true;
            return 200;
        }

        location /added-star {
            cors_allow_origin *;
            add_header Access-Control-Allow-Credentials true;
            return 200;
        }

        location /added-variable {
            cors_allow_origin $arg_value;
            add_header Access-Control-Allow-Credentials true;
            return 200;
        }

        location /added-preflight {
            cors_allow_origin https://a.example;
            add_header Access-Control-Allow-Credentials true;
            return 200;
        }

        location /kept {
            cors_allow_origin https://a.example;
            cors_override     off;
            add_header Access-Control-Allow-Origin https://a.example;
            add_header Access-Control-Allow-Credentials true;
            add_header Access-Control-Expose-Headers X-One;
            return 200;
        }

        location /exposed {
            cors_allow_origin https://a.example;
            add_header Access-Control-Expose-Headers "X-One, X-Two";
            add_header Access-Control-Expose-Headers "x y, X-Three";
            return 200;
        }

        location /exposed-star {
            cors_allow_origin https://a.example;
            add_header Access-Control-Expose-Headers "*, X-One";
            return 200;
        }

        location /exposed-star-credentials {
            cors_allow_origin      https://a.example;
            cors_allow_credentials on;
            add_header Access-Control-Expose-Headers "*, X-One";
            return 200;
        }

        location /exposed-listed {
            cors_allow_origin   https://a.example;
            cors_expose_headers ETag;
            add_header Access-Control-Expose-Headers X-One;
            return 200;
        }

        location /app {
            cors_allow_origin https://a.example;
            proxy_pass http://127.0.0.1:8081;
        }

        location /dry/ {
            cors_dry_run on;

            location /dry/none {
                cors_allow_origin https://a.example;
                return 200;
            }

            location /dry/enforce {
                cors_allow_origin https://a.example;
                cors_enforce      on;
                return 200;
            }

            location /dry/same {
                cors_allow_origin https://a.example;
                add_header Access-Control-Allow-Origin https://a.example;
                add_header Vary Origin;
                return 200;
            }

            location /dry/link {
                cors_allow_origin https://a.example;
                add_header Access-Control-Allow-Origin https://a.example;
                add_header Link Origin;
                return 200;
            }

            location /dry/same-credentials {
                cors_allow_origin      https://a.example;
                cors_allow_credentials on;
                add_header Access-Control-Allow-Credentials true;
                return 200;
            }

            location /dry/app {
                cors_allow_origin   https://a.example;
                cors_expose_headers ETag;
                proxy_pass http://127.0.0.1:8081;
            }

            location /dry/exposed {
                cors_allow_origin https://a.example;
                proxy_pass http://127.0.0.1:8081;
            }

            location /dry/override {
                cors_allow_origin https://a.example;
                cors_override     off;
                proxy_pass http://127.0.0.1:8081;
            }

            location /dry/bypass {
                cors_allow_origin https://a.example;
                cors_bypass       1;
                proxy_pass http://127.0.0.1:8081;
            }
        }
    }

    server {
        listen       127.0.0.1:8081;
        server_name  localhost;

        add_header Access-Control-Allow-Origin *;
        add_header Access-Control-Allow-Credentials true;
        add_header Access-Control-Expose-Headers X-App;

        location / {
            return 200;
        }
    }
}

EOF

$t->run();

###############################################################################

my $a = 'https://a.example';
my $b = 'https://b.example';
my $in = 'cors: in a variable of cors_allow_origin, ';
my $denied = qr/cors: origin "[^"]*" is not allowed.*/;
my $seen = 0;

# Values of variables

for (
	['a.example', 'no-scheme', $a],
	['https://a.example/', 'trailing-slash', $a],
	['https://a.example:443', 'default-port', $a],
	['https://A.example', 'upper-case', $a],
	['wss://a.example', 'web-socket-scheme', $a],
	['https://*.a.example', 'pattern-in-variable'],
	['^https://.*$', 'expression-in-variable'],
	['none', 'nothing-word'],
)
{
	my ($value, $code, $instead) = @$_;
	my $message = message_of('', $value, $code, $instead) =~ s/^: //r;

	like(lines($t, get("/value?value=$value", $a)), qr/^\[info\] [^\n]*\Q$in$message\E, client: [^\n]*\n\[info\] [^\n]*$denied$/,
		"value: $value");
	unlike(lines($t, get("/value?value=$value", $a)), qr/\Q$in\E/,
		"value: once a minute: $value");
}

like(lines($t, get('/value?value=b.example,https://b.example,c.example', $a)),
	qr/\Q$in\E"b\.example".*\n.*\Q$in\E"c\.example".*\n.*$denied/,
	'values: a list');
is(lines($t, get('/value?value=d.example,https://b.example', $b)), '',
	'values: nothing to explain if one allows the origin');
is(lines($t, get('/value-beside?value=e.example', $a)), '',
	'value: not evaluated');
is(lines($t, get('/value?value=f.example')), '', 'value: no origin');
unlike(lines($t, get('/own?value=k.example', $b, 'Host: above')), qr/\Q$in\E/,
	'value: not that of the level above');
is(lines($t, get('/?value=l.example', $a, 'Host: enforces')), '',
	'value: not evaluated in a policy that enforces');
is(lines($t, get('/value?value=', $a)) =~ /\Q$in\E/, '', 'value: empty');
is(lines($t, get('/value?value=null', $a)) =~ /\Q$in\E/, '', 'value: null');
is(lines($t, get('/value-reflected', 'g.example')) =~ /\Q$in\E/, '',
	'value: the Origin of the request');
like(lines($t, get('/value-notice?value=h.example', $a)),
	qr/\[notice\] .*\Q$in\E"h\.example"/, 'value: level');
get('/value-quiet?value=i.example', $a);
is($t->read_file('quiet.log'), '', 'value: a level that is not logged');
like(lines($t, get('/value?value=j".example', $a)),
	qr/\Q$in\E"j\\x22\.example" [ -~]*\n/, 'value: escaped');

# Fields that are removed

my $credentials = 'cors: Access-Control-Allow-Credentials is removed';

like(lines($t, get('/added', $a)),
	qr/^\[info\] .*$credentials .*write "cors_allow_credentials on".*, client: /,
	'credentials');
is(lines($t, get('/added', $a)), '', 'credentials: once a minute');
like(lines($t, get('/added-notice', $a)), qr/^\[notice\] .*$credentials/,
	'credentials: level, and each policy has its own line');
unlike(lines($t, get('/added-preflight', $b)), qr/$credentials/,
	'credentials: denied origin');
is(lines($t, get('/added-false', $a)), '', 'credentials: not allowed anyway');
is(lines($t, get('/added-enabled', $a)), '', 'credentials: enabled');
is(lines($t, get('/added-star')), '', "credentials: '*', no origin");
like(lines($t, get('/added-star', $a)), qr/$credentials .*list the origins/,
	"credentials: '*'");
like(lines($t, get('/added-variable?value=*', $a)),
	qr/$credentials .*list the origins/, "credentials: '*' of a variable");
like(lines($t, preflight('/added-preflight', $a, 'GET')), qr/$credentials/,
	'credentials: preflight');
is(lines($t, get('/kept', $a)), '', 'cors_override off');

like(lines($t, get('/exposed', $a)), qr/^\[info\] .*cors: Access-Control-Expose-Headers is removed .*: write "cors_expose_headers X-One X-Two X-Three", client/,
	'exposed headers');
is(lines($t, get('/exposed', $a)), '', 'exposed headers: once a minute');
like(lines($t, get('/exposed-star', $a)), qr/: write "cors_expose_headers \* X-One", client/, 'exposed headers: \'*\'');
like(lines($t, get('/exposed-star-credentials', $a)), qr/: write "cors_expose_headers X-One", client/,
	"exposed headers: '*' with credentials");
is(lines($t, get('/exposed-listed', $a)), '', 'exposed headers: others are listed');

like(lines($t, get('/app', $a)),
	qr/$credentials .*\n.*write "cors_expose_headers X-App"/, 'application');

# What a dry run would change

like(lines($t, get('/dry/none', $a)), qr/^\[info\] [^\n]*cors: would set Access-Control-Allow-Origin, Vary \(dry run\), client: [^\n]*$/,
	'dry run');
is(lines($t, get('/dry/none', $a)), '', 'dry run: once a minute');
like(lines($t, get('/dry/none', $b)), qr/^[^\n]*$denied \(dry run\)[^\n]*\n[^\n]*cors: would set Vary \(dry run\)[^\n]*$/,
	'dry run: denied');
like(lines($t, preflight('/dry/none', $a, 'GET')),
	qr/^[^\n]*cors: would answer with status 204 \(dry run\)[^\n]*$/,
	'dry run: preflight');
like(lines($t, preflight('/dry/none', $b, 'GET')),
	qr/$denied \(dry run\).*\n.*cors: would answer with status 403 \(dry run\)/,
	'dry run: preflight, denied');
like(lines($t, get('/dry/enforce', $b)), qr/rejected, .*\(dry run\).*\n.*cors: would answer with status 403 \(dry run\)/,
	'dry run: rejected');
is(lines($t, get('/dry/same', $a)), '', 'dry run: nothing to change');
like(lines($t, get('/dry/link', $a)), qr/cors: would set Vary \(dry run\)/, 'dry run: a name as long as Vary');
like(lines($t, get('/dry/same-credentials', $a)), qr/cors: would set Access-Control-Allow-Origin, Vary \(dry run\)/,
	'dry run: credentials are the same');
like(lines($t, get('/dry/same', $b)), qr/$denied.*\n.*cors: would remove Access-Control-Allow-Origin \(dry run\)/,
	'dry run: denied, removed');
like(lines($t, get('/dry/app', $a)), qr/^.*cors: Access-Control-Allow-Credentials would be removed .* \(dry run\).*\n.*cors: would set Access-Control-Allow-Origin, Access-Control-Expose-Headers, Vary and remove Access-Control-Allow-Credentials \(dry run\)[^\n]*$/,
	'dry run: application');
like(lines($t, get('/dry/exposed', $a)), qr/cors: Access-Control-Expose-Headers would be removed .*write "cors_expose_headers X-App" \(dry run\)/,
	'dry run: exposed headers');
like(lines($t, get('/dry/override', $a)), qr/^[^\n]*cors: would set Vary \(dry run\)[^\n]*$/,
	'dry run: cors_override off');
is(lines($t, get('/dry/bypass', $a)), '', 'dry run: bypass');

# However many values there are, the log does not fill

get("/value?value=k$_.example", $a) for 1 .. 50;
my $number = () = $t->read_file('error.log') =~ /\Q$in\E/g;
is($number, 32, 'values: at most so many in a minute');

###############################################################################

# The new lines of the module, from their level on.
sub lines {
	my ($t) = @_;

	my $log = join '', map { s/^\S+ \S+ (?=\[)//r }
		grep { /cors: / } $t->read_file('error.log') =~ /^.*\n/mg;
	my $new = substr $log, $seen;

	$seen = length $log;
	chomp $new;

	return $new;
}

###############################################################################
