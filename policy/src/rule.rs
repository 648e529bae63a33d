// SPDX-License-Identifier: Apache-2.0
//! Values of `cors_allow_origin`: which are permitted, and what to write instead of the others.

use url::{Host, Url};

use crate::origin::{
    default_port, host_len, is, is_named, is_public_suffix, is_scheme, is_secure, is_single_dot, parse, LABEL,
    MAX_HOST, MAX_LABEL,
};
use crate::{expression, habits, Problem, Reason};

/// A value of `cors_allow_origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule<'a> {
    /// `*`
    Any,
    /// An exact origin, or one that [`is_named`].
    Exact,
    /// `https://*.example.com`, `http://localhost:*`
    Pattern(Pattern<'a>),
}

/// `scheme://[*.]host[:port|:*]` with a `*` in one of the two places, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<'a> {
    /// The scheme.
    pub scheme: &'a str,
    /// The host; with a dot before it if any labels may come before it.
    pub host: &'a str,
    /// The port with its `:`, or empty, or `:*`.
    pub port: &'a str,
}

/// Reads a value of `cors_allow_origin`.
///
/// | value | |
/// | --- | --- |
/// | `https://example.com`, `http://localhost:8080`, `capacitor://localhost` | permitted: an exact origin |
/// | `https://*.example.com`, `http://localhost:*`, `https://*.example.com:*` | permitted: a pattern |
/// | `*`, `null`, `file://`, `app://.` | permitted |
/// | `always`, `any`, `none`, `'self'`, `<origin>` | prohibited |
/// | `https://a.example;https://b.example`, `https?://a.example`, `https://(a\|b).example` | prohibited |
/// | `data:`, `blob:https://a.example`, `wss://a.example`, `file://a` | prohibited: no page has such an origin |
/// | `example.com`, `https://example.com/`, `https://Example.com`, `https://example.com:443` | prohibited |
/// | `http://127.1`, `http://[0:0:0:0:0:0:0:1]`, `https://münchen.example` | prohibited: not as browsers send it |
/// | `https://*`, `https://www.*.com`, `https://*.127.0.0.1` | prohibited |
pub fn parse_rule(value: &[u8]) -> Result<Rule<'_>, Problem> {
    read_rule(value).map_err(|reason| match reason {
        Reason::IsExpression(unknown) => {
            let text = std::str::from_utf8(value).unwrap_or_default();
            Problem::new(value, Reason::IsExpression(expression::directive(text).unwrap_or(unknown)))
        }
        reason => Problem::new(value, reason).suggesting(suggest(value)),
    })
}

/// What to write instead of an expression if its meaning is not known.
const EXPRESSIONS: &str = "it in cors_allow_origin_regex";

/// Whether a value is a pattern or `*`.
pub(crate) fn is_pattern(value: &[u8]) -> bool {
    matches!(read_rule(value), Ok(Rule::Any | Rule::Pattern(_)))
}

/// Whether a value is meant as an expression: it has the anchors of one, or begins with the `~` of nginx's own directives. A `$`
/// at its end is not a variable, because names of variables are not empty.
pub fn is_expression(value: &[u8]) -> bool {
    matches!(value, [b'^' | b'~', ..] | [.., b'$'])
}

/// Whether a value is an origin of which nothing is left to be checked. Most are, and lists of a million are read.
pub(crate) fn is_plain(value: &[u8]) -> bool {
    let Some(origin) = parse(value).filter(|origin| matches!(origin.scheme, b"http" | b"https")) else {
        return false;
    };
    let host = origin.host.strip_suffix(b".").unwrap_or(origin.host);
    // Neither an address nor something that looks like one, nor punycode.
    let last = host.iter().rposition(|&b| b == b'.').map_or(host, |dot| &host[dot + 1..]);
    last.first().is_some_and(u8::is_ascii_lowercase) && !host.windows(4).any(|four| four == b"xn--")
}

fn read_rule(value: &[u8]) -> Result<Rule<'_>, Reason> {
    match is_plain(value) {
        true => Ok(Rule::Exact),
        false => examine(value),
    }
}

fn examine(value: &[u8]) -> Result<Rule<'_>, Reason> {
    match value {
        b"" => return Err(Reason::Empty),
        b"*" => return Ok(Rule::Any),
        _ if is_named(value) => return Ok(Rule::Exact),
        _ if is_expression(value) => return Err(Reason::IsExpression(EXPRESSIONS.to_owned())),
        _ if value.contains(&b'$') => return Err(Reason::Variable),
        _ if habits::is_cors_header(value) || value.eq_ignore_ascii_case(b"origin:") => return Err(Reason::HeaderName),
        _ => {}
    }
    if let Some(reason) = habits::reason(value) {
        return Err(reason);
    }
    let text = std::str::from_utf8(value).map_err(|_| Reason::NotAscii)?;
    if let Some(reason) = other_syntax(text) {
        return Err(reason);
    }
    if !text.contains('*') {
        return check_exact(text).map(|()| Rule::Exact);
    }
    let (scheme, authority) = text.split_once("://").ok_or(Reason::NoScheme)?;
    let (before, port) = match authority.strip_suffix(":*") {
        Some(host) => (host, ":*"),
        None => (authority, ""),
    };
    let rest = before.strip_prefix("*.").unwrap_or(before);
    if scheme.contains('*') || rest.contains('*') {
        return Err(Reason::Wildcard);
    }
    check_exact_parts(scheme, rest)?;
    if rest == "." {
        return Err(Reason::Wildcard);
    }
    let (host, port) = match port {
        "" => rest.split_at(host_len(rest)),
        any if host_len(rest) == rest.len() => (rest, any),
        _ => return Err(Reason::Wildcard),
    };
    if rest.len() == before.len() {
        return Ok(Rule::Pattern(Pattern { scheme, host, port }));
    }
    if host.starts_with('[') || ends_in_number(host) {
        return Err(Reason::WildcardAddress);
    }
    if host.len() > MAX_HOST - 2 {
        return Err(Reason::LongHost);
    }
    let dotted = &before[1..1 + 1 + host.len()];
    Ok(Rule::Pattern(Pattern { scheme, host: dotted, port }))
}

/// Notations for both `http` and `https`.
const BOTH_SCHEMES: [&str; 8] = [
    "https?://",
    "http(s)://",
    "http(s)?://",
    "http[s]://",
    "(http|https)://",
    "(https|http)://",
    "http|https://",
    "http/https://",
];
/// The starts of URLs that do not determine an origin.
const OPAQUE: [&str; 4] = ["data:", "about:", "javascript:", "blob:null"];
/// The starts of URLs that contain their origin.
const NESTED: [&str; 2] = ["blob:", "filesystem:"];
/// Misspellings of `https://` and `http://`.
const MISSPELT_HTTPS: [&str; 5] = ["https;//", "https.//", "https//", "https:/", "https:"];
const MISSPELT_HTTP: [&str; 5] = ["http;//", "http.//", "http//", "http:/", "http:"];
const SEPARATORS: [char; 2] = ['|', ';'];

fn without_prefix<'a>(text: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// The reason to refuse a value that is written in the syntax of something else.
fn other_syntax(text: &str) -> Option<Reason> {
    if without_prefix(text, &BOTH_SCHEMES).is_some_and(|rest| read_rule(format!("http://{rest}").as_bytes()).is_ok()) {
        return Some(Reason::TwoSchemes);
    }
    if without_prefix(text, &OPAQUE).is_some() || NESTED.contains(&text) {
        return Some(Reason::OpaqueScheme);
    }
    if without_prefix(text, &NESTED).is_some() {
        return Some(Reason::Blob);
    }
    if matches!(text, "http:" | "https:") {
        return Some(Reason::NoHost);
    }
    if text.starts_with("file:") {
        return Some(Reason::FileScheme);
    }
    // Parts of regular expressions that origins never contain, not even with the usual mistakes.
    let parts = [
        "/.*", r".*\", ".+", "]+", "]*", "?:", r"\.", r"\d+", r"\d*", r"\w+", r"\w*", r"\-", r"\/", "[^", "[a-", "[A-",
        "[0-9",
    ];
    if text.contains(['(', ')', '{', '}']) || parts.iter().any(|part| text.contains(part)) {
        return Some(Reason::IsExpression(EXPRESSIONS.to_owned()));
    }
    let marks = ["regexp:", "regex:", "re:"];
    if without_prefix(text, &marks).is_some_and(|rest| !rest.starts_with("//")) {
        return Some(Reason::IsExpression(EXPRESSIONS.to_owned()));
    }
    let is_misspelt = [MISSPELT_HTTPS, MISSPELT_HTTP].iter().any(|schemes| without_prefix(text, schemes).is_some());
    if is_misspelt && !text.contains("://") {
        return Some(Reason::NoScheme);
    }
    parts_of(text).map(|_| Reason::Separated)
}

/// The parts of a value that consists of several origins, if there is nothing between them, or a separator of other lists.
fn parts_of(text: &str) -> Option<Vec<&str>> {
    let mut starts: Vec<_> = ["http://", "https://"].iter().flat_map(|scheme| text.match_indices(scheme)).collect();
    starts.sort_unstable();
    let is_apart =
        |pair: &[(usize, &str)]| pair[0].0 + pair[0].1.len() < pair[1].0 && !text[..pair[1].0].ends_with('=');
    if starts.len() < 2 || starts[0].0 > 0 || !starts.windows(2).all(is_apart) {
        return habits::separated(text, &SEPARATORS);
    }
    let ends = starts.iter().skip(1).map(|start| start.0).chain([text.len()]);
    Some(
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| text[start.0..end].trim_end_matches(['|', ';', '&', '+', '/']))
            .collect(),
    )
}

fn check_exact(text: &str) -> Result<(), Reason> {
    if !text.is_ascii() {
        return Err(if text.contains("://") { Reason::NotAscii } else { Reason::NoScheme });
    }
    let (scheme, rest) = text.split_once("://").ok_or(Reason::NoScheme)?;
    check_exact_parts(scheme, rest)
}

fn check_exact_parts(scheme: &str, rest: &str) -> Result<(), Reason> {
    if !rest.is_ascii() || !scheme.is_ascii() {
        return Err(Reason::NotAscii);
    }
    if scheme.eq_ignore_ascii_case("file") {
        return Err(Reason::FileScheme);
    }
    if !is_scheme(scheme.to_ascii_lowercase().as_bytes()) {
        return Err(Reason::BadScheme);
    }
    if ["ws", "wss"].iter().any(|other| scheme.eq_ignore_ascii_case(other)) {
        return Err(Reason::WebSocketScheme);
    }
    if let Some(at) = rest.find(['/', '\\', '?', '#']) {
        return Err(match &rest[at..] {
            "/" => Reason::TrailingSlash,
            end if end.starts_with('?') => Reason::Query,
            end if end.starts_with('#') => Reason::Fragment,
            _ => Reason::Path,
        });
    }
    if rest.contains('@') {
        return Err(Reason::UserInfo);
    }
    if scheme.bytes().chain(rest.bytes()).any(|b| b.is_ascii_uppercase()) {
        return Err(Reason::UpperCase);
    }
    if is_single_dot(scheme.as_bytes(), rest.as_bytes()) {
        return Ok(());
    }
    let (host, port) = rest.split_at(host_len(rest));
    check_host(scheme, host)?;
    check_port(scheme, port)
}

fn check_port(scheme: &str, port: &str) -> Result<(), Reason> {
    let digits = match port.strip_prefix(':') {
        None => return Ok(()),
        Some("") => return Err(Reason::NoPort),
        Some(digits) => digits,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reason::BadPort);
    }
    match digits.parse::<u16>() {
        Ok(0) | Err(_) => Err(Reason::PortRange),
        Ok(_) if digits.starts_with('0') => Err(Reason::PortZeros),
        Ok(number) if Some(number) == default_port(scheme.as_bytes()) => Err(Reason::DefaultPort),
        Ok(_) => Ok(()),
    }
}

fn check_host(scheme: &str, host: &str) -> Result<(), Reason> {
    if host.is_empty() {
        return Err(Reason::NoHost);
    }
    if let Some(inside) = host.strip_prefix('[') {
        return match inside.strip_suffix(']').map(|_| Host::parse(host)) {
            Some(Ok(parsed)) if parsed.to_string() == host => Ok(()),
            Some(Ok(_)) => Err(Reason::Ipv6Form),
            _ => Err(Reason::BadIpv6),
        };
    }
    if !host.bytes().all(|b| is(b, LABEL) || b == b'.') {
        return Err(Reason::BadHost);
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    if labels.split('.').any(str::is_empty) {
        return Err(Reason::EmptyLabel);
    }
    if labels.split('.').any(|label| label.len() > MAX_LABEL) {
        return Err(Reason::LongLabel);
    }
    if host.len() > MAX_HOST {
        return Err(Reason::LongHost);
    }
    // Other schemes have opaque hosts, which browsers send unchanged (https://url.spec.whatwg.org/#concept-opaque-host-parser),
    // except that Chromium and WebKit convert the hosts of the schemes they know to lower case.
    if !matches!(scheme, "http" | "https") {
        return Ok(());
    }
    if ends_in_number(host) {
        return match Host::parse(host) {
            Ok(parsed) if parsed.to_string() == host => Ok(()),
            Ok(_) => Err(Reason::Ipv4Form),
            Err(_) => Err(Reason::BadIpv4),
        };
    }
    if labels.split('.').any(|label| label.starts_with("xn--"))
        && Host::parse(host).map(|h| h.to_string()).ok().as_deref() != Some(host)
    {
        return Err(Reason::BadPunycode);
    }
    Ok(())
}

/// The [ends-in-a-number checker](https://url.spec.whatwg.org/#ends-in-a-number-checker) of the URL standard.
fn ends_in_number(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or("");
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a scheme is `http` or `https` with a letter too many or too few, another letter, or two letters in the wrong order.
pub(crate) fn is_misspelt(scheme: &str) -> bool {
    let differs_by_one = |meant: &str| {
        let (a, b) = (scheme.as_bytes(), meant.as_bytes());
        let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[start..], &b[start..]);
        let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        match (&a[..a.len() - end], &b[..b.len() - end]) {
            ([a0, a1], [b0, b1]) => a0 == b1 && a1 == b0,
            (a, b) => a.len() <= 1 && b.len() <= 1,
        }
    };
    !matches!(scheme, "http" | "https") && ["http", "https"].into_iter().any(differs_by_one)
}

/// What to write instead of `value`, if what was meant can be told; always a value that is accepted, or several.
fn suggest(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim().trim_matches(SEPARATORS);
    if text.contains('$') || is_expression(text.as_bytes()) {
        return None;
    }
    if is_named(text.to_ascii_lowercase().as_bytes()) {
        return Some(text.to_ascii_lowercase());
    }
    match read_rule(text.as_bytes()) {
        Ok(_) => return accepted(text.to_owned()).filter(|text| text.as_bytes() != value),
        Err(Reason::TwoSchemes) => {
            let rest = without_prefix(text, &BOTH_SCHEMES)?;
            return habits::corrected(&[&format!("https://{rest}"), &format!("http://{rest}")], correct);
        }
        Err(Reason::Separated) => {
            let parts = parts_of(text)?;
            let with_scheme = parts.iter().filter(|part| part.contains("://")).count();
            // Otherwise they may be alternatives within one host.
            let is_list = with_scheme == parts.len() || with_scheme == 0;
            return if is_list { habits::corrected(&parts, correct) } else { None };
        }
        Err(Reason::Blob) => return correct(without_prefix(text, &NESTED)?),
        Err(Reason::Quotes) => {
            let text = habits::without_quotes(text);
            return correct(&text).or_else(|| correct(text.trim_matches(['[', ']', '(', ')'])));
        }
        Err(
            Reason::IsExpression(_)
            | Reason::OpaqueScheme
            | Reason::Always
            | Reason::EverythingWord
            | Reason::NothingWord
            | Reason::SelfWord
            | Reason::Placeholder
            | Reason::HeaderName
            | Reason::FileScheme
            | Reason::NoHost,
        ) => return None,
        Err(_) => {}
    }
    let lower = text.to_lowercase().replace('\\', "/");
    let (scheme, rest) = split_scheme(&lower);
    let scheme = match scheme {
        "ws" => "http",
        "wss" => "https",
        scheme => scheme,
    };
    let rest = rest.trim_start_matches('/');
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (before, any_port) = match authority.strip_suffix(":*") {
        Some(before) => (before, true),
        None => (authority, false),
    };
    let is_special = matches!(scheme, "http" | "https");
    let host = if before == "." { before } else { before.trim_start_matches(['*', '.']) };
    let base = if is_special {
        let url = Url::parse(&format!("{scheme}://{}/", decoded(host))).ok()?;
        let host = url.host_str()?.to_owned();
        match url.port().filter(|_| !any_port) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    } else {
        host.to_owned()
    };
    // A network, not a host with a path.
    if path.len() > 1
        && path[1..].bytes().all(|b| b.is_ascii_digit())
        && !base.contains(|c: char| c.is_ascii_alphabetic())
    {
        return None;
    }
    let port = if any_port { ":*" } else { "" };
    let exact = format!("{scheme}://{base}{port}");
    let pattern = format!("{scheme}://*.{base}{port}");
    if before.starts_with('*') {
        accepted(pattern)
    } else if is_special && before.starts_with('.') && before[1..].starts_with(|c| c != '.') {
        // As in `server_name` and in cookies: the domain and all its subdomains.
        accepted(exact).map(|exact| accepted(pattern).map_or(exact.clone(), |pattern| format!("{exact} {pattern}")))
    } else {
        accepted(exact)
    }
}

/// `text`, or what to write instead of it.
fn correct(text: &str) -> Option<String> {
    accepted(text.to_owned()).or_else(|| suggest(text.as_bytes()))
}

/// `value` if it is accepted, with credentials as well.
pub(crate) fn accepted(value: String) -> Option<String> {
    match read_rule(value.as_bytes()).ok()? {
        Rule::Any => None,
        Rule::Pattern(pattern) if pattern.host.strip_prefix('.').is_some_and(is_public_suffix) => None,
        _ => Some(value),
    }
}

/// The scheme that is meant, and what follows it.
fn split_scheme(text: &str) -> (&str, &str) {
    let misspelt = |prefixes: &[&str]| {
        without_prefix(text, prefixes).filter(|rest| rest.starts_with(|c: char| !c.is_ascii_digit()))
    };
    if let Some((scheme, rest)) = text.split_once("://") {
        // Twice, because a template adds one.
        return match without_prefix(rest, &["https://", "http://"]) {
            Some(_) => split_scheme(rest),
            None => (scheme, rest),
        };
    }
    if let Some(rest) = misspelt(&MISSPELT_HTTPS) {
        return ("https", rest);
    }
    if let Some(rest) = misspelt(&MISSPELT_HTTP) {
        return ("http", rest);
    }
    let rest = text.trim_start_matches('/');
    if is_secure(&format!("http://{}", rest.split('/').next().unwrap_or(rest))) {
        return ("http", rest);
    }
    ("https", rest)
}

/// `host` with its labels decoded from punycode, whether or not a browser would encode them in this way.
fn decoded(host: &str) -> String {
    let decode = |label: &str| label.strip_prefix("xn--").and_then(idna::punycode::decode_to_string);
    let labels: Vec<_> = host.split('.').map(|label| decode(label).unwrap_or_else(|| label.to_owned())).collect();
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_plain_is_right_by_all_checks(
            origin in r"(https?|app)://([a-z0-9_.-]{1,12}|xn--[a-z0-9]{1,8}|0x[0-9a-f]{1,4}|\[::1\])([.][a-z0-9]{1,4})?[.]?(:[1-9][0-9]{0,4})?",
        ) {
            if is_plain(origin.as_bytes()) {
                prop_assert_eq!(examine(origin.as_bytes()), Ok(Rule::Exact), "{}", origin);
            }
        }
    }

    #[test]
    fn patterns() {
        let rows = [
            ("https://*.example.com", ("https", ".example.com", "")),
            ("https://*.example.com:8443", ("https", ".example.com", ":8443")),
            ("https://*.example.com:*", ("https", ".example.com", ":*")),
            ("http://localhost:*", ("http", "localhost", ":*")),
            ("http://127.0.0.1:*", ("http", "127.0.0.1", ":*")),
            ("http://[::1]:*", ("http", "[::1]", ":*")),
            ("http://*.localhost:*", ("http", ".localhost", ":*")),
        ];
        for (value, (scheme, host, port)) in rows {
            assert_eq!(parse_rule(value.as_bytes()), Ok(Rule::Pattern(Pattern { scheme, host, port })), "{value}");
        }
    }

    #[test]
    fn mistakes_their_reasons_and_what_to_write_instead() {
        let is_expression = |source| Reason::IsExpression(format!("cors_allow_origin_regex {source}"));
        let long_label = format!("https://{}.example", "a".repeat(64));
        let long_host = format!("https://{}com", "abc.".repeat(63));
        let long_domain = format!("https://*.{}aaaa", "a.".repeat(124));
        let rows: [(&str, Reason, Option<&str>); 130] = [
            ("", Reason::Empty, None),
            ("example.com", Reason::NoScheme, Some("https://example.com")),
            ("localhost:3000", Reason::NoScheme, Some("http://localhost:3000")),
            ("127.0.0.1", Reason::NoScheme, Some("http://127.0.0.1")),
            ("//example.com", Reason::NoScheme, Some("https://example.com")),
            ("https:example.com", Reason::NoScheme, Some("https://example.com")),
            ("*.example.com", Reason::NoScheme, Some("https://*.example.com")),
            ("NULL", Reason::NoScheme, Some("null")),
            ("https//example.com", Reason::NoScheme, Some("https://example.com")),
            ("http:/example.com", Reason::NoScheme, Some("http://example.com")),
            ("*.example.com:*", Reason::NoScheme, Some("https://*.example.com:*")),
            ("[::1]:3000", Reason::NoScheme, Some("http://[::1]:3000")),
            ("192.168.1.5:3000", Reason::NoScheme, Some("https://192.168.1.5:3000")),
            ("*.com", Reason::NoScheme, None),
            ("https://*.GitHub.io", Reason::UpperCase, None),
            ("https://*.Example.com", Reason::UpperCase, Some("https://*.example.com")),
            (r"^https://\w+\.example\.com", is_expression(r"^https://\w+\.example\.com$"), None),
            (r"https://\w+\.example\.com$", is_expression(r"^https://\w+\.example\.com$"), None),
            (r"~^https://\w+", is_expression(r"^https://\w+$"), None),
            ("https://*.example.com/", Reason::TrailingSlash, Some("https://*.example.com")),
            ("ht_tp://example.com", Reason::BadScheme, None),
            ("1s://example.com", Reason::BadScheme, None),
            ("file:///home", Reason::FileScheme, None),
            ("file://host", Reason::FileScheme, None),
            ("File://", Reason::FileScheme, Some("file://")),
            ("https://.", Reason::EmptyLabel, None),
            ("app://.:*", Reason::Wildcard, None),
            ("app://*.", Reason::NoHost, None),
            ("https://example.com/", Reason::TrailingSlash, Some("https://example.com")),
            ("https://example.com/app", Reason::Path, Some("https://example.com")),
            ("https://example.com?a=b", Reason::Query, Some("https://example.com")),
            ("https://example.com#a", Reason::Fragment, Some("https://example.com")),
            ("https://me:pw@example.com", Reason::UserInfo, Some("https://example.com")),
            ("https://Example.COM", Reason::UpperCase, Some("https://example.com")),
            ("HTTPS://example.com", Reason::UpperCase, Some("https://example.com")),
            ("https://münchen.example", Reason::NotAscii, Some("https://xn--mnchen-3ya.example")),
            ("https://*.münchen.example", Reason::NotAscii, Some("https://*.xn--mnchen-3ya.example")),
            ("https://xn--a.example", Reason::BadPunycode, None),
            ("https://xn--", Reason::BadPunycode, None),
            ("https://xn--mnchen-psa.example", Reason::BadPunycode, Some("https://xn--mnchen-3ya.example")),
            ("https://*.xn--mnchen-psa.example:*", Reason::BadPunycode, Some("https://*.xn--mnchen-3ya.example:*")),
            ("https://xn--app-.example.com:8443", Reason::BadPunycode, Some("https://app.example.com:8443")),
            ("https://xn--mnchen-3ya.Example", Reason::UpperCase, Some("https://xn--mnchen-3ya.example")),
            ("https://example.com:443", Reason::DefaultPort, Some("https://example.com")),
            ("http://example.com:80", Reason::DefaultPort, Some("http://example.com")),
            ("https://*.example.com:443", Reason::DefaultPort, Some("https://*.example.com")),
            ("https://example.com:", Reason::NoPort, Some("https://example.com")),
            ("https://example.com:0", Reason::PortRange, None),
            ("https://example.com:65536", Reason::PortRange, None),
            ("https://example.com:08443", Reason::PortZeros, Some("https://example.com:8443")),
            ("https://example.com:http", Reason::BadPort, None),
            ("https://", Reason::NoHost, None),
            ("https://:8080", Reason::NoHost, None),
            ("https://a..example", Reason::EmptyLabel, None),
            ("https://.example", Reason::EmptyLabel, Some("https://example https://*.example")),
            (".example.com", Reason::NoScheme, Some("https://example.com https://*.example.com")),
            (".com", Reason::NoScheme, Some("https://com")),
            ("always", Reason::Always, None),
            ("any", Reason::EverythingWord, None),
            ("ALL", Reason::EverythingWord, None),
            (".*", Reason::EverythingWord, None),
            ("none", Reason::NothingWord, None),
            ("self", Reason::SelfWord, None),
            ("'self'", Reason::SelfWord, None),
            ("<origin>", Reason::Placeholder, None),
            ("\"https://a.example\"", Reason::Quotes, Some("https://a.example")),
            ("'https://Example.com/'", Reason::Quotes, Some("https://example.com")),
            ("\"*\"", Reason::Quotes, None),
            ("Access-Control-Allow-Origin:", Reason::HeaderName, None),
            ("https://a.example|https://b.example", Reason::Separated, Some("https://a.example https://b.example")),
            ("a.example;B.example", Reason::Separated, Some("https://a.example https://b.example")),
            ("https://a.example;", Reason::BadHost, Some("https://a.example")),
            ("https://(a|b).example.com", is_expression(r"^https://(a|b)\.example\.com$"), None),
            ("(a|b).example.com", is_expression(r"^https://(a|b)\.example\.com$"), None),
            ("https://[a-z]+.example.com", is_expression(r"^https://[a-z]+\.example\.com$"), None),
            (r"https://app\.example\.com", is_expression(r"^https://app\.example\.com$"), None),
            ("regex:https://a.example", is_expression(r"^https://a\.example$"), None),
            ("https?://a.example", Reason::TwoSchemes, Some("https://a.example http://a.example")),
            ("http(s)://*.a.example:*", Reason::TwoSchemes, Some("https://*.a.example:* http://*.a.example:*")),
            ("http|https://a.example", Reason::TwoSchemes, Some("https://a.example http://a.example")),
            ("data:", Reason::OpaqueScheme, None),
            ("data:*", Reason::OpaqueScheme, None),
            ("about:blank", Reason::OpaqueScheme, None),
            ("blob:", Reason::OpaqueScheme, None),
            ("blob:https://a.example", Reason::Blob, Some("https://a.example")),
            ("blob:https://a.example/0c9ea2c8", Reason::Blob, Some("https://a.example")),
            ("wss://app.example.com", Reason::WebSocketScheme, Some("https://app.example.com")),
            ("ws://*.example.com:8080", Reason::WebSocketScheme, Some("http://*.example.com:8080")),
            ("WSS://app.example.com/", Reason::WebSocketScheme, Some("https://app.example.com")),
            ("file:", Reason::FileScheme, None),
            ("https://https://a.example", Reason::Path, Some("https://a.example")),
            ("https://a.examplehttps://b.example", Reason::Separated, Some("https://a.example https://b.example")),
            ("https://a.example/&http://b.example:80", Reason::Separated, Some("https://a.example http://b.example")),
            ("https://a.example?to=https://b.example", Reason::Query, Some("https://a.example")),
            ("https://a|b.example.com", Reason::Separated, None),
            ("https;//a.example", Reason::NoScheme, Some("https://a.example")),
            ("http.//a.example", Reason::NoScheme, Some("http://a.example")),
            ("origin:", Reason::HeaderName, None),
            ("*;", Reason::NoScheme, None),
            ("app://./", Reason::TrailingSlash, Some("app://.")),
            ("[\"https://a.example\"", Reason::Quotes, Some("https://a.example")),
            ("https://<domain>", Reason::Placeholder, None),
            ("\"always\"", Reason::Always, None),
            ("https:", Reason::NoHost, None),
            ("192.168.0.0/16", Reason::NoScheme, None),
            ("https://example.com/*", Reason::Wildcard, Some("https://example.com")),
            (&long_label, Reason::LongLabel, None),
            (&long_host, Reason::LongHost, None),
            (&long_domain, Reason::LongHost, None),
            ("https://exa%6dple.com", Reason::BadHost, Some("https://example.com")),
            ("http://1", Reason::Ipv4Form, Some("http://0.0.0.1")),
            ("http://127.1", Reason::Ipv4Form, Some("http://127.0.0.1")),
            ("http://0x7f000001:80", Reason::Ipv4Form, Some("http://127.0.0.1")),
            ("http://1.2.3.256", Reason::BadIpv4, None),
            ("http://[0:0:0:0:0:0:0:1]", Reason::Ipv6Form, Some("http://[::1]")),
            ("http://[::ffff:127.0.0.1]", Reason::Ipv6Form, Some("http://[::ffff:7f00:1]")),
            ("http://[::1", Reason::BadIpv6, None),
            ("https://*", Reason::Wildcard, None),
            ("https://www.*.com", Reason::Wildcard, None),
            ("https://*example.com", Reason::Wildcard, Some("https://*.example.com")),
            ("https://*.*.example.com", Reason::Wildcard, Some("https://*.example.com")),
            ("*://example.com", Reason::Wildcard, None),
            ("http://*:8080", Reason::Wildcard, None),
            ("http://*.127.0.0.1", Reason::WildcardAddress, None),
            ("http://*.[::1]", Reason::WildcardAddress, None),
            ("http://*.[::1]:*", Reason::WildcardAddress, None),
            ("http://localhost:8080:*", Reason::Wildcard, Some("http://localhost:*")),
            ("to=https://a.examplehttps://b.example", Reason::BadScheme, None),
            ("https://$host", Reason::Variable, None),
            ("https://a.example/$path", Reason::Variable, None),
        ];
        for (value, reason, suggestion) in rows {
            let problem = parse_rule(value.as_bytes()).expect_err(value);
            assert_eq!((&problem.reason, problem.suggestion.as_deref()), (&reason, suggestion), "{value}");
        }
        assert_eq!(
            parse_rule(b"https://example.com/").unwrap_err().to_string(),
            r#""https://example.com/" has a slash at its end; an origin is scheme://host[:port]: write "https://example.com" [cors-trailing-slash]"#
        );
    }

    #[test]
    fn the_longest_hosts_and_labels() {
        let label = "a".repeat(63);
        let domain = format!("{}aaa", "a.".repeat(124));
        for value in [
            format!("app://{label}.example"),
            format!("app://{}a", "a.".repeat(126)),
            format!("https://*.{domain}"),
            format!("https://*.{label}.example:*"),
        ] {
            assert!(parse_rule(value.as_bytes()).is_ok(), "{value}");
        }
    }

    #[test]
    fn most_origins_take_the_short_way() {
        for value in ["https://example.com", "http://localhost", "https://a.b-1.example.:8443", "https://xn-a.example"]
        {
            assert!(is_plain(value.as_bytes()), "{value}");
        }
        for value in ["app://a.example", "https://[::1]", "http://127.0.0.1", "https://xn--a.example", "https://xn--"] {
            assert!(!is_plain(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn misspelt_schemes() {
        for scheme in ["htps", "htttps", "httpss", "hhttp", "ttps", "htp", "hptts", "htpts", "httpd", "httpx"] {
            assert_eq!(is_misspelt(scheme), scheme != "hptts", "{scheme}");
        }
        for scheme in ["http", "https", "app", "ftp", "capacitor", "httpsionic", "tauri", "ht", "x-http", "htpx"] {
            assert!(!is_misspelt(scheme), "{scheme}");
        }
    }

    proptest! {
        #[test]
        fn a_suggestion_is_always_accepted(
            prefix in "(https?|HTTP|file|app|)(://|:/|:|//|)",
            host in r"(\*\.?|)([a-zA-Z0-9_é%.\[\]:-]{0,12}\.)?[a-zA-Z0-9.-]{0,8}",
            end in r"(:[0-9]{0,6}|:\*|)(/|/a|\?b|#c|)",
        ) {
            let value = format!("{prefix}{host}{end}");
            if let Err(problem) = parse_rule(value.as_bytes()) {
                for word in list::words(problem.suggestion.unwrap_or_default().as_bytes()) {
                    prop_assert!(parse_rule(word).is_ok(), "{:?} for {}", word, value);
                }
            }
        }

        #[test]
        fn every_exact_origin_that_is_accepted_is_well_formed_on_the_wire(
            value in r"(https?|app)://[a-z0-9_.:\[\]-]{1,20}(:[0-9]{1,5})?",
        ) {
            if parse_rule(value.as_bytes()).is_ok() {
                prop_assert!(parse(value.as_bytes()).is_some(), "{}", value);
            }
        }
    }
}
