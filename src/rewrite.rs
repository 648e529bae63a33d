//! The phase handler: answers preflights and enforces, before anything else of the location acts.
//!
//! It sits in the REWRITE phase, ahead of `ngx_http_rewrite_module`: `return`, `if` and all later phases (access, limits,
//! content) have not acted yet. Of the handlers of a phase nginx calls that first which was pushed last. This one takes its
//! place and calls it in turn, which spares every request, whatever its location, a round of the phase engine.

use std::ptr::NonNull;

use cors_policy::facts::MethodKind;
use ngx::core::Status as Code;
use ngx::ffi::{ngx_array_t, ngx_http_handler_pt, ngx_http_request_t, ngx_int_t};

use crate::barrier::guard;
use crate::denial;
use crate::fallible::ngx_array_push;
use crate::location::LocationConf;
use crate::next::Next;
use crate::policy::Policy;
use crate::request::{OutOfMemory, Request};

/// What stands in for a next handler.
pub extern "C" fn declined(_: *mut ngx_http_request_t) -> ngx_int_t {
    Code::NGX_DECLINED.0
}

/// Puts the handler in front of those of the phase; returns the one whose place it takes.
pub fn install(handlers: &mut ngx_array_t) -> Result<Next, OutOfMemory> {
    // SAFETY: nginx has made the array, of handlers.
    if let Some(last) = unsafe { handlers.as_slice_mut::<ngx_http_handler_pt>() }.last_mut() {
        return Ok(Next::new(last.replace(handler), declined));
    }
    // SAFETY: as above.
    let pushed = NonNull::new(unsafe { ngx_array_push(handlers) }.cast::<ngx_http_handler_pt>());
    // SAFETY: a pushed element is memory of the right size.
    unsafe { pushed.ok_or(OutOfMemory)?.write(Some(handler)) };
    Ok(Next::stand_in(declined))
}

/// nginx's entry.
unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location = r.location();
    match location.policy() {
        Some(policy) if r.is_main() => {
            let policy = r.keep_policy(location, policy);
            if policy.engine.enforce || r.method() == MethodKind::Options {
                return with_policy(request, location, policy);
            }
            r.main_conf().next_handler.call(request)
        }
        _ => r.main_conf().next_handler.call(request),
    }
}

/// Out of line, so that other requests do not pay for its registers; C's way, so that it is a jump.
#[inline(never)]
extern "C" fn with_policy(
    request: *mut ngx_http_request_t,
    location: &'static LocationConf,
    policy: &'static Policy,
) -> ngx_int_t {
    // SAFETY: nginx has called the entry with it.
    let r = || unsafe { Request::from_ptr(request) };
    match guard(|| r().log(), Some(Code::NGX_ERROR), || decide(r(), location, policy)) {
        Some(answer) => answer.0,
        None => r().main_conf().next_handler.call(request),
    }
}

/// What the handler returns where the request goes no further.
fn decide(r: &mut Request, location: &'static LocationConf, policy: &'static Policy) -> Option<Code> {
    if !policy.active || policy.bypasses(r) {
        return None;
    }
    let asked = r.asked_in_short();
    let decision = policy.decide(r, &asked);
    if r.keep_decision(decision).is_err() {
        return Some(Code::NGX_ERROR);
    }
    let status = policy.answer(decision.status)?;
    denial::log(r, location, policy, decision);
    (!policy.dry_run).then(|| r.answer(status))
}
