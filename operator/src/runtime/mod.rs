//! What runs beneath the controllers: lease, fenced writes, one status writer, events, caches, certificates.

pub mod authority;
pub mod brake;
pub mod cache;
pub mod caches;
pub mod certificates;
pub mod crd_check;
pub mod events;
pub mod halt_door;
pub mod halts;
pub mod leadership;
pub mod lease;
pub mod metrics;
pub mod polls;
pub mod status_writer;
pub mod writes;
