// SPDX-License-Identifier: Apache-2.0
//! Patterns: `https://*.example.com` (any labels before a domain) and `http://localhost:*` (any port, or none).
//!
//! A pattern is stored as a key `scheme://host:port`, with a dot before the host if labels may come before it, and the port as
//! written. An origin ends in what follows the scheme in the key, or in the host of it if the pattern has any port. So each end
//! of an origin is looked up that is as long as that of some pattern. The cost therefore depends on the length of the origin, and not on
//! the number of patterns.
//!
//! An origin is not parsed: what is equal to a part of a pattern is well-formed, and only the rest is checked.

use crate::origin::{is_labels, is_port, scheme_len, MAX_HOST};
use crate::rule::Pattern;
use crate::set::{hash, Table, View};

/// The longest port, with its `:`.
const MAX_PORT: usize = 6;

/// A set of lengths: bit `n` is set if `n` is one of them. The longest is that of a dot, a host and a port.
pub(crate) type Lengths = [u64; (1 + MAX_HOST + MAX_PORT) / 64 + 1];

/// What is known of all patterns of a set.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shapes {
    /// How long host and port are together, of the patterns with a certain port or none.
    pub fixed: Lengths,
    /// How long the host is, of those with any port.
    pub any_port: Lengths,
    /// Whether there are such.
    pub has_any_port: bool,
}

impl Shapes {
    /// Takes note of a pattern.
    pub fn add(&mut self, pattern: &Pattern<'_>) {
        let (lengths, length) = match pattern.port {
            ANY => (&mut self.any_port, pattern.host.len()),
            port => (&mut self.fixed, pattern.host.len() + port.len()),
        };
        lengths[length / 64] |= 1 << (length % 64);
        self.has_any_port |= pattern.port == ANY;
    }
}

/// The port of a key that covers all.
const ANY: &str = ":*";

/// A set of patterns.
#[derive(Default)]
pub struct Patterns {
    keys: Table,
    shapes: Shapes,
}

/// The patterns of a set, wherever its memory is.
#[derive(Clone, Copy)]
pub(crate) struct PatternsView<'a> {
    pub keys: View<'a>,
    pub shapes: &'a Shapes,
}

/// Whether both are the same, without a call: eight bytes at a time, of which the last overlap the previous ones.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.first_chunk::<8>(), b.first_chunk::<8>()) {
        (Some(first), Some(other)) if a.len() <= 16 => first == other && a.last_chunk::<8>() == b.last_chunk::<8>(),
        (Some(_), Some(_)) => a.chunks_exact(8).eq(b.chunks_exact(8)) && a.last_chunk::<8>() == b.last_chunk::<8>(),
        _ => a.iter().eq(b),
    }
}

/// The key of a pattern.
pub(crate) fn key(Pattern { scheme, host, port }: &Pattern<'_>) -> String {
    format!("{scheme}://{host}{port}")
}

pub(crate) fn key_hash(key: &[u8]) -> u32 {
    let start = scheme_len(key).unwrap_or(0);
    let end = &key[start..];
    end_hash(start, end.strip_suffix(ANY.as_bytes()).unwrap_or(end))
}

/// The hash of a key whose scheme is so long, and whose host and fixed port are `end`.
#[inline(always)]
fn end_hash(scheme: usize, end: &[u8]) -> u32 {
    // Few schemes are of the same length.
    hash(end).wrapping_add((scheme as u32).wrapping_mul(0x9e37_79b1))
}

impl Patterns {
    /// Adds a pattern, and returns whether it was new.
    pub fn insert(&mut self, pattern: &Pattern<'_>) -> bool {
        self.shapes.add(pattern);
        self.keys.insert(key(pattern).as_bytes(), key_hash)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The patterns, without the `*` before a dot.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.view().iter()
    }

    /// Whether a pattern covers `origin`, and it is well-formed.
    #[inline(always)]
    pub fn matches(&self, origin: &[u8]) -> bool {
        PatternsView { keys: self.keys.view(), shapes: &self.shapes }.matches(origin)
    }
}

impl PatternsView<'_> {
    /// Whether a pattern covers `origin`, and it is well-formed.
    #[inline(always)]
    pub fn matches(self, origin: &[u8]) -> bool {
        let Some(start) = scheme_len(origin) else { return false };
        let Some(authority) = origin.get(start..) else { return false };
        // No host can be longer than its limit in what is not longer itself.
        if authority.len() > MAX_HOST && host_of(authority).len() > MAX_HOST {
            return false;
        }
        self.covers::<false>(&self.shapes.fixed, origin, start)
            || (self.shapes.has_any_port && self.covers_any_port(origin, start))
    }

    #[inline(never)]
    fn covers_any_port(&self, origin: &[u8], start: usize) -> bool {
        let (scheme, authority) = origin.split_at(start);
        let host = host_of(authority).len();
        let port = &authority[host..];
        (port.is_empty() || is_port(port, &scheme[..start - 3]))
            && self.covers::<true>(&self.shapes.any_port, &origin[..start + host], start)
    }

    /// Whether an end of `value`, in which the scheme ends at `start`, has one of these lengths and is covered.
    #[inline(always)]
    fn covers<const ANY_PORT: bool>(&self, lengths: &Lengths, value: &[u8], start: usize) -> bool {
        for (word, bits) in lengths.iter().enumerate().take((value.len() - start) / 64 + 1) {
            let mut bits = *bits;
            // Shortest first.
            while bits != 0 {
                let length = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(at) = value.len().checked_sub(length).filter(|at| *at >= start) else { return false };
                // The host of a pattern begins with a dot if labels may come before it.
                if value.get(at).is_some_and(|&first| (first == b'.') != (at == start))
                    && self.covers_end::<ANY_PORT>(value, start, at)
                {
                    return true;
                }
            }
        }
        false
    }

    /// Whether a key has the scheme of `value` and what begins `at` a place in it, and labels are between the two if anything is.
    #[inline(never)]
    fn covers_end<const ANY_PORT: bool>(&self, value: &[u8], start: usize, at: usize) -> bool {
        let port = if ANY_PORT { ANY.as_bytes() } else { b"" };
        let Some((rest, end)) = value.split_at_checked(at) else { return false };
        let Some((scheme, labels)) = rest.split_at_checked(start) else { return false };
        let Ok(len) = u16::try_from(start + end.len() + port.len()) else { return false };
        self.keys.find(end_hash(start, end), len, |key| {
            let (its_scheme, its_end) = key.split_at_checked(start).unwrap_or_default();
            its_end.strip_suffix(port).is_some_and(|its_end| is_same(its_end, end)) && is_same(its_scheme, scheme)
        })
            // A `*` in an origin is not a port.
            && end.last() != Some(&b'*')
            && (labels.is_empty() || is_labels(labels))
    }
}

/// The host at the beginning of `authority`, which may be followed by a port. Nothing is checked.
fn host_of(authority: &[u8]) -> &[u8] {
    let mut host = authority;
    while let [rest @ .., b'0'..=b'9'] = host {
        host = rest;
    }
    match host {
        [host @ .., b':'] => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{parse_rule, Rule};

    fn patterns(values: &[&str]) -> Patterns {
        let mut patterns = Patterns::default();
        for value in values {
            let Ok(Rule::Pattern(pattern)) = parse_rule(value.as_bytes()) else { panic!("{value}") };
            assert!(patterns.insert(&pattern));
        }
        patterns
    }

    #[test]
    fn what_patterns_cover() {
        let set = patterns(&[
            "https://*.example.com",
            "http://localhost:*",
            "https://*.b.example:8443",
            "http://*.c.example:*",
            "http://127.0.0.1:*",
            "http://[::1]:*",
            "app://*.d.example",
        ]);
        let rows = [
            ("https://a.example.com", true),
            ("https://a.b.c.example.com", true),
            ("https://example.com", false),
            ("https://aexample.com", false),
            ("https://a.example.com:8443", false),
            ("https://a.example.com.", false),
            ("https://a.example.com.evil.example", false),
            ("https://.example.com", false),
            ("https://..example.com", false),
            ("https://a..example.com", false),
            ("https://A.example.com", false),
            ("https://a/.example.com", false),
            ("https://a:1.example.com", false),
            ("https://a.example.com:", false),
            ("https://a.example.com:443", false),
            ("https:/a.example.com", false),
            ("https://https://a.example.com", false),
            ("http://a.example.com", false),
            ("http://localhost", true),
            ("http://localhost:3000", true),
            ("http://localhost:65535", true),
            ("http://localhost:65536", false),
            ("http://localhost:80", false),
            ("http://localhost:*", false),
            ("http://localhost:08", false),
            ("http://localhost:8*", false),
            ("http://:80", false),
            ("http://", false),
            ("", false),
            ("https://localhost", false),
            ("http://a.localhost", false),
            ("http://localhost.example", false),
            ("https://x.b.example:8443", true),
            ("https://x.b.example", false),
            ("https://x.b.example:8444", false),
            ("http://x.y.c.example:1", true),
            ("http://x.c.example", true),
            ("http://c.example", false),
            ("http://a.c.example:*", false),
            ("http://127.0.0.1", true),
            ("http://127.0.0.1:1", true),
            ("http://[::1]", true),
            ("http://[::1]:8080", true),
            ("http://[::1]:", false),
            ("http://[::1", false),
            ("app://a.d.example", true),
            ("a+p://a.d.example", false),
        ];
        for (value, covered) in rows {
            assert_eq!(set.matches(value.as_bytes()), covered, "{value}");
        }
    }

    #[test]
    fn a_star_is_no_port_even_if_hashes_are_equal() {
        // The place in the table and the key there are the same for the pattern and for an origin that is spelt like it.
        let is_alike = |name: &String| {
            let key = format!("http://.{name}.example:*");
            (key_hash(key.as_bytes()) ^ end_hash(7, &key.as_bytes()[7..])) & 0xffff_0007 == 0
        };
        let name = (0..1 << 24).map(|i| format!("{i:08x}")).find(is_alike).unwrap();
        let set = patterns(&[&format!("http://*.{name}.example:*"), "http://*.a-a-a-a-aa.example"]);
        assert_eq!(set.shapes.fixed, set.shapes.any_port.map(|bits| bits << 2));
        for (port, covered) in [(":*", false), (":1", true), ("", true)] {
            assert_eq!(set.matches(format!("http://a.{name}.example{port}").as_bytes()), covered, "{port}");
        }
    }

    #[test]
    fn a_thousand_patterns() {
        let mut set = Patterns::default();
        for i in 0..1000 {
            let value = format!("https://*.t{i}.example");
            let Ok(Rule::Pattern(pattern)) = parse_rule(value.as_bytes()) else { panic!() };
            set.insert(&pattern);
        }
        assert!(set.matches(b"https://x.t777.example"));
        assert!(!set.matches(b"https://x.t1000.example"));
        let longest = set.keys.longest_run();
        assert!(longest < 64, "{longest} slots in a row are taken");
    }

    #[test]
    fn long_hosts() {
        let label = "a".repeat(60);
        let set = patterns(&[&format!("https://*.{label}.{label}.example"), "https://*.b.example"]);
        let rows = [
            (format!("https://x.{label}.{label}.example"), true),
            (format!("https://{label}.{label}.example"), false),
            (format!("https://x.{label}.example"), false),
            (format!("https://{}b.example", "a.".repeat(122)), true),
            (format!("https://{}ab.b.example", "a.".repeat(121)), false),
            (format!("https://{}b.example", "a.".repeat(200)), false),
        ];
        for (origin, covered) in rows {
            assert_eq!(set.matches(origin.as_bytes()), covered, "{origin}");
        }
    }
}
