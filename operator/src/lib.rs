//! The operator and the kubectl plugin.

pub mod build;
pub mod controllers;
pub mod plan;
pub mod plugin;
pub mod runtime;
pub mod service;
