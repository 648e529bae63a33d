// SPDX-License-Identifier: Apache-2.0
//! Documents in YAML.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use crate::Failure;

/// A node, and its line.
pub struct Node {
    pub line: usize,
    pub kind: Kind,
}

pub enum Kind {
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

    pub fn text(&self) -> &str {
        match &self.kind {
            Kind::Text(text) => text,
            _ => "",
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().find(|(other, _)| other == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The node at the end of some keys.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn pairs(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Map(pairs) => pairs,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The texts of a list, or the parts of a text between commas.
    pub fn words(&self) -> Vec<&str> {
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

    pub fn children(&self) -> Vec<&Node> {
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

/// Whether a node, or one in it, is such a node.
pub fn any(node: &Node, check: &dyn Fn(&Node) -> bool) -> bool {
    check(node) || node.children().into_iter().any(|child| any(child, check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_documents() {
        assert!(read("f", "a: [1").err().unwrap().starts_with("f:"));
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        assert!(read("f", &deep).is_err());
        let laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                      d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]";
        assert!(read("f", laughs).is_err());
    }
}
