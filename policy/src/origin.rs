// SPDX-License-Identifier: Apache-2.0
//! Origins in the form in which browsers send them (RFC 6454; [origins](https://url.spec.whatwg.org/#origin) in the URL
//! standard), and who can pose as one.

use std::net::{IpAddr, Ipv6Addr};

/// The longest scheme.
pub const MAX_SCHEME: usize = 64;
/// The longest host.
pub const MAX_HOST: usize = 253;
/// The longest label of a host.
pub const MAX_LABEL: usize = 63;
/// The longest origin: scheme, `://`, host, `:`, port.
pub const MAX_ORIGIN: usize = MAX_SCHEME + 3 + MAX_HOST + 6;

/// The parts of a well-formed tuple origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple<'a> {
    /// The scheme, without `:`.
    pub scheme: &'a [u8],
    /// Host and port, as in a `Host` field.
    pub authority: &'a [u8],
    /// The host, an IPv6 address in its brackets.
    pub host: &'a [u8],
    /// The port with its `:`, or empty.
    pub port: &'a [u8],
}

const SCHEME: u8 = 1;
pub(crate) const LABEL: u8 = 2;
const DIGIT: u8 = 4;
const HEX: u8 = 8;

/// Which of the sets above a byte belongs to.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_lowercase() {
            table[i] |= SCHEME | LABEL;
        }
        if b.is_ascii_digit() {
            table[i] |= SCHEME | LABEL | DIGIT | HEX;
        }
        if matches!(b, b'a'..=b'f' | b':') {
            table[i] |= HEX;
        }
        if matches!(b, b'+' | b'-' | b'.') {
            table[i] |= SCHEME;
        }
        if matches!(b, b'-' | b'_') {
            table[i] |= LABEL;
        }
        i += 1;
    }
    table
};

pub(crate) fn is(b: u8, class: u8) -> bool {
    CLASS[b as usize] & class != 0
}

/// Whether it is what pages opened from files send: `null`, or the bare scheme in old Android web views. A configuration has to
/// name these two, because no pattern or expression matches them.
pub fn is_named(value: &[u8]) -> bool {
    matches!(value, b"null" | b"file://")
}

/// Reads an origin as browsers serialise it: `scheme "://" host [":" port]` in lower case, with a valid host and without
/// the default port. Anything else, also what [`is_named`], is `None`. Takes linear time and at most [`MAX_ORIGIN`] bytes.
pub fn parse(value: &[u8]) -> Option<Tuple<'_>> {
    if value.len() > MAX_ORIGIN {
        return None;
    }
    let start = scheme_len(value)?;
    let (scheme, authority) = (&value[..start - 3], &value[start..]);
    if !is_scheme(scheme) {
        return None;
    }
    let end = if authority.first() == Some(&b'[') {
        let end = authority.iter().position(|&b| b == b']')?;
        if !is_ipv6(&authority[1..end]) {
            return None;
        }
        end + 1
    } else {
        match host_end(authority) {
            0 if is_single_dot(scheme, authority) => 1,
            0 => return None,
            end if end > MAX_HOST => return None,
            end => end,
        }
    };
    let (host, port) = authority.split_at(end);
    let tuple = Tuple { scheme, authority, host, port };
    (port.is_empty() || is_port(port, scheme)).then_some(tuple)
}

/// The length of what may be a scheme, with its `://`.
#[inline(always)]
pub(crate) fn scheme_len(value: &[u8]) -> Option<usize> {
    // Nearly all are one of these.
    for usual in ["https://", "http://"] {
        if value.starts_with(usual.as_bytes()) {
            return Some(usual.len());
        }
    }
    let colon = value.iter().take(MAX_SCHEME + 1).position(|&b| b == b':')?;
    value[colon..].starts_with(b"://").then_some(colon + 3)
}

pub(crate) fn is_scheme(scheme: &[u8]) -> bool {
    if matches!(scheme, b"https" | b"http") {
        return true;
    }
    scheme.len() <= MAX_SCHEME
        && scheme.first().is_some_and(u8::is_ascii_lowercase)
        && scheme.iter().all(|&b| is(b, SCHEME))
        && scheme != b"file"
}

/// Whether it is an origin such as Electron's `app://.`. Only `http` and `https` need a host in the form of a domain name or
/// an address; other schemes have opaque hosts (URL, section "Host parsing").
pub(crate) fn is_single_dot(scheme: &[u8], authority: &[u8]) -> bool {
    authority == b"." && default_port(scheme).is_none()
}

fn is_ipv6(inside: &[u8]) -> bool {
    inside.iter().all(|&b| is(b, HEX)) && std::str::from_utf8(inside).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// The length of the labels that `authority` starts with; 0 if they are not valid.
fn host_end(authority: &[u8]) -> usize {
    let mut label = 0;
    for (at, &b) in authority.iter().enumerate() {
        if is(b, LABEL) {
            continue;
        }
        let is_dot = b == b'.' && at > label;
        if at - label > MAX_LABEL || (!is_dot && b != b':') {
            return 0;
        }
        if !is_dot {
            // A host may end in a dot, but not consist of one.
            return at;
        }
        label = at + 1;
    }
    if authority.len() - label > MAX_LABEL {
        return 0;
    }
    authority.len()
}

/// Whether `value` consists of labels, as what comes before the domain of a pattern does.
pub(crate) fn is_labels(value: &[u8]) -> bool {
    let is_one = (1..=MAX_LABEL).contains(&value.len()) && value.iter().all(|&b| is(b, LABEL));
    is_one || (value.last().is_some_and(|&last| is(last, LABEL)) && host_end(value) == value.len())
}

/// Whether `port`, with its colon, is a port that browsers send with `scheme`.
pub(crate) fn is_port(port: &[u8], scheme: &[u8]) -> bool {
    let [b':', first, rest @ ..] = port else {
        return false;
    };
    if *first == b'0' || rest.len() > 4 {
        return false;
    }
    let mut number = 0u32;
    for &b in &port[1..] {
        if !is(b, DIGIT) {
            return false;
        }
        number = number * 10 + u32::from(b - b'0');
    }
    number <= 65535 && Some(number) != default_port(scheme).map(u32::from)
}

/// The port that browsers leave out.
pub(crate) fn default_port(scheme: &[u8]) -> Option<u16> {
    match scheme {
        b"http" => Some(80),
        b"https" => Some(443),
        _ => None,
    }
}

/// The length of the host in `authority`, which may have a port.
pub(crate) fn host_len(authority: &str) -> usize {
    let after = authority.rfind(']').unwrap_or(0);
    authority[after..].find(':').map_or(authority.len(), |colon| after + colon)
}

/// Whether nobody on the network path can pose as the origin, or as an origin that the pattern covers.
pub(crate) fn is_secure(value: &str) -> bool {
    let Some(authority) = value.strip_prefix("http://") else {
        return true;
    };
    let host = &authority[..host_len(authority)];
    let name = host.trim_start_matches("*.").trim_end_matches('.');
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

/// Whether `host`, the part of a pattern after `*.`, is a public suffix by an explicit rule of the list, or every name one label
/// below it is (by a rule such as `*.ck`).
pub(crate) fn is_public_suffix(host: &str) -> bool {
    let is_listed = |host: &str| {
        psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == host.as_bytes())
    };
    let host = host.trim_end_matches('.');
    // Rules do not contain underscores, so only a wildcard covers this name.
    is_listed(host) || is_listed(&format!("_.{host}"))
}

/// The name below a public suffix that `name` is or is below: `example.com` of `a.b.example.com`. A name that is a public suffix
/// itself is returned as it is.
pub fn registrable_domain(name: &str) -> &str {
    psl::domain_str(name).unwrap_or(name)
}

/// Whether anyone can register a name below `host`. In documentation `.example` (RFC 2606) takes the place of a public suffix.
pub(crate) fn is_registrable_under(host: &str) -> bool {
    host == "example" || (!host.is_empty() && is_public_suffix(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{parse_rule, Rule};

    #[test]
    fn registrable_domains() {
        for (name, expected) in [("a.b.example.com", "example.com"), ("a.github.io", "a.github.io"), ("com", "com")] {
            assert_eq!(registrable_domain(name), expected);
        }
    }

    const RIGHT: [&str; 31] = [
        "https://example.com",
        "http://localhost",
        "http://localhost:8080",
        "http://127.0.0.1:9000",
        "http://[::1]",
        "http://[::ffff:7f00:1]:3000",
        "http://[2001:db8::1]",
        "https://example.com.",
        "https://a_b.example",
        "https://-a-.example",
        "https://xn--mnchen-3ya.example",
        "https://example.com:65535",
        "https://example.com:80",
        "http://example.com:443",
        "chrome-extension://abcdefghijklmnop",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        "capacitor://localhost",
        "tauri://localhost",
        "ionic://localhost:8100",
        "a+b.c-d://x",
        "app://.",
        "vscode-webview://1ujg5cf6ivukd2h3tpqpm3s4gjp6qvi7ndbbfc2rdpobqgh2l2ou",
        "safari-web-extension://e8bea491-9b80-45db-8b20-3e586473bd47",
        "luna://com.example.app",
        "https://tauri.localhost",
        "capacitor-electron://-",
        "wails://wails",
        "app://1.2.3.999",
        "https://a",
        "https://0a.b",
        "https://1.example",
    ];

    #[test]
    fn right_origins_are_origins_on_the_wire_and_in_a_configuration() {
        for value in RIGHT {
            assert!(parse(value.as_bytes()).is_some(), "{value}");
            assert_eq!(parse_rule(value.as_bytes()), Ok(Rule::Exact), "{value}");
        }
        let label = "a".repeat(63);
        let longest = format!("{}://{label}.{label}.{label}.{}:65535", "s".repeat(64), "a".repeat(61));
        assert_eq!(longest.len(), MAX_ORIGIN);
        assert!(parse(longest.as_bytes()).is_some());
        assert!(parse(format!("https://a.{label}").as_bytes()).is_some());
    }

    #[test]
    fn the_parts_of_a_tuple() {
        let tuple = parse(b"https://a.example:8443").unwrap();
        assert_eq!(tuple, Tuple { scheme: b"https", authority: b"a.example:8443", host: b"a.example", port: b":8443" });
        let tuple = parse(b"http://[::1]:1").unwrap();
        assert_eq!((tuple.host, tuple.port), (&b"[::1]"[..], &b":1"[..]));
    }

    #[test]
    fn what_is_not_an_origin_on_the_wire() {
        let long_label = format!("https://{}", "a".repeat(64));
        let long_host = format!("https://{}com", "abc.".repeat(63));
        let long_scheme = format!("{}://a", "s".repeat(65));
        let wrong = [
            "",
            "null",
            "*",
            "https",
            "https:",
            "https:/",
            "https://",
            "https://:1",
            "://a",
            "//a",
            "a",
            "1https://a",
            "https://a/",
            "https://a?",
            "https://a#",
            "https://a@b",
            "https://A",
            "HTTPS://a",
            "https://a:",
            "https://a:0",
            "https://a:01",
            "https://a:65536",
            "https://a:999999",
            "https://a:1a",
            "https://a:443",
            "http://a:80",
            "https://a..b",
            "https://.a",
            "https://.",
            "http://.",
            "app://..",
            "app://.:8080",
            "file://",
            "file://a",
            "file://.",
            "file://a.example:8080",
            "https://a..",
            "https://a b",
            "https://a,https://b",
            "https://a https://b",
            " https://a",
            "https://a ",
            "https://a\0",
            "https://[::1",
            "https://[::1]a",
            "https://[::1]:",
            "https://[]",
            "https://[zz]",
            "https://[::A]",
            "https://[::ffff:1.2.3.4]",
            "https://é",
            "https://a%2eb",
            "https://*.a",
            &long_label,
            &long_host,
            &long_scheme,
        ];
        for value in wrong {
            assert_eq!(parse(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn secure_and_public() {
        for value in [
            "https://a.example",
            "http://localhost:3000",
            "http://app.localhost",
            "http://127.0.0.1",
            "http://[::1]:8",
            "http://*.localhost:*",
            "tauri://localhost",
        ] {
            assert!(is_secure(value), "{value}");
        }
        for value in ["http://a.example", "http://192.168.1.1", "http://localhost.example", "http://*.example.com"] {
            assert!(!is_secure(value), "{value}");
        }
        for host in ["com", "co.uk", "github.io", "ck", "kawasaki.jp", "com.", "xn--p1ai", "xn--80adxhks"] {
            assert!(is_public_suffix(host), "{host}");
        }
        for host in ["example.com", "internal", "localhost", "example.co.uk", "www.ck", "corp", "lan", "a.localhost"] {
            assert!(!is_public_suffix(host), "{host}");
        }
    }
}
