// SPDX-License-Identifier: Apache-2.0
//! Which methods and headers scripts may use without permission, and which they cannot use at all.

use cors_policy::headers::is_forbidden_request;

/// A header of a request or response: its name and its value.
pub type Header = (String, Vec<u8>);

/// The bytes of a value that a script sets: one for each character
/// ([ByteString](https://webidl.spec.whatwg.org/#js-to-ByteString)); `None` if there is no such byte.
pub fn value_of(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

/// [Normalizes](https://fetch.spec.whatwg.org/#concept-method-normalize) a method: of six methods the case does not matter.
pub fn normalized_method(method: &str) -> String {
    let upper = method.to_ascii_uppercase();
    match upper.as_str() {
        "DELETE" | "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" => upper,
        _ => method.to_owned(),
    }
}

/// [Forbidden methods](https://fetch.spec.whatwg.org/#forbidden-method).
pub fn is_forbidden_method(method: &str) -> bool {
    ["CONNECT", "TRACE", "TRACK"].iter().any(|other| other.eq_ignore_ascii_case(method))
}

/// [CORS-safelisted methods](https://fetch.spec.whatwg.org/#cors-safelisted-method).
pub fn is_safelisted_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST")
}

/// Whether a script cannot set this header; the browser leaves it out
/// ([forbidden request-header](https://fetch.spec.whatwg.org/#forbidden-request-header)).
pub fn is_forbidden_header((name, value): &Header) -> bool {
    let name = name.to_ascii_lowercase();
    let overrides = matches!(name.as_str(), "x-http-method" | "x-http-method-override" | "x-method-override");
    let mut methods = value.split(|&b| b == b',').map(|method| String::from_utf8_lossy(method.trim_ascii()));
    is_forbidden_request(&name)
        || matches!(name.as_str(), "access-control-request-headers" | "access-control-request-method")
        || (overrides && methods.any(|method| is_forbidden_method(&method)))
}

/// [Request-body-header names](https://fetch.spec.whatwg.org/#request-body-header-name).
pub fn is_body_header(name: &str) -> bool {
    ["content-encoding", "content-language", "content-location", "content-type"]
        .iter()
        .any(|other| other.eq_ignore_ascii_case(name))
}

/// [CORS non-wildcard request-header names](https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name).
pub fn is_non_wildcard(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}

/// The longest value that is safelisted, and the most bytes of all of them together.
const MAX_VALUE: usize = 128;
const MAX_VALUES: usize = 1024;

/// A [CORS-unsafe request-header byte](https://fetch.spec.whatwg.org/#cors-unsafe-request-header-byte).
fn is_unsafe_byte(b: u8) -> bool {
    let is_listed =
        matches!(b, b'"' | b'(' | b')' | b':' | b'<' | b'>' | b'?' | b'@' | b'[' | b'\\' | b']' | b'{' | b'}' | 0x7f);
    (b < 0x20 && b != b'\t') || is_listed
}

/// Whether a header is a [CORS-safelisted request-header](https://fetch.spec.whatwg.org/#cors-safelisted-request-header).
pub fn is_safelisted_header((name, value): &Header) -> bool {
    if value.len() > MAX_VALUE {
        return false;
    }
    match name.to_ascii_lowercase().as_str() {
        "accept" => !value.iter().copied().any(is_unsafe_byte),
        "accept-language" | "content-language" => value
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'*' | b',' | b'-' | b'.' | b';' | b'=')),
        "content-type" => {
            let types = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
            !value.iter().copied().any(is_unsafe_byte) && essence(value).is_some_and(|e| types.contains(&e.as_str()))
        }
        "range" => is_simple_range(value),
        _ => false,
    }
}

/// The essence of a MIME type ([parse a MIME type](https://mimesniff.spec.whatwg.org/#parse-a-mime-type), steps 1 to 10), or what is
/// none because a part is not a token.
fn essence(value: &[u8]) -> Option<String> {
    let is_whitespace = |b: u8| matches!(b, b'\n' | b'\r' | b'\t' | b' ');
    let text = std::str::from_utf8(value).ok()?.trim_matches(|c| u8::try_from(c).is_ok_and(is_whitespace));
    let (kind, rest) = text.split_once('/')?;
    let subtype = rest.split(';').next()?.trim_end_matches(|c| u8::try_from(c).is_ok_and(is_whitespace));
    Some(format!("{kind}/{subtype}").to_ascii_lowercase())
}

/// Whether it is a range with a start
/// ([parse a single range header value](https://fetch.spec.whatwg.org/#simple-range-header-value), without white space).
fn is_simple_range(value: &[u8]) -> bool {
    let Some((start, end)) = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return false;
    };
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let order = |digits: &str| {
        let digits = digits.trim_start_matches('0').to_owned();
        (digits.len(), digits)
    };
    is_number(start) && (end.is_empty() || (is_number(end) && order(start) <= order(end)))
}

/// The names for which a preflight has to ask, in order
/// ([CORS-unsafe request-header names](https://fetch.spec.whatwg.org/#cors-unsafe-request-header-names)).
pub fn unsafe_names(headers: &[Header]) -> Vec<String> {
    let safelisted: Vec<_> = headers.iter().filter(|header| is_safelisted_header(header)).collect();
    let is_too_much = safelisted.iter().map(|(_, value)| value.len()).sum::<usize>() > MAX_VALUES;
    let mut names: Vec<_> = headers
        .iter()
        .filter(|header| is_too_much || !is_safelisted_header(header))
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// [CORS-safelisted response-header names](https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name).
pub fn is_safelisted_response(name: &str) -> bool {
    ["cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"]
        .iter()
        .any(|other| other.eq_ignore_ascii_case(name))
}

/// [Forbidden response-header names](https://fetch.spec.whatwg.org/#forbidden-response-header-name).
pub fn is_forbidden_response(name: &str) -> bool {
    ["set-cookie", "set-cookie2"].iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// [Bad ports](https://fetch.spec.whatwg.org/#bad-port).
pub const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> Header {
        (name.to_owned(), value.as_bytes().to_vec())
    }

    #[test]
    fn methods() {
        for (method, normalized) in [("get", "GET"), ("patch", "patch"), ("Put", "PUT"), ("x", "x"), ("PATCH", "PATCH")]
        {
            assert_eq!(normalized_method(method), normalized);
        }
        assert!(is_forbidden_method("trace") && !is_forbidden_method("PATCH"));
        assert!(is_safelisted_method("POST") && !is_safelisted_method("post") && !is_safelisted_method("OPTIONS"));
    }

    #[test]
    fn headers_that_scripts_cannot_set() {
        let rows = [
            ("Cookie", "a=b", true),
            ("sec-anything", "1", true),
            ("Proxy-X", "1", true),
            ("X-HTTP-Method-Override", "PUT", false),
            ("X-HTTP-Method-Override", "PUT, trace", true),
            ("X-Method-Override", "CONNECT", true),
            ("User-Agent", "x", false),
            ("X-Own", "TRACE", false),
        ];
        for (name, value, forbidden) in rows {
            assert_eq!(is_forbidden_header(&header(name, value)), forbidden, "{name}: {value}");
        }
    }

    #[test]
    fn safelisted_headers() {
        let long = "a".repeat(128);
        let longer = "a".repeat(129);
        let rows = [
            ("Accept", "application/json;q=0.9, */*", true),
            ("Accept", "a\tb", true),
            ("Accept", "a(b", false),
            ("Accept", "a:b", false),
            ("Accept", "a?b", false),
            ("Accept", "a\x7f", false),
            ("Accept", "a=b", true),
            ("Accept", "a\\b", false),
            ("Accept", &long, true),
            ("Accept", &longer, false),
            ("Accept-Language", "de, en;q=0.5", true),
            ("Accept-Language", "de_DE", false),
            ("Content-Language", "*", true),
            ("Content-Type", "text/plain", true),
            ("Content-Type", " Text/PLAIN ; charset=utf-8", true),
            ("Content-Type", "text/plain;a=\"b\"", false),
            ("Content-Type", "text", false),
            ("Content-Type", "multipart/form-data; boundary=x", true),
            ("Content-Type", "application/json", false),
            ("Range", "bytes=0-", true),
            ("Range", "bytes=0-99", true),
            ("Range", "bytes=99-0", false),
            ("Range", "bytes=10-9", false),
            ("Range", "bytes=-5", false),
            ("Range", "bytes=0-1,3-4", false),
            ("Range", "bytes 0-1", false),
            ("X-Own", "1", false),
            ("DPR", "1", false),
        ];
        for (name, value, safe) in rows {
            assert_eq!(is_safelisted_header(&header(name, value)), safe, "{name}: {value}");
        }
    }

    #[test]
    fn names_to_ask_for() {
        assert_eq!(unsafe_names(&[header("X-B", "1"), header("Accept", "x"), header("x-a", "1")]), ["x-a", "x-b"]);
        let value = "a".repeat(128);
        let mut many: Vec<_> = (0..8).map(|_| header("Accept", &value)).collect();
        assert!(unsafe_names(&many).is_empty());
        many.push(header("Accept-Language", "a"));
        assert_eq!(unsafe_names(&many), ["accept", "accept-language"]);
    }
}
