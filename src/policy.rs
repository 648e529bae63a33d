//! A policy as a location has it: the decision engine's part, and what is written into responses, joined and formatted
//! when the configuration is read.

use std::ptr::NonNull;
use std::sync::Arc;

use cors_policy::origins::{self, Evaluated};
use cors_policy::request::Request as Asked;
use cors_policy::{Decision, Status};
use ngx::ffi::{ngx_array_t, ngx_http_complex_value_t, ngx_uint_t, NGX_LOG_ERR};
use ngx::ngx_log_error;

use crate::request::{Request, REQUEST_HEADERS};

/// A response header whose value is known when the configuration is read.
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: Box<[u8]>,
}

impl Header {
    /// A header.
    pub fn new(name: &'static str, value: impl Into<String>) -> Header {
        Header { name, value: value.into().into_bytes().into_boxed_slice() }
    }
}

/// See the directive of the same name for each setting.
pub struct Policy {
    /// What decides.
    pub engine: cors_policy::Policy,
    /// Values of `cors_allow_origin` with variables.
    pub variables: Arc<[ngx_http_complex_value_t]>,
    /// What an allowed response gets beyond `Access-Control-Allow-Origin` and `Vary`.
    pub simple: Box<[Header]>,
    /// What the answer to a preflight gets beyond those and what has to be echoed.
    pub preflight: Box<[Header]>,
    /// Whether the requested method is echoed.
    pub echo_method: bool,
    /// Whether the requested headers are echoed.
    pub echo_headers: bool,
    /// `cors_allow_private_network`
    pub private_network: bool,
    /// `cors_preflight`
    pub answers_preflights: bool,
    /// `cors_preflight_status`
    pub preflight_status: u16,
    /// `cors_reject_status`
    pub reject_status: u16,
    /// `cors_override`
    pub overrides: bool,
    /// `cors_dry_run`
    pub dry_run: bool,
    /// `cors_log_level`
    pub log_level: ngx_uint_t,
    /// `cors_bypass`
    pub bypass: Option<NonNull<ngx_array_t>>,
}

impl Policy {
    /// Whether the module keeps out of this request.
    #[inline]
    pub fn bypasses(&self, r: &mut Request) -> bool {
        self.bypass.is_some_and(|predicates| r.bypasses(predicates))
    }

    /// What becomes of the request that has been `asked`.
    #[inline]
    pub fn decide<'r>(&self, r: &mut Request, asked: &Asked<'r>) -> Decision<'r> {
        let lines = r.values(&REQUEST_HEADERS);
        self.engine.decide(asked, || lines, || self.by_value(r, asked.origin.one()))
    }

    /// The status that a request is answered with at once; `None` where it goes on.
    pub fn answer(&self, status: Status) -> Option<u16> {
        match status {
            Status::Rejected => Some(self.reject_status),
            status if !status.is_preflight() || !self.answers_preflights => None,
            Status::PreflightOriginDenied => Some(self.reject_status),
            _ => Some(self.preflight_status),
        }
    }

    /// Looks `origin` up in the values with variables.
    #[inline]
    fn by_value(&self, r: &mut Request, origin: Option<&[u8]>) -> Evaluated {
        if self.variables.is_empty() {
            return Evaluated::Denied;
        }
        self.evaluate(r, origin)
    }

    #[cold]
    fn evaluate(&self, r: &mut Request, origin: Option<&[u8]>) -> Evaluated {
        let mut result = Evaluated::Denied;
        for expression in &*self.variables {
            let value = r.evaluate(expression).unwrap_or_default();
            match origins::evaluated(value, origin) {
                Evaluated::Any if self.engine.credentials => {
                    ngx_log_error!(
                        NGX_LOG_ERR,
                        r.log(),
                        "cors: a variable of cors_allow_origin is \"*\", which allows nothing with cors_allow_credentials on"
                    );
                }
                Evaluated::Any => return Evaluated::Any,
                Evaluated::Allowed => result = Evaluated::Allowed,
                Evaluated::Denied => {}
            }
        }
        result
    }
}
