//! `cors_allow_headers` and `cors_expose_headers`: lists of header names, compared without regard to case.

use crate::list::{is_token, token_within};
use crate::set::Set;
use crate::{Problem, Reason};

/// The longest header name that is looked up; nothing longer can be configured.
const MAX_NAME: usize = 256;

/// Forbidden request-headers (Fetch, section "Headers"), but for the prefixes `proxy-` and `sec-`.
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

/// The names of a list in the order they were written, and whether `*` is among them.
#[derive(Default)]
struct Names {
    any: bool,
    names: Vec<String>,
    lower: Set,
    /// Whether something was refused: `*` does not stand alone next to that either.
    refused: bool,
}

impl Names {
    fn add(&mut self, value: &[u8]) -> Result<&str, Problem> {
        let name = check(value).inspect_err(|_| self.refused = true)?;
        if !self.lower.insert(name.to_ascii_lowercase().as_bytes()) {
            return Err(Problem::new(value, Reason::Duplicate));
        }
        self.any |= name == "*";
        self.names.push(name.to_owned());
        if is_cors_header(name) {
            return Err(Problem::new(value, Reason::CorsHeader));
        }
        Ok(self.names.last().map_or("", String::as_str))
    }
}

/// Whether `value` is a header name.
fn check(value: &[u8]) -> Result<&str, Problem> {
    let problem = |reason| Err(Problem::new(value, reason));
    match std::str::from_utf8(value) {
        _ if value.is_empty() => problem(Reason::Empty),
        _ if value.contains(&b'$') => problem(Reason::Variable),
        Ok(name) if is_token(value) && value.len() <= MAX_NAME => Ok(name),
        _ => {
            let within = token_within(value).filter(|name| name.len() <= MAX_NAME).map(str::to_owned);
            problem(Reason::NotHeader).map_err(|problem| problem.suggesting(within))
        }
    }
}

fn is_cors_header(name: &str) -> bool {
    starts_with(name, "access-control-")
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The request headers that a preflight may ask for: names, `*`, or `*` and names.
#[derive(Default)]
pub struct RequestHeaders(Names);

impl RequestHeaders {
    /// Adds one name of a directive. A problem that is a warning has added it all the same, unless it was there.
    ///
    /// | value | |
    /// | --- | --- |
    /// | `Authorization`, `x-own` | permitted: any token |
    /// | `*` | permitted, also next to names |
    /// | `DNT`, `Cookie`, `Sec-Fetch-Site` | permitted with a warning: scripts cannot set them |
    /// | `Access-Control-Request-Method` | permitted with a warning |
    pub fn add(&mut self, value: &[u8]) -> Result<(), Problem> {
        let name = self.0.add(value)?;
        let forbidden = FORBIDDEN_REQUEST.iter().any(|other| other.eq_ignore_ascii_case(name));
        if forbidden || starts_with(name, "proxy-") || starts_with(name, "sec-") {
            return Err(Problem::new(value, Reason::ForbiddenRequestHeader));
        }
        Ok(())
    }

    /// Whether no header is on the list.
    pub fn is_empty(&self) -> bool {
        self.0.names.is_empty()
    }

    /// Whether `*` is on the list.
    pub fn is_any(&self) -> bool {
        self.0.any
    }

    /// Whether a script may set `name`. Without credentials `*` does not cover `Authorization` (Fetch, section
    /// "CORS-preflight fetch"); with them the answer echoes what was asked for, and so covers it.
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

/// The response headers that scripts may read beyond the safelisted ones: names or `*`.
#[derive(Default)]
pub struct ExposedHeaders(Names);

impl ExposedHeaders {
    /// Adds one name of a directive. A problem that is a warning has added it all the same, unless it was there.
    ///
    /// | value | |
    /// | --- | --- |
    /// | `ETag`, `x-own` | permitted: any token |
    /// | `*` | permitted, alone |
    /// | `Set-Cookie` | permitted with a warning: no script can read it |
    pub fn add(&mut self, value: &[u8]) -> Result<(), Problem> {
        let name = self.0.add(value)?;
        let forbidden = ["set-cookie", "set-cookie2"].iter().any(|other| other.eq_ignore_ascii_case(name));
        self.alone()?;
        if forbidden {
            return Err(Problem::new(value, Reason::ForbiddenResponseHeader));
        }
        Ok(())
    }

    /// Whether `*`, where it is on the list, is all that there is.
    pub fn alone(&self) -> Result<(), Problem> {
        if self.0.any && (self.0.refused || self.0.names.len() > 1) {
            return Err(Problem::new(b"*", Reason::AnyNotAlone));
        }
        Ok(())
    }

    /// Whether no header is on the list.
    pub fn is_empty(&self) -> bool {
        self.0.names.is_empty()
    }

    /// Whether it is `*`.
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
    use proptest::prelude::*;

    #[test]
    fn request_headers() {
        let rows = [
            ("Authorization", None),
            ("*", None),
            ("DNT", Some(Reason::ForbiddenRequestHeader)),
            ("sec-fetch-site", Some(Reason::ForbiddenRequestHeader)),
            ("authorization", Some(Reason::Duplicate)),
            ("Access-Control-Request-Method", Some(Reason::CorsHeader)),
            ("", Some(Reason::Empty)),
            ("a b", Some(Reason::NotHeader)),
            ("$x", Some(Reason::Variable)),
        ];
        let mut headers = RequestHeaders::default();
        for (value, reason) in rows {
            assert_eq!(headers.add(value.as_bytes()).err().map(|p| p.reason), reason, "{value}");
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
        assert!(!headers.allows(&[b'a'; 300], false) || is_token(&[b'a'; 300]));
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
                let suggestion = suggestion.as_bytes();
                // It may be one without an effect.
                let accepted = |added: Result<(), Problem>| added.map_or_else(|problem| problem.is_warning(), |()| true);
                prop_assert!(accepted(RequestHeaders::default().add(suggestion)), "{}", value);
                prop_assert!(accepted(ExposedHeaders::default().add(suggestion)), "{}", value);
            }
        }
    }

    #[test]
    fn a_name_with_something_around_it() {
        let problem = RequestHeaders::default().add(b"Content-Type:").unwrap_err();
        assert_eq!((problem.reason, problem.suggestion.as_deref()), (Reason::NotHeader, Some("Content-Type")));
        assert_eq!(RequestHeaders::default().add(&[b'a'; 257]).unwrap_err().reason, Reason::NotHeader);
    }

    #[test]
    fn any_stands_alone_next_to_mistakes_too() {
        let mut headers = ExposedHeaders::default();
        headers.add(b"*").unwrap();
        assert_eq!(headers.alone(), Ok(()));
        assert_eq!(headers.add(b"a:b").unwrap_err().reason, Reason::NotHeader);
        assert_eq!(headers.alone().unwrap_err().reason, Reason::AnyNotAlone);
    }

    #[test]
    fn exposed_headers() {
        let mut headers = ExposedHeaders::default();
        assert!(headers.add(b"ETag").is_ok());
        assert_eq!(headers.add(b"etag").unwrap_err().reason, Reason::Duplicate);
        assert_eq!(headers.add(b"Set-Cookie").unwrap_err().reason, Reason::ForbiddenResponseHeader);
        assert_eq!(headers.add(b"*").unwrap_err().reason, Reason::AnyNotAlone);
    }
}
