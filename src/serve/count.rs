// SPDX-License-Identifier: Apache-2.0
//! Counting requests and denials in shared memory, by the decision that is kept.
//!
//! A request is counted once, when the header of its response is made: no redirect follows then, so the decision is final.

use std::ops::RangeInclusive;

use cors_policy::facts::Field;
use cors_policy::frequent::{Frequent, Key, LONGEST};
use cors_policy::preflight::Missing;
use cors_policy::report::What;
use cors_policy::tally;
use cors_policy::{Facts, Status};

use super::keep::{Kept, Way};
use super::read::says_cross_site;
use crate::conf::counting::{Kind, Memory, PolicyRow};
use crate::conf::Policy;
use crate::nginx::clock;
use crate::nginx::Request;

/// How many of the missing headers of a preflight are recorded.
const MOST: usize = 16;

/// Counts a request that is allowed by the list, which is what most of them are; returns whether it is such a request, or one that
/// is not counted.
#[inline(always)]
pub fn count_common(kept: &Kept<'_>, row: &PolicyRow) -> bool {
    if kept.way().get() == Way::NoOrigin {
        return true;
    }
    if kept.way().get() == Way::Allowed && !kept.is_counted().get() {
        kept.is_counted().set_first(true);
        tally::count(row.counters.get(), Status::Allowed);
        return true;
    }
    false
}

/// Whether it is a request that the list denies, from another site.
#[inline(always)]
pub fn is_denied(r: &Request<'_>, kept: &Kept<'_>) -> bool {
    kept.way().get() == Way::Denied && !kept.is_counted().get() && says_cross_site(r)
}

/// Counts a request that [`is_denied`], if its origin has one of these lengths and was denied before; returns whether it was counted.
#[inline(always)]
pub fn count_denied(kept: &Kept<'_>, row: &PolicyRow, lengths: RangeInclusive<usize>) -> bool {
    let Some(Memory { frequent, denials, .. }) = row.memory.get() else { return false };
    let origin = kept.origin().as_bytes();
    if !lengths.contains(&origin.len()) || !frequent.count_first(denials, Frequent::hash(row.denied.get(), origin), now)
    {
        return false;
    }
    kept.is_counted().set_first(true);
    tally::count(row.counters.get(), Status::Denied);
    true
}

/// Counts any other request.
pub fn count<'r>(r: &Request<'r>, kept: &Kept<'r>, policy: &'r Policy, row: &PolicyRow) {
    if kept.is_counted().get() {
        return;
    }
    kept.is_counted().set(true);
    let Some((_, facts, decision)) = kept.decided(r) else { return };
    let status = policy.rules.explain(&facts, decision);
    // As `$cors_status`, which is empty then.
    if status == Status::NoOrigin || (status == Status::Bypass && facts.origin.is_absent()) {
        return;
    }
    tally::count(row.counters.get(), status);
    match status {
        Status::Denied | Status::Rejected => record_origin(row, &facts, status),
        Status::PreflightOriginDenied => {
            record_origin(row, &facts, status);
            // What is missing besides the origin.
            if policy.dry_run {
                record_missing(row, policy, &facts);
            }
        }
        Status::PreflightMethodDenied | Status::PreflightHeaderDenied => record_missing(row, policy, &facts),
        _ => {}
    }
}

/// Records what a preflight asks for that is not on the lists.
fn record_missing(row: &PolicyRow, policy: &Policy, facts: &Facts<'_>) {
    let origin = facts.origin.one().unwrap_or_default();
    for missing in policy.rules.missing(facts).take(MOST) {
        match missing {
            Missing::Method(method) => record(row, What::Method, origin, method, Status::PreflightMethodDenied),
            Missing::Header(name) => record(row, What::Header, origin, name, Status::PreflightHeaderDenied),
        }
    }
}

fn record_origin(row: &PolicyRow, facts: &Facts<'_>, status: Status) {
    match facts.origin {
        Field::One(origin) => record(row, What::Origin, origin, b"", status),
        Field::Many => record(row, What::Origins, b"", b"", status),
        Field::Absent => record(row, What::NoOrigin, b"", b"", status),
    }
}

fn record(row: &PolicyRow, what: What, origin: &[u8], asked: &[u8], status: Status) {
    let (Some(row), Some(memory)) = (row.row.get(), row.memory.get()) else { return };
    let Memory { zone, frequent, denials, .. } = memory;
    let is_cut = origin.len() > LONGEST || asked.len() > LONGEST;
    let kind = Kind { row, what, is_cut, status };
    let key = Key { kind: kind.number(), texts: [origin, asked] };
    if !frequent.count(denials, &key, now()) {
        zone.change(|| frequent.repair(denials), || frequent.add(denials, &key, now()));
    }
}

fn now() -> u64 {
    clock::seconds() as u64
}
