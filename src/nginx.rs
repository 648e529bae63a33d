// SPDX-License-Identifier: Apache-2.0
//! nginx, wrapped: the bottom floor. All `unsafe` code of the module is here, but for one block at each entry point; what is
//! above reads as safe Rust. Nothing here knows of a policy or of a CORS field.
//!
//! Each wrapper promises the same: what it hands out lives as long as the request (`'r`) or the configuration that it comes
//! from, and nginx calls the module from one thread. The exceptions are what [`thread`] starts: it may use [`disk`] and
//! [`region`], and nothing that is nginx's.

pub mod answer;
pub mod barrier;
pub mod chain;
pub mod clock;
pub mod complex_value;
pub mod configuration;
pub mod disk;
mod evaluation;
pub mod fallible;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod header_list;
pub mod headers_in;
pub mod headers_out;
mod layout;
pub mod log;
pub mod region;
pub mod request;
pub mod slot;
pub mod strings;
mod system;
pub mod thread;
pub mod timer;
pub mod variable;
pub mod zone;

pub use request::{OutOfMemory, Request};
