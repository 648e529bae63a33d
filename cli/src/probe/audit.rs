// SPDX-License-Identifier: Apache-2.0
//! `cors probe --audit`: what is dangerous in what a server allows.

use url::Url;

use super::fetch::Fetch;
use super::http::{Request, Response, Transport};
use crate::Failure;

/// Something dangerous.
pub struct Finding {
    /// What it is, in a word.
    pub code: &'static str,
    /// What it is, in a sentence.
    pub text: String,
    /// The origin that was sent.
    pub origin: String,
}

/// An origin of nobody.
const STRANGER: &str = "https://cors-audit.example";

/// Sends the request with origins that should not be allowed.
pub fn audit(wanted: &Fetch, transport: &mut dyn Transport) -> Result<Vec<Finding>, Failure> {
    let mut ask = |origin: Option<&str>| {
        let mut fields = vec![("Accept".to_owned(), b"*/*".to_vec())];
        fields.extend(origin.map(|origin| ("Origin".to_owned(), origin.as_bytes().to_vec())));
        let cookie = wanted.cookie.clone().filter(|_| wanted.credentials);
        fields.extend(cookie.map(|cookie| ("Cookie".to_owned(), cookie.into_bytes())));
        transport
            .send(&Request { method: "GET".to_owned(), url: wanted.url.clone(), fields, body: None })
            .map_err(|why| format!("no answer: {why}"))
    };
    let mut findings = Vec::new();
    let mut found = |code, origin: &str, text: String| {
        findings.push(Finding { code, text, origin: origin.to_owned() });
    };

    let stranger = ask(Some(STRANGER))?;
    let with_cookies = |response: &Response| match has_credentials(response) {
        true => "with the user's cookies",
        false => "without cookies",
    };
    let reflects = allowed(&stranger).as_deref() == Some(STRANGER);
    if reflects {
        found(
            "reflected",
            STRANGER,
            format!("Every origin is allowed, {}: the answer repeats it", with_cookies(&stranger)),
        );
    }
    if allowed(&stranger).as_deref() == Some("*") && has_credentials(&stranger) {
        let text = "The answer has * and Access-Control-Allow-Credentials, which browsers do not accept together";
        found("any-with-credentials", STRANGER, text.to_owned());
    }
    let null = ask(Some("null"))?;
    if allowed(&null).as_deref() == Some("null") && wanted.origin != "null" {
        let text = "The origin null is allowed, {}: any page can send it from a sandboxed frame";
        found("null", "null", text.replace("{}", with_cookies(&null)));
    }
    if !reflects {
        for (code, origin, what) in variants(&wanted.origin) {
            let response = ask(Some(&origin))?;
            if allowed(&response).as_deref() == Some(origin.as_str()) {
                found(code, &origin, format!("{origin} is allowed, {}: {what}", with_cookies(&response)));
            }
        }
    }
    let (own, none) = (ask(Some(&wanted.origin))?, ask(None)?);
    let depends = allowed(&own) != allowed(&stranger) || allowed(&own) != allowed(&none);
    let is_named = allowed(&own).is_some_and(|value| value != "*");
    for (origin, response) in [(wanted.origin.as_str(), &own), (STRANGER, &stranger), ("", &none)] {
        if (depends || is_named) && !varies(response) {
            let who = if origin.is_empty() { "a request without Origin".to_owned() } else { origin.to_owned() };
            let text = "The answer to {} has no Vary: Origin, so a cache could send it to another origin";
            found("no-vary", origin, text.replace("{}", &who));
            break;
        }
    }
    Ok(findings)
}

/// Origins that resemble `origin`, and are another's.
fn variants(origin: &str) -> Vec<(&'static str, String, &'static str)> {
    let Ok(url) = Url::parse(origin) else { return Vec::new() };
    let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut variants = Vec::new();
    if let Some(url::Host::Domain(_)) = url.host() {
        let registered = cors_policy::origin::registrable_domain(host);
        variants.push((
            "prefix",
            format!("{scheme}://{host}.cors-audit.example{port}"),
            "anyone can have a name that begins like this",
        ));
        variants.push(("prefix", format!("{scheme}://{host}x{port}"), "only the start of the name is compared"));
        variants.push((
            "suffix",
            format!("{scheme}://cors-audit-{registered}{port}"),
            "anyone can register a name that ends like this",
        ));
        if let Some(at) = host.find('.') {
            let dotless = format!("{scheme}://{}x{}{port}", &host[..at], &host[at + 1..]);
            variants.push(("dot", dotless, "a dot of an expression is not escaped, and matches any character"));
        }
        variants.push((
            "subdomain",
            format!("{scheme}://cors-audit.{host}{port}"),
            "every subdomain is allowed, also one that is forgotten or taken over",
        ));
    }
    if scheme == "https" {
        variants.push((
            "http",
            format!("http://{host}{port}"),
            "anyone on the network path can pose as an origin of http",
        ));
    }
    variants
}

fn allowed(response: &Response) -> Option<String> {
    response.get("Access-Control-Allow-Origin").map(|value| String::from_utf8_lossy(&value).into_owned())
}

fn has_credentials(response: &Response) -> bool {
    response.get("Access-Control-Allow-Credentials").as_deref() == Some(b"true")
}

fn varies(response: &Response) -> bool {
    let vary = response.get("Vary").unwrap_or_default();
    let mut names = cors_policy::list::elements(&vary);
    names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that allows what a function says, with a `Vary`, and with credentials or not.
    struct Server(fn(&str) -> Option<String>, &'static str, bool);

    impl Transport for Server {
        fn send(&mut self, request: &Request) -> Result<Response, Failure> {
            let origin = request.fields.iter().find(|(name, _)| name == "Origin").map(|(_, value)| value.clone());
            let origin = String::from_utf8(origin.unwrap_or_default()).unwrap();
            let mut fields = Vec::new();
            if let Some(value) = (self.0)(&origin) {
                fields.push(("Access-Control-Allow-Origin".to_owned(), value.into_bytes()));
                if self.2 {
                    fields.push(("Access-Control-Allow-Credentials".to_owned(), b"true".to_vec()));
                }
            }
            if !self.1.is_empty() {
                fields.push(("Vary".to_owned(), self.1.as_bytes().to_vec()));
            }
            Ok(Response { version: String::new(), status: 200, fields, trouble: None })
        }
    }

    fn codes(allows: fn(&str) -> Option<String>, varies: bool, credentials: bool) -> String {
        let vary = if varies { "Accept, origin" } else { "" };
        codes_for("https://app.example.com", &mut Server(allows, vary, credentials), credentials)
    }

    fn codes_for(origin: &str, server: &mut Server, credentials: bool) -> String {
        let wanted = Fetch {
            url: Url::parse("https://api.example.com/").unwrap(),
            origin: origin.to_owned(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            credentials,
            cookie: None,
            body: None,
        };
        let findings = audit(&wanted, server).unwrap();
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>().join(" ")
    }

    fn if_so(origin: &str, allowed: bool) -> Option<String> {
        (allowed && !origin.is_empty()).then(|| origin.to_owned())
    }

    #[test]
    fn what_is_dangerous() {
        assert_eq!(codes(|o| if_so(o, o == "https://app.example.com"), true, true), "");
        assert_eq!(codes(|_| Some("*".to_owned()), false, false), "");
        assert_eq!(codes(|_| Some("*".to_owned()), false, true), "any-with-credentials");
        assert_eq!(codes(|o| if_so(o, true), true, true), "reflected null");
        assert_eq!(codes(|o| if_so(o, o == "null" || o == "https://app.example.com"), true, true), "null");
        assert_eq!(codes(|o| if_so(o, o.starts_with("https://app.example.com")), true, true), "prefix prefix");
        assert_eq!(codes(|o| if_so(o, o.ends_with("example.com")), true, true), "suffix dot subdomain http");
        assert_eq!(codes(|o| if_so(o, o == "https://app.example.com"), false, true), "no-vary");
        assert_eq!(codes(|_| Some("https://app.example.com".to_owned()), false, true), "no-vary");
        assert_eq!(codes(|_| None, false, true), "");
        assert_eq!(codes(|o| (!o.is_empty()).then(|| "*".to_owned()), false, false), "no-vary");
        let own: fn(&str) -> _ = |o| if_so(o, o == "https://app.example.com");
        assert_eq!(codes_for("https://app.example.com", &mut Server(own, "Accept", true), true), "no-vary");
        assert_eq!(codes_for("https://app.example.com", &mut Server(own, "*", true), true), "");
        let null: fn(&str) -> _ = |o| if_so(o, o == "null");
        assert_eq!(codes_for("null", &mut Server(null, "Origin", true), true), "");
    }
}
