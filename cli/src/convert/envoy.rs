// SPDX-License-Identifier: Apache-2.0
//! Envoy's CORS policies.

use super::draft::Draft;
use super::hosts;
use super::objects::{sets_cors, Found, Matched};
use super::routes::{self, Location, Upstream};
use super::yaml::{any, Node};

/// Finds the routes of configurations of Envoy. Returns what should be there.
pub fn find<'n>(documents: &'n [Node], found: &mut Found<'n>) -> &'static str {
    let mut filters = vec![FILTER];
    let mut secure_clusters = Vec::new();
    documents.iter().for_each(|document| add_names(document, &mut filters));
    documents.iter().for_each(|document| add_secure_clusters(document, &mut secure_clusters));
    let needs_expression = |domain: &&str| hosts::needs_expression(hosts::without_port(domain).0);
    let has_such_domain = |node: &Node| domains(node).iter().any(needs_expression);
    let needs_expressions = documents.iter().any(|document| any(document, &has_such_domain));
    let mut converter = Converter { found, filters, needs_expressions, secure_clusters, is_part: false };
    for document in documents {
        converter.found.scope += 1;
        converter.is_part = !any(document, &|node| node.get("routes").is_some());
        let around =
            Around { hosts: vec![None], policies: Vec::new(), former: Vec::new(), is_off: false, has_routes: true };
        converter.add(document, around);
    }
    "CORS policies of Envoy"
}

/// What is around a part of a configuration of Envoy.
#[derive(Clone)]
struct Around<'n> {
    hosts: Vec<Option<String>>,
    /// The policies that apply, the most specific one first.
    policies: Vec<&'n Node>,
    /// Those in the fields `cors`, which count if there are no others.
    former: Vec<&'n Node>,
    /// Whether the filter is disabled.
    is_off: bool,
    /// Whether an object with `match` is a route.
    has_routes: bool,
}

/// The name of Envoy's CORS filter, if a configuration does not choose another one.
const FILTER: &str = "envoy.filters.http.cors";

/// The type of an object, without its package.
fn is_of_proto(node: &Node, name: &str) -> bool {
    node.get("@type").is_some_and(|kind| kind.text().rsplit('.').next() == Some(name))
}

fn is_policy(node: &Node) -> bool {
    node.get("allow_origin_string_match").is_some() || is_of_proto(node, "CorsPolicy")
}

/// The names of a virtual host of Envoy.
fn domains(node: &Node) -> Vec<&str> {
    node.get("domains").map(Node::words).unwrap_or_default()
}

/// What an object sets for its filters: their names, and their settings.
fn filters(node: &Node) -> &[(String, Node)] {
    node.get("typed_per_filter_config").map_or(&[], Node::pairs)
}

/// The settings in a `FilterConfig`, or the settings themselves.
fn unwrapped(config: &Node) -> &Node {
    config.get("config").unwrap_or(config)
}

/// The names of CORS filters in a document.
fn add_names<'n>(node: &'n Node, names: &mut Vec<&'n str>) {
    let policies = filters(node).iter().filter(|(_, config)| is_policy(unwrapped(config)));
    names.extend(policies.map(|(name, _)| name.as_str()));
    if node.get("typed_config").is_some_and(|config| is_of_proto(config, "Cors")) {
        names.extend(node.get("name").map(Node::text));
    }
    node.children().into_iter().for_each(|child| add_names(child, names));
}

/// The names of clusters with a `transport_socket` in a document.
fn add_secure_clusters<'n>(node: &'n Node, names: &mut Vec<&'n str>) {
    let clusters = node.get("clusters").map_or(&[][..], Node::items).iter();
    let is_secure =
        |cluster: &&Node| cluster.get("transport_socket").or(cluster.get("transport_socket_matches")).is_some();
    names.extend(clusters.filter(is_secure).filter_map(|cluster| cluster.get("name")).map(Node::text));
    node.children().into_iter().for_each(|child| add_secure_clusters(child, names));
}

struct Converter<'f, 'n> {
    found: &'f mut Found<'n>,
    /// The names of CORS filters.
    filters: Vec<&'n str>,
    /// Whether domains with `*` become expressions.
    needs_expressions: bool,
    /// The clusters that are not reached by plain HTTP.
    secure_clusters: Vec<&'n str>,
    /// Whether the document has no routes, so that a policy in it is for all paths.
    is_part: bool,
}

impl<'n> Converter<'_, 'n> {
    /// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/cors_filter
    fn add(&mut self, node: &'n Node, mut around: Around<'n>) {
        if !node.items().is_empty() {
            return node.items().iter().for_each(|item| self.add(item, around.clone()));
        }
        // A virtual host.
        let domains = domains(node);
        if !domains.is_empty() {
            around.hosts = self.hosts(node, &domains);
        }
        if !domains.is_empty() || node.get("routes").is_some() {
            self.found.scope += 1;
        }
        let (hosts, found) = (around.hosts.clone(), self.found.routes.len());
        self.children(node, around);
        if !domains.is_empty() && self.found.routes.len() == found {
            let place = self.found.place(node);
            self.found.push_server(&hosts, &place);
        }
    }

    /// The names of the servers for a virtual host.
    fn hosts(&mut self, node: &Node, domains: &[&str]) -> Vec<Option<String>> {
        let place = self.found.place(node);
        let needs_expressions = self.needs_expressions;
        let mut hosts = Vec::new();
        for domain in domains {
            let (name, port) = hosts::without_port(domain);
            if port.is_some() && domains.contains(&name) {
                continue;
            }
            let host = match name {
                "*" => None,
                _ => match self.found.server_name(name, &place, |name| hosts::of_envoy(name, needs_expressions)) {
                    None => continue,
                    host => host,
                },
            };
            if port.is_some() {
                let text = format!(
                    "{domain} is for requests with this port in Host: nginx selects a server by the port that it listens on, and by \
                     the name without a port"
                );
                self.found.notes.differs("port", &place, text);
            }
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    fn children(&mut self, node: &'n Node, mut around: Around<'n>) {
        for key in ["response_headers_to_add", "response_headers_to_remove"] {
            if let Some(headers) = node.get(key).filter(|headers| sets_cors(headers)) {
                let text = format!("{key} is left out: it has headers of CORS; write them as cors_* directives");
                self.found.notes.left("headers", &self.found.place(headers), text);
            }
        }
        let sets_policy = self.settings(node, &mut around);
        if around.has_routes && node.get("match").is_some() {
            return self.route(node, &around);
        }
        if sets_policy && self.is_part {
            self.route(node, &around);
        }
        for (key, child) in node.pairs() {
            match key.as_str() {
                "typed_per_filter_config" | "cors" => {}
                "matcher" if any(child, &is_policy) => {
                    let place = self.found.place(child);
                    self.found.notes.left(
                        "matcher",
                        &place,
                        "The routes of a matcher are left out; write their policies by hand",
                    );
                }
                _ => self.add(child, Around { has_routes: key == "routes", ..around.clone() }),
            }
        }
    }

    /// Adds what an object sets for the CORS filter, and says whether that is a policy.
    fn settings(&self, node: &'n Node, around: &mut Around<'n>) -> bool {
        let is_cors =
            |(name, config): &&(String, Node)| self.filters.contains(&name.as_str()) || is_policy(unwrapped(config));
        let filter = filters(node).iter().find(is_cors).map(|(_, config)| config);
        if filter.and_then(|config| config.get("disabled")).is_some_and(|flag| flag.text() == "true") {
            around.is_off = true;
            return false;
        }
        let former = node.get("cors").or(node.at(&["route", "cors"]));
        around.former.splice(0..0, former);
        let policy = filter.map(unwrapped).or(is_policy(node).then_some(node));
        if let Some(policy) = policy {
            around.is_off = false;
            around.policies.insert(0, policy);
        }
        policy.or(former).is_some()
    }

    fn route(&mut self, node: &Node, around: &Around<'n>) {
        let place = self.found.place(node);
        if node.at(&["match", "connect_matcher"]).is_some() {
            self.found.notes.left(
                "condition",
                &place,
                "A route for CONNECT is left out: browsers send no such requests for scripts",
            );
            return;
        }
        // The filter does nothing in these.
        let is_answered = node.get("redirect").or(node.get("direct_response")).is_some();
        let mut draft = Draft::default();
        let clusters = node.at(&["route", "weighted_clusters"]);
        if let Some(clusters) = clusters.filter(|clusters| any(clusters, &is_policy)) {
            let place = self.found.place(clusters);
            let text = "The policies of weighted clusters are left out, and so is that of their route: chance decides which one counts";
            self.found.notes.left("weighted-clusters", &place, text);
        } else if !around.is_off && !is_answered {
            let policies = if around.policies.is_empty() { &around.former } else { &around.policies };
            draft = self.policy(policies).unwrap_or_default();
        }
        let matched = node.get("match").map_or_else(Matched::everything, matched);
        let mut upstream = node.get("route").and_then(|route| self.upstream(route));
        let is_rewrite = |(key, _): &(String, Node)| key.contains("rewrite");
        let rewrites = node.get("route").is_some_and(|route| route.pairs().iter().any(is_rewrite));
        if rewrites || is_answered {
            let text = "The route gets no proxy_pass: it rewrites or redirects requests, or answers them";
            self.found.notes.left("rewrite", &place, text);
            upstream = None;
        }
        self.found.push(&around.hosts, &matched, &draft, upstream.as_ref(), &place);
    }

    /// The cluster of a route.
    fn upstream(&self, route: &Node) -> Option<Upstream> {
        let Some(cluster) = route.get("cluster").map(Node::text) else {
            let is_chosen = |(key, _): &(String, Node)| key.contains("cluster");
            return route.pairs().iter().any(is_chosen).then(|| Err("its requests go to several clusters".to_owned()));
        };
        match self.secure_clusters.contains(&cluster) {
            true => Some(Err(format!("cluster {cluster:?} has a transport_socket, such as TLS"))),
            false => Some(Ok(format!("http://{cluster}"))),
        }
    }

    /// The policy that some make together: Envoy takes each field from the most specific one that sets it.
    ///
    /// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/cors/v3/cors.proto
    fn policy(&mut self, policies: &[&Node]) -> Option<Draft> {
        let place = self.found.place(policies.first()?);
        let notes = &mut self.found.notes;
        let text = |name: &str| {
            let values = policies.iter().filter_map(|policy| policy.get(name));
            values
                .map(|node| node.get("value").unwrap_or(node).text())
                .find(|text| !text.is_empty())
                .unwrap_or_default()
        };
        // Unlike the other fields, this one is only read from the most specific policy.
        if let Some(node) = policies[0].get("filter_enabled") {
            let place = format!("{}:{}", self.found.name, node.line);
            let of_requests = match share(node) {
                Share::All => None,
                Share::Part => Some("some requests; cors_bypass with a variable of split_clients does so"),
                Share::None if policies[0].get("shadow_enabled").is_some() => {
                    Some("no request; cors_dry_run does what shadow_enabled does")
                }
                Share::None => Some("no request"),
            };
            if let Some(requests) = of_requests {
                let text = format!("The policy is left out: filter_enabled applies it to {requests}");
                notes.left("filter_enabled", &place, text);
                return None;
            }
            if let Some(key) = node.get("runtime_key") {
                let text = format!("The runtime key {:?} is left out: it may switch the policy off", key.text());
                notes.left("filter_enabled", &place, text);
            }
        }
        for name in ["allow_origin", "allow_origin_regex"] {
            if let Some(node) = policies.iter().find_map(|policy| policy.get(name)) {
                let place = format!("{}:{}", self.found.name, node.line);
                notes.left("origin", &place, format!("{name} is left out: Envoy no longer reads it"));
            }
        }
        let origins = policies.iter().filter_map(|policy| policy.get("allow_origin_string_match"));
        let origins = origins.map(Node::items).find(|items| !items.is_empty())?;
        let mut draft = Draft { credentials: text("allow_credentials") == "true", ..Draft::default() };
        draft.private_network = text("allow_private_network_access") == "true";
        for matcher in origins {
            let place = format!("{}:{}", self.found.name, matcher.line);
            let get = |name: &str| matcher.get(name).map(Node::text);
            if let Some(exact) = get("exact") {
                if exact == "*" && draft.credentials {
                    let text = "exact \"*\" with allow_credentials lets every site read responses with the user's cookies; list the origins \
                                in cors_allow_origin";
                    notes.left("origin", &place, text);
                } else {
                    draft.origin(exact, &place, notes);
                }
            } else if let Some(suffix) = get("suffix").filter(|suffix| suffix.starts_with('.')) {
                notes.differs("suffix", &place, format!("The suffix {suffix} had any scheme; now it is https"));
                draft.origin(&format!("https://*{suffix}"), &place, notes);
            } else if let Some(regex) = matcher.at(&["safe_regex", "regex"]) {
                // `ignore_case` has no effect on it.
                draft.expression(regex.text(), &place, notes);
            } else {
                let text = "A prefix, or a part of the origin, also matches names that anyone can register; list the origins that are meant";
                notes.left("origin", &place, text);
            }
        }
        for name in ["allow_methods", "allow_headers", "expose_headers"] {
            if text(name).split(',').any(|word| word.trim().contains(char::is_whitespace)) {
                let text = format!("The policy is left out: in {name}, nothing but a comma separates names");
                notes.left("separator", &place, text);
                return None;
            }
        }
        let (methods, headers) = (text("allow_methods"), text("allow_headers"));
        draft.set_methods([methods], &place, notes);
        draft.set_headers([headers], &place, notes);
        // For `*` alone, Envoy sends what is asked for.
        if headers == "*" && !draft.credentials {
            draft.headers.push("Authorization".to_owned());
        }
        draft.set_exposed([text("expose_headers")], &place, notes);
        if !text("max_age").is_empty() {
            draft.set_max_age(text("max_age"), &place, notes);
        }
        if text("forward_not_matching_preflights") != "false" {
            let text = "Preflights from other origins get the status 403; Envoy passes them on, which cors_preflight off does with all of them";
            notes.differs("preflight", &place, text);
        }
        draft.finish(&place, notes);
        draft.name_wildcards([methods, headers].into_iter().filter(|list| *list != "*"), &place, notes);
        if draft.is_empty() {
            notes.left("origin", &place, "No origin could be carried over");
            return None;
        }
        Some(draft)
    }
}

/// What a `match` of Envoy's matches. It may be for any path if that is not known.
fn matched(node: &Node) -> Matched {
    let text = |keys: &[&str]| node.at(keys).map(Node::text);
    let exact = || text(&["path"]).map(|path| vec![Location::exact(path)]);
    let prefix = || text(&["prefix"]).map(|prefix| vec![Location::start(prefix)]);
    let segments = || text(&["path_separated_prefix"]).map(Location::below);
    let regex = text(&["safe_regex", "regex"]).map(|expression| vec![Location::whole(expression)]);
    let known = ["path", "prefix", "path_separated_prefix", "safe_regex", "case_sensitive"];
    let mut paths = known[..3].iter().filter_map(|key| node.get(key));
    // It makes no difference to expressions.
    let ignores_case =
        text(&["case_sensitive"]) == Some("false") && paths.any(|path| path.text().contains(char::is_alphabetic));
    let plain = || exact().or_else(prefix).or_else(segments).filter(|_| !ignores_case);
    let raw = match text(&["safe_regex", "regex"]) {
        Some(expression) => Location::in_place_of_whole(expression),
        None => known[..3].iter().find_map(|key| Location::in_place_of(text(&[key])?)),
    };
    if let Some(location) = raw.filter(|_| !ignores_case) {
        return Matched::new(vec![location], node, &known).with(routes::RAW_PATH);
    }
    if let Some(locations) = regex.or_else(plain) {
        return Matched::new(locations, node, &known);
    }
    let template = text(&["path_match_policy", "typed_config", "path_template"]);
    let start = template.and_then(|template| template.split(['*', '{']).next()).unwrap_or("/");
    let mut matched = Matched::new(vec![Location::start(start)], node, &known);
    if ignores_case {
        matched.conditions.push("case_sensitive".to_owned());
    } else if matched.conditions.is_empty() {
        matched.conditions.push("match".to_owned());
    }
    matched
}

/// How many requests something of Envoy is for.
enum Share {
    None,
    Part,
    All,
}

/// How many requests a `RuntimeFractionalPercent` is for, if its key is not set at run time.
fn share(percent: &Node) -> Share {
    let number = percent.at(&["default_value", "numerator"]).map_or(Ok(0.0), |number| number.text().parse::<f64>());
    let whole = match percent.at(&["default_value", "denominator"]).map_or("", Node::text) {
        "TEN_THOUSAND" | "1" => 10_000.0,
        "MILLION" | "2" => 1_000_000.0,
        _ => 100.0,
    };
    match number {
        _ if percent.get("default_value").is_none() => Share::Part,
        Ok(number) if number >= whole => Share::All,
        Ok(0.0) => Share::None,
        _ => Share::Part,
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::Notes;
    use super::super::objects::convert;
    use super::super::objects::tests::converted;
    use super::super::yaml::read;
    use super::super::Format;

    #[test]
    fn envoys() {
        let text = "routes:\n- match: {prefix: /api/}\n  route: {cluster: app}\n  typed_per_filter_config:\n    envoy.filters.http.cors:\n      \
                    allow_origin_string_match: [{exact: 'https://a.example'}, {suffix: .b.example}, {prefix: 'https://c'}, {safe_regex: {regex: 'https://\\d+\\.d\\.example'}}]\n      \
                    allow_methods: GET, PUT\n      allow_credentials: {value: true}\n      shadow_enabled: {}\n";
        let (parts, notes) = converted(text);
        assert_eq!(
            parts,
            [
                r"/api/: cors_allow_origin https://a.example https://*.b.example; cors_allow_origin_regex https://\d+\.d\.example; cors_allow_methods GET PUT; cors_allow_credentials on",
                // nginx would redirect it.
                "= /api: "
            ]
        );
        assert_eq!(notes, "suffix origin preflight");
        // A route without a policy does not come under that of another route, and has that of its virtual host.
        let policy = "{envoy.filters.http.cors: {allow_origin_string_match: [{exact: 'https://a.example'}]}}";
        let private = "match: {prefix: /private}\n  route: {cluster: app}\n";
        let text = format!("routes:\n- {private}- match: {{prefix: /}}\n  typed_per_filter_config: {policy}\n");
        let (parts, _) = converted(&text);
        assert_eq!(parts, ["/private: ", "/: cors_allow_origin https://a.example"]);
        let text = format!(
            "virtual_hosts:\n- typed_per_filter_config: {policy}\n  routes:\n  - match: {{prefix: /private}}\n"
        );
        let (parts, _) = converted(&text);
        assert_eq!(parts, ["/private: cors_allow_origin https://a.example"]);
        // The first route that matches counts.
        let other = policy.replace("a.example", "b.example");
        let wide = format!("- match: {{path_separated_prefix: /api}}\n  typed_per_filter_config: {policy}\n");
        let exact = format!("- match: {{path: /api}}\n  typed_per_filter_config: {other}\n");
        let off = "- match: {path: /api}\n  route: {cluster: other}\n".to_owned();
        for (routes, expected, is_left) in [
            (wide.clone() + &off, "/api/: a|= /api: a", true),
            (off.clone() + &wide, "= /api: |/api/: a", false),
            (wide.clone() + &exact, "/api/: a|= /api: a", true),
            (exact.clone() + &wide, "= /api: b|/api/: a", false),
            ("- match: {prefix: ''}\n  typed_per_filter_config: ".to_owned() + policy, "/: a", false),
        ] {
            let (parts, notes) = converted(&format!("routes:\n{routes}"));
            let parts = parts.join("|").replace("cors_allow_origin https://", "").replace(".example", "");
            assert_eq!((parts.as_str(), notes.contains("unreachable")), (expected, is_left), "{routes}");
        }
        // Virtual hosts are servers of their own.
        let host = |domain: &str, routes: &str| {
            format!("- domains: [{domain}]\n  routes:\n  {}\n", routes.trim_end().replace('\n', "\n  "))
        };
        let text = format!("virtual_hosts:\n{}{}", host("a.test", &off), host("'*'", &wide));
        let (parts, notes) = converted(&text);
        let policy_of = |location| format!("{location}: cors_allow_origin https://a.example");
        assert_eq!(parts, [policy_of("/api/"), policy_of("= /api"), "/: ".to_owned()]);
        assert_eq!(notes, "preflight server");
        let text = format!("routes:\n- match: {{path_separated_prefix: /api}}\n  typed_per_filter_config: {policy}\n");
        let (parts, _) = converted(&text);
        assert_eq!(
            parts,
            ["/api/", "= /api"].map(|location| format!("{location}: cors_allow_origin https://a.example"))
        );
    }

    #[test]
    fn expressions_match_whole_paths() {
        for (expression, location) in [
            ("/v[0-9]+", r"~ ^/v[0-9]+\z"),
            ("/api/v1|/other", r"~ ^(?:/api/v1|/other)\z"),
            ("/(a|b)", r"~ ^(?:/(a|b))\z"),
            (r"/a\.b", r"~ ^/a\.b\z"),
            (r"/a\\.*", r"~ '^(?s:/a\\\.*)\z'"),
            ("/a.*|/b", r"~ ^(?s:/a.*|/b)\z"),
            // Groups with names would be variables of nginx.
            (r"/(?P<uri>a)(?<host>b)\(?<x>c", r"~ ^/(?:a)(?:b)\(?<x>c\z"),
            ("^/a$|^/b{2}$", r"~ '^(?:^/a$|^/b{2}$)\z'"),
        ] {
            let cors = "typed_per_filter_config: {a: {allow_origin_string_match: [{exact: 'https://a.example'}]}}";
            let envoy = format!("routes: [{{match: {{safe_regex: {{regex: '{expression}'}}}}, {cors}}}]");
            let cors = "filters: [{type: CORS, cors: {allowOrigins: ['https://a.example']}}]";
            let gateway =
                format!("rules: [{{matches: [{{path: {{type: RegularExpression, value: '{expression}'}}}}], {cors}}}]");
            for text in [envoy, gateway] {
                assert_eq!(converted(&text).0, [format!("{location}: cors_allow_origin https://a.example")], "{text}");
            }
        }
    }

    #[test]
    fn envoy_selects_the_first_route() {
        let route = |matched: &str, origin: &str| {
            let policy = format!("{{c: {{allow_origin_string_match: [{{exact: 'https://{origin}.example'}}], allow_credentials: true}}}}");
            let policy = if origin.is_empty() { String::new() } else { format!(", typed_per_filter_config: {policy}") };
            format!("- {{match: {{{matched}}}, route: {{cluster: c}}{policy}}}\n")
        };
        let prefix = |path: &str, origin: &str| route(&format!("prefix: {path}"), origin);
        let exact = |path: &str, origin: &str| route(&format!("path: {path}"), origin);
        let regex = |source: &str, origin: &str| route(&format!("safe_regex: {{regex: '{source}'}}"), origin);
        for (routes, expected, expected_notes) in [
            (prefix("/", "a") + &prefix("/x", "b"), "/: a", "unreachable"),
            (prefix("/x", "b") + &prefix("/", "a"), "/x: b|/: a", ""),
            // nginx would redirect /x to /x/.
            (prefix("/x/", "b") + &prefix("/", "a"), "/x/: b|= /x: a|/: a", ""),
            (prefix("/x/", "a") + &prefix("/", ""), "/x/: a|= /x: ", ""),
            (exact("/x", "a") + &prefix("/x/", "b"), "= /x: a|/x/: b", ""),
            (prefix("/x/", "b") + &regex("/x", "a"), r"/x/: b|= /x: a|~ ^/x\z: ", "ambiguous"),
            (prefix("/x/", "b") + &regex("/y", "a"), r"/x/: b|~ ^/y\z: a|= /x: ", ""),
            (
                regex("/y|/z", "b") + &prefix("/x/", "b") + &prefix("/", "a"),
                r"~ ^(?:/y|/z)\z: b|/x/: b|= /x: a|/: a",
                "",
            ),
            // What cannot be read may match.
            (
                prefix("/x/", "b") + &regex("(?=/x", "a"),
                r"/x/: b|= /x: |~ ^(?=/x\z: ",
                "condition ambiguous proxy-pass ambiguous",
            ),
            (prefix("/", "") + &prefix("/api", "a"), "", "unreachable"),
            (prefix("/", "a") + &exact("/admin", ""), "/: a", "unreachable"),
            (prefix("/", "a") + &exact("/same", "a"), "/: a", ""),
            (prefix("/", "a") + &regex("/x.*", "b"), "/: a", "unreachable"),
            (prefix("/api", "a") + &regex("/api/v1", "b"), "/api: a", "unreachable"),
            // Some paths of the expression belong to the route before.
            (prefix("/api", "a") + &regex("/a.*", "b"), r"/api: a|~ ^(?s:/a.*)\z: ", "ambiguous"),
            (prefix("/api", "a") + &regex("/api?/x|/b", "b"), r"/api: a|~ ^(?:/api?/x|/b)\z: ", "ambiguous"),
            (prefix("/api", "a") + &regex("/b.*", "b"), r"/api: a|~ ^(?s:/b.*)\z: b", ""),
            (prefix("/api", "a") + &regex("/a.*", "a"), r"/api: a|~ ^(?s:/a.*)\z: a", ""),
            (prefix("/api", "") + &regex("/a.*", "a"), "", "ambiguous"),
            (regex("/a.*", "a") + &prefix("/api", "b"), r"~ ^(?s:/a.*)\z: a|/api: b", ""),
            (regex("/a.*", "") + &prefix("/api", "b"), r"~ ^(?s:/a.*)\z: |/api: b", ""),
            // nginx prefers exact paths to expressions.
            (regex("/a.*", "a") + &exact("/api", "b"), r"~ ^(?s:/a.*)\z: a|= /api: ", "ambiguous"),
            (exact("/api", "b") + &regex("/a.*", "a"), r"= /api: b|~ ^(?s:/a.*)\z: a", ""),
            (regex("/a.*", "a") + &regex("/ab.*", "b"), r"~ ^(?s:/a.*)\z: a|~ ^(?s:/ab.*)\z: b", ""),
            (regex("/a.*", "a") + &regex("/a.*", "b"), r"~ ^(?s:/a.*)\z: a", "unreachable"),
        ] {
            let (parts, notes) = converted(&format!("routes:\n{routes}"));
            let notes = notes.replace("preflight", "");
            let parts = parts.join("|").replace("cors_allow_origin https://", "");
            let parts = parts.replace(".example; cors_allow_credentials on", "");
            assert_eq!((parts.as_str(), notes.trim()), (expected, expected_notes), "{routes}");
        }
        // Virtual hosts of two listeners may have the same name.
        let host = |origin: &str| format!("- domains: ['*']\n  routes:\n  {}", prefix("/", origin));
        for (first, second, count, is_named) in [("a", "b", 2, true), ("", "b", 1, true), ("a", "", 1, true)] {
            let text = format!("virtual_hosts:\n{}{}", host(first), host(second));
            let (parts, notes) = converted(&text);
            assert_eq!((parts.len(), notes.contains("servers")), (count, is_named), "{text}");
        }
    }

    #[test]
    fn names_without_commas() {
        for (field, is_left) in
            [("allow_methods", true), ("allow_headers", true), ("expose_headers", true), ("max_age", false)]
        {
            let policy = format!("{{allow_origin_string_match: [{{exact: 'https://a.example'}}], {field}: '1 2'}}");
            let (_, notes) =
                converted(&format!("- {{match: {{prefix: /}}, typed_per_filter_config: {{c: {policy}}}}}"));
            assert_eq!(notes.contains("separator"), is_left, "{field}: {notes}");
        }
    }

    #[test]
    fn conditions_of_envoy() {
        let route = |matched: &str, origin: &str| {
            let policy = format!("{{c: {{allow_origin_string_match: [{{exact: 'https://{origin}.example'}}]}}}}");
            let policy = if origin.is_empty() { String::new() } else { format!(", typed_per_filter_config: {policy}") };
            format!("- {{match: {{{matched}}}, route: {{cluster: c}}{policy}}}\n")
        };
        let header = "headers: [{name: ':method', string_match: {exact: GET}}]";
        for (routes, expected, expected_notes) in [
            // Who does not meet the condition has no policy.
            (route(&format!("prefix: /, {header}"), "a"), "", "condition ambiguous"),
            (route("prefix: /, query_parameters: [{name: a}]", "a"), "", "condition ambiguous"),
            (route("prefix: /, grpc: {}", "a"), "", "condition ambiguous"),
            (route("prefix: /, headers: [], case_sensitive: true", "a"), "/: a", ""),
            // nginx compares paths as they are without percent-encoding.
            (route("path: /a%25b", "a") + &route("prefix: /%C3%A9/", "a"), "= /a%b: a|/é/: a|= /é: ", ""),
            // Envoy does not decode what may be sent as it is, and nobody can send the others as they are.
            (route("prefix: /%61", "b") + &route("prefix: /a", "a"), "", "condition ambiguous ambiguous"),
            (route("prefix: /c%2Dd", "a"), "", "condition ambiguous"),
            (route("prefix: /c d", "a"), "", "condition ambiguous"),
            (route("path: /é", "a"), "", "condition ambiguous"),
            (route("safe_regex: {regex: '/é.*'}", "a"), "", "condition ambiguous"),
            // All have the same, or not.
            (route(&format!("prefix: /, {header}"), "a") + &route("prefix: /", "a"), "/: a", "condition"),
            (route(&format!("prefix: /x, {header}"), "a") + &route("prefix: /", "a"), "/x: a|/: a", "condition"),
            (
                route(&format!("prefix: /x, {header}"), "") + &route("prefix: /", "a"),
                "/x: |/: a",
                "condition ambiguous",
            ),
            (
                route(&format!("prefix: /x, {header}"), "b") + &route("prefix: /", "a"),
                "/x: |/: a",
                "condition ambiguous",
            ),
            // A request for the longer path may be for the shorter one.
            (
                route(&format!("prefix: /, {header}"), "") + &route("prefix: /x", "a") + &route("prefix: /", ""),
                "",
                "condition ambiguous",
            ),
            // Matchers that are not known may match any path.
            (route("other: {}", "a"), "", "condition ambiguous"),
            (route("", "a"), "", "condition ambiguous"),
            (route("other: {}", "") + &route("prefix: /x", "a"), "", "condition ambiguous"),
            (route("connect_matcher: {}", "a") + &route("prefix: /x", "a"), "/x: a", "condition"),
            (
                route("path_match_policy: {typed_config: {path_template: '/x/{id}'}}", "") + &route("prefix: /y", "a"),
                "/y: a",
                "condition",
            ),
            (route("prefix: /x, case_sensitive: false", "a"), "", "condition ambiguous"),
            (route("prefix: /, case_sensitive: false", "a"), "/: a", ""),
            (route("safe_regex: {regex: /x}, case_sensitive: false", "a"), r"~ ^/x\z: a", ""),
            (route("path: x", "a") + &route("path: /y", "a"), "= /y: a", "path"),
            // Paths that nginx compares in another form.
            (route("prefix: /x/%2Fb", "a"), "", "condition ambiguous"),
            (route("prefix: /x//b", "") + &route("prefix: /", "a"), "/x/: |= /x: a|/: a", "condition ambiguous"),
            (route("prefix: /x/../b", "") + &route("prefix: /x/y", "a"), "", "condition ambiguous"),
            (route("path: '/x?a=b'", "a") + &route("prefix: /", "a"), "/x: a|/: a", "condition"),
            (route("prefix: /.well-known", "a"), "/.well-known: a", ""),
            (
                route("safe_regex: {regex: '/x%20.*'}", "") + &route("prefix: /", "a"),
                "/x: |/: a",
                "condition ambiguous",
            ),
            (route("safe_regex: {regex: '/[^/]*//x'}", "a"), "", "condition ambiguous"),
        ] {
            let (parts, notes) = converted(&format!("routes:\n{routes}"));
            let notes: Vec<_> = notes.split(' ').filter(|code| !["", "preflight"].contains(code)).collect();
            let parts = parts.join("|").replace("cors_allow_origin https://", "").replace(".example", "");
            assert_eq!((parts.as_str(), notes.join(" ").as_str()), (expected, expected_notes), "{routes}");
        }
        let matcher =
            format!("virtual_hosts: [{{matcher: {{matcher_tree: {{routes: [{}]}}}}}}]", &route("prefix: /", "a")[2..]);
        assert_eq!(converted(&matcher), (vec![], "matcher".to_owned()));
    }

    #[test]
    fn policies_of_envoy_fall_back_field_by_field() {
        let host = "allow_origin_string_match: [{exact: 'https://a.example'}], allow_credentials: true, allow_methods: PUT, max_age: '60'";
        let cors = |policy: &str| format!("{{envoy.filters.http.cors: {{{policy}}}}}");
        let of_host =
            "cors_allow_origin https://a.example; cors_allow_methods PUT; cors_allow_credentials on; cors_max_age 60";
        let off = "{'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}";
        let proto = "'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy";
        for (route, expected) in [
            (cors(""), of_host.to_owned()),
            ("{}".to_owned(), of_host.to_owned()),
            (cors("allow_origin_string_match: []"), of_host.to_owned()),
            (cors("allow_origin_string_match: [{exact: 'https://b.example'}]"), of_host.replace("a.", "b.")),
            (cors("allow_methods: PATCH, max_age: ''"), of_host.replace("PUT", "PATCH")),
            (cors("allow_credentials: {value: false}"), of_host.replace(" cors_allow_credentials on;", "")),
            (format!("{{c: {{{proto}, max_age: '5'}}}}"), of_host.replace("60", "5")),
            (format!("{{c: {{config: {{{proto}, max_age: '5'}}}}}}"), of_host.replace("60", "5")),
            (cors("filter_enabled: {default_value: {numerator: 0, denominator: HUNDRED}}"), String::new()),
            (cors("filter_enabled: {default_value: {denominator: HUNDRED}}"), String::new()),
            (cors("filter_enabled: {default_value: {numerator: 5, denominator: HUNDRED}}"), String::new()),
            (cors("filter_enabled: {default_value: {numerator: 100, denominator: MILLION}}"), String::new()),
            (cors("filter_enabled: {runtime_key: a}"), String::new()),
            (cors("filter_enabled: {default_value: {numerator: 100}}"), of_host.to_owned()),
            (
                cors("filter_enabled: {default_value: {numerator: 10000, denominator: TEN_THOUSAND}}"),
                of_host.to_owned(),
            ),
            (format!("{{envoy.filters.http.cors: {off}}}"), String::new()),
            (format!("{{own: {off}}}"), String::new()),
            (format!("{{other: {off}}}"), of_host.to_owned()),
        ] {
            let routes =
                format!("[{{match: {{path: /x}}, typed_per_filter_config: {route}}}, {{match: {{prefix: /}}}}]");
            for (host, filter) in [
                (format!("typed_per_filter_config: {}", cors(host)), "own"),
                (format!("typed_per_filter_config: {{own: {{{host}}}}}"), "none"),
            ] {
                let filter = format!("{{name: {filter}, typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}}}");
                let text = format!(
                    "http_filters: [{filter}]\nroute_config: {{virtual_hosts: [{{{host}, routes: {routes}}}]}}"
                );
                let (parts, _) = converted(&text);
                assert_eq!(parts, [format!("= /x: {expected}"), format!("/: {of_host}")], "{text}");
            }
        }
        // Only the most specific policy is asked whether it is enabled, and former fields count where there is no other one.
        let never = "filter_enabled: {default_value: {}}, shadow_enabled: {default_value: {numerator: 100}}";
        let at = |host: &str, route: &str| {
            format!("virtual_hosts: [{{{host}, routes: [{{match: {{prefix: /}}, {route}}}]}}]")
        };
        let typed = |policy: &str| format!("typed_per_filter_config: {}", cors(policy));
        for (text, expected, expected_notes) in [
            (at(&typed(&format!("{host}, {never}")), "route: {}"), None, "filter_enabled"),
            (at(&typed(&format!("{host}, {never}")), &typed("allow_methods: PUT")), Some(of_host), "preflight"),
            (
                at(&typed(host), &typed("filter_enabled: {runtime_key: a, default_value: {numerator: 100}}")),
                Some(of_host),
                "filter_enabled preflight",
            ),
            (at(&typed(host), "route: {cors: {allow_methods: PATCH}}"), Some(of_host), "preflight"),
            (
                at(&typed(&host.replace("PUT", "")), &format!("route: {{cors: {{{never}}}}}")),
                Some(&of_host.replace(" cors_allow_methods PUT;", "")),
                "preflight",
            ),
            (at(&format!("cors: {{{host}}}"), "route: {cors: {allow_methods: PUT}}"), Some(of_host), "preflight"),
            (
                at(
                    &format!("cors: {{{host}}}, typed_per_filter_config: {{envoy.filters.http.cors: {off}}}"),
                    &format!("route: {{cors: {{{host}}}}}"),
                ),
                None,
                "",
            ),
            // The filter does nothing in these.
            (at(&typed(host), "redirect: {https_redirect: true}"), None, "rewrite"),
            (at(&typed(host), "direct_response: {status: 200}"), None, "rewrite"),
        ] {
            // In JSON, the keys may have another form.
            let other = [
                "allow_origin_string_match",
                "typed_per_filter_config",
                "filter_enabled",
                "default_value",
                "virtual_hosts",
            ];
            let other = other.iter().fold(text.clone(), |text, key| {
                let words: Vec<_> = key.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
                text.replace(key, &(key[..1].to_owned() + &words.concat()[1..]))
            });
            for text in [text, other] {
                let documents = read("f", &text).unwrap();
                let converted = convert("f", &documents, Format::Envoy);
                let (parts, notes) = converted.unwrap_or_else(|_| (Vec::new(), Notes::default()));
                let lines = parts.iter().map(|part| {
                    part.draft
                        .directives(None)
                        .into_iter()
                        .map(|(name, value)| format!("{name} {value}"))
                        .collect::<Vec<_>>()
                        .join("; ")
                });
                let codes: Vec<_> = notes.0.iter().map(|note| note.code).collect();
                assert_eq!(lines.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{text}");
                assert_eq!(codes.join(" "), expected_notes, "{text}");
            }
        }
        // Chance decides which cluster, and so which policy, a request gets.
        let weighted = format!("{{clusters: [{{name: a, weight: 1, typed_per_filter_config: {}}}]}}", cors(host));
        let route = format!("{{match: {{path: /x}}, route: {{weighted_clusters: {weighted}}}}}");
        let (parts, notes) = converted(&format!("routes: [{route}]"));
        assert_eq!((parts.len(), notes.as_str()), (0, "weighted-clusters"));
        // Without a policy that it could be a part of, a route has none.
        let route = format!("{{match: {{path: /x}}, typed_per_filter_config: {}}}", cors("allow_credentials: true"));
        let policy = cors(host);
        let text = format!("virtual_hosts: [{{domains: [a.test], routes: [{route}]}}, {{typed_per_filter_config: {policy}, routes: [{{match: {{prefix: /}}}}]}}]");
        assert_eq!(converted(&text).0, [format!("/: {of_host}"), "/: ".to_owned()]);
    }
}
