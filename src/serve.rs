// SPDX-License-Identifier: Apache-2.0
//! Serving a request, in the order in which it happens.
//!
//! [`phase`] is where a request reaches a location: [`read`] reads what a decision depends on, [`decide`] decides, and
//! [`keep`] keeps both, beyond internal redirects. [`filter`] writes the decision into the response, with [`write`].
//! [`variables`], [`denial`] and [`loss`] report it; [`count`] counts it in shared memory, which [`report`] shows.

mod bits;
mod count;
mod decide;
mod denial;
mod escaped;
pub mod filter;
pub mod keep;
mod loss;
pub mod phase;
mod read;
pub mod report;
pub mod variables;
mod write;
