//! What decisions are judged and learned by: rewards, ensemble weights, accuracy. Serving never learns (ST-120).

mod accuracy;
mod ensemble;
mod reward;

pub use accuracy::{StrategicAccuracy, wilson_interval};
pub use ensemble::{EnsembleLearner, EnsembleStep, Lesson, scores};
pub use reward::{Outcome, PnlScale, Reward, RewardConfig, RewardConfigError};
