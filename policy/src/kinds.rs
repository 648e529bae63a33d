// SPDX-License-Identifier: Apache-2.0
//! Kinds of origins, as one automaton that expressions are compared with: which origins are well-formed, which pages can have,
//! and which somebody else can pose as.

use std::sync::{Arc, Mutex, PoisonError};

use crate::automaton::{Automaton, SIZE_LIMIT};
use crate::expression::parse;

/// The kinds, each as an expression. The number of a kind is its index.
const KINDS: [&str; 6] = [
    r"[a-z][a-z0-9+.-]*://(\.|(\[[0-9a-f:]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?)(:[1-9][0-9]{0,4})?)",
    r"file://.*|https?://\.",
    r"wss?://.*",
    r"http://.*",
    r"http://(([a-z0-9_-]+\.)*localhost\.?|127(\.[0-9]+){3}\.?|\[::1\])(:[0-9]+)?",
    concat!(
        r"https?://[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?",
        "(:([1-9][0-9]{3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    ),
];

/// The kinds that one origin is of: bit `n` for the kind `n`.
#[derive(Clone, Copy)]
pub(crate) struct Kinds(pub u32);

impl Kinds {
    fn is(self, kind: u32) -> bool {
        self.0 >> kind & 1 == 1
    }

    /// Whether it is an origin as [`crate::origin::parse`] reads it, except for the lengths of its parts.
    pub fn is_well_formed(self) -> bool {
        self.is(0) && !self.is(1)
    }

    /// Whether pages can have it: their scheme is never that of a WebSocket.
    pub fn is_of_pages(self) -> bool {
        self.is_well_formed() && !self.is(2)
    }

    /// Whether anyone on the network path can pose as it: [`crate::origin::is_secure`] for expressions.
    pub fn is_insecure(self) -> bool {
        self.is_well_formed() && self.is(3) && !self.is(4)
    }

    /// Whether it is well-formed if none of its parts is too long. This excludes some well-formed origins, such as those with
    /// short ports, to keep the expression simple.
    pub fn is_surely_well_formed(self) -> bool {
        self.is(5)
    }
}

static ORIGINS: Mutex<Option<Arc<Automaton>>> = Mutex::new(None);

/// The automaton for all kinds.
pub(crate) fn origins() -> Arc<Automaton> {
    let compile = || {
        let parsed: Result<Vec<_>, _> = KINDS.iter().map(|source| parse(source)).collect();
        let automaton = parsed.ok().and_then(|parsed| Automaton::new(&parsed, SIZE_LIMIT));
        Arc::new(automaton.expect("constant expressions compile"))
    };
    ORIGINS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(compile).clone()
}

/// Frees the automaton; it is built again when it is needed. A library that can be unloaded has to call this, because nothing
/// frees a static.
pub fn free_references() {
    *ORIGINS.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin;
    use proptest::prelude::*;

    fn kinds(origin: &str) -> Kinds {
        let automaton = origins();
        Kinds(automaton.run(origin.as_bytes()).map_or(0, |state| automaton.matched_by(state)))
    }

    #[test]
    fn kinds_of_origins() {
        let rows = [
            ("https://a.example", true, true, false),
            ("http://a.example:8080", true, true, true),
            ("http://localhost:3000", true, true, false),
            ("http://app.localhost", true, true, false),
            ("http://localhost.example", true, true, true),
            ("http://127.1.2.3", true, true, false),
            ("http://192.168.1.1", true, true, true),
            ("http://[::1]:80", true, true, false),
            ("http://[::2]", true, true, true),
            ("app://.", true, true, false),
            ("https://.", false, false, false),
            ("file://", false, false, false),
            ("file://a", false, false, false),
            ("files://a", true, true, false),
            ("wss://a.example", true, false, false),
            ("ws://a.example", true, false, false),
            ("wsx://a.example", true, true, false),
            ("null", false, false, false),
        ];
        for (value, well_formed, of_pages, insecure) in rows {
            let kinds = kinds(value);
            assert_eq!(
                (kinds.is_well_formed(), kinds.is_of_pages(), kinds.is_insecure()),
                (well_formed, of_pages, insecure),
                "{value}"
            );
        }
    }

    #[test]
    fn references_are_freed() {
        let automaton = Arc::downgrade(&origins());
        free_references();
        // Other tests may still use it.
        let is_freed = |_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            automaton.upgrade().is_none()
        };
        assert!((0..3000).any(is_freed));
    }

    proptest! {
        #[test]
        fn well_formed_is_what_is_parsed(
            origin in r"(https?|app|file|ws|a\+1)(://|:/)([a-z0-9_.-]{0,55}|\.|\[::1\])(:[1-9][0-9]{0,3})?",
        ) {
            let (kinds, parsed) = (kinds(&origin), origin::parse(origin.as_bytes()));
            let has_default_port = origin.ends_with(":80") || origin.ends_with(":443");
            prop_assert!(kinds.is_well_formed() == parsed.is_some() || has_default_port, "{}", origin);
            prop_assert!(!kinds.is_surely_well_formed() || parsed.is_some(), "{}", origin);
            prop_assert!(parsed.is_none_or(|_| kinds.is_insecure() != origin::is_secure(&origin)), "{}", origin);
        }
    }
}
