//! The phase handler: answers preflights and enforces, before anything else of the location acts.
//!
//! It sits in the REWRITE phase and, being pushed last, runs ahead of `ngx_http_rewrite_module`: `return`, `if` and all
//! later phases (access, limits, content) have not acted yet.

use ngx::core::Status as Code;
use ngx::ffi::{ngx_http_request_t, ngx_int_t};

use cors_policy::request::MethodKind;

use crate::barrier::guard;
use crate::denial;
use crate::location::LocationConf;
use crate::policy::Policy;
use crate::request::Request;

/// nginx's entry.
///
/// # Safety
/// nginx calls it with a request.
pub unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: the caller's promise.
    let r = unsafe { Request::from_ptr(r) };
    let Some(location) = r.location() else { return Code::NGX_DECLINED.0 };
    let Some(policy) = location.policy() else {
        if location.off && r.is_main() {
            r.keep_policy(location, None);
        }
        return Code::NGX_DECLINED.0;
    };
    if !r.is_main() {
        return Code::NGX_DECLINED.0;
    }
    r.keep_policy(location, Some(policy));
    if r.method() != MethodKind::Options && !policy.engine.enforce {
        return Code::NGX_DECLINED.0;
    }
    guard(r.log(), Code::NGX_ERROR.0, || decide(r, location, policy).0)
}

fn decide(r: &mut Request, location: &'static LocationConf, policy: &'static Policy) -> Code {
    if policy.bypasses(r) {
        return Code::NGX_DECLINED;
    }
    let asked = r.asked::<true>();
    let decision = policy.decide(r, &asked);
    if r.keep_decision(decision).is_err() {
        return Code::NGX_ERROR;
    }
    let Some(status) = policy.answer(decision.status) else { return Code::NGX_DECLINED };
    denial::log(r, location, policy, &asked, decision);
    if policy.dry_run {
        return Code::NGX_DECLINED;
    }
    r.answer(status)
}
