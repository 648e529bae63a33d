// SPDX-License-Identifier: Apache-2.0
//! `cors diff`: what a new configuration allows that the old one did not, and the reverse.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;

use clap::Args;
use cors_policy::compare::{beyond, TooLarge, Value};
use cors_policy::{Origins, OriginsBuilder};
use serde_json::json;

use crate::files::OriginFile;
use crate::nginx::locations::{Counterpart, Locations};
use crate::nginx::policies::{places, Policy};
use crate::nginx::tree::{self, Configuration};
use crate::nginx::variables::Definitions;
use crate::output::say;
use crate::{Failure, Verdict};

/// Say what a new configuration allows that the old one did not, and the reverse
///
/// The exit code is 1 if the new configuration allows more, and 2 if one of them could not be read, or something could not be
/// compared.
#[derive(Args)]
pub struct Arguments {
    /// The old configuration, or the output of nginx -T
    old: String,
    /// The new one
    new: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Something that only one of two configurations allows.
#[derive(Debug, PartialEq)]
struct Change {
    /// Whether the new one does; `None` for what is different and allows neither more nor less.
    is_more: Option<bool>,
    /// `origin`, `method`, `header`, `exposed`, `credentials`, `private-network`, `enforcement`, `preflight`, `override`, `dry-run`, `max-age`,
    /// `preflight-status`, `reject-status`
    what: &'static str,
    text: String,
    /// An origin that is an example.
    example: Option<String>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let (old, new) = (tree::read(&arguments.old)?, tree::read(&arguments.new)?);
    let Compared { changes, missing } = compare(&old, &new)?;
    let is_more = changes.iter().any(|(_, changes)| changes.iter().any(|change| change.is_more == Some(true)));
    if arguments.json {
        let row = |change: &Change| json!({ "more": change.is_more, "what": change.what, "text": change.text, "example": change.example });
        let rows: Vec<_> = changes
            .iter()
            .map(|(label, changes)| json!({ "policy": label, "changes": changes.iter().map(row).collect::<Vec<_>>() }))
            .collect();
        say!("{:#}", json!({ "allows_more": is_more, "policies": rows, "not_compared": missing }));
    } else {
        for (label, changes) in &changes {
            say!("{label}");
            for Change { is_more, what, text, example } in changes {
                let example = example.as_ref().map(|example| format!(", such as {example}")).unwrap_or_default();
                let sign = is_more.map_or("~", |is_more| if is_more { "+" } else { "-" });
                say!("  {sign} {what} {text}{example}");
            }
        }
        if changes.is_empty() && missing.is_empty() {
            say!("Both allow the same.");
        }
    }
    if !missing.is_empty() {
        return Err(missing.join("\ncors: "));
    }
    Ok(if is_more { Verdict::Bad } else { Verdict::Good })
}

/// What a comparison has found.
#[derive(Default)]
struct Compared {
    /// The changes of each place in which the two differ.
    changes: Vec<(String, Vec<Change>)>,
    /// What could not be compared.
    missing: Vec<String>,
}

/// Compares each place.
fn compare(old: &Configuration, new: &Configuration) -> Result<Compared, Failure> {
    let definitions = [Definitions::new(old), Definitions::new(new)];
    let (old, new) = (places(old)?, places(new)?);
    let (old, new) = (Locations::new(&old), Locations::new(&new));
    let nothing = Rc::new(Policy::default());
    let mut found = Compared::default();
    for (is_new, here, there) in [(true, &new, &old), (false, &old, &new)] {
        // What is compared for a place: its own policy, and the one that the other configuration has for it.
        let pair = |at: usize| match here.counterpart(at, there) {
            Counterpart::Known(other) => {
                Some((&here.places[at].policy, other.map_or(&nothing, |at| &there.places[at].policy)))
            }
            Counterpart::Any(_) => None,
        };
        let differs = |(ours, theirs): (&Policy<'_>, &Policy<'_>)| {
            let (before, after) = if is_new { (theirs, ours) } else { (ours, theirs) };
            let mut missing = Vec::new();
            let changes = changes(before, after, &definitions, &mut missing);
            (changes, missing)
        };
        let is_http = |at: usize| here.places[at].directive.is_some_and(|directive| directive.name() == "http");
        let mut doubtful = Vec::new();
        for (at, place) in here.places.iter().enumerate().filter(|(at, _)| !is_http(*at)) {
            let is_in_both = there.same(&place.key).is_some();
            if is_in_both && !is_new {
                continue;
            }
            match here.counterpart(at, there) {
                Counterpart::Any(others) => doubtful.extend(others.into_iter().map(|other| (at, other))),
                Counterpart::Known(Some(other)) if !is_in_both => doubtful.extend(here.doubtful(at, there, other)),
                Counterpart::Known(_) => {}
            }
            let Some((ours, theirs)) = pair(at) else { continue };
            // What both inherit was reported where it is set.
            let around = place.parent.filter(|parent| !is_http(*parent)).and_then(pair);
            if around.is_some_and(|(a, b)| Rc::ptr_eq(a, ours) && Rc::ptr_eq(b, theirs)) {
                continue;
            }
            let (changes, missing) = differs((ours, theirs));
            found.missing.extend(missing.iter().map(|what| format!("{}: {what}", place.label)));
            if !changes.is_empty() {
                found.changes.push((place.label.clone(), changes));
            }
        }
        if is_new {
            doubtful.extend(here.reordered(there));
        }
        let mut seen = HashSet::new();
        for (at, other) in doubtful {
            let (ours, theirs) = (&here.places[at], &there.places[other]);
            if !seen.insert((at, Rc::as_ptr(&theirs.policy))) {
                continue;
            }
            let (changes, missing) = differs((&ours.policy, &theirs.policy));
            if changes.iter().any(|change| change.is_more.is_some()) || !missing.is_empty() {
                let (which, label) = (if is_new { "old" } else { "new" }, &theirs.label);
                found.missing.push(format!(
                    "{}: cannot be compared: in the {which} configuration, \"{label}\" may handle the same paths, with another policy",
                    ours.label
                ));
            }
        }
    }
    Ok(found)
}

/// The origins that a policy allows, as others are compared with them.
struct Allowed<'a> {
    policy: Option<&'a Policy<'a>>,
    texts: HashSet<&'a str>,
    values: OnceCell<Vec<Value>>,
    patterns: OnceCell<Origins>,
}

impl<'a> Allowed<'a> {
    fn new(policy: &'a Policy<'a>) -> Self {
        let policy = Some(policy).filter(|policy| policy.is_active());
        let texts = policy.map_or(&[][..], Policy::rules).iter().map(|rule| rule.text).collect();
        Allowed { policy, texts, values: OnceCell::new(), patterns: OnceCell::new() }
    }

    fn files(&self) -> &'a [Rc<OriginFile>] {
        self.policy.map_or(&[], Policy::files)
    }

    /// Whether a value is written here too.
    fn has(&self, text: &str) -> bool {
        self.texts.contains(text) || self.files().iter().any(|file| file.has(text))
    }

    fn values(&self) -> &[Value] {
        self.values.get_or_init(|| {
            let own = self.policy.map_or(&[][..], Policy::rules).iter().filter_map(|rule| rule.value.clone());
            let lines = self.files().iter().flat_map(|file| &file.values);
            own.chain(lines.filter_map(|(_, text)| Value::of_list(text).ok())).collect()
        })
    }

    /// All patterns together: looking an origin up in them takes no longer if there are many.
    fn patterns(&self) -> &Origins {
        self.patterns.get_or_init(|| {
            let mut builder = OriginsBuilder::default();
            for value in self.values() {
                if let Value::Pattern(text) = value {
                    // What is doubtful about it has been said.
                    let _ = builder.add(text.as_bytes(), ());
                }
            }
            builder.build().0
        })
    }

    /// An origin that a value allows and that is not allowed here; `None` if there is none.
    fn beyond(&self, value: &Value) -> Result<Option<String>, TooLarge> {
        let Value::Exact(text) = value else { return beyond(value, self.values()) };
        if self.patterns().allows(text.as_bytes()) {
            return Ok(None);
        }
        // The same text was looked for before.
        let others = self.values().iter().filter(|value| matches!(value, Value::Any | Value::Expression(_)));
        Ok((!others.into_iter().any(|other| other.allows(text))).then(|| text.clone()))
    }
}

/// What differs between two policies. What could not be compared is added to `missing`.
fn changes(
    old: &Policy<'_>,
    new: &Policy<'_>,
    definitions: &[Definitions; 2],
    missing: &mut Vec<String>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (is_more, from, to) in [(true, old, new), (false, new, old)] {
        let mut add = |what, text: String, example: Option<String>| {
            changes.push(Change { is_more: Some(is_more), what, text, example });
        };
        if !to.is_active() {
            continue;
        }
        let before = Allowed::new(from);
        let mut compare = |text: &str, value: &Value| match before.beyond(value) {
            Ok(None) => {}
            Ok(Some(example)) => add("origin", text.to_owned(), Some(example).filter(|example| example != text)),
            Err(TooLarge) => missing
                .push(format!("{text} cannot be compared: its automaton, or that of the other values, is too large")),
        };
        let mut unknown = Vec::new();
        for rule in to.rules().iter().filter(|rule| !before.has(rule.text)) {
            match &rule.value {
                Some(value) => compare(rule.text, value),
                None => unknown.push(format!("{}, whose values are known only at run time", rule.text)),
            }
        }
        for file in to.files() {
            for (_, text) in file.values.iter().filter(|(_, text)| !before.has(text)) {
                if let Ok(value) = Value::of_list(text) {
                    compare(text, &value);
                }
            }
        }
        unknown.into_iter().for_each(|text| add("origin", text, None));
        if to.rules.is_none() && from.rules.is_none() {
            continue;
        }
        let is_gone = !from.is_active();
        for name in names(to.methods.as_ref().map(|(list, _)| list.value())) {
            let had = !is_gone && (from.allows_method(&name) && name != "*" || has_any_method(from));
            let is_safe = matches!(name.as_str(), "GET" | "HEAD" | "POST");
            if !had && !is_safe {
                add("method", name, None);
            }
        }
        for name in names(to.headers.as_ref().map(|(list, _)| list.value())) {
            let is_any = from.headers.as_ref().is_some_and(|(list, _)| list.is_any());
            let had = !is_gone && (if name == "*" { is_any } else { from.allows_header(&name) });
            if !had {
                add("header", name, None);
            }
        }
        let exposed = |policy: &Policy<'_>| names(policy.exposed.as_ref().map(|(list, _)| list.value()));
        let known: Vec<_> = if is_gone { Vec::new() } else { exposed(from) };
        for name in exposed(to) {
            if !known.iter().any(|other| other == "*" || other.eq_ignore_ascii_case(&name)) {
                add("exposed", name, None);
            }
        }
        if to.has_credentials() && (is_gone || !from.has_credentials()) {
            add("credentials", "are allowed".to_owned(), None);
        }
        if to.has_private_network() && (is_gone || !from.has_private_network()) {
            add("private-network", "is allowed".to_owned(), None);
        }
    }
    // Rejecting less is allowing more.
    let enforces = |policy: &Policy<'_>| policy.is_active() && policy.enforces() && !policy.is_dry();
    match (enforces(old), enforces(new)) {
        (true, false) => changes.push(Change {
            is_more: Some(true),
            what: "enforcement",
            text: "has ended".to_owned(),
            example: None,
        }),
        (false, true) => changes.push(Change {
            is_more: Some(false),
            what: "enforcement",
            text: "has begun".to_owned(),
            example: None,
        }),
        _ => {}
    }
    if ![old, new].iter().all(|policy| policy.is_active()) {
        return changes;
    }
    let mut left = |what, (old, new): (bool, bool), begun: &str, ended: &str| {
        if old != new {
            let text = if new { begun } else { ended }.to_owned();
            changes.push(Change { is_more: Some(new), what, text, example: None });
        }
    };
    // What the application allows is unknown.
    left(
        "preflight",
        (!old.answers(), !new.answers()),
        "is left to the application",
        "is no longer left to the application",
    );
    left("override", (!old.overrides(), !new.overrides()), "has ended", "has begun");
    if old.rules.is_some() || new.rules.is_some() {
        left("dry-run", (!old.is_dry(), !new.is_dry()), "has ended", "has begun");
    }
    if old.bypass() != new.bypass() {
        let text = |policy: &Policy<'_>| match policy.bypass() {
            [] => "not set".to_owned(),
            values => values.join(" "),
        };
        missing.push(format!("cors_bypass cannot be compared: it is {}, was {}", text(new), text(old)));
    }
    let rules =
        new.rules().iter().map(|rule| rule.text).filter(|text| old.rules().iter().any(|rule| rule.text == *text));
    for value in rules.chain(new.bypass().iter().copied().filter(|value| old.bypass().contains(value))) {
        if let Some((name, places)) = definitions[0].difference(&definitions[1], value) {
            let what = match places {
                [Some(before), Some(after)] => format!("in {after} is not that in {before}"),
                [one, other] => format!("in {} is only there", one.or(other).unwrap_or_default()),
            };
            missing.push(format!("{value} cannot be compared: the definition of ${name} {what}"));
        }
    }
    let age = |policy: &Policy<'_>| policy.max_age.map_or("not set".to_owned(), |(seconds, _)| format!("{seconds} s"));
    let answer = |policy: &Policy<'_>| policy.preflight_status.map_or(204, |(status, _)| status).to_string();
    let reject = |policy: &Policy<'_>| policy.reject_status.map_or(403, |(status, _)| status).to_string();
    let is_both = old.rules.is_some() && new.rules.is_some();
    for (what, is_used, before, after) in [
        ("max-age", is_both, age(old), age(new)),
        ("preflight-status", is_both, answer(old), answer(new)),
        ("reject-status", true, reject(old), reject(new)),
    ] {
        if is_used && before != after {
            changes.push(Change { is_more: None, what, text: format!("{after}, was {before}"), example: None });
        }
    }
    changes
}

fn has_any_method(policy: &Policy<'_>) -> bool {
    policy.methods.as_ref().is_some_and(|(list, _)| list.is_any())
}

fn names(list: Option<String>) -> Vec<String> {
    list.unwrap_or_default().split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
