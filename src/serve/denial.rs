// SPDX-License-Identifier: Apache-2.0
//! The log line of a denial: which origin, method or header, and the directive that would allow it.

use std::fmt;

use cors_policy::facts::{Facts, Field, Site};
use cors_policy::nearest::{nearest_word, Near};
use cors_policy::preflight::Missing;
use cors_policy::{Decision, Status};

use super::escaped::Escaped;
use super::keep::Kept;
use crate::conf::Policy;
use crate::nginx::{OutOfMemory, Request};

/// How many of the missing headers are named.
const MOST: usize = 16;

/// Writes the line for the decision that is kept if it is a denial, once, and if its level is logged at all.
#[inline]
pub fn log<'r>(r: &Request<'r>, policy: &'r Policy, kept: &Kept<'r>) {
    if r.log().writes(policy.log_level) && !kept.is_logged().get() {
        write_decision(r, policy, kept);
    }
}

#[cold]
fn write_decision<'r>(r: &Request<'r>, policy: &'r Policy, kept: &Kept<'r>) {
    if let Some((_, facts, decision)) = kept.decided(r) {
        write(r, policy, kept, &facts, decision);
    }
}

/// Writes the line of a rejection that a dry run prevents, in a location whose policy does not decide about the response.
#[cold]
pub fn log_rejection<'r>(r: &Request<'r>, policy: &'r Policy, kept: &Kept<'r>, facts: &Facts<'r>) {
    if r.log().writes(policy.log_level) {
        write(r, policy, kept, facts, Decision { status: Status::Rejected, ..Decision::default() });
    }
}

fn write<'r>(r: &Request<'r>, policy: &'r Policy, kept: &Kept<'r>, facts: &Facts<'r>, decision: Decision) {
    let line = Line { policy, facts, status: policy.rules.explain(facts, decision) };
    if !line.is_empty() {
        kept.is_logged().set(true);
        let dry_run = if policy.dry_run { " (dry run)" } else { "" };
        r.log().write(policy.log_level, format_args!("cors: {line}{dry_run}"));
    }
}

/// The reason of a denial in the words of its line, with the nearest miss if there is one; empty if the decision is not a denial.
pub fn reason<'r>(
    r: &mut Request<'r>,
    policy: &'r Policy,
    kept: &Kept<'r>,
    facts: &Facts<'r>,
    decision: Decision,
) -> Result<&'r [u8], OutOfMemory> {
    let line = Line { policy, facts, status: policy.rules.explain(facts, decision) };
    if line.is_empty() {
        return Ok(b"");
    }
    let dry_run = if policy.dry_run { " (dry run)" } else { "" };
    let is_about_lists = matches!(line.status, Status::PreflightMethodDenied | Status::PreflightHeaderDenied);
    let origin = facts.origin.one().filter(|_| !is_about_lists);
    match origin.and_then(|origin| nearest(policy, kept, origin)) {
        Some(near) => {
            let ([scheme, star, rest], difference) = (near.value(), near.difference());
            let (scheme, rest) = (Escaped(scheme.as_bytes()), Escaped(rest.as_bytes()));
            r.format(format_args!("{line}{dry_run}; nearest: {scheme}{star}{rest} ({difference})"))
        }
        None => r.format(format_args!("{line}{dry_run}")),
    }
}

/// What an origin misses by little: a value of the list, or a word of a variable.
fn nearest<'r>(policy: &'r Policy, kept: &Kept<'r>, origin: &[u8]) -> Option<Near<'r>> {
    let values = kept.others(policy.dynamic.variables.as_ptr().cast());
    values.filter_map(|value| nearest_word(value, origin)).chain(policy.rules.nearest(origin)).min()
}

struct Line<'l, 'r> {
    policy: &'r Policy,
    facts: &'l Facts<'r>,
    status: Status,
}

impl Line<'_, '_> {
    fn is_empty(&self) -> bool {
        matches!(
            self.status,
            Status::NoOrigin | Status::Allowed | Status::SameOrigin | Status::Preflight | Status::Bypass
        )
    }

    /// What a preflight asks for that is not on the lists.
    fn missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut headers = 0;
        for missing in self.policy.rules.missing(self.facts) {
            match missing {
                Missing::Method(method) => write!(f, "method \"{}\" is not in cors_allow_methods", Escaped(method))?,
                Missing::Header(_) => headers += 1,
            }
        }
        if headers == 0 {
            return Ok(());
        }
        let names = self.policy.rules.missing(self.facts).filter_map(|missing| match missing {
            Missing::Method(_) => None,
            Missing::Header(name) => Some(Escaped(name)),
        });
        let is_method_missing = self.status == Status::PreflightMethodDenied;
        f.write_str(if is_method_missing { ", " } else { "" })?;
        f.write_str(if headers == 1 { "header" } else { "headers" })?;
        for (at, name) in names.take(MOST).enumerate() {
            write!(f, "{} \"{name}\"", if at == 0 { "" } else { "," })?;
        }
        f.write_str(if headers > MOST { ", ..." } else { "" })?;
        f.write_str(if headers == 1 { " is" } else { " are" })?;
        f.write_str(" not in cors_allow_headers")
    }
}

impl fmt::Display for Line<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::PreflightMethodDenied | Status::PreflightHeaderDenied => return self.missing(f),
            Status::Rejected => f.write_str("rejected, ")?,
            _ => {}
        }
        match (self.facts.origin, self.facts.site) {
            (Field::One(b"null"), _) => f.write_str(
                "origin \"null\" is not allowed by cors_allow_origin; browsers send \"null\" after a redirect to another \
                 origin, and from sandboxed frames and local files",
            ),
            (Field::One(origin), _) => {
                let origin = Escaped(origin);
                let directives = match self.policy.rules.files.is_empty() {
                    true => "cors_allow_origin or cors_allow_origin_regex",
                    false => "cors_allow_origin, cors_allow_origin_regex or cors_allow_origin_file",
                };
                write!(f, "origin \"{origin}\" is not allowed by {directives}")
            }
            (Field::Many, _) => f.write_str("several Origin fields are not allowed"),
            (Field::Absent, site) => {
                let site = match site {
                    Site::CrossSite => "\"cross-site\"",
                    Site::SameSite => "\"same-site\"",
                    _ => "not a browser's",
                };
                write!(f, "Sec-Fetch-Site is {site} and there is no Origin; only cors_bypass lets it pass")
            }
        }
    }
}
