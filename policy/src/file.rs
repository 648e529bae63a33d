// SPDX-License-Identifier: Apache-2.0
//! Files of origins: one exact origin, pattern or `null` in each line. `#` begins a comment.

use crate::rule::{self, parse_rule, Rule};
use crate::{expression, list, Problem, Reason};

/// A value, or what is wrong with it, and its line, from 1.
pub type Line<'a> = (usize, Result<&'a str, Problem>);

/// The values in a file, and its mistakes, in the order of the lines. Lines may end as on Windows, and the file may begin with a
/// byte order mark. Whether a value appears twice is not looked at.
pub fn lines(contents: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let contents = contents.strip_prefix("\u{feff}".as_bytes()).unwrap_or(contents);
    contents.split(|&b| b == b'\n').enumerate().filter_map(|(at, line)| {
        let end = line.iter().position(|&b| b == b'#').unwrap_or(line.len());
        let value = line[..end].trim_ascii();
        (!value.is_empty()).then(|| (at + 1, check(value)))
    })
}

/// The longest value of a line that is looked at. No origin is that long, and neither is a pattern.
const MAX_VALUE: usize = 1024;

/// The value of a line.
fn check(value: &[u8]) -> Result<&str, Problem> {
    // What is permitted is ASCII.
    if rule::is_plain(value) {
        return Ok(std::str::from_utf8(value).unwrap_or_default());
    }
    if value.contains(&0) {
        return Err(Problem::new(value, Reason::BinaryFile));
    }
    if value.len() > MAX_VALUE {
        return Err(Problem::new(value, Reason::LongLine));
    }
    if value.contains(&b'$') && !rule::is_expression(value) {
        return Err(Problem::new(value, Reason::VariableInFile));
    }
    if list::words(value).count() > 1 {
        return Err(Problem::new(value, Reason::SeveralInLine));
    }
    match parse_rule(value) {
        Ok(Rule::Any) => Err(Problem::new(value, Reason::AnyInFile)),
        Ok(_) => Ok(std::str::from_utf8(value).unwrap_or_default()),
        Err(problem) => match problem.reason {
            Reason::IsExpression(_) => Err(Problem::new(value, Reason::ExpressionInFile)),
            _ if expression_of(value) => Err(Problem::new(value, Reason::ExpressionInFile)),
            _ => Err(problem),
        },
    }
}

/// Whether a value that is not an origin is meant as an expression.
fn expression_of(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    text.contains(['(', '\\', '[']) && !text.contains("://[") && expression::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_comments_and_ends_of_lines() {
        let contents = b"\xef\xbb\xbfhttps://a.example\r\n\r\n# a comment\n  https://*.b.example  # and one more\nnull\nhttp://localhost:*";
        let found: Vec<_> = lines(contents).map(|(line, value)| (line, value.unwrap())).collect();
        assert_eq!(
            found,
            [(1, "https://a.example"), (4, "https://*.b.example"), (5, "null"), (6, "http://localhost:*")]
        );
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"\n\n#").count(), 0);
    }

    #[test]
    fn every_mistake_with_its_line() {
        let rows: [(&[u8], Reason, Option<&str>); 13] = [
            (b"*", Reason::AnyInFile, None),
            (b"$origins", Reason::VariableInFile, None),
            (br"^https://a\.example$", Reason::ExpressionInFile, None),
            (br"https://(a|b)\.example", Reason::ExpressionInFile, None),
            (b"^https://a.example$", Reason::ExpressionInFile, None),
            (b"https://a[12].example", Reason::ExpressionInFile, None),
            (b"https://a[12", Reason::BadHost, None),
            (b"https://a.example https://b.example", Reason::SeveralInLine, None),
            (b"https://a.example,https://b.example", Reason::SeveralInLine, None),
            (b"a.example", Reason::NoScheme, Some("https://a.example")),
            (b"https://a.example/", Reason::TrailingSlash, Some("https://a.example")),
            (b"https://\xff", Reason::NotAscii, None),
            (b"https://[0:0:0:0:0:0:0:1]", Reason::Ipv6Form, Some("https://[::1]")),
        ];
        let contents = rows.clone().map(|(value, ..)| value).join(&b'\n');
        for ((row, (value, reason, suggestion)), found) in rows.iter().enumerate().zip(lines(&contents)) {
            let problem = found.1.unwrap_err();
            let value = String::from_utf8_lossy(value);
            assert_eq!((found.0, &problem.reason), (row + 1, reason), "{value}");
            assert_eq!(problem.suggestion.as_deref(), *suggestion, "{value}");
        }
        assert_eq!(lines(&contents).count(), rows.len());
    }

    #[test]
    fn what_is_not_a_list() {
        let long = "a".repeat(1 << 20);
        for (contents, reason) in [
            (&b"\xff\xfeh\0t\0t\0p\0"[..], Reason::BinaryFile),
            (b"https://a.example\0", Reason::BinaryFile),
            (long.as_bytes(), Reason::LongLine),
            (format!("https://{long}.example").as_bytes(), Reason::LongLine),
        ] {
            let found: Vec<_> = lines(contents).map(|(_, value)| value.unwrap_err()).collect();
            assert_eq!(found.iter().map(|problem| &problem.reason).collect::<Vec<_>>(), [&reason]);
            assert!(found[0].to_string().len() < 600, "{}", found[0]);
        }
        assert_eq!(lines(format!("# {long}").as_bytes()).count(), 0);
        let reason = |len: usize| lines(&long.as_bytes()[..len]).next().unwrap().1.unwrap_err().reason;
        assert_eq!((reason(MAX_VALUE), reason(MAX_VALUE + 1)), (Reason::NoScheme, Reason::LongLine));
    }
}
