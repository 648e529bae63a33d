// SPDX-License-Identifier: Apache-2.0
//! The value of a list that an origin misses by little: another port, another scheme, a subdomain, or a slash.

use std::fmt;

use crate::flat::Flat;
use crate::origin::{self, Tuple};
use crate::{list, Origins};

/// How many values are compared: as many as take a fraction of a millisecond.
const MOST: usize = 10_000;

/// A value that would allow the origin if the difference were not there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Near<'a> {
    difference: Difference,
    value: &'a str,
}

/// What is different, the least difference first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    Slash,
    Port,
    Scheme,
    SchemeAndPort,
    OnlySubdomains,
    Subdomain,
    Parent,
}

impl<'a> Near<'a> {
    /// The parts of the value, as it is written in a configuration.
    pub fn value(&self) -> [&'a str; 3] {
        match self.value.split_once("://.") {
            Some((scheme, rest)) if !rest.is_empty() => [scheme, "://*.", rest],
            _ => [self.value, "", ""],
        }
    }

    /// The difference in words.
    pub fn difference(&self) -> impl fmt::Display {
        match self.difference {
            Difference::Slash => "a slash at its end",
            Difference::Port => "another port",
            Difference::Scheme => "another scheme",
            Difference::SchemeAndPort => "another scheme and port",
            Difference::OnlySubdomains => "only subdomains of it",
            Difference::Subdomain => "the origin is a subdomain of it",
            Difference::Parent => "a subdomain of the origin",
        }
    }
}

impl Origins {
    /// The nearest of the exact origins and patterns to an origin that none of them allows; of a long list, only a part is compared.
    pub fn nearest<'s>(&'s self, origin: &[u8]) -> Option<Near<'s>> {
        nearest(self.values(), origin)
    }
}

impl<'a> Flat<'a> {
    /// The same for the values of a file.
    pub fn nearest(&self, origin: &[u8]) -> Option<Near<'a>> {
        nearest(self.values(), origin)
    }
}

fn nearest<'v>(values: impl Iterator<Item = &'v [u8]>, origin: &[u8]) -> Option<Near<'v>> {
    let origin = origin::parse(origin)?;
    values.take(MOST).filter_map(|value| near(value, &origin)).min()
}

/// The nearest of the words in the value of a variable.
pub fn nearest_word<'v>(value: &'v [u8], origin: &[u8]) -> Option<Near<'v>> {
    let origin = origin::parse(origin)?;
    list::words(value).take(MOST).filter_map(|word| near(word, &origin)).min()
}

/// Compares an origin with a value: an exact origin, a pattern as [`crate::pattern`] has it, or a word of a variable.
fn near<'v>(value: &'v [u8], origin: &Tuple<'_>) -> Option<Near<'v>> {
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = value.split_once("://")?;
    let (authority, slash) = rest.strip_suffix('/').map_or((rest, false), |rest| (rest, true));
    let (host, port) = authority.split_at(origin::host_len(authority));
    // A dot alone is a host.
    let domain = host.strip_prefix('.').filter(|domain| !domain.is_empty());
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let own = text(origin.host);
    let is_below = |own: &str, host: &str| own.strip_suffix(host).is_some_and(|rest| rest.ends_with('.'));
    let same_host = domain.map_or(own == host, |domain| is_below(own, domain));
    let same_scheme = text(origin.scheme) == scheme;
    let same_port = port == ":*" || text(origin.port) == port;
    let difference = match (same_host, same_scheme, same_port) {
        (true, true, true) if slash => Difference::Slash,
        (true, true, false) => Difference::Port,
        (true, false, true) => Difference::Scheme,
        (true, false, false) => Difference::SchemeAndPort,
        (false, true, true) if domain == Some(own) => Difference::OnlySubdomains,
        (false, true, true) if domain.is_none() && is_below(own, host) => Difference::Subdomain,
        (false, true, true) if domain.is_none() && is_below(host, own) => Difference::Parent,
        _ => return None,
    };
    Some(Near { difference, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OriginsBuilder;

    fn said(near: Option<Near<'_>>) -> String {
        near.map_or_else(String::new, |near| format!("{} ({})", near.value().concat(), near.difference()))
    }

    #[test]
    fn what_is_nearest() {
        let mut builder = OriginsBuilder::default();
        let values = [
            "https://app.example.com",
            "https://www.example.org",
            "https://*.preview.example:8443",
            "http://localhost:*",
            "https://*.tenants.example:*",
            "http://[::1]:3000",
            "null",
            "app://.",
        ];
        for value in values {
            builder.add(value.as_bytes(), ()).unwrap();
        }
        let origins = builder.build().0;
        let rows = [
            ("https://app.example.com:8443", "https://app.example.com (another port)"),
            ("http://app.example.com", "https://app.example.com (another scheme)"),
            ("http://app.example.com:8080", "https://app.example.com (another scheme and port)"),
            ("https://admin.app.example.com", "https://app.example.com (the origin is a subdomain of it)"),
            ("https://example.org", "https://www.example.org (a subdomain of the origin)"),
            ("https://a.preview.example", "https://*.preview.example:8443 (another port)"),
            ("http://a.preview.example:8443", "https://*.preview.example:8443 (another scheme)"),
            ("https://preview.example:8443", "https://*.preview.example:8443 (only subdomains of it)"),
            ("https://tenants.example:1", "https://*.tenants.example:* (only subdomains of it)"),
            ("https://localhost:3000", "http://localhost:* (another scheme)"),
            ("http://[::1]:3001", "http://[::1]:3000 (another port)"),
            ("tauri://.", "app://. (another scheme)"),
            ("https://app.example.com", ""),
            ("https://other.example.", ""),
            ("https://xapp.example.com", ""),
            ("https://other.example", ""),
            ("https://app.example.com/", ""),
            ("null", ""),
            ("", ""),
        ];
        for (origin, nearest) in rows {
            assert_eq!(said(origins.nearest(origin.as_bytes())), nearest, "{origin}");
        }
    }

    #[test]
    fn words_of_variables() {
        let value = b"https://a.example/, https://b.example:81 \xff nonsense";
        for (origin, nearest) in [
            ("https://a.example", "https://a.example/ (a slash at its end)"),
            ("https://b.example", "https://b.example:81 (another port)"),
            ("https://c.example", ""),
        ] {
            assert_eq!(said(nearest_word(value, origin.as_bytes())), nearest);
        }
    }
}
