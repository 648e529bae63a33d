// SPDX-License-Identifier: Apache-2.0
//! `cors_allow_headers` and `cors_expose_headers`: lists of header names, which are compared without regard to case.

use crate::list::is_token;
use crate::set::Set;
use crate::{habits, Problem, Reason};

/// The longest header name that is looked up; nothing longer can be configured.
const MAX_NAME: usize = 256;

/// [Forbidden request-headers](https://fetch.spec.whatwg.org/#forbidden-request-header), except for the prefixes `proxy-` and
/// `sec-`.
const FORBIDDEN_REQUEST: [&str; 19] = [
    "accept-charset",
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// The names of a list in the order in which they were written, and whether they include `*`.
#[derive(Default)]
struct Names {
    any: bool,
    names: Vec<String>,
    lower: Set,
    /// Whether a value was rejected. `*` must be the only value, and rejected values count.
    refused: bool,
}

impl Names {
    fn add(&mut self, value: &[u8]) -> Result<&str, Problem> {
        let name = check(value).inspect_err(|problem| self.refused |= problem.reason != Reason::Always)?;
        if !self.lower.insert(name.to_ascii_lowercase().as_bytes()) {
            return Err(Problem::new(value, Reason::Duplicate));
        }
        self.any |= name == "*";
        self.names.push(name.to_owned());
        if habits::is_cors_header(value) {
            return Err(Problem::new(value, Reason::ProtocolHeader));
        }
        Ok(self.names.last().map_or("", String::as_str))
    }
}

/// Whether `value` is a header name, or `*`.
fn check(value: &[u8]) -> Result<&str, Problem> {
    let name = habits::name(value, Reason::NotHeader, correct)?;
    if name.len() > MAX_NAME {
        return Err(Problem::new(value, Reason::NotHeader));
    }
    Ok(name)
}

/// `name`, or what to write instead of it.
fn correct(name: &str) -> Option<String> {
    check(name.as_bytes())
        .map_or_else(|problem| problem.suggestion, |name| Some(name.to_owned()))
        .filter(|name| name != "*")
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether scripts cannot set this request header, whatever its value. Browsers refuse the fields of the CORS protocol as well,
/// about which [`Reason::ProtocolHeader`] says more.
pub fn is_forbidden_request(name: &str) -> bool {
    let is_listed = FORBIDDEN_REQUEST.iter().any(|other| other.eq_ignore_ascii_case(name));
    is_listed || starts_with(name, "proxy-") || starts_with(name, "sec-")
}

/// The request headers that scripts may set: names, `*`, or `*` and names.
#[derive(Default)]
pub struct RequestHeaders(Names);

impl RequestHeaders {
    /// Adds one name of a directive. If the problem is a warning, the name has been added anyway, unless it was there already.
    ///
    /// | value | |
    /// | --- | --- |
    /// | `Authorization`, `x-own` | permitted: any token |
    /// | `*` | permitted, also together with names |
    /// | `x-amz-*`, `X-A\|X-B`, `any`, `always` | prohibited |
    /// | `DNT`, `Cookie`, `Sec-Fetch-Site` | permitted with a warning: scripts cannot set them |
    /// | `Access-Control-Request-Method` | permitted with a warning |
    pub fn add(&mut self, value: &[u8]) -> Result<(), Problem> {
        let name = self.0.add(value)?;
        if is_forbidden_request(name) {
            return Err(Problem::new(value, Reason::ForbiddenRequestHeader));
        }
        Ok(())
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.names.is_empty()
    }

    /// Whether `*` is on the list.
    pub fn is_any(&self) -> bool {
        self.0.any
    }

    /// Whether a script may set `name` ([CORS-preflight fetch], steps 7.6 and 7.7). Without credentials, `*` does not cover
    /// `Authorization`, a [non-wildcard request-header name]. With credentials, browsers take `*` for the name of a header; the
    /// response then names the requested headers instead, and so covers `Authorization`.
    ///
    /// [CORS-preflight fetch]: https://fetch.spec.whatwg.org/#cors-preflight-fetch
    /// [non-wildcard request-header name]: https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name
    pub fn allows(&self, name: &[u8], credentials: bool) -> bool {
        if self.0.any && is_token(name) && (credentials || !name.eq_ignore_ascii_case(b"authorization")) {
            return true;
        }
        let mut lower = [0; MAX_NAME];
        lower.get_mut(..name.len()).is_some_and(|lower| {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            self.0.lower.contains(lower)
        })
    }

    /// The value of `Access-Control-Allow-Headers`.
    pub fn value(&self) -> String {
        self.0.names.join(", ")
    }
}

/// The response headers that scripts may read in addition to the
/// [safelisted ones](https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name): names or `*`.
#[derive(Default)]
pub struct ExposedHeaders(Names);

impl ExposedHeaders {
    /// Adds one name of a directive. If the problem is a warning, the name has been added anyway, unless it was there already.
    ///
    /// | value | |
    /// | --- | --- |
    /// | `ETag`, `x-own` | permitted: any token |
    /// | `*` | permitted, alone |
    /// | `Set-Cookie` | permitted with a warning: no script can read it |
    pub fn add(&mut self, value: &[u8]) -> Result<(), Problem> {
        let name = self.0.add(value)?;
        // https://fetch.spec.whatwg.org/#forbidden-response-header-name
        let forbidden = ["set-cookie", "set-cookie2"].iter().any(|other| other.eq_ignore_ascii_case(name));
        self.check_wildcard_is_alone()?;
        if forbidden {
            return Err(Problem::new(value, Reason::ForbiddenResponseHeader));
        }
        Ok(())
    }

    /// Checks that `*` is the only value, if it is one.
    pub fn check_wildcard_is_alone(&self) -> Result<(), Problem> {
        if self.0.any && (self.0.refused || self.0.names.len() > 1) {
            return Err(Problem::new(b"*", Reason::AnyNotAlone));
        }
        Ok(())
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.names.is_empty()
    }

    /// Whether the list is `*`.
    pub fn is_any(&self) -> bool {
        self.0.any
    }

    /// The value of `Access-Control-Expose-Headers`.
    pub fn value(&self) -> String {
        self.0.names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list;
    use proptest::prelude::*;

    #[test]
    fn request_headers() {
        let rows = [
            ("Authorization", None),
            ("*", None),
            ("DNT", Some(Reason::ForbiddenRequestHeader)),
            ("sec-fetch-site", Some(Reason::ForbiddenRequestHeader)),
            ("authorization", Some(Reason::Duplicate)),
            ("Access-Control-Request-Method", Some(Reason::ProtocolHeader)),
            ("", Some(Reason::Empty)),
            ("a b", Some(Reason::NotHeader)),
            ("$x", Some(Reason::Variable)),
            ("x-amz-*", Some(Reason::PartOfName)),
            ("X-A|X-B", Some(Reason::Separated)),
            ("application/json", Some(Reason::NotHeader)),
            ("^X-A$", Some(Reason::NotHeader)),
            ("always", Some(Reason::Always)),
            ("all", Some(Reason::EverythingWord)),
            ("none", Some(Reason::NothingWord)),
            ("<header>", Some(Reason::Placeholder)),
            ("'X-Own'", Some(Reason::Quotes)),
            ("${http_access_control_request_headers}", Some(Reason::RequestVariable)),
        ];
        let mut headers = RequestHeaders::default();
        assert!(headers.is_empty());
        for (value, reason) in rows {
            assert!(!headers.is_any() || value != "*");
            assert_eq!(headers.add(value.as_bytes()).err().map(|p| p.reason), reason, "{value}");
            assert!(!headers.is_empty() && (headers.is_any() || value == "Authorization"));
        }
        assert_eq!(headers.value(), "Authorization, *, DNT, sec-fetch-site, Access-Control-Request-Method");
    }

    #[test]
    fn any_covers_authorization_only_with_credentials_or_by_name() {
        let mut headers = RequestHeaders::default();
        headers.add(b"*").unwrap();
        assert!(headers.allows(b"x-own", false));
        assert!(!headers.allows(b"AUTHORIZATION", false));
        assert!(headers.allows(b"authorization", true));
        headers.add(b"Authorization").unwrap();
        assert!(headers.allows(b"authorization", false));
        assert!(!headers.allows(b"a b", false));
        assert!(headers.allows(&[b'a'; 300], false));
        let mut listed = RequestHeaders::default();
        listed.add(&[b'a'; 256]).unwrap();
        assert!(listed.allows(&[b'A'; 256], false));
        for name in [&[b'a'; 255][..], &[b'a'; 257], b""] {
            assert!(!listed.allows(name, true), "{}", name.len());
        }
    }

    proptest! {
        #[test]
        fn a_suggestion_is_always_accepted(
            before in r#"["'(<,;:@ ]{0,2}"#,
            name in "(X-Own|ETag|\\*|[!-~]{0,5})",
            after in r#"["')>,;:@ ]{0,2}"#,
        ) {
            let value = format!("{before}{name}{after}");
            if let Err(Problem { suggestion: Some(suggestion), .. }) = RequestHeaders::default().add(value.as_bytes()) {
                for name in list::words(suggestion.as_bytes()) {
                    // It may be one without an effect.
                    let accepted = |added: Result<(), Problem>| added.map_or_else(|problem| problem.is_warning(), |()| true);
                    prop_assert!(accepted(RequestHeaders::default().add(name)), "{}", value);
                    prop_assert!(accepted(ExposedHeaders::default().add(name)), "{}", value);
                }
            }
        }
    }

    #[test]
    fn a_name_with_something_around_it() {
        let problem = RequestHeaders::default().add(b"Content-Type:").unwrap_err();
        assert_eq!((problem.reason, problem.suggestion.as_deref()), (Reason::NotHeader, Some("Content-Type")));
        assert_eq!(RequestHeaders::default().add(&[b'a'; 256]), Ok(()));
        assert_eq!(RequestHeaders::default().add(&[b'a'; 257]).unwrap_err().reason, Reason::NotHeader);
    }

    #[test]
    fn any_is_not_alone_if_others_are_mistakes() {
        let mut headers = ExposedHeaders::default();
        headers.add(b"*").unwrap();
        assert_eq!(headers.check_wildcard_is_alone(), Ok(()));
        assert_eq!(headers.add(b"a:b").unwrap_err().reason, Reason::NotHeader);
        assert_eq!(headers.check_wildcard_is_alone().unwrap_err().reason, Reason::AnyNotAlone);
    }

    #[test]
    fn exposed_headers() {
        let mut headers = ExposedHeaders::default();
        assert!(headers.is_empty());
        assert!(headers.add(b"ETag").is_ok());
        assert!(!headers.is_empty() && !headers.is_any());
        assert_eq!(headers.add(b"etag").unwrap_err().reason, Reason::Duplicate);
        assert_eq!(headers.add(b"Set-Cookie").unwrap_err().reason, Reason::ForbiddenResponseHeader);
        assert_eq!(headers.value(), "ETag, Set-Cookie");
        assert_eq!(headers.add(b"*").unwrap_err().reason, Reason::AnyNotAlone);
        assert!(headers.is_any());
    }
}
