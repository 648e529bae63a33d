#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0

# Tests for the floors of src/: each uses only those below it, all unsafe code is
# on the lowest one but for a block at each entry point, and what is there knows
# no policy.

use warnings;
use strict;

use Test::More;

use FindBin;

my $src = "$FindBin::Bin/../src";

# From the lowest to the highest.  The root belongs to the highest.
my @floors = qw/ nginx conf serve lib /;
my %level = map { $floors[$_] => $_ } 0 .. $#floors;

my %files = map { my $name = $_; substr($name, 1 + length $src) => slurp($name) }
	glob "$src/*.rs $src/*/*.rs";

plan(tests => 2 * keys(%files) + 2);

cmp_ok(scalar keys %files, '>', 25, 'there are files');
is(join(' ', grep { !exists $level{floor($_)} } sort keys %files), '',
	'each is on a floor');

for my $file (sort keys %files) {
	my $floor = floor($file);
	my $code = $files{$file} =~ s{//.*$}{}gmr;

	# `crate::conf::...`, and `use crate::{conf, ...}` are the ways to another.
	my @used = $code =~ /\bcrate::(\w+)/g;
	push @used, map { /(\w+)/g } $code =~ /\bcrate::\{([^}]*)\}/g;
	push @used, $code =~ /\bsuper::super::(\w+)/g;
	my @above = grep { exists $level{$_} && $level{$_} > $level{$floor} } @used;
	is("@above", '', "imports nothing from above: $file");

	# The lowest floor knows the words of nginx alone.
	if ($floor eq 'nginx') {
		unlike($code, qr/\bcors_policy\b|access-control|\bPolicy\b|\bOrigin\b/i,
			"knows no policy: $file");
		next;
	}

	# A block at each entry point turns what nginx hands in into what is safe.
	my $entries = () = $code =~ /unsafe extern "C" fn \w+\(/g;
	my $blocks = () = $code =~ /\bunsafe \{/g;
	$blocks-- if $file eq 'lib.rs';		# the module's own table
	cmp_ok($blocks, '<=', $entries, "unsafe only at entry points: $file");
}

###############################################################################

sub floor {
	my ($file) = @_;

	return $file =~ m{^(\w+)} ? $1 : '';
}

sub slurp {
	my ($file) = @_;

	open my $handle, '<', $file or die "cannot open $file: $!\n";
	local $/;
	return scalar <$handle>;
}

###############################################################################
