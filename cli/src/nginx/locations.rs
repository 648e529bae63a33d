// SPDX-License-Identifier: Apache-2.0
//! Which place of another configuration handles what a place of this one does.

use std::collections::HashMap;

use super::policies::Place;

/// What a place handles.
enum Kind<'a> {
    /// `=`
    Exact(&'a str),
    /// A path; whether it ends the search, as `^~` does.
    Prefix(&'a str, bool),
    /// `~` or `~*`
    Expression,
    /// `@`
    Named,
    /// A server, or what is outside of all.
    Other,
}

fn kind<'a>(place: &Place<'a>) -> Kind<'a> {
    let Some(directive) = place.directive.filter(|directive| directive.name() == "location") else {
        return Kind::Other;
    };
    let (modifier, path) = match (directive.argument(1), directive.argument(2)) {
        (path, "") => ["=", "^~", "~", "@"]
            .into_iter()
            .find_map(|modifier| Some((modifier, path.strip_prefix(modifier)?)))
            .unwrap_or(("", path)),
        both => both,
    };
    match modifier {
        "=" => Kind::Exact(path),
        "" | "^~" => Kind::Prefix(path, modifier == "^~"),
        "@" => Kind::Named,
        _ => Kind::Expression,
    }
}

/// Where a place is in another configuration.
pub enum Counterpart {
    /// There; `None` if nothing of the other one is around it.
    Known(Option<usize>),
    /// It depends on the path, and may be any of these.
    Any(Vec<usize>),
}

/// The places of a configuration, to be looked up.
pub struct Locations<'p, 'a> {
    pub places: &'p [Place<'a>],
    known: HashMap<&'p str, usize>,
    children: Vec<Vec<usize>>,
}

impl<'p, 'a> Locations<'p, 'a> {
    pub fn new(places: &'p [Place<'a>]) -> Self {
        let known = places.iter().enumerate().map(|(at, place)| (place.key.as_str(), at)).collect();
        let mut children = vec![Vec::new(); places.len()];
        for (at, place) in places.iter().enumerate() {
            if let Some(parent) = place.parent {
                children[parent].push(at);
            }
        }
        Locations { places, known, children }
    }

    /// The place with the same name.
    pub fn same(&self, key: &str) -> Option<usize> {
        self.known.get(key).copied()
    }

    fn kind(&self, at: usize) -> Kind<'a> {
        kind(&self.places[at])
    }

    fn around(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.places[at].parent, |at| self.places[*at].parent)
    }

    fn below(&self, at: usize) -> Vec<usize> {
        let mut found = vec![at];
        let mut next = 0;
        while let Some(at) = found.get(next) {
            found.extend(&self.children[*at]);
            next += 1;
        }
        found
    }

    fn expressions_below(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        self.below(at).into_iter().skip(1).filter(|at| matches!(self.kind(*at), Kind::Expression))
    }

    /// The server of a location.
    fn server(&self, at: usize) -> Option<usize> {
        self.around(at).find(|at| matches!(self.kind(*at), Kind::Other))
    }

    /// The place, of this one and those below it, that nginx selects for a path if no expression matches.
    fn select(&self, mut at: usize, path: &str, is_exact: bool) -> usize {
        loop {
            let length = |child: &usize| match self.kind(*child) {
                Kind::Exact(other) if is_exact && other == path => Some(usize::MAX),
                Kind::Prefix(other, _) if path.starts_with(other) => Some(other.len()),
                _ => None,
            };
            let best = self.children[at].iter().filter_map(|child| Some((length(child)?, *child)));
            match best.max_by_key(|(length, _)| *length) {
                Some((_, child)) => at = child,
                None => return at,
            }
        }
    }

    /// Where a place of this configuration is in another.
    pub fn counterpart(&self, at: usize, other: &Locations<'_, '_>) -> Counterpart {
        if let Some(found) = other.same(&self.places[at].key) {
            return Counterpart::Known(Some(found));
        }
        let same = |at: usize| other.same(&self.places[at].key);
        let outer = || Counterpart::Known(self.around(at).find_map(same));
        let Some(server) = self.server(at) else { return outer() };
        let (path, is_exact) = match self.kind(at) {
            Kind::Exact(path) => (Some(path), true),
            Kind::Prefix(path, _) => (Some(path), false),
            Kind::Expression | Kind::Named => (None, false),
            Kind::Other => return outer(),
        };
        let Some(other_server) = same(server) else { return outer() };
        let base = self.around(at).find(|at| !matches!(self.kind(*at), Kind::Exact(_) | Kind::Prefix(..)));
        match (path, base.and_then(same)) {
            (Some(path), Some(base)) => Counterpart::Known(Some(other.select(base, path, is_exact))),
            _ => {
                let mut all = other.below(other_server);
                all.retain(|at| !matches!(other.kind(*at), Kind::Named));
                Counterpart::Any(all)
            }
        }
    }

    /// Pairs of a place here and one there that may handle the same path because of expressions, of a location that only this
    /// configuration has, and of the one that was selected for it.
    pub fn doubtful(&self, at: usize, other: &Locations<'_, '_>, selected: usize) -> Vec<(usize, usize)> {
        let ends = |kind: Kind<'_>| matches!(kind, Kind::Exact(_) | Kind::Prefix(_, true));
        let Some(server) = self.server(at) else { return Vec::new() };
        let Some(other_server) = other.same(&self.places[server].key) else { return Vec::new() };
        match (ends(self.kind(at)), ends(other.kind(selected))) {
            (true, false) => other.expressions_below(other_server).map(|found| (at, found)).collect(),
            (false, true) => self.expressions_below(server).map(|found| (found, selected)).collect(),
            // Those around it are asked in both, those in the selected one only there.
            _ if self.around(at).any(|at| self.places[at].key == other.places[selected].key) => Vec::new(),
            _ => other.expressions_below(selected).map(|found| (at, found)).collect(),
        }
    }

    /// Pairs of expressions that another configuration has in another order.
    pub fn reordered(&self, other: &Locations<'_, '_>) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for children in &self.children {
            let both = children.iter().filter(|at| matches!(self.kind(**at), Kind::Expression));
            let both: Vec<_> = both.filter_map(|at| Some((*at, other.same(&self.places[*at].key)?))).collect();
            for (number, (first, there)) in both.iter().enumerate() {
                found.extend(
                    both[number..].iter().filter(|(_, second)| second < there).map(|(_, second)| (*first, *second)),
                );
            }
        }
        found
    }
}
