// SPDX-License-Identifier: Apache-2.0
//! What a level inherits, and the policy that it gets.

use std::cell::{Cell, OnceCell};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use cors_policy::complaints::Complaints;
use cors_policy::report::Format;
use cors_policy::{kinds, tally, Problem, Reason};

use super::counting::{Counting, ZoneSetting};
use super::files::OriginFile;
use super::follow::Following;
use super::leftovers::{self, Found, Leftovers};
use super::messages::{Messages, Place};
use super::policy::{Dynamic, Policy};
use super::settings::{LevelDirectives, Needs, OriginRules, Own, Settings};
use crate::nginx::chain::{goes_on, Arrival, Function, Link, NOBODY};
use crate::nginx::configuration::{self, Configuration};
use crate::nginx::log::Log;
use crate::nginx::zone;

/// How many lines one message names.
const MOST_LINES: usize = 8;

/// The module's configuration of the whole `http` block.
pub struct MainConf {
    /// The handler of the REWRITE phase that this module's calls. Stored with the configuration: each has its own handlers, and the
    /// old configuration stays in use if a new one is rejected.
    pub next_handler: &'static Link<Function>,
    /// What has been reported so far.
    pub messages: Messages,
    /// Complaints at run time about values of variables, which clients may have a say in.
    pub value_complaints: Complaints,
    /// Complaints at run time about policies.
    pub policy_complaints: Complaints,
    /// What `cors_zone` says, until the configuration is complete.
    pub zone: Option<ZoneSetting>,
    /// Where requests are counted.
    pub counting: Option<&'static Counting>,
    /// Where `cors_report` and `cors_zone_label` appear.
    pub need_zone: Vec<(&'static str, Place)>,
    /// The files of origins, until they are dropped followed by this worker.
    following: OnceCell<Option<Following>>,
    /// Files of origins, each of them once.
    pub files: Vec<Rc<OriginFile>>,
    /// Values that contain a variable whose name may be one of this module's.
    variables: Vec<VariableUse>,
    /// Levels that set something, until it is known which of it has an effect.
    levels: Vec<Rc<Level>>,
}

impl MainConf {
    /// The configuration of an `http` block of which nothing has been read; `None` if memory runs out.
    pub fn new(cf: &Configuration<'_>) -> Option<MainConf> {
        Some(MainConf {
            next_handler: cf.keep(Link::of_handlers())?,
            messages: Messages::default(),
            value_complaints: Complaints::default(),
            policy_complaints: Complaints::default(),
            variables: Vec::new(),
            levels: Vec::new(),
            zone: None,
            counting: None,
            need_zone: Vec::new(),
            following: OnceCell::new(),
            files: Vec::new(),
        })
    }
}

struct VariableUse {
    variable: Vec<u8>,
    directive: &'static str,
    value: Vec<u8>,
    place: Place,
}

impl Drop for MainConf {
    fn drop(&mut self) {
        // nginx may unload the library after this.
        kinds::free_references();
    }
}

impl MainConf {
    /// Takes note of a variable in a value.
    pub fn note_variable(&mut self, variable: &[u8], directive: &'static str, value: &[u8], place: &Place) {
        if variable.starts_with(b"cors_") {
            let (variable, value, place) = (variable.to_owned(), value.to_owned(), place.clone());
            self.variables.push(VariableUse { variable, directive, value, place });
        }
    }

    /// Keeps a value as long as the configuration; `None`, and the configuration fails, if memory runs out.
    fn keep<T>(&mut self, cf: &Configuration<'_>, value: T) -> Option<&'static T> {
        let kept = cf.keep(value);
        if kept.is_none() {
            self.messages.fail();
        }
        kept
    }

    /// The file with this name, which is read when it is named for the first time.
    pub fn file(&mut self, name: &[u8], log: Log, place: &Place) -> Rc<OriginFile> {
        let known = self.files.iter().find(|file| file.path.as_os_str().as_bytes() == name);
        known.cloned().unwrap_or_else(|| {
            let file = Rc::new(OriginFile::read(name, &mut self.messages, log, place));
            self.files.push(file.clone());
            file
        })
    }

    /// Follows the files of origins in this process, which has an event loop.
    pub fn follow_files(&self) {
        self.following.get_or_init(|| Following::start(&self.files));
    }

    /// Completes the configuration when all directives have been read: each level gets its policy. `own_variables` are the
    /// variables that this module, and not the configuration, defines; `arrival` chooses what happens to a request that reaches a
    /// location; `report` makes the responses of `cors_report`. `Err` if there was a mistake anywhere.
    pub fn complete(
        &mut self,
        cf: &mut Configuration<'_>,
        own_variables: &[&str],
        arrival: fn(&LocationConf) -> Arrival<LocationConf>,
        report: Function,
    ) -> Result<(), ()> {
        let log = cf.log();
        for used in std::mem::take(&mut self.variables) {
            if own_variables.iter().any(|own| own.as_bytes() == used.variable) {
                let problem = Problem::new(&used.value, Reason::OwnVariable);
                self.messages.report(log, Some(used.directive), &problem, &used.place);
            }
        }
        // For each server, which an internal redirect never leaves: whether one of its locations enforces, and whether one with its own
        // policy evaluates what the settings of the server evaluate.
        let mut servers: Vec<(bool, bool)> = Vec::new();
        cf.each_level(|above: Option<&LocationConf>, conf: &mut LocationConf, mut level| {
            conf.next_handler = self.next_handler;
            conf.complete(above, self, cf, &level);
            if conf.report.is_some() {
                level.set_content_handler(report);
            }
            if conf.depth == 1 {
                servers.push((false, false));
            }
            let policy = conf.policy().filter(|policy| policy.is_active);
            if let (Some((enforces, shares)), Some(policy)) = (servers.last_mut(), policy) {
                *enforces |= policy.rules.enforce;
                *shares |= conf.is_own && conf.server_values.is_some_and(|server| server.meets(&policy.dynamic));
            }
        });
        let mut servers = servers.into_iter();
        let (mut enforces, mut shares) = (false, false);
        cf.each_level(|_, conf: &mut LocationConf, _| {
            if conf.depth == 1 {
                (enforces, shares) = servers.next().unwrap_or_default();
            }
            conf.reads_all = enforces;
            let policy = conf.policy;
            let evaluates =
                |values: &Dynamic| policy.is_some_and(|policy| policy.is_active && policy.dynamic.covers(values));
            conf.server_values = conf.server_values.filter(|values| (enforces || shares) && !evaluates(values));
            conf.arrive = arrival(conf);
        });
        let has_policy = self.levels.iter().any(|level| level.policy.is_some_and(|policy| policy.is_active));
        if has_policy || !self.need_zone.is_empty() {
            self.warn_of_others(cf);
        }
        self.complete_zone(cf);
        self.warn_of_what_has_no_effect(log);
        match self.messages.failed() {
            true => Err(()),
            false => Ok(()),
        }
    }

    /// Gives each policy a row in the zone, if there is one.
    fn complete_zone(&mut self, cf: &mut Configuration<'_>) {
        let Some(setting) = self.zone.take() else {
            for (directive, place) in std::mem::take(&mut self.need_zone) {
                self.messages.report(cf.log(), None, &Problem::new(directive.as_bytes(), Reason::NoZone), &place);
            }
            return;
        };
        let levels = self.levels.iter().filter_map(|level| Some((level.policy?, &*level.label)));
        let active: Vec<_> = levels.filter(|(policy, _)| policy.is_active).collect();
        let (counting, places) = Counting::new(setting, &active);
        let Some(counting) = cf.keep(counting) else { return self.messages.fail() };
        for ((policy, _), at) in active.into_iter().zip(places) {
            policy.row.set(counting.rows.get(at));
        }
        self.counting = Some(counting);
        if zone::add::<MainConf, _>(cf, &counting.setting.name, counting.setting.size, counting).is_none() {
            self.messages.fail();
        }
    }

    /// Warns of lines of other modules that set or remove what a policy writes, and of reports that no such line protects.
    fn warn_of_others(&mut self, cf: &Configuration<'_>) {
        let (file, prefix) = cf.files();
        let path = |bytes| Path::new(OsStr::from_bytes(bytes));
        let Found { leftovers, open_reports } = leftovers::find(path(file), path(prefix));
        for (file, line) in open_reports {
            let problem = Problem::new(b"cors_report", Reason::OpenReport);
            self.messages.report(cf.log(), None, &problem, &Place::new(&file, line));
        }
        for Leftovers { file, line, first, is_part, others } in leftovers {
            let numbers: Vec<_> = others.iter().take(MOST_LINES).map(usize::to_string).collect();
            let more = if others.len() > MOST_LINES { ", ..." } else { "" };
            let lines = match numbers.len() {
                0 if is_part => "this header from the line".to_owned(),
                0 => "the line".to_owned(),
                1 => format!("the line, and line {}", numbers[0]),
                _ => format!("the line, and lines {}{more}", numbers.join(", ")),
            };
            let problem = Problem::new(first.as_bytes(), Reason::Leftover(lines));
            self.messages.report(cf.log(), None, &problem, &Place::new(&file, line));
        }
    }

    /// Warns of directives that no request ever makes a difference to.
    fn warn_of_what_has_no_effect(&mut self, log: Log) {
        for level in std::mem::take(&mut self.levels) {
            for (directive, needs, place) in &level.places {
                let has_effect = match needs {
                    Needs::Nothing => true,
                    Needs::OriginRule => level.allows.get(),
                    Needs::Policy => level.allows.get() || level.enforces.get(),
                };
                if !has_effect {
                    self.messages.report(log, None, &Problem::new(directive.as_bytes(), Reason::NoEffect), place);
                }
            }
        }
    }
}

/// The module's configuration of one level.
pub struct LocationConf {
    /// Whether the policy, or that there is none, is set in a location and not inherited from the server: such a policy
    /// replaces that of a redirected request.
    pub is_own: bool,
    /// Whether all that a decision may depend on is read at once: a location that the request is redirected to may enforce.
    pub reads_all: bool,
    /// What happens to a request that reaches the location.
    pub arrive: Arrival<LocationConf>,
    /// That of the `http` block.
    pub next_handler: &'static Link<Function>,
    /// What the settings of the server evaluate, if that is evaluated here, too: the request may be redirected to a location that
    /// decides by it.
    pub server_values: Option<&'static Dynamic>,
    /// What `cors_report` says: whether the location responds with a report, and in which format if the client does not choose.
    pub report: Option<Option<Format>>,
    policy: Option<&'static Policy>,
    /// How many levels are above.
    depth: u32,
    /// What the level sets, until it is complete.
    directives: Option<Box<LevelDirectives>>,
    level: Option<Rc<Level>>,
}

impl Default for LocationConf {
    fn default() -> Self {
        LocationConf {
            is_own: false,
            reads_all: false,
            arrive: goes_on,
            next_handler: &NOBODY,
            server_values: None,
            report: None,
            policy: None,
            depth: 0,
            directives: None,
            level: None,
        }
    }
}

impl LocationConf {
    /// The policy that is set here or inherited, or `cors off`; `None` if there is neither.
    #[inline(always)]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy
    }

    /// What the level sets, if it does, and what `cors_report` says.
    pub fn parts(&mut self) -> (&mut Option<Box<LevelDirectives>>, &mut Option<Option<Format>>) {
        (&mut self.directives, &mut self.report)
    }

    /// Takes over what the level does not set itself, and makes its policy. The level above is complete.
    fn complete(
        &mut self,
        above: Option<&LocationConf>,
        main: &mut MainConf,
        cf: &Configuration<'_>,
        place: &configuration::Level<'_>,
    ) {
        let parent = above.and_then(|above| above.level.as_ref());
        self.depth = above.map_or(0, |above| above.depth + 1);
        // `http` is level 0 and `server` level 1.
        self.is_own = above.is_some_and(|above| above.is_own) || (self.depth > 1 && self.directives.is_some());
        let level = match (self.directives.take(), parent) {
            (None, Some(parent)) => parent.clone(),
            (directives, parent) => {
                let level = Rc::new(Level::new(*directives.unwrap_or_default(), parent, main, cf, place));
                main.levels.push(level.clone());
                level
            }
        };
        self.policy = level.policy;
        self.server_values = match (self.depth, above) {
            (0, _) | (_, None) => None,
            (1, _) => Some(Dynamic::of(&level.settings))
                .filter(|values| !values.is_empty())
                .and_then(|values| main.keep(cf, values)),
            (_, Some(above)) => above.server_values,
        };
        self.level = Some(level);
    }
}

/// A level whose settings are complete.
struct Level {
    settings: Settings,
    policy: Option<&'static Policy>,
    parent: Option<Rc<Level>>,
    /// What identifies the policy in reports.
    label: String,
    places: Vec<(&'static str, Needs, Place)>,
    /// Whether it has origin rules, or a level below it has.
    allows: Cell<bool>,
    /// Whether it enforces, or a level below it does.
    enforces: Cell<bool>,
}

impl Level {
    fn new(
        directives: LevelDirectives,
        parent: Option<&Rc<Level>>,
        main: &mut MainConf,
        cf: &Configuration<'_>,
        place: &configuration::Level<'_>,
    ) -> Level {
        let log = cf.log();
        let mut settings = directives.settings;
        if directives.has_origins {
            let (origins, concerns) = directives.origins.build();
            let (origins, variables) = (Arc::new(origins), directives.variables.into());
            let files = directives.files;
            let lists = files.iter().map(|file| file.list.clone()).collect();
            settings.rules = Some(Rc::new(OriginRules { origins, variables, files, lists, concerns }));
        }
        let own = Own::of(&settings);
        if let Some(parent) = parent {
            settings.inherit(&parent.settings);
        }
        if own.is_any() {
            settings.check_together(own, &mut main.messages, log);
        }
        if let (true, Some(rules)) = (settings.credentials(), &settings.rules) {
            rules.files.iter().for_each(|file| file.credentials.set(true));
        }
        let policy = Policy::new(&settings, main.next_handler).and_then(|policy| main.keep(cf, policy));
        let (allows, enforces) = (Cell::new(settings.rules.is_some()), Cell::new(settings.enforce()));
        let label = settings.label.as_deref().map_or_else(|| label(place), str::to_owned);
        let (parent, places) = (parent.cloned(), directives.places);
        let level = Level { settings, policy, parent, label, places, allows, enforces };
        let mut above = &level.parent;
        while let Some(parent) = above {
            parent.allows.set(parent.allows.get() || level.allows.get());
            parent.enforces.set(parent.enforces.get() || level.enforces.get());
            above = &parent.parent;
        }
        level
    }
}

/// The label of a policy that has none of its own: the name of the server, and the location as it is written.
fn label(level: &configuration::Level<'_>) -> String {
    let Some(server) = level.server else { return "http".to_owned() };
    let (modifier, location) = level.location();
    let server = if server.is_empty() { "_".into() } else { String::from_utf8_lossy(server) };
    let mut label = match location {
        b"" => server.into_owned(),
        _ => format!("{server} {modifier}{}", String::from_utf8_lossy(location)),
    };
    while label.len() > tally::MAX_LABEL {
        label.pop();
    }
    label
}
