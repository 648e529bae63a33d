//! What a level of the configuration (`http`, `server`, `location`) sets, what it inherits, and the policy that comes of it.

use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use cors_policy::origins::{self, Concern};
use cors_policy::{kinds, vary, ExposedHeaders, Methods, Origins, OriginsBuilder, Problem, Reason, RequestHeaders};
use ngx::ffi::{ngx_array_t, ngx_http_complex_value_t, ngx_log_t, ngx_uint_t, NGX_LOG_INFO};

use crate::messages::{Messages, Place};
use crate::next::Next;
use crate::policy::{Mode, Policy, Response};
use crate::request;
use crate::rewrite;

/// The module's configuration of the whole `http` block.
pub struct MainConf {
    /// Where among a request's variables the value is that keeps its policy, in bytes.
    pub slot: usize,
    /// What has been said so far.
    pub messages: Messages,
    /// The handler of the REWRITE phase that this module's has taken the place of. Kept with the configuration, because each has
    /// its own handlers, and an old one may go on after a new one was read in vain.
    pub next_handler: Next,
    /// Levels that set something, until it is known which of it has an effect.
    levels: Vec<Rc<Level>>,
}

impl Default for MainConf {
    fn default() -> Self {
        let next_handler = Next::stand_in(rewrite::declined);
        MainConf { slot: 0, messages: Messages::default(), next_handler, levels: Vec::new() }
    }
}

impl Drop for MainConf {
    fn drop(&mut self) {
        // nginx may unload the library after this.
        kinds::free_references();
    }
}

impl MainConf {
    /// Warns of directives that no request will ever ask for.
    pub fn warn_of_what_has_no_effect(&mut self, log: *mut ngx_log_t) {
        for level in std::mem::take(&mut self.levels) {
            for (directive, place) in &level.places {
                let has_effect = match *directive {
                    // These two say that nothing is to be done, or much, and so need no origin.
                    "cors" | "cors_enforce" => true,
                    directive if SAYS_MORE.contains(&directive) => level.allows.get(),
                    _ => level.allows.get() || level.enforces.get(),
                };
                if !has_effect {
                    self.messages.say(log, None, &Problem::new(directive.as_bytes(), Reason::NoEffect), place);
                }
            }
        }
    }
}

/// Directives that say more of the answer to an allowed origin: enforcement alone allows none, and they have no effect.
const SAYS_MORE: [&str; 7] = [
    "cors_allow_methods",
    "cors_allow_headers",
    "cors_allow_credentials",
    "cors_expose_headers",
    "cors_max_age",
    "cors_allow_private_network",
    "cors_preflight_status",
];

/// The module's configuration of one level.
#[derive(Default)]
pub struct LocationConf {
    policy: Option<Rc<Policy>>,
    /// Whether the policy, or that there is none, is set in a location and not taken over from the server: such a one replaces
    /// that of a redirected request.
    pub is_own: bool,
    /// How many levels are above.
    depth: u32,
    /// [`MainConf::slot`]
    pub slot: usize,
    /// What the level sets, until it is merged.
    own: Option<Box<Own>>,
    level: Option<Rc<Level>>,
}

impl LocationConf {
    /// The policy that is set here, be it `cors off`; `None` where nothing is.
    #[inline(always)]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref()
    }

    /// What the level sets.
    pub fn own(&mut self) -> &mut Own {
        self.own.get_or_insert_default()
    }

    /// Takes over what the level does not set itself, and makes its policy. The level above is finished first.
    pub fn finish(&mut self, above: Option<&LocationConf>, main: &mut MainConf, log: *mut ngx_log_t) {
        if self.level.is_some() {
            return;
        }
        let parent = above.and_then(|above| above.level.as_ref());
        self.depth = above.map_or(0, |above| above.depth + 1);
        self.is_own = above.is_some_and(|above| above.is_own) || (self.depth > 1 && self.own.is_some());
        let level = match (self.own.take(), parent) {
            (None, Some(parent)) => parent.clone(),
            (own, parent) => {
                let level = Rc::new(Level::new(*own.unwrap_or_default(), parent, main, log));
                main.levels.push(level.clone());
                level
            }
        };
        self.slot = main.slot;
        self.policy = level.policy.clone();
        self.level = Some(level);
    }
}

/// What the directives of one level say.
#[derive(Default)]
pub struct Own {
    /// Each directive that is there with its first place.
    pub places: Vec<(&'static str, Place)>,
    /// Whether there is an origin rule.
    pub has_origins: bool,
    /// Exact origins, patterns and expressions.
    pub origins: OriginsBuilder<Place>,
    /// Values of `cors_allow_origin` with variables.
    pub variables: Vec<ngx_http_complex_value_t>,
    /// Everything else.
    pub settings: Settings,
}

impl Own {
    /// Takes note of a directive.
    pub fn note(&mut self, directive: &'static str, place: &Place) {
        if self.places.iter().all(|(other, _)| *other != directive) {
            self.places.push((directive, place.clone()));
        }
    }
}

/// Origin rules: `cors_allow_origin` and `cors_allow_origin_regex`, which inherit as one.
pub struct Rules {
    origins: Arc<Origins>,
    variables: Rc<[ngx_http_complex_value_t]>,
    concerns: Vec<Concern<Place>>,
}

macro_rules! settings {
    ($( $(#[doc = $doc:literal])+ $name:ident: $type:ty, )+) => {
        /// One field for each thing that is inherited on its own; `None` where it is not set.
        #[derive(Default)]
        pub struct Settings { $( $(#[doc = $doc])+ pub $name: Option<$type>, )+ }

        impl Settings {
            fn inherit(&mut self, parent: &Settings) {
                $( if self.$name.is_none() { self.$name = parent.$name.clone(); } )+
            }
        }
    };
}

settings! {
    /// `cors`
    cors: bool,
    /// The origin rules.
    rules: Rc<Rules>,
    /// `cors_allow_methods`
    methods: Arc<Methods>,
    /// `cors_allow_headers`
    headers: Arc<RequestHeaders>,
    /// `cors_expose_headers`
    exposed: Arc<ExposedHeaders>,
    /// Where `cors_expose_headers` stands.
    exposed_place: Place,
    /// `cors_allow_credentials`
    credentials: bool,
    /// `cors_max_age`, in seconds
    max_age: u64,
    /// `cors_allow_private_network`
    private_network: bool,
    /// `cors_preflight`
    preflight: bool,
    /// `cors_preflight_status`
    preflight_status: u16,
    /// `cors_override`
    overrides: bool,
    /// `cors_bypass`: what `ngx_http_test_predicates` takes
    bypass: NonNull<ngx_array_t>,
    /// `cors_enforce`
    enforce: bool,
    /// `cors_reject_status`
    reject_status: u16,
    /// `cors_dry_run`
    dry_run: bool,
    /// `cors_log_level`
    log_level: ngx_uint_t,
}

impl Settings {
    /// The policy, where there is one or `cors off`.
    fn policy(&self) -> Option<Policy> {
        let enforce = self.enforce.unwrap_or(false);
        let active = self.cors != Some(false);
        if active && self.rules.is_none() && !enforce {
            return None;
        }
        let (origins, variables) = match &self.rules {
            Some(rules) => (rules.origins.clone(), rules.variables.clone()),
            None => (Arc::default(), [].into()),
        };
        let credentials = self.credentials.unwrap_or(false);
        let methods = self.methods.clone().unwrap_or_else(|| Arc::new(Methods::safelisted()));
        let headers = self.headers.clone().unwrap_or_default();
        let echo_method = credentials && methods.is_any();
        let echo_headers = credentials && headers.is_any();
        let private_network = self.private_network.unwrap_or(false);
        let any = origins.is_any();
        let allow_origin = ("Access-Control-Allow-Origin", Some("*".to_owned()));
        let allow_credentials = ("Access-Control-Allow-Credentials", credentials.then(|| "true".to_owned()));
        let allow_methods = ("Access-Control-Allow-Methods", (!echo_method).then(|| methods.value()));
        let names = (!echo_headers && !headers.is_empty()).then(|| headers.value());
        let allow_headers = ("Access-Control-Allow-Headers", names);
        let expose = ("Access-Control-Expose-Headers", self.exposed.as_ref().map(|list| list.value()));
        let max_age = ("Access-Control-Max-Age", self.max_age.map(|seconds| seconds.to_string()));
        let simple = [allow_origin.clone(), allow_credentials.clone(), expose.clone()];
        let preflight = [allow_origin, allow_credentials, allow_methods, allow_headers, expose, max_age];
        let (vary, preflight_vary) = if any { ("", "") } else { (vary::SIMPLE, vary::PREFLIGHT) };
        let overrides = self.overrides.unwrap_or(true);
        let dry_run = self.dry_run.unwrap_or(false);
        let plain = active && variables.is_empty() && self.bypass.is_none() && !enforce && !dry_run && overrides;
        let mode = match (plain, any) {
            (true, false) => Mode::List,
            (true, true) => Mode::Any,
            (false, _) => Mode::Careful,
        };
        Some(Policy {
            engine: cors_policy::Rules { origins, methods, headers, credentials, enforce },
            variables,
            allowed: Response::new(vary, &simple),
            denied: Response::new(vary::SIMPLE, &[]),
            preflight: Response::new(preflight_vary, &preflight),
            preflight_denied: Response::new(vary::PREFLIGHT, &[]),
            echoes: echo_method || echo_headers || private_network,
            echo_method,
            echo_headers,
            private_network,
            answers_preflights: self.preflight.unwrap_or(true),
            preflight_status: self.preflight_status.unwrap_or(204),
            reject_status: self.reject_status.unwrap_or(403),
            overrides,
            dry_run,
            log_level: self.log_level.unwrap_or(NGX_LOG_INFO as ngx_uint_t),
            bypass: self.bypass,
            active,
            mode,
            vary: request::header("Vary", vary::SIMPLE.as_bytes()),
        })
    }

    /// What is only right or wrong together: looked at on the level that sets one of the parts.
    fn check_together(&self, messages: &mut Messages, log: *mut ngx_log_t) {
        let credentials = self.credentials.unwrap_or(false);
        let concerns = self.rules.as_ref().map_or(&[][..], |rules| &rules.concerns);
        for (concern, problem) in origins::problems(concerns, credentials) {
            messages.say(log, Some(concern.directive), &problem, &concern.place);
        }
        if let (true, Some(exposed), Some(place)) = (credentials, &self.exposed, &self.exposed_place) {
            if exposed.is_any() {
                let problem = Problem::new(b"*", Reason::ExposeAnyWithCredentials);
                messages.say(log, Some("cors_expose_headers"), &problem, place);
            }
        }
    }
}

/// A level whose settings are complete.
struct Level {
    settings: Settings,
    policy: Option<Rc<Policy>>,
    parent: Option<Rc<Level>>,
    places: Vec<(&'static str, Place)>,
    /// Whether it has origin rules, or a level below it has.
    allows: Cell<bool>,
    /// Whether it enforces, or a level below it does.
    enforces: Cell<bool>,
}

impl Level {
    fn new(own: Own, parent: Option<&Rc<Level>>, main: &mut MainConf, log: *mut ngx_log_t) -> Level {
        let mut settings = own.settings;
        if own.has_origins {
            match own.origins.build() {
                Ok((origins, concerns)) => {
                    let (origins, variables) = (Arc::new(origins), own.variables.into());
                    settings.rules = Some(Rc::new(Rules { origins, variables, concerns }));
                }
                Err((place, problem)) => {
                    main.messages.say(log, Some("cors_allow_origin_regex"), &problem, &place);
                }
            }
        }
        let sets_together = settings.rules.is_some() || settings.credentials.is_some() || settings.exposed.is_some();
        if let Some(parent) = parent {
            settings.inherit(&parent.settings);
        }
        if sets_together {
            settings.check_together(&mut main.messages, log);
        }
        let policy = settings.policy().map(Rc::new);
        let (allows, enforces) = (Cell::new(settings.rules.is_some()), Cell::new(settings.enforce == Some(true)));
        let level = Level { settings, policy, parent: parent.cloned(), places: own.places, allows, enforces };
        let mut above = &level.parent;
        while let Some(parent) = above {
            parent.allows.set(parent.allows.get() || level.allows.get());
            parent.enforces.set(parent.enforces.get() || level.enforces.get());
            above = &parent.parent;
        }
        level
    }
}
