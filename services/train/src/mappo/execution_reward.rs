//! Rewards of the execution agents.

use super::column::{self, ColumnError};

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Executed {
    /// Price that was aimed at, above 0.
    pub target: f64,
    /// Mean price of the fills, in the same unit.
    pub actual: f64,
    /// Bought.
    pub bought: bool,
    /// Milliseconds it took, at least 0.
    pub millis: f64,
    /// Position over its limit, at least 0.
    pub position_utilisation: f64,
    /// Value at risk over its limit, at least 0.
    pub var_utilisation: f64,
    /// Impact on the market, basis points, at least 0.
    pub impact_bps: f64,
    /// Filled share of the quantity, 0 to 1.
    pub fill_rate: f64,
}

/// Reward that all agents share, -200 to 200 (EX-89 to EX-94), the impact held to -50 (execution C-28).
///
/// # Errors
/// [`ColumnError`] when a figure is out of range.
pub fn shared(order: &Executed) -> Result<f64, ColumnError> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let amount = |value: f64| value.is_finite() && value >= 0.0;
    let Executed { target, actual, millis, position_utilisation, var_utilisation, impact_bps, .. } = *order;
    column::every("price", &[target, actual], "finite and above 0", positive)?;
    let amounts = [millis, position_utilisation, var_utilisation, impact_bps];
    column::every("duration, utilisation or impact", &amounts, "finite and at least 0", amount)?;
    column::every("fill rate", &[order.fill_rate], "within 0 and 1", |rate| (0.0..=1.0).contains(&rate))?;
    let worse = if order.bought { actual - target } else { target - actual };
    let quality = (-2.0 * worse / target * 10_000.0).clamp(-100.0, 100.0);
    let speed = 50.0 * (1.0 - millis / 1000.0).max(0.0);
    let most = position_utilisation.max(var_utilisation);
    let risk = if most <= 1.0 { 20.0 } else { -50.0 * (most - 1.0) };
    let fill = match order.fill_rate {
        rate if rate >= 0.99 => 30.0,
        rate if rate >= 0.95 => 15.0,
        _ => -20.0,
    };
    Ok((quality + speed + risk + (-5.0 * impact_bps).max(-50.0) + fill).clamp(-200.0, 200.0))
}

/// Reward of the sizing agent (EX-96): near Kelly's size, and small where `volatility_percentile` (0 to 1) is high.
#[must_use]
pub fn sizing(shared: f64, contracts: u32, kelly: u32, volatility_percentile: f64) -> f64 {
    let (actual, wanted) = (f64::from(contracts), f64::from(kelly));
    let size = match (kelly, contracts) {
        (0, 0) => 25.0,
        (0, _) => -25.0,
        _ => 25.0 * (1.0 - (actual - wanted).abs() / wanted),
    };
    let wild = if volatility_percentile > 0.9 { -15.0 * (actual - 2.0).max(0.0) } else { 0.0 };
    shared + size + wild
}

/// Reward of the timing agent (EX-97): `effectiveness` and `urgency` 0 to 1, `delay` in seconds to the first child order,
/// `adverse_bps` the adverse selection. Being late costs at most 100 (EX-99).
#[must_use]
pub fn timing(shared: f64, effectiveness: f64, urgency: f64, delay: f64, adverse_bps: f64) -> f64 {
    let late = if urgency > 0.8 && delay > 5.0 { (-10.0 * delay).max(-100.0) } else { 0.0 };
    shared + 20.0 * effectiveness + late - 3.0 * adverse_bps
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::*;

    fn order([target, actual]: [f64; 2], bought: bool, millis: f64, used: [f64; 2], impact_bps: f64, fill_rate: f64) -> Executed {
        let [position_utilisation, var_utilisation] = used;
        Executed { target, actual, bought, millis, position_utilisation, var_utilisation, impact_bps, fill_rate }
    }

    /// EX-V13, shared reward; the fifth row with the impact of C-28.
    #[test]
    fn rewards_of_orders() {
        let (at, above) = ([4150.25, 4150.25], [4150.25, 4150.35]);
        for (order, wanted) in [
            (order(at, true, 0.73, [0.5, 0.5], 0.0, 1.0), 99.963_5),
            (order(above, true, 0.73, [0.3, 0.5], 0.457, 1.0), 97.196_601_3),
            (order(above, false, 450.0, [0.3, 0.5], 0.457, 1.0), 75.696_898_7),
            (order(at, true, 1000.0, [1.2, 1.1], 0.0, 1.0), 20.0),
            (order([4150.25, 4155.25], true, 2000.0, [1.0, 1.0], 12.0, 0.9), -74.094_934_0),
            (order(at, true, 0.5, [0.3, 0.3], 0.0, 0.95), 84.975),
            (order([4000.0, 4100.0], true, 5000.0, [3.0, 5.0], 60.0, 0.0), -200.0),
            (order([4000.0, 3900.0], true, 0.0, [0.0, 0.0], 0.0, 1.0), 200.0),
        ] {
            near(&[shared(&order).unwrap()], &[wanted], 1e-6);
        }
    }

    /// EX-V13, the agents' own parts; EX-99.
    #[test]
    fn rewards_of_agents() {
        for (contracts, kelly, percentile, wanted) in
            [(3, 3, 0.5, 75.0), (5, 3, 0.95, 13.333_333_3), (2, 5, 0.5, 60.0), (0, 0, 0.99, 75.0), (1, 0, 0.2, 25.0)]
        {
            near(&[sizing(50.0, contracts, kelly, percentile)], &[wanted], 1e-7);
        }
        near(&[sizing(0.0, 5, 1, 0.91)], &[-120.0], 1e-9);
        let seen = [timing(50.0, 0.8, 0.9, 6.0, 1.5), timing(50.0, 0.5, 0.9, 5.0, 0.0), timing(50.0, 1.0, 0.5, 300.0, -0.5)];
        near(&seen, &[1.5, 60.0, 71.5], 1e-9);
        near(&[timing(0.0, 0.0, 1.0, 300.0, 0.0)], &[-100.0], 1e-9);
    }

    #[test]
    fn impossible_orders_are_refused() {
        let good = order([1.0, 1.0], true, 1.0, [0.0, 0.0], 0.0, 1.0);
        assert!(shared(&good).is_ok() && shared(&Executed { target: 0.0, ..good }).is_err());
        assert!(shared(&Executed { actual: f64::NAN, ..good }).is_err() && shared(&Executed { millis: -1.0, ..good }).is_err());
        assert!(shared(&Executed { fill_rate: 1.1, ..good }).is_err());
    }
}
