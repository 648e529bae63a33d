//! Configurations of nginx: reading them with their layout, and what is in force where.

mod syntax;
pub mod tree;
