// SPDX-License-Identifier: Apache-2.0
//! The rules, once more, in the plainest way: string operations on the values as they were configured. No sets, no automata,
//! no tables, nothing shared with the engine.

use regex::bytes::Regex;

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// The parts of an origin.
#[derive(Debug, PartialEq, Eq)]
pub struct Tuple {
    /// `https`
    pub scheme: String,
    /// `example.com` or `[::1]`
    pub host: String,
    /// `8443`, or empty
    pub port: String,
}

impl Tuple {
    /// What a `Host` field says for it.
    pub fn authority(&self) -> String {
        if self.port.is_empty() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn consists_of(text: &str, sets: &[&str]) -> bool {
    text.chars().all(|c| sets.iter().any(|set| set.contains(c)))
}

/// An origin on the wire.
pub fn parse(value: &[u8]) -> Option<Tuple> {
    let text = String::from_utf8(value.to_vec()).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    if scheme.is_empty() || scheme.len() > 64 || !consists_of(scheme, &[LETTERS, DIGITS, "+-."]) {
        return None;
    }
    if !consists_of(&scheme[..1], &[LETTERS]) || scheme == "file" {
        return None;
    }
    if rest == "." && scheme != "http" && scheme != "https" {
        return Some(Tuple { scheme: scheme.to_owned(), host: rest.to_owned(), port: String::new() });
    }
    let (host, port) = if let Some(address) = rest.strip_prefix('[') {
        let (inside, after) = address.split_once(']')?;
        if !is_ipv6(inside) {
            return None;
        }
        (format!("[{inside}]"), after.to_owned())
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host.to_owned(), format!(":{port}")),
            None => (rest.to_owned(), String::new()),
        }
    };
    if !host.starts_with('[') && !is_name(&host) {
        return None;
    }
    if port.is_empty() {
        return Some(Tuple { scheme: scheme.to_owned(), host, port });
    }
    let digits = port.strip_prefix(':')?;
    if digits.is_empty() || digits.len() > 5 || digits.starts_with('0') || !consists_of(digits, &[DIGITS]) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    if number > 65535 || (scheme == "http" && number == 80) || (scheme == "https" && number == 443) {
        return None;
    }
    Some(Tuple { scheme: scheme.to_owned(), host, port: digits.to_owned() })
}

fn is_name(host: &str) -> bool {
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    host.len() <= 253
        && labels.iter().all(|label| (1..=63).contains(&label.len()) && consists_of(label, &[LETTERS, DIGITS, "-_"]))
}

/// Eight groups of up to four hexadecimal digits; `::` stands for one or more that are zero.
fn is_ipv6(inside: &str) -> bool {
    if !consists_of(inside, &[DIGITS, "abcdef:"]) {
        return false;
    }
    let groups = |part: &str| -> Option<usize> {
        if part.is_empty() {
            return Some(0);
        }
        let groups: Vec<&str> = part.split(':').collect();
        groups.iter().all(|group| (1..=4).contains(&group.len())).then_some(groups.len())
    };
    match inside.split_once("::") {
        Some((before, after)) => match (groups(before), groups(after)) {
            (Some(a), Some(b)) => a + b <= 7,
            _ => false,
        },
        None => groups(inside) == Some(8),
    }
}

/// `c` may stand in a token.
fn is_tchar(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c)
}

/// Whether `value` is a token.
pub fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|&c| is_tchar(c))
}

/// The elements of a field line.
pub fn elements(line: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = vec![Vec::new()];
    for &c in line {
        if c == b',' {
            elements.push(Vec::new());
        } else {
            elements.last_mut().unwrap().push(c);
        }
    }
    for element in &mut elements {
        while element.first().is_some_and(|c| b" \t".contains(c)) {
            element.remove(0);
        }
        while element.last().is_some_and(|c| b" \t".contains(c)) {
            element.pop();
        }
    }
    elements.retain(|element| !element.is_empty());
    elements
}

/// The words of a directive's argument, or of a variable's value.
pub fn words(value: &[u8]) -> Vec<Vec<u8>> {
    let mut words = vec![Vec::new()];
    for &c in value {
        if b", \t\r\n\x0c".contains(&c) {
            words.push(Vec::new());
        } else {
            words.last_mut().unwrap().push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Which of `wanted` the `Vary` lines of a response do not name.
pub fn missing_from_vary(lines: &[&[u8]], wanted: &[&str]) -> Vec<String> {
    let named: Vec<Vec<u8>> = lines.iter().flat_map(|line| elements(line)).collect();
    if named.contains(&b"*".to_vec()) {
        return Vec::new();
    }
    let lower: Vec<Vec<u8>> = named.iter().map(|name| name.to_ascii_lowercase()).collect();
    let has = |name: &str| lower.contains(&name.to_ascii_lowercase().into_bytes());
    wanted.iter().filter(|name| !has(name)).map(|name| name.to_string()).collect()
}

/// A location's configuration, as it is written.
#[derive(Clone, Default)]
pub struct Configuration {
    /// Values of `cors_allow_origin` without variables.
    pub origins: Vec<String>,
    /// Values of `cors_allow_origin_regex`.
    pub expressions: Vec<String>,
    /// Values of `cors_allow_methods`; `None` where it is not set.
    pub methods: Option<Vec<String>>,
    /// Values of `cors_allow_headers`.
    pub headers: Vec<String>,
    /// `cors_allow_credentials`
    pub credentials: bool,
    /// `cors_enforce`
    pub enforce: bool,
}

/// A request, as it was sent.
#[derive(Debug, Default)]
pub struct Request {
    /// `GET`
    pub method: String,
    /// All `Origin` fields.
    pub origins: Vec<Vec<u8>>,
    /// All `Access-Control-Request-Method` fields.
    pub request_methods: Vec<Vec<u8>>,
    /// All `Access-Control-Request-Headers` fields.
    pub request_headers: Vec<Vec<u8>>,
    /// All `Sec-Fetch-Site` fields.
    pub sites: Vec<Vec<u8>>,
    /// `Host`
    pub host: Option<Vec<u8>>,
    /// What the variables of `cors_allow_origin` evaluate to; empty where there are none.
    pub variable: Vec<u8>,
}

/// What a request gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// `$cors_status`
    pub status: &'static str,
    /// `Access-Control-Allow-Origin`
    pub allow_origin: Option<Vec<u8>>,
    /// What a preflight asks for in vain.
    pub missing: Vec<Vec<u8>>,
}

/// An expression as the reference reads it: the whole origin, whatever anchors it is written with.
pub fn compile(expression: &str) -> Option<Regex> {
    Regex::new(&format!(r"\A(?:{expression})\z")).ok()
}

/// Whether a value of `cors_allow_origin` allows an origin.
fn covers(rule: &str, value: &[u8]) -> bool {
    if !rule.contains('*') {
        return rule.as_bytes() == value;
    }
    let Some(origin) = parse(value) else { return false };
    let Some((scheme, rest)) = rule.split_once("://") else { return false };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (rest, ""),
    };
    let host_fits = match host.strip_prefix('*') {
        Some(end) => origin.host.len() > end.len() && origin.host.ends_with(end),
        None => origin.host == host,
    };
    origin.scheme == scheme && host_fits && (port == "*" || origin.port == port)
}

/// Whether the configured origins allow `value`, the one `Origin` of a request.
pub fn allows(configuration: &Configuration, expressions: &[Regex], value: &[u8]) -> bool {
    configuration.origins.iter().any(|rule| covers(rule, value))
        || (parse(value).is_some() && expressions.iter().any(|expression| expression.is_match(value)))
}

/// What a request gets under a configuration, whose expressions have been compiled.
pub fn decide(configuration: &Configuration, expressions: &[Regex], request: &Request) -> Decision {
    let one = match &request.origins[..] {
        [origin] => Some(origin.clone()),
        _ => None,
    };
    let any = configuration.origins.iter().any(|rule| rule == "*");
    let variable = words(&request.variable);
    let allow_origin = if any {
        Some(b"*".to_vec())
    } else if one.as_ref().is_some_and(|origin| allows(configuration, expressions, origin)) {
        one.clone()
    } else if variable == [b"*"] {
        Some(b"*".to_vec())
    } else {
        let well_formed =
            one.clone().filter(|origin| origin == b"null" || origin == b"file://" || parse(origin).is_some());
        well_formed.filter(|origin| variable.contains(origin))
    };
    let granted = allow_origin.is_some();
    let decided = |status, missing| Decision { status, allow_origin: allow_origin.clone(), missing };

    if let ("OPTIONS", Some(_), [field]) = (&request.method[..], &one, &request.request_methods[..]) {
        if let [method] = &elements(field)[..] {
            if !granted {
                return decided("PREFLIGHT_ORIGIN_DENIED", Vec::new());
            }
            let headers = request.request_headers.iter().flat_map(|line| elements(line));
            let mut missing: Vec<_> = headers.filter(|name| !header_is_listed(configuration, name)).collect();
            if !method_is_listed(configuration, method) {
                missing.insert(0, method.clone());
                return decided("PREFLIGHT_METHOD_DENIED", missing);
            }
            if !missing.is_empty() {
                return decided("PREFLIGHT_HEADER_DENIED", missing);
            }
            return decided("PREFLIGHT", Vec::new());
        }
    }

    // One empty field says as little as none.
    let no_site = request.sites.is_empty() || request.sites == [b""];
    let same_origin = if !no_site {
        request.sites.iter().all(|site| site == b"same-origin" || site == b"none")
    } else {
        match (one.as_ref().and_then(|origin| parse(origin)), &request.host) {
            (Some(origin), Some(host)) => origin.authority().as_bytes() == host,
            _ => false,
        }
    };
    let no_origin = request.origins.is_empty();
    let passes = match &request.method[..] {
        "OPTIONS" => true,
        "GET" | "HEAD" => no_origin,
        _ => no_origin && no_site,
    };
    if configuration.enforce && !passes && !same_origin && !granted {
        return decided("REJECTED", Vec::new());
    }
    let status = match () {
        () if no_origin => "",
        () if granted => "ALLOWED",
        () if same_origin => "SAME_ORIGIN",
        () => "DENIED",
    };
    decided(status, Vec::new())
}

fn method_is_listed(configuration: &Configuration, method: &[u8]) -> bool {
    let safelisted = [&b"GET"[..], b"HEAD", b"POST"].contains(&method);
    let listed = configuration.methods.iter().flatten().any(|name| name != "*" && name.as_bytes() == method);
    let any = configuration.methods.iter().flatten().any(|name| name == "*");
    safelisted || listed || (any && is_token(method))
}

fn header_is_listed(configuration: &Configuration, name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let listed = configuration.headers.iter().any(|header| header.to_ascii_lowercase().into_bytes() == lower);
    let any = configuration.headers.iter().any(|header| header == "*");
    listed || (any && is_token(name) && (configuration.credentials || lower != b"authorization"))
}
