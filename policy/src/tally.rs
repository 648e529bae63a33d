// SPDX-License-Identifier: Apache-2.0
//! Counters of requests, in memory that several processes share: one row for each policy, and in it one counter for each
//! [`Status`] except [`Status::NoOrigin`].
//!
//! The memory is a slice of words, zeroed at first. Rows are added when a configuration is read, and never move or go away. A row has
//! several sets of counters, so that each worker has its own and no two of them write to the same cache line. If there are more
//! workers than sets, some share one: the numbers are exact anyway, because counting is an atomic addition.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Status;

/// How many counters a row has.
pub const COUNTERS: usize = 9;

/// The statuses that are counted, in the order of the counters.
pub const STATUSES: [Status; COUNTERS] = [
    Status::Allowed,
    Status::Denied,
    Status::SameOrigin,
    Status::Rejected,
    Status::Preflight,
    Status::PreflightOriginDenied,
    Status::PreflightMethodDenied,
    Status::PreflightHeaderDenied,
    Status::Bypass,
];

/// The counters of a row that one worker adds to, in the order of [`STATUSES`].
pub type Counters = [AtomicU64; COUNTERS];

/// Counts one request.
#[inline(always)]
pub fn count(counters: &Counters, status: Status) {
    // `STATUSES` has the order of the variants, without the first.
    if let Some(counter) = counters.get((status as usize).wrapping_sub(1)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Words of one cache line.
const LINE: usize = 8;
/// Words at the start of the memory: how many words are in use, and where the last row is.
const USED: usize = 0;
const LAST: usize = 1;
/// Words of a row. The first one says where the row before is. Then: where its counters are, how many sets of them there are, how far
/// apart these are, and the label's length with the dry run in the lowest bit. The label follows.
const FIRST: usize = 1;
const SETS: usize = 2;
const APART: usize = 3;
const LABEL: usize = 4;
const TEXT: usize = 5;

/// The longest label, in bytes.
pub const MAX_LABEL: usize = 255;

/// What identifies a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The label.
    pub label: String,
    /// Whether its decisions are those of a dry run.
    pub dry_run: bool,
}

/// A row, for as long as the memory exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row(pub u32);

/// Rows of counters in shared memory.
#[derive(Clone, Copy)]
pub struct Tally<'m>(&'m [AtomicU64]);

impl<'m> Tally<'m> {
    /// The rows in `memory`, which is zeroed or was used for this before.
    pub fn new(memory: &'m [AtomicU64]) -> Tally<'m> {
        Tally(memory)
    }

    fn get(self, at: usize) -> usize {
        self.0.get(at).map_or(0, |word| word.load(Ordering::Relaxed) as usize)
    }

    fn set(self, at: usize, value: usize) {
        if let Some(word) = self.0.get(at) {
            word.store(value as u64, Ordering::Relaxed);
        }
    }

    /// How many words are in use.
    pub fn used(self) -> usize {
        self.get(USED).max(LINE)
    }

    /// All rows, the last one first.
    pub fn rows(self) -> impl Iterator<Item = Row> + 'm {
        let last = self.0.get(LAST).map_or(0, |word| word.load(Ordering::Acquire) as usize);
        // A row is behind the one before it, so this ends.
        let rows = std::iter::successors(Some(last), move |&at| Some(self.get(at)).filter(|&before| before < at));
        rows.take_while(|&at| at != 0).map(|at| Row(at as u32))
    }

    /// What identifies a row.
    pub fn name(self, Row(at): Row) -> Name {
        let at = at as usize;
        let label = self.get(at + LABEL);
        let len = (label >> 1).min(MAX_LABEL);
        let words = self.0.get(at + TEXT..).unwrap_or_default().iter().take(len.div_ceil(LINE));
        let text: Vec<u8> = words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        let text = &text[..len.min(text.len())];
        Name { label: String::from_utf8_lossy(text).into_owned(), dry_run: label & 1 == 1 }
    }

    /// The counters of a row that the worker of this number adds to.
    pub fn counters(self, Row(at): Row, worker: usize) -> Option<&'m Counters> {
        let at = at as usize;
        let set = worker % self.get(at + SETS).max(1);
        let first = self.get(at + FIRST) + set * self.get(at + APART);
        self.0.get(first..)?.first_chunk()
    }

    /// How many requests all workers have counted in a row, in the order of [`STATUSES`].
    pub fn sums(self, row: Row) -> [u64; COUNTERS] {
        let mut sums = [0u64; COUNTERS];
        for worker in 0..self.get(row.0 as usize + SETS).min(self.0.len()) {
            for (sum, counter) in sums.iter_mut().zip(self.counters(row, worker).into_iter().flatten()) {
                *sum = sum.wrapping_add(counter.load(Ordering::Relaxed));
            }
        }
        sums
    }

    /// The rows of these names; `None` for those that there is no room for. Only one process may call this, and requests may be
    /// counted meanwhile.
    pub fn claim(self, names: &[Name], workers: usize) -> Vec<Option<Row>> {
        let mut rows: HashMap<Name, Row> = self.rows().map(|row| (self.name(row), row)).collect();
        let mut known: HashSet<&Name> = HashSet::new();
        let mut new: Vec<_> = names.iter().filter(|name| !rows.contains_key(*name) && known.insert(name)).collect();
        // As many as there is room for, with one set of counters each.
        let room = self.0.len().saturating_sub(self.used() + 2 * LINE);
        let mut needed = 0;
        let fits = |name: &&&Name| {
            needed += TEXT + name.label.len().div_ceil(LINE) + COUNTERS;
            needed <= room
        };
        let fitting = new.iter().take_while(fits).count();
        new.truncate(fitting);
        let records: usize = new.iter().map(|name| TEXT + name.label.len().div_ceil(LINE)).sum();
        let apart = (new.len() * COUNTERS).next_multiple_of(LINE);
        let first = (self.used() + records).next_multiple_of(LINE);
        // More sets may take half of what is free: later configurations may have other rows.
        let more = (room / 2).saturating_sub(records).checked_div(apart).unwrap_or(0);
        let sets = more.clamp(1, workers.max(1));
        let mut at = self.used();
        for (number, name) in new.into_iter().enumerate() {
            let row = Row(at as u32);
            self.set(at, self.get(LAST));
            self.set(at + FIRST, first + number * COUNTERS);
            self.set(at + SETS, sets);
            self.set(at + APART, apart);
            self.set(at + LABEL, name.label.len() << 1 | usize::from(name.dry_run));
            for (n, bytes) in name.label.as_bytes().chunks(LINE).enumerate() {
                let mut word = [0; LINE];
                word[..bytes.len()].copy_from_slice(bytes);
                self.0[at + TEXT + n].store(u64::from_le_bytes(word), Ordering::Relaxed);
            }
            self.0[LAST].store(at as u64, Ordering::Release);
            at += TEXT + name.label.len().div_ceil(LINE);
            rows.insert(name.clone(), row);
        }
        if apart != 0 {
            self.set(USED, first + sets * apart);
        }
        names.iter().map(|name| rows.get(name).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(words: usize) -> Vec<AtomicU64> {
        (0..words).map(|_| AtomicU64::new(0)).collect()
    }

    fn names(labels: impl IntoIterator<Item = impl ToString>) -> Vec<Name> {
        labels.into_iter().map(|label| Name { label: label.to_string(), dry_run: false }).collect()
    }

    #[test]
    fn statuses_are_in_the_order_of_the_variants() {
        for (at, status) in STATUSES.into_iter().enumerate() {
            assert_eq!(status as usize, at + 1);
        }
    }

    #[test]
    fn rows_are_found_again_by_their_names() {
        let memory = memory(4096);
        let tally = Tally::new(&memory);
        let mut wanted = names(["a.example /api/", "", "m\u{fc}nchen"]);
        wanted.push(Name { dry_run: true, ..wanted[0].clone() });
        wanted.push(wanted[0].clone());
        let rows: Vec<_> = tally.claim(&wanted, 4).into_iter().map(Option::unwrap).collect();
        assert_eq!(rows[0], rows[4]);
        assert_ne!(rows[0], rows[3]);
        for (row, name) in rows.iter().zip(&wanted) {
            assert_eq!(tally.name(*row), *name);
        }
        for (worker, status) in [(0, Status::Allowed), (3, Status::Allowed), (7, Status::Bypass), (9, Status::NoOrigin)]
        {
            count(tally.counters(rows[3], worker).unwrap(), status);
        }
        let later = tally.claim(&[names(["other"]), wanted[2..4].to_vec()].concat(), 8);
        assert_eq!(later[1..], [Some(rows[2]), Some(rows[3])]);
        assert_eq!(tally.sums(rows[3]), [2, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(tally.sums(rows[0]), [0; COUNTERS]);
        assert_eq!(tally.rows().count(), 5);
    }

    #[test]
    fn workers_do_not_share_cache_lines() {
        let memory = memory(65536);
        let tally = Tally::new(&memory);
        let rows = tally.claim(&names(0..10), 4);
        let lines = |worker| {
            let places = rows.iter().flat_map(move |row| tally.counters(row.unwrap(), worker).unwrap());
            places.map(|counter| (std::ptr::from_ref(counter).addr() - memory.as_ptr().addr()) / 64).collect::<Vec<_>>()
        };
        for (a, b) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
            assert!(lines(a).iter().all(|line| !lines(b).contains(line)), "workers {a} and {b}");
        }
        assert_eq!(lines(0), lines(4));
    }

    #[test]
    fn a_small_memory_has_the_first_rows() {
        for words in (0..400).chain([1000]) {
            let memory = memory(words);
            let tally = Tally::new(&memory);
            let rows = tally.claim(&names(0..100), 64);
            let fitting = rows.iter().take_while(|row| row.is_some()).count();
            assert!(rows[fitting..].iter().all(Option::is_none));
            assert!((fitting < 1000 / 15) && (words < 100 || fitting * 16 + 40 > words), "{fitting} in {words}");
            for row in rows.iter().flatten() {
                STATUSES.into_iter().for_each(|status| count(tally.counters(*row, 63).unwrap(), status));
            }
            for (row, name) in rows.into_iter().flatten().zip(names(0..100)) {
                assert_eq!((tally.name(row), tally.sums(row)), (name, [1; COUNTERS]), "{words}");
            }
            assert!(tally.used() <= words.max(8));
        }
    }

    #[test]
    fn rows_end_whatever_the_memory_contains() {
        for before in [0, 8, 9, 1 << 40] {
            let memory = memory(64);
            memory[LAST].store(8, Ordering::Relaxed);
            memory[8].store(before, Ordering::Relaxed);
            assert_eq!(Tally::new(&memory).rows().take(10).count(), 1, "{before}");
        }
    }

    #[test]
    fn later_rows_have_room() {
        let memory = memory(20_000);
        let tally = Tally::new(&memory);
        assert!(tally.claim(&names(0..10), 64).iter().all(Option::is_some));
        assert!(tally.claim(&names(10..300), 64).iter().all(Option::is_some));
        assert_eq!(tally.rows().count(), 300);
    }
}
