//! Scenarios: one file per behaviour that is shown.

pub mod feed;
pub mod manifests;
pub mod promotion;
pub mod rejection;
pub mod rollback;
pub mod setup;
