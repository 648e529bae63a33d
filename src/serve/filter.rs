// SPDX-License-Identifier: Apache-2.0
//! The filters that a response goes through.
//!
//! - [`first`] sees its header before all others. It decides about a request that no location has seen, because nginx answers
//!   it itself (a `return` of the server's, a redirect to a slash, a body that is too large), and puts the module's answer in
//!   the place of nginx's.
//! - [`handler`] runs behind `add_header` and the upstream's fields, and writes the fields of CORS.
//! - [`body`] drops the body of a response whose place the module's answer has taken. It is put in front of the body filters when
//!   that happens for the first time, so that a worker in which it never does has no filter more.

use std::ptr;

use cors_policy::frequent::LONGEST;
use cors_policy::{vary, Decision, Status};
use ngx::ffi::{ngx_chain_t, ngx_http_request_t, ngx_int_t, ngx_table_elt_t};

use super::decide::{arrive, may_answer};
use super::keep::{Kept, Way};
use super::write::{self, Own};
use super::{count, denial, loss};
use crate::conf::counting::PolicyRow;
use crate::conf::{LocationConf, Policy, Prepared};
use crate::nginx::answer::Body;
use crate::nginx::chain::{BodyFunction, Function, Link};
use crate::nginx::header_list::has_name;
use crate::nginx::headers_out::FieldOut;
use crate::nginx::request::Code;
use crate::nginx::strings::Str;
use crate::nginx::{OutOfMemory, Request};

static NEXT: Link<Function> = Link::of_headers();
static BEHIND_FIRST: Link<Function> = Link::of_headers();
static BEHIND_BODY: Link<BodyFunction> = Link::of_bodies();
#[cfg(nginx_early_hints)]
static BEHIND_EARLY_HINTS: Link<Function> = Link::of_headers();

/// Puts the filter that writes behind `add_header`: where the module is among the modules of the configuration. If `counts` is set,
/// it counts as well.
pub fn install(counts: bool) {
    NEXT.install(if counts { counting_handler } else { handler });
    #[cfg(nginx_early_hints)]
    BEHIND_EARLY_HINTS.install_for_early_hints(early_hints);
}

/// Puts the first filter in front of those that are there: all, as its module is the last.
pub fn install_first() {
    BEHIND_FIRST.install(first);
}

// The functions below go from the common to the rare, each a jump into the next: what most requests need runs without a
// stack frame, and what few need is paid by few. They have C's calling convention because a Rust function that might unwind
// cannot be jumped to.

unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let kept = r.kept();
    match kept.policy() {
        Some(policy) if r.is_main() => with_policy(r, kept, policy),
        _ => NEXT.next(r),
    }
}

/// [`handler`] if there is a zone: without one, no request pays for counting.
unsafe extern "C" fn counting_handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let kept = r.kept();
    match kept.policy() {
        Some(policy) if r.is_main() => match policy.row.get() {
            Some(row) if !count::count_common(kept, row) => count_denied(r, kept, policy, row),
            _ => with_policy(r, kept, policy),
        },
        _ => NEXT.next(r),
    }
}

#[inline(never)]
extern "C" fn count_denied<'r>(
    r: Request<'r>,
    kept: &'r Kept<'r>,
    policy: &'r Policy,
    row: &'r PolicyRow,
) -> ngx_int_t {
    if count::is_denied(&r, kept) {
        return count_denied_again(r, kept, policy, row);
    }
    count_others(r, kept, policy, row)
}

#[inline(never)]
extern "C" fn count_denied_again<'r>(
    r: Request<'r>,
    kept: &'r Kept<'r>,
    policy: &'r Policy,
    row: &'r PolicyRow,
) -> ngx_int_t {
    // Most origins have one of these lengths, for which the hash needs no loop.
    if count::count_denied(kept, row, 16..=32) {
        return with_policy(r, kept, policy);
    }
    count_denied_long(r, kept, policy, row)
}

#[inline(never)]
extern "C" fn count_denied_long<'r>(
    r: Request<'r>,
    kept: &'r Kept<'r>,
    policy: &'r Policy,
    row: &'r PolicyRow,
) -> ngx_int_t {
    if count::count_denied(kept, row, 33..=LONGEST) {
        return with_policy(r, kept, policy);
    }
    count_others(r, kept, policy, row)
}

#[inline(never)]
extern "C" fn count_others<'r>(
    mut r: Request<'r>,
    kept: &'r Kept<'r>,
    policy: &'r Policy,
    row: &'r PolicyRow,
) -> ngx_int_t {
    r.guard((), |r| count::count(r, kept, policy, row));
    with_policy(r, kept, policy)
}

#[inline(never)]
extern "C" fn with_policy<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    match kept.way().get() {
        Way::NoOrigin => write_vary(r, policy),
        Way::Allowed => write_first(r, &policy.allowed, Some(kept.origin())),
        Way::Denied => denied(r, kept, policy),
        _ => less_common(r, kept, policy),
    }
}

/// Apart from the others, which are so few that they need no table of jumps.
#[inline(never)]
extern "C" fn less_common<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    match kept.way().get() {
        Way::Preflight => write_first(r, &policy.preflight, Some(kept.origin())),
        Way::ForAll => write_first(r, &policy.allowed, None),
        Way::PreflightDenied => write_first(r, &policy.preflight_denied, None),
        Way::Echo => echo(r, kept, policy),
        _ => general_case(r, kept, policy),
    }
}

#[inline(always)]
fn denied<'r>(r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    match r.log().writes(policy.log_level) {
        false => write_vary(r, policy),
        true => log_denied(r, kept, policy),
    }
}

/// Writes a denied response, or one to a request without an origin.
#[inline(always)]
fn write_vary<'r>(mut r: Request<'r>, policy: &'r Policy) -> ngx_int_t {
    if r.push_first_header(&policy.vary) {
        return NEXT.next(r);
    }
    beside_others_for_all(r, &policy.denied)
}

/// Writes a response that has no fields yet.
#[inline(always)]
fn write_first<'r>(mut r: Request<'r>, prepared: &'r Prepared, origin: Option<Str<'r>>) -> ngx_int_t {
    if r.push_first_headers(prepared.fields(), origin) {
        return NEXT.next(r);
    }
    match origin {
        Some(origin) => beside_others(r, prepared, origin),
        None => beside_others_for_all(r, prepared),
    }
}

/// Writes a response to an allowed origin that has fields already, which mostly are not about CORS.
#[inline(never)]
extern "C" fn beside_others<'r>(r: Request<'r>, prepared: &'r Prepared, origin: Str<'r>) -> ngx_int_t {
    match write::may_have_own(&r) {
        false => push(r, prepared.fields(), Some(origin)),
        true => beside_own(r, prepared, origin),
    }
}

/// Writes a response that is the same for every origin and has fields already.
#[inline(never)]
extern "C" fn beside_others_for_all<'r>(r: Request<'r>, prepared: &'r Prepared) -> ngx_int_t {
    match write::may_have_own(&r) {
        false => push(r, prepared.fields(), None),
        true => beside_own_for_all(r, prepared),
    }
}

/// Writes a response that may have a `Vary`, or something about CORS.
#[inline(never)]
extern "C" fn beside_own<'r>(mut r: Request<'r>, prepared: &'r Prepared, origin: Str<'r>) -> ngx_int_t {
    match write::own(&r) {
        Own::Nothing => push(r, prepared.fields(), Some(origin)),
        Own::Vary(vary) if write::extend_known(&mut r, prepared, vary) => {
            push(r, prepared.fields_without_vary(), Some(origin))
        }
        Own::Vary(vary) => beside_vary(r, prepared, origin, vary),
        Own::More => among_existing(r, prepared, origin),
    }
}

#[inline(never)]
extern "C" fn beside_own_for_all<'r>(mut r: Request<'r>, prepared: &'r Prepared) -> ngx_int_t {
    match write::own(&r) {
        Own::Nothing => push(r, prepared.fields(), None),
        Own::Vary(vary) if write::extend_known(&mut r, prepared, vary) => push(r, prepared.fields_without_vary(), None),
        Own::Vary(vary) => beside_vary_for_all(r, prepared, vary),
        Own::More => among_existing_for_all(r, prepared),
    }
}

/// Adds `fields`, for which there mostly is room.
#[inline(always)]
fn push<'r>(mut r: Request<'r>, fields: &'r [ngx_table_elt_t], origin: Option<Str<'r>>) -> ngx_int_t {
    match (origin.is_none() && fields.is_empty()) || r.push_few_headers(fields, origin) {
        true => NEXT.next(r),
        false => beside_many(r, fields, origin),
    }
}

/// The list of fields has to grow.
#[inline(never)]
fn beside_many<'r>(mut r: Request<'r>, fields: &'r [ngx_table_elt_t], origin: Option<Str<'r>>) -> ngx_int_t {
    let written = r.push_headers(fields, origin);
    go_on(r, Some(written))
}

/// The only `Vary` has a value that is not known yet.
#[inline(never)]
extern "C" fn beside_vary<'r>(
    mut r: Request<'r>,
    prepared: &'r Prepared,
    origin: Str<'r>,
    vary: FieldOut<'r>,
) -> ngx_int_t {
    let written = r.guard(None, |r| Some(write::among_existing_with(r, prepared, Some(origin), vary)));
    go_on(r, written)
}

#[inline(never)]
extern "C" fn beside_vary_for_all<'r>(mut r: Request<'r>, prepared: &'r Prepared, vary: FieldOut<'r>) -> ngx_int_t {
    let written = r.guard(None, |r| Some(write::among_existing_with(r, prepared, None, vary)));
    go_on(r, written)
}

#[inline(never)]
extern "C" fn among_existing<'r>(mut r: Request<'r>, prepared: &'r Prepared, origin: Str<'r>) -> ngx_int_t {
    let written = r.guard(None, |r| Some(write::among_existing(r, prepared, Some(origin))));
    go_on(r, written)
}

#[inline(never)]
extern "C" fn among_existing_for_all<'r>(mut r: Request<'r>, prepared: &'r Prepared) -> ngx_int_t {
    let written = r.guard(None, |r| Some(write::among_existing(r, prepared, None)));
    go_on(r, written)
}

#[cold]
extern "C" fn log_denied<'r>(mut r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    r.guard((), |r| denial::log(r, policy, kept));
    write_vary(r, policy)
}

/// Writes the answer to a preflight, with what it takes from the request.
#[inline(never)]
extern "C" fn echo<'r>(mut r: Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> ngx_int_t {
    if !r.push_first_headers(policy.preflight.fields(), Some(kept.origin())) {
        return general_case(r, kept, policy);
    }
    let written = r.guard(None, |r| Some(write::echo(r, policy, &kept.brief_facts())));
    go_on(r, written)
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
    r.guard((), |r| {
        write::remove(r, vary::NOTHING, None);
    });
}

fn respond<'r>(r: &mut Request<'r>, kept: &'r Kept<'r>, policy: &'r Policy) -> Result<(), OutOfMemory> {
    let Some((_, facts, decision)) = kept.decided(r) else { return Ok(()) };
    if !policy.is_active || decision.status == Status::Bypass {
        return Ok(());
    }
    let is_preflight = decision.status.is_preflight();
    let is_left_to_others = is_left_alone(kept, policy, decision);
    if !is_left_to_others {
        denial::log(r, policy, kept);
    }
    let is_left_to_others = is_left_to_others || (!policy.overrides && has_allow_origin(r));
    if policy.dry_run {
        if r.log().writes(policy.log_level) {
            loss::log_dry_run(r, policy, &facts, decision, is_left_to_others);
        }
        return Ok(());
    }
    if is_left_to_others {
        return write::vary_only(r, policy, is_preflight);
    }
    write::response(r, policy, &facts, is_preflight, decision.grant)
}

/// Whether the response is that of others, as it is.
fn is_left_alone(kept: &Kept<'_>, policy: &Policy, decision: Decision) -> bool {
    let is_left_to_others = decision.status.is_preflight() && kept.leaves_preflight(policy);
    !policy.is_active || decision.status == Status::Bypass || is_left_to_others
}

fn has_allow_origin(r: &mut Request<'_>) -> bool {
    r.headers_out().any(|header| has_name(header, b"access-control-allow-origin"))
}

unsafe extern "C" fn first(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let r = unsafe { Request::from_ptr(request) };
    let location: &LocationConf = r.location();
    let Some(policy) = location.policy() else { return BEHIND_FIRST.next(r) };
    // Mostly, it is the one in effect.
    let in_effect = r.kept().policy().map_or(ptr::null(), ptr::from_ref);
    if ptr::eq(policy, in_effect) || !r.is_main() {
        return BEHIND_FIRST.next(r);
    }
    unseen(r, location, policy)
}

/// The response to a request that the phase handler may not have seen in this location.
#[inline(never)]
extern "C" fn unseen<'r>(mut r: Request<'r>, location: &'r LocationConf, policy: &'r Policy) -> ngx_int_t {
    match r.guard(Err(OutOfMemory), |r| {
        let may_answer = may_answer(r);
        arrive(r, location, policy, may_answer)
    }) {
        Ok(None) => BEHIND_FIRST.next(r),
        Ok(Some(status)) => take_over(r, status),
        Err(OutOfMemory) => Code::ERROR.0,
    }
}

#[cold]
fn take_over(mut r: Request<'_>, status: u16) -> ngx_int_t {
    r.replace_response(status);
    let sent = BEHIND_FIRST.next_and_return(&mut r);
    // Whoever has begun the response may now send its body.
    if matches!(sent, Code::OK | Code::AGAIN) {
        BEHIND_BODY.install_once(body);
        r.kept().drops_body().set(true);
    }
    sent.0
}

unsafe extern "C" fn body(request: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request and a part of the body.
    let (r, part) = unsafe { (Request::from_ptr(request), Body::from_ptr(chain)) };
    if r.kept().drops_body().get() && r.is_main() && !part.is_empty() {
        return drop_body(r, part);
    }
    BEHIND_BODY.next(r, part)
}

/// Sends the end of the body, and nothing else of it.
#[cold]
fn drop_body(mut r: Request<'_>, part: Body) -> ngx_int_t {
    if !part.discard() {
        return Code::OK.0;
    }
    r.kept().drops_body().set(false);
    if r.is_header_only() {
        return Code::OK.0;
    }
    r.send_last().0
}

/// A 103 response of the upstream's: it has none of its fields of CORS, as the final one.
#[cfg(nginx_early_hints)]
unsafe extern "C" fn early_hints(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let mut r = unsafe { Request::from_ptr(request) };
    let kept = r.kept();
    if let (Some((policy, _, decision)), true) = (kept.decided(&r), r.is_main()) {
        if policy.overrides && !policy.dry_run && !is_left_alone(kept, policy, decision) {
            r.guard((), |r| {
                write::remove(r, vary::NOTHING, None);
            });
        }
    }
    BEHIND_EARLY_HINTS.next(r)
}
