// SPDX-License-Identifier: Apache-2.0
//! Expressions of `cors_allow_origin_regex`: the syntax of the `regex` crate, as one automaton for a whole policy.
//!
//! The whole deterministic automaton (`automaton.rs`) is built when the configuration is read. A request then costs one
//! table look-up for each byte of its origin, whatever the expressions are and however many; nothing is compiled or cached
//! at run time, and no input can make it slow. If the automaton of all expressions together would grow too large, they get
//! several. The states of an expression that is too large on its own are built at run time, in a limited memory; `nginx -t` warns of
//! that.
//!
//! If everything that the expressions of a policy match is well-formed, which is decided on the automata, an origin that
//! they match is not parsed.
//!
//! An expression must match the whole origin, whether or not it is written with `^` and `$`.

use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::literal::{Extractor, Literal};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::automaton::{on_origins, Automaton, LazyAutomaton, SINGLE_SIZE_LIMIT, SIZE_LIMIT};
use crate::exposure::Exposure;
use crate::kinds::{self, Kinds};
use crate::origin::{self, MAX_LABEL};
use crate::{habits, rule, Problem, Reason};

/// A set of expressions.
#[derive(Default)]
pub struct Expressions {
    automata: Vec<Automaton>,
    /// Those that are too large for that.
    lazy: Vec<LazyAutomaton>,
    /// Whether everything that they match is well-formed, except for lengths that an origin of [`SHORT`] bytes cannot exceed.
    well_formed: bool,
}

/// Expressions are compiled together up to this size in bytes of what they take on their own: building an automaton takes longer
/// than its size suggests if that is much larger.
const GROUP_SIZE: usize = 7 << 20;

/// An origin of at most this length cannot have a part that is too long.
const SHORT: usize = MAX_LABEL;

impl Expressions {
    /// Compiles expressions that [`check`] has accepted.
    pub(crate) fn new(sources: &[Source]) -> Self {
        let mut expressions = Expressions::default();
        if sources.is_empty() {
            return expressions;
        }
        let mut group = Vec::new();
        let mut size = 0;
        for Source { parsed, size: own, is_lazy, .. } in sources {
            if *is_lazy {
                expressions.lazy.extend(LazyAutomaton::new(parsed));
                continue;
            }
            size += own;
            if size > GROUP_SIZE {
                expressions.compile(&std::mem::take(&mut group));
                size = *own;
            }
            group.push(parsed.clone());
        }
        expressions.compile(&group);
        let origins = kinds::origins();
        expressions.well_formed = expressions.lazy.is_empty()
            && expressions.automata.iter().all(|automaton| {
                automaton.matches_with(&origins, |kinds| !Kinds(kinds).is_surely_well_formed()) == Some(false)
            });
        expressions
    }

    /// Compiles all of `parsed`, into one automaton if that is possible.
    fn compile(&mut self, parsed: &[Hir]) {
        if parsed.is_empty() {
            return;
        }
        match (parsed, Automaton::new(&[Hir::alternation(parsed.to_vec())], SIZE_LIMIT)) {
            (_, Some(automaton)) => self.automata.push(automaton),
            ([single], None) => self.lazy.extend(LazyAutomaton::new(single)),
            (_, None) => {
                let (first, second) = parsed.split_at(parsed.len() / 2);
                self.compile(first);
                self.compile(second);
            }
        }
    }

    /// Whether an origin that is matched is known to be well-formed without being parsed.
    pub fn vouches_for(&self, origin: &[u8]) -> bool {
        self.well_formed && origin.len() <= SHORT
    }

    /// Whether one of them matches the whole of a well-formed origin.
    pub fn matches(&self, origin: &[u8]) -> bool {
        self.automata.iter().any(|automaton| automaton.matches(origin))
            || self.lazy.iter().any(|automaton| automaton.matches(origin))
    }
}

/// An expression that compiles.
pub(crate) struct Source {
    /// As it was written.
    pub text: String,
    parsed: Hir,
    /// The size of its own automaton.
    size: usize,
    /// Whether that is too large to be built when the configuration is read.
    is_lazy: bool,
}

/// Parses an expression, and cuts it down to what can match a part of an origin.
pub(crate) fn parse(source: &str) -> Result<Hir, Problem> {
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

/// An expression that compiles, and what was found out about it.
pub struct Checked {
    /// The expression.
    pub(crate) source: Source,
    /// What is doubtful about it.
    pub doubts: Vec<Problem>,
    /// Which strangers it lets in.
    pub(crate) exposure: Exposure,
    /// Whether it matches origins that anyone on the network path can pose as.
    pub(crate) is_insecure: bool,
}

/// Checks one value of `cors_allow_origin_regex`.
///
/// | value | |
/// | --- | --- |
/// | `^https://pr-\d+\.example\.dev$` | permitted |
/// | `https://pr-\d+\.example\.dev` | permitted: the same |
/// | `^https://a.example\.com$` | permitted with a warning: an unescaped dot |
/// | `~^https://a\.example$` | permitted with a warning: a tilde |
/// | `^example\.com$` | permitted with a warning: can never match |
/// | `^https://(?!evil)`, `(a)\1` | prohibited: look-around and back-references |
/// | `https://*.example.com`, `*` | prohibited: a pattern |
/// | `^wss://a\.example$` | prohibited: the scheme of a WebSocket |
/// | `always` | prohibited |
pub fn check(value: &[u8]) -> Result<Checked, Problem> {
    let source = text_of(value)?;
    let found = examine(source)?;
    if !found.matches && found.is_of_websockets {
        return Err(Problem::new(value, Reason::WebSocketScheme).suggesting(suggest(source, &found)));
    }
    let doubts = [
        (found.has_tilde, Reason::Tilde),
        (!found.dots.is_empty(), Reason::UnescapedDot),
        (!found.matches && !found.has_tilde, Reason::NeverMatches),
        (found.is_lazy, Reason::ExpressionLazy),
    ];
    let suggestion = if found.is_fine() { None } else { suggest(source, &found) };
    let doubts = doubts.into_iter().filter(|(doubtful, _)| *doubtful);
    let doubts = doubts.map(|(_, reason)| Problem::new(value, reason).suggesting(suggestion.clone())).collect();
    let source = Source { text: source.to_owned(), parsed: found.parsed, size: found.size, is_lazy: found.is_lazy };
    Ok(Checked { source, doubts, exposure: found.exposure, is_insecure: found.is_insecure })
}

/// The text of a value that may be an expression.
fn text_of(value: &[u8]) -> Result<&str, Problem> {
    let problem = |reason| Err(Problem::new(value, reason));
    let source = match std::str::from_utf8(value) {
        Ok("") => return problem(Reason::Empty),
        Ok(source) => source,
        Err(_) => return problem(Reason::ExpressionNotUtf8),
    };
    if habits::is_parameter(value) {
        return problem(Reason::Always);
    }
    if source.starts_with("*.") || rule::is_pattern(value) {
        return problem(Reason::IsPattern);
    }
    Ok(source)
}

/// Whether [`check`] refuses a value, and why. What is doubtful is not looked at if that saves time.
pub fn refuse(value: &[u8]) -> Result<(), Problem> {
    let parsed = parse(text_of(value)?)?;
    let literals = Extractor::new().extract(&parsed);
    let is_http = |literals: &[Literal]| literals.iter().all(|literal| literal.as_bytes().starts_with(b"http"));
    // Then it is not of WebSockets.
    match literals.literals().is_some_and(is_http) && LazyAutomaton::new(&parsed).is_some() {
        true => Ok(()),
        false => check(value).map(drop),
    }
}

/// What was found out about an expression that compiles.
struct Examined {
    /// Offsets of dots that were meant as such and are not escaped.
    dots: Vec<usize>,
    /// Whether it begins as nginx's own directives mark expressions.
    has_tilde: bool,
    /// Whether it matches any origin that a page can have.
    matches: bool,
    /// Whether it matches origins with the scheme of a WebSocket.
    is_of_websockets: bool,
    exposure: Exposure,
    is_insecure: bool,
    parsed: Hir,
    /// The size of its automaton.
    size: usize,
    /// Whether that is too large to be built when the configuration is read. It is not known then which origins it matches.
    is_lazy: bool,
}

impl Examined {
    fn is_fine(&self) -> bool {
        self.dots.is_empty() && self.matches && !self.has_tilde
    }
}

fn examine(source: &str) -> Result<Examined, Problem> {
    let too_large = || Problem::new(source.as_bytes(), Reason::ExpressionTooLarge);
    let parsed = parse(source)?;
    let ast = parse_ast(source)?;
    let has_tilde = source.starts_with('~');
    let Some(automaton) = Automaton::new(std::slice::from_ref(&parsed), SINGLE_SIZE_LIMIT) else {
        LazyAutomaton::new(&parsed).ok_or_else(too_large)?;
        return Ok(Examined {
            dots: unescaped_dots(&ast, source),
            has_tilde,
            matches: true,
            is_of_websockets: false,
            exposure: Exposure::default(),
            is_insecure: false,
            parsed,
            size: 0,
            is_lazy: true,
        });
    };
    let (mut matches, mut is_of_websockets, mut is_insecure) = (false, false, false);
    let compared = automaton.matches_with(&kinds::origins(), |kinds| {
        let kinds = Kinds(kinds);
        matches |= kinds.is_of_pages();
        is_of_websockets |= kinds.is_well_formed() && !kinds.is_of_pages();
        is_insecure |= kinds.is_insecure();
        matches && is_insecure
    });
    Ok(Examined {
        dots: unescaped_dots(&ast, source),
        has_tilde,
        matches: matches || compared.is_none(),
        is_of_websockets,
        exposure: Exposure::of(&automaton),
        is_insecure,
        size: automaton.size(),
        parsed,
        is_lazy: false,
    })
}

/// Text around expressions in other directives and other servers: marks, quotation marks, and the commas of lists.
const BEFORE: [&str; 8] = ["regexp:", "regex:", "re:", "~*", "~", "^~", "\"", "'"];
const AFTER: [&str; 4] = [",", ";", "\"", "'"];
/// The ends of expressions for URLs.
const PATHS: [&str; 4] = ["/.*", "/*", "/+", "/"];
/// The schemes of WebSockets, and the schemes of the pages that open them.
const WEBSOCKETS: [(&str, &str); 4] =
    [("wss?://", "https?://"), ("(ws|wss)://", "https?://"), ("wss://", "https://"), ("ws://", "http://")];

/// The expression with its dots escaped and, if it matches nothing, in the form of origins; `None` if the result is still
/// doubtful.
fn suggest(source: &str, found: &Examined) -> Option<String> {
    let mut text = source.to_owned();
    for &at in found.dots.iter().rev() {
        text.insert(at, '\\');
    }
    if !found.matches || found.has_tilde {
        text = in_form_of_origins(&text)?;
    }
    let is_better = |better: &Examined| better.is_fine() && better.exposure.any.is_none();
    examine(&text).ok().filter(is_better).map(|_| text)
}

/// The `cors_allow_origin_regex` line for an expression that was written in another directive.
pub(crate) fn directive(text: &str) -> Option<String> {
    let found = examine(text).ok()?;
    let expression = if found.is_fine() { text.to_owned() } else { suggest(text, &found)? };
    let is_list = matches!(parse_ast(&expression), Ok(Ast::Alternation(_)));
    let start = if is_list || expression.starts_with('^') { "" } else { "^" };
    let end = if is_list || expression.ends_with('$') { "" } else { "$" };
    let quote = if expression.contains([';', '{', '}']) { "'" } else { "" };
    let line = format!("cors_allow_origin_regex {quote}{start}{expression}{end}{quote}");
    Some(line).filter(|line| line.len() <= 200 && line.bytes().all(|b| matches!(b, b' '..=b'~')))
}

/// Converts an expression that matches no origin into one for whole origins.
fn in_form_of_origins(source: &str) -> Option<String> {
    let mut bare = source;
    // As a literal of JavaScript.
    let literal = bare.strip_prefix('/').and_then(|rest| rest.trim_end_matches(['g', 'i', 'm', 'u']).strip_suffix('/'));
    let unescaped = literal.map(|literal| literal.replace(r"\/", "/"));
    bare = unescaped.as_deref().unwrap_or(bare);
    while let Some(rest) = BEFORE.iter().find_map(|before| bare.strip_prefix(before)) {
        bare = rest;
    }
    while let Some(rest) = AFTER.iter().find_map(|after| bare.strip_suffix(after)) {
        bare = rest;
    }
    let bare = bare.trim_start_matches('^');
    let (bare, end) = bare.strip_suffix('$').map_or((bare, ""), |bare| (bare, "$"));
    let bare = PATHS.iter().find_map(|path| bare.strip_suffix(path)).unwrap_or(bare);
    // Those are named in cors_allow_origin, and never matched.
    if origin::is_named(bare.as_bytes()) {
        return None;
    }
    let websocket = WEBSOCKETS.iter().find_map(|(scheme, page)| Some((*page).to_owned() + bare.strip_prefix(scheme)?));
    let bare = in_lower_case(websocket.as_deref().unwrap_or(bare))?;
    Some(match parse_ast(&bare).ok()? {
        _ if bare.starts_with("http") || bare.contains("://") => format!("^{bare}{end}"),
        // With anchors of their own, not all of the alternatives would match.
        Ast::Alternation(_) if bare.contains(['^', '$']) => return None,
        Ast::Alternation(_) => format!("^https://(?:{bare})$"),
        _ => format!("^https://{bare}{end}"),
    })
}

/// The expression with its literal letters in lower case.
fn in_lower_case(source: &str) -> Option<String> {
    let mut lower = source.to_owned();
    let ast = parse_ast(source).ok()?;
    let mut open = vec![&ast];
    while let Some(ast) = open.pop() {
        match ast {
            Ast::Literal(literal) => {
                let range = literal.span.start.offset..literal.span.end.offset;
                if matches!(literal.kind, ast::LiteralKind::Verbatim) {
                    lower.get_mut(range)?.make_ascii_lowercase();
                }
            }
            Ast::Group(group) => open.push(&group.ast),
            Ast::Repetition(repetition) => open.push(&repetition.ast),
            Ast::Concat(concat) => open.extend(&concat.asts),
            Ast::Alternation(alternation) => open.extend(&alternation.asts),
            _ => {}
        }
    }
    Some(lower)
}

/// Offsets of the unescaped dots between parts that can match characters of a name.
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

/// Whether a character of a name can be at that side of `ast` which `edge` selects from its parts.
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

    fn compile_all(sources: &[impl AsRef<str>]) -> Expressions {
        let checked: Option<Vec<_>> =
            sources.iter().map(|source| Some(check(source.as_ref().as_bytes()).ok()?.source)).collect();
        Expressions::new(&checked.expect("right expressions"))
    }

    #[test]
    fn refusing_is_what_checking_does() {
        for value in [
            "",
            "always",
            "*.a.example",
            "https://*.example.com",
            "(",
            "(?=a)",
            "^wss://a$",
            "^https://a$|^wss://b$",
            "^https://a b$|^wss://b$",
            r"^https?://(a|b)\.example$",
            ".*",
            "http",
            "(?i)^HTTPS://a$",
            "^https://a{1000}{1000}{1000}$",
            r"^https://(\w{100}){100}$",
            "wss?://.*",
            "^https://[^a]{1,60}$",
            "~^https://a$",
            ",",
        ] {
            let checked = check(value.as_bytes()).map(drop);
            assert_eq!(refuse(value.as_bytes()), checked, "{value}");
        }
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
    fn references_are_built_again() {
        let checked = |source: &str| check(source.as_bytes()).ok().unwrap().doubts.len();
        assert_eq!(checked("a"), 1);
        kinds::free_references();
        assert_eq!((checked("a"), checked("https://a")), (1, 0));
    }

    #[test]
    fn a_thousand_expressions_are_one_automaton() {
        let sources: Vec<_> = (0..1000).map(|i| format!(r"^https://pr-\d+\.t{i}\.example\.dev$")).collect();
        let expressions = compile_all(&sources);
        assert_eq!(expressions.automata.len(), 1);
        assert!(expressions.matches(b"https://pr-12.t999.example.dev"));
        assert!(!expressions.matches(b"https://pr-12.t1000.example.dev"));
    }

    #[test]
    fn what_does_not_fit_together_is_halved() {
        let sources: Vec<_> = (0..12).map(|i| format!("https://.*{}.{{9}}", char::from(b'a' + i))).collect();
        let expressions = compile_all(&sources);
        assert!(expressions.automata.len() > 1 && expressions.lazy.is_empty());
        assert!(expressions.matches(b"https://l123456789") && !expressions.matches(b"https://z123456789"));
    }

    #[test]
    fn what_does_not_fit_alone_is_built_while_it_matches() {
        let checked = check(b"https://.*a.{30}").ok().unwrap();
        assert_eq!(
            checked.doubts.iter().map(|doubt| doubt.reason.clone()).collect::<Vec<_>>(),
            [Reason::ExpressionLazy]
        );
        let expressions = compile_all(&["https://.*a.{30}", r"https://b\.example"]);
        assert_eq!((expressions.automata.len(), expressions.lazy.len()), (1, 1));
        let thirty = "b".repeat(30);
        for (origin, matches) in [
            (format!("https://a{thirty}"), true),
            (format!("https://xa{thirty}"), true),
            (format!("https://b{thirty}"), false),
            (format!("https://a{thirty}b"), false),
            (format!("a{thirty}"), false),
            ("https://b.example".to_owned(), true),
            (String::new(), false),
        ] {
            assert_eq!(expressions.matches(origin.as_bytes()), matches, "{origin}");
        }
        assert!(!expressions.vouches_for(b"https://b.example"));
        // Far more states than it may keep.
        let compiled = regex::bytes::Regex::new("^https://.*a.{30}$").unwrap();
        let mut random = 1u64;
        for _ in 0..20_000 {
            let mut origin = b"https://".to_vec();
            for _ in 0..60 {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                origin.push(b"ab.-c1"[(random >> 33) as usize % 6]);
            }
            assert_eq!(expressions.matches(&origin), compiled.is_match(&origin));
        }
        let memory = expressions.lazy[0].memory();
        assert!(memory <= 2 << 20, "{memory}");
    }

    #[test]
    fn problems() {
        let rows: [(&str, Reason, &str); 12] = [
            ("", Reason::Empty, "is empty"),
            ("always", Reason::Always, "add_header"),
            ("*", Reason::IsPattern, "write it in cors_allow_origin"),
            ("*.example.com", Reason::IsPattern, "write it in cors_allow_origin"),
            ("https://*.example.com", Reason::IsPattern, "write it in cors_allow_origin"),
            (r"^wss?://a\.example$", Reason::WebSocketScheme, r#"write "^https?://a\.example$""#),
            (r"^ws://a\.example:80$", Reason::WebSocketScheme, "WebSocket"),
            (r"wss://.*\.a\.example", Reason::WebSocketScheme, r#"write "^https://.*\.a\.example""#),
            ("^https://(", Reason::Expression(String::new()), "unclosed group at character 10"),
            ("^https://(?!evil)", Reason::ExpressionLookaround(String::new()), "look-around"),
            (r"(a)\1", Reason::ExpressionLookaround(String::new()), "backreferences are not supported"),
            ("^https://(a{1000}){1000}$", Reason::ExpressionTooLarge, "too large"),
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
        let rows: [(&str, &[Doubt]); 42] = [
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
            (r"~^https://\w+\.example$", &[(Reason::Tilde, Some(r"^https://\w+\.example$"))]),
            (r"~*^https://\w+\.example$", &[(Reason::Tilde, Some(r"^https://\w+\.example$"))]),
            (r"~* ^https://\w+\.example$", &[(Reason::Tilde, None)]),
            (r"/^https:\/\/\w+\.example$/i", &[(Reason::NeverMatches, Some(r"^https://\w+\.example$"))]),
            ("\"^https://a\\.example$\"", &[(Reason::NeverMatches, Some(r"^https://a\.example$"))]),
            (r"regex:^https://a\.example$", &[(Reason::NeverMatches, Some(r"^https://a\.example$"))]),
            (r"^https://a\.example$,", &[(Reason::NeverMatches, Some(r"^https://a\.example$"))]),
            (r"^https://a\.example/.*$", &[(Reason::NeverMatches, Some(r"^https://a\.example$"))]),
            (r"^app://\.$", &[]),
            (r"^file://.*$", &[(Reason::NeverMatches, None)]),
            (r"^file://$", &[(Reason::NeverMatches, None)]),
            (
                r"^https://(app|WWW)\.Example\.com\W?$",
                &[(Reason::NeverMatches, Some(r"^https://(app|www)\.example\.com\W?$"))],
            ),
            (r"^https://a.\.example$", &[]),
            (r"^https://(a.b)+\.example$", &[(Reason::UnescapedDot, Some(r"^https://(a\.b)+\.example$"))]),
            (r"^https://[a].example$", &[(Reason::UnescapedDot, Some(r"^https://[a]\.example$"))]),
            (r"^https://A+\.example$", &[(Reason::NeverMatches, Some(r"^https://a+\.example$"))]),
            (r"^app://Local$", &[(Reason::NeverMatches, Some(r"^app://local$"))]),
            (r"^null$", &[(Reason::NeverMatches, None)]),
            (r"^https://Example\.com$", &[(Reason::NeverMatches, Some(r"^https://example\.com$"))]),
            (r"^https://example\.com/$", &[(Reason::NeverMatches, Some(r"^https://example\.com$"))]),
        ];
        for (source, expected) in rows {
            let doubts: Vec<_> =
                check(source.as_bytes()).ok().unwrap().doubts.into_iter().map(|p| (p.reason, p.suggestion)).collect();
            let expected: Vec<_> =
                expected.iter().map(|(reason, suggestion)| (reason.clone(), suggestion.map(str::to_owned))).collect();
            assert_eq!(doubts, expected, "{source}");
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
                    prop_assert!(checked.doubts.is_empty() && checked.exposure.any.is_none(), "{} for {}", suggestion, source);
                }
            }
        }
    }

    #[test]
    fn a_long_line_is_not_suggested() {
        let of = |labels: usize| directive(&format!("https://{}example", r"a\.".repeat(labels)));
        assert_eq!(of(1).as_deref(), Some(r"cors_allow_origin_regex ^https://a\.example$"));
        assert_eq!(of(80), None);
    }

    #[test]
    fn one_insecure_origin_among_others_is_enough() {
        for (source, is_insecure) in [
            (r"^http://(a\.example|localhost)$", true),
            (r"^http://(localhost|z\.example)$", true),
            (r"^https?://a\.example$", true),
            (r"^https://a\.example$", false),
            (r"^http://localhost(:\d+)?$", false),
        ] {
            assert_eq!(check(source.as_bytes()).ok().unwrap().is_insecure, is_insecure, "{source}");
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
