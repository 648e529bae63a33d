// SPDX-License-Identifier: Apache-2.0
//! The time (<https://nginx.org/en/docs/dev/development_guide.html#time>).

use ngx::ffi::ngx_cached_time;

/// Seconds since the epoch, as of the current turn of the event loop.
pub fn seconds() -> i64 {
    // SAFETY: nginx keeps the time of the turn there, and updates it between turns.
    unsafe { (*ngx_cached_time).sec }
}
