//! Scenarios: one file per behaviour that is shown.

pub mod manifests;
