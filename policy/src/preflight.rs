//! What a preflight asks for, and whether it is on the lists
//! ([CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch)).

use crate::list::{elements, is_token};
use crate::{Methods, RequestHeaders};

/// Whether the lists contain everything that a preflight asks for. If both the method and a header are missing, the method is
/// reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Everything is on the lists.
    Covered,
    /// The method is not on the list.
    MethodMissing(&'a [u8]),
    /// This header is the first that is not on the list.
    HeaderMissing(&'a [u8]),
}

/// The method in an `Access-Control-Request-Method` field. `None` if it contains no method or several, because the request is
/// not a preflight then.
#[inline]
pub fn requested_method(field: &[u8]) -> Option<&[u8]> {
    if is_token(field) {
        return Some(field);
    }
    let mut methods = elements(field);
    methods.next().filter(|_| methods.next().is_none())
}

/// Compares the request with the lists, as the browser does in step 7 of a CORS-preflight fetch. `lines` are the
/// `Access-Control-Request-Headers` field lines.
pub fn check<'a>(
    methods: &Methods,
    headers: &RequestHeaders,
    credentials: bool,
    method: &'a [u8],
    lines: impl Iterator<Item = &'a [u8]>,
) -> Answer<'a> {
    // Step 7.5.
    if !methods.allows(method) {
        return Answer::MethodMissing(method);
    }
    // Steps 7.6 and 7.7.
    lines
        .flat_map(elements)
        .find(|name| !headers.allows(name, credentials))
        .map_or(Answer::Covered, Answer::HeaderMissing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_methods() {
        let rows = [
            ("PUT", Some("PUT")),
            (" PUT\t", Some("PUT")),
            ("", None),
            ("PUT, GET", None),
            ("PUT,", Some("PUT")),
            ("a b", Some("a b")),
        ];
        for (field, method) in rows {
            assert_eq!(requested_method(field.as_bytes()), method.map(str::as_bytes), "{field:?}");
        }
    }

    #[test]
    fn headers_in_any_order_case_and_number() {
        let methods = Methods::safelisted();
        let mut headers = RequestHeaders::default();
        headers.add(b"X-One").unwrap();
        headers.add(b"x-two").unwrap();
        let rows: [(&[&[u8]], Answer); 6] = [
            (&[], Answer::Covered),
            (&[b"x-two,X-ONE"], Answer::Covered),
            (&[b" x-one ,,\tx-one,", b"x-two"], Answer::Covered),
            (&[b"x-one", b"x-three,x-four"], Answer::HeaderMissing(b"x-three")),
            (&[b"x-one x-two"], Answer::HeaderMissing(b"x-one x-two")),
            (&[b", ,"], Answer::Covered),
        ];
        for (lines, answer) in rows {
            assert_eq!(check(&methods, &headers, false, b"GET", lines.iter().copied()), answer, "{lines:?}");
        }
        assert_eq!(
            check(&methods, &headers, false, b"PUT", [&b"x-three"[..]].into_iter()),
            Answer::MethodMissing(b"PUT")
        );
    }
}
