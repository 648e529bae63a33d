#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for nginx's own directives with variables in their parameter.  nginx first
# discards the values of all variables that may have changed (ngx_http_script_run).
# What the module keeps of a request is among those values.  Whether it would be
# damaged depends on memory addresses, so nginx starts several times.

use warnings;
use strict;

use Test::More;

use FindBin;
use lib $ENV{TEST_NGINX_LIB} || (), "$FindBin::Bin/lib";
use Test::Nginx;
use Cors;

use constant STARTS => 8;

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()->has(qw/ http map proxy rewrite fastcgi uwsgi scgi grpc /);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $host $docroot {
        default  %%TESTDIR%%/html;
    }

    map $host $backend {
        default  127.0.0.1:8081;
    }

    log_format status "$cors_status|$cors_origin";

    access_log %%TESTDIR%%/$host.log status;
    access_log %%TESTDIR%%/status.log status;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        cors_allow_origin https://a.example;

        location /root/ {
            root $docroot;
        }

        location /alias/ {
            alias $docroot/root/;
        }

        location /try/ {
            root $docroot;
            try_files /root/file =404;
        }

        location /document_root/ {
            root $docroot;
            add_header X-Root $document_root$realpath_root;
            return 200;
        }

        location /proxy/ {
            proxy_pass http://$backend;
        }

        location /store/ {
            proxy_pass http://127.0.0.1:8081;
            proxy_store %%TESTDIR%%/store-$host;
        }

        # None of these is what is there, so the answer is an error.

        location /fastcgi/ {
            fastcgi_pass $backend;
        }

        location /uwsgi/ {
            uwsgi_pass $backend;
        }

        location /scgi/ {
            scgi_pass $backend;
        }

        location /grpc/ {
            grpc_pass grpc://$backend;
        }

        location /own/ {
            cors_allow_origin https://a.example;
            cors_enforce on;
            root $docroot;
            error_page 404 /root/file;
        }

        location /error/ {
            error_page 404 /bare/file;
            return 404;
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  bare;

        location /error/ {
            cors_allow_origin https://a.example;
            error_page 404 /root/file;
            return 404;
        }

        location /root/ {
            root $docroot;
        }
    }

    server {
        listen       127.0.0.1:8081;

        access_log off;
        return 200 app;
    }
}

EOF

mkdir $t->testdir() . "/html$_" for '', '/root';
$t->write_file('html/root/file', 'file');

my @places = ((map { ["/$_/file", 'localhost'] }
	qw/ root alias try document_root proxy store fastcgi uwsgi scgi grpc own /),
	['/error/file', 'bare']);

$t->plan(STARTS * 2);

for my $start (1 .. STARTS) {
	$t->run();

	my (@wrong, @log);
	for my $place (@places) {
		my ($uri, $host) = @$place;
		for my $case (['https://a.example', 'ALLOWED|https://a.example',
			'-Allow-Origin: https://a.example; Vary: Origin'],
			['https://b.example', 'DENIED|', 'Vary: Origin'])
		{
			my ($origin, $status, $fields) = @$case;
			# Enforced.
			($status, $fields) = ('REJECTED|', '403 Vary: Origin')
				if $uri =~ /own/ && $origin =~ /b/;
			my $got = cors(get($uri, $origin, "Host: $host"));
			push @wrong, "$uri, $origin: $got"
				unless $got =~ /^(?:\d+ )?\Q$fields\E/;
			push @log, $status;
		}
	}

	is_deeply(\@wrong, [], "the responses, start $start");

	$t->stop();
	my @lines = split /\n/, $t->read_file('status.log');
	is_deeply(\@lines, \@log, "the log, start $start");
	unlink $t->testdir() . '/status.log';
}

