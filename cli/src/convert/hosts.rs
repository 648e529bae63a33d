// SPDX-License-Identifier: Apache-2.0
//! Names of hosts, as the `server_name` of nginx takes them: exact, with `*` for the labels at one end, or an expression.

use std::cmp::Reverse;
use std::net::Ipv6Addr;

use regex::Regex;

/// What stands for any characters, and for one label.
const ANY: &str = ".+";
const LABEL: &str = r"[\w-]+";

/// A name as it is, or `None` if nginx cannot have a server of this name.
pub fn checked(name: &str) -> Option<String> {
    let plain = name.strip_prefix("*.").or(name.strip_suffix(".*")).unwrap_or(name);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_address = address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    (is_plain(plain) || is_address).then(|| name.to_ascii_lowercase())
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// An alias of ingress-nginx, which may be an expression.
pub fn alias(name: &str) -> Option<String> {
    let is_argument = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | '"' | '\'');
    match name.strip_prefix('~') {
        Some(expression) => (!expression.is_empty() && expression.chars().all(is_argument)).then(|| name.to_owned()),
        None => checked(name),
    }
}

/// A host of an Ingress. Its `*` is for one label, where that of nginx is for one or more.
pub fn of_ingress(name: &str) -> Option<String> {
    match name.strip_prefix("*.") {
        Some(domain) => is_plain(domain).then(|| format!(r"~^{LABEL}\.{}$", escaped(domain))),
        None => checked(name),
    }
}

/// A domain of Envoy without its port. Its `*` is for characters at one end. nginx knows that only for whole labels, and prefers
/// names with `*` to expressions: if a file needs an expression, all of its domains with `*` have to be some.
pub fn of_envoy(domain: &str, needs_expressions: bool) -> Option<String> {
    let expression = match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        _ if !needs_expressions => return checked(domain),
        (Some(end), _) => is_plain(end).then(|| format!("~^{ANY}{}$", escaped(end))),
        (_, Some(start)) => is_plain(start).then(|| format!("~^{}{ANY}$", escaped(start))),
        _ => return checked(domain),
    };
    Some(expression?.to_ascii_lowercase())
}

/// Whether a domain of Envoy, without its port, has a `*` for a part of a label.
pub fn needs_expression(domain: &str) -> bool {
    let is_in_label = |rest: &str, dot: fn(&str) -> bool| !rest.is_empty() && !dot(rest);
    domain.strip_prefix('*').is_some_and(|end| is_in_label(end, |end| end.starts_with('.')))
        || domain.strip_suffix('*').is_some_and(|start| is_in_label(start, |start| start.ends_with('.')))
}

fn escaped(name: &str) -> String {
    name.replace('.', r"\.")
}

/// A domain of Envoy, and its port.
pub fn without_port(domain: &str) -> (&str, Option<&str>) {
    match domain.rsplit_once(':') {
        Some((name, port)) if port == "*" || !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (name, Some(port))
        }
        _ => (domain, None),
    }
}

/// Where the name of a server is open.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    No,
    Start,
    End,
    /// In a way that is not known.
    Somewhere,
}

/// Where a name is open, and a host that it is for.
fn read(name: &str) -> (Open, String) {
    let Some(expression) = name.strip_prefix('~') else {
        let open = match (name.starts_with('*'), name.ends_with('*')) {
            (true, _) => Open::Start,
            (_, true) => Open::End,
            _ => Open::No,
        };
        return (open, name.replace('*', "x"));
    };
    let inner = expression.strip_prefix('^').and_then(|expression| expression.strip_suffix('$')).unwrap_or_default();
    let start = inner.strip_prefix(ANY).or(inner.strip_prefix(LABEL));
    let (open, host) = match (start, inner.strip_suffix(ANY)) {
        (Some(end), _) => (Open::Start, format!("x{end}")),
        (_, Some(start)) => (Open::End, format!("{start}x")),
        _ => (Open::Somewhere, String::new()),
    };
    let host = host.replace(r"\.", ".");
    if is_plain(&host) {
        (open, host)
    } else {
        (Open::Somewhere, host)
    }
}

/// Whether nginx may select a server for a host, or for some of the hosts that a name is for, if they have none of their own.
/// `None` is the server for all hosts.
pub fn may_serve(server: Option<&str>, name: &str) -> bool {
    let Some(server) = server else { return true };
    let ((open, _), (open_name, host)) = (read(server), read(name));
    match (open, open_name) {
        (Open::No, _) => false,
        (_, Open::Somewhere) | (Open::Start, Open::End) | (Open::End, Open::Start) => true,
        (Open::Somewhere, Open::Start | Open::End) => true,
        _ => match server.strip_prefix('~') {
            Some(expression) => Regex::new(&format!("(?i){expression}")).map_or(true, |regex| regex.is_match(&host)),
            None => host.ends_with(server.trim_start_matches('*')) || host.starts_with(server.trim_end_matches('*')),
        },
    }
}

/// Where a name comes among those of Envoy: it prefers the longest end of a name, and then the longest start. nginx takes the first
/// of the expressions.
pub fn rank(name: Option<&str>) -> (u8, Reverse<usize>) {
    match name {
        Some(name) if name.starts_with('~') => (if read(name).0 == Open::Start { 1 } else { 2 }, Reverse(name.len())),
        _ => (0, Reverse(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for (domain, plain, expression) in [
            ("A.test", Some("a.test"), Some("a.test")),
            ("*.a.test", Some("*.a.test"), Some(r"~^.+\.a\.test$")),
            ("a.*", Some("a.*"), Some(r"~^a\..+$")),
            ("*-x.test", None, Some(r"~^.+-x\.test$")),
            ("a-*", None, Some("~^a-.+$")),
            ("a*b", None, None),
            ("*a*", None, None),
            ("[::1]", Some("[::1]"), Some("[::1]")),
            ("[::g]", None, None),
            ("a b", None, None),
            ("a;b", None, None),
            ("a\nb", None, None),
            ("é.test", None, None),
        ] {
            assert_eq!(of_envoy(domain, false).as_deref(), plain, "{domain}");
            assert_eq!(of_envoy(domain, true).as_deref(), expression, "{domain}");
            assert_eq!(needs_expression(domain), ["*-x.test", "a-*", "*a*"].contains(&domain), "{domain}");
        }
        for (domain, expected) in [
            ("a.test:8080", ("a.test", Some("8080"))),
            ("a.test:*", ("a.test", Some("*"))),
            ("*:80", ("*", Some("80"))),
            ("[::1]:80", ("[::1]", Some("80"))),
            ("[::1]", ("[::1]", None)),
            ("a.test", ("a.test", None)),
        ] {
            assert_eq!(without_port(domain), expected, "{domain}");
        }
        assert_eq!(of_ingress("*.a.test").as_deref(), Some(r"~^[\w-]+\.a\.test$"));
        assert_eq!(alias(r"~^a\d$").as_deref(), Some(r"~^a\d$"));
        assert_eq!(alias("~a b"), None);
    }

    #[test]
    fn servers_of_other_hosts() {
        for (server, name, expected) in [
            ("a.test", "a.test", false),
            ("*.test", "a.test", true),
            ("*.test", "*.a.test", true),
            ("*.a.test", "*.test", false),
            ("*.a.test", "b.test", false),
            ("a.*", "a.test", true),
            ("a.*", "ab.test", false),
            ("a.*", "*.test", true),
            (r"~^.+-x\.test$", "a-x.test", true),
            (r"~^a-.+$", "a-b.test", true),
            (r"~^a-.+$", "b-a-c.test", false),
            (r"~^a-.+$", r"~^b-.+$", false),
            (r"~^.+-x\.test$", "a.test", false),
            (r"~^.+\.test$", r"~^.+-x\.test$", true),
            (r"~^.+-x\.test$", r"~^.+\.test$", false),
            (r"~^.+\.test$", r"~^.+-x\.a\.test$", true),
            (r"~^.+-x\.test$", "~^a.+$", true),
            (r"~^[\w-]+\.a\.test$", r"~^[\w-]+\.b\.test$", false),
            (r"~^[\w-]+\.a\.test$", "b.a.test", true),
            (r"~^[\w-]+\.a\.test$", "c.b.a.test", false),
            (r"~^(a|b)\.test$", "a.test", true),
            (r"~^(a|b)\.test$", "*.test", true),
            ("*.test", r"~^(a|b)\.test$", true),
        ] {
            assert_eq!(may_serve(Some(server), name), expected, "{server} {name}");
        }
        assert!(may_serve(None, "a.test"));
    }
}
