// SPDX-License-Identifier: Apache-2.0
//! Where variables get their values.

use std::collections::{HashMap, HashSet};

use super::tree::{flat, Configuration, Directive};

/// The names of the variables in a value; nginx ignores their case.
pub fn variables(value: &str) -> impl Iterator<Item = String> + '_ {
    value.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest[..end].to_ascii_lowercase()
    })
}

/// The variable that a directive defines.
pub fn defined(directive: &Directive) -> Option<String> {
    let name = match directive.name() {
        "map" | "geo" | "split_clients" | "keyval" => directive.arguments().next_back(),
        "set" | "auth_request_set" | "auth_jwt_claim_set" | "perl_set" | "js_set" | "js_var" => {
            directive.arguments().next()
        }
        name if name.starts_with("set_") => directive.arguments().next(),
        // In the block of geoip2, `$` and a name; nothing else has a `$`.
        name => Some(name),
    };
    name.and_then(|name| variables(name).next())
}

/// The names of the groups in a word, if it is an expression.
fn groups(word: &str) -> impl Iterator<Item = String> + '_ {
    let names = word.split("(?").skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('P').unwrap_or(rest);
        let (name, _) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'))?;
        Some(name.to_ascii_lowercase())
    });
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// A definition of a variable.
struct Definition {
    /// What is written, and in which blocks, without comments and the layout.
    text: String,
    place: String,
}

/// The definitions of a configuration.
pub struct Definitions(HashMap<String, Vec<Definition>>);

impl Definitions {
    pub fn new(configuration: &Configuration) -> Self {
        let mut found = Definitions(HashMap::new());
        found.add(configuration, &configuration.directives, "");
        found
    }

    fn add(&mut self, configuration: &Configuration, block: &[Directive], context: &str) {
        let block = flat(block);
        let names = block.iter().filter(|directive| directive.name() == "server_name");
        let names: String = names.map(|directive| text(directive)).collect();
        for directive in block {
            let mut defines: Vec<_> = directive.words.iter().flat_map(|word| groups(&word.text)).collect();
            defines.extend(defined(directive));
            if directive.name() == "rewrite" || directive.words.iter().any(|word| word.text.contains('~')) {
                defines.extend((1..10).map(|number| number.to_string()));
            }
            for name in defines {
                let text = format!("{context}{names}{}", text(directive));
                let place = configuration.place_of(directive);
                self.0.entry(name).or_default().push(Definition { text, place });
            }
            if let Some(inner) = &directive.block {
                self.add(configuration, inner, &format!("{context}{names}{} {{ ", words(directive)));
            }
        }
    }

    /// The first variable of a value, or of what defines it, that is not defined in the same way in another configuration: its name,
    /// and where it is defined in both.
    pub fn difference<'a>(&'a self, other: &'a Definitions, value: &str) -> Option<(String, [Option<&'a str>; 2])> {
        let mut seen = HashSet::new();
        let mut names: Vec<_> = variables(value).collect();
        while let Some(name) = names.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let [ours, theirs] = [self, other].map(|all| all.0.get(&name).map_or(&[][..], Vec::as_slice));
            for number in 0..ours.len().max(theirs.len()) {
                let both = [ours, theirs].map(|all| all.get(number));
                if both[0].map(|found| &found.text) != both[1].map(|found| &found.text) {
                    let places = [ours, theirs].map(|all| Some(all.get(number).or(all.last())?.place.as_str()));
                    return Some((name, places));
                }
            }
            names.extend(ours.iter().flat_map(|found| variables(&found.text)));
        }
        None
    }
}

fn words(directive: &Directive) -> String {
    directive.words.iter().map(|word| format!("{:?} ", word.text)).collect()
}

/// A directive with its block.
fn text(directive: &Directive) -> String {
    let Some(block) = &directive.block else { return words(directive) + "; " };
    let inner: String = flat(block).into_iter().map(text).collect();
    format!("{}{{ {inner}}} ", words(directive))
}

#[cfg(test)]
mod tests {
    use super::super::syntax::parse;
    use super::*;

    #[test]
    fn what_defines_a_variable() {
        let rows = [
            ("set $A 1;", Some("a")),
            ("map $a ${b} { }", Some("b")),
            ("set_by_lua_block $a { return 1 }", Some("a")),
            ("set_if_empty $a b;", Some("a")),
            ("$geoip2_country default=US country iso_code;", Some("geoip2_country")),
            ("add_header X-A $a;", None),
            ("settings $a;", None),
        ];
        for (text, expected) in rows {
            assert_eq!(defined(&parse(text, 0).unwrap()[0]).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn names_of_groups() {
        let rows = [
            (r"~^(?<first>\w+)\.(?P<Second_2>\d+)$", "first second_2"),
            ("~(?:a)(?=b)(?<!c)(?<=d)", ""),
            ("~(?<a-b>c)(?<d>e)", "d"),
            ("plain", ""),
        ];
        for (word, expected) in rows {
            assert_eq!(groups(word).collect::<Vec<_>>().join(" "), expected, "{word}");
        }
    }
}
