// SPDX-License-Identifier: Apache-2.0
//! Deterministic automata over the characters of origins, which expressions are compiled to and compared with.
//!
//! An expression is matched only against well-formed origins, so before it is compiled its classes are cut down to the
//! characters of origins: `\d` is ten digits and `.` some forty characters instead of a million. This is what makes it
//! possible to build the whole automaton when the configuration is read.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, PoisonError};

use regex_automata::dfa::{dense, Automaton as _, StartKind};
use regex_automata::hybrid::dfa as hybrid;
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

/// The memory limit of an automaton of several expressions in bytes, and of building it.
pub(crate) const SIZE_LIMIT: usize = 16 << 20;

/// The same for one expression.
pub(crate) const SINGLE_SIZE_LIMIT: usize = 4 << 20;

/// The memory limit of an automaton that is built while it is used, and of what it is built from.
const LAZY_SIZE_LIMIT: usize = 1 << 20;

/// The number of transitions after which a comparison of two automata gives up.
const MAX_STEPS: usize = 1 << 24;

/// The bytes of which well-formed origins consist: the first and the last of each range.
const ALPHABET: [(u8, u8); 7] =
    [(b'a', b'z'), (b'0', b':'), (b'-', b'/'), (b'+', b'+'), (b'_', b'_'), (b'[', b'['), (b']', b']')];

/// The bytes of the alphabet.
pub(crate) fn alphabet() -> impl Iterator<Item = u8> {
    ALPHABET.iter().flat_map(|&(first, last)| first..=last)
}

/// A deterministic automaton for one expression or several, and the state it starts in.
pub(crate) struct Automaton {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
    /// The states after the schemes of nearly all origins.
    after_https: StateID,
    after_http: StateID,
}

const HTTPS: &[u8] = b"https://";
const HTTP: &[u8] = b"http://";

impl Automaton {
    /// An automaton that matches the whole input against each expression, already cut down by [`on_origins`]; `None` if it
    /// would be larger than `limit`.
    pub fn new(expressions: &[Hir], limit: usize) -> Option<Self> {
        let nfa = compile(expressions, limit)?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .accelerate(false)
            .dfa_size_limit(Some(limit))
            .determinize_size_limit(Some(limit));
        let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()?;
        let start = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        let after = |prefix: &[u8]| prefix.iter().fold(start, |state, &b| dfa.next_state(state, b));
        let (after_https, after_http) = (after(HTTPS), after(HTTP));
        Some(Automaton { dfa, start, after_https, after_http })
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.dfa.memory_usage()
    }

    /// Whether some expression matches the whole of `input`.
    pub fn matches(&self, input: &[u8]) -> bool {
        let (mut state, mut rest) = if let Some(rest) = input.strip_prefix(HTTPS) {
            (self.after_https, rest)
        } else if let Some(rest) = input.strip_prefix(HTTP) {
            (self.after_http, rest)
        } else {
            (self.start, input)
        };
        let next = |state, &b: &u8| self.dfa.next_state(state, b);
        // Most origins that are not matched differ early.
        while let Some((four, others)) = rest.split_first_chunk::<4>() {
            state = four.iter().fold(state, next);
            if self.dfa.is_dead_state(state) {
                return false;
            }
            rest = others;
        }
        // Without a loop, which would take longer than what it does.
        self.accepts(match rest {
            [a, b, c] => next(next(next(state, a), b), c),
            [a, b] => next(next(state, a), b),
            [a] => next(state, a),
            _ => state,
        })
    }

    /// The state after `input`; `None` if no match can follow.
    pub fn run(&self, input: &[u8]) -> Option<StateID> {
        input.iter().try_fold(self.start, |state, &b| self.next(state, b))
    }

    /// The state after `b`; `None` if no match can follow.
    pub fn next(&self, state: StateID, b: u8) -> Option<StateID> {
        Some(self.dfa.next_state(state, b)).filter(|&next| !self.dfa.is_dead_state(next))
    }

    /// Whether an input that ends in `state` is matched.
    pub fn accepts(&self, state: StateID) -> bool {
        self.dfa.is_match_state(self.dfa.next_eoi_state(state))
    }

    /// Which of the expressions match an input that ends in `state`: bit `n` for the expression `n`.
    pub fn matched_by(&self, state: StateID) -> u32 {
        let end = self.dfa.next_eoi_state(state);
        if !self.dfa.is_match_state(end) {
            return 0;
        }
        (0..self.dfa.match_len(end)).fold(0, |bits, at| bits | 1 << self.dfa.match_pattern(end, at).as_u32())
    }

    /// Whether some input over the alphabet of origins is matched here, and by expressions of `other` such that `wanted` holds
    /// for their bits. `None` if that takes too many steps to find out.
    pub fn matches_with(&self, other: &Automaton, mut wanted: impl FnMut(u32) -> bool) -> Option<bool> {
        // A fixed hash: reading the same configuration takes the same steps each time.
        let mut seen = HashSet::<_, BuildHasherDefault<DefaultHasher>>::from_iter([(self.start, other.start)]);
        let mut open = vec![(self.start, other.start)];
        let mut steps = 0;
        while let Some((ours, theirs)) = open.pop() {
            if self.accepts(ours) && wanted(other.matched_by(theirs)) {
                return Some(true);
            }
            for b in alphabet() {
                let Some(next) = self.next(ours, b) else { continue };
                let next = (next, other.dfa.next_state(theirs, b));
                if seen.insert(next) {
                    open.push(next);
                }
                steps += 1;
                if steps > MAX_STEPS {
                    return None;
                }
            }
        }
        Some(false)
    }
}

/// What an automaton is built from.
fn compile(expressions: &[Hir], limit: usize) -> Option<thompson::NFA> {
    let whole = |hir: &Hir| Hir::concat(vec![Hir::look(Look::Start), hir.clone(), Hir::look(Look::End)]);
    let config =
        thompson::Config::new().utf8(false).nfa_size_limit(Some(limit)).which_captures(thompson::WhichCaptures::None);
    let whole: Vec<_> = expressions.iter().map(whole).collect();
    thompson::Compiler::new().configure(config).build_many_from_hir(&whole).ok()
}

/// An automaton for one expression, of which each state is built when an input gets there. It forgets the states, and builds them
/// again, when they take too much memory.
pub(crate) struct LazyAutomaton {
    dfa: hybrid::DFA,
    cache: Mutex<hybrid::Cache>,
}

impl LazyAutomaton {
    /// An automaton that matches the whole input, as [`Automaton::new`]; `None` if what it is built from would be too large.
    pub fn new(expression: &Hir) -> Option<Self> {
        let nfa = compile(std::slice::from_ref(expression), LAZY_SIZE_LIMIT)?;
        let config = hybrid::Config::new().match_kind(MatchKind::All).cache_capacity(LAZY_SIZE_LIMIT);
        let dfa = hybrid::Builder::new().configure(config).build_from_nfa(nfa).ok()?;
        let cache = Mutex::new(dfa.create_cache());
        Some(LazyAutomaton { dfa, cache })
    }

    /// How much memory it takes at the moment.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).memory_usage()
    }

    /// Whether the expression matches the whole of `input`. Each byte takes at most as many steps as the expression has parts.
    pub fn matches(&self, input: &[u8]) -> bool {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut run = || {
            let mut state = self.dfa.start_state(&mut cache, &start::Config::new().anchored(Anchored::Yes)).ok()?;
            for &b in input {
                state = self.dfa.next_state(&mut cache, state, b).ok()?;
                if state.is_dead() {
                    return None;
                }
            }
            self.dfa.next_eoi_state(&mut cache, state).ok().filter(|state| state.is_match())
        };
        run().is_some()
    }
}

/// Cuts an expression down to what can match a part of an origin: see the module's documentation.
pub(crate) fn on_origins(hir: &Hir) -> Hir {
    let all = |subs: &[Hir]| subs.iter().map(on_origins).collect::<Vec<_>>();
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal)
            if literal.0.iter().all(|b| ALPHABET.iter().any(|(first, last)| (first..=last).contains(&b))) =>
        {
            Hir::literal(literal.0.clone())
        }
        HirKind::Literal(_) => Hir::fail(),
        HirKind::Class(class) => {
            let mut bytes = match class {
                Class::Bytes(bytes) => bytes.clone(),
                Class::Unicode(unicode) => {
                    ClassBytes::new(unicode.iter().filter(|range| range.start().is_ascii()).map(|range| {
                        let end = u8::try_from(range.end()).unwrap_or(0x7f).min(0x7f);
                        ClassBytesRange::new(range.start() as u8, end)
                    }))
                }
            };
            bytes.intersect(&ClassBytes::new(ALPHABET.map(|(first, last)| ClassBytesRange::new(first, last))));
            Hir::class(Class::Bytes(bytes))
        }
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(on_origins(&repetition.sub)), ..repetition.clone() })
        }
        HirKind::Capture(Capture { sub, .. }) => on_origins(sub),
        HirKind::Concat(subs) => Hir::concat(all(subs)),
        HirKind::Alternation(subs) => Hir::alternation(all(subs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse;

    fn automaton(sources: &[&str]) -> Automaton {
        let parsed: Vec<_> = sources.iter().map(|source| parse(source).ok().unwrap()).collect();
        Automaton::new(&parsed, SINGLE_SIZE_LIMIT).unwrap()
    }

    #[test]
    fn a_comparison_that_takes_too_long_gives_up() {
        let (ours, theirs) = (automaton(&["https://.*a.{11}"]), automaton(&["https://.*b.{11}"]));
        assert_eq!(ours.matches_with(&theirs, |_| false), None);
        assert_eq!(ours.matches_with(&theirs, |matched| matched == 0), Some(true));
        assert_eq!(ours.matches_with(&automaton(&["https://a"]), |matched| matched == 1), Some(false));
    }
}
