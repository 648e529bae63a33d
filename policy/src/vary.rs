//! `Vary`: the request fields that a response depends on, for caches (RFC 9110, section 12.5.5;
//! [CORS protocol and HTTP caches](https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches)).

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing() {
        let rows: [(&[&str], Names, &[&str]); 8] = [
            (&[], SIMPLE, &["Origin"]),
            (&["Accept-Encoding"], SIMPLE, &["Origin"]),
            (&["Accept-Encoding, origin"], SIMPLE, &[]),
            (&["Accept", "Cookie,ORIGIN"], SIMPLE, &[]),
            (&["Accept", " * "], SIMPLE, &[]),
            (&["X-Origin"], SIMPLE, &["Origin"]),
            (&["Cookie"], NOTHING, &[]),
            (&["origin"], PREFLIGHT, &["Access-Control-Request-Method", "Access-Control-Request-Headers"]),
        ];
        for (lines, wanted, expected) in rows {
            let missing: Vec<_> = wanted.missing_from(lines.iter().map(|line| line.as_bytes())).collect();
            assert_eq!(missing, expected.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(), "{lines:?}");
        }
    }
}
