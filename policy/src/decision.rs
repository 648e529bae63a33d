// SPDX-License-Identifier: Apache-2.0
//! The decision about one request under one policy, by the [CORS protocol] of the Fetch standard.
//!
//! This is the only entry for the web server: it passes the fields of the request as the client sent them ([`Facts`]), and
//! gets a [`Decision`]. Nothing here allocates.
//!
//! [CORS protocol]: https://fetch.spec.whatwg.org/#http-cors-protocol

use std::rc::Rc;
use std::sync::Arc;

use crate::facts::{Facts, Field};
use crate::flat::List;
use crate::nearest::Near;
use crate::origins::{Evaluated, Listed};
use crate::preflight::{self, Missing};
use crate::{Methods, Origins, RequestHeaders};

/// What a location allows.
#[derive(Clone)]
pub struct Rules {
    /// The allowed origins.
    pub origins: Arc<Origins>,
    /// Files of allowed origins, in addition.
    pub files: Rc<[Rc<List>]>,
    /// The methods that scripts may use.
    pub methods: Arc<Methods>,
    /// The request headers that scripts may set.
    pub headers: Arc<RequestHeaders>,
    /// Whether scripts may read responses to requests with credentials.
    pub credentials: bool,
    /// Whether cross-origin requests are rejected unless their origin is allowed.
    pub enforce: bool,
}

/// The value of `Access-Control-Allow-Origin`. A browser compares it with the origin of the page
/// ([CORS check](https://fetch.spec.whatwg.org/#concept-cors-check), steps 1 to 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// The field is left out, so the check fails (step 2).
    #[default]
    None,
    /// `*`
    Any,
    /// The origin of the request.
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
        /// The outcome of a request.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Status { #[default] $( $(#[doc = $doc])+ $name, )+ }

        impl Status {
            /// The value of `$cors_status`; empty if there is nothing to report.
            pub fn as_str(self) -> &'static str {
                match self { $( Status::$name => $text, )+ }
            }

            /// The value of `$cors_status` in a dry run: with `_DRY_RUN` at its end.
            pub fn as_dry_run_str(self) -> &'static str {
                match self { $( Status::$name => if $text.is_empty() { "" } else { concat!($text, "_DRY_RUN") }, )+ }
            }
        }
    };
}

statuses! {
    /// The request has no `Origin`.
    NoOrigin => "",
    /// The origin is allowed.
    Allowed => "ALLOWED",
    /// The origin is not allowed.
    Denied => "DENIED",
    /// The origin is not listed, but it is the server's own; only [`Rules::explain`] distinguishes this from [`Status::Denied`].
    SameOrigin => "SAME_ORIGIN",
    /// Enforcement rejects the request.
    Rejected => "REJECTED",
    /// A preflight whose origin is allowed; after [`Rules::explain`], its method and headers as well.
    Preflight => "PREFLIGHT",
    /// A preflight whose origin is not allowed.
    PreflightOriginDenied => "PREFLIGHT_ORIGIN_DENIED",
    /// A preflight for a method that is not on the list.
    PreflightMethodDenied => "PREFLIGHT_METHOD_DENIED",
    /// A preflight for a header that is not on the list.
    PreflightHeaderDenied => "PREFLIGHT_HEADER_DENIED",
    /// The configuration exempts the request.
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

/// The decision about a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The outcome of the request.
    pub status: Status,
    /// The value of `Access-Control-Allow-Origin`.
    pub grant: Grant,
}

impl Rules {
    /// What exact origins alone say about most origins.
    #[inline(always)]
    pub fn lists(&self, origin: &[u8]) -> Listed {
        match self.origins.lists(origin) {
            Listed::Unknown if self.files.iter().any(|file| file.current().lists(origin)) => Listed::Yes,
            listed => listed,
        }
    }

    /// [`Rules::lists`], unless that takes comparing several strings: `None` then. Makes no calls.
    #[inline(always)]
    pub fn lists_at_once(&self, origin: &[u8]) -> Option<Listed> {
        let listed = self.origins.lists_at_once(origin)?;
        if listed == Listed::Unknown {
            // The compiler would make a call of an iterator's `any`.
            for file in self.files.iter() {
                if file.current().lists_at_once(origin)? {
                    return Some(Listed::Yes);
                }
            }
        }
        Some(listed)
    }

    /// Whether an origin of which [`Rules::lists`] does not know is allowed.
    pub fn allows_unlisted(&self, origin: &[u8]) -> bool {
        self.origins.allows_unlisted(origin) || self.files.iter().any(|file| file.current().allows_unlisted(origin))
    }

    /// Whether the only `Origin` field of a request contains an allowed origin. Not called if the rule is `*`.
    pub fn allows(&self, origin: &[u8]) -> bool {
        match self.lists(origin) {
            Listed::Yes => true,
            Listed::No => false,
            Listed::Unknown => self.allows_unlisted(origin),
        }
    }

    /// The nearest of the exact origins and patterns to an origin that none of them allows; of a long list, only a part is compared.
    pub fn nearest<'s>(&'s self, origin: &[u8]) -> Option<Near<'s>> {
        let files = self.files.iter().filter_map(|file| file.current().nearest(origin));
        self.origins.nearest(origin).into_iter().chain(files).min()
    }

    /// The value of `Access-Control-Allow-Origin`. `by_value` looks up the origin in values that are known only at run time
    /// (see [`crate::origins::evaluated`]). It is called only if the configured origins do not allow the origin.
    #[inline]
    pub fn grant(&self, origin: Field<'_>, by_value: impl FnOnce() -> Evaluated) -> Grant {
        // `*` without credentials succeeds for every origin (CORS check, step 3).
        if self.origins.is_any() {
            return Grant::Any;
        }
        // A browser sends one `Origin`. More of them are not an origin that could be compared.
        let origin = origin.one();
        if origin.is_some_and(|origin| self.allows(origin)) {
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

    /// Decides about a request that gets `grant` and that enforcement does not reject. Details that do not change the response
    /// are left to [`Rules::explain`].
    #[inline]
    pub fn decide(facts: &Facts<'_>, grant: Grant) -> Decision {
        let is_granted = grant != Grant::None;
        let status = match facts.preflight_method() {
            // Also if the method is not on the list: the browser sees the list, and its console names what is missing
            // (https://fetch.spec.whatwg.org/#cors-preflight-fetch, step 7). A refusal would hide it.
            Some(_) if is_granted => Status::Preflight,
            Some(_) => Status::PreflightOriginDenied,
            None if facts.origin.is_absent() => Status::NoOrigin,
            None if is_granted => Status::Allowed,
            None => Status::Denied,
        };
        Decision { status, grant }
    }

    /// Adds details to the status of a decision: whether the method and the headers of a preflight are on the lists, which the
    /// browser checks itself, and whether an origin that is not listed is the server's own.
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
    use crate::flat::{self, Flat};
    use crate::OriginsBuilder;

    fn rules(origins: &[&str], enforce: bool) -> Rules {
        let mut builder = OriginsBuilder::default();
        for value in origins {
            builder.add(value.as_bytes(), ()).unwrap();
        }
        Rules {
            origins: Arc::new(builder.build().0),
            files: Rc::default(),
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
            let is_of_host = origin.is_of_host(b"host.example");
            let facts = Facts { method, origin, request_method, request_headers, is_of_host, ..Facts::default() };
            for (enforce, expected) in [(false, plain), (true, enforced)] {
                let (status, _) = decide(&rules(&["https://a.example"], enforce), &facts);
                assert_eq!(status.as_str(), expected, "{facts:?} {enforce}");
                assert_eq!(status.is_preflight(), expected.starts_with("PREFLIGHT"), "{expected}");
            }
        }
    }

    #[test]
    fn values_of_variables_allow_in_addition() {
        let rules = rules(&["https://a.example"], false);
        let (a, b) = (Field::One(b"https://a.example"), Field::One(b"https://b.example"));
        let rows = [
            (a, Evaluated::Denied, Some("https://a.example")),
            (b, Evaluated::Denied, None),
            (b, Evaluated::Allowed, Some("https://b.example")),
            (b, Evaluated::Any, Some("*")),
            (Field::Absent, Evaluated::Any, Some("*")),
            (Field::Absent, Evaluated::Allowed, None),
            (Field::Many, Evaluated::Allowed, None),
        ];
        for (origin, evaluated, expected) in rows {
            let value = rules.grant(origin, || evaluated).value(&Facts { origin, ..Facts::default() });
            assert_eq!(value, expected.map(str::as_bytes), "{origin:?} {evaluated:?}");
        }
    }

    #[test]
    fn files_allow_in_addition() {
        let mut builder = OriginsBuilder::default();
        builder.add(b"https://one.a.example", ()).unwrap();
        builder.add_file([].into_iter()).unwrap();
        let rules = Rules {
            origins: Arc::new(builder.build().0),
            files: [Rc::new(List::default()), Rc::default()].into(),
            ..rules(&[], false)
        };
        let replace = |at: usize, text: &'static str| {
            let contents = flat::check(text.as_bytes()).ok().unwrap();
            let (words, bytes) = contents.memory();
            let (words, bytes) = (vec![0; words].leak(), vec![0; bytes].leak());
            contents.write(words, bytes);
            rules.files[at].replace(Flat::new(words, bytes).unwrap());
        };
        let allowed = |values: [bool; 4]| {
            let origins = ["https://one.a.example", "https://two.a.example", "https://x.b.example", "null"];
            for (origin, allowed) in origins.into_iter().zip(values) {
                assert_eq!(rules.allows(origin.as_bytes()), allowed, "{origin}");
                // None of these has the same hash as another one.
                assert_eq!(rules.lists_at_once(origin.as_bytes()), Some(rules.lists(origin.as_bytes())), "{origin}");
            }
        };
        allowed([true, false, false, false]);
        replace(0, "https://two.a.example");
        replace(1, "https://*.b.example\nnull");
        allowed([true, true, true, true]);
        assert_eq!(rules.lists(b"https://two.a.example"), Listed::Yes);
        assert_eq!(rules.lists(b"https://six.a.example"), Listed::Unknown);
        let near = rules.nearest(b"https://two.a.example:1").unwrap();
        assert_eq!(near.value().concat(), "https://two.a.example");
        replace(0, "");
        allowed([true, false, true, true]);
    }

    #[test]
    fn any_allows_every_value_of_origin() {
        let rules = rules(&["*"], true);
        for origin in [Field::Absent, Field::Many, Field::One(b"x y"), Field::One(b"null")] {
            let facts = Facts { origin, ..Facts::default() };
            let (status, grant) = decide(&rules, &facts);
            assert_eq!(grant, Grant::Any);
            assert_ne!(status, Status::Rejected);
        }
    }
}
