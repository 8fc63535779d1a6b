//! From a decision to a number of lots.

use serde::{Deserialize, Serialize};

use crate::instrument::{Instrument, Lots, Ticks};
use crate::money::Money;
use crate::side::Side;

/// Largest confidence multiplier (TA-30).
pub const MAX_CONFIDENCE_MULTIPLIER: f64 = 1.5;

/// A qualified trade, as far as its size and protection go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TradeIntent {
    /// Direction wanted.
    pub side: Side,
    /// Close of the deciding bar: sizes are computed at this price.
    pub reference_price: Ticks,
    /// Protective stop.
    pub stop: Ticks,
    /// Profit target.
    pub target: Ticks,
    /// Multiplier of the decision's confidence, 0 to 1.5 (TA-30).
    pub confidence_multiplier: f64,
    /// Orchestrator's risk factor: 10000 = full base size (PO-51).
    pub risk_scale_bps: u32,
}

/// Why a trade has no size.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SizingError {
    /// The multiplier is not a number, infinite or negative.
    #[error("sizing: confidence multiplier is {0}, it must be between 0 and 1.5")]
    Multiplier(f64),
    /// The reference price is not positive.
    #[error("sizing: reference price is {0} ticks, it must be above 0")]
    Price(i64),
    /// Less than one lot. Code `quantity_below_minimum` (TA-G8).
    #[error("sizing: {wanted} of notional is less than one lot ({lot}): raise baseNotional or use a smaller lot")]
    BelowMinimum {
        /// Notional that was wanted.
        wanted: Money,
        /// Notional of one lot.
        lot: Money,
    },
    /// Stop or target is on the wrong side of the reference price.
    #[error("sizing: {side:?} at {reference} ticks needs stop and target around it, seen stop {stop} and target {target}")]
    Guard {
        /// Direction wanted.
        side: Side,
        /// Reference price.
        reference: i64,
        /// Stop seen.
        stop: i64,
        /// Target seen.
        target: i64,
    },
}

impl SizingError {
    /// Code for ledgers and replies; a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Multiplier(_) => "invalid_multiplier",
            Self::Price(_) => "invalid_price",
            Self::BelowMinimum { .. } => "quantity_below_minimum",
            Self::Guard { .. } => "invalid_protection",
        }
    }
}

/// Size of a trade in lots (above 0): `base_notional x multiplier x risk scale`, rounded down to the lot (TA-30).
///
/// The multiplier is cut to millionths first, so that everything after it is integer arithmetic. A risk
/// scale above 10000 counts as 10000: the orchestrator may only tighten.
///
/// # Errors
/// [`SizingError`] when an input is unusable or less than one lot remains.
pub fn lots(base_notional: Money, instrument: &Instrument, intent: &TradeIntent) -> Result<Lots, SizingError> {
    let multiplier = intent.confidence_multiplier;
    if !(multiplier.is_finite() && multiplier >= 0.0) {
        return Err(SizingError::Multiplier(multiplier));
    }
    let reference = intent.reference_price;
    if reference.0 <= 0 {
        return Err(SizingError::Price(reference.0));
    }
    let (near, far) = match intent.side {
        Side::Long => (intent.stop, intent.target),
        Side::Short => (intent.target, intent.stop),
    };
    if !(Ticks(0) < near && near < reference && reference < far) {
        let (stop, target) = (intent.stop.0, intent.target.0);
        return Err(SizingError::Guard { side: intent.side, reference: reference.0, stop, target });
    }
    #[allow(clippy::cast_possible_truncation)] // at most 1.5e6
    let millionths = (multiplier.min(MAX_CONFIDENCE_MULTIPLIER) * 1e6).floor() as i128;
    let scale = i128::from(intent.risk_scale_bps.min(10_000));
    let wanted = Money::from_nanos(base_notional.nanos() * millionths / 1_000_000 * scale / 10_000);
    let lot = instrument.notional(Lots(1), reference);
    let count = i64::try_from(wanted.nanos() / lot.nanos().max(1)).unwrap_or(0);
    if count < 1 { Err(SizingError::BelowMinimum { wanted, lot }) } else { Ok(Lots(count)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::instrument::Symbol;

    fn spx() -> Instrument {
        let amount = |t: &str| t.parse::<Money>().unwrap();
        Instrument::new(Symbol::try_from("SPX".to_owned()).unwrap(), amount("0.01"), amount("1"), amount("1")).unwrap()
    }

    fn intent(multiplier: f64, scale: u32) -> TradeIntent {
        TradeIntent {
            side: Side::Long,
            reference_price: Ticks(125_000),
            stop: Ticks(120_000),
            target: Ticks(132_500),
            confidence_multiplier: multiplier,
            risk_scale_bps: scale,
        }
    }

    #[test]
    fn sizes_round_down_to_the_lot() {
        let base = Money::from_units(100_000);
        assert_eq!(lots(base, &spx(), &intent(1.0, 10_000)), Ok(Lots(80)));
        assert_eq!(lots(base, &spx(), &intent(0.8125, 10_000)), Ok(Lots(65)));
        assert_eq!(lots(base, &spx(), &intent(0.999, 3_000)), Ok(Lots(23)));
        assert_eq!(lots(base, &spx(), &intent(9.0, 20_000)), Ok(Lots(120)), "neither factor may exceed its bound");
    }

    #[test]
    fn less_than_a_lot_is_no_trade() {
        // TA-G8
        let small = lots(Money::from_units(1_249), &spx(), &intent(1.0, 10_000)).unwrap_err();
        assert_eq!(small.code(), "quantity_below_minimum");
        assert_eq!(lots(Money::from_units(1_250), &spx(), &intent(1.0, 10_000)), Ok(Lots(1)));
        assert_eq!(lots(Money::from_units(100_000), &spx(), &intent(1.0, 0)).unwrap_err().code(), "quantity_below_minimum");
    }

    #[test]
    fn what_is_no_figure_has_no_size() {
        let base = Money::from_units(100_000);
        for wrong in [f64::NAN, f64::INFINITY, -0.1] {
            assert!(matches!(lots(base, &spx(), &intent(wrong, 10_000)), Err(SizingError::Multiplier(_))));
        }
        let mut inverted = intent(1.0, 10_000);
        inverted.side = Side::Short;
        assert_eq!(lots(base, &spx(), &inverted).unwrap_err().code(), "invalid_protection");
        let mut unprotected = intent(1.0, 10_000);
        unprotected.stop = Ticks(0);
        assert_eq!(lots(base, &spx(), &unprotected).unwrap_err().code(), "invalid_protection");
    }
}
