// SPDX-License-Identifier: Apache-2.0
//! What a level sets, and what it inherits.

use std::rc::Rc;
use std::sync::Arc;

use cors_policy::flat::List;
use cors_policy::origins::{self, Concern};
use cors_policy::{ExposedHeaders, Methods, Origins, OriginsBuilder, Problem, Reason, RequestHeaders};

use super::files::OriginFile;
use super::messages::{Messages, Place};
use crate::nginx::complex_value::{ComplexValue, Predicates};
use crate::nginx::log::{Level, Log};

/// What a directive needs at its level, or below it, to have an effect.
#[derive(Clone, Copy, PartialEq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Origin rules: it describes the response to an allowed origin, and enforcement alone allows none.
    OriginRule,
    /// Origin rules, or enforcement.
    Policy,
}

/// What the directives of one level say.
#[derive(Default)]
pub struct LevelDirectives {
    /// Each directive that appears, with the first place where it does.
    pub places: Vec<(&'static str, Needs, Place)>,
    /// Whether there is an origin rule.
    pub has_origins: bool,
    /// Exact origins, patterns and expressions.
    pub origins: OriginsBuilder<Place>,
    /// Values of `cors_allow_origin` with variables.
    pub variables: Vec<ComplexValue>,
    /// Files of origins.
    pub files: Vec<Rc<OriginFile>>,
    /// Everything else.
    pub settings: Settings,
}

impl LevelDirectives {
    /// Takes note of a directive.
    pub fn note(&mut self, directive: &'static str, needs: Needs, place: &Place) {
        if self.places.iter().all(|(other, ..)| *other != directive) {
            self.places.push((directive, needs, place.clone()));
        }
    }
}

/// Origin rules: `cors_allow_origin`, `cors_allow_origin_regex` and `cors_allow_origin_file`, which are inherited as one.
pub struct OriginRules {
    /// Exact origins, patterns and expressions.
    pub origins: Arc<Origins>,
    /// Values with variables.
    pub variables: Rc<[ComplexValue]>,
    /// Files of origins.
    pub files: Vec<Rc<OriginFile>>,
    /// Their lists.
    pub lists: Rc<[Rc<List>]>,
    /// Values to look at again when it is known whether credentials are allowed.
    pub concerns: Vec<Concern<Place>>,
}

macro_rules! settings {
    (
        scalars { $( $(#[doc = $scalar_doc:literal])+ $scalar:ident: $kind:ty = $default:expr, )+ }
        others { $( $(#[doc = $doc:literal])+ $name:ident: $type:ty, )+ }
    ) => {
        /// One field for each thing that is inherited separately; `None` if it is not set.
        #[derive(Default)]
        pub struct Settings {
            $( $(#[doc = $scalar_doc])+ pub $scalar: Option<$kind>, )+
            $( $(#[doc = $doc])+ pub $name: Option<$type>, )+
        }

        impl Settings {
            /// Takes over what is not set.
            pub fn inherit(&mut self, parent: &Settings) {
                $( if self.$scalar.is_none() { self.$scalar = parent.$scalar; } )+
                $( if self.$name.is_none() { self.$name = parent.$name.clone(); } )+
            }

            $(
                /// The value that is set or, if none is, the default.
                pub fn $scalar(&self) -> $kind {
                    self.$scalar.unwrap_or($default)
                }
            )+
        }
    };
}

settings! {
    scalars {
        /// `cors`
        cors: bool = true,
        /// `cors_allow_credentials`
        credentials: bool = false,
        /// `cors_allow_private_network`
        private_network: bool = false,
        /// `cors_preflight`
        preflight: bool = true,
        /// `cors_preflight_status`
        preflight_status: PreflightStatus = PreflightStatus(204),
        /// `cors_override`
        overrides: bool = true,
        /// `cors_enforce`
        enforce: bool = false,
        /// `cors_reject_status`
        reject_status: RejectStatus = RejectStatus(403),
        /// `cors_dry_run`
        dry_run: bool = false,
        /// `cors_log_level`
        log_level: Level = Level::INFO,
    }
    others {
        /// The origin rules.
        rules: Rc<OriginRules>,
        /// `cors_allow_methods`
        methods: Arc<Methods>,
        /// `cors_allow_headers`
        headers: Arc<RequestHeaders>,
        /// `cors_expose_headers`
        exposed: Arc<ExposedHeaders>,
        /// Where `cors_expose_headers` appears.
        exposed_place: Place,
        /// Where `cors_allow_credentials` appears.
        credentials_place: Place,
        /// `cors_max_age`
        max_age: MaxAge,
        /// `cors_bypass`
        bypass: Predicates,
        /// `cors_zone_label`
        label: Rc<str>,
    }
}

/// Which of the settings that are checked together a level sets itself.
#[derive(Clone, Copy)]
pub struct Own {
    rules: bool,
    credentials: bool,
    exposed: bool,
}

impl Own {
    /// Of a level that has not inherited yet.
    pub fn of(settings: &Settings) -> Own {
        Own {
            rules: settings.rules.is_some(),
            credentials: settings.credentials.is_some(),
            exposed: settings.exposed.is_some(),
        }
    }

    /// Whether there is any.
    pub fn is_any(self) -> bool {
        self.rules || self.credentials || self.exposed
    }
}

/// `cors_preflight_status`: 200 or 204.
#[derive(Clone, Copy)]
pub struct PreflightStatus(pub u16);

/// `cors_reject_status`: 400 to 599, without the codes to which nginx gives a special meaning.
#[derive(Clone, Copy)]
pub struct RejectStatus(pub u16);

/// `cors_max_age`, in seconds.
#[derive(Clone, Copy)]
pub struct MaxAge(pub u64);

impl Settings {
    /// Reports what is only right or wrong together; for the level that sets `own` and inherits the rest. If credentials are
    /// turned on at another level than the value that is reported, the message says where.
    pub fn check_together(&self, own: Own, messages: &mut Messages, log: Log) {
        let credentials = self.credentials();
        let elsewhere =
            |is_own: bool| self.credentials_place.as_ref().filter(|_| credentials && is_own != own.credentials);
        let concerns = self.rules.as_ref().map_or(&[][..], |rules| &rules.concerns);
        for (concern, problem) in origins::problems(concerns, credentials) {
            messages.report_with(log, concern.directive, &problem, &concern.place, elsewhere(own.rules));
        }
        if let (true, Some(exposed), Some(place)) = (credentials, &self.exposed, &self.exposed_place) {
            if exposed.is_any() {
                let problem = Problem::new(b"*", Reason::ExposeAnyWithCredentials);
                messages.report_with(log, "cors_expose_headers", &problem, place, elsewhere(own.exposed));
            }
        }
    }
}
