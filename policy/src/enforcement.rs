// SPDX-License-Identifier: Apache-2.0
//! Which requests `cors_enforce` rejects: the rules of Go's `net/http.CrossOriginProtection`, with one difference. A GET or
//! HEAD request with an `Origin` is not exempt here, because a WebSocket handshake is such a request.

use crate::facts::{Facts, Field, MethodKind, Site};
use crate::origin;

impl Field<'_> {
    /// Whether this, which is `Origin`, is one well-formed origin that has `host` for its host and port.
    #[inline]
    pub fn is_of_host(self, host: &[u8]) -> bool {
        self.one().is_some_and(|origin| {
            origin.strip_suffix(host).is_some_and(|scheme| scheme.ends_with(b"://"))
                && origin::parse(origin).is_some_and(|origin| origin.authority == host)
        })
    }
}

impl Facts<'_> {
    /// Whether the request comes from a page of the server's own origin, or from the user: `Sec-Fetch-Site` is `same-origin` or
    /// `none`, or the browser does not send it and the host and port of the origin equal `Host`.
    pub fn is_same_origin(&self) -> bool {
        match (self.site, self.origin) {
            (Site::Same, _) => true,
            (Site::Absent | Site::Empty, Field::One(_)) => self.is_of_host,
            _ => false,
        }
    }

    /// Whether enforcement lets the request pass. `is_allowed` says whether its origin is allowed.
    pub fn passes(&self, is_allowed: bool) -> bool {
        let is_exempt = match self.method {
            MethodKind::Options => true,
            // Unlike in Go, not with an `Origin`: a WebSocket handshake is such a request, and the response to a cross-origin
            // `fetch` that no script may read is not worth computing.
            MethodKind::Read => self.origin.is_absent(),
            MethodKind::Other => self.origin.is_absent() && self.site.is_unstated(),
        };
        is_exempt || is_allowed || self.is_same_origin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Field::*, MethodKind::*};

    /// The rows of Go's own table, then those of the rule that differs.
    #[test]
    fn decision_table() {
        let rows = [
            (Other, "same-origin", Absent, true),
            (Other, "none", Absent, true),
            (Other, "cross-site", Absent, false),
            (Other, "same-site", Absent, false),
            (Other, "", Absent, true),
            (Other, "", One(b"https://example.com"), true),
            (Other, "", One(b"https://attacker.example"), false),
            (Other, "", One(b"null"), false),
            (Read, "cross-site", Absent, true),
            (Options, "cross-site", Absent, true),
            (Options, "cross-site", One(b"https://attacker.example"), true),
            (Other, "cross-site", One(b"https://example.com"), false),
            (Other, "same-origin", One(b"https://attacker.example"), true),
            (Read, "cross-site", One(b"https://attacker.example"), false),
            (Read, "", One(b"https://attacker.example"), false),
            (Read, "", One(b"https://example.com"), true),
            (Read, "", One(b""), false),
            (Read, "", Many, false),
        ];
        for (method, site, origin, passes) in rows {
            let is_of_host = origin.is_of_host(b"example.com");
            let mut facts = Facts { method, origin, is_of_host, ..Facts::default() };
            facts.site.add(site.as_bytes());
            assert_eq!(facts.passes(false), passes, "{method:?} {site:?} {origin:?}");
            assert!(facts.passes(true));
            if site.is_empty() {
                assert_eq!(Facts { site: Site::Absent, ..facts }.passes(false), passes, "{method:?} {origin:?}");
            }
        }
    }

    #[test]
    fn origins_of_a_host() {
        let rows = [
            ("https://example.com", "example.com", true),
            ("http://example.com", "example.com", true),
            ("https://example.com:8443", "example.com:8443", true),
            ("https://example.com:8443", "example.com", false),
            ("https://www.example.com", "example.com", false),
            ("https://example.com", "", false),
            ("https://https://example.com", "example.com", false),
            ("://example.com", "example.com", false),
            ("https://EXAMPLE.com", "EXAMPLE.com", false),
            ("example.com", "example.com", false),
            ("", "", false),
        ];
        for (origin, host, expected) in rows {
            assert_eq!(One(origin.as_bytes()).is_of_host(host.as_bytes()), expected, "{origin} {host}");
        }
        assert!(!Absent.is_of_host(b"example.com") && !Many.is_of_host(b"example.com"));
    }
}
