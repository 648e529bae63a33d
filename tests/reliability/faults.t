#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for what happens when the module panics, or when nginx has no memory
# left: a configuration is refused, a request gets no CORS header, and the
# worker goes on.  They take a module with the feature "fault-injection".

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/../lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

use constant {
	VARIABLE => 'NGX_HTTP_CORS_FAULT',
	PANIC => qr/\[alert\] .*cors: panic at \S*: a test has asked for it/,
	FAILED => qr/cors: fault: an allocation fails/,
};

my $a = 'https://a.example';
my $b = 'https://b.example';

# One of each; an allowed origin is the least that makes a policy.
my @directives = (
	'cors on;',
	'cors_allow_origin https://a.example;',
	'cors_allow_origin_regex ^https://a$;',
	'cors_allow_origin_file list;',
	'cors_allow_methods GET;',
	'cors_allow_headers X-A;',
	'cors_allow_credentials on;',
	'cors_expose_headers X-A;',
	'cors_max_age 1h;',
	'cors_allow_private_network on;',
	'cors_preflight on;',
	'cors_preflight_status 200;',
	'cors_override on;',
	'cors_bypass $arg_a;',
	'cors_enforce on;',
	'cors_reject_status 403;',
	'cors_dry_run on;',
	'cors_log_level info;',
	'cors_zone other:1m;',
	'cors_zone_label a;',
);

my @entries = qw/ create_main_conf create_loc_conf preconfiguration init_main_conf
	zone::init /;

# The barrier, a request that gets there, and what has to come of it.
my @panics = (
	['phase::unlisted', sub { get('/pattern', $a) }, '200 Vary: Origin'],
	['phase::sent_by', sub { get('/enforce', $a, 'Host: enforces') }, 'no response'],
	['phase::unless_bypassed', sub { get('/bypass', $a) }, 'no response'],
	['phase::options', sub { preflight('/plain', $a) }, 'no response'],
	['phase::general_case', sub { get('/enforce', $b, 'Host: enforces') }, 'no response'],
	['filter::among_existing::', sub { get('/upstream', $a) }, '200'],
	['filter::among_existing_for_all', sub { get('/upstream', $b) }, '200'],
	['filter::beside_vary::', sub { get('/vary', $a) }, '200 Vary: Accept'],
	['filter::beside_vary_for_all', sub { get('/vary', $b) }, '200 Vary: Accept'],
	['filter::general_case', sub { get('/care', $a) }, '200'],
	['filter::general_case', sub { get('/upstream/care', $a) }, '200'],
	['filter::echo', sub { preflight('/echo', $a) }, '204 Vary: Origin, '
		. join ', ', map { "Access-Control-Request-$_" } qw/ Method Headers /],
	['filter::log_denied', sub { get('/plain', $b) }, '200 Vary: Origin'],
	['filter::unseen', sub { get('/slash', $a) }, 'no response'],
	['filter::fail_closed', undef],
	['filter::early_hints', undef],
	['filter::count_others', sub { get('/plain', $b) }, '200 Vary: Origin'],
	['report::respond', sub { get('/report') }, '500'],
	['init_process', sub { get('/plain', $a) }, "200 -Allow-Origin: $a; Vary: Origin"],
	['variables::set', sub { get('/variables', $a) },
		"200 -Allow-Origin: $a; Vary: Origin"],
	['init_module', sub { get('/plain', $a) }, "200 -Allow-Origin: $a; Vary: Origin"],
	['timer::handler', sub { select undef, undef, undef, 0.3; get('/file', $a) }, "200 -Allow-Origin: $a; Vary: Origin"],
	['drop_value', undef],
	['directives::read', undef],
	map { [$_, undef] } @entries,
);

# Requests that allocate, each in its own way.
my @allocating = (
	sub { get('/many', $a) },
	sub { preflight('/echo', $a, 'PUT', 'x-a',
		'Access-Control-Request-Headers: x-b') },
	sub { request('OPTIONS', '/echo', "Origin: $a", 'Content-Length: 5',
		'Access-Control-Request-Method: PUT', { body => 'hello' }) },
	sub { preflight('/many', $b) },
	sub { get("/value?o=$a", $a) },
	sub { get('/vary', $a) },
	sub { get('/bypass?b=1', $b) },
	sub { get('/bypass?b=1', $a) },
	sub { get('/enforce', $a, 'Host: enforces') },
	sub { get('/enforce', $b, 'Host: enforces') },
	sub { get('/guarded', $b, 'Host: enforces') },
	sub { get('/report') },
);

my $t = Test::Nginx->new()->has(qw/ http rewrite proxy /);

my $requests = grep { $_->[1] } @panics;
my @functions = qw/ serve::filter::handler serve::filter::first serve::filter::body
	serve::filter::with_policy serve::filter::beside_others serve::phase::handler
	serve::filter::counting_handler serve::filter::count_denied serve::filter::count_denied_again
	serve::filter::beside_others_for_all serve::phase::simple_case serve::phase::with_field serve::phase::without_files serve::phase::with_files
	serve::phase::other_method serve::phase::simple serve::phase::in_full
	serve::phase::enforced serve::phase::bypassed serve::phase::for_all serve::phase::no_policy nginx::chain::broken_chain
	nginx::chain::declines nginx::chain::goes_on nginx::variable::not_found postconfiguration postconfiguration_of_last /;

plan(tests => 2 * @directives + 2 * @entries + 4 * $requests + 3 + 4 + 4 + 7
	+ @functions + 3 + 2);

$t->write_file('list', "$a\n");
my $many = join ' ', map { "add_header X-$_ $_;" } 1 .. 24;

my $conf = <<"EOC";

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    cors_zone cors:1m;
    DIRECTIVE

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /plain {
            cors_allow_origin $a;
            return 200;
        }

        location /pattern {
            cors_allow_origin $a:*;
            return 200;
        }

        location /upstream {
            cors_allow_origin $a;
            proxy_pass http://127.0.0.1:8080/answer;
            proxy_set_header Origin "";

            location /upstream/care {
                cors_override off;
                proxy_pass http://127.0.0.1:8080/answer;
                proxy_set_header Origin "";
            }
        }

        location /answer {
            add_header Access-Control-Allow-Origin *;
            return 200;
        }

        location /care {
            cors_allow_origin $a;
            cors_override off;
            return 200;
        }

        location /slash/ {
            cors_allow_origin $a;
            proxy_pass http://127.0.0.1:8080/answer;
        }

        location /file {
            cors_allow_origin_file list;
            return 200;
        }

        location /variables {
            cors_allow_origin $a;
            add_header X-Status "\$cors_status|\$cors_origin";
            return 200;
        }

        location /many {
            cors_allow_origin $a;
            $many
            return 200;
        }

        location /echo {
            cors_allow_origin $a;
            cors_allow_credentials on;
            cors_allow_methods *;
            cors_allow_headers *;
            return 200;
        }

        location /value {
            cors_allow_origin \$arg_o;
            return 200;
        }

        location /report {
            cors_report;
        }

        location /vary {
            cors_allow_origin $a;
            add_header Vary Accept;
            return 200;
        }

        location /bypass {
            cors_allow_origin $a;
            cors_bypass \$arg_b;
            return 200;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  enforces;

        location /enforce {
            cors_allow_origin $a;
            cors_enforce on;
            return 200;
        }

        location /guarded {
            cors_allow_origin $a;
            cors_bypass \$arg_b;
            cors_enforce on;
            return 200;
        }
    }
}

EOC

###############################################################################
# Each entry point while a configuration is read

my %seen;

for my $directive (@directives) {
	configure($t, $directive);
	my $output = check($t, 'panic=directives::read');
	like($output, PANIC, "says so: $directive");
	like($output, qr/test failed/, "fails: $directive");
}

configure($t, 'cors_max_age 1h;');

for my $entry (@entries) {
	my $output = check($t, "panic=$entry");
	like($output, PANIC, "says so: $entry");
	like($output, qr/test failed/, "fails: $entry");
}

# Each while there are requests

configure($t, '');

for (grep { $_->[1] } @panics) {
	my ($entry, $request, $expected) = @$_;
	my $log = run($t, "panic=$entry", sub {
		is(cors($request->()), $expected, "answer: $entry");
		is(cors($request->()), $expected, "once more: $entry");
	});
	like($log, PANIC, "logged: $entry");
	unlike($log, qr/exited on signal|exited with fatal/, "goes on: $entry");
}

my $log = run($t, 'panic=drop_value', sub {
	$t->reload();
	for (1 .. 100) {
		last if $t->read_file('error.log') =~ /gracefully shutting down/;
		select undef, undef, undef, 0.05;
	}
	select undef, undef, undef, 0.3;
	is(cors(get('/plain', $a)), '200 ' . allowed($a), 'reloaded: drop_value');
});
like($log, PANIC, 'logged: drop_value');
unlike($log, qr/exited on signal|exited with fatal/, 'goes on: drop_value');

# Another module comes before this one.

$log = run($t, 'moved', sub {
	is(cors(get('/plain', $_)), '200 ' . ($_ eq $a ? allowed($a) : 'Vary: Origin'), "moved: $_")
		for $a, $b;
	$t->reload();
	select undef, undef, undef, 0.3;
	is(cors(get('/plain', $a)), '200 ' . allowed($a), 'moved and reloaded');
});
unlike($log, qr/emerg|exited on signal|exited with fatal/, 'goes on: moved');

# Another module takes the place where what is kept of requests is, in a
# configuration that is read later: the one in use stays.

$log = run($t, 'moves', sub {
	$t->reload();
	for (1 .. 100) {
		last if $t->read_file('error.log') =~ /restart nginx/;
		select undef, undef, undef, 0.05;
	}
	is(cors(get('/plain', $a)), '200 ' . allowed($a), 'moves');
	unlike($t->read_file('error.log'), qr/gracefully shutting down/, 'stays: moves');
});
like($log, qr/\[emerg\] .*cors: the modules loaded before this one have changed: restart nginx/,
	'logged: moves');
unlike($log, qr/exited on signal|exited with fatal/, 'goes on: moves');

# No barrier without a test

my %covered = map { $_->[0] => 1 } @panics;
my $src = "$FindBin::Bin/../../src";
my $barriers = join '', map { read_source($_) } grep { !m{nginx/(?:barrier|request)} }
	glob "$src/*.rs $src/*/*.rs";
my $number = () = $barriers =~ /(?<!fn )\bguard\(/g;
is($number, keys %covered, 'barriers are covered');

###############################################################################
# Each allocation

configure($t, 'cors_allow_origin $arg_o; cors_allow_origin_file list; cors_bypass $arg_b;');

my ($failures, $failed, $strange) = (0, 0, '');
for (1 .. 200) {
	my $output = check($t, "configuration=$_");
	last if $output !~ FAILED;
	$failures++;
	$failed++ if $output =~ /test failed/;
}
cmp_ok($failures, '>', 20, 'a configuration allocates');
is($failed, $failures, 'a configuration without memory fails');
like(check($t, ''), qr/test is successful/, 'with memory it does not');

configure($t, '');

my @right;
run($t, '', sub { @right = map { cors($_->()) } @allocating });

($failures, my $died) = (0, 0);
for (1 .. 200) {
	my @found;
	my $log = run($t, "request=$_", sub {
		@found = map { cors($_->()) } @allocating;
	});
	last if $log !~ FAILED;
	$failures++;
	$died++ if $log =~ /exited on signal|exited with fatal|\[alert\]/;
	my @other = grep { $found[$_] ne $right[$_] } 0 .. $#right;
	# An error of nginx's own is an answer as good as any other.
	$strange .= "$_: @found[@other]; "
		if @other > 1 || "@found[@other]" =~ /^(?!500 ).*-Allow-Origin/
		|| grep { $right[$_] =~ /^403/ && $found[$_] =~ /^200/ } @other;
}
cmp_ok($failures, '>', 12, 'requests allocate');
is($died, 0, 'no worker dies');
is($strange, '', 'one request gets no other allowance, the others are as ever');

###############################################################################
# The build that others get

SKIP: {
	my $shipped = $ENV{TEST_CORS_SHIPPED};
	skip 'TEST_CORS_SHIPPED is not set', @functions + 2 unless $shipped;

	open my $file, '<:raw', $shipped or die "cannot open $shipped: $!\n";
	my $content = do { local $/; <$file> };
	unlike($content, qr/NGX_HTTP_CORS_FAULT|a test has asked for it/,
		'no switch in the build of others');

	# Some entry points have no barrier, because the compiler sees that nothing
	# in them can panic: it leaves out the call that would stop the process.
	my ($function, %panics, %found) = '';
	open my $code, '-|', qw/ objdump -d -C --no-show-raw-insn /, $shipped
		or die "cannot start objdump: $!\n";
	while (<$code>) {
		$function = $1 if /^[0-9a-f]+ <ngx_http_cors_module::(.*)>:$/;
		$function = '' if /^$/;
		$found{$function} = 1;
		$panics{$function} = 1 if /<core::(?:panicking|slice|str|option|result)::/;
	}
	ok($found{'serve::phase::without_files'}, 'the build has symbols');
	ok(!$panics{$_}, "no panic without a barrier: $_") for @functions;
}

# The harness asks the same of the log that is left.
is($t->read_file('error.log'), '', 'nothing left');
$t->write_file('error.log', '');

###############################################################################

sub configure {
	my ($t, $directive) = @_;

	$t->write_file_expand('nginx.conf', $conf =~ s/DIRECTIVE/$directive/r);
}

# What nginx says to a configuration under a fault.
sub check {
	my ($t, $fault) = @_;

	local $ENV{+VARIABLE} = $fault;
	my $output = $t->dump_config();
	$t->write_file('error.log', '');
	# A test that is successful leaves one, and the harness waits for it.
	unlink $t->testdir() . '/nginx.pid';
	return $output;
}

# What nginx has logged while it ran under a fault.
sub run {
	my ($t, $fault, $code) = @_;

	local $ENV{+VARIABLE} = $fault;
	$t->run();
	$code->();
	$t->stop();
	my $log = $t->read_file('error.log');
	$t->write_file('error.log', '');
	return $log;
}

sub read_source {
	my ($path) = @_;

	open my $file, '<', $path or die "cannot open $path: $!\n";
	local $/;
	return <$file>;
}

###############################################################################
