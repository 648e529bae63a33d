// SPDX-License-Identifier: Apache-2.0
//! CORS filters of the Gateway API.

use super::draft::Draft;
use super::hosts;
use super::objects::{sets_cors, Found, Matched};
use super::routes::{self, Location, Upstream};
use super::yaml::{any, Node};

/// Finds the routes of HTTPRoutes. Returns what should be there.
pub fn find(documents: &[Node], found: &mut Found<'_>) -> &'static str {
    for document in documents {
        found.scope += 1;
        if !found.is_other(document, "HTTPRoute") {
            add(found, document);
        }
    }
    "filters of type CORS"
}

/// https://gateway-api.sigs.k8s.io/geps/gep-1767/
fn add(found: &mut Found<'_>, document: &Node) {
    let rules = document.at(&["spec", "rules"]).or(document.get("rules"));
    let rules: Vec<&Node> = rules.map_or(vec![document], |rules| rules.items().iter().collect());
    let names = document.at(&["spec", "hostnames"]).map(Node::words).unwrap_or_default();
    let place = found.place(document);
    let hosts: Vec<_> = match names[..] {
        [] => vec![None],
        _ => names.into_iter().filter_map(|name| found.server_name(name, &place, hosts::checked).map(Some)).collect(),
    };
    for rule in rules {
        let place = found.place(rule);
        let filters = rule.get("filters").map_or(&[][..], Node::items);
        let of_cors = |filter: &&Node| filter.get("type").is_some_and(|kind| kind.text() == "CORS");
        let cors = filters.iter().find(of_cors).and_then(|filter| filter.get("cors"));
        let mut draft = cors.and_then(|cors| policy(found, cors)).unwrap_or_default();
        let backends = rule.get("backendRefs").map_or(&[][..], Node::items);
        if let Some(backend) = backends.iter().find(|backend| any(backend, &|node| node.get("cors").is_some())) {
            let text = "The policies of backends are left out, and so is that of their rule: the weights decide which one counts";
            found.notes.left("backends", &found.place(backend), text);
            draft = Draft::default();
        }
        for filter in filters {
            let kind = filter.get("type").map_or("", Node::text);
            if kind == "ResponseHeaderModifier" && sets_cors(filter) {
                let text = "The filter ResponseHeaderModifier is left out: it has headers of CORS; write them as cors_* directives";
                found.notes.left("headers", &found.place(filter), text);
            } else if !draft.is_empty() && !["CORS", "URLRewrite", "RequestRedirect"].contains(&kind) {
                found.notes.differs("filter", &found.place(filter), format!("The filter {kind} is left out"));
            }
        }
        let is_rewrite = |filter: &&Node| {
            filter.get("type").is_some_and(|kind| matches!(kind.text(), "URLRewrite" | "RequestRedirect"))
        };
        let upstream = match backends {
            _ if filters.iter().any(|filter| is_rewrite(&filter)) => {
                found.notes.left("rewrite", &place, "The rule gets no proxy_pass: it rewrites or redirects requests");
                None
            }
            [backend] => upstream(backend),
            [] => None,
            _ => {
                found.notes.left("proxy-pass", &place, "The rule gets no proxy_pass: it has several backends");
                None
            }
        };
        let matches = rule.get("matches").map_or(&[][..], Node::items);
        let mut matched: Vec<_> = matches.iter().map(matched).collect();
        if matched.is_empty() {
            matched = vec![Matched::everything()];
        }
        for matched in &matched {
            found.push(&hosts, matched, &draft, upstream.as_ref(), &place);
        }
    }
}

fn policy(found: &mut Found<'_>, cors: &Node) -> Option<Draft> {
    let place = found.place(cors);
    let notes = &mut found.notes;
    let words = |name: &str| cors.get(name).map(Node::words).unwrap_or_default();
    let mut draft = Draft {
        credentials: cors.get("allowCredentials").is_some_and(|flag| flag.text() == "true"),
        ..Draft::default()
    };
    for origin in words("allowOrigins") {
        if origin == "*" && draft.credentials {
            let text = "allowOrigins \"*\" with allowCredentials lets every site read responses with the user's cookies; list the \
                        origins in cors_allow_origin";
            notes.left("origin", &place, text);
            continue;
        }
        draft.origin(origin, &place, notes);
    }
    draft.set_methods(words("allowMethods"), &place, notes);
    draft.set_headers(words("allowHeaders"), &place, notes);
    draft.set_exposed(words("exposeHeaders"), &place, notes);
    if let Some(seconds) = cors.get("maxAge") {
        draft.set_max_age(seconds.text(), &place, notes);
    }
    draft.finish(&place, notes);
    if draft.is_empty() {
        notes.left("origin", &place, "No origin could be carried over");
        return None;
    }
    Some(draft)
}

/// What an item of the `matches` of an HTTPRoute matches.
fn matched(node: &Node) -> Matched {
    let text = |name, default| node.at(&["path", name]).map_or(default, Node::text);
    let value = text("value", "/");
    let raw = match text("type", "PathPrefix") {
        "RegularExpression" => Location::in_place_of_whole(value),
        _ => Location::in_place_of(value),
    };
    if let Some(location) = raw {
        return Matched::new(vec![location], node, &["path"]).with(routes::RAW_PATH);
    }
    let locations = match text("type", "PathPrefix") {
        "Exact" => vec![Location::exact(value)],
        "RegularExpression" => vec![Location::whole(value)],
        // https://gateway-api.sigs.k8s.io/reference/spec/#pathmatchtype: a slash at the end is ignored.
        "PathPrefix" => Location::below(value.trim_end_matches('/')),
        _ => return Matched::new(vec![Location::start("/")], node, &[]),
    };
    Matched::new(locations, node, &["path"])
}

/// The service of an item of `backendRefs`.
fn upstream(backend: &Node) -> Option<Upstream> {
    let text = |key: &str| backend.get(key).map_or("", Node::text);
    let name = backend.get("name")?.text();
    Some(match (text("kind"), text("port"), text("weight")) {
        (kind, _, _) if !["", "Service"].contains(&kind) => Err(format!("its backend is not a Service, but a {kind}")),
        (_, "", _) => Err("its backend has no port".to_owned()),
        (_, _, "0") => Err("its backend has the weight 0".to_owned()),
        (_, port, _) => match text("namespace") {
            "" => Ok(format!("http://{name}:{port}")),
            namespace => Ok(format!("http://{name}.{namespace}:{port}")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::objects::tests::converted;

    #[test]
    fn routes() {
        let text = "kind: HTTPRoute\nspec:\n  rules:\n  - matches: [{path: {type: PathPrefix, value: /api}}, {path: {type: Exact, value: /x}}]\n    \
                    filters:\n    - type: CORS\n      cors: {allowOrigins: [\"https://a.example\", \"b.example\"], allowMethods: [\"*\"], maxAge: 60}\n    \
                    backendRefs: [{name: api, port: 8080}]\n  - filters: [{type: RequestMirror}]\n";
        let (parts, notes) = converted(text);
        let policy = "cors_allow_origin https://a.example; cors_allow_methods *; cors_max_age 60";
        assert_eq!(parts, ["/api/", "= /api", "= /x"].map(|location| format!("{location}: {policy}")));
        assert_eq!(notes, "origin");
        // A rule for exactly a path comes before one for all below it, and nginx has one policy for each location.
        let rule = |kind: &str, path: &str, origin: &str| {
            let cors = format!("filters: [{{type: CORS, cors: {{allowOrigins: ['https://{origin}.example']}}}}]");
            let cors = if origin.is_empty() { "filters: []".to_owned() } else { cors };
            format!("  - {{matches: [{{path: {{type: {kind}, value: {path}}}}}], {cors}}}\n")
        };
        for (rules, expected, expected_notes) in [
            (rule("PathPrefix", "/a", "x") + &rule("Exact", "/a", "y"), "/a/: x|= /a: y", ""),
            (rule("Exact", "/a", "y") + &rule("PathPrefix", "/a", "x"), "= /a: y|/a/: x", ""),
            (rule("PathPrefix", "/a", "x") + &rule("Exact", "/a", ""), "/a/: x|= /a: ", ""),
            (rule("PathPrefix", "/", "x") + &rule("Exact", "/a", ""), "/: x|= /a: ", ""),
            (rule("PathPrefix", "/a", "x") + &rule("PathPrefix", "/ab", ""), "/a/: x|= /a: x", ""),
            (rule("PathPrefix", "/a/", "x") + &rule("PathPrefix", "/a", "y"), "/a/: x|= /a: x", "unreachable"),
            (rule("PathPrefix", "/a", "x") + &rule("PathPrefix", "/a/", "x"), "/a/: x|= /a: x", ""),
            (rule("PathPrefix", "", "x"), "/: x", ""),
            (
                rule("PathPrefix", "/a", "x") + &rule("Exact", "/a", "x") + &rule("Exact", "/a", "y"),
                "/a/: x|= /a: x",
                "unreachable",
            ),
            (
                rule("PathPrefix", "/a", "x") + &rule("Exact", "/a", "x") + &rule("Exact", "/a", ""),
                "/a/: x|= /a: x",
                "unreachable",
            ),
            (rule("Exact", "/a", "x") + &rule("Exact", "/a", "y"), "= /a: x", "unreachable"),
            // Under a condition that changes nothing.
            (
                rule("PathPrefix", "/", "x")
                    + &rule("PathPrefix", "/a", "x")
                        .replace("value: /a}", "value: /a}, headers: [{name: b, value: c}]"),
                "/: x|/a/: x|= /a: x",
                "condition",
            ),
        ] {
            let (parts, notes) = converted(&format!("kind: HTTPRoute\nspec:\n  rules:\n{rules}"));
            let parts = parts.join("|").replace("cors_allow_origin https://", "").replace(".example", "");
            assert_eq!((parts.as_str(), notes.as_str()), (expected, expected_notes), "{rules}");
        }
        let (parts, notes) = converted("filters: [{type: CORS, cors: {allowOrigins: ['*'], allowCredentials: true}}]");
        assert_eq!((parts.len(), notes.as_str()), (0, "origin origin"));
    }
}
