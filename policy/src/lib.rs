//! The decision engine of ngx-http-cors: which origins a configuration allows, and what a cross-origin request gets.
//!
//! Pure Rust without nginx: configuration values go in as bytes and come out as [`Origins`], [`Methods`] and header
//! lists, or as a typed [`Problem`]; requests go in as borrowed header values and come out as decisions. Everything that
//! can be computed once is computed when a value is read, so that deciding allocates nothing:
//!
//! - exact origins are looked up in one hash table ([`set`]), whatever their number, without being parsed;
//! - patterns are looked up in the same kind of table, by the parts of the host that some pattern ends in ([`pattern`]);
//! - all expressions of a policy are one automaton over the alphabet of origins ([`expression`]).
//!
//! The rules are those of the Fetch standard (CORS protocol, CORS-preflight fetch), RFC 6454 and RFC 9110.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod automaton;
pub mod decision;
pub mod enforcement;
mod exposure;
pub mod expression;
pub mod facts;
mod habits;
pub mod headers;
pub mod kinds;
pub mod list;
pub mod methods;
pub mod origin;
pub mod origins;
pub mod pattern;
pub mod preflight;
pub mod problem;
pub mod scalar;
pub mod set;
pub mod vary;

pub use decision::{Decision, Grant, Rules, Status};
pub use facts::Facts;
pub use headers::{ExposedHeaders, RequestHeaders};
pub use methods::Methods;
pub use origins::{Origins, OriginsBuilder};
pub use problem::{Problem, Reason};
