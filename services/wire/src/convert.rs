//! Domain values to messages and back. What comes from outside is checked here, once.

use tradewind_core::bar::{Bar, BarError};
use tradewind_core::instrument::{Instrument, InstrumentError, Symbol};
use tradewind_core::money::{Money, NANOS_PER_UNIT};
use tradewind_core::time::Nanos;

use crate::v1;

/// Why a message cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// A field that must be there is not.
    #[error("message {message}: field '{field}' is missing")]
    Missing {
        /// Kind of message.
        message: &'static str,
        /// Its field.
        field: &'static str,
    },
    /// Units and nanos contradict each other or do not fit.
    #[error("money: units {units} and nanos {nanos} must have one sign and nanos lie within 999999999")]
    Money {
        /// Units seen.
        units: i64,
        /// Nanos seen.
        nanos: i32,
    },
    /// An amount has more units than a message can carry.
    #[error("money: {0} is beyond what a message carries (64-bit units)")]
    MoneyRange(Money),
    /// The bar belongs to another instrument.
    #[error("bar of '{found}' was given to instrument '{wanted}'")]
    Symbol {
        /// Symbol of the bar.
        found: String,
        /// Symbol wanted.
        wanted: Symbol,
    },
    /// A price of the domain is beyond what a message carries.
    #[error("bar {index} of {symbol}: {ticks} ticks are beyond what a message carries (64-bit nanos)")]
    PriceRange {
        /// Symbol of the bar.
        symbol: Symbol,
        /// Number of the bar.
        index: u64,
        /// Price seen.
        ticks: i64,
    },
    /// No market produces such a bar.
    #[error(transparent)]
    Bar(#[from] BarError),
    /// The symbol is not one.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
}

/// A field of a message that must be there.
///
/// # Errors
/// [`ConvertError::Missing`].
pub fn required<T>(value: Option<T>, message: &'static str, field: &'static str) -> Result<T, ConvertError> {
    value.ok_or(ConvertError::Missing { message, field })
}

/// An amount as message.
///
/// # Errors
/// [`ConvertError::MoneyRange`] beyond 64-bit units.
pub fn money_to_wire(amount: Money) -> Result<v1::Money, ConvertError> {
    let (units, nanos) = (amount.nanos() / NANOS_PER_UNIT, amount.nanos() % NANOS_PER_UNIT);
    match (i64::try_from(units), i32::try_from(nanos)) {
        (Ok(units), Ok(nanos)) => Ok(v1::Money { units, nanos }),
        _ => Err(ConvertError::MoneyRange(amount)),
    }
}

/// An amount from a message.
///
/// # Errors
/// [`ConvertError::Money`] when signs differ or nanos are a unit or more.
pub fn money_from_wire(message: v1::Money) -> Result<Money, ConvertError> {
    let v1::Money { units, nanos } = message;
    let one_sign = units.signum() * i64::from(nanos.signum()) >= 0;
    if one_sign && nanos.unsigned_abs() < 1_000_000_000 {
        Ok(Money::from_nanos(i128::from(units) * NANOS_PER_UNIT + i128::from(nanos)))
    } else {
        Err(ConvertError::Money { units, nanos })
    }
}

/// A bar in the ticks of its instrument. Recorded prices round to the nearest tick, which keeps
/// low, open, close and high in order.
///
/// # Errors
/// [`ConvertError::Symbol`] for a bar of another instrument, [`ConvertError::Bar`] for figures no
/// market produces.
pub fn bar_from_wire(message: &v1::Bar, instrument: &Instrument) -> Result<Bar, ConvertError> {
    if message.symbol != instrument.symbol.as_str() {
        return Err(ConvertError::Symbol { found: message.symbol.clone(), wanted: instrument.symbol.clone() });
    }
    let ticks = |nanos| instrument.ticks_from_nanos(nanos);
    let bar = Bar {
        index: message.index,
        open_time: Nanos(message.open_time_ns),
        close_time: Nanos(message.close_time_ns),
        open: ticks(message.open_nanos),
        high: ticks(message.high_nanos),
        low: ticks(message.low_nanos),
        close: ticks(message.close_nanos),
        volume: message.volume,
    };
    bar.validate()?;
    Ok(bar)
}

/// A bar as message.
///
/// # Errors
/// [`ConvertError::PriceRange`] when a price does not fit 64-bit nanos.
pub fn bar_to_wire(bar: &Bar, instrument: &Instrument) -> Result<v1::Bar, ConvertError> {
    let nanos = |price: tradewind_core::instrument::Ticks| {
        let wrong = || ConvertError::PriceRange { symbol: instrument.symbol.clone(), index: bar.index, ticks: price.0 };
        i64::try_from(i128::from(price.0) * instrument.tick.nanos()).map_err(|_| wrong())
    };
    Ok(v1::Bar {
        symbol: instrument.symbol.to_string(),
        index: bar.index,
        open_time_ns: bar.open_time.0,
        close_time_ns: bar.close_time.0,
        open_nanos: nanos(bar.open)?,
        high_nanos: nanos(bar.high)?,
        low_nanos: nanos(bar.low)?,
        close_nanos: nanos(bar.close)?,
        volume: bar.volume,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn instrument() -> Instrument {
        let amount = |text: &str| text.parse::<Money>().unwrap();
        Instrument::new(Symbol::try_from("SPX".to_owned()).unwrap(), amount("0.01"), amount("1"), amount("1")).unwrap()
    }

    fn message() -> v1::Bar {
        v1::Bar {
            symbol: "SPX".into(),
            index: 7,
            open_time_ns: 0,
            close_time_ns: 86_400_000_000_000,
            open_nanos: 1_229_229_980_000,
            high_nanos: 1_248_810_059_000,
            low_nanos: 1_219_099_976_000,
            close_nanos: 1_228_099_976_000,
            volume: 877_000_000.0,
        }
    }

    #[test]
    fn amounts_survive_and_contradictions_are_refused() {
        for nanos in [0, 12_500_000_000, -1, -250_000_750_000_000, i128::from(i64::MAX) * NANOS_PER_UNIT + 999_999_999] {
            let amount = Money::from_nanos(nanos);
            assert_eq!(money_from_wire(money_to_wire(amount).unwrap()).unwrap(), amount);
        }
        for (units, nanos) in [(1, -1), (-1, 1), (0, 1_000_000_000), (5, i32::MIN), (0, -1_000_000_000)] {
            assert_eq!(money_from_wire(v1::Money { units, nanos }), Err(ConvertError::Money { units, nanos }));
        }
        let beyond = Money::from_nanos((i128::from(i64::MAX) + 1) * NANOS_PER_UNIT);
        assert_eq!(money_to_wire(beyond), Err(ConvertError::MoneyRange(beyond)));
    }

    #[test]
    fn a_bar_becomes_ticks_and_a_rounded_bar_survives_the_way_back() {
        let bar = bar_from_wire(&message(), &instrument()).unwrap();
        assert_eq!((bar.open.0, bar.high.0, bar.low.0, bar.close.0), (122_923, 124_881, 121_910, 122_810));
        let back = bar_to_wire(&bar, &instrument()).unwrap();
        assert_eq!(back.open_nanos, 1_229_230_000_000);
        assert_eq!(bar_from_wire(&back, &instrument()).unwrap(), bar);
    }

    #[test]
    fn bars_of_others_and_impossible_bars_are_refused() {
        let other = v1::Bar { symbol: "IXIC".into(), ..message() };
        assert!(matches!(bar_from_wire(&other, &instrument()), Err(ConvertError::Symbol { .. })));
        for wrong in [
            v1::Bar { volume: f64::NAN, ..message() },
            v1::Bar { low_nanos: 0, ..message() },
            v1::Bar { high_nanos: 1, ..message() },
            v1::Bar { close_time_ns: -1, ..message() },
        ] {
            assert!(matches!(bar_from_wire(&wrong, &instrument()), Err(ConvertError::Bar(_))), "{wrong:?}");
        }
    }
}
