//! The one decision about a request. The header filter, the log line and the variables use it and make none of their own.

use cors_policy::origins::{self, Evaluated};
use cors_policy::{Decision, Facts, Grant, Problem, Rules, Status};

use super::denial;
use super::escaped::Escaped;
use super::keep::{Kept, Way};
use super::read::Read;
use crate::conf::{LocationConf, MainConf, Mode, Policy};
use crate::nginx::log::Level;
use crate::nginx::{OutOfMemory, Request};

/// What a policy says of a request.
struct Judgement {
    is_bypassed: bool,
    is_rejected: bool,
    grant: Grant,
}

/// What becomes of a request that reaches a location with a policy other than the one in effect. Returns the status that it is
/// answered with at once; `None` if it goes on.
///
/// Enforcement is judged in every location, by the settings of that location; which policy decides what the response says is
/// another question. If `may_answer` is not set, the response is nginx's whatever the policy says.
pub fn arrive<'r>(
    r: &mut Request<'r>,
    location: &'r LocationConf,
    policy: &'r Policy,
    may_answer: bool,
) -> Result<Option<u16>, OutOfMemory> {
    let kept = r.kept(location.slot);
    if kept.policy.get().is_none() {
        kept.read.read(r, location.reads_all)?;
    }
    // Most of what `facts` says only matters to enforcement.
    let facts = if policy.rules.enforce { kept.facts(r) } else { kept.brief_facts() };
    let Judgement { is_bypassed, is_rejected, grant } = judge(r, policy, kept, &kept.read, &facts)?;
    let is_rejected = is_rejected && may_answer;
    if is_rejected && !policy.dry_run {
        kept.adopt(policy, Decision { status: Status::Rejected, grant: Grant::None });
        denial::log(r, policy, kept);
        return Ok(Some(policy.reject_status));
    }
    if kept.policy.get().is_none() || location.is_own {
        let mut decision = Rules::decide(&facts, grant);
        if is_bypassed {
            decision.status = Status::Bypass;
        } else if is_rejected {
            decision.status = Status::Rejected;
        } else if decision.status.is_preflight() && !may_answer {
            decision.status = if grant == Grant::None { Status::Denied } else { Status::Allowed };
        }
        kept.adopt(policy, decision);
        if policy.mode == Mode::Any && !decision.status.is_preflight() {
            kept.way.set(Way::ForAll);
        }
        if let Some(answer) = policy.preflight_answer(decision.status).filter(|_| policy.is_active) {
            denial::log(r, policy, kept);
            return Ok(Some(answer).filter(|_| !policy.dry_run));
        }
    }
    if is_rejected && !kept.is_logged.get() {
        denial::log_rejection(r, policy, kept, &facts);
    }
    Ok(None)
}

/// Decides about a preflight that reaches its first location with a policy, where the list alone decides; returns the status
/// of its answer.
#[inline]
pub fn decide_preflight<'r>(r: &mut Request<'r>, policy: &'r Policy, kept: &'r Kept<'r>) -> u16 {
    let mut answer = policy.preflight_status;
    if !policy.rules.origins.allows(kept.read.origin.get().as_bytes()) {
        kept.adopt(policy, Decision { status: Status::PreflightOriginDenied, grant: Grant::None });
        answer = policy.reject_status;
    } else if policy.echoes() {
        kept.adopt(policy, Decision { status: Status::Preflight, grant: Grant::Origin });
    } else {
        kept.adopt_simple(policy, Way::Preflight);
    }
    denial::log(r, policy, kept);
    answer
}

/// The decision about a request that has not reached a location, for a variable that is used before it does.
pub fn preview<'r>(
    r: &mut Request<'r>,
    policy: &'r Policy,
    kept: &'r Kept<'r>,
) -> Result<(Facts<'r>, Decision), OutOfMemory> {
    let read = Read::default();
    read.read(r, false)?;
    let facts = read.facts(r);
    // Values are noted in `read`: those that count are evaluated when the request reaches a location.
    let Judgement { is_bypassed, grant, .. } = judge(r, policy, kept, &read, &facts)?;
    let mut decision = Rules::decide(&facts, grant);
    if is_bypassed {
        decision.status = Status::Bypass;
    }
    Ok((facts, decision))
}

fn judge<'r>(
    r: &mut Request<'r>,
    policy: &'r Policy,
    kept: &'r Kept<'r>,
    read: &Read<'r>,
    facts: &Facts<'r>,
) -> Result<Judgement, OutOfMemory> {
    let none = Judgement { is_bypassed: false, is_rejected: false, grant: Grant::None };
    if !policy.is_active {
        return Ok(none);
    }
    kept.is_deciding.set(true);
    let grant = match is_bypassed(r, policy, read) {
        Ok(true) => Ok(None),
        Ok(false) => grant(r, policy, read, facts).map(Some),
        Err(out_of_memory) => Err(out_of_memory),
    };
    kept.is_deciding.set(false);
    Ok(match grant? {
        None => Judgement { is_bypassed: true, ..none },
        Some(grant) => Judgement { is_rejected: policy.rules.rejects(facts, grant), grant, ..none },
    })
}

/// Whether the module does nothing to this request.
fn is_bypassed<'r>(r: &mut Request<'r>, policy: &Policy, read: &Read<'r>) -> Result<bool, OutOfMemory> {
    let Some(predicates) = policy.bypass else { return Ok(false) };
    let evaluated = read.evaluated(r, predicates.identity(), |r| match predicates.test(r) {
        true => Evaluated::Any,
        false => Evaluated::Denied,
    })?;
    Ok(evaluated == Evaluated::Any)
}

fn grant<'r>(r: &mut Request<'r>, policy: &Policy, read: &Read<'r>, facts: &Facts<'r>) -> Result<Grant, OutOfMemory> {
    let mut result = Ok(Evaluated::Denied);
    let grant = policy.rules.grant(facts.origin, || {
        if !policy.variables.is_empty() {
            let of = policy.variables.as_ptr().cast();
            result = read.evaluated(r, of, |r| evaluate_variables(r, policy, facts));
        }
        *result.as_ref().unwrap_or(&Evaluated::Denied)
    });
    result.map(|_| grant)
}

/// Looks the request's origin up in the values with variables.
#[cold]
fn evaluate_variables<'r>(r: &mut Request<'r>, policy: &Policy, facts: &Facts<'r>) -> Evaluated {
    let mut result = Evaluated::Denied;
    for value in &*policy.variables {
        let value = value.evaluate(r).unwrap_or_default();
        match origins::evaluated(value, facts.origin.one()) {
            // https://fetch.spec.whatwg.org/#cors-check (step 3): browsers refuse `*` for a request with credentials.
            Evaluated::Any if policy.rules.credentials => {
                // Without an origin, it makes no difference.
                if !facts.origin.is_absent() && r.main_conf::<MainConf>().policy_complaints.is_due(b"*") {
                    r.log().write(
                        Level::ERROR,
                        "cors: a variable of cors_allow_origin is \"*\", which allows nothing with cors_allow_credentials on",
                    );
                }
            }
            Evaluated::Any => return Evaluated::Any,
            Evaluated::Allowed => result = Evaluated::Allowed,
            Evaluated::Denied => complain(r, policy, facts, value),
        }
    }
    result
}

/// Logs the words in the value of a variable that can never allow anything. The `Origin` of the request itself is not one of
/// them: a denial has its own line.
fn complain(r: &Request<'_>, policy: &Policy, facts: &Facts<'_>, value: &[u8]) {
    if facts.origin.is_absent() || facts.origin.one() == Some(value) || !r.log().writes(policy.log_level) {
        return;
    }
    let complaints = &r.main_conf::<MainConf>().value_complaints;
    for word in origins::unusable_words(value).filter(|word| complaints.is_due(*word)) {
        let Problem { reason, suggestion, .. } = origins::unusable(word);
        let (code, word) = (reason.code(), Escaped(word));
        let line = format!("cors: in a variable of cors_allow_origin, \"{word}\" {reason}");
        match suggestion {
            Some(suggestion) => {
                let suggestion = Escaped(suggestion.as_bytes());
                r.log().write(policy.log_level, format_args!("{line}: write \"{suggestion}\" [{code}]"));
            }
            None => r.log().write(policy.log_level, format_args!("{line} [{code}]")),
        }
    }
}
