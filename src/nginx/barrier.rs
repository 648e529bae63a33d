// SPDX-License-Identifier: Apache-2.0
//! The barrier at every entry point from C: no panic crosses it. A panic is logged as an alert, and the caller goes on with a
//! value that fails closed.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use super::log::{Level, Log};

/// Where the last panic happened, which the payload that `catch_unwind` returns does not tell. Not a thread-local: its
/// destructor would keep the library in memory after nginx has closed it.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Runs `entry`; if it panics, writes that to the log and returns `fallback` instead.
#[inline(always)]
pub fn guard<T>(log: impl FnOnce() -> Log, fallback: T, entry: impl FnOnce() -> T) -> T {
    #[cfg(feature = "fault-injection")]
    let entry = super::fault::before(entry);
    match panic::catch_unwind(AssertUnwindSafe(entry)) {
        Ok(value) => value,
        Err(payload) => {
            report(log(), payload);
            fallback
        }
    }
}

/// Keeps panics from being written to standard error: the log is where administrators look. nginx may load several copies
/// of the module over time; each has its own standard library, and so its own hook.
pub fn install_hook() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

#[cold]
#[inline(never)]
fn report(log: Log, payload: Box<dyn Any + Send>) {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    log.write(Level::ALERT, format_args!("cors: panic at {place}: {text}; please report it"));
}
