// SPDX-License-Identifier: Apache-2.0
//! Annotations of ingress-nginx.

use std::cmp::Reverse;

use super::draft::Draft;
use super::objects::{sets_cors, Found, Matched};
use super::routes::{Location, Upstream};
use super::yaml::Node;
use super::{hosts, Part};

/// Finds the routes of Ingresses. Returns what should be there.
pub fn find(documents: &[Node], found: &mut Found<'_>) -> &'static str {
    let hosts = Hosts::of(documents.iter().filter(|document| is_ingress(document)));
    let mut converter = Converter { found, hosts };
    for document in documents {
        converter.found.scope += 1;
        if !converter.found.is_other(document, "Ingress") {
            converter.add(document);
        }
    }
    "annotations of ingress-nginx with enable-cors"
}

/// Sorts locations as ingress-nginx writes them, so that no shorter expression takes the requests of a longer one.
pub fn sort(parts: &mut [Part]) {
    parts.sort_by_key(|part| Reverse(expression(&part.location).map_or(0, str::len)));
}

/// The prefix of the annotations of ingress-nginx.
pub const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// The annotations with the policy.
const POLICY: [&str; 6] = [
    "cors-allow-origin",
    "cors-allow-methods",
    "cors-allow-headers",
    "cors-allow-credentials",
    "cors-expose-headers",
    "cors-max-age",
];

/// The annotations of an Ingress of ingress-nginx.
fn annotations(ingress: &Node) -> &Node {
    ingress.at(&["metadata", "annotations"]).or(ingress.get("annotations")).unwrap_or(ingress)
}

fn annotation<'n>(ingress: &'n Node, name: &str) -> Option<&'n Node> {
    annotations(ingress).get(&format!("{PREFIX}{name}"))
}

/// Whether an annotation is on. Go's `strconv.ParseBool` takes these forms.
fn is_on(value: &str) -> bool {
    ["1", "t", "T", "true", "TRUE", "True"].contains(&value)
}

/// Whether it is off.
fn is_off(value: &str) -> bool {
    ["0", "f", "F", "false", "FALSE", "False"].contains(&value)
}

/// The rules of an Ingress.
fn rules(ingress: &Node) -> &[Node] {
    ingress.at(&["spec", "rules"]).map_or(&[][..], Node::items)
}

fn host(rule: &Node) -> Option<String> {
    rule.get("host").map(|host| host.text().to_owned()).filter(|host| !host.is_empty())
}

fn paths(rule: &Node) -> &[Node] {
    rule.at(&["http", "paths"]).map_or(&[][..], Node::items)
}

fn path_text(path: &Node) -> &str {
    path.get("path").map_or("/", Node::text)
}

fn is_of_type(path: &Node, kind: &str) -> bool {
    path.get("pathType").is_some_and(|other| other.text() == kind)
}

/// The target of rewrites, if a path of the rule is not that target itself.
fn rewrite_target<'n>(ingress: &'n Node, rule: &Node) -> Option<&'n Node> {
    let target = annotation(ingress, "rewrite-target").filter(|node| !node.text().is_empty())?;
    paths(rule).iter().any(|path| path_text(path) != target.text()).then_some(target)
}

/// Whether the paths of a rule are expressions, and so are all others of its host.
fn has_expressions(ingress: &Node, rule: &Node) -> bool {
    annotation(ingress, "use-regex").is_some_and(|node| is_on(node.text())) || rewrite_target(ingress, rule).is_some()
}

/// The expression of a location of ingress-nginx's.
fn expression(location: &str) -> Option<&str> {
    Some(location.strip_prefix("~* ")?.trim_matches('\''))
}

/// What ingress-nginx looks at in all objects before it writes a server.
#[derive(Default)]
struct Hosts {
    /// Those of which it takes all paths for expressions, because a rule has some.
    with_expressions: Vec<Option<String>>,
    /// Those that have a path of the type Exact, and the path.
    exact: Vec<(Option<String>, String)>,
    /// Those that have the path `/`.
    with_root: Vec<Option<String>>,
    /// The hosts of each object.
    objects: Vec<Option<String>>,
    /// The aliases, each with its host.
    aliases: Vec<(Option<String>, String)>,
}

/// The names in `server-alias`.
fn aliases(ingress: &Node) -> Vec<&str> {
    annotation(ingress, "server-alias").map(Node::words).unwrap_or_default()
}

/// Whether an object is an Ingress, or a part of one.
fn is_ingress(document: &Node) -> bool {
    document.get("kind").is_none_or(|kind| kind.text() == "Ingress")
}

fn is_canary(ingress: &Node) -> bool {
    annotation(ingress, "canary").is_some_and(|node| is_on(node.text()))
}

impl Hosts {
    fn of<'n>(documents: impl Iterator<Item = &'n Node> + Clone) -> Hosts {
        let mut hosts = Hosts::default();
        for document in documents.clone() {
            let mut names: Vec<_> = rules(document).iter().map(host).collect();
            names.sort();
            names.dedup();
            hosts.objects.extend(names.into_iter().filter(|_| !is_canary(document)));
            for rule in rules(document) {
                if paths(rule).iter().any(|path| path_text(path) == "/") {
                    hosts.with_root.push(host(rule));
                }
                if has_expressions(document, rule) {
                    hosts.with_expressions.push(host(rule));
                }
                if !is_canary(document) {
                    hosts.aliases.extend(aliases(document).into_iter().map(|alias| (host(rule), alias.to_owned())));
                }
                let exact = paths(rule).iter().filter(|path| is_of_type(path, "Exact"));
                hosts.exact.extend(exact.map(|path| (host(rule), path_text(path).to_owned())));
            }
        }
        let names: Vec<_> = documents.flat_map(rules).filter_map(host).collect();
        let all = hosts.aliases.clone();
        let has_one_server = |(host, alias): &(Option<String>, String)| {
            !names.contains(alias) && all.iter().all(|(other, same)| same != alias || other == host)
        };
        hosts.aliases.retain(has_one_server);
        hosts.aliases.sort();
        hosts.aliases.dedup();
        hosts
    }

    fn locations(&self, document: &Node, rule: &Node, path: &Node) -> Vec<Location> {
        let (host, text) = (host(rule), path_text(path));
        if !self.with_expressions.contains(&host) {
            return match path.get("pathType").map_or("", Node::text) {
                "Exact" => vec![Location::exact(text)],
                "Prefix" => Location::below(text),
                _ => vec![Location::start(text)],
            };
        }
        // Beside an exact path, it has a slash at its end, so that both are reached.
        let is_beside_exact = is_of_type(path, "Prefix")
            && !has_expressions(document, rule)
            && self.exact.contains(&(host, text.to_owned()))
            && !text.ends_with('/');
        let slash = if is_beside_exact { "/" } else { "" };
        vec![Location::start_in_either_case(&format!("{text}{slash}"))]
    }
}

struct Converter<'f, 'n> {
    found: &'f mut Found<'n>,
    hosts: Hosts,
}

impl Converter<'_, '_> {
    /// https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#enable-cors
    fn add(&mut self, document: &Node) {
        let mut found = false;
        if let Some(canary) = annotation(document, "canary").filter(|_| is_canary(document)) {
            let place = self.found.place(canary);
            self.found.notes.left(
                "canary",
                &place,
                "A canary is left out: its requests have the policy of the other Ingress",
            );
            return;
        }
        let draft = self.policy(document).unwrap_or_default();
        self.name_annotations(document, !draft.is_empty());
        let backend = document.at(&["spec", "defaultBackend"]).or(document.at(&["spec", "backend"]));
        let default = backend.and_then(|backend| upstream(document, backend));
        let target = rules(document).iter().find_map(|rule| rewrite_target(document, rule));
        if let Some(target) = target.filter(|_| !draft.is_empty()) {
            let place = self.found.place(target);
            let text = format!("rewrite-target is left out: the path is passed on as it is, not as {}", target.text());
            self.found.notes.left("rewrite-target", &place, text);
        }
        for alias in aliases(document) {
            if self.hosts.aliases.iter().any(|(_, other)| other == alias) {
                continue;
            }
            let place = self.found.place(document);
            if !draft.is_empty() {
                let text =
                    format!("The alias {alias:?} is left out: another rule is for this host, or several hosts have it");
                self.found.notes.left("server-alias", &place, text);
            }
            let name = hosts::alias(alias);
            if name.is_some() && !self.hosts.objects.contains(&Some(alias.to_owned())) {
                self.found.push_server(&[name], &place);
            }
        }
        for rule in rules(document) {
            let hosts = self.hosts(rule);
            for path in paths(rule) {
                found = true;
                let upstream = path.get("backend").and_then(|backend| upstream(document, backend));
                let place = self.found.place(path);
                let matched = Matched { locations: self.hosts.locations(document, rule, path), conditions: Vec::new() };
                self.found.push(&hosts, &matched, &draft, upstream.as_ref(), &place);
            }
            if paths(rule).is_empty() {
                found = true;
                let place = self.found.place(rule);
                // It has a location for all paths.
                self.found.push(&hosts, &Matched::everything(), &draft, default.as_ref(), &place);
            } else if default.is_some() {
                self.default(rule, &draft, default.as_ref(), &hosts);
            }
        }
        if !found && (default.is_some() || !draft.is_empty()) {
            let place = self.found.place(document);
            self.found.push(&[None], &Matched::everything(), &draft, default.as_ref(), &place);
        }
    }

    /// The location of ingress-nginx for the paths of a host that no rule is for, if the object has a `defaultBackend`. If several
    /// objects are for the host, the oldest one has this location.
    fn default(&mut self, rule: &Node, draft: &Draft, upstream: Option<&Upstream>, hosts: &[Option<String>]) {
        let place = self.found.place(rule);
        let host = host(rule);
        if self.hosts.with_root.contains(&host) {
            return;
        }
        if self.hosts.objects.iter().filter(|other| **other == host).count() > 1 {
            if !draft.is_empty() {
                let text = "defaultBackend is left out for this host: several objects are for it, and the cluster uses that of the oldest one";
                self.found.notes.left("default-backend", &place, text);
            }
            return;
        }
        let location = match self.hosts.with_expressions.contains(&host) {
            true => Location::start_in_either_case("/"),
            false => Location::start("/"),
        };
        self.found.push(hosts, &Matched { locations: vec![location], conditions: Vec::new() }, draft, upstream, &place);
    }

    /// Names the annotations that are not carried over.
    fn name_annotations(&mut self, document: &Node, has_policy: bool) {
        let known = ["enable-cors", "use-regex", "rewrite-target", "server-alias", "backend-protocol"];
        let mut others = Vec::new();
        for (key, value) in annotations(document).pairs() {
            let Some(name) = key.strip_prefix(PREFIX) else { continue };
            if name.ends_with("-snippet") && sets_cors(value) {
                let text =
                    format!("{name} is left out: it has headers of CORS; cors convert --from nginx converts those");
                self.found.notes.left("snippet", &self.found.place(value), text);
            } else if !known.contains(&name) && !POLICY.contains(&name) {
                others.push(name);
            }
        }
        if has_policy && !others.is_empty() {
            let text = format!("These annotations are left out: {}", others.join(", "));
            self.found.notes.differs("annotations", &self.found.place(document), text);
        }
    }

    /// The names of the servers for a rule.
    fn hosts(&mut self, rule: &Node) -> Vec<Option<String>> {
        let place = self.found.place(rule);
        let Some(name) = host(rule) else { return vec![None] };
        let aliases: Vec<_> = self
            .hosts
            .aliases
            .iter()
            .filter(|(host, _)| host.as_ref() == Some(&name))
            .map(|(_, alias)| alias.clone())
            .collect();
        let mut hosts = vec![self.found.server_name(&name, &place, hosts::of_ingress)];
        hosts.extend(aliases.iter().map(|alias| self.found.server_name(alias, &place, hosts::alias)));
        hosts.into_iter().flatten().map(Some).collect()
    }

    fn policy(&mut self, document: &Node) -> Option<Draft> {
        let get = |name: &str| annotation(document, name);
        let enabled = get("enable-cors")?;
        let place = self.found.place(enabled);
        if !is_on(enabled.text()) {
            self.found.notes.differs("off", &place, "enable-cors is not \"true\", so there is no policy");
            return None;
        }
        let text = |name: &str, default: &str| get(name).map_or(default.to_owned(), |node| node.text().to_owned());
        let notes = &mut self.found.notes;
        let mut draft = Draft::default();
        let origins = text("cors-allow-origin", "*");
        for origin in origins.split(',').map(str::trim).filter(|origin| !origin.is_empty()) {
            if origin.contains("*.") {
                let text = format!(
                    "{origin} matched one label before the domain; in cors_allow_origin it matches one or more"
                );
                notes.differs("labels", &place, text);
            }
            draft.origin(origin, &place, notes);
        }
        // What it cannot read is the default there.
        draft.credentials = !is_off(&text("cors-allow-credentials", "true"));
        if draft.is_any() && draft.credentials {
            draft.credentials = false;
            let text =
                "cors-allow-credentials is left out: browsers do not accept it with *, which cors-allow-origin is";
            notes.differs("any-with-credentials", &place, text);
        }
        let methods = text("cors-allow-methods", "GET, PUT, POST, DELETE, PATCH, OPTIONS");
        draft.set_methods([methods.as_str()], &place, notes);
        let headers = text(
            "cors-allow-headers",
            "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
        );
        draft.set_headers([headers.as_str()], &place, notes);
        draft.set_exposed([text("cors-expose-headers", "").as_str()], &place, notes);
        draft.set_max_age(&text("cors-max-age", "1728000"), &place, notes);
        draft.finish(&place, notes);
        draft.name_wildcards([methods.as_str(), headers.as_str()], &place, notes);
        if draft.is_empty() {
            notes.left("origin", &place, "No origin could be carried over");
            return None;
        }
        notes.differs(
            "preflight",
            &place,
            "Preflights from other origins get the status 403; they got 204 without permission",
        );
        Some(draft)
    }
}

/// The service of a `backend` of an Ingress.
fn upstream(ingress: &Node, backend: &Node) -> Option<Upstream> {
    let service = backend.get("service");
    let name = service.map_or(backend.get("serviceName"), |service| service.get("name")).map_or("", Node::text);
    let port = service.map_or(backend.get("servicePort"), |service| service.get("port"));
    let port = port.and_then(|port| port.get("number").or(port.get("name")).or(Some(port))).map_or("", Node::text);
    let protocol =
        annotation(ingress, "backend-protocol").map_or(String::new(), |node| node.text().trim().to_uppercase());
    let scheme = match protocol.as_str() {
        "HTTPS" => "https",
        "GRPC" | "GRPCS" | "FCGI" | "AUTO_HTTP" => return Some(Err(format!("its backend-protocol is {protocol}"))),
        // ingress-nginx takes what it does not know for HTTP.
        _ => "http",
    };
    Some(match port.parse::<u16>() {
        _ if name.is_empty() => Err("its backend is not a service".to_owned()),
        Ok(port) => Ok(format!("{scheme}://{name}:{port}")),
        Err(_) => Err(format!("its port is {port:?}, and only the service says which number that is")),
    })
}

#[cfg(test)]
mod tests {
    use super::super::objects::convert;
    use super::super::objects::tests::converted;
    use super::super::yaml::read;
    use super::super::Format;
    use super::*;

    #[test]
    fn ingresses() {
        let text = "kind: Ingress\nmetadata:\n  annotations:\n    nginx.ingress.kubernetes.io/enable-cors: \"true\"\n    \
                    nginx.ingress.kubernetes.io/cors-allow-origin: \"https://a.example, https://*.b.example\"\n    \
                    nginx.ingress.kubernetes.io/cors-allow-headers: X-A\nspec:\n  rules:\n  - host: api.example.com\n    http:\n      \
                    paths:\n      - path: /api\n        pathType: Prefix\n        backend: {service: {name: api, port: {number: 80}}}\n      \
                    - {path: /one, pathType: Exact}\n";
        let (parts, notes) = converted(text);
        let policy = "cors_allow_origin https://a.example https://*.b.example; cors_allow_methods GET PUT POST DELETE PATCH OPTIONS; \
                      cors_allow_headers X-A; cors_allow_credentials on; cors_max_age 86400";
        assert_eq!(parts, ["/api/", "= /api", "= /one"].map(|location| format!("{location}: {policy}")));
        assert_eq!(notes, "labels max-age preflight");
        let (parts, notes) = converted("metadata: {annotations: {nginx.ingress.kubernetes.io/enable-cors: \"true\"}}");
        assert!(
            parts[0].starts_with("/: cors_allow_origin *; cors_allow_methods GET") && !parts[0].contains("credentials"),
            "{parts:?}"
        );
        assert!(notes.starts_with("any-with-credentials no-effect"), "{notes}");
    }

    #[test]
    fn ingresses_with_expressions() {
        let ingress = |annotation: &str, host: &str, path: &str| {
            format!(
                "- kind: Ingress\n  metadata: {{annotations: {{{PREFIX}enable-cors: \"True\", {PREFIX}cors-allow-origin: 'https://a.example', \
                 {PREFIX}cors-allow-credentials: '1'{annotation}}}}}\n  spec: {{rules: [{{host: {host}, http: {{paths: [{{path: '{path}', pathType: Exact}}]}}}}]}}\n"
            )
        };
        let rewrite = format!(", {PREFIX}rewrite-target: /$2");
        let regex = format!(", {PREFIX}use-regex: \"true\"");
        let off = format!(", {PREFIX}use-regex: \"false\", {PREFIX}rewrite-target: ''");
        for (annotation, path, location, is_rewritten) in [
            (&rewrite, "/api(/|$)(.*)", "~* ^/api(/|$)(.*)", true),
            (&regex, "/v[0-9]{1}", "~* '^/v[0-9]{1}'", false),
            (&off, "/v", "= /v", false),
        ] {
            // Others of the same host are expressions as well, and those of another host are not.
            let items = ingress(annotation, "h.example", path)
                + &ingress("", "h.example", "/x")
                + &ingress("", "i.example", "/x");
            let (parts, notes) = converted(&format!("apiVersion: v1\nkind: List\nitems:\n{items}"));
            let locations: Vec<_> = parts.iter().filter_map(|part| Some(part.split_once(':')?.0)).collect();
            let same_host = if location.starts_with('~') { "~* ^/x" } else { "= /x" };
            assert_eq!(locations, [location, same_host, "= /x"], "{annotation}");
            assert!(parts.iter().all(|part| part.contains("cors_allow_credentials on")), "{parts:?}");
            assert_eq!(notes.contains("rewrite-target"), is_rewritten, "{notes}");
        }
    }

    #[test]
    fn expressions_of_one_host() {
        let document = |annotations: &str, paths: &str| {
            format!("kind: Ingress\nmetadata: {{annotations: {{{annotations}}}}}\nspec: {{rules: [{{http: {{paths: [{paths}]}}}}]}}\n---\n")
        };
        let cors = format!("{PREFIX}enable-cors: 'true', {PREFIX}cors-allow-origin: 'https://a.example', {PREFIX}cors-allow-credentials: 'yes'");
        let regex = format!("{cors}, {PREFIX}use-regex: 'true'");
        let same = format!("{cors}, {PREFIX}rewrite-target: /");
        let path = |path: &str, kind: &str| format!("{{path: {path}, pathType: {kind}}}");
        let (any, admin) = (path("/", "Prefix"), path("/admin", "Prefix"));
        let (exact, prefix) = (path("/x", "Exact"), path("/x", "Prefix"));
        for (documents, expected) in [
            // The longer one comes first, and keeps the policy of the shorter one away.
            (document(&regex, &any) + &document("", &admin), "~* ^/admin|off ~* ^/|on"),
            (document(&regex, &exact) + &document(&cors, &prefix), "~* ^/x/|on ~* ^/x|on"),
            (document(&regex, &prefix) + &document(&cors, &exact), "~* ^/x|on"),
            // The target is the path, so nothing is rewritten.
            (document(&same, &any) + &document("", &admin), "/|on /admin/|off = /admin|off"),
        ] {
            let (parts, notes) = converted(&documents);
            let locations: Vec<_> = parts
                .iter()
                .filter_map(|part| part.split_once(": "))
                .map(|(location, policy)| {
                    assert!(policy.is_empty() || policy.contains("cors_allow_credentials on"), "{policy}");
                    format!("{location}|{}", if policy.is_empty() { "off" } else { "on" })
                })
                .collect();
            assert_eq!(locations.join(" "), expected, "{documents}");
            assert!(!notes.contains("rewrite-target"), "{notes}");
        }
    }

    #[test]
    fn backends_of_ingresses() {
        let converted = |annotations: &str, rules: &str| -> (String, String) {
            let cors = format!("{PREFIX}enable-cors: 'true', {PREFIX}cors-allow-origin: 'https://a.example'");
            let text =
                format!("kind: Ingress\nmetadata: {{annotations: {{{cors}{annotations}}}}}\nspec: {{{rules}}}\n");
            let documents = read("f", &text).unwrap();
            let (parts, notes) = convert("f", &documents, Format::Ingress).unwrap();
            let line = |part: &Part| {
                format!(
                    "{} {} {}",
                    part.host.as_deref().unwrap_or("all"),
                    part.location,
                    part.upstream.as_deref().unwrap_or("none")
                )
            };
            let known = ["preflight", "no-effect", "max-age"];
            let codes = notes.0.iter().map(|note| note.code).filter(|code| !known.contains(code));
            (parts.iter().map(line).collect::<Vec<_>>().join("|"), codes.collect::<Vec<_>>().join(" "))
        };
        let rule =
            |backend: &str| format!("rules: [{{host: a.test, http: {{paths: [{{path: /x, backend: {backend}}}]}}}}]");
        let plain = "{service: {name: b, port: {number: 80}}}";
        let default = "defaultBackend: {service: {name: d, port: {number: 81}}}";
        let protocol = |name: &str| format!(", {PREFIX}backend-protocol: '{name}'");
        for (annotations, rules, expected, notes) in [
            (String::new(), rule(plain), "a.test /x http://b:80", ""),
            (String::new(), rule("{service: {name: b, port: {name: http}}}"), "a.test /x none", "proxy-pass"),
            (String::new(), rule("{resource: {kind: Bucket, name: b}}"), "a.test /x none", "proxy-pass"),
            (String::new(), rule("{serviceName: b, servicePort: 80}"), "a.test /x http://b:80", ""),
            (String::new(), rule("{serviceName: b, servicePort: http}"), "a.test /x none", "proxy-pass"),
            (protocol("https"), rule(plain), "a.test /x https://b:80", ""),
            (protocol("HTTP"), rule(plain), "a.test /x http://b:80", ""),
            (protocol("GRPC"), rule(plain), "a.test /x none", "proxy-pass"),
            (protocol("FCGI"), rule(plain), "a.test /x none", "proxy-pass"),
            (String::new(), default.to_owned(), "all / http://d:81", ""),
            (String::new(), format!("{}, {default}", rule(plain)), "a.test /x http://b:80|a.test / http://d:81", ""),
            (String::new(), format!("{}, {default}", rule(plain).replace("/x", "/")), "a.test / http://b:80", ""),
            (String::new(), format!("rules: [{{host: a.test}}], {default}"), "a.test / http://d:81", ""),
            (
                format!(", {PREFIX}use-regex: 'true'"),
                format!("{}, {default}", rule(plain)),
                "a.test ~* ^/x http://b:80|a.test ~* ^/ http://d:81",
                "",
            ),
            (
                String::new(),
                format!(
                    "{}, {default}}}\n---\nkind: Ingress\nspec: {{{}",
                    rule(plain),
                    rule(plain).replace("/x", "/y")
                ),
                "a.test /x http://b:80",
                "default-backend",
            ),
            (
                format!(", {PREFIX}app-root: /a, {PREFIX}auth-url: b"),
                rule(plain),
                "a.test /x http://b:80",
                "annotations",
            ),
            (
                format!(", {PREFIX}server-snippet: 'add_header access-control-allow-origin a;'"),
                rule(plain),
                "a.test /x http://b:80",
                "snippet",
            ),
        ] {
            assert_eq!(
                converted(&annotations, &rules),
                (expected.to_owned(), notes.to_owned()),
                "{annotations} {rules}"
            );
        }
    }
}
