//! What an order is expected to move the price by.

use super::config::{ImpactConfig, ImpactMode};

/// Expected impact in basis points: `alpha sigma (Q/V)^beta f(tau) 10000` (EX-44 to EX-46).
///
/// - `contracts` and `daily_volume` in contracts; 0 when one of them is not above 0;
/// - `volatility`: daily, a fraction;
/// - `seconds`: how long the order takes, at least 0.
#[must_use]
pub fn expected_impact_bps(contracts: f64, daily_volume: f64, volatility: f64, seconds: f64, config: &ImpactConfig) -> f64 {
    if !(contracts > 0.0 && daily_volume > 0.0) {
        return 0.0;
    }
    let x = seconds / config.tau0_seconds;
    let spread = match config.mode {
        ImpactMode::Rising => -libm::expm1(-x),
        ImpactMode::Decaying if x > 0.0 => -libm::expm1(-x) / x,
        ImpactMode::Decaying => 1.0,
    };
    config.alpha * volatility * libm::pow(contracts / daily_volume, config.beta) * spread * 10_000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use super::*;

    fn check(config: &ImpactConfig, rows: &[(f64, f64, f64)]) {
        for &(contracts, seconds, wanted) in rows {
            let seen = expected_impact_bps(contracts, 50_000.0, 0.015, seconds, config);
            assert!((seen - wanted).abs() < 1e-8, "{contracts} over {seconds} s: {seen} instead of {wanted}");
        }
    }

    /// EX-V4, C-21
    #[test]
    fn impact_that_rises_with_the_duration() {
        let rising = ImpactConfig { mode: ImpactMode::Rising, ..ImpactConfig::default() };
        let rows = [
            (3.0, 300.0, 0.457_170_061),
            (1.0, 60.0, 0.063_837_000_7),
            (5.0, 60.0, 0.142_743_873),
            (3.0, 0.0, 0.0),
            (3.0, 600.0, 0.734_457_719),
            (3.0, 1e12, 1.161_895_00),
        ];
        check(&rising, &rows);
        check(&ImpactConfig { alpha: 0.08, ..rising }, &[(3.0, 300.0, 0.036_573_604_9)]);
    }

    /// EX-V5, C-20
    #[test]
    fn impact_that_decays_with_the_duration() {
        let rows = [
            (3.0, 300.0, 0.914_340_121),
            (1.0, 60.0, 0.638_370_007),
            (5.0, 60.0, 1.427_438_73),
            (3.0, 0.0, 1.161_895_00),
            (3.0, 600.0, 0.734_457_719),
        ];
        check(&ImpactConfig::default(), &rows);
    }

    /// EX-44: no order or no market moves nothing.
    #[test]
    fn nothing_moves_nothing() {
        let of = |contracts, volume| expected_impact_bps(contracts, volume, 0.015, 60.0, &ImpactConfig::default());
        assert_eq!([of(0.0, 1.0), of(1.0, 0.0), of(f64::NAN, 1.0), of(-1.0, 1.0)], [0.0; 4]);
    }
}
