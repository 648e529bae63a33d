#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for reloads: the policy in force is that of the configuration read last,
# and one that cannot stand changes nothing.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite map /)->plan(28);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $cors_status $seen {
        default $cors_status;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
            POLICY
            add_header X-Version VERSION;
            add_header X-Status $seen;
            return 200;
        }
    }
}

EOF

configure($t, 0, 'cors_allow_origin https://0.example;');
$t->run();

###############################################################################

my $n = 0;

for my $policy ('cors_allow_origin https://ORIGIN;',
	'cors_allow_origin_regex ^https://ORIGIN$;',
	'cors_allow_origin null https://*.example.com https://ORIGIN;',
	'cors_allow_origin https://$arg_none.example https://ORIGIN;',
	'cors_allow_origin https://ORIGIN; cors_enforce on; cors_reject_status 418;',
	'cors_allow_origin https://ORIGIN;')
{
	my $host = ++$n . '.example';
	my $before = $n - 1 . '.example';

	configure($t, $n, $policy =~ s/ORIGIN/$host/r);
	$t->reload();

	ok(wait_for($n), "reloaded: $n");
	is(cors(get('/', "https://$host")), '200 ' . allowed("https://$host"),
		"in force: $policy");
	is(header(get('/', "https://$host"), 'X-Status'), 'ALLOWED',
		"variable: $policy");
	is(cors(get('/', "https://$before")) =~ s/^\d+ //r, VARY,
		"no longer in force: $policy");
}

# A mistake

configure($t, ++$n, 'cors_allow_origin example.com;');
$t->reload();
select undef, undef, undef, 0.5;

is(header(get('/'), 'X-Version'), $n - 1, 'a mistake changes nothing');
like($t->read_file('error.log'), qr/\[emerg\] .*example\.com.*nginx\.conf:\d+/,
	'a mistake is logged');

# No policy

configure($t, ++$n, '');
$t->reload();
ok(wait_for($n), 'reloaded without a policy');
is(cors(get('/', 'https://6.example')), '200', 'no policy');

###############################################################################

sub configure {
	my ($t, $version, $policy) = @_;

	$t->write_file_expand('nginx.conf',
		$conf =~ s/POLICY/$policy/r =~ s/VERSION/$version/r);
}

# Workers on their way out may still take a connection: one answer of the new
# ones is not enough.
sub wait_for {
	my ($version) = @_;
	my $right = 0;

	for (1 .. 100) {
		$right = header(get('/'), 'X-Version') eq $version ? $right + 1 : 0;
		return 1 if $right == 5;
		select undef, undef, undef, 0.05;
	}
}

###############################################################################
