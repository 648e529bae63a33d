//! Which policy is in force where.

use std::collections::HashMap;
use std::rc::Rc;

use cors_policy::compare::Value;
use cors_policy::{list, rule, Methods, Problem, RequestHeaders};

use super::tree::{flat, Configuration, Directive};
use crate::Failure;

/// A value of an origin rule.
pub struct OriginRule<'a> {
    /// The directive that it is in.
    pub directive: &'a Directive,
    /// The value; `None` for one that contains variables.
    pub value: Option<Value>,
    /// The value as it is written.
    pub text: &'a str,
}

/// A setting, and the directive that set it.
type Set<'a, T> = Option<(T, &'a Directive)>;

/// What is in force at a level. Each setting is inherited by itself.
#[derive(Clone, Default)]
pub struct Policy<'a> {
    /// `cors`
    pub on: Set<'a, bool>,
    /// `cors_allow_origin` and `cors_allow_origin_regex`
    pub rules: Option<Rc<Vec<OriginRule<'a>>>>,
    /// `cors_allow_methods`
    pub methods: Set<'a, Rc<Methods>>,
    /// `cors_allow_headers`
    pub headers: Set<'a, Rc<RequestHeaders>>,
    /// `cors_allow_credentials`
    pub credentials: Set<'a, bool>,
    /// `cors_enforce`
    pub enforce: Set<'a, bool>,
    /// `cors_dry_run`
    pub dry_run: Set<'a, bool>,
    /// `cors_bypass`
    pub bypass: Set<'a, ()>,
}

fn is_on(set: &Set<'_, bool>) -> bool {
    set.is_some_and(|(on, _)| on)
}

impl<'a> Policy<'a> {
    /// Whether the module does anything.
    pub fn is_active(&self) -> bool {
        self.on.is_none_or(|(on, _)| on) && (self.rules.is_some() || is_on(&self.enforce))
    }

    /// The origin rules.
    pub fn rules(&self) -> &[OriginRule<'a>] {
        self.rules.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Whether credentials are allowed.
    pub fn has_credentials(&self) -> bool {
        is_on(&self.credentials)
    }

    /// Whether requests of other origins are rejected.
    pub fn enforces(&self) -> bool {
        is_on(&self.enforce)
    }

    /// Whether nothing is done about the decision.
    pub fn is_dry(&self) -> bool {
        is_on(&self.dry_run)
    }

    /// Whether scripts may use a method.
    pub fn allows_method(&self, method: &str) -> bool {
        match &self.methods {
            Some((methods, _)) => methods.allows(method.as_bytes()),
            None => Methods::safelisted().allows(method.as_bytes()),
        }
    }

    /// Whether scripts may set a header.
    pub fn allows_header(&self, name: &str) -> bool {
        self.headers.as_ref().is_some_and(|(headers, _)| headers.allows(name.as_bytes(), self.has_credentials()))
    }
}

/// A server or a location, or what is outside of both.
pub struct Place<'a> {
    /// What identifies it in another version of the configuration.
    pub key: String,
    /// Its number among the places, of the block around it.
    pub parent: Option<usize>,
    /// What it is, in words.
    pub label: String,
    /// The block; `None` outside of all blocks.
    pub directive: Option<&'a Directive>,
    /// Whether it has directives of the module.
    pub is_own: bool,
    /// What is in force there.
    pub policy: Rc<Policy<'a>>,
}

/// The places of a configuration; or the mistakes in its values.
pub fn places(configuration: &Configuration) -> Result<Vec<Place<'_>>, Failure> {
    let mut reader = Reader { configuration, places: Vec::new(), keys: HashMap::new(), problems: Vec::new() };
    reader.block(None, &configuration.directives, None, Context::default());
    if reader.problems.is_empty() {
        Ok(reader.places)
    } else {
        Err(reader.problems.join("\ncors: "))
    }
}

/// What is known of the blocks around one.
#[derive(Clone, Default)]
struct Context<'a> {
    label: String,
    key: String,
    policy: Rc<Policy<'a>>,
}

struct Reader<'a> {
    configuration: &'a Configuration,
    places: Vec<Place<'a>>,
    /// How often each key appeared.
    keys: HashMap<String, usize>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    fn block(
        &mut self,
        directive: Option<&'a Directive>,
        block: &'a [Directive],
        parent: Option<usize>,
        mut context: Context<'a>,
    ) {
        let inner = flat(block);
        let own: Vec<&Directive> =
            inner.iter().copied().filter(|d| d.name() == "cors" || d.name().starts_with("cors_")).collect();
        if !own.is_empty() {
            let mut policy = (*context.policy).clone();
            self.read(&own, &mut policy);
            context.policy = Rc::new(policy);
        }
        let is_place = directive.is_some() || !own.is_empty();
        let mut number = parent;
        if is_place {
            self.name(directive, &inner, &mut context);
            number = Some(self.places.len());
            self.places.push(Place {
                key: context.key.clone(),
                parent,
                label: context.label.clone(),
                directive,
                is_own: !own.is_empty(),
                policy: context.policy.clone(),
            });
        }
        for directive in inner {
            let Some(block) = &directive.block else { continue };
            if matches!(directive.name(), "http" | "server" | "location") {
                self.block(Some(directive), block, number, context.clone());
            }
        }
    }

    fn name(&mut self, directive: Option<&'a Directive>, inner: &[&'a Directive], context: &mut Context<'a>) {
        let arguments = |directive: &Directive| directive.arguments().collect::<Vec<_>>().join(" ");
        let all = |name: &str| -> Vec<String> {
            inner.iter().filter(|directive| directive.name() == name).map(|directive| arguments(directive)).collect()
        };
        let (label, key) = match directive.map(|directive| (directive, directive.name())) {
            Some((_, "server")) => {
                let names = all("server_name").join(" ");
                let label =
                    if names.is_empty() { "server without a name".to_owned() } else { format!("server {names}") };
                (label, format!("server {names} {}", all("listen").join(" ")))
            }
            Some((directive, "location")) => {
                let label = format!("location {}", arguments(directive));
                (label.clone(), label)
            }
            Some((_, name)) => (name.to_owned(), name.to_owned()),
            None => ("outside of all blocks".to_owned(), String::new()),
        };
        let is_top = context.label.is_empty() || matches!(context.label.as_str(), "http" | "outside of all blocks");
        context.label = if is_top { label } else { format!("{}, {label}", context.label) };
        let key = format!("{} > {key}", context.key);
        let count = self.keys.entry(key.clone()).or_default();
        *count += 1;
        context.key = if *count > 1 { format!("{key} #{count}") } else { key };
    }

    fn report(&mut self, directive: &Directive, problem: &Problem) {
        if !problem.is_warning() {
            let place = self.configuration.place(directive.file, directive.span.end.saturating_sub(1));
            self.problems.push(format!("{}: {problem} in {place}", directive.name()));
        }
    }

    /// Reads the directives of a level into what it inherits.
    fn read(&mut self, own: &[&'a Directive], policy: &mut Policy<'a>) {
        let mut rules: Vec<OriginRule<'a>> = Vec::new();
        let mut has_rules = false;
        let (mut methods, mut headers): (Set<'a, Methods>, Set<'a, RequestHeaders>) = (None, None);
        for directive in own {
            let name = directive.name();
            if directive.words.len() < 2 {
                let place = self.configuration.place_of(directive);
                self.problems.push(format!("invalid number of arguments in \"{name}\" directive in {place}"));
                continue;
            }
            let flag = |set: &mut Set<'a, bool>| *set = Some((directive.argument(1) == "on", directive));
            match name {
                "cors" => flag(&mut policy.on),
                "cors_allow_credentials" => flag(&mut policy.credentials),
                "cors_enforce" => flag(&mut policy.enforce),
                "cors_dry_run" => flag(&mut policy.dry_run),
                "cors_bypass" => {
                    policy.bypass = Some(((), *directive)).filter(|_| directive.arguments().any(|a| !a.is_empty()))
                }
                "cors_allow_origin" => {
                    has_rules = true;
                    for argument in directive.arguments() {
                        if argument.contains('$') && !rule::is_expression(argument.as_bytes()) {
                            rules.push(OriginRule { directive, value: None, text: argument });
                            continue;
                        }
                        for word in words(argument) {
                            match Value::of_list(word) {
                                Ok(value) => rules.push(OriginRule { directive, value: Some(value), text: word }),
                                Err(problem) => self.report(directive, &problem),
                            }
                        }
                    }
                }
                "cors_allow_origin_regex" => {
                    has_rules = true;
                    for word in directive.arguments().filter(|word| *word != ",") {
                        match Value::of_expression(word) {
                            Ok(value) => rules.push(OriginRule { directive, value: Some(value), text: word }),
                            Err(problem) => self.report(directive, &problem),
                        }
                    }
                }
                "cors_allow_methods" => {
                    let (list, _) = methods.get_or_insert_with(|| (Methods::default(), directive));
                    let problems: Vec<_> =
                        directive.arguments().flat_map(words).filter_map(|w| list.add(w.as_bytes()).err()).collect();
                    problems.iter().for_each(|problem| self.report(directive, problem));
                }
                "cors_allow_headers" => {
                    let (list, _) = headers.get_or_insert_with(|| (RequestHeaders::default(), directive));
                    let problems: Vec<_> =
                        directive.arguments().flat_map(words).filter_map(|w| list.add(w.as_bytes()).err()).collect();
                    problems.iter().for_each(|problem| self.report(directive, problem));
                }
                _ => {}
            }
        }
        if has_rules {
            policy.rules = Some(Rc::new(rules));
        }
        if let Some((list, directive)) = methods {
            policy.methods = Some((Rc::new(list), directive));
        }
        if let Some((list, directive)) = headers {
            policy.headers = Some((Rc::new(list), directive));
        }
    }
}

/// The elements of an argument.
fn words(argument: &str) -> impl Iterator<Item = &str> {
    list::words(argument.as_bytes()).filter_map(|word| std::str::from_utf8(word).ok())
}
