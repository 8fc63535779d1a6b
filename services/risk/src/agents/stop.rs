//! Stop and target of an open position: a deterministic rule, brought nearer by an opinion, never farther.

use serde::{Deserialize, Serialize};

use tradewind_core::instrument::Ticks;
use tradewind_core::side::Side;
use tradewind_features::tactical::on_tick;

use super::config::RiskAgentsConfig;
use super::opinion::{NoOpinion, Opinion, StopTarget};

/// A position and its market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldPosition {
    /// Long or short.
    pub side: Side,
    /// Average entry price.
    pub entry: Ticks,
    /// Last price.
    pub price: Ticks,
    /// Average true range, in ticks.
    pub atr_ticks: f64,
    /// Percentile of the volatility of now, 0 to 1 (RK-11).
    pub volatility_percentile: f64,
    /// Hours since the entry, at least 0.
    pub hours_held: f64,
    /// The stop that works now.
    pub stop: Option<Ticks>,
}

/// What decided a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Range, volatility and time (RK-71).
    Rule,
    /// Open profit (RK-72).
    Trailing,
    /// The agent, or its stand-in (RK-74).
    Agent,
    /// The stop that works now is nearer: a stop never loosens (RK-73).
    Ratchet,
}

/// What to do about a position (RK-74).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protection {
    /// Stop and target for now.
    #[serde(rename_all = "camelCase")]
    Levels {
        /// Stop, at least a tick on the losing side of the price.
        stop: Ticks,
        /// Target, at least a tick on the winning side of the price.
        target: Ticks,
        /// What decided the stop.
        reason: StopReason,
        /// Why the conservative defaults stood in, if they did.
        stand_in: Option<NoOpinion>,
    },
    /// The price is at or beyond the stop: leave at once (RK-73).
    #[serde(rename_all = "camelCase")]
    ExitAtMarket {
        /// The stop that was reached.
        stop: Ticks,
        /// What decided it.
        reason: StopReason,
    },
}

/// Why no stop could be computed: the one that works now stays.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum StopError {
    /// A figure is infinite, not a number or out of its range.
    #[error("{field} is {value}, it must be {allowed}")]
    Input {
        /// Which figure.
        field: &'static str,
        /// The value seen.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The stop or target is beyond every market.
    #[error("stop or target lies beyond every market")]
    Beyond,
}

/// Stop and target of a position (RK-36, RK-71 to RK-74).
///
/// Profit is computed from prices here, in ticks, so that no amount of money can be taken for a distance (C-20).
///
/// # Errors
/// [`StopError`]: the figures are unusable.
pub fn protect(
    position: &HeldPosition,
    opinion: Opinion<StopTarget>,
    config: &RiskAgentsConfig,
) -> Result<Protection, StopError> {
    check(position)?;
    let long = position.side == Side::Long;
    let sign = if long { 1.0 } else { -1.0 };
    let conservative = &config.conservative;
    let stand_in =
        StopTarget { stop_multiplier: conservative.stop_multiplier, target_multiplier: conservative.target_multiplier };
    let wanted = opinion.unwrap_or(stand_in);

    // A stop is rounded towards the position, which is nearer; of several the nearest counts.
    let nearest_tick = |price: f64| on_tick(price, sign).ok_or(StopError::Beyond);
    let (rule, trailing) = rule(position, sign, config);
    let entry = in_ticks(position.entry);
    let agent = entry - sign * wanted.stop_multiplier * position.atr_ticks;
    let mut nearest = (nearest_tick(rule)?, StopReason::Rule);
    let others = [
        trailing.map(|price| (price, StopReason::Trailing)),
        Some((agent, StopReason::Agent)),
        position.stop.map(|stop| (in_ticks(stop), StopReason::Ratchet)),
    ];
    for (price, reason) in others.into_iter().flatten() {
        let stop = nearest_tick(price)?;
        if (long && stop > nearest.0) || (!long && stop < nearest.0) {
            nearest = (stop, reason);
        }
    }
    let (stop, reason) = nearest;
    let reached = if long { stop >= position.price } else { stop <= position.price };
    if reached {
        return Ok(Protection::ExitAtMarket { stop, reason });
    }
    let target = on_tick(entry + sign * wanted.target_multiplier * position.atr_ticks, -sign).ok_or(StopError::Beyond)?;
    let target = if long { target.max(Ticks(position.price.0 + 1)) } else { target.min(Ticks(position.price.0 - 1)) };
    Ok(Protection::Levels { stop, target, reason, stand_in: opinion.err() })
}

/// RK-71 and RK-72: the base stop, and the trailing one once the open profit exceeds the distance before the time
/// factor (C-21).
fn rule(position: &HeldPosition, sign: f64, config: &RiskAgentsConfig) -> (f64, Option<f64>) {
    let rule = &config.stop;
    let entry = in_ticks(position.entry);
    let adjusted = rule.atr_multiple * position.atr_ticks * (1.0 + rule.volatility_share * position.volatility_percentile);
    let time_factor = (1.0 - rule.daily_decay * position.hours_held / 24.0).max(rule.least_time_factor);
    let profit = sign * (in_ticks(position.price) - entry);
    let trailing = (profit > adjusted).then_some(entry + sign * rule.trail_share * profit);
    (entry - sign * adjusted * time_factor, trailing)
}

fn check(position: &HeldPosition) -> Result<(), StopError> {
    let (atr, percentile, hours) = (position.atr_ticks, position.volatility_percentile, position.hours_held);
    let figures = [
        ("atr", atr, atr > 0.0 && atr.is_finite(), "finite and above 0"),
        ("volatility percentile", percentile, (0.0..=1.0).contains(&percentile), "0 to 1"),
        ("hours held", hours, hours >= 0.0 && hours.is_finite(), "finite and at least 0"),
    ];
    match figures.into_iter().find(|(_, _, fine, _)| !fine) {
        Some((field, value, _, allowed)) => Err(StopError::Input { field, value, allowed }),
        None => Ok(()),
    }
}

#[allow(clippy::cast_precision_loss)]
const fn in_ticks(price: Ticks) -> f64 {
    price.0 as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The loosest distances that an agent can ask for.
    const LOOSE: Opinion<StopTarget> = Ok(StopTarget { stop_multiplier: 3.0, target_multiplier: 3.0 });

    /// A position in ticks of 0.25, from prices.
    fn position(entry: f64, side: Side, atr: f64, percentile: f64, hours: f64, profit: f64) -> HeldPosition {
        let ticks = |price: f64| Ticks((price * 4.0).round() as i64);
        HeldPosition {
            side,
            entry: ticks(entry),
            price: ticks(entry + side.sign() as f64 * profit),
            atr_ticks: atr * 4.0,
            volatility_percentile: percentile,
            hours_held: hours,
            stop: None,
        }
    }

    fn stop(position: &HeldPosition, opinion: Opinion<StopTarget>) -> (f64, StopReason) {
        match protect(position, opinion, &RiskAgentsConfig::default()).unwrap() {
            Protection::Levels { stop, reason, .. } | Protection::ExitAtMarket { stop, reason } => (stop.0 as f64 / 4.0, reason),
        }
    }

    /// RK-V14, rounded to ticks of 0.25 towards the position.
    #[test]
    fn stops_by_range_volatility_time_and_profit() {
        use Side::{Long, Short};
        use StopReason::{Rule, Trailing};
        for (row, (entry, side, atr, percentile, hours, profit, wanted)) in (1..).zip([
            (4500.0, Long, 10.0, 0.5, 0.0, 0.0, (4481.25, Rule)),
            (4500.0, Short, 10.0, 0.5, 0.0, 0.0, (4518.75, Rule)),
            (4500.0, Long, 10.0, 0.5, 12.0, 0.0, (4484.25, Rule)),
            (4500.0, Long, 10.0, 0.5, 24.0, 0.0, (4487.00, Rule)),
            (4500.0, Long, 10.0, 0.0, 0.0, 0.0, (4485.00, Rule)),
            (4500.0, Short, 10.0, 1.0, 6.0, 0.0, (4520.75, Rule)),
            (4500.0, Long, 10.0, 0.5, 0.0, 18.75, (4481.25, Rule)),
            (4500.0, Long, 10.0, 0.5, 0.0, 25.0, (4512.50, Trailing)),
            (4500.0, Short, 10.0, 0.5, 12.0, 30.0, (4485.00, Trailing)),
            (4500.25, Short, 8.37, 0.83, 5.5, 3.25, (4516.75, Rule)),
            (4500.0, Long, 10.0, 0.5, 24.0, 15.0, (4487.00, Rule)),
        ]) {
            assert_eq!(stop(&position(entry, side, atr, percentile, hours, profit), LOOSE), wanted, "row {row}");
        }
        assert_eq!(stop(&position(4500.0, Long, 10.0, 0.5, 48.0, 0.0), LOOSE).0.to_bits(), 4487.0_f64.to_bits(), "floor of time");
    }

    /// RK-36, RK-74: an opinion brings a stop nearer; RK-73: the stop that works now is never left.
    #[test]
    fn opinions_and_the_ratchet_only_bring_stops_nearer() {
        let held = position(4500.0, Side::Long, 10.0, 0.5, 0.0, 0.0);
        let near = Ok(StopTarget { stop_multiplier: 1.0, target_multiplier: 2.0 });
        assert_eq!(stop(&held, near), (4490.0, StopReason::Agent));
        assert_eq!(stop(&held, Err(NoOpinion::Stale)), (4485.0, StopReason::Agent), "RK-37: 1.5 ATR");
        let working = HeldPosition { stop: Some(Ticks(4 * 4495)), ..held };
        assert_eq!(stop(&working, near), (4495.0, StopReason::Ratchet));
        let looser = HeldPosition { stop: Some(Ticks(4 * 4470)), ..held };
        assert_eq!(stop(&looser, LOOSE), (4481.25, StopReason::Rule));
    }

    /// RK-73, RK-74: a price at the stop leaves at once; a target lies a tick beyond the price at least.
    #[test]
    fn exits_and_targets() {
        let config = RiskAgentsConfig::default();
        let held = position(4500.0, Side::Long, 10.0, 0.5, 0.0, -18.75);
        let at_stop = protect(&held, LOOSE, &config).unwrap();
        assert_eq!(at_stop, Protection::ExitAtMarket { stop: Ticks(17_925), reason: StopReason::Rule });
        let target = |profit: f64, opinion: Opinion<StopTarget>| {
            let held = position(4500.0, Side::Short, 10.0, 0.5, 0.0, profit);
            match protect(&held, opinion, &config).unwrap() {
                Protection::Levels { target, stand_in, .. } => (target.0 as f64 / 4.0, stand_in),
                Protection::ExitAtMarket { .. } => panic!("no exit"),
            }
        };
        assert_eq!(target(0.0, LOOSE), (4470.0, None));
        assert_eq!(target(0.0, Err(NoOpinion::Late)), (4485.0, Some(NoOpinion::Late)));
        assert_eq!(target(35.0, LOOSE), (4464.75, None), "a tick beyond the price");
    }

    /// RK-V14, row 12, by construction; what is no figure is named.
    #[test]
    fn unusable_figures_are_named() {
        let config = RiskAgentsConfig::default();
        let held = position(4500.0, Side::Long, 10.0, 0.5, 0.0, 0.0);
        let field = |position: HeldPosition| protect(&position, LOOSE, &config).unwrap_err().to_string();
        assert_eq!(field(HeldPosition { atr_ticks: f64::NAN, ..held }), "atr is NaN, it must be finite and above 0");
        assert_eq!(field(HeldPosition { volatility_percentile: 1.5, ..held }), "volatility percentile is 1.5, it must be 0 to 1");
        assert_eq!(field(HeldPosition { hours_held: -1.0, ..held }), "hours held is -1, it must be finite and at least 0");
        assert_eq!(protect(&HeldPosition { atr_ticks: 1e300, ..held }, LOOSE, &config), Err(StopError::Beyond));
    }

    proptest! {
        /// RK-36, RK-73: whatever the opinion, the stop is never farther than the rule's and never farther than the one
        /// that works, it lies on the losing side, and the target on the winning one.
        #[test]
        fn no_opinion_loosens_a_stop(
            long: bool, atr in 0.1_f64..50.0, percentile in 0.0_f64..=1.0, hours in 0.0_f64..100.0, profit in -100.0_f64..100.0,
            multiplier in 0.5_f64..=3.0, working in prop::option::of(-200_i64..200), missing: bool
        ) {
            let side = if long { Side::Long } else { Side::Short };
            let fresh = position(4500.0, side, atr, percentile, hours, profit);
            let held = HeldPosition { stop: working.map(|ticks| Ticks(18_000 + ticks)), ..fresh };
            let opinion = if missing { Err(NoOpinion::Missing) } else { Ok(StopTarget { stop_multiplier: multiplier, target_multiplier: multiplier }) };
            let config = RiskAgentsConfig::default();
            let seen = protect(&held, opinion, &config).unwrap();
            prop_assert_eq!(seen, protect(&held, opinion, &config).unwrap());
            let sign = side.sign();
            let price = |protection| match protection {
                Protection::Levels { stop, .. } | Protection::ExitAtMarket { stop, .. } => stop.0 * sign,
            };
            prop_assert!(price(seen) >= price(protect(&fresh, LOOSE, &config).unwrap()));
            prop_assert!(held.stop.is_none_or(|working| price(seen) >= working.0 * sign));
            match seen {
                Protection::Levels { stop, target, .. } => {
                    prop_assert!(stop.0 * sign < held.price.0 * sign && target.0 * sign > held.price.0 * sign);
                }
                Protection::ExitAtMarket { stop, .. } => prop_assert!(stop.0 * sign >= held.price.0 * sign),
            }
        }
    }
}
