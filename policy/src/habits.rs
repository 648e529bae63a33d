// SPDX-License-Identifier: Apache-2.0
//! Values that are valid elsewhere but not here: in `add_header`, in the settings of applications and other servers, in
//! Content-Security-Policy, and in templates.

use crate::list::{is_token, token_within};
use crate::{Problem, Reason};

/// Words that mean everything, nothing, or the server's own origin.
const EVERYTHING: [&str; 11] =
    ["all", "any", "anyone", "everyone", "everything", "true", "yes", "on", "allow", "reflect", "wildcard"];
const NOTHING: [&str; 9] = ["none", "nobody", "nothing", "false", "no", "off", "disabled", "deny", "undefined"];
const SELF: [&str; 5] = ["self", "same-origin", "same-site", "same_origin", "sameorigin"];

/// Separators of other lists and of expressions.
const SEPARATORS: [char; 3] = ['|', ';', '&'];

/// The starts and ends of placeholders in templates.
const PLACEHOLDERS: [(&str, &str); 6] = [("<", ">"), ("{{", "}}"), ("{", "}"), ("%", "%"), ("__", "__"), ("@", "@")];

/// Quotation marks, including those of word processors.
const QUOTES: [char; 7] = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];

/// Whether a value is the parameter of `add_header`.
pub(crate) fn is_parameter(value: &[u8]) -> bool {
    value == b"always"
}

/// The reason to refuse a value of a list, if it is one of these habits.
pub(crate) fn reason(value: &[u8]) -> Option<Reason> {
    let text = std::str::from_utf8(value).ok()?;
    let word = unquoted(text);
    let is = |words: &[&str]| words.iter().any(|other| other.eq_ignore_ascii_case(word));
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
    };
    let is_placeholder = PLACEHOLDERS.iter().any(|(before, after)| {
        word.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(is_name)
    });
    match () {
        () if is_parameter(word.as_bytes()) => Some(Reason::Always),
        () if is(&SELF) => Some(Reason::SelfWord),
        () if is(&NOTHING) => Some(Reason::NothingWord),
        () if is(&EVERYTHING) || is_wildcard_of_others(word) => Some(Reason::EverythingWord),
        () if is_placeholder || text.contains("{{") || (text.contains('<') && text.contains('>')) => {
            Some(Reason::Placeholder)
        }
        () if text.contains(QUOTES) => Some(Reason::Quotes),
        () => None,
    }
}

/// Whether a word is a wildcard or an expression for everything, but not `*`.
fn is_wildcard_of_others(word: &str) -> bool {
    word.contains('*') && word != "*" && word.chars().all(|c| matches!(c, '*' | '.' | ':' | '/' | '^' | '$'))
}

/// The text without the quotation marks around it.
fn unquoted(text: &str) -> &str {
    text.trim_matches(QUOTES)
}

/// The text without any quotation marks.
pub(crate) fn without_quotes(text: &str) -> String {
    text.replace(QUOTES, "")
}

/// The parts of a value, if it consists of several with one of `separators` between them.
pub(crate) fn separated<'a>(text: &'a str, separators: &[char]) -> Option<Vec<&'a str>> {
    let parts: Vec<_> = text.split(separators).map(unquoted).filter(|part| !part.is_empty()).collect();
    (parts.len() > 1).then_some(parts)
}

/// The parts, corrected by `correct`, as a list; `None` if one cannot be corrected.
pub(crate) fn corrected(parts: &[&str], correct: impl Fn(&str) -> Option<String>) -> Option<String> {
    let corrected: Option<Vec<_>> = parts.iter().map(|part| correct(part)).collect();
    corrected.map(|parts| parts.join(" "))
}

/// Checks that `value` is a method or a header name: a token that is not one of these habits. `not_valid` is the reason for any
/// other value; `correct` corrects a part of a value.
pub(crate) fn name(value: &[u8], not_valid: Reason, correct: fn(&str) -> Option<String>) -> Result<&str, Problem> {
    let problem = |reason| Err(Problem::new(value, reason));
    let suggesting = |reason, suggestion| Err(Problem::new(value, reason).suggesting(suggestion));
    if value.is_empty() {
        return problem(Reason::Empty);
    }
    if is_request_variable(value) {
        return suggesting(Reason::RequestVariable, Some("*".to_owned()));
    }
    let is_variable =
        |rest: &[u8]| rest.first().is_some_and(|&b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'{'));
    if value.split(|&b| b == b'$').skip(1).any(is_variable) {
        return problem(Reason::Variable);
    }
    let text = std::str::from_utf8(value).unwrap_or_default();
    match reason(value) {
        Some(Reason::Quotes) => return suggesting(Reason::Quotes, correct(&without_quotes(text))),
        Some(reason) => return problem(reason),
        None => {}
    }
    if let Some(mut parts) = separated(text, &SEPARATORS) {
        parts.iter_mut().for_each(|part| *part = part.trim_matches(['^', '$', '(', ')', '[', ']', '~']));
        let suggestion = corrected(&parts, correct).filter(|suggestion| !suggestion.contains('*'));
        return suggesting(Reason::Separated, suggestion);
    }
    // Tokens may contain these characters, but only expressions begin or end with them.
    let is_expression = text.starts_with(['^', '~']) || text.ends_with('$');
    if text.contains(SEPARATORS) || is_expression || !is_token(value) {
        return suggesting(not_valid, token_within(value).and_then(correct));
    }
    if value != b"*" && value.contains(&b'*') {
        return problem(Reason::PartOfName);
    }
    Ok(text)
}

/// Whether a value is the name of a header of the CORS protocol, as in an `add_header` line, with or without a colon.
pub(crate) fn is_cors_header(value: &[u8]) -> bool {
    let prefix = b"access-control-";
    value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether a value is a variable that contains what a preflight asks for.
pub(crate) fn is_request_variable(value: &[u8]) -> bool {
    ["http_access_control_request_method", "http_access_control_request_headers"].iter().any(|name| {
        [format!("${name}"), format!("${{{name}}}")]
            .iter()
            .any(|variable| variable.as_bytes().eq_ignore_ascii_case(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let rows = [
            ("always", Some(Reason::Always)),
            ("any", Some(Reason::EverythingWord)),
            ("ALL", Some(Reason::EverythingWord)),
            ("true", Some(Reason::EverythingWord)),
            (".*", Some(Reason::EverythingWord)),
            ("**", Some(Reason::EverythingWord)),
            ("*.*", Some(Reason::EverythingWord)),
            ("*://*", Some(Reason::EverythingWord)),
            ("\"*\"", Some(Reason::Quotes)),
            ("none", Some(Reason::NothingWord)),
            ("'none'", Some(Reason::NothingWord)),
            ("self", Some(Reason::SelfWord)),
            ("'self'", Some(Reason::SelfWord)),
            ("<origin>", Some(Reason::Placeholder)),
            ("{{ origin }}", Some(Reason::Placeholder)),
            ("https://{{domain}}", Some(Reason::Placeholder)),
            ("__ORIGIN__", Some(Reason::Placeholder)),
            ("%ORIGIN%", Some(Reason::Placeholder)),
            ("'GET'", Some(Reason::Quotes)),
            ("*", None),
            ("Always", None),
            ("anything.example", None),
            ("%", None),
            ("%%", None),
            ("%a/b%", None),
            ("a<b", None),
            ("https://self", None),
        ];
        for (value, expected) in rows {
            assert_eq!(reason(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn variables_of_the_request() {
        for value in ["$http_access_control_request_headers", "${HTTP_Access_control_request_method}"] {
            assert!(is_request_variable(value.as_bytes()), "{value}");
        }
        assert!(!is_request_variable(b"$http_access_control_request") && !is_request_variable(b"$request_method"));
    }
}
