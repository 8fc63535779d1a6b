//! Serves one bundle: features, networks and decisions for each closed bar.
//!
//! [`Core`] is synchronous and deterministic: bars in, decisions out, the same ones after a restart.
//! [`HotThread`] gives it a thread of its own on a dedicated CPU; [`Service`] puts gRPC in front and
//! fills gaps from the feed; [`fetch`] and [`verify`] are the other two commands of the process.
//!
//! ```text
//! gRPC Decide --> bounded channel --> hot thread { warm up to the bar, networks, aggregation }
//!                                        ^
//! feed (start, gaps) --------------------'
//! ```

mod core;
mod feed;
pub mod fetch;
mod figures;
mod health;
mod hot;
mod message;
mod networks;
mod service;
mod stages;
pub mod testing;
pub mod verify;

pub use crate::core::{Core, CoreError, Decided};
pub use feed::{FeedError, FeedHistory, History, NoHistory};
pub use figures::Figures;
pub use health::{Health, Measure};
pub use hot::{HotError, HotThread};
pub use message::decision_to_wire;
pub use networks::{Networks, NetworksError};
pub use service::Service;
pub use stages::{Stage, StageWindow, Summary};
