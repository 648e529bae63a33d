//! The phase handler: a request reaches a location. It reads what decisions depend on and decides; it answers preflights and
//! rejected requests before anything else of the location acts on them.
//!
//! It runs in the REWRITE phase, ahead of `ngx_http_rewrite_module`: `return`, `if` and all later phases (access, limits,
//! content) have not acted yet. The request may come here again, by an internal redirect or `rewrite ... last`.

use std::ptr;

use cors_policy::facts::{Field, MethodKind};
use cors_policy::{Grant, Rules};
use ngx::ffi::{ngx_http_request_t, ngx_int_t};

use super::decide::arrive;
use super::read::read;
use crate::conf::{LocationConf, MainConf, Mode, Policy};
use crate::nginx::chain::install_phase_handler;
use crate::nginx::configuration::Configuration;
use crate::nginx::request::{Code, Method};
use crate::nginx::Request;

/// Puts the handler in front of those of the phase.
pub fn install(cf: &mut Configuration<'_>) {
    let next = install_phase_handler(cf, handler);
    if let Some(main) = cf.main_mut::<MainConf>() {
        main.next_handler = next;
    }
}

unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location: &LocationConf = r.location();
    if let Some(policy) = location.policy() {
        if r.is_main() {
            let in_effect = r.kept(location.slot).policy.get();
            if in_effect.is_none() && policy.mode != Mode::General && r.method() != Method::Options {
                return simple_case(r, location, policy);
            }
            if !in_effect.is_some_and(|in_effect| ptr::eq(in_effect, policy)) {
                return general_case(r, location, policy);
            }
        }
    }
    go_on(r)
}

// The functions below are entered by a jump, so that most requests do not pay for the stack frame that few need. They have C's
// calling convention because a Rust function that might unwind cannot be jumped to.

/// The request reaches its first location with a policy, and `Origin` alone decides.
#[inline(never)]
extern "C" fn simple_case<'r>(mut r: Request<'r>, location: &'r LocationConf, policy: &'r Policy) -> ngx_int_t {
    let kept = r.kept(location.slot);
    let Ok(facts) = read(&mut r) else { return Code::ERROR.0 };
    if facts.method == MethodKind::Options {
        return general_case(r, location, policy);
    }
    let facts = kept.facts.set(facts);
    let grant = match (policy.mode, facts.origin) {
        (Mode::Any, _) => Grant::Any,
        (_, Field::One(origin)) if r.guard(false, |_| policy.rules.origins.allows(origin)) => Grant::Origin,
        _ => Grant::None,
    };
    kept.adopt(policy, Rules::decide(facts, grant));
    go_on(r)
}

#[inline(never)]
extern "C" fn general_case<'r>(mut r: Request<'r>, location: &'r LocationConf, policy: &'r Policy) -> ngx_int_t {
    let answer = r.guard(Some(Code::ERROR), |r| match arrive(r, location, policy, true) {
        Ok(Some(status)) => Some(r.answer(status)),
        Ok(None) => None,
        Err(_) => Some(Code::ERROR),
    });
    match answer {
        Some(code) => code.0,
        None => go_on(r),
    }
}

#[inline(always)]
fn go_on(r: Request<'_>) -> ngx_int_t {
    r.main_conf::<MainConf>().next_handler.call(r)
}
