//! What one request gets under one policy (Fetch, sections "CORS protocol" and "CORS-preflight fetch").
//!
//! The one entry for the web server: it hands in the request's fields as they came and gets a [`Decision`] that borrows
//! from them. Nothing here allocates.

use std::sync::Arc;

use crate::facts::{Facts, Field};
use crate::origins::Evaluated;
use crate::preflight::{self, Answer};
use crate::{Methods, Origins, RequestHeaders};

/// What a location allows.
#[derive(Clone)]
pub struct Rules {
    /// The origins that are allowed.
    pub origins: Arc<Origins>,
    /// The methods that a preflight may ask for.
    pub methods: Arc<Methods>,
    /// The request headers that a preflight may ask for.
    pub headers: Arc<RequestHeaders>,
    /// Whether responses to requests with credentials may be read.
    pub credentials: bool,
    /// Whether cross-origin requests are rejected unless their origin is allowed.
    pub enforce: bool,
}

/// What `Access-Control-Allow-Origin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant<'a> {
    /// `*`
    Any,
    /// The request's origin.
    Origin(&'a [u8]),
    /// Nothing: the field is left out.
    None,
}

impl<'a> Grant<'a> {
    /// The value of `Access-Control-Allow-Origin`.
    pub fn value(self) -> Option<&'a [u8]> {
        match self {
            Grant::Any => Some(b"*"),
            Grant::Origin(origin) => Some(origin),
            Grant::None => None,
        }
    }
}

macro_rules! statuses {
    ($( $(#[doc = $doc:literal])+ $name:ident => $text:literal, )+) => {
        /// What became of a facts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Status { $( $(#[doc = $doc])+ $name, )+ }

        impl Status {
            /// As administrators read it; empty where there is nothing to say.
            pub fn as_str(self) -> &'static str {
                match self { $( Status::$name => $text, )+ }
            }

            /// The same where nothing came of it: with `_DRY_RUN` at its end.
            pub fn as_dry_run_str(self) -> &'static str {
                match self { $( Status::$name => if $text.is_empty() { "" } else { concat!($text, "_DRY_RUN") }, )+ }
            }
        }
    };
}

statuses! {
    /// It has no `Origin`.
    NoOrigin => "",
    /// Its origin is allowed.
    Allowed => "ALLOWED",
    /// Its origin is not allowed.
    Denied => "DENIED",
    /// Its origin is not listed but the request's own; only [`Rules::explain`] tells this from [`Status::Denied`].
    SameOrigin => "SAME_ORIGIN",
    /// Enforcement stops it.
    Rejected => "REJECTED",
    /// A preflight whose origin is allowed; its method and headers too, when [`Rules::explain`] says so.
    Preflight => "PREFLIGHT",
    /// A preflight whose origin is not allowed.
    PreflightOriginDenied => "PREFLIGHT_ORIGIN_DENIED",
    /// A preflight for a method that is not on the list.
    PreflightMethodDenied => "PREFLIGHT_METHOD_DENIED",
    /// A preflight for a header that is not on the list.
    PreflightHeaderDenied => "PREFLIGHT_HEADER_DENIED",
    /// The server was told to leave the request alone.
    Bypass => "BYPASS",
}

impl Status {
    /// Whether the request is a preflight.
    pub fn is_preflight(self) -> bool {
        matches!(
            self,
            Status::Preflight
                | Status::PreflightOriginDenied
                | Status::PreflightMethodDenied
                | Status::PreflightHeaderDenied
        )
    }
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What became of the facts.
    pub status: Status,
    /// What `Access-Control-Allow-Origin` says.
    pub grant: Grant<'a>,
    /// The method or the header that a preflight asks for in vain; empty otherwise.
    pub missing: &'a [u8],
}

impl Rules {
    /// What `Access-Control-Allow-Origin` says. `by_value` looks the origin up in values that are only known at run time
    /// (see [`crate::origins::evaluated`]) and is asked only where the configured origins do not allow it.
    #[inline]
    pub fn grant<'a>(&self, origin: Field<'a>, by_value: impl FnOnce() -> Evaluated) -> Grant<'a> {
        if self.origins.is_any() {
            return Grant::Any;
        }
        let origin = origin.one();
        if let Some(origin) = origin {
            if self.origins.allows(origin) {
                return Grant::Origin(origin);
            }
        }
        match (by_value(), origin) {
            (Evaluated::Any, _) => Grant::Any,
            (Evaluated::Allowed, Some(origin)) => Grant::Origin(origin),
            _ => Grant::None,
        }
    }

    /// What `facts` is answered with. What makes no difference to that is left to [`Rules::explain`].
    #[inline(always)]
    pub fn decide<'a>(&self, facts: &Facts<'a>, by_value: impl FnOnce() -> Evaluated) -> Decision<'a> {
        let grant = self.grant(facts.origin, by_value);
        let granted = grant != Grant::None;
        let status = match facts.preflight_method() {
            Some(_) if granted => Status::Preflight,
            Some(_) => Status::PreflightOriginDenied,
            None if self.enforce && !facts.passes(|| granted) => Status::Rejected,
            None if facts.origin.is_absent() => Status::NoOrigin,
            None if granted => Status::Allowed,
            None => Status::Denied,
        };
        Decision { status, grant, missing: b"" }
    }

    /// Says more exactly what became of `facts`: whether what a preflight asks for is on the lists (the browser sees that
    /// for itself), and whether an origin that is not listed is the request's own. `lines` are its
    /// `Access-Control-Request-Headers` field lines.
    pub fn explain<'a>(
        &self,
        mut decision: Decision<'a>,
        facts: &Facts<'a>,
        lines: impl Iterator<Item = &'a [u8]>,
    ) -> Decision<'a> {
        match (decision.status, facts.preflight_method()) {
            (Status::Preflight, Some(method)) => {
                match preflight::check(&self.methods, &self.headers, self.credentials, method, lines) {
                    Answer::Covered => {}
                    Answer::MethodMissing(name) => {
                        decision.status = Status::PreflightMethodDenied;
                        decision.missing = name;
                    }
                    Answer::HeaderMissing(name) => {
                        decision.status = Status::PreflightHeaderDenied;
                        decision.missing = name;
                    }
                }
            }
            (Status::Denied, _) if facts.is_same_origin() => decision.status = Status::SameOrigin,
            _ => {}
        }
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::MethodKind;
    use crate::OriginsBuilder;

    fn rules(origins: &[&str], enforce: bool) -> Rules {
        let mut builder = OriginsBuilder::default();
        for value in origins {
            builder.add(value.as_bytes(), ()).unwrap();
        }
        Rules {
            origins: Arc::new(builder.build().ok().unwrap().0),
            methods: Arc::new(Methods::safelisted()),
            headers: Arc::default(),
            credentials: false,
            enforce,
        }
    }

    fn decide<'a>(rules: &Rules, facts: &Facts<'a>) -> Decision<'a> {
        let decision = rules.decide(facts, || Evaluated::Denied);
        rules.explain(decision, facts, [&b"x-own"[..]].into_iter())
    }

    #[test]
    fn statuses() {
        let (get, options) = (MethodKind::Read, MethodKind::Options);
        let a = Field::One(b"https://a.example");
        let b = Field::One(b"https://b.example");
        let host = Field::One(b"https://host.example");
        let none = Field::Absent;
        let (put, post) = (Field::One(b"PUT"), Field::One(b"POST"));
        let rows = [
            (get, none, none, "", ""),
            (get, a, none, "ALLOWED", "ALLOWED"),
            (get, b, none, "DENIED", "REJECTED"),
            (get, host, none, "SAME_ORIGIN", "SAME_ORIGIN"),
            (get, Field::Many, none, "DENIED", "REJECTED"),
            (get, Field::One(b""), none, "DENIED", "REJECTED"),
            (options, a, none, "ALLOWED", "ALLOWED"),
            (options, b, none, "DENIED", "DENIED"),
            (options, a, Field::Many, "ALLOWED", "ALLOWED"),
            (options, Field::Many, post, "DENIED", "DENIED"),
            (options, none, post, "", ""),
            (options, b, post, "PREFLIGHT_ORIGIN_DENIED", "PREFLIGHT_ORIGIN_DENIED"),
            (options, a, put, "PREFLIGHT_METHOD_DENIED", "PREFLIGHT_METHOD_DENIED"),
            (options, a, post, "PREFLIGHT_HEADER_DENIED", "PREFLIGHT_HEADER_DENIED"),
        ];
        for (method, origin, request_method, plain, enforced) in rows {
            let facts = Facts { method, origin, request_method, sec_fetch_site: None, host: Some(b"host.example") };
            for (enforce, expected) in [(false, plain), (true, enforced)] {
                let status = decide(&rules(&["https://a.example"], enforce), &facts).status;
                assert_eq!(status.as_str(), expected, "{facts:?} {enforce}");
            }
        }
    }

    #[test]
    fn any_covers_whatever_origin_says() {
        let rules = rules(&["*"], true);
        for origin in [Field::Absent, Field::Many, Field::One(b"x y"), Field::One(b"null")] {
            let facts = Facts { origin, ..Facts::default() };
            assert_eq!(decide(&rules, &facts).grant, Grant::Any);
            assert_ne!(decide(&rules, &facts).status, Status::Rejected);
        }
    }
}
