//! `cors diff`: what a new configuration allows that the old one did not, and the reverse.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use clap::Args;
use cors_policy::compare::{beyond, Value};
use serde_json::json;

use crate::nginx::policies::{places, OriginRule, Place, Policy};
use crate::nginx::tree::{self, Configuration};
use crate::{Failure, Verdict};

/// Say what a new configuration allows that the old one did not, and the reverse
///
/// The exit code is 1 if the new configuration allows more, and 2 if one of them could not be read.
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
    /// Whether the new one does.
    is_more: bool,
    /// `origin`, `method`, `header`, `credentials`, `enforcement`
    what: &'static str,
    text: String,
    /// An origin that is an example.
    example: Option<String>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let (old, new) = (tree::read(&arguments.old)?, tree::read(&arguments.new)?);
    let changes = compare(&old, &new)?;
    let is_more = changes.iter().any(|(_, changes)| changes.iter().any(|change| change.is_more));
    if arguments.json {
        let row = |change: &Change| json!({ "more": change.is_more, "what": change.what, "text": change.text, "example": change.example });
        let rows: Vec<_> = changes
            .iter()
            .map(|(label, changes)| json!({ "policy": label, "changes": changes.iter().map(row).collect::<Vec<_>>() }))
            .collect();
        println!("{:#}", json!({ "allows_more": is_more, "policies": rows }));
    } else {
        for (label, changes) in &changes {
            println!("{label}");
            for Change { is_more, what, text, example } in changes {
                let example = example.as_ref().map(|example| format!(", such as {example}")).unwrap_or_default();
                println!("  {} {what} {text}{example}", if *is_more { "+" } else { "-" });
            }
        }
        if changes.is_empty() {
            println!("Both allow the same.");
        }
    }
    Ok(if is_more { Verdict::Bad } else { Verdict::Good })
}

/// The changes of each place in which the two differ.
fn compare(old: &Configuration, new: &Configuration) -> Result<Vec<(String, Vec<Change>)>, Failure> {
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
    let mut found = Vec::new();
    let mut add = |label: &str, before: &Policy<'_>, after: &Policy<'_>| -> Result<(), Failure> {
        let changes = changes(before, after).map_err(|why| format!("{label}: {why}"))?;
        if !changes.is_empty() {
            found.push((label.to_owned(), changes));
        }
        Ok(())
    };
    for place in new.iter().filter(|place| place.directive.is_none_or(|directive| directive.name() != "http")) {
        let before = around(&place.key, &new, &of_new, &of_old).map_or(&nothing, |at| &old[at].policy);
        // What is inherited was reported where it is set, unless the old one had something here.
        if place.is_own || of_old.get(&place.key).is_some_and(|at| old[*at].is_own) || place.parent.is_none() {
            add(&place.label, before, &place.policy)?;
        }
    }
    for place in old.iter().filter(|place| place.is_own && !of_new.contains_key(&place.key)) {
        let after = around(&place.key, &old, &of_old, &of_new).map_or(&nothing, |at| &new[at].policy);
        add(&place.label, &place.policy, after)?;
    }
    Ok(found)
}

fn changes(old: &Policy<'_>, new: &Policy<'_>) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    for (is_more, from, to) in [(true, old, new), (false, new, old)] {
        let mut add =
            |what, text: String, example: Option<String>| changes.push(Change { is_more, what, text, example });
        if !to.is_active() {
            continue;
        }
        let none: &[OriginRule<'_>] = &[];
        let before = if from.is_active() { from.rules() } else { none };
        let known: HashSet<&str> = before.iter().map(|rule| rule.text).collect();
        let mut values: Option<Vec<Value>> = None;
        for rule in to.rules().iter().filter(|rule| !known.contains(rule.text)) {
            let Some(value) = &rule.value else {
                add("origin", format!("{}, whose values are known only at run time", rule.text), None);
                continue;
            };
            let values = values.get_or_insert_with(|| before.iter().filter_map(|rule| rule.value.clone()).collect());
            match beyond(value, values) {
                Ok(None) => {}
                Ok(Some(example)) => {
                    add("origin", rule.text.to_owned(), Some(example).filter(|example| example != rule.text))
                }
                Err(_) => return Err(format!("{} is too large to be compared", rule.text)),
            }
        }
        if to.rules().is_empty() && from.rules().is_empty() {
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
        if to.has_credentials() && (is_gone || !from.has_credentials()) {
            add("credentials", "are allowed".to_owned(), None);
        }
    }
    // Rejecting less is allowing more.
    let enforces = |policy: &Policy<'_>| policy.is_active() && policy.enforces() && !policy.is_dry();
    match (enforces(old), enforces(new)) {
        (true, false) => {
            changes.push(Change { is_more: true, what: "enforcement", text: "has ended".to_owned(), example: None })
        }
        (false, true) => {
            changes.push(Change { is_more: false, what: "enforcement", text: "has begun".to_owned(), example: None })
        }
        _ => {}
    }
    Ok(changes)
}

fn has_any_method(policy: &Policy<'_>) -> bool {
    policy.methods.as_ref().is_some_and(|(list, _)| list.is_any())
}

fn names(list: Option<String>) -> Vec<String> {
    list.unwrap_or_default().split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
