//! The operator and the kubectl plugin.

pub mod build;
pub mod runtime;
