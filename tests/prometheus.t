#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests of cors_report with Prometheus itself: promtool takes the text and the
# rules, the server scrapes nginx, and answers queries, those of the dashboard
# among them.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http rewrite /)->has_daemon('prometheus')
	->has_daemon('promtool');

my $root = "$FindBin::Bin/..";
my $dir = $t->testdir();
my $dashboard = decode_json(slurp("$root/nginx-conf/cors-dashboard.json"));
my @expressions = map { $_->{expr} } map { @{$_->{targets}} } @{$dashboard->{panels}};

$t->plan(9 + @expressions);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    cors_zone cors:1m;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
            cors_allow_origin https://a.example;
            cors_zone_label "quote \" and \\ and ä";
            return 204;
        }

        location /dry {
            cors_allow_origin https://a.example;
            cors_dry_run on;
            cors_zone_label dry;
            return 204;
        }

        location /file {
            cors_allow_origin_file tenants;
            cors_zone_label "quote \" and \\ and ä";
            return 204;
        }

        location /metrics {
            cors_report;
        }
    }
}

EOF

$t->write_file('tenants', "https://a.example\n");

$t->write_file_expand('prometheus.yml', <<'EOF');
global:
  scrape_interval: 1s
rule_files: [alerts.yml]
scrape_configs:
  - job_name: nginx
    static_configs:
      - targets: [127.0.0.1:8080]
EOF
$t->write_file('alerts.yml', slurp("$root/nginx-conf/cors-alerts.yml"));

$t->run();

my $web = port(8090);
$t->run_daemon(sub {
	open STDOUT, '>', "$dir/prometheus.log";
	open STDERR, '>&', \*STDOUT;
	chdir $dir;
	exec 'prometheus', '--config.file=prometheus.yml', '--storage.tsdb.path=data',
		"--web.listen-address=127.0.0.1:$web";
});

###############################################################################

# promtool

$t->write_file('cors-alerts.yml', slurp("$root/nginx-conf/cors-alerts.yml"));
$t->write_file('test.yml', slurp("$root/tests/prometheus/alerts.yml"));
like(`cd $dir && promtool check rules cors-alerts.yml 2>&1`, qr/SUCCESS: 4 rules found/, 'the rules');
like(`cd $dir && promtool test rules test.yml 2>&1`, qr/SUCCESS/, 'they fire when they should');

$t->write_file('metrics', content(get('/metrics')));
is(`promtool check metrics < $dir/metrics 2>&1`, '', 'nothing to say about the metrics');
is($?, 0, 'nor in its status');

# The server

ok($t->waitforsocket("127.0.0.1:$web"), 'prometheus runs') or diag($t->read_file('prometheus.log'));

# Ten denials a second, for as long as it takes until there is a rate.
my $rate = 0;
for (1 .. 150) {
	get('/', 'https://b.example');
	get('/dry', 'https://b.example');
	select undef, undef, undef, 0.1;
	next if $_ % 10;
	($rate) = query('sum(rate(nginx_cors_requests_total{status="denied",dry_run=""}[10s]))');
	last if ($rate // 0) > 2;
}
cmp_ok($rate // 0, '>', 2, 'a rate of denials');
cmp_ok($rate // 0, '<', 12, 'and no more of them than there are');
is(join(' ', labels('nginx_cors_requests_total{status="denied",dry_run=""}')),
	"quote \" and \\ and \x{e4}", 'a label as it is written');
is(join(' ', labels('nginx_cors_requests_total{status="denied",dry_run="true"} > 0')), 'dry',
	'dry run');

for my $expression (@expressions) {
	my $query = $expression =~ s/\$__rate_interval/30s/gr =~ s/\$(?:policy|instance)/.*/gr;
	cmp_ok(scalar(results($query)), '>', 0, 'dashboard: ' . substr $expression, 0, 60);
}

###############################################################################

sub results {
	my ($query) = @_;

	my $encoded = $query =~ s/([^A-Za-z0-9_])/sprintf '%%%02X', ord $1/ger;
	my $response = http("GET /api/v1/query?query=$encoded HTTP/1.0\x0d\n\x0d\n",
		PeerAddr => "127.0.0.1:$web");
	my $answer = eval { decode_json(content($response)) } // {};
	diag("$query: " . ($answer->{error} // 'no answer')) if ($answer->{status} // '') ne 'success';
	return @{$answer->{data}{result} // []};
}

sub query {
	return map { $_->{value}[1] } results(@_);
}

sub labels {
	return map { $_->{metric}{policy} } results(@_);
}

sub slurp {
	my ($file) = @_;

	open my $handle, '<', $file or die "cannot open $file: $!\n";
	local $/;
	return scalar <$handle>;
}

###############################################################################
