// SPDX-License-Identifier: Apache-2.0
//! What a browser does for a script's `fetch(url, init)` with the mode `cors`, by the Fetch standard.
//!
//! Each function follows the algorithm that its comment links to, as far as it depends on the origin. The HTTP cache, service
//! workers, Content Security Policy and the cache of preflights are left out: a probe is a first request.

use cors_policy::{list, Methods, Problem, Reason, RequestHeaders};
use url::Url;

use super::http::{Request, Response, Transport};
use super::safelist::{self, Header};
use crate::Failure;

/// A script's request.
#[derive(Clone)]
pub struct Fetch {
    /// What is fetched.
    pub url: Url,
    /// The origin of the page, as it is serialised: `null` is an opaque origin.
    pub origin: String,
    /// The method as the script writes it.
    pub method: String,
    /// The headers that the script sets, as it writes them.
    pub headers: Vec<(String, String)>,
    /// Whether the credentials mode is `include`; otherwise it is `same-origin`.
    pub credentials: bool,
    /// The value of `Cookie`, sent whenever credentials are.
    pub cookie: Option<String>,
    /// The body, as a string that the script passes.
    pub body: Option<Vec<u8>>,
}

/// What an exchange is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Asking for permission.
    Preflight,
    /// The script's own request.
    Request,
}

/// One step of a fetch.
pub enum Step {
    /// What was decided, in words.
    Note(String),
    /// A request, and its answer or why there is none.
    Exchange(Purpose, Box<Request>, Result<Response, Failure>),
}

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// What the script passes to `fetch()`.
    Arguments,
    /// A page that is loaded by https, and a request that would not be.
    MixedContent,
    /// The ports of other protocols.
    Port,
    /// The status of the answer to a preflight.
    PreflightStatus,
    /// `Access-Control-Allow-Origin`
    Origin,
    /// `Access-Control-Allow-Credentials`
    Credentials,
    /// `Access-Control-Allow-Methods`
    Method,
    /// `Access-Control-Allow-Headers`
    Header,
    /// `Location`
    Redirect,
}

impl Check {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Check::Arguments => "arguments",
            Check::MixedContent => "mixed-content",
            Check::Port => "port",
            Check::PreflightStatus => "preflight-status",
            Check::Origin => "origin",
            Check::Credentials => "credentials",
            Check::Method => "method",
            Check::Header => "header",
            Check::Redirect => "redirect",
        }
    }
}

/// A check that failed.
pub struct Block {
    /// Which one.
    pub check: Check,
    /// Why, in a sentence.
    pub why: String,
    /// What the server sent.
    pub sent: Option<String>,
    /// What it should have sent.
    pub needed: Option<String>,
    /// What to write in a location of an nginx with the module.
    pub directives: Vec<String>,
}

/// How a fetch ends.
pub enum Outcome {
    /// The script can read the response.
    Readable {
        /// The last response.
        response: Response,
        /// The fields that the script can read.
        fields: Vec<Header>,
        /// The names of those that it cannot.
        hidden: Vec<String>,
    },
    /// The script gets an error.
    Blocked(Block),
    /// No answer came that could be checked.
    NoAnswer(Failure),
}

/// A fetch while it is going on.
struct Fetching<'t> {
    transport: &'t mut dyn Transport,
    origin: String,
    method: String,
    headers: Vec<Header>,
    body: Option<Vec<u8>>,
    credentials: bool,
    cookie: Option<String>,
    /// The [URL list](https://fetch.spec.whatwg.org/#concept-request-url-list).
    urls: Vec<Url>,
    /// Whether the [response tainting](https://fetch.spec.whatwg.org/#concept-request-response-tainting) is `cors`.
    is_cors: bool,
    steps: Vec<Step>,
}

enum End {
    Blocked(Block),
    NoAnswer(Failure),
}

fn blocked<T>(check: Check, why: impl Into<String>) -> Result<T, End> {
    Err(End::Blocked(Block { check, why: why.into(), sent: None, needed: None, directives: Vec::new() }))
}

/// [`fetch()`](https://fetch.spec.whatwg.org/#fetch-method): the steps, and how it ends.
pub fn fetch(fetch: &Fetch, transport: &mut dyn Transport) -> (Vec<Step>, Outcome) {
    let mut fetching = Fetching {
        transport,
        origin: fetch.origin.clone(),
        method: safelist::normalized_method(&fetch.method),
        headers: Vec::new(),
        body: fetch.body.clone(),
        credentials: fetch.credentials,
        cookie: fetch.cookie.clone(),
        urls: vec![fetch.url.clone()],
        is_cors: false,
        steps: Vec::new(),
    };
    let outcome = match fetching.construct(fetch).and_then(|()| fetching.main_fetch()) {
        Ok(outcome) => outcome,
        Err(End::Blocked(mut block)) => {
            if !block.directives.is_empty() && fetching.serialized_origin() != fetching.origin {
                let url = fetching.url();
                block.why += &format!(
                    "; let the script fetch {url} itself, because null is also the origin of any sandboxed page"
                );
            }
            Outcome::Blocked(block)
        }
        Err(End::NoAnswer(why)) => Outcome::NoAnswer(why),
    };
    (fetching.steps, outcome)
}

/// What a header's value may not contain ([header value](https://fetch.spec.whatwg.org/#header-value)).
fn is_value(value: &[u8]) -> bool {
    !value.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'))
}

fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

impl Fetching<'_> {
    fn note(&mut self, text: impl Into<String>) {
        self.steps.push(Step::Note(text.into()));
    }

    fn url(&self) -> &Url {
        self.urls.last().expect("the list begins with the URL of the request")
    }

    /// Whether the current URL has the origin of the page ([same origin](https://html.spec.whatwg.org/#same-origin)).
    fn is_same_origin(&self) -> bool {
        self.url().origin().ascii_serialization() == self.origin && self.origin != "null"
    }

    /// The [`Request` constructor](https://fetch.spec.whatwg.org/#dom-request).
    fn construct(&mut self, fetch: &Fetch) -> Result<(), End> {
        let url = &fetch.url;
        if !matches!(url.scheme(), "http" | "https") {
            return blocked(Check::Arguments, format!("the scheme {}: is not http or https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return blocked(Check::Arguments, "fetch() refuses a URL with a user name or password");
        }
        if !list::is_token(fetch.method.as_bytes()) {
            return blocked(Check::Arguments, format!("\"{}\" is not a method", fetch.method));
        }
        if safelist::is_forbidden_method(&fetch.method) {
            return blocked(Check::Arguments, format!("browsers do not let scripts use the method {}", fetch.method));
        }
        if self.body.is_some() && matches!(self.method.as_str(), "GET" | "HEAD") {
            return blocked(Check::Arguments, format!("fetch() refuses a body with {}", self.method));
        }
        for (name, value) in &fetch.headers {
            let Some(bytes) = safelist::value_of(value) else {
                let why = format!("\"{name}: {value}\" has a character above U+00FF, which no header can have");
                return blocked(Check::Arguments, why);
            };
            let header = (name.clone(), bytes.trim_ascii().to_vec());
            if !list::is_token(name.as_bytes()) || !is_value(&header.1) {
                return blocked(Check::Arguments, format!("\"{name}: {value}\" is not a valid header"));
            }
            // https://fetch.spec.whatwg.org/#headers-validate
            if safelist::is_forbidden_header(&header) {
                self.note(format!("The browser leaves {name} out, because scripts cannot set it"));
            } else {
                self.headers.push(header);
            }
        }
        // https://fetch.spec.whatwg.org/#concept-bodyinit-extract, of a string.
        let has_type = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if self.body.is_some() && !has_type {
            self.headers.push(("Content-Type".to_owned(), b"text/plain;charset=UTF-8".to_vec()));
        }
        Ok(())
    }

    /// [Main fetch](https://fetch.spec.whatwg.org/#main-fetch), of each URL in turn.
    fn main_fetch(&mut self) -> Result<Outcome, End> {
        loop {
            // https://w3c.github.io/webappsec-mixed-content/#should-block-fetch
            if self.origin.starts_with("https://") && !is_trustworthy(self.url()) {
                return blocked(
                    Check::MixedContent,
                    format!("a page loaded by https cannot fetch {}, which is not https", self.url()),
                );
            }
            // https://fetch.spec.whatwg.org/#block-bad-port
            if self.url().port().is_some_and(|port| safelist::BAD_PORTS.contains(&port)) {
                return blocked(Check::Port, "browsers do not send requests to this port");
            }
            // "request's current URL's origin is same origin with request's origin, and request's response tainting is
            // "basic""
            let unsafe_names = safelist::unsafe_names(&self.headers);
            let mut preflight = false;
            if !self.is_cors && self.is_same_origin() {
                self.note("The URL has the origin of the page, so CORS does not apply");
            } else {
                self.is_cors = true;
                // "request's unsafe-request flag is set and either request's method is not a CORS-safelisted method or
                // CORS-unsafe request-header names with request's header list is not empty"
                let is_safe = safelist::is_safelisted_method(&self.method);
                preflight = !is_safe || !unsafe_names.is_empty();
                let reason = match (is_safe, unsafe_names.is_empty()) {
                    (true, true) => format!("No preflight: {} and its headers need no permission", self.method),
                    (false, true) => format!("A preflight, because the method {} needs permission", self.method),
                    (true, false) => format!("A preflight, because the script sets {}", unsafe_names.join(", ")),
                    (false, false) => format!(
                        "A preflight, because the method {} needs permission, and the script sets {}",
                        self.method,
                        unsafe_names.join(", ")
                    ),
                };
                self.note(reason);
            }
            if preflight {
                self.preflight(&unsafe_names)?;
            }
            let response = self.request()?;
            if self.is_cors {
                self.cors_check(&response, Purpose::Request).map_err(End::Blocked)?;
            }
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) || !self.redirect(&response)? {
                return Ok(self.filtered(response));
            }
        }
    }

    /// The serialised origin ([serializing a request origin](https://fetch.spec.whatwg.org/#byte-serializing-a-request-origin)):
    /// `null` if the [redirect-taint](https://fetch.spec.whatwg.org/#concept-request-tainted-origin) is not `same-origin`.
    fn serialized_origin(&self) -> &str {
        let origins: Vec<_> = self.urls.iter().map(|url| url.origin().ascii_serialization()).collect();
        let is_tainted = origins.windows(2).any(|two| two[1] != two[0] && self.origin != two[0]);
        if is_tainted {
            "null"
        } else {
            &self.origin
        }
    }

    /// What browsers say of where a request comes from
    /// ([Fetch Metadata](https://w3c.github.io/webappsec-fetch-metadata/#sec-fetch-site-header)).
    fn metadata(&self) -> Vec<Header> {
        if !is_trustworthy(self.url()) {
            return Vec::new();
        }
        let site = match Url::parse(&self.origin) {
            Ok(origin) if self.urls.iter().all(|url| url.origin() == origin.origin()) => "same-origin",
            Ok(origin) if self.urls.iter().all(|url| is_same_site(url, &origin)) => "same-site",
            _ => "cross-site",
        };
        [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .into()
    }

    fn exchange(&mut self, purpose: Purpose, request: Request) -> Result<Response, End> {
        let answer = self.transport.send(&request);
        self.steps.push(Step::Exchange(purpose, Box::new(request), answer.clone()));
        answer.map_err(End::NoAnswer)
    }

    /// [CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch).
    fn preflight(&mut self, unsafe_names: &[String]) -> Result<(), End> {
        let mut fields = vec![
            ("Accept".to_owned(), b"*/*".to_vec()),
            ("Access-Control-Request-Method".to_owned(), self.method.clone().into_bytes()),
        ];
        if !unsafe_names.is_empty() {
            fields.push(("Access-Control-Request-Headers".to_owned(), unsafe_names.join(",").into_bytes()));
        }
        fields.push(("Origin".to_owned(), self.serialized_origin().as_bytes().to_vec()));
        fields.extend(self.metadata());
        fields.push(user_agent());
        let request = Request { method: "OPTIONS".to_owned(), url: self.url().clone(), fields, body: None };
        let response = self.exchange(Purpose::Preflight, request)?;

        // Step 7: the CORS check, and an ok status.
        self.cors_check(&response, Purpose::Preflight).map_err(End::Blocked)?;
        if !(200..300).contains(&response.status) {
            let is_redirect = (300..400).contains(&response.status);
            let why = if is_redirect {
                "browsers do not follow redirects of preflights"
            } else {
                "the server refuses the preflight"
            };
            return Err(End::Blocked(Block {
                check: Check::PreflightStatus,
                why: format!("{why}: only a status of 200 to 299 permits the request"),
                sent: Some(format!("status {}", response.status)),
                needed: Some("status 204".to_owned()),
                directives: vec![self.allow_origin()],
            }));
        }
        self.check_method(&response)?;
        self.check_headers(&response, unsafe_names)
    }

    /// Step 7.5 of a CORS-preflight fetch.
    fn check_method(&self, response: &Response) -> Result<(), End> {
        const FIELD: &str = "Access-Control-Allow-Methods";
        let methods = self.list(response, FIELD, Check::Method)?;
        let allowed = methods.contains(&self.method)
            || safelist::is_safelisted_method(&self.method)
            || (!self.credentials && methods.iter().any(|method| method == "*"));
        if allowed {
            return Ok(());
        }
        let mut all: Vec<_> = methods.into_iter().filter(|method| method != "*").collect();
        let why = match response.get(FIELD).as_deref() {
            Some(b"*") => {
                format!("with credentials, * is only the name of a method, and {} is not listed", self.method)
            }
            _ if all.iter().any(|other| other.eq_ignore_ascii_case(&self.method)) => {
                format!("the method {} is not listed in this case, and methods are case-sensitive", self.method)
            }
            _ => format!("the method {} is not listed", self.method),
        };
        all.push(self.method.clone());
        let mut list = Methods::default();
        Err(End::Blocked(Block {
            check: Check::Method,
            why,
            sent: Some(said(response, FIELD)),
            needed: Some(format!("{FIELD}: {}", all.join(", "))),
            directives: list_directive("cors_allow_methods", &all, std::slice::from_ref(&self.method), |name| {
                list.add(name)
            }),
        }))
    }

    /// Steps 7.6 and 7.7 of a CORS-preflight fetch.
    fn check_headers(&self, response: &Response, unsafe_names: &[String]) -> Result<(), End> {
        const FIELD: &str = "Access-Control-Allow-Headers";
        let listed = self.list(response, FIELD, Check::Header)?;
        let is_listed = |name: &str| listed.iter().any(|other| other.eq_ignore_ascii_case(name));
        let is_any = !self.credentials && is_listed("*");
        let sets = |name: &str| self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let missing: Vec<_> = unsafe_names
            .iter()
            .filter(|name| !is_listed(name) && (!is_any || (safelist::is_non_wildcard(name) && sets(name))))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing.join(", ");
        let why = match (is_listed("*"), self.credentials) {
            (true, true) => format!("with credentials, * is only the name of a header, and it does not allow {names}"),
            (true, false) => format!("* does not allow {names}, which must be listed"),
            _ if missing.len() == 1 => format!("the header {names} is not listed"),
            _ => format!("the headers {names} are not listed"),
        };
        let all: Vec<_> = listed.iter().filter(|name| is_any || *name != "*").chain(&missing).cloned().collect();
        let mut list = RequestHeaders::default();
        Err(End::Blocked(Block {
            check: Check::Header,
            why,
            sent: Some(said(response, FIELD)),
            needed: Some(format!("{FIELD}: {}", all.join(", "))),
            directives: list_directive("cors_allow_headers", &all, &missing, |name| list.add(name)),
        }))
    }

    /// [Extracts the values](https://fetch.spec.whatwg.org/#extract-header-list-values) of a list field. It fails if an
    /// element is not a token.
    fn list(&self, response: &Response, field: &'static str, check: Check) -> Result<Vec<String>, End> {
        extract(response, field).map_err(|element| {
            End::Blocked(Block {
                check,
                why: format!("\"{element}\" is not a valid element of the list, so browsers reject the whole answer"),
                sent: Some(said(response, field)),
                needed: Some(format!("{field}: names, separated by commas")),
                directives: Vec::new(),
            })
        })
    }

    /// [HTTP-network-or-cache fetch](https://fetch.spec.whatwg.org/#concept-http-network-or-cache-fetch).
    fn request(&mut self) -> Result<Response, End> {
        let mut fields = self.headers.clone();
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            fields.push(("Accept".to_owned(), b"*/*".to_vec()));
        }
        // https://fetch.spec.whatwg.org/#append-a-request-origin-header
        if self.is_cors || !matches!(self.method.as_str(), "GET" | "HEAD") {
            fields.push(("Origin".to_owned(), self.serialized_origin().as_bytes().to_vec()));
        }
        fields.extend(self.metadata());
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            fields.push(user_agent());
        }
        // The credentials mode `same-origin` sends them where the tainting is `basic`.
        if let Some(cookie) = self.cookie.as_ref().filter(|_| self.credentials || !self.is_cors) {
            fields.push(("Cookie".to_owned(), cookie.clone().into_bytes()));
        }
        let request = Request { method: self.method.clone(), url: self.url().clone(), fields, body: self.body.clone() };
        self.exchange(Purpose::Request, request)
    }

    /// The origin of the page, also where the browser sends `null` after a redirect.
    fn allow_origin(&self) -> String {
        format!("cors_allow_origin {};", self.origin)
    }

    /// The [CORS check](https://fetch.spec.whatwg.org/#concept-cors-check).
    fn cors_check(&self, response: &Response, purpose: Purpose) -> Result<(), Block> {
        const ORIGIN: &str = "Access-Control-Allow-Origin";
        const CREDENTIALS: &str = "Access-Control-Allow-Credentials";
        let origin = self.serialized_origin();
        let failed = |check, why: String, field: &str, needed: String, directives: Vec<String>| {
            let sent = match said(response, field) {
                said if purpose == Purpose::Preflight && !(200..300).contains(&response.status) => {
                    format!("status {}, {said}", response.status)
                }
                said => said,
            };
            Err(Block { check, why, sent: Some(sent), needed: Some(needed), directives })
        };
        let needed = if self.credentials { origin.to_owned() } else { format!("{origin}, or *") };
        let wrong = |why: String, more: Option<&str>| {
            let directives = [self.allow_origin()].into_iter().chain(more.map(str::to_owned)).collect();
            failed(Check::Origin, why, ORIGIN, format!("{ORIGIN}: {needed}"), directives)
        };
        let tainted = if origin != self.origin { ", after a redirect from one other origin to another" } else { "" };
        match response.get(ORIGIN).as_deref() {
            None => return wrong(format!("the answer does not allow the origin {origin}{tainted}"), None),
            Some(b"*") if !self.credentials => return Ok(()),
            Some(b"*") => {
                let why = "with credentials, browsers do not accept *; the answer must name the origin";
                return wrong(why.to_owned(), Some("cors_allow_credentials on;"));
            }
            Some(value) if value != origin.as_bytes() => {
                let why = match response.values(ORIGIN).count() {
                    1 => format!("the answer allows {}, and the origin is {origin}{tainted}", shown(value)),
                    several => {
                        format!("the field was sent {several} times, and browsers do not accept a list of origins")
                    }
                };
                return wrong(why, None);
            }
            Some(_) => {}
        }
        if !self.credentials || response.get(CREDENTIALS).as_deref() == Some(b"true") {
            return Ok(());
        }
        failed(
            Check::Credentials,
            "the request has credentials, and the answer does not permit them".to_owned(),
            CREDENTIALS,
            format!("{CREDENTIALS}: true"),
            vec![self.allow_origin(), "cors_allow_credentials on;".to_owned()],
        )
    }

    /// [HTTP-redirect fetch](https://fetch.spec.whatwg.org/#concept-http-redirect-fetch): whether there is another URL.
    fn redirect(&mut self, response: &Response) -> Result<bool, End> {
        let locations: Vec<_> = response.values("Location").collect();
        // https://fetch.spec.whatwg.org/#concept-response-location-url
        let location = match locations[..] {
            [] => {
                self.note(format!("Status {} without Location is an answer like others", response.status));
                return Ok(false);
            }
            [location] => location,
            _ => return blocked(Check::Redirect, "Location was sent several times"),
        };
        let text = shown(location);
        let Ok(mut next) = self.url().join(&text) else {
            return blocked(Check::Redirect, format!("Location is not a valid URL: \"{text}\""));
        };
        if next.fragment().is_none() {
            next.set_fragment(self.url().fragment());
        }
        if !matches!(next.scheme(), "http" | "https") {
            return blocked(Check::Redirect, format!("{next} is not a URL of http or https"));
        }
        if self.urls.len() > 20 {
            return blocked(Check::Redirect, "browsers follow at most 20 redirects");
        }
        let has_user = !next.username().is_empty() || next.password().is_some();
        let leaves_origin = next.origin().ascii_serialization() != self.origin;
        if has_user && (self.is_cors || leaves_origin) {
            return blocked(Check::Redirect, format!("{next} has a user name or password"));
        }
        self.note(format!("A redirect to {next}"));
        // "internalResponse's status is 301 or 302 and request's method is `POST`", "... 303 and request's method is not
        // `GET` or `HEAD`"
        let becomes_get = match response.status {
            301 | 302 => self.method == "POST",
            303 => !matches!(self.method.as_str(), "GET" | "HEAD"),
            _ => false,
        };
        if becomes_get {
            self.method = "GET".to_owned();
            self.body = None;
            self.headers.retain(|(name, _)| !safelist::is_body_header(name));
        }
        if self.url().origin() != next.origin() {
            self.headers.retain(|(name, _)| !safelist::is_non_wildcard(name));
        }
        let was_tainted = self.serialized_origin() != self.origin;
        self.urls.push(next);
        if !was_tainted && self.serialized_origin() != self.origin {
            self.note("From here on, the browser sends Origin: null, because one other origin redirects to another");
        }
        Ok(true)
    }

    /// The [CORS filtered response](https://fetch.spec.whatwg.org/#concept-filtered-response-cors), or the basic one.
    fn filtered(&self, response: Response) -> Outcome {
        let exposed = extract(&response, "Access-Control-Expose-Headers").unwrap_or_default();
        let is_any = !self.credentials && exposed.iter().any(|name| name == "*");
        let is_readable = |(name, _): &&Header| {
            !safelist::is_forbidden_response(name)
                && (!self.is_cors
                    || is_any
                    || safelist::is_safelisted_response(name)
                    || exposed.iter().any(|other| other.eq_ignore_ascii_case(name)))
        };
        let (fields, rest): (Vec<_>, Vec<_>) = response.fields.iter().partition(is_readable);
        let fields = fields.into_iter().cloned().collect();
        let mut hidden: Vec<_> = rest.into_iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        hidden.dedup();
        Outcome::Readable { response, fields, hidden }
    }
}

/// A directive with the names of a list that nginx accepts, if the wanted ones are among them.
fn list_directive(
    directive: &str,
    names: &[String],
    wanted: &[String],
    mut add: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Vec<String> {
    let mut accepted = |name: &&String| match add(name.as_bytes()) {
        Ok(()) => true,
        Err(problem) => problem.is_warning() && problem.reason != Reason::Duplicate,
    };
    let names: Vec<_> = names.iter().filter(|name| accepted(name)).map(String::as_str).collect();
    match wanted.iter().all(|name| names.contains(&name.as_str())) {
        true => vec![format!("{directive} {};", names.join(" "))],
        false => Vec::new(),
    }
}

/// `name: value`, or that it was not sent.
fn said(response: &Response, field: &str) -> String {
    match response.get(field) {
        Some(value) => format!("{field}: {}", shown(&value)),
        None => format!("no {field}"),
    }
}

/// The elements of a list field; the error is the first that is not a token.
fn extract(response: &Response, field: &str) -> Result<Vec<String>, String> {
    let value = response.get(field).unwrap_or_default();
    let elements: Vec<_> = list::elements(&value).collect();
    match elements.iter().find(|element| !list::is_token(element)) {
        Some(wrong) => Err(shown(wrong)),
        None => Ok(elements.into_iter().map(shown).collect()),
    }
}

fn user_agent() -> Header {
    ("User-Agent".to_owned(), concat!("cors/", env!("CARGO_PKG_VERSION")).as_bytes().to_vec())
}

/// Whether a URL is [potentially trustworthy](https://w3c.github.io/webappsec-secure-contexts/#is-url-trustworthy).
fn is_trustworthy(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || is_local
}

/// [Same site](https://html.spec.whatwg.org/#same-site): the scheme, and the host up to the label before its public suffix.
fn is_same_site(a: &Url, b: &Url) -> bool {
    let site = |url: &Url| {
        let host = url.host_str().unwrap_or_default().to_owned();
        match url.host() {
            Some(url::Host::Domain(_)) => cors_policy::origin::registrable_domain(&host).to_owned(),
            _ => host,
        }
    };
    a.scheme() == b.scheme() && site(a) == site(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers in turn, and what was asked for.
    struct Script(Vec<Response>, Vec<Request>);

    impl Transport for Script {
        fn send(&mut self, request: &Request) -> Result<Response, Failure> {
            self.1.push(request.clone());
            if self.0.is_empty() {
                return Err("nothing".to_owned());
            }
            Ok(self.0.remove(0))
        }
    }

    type Fields<'a> = &'a [(&'a str, &'a str)];

    fn answer(status: u16, fields: Fields<'_>) -> Response {
        let fields = fields.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        Response { version: "HTTP/1.1".to_owned(), status, fields, trouble: None }
    }

    const APP: &str = "https://app.example.com";
    const ALLOW: (&str, &str) = ("Access-Control-Allow-Origin", APP);
    const CREDENTIALS: (&str, &str) = ("Access-Control-Allow-Credentials", "true");
    const ANY: (&str, &str) = ("Access-Control-Allow-Origin", "*");

    fn request(method: &str, headers: &[&str], credentials: bool) -> Fetch {
        let header = |text: &&str| {
            let (name, value) = text.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Fetch {
            url: Url::parse("https://api.example.net/x").unwrap(),
            origin: APP.to_owned(),
            method: method.to_owned(),
            headers: headers.iter().map(header).collect(),
            credentials,
            cookie: None,
            body: None,
        }
    }

    /// The outcome in a word, and what was sent.
    fn run(request: &Fetch, answers: &[Response]) -> (String, Vec<Request>) {
        let mut script = Script(answers.to_vec(), Vec::new());
        let word = match fetch(request, &mut script).1 {
            Outcome::Readable { response, .. } => response.status.to_string(),
            Outcome::Blocked(block) => block.check.name().to_owned(),
            Outcome::NoAnswer(_) => "none".to_owned(),
        };
        (word, script.1)
    }

    fn field(request: &Request, name: &str) -> Option<String> {
        request.fields.iter().find(|(other, _)| other == name).map(|(_, value)| shown(value))
    }

    #[test]
    fn simple_requests() {
        let rows: [(Fields<'_>, bool, &str); 12] = [
            (&[ALLOW], false, "200"),
            (&[ANY], false, "200"),
            (&[], false, "origin"),
            (&[ANY], true, "origin"),
            (&[ALLOW], true, "credentials"),
            (&[ALLOW, ("Access-Control-Allow-Credentials", "true")], true, "200"),
            (&[ALLOW, ("Access-Control-Allow-Credentials", "True")], true, "credentials"),
            (&[ALLOW, ALLOW], false, "origin"),
            (&[ANY, ANY], false, "origin"),
            (&[("access-control-allow-origin", "https://app.example.com/")], false, "origin"),
            (&[("Access-Control-Allow-Origin", "HTTPS://app.example.com")], false, "origin"),
            (&[("Access-Control-Allow-Origin", "null")], false, "origin"),
        ];
        for (fields, credentials, expected) in rows {
            let (word, sent) = run(&request("GET", &[], credentials), &[answer(200, fields)]);
            assert_eq!((word.as_str(), sent.len()), (expected, 1), "{fields:?} {credentials}");
            assert_eq!(field(&sent[0], "Origin").as_deref(), Some(APP));
        }
    }

    #[test]
    fn preflights() {
        let methods = |value: &'static str| ("Access-Control-Allow-Methods", value);
        let headers = |value: &'static str| ("Access-Control-Allow-Headers", value);
        type Row<'a> = (&'a str, &'a [&'a str], bool, u16, Fields<'a>, &'a str);
        let rows: [Row<'_>; 16] = [
            ("PUT", &[], false, 204, &[ALLOW, methods("PUT")], "200"),
            ("put", &[], false, 204, &[ALLOW, methods("GET,PUT")], "200"),
            ("PUT", &[], false, 204, &[ALLOW, methods("put")], "method"),
            ("PUT", &[], false, 204, &[ALLOW, methods("*")], "200"),
            ("patch", &[], false, 204, &[ALLOW, methods("PATCH")], "method"),
            ("PUT", &[], false, 204, &[ALLOW], "method"),
            ("PUT", &[], false, 204, &[ALLOW, methods("PUT,a b")], "method"),
            ("PUT", &[], false, 403, &[ALLOW, methods("PUT")], "preflight-status"),
            ("PUT", &[], false, 301, &[ALLOW, methods("PUT"), ("Location", "/y")], "preflight-status"),
            ("PUT", &[], false, 403, &[], "origin"),
            ("GET", &["X-Own: 1"], false, 204, &[ALLOW, headers("x-OWN")], "200"),
            ("GET", &["X-Own: 1"], false, 204, &[ALLOW, headers("*")], "200"),
            ("GET", &["X-Own: 1"], true, 204, &[ALLOW, headers("*")], "credentials"),
            ("GET", &["Authorization: x"], false, 204, &[ALLOW, headers("*")], "header"),
            ("GET", &["Authorization: x"], false, 204, &[ALLOW, headers("*, authorization")], "200"),
            ("GET", &["X-Own: 1", "X-Two: 2"], false, 204, &[ALLOW, headers("x-own")], "header"),
        ];
        for (method, set, credentials, status, fields, expected) in rows {
            let (word, sent) =
                run(&request(method, set, credentials), &[answer(status, fields), answer(200, &[ALLOW])]);
            assert_eq!(word, expected, "{method} {set:?} {fields:?}");
            assert_eq!(sent[0].method, "OPTIONS");
            assert_eq!(sent.len(), if expected == "200" { 2 } else { 1 });
        }
        let (_, sent) = run(&request("POST", &["X-B: 1", "x-a: 2", "Accept: x"], false), &[]);
        assert_eq!(field(&sent[0], "Access-Control-Request-Headers").as_deref(), Some("x-a,x-b"));
        assert_eq!(field(&sent[0], "Access-Control-Request-Method").as_deref(), Some("POST"));
    }

    #[test]
    fn arguments() {
        let mut with_body = request("GET", &[], false);
        with_body.body = Some(b"x".to_vec());
        assert_eq!(run(&with_body, &[]).0, "arguments");
        with_body.method = "POST".to_owned();
        let (word, sent) = run(&with_body, &[answer(200, &[ANY])]);
        assert_eq!(
            (word.as_str(), field(&sent[0], "Content-Type").as_deref()),
            ("200", Some("text/plain;charset=UTF-8"))
        );
        for method in ["TRACE", "a b", ""] {
            assert_eq!(run(&request(method, &[], false), &[]).0, "arguments", "{method}");
        }
        let (word, sent) = run(&request("GET", &["Cookie: a", "Sec-X: 1"], false), &[answer(200, &[ANY])]);
        assert_eq!((word.as_str(), field(&sent[0], "Cookie")), ("200", None));
        let mut mixed = request("GET", &[], false);
        mixed.url = Url::parse("http://api.example.net/").unwrap();
        assert_eq!(run(&mixed, &[]).0, "mixed-content");
        mixed.url = Url::parse("https://api.example.net:6667/").unwrap();
        assert_eq!(run(&mixed, &[]).0, "port");
        assert_eq!(run(&request("GET", &[], false), &[]).0, "none");
    }

    #[test]
    fn redirects() {
        let to = |url: &'static str| answer(302, &[ANY, ("Location", url)]);
        let ok = answer(200, &[ANY]);
        type Row<'a> = (&'a str, &'a [Response], &'a str, &'a [Option<&'a str>]);
        let rows: [Row<'_>; 8] = [
            ("https://api.example.net/a", &[to("/b"), ok.clone()], "200", &[Some(APP), Some(APP)]),
            ("https://api.example.net/a", &[to("https://b.example/"), ok.clone()], "200", &[Some(APP), Some("null")]),
            ("https://app.example.com/a", &[to("https://b.example/"), ok.clone()], "200", &[None, Some(APP)]),
            (
                "https://api.example.net/a",
                &[to("https://app.example.com/"), ok.clone()],
                "200",
                &[Some(APP), Some("null")],
            ),
            ("https://api.example.net/a", &[to("data:,x")], "redirect", &[Some(APP)]),
            ("https://api.example.net/a", &[to("https://u@api.example.net/")], "redirect", &[Some(APP)]),
            ("https://api.example.net/a", &[answer(302, &[ANY])], "302", &[Some(APP)]),
            ("https://api.example.net/a", &[answer(302, &[("Location", "/b")])], "origin", &[Some(APP)]),
        ];
        for (url, answers, expected, origins) in rows {
            let mut first = request("GET", &[], false);
            first.url = Url::parse(url).unwrap();
            let (word, sent) = run(&first, answers);
            let sent: Vec<_> = sent.iter().map(|request| field(request, "Origin")).collect();
            assert_eq!(word, expected, "{url}");
            assert_eq!(sent.iter().map(Option::as_deref).collect::<Vec<_>>(), origins, "{url}");
        }
        let (word, sent) = run(&request("GET", &[], false), &vec![to("/again"); 30]);
        assert_eq!((word.as_str(), sent.len()), ("redirect", 21));
    }

    #[test]
    fn what_to_write() {
        let preflight = |name, value| [answer(204, &[ALLOW, (name, value)])];
        let methods = |value| preflight("Access-Control-Allow-Methods", value);
        let headers = |value| preflight("Access-Control-Allow-Headers", value);
        let to = answer(302, &[ANY, ("Location", "https://b.example/")]);
        let null = answer(200, &[("Access-Control-Allow-Origin", "null")]);
        let put = request("PUT", &[], false);
        let own = request("GET", &["X-Own: 1"], false);
        let rows: [(&Fetch, &[Response], &str); 9] = [
            (&put, &methods("put"), "cors_allow_methods PUT;"),
            (&put, &methods("GET, any, get, TRACE, DELETE, DELETE"), "cors_allow_methods GET DELETE PUT;"),
            (&put, &methods("a b"), ""),
            (&request("patch", &[], false), &methods("put"), ""),
            (&own, &headers("x-a, x-a, any, x-*"), "cors_allow_headers x-a x-own;"),
            (&own, &headers("a b"), ""),
            (&request("GET", &["always: 1"], false), &headers("X-A"), ""),
            (
                &request("GET", &[], false),
                &[to.clone(), answer(200, &[])],
                "cors_allow_origin https://app.example.com;",
            ),
            (
                &request("GET", &[], true),
                &[answer(302, &[ALLOW, CREDENTIALS, ("Location", "https://b.example/")]), null],
                "cors_allow_origin https://app.example.com; cors_allow_credentials on;",
            ),
        ];
        for (request, answers, expected) in rows {
            let mut script = Script(answers.to_vec(), Vec::new());
            let Outcome::Blocked(block) = fetch(request, &mut script).1 else { panic!("{expected}") };
            assert_eq!(block.directives.join(" "), expected, "{}", block.why);
            let says = block.why.contains("let the script fetch https://b.example/ itself");
            assert_eq!(says, expected.starts_with("cors_allow_origin"), "{}", block.why);
        }
    }

    #[test]
    fn why_it_is_blocked() {
        let methods = |value: &'static str| ("Access-Control-Allow-Methods", value);
        let headers = |value: &'static str| ("Access-Control-Allow-Headers", value);
        let to = answer(302, &[ANY, ("Location", "https://b.example/")]);
        let (get, put) = (request("GET", &[], false), request("PUT", &[], false));
        let (own, own_with) = (request("GET", &["X-Own: 1"], false), request("GET", &["X-Own: 1"], true));
        let rows: [(&Fetch, &[Response], &str, &str); 12] = [
            (&get, &[answer(404, &[])], "the answer does not allow the origin https://app.example.com", "no Access-Control-Allow-Origin"),
            (&put, &[answer(204, &[])], "the answer does not allow the origin https://app.example.com", "no Access-Control-Allow-Origin"),
            (&put, &[answer(403, &[])], "the answer does not allow the origin https://app.example.com", "status 403, no Access-Control-Allow-Origin"),
            (
                &get,
                &[to, answer(200, &[ALLOW])],
                "the answer allows https://app.example.com, and the origin is null, after a redirect from one other origin to another; \
                 let the script fetch https://b.example/ itself, because null is also the origin of any sandboxed page",
                "Access-Control-Allow-Origin: https://app.example.com",
            ),
            (
                &get,
                &[answer(200, &[ALLOW, ANY])],
                "the field was sent 2 times, and browsers do not accept a list of origins",
                "Access-Control-Allow-Origin: https://app.example.com, *",
            ),
            (
                &request("PUT", &[], true),
                &[answer(204, &[ALLOW, CREDENTIALS, methods("*")])],
                "with credentials, * is only the name of a method, and PUT is not listed",
                "Access-Control-Allow-Methods: *",
            ),
            (
                &request("patch", &[], false),
                &[answer(204, &[ALLOW, methods("PATCH")])],
                "the method patch is not listed in this case, and methods are case-sensitive",
                "Access-Control-Allow-Methods: PATCH",
            ),
            (&put, &[answer(204, &[ALLOW])], "the method PUT is not listed", "no Access-Control-Allow-Methods"),
            (
                &own_with,
                &[answer(204, &[ALLOW, CREDENTIALS, headers("*")])],
                "with credentials, * is only the name of a header, and it does not allow x-own",
                "Access-Control-Allow-Headers: *",
            ),
            (
                &request("GET", &["Authorization: x", "X-Own: 1"], false),
                &[answer(204, &[ALLOW, headers("*")])],
                "* does not allow authorization, which must be listed",
                "Access-Control-Allow-Headers: *",
            ),
            (&own, &[answer(204, &[ALLOW])], "the header x-own is not listed", "no Access-Control-Allow-Headers"),
            (
                &request("GET", &["X-Own: 1", "X-Two: 2"], false),
                &[answer(204, &[ALLOW, headers("X-A")])],
                "the headers x-own, x-two are not listed",
                "Access-Control-Allow-Headers: X-A",
            ),
        ];
        for (request, answers, why, sent) in rows {
            let mut script = Script(answers.to_vec(), Vec::new());
            let Outcome::Blocked(block) = fetch(request, &mut script).1 else { panic!("{why}") };
            assert_eq!((block.why.as_str(), block.sent.as_deref()), (why, Some(sent)));
        }
    }

    #[test]
    fn requests_that_are_not_made() {
        let at = |url: &str| Fetch { url: Url::parse(url).unwrap(), ..request("GET", &[], false) };
        for refused in [
            at("https://user@api.example.net/"),
            at("https://:password@api.example.net/"),
            at("ftp://api.example.net/"),
            request("GET", &["X-Own: a\nb"], false),
            request("GET", &["a b: c"], false),
        ] {
            assert_eq!(run(&refused, &[answer(200, &[ANY])]).0, "arguments", "{} {:?}", refused.url, refused.headers);
        }
        // https pages may fetch these, which are trustworthy without https.
        for url in ["http://localhost/", "http://a.localhost./", "http://127.0.0.1/", "http://[::1]/"] {
            assert_eq!(run(&at(url), &[answer(200, &[ANY])]).0, "200", "{url}");
        }
        for url in ["http://localhost.example/", "http://alocalhost/", "http://10.0.0.1/"] {
            assert_eq!(run(&at(url), &[answer(200, &[ANY])]).0, "mixed-content", "{url}");
        }
    }

    #[test]
    fn cookies() {
        for (url, credentials, expected) in [
            ("https://api.example.net/", false, None),
            ("https://api.example.net/", true, Some("a=b")),
            ("https://app.example.com/", false, Some("a=b")),
        ] {
            let wanted = Fetch {
                url: Url::parse(url).unwrap(),
                cookie: Some("a=b".to_owned()),
                ..request("GET", &[], credentials)
            };
            let (_, sent) = run(&wanted, &[answer(200, &[ALLOW, CREDENTIALS])]);
            assert_eq!(field(&sent[0], "Cookie").as_deref(), expected, "{url} {credentials}");
        }
    }

    #[test]
    fn methods_and_headers_after_redirects() {
        let allow =
            [ANY, ("Access-Control-Allow-Methods", "PUT"), ("Access-Control-Allow-Headers", "*, authorization")];
        let permit = answer(204, &allow);
        let to = |status, url| answer(status, &[ANY, ("Location", url)]);
        let ok = answer(200, &[ANY]);
        let mut post = request("POST", &[], false);
        post.body = Some(b"x".to_vec());
        let (_, sent) = run(&post, &[to(302, "/b"), ok.clone()]);
        assert_eq!((sent[1].method.as_str(), field(&sent[1], "Content-Type")), ("GET", None));
        let (_, sent) = run(&post, &[to(307, "/b"), ok.clone()]);
        assert_eq!((sent[1].method.as_str(), sent[1].body.as_deref()), ("POST", Some(&b"x"[..])));
        let (word, sent) =
            run(&request("PUT", &[], false), &[permit.clone(), to(302, "/b"), permit.clone(), ok.clone()]);
        let methods: Vec<_> = sent.iter().map(|request| request.method.as_str()).collect();
        assert_eq!((word.as_str(), methods), ("200", vec!["OPTIONS", "PUT", "OPTIONS", "PUT"]));
        let (word, sent) = run(
            &request("GET", &["Authorization: x"], false),
            &[permit.clone(), to(302, "https://b.example/"), ok.clone()],
        );
        assert_eq!((word.as_str(), field(&sent[2], "Authorization")), ("200", None));
        assert_eq!((sent.len(), sent[2].method.as_str()), (3, "GET"));
        let (_, sent) = run(
            &request("GET", &["Authorization: x"], false),
            &[permit.clone(), to(302, "/b"), permit.clone(), ok.clone()],
        );
        assert_eq!((sent.len(), field(&sent[3], "Authorization").as_deref()), (4, Some("x")));
        let (_, sent) = run(&request("PUT", &[], false), &[permit, to(303, "/b"), ok.clone()]);
        assert_eq!((sent.len(), sent[2].method.as_str()), (3, "GET"));
        let (_, sent) = run(&request("HEAD", &[], false), &[to(303, "/b"), ok.clone()]);
        assert_eq!(sent[1].method, "HEAD");
        // Only what describes the body goes with it.
        let own = [ANY, ("Access-Control-Allow-Headers", "x-own")];
        let (_, sent) = run(
            &Fetch { body: Some(b"x".to_vec()), ..request("POST", &["X-Own: 1", "Content-Language: de"], false) },
            &[answer(204, &own), to(302, "/b"), answer(204, &own), ok.clone()],
        );
        assert_eq!((sent.len(), sent[3].method.as_str()), (4, "GET"));
        assert_eq!((field(&sent[3], "X-Own").as_deref(), field(&sent[3], "Content-Language")), (Some("1"), None));
        // The own origin may redirect to itself with a user name; others may not.
        let own = Fetch { url: Url::parse(APP).unwrap(), ..request("GET", &[], false) };
        assert_eq!(run(&own, &[to(302, "https://u@app.example.com/"), ok.clone()]).0, "200");
        assert_eq!(run(&own, &[to(302, "https://u@b.example/"), ok.clone()]).0, "redirect");
        // It is said once that the origin is null from here on.
        let mut script = Script(vec![to(302, "https://b.example/"), to(302, "https://c.example/"), ok], Vec::new());
        let (steps, _) = fetch(&request("GET", &[], false), &mut script);
        let notes: Vec<_> = steps
            .iter()
            .filter_map(|step| if let Step::Note(text) = step { Some(text.as_str()) } else { None })
            .filter(|text| !text.starts_with("No preflight"))
            .collect();
        assert_eq!(
            notes,
            [
                "A redirect to https://b.example/",
                "From here on, the browser sends Origin: null, because one other origin redirects to another",
                "A redirect to https://c.example/",
            ]
        );
    }

    #[test]
    fn fields_that_scripts_can_read() {
        let fields = [ALLOW, ("ETag", "1"), ("X-Own", "2"), ("Content-Type", "a"), ("Set-Cookie", "b")];
        let rows = [
            (None, false, "Content-Type"),
            (Some("etag"), false, "ETag Content-Type"),
            (Some("*"), false, "Access-Control-Allow-Origin ETag X-Own Content-Type Access-Control-Expose-Headers"),
            (Some("X-Own, a b"), false, "Content-Type"),
            (Some("set-cookie"), false, "Content-Type"),
        ];
        for (exposed, credentials, expected) in rows {
            let mut all = fields.to_vec();
            all.extend(exposed.map(|value| ("Access-Control-Expose-Headers", value)));
            let mut script = Script(vec![answer(200, &all)], Vec::new());
            let (_, outcome) = fetch(&request("GET", &[], credentials), &mut script);
            let Outcome::Readable { fields, .. } = outcome else { panic!("{exposed:?}") };
            let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names.join(" "), expected, "{exposed:?}");
        }
    }

    #[test]
    fn sites() {
        let site = |url: &str| {
            let mut request = request("GET", &[], false);
            request.url = Url::parse(url).unwrap();
            field(&run(&request, &[answer(200, &[ANY])]).1[0], "Sec-Fetch-Site")
        };
        assert_eq!(site("https://api.example.com/").as_deref(), Some("same-site"));
        assert_eq!(site("https://app.example.com/").as_deref(), Some("same-origin"));
        assert_eq!(site("https://api.example.net/").as_deref(), Some("cross-site"));
    }
}
