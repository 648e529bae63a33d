//! Expressions of `cors_allow_origin_regex`: the syntax of the `regex` crate, as one automaton for a whole policy.
//!
//! An expression only ever sees a well-formed origin, so before it is compiled its classes are cut down to the characters
//! that origins have: `\d` is ten digits and `.` some forty characters instead of a million, which makes it possible to
//! build the whole deterministic automaton when the configuration is read. A request then costs one table look-up for each
//! byte of its origin, whatever the expressions are and however many; nothing is compiled or cached at run time, and no
//! input can make it slow. Where all expressions together would grow too large an automaton, they are halved.
//!
//! Where everything that a policy's expressions match is well-formed, which is decided on the automata, an origin that they
//! match is not parsed.
//!
//! An expression must match the whole origin, whether or not it is written with `^` and `$`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};

use regex_automata::dfa::{dense, Automaton, StartKind};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

use crate::origin::MAX_LABEL;
use crate::{Problem, Reason};

/// What the automaton of one expression, or of all that fit into one, may take, and building it as much again.
const SIZE_LIMIT: usize = 16 << 20;

/// How many steps it may take to find out whether an expression accepts what anyone can register.
const MAX_STEPS: usize = 1 << 22;

/// A set of expressions.
#[derive(Default)]
pub struct Expressions {
    automata: Vec<Automata>,
    /// Whether what they match is well-formed, but for lengths that an origin of [`SHORT`] bytes cannot exceed.
    well_formed: bool,
}

/// Of an origin of at most this length no part is too long.
const SHORT: usize = MAX_LABEL;

impl Expressions {
    /// Compiles expressions that [`check`] has seen, each with what says where it stands.
    pub fn new<P: Clone>(sources: &[(P, String)]) -> Result<Self, (P, Problem)> {
        let mut parsed = Vec::with_capacity(sources.len());
        for (place, source) in sources {
            match parse(source) {
                Ok(hir) => parsed.push(hir),
                Err(problem) => return Err((place.clone(), problem)),
            }
        }
        let mut automata = Vec::new();
        compile(&parsed, &mut automata).map_err(|at| {
            let (place, source) = &sources[at];
            (place.clone(), Problem::new(source.as_bytes(), Reason::ExpressionTooLarge))
        })?;
        let well_formed =
            automata.iter().all(|ours| !ours.reaches_with(&known().well_formed, |ours, wire| ours && !wire));
        Ok(Expressions { automata, well_formed })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.automata.is_empty()
    }

    /// Whether an origin that is matched is known to be well-formed without being parsed.
    pub fn vouches_for(&self, origin: &[u8]) -> bool {
        self.well_formed && origin.len() <= SHORT
    }

    /// Whether one of them matches the whole of a well-formed origin.
    pub fn matches(&self, origin: &[u8]) -> bool {
        self.automata.iter().any(|automaton| automaton.matches(origin))
    }
}

/// Compiles all of `parsed`, into one automaton if that is possible; the error is the index of the one that is too large.
fn compile(parsed: &[Hir], into: &mut Vec<Automata>) -> Result<(), usize> {
    if parsed.is_empty() {
        return Ok(());
    }
    match Automata::new(Hir::alternation(parsed.to_vec())) {
        Some(automaton) => into.push(automaton),
        None if parsed.len() == 1 => return Err(0),
        None => {
            let (first, second) = parsed.split_at(parsed.len() / 2);
            compile(first, into)?;
            compile(second, into).map_err(|at| at + first.len())?;
        }
    }
    Ok(())
}

/// A deterministic automaton and the state it starts in.
struct Automata {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Automata {
    /// An automaton for the whole input; `None` where it would be too large.
    fn new(hir: Hir) -> Option<Self> {
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(SIZE_LIMIT))
                    .which_captures(thompson::WhichCaptures::None),
            )
            .build_from_hir(&whole)
            .ok()?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .accelerate(false)
            .dfa_size_limit(Some(SIZE_LIMIT))
            .determinize_size_limit(Some(SIZE_LIMIT));
        let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()?;
        let start = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        Some(Automata { dfa, start })
    }

    fn matches(&self, input: &[u8]) -> bool {
        let state = input.iter().fold(self.start, |state, &b| self.dfa.next_state(state, b));
        self.accepts(state)
    }

    fn accepts(&self, state: StateID) -> bool {
        self.dfa.is_match_state(self.dfa.next_eoi_state(state))
    }

    /// Whether some input over the alphabet of origins leads both automata to states for which `wanted` holds.
    fn reaches_with(&self, other: &Automata, wanted: impl Fn(bool, bool) -> bool) -> bool {
        self.walk(self.start, other, |a, b| wanted(self.accepts(a), other.accepts(b)))
    }

    /// Visits the pairs of states that inputs over the alphabet of origins lead both automata to, until `found`; ours begins
    /// in `from`.
    fn walk(&self, from: StateID, other: &Automata, mut found: impl FnMut(StateID, StateID) -> bool) -> bool {
        // A fixed hash: reading the same configuration takes the same steps each time.
        let mut seen = HashSet::<_, BuildHasherDefault<DefaultHasher>>::from_iter([(from, other.start)]);
        let mut open = vec![(from, other.start)];
        while let Some((a, b)) = open.pop() {
            if found(a, b) {
                return true;
            }
            for c in ALPHABET.iter().flat_map(|&(first, last)| first..=last) {
                let next = (self.dfa.next_state(a, c), other.dfa.next_state(b, c));
                // Nothing comes after a dead state of ours; one of the other may still be what is wanted.
                if !self.dfa.is_dead_state(next.0) && seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }

    /// Whether whatever `each` matches is matched here with something of `before` and something of `after` around it. Said
    /// not to be so where it takes too many steps to find out.
    fn matches_each(&self, before: &Automata, each: &Automata, after: &Automata) -> bool {
        let mut ours = BTreeSet::new();
        self.walk(self.start, before, |a, b| {
            if before.accepts(b) {
                ours.insert(a);
            }
            false
        });
        let mut known = BTreeMap::new();
        let mut ends = |state| {
            *known.entry(state).or_insert_with(|| self.walk(state, after, |a, b| self.accepts(a) && after.accepts(b)))
        };
        let mut steps = 0;
        let mut seen = HashSet::<_, BuildHasherDefault<DefaultHasher>>::from_iter([(ours.clone(), each.start)]);
        let mut open = vec![(ours, each.start)];
        while let Some((ours, theirs)) = open.pop() {
            if each.accepts(theirs) && !ours.iter().any(|&state| ends(state)) {
                return false;
            }
            for c in ALPHABET.iter().flat_map(|&(first, last)| first..=last) {
                let next = each.dfa.next_state(theirs, c);
                if each.dfa.is_dead_state(next) {
                    continue;
                }
                steps += ours.len();
                if steps > MAX_STEPS {
                    return false;
                }
                let states = ours.iter().map(|&state| self.dfa.next_state(state, c));
                let pair = (states.filter(|&state| !self.dfa.is_dead_state(state)).collect::<BTreeSet<_>>(), next);
                if !seen.contains(&pair) {
                    seen.insert(pair.clone());
                    open.push(pair);
                }
            }
        }
        true
    }
}

/// The bytes that well-formed origins consist of, from the first to the last of each range.
const ALPHABET: [(u8, u8); 7] =
    [(b'a', b'z'), (b'0', b':'), (b'-', b'/'), (b'+', b'+'), (b'_', b'_'), (b'[', b'['), (b']', b']')];

/// Cuts an expression down to what matters on origins: see the module's documentation.
fn on_origins(hir: &Hir) -> Hir {
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

fn parse(source: &str) -> Result<Hir, Problem> {
    let ast = parse_ast(source)?;
    let hir = regex_syntax::hir::translate::Translator::new().translate(source, &ast).map_err(|error| {
        let reason = Reason::Expression(format!("{} at character {}", error.kind(), character(source, error.span())));
        Problem::new(source.as_bytes(), reason)
    })?;
    Ok(on_origins(&hir))
}

fn parse_ast(source: &str) -> Result<Ast, Problem> {
    ast::parse::Parser::new().parse(source).map_err(|error| {
        let message = format!("{} at character {}", error.kind(), character(source, error.span()));
        let reason = match error.kind() {
            ast::ErrorKind::UnsupportedLookAround | ast::ErrorKind::UnsupportedBackreference => {
                Reason::ExpressionLookaround(message)
            }
            _ => Reason::Expression(message),
        };
        Problem::new(source.as_bytes(), reason)
    })
}

/// Where `span` starts, counted in characters from 1.
fn character(source: &str, span: &ast::Span) -> usize {
    source.get(..span.start.offset).map_or(0, |before| before.chars().count()) + 1
}

/// An expression that compiles, and what is to be said about it.
pub struct Checked {
    /// The expression.
    pub source: String,
    /// What is doubtful about it.
    pub doubts: Vec<Problem>,
    /// Whether it accepts origins that anyone can register: for every name of two labels that itself, or a subdomain of it, by
    /// `https` or by `http`, on some port.
    pub any_origin: bool,
}

/// Looks at one value of `cors_allow_origin_regex`.
///
/// | value | |
/// | --- | --- |
/// | `^https://pr-\d+\.example\.dev$` | permitted |
/// | `https://pr-\d+\.example\.dev` | permitted: the same |
/// | `^https://a.example\.com$` | permitted with a warning: an unescaped dot |
/// | `^example\.com$` | permitted with a warning: can never match |
/// | `^https://(?!evil)`, `(a)\1` | prohibited: look-around and back-references |
pub fn check(value: &[u8]) -> Result<Checked, Problem> {
    let source = match std::str::from_utf8(value) {
        Ok("") => return Err(Problem::new(value, Reason::Empty)),
        Ok(source) => source,
        Err(_) => return Err(Problem::new(value, Reason::ExpressionNotUtf8)),
    };
    let seen = look(source)?;
    let doubts = [(!seen.dots.is_empty(), Reason::UnescapedDot), (!seen.matches, Reason::NeverMatches)];
    let doubts = doubts.into_iter().filter(|(doubtful, _)| *doubtful);
    let mended = if seen.is_fine() { None } else { mend(source, &seen) };
    let doubts = doubts.map(|(_, reason)| Problem::new(value, reason).suggesting(mended.clone())).collect();
    Ok(Checked { source: source.to_owned(), doubts, any_origin: seen.any_origin })
}

/// What is seen of an expression that compiles.
struct Seen {
    ast: Ast,
    /// Where dots stand that were meant as such.
    dots: Vec<usize>,
    /// Whether there is a well-formed origin that it matches.
    matches: bool,
    /// See [`Checked::any_origin`].
    any_origin: bool,
}

impl Seen {
    fn is_fine(&self) -> bool {
        self.dots.is_empty() && self.matches
    }
}

fn look(source: &str) -> Result<Seen, Problem> {
    let too_large = || Problem::new(source.as_bytes(), Reason::ExpressionTooLarge);
    let automaton = Automata::new(parse(source)?).ok_or_else(too_large)?;
    let ast = parse_ast(source)?;
    let dots = unescaped_dots(&ast, source);
    let known = known();
    let matches = known.wire.reaches_with(&automaton, |wire, ours| wire && ours);
    let [before, name, after] = &known.anyones;
    let any_origin = automaton.matches_each(before, name, after);
    Ok(Seen { ast, dots, matches, any_origin })
}

/// The expression with unescaped dots escaped and, where it matches nothing, with a scheme; `None` where that leaves
/// something to be said about it.
fn mend(source: &str, seen: &Seen) -> Option<String> {
    let mut mended = source.to_owned();
    for &at in seen.dots.iter().rev() {
        mended.insert(at, '\\');
    }
    if !seen.matches {
        // nginx's own directives mark expressions so.
        let bare = mended.trim_start_matches(['~', '*']).trim_start_matches('^');
        mended = match seen.ast {
            // The opaque origin is named in cors_allow_origin, and never matched.
            _ if bare.trim_end_matches('$') == "null" => return None,
            _ if bare.starts_with("http") => format!("^{bare}"),
            // With anchors of their own, not all of the alternatives would match.
            Ast::Alternation(_) if bare.contains(['^', '$']) => return None,
            Ast::Alternation(_) => format!("^https://(?:{bare})$"),
            _ => format!("^https://{bare}"),
        };
    }
    look(&mended).ok().filter(|seen| seen.is_fine() && !seen.any_origin).map(|_| mended)
}

/// What expressions are compared with.
struct Known {
    /// Origins as [`crate::origin::parse`] has them, but for the lengths.
    wire: Automata,
    /// Origins that are well-formed if none of their parts is too long: not all of them, but those that expressions are
    /// about.
    well_formed: Automata,
    /// The parts of an origin around a name that anyone can register: what they may have before it, the name (letters under
    /// a top-level domain), and what they may have behind it.
    anyones: [Automata; 3],
}

impl Known {
    fn new() -> Self {
        let automaton =
            |source: &str| parse(source).ok().and_then(Automata::new).expect("a constant expression compiles");
        let port = "([1-9][0-9]{3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
        Known {
            wire: automaton(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?)(:[1-9][0-9]{0,4})?"),
            well_formed: automaton(&format!(r"https?://[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?(:{port})?")),
            anyones: [r"https?://([a-z0-9-]+\.)*", r"[a-z]{1,20}\.[a-z]{2,6}", "(:[1-9][0-9]{0,4})?"].map(automaton),
        }
    }
}

static KNOWN: Mutex<Option<Arc<Known>>> = Mutex::new(None);

fn known() -> Arc<Known> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_with(|| Arc::new(Known::new())).clone()
}

/// Frees what is kept to compare expressions with; it is made again when it is needed. A library that can be unloaded has to
/// call this, because nothing frees a static.
pub fn forget() {
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Where dots stand that are not escaped, between what can be characters of a name.
fn unescaped_dots(ast: &Ast, source: &str) -> Vec<usize> {
    match ast {
        Ast::Concat(concat) => {
            let mut found: Vec<usize> = concat.asts.iter().flat_map(|ast| unescaped_dots(ast, source)).collect();
            for three in concat.asts.windows(3) {
                let [before, Ast::Dot(span), after] = three else { continue };
                if touches_name(before, source, |asts| asts.last()) && touches_name(after, source, |asts| asts.first())
                {
                    found.push(span.start.offset);
                }
            }
            found.sort_unstable();
            found
        }
        Ast::Alternation(alternation) => alternation.asts.iter().flat_map(|ast| unescaped_dots(ast, source)).collect(),
        Ast::Group(group) => unescaped_dots(&group.ast, source),
        Ast::Repetition(repetition) => unescaped_dots(&repetition.ast, source),
        _ => Vec::new(),
    }
}

/// Whether `ast` can have a character of a name at the side that `edge` takes of what it consists of.
fn touches_name(ast: &Ast, source: &str, edge: fn(&[Ast]) -> Option<&Ast>) -> bool {
    let name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    match ast {
        Ast::Literal(literal) => u8::try_from(literal.c).is_ok_and(name),
        Ast::ClassUnicode(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_) => {
            let span = ast.span();
            let class = source.get(span.start.offset..span.end.offset).and_then(|class| parse(class).ok());
            match class.as_ref().map(Hir::kind) {
                Some(HirKind::Class(Class::Bytes(bytes))) => {
                    bytes.iter().any(|range| (range.start()..=range.end()).any(name))
                }
                Some(HirKind::Literal(literal)) => literal.0.iter().copied().any(name),
                _ => false,
            }
        }
        Ast::Repetition(repetition) => touches_name(&repetition.ast, source, edge),
        Ast::Group(group) => touches_name(&group.ast, source, edge),
        Ast::Concat(concat) => edge(&concat.asts).is_some_and(|ast| touches_name(ast, source, edge)),
        Ast::Alternation(alternation) => alternation.asts.iter().any(|ast| touches_name(ast, source, edge)),
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) | Ast::Dot(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin;
    use proptest::prelude::*;

    fn compile_all(sources: &[&str]) -> Expressions {
        let sources: Vec<_> = sources.iter().map(|source| ((), source.to_string())).collect();
        Expressions::new(&sources).ok().unwrap()
    }

    #[test]
    fn the_expressions_of_the_first_users() {
        let rows = [
            (r"^https://\w+\.example\.com$", "https://app.example.com", true),
            (r"^https://\w+\.example\.com$", "https://a.b.example.com", false),
            (r"^https://\w+\.example\.com$", "https://app.example.com.evil.example", false),
            (r"^http://(localhost|127\.0\.0\.1):\d+$", "http://localhost:3000", true),
            (r"^http://(localhost|127\.0\.0\.1):\d+$", "http://127.0.0.1:1", true),
            (r"^http://(localhost|127\.0\.0\.1):\d+$", "http://localhost", false),
            (r"^http://192\.168\.1\.\d+:3000$", "http://192.168.1.20:3000", true),
            (r"^http://192\.168\.1\.\d+:3000$", "http://192.168.10.2:3000", false),
        ];
        for (source, origin, matches) in rows {
            assert_eq!(compile_all(&[source]).matches(origin.as_bytes()), matches, "{source} {origin}");
        }
    }

    #[test]
    fn the_whole_origin_with_or_without_anchors() {
        for source in [
            r"https://a\.example",
            r"^https://a\.example",
            r"https://a\.example$",
            r"(?m)^https://a\.example$",
            r"x|https://a\.example|y",
        ] {
            let expressions = compile_all(&[source]);
            assert!(expressions.matches(b"https://a.example"), "{source}");
            for other in
                ["https://a.example.evil", "https://xhttps://a.example", "xhttps://a.example", "https://a.examples"]
            {
                assert!(!expressions.matches(other.as_bytes()), "{source} {other}");
            }
        }
        assert!(compile_all(&["https://(a|ab)"]).matches(b"https://ab"));
    }

    #[test]
    fn what_no_origin_has_is_never_matched() {
        for source in ["https://App\\.example", "PUT", "https://a b", "https://(a|B)\\.example"] {
            let expressions = compile_all(&[source]);
            for origin in ["https://App.example", "PUT", "https://a b", "https://B.example"] {
                assert!(!expressions.matches(origin.as_bytes()), "{source} {origin}");
            }
        }
    }

    #[test]
    fn what_is_kept_for_all_expressions_is_made_again() {
        let checked = |source: &str| check(source.as_bytes()).ok().unwrap().doubts.len();
        assert_eq!(checked("a"), 1);
        forget();
        assert_eq!((checked("a"), checked("https://a")), (1, 0));
    }

    #[test]
    fn a_thousand_expressions_are_one_automaton() {
        let sources: Vec<_> = (0..1000).map(|i| ((), format!(r"^https://pr-\d+\.t{i}\.example\.dev$"))).collect();
        let expressions = Expressions::new(&sources).ok().unwrap();
        assert_eq!(expressions.automata.len(), 1);
        assert!(expressions.matches(b"https://pr-12.t999.example.dev"));
        assert!(!expressions.matches(b"https://pr-12.t1000.example.dev"));
    }

    #[test]
    fn what_does_not_fit_together_is_halved() {
        let sources: Vec<_> = (0..12).map(|i| ((), format!("https://.*{}.{{9}}", char::from(b'a' + i)))).collect();
        let expressions = Expressions::new(&sources).ok().unwrap();
        assert!(expressions.automata.len() > 1);
        assert!(expressions.matches(b"https://l123456789") && !expressions.matches(b"https://z123456789"));
    }

    #[test]
    fn problems() {
        let rows: [(&str, Reason, &str); 6] = [
            ("", Reason::Empty, "is empty"),
            ("^https://(", Reason::Expression(String::new()), "unclosed group at character 10"),
            ("^https://(?!evil)", Reason::ExpressionLookaround(String::new()), "look-around"),
            (r"(a)\1", Reason::ExpressionLookaround(String::new()), "backreferences are not supported"),
            ("^https://(a{1000}){1000}$", Reason::ExpressionTooLarge, "too large"),
            ("https://.*a.{30}", Reason::ExpressionTooLarge, "too large"),
        ];
        for (source, reason, text) in rows {
            let problem = check(source.as_bytes()).err().expect(source);
            assert_eq!(std::mem::discriminant(&problem.reason), std::mem::discriminant(&reason), "{source}");
            assert!(problem.to_string().contains(text), "{problem}");
            assert!(!problem.to_string().contains('\n'), "{problem}");
        }
    }

    #[test]
    fn doubts() {
        type Doubt = (Reason, Option<&'static str>);
        let rows: [(&str, &[Doubt]); 27] = [
            (r"^https://a\.example$", &[]),
            (r"^https://.*\.example\.com$", &[]),
            (r"https://[^.]+\.example", &[]),
            (r"^https://app.example\.com$", &[(Reason::UnescapedDot, Some(r"^https://app\.example\.com$"))]),
            (r"^https://\w+.example.com$", &[(Reason::UnescapedDot, Some(r"^https://\w+\.example\.com$"))]),
            (r"^example\.com$", &[(Reason::NeverMatches, Some(r"^https://example\.com$"))]),
            (r".*\.example\.com", &[]),
            (r"^https://.+\.example\.com$", &[]),
            (r"^https://app[.]example[.]com$", &[]),
            (r"^https://[a-z.]+\.example\.com$", &[]),
            (r"(?x) ^https:// app \. example \. com $", &[]),
            (r"^https://.\.example$", &[]),
            (r"^https://a[.].[.]example$", &[]),
            (r"^(https://).\.example$", &[]),
            (
                r"^https://\w+.(example|test)\.com$",
                &[(Reason::UnescapedDot, Some(r"^https://\w+\.(example|test)\.com$"))],
            ),
            (
                r"^https://(app|www).example\.com$",
                &[(Reason::UnescapedDot, Some(r"^https://(app|www)\.example\.com$"))],
            ),
            (r"^https://(app.)?example\.com$", &[]),
            (r"^https://([a-z]+.[a-z]+)\.com$", &[(Reason::UnescapedDot, Some(r"^https://([a-z]+\.[a-z]+)\.com$"))]),
            (r"^https://(a.b|c\.d)$", &[(Reason::UnescapedDot, Some(r"^https://(a\.b|c\.d)$"))]),
            (
                r"^app.example.com$",
                &[
                    (Reason::UnescapedDot, Some(r"^https://app\.example\.com$")),
                    (Reason::NeverMatches, Some(r"^https://app\.example\.com$")),
                ],
            ),
            (r"example\.com|example\.org", &[(Reason::NeverMatches, Some(r"^https://(?:example\.com|example\.org)$"))]),
            (r"^example\.com$|^example\.org$", &[(Reason::NeverMatches, None)]),
            (r"~^https://\w+\.example$", &[(Reason::NeverMatches, Some(r"^https://\w+\.example$"))]),
            (r"~*^https://\w+\.example$", &[]),
            (r"^null$", &[(Reason::NeverMatches, None)]),
            (r"^https://Example\.com$", &[(Reason::NeverMatches, None)]),
            (r"^https://example\.com/$", &[(Reason::NeverMatches, None)]),
        ];
        for (source, expected) in rows {
            let doubts: Vec<_> =
                check(source.as_bytes()).ok().unwrap().doubts.into_iter().map(|p| (p.reason, p.suggestion)).collect();
            let expected: Vec<_> =
                expected.iter().map(|(reason, suggestion)| (reason.clone(), suggestion.map(str::to_owned))).collect();
            assert_eq!(doubts, expected, "{source}");
        }
    }

    #[test]
    fn expressions_that_accept_what_anyone_can_register() {
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
        ] {
            assert!(check(source.as_bytes()).ok().unwrap().any_origin, "{source}");
        }
        for source in [
            r"^https://.*\.example\.com$",
            r"^https://\w+$",
            r"https://.*\.com",
            "^http://localhost:.*$",
            r"^https://[^.]+$",
            r"^https://app\.[^.]+$",
            r"^app://.*$",
            r"^https://.*example\.com$",
            r"^http://192\.168\.\d+\.\d+:3000$",
        ] {
            assert!(!check(source.as_bytes()).ok().unwrap().any_origin, "{source}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_suggestion_leaves_nothing_to_be_said(
            scheme in r"(\^?https?://|\^|~\^?|~\*|)",
            parts in prop::collection::vec(
                prop::sample::select(vec!["app", r"\w+", "[a-z]+", "(a|b)", "(a|b.c)", r"pr-\d+", "[^.]+", ".*", "é", "(?:x)?"]),
                1..5,
            ),
            dots in prop::collection::vec(prop::sample::select(vec![".", r"\.", "[.]", "|", ".?"]), 4),
            end in r"(\$|:\\d\+|:8080\$|/|)",
        ) {
            let joined: String = parts.iter().zip(&dots).flat_map(|(part, dot)| [*part, *dot]).collect();
            let source = format!("{scheme}{joined}example{end}");
            for doubt in check(source.as_bytes()).ok().unwrap().doubts {
                prop_assert!(doubt.is_warning());
                if let Some(suggestion) = doubt.suggestion {
                    let checked = check(suggestion.as_bytes()).ok().unwrap();
                    prop_assert!(checked.doubts.is_empty() && !checked.any_origin, "{} for {}", suggestion, source);
                }
            }
        }
    }

    #[test]
    fn which_expressions_vouch_for_what_they_match() {
        for source in
            [r"https://app\.example\.com", r"^https?://\w+\.example\.com$", r"https://pr-\d+\.example\.dev:8443"]
        {
            assert!(compile_all(&[source]).well_formed, "{source}");
        }
        for source in
            [".*", r"http://localhost:\d+", r"https://[^/]+", "http://a:80", r"app://a", r"https://.*\.example\.com"]
        {
            assert!(!compile_all(&[source]).well_formed, "{source}");
        }
    }

    proptest! {
        #[test]
        fn what_is_vouched_for_is_well_formed(origin in "https?://[a-z0-9_.-]{1,55}(:[0-9]{1,6})?") {
            if origin.len() <= SHORT && known().well_formed.matches(origin.as_bytes()) {
                prop_assert!(origin::parse(origin.as_bytes()).is_some(), "{}", origin);
            }
        }

        #[test]
        fn agrees_with_the_regex_crate(
            sources in prop::collection::vec(
                prop::sample::select(vec![
                    r"^https://\w+\.example\.com$", r"https://a.*", r"(?i)HTTPS://[A-C]+", r"^http://(localhost|127\.0\.0\.1):\d+$",
                    r"https?://\pL+", r".*\bexample\b.*", r"https://[^.]+", r"\S+:\d{2,4}", r"https://(a|ab)(c|bcd)",
                ]), 1..4),
            origin in r"https?://([a-c]{1,4}|localhost|127\.0\.0\.1|example)(\.example\.com|\.b|)(:[1-9][0-9]{0,4}|)",
        ) {
            if origin::parse(origin.as_bytes()).is_some() {
                let reference = sources.iter().any(|source| regex::Regex::new(&format!(r"\A(?:{source})\z")).unwrap().is_match(&origin));
                prop_assert_eq!(compile_all(&sources).matches(origin.as_bytes()), reference, "{:?} {}", sources, origin);
            }
        }
    }
}
