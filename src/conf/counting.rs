// SPDX-License-Identifier: Apache-2.0
//! The zone of `cors_zone`, and the row that each policy has in it.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use cors_policy::frequent::Frequent;
use cors_policy::report::What;
use cors_policy::tally::{self, Counters, Name, Row, Tally, COUNTERS};
use cors_policy::{Problem, Reason, Status};

use super::messages;
use super::policy::Policy;
use crate::nginx::clock;
use crate::nginx::log::{Level, Log};
use crate::nginx::zone::{Tenant, Zone};

/// There is room for the denial of one kind for each of these bytes.
const BYTES_OF_DENIAL: usize = 1024;

/// The first words of the memory: the secret of the table of denials, and when it was made.
const SECRET: usize = 0;
const SINCE: usize = 1;
/// A line of the cache.
const OWN: usize = 8;

/// What `cors_zone` says.
pub struct ZoneSetting {
    /// The name.
    pub name: Vec<u8>,
    /// The size, in bytes.
    pub size: usize,
    /// The whole value.
    pub value: Vec<u8>,
    /// Where it appears.
    pub place: messages::Place,
}

/// The row of a policy.
pub struct PolicyRow {
    /// What identifies the row.
    pub name: Name,
    /// Whether the policy allows credentials.
    pub credentials: bool,
    /// The row in memory, once there is memory and if there is room.
    pub row: Cell<Option<Row>>,
    /// The counters of this worker.
    pub counters: Cell<&'static Counters>,
    /// The memory, if there is a row.
    pub memory: Cell<Option<&'static Memory>>,
    /// What the hash of a denied origin begins with.
    pub denied: Cell<u64>,
}

/// The counters of a policy that has no row: nobody reads them.
static NOWHERE: Counters = [const { AtomicU64::new(0) }; COUNTERS];

impl PolicyRow {
    fn new(name: Name, credentials: bool) -> PolicyRow {
        let counters = Cell::new(&NOWHERE);
        PolicyRow {
            name,
            credentials,
            row: Cell::default(),
            counters,
            memory: Cell::default(),
            denied: Cell::default(),
        }
    }

    fn set(&self, row: Row, memory: &'static Memory) {
        let denied = Kind { row, what: What::Origin, is_cut: false, status: Status::Denied };
        self.row.set(Some(row));
        self.memory.set(Some(memory));
        self.denied.set(memory.frequent.start(denied.number()));
        self.start_worker(0);
    }

    fn start_worker(&self, worker: usize) {
        let counters = self.memory.get().zip(self.row.get());
        let counters = counters.and_then(|(memory, row)| memory.tally.counters(row, worker));
        self.counters.set(counters.unwrap_or(&NOWHERE));
    }
}

/// The zone of a configuration.
pub struct Counting {
    /// What the configuration says of it.
    pub setting: ZoneSetting,
    /// All rows that policies have.
    pub rows: Vec<PolicyRow>,
    memory: OnceCell<Memory>,
}

/// What the memory contains.
pub struct Memory {
    /// The memory itself.
    pub zone: Zone,
    /// The rows.
    pub tally: Tally<'static>,
    /// The denials, and how they are counted.
    pub denials: &'static [AtomicU64],
    /// See above.
    pub frequent: Frequent,
    /// When it was made, in seconds since the epoch.
    pub since: u64,
}

impl Counting {
    /// Has a row for each policy; those of the same label share one. Returns the place of each policy's among the rows as well.
    pub fn new(setting: ZoneSetting, policies: &[(&Policy, &str)]) -> (Counting, Vec<usize>) {
        let mut rows: Vec<PolicyRow> = Vec::new();
        let mut known = HashMap::new();
        let mut places = Vec::with_capacity(policies.len());
        for (policy, label) in policies {
            let name = Name { label: (*label).to_owned(), dry_run: policy.dry_run };
            let at = *known.entry(name.clone()).or_insert(rows.len());
            if at == rows.len() {
                let credentials = policy.rules.credentials;
                rows.push(PolicyRow::new(name, credentials));
            }
            places.push(at);
        }
        (Counting { setting, rows, memory: OnceCell::new() }, places)
    }

    /// The memory, once nginx has it.
    #[inline]
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.get()
    }

    /// Lets this process count in the rows of the worker with this number.
    pub fn start_worker(&self, worker: usize) {
        self.rows.iter().for_each(|row| row.start_worker(worker));
    }
}

impl Tenant for Counting {
    fn move_in(&'static self, zone: Zone, workers: usize, log: Log) {
        let Some((own, rest)) = zone.words().split_at_checked(OWN) else { return };
        if own[SECRET].load(Relaxed) == 0 {
            own[SECRET].store(RandomState::new().build_hasher().finish().max(1), Relaxed);
            own[SINCE].store(u64::try_from(clock::seconds()).unwrap_or(0), Relaxed);
        }
        let frequent = Frequent::new(rest.len() * 8 / BYTES_OF_DENIAL, own[SECRET].load(Relaxed));
        let Some((denials, rows)) = rest.split_at_checked(frequent.size()) else { return };
        let since = own[SINCE].load(Relaxed);
        let memory = self.memory.get_or_init(|| Memory { zone, tally: Tally::new(rows), denials, frequent, since });
        let names: Vec<_> = self.rows.iter().map(|row| row.name.clone()).collect();
        let rows = memory.tally.claim(&names, workers);
        let left_out = rows.iter().filter(|row| row.is_none()).count();
        for (policy, row) in self.rows.iter().zip(rows) {
            if let Some(row) = row {
                policy.set(row, memory);
            }
        }
        if left_out > 0 {
            let problem =
                Problem::new(&self.setting.value, Reason::SmallZone(format!("{left_out} of {}", names.len())));
            log.write(Level::WARN, format_args!("cors_zone: {problem} in {}", self.setting.place));
        }
    }
}

/// What distinguishes denials besides their texts, in one number.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The row of the policy.
    pub row: Row,
    /// What is not allowed.
    pub what: What,
    /// Whether the texts are cut.
    pub is_cut: bool,
    /// The status.
    pub status: Status,
}

const WHATS: [What; 5] = [What::Origin, What::Method, What::Header, What::Origins, What::NoOrigin];

impl Kind {
    /// The number.
    pub fn number(self) -> u64 {
        // `WHATS` has the order of the variants.
        u64::from(self.row.0) << 16 | (self.what as u64) << 9 | u64::from(self.is_cut) << 8 | self.status as u64
    }

    /// The kind of a number.
    pub fn of_number(number: u64) -> Option<Kind> {
        Some(Kind {
            row: Row((number >> 16) as u32),
            what: *WHATS.get((number >> 9) as usize & 0x7f)?,
            is_cut: number >> 8 & 1 == 1,
            status: *tally::STATUSES.get((number as usize & 0xff).wrapping_sub(1))?,
        })
    }
}
