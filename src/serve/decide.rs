// SPDX-License-Identifier: Apache-2.0
//! The one decision about a request. The header filter, the log line and the variables use it and make none of their own.

use std::ptr;

use cors_policy::origins::{self, Evaluated};
use cors_policy::{Decision, Facts, Grant, Problem, Rules, Status};

use super::denial;
use super::escaped::Escaped;
use super::keep::{Kept, Way};
use super::read::Values;
use crate::conf::{Dynamic, LocationConf, MainConf, Policy};
use crate::nginx::clock;
use crate::nginx::complex_value::{ComplexValue, Predicates};
use crate::nginx::log::Level;
use crate::nginx::{OutOfMemory, Request};

/// What a policy says of a request.
struct Judgement {
    is_bypassed: bool,
    is_rejected: bool,
    grant: Grant,
}

impl Judgement {
    /// The decision, if the policy is the one that decides about the response.
    fn decision(&self, facts: &Facts<'_>, may_answer: bool) -> Decision {
        let Decision { status, grant } = Rules::decide(facts, self.grant);
        let status = match self {
            Judgement { is_bypassed: true, .. } => Status::Bypass,
            Judgement { is_rejected: true, .. } => Status::Rejected,
            _ if !status.is_preflight() || may_answer => status,
            _ if grant == Grant::None => Status::Denied,
            _ => Status::Allowed,
        };
        Decision { status, grant }
    }
}

/// Whether a policy may answer the request. It may not if nginx cannot make sense of the request, or if an administrator has closed the
/// server: that response is kept.
pub fn may_answer(r: &Request<'_>) -> bool {
    !matches!(r.response_status(), 400 | 408 | 414 | 421 | 500..)
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
    let kept = r.kept();
    if kept.policy().is_none() && !kept.is_read().get() {
        kept.read(r, location.reads_all)?;
    }
    // Most of what `facts` says only matters to enforcement.
    let facts = if policy.rules.enforce { kept.facts(r) } else { kept.brief_facts() };
    let is_first = kept.policy().is_none();
    if let (true, Some(values)) = (is_first, location.server_values) {
        read_values(r, policy, values, kept, &facts)?;
    }
    if is_first && policy.is_active {
        kept.leaves_preflights().set(!policy.answers_preflights);
    }
    let judgement = judge(r, policy, kept, &facts, may_answer)?;
    let is_rejected = judgement.is_rejected;
    let is_same = kept.policy().is_some_and(|in_effect| ptr::eq(in_effect, policy));
    kept.is_judged().set(may_answer && (!is_rejected || policy.dry_run));
    if is_rejected && !policy.dry_run {
        kept.adopt(policy, Decision { status: Status::Rejected, grant: Grant::None });
        denial::log(r, policy, kept);
        return Ok(Some(policy.reject_status));
    }
    if is_first || location.is_own || is_same {
        let decision = judgement.decision(&facts, may_answer);
        kept.adopt(policy, decision);
        let answer = policy.preflight_answer(decision.status);
        if let Some(answer) = answer.filter(|_| policy.is_active && !kept.leaves_preflights().get()) {
            denial::log(r, policy, kept);
            return Ok(Some(answer).filter(|_| !policy.dry_run));
        }
    }
    if is_rejected && !kept.is_logged().get() {
        denial::log_rejection(r, policy, kept, &facts);
    }
    Ok(None)
}

/// Decides about a preflight that reaches its first location with a policy, where the list alone decides; returns the status
/// of its answer.
#[inline]
pub fn decide_preflight<'r>(r: &mut Request<'r>, policy: &'r Policy, kept: &'r Kept<'r>) -> u16 {
    let (way, answer) = match policy.rules.allows(kept.origin().as_bytes()) {
        true if policy.echoes() => (Way::Echo, policy.preflight_status),
        true => (Way::Preflight, policy.preflight_status),
        false => (Way::PreflightDenied, policy.reject_status),
    };
    kept.adopt_simple(policy, way);
    denial::log(r, policy, kept);
    answer
}

/// What is kept for a decision about a request that has not reached a location, for a variable that is used before it does.
pub fn preview<'r>(r: &mut Request<'r>, policy: &'r Policy, kept: &'r Kept<'r>) -> Result<&'r Kept<'r>, OutOfMemory> {
    kept.early(r, ptr::from_ref(policy).cast(), |r, early| {
        early.read(r, false)?;
        let facts = early.facts(r);
        // Values are noted in `early`, and not cached: those that count are evaluated when the request reaches a location.
        // Nobody is answered if nginx closes the connection, or the client has. That is known in the log.
        let may_answer = may_answer(r) && !matches!(r.response_status(), 444 | 499);
        let judgement =
            kept.while_deciding(|| r.forgetting_variables(|r| judge(r, policy, early, &facts, may_answer)))??;
        early.adopt(policy, judgement.decision(&facts, may_answer));
        Ok(())
    })
}

fn judge<'r>(
    r: &mut Request<'r>,
    policy: &'r Policy,
    kept: &Kept<'r>,
    facts: &Facts<'r>,
    may_answer: bool,
) -> Result<Judgement, OutOfMemory> {
    let none = Judgement { is_bypassed: false, is_rejected: false, grant: Grant::None };
    if !policy.is_active {
        return Ok(none);
    }
    let grant = kept.while_deciding(|| match evaluate_bypass(r, policy.dynamic.bypass, kept) {
        Ok(true) => Ok(None),
        Ok(false) => grant(r, policy, kept, facts).map(Some),
        Err(out_of_memory) => Err(out_of_memory),
    });
    Ok(match grant? {
        None => Judgement { is_bypassed: true, ..none },
        Some(grant) => Judgement { is_rejected: may_answer && policy.rules.rejects(facts, grant), grant, ..none },
    })
}

/// Whether the module does nothing to a request that has been read.
pub fn is_bypassed<'r>(r: &mut Request<'r>, policy: &Policy, kept: &Kept<'r>) -> Result<bool, OutOfMemory> {
    kept.while_deciding(|| evaluate_bypass(r, policy.dynamic.bypass, kept))
}

fn evaluate_bypass<'r>(r: &mut Request<'r>, bypass: Option<Predicates>, kept: &Kept<'r>) -> Result<bool, OutOfMemory> {
    match bypass {
        Some(predicates) => kept.bypass(r, predicates.identity(), |r| predicates.test(r)),
        None => Ok(false),
    }
}

fn grant<'r>(r: &mut Request<'r>, policy: &Policy, kept: &Kept<'r>, facts: &Facts<'r>) -> Result<Grant, OutOfMemory> {
    let mut result = Ok(Evaluated::Denied);
    let grant = policy.rules.grant(facts.origin, || {
        result = by_value(r, policy, kept, facts);
        *result.as_ref().unwrap_or(&Evaluated::Denied)
    });
    result.map(|_| grant)
}

/// What the values with variables allow under a policy.
fn by_value<'r>(
    r: &mut Request<'r>,
    policy: &Policy,
    kept: &Kept<'r>,
    facts: &Facts<'r>,
) -> Result<Evaluated, OutOfMemory> {
    if policy.dynamic.variables.is_empty() {
        return Ok(Evaluated::Denied);
    }
    let Values { any, origin } = evaluate(r, policy, &policy.dynamic.variables, kept, facts)?;
    // https://fetch.spec.whatwg.org/#concept-cors-check (step 3): browsers refuse `*` for a request with credentials.
    if any && !policy.rules.credentials {
        return Ok(Evaluated::Any);
    }
    // Without an origin, it makes no difference.
    if any
        && !origin
        && !facts.origin.is_absent()
        && r.main_conf::<MainConf>().policy_complaints.is_due(b"*", clock::seconds())
    {
        r.log().write(
            Level::ERROR,
            "cors: a variable of cors_allow_origin is \"*\", which allows nothing with cors_allow_credentials on",
        );
    }
    Ok(if origin { Evaluated::Allowed } else { Evaluated::Denied })
}

/// Looks the request's origin up in values with variables.
fn evaluate<'r>(
    r: &mut Request<'r>,
    policy: &Policy,
    variables: &[ComplexValue],
    kept: &Kept<'r>,
    facts: &Facts<'r>,
) -> Result<Values, OutOfMemory> {
    let of = variables.as_ptr().cast();
    kept.values(r, of, |r| {
        let mut result = Values::default();
        for value in variables {
            let value = value.evaluate(r).unwrap_or_default();
            match origins::evaluated(value, facts.origin.one()) {
                Evaluated::Any => result.any = true,
                Evaluated::Allowed => result.origin = true,
                Evaluated::Denied => {
                    complain(r, policy, facts, value);
                    kept.keep_other(r, of, value)?;
                }
            }
        }
        Ok(result)
    })
}

/// Reads what the settings of the server evaluate and the first location may not: the request may be redirected to a location that
/// decides by it. Nobody else gets these values, because `set` and others may still change what the variables depend on.
fn read_values<'r>(
    r: &mut Request<'r>,
    policy: &Policy,
    values: &'r Dynamic,
    kept: &'r Kept<'r>,
    facts: &Facts<'r>,
) -> Result<(), OutOfMemory> {
    kept.while_deciding(|| {
        r.forgetting_variables(|r| {
            evaluate_bypass(r, values.bypass, kept)?;
            if !values.variables.is_empty() {
                evaluate(r, policy, &values.variables, kept, facts)?;
            }
            Ok(())
        })?
    })
}

/// Logs the words in the value of a variable that can never allow anything. The `Origin` of the request itself is not one of
/// them: a denial has its own line.
fn complain(r: &Request<'_>, policy: &Policy, facts: &Facts<'_>, value: &[u8]) {
    if !policy.is_active
        || facts.origin.is_absent()
        || facts.origin.one() == Some(value)
        || !r.log().writes(policy.log_level)
    {
        return;
    }
    let complaints = &r.main_conf::<MainConf>().value_complaints;
    for word in origins::unusable_words(value).filter(|word| complaints.is_due(*word, clock::seconds())) {
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
