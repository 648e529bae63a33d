// SPDX-License-Identifier: Apache-2.0
//! Complaints about what is only known at run time: each is logged at most once a minute, by each worker.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The number of complaints within [`INTERVAL`]. Further ones are not logged, so that clients cannot fill the log.
const MOST: usize = 32;

/// Seconds between two complaints about the same thing.
const INTERVAL: i64 = 60;

/// What was complained about, and when. Its size does not depend on what requests contain.
#[derive(Default)]
pub struct Complaints([Cell<Option<(u64, i64)>>; MOST]);

impl Complaints {
    /// Whether a complaint about `what` is due at this time, in seconds; it then counts as made.
    pub fn is_due(&self, what: impl Hash, now: i64) -> bool {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.0.iter().find(|cell| cell.get().is_some_and(|(other, _)| other == hash));
        let oldest = || self.0.iter().min_by_key(|cell| cell.get().map(|(_, last)| last));
        let cell = known.or_else(oldest);
        let due = cell.filter(|cell| cell.get().is_none_or(|(_, last)| now - last >= INTERVAL));
        due.inspect(|cell| cell.set(Some((hash, now)))).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute() {
        let complaints = Complaints::default();
        let start = 1_795_890_000;
        for (what, seconds, due) in [
            ("a", 0, true),
            ("a", 0, false),
            ("b", 1, true),
            ("a", 59, false),
            ("b", 60, false),
            ("a", 60, true),
            ("b", 61, true),
            ("a", 119, false),
            ("a", 120, true),
        ] {
            assert_eq!(complaints.is_due(what, start + seconds), due, "{what} after {seconds} s");
        }
    }

    #[test]
    fn what_there_is_room_for() {
        let complaints = Complaints::default();
        let due = |range: std::ops::Range<usize>, now| range.filter(|what| complaints.is_due(what, now)).count();
        assert_eq!(due(0..40, 1000), MOST);
        assert_eq!(due(0..40, 1059), 0);
        // The oldest make room.
        assert_eq!((due(5..6, 1060), due(100..131, 1060)), (1, MOST - 1));
        assert_eq!((due(5..6, 1061), due(0..5, 1061)), (0, 0));
    }
}
