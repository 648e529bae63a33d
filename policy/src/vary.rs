//! `Vary`: what a response has to name so that caches keep its variants apart (RFC 9110, section 12.5.5; Fetch, section
//! "CORS protocol and HTTP caches").

use crate::list::elements;

/// What the response to a request other than a preflight depends on.
pub const SIMPLE: &str = "Origin";
/// What the answer to a preflight depends on.
pub const PREFLIGHT: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// What the answer to a preflight also depends on under `cors_allow_private_network`.
pub const PRIVATE_NETWORK: &str = "Access-Control-Request-Private-Network";

/// Those names of `wanted`, four at most, that the `Vary` field lines of a response do not contain; none if a line contains `*`.
pub fn missing<'a>(lines: impl Iterator<Item = &'a [u8]>, wanted: &'a str) -> impl Iterator<Item = &'a [u8]> + Clone {
    let mut held = [false; 4];
    for name in lines.flat_map(elements) {
        let any = name == b"*";
        for (held, wanted) in held.iter_mut().zip(elements(wanted.as_bytes())) {
            *held |= any || name.eq_ignore_ascii_case(wanted);
        }
    }
    elements(wanted.as_bytes()).zip(held).filter(|(_, held)| !held).map(|(name, _)| name)
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
