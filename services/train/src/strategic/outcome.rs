//! What became of a direction taken at a bar.

use tradewind_domain::bar::Bar;

/// How outcomes are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Bars from the entry to the exit, at least 1.
    pub horizon: usize,
    /// Full spread in basis points.
    pub spread_bps: u32,
    /// Fee per side in basis points.
    pub fee_bps: u32,
    /// What neutral earns beside its share of the synergy's bonus. Rewards of profits lie within 1 and -1, and a trade that
    /// gains nothing costs about 0.01: above that, policies stand aside where they expect little.
    pub hold_reward: f64,
}

impl Default for Judgement {
    fn default() -> Self {
        Self { horizon: 10, spread_bps: 2, fee_bps: 1, hold_reward: 0.02 }
    }
}

impl Judgement {
    /// Net return of a position of side +1 or -1, as a fraction of its entry: opened at the open of the bar after `index`, closed
    /// at the close of the last bar of the horizon (ST-116). `None` when that bar is not there yet.
    pub fn net_return(&self, bars: &[Bar], index: usize, side: f64) -> Option<f64> {
        let exit = bars.get(index + self.horizon)?.close.0 as f64;
        let entry = bars.get(index + 1)?.open.0 as f64;
        let costs = f64::from(self.spread_bps + 2 * self.fee_bps) / 10_000.0;
        Some(side * (exit / entry - 1.0) - costs)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_domain::instrument::Ticks;
    use tradewind_domain::time::Nanos;

    /// Entry at the next open, exit at the last close, 4 bps of costs on either side of the market.
    #[test]
    fn returns_are_net_of_costs() {
        let bar = |index: i64, open, close| Bar {
            index: index as u64,
            open_time: Nanos(index),
            close_time: Nanos(index + 1),
            open: Ticks(open),
            high: Ticks(open.max(close)),
            low: Ticks(open.min(close)),
            close: Ticks(close),
            volume: 1.0,
        };
        let bars = [bar(0, 900, 900), bar(1, 1000, 500), bar(2, 500, 1100), bar(3, 1, 1)];
        let judgement = Judgement { horizon: 2, ..Judgement::default() };
        let near = |side, expected: f64| assert!((judgement.net_return(&bars, 0, side).unwrap() - expected).abs() < 1e-12);
        near(1.0, 0.1 - 0.0004);
        near(-1.0, -0.1 - 0.0004);
        assert_eq!(judgement.net_return(&bars, 2, 1.0), None, "the outcome of bar 2 is not known yet");
    }
}
