// SPDX-License-Identifier: Apache-2.0
//! The phase handler: a request reaches a location. It reads what decisions depend on and decides; it answers preflights and
//! rejected requests before anything else of the location acts on them.
//!
//! It runs in the REWRITE phase, ahead of `ngx_http_rewrite_module`: `return`, `if` and all later phases (access, limits,
//! content) have not acted yet. The request may come here again, by an internal redirect or `rewrite ... last`.

use std::ptr;

use cors_policy::origins::Listed;
use ngx::ffi::{ngx_http_request_t, ngx_int_t};

use super::decide::{arrive, decide_preflight, is_bypassed};
use super::keep::{Kept, Way};
use super::read::{find_origin, ORIGIN_NAME};
use crate::conf::{LocationConf, MainConf, Mode, Policy};
use crate::nginx::chain::{install_phase_handler, Arrival};
use crate::nginx::configuration::Configuration;
use crate::nginx::header_list::Place;
use crate::nginx::headers_in::Count;
use crate::nginx::request::{Code, Method};
use crate::nginx::strings::Str;
use crate::nginx::{OutOfMemory, Request};

/// Puts the handler in front of those of the phase.
pub fn install(cf: &mut Configuration<'_>) {
    if let Some(main) = cf.main_mut::<MainConf>() {
        install_phase_handler(cf, handler, main.next_handler);
    }
}

unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location: &LocationConf = r.location();
    (location.arrive)(r, location)
}

/// What happens to a request that reaches `location`.
pub fn arrival(location: &LocationConf) -> Arrival<LocationConf> {
    let Some(policy) = location.policy() else { return no_policy };
    if location.server_values.is_some() {
        return in_full;
    }
    match (policy.mode, location.reads_all, policy.dynamic.bypass.is_some()) {
        (Mode::List, false, false) => simple,
        (Mode::List, false, true) => bypassed,
        (Mode::List, true, false) => enforced,
        (Mode::Any, false, _) => for_all,
        _ => in_full,
    }
}

// The functions below are entered by a jump, so that most requests do not pay for the stack frame that few need. They have C's
// calling convention because a Rust function that might unwind cannot be jumped to.

extern "C" fn no_policy<'r>(r: Request<'r>, location: &'r LocationConf) -> ngx_int_t {
    location.next_handler.next(r)
}

/// Whether the request comes from a client, and has been in no location with a policy before.
#[inline(always)]
fn is_new<'r>(r: &Request<'r>, kept: &Kept<'r>) -> bool {
    !r.is_internal() && kept.policy().is_none()
}

/// Most requests reach one location with a policy, and `Origin` alone decides.
extern "C" fn simple<'r>(r: Request<'r>, location: &'r LocationConf) -> ngx_int_t {
    let (kept, Some(policy)) = (r.kept(), location.policy()) else { return no_policy(r, location) };
    if !is_new(&r, kept) {
        return in_full(r, location);
    }
    match r.method() {
        Method::Read => simple_case(r, kept, policy),
        Method::Options => options(r, location, policy),
        Method::Other => other_method(r, kept, policy),
    }
}

/// The policy, if the request is new and cannot be a preflight.
#[inline(always)]
fn policy_of_new<'r>(r: &Request<'r>, kept: &Kept<'r>, location: &'r LocationConf) -> Option<&'r Policy> {
    location.policy().filter(|_| is_new(r, kept) && r.method() != Method::Options)
}

/// A location that enforces, or that a request may leave for one that does.
extern "C" fn enforced<'r>(r: Request<'r>, location: &'r LocationConf) -> ngx_int_t {
    let kept = r.kept();
    match policy_of_new(&r, kept, location) {
        Some(policy) => sent_by(r, location, kept, policy),
        None => in_full(r, location),
    }
}

/// A location that bypasses some requests.
extern "C" fn bypassed<'r>(r: Request<'r>, location: &'r LocationConf) -> ngx_int_t {
    let kept = r.kept();
    match policy_of_new(&r, kept, location) {
        Some(policy) => unless_bypassed(r, location, kept, policy),
        None => in_full(r, location),
    }
}

/// A location that allows all origins.
extern "C" fn for_all<'r>(r: Request<'r>, location: &'r LocationConf) -> ngx_int_t {
    let kept = r.kept();
    let Some(policy) = policy_of_new(&r, kept, location) else { return in_full(r, location) };
    kept.method().set_first(r.method());
    kept.origins().set(find_origin(&r, kept));
    kept.adopt_simple(policy, Way::ForAll);
    go_on(r, policy)
}

/// All other locations; and requests that have been in a location with a policy before, are subrequests or may be preflights.
#[inline(never)]
extern "C" fn in_full<'r>(r: Request<'r>, location: &'r LocationConf) -> ngx_int_t {
    let (kept, Some(policy)) = (r.kept(), location.policy()) else { return no_policy(r, location) };
    let is_the_same = kept.policy().is_some_and(|in_effect| ptr::eq(in_effect, policy)) && kept.is_judged().get();
    match is_the_same || !r.is_main() {
        true => go_on(r, policy),
        false => general_case(r, location, policy),
    }
}

/// Who has sent the request matters, unless the list allows its origin.
#[inline(never)]
extern "C" fn sent_by<'r>(
    mut r: Request<'r>,
    location: &'r LocationConf,
    kept: &'r Kept<'r>,
    policy: &'r Policy,
) -> ngx_int_t {
    kept.method().set_first(r.method());
    if r.guard(true, |r| {
        kept.read_sender(r);
        false
    }) {
        return Code::ERROR.0;
    }
    kept.is_read().set_first(true);
    // Enforcement lets an allowed origin pass, whatever else the request says.
    let is_one = kept.origins().get() == Count::One;
    if is_one && policy.rules.lists(kept.origin().as_bytes()) == Listed::Yes {
        kept.adopt_simple(policy, Way::Allowed);
        return go_on(r, policy);
    }
    general_case(r, location, policy)
}

/// The list decides, unless the request is bypassed.
#[inline(never)]
extern "C" fn unless_bypassed<'r>(
    mut r: Request<'r>,
    location: &'r LocationConf,
    kept: &'r Kept<'r>,
    policy: &'r Policy,
) -> ngx_int_t {
    kept.method().set_first(r.method());
    let count = find_origin(&r, kept);
    kept.origins().set(count);
    kept.is_read().set_first(true);
    match (r.guard(Err(OutOfMemory), |r| is_bypassed(r, policy, kept)), count) {
        (Ok(false), Count::One) => with_origin(r, kept, policy, kept.origin()),
        (Err(OutOfMemory), _) => Code::ERROR.0,
        _ => general_case(r, location, policy),
    }
}

#[inline(never)]
extern "C" fn other_method<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    kept.method().set_first(Method::Other);
    simple_case(r, kept, policy)
}

#[inline(never)]
extern "C" fn simple_case<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    match r.fields_in(&ORIGIN_NAME).first() {
        Some(place) => with_field(r, kept, policy, place),
        None => {
            kept.adopt_simple(policy, Way::NoOrigin);
            go_on(r, policy)
        }
    }
}

/// The request has a field that is `Origin`, unless only the hash of its name is that of `Origin`.
#[inline(never)]
extern "C" fn with_field<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy, place: Place<'r>) -> ngx_int_t {
    match ORIGIN_NAME.only_value(place) {
        Some(origin) => {
            kept.set_text(origin);
            with_origin(r, kept, policy, origin)
        }
        None => count_origins(r, kept, policy),
    }
}

/// There are several `Origin` fields, or a field with another name that has the same hash.
#[cold]
extern "C" fn count_origins<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    match find_origin(&r, kept) {
        Count::None => {
            kept.adopt_simple(policy, Way::NoOrigin);
            go_on(r, policy)
        }
        Count::One => with_origin(r, kept, policy, kept.origin()),
        Count::Many => {
            let location = r.location();
            general_case(r, location, policy)
        }
    }
}

/// The request has one `Origin`, which the list allows or does not.
#[inline(always)]
fn with_origin<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy, origin: Str<'r>) -> ngx_int_t {
    if !policy.begins_elsewhere {
        without_files(r, kept, policy, origin)
    } else if policy.rules.files.is_empty() {
        unlisted(r, kept, policy, origin)
    } else {
        with_files(r, kept, policy, origin)
    }
}

#[inline(never)]
extern "C" fn without_files<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy, origin: Str<'r>) -> ngx_int_t {
    match policy.rules.origins.lists_at_once(origin.as_bytes()) {
        Some(listed) => by_list(r, kept, policy, origin, listed),
        None => with_origin_in_full(r, kept, policy, origin),
    }
}

#[inline(never)]
extern "C" fn with_files<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy, origin: Str<'r>) -> ngx_int_t {
    match policy.rules.lists_at_once(origin.as_bytes()) {
        Some(listed) => by_list(r, kept, policy, origin, listed),
        None => with_origin_in_full(r, kept, policy, origin),
    }
}

/// The first string of a table that might be the origin is another one.
#[cold]
extern "C" fn with_origin_in_full<'r>(
    r: Request<'r>,
    kept: &'r Kept<'r>,
    policy: &'r Policy,
    origin: Str<'r>,
) -> ngx_int_t {
    by_list(r, kept, policy, origin, policy.rules.lists(origin.as_bytes()))
}

#[inline(always)]
fn by_list<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy, origin: Str<'r>, listed: Listed) -> ngx_int_t {
    match listed {
        Listed::Yes => kept.adopt_simple(policy, Way::Allowed),
        Listed::No => kept.adopt_simple(policy, Way::Denied),
        Listed::Unknown => return unlisted(r, kept, policy, origin),
    }
    go_on(r, policy)
}

#[inline(never)]
extern "C" fn unlisted<'r>(mut r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy, origin: Str<'r>) -> ngx_int_t {
    let is_allowed = r.guard(false, |_| policy.rules.allows_unlisted(origin.as_bytes()));
    kept.adopt_simple(policy, if is_allowed { Way::Allowed } else { Way::Denied });
    go_on(r, policy)
}

/// An `OPTIONS` request reaches its first location with a policy.
#[inline(never)]
extern "C" fn options<'r>(mut r: Request<'r>, location: &'r LocationConf, policy: &'r Policy) -> ngx_int_t {
    let answer = r.guard(Some(Code::ERROR), |r| {
        let kept = r.kept();
        match kept.read_preflight(r) {
            Ok(true) if policy.answers_preflights => {
                let status = decide_preflight(r, policy, kept);
                Some(r.answer(status))
            }
            Ok(_) => return_from(r, location, policy),
            Err(_) => Some(Code::ERROR),
        }
    });
    match answer {
        Some(code) => code.0,
        None => go_on(r, policy),
    }
}

#[inline(never)]
extern "C" fn general_case<'r>(mut r: Request<'r>, location: &'r LocationConf, policy: &'r Policy) -> ngx_int_t {
    let answer = r.guard(Some(Code::ERROR), |r| return_from(r, location, policy));
    match answer {
        Some(code) => code.0,
        None => go_on(r, policy),
    }
}

/// What the handler returns; `None` if the request goes on.
fn return_from<'r>(r: &mut Request<'r>, location: &'r LocationConf, policy: &'r Policy) -> Option<Code> {
    if r.is_post_action() {
        return None;
    }
    match arrive(r, location, policy, true) {
        Ok(Some(status)) => Some(r.answer(status)),
        Ok(None) => None,
        Err(_) => Some(Code::ERROR),
    }
}

#[inline(always)]
fn go_on(r: Request<'_>, policy: &Policy) -> ngx_int_t {
    policy.next_handler.next(r)
}
