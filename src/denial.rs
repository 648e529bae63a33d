//! The log line of a denial: which origin, method or header, and the directive that would allow it.

use std::fmt;

use cors_policy::facts::Field;
use cors_policy::{Decision, Status};
use ngx::ngx_log_error;

use crate::location::LocationConf;
use crate::policy::Policy;
use crate::request::Request;

/// How much of a value that a client sent is written.
const LONGEST: usize = 256;

/// Writes the line, once for a request, if its level is logged at all.
#[inline]
pub fn log(r: &mut Request, location: &LocationConf, policy: &Policy, decision: Decision<'_>) {
    if r.logs(policy.log_level) {
        write(r, location, policy, decision);
    }
}

#[cold]
fn write(r: &mut Request, location: &LocationConf, policy: &Policy, decision: Decision<'_>) {
    let asked = r.asked();
    let decision = policy.explain(r, decision);
    let line = Line { origin: asked.origin, site: asked.sec_fetch_site.unwrap_or_default(), decision };
    if line.is_empty() || r.logged_before(location) {
        return;
    }
    let dry_run = if policy.dry_run { " (dry run)" } else { "" };
    ngx_log_error!(policy.log_level, r.log(), "cors: {line}{dry_run}");
}

struct Line<'a> {
    origin: Field<'a>,
    site: &'a [u8],
    decision: Decision<'a>,
}

impl Line<'_> {
    fn is_empty(&self) -> bool {
        matches!(
            self.decision.status,
            Status::NoOrigin | Status::Allowed | Status::SameOrigin | Status::Preflight | Status::Bypass
        )
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = Escaped(self.decision.missing);
        match self.decision.status {
            Status::PreflightMethodDenied => return write!(f, "method \"{missing}\" is not in cors_allow_methods"),
            Status::PreflightHeaderDenied => return write!(f, "header \"{missing}\" is not in cors_allow_headers"),
            Status::Rejected => f.write_str("rejected, ")?,
            _ => {}
        }
        match self.origin {
            Field::One(origin) => {
                let origin = Escaped(origin);
                write!(f, "origin \"{origin}\" is not allowed by cors_allow_origin or cors_allow_origin_regex")
            }
            Field::Many => f.write_str("several Origin fields are not allowed"),
            Field::Absent => write!(f, "Sec-Fetch-Site is \"{}\" and there is no Origin", Escaped(self.site)),
        }
    }
}

/// What a client sent, so that it cannot break out of its quotes or its line, nor fill the log.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &b in self.0.iter().take(LONGEST) {
            match b {
                b' '..=b'~' if b != b'"' && b != b'\\' => write!(f, "{}", char::from(b))?,
                _ => write!(f, "\\x{b:02X}")?,
            }
        }
        f.write_str(if self.0.len() > LONGEST { "..." } else { "" })
    }
}
