// SPDX-License-Identifier: Apache-2.0
//! `cors_allow_methods`: the methods that scripts may use (Fetch, [methods](https://fetch.spec.whatwg.org/#methods)).

use crate::list::is_token;
use crate::{habits, Problem, Reason};

/// The methods of RFC 9110 and RFC 5789 that scripts may use. Browsers convert the first six to upper case
/// ([normalize](https://fetch.spec.whatwg.org/#concept-method-normalize)); `patch` stays in lower case, and is another method.
const STANDARD: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
/// [Forbidden methods](https://fetch.spec.whatwg.org/#forbidden-method).
const FORBIDDEN: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// A list of methods, or `*`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Methods {
    any: bool,
    names: Vec<String>,
    /// Whether a value was rejected. `*` must be the only value, and rejected values count.
    refused: bool,
}

impl Methods {
    /// `GET HEAD POST`: the default.
    pub fn safelisted() -> Self {
        Methods { names: ["GET", "HEAD", "POST"].map(String::from).into(), ..Methods::default() }
    }

    /// Adds one method of a directive. If the problem is a warning, the list stays as it was.
    ///
    /// | value | |
    /// | --- | --- |
    /// | `*` | permitted, alone |
    /// | `PUT`, `PROPFIND`, `x-own` | permitted: any token |
    /// | `GET\|POST`, `any`, `always` | prohibited |
    /// | `get`, `Patch` | prohibited: a standard method in another case |
    /// | `CONNECT`, `TRACE`, `TRACK` | prohibited, in any case |
    pub fn add(&mut self, value: &[u8]) -> Result<(), Problem> {
        let name = check(value).inspect_err(|problem| self.refused |= problem.reason != Reason::Always)?;
        if self.names.iter().any(|other| other == name) || (name == "*" && self.any) {
            return Err(Problem::new(value, Reason::Duplicate));
        }
        if name == "*" {
            self.any = true;
        } else {
            self.names.push(name.to_owned());
        }
        self.check_wildcard_is_alone()
    }

    /// Checks that `*` is the only value, if it is one.
    pub fn check_wildcard_is_alone(&self) -> Result<(), Problem> {
        if self.any && (self.refused || !self.names.is_empty()) {
            return Err(Problem::new(b"*", Reason::AnyNotAlone));
        }
        Ok(())
    }

    /// Whether the list is `*`.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Whether a script may use `method` ([CORS-preflight fetch], step 7.5). [Safelisted methods] need no entry. With
    /// credentials, browsers take `*` for the name of a method; the response then names the requested method instead.
    ///
    /// [CORS-preflight fetch]: https://fetch.spec.whatwg.org/#cors-preflight-fetch
    /// [Safelisted methods]: https://fetch.spec.whatwg.org/#cors-safelisted-method
    pub fn allows(&self, method: &[u8]) -> bool {
        matches!(method, b"GET" | b"HEAD" | b"POST")
            || (self.any && is_token(method))
            || self.names.iter().any(|name| name.as_bytes() == method)
    }

    /// The value of `Access-Control-Allow-Methods`.
    pub fn value(&self) -> String {
        if self.any {
            "*".to_owned()
        } else {
            self.names.join(", ")
        }
    }
}

/// The method, if browsers may ask for it in this form.
fn check(value: &[u8]) -> Result<&str, Problem> {
    let problem = |reason| Problem::new(value, reason);
    if habits::is_cors_header(value) {
        return Err(problem(Reason::HeaderName));
    }
    let is_standard = |name: &&str| STANDARD.iter().any(|method| method.eq_ignore_ascii_case(name));
    let text = std::str::from_utf8(value).unwrap_or_default();
    let parts: Vec<_> = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 && parts.iter().all(is_standard) {
        return Err(problem(Reason::Separated).suggesting(habits::corrected(&parts, correct)));
    }
    let name = habits::name(value, Reason::NotMethod, correct)?;
    if FORBIDDEN.iter().any(|method| method.eq_ignore_ascii_case(name)) {
        return Err(problem(Reason::ForbiddenMethod));
    }
    match STANDARD.iter().find(|method| method.eq_ignore_ascii_case(name) && **method != name) {
        Some(method) => Err(problem(Reason::MethodCase).suggesting(Some(method.to_string()))),
        None => Ok(name),
    }
}

/// `name`, or what to write instead of it.
fn correct(name: &str) -> Option<String> {
    check(name.as_bytes()).map_or_else(|problem| problem.suggestion, |name| Some(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list;
    use proptest::prelude::*;

    fn add(values: &[&str]) -> Result<Methods, Problem> {
        let mut methods = Methods::default();
        values.iter().try_for_each(|value| methods.add(value.as_bytes()))?;
        Ok(methods)
    }

    #[test]
    fn what_is_permitted() {
        assert_eq!(add(&["GET", "POST", "x-own"]).unwrap().value(), "GET, POST, x-own");
        assert_eq!(add(&["*"]).unwrap().value(), "*");
        assert_eq!(Methods::safelisted().value(), "GET, HEAD, POST");
    }

    #[test]
    fn what_is_prohibited() {
        let rows: [(&[&str], Reason, Option<&str>); 34] = [
            (&["get"], Reason::MethodCase, Some("GET")),
            (&["patch"], Reason::MethodCase, Some("PATCH")),
            (&["Delete"], Reason::MethodCase, Some("DELETE")),
            (&["TRACE"], Reason::ForbiddenMethod, None),
            (&["connect"], Reason::ForbiddenMethod, None),
            (&["GE T"], Reason::NotMethod, None),
            (&["\"GET\""], Reason::Quotes, Some("GET")),
            (&["'post'"], Reason::Quotes, Some("POST")),
            (&["GET|POST|PUT"], Reason::Separated, Some("GET POST PUT")),
            (&["get;post"], Reason::Separated, Some("GET POST")),
            (&["GET/PUT"], Reason::Separated, Some("GET PUT")),
            (&["GET+PUT"], Reason::Separated, Some("GET PUT")),
            (&["GET.put"], Reason::Separated, Some("GET PUT")),
            (&["^(GET|POST)$"], Reason::Separated, Some("GET POST")),
            (&["^GET$"], Reason::NotMethod, None),
            (&["*|GET"], Reason::Separated, None),
            (&["GET|TRACE"], Reason::Separated, None),
            (&["always"], Reason::Always, None),
            (&["any"], Reason::EverythingWord, None),
            (&["None"], Reason::NothingWord, None),
            (&["P*"], Reason::PartOfName, None),
            (&["{{methods}}"], Reason::Placeholder, None),
            (&["Access-Control-Allow-Methods:"], Reason::HeaderName, None),
            (&["$http_access_control_request_method"], Reason::RequestVariable, Some("*")),
            (&["[GET"], Reason::NotMethod, Some("GET")),
            (&["(put)"], Reason::NotMethod, Some("PUT")),
            (&["TRACE:"], Reason::NotMethod, None),
            (&["P@T"], Reason::NotMethod, None),
            (&["Track"], Reason::ForbiddenMethod, None),
            (&[""], Reason::Empty, None),
            (&["$method"], Reason::Variable, None),
            (&["GET", "*"], Reason::AnyNotAlone, None),
            (&["PUT", "PUT"], Reason::Duplicate, None),
            (&["*", "*"], Reason::Duplicate, None),
        ];
        for (values, reason, suggestion) in rows {
            let problem = add(values).unwrap_err();
            assert_eq!((problem.reason, problem.suggestion.as_deref()), (reason, suggestion), "{values:?}");
        }
    }

    #[test]
    fn any_is_not_alone_if_others_are_mistakes() {
        let mut methods = Methods::default();
        methods.add(b"*").unwrap();
        assert_eq!(methods.check_wildcard_is_alone(), Ok(()));
        assert_eq!(methods.add(b"get").unwrap_err().reason, Reason::MethodCase);
        assert_eq!(methods.check_wildcard_is_alone().unwrap_err().reason, Reason::AnyNotAlone);
    }

    proptest! {
        #[test]
        fn a_suggestion_is_always_accepted(
            before in r#"["'(<,;:@| ]{0,2}"#,
            method in "(?i)(get|head|post|put|delete|options|patch|connect|trace|track|propfind|x-own|[!-~]{0,5})",
            after in r#"["')>,;:@ ]{0,2}"#,
        ) {
            let value = format!("{before}{method}{after}");
            match Methods::default().add(value.as_bytes()) {
                Ok(()) => prop_assert!(is_token(value.as_bytes()), "{}", value),
                Err(problem) => {
                    prop_assert!(!problem.is_warning());
                    for word in list::words(problem.suggestion.unwrap_or_default().as_bytes()) {
                        prop_assert_eq!(Methods::default().add(word), Ok(()), "{}", value);
                    }
                }
            }
        }

        #[test]
        fn a_standard_method_in_another_case_is_always_corrected(
            method in prop::sample::select(&STANDARD[..]),
            lower in prop::collection::vec(any::<bool>(), 7),
        ) {
            let change = |(c, lower): (char, &bool)| if *lower { c.to_ascii_lowercase() } else { c };
            let method: String = method.chars().zip(&lower).map(change).collect();
            match Methods::default().add(method.as_bytes()) {
                Ok(()) => prop_assert!(STANDARD.contains(&&*method)),
                Err(problem) => prop_assert_eq!(problem.suggestion, Some(method.to_ascii_uppercase())),
            }
        }
    }

    #[test]
    fn matching_is_case_sensitive_and_the_safelisted_always_pass() {
        let methods = add(&["PUT"]).unwrap();
        for (method, allowed) in
            [("PUT", true), ("put", false), ("GET", true), ("POST", true), ("get", false), ("PATCH", false)]
        {
            assert_eq!(methods.allows(method.as_bytes()), allowed, "{method}");
        }
        assert!(!methods.is_any());
        let any = add(&["*"]).unwrap();
        assert!(any.is_any());
        assert!(any.allows(b"anything") && !any.allows(b"any thing"));
    }
}
