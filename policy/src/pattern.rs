// SPDX-License-Identifier: Apache-2.0
//! Patterns: `https://*.example.com` (any labels before a domain) and `http://localhost:*` (any port, or none).
//!
//! A pattern is stored as a key `scheme://host:port`, with a dot before the host if labels may come before it, and the port as
//! written. An origin is looked up under each end of its host that is as long as the host of some pattern. The cost therefore
//! depends on the length of the origin, and not on the number of patterns.
//!
//! An origin is not parsed: what is equal to a part of a pattern is well-formed, and only the rest is checked.

use crate::origin::{is_labels, is_port, scheme_len, MAX_HOST};
use crate::rule::Pattern;
use crate::set::{fold, hash, Table, View};

/// What is known of all patterns of a set.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shapes {
    /// Bit `n` is set if the host of a pattern, with its dot, is `n` bytes long.
    pub lengths: [u64; MAX_HOST / 64 + 1],
    /// Whether a pattern has any port.
    pub any_port: bool,
}

impl Shapes {
    /// Takes note of a pattern.
    pub fn add(&mut self, pattern: &Pattern<'_>) {
        self.lengths[pattern.host.len() / 64] |= 1 << (pattern.host.len() % 64);
        self.any_port |= pattern.port == ":*";
    }
}

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

/// The parts of a key, or of what looks like an origin.
#[derive(Clone, Copy)]
struct Parts<'a> {
    /// The scheme with its `://`.
    scheme: &'a [u8],
    host: &'a [u8],
    /// The port with its `:`, or empty.
    port: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Divides a key or an origin. Nothing is checked.
    #[inline(always)]
    fn of(value: &'a [u8]) -> Option<Parts<'a>> {
        let start = scheme_len(value)?;
        let (scheme, authority) = value.split_at(start);
        let mut host = authority;
        while let [rest @ .., b'0'..=b'9' | b'*'] = host {
            host = rest;
        }
        let port = match host {
            [rest @ .., b':'] => rest.len(),
            _ => authority.len(),
        };
        let (host, port) = authority.split_at(port);
        Some(Parts { scheme, host, port })
    }

    #[inline(always)]
    fn hash(self) -> u32 {
        let port = self.port.iter().fold(0, |port, &b| port << 8 | u64::from(b));
        // Few schemes are of the same length.
        let h = fold(u64::from(hash(self.host)) << 32 | self.scheme.len() as u64, port);
        h as u32 ^ (h >> 32) as u32
    }

    /// Whether `key` consists of these.
    #[inline(always)]
    fn are(self, key: &[u8]) -> bool {
        let (scheme, rest) = key.split_at_checked(self.scheme.len()).unwrap_or_default();
        let (host, port) = rest.split_at_checked(self.host.len()).unwrap_or_default();
        is_same(host, self.host) && is_same(scheme, self.scheme) && is_same(port, self.port)
    }
}

/// Whether both are the same, without a call.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (mut rest_of_a, mut rest_of_b) = (a, b);
    while let (Some((start, a)), Some((other, b))) =
        (rest_of_a.split_first_chunk::<8>(), rest_of_b.split_first_chunk::<8>())
    {
        if start != other {
            return false;
        }
        (rest_of_a, rest_of_b) = (a, b);
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last), Some(other)) => last == other,
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

/// The key of a pattern.
pub(crate) fn key(Pattern { scheme, host, port }: &Pattern<'_>) -> String {
    format!("{scheme}://{host}{port}")
}

pub(crate) fn key_hash(key: &[u8]) -> u32 {
    Parts::of(key).map_or(0, Parts::hash)
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
    pub fn matches(&self, origin: &[u8]) -> bool {
        PatternsView { keys: self.keys.view(), shapes: &self.shapes }.matches(origin)
    }
}

impl PatternsView<'_> {
    /// Whether a pattern covers `origin`, and it is well-formed.
    #[inline(never)]
    pub fn matches(self, origin: &[u8]) -> bool {
        let Some(parts) = Parts::of(origin) else { return false };
        let host = parts.host;
        if host.len() > MAX_HOST {
            return false;
        }
        // The ends of the host that are as long as that of a pattern, shortest first.
        for (at, bits) in self.shapes.lengths.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let length = at * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(start) = host.len().checked_sub(length) else { return false };
                let (before, end) = host.split_at(start);
                // The host of a pattern begins with a dot if labels may come before it.
                if end.first().is_some_and(|&first| (first == b'.') != before.is_empty())
                    && self.has(Parts { host: end, ..parts })
                    && (before.is_empty() || is_labels(before))
                {
                    return true;
                }
            }
        }
        false
    }

    fn has(self, parts: Parts<'_>) -> bool {
        let find = |parts: Parts<'_>| {
            let len = parts.scheme.len() + parts.host.len() + parts.port.len();
            let Ok(len) = u16::try_from(len) else { return false };
            self.keys.find(parts.hash(), len, |key| parts.are(key))
        };
        // A `*` in an origin is not a port.
        (find(parts) && parts.port != b":*")
            || (self.shapes.any_port
                && (parts.port.is_empty() || is_port(parts.port, &parts.scheme[..parts.scheme.len() - 3]))
                && find(Parts { port: b":*", ..parts }))
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
