// SPDX-License-Identifier: Apache-2.0
//! The messages of `nginx -t`: one line for each mistake, with the file and the line of the directive that contains it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use cors_policy::Problem;

use crate::nginx::configuration::Configuration;
use crate::nginx::log::{Level, Log};

/// Where a directive appears.
#[derive(Clone)]
pub struct Place {
    file: Arc<str>,
    line: usize,
}

impl Place {
    /// A line of a file.
    pub fn new(file: &str, line: usize) -> Place {
        Place { file: file.into(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Reports each problem once, and remembers whether the configuration has failed.
#[derive(Default)]
pub struct Messages {
    reported: HashSet<String>,
    /// The file that is being read, so that its directives share its name.
    file: Option<Arc<str>>,
    failed: bool,
}

impl Messages {
    /// Where nginx is reading.
    pub fn place(&mut self, cf: &Configuration<'_>) -> Place {
        let (name, line) = cf.place();
        let name = name.unwrap_or(b"command line");
        match &self.file {
            Some(file) if file.as_bytes() == name => Place { file: file.clone(), line },
            _ => Place { file: self.file.insert(String::from_utf8_lossy(name).into()).clone(), line },
        }
    }

    /// Logs `problem`, found in `directive`.
    pub fn report(&mut self, log: Log, directive: Option<&str>, problem: &Problem, place: &Place) {
        let line = match directive {
            Some(directive) => format!("{directive}: {problem} in {place}"),
            None => format!("{problem} in {place}"),
        };
        self.report_line(log, problem, line, None);
    }

    /// Logs `problem`, found in `directive`, which only is one because credentials are turned on; at `credentials`, if that is at
    /// another level.
    pub fn report_with(
        &mut self,
        log: Log,
        directive: &str,
        problem: &Problem,
        place: &Place,
        credentials: Option<&Place>,
    ) {
        self.report_line(log, problem, format!("{directive}: {problem} in {place}"), credentials);
    }

    fn report_line(&mut self, log: Log, problem: &Problem, line: String, credentials: Option<&Place>) {
        let level = if problem.is_warning() { Level::WARN } else { Level::EMERG };
        self.failed |= level == Level::EMERG;
        if !self.reported.contains(&line) {
            match credentials {
                Some(credentials) => {
                    log.write(level, format_args!("{line}; credentials are turned on in {credentials}"))
                }
                None => log.write(level, &line),
            }
            self.reported.insert(line);
        }
    }

    /// Fails the configuration for a reason that nginx has reported itself.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether the configuration has failed.
    pub fn failed(&self) -> bool {
        self.failed
    }
}
