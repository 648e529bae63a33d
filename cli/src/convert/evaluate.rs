// SPDX-License-Identifier: Apache-2.0
//! What an nginx with `add_header`, `map`, `set` and `if` would send, found out by following its rewrite phase.
//!
//! A request is described by its method and by what is known of its `Origin`: a text, that it matches one expression of the
//! configuration, or that it is none that the configuration names. What depends on anything else is unknown.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use crate::nginx::tree::{flat, Directive};

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text.
    Text(String),
    /// The `Origin` of the request.
    Origin,
    /// A variable of which nothing is known.
    Unknown(String),
}

/// A value; empty text has no parts.
pub type Value = Vec<Piece>;

/// The text of a value, if it is known.
pub fn text(value: &[Piece]) -> Option<&str> {
    match value {
        [] => Some(""),
        [Piece::Text(text)] => Some(text),
        _ => None,
    }
}

/// Something that a configuration compares `Origin` with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Atom {
    /// A text.
    Text(String),
    /// An expression, and whether it ignores case.
    Expression(String, bool),
}

/// What is known of the `Origin` of a request.
#[derive(Clone, Copy, Debug)]
pub enum Sender<'a> {
    /// There is none.
    Absent,
    /// It is this text, or matches this expression and no other.
    Is(&'a Atom),
    /// The configuration does not name it.
    Other,
}

/// A header that a level adds.
pub struct Header<'a> {
    /// The directive.
    pub directive: &'a Directive,
    /// The name in lower case.
    pub name: String,
    /// The value as written.
    pub value: &'a str,
    /// Whether it is added to errors too.
    pub always: bool,
    /// Whether it is of `more_set_headers`, which levels below do not replace.
    pub is_set: bool,
}

/// What is in a block.
pub struct Level<'a> {
    /// Its headers.
    pub headers: Vec<Header<'a>>,
    /// `set`, `if`, `return`, `rewrite`, `break`
    pub rewrites: Vec<&'a Directive>,
    /// Blocks in it.
    pub blocks: Vec<&'a Directive>,
    /// Whether it has directives of the module.
    pub has_policy: bool,
    /// Whether it has some that say who is allowed what, which blocks in it inherit.
    pub has_rules: bool,
    /// Whether it passes requests to another server.
    pub has_upstream: bool,
    /// The first directive of headers-more that is not followed: it sets fields of some responses, or removes them.
    pub not_followed: Option<&'a Directive>,
}

/// How the names of the directives start that say who is allowed what.
const RULES: [&str; 4] = ["cors_allow_", "cors_expose_headers", "cors_max_age", "cors_enforce"];

impl<'a> Level<'a> {
    /// The directives with its headers.
    pub fn directives_of_headers(&self) -> impl Iterator<Item = &'a Directive> + '_ {
        self.headers.iter().map(|header| header.directive).chain(self.not_followed)
    }

    /// The level of a block.
    pub fn new(block: &'a [Directive]) -> Self {
        let mut level = Level {
            headers: Vec::new(),
            rewrites: Vec::new(),
            blocks: Vec::new(),
            has_policy: false,
            has_rules: false,
            has_upstream: false,
            not_followed: None,
        };
        for directive in flat(block) {
            match directive.name() {
                "add_header" => level.headers.push(Header {
                    directive,
                    name: directive.argument(1).to_ascii_lowercase(),
                    value: directive.argument(2),
                    always: directive.argument(3) == "always",
                    is_set: false,
                }),
                "more_set_headers" | "more_clear_headers" if is_not_followed(directive) => {
                    level.not_followed = level.not_followed.or(Some(directive));
                }
                "more_set_headers" => level.headers.extend(set_headers(directive)),
                "set" | "return" | "rewrite" | "break" | "if" => level.rewrites.push(directive),
                "server" | "location" if directive.block.is_some() => level.blocks.push(directive),
                name if name == "cors" || name.starts_with("cors_") => {
                    level.has_policy = true;
                    level.has_rules |= RULES.iter().any(|start| name.starts_with(start));
                }
                name if name.ends_with("_pass") => level.has_upstream = true,
                _ => {}
            }
        }
        level
    }
}

/// Whether a directive of headers-more is about CORS, and more than `more_set_headers 'NAME: VALUE'...`.
fn is_not_followed(directive: &Directive) -> bool {
    let has_option = directive.arguments().any(|argument| argument.starts_with('-'));
    let is_about_cors = |argument: &str| argument.to_ascii_lowercase().starts_with("access-control-");
    (has_option || directive.name() == "more_clear_headers")
        && directive.arguments().any(|argument| is_about_cors(argument) || argument.starts_with('*'))
}

/// The headers of `more_set_headers 'NAME: VALUE'...`, which all responses have.
fn set_headers(directive: &Directive) -> impl Iterator<Item = Header<'_>> {
    let with_colon = directive.arguments().filter_map(|argument| argument.split_once(':'));
    with_colon.map(move |(name, value)| Header {
        directive,
        name: name.trim().to_ascii_lowercase(),
        value: value.trim(),
        always: true,
        is_set: true,
    })
}

/// The name of a variable: nginx takes it in any case.
fn variable_name(argument: &str) -> String {
    argument.trim_start_matches('$').to_ascii_lowercase()
}

struct Map<'a> {
    source: &'a str,
    default: &'a str,
    exact: HashMap<String, &'a str>,
    /// The keys of `exact`, in the order of the file.
    keys: Vec<String>,
    expressions: Vec<(Atom, &'a str)>,
    /// Whether it has entries that are not followed here.
    is_other: bool,
}

impl<'a> Map<'a> {
    fn new(directive: &'a Directive) -> Self {
        let mut map = Map {
            source: directive.argument(1),
            default: "",
            exact: HashMap::new(),
            keys: Vec::new(),
            expressions: Vec::new(),
            is_other: false,
        };
        for entry in flat(directive.block.as_deref().unwrap_or_default()) {
            let (key, value) = (entry.name(), entry.argument(1));
            match key {
                "default" => map.default = value,
                "hostnames" | "include" => map.is_other = true,
                "volatile" => {}
                _ => match expression(key) {
                    Some(atom) => map.expressions.push((atom, value)),
                    None => {
                        let key = key.strip_prefix('\\').unwrap_or(key).to_ascii_lowercase();
                        map.keys.push(key.clone());
                        map.exact.insert(key, value);
                    }
                },
            }
        }
        map
    }
}

/// The expression of `~expression` and `~*expression`.
fn expression(key: &str) -> Option<Atom> {
    let rest = key.strip_prefix('~')?;
    Some(match rest.strip_prefix('*') {
        Some(source) => Atom::Expression(source.to_owned(), true),
        None => Atom::Expression(rest.to_owned(), false),
    })
}

/// The variables of a configuration, and its levels.
pub struct Evaluator<'a> {
    /// By the name of the variable in lower case, as in the others.
    maps: HashMap<String, Map<'a>>,
    /// Variables that some `set` sets: nginx gives them an empty value before.
    set: HashSet<String>,
    levels: RefCell<HashMap<usize, Rc<Level<'a>>>>,
    compiled: RefCell<HashMap<Atom, Option<Regex>>>,
}

/// The answer to a request, as far as the configuration says.
pub struct Answer {
    /// The status of `return`.
    pub status: Option<u16>,
    /// The headers: the name in lower case, the value, and whether errors get it.
    pub headers: Vec<(String, Value, bool)>,
    /// What `Origin` was compared with.
    pub compared: Vec<Atom>,
    /// Each `if` that ended the request with `return`.
    pub returned_by: Option<usize>,
    /// Each `if` whose condition is not known.
    pub unknown: Vec<usize>,
    /// Whether the innermost block passes the request on to another location, if it has such a URI.
    pub is_rewritten: bool,
}

/// Whether a directive passes requests with some URIs on to another location.
pub fn passes_on(directive: &Directive) -> bool {
    let is_redirect = ["http://", "https://", "$scheme"].iter().any(|start| directive.argument(2).starts_with(start));
    directive.name() == "rewrite" && matches!(directive.argument(3), "" | "last") && !is_redirect
}

impl Answer {
    /// The values of a header that are sent.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Value> {
        self.headers
            .iter()
            .filter(move |(other, value, _)| other == name && !value.is_empty())
            .map(|(_, value, _)| value)
    }
}

/// The request that is followed.
struct Run<'e, 'a> {
    evaluator: &'e Evaluator<'a>,
    method: &'e str,
    sender: Sender<'e>,
    variables: HashMap<String, Value>,
    compared: Vec<Atom>,
    unknown: Vec<usize>,
}

/// The most maps that refer to one another.
const DEEPEST: usize = 16;

impl<'a> Evaluator<'a> {
    /// Reads the variables.
    pub fn new(directives: &'a [Directive]) -> Self {
        let mut evaluator = Evaluator {
            maps: HashMap::new(),
            set: HashSet::new(),
            levels: RefCell::default(),
            compiled: RefCell::default(),
        };
        evaluator.define(directives);
        evaluator
    }

    fn define(&mut self, directives: &'a [Directive]) {
        for directive in directives {
            let name = variable_name(directive.argument(if directive.name() == "map" { 2 } else { 1 }));
            match (directive.name(), &directive.block) {
                ("map", Some(_)) => {
                    self.maps.insert(name, Map::new(directive));
                }
                ("set", None) => {
                    self.set.insert(name);
                }
                (_, Some(block)) => self.define(block),
                _ => {}
            }
        }
    }

    /// What is in a block.
    pub fn level(&self, block: &'a [Directive]) -> Rc<Level<'a>> {
        let key = block.as_ptr() as usize;
        if let Some(level) = self.levels.borrow().get(&key) {
            return level.clone();
        }
        let level = Rc::new(Level::new(block));
        // Those that are empty may have the same place; they have the same level.
        self.levels.borrow_mut().insert(key, level.clone());
        level
    }

    /// The answer to a request in the innermost of `blocks`, which are in one another. `rewrites` says which of them have a
    /// rewrite phase: a server, and the innermost location.
    pub fn answer(&self, blocks: &[(&'a [Directive], bool)], method: &str, sender: Sender<'_>) -> Answer {
        let mut run = Run {
            evaluator: self,
            method,
            sender,
            variables: HashMap::new(),
            compared: Vec::new(),
            unknown: Vec::new(),
        };
        let (mut status, mut returned_by, mut inner, mut is_rewritten) = (None, None, None, false);
        'blocks: for (block, _) in blocks.iter().filter(|(_, rewrites)| *rewrites) {
            (inner, is_rewritten) = (None, false);
            // What follows an `if` that is not known, and that may end the block.
            let mut may_have_ended = false;
            'block: for directive in &self.level(block).rewrites {
                let mut body = std::slice::from_ref(directive);
                let level;
                let mut id = None;
                if directive.name() == "if" {
                    id = Some(directive.span.start);
                    match run.condition(directive).filter(|_| !may_have_ended) {
                        Some(true) => {}
                        Some(false) => continue,
                        None => {
                            run.unknown.extend(id);
                            let body = self.level(directive.block.as_deref().unwrap_or_default());
                            body.rewrites.iter().for_each(|directive| run.may_set(directive));
                            may_have_ended |= body.rewrites.iter().any(|directive| directive.name() == "break");
                            continue;
                        }
                    }
                    inner = directive.block.as_deref().or(Some(&[]));
                    level = self.level(inner.unwrap_or_default());
                    body = &level.rewrites;
                }
                for directive in body {
                    match directive.name() {
                        "return" => {
                            (status, returned_by) = (directive.argument(1).parse().ok(), id);
                            break 'blocks;
                        }
                        "break" => break 'block,
                        "rewrite" => is_rewritten |= passes_on(directive),
                        _ if may_have_ended => run.may_set(directive),
                        _ => run.set(directive),
                    }
                }
            }
        }
        let levels = blocks.iter().map(|(block, _)| *block).chain(inner);
        let levels: Vec<_> = levels.map(|block| self.level(block)).collect();
        let mut headers: Vec<(String, Value, bool)> = Vec::new();
        for header in levels.iter().flat_map(|level| &level.headers).filter(|header| header.is_set) {
            headers.retain(|(name, ..)| *name != header.name);
            headers.push((header.name.clone(), run.value(header.value, 0), header.always));
        }
        // These come on top. Each level that has `add_header` replaces what it would inherit.
        if let Some(level) = levels.iter().rev().find(|level| level.headers.iter().any(|header| !header.is_set)) {
            for header in level.headers.iter().filter(|header| !header.is_set) {
                headers.push((header.name.clone(), run.value(header.value, 0), header.always));
            }
        }
        Answer { status, headers, compared: run.compared, returned_by, unknown: run.unknown, is_rewritten }
    }

    /// Whether `set` gives a variable its value.
    pub fn is_set(&self, name: &str) -> bool {
        self.set.contains(name)
    }

    /// Whether a text matches; `None` if the expression is not known to be valid.
    fn matches(&self, atom: &Atom, text: &str) -> Option<bool> {
        let Atom::Expression(source, ignores_case) = atom else { return None };
        let mut compiled = self.compiled.borrow_mut();
        let compile = || RegexBuilder::new(source).case_insensitive(*ignores_case).build().ok();
        let regex = compiled.entry(atom.clone()).or_insert_with(compile);
        regex.as_ref().map(|regex| regex.is_match(text))
    }
}

impl<'a> Run<'_, 'a> {
    fn set(&mut self, directive: &'a Directive) {
        if directive.name() == "set" {
            let value = self.value(directive.argument(2), 0);
            self.variables.insert(variable_name(directive.argument(1)), value);
        }
    }

    /// What may have been set.
    fn may_set(&mut self, directive: &Directive) {
        if directive.name() == "set" {
            let name = variable_name(directive.argument(1));
            self.variables.insert(name.clone(), vec![Piece::Unknown(name)]);
        }
    }

    /// The value of a text with variables.
    fn value(&mut self, template: &str, depth: usize) -> Value {
        let mut value = Value::new();
        let mut add = |piece: Piece| match (value.last_mut(), piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, piece) => value.push(piece),
        };
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            add(Piece::Text(rest[..at].to_owned()));
            let after = &rest[at + 1..];
            let braced = after.strip_prefix('{').and_then(|after| after.split_once('}'));
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (name, next) = braced.unwrap_or((&after[..end], &after[end..]));
            if name.is_empty() {
                add(Piece::Text("$".to_owned()));
            } else {
                self.variable(name, depth).into_iter().for_each(&mut add);
            }
            rest = next;
        }
        add(Piece::Text(rest.to_owned()));
        value
    }

    fn variable(&mut self, name: &str, depth: usize) -> Value {
        let name = name.to_ascii_lowercase();
        if let Some(value) = self.variables.get(name.as_str()) {
            return value.clone();
        }
        match (name.as_str(), self.sender) {
            ("request_method", _) => return vec![Piece::Text(self.method.to_owned())],
            ("http_origin", Sender::Absent) => return Value::new(),
            ("http_origin", Sender::Is(Atom::Text(text))) => return vec![Piece::Text(text.clone())],
            ("http_origin", _) => return vec![Piece::Origin],
            _ => {}
        }
        let evaluator = self.evaluator;
        if let Some(map) = evaluator.maps.get(name.as_str()).filter(|_| depth < DEEPEST) {
            let unknown = || vec![Piece::Unknown(name.clone())];
            let source = self.value(map.source, depth + 1);
            let result = match self.look_up(map, &source) {
                Some(result) if !map.is_other => result,
                _ => return unknown(),
            };
            let value = self.value(result, depth + 1);
            // A part of what an expression matched is not followed.
            return if value.iter().any(|piece| matches!(piece, Piece::Unknown(_))) { unknown() } else { value };
        }
        match evaluator.set.contains(name.as_str()) {
            true => Value::new(),
            false => vec![Piece::Unknown(name)],
        }
    }

    fn look_up(&mut self, map: &Map<'a>, source: &[Piece]) -> Option<&'a str> {
        if source == [Piece::Origin] {
            self.compared.extend(map.keys.iter().filter(|key| !key.is_empty()).map(|key| Atom::Text(key.clone())));
            self.compared.extend(map.expressions.iter().map(|(atom, _)| atom.clone()));
            let Sender::Is(known) = self.sender else { return Some(map.default) };
            return Some(
                map.expressions.iter().find(|(atom, _)| atom == known).map_or(map.default, |(_, value)| value),
            );
        }
        let text = text(source)?;
        if let Some(value) = map.exact.get(&text.to_ascii_lowercase()) {
            return Some(value);
        }
        for (atom, value) in &map.expressions {
            if self.evaluator.matches(atom, text)? {
                return Some(value);
            }
        }
        Some(map.default)
    }

    /// Whether the condition of an `if` holds; `None` if that is not known.
    fn condition(&mut self, directive: &Directive) -> Option<bool> {
        let mut words: Vec<&str> = directive.arguments().collect();
        let first = words.first_mut()?;
        *first = first.strip_prefix('(')?;
        let last = words.last_mut()?;
        *last = last.strip_suffix(')')?;
        words.retain(|word| !word.is_empty());
        // An empty text in quotes.
        if words.len() == 2 && matches!(words[1], "=" | "!=") {
            words.push("");
        }
        let variable = words.first()?.strip_prefix('$')?;
        let value = self.variable(variable, 0);
        match words[1..] {
            [] => Some(!matches!(text(&value).map_or("x", |text| text), "" | "0")).filter(|_| !is_unknown(&value)),
            ["=", other] => self.equals(&value, other),
            ["!=", other] => self.equals(&value, other).map(|equal| !equal),
            ["~", source] => self.matched(&value, source, false),
            ["~*", source] => self.matched(&value, source, true),
            ["!~", source] => self.matched(&value, source, false).map(|matched| !matched),
            ["!~*", source] => self.matched(&value, source, true).map(|matched| !matched),
            _ => None,
        }
    }

    fn equals(&mut self, value: &[Piece], other: &str) -> Option<bool> {
        if value == [Piece::Origin] {
            let atom = Atom::Text(other.to_owned());
            if !other.is_empty() {
                self.compared.push(atom);
            }
            return Some(false);
        }
        Some(text(value)? == other)
    }

    fn matched(&mut self, value: &[Piece], source: &str, ignores_case: bool) -> Option<bool> {
        let atom = Atom::Expression(source.to_owned(), ignores_case);
        if value == [Piece::Origin] {
            let is_own = matches!(self.sender, Sender::Is(known) if *known == atom);
            self.compared.push(atom);
            return Some(is_own);
        }
        self.evaluator.matches(&atom, text(value)?)
    }
}

fn is_unknown(value: &[Piece]) -> bool {
    value.iter().any(|piece| matches!(piece, Piece::Unknown(_)))
}
