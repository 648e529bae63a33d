// SPDX-License-Identifier: Apache-2.0
//! A report in JSON. docs/monitoring.md describes it; `version` changes if a member changes its meaning or goes away.

use std::fmt::{self, Write};

use super::{status_name, Denial, File, Need, Policy, Remedy, Report, What, Zone};
use crate::tally::STATUSES;

/// The version of the form.
const VERSION: u32 = 1;

/// A string, with what ends a script in a page escaped as well.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.0.chars().try_for_each(|c| match c {
            '"' => f.write_str("\\\""),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            c if c.is_control() || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                write!(f, "\\u{:04x}", u32::from(c))
            }
            c => f.write_char(c),
        })?;
        f.write_char('"')
    }
}

/// A string, or `null` if there is none.
fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| Text(text).to_string())
}

/// Values, separated by commas.
fn join(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join(",")
}

/// Writes the report.
pub fn write(report: &Report) -> String {
    let Report { version, nginx, now, zone, policies, denials, files } = report;
    format!(
        "{{\"version\":{VERSION},\"module\":{},\"nginx\":{},\"time\":{now},\"zone\":{},\"policies\":[{}],\"denials\":[{}],\"files\":[{}]}}\n",
        Text(version),
        Text(nginx),
        of_zone(zone),
        join(policies.iter().map(of_policy)),
        join(denials.iter().map(of_denial)),
        join(files.iter().map(of_file)),
    )
}

fn of_zone(Zone { name, since, size, used, denials }: &Zone) -> String {
    format!("{{\"name\":{},\"since\":{since},\"bytes\":{size},\"used\":{used},\"denials\":{denials}}}", Text(name))
}

fn of_policy(Policy { name, is_in_use, counts, needs }: &Policy) -> String {
    let counts = STATUSES.into_iter().zip(counts).map(|(status, count)| format!("\"{}\":{count}", status_name(status)));
    let needs = needs.iter().map(|Need { remedy, count }| format!("{{{},\"count\":{count}}}", of_remedy(remedy)));
    format!(
        "{{\"policy\":{},\"dry_run\":{},\"in_use\":{is_in_use},\"requests\":{{{}}},\"needs\":[{}]}}",
        Text(&name.label),
        name.dry_run,
        join(counts),
        join(needs),
    )
}

fn of_file(File { path, errors, origins, loaded }: &File) -> String {
    format!("{{\"file\":{},\"errors\":{errors},\"origins\":{origins},\"loaded\":{loaded}}}", Text(path))
}

fn of_denial(denial: &Denial) -> String {
    let Denial { policy, status, what, origin, asked, count, error, first, last, remedy } = denial;
    let of = |kind| (*what == kind).then_some(asked.as_str());
    let origin = (!matches!(what, What::Origins | What::NoOrigin)).then_some(origin.as_str());
    format!(
        "{{\"policy\":{},\"dry_run\":{},\"status\":\"{}\",\"origin\":{},\"method\":{},\"header\":{},\"count\":{count},\
         \"error\":{error},\"first\":{first},\"last\":{last},{}}}",
        Text(&policy.label),
        policy.dry_run,
        status_name(*status),
        optional(origin),
        optional(of(What::Method)),
        optional(of(What::Header)),
        of_remedy(remedy),
    )
}

fn of_remedy(Remedy { line, note }: &Remedy) -> String {
    format!("\"directive\":{},\"note\":{}", optional(line.as_deref()), optional(note.as_deref()))
}
