// SPDX-License-Identifier: Apache-2.0
//! nginx's log (<https://nginx.org/en/docs/dev/development_guide.html#logging>).

use std::fmt::Display;

use ngx::ffi::{
    ngx_cycle, ngx_log_t, ngx_uint_t, NGX_LOG_ALERT, NGX_LOG_EMERG, NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE,
    NGX_LOG_WARN,
};
use ngx::ngx_log_error;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(ngx_uint_t);

macro_rules! levels {
    ($( $name:ident = $value:ident; )+) => {
        impl Level {
            $(
                /// The level of this name.
                pub const $name: Level = Level($value as ngx_uint_t);
            )+
        }
    };
}

levels! {
    EMERG = NGX_LOG_EMERG;
    ALERT = NGX_LOG_ALERT;
    ERROR = NGX_LOG_ERR;
    WARN = NGX_LOG_WARN;
    NOTICE = NGX_LOG_NOTICE;
    INFO = NGX_LOG_INFO;
}

/// Where messages go: the log of a configuration, or of a connection, to whose messages nginx adds client, server and request
/// line.
#[derive(Clone, Copy)]
pub struct Log(*mut ngx_log_t);

impl Log {
    /// # Safety
    /// `log` is valid for as long as the value is used.
    pub unsafe fn from_ptr(log: *mut ngx_log_t) -> Log {
        Log(log)
    }

    /// The log of the running configuration.
    pub fn of_cycle() -> Log {
        // SAFETY: nginx has a cycle, and the cycle a log, before it loads a module.
        Log(unsafe { (*ngx_cycle).log })
    }

    pub(super) fn as_ptr(self) -> *mut ngx_log_t {
        self.0
    }

    /// Whether a message of `level` is written.
    #[inline]
    pub fn writes(self, level: Level) -> bool {
        // SAFETY: the log is valid, as whoever made the value has promised.
        level.0 <= unsafe { (*self.0).log_level }
    }

    /// Writes `message`.
    #[cold]
    pub fn write(self, level: Level, message: impl Display) {
        ngx_log_error!(level.0, self.0, "{message}");
    }
}
