// SPDX-License-Identifier: Apache-2.0
//! Mistakes and doubtful values in a configuration: the value, the reason and, if it can be told, what to write instead.

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

    /// Whether the configuration is accepted anyway.
    pub fn is_warning(&self) -> bool {
        self.reason.is_warning()
    }
}

/// How much of a value is shown, in bytes. nginx cuts a line of its log at 2048, and the line ends with the place of the
/// mistake.
const SHOWN: usize = 256;

/// `value` on one line, with characters escaped that a terminal does not show as such. If it is too long, the error is its
/// start.
fn shown(value: &str) -> Result<String, String> {
    let mut shown = String::new();
    for c in value.chars() {
        let escaped = c.escape_debug();
        // The rest are visible characters, which are shown as in the file, because an expression may contain them.
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

/// A value that is too long is cut, and ends in `...`. A suggestion that is too long is left out, because a part of one is of no
/// use.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match shown(&self.value) {
            Ok(value) => write!(f, "\"{value}\" {}", self.reason)?,
            Err(start) => write!(f, "\"{start}...\" {}", self.reason)?,
        }
        match self.suggestion.as_deref().map(|suggestion| (shown(suggestion), suggestion)) {
            Some((Ok(shown), suggestion)) if shown == suggestion => write!(f, ": write \"{shown}\"")?,
            _ => {}
        }
        write!(f, " [{}]", self.reason.code())
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

            /// The code that ends each message and indexes docs/errors.md.
            pub fn code(&self) -> String {
                match self {
                    $( reasons!(@pattern $name $($field)?) => code(stringify!($name)), )+
                }
            }

            /// Every reason: its name, whether it is a warning, and its text, in which `{field}` is what differs from case to case.
            pub const ALL: &'static [(&'static str, &'static str, &'static str)] =
                &[ $( (stringify!($name), stringify!($kind), $text) ),+ ];
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

/// `cors-no-scheme` for `NoScheme`.
fn code(name: &str) -> String {
    let mut code = "cors".to_owned();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            code.push('-');
        }
        code.push(c.to_ascii_lowercase());
    }
    code
}

reasons! {
    /// Nothing between the quotes.
    error Empty => "is empty; write a value, or remove the directive",
    /// `cors_allow_origin ''`
    warning EmptyOrigins => "is an empty list, so no origin is allowed; list the origins, or write \"cors off\"",
    /// `always`, as at the end of `add_header`
    error Always => "is a parameter of add_header; leave it out, because responses of every status get the headers",
    /// `all`, `any`, `.*`
    error EverythingWord => "has no special meaning here; to allow everything, write \"*\"",
    /// `none`
    error NothingWord => "has no special meaning here; to allow nothing, write \"cors off\" or remove the directive",
    /// `'self'`
    error SelfWord => "has no special meaning here; leave it out, because browsers do not ask for requests to the page's own origin",
    /// `<origin>`, `{{ origin }}`
    error Placeholder => "is a placeholder that nothing was filled in for; write the value itself",
    /// `'"GET"'`
    error Quotes => "contains quotation marks; nginx removes only those around an argument, so leave the inner ones out",
    /// `GET|POST`, `https://a.example;https://b.example`
    error Separated => "contains several values; separate them with spaces or commas",
    /// `cors_allow_origin Access-Control-Allow-Origin *`
    error HeaderName => "is the name of a header, which the module adds itself; write only what is allowed",

    /// `example.com`
    error NoScheme => "has no scheme; an origin is scheme://host[:port]",
    /// A scheme outside RFC 3986, section 3.1, or of more than 64 characters.
    error BadScheme => "has an invalid scheme; a scheme is a letter followed by at most 63 letters, digits, \"+\", \"-\" or \".\"",
    /// `htps://example.com`
    warning MisspeltScheme => "has a scheme that looks like http or https misspelt, so browsers probably never send it",
    /// `https?://example.com`
    error TwoSchemes => "has two schemes; http and https are different origins, so write each of them",
    /// `file://host`
    error FileScheme => "is an origin that browsers never send; pages opened from files send \"null\", or \"file://\" in old web views",
    /// `data:`, `about:blank`
    error OpaqueScheme => "is not an origin; pages with such URLs send \"null\", or the origin of the page that opened them",
    /// `blob:https://example.com`
    error Blob => "is the URL of a blob; browsers send the origin that it contains",
    /// `wss://example.com`
    error WebSocketScheme => "has the scheme of a WebSocket; browsers send the origin of the page that opens it, which is http or https",
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
    error UpperCase => "has upper-case letters; browsers send origins in lower case, and they are compared byte for byte",
    /// `https://münchen.example`
    error NotAscii => "has characters outside ASCII; browsers send such hosts in punycode",
    /// `https://xn--a.example`
    error BadPunycode => "has a label in punycode that browsers never send",
    /// `https://example.com:443`
    error DefaultPort => "has the default port of its scheme; browsers leave it out",
    /// `https://example.com:`
    error NoPort => "has a colon but no port",
    /// `https://example.com:0`
    error PortRange => "has a port outside 1 to 65535",
    /// `https://example.com:08443`
    error PortZeros => "has a port with leading zeros; browsers leave them out",
    /// `https://example.com:http`
    error BadPort => "has a port that is not a number; write a number, or \"*\" for any port",
    /// `https://`
    error NoHost => "has no host; an origin is scheme://host[:port]",
    /// `https://a..example`
    error EmptyLabel => "has an empty label in its host",
    /// A label of more than 63 characters.
    error LongLabel => "has a label of more than 63 characters in its host; no such name exists",
    /// A host of more than 253 characters.
    error LongHost => "has a host of more than 253 characters; no such name exists",
    /// `https://exa%6dple.com`
    error BadHost => "has characters that are not allowed in a host",
    /// `http://127.1`
    error Ipv4Form => "has an IPv4 address in a form that browsers do not send",
    /// `http://1.2.3.256`
    error BadIpv4 => "has a host that ends in a number but is not a valid IPv4 address",
    /// `http://[0:0:0:0:0:0:0:1]`
    error Ipv6Form => "has an IPv6 address in a form that browsers do not send",
    /// `http://[::1`
    error BadIpv6 => "has brackets that do not enclose a valid IPv6 address",
    /// `https://*`, `https://www.*.com`
    error Wildcard => "has a misplaced \"*\"; use it alone, in place of the labels before a domain (https://*.example.com) or in place of the port (http://localhost:*); for anything else use cors_allow_origin_regex",
    /// `https://*.127.0.0.1`
    error WildcardAddress => "has a \"*\" before an IP address, which has no subdomains",
    /// `*` in a list
    error AnyNotAlone => "must be the only value, because it already allows everything",
    /// `*` with credentials
    error AnyWithCredentials => "cannot be used with \"cors_allow_credentials on\", because browsers reject the combination; list the origins that may send credentials, or write \"cors_allow_credentials off\"",
    /// `null` with credentials
    warning NullWithCredentials => "can be sent by any site from a sandboxed frame, which could then send requests with credentials; list the origins of your pages instead",
    /// `https://*.com` with credentials
    error PublicSuffixWithCredentials => "has a \"*\" that covers a public suffix; anyone could register a matching name and send requests with credentials",
    /// `https://*.com`
    warning PublicSuffix => "has a \"*\" that covers a public suffix; anyone could register a matching name",
    /// `http://example.com` with credentials
    warning InsecureWithCredentials => "allows http, which is not secure; anyone on the network path could pose as such an origin and send requests with credentials; allow only https",
    /// The same value twice in a list.
    warning Duplicate => "is already in the list",
    /// `add_header Access-Control-Allow-Origin` where a policy is active.
    warning Leftover(lines) => "is not needed here, because the policy writes this header itself; remove {lines}",
    /// Directives without an origin rule.
    warning NoEffect => "has no effect, because no origin is allowed here; add cors_allow_origin at this level or above",
    /// `^https://.*\.example\.com$` in `cors_allow_origin`
    error IsExpression(directive) => "is a regular expression; write {directive}",
    /// A variable with the value `https://*.example.com`
    error PatternInVariable => "is a pattern, which the value of a variable cannot be; write it in cors_allow_origin itself",
    /// A variable with the value `^https://.*\.example\.com$`
    error ExpressionInVariable => "is a regular expression, which the value of a variable cannot be; write it in cors_allow_origin_regex",
    /// `cors_allow_origin $cors_origin`
    error OwnVariable => "uses a variable whose value depends on this directive",
    /// A variable in a directive that does not accept variables.
    error Variable => "contains a variable; only cors_allow_origin and cors_bypass accept variables",
    /// `cors_allow_headers $http_access_control_request_headers`
    error RequestVariable => "is not needed: \"*\" allows whatever is requested, and with credentials the response names it",

    /// An expression that does not compile.
    error Expression(message) => "does not compile: {message}",
    /// An expression with look-around or back-references.
    error ExpressionLookaround(message) => "does not compile: {message}; matching takes linear time here, which rules out look-around and back-references",
    /// An expression that is too large to be compiled at all.
    error ExpressionTooLarge => "is too large: it takes more than 1 MiB before any automaton is built; write it with fewer or smaller counted repetitions",
    /// An expression whose automaton is too large to be built when the configuration is read.
    warning ExpressionLazy => "is large: its automaton takes more than 4 MiB, so that it is built while requests are matched, which is slower, and is not checked for origins that it should not allow; write smaller repetitions",
    /// An expression that is not UTF-8.
    error ExpressionNotUtf8 => "is not valid UTF-8",
    /// `https://*.example.com` in `cors_allow_origin_regex`
    error IsPattern => "is a pattern, not a regular expression; write it in cors_allow_origin",
    /// `~^https://`, `~*^https://`
    warning Tilde => "begins with \"~\", which does not mark expressions in cors_allow_origin_regex but is a part of them; leave it out",
    /// `example.com` for `example\.com`
    warning UnescapedDot => "has an unescaped dot in a host name; it matches any character",
    /// `.*`, `$http_origin`
    warning AnyOriginWithCredentials => "allows origins that anyone can register, so every site could send requests with credentials; allow only your own domains",
    /// `^https://.*example\.com$`, `^https://.*\.github\.io$`
    warning OpenDomainWithCredentials(example) => "also matches \"{example}\"; anyone could register such a name and send requests with credentials; spell out the registered domain and the dot before it",
    /// `^chrome-extension://.*$`
    warning AnyExtensionWithCredentials => "matches every browser extension; anyone could publish one that sends requests with credentials; list the identifiers of your own",
    /// `^example\.com$`
    warning NeverMatches => "can never match a whole origin, which is scheme://host[:port] in lower case",

    /// `*` in a file of origins
    error AnyInFile => "cannot be in a file of origins; to allow everything, write cors_allow_origin \"*\" in the configuration",
    /// `$variable` in a file of origins
    error VariableInFile => "has a variable, and files of origins are not evaluated for each request; write an origin",
    /// `^https://a\.example$` in a file of origins
    error ExpressionInFile => "is a regular expression, which cannot be in a file of origins; write origins or patterns, or use cors_allow_origin_regex",
    /// `https://a.example https://b.example` in a line of a file of origins
    error SeveralInLine => "contains several values; a file of origins has one in each line",
    /// A line of a megabyte in a file of origins
    error LongLine => "is longer than any origin; a file of origins has one origin or pattern in each line",
    /// A zero byte in a file of origins
    error BinaryFile => "contains a zero byte, so the file is not a list of origins; write one origin or pattern in each line, as ASCII text",
    /// More mistakes in a file of origins than are shown
    error MoreMistakes(number) => "has {number} more lines with mistakes",
    /// A file of origins that does not exist, or may not be read
    error UnreadableFile(message) => "cannot be read: {message}",
    /// A file of origins whose writer has not closed it
    error BeingWritten => "is being written; try again when its writer has closed it, or rename a complete file over it",
    /// A directory, a FIFO or a device in place of a file of origins
    error NotRegularFile => "is not a regular file; write the path of a file with one origin in each line",
    /// A file of origins of 4 GB
    error LargeFile(most) => "is too large; a file of origins has at most {most}",
    /// Not enough memory for a file of origins.
    error NoMemory(message) => "cannot be kept in shared memory: {message}",
    /// A file of origins that everyone can change
    warning WritableFile => "can be changed by every user of this machine, who could allow any origin; remove the permission to write for others",
    /// A file of origins in a directory that everyone can change
    warning WritableDirectory => "is in a directory in which every user of this machine can replace files, and so allow any origin; remove the permission to write for others",

    /// A method that is not a token.
    error NotMethod => "is not a valid method",
    /// `get`
    error MethodCase => "is a standard method in another case; methods are case-sensitive",
    /// CONNECT, TRACE, TRACK
    error ForbiddenMethod => "is a method that browsers do not let scripts use",
    /// A header name that is not a token, or too long.
    error NotHeader => "is not a valid header name, which is a token of at most 256 characters",
    /// `x-amz-*`
    error PartOfName => "contains a \"*\", which browsers do not expand within a name; list the names, or write \"*\" alone",
    /// `*` for exposed headers with credentials
    error ExposeAnyWithCredentials => "cannot be used with \"cors_allow_credentials on\", because browsers then treat it as the name of a header; list the headers",
    /// `DNT` and the like
    warning ForbiddenRequestHeader => "has no effect: scripts cannot set this header, so preflights never ask for it",
    /// `Set-Cookie`
    warning ForbiddenResponseHeader => "has no effect: scripts can never read this header",
    /// `Access-Control-*`
    warning ProtocolHeader => "has no effect: it is a header of the CORS protocol itself",

    /// Not `on` or `off`.
    error NotFlag => "is neither \"on\" nor \"off\"",
    /// Not an nginx time in seconds.
    error NotTime => "is not a valid time; use seconds, or a time such as 10m or 1h",
    /// Not a status that a preflight may be answered with.
    error NotPreflightStatus => "is not a valid status for a preflight; use 200 or 204",
    /// Not a status that a request may be rejected with.
    error NotRejectStatus => "is not a valid status for a rejection; use 400 to 599, except 444 and 494 to 499, to which nginx gives a special meaning",
    /// Not a level of the log.
    error NotLogLevel => "is not a valid log level here; use info, notice, warn or error",
    /// A directive that appears twice in one block.
    error DuplicateDirective => "is duplicate; it may appear only once in a block",

    /// `cors_zone cors`
    error NotZone => "is not a zone; write name:size, such as cors:1m",
    /// `cors_zone cors:4k`
    error ZoneTooSmall(least) => "is too small; write a size of at least {least}",
    /// A zone without room for all policies.
    warning SmallZone(number) => "is too small for {number} policies, which are not counted; write a larger size",
    /// `cors_report` or `cors_zone_label` without `cors_zone`.
    error NoZone => "needs a zone; write \"cors_zone cors:1m\" in the http block",
    /// `cors_report xml`
    error NotReportFormat => "is not a format of a report; use prometheus, json or html, or nothing to let the client choose",
    /// A label that is too long or has control characters.
    error NotLabel => "is not a valid label; write 1 to 255 bytes of UTF-8 without control characters",
    /// `cors_report` without a restriction.
    warning OpenReport => "can be reached by anyone; restrict the location with deny, auth_basic or auth_request, or let the server listen on a loopback address",

    /// A max-age above a day.
    warning LongMaxAge => "is longer than browsers keep the answer to a preflight; Firefox keeps it for 86400 seconds, Chromium for 7200",
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
                for (.., text) in Reason::ALL {
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
    fn texts_are_short() {
        for (name, _, text) in Reason::ALL {
            assert!(text.len() <= 200, "{name}: {}", text.len());
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
        for (name, kind, text) in Reason::ALL {
            let code = format!("`{}`", code(name));
            let found: Vec<_> = rows.iter().filter(|row| row[0] == code).collect();
            assert_eq!(found.len(), 1, "docs/errors.md has {code} {} times", found.len());
            let [_, level, message, meaning] = found[0][..] else { panic!("{:?}", found[0]) };
            assert_eq!((level, message), (*kind, &*format!("`{text}`")), "{code}");
            assert!(!meaning.is_empty(), "nothing is said of {code}");
        }
        assert_eq!(rows.len(), Reason::ALL.len(), "docs/errors.md has reasons that do not exist");
    }

    #[test]
    fn codes() {
        for (reason, code) in [
            (Reason::NoScheme, "cors-no-scheme"),
            (Reason::Ipv4Form, "cors-ipv4-form"),
            (Reason::Expression(String::new()), "cors-expression"),
        ] {
            assert_eq!(reason.code(), code);
        }
    }

    #[test]
    fn visible_characters_are_shown_as_in_the_file() {
        let problem = |value: &str, suggestion: &str| {
            Problem::new(value.as_bytes(), Reason::UnescapedDot).suggesting(Some(suggestion.to_owned())).to_string()
        };
        let message = problem(r#"^a.b\w"'$"#, r#"^a\.b\w"'$"#);
        assert!(
            message.starts_with(r#""^a.b\w"'$" has"#) && message.contains(r#": write "^a\.b\w"'$" ["#),
            "{message}"
        );
        assert!(problem("m\u{fc}nchen", "x").starts_with("\"m\u{fc}nchen\" "));
        assert!(problem("a\tb\u{1b}", "x").starts_with(r#""a\tb\u{1b}" "#));
        // Escaped, it would be another value.
        assert!(!problem("a", "a\tb").contains("write"));
        let long = "a".repeat(SHOWN);
        assert!(problem(&long, &long).contains(&format!("\"{long}\" has")));
        assert!(problem(&format!("{long}b"), "x").contains(&format!("\"{long}...\" has")));
    }
}
