// SPDX-License-Identifier: Apache-2.0
//! `$cors_status`, `$cors_origin` and `$cors_reason`, computed when they are asked for.

use std::ptr;

use cors_policy::{Decision, Facts, Status};
use ngx::ffi::{ngx_http_get_variable_pt, ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t};

use super::decide::preview;
use super::denial;
use super::keep::Kept;
use crate::conf::{LocationConf, Policy};
use crate::nginx::configuration::Configuration;
use crate::nginx::variable::{self, Value};
use crate::nginx::{OutOfMemory, Request};

const STATUS: &str = "cors_status";
const ORIGIN: &str = "cors_origin";
const REASON: &str = "cors_reason";

/// Defines the variables, when the configuration has been read: one that it defines itself is the configuration's, and
/// nothing here depends on it. Returns the names of those that are this module's; `None` if memory runs out.
pub fn define(cf: &mut Configuration<'_>) -> Option<Vec<&'static str>> {
    let all: [(_, ngx_http_get_variable_pt); 3] =
        [(STATUS, Some(cors_status)), (ORIGIN, Some(cors_origin)), (REASON, Some(cors_reason))];
    let mut defined = Vec::new();
    for (name, get) in all {
        if !variable::is_defined(cf, name) {
            variable::add(cf, name, get)?;
            defined.push(name);
        }
    }
    Some(defined)
}

unsafe extern "C" fn cors_status(r: *mut ngx_http_request_t, v: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: nginx calls it with a request and the value to fill.
    let (r, v) = unsafe { (Request::from_ptr(r), Value::from_ptr(v)) };
    set(r, v, |_, _, policy, facts, decision| {
        Ok(match policy.rules.explain(facts, decision) {
            Status::Bypass if facts.origin.is_absent() => b"",
            status if policy.dry_run => status.as_dry_run_str().as_bytes(),
            status => status.as_str().as_bytes(),
        })
    })
}

unsafe extern "C" fn cors_origin(r: *mut ngx_http_request_t, v: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: nginx calls it with a request and the value to fill.
    let (r, v) = unsafe { (Request::from_ptr(r), Value::from_ptr(v)) };
    set(r, v, |_, kept, policy, facts, decision| {
        let is_left_to_others = decision.status.is_preflight() && kept.leaves_preflight(policy);
        Ok(match policy.dry_run || is_left_to_others {
            true => b"",
            false => decision.grant.value(facts).unwrap_or_default(),
        })
    })
}

unsafe extern "C" fn cors_reason(r: *mut ngx_http_request_t, v: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: nginx calls it with a request and the value to fill.
    let (r, v) = unsafe { (Request::from_ptr(r), Value::from_ptr(v)) };
    set(r, v, |r, kept, policy, facts, decision| {
        let of = ptr::from_ref(policy).cast();
        kept.reason(r, of, decision, |r| denial::reason(r, policy, kept, facts, decision))
    })
}

/// Sets a value to what `choose` takes from the policy and the decision; to nothing if there is no policy, or if the decision
/// is being made.
fn set<'r>(
    r: Request<'r>,
    v: Value<'_>,
    choose: impl FnOnce(&mut Request<'r>, &Kept<'r>, &'r Policy, &Facts<'r>, Decision) -> Result<&'r [u8], OutOfMemory>,
) -> ngx_int_t {
    let mut r = r.main();
    let value = r.guard(Ok(&b""[..]), |r| {
        let location: &LocationConf = r.location();
        let mut kept = r.kept();
        if kept.is_deciding().get() {
            return Ok(b"");
        }
        if kept.policy().is_none() {
            match location.policy().filter(|policy| policy.is_active && !r.is_post_action()) {
                Some(policy) => kept = preview(r, policy, kept)?,
                None => return Ok(b""),
            }
        }
        match kept.decided(r) {
            Some((policy, facts, decision)) if policy.is_active => choose(r, kept, policy, &facts, decision),
            _ => Ok(b""),
        }
    });
    match value {
        Ok(value) => v.set(value).0,
        Err(OutOfMemory) => v.fail().0,
    }
}
