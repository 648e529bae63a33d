// SPDX-License-Identifier: Apache-2.0
//! Faults on demand, for the tests of what happens then. A build without the feature `fault-injection` contains none of it.
//!
//! The environment variable [`VARIABLE`] says which, whenever a configuration is read; workers are forked with it in
//! memory, since nginx clears their environment.
//!
//! | value | |
//! | --- | --- |
//! | `panic=filter::general_case` | each barrier in a function whose path holds that text panics |
//! | `configuration=3` | the third allocation for a configuration fails |
//! | `request=3` | the third allocation for requests fails, in each worker |
//! | `system=3` | the third system call fails, in each process |
//! | `moved` | another module before this one has reserved a variable |
//! | `moves` | the same, in each configuration but the first |
//! | `hang=/a/file` | threads wait for ever when they look at a file whose path begins so |
//! | `leases` | the system does not say who has a file open |
//! | `threads=/a/file` | no thread can be started while there is such a file |

use std::any::type_name;
use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::log::{Level, Log};

const VARIABLE: &str = "NGX_HTTP_CORS_FAULT";

static PANIC: Mutex<Option<String>> = Mutex::new(None);
static HANG: Mutex<Option<String>> = Mutex::new(None);
static NO_LEASES: AtomicBool = AtomicBool::new(false);
static NO_THREADS: Mutex<Option<String>> = Mutex::new(None);

/// Whether a module before this one has reserved a variable.
pub fn is_moved(is_first: bool) -> bool {
    env::var(VARIABLE).is_ok_and(|value| value == "moved" || (value == "moves" && !is_first))
}

/// How many allocations are left to the one that fails; 0 where none does.
pub struct Countdown {
    name: &'static str,
    left: AtomicUsize,
}

/// Of a configuration.
pub static CONFIGURATION: Countdown = Countdown { name: "configuration", left: AtomicUsize::new(0) };
/// Of requests.
pub static REQUEST: Countdown = Countdown { name: "request", left: AtomicUsize::new(0) };

/// Of system calls.
pub static SYSTEM: Countdown = Countdown { name: "system", left: AtomicUsize::new(0) };

/// Reads the variable.
pub fn read() {
    let value = env::var(VARIABLE).unwrap_or_default();
    let (kind, what) = value.split_once('=').unwrap_or_default();
    *PANIC.lock().expect("no panic while it is held") = (kind == "panic").then(|| what.to_owned());
    *HANG.lock().expect("no panic while it is held") = (kind == "hang").then(|| what.to_owned());
    *NO_THREADS.lock().expect("no panic while it is held") = (kind == "threads").then(|| what.to_owned());
    NO_LEASES.store(value == "leases", Relaxed);
    for countdown in [&CONFIGURATION, &REQUEST, &SYSTEM] {
        let left = if kind == countdown.name { what.parse().unwrap_or(0) } else { 0 };
        countdown.left.store(left, Relaxed);
    }
}

/// Does not return in a thread that looks at a file on a file system that does not answer.
pub fn hang(path: &Path) {
    let is_thread = thread::current().name() == Some("cors");
    let hangs = |start: &String| path.to_str().is_some_and(|path| path.starts_with(start));
    while is_thread && HANG.lock().expect("no panic while it is held").as_ref().is_some_and(hangs) {
        thread::sleep(Duration::from_secs(1));
    }
}

/// Whether the system does not say who has a file open.
pub fn no_leases() -> bool {
    NO_LEASES.load(Relaxed)
}

/// Whether no thread can be started.
pub fn no_threads() -> bool {
    NO_THREADS.lock().expect("no panic while it is held").as_ref().is_some_and(|path| Path::new(path).exists())
}

/// `entry`, with a panic before it where one is wanted.
pub fn before<T, E: FnOnce() -> T>(entry: E) -> impl FnOnce() -> T {
    move || {
        // A closure is named after the function that it is in.
        let wanted = PANIC.lock().expect("no panic while it is held").clone();
        if wanted.is_some_and(|wanted| type_name::<E>().contains(&wanted)) {
            panic!("a test has asked for it");
        }
        entry()
    }
}

impl Countdown {
    /// Whether the allocation that is about to be made has to fail.
    pub fn ends(&self) -> bool {
        let ends = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) == Ok(1);
        if ends {
            Log::of_cycle().write(Level::WARN, "cors: fault: an allocation fails");
        }
        ends
    }
}
