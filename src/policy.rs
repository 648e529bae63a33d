//! A policy as a location has it: the decision engine's part, and what is written into responses, joined and formatted
//! when the configuration is read.

use std::ptr::NonNull;
use std::rc::Rc;

use cors_policy::list::trim;
use cors_policy::origins::{self, Evaluated};
use cors_policy::Facts;
use cors_policy::{vary, Decision, Grant, Status};
use ngx::ffi::{ngx_array_t, ngx_http_complex_value_t, ngx_table_elt_t, ngx_uint_t, NGX_LOG_ERR};
use ngx::ngx_log_error;

use crate::request::{self, OutOfMemory, Request, REQUEST_HEADERS};

/// What a response gets, made when the configuration is read: `Access-Control-Allow-Origin` first, whose value a request
/// may replace, and `Vary` last, where there has to be one.
pub struct Response {
    headers: Box<[ngx_table_elt_t]>,
    /// What `Vary` names; empty where the answer does not depend on `Origin`.
    vary: &'static str,
    /// Where the values are that `headers` point to.
    _values: Box<[Box<str>]>,
}

impl Response {
    /// A response; a header without a value is left out.
    pub fn new(vary: &'static str, headers: &[(&'static str, Option<String>)]) -> Response {
        let mut cells = Vec::new();
        let mut values = Vec::new();
        for (name, value) in headers {
            if let Some(value) = value {
                let value = value.clone().into_boxed_str();
                cells.push(request::header(name, value.as_bytes()));
                values.push(value);
            }
        }
        if !vary.is_empty() {
            cells.push(request::header("Vary", vary.as_bytes()));
        }
        Response { headers: cells.into(), vary, _values: values.into() }
    }

    /// All of them.
    #[inline(always)]
    pub fn headers(&self) -> &[ngx_table_elt_t] {
        &self.headers
    }

    /// Writes it, with `origin` instead of what it says in `Access-Control-Allow-Origin`; where there is a `Vary` already, its
    /// names are added to that.
    #[inline(always)]
    pub fn write(&self, r: &mut Request, origin: Option<&[u8]>, has_vary: bool) -> Result<(), OutOfMemory> {
        if !has_vary || self.vary.is_empty() {
            return r.push_headers(&self.headers, origin);
        }
        r.push_headers(self.but_vary(), origin)?;
        merge_vary(r, self.vary)
    }

    /// Writes it for a request that gets `grant`; where that is `*`, the answer does not depend on `Origin`.
    #[inline(always)]
    pub fn write_for(&self, r: &mut Request, grant: Grant<'_>, has_vary: bool) -> Result<(), OutOfMemory> {
        match grant {
            Grant::Any => r.push_headers(self.but_vary(), None),
            Grant::Origin(origin) => self.write(r, Some(origin), has_vary),
            Grant::None => self.write(r, None, has_vary),
        }
    }

    fn but_vary(&self) -> &[ngx_table_elt_t] {
        &self.headers[..self.headers.len() - usize::from(!self.vary.is_empty())]
    }
}

/// Adds to the `Vary` that is there.
fn merge_vary(r: &mut Request, names: &'static str) -> Result<(), OutOfMemory> {
    let mut lines = r.values_out(b"vary");
    let missing = vary::missing(lines.clone(), names);
    if missing.clone().next().is_none() {
        return Ok(());
    }
    let first = lines.next().map(trim).filter(|line| !line.is_empty());
    let value = r.join(first.into_iter().chain(missing))?;
    if let Some(header) = r.headers_out().find(|header| request::has_name(header, b"vary")) {
        header.value = request::string(value);
    }
    Ok(())
}

/// See the directive of the same name for each setting.
pub struct Policy {
    /// What decides.
    pub engine: cors_policy::Rules,
    /// Values of `cors_allow_origin` with variables.
    pub variables: Rc<[ngx_http_complex_value_t]>,
    /// What an allowed response gets.
    pub allowed: Response,
    /// What a denied response gets.
    pub denied: Response,
    /// What the answer to a preflight gets, but for what has to be echoed.
    pub preflight: Response,
    /// What the answer to a preflight from an origin that is not allowed gets.
    pub preflight_denied: Response,
    /// Whether it takes anything from the request: one of the next three.
    pub echoes: bool,
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
    /// Whether there is anything to do; not so under `cors off`, which ends the policy of a redirected request.
    pub active: bool,
    /// How a request that is no `OPTIONS` is decided.
    pub mode: Mode,
    /// What a denied response gets, too: just `Vary`.
    pub vary: ngx_table_elt_t,
}

/// How a request that is no `OPTIONS` is decided, and its response written.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// By `Origin` and the configured list alone, whatever the response: no variables, bypass, enforcement, dry run, nor
    /// `cors_override off`.
    List,
    /// The same where the list is `*`, and `Origin` does not matter.
    Any,
    /// By more than that.
    Careful,
}

impl Policy {
    /// Whether the module keeps out of this request.
    #[inline]
    pub fn bypasses(&self, r: &mut Request) -> bool {
        self.bypass.is_some_and(|predicates| r.bypasses(predicates))
    }

    /// What the request that has been `asked` is answered with.
    #[inline]
    pub fn decide<'r>(&self, r: &mut Request, asked: &Facts<'r>) -> Decision<'r> {
        self.engine.decide(asked, || self.by_value(r, asked.origin.one()))
    }

    /// The same, said exactly.
    pub fn explain<'r>(&self, r: &Request, decision: Decision<'r>) -> Decision<'r> {
        self.engine.explain(decision, &r.asked(), r.values(&REQUEST_HEADERS))
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
