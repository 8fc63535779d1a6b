//! How much of an account one trade may risk, and how many contracts that is: shared by risk and execution.

use tradewind_core::money::Money;

/// Parts of a fraction that count: fractions are rounded to billionths, so that everything after them is integer
/// arithmetic and a product that is 2.9999999999999996 in floats still is 3 (RK-64).
const BILLION: f64 = 1e9;

/// Full Kelly fraction `(b p - q) / b` (RK-59, EX-38), 1 at most; negative without an edge. `win_probability` is 0 to
/// 1, `payoff` the average win over the average loss.
///
/// `None` when there is no evidence to bet on: a probability or payoff that is not above 0, or no figure (EX-39, RK-63).
#[must_use]
pub fn full_kelly(win_probability: f64, payoff: f64) -> Option<f64> {
    let evidence = win_probability > 0.0 && win_probability <= 1.0 && payoff > 0.0 && payoff.is_finite();
    evidence.then(|| (payoff * win_probability - (1.0 - win_probability)) / payoff)
}

/// Kelly fraction less a penalty for variance: `f - lambda sigma^2` (EX-38). `volatility` is daily, a fraction.
///
/// `None` as for [`full_kelly`], and when the volatility is no figure of at least 0.
#[must_use]
pub fn penalised_kelly(win_probability: f64, payoff: f64, volatility: f64, lambda: f64) -> Option<f64> {
    let known = volatility >= 0.0 && volatility.is_finite();
    let full = full_kelly(win_probability, payoff).filter(|_| known)?;
    Some(full - lambda * volatility * volatility)
}

/// Kelly fraction in the volatility of now: `f min(base / current, 2)` (RK-60).
///
/// `None` as for [`full_kelly`], and when a volatility is no figure above 0.
#[must_use]
pub fn volatility_scaled_kelly(win_probability: f64, payoff: f64, current: f64, base: f64) -> Option<f64> {
    let known = [current, base].iter().all(|volatility| *volatility > 0.0 && volatility.is_finite());
    let full = full_kelly(win_probability, payoff).filter(|_| known)?;
    Some(full * (base / current).min(2.0))
}

/// Money at risk: a share of the equity, at most `largest` of it, at least nothing (EX-40, RK-61). NaN risks nothing.
#[must_use]
#[allow(clippy::cast_possible_truncation)]
pub fn risk_amount(equity: Money, fraction: f64, largest: f64) -> Money {
    if fraction.is_nan() || largest.is_nan() {
        return Money::ZERO;
    }
    // Within 0 and 1, so that the product with a billion fits.
    let billionths = (fraction.min(largest).clamp(0.0, 1.0) * BILLION).round() as i128;
    Money::from_nanos(equity.nanos().max(0) * billionths / 1_000_000_000)
}

/// What is left to lose in this session: a share of the peak, less the drawdown and what open stops would cost
/// (RK-65); negative when that is spent.
#[must_use]
pub fn session_budget(peak: Money, equity: Money, open_stop_losses: Money, share_bps: i64) -> Money {
    peak.bps(share_bps) - (peak - equity) - open_stop_losses
}

/// Whole contracts that an amount can pay the risk of, 0 to `cap` (EX-41, RK-61, RK-63). No risk per contract means
/// no contracts: the stop is not known.
#[must_use]
pub fn contracts(amount: Money, risk_per_contract: Money, cap: i64) -> i64 {
    if risk_per_contract <= Money::ZERO {
        return 0;
    }
    let count = amount.nanos().max(0) / risk_per_contract.nanos();
    i64::try_from(count).unwrap_or(i64::MAX).clamp(0, cap.max(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use proptest::prelude::*;

    use super::*;

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-6, "{seen} instead of {wanted}");
    }

    fn usd(text: &str) -> Money {
        text.parse().unwrap()
    }

    /// EX-V1
    #[test]
    fn raw_fractions() {
        for (p, b, raw, penalised) in
            [(0.6, 1.5, 0.333_333, 0.332_533), (0.8, 2.0, 0.7, 0.6992), (0.4, 1.0, -0.2, -0.2008), (0.85, 1.5, 0.75, 0.7492)]
        {
            near(full_kelly(p, b).unwrap(), raw);
            near(penalised_kelly(p, b, 0.02, 2.0).unwrap(), penalised);
        }
    }

    fn penalised_contracts(p: f64, b: f64, equity: i64, volatility: f64, multiplier: f64) -> i64 {
        let fraction = penalised_kelly(p, b, volatility, 2.0).map_or(0.0, |fraction| fraction * multiplier);
        contracts(risk_amount(Money::from_units(equity), fraction, 0.02), usd("100"), 5)
    }

    /// EX-V2: 100 USD per contract, at most 5, whole Kelly.
    #[test]
    fn contracts_at_a_hundred_each() {
        for (p, b, equity, volatility, wanted) in [
            (0.6, 1.5, 100_000, 0.02, 5),
            (0.8, 2.0, 100_000, 0.02, 5),
            (0.4, 1.0, 100_000, 0.02, 0),
            (0.78, 1.2, 10_000, 0.015, 2),
            (0.51, 1.0, 20_000, 0.05, 3),
            (0.51, 1.0, 10_000, 0.015, 1),
            (0.506, 1.0, 25_000, 0.015, 2),
            (0.6, 0.0, 100_000, 0.02, 0),
        ] {
            assert_eq!(penalised_contracts(p, b, equity, volatility, 1.0), wanted, "{p} {b} {equity} {volatility}");
        }
        assert_eq!(contracts(risk_amount(Money::from_units(100_000), 0.3325, 0.02), usd("100"), i64::MAX), 20, "before the cap");
    }

    /// EX-V3: a quarter of Kelly before the clip.
    #[test]
    fn contracts_of_a_quarter_kelly() {
        for (p, b, equity, volatility, quarter, whole) in [
            (0.505, 1.0, 100_000, 0.02, 2, 5),
            (0.51, 1.0, 20_000, 0.05, 0, 3),
            (0.51, 1.0, 10_000, 0.015, 0, 1),
            (0.6, 1.5, 100_000, 0.02, 5, 5),
        ] {
            assert_eq!(penalised_contracts(p, b, equity, volatility, 0.25), quarter);
            assert_eq!(penalised_contracts(p, b, equity, volatility, 1.0), whole);
        }
    }

    /// RK-V12, minimum 0 and 50 USD per contract: win probability, average win and loss, volatility now and base,
    /// equity; full fraction, contracts.
    #[test]
    fn contracts_in_the_volatility_of_now() {
        for (p, win, loss, current, base, equity, full, wanted) in [
            (0.60, 200.0, 100.0, 0.15, 0.15, 100_000, 0.4, 5),
            (0.50, 100.0, 100.0, 0.15, 0.15, 100_000, 0.0, 0),
            (0.40, 100.0, 100.0, 0.15, 0.15, 100_000, -0.2, 0),
            (0.55, 120.0, 100.0, 0.20, 0.15, 10_000, 0.175, 4),
            (0.55, 120.0, 100.0, 0.20, 0.15, 5_000, 0.175, 2),
            (0.60, 150.0, 100.0, 0.10, 0.30, 4_000, 0.333_333_333, 1),
            (0.58, 110.0, 95.0, 0.18, 0.15, 3_000, 0.217_272_727, 1),
            (0.35, 300.0, 100.0, 0.30, 0.15, 12_000, 0.133_333_333, 4),
            (0.60, 200.0, 100.0, 0.30, 0.15, 2_000, 0.4, 0),
            (0.60, 200.0, 100.0, 0.15, 0.15, 1_500, 0.4, 0),
            (0.52, 100.0, 100.0, 0.15, 0.15, 10_000, 0.04, 2),
        ] {
            near(full_kelly(p, win / loss).unwrap(), full);
            let fraction = volatility_scaled_kelly(p, win / loss, current, base).unwrap() * 0.25;
            let amount = risk_amount(Money::from_units(equity), fraction, 0.02);
            assert_eq!(contracts(amount, usd("50"), 5), wanted, "{p} {win} {current} {equity}");
        }
        assert_eq!(full_kelly(0.0, 2.0), None, "row 12");
        for (fraction, equity, wanted) in [(0.4, 100_000, 2), (0.05, 100_000, 1), (0.4, 500_000, 5)] {
            assert_eq!(contracts(risk_amount(Money::from_units(equity), fraction * 0.25, 0.02), usd("937.5"), 5), wanted);
        }
    }

    /// RK-V12, last line; RK-65: what the session may still lose binds before the share of one trade.
    #[test]
    fn a_spent_session_has_no_contracts() {
        let left = session_budget(usd("100000"), usd("98700"), Money::ZERO, 200);
        assert_eq!(left, usd("700"));
        assert_eq!(contracts(left, usd("937.5"), 5), 0);
        assert_eq!(contracts(session_budget(usd("100000"), usd("97000"), Money::ZERO, 200), usd("1"), 5), 0);
        assert_eq!(session_budget(usd("100000"), usd("100000"), usd("500"), 200), usd("1500"));
    }

    /// What is no figure risks nothing.
    #[test]
    fn no_figure_no_risk() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert_eq!((full_kelly(0.6, bad), volatility_scaled_kelly(0.6, 1.5, bad, 0.1)), (None, None), "{bad}");
            assert_eq!(volatility_scaled_kelly(0.6, 1.5, 0.1, bad), None, "{bad}");
        }
        assert_eq!(
            (full_kelly(1.1, 1.0), full_kelly(f64::NAN, 1.0), penalised_kelly(0.6, 1.5, f64::NAN, 2.0)),
            (None, None, None)
        );
        assert_eq!(risk_amount(usd("100"), f64::NAN, 0.02), Money::ZERO);
        assert_eq!(risk_amount(usd("100"), 0.01, f64::NAN), Money::ZERO);
        assert_eq!(risk_amount(usd("-100"), 0.01, 0.02), Money::ZERO);
        assert_eq!(contracts(usd("100"), Money::ZERO, 5), 0);
    }

    proptest! {
        /// More risk per contract, less equity or a lower cap never give more contracts, and the money at risk never
        /// exceeds its share by more than a billionth.
        #[test]
        fn sizes_only_shrink(equity in 0_i64..10_000_000, fraction in -1.0_f64..1.0, risk in 1_i64..100_000, cap in 0_i64..50) {
            let of = |equity, risk, cap| contracts(risk_amount(Money::from_units(equity), fraction, 0.02), Money::from_units(risk), cap);
            let size = of(equity, risk, cap);
            prop_assert!((0..=cap).contains(&size));
            prop_assert!(of(equity / 2, risk, cap) <= size && of(equity, risk * 2, cap) <= size && of(equity, risk, cap / 2) <= size);
            prop_assert!(size as f64 * risk as f64 <= equity as f64 * (fraction.clamp(0.0, 0.02) + 1e-9));
        }
    }
}
