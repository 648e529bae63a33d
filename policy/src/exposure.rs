// SPDX-License-Identifier: Apache-2.0
//! Which strangers an expression lets in: whether it matches origins under names that anyone can register.
//!
//! A stranger can register any label directly under a public suffix. An expression is therefore safe if it allows only certain
//! labels there. The automaton shows whether the label is open. It is open in each of these cases:
//!
//! - a state within the label has the same successor for many characters, as for `[a-z]`;
//! - a state within the label leads back to itself, as for `\d+`;
//! - there are more labels than anyone would list, as for `\d{6}`.
//!
//! The same search finds an example of a name that a stranger could register.

use std::collections::{HashMap, VecDeque};

use regex_automata::util::primitives::StateID;

use crate::automaton::Automaton;
use crate::origin::is_registrable_under;

/// The number of characters with the same successor from which they are a class. Ten may be the digits in a list of numbered names.
const CLASS: usize = 16;
/// The number of labels up to which they may be a list: nginx accepts 4096 characters in an argument.
const MAX_LABELS: usize = 2048;
/// The number of states after which the search stops. Typical expressions have some hundred.
const MAX_STATES: usize = 1 << 16;
/// The number of transitions after which the search for public suffixes stops.
const MAX_STEPS: usize = 1 << 17;
/// The length up to which public suffixes are searched for.
const MAX_SUFFIX: usize = 64;

/// Public suffixes to try if a class matches the end of the host.
const SUFFIXES: [&str; 12] =
    ["com", "net", "org", "io", "dev", "de", "info", "co.uk", "com.au", "github.io", "netlify.app", "pages.dev"];

/// Schemes of browser extensions, each with the identifier of the extension as its host.
const EXTENSIONS: [&str; 4] =
    ["chrome-extension://", "moz-extension://", "safari-web-extension://", "ms-browser-extension://"];

/// The names of strangers that an expression matches, with an example for each kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// Names that have nothing in common.
    pub any: Option<String>,
    /// Names that have a part in common, which a stranger can use as well.
    pub open_domain: Option<String>,
    /// Browser extensions of any identifier.
    pub any_extension: Option<String>,
}

impl Exposure {
    /// Searches the automaton of an expression. A search that takes too many steps finds nothing.
    pub fn of(automaton: &Automaton) -> Self {
        let mut suffixes = Suffixes { automaton, ignored: None, found: HashMap::new(), steps: 0 };
        let sites = Region::new(automaton, &["https://", "http://"]);
        if let Some(any) = sites.open_label(|state| suffixes.after(state)?.open) {
            return Exposure { any: Some(any), ..Exposure::default() };
        }
        let mut open_domain = sites.open_label(|state| suffixes.after(state)?.any());
        if open_domain.as_ref().is_some_and(|example| is_preview(automaton, example)) {
            suffixes = Suffixes { ignored: Some(PREVIEWS), found: HashMap::new(), ..suffixes };
            open_domain = sites.open_label(|state| suffixes.after(state)?.any());
        }
        let open_domain = open_domain.or_else(|| sites.label(|state| suffixes.after(state)?.open));
        let extensions = Region::new(automaton, &EXTENSIONS);
        let any_extension = extensions.open_label(|state| automaton.accepts(state).then(String::new));
        Exposure { any: None, open_domain, any_extension }
    }
}

/// A public suffix below which the names of sites never contain `--`: `preview--site` is a preview of the site behind it.
const PREVIEWS: &str = "netlify.app";

/// Whether a matched origin is a preview of a site, and those of other sites are not matched.
fn is_preview(automaton: &Automaton, origin: &str) -> bool {
    let label = origin.split_once(PREVIEWS).map_or("", |(before, _)| before);
    let others = label.rfind("--").map(|at| format!("{}x{}", &origin[..at + 2], &origin[at + 2..]));
    others.is_some_and(|other| !automaton.matches(other.as_bytes()))
}

/// The characters of labels. Those that make better examples come first.
const LABEL: &[u8] = b"xabcdefghijklmnopqrstuvwyz0123456789-_";

/// A successor of a state by characters of a label.
struct Step {
    to: StateID,
    /// The first of these characters.
    read: u8,
    /// The number of these characters.
    width: usize,
}

fn steps(automaton: &Automaton, state: StateID) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for &read in LABEL {
        let Some(to) = automaton.next(state, read) else { continue };
        match steps.iter_mut().find(|step| step.to == to) {
            Some(step) => step.width += 1,
            None => steps.push(Step { to, read, width: 1 }),
        }
    }
    steps
}

/// A position within a host: a state of the automaton, with how it was reached.
struct Place {
    state: StateID,
    /// Whether the last character that was read belongs to a label, and not to the scheme or a dot.
    in_label: bool,
    /// The previous place on a shortest path from the start.
    before: Option<usize>,
    /// The text that was read between the two.
    read: String,
    /// The next places by characters of a label: the place, one of the characters, and their number.
    next: Vec<(usize, u8, usize)>,
}

/// All places in the hosts after some schemes, the nearest first.
struct Region(Vec<Place>);

impl Region {
    fn new(automaton: &Automaton, schemes: &[&str]) -> Self {
        let mut places: Vec<Place> = Vec::new();
        let mut known = HashMap::new();
        let mut enter = |places: &mut Vec<Place>, state, in_label, before, read: String| -> usize {
            *known.entry((state, in_label)).or_insert_with(|| {
                places.push(Place { state, in_label, before, read, next: Vec::new() });
                places.len() - 1
            })
        };
        for scheme in schemes {
            if let Some(state) = automaton.run(scheme.as_bytes()) {
                enter(&mut places, state, false, None, scheme.to_string());
            }
        }
        let mut at = 0;
        while at < places.len() && places.len() < MAX_STATES {
            let Place { state, in_label, .. } = places[at];
            for Step { to, read, width } in steps(automaton, state) {
                let to = enter(&mut places, to, true, Some(at), char::from(read).to_string());
                places[at].next.push((to, read, width));
            }
            if let Some(to) = automaton.next(state, b'.').filter(|_| in_label) {
                enter(&mut places, to, false, Some(at), ".".to_owned());
            }
            at += 1;
        }
        for place in &mut places {
            place.next.retain(|(to, ..)| *to < at);
        }
        places.truncate(at);
        Region(places)
    }

    /// The text of a shortest path to a place.
    fn way_to(&self, at: usize) -> String {
        let mut parts = Vec::new();
        let mut next = Some(at);
        while let Some(place) = next.and_then(|at| self.0.get(at)) {
            parts.push(place.read.as_str());
            next = place.before;
        }
        parts.into_iter().rev().collect()
    }

    /// Looks for a label, and returns an origin with it. `end` returns the rest of an origin after a label that ends in a state, if
    /// the label can end there.
    fn label(&self, mut end: impl FnMut(StateID) -> Option<String>) -> Option<String> {
        let ends = |(at, place): (usize, &Place)| Some(self.way_to(at) + &end(place.state)?);
        self.0.iter().enumerate().filter(|(_, place)| place.in_label).find_map(ends)
    }

    /// Looks for a label that is open, and returns an origin with it. For `end` see [`Self::label`].
    fn open_label(&self, mut end: impl FnMut(StateID) -> Option<String>) -> Option<String> {
        let places = &self.0;
        let mut to_end: Vec<Option<Rest>> =
            places.iter().map(|place| end(place.state).filter(|_| place.in_label).map(Rest::End)).collect();
        let mut before = vec![Vec::new(); places.len()];
        for (at, place) in places.iter().enumerate() {
            for &(to, read, _) in &place.next {
                before[to].push((at, read));
            }
        }
        let mut open: VecDeque<_> = (0..places.len()).filter(|&at| to_end[at].is_some()).collect();
        while let Some(at) = open.pop_front() {
            for &(from, read) in &before[at] {
                if to_end[from].is_none() {
                    to_end[from] = Some(Rest::Via(read, at));
                    open.push_back(from);
                }
            }
        }
        let reaches_end = |at: usize| to_end[at].is_some();
        let origin = |mut way: String, mut at: usize| loop {
            match to_end[at].as_ref()? {
                Rest::End(end) => return Some(way + end),
                Rest::Via(read, next) => {
                    way.push(char::from(*read));
                    at = *next;
                }
            }
        };
        let by_class = places.iter().enumerate().find_map(|(at, place)| {
            let (to, read, _) = place.next.iter().find(|(to, _, width)| *width >= CLASS && reaches_end(*to))?;
            origin(self.way_to(at) + &char::from(*read).to_string(), *to)
        });
        by_class.or_else(|| {
            // Remove places without a predecessor until there are none left: the rest is on a loop or behind one.
            let mut leading: Vec<usize> =
                before.iter().map(|before| before.iter().filter(|(from, _)| reaches_end(*from)).count()).collect();
            let mut open: Vec<_> = (0..places.len()).filter(|&at| reaches_end(at) && leading[at] == 0).collect();
            // The number of labels by which each place can be reached.
            let mut ways: Vec<usize> = places.iter().map(|place| usize::from(!place.in_label)).collect();
            while let Some(at) = open.pop() {
                for &(to, _, width) in &places[at].next {
                    ways[to] = ways[to].saturating_add(ways[at].saturating_mul(width));
                    leading[to] -= 1;
                    if leading[to] == 0 && reaches_end(to) {
                        open.push(to);
                    }
                }
            }
            let is_loop = |at: &usize| reaches_end(*at) && leading[*at] > 0;
            let is_end = |at: &usize| matches!(to_end[*at], Some(Rest::End(_))) && ways[*at] > MAX_LABELS;
            let at = (0..places.len()).find(is_loop).or_else(|| (0..places.len()).find(is_end))?;
            origin(self.way_to(at), at)
        })
    }
}

/// The shortest path from a place to the end of its label.
enum Rest {
    /// The label can end here, and this is the rest of the origin.
    End(String),
    /// A character, and the place that it leads to.
    Via(u8, usize),
}

/// Public suffixes that can follow a label, each with its dot, and with a port if the expression requires one.
#[derive(Clone, Default)]
struct Suffix {
    /// One of [`SUFFIXES`] that a class matches; others are likely to be matched as well.
    open: Option<String>,
    /// A public suffix that the expression spells out.
    closed: Option<String>,
}

impl Suffix {
    fn any(self) -> Option<String> {
        self.closed.or(self.open)
    }
}

/// Searches for public suffixes.
struct Suffixes<'a> {
    automaton: &'a Automaton,
    /// A public suffix that is not searched for.
    ignored: Option<&'static str>,
    /// The results for the states after a dot.
    found: HashMap<StateID, Suffix>,
    steps: usize,
}

impl Suffixes<'_> {
    /// The public suffixes that can follow a label that ends in `state`.
    fn after(&mut self, state: StateID) -> Option<Suffix> {
        let start = self.automaton.next(state, b'.')?;
        if let Some(found) = self.found.get(&start) {
            return Some(found.clone());
        }
        let mut found = Suffix::default();
        for suffix in SUFFIXES.into_iter().filter(|suffix| self.ignored != Some(suffix)) {
            if let Some((port, is_class)) = self.read(start, suffix) {
                let kind = if is_class { &mut found.open } else { &mut found.closed };
                kind.get_or_insert_with(|| format!(".{suffix}{port}"));
            }
        }
        if found.closed.is_none() {
            found.closed = self.spelt_out(start).map(|suffix| format!(".{suffix}"));
        }
        self.found.insert(start, found.clone());
        Some(found)
    }

    /// Whether `text` can end a host: returns the port that has to follow, and whether a class matches a part of the text.
    fn read(&self, start: StateID, text: &str) -> Option<(String, bool)> {
        let mut is_class = false;
        let mut state = start;
        for read in text.bytes() {
            let to = self.automaton.next(state, read)?;
            let width = LABEL.iter().filter(|&&b| self.automaton.next(state, b) == Some(to)).count();
            is_class |= width >= CLASS;
            state = to;
        }
        Some((self.port(state)?, is_class))
    }

    /// A public suffix, with its port, that leads from `start` to the end of an origin without a class.
    fn spelt_out(&mut self, start: StateID) -> Option<String> {
        // Breadth first. Each text comes with the states at the starts of its labels; it is not continued if one of them repeats.
        let mut open = VecDeque::from([(start, String::new(), vec![start])]);
        while let Some((state, text, labels)) = open.pop_front() {
            if let Some(port) = self.port(state) {
                if is_registrable_under(&text) && self.ignored != Some(&text) {
                    return Some(text + &port);
                }
            }
            let starts_label = text.is_empty() || text.ends_with('.');
            if let Some(to) = self.automaton.next(state, b'.').filter(|to| !starts_label && !labels.contains(to)) {
                let labels = labels.iter().copied().chain([to]).collect();
                open.push_back((to, format!("{text}."), labels));
            }
            let steps = steps(self.automaton, state);
            let narrow = |to| steps.iter().any(|step| step.to == to && step.width < CLASS);
            for &read in LABEL {
                self.steps += 1;
                let Some(to) = self.automaton.next(state, read).filter(|&to| narrow(to)) else { continue };
                if text.len() < MAX_SUFFIX {
                    open.push_back((to, format!("{text}{}", char::from(read)), labels.clone()));
                }
            }
            if self.steps > MAX_STEPS {
                return None;
            }
        }
        None
    }

    /// The port that has to follow a host that ends in `state`, or an empty string; `None` if a host cannot end there.
    fn port(&self, state: StateID) -> Option<String> {
        if self.automaton.accepts(state) {
            return Some(String::new());
        }
        let mut open = vec![(self.automaton.next(state, b':')?, ":".to_owned())];
        for length in 0..5 {
            let mut next: Vec<(StateID, String)> = Vec::new();
            for (state, port) in open {
                for b in if length == 0 { b'1'..=b'9' } else { b'0'..=b'9' } {
                    let Some(to) = self.automaton.next(state, b) else { continue };
                    let port = format!("{port}{}", char::from(b));
                    if self.automaton.accepts(to) {
                        return Some(port);
                    }
                    if next.iter().all(|(other, _)| *other != to) {
                        next.push((to, port));
                    }
                }
            }
            open = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::automaton::SIZE_LIMIT;
    use crate::expression::parse;
    use proptest::prelude::*;

    fn exposure(source: &str) -> Exposure {
        Exposure::of(&Automaton::new(&[parse(source).ok().unwrap()], SIZE_LIMIT).unwrap())
    }

    #[test]
    fn names_that_have_nothing_in_common() {
        for source in [
            ".*",
            ".+",
            "(?s:.)*",
            r"\S+",
            r"[^ ]*",
            "https://.*",
            r"^https?://[^/]+$",
            r"^http://[\w.-]+(:\d+)?$",
            "^https://.*com|https://.*$",
            r"^https?://\w+\.\w+$",
            r"^https?://.*:\d+$",
            r"^https://www\..*$",
        ] {
            let found = exposure(source);
            assert!(found.any.is_some(), "{source} {found:?}");
            assert!(found.open_domain.is_none() && found.any_extension.is_none(), "{source} {found:?}");
        }
    }

    #[test]
    fn names_that_anyone_can_register() {
        let rows = [
            (r"^https://.*\.netlify\.app$", "https://x.netlify.app"),
            (r"^https://[\w-]*site\.netlify\.app$", "https://xsite.netlify.app"),
            (r"^https://pr--\w+\.netlify\.app$", "https://pr--x.netlify.app"),
            (r"^https://\d+--(site\.netlify\.app|.*site\.com)$", "https://0--xsite.com"),
            (r"^https://[a-z-]+\.github\.io$", "https://x.github.io"),
            (r"^https://.*\.co\.uk$", "https://x.co.uk"),
            (r"^https://[\w-]+\.pages\.dev(:\d+)?$", "https://x.pages.dev"),
            (r"^https://[a-z]+\.ck$", "https://x.ck"),
            (r"^https://.*example\.com$", "https://xexample.com"),
            (r".*example\.com$", "https://xexample.com"),
            (r"https://[a-z0-9.-]*example\.com", "https://xexample.com"),
            (r"^https://(.*)example\.com(:\d+)?$", "https://xexample.com"),
            (r"^https://example.*\.com$", "https://examplex.com"),
            (r"^https://example-.*\.com$", "https://example-x.com"),
            (r"^https://[a-z]+\.com$", "https://x.com"),
            (r"^https://app\.[a-z]+\.com$", "https://app.x.com"),
            (r"^https://(.+\.)?[a-z]+\.example$", "https://x.example"),
            (r"^https://app\d{4}\.com$", "https://app0000.com"),
            (r"^https://pr-\d+\.com$", "https://pr-0.com"),
            (r"^https://(.*\.)?(a|b)[0-9a-f]{8}\.com$", "https://aaaaaaaaa.com"),
            (r"^https://(ab)+\.com$", "https://ab.com"),
            (r"^https://([ab]{11}|c)\.com$", "https://c.com"),
            (r"^https://[a-z]+\.co\.nz$", "https://x.co.nz"),
            (r"^https://[a-z]+\.[a-o]k$", "https://x.ck"),
            (r"^https://example\.[a-z]+$", "https://example.com"),
            (r"^https://[^.]+\.shop\.example\.(com|net)$|^https://.*shop\.net:8443$", "https://xshop.net:8443"),
            (r"(?i)^HTTP://.*EXAMPLE\.ORG:\d{4}$", "http://xexample.org:1000"),
        ];
        for (source, example) in rows {
            let found = exposure(source);
            assert_eq!(found.open_domain.as_deref(), Some(example), "{source}");
            assert!(crate::origin::parse(example.as_bytes()).is_some());
            let reference = regex::Regex::new(&format!(r"\A(?:{source})\z")).unwrap();
            assert!(reference.is_match(example), "{source}");
            assert_eq!((found.any, found.any_extension), (None, None), "{source}");
        }
    }

    #[test]
    fn any_extension() {
        for source in [
            "^chrome-extension://.*$",
            "^moz-extension://.+$",
            "^(chrome|moz)-extension://.*$",
            "^chrome-extension://[a-p]{32}$",
            "^safari-web-extension://[0-9a-f-]{36}$",
            r"^\w+-extension://[^/]+$",
            r"^(https://app\.example\.com|moz-extension://.*)$",
        ] {
            let found = exposure(source);
            assert!(found.any_extension.is_some(), "{source}");
            assert_eq!((found.any, found.open_domain), (None, None), "{source}");
        }
    }

    #[test]
    fn expressions_that_keep_strangers_out() {
        let names: Vec<_> = (0..500).map(|i| format!("tenant-{i}")).collect();
        let many = [
            format!(r"^https://({})\.com$", names.join("|")),
            format!(r"^https://({})\.example\.com$", names.join("|")),
        ];
        for source in [
            r"^https://([a-z0-9-]+\.)?example\.com$",
            r"^https?://localhost(:\d+)?$",
            r"^https://pr-\d+\.preview\.example\.dev$",
            r"^https://.*\.example\.com$",
            r"^https?://(.+\.)?example\.(com|net|org|co\.uk)(:\d+)?$",
            r"^https://[a-z.]+\.example\.com$",
            r"^https://[\w-]+\.app\.github\.io$",
            r"^https://(www|app|api)\d*\.example\.com$",
            r"^https://(one|two|three)\.com$",
            r"^https://app\d\.com$",
            r"^https://[ab]{11}\.com$",
            r"^https://[a-z]+\.\.ck$",
            // So many letters are a class, and no suffix is so long.
            r"^https://[a-z]+\.[a-p]k$",
            r"^https://[a-z]+\.a{62}\.ck$",
            r"^https://(one|two|three)\.(com|net|org)$",
            r"^https://[^.]+$",
            r"^https://\w+$",
            r"^https://deploy-preview-\d+--site\.netlify\.app$",
            r"^https://[\w-]+--site\.netlify\.app$",
            r"^http://.*\.localhost(:\d+)?$",
            r"^https://.*\.(internal|lan|local)$",
            r"^http://192\.168\.\d+\.\d+(:\d+)?$",
            r"^https?://(127\.0\.0\.1|\[::1\]|10\.\d+\.\d+\.\d+):\d+$",
            r"^chrome-extension://(abcdefghijklmnopabcdefghijklmnop|ponmlkjihgfedcbaponmlkjihgfedcba)$",
            r"^app://.*$",
            r"^(capacitor|ionic|tauri)://localhost$",
            r"^https://[a-z0-9]{8}\.[a-z]+\.ui\.example\.com:[0-9]{4,5}$",
            "nothing",
        ]
        .into_iter()
        .chain(many.iter().map(String::as_str))
        {
            assert_eq!(exposure(source), Exposure::default(), "{source}");
        }
    }

    proptest! {
        #[test]
        fn examples_are_origins_that_are_matched(
            scheme in r"(https|https\?|http|\.\*|\\w\+|chrome-extension)",
            parts in prop::collection::vec(
                prop::sample::select(vec![".*", r"\w+", "[a-z]{3}", r"\d{4}", "(a|b)", "app", "example", "com", "co", "uk", "[^.]+", "(x-?)*"]),
                1..5,
            ),
            joints in prop::collection::vec(prop::sample::select(vec![r"\.", ".", "", "-", r"(\.|-)"]), 5),
            end in r"(com|github\\\.io|\[a-z\]\+|)(\(:\\d\+\)\?|:8443|)",
        ) {
            let host: String = parts.iter().zip(&joints).flat_map(|(part, joint)| [*part, *joint]).collect();
            let source = format!("{scheme}://{host}{end}");
            let reference = regex::Regex::new(&format!(r"\A(?:{source})\z")).unwrap();
            let Exposure { any, open_domain, any_extension } = exposure(&source);
            for example in [any, open_domain, any_extension].into_iter().flatten() {
                prop_assert!(reference.is_match(&example), "{} {}", source, example);
                prop_assert!(crate::origin::parse(example.as_bytes()).is_some(), "{} {}", source, example);
            }
        }
    }
}
