//! A set of byte strings that is built once and then only searched: exact origins and patterns are looked up in it.
//!
//! The strings are stored one after the other in one buffer. A table with at least four times as many slots, probed linearly,
//! contains their offsets. A look-up costs one multiplication for each sixteen bytes, and usually one slot and one comparison,
//! whatever the number of strings. Attackers choose the strings that are looked up, but not those that are stored. The hash
//! therefore needs no secret: no look-up can change how long the runs in the table are.

/// From here on, a string is compared without a call.
pub const MEDIUM_FROM: usize = 16;
/// Up to here, it is hashed and compared without a loop.
pub const MEDIUM_TO: usize = 32;

/// The position of one string; `len` is 0 in a free slot. `tag` is the part of the hash that does not choose the slot.
#[derive(Clone, Copy, Default)]
struct Slot {
    offset: u32,
    len: u16,
    tag: u16,
}

/// A set of non-empty byte strings.
#[derive(Default)]
pub struct Set {
    /// Empty, or a power of two in number and at least four times `count`.
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    count: usize,
}

impl Set {
    /// The number of strings.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds `value`, and returns whether it was new. Empty strings, strings of 64 KiB and more, and strings beyond a total of 4 GiB
    /// are not added.
    pub fn insert(&mut self, value: &[u8]) -> bool {
        let (Ok(offset), Ok(len)) = (u32::try_from(self.bytes.len()), u16::try_from(value.len())) else {
            return false;
        };
        if len == 0 || offset.checked_add(u32::from(len)).is_none() || self.contains(value) {
            return false;
        }
        if (self.count + 1) * 4 > self.slots.len() {
            self.grow();
        }
        self.bytes.extend_from_slice(value);
        self.place(hash(value), offset, len);
        self.count += 1;
        true
    }

    /// Whether `value` is in the set.
    #[inline(always)]
    pub fn contains(&self, value: &[u8]) -> bool {
        match value.len() {
            0..MEDIUM_FROM => self.find(value, |a, b| a == b),
            _ => self.find(value, equal),
        }
    }

    /// Whether `value`, which has from [`MEDIUM_FROM`] to [`MEDIUM_TO`] bytes, as most origins have, is in the set.
    #[inline(always)]
    pub fn contains_medium(&self, value: &[u8]) -> bool {
        (MEDIUM_FROM..=MEDIUM_TO).contains(&value.len()) && self.find(value, equal)
    }

    #[inline(always)]
    fn find(&self, value: &[u8], equal: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let mask = self.slots.len().wrapping_sub(1);
        let hash = hash(value);
        let mut at = hash as usize;
        // There is always a free slot to stop at. If there are no slots at all, `get` returns `None`.
        while let Some(slot) = self.slots.get(at & mask) {
            if slot.len == 0 {
                return false;
            }
            if slot.tag == tag(hash) && usize::from(slot.len) == value.len() {
                let start = slot.offset as usize;
                if self.bytes.get(start..start + value.len()).is_some_and(|stored| equal(stored, value)) {
                    return true;
                }
            }
            at = at.wrapping_add(1);
        }
        false
    }

    /// All strings, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let taken = self.slots.iter().filter(|slot| slot.len != 0);
        taken.filter_map(|slot| self.bytes.get(slot.offset as usize..)?.get(..usize::from(slot.len)))
    }

    /// Frees the memory that was reserved for growing.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    fn grow(&mut self) {
        let larger = (self.slots.len() * 2).max(8);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); larger]);
        for Slot { offset, len, .. } in old.into_iter().filter(|slot| slot.len != 0) {
            let start = offset as usize;
            self.place(hash(&self.bytes[start..start + usize::from(len)]), offset, len);
        }
    }

    fn place(&mut self, hash: u32, offset: u32, len: u16) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].len != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { offset, len, tag: tag(hash) };
    }
}

/// The upper half of a hash; the lower half chooses the slot.
fn tag(hash: u32) -> u16 {
    (hash >> 16) as u16
}

/// Compares strings of equal length, of at least sixteen bytes: sixteen at a time, the last sixteen overlapping the previous ones.
#[inline(always)]
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.first_chunk::<16>() == b.first_chunk()
        && a.last_chunk::<16>() == b.last_chunk()
        && (a.len() <= 32 || a.chunks_exact(16).zip(b.chunks_exact(16)).all(|(a, b)| a == b))
}

#[inline(always)]
fn hash(value: &[u8]) -> u32 {
    let h = hash_from(value.len() as u64, value);
    h as u32 ^ (h >> 32) as u32
}

/// Hashes sixteen bytes at a time, folded in by a widening multiplication; the last sixteen overlap the previous ones.
#[inline(always)]
pub(crate) fn hash_from(start: u64, value: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
    let fold = |h: u64, a: u64, b: u64| {
        let product = u128::from(a ^ K) * u128::from(b ^ h);
        product as u64 ^ (product >> 64) as u64
    };
    let mut h = start;
    if let (Some(first), Some(last)) = (value.first_chunk::<16>(), value.last_chunk::<16>()) {
        h = fold(h, word(first), word(&first[8..]));
        if value.len() > 32 {
            for chunk in value[16..value.len() - 1].chunks_exact(16) {
                h = fold(h, word(chunk), word(&chunk[8..]));
            }
        }
        h = fold(h, word(last), word(&last[8..]));
    } else if let (Some(first), Some(last)) = (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        h = fold(h, word(first), word(last));
    } else {
        for &b in value {
            h = fold(h, u64::from(b), 0);
        }
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn an_empty_set_has_nothing() {
        let set = Set::default();
        assert!(!set.contains(b"") && !set.contains(b"https://example.com"));
    }

    #[test]
    fn runs_stay_short_with_a_hundred_thousand_origins() {
        let mut set = Set::default();
        for i in 0..100_000 {
            assert!(set.insert(format!("https://tenant-{i}.example.com").as_bytes()));
        }
        assert_eq!(set.len(), 100_000);
        let mut run = 0;
        let mut longest = 0;
        for slot in set.slots.iter().chain(&set.slots) {
            run = if slot.len == 0 { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        assert!(longest < 64, "{longest} slots in a row are taken");
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
