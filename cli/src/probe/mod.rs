// SPDX-License-Identifier: Apache-2.0
//! `cors probe`: what a browser would do with a script's request, step by step.

mod audit;
mod fetch;
mod http;
#[allow(unsafe_code)]
mod lines;
pub mod safelist;

use std::time::Duration;

use clap::Args;
use cors_policy::rule::{parse_rule, Rule};
use serde_json::{json, Value};
use url::Url;

use crate::output::say;
use crate::{Failure, Verdict};
use fetch::{Block, Fetch, Outcome, Purpose, Step};
use http::{Curl, Options, Request, Response};
use safelist::Header;

/// Send a request as a browser would, and say whether the script could read the response
///
/// The exit code is 0 if the script can read the response, 1 if the browser blocks it, and 2 if there was no answer.
#[derive(Args)]
pub struct Arguments {
    /// What the script fetches
    url: String,
    /// The origin of the page, such as https://app.example.com
    #[arg(short, long)]
    origin: String,
    /// The method [default: GET, or POST with --data]
    #[arg(short, long)]
    method: Option<String>,
    /// A header that the script sets; repeat it for several
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Fetch with `credentials: "include"`
    #[arg(short, long)]
    credentials: bool,
    /// The cookies of the browser, sent if credentials are
    #[arg(long, value_name = "NAME=VALUE")]
    cookie: Option<String>,
    /// A body; without a Content-Type it is sent as text/plain
    #[arg(short, long)]
    data: Option<String>,
    /// List what is dangerous in what the server allows; the exit code is 1 if there is any
    #[arg(long)]
    audit: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Connect to ADDRESS for HOST and PORT
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<String>,
    /// Take any certificate of the server
    #[arg(short = 'k', long)]
    insecure: bool,
    /// A file with the certificates to trust
    #[arg(long, value_name = "FILE")]
    cacert: Option<String>,
    /// A file with the certificate of the client, and its key unless --key is given
    #[arg(long, value_name = "FILE")]
    cert: Option<String>,
    /// A file with the key of the client
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// The version of HTTP [default: 2 over TLS if the server has it, otherwise 1.1]
    #[arg(long, value_name = "VERSION", value_parser = ["1.1", "2"])]
    http: Option<String>,
    /// The time limit for each request, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    timeout: f64,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let wanted = request(arguments)?;
    let mut curl = Curl(options(arguments)?);
    if arguments.audit {
        let findings = audit::audit(&wanted, &mut curl)?;
        print_findings(&findings, arguments.json);
        return Ok(if findings.is_empty() { Verdict::Good } else { Verdict::Bad });
    }
    let (steps, outcome) = fetch::fetch(&wanted, &mut curl);
    if arguments.json {
        say!("{:#}", as_json(&wanted, &steps, &outcome));
    } else {
        print(&steps, &outcome);
    }
    match outcome {
        Outcome::Readable { .. } => Ok(Verdict::Good),
        Outcome::Blocked(_) => Ok(Verdict::Bad),
        Outcome::NoAnswer(why) => Err(format!("no answer: {why}")),
    }
}

fn request(arguments: &Arguments) -> Result<Fetch, Failure> {
    let url = Url::parse(&arguments.url).map_err(|error| format!("\"{}\" is not a URL: {error}", arguments.url))?;
    match parse_rule(arguments.origin.as_bytes()) {
        Ok(Rule::Exact) => {}
        Ok(_) => return Err(format!("--origin: \"{}\" is a pattern; a page has one origin", arguments.origin)),
        Err(problem) => return Err(format!("--origin: {problem}")),
    }
    let headers = arguments.headers.iter().map(|text| {
        let (name, value) =
            text.split_once(':').ok_or(format!("--header: \"{text}\" has no colon; write \"Name: value\""))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let default = if arguments.data.is_some() { "POST" } else { "GET" };
    Ok(Fetch {
        url,
        origin: arguments.origin.clone(),
        method: arguments.method.clone().unwrap_or(default.to_owned()),
        headers: headers.collect::<Result<_, Failure>>()?,
        credentials: arguments.credentials,
        cookie: arguments.cookie.clone(),
        body: arguments.data.clone().map(String::into_bytes),
    })
}

fn options(arguments: &Arguments) -> Result<Options, Failure> {
    let timeout = Some(arguments.timeout)
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("--timeout: write a number of seconds above 0")?;
    if let Some(wrong) = arguments.resolve.iter().find(|text| text.splitn(3, ':').count() < 3) {
        return Err(format!("--resolve: \"{wrong}\" is not HOST:PORT:ADDRESS"));
    }
    Ok(Options {
        resolve: arguments.resolve.clone(),
        insecure: arguments.insecure,
        authorities: arguments.cacert.clone(),
        certificate: arguments.cert.clone(),
        key: arguments.key.clone(),
        version: arguments.http.clone(),
        timeout,
    })
}

/// Bytes for a terminal: control characters are escaped, because they are the server's.
fn shown(value: &[u8]) -> String {
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    String::from_utf8_lossy(value).chars().map(escape).collect()
}

/// What a CORS exchange depends on.
fn is_of_cors(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("access-control-") || matches!(name.as_str(), "origin" | "vary" | "location" | "cookie")
}

fn print_fields<'a>(fields: impl IntoIterator<Item = &'a Header>) {
    for (name, value) in fields {
        say!("    {}: {}", shown(name.as_bytes()), shown(value));
    }
}

fn print(steps: &[Step], outcome: &Outcome) {
    for step in steps {
        match step {
            Step::Note(text) => say!("{}.", shown(text.as_bytes())),
            Step::Exchange(purpose, request, answer) => {
                let mark = if *purpose == Purpose::Preflight { "  (preflight)" } else { "" };
                say!("  {} {}{mark}", request.method, request.url);
                print_fields(request.fields.iter().filter(|(name, _)| !is_usual(name)));
                match answer {
                    Ok(response) => {
                        say!("  {} {}", response.version, response.status);
                        print_fields(response.fields.iter().filter(|(name, _)| is_of_cors(name)));
                    }
                    Err(why) => say!("  no answer: {}", shown(why.as_bytes())),
                }
            }
        }
    }
    say!();
    match outcome {
        Outcome::Readable { response, fields, hidden } => {
            say!("Readable: the script gets the response with status {}.", response.status);
            let names: Vec<_> = fields.iter().map(|(name, _)| shown(name.as_bytes())).collect();
            say!("  fields that it can read: {}", or_none(&names));
            if !hidden.is_empty() {
                let hidden: Vec<_> = hidden.iter().map(|name| shown(name.as_bytes())).collect();
                say!("  hidden from it:          {}", hidden.join(", "));
            }
            if let Some(trouble) = &response.trouble {
                say!("  but reading the body fails: {}", shown(trouble.as_bytes()));
            }
        }
        Outcome::Blocked(Block { why, sent, needed, directives, .. }) => {
            say!("Blocked: {}.", shown(why.as_bytes()));
            for (label, value) in [("  sent:  ", sent), ("  needed:", needed)] {
                if let Some(value) = value {
                    say!("{label}  {}", shown(value.as_bytes()));
                }
            }
            for directive in directives {
                say!("  nginx with ngx-http-cors:  {}", shown(directive.as_bytes()));
            }
        }
        Outcome::NoAnswer(_) => say!("No answer: the script gets an error."),
    }
}

/// Fields of each request, which say nothing about this one.
fn is_usual(name: &str) -> bool {
    matches!(name, "Accept" | "User-Agent") || name.starts_with("Sec-Fetch-")
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn as_json(wanted: &Fetch, steps: &[Step], outcome: &Outcome) -> Value {
    let fields = |fields: &[Header]| -> Vec<Value> {
        fields.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)])).collect()
    };
    let request = |request: &Request| json!({ "method": request.method, "url": request.url.as_str(), "fields": fields(&request.fields) });
    let response = |response: &Response| {
        json!({
            "version": response.version, "status": response.status, "fields": fields(&response.fields),
            "trouble": response.trouble,
        })
    };
    let steps: Vec<_> = steps
        .iter()
        .map(|step| match step {
            Step::Note(text) => json!({ "note": text }),
            Step::Exchange(purpose, sent, answer) => json!({
                "purpose": if *purpose == Purpose::Preflight { "preflight" } else { "request" },
                "request": request(sent),
                "response": answer.as_ref().ok().map(response),
                "no_answer": answer.as_ref().err(),
            }),
        })
        .collect();
    let mut value = json!({ "url": wanted.url.as_str(), "origin": wanted.origin });
    let outcome = match outcome {
        Outcome::Readable { response, fields: readable, hidden } => json!({
            "result": "readable", "status": response.status, "fields": fields(readable), "hidden": hidden,
            "trouble": response.trouble,
        }),
        Outcome::Blocked(Block { check, why, sent, needed, directives }) => json!({
            "result": "blocked", "check": check.name(), "why": why, "sent": sent, "needed": needed,
            "directives": directives,
        }),
        Outcome::NoAnswer(why) => json!({ "result": "no answer", "why": why }),
    };
    for (name, part) in outcome.as_object().into_iter().flatten() {
        value[name] = part.clone();
    }
    value["steps"] = json!(steps);
    value
}

fn print_findings(findings: &[audit::Finding], as_json: bool) {
    if as_json {
        let rows: Vec<_> =
            findings.iter().map(|f| json!({ "code": f.code, "text": f.text, "origin": f.origin })).collect();
        return say!("{:#}", json!({ "findings": rows }));
    }
    if findings.is_empty() {
        say!("Nothing dangerous was found.");
    }
    for audit::Finding { code, text, .. } in findings {
        say!("{}. [{code}]", shown(text.as_bytes()));
    }
}
