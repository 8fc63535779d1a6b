//! How hard it would be to trade a symbol now.

use serde::{Deserialize, Serialize};

use crate::microstructure::MicrostructureReading;
use crate::schema::{FeatureSchema, FeatureValueError, NOT_NEGATIVE};

/// What the score is made from; depth in units of the account currency.
pub static TERMS: FeatureSchema<3> = FeatureSchema {
    name: "liquidity-3-v1",
    columns: ["volume_ratio", "spread_ratio", "market_depth"],
    ranges: [NOT_NEGATIVE; 3],
};

/// Less volume than this share of the mean adds risk (RK-75).
const LOW_VOLUME: f64 = 0.5;
/// Wider spreads than this multiple of the mean add risk (RK-75).
const WIDE_SPREAD: f64 = 2.0;
/// Less depth than this adds risk, account currency (RK-75).
const SHALLOW_DEPTH: f64 = 100_000.0;

/// Liquidity of one symbol (RK-75).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Liquidity {
    /// 0 good to 1 worst.
    pub score: f64,
    /// Volume over its mean; 1 if unknown.
    pub volume_ratio: f64,
    /// Spread over its mean; 1 if unknown.
    pub spread_ratio: f64,
    /// Depth at the best prices, account currency.
    pub market_depth: f64,
    /// Fewer than 20 bars are known: never normal (RK-76).
    pub unknown_history: bool,
}

/// What may be done (RK-76).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LiquidityClass {
    /// Anything.
    NormalTrading,
    /// Half the size.
    ReduceSize,
    /// No market orders.
    LimitOrdersOnly,
    /// Only what reduces risk.
    AvoidTrading,
}

impl Liquidity {
    /// Scores the newest bar of a symbol.
    ///
    /// # Errors
    /// [`FeatureValueError`]: a depth or ratio that is not finite or negative is named.
    pub fn new(reading: &MicrostructureReading, market_depth: f64) -> Result<Self, FeatureValueError> {
        let ratios = [reading.volume_ratio, reading.spread_ratio].map(|ratio| ratio.unwrap_or(1.0));
        let [volume_ratio, spread_ratio, market_depth] = *TERMS.vector([ratios[0], ratios[1], market_depth])?.values();
        let mut score = 0.0;
        if volume_ratio < LOW_VOLUME {
            score += 0.4 * (1.0 - volume_ratio);
        }
        if spread_ratio > WIDE_SPREAD {
            score += 0.4 * ((spread_ratio - 1.0) / 2.0).min(1.0);
        }
        if market_depth < SHALLOW_DEPTH {
            score += 0.2 * (1.0 - market_depth / SHALLOW_DEPTH);
        }
        let unknown_history = reading.volume_ratio.is_none() || reading.spread_ratio.is_none();
        Ok(Self { score: score.min(1.0), volume_ratio, spread_ratio, market_depth, unknown_history })
    }

    /// What may be done (RK-76).
    #[must_use]
    pub fn class(&self) -> LiquidityClass {
        let class = match self.score {
            score if score < 0.3 => LiquidityClass::NormalTrading,
            score if score < 0.6 => LiquidityClass::ReduceSize,
            score if score < 0.8 => LiquidityClass::LimitOrdersOnly,
            _ => LiquidityClass::AvoidTrading,
        };
        if self.unknown_history { class.max(LiquidityClass::ReduceSize) } else { class }
    }

    /// What adds risk, as in records (RK-75).
    pub fn risk_factors(&self) -> impl Iterator<Item = &'static str> {
        let factors = [
            (self.volume_ratio < LOW_VOLUME, "Low volume"),
            (self.spread_ratio > WIDE_SPREAD, "Wide spreads"),
            (self.market_depth < SHALLOW_DEPTH, "Shallow market depth"),
        ];
        factors.into_iter().filter_map(|(is, name)| is.then_some(name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::LiquidityClass::{AvoidTrading, LimitOrdersOnly, NormalTrading, ReduceSize};
    use super::*;

    fn liquidity(volume_ratio: f64, spread_ratio: f64, depth: f64) -> Liquidity {
        let reading =
            MicrostructureReading { volume_ratio: Some(volume_ratio), spread_ratio: Some(spread_ratio), volatility: None };
        Liquidity::new(&reading, depth).unwrap()
    }

    /// RK-V15
    #[test]
    fn scores_and_classes() {
        for (volume, spread, depth, score, class) in [
            (1.0, 1.0, 2e5, 0.0, NormalTrading),
            (0.5, 2.0, 1e5, 0.0, NormalTrading),
            (0.4, 1.0, 2e5, 0.24, NormalTrading),
            (0.4, 3.0, 5e4, 0.74, LimitOrdersOnly),
            (0.49, 2.1, 9e4, 0.444, ReduceSize),
            (0.2, 2.5, 1e5, 0.62, LimitOrdersOnly),
            (0.0, 5.0, 0.0, 1.0, AvoidTrading),
            (0.1, 2.2, 6e4, 0.68, LimitOrdersOnly),
            (0.3, 1.5, 2e4, 0.44, ReduceSize),
            (0.6, 2.4, 1.5e5, 0.28, NormalTrading),
        ] {
            let seen = liquidity(volume, spread, depth);
            assert!((seen.score - score).abs() < 1e-12, "{volume} {spread} {depth}: {}", seen.score);
            assert_eq!(seen.class(), class, "{volume} {spread} {depth}");
        }
        let factors: Vec<&str> = liquidity(0.4, 3.0, 5e4).risk_factors().collect();
        assert_eq!(factors, ["Low volume", "Wide spreads", "Shallow market depth"]);
    }

    /// RK-76: without history nothing is normal, but a bad depth is still worse. NaN is named.
    #[test]
    fn unknown_history_is_never_normal() {
        let unknown = MicrostructureReading::default();
        let seen = Liquidity::new(&unknown, 1e6).unwrap();
        assert_eq!((seen.score.to_bits(), seen.class()), (0.0_f64.to_bits(), ReduceSize));
        let error = Liquidity::new(&unknown, f64::NAN).unwrap_err().to_string();
        assert_eq!(error, "liquidity-3-v1: market_depth is NaN, it must be finite");
        assert_eq!(serde_json::to_string(&LimitOrdersOnly).unwrap(), r#""LIMIT_ORDERS_ONLY""#);
    }
}
