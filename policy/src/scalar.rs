// SPDX-License-Identifier: Apache-2.0
//! Values of directives that accept a single one: what is accepted, and corrections of values that are valid elsewhere.

use crate::{habits, tally, Problem, Reason};

/// The longest time for which browsers keep the answer to a preflight, in seconds: Firefox a day, Chromium two hours.
pub const LONGEST_MAX_AGE: u64 = 86400;

/// The codes to which nginx gives a special meaning (src/http/ngx_http_request.h).
const SPECIAL_STATUSES: [u16; 7] = [444, 494, 495, 496, 497, 498, 499];

/// The levels of `cors_log_level`.
const LOG_LEVELS: [&[u8]; 4] = [b"info", b"notice", b"warn", b"error"];

fn refuse<T>(value: &[u8], reason: Reason) -> Result<T, Problem> {
    Err(problem(value, reason))
}

/// `on` or `off`, in any case, as nginx reads its own flags.
pub fn read_flag(value: &[u8]) -> Result<bool, Problem> {
    match value.to_ascii_lowercase().as_slice() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => refuse(value, Reason::NotFlag),
    }
}

/// The value of `cors_preflight_status`.
pub fn read_preflight_status(value: &[u8]) -> Result<u16, Problem> {
    match value {
        b"200" => Ok(200),
        b"204" => Ok(204),
        _ => refuse(value, Reason::NotPreflightStatus),
    }
}

/// The value of `cors_reject_status`.
pub fn read_reject_status(value: &[u8]) -> Result<u16, Problem> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let status = text.parse().ok().filter(|_| text.len() == 3);
    let status = status.filter(|status| (400..600).contains(status) && !SPECIAL_STATUSES.contains(status));
    status.map_or_else(|| refuse(value, Reason::NotRejectStatus), Ok)
}

/// The value of `cors_log_level`.
pub fn read_log_level(value: &[u8]) -> Result<&[u8], Problem> {
    match LOG_LEVELS.contains(&value) {
        true => Ok(value),
        false => refuse(value, Reason::NotLogLevel),
    }
}

/// The value of `cors_max_age`, in seconds.
pub fn read_max_age(value: &[u8]) -> Result<u64, Problem> {
    seconds(value).map_or_else(|| refuse(value, Reason::NotTime), Ok)
}

/// A time in seconds, as nginx reads one (`ngx_parse_time` in src/core/ngx_parse.c).
fn seconds(value: &[u8]) -> Option<u64> {
    // The units in the order in which they may be written. The last ones are seconds: with their unit, and without one.
    const UNITS: [(u8, i64); 8] = [
        (b'y', 31_536_000),
        (b'M', 2_592_000),
        (b'w', 604_800),
        (b'd', 86400),
        (b'h', 3600),
        (b'm', 60),
        (b's', 1),
        (b' ', 1),
    ];
    let (mut total, mut number) = (0_i64, 0_i64);
    let (mut has_digit, mut next) = (false, 0);
    let mut rest = value;
    while let [b, after @ ..] = rest {
        rest = after;
        if b.is_ascii_digit() {
            has_digit = true;
            number = number.checked_mul(10)?.checked_add(i64::from(b - b'0'))?;
            continue;
        }
        let at = UNITS.iter().position(|(unit, _)| unit == b)?;
        // Nothing is as short as a millisecond.
        if at.min(6) < next || (*b == b'm' && rest.starts_with(b"s")) {
            return None;
        }
        next = at + 1;
        total = total.checked_add(number.checked_mul(UNITS[at].1)?)?;
        number = 0;
        while let [b' ', after @ ..] = rest {
            rest = after;
        }
    }
    has_digit.then(|| total.checked_add(number)).flatten().and_then(|seconds| u64::try_from(seconds).ok())
}

/// The value of `cors_zone`: its name, and its size in bytes, which is at least `least`.
pub fn read_zone(value: &[u8], least: usize) -> Result<(&[u8], usize), Problem> {
    let colon = value.iter().position(|&b| b == b':').unwrap_or(value.len());
    let (name, rest) = value.split_at(colon);
    let size = rest.strip_prefix(b":").and_then(size);
    match size.filter(|_| !name.is_empty() && !value.contains(&b'$')) {
        None => refuse(value, Reason::NotZone),
        Some(size) if size < least => Err(Problem::new(value, Reason::ZoneTooSmall(format!("{}k", least / 1024)))),
        Some(size) => Ok((name, size)),
    }
}

/// A size in bytes, as nginx reads one (`ngx_parse_size` in src/core/ngx_parse.c).
fn size(value: &[u8]) -> Option<usize> {
    let (digits, scale) = match value {
        [digits @ .., b'k' | b'K'] => (digits, 1 << 10),
        [digits @ .., b'm' | b'M'] => (digits, 1 << 20),
        digits => (digits, 1),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: isize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    number.checked_mul(scale).and_then(|size| usize::try_from(size).ok())
}

/// The value of `cors_zone_label`.
pub fn read_label(value: &[u8]) -> Result<&str, Problem> {
    let label = std::str::from_utf8(value).ok().filter(|text| !text.is_empty() && !text.contains(char::is_control));
    let label = label.filter(|text| text.len() <= tally::MAX_LABEL && !text.contains('$'));
    label.map_or_else(|| refuse(value, Reason::NotLabel), Ok)
}

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
    fn times_and_sizes_as_nginx_reads_them() {
        let rows: [(&str, Option<u64>); 26] = [
            ("0", Some(0)),
            ("600", Some(600)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("1h 30m", Some(5400)),
            ("1h 30", Some(3630)),
            ("1d1s", Some(86401)),
            ("1y1M1w1d1h1m1s", Some(34_822_861)),
            ("7s ", Some(7)),
            ("7 ", Some(7)),
            ("m1", Some(1)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1.5h", None),
            ("10ms", None),
            ("1m1h", None),
            ("1s1s", None),
            ("1s 1", Some(2)),
            ("1 1s", None),
            ("1H", None),
            ("9223372036854775807", Some(9_223_372_036_854_775_807)),
            ("9223372036854775808", None),
            ("9223372036854775807s1", None),
            ("300000000000y", None),
            ("1 hour", None),
        ];
        for (value, expected) in rows {
            assert_eq!(seconds(value.as_bytes()), expected, "{value}");
        }
        for (value, expected) in [
            ("65536", Some(65536)),
            ("64k", Some(65536)),
            ("1M", Some(1 << 20)),
            ("", None),
            ("k", None),
            ("1g", None),
            ("+1", None),
            ("9223372036854775807k", None),
        ] {
            assert_eq!(size(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn what_is_accepted() {
        assert_eq!((read_flag(b"ON"), read_flag(b"off")), (Ok(true), Ok(false)));
        assert_eq!((read_preflight_status(b"200"), read_preflight_status(b"204")), (Ok(200), Ok(204)));
        assert_eq!(read_preflight_status(b"201").unwrap_err().reason, Reason::NotPreflightStatus);
        assert_eq!(read_max_age(b"1h"), Ok(3600));
        assert_eq!(read_max_age(b"1 hour").unwrap_err().reason, Reason::NotTime);
        assert_eq!(read_reject_status(b"403"), Ok(403));
        for status in [&b"399"[..], b"444", b"499", b"600", b"0404", b"+40", b""] {
            assert_eq!(read_reject_status(status).unwrap_err().reason, Reason::NotRejectStatus);
        }
        assert_eq!(read_log_level(b"debug").unwrap_err().reason, Reason::NotLogLevel);
        assert_eq!(read_zone(b"cors:64k", 32768), Ok((&b"cors"[..], 65536)));
        assert_eq!(read_zone(b"cors:32k", 32768), Ok((&b"cors"[..], 32768)));
        for (zone, code) in [("cors", "cors-not-zone"), (":1m", "cors-not-zone"), ("cors:1k", "cors-zone-too-small")] {
            assert_eq!(read_zone(zone.as_bytes(), 32768).unwrap_err().reason.code(), code, "{zone}");
        }
        assert_eq!(read_label("Über".as_bytes()), Ok("Über"));
        for label in [&b""[..], b"\xff", b"a\nb", &[b'a'; 256]] {
            assert_eq!(read_label(label).unwrap_err().reason, Reason::NotLabel);
        }
    }

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
            ("5 seconds", Reason::NotTime, Some("5s")),
            ("2 days", Reason::NotTime, Some("2d")),
            ("10ms", Reason::NotTime, None),
            ("hour", Reason::NotTime, None),
            ("'204'", Reason::NotPreflightStatus, Some("204")),
            ("201", Reason::NotPreflightStatus, None),
            ("warning", Reason::NotLogLevel, Some("warn")),
            ("debug", Reason::NotLogLevel, None),
            ("444", Reason::NotRejectStatus, None),
        ];
        for (value, reason, suggestion) in rows {
            let problem = problem(value.as_bytes(), reason.clone());
            assert_eq!((problem.reason, problem.suggestion.as_deref()), (reason, suggestion), "{value}");
        }
        assert_eq!(problem(b"$flag", Reason::NotFlag).reason, Reason::Variable);
    }
}
