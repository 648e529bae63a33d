//! `$cors_status` and `$cors_origin`, computed when they are asked for.

use std::ptr;

use cors_policy::facts::Field;
use cors_policy::{Decision, Grant, Status};
use ngx::core::Status as Code;
use ngx::ffi::{
    ngx_conf_t, ngx_http_get_variable_pt, ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
    NGX_HTTP_VAR_NOCACHEABLE,
};
use ngx::ngx_string;

use crate::barrier::guard;
use crate::fallible::{ngx_http_add_variable, ngx_http_get_variable_index};
use crate::policy::Policy;
use crate::request::Request;

/// The variable whose value is where a request keeps its policy; a configuration cannot write a name with a space.
static SLOT: &str = "cors policy";

/// Makes the variables known; returns the index of the one that keeps the policy.
pub fn add(cf: &mut ngx_conf_t) -> Option<usize> {
    add_one(cf, ngx_string!("cors_status"), Some(cors_status))?;
    add_one(cf, ngx_string!("cors_origin"), Some(cors_origin))?;
    add_one(cf, crate::request::string(SLOT.as_bytes()), Some(not_found))?;
    // SAFETY: nginx copies the name.
    let index = unsafe { ngx_http_get_variable_index(cf, &mut crate::request::string(SLOT.as_bytes())) };
    usize::try_from(index).ok()
}

fn add_one(cf: &mut ngx_conf_t, mut name: ngx_str_t, get: ngx_http_get_variable_pt) -> Option<()> {
    // SAFETY: nginx copies the name.
    let variable = unsafe { ngx_http_add_variable(cf, &mut name, NGX_HTTP_VAR_NOCACHEABLE as usize).as_mut() }?;
    variable.get_handler = get;
    Some(())
}

unsafe extern "C" fn cors_status(r: *mut ngx_http_request_t, v: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: nginx calls it with a request and the value to fill.
    unsafe {
        get(r, v, |policy, decision| match decision.status {
            status if policy.dry_run => status.as_dry_run_str().as_bytes(),
            status => status.as_str().as_bytes(),
        })
    }
}

unsafe extern "C" fn cors_origin(r: *mut ngx_http_request_t, v: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: as above.
    unsafe {
        get(r, v, |policy, decision| {
            let left_alone = policy.dry_run || (decision.status.is_preflight() && !policy.answers_preflights);
            decision.grant.value().filter(|_| !left_alone).unwrap_or_default()
        })
    }
}

unsafe extern "C" fn not_found(_: *mut ngx_http_request_t, v: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: nginx calls it with the value to fill.
    unsafe { (*v).set_not_found(1) };
    Code::NGX_OK.0
}

/// Fills a value with what `choose` takes from the policy and the decision; with nothing where there is no policy.
///
/// # Safety
/// `r` and `v` are what nginx has called a variable's entry with.
unsafe fn get<'r>(
    r: *mut ngx_http_request_t,
    v: *mut ngx_http_variable_value_t,
    choose: impl FnOnce(&'static Policy, Decision<'r>) -> &'r [u8],
) -> ngx_int_t {
    // SAFETY: the caller's promise.
    let (r, v) = unsafe { (Request::from_ptr(r).main(), &mut *v) };
    let log = r.log();
    let value = guard(
        || log,
        &b""[..],
        || match r.policy(r.location()) {
            Some(policy) if policy.active => choose(policy, decide(r, policy)),
            _ => b"",
        },
    );
    v.set_len(u32::try_from(value.len()).unwrap_or(0));
    v.set_valid(1);
    v.set_no_cacheable(0);
    v.set_not_found(0);
    v.data = if value.is_empty() { ptr::null_mut() } else { value.as_ptr().cast_mut() };
    Code::NGX_OK.0
}

fn decide<'r>(r: &mut Request, policy: &'static Policy) -> Decision<'r> {
    let decision = match r.decision() {
        Some(decision) => decision,
        None if policy.bypasses(r) => {
            let status = if r.origin() == Field::Absent { Status::NoOrigin } else { Status::Bypass };
            return Decision { status, grant: Grant::None, missing: b"" };
        }
        None => {
            let asked = r.asked();
            policy.decide(r, &asked)
        }
    };
    policy.explain(r, decision)
}
