//! Patterns: `https://*.example.com` (any labels before a domain) and `http://localhost:*` (any port, or none).
//!
//! A pattern is stored as a key `scheme://host:port`, with a dot before the host if labels may come before it, and the port as
//! written. An origin is looked up under each end of its host that is as long as the host of some pattern. The cost therefore
//! depends on how many lengths there are, which is at most the number of labels in the host, and not on the number of patterns.

use crate::origin::{Tuple, MAX_HOST, MAX_ORIGIN};
use crate::rule::Pattern;
use crate::set::Set;

/// A set of patterns.
#[derive(Default)]
pub struct Patterns {
    keys: Set,
    /// Bit `n` is set if the host of a pattern, with its dot, is `n` bytes long.
    lengths: [u64; MAX_HOST / 64 + 1],
    any_port: bool,
}

impl Patterns {
    /// Adds a pattern, and returns whether it was new.
    pub fn insert(&mut self, pattern: &Pattern<'_>) -> bool {
        let Pattern { scheme, host, port } = pattern;
        self.lengths[host.len() / 64] |= 1 << (host.len() % 64);
        self.any_port |= *port == ":*";
        self.keys.insert(format!("{scheme}://{host}{port}").as_bytes())
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The patterns, without the `*` before a dot.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter()
    }

    /// Whether a pattern covers `origin`.
    pub fn matches(&self, origin: &Tuple<'_>) -> bool {
        let host = origin.host;
        let mut key = [0; MAX_ORIGIN];
        let prefix = origin.scheme.len() + 3;
        key[..prefix - 3].copy_from_slice(origin.scheme);
        key[prefix - 3..prefix].copy_from_slice(b"://");
        // The whole host, then the rest after each of its labels.
        (0..host.len()).filter(|&at| at == 0 || host[at] == b'.').any(|at| {
            let end = &host[at..];
            let length = end.len();
            if self.lengths.get(length / 64).is_none_or(|bits| (bits >> (length % 64)) & 1 == 0) {
                return false;
            }
            let host_end = prefix + length;
            key[prefix..host_end].copy_from_slice(end);
            let mut has = |port: &[u8]| {
                let key_end = host_end + port.len();
                key[host_end..key_end].copy_from_slice(port);
                self.keys.contains(&key[..key_end])
            };
            has(origin.port) || (self.any_port && has(b":*"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::parse;
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
        ]);
        let rows = [
            ("https://a.example.com", true),
            ("https://a.b.c.example.com", true),
            ("https://example.com", false),
            ("https://aexample.com", false),
            ("https://a.example.com:8443", false),
            ("https://a.example.com.", false),
            ("https://a.example.com.evil.example", false),
            ("http://a.example.com", false),
            ("http://localhost", true),
            ("http://localhost:3000", true),
            ("http://localhost:65535", true),
            ("https://localhost", false),
            ("http://a.localhost", false),
            ("http://localhost.example", false),
            ("https://x.b.example:8443", true),
            ("https://x.b.example", false),
            ("https://x.b.example:8444", false),
            ("http://x.y.c.example:1", true),
            ("http://x.c.example", true),
            ("http://c.example", false),
        ];
        for (value, covered) in rows {
            assert_eq!(set.matches(&parse(value.as_bytes()).unwrap()), covered, "{value}");
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
        assert!(set.matches(&parse(b"https://x.t777.example").unwrap()));
        assert!(!set.matches(&parse(b"https://x.t1000.example").unwrap()));
    }
}
