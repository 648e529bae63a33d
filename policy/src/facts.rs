// SPDX-License-Identifier: Apache-2.0
//! The facts that a decision depends on: the fields of a request, as the client sent them.

use crate::preflight;

/// A request header field that must be sent at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// The field is missing.
    #[default]
    Absent,
    /// One field, possibly empty.
    One(&'a [u8]),
    /// More than one field.
    Many,
}

impl<'a> Field<'a> {
    /// Adds one more field line.
    #[inline]
    pub fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Field::Absent => Field::One(value),
            _ => Field::Many,
        };
    }

    /// The value, if there is exactly one.
    #[inline]
    pub fn one(self) -> Option<&'a [u8]> {
        match self {
            Field::One(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the field is missing.
    #[inline]
    pub fn is_absent(self) -> bool {
        self == Field::Absent
    }
}

/// What `Sec-Fetch-Site` says (Fetch Metadata Request Headers, section 2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Site {
    /// No such field.
    #[default]
    Absent,
    /// One empty field, which says as little as none.
    Empty,
    /// Every field is `same-origin` or `none`.
    Same,
    /// A field is `same-site`.
    SameSite,
    /// A field is `cross-site`.
    CrossSite,
    /// A field is anything else.
    Other,
}

impl Site {
    /// Takes note of one more field line. Of several, the first that does not vouch for the request counts.
    #[inline(always)]
    pub fn add(&mut self, value: &[u8]) {
        // What most requests that are decided about say.
        let next = if value == b"cross-site" { Site::CrossSite } else { Site::of_others(value) };
        *self = if *self == Site::Absent { next } else { self.and(next) };
    }

    #[inline(never)]
    fn of_others(value: &[u8]) -> Site {
        match value {
            b"" => Site::Empty,
            b"same-origin" | b"none" => Site::Same,
            b"same-site" => Site::SameSite,
            _ => Site::Other,
        }
    }

    #[cold]
    fn and(self, next: Site) -> Site {
        match (self, next) {
            (Site::Same, Site::Same) => Site::Same,
            (Site::Same | Site::Empty, Site::Same | Site::Empty) => Site::Other,
            (Site::Same | Site::Empty, next) => next,
            (first, _) => first,
        }
    }

    /// Whether the browser says nothing.
    pub fn is_unstated(self) -> bool {
        matches!(self, Site::Absent | Site::Empty)
    }
}

/// What a method is exempt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodKind {
    /// GET and HEAD: exempt without an `Origin`.
    #[default]
    Read,
    /// OPTIONS: exempt; the preflight decides about the request that follows.
    Options,
    /// Any other method.
    Other,
}

/// The facts about a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The kind of the method.
    pub method: MethodKind,
    /// `Origin`
    pub origin: Field<'a>,
    /// `Access-Control-Request-Method`
    pub request_method: Field<'a>,
    /// `Access-Control-Request-Headers`; several field lines are joined by commas (RFC 9110, section 5.3).
    pub request_headers: &'a [u8],
    /// Whether `Access-Control-Request-Private-Network` is `true`.
    pub private_network: bool,
    /// `Sec-Fetch-Site`
    pub site: Site,
    /// Whether the host and port of `Origin` are those of `Host` or `:authority`: see [`Field::is_of_host`].
    pub is_of_host: bool,
}

impl<'a> Facts<'a> {
    /// The method that a preflight asks for; `None` if the request is not a preflight. A preflight is an `OPTIONS` request
    /// with one `Origin` and one method (<https://fetch.spec.whatwg.org/#cors-preflight-request>).
    #[inline]
    pub fn preflight_method(&self) -> Option<&'a [u8]> {
        if self.method != MethodKind::Options {
            return None;
        }
        self.origin.one()?;
        preflight::requested_method(self.request_method.one()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_field_has_a_value() {
        let mut field = Field::default();
        for (value, is_absent, one) in
            [(None, true, None), (Some("a"), false, Some("a")), (Some("a"), false, None), (Some("b"), false, None)]
        {
            value.into_iter().for_each(|value: &str| field.add(value.as_bytes()));
            assert_eq!((field.is_absent(), field.one()), (is_absent, one.map(str::as_bytes)), "{value:?}");
        }
    }

    #[test]
    fn of_several_sites_the_strictest_counts() {
        let rows: [(&[&str], Site); 11] = [
            (&[], Site::Absent),
            (&[""], Site::Empty),
            (&["none"], Site::Same),
            (&["same-origin", "none"], Site::Same),
            (&["none", "cross-site"], Site::CrossSite),
            (&["cross-site", "none"], Site::CrossSite),
            (&["same-site", "cross-site"], Site::SameSite),
            (&["none", ""], Site::Other),
            (&["", "none"], Site::Other),
            (&["", "cross-site"], Site::CrossSite),
            (&["None"], Site::Other),
        ];
        for (values, expected) in rows {
            let mut site = Site::default();
            values.iter().for_each(|value| site.add(value.as_bytes()));
            assert_eq!(site, expected, "{values:?}");
        }
    }
}
