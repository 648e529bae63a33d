//! The facts of a request: what a decision depends on, read once, when the request reaches the first location that has a
//! policy. What others change later makes no difference.

use cors_policy::facts::{Facts, MethodKind};

use crate::nginx::header_list::Names;
use crate::nginx::request::Method;
use crate::nginx::{OutOfMemory, Request};

static NAMES: Names<5> = Names::new([
    b"origin",
    b"sec-fetch-site",
    b"access-control-request-method",
    b"access-control-request-headers",
    b"access-control-request-private-network",
]);
const ORIGIN: usize = 0;
const SITE: usize = 1;
const REQUEST_METHOD: usize = 2;
const REQUEST_HEADERS: usize = 3;

/// Reads them, in one pass over the header fields.
#[inline(always)]
pub fn read<'r>(r: &mut Request<'r>) -> Result<Facts<'r>, OutOfMemory> {
    let mut facts = Facts { method: method(r), host: r.host(), ..Facts::default() };
    let mut has_more_headers = false;
    r.each_field(&NAMES, |name, value| match name {
        ORIGIN => facts.origin.add(value),
        SITE => facts.site.add(value),
        REQUEST_METHOD => facts.request_method.add(value),
        REQUEST_HEADERS if facts.request_headers.is_none() => facts.request_headers = Some(value),
        REQUEST_HEADERS => has_more_headers = true,
        _ => facts.private_network |= value == b"true",
    });
    if has_more_headers {
        join_request_headers(r, &mut facts)?;
    }
    Ok(facts)
}

/// Field lines of one name are one list (RFC 9110, section 5.3).
#[cold]
#[inline(never)]
fn join_request_headers<'r>(r: &mut Request<'r>, facts: &mut Facts<'r>) -> Result<(), OutOfMemory> {
    if facts.preflight_method().is_some() {
        let lines = r.values_in(&NAMES, REQUEST_HEADERS);
        facts.request_headers = Some(r.join(lines)?);
    }
    Ok(())
}

#[inline(always)]
fn method(r: &Request<'_>) -> MethodKind {
    match r.method_sent() {
        Method::Read => MethodKind::Read,
        Method::Options => MethodKind::Options,
        Method::Other => MethodKind::Other,
    }
}
