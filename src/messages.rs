//! What `nginx -t` is told: one line for each mistake, with the file and the line of the directive that holds it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use cors_policy::Problem;
use ngx::ffi::{ngx_conf_t, ngx_log_t, NGX_LOG_EMERG, NGX_LOG_WARN};
use ngx::ngx_log_error;

/// Where a directive stands.
#[derive(Clone)]
pub struct Place {
    file: Arc<str>,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Says each thing once, and remembers whether the configuration can stand.
#[derive(Default)]
pub struct Messages {
    said: HashSet<String>,
    /// The file that is being read, so that its directives share its name.
    file: Option<Arc<str>>,
    failed: bool,
}

impl Messages {
    /// Where nginx is reading.
    pub fn place(&mut self, cf: &ngx_conf_t) -> Place {
        // SAFETY: nginx keeps null there, or the file that it is reading.
        let (name, line) = match unsafe { cf.conf_file.as_ref() } {
            Some(file) => (file.file.name.as_bytes(), file.line),
            None => (&b"command line"[..], 0),
        };
        match &self.file {
            Some(file) if file.as_bytes() == name => Place { file: file.clone(), line },
            _ => Place { file: self.file.insert(String::from_utf8_lossy(name).into()).clone(), line },
        }
    }

    /// Logs `problem`, found in `directive`.
    pub fn say(&mut self, log: *mut ngx_log_t, directive: Option<&str>, problem: &Problem, place: &Place) {
        let line = match directive {
            Some(directive) => format!("{directive}: {problem} in {place}"),
            None => format!("{problem} in {place}"),
        };
        self.failed |= !problem.is_warning();
        if self.said.contains(&line) {
            return;
        }
        if problem.is_warning() {
            ngx_log_error!(NGX_LOG_WARN, log, "{line}");
        } else {
            ngx_log_error!(NGX_LOG_EMERG, log, "{line}");
        }
        self.said.insert(line);
    }

    /// Fails the configuration for a reason that nginx has given itself.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether the configuration cannot stand.
    pub fn failed(&self) -> bool {
        self.failed
    }
}
