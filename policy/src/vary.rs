//! `Vary`: the request fields that a response depends on, for caches (RFC 9110, section 12.5.5;
//! [CORS protocol and HTTP caches](https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches)).

use crate::list::elements;

/// The fields that the response to a request other than a preflight depends on.
pub const SIMPLE: &str = "Origin";
/// The fields that the response to a preflight depends on.
pub const PREFLIGHT: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The field that the response to a preflight also depends on under `cors_allow_private_network`.
pub const PRIVATE_NETWORK: &str = "Access-Control-Request-Private-Network";

/// The names in `wanted`, at most four, that are missing from the `Vary` field lines of a response. None is missing if a line
/// contains `*`.
pub fn missing<'a>(lines: impl Iterator<Item = &'a [u8]>, wanted: &'a str) -> impl Iterator<Item = &'a [u8]> + Clone {
    let mut found = [false; 4];
    for name in lines.flat_map(elements) {
        let any = name == b"*";
        for (found, wanted) in found.iter_mut().zip(elements(wanted.as_bytes())) {
            *found |= any || name.eq_ignore_ascii_case(wanted);
        }
    }
    elements(wanted.as_bytes()).zip(found).filter(|(_, found)| !found).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing() {
        let rows: [(&[&str], &str, &[&str]); 7] = [
            (&[], SIMPLE, &["Origin"]),
            (&["Accept-Encoding"], SIMPLE, &["Origin"]),
            (&["Accept-Encoding, origin"], SIMPLE, &[]),
            (&["Accept", "Cookie,ORIGIN"], SIMPLE, &[]),
            (&["Accept", " * "], SIMPLE, &[]),
            (&["X-Origin"], SIMPLE, &["Origin"]),
            (&["origin"], PREFLIGHT, &["Access-Control-Request-Method", "Access-Control-Request-Headers"]),
        ];
        for (lines, wanted, expected) in rows {
            let missing: Vec<_> = missing(lines.iter().map(|line| line.as_bytes()), wanted).collect();
            assert_eq!(missing, expected.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(), "{lines:?}");
        }
    }
}
