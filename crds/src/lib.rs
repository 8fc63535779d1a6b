//! The three custom resources of Tradewind and their validation as pure functions.
//!
//! Group `tradewind.dev`, version `v1alpha1`, namespaced, category `trading`:
//! [`TradingPolicy`] (`tp`), [`RiskProfile`] (`rp`), [`ModelCheckpoint`] (`mc`).
//!
//! The doc comments of the fields are what `kubectl explain` prints. Ranges, immutability and rules
//! between fields of one object are CEL in the schema, so the API server refuses a wrong manifest;
//! what CEL cannot see is in [`validation`], which the operator and the services share.
//!
//! Unknown fields: `kubectl apply` refuses them by default (`--validate=strict`, answered by the API
//! server from this schema); other clients can ask for the same with `fieldValidation=Strict`. The
//! Rust types ignore unknown fields on purpose: an object written by a newer version must not stop a
//! controller.

pub mod calendar;
pub mod conditions;
pub mod generate;
pub mod model_checkpoint;
pub mod names;
pub mod placement;
pub mod policy_status;
pub mod process_files;
pub mod risk_profile;
pub mod samples;
pub mod trading_policy;
pub mod units;
pub mod validation;

mod closed_list;
mod schema;

pub use calendar::Calendar;
pub use conditions::{Condition, ConditionStatus, ConditionType};
pub use model_checkpoint::{ModelCheckpoint, ModelCheckpointSpec, ModelCheckpointStatus};
pub use policy_status::TradingPolicyStatus;
pub use risk_profile::{RiskProfile, RiskProfileSpec, RiskProfileStatus};
pub use trading_policy::{TradingPolicy, TradingPolicySpec};
pub use units::{Decimal, DurationText};

/// API group of the three resources.
pub const GROUP: &str = "tradewind.dev";
/// The one served version.
pub const VERSION: &str = "v1alpha1";
/// Field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "tradewind-operator";
