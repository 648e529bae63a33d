// SPDX-License-Identifier: Apache-2.0
//! `cors_allow_origin_file`: the files of a configuration. Each is read and kept once, however often it is named; [`super::follow`]
//! reads it again when it changes.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use cors_policy::flat::{self, Contents, Flat, List, Mistakes};
use cors_policy::origins::Concern;
use cors_policy::{Problem, Reason};

use super::messages::{Messages, Place};
use crate::nginx::disk::{self, Identity, NotRead};
use crate::nginx::log::Log;
use crate::nginx::region::{Region, Writer};

/// The name of the directive.
pub const DIRECTIVE: &str = "cors_allow_origin_file";

/// The largest file.
const MOST_BYTES: usize = 256 << 20;
const MOST: &str = "256 MiB";

/// How often a file that somebody is writing is tried again, and after which time.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What a region notes of its file.
pub mod notes {
    /// How often a change has failed.
    pub const ERRORS: usize = 0;
    /// The number of values in force.
    pub const VALUES: usize = 1;
    /// When they were put in force, in seconds since the epoch.
    pub const LOADED: usize = 2;
    /// What identifies the file that is in force.
    pub const IN_FORCE: usize = 3;
    /// What identifies the file that was refused last.
    pub const REFUSED: usize = 10;
    /// Whether it may be accepted later as it is.
    pub const MAY_PASS: usize = 17;
    /// Set once the missing file has been reported.
    pub const GONE: usize = 18;
}

/// A file of origins.
pub struct OriginFile {
    /// Where it is.
    pub path: Arc<Path>,
    /// What is in force.
    pub list: Rc<List>,
    /// Values to look at again when it is known whether credentials are allowed.
    pub concerns: Vec<Concern<Place>>,
    /// Whether a policy with this file allows credentials.
    pub credentials: Cell<bool>,
    /// Where the tables are, if the file was right.
    pub region: Option<Arc<Region>>,
}

impl Drop for OriginFile {
    fn drop(&mut self) {
        // The region may end with it.
        self.list.replace(Flat::default());
    }
}

/// Why a file is not used.
pub enum Failure {
    /// It cannot be read or kept; whether that may pass.
    File(Problem, bool),
    /// There are mistakes in it.
    Lines(Mistakes),
    /// Somebody is writing.
    Changing,
}

/// Reads a file, and hands out what it contains and identifies it.
pub fn with_contents<R>(
    path: &Path,
    then: impl FnOnce(Identity, &Contents<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let (identity, bytes) = disk::read(path, MOST_BYTES).map_err(|error| match error {
        NotRead::System(error) => unreadable(path, &error),
        NotRead::NotRegular => Failure::File(problem(path, Reason::NotRegularFile), false),
        NotRead::TooLarge => Failure::File(problem(path, Reason::LargeFile(MOST.to_owned())), false),
        NotRead::Changing => Failure::Changing,
    })?;
    then(identity, &flat::check(&bytes).map_err(Failure::Lines)?)
}

/// A problem of a file as a whole.
pub fn problem(path: &Path, reason: Reason) -> Problem {
    Problem::new(path.as_os_str().as_bytes(), reason)
}

/// A file that cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::File(problem(path, Reason::UnreadableFile(error.to_string())), true)
}

/// Warnings if every user could allow origins.
pub fn open_to_all(path: &Path) -> Vec<Problem> {
    let (file, directory) = disk::writable_by_all(path).unwrap_or_default();
    let found = [(file, Reason::WritableFile), (directory, Reason::WritableDirectory)];
    found.into_iter().filter(|(is_writable, _)| *is_writable).map(|(_, reason)| problem(path, reason)).collect()
}

/// Puts what a file contains in force. Returns the number of different values.
pub fn put_in_force(
    path: &Path,
    region: &Region,
    writer: &mut Writer,
    identity: Identity,
    contents: &Contents<'_>,
) -> Result<usize, Failure> {
    let (words, bytes) = contents.memory();
    let values = writer.replace(words, bytes, |words, bytes| contents.write(words, bytes));
    let values = values.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => Failure::File(problem(path, Reason::LargeFile(MOST.to_owned())), false),
        _ => no_memory(path, &error),
    })?;
    // If this process dies before the notes are complete, another reads the same file once more.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    region.note(notes::VALUES).store(values as u64, Relaxed);
    region.note(notes::LOADED).store(now, Relaxed);
    set_identity(region, notes::IN_FORCE, identity);
    Ok(values)
}

fn no_memory(path: &Path, error: &io::Error) -> Failure {
    Failure::File(problem(path, Reason::NoMemory(error.to_string())), true)
}

/// Notes what identifies a file.
pub fn set_identity(region: &Region, at: usize, Identity(words): Identity) {
    for (at, word) in (at..).zip(words) {
        region.note(at).store(word, Relaxed);
    }
}

/// Whether a file is the one that was noted.
pub fn is_identity(region: &Region, at: usize, Identity(words): Identity) -> bool {
    (at..).zip(words).all(|(at, word)| region.note(at).load(Relaxed) == word)
}

impl OriginFile {
    /// Reads a file that is named at `place`, and reports what is wrong with it.
    pub fn read(name: &[u8], messages: &mut Messages, log: Log, place: &Place) -> OriginFile {
        let path: Arc<Path> = Path::new(OsStr::from_bytes(name)).into();
        let mut file =
            OriginFile { path, list: Rc::default(), concerns: Vec::new(), credentials: Cell::new(false), region: None };
        match file.load(messages, log) {
            Ok(()) => {
                for problem in open_to_all(&file.path) {
                    messages.report(log, Some(DIRECTIVE), &problem, place);
                }
            }
            Err(Failure::File(problem, _)) => messages.report(log, Some(DIRECTIVE), &problem, place),
            Err(Failure::Changing) => {
                messages.report(log, Some(DIRECTIVE), &problem(&file.path, Reason::BeingWritten), place);
            }
            Err(Failure::Lines(Mistakes { first, others })) => {
                for (line, problem) in first {
                    messages.report(log, Some(DIRECTIVE), &problem, &file.line(line));
                }
                if others > 0 {
                    let problem = problem(&file.path, Reason::MoreMistakes(others.to_string()));
                    messages.report(log, Some(DIRECTIVE), &problem, place);
                }
            }
        }
        file
    }

    /// A place in the file.
    fn line(&self, line: usize) -> Place {
        Place::new(&self.path.to_string_lossy(), line)
    }

    fn load(&mut self, messages: &mut Messages, log: Log) -> Result<(), Failure> {
        let mut attempts = 0;
        loop {
            match self.try_load(messages, log) {
                Err(Failure::Changing) if attempts < ATTEMPTS => {
                    attempts += 1;
                    thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
    }

    fn try_load(&mut self, messages: &mut Messages, log: Log) -> Result<(), Failure> {
        let path = self.path.clone();
        with_contents(&path, |identity, contents| {
            let kept = Region::new().and_then(|region| {
                let writer = region.try_write()?.ok_or(io::ErrorKind::ResourceBusy)?;
                Ok((region, writer))
            });
            let (region, mut writer) = kept.map_err(|error| no_memory(&path, &error))?;
            put_in_force(&path, &region, &mut writer, identity, contents)?;
            // Nobody reads yet.
            writer.is_settled();
            self.region = Some(region);
            self.concerns = contents.concerns.iter().map(|concern| concern.at(self.line(concern.place))).collect();
            for (line, problem) in &contents.doubts {
                messages.report(log, Some(DIRECTIVE), problem, &self.line(*line));
            }
            Ok(())
        })
    }

    /// How often a change has failed, the number of values in force, and since when.
    pub fn counts(&self) -> [u64; 3] {
        let note = |at| self.region.as_ref().map_or(0, |region| region.note(at).load(Relaxed));
        [notes::ERRORS, notes::VALUES, notes::LOADED].map(note)
    }
}
