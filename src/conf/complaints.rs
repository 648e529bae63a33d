//! Complaints about values that are only known at run time: each is logged at most once a minute, by each worker.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::nginx::clock;

/// How many values are told apart; of more, the one that was complained about longest ago is forgotten.
const VALUES: usize = 32;

/// Seconds between two complaints about one value.
const INTERVAL: i64 = 60;

/// What was complained about, and when. It takes no memory from requests, whatever their values are.
#[derive(Default)]
pub struct Complaints([Cell<Option<(u64, i64)>>; VALUES]);

impl Complaints {
    /// Whether a complaint about `value` is due; it then counts as made.
    pub fn is_due(&self, value: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let (hash, now) = (hasher.finish(), clock::seconds());
        let known = self.0.iter().find(|cell| cell.get().is_some_and(|(other, _)| other == hash));
        let cell = match known {
            Some(cell) if cell.get().is_some_and(|(_, last)| now - last < INTERVAL) => return false,
            Some(cell) => cell,
            None => self.0.iter().min_by_key(|cell| cell.get().map(|(_, last)| last)).expect("there are some"),
        };
        cell.set(Some((hash, now)));
        true
    }
}
