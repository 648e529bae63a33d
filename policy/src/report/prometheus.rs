// SPDX-License-Identifier: Apache-2.0
//! A report in Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::fmt::{self, Write};

use super::{status_name, File, Report};
use crate::tally::STATUSES;

/// A value of a label.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            _ => f.write_char(c),
        })
    }
}

/// Writes the report.
pub fn write(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_to(&mut text, report);
    text
}

fn write_to(text: &mut String, report: &Report) -> fmt::Result {
    let metric = |text: &mut String, name: &str, kind: &str, help: &str| {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
    };
    let name = "nginx_cors_requests_total";
    metric(text, name, "counter", "Responses by policy and by what $cors_status reports.")?;
    for policy in &report.policies {
        let label = Label(&policy.name.label);
        let dry_run = if policy.name.dry_run { ",dry_run=\"true\"" } else { "" };
        for (status, count) in STATUSES.into_iter().zip(policy.counts) {
            writeln!(text, "{name}{{policy=\"{label}\",status=\"{}\"{dry_run}}} {count}", status_name(status))?;
        }
    }
    let name = "nginx_cors_policy_in_use";
    metric(text, name, "gauge", "Whether the configuration has the policy: 1, or 0 if only an earlier one had.")?;
    for policy in &report.policies {
        let label = Label(&policy.name.label);
        let dry_run = if policy.name.dry_run { ",dry_run=\"true\"" } else { "" };
        writeln!(text, "{name}{{policy=\"{label}\"{dry_run}}} {}", u8::from(policy.is_in_use))?;
    }
    type Value = fn(&File) -> u64;
    let of_files: [(&str, &str, &str, Value); 3] = [
        ("errors_total", "counter", "Changes of a file of origins that were refused.", |file| file.errors),
        ("origins", "gauge", "Values of a file of origins that are in force.", |file| file.origins),
        ("loaded_timestamp_seconds", "gauge", "When these values were put in force.", |file| file.loaded),
    ];
    for (name, kind, help, value) in of_files.into_iter().filter(|_| !report.files.is_empty()) {
        let name = format!("nginx_cors_origin_file_{name}");
        metric(text, &name, kind, help)?;
        for file in &report.files {
            writeln!(text, "{name}{{file=\"{}\"}} {}", Label(&file.path), value(file))?;
        }
    }
    let name = "nginx_cors_zone_bytes";
    metric(text, name, "gauge", "Shared memory of the zone, by whether it is used.")?;
    let zone = Label(&report.zone.name);
    writeln!(text, "{name}{{zone=\"{zone}\",state=\"used\"}} {}", report.zone.used)?;
    writeln!(text, "{name}{{zone=\"{zone}\",state=\"free\"}} {}", report.zone.size - report.zone.used)?;
    let name = "nginx_cors_info";
    metric(text, name, "gauge", "The versions of the module and of nginx.")?;
    let nginx = Label(report.nginx);
    writeln!(text, "{name}{{version=\"{}\",nginx=\"{nginx}\"}} 1", report.version)
}
