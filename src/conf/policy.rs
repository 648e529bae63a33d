// SPDX-License-Identifier: Apache-2.0
//! A policy: what the decision engine needs, and what is written into responses.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use cors_policy::{vary, Methods, Rules, Status};
use ngx::ffi::ngx_table_elt_t;

use super::counting::PolicyRow;
use super::prepared::Prepared;
use super::settings::{MaxAge, Settings};
use crate::nginx::chain::{Function, Link};
use crate::nginx::complex_value::{ComplexValue, Predicates};
use crate::nginx::header_list::header;
use crate::nginx::log::Level;

/// The policy of a location. See the directive of the same name for each setting.
pub struct Policy {
    /// What decides.
    pub rules: Rules,
    /// What is evaluated for each request.
    pub dynamic: Dynamic,
    /// What a response to an allowed origin gets.
    pub allowed: Prepared,
    /// What a response to another origin gets, and one to a request without an origin: `Vary` alone.
    pub denied: Prepared,
    /// `Vary: Origin`, which is all of `denied` unless the list is `*`.
    pub vary: ngx_table_elt_t,
    /// What the answer to a preflight gets, apart from what has to be echoed.
    pub preflight: Prepared,
    /// What the answer to a preflight from an origin that is not allowed gets.
    pub preflight_denied: Prepared,
    /// Whether the requested method is echoed.
    pub echoes_method: bool,
    /// Whether the requested headers are echoed.
    pub echoes_headers: bool,
    /// `cors_allow_private_network`
    pub private_network: bool,
    /// `cors_preflight`
    pub answers_preflights: bool,
    /// `cors_reject_status`
    pub reject_status: u16,
    /// `cors_preflight_status`
    pub preflight_status: u16,
    /// `cors_override`
    pub overrides: bool,
    /// `cors_dry_run`
    pub dry_run: bool,
    /// `cors_log_level`
    pub log_level: Level,
    /// Whether there is anything to do. Under `cors off` there is not, but that ends the policy of a redirected request.
    pub is_active: bool,
    /// The handler that takes the request when the policy has been decided on.
    pub next_handler: &'static Link<Function>,
    /// Whether it writes every response that it decides about, whatever others have written.
    pub writes_all: bool,
    /// How a request other than `OPTIONS` is decided.
    pub mode: Mode,
    /// Whether there are files, or no exact origins. Otherwise a look-up begins with the exact origins, and mostly ends there.
    pub begins_elsewhere: bool,
    /// Where requests are counted, if there is a zone.
    pub row: Cell<Option<&'static PolicyRow>>,
}

/// The settings that are evaluated for each request.
#[derive(Clone)]
pub struct Dynamic {
    /// `cors_bypass`
    pub bypass: Option<Predicates>,
    /// Values of `cors_allow_origin` with variables.
    pub variables: Rc<[ComplexValue]>,
}

impl Dynamic {
    /// Those of a level.
    pub fn of(settings: &Settings) -> Dynamic {
        let variables = settings.rules.as_ref().map_or_else(|| [].into(), |rules| rules.variables.clone());
        Dynamic { bypass: settings.bypass, variables }
    }

    pub fn is_empty(&self) -> bool {
        self.bypass.is_none() && self.variables.is_empty()
    }

    /// Whether the two have any of them in common.
    pub fn meets(&self, other: &Dynamic) -> bool {
        let same_bypass = self.bypass.is_some() && self.bypass == other.bypass;
        same_bypass || (!self.variables.is_empty() && self.has_variables_of(other))
    }

    /// Whether evaluating these evaluates all of `other`: the variables do not matter to a request that is bypassed.
    pub fn covers(&self, other: &Dynamic) -> bool {
        let all_variables = self.bypass.is_none() && self.has_variables_of(other);
        self.bypass == other.bypass && (other.variables.is_empty() || all_variables)
    }

    fn has_variables_of(&self, other: &Dynamic) -> bool {
        Rc::ptr_eq(&self.variables, &other.variables)
    }
}

/// How a request other than `OPTIONS` is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// If it is not bypassed and the configured list allows its one `Origin`, by that alone; without enforcement, if the list does
    /// not, too. The response is written whatever it is: no variables, dry run, nor `cors_override off`.
    List,
    /// Like `List`, but the list is `*`, and `Origin` does not matter; there is neither enforcement nor bypass.
    Any,
    /// By more than that.
    General,
}

impl Policy {
    /// The policy that the settings of a level make; `None` if there is none, not even `cors off`.
    /// `next_handler` is that of the configuration.
    pub fn new(settings: &Settings, next_handler: &'static Link<Function>) -> Option<Policy> {
        let is_active = settings.cors();
        let enforce = settings.enforce();
        if is_active && settings.rules.is_none() && !enforce {
            return None;
        }
        let (origins, files) = match &settings.rules {
            Some(rules) => (rules.origins.clone(), rules.lists.clone()),
            None => (Arc::default(), [].into()),
        };
        let dynamic = Dynamic::of(settings);
        let credentials = settings.credentials();
        let methods = settings.methods.clone().unwrap_or_else(|| Arc::new(Methods::safelisted()));
        let headers = settings.headers.clone().unwrap_or_default();
        // With credentials, browsers take `*` literally (https://fetch.spec.whatwg.org/#cors-preflight-fetch, step 7.5).
        let echoes_method = credentials && methods.is_any();
        let echoes_headers = credentials && headers.is_any();
        let private_network = settings.private_network();
        let is_any = origins.is_any();

        let allow_origin = ("Access-Control-Allow-Origin", Some("*".to_owned()));
        let allow_credentials = ("Access-Control-Allow-Credentials", credentials.then(|| "true".to_owned()));
        let allow_methods = ("Access-Control-Allow-Methods", (!echoes_method).then(|| methods.value()));
        let names = (!echoes_headers && !headers.is_empty()).then(|| headers.value());
        let allow_headers = ("Access-Control-Allow-Headers", names);
        let expose = ("Access-Control-Expose-Headers", settings.exposed.as_ref().map(|list| list.value()));
        let max_age = ("Access-Control-Max-Age", settings.max_age.map(|MaxAge(seconds)| seconds.to_string()));
        let allowed = [allow_origin.clone(), allow_credentials.clone(), expose.clone()];
        let preflight = [allow_origin, allow_credentials, allow_methods, allow_headers, expose, max_age];

        // Under `*`, a response does not depend on `Origin` (https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches).
        let vary = if is_any { vary::NOTHING } else { vary::SIMPLE };
        let preflight_vary = match (is_any, private_network) {
            (true, false) => vary::NOTHING,
            (true, true) => vary::PRIVATE_NETWORK,
            (false, false) => vary::PREFLIGHT,
            (false, true) => vary::PREFLIGHT_WITH_PRIVATE_NETWORK,
        };
        let overrides = settings.overrides();
        let dry_run = settings.dry_run();
        let writes_all = is_active && !dry_run && overrides;
        let mode = match (writes_all && dynamic.variables.is_empty(), is_any) {
            (true, false) => Mode::List,
            (true, true) if !enforce && dynamic.bypass.is_none() => Mode::Any,
            _ => Mode::General,
        };
        let begins_elsewhere = !origins.has_exact() || !files.is_empty();
        Some(Policy {
            rules: Rules { origins, files, methods, headers, credentials, enforce },
            dynamic,
            allowed: Prepared::new(vary, &allowed),
            denied: Prepared::new(vary, &[]),
            vary: header("Vary", b"Origin"),
            preflight: Prepared::new(preflight_vary, &preflight),
            preflight_denied: Prepared::new(preflight_vary, &[]),
            echoes_method,
            echoes_headers,
            private_network,
            answers_preflights: settings.preflight(),
            preflight_status: settings.preflight_status().0,
            reject_status: settings.reject_status().0,
            overrides,
            dry_run,
            log_level: settings.log_level(),
            is_active,
            next_handler,
            writes_all,
            mode,
            begins_elsewhere,
            row: Cell::default(),
        })
    }

    /// Whether the answer to a preflight takes anything from the request apart from its origin.
    #[inline]
    pub fn echoes(&self) -> bool {
        self.echoes_method || self.echoes_headers || self.private_network
    }

    /// The status that a preflight is answered with at once; `None` if the request goes on.
    pub fn preflight_answer(&self, status: Status) -> Option<u16> {
        match status {
            status if !status.is_preflight() || !self.answers_preflights => None,
            // Browsers would refuse the answer to an origin that is not allowed whatever its status
            // (https://fetch.spec.whatwg.org/#cors-check); this one is not taken for a success elsewhere.
            Status::PreflightOriginDenied => Some(self.reject_status),
            // A method or a header that is not listed makes no difference: the browser compares the lists itself.
            _ => Some(self.preflight_status),
        }
    }
}
