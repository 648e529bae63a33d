//! The barrier at every entry point from C: no panic crosses it. What panicked is logged as an alert, and the caller goes
//! on with a value that fails closed.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use ngx::ffi::{ngx_log_t, NGX_LOG_ALERT};
use ngx::ngx_log_error;

/// Where the last panic happened; the payload that `catch_unwind` returns does not say. No thread-local: its destructor
/// would keep the library in memory after nginx has closed it.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Runs `entry`; where that panics, logs it to what `log` says and returns `fallback` instead.
#[inline(always)]
pub fn guard<T>(log: impl FnOnce() -> *mut ngx_log_t, fallback: T, entry: impl FnOnce() -> T) -> T {
    #[cfg(feature = "fault-injection")]
    let entry = crate::fault::before(entry);
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
fn report(log: *mut ngx_log_t, payload: Box<dyn Any + Send>) {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    ngx_log_error!(NGX_LOG_ALERT, log, "cors: panic at {place}: {text}; please report it");
}
