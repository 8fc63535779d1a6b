//! From a score and a range to size, stop and target.

use serde::{Deserialize, Serialize};

use tradewind_core::instrument::Ticks;

use super::config::TacticalConfig;

/// Float dust below which a price counts as lying on a tick.
const ON_TICK: f64 = 1e-6;

/// Stop and target of a qualified trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// Protective stop.
    pub stop: Ticks,
    /// Take-profit.
    pub target: Ticks,
}

/// TA-30: multiple of the base quantity for a confidence.
#[must_use]
pub fn confidence_multiplier(confidence: f64, config: &TacticalConfig) -> f64 {
    (confidence / config.confidence_reference).min(config.max_confidence_multiplier)
}

/// TA-31: stop and target around `close` for `side` (+1 long, -1 short).
#[must_use]
pub fn levels(side: i8, close: Ticks, atr_ticks: f64, config: &TacticalConfig) -> Option<Levels> {
    Levels::around(side, close, config.stop_atr_multiple * atr_ticks, config.take_profit_atr_multiple * atr_ticks)
}

impl Levels {
    /// Stop and target at these distances (ticks, above 0) from a price, for `side` (+1 long, -1 short), on ticks: the
    /// stop away from the price, the target toward it (TA-31, EX-33). `None` when a distance leaves no room for them;
    /// NaN is such a distance.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn around(side: i8, price: Ticks, stop_distance: f64, target_distance: f64) -> Option<Self> {
        let (at, side) = (price.0 as f64, f64::from(side));
        let stop = on_tick(at - side * stop_distance, -side)?;
        let target = on_tick(at + side * target_distance, -side)?;
        let apart = if side > 0.0 { stop < price && price < target } else { target < price && price < stop };
        (apart && stop.0 > 0 && target.0 > 0).then_some(Self { stop, target })
    }
}

/// The nearest tick in the direction of `toward`; a price within float dust of a tick is that tick. `None` when it is
/// no figure or beyond every market.
#[allow(clippy::cast_possible_truncation)]
pub fn on_tick(price: f64, toward: f64) -> Option<Ticks> {
    if !price.is_finite() || price.abs() > 1e15 {
        return None;
    }
    let nearest = price.round();
    let exact = (price - nearest).abs() < ON_TICK;
    let ticks = match (exact, toward > 0.0) {
        (true, _) => nearest,
        (false, true) => price.ceil(),
        (false, false) => price.floor(),
    };
    Some(Ticks(ticks as i64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// TA-V11
    #[test]
    fn multiples_of_the_base_size() {
        let config = TacticalConfig::default();
        let rows = [(0.65, 0.8125), (0.7999, 0.999_875), (0.8, 1.0), (0.9, 1.125), (1.0, 1.25)];
        for (confidence, multiplier) in rows {
            let seen = confidence_multiplier(confidence, &config);
            assert!((seen - multiplier).abs() < 1e-12);
        }
        let wide = TacticalConfig { confidence_reference: 0.5, ..config };
        assert!((confidence_multiplier(0.9, &wide) - 1.5).abs() < 1e-12, "the cap of TA-30");
    }

    /// TA-V12, second part, rounded to ticks of 0.01 as TA-31 says.
    #[test]
    fn stop_lies_away_from_the_price_and_target_toward_it() {
        let config = TacticalConfig::default();
        let atr = 188.518_518_518_518_5;
        let long = levels(1, Ticks(10_320), atr, &config).unwrap();
        assert_eq!(long, Levels { stop: Ticks(9_942), target: Ticks(10_885) }, "99.429630 and 108.855556");
        let short = levels(-1, Ticks(10_320), atr, &config).unwrap();
        assert_eq!(short, Levels { stop: Ticks(10_698), target: Ticks(9_755) }, "106.970370 and 97.544444");
    }

    /// A level that lies on a tick stays there, whatever the float dust says.
    #[test]
    fn exact_levels_are_not_moved() {
        let config = TacticalConfig::default();
        for atr in [100.0, 100.000_000_000_1, 99.999_999_999_9] {
            let wanted = Levels { stop: Ticks(9_800), target: Ticks(10_300) };
            assert_eq!(levels(1, Ticks(10_000), atr, &config), Some(wanted));
        }
    }

    /// No range, a range beyond the price and NaN give no order.
    #[test]
    fn a_useless_range_gives_no_levels() {
        let config = TacticalConfig::default();
        for atr in [0.0, 5_000.0, f64::NAN, f64::INFINITY] {
            assert_eq!(levels(1, Ticks(10_000), atr, &config), None, "{atr}");
        }
        assert_eq!(levels(-1, Ticks(10_000), 3_400.0, &config), None, "target at or below 0");
    }
}
