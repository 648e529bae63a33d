// SPDX-License-Identifier: Apache-2.0
//! Files of origins while nginx runs: a changed file is put in force in all workers.
//!
//! In each worker, a timer takes note of new tables ([`Reader::follow`]). No request is being decided then, so that none sees two
//! lists. One worker, whichever comes first, has a thread for each file that looks at the file several times a second
//! ([`Follower`]). If that worker dies, the timer of another one notices that nobody has the lock of the writer. Only the thread touches
//! the file system, and it touches nothing of nginx's: what it wants to log, the timer logs.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cors_policy::flat::{Contents, Flat, List, Mistakes};
use cors_policy::{origins, Problem, Reason};

use super::files::{
    is_identity, notes, open_to_all, problem, put_in_force, set_identity, unreadable, with_contents, Failure,
    OriginFile, DIRECTIVE,
};
use crate::nginx::disk::{self, Identity, Notices, Writers};
use crate::nginx::log::{Level, Log};
use crate::nginx::region::{Reader, Region, Writer};
use crate::nginx::thread::{Stop, Thread};
use crate::nginx::timer::{is_ending, Timer};

/// How often a worker takes note of new tables, in milliseconds.
const TICK: u32 = 100;
/// How many of these pass before it looks whether a file has no writer.
const TICKS_TO_ELECTION: u32 = 5;
/// How often a thread looks at its file. A file is read if it is the same twice in a row.
const POLL: Duration = Duration::from_millis(100);
/// How often in a row a file is missing before that is reported: some programs remove a file and write it anew.
const MISSING: u32 = 5;
/// When a file is tried again that was refused for a reason that may pass.
const RETRY: Duration = Duration::from_secs(5);
/// After which time it is reported that somebody has not finished writing.
const LONG: Duration = Duration::from_secs(10);

/// The files of a configuration, followed by this worker until this is dropped.
pub struct Following {
    #[expect(dead_code, reason = "it is kept until it is dropped")]
    timer: Timer,
    files: Rc<[Followed]>,
}

impl Drop for Following {
    fn drop(&mut self) {
        Thread::end(self.files.iter().filter_map(|file| file.thread.take()).collect());
    }
}

/// What a worker has of a file.
struct Followed {
    path: Arc<Path>,
    list: Rc<List>,
    region: Arc<Region>,
    credentials: bool,
    reader: Option<RefCell<Reader>>,
    messages: Arc<Queue>,
    thread: RefCell<Option<Thread>>,
    /// When no thread could be started.
    failed: Cell<Option<Instant>>,
}

/// What the threads of a worker share.
struct Shared {
    notices: io::Result<Arc<Notices>>,
    /// Whether it has been reported that not all writers are seen.
    is_reported: AtomicBool,
}

/// What a thread wants to be logged.
#[derive(Default)]
struct Queue(Mutex<Vec<(Level, String)>>);

impl Queue {
    fn push(&self, level: Level, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((level, text));
    }

    /// All of it; nothing if the thread is about to add to it, so that nobody waits.
    fn take(&self) -> Vec<(Level, String)> {
        self.0.try_lock().map(|mut queue| std::mem::take(&mut *queue)).unwrap_or_default()
    }
}

impl Default for Shared {
    fn default() -> Shared {
        Shared { notices: Notices::new(), is_reported: AtomicBool::default() }
    }
}

impl Following {
    /// Starts to follow files, in a process that has an event loop.
    pub fn start(files: &[Rc<OriginFile>]) -> Option<Following> {
        let files: Rc<[_]> = files.iter().filter_map(|file| Followed::new(file)).collect();
        if files.is_empty() {
            return None;
        }
        let (shared, ticks, ticking) = (OnceCell::new(), Cell::new(0), files.clone());
        // Until the timer comes, requests need the list as well.
        files.iter().for_each(|file| file.tick(true, &shared));
        let timer = Timer::start(TICK, move || {
            ticks.set((ticks.get() + 1) % TICKS_TO_ELECTION);
            ticking.iter().for_each(|file| file.tick(ticks.get() == 0, &shared));
        });
        Some(Following { timer, files })
    }
}

impl Followed {
    fn new(file: &OriginFile) -> Option<Followed> {
        let region = file.region.clone()?;
        let reader = match region.reader() {
            Ok(reader) => Some(RefCell::new(reader)),
            Err(error) => {
                let path = file.path.display();
                let text = format!("cors: {DIRECTIVE}: \"{path}\" is not followed until nginx is reloaded: {error}");
                Log::of_cycle().write(Level::ERROR, text);
                region.frozen(|words, bytes| file.list.replace(Flat::new(words, bytes).unwrap_or_default()));
                None
            }
        };
        Some(Followed {
            path: file.path.clone(),
            list: file.list.clone(),
            region,
            credentials: file.credentials.get(),
            reader,
            messages: Arc::default(),
            thread: RefCell::default(),
            failed: Cell::default(),
        })
    }

    /// A turn of the event loop: no request is being decided.
    fn tick(&self, elects: bool, shared: &OnceCell<Arc<Shared>>) {
        let Some(reader) = &self.reader else { return };
        reader.borrow_mut().follow(|words, bytes| self.list.replace(Flat::new(words, bytes).unwrap_or_default()));
        for (level, text) in self.messages.take() {
            // After a reload, the workers of the new configuration report what is wrong.
            if !is_ending() || level == Level::ALERT {
                Log::of_cycle().write(level, text);
            }
        }
        let mut thread = self.thread.borrow_mut();
        // A thread that has ended has panicked. Another worker may have more luck.
        if !elects || thread.is_some() || self.failed.get().is_some_and(|at| at.elapsed() < RETRY) {
            return;
        }
        let Ok(Some(mut writer)) = self.region.try_write() else { return };
        writer.set_own(reader.borrow().number());
        let follower = Follower {
            path: self.path.clone(),
            region: self.region.clone(),
            writer,
            credentials: self.credentials,
            messages: self.messages.clone(),
            shared: shared.get_or_init(Arc::default).clone(),
            writers: None,
            last: None,
            missing: 0,
            announced: true,
            waiting: None,
            retried: Instant::now(),
        };
        match Thread::start(|stop| follower.run(stop)) {
            Ok(started) => *thread = Some(started),
            Err(error) => {
                if self.failed.replace(Some(Instant::now())).is_none() {
                    let path = self.path.display();
                    let text = format!(
                        "cors: {DIRECTIVE}: no thread can be started for \"{path}\", which is tried again: {error}"
                    );
                    Log::of_cycle().write(Level::ERROR, text);
                }
            }
        }
    }
}

/// What the thread has of its file.
struct Follower {
    path: Arc<Path>,
    region: Arc<Region>,
    writer: Writer,
    credentials: bool,
    messages: Arc<Queue>,
    shared: Arc<Shared>,
    /// Who is writing, if the system tells.
    writers: Option<Writers>,
    /// What the file was when it was looked at last.
    last: Option<Identity>,
    missing: u32,
    /// Whether it has been logged what is in force.
    announced: bool,
    /// Since when somebody is writing, and whether that has been reported.
    waiting: Option<(Instant, bool)>,
    /// When the file was tried last.
    retried: Instant,
}

impl Follower {
    fn run(mut self, stop: &Stop) {
        match &self.shared.notices {
            Ok(notices) => self.writers = Some(Writers::new(notices)),
            Err(error) => self.report_unseen(error),
        }
        self.watch();
        self.check_rights();
        while !stop.wait(POLL) {
            if self.step().is_none() {
                let path = self.path.display();
                let text = format!(
                    "cors: panic while \"{path}\" was read: this worker does not follow it any more; please report it"
                );
                return self.messages.push(Level::ALERT, text);
            }
        }
    }

    fn note(&self, at: usize) -> u64 {
        self.region.note(at).load(Relaxed)
    }

    fn say(&self, level: Level, text: impl std::fmt::Display) {
        self.messages.push(level, format!("cors: {DIRECTIVE}: {text}"));
    }

    /// Reports at once if this process may not read the file: the master, which read it first, often has more rights.
    fn check_rights(&mut self) {
        let Ok(identity) = Identity::of(&self.path) else { return };
        if let (Err(error), false) = (disk::open(&self.path), is_identity(&self.region, notes::REFUSED, identity)) {
            self.refuse(Some(identity), unreadable(&self.path, &error));
        }
    }

    /// Looks at the file; `None` if there was a panic.
    fn step(&mut self) -> Option<()> {
        // Also if nothing has changed: reports about other files of the directory would fill the system's queue.
        let is_replaced = self.writers.as_ref().is_some_and(Writers::take_note);
        // What was in force before may still be in use.
        if !self.writer.is_settled() || self.writer.is_frozen() {
            return Some(());
        }
        if !std::mem::replace(&mut self.announced, true) {
            let (values, path) = (self.note(notes::VALUES), self.path.display());
            self.say(Level::NOTICE, format_args!("\"{path}\" is in force, values: {values}"));
        }
        let identity = match Identity::of(&self.path) {
            Ok(identity) => identity,
            Err(error) => {
                (self.last, self.waiting, self.missing) = (None, None, self.missing.saturating_add(1));
                if self.missing == MISSING && self.note(notes::GONE) == 0 {
                    self.region.note(notes::GONE).store(1, Relaxed);
                    self.refuse(None, unreadable(&self.path, &error));
                }
                return Some(());
            }
        };
        self.missing = 0;
        let is_in_force = is_identity(&self.region, notes::IN_FORCE, identity);
        if self.region.note(notes::GONE).swap(0, Relaxed) != 0 && is_in_force {
            self.say(Level::NOTICE, format_args!("\"{}\" is there again, as it is in force", self.path.display()));
        }
        let is_new = self.last.replace(identity) != Some(identity);
        if is_new || is_replaced {
            self.watch();
        }
        let is_refused = is_identity(&self.region, notes::REFUSED, identity);
        let may_pass = self.note(notes::MAY_PASS) != 0 && self.retried.elapsed() >= RETRY;
        if is_in_force {
            self.waiting = None;
        }
        if is_in_force || is_new || (is_refused && !may_pass) {
            return Some(());
        }
        if self.is_being_written(&identity) {
            self.wait();
            return Some(());
        }
        self.retried = Instant::now();
        let result = panic::catch_unwind(AssertUnwindSafe(|| self.change(identity))).ok()?;
        if let Err(Failure::Changing) = result {
            self.last = None;
            self.wait();
            return Some(());
        }
        self.waiting = None;
        match result {
            Ok(()) => self.announced = false,
            Err(failure) if !is_refused => self.refuse(Some(identity), failure),
            Err(_) => {}
        }
        Some(())
    }

    fn watch(&self) {
        match self.writers.as_ref().map(|writers| writers.watch(&self.path)) {
            // That a file cannot be read at all is reported when it is tried.
            Some(Err(error)) if disk::open(&self.path).is_ok() => self.report_unseen(&error),
            _ => {}
        }
    }

    /// Whether somebody writes, or may be writing.
    fn is_being_written(&self, identity: &Identity) -> bool {
        self.writers.as_ref().is_some_and(|writers| writers.are_any(identity)) && !disk::has_no_writer(&self.path)
    }

    /// Reports once for all files that the system does not report all writers.
    fn report_unseen(&self, error: &io::Error) {
        if !self.shared.is_reported.swap(true, Relaxed) {
            let path = self.path.display();
            self.say(
                Level::WARN,
                format_args!(
                    "\"{path}\", and maybe other files, could be read while somebody writes, because the system does not report that: \
                     {error}; rename complete files over the old ones"
                ),
            );
        }
    }

    /// Somebody is writing.
    fn wait(&mut self) {
        let (since, is_reported) = *self.waiting.get_or_insert((Instant::now(), false));
        if !is_reported && since.elapsed() >= LONG {
            self.waiting = Some((since, true));
            let path = self.path.display();
            self.say(Level::WARN, format_args!("\"{path}\" is being written, and is read when its writer closes it"));
        }
    }

    /// Reads the file and puts it in force.
    fn change(&mut self, identity: Identity) -> Result<(), Failure> {
        let path = self.path.clone();
        with_contents(&path, |found, contents| {
            if found != identity || self.is_being_written(&identity) {
                return Err(Failure::Changing);
            }
            let warnings = self.check(contents)?;
            put_in_force(&path, &self.region, &mut self.writer, identity, contents)?;
            set_identity(&self.region, notes::REFUSED, Identity::default());
            for (line, problem) in warnings {
                self.say(Level::WARN, format_args!("{problem} in {}:{line}", path.display()));
            }
            for problem in open_to_all(&path) {
                self.say(Level::WARN, problem);
            }
            Ok(())
        })
    }

    /// What is right or wrong together with credentials, and the warnings: one of each kind.
    fn check(&self, contents: &Contents<'_>) -> Result<Vec<(usize, Problem)>, Failure> {
        let found = origins::problems(&contents.concerns, self.credentials);
        let found = found.into_iter().map(|(concern, problem)| (concern.place, problem));
        let (mut warnings, errors): (Vec<_>, Vec<_>) = found.partition(|(_, problem)| problem.is_warning());
        if !errors.is_empty() {
            return Err(Failure::Lines(Mistakes { first: errors, others: 0 }));
        }
        warnings.extend(contents.doubts.first().cloned());
        Ok(warnings)
    }

    /// Counts and reports a failure, in one line.
    fn refuse(&mut self, identity: Option<Identity>, failure: Failure) {
        let (text, may_pass) = match failure {
            Failure::File(problem, may_pass) => (problem.to_string(), may_pass),
            Failure::Lines(Mistakes { first, others }) => {
                let more = match first.len() + others {
                    0 | 1 => String::new(),
                    2 => "; another line has a mistake".to_owned(),
                    all => format!("; {} more lines have mistakes", all - 1),
                };
                let Some((line, problem)) = first.into_iter().next() else { return };
                (format!("{problem} in {}:{line}{more}", self.path.display()), false)
            }
            Failure::Changing => (problem(&self.path, Reason::BeingWritten).to_string(), true),
        };
        self.region.note(notes::ERRORS).fetch_add(1, Relaxed);
        if let Some(identity) = identity {
            set_identity(&self.region, notes::REFUSED, identity);
            self.region.note(notes::MAY_PASS).store(u64::from(may_pass), Relaxed);
        }
        self.say(Level::ERROR, format_args!("{text}; the old list stays in force"));
    }
}
