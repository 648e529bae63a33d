// SPDX-License-Identifier: Apache-2.0
//! Locations for routes. What they come from may select them by more than the path, or in another order than nginx.

use std::cmp::Reverse;

use percent_encoding::percent_decode_str;
use regex::Regex;

use super::draft::{quoted, Draft, Notes};
use super::{hosts, Part};

/// How nginx compares a location with a path. It prefers them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exact,
    Expression,
    Prefix,
}

/// What comes after `location`.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    text: String,
    kind: Kind,
    /// What every path that it matches starts with.
    start: String,
    /// The expression, if it has one.
    expression: Option<String>,
    /// Whether it only completes the location of all paths below it. A rule for exactly this path comes first.
    is_implied: bool,
}

impl Location {
    fn new(kind: Kind, text: String, start: &str) -> Location {
        Location { text, kind, start: start.to_owned(), expression: None, is_implied: false }
    }

    /// For all paths that start with this one.
    pub fn start(path: &str) -> Location {
        let path = if path.is_empty() { "/".to_owned() } else { decoded(path) };
        Location::new(Kind::Prefix, path.clone(), &path)
    }

    /// The locations for a path and all below it: for `/api`, also `/api/x`, but not `/apis`.
    pub fn below(path: &str) -> Vec<Location> {
        match path.is_empty() || path.ends_with('/') {
            true => vec![Location::start(path)],
            false => {
                vec![Location::start(&format!("{path}/")), Location { is_implied: true, ..Location::exact(path) }]
            }
        }
    }

    /// For this path alone.
    pub fn exact(path: &str) -> Location {
        let path = decoded(path);
        Location::new(Kind::Exact, format!("= {path}"), &path)
    }

    /// For an expression that matches the whole of a path.
    pub fn whole(expression: &str) -> Location {
        let expression = &*without_names(expression);
        // nginx decodes `%0A`. In PCRE, `$` also matches before a line break at the end, and without `s` a dot matches none.
        let has_dot = expression.replace("\\\\", "").replace("\\.", "").contains('.');
        // Without a group, the anchors belong to the first and the last alternative.
        let anchored = match (has_dot, expression.contains('|')) {
            (true, _) => format!(r"^(?s:{expression})\z"),
            (false, true) => format!(r"^(?:{expression})\z"),
            (false, false) => format!(r"^{expression}\z"),
        };
        let location = Location::new(Kind::Expression, format!("~ {}", quoted(&anchored)), literal_start(expression));
        Location { expression: Some(anchored), ..location }
    }

    /// For an expression that matches the start of a path, in either case.
    pub fn start_in_either_case(expression: &str) -> Location {
        let anchored = format!("^{expression}");
        let location = Location::new(Kind::Expression, format!("~* {}", quoted(&anchored)), "/");
        Location { expression: Some(format!("(?i){anchored}")), ..location }
    }

    /// For all paths that a path may be for which nginx cannot compare as its source does: it decodes them, joins slashes and
    /// resolves dots, so that several paths are one to it. `None` if it can compare the path.
    pub fn in_place_of(path: &str) -> Option<Location> {
        let lower = path.to_ascii_lowercase();
        let rows = [("//", 1), ("/./", 1), ("/../", 1), ("%2f", 0), ("%00", 0), ("?", 0), ("#", 0)];
        let clear = rows.iter().filter_map(|(part, kept)| Some(lower.find(part)? + kept));
        let clear = clear.chain(path.find(|c: char| !c.is_ascii_graphic())).chain(needless_escape(path)).min();
        let clear = clear.or(lower.ends_with("/..").then(|| path.len() - 2))?;
        Some(Location::start(&path[..clear]))
    }

    /// The same for an expression for whole paths, which is compared with a decoded path.
    pub fn in_place_of_whole(expression: &str) -> Option<Location> {
        let is_clear = !["%", "//", " "].iter().any(|part| expression.contains(part)) && expression.is_ascii();
        (!is_clear).then(|| Location::start(literal_start(expression)))
    }

    /// Why nginx cannot have such a location, if it cannot.
    pub fn refused(&self) -> Option<&'static str> {
        if !self.start.starts_with('/') {
            return Some("it does not start with a slash");
        }
        let is_wrong = self.expression.as_ref().is_some_and(|expression| {
            use regex_syntax::ast::ErrorKind::{UnsupportedBackreference, UnsupportedLookAround};
            // Those that PCRE supports.
            let is_other = |kind: &_| !matches!(kind, UnsupportedBackreference | UnsupportedLookAround);
            regex_syntax::ast::parse::Parser::new().parse(expression).is_err_and(|error| is_other(error.kind()))
        });
        is_wrong.then_some("it is not a valid expression")
    }

    /// Whether it matches a path, if that can be said.
    fn matches(&self, path: &str) -> Option<bool> {
        match &self.expression {
            Some(expression) => Regex::new(expression).ok().map(|expression| expression.is_match(path)),
            None => Some(path.starts_with(&self.start) && (self.kind == Kind::Prefix || path == self.start)),
        }
    }

    /// The path that nginx redirects to this location, if it is passed on and there is no location for exactly that path.
    fn redirected(&self) -> Option<&str> {
        self.start.strip_suffix('/').filter(|path| self.kind != Kind::Expression && !path.is_empty())
    }

    /// Whether every path that matches the other one matches this one.
    fn covers(&self, other: &Location) -> bool {
        self.text == other.text || self.kind == Kind::Prefix && other.start.starts_with(&self.start)
    }

    /// Whether nginx may select this location for a path that matches the other one as well. `is_first` is whether this one comes
    /// first in the configuration.
    fn takes(&self, other: &Location, is_first: bool) -> bool {
        let is_longer = self.start.starts_with(&other.start);
        let may_overlap = is_longer || other.start.starts_with(&self.start);
        match (self.kind, other.kind) {
            _ if self.text == other.text => true,
            (Kind::Exact, Kind::Expression) => other.matches(&self.start).unwrap_or(is_longer),
            (Kind::Exact | Kind::Prefix, Kind::Prefix) => is_longer,
            (Kind::Expression, Kind::Prefix) => may_overlap,
            (Kind::Expression, Kind::Expression) => is_first && may_overlap,
            (_, Kind::Exact) | (Kind::Prefix, Kind::Expression) => false,
        }
    }

    /// Whether nginx would serve requests for this location out of the other one, if this one were not there.
    fn is_within(&self, other: &Location) -> bool {
        match (self.kind, other.kind) {
            (Kind::Expression, _) => other.kind != Kind::Exact,
            (Kind::Exact, Kind::Expression) => other.matches(&self.start).unwrap_or(true),
            (Kind::Prefix, Kind::Expression) => false,
            (_, Kind::Prefix) => self.start.starts_with(&other.start),
            (_, Kind::Exact) => false,
        }
    }
}

/// A path as nginx compares it with locations.
fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8().map_or_else(|_| path.to_owned(), |decoded| decoded.into_owned())
}

/// Where a path has an escape of a character that may also be sent as it is.
fn needless_escape(path: &str) -> Option<usize> {
    path.match_indices('%').map(|(at, _)| at).find(|&at| {
        let digits = path.get(at + 1..at + 3);
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        escaped.is_some_and(|b| b.is_ascii_graphic() && !matches!(b, b'%' | b'?' | b'#'))
    })
}

/// An expression without the names of its groups, which would become variables of nginx.
fn without_names(expression: &str) -> String {
    match Regex::new(r"(^|[^\\])\(\?P?<[A-Za-z_]\w*>") {
        Ok(named) => named.replace_all(expression, "$1(?:").into_owned(),
        Err(_) => expression.to_owned(),
    }
}

/// What every path starts with that an expression matches, as far as that is plain.
fn literal_start(expression: &str) -> &str {
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_');
    let length = expression.find(|c| !is_plain(c)).unwrap_or(expression.len());
    let (mut start, rest) = expression.split_at(length);
    // The last character may be missing.
    if rest.starts_with(['*', '?', '{']) {
        start = &start[..length.saturating_sub(1)];
    }
    match start.starts_with('/') && !expression.contains('|') {
        true => start,
        false => "/",
    }
}

/// The condition of a route whose path nginx compares in another form.
pub const RAW_PATH: &str = "raw path";

/// The URL that requests are passed to, or why they cannot be passed on in the same way.
pub type Upstream = Result<String, String>;

/// A route.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The `server_name` that it is for, if that is known.
    pub host: Option<String>,
    /// The paths that it is for.
    pub location: Location,
    /// Its policy, which may be empty.
    pub draft: Draft,
    /// What requests are passed to, if that is known.
    pub upstream: Option<Upstream>,
    /// Where it comes from.
    pub place: String,
    /// The object with it: the order of routes is only known within one.
    pub scope: usize,
    /// What it matches beside the path.
    pub conditions: Vec<String>,
}

impl Route {
    fn has_policy(&self) -> bool {
        !self.draft.is_empty()
    }

    /// Whether it gets all requests for its paths.
    fn is_unconditional(&self) -> bool {
        self.conditions.is_empty()
    }

    fn part(&self, notes: &mut Notes) -> Part {
        let why = match &self.upstream {
            Some(Ok(url)) if !is_address(url) => {
                Some(format!("{:?} is not the name of a host", url.trim_start_matches("http://")))
            }
            Some(Err(why)) => Some(why.clone()),
            _ => None,
        };
        if let Some(why) = &why {
            let text = format!("Location {} gets no proxy_pass: {why}", self.location.text);
            notes.left("proxy-pass", &self.place, text);
        }
        let upstream = self.upstream.clone().and_then(Result::ok).filter(|_| why.is_none());
        Part { host: self.host.clone(), location: self.location.text.clone(), draft: self.draft.clone(), upstream }
    }

    fn is_alike(&self, other: &Route) -> bool {
        self.draft == other.draft && self.upstream == other.upstream
    }
}

/// Whether a URL has nothing but the name of a host, and maybe a port.
fn is_address(url: &str) -> bool {
    let address = url.strip_prefix("http://").or(url.strip_prefix("https://")).unwrap_or(url);
    let (name, port) = address.split_once(':').unwrap_or((address, "80"));
    let is_in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_in_name) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Which route gets a request that several match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// The first one.
    Listed,
    /// The one that nginx would select. Paths without the slash at their end are other paths.
    Specific,
    /// The one that nginx would select.
    Nginx,
}

impl Order {
    /// Whether both routes are for the same server. Envoy has virtual hosts of the same name where they belong to several listeners.
    fn is_same_server(self, one: &Route, other: &Route) -> bool {
        one.host == other.host && (self != Order::Listed || one.scope == other.scope)
    }

    /// Whether the first of two routes of a server gets all requests that both match. Of two objects of Kubernetes that have the
    /// same path, the older one counts, and of two rules in one, that with more conditions.
    fn is_certain(self, first: &Route, second: &Route) -> bool {
        let is_first = self == Order::Listed || first.scope == second.scope && second.is_unconditional();
        first.is_unconditional() && (is_first || first.location.text != second.location.text)
    }
}

/// The locations for the routes: at most one for each server and each text. A location has a policy and an upstream only if all routes
/// that requests for it may belong to have the same. There is none for a route without a policy, except where its requests would
/// come under the policy of another location. A server without any policy has one for all of its paths where its requests would
/// come under the policy of another server.
pub fn parts(routes: &[Route], order: Order, notes: &mut Notes) -> Vec<Part> {
    let of_server =
        |route: &&Route| routes.iter().any(|other| other.has_policy() && order.is_same_server(other, route));
    let mut sorted: Vec<_> = routes.iter().filter(of_server).cloned().enumerate().collect();
    if order != Order::Listed {
        prefer(&mut sorted);
    }
    if order != Order::Nginx {
        sorted = with_redirected(sorted, order);
    }
    if order == Order::Specific {
        prefer(&mut sorted);
    }
    for (_, route) in &sorted {
        for condition in &route.conditions {
            let text = match condition == RAW_PATH {
                true => {
                    "The path is left out: nginx decodes and normalizes paths before it selects a location".to_owned()
                }
                false => format!("The condition {condition} is left out: nginx selects a location by the path alone"),
            };
            notes.left("condition", &route.place, text);
        }
    }
    let mut settled = settled(&reached(sorted, order, notes), order, notes);
    settled.sort_by_key(|(index, _)| *index);
    let settled: Vec<_> = settled.into_iter().map(|(_, route)| route).collect();
    if order != Order::Listed {
        name_expressions(&settled, notes);
    }
    let needed = needed(&settled, order);
    if order == Order::Listed {
        name_servers(&needed, notes);
    }
    let mut parts: Vec<_> = needed.iter().map(|route| route.part(notes)).collect();
    parts.extend(without_policy(routes, &needed, order, notes));
    parts
}

/// A route, and which one of those that were found it is.
type Numbered = (usize, Route);

/// Sorts routes as nginx prefers their locations.
fn prefer(routes: &mut [Numbered]) {
    routes.sort_by_key(|(_, Route { location, .. })| match location.kind {
        Kind::Prefix => (location.kind, false, Reverse(location.start.len())),
        kind => (kind, location.is_implied, Reverse(0)),
    });
}

/// The routes, with some for the paths that nginx would redirect: requests for `/old` to `/old/`, if there is only a location for that.
fn with_redirected(routes: Vec<Numbered>, order: Order) -> Vec<Numbered> {
    let mut added: Vec<Vec<Numbered>> = vec![Vec::new(); routes.len()];
    let mut last = Vec::new();
    for (at, (_, route)) in routes.iter().enumerate() {
        let Some(path) = route.location.redirected() else { continue };
        let mut exact = Location { is_implied: true, ..Location::exact("/") };
        exact.text = format!("= {path}");
        exact.start = path.to_owned();
        let of_server = |(_, other): &&Numbered| order.is_same_server(other, route);
        let mut before = routes[..at].iter().filter(of_server);
        if before.any(|(_, other)| other.location.redirected() == Some(path)) {
            continue;
        }
        let others = routes.iter().zip(&mut added);
        for ((index, other), added) in
            others.filter(|(other, _)| of_server(other) && other.1.location.text != exact.text)
        {
            let mut copy = Route { location: exact.clone(), scope: route.scope, ..other.clone() };
            match other.location.matches(path) {
                Some(true) => {}
                Some(false) => continue,
                None => copy.conditions.push("safe_regex".to_owned()),
            }
            added.push((*index, copy));
        }
        // For what no route matches.
        let nothing =
            Route { location: exact, draft: Draft::default(), upstream: None, conditions: Vec::new(), ..route.clone() };
        last.push((usize::MAX, nothing));
    }
    let routes = routes.into_iter().zip(added).flat_map(|(route, added)| added.into_iter().chain([route]));
    routes.chain(last).collect()
}

/// The routes that get a request.
fn reached(sorted: Vec<Numbered>, order: Order, notes: &mut Notes) -> Vec<Numbered> {
    let mut reached: Vec<Numbered> = Vec::new();
    for (index, route) in sorted {
        let mut others = reached.iter().map(|(_, other)| other).filter(|other| order.is_same_server(other, &route));
        match others.find(|other| order.is_certain(other, &route) && other.location.covers(&route.location)) {
            Some(other) if route.location.is_implied || other.is_alike(&route) => {}
            Some(other) => {
                let text = format!("Location {} is left out: {} takes its requests", route.location.text, other.place);
                notes.left("unreachable", &route.place, text);
            }
            None => reached.push((index, route)),
        }
    }
    reached
}

/// The routes whose locations nginx selects, with only what is the same for all requests that it selects them for.
fn settled(reached: &[Numbered], order: Order, notes: &mut Notes) -> Vec<Numbered> {
    let mut settled = Vec::new();
    for (at, (index, route)) in reached.iter().enumerate() {
        let of_server = |(_, other): &&Numbered| order.is_same_server(other, route);
        let earlier = reached[..at].iter().filter(of_server).map(|(_, other)| other);
        if earlier.clone().any(|other| other.location.text == route.location.text) {
            continue;
        }
        let later = reached[at + 1..].iter().filter(of_server).map(|(_, other)| other);
        let later = later.filter(|other| route.location.takes(&other.location, true));
        let later: Vec<_> = later.filter(|other| !order.is_certain(route, other)).collect();
        // The route that gets the requests that do not meet the conditions.
        let last = later.iter().position(|other| {
            !route.is_unconditional() && other.is_unconditional() && other.location.covers(&route.location)
        });
        let is_before =
            |at: usize, other: &Route| last.is_none_or(|last| at <= last || !order.is_certain(later[last], other));
        let later = later.iter().enumerate().filter(|(at, other)| is_before(*at, other)).map(|(_, other)| *other);
        let earlier = earlier.filter(|other| route.location.takes(&other.location, false));
        let rivals: Vec<_> = earlier.chain(later).collect();
        let is_partial = !route.is_unconditional() && last.is_none();
        let mut settled_route = route.clone();
        let location = &route.location.text;
        if let Some(other) = rivals.iter().find(|other| other.draft != route.draft) {
            settled_route.draft = Draft::default();
            let text = format!(
                "Location {location} gets no policy: some of its requests may be for {}, which has another policy",
                other.place
            );
            notes.left("ambiguous", &route.place, text);
        } else if route.has_policy() && is_partial {
            settled_route.draft = Draft::default();
            let text = format!(
                "Location {location} gets neither a policy nor a proxy_pass: it is only for requests that meet the conditions"
            );
            notes.left("ambiguous", &route.place, text);
        }
        if let Some(other) = rivals.iter().find(|other| other.upstream != route.upstream) {
            settled_route.upstream = None;
            let text = format!("Location {location} gets no proxy_pass: some of its requests may be for {}, which passes requests elsewhere", other.place);
            notes.left("proxy-pass", &route.place, text);
        } else if is_partial {
            settled_route.upstream = None;
        }
        settled.push((*index, settled_route));
    }
    settled
}

/// The routes with a policy, and those whose requests would otherwise come under another policy, or be passed elsewhere.
fn needed(routes: &[Route], order: Order) -> Vec<&Route> {
    let mut is_needed: Vec<_> = routes.iter().map(Route::has_policy).collect();
    loop {
        let takes = |other: &Route, route: &Route| {
            let is_other = other.has_policy() || other.upstream.is_some() && other.upstream != route.upstream;
            let is_redirected = route.location.kind == Kind::Exact
                && other.location.redirected() == Some(route.location.start.as_str());
            order.is_same_server(other, route)
                && (is_redirected || is_other && route.location.is_within(&other.location))
        };
        let is_taken = |route: &Route| {
            let mut others = routes.iter().zip(&is_needed).filter(|(_, is_needed)| **is_needed);
            others.any(|(other, _)| takes(other, route))
        };
        let now: Vec<_> =
            routes.iter().zip(&is_needed).map(|(route, is_needed)| *is_needed || is_taken(route)).collect();
        if now == is_needed {
            return routes.iter().zip(now).filter(|(_, is_needed)| *is_needed).map(|(route, _)| route).collect();
        }
        is_needed = now;
    }
}

/// Locations for the servers that have no location, if nginx would use that of another server in their place.
fn without_policy(routes: &[Route], needed: &[&Route], order: Order, notes: &mut Notes) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        let is_known = |other: &Route| order.is_same_server(other, route);
        if routes[..at].iter().any(is_known) || needed.iter().any(|other| is_known(other)) {
            continue;
        }
        let mut others = needed.iter().filter(|other| other.has_policy());
        if let Some(other) = others.clone().find(|other| other.host == route.host) {
            let text = format!("The server of these routes has no policy, but the name of that of {}", other.place);
            notes.differs("servers", &route.place, text);
            continue;
        }
        let Some(host) = &route.host else { continue };
        let Some(other) = others.find(|other| hosts::may_serve(other.host.as_deref(), host)) else { continue };
        if parts.iter().any(|part| part.host == route.host) {
            continue;
        }
        let text = format!(
            "{host} has no policy and needs a server of its own: without one, nginx may serve it with the policy of {}",
            other.place
        );
        notes.differs("server", &route.place, text);
        parts.push(Part { host: route.host.clone(), location: "/".to_owned(), ..Part::default() });
    }
    parts
}

/// Names the virtual hosts that have the name of another one.
fn name_servers(routes: &[&Route], notes: &mut Notes) {
    for (at, route) in routes.iter().enumerate() {
        let mut before = routes[..at].iter().filter(|other| other.host == route.host);
        let is_first = before.clone().all(|other| other.scope != route.scope);
        if let Some(other) = before.next().filter(|_| is_first) {
            let text = format!(
                "These locations are for another server than those of {}, which has the same name",
                other.place
            );
            notes.differs("servers", &route.place, text);
        }
    }
}

/// Names the locations whose requests may come under the policy of an expression. Kubernetes does not say which of them comes first.
fn name_expressions(routes: &[Route], notes: &mut Notes) {
    for route in routes.iter().filter(|route| route.location.kind == Kind::Prefix) {
        let mut others = routes.iter().filter(|other| other.host == route.host && other.has_policy());
        let takes =
            |other: &&Route| other.location.kind == Kind::Expression && other.location.takes(&route.location, false);
        if let Some(other) = others.find(|other| takes(other) && other.draft != route.draft) {
            let text = format!(
                "nginx tries expressions before location {}, so some of its requests may come under the policy of {}",
                route.location.text, other.place
            );
            notes.differs("expression", &route.place, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use regex::Regex;

    use super::*;

    #[test]
    fn addresses() {
        for (url, expected) in [
            ("http://app", true),
            ("https://app:443", true),
            ("http://app_1.ns-2:8080", true),
            ("http://", false),
            ("http://:80", false),
            ("http://outbound|80||svc", false),
            ("http://a;b", false),
            ("http://$host", false),
            ("http://a b", false),
            ("http://a\nb", false),
            ("http://a:b", false),
            ("http://a:0", false),
            ("http://a:99999", false),
            ("http://a/b", false),
        ] {
            assert_eq!(is_address(url), expected, "{url}");
        }
    }

    #[test]
    fn starts_of_expressions() {
        for (expression, start) in [
            ("/api/v1", "/api/v1"),
            ("^/api$", "/api"),
            ("/api.*", "/api"),
            ("/api+", "/api"),
            ("/api?/x", "/ap"),
            ("/api*", "/ap"),
            ("/api{0,1}", "/ap"),
            ("/*", "/"),
            ("/api|/b", "/"),
            ("/a(b|c)", "/"),
            ("(?i)/api", "/"),
            (".*", "/"),
            ("", "/"),
        ] {
            assert_eq!(literal_start(expression), start, "{expression}");
        }
    }

    /// Where nginx, or a route, finds a path: a lower one comes first.
    fn rank(location: &str, path: &str, expressions: &mut HashMap<String, Regex>) -> Option<(Kind, Reverse<usize>)> {
        if let Some(exact) = location.strip_prefix("= ") {
            return (path == exact).then_some((Kind::Exact, Reverse(0)));
        }
        if let Some(source) = location.strip_prefix("~ ") {
            let expression = expressions.entry(source.to_owned()).or_insert_with(|| Regex::new(source).unwrap());
            return expression.is_match(path).then_some((Kind::Expression, Reverse(0)));
        }
        path.starts_with(location).then_some((Kind::Prefix, Reverse(location.len())))
    }

    #[test]
    fn no_location_allows_more_than_its_routes() {
        let matchers = [
            vec![Location::start("/")],
            vec![Location::start("/a")],
            Location::below("/a"),
            vec![Location::exact("/a")],
            vec![Location::exact("/a/b")],
            vec![Location::whole("/a.*")],
            vec![Location::whole("/a/b|/c")],
            vec![Location::whole("/.*b")],
            vec![Location::start("/a/")],
            vec![Location::exact("/a/")],
        ];
        let policy = |origin: &str| Draft { origins: vec![origin.to_owned()], ..Draft::default() };
        let policies = [Draft::default(), policy("https://a.example"), policy("https://b.example")];
        let paths = ["/", "/a", "/a/", "/a/b", "/ab", "/c", "/cb"];
        let mut expressions = HashMap::new();
        let (mut same, mut fewer, mut random) = (0, 0, 1_u64);
        for _ in 0..6000 {
            let mut next = |below: usize| {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (random >> 33) as usize % below
            };
            let order = [Order::Listed, Order::Specific, Order::Nginx][next(3)];
            let mut routes = Vec::new();
            let rules: Vec<_> = (0..1 + next(4)).map(|_| (next(10), next(3), next(3) == 0, next(2))).collect();
            for (number, (matcher, policy, is_conditional, upstream)) in rules.iter().enumerate() {
                routes.extend(matchers[*matcher].iter().map(|location| Route {
                    host: None,
                    location: location.clone(),
                    draft: policies[*policy].clone(),
                    upstream: Some(Ok(format!("http://{upstream}"))),
                    place: number.to_string(),
                    scope: 0,
                    conditions: is_conditional.then(|| "headers".to_owned()).into_iter().collect(),
                }));
            }
            let parts = parts(&routes, order, &mut Notes::default());
            for (path, met) in paths.iter().flat_map(|path| (0..1 << rules.len()).map(move |met| (path, met))) {
                let matching = routes.iter().enumerate().filter_map(|(at, route)| {
                    let is_met = route.is_unconditional() || met >> route.place.parse::<u32>().unwrap() & 1 == 1;
                    let rank = rank(&route.location.text, path, &mut expressions).filter(|_| is_met)?;
                    let first = routes.iter().position(|other| other.location.text == route.location.text);
                    let rank = (rank, route.location.is_implied, first, route.is_unconditional());
                    Some(((order != Order::Listed).then_some(rank), at, route))
                });
                let expected = matching.min_by_key(|(rank, at, _)| (*rank, *at)).map(|(_, _, route)| route);
                let found = parts
                    .iter()
                    .enumerate()
                    .filter_map(|(at, part)| Some((rank(&part.location, path, &mut expressions)?, at, part)));
                let found = found.min_by_key(|(rank, at, _)| (*rank, *at)).map(|(_, _, part)| part);
                let redirecting = [format!("{path}/"), format!("= {path}/")];
                let is_redirected = parts.iter().any(|part| redirecting.contains(&part.location))
                    && !parts.iter().any(|part| part.location == format!("= {path}"));
                assert!(!is_redirected || order == Order::Nginx, "{path} {routes:#?} {parts:?}");
                let passed = found.and_then(|part| part.upstream.clone());
                assert!(
                    passed.is_none() || expected.is_some_and(|route| route.upstream == passed.clone().map(Ok)),
                    "{order:?} {path} {met} {routes:#?} {passed:?}"
                );
                let Some(found) = found.filter(|part| !part.draft.is_empty()) else {
                    fewer += usize::from(expected.is_some_and(Route::has_policy));
                    continue;
                };
                same += 1;
                let expected =
                    expected.unwrap_or_else(|| panic!("{order:?} {path} {met} {routes:#?} {:?}", found.location));
                assert_eq!(found.draft, expected.draft, "{order:?} {path} {met} {routes:#?} {:?}", found.location);
            }
        }
        assert!(same > fewer, "{same} {fewer}");
    }
}
