// SPDX-License-Identifier: Apache-2.0
//! What a report contains: the counters of each policy, the most frequent denials, and what would allow them. [`prometheus`],
//! [`json`] and [`page`] write it; each escapes what administrators and clients have written for the place where it appears.

pub mod json;
pub mod page;
pub mod prometheus;

use crate::list::elements;
use crate::origins::{self, OriginsBuilder};
use crate::tally::{Name, COUNTERS};
use crate::{Methods, Problem, RequestHeaders, Status};

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format.
    Prometheus,
    /// JSON.
    Json,
    /// A page.
    Html,
}

impl Format {
    /// All of them. If a client accepts several equally, the first one counts.
    const ALL: [Format; 3] = [Format::Prometheus, Format::Json, Format::Html];

    /// The format that a directive names.
    pub fn of_name(name: &[u8]) -> Option<Format> {
        match name {
            b"prometheus" => Some(Format::Prometheus),
            b"json" => Some(Format::Json),
            b"html" => Some(Format::Html),
            _ => None,
        }
    }

    /// The format that a client prefers, by the field lines of `Accept` (RFC 9110, section 12.5.1). Prometheus' own if it accepts
    /// none of them.
    pub fn of_accept<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Format {
        let ranges: Vec<_> = lines.flat_map(elements).filter_map(range).collect();
        let quality = |format: &Format| {
            let (kind, _) = format.media_type().split_once('/').unwrap_or_default();
            let exact = |(name, _): &&(String, u32)| format.media_type() == name;
            let of_kind = |(name, _): &&(String, u32)| name.strip_suffix("/*") == Some(kind);
            let any = |(name, _): &&(String, u32)| name == "*/*";
            let found = ranges.iter().find(exact).or(ranges.iter().find(of_kind)).or(ranges.iter().find(any));
            found.map_or(0, |(_, quality)| *quality)
        };
        Format::ALL.into_iter().rev().max_by_key(quality).unwrap_or(Format::Prometheus)
    }

    fn media_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain",
            Format::Json => "application/json",
            Format::Html => "text/html",
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::Json => "application/json",
            Format::Html => "text/html; charset=utf-8",
        }
    }

    /// Writes a report.
    pub fn write(self, report: &Report) -> String {
        match self {
            Format::Prometheus => prometheus::write(report),
            Format::Json => json::write(report),
            Format::Html => page::write(report),
        }
    }
}

/// A media range in lower case and its weight in thousandths.
fn range(element: &[u8]) -> Option<(String, u32)> {
    let mut parts = std::str::from_utf8(element).ok()?.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let weight = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let weight = weight.map_or(Some(1.0), |(_, value)| value.trim().parse::<f32>().ok())?;
    Some((name, (weight.clamp(0.0, 1.0) * 1000.0) as u32))
}

/// Everything that a report contains.
#[derive(Debug, Default)]
pub struct Report {
    /// The version of the module.
    pub version: &'static str,
    /// The version of nginx.
    pub nginx: &'static str,
    /// The time, in seconds since the epoch, as all times.
    pub now: u64,
    /// The zone.
    pub zone: Zone,
    /// The policies, in the order of the configuration, and then those that it no longer has.
    pub policies: Vec<Policy>,
    /// The denials, the most frequent first.
    pub denials: Vec<Denial>,
    /// The files of origins, in the order of the configuration.
    pub files: Vec<File>,
}

/// A file of origins.
#[derive(Debug, Default)]
pub struct File {
    /// Its path.
    pub path: String,
    /// How often a change has been refused.
    pub errors: u64,
    /// The number of values in force.
    pub origins: u64,
    /// When they were put in force.
    pub loaded: u64,
}

/// A zone.
#[derive(Debug, Default)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// When counting began.
    pub since: u64,
    /// The bytes of its memory.
    pub size: u64,
    /// How many of them are used.
    pub used: u64,
    /// How many denials there is room for.
    pub denials: u64,
}

/// The row of a policy.
#[derive(Debug)]
pub struct Policy {
    /// What identifies it.
    pub name: Name,
    /// Whether the configuration has such a policy.
    pub is_in_use: bool,
    /// How often there was each of [`crate::tally::STATUSES`].
    pub counts: [u64; COUNTERS],
    /// The directives that the requests of a dry run need in addition, the most frequent of each kind first.
    pub needs: Vec<Need>,
}

/// A directive that requests need.
#[derive(Debug)]
pub struct Need {
    /// The directive.
    pub remedy: Remedy,
    /// How many requests need it, at most.
    pub count: u64,
}

/// What of a request is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// The origin.
    Origin,
    /// A method that a preflight asks for.
    Method,
    /// A header that a preflight asks for.
    Header,
    /// There are several origins.
    Origins,
    /// There is no origin, but the request comes from another site.
    NoOrigin,
}

/// A denial, as often as it was.
#[derive(Debug)]
pub struct Denial {
    /// The policy.
    pub policy: Name,
    /// The status that was counted.
    pub status: Status,
    /// What was not allowed.
    pub what: What,
    /// The origin, empty if there is not exactly one.
    pub origin: String,
    /// The method or the header.
    pub asked: String,
    /// How often, at most.
    pub count: u64,
    /// By how much `count` may be too high.
    pub error: u64,
    /// When it was first.
    pub first: u64,
    /// When it was last.
    pub last: u64,
    /// What would allow it.
    pub remedy: Remedy,
}

/// The directive that would allow something, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Remedy {
    /// The directive, to be added to those of the policy.
    pub line: Option<String>,
    /// What `nginx -t` would say to it, or why there is none.
    pub note: Option<String>,
}

impl Remedy {
    /// What would allow `value`, all of which is there if `is_whole`, under a policy with or without credentials.
    pub fn new(what: What, value: &[u8], is_whole: bool, credentials: bool) -> Remedy {
        let note = |note: &str| Remedy { line: None, note: Some(note.to_owned()) };
        let directive = match what {
            What::Origins => return note("browsers send one Origin field"),
            What::NoOrigin => return note("only cors_bypass lets it pass"),
            _ if !is_whole => return note("the value is too long"),
            What::Origin => "cors_allow_origin",
            What::Method => "cors_allow_methods",
            What::Header => "cors_allow_headers",
        };
        // Clients choose what they send: no line may allow more than that, and no note may say how.
        let means_more = |b: &u8| b"*$".contains(b) || (what == What::Origin && b"~^(|\\{".contains(b));
        if value.iter().any(means_more) {
            return note(&format!("{directive} cannot allow this without allowing more"));
        }
        let problem = match what {
            What::Method => Methods::default().add(value).err(),
            What::Header => RequestHeaders::default().add(value).err(),
            _ => origin_problem(value, credentials),
        };
        let is_usable = problem.as_ref().is_none_or(Problem::is_warning);
        // What nginx takes as it is, as an argument.
        let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._:/[]+!%&".contains(b);
        let quote = if value.iter().all(is_plain) { "" } else { "\"" };
        let value = String::from_utf8_lossy(value);
        Remedy {
            line: is_usable.then(|| format!("{directive} {quote}{value}{quote};")),
            note: problem.map(|problem| format!("{} [{}]", problem.reason, problem.reason.code())),
        }
    }
}

/// What is wrong with an origin as a value of `cors_allow_origin`.
fn origin_problem(value: &[u8], credentials: bool) -> Option<Problem> {
    let mut builder = OriginsBuilder::default();
    if let Err(problem) = builder.add(value, ()) {
        return Some(problem);
    }
    let (_, concerns) = builder.build();
    origins::problems(&concerns, credentials).into_iter().next().map(|(_, problem)| problem)
}

impl Report {
    /// Sets what the requests of each dry run need, by the denials.
    pub fn find_needs(&mut self) {
        for policy in self.policies.iter_mut().filter(|policy| policy.name.dry_run) {
            let mut needs = std::collections::BTreeMap::new();
            for denial in self.denials.iter().filter(|denial| denial.policy == policy.name) {
                if denial.remedy.line.is_some() {
                    *needs.entry((denial.what, &denial.remedy)).or_insert(0) += denial.count;
                }
            }
            let mut needs: Vec<_> = needs.into_iter().collect();
            needs.sort_by_key(|((what, _), count)| (*what, std::cmp::Reverse(*count)));
            policy.needs =
                needs.into_iter().map(|((_, remedy), count)| Need { remedy: remedy.clone(), count }).collect();
        }
    }
}

/// The name of a status in reports.
fn status_name(status: Status) -> String {
    status.as_str().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::STATUSES;

    pub fn report() -> Report {
        let name = |label: &str, dry_run| Name { label: label.to_owned(), dry_run };
        let denial = |policy, what, value: &str, count| Denial {
            policy,
            status: Status::Denied,
            what,
            origin: "https://a.example".to_owned(),
            asked: if what == What::Origin { String::new() } else { value.to_owned() },
            count,
            error: 1,
            first: 100,
            last: 200,
            remedy: Remedy::new(what, value.as_bytes(), true, true),
        };
        let odd = "\"a\"\\\n</script><b>";
        let mut counts = [0; COUNTERS];
        counts[1] = 3;
        let mut report = Report {
            version: "1.0",
            nginx: "1.0",
            now: 300,
            zone: Zone { name: odd.to_owned(), since: 50, size: 1000, used: 10, denials: 5 },
            policies: vec![
                Policy { name: name(odd, false), is_in_use: true, counts, needs: Vec::new() },
                Policy { name: name("dry", true), is_in_use: false, counts: [0; COUNTERS], needs: Vec::new() },
            ],
            denials: vec![
                denial(name(odd, false), What::Origin, odd, 9),
                denial(name("dry", true), What::Header, "X-A", 8),
                denial(name("dry", true), What::Origin, "http://a.example", 7),
                denial(name("dry", true), What::Header, "X-A", 6),
                denial(name("dry", true), What::Header, "X-B", 20),
                denial(name("dry", true), What::Method, "get", 5),
            ],
            files: vec![File { path: odd.to_owned(), errors: 2, origins: 1000, loaded: 250 }],
        };
        report.find_needs();
        report
    }

    #[test]
    fn formats_by_accept() {
        let rows: [(&[&str], Format); 13] = [
            (&[], Format::Prometheus),
            (&["*/*"], Format::Prometheus),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Format::Html),
            (
                &["application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"],
                Format::Prometheus,
            ),
            (&["application/json"], Format::Json),
            (&["text/html;q=0.5", "Application/JSON; Q=0.6"], Format::Json),
            (&["application/json;q=0.5, text/html;q=0.6"], Format::Html),
            (&["text/*, application/json;q=0.9"], Format::Prometheus),
            (&["text/plain;q=0, */*"], Format::Json),
            (&["image/png"], Format::Prometheus),
            (&["text/html;q=x"], Format::Prometheus),
            (&["text/html;q=9"], Format::Html),
            (&["\u{e9}, text/html"], Format::Html),
        ];
        for (lines, format) in rows {
            assert_eq!(Format::of_accept(lines.iter().map(|line| line.as_bytes())), format, "{lines:?}");
        }
        for format in Format::ALL {
            assert!(format.content_type().starts_with(format.media_type()));
        }
    }

    #[test]
    fn formats_by_name() {
        for (name, format, start) in [
            ("prometheus", Format::Prometheus, "# HELP nginx_cors_requests_total "),
            ("json", Format::Json, "{\"version\":1,"),
            ("html", Format::Html, "<!doctype html>"),
        ] {
            assert_eq!(Format::of_name(name.as_bytes()), Some(format));
            let text = format.write(&report());
            assert!(text.starts_with(start), "{text}");
        }
        assert_eq!(Format::of_name(b"JSON"), None);
    }

    #[test]
    fn remedies() {
        let rows = [
            (What::Origin, "https://a.example", false, Some("cors_allow_origin https://a.example;"), None),
            (What::Origin, "http://[::1]:8080", true, Some("cors_allow_origin http://[::1]:8080;"), None),
            (
                What::Origin,
                "http://a.example",
                true,
                Some("cors_allow_origin http://a.example;"),
                Some("cors-insecure-with-credentials"),
            ),
            (What::Origin, "http://a.example", false, Some("cors_allow_origin http://a.example;"), None),
            (What::Origin, "null", false, Some("cors_allow_origin null;"), None),
            (What::Origin, "null", true, Some("cors_allow_origin null;"), Some("cors-null-with-credentials")),
            (What::Origin, "*", true, None, Some("without allowing more")),
            (What::Origin, "*", false, None, Some("without allowing more")),
            (What::Origin, "https://*.a.example", false, None, Some("without allowing more")),
            (What::Origin, "http://localhost:*", false, None, Some("without allowing more")),
            (What::Origin, "~^https", false, None, Some("without allowing more")),
            (What::Origin, "https://(a|b).example", false, None, Some("without allowing more")),
            (What::Origin, "$http_origin", false, None, Some("without allowing more")),
            (What::Origin, "https://a.example/", false, None, Some("cors-trailing-slash")),
            (What::Origin, "", false, None, Some("cors-empty")),
            (What::Method, "PUT", false, Some("cors_allow_methods PUT;"), None),
            (What::Method, "patch", false, None, Some("cors-method-case")),
            (What::Method, "*", false, None, Some("cors_allow_methods cannot allow this without")),
            (What::Method, "$request_method", false, None, Some("without allowing more")),
            (What::Header, "x-own", false, Some("cors_allow_headers x-own;"), None),
            (What::Header, "dnt", false, Some("cors_allow_headers dnt;"), Some("cors-forbidden-request-header")),
            (What::Header, "#x", false, Some("cors_allow_headers \"#x\";"), None),
            (What::Header, "*", false, None, Some("cors_allow_headers cannot allow this without")),
            (What::Header, "a b", false, None, Some("cors-not-header")),
            (What::Origins, "", false, None, Some("one Origin")),
            (What::NoOrigin, "", false, None, Some("cors_bypass")),
        ];
        for (what, value, credentials, line, note) in rows {
            let remedy = Remedy::new(what, value.as_bytes(), true, credentials);
            assert_eq!(remedy.line.as_deref(), line, "{value}");
            let noted = remedy.note.as_deref();
            assert!(
                note.map_or(noted.is_none(), |note| noted.is_some_and(|noted| noted.contains(note))),
                "{value}: {noted:?}"
            );
        }
        assert_eq!(Remedy::new(What::Origin, b"https://a.example", false, false).line, None);
    }

    #[test]
    fn needs_of_a_dry_run() {
        let report = report();
        assert!(report.policies[0].needs.is_empty());
        let needs = report.policies[1].needs.iter().map(|need| (need.remedy.line.as_deref().unwrap(), need.count));
        let expected = [
            ("cors_allow_origin http://a.example;", 7),
            ("cors_allow_headers X-B;", 20),
            ("cors_allow_headers X-A;", 14),
        ];
        assert_eq!(needs.collect::<Vec<_>>(), expected);
        assert!(report.policies[1].needs[0].remedy.note.as_ref().unwrap().contains("https"));
    }

    #[test]
    fn prometheus_text() {
        let text = prometheus::write(&report());
        let odd = r#"\"a\"\\\n</script><b>"#;
        assert!(
            text.contains(&format!("\nnginx_cors_requests_total{{policy=\"{odd}\",status=\"denied\"}} 3\n")),
            "{text}"
        );
        assert!(text.contains("\nnginx_cors_requests_total{policy=\"dry\",status=\"allowed\",dry_run=\"true\"} 0\n"));
        assert!(text.contains("\nnginx_cors_info{version=\"1.0\",nginx=\"1.0\"} 1\n"), "{text}");
        for (name, value) in [("errors_total", 2), ("origins", 1000), ("loaded_timestamp_seconds", 250)] {
            let line = format!("\nnginx_cors_origin_file_{name}{{file=\"{odd}\"}} {value}\n");
            assert!(text.contains(&line), "{text}");
        }
        assert!(!text.contains("a.example"), "no client input");
        assert_eq!(text.matches("nginx_cors_requests_total{").count(), 2 * STATUSES.len());
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn members_of_the_json() {
        let json = json::write(&report());
        let odd = r#""\"a\"\\\n\u003c/script\u003e\u003cb\u003e""#;
        for part in [
            format!(r#""zone":{{"name":{odd},"since":50,"bytes":1000,"used":10,"denials":5}}"#),
            format!(r#"{{"policy":{odd},"dry_run":false,"in_use":true,"requests":{{"#),
            r#""denied":3,"#.to_owned(),
            r#"{"directive":"cors_allow_headers X-B;","note":null,"count":20}"#.to_owned(),
            r#"{"policy":"dry","dry_run":true,"status":"denied","origin":"https://a.example","method":null,"header":"X-B","count":20,"error":1,"first":100,"last":200,"directive":"cors_allow_headers X-B;","note":null}"#.to_owned(),
            r#""method":"get","header":null,"count":5,"error":1,"first":100,"last":200,"directive":null,"note":"is "#.to_owned(),
            format!(r#""files":[{{"file":{odd},"errors":2,"origins":1000,"loaded":250}}]"#),
        ] {
            assert!(json.contains(&part), "{part} in {json}");
        }
        let mut report = report();
        report.denials.iter_mut().for_each(|denial| denial.what = What::Origins);
        assert!(!json::write(&report).contains("https://a.example\","), "there is no single origin");
    }

    #[test]
    fn no_value_ends_its_string() {
        let json = json::write(&report());
        assert!(json.starts_with("{\"version\":1,") && json.ends_with("]}\n"), "{json}");
        assert!(json.contains(r#""policy":"\"a\"\\\n\u003c/script\u003e\u003cb\u003e""#), "{json}");
        assert!(!json.contains(['<', '>']), "it may appear in a page");
        let page = page::write(&report());
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains(&json.trim_end().to_owned()));
    }
}
