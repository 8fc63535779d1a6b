//! What became of a direction taken at a bar.

use tradewind_core::bar::Bar;
use tradewind_venue::fills::FillModel;

use crate::holding::{self, COSTS};

/// How outcomes are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Bars from the entry to the exit, at least 1.
    pub horizon: usize,
    /// Spread and fees of a position.
    pub costs: FillModel,
    /// What neutral earns beside its share of the synergy's bonus. Rewards of profits lie within 1 and -1, and a trade that
    /// gains nothing costs about 0.01: above that, policies stand aside where they expect little.
    pub hold_reward: f64,
}

impl Default for Judgement {
    fn default() -> Self {
        Self { horizon: 10, costs: COSTS, hold_reward: 0.02 }
    }
}

impl Judgement {
    /// Net return of a position of side +1 or -1 taken after bar `index`, as [`holding::net_return`] has it.
    pub fn net_return(&self, bars: &[Bar], index: usize, side: f64) -> Option<f64> {
        holding::net_return(bars, index, self.horizon, side, &self.costs)
    }
}
