// SPDX-License-Identifier: Apache-2.0
//! `cors_report`: the response that contains what has been counted.

use std::collections::HashMap;
use std::rc::Rc;

use cors_policy::report::{self, page, Denial, Format, Remedy, Report};
use ngx::ffi::{ngx_http_request_t, ngx_int_t};

use crate::conf::counting::{Counting, Kind, Memory};
use crate::conf::files::OriginFile;
use crate::conf::{LocationConf, MainConf};
use crate::nginx::clock;
use crate::nginx::header_list::Names;
use crate::nginx::request::{Code, Method};
use crate::nginx::{answer, Request};

static ACCEPT: Names<1> = Names::new([b"accept"]);

/// Makes the response, as a content handler.
pub unsafe extern "C" fn handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls it with a request.
    let mut r = unsafe { Request::from_ptr(request) };
    r.guard(Code::INTERNAL_SERVER_ERROR, respond).0
}

fn respond(r: &mut Request<'_>) -> Code {
    if r.method() != Method::Read {
        return Code::NOT_ALLOWED;
    }
    let location: &LocationConf = r.location();
    let counting = r.main_conf::<MainConf>().counting;
    let Some((counting, memory)) = counting.and_then(|counting| Some((counting, counting.memory()?))) else {
        return Code::INTERNAL_SERVER_ERROR;
    };
    let chosen = location.report.flatten();
    let format = chosen.unwrap_or_else(|| Format::of_accept(r.fields_in(&ACCEPT).map(|(_, value)| value.as_bytes())));
    let body = format.write(&read(counting, memory, &r.main_conf::<MainConf>().files));
    let fields = [
        Some(("Cache-Control", "no-store")),
        Some(("X-Content-Type-Options", "nosniff")),
        (format == Format::Html).then_some(("Content-Security-Policy", page::SECURITY_POLICY)),
        chosen.is_none().then_some(("Vary", "Accept")),
    ];
    for (name, value) in fields.into_iter().flatten() {
        if r.push_header(name, value.as_bytes()).is_err() {
            return Code::INTERNAL_SERVER_ERROR;
        }
    }
    r.respond(format.content_type(), body.as_bytes())
}

fn of_file(file: &OriginFile) -> report::File {
    let [errors, origins, loaded] = file.counts();
    report::File { path: file.path.to_string_lossy().into_owned(), errors, origins, loaded }
}

/// What has been counted so far.
fn read(counting: &Counting, memory: &Memory, files: &[Rc<OriginFile>]) -> Report {
    let Memory { zone, tally, denials, frequent, since } = memory;
    // The rows of this configuration, and whether their policies allow credentials.
    let credentials = counting.rows.iter().filter_map(|policy| Some((policy.row.get()?, policy.credentials)));
    let credentials: HashMap<_, _> = credentials.collect();
    let earlier = tally.rows().filter(|row| !credentials.contains_key(row));
    let rows = counting.rows.iter().filter_map(|policy| policy.row.get()).chain(earlier);
    let policies: Vec<_> = rows
        .map(|row| report::Policy {
            name: tally.name(row),
            is_in_use: credentials.contains_key(&row),
            counts: tally.sums(row),
            needs: Vec::new(),
        })
        .collect();
    let seen = zone.change(|| frequent.repair(denials), || frequent.entries(denials));
    let denied = seen.into_iter().filter_map(|seen| {
        let Kind { row, what, is_cut, status } = Kind::of_number(seen.kind)?;
        let [origin, asked] = &seen.texts;
        let value = if asked.is_empty() { origin } else { asked };
        let credentials = credentials.get(&row).copied().unwrap_or(false);
        Some(Denial {
            policy: tally.name(row),
            status,
            what,
            origin: String::from_utf8_lossy(origin).into_owned(),
            asked: String::from_utf8_lossy(asked).into_owned(),
            count: seen.count,
            error: seen.error,
            first: seen.first,
            last: seen.last,
            remedy: Remedy::new(what, value, !is_cut, credentials),
        })
    });
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        nginx: answer::nginx_version(),
        now: u64::try_from(clock::seconds()).unwrap_or(0),
        zone: report::Zone {
            name: String::from_utf8_lossy(&counting.setting.name).into_owned(),
            since: *since,
            size: zone.words().len() as u64 * 8,
            used: (denials.len() + tally.used()) as u64 * 8,
            denials: frequent.capacity() as u64,
        },
        policies,
        denials: denied.collect(),
        files: files.iter().map(|file| of_file(file)).collect(),
    };
    report.find_needs();
    report
}
