// SPDX-License-Identifier: Apache-2.0
//! The most frequent of the things that happen, however many different ones there are, in memory of a fixed size: the
//! space-saving algorithm (A. Metwally, D. Agrawal, A. El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data
//! Streams, 2005).
//!
//! Each entry has a count and an error. If something happens that has no entry, it takes the place of the entry with the lowest
//! count, and goes on from that count, which becomes its error. So what has happened more often than one in `capacity` times
//! always has an entry, the count is never too low, and it is too high by the error at most.
//!
//! The memory is a slice of words that several processes share. [`Frequent::count`] counts what has an entry, without a lock.
//! Everything else needs one. A process may be killed while it has the lock: [`Frequent::repair`] makes the memory consistent again.
//! No content of the memory causes a panic or a loop without end.
//!
//! The lowest count is at the top of a heap. Counting does not change the heap, which is put in order when the lowest count is needed:
//! until then, its counts are too low. Entries are looked up in a hash table, with a secret, because clients choose what is stored.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The most bytes that are kept of each of the two texts of an entry.
pub const LONGEST: usize = 256;
/// The words of an entry for both texts. If they are too long together, the second is cut again.
const TEXT_WORDS: usize = 48;

// The words of an entry; then come the texts.
const HASH: usize = 0;
/// How often the entry has got another content, above [`COUNT_BITS`] bits for the count. If the count is zero, the entry is not valid.
const COUNT: usize = 1;
const KIND: usize = 2;
const LENGTHS: usize = 3;
const ERROR: usize = 4;
const FIRST: usize = 5;
const LAST: usize = 6;
const TEXT: usize = 7;
const ENTRY: usize = TEXT + TEXT_WORDS;

const COUNT_BITS: u32 = 48;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// What is before the entries: how many are in use, in a line of the cache of its own.
const HEAD: usize = 8;

/// How many bits the number of an entry has where it shares a word.
const NUMBER: u32 = 16;
/// The most entries; no number of one, plus one, has more bits.
const MOST: usize = (1 << NUMBER) - 1;

/// The size and the secret of a memory.
#[derive(Clone, Copy)]
pub struct Frequent {
    capacity: usize,
    secret: u64,
    /// Where the hash table is, and how many slots it has: a power of two. A slot is zero, or the hash with the number of the entry
    /// plus one in place of its lowest [`NUMBER`] bits. Probing is linear, and begins at these bits of the hash.
    table: usize,
    slots: usize,
}

/// What has happened, as it is counted.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// What distinguishes it besides the texts.
    pub kind: u64,
    /// The texts.
    pub texts: [&'a [u8]; 2],
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the caller distinguishes entries by, besides the texts.
    pub kind: u64,
    /// The texts, as far as they are kept.
    pub texts: [Vec<u8>; 2],
    /// How often it has happened, at most.
    pub count: u64,
    /// By how much `count` may be too high.
    pub error: u64,
    /// When it happened first, since it has an entry.
    pub first: u64,
    /// When it happened last.
    pub last: u64,
}

fn word(memory: &[AtomicU64], at: usize) -> u64 {
    memory.get(at).map_or(0, |word| word.load(Relaxed))
}

fn set_word(memory: &[AtomicU64], at: usize, value: u64) {
    if let Some(word) = memory.get(at) {
        word.store(value, Relaxed);
    }
}

impl Frequent {
    /// A memory for so many entries, or for as many as there can be.
    pub fn new(capacity: usize, secret: u64) -> Frequent {
        let capacity = capacity.min(MOST);
        let slots = (capacity * 2).next_power_of_two();
        Frequent { capacity, secret, table: HEAD + capacity * (ENTRY + 1), slots }
    }

    /// How many entries there can be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many words of memory it takes.
    pub fn size(&self) -> usize {
        self.table + self.slots
    }

    /// What [`Frequent::hash`] begins with for a kind.
    pub fn start(&self, kind: u64) -> u64 {
        mix(self.secret ^ kind, self.secret.rotate_left(32))
    }

    /// The hash of something of the kind that `start` is of, by its first text.
    #[inline(always)]
    pub fn hash(start: u64, first: &[u8]) -> u64 {
        let first = first.get(..LONGEST).unwrap_or(first);
        hash(start ^ first.len() as u64, first)
    }

    fn hash_of(&self, key: &Key<'_>) -> u64 {
        let hash = Frequent::hash(self.start(key.kind), key.texts[0]);
        if key.texts[1].is_empty() {
            return hash;
        }
        Frequent::hash(hash.rotate_left(32), key.texts[1])
    }

    /// Counts what has this hash, at the time `now`, if its entry is in its usual place. Makes no calls. Returns whether
    /// it has done so.
    ///
    /// The entry is not compared any further: nobody who does not know the secret can find two things of the same hash.
    #[inline(always)]
    pub fn count_first(&self, memory: &[AtomicU64], hash: u64, now: impl FnOnce() -> u64) -> bool {
        let Some(slot) = memory.get(self.table + (hash as usize & (self.slots - 1))) else { return false };
        let slot = slot.load(Relaxed);
        (slot ^ hash) >> NUMBER == 0 && count_in(memory, slot as usize & MOST, hash, now)
    }

    /// Counts `key`, at the time `now`; returns `false` if it has no entry, or if that is being changed.
    pub fn count(&self, memory: &[AtomicU64], key: &Key<'_>, now: u64) -> bool {
        self.count_hash(memory, self.hash_of(key), now)
    }

    fn count_hash(&self, memory: &[AtomicU64], hash: u64, now: u64) -> bool {
        self.find(memory, hash).is_some_and(|number| count_in(memory, number + 1, hash, || now))
    }

    /// The number of the entry that a slot of the table has for a hash.
    fn find(&self, memory: &[AtomicU64], hash: u64) -> Option<usize> {
        let mut at = hash as usize;
        for _ in 0..self.slots {
            let slot = word(memory, self.table + (at & (self.slots - 1)));
            if slot == 0 {
                return None;
            }
            if (slot ^ hash) >> NUMBER == 0 {
                return (slot as usize & MOST).checked_sub(1);
            }
            at = at.wrapping_add(1);
        }
        None
    }

    /// Counts `key`, at the time `now`. Needs the lock.
    pub fn add(&self, memory: &[AtomicU64], key: &Key<'_>, now: u64) {
        let hash = self.hash_of(key);
        let mut left = self.capacity * 2;
        // Other workers count at the same time, so the entries may change.
        while !self.count_hash(memory, hash, now) && !self.add_new(memory, key, hash, now) && left > 0 {
            left -= 1;
        }
    }

    /// Makes an entry for `key`; returns `false` if somebody else has counted the one whose place it was to take.
    fn add_new(&self, memory: &[AtomicU64], key: &Key<'_>, hash: u64, now: u64) -> bool {
        if self.find(memory, hash).is_some() || memory.len() < self.size() || self.capacity == 0 {
            return self.capacity == 0;
        }
        let used = self.used(memory);
        let (number, lowest) = if used < self.capacity { (used, 0) } else { self.settle_lowest(memory) };
        let Some(entry) = entry(memory, number) else { return false };
        let before = entry[COUNT].load(Relaxed);
        let next = (before | COUNT_MASK).wrapping_add(1);
        if used == self.capacity {
            if before & COUNT_MASK != lowest || entry[COUNT].compare_exchange(before, next, AcqRel, Relaxed).is_err() {
                return false;
            }
            self.remove(memory, number);
        }
        entry[HASH].store(hash, Relaxed);
        entry[KIND].store(key.kind, Relaxed);
        entry[ERROR].store(lowest, Relaxed);
        entry[FIRST].store(now, Relaxed);
        entry[LAST].store(now, Relaxed);
        let first = key.texts[0].get(..LONGEST).unwrap_or(key.texts[0]);
        let at = TEXT + store(&entry[TEXT..], first);
        let second = key.texts[1].get(..LONGEST.min((ENTRY - at) * 8)).unwrap_or(key.texts[1]);
        store(&entry[at..], second);
        entry[LENGTHS].store((first.len() | second.len() << 16) as u64, Relaxed);
        entry[COUNT].store(next | (lowest + 1), Release);
        self.insert(memory, hash, number);
        let node = (lowest + 1) << NUMBER | number as u64;
        if used < self.capacity {
            // While there is room, all counts in the heap are one.
            set_word(memory, self.node(number), node);
            set_word(memory, 0, used as u64 + 1);
        } else {
            self.set_top(memory, node);
        }
        true
    }

    /// Makes a memory consistent that a process may have stopped changing half-way. What is left of what it was about to count is
    /// dropped. Needs the lock.
    pub fn repair(&self, memory: &[AtomicU64]) {
        // It may have been written before its number was.
        let mut used = (self.used(memory) + 1).min(self.capacity);
        let mut number = 0;
        while number < used {
            match entry(memory, number) {
                Some(entry) if is_valid(entry) => number += 1,
                _ => {
                    used -= 1;
                    for at in 0..ENTRY {
                        let moved = word(memory, HEAD + used * ENTRY + at);
                        set_word(memory, HEAD + number * ENTRY + at, moved);
                    }
                    set_word(memory, HEAD + used * ENTRY + COUNT, 0);
                }
            }
        }
        set_word(memory, 0, used as u64);
        for slot in 0..self.slots {
            set_word(memory, self.table + slot, 0);
        }
        let entries = (0..used).filter_map(|number| Some((number, entry(memory, number)?)));
        let mut heap = Vec::with_capacity(used);
        for (number, entry) in entries {
            self.insert(memory, entry[HASH].load(Relaxed), number);
            heap.push((entry[COUNT].load(Relaxed) & COUNT_MASK) << NUMBER | number as u64);
        }
        if used < self.capacity {
            // As `add_new` expects.
            heap.iter_mut().for_each(|node| *node = 1 << NUMBER | (*node & MOST as u64));
        }
        heap.sort_unstable();
        for (at, node) in heap.into_iter().enumerate() {
            set_word(memory, self.node(at), node);
        }
    }

    /// All entries, the most frequent first. Needs the lock.
    pub fn entries(&self, memory: &[AtomicU64]) -> Vec<Seen> {
        let entries = (0..self.used(memory)).filter_map(|number| entry(memory, number)).filter(|entry| is_valid(entry));
        let mut seen: Vec<_> = entries
            .map(|entry| {
                let get = |at: usize| entry[at].load(Relaxed);
                let [first, second] = lengths(entry);
                let behind = TEXT + first.div_ceil(8);
                Seen {
                    kind: get(KIND),
                    texts: [load(&entry[TEXT..], first), load(&entry[behind..], second)],
                    count: get(COUNT) & COUNT_MASK,
                    error: get(ERROR),
                    first: get(FIRST),
                    last: get(LAST),
                }
            })
            .collect();
        seen.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.texts.cmp(&b.texts)));
        seen
    }

    fn used(&self, memory: &[AtomicU64]) -> usize {
        usize::try_from(word(memory, 0)).unwrap_or(usize::MAX).min(self.capacity)
    }

    fn insert(&self, memory: &[AtomicU64], hash: u64, number: usize) {
        let mut at = hash as usize;
        for _ in 0..self.slots {
            let place = self.table + (at & (self.slots - 1));
            if word(memory, place) == 0 {
                return set_word(memory, place, hash & !(MOST as u64) | (number as u64 + 1));
            }
            at = at.wrapping_add(1);
        }
    }

    /// Removes an entry from the table, and moves those behind it up that would not be found any more.
    fn remove(&self, memory: &[AtomicU64], number: usize) {
        let mask = self.slots - 1;
        let slot = |at: usize| word(memory, self.table + at);
        let set = |at: usize, value| set_word(memory, self.table + at, value);
        let hash = |number: usize| entry(memory, number).map_or(0, |entry| entry[HASH].load(Relaxed) as usize);
        let mut at = hash(number) & mask;
        let mut left = self.slots;
        while slot(at) as usize & MOST != number + 1 {
            left -= 1;
            if slot(at) == 0 || left == 0 {
                return;
            }
            at = (at + 1) & mask;
        }
        let mut next = at;
        for _ in 0..left {
            next = (next + 1) & mask;
            let moved = slot(next);
            if moved == 0 {
                break;
            }
            // It may move up if its own place is not between the gap and where it is.
            let home = hash((moved as usize & MOST).wrapping_sub(1)) & mask;
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(at) & mask) {
                set(at, moved);
                at = next;
            }
        }
        set(at, 0);
    }

    /// Where a node of the heap is: the count when the heap was last put in order, above [`NUMBER`] bits for the number of the entry.
    fn node(&self, at: usize) -> usize {
        HEAD + self.capacity * ENTRY + at
    }

    /// The number of the entry with the lowest count, and that count.
    fn settle_lowest(&self, memory: &[AtomicU64]) -> (usize, u64) {
        let mut top = word(memory, self.node(0));
        // Once for each entry at most, whose count in the heap is then as it is.
        for _ in 0..=self.capacity {
            let number = top as usize & MOST;
            let count = entry(memory, number).map_or(0, |entry| entry[COUNT].load(Relaxed)) & COUNT_MASK;
            if count <= top >> NUMBER {
                break;
            }
            self.set_top(memory, count << NUMBER | number as u64);
            top = word(memory, self.node(0));
        }
        (top as usize & MOST, top >> NUMBER)
    }

    /// Replaces the node at the top of the heap by a higher one.
    fn set_top(&self, memory: &[AtomicU64], node: u64) {
        let length = self.used(memory);
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= length {
                break;
            }
            let mut lower = word(memory, self.node(child));
            if child + 1 < length {
                let other = word(memory, self.node(child + 1));
                if lower > other {
                    lower = other;
                    child += 1;
                }
            }
            if node <= lower {
                break;
            }
            set_word(memory, self.node(at), lower);
            at = child;
        }
        set_word(memory, self.node(at), node);
    }
}

/// Counts in the entry whose number plus one this is.
#[inline(always)]
fn count_in(memory: &[AtomicU64], number: usize, hash: u64, now: impl FnOnce() -> u64) -> bool {
    let Some(entry) = number.checked_sub(1).and_then(|number| entry(memory, number)) else { return false };
    let before = entry[COUNT].load(Acquire);
    if entry[HASH].load(Relaxed) != hash || before & COUNT_MASK == 0 {
        return false;
    }
    // It fails if the entry gets another content meanwhile.
    let is_counted = entry[COUNT].compare_exchange(before, before + 1, AcqRel, Relaxed).is_ok();
    if is_counted {
        entry[LAST].store(now(), Relaxed);
    }
    is_counted
}

/// Hashes a text, sixteen bytes at a time; the last sixteen overlap the previous ones.
#[inline(always)]
fn hash(start: u64, text: &[u8]) -> u64 {
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
    // If the second word were a rotation of the first, texts with their halves swapped would often have the same hash.
    let add = |h: u64, a: u64, b: u64| mix(h ^ a, h.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b);
    let mut h = start;
    if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        h = add(h, word(first), word(&first[8..]));
        if text.len() > 32 {
            for chunk in text[16..text.len() - 1].chunks_exact(16) {
                h = add(h, word(chunk), word(&chunk[8..]));
            }
        }
        return add(h, word(last), word(&last[8..]));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return add(h, word(first), word(last));
    }
    text.iter().fold(h, |h, &b| add(h, u64::from(b), 0))
}

/// Mixes two words, both of which depend on the secret, by a widening multiplication.
#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn entry(memory: &[AtomicU64], number: usize) -> Option<&[AtomicU64; ENTRY]> {
    let at = number.checked_mul(ENTRY)?.checked_add(HEAD)?;
    memory.get(at..at.checked_add(ENTRY)?)?.first_chunk()
}

fn lengths(entry: &[AtomicU64; ENTRY]) -> [usize; 2] {
    let lengths = entry[LENGTHS].load(Relaxed) as usize;
    [lengths & 0xffff, lengths >> 16]
}

fn is_valid(entry: &[AtomicU64; ENTRY]) -> bool {
    let [first, second] = lengths(entry);
    first.div_ceil(8) + second.div_ceil(8) <= TEXT_WORDS && entry[COUNT].load(Acquire) & COUNT_MASK != 0
}

/// Stores a text, and returns how many words it takes.
fn store(words: &[AtomicU64], text: &[u8]) -> usize {
    for (word, bytes) in words.iter().zip(text.chunks(8)) {
        let mut value = [0; 8];
        value[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_ne_bytes(value), Relaxed);
    }
    text.len().div_ceil(8)
}

fn load(words: &[AtomicU64], length: usize) -> Vec<u8> {
    let mut text: Vec<u8> =
        words.iter().take(length.div_ceil(8)).flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    struct Table {
        frequent: Frequent,
        memory: Vec<AtomicU64>,
    }

    impl Table {
        fn new(capacity: usize) -> Table {
            let frequent = Frequent::new(capacity, 0x1234_5678_9abc_def0);
            Table { frequent, memory: (0..frequent.size()).map(|_| AtomicU64::new(0)).collect() }
        }

        fn add(&mut self, kind: u64, first: impl AsRef<[u8]>, second: impl AsRef<[u8]>, now: u64) {
            let key = Key { kind, texts: [first.as_ref(), second.as_ref()] };
            self.frequent.add(&self.memory, &key, now);
        }

        fn entries(&self) -> Vec<(String, u64, u64)> {
            let entries = self.frequent.entries(&self.memory).into_iter();
            entries
                .map(|seen| (String::from_utf8_lossy(&seen.texts.concat()).into_owned(), seen.count, seen.error))
                .collect()
        }
    }

    /// Where a word of an entry is.
    fn place(number: usize, at: usize) -> usize {
        HEAD + number * ENTRY + at
    }

    #[test]
    fn sizes() {
        assert_eq!((Frequent::new(5, 1).capacity(), Frequent::new(1 << 20, 1).capacity()), (5, MOST));
        // Entries, the nodes of the heap, and a table with twice as many slots, rounded up.
        assert_eq!(Frequent::new(5, 1).size(), HEAD + 5 * ENTRY + 5 + 16);
    }

    #[test]
    fn what_a_secret_hides() {
        // Kinds and lengths whose bits the secret has as well.
        let secret = 0x1234_5678_9abc_deff;
        let frequent = Frequent::new(4, secret);
        assert_ne!(frequent.start(1), frequent.start(2));
        assert_ne!(Frequent::hash(secret, b"aaaaaaaaa"), Frequent::hash(secret, b"aaaaaaaaaa"));
    }

    /// All bytes of a text count, also those in its middle.
    #[test]
    fn texts_with_one_other_byte() {
        for length in [1, 8, 9, 16, 17, 32, 33, 48, 49, 64] {
            let text = vec![b'a'; length];
            let hashes = (0..length).map(|at| {
                let mut other = text.clone();
                other[at] = b'b';
                Frequent::hash(7, &other)
            });
            let different: std::collections::HashSet<_> = hashes.chain([Frequent::hash(7, &text)]).collect();
            assert_eq!(different.len(), length + 1, "{length}");
        }
        let ones: u32 =
            (0..1000u64).map(|n| Frequent::hash(0xdead_beef_cafe_babe, &n.to_ne_bytes()).count_ones()).sum();
        assert!((28_000..36_000).contains(&ones), "{ones}");
    }

    #[test]
    fn what_is_counted_without_the_lock() {
        let mut table = Table::new(4);
        let key = Key { kind: 1, texts: [b"a", b""] };
        let hash = table.frequent.hash_of(&key);
        let count_first = |table: &Table, hash| table.frequent.count_first(&table.memory, hash, || 9);
        assert!(!count_first(&table, hash) && !table.frequent.count(&table.memory, &key, 9));
        table.add(1, "a", "", 5);
        assert!(count_first(&table, hash) && table.frequent.count(&table.memory, &key, 8));
        let seen = &table.frequent.entries(&table.memory)[0];
        assert_eq!((seen.count, seen.first, seen.last), (3, 5, 8));
        // Wherever in the table its place is.
        for number in 0..20u8 {
            let mut table = Table::new(32);
            table.add(1, [number], "", 5);
            assert!(count_first(&table, table.frequent.hash_of(&Key { kind: 1, texts: [&[number], b""] })));
        }
        // The same slot and the same part of the hash in it, but another hash.
        assert!(!count_first(&table, hash ^ 1 << (NUMBER - 1)));
        // An entry that is being changed is not counted.
        table.memory[place(0, COUNT)].store(5 << COUNT_BITS, Relaxed);
        assert!(!count_first(&table, hash));
        assert_eq!(table.entries(), []);
    }

    #[test]
    fn another_content() {
        let mut table = Table::new(1);
        table.add(1, "a", "", 0);
        let changes = |table: &Table| table.memory[place(0, COUNT)].load(Relaxed) >> COUNT_BITS;
        let before = changes(&table);
        // So large that a node of the heap needs its bits above those of a number.
        table.memory[place(0, COUNT)].store(before << COUNT_BITS | 1 << 20, Relaxed);
        table.add(1, "b", "", 0);
        assert_eq!(changes(&table), before + 1);
        table.add(1, "c", "", 0);
        assert_eq!(table.entries(), [("c".to_owned(), (1 << 20) + 2, (1 << 20) + 1)]);
    }

    #[test]
    fn memory_of_another_size() {
        let mut table = Table::new(4);
        table.memory.pop();
        table.add(1, "a", "", 0);
        assert_eq!(table.entries(), []);
        table.memory.extend([const { AtomicU64::new(0) }; 3]);
        table.add(1, "a", "", 0);
        assert_eq!(table.entries(), [("a".to_owned(), 1, 0)]);
    }

    #[test]
    fn what_a_repair_leaves() {
        let mut table = Table::new(4);
        for text in ["a", "b", "c"] {
            (0..5).for_each(|_| table.add(1, text, "", 0));
        }
        // A process has ended while it gave the first entry another content.
        table.memory[place(0, COUNT)].store(0, Relaxed);
        table.frequent.repair(&table.memory);
        let slots =
            |table: &Table| table.memory[table.frequent.table..].iter().filter(|slot| slot.load(Relaxed) != 0).count();
        assert_eq!((slots(&table), table.entries().len()), (2, 2));
        // The next two take the room, and then the one that has happened once makes room.
        for text in ["b", "c", "d", "d", "e", "f"] {
            table.add(1, text, "", 0);
        }
        let seen: Vec<_> =
            table.entries().into_iter().map(|(text, count, error)| format!("{text}{count}-{error}")).collect();
        assert_eq!((seen.join(" ").as_str(), slots(&table)), ("b6-0 c6-0 d2-0 f2-1", 4));
    }

    #[test]
    fn what_is_written_before_its_number() {
        let mut table = Table::new(4);
        for text in ["a", "b", "c", "d"] {
            table.add(1, text, "", 0);
        }
        let texts = |table: &Table| table.entries().into_iter().map(|(text, ..)| text).collect::<String>();
        set_word(&table.memory, 0, 3);
        table.frequent.repair(&table.memory);
        assert_eq!(texts(&table), "abcd");
        // What has moved is not left where it was.
        table.memory[place(1, COUNT)].store(0, Relaxed);
        (0..3).for_each(|_| table.frequent.repair(&table.memory));
        assert_eq!(texts(&table), "acd");
        // Each has its node, so the one that has happened least makes room.
        for text in ["a", "d", "a", "d", "e", "e", "e", "f"] {
            table.add(1, text, "", 0);
        }
        assert_eq!(texts(&table), "adef");
    }

    #[test]
    fn a_table_without_gaps() {
        let mut table = Table::new(1);
        table.add(1, "a", "", 0);
        for slot in 0..table.frequent.slots {
            set_word(&table.memory, table.frequent.table + slot, u64::MAX);
        }
        table.add(1, "b", "", 0);
        assert_eq!(table.entries(), [("b".to_owned(), 2, 1)]);
    }

    /// Counts that have more bits than the number of an entry.
    #[test]
    fn high_counts_after_a_repair() {
        let mut table = Table::new(2);
        table.add(1, "a", "", 0);
        table.add(1, "b", "", 0);
        table.memory[place(0, COUNT)].store(1 << 16, Relaxed);
        table.memory[place(1, COUNT)].store(1 << 17, Relaxed);
        table.frequent.repair(&table.memory);
        table.add(1, "c", "", 0);
        assert_eq!(table.entries(), [("b".to_owned(), 1 << 17, 0), ("c".to_owned(), (1 << 16) + 1, 1 << 16)]);
    }

    /// An entry whose count is not what the heap says, because somebody has just counted it, keeps its content.
    #[test]
    fn an_entry_that_is_counted_meanwhile() {
        let mut table = Table::new(1);
        (0..5).for_each(|_| table.add(1, "a", "", 0));
        set_word(&table.memory, table.frequent.node(0), 9 << NUMBER);
        table.add(1, "b", "", 0);
        assert_eq!(table.entries(), [("a".to_owned(), 5, 0)]);
    }

    #[test]
    fn what_an_entry_contains() {
        let mut table = Table::new(4);
        table.add(7, "https://a.example", "PUT", 100);
        table.add(7, "https://a.example", "PUT", 105);
        table.add(8, "https://a.example", "PUT", 110);
        table.add(7, "https://a.exampleP", "UT", 110);
        let long = "x".repeat(300);
        table.add(7, &long, &long, 120);
        let entries = table.frequent.entries(&table.memory);
        assert_eq!(entries.len(), 4);
        let texts = [b"https://a.example".to_vec(), b"PUT".to_vec()];
        assert_eq!(entries[0], Seen { kind: 7, texts, count: 2, error: 0, first: 100, last: 105 });
        assert_eq!(entries[3].texts, [vec![b'x'; 256], vec![b'x'; 128]]);
        // A second text alone may be as long as a first.
        let mut other = Table::new(1);
        other.add(7, "a", &long, 120);
        assert_eq!(other.frequent.entries(&other.memory)[0].texts, [b"a".to_vec(), vec![b'x'; 256]]);
        // The next takes the place of one that happened once.
        table.add(9, "", "", 130);
        let entries = table.frequent.entries(&table.memory);
        assert!(entries.len() == 4 && entries.iter().filter(|seen| seen.count == 2).count() == 2);
        assert!(entries.iter().any(|seen| (seen.kind, seen.count, seen.error, seen.first) == (9, 2, 1, 130)));
    }

    #[test]
    fn a_million_most_of_them_noise() {
        let mut table = Table::new(1000);
        let memory = table.memory.as_ptr();
        let mut random = 1u64;
        let mut frequent = [0u64; 20];
        for now in 0..1_000_000u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // A thirtieth of them are twenty frequent ones.
            match (random >> 33) % 600 {
                n @ 0..20 => {
                    frequent[n as usize] += 1;
                    table.add(1, [b'a' + n as u8], "", now);
                }
                _ => table.add(1, random.to_ne_bytes(), "", now),
            }
        }
        let entries = table.entries();
        for (n, &times) in frequent.iter().enumerate() {
            let name = char::from(b'a' + n as u8).to_string();
            let (_, count, error) = entries[..20].iter().find(|entry| entry.0 == name).expect("it is among the first");
            assert!((times..=times + error).contains(count), "{name}: {times} times, {count} less {error}");
            assert!(*error <= 1_000);
        }
        assert_eq!(entries.iter().map(|entry| entry.1).sum::<u64>(), 1_000_000);
        assert_eq!((memory, table.memory.len()), (table.memory.as_ptr(), table.frequent.size()));
    }

    proptest! {
        #[test]
        fn counts_are_within_the_bound(
            words in prop::collection::vec("[a-d]{0,2}", 0..400),
            capacity in 1usize..12,
        ) {
            let mut table = Table::new(capacity);
            let mut reference = HashMap::new();
            for (now, word) in words.iter().enumerate() {
                table.add(0, word, "", now as u64);
                *reference.entry(word.clone()).or_insert(0) += 1;
                if now % 50 == 49 {
                    table.frequent.repair(&table.memory);
                }
            }
            let entries = table.entries();
            prop_assert_eq!(entries.iter().map(|entry| entry.1).sum::<u64>(), words.len() as u64);
            for (word, count, error) in &entries {
                prop_assert!(reference[word] <= *count && count - error <= reference[word], "{}", word);
            }
            for (word, count) in reference {
                let has = entries.iter().any(|entry| entry.0 == word);
                prop_assert!(has || count <= words.len() as u64 / capacity as u64, "{}: {}", word, count);
            }
        }

        #[test]
        fn no_content_of_the_memory_does_harm(
            capacity in 0usize..20,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u64>()), 0..200),
            words in prop::collection::vec("[a-f]{0,2}", 0..100),
            repairs in any::<bool>(),
        ) {
            let mut table = Table::new(capacity);
            for word in &words {
                table.add(0, word, word, 0);
            }
            for (at, kind, value) in changes {
                let at = at.index(table.memory.len());
                table.memory[at].store(if kind % 2 == 0 { u64::from(kind) } else { value }, Relaxed);
            }
            if repairs {
                table.frequent.repair(&table.memory);
            }
            for word in &words {
                table.add(1, word, "", 0);
            }
            table.frequent.entries(&table.memory);
            if repairs {
                // They are all found again.
                for word in words.iter().take(capacity) {
                    let count = |table: &mut Table| {
                        let entries = table.frequent.entries(&table.memory).into_iter();
                        entries.filter(|seen| seen.kind == 1 && seen.texts[0] == word.as_bytes()).count()
                    };
                    table.add(1, word, "", 0);
                    prop_assert_eq!(count(&mut table), 1);
                }
            }
        }
    }

    #[test]
    fn a_change_that_ends_half_way_leaves_no_false_entry() {
        let mut table = Table::new(3);
        for word in ["a", "b", "c"] {
            table.add(0, word, "", 0);
        }
        // As `add` leaves it before it writes the texts.
        let entry = entry(&table.memory, 1).unwrap();
        entry[COUNT].store(1 << COUNT_BITS, Relaxed);
        entry[TEXT].store(u64::from(b'x'), Relaxed);
        table.frequent.repair(&table.memory);
        let mut left: Vec<_> = table.entries();
        left.sort();
        assert_eq!(left, [("a".to_owned(), 1, 0), ("c".to_owned(), 1, 0)]);
        table.add(0, "c", "", 0);
        table.add(0, "d", "", 0);
        assert_eq!(table.entries()[0], ("c".to_owned(), 2, 0));
        assert_eq!(table.entries().len(), 3);
    }

    #[test]
    fn processes_count_without_the_lock() {
        use std::sync::Mutex;
        let table = Table::new(16);
        let lock = Mutex::new(());
        let count = |kind: u64, text: &[u8]| {
            let hash = Frequent::hash(table.frequent.start(kind), text);
            let key = Key { kind, texts: [text, b""] };
            let Table { frequent, memory } = &table;
            if !frequent.count_first(memory, hash, || 0) && !frequent.count(memory, &key, 0) {
                let _held = lock.lock().unwrap();
                frequent.add(memory, &key, 0);
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let count = &count;
                scope.spawn(move || {
                    for n in 0..30_000u64 {
                        count(1, &[b'a' + (n % 4) as u8]);
                        count(2, &(thread << 32 | n).to_ne_bytes());
                    }
                });
            }
        });
        let entries = table.frequent.entries(&table.memory);
        assert_eq!(entries.iter().map(|seen| seen.count).sum::<u64>(), 240_000);
        for text in [b"a", b"b", b"c", b"d"] {
            let seen = entries.iter().find(|seen| seen.texts[0] == text).unwrap();
            assert!((30_000..=30_000 + seen.error).contains(&seen.count), "{seen:?}");
        }
    }
}
