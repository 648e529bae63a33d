// SPDX-License-Identifier: Apache-2.0
//! The settings of django-cors-headers in a `settings.py`, which is read without being run: only literals count.

use std::collections::HashMap;

use tree_sitter::{Node, Parser};

use super::draft::{quoted, Draft, Notes};
use super::nginx::alternatives;
use super::Part;
use crate::Failure;

/// What settings can be.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<String>),
    /// Something that is known only when Django runs, and where it is.
    Unknown(usize),
}

/// The defaults of django-cors-headers.
const METHODS: [&str; 6] = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"];
const HEADERS: [&str; 6] = ["accept", "authorization", "content-type", "user-agent", "x-csrftoken", "x-requested-with"];
const MAX_AGE: &str = "86400";

/// The deepest expression that is followed.
const DEEPEST: usize = 64;

struct Settings<'t> {
    text: &'t str,
    values: HashMap<String, (Value, usize)>,
    notes: Notes,
    name: &'t str,
}

/// The locations for some settings.
pub fn convert(name: &str, text: &str) -> Result<(Vec<Part>, Notes), Failure> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).map_err(|error| error.to_string())?;
    let tree = parser.parse(text, None).ok_or("the parser of Python gave up")?;
    if let Some(wrong) = first_error(tree.root_node()) {
        return Err(format!("{name}:{}: this is not valid Python", wrong.start_position().row + 1));
    }
    let list = |values: &[&str]| Value::List(values.iter().map(|value| (*value).to_owned()).collect());
    let values = HashMap::from([
        ("default_methods".to_owned(), (list(&METHODS), 0)),
        ("default_headers".to_owned(), (list(&HEADERS), 0)),
    ]);
    let mut settings = Settings { text, values, notes: Notes::default(), name };
    settings.statements(tree.root_node(), false, 0);
    Ok(settings.parts())
}

fn first_error(node: Node<'_>) -> Option<Node<'_>> {
    if !node.has_error() {
        return None;
    }
    let mut node = node;
    loop {
        let mut cursor = node.walk();
        let wrong = node.children(&mut cursor).find(|child| child.has_error() || child.is_missing());
        match wrong {
            Some(child) if !node.is_error() => node = child,
            _ => return Some(node),
        }
    }
}

/// The settings that have an older name, which counts where the present one is not set.
const FORMER: [(&str, &str); 3] = [
    ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL"),
    ("CORS_ALLOWED_ORIGINS", "CORS_ORIGIN_WHITELIST"),
    ("CORS_ALLOWED_ORIGIN_REGEXES", "CORS_ORIGIN_REGEX_WHITELIST"),
];

fn row(node: Node<'_>) -> usize {
    node.start_position().row + 1
}

impl Settings<'_> {
    fn place(&self, row: usize) -> String {
        format!("{}:{row}", self.name)
    }

    fn source(&self, node: Node<'_>) -> &str {
        node.utf8_text(self.text.as_bytes()).unwrap_or_default()
    }

    /// Reads assignments in the order in which they are run.
    fn statements(&mut self, block: Node<'_>, is_conditional: bool, depth: usize) {
        let mut cursor = block.walk();
        for statement in block.named_children(&mut cursor) {
            match statement.kind() {
                "expression_statement" => {
                    let Some(inner) = statement.named_child(0) else { continue };
                    self.statement(inner, is_conditional);
                }
                // What is in functions is not a setting.
                "function_definition" | "class_definition" | "decorated_definition" => {}
                _ if depth < DEEPEST => self.statements(statement, true, depth + 1),
                _ => {}
            }
        }
    }

    fn statement(&mut self, statement: Node<'_>, is_conditional: bool) {
        let (Some(left), right) = (statement.child_by_field_name("left"), statement.child_by_field_name("right"))
        else {
            if statement.kind() == "call" && self.source(statement).starts_with("check_request_enabled.connect") {
                let text = "The signal check_request_enabled allows requests that the settings do not; write a location or a map for it";
                self.notes.left("signal", &self.place(row(statement)), text);
            }
            // A call of `append`, or the like.
            let function = statement.child_by_field_name("function");
            if let Some(method) = function.filter(|function| function.kind() == "attribute") {
                self.forget(method, row(statement));
            }
            return;
        };
        let Some(right) = right else { return };
        if left.kind() != "identifier" {
            return self.forget(left, row(statement));
        }
        let name = self.source(left).to_owned();
        let mut value = if is_conditional { Value::Unknown(row(statement)) } else { self.value(right, 0) };
        if statement.kind() == "augmented_assignment" {
            let before = self.values.get(&name).map(|(value, _)| value.clone());
            value = match (before, value) {
                (Some(Value::List(mut list)), Value::List(more)) => {
                    list.extend(more);
                    Value::List(list)
                }
                _ => Value::Unknown(row(statement)),
            };
        }
        if is_conditional && name.starts_with("CORS_") {
            let text = format!("{name} is set under a condition, which is known only when Django runs");
            return self.notes.left("condition", &self.place(row(statement)), text);
        }
        self.values.insert(name, (value, row(statement)));
    }

    /// What is in a statement that is not followed may have another value behind it.
    fn forget(&mut self, statement: Node<'_>, row: usize) {
        let names: Vec<_> = self.values.keys().cloned().collect();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let words: Vec<_> = self.source(statement).split(|c| !is_word(c)).map(str::to_owned).collect();
        for name in names.into_iter().filter(|name| words.contains(name)) {
            self.values.insert(name, (Value::Unknown(row), row));
        }
    }

    fn value(&self, node: Node<'_>, depth: usize) -> Value {
        let unknown = Value::Unknown(row(node));
        if depth > DEEPEST {
            return unknown;
        }
        let field = |name: &str| node.child_by_field_name(name);
        match node.kind() {
            "true" => Value::Flag(true),
            "false" => Value::Flag(false),
            "integer" => self.source(node).replace('_', "").parse().map_or(unknown, Value::Number),
            "string" => self.string(node).map_or(unknown, Value::Text),
            "parenthesized_expression" => node.named_child(0).map_or(unknown, |inner| self.value(inner, depth + 1)),
            "identifier" => self.values.get(self.source(node)).map_or(unknown, |(value, _)| value.clone()),
            "concatenated_string" => {
                let mut cursor = node.walk();
                let parts: Option<String> = node.named_children(&mut cursor).map(|part| self.string(part)).collect();
                parts.map_or(unknown, Value::Text)
            }
            "list" | "tuple" | "set" => {
                let mut list = Vec::new();
                let mut cursor = node.walk();
                for element in node.named_children(&mut cursor).filter(|element| element.kind() != "comment") {
                    let is_splat = element.kind() == "list_splat";
                    let inner = if is_splat { element.named_child(0).unwrap_or(element) } else { element };
                    match (self.value(inner, depth + 1), is_splat) {
                        (Value::Text(text), false) => list.push(text),
                        (Value::List(more), true) => list.extend(more),
                        (Value::Unknown(row), _) => return Value::Unknown(row),
                        _ => return unknown,
                    }
                }
                Value::List(list)
            }
            "binary_operator" if field("operator").is_some_and(|operator| self.source(operator) == "+") => {
                let side = |name| field(name).map_or(Value::Unknown(row(node)), |side| self.value(side, depth + 1));
                match (side("left"), side("right")) {
                    (Value::List(mut list), Value::List(more)) => {
                        list.extend(more);
                        Value::List(list)
                    }
                    (Value::Text(text), Value::Text(more)) => Value::Text(text + &more),
                    (Value::Unknown(row), _) | (_, Value::Unknown(row)) => Value::Unknown(row),
                    _ => unknown,
                }
            }
            "call" => {
                let arguments = field("arguments").filter(|arguments| arguments.named_child_count() == 1);
                let function = field("function").map_or("", |function| self.source(function));
                match (function, arguments.and_then(|arguments| arguments.named_child(0))) {
                    ("re.compile" | "list" | "tuple" | "set", Some(argument)) => self.value(argument, depth + 1),
                    _ => unknown,
                }
            }
            _ => unknown,
        }
    }

    /// The value of a string; `None` if it depends on anything.
    fn string(&self, node: Node<'_>) -> Option<String> {
        let mut cursor = node.walk();
        let children: Vec<_> = node.children(&mut cursor).collect();
        let (start, end) = (children.first()?, children.last()?);
        let prefix = self.source(*start).trim_end_matches(['"', '\'']).to_ascii_lowercase();
        if prefix.contains(['b', 'f', 't']) {
            return None;
        }
        let content = self.text.get(start.end_byte()..end.start_byte())?;
        if prefix.contains('r') {
            return Some(content.to_owned());
        }
        let mut value = String::new();
        let mut characters = content.chars();
        while let Some(c) = characters.next() {
            match (c, if c == '\\' { characters.next() } else { None }) {
                ('\\', Some('\n')) => {}
                ('\\', Some(c @ ('\\' | '\'' | '"'))) => value.push(c),
                ('\\', Some('n')) => value.push('\n'),
                ('\\', Some('t')) => value.push('\t'),
                ('\\', Some(c)) => value.extend(['\\', c]),
                (c, _) => value.push(c),
            }
        }
        Some(value)
    }

    /// A setting, and its place; what is not a literal is noted.
    fn take(&mut self, name: &str) -> Option<(Value, String)> {
        let former = FORMER.iter().find(|(present, _)| *present == name).map_or("", |(_, former)| former);
        let (name, (value, row)) = match (self.values.remove(name), self.values.remove(former)) {
            (Some(found), Some((_, row))) => {
                let text = format!("Left out: django-cors-headers ignores {former}, because {name} is set");
                self.notes.differs("no-effect", &self.place(row), text);
                (name, found)
            }
            (Some(found), None) => (name, found),
            (None, found) => (former, found?),
        };
        if let Value::Unknown(row) = value {
            let text = format!("{name} is not a literal, so its value is known only when Django runs");
            self.notes.left("value", &self.place(row), text);
            return None;
        }
        Some((value, self.place(row)))
    }

    /// The values of a list.
    fn list(&mut self, name: &str) -> Option<(Vec<String>, String)> {
        match self.take(name)? {
            (Value::List(list), place) => Some((list, place)),
            (_, place) => {
                self.notes.left("value", &place, format!("{name} is not a list of strings"));
                None
            }
        }
    }

    /// The values of a list that has a default. If it is set to something that is not known, it has none.
    fn list_or(&mut self, name: &str, default: &[&str]) -> (Vec<String>, String) {
        let is_set = self.values.contains_key(name);
        let default = default.iter().filter(|_| !is_set).map(|value| (*value).to_owned()).collect();
        self.list(name).unwrap_or((default, self.name.to_owned()))
    }

    fn flag(&mut self, name: &str) -> bool {
        matches!(self.take(name), Some((Value::Flag(true), _)))
    }

    fn parts(mut self) -> (Vec<Part>, Notes) {
        let mut draft = Draft::default();
        let mut notes = Notes::default();
        let place = self.name.to_owned();
        draft.credentials = self.flag("CORS_ALLOW_CREDENTIALS");
        draft.private_network = self.flag("CORS_ALLOW_PRIVATE_NETWORK");
        let (origins, expressions) = (self.list("CORS_ALLOWED_ORIGINS"), self.list("CORS_ALLOWED_ORIGIN_REGEXES"));
        if self.flag("CORS_ALLOW_ALL_ORIGINS") {
            if draft.credentials {
                let text = "CORS_ALLOW_ALL_ORIGINS with CORS_ALLOW_CREDENTIALS lets every site read responses with the user's cookies; \
                            list the origins in cors_allow_origin";
                notes.left("origin", &place, text);
            } else {
                draft.origin("*", &place, &mut notes);
            }
        } else {
            if let Some((origins, place)) = origins {
                origins.iter().for_each(|origin| draft.origin(origin, &place, &mut notes));
            }
            if let Some((expressions, place)) = expressions {
                for source in expressions {
                    let whole = self.whole(&source, &place);
                    draft.expression(&whole, &place, &mut notes);
                }
            }
        }
        let (methods, at) = self.list_or("CORS_ALLOW_METHODS", &METHODS);
        draft.set_methods(methods.iter().map(String::as_str), &at, &mut notes);
        let (headers, at) = self.list_or("CORS_ALLOW_HEADERS", &HEADERS);
        draft.set_headers(headers.iter().map(String::as_str), &at, &mut notes);
        if let Some((exposed, at)) = self.list("CORS_EXPOSE_HEADERS") {
            draft.set_exposed(exposed.iter().map(String::as_str), &at, &mut notes);
        }
        match (self.values.contains_key("CORS_PREFLIGHT_MAX_AGE"), self.take("CORS_PREFLIGHT_MAX_AGE")) {
            // No field is sent then.
            (_, Some((Value::Number(0), _))) => {}
            (_, Some((Value::Number(seconds), at))) => draft.set_max_age(&seconds.to_string(), &at, &mut notes),
            (true, _) => {}
            (false, _) => draft.set_max_age(MAX_AGE, &place, &mut notes),
        }
        draft.finish(&place, &mut notes);
        draft.name_wildcards(methods.iter().chain(&headers).map(String::as_str), &place, &mut notes);
        let location = match (self.values.contains_key("CORS_URLS_REGEX"), self.take("CORS_URLS_REGEX")) {
            (false, _) => "/".to_owned(),
            (true, Some((Value::Text(expression), _))) => location(&expression),
            (true, _) => {
                notes.left("location", &place, "The value of CORS_URLS_REGEX is unknown, so no location is written");
                return (Vec::new(), self.all(notes));
            }
        };
        if draft.is_empty() {
            notes.left("origin", &place, "No origin is allowed by these settings");
            return (Vec::new(), self.all(notes));
        }
        notes.differs(
            "preflight",
            &place,
            "Preflights are answered by nginx, and those from other origins get the status 403",
        );
        let rest = (location != "/").then(|| Part { location: "/".to_owned(), ..Part::default() });
        let part = Part { location, draft, ..Part::default() };
        ([part].into_iter().chain(rest).collect(), self.all(notes))
    }

    /// Django matches the start of the origin.
    fn whole(&mut self, source: &str, place: &str) -> String {
        if source.ends_with('$') && !source.ends_with("\\$") || source.ends_with("\\Z") {
            return source.trim_end_matches("\\Z").to_owned();
        }
        let text =
            format!("The expression \"{source}\" matched the start of the origin; now it must match the whole origin");
        self.notes.differs("anchors", place, text);
        // With alternatives, an anchor would belong to one of them only.
        if source.contains('|') {
            source.to_owned()
        } else {
            format!("{source}$")
        }
    }

    fn all(self, more: Notes) -> Notes {
        let mut notes = self.notes;
        notes.0.extend(more.0);
        notes
    }
}

/// The location for an expression that Django matches with the start of a path.
fn location(expression: &str) -> String {
    let bare = expression.strip_prefix('^').unwrap_or(expression);
    let (bare, is_open) = match bare.strip_suffix('$') {
        Some(bare) => (bare.strip_suffix(".*").unwrap_or(bare), bare.ends_with(".*")),
        None => (bare.strip_suffix(".*").unwrap_or(bare), true),
    };
    let is_plain = bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_'));
    match bare {
        "" if is_open => "/".to_owned(),
        _ if is_plain && bare.starts_with('/') => format!("{}{bare}", if is_open { "" } else { "= " }),
        _ if expression.starts_with('^') && alternatives(expression).len() == 1 => format!("~ {}", quoted(expression)),
        // An anchor would belong to one of the alternatives.
        _ => format!("~ {}", quoted(&format!("^(?:{expression})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> (String, String) {
        let (parts, notes) = convert("s.py", text).unwrap();
        let draft = parts.first().map(|part| part.draft.clone()).unwrap_or_default();
        let codes: Vec<_> = notes
            .0
            .iter()
            .filter(|note| note.code != "preflight")
            .map(|note| format!("{}@{}", note.code, note.place))
            .collect();
        (draft.origins.into_iter().chain(draft.expressions).collect::<Vec<_>>().join(" "), codes.join(" "))
    }

    #[test]
    fn literals_and_what_depends_on_more() {
        let rows = [
            (
                "CORS_ALLOWED_ORIGINS = ['https://a.example', \"https://b.example\"]",
                "https://a.example https://b.example",
                "",
            ),
            ("CORS_ALLOWED_ORIGINS = (\n  # one\n  'https://' 'a.example',\n)", "https://a.example", ""),
            ("OWN = ['https://a.example']\nCORS_ALLOWED_ORIGINS = [*OWN] + ['null']", "https://a.example null", ""),
            ("CORS_ALLOWED_ORIGINS = []\nCORS_ALLOWED_ORIGINS += ['null']", "null", ""),
            ("CORS_ORIGIN_ALLOW_ALL = True", "*", ""),
            ("CORS_ORIGIN_REGEX_WHITELIST = ['^https://a$']", "^https://a$", ""),
            (
                "CORS_ALLOWED_ORIGINS = ['https://a.example']\nCORS_ORIGIN_WHITELIST = ['https://c.example']",
                "https://a.example",
                "no-effect@s.py:2",
            ),
            (
                "CORS_ORIGIN_WHITELIST = f()\nCORS_ALLOWED_ORIGINS = ['https://a.example']",
                "https://a.example",
                "no-effect@s.py:1",
            ),
            (
                "CORS_ALLOWED_ORIGINS = f()\nCORS_ORIGIN_WHITELIST = ['https://c.example']",
                "",
                "no-effect@s.py:2 value@s.py:1 origin@s.py",
            ),
            ("CORS_ORIGIN_WHITELIST = f()", "", "value@s.py:1 origin@s.py"),
            (
                "CORS_ALLOWED_ORIGIN_REGEXES = ['^https://a$']\nCORS_ORIGIN_REGEX_WHITELIST = ['^https://c$']",
                "^https://a$",
                "no-effect@s.py:2",
            ),
            ("CORS_ALLOW_ALL_ORIGINS = False\nCORS_ORIGIN_ALLOW_ALL = True", "", "no-effect@s.py:2 origin@s.py"),
            ("import os\nCORS_ALLOWED_ORIGINS = os.environ['X'].split()", "", "value@s.py:2 origin@s.py"),
            ("CORS_ALLOWED_ORIGINS = [f'https://{x}']", "", "value@s.py:1 origin@s.py"),
            ("if DEBUG:\n    CORS_ALLOW_ALL_ORIGINS = True", "", "condition@s.py:2 origin@s.py"),
            ("CORS_ALLOW_ALL_ORIGINS = True\nCORS_ALLOW_CREDENTIALS = True", "", "origin@s.py origin@s.py"),
            ("CORS_ALLOWED_ORIGIN_REGEXES = [r'^https://\\w+\\.a\\.example$']", r"^https://\w+\.a\.example$", ""),
            ("import re\nCORS_ALLOWED_ORIGIN_REGEXES = [re.compile('https://a')]", "https://a$", "anchors@s.py:2"),
            ("CORS_ALLOWED_ORIGINS = ['a.example', 'null']", "null", "origin@s.py:1"),
        ];
        for (text, origins, notes) in rows {
            assert_eq!(codes(text), (origins.to_owned(), notes.to_owned()), "{text}");
        }
        assert_eq!(convert("s.py", "a = [\nb = 1\n").err().unwrap(), "s.py:1: this is not valid Python");
    }

    #[test]
    fn locations() {
        for (expression, expected) in
            [("^/api/.*$", "/api/"), ("^.*$", "/"), (r"^/(a|b)/", "~ ^/(a|b)/"), ("^/api", "/api"), ("^$", "~ ^$")]
        {
            assert_eq!(location(expression), expected);
        }
    }
}
