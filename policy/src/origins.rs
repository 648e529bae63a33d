//! The origin rules of a policy, all kinds together: `cors_allow_origin` and `cors_allow_origin_regex`.

use crate::expression::{self, Expressions};
use crate::origin::{self, Rule};
use crate::pattern::Patterns;
use crate::set::{self, Set};
use crate::{list, Problem, Reason};

/// Which origins are allowed.
#[derive(Default)]
pub struct Origins {
    any: bool,
    /// Exact origins, and `null` where it is named.
    exact: Set,
    patterns: Patterns,
    expressions: Expressions,
}

impl Origins {
    /// Whether it is `*`.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Whether the one `Origin` field of a request holds an allowed origin. Never asked where it is `*`.
    #[inline(never)]
    pub fn allows(&self, origin: &[u8]) -> bool {
        // Without calls, and with each end a jump into the next function, the common case saves no registers.
        match origin.len() {
            set::MEDIUM_FROM..=set::MEDIUM_TO => {
                if self.exact.contains_medium(origin) {
                    return true;
                }
                if self.is_exact() {
                    return false;
                }
                self.matches(origin)
            }
            _ => self.allows_rare(origin),
        }
    }

    #[inline(never)]
    fn allows_rare(&self, origin: &[u8]) -> bool {
        self.exact.contains(origin) || (!self.is_exact() && self.matches(origin))
    }

    fn is_exact(&self) -> bool {
        self.patterns.is_empty() && self.expressions.is_empty()
    }

    /// What needs a well-formed origin; that one is exact was looked at before.
    #[inline(never)]
    fn matches(&self, origin: &[u8]) -> bool {
        if self.patterns.is_empty() {
            // The automaton first: it tells most of what is not allowed, and often all there is to tell.
            return origin.len() <= origin::MAX_ORIGIN
                && self.expressions.matches(origin)
                && (self.expressions.vouches_for(origin) || origin::parse(origin).is_some());
        }
        origin::parse(origin).is_some_and(|tuple| self.patterns.matches(&tuple) || self.expressions.matches(origin))
    }
}

/// What the value of a variable allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// `*` is in it.
    Any,
    /// The origin is in it.
    Allowed,
    /// It is not.
    Denied,
}

/// Looks a request's origin up in the value of a variable: exact origins and `null`, or `*`, or nothing. The origin must be
/// well-formed whatever the value is, because that may hold what the client sent.
pub fn evaluated(value: &[u8], origin: Option<&[u8]>) -> Evaluated {
    let well_formed = origin.filter(|origin| *origin == b"null" || origin::parse(origin).is_some());
    let mut result = Evaluated::Denied;
    for word in list::words(value) {
        if word == b"*" {
            return Evaluated::Any;
        }
        if Some(word) == well_formed {
            result = Evaluated::Allowed;
        }
    }
    result
}

/// A value that is only right or wrong together with `cors_allow_credentials`.
pub struct Concern<P> {
    /// Where the value stands.
    pub place: P,
    value: String,
    kind: ConcernKind,
}

#[derive(Clone, Copy, PartialEq)]
enum ConcernKind {
    Any,
    PublicSuffix,
    Insecure,
    AnyExpression,
    Reflection,
}

impl<P> Concern<P> {
    /// The directive that holds the value.
    pub fn directive(&self) -> &'static str {
        match self.kind {
            ConcernKind::AnyExpression => "cors_allow_origin_regex",
            _ => "cors_allow_origin",
        }
    }

    /// What is wrong with the value, if anything.
    pub fn problem(&self, credentials: bool) -> Option<Problem> {
        let reason = match (self.kind, credentials) {
            (ConcernKind::Any, true) => Reason::AnyWithCredentials,
            (ConcernKind::PublicSuffix, true) => Reason::PublicSuffixWithCredentials,
            (ConcernKind::PublicSuffix, false) => Reason::PublicSuffix,
            (ConcernKind::Insecure, true) => Reason::InsecureWithCredentials,
            (ConcernKind::AnyExpression | ConcernKind::Reflection, true) => Reason::AnyOriginWithCredentials,
            _ => return None,
        };
        Some(Problem::new(self.value.as_bytes(), reason))
    }
}

/// Finished origin rules, and what [`Concern`]s there are about them.
pub type Built<P> = (Origins, Vec<Concern<P>>);

/// Collects the origin rules of one level of a configuration. `P` says where a value stands.
pub struct OriginsBuilder<P> {
    origins: Origins,
    sources: Vec<(P, String)>,
    concerns: Vec<Concern<P>>,
    variables: bool,
    /// Whether something was refused: `*` does not stand alone next to that either.
    refused: bool,
}

impl<P> Default for OriginsBuilder<P> {
    fn default() -> Self {
        OriginsBuilder {
            origins: Origins::default(),
            sources: Vec::new(),
            concerns: Vec::new(),
            variables: false,
            refused: false,
        }
    }
}

impl<P: Clone> OriginsBuilder<P> {
    /// Adds one value of `cors_allow_origin`; see [`origin::parse_rule`] for what is permitted. A problem that is a warning
    /// leaves the rules as they were.
    pub fn add(&mut self, value: &[u8], place: P) -> Result<(), Problem> {
        let rule = origin::parse_rule(value).inspect_err(|_| self.refused = true)?;
        let new = match &rule {
            Rule::Any => !std::mem::replace(&mut self.origins.any, true),
            Rule::Exact => self.origins.exact.insert(value),
            Rule::Pattern(pattern) => self.origins.patterns.insert(pattern),
        };
        if !new {
            return Err(Problem::new(value, Reason::Duplicate));
        }
        // What got here is ASCII.
        let text = std::str::from_utf8(value).unwrap_or_default();
        let kind = match rule {
            Rule::Any => Some(ConcernKind::Any),
            Rule::Pattern(p) if p.host.strip_prefix('.').is_some_and(origin::is_public_suffix) => {
                Some(ConcernKind::PublicSuffix)
            }
            _ if !origin::is_secure(text) => Some(ConcernKind::Insecure),
            _ => None,
        };
        if let Some(kind) = kind {
            self.concerns.push(Concern { place, value: text.to_owned(), kind });
        }
        self.alone()
    }

    /// Adds one value of `cors_allow_origin_regex`, and says what is doubtful about it.
    pub fn add_expression(&mut self, value: &[u8], place: P) -> Result<Vec<Problem>, Problem> {
        let checked = expression::check(value).inspect_err(|_| self.refused = true)?;
        if self.sources.iter().any(|(_, source)| *source == checked.source) {
            return Ok(vec![Problem::new(value, Reason::Duplicate)]);
        }
        if checked.any_origin {
            self.concerns.push(Concern {
                place: place.clone(),
                value: checked.source.clone(),
                kind: ConcernKind::AnyExpression,
            });
        }
        self.sources.push((place, checked.source));
        self.alone().map(|()| checked.doubts)
    }

    /// Takes note of a value that is only known at run time; see [`evaluated`].
    pub fn add_variable(&mut self) -> Result<(), Problem> {
        self.variables = true;
        self.alone()
    }

    /// Takes note that a value is the request's own `Origin`, whatever that is.
    pub fn add_reflection(&mut self, value: &[u8], place: P) {
        let value = String::from_utf8_lossy(value).into_owned();
        self.concerns.push(Concern { place, value, kind: ConcernKind::Reflection });
    }

    /// Whether `*`, where it is among the rules, is all that there is.
    pub fn alone(&self) -> Result<(), Problem> {
        let others = self.refused
            || !self.origins.exact.is_empty()
            || !self.origins.patterns.is_empty()
            || !self.sources.is_empty()
            || self.variables;
        if self.origins.any && others {
            return Err(Problem::new(b"*", Reason::AnyNotAlone));
        }
        Ok(())
    }

    /// The finished rules, and the values to look at again where credentials are known; or what is too large, and its
    /// place.
    pub fn build(mut self) -> Result<Built<P>, (P, Problem)> {
        self.origins.exact.shrink();
        self.origins.expressions = Expressions::new(&self.sources)?;
        Ok((self.origins, self.concerns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn build(origins: &[&str], expressions: &[&str]) -> Origins {
        let mut builder = OriginsBuilder::default();
        for value in origins {
            builder.add(value.as_bytes(), ()).unwrap();
        }
        for value in expressions {
            builder.add_expression(value.as_bytes(), ()).unwrap();
        }
        builder.build().ok().unwrap().0
    }

    #[test]
    fn the_origins_of_the_first_users() {
        let origins = build(
            &["https://example.com", "https://sub.example.com", "http://localhost:8080", "http://127.0.0.1:9000"],
            &[],
        );
        for value in
            ["https://example.com", "https://sub.example.com", "http://localhost:8080", "http://127.0.0.1:9000"]
        {
            assert!(origins.allows(value.as_bytes()), "{value}");
        }
        for value in [
            "http://example.com",
            "http://127.0.0.1:8080",
            "http://localhost:9000",
            "null",
            "",
            "https://example.com/",
            "https://EXAMPLE.com",
        ] {
            assert!(!origins.allows(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn kinds_together() {
        let origins = build(&["null", "https://*.example.org"], &[r"^http://192\.168\.1\.\d+:3000$"]);
        for (value, allowed) in [
            ("null", true),
            ("https://a.example.org", true),
            ("http://192.168.1.77:3000", true),
            ("http://192.168.1.77", false),
            ("http://192.168.2.77:3000", false),
        ] {
            assert_eq!(origins.allows(value.as_bytes()), allowed, "{value}");
        }
        assert!(!build(&[], &[".*"]).allows(b"null"));
    }

    #[test]
    fn any_stands_alone() {
        let mut builder = OriginsBuilder::default();
        builder.add(b"*", ()).unwrap();
        assert_eq!(builder.add(b"https://a.example", ()).unwrap_err().reason, Reason::AnyNotAlone);
        let mut builder = OriginsBuilder::default();
        builder.add_expression(b"^https://a$", ()).unwrap();
        assert_eq!(builder.add(b"*", ()).unwrap_err().reason, Reason::AnyNotAlone);
    }

    #[test]
    fn any_stands_alone_next_to_mistakes_too() {
        let mut builder = OriginsBuilder::default();
        builder.add(b"*", ()).unwrap();
        assert_eq!(builder.alone(), Ok(()));
        assert_eq!(builder.add(b"example.com", ()).unwrap_err().reason, Reason::NoScheme);
        assert_eq!(builder.alone().unwrap_err().reason, Reason::AnyNotAlone);
    }

    /// Mistakes as people make them, of an origin or a pattern that is right. The last part says whether what was meant can
    /// be told.
    fn mistaken() -> impl Strategy<Value = (String, String)> {
        let host = "(\\*\\.)?[a-z]([a-z0-9-]{0,6}[a-z0-9])?\\.(example|test|dev\\.example)";
        (host, prop::option::of(1024..65535u32), 0..12usize, "[a-z]{1,5}").prop_map(|(host, port, mistake, text)| {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            let meant = format!("https://{host}{port}");
            let value = match mistake {
                0 => format!("{host}{port}"),
                1 => format!("//{host}{port}"),
                2 => format!("{meant}/"),
                3 => format!("{meant}/{text}"),
                4 => format!("{meant}?{text}={text}"),
                5 => format!("{meant}#{text}"),
                6 => format!("https://{text}:{text}@{host}{port}"),
                7 => meant.to_uppercase(),
                8 if port.is_empty() => format!("{meant}:443"),
                9 if !port.is_empty() => format!("https://{host}:0{}", &port[1..]),
                10 => format!("https:{host}{port}"),
                _ => format!("https:\\\\{host}{port}/"),
            };
            (value, meant)
        })
    }

    fn is_accepted(value: &str, credentials: bool) -> bool {
        let mut builder = OriginsBuilder::default();
        builder.add(value.as_bytes(), ()).is_ok()
            && builder.build().is_ok_and(|(_, concerns)| {
                concerns.iter().filter_map(|concern| concern.problem(credentials)).all(|problem| problem.is_warning())
            })
    }

    proptest! {
        #[test]
        fn what_was_meant_is_suggested((value, meant) in mistaken()) {
            let problem = OriginsBuilder::default().add(value.as_bytes(), ()).unwrap_err();
            prop_assert_eq!(problem.suggestion.as_deref(), Some(&*meant), "{}", value);
            prop_assert!(is_accepted(&meant, true) && is_accepted(&meant, false));
        }

        #[test]
        fn a_suggestion_is_accepted_whatever_stands_next_to_it(
            prefix in "(https?|HTTP|file|app|xn--|\\*|)(://|:/|:|//|)",
            host in r"(\*\.?|\.|)([a-zA-Z0-9_\u{e9}\u{df}\u{3002}%.@\[\]:-]{0,12}\.)?(com|github\.io|xn--[a-z0-9-]{0,6}|Co\.UK|ck|localhost|[a-zA-Z0-9.-]{0,8})",
            end in r"(:[0-9]{0,6}|:\*|)(/|/a|\?b|#c|\\|)",
        ) {
            let value = format!("{prefix}{host}{end}");
            if let Err(Problem { suggestion: Some(suggestion), .. }) = OriginsBuilder::default().add(value.as_bytes(), ()) {
                prop_assert!(is_accepted(&suggestion, true) && is_accepted(&suggestion, false), "{} for {}", suggestion, value);
            }
        }

        /// Nothing that is accepted is a rule that can never apply.
        #[test]
        fn what_is_accepted_allows_something(
            value in r"(https?|app)://(\*\.)?[a-z0-9_.:\[\]-]{1,20}(:[0-9]{1,5}|:\*)?",
        ) {
            let mut builder = OriginsBuilder::default();
            if builder.add(value.as_bytes(), ()).is_ok() {
                let origins = builder.build().ok().unwrap().0;
                let origin = value.replace("://*.", "://a.").replace(":*", ":8080");
                prop_assert!(origins.allows(origin.as_bytes()), "{}", value);
            }
        }
    }

    #[test]
    fn concerns() {
        let mut builder = OriginsBuilder::default();
        for value in ["https://*.com", "http://a.example", "https://a.example", "http://localhost:*"] {
            builder.add(value.as_bytes(), value).unwrap();
        }
        builder.add_expression(b"^https://.*$", "any").unwrap();
        builder.add_variable().unwrap();
        builder.add_reflection(b"$origin", "reflection");
        let concerns = builder.build().ok().unwrap().1;
        let reasons = |credentials| -> Vec<_> {
            concerns.iter().filter_map(|c| c.problem(credentials).map(|p| (c.place, p.reason))).collect()
        };
        assert_eq!(reasons(false), [("https://*.com", Reason::PublicSuffix)]);
        assert_eq!(
            reasons(true),
            [
                ("https://*.com", Reason::PublicSuffixWithCredentials),
                ("http://a.example", Reason::InsecureWithCredentials),
                ("any", Reason::AnyOriginWithCredentials),
                ("reflection", Reason::AnyOriginWithCredentials)
            ]
        );
    }

    #[test]
    fn values_of_variables() {
        use Evaluated::*;
        let rows = [
            ("", "https://a", Denied),
            ("https://a", "https://a", Allowed),
            ("https://b, https://a", "https://a", Allowed),
            ("https://a null", "null", Allowed),
            ("https://b", "https://a", Denied),
            ("*", "https://a", Any),
            ("https://A", "https://A", Denied),
            ("a b", "a b", Denied),
            ("https://a", "", Denied),
        ];
        for (value, origin, result) in rows {
            assert_eq!(evaluated(value.as_bytes(), Some(origin.as_bytes())), result, "{value:?} {origin:?}");
        }
        assert_eq!(evaluated(b"https://a", None), Denied);
    }
}
