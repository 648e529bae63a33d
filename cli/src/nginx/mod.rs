// SPDX-License-Identifier: Apache-2.0
//! Configurations of nginx: reading them with their layout, and what is in force where.

pub mod locations;
pub mod policies;
mod syntax;
pub mod tree;
pub mod variables;
