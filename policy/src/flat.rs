// SPDX-License-Identifier: Apache-2.0
//! The origins of a file, in tables that contain no pointers: several processes can use them in one memory.
//!
//! A file is checked as a whole first ([`check`]), which tells how much memory its tables need. Then it is written
//! ([`Contents::write`]), and [`Flat`] searches what was written. The memory consists of words and of the bytes of all values:
//!
//! | words | |
//! | --- | --- |
//! | [`HEADER`] | sizes, and the shapes of the patterns |
//! | slots of exact origins | see [`crate::set`] |
//! | slots of patterns | as above |

use std::cell::Cell;

use crate::file;
use crate::origins::{concern_of_file, misspelt, Concern};
use crate::pattern::{self, Ends, PatternsView, Shapes, ENDS};
use crate::rule::{parse_rule, Pattern, Rule};
use crate::set::{self, hash, View, Writer};
use crate::{Problem, Reason};

// What the words before the slots are, and where they end.
const EXACT_SLOTS: usize = 0;
const EXACT_BYTES: usize = 1;
const VALUES: usize = 2;
const FIXED: usize = 3;
const ANY_PORT: usize = FIXED + ENDS;
const HEADER: usize = ANY_PORT + ENDS;

/// The number of mistakes that are described one by one.
pub const MOST_MISTAKES: usize = 1000;

/// The mistakes in a file, each with its line, and how many there are in addition.
#[derive(Debug, Default)]
pub struct Mistakes {
    /// In the order of the lines.
    pub first: Vec<(usize, Problem)>,
    /// How many more lines have a mistake.
    pub others: usize,
}

/// A file without mistakes.
pub struct Contents<'a> {
    bytes: &'a [u8],
    exact: Size,
    patterns: Size,
    /// What depends on whether credentials are allowed.
    pub concerns: Vec<Concern<usize>>,
    /// Warnings, each with its line.
    pub doubts: Vec<(usize, Problem)>,
}

/// How many values there are, and their bytes.
#[derive(Clone, Copy, Default)]
struct Size {
    count: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, value: &[u8]) {
        self.count += 1;
        self.bytes += value.len();
    }
}

/// Whether a value that has been checked is a pattern.
fn pattern_of(value: &str) -> Option<Pattern<'_>> {
    if !value.contains('*') {
        return None;
    }
    match parse_rule(value.as_bytes()) {
        Ok(Rule::Pattern(pattern)) => Some(pattern),
        _ => None,
    }
}

/// Checks what a file contains.
pub fn check(contents: &[u8]) -> Result<Contents<'_>, Mistakes> {
    let mut found = Contents {
        bytes: contents,
        exact: Size::default(),
        patterns: Size::default(),
        concerns: Vec::new(),
        doubts: Vec::new(),
    };
    let mut mistakes = Mistakes::default();
    for (line, value) in file::lines(contents) {
        let value = match value {
            Ok(value) => value,
            // One message says it of the whole file.
            Err(problem) if problem.reason == Reason::BinaryFile => {
                return Err(Mistakes { first: vec![(line, problem)], others: 0 });
            }
            Err(problem) if mistakes.first.len() < MOST_MISTAKES => {
                mistakes.first.push((line, problem));
                continue;
            }
            Err(_) => {
                mistakes.others += 1;
                continue;
            }
        };
        let pattern = pattern_of(value);
        match &pattern {
            Some(pattern) => found.patterns.add(pattern::key(pattern).as_bytes()),
            None => found.exact.add(value.as_bytes()),
        }
        // Of most, nothing is doubtful.
        if pattern.is_none() && value.starts_with("https://") {
            continue;
        }
        if let Some(concern) = concern_of_file(&pattern.map_or(Rule::Exact, Rule::Pattern), value, line) {
            let is_known = |other: &Concern<usize>| concern.is_like(other);
            if found.concerns.len() < MOST_MISTAKES && !found.concerns.iter().any(is_known) {
                found.concerns.push(concern);
            }
        }
        if found.doubts.len() < MOST_MISTAKES {
            found.doubts.extend(misspelt(value).map(|problem| (line, problem)));
        }
    }
    if mistakes.first.is_empty() {
        Ok(found)
    } else {
        Err(mistakes)
    }
}

impl Contents<'_> {
    /// How many words and how many bytes of memory the tables take.
    pub fn memory(&self) -> (usize, usize) {
        let slots = set::slots_for(self.exact.count) + set::slots_for(self.patterns.count);
        (HEADER + slots, self.exact.bytes + self.patterns.bytes)
    }

    /// Writes the tables into memory of exactly that size, and returns the number of different values.
    pub fn write(&self, words: &mut [u64], bytes: &mut [u8]) -> usize {
        let exact_slots = set::slots_for(self.exact.count);
        if (words.len(), bytes.len()) != self.memory() {
            return 0;
        }
        let (header, slots) = words.split_at_mut(HEADER);
        let (exact, patterns) = slots.split_at_mut(exact_slots);
        let (exact_bytes, pattern_bytes) = bytes.split_at_mut(self.exact.bytes);
        let mut exact = Writer::new(exact, exact_bytes);
        let mut patterns = Writer::new(patterns, pattern_bytes);
        let mut shapes = Shapes::default();
        for value in file::lines(self.bytes).filter_map(|(_, value)| value.ok()) {
            match pattern_of(value) {
                Some(pattern) => {
                    let key = pattern::key(&pattern);
                    shapes.add(&key);
                    patterns.insert(key.as_bytes(), pattern::key_hash(key.as_bytes()));
                }
                None => exact.insert(value.as_bytes(), hash(value.as_bytes())),
            }
        }
        let values = exact.count + patterns.count;
        header.fill(0);
        header[EXACT_SLOTS] = exact_slots as u64;
        header[EXACT_BYTES] = self.exact.bytes as u64;
        header[VALUES] = values as u64;
        let ends = shapes.fixed.words().chain(shapes.any_port.words());
        header[FIXED..].iter_mut().zip(ends).for_each(|(word, end)| *word = end);
        values
    }
}

/// The tables of a file.
#[derive(Clone, Copy, Default)]
pub struct Flat<'a> {
    exact: View<'a>,
    patterns: View<'a>,
    shapes: Shapes,
    len: usize,
}

impl<'a> Flat<'a> {
    /// The tables in this memory; `None` if there are none.
    pub fn new(words: &'a [u64], bytes: &'a [u8]) -> Option<Flat<'a>> {
        let (header, slots) = words.split_at_checked(HEADER)?;
        let (exact, patterns) = slots.split_at_checked(usize::try_from(header[EXACT_SLOTS]).ok()?)?;
        let (exact_bytes, pattern_bytes) = bytes.split_at_checked(usize::try_from(header[EXACT_BYTES]).ok()?)?;
        let ends = |at: usize| header[at..].first_chunk().map(Ends::of_words);
        let shapes = Shapes { fixed: ends(FIXED)?, any_port: ends(ANY_PORT)? };
        // The mask of a look-up.
        let is_size = |slots: &[u64]| slots.is_empty() || slots.len().is_power_of_two();
        (is_size(exact) && is_size(patterns)).then(|| Flat {
            exact: View::new(exact, exact_bytes),
            patterns: View::new(patterns, pattern_bytes),
            shapes,
            len: usize::try_from(header[VALUES]).unwrap_or(0),
        })
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `origin` is an exact origin of the file, and as long as most origins are.
    pub fn lists(&self, origin: &[u8]) -> bool {
        self.exact.contains_medium(origin)
    }

    /// [`Flat::lists`], unless that takes comparing several strings: `None` then. Makes no calls.
    #[inline(always)]
    pub fn lists_at_once(&self, origin: &[u8]) -> Option<bool> {
        self.exact.contains_medium_at_once(origin)
    }

    /// Whether the file allows an origin that it does not [list](Flat::lists).
    pub fn allows_unlisted(&self, origin: &[u8]) -> bool {
        (!(set::MEDIUM_FROM..=set::MEDIUM_TO).contains(&origin.len()) && self.exact.contains(origin))
            || (!self.patterns.is_empty() && PatternsView { keys: self.patterns, shapes: &self.shapes }.matches(origin))
    }

    /// Whether the file allows `origin`.
    pub fn allows(&self, origin: &[u8]) -> bool {
        self.lists(origin) || self.allows_unlisted(origin)
    }

    /// The patterns, without the `*` before a dot, and the exact origins.
    pub(crate) fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        self.patterns.iter().chain(self.exact.iter())
    }
}

/// The list of a file, as it is now.
#[derive(Default)]
pub struct List(Cell<Flat<'static>>);

impl List {
    /// The tables that are in force.
    #[inline(always)]
    pub fn current(&self) -> Flat<'static> {
        self.0.get()
    }

    /// Replaces the tables. The caller must keep the memory of the old ones until no request uses them.
    pub fn replace(&self, flat: Flat<'static>) {
        self.0.set(flat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origins::problems;
    use proptest::prelude::*;

    struct Memory(Vec<u64>, Vec<u8>, usize);

    fn write(contents: &[u8]) -> Memory {
        let contents = check(contents).ok().unwrap();
        let (words, bytes) = contents.memory();
        // Memory is used again.
        let (mut words, mut bytes) = (vec![u64::MAX; words], vec![255; bytes]);
        let len = contents.write(&mut words, &mut bytes);
        Memory(words, bytes, len)
    }

    #[test]
    fn what_is_written_is_found() {
        let long = format!("https://{}.example", "a".repeat(60));
        let memory = write(
            format!("https://a.example\nnull\nhttps://*.b.example\nhttp://localhost:*\nhttps://a.example # twice\n{long}\nhttps://*.b.example\r\napp://.\n").as_bytes(),
        );
        let flat = Flat::new(&memory.0, &memory.1).unwrap();
        assert_eq!((flat.len(), memory.2, flat.is_empty()), (6, 6, false));
        for (origin, allowed) in [
            ("https://a.example", true),
            ("null", true),
            (long.as_str(), true),
            ("app://.", true),
            ("https://x.y.b.example", true),
            ("http://localhost:3000", true),
            ("http://localhost", true),
            ("https://b.example", false),
            ("https://*.b.example", false),
            ("http://localhost:*", false),
            ("file://", false),
            ("https://c.example", false),
            ("https://a.example/", false),
            ("", false),
        ] {
            assert_eq!(flat.allows(origin.as_bytes()), allowed, "{origin}");
            let is_medium = (set::MEDIUM_FROM..=set::MEDIUM_TO).contains(&origin.len());
            let is_exact = allowed && !origin.contains(".b.") && !origin.contains("localhost");
            assert_eq!(flat.lists(origin.as_bytes()), is_exact && is_medium, "{origin}");
        }
        assert_eq!(flat.values().count(), 6);
    }

    #[test]
    fn a_file_without_values() {
        for contents in [&b""[..], b"# nothing\n\n", b"\xef\xbb\xbf"] {
            let memory = write(contents);
            let flat = Flat::new(&memory.0, &memory.1).unwrap();
            assert!(flat.is_empty() && !flat.allows(b"") && !flat.allows(b"https://a.example"));
        }
        assert!(!Flat::default().allows(b"https://a.example") && !Flat::default().allows(b""));
    }

    #[test]
    fn memory_that_is_something_else() {
        let memory = write(b"https://a.example");
        for len in 0..memory.0.len() {
            if let Some(flat) = Flat::new(&memory.0[..len], &memory.1) {
                panic!("{len} {}", flat.len());
            }
        }
        assert!(Flat::new(&memory.0, &memory.1[1..]).is_none());
        let mut words = memory.0.clone();
        // Offsets that lead out of the memory.
        words[HEADER..].iter_mut().filter(|word| **word != 0).for_each(|word| *word |= 0xffff_ffff);
        assert!(!Flat::new(&words, &memory.1).unwrap().allows(b"https://a.example"));
        assert_eq!(check(b"null").ok().unwrap().write(&mut [], &mut []), 0);
    }

    #[test]
    fn all_mistakes_at_once() {
        let mistakes = check(b"a.example\nhttps://a.example\n*\nhttps://b.example/\n").err().unwrap();
        let lines: Vec<_> = mistakes.first.iter().map(|(line, problem)| (*line, problem.reason.code())).collect();
        let expected = [(1, "cors-no-scheme"), (3, "cors-any-in-file"), (4, "cors-trailing-slash")];
        assert_eq!(lines, expected.map(|(line, code)| (line, code.to_owned())));
        assert_eq!(mistakes.others, 0);
        let mistakes = check("x\n".repeat(MOST_MISTAKES + 7).as_bytes()).err().unwrap();
        assert_eq!((mistakes.first.len(), mistakes.others), (MOST_MISTAKES, 7));
        let mistakes = check(b"x\nx\nhttps://\0\n\0").err().unwrap();
        assert_eq!((mistakes.first.len(), mistakes.first[0].0), (1, 3));
    }

    #[test]
    fn what_matters_with_credentials() {
        let contents = b"https://a.example\nhttp://a.example\nhttp://b.example\nhttps://*.com\nnull\nhttps://*.github.io\nhtps://a.example";
        let contents = check(contents).ok().unwrap();
        for (credentials, expected) in [
            (
                true,
                &[
                    (2, "cors-insecure-with-credentials"),
                    (4, "cors-public-suffix-with-credentials"),
                    (5, "cors-null-with-credentials"),
                    (6, "cors-public-suffix-with-credentials"),
                ][..],
            ),
            (false, &[(4, "cors-public-suffix")]),
        ] {
            let found = problems(&contents.concerns, credentials);
            let found: Vec<_> = found.iter().map(|(at, problem)| (at.place, problem.reason.code())).collect();
            let expected: Vec<_> = expected.iter().map(|(line, code)| (*line, (*code).to_owned())).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(contents.doubts.len(), 1);
        assert_eq!((contents.doubts[0].0, &contents.doubts[0].1.reason), (7, &Reason::MisspeltScheme));
    }

    #[test]
    fn many_values_of_one_concern_do_not_hide_another() {
        let insecure: String = (0..2 * MOST_MISTAKES).map(|i| format!("http://t{i}.example\n")).collect();
        let contents = insecure + "https://*.com";
        let contents = check(contents.as_bytes()).ok().unwrap();
        let lines: Vec<_> = problems(&contents.concerns, true).iter().map(|(concern, _)| concern.place).collect();
        assert_eq!(lines, [1, 2 * MOST_MISTAKES + 1]);
    }

    #[test]
    fn a_large_file_has_a_limited_number_of_remarks() {
        for line in ["https://*.com\n", "htps://a.example\n"] {
            let contents = line.repeat(MOST_MISTAKES + 7);
            let contents = check(contents.as_bytes()).ok().unwrap();
            assert_eq!(contents.concerns.len() + contents.doubts.len(), MOST_MISTAKES, "{line}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_rules_of_a_configuration(
            values in prop::collection::vec(r"https?://(\*\.)?[ab]{1,2}\.[ab]{1,12}(:\*|:8443)?", 0..40),
            asked in prop::collection::vec(r"https?://([ab]\.)?[ab]{1,2}\.[ab]{1,12}(:8443|:1)?", 0..40),
        ) {
            let mut builder = crate::OriginsBuilder::default();
            for value in &values {
                // Duplicates and the like are in the list anyway.
                let _ = builder.add(value.as_bytes(), ());
            }
            let origins = builder.build().0;
            let memory = write(values.join("\n").as_bytes());
            let flat = Flat::new(&memory.0, &memory.1).unwrap();
            for origin in asked.iter().chain(&values) {
                prop_assert_eq!(flat.allows(origin.as_bytes()), origins.allows(origin.as_bytes()), "{}", origin);
            }
        }
    }
}
