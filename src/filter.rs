//! The header filter: writes a response's CORS headers, whoever made the response.
//!
//! It runs behind `add_header` and the upstream's headers, so that it sees, and replaces, what they have set.

use std::sync::atomic::{AtomicPtr, Ordering};

use cors_policy::list::{elements, is_token, trim};
use cors_policy::request::MethodKind;
use cors_policy::{preflight, vary, Decision, Grant, Status};
use ngx::core::Status as Code;
use ngx::ffi::{
    ngx_http_output_header_filter_pt, ngx_http_request_t, ngx_http_top_header_filter, ngx_int_t, ngx_table_elt_t,
};

use crate::barrier::guard;
use crate::denial;
use crate::location::LocationConf;
use crate::policy::Policy;
use crate::request::{self, OutOfMemory, Request, REQUEST_HEADERS, REQUEST_METHOD, REQUEST_PRIVATE_NETWORK};

/// The next header filter; set when the configuration is read, before there are requests.
static NEXT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Puts the filter in front of those that are there.
pub fn install() {
    // SAFETY: nginx reads a configuration in one thread; the two types are pointers to the same kind of function.
    unsafe {
        let next = ngx_http_top_header_filter.map_or(std::ptr::null_mut(), |next| next as *mut ());
        NEXT.store(next, Ordering::Relaxed);
        ngx_http_top_header_filter = Some(handler);
    }
}

#[inline(always)]
fn next(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: what `install` has stored.
    let next: ngx_http_output_header_filter_pt = unsafe { std::mem::transmute(NEXT.load(Ordering::Relaxed)) };
    match next {
        // SAFETY: nginx's own chain of filters.
        Some(next) => unsafe { next(r) },
        None => Code::NGX_ERROR.0,
    }
}

/// nginx's entry.
///
/// # Safety
/// nginx calls it with a request.
unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: the caller's promise.
    let r = unsafe { Request::from_ptr(request) };
    let Some(location) = r.location() else { return next(request) };
    let Some(policy) = r.policy(location) else { return next(request) };
    if !r.is_main() {
        return next(request);
    }
    match guard(r.log(), None, || Some(respond(r, location, policy))) {
        Some(Ok(())) => {}
        Some(Err(OutOfMemory)) => return Code::NGX_ERROR.0,
        None => _ = guard(r.log(), false, || remove(r)),
    }
    next(request)
}

fn respond(r: &mut Request, location: &'static LocationConf, policy: &'static Policy) -> Result<(), OutOfMemory> {
    let decision = match r.decision() {
        Some(decision) => decision,
        None if policy.bypasses(r) => return Ok(()),
        None => decide(r, location, policy),
    };
    if policy.dry_run || (decision.status.is_preflight() && !policy.answers_preflights) {
        return Ok(());
    }
    if !policy.overrides && r.headers_out().any(|header| has_name(header, b"access-control-allow-origin")) {
        return Ok(());
    }
    write(r, policy, decision)
}

/// Decides where the phase handler has not.
fn decide<'r>(r: &mut Request, location: &'static LocationConf, policy: &'static Policy) -> Decision<'r> {
    let all = r.method() == MethodKind::Options || policy.engine.enforce;
    let asked = if all { r.asked::<true>() } else { r.asked::<false>() };
    let mut decision = policy.decide(r, &asked);
    if !matches!(decision.status, Status::NoOrigin | Status::Allowed) {
        if decision.status != Status::Denied {
            decision = take_over(r, location, policy, decision);
        }
        denial::log(r, location, policy, &asked, decision);
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
    } else if let Some(status) = policy.answer(decision.status) {
        r.make_empty(status);
    }
    decision
}

fn write(r: &mut Request, policy: &Policy, decision: Decision<'_>) -> Result<(), OutOfMemory> {
    let has_vary = remove(r);
    let preflight = decision.status.is_preflight();
    if let Some(origin) = decision.grant.value() {
        r.push_header("Access-Control-Allow-Origin", origin)?;
        for header in if preflight { &policy.preflight } else { &policy.simple } {
            r.push_header(header.name, &header.value)?;
        }
        if preflight {
            echo(r, policy)?;
        }
    }
    match if preflight { vary::PREFLIGHT } else { vary::SIMPLE } {
        _ if decision.grant == Grant::Any => Ok(()),
        names if has_vary => merge_vary(r, names),
        names => r.push_header("Vary", names.as_bytes()),
    }
}

/// Removes all `Access-Control-*`; says whether there is a `Vary`.
#[inline]
fn remove(r: &mut Request) -> bool {
    let mut has_vary = false;
    for header in r.headers_out() {
        let name = request::name(header);
        if name.get(..15).is_some_and(|start| start.eq_ignore_ascii_case(b"access-control-")) {
            header.hash = 0;
        } else {
            has_vary |= has_name(header, b"vary");
        }
    }
    has_vary
}

fn has_name(header: &ngx_table_elt_t, name: &[u8]) -> bool {
    request::name(header).eq_ignore_ascii_case(name)
}

/// Adds to the `Vary` that is there.
#[cold]
fn merge_vary(r: &mut Request, names: &'static str) -> Result<(), OutOfMemory> {
    let lines: Vec<_> = r.headers_out().filter(|header| has_name(header, b"vary")).map(|h| request::value(h)).collect();
    let missing: Vec<_> = vary::missing(lines.iter().copied(), names).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let first = lines.first().copied().map(trim).filter(|line| !line.is_empty());
    let value = r.join(first.into_iter().chain(missing.iter().copied()))?;
    if let Some(header) = r.headers_out().find(|header| has_name(header, b"vary")) {
        header.value = request::string(value);
    }
    Ok(())
}

/// What an answer to a preflight takes from the request: what was asked for where `*` would be taken literally, and the
/// permission to reach a private network.
fn echo(r: &mut Request, policy: &Policy) -> Result<(), OutOfMemory> {
    if policy.echo_method {
        let method = r.values(&REQUEST_METHOD).next().and_then(preflight::requested_method);
        if let Some(method) = method.filter(|method| is_token(method)) {
            r.push_header("Access-Control-Allow-Methods", method)?;
        }
    }
    if policy.echo_headers {
        let names = r.values(&REQUEST_HEADERS).flat_map(elements);
        if names.clone().next().is_some() && names.clone().all(is_token) {
            let mut lines = r.values(&REQUEST_HEADERS);
            let value = match (lines.next(), lines.next()) {
                (Some(line), None) => line,
                _ => r.join(names)?,
            };
            r.push_header("Access-Control-Allow-Headers", value)?;
        }
    }
    if policy.private_network && r.values(&REQUEST_PRIVATE_NETWORK).any(|value| value == b"true") {
        r.push_header("Access-Control-Allow-Private-Network", b"true")?;
    }
    Ok(())
}
