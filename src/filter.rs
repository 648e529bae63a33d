//! The header filter: writes a response's CORS headers, whoever made the response.
//!
//! It runs behind `add_header` and the upstream's headers, so that it sees, and replaces, what they have set.

use std::cell::UnsafeCell;

use cors_policy::facts::{Field, MethodKind};
use cors_policy::list::{elements, is_token, trim};
use cors_policy::{preflight, Decision, Grant, Status};
use ngx::core::Status as Code;
use ngx::ffi::{ngx_http_request_t, ngx_http_top_header_filter, ngx_int_t, ngx_str_t};

use crate::barrier::guard;
use crate::denial;
use crate::location::LocationConf;
use crate::next::Next;
use crate::policy::{Mode, Policy, Response};
use crate::request::{self, OutOfMemory, Request, REQUEST_HEADERS, REQUEST_METHOD, REQUEST_PRIVATE_NETWORK};

/// The header filter behind this one. nginx makes its chain anew with every configuration, from the same functions.
struct NextFilter(UnsafeCell<Next>);

// SAFETY: it is set when a configuration is read, and nginx does that, as everything, in one thread.
unsafe impl Sync for NextFilter {}

static NEXT: NextFilter = NextFilter(UnsafeCell::new(Next::stand_in(broken_chain)));

impl NextFilter {
    #[inline(always)]
    fn call(&self, r: *mut ngx_http_request_t) -> ngx_int_t {
        // SAFETY: as above.
        unsafe { *self.0.get() }.call(r)
    }
}

extern "C" fn broken_chain(_: *mut ngx_http_request_t) -> ngx_int_t {
    Code::NGX_ERROR.0
}

/// Puts the filter in front of those that are there.
pub fn install() {
    // SAFETY: as above.
    unsafe {
        *NEXT.0.get() = Next::new(ngx_http_top_header_filter, broken_chain);
        ngx_http_top_header_filter = Some(handler);
    }
}

/// nginx's entry.
unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location = r.location();
    match r.policy(location) {
        Some(policy) if r.is_main() => with_policy(request, location, policy),
        _ => NEXT.call(request),
    }
}

// The functions below go from the common to the rare, each a jump into the next: what most requests need runs without a
// stack frame, and what few need is paid by few. They are C's because a Rust function that might unwind cannot be jumped to.

/// Where there is no `Origin`, and no header yet that would have to be looked at, `Vary` is all there is to add.
#[inline(never)]
extern "C" fn with_policy(
    request: *mut ngx_http_request_t,
    location: &'static LocationConf,
    policy: &'static Policy,
) -> ngx_int_t {
    // SAFETY: nginx has called the entry with it.
    let r = unsafe { Request::from_ptr(request) };
    if r.method() == MethodKind::Options {
        return with_care(request, location, policy);
    }
    match policy.mode {
        Mode::List => match r.origin() {
            Field::Absent => write_vary(request, policy),
            Field::One(origin) => with_origin(request, location, policy, request::string(origin)),
            Field::Many => with_care(request, location, policy),
        },
        Mode::Any => write_allowed(request, policy, ngx_str_t::empty()),
        Mode::Careful => with_care(request, location, policy),
    }
}

/// Where the one `Origin` decides alone.
#[inline(never)]
extern "C" fn with_origin(
    request: *mut ngx_http_request_t,
    location: &'static LocationConf,
    policy: &'static Policy,
    origin: ngx_str_t,
) -> ngx_int_t {
    // SAFETY: nginx has called the entry with it, and keeps the origin as long as the request.
    let (r, value) = unsafe { (Request::from_ptr(request), request::slice(&origin)) };
    if guard(|| r.log(), false, || policy.engine.origins.allows(value)) {
        return write_allowed(request, policy, origin);
    }
    if r.logs(policy.log_level) {
        log_denied(request, location, policy);
    }
    write_vary(request, policy)
}

/// Writes an allowed response, for `origin` if it is not empty; the list of origins holds no empty one.
#[inline(always)]
fn write_allowed(request: *mut ngx_http_request_t, policy: &'static Policy, origin: ngx_str_t) -> ngx_int_t {
    // SAFETY: as above.
    let (r, value) = unsafe { (Request::from_ptr(request), request::slice(&origin)) };
    if r.has_no_headers_out() {
        let value = (!origin.data.is_null()).then_some(value);
        return go_on(request, Some(r.push_headers(policy.allowed.headers(), value)));
    }
    write_beside(request, &policy.allowed, origin)
}

/// Writes a denied response, or one to a request without an origin.
#[inline(always)]
fn write_vary(request: *mut ngx_http_request_t, policy: &'static Policy) -> ngx_int_t {
    // SAFETY: as above.
    let r = unsafe { Request::from_ptr(request) };
    if r.has_no_headers_out() {
        r.push_first_header(&policy.vary);
        return NEXT.call(request);
    }
    write_beside(request, &policy.denied, ngx_str_t::empty())
}

/// Writes a response that has headers already.
#[inline(never)]
extern "C" fn write_beside(
    request: *mut ngx_http_request_t,
    response: &'static Response,
    origin: ngx_str_t,
) -> ngx_int_t {
    // SAFETY: as above.
    let (r, value) = unsafe { (|| Request::from_ptr(request), request::slice(&origin)) };
    let written = guard(
        || r().log(),
        None,
        || {
            let r = r();
            let has_vary = remove(r);
            Some(response.write(r, (!value.is_empty()).then_some(value), has_vary))
        },
    );
    go_on(request, written)
}

/// The rest.
#[inline(never)]
extern "C" fn with_care(
    request: *mut ngx_http_request_t,
    location: &'static LocationConf,
    policy: &'static Policy,
) -> ngx_int_t {
    // SAFETY: nginx has called the entry with it.
    let r = || unsafe { Request::from_ptr(request) };
    let written = guard(|| r().log(), None, || Some(respond(r(), location, policy)));
    go_on(request, written)
}

/// Calls the next filter; where this one has panicked, without a CORS header.
#[inline(always)]
fn go_on(request: *mut ngx_http_request_t, written: Option<Result<(), OutOfMemory>>) -> ngx_int_t {
    match written {
        Some(Ok(())) => {}
        Some(Err(OutOfMemory)) => return Code::NGX_ERROR.0,
        None => fail_closed(request),
    }
    NEXT.call(request)
}

#[cold]
extern "C" fn fail_closed(request: *mut ngx_http_request_t) {
    // SAFETY: nginx has called the entry with it.
    let r = unsafe { Request::from_ptr(request) };
    let log = r.log();
    guard(|| log, false, || remove(r));
}

#[cold]
extern "C" fn log_denied(request: *mut ngx_http_request_t, location: &'static LocationConf, policy: &'static Policy) {
    // SAFETY: nginx has called the entry with it.
    let r = unsafe { Request::from_ptr(request) };
    let log = r.log();
    guard(
        || log,
        (),
        || {
            let asked = r.asked();
            let decision = policy.decide(r, &asked);
            denial::log(r, location, policy, decision);
        },
    );
}

#[inline(always)]
fn respond(r: &mut Request, location: &'static LocationConf, policy: &'static Policy) -> Result<(), OutOfMemory> {
    let decision = match r.decision() {
        Some(decision) => decision,
        None if !policy.active => return Ok(()),
        None if policy.bypasses(r) => return Ok(()),
        None => decide(r, location, policy),
    };
    if policy.dry_run || (decision.status.is_preflight() && !policy.answers_preflights) {
        return Ok(());
    }
    if !policy.overrides && r.headers_out().any(|header| request::has_name(header, b"access-control-allow-origin")) {
        return Ok(());
    }
    write(r, policy, decision)
}

/// Decides where the phase handler has not.
fn decide<'r>(r: &mut Request, location: &'static LocationConf, policy: &'static Policy) -> Decision<'r> {
    let asked = r.asked();
    let mut decision = policy.decide(r, &asked);
    if !matches!(decision.status, Status::NoOrigin | Status::Allowed) {
        if decision.status != Status::Denied {
            decision = take_over(r, location, policy, decision);
        }
        denial::log(r, location, policy, decision);
    }
    decision
}

/// What never came to a location's REWRITE phase (a `return` of the server's, a redirect to a slash, an `internal`
/// location) gets here unanswered. A preflight or a rejected request is given its own answer instead; where nginx could not
/// make sense of the request, or the phase handler has let it pass, the response stands.
#[cold]
fn take_over<'r>(
    r: &mut Request,
    location: &'static LocationConf,
    policy: &'static Policy,
    mut decision: Decision<'r>,
) -> Decision<'r> {
    if r.has_kept_policy(location) || matches!(r.response_status(), 400 | 408 | 414 | 421 | 500..) {
        decision.status = match decision.grant.value() {
            Some(_) => Status::Allowed,
            None => Status::Denied,
        };
    } else if let Some(status) = policy.answer(decision.status).filter(|_| !policy.dry_run) {
        r.make_empty(status);
    }
    decision
}

#[inline(always)]
fn write(r: &mut Request, policy: &Policy, decision: Decision<'_>) -> Result<(), OutOfMemory> {
    let has_vary = remove(r);
    let preflight = decision.status.is_preflight();
    let response = match (preflight, decision.grant) {
        (true, Grant::None) => &policy.preflight_denied,
        (true, _) => &policy.preflight,
        (false, Grant::None) => &policy.denied,
        (false, _) => &policy.allowed,
    };
    response.write_for(r, decision.grant, has_vary)?;
    if preflight && policy.echoes && decision.grant != Grant::None {
        return echo(r, policy);
    }
    Ok(())
}

/// Removes all `Access-Control-*`; says whether there is a `Vary`.
#[inline(always)]
fn remove(r: &mut Request) -> bool {
    !r.has_no_headers_out() && remove_from_list(r)
}

#[inline(never)]
fn remove_from_list(r: &mut Request) -> bool {
    let mut has_vary = false;
    for header in r.headers_out() {
        let name = request::name(header);
        if name.get(..15).is_some_and(|start| start.eq_ignore_ascii_case(b"access-control-")) {
            header.hash = 0;
        } else {
            has_vary |= request::has_name(header, b"vary");
        }
    }
    has_vary
}

/// What an answer to a preflight takes from the request: what was asked for where `*` would be taken literally, and the
/// permission to reach a private network.
#[cold]
fn echo(r: &mut Request, policy: &Policy) -> Result<(), OutOfMemory> {
    if policy.echo_method {
        let method = r.values(&REQUEST_METHOD).next().and_then(preflight::requested_method);
        if let Some(method) = method.filter(|method| is_token(method)) {
            r.push_headers(&[request::header("Access-Control-Allow-Methods", method)], None)?;
        }
    }
    if policy.echo_headers {
        let names = r.values(&REQUEST_HEADERS).flat_map(elements);
        if names.clone().next().is_some() && names.clone().all(is_token) {
            let mut lines = r.values(&REQUEST_HEADERS);
            let value = match (lines.next(), lines.next()) {
                // HTTP/2 hands white space at the ends on, and forbids it in an answer (RFC 9113, section 8.2.1).
                (Some(line), None) => trim(line),
                _ => r.join(names)?,
            };
            r.push_headers(&[request::header("Access-Control-Allow-Headers", value)], None)?;
        }
    }
    if policy.private_network && r.values(&REQUEST_PRIVATE_NETWORK).any(|value| value == b"true") {
        r.push_headers(&[request::header("Access-Control-Allow-Private-Network", b"true")], None)?;
    }
    Ok(())
}
