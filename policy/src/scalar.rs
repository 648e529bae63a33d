//! Values of directives that accept a single one: corrections of values that are valid elsewhere.

use crate::{habits, Problem, Reason};

/// The problem with a value that was refused for `reason`.
pub fn problem(value: &[u8], reason: Reason) -> Problem {
    if value.contains(&b'$') {
        return Problem::new(value, Reason::Variable);
    }
    let text = std::str::from_utf8(value).unwrap_or_default();
    let word = habits::without_quotes(text).trim().to_ascii_lowercase();
    let suggestion = match reason {
        Reason::NotFlag => flag(&word).map(str::to_owned),
        Reason::NotTime => time(&word),
        Reason::NotPreflightStatus => ["200", "204"].into_iter().find(|status| word == *status).map(str::to_owned),
        Reason::NotLogLevel if word == "warning" => Some("warn".to_owned()),
        _ => None,
    };
    Problem::new(value, reason).suggesting(suggestion)
}

fn flag(word: &str) -> Option<&'static str> {
    match word {
        "on" | "true" | "yes" | "y" | "1" | "enable" | "enabled" => Some("on"),
        "off" | "false" | "no" | "n" | "0" | "disable" | "disabled" | "none" => Some("off"),
        _ => None,
    }
}

/// A time that is written with the name of its unit, or with -1, by which other servers forbid browsers to keep an answer.
fn time(word: &str) -> Option<String> {
    if word == "-1" {
        return Some("0".to_owned());
    }
    let digits = word.find(|c: char| !c.is_ascii_digit()).filter(|&digits| (1..9).contains(&digits))?;
    let unit = match word[digits..].trim_start() {
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        _ => return None,
    };
    Some(format!("{}{unit}", &word[..digits]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        let rows = [
            ("true", Reason::NotFlag, Some("on")),
            ("Yes", Reason::NotFlag, Some("on")),
            ("1", Reason::NotFlag, Some("on")),
            ("\"on\"", Reason::NotFlag, Some("on")),
            ("false", Reason::NotFlag, Some("off")),
            ("0", Reason::NotFlag, Some("off")),
            ("maybe", Reason::NotFlag, None),
            ("", Reason::NotFlag, None),
            ("-1", Reason::NotTime, Some("0")),
            ("1 hour", Reason::NotTime, Some("1h")),
            ("10min", Reason::NotTime, Some("10m")),
            ("10ms", Reason::NotTime, None),
            ("hour", Reason::NotTime, None),
            ("'204'", Reason::NotPreflightStatus, Some("204")),
            ("201", Reason::NotPreflightStatus, None),
            ("warning", Reason::NotLogLevel, Some("warn")),
            ("444", Reason::NotRejectStatus, None),
        ];
        for (value, reason, suggestion) in rows {
            let problem = problem(value.as_bytes(), reason.clone());
            assert_eq!((problem.reason, problem.suggestion.as_deref()), (reason, suggestion), "{value}");
        }
        assert_eq!(problem(b"$flag", Reason::NotFlag).reason, Reason::Variable);
    }
}
