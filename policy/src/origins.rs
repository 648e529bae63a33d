// SPDX-License-Identifier: Apache-2.0
//! The origin rules of a policy, all kinds together: `cors_allow_origin` and `cors_allow_origin_regex`, and what files add to them.

use crate::expression::{self, Expressions, Source};
use crate::origin;
use crate::pattern::Patterns;
use crate::rule::{self, Rule};
use crate::set::{self, Set};
use crate::{list, Problem, Reason};

/// Which origins are allowed.
#[derive(Default)]
pub struct Origins {
    any: bool,
    /// Whether there are neither patterns, expressions nor files.
    is_exact: bool,
    /// Exact origins, and those that [`origin::is_named`].
    exact: Set,
    patterns: Patterns,
    expressions: Expressions,
}

impl Origins {
    /// Whether the only rule is `*`.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Whether there are exact origins.
    pub fn has_exact(&self) -> bool {
        !self.exact.is_empty()
    }

    /// Whether the only `Origin` field of a request contains an allowed origin. Not called if the rule is `*`.
    pub fn allows(&self, origin: &[u8]) -> bool {
        match self.lists(origin) {
            Listed::Yes => true,
            Listed::No => false,
            Listed::Unknown => self.allows_unlisted(origin),
        }
    }

    /// What exact origins alone say about most origins.
    #[inline(always)]
    pub fn lists(&self, origin: &[u8]) -> Listed {
        self.lists_at_once(origin).unwrap_or_else(|| self.lists_further(origin))
    }

    #[cold]
    #[inline(never)]
    fn lists_further(&self, origin: &[u8]) -> Listed {
        self.listed(origin, self.exact.contains_medium(origin))
    }

    /// [`Origins::lists`], unless that takes comparing several strings: `None` then. Makes no calls.
    #[inline(always)]
    pub fn lists_at_once(&self, origin: &[u8]) -> Option<Listed> {
        self.exact.contains_medium_at_once(origin).map(|is_listed| self.listed(origin, is_listed))
    }

    #[inline(always)]
    fn listed(&self, origin: &[u8], is_listed: bool) -> Listed {
        if is_listed {
            Listed::Yes
        } else if self.is_exact && (set::MEDIUM_FROM..=set::MEDIUM_TO).contains(&origin.len()) {
            Listed::No
        } else {
            Listed::Unknown
        }
    }

    /// The patterns, without the `*` before a dot, and the exact origins.
    pub(crate) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.patterns.values().chain(self.exact.iter())
    }

    /// Whether an origin of which [`Origins::lists`] does not know is allowed.
    pub fn allows_unlisted(&self, origin: &[u8]) -> bool {
        if !(set::MEDIUM_FROM..=set::MEDIUM_TO).contains(&origin.len()) && self.exact.contains(origin) {
            return true;
        }
        if self.is_exact {
            return false;
        }
        // An origin that an expression matches is often known to be well-formed.
        (!self.patterns.is_empty() && self.patterns.matches(origin))
            || (origin.len() <= origin::MAX_ORIGIN
                && self.expressions.matches(origin)
                && (self.expressions.vouches_for(origin) || origin::parse(origin).is_some()))
    }
}

/// What exact origins say of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// It is one of them.
    Yes,
    /// It is not, and nothing else allows it.
    No,
    /// [`Origins::allows_unlisted`] tells.
    Unknown,
}

/// Whether the value of a variable allows an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// The value is `*`.
    Any,
    /// The value contains the origin.
    Allowed,
    /// The value does not contain the origin.
    Denied,
}

/// Looks a request's origin up in the value of a variable, which is a list of exact origins, `null` and `file://`, or `*`, or
/// empty. The origin must be well-formed whatever the value is, and `*` must be all there is, because the value may contain
/// what the client sent.
pub fn evaluated(value: &[u8], origin: Option<&[u8]>) -> Evaluated {
    if list::is_star(value) {
        return Evaluated::Any;
    }
    match origin {
        Some(origin)
            if list::contains(value, origin) && (origin::is_named(origin) || origin::parse(origin).is_some()) =>
        {
            Evaluated::Allowed
        }
        _ => Evaluated::Denied,
    }
}

/// The words in the value of a variable that cannot allow anything, because they are neither origins nor a `*` alone.
pub fn unusable_words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_usable = |word: &[u8]| {
        let is_web_socket = word.starts_with(b"ws://") || word.starts_with(b"wss://");
        origin::is_named(word) || (!is_web_socket && origin::parse(word).is_some())
    };
    list::words(value).filter(move |word| !is_usable(word) && !list::is_star(value))
}

/// Why a word in the value of a variable allows nothing. A variable may hold neither patterns nor expressions, because it is
/// evaluated for each request.
pub fn unusable(word: &[u8]) -> Problem {
    match rule::parse_rule(word) {
        Ok(Rule::Pattern(_)) => Problem::new(word, Reason::PatternInVariable),
        Ok(Rule::Any) => Problem::new(word, Reason::AnyNotAlone),
        Ok(_) => Problem::new(word, Reason::BadHost),
        Err(problem) => match problem.reason {
            Reason::IsExpression(_) => Problem::new(word, Reason::ExpressionInVariable),
            _ => problem,
        },
    }
}

/// A value that is right or wrong only together with `cors_allow_credentials`.
#[derive(Clone)]
pub struct Concern<P> {
    /// The place of the value.
    pub place: P,
    /// The directive that the value belongs to.
    pub directive: &'static str,
    value: String,
    kind: ConcernKind,
}

#[derive(Clone, PartialEq)]
enum ConcernKind {
    Any,
    Null,
    PublicSuffix,
    Insecure,
    /// Origins that anyone can register: of all kinds, of one kind as in the example, or those of extensions.
    AnyOrigin,
    OpenDomain(String),
    AnyExtension,
}

impl<P> Concern<P> {
    /// The same about another place.
    pub fn at<Q>(&self, place: Q) -> Concern<Q> {
        Concern { place, directive: self.directive, value: self.value.clone(), kind: self.kind.clone() }
    }

    /// Why the value is refused or doubted, if it is.
    fn reason(&self, credentials: bool) -> Option<Reason> {
        Some(match (&self.kind, credentials) {
            (ConcernKind::Any, true) => Reason::AnyWithCredentials,
            (ConcernKind::Null, true) => Reason::NullWithCredentials,
            (ConcernKind::PublicSuffix, true) => Reason::PublicSuffixWithCredentials,
            (ConcernKind::PublicSuffix, false) => Reason::PublicSuffix,
            (ConcernKind::Insecure, true) => Reason::InsecureWithCredentials,
            (ConcernKind::AnyOrigin, true) => Reason::AnyOriginWithCredentials,
            (ConcernKind::OpenDomain(example), true) => Reason::OpenDomainWithCredentials(example.clone()),
            (ConcernKind::AnyExtension, true) => Reason::AnyExtensionWithCredentials,
            (_, false) => return None,
        })
    }
}

impl ConcernKind {
    /// What a value is concerned about, apart from expressions.
    fn of(rule: &Rule<'_>, text: &str) -> Option<ConcernKind> {
        match rule {
            Rule::Any => Some(ConcernKind::Any),
            Rule::Exact if text == "null" => Some(ConcernKind::Null),
            Rule::Pattern(p) if p.host.strip_prefix('.').is_some_and(origin::is_public_suffix) => {
                Some(ConcernKind::PublicSuffix)
            }
            _ if !origin::is_secure(text) => Some(ConcernKind::Insecure),
            _ => None,
        }
    }
}

/// What a value of a file is concerned about. The place is its line.
pub(crate) fn concern_of_file(rule: &Rule<'_>, text: &str, line: usize) -> Option<Concern<usize>> {
    let kind = ConcernKind::of(rule, text)?;
    Some(Concern { place: line, directive: "cors_allow_origin_file", value: text.to_owned(), kind })
}

impl<P> Concern<P> {
    /// Whether both are about the same, and at most a warning.
    pub(crate) fn is_like<Q>(&self, other: &Concern<Q>) -> bool {
        self.kind == other.kind && self.kind != ConcernKind::PublicSuffix
    }
}

/// What is doubtful about a scheme that looks like `https`.
pub(crate) fn misspelt(value: &str) -> Option<Problem> {
    let (scheme, rest) = value.split_once("://")?;
    rule::is_misspelt(scheme).then(|| {
        let suggestion = rule::accepted(format!("https://{rest}"));
        Problem::new(value.as_bytes(), Reason::MisspeltScheme).suggesting(suggestion)
    })
}

/// The problems of a level, each with what it is about: all errors, and one warning of each kind for each directive.
pub fn problems<P>(concerns: &[Concern<P>], credentials: bool) -> Vec<(&Concern<P>, Problem)> {
    let mut warned = Vec::new();
    let mut problems = Vec::new();
    for concern in concerns {
        let Some(reason) = concern.reason(credentials) else { continue };
        let kind = (concern.directive, std::mem::discriminant(&reason));
        if !reason.is_warning() || !warned.contains(&kind) {
            warned.push(kind);
            problems.push((concern, Problem::new(concern.value.as_bytes(), reason)));
        }
    }
    problems
}

/// Finished origin rules, and the [`Concern`]s about them.
pub type Built<P> = (Origins, Vec<Concern<P>>);

/// Collects the origin rules of one level of a configuration. `P` is the place of a value.
pub struct OriginsBuilder<P> {
    origins: Origins,
    sources: Vec<Source>,
    /// Their texts.
    written: Set,
    concerns: Vec<Concern<P>>,
    variables: bool,
    files: bool,
    /// Whether there is an expression in rules that are not built.
    unbuilt: bool,
    /// Whether a value was rejected. `*` must be the only value, and rejected values count.
    refused: bool,
}

impl<P> Default for OriginsBuilder<P> {
    fn default() -> Self {
        OriginsBuilder {
            origins: Origins::default(),
            sources: Vec::new(),
            written: Set::default(),
            concerns: Vec::new(),
            variables: false,
            files: false,
            unbuilt: false,
            refused: false,
        }
    }
}

const LIST: &str = "cors_allow_origin";

impl<P: Clone> OriginsBuilder<P> {
    /// Adds one value of `cors_allow_origin`; see [`rule::parse_rule`] for what is permitted. If the problem is a warning, the
    /// value has been added anyway, unless it was there already.
    pub fn add(&mut self, value: &[u8], place: P) -> Result<(), Problem> {
        // The parameter of another directive does not count as a value.
        let rule = rule::parse_rule(value).inspect_err(|problem| self.refused |= problem.reason != Reason::Always)?;
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
        if let Some(kind) = ConcernKind::of(&rule, text) {
            self.concern(LIST, text, kind, place);
        }
        self.check_wildcard_is_alone()?;
        misspelt(text).map_or(Ok(()), Err)
    }

    /// Notes that there is a file, with what is to be checked again of its values.
    pub fn add_file(&mut self, concerns: impl Iterator<Item = Concern<P>>) -> Result<(), Problem> {
        self.files = true;
        self.concerns.extend(concerns);
        self.check_wildcard_is_alone()
    }

    fn concern(&mut self, directive: &'static str, value: &str, kind: ConcernKind, place: P) {
        self.concerns.push(Concern { place, directive, value: value.to_owned(), kind });
    }

    /// Adds one value of `cors_allow_origin_regex`, and returns what is doubtful about it. A comma that is a value of its own
    /// separates others, as in the other lists.
    pub fn add_expression(&mut self, value: &[u8], place: P) -> Result<Vec<Problem>, Problem> {
        if value == b"," {
            return Ok(Vec::new());
        }
        let checked = expression::check(value).inspect_err(|_| self.refused = true)?;
        if !self.written.insert(value) {
            return Ok(vec![Problem::new(value, Reason::Duplicate)]);
        }
        let exposure = checked.exposure;
        let is_insecure = checked.is_insecure && exposure.any.is_none();
        let kinds = [
            exposure.any.map(|_| ConcernKind::AnyOrigin),
            exposure.open_domain.map(ConcernKind::OpenDomain),
            exposure.any_extension.map(|_| ConcernKind::AnyExtension),
            is_insecure.then_some(ConcernKind::Insecure),
        ];
        for kind in kinds.into_iter().flatten() {
            self.concern("cors_allow_origin_regex", &checked.source.text, kind, place.clone());
        }
        self.sources.push(checked.source);
        self.check_wildcard_is_alone().map(|()| checked.doubts)
    }

    /// Notes that there is a value of `cors_allow_origin_regex` in rules that are not built, and returns why it is refused. This takes
    /// less time than [`OriginsBuilder::add_expression`], and does not look at what is doubtful.
    pub fn note_expression(&mut self, value: &[u8]) -> Result<(), Problem> {
        if value == b"," {
            return Ok(());
        }
        expression::refuse(value).inspect_err(|_| self.refused = true)?;
        self.unbuilt = true;
        self.check_wildcard_is_alone()
    }

    /// Notes that there is a value that is known only at run time; see [`evaluated`].
    pub fn add_variable(&mut self) -> Result<(), Problem> {
        self.variables = true;
        self.check_wildcard_is_alone()
    }

    /// Notes that a value is the `Origin` of the request itself.
    pub fn add_reflection(&mut self, value: &[u8], place: P) {
        self.concern(LIST, &String::from_utf8_lossy(value), ConcernKind::AnyOrigin, place);
    }

    /// Checks that `*` is the only value, if it is one.
    pub fn check_wildcard_is_alone(&self) -> Result<(), Problem> {
        let others = self.refused
            || !self.origins.exact.is_empty()
            || !self.origins.patterns.is_empty()
            || !self.sources.is_empty()
            || self.variables
            || self.files
            || self.unbuilt;
        if self.origins.any && others {
            return Err(Problem::new(b"*", Reason::AnyNotAlone));
        }
        Ok(())
    }

    /// Only the values to check again when it is known whether credentials are allowed. This takes much less time than
    /// [`OriginsBuilder::build`].
    pub fn into_concerns(self) -> Vec<Concern<P>> {
        self.concerns
    }

    /// The finished rules, and the values to check again when it is known whether credentials are allowed.
    pub fn build(mut self) -> Built<P> {
        self.origins.exact.shrink();
        self.origins.expressions = Expressions::new(&self.sources);
        self.origins.is_exact = self.origins.patterns.is_empty() && self.sources.is_empty() && !self.files;
        (self.origins, self.concerns)
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
        builder.build().0
    }

    #[test]
    fn words_that_allow_nothing() {
        let value = b"https://a.example,null * file:// app://. a.example https://a.example/ wss://a.example https://*.a.example";
        let words: Vec<_> = unusable_words(value).map(|word| std::str::from_utf8(word).unwrap()).collect();
        assert_eq!(words, ["*", "a.example", "https://a.example/", "wss://a.example", "https://*.a.example"]);
        for (word, reason, suggestion) in [
            ("a.example", Reason::NoScheme, Some("https://a.example")),
            ("*", Reason::AnyNotAlone, None),
            ("https://*.a.example", Reason::PatternInVariable, None),
            ("^https://a$", Reason::ExpressionInVariable, None),
        ] {
            let problem = unusable(word.as_bytes());
            assert_eq!((problem.reason, problem.suggestion.as_deref()), (reason, suggestion), "{word}");
        }
        assert_eq!(unusable_words(b"*").count(), 0);
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
        for named in ["null", "file://"] {
            assert!(build(&[named], &[]).allows(named.as_bytes()), "{named}");
            assert!(!build(&["https://a", "file://", "null"], &[]).allows(b"file://a"));
        }
        let any = build(&[], &[".*"]);
        for (value, allowed) in [
            ("null", false),
            ("file://", false),
            ("file://a.example", false),
            ("file://.", false),
            ("https://.", false),
            ("app://.", true),
            ("files://a", true),
        ] {
            assert_eq!(any.allows(value.as_bytes()), allowed, "{value}");
        }
        assert!(build(&["https://*.example.org"], &["app://[.]"]).allows(b"app://."));
        let exact = |values: &[&str]| build(values, &[]).has_exact();
        assert!(exact(&["null", "https://a.example"]) && !exact(&["https://*.example.org"]));
    }

    #[test]
    fn an_expression_allows_no_origin_whose_parts_are_too_long() {
        let origins = build(&[], &[r"^https://\w+\.example$"]);
        for (len, allowed) in [(1, true), (63, true), (64, false), (200, false)] {
            assert_eq!(origins.allows(format!("https://{}.example", "a".repeat(len)).as_bytes()), allowed, "{len}");
        }
    }

    #[test]
    fn any_must_be_alone() {
        type Add = fn(&mut OriginsBuilder<()>) -> Result<(), Problem>;
        let others: [(&str, Add); 6] = [
            ("an origin", |builder| builder.add(b"https://a.example", ())),
            ("a pattern", |builder| builder.add(b"https://*.a.example", ())),
            ("an expression", |builder| builder.add_expression(b"^https://a$", ()).map(drop)),
            ("an expression that is not built", |builder| builder.note_expression(b"^https://a$")),
            ("a variable", |builder| builder.add_variable()),
            ("a file", |builder| builder.add_file([].into_iter())),
        ];
        for (name, add) in others {
            let mut builder = OriginsBuilder::default();
            builder.add(b"*", ()).unwrap();
            assert_eq!(add(&mut builder).unwrap_err().reason, Reason::AnyNotAlone, "{name}");
            let mut builder = OriginsBuilder::default();
            add(&mut builder).unwrap();
            assert_eq!(builder.add(b"*", ()).unwrap_err().reason, Reason::AnyNotAlone, "{name}");
        }
    }

    #[test]
    fn expressions_that_are_not_built_are_checked() {
        let mut builder = OriginsBuilder::<()>::default();
        builder.note_expression(b",").unwrap();
        assert_eq!(builder.add(b"*", ()), Ok(()));
        assert!(matches!(builder.note_expression(b"(").unwrap_err().reason, Reason::Expression(_)));
        assert_eq!(builder.check_wildcard_is_alone().unwrap_err().reason, Reason::AnyNotAlone);
    }

    #[test]
    fn any_is_not_alone_if_others_are_mistakes() {
        let mut builder = OriginsBuilder::default();
        builder.add(b"*", ()).unwrap();
        assert_eq!(builder.check_wildcard_is_alone(), Ok(()));
        assert_eq!(builder.add(b"example.com", ()).unwrap_err().reason, Reason::NoScheme);
        assert_eq!(builder.check_wildcard_is_alone().unwrap_err().reason, Reason::AnyNotAlone);
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
        list::words(value.as_bytes()).all(|word| builder.add(word, ()).is_ok())
            && problems(&builder.build().1, credentials).iter().all(|(_, problem)| problem.is_warning())
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
                let origins = builder.build().0;
                let origin = value.replace("://*.", "://a.").replace(":*", ":8080");
                prop_assert!(origins.allows(origin.as_bytes()), "{}", value);
            }
        }
    }

    #[test]
    fn misspelt_schemes_are_accepted_with_a_warning() {
        let mut builder = OriginsBuilder::default();
        let problem = builder.add(b"htps://a.example", ()).unwrap_err();
        assert_eq!(
            (problem.reason, problem.suggestion.as_deref()),
            (Reason::MisspeltScheme, Some("https://a.example"))
        );
        assert_eq!(builder.add(b"httpx://*.com", ()).unwrap_err().suggestion, None);
        assert!(builder.build().0.allows(b"htps://a.example"));
    }

    #[test]
    fn concerns_without_the_rules() {
        let mut builder = OriginsBuilder::default();
        builder.add(b"http://a.example", 7).unwrap();
        builder.add(b"https://a.example", 8).unwrap();
        let concerns = builder.into_concerns();
        let places: Vec<_> = problems(&concerns, true).into_iter().map(|(concern, _)| concern.place).collect();
        assert_eq!(places, [7]);
        let mut builder = OriginsBuilder::default();
        builder.add(b"*", 7).unwrap();
        let concerns = builder.into_concerns();
        let reasons = |credentials| -> Vec<_> {
            problems(&concerns, credentials).into_iter().map(|(_, problem)| problem.reason).collect()
        };
        assert_eq!((reasons(false), reasons(true)), (vec![], vec![Reason::AnyWithCredentials]));
    }

    #[test]
    fn concerns() {
        let mut builder = OriginsBuilder::default();
        for value in
            ["https://*.com", "http://a.example", "https://a.example", "http://localhost:*", "http://b", "null"]
        {
            builder.add(value.as_bytes(), value).unwrap();
        }
        for (expression, place) in [
            ("^https://.*$", "any"),
            ("^https?://.*$", "another"),
            (r"^https://.*a\.com$", "open domain"),
            (r"^https://.*b\.com$", "another"),
            ("^chrome-extension://.*$", "extensions"),
            (r"^https?://app\.a\.com$", "http"),
            (r"^https?://localhost(:\d+)?$", "local"),
        ] {
            builder.add_expression(expression.as_bytes(), place).unwrap();
        }
        builder.add_expression(b",", "comma").unwrap();
        builder.add_variable().unwrap();
        builder.add_reflection(b"$origin", "reflection");
        let concerns = builder.build().1;
        let reasons = |credentials| -> Vec<_> {
            problems(&concerns, credentials)
                .into_iter()
                .map(|(concern, problem)| (concern.place, problem.reason))
                .collect()
        };
        assert_eq!(reasons(false), [("https://*.com", Reason::PublicSuffix)]);
        assert_eq!(
            reasons(true),
            [
                ("https://*.com", Reason::PublicSuffixWithCredentials),
                ("http://a.example", Reason::InsecureWithCredentials),
                ("null", Reason::NullWithCredentials),
                ("any", Reason::AnyOriginWithCredentials),
                ("open domain", Reason::OpenDomainWithCredentials("https://xa.com".to_owned())),
                ("extensions", Reason::AnyExtensionWithCredentials),
                ("http", Reason::InsecureWithCredentials),
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
            (" *,", "https://a", Any),
            ("* *", "https://a", Denied),
            ("* https://a", "https://a", Allowed),
            ("* https://b", "https://a", Denied),
            ("https://b *", "https://a", Denied),
            ("https://A", "https://A", Denied),
            ("a b", "a b", Denied),
            ("https://a", "", Denied),
            ("app://. https://a", "app://.", Allowed),
            ("file://", "file://", Allowed),
            ("file://a", "file://a", Denied),
            ("null", "file://", Denied),
        ];
        for (value, origin, result) in rows {
            assert_eq!(evaluated(value.as_bytes(), Some(origin.as_bytes())), result, "{value:?} {origin:?}");
        }
        assert_eq!(evaluated(b"https://a", None), Denied);
    }
}
