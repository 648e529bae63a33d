// SPDX-License-Identifier: Apache-2.0
//! `add_header`, `map` and `if` in a configuration of nginx, as directives of the module.
//!
//! What the old configuration answers is found out for each block with such lines (`evaluate.rs`), and written as a policy. The
//! lines, and the variables that only they used, are then taken out; all else stays as it is written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use cors_policy::compare::{common, Value as Allowed};

use super::draft::{aligned, quoted, Draft, Notes};
use super::evaluate::{passes_on, text, Answer, Atom, Evaluator, Level, Piece, Sender, Value};
use crate::nginx::tree::{flat, Configuration, Directive};

/// A change of a file: what is replaced, and by what.
pub type Edit = (Range<usize>, String);

/// The changes to each file, and the notes about them.
pub fn convert(configuration: &Configuration) -> (Vec<Vec<Edit>>, Notes) {
    let evaluator = Evaluator::new(&configuration.directives);
    let uses = Uses::new(&configuration.directives);
    let mut refused = HashMap::new();
    loop {
        let mut converter = Converter { configuration, evaluator: &evaluator, refused: &refused, scopes: Vec::new() };
        let root = Block { directive: None, block: &configuration.directives };
        converter.block(&[root], None);
        let scopes = converter.scopes;
        let clashes = clashes(&scopes);
        if clashes.is_empty() {
            return finish(configuration, scopes, uses);
        }
        refused.extend(clashes);
    }
}

/// Places where blocks that share a file need different changes, each with the reason that is reported.
fn clashes(scopes: &[Scope<'_>]) -> Vec<(usize, String)> {
    let mut wanted: HashMap<(usize, usize), Option<&str>> = HashMap::new();
    let mut different = HashSet::new();
    for scope in scopes {
        for place in scope.lines.iter().chain(scope.edits.keys()) {
            let text = scope.edits.get(place).map(|change| change.new.as_str());
            if *wanted.entry(*place).or_insert(text) != text {
                different.insert(*place);
            }
        }
    }
    let shares = |scope: &&Scope<'_>| scope.is_converted && scope.lines.iter().any(|place| different.contains(place));
    let why = "its lines are in a file that is also included where they would have to be converted differently";
    scopes.iter().filter(shares).map(|scope| (scope.key, why.to_owned())).collect()
}

/// A block, or what is outside of all blocks.
#[derive(Clone, Copy)]
struct Block<'a> {
    directive: Option<&'a Directive>,
    block: &'a [Directive],
}

impl Block<'_> {
    fn is(&self, name: &str) -> bool {
        self.directive.is_some_and(|directive| directive.name() == name)
    }
}

/// What became of a block with lines about CORS.
#[derive(Default)]
struct Scope<'a> {
    /// The address of the block.
    key: usize,
    is_converted: bool,
    /// The file and offset of each of its lines.
    lines: Vec<(usize, usize)>,
    edits: Edits<'a>,
    /// The variables that the policy needs.
    variables: Vec<String>,
    notes: Notes,
}

/// A change of a file.
struct Change<'a> {
    /// What is taken out, if something is.
    old: Option<&'a Directive>,
    span: Range<usize>,
    new: String,
}

impl<'a> Change<'a> {
    fn replaced(directive: &'a Directive, new: String) -> Self {
        Change { old: Some(directive), span: directive.span.clone(), new }
    }

    fn before(directive: &Directive, new: String) -> Self {
        Change { old: None, span: directive.span.start..directive.span.start, new }
    }
}

/// By file and offset.
type Edits<'a> = BTreeMap<(usize, usize), Change<'a>>;

/// What a block inherits.
#[derive(Clone, Copy)]
struct Inherited<'d> {
    draft: &'d Draft,
    /// Whether a block around it is without a policy.
    is_off: bool,
}

struct Converter<'a, 'c> {
    configuration: &'a Configuration,
    evaluator: &'c Evaluator<'a>,
    refused: &'c HashMap<usize, String>,
    scopes: Vec<Scope<'a>>,
}

/// Whether a header is about CORS.
fn is_of_cors(name: &str) -> bool {
    name.starts_with("access-control-")
}

/// Whether a header goes with those of CORS.
fn goes_along(name: &str, value: &str) -> bool {
    is_of_cors(name) || (name == "vary" && value.eq_ignore_ascii_case("origin"))
}

/// The blocks of the `if`s in a level.
fn ifs<'a>(level: &Level<'a>) -> Vec<(&'a Directive, &'a [Directive])> {
    let is_if = |directive: &&&'a Directive| directive.name() == "if";
    level.rewrites.iter().filter(is_if).map(|d| (*d, d.block.as_deref().unwrap_or_default())).collect()
}

/// The methods that are followed: a simple one, one that may be treated in another way, any other, and that of preflights.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "OPTIONS"];
const OPTIONS: usize = 3;

/// The answers to the methods.
type Answers = [Answer; 4];

/// What an answer says of an origin.
#[derive(Clone, Debug, PartialEq)]
enum Grant {
    None,
    Any,
    /// The origin of the request.
    Own,
    /// Another origin.
    Fixed(String),
    /// Something with variables.
    Variable(String),
    /// Several fields, or text around the origin.
    Odd(&'static str),
}

fn grant(answer: &Answer, sender: Sender<'_>, is_set: impl Fn(&str) -> bool) -> Grant {
    let values: Vec<&Value> = answer.values("access-control-allow-origin").collect();
    let value = match values[..] {
        [] => return Grant::None,
        [value] => value,
        _ => return Grant::Odd("Access-Control-Allow-Origin is sent more than once, which browsers reject"),
    };
    match (text(value), sender) {
        (Some("*"), _) => Grant::Any,
        // Browsers compare the whole field with the origin, so a list matches nothing.
        (Some(text), Sender::Is(Atom::Text(origin)))
            if text.eq_ignore_ascii_case(origin) && !text.contains([',', ' ']) =>
        {
            Grant::Own
        }
        (Some(text), _) => Grant::Fixed(text.to_owned()),
        (None, _) if *value == [Piece::Origin] => Grant::Own,
        (None, _) if value.contains(&Piece::Origin) => {
            Grant::Odd("Access-Control-Allow-Origin has text around the origin")
        }
        // In a location, the module decides before `set`.
        (None, _) if value.iter().any(|piece| matches!(piece, Piece::Unknown(name) if is_set(name))) => Grant::Odd(
            "Access-Control-Allow-Origin depends on a variable that is set under a condition that is not known",
        ),
        (None, _) => Grant::Variable(written(value)),
    }
}

/// A value as it would be written in a configuration.
fn written(value: &[Piece]) -> String {
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Origin => "$http_origin".to_owned(),
        Piece::Unknown(name) => format!("${name}"),
    };
    value.iter().map(one).collect()
}

/// The fields about CORS of an allowed origin, as written.
#[derive(Clone, Debug, Default, PartialEq)]
struct Fields {
    methods: Option<String>,
    headers: Option<String>,
    credentials: Option<String>,
    exposed: Option<String>,
    max_age: Option<String>,
    private_network: Option<String>,
}

impl Fields {
    fn of(answers: &Answers) -> Fields {
        let one = |answer: &Answer, name: &str| {
            let values: Vec<_> = answer.values(name).map(|value| written(value)).collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        let preflight = |name| one(&answers[OPTIONS], name).or_else(|| one(&answers[0], name));
        let simple = |name| answers.iter().find_map(|answer| one(answer, name));
        Fields {
            methods: preflight("access-control-allow-methods"),
            headers: preflight("access-control-allow-headers"),
            credentials: simple("access-control-allow-credentials"),
            exposed: simple("access-control-expose-headers"),
            max_age: preflight("access-control-max-age"),
            private_network: preflight("access-control-allow-private-network"),
        }
    }

    fn has_credentials(&self) -> bool {
        self.credentials.as_deref() == Some("true")
    }
}

/// Whether `always` was missing where a response had the field.
fn misses_errors(answer: &Answer) -> bool {
    answer
        .headers
        .iter()
        .any(|(name, value, always)| name == "access-control-allow-origin" && !value.is_empty() && !always)
}

fn varies(answer: &Answer) -> bool {
    answer.values("vary").any(|value| text(value).is_some_and(|text| text.to_ascii_lowercase().contains("origin")))
}

const NESTED: &str =
    "The add_header lines in this block replaced those about CORS around it; the policy now applies here too";

impl<'a> Converter<'a, '_> {
    /// Converts a block and those in it; `inherited` is the policy that the module would use without a change.
    fn block(&mut self, chain: &[Block<'a>], inherited: Option<Inherited<'_>>) {
        let here = chain[chain.len() - 1];
        let level = self.evaluator.level(here.block);
        let lines = self.lines(&level);
        let mut own = None;
        if !lines.is_empty() {
            let mut notes = Notes::default();
            let place = self.place(here, &lines);
            let key = here.block.as_ptr() as usize;
            let refusal = match self.refused.get(&key) {
                Some(why) => Err(why.clone()),
                None if level.has_policy => Err("the block already has cors_* directives".to_owned()),
                None if chain.iter().any(|block| self.evaluator.level(block.block).has_rules) => {
                    Err("a block around already has cors_* directives".to_owned())
                }
                None => self.draft(chain, &place, &mut notes),
            };
            let (edits, is_converted) = match refusal {
                Ok((draft, preflight_ifs)) => {
                    let edits = self.edits(&level, &lines, &draft, inherited, &preflight_ifs);
                    own = Some(draft);
                    (edits, true)
                }
                Err(why) => {
                    notes.left("block", &place, format!("The lines about CORS stay as they are: {why}"));
                    // Those of the module would replace them.
                    let edits = match inherited {
                        Some(Inherited { is_off: false, .. }) => self.cors_off(&level, &lines, &mut notes),
                        _ => Edits::new(),
                    };
                    (edits, false)
                }
            };
            let lines = lines.iter().map(|directive| (directive.file, directive.span.start)).collect();
            let origins = own.iter().flat_map(|draft: &Draft| &draft.origins);
            let variables = origins.flat_map(|origin| names_in(origin)).map(|name| name.to_ascii_lowercase()).collect();
            self.scopes.push(Scope { key, is_converted, lines, edits, variables, notes });
        } else if inherited.is_some_and(|inherited| !inherited.is_off) {
            self.note_nested(here, &level);
        }
        // A block that keeps its lines ends the policy around it.
        let passed = match &own {
            Some(draft) => Some(Inherited { draft, is_off: false }),
            None => inherited.map(|inherited| Inherited { is_off: inherited.is_off || !lines.is_empty(), ..inherited }),
        };
        let inner = here.block.iter().flat_map(|directive| match (directive.name(), &directive.block) {
            ("http", Some(_)) => vec![directive],
            ("include", Some(block)) => flat(block).into_iter().filter(|d| d.name() == "http").collect(),
            _ => Vec::new(),
        });
        for directive in inner.chain(level.blocks.iter().copied()) {
            let block = Block { directive: Some(directive), block: directive.block.as_deref().unwrap_or_default() };
            let chain: Vec<_> = chain.iter().copied().chain([block]).collect();
            self.block(&chain, passed);
        }
    }

    /// The directives of a level that are about CORS, with those in its `if`s.
    fn lines(&self, level: &Level<'a>) -> Vec<&'a Directive> {
        let mut found: Vec<&'a Directive> = Vec::new();
        let mut add = |level: &Level<'a>| {
            let headers = level.headers.iter().filter(|header| is_of_cors(&header.name));
            for directive in headers.map(|header| header.directive).chain(level.not_followed) {
                if !found.iter().any(|other| std::ptr::eq(*other, directive)) {
                    found.push(directive);
                }
            }
        };
        add(level);
        for (_, body) in ifs(level) {
            add(&self.evaluator.level(body));
        }
        found
    }

    fn place(&self, here: Block<'a>, lines: &[&Directive]) -> String {
        self.configuration.place_of(here.directive.unwrap_or(lines[0]))
    }

    /// Notes that a nested block had lost the headers around it by its own `add_header`.
    fn note_nested(&mut self, here: Block<'a>, level: &Level<'a>) {
        let blocks = ifs(level).into_iter().map(|(directive, body)| (Some(directive), self.evaluator.level(body)));
        let losing: Vec<_> = blocks
            .filter(|(_, level)| level.headers.iter().any(|header| !header.is_set))
            .map(|(directive, _)| directive)
            .chain(level.headers.iter().any(|header| !header.is_set).then_some(here.directive))
            .flatten()
            .collect();
        for directive in losing {
            let mut notes = Notes::default();
            notes.differs("nested", &self.configuration.place_of(directive), NESTED);
            self.scopes.push(Scope { notes, ..Scope::default() });
        }
    }

    /// Ends the policy around a block. `if` cannot have directives of the module.
    fn cors_off(&self, level: &Level<'a>, lines: &[&'a Directive], notes: &mut Notes) -> Edits<'a> {
        let is_around = |(_, body): &(&Directive, &'a [Directive])| {
            self.evaluator.level(body).directives_of_headers().any(|inner| std::ptr::eq(inner, lines[0]))
        };
        let first = match ifs(level).into_iter().find(is_around) {
            Some((directive, _)) => {
                let text = "Requests that match no if had the headers around this block; cors off ends the policy for all of them";
                notes.differs("off", &self.configuration.place_of(directive), text);
                directive
            }
            None => lines[0],
        };
        BTreeMap::from([((first.file, first.span.start), Change::before(first, "cors off;".to_owned()))])
    }

    /// The policy of the innermost block of `chain`, and the `if`s that only answer preflights; or why there is none.
    fn draft(&self, chain: &[Block<'a>], place: &str, notes: &mut Notes) -> Result<(Draft, HashSet<usize>), String> {
        let innermost = chain.len() - 1;
        let levels = || chain.iter().map(|block| self.evaluator.level(block.block));
        let bodies = || levels().flat_map(|level| ifs(&level)).map(|(_, body)| self.evaluator.level(body));
        if let Some(directive) = levels().chain(bodies()).find_map(|level| level.not_followed) {
            return Err(format!(
                "\"{}\" in {} sets them for some responses alone, or removes them, which the module does not",
                directive.name(),
                self.configuration.place_of(directive)
            ));
        }
        let blocks: Vec<_> = chain
            .iter()
            .enumerate()
            .map(|(at, block)| (block.block, block.is("server") || (at == innermost && !block.is("http"))))
            .collect();
        let answers = |sender: Sender<'_>| METHODS.map(|method| self.evaluator.answer(&blocks, method, sender));
        let (other, absent) = (answers(Sender::Other), answers(Sender::Absent));

        // The origins that are named, and those that are only seen when others are known.
        let mut atoms: Vec<Atom> = Vec::new();
        let mut known: Vec<Answers> = Vec::new();
        let learn = |atoms: &mut Vec<Atom>, answers: &Answers, seen: &mut HashSet<Atom>| {
            for answer in answers {
                let fixed = answer.values("access-control-allow-origin").filter_map(|value| text(value));
                let fixed = fixed.filter(|text| *text != "*").map(|text| Atom::Text(text.to_owned()));
                for atom in answer.compared.iter().cloned().chain(fixed) {
                    if seen.insert(atom.clone()) {
                        atoms.push(atom);
                    }
                }
            }
        };
        let mut seen = HashSet::new();
        learn(&mut atoms, &other, &mut seen);
        while known.len() < atoms.len() {
            let atom = atoms[known.len()].clone();
            let found = answers(Sender::Is(&atom));
            learn(&mut atoms, &found, &mut seen);
            known.push(found);
        }
        self.check_unknown(chain, &other)?;
        self.note_unknown(chain[innermost], &other, notes);
        let is_rewritten = |answers: &Answers| answers.iter().any(|answer| answer.is_rewritten);
        let differs = known.iter().chain([&absent]).any(|answers| is_rewritten(answers) != is_rewritten(&other));
        let own = self.evaluator.level(chain[innermost].block);
        if chain[innermost].is("location") {
            if differs {
                return Err("a rewrite to another location depends on the origin".to_owned());
            }
            let bodies = ifs(&own).into_iter().flat_map(|(_, body)| self.evaluator.level(body).rewrites.clone());
            if own.rewrites.iter().copied().chain(bodies).any(passes_on) {
                notes.differs(
                    "rewrite",
                    place,
                    "Requests that a rewrite passes on to another location keep this policy; they got the headers of that location",
                );
            }
        }

        let all: Vec<(Sender<'_>, &Answers)> = [(Sender::Other, &other)]
            .into_iter()
            .chain(atoms.iter().zip(&known).map(|(atom, answers)| (Sender::Is(atom), answers)))
            .collect();
        // What the methods that scripts read responses to say, or else what preflights are told.
        let is_set = |name: &str| self.evaluator.is_set(name);
        // Some get an error from a `return`, and others do not.
        let is_error = |answer: &Answer| answer.status.is_some_and(|status| status >= 400);
        let always_errs: Vec<bool> =
            (0..METHODS.len()).map(|at| all.iter().all(|(_, answers)| is_error(&answers[at]))).collect();
        let allowed = |(sender, answers): &(Sender<'_>, &Answers)| {
            let judged = answers.iter().zip(&always_errs).filter(|(answer, errs)| **errs || !is_error(answer));
            let mut grants: Vec<_> = judged.map(|(answer, _)| grant(answer, *sender, is_set)).collect();
            grants.retain(|grant| !matches!(grant, Grant::None | Grant::Fixed(_)));
            grants.into_iter().next()
        };
        let mut draft = Draft::default();
        let mut fields: Option<Fields> = None;
        let mut example: Option<(Sender<'_>, &Answers)> = None;
        let mut reflects = false;
        for (sender, answers) in &all {
            let Some(grant) = allowed(&(*sender, answers)) else { continue };
            let own = Fields::of(answers);
            match (&grant, sender) {
                (Grant::Odd(why), _) => return Err((*why).to_owned()),
                (Grant::Any, Sender::Other) => draft.origin("*", place, notes),
                (Grant::Own, Sender::Other) if own.has_credentials() => {
                    return Err("every origin may read responses with the user's cookies; list those that may in \
                                cors_allow_origin"
                        .to_owned());
                }
                (Grant::Own, Sender::Other) => {
                    reflects = true;
                    draft.origin("*", place, notes);
                }
                (Grant::Variable(value), _) if draft.origins.contains(value) => {}
                (Grant::Variable(value), _) => draft.origins.push(value.clone()),
                // All others are allowed already.
                _ if draft.is_any() => {}
                (_, Sender::Is(Atom::Text(origin))) => draft.origin(&origin.to_ascii_lowercase(), place, notes),
                (_, Sender::Is(Atom::Expression(source, ignores_case))) => {
                    let whole = whole(source, *ignores_case, place, notes);
                    draft.expression(&whole, place, notes);
                }
                _ => {}
            }
            match &fields {
                None => (fields, example) = (Some(own), Some((*sender, *answers))),
                Some(first) if *first != own => {
                    return Err("methods, headers or credentials differ from origin to origin".to_owned());
                }
                Some(_) => {}
            }
        }
        let (Some(fields), Some((_, shown))) = (fields, example) else {
            return Err(self.nobody(&atoms));
        };
        if draft.is_empty() {
            return Err("no origin could be carried over".to_owned());
        }
        let denied = all.iter().filter(|entry| allowed(entry).is_none()).filter_map(|(sender, _)| match sender {
            Sender::Is(atom) => Some(*atom),
            _ => None,
        });
        // What is denied may be tested behind what allows it.
        let is_denied = |origin: &str| {
            let atom = Atom::Text(origin.to_owned());
            let sender = Sender::Is(&atom);
            allowed(&(sender, &answers(sender))).is_none()
        };
        for atom in denied {
            check_denied(&draft, atom, is_denied)?;
        }
        set_fields(&mut draft, &fields, place, notes);
        draft.finish(place, notes);
        let compared = Compared { draft: &draft, fields: &fields, shown, other: &other, absent: &absent, reflects };
        compared.note(place, notes);
        if self.has_upstream(chain[innermost].block) {
            notes.differs(
                "upstream",
                place,
                "If the application sends Access-Control-* fields too, those are replaced now",
            );
        }
        let stops = |answers: &[Answer]| answers.iter().filter_map(|answer| answer.returned_by).collect::<HashSet<_>>();
        let every: Vec<&Answers> = all.iter().map(|(_, answers)| *answers).chain([&absent]).collect();
        let of_options: HashSet<_> = every.iter().flat_map(|answers| stops(&answers[OPTIONS..])).collect();
        let of_others: HashSet<_> = every.iter().flat_map(|answers| stops(&answers[..OPTIONS])).collect();
        let preflight_ifs: HashSet<_> = of_options.difference(&of_others).copied().collect();
        // An `if` of the server around stays.
        if ifs(&own).iter().any(|(directive, _)| preflight_ifs.contains(&directive.span.start)) {
            notes.differs(
                "options",
                place,
                "An OPTIONS request that is not a preflight is handled like any other; the if had answered it",
            );
        }
        Ok((draft, preflight_ifs))
    }

    /// Refuses an `if` whose condition is not known, if the policy depends on it.
    fn check_unknown(&self, chain: &[Block<'a>], answers: &Answers) -> Result<(), String> {
        for block in chain {
            for (directive, body) in ifs(&self.evaluator.level(block.block)) {
                let is_unknown = answers.iter().any(|answer| answer.unknown.contains(&directive.span.start));
                let body = self.evaluator.level(body);
                if is_unknown && body.headers.iter().any(|header| is_of_cors(&header.name)) {
                    let condition: Vec<_> = directive.arguments().collect();
                    return Err(format!(
                        "they depend on the condition \"{}\" in {}",
                        condition.join(" "),
                        self.configuration.place_of(directive)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Notes that an `if` whose condition is not known had lost the headers around it by its own `add_header`.
    fn note_unknown(&self, here: Block<'a>, answers: &Answers, notes: &mut Notes) {
        for (directive, body) in ifs(&self.evaluator.level(here.block)) {
            let is_unknown = answers.iter().any(|answer| answer.unknown.contains(&directive.span.start));
            if is_unknown && self.evaluator.level(body).headers.iter().any(|header| !header.is_set) {
                notes.differs("nested", &self.configuration.place_of(directive), NESTED);
            }
        }
    }

    fn nobody(&self, atoms: &[Atom]) -> String {
        let list = atoms.iter().find_map(|atom| match atom {
            Atom::Text(text) if text.contains([',', ' ']) => Some(text.replace(',', " ")),
            _ => None,
        });
        match list {
            Some(list) => {
                let words: Vec<_> = list.split_whitespace().collect();
                format!(
                    "browsers accept no list in Access-Control-Allow-Origin, so no origin is allowed; to allow them, write \
                     cors_allow_origin {}",
                    words.join(" ")
                )
            }
            None => "they allow no origin".to_owned(),
        }
    }

    fn has_upstream(&self, block: &'a [Directive]) -> bool {
        let level = self.evaluator.level(block);
        let inner = |directive: &&'a Directive| self.has_upstream(directive.block.as_deref().unwrap_or_default());
        level.has_upstream || level.blocks.iter().any(inner)
    }

    /// Takes the lines out, and puts those of the policy where the first of them was.
    fn edits(
        &self,
        level: &Level<'a>,
        lines: &[&'a Directive],
        draft: &Draft,
        inherited: Option<Inherited<'_>>,
        preflight_ifs: &HashSet<usize>,
    ) -> Edits<'a> {
        let mut edits = Edits::new();
        let mut remove = |directive: &'a Directive| {
            edits.insert(id(directive), Change::replaced(directive, String::new()));
        };
        let headers = |level: &Level<'a>| -> Vec<(&'a Directive, bool)> {
            level.headers.iter().map(|h| (h.directive, goes_along(&h.name, h.value))).collect()
        };
        for (directive, goes) in headers(level) {
            if goes && directive.name() == "add_header" {
                remove(directive);
            }
        }
        let mut set: Vec<&'a Directive> =
            lines.iter().copied().filter(|directive| directive.name() == "more_set_headers").collect();
        // The `if`s that stay, by what is in them.
        let mut around: HashMap<(usize, usize), &'a Directive> = HashMap::new();
        for (directive, body) in ifs(level) {
            let is_of_preflights = preflight_ifs.contains(&directive.span.start);
            let body_level = self.evaluator.level(body);
            let has_lines = headers(&body_level).iter().any(|(_, goes)| *goes);
            if !has_lines && !is_of_preflights {
                continue;
            }
            // What is left of an answer to preflights is of no use without the rest.
            let is_removable = |inner: &&'a Directive| {
                let header = body_level.headers.iter().find(|header| std::ptr::eq(header.directive, *inner));
                let along = header.is_some_and(|header| {
                    goes_along(&header.name, header.value)
                        || (is_of_preflights && matches!(header.name.as_str(), "content-type" | "content-length"))
                });
                along || (is_of_preflights && matches!(inner.name(), "return" | "break"))
            };
            if flat(body).iter().all(is_removable) {
                remove(directive);
                continue;
            }
            for (inner, goes) in headers(&body_level) {
                around.insert(id(inner), directive);
                if goes && inner.name() == "add_header" {
                    remove(inner);
                }
            }
            set.extend(body_level.headers.iter().map(|h| h.directive).filter(|d| d.name() == "more_set_headers"));
        }
        // These may set other headers as well.
        for directive in set {
            let is_own = |argument: &&str| {
                let (name, value) = argument.split_once(':').unwrap_or((argument, ""));
                goes_along(&name.trim().to_ascii_lowercase(), value.trim())
            };
            let rest: Vec<_> = directive.arguments().filter(|argument| !is_own(argument)).collect();
            let has_more = rest.iter().any(|argument| argument.contains(':'));
            let arguments: Vec<_> = rest.iter().map(|argument| quoted(argument)).collect();
            let text = if has_more { format!("more_set_headers {};", arguments.join(" ")) } else { String::new() };
            edits.insert(id(directive), Change::replaced(directive, text));
        }
        let mut directives = draft.directives(inherited.map(|inherited| inherited.draft));
        if inherited.is_some_and(|inherited| inherited.is_off) {
            directives.insert(0, ("cors", "on".to_owned()));
        }
        let policy = aligned(&directives).join("\n");
        let Some(mut first) = edits.first_entry() else { return edits };
        match around.get(first.key()) {
            // `if` cannot have directives of the module.
            Some(directive) => _ = edits.insert(id(directive), Change::before(directive, policy)),
            None => {
                let change = first.get_mut();
                let after = if change.new.is_empty() { String::new() } else { format!("\n{}", change.new) };
                change.new = policy + &after;
            }
        }
        edits
    }
}

/// Whether a list repeats what was asked for.
fn is_echo(value: &str) -> bool {
    value.starts_with("$http_access_control_request_")
}

/// Sets what is told to allowed origins.
fn set_fields(draft: &mut Draft, fields: &Fields, place: &str, notes: &mut Notes) {
    let mut known = |value: &Option<String>, field: &str| {
        let value = value.clone()?;
        if value.contains('$') && !is_echo(&value) {
            notes.left("variable", place, format!("{field} \"{value}\" contains a variable, and only origins may"));
            return None;
        }
        Some(value)
    };
    let credentials = known(&fields.credentials, "Access-Control-Allow-Credentials");
    let methods = known(&fields.methods, "Access-Control-Allow-Methods");
    let headers = known(&fields.headers, "Access-Control-Allow-Headers");
    let exposed = known(&fields.exposed, "Access-Control-Expose-Headers");
    let max_age = known(&fields.max_age, "Access-Control-Max-Age");
    draft.credentials = credentials.as_deref() == Some("true") && !draft.is_any();
    if credentials.as_deref() == Some("true") && draft.is_any() {
        notes.differs(
            "any-with-credentials",
            place,
            "Access-Control-Allow-Credentials is left out: browsers do not accept it with *",
        );
    }
    match methods.as_deref() {
        Some(value) if is_echo(value) => draft.methods = vec!["*".to_owned()],
        Some(value) => draft.set_methods([value], place, notes),
        None => {}
    }
    match headers.as_deref() {
        Some(value) if is_echo(value) && draft.credentials => draft.headers = vec!["*".to_owned()],
        Some(value) if is_echo(value) => draft.headers = vec!["*".to_owned(), "Authorization".to_owned()],
        Some(value) => draft.set_headers([value], place, notes),
        None => {}
    }
    if let Some(value) = &exposed {
        draft.set_exposed([value.as_str()], place, notes);
    }
    if let Some(value) = &max_age {
        draft.set_max_age(value, place, notes);
    }
    draft.private_network = fields.private_network.as_deref() == Some("true");
}

/// Refuses a policy that would allow an origin which the old configuration denies by name or by an expression: the module has no
/// exceptions.
fn check_denied(draft: &Draft, atom: &Atom, is_denied: impl Fn(&str) -> bool) -> Result<(), String> {
    let denied = match atom {
        Atom::Text(text) => match Allowed::of_list(&text.to_ascii_lowercase()) {
            Ok(denied) => denied,
            // No origin is like that.
            Err(_) => return Ok(()),
        },
        Atom::Expression(source, ignores_case) => {
            let flag = if *ignores_case { "(?i)" } else { "" };
            Allowed::of_expression(&format!("{flag}.*(?:{source}).*")).map_err(|problem| {
                format!("they deny what an expression matches that cannot be read here: {problem}")
            })?
        }
    };
    let lists = draft.origins.iter().filter_map(|text| Allowed::of_list(text).ok());
    let expressions = draft.expressions.iter().filter_map(|text| Allowed::of_expression(text).ok());
    for allowed in lists.chain(expressions) {
        let example = common(&allowed, &denied).map_err(|_| {
            format!(
                "it cannot be found out whether \"{}\" allows origins that they deny: it is too large",
                allowed.text()
            )
        })?;
        if let Some(example) = example.filter(|example| is_denied(example)) {
            return Err(format!(
                "they deny {example}, which \"{}\" would allow, and a policy has no exceptions; list the origins that are allowed",
                allowed.text()
            ));
        }
    }
    Ok(())
}

/// An expression that is compared with a part of the origin, as one for the whole.
fn whole(source: &str, ignores_case: bool, place: &str, notes: &mut Notes) -> String {
    let alternatives = alternatives(source);
    let is_open = |part: &&str| !part.starts_with('^') || !part.ends_with('$') || part.ends_with("\\$");
    let completed = alternatives.iter().map(|part| {
        let bare = part.trim_start_matches(['(', '?', ':']);
        if part.starts_with('^') || bare.starts_with("http") || bare.starts_with('^') {
            return (*part).to_owned();
        }
        let start = if bare.starts_with("//") { "https?:" } else { "https?://.*" };
        format!("{start}{part}")
    });
    let mut text = completed.collect::<Vec<_>>().join("|");
    if alternatives.iter().any(is_open) {
        notes.differs(
            "anchors",
            place,
            format!("The expression \"{source}\" matched a part of the origin; now it must match the whole origin"),
        );
    }
    if ignores_case && source.bytes().any(|b| b.is_ascii_uppercase()) {
        text = format!("(?i){text}");
    }
    text
}

/// The alternatives of an expression that are not in parentheses.
pub fn alternatives(source: &str) -> Vec<&str> {
    let (mut depth, mut is_class, mut start) = (0, false, 0);
    let mut parts = Vec::new();
    let mut bytes = source.bytes().enumerate();
    while let Some((at, b)) = bytes.next() {
        match b {
            b'\\' => _ = bytes.next(),
            b']' => is_class = false,
            _ if is_class => {}
            b'[' => is_class = true,
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'|' if depth == 0 => {
                parts.push(&source[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&source[start..]);
    parts
}

/// The old answers and the new policy.
struct Compared<'a> {
    draft: &'a Draft,
    fields: &'a Fields,
    /// The answers to an allowed origin.
    shown: &'a Answers,
    other: &'a Answers,
    absent: &'a Answers,
    reflects: bool,
}

impl Compared<'_> {
    /// Notes what is different.
    fn note(&self, place: &str, notes: &mut Notes) {
        let Compared { draft, fields, shown, other, absent, reflects } = self;
        let mut differs = |code, when: bool, text: &str| {
            if when {
                notes.differs(code, place, text);
            }
        };
        let granted = |answer: &Answer| answer.values("access-control-allow-origin").next().is_some();
        let get = &shown[0];
        let is_any = draft.is_any();
        differs(
            "errors",
            shown.iter().any(misses_errors),
            "Errors now have the headers too; without \"always\" they did not",
        );
        differs(
            "reflected",
            *reflects,
            "The answer is now * instead of the origin of the request, which has the same effect",
        );
        let simple = |answers: &Answers, of: fn(&Answer) -> bool| answers[..OPTIONS].iter().any(of);
        let lacks_vary = |answers: &Answers| answers.iter().any(|answer| !varies(answer));
        differs(
            "vary",
            !is_any && [shown, other, absent].into_iter().any(|answers| lacks_vary(answers)),
            "Responses now have Vary: Origin, so that a cache does not send them to another origin",
        );
        differs(
            "vary",
            is_any && (simple(shown, varies) || simple(absent, varies)),
            "Responses no longer have Vary: Origin, because they do not depend on it",
        );
        differs(
            "denied",
            !is_any && other.iter().any(|answer| !answer.headers.is_empty() && has_cors(answer)),
            "Other origins no longer get Access-Control-* fields",
        );
        differs(
            "no-origin",
            !is_any && absent.iter().any(has_cors) || is_any && !granted(&absent[0]),
            "Requests without Origin no longer get fields about CORS that depend on it",
        );
        let has_lists = |answer: &Answer| {
            let lists = ["access-control-allow-methods", "access-control-allow-headers", "access-control-max-age"];
            lists.iter().any(|name| answer.values(name).next().is_some())
        };
        differs(
            "lists",
            shown[..OPTIONS].iter().any(has_lists),
            "Methods, headers and max-age are sent in answers to preflights only, where browsers read them",
        );
        let some_differ = shown[..OPTIONS]
            .iter()
            .any(|answer| granted(answer) != granted(get) || Fields::exposed_of(answer) != Fields::exposed_of(get));
        differs(
            "methods",
            !shown[..OPTIONS].iter().any(granted),
            "Responses to every method now have fields that only answers to preflights had",
        );
        differs("methods", some_differ, "Responses to every method now have the same fields; they differed by method");
        let preflight = &shown[OPTIONS];
        match preflight.status {
            None => {
                differs("preflight", true, "Preflights are answered by nginx; they were passed on like other requests")
            }
            Some(status) => {
                differs(
                    "preflight-status",
                    status != 204,
                    &format!("Preflights get the status 204 instead of {status}"),
                );
                differs("preflight-denied", !is_any, "Preflights from other origins get the status 403");
                let lacks = |name| preflight.values(name).next().is_none();
                let gains = !granted(preflight)
                    || lacks("access-control-allow-methods")
                    || (lacks("access-control-expose-headers") && !draft.exposed.is_empty())
                    || (lacks("access-control-allow-credentials") && draft.credentials);
                differs("preflight-fields", gains, "Answers to preflights have fields that they did not have");
            }
        }
        let only_body = preflight.headers.iter().any(|(name, ..)| name == "content-type" || name == "content-length");
        differs(
            "preflight-body",
            preflight.status.is_some() && only_body,
            "Answers to preflights have no Content-Type and no Content-Length",
        );
        let is_echo = |list: &Option<String>| list.as_deref().is_some_and(is_echo);
        differs(
            "echo",
            is_echo(&fields.methods) || is_echo(&fields.headers),
            "Everything that is asked for is allowed as before, but without credentials by *",
        );
        draft.name_wildcards(
            [&fields.methods, &fields.headers].into_iter().flatten().map(String::as_str),
            place,
            notes,
        );
    }
}

fn has_cors(answer: &Answer) -> bool {
    answer.headers.iter().any(|(name, value, _)| is_of_cors(name) && !value.is_empty())
}

impl Fields {
    fn exposed_of(answer: &Answer) -> Option<String> {
        answer.values("access-control-expose-headers").next().map(|value| written(value))
    }
}

/// A directive by its file and offset, which is the same wherever the file is included.
fn id(directive: &Directive) -> (usize, usize) {
    (directive.file, directive.span.start)
}

/// The names of the variables in a text.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())]
    })
}

/// Calls `each` with the name of each variable in the words of a directive.
fn variables(directive: &Directive, mut each: impl FnMut(String)) {
    let own = defined(directive);
    // A definition that refers to itself does not need it for anything else.
    let names = directive.words.iter().flat_map(|word| names_in(&word.text)).filter(|name| Some(*name) != own);
    names.map(str::to_ascii_lowercase).for_each(&mut each);
}

/// The variable that a directive defines.
fn defined(directive: &Directive) -> Option<&str> {
    match (directive.name(), &directive.block) {
        ("map", Some(_)) => directive.argument(2).strip_prefix('$'),
        ("set", None) => directive.argument(1).strip_prefix('$'),
        _ => None,
    }
}

/// What uses and what defines each variable.
#[derive(Default)]
struct Uses<'a> {
    /// The number of uses that are not removed.
    count: HashMap<String, usize>,
    definitions: HashMap<String, Vec<&'a Directive>>,
    /// The `if` around a directive.
    around: HashMap<(usize, usize), &'a Directive>,
    removed: HashSet<(usize, usize)>,
}

impl<'a> Uses<'a> {
    fn new(directives: &'a [Directive]) -> Self {
        let mut uses = Uses::default();
        uses.read(directives, &mut HashSet::new());
        uses
    }

    fn read(&mut self, directives: &'a [Directive], known: &mut HashSet<(usize, usize)>) {
        for directive in directives {
            // A file that is included several times is changed once.
            if !known.insert(id(directive)) {
                continue;
            }
            variables(directive, |name| *self.count.entry(name).or_default() += 1);
            if let Some(name) = defined(directive) {
                self.definitions.entry(name.to_ascii_lowercase()).or_default().push(directive);
            }
            for inner in directive.block.iter().flatten() {
                if directive.name() == "if" {
                    self.around.insert(id(inner), directive);
                }
            }
            self.read(directive.block.as_deref().unwrap_or_default(), known);
        }
    }

    /// Takes a directive away with all that is in it, and then what is of no use without it.
    fn remove(&mut self, directive: &'a Directive, touched: &mut Vec<String>) {
        if !self.removed.insert(id(directive)) {
            return;
        }
        variables(directive, |name| touched.push(name));
        let mut used = Vec::new();
        variables(directive, |name| used.push(name));
        for name in used {
            if let Some(count) = self.count.get_mut(&name) {
                *count -= 1;
            }
        }
        for inner in directive.block.iter().flatten() {
            self.remove(inner, touched);
        }
    }

    /// The definitions that nothing uses any more, of variables that were used by what is removed.
    fn unused(&mut self, mut touched: Vec<String>) -> Vec<&'a Directive> {
        let mut unused = Vec::new();
        while let Some(name) = touched.pop() {
            if self.count.get(&name) != Some(&0) {
                continue;
            }
            for directive in self.definitions.get(&name).cloned().unwrap_or_default() {
                if self.removed.contains(&id(directive)) {
                    continue;
                }
                self.remove(directive, &mut touched);
                unused.push(directive);
                let Some(around) = self.around.get(&id(directive)).copied() else { continue };
                if around.block.iter().flatten().all(|inner| self.removed.contains(&id(inner))) {
                    self.remove(around, &mut touched);
                    unused.push(around);
                }
            }
        }
        unused
    }
}

/// All changes, with the definitions of variables that nothing uses any more.
fn finish<'a>(configuration: &'a Configuration, scopes: Vec<Scope<'a>>, mut uses: Uses<'a>) -> (Vec<Vec<Edit>>, Notes) {
    let mut changes = Edits::new();
    let mut notes = Notes::default();
    let mut touched = Vec::new();
    for scope in scopes {
        if scope.is_converted {
            for directive in scope.edits.values().filter_map(|change| change.old) {
                uses.remove(directive, &mut touched);
            }
        }
        for name in scope.variables {
            *uses.count.entry(name).or_default() += 1;
        }
        changes.extend(scope.edits);
        notes.0.extend(scope.notes.0);
    }
    for directive in uses.unused(touched) {
        changes.entry(id(directive)).or_insert(Change::replaced(directive, String::new()));
    }
    let mut edits: Vec<Vec<Edit>> = vec![Vec::new(); configuration.files.len()];
    for ((file, _), Change { span, new, .. }) in changes {
        let inside = edits[file].last().is_some_and(|(other, _): &Edit| other.end >= span.end);
        if !inside {
            edits[file].push((span, new));
        }
    }
    (edits, notes)
}
