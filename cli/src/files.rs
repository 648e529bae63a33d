// SPDX-License-Identifier: Apache-2.0
//! Files of origins: what `cors_allow_origin_file` names.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

use cors_policy::compare::Value;
use cors_policy::flat::{self, Mistakes};
use cors_policy::origins::{problems, Concern};
use cors_policy::{file, Problem, Reason};

use crate::input;

/// What was found in a file, with the line; `None` for the file as a whole.
pub type Found = Vec<(Option<usize>, Problem)>;

/// What is wrong with a file that has mistakes.
pub fn mistakes(name: &str, Mistakes { first, others }: Mistakes) -> Found {
    let mut found: Found = first.into_iter().map(|(line, problem)| (Some(line), problem)).collect();
    if others > 0 {
        found.push((None, Problem::new(name.as_bytes(), Reason::MoreMistakes(others.to_string()))));
    }
    found
}

/// What nginx says of a file whatever the policies are, and the number of its values.
pub fn check(name: &str, contents: &[u8]) -> (Found, usize) {
    match flat::check(contents) {
        Err(wrong) => (mistakes(name, wrong), values(contents).len()),
        Ok(right) => {
            let concerns = problems(&right.concerns, false);
            let mut found: Found = right.doubts.into_iter().map(|(line, problem)| (Some(line), problem)).collect();
            found.extend(concerns.into_iter().map(|(concern, problem)| (Some(concern.place), problem)));
            found.sort_by_key(|(line, _)| *line);
            (found, values(contents).len())
        }
    }
}

fn values(contents: &[u8]) -> HashSet<&str> {
    file::lines(contents).filter_map(|(_, value)| value.ok()).collect()
}

/// A file without mistakes.
pub struct OriginFile {
    /// Its path.
    pub path: String,
    /// Its values, each with its line.
    pub values: Vec<(usize, &'static str)>,
    /// The same, to be looked up.
    known: HashSet<&'static str>,
    /// Values to look at again when it is known whether credentials are allowed.
    pub concerns: Vec<Concern<usize>>,
    /// What allows the origin that was asked for.
    allowing: OnceCell<Option<(usize, &'static str)>>,
    /// What nearly does.
    nearest: OnceCell<Option<(Nearness, usize, &'static str)>>,
}

/// How near a value is to an origin, and in which way.
pub type Nearness = (u8, &'static str);

impl OriginFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<OriginFile, Found> {
        let name = path.to_string_lossy().into_owned();
        let whole = |reason| vec![(None, Problem::new(name.as_bytes(), reason))];
        let unreadable = |error: io::Error| whole(Reason::UnreadableFile(error.to_string()));
        // A device might do something if it is opened.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(whole(Reason::NotRegularFile));
        }
        let contents = input::read_file(path).map_err(unreadable)?;
        let contents = contents.ok_or_else(|| whole(Reason::LargeFile(input::LARGEST_TEXT.to_owned())))?;
        // It is a part of the configuration, which lives as long as the process.
        let contents: &'static [u8] = contents.leak();
        let concerns = flat::check(contents).map_err(|wrong| mistakes(&name, wrong))?.concerns;
        let values: Vec<_> = file::lines(contents).filter_map(|(line, value)| Some((line, value.ok()?))).collect();
        let known = values.iter().map(|(_, value)| *value).collect();
        Ok(OriginFile { path: name, values, known, concerns, allowing: OnceCell::new(), nearest: OnceCell::new() })
    }

    /// Whether a value is written in the file.
    pub fn has(&self, value: &str) -> bool {
        self.known.contains(value)
    }

    /// The line and the value that allow an origin, which is the same each time.
    pub fn allowing(&self, origin: &str) -> Option<(usize, &'static str)> {
        *self.allowing.get_or_init(|| {
            let is_it = |value: &str| {
                value == origin
                    || (value.contains('*') && Value::of_list(value).is_ok_and(|value| value.allows(origin)))
            };
            self.values.iter().find(|(_, value)| is_it(value)).copied()
        })
    }

    /// What is nearest to an origin that nothing allows, which is the same each time.
    pub fn nearest(
        &self,
        origin: &str,
        nearness: fn(&Value, &str) -> Option<Nearness>,
    ) -> Option<(Nearness, usize, &'static str)> {
        *self.nearest.get_or_init(|| {
            let near = |&(line, value): &(usize, &'static str)| {
                Some((nearness(&Value::of_list(value).ok()?, origin)?, line, value))
            };
            self.values.iter().filter_map(near).min_by_key(|((rank, _), ..)| *rank)
        })
    }
}
