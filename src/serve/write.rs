//! Writing the fields of a response.

use cors_policy::list::{elements, is_token, trim};
use cors_policy::{preflight, vary, Facts, Grant};
use ngx::ffi::ngx_table_elt_t;

use super::loss;
use crate::conf::{Policy, Prepared};
use crate::nginx::header_list::{has_name, name};
use crate::nginx::strings::{string, Str};
use crate::nginx::{OutOfMemory, Request};

/// The beginning of the names of all fields about CORS.
const PREFIX: &[u8] = b"access-control-";

/// Writes `prepared` among the fields that the response has: theirs about CORS are removed, and a `Vary` is extended.
#[inline(always)]
pub fn among_existing<'r>(
    r: &mut Request<'r>,
    prepared: &'r Prepared,
    origin: Option<Str<'r>>,
) -> Result<(), OutOfMemory> {
    if remove(r, Some(loss::log_removal)) {
        r.push_headers(prepared.fields_without_vary(), origin)?;
        return extend_vary(r, prepared.vary());
    }
    r.push_headers(prepared.fields(), origin)
}

/// Writes the response to a request with these `facts` that gets `grant`.
pub fn response<'r>(
    r: &mut Request<'r>,
    policy: &'r Policy,
    facts: &Facts<'r>,
    is_preflight: bool,
    grant: Grant,
) -> Result<(), OutOfMemory> {
    let prepared = prepared(policy, is_preflight, grant);
    match grant {
        // A variable may allow `*`, and the response then depends on `Origin` no more than under a configured `*`.
        Grant::Any => {
            remove(r, Some(loss::log_removal));
            r.push_headers(prepared.fields_without_vary(), None)?;
            if is_preflight && policy.private_network {
                extend_vary(r, vary::PRIVATE_NETWORK)?;
            }
        }
        Grant::Origin => among_existing(r, prepared, facts.origin.one().map(Str::from))?,
        Grant::None => among_existing(r, prepared, None)?,
    }
    if is_preflight && grant != Grant::None {
        echo(r, policy, facts)?;
    }
    Ok(())
}

/// What is prepared for the response to a request that gets `grant`.
pub fn prepared(policy: &Policy, is_preflight: bool, grant: Grant) -> &Prepared {
    match (is_preflight, grant) {
        (true, Grant::None) => &policy.preflight_denied,
        (true, _) => &policy.preflight,
        (false, Grant::None) => &policy.denied,
        (false, _) => &policy.allowed,
    }
}

/// Writes `Vary` alone into a response that is otherwise left as it is.
pub fn vary_only<'r>(r: &mut Request<'r>, policy: &'r Policy, is_preflight: bool) -> Result<(), OutOfMemory> {
    extend_vary(r, prepared(policy, is_preflight, Grant::None).vary())
}

/// Removes all `Access-Control-*` fields, of which `report` is told before; returns whether there is a `Vary`.
#[inline(always)]
pub fn remove<'r>(r: &mut Request<'r>, report: Option<fn(&mut Request<'r>)>) -> bool {
    if r.has_no_headers_out() {
        return false;
    }
    match find(r) {
        0 => false,
        VARY => true,
        _ => remove_found(r, report),
    }
}

/// What [`find`] returns if there is a `Vary`: a true `bool` as a number, because this runs for every response that has fields.
const VARY: u8 = 1;
/// What it adds if there is a field about CORS.
const CORS: u8 = 2;

#[inline(never)]
fn find(r: &mut Request<'_>) -> u8 {
    let mut found = 0;
    for header in r.headers_out() {
        if is_about_cors(header) {
            found |= CORS;
        } else {
            found |= u8::from(has_name(header, b"vary"));
        }
    }
    found
}

/// Whether a field is `Access-Control-*`.
#[inline(always)]
pub fn is_about_cors(header: &ngx_table_elt_t) -> bool {
    name(header).get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cold]
#[inline(never)]
fn remove_found<'r>(r: &mut Request<'r>, report: Option<fn(&mut Request<'r>)>) -> bool {
    if let Some(report) = report {
        report(r);
    }
    let mut has_vary = false;
    for header in r.headers_out() {
        if is_about_cors(header) {
            header.hash = 0;
        } else {
            has_vary |= has_name(header, b"vary");
        }
    }
    has_vary
}

/// Adds to `Vary` the `names` that it lacks (RFC 9110, section 12.5.5).
fn extend_vary<'r>(r: &mut Request<'r>, names: &'r str) -> Result<(), OutOfMemory> {
    let mut lines = r.values_out(b"vary");
    let missing = vary::missing(lines.clone(), names);
    if missing.clone().next().is_none() {
        return Ok(());
    }
    let Some(first) = lines.next() else { return r.push_header("Vary", names.as_bytes()) };
    // To the first field: caches that read one only, such as nginx's own before 1.23, read that.
    let first = Some(trim(first)).filter(|line| !line.is_empty());
    let value = r.join(first.into_iter().chain(missing))?;
    if let Some(header) = r.headers_out().find(|header| has_name(header, b"vary")) {
        header.value = string(value);
    }
    Ok(())
}

/// What the answer to a preflight takes from the request: what was asked for if browsers take `*` literally, and the
/// permission to reach a private network.
fn echo<'r>(r: &mut Request<'r>, policy: &Policy, facts: &Facts<'r>) -> Result<(), OutOfMemory> {
    if policy.echoes_method {
        let method = facts.request_method.one().and_then(preflight::requested_method);
        if let Some(method) = method.filter(|method| is_token(method)) {
            r.push_header("Access-Control-Allow-Methods", method)?;
        }
    }
    if policy.echoes_headers {
        let names = facts.request_headers;
        if elements(names).next().is_some() && elements(names).all(is_token) {
            // HTTP/2 hands white space at the ends on, and forbids it in an answer (RFC 9113, section 8.2.1).
            r.push_header("Access-Control-Allow-Headers", trim(names))?;
        }
    }
    if policy.private_network && facts.private_network {
        r.push_header("Access-Control-Allow-Private-Network", b"true")?;
    }
    Ok(())
}
