//! `cors check`: files of origins.

use std::collections::HashMap;

use clap::Args;
use cors_policy::file;
use cors_policy::{Problem, Reason};
use serde_json::json;

use crate::{input, Failure, Verdict};

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
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut values = 0;
        for (line, value) in file::lines(&contents) {
            let problem = match value {
                Ok(value) if known.contains_key(value) => Problem::new(value.as_bytes(), Reason::Duplicate),
                Ok(value) => {
                    known.insert(value, line);
                    values += 1;
                    continue;
                }
                Err(problem) => problem,
            };
            is_good &= problem.is_warning();
            let level = if problem.is_warning() { "warn" } else { "emerg" };
            if arguments.json {
                rows.push(json!({
                    "file": name, "line": line, "level": level, "code": problem.reason.code(), "text": problem.to_string(),
                }));
            } else {
                println!("cors: [{level}] {problem} in {name}:{line}");
            }
        }
        if !arguments.json {
            println!("{name}: {values} values");
        }
    }
    if arguments.json {
        println!("{:#}", json!({ "problems": rows }));
    }
    Ok(if is_good { Verdict::Good } else { Verdict::Bad })
}
