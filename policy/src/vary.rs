// SPDX-License-Identifier: Apache-2.0
//! `Vary`: the request fields that a response depends on, for caches (RFC 9110, section 12.5.5;
//! [CORS protocol and HTTP caches](https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches)).

use std::sync::OnceLock;

use crate::list::elements;

/// Names of request fields, at most eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names(&'static [&'static str]);

/// A response that depends on no field.
pub const NOTHING: Names = Names(&[]);
/// The fields that the response to a request other than a preflight depends on.
pub const SIMPLE: Names = Names(&["Origin"]);
/// The fields that the response to a preflight depends on.
pub const PREFLIGHT: Names = Names(&["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"]);
/// The field that the response to a preflight also depends on under `cors_allow_private_network`.
pub const PRIVATE_NETWORK: Names = Names(&["Access-Control-Request-Private-Network"]);
/// Both.
pub const PREFLIGHT_WITH_PRIVATE_NETWORK: Names = Names(&[
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Private-Network",
]);

impl Names {
    /// Whether there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field with all of them.
    pub fn joined(self) -> String {
        self.0.join(", ")
    }

    /// All of them, for [`Missing::strike_out`].
    #[inline]
    pub fn missing(self) -> Missing {
        Missing { names: self.0, found: 0 }
    }

    /// The names that are missing from a response with these `Vary` field lines.
    pub fn missing_from<'a>(self, lines: impl Iterator<Item = &'a [u8]>) -> Missing {
        let mut missing = self.missing();
        lines.for_each(|line| missing.strike_out(line));
        missing
    }
}

/// The names that are missing from a response.
#[derive(Clone)]
pub struct Missing {
    names: &'static [&'static str],
    /// A bit for each name that is there.
    found: u8,
}

impl Missing {
    /// Takes out what one more `Vary` field line has: everything, if it contains `*`.
    pub fn strike_out(&mut self, line: &[u8]) {
        for name in elements(line) {
            if name == b"*" {
                self.found = u8::MAX;
            }
            for (at, wanted) in self.names.iter().enumerate() {
                if name.len() == wanted.len() && name.eq_ignore_ascii_case(wanted.as_bytes()) {
                    self.found |= 1 << at;
                }
            }
        }
    }

    /// Whether nothing is missing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.found.trailing_ones() as usize >= self.names.len()
    }
}

impl Iterator for Missing {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((name, rest)) = self.names.split_first() {
            let is_there = self.found & 1 != 0;
            self.names = rest;
            self.found >>= 1;
            if !is_there {
                return Some(name.as_bytes());
            }
        }
        None
    }
}

/// How many values are remembered, and up to which length.
const SEEN: usize = 4;
const LONGEST_SEEN: usize = 64;
/// The longest name that is added to one, with its comma.
const ROOM: usize = LONGEST_SEEN + ", Origin".len();

/// What became of the only `Vary` of responses that depend on [`SIMPLE`]. The first few values are remembered for good, because
/// applications send few; so whatever is looked up, the memory does not grow, and what was found stays as it is.
pub struct Seen([OnceLock<Pair>; SEEN]);

struct Pair {
    sent: Short<LONGEST_SEEN>,
    extended: Short<ROOM>,
}

/// A short string where it stands.
struct Short<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Short<N> {
    fn new(value: &[u8]) -> Option<Short<N>> {
        let mut bytes = [0; N];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Short { len: value.len(), bytes })
    }

    #[inline(always)]
    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Seen {
    /// Nothing.
    pub const fn new() -> Seen {
        Seen([const { OnceLock::new() }; SEEN])
    }

    /// What became of a value, if it is known.
    #[inline(always)]
    pub fn get(&self, sent: &[u8]) -> Option<&[u8]> {
        let known = self.0.iter().map_while(OnceLock::get);
        known.filter(|pair| pair.sent.get() == sent).map(|pair| pair.extended.get()).next()
    }

    /// Remembers what became of a value that is not known, if there is room.
    pub fn put(&self, sent: &[u8], extended: &[u8]) {
        let (Some(sent), Some(extended)) = (Short::new(sent), Short::new(extended)) else { return };
        if let Some(free) = self.0.iter().find(|place| place.get().is_none()) {
            let _ = free.set(Pair { sent, extended });
        }
    }
}

impl Default for Seen {
    fn default() -> Seen {
        Seen::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_values_are_remembered() {
        let seen = Seen::new();
        assert_eq!(seen.get(b""), None);
        let long = [b'a'; LONGEST_SEEN + 1];
        seen.put(&long, &long);
        assert_eq!(seen.get(&long), None);
        let values = ["Accept-Encoding", "", "*", "Cookie", "Accept"].map(str::as_bytes);
        for value in values {
            assert_eq!(seen.get(value), None);
            seen.put(value, &[value, b"!"].concat());
        }
        for (at, value) in values.into_iter().enumerate() {
            let expected = (at < SEEN).then(|| [value, b"!"].concat());
            assert_eq!(seen.get(value), expected.as_deref());
        }
        let longest = [b'a'; LONGEST_SEEN];
        let seen = Seen::default();
        seen.put(&longest, &[longest.as_slice(), b", Origin"].concat());
        assert!(seen.get(&longest).is_some_and(|extended| extended.ends_with(b"a, Origin")));
    }

    #[test]
    fn what_is_missing() {
        let rows: [(&[&str], Names, &[&str]); 10] = [
            (&[], SIMPLE, &["Origin"]),
            (&["Accept-Encoding"], SIMPLE, &["Origin"]),
            (&["Accept-Encoding, origin"], SIMPLE, &[]),
            (&["Accept", "Cookie,ORIGIN"], SIMPLE, &[]),
            (&["Accept", " * "], SIMPLE, &[]),
            (&["X-Origin"], SIMPLE, &["Origin"]),
            (&["Expect"], SIMPLE, &["Origin"]),
            (&["Cookie"], NOTHING, &[]),
            (&["origin"], PREFLIGHT, &["Access-Control-Request-Method", "Access-Control-Request-Headers"]),
            (&["access-control-request-method"], PREFLIGHT, &["Origin", "Access-Control-Request-Headers"]),
        ];
        for (lines, wanted, expected) in rows {
            let missing = wanted.missing_from(lines.iter().map(|line| line.as_bytes()));
            assert_eq!(missing.is_empty(), expected.is_empty(), "{lines:?}");
            assert_eq!(
                missing.collect::<Vec<_>>(),
                expected.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_field_with_all_names() {
        for (names, expected) in [
            (NOTHING, ""),
            (SIMPLE, "Origin"),
            (PREFLIGHT, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ] {
            assert_eq!((&*names.joined(), names.is_empty()), (expected, expected.is_empty()));
        }
    }
}
