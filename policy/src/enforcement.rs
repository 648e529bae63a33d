//! Which requests `cors_enforce` rejects: the rules of Go's `net/http.CrossOriginProtection`, with one difference. A GET or
//! HEAD request with an `Origin` is not exempt here, because a WebSocket handshake is such a request.

use crate::facts::{Facts, Field, MethodKind};
use crate::origin;

impl Facts<'_> {
    /// Whether the request comes from a page of the server's own origin, or from the user: `Sec-Fetch-Site` is `same-origin` or
    /// `none`, or the browser does not send it and the host and port of the origin equal `Host`.
    pub fn is_same_origin(&self) -> bool {
        match self.sec_fetch_site {
            Some(site) if !site.is_empty() => matches!(site, b"same-origin" | b"none"),
            _ => match (self.origin, self.host) {
                (Field::One(value), Some(host)) => origin::parse(value).is_some_and(|o| o.authority == host),
                _ => false,
            },
        }
    }

    /// Whether the request passes. `allowed` is called only if everything else would reject the request.
    pub fn passes(&self, allowed: impl FnOnce() -> bool) -> bool {
        let exempt = match self.method {
            MethodKind::Options => true,
            // Unlike in Go, not with an `Origin`: a WebSocket handshake is such a request, and the response to a cross-origin
            // `fetch` that no script may read is not worth computing.
            MethodKind::Read => self.origin.is_absent(),
            MethodKind::Other => self.origin.is_absent() && self.sec_fetch_site.is_none_or(<[u8]>::is_empty),
        };
        exempt || self.is_same_origin() || allowed()
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
            let facts = Facts {
                method,
                origin,
                request_method: Absent,
                sec_fetch_site: Some(site.as_bytes()).filter(|site| !site.is_empty()),
                host: Some(b"example.com"),
            };
            assert_eq!(facts.passes(|| false), passes, "{method:?} {site:?} {origin:?}");
            assert!(facts.passes(|| true));
        }
    }
}
