// SPDX-License-Identifier: Apache-2.0
//! A policy that is being written, and what a conversion has to say.

use cors_policy::origins::{self, OriginsBuilder};
use cors_policy::rule::parse_rule;
use cors_policy::{expression, ExposedHeaders, Methods, Problem, Reason, RequestHeaders};

/// Whether something was left out, or is now different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It could not be carried over.
    Left,
    /// Answers differ from those of the old configuration.
    Differs,
}

/// Something that a conversion names.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// What kind it is.
    pub kind: Kind,
    /// What it is, in a word.
    pub code: &'static str,
    /// `FILE:LINE`
    pub place: String,
    /// What it is, in a sentence.
    pub text: String,
}

/// The notes of a conversion, each once.
#[derive(Default)]
pub struct Notes(pub Vec<Note>);

impl Notes {
    /// Something that could not be carried over.
    pub fn left(&mut self, code: &'static str, place: &str, text: impl Into<String>) {
        self.add(Kind::Left, code, place, text.into());
    }

    /// Something that is different now.
    pub fn differs(&mut self, code: &'static str, place: &str, text: impl Into<String>) {
        self.add(Kind::Differs, code, place, text.into());
    }

    fn add(&mut self, kind: Kind, code: &'static str, place: &str, text: String) {
        let note = Note { kind, code, place: place.to_owned(), text };
        // Those of one place come one after the other.
        if !self.0.iter().rev().take(64).any(|other| *other == note) {
            self.0.push(note);
        }
    }
}

/// A policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// `cors_allow_origin`
    pub origins: Vec<String>,
    /// `cors_allow_origin_regex`
    pub expressions: Vec<String>,
    /// `cors_allow_methods`; empty for its default.
    pub methods: Vec<String>,
    /// `cors_allow_headers`
    pub headers: Vec<String>,
    /// `cors_allow_credentials`
    pub credentials: bool,
    /// `cors_expose_headers`
    pub exposed: Vec<String>,
    /// `cors_max_age`
    pub max_age: Option<u64>,
    /// `cors_allow_private_network`
    pub private_network: bool,
}

/// The longest time for which a browser keeps the answer to a preflight.
const LONGEST: u64 = 86400;

/// What is different about `*` in a list of methods or request headers, where credentials are allowed.
const WILDCARD: &str =
    "With credentials, browsers took * for a name and allowed nothing by it; now everything that is asked for is allowed";

impl Draft {
    /// Whether no origin is allowed.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty() && self.expressions.is_empty()
    }

    /// Whether every origin is allowed.
    pub fn is_any(&self) -> bool {
        is_any(&self.origins)
    }

    /// Adds an origin or a pattern.
    pub fn origin(&mut self, value: &str, place: &str, notes: &mut Notes) {
        match parse_rule(value.as_bytes()) {
            Ok(_) if self.origins.iter().any(|other| other == value) => {}
            Ok(_) => self.origins.push(value.to_owned()),
            Err(problem) => notes.left("origin", place, problem.to_string()),
        }
    }

    /// Adds an expression that matches whole origins, as a pattern if it is one.
    pub fn expression(&mut self, source: &str, place: &str, notes: &mut Notes) {
        if let Some(pattern) = as_pattern(source) {
            return self.origin(&pattern, place, notes);
        }
        match expression::check(source.as_bytes()) {
            Ok(checked) => {
                if let Some(doubt) = checked.doubts.iter().find(|doubt| doubt.reason == Reason::NeverMatches) {
                    return notes.left("expression", place, doubt.to_string());
                }
                if !self.expressions.iter().any(|other| other == source) {
                    self.expressions.push(source.to_owned());
                }
            }
            Err(problem) => notes.left("expression", place, problem.to_string()),
        }
    }

    /// Sets the methods of a list.
    pub fn set_methods<'a>(&mut self, names: impl IntoIterator<Item = &'a str>, place: &str, notes: &mut Notes) {
        let mut list = Methods::default();
        let add = |name: &str| list.add(name.as_bytes());
        self.methods = accepted(names, add, "method", place, notes);
    }

    /// Sets the request headers of a list.
    pub fn set_headers<'a>(&mut self, names: impl IntoIterator<Item = &'a str>, place: &str, notes: &mut Notes) {
        let mut list = RequestHeaders::default();
        let add = |name: &str| list.add(name.as_bytes());
        self.headers = accepted(names, add, "header", place, notes);
    }

    /// Sets the response headers of a list.
    pub fn set_exposed<'a>(&mut self, names: impl IntoIterator<Item = &'a str>, place: &str, notes: &mut Notes) {
        let mut list = ExposedHeaders::default();
        let add = |name: &str| list.add(name.as_bytes());
        self.exposed = accepted(names, add, "exposed", place, notes);
    }

    /// Sets the time from a number of seconds.
    pub fn set_max_age(&mut self, seconds: &str, place: &str, notes: &mut Notes) {
        match seconds.trim().parse::<i64>() {
            Ok(seconds) if seconds > LONGEST as i64 => {
                self.max_age = Some(LONGEST);
                let text = format!("cors_max_age is {LONGEST} instead of {seconds}: no browser keeps an answer longer");
                notes.differs("max-age", place, text);
            }
            // Browsers take a negative number for 0.
            Ok(seconds) => self.max_age = Some(seconds.max(0) as u64),
            Err(_) => {
                notes.left("max-age", place, format!("Access-Control-Max-Age \"{seconds}\" is not a number of seconds"))
            }
        }
    }

    /// Takes out what cannot be allowed together with credentials, and what has no effect beside `*`.
    pub fn finish(&mut self, place: &str, notes: &mut Notes) {
        if self.credentials && is_any(&self.exposed) {
            self.exposed.retain(|name| name != "*");
            let text =
                "Access-Control-Expose-Headers \"*\" is only the name of a header with credentials; list the headers";
            notes.left("exposed", place, text);
        }
        if self.credentials {
            self.origins.retain(|origin| {
                let problem = refused_with_credentials(origin);
                problem.iter().for_each(|problem| notes.left("origin", place, problem.to_string()));
                problem.is_none()
            });
        }
        if self.is_any() {
            self.expressions.clear();
        }
        for list in [&mut self.origins, &mut self.methods, &mut self.exposed] {
            if is_any(list) {
                *list = vec!["*".to_owned()];
            }
        }
    }

    /// Says that `*` in lists of methods and request headers permits more now, if they were sent as they are.
    pub fn name_wildcards<'a>(&self, sent: impl IntoIterator<Item = &'a str>, place: &str, notes: &mut Notes) {
        if self.credentials && sent.into_iter().any(has_wildcard) {
            notes.differs("wildcard", place, WILDCARD);
        }
    }

    /// The directives, with those that end what is inherited.
    pub fn directives(&self, inherited: Option<&Draft>) -> Vec<(&'static str, String)> {
        let none = Draft::default();
        let above = inherited.unwrap_or(&none);
        let mut lines = Vec::new();
        let mut add = |name, words: Vec<String>| {
            if !words.is_empty() {
                lines.push((name, words.join(" ")));
            }
        };
        let quoted = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>();
        add("cors_allow_origin", quoted(&self.origins));
        add("cors_allow_origin_regex", quoted(&self.expressions));
        // A name that needs no permission anyway ends an inherited list.
        for (name, own, above, nothing) in [
            ("cors_allow_methods", &self.methods, &above.methods, "GET HEAD POST"),
            ("cors_allow_headers", &self.headers, &above.headers, "Accept"),
        ] {
            match own.is_empty() {
                true if !above.is_empty() => add(name, vec![nothing.to_owned()]),
                _ if own == above => {}
                _ => add(name, quoted(own)),
            }
        }
        let flag = |own: bool, above: bool| match (own, above) {
            (true, false) => vec!["on".to_owned()],
            (false, true) => vec!["off".to_owned()],
            _ => Vec::new(),
        };
        add("cors_allow_credentials", flag(self.credentials, above.credentials));
        match self.exposed.is_empty() {
            true if !above.exposed.is_empty() => add("cors_expose_headers", vec!["Cache-Control".to_owned()]),
            _ if self.exposed == above.exposed => {}
            _ => add("cors_expose_headers", quoted(&self.exposed)),
        }
        match (self.max_age, above.max_age) {
            // What browsers do without the field.
            (None, Some(_)) => add("cors_max_age", vec!["5".to_owned()]),
            (own, above) if own != above => add("cors_max_age", own.iter().map(u64::to_string).collect()),
            _ => {}
        }
        add("cors_allow_private_network", flag(self.private_network, above.private_network));
        lines
    }
}

/// Why an origin or a pattern is refused together with credentials, if it is.
fn refused_with_credentials(value: &str) -> Option<Problem> {
    let mut origins = OriginsBuilder::default();
    // What is wrong with it anyway has been said.
    let _ = origins.add(value.as_bytes(), ());
    let concerns = origins.into_concerns();
    let mut problems = origins::problems(&concerns, true).into_iter().map(|(_, problem)| problem);
    problems.find(|problem| !problem.is_warning())
}

/// Whether `*` is in a list as it is sent.
pub fn has_wildcard(list: &str) -> bool {
    list.split(',').any(|name| name.trim() == "*")
}

fn is_any(list: &[String]) -> bool {
    list.iter().any(|value| value == "*")
}

/// The names that a list accepts, and `*`, which need not be alone in it. Each may be followed by others after a comma.
fn accepted<'a>(
    names: impl IntoIterator<Item = &'a str>,
    mut add: impl FnMut(&str) -> Result<(), Problem>,
    code: &'static str,
    place: &str,
    notes: &mut Notes,
) -> Vec<String> {
    let mut list = Vec::new();
    let words =
        names.into_iter().flat_map(|name| name.split([',', ' ', '\t', '\n', '\r'])).filter(|word| !word.is_empty());
    for word in words {
        if word == "*" {
            list.push(word.to_owned());
            continue;
        }
        match add(word) {
            Ok(()) => list.push(word.to_owned()),
            Err(problem) if problem.reason == Reason::Duplicate => {}
            Err(problem) if problem.is_warning() => notes.differs("no-effect", place, format!("Left out: {problem}")),
            Err(problem) => notes.left(code, place, problem.to_string()),
        }
    }
    list
}

/// The width of lines that are written, as far as their words permit.
const WIDTH: usize = 110;

/// The lines of directives, aligned as nginx's own are.
pub fn aligned(directives: &[(&'static str, String)]) -> Vec<String> {
    let width = directives.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in directives {
        let mut line = format!("{name:width$} ");
        for (at, word) in value.split(' ').enumerate() {
            if at > 0 && line.len() + word.len() > WIDTH {
                lines.push(line);
                line = " ".repeat(width + 1);
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push(line + ";");
    }
    lines
}

/// A value as an argument of a directive.
pub fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty()
        && !value.contains(|c: char| c.is_whitespace() || matches!(c, ';' | '{' | '}' | '"' | '\''))
        && !value.starts_with('#')
        && !value.ends_with('\\')
        && !["\\\\", "\\t", "\\n", "\\r"].iter().any(|escape| value.contains(escape));
    if is_plain {
        return value.to_owned();
    }
    // Only before quotes and backslashes does nginx remove a backslash.
    let mut text = String::from("'");
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        let is_before = matches!(characters.peek(), None | Some('\\' | '"' | '\'' | 't' | 'n' | 'r'));
        if c == '\'' || (c == '\\' && is_before) {
            text.push('\\');
        }
        text.push(c);
    }
    text + "'"
}

/// `https://*.example.com` for `^https://.+\.example\.com$`, which matches the same origins.
fn as_pattern(source: &str) -> Option<String> {
    let source = source.strip_prefix('^').unwrap_or(source);
    let source = source.strip_suffix('$').unwrap_or(source);
    let (scheme, rest) = source.split_once("://")?;
    let starts = [".+", ".*", "(.+)", "(.*)"];
    let host = starts.iter().find_map(|start| rest.strip_prefix(start)?.strip_prefix("\\."))?;
    let name = host.replace("\\.", ".");
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let is_literal = !host.replace("\\.", "").contains('.') && name.bytes().all(is_name);
    (matches!(scheme, "http" | "https") && is_literal).then(|| format!("{scheme}://*.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_are_patterns() {
        let rows = [
            (r"^https://.+\.example\.com$", Some("https://*.example.com")),
            (r"https://.*\.example\.com", Some("https://*.example.com")),
            (r"^https?://.+\.example\.com$", None),
            (r"^https://.+\.example.com$", None),
            (r"^https://\w+\.example\.com$", None),
            (r"^https://.+\.example\.(com|org)$", None),
        ];
        for (source, expected) in rows {
            assert_eq!(as_pattern(source).as_deref(), expected, "{source}");
        }
    }

    #[test]
    fn arguments() {
        let rows = [
            (r"^https://a\.example$", r"^https://a\.example$"),
            (r"^https://\d{2}$", r"'^https://\d{2}$'"),
            ("a b", "'a b'"),
            ("it's", r"'it\'s'"),
            (r"\\d", r"'\\\d'"),
            (r"a;\t", r"'a;\\t'"),
            (r"/a\", r"'/a\\'"),
            (r"/a;\\", r"'/a;\\\\'"),
            (r"\", r"'\\'"),
            ("", "''"),
        ];
        for (value, expected) in rows {
            assert_eq!(quoted(value), expected, "{value}");
        }
    }

    #[test]
    fn long_lines() {
        let words = |length: usize| format!("{} {} x", ["abcdefghij"; 7].join(" "), "y".repeat(length));
        let start = format!("cors_allow_headers  {}", ["abcdefghij"; 7].join(" "));
        let next = " ".repeat(20);
        let rows = [
            (14, vec![format!("{start} {}", "y".repeat(14)), format!("{next}x;")]),
            (15, vec![start.clone(), format!("{next}{} x;", "y".repeat(15))]),
            // A long word is alone in its line.
            (200, vec![start.clone(), format!("{next}{}", "y".repeat(200)), format!("{next}x;")]),
        ];
        for (length, expected) in rows {
            assert_eq!(aligned(&[("cors_allow_headers", words(length))]), expected, "{length}");
        }
        let long = "y".repeat(200);
        assert_eq!(aligned(&[("cors_allow_headers", long.clone())]), [format!("cors_allow_headers  {long};")]);
    }

    #[test]
    fn what_is_inherited_is_ended() {
        let outer = Draft {
            origins: vec!["https://a.example".to_owned()],
            methods: vec!["PUT".to_owned()],
            headers: vec!["X-A".to_owned()],
            credentials: true,
            exposed: vec!["ETag".to_owned()],
            max_age: Some(60),
            ..Draft::default()
        };
        let inner = Draft { origins: vec!["https://b.example".to_owned()], ..Draft::default() };
        let lines = aligned(&inner.directives(Some(&outer)));
        assert_eq!(
            lines,
            [
                "cors_allow_origin       https://b.example;",
                "cors_allow_methods      GET HEAD POST;",
                "cors_allow_headers      Accept;",
                "cors_allow_credentials  off;",
                "cors_expose_headers     Cache-Control;",
                "cors_max_age            5;",
            ]
        );
        assert_eq!(aligned(&outer.directives(Some(&outer))), ["cors_allow_origin  https://a.example;"]);
    }

    #[test]
    fn lists_keep_what_has_an_effect() {
        let (mut draft, mut notes) = (Draft::default(), Notes::default());
        draft.set_headers(["DNT, X-A,x-a", "Content-Type a:b"], "f:1", &mut notes);
        assert_eq!(draft.headers, ["X-A", "Content-Type"]);
        let codes: Vec<_> = notes.0.iter().map(|note| (note.kind, note.code)).collect();
        assert_eq!(codes, [(Kind::Differs, "no-effect"), (Kind::Left, "header")]);
        draft.set_max_age("1728000", "f:1", &mut notes);
        assert_eq!(draft.max_age, Some(86400));
    }

    #[test]
    fn wildcards_are_alone() {
        for (credentials, origins, exposed, codes) in
            [(false, "*", "*", ""), (true, "https://a.example", "X-A", "exposed origin origin wildcard")]
        {
            let (mut draft, mut notes) = (Draft { credentials, ..Draft::default() }, Notes::default());
            for origin in ["https://a.example", "*", "https://*.com"] {
                draft.origin(origin, "f:1", &mut notes);
            }
            draft.expression(r"^https://[ab]\.example$", "f:1", &mut notes);
            draft.set_methods(["PUT, *", "GET"], "f:1", &mut notes);
            draft.set_exposed(["*, X-A, *"], "f:1", &mut notes);
            draft.set_headers(["*", "Authorization"], "f:1", &mut notes);
            draft.finish("f:1", &mut notes);
            draft.name_wildcards(["PUT", "PUT, *"], "f:1", &mut notes);
            assert_eq!(draft.expressions.is_empty(), !credentials);
            let lists = [draft.origins, draft.methods, draft.headers, draft.exposed].map(|list| list.join(" "));
            assert_eq!(lists, [origins, "*", "* Authorization", exposed]);
            assert_eq!(notes.0.iter().map(|note| note.code).collect::<Vec<_>>().join(" "), codes);
        }
    }
}
