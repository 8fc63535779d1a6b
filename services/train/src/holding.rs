//! What a position held for some bars earns.

use tradewind_core::bar::Bar;
use tradewind_venue::fills::FillModel;

/// Costs of samples and reports: a full spread of 2 basis points and a fee of 1 a side.
pub const COSTS: FillModel = FillModel { spread_bps: 2, fee_bps: 1 };

/// Net return of a position of side +1 or -1, as a fraction of its entry: opened at the open of the bar after `index`, closed at
/// the close of the last of its `horizon` bars, at least 1 (ST-116). `None` when that bar is not there yet.
pub fn net_return(bars: &[Bar], index: usize, horizon: usize, side: f64, costs: &FillModel) -> Option<f64> {
    let exit = bars.get(index + horizon)?.close.0 as f64;
    let entry = bars.get(index + 1)?.open.0 as f64;
    let costs = f64::from(costs.spread_bps + 2 * costs.fee_bps) / 10_000.0;
    Some(side * (exit / entry - 1.0) - costs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tradewind_core::instrument::Ticks;
    use tradewind_core::time::Nanos;

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
        let near = |side, expected: f64| assert!((net_return(&bars, 0, 2, side, &COSTS).unwrap() - expected).abs() < 1e-12);
        near(1.0, 0.1 - 0.0004);
        near(-1.0, -0.1 - 0.0004);
        assert_eq!(net_return(&bars, 2, 2, 1.0, &COSTS), None, "the outcome of bar 2 is not known yet");
    }
}
