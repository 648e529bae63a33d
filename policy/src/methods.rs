//! `cors_allow_methods`: the methods that a preflight may ask for (Fetch, section "Methods").

use crate::list::is_token;
use crate::{Problem, Reason};

/// The methods that RFC 9110 and RFC 5789 define and scripts may use; a browser sends these, and the first six it
/// normalises to upper case.
const STANDARD: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
/// Forbidden methods (Fetch, section "Methods").
const FORBIDDEN: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// A list of methods, or `*`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Methods {
    any: bool,
    names: Vec<String>,
}

impl Methods {
    /// `GET HEAD POST`: what is allowed where nothing is configured.
    pub fn safelisted() -> Self {
        Methods { any: false, names: ["GET", "HEAD", "POST"].map(String::from).into() }
    }

    /// Adds one method of a directive. A problem that is a warning leaves the list as it was.
    ///
    /// | value | |
    /// | --- | --- |
    /// | `*` | permitted, alone |
    /// | `PUT`, `PROPFIND`, `x-own` | permitted: any token |
    /// | `get`, `Patch` | prohibited: a standard method in another case |
    /// | `CONNECT`, `TRACE`, `TRACK` | prohibited, in any case |
    pub fn add(&mut self, value: &[u8]) -> Result<(), Problem> {
        let problem = |reason| Err(Problem::new(value, reason));
        let name = match std::str::from_utf8(value) {
            Ok(name) if is_token(value) => name,
            _ if value.is_empty() => return problem(Reason::Empty),
            _ if value.contains(&b'$') => return problem(Reason::Variable),
            _ => return problem(Reason::NotMethod),
        };
        if name.contains('$') {
            return problem(Reason::Variable);
        }
        if FORBIDDEN.iter().any(|method| method.eq_ignore_ascii_case(name)) {
            return problem(Reason::ForbiddenMethod);
        }
        if let Some(method) = STANDARD.iter().find(|method| method.eq_ignore_ascii_case(name) && **method != name) {
            return Err(Problem::new(value, Reason::MethodCase).suggesting(Some(method.to_string())));
        }
        if self.names.iter().any(|other| other == name) || (name == "*" && self.any) {
            return problem(Reason::Duplicate);
        }
        if name == "*" {
            self.any = true;
        } else {
            self.names.push(name.to_owned());
        }
        if self.any && !self.names.is_empty() {
            return Err(Problem::new(b"*", Reason::AnyNotAlone));
        }
        Ok(())
    }

    /// Whether it is `*`.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Whether a script may use `method`. `GET`, `HEAD` and `POST` are safelisted: they need no entry.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn add(values: &[&str]) -> Result<Methods, Problem> {
        let mut methods = Methods::default();
        values.iter().try_for_each(|value| methods.add(value.as_bytes()))?;
        Ok(methods)
    }

    #[test]
    fn what_is_permitted() {
        assert_eq!(add(&["GET", "POST", "x-own"]).unwrap().value(), "GET, POST, x-own");
        assert_eq!(add(&["*"]).unwrap().value(), "*");
    }

    #[test]
    fn what_is_prohibited() {
        let rows: [(&[&str], Reason, Option<&str>); 9] = [
            (&["get"], Reason::MethodCase, Some("GET")),
            (&["patch"], Reason::MethodCase, Some("PATCH")),
            (&["Delete"], Reason::MethodCase, Some("DELETE")),
            (&["TRACE"], Reason::ForbiddenMethod, None),
            (&["connect"], Reason::ForbiddenMethod, None),
            (&["GE T"], Reason::NotMethod, None),
            (&["$method"], Reason::Variable, None),
            (&["GET", "*"], Reason::AnyNotAlone, None),
            (&["PUT", "PUT"], Reason::Duplicate, None),
        ];
        for (values, reason, suggestion) in rows {
            let problem = add(values).unwrap_err();
            assert_eq!((problem.reason, problem.suggestion.as_deref()), (reason, suggestion), "{values:?}");
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
        let any = add(&["*"]).unwrap();
        assert!(any.allows(b"anything") && !any.allows(b"any thing"));
    }
}
