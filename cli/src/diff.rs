// SPDX-License-Identifier: Apache-2.0
//! `cors diff`: what a new configuration allows that the old one did not, and the reverse.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use clap::Args;
use cors_policy::compare::{beyond, TooLarge, Value};
use cors_policy::{Origins, OriginsBuilder};
use serde_json::json;

use crate::files::OriginFile;
use crate::nginx::policies::{places, Place, Policy};
use crate::nginx::tree::{self, Configuration};
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
    /// `origin`, `method`, `header`, `exposed`, `credentials`, `enforcement`, `max-age`
    what: &'static str,
    text: String,
    /// An origin that is an example.
    example: Option<String>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let (old, new) = (tree::read(&arguments.old)?, tree::read(&arguments.new)?);
    let Compared { changes, too_large } = compare(&old, &new)?;
    let is_more = changes.iter().any(|(_, changes)| changes.iter().any(|change| change.is_more == Some(true)));
    if arguments.json {
        let row = |change: &Change| json!({ "more": change.is_more, "what": change.what, "text": change.text, "example": change.example });
        let rows: Vec<_> = changes
            .iter()
            .map(|(label, changes)| json!({ "policy": label, "changes": changes.iter().map(row).collect::<Vec<_>>() }))
            .collect();
        say!("{:#}", json!({ "allows_more": is_more, "policies": rows, "not_compared": too_large }));
    } else {
        for (label, changes) in &changes {
            say!("{label}");
            for Change { is_more, what, text, example } in changes {
                let example = example.as_ref().map(|example| format!(", such as {example}")).unwrap_or_default();
                let sign = is_more.map_or("~", |is_more| if is_more { "+" } else { "-" });
                say!("  {sign} {what} {text}{example}");
            }
        }
        if changes.is_empty() && too_large.is_empty() {
            say!("Both allow the same.");
        }
    }
    if !too_large.is_empty() {
        return Err(too_large.join("\ncors: "));
    }
    Ok(if is_more { Verdict::Bad } else { Verdict::Good })
}

/// What a comparison has found.
#[derive(Default)]
struct Compared {
    /// The changes of each place in which the two differ.
    changes: Vec<(String, Vec<Change>)>,
    /// What could not be compared.
    too_large: Vec<String>,
}

/// Compares each place.
fn compare(old: &Configuration, new: &Configuration) -> Result<Compared, Failure> {
    let (old, new) = (places(old)?, places(new)?);
    let index = |places: &[Place<'_>]| -> HashMap<String, usize> {
        places.iter().enumerate().map(|(at, place)| (place.key.clone(), at)).collect()
    };
    let (of_old, of_new) = (index(&old), index(&new));
    let nothing = Rc::new(Policy::default());
    // A place that only one of them has is, in the other, a part of what is around it.
    let around = |key: &str, places: &[Place<'_>], known: &HashMap<String, usize>, others: &HashMap<String, usize>| {
        let mut at = known.get(key).copied();
        while let Some(number) = at {
            if let Some(found) = others.get(&places[number].key) {
                return Some(*found);
            }
            at = places[number].parent;
        }
        None
    };
    let mut found = Compared::default();
    let mut add = |label: &str, before: &Policy<'_>, after: &Policy<'_>| {
        let mut too_large = Vec::new();
        let changes = changes(before, after, &mut too_large);
        let too_large = too_large.iter().map(|value| {
            format!("{label}: {value} cannot be compared: its automaton, or that of the other values, is too large")
        });
        found.too_large.extend(too_large);
        if !changes.is_empty() {
            found.changes.push((label.to_owned(), changes));
        }
    };
    for place in new.iter().filter(|place| place.directive.is_none_or(|directive| directive.name() != "http")) {
        let before = around(&place.key, &new, &of_new, &of_old).map_or(&nothing, |at| &old[at].policy);
        // What is inherited was reported where it is set, unless the old one had something here.
        if place.is_own || of_old.get(&place.key).is_some_and(|at| old[*at].is_own) || place.parent.is_none() {
            add(&place.label, before, &place.policy);
        }
    }
    for place in old.iter().filter(|place| place.is_own && !of_new.contains_key(&place.key)) {
        let after = around(&place.key, &old, &of_old, &of_new).map_or(&nothing, |at| &new[at].policy);
        add(&place.label, &place.policy, after);
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

/// What differs between two policies. What could not be compared is added to `too_large`.
fn changes(old: &Policy<'_>, new: &Policy<'_>, too_large: &mut Vec<String>) -> Vec<Change> {
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
            Err(TooLarge) => too_large.push(text.to_owned()),
        };
        let mut unknown = Vec::new();
        for rule in to.rules().iter().filter(|rule| !before.has(rule.text)) {
            match &rule.value {
                Some(value) => compare(rule.text, value),
                None => unknown.push(format!("{}, whose values are known only at run time", rule.text)),
            }
        }
        for file in to.files().iter().filter(|file| !before.files().iter().any(|other| other.is_like(file))) {
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
    let age = |policy: &Policy<'_>| policy.max_age.map_or("not set".to_owned(), |(seconds, _)| format!("{seconds} s"));
    let is_both = [old, new].iter().all(|policy| policy.is_active() && policy.rules.is_some());
    if is_both && age(old) != age(new) {
        let text = format!("{}, was {}", age(new), age(old));
        changes.push(Change { is_more: None, what: "max-age", text, example: None });
    }
    changes
}

fn has_any_method(policy: &Policy<'_>) -> bool {
    policy.methods.as_ref().is_some_and(|(list, _)| list.is_any())
}

fn names(list: Option<String>) -> Vec<String> {
    list.unwrap_or_default().split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
