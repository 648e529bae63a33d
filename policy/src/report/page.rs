// SPDX-License-Identifier: Apache-2.0
//! A report as a page that refreshes itself. The page is the same for everyone; what a report contains is in it as JSON, which the
//! browser does not run.

use super::{json, Report};

const START: &str = include_str!("page/start.html");
const SCRIPT: &str = include_str!("page/page.js");
const STYLE: &str = include_str!("page/page.css");

/// The value of `Content-Security-Policy`: the browser runs the page's own script, and loads nothing. tests/report.t compares the
/// hashes with the page.
pub const SECURITY_POLICY: &str =
    "default-src 'none'; script-src 'sha256-pRYxtiIQW/m373eE/lOHQxm9Z2EQGEBdt4dE+MVFfLk='; style-src 'sha256-q0z/mIOfgzzaqlF8IEqsldIvR+a3mvAU4CFpUOVsy1I='; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Writes the report.
pub fn write(report: &Report) -> String {
    let json = json::write(report);
    format!(
        "{START}<style>{STYLE}</style>\n<script id=\"report\" type=\"application/json\">{}</script>\n<script>{SCRIPT}</script>\n",
        json.trim_end()
    )
}
