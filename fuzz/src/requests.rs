// SPDX-License-Identifier: Apache-2.0
//! Inputs of the target `decision`: text, so that a dictionary and a look at the corpus go far. The first two bytes choose
//! the configuration, the rest of the first line is the method; each further line is a field, named by its first letter.

use crate::reference::{Configuration, Request};

/// Values that configurations are made of.
pub const ORIGINS: &[&str] = &[
    "https://app.example.com",
    "https://example.com",
    "http://localhost:8080",
    "http://127.0.0.1:9000",
    "http://[::1]",
    "http://[::ffff:7f00:1]:3000",
    "capacitor://localhost",
    "chrome-extension://abcdefghijklmnop",
    "https://example.com.",
    "https://a_b.example",
    "https://xn--mnchen-3ya.example",
    "null",
    "file://",
    "app://.",
    "https://*.example.org",
    "https://*.app.example.com",
    "http://localhost:*",
    "http://[::1]:*",
    "https://*.b.example:8443",
    "http://*.c.example:*",
    "ionic://*.d.example",
    "https://a.very-long-name-that-takes-more-than-thirty-two-bytes.example.net:8443",
];

/// Values of `cors_allow_origin_regex`.
pub const EXPRESSIONS: &[&str] = &[
    r"^https://pr-\d+\.preview\.example\.dev$",
    r"https://[a-z]{1,8}\.example\.net",
    r"^http://192\.168\.1\.\d+:3000$",
    r"(?i)^HTTPS://Case\.EXAMPLE$",
    r"x|https://either\.example|y",
    r"^https?://.*\.wide\.example(:\d+)?$",
    r"\bhttps://word\b.*",
    r"^[^.]+://[^.]+$",
];

const METHODS: &[&str] = &["GET", "PUT", "DELETE", "PATCH", "PROPFIND", "x-own"];

const HEADERS: &[&str] = &["Authorization", "Content-Type", "X-Requested-With", "x-own", "If-Match"];

/// The configuration of a number: always the same one, and for the numbers from 0 to 255 all kinds of them.
pub fn configuration(number: u8, flags: u8) -> Configuration {
    let chosen = |from: &[&str], seed: u32, one_in: u32| -> Vec<String> {
        let mut state = (u32::from(number) + 1).wrapping_mul(0x9e37_79b9) ^ seed;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        from.iter().filter(|_| next() % one_in == 0).map(|value| value.to_string()).collect()
    };
    let (mut origins, mut expressions) = match number % 8 {
        0 => (chosen(ORIGINS, 1, 2), Vec::new()),
        1 => (Vec::new(), chosen(EXPRESSIONS, 2, 2)),
        _ => (chosen(ORIGINS, 1, 3), chosen(EXPRESSIONS, 2, 4)),
    };
    if number % 32 == 31 {
        (origins, expressions) = (vec!["*".to_owned()], Vec::new());
    }
    let credentials = flags & 1 != 0 && number % 32 != 31;
    let any = || vec!["*".to_owned()];
    let methods = match flags >> 2 & 3 {
        0 => None,
        1 => Some(any()),
        _ => Some(chosen(METHODS, 3, 2)).filter(|list| !list.is_empty()),
    };
    let headers = match flags >> 4 & 3 {
        0 => Vec::new(),
        1 => any(),
        2 => any().into_iter().chain(chosen(HEADERS, 4, 2)).collect(),
        _ => chosen(HEADERS, 4, 2),
    };
    Configuration { origins, expressions, methods, headers, credentials, enforce: flags & 2 != 0 }
}

/// Reads an input: the number and the flags of its configuration, and the request.
pub fn read(input: &[u8]) -> Option<(u8, u8, Request)> {
    let (&[number, flags], rest) = input.split_first_chunk()?;
    let mut lines = rest.split(|&b| b == b'\n');
    let method = match lines.next()? {
        b"" | b"G" => "GET",
        b"O" => "OPTIONS",
        b"H" => "HEAD",
        _ => "POST",
    };
    let mut request = Request { method: method.to_owned(), ..Request::default() };
    for line in lines {
        let Some((&name, value)) = line.split_first() else { continue };
        let value = value.to_vec();
        match name {
            b'O' => request.origins.push(value),
            b'M' => request.request_methods.push(value),
            b'H' => request.request_headers.push(value),
            b'S' => request.sites.push(value),
            b'A' => request.host = Some(value),
            b'V' => request.variable = value,
            _ => {}
        }
    }
    Some((number, flags, request))
}
