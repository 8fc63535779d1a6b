//! Networks of the four stages, the checkpoint file and its verification.
//!
//! [`architecture`] says what the networks are, [`reference`](mod@reference) is what they compute, in candle, for training and for
//! comparison. [`forward`] is the serving path. [`checkpoint`] is the file between the two: [`checkpoint::verify`] judges
//! one, [`StrategicPolicies`] and [`TacticalNetwork`] serve one.

pub mod actor;
pub mod answer;
pub mod architecture;
pub mod checkpoint;
pub mod forward;
pub mod golden;
mod load;
mod network;
pub mod reference;
pub mod schema;
pub mod served;
pub mod spoil;
mod strategic_policies;
pub mod weights;

pub use load::LoadError;
pub use network::TacticalNetwork;
pub use strategic_policies::StrategicPolicies;
