//! What a decision looks at of a request, and which requests `cors_enforce` rejects: the rules of Go's
//! `net/http.CrossOriginProtection`, with one difference. A GET or HEAD that carries an `Origin` is not exempt here, because
//! a WebSocket handshake is one.

use crate::{origin, preflight};

/// The value or values of a request header field that must come once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// No such field.
    #[default]
    Absent,
    /// One field, possibly empty.
    One(&'a [u8]),
    /// More than one.
    Many,
}

impl<'a> Field<'a> {
    /// Takes note of one more field line.
    pub fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Field::Absent => Field::One(value),
            _ => Field::Many,
        };
    }

    /// The value, where there is just one.
    pub fn one(self) -> Option<&'a [u8]> {
        match self {
            Field::One(value) => Some(value),
            _ => None,
        }
    }

    /// Whether there is no such field.
    pub fn is_absent(self) -> bool {
        self == Field::Absent
    }
}

/// What a method is exempt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodKind {
    /// GET and HEAD: exempt without an `Origin`.
    #[default]
    Read,
    /// OPTIONS: exempt; what it may ask for, the preflight decides.
    Options,
    /// Anything else.
    Other,
}

/// What a decision looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// What the method is exempt from.
    pub method: MethodKind,
    /// `Origin`
    pub origin: Field<'a>,
    /// `Access-Control-Request-Method`
    pub request_method: Field<'a>,
    /// `Sec-Fetch-Site`; the first, where there are more.
    pub sec_fetch_site: Option<&'a [u8]>,
    /// `Host` or `:authority`, as sent.
    pub host: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// The method that a preflight asks for; `None` where the request is no preflight, which takes `OPTIONS`, one `Origin`
    /// and one method (Fetch, section "CORS-preflight request").
    #[inline]
    pub fn preflight_method(&self) -> Option<&'a [u8]> {
        if self.method != MethodKind::Options {
            return None;
        }
        self.origin.one()?;
        preflight::requested_method(self.request_method.one()?)
    }

    /// Whether the request comes from a page of its own origin, or from the user: `Sec-Fetch-Site` says so, or, where a
    /// browser sends none, the origin's host and port are those of `Host`.
    pub fn is_same_origin(&self) -> bool {
        match self.sec_fetch_site {
            Some(site) if !site.is_empty() => matches!(site, b"same-origin" | b"none"),
            _ => match (self.origin, self.host) {
                (Field::One(value), Some(host)) => origin::parse(value).is_some_and(|o| o.authority == host),
                _ => false,
            },
        }
    }

    /// Whether the request passes. `allowed` is asked only where everything else would reject it.
    pub fn passes(&self, allowed: impl FnOnce() -> bool) -> bool {
        let exempt = match self.method {
            MethodKind::Options => true,
            MethodKind::Read => self.origin.is_absent(),
            MethodKind::Other => self.origin.is_absent() && self.sec_fetch_site.is_none_or(<[u8]>::is_empty),
        };
        exempt || self.is_same_origin() || allowed()
    }
}

#[cfg(test)]
mod tests {
    use super::{Field::*, MethodKind::*, *};

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
            let request = Request {
                method,
                origin,
                request_method: Absent,
                sec_fetch_site: Some(site.as_bytes()).filter(|site| !site.is_empty()),
                host: Some(b"example.com"),
            };
            assert_eq!(request.passes(|| false), passes, "{method:?} {site:?} {origin:?}");
            assert!(request.passes(|| true));
        }
    }
}
