// SPDX-License-Identifier: Apache-2.0
//! Writing the fields of a response.

use cors_policy::list::{are_tokens, is_token, trim};
use cors_policy::vary::{self, Missing, Names, Seen};
use cors_policy::{preflight, Facts, Grant};

use super::loss;
use crate::conf::{Policy, Prepared};
use crate::nginx::header_list::Sieve;
use crate::nginx::headers_out::FieldOut;
use crate::nginx::strings::Str;
use crate::nginx::{OutOfMemory, Request};

/// Writes `prepared` among the fields that the response has: theirs about CORS are removed, and a `Vary` is extended
/// (RFC 9110, section 12.5.5).
#[inline(always)]
pub fn among_existing<'r>(
    r: &mut Request<'r>,
    prepared: &'r Prepared,
    origin: Option<Str<'r>>,
) -> Result<(), OutOfMemory> {
    let vary = remove(r, prepared.vary(), Some(loss::log_removal));
    match vary.first {
        None => r.push_headers(prepared.fields(), origin),
        Some(first) => {
            extend(r, first, vary.missing)?;
            r.push_headers(prepared.fields_without_vary(), origin)
        }
    }
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
            remove(r, vary::NOTHING, Some(loss::log_removal));
            r.push_headers(prepared.fields_without_vary(), None)?;
            if is_preflight && policy.private_network {
                add_to_vary(r, vary::PRIVATE_NETWORK)?;
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
    add_to_vary(r, prepared(policy, is_preflight, Grant::None).vary())
}

/// Removes all `Access-Control-*` fields, of which `report` is told before; returns the `Vary`, and what it lacks of `names`.
#[inline(always)]
pub fn remove<'r>(r: &mut Request<'r>, names: Names, mut report: Option<fn(&mut Request<'r>)>) -> Vary<'r> {
    look_through(r, names, |r, field| {
        if let Some(report) = report.take() {
            report(r);
        }
        field.remove(r);
    })
}

/// What a response has itself of what the module writes.
pub enum Own<'r> {
    Nothing,
    /// One `Vary`, and nothing about CORS.
    Vary(FieldOut<'r>),
    /// Maybe something about CORS, or more than one `Vary`.
    More,
}

/// Whether a response may have any of that.
#[inline(always)]
pub fn may_have_own(r: &Request<'_>) -> bool {
    r.has_headers_out(SIEVE)
}

/// Looks whether a response may have fields about CORS, or has a `Vary`. Makes no calls, and stops as soon as it is more than one `Vary`.
#[inline(always)]
pub fn own<'r>(r: &Request<'r>) -> Own<'r> {
    let mut own = Own::Nothing;
    for field in r.headers_out_sifted(SIEVE) {
        let is_short = field.name().len() == VARY.len();
        own = match own {
            _ if is_short && !is_vary(field.name()) => continue,
            Own::Nothing if is_short => Own::Vary(field),
            _ => return Own::More,
        };
    }
    own
}

/// The values of `Vary` that responses had.
static SEEN: Seen = Seen::new();

/// Extends the only `Vary` of a response if it is known what becomes of its value; returns whether it is.
#[inline(always)]
pub fn extend_known<'r>(r: &mut Request<'r>, prepared: &Prepared, vary: FieldOut<'r>) -> bool {
    let known = if prepared.varies_by_origin() { SEEN.get(vary.value()) } else { None };
    if let Some(extended) = known {
        vary.set_value(r, extended);
    }
    known.is_some()
}

/// [`among_existing`] where `field` is the only `Vary`, of which the value becomes known.
#[inline(always)]
pub fn among_existing_with<'r>(
    r: &mut Request<'r>,
    prepared: &'r Prepared,
    origin: Option<Str<'r>>,
    field: FieldOut<'r>,
) -> Result<(), OutOfMemory> {
    let sent = field.value();
    among_existing(r, prepared, origin)?;
    if prepared.varies_by_origin() {
        SEEN.put(sent, field.value());
    }
    Ok(())
}

/// The `Vary` of a response.
pub struct Vary<'r> {
    /// Its first field.
    first: Option<FieldOut<'r>>,
    /// What all its fields lack.
    missing: Missing,
}

/// Looks through the fields of the response once, and does something with those about CORS.
#[inline(always)]
fn look_through<'r>(
    r: &mut Request<'r>,
    names: Names,
    mut about_cors: impl FnMut(&mut Request<'r>, FieldOut<'r>),
) -> Vary<'r> {
    let mut vary = Vary { first: None, missing: names.missing() };
    for field in r.headers_out_sifted(SIEVE) {
        if is_about_cors(field.name()) {
            about_cors(r, field);
        } else if is_vary(field.name()) {
            vary.missing.strike_out(field.value());
            vary.first = vary.first.or(Some(field));
        }
    }
    vary
}

/// The beginning of the names of all fields about CORS.
const PREFIX: [u8; 15] = *b"access-control-";
const VARY: [u8; 4] = *b"vary";

/// The bits of [`PREFIX`] that are the case of a letter.
const CASE: [u8; 15] = {
    let mut case = PREFIX;
    let mut at = 0;
    while at < case.len() {
        case[at] = if case[at] == b'-' { 0 } else { 0x20 };
        at += 1;
    }
    case
};

const fn word(bytes: &[u8; 15], at: usize) -> u64 {
    let mut word = [0; 8];
    let mut i = 0;
    while i < word.len() {
        word[i] = bytes[at + i];
        i += 1;
    }
    u64::from_le_bytes(word)
}

/// Few other names have a `-` where [`PREFIX`] ends, and fewer have both.
const SIEVE: Sieve = Sieve { short: (VARY.len(), VARY[0]), dashes: [14, 6] };

#[inline(always)]
fn is_vary(name: &[u8]) -> bool {
    // All four are letters.
    let is_it = |name: &[u8; 4]| u32::from_le_bytes(*name) | 0x2020_2020 == u32::from_le_bytes(VARY);
    name.len() == VARY.len() && name.first_chunk().is_some_and(is_it)
}

/// Whether a field is `Access-Control-*`.
#[inline(always)]
pub fn is_about_cors(name: &[u8]) -> bool {
    // Two words that share a byte.
    name.first_chunk::<15>()
        .is_some_and(|name| [0, 7].into_iter().all(|at| word(name, at) | word(&CASE, at) == word(&PREFIX, at)))
}

/// Adds the `missing` names to the `Vary` of a response, or gives it one.
fn add_to_vary(r: &mut Request<'_>, names: Names) -> Result<(), OutOfMemory> {
    let Vary { first, missing } = look_through(r, names, |_, _| {});
    match first {
        Some(first) => extend(r, first, missing),
        None if missing.is_empty() => Ok(()),
        None => {
            let value = r.join(missing)?;
            r.push_header("Vary", value)
        }
    }
}

/// Adds the `missing` names to the first `Vary`: caches that read one only, such as nginx's own before 1.23, read that.
fn extend<'r>(r: &mut Request<'r>, vary: FieldOut<'r>, missing: Missing) -> Result<(), OutOfMemory> {
    if !missing.is_empty() {
        let first = Some(trim(vary.value())).filter(|line| !line.is_empty());
        let value = r.join(first.into_iter().chain(missing.map(|name| -> &[u8] { name })))?;
        vary.set_value(r, value);
    }
    Ok(())
}

/// What the answer to a preflight takes from the request: what was asked for if browsers take `*` literally, and the
/// permission to reach a private network.
pub fn echo<'r>(r: &mut Request<'r>, policy: &Policy, facts: &Facts<'r>) -> Result<(), OutOfMemory> {
    if policy.echoes_method {
        let method = facts.request_method.one().and_then(preflight::requested_method);
        if let Some(method) = method.filter(|method| is_token(method)) {
            r.push_header("Access-Control-Allow-Methods", method)?;
        }
    }
    if policy.echoes_headers {
        let names = facts.request_headers;
        if are_tokens(names) {
            // HTTP/2 hands white space at the ends on, and forbids it in an answer (RFC 9113, section 8.2.1).
            r.push_header("Access-Control-Allow-Headers", trim(names))?;
        }
    }
    if policy.private_network && facts.private_network {
        r.push_header("Access-Control-Allow-Private-Network", b"true")?;
    }
    Ok(())
}
