//! What one request gets under one policy (Fetch, sections "CORS protocol" and "CORS-preflight fetch").
//!
//! The one entry for the web server: it hands in the request's fields as they came ([`Facts`]) and gets a [`Decision`].
//! Nothing here allocates.

use std::sync::Arc;

use crate::facts::{Facts, Field};
use crate::origins::Evaluated;
use crate::preflight::{self, Missing};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// Nothing: the field is left out.
    #[default]
    None,
    /// `*`
    Any,
    /// The request's origin.
    Origin,
}

impl Grant {
    /// The value of `Access-Control-Allow-Origin` in the response to a request with these `facts`.
    pub fn value<'a>(self, facts: &Facts<'a>) -> Option<&'a [u8]> {
        match self {
            Grant::None => None,
            Grant::Any => Some(b"*"),
            Grant::Origin => facts.origin.one(),
        }
    }
}

macro_rules! statuses {
    ($( $(#[doc = $doc:literal])+ $name:ident => $text:literal, )+) => {
        /// What became of a facts.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Status { #[default] $( $(#[doc = $doc])+ $name, )+ }

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
    /// Its origin is not listed, but it is the request's own; only [`Rules::explain`] tells this from [`Status::Denied`].
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What became of the request.
    pub status: Status,
    /// What `Access-Control-Allow-Origin` says.
    pub grant: Grant,
}

impl Rules {
    /// What `Access-Control-Allow-Origin` says (<https://fetch.spec.whatwg.org/#http-access-control-allow-origin>).
    /// `by_value` looks the origin up in values that are only known at run time (see [`crate::origins::evaluated`]), and is
    /// called only if the configured origins do not allow it.
    #[inline]
    pub fn grant(&self, origin: Field<'_>, by_value: impl FnOnce() -> Evaluated) -> Grant {
        if self.origins.is_any() {
            return Grant::Any;
        }
        let origin = origin.one();
        if origin.is_some_and(|origin| self.origins.allows(origin)) {
            return Grant::Origin;
        }
        match (by_value(), origin) {
            (Evaluated::Any, _) => Grant::Any,
            (Evaluated::Allowed, Some(_)) => Grant::Origin,
            _ => Grant::None,
        }
    }

    /// Whether enforcement rejects a request that gets `grant`.
    #[inline]
    pub fn rejects(&self, facts: &Facts<'_>, grant: Grant) -> bool {
        self.enforce && !facts.passes(grant != Grant::None)
    }

    /// What became of a request that gets `grant` and that enforcement does not reject. What makes no difference to the
    /// response is left to [`Rules::explain`].
    #[inline]
    pub fn decide(facts: &Facts<'_>, grant: Grant) -> Decision {
        let is_granted = grant != Grant::None;
        let status = match facts.preflight_method() {
            // https://fetch.spec.whatwg.org/#cors-preflight-fetch (step 7): the browser checks the origin first.
            Some(_) if is_granted => Status::Preflight,
            Some(_) => Status::PreflightOriginDenied,
            None if facts.origin.is_absent() => Status::NoOrigin,
            // https://fetch.spec.whatwg.org/#cors-check
            None if is_granted => Status::Allowed,
            None => Status::Denied,
        };
        Decision { status, grant }
    }

    /// Says more exactly what became of a request: whether what a preflight asks for is on the lists, which the browser checks
    /// itself, and whether an origin that is not listed is the request's own.
    pub fn explain(&self, facts: &Facts<'_>, decision: Decision) -> Status {
        match decision.status {
            Status::Preflight => match self.missing(facts).next() {
                None => Status::Preflight,
                Some(Missing::Method(_)) => Status::PreflightMethodDenied,
                Some(Missing::Header(_)) => Status::PreflightHeaderDenied,
            },
            Status::Denied if facts.is_same_origin() => Status::SameOrigin,
            status => status,
        }
    }

    /// What a preflight asks for that is not on the lists: the method first, then each header in the order of the request.
    pub fn missing<'s, 'a: 's>(&'s self, facts: &Facts<'a>) -> impl Iterator<Item = Missing<'a>> + 's {
        let method = facts.preflight_method().unwrap_or(b"GET");
        preflight::missing(&self.methods, &self.headers, self.credentials, method, facts.request_headers)
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

    fn decide(rules: &Rules, facts: &Facts<'_>) -> (Status, Grant) {
        let grant = rules.grant(facts.origin, || Evaluated::Denied);
        if rules.rejects(facts, grant) {
            return (Status::Rejected, Grant::None);
        }
        (rules.explain(facts, Rules::decide(facts, grant)), grant)
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
            let request_headers = b"x-own";
            let facts =
                Facts { method, origin, request_method, request_headers, host: b"host.example", ..Facts::default() };
            for (enforce, expected) in [(false, plain), (true, enforced)] {
                let (status, _) = decide(&rules(&["https://a.example"], enforce), &facts);
                assert_eq!(status.as_str(), expected, "{facts:?} {enforce}");
            }
        }
    }

    #[test]
    fn any_covers_whatever_origin_says() {
        let rules = rules(&["*"], true);
        for origin in [Field::Absent, Field::Many, Field::One(b"x y"), Field::One(b"null")] {
            let facts = Facts { origin, ..Facts::default() };
            let (status, grant) = decide(&rules, &facts);
            assert_eq!(grant, Grant::Any);
            assert_ne!(status, Status::Rejected);
        }
    }
}
