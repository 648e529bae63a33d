// SPDX-License-Identifier: Apache-2.0
//! `cors check`: files of origins.

use clap::Args;
use serde_json::json;

use crate::output::say;
use crate::{files, input, Failure, Verdict};

/// Check a file of origins, as nginx -t would
///
/// The file has one exact origin, pattern or null in each line; # begins a comment. The exit code is 1 if there is a mistake, and 2
/// if the file could not be read.
#[derive(Args)]
pub struct Arguments {
    /// The files; - is the standard input
    #[arg(required = true)]
    files: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut is_good = true;
    let mut rows = Vec::new();
    for name in &arguments.files {
        let contents = input::read_bytes(name)?;
        let (found, values) = files::check(name, &contents);
        for (line, problem) in found {
            is_good &= problem.is_warning();
            let level = if problem.is_warning() { "warn" } else { "emerg" };
            if arguments.json {
                rows.push(json!({
                    "file": name, "line": line, "level": level, "code": problem.reason.code(), "text": problem.to_string(),
                }));
            } else {
                say!("cors: [{level}] {problem} in {name}{}", line.map(|line| format!(":{line}")).unwrap_or_default());
            }
        }
        if !arguments.json {
            say!("{name}: {values} values");
        }
    }
    if arguments.json {
        say!("{:#}", json!({ "problems": rows }));
    }
    Ok(if is_good { Verdict::Good } else { Verdict::Bad })
}
