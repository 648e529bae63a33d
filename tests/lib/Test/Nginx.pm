# SPDX-License-Identifier: Apache-2.0
package Test::Nginx;

# Starts one nginx on loopback, in a directory of its own, for one test file.
#
# This is the part of the interface of nginx's own test library that the tests
# of this project use, so that they run without it, and with it unchanged when
# TEST_NGINX_LIB names its directory.  A feature that is missing here, or that
# works in another way than there, must not be used in a test.

use strict;
use warnings;

use parent qw/ Exporter /;

use File::Path qw/ remove_tree /;
use File::Spec;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use POSIX qw/ WNOHANG /;
use Test::More ();
use Time::HiRes qw/ sleep time /;

our @EXPORT = qw/ http http_get http_head port log_in log_out /;
our @EXPORT_OK = qw/ http_start http_end http_content http_gzip_request
	http_gzip_like /;
our %EXPORT_TAGS = (gzip => [qw/ http_gzip_request http_gzip_like /]);

our $NGINX = $ENV{TEST_NGINX_BINARY} // _find_in_path('nginx') // 'nginx';

# How long a client waits for an answer, and a test for nginx to come and go;
# many times as long for an nginx that something watches.
use constant PATIENCE => $ENV{TEST_NGINX_PATIENCE} // 1;
use constant { ANSWER => 8 * PATIENCE, START => 5 * PATIENCE, STOP => 30 * PATIENCE };

# What nginx is built with unless it was configured --without it.
my %BUILT_IN = map { $_ => "--without-http_${_}_module" } qw/
	access auth_basic autoindex browser charset empty_gif fastcgi geo grpc
	gzip limit_conn limit_req map memcached mirror proxy referer rewrite scgi
	split_clients ssi userid uwsgi upstream_hash upstream_ip_hash
	upstream_keepalive upstream_least_conn upstream_random upstream_zone
/;
@BUILT_IN{qw/ http cache pcre /}
	= qw/ --without-http --without-http-cache --without-pcre /;

# What has a name that says too little to look for.
my %OPTION = (
	(map { $_ => "--with-http_${_}_module" }
		qw/ auth_request flv perl realip sub /),
	(map { $_ => "--with-$_(?:=dynamic)?(?!\\S)" } qw/ mail stream /),
	sni => 'TLS SNI support enabled',
);

###############################################################################
# The life of a test

sub new {
	my ($class) = @_;

	-x $NGINX or Test::More::BAIL_OUT("no nginx binary at '$NGINX'");

	return bless {
		owner => $$,
		dir => tempdir('nginx-test-XXXXXXXXXX', TMPDIR => 1),
		daemons => [],
	}, $class;
}

# The last two tests of a plan are run here, when the variable that holds the
# object goes out of scope: only by then has nginx logged all that it will.
sub DESTROY {
	my ($self) = @_;

	# A forked daemon has a copy of the object, and nothing to clean up.
	return if $self->{owner} != $$;

	local ($?, $@);

	$self->stop();
	_end_process($_, 'TERM') for @{$self->{daemons}};

	# A sub with a name that uses the variable keeps the object for too long:
	# what counts the tests is gone by then.
	if (${^GLOBAL_PHASE} eq 'DESTRUCT') {
		print STDERR "# pass the Test::Nginx object to subs as an argument\n";

	} elsif (Test::More->builder->expected_tests) {
		$self->_check_log(Test::More->builder);
	}

	print $self->read_file('error.log') if $ENV{TEST_NGINX_CATLOG};
	remove_tree($self->{dir}, { safe => 0, error => \my $ignored })
		unless $ENV{TEST_NGINX_LEAVE};
}

sub _check_log {
	my ($self, $test) = @_;

	my $log = $self->read_file('error.log');

	$test->todo_start('alerts') if $self->{todo_alerts};
	$test->is_eq(_lines_with('\[alert\]', $log), '', 'no alerts');
	$test->todo_end() if $self->{todo_alerts};

	$test->is_eq(_lines_with('Sanitizer', $log), '', 'no sanitizer errors');
}

sub plan {
	my ($self, $tests) = @_;

	Test::More::plan(tests => $tests + 2);
	return $self;
}

sub todo_alerts {
	my ($self) = @_;

	$self->{todo_alerts} = 1;
	return $self;
}

sub run {
	my ($self, $conf) = @_;

	$self->write_file_expand('nginx.conf', _slurp($conf)) if defined $conf;

	my @command = $self->_command();
	my $pid = $self->{nginx} = _fork(sub { exec { $command[0] } @command });

	my $started = $self->waitforfile("$self->{dir}/nginx.pid", $pid);
	return $self if $started;

	delete $self->{nginx} if defined $started;	# it has ended by itself
	$self->stop();
	die "nginx did not start\n";
}

# For a configuration that the nginx at hand may not know: skips the file.
sub try_run {
	my ($self, $message) = @_;

	open my $stderr, '>&', \*STDERR or die "cannot save stderr: $!\n";
	open STDERR, '>', File::Spec->devnull() or die "no null device: $!\n";
	my $started = eval { $self->run() };
	open STDERR, '>&', $stderr or die "cannot restore stderr: $!\n";

	return $self if $started;

	log_in($self->read_file('error.log'));
	Test::More::plan(skip_all => $message);
}

# What `nginx -T` says, mistakes in nginx.conf included.
sub dump_config {
	my ($self) = @_;

	my @command = $self->_command('-T');
	my $pid = open my $output, '-|';
	defined $pid or die "cannot fork: $!\n";

	if (!$pid) {
		open STDERR, '>&', \*STDOUT;
		exec { $command[0] } @command or POSIX::_exit(127);
	}

	local $/;
	return scalar <$output>;
}

sub reload {
	my ($self) = @_;

	kill 'HUP', $self->{nginx} if $self->{nginx};
	return $self;
}

sub stop {
	my ($self) = @_;

	my $pid = delete $self->{nginx};
	_end_process($pid, 'QUIT') if $pid;
	return $self;
}

sub run_daemon {
	my ($self, $what, @args) = @_;

	push @{$self->{daemons}}, _fork(sub {
		return $what->(@args) if ref $what;
		exec { $what } $what, @args;
	});
	return $self;
}

# True when the file is there; false at once when the process ends without.
sub waitforfile {
	my ($self, $file, $pid) = @_;

	return _until(START, sub {
		my $ended = $pid && waitpid($pid, WNOHANG);
		return -e $file ? 1 : $ended ? 0 : undef;
	});
}

sub waitforsocket {
	my ($self, $address) = @_;

	return _until(START, sub {
		IO::Socket::INET->new(PeerAddr => $address) ? 1 : undef;
	});
}

###############################################################################
# What nginx is able to do

sub has {
	my ($self, @features) = @_;

	for my $feature (@features) {
		next if $self->has_module($feature) || $self->has_feature($feature);
		Test::More::plan(skip_all => "no $feature available");
	}

	return $self;
}

# The name of what is in neither list is looked for in all that `nginx -V` says.
sub has_module {
	my ($self, $module) = @_;

	my $build = $self->_build();

	return $build !~ /\Q$BUILT_IN{$module}\E(?!\S)/ if $BUILT_IN{$module};
	return $build =~ /$OPTION{$module}/ if $OPTION{$module};
	return $build =~ /$module/;
}

sub has_feature {
	my ($self, $feature) = @_;

	return $feature =~ /^(?:symlink|udp|unix)$/;
}

sub has_version {
	my ($self, $wanted) = @_;

	my ($version) = $self->_build() =~ m{(?:nginx|openresty)/([\d.]+)}
		or die "no version in what '$NGINX -V' says\n";

	return version->parse("v$version") >= version->parse("v$wanted");
}

sub has_daemon {
	my ($self, $program) = @_;

	_find_in_path($program)
		or Test::More::plan(skip_all => "$program not found");
	return $self;
}

sub _build {
	my ($self) = @_;

	return $self->{build} //= do {
		my $build = `'$NGINX' -V 2>&1`;

		# Distributions package dynamic modules one by one: one that is not
		# installed is not available, whatever nginx was configured with.
		$build =~ s{--with-(\S+)=dynamic}
			{ -e _file_of($1) ? $& : '' }ger;
	};
}

###############################################################################
# Files

sub testdir { $_[0]{dir} }

sub read_file {
	my ($self, $name) = @_;

	return _slurp("$self->{dir}/$name");
}

sub write_file {
	my ($self, $name, $content) = @_;

	open my $file, '>:raw', "$self->{dir}/$name"
		or die "cannot create $name: $!\n";
	print $file $content;
	close $file or die "cannot write $name: $!\n";
	return $self;
}

sub write_file_expand {
	my ($self, $name, $content) = @_;

	my %text = (
		TEST_GLOBALS => sub { $self->_globals() },
		TEST_GLOBALS_HTTP => sub { $self->_globals_http() },
		TESTDIR => sub { $self->{dir} },
	);
	my $names = join '|', keys %text;

	$content =~ s/%%($names)%%/$text{$1}->()/ge;
	$content =~ s/127\.0\.0\.1:\K(8\d{3})/port($1)/ge;
	$content =~ s/%%PORT_(\d+)(_UDP)?%%/port($1, udp => $2)/ge;

	return $self->write_file($name, $content);
}

sub _command {
	my ($self, @options) = @_;

	my $own = "pid $self->{dir}/nginx.pid; error_log $self->{dir}/error.log debug;";

	return ($NGINX, @options, '-p', "$self->{dir}/", '-c', 'nginx.conf',
		'-e', 'error.log', $self->{expanded} ? () : ('-g', $own));
}

sub _globals {
	my ($self) = @_;

	my $given = $ENV{TEST_NGINX_GLOBALS} // '';
	$self->{expanded} = 1;

	return join "\n", "pid $self->{dir}/nginx.pid;",
		"error_log $self->{dir}/error.log debug;", _user($given), $given,
		map { 'load_module ' . _file_of($_) . ';' }
			$self->_build() =~ /--with-(\S+)=dynamic/g;
}

sub _globals_http {
	my ($self) = @_;

	# The built-in places of these belong to the system's own nginx.
	my @temporary = ('client_body',
		grep { $self->has_module($_) } qw/ fastcgi proxy scgi uwsgi /);

	# By default, as large as a line of the processor's cache.
	my @hashes = ('server_names', $self->has_module('map') ? 'map' : ());
	my $hashes = join '', map { " ${_}_hash_bucket_size 128;" } @hashes;

	return join "\n", "root $self->{dir};", "access_log $self->{dir}/access.log;$hashes",
		(map { "${_}_temp_path $self->{dir}/${_}_temp;" } @temporary),
		$ENV{TEST_NGINX_GLOBALS_HTTP} // '';
}

# The directory of a test is closed to everyone but the user who runs it, so
# workers of root must not change to another user.
sub _user {
	my ($given) = @_;

	return if $> != 0 || $given =~ /(?:^|[\s;])user\s/;
	return sprintf 'user %s %s;', scalar getpwuid($>), scalar getgrgid($)+0);
}

# The file of a dynamic module, from its option: http_geoip_module, stream ...
sub _file_of {
	my ($option) = @_;

	my $name = $option =~ s/_module$//r;
	$name = 'http_xslt_filter' if $name eq 'http_xslt';
	my $dir = $ENV{TEST_NGINX_MODULES}
		// File::Spec->catpath((File::Spec->splitpath($NGINX))[0, 1], '');

	return File::Spec->rel2abs("ngx_${name}_module.so", $dir || '.');
}

###############################################################################
# Ports

my %ports;

# The port that stands for this one in this test.  Tests that run at the same
# time want the same numbers: the UDP socket of a number, kept open, says that
# its TCP port is taken, even when no nginx listens there yet.  For a UDP port
# it is the other way round.
sub port {
	my ($wanted, %options) = @_;

	return $ports{$wanted}{number} if $ports{$wanted};

	# Below what the system gives to outgoing connections.
	for my $number ($wanted, map { 10_000 + int rand 20_000 } 1 .. 20) {
		my $tcp = IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
			ReuseAddr => 1, LocalAddr => "127.0.0.1:$number") or next;
		my $udp = IO::Socket::INET->new(Proto => 'udp',
			LocalAddr => "127.0.0.1:$number") or next;

		$ports{$wanted} = {
			number => $number,
			reserved => $options{udp} ? $tcp : $udp,
		};
		return $number;
	}

	die "no free port for $wanted\n";
}

###############################################################################
# A client that sends what it is told to, byte for byte

sub http_get {
	my ($uri, %options) = @_;

	return http("GET $uri HTTP/1.0\nHost: localhost\n\n", %options);
}

sub http_head {
	my ($uri, %options) = @_;

	return http("HEAD $uri HTTP/1.0\nHost: localhost\n\n", %options);
}

# The whole response as text, undef where none came in time.  Options: body and
# sleep (before the body), socket (of an earlier request), start (returns the
# socket and reads nothing), and those of IO::Socket::INET.
sub http {
	my ($request, %options) = @_;

	my $socket = http_start($request, %options);

	return $socket if $options{start} || !defined $socket;
	return http_end($socket);
}

sub http_start {
	my ($request, %options) = @_;

	return _in_time(sub {
		my $socket = $options{socket} || IO::Socket::INET->new(
			PeerAddr => '127.0.0.1:' . port(8080), %options,
		) or die "cannot connect: $!\n";

		log_out($request);
		$socket->print($request);
		sleep $options{sleep} if $options{sleep};

		if ($options{body}) {
			log_out($options{body});
			$socket->print($options{body});
		}
		return $socket;
	});
}

sub http_end {
	my ($socket) = @_;

	my $response = _in_time(sub {
		my $everything = join '', $socket->getlines();
		$socket->close();
		return $everything;
	});

	log_in($response) if defined $response;
	return $response;
}

# The body of a response, without the framing of chunks.
sub http_content {
	my ($response) = @_;

	my ($head, $body) = split /\r\n\r\n/, $response // '', 2;
	return undef unless defined $body;
	return $body if $head !~ /^Transfer-Encoding: *chunked/im;

	my $content = '';
	while ($body =~ s/^(?:\r\n)?([[:xdigit:]]+)\r\n//) {
		my $size = hex $1;
		return $content if !$size;
		$content .= substr $body, 0, $size, '';
	}
	return "$content\[no-last-chunk]";
}

sub http_gzip_request {
	my ($uri) = @_;

	return http("GET $uri HTTP/1.1\nHost: localhost\nConnection: close\n"
		. "Accept-Encoding: gzip\n\n");
}

sub http_gzip_like {
	my ($response, $pattern, $name) = @_;

	require IO::Uncompress::Gunzip;
	my $packed = http_content($response) // '';
	IO::Uncompress::Gunzip::gunzip(\$packed => \my $content);
	Test::More->builder->like($content, $pattern, $name);
}

sub log_out { _log('>>', @_) }
sub log_in { _log('<<', @_) }

sub _log {
	my ($direction, $text) = @_;

	return unless $ENV{TEST_NGINX_VERBOSE} && defined $text;

	$text = substr($text, 0, 2000) . '...' if length $text > 2000;
	for my $line (split /\n/, $text) {
		$line =~ s/([^ -~])/sprintf '\x%02x', ord $1/ge;
		print "# $direction $line\n";
	}
}

###############################################################################
# Helpers

sub _slurp {
	my ($path) = @_;

	open my $file, '<:raw', $path or die "cannot open $path: $!\n";
	local $/;
	return <$file> // '';
}

sub _lines_with {
	my ($pattern, $text) = @_;

	return join "\n", grep { /$pattern/ } split /\n/, $text;
}

sub _find_in_path {
	my ($program) = @_;

	my ($found) = grep { -f && -x } map { "$_/$program" } File::Spec->path();
	return $found;
}

# Asks again until there is an answer; undef when there is none in time.
sub _until {
	my ($seconds, $ask) = @_;

	my $end = time() + $seconds;
	while (1) {
		my $answer = $ask->();
		return $answer if defined $answer || time() > $end;
		sleep 0.02;
	}
}

# A test that waits for ever says nothing: one that gets undef fails by name.
sub _in_time {
	my ($code) = @_;

	my $result = eval {
		local $SIG{ALRM} = sub { die "timeout\n" };
		local $SIG{PIPE} = sub { die "closed by nginx\n" };
		alarm ANSWER;
		my $value = $code->();
		alarm 0;
		$value;
	};
	my $error = $@;
	alarm 0;

	log_in("no response: $error") unless defined $result;
	return $result;
}

sub _fork {
	my ($code) = @_;

	my $pid = fork() // die "cannot fork: $!\n";
	return $pid if $pid;

	$code->();
	exit 0;
}

sub _end_process {
	my ($pid, $signal) = @_;

	kill $signal, $pid;
	return if _until(STOP, sub { waitpid($pid, WNOHANG) ? 1 : undef });
	kill 'KILL', $pid;
	waitpid $pid, 0;
}

1;
