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

/// What is known of the ends of origins that some patterns cover.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ends {
    /// Bit `n` is set if one is `n` bytes long. The longest has a dot, a host and a port.
    lengths: [u64; (1 + MAX_HOST + MAX_PORT) / 64 + 1],
    /// The [`last_bit`] of each is set.
    last: u64,
}

/// The number of words in [`Ends`].
pub(crate) const ENDS: usize = size_of::<Ends>() / 8;

impl Ends {
    fn add(&mut self, end: &[u8]) {
        self.lengths[end.len() / 64] |= 1 << (end.len() % 64);
        self.last |= last_bit(end);
    }

    fn is_empty(&self) -> bool {
        self.last == 0
    }

    /// For memory that several processes share.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        self.lengths.into_iter().chain([self.last])
    }

    /// Those of [`Ends::words`].
    pub fn of_words(words: &[u64; ENDS]) -> Ends {
        let mut ends = Ends { last: words[ENDS - 1], ..Ends::default() };
        ends.lengths.copy_from_slice(&words[..ENDS - 1]);
        ends
    }
}

/// One of 64 bits that the last eight bytes choose; all if there are fewer. It tells most origins from those of a few domains.
#[inline(always)]
fn last_bit(value: &[u8]) -> u64 {
    let Some(last) = value.last_chunk::<8>() else { return u64::MAX };
    1 << (u64::from_le_bytes(*last).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

/// What is known of all patterns of a set.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shapes {
    /// Host and port of the patterns with a certain port or none.
    pub fixed: Ends,
    /// The host of those with any port.
    pub any_port: Ends,
}

impl Shapes {
    /// Takes note of the key of a pattern.
    pub fn add(&mut self, key: &str) {
        let (_, end) = divide(key.as_bytes());
        match end.strip_suffix(ANY) {
            Some(host) => self.any_port.add(host),
            None => self.fixed.add(end),
        }
    }
}

/// The port of a key that covers all.
const ANY: &[u8] = b":*";

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

/// The length of a key's scheme, and what follows it.
fn divide(key: &[u8]) -> (usize, &[u8]) {
    let start = scheme_len(key).unwrap_or(0);
    (start, &key[start..])
}

pub(crate) fn key_hash(key: &[u8]) -> u32 {
    let (scheme, end) = divide(key);
    end_hash(scheme, end.strip_suffix(ANY).unwrap_or(end))
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
        let key = key(pattern);
        self.shapes.add(&key);
        self.keys.insert(key.as_bytes(), key_hash)
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
            || (!self.shapes.any_port.is_empty() && self.covers_any_port(origin, start))
    }

    #[inline(never)]
    fn covers_any_port(&self, origin: &[u8], start: usize) -> bool {
        let (scheme, authority) = origin.split_at(start);
        let host = host_of(authority).len();
        let port = &authority[host..];
        (port.is_empty() || is_port(port, &scheme[..start - 3]))
            && self.covers::<true>(&self.shapes.any_port, &origin[..start + host], start)
    }

    /// Whether an end of `value`, in which the scheme ends at `start`, is one of these and is covered.
    #[inline(always)]
    fn covers<const ANY_PORT: bool>(&self, ends: &Ends, value: &[u8], start: usize) -> bool {
        if ends.last & last_bit(value) == 0 {
            return false;
        }
        for (word, bits) in ends.lengths.iter().enumerate().take((value.len() - start) / 64 + 1) {
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
        let port = if ANY_PORT { ANY } else { b"" };
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
        let mut set = patterns(&[&format!("http://*.{name}.example:*"), "http://*.a-a-a-a-aa.example"]);
        // Nor are other patterns so different that they tell.
        set.shapes.fixed.last = u64::MAX;
        assert_eq!(set.shapes.fixed.lengths, set.shapes.any_port.lengths.map(|bits| bits << 2));
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

    #[test]
    fn equal_hashes_are_not_enough() {
        // The place in the table and the key there are the same for both.
        let is_alike = |one: &str, other: &str| {
            let hash = |end: &str| end_hash(8, end.as_bytes());
            one.len() == other.len() && (hash(one) ^ hash(other)) & 0xffff_0007 == 0
        };
        for (before, after) in [(".", ".example"), (".exampl.", ""), (".example.", ".a-longer.example")] {
            let end = |i: u32| format!("{before}x{i:06x}{after}");
            let other = (1..1 << 24).map(end).find(|other| is_alike(&end(0), other)).unwrap();
            let mut set = patterns(&[&format!("https://*{}", end(0))]);
            set.shapes.fixed.last = u64::MAX;
            assert!(set.matches(format!("https://a{}", end(0)).as_bytes()));
            assert!(!set.matches(format!("https://a{other}").as_bytes()), "{other}");
        }
    }

    #[test]
    fn patterns_of_all_lengths() {
        for length in 2..=251_usize {
            let host = "a.".repeat(length.div_ceil(2) - 1) + &"a".repeat(2 - length % 2);
            assert_eq!(host.len(), length);
            for port in ["", ":*", ":65535"] {
                let set = patterns(&[&format!("https://*.{host}{port}")]);
                let port = port.replace('*', "1");
                assert!(set.matches(format!("https://x.{host}{port}").as_bytes()), "{host}{port}");
                assert!(!set.matches(format!("https://x{host}{port}").as_bytes()), "{host}{port}");
                assert!(!set.matches(format!("https://x.y.{host}-{port}").as_bytes()), "{host}{port}");
            }
        }
    }
}
