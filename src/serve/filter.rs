//! The filters that a response goes through.
//!
//! - [`first`] sees its header before all others. It decides about a request that no location has seen, because nginx answers
//!   it itself (a `return` of the server's, a redirect to a slash, a body that is too large), and puts the module's answer in
//!   the place of nginx's.
//! - [`handler`] runs behind `add_header` and the upstream's fields, and writes the fields of CORS.
//! - [`body`] drops the body of a response whose place the module's answer has taken.

use std::ptr;

use cors_policy::{Grant, Status};
use ngx::ffi::{ngx_chain_t, ngx_http_request_t, ngx_int_t, ngx_str_t};

use super::decide::arrive;
use super::keep::Kept;
use super::{denial, write};
use crate::conf::{LocationConf, Mode, Policy, Prepared};
use crate::nginx::answer::Body;
use crate::nginx::chain::{is_first, BodyFunction, Function, Link};
use crate::nginx::header_list::has_name;
use crate::nginx::request::Code;
use crate::nginx::strings::{slice, string};
use crate::nginx::{OutOfMemory, Request};

static NEXT: Link<Function> = Link::of_headers();
static BEHIND_FIRST: Link<Function> = Link::of_headers();
static BEHIND_BODY: Link<BodyFunction> = Link::of_bodies();
#[cfg(nginx_early_hints)]
static BEHIND_EARLY_HINTS: Link<Function> = Link::of_headers();

/// Puts the filter that writes behind `add_header`: where the module is among the modules of the configuration.
pub fn install() {
    NEXT.install(handler);
    #[cfg(nginx_early_hints)]
    BEHIND_EARLY_HINTS.install_for_early_hints(early_hints);
}

/// Puts the others in front of the filters of all modules, when the configuration is complete.
pub fn install_first() {
    // A configuration without `http` leaves the chains as they are.
    if !is_first(first) {
        BEHIND_FIRST.install(first);
        BEHIND_BODY.install(body);
    }
}

// The functions below go from the common to the rare, each a jump into the next: what most requests need runs without a
// stack frame, and what few need is paid by few. They have C's calling convention because a Rust function that might unwind
// cannot be jumped to.

unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location: &LocationConf = r.location();
    let kept = r.kept(location.slot);
    match kept.policy.get() {
        Some(policy) if r.is_main() => with_policy(r, kept, policy),
        _ => NEXT.next(r),
    }
}

#[inline(never)]
extern "C" fn with_policy<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    let decision = kept.decision.get().unwrap_or_default();
    if policy.mode == Mode::General || decision.status.is_preflight() {
        return general_case(r, kept, policy);
    }
    match decision.grant {
        Grant::Origin => match kept.facts.get().and_then(|facts| facts.origin.one()) {
            Some(origin) => write_allowed(r, policy, string(origin)),
            None => general_case(r, kept, policy),
        },
        Grant::Any => write_allowed(r, policy, ngx_str_t::empty()),
        Grant::None => {
            if decision.status == Status::Denied && r.log().writes(policy.log_level) {
                return log_denied(r, kept, policy);
            }
            write_vary(r, policy)
        }
    }
}

/// Writes an allowed response, for `origin` if it is not empty; the list of origins holds no empty one.
#[inline(always)]
fn write_allowed<'r>(mut r: Request<'r>, policy: &'r Policy, origin: ngx_str_t) -> ngx_int_t {
    if r.has_no_headers_out() {
        // SAFETY: the origin is one of the request's fields.
        let value = (!origin.data.is_null()).then(|| unsafe { slice(&origin) });
        let written = r.push_headers(policy.allowed.fields(), value);
        return go_on(r, Some(written));
    }
    among_existing(r, &policy.allowed, origin)
}

/// Writes a denied response, or one to a request without an origin.
#[inline(always)]
fn write_vary<'r>(mut r: Request<'r>, policy: &'r Policy) -> ngx_int_t {
    if let ([vary], true) = (policy.denied.fields(), r.has_no_headers_out()) {
        r.push_first_header(vary);
        return NEXT.next(r);
    }
    among_existing(r, &policy.denied, ngx_str_t::empty())
}

/// Writes a response that has fields already.
#[inline(never)]
extern "C" fn among_existing<'r>(mut r: Request<'r>, prepared: &'r Prepared, origin: ngx_str_t) -> ngx_int_t {
    let written = r.guard(None, |r| {
        // SAFETY: the origin is one of the request's fields.
        let value = (!origin.data.is_null()).then(|| unsafe { slice(&origin) });
        Some(write::among_existing(r, prepared, value))
    });
    go_on(r, written)
}

#[cold]
extern "C" fn log_denied<'r>(mut r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    r.guard((), |r| denial::log(r, policy, kept));
    write_vary(r, policy)
}

/// The rest.
#[inline(never)]
extern "C" fn general_case<'r>(mut r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    let written = r.guard(None, |r| Some(respond(r, kept, policy)));
    go_on(r, written)
}

/// Calls the next filter; after a panic, without any field of CORS.
#[inline(always)]
fn go_on(mut r: Request<'_>, written: Option<Result<(), OutOfMemory>>) -> ngx_int_t {
    match written {
        Some(Ok(())) => {}
        Some(Err(OutOfMemory)) => return Code::ERROR.0,
        None => fail_closed(&mut r),
    }
    NEXT.next(r)
}

#[cold]
#[inline(never)]
fn fail_closed(r: &mut Request<'_>) {
    r.guard(false, |r| write::remove(r));
}

fn respond<'r>(r: &mut Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> Result<(), OutOfMemory> {
    let (Some(facts), Some(decision)) = (kept.facts.get(), kept.decision.get()) else { return Ok(()) };
    if !policy.is_active || decision.status == Status::Bypass {
        return Ok(());
    }
    let is_preflight = decision.status.is_preflight();
    let is_left_to_others = is_preflight && !policy.answers_preflights;
    if !is_left_to_others {
        denial::log(r, policy, kept);
    }
    if policy.dry_run {
        return Ok(());
    }
    if is_left_to_others || (!policy.overrides && has_allow_origin(r)) {
        return write::vary_only(r, policy, is_preflight);
    }
    write::response(r, policy, facts, is_preflight, decision.grant)
}

fn has_allow_origin(r: &mut Request<'_>) -> bool {
    r.headers_out().any(|header| has_name(header, b"access-control-allow-origin"))
}

unsafe extern "C" fn first(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location: &LocationConf = r.location();
    let in_effect = r.kept(location.slot).policy.get();
    // In both, `None` is a null pointer, and mostly they are the same.
    if location.policy().map_or(ptr::null(), ptr::from_ref) == in_effect.map_or(ptr::null(), ptr::from_ref) {
        return BEHIND_FIRST.next(r);
    }
    match location.policy() {
        Some(policy) if r.is_main() => unseen(r, location, policy),
        _ => BEHIND_FIRST.next(r),
    }
}

/// The response to a request that the phase handler may not have seen in this location.
#[inline(never)]
extern "C" fn unseen<'r>(mut r: Request<'r>, location: &'r LocationConf, policy: &'r Policy) -> ngx_int_t {
    // If nginx cannot make sense of the request, or an administrator has closed the server, that response is kept.
    let may_answer = !matches!(r.response_status(), 400 | 408 | 414 | 421 | 500..);
    match r.guard(Err(OutOfMemory), |r| arrive(r, location, policy, may_answer)) {
        Ok(None) => BEHIND_FIRST.next(r),
        Ok(Some(status)) => take_over(r, location, status),
        Err(OutOfMemory) => Code::ERROR.0,
    }
}

#[cold]
fn take_over(mut r: Request<'_>, location: &LocationConf, status: u16) -> ngx_int_t {
    r.replace_response(status);
    let sent = BEHIND_FIRST.next_and_return(&mut r);
    // Whoever has begun the response now sends its body, unless the header is all of it.
    let has_body = matches!(sent, Code::OK | Code::AGAIN) && !r.is_header_only();
    r.kept(location.slot).drops_body.set(has_body);
    sent.0
}

unsafe extern "C" fn body(request: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location: &LocationConf = r.location();
    if r.kept(location.slot).drops_body.get() && r.is_main() && !chain.is_null() {
        // SAFETY: nginx calls it with a part of the body.
        return drop_body(r, location, unsafe { Body::from_ptr(chain) });
    }
    BEHIND_BODY.next(r, chain)
}

/// Sends the end of the body, and nothing else of it.
#[cold]
fn drop_body(mut r: Request<'_>, location: &LocationConf, body: Body) -> ngx_int_t {
    if !body.discard() {
        return Code::OK.0;
    }
    r.kept(location.slot).drops_body.set(false);
    r.send_last().0
}

/// A 103 response of the upstream's: it has none of its fields of CORS, as the final one.
#[cfg(nginx_early_hints)]
unsafe extern "C" fn early_hints(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let mut r = unsafe { Request::from_ptr(request) };
    let location: &LocationConf = r.location();
    let kept = r.kept(location.slot);
    if let (Some(policy), Some(decision), true) = (kept.policy.get(), kept.decision.get(), r.is_main()) {
        let is_left_to_others = decision.status.is_preflight() && !policy.answers_preflights;
        let does_nothing = !policy.is_active || policy.dry_run || decision.status == Status::Bypass;
        if !does_nothing && !is_left_to_others && policy.overrides {
            r.guard(false, |r| write::remove(r));
        }
    }
    BEHIND_EARLY_HINTS.next(r)
}
