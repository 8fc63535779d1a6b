//! From the outputs of the execution actors to one plan (EX-28 to EX-37): what to trade, how, with which protection.

mod config;
mod impact;
mod outputs;
mod plan;

pub use config::{ImpactConfig, ImpactMode, PlanConfig, PlanConfigError};
pub use impact::expected_impact_bps;
pub use outputs::{ActorLogits, ActorOutputs, NotFinite, SIZES, Strategy};
pub use plan::{ExecutionPlan, NoPlan, PlanRequest, SizeBound, plan};
