// SPDX-License-Identifier: Apache-2.0
//! The decision engine of ngx-http-cors: it reads which origins a configuration allows, and decides about requests.
//!
//! Pure Rust without nginx. Configuration values are passed as bytes, and are returned as [`Origins`], [`Methods`] and header
//! lists, or as a typed [`Problem`]. Requests are passed as borrowed header values, and are returned as decisions. Everything
//! that can be computed once is computed when a value is read, so that deciding allocates nothing:
//!
//! - exact origins are looked up in one hash table ([`set`]), whatever their number, without being parsed;
//! - patterns are looked up in the same kind of table, by the ends of the host that are as long as that of some pattern
//!   ([`pattern`]);
//! - the origins of a file are in tables of the same kinds, in memory that the web server provides ([`flat`]);
//! - all expressions of a policy are compiled into one automaton over the alphabet of origins ([`expression`]).
//!
//! The rules are those of the Fetch standard (CORS protocol, CORS-preflight fetch), RFC 6454 and RFC 9110.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod automaton;
pub mod compare;
pub mod complaints;
pub mod decision;
pub mod enforcement;
mod exposure;
pub mod expression;
pub mod facts;
pub mod file;
pub mod flat;
pub mod frequent;
mod habits;
pub mod headers;
pub mod kinds;
pub mod list;
pub mod methods;
pub mod nearest;
pub mod origin;
pub mod origins;
pub mod pattern;
pub mod preflight;
pub mod problem;
pub mod report;
pub mod rule;
pub mod scalar;
pub mod set;
pub mod tally;
pub mod vary;

pub use decision::{Decision, Grant, Rules, Status};
pub use facts::Facts;
pub use headers::{ExposedHeaders, RequestHeaders};
pub use methods::Methods;
pub use origins::{Origins, OriginsBuilder};
pub use problem::{Problem, Reason};
