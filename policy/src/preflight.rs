// SPDX-License-Identifier: Apache-2.0
//! What a preflight asks for, and whether it is on the lists
//! ([CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch)).

use crate::list::{elements, is_token};
use crate::{Methods, RequestHeaders};

/// Something that a preflight asks for and that is not on the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing<'a> {
    /// The method.
    Method(&'a [u8]),
    /// This header.
    Header(&'a [u8]),
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

/// What is asked for and not on the lists, compared as the browser does in steps 7.5 to 7.7 of a CORS-preflight fetch.
/// `request_headers` is the value of `Access-Control-Request-Headers`.
pub fn missing<'s, 'a: 's>(
    methods: &'s Methods,
    headers: &'s RequestHeaders,
    credentials: bool,
    method: &'a [u8],
    request_headers: &'a [u8],
) -> impl Iterator<Item = Missing<'a>> + 's {
    let method = (!methods.allows(method)).then_some(Missing::Method(method));
    let names = elements(request_headers);
    method.into_iter().chain(names.filter(move |name| !headers.allows(name, credentials)).map(Missing::Header))
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
        let rows: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("x-two,X-ONE", &[]),
            (" x-one ,,\tx-one,, x-two", &[]),
            ("x-one, x-three,x-four", &["x-three", "x-four"]),
            ("x-one x-two", &["x-one x-two"]),
            (", ,", &[]),
        ];
        for (value, names) in rows {
            let expected: Vec<_> = names.iter().map(|name| Missing::Header(name.as_bytes())).collect();
            let found = |method| missing(&methods, &headers, false, method, value.as_bytes());
            assert_eq!(found(b"GET").collect::<Vec<_>>(), expected, "{value:?}");
            assert_eq!(found(b"PUT").next(), Some(Missing::Method(b"PUT")));
            assert_eq!(found(b"PUT").skip(1).collect::<Vec<_>>(), expected, "{value:?}");
        }
        assert_eq!(missing(&methods, &headers, false, b"GET", b"").next(), None);
    }
}
