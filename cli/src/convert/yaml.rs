// SPDX-License-Identifier: Apache-2.0
//! Policies in YAML: annotations of ingress-nginx, CORS filters of the Gateway API, and Envoy's policies.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::draft::{Draft, Notes};
use super::routes::{self, Location, Order, Route, Upstream};
use super::{hosts, Part};
use crate::Failure;

/// A node, and its line.
pub struct Node {
    line: usize,
    kind: Kind,
}

enum Kind {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    Nothing,
}

/// The deepest node that is read.
const DEEPEST: usize = 64;

impl Node {
    fn new(yaml: &MarkedYaml<'_>, depth: usize) -> Result<Node, Failure> {
        let line = yaml.span.start.line();
        if depth > DEEPEST {
            return Err(format!("line {line}: too many nodes in nodes"));
        }
        let kind = match &yaml.data {
            YamlData::Mapping(map) => {
                let pairs = map.iter().map(|(key, value)| {
                    Ok((Node::new(key, depth + 1)?.text().to_owned(), Node::new(value, depth + 1)?))
                });
                Kind::Map(merged(pairs.collect::<Result<_, Failure>>()?))
            }
            YamlData::Sequence(list) => {
                Kind::List(list.iter().map(|item| Node::new(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            YamlData::Value(Scalar::Null) => Kind::Nothing,
            YamlData::Value(Scalar::Boolean(value)) => Kind::Text(value.to_string()),
            YamlData::Value(Scalar::Integer(value)) => Kind::Text(value.to_string()),
            YamlData::Value(Scalar::FloatingPoint(value)) => Kind::Text(value.to_string()),
            YamlData::Value(Scalar::String(text)) | YamlData::Representation(text, ..) => Kind::Text(text.to_string()),
            YamlData::Tagged(_, inner) => return Node::new(inner, depth + 1),
            YamlData::Alias(_) | YamlData::BadValue => return Err(format!("line {line}: this value cannot be read")),
        };
        Ok(Node { line, kind })
    }

    fn text(&self) -> &str {
        match &self.kind {
            Kind::Text(text) => text,
            _ => "",
        }
    }

    fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().find(|(other, _)| other == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The node at the end of some keys.
    fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    fn pairs(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Map(pairs) => pairs,
            _ => &[],
        }
    }

    fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The texts of a list, or the parts of a text between commas.
    fn words(&self) -> Vec<&str> {
        match &self.kind {
            Kind::List(items) => items.iter().map(Node::text).collect(),
            Kind::Text(text) => text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect(),
            _ => Vec::new(),
        }
    }

    /// With the keys of Envoy's objects as they are in its documentation: in JSON, they may be written `likeThis`.
    fn in_snake_case(self) -> Node {
        let kind = match self.kind {
            Kind::Map(pairs) => {
                Kind::Map(pairs.into_iter().map(|(key, node)| (snake_case(&key), node.in_snake_case())).collect())
            }
            Kind::List(items) => Kind::List(items.into_iter().map(Node::in_snake_case).collect()),
            kind => kind,
        };
        Node { kind, ..self }
    }

    /// The objects of a `kind: List`, as `kubectl get` prints it, or the object itself.
    fn unpacked(self) -> Vec<Node> {
        let is_list = self.get("kind").is_some_and(|kind| kind.text() == "List");
        match self.kind {
            Kind::Map(pairs) if is_list => match pairs.into_iter().find(|(key, _)| key == "items") {
                Some((_, Node { kind: Kind::List(items), .. })) => items.into_iter().flat_map(Node::unpacked).collect(),
                _ => Vec::new(),
            },
            _ => vec![self],
        }
    }

    fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().map(|(_, value)| value).collect(),
            Kind::List(items) => items.iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// The pairs of an object, with those of the objects that `<<` names.
fn merged(pairs: Vec<(String, Node)>) -> Vec<(String, Node)> {
    let (others, mut pairs): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key == "<<");
    for (_, other) in others {
        let maps = match other.kind {
            Kind::List(items) => items.into_iter().map(|item| item.kind).collect(),
            kind => vec![kind],
        };
        for (key, node) in
            maps.into_iter().flat_map(|kind| if let Kind::Map(pairs) = kind { pairs } else { Vec::new() })
        {
            if !pairs.iter().any(|(own, _)| *own == key) {
                pairs.push((key, node));
            }
        }
    }
    pairs
}

/// `snake_case` for `snakeCase`.
fn snake_case(key: &str) -> String {
    key.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}

/// The documents of a file.
pub fn read(name: &str, text: &str) -> Result<Vec<Node>, Failure> {
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|error| format!("{name}:{}: this is not valid YAML: {}", error.marker().line(), error.info()))?;
    let nodes: Result<Vec<_>, Failure> = documents.iter().map(|yaml| Node::new(yaml, 0)).collect();
    let nodes = nodes.map_err(|error| format!("{name}: {error}"))?.into_iter().flat_map(Node::unpacked);
    let has_camel_case =
        |node: &Node| ["allowOriginStringMatch", "typedPerFilterConfig"].iter().any(|key| node.get(key).is_some());
    let as_written = |node: Node| if any(&node, &has_camel_case) { node.in_snake_case() } else { node };
    Ok(nodes.filter(|node| !matches!(node.kind, Kind::Nothing)).map(as_written).collect())
}

/// What a file in YAML contains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// Objects of the kind Ingress.
    Ingress,
    /// Objects of the kind HTTPRoute, or a part of one.
    Gateway,
    /// A configuration of Envoy, or a part of one.
    Envoy,
}

/// The prefix of the annotations of ingress-nginx.
const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// The annotations with the policy.
const POLICY: [&str; 6] = [
    "cors-allow-origin",
    "cors-allow-methods",
    "cors-allow-headers",
    "cors-allow-credentials",
    "cors-expose-headers",
    "cors-max-age",
];

/// What the documents are about.
pub fn source(documents: &[Node]) -> Option<Source> {
    let kind = |document: &Node| document.get("kind").map_or(String::new(), |kind| kind.text().to_owned());
    let has = |check: fn(&Node) -> bool| documents.iter().any(|document| any(document, &check));
    if documents.iter().any(|document| kind(document) == "Ingress")
        || has(|node| node.get(&format!("{PREFIX}enable-cors")).is_some())
    {
        Some(Source::Ingress)
    } else if has(|node| node.get("type").is_some_and(|kind| kind.text() == "CORS") && node.get("cors").is_some()) {
        Some(Source::Gateway)
    } else if has(|node| node.get("allow_origin_string_match").is_some()) {
        Some(Source::Envoy)
    } else {
        None
    }
}

fn any(node: &Node, check: &dyn Fn(&Node) -> bool) -> bool {
    check(node) || node.children().into_iter().any(|child| any(child, check))
}

/// The locations for what the documents contain.
pub fn convert(name: &str, documents: &[Node], source: Source) -> Result<(Vec<Part>, Notes), Failure> {
    let mut converter = Converter {
        name,
        notes: Notes::default(),
        found: Vec::new(),
        scope: 0,
        hosts: Hosts::default(),
        filters: vec![FILTER],
        needs_expressions: false,
        secure_clusters: Vec::new(),
        is_part: false,
    };
    match source {
        Source::Ingress => converter.hosts = Hosts::of(documents.iter().filter(|document| is_ingress(document))),
        Source::Gateway => {}
        Source::Envoy => {
            documents.iter().for_each(|document| add_names(document, &mut converter.filters));
            documents.iter().for_each(|document| add_secure_clusters(document, &mut converter.secure_clusters));
            let needs_expression = |domain: &&str| hosts::needs_expression(hosts::without_port(domain).0);
            let has_such_domain = |node: &Node| domains(node).iter().any(needs_expression);
            converter.needs_expressions = documents.iter().any(|document| any(document, &has_such_domain));
        }
    }
    for document in documents {
        converter.scope += 1;
        if source != Source::Envoy && converter.is_other(document, source) {
            continue;
        }
        converter.is_part = !any(document, &|node| node.get("routes").is_some());
        match source {
            Source::Ingress => converter.ingress(document),
            Source::Gateway => converter.gateway(document),
            Source::Envoy => {
                let around = Around {
                    hosts: vec![None],
                    policies: Vec::new(),
                    former: Vec::new(),
                    is_off: false,
                    has_routes: true,
                };
                converter.envoy(document, around);
            }
        }
    }
    let Converter { found, mut notes, .. } = converter;
    let order = match source {
        Source::Ingress => Order::Nginx,
        Source::Gateway => Order::Specific,
        Source::Envoy => Order::Listed,
    };
    let mut parts = routes::parts(&found, order, &mut notes);
    if parts.is_empty() && notes.0.is_empty() {
        let what = match source {
            Source::Ingress => "annotations of ingress-nginx with enable-cors",
            Source::Gateway => "filters of type CORS",
            Source::Envoy => "CORS policies of Envoy",
        };
        return Err(format!("{name}: there are no {what} in it"));
    }
    if source == Source::Ingress {
        // As ingress-nginx writes them, so that no shorter expression takes the requests of a longer one.
        parts.sort_by_key(|part| std::cmp::Reverse(expression(&part.location).map_or(0, str::len)));
    } else {
        parts.sort_by_key(|part| hosts::rank(part.host.as_deref()));
    }
    Ok((parts, notes))
}

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

/// Whether something in an object is the name of a header of CORS.
fn sets_cors(node: &Node) -> bool {
    any(node, &|node| node.text().to_ascii_lowercase().contains("access-control-"))
}

/// What a route matches.
struct Matched {
    locations: Vec<Location>,
    /// The keys of what it matches beside the path.
    conditions: Vec<String>,
}

impl Matched {
    fn everything() -> Matched {
        Matched { locations: vec![Location::start("/")], conditions: Vec::new() }
    }

    /// Matches these locations. Each key of the object that is not known is a condition.
    fn new(locations: Vec<Location>, node: &Node, known: &[&str]) -> Matched {
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

    fn with(mut self, condition: &str) -> Matched {
        self.conditions.push(condition.to_owned());
        self
    }

    /// What a `match` of Envoy's matches. It may be for any path if that is not known.
    fn by_envoy(node: &Node) -> Matched {
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

    /// What an item of the `matches` of an HTTPRoute matches.
    fn by_gateway(node: &Node) -> Matched {
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
}

struct Converter<'n> {
    name: &'n str,
    notes: Notes,
    found: Vec<Route>,
    /// The number of the object whose routes are being looked at.
    scope: usize,
    hosts: Hosts,
    /// The names of CORS filters of Envoy.
    filters: Vec<&'n str>,
    /// Whether domains of Envoy with `*` become expressions.
    needs_expressions: bool,
    /// The clusters of Envoy that are not reached by plain HTTP.
    secure_clusters: Vec<&'n str>,
    /// Whether the document of Envoy has no routes, so that a policy in it is for all paths.
    is_part: bool,
}

impl<'n> Converter<'n> {
    fn place(&self, node: &Node) -> String {
        format!("{}:{}", self.name, node.line)
    }

    /// Whether a document is an object of another kind. Names its policies.
    fn is_other(&mut self, document: &Node, source: Source) -> bool {
        let wanted = if source == Source::Ingress { "Ingress" } else { "HTTPRoute" };
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
    fn server_name(&mut self, name: &str, place: &str, convert: impl Fn(&str) -> Option<String>) -> Option<String> {
        let converted = convert(name);
        if converted.is_none() {
            let text = format!("The host {name:?} is left out: nginx cannot have a server of this name");
            self.notes.left("host", place, text);
        }
        converted
    }

    /// Adds a server without routes, so that its requests do not come under the policy of another server.
    fn push_server(&mut self, hosts: &[Option<String>], place: &str) {
        self.push(hosts, &Matched::everything(), &Draft::default(), None, place);
    }

    fn push(
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
            if !location.is_possible() {
                self.notes.left("path", place, "A path is left out: it does not start with a slash");
                continue;
            }
            self.found.push(Route {
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

    /// https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#enable-cors
    fn ingress(&mut self, document: &Node) {
        let draft = self.ingress_policy(document).unwrap_or_default();
        let mut found = false;
        if let Some(canary) = annotation(document, "canary").filter(|_| is_canary(document)) {
            let place = self.place(canary);
            self.notes.left(
                "canary",
                &place,
                "A canary is left out: its requests have the policy of the other Ingress",
            );
            return;
        }
        self.name_annotations(document, !draft.is_empty());
        let backend = document.at(&["spec", "defaultBackend"]).or(document.at(&["spec", "backend"]));
        let default = backend.and_then(|backend| ingress_upstream(document, backend));
        let target = rules(document).iter().find_map(|rule| rewrite_target(document, rule));
        if let Some(target) = target.filter(|_| !draft.is_empty()) {
            let place = self.place(target);
            let text = format!("rewrite-target is left out: the path is passed on as it is, not as {}", target.text());
            self.notes.left("rewrite-target", &place, text);
        }
        for alias in aliases(document) {
            if self.hosts.aliases.iter().any(|(_, other)| other == alias) {
                continue;
            }
            let place = self.place(document);
            if !draft.is_empty() {
                let text =
                    format!("The alias {alias:?} is left out: another rule is for this host, or several hosts have it");
                self.notes.left("server-alias", &place, text);
            }
            let name = hosts::alias(alias);
            if name.is_some() && !self.hosts.objects.contains(&Some(alias.to_owned())) {
                self.push_server(&[name], &place);
            }
        }
        for rule in rules(document) {
            let hosts = self.ingress_hosts(rule);
            for path in paths(rule) {
                found = true;
                let upstream = path.get("backend").and_then(|backend| ingress_upstream(document, backend));
                let place = self.place(path);
                let matched = Matched { locations: self.hosts.locations(document, rule, path), conditions: Vec::new() };
                self.push(&hosts, &matched, &draft, upstream.as_ref(), &place);
            }
            if paths(rule).is_empty() {
                found = true;
                let place = self.place(rule);
                // It has a location for all paths.
                self.push(&hosts, &Matched::everything(), &draft, default.as_ref(), &place);
            } else if default.is_some() {
                self.ingress_default(rule, &draft, default.as_ref(), &hosts);
            }
        }
        if !found && (default.is_some() || !draft.is_empty()) {
            let place = self.place(document);
            self.push(&[None], &Matched::everything(), &draft, default.as_ref(), &place);
        }
    }

    /// The location of ingress-nginx for the paths of a host that no rule is for, if the object has a `defaultBackend`. If several
    /// objects are for the host, the oldest one has this location.
    fn ingress_default(&mut self, rule: &Node, draft: &Draft, upstream: Option<&Upstream>, hosts: &[Option<String>]) {
        let place = self.place(rule);
        let host = host(rule);
        if self.hosts.with_root.contains(&host) {
            return;
        }
        if self.hosts.objects.iter().filter(|other| **other == host).count() > 1 {
            if !draft.is_empty() {
                let text = "defaultBackend is left out for this host: several objects are for it, and the cluster uses that of the oldest one";
                self.notes.left("default-backend", &place, text);
            }
            return;
        }
        let location = match self.hosts.with_expressions.contains(&host) {
            true => Location::start_in_either_case("/"),
            false => Location::start("/"),
        };
        self.push(hosts, &Matched { locations: vec![location], conditions: Vec::new() }, draft, upstream, &place);
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
                self.notes.left("snippet", &self.place(value), text);
            } else if !known.contains(&name) && !POLICY.contains(&name) {
                others.push(name);
            }
        }
        if has_policy && !others.is_empty() {
            let text = format!("These annotations are left out: {}", others.join(", "));
            self.notes.differs("annotations", &self.place(document), text);
        }
    }

    /// The names of the servers for a rule.
    fn ingress_hosts(&mut self, rule: &Node) -> Vec<Option<String>> {
        let place = self.place(rule);
        let Some(name) = host(rule) else { return vec![None] };
        let aliases: Vec<_> = self
            .hosts
            .aliases
            .iter()
            .filter(|(host, _)| host.as_ref() == Some(&name))
            .map(|(_, alias)| alias.clone())
            .collect();
        let mut hosts = vec![self.server_name(&name, &place, hosts::of_ingress)];
        hosts.extend(aliases.iter().map(|alias| self.server_name(alias, &place, hosts::alias)));
        hosts.into_iter().flatten().map(Some).collect()
    }

    fn ingress_policy(&mut self, document: &Node) -> Option<Draft> {
        let get = |name: &str| annotation(document, name);
        let enabled = get("enable-cors")?;
        let place = self.place(enabled);
        if !is_on(enabled.text()) {
            self.notes.differs("off", &place, "enable-cors is not \"true\", so there is no policy");
            return None;
        }
        let text = |name: &str, default: &str| get(name).map_or(default.to_owned(), |node| node.text().to_owned());
        let notes = &mut self.notes;
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

    /// https://gateway-api.sigs.k8s.io/geps/gep-1767/
    fn gateway(&mut self, document: &Node) {
        let rules = document.at(&["spec", "rules"]).or(document.get("rules"));
        let rules: Vec<&Node> = rules.map_or(vec![document], |rules| rules.items().iter().collect());
        let names = document.at(&["spec", "hostnames"]).map(Node::words).unwrap_or_default();
        let place = self.place(document);
        let hosts: Vec<_> = match names[..] {
            [] => vec![None],
            _ => {
                names.into_iter().filter_map(|name| self.server_name(name, &place, hosts::checked).map(Some)).collect()
            }
        };
        for rule in rules {
            let place = self.place(rule);
            let filters = rule.get("filters").map_or(&[][..], Node::items);
            let of_cors = |filter: &&Node| filter.get("type").is_some_and(|kind| kind.text() == "CORS");
            let cors = filters.iter().find(of_cors).and_then(|filter| filter.get("cors"));
            let mut draft = cors.and_then(|cors| self.gateway_policy(cors)).unwrap_or_default();
            let backends = rule.get("backendRefs").map_or(&[][..], Node::items);
            if let Some(backend) = backends.iter().find(|backend| any(backend, &|node| node.get("cors").is_some())) {
                let text = "The policies of backends are left out, and so is that of their rule: the weights decide which one counts";
                self.notes.left("backends", &self.place(backend), text);
                draft = Draft::default();
            }
            for filter in filters {
                let kind = filter.get("type").map_or("", Node::text);
                if kind == "ResponseHeaderModifier" && sets_cors(filter) {
                    let text = "The filter ResponseHeaderModifier is left out: it has headers of CORS; write them as cors_* directives";
                    self.notes.left("headers", &self.place(filter), text);
                } else if !draft.is_empty() && !["CORS", "URLRewrite", "RequestRedirect"].contains(&kind) {
                    self.notes.differs("filter", &self.place(filter), format!("The filter {kind} is left out"));
                }
            }
            let is_rewrite = |filter: &&Node| {
                filter.get("type").is_some_and(|kind| matches!(kind.text(), "URLRewrite" | "RequestRedirect"))
            };
            let upstream = match backends {
                _ if filters.iter().any(|filter| is_rewrite(&filter)) => {
                    self.notes.left(
                        "rewrite",
                        &place,
                        "The rule gets no proxy_pass: it rewrites or redirects requests",
                    );
                    None
                }
                [backend] => gateway_upstream(backend),
                [] => None,
                _ => {
                    self.notes.left("proxy-pass", &place, "The rule gets no proxy_pass: it has several backends");
                    None
                }
            };
            let matches = rule.get("matches").map_or(&[][..], Node::items);
            let mut matched: Vec<_> = matches.iter().map(Matched::by_gateway).collect();
            if matched.is_empty() {
                matched = vec![Matched::everything()];
            }
            for matched in &matched {
                self.push(&hosts, matched, &draft, upstream.as_ref(), &place);
            }
        }
    }

    fn gateway_policy(&mut self, cors: &Node) -> Option<Draft> {
        let place = self.place(cors);
        let notes = &mut self.notes;
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

    /// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/cors_filter
    fn envoy(&mut self, node: &'n Node, mut around: Around<'n>) {
        if !node.items().is_empty() {
            return node.items().iter().for_each(|item| self.envoy(item, around.clone()));
        }
        // A virtual host.
        let domains = domains(node);
        if !domains.is_empty() {
            around.hosts = self.envoy_hosts(node, &domains);
        }
        if !domains.is_empty() || node.get("routes").is_some() {
            self.scope += 1;
        }
        let (hosts, found) = (around.hosts.clone(), self.found.len());
        self.envoy_children(node, around);
        if !domains.is_empty() && self.found.len() == found {
            let place = self.place(node);
            self.push_server(&hosts, &place);
        }
    }

    /// The names of the servers for a virtual host.
    fn envoy_hosts(&mut self, node: &Node, domains: &[&str]) -> Vec<Option<String>> {
        let place = self.place(node);
        let needs_expressions = self.needs_expressions;
        let mut hosts = Vec::new();
        for domain in domains {
            let (name, port) = hosts::without_port(domain);
            if port.is_some() && domains.contains(&name) {
                continue;
            }
            let host = match name {
                "*" => None,
                _ => match self.server_name(name, &place, |name| hosts::of_envoy(name, needs_expressions)) {
                    None => continue,
                    host => host,
                },
            };
            if port.is_some() {
                let text = format!(
                    "{domain} is for requests with this port in Host: nginx selects a server by the port that it listens on, and by \
                     the name without a port"
                );
                self.notes.differs("port", &place, text);
            }
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    fn envoy_children(&mut self, node: &'n Node, mut around: Around<'n>) {
        for key in ["response_headers_to_add", "response_headers_to_remove"] {
            if let Some(headers) = node.get(key).filter(|headers| sets_cors(headers)) {
                let text = format!("{key} is left out: it has headers of CORS; write them as cors_* directives");
                self.notes.left("headers", &self.place(headers), text);
            }
        }
        let sets_policy = self.envoy_settings(node, &mut around);
        if around.has_routes && node.get("match").is_some() {
            return self.envoy_route(node, &around);
        }
        if sets_policy && self.is_part {
            self.envoy_route(node, &around);
        }
        for (key, child) in node.pairs() {
            match key.as_str() {
                "typed_per_filter_config" | "cors" => {}
                "matcher" if any(child, &is_policy) => {
                    let place = self.place(child);
                    self.notes.left(
                        "matcher",
                        &place,
                        "The routes of a matcher are left out; write their policies by hand",
                    );
                }
                _ => self.envoy(child, Around { has_routes: key == "routes", ..around.clone() }),
            }
        }
    }

    /// Adds what an object sets for the CORS filter, and says whether that is a policy.
    fn envoy_settings(&self, node: &'n Node, around: &mut Around<'n>) -> bool {
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

    fn envoy_route(&mut self, node: &Node, around: &Around<'n>) {
        let place = self.place(node);
        if node.at(&["match", "connect_matcher"]).is_some() {
            self.notes.left(
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
            let place = self.place(clusters);
            let text = "The policies of weighted clusters are left out, and so is that of their route: chance decides which one counts";
            self.notes.left("weighted-clusters", &place, text);
        } else if !around.is_off && !is_answered {
            let policies = if around.policies.is_empty() { &around.former } else { &around.policies };
            draft = self.envoy_policy(policies).unwrap_or_default();
        }
        let matched = node.get("match").map_or_else(Matched::everything, Matched::by_envoy);
        let mut upstream = node.get("route").and_then(|route| self.envoy_upstream(route));
        let is_rewrite = |(key, _): &(String, Node)| key.contains("rewrite");
        let rewrites = node.get("route").is_some_and(|route| route.pairs().iter().any(is_rewrite));
        if rewrites || is_answered {
            let text = "The route gets no proxy_pass: it rewrites or redirects requests, or answers them";
            self.notes.left("rewrite", &place, text);
            upstream = None;
        }
        self.push(&around.hosts, &matched, &draft, upstream.as_ref(), &place);
    }

    /// The cluster of a route.
    fn envoy_upstream(&self, route: &Node) -> Option<Upstream> {
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
    fn envoy_policy(&mut self, policies: &[&Node]) -> Option<Draft> {
        let place = self.place(policies.first()?);
        let notes = &mut self.notes;
        let text = |name: &str| {
            let values = policies.iter().filter_map(|policy| policy.get(name));
            values
                .map(|node| node.get("value").unwrap_or(node).text())
                .find(|text| !text.is_empty())
                .unwrap_or_default()
        };
        // Unlike the other fields, this one is only read from the most specific policy.
        if let Some(node) = policies[0].get("filter_enabled") {
            let place = format!("{}:{}", self.name, node.line);
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
                let place = format!("{}:{}", self.name, node.line);
                notes.left("origin", &place, format!("{name} is left out: Envoy no longer reads it"));
            }
        }
        let origins = policies.iter().filter_map(|policy| policy.get("allow_origin_string_match"));
        let origins = origins.map(Node::items).find(|items| !items.is_empty())?;
        let mut draft = Draft { credentials: text("allow_credentials") == "true", ..Draft::default() };
        draft.private_network = text("allow_private_network_access") == "true";
        for matcher in origins {
            let place = format!("{}:{}", self.name, matcher.line);
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
                let ignores_case = get("ignore_case") == Some("true");
                let source = if ignores_case { format!("(?i){}", regex.text()) } else { regex.text().to_owned() };
                draft.expression(&source, &place, notes);
            } else {
                let text = "A prefix, or a part of the origin, also matches names that anyone can register; list the origins that are meant";
                notes.left("origin", &place, text);
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

/// The service of an item of `backendRefs`.
fn gateway_upstream(backend: &Node) -> Option<Upstream> {
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

/// The service of a `backend` of an Ingress.
fn ingress_upstream(ingress: &Node, backend: &Node) -> Option<Upstream> {
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
    use super::*;

    /// The locations with the directives in them, and the codes of the notes.
    fn converted(text: &str) -> (Vec<String>, String) {
        let documents = read("f.yaml", text).unwrap();
        let (parts, notes) = convert("f.yaml", &documents, source(&documents).unwrap()).unwrap();
        let lines = |part: &Part| {
            let lines = part.draft.directives(None).into_iter().map(|(name, value)| format!("{name} {value}"));
            format!("{}: {}", part.location, lines.collect::<Vec<_>>().join("; "))
        };
        (parts.iter().map(lines).collect(), notes.0.iter().map(|note| note.code).collect::<Vec<_>>().join(" "))
    }

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
        ] {
            let (parts, notes) = converted(&format!("kind: HTTPRoute\nspec:\n  rules:\n{rules}"));
            let parts = parts.join("|").replace("cors_allow_origin https://", "").replace(".example", "");
            assert_eq!((parts.as_str(), notes.as_str()), (expected, expected_notes), "{rules}");
        }
        let (parts, notes) = converted("filters: [{type: CORS, cors: {allowOrigins: ['*'], allowCredentials: true}}]");
        assert_eq!((parts.len(), notes.as_str()), (0, "origin origin"));
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
            (
                format!("  - {{{regex}, {cors}}}\n  - {prefix}\n"),
                vec![all.replacen('/', r"~ ^/v[0-9]+\z", 1), "= /priv: ".to_owned()],
                "",
            ),
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
            (route("path: /a%2db", "a") + &route("prefix: /%C3%A9/", "a"), "= /a-b: a|/é/: a|= /é: ", ""),
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
                let converted = convert("f", &documents, Source::Envoy);
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
    fn backends_of_ingresses() {
        let converted = |annotations: &str, rules: &str| -> (String, String) {
            let cors = format!("{PREFIX}enable-cors: 'true', {PREFIX}cors-allow-origin: 'https://a.example'");
            let text =
                format!("kind: Ingress\nmetadata: {{annotations: {{{cors}{annotations}}}}}\nspec: {{{rules}}}\n");
            let documents = read("f", &text).unwrap();
            let (parts, notes) = convert("f", &documents, Source::Ingress).unwrap();
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

    /// The hosts with their locations, `!` before those without a policy, and the codes of the notes.
    fn hosts(text: &str) -> (String, String) {
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
        assert!(source(&read("f", "a: [1, 2]").unwrap()).is_none());
        assert!(read("f", "a: [1").err().unwrap().starts_with("f:"));
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        assert!(read("f", &deep).is_err());
        let laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                      d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]";
        assert!(read("f", laughs).is_err());
    }
}
