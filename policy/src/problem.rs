//! What is wrong, or doubtful, in a configuration: the value, the reason and, where there is one, what to write instead.

use std::fmt;

/// One mistake in one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The value as it was written.
    pub value: String,
    /// What is wrong with it.
    pub reason: Reason,
    /// What to write instead; always something that is accepted.
    pub suggestion: Option<String>,
}

impl Problem {
    /// A mistake in `value`.
    pub fn new(value: &[u8], reason: Reason) -> Self {
        Problem { value: String::from_utf8_lossy(value).into_owned(), reason, suggestion: None }
    }

    pub(crate) fn suggesting(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// Whether the configuration stands all the same.
    pub fn is_warning(&self) -> bool {
        self.reason.is_warning()
    }
}

/// How much of a value is shown, in bytes. nginx cuts a line of its log at 2048, and at the end of the line stands where the
/// mistake is.
const SHOWN: usize = 256;

/// `value` on one line, with characters escaped that a terminal does not show as such; the error is its start, where it is too
/// long.
fn shown(value: &str) -> Result<String, String> {
    let mut shown = String::new();
    for c in value.chars() {
        let escaped = c.escape_debug();
        // What is left of that are characters that can be seen, and must stand in an expression as they do in the file.
        let printable = matches!(c, '"' | '\'' | '\\') || escaped.len() == 1;
        let length = if printable { c.len_utf8() } else { escaped.len() };
        if shown.len() + length > SHOWN {
            return Err(shown);
        }
        if printable {
            shown.push(c);
        } else {
            shown.extend(escaped);
        }
    }
    Ok(shown)
}

/// A value that does not fit is cut, and ends in `...`; a suggestion is of use only as a whole, and left out.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match shown(&self.value) {
            Ok(value) => write!(f, "\"{value}\" {}", self.reason)?,
            Err(start) => write!(f, "\"{start}...\" {}", self.reason)?,
        }
        match self.suggestion.as_deref().map(|suggestion| (shown(suggestion), suggestion)) {
            Some((Ok(shown), suggestion)) if shown == suggestion => write!(f, ": write \"{shown}\""),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $kind:ident $name:ident $( ( $field:ident ) )? => $text:literal, )+) => {
        /// Why a value is refused or doubted.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reason {
            $( $(#[doc = $doc])+ $name $( ( reasons!(@type $field) ) )?, )+
        }

        impl Reason {
            /// Whether it is only a warning.
            pub fn is_warning(&self) -> bool {
                match self {
                    $( reasons!(@pattern $name $($field)?) => stringify!($kind).len() == "warning".len(), )+
                }
            }

            /// Every reason: whether it is a warning, and its text with the field that differs from case to case as `{field}`.
            pub const ALL: &'static [(&'static str, &'static str)] = &[ $( (stringify!($kind), $text) ),+ ];
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( Reason::$name $( ($field) )? => write!(f, $text), )+
                }
            }
        }
    };
    (@type $field:ident) => { String };
    (@pattern $name:ident) => { Reason::$name };
    (@pattern $name:ident $field:ident) => { Reason::$name(_) };
}

reasons! {
    /// Nothing between the quotes.
    error Empty => "is empty",

    /// `example.com`
    error NoScheme => "has no scheme; an origin is scheme://host[:port]",
    /// A scheme outside RFC 3986, section 3.1, or of more than 64 characters.
    error BadScheme => "has a scheme that is none; a scheme is a letter and then letters, digits, \"+\", \"-\" or \".\", 64 at most",
    /// `file://...`
    error FileScheme => "is no origin that a browser sends; pages from files send \"null\"",
    /// `https://example.com/`
    error TrailingSlash => "has a slash at its end; an origin is scheme://host[:port]",
    /// `https://example.com/path`
    error Path => "has a path; an origin is scheme://host[:port]",
    /// `https://example.com?query`
    error Query => "has a query; an origin is scheme://host[:port]",
    /// `https://example.com#fragment`
    error Fragment => "has a fragment; an origin is scheme://host[:port]",
    /// `https://user@example.com`
    error UserInfo => "has user info; an origin is scheme://host[:port]",
    /// `https://Example.com`
    error UpperCase => "has upper-case letters; browsers send origins in lower case and they are compared byte for byte",
    /// `https://münchen.example`
    error NotAscii => "has characters outside ASCII; browsers send such hosts in punycode",
    /// `https://xn--a.example`
    error BadPunycode => "has a label in punycode that no browser sends",
    /// `https://example.com:443`
    error DefaultPort => "has the default port of its scheme; browsers leave it out",
    /// `https://example.com:`
    error NoPort => "has a colon but no port",
    /// `https://example.com:0`
    error PortRange => "has a port outside 1 to 65535",
    /// `https://example.com:08443`
    error PortZeros => "has a port with leading zeros",
    /// `https://example.com:http`
    error BadPort => "has a port that is no number",
    /// `https://`
    error NoHost => "has no host; an origin is scheme://host[:port]",
    /// `https://a..example`
    error EmptyLabel => "has an empty label in its host",
    /// A label of more than 63 characters.
    error LongLabel => "has a label of more than 63 characters in its host",
    /// A host of more than 253 characters.
    error LongHost => "has a host of more than 253 characters",
    /// `https://exa%6dple.com`
    error BadHost => "has characters in its host that no origin has",
    /// `http://127.1`
    error Ipv4Form => "has an IPv4 address in a form that browsers do not send",
    /// `http://1.2.3.256`
    error BadIpv4 => "has a host that ends in a number but is no IPv4 address",
    /// `http://[0:0:0:0:0:0:0:1]`
    error Ipv6Form => "has an IPv6 address in a form that browsers do not send",
    /// `http://[::1`
    error BadIpv6 => "has brackets that hold no IPv6 address",
    /// `https://*`, `https://www.*.com`
    error Wildcard => "has a \"*\" where none may be; it stands alone, for the labels before a domain (https://*.example.com) or for any port (http://localhost:*), and anything else is for cors_allow_origin_regex",
    /// `https://*.127.0.0.1`
    error WildcardAddress => "has a \"*\" before an IP address, which has no subdomains",
    /// `*` in a list
    error AnyNotAlone => "stands next to other values; it is everything and stands alone",
    /// `*` with credentials
    error AnyWithCredentials => "cannot go with \"cors_allow_credentials on\"; browsers refuse it, so list the origins that may send credentials",
    /// `https://*.com` with credentials
    error PublicSuffixWithCredentials => "lets everyone who registers a name there send credentials; \"*\" covers a public suffix",
    /// `https://*.com`
    warning PublicSuffix => "lets everyone who registers a name there in; \"*\" covers a public suffix",
    /// `http://example.com` with credentials
    warning InsecureWithCredentials => "lets whoever is on the network between send credentials; it is http, and neither loopback nor localhost",
    /// The same value twice in a list.
    warning Duplicate => "is in the list already",
    /// Directives without an origin rule.
    warning NoEffect => "has no effect: no origin is allowed here; write cors_allow_origin next to it or above",
    /// `^https://.*\.example\.com$` in `cors_allow_origin`
    error IsExpression => "is an expression; those are for cors_allow_origin_regex",
    /// `cors_allow_origin $cors_origin`
    error OwnVariable => "has a variable that is only known when this directive has been looked at",
    /// A variable where there can be none.
    error Variable => "has a variable; only cors_allow_origin and cors_bypass take variables",

    /// An expression that does not compile.
    error Expression(message) => "does not compile: {message}",
    /// An expression with look-around or back-references.
    error ExpressionLookaround(message) => "does not compile: {message}; expressions are those of Rust's regex crate, which match in linear time and so have neither look-around nor back-references",
    /// An expression whose automaton is too large.
    error ExpressionTooLarge => "is too large: its automaton takes more than 16 MiB; write it with fewer or smaller counted repetitions",
    /// An expression that is not UTF-8.
    error ExpressionNotUtf8 => "is not UTF-8",
    /// `example.com` for `example\.com`
    warning UnescapedDot => "has an unescaped dot between characters of a name, which matches any character",
    /// `.*`
    warning AnyOriginWithCredentials => "accepts origins that anyone can register, together with \"cors_allow_credentials on\"",
    /// `^example\.com$`
    warning NeverMatches => "can never match a whole origin, which is scheme://host[:port] in lower case",

    /// A method that is no token.
    error NotMethod => "is no method; methods are tokens",
    /// `get`
    error MethodCase => "is a standard method in another case; methods are case-sensitive",
    /// CONNECT, TRACE, TRACK
    error ForbiddenMethod => "is a method that browsers never send for scripts",
    /// A header name that is no token, or too long.
    error NotHeader => "is no header name; those are tokens of at most 256 characters",
    /// `*` for exposed headers with credentials
    error ExposeAnyWithCredentials => "cannot go with \"cors_allow_credentials on\"; browsers then take it for a header's name, so list the headers",
    /// `DNT` and the like
    warning ForbiddenRequestHeader => "has no effect: scripts cannot set this header, so no preflight asks for it",
    /// `Set-Cookie`
    warning ForbiddenResponseHeader => "has no effect: no script can read this header",
    /// `Access-Control-*`
    warning CorsHeader => "has no effect: it is a header of the CORS protocol itself",

    /// Not `on` or `off`.
    error NotFlag => "is neither \"on\" nor \"off\"",
    /// Not an nginx time in seconds.
    error NotTime => "is no time; write seconds, or a time such as 10m or 1h",
    /// Not a status that a preflight may be answered with.
    error NotPreflightStatus => "is no status for a preflight; write 200 or 204",
    /// Not a status that a request may be rejected with.
    error NotRejectStatus => "is no status for a refusal; write one from 400 to 599",
    /// Not a level of the log.
    error NotLogLevel => "is no level for denials; write info, notice, warn or error",
    /// A directive that stands twice in one block.
    error DuplicateDirective => "is duplicate; it may stand once in a block",

    /// A max-age above a day.
    warning LongMaxAge => "is longer than browsers keep a preflight's answer; Firefox keeps it for 86400 seconds, Chromium for 7200",
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nginx puts on a line of its log before and after a problem, generously: time, process, directive, file, line.
    const AROUND: usize = 1024;

    #[test]
    fn a_message_is_one_short_line_whatever_the_value_is() {
        for part in ["a", "\u{0}", "\n", "\u{1f600}", "\u{202e}", "\u{e0001}", "\\", "\"", "\u{2028}", "\u{fffd}"] {
            for length in [1, 255, 256, 257, 4000] {
                let value = part.repeat(length);
                for (_, text) in Reason::ALL {
                    let problem = Problem::new(value.as_bytes(), Reason::Expression(text.to_string()))
                        .suggesting(Some(value.clone()));
                    let message = problem.to_string();
                    assert!(message.len() + AROUND <= 2048, "{} bytes: {message}", message.len());
                    assert!(
                        !message.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{202e}'),
                        "{message:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_documentation_has_each_reason_and_no_other() {
        let docs = include_str!("../../docs/errors.md");
        let rows: Vec<Vec<_>> = docs
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim()).collect())
            .collect();
        for (kind, text) in Reason::ALL {
            let found: Vec<_> = rows.iter().filter(|row| row[0] == format!("`{text}`")).collect();
            assert_eq!(found.len(), 1, "docs/errors.md has this {} times: {text}", found.len());
            assert!(found[0].len() == 3 && found[0][1] == *kind, "{:?}: {kind}", found[0]);
            assert!(!found[0][2].is_empty(), "nothing is said of: {text}");
        }
        assert_eq!(rows.len(), Reason::ALL.len(), "docs/errors.md has more than there is");
    }

    #[test]
    fn what_can_be_seen_is_shown_as_it_stands_in_the_file() {
        let problem = |value: &str, suggestion: &str| {
            Problem::new(value.as_bytes(), Reason::UnescapedDot).suggesting(Some(suggestion.to_owned())).to_string()
        };
        let message = problem(r#"^a.b\w"'$"#, r#"^a\.b\w"'$"#);
        assert!(message.starts_with(r#""^a.b\w"'$" has"#) && message.ends_with(r#": write "^a\.b\w"'$""#), "{message}");
        assert!(problem("m\u{fc}nchen", "x").starts_with("\"m\u{fc}nchen\" "));
        assert!(problem("a\tb\u{1b}", "x").starts_with(r#""a\tb\u{1b}" "#));
        // Escaped, it would be another value.
        assert!(!problem("a", "a\tb").contains("write"));
        let long = "a".repeat(SHOWN);
        assert!(problem(&long, &long).contains(&format!("\"{long}\" has")));
        assert!(problem(&format!("{long}b"), "x").contains(&format!("\"{long}...\" has")));
    }
}
