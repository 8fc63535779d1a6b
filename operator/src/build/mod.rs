//! Children as values: one file per kind, no client, no clock.

pub mod access;
pub mod certificates;
pub mod config;
pub mod disruption;
pub mod inference;
pub mod network;
pub mod owner;
pub mod pod;
pub mod risk;
pub mod settings;
pub mod trading;
pub mod verification;
pub mod workload;
