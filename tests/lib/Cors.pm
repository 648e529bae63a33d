# SPDX-License-Identifier: Apache-2.0
package Cors;

# What the tests of the module share: requests as browsers send them, all that
# a response says about CORS in one line, and a backend.

use strict;
use warnings;

use parent qw/ Exporter /;

use IO::Socket::INET;
use Test::More ();
use Test::Nginx qw/ :DEFAULT http_content /;

our @EXPORT = qw/ request get preflight cors header content allowed VARY
	PREFLIGHT_VARY SOON is_allowed is_denied serve connection exchange is_closed reloads_alone /;

# What the responses to a simple request, and to a preflight, depend on.
use constant {
	VARY => 'Vary: Origin',
	PREFLIGHT_VARY => 'Vary: Origin, Access-Control-Request-Method, '
		. 'Access-Control-Request-Headers',
	# In seconds, what a connection waits for.
	SOON => 3 * ($ENV{TEST_NGINX_PATIENCE} // 1),
};

# The response to a request with these fields, each a whole line; a reference
# to options of http() may come last.
sub request {
	my ($method, $uri, @fields) = @_;

	my %options = ref $fields[-1] ? %{pop @fields} : ();
	unshift @fields, 'Host: localhost' unless grep { /^Host:/i } @fields;
	push @fields, 'Connection: close' unless grep { /^Connection:/i } @fields;

	return http(join("\x0d\n", "$method $uri HTTP/1.1", @fields, '', ''),
		%options);
}

sub get {
	my ($uri, $origin, @fields) = @_;

	return request('GET', $uri, defined $origin ? "Origin: $origin" : (),
		@fields);
}

sub preflight {
	my ($uri, $origin, $method, $headers, @fields) = @_;

	return request('OPTIONS', $uri, "Origin: $origin",
		'Access-Control-Request-Method: ' . ($method // 'PUT'),
		defined $headers ? "Access-Control-Request-Headers: $headers" : (),
		@fields);
}

# The status and all fields that CORS has to do with, in the order of their
# names and with "-" for "Access-Control-": a doubled or an extra one shows.
sub cors {
	my ($response) = @_;

	my ($line, @fields) = split /\x0d?\n/, _head($response);
	my ($status) = ($line // '') =~ m{^HTTP/\S+ (\d+)} or return 'no response';

	# Names are in lower case in HTTP/2.
	s/^([^:]+)/join '-', map { ucfirst lc } split m{-}, $1/e for @fields;

	my @found = sort map { s/^Access-Control-/-/r }
		grep { /^(?:Access-Control-|Vary:)/ } @fields;

	return @found ? "$status " . join '; ', @found : $status;
}

# The values of all fields of a name, with " | " between two fields.
sub header {
	my ($response, $name) = @_;

	return join ' | ', _head($response) =~ /^\Q$name\E:[ \t]*([^\x0d\n]*)/gim;
}

# The body, empty where there is none.
sub content {
	my ($response) = @_;

	return http_content($response) // '';
}

# What a simple request from an allowed origin gets when nothing else is set.
sub allowed {
	my ($origin) = @_;

	return "-Allow-Origin: $origin; " . VARY;
}

# One test for each line, an origin that a list lets in, or does not.
sub is_allowed {
	my ($uri, $name, $origins) = @_;

	_is_all($uri, "$name: $uri lets in", \&allowed, $origins);
}

sub is_denied {
	my ($uri, $name, $origins) = @_;

	_is_all($uri, "$name: $uri denies", sub { VARY }, $origins);
}

sub _is_all {
	my ($uri, $name, $expected, $origins) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 2;

	for my $origin (split /\n/, $origins) {
		my $shown = $origin =~ s/([^ -~])/sprintf '\x%02x', ord $1/ger;

		Test::More::is(cors(get($uri, $origin)),
			'200 ' . $expected->($origin), "$name $shown");
	}
}

# A connection that stays open.
sub connection {
	my ($port) = @_;

	my $connection = IO::Socket::INET->new(
		Proto => 'tcp',
		PeerAddr => '127.0.0.1:' . Test::Nginx::port($port // 8080)
	)
		or die "Can't connect to nginx: $!\n";

	return $connection;
}

# Sends a request on a connection, and returns the response when it is complete
# as its framing has it, without waiting for the connection to be closed; what
# came of it within three seconds, behind "incomplete:", if it is not.  The
# last argument may be a reference to the body.
sub exchange {
	my ($connection, $method, $uri, @fields) = @_;

	my $body = ref $fields[-1] ? ${pop @fields} : undef;
	unshift @fields, 'Host: localhost' unless grep { /^Host:/i } @fields;
	push @fields, 'Content-Length: ' . length $body
		if defined $body && !grep { /^(?:Transfer-Encoding|Content-Length):/i } @fields;

	local $SIG{PIPE} = 'IGNORE';
	$connection->print(join("\x0d\n", "$method $uri HTTP/1.1", @fields, '', ''),
		$body // '');
	return receive($connection, $method);
}

# The response to a request that has been sent.
sub receive {
	my ($connection, $method) = @_;

	my $received = '';
	my $is_complete = eval {
		local $SIG{ALRM} = sub { die "timeout\n" };
		alarm SOON;

		my $head = _line($connection, \$received);
		my ($status) = $head =~ m{^HTTP/1\.[01] (\d+)} or die "no status\n";
		my %fields;
		while ((my $line = _line($connection, \$received)) ne "\x0d\n") {
			$fields{lc $1} = $2 if $line =~ /^([^:]+):[ \t]*(.*?)\x0d\n/;
		}

		if ($method eq 'HEAD' || $status =~ /^(?:1..|204|304)$/) {

		} elsif (($fields{'transfer-encoding'} // '') eq 'chunked') {
			while ((my $size = hex _line($connection, \$received) =~ s/\s//gr)) {
				_bytes($connection, \$received, $size + 2);
			}
			1 while _line($connection, \$received) ne "\x0d\n";

		} elsif (defined $fields{'content-length'}) {
			_bytes($connection, \$received, $fields{'content-length'});

		} else {
			die "no length\n";
		}
		alarm 0;
		1;
	};
	alarm 0;
	return $is_complete ? $received : "incomplete: $received";
}

# Whether the server closes a connection soon, and without another byte.
sub is_closed {
	my ($connection) = @_;

	my $read = eval {
		local $SIG{ALRM} = sub { die "timeout\n" };
		alarm SOON;
		my $read = $connection->read(my $byte, 1);
		alarm 0;
		$read;
	};
	alarm 0;
	return defined $read && $read == 0;
}

sub _line {
	my ($connection, $received) = @_;

	my $line = $connection->getline();
	die "closed\n" unless defined $line;
	$$received .= $line;
	return $line;
}

sub _bytes {
	my ($connection, $received, $number) = @_;

	while ($number) {
		my $read = $connection->read(my $bytes, $number) or die "closed\n";
		$$received .= $bytes;
		$number -= $read;
	}
}

# A backend: hands each request to a sub and sends what that returns.  One
# connection at a time, closed after the response.
sub serve {
	my ($port, $answer) = @_;

	my $server = IO::Socket::INET->new(
		Proto => 'tcp',
		LocalAddr => "127.0.0.1:$port",
		Listen => 5,
		Reuse => 1
	)
		or die "Can't create listening socket: $!\n";

	local $SIG{PIPE} = 'IGNORE';

	while (my $client = $server->accept()) {
		my ($request, $body) = ('', '');

		while (my $line = <$client>) {
			$request .= $line;
			last if $line =~ /^\x0d?\n$/;
		}

		$client->read($body, $1) if $request =~ /^Content-Length: (\d+)/mi;

		# A connection without a request has asked whether anyone listens.
		print $client $answer->($request . $body) =~ s/(?<!\x0d)\n/\x0d\n/gr
			if $request;
		close $client;
	}
}

# Whether an nginx without a master can reload: that of OpenResty ends instead.
sub reloads_alone {
	return `$Test::Nginx::NGINX -v 2>&1` !~ m{openresty/};
}

sub _head { (split /\x0d?\n\x0d?\n/, $_[0] // '', 2)[0] // '' }

1;
