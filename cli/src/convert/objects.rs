// SPDX-License-Identifier: Apache-2.0
//! Objects in YAML, and the routes in them: Kubernetes' and Envoy's.

use super::draft::{Draft, Notes};
use super::ingress::PREFIX;
use super::routes::{self, Location, Order, Route, Upstream};
use super::yaml::{any, Kind, Node};
use super::{envoy, gateway, hosts, ingress, Format, Part};
use crate::Failure;

/// What the documents are about.
pub fn source(documents: &[Node]) -> Option<Format> {
    let kind = |document: &Node| document.get("kind").map_or(String::new(), |kind| kind.text().to_owned());
    let has = |check: fn(&Node) -> bool| documents.iter().any(|document| any(document, &check));
    if documents.iter().any(|document| kind(document) == "Ingress")
        || has(|node| node.get(&format!("{PREFIX}enable-cors")).is_some())
    {
        Some(Format::Ingress)
    } else if has(|node| node.get("type").is_some_and(|kind| kind.text() == "CORS") && node.get("cors").is_some()) {
        Some(Format::Gateway)
    } else if has(|node| node.get("allow_origin_string_match").is_some()) {
        Some(Format::Envoy)
    } else {
        None
    }
}

/// The locations for what the documents contain.
pub fn convert(name: &str, documents: &[Node], format: Format) -> Result<(Vec<Part>, Notes), Failure> {
    let mut found = Found { name, notes: Notes::default(), routes: Vec::new(), scope: 0 };
    let (order, what) = match format {
        Format::Ingress => (Order::Nginx, ingress::find(documents, &mut found)),
        Format::Gateway => (Order::Specific, gateway::find(documents, &mut found)),
        _ => (Order::Listed, envoy::find(documents, &mut found)),
    };
    let Found { routes, mut notes, .. } = found;
    let mut parts = routes::parts(&routes, order, &mut notes);
    if parts.is_empty() && notes.0.is_empty() {
        return Err(format!("{name}: there are no {what} in it"));
    }
    if format == Format::Ingress {
        ingress::sort(&mut parts);
    } else {
        parts.sort_by_key(|part| hosts::rank(part.host.as_deref()));
    }
    Ok((parts, notes))
}

/// Whether something in an object is the name of a header of CORS.
pub fn sets_cors(node: &Node) -> bool {
    any(node, &|node| node.text().to_ascii_lowercase().contains("access-control-"))
}

/// What a route matches.
pub struct Matched {
    pub locations: Vec<Location>,
    /// The keys of what it matches beside the path.
    pub conditions: Vec<String>,
}

impl Matched {
    pub fn everything() -> Matched {
        Matched { locations: vec![Location::start("/")], conditions: Vec::new() }
    }

    /// Matches these locations. Each key of the object that is not known is a condition.
    pub fn new(locations: Vec<Location>, node: &Node, known: &[&str]) -> Matched {
        let is_condition = |(key, value): &&(String, Node)| {
            let is_empty = match &value.kind {
                Kind::List(items) => items.is_empty(),
                kind => matches!(kind, Kind::Nothing),
            };
            !is_empty && !known.contains(&key.as_str())
        };
        let conditions = node.pairs().iter().filter(is_condition).map(|(key, _)| key.clone()).collect();
        Matched { locations, conditions }
    }

    pub fn with(mut self, condition: &str) -> Matched {
        self.conditions.push(condition.to_owned());
        self
    }
}

/// What has been found in a file.
pub struct Found<'n> {
    pub name: &'n str,
    pub notes: Notes,
    pub routes: Vec<Route>,
    /// The number of the object whose routes are being looked at.
    pub scope: usize,
}

impl<'n> Found<'n> {
    pub fn place(&self, node: &Node) -> String {
        format!("{}:{}", self.name, node.line)
    }

    /// Whether a document is an object of another kind. Names its policies.
    pub fn is_other(&mut self, document: &Node, wanted: &str) -> bool {
        let Some(kind) = document.get("kind").map(Node::text).filter(|kind| *kind != wanted) else { return false };
        let is_policy = |key: &str| {
            let key = key.to_ascii_lowercase().replace('_', "");
            matches!(key.as_str(), "cors" | "corspolicy") || key.starts_with("accesscontrol")
        };
        let has_policy = |node: &Node| node.pairs().iter().any(|(key, _)| is_policy(key)) || sets_cors(node);
        if any(document, &has_policy) {
            let text = format!("An object of the kind {kind} is left out, with its policy");
            self.notes.left("kind", &self.place(document), text);
        }
        true
    }

    /// A name that nginx can have a server for.
    pub fn server_name(&mut self, name: &str, place: &str, convert: impl Fn(&str) -> Option<String>) -> Option<String> {
        let converted = convert(name);
        if converted.is_none() {
            let text = format!("The host {name:?} is left out: nginx cannot have a server of this name");
            self.notes.left("host", place, text);
        }
        converted
    }

    /// Adds a server without routes, so that its requests do not come under the policy of another server.
    pub fn push_server(&mut self, hosts: &[Option<String>], place: &str) {
        self.push(hosts, &Matched::everything(), &Draft::default(), None, place);
    }

    pub fn push(
        &mut self,
        hosts: &[Option<String>],
        matched: &Matched,
        draft: &Draft,
        upstream: Option<&Upstream>,
        place: &str,
    ) {
        for (host, location) in
            hosts.iter().flat_map(|host| matched.locations.iter().map(move |location| (host, location)))
        {
            if let Some(why) = location.refused() {
                self.notes.left("path", place, format!("A path is left out: {why}"));
                continue;
            }
            self.routes.push(Route {
                host: host.clone(),
                location: location.clone(),
                draft: draft.clone(),
                upstream: upstream.cloned(),
                place: place.to_owned(),
                scope: self.scope,
                conditions: matched.conditions.clone(),
            });
        }
    }
}

#[cfg(test)]
pub mod tests {

    use super::super::yaml::read;
    use super::*;

    /// The locations with the directives in them, and the codes of the notes.
    pub fn converted(text: &str) -> (Vec<String>, String) {
        let documents = read("f.yaml", text).unwrap();
        let (parts, notes) = convert("f.yaml", &documents, source(&documents).unwrap()).unwrap();
        let lines = |part: &Part| {
            let lines = part.draft.directives(None).into_iter().map(|(name, value)| format!("{name} {value}"));
            format!("{}: {}", part.location, lines.collect::<Vec<_>>().join("; "))
        };
        (parts.iter().map(lines).collect(), notes.0.iter().map(|note| note.code).collect::<Vec<_>>().join(" "))
    }

    /// The hosts with their locations, `!` before those without a policy, and the codes of the notes.
    pub fn hosts(text: &str) -> (String, String) {
        let documents = read("f", text).unwrap();
        let (parts, notes) = convert("f", &documents, source(&documents).unwrap()).unwrap();
        let line = |part: &Part| {
            let sign = if part.draft.is_empty() { "!" } else { "" };
            format!("{sign}{} {}", part.host.as_deref().unwrap_or("all"), part.location)
        };
        let known = ["preflight", "any-with-credentials", "no-effect", "max-age"];
        let codes = notes.0.iter().map(|note| note.code).filter(|code| !known.contains(code));
        (parts.iter().map(line).collect::<Vec<_>>().join("|"), codes.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn paths_without_a_policy() {
        let route =
            |rules: &str| converted(&format!("kind: HTTPRoute\nspec:\n  hostnames: [h.example]\n  rules:\n{rules}"));
        let cors = "filters: [{type: CORS, cors: {allowOrigins: ['https://x.example'], allowCredentials: true}}]";
        let matches = |kind: &str, path: &str| format!("matches: [{{path: {{type: {kind}, value: '{path}'}}}}]");
        let refused = "filters: [{type: CORS, cors: {allowOrigins: ['x.example']}}]";
        let all = "/: cors_allow_origin https://x.example; cors_allow_credentials on".to_owned();
        let (prefix, exact) = (matches("PathPrefix", "/priv"), matches("Exact", "/one"));
        let regex = matches("RegularExpression", "/v[0-9]+");
        for (rules, expected, notes) in [
            (
                format!("  - {prefix}\n  - {cors}\n"),
                vec!["/priv/: ".to_owned(), "= /priv: ".to_owned(), all.clone()],
                "",
            ),
            (format!("  - {cors}\n  - {exact}\n"), vec![all.clone(), "= /one: ".to_owned()], ""),
            (format!("  - {cors}\n  - {regex}\n"), vec![all.clone(), r"~ ^/v[0-9]+\z: ".to_owned()], ""),
            (
                format!("  - {{{prefix}, {refused}}}\n  - {cors}\n"),
                vec!["/priv/: ".to_owned(), "= /priv: ".to_owned(), all.clone()],
                "origin origin",
            ),
            (format!("  - matches: []\n  - {cors}\n"), vec![], "unreachable"),
            (format!("  - matches: [{{method: POST}}]\n  - {cors}\n"), vec![], "condition ambiguous"),
            (format!("  - {cors}\n  - matches: [{{method: POST}}]\n"), vec![], "condition ambiguous"),
            (
                format!("  - {{matches: [{{headers: [{{name: a, value: b}}]}}], {cors}}}\n"),
                vec![],
                "condition ambiguous",
            ),
            (
                format!("  - {{matches: [{{queryParams: [], method: GET}}], {cors}}}\n  - {cors}\n"),
                vec![all.clone()],
                "condition",
            ),
            (format!("  - {{matches: [{{headers: [], queryParams: []}}], {cors}}}\n"), vec![all.clone()], ""),
            // The longer path counts, whatever the conditions of the shorter one are.
            (
                format!("  - matches: [{{method: POST, path: {{value: /}}}}]\n  - {{{exact}, {cors}}}\n"),
                vec![all.replacen('/', "= /one", 1)],
                "condition",
            ),
            (
                format!("  - {{matches: [{{path: {{value: /one, type: Exact}}, method: GET}}], {cors}}}\n  - {cors}\n"),
                vec![all.replacen('/', "= /one", 1), all.clone()],
                "condition",
            ),
            (
                format!("  - matches: [{{path: {{value: /one, type: Exact}}, method: GET}}]\n  - {cors}\n"),
                vec!["= /one: ".to_owned(), all.clone()],
                "condition ambiguous",
            ),
            (
                format!("  - {{matches: [{{path: {{type: Other, value: /one}}}}], {cors}}}\n"),
                vec![],
                "condition ambiguous",
            ),
            (format!("  - {{{regex}, {cors}}}\n  - {prefix}\n"), vec![all.replacen('/', r"~ ^/v[0-9]+\z", 1)], ""),
            (
                format!("  - {{{}, {cors}}}\n  - {prefix}\n", matches("RegularExpression", "/p.*")),
                vec![all.replacen('/', r"~ ^(?s:/p.*)\z", 1), "= /priv: ".to_owned()],
                "expression",
            ),
            (format!("  - {{{exact}, {cors}}}\n  - {prefix}\n"), vec![all.replacen('/', "= /one", 1)], ""),
            (
                format!("  - {cors}\n---\nspec: {{hostnames: [i.example], rules: [{{{prefix}}}]}}\n"),
                vec![all.clone()],
                "",
            ),
        ] {
            assert_eq!(route(&rules), (expected, notes.to_owned()), "{rules}");
        }

        let ingress = |annotation: &str, host: &str, path: &str| {
            format!("kind: Ingress\nmetadata: {{annotations: {{{annotation}}}}}\nspec: {{rules: [{{host: {host}, http: {{paths: [{{path: {path}}}]}}}}]}}\n---\n")
        };
        let on = "nginx.ingress.kubernetes.io/enable-cors: \"true\"";
        let off = "nginx.ingress.kubernetes.io/enable-cors: \"false\"";
        for (first, expected) in [
            (ingress("", "h.example", "/priv"), "/priv /"),
            (ingress(off, "h.example", "/priv"), "/priv /"),
            (ingress("", "i.example", "/priv"), "/"),
            (ingress("nginx.ingress.kubernetes.io/canary: \"true\"", "h.example", "/"), "/"),
            // Of two objects for the same path, the older one counts.
            (ingress("", "h.example", "/"), ""),
        ] {
            let (parts, _) = converted(&(first.clone() + &ingress(on, "h.example", "/")));
            let locations: Vec<_> = parts.iter().filter_map(|part| Some(part.split_once(':')?.0)).collect();
            assert_eq!(locations.join(" "), expected, "{first}");
        }
    }

    #[test]
    fn upstreams() {
        let upstreams = |text: &str| -> (Vec<String>, String) {
            let documents = read("f", text).unwrap();
            let (parts, notes) = convert("f", &documents, source(&documents).unwrap()).unwrap();
            let parts =
                parts.into_iter().map(|part| format!("{} {}", part.location, part.upstream.unwrap_or_default()));
            let codes = notes.0.iter().map(|note| note.code).filter(|code| *code != "preflight");
            (parts.collect(), codes.collect::<Vec<_>>().join(" "))
        };
        let rule = |conditions: &str, name: &str| {
            let cors = "{type: CORS, cors: {allowOrigins: ['https://a.example']}}";
            format!("{{matches: [{{path: {{type: Exact, value: /x}}{conditions}}}], filters: [{cors}], backendRefs: [{{name: '{name}', port: 80}}]}}")
        };
        let header = ", headers: [{name: a, value: b}]";
        for (rules, upstream, notes) in [
            ([rule("", "a"), rule("", "a")], "http://a:80", ""),
            ([rule("", "a"), rule("", "b")], "http://a:80", "unreachable"),
            ([rule(header, "a"), rule("", "b")], "", "condition proxy-pass"),
            ([rule("", "b"), rule(header, "a")], "", "condition proxy-pass"),
            ([rule(header, "a"), rule("", "a")], "http://a:80", "condition"),
            ([rule("", "a;b"), rule("", "a;b")], "", "proxy-pass"),
        ] {
            let text = format!("rules: [{}]", rules.join(", "));
            assert_eq!(upstreams(&text), (vec![format!("= /x {upstream}")], notes.to_owned()), "{text}");
        }
        // Weights decide between several backends.
        let of_backend = "filters: [{type: CORS, cors: {allowOrigins: ['https://b.example']}}]";
        for (backends, expected, notes) in [
            ("{name: b}, {name: c}".to_owned(), vec!["= /x ".to_owned()], "proxy-pass"),
            (format!("{{name: b, {of_backend}}}"), Vec::new(), "backends"),
        ] {
            let text = format!("rules: [{}]", rule("", "a").replace("{name: 'a', port: 80}", &backends));
            assert_eq!(upstreams(&text), (expected, notes.to_owned()), "{text}");
        }
        for kind in ["URLRewrite", "RequestRedirect"] {
            let text = format!("rules: [{}]", rule("", "a").replace("[{type", &format!("[{{type: {kind}}}, {{type")));
            assert_eq!(upstreams(&text), (vec!["= /x ".to_owned()], "rewrite".to_owned()), "{text}");
        }
        for (backend, upstream, notes) in [
            ("{name: a, namespace: b, port: 1}", "http://a.b:1", ""),
            ("{name: a}", "", "proxy-pass"),
            ("{name: a, port: 1, kind: Other}", "", "proxy-pass"),
            ("{name: a, port: 1, weight: 0}", "", "proxy-pass"),
        ] {
            let text = format!("rules: [{}]", rule("", "a").replace("{name: 'a', port: 80}", backend));
            assert_eq!(upstreams(&text), (vec![format!("= /x {upstream}")], notes.to_owned()), "{text}");
        }
        for (filter, notes) in [
            ("{type: RequestMirror}", "filter"),
            ("{type: ResponseHeaderModifier, set: [{name: Access-Control-Allow-Origin, value: '*'}]}", "headers"),
        ] {
            let text = format!("rules: [{}]", rule("", "a").replace("[{type", &format!("[{filter}, {{type")));
            assert_eq!(upstreams(&text), (vec!["= /x http://a:80".to_owned()], notes.to_owned()), "{text}");
        }
        // Two objects with the same path.
        let text = format!("rules: [{}]\n---\nrules: [{}]", rule("", "a"), rule("", "b"));
        assert_eq!(upstreams(&text), (vec!["= /x ".to_owned()], "proxy-pass".to_owned()));
        let cors = "typed_per_filter_config: {c: {allow_origin_string_match: [{exact: 'https://a.example'}]}}";
        for (cluster, upstream, notes) in [
            ("app", "http://app", ""),
            ("outbound|80||svc", "", "proxy-pass"),
            ("secure", "", "proxy-pass"),
            ("', cluster_header: 'x-c", "", "proxy-pass"),
            ("app', prefix_rewrite: '/y", "", "rewrite"),
        ] {
            let clusters = "clusters: [{name: secure, transport_socket: {}}, {name: app}]";
            let text =
                format!("{clusters}\nroutes: [{{match: {{path: /x}}, route: {{cluster: '{cluster}'}}, {cors}}}]");
            let text = text.replace("cluster: '', ", "");
            assert_eq!(upstreams(&text), (vec![format!("= /x {upstream}")], notes.to_owned()), "{text}");
        }
    }

    #[test]
    fn servers_for_hosts() {
        let cors = "filters: [{type: CORS, cors: {allowOrigins: ['https://a.example']}}]";
        let gateway = |names: &str, rule: &str| {
            format!("kind: HTTPRoute\nspec: {{hostnames: [{names}], rules: [{{{rule}}}]}}\n---\n")
        };
        let path = "matches: [{path: {value: /x}}]";
        let cors_of_envoy = "typed_per_filter_config: {c: {allow_origin_string_match: [{exact: 'https://a.example'}]}}";
        let envoy = |servers: &[(&str, &str)]| {
            let server = |(domains, policy): &(&str, &str)| {
                let policy = if policy.is_empty() { String::new() } else { format!(", {policy}") };
                format!("{{domains: [{domains}], routes: [{{match: {{prefix: /}}{policy}}}]}}")
            };
            format!("virtual_hosts: [{}]", servers.iter().map(server).collect::<Vec<_>>().join(", "))
        };
        let on = format!("{PREFIX}enable-cors: 'true'");
        let ingress = |annotation: &str, rules: &str| {
            format!("kind: Ingress\nmetadata: {{annotations: {{{annotation}}}}}\nspec: {{rules: [{rules}]}}\n---\n")
        };
        let rule = |host: &str| format!("{{host: '{host}', http: {{paths: [{{path: /}}]}}}}");
        for (text, expected, notes) in [
            // A host without a policy, beside one for all hosts or for its domain.
            (gateway("", cors) + &gateway("a.test", path), "all /|!a.test /", "server"),
            (gateway("'*.test'", cors) + &gateway("A.test", ""), "*.test /|!a.test /", "server"),
            (gateway("'*.a.test'", cors) + &gateway("a.test, b.test, '*.test'", ""), "*.a.test /", ""),
            (gateway("a.test", cors) + &gateway("'*.test'", "") + &gateway("", ""), "a.test /", ""),
            (gateway("a.test", cors) + &gateway("a.test", path), "a.test /|!a.test /x/|!a.test = /x", ""),
            (gateway("a.test, 'b c'", cors), "a.test /", "host"),
            // A policy that is not carried over leaves its host without one.
            (
                gateway("", cors) + &gateway("a.test", &cors.replace("https://", "")),
                "all /|!a.test /",
                "origin origin server",
            ),
            (ingress(&on, &rule("")) + &ingress("", &rule("a.test")), "all /|!a.test /", "server"),
            (ingress(&on, &rule("")) + &ingress("", "{host: a.test}"), "all /|!a.test /", "server"),
            (ingress(&on, "{host: a.test}"), "a.test /", ""),
            // An alias is for all objects of its host.
            (
                ingress(&format!("{on}, {PREFIX}server-alias: '~^b\\d$, b.test'"), &rule("a.test"))
                    + &ingress("", &rule("a.test").replace("/}", "/x}")),
                r"a.test /|b.test /|~^b\d$ /|!a.test /x|!b.test /x|!~^b\d$ /x",
                "",
            ),
            (
                ingress(&format!("{on}, {PREFIX}server-alias: 'b.test, c.test'"), &rule("a.test"))
                    + &ingress(&format!("{PREFIX}server-alias: c.test"), &rule("b.test")),
                "a.test /",
                "server-alias server-alias",
            ),
            (
                ingress(&on, &rule("")) + &ingress(&format!("{PREFIX}server-alias: b.test"), &rule("a.test")),
                "all /|!a.test /|!b.test /",
                "server server",
            ),
            (
                ingress(&on, &rule(""))
                    + &ingress(
                        &format!("{PREFIX}server-alias: c.test"),
                        &format!("{}, {}", rule("a.test"), rule("b.test")),
                    ),
                "all /|!c.test /|!a.test /|!b.test /",
                "server server server",
            ),
            // The `*` of an Ingress is for one label.
            (ingress(&on, &rule("*.a.test")), r"~^[\w-]+\.a\.test$ /", ""),
            (
                ingress(&on, &rule("*.a.test"))
                    + &ingress("", &format!("{}, {}", rule("b.a.test"), rule("c.b.a.test"))),
                r"~^[\w-]+\.a\.test$ /|!b.a.test /",
                "server",
            ),
            (envoy(&[("'*'", cors_of_envoy), ("a.test", "")]), "all /|!a.test /", "server"),
            (
                envoy(&[("'*'", cors_of_envoy)]).replace("}]}]", "}]}, {domains: [a.test]}]"),
                "all /|!a.test /",
                "server",
            ),
            // Names without ports, and with parts of labels.
            (envoy(&[("a.test, 'a.test:80'", cors_of_envoy)]), "a.test /", ""),
            (envoy(&[("'a.test:8080', 'a.test:80'", cors_of_envoy)]), "a.test /", "port port"),
            (envoy(&[("'a.test:8080'", cors_of_envoy), ("a.test", "")]), "a.test /", "port servers"),
            (envoy(&[("'*:8080'", cors_of_envoy)]), "all /", "port"),
            (envoy(&[("'foo.*', '*.x.test'", cors_of_envoy)]), "foo.* /|*.x.test /", ""),
            (
                envoy(&[("'*.test'", ""), ("'foo-*', a.test, '*-x.test'", cors_of_envoy)]),
                r"a.test /|~^.+-x\.test$ /|!~^.+\.test$ /|~^foo-.+$ /",
                "server",
            ),
            (envoy(&[("'a*b', a.test", cors_of_envoy)]), "a.test /", "host"),
        ] {
            assert_eq!(hosts(&text), (expected.to_owned(), notes.to_owned()), "{text}");
        }
    }

    #[test]
    fn objects_of_other_kinds() {
        let cors = "filters: [{type: CORS, cors: {allowOrigins: ['https://a.example']}}]";
        let route = format!("kind: HTTPRoute\nspec: {{rules: [{{{cors}}}]}}\n---\n");
        let ingress = format!("kind: Ingress\nmetadata: {{annotations: {{{PREFIX}enable-cors: 'true'}}}}\nspec: {{rules: [{{http: {{paths: [{{path: /}}]}}}}]}}\n---\n");
        let policy = "allow_origin_string_match: [{exact: 'https://a.example'}]";
        let server = |policy: &str| {
            format!("virtual_hosts: [{{domains: [a.test], routes: [{{match: {{prefix: /}}, typed_per_filter_config: {{c: {policy}}}}}]}}]")
        };
        for (text, expected, notes) in [
            (route.clone() + "kind: SecurityPolicy\nspec: {cors: {allowOrigins: ['*']}}", "all /", "kind"),
            (route.clone() + "kind: Middleware\nspec: {headers: {accessControlAllowMethods: [GET]}}", "all /", "kind"),
            (route.clone() + "kind: Service\nspec: {ports: []}", "all /", ""),
            (ingress + &route, "all /", "kind"),
            // A policy that others name is not one for all hosts, and may be merged into theirs.
            (format!("a: &a {{{policy}}}\n{}", server("*a")), "a.test /", ""),
            (format!("a: &a {{{policy}}}\n{}", server("{<<: *a, max_age: '5'}")), "a.test /", ""),
            (format!("a: &a {{{policy}}}\n{}", server("{<<: [*a], allow_origin_string_match: []}")), "", ""),
            (server(&format!("{{{policy}, allow_origin: ['https://b.example']}}")), "a.test /", "origin"),
        ] {
            let documents = read("f", &text).unwrap();
            match convert("f", &documents, source(&documents).unwrap()) {
                Ok(_) => assert_eq!(hosts(&text), (expected.to_owned(), notes.to_owned()), "{text}"),
                Err(error) => assert!(expected.is_empty() && error.contains("there are no"), "{error} {text}"),
            }
        }
    }

    #[test]
    fn hosts_with_line_breaks() {
        let cors = "filters: [{type: CORS, cors: {allowOrigins: ['https://a.example']}}]";
        let gateway = format!("spec: {{hostnames: [\"a\\nreturn 1;\"], rules: [{{{cors}}}]}}");
        let cors = "typed_per_filter_config: {c: {allow_origin_string_match: [{exact: 'https://a.example'}]}}";
        let envoy = format!("domains: [\"a\\rb\"]\nroutes: [{{match: {{path: /x}}, {cors}}}]");
        let ingress = format!("kind: Ingress\nmetadata: {{annotations: {{{PREFIX}enable-cors: 'true'}}}}\nspec: {{rules: [{{host: \"a\\nb\", http: {{paths: [{{path: /}}]}}}}]}}");
        for text in [gateway, envoy, ingress] {
            assert_eq!(hosts(&text), (String::new(), "host".to_owned()), "{text}");
        }
    }

    #[test]
    fn other_documents() {
        for (text, expected) in [
            ("a: [1, 2]", None),
            ("a: {type: CORS}", None),
            ("a: {type: TLS, cors: {}}", None),
            ("a: {type: CORS, cors: {}}", Some(Format::Gateway)),
        ] {
            assert!(source(&read("f", text).unwrap()) == expected, "{text}");
        }
    }
}
