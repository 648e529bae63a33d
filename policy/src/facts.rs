//! What a decision depends on: the fields of a request, as the client sent them.

use crate::preflight;

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
pub struct Facts<'a> {
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

impl<'a> Facts<'a> {
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
}
