// SPDX-License-Identifier: Apache-2.0
//! Files that change while they are used. Everything here may wait for a file system.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, mem};

use super::system::{self, Contents};

/// What changes if a file is written or replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity(pub [u64; 7]);

impl Identity {
    fn new(of: &Metadata) -> Identity {
        let times = [of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()].map(|time| time as u64);
        let [a, b, c, d] = times;
        Identity([of.dev(), of.ino(), of.size(), a, b, c, d])
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.0[2] == 0
    }

    /// That of the file that a path leads to.
    pub fn of(path: &Path) -> io::Result<Identity> {
        system::metadata(path).map(|metadata| Identity::new(&metadata))
    }
}

/// Why a file is not read.
#[derive(Debug)]
pub enum NotRead {
    /// The system refuses.
    System(io::Error),
    /// It is not a regular file.
    NotRegular,
    /// It is larger than is wanted.
    TooLarge,
    /// Somebody is writing, or it has changed meanwhile.
    Changing,
}

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> NotRead {
        NotRead::System(error)
    }
}

/// Reads a file of at most `most` bytes. It is copied, because a file that is mapped may be cut while it is looked at.
pub fn read(path: &Path, most: usize) -> Result<(Identity, Contents), NotRead> {
    // A device might do something if it is opened.
    let regular = |metadata: &Metadata| if metadata.is_file() { Ok(()) } else { Err(NotRead::NotRegular) };
    regular(&system::metadata(path)?)?;
    let (file, metadata) = system::open(path)?;
    regular(&metadata)?;
    let size = usize::try_from(metadata.size()).ok().filter(|size| *size <= most).ok_or(NotRead::TooLarge)?;
    let unless_written = || match system::is_open_for_writing(&file) {
        Some(true) => Err(NotRead::Changing),
        _ => Ok(()),
    };
    unless_written()?;
    let contents = system::read(&file, size)?;
    unless_written()?;
    let identity = Identity::new(&metadata);
    if contents.len() != size || Identity::of(path)? != identity {
        return Err(NotRead::Changing);
    }
    Ok((identity, contents))
}

/// Whether a file can be opened.
pub fn open(path: &Path) -> io::Result<()> {
    match system::metadata(path)?.is_file() {
        true => system::open(path).map(drop),
        false => Ok(()),
    }
}

/// Whether the system tells this process that nobody has a file open to write to it.
pub fn has_no_writer(path: &Path) -> bool {
    // Others than the owner are not told. Opening it would be reported to those who watch it.
    let is_told = |metadata: &Metadata| metadata.is_file() && system::is_owner(metadata.uid());
    let opened = system::metadata(path).and_then(|metadata| match is_told(&metadata) {
        true => system::open(path),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    });
    opened.is_ok_and(|(file, _)| system::is_open_for_writing(&file) == Some(false))
}

/// Whether every user can write to a file, or replace it in its directory.
pub fn writable_by_all(path: &Path) -> io::Result<(bool, bool)> {
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let file = system::resolve(path)?;
    let directory = file.parent().map_or(Ok(0), |directory| system::metadata(directory).map(|found| found.mode()))?;
    let file = system::metadata(&file)?.mode();
    Ok((file & OTHERS_WRITE != 0, directory & (OTHERS_WRITE | STICKY) == OTHERS_WRITE))
}

/// What somebody who has opened a file may do to it.
#[derive(Clone, Copy, Default, PartialEq)]
enum Writing {
    #[default]
    No,
    /// Somebody who has made the file has it open; there may be something in it already if it was made as a link.
    Opened,
    /// Somebody has opened it when it had just been changed: it may have been emptied by that.
    Emptied,
    /// Somebody has written.
    Written,
}

/// What the system reports of the files that threads of this process watch. A user may have few of these.
pub struct Notices {
    from: OwnedFd,
    watches: Mutex<Watches>,
}

#[derive(Default)]
struct Watches {
    files: Vec<Watch>,
    /// How often something has been removed from what the system watches.
    removals: usize,
}

/// A file that is watched.
#[derive(Default)]
struct Watch {
    file: PathBuf,
    /// The numbers that the system gives to what it watches; 0 is none.
    directory: i32,
    itself: i32,
    /// Whether the name has become that of another file than `itself` is.
    is_replaced: bool,
    is_new: bool,
    writing: Writing,
    /// How many have it open, of those who have opened it since it is watched.
    open: u32,
    /// When it was changed without being open, if that is the last that was reported.
    cut: Option<Instant>,
    /// Until when somebody may be writing who is not known.
    unsure: Option<Instant>,
}

/// Tells whether somebody is writing to a file. The system reports it for local file systems, from when the file is watched: in its
/// directory, so that one that is made anew is watched from the start, and itself, because it may have another name somewhere.
pub struct Writers {
    notices: Arc<Notices>,
    at: usize,
}

// <https://man7.org/linux/man-pages/man7/inotify.7.html>
const MODIFY: u32 = 0x2;
const CLOSE_WRITE: u32 = 0x8;
const CLOSE_NOWRITE: u32 = 0x10;
const OPEN: u32 = 0x20;
const MOVED_FROM: u32 = 0x40;
const MOVED_TO: u32 = 0x80;
const CREATE: u32 = 0x100;
const DELETE: u32 = 0x200;
const OVERFLOW: u32 = 0x4000;
/// Not what happens to a file that had the name before, and is still open.
const EXCL_UNLINK: u32 = 0x400_0000;
const OF_FILE: u32 = MODIFY | CLOSE_WRITE | CLOSE_NOWRITE | OPEN;
const OF_DIRECTORY: u32 = OF_FILE | MOVED_FROM | MOVED_TO | CREATE | DELETE;

/// For how long a file may be being written after it is not known who does: a file was changed without being open (`truncate`, or somebody
/// who has opened it earlier), or the system has had more to report than it keeps.
const UNSURE: Duration = Duration::from_secs(5);

/// The same after a file was changed and closed, maybe only by those who read it.
const LONG_UNSURE: Duration = Duration::from_secs(60);

/// In which time two things are reported that happen together.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The size of a report without its name.
const REPORT: usize = 16;

impl Notices {
    /// Those of no file yet.
    pub fn new() -> io::Result<Arc<Notices>> {
        Ok(Arc::new(Notices { from: system::notices()?, watches: Mutex::default() }))
    }

    /// Nobody waits for a file system while it has this.
    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what the system has reported.
    fn read(&self, watches: &mut Watches) {
        let mut buffer = [0; 4096];
        loop {
            let read = system::read_some(&self.from, &mut buffer);
            let mut rest = buffer.get(..read).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            while let Some((report, after)) = rest.split_first_chunk::<REPORT>() {
                let number =
                    |at: usize| u32::from_ne_bytes([report[at], report[at + 1], report[at + 2], report[at + 3]]);
                let (name, next) = after.split_at_checked(number(12) as usize).unwrap_or_default();
                let name = OsStr::from_bytes(name.split(|b| *b == 0).next().unwrap_or_default());
                for file in &mut watches.files {
                    file.note(number(0) as i32, name, number(4));
                }
                rest = next;
            }
        }
    }
}

impl Writers {
    /// Those of a file that is not known yet.
    pub fn new(notices: &Arc<Notices>) -> Writers {
        let files = &mut notices.watches().files;
        files.push(Watch::default());
        Writers { notices: notices.clone(), at: files.len() - 1 }
    }

    /// Watches the file that a path leads to. `Err` if not all of its writers will be seen.
    pub fn watch(&self, path: &Path) -> io::Result<()> {
        let Notices { from, .. } = &*self.notices;
        let file = system::resolve(path)?;
        loop {
            let removals = self.notices.watches().removals;
            let directory = system::add_notice(from, file.parent().unwrap_or(&file), OF_DIRECTORY | EXCL_UNLINK);
            let itself = system::add_notice(from, &file, OF_FILE);

            let mut watches = self.notices.watches();
            // Otherwise another thread may have removed what this one has added.
            let is_all_there = watches.removals == removals;
            let watch = &mut watches.files[self.at];
            let number = |added: &io::Result<i32>| *added.as_ref().unwrap_or(&0);
            // Another file that no event has announced: what was reported of the one before says nothing about it.
            let is_another = number(&itself) != watch.itself && !watch.is_replaced;
            if watch.file != file || is_another || number(&directory) != watch.directory {
                *watch =
                    Watch { file: file.clone(), directory: watch.directory, itself: watch.itself, ..Watch::default() };
            }
            watch.is_replaced = false;
            let before = [
                mem::replace(&mut watch.directory, number(&directory)),
                mem::replace(&mut watch.itself, number(&itself)),
            ];
            for number in before {
                if !watches.files.iter().any(|file| [0, file.directory, file.itself].contains(&number)) {
                    system::remove_notice(from, number);
                    watches.removals += 1;
                }
            }
            if is_all_there {
                return directory.and(itself).map(drop);
            }
        }
    }

    /// Takes note of what the system has reported. Returns whether the file is to be watched anew.
    pub fn take_note(&self) -> bool {
        let mut watches = self.notices.watches();
        self.notices.read(&mut watches);
        watches.files[self.at].is_replaced
    }

    /// Whether somebody writes, or may be writing, to the file with this `identity`.
    pub fn are_any(&self, identity: &Identity) -> bool {
        let mut watches = self.notices.watches();
        self.notices.read(&mut watches);
        let watch = &mut watches.files[self.at];
        watch.unsure = watch.unsure.filter(|until| Instant::now() < *until);
        match watch.writing {
            Writing::Emptied | Writing::Written => true,
            Writing::Opened if identity.is_empty() => true,
            _ => watch.unsure.is_some(),
        }
    }
}

impl Watch {
    /// Takes note of an event of what the system has given a number, or of a file in that directory.
    fn note(&mut self, number: i32, name: &OsStr, event: u32) {
        if event & OVERFLOW != 0 {
            // Who has begun or ended to write is not known any more.
            (self.is_new, self.writing, self.open) = (false, Writing::No, 0);
            self.wait(UNSURE);
        }
        let is_itself = number == self.itself && !self.is_replaced;
        if !is_itself && (number != self.directory || self.file.file_name() != Some(name)) {
            return;
        }
        let event = event & OF_DIRECTORY;
        let cut = self.cut.take();
        match event {
            MODIFY if self.open > 0 => self.writing = Writing::Written,
            MODIFY => {
                self.cut = Some(Instant::now());
                self.wait(UNSURE);
            }
            OPEN => {
                self.open += 1;
                // Opening a file may empty it, which is reported before.
                if cut.is_some_and(|at| at.elapsed() < AT_ONCE) {
                    self.writing = Writing::Emptied;
                } else if self.is_new {
                    self.writing = Writing::Opened;
                }
                self.is_new = false;
            }
            CLOSE_NOWRITE => {
                self.open = self.open.saturating_sub(1);
                if self.open == 0 {
                    match mem::take(&mut self.writing) {
                        Writing::No | Writing::Opened => {}
                        Writing::Emptied => self.wait(UNSURE),
                        Writing::Written => self.wait(LONG_UNSURE),
                    }
                }
            }
            CLOSE_WRITE => {
                self.open = self.open.saturating_sub(1);
                (self.is_new, self.writing, self.unsure) = (false, Writing::No, None);
            }
            // The name is that of another file, or of none. A hard link is made without being opened.
            CREATE | MOVED_FROM | MOVED_TO | DELETE => {
                (self.is_replaced, self.is_new, self.open) = (true, event == CREATE, 0);
                (self.writing, self.unsure) = (Writing::No, None);
            }
            _ => {}
        }
    }

    /// Somebody may be writing for so long.
    fn wait(&mut self, time: Duration) {
        self.unsure = self.unsure.max(Some(Instant::now() + time));
    }
}
