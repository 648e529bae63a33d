// SPDX-License-Identifier: Apache-2.0
//! Complaints about what is only known at run time: each is logged at most once a minute, by each worker.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::nginx::clock;

/// The number of complaints within [`INTERVAL`]. Further ones are not logged, so that clients cannot fill the log.
const MOST: usize = 32;

/// Seconds between two complaints about the same thing.
const INTERVAL: i64 = 60;

/// What was complained about, and when. Its size does not depend on what requests contain.
#[derive(Default)]
pub struct Complaints([Cell<Option<(u64, i64)>>; MOST]);

impl Complaints {
    /// Whether a complaint about `what` is due; it then counts as made.
    pub fn is_due(&self, what: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let (hash, now) = (hasher.finish(), clock::seconds());
        let known = self.0.iter().find(|cell| cell.get().is_some_and(|(other, _)| other == hash));
        let oldest = || self.0.iter().min_by_key(|cell| cell.get().map(|(_, last)| last));
        let cell = known.or_else(oldest);
        let due = cell.filter(|cell| cell.get().is_none_or(|(_, last)| now - last >= INTERVAL));
        due.inspect(|cell| cell.set(Some((hash, now)))).is_some()
    }
}
