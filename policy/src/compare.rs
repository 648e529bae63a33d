// SPDX-License-Identifier: Apache-2.0
//! Comparing origin rules: which origins some rules allow that others do not.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::VecDeque;

use regex_automata::util::primitives::StateID;
use regex_syntax::hir::literal::{ExtractKind, Extractor};

use crate::automaton::{alphabet, Automaton, LazyAutomaton, SIZE_LIMIT};
use crate::kinds::{self, Kinds};
use crate::rule::{parse_rule, Rule};
use crate::{expression, origin, Problem};

/// The number of transitions after which a comparison gives up.
const MAX_STEPS: usize = 1 << 22;

/// A value of `cors_allow_origin` or `cors_allow_origin_regex`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `*`
    Any,
    /// An exact origin, `null` or `file://`.
    Exact(String),
    /// `https://*.example.com`
    Pattern(String),
    /// A regular expression.
    Expression(String),
}

impl Value {
    /// Reads a value of `cors_allow_origin`.
    pub fn of_list(value: &str) -> Result<Value, Problem> {
        Ok(match parse_rule(value.as_bytes())? {
            Rule::Any => Value::Any,
            Rule::Exact => Value::Exact(value.to_owned()),
            Rule::Pattern(_) => Value::Pattern(value.to_owned()),
        })
    }

    /// Reads a value of `cors_allow_origin_regex`. Unlike [`expression::check`], this does not look for what is doubtful.
    pub fn of_expression(value: &str) -> Result<Value, Problem> {
        match expression::parse(value) {
            Ok(_) => Ok(Value::Expression(value.to_owned())),
            Err(problem) => Err(problem),
        }
    }

    /// The value as it is written.
    pub fn text(&self) -> &str {
        match self {
            Value::Any => "*",
            Value::Exact(text) | Value::Pattern(text) | Value::Expression(text) => text,
        }
    }

    /// The expression for a pattern or an expression.
    fn source(&self) -> Option<String> {
        match self {
            Value::Expression(source) => Some(source.clone()),
            Value::Pattern(text) => match parse_rule(text.as_bytes()) {
                Ok(Rule::Pattern(pattern)) => {
                    let labels = if pattern.host.starts_with('.') { r"[a-z0-9_-]+(\.[a-z0-9_-]+)*" } else { "" };
                    let port =
                        if pattern.port == ":*" { "(:[0-9]+)?".to_owned() } else { regex_syntax::escape(pattern.port) };
                    let (scheme, host) = (regex_syntax::escape(pattern.scheme), regex_syntax::escape(pattern.host));
                    Some(format!("{scheme}://{labels}{host}{port}"))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the value allows an origin.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Value::Any => true,
            Value::Exact(text) => text == origin,
            Value::Pattern(_) | Value::Expression(_) => {
                // Built while it is used, because it is used for one origin.
                let parsed = self.source().and_then(|source| expression::parse(&source).ok());
                let matches = |parsed| LazyAutomaton::new(&parsed).is_some_and(|a| a.matches(origin.as_bytes()));
                origin::parse(origin.as_bytes()).is_some() && self.may_match(origin) && parsed.is_some_and(matches)
            }
        }
    }

    /// Whether the literal start and end of the value are those of the origin. This takes much less time than an automaton.
    fn may_match(&self, origin: &str) -> bool {
        let Some(hir) = self.source().and_then(|source| expression::parse(&source).ok()) else { return false };
        let has = |kind: ExtractKind, is_at: fn(&[u8], &[u8]) -> bool| {
            let literals = Extractor::new().kind(kind).extract(&hir);
            let mut literals = literals.literals().into_iter().flatten().peekable();
            literals.peek().is_none() || literals.any(|literal| is_at(origin.as_bytes(), literal.as_bytes()))
        };
        has(ExtractKind::Prefix, <[u8]>::starts_with) && has(ExtractKind::Suffix, <[u8]>::ends_with)
    }
}

/// An automaton for all of some expressions; `None` if it would be too large.
fn automaton(sources: impl IntoIterator<Item = Option<String>>) -> Option<Automaton> {
    let parsed: Result<Vec<_>, _> = sources.into_iter().flatten().map(|source| expression::parse(&source)).collect();
    Automaton::new(&[regex_syntax::hir::Hir::alternation(parsed.ok()?)], SIZE_LIMIT)
}

/// Two sets of rules could not be compared, because their automata are too large.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

/// An origin that `value` allows and that none of `others` does; `None` if there is none.
pub fn beyond(value: &Value, others: &[Value]) -> Result<Option<String>, TooLarge> {
    if others.contains(value) || others.contains(&Value::Any) {
        return Ok(None);
    }
    match value {
        Value::Any => {
            let example = "https://any.example";
            if !others.iter().any(|other| other.allows(example)) {
                return Ok(Some(example.to_owned()));
            }
            let found = beyond(&Value::Expression(".*".to_owned()), others)?;
            Ok(found.or_else(|| (!others.iter().any(|other| other.allows("null"))).then(|| "null".to_owned())))
        }
        Value::Exact(text) => Ok((!others.iter().any(|other| other.allows(text))).then(|| text.clone())),
        Value::Pattern(_) | Value::Expression(_) => {
            let ours = automaton([value.source()]).ok_or(TooLarge)?;
            let sources = others.iter().map(|other| match other {
                Value::Exact(text) => ours.matches(text.as_bytes()).then(|| regex_syntax::escape(text)),
                other => other.source(),
            });
            search(&ours, &automaton(sources).ok_or(TooLarge)?, false)
        }
    }
}

/// An origin that both values allow; `None` if there is none.
pub fn common(one: &Value, other: &Value) -> Result<Option<String>, TooLarge> {
    match (one, other) {
        (Value::Exact(text), value) | (value, Value::Exact(text)) => Ok(value.allows(text).then(|| text.clone())),
        _ => {
            let automaton =
                |value: &Value| automaton([Some(value.source().unwrap_or(".*".to_owned()))]).ok_or(TooLarge);
            search(&automaton(one)?, &automaton(other)?, true)
        }
    }
}

/// The states of the three automata after the same input; that of `theirs` may have none.
type Place = (StateID, Option<StateID>, StateID);

/// A shortest origin that `ours` matches, and `theirs` as well or not, as is wanted.
fn search(ours: &Automaton, theirs: &Automaton, by_theirs: bool) -> Result<Option<String>, TooLarge> {
    let origins = kinds::origins();
    let (Some(our_start), Some(start)) = (ours.run(b""), origins.run(b"")) else { return Ok(None) };
    let first: Place = (our_start, theirs.run(b""), start);
    let mut from: HashMap<Place, Option<(Place, u8)>> = HashMap::from([(first, None)]);
    let mut open = VecDeque::from([first]);
    let mut steps = 0;
    while let Some(place) = open.pop_front() {
        let (our, their, kind) = place;
        let is_found = ours.accepts(our)
            && their.is_some_and(|their| theirs.accepts(their)) == by_theirs
            && Kinds(origins.matched_by(kind)).is_of_pages();
        if is_found {
            let found = way(&from, place);
            if origin::parse(found.as_bytes()).is_some() {
                return Ok(Some(found));
            }
        }
        for b in alphabet() {
            let (Some(our), Some(kind)) = (ours.next(our, b), origins.next(kind, b)) else { continue };
            let next = (our, their.and_then(|their| theirs.next(their, b)), kind);
            if by_theirs && next.1.is_none() {
                continue;
            }
            if let Entry::Vacant(entry) = from.entry(next) {
                entry.insert(Some((place, b)));
                open.push_back(next);
            }
            steps += 1;
            if steps > MAX_STEPS {
                return Err(TooLarge);
            }
        }
    }
    Ok(None)
}

/// The input that led to a place.
fn way(from: &HashMap<Place, Option<(Place, u8)>>, mut place: Place) -> String {
    let mut bytes = Vec::new();
    while let Some(Some((before, b))) = from.get(&place) {
        bytes.push(*b);
        place = *before;
    }
    bytes.reverse();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[&str]) -> Vec<Value> {
        let read = |value: &&str| match value.strip_prefix('~') {
            Some(source) => Value::of_expression(source).unwrap(),
            None => Value::of_list(value).unwrap(),
        };
        values.iter().map(read).collect()
    }

    #[test]
    fn what_is_allowed_beyond() {
        let rows: [(&str, &[&str], Option<&str>); 19] = [
            ("https://*.a.example", &["*"], None),
            ("~.*", &["null", "*"], None),
            ("https://a.example", &[], Some("https://a.example")),
            ("https://a.example", &["https://a.example"], None),
            ("https://a.example", &["https://*.example"], None),
            ("https://a.example", &["*"], None),
            ("null", &["https://a.example"], Some("null")),
            ("*", &["null", "~.*"], None),
            ("*", &["~.*"], Some("null")),
            ("*", &["https://a.example"], Some("https://any.example")),
            ("https://*.a.example", &["https://a.example"], Some("https://a.a.example")),
            ("https://*.b.a.example", &["https://*.a.example"], None),
            ("https://*.a.example", &["https://*.b.a.example"], Some("https://a.a.example")),
            ("http://localhost:*", &["http://localhost"], Some("http://localhost:1")),
            ("http://localhost:*", &[r"~http://localhost(:\d+)?"], None),
            (
                r"~https://pr-\d\.a\.example",
                &["https://pr-1.a.example", "https://pr-0.a.example"],
                Some("https://pr-2.a.example"),
            ),
            (r"~https://pr-\d\.a\.example", &["https://*.a.example"], None),
            (r"~https://(a|b)\.example", &["https://b.example", "https://a.example"], None),
            (r"~https://.+\.example", &[r"~https://[a-z]+\.example"], Some("https://0.example")),
        ];
        for (value, others, expected) in rows {
            let found = beyond(&list(&[value])[0], &list(others)).unwrap();
            assert_eq!(found.as_deref(), expected, "{value} {others:?}");
        }
    }

    #[test]
    fn what_is_allowed_by_both() {
        let rows = [
            ("https://a.example", "https://*.example", Some("https://a.example")),
            ("https://a.example", "https://b.example", None),
            ("*", "null", Some("null")),
            ("*", r"~https://pr-\d\.example", Some("https://pr-0.example")),
            ("https://*.a.example", r"~https://x\..*", Some("https://x.a.example")),
            ("https://*.a.example", "http://*.a.example", None),
            (r"~https://[a-m]+\.example", r"~https://[m-z]+\.example", Some("https://m.example")),
            (r"~https://[a-l]+\.example", r"~https://[m-z]+\.example", None),
        ];
        for (one, other, expected) in rows {
            let values = list(&[one, other]);
            assert_eq!(common(&values[0], &values[1]).unwrap().as_deref(), expected, "{one} {other}");
            assert_eq!(common(&values[1], &values[0]).unwrap().as_deref(), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_comparison_that_takes_too_long_gives_up() {
        let values = list(&["~https://.*a.{11}", "~https://.*b.{11}"]);
        assert_eq!(common(&values[0], &values[1]), Err(TooLarge));
        assert_eq!(common(&values[0], &list(&["http://a.example"])[0]), Ok(None));
    }

    #[test]
    fn values_allow_what_policies_allow() {
        let rows = [
            ("https://*.a.example", "https://x.a.example", true),
            ("https://*.a.example", "https://a.example", false),
            ("http://*.a.example:*", "http://x.y.a.example:8080", true),
            ("https://*.a.example:8443", "https://x.a.example", false),
            (r"~^https://\w+\.example$", "https://a.example", true),
            (r"~^https://\w+\.example$", "https://a.example.org", false),
            ("~.*", "null", false),
            ("*", "null", true),
        ];
        for (value, origin, allowed) in rows {
            let value = &list(&[value])[0];
            assert_eq!(value.allows(origin), allowed, "{value:?} {origin}");
            let mut builder = crate::OriginsBuilder::default();
            let _ = match value {
                Value::Expression(source) => builder.add_expression(source.as_bytes(), ()).map(|_| ()),
                other => builder.add(other.text().as_bytes(), ()),
            };
            let origins = builder.build().0;
            assert_eq!(origins.is_any() || origins.allows(origin.as_bytes()), allowed, "{value:?} {origin}");
        }
    }
}
