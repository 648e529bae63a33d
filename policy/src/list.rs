// SPDX-License-Identifier: Apache-2.0
//! Lists in directives and in header fields (RFC 9110, section 5.6.1), and the tokens in them.

use crate::{Problem, Reason};

/// Whether a token may contain `b` (RFC 9110, section 5.6.2).
const fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = is_tchar(b as u8);
        b += 1;
    }
    table
};

/// Whether `value` is a token (RFC 9110, section 5.6.2): what methods and header names are.
#[inline]
pub fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|&b| TCHAR[b as usize])
}

/// Whether a field line is a list of one token or more.
#[inline]
pub fn are_tokens(line: &[u8]) -> bool {
    let mut elements = elements(line);
    elements.next().is_some_and(is_token) && elements.all(is_token)
}

/// The token in a value that was meant as one, without the brackets, the colon and the like around it. `None` if there is no
/// token except `*`, or if the value is a token.
pub(crate) fn token_within(value: &[u8]) -> Option<&str> {
    let is_tchar = |b: &u8| TCHAR[*b as usize] && !matches!(b, b'\'' | b'$' | b'*');
    let start = value.iter().position(is_tchar)?;
    let end = value.iter().rposition(is_tchar)? + 1;
    let within = &value[start..end];
    std::str::from_utf8(within).ok().filter(|_| within.len() < value.len() && within.iter().all(is_tchar))
}

/// The elements of a directive's argument, which may be separated by spaces, commas or both.
pub fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while let [first, after @ ..] = rest {
            if IS_SEPARATOR[*first as usize] {
                rest = after;
                continue;
            }
            let end = rest.iter().position(|&b| IS_SEPARATOR[b as usize]).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            return Some(word);
        }
        None
    })
}

/// Whether `word`, which contains no separator, is one of the [`words`] of `value`.
pub fn contains(value: &[u8], word: &[u8]) -> bool {
    let mut rest = value;
    while let [first, after @ ..] = rest {
        if IS_SEPARATOR[*first as usize] {
            rest = after;
            continue;
        }
        match rest.strip_prefix(word) {
            Some([]) => return true,
            Some([next, ..]) if IS_SEPARATOR[*next as usize] => return true,
            _ => {}
        }
        let end = rest.iter().position(|&b| IS_SEPARATOR[b as usize]).unwrap_or(rest.len());
        rest = &rest[end..];
    }
    false
}

/// Whether the only one of the [`words`] of `value` is `*`.
pub fn is_star(value: &[u8]) -> bool {
    let is_separator = |&b: &u8| IS_SEPARATOR[b as usize];
    let start = value.iter().position(|b| !is_separator(b));
    start.and_then(|start| value[start..].strip_prefix(b"*")).is_some_and(|rest| rest.iter().all(is_separator))
}

/// What separates the elements of an argument.
const IS_SEPARATOR: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = b == b',' as usize || (b as u8).is_ascii_whitespace();
        b += 1;
    }
    table
};

/// Whether the arguments of a list directive contain no element at all.
pub fn is_empty<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> bool {
    arguments.into_iter().all(|argument| words(argument).next().is_none())
}

/// Checks that an argument of a list directive contains an element, or commas that separate elements in the other arguments.
pub fn check_argument<'a>(argument: &[u8], all: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Problem> {
    if is_empty([argument]) && (!argument.contains(&b',') || is_empty(all)) {
        return Err(Problem::new(argument, Reason::Empty));
    }
    Ok(())
}

/// The elements of one field line, without optional white space around them; empty elements do not count.
#[inline]
pub fn elements(line: &[u8]) -> Elements<'_> {
    Elements(line)
}

/// See [`elements`].
#[derive(Clone)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let end = self.0.iter().position(|&b| b == b',').unwrap_or(self.0.len());
            let element = trim(&self.0[..end]);
            self.0 = self.0.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// `value` without the optional white space (spaces and tabs) around it.
#[inline]
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect<'a>(items: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
        items.map(|item| std::str::from_utf8(item).unwrap()).collect()
    }

    #[test]
    fn words_take_spaces_commas_or_both() {
        for value in ["GET POST", "GET,POST", "GET, POST", " GET ,, POST , ", "\tGET\tPOST"] {
            assert_eq!(collect(words(value.as_bytes())), ["GET", "POST"], "{value:?}");
        }
        assert!(collect(words(b" , ")).is_empty());
    }

    proptest! {
        #[test]
        fn words_that_are_contained(value in "[ab*, \t]{0,12}", word in "[ab*]{0,3}") {
            let (value, word) = (value.as_bytes(), word.as_bytes());
            prop_assert_eq!(contains(value, word), !word.is_empty() && words(value).any(|other| other == word));
            prop_assert_eq!(is_star(value), words(value).eq([b"*"]));
        }
    }

    #[test]
    fn arguments_of_lists() {
        let rows: [(&[&str], &[&str]); 7] = [
            (&["PUT", ",", "DELETE"], &[]),
            (&["PUT", " , "], &[]),
            (&["PUT, DELETE"], &[]),
            (&["PUT", ""], &[""]),
            (&["PUT", " "], &[" "]),
            (&[""], &[""]),
            (&[","], &[","]),
        ];
        for (arguments, wrong) in rows {
            let all = || arguments.iter().map(|argument| argument.as_bytes());
            let refused: Vec<_> = all().filter_map(|argument| check_argument(argument, all()).err()).collect();
            assert!(refused.iter().all(|problem| problem.reason == Reason::Empty));
            assert_eq!(refused.iter().map(|problem| &*problem.value).collect::<Vec<_>>(), wrong, "{arguments:?}");
        }
    }

    #[test]
    fn elements_follow_rfc_9110() {
        assert_eq!(collect(elements(b"a,b , c,,\t d ,")), ["a", "b", "c", "d"]);
        assert_eq!(collect(elements(b"a b")), ["a b"]);
        assert!(collect(elements(b" , ,\t")).is_empty());
    }

    #[test]
    fn lists_of_tokens() {
        let rows = [
            ("a", true),
            ("a, b,,", true),
            ("", false),
            (" , ", false),
            ("a, b c", false),
            ("a b, c", false),
            ("a:b", false),
        ];
        for (line, expected) in rows {
            assert_eq!(are_tokens(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn tokens_within() {
        let rows = [
            ("X-Own:", Some("X-Own")),
            ("\"GET\"", Some("GET")),
            ("(a)", Some("a")),
            ("X:Own", None),
            ("X-Own", None),
            ("\"*\"", None),
            ("$x:", Some("x")),
            ("a$x:", None),
            ("", None),
            ("\u{e9}", None),
        ];
        for (value, within) in rows {
            assert_eq!(token_within(value.as_bytes()), within, "{value}");
        }
    }

    #[test]
    fn tokens() {
        for token in ["GET", "x-y", "a", "!#$%&'*+-.^_`|~09"] {
            assert!(is_token(token.as_bytes()), "{token}");
        }
        for other in ["", " ", "a b", "a,b", "a:b", "é", "\u{7f}", "a\0", "(a)"] {
            assert!(!is_token(other.as_bytes()), "{other:?}");
        }
    }
}
