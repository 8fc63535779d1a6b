//! The guard of an account and its traders on faulty disks and links, by seed.
//!
//! The engines of risk and execution and their journals are the real ones, in one process on one thread. What is not: the
//! processes around the engines (gRPC, clocks of arrival, the order of policies on a shared feed), the decider, the bus and the
//! API server. A disk loses what was not synced, tears and fails writes ([`tradewind_journal::testing::SimulatedDisk`]); a link
//! loses, doubles and repeats messages late ([`weather`]); one of the three policies lies ([`story::Lie`]).
//!
//! Everything that the gate writes is judged at once by books of the simulation's own ([`oracle`]). A story that ends badly is
//! shortened before it is printed.

pub mod gate;
pub mod market;
pub mod node;
pub mod oracle;
pub mod seeds;
pub mod story;
pub mod trader;
pub mod weather;
