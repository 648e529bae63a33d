# SPDX-License-Identifier: Apache-2.0
package Messages;

# The messages of nginx -t, as docs/errors.md has them; a unit test holds that
# against the code.

use strict;
use warnings;

use parent qw/ Exporter /;

use FindBin;

our @EXPORT = qw/ message_of /;

my %text = do {
	open my $docs, '<', "$FindBin::Bin/../docs/errors.md" or die $!;
	map { /^\| `cors-([\w-]+)` \| \w+ \| `(.*?)` \| / ? ($1 => $2) : () } <$docs>;
};

# What is said of a value in a directive. The code comes without "cors-" before
# it; what to write instead, and what differs from case to case, may be missing.
sub message_of {
	my ($directive, $value, $code, $instead, $differs) = @_;

	my $text = $text{$code} // die "docs/errors.md has no cors-$code";
	$text =~ s/\{\w+\}/$differs/ if defined $differs;

	my $message = "\"$value\" $text";
	$message = "$directive: $message" unless $code eq 'no-effect';
	$message .= ": write \"$instead\"" if defined $instead;
	return "$message [cors-$code]";
}

1;
