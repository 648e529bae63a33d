// SPDX-License-Identifier: Apache-2.0
//! A set of byte strings that is built once and then only searched: exact origins and patterns are looked up in it.
//!
//! The strings are stored one after the other in one buffer. A table with at least twice as many slots, probed linearly,
//! contains their offsets. A look-up costs one or two multiplications for most origins, and usually one slot and one comparison,
//! whatever the number of strings. Attackers choose the strings that are looked up, but not those that are stored. The hash
//! therefore needs no secret: no look-up can change how long the runs in the table are.

/// From here on, a string is compared without a call.
pub const MEDIUM_FROM: usize = 16;
/// Up to here, it is hashed and compared without a loop.
pub const MEDIUM_TO: usize = 32;

/// The position of one string in one word, so that a table can be in any memory: below, the offset; above, the key, which is 0 in a
/// free slot.
fn slot(offset: u32, key: u32) -> u64 {
    u64::from(key) << 32 | u64::from(offset)
}

/// The length of a string, and above that the part of its hash that does not choose the slot.
#[inline(always)]
fn key(hash: u32, len: u16) -> u32 {
    hash & 0xffff_0000 | u32::from(len)
}

#[inline(always)]
fn key_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

fn range(slot: u64) -> std::ops::Range<usize> {
    let start = slot as u32 as usize;
    start..start + (key_of(slot) & 0xffff) as usize
}

/// Puts a string into the first slot that is free for it; there is one.
fn place(slots: &mut [u64], hash: u32, slot: u64) {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    while key_of(slots[at]) != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

/// The number of slots for so many strings: none, or a power of two, and at least twice as many.
pub(crate) fn slots_for(count: usize) -> usize {
    if count == 0 {
        0
    } else {
        (count * 2).next_power_of_two().max(8)
    }
}

/// A table, wherever its memory is. Nothing in it is trusted: whatever the memory contains, a look-up ends and does not panic as long
/// as a slot is free.
#[derive(Clone, Copy, Default)]
pub struct View<'a> {
    /// A power of two in number, or none.
    slots: &'a [u64],
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// The table of these slots and strings, as [`Writer`] has written them.
    pub(crate) fn new(slots: &'a [u64], bytes: &'a [u8]) -> View<'a> {
        View { slots, bytes }
    }

    /// Whether the set is empty.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.slots.is_empty()
    }

    /// Whether there is a string of this `hash` and `len`, which is not 0, and `is_it` holds for it.
    #[inline(always)]
    pub fn find(self, hash: u32, len: u16, is_it: impl Fn(&[u8]) -> bool) -> bool {
        let mut from = hash as usize;
        while let Some((at, start)) = candidate(self.slots, from, key(hash, len)) {
            if self.bytes.get(start..start + usize::from(len)).is_some_and(&is_it) {
                return true;
            }
            from = at.wrapping_add(1);
        }
        false
    }

    /// All strings, in no particular order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.slots.iter().filter(|slot| key_of(**slot) != 0).filter_map(move |slot| self.bytes.get(range(*slot)))
    }

    /// Whether `value` is one of the strings, by [`hash`].
    #[inline(always)]
    pub fn contains(self, value: &[u8]) -> bool {
        // The key of an empty string may be that of a free slot.
        match u16::try_from(value.len()) {
            Ok(0) | Err(_) => false,
            Ok(len) => self.find(hash(value), len, |stored| stored == value),
        }
    }

    /// Whether `value`, which has from [`MEDIUM_FROM`] to [`MEDIUM_TO`] bytes, as most origins have, is one of the strings.
    #[inline(always)]
    pub fn contains_medium(self, value: &[u8]) -> bool {
        (MEDIUM_FROM..=MEDIUM_TO).contains(&value.len())
            && self.find(hash(value), value.len() as u16, |stored| is_same_medium(stored, value))
    }

    /// [`View::contains_medium`], unless the first string with the same key is another one: `None` then.
    #[inline(always)]
    pub fn contains_medium_at_once(self, value: &[u8]) -> Option<bool> {
        contains_medium_at_once(&self.slots, &self.bytes, value)
    }
}

/// See [`Set::contains_medium_at_once`]. It takes references to what it may not need, so that it is not read.
#[inline(always)]
fn contains_medium_at_once(slots: &impl AsRef<[u64]>, bytes: &impl AsRef<[u8]>, value: &[u8]) -> Option<bool> {
    let slots = slots.as_ref();
    if slots.is_empty() || !(MEDIUM_FROM..=MEDIUM_TO).contains(&value.len()) {
        return Some(false);
    }
    let hash = hash(value);
    let Some((_, start)) = candidate(slots, hash as usize, key(hash, value.len() as u16)) else {
        return Some(false);
    };
    bytes.as_ref().get(start..start + value.len()).is_some_and(|stored| is_same_medium(stored, value)).then_some(true)
}

/// Where the next of these slots with this key is, and where its string starts; `None` if a free slot comes first, of which there
/// is one if there are any.
#[inline(always)]
fn candidate(slots: &[u64], mut at: usize, key: u32) -> Option<(usize, usize)> {
    while let Some(&slot) = slots.get(at & slots.len().wrapping_sub(1)) {
        if key_of(slot) == key {
            return Some((at, slot as u32 as usize));
        }
        if key_of(slot) == 0 {
            break;
        }
        at = at.wrapping_add(1);
    }
    None
}

#[inline(always)]
fn is_same_medium(stored: &[u8], value: &[u8]) -> bool {
    stored.first_chunk::<16>() == value.first_chunk() && stored.last_chunk::<16>() == value.last_chunk()
}

/// Writes a table into memory of a fixed size.
pub(crate) struct Writer<'a> {
    slots: &'a mut [u64],
    bytes: &'a mut [u8],
    used: usize,
    /// The number of strings.
    pub count: usize,
}

impl<'a> Writer<'a> {
    /// A table in these slots, [`slots_for`] as many strings as there will be, and these bytes, as many as all strings have.
    pub fn new(slots: &'a mut [u64], bytes: &'a mut [u8]) -> Writer<'a> {
        slots.fill(0);
        Writer { slots, bytes, used: 0, count: 0 }
    }

    /// Adds `value`. Does nothing if the set already contains it or is full.
    pub fn insert(&mut self, value: &[u8], hash: u32) {
        let (Ok(offset), Ok(len)) = (u32::try_from(self.used), u16::try_from(value.len())) else { return };
        if len == 0
            || (self.count + 1) * 2 > self.slots.len()
            || View::new(self.slots, self.bytes).find(hash, len, |stored| stored == value)
        {
            return;
        }
        let Some(free) = self.bytes.get_mut(self.used..self.used + value.len()) else { return };
        free.copy_from_slice(value);
        self.used += value.len();
        place(self.slots, hash, slot(offset, key(hash, len)));
        self.count += 1;
    }
}

/// Non-empty byte strings by a hash that the owner computes.
#[derive(Default)]
pub struct Table {
    /// Empty, or a power of two in number and at least twice `count`.
    slots: Vec<u64>,
    bytes: Vec<u8>,
    count: usize,
}

impl Table {
    /// The number of strings.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds `value`, and returns whether it was new. Empty strings, strings of 64 KiB and more, and strings beyond a total of 4 GiB
    /// are not added.
    pub fn insert(&mut self, value: &[u8], hash: impl Fn(&[u8]) -> u32) -> bool {
        let (Ok(offset), Ok(len)) = (u32::try_from(self.bytes.len()), u16::try_from(value.len())) else {
            return false;
        };
        let hashed = hash(value);
        if len == 0
            || offset.checked_add(u32::from(len)).is_none()
            || self.view().find(hashed, len, |stored| stored == value)
        {
            return false;
        }
        if (self.count + 1) * 2 > self.slots.len() {
            self.grow(hash);
        }
        self.bytes.extend_from_slice(value);
        place(&mut self.slots, hashed, slot(offset, key(hashed, len)));
        self.count += 1;
        true
    }

    /// The strings, to be searched.
    #[inline(always)]
    pub fn view(&self) -> View<'_> {
        View { slots: &self.slots, bytes: &self.bytes }
    }

    /// Frees the memory that was reserved for growing.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    fn grow(&mut self, hash: impl Fn(&[u8]) -> u32) {
        let larger = (self.slots.len() * 2).max(8);
        let old = std::mem::replace(&mut self.slots, vec![0; larger]);
        for slot in old.into_iter().filter(|slot| key_of(*slot) != 0) {
            place(&mut self.slots, hash(&self.bytes[range(slot)]), slot);
        }
    }
}

/// A set of non-empty byte strings.
#[derive(Default)]
pub struct Set(Table);

impl Set {
    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `value`, and returns whether it was new: see [`Table::insert`].
    pub fn insert(&mut self, value: &[u8]) -> bool {
        self.0.insert(value, hash)
    }

    /// Whether `value` is in the set.
    #[inline(never)]
    pub fn contains(&self, value: &[u8]) -> bool {
        self.0.view().contains(value)
    }

    /// Whether `value`, which has from [`MEDIUM_FROM`] to [`MEDIUM_TO`] bytes, as most origins have, is in the set.
    #[inline(always)]
    pub fn contains_medium(&self, value: &[u8]) -> bool {
        self.0.view().contains_medium(value)
    }

    /// [`Set::contains_medium`], unless the first string with the same key is another one: `None` then.
    #[inline(always)]
    pub fn contains_medium_at_once(&self, value: &[u8]) -> Option<bool> {
        contains_medium_at_once(&self.0.slots, &self.0.bytes, value)
    }

    /// All strings, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.view().iter()
    }

    /// Frees the memory that was reserved for growing.
    pub fn shrink(&mut self) {
        self.0.shrink();
    }
}

/// Hashes a string, sixteen bytes at a time; the last sixteen overlap the previous ones.
#[inline(always)]
pub fn hash(value: &[u8]) -> u32 {
    let mut h = value.len() as u64;
    if let (Some(first), Some(last)) = (value.first_chunk::<16>(), value.last_chunk::<16>()) {
        if value.len() > MEDIUM_TO {
            for chunk in value[16..value.len() - 1].chunks_exact(16) {
                let (low, high) = chunk.first_chunk().map_or((0, 0), words);
                h = fold(h ^ low, high);
            }
        }
        // The rotations keep what the two have in common from cancelling out.
        let (first, last) = (words(first), words(last));
        h = fold((h ^ first.0).wrapping_add(last.0.rotate_left(23)), first.1.wrapping_add(last.1.rotate_left(41)));
    } else if let (Some(first), Some(last)) = (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        h = fold(h ^ u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    } else {
        for &b in value {
            h = fold(h ^ u64::from(b), 0);
        }
    }
    h as u32 ^ (h >> 32) as u32
}

fn words(bytes: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*bytes);
    (both as u64, (both >> 64) as u64)
}

/// Mixes two words by a widening multiplication.
#[inline(always)]
pub fn fold(a: u64, b: u64) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(a ^ K) * u128::from(b ^ K.rotate_left(32));
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
impl Table {
    /// The largest number of taken slots in a row.
    pub(crate) fn longest_run(&self) -> usize {
        let mut run = 0;
        let lengths = self.slots.iter().chain(&self.slots).map(|slot| {
            run = if key_of(*slot) == 0 { 0 } else { run + 1 };
            run
        });
        lengths.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origins::{Listed, OriginsBuilder};
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn an_empty_set_has_nothing() {
        let set = Set::default();
        assert!(!set.contains(b"") && !set.contains(b"https://example.com"));
    }

    #[test]
    fn memory_of_a_fixed_size_is_never_overfilled() {
        let (mut slots, mut bytes) = ([0; 8], [0; 100]);
        let mut writer = Writer::new(&mut slots, &mut bytes);
        for value in ["", "a", "b", "a", "c", "d", "e", "f"] {
            writer.insert(value.as_bytes(), hash(value.as_bytes()));
        }
        assert_eq!(writer.count, 4);
        let view = View::new(&slots, &bytes);
        for (value, is_there) in [("", false), ("a", true), ("d", true), ("e", false)] {
            assert_eq!(view.contains(value.as_bytes()), is_there, "{value}");
        }
    }

    #[test]
    fn equal_hashes_are_not_enough() {
        let stored = "https://aaaaaaaaaaaaaaaa.example";
        let mut set = Set::default();
        set.insert(stored.as_bytes());
        // The same place in the table, and the same key there.
        let is_alike = |other: &String| (hash(stored.as_bytes()) ^ hash(other.as_bytes())) & 0xffff_0007 == 0;
        let same_start = (0..1 << 24).map(|i| format!("https://aaaaaaaa{i:08x}.example")).find(is_alike).unwrap();
        let same_end = (0..1 << 24).map(|i| format!("http://b{i:08x}aaaaaaaa.example")).find(is_alike).unwrap();
        for other in [same_start, same_end] {
            assert_eq!((other.len(), set.contains_medium(other.as_bytes())), (stored.len(), false), "{other}");
            assert_eq!(set.contains_medium_at_once(other.as_bytes()), None, "{other}");
            // The comparison that does it all comes after it.
            let mut builder = OriginsBuilder::default();
            builder.add(stored.as_bytes(), ()).unwrap();
            assert_eq!(builder.build().0.lists(other.as_bytes()), Listed::No, "{other}");
        }
        assert!(set.contains_medium(stored.as_bytes()));
        assert_eq!(set.contains_medium_at_once(stored.as_bytes()), Some(true));
        assert_eq!(set.contains_medium_at_once(b"https://other.example"), Some(false));
    }

    #[test]
    fn no_memory_is_kept_for_growing() {
        let mut set = Set::default();
        for i in 0..1000 {
            set.insert(format!("https://t{i}.example").as_bytes());
        }
        set.shrink();
        assert_eq!(set.0.bytes.capacity(), set.0.bytes.len());
        assert!(set.contains(b"https://t999.example"));
    }

    #[test]
    fn runs_stay_short_with_a_hundred_thousand_origins() {
        for (before, after) in
            [("https://tenant-", ".example.com"), ("https://a.service.of.", ".in.a.region.of.example.com")]
        {
            let mut set = Set::default();
            for i in 0..100_000 {
                assert!(set.insert(format!("{before}{i}{after}").as_bytes()));
            }
            assert_eq!(set.0.len(), 100_000);
            let longest = set.0.longest_run();
            assert!(longest < 128, "{longest} slots in a row are taken");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(
            values in prop::collection::vec("[ab:/.]{0,20}", 0..60),
            asked in prop::collection::vec("[ab:/.]{0,20}", 0..60),
        ) {
            let mut set = Set::default();
            let mut reference = HashSet::new();
            for value in &values {
                prop_assert_eq!(set.insert(value.as_bytes()), !value.is_empty() && reference.insert(value.clone()));
            }
            for value in values.iter().chain(&asked) {
                prop_assert_eq!(set.contains(value.as_bytes()), reference.contains(value));
            }
        }
    }
}
