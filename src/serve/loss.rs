// SPDX-License-Identifier: Apache-2.0
//! The log lines about fields of the response that the policy replaces: what an allowed origin loses by it, and what a dry run
//! would change. Each is logged once a minute for each policy, by each worker.

use std::fmt::{self, Write as _};
use std::ptr;

use cors_policy::list::{elements, is_token};
use cors_policy::{vary, Decision, Facts, Grant, Status};

use super::escaped::Escaped;
use super::write::{is_about_cors, prepared};
use crate::conf::{MainConf, Policy, Prepared};
use crate::nginx::clock;
use crate::nginx::header_list::{has_name, name};
use crate::nginx::Request;

const ALLOW_ORIGIN: &[u8] = b"access-control-allow-origin";
const ALLOW_CREDENTIALS: &[u8] = b"access-control-allow-credentials";
const EXPOSE_HEADERS: &[u8] = b"access-control-expose-headers";

/// Logs what the response to an allowed origin is about to lose.
#[cold]
pub fn log_removal(r: &mut Request<'_>) {
    let kept = r.kept();
    if !kept.policy().is_some_and(|policy| r.log().writes(policy.log_level)) {
        return;
    }
    if let Some((policy, facts, decision)) = kept.decided(r) {
        log_lost(r, policy, &facts, decision.grant);
    }
}

/// Logs what a dry run would change in the response. If `is_left_to_others` is set, that is `Vary` alone.
#[cold]
pub fn log_dry_run<'r>(
    r: &mut Request<'r>,
    policy: &'r Policy,
    facts: &Facts<'r>,
    decision: Decision,
    is_left_to_others: bool,
) {
    let answer = match decision.status {
        Status::Rejected => Some(policy.reject_status),
        status => policy.preflight_answer(status),
    };
    let mut line = String::new();
    match answer {
        Some(status) => line = format!("would answer with status {status}"),
        None => {
            if !is_left_to_others {
                log_lost(r, policy, facts, decision.grant);
            }
            list_changes(r, policy, facts, decision, is_left_to_others, &mut line);
        }
    }
    if !line.is_empty() && is_due(r, policy, line.as_bytes()) {
        r.log().write(policy.log_level, format_args!("cors: {line} (dry run)"));
    }
}

fn list_changes<'r>(
    r: &mut Request<'r>,
    policy: &'r Policy,
    facts: &Facts<'r>,
    decision: Decision,
    is_left_to_others: bool,
    line: &mut String,
) {
    let is_preflight = decision.status.is_preflight();
    let grant = if is_left_to_others { Grant::None } else { decision.grant };
    let new = prepared(policy, is_preflight, grant);
    let vary = if grant == Grant::Any { vary::NOTHING } else { new.vary() };
    let lacks_vary = !vary.missing_from(r.values_out(b"vary")).is_empty();
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    if !is_left_to_others {
        for field in new.fields_without_vary() {
            let value = match grant {
                Grant::Origin if has_name(field, ALLOW_ORIGIN) => facts.origin.one().unwrap_or_default(),
                _ => field.value.as_bytes(),
            };
            let mut old = r.headers_out().filter(|old| name(old).eq_ignore_ascii_case(name(field)));
            let is_same = old.next().is_some_and(|old| old.value.as_bytes() == value) && old.next().is_none();
            if !is_same {
                set.push(Escaped(name(field)).to_string());
            }
        }
        for old in r.headers_out().filter(|old| is_about_cors(name(old))) {
            if !new.fields_without_vary().iter().any(|field| name(field).eq_ignore_ascii_case(name(old))) {
                removed.push(Escaped(name(old)).to_string());
            }
        }
    }
    if lacks_vary {
        set.push("Vary".to_owned());
    }
    for (verb, names) in [("set", set), ("remove", removed)] {
        if !names.is_empty() {
            let start = if line.is_empty() { "would" } else { " and" };
            let _ = write!(line, "{start} {verb} {}", names.join(", "));
        }
    }
}

/// Logs fields that were meant for a browser and do not reach it, because the policy has no directive for them.
fn log_lost<'r>(r: &Request<'r>, policy: &'r Policy, facts: &Facts<'r>, grant: Grant) {
    if grant == Grant::None || facts.origin.is_absent() || !r.log().writes(policy.log_level) {
        return;
    }
    let (is, dry_run) = if policy.dry_run { ("would be", " (dry run)") } else { ("is", "") };
    let allows_credentials = r.values_out(ALLOW_CREDENTIALS).any(|value| value == b"true");
    if allows_credentials && !policy.rules.credentials && is_due(r, policy, ALLOW_CREDENTIALS) {
        let reason = match grant {
            Grant::Any => {
                "credentials cannot be combined with \"*\": list the origins and write \"cors_allow_credentials on\""
            }
            _ => "the policy does not allow credentials: write \"cors_allow_credentials on\" if it should",
        };
        r.log().write(
            policy.log_level,
            format_args!(
                "cors: Access-Control-Allow-Credentials {is} removed from the response, because {reason}{dry_run}"
            ),
        );
    }
    let has_exposed = r.values_out(EXPOSE_HEADERS).next().is_some();
    let exposes = has_field(&policy.allowed, EXPOSE_HEADERS);
    if has_exposed && !exposes && is_due(r, policy, EXPOSE_HEADERS) {
        let exposed = Exposed { r, with_credentials: policy.rules.credentials };
        r.log().write(
            policy.log_level,
            format_args!(
                "cors: Access-Control-Expose-Headers {is} removed from the response, because the policy does not expose \
                 headers: write \"cors_expose_headers{exposed}\"{dry_run}"
            ),
        );
    }
}

fn has_field(prepared: &Prepared, lower: &[u8]) -> bool {
    prepared.fields().iter().any(|field| has_name(field, lower))
}

fn is_due(r: &Request<'_>, policy: &Policy, what: &[u8]) -> bool {
    r.main_conf::<MainConf>().policy_complaints.is_due((ptr::from_ref(policy).addr(), what), clock::seconds())
}

/// The names that a response exposes, each after a space.
struct Exposed<'l, 'r> {
    r: &'l Request<'r>,
    with_credentials: bool,
}

impl fmt::Display for Exposed<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.r.values_out(EXPOSE_HEADERS).flat_map(elements).filter(|name| is_token(name));
        // With credentials, browsers take `*` for a name, and the directive refuses it.
        let usable = names.filter(|name| *name != b"*" || !self.with_credentials);
        usable.take(16).try_for_each(|name| write!(f, " {}", Escaped(name)))
    }
}
