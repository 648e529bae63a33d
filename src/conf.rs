// SPDX-License-Identifier: Apache-2.0
//! Configuration: how a level (`http`, `server`, `location`) becomes a policy.
//!
//! [`directives`] reads what a level says, into its [`settings`]. When all have been read, [`level`] fills in what a level
//! inherits and makes its [`policy`], with the fields of responses [`prepared`]. [`counting`] gives each policy a row in shared memory. [`files`]
//! reads files of origins, and [`follow`] reads them again when they change. [`messages`] reports mistakes, and [`complaints`]
//! limits how often what is only known at run time is logged. [`leftovers`] finds lines of other modules that a policy replaces, and
//! reports that anyone can reach.

mod argument;
pub mod counting;
pub mod directives;
pub mod files;
mod follow;
mod leftovers;
pub mod level;
mod messages;
pub mod policy;
pub mod prepared;
mod settings;

pub use level::{LocationConf, MainConf};
pub use policy::{Dynamic, Mode, Policy};
pub use prepared::Prepared;
