// SPDX-License-Identifier: Apache-2.0
//! Which policy is in force where.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use cors_policy::compare::Value;
use cors_policy::origins::{self, Concern};
use cors_policy::report::Format;
use cors_policy::{list, rule, scalar, ExposedHeaders, Methods, OriginsBuilder, Problem, Reason, RequestHeaders};

use super::tree::{flat, Configuration, Directive};
use super::variables::{self, variables};
use crate::files::{Found, OriginFile};
use crate::Failure;

/// The most arguments of a directive, where nginx sets no limit.
const ANY_NUMBER: usize = usize::MAX;

/// The directives of the module: the least and the most arguments, and the only block that a directive may be in.
const DIRECTIVES: [(&str, usize, usize, Option<&str>); 21] = [
    ("cors", 1, 1, None),
    ("cors_allow_origin", 1, ANY_NUMBER, None),
    ("cors_allow_origin_regex", 1, ANY_NUMBER, None),
    ("cors_allow_origin_file", 1, ANY_NUMBER, None),
    ("cors_allow_methods", 1, ANY_NUMBER, None),
    ("cors_allow_headers", 1, ANY_NUMBER, None),
    ("cors_allow_credentials", 1, 1, None),
    ("cors_expose_headers", 1, ANY_NUMBER, None),
    ("cors_max_age", 1, 1, None),
    ("cors_allow_private_network", 1, 1, None),
    ("cors_preflight", 1, 1, None),
    ("cors_preflight_status", 1, 1, None),
    ("cors_override", 1, 1, None),
    ("cors_bypass", 1, ANY_NUMBER, None),
    ("cors_enforce", 1, 1, None),
    ("cors_reject_status", 1, 1, None),
    ("cors_dry_run", 1, 1, None),
    ("cors_log_level", 1, 1, None),
    ("cors_zone", 1, 1, Some("http")),
    ("cors_zone_label", 1, 1, None),
    ("cors_report", 0, 1, Some("location")),
];

/// The least size of a zone with pages of 4 KiB, which most machines have.
const LEAST_ZONE: usize = 8 << 12;

/// The variables of the module, whose values depend on the policy.
const VARIABLES: [&str; 3] = ["cors_status", "cors_origin", "cors_reason"];

/// The variables that a configuration defines itself.
fn defined(directives: &[Directive], names: &mut HashSet<String>) {
    for directive in directives {
        names.extend(variables::defined(directive));
        defined(directive.block.as_deref().unwrap_or_default(), names);
    }
}

fn is_of_module(directive: &Directive) -> bool {
    directive.name() == "cors" || directive.name().starts_with("cors_")
}

/// A value of an origin rule.
pub struct OriginRule<'a> {
    /// The directive that it is in.
    pub directive: &'a Directive,
    /// The value; `None` for one that contains variables.
    pub value: Option<Value>,
    /// The value as it is written.
    pub text: &'a str,
}

/// Where a value is.
#[derive(Clone)]
enum At<'a> {
    Directive(&'a Directive),
    Line(Rc<OriginFile>, usize),
}

/// Origin rules, which are inherited as one.
pub struct Rules<'a> {
    /// Values of `cors_allow_origin` and `cors_allow_origin_regex`.
    list: Vec<OriginRule<'a>>,
    /// The files of `cors_allow_origin_file`.
    files: Vec<Rc<OriginFile>>,
    /// What to look at again when it is known whether credentials are allowed.
    concerns: Vec<Concern<At<'a>>>,
}

/// A setting, and the directive that set it.
type Set<'a, T> = Option<(T, &'a Directive)>;

/// What is in force at a level. Each setting is inherited by itself.
#[derive(Clone, Default)]
pub struct Policy<'a> {
    /// `cors`
    pub on: Set<'a, bool>,
    /// The origin rules.
    pub rules: Option<Rc<Rules<'a>>>,
    /// `cors_allow_methods`
    pub methods: Set<'a, Rc<Methods>>,
    /// `cors_allow_headers`
    pub headers: Set<'a, Rc<RequestHeaders>>,
    /// `cors_expose_headers`
    pub exposed: Set<'a, Rc<ExposedHeaders>>,
    /// `cors_max_age`, in seconds
    pub max_age: Set<'a, u64>,
    /// `cors_allow_credentials`
    pub credentials: Set<'a, bool>,
    /// `cors_enforce`
    pub enforce: Set<'a, bool>,
    /// `cors_dry_run`
    pub dry_run: Set<'a, bool>,
    /// `cors_allow_private_network`
    pub private_network: Set<'a, bool>,
    /// `cors_preflight`
    pub preflight: Set<'a, bool>,
    /// `cors_preflight_status`
    pub preflight_status: Set<'a, u16>,
    /// `cors_override`
    pub overrides: Set<'a, bool>,
    /// `cors_reject_status`
    pub reject_status: Set<'a, u16>,
    /// `cors_bypass`
    pub bypass: Set<'a, Rc<Vec<&'a str>>>,
}

fn is_on(set: &Set<'_, bool>) -> bool {
    set.is_some_and(|(on, _)| on)
}

impl<'a> Policy<'a> {
    /// Whether the module does anything.
    pub fn is_active(&self) -> bool {
        self.on.is_none_or(|(on, _)| on) && (self.rules.is_some() || is_on(&self.enforce))
    }

    /// The origin rules that are in the configuration itself.
    pub fn rules(&self) -> &[OriginRule<'a>] {
        self.rules.as_deref().map_or(&[], |rules| &rules.list)
    }

    /// The files of origins.
    pub fn files(&self) -> &[Rc<OriginFile>] {
        self.rules.as_deref().map_or(&[], |rules| &rules.files)
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

    /// Whether preflights are answered.
    pub fn answers(&self) -> bool {
        self.preflight.is_none_or(|(on, _)| on)
    }

    /// Whether fields of the application are replaced.
    pub fn overrides(&self) -> bool {
        self.overrides.is_none_or(|(on, _)| on)
    }

    /// Whether pages of public networks are allowed.
    pub fn has_private_network(&self) -> bool {
        is_on(&self.private_network)
    }

    /// The conditions of `cors_bypass`.
    pub fn bypass(&self) -> &[&'a str] {
        self.bypass.as_ref().map_or(&[], |(values, _)| values)
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
    let mut reader = Reader {
        configuration,
        places: Vec::new(),
        keys: HashMap::new(),
        files: HashMap::new(),
        zone: None,
        need_zone: Vec::new(),
        own_variables: Vec::new(),
        problems: Vec::new(),
        reported: HashSet::new(),
    };
    reader.block(None, &configuration.directives, None, Context::default());
    // A part of a configuration may be included where there is a zone.
    let is_whole = configuration.directives.iter().any(|directive| directive.name() == "http");
    if is_whole && reader.zone.is_none() {
        for directive in std::mem::take(&mut reader.need_zone) {
            let problem = Problem::new(directive.name().as_bytes(), Reason::NoZone);
            let place = reader.end_of(directive);
            reader.add(format!("{problem} in {place}"));
        }
    }
    let own = std::mem::take(&mut reader.own_variables);
    let mut names = HashSet::new();
    defined(&configuration.directives, &mut names);
    for (directive, value, _) in own.iter().filter(|(.., name)| !names.contains(name)) {
        reader.report(directive, &Problem::new(value.as_bytes(), Reason::OwnVariable));
    }
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
    /// Each file of origins is read once, however often it is named; `None` if it has mistakes.
    files: HashMap<PathBuf, Option<Rc<OriginFile>>>,
    /// Where `cors_zone` is.
    zone: Option<&'a Directive>,
    /// The directives that need a zone.
    need_zone: Vec<&'a Directive>,
    /// Values with a variable of the module: the directive, the value and the variable.
    own_variables: Vec<(&'a Directive, &'a str, String)>,
    problems: Vec<String>,
    /// The same: what is inherited is checked several times.
    reported: HashSet<String>,
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
        let own: Vec<&Directive> = inner.iter().copied().filter(|d| is_of_module(d)).collect();
        let own = self.known(directive.map(Directive::name), own);
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
            match directive.name() {
                "http" | "server" | "location" => self.block(Some(directive), block, number, context.clone()),
                "if" | "limit_except" => {
                    for directive in flat(block).into_iter().filter(|d| is_of_module(d)) {
                        self.refuse(directive, "directive is not allowed here");
                    }
                }
                _ => {}
            }
        }
    }

    /// The directives that exist, may be in this block, and have as many arguments as they take.
    fn known(&mut self, block: Option<&str>, mut own: Vec<&'a Directive>) -> Vec<&'a Directive> {
        own.retain(|directive| {
            let arguments = directive.words.len() - 1;
            let found = DIRECTIVES.iter().find(|(name, ..)| *name == directive.name());
            match found {
                None => self.add(format!("unknown directive \"{}\" in {}", directive.name(), self.end_of(directive))),
                Some((.., Some(only))) if block.is_some_and(|block| block != *only) => {
                    self.refuse(directive, "directive is not allowed here");
                }
                Some((_, least, most, _)) if !(*least..=*most).contains(&arguments) => {
                    let (name, place) = (directive.name(), self.end_of(directive));
                    self.add(format!("invalid number of arguments in \"{name}\" directive in {place}"));
                }
                Some(_) => return true,
            }
            false
        });
        own
    }

    fn refuse(&mut self, directive: &Directive, why: &str) {
        self.add(format!("\"{}\" {why} in {}", directive.name(), self.end_of(directive)));
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
        context.key = format!("{key} #{count}");
    }

    fn add(&mut self, line: String) {
        if self.reported.insert(line.clone()) {
            self.problems.push(line);
        }
    }

    /// The place that nginx gives a directive: where it ends.
    fn end_of(&self, directive: &Directive) -> String {
        self.configuration.place(directive.file, directive.span.end.saturating_sub(1))
    }

    fn report(&mut self, directive: &Directive, problem: &Problem) {
        if !problem.is_warning() {
            let place = self.end_of(directive);
            self.add(format!("{}: {problem} in {place}", directive.name()));
        }
    }

    fn check<T>(&mut self, directive: &Directive, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.report(directive, &problem)).ok()
    }

    /// Adds each word of all arguments to a list.
    fn words(
        &mut self,
        directive: &'a Directive,
        argument: &'a str,
        mut add: impl FnMut(&'a str) -> Result<(), Problem>,
    ) {
        let all = directive.arguments().map(str::as_bytes);
        self.check(directive, list::check_argument(argument.as_bytes(), all));
        for word in words(argument) {
            self.check(directive, add(word));
        }
    }

    /// The value of a directive that may appear once in a level.
    fn once<T>(
        &mut self,
        set: &mut HashSet<&'a str>,
        directive: &'a Directive,
        read: fn(&[u8]) -> Result<T, Problem>,
    ) -> Set<'a, T> {
        if set.contains(directive.name()) {
            self.report(directive, &Problem::new(directive.name().as_bytes(), Reason::DuplicateDirective));
            return None;
        }
        let value = self.check(directive, read(directive.argument(1).as_bytes()))?;
        set.insert(directive.name());
        Some((value, directive))
    }

    /// The file of origins with this name; `None` if it has mistakes, which are reported.
    fn file(&mut self, directive: &Directive, name: &str) -> Option<Rc<OriginFile>> {
        let path = self.configuration.directory.join(name);
        if let Some(known) = self.files.get(&path) {
            return known.clone();
        }
        let read = OriginFile::read(&path).map(Rc::new);
        let file = read.map_err(|found: Found| {
            for (line, problem) in found {
                let place = line.map_or_else(|| self.end_of(directive), |line| format!("{}:{line}", path.display()));
                self.add(format!("{}: {problem} in {place}", directive.name()));
            }
        });
        let file = file.ok();
        self.files.insert(path, file.clone());
        file
    }

    /// Takes note if a value contains a variable of the module, unless the configuration defines one of that name.
    fn note_own_variables(&mut self, directive: &'a Directive, value: &'a str) {
        let own = variables(value).filter(|name| VARIABLES.contains(&name.as_str()));
        self.own_variables.extend(own.map(|name| (directive, value, name)));
    }

    /// Reads the directives of a level into what it inherits.
    fn read(&mut self, own: &[&'a Directive], policy: &mut Policy<'a>) {
        let mut set = HashSet::new();
        let mut has_rules = false;
        let mut rules = Rules { list: Vec::new(), files: Vec::new(), concerns: Vec::new() };
        let mut origins = OriginsBuilder::default();
        let (mut methods, mut headers): (Set<'a, Methods>, Set<'a, RequestHeaders>) = (None, None);
        let mut exposed: Set<'a, ExposedHeaders> = None;
        let (mut bypass, mut has_bypass): (Set<'a, Vec<&'a str>>, bool) = (None, false);
        for &directive in own {
            let flag = scalar::read_flag;
            match directive.name() {
                "cors" => policy.on = self.once(&mut set, directive, flag).or(policy.on),
                "cors_allow_credentials" => {
                    policy.credentials = self.once(&mut set, directive, flag).or(policy.credentials);
                }
                "cors_enforce" => policy.enforce = self.once(&mut set, directive, flag).or(policy.enforce),
                "cors_dry_run" => policy.dry_run = self.once(&mut set, directive, flag).or(policy.dry_run),
                "cors_max_age" => {
                    policy.max_age = self.once(&mut set, directive, scalar::read_max_age).or(policy.max_age)
                }
                "cors_allow_private_network" => {
                    policy.private_network = self.once(&mut set, directive, flag).or(policy.private_network);
                }
                "cors_preflight" => policy.preflight = self.once(&mut set, directive, flag).or(policy.preflight),
                "cors_override" => policy.overrides = self.once(&mut set, directive, flag).or(policy.overrides),
                "cors_preflight_status" => {
                    let status = self.once(&mut set, directive, scalar::read_preflight_status);
                    policy.preflight_status = status.or(policy.preflight_status);
                }
                "cors_reject_status" => {
                    let status = self.once(&mut set, directive, scalar::read_reject_status);
                    policy.reject_status = status.or(policy.reject_status);
                }
                "cors_log_level" => drop(self.once(&mut set, directive, |v| scalar::read_log_level(v).map(drop))),
                "cors_zone" => {
                    // There is one for all.
                    let zone = self.once(&mut set, directive, |v| scalar::read_zone(v, LEAST_ZONE).map(drop));
                    self.zone = self.zone.or(zone.map(|_| directive));
                }
                "cors_zone_label" => {
                    self.need_zone.push(directive);
                    self.once(&mut set, directive, |v| scalar::read_label(v).map(drop));
                }
                "cors_report" => {
                    self.need_zone.push(directive);
                    let format = |value: &[u8]| match Format::of_name(value) {
                        None => Err(scalar::problem(value, Reason::NotReportFormat)),
                        Some(_) => Ok(()),
                    };
                    let read = if directive.words.len() == 1 { |_: &[u8]| Ok(()) } else { format };
                    self.once(&mut set, directive, read);
                }
                "cors_bypass" => {
                    has_bypass = true;
                    directive.arguments().for_each(|value| self.note_own_variables(directive, value));
                    let values: Vec<_> = directive.arguments().filter(|value| !value.is_empty()).collect();
                    if !values.is_empty() {
                        bypass.get_or_insert_with(|| (Vec::new(), directive)).0.extend(values);
                    }
                }
                "cors_allow_origin" => {
                    has_rules = true;
                    self.origins(directive, &mut origins, &mut rules.list);
                }
                "cors_allow_origin_regex" => {
                    has_rules = true;
                    for word in directive.arguments() {
                        let result = origins.note_expression(word.as_bytes());
                        if self.check(directive, result).is_some() && word != "," {
                            let value = Some(Value::Expression(word.to_owned()));
                            rules.list.push(OriginRule { directive, value, text: word });
                        }
                    }
                    self.check(directive, origins.check_wildcard_is_alone());
                }
                "cors_allow_origin_file" => {
                    has_rules = true;
                    for name in directive.arguments() {
                        let reason = match name {
                            "" => Some(Reason::Empty),
                            name => name.contains('$').then_some(Reason::Variable),
                        };
                        if let Some(reason) = reason {
                            self.report(directive, &Problem::new(name.as_bytes(), reason));
                            continue;
                        }
                        let file = self.file(directive, name);
                        let concerns = file.iter().flat_map(|file| {
                            file.concerns.iter().map(|concern| concern.at(At::Line(file.clone(), concern.place)))
                        });
                        let result = origins.add_file(concerns);
                        self.check(directive, result);
                        rules
                            .files
                            .extend(file.clone().filter(|file| !rules.files.iter().any(|f| Rc::ptr_eq(f, file))));
                    }
                }
                "cors_allow_methods" => {
                    let (list, _) = methods.get_or_insert_with(|| (Methods::default(), directive));
                    for argument in directive.arguments() {
                        self.words(directive, argument, |word| list.add(word.as_bytes()));
                    }
                    self.check(directive, list.check_wildcard_is_alone());
                }
                "cors_allow_headers" => {
                    let (list, _) = headers.get_or_insert_with(|| (RequestHeaders::default(), directive));
                    for argument in directive.arguments() {
                        self.words(directive, argument, |word| list.add(word.as_bytes()));
                    }
                }
                _ => {
                    let (list, _) = exposed.get_or_insert_with(|| (ExposedHeaders::default(), directive));
                    for argument in directive.arguments() {
                        self.words(directive, argument, |word| list.add(word.as_bytes()));
                    }
                    self.check(directive, list.check_wildcard_is_alone());
                }
            }
        }
        let is_own = (has_rules, set.contains("cors_allow_credentials"), exposed.is_some());
        if has_rules {
            rules.concerns = origins.into_concerns();
            policy.rules = Some(Rc::new(rules));
        }
        if has_bypass {
            policy.bypass = bypass.map(|(values, directive)| (Rc::new(values), directive));
        }
        if let Some((list, directive)) = methods {
            policy.methods = Some((Rc::new(list), directive));
        }
        if let Some((list, directive)) = headers {
            policy.headers = Some((Rc::new(list), directive));
        }
        if let Some((list, directive)) = exposed {
            policy.exposed = Some((Rc::new(list), directive));
        }
        if is_own != (false, false, false) {
            self.check_together(policy, is_own);
        }
    }

    /// Reads `cors_allow_origin`.
    fn origins(
        &mut self,
        directive: &'a Directive,
        origins: &mut OriginsBuilder<At<'a>>,
        rules: &mut Vec<OriginRule<'a>>,
    ) {
        if list::is_empty(directive.arguments().map(str::as_bytes)) {
            return;
        }
        for argument in directive.arguments() {
            let bytes = argument.as_bytes();
            if bytes.contains(&b'$') && !rule::is_expression(bytes) {
                self.note_own_variables(directive, argument);
                rules.push(OriginRule { directive, value: None, text: argument });
                if words(argument).any(|word| matches!(word, "$http_origin" | "${http_origin}")) {
                    origins.add_reflection(bytes, At::Directive(directive));
                }
                self.check(directive, origins.add_variable());
                continue;
            }
            self.words(directive, argument, |word| {
                rules.extend(Value::of_list(word).ok().map(|v| OriginRule { directive, value: Some(v), text: word }));
                origins.add(word.as_bytes(), At::Directive(directive))
            });
        }
        self.check(directive, origins.check_wildcard_is_alone());
    }

    /// Reports what is only wrong together with credentials, in a level that sets the rules, the credentials or the exposed fields.
    fn check_together(&mut self, policy: &Policy<'a>, (rules, credentials, exposed): (bool, bool, bool)) {
        let Some((true, turned_on)) = policy.credentials else { return };
        let mut found = Vec::new();
        let concerns = policy.rules.as_ref().map_or(&[][..], |rules| &rules.concerns);
        for (concern, problem) in origins::problems(concerns, true) {
            let place = match &concern.place {
                At::Directive(directive) => self.end_of(directive),
                At::Line(file, line) => format!("{}:{line}", file.path),
            };
            found.push((concern.directive, problem, place, rules));
        }
        if let Some((_, directive)) = policy.exposed.as_ref().filter(|(list, _)| list.is_any()) {
            let problem = Problem::new(b"*", Reason::ExposeAnyWithCredentials);
            found.push((directive.name(), problem, self.end_of(directive), exposed));
        }
        for (name, problem, place, is_own) in found.into_iter().filter(|(_, problem, ..)| !problem.is_warning()) {
            let elsewhere = match is_own == credentials {
                true => String::new(),
                false => format!("; credentials are turned on in {}", self.end_of(turned_on)),
            };
            self.add(format!("{name}: {problem} in {place}{elsewhere}"));
        }
    }
}

/// The elements of an argument.
fn words(argument: &str) -> impl Iterator<Item = &str> {
    list::words(argument.as_bytes()).filter_map(|word| std::str::from_utf8(word).ok())
}
