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
    pub fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Field::Absent => Field::One(value),
            _ => Field::Many,
        };
    }

    /// The value, if there is exactly one.
    pub fn one(self) -> Option<&'a [u8]> {
        match self {
            Field::One(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the field is missing.
    pub fn is_absent(self) -> bool {
        self == Field::Absent
    }
}

/// Methods, as enforcement distinguishes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodKind {
    /// GET and HEAD: exempt without an `Origin`.
    #[default]
    Read,
    /// OPTIONS: exempt. A preflight is answered by the policy.
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
    /// `Sec-Fetch-Site`; the first, if there are several.
    pub sec_fetch_site: Option<&'a [u8]>,
    /// `Host` or `:authority`, as it was sent.
    pub host: Option<&'a [u8]>,
}

impl<'a> Facts<'a> {
    /// The method that a preflight asks for. `None` if the request is not a preflight, which is an `OPTIONS` request with one
    /// `Origin` and one method ([CORS-preflight request](https://fetch.spec.whatwg.org/#cors-preflight-request)).
    #[inline]
    pub fn preflight_method(&self) -> Option<&'a [u8]> {
        if self.method != MethodKind::Options {
            return None;
        }
        self.origin.one()?;
        preflight::requested_method(self.request_method.one()?)
    }
}
