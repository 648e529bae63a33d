// SPDX-License-Identifier: Apache-2.0
//! `cors explain`: what each policy of a configuration says of a request, and why.

use clap::Args;
use cors_policy::compare::Value;
use cors_policy::origin;
use cors_policy::rule::{parse_rule, Rule};
use serde_json::json;

use crate::nginx::policies::{places, OriginRule, Place, Policy};
use crate::nginx::tree::{self, Configuration};
use crate::output::say;
use crate::probe::safelist;
use crate::{Failure, Verdict};

/// Say for each policy of a configuration whether it allows a request, and by which line
///
/// The exit code is 0 if a policy allows the request, 1 if none does, and 2 if the configuration could not be read.
#[derive(Args)]
pub struct Arguments {
    /// The configuration of nginx, or the output of nginx -T; - is the standard input
    #[arg(short, long = "conf", value_name = "FILE", default_value = "/etc/nginx/nginx.conf")]
    configuration: String,
    /// The origin of the page
    #[arg(short, long)]
    origin: String,
    /// The method
    #[arg(short, long, default_value = "GET")]
    method: String,
    /// A header that the script sets: its name, or NAME: VALUE
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Only servers with this name
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A sentence about one part of a request, and whether it is allowed.
struct Finding {
    allowed: bool,
    text: String,
    /// What to write, if it is not allowed.
    fix: Option<String>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    match parse_rule(arguments.origin.as_bytes()) {
        Ok(Rule::Exact) => {}
        Ok(_) => return Err(format!("--origin: \"{}\" is a pattern; a page has one origin", arguments.origin)),
        Err(problem) => return Err(format!("--origin: {problem}")),
    }
    let configuration = tree::read(&arguments.configuration)?;
    let places = places(&configuration)?;
    let is_wanted = |place: &&Place<'_>| {
        let named = arguments.server.as_ref().is_none_or(|name| place.label.split([' ', ',']).any(|word| word == name));
        // Settings that are only there to be inherited are not a policy.
        let is_policy = place.policy.is_active() || place.policy.on.is_some() || place.label != "http";
        place.is_own && is_policy && named
    };
    let mut is_allowed = false;
    let mut rows = Vec::new();
    for place in places.iter().filter(is_wanted) {
        let findings = explain(&configuration, &place.policy, arguments);
        let allowed = place.policy.is_active() && findings.iter().all(|finding| finding.allowed);
        is_allowed |= allowed;
        let at = place.directive.map_or_else(String::new, |directive| configuration.place_of(directive));
        if arguments.json {
            let findings: Vec<_> =
                findings.iter().map(|f| json!({ "allowed": f.allowed, "text": f.text, "write": f.fix })).collect();
            rows.push(json!({ "policy": place.label, "place": at, "allowed": allowed, "findings": findings }));
            continue;
        }
        say!("{} ({at}): {}", place.label, if allowed { "allowed" } else { "denied" });
        for Finding { text, fix, .. } in &findings {
            say!("  {text}");
            if let Some(fix) = fix {
                say!("    write: {fix}");
            }
        }
    }
    if arguments.json {
        say!("{:#}", json!({ "policies": rows }));
    } else if !places.iter().any(|place| place.is_own) {
        say!("{} has no cors_* directives.", arguments.configuration);
    }
    Ok(if is_allowed { Verdict::Good } else { Verdict::Bad })
}

fn explain(configuration: &Configuration, policy: &Policy<'_>, arguments: &Arguments) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |allowed, text: String, fix: Option<String>| findings.push(Finding { allowed, text, fix });
    if let Some((false, directive)) = policy.on {
        add(false, format!("cors off in {}: there is no policy", configuration.place_of(directive)), None);
        return findings;
    }
    if policy.rules.is_none() && !policy.enforces() {
        add(
            false,
            "no origin is allowed, so there is no policy".to_owned(),
            Some(format!("cors_allow_origin {};", arguments.origin)),
        );
        return findings;
    }
    let (allowed, text, fix) = explain_origin(configuration, policy, &arguments.origin);
    add(allowed, text, fix);
    let method = safelist::normalized_method(&arguments.method);
    if safelist::is_safelisted_method(&method) {
        add(true, format!("method {method}: needs no permission"), None);
    } else if policy.allows_method(&method) {
        let place = policy.methods.as_ref().map(|(_, directive)| configuration.place_of(directive));
        add(true, format!("method {method}: cors_allow_methods in {}", place.unwrap_or_default()), None);
    } else {
        let list =
            policy.methods.as_ref().map_or("GET HEAD POST".to_owned(), |(list, _)| list.value().replace(", ", " "));
        add(
            false,
            format!("method {method}: not in cors_allow_methods"),
            Some(format!("cors_allow_methods {list} {method};")),
        );
    }
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        let (name, value) = (name.trim(), value.trim());
        let bytes = safelist::value_of(value);
        let is_safe = bytes.is_some_and(|bytes| safelist::is_safelisted_header(&(name.to_owned(), bytes)));
        if is_safe && !value.is_empty() {
            add(true, format!("header {name}: needs no permission with this value"), None);
        } else if policy.allows_header(name) {
            let place = policy.headers.as_ref().map(|(_, directive)| configuration.place_of(directive));
            add(true, format!("header {name}: cors_allow_headers in {}", place.unwrap_or_default()), None);
        } else {
            let list = policy.headers.as_ref().map_or(String::new(), |(list, _)| list.value().replace(", ", " ") + " ");
            add(
                false,
                format!("header {name}: not in cors_allow_headers"),
                Some(format!("cors_allow_headers {list}{name};")),
            );
        }
    }
    if let Some((_, directive)) = &policy.bypass {
        add(true, format!("cors_bypass in {} may exempt requests", configuration.place_of(directive)), None);
    }
    if policy.is_dry() {
        add(true, "cors_dry_run: the module only reports".to_owned(), None);
    }
    findings
}

/// Whether an origin is allowed, by what, and what to write if it is not.
fn explain_origin(configuration: &Configuration, policy: &Policy<'_>, origin: &str) -> (bool, String, Option<String>) {
    let rules = policy.rules();
    let place = |rule: &OriginRule<'_>| configuration.place_of(rule.directive);
    let allows = |rule: &&OriginRule<'_>| rule.value.as_ref().is_some_and(|value| value.allows(origin));
    if let Some(rule) = rules.iter().find(allows) {
        let text = format!("origin {origin}: {} {} in {}", rule.directive.name(), rule.text, place(rule));
        return (true, text, None);
    }
    for file in policy.files() {
        if let Some((line, value)) = file.allowing(origin) {
            return (true, format!("origin {origin}: cors_allow_origin_file {value} in {}:{line}", file.path), None);
        }
    }
    if let Some(rule) = rules.iter().find(|rule| rule.value.is_none()) {
        let text = format!("origin {origin}: depends on {} in {}", rule.text, place(rule));
        return (false, text, None);
    }
    let near = rules.iter().filter_map(|rule| Some((nearness(rule.value.as_ref()?, origin)?, rule.text, place(rule))));
    let near = near.chain(policy.files().iter().filter_map(|file| {
        let (near, line, value) = file.nearest(origin, nearness)?;
        Some((near, value, format!("{}:{line}", file.path)))
    }));
    let mut text = format!("origin {origin}: not allowed");
    if let Some(((_, what), value, place)) = near.min_by_key(|((rank, _), ..)| *rank) {
        text += &format!("; the nearest is {value} in {place}, which {what}");
    }
    let fix = match rules.iter().find(|rule| rule.directive.name() == "cors_allow_origin") {
        Some(rule) => format!("{origin} in addition to what cors_allow_origin has in {}", place(rule)),
        None => match policy.files().first() {
            Some(file) => format!("{origin} in a line of {}", file.path),
            None => format!("cors_allow_origin {origin};"),
        },
    };
    (false, text, Some(fix))
}

/// How a value differs from an origin that it does not allow, if it nearly does.
fn nearness(value: &Value, origin: &str) -> Option<(u8, &'static str)> {
    let (Value::Exact(text) | Value::Pattern(text)) = value else { return None };
    let name = text.replacen("://*.", "://", 1);
    let (name, is_any_port) = name.strip_suffix(":*").map_or((name.as_str(), false), |name| (name, true));
    let (ours, theirs) = (origin::parse(name.as_bytes())?, origin::parse(origin.as_bytes())?);
    let is_subdomain = |long: &[u8], short: &[u8]| long.strip_suffix(short).is_some_and(|rest| rest.ends_with(b"."));
    let same_port = is_any_port || ours.port == theirs.port;
    match (ours.scheme == theirs.scheme, ours.host == theirs.host, same_port) {
        (true, true, true) => Some((0, "allows only names below it")),
        (true, true, false) => Some((1, "has another port")),
        (false, true, _) => Some((2, "has another scheme")),
        (_, false, _) if is_subdomain(theirs.host, ours.host) && matches!(value, Value::Pattern(_)) => {
            Some((3, "covers this name with another scheme or port"))
        }
        (_, false, _) if is_subdomain(theirs.host, ours.host) => Some((4, "does not allow names below it")),
        (_, false, _) if is_subdomain(ours.host, theirs.host) => Some((5, "is a name below this one")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near() {
        let rows = [
            ("https://a.example:8443", "https://a.example", Some("has another port")),
            ("http://a.example", "https://a.example", Some("has another scheme")),
            ("https://*.a.example", "https://a.example", Some("allows only names below it")),
            ("https://a.example", "https://x.a.example", Some("does not allow names below it")),
            ("https://x.a.example", "https://a.example", Some("is a name below this one")),
            ("https://*.a.example", "http://x.a.example", Some("covers this name with another scheme or port")),
            ("https://b.example", "https://a.example", None),
        ];
        for (value, origin, expected) in rows {
            let value = Value::of_list(value).unwrap();
            assert_eq!(nearness(&value, origin).map(|(_, what)| what), expected, "{value:?} {origin}");
        }
    }
}
