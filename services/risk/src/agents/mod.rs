//! What the risk agents say, and how it tightens what deterministic limits allow (RK-36).
//!
//! Each agent's answer is an [`Opinion`]. Every function that takes one first takes the deterministic figures: an
//! opinion can lower a size, bring a stop nearer or forbid new risk, never the reverse; without one the conservative
//! defaults of RK-37 stand in.

mod config;
mod monitor;
mod opinion;
mod size;
mod stop;

pub use config::{AlertThresholds, Conservative, Cut, RiskAgentsConfig, RiskAgentsConfigError, SizeCuts, StopRule};
pub use monitor::{MonitorRequest, MonitorVerdict, Priority, margin_reduction_share, monitor, reduction};
pub use opinion::{
    CriticAlert, MonitorAction, NoOpinion, Opinion, RiskScores, STRATEGIES, Severity, StopTarget, allocation, critic_scores,
    monitor_action, sizing, stop_target,
};
pub use size::{SizeLimit, SizeRequest, SizeVerdict, approve};
pub use stop::{HeldPosition, Protection, StopError, StopReason, protect};
