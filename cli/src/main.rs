// SPDX-License-Identifier: Apache-2.0
//! The command `cors`: what a browser would do with a request to another origin, and why.
#![deny(unsafe_code, clippy::print_stdout)]
#![warn(missing_docs)]

mod check;
mod convert;
mod diff;
mod explain;
mod files;
mod input;
mod nginx;
mod output;
mod probe;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Finds out what a browser would do with a cross-origin request, and why.
#[derive(Parser)]
#[command(name = "cors", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Probe(Box<probe::Arguments>),
    Convert(convert::Arguments),
    Explain(explain::Arguments),
    Diff(diff::Arguments),
    Check(check::Arguments),
    /// Print the manual page, or with a name that of a subcommand
    #[command(hide = true)]
    Man {
        /// The subcommand
        subcommand: Option<String>,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// A failure that ends the command: the message, without `cors: ` before it.
pub type Failure = String;

/// The exit code: 0 or 1. It is 2 if a command fails.
pub enum Verdict {
    /// The answer is yes, or nothing is wrong.
    Good,
    /// The answer is no, or something is wrong.
    Bad,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Man { subcommand } => man(subcommand.as_deref()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "cors", &mut script);
            output::bytes(&script);
            Ok(Verdict::Good)
        }
    };
    match result {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Err(message) => {
            eprintln!("cors: {message}");
            ExitCode::from(2)
        }
    }
}

fn man(subcommand: Option<&str>) -> Result<Verdict, Failure> {
    let mut command = Arguments::command();
    command.build();
    let page = match subcommand {
        None => clap_mangen::Man::new(command),
        Some(name) => {
            let found = command.find_subcommand(name).cloned().ok_or(format!("there is no subcommand {name}"))?;
            clap_mangen::Man::new(found)
        }
    };
    output::check(|mut out| page.render(&mut out));
    Ok(Verdict::Good)
}
