//! What is traded: tick, lot and point value as exact integers.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// A price as an integer number of ticks of its instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticks(pub i64);

/// A signed size as an integer number of lots of its instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lots(pub i64);

/// The symbol of an instrument, 1 to 32 characters of `A-Z`, `0-9`, `.`, `_`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(String);

/// Why an instrument or symbol is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstrumentError {
    /// The symbol has a character or a length that is not allowed.
    #[error("symbol '{0}': use 1 to 32 characters of A-Z, 0-9, '.', '_' or '-'")]
    Symbol(String),
    /// A size that must be positive is not.
    #[error("{symbol}: {field} is {value}, it must be above 0")]
    NotPositive {
        /// Symbol of the instrument.
        symbol: String,
        /// Field that is wrong.
        field: &'static str,
        /// The value seen.
        value: String,
    },
    /// One tick of one lot is worth less than a nano unit, so that profits could not be exact.
    #[error(
        "{symbol}: tick x lot x pointValue = one tick of one lot must be a whole number of 0.000000001, use a larger tick or lot"
    )]
    TickValue {
        /// Symbol of the instrument.
        symbol: String,
    },
}

impl Symbol {
    /// The symbol as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Symbol {
    type Error = InstrumentError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fine = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        if (1..=32).contains(&text.len()) && text.bytes().all(fine) { Ok(Self(text)) } else { Err(InstrumentError::Symbol(text)) }
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0
    }
}

impl std::fmt::Display for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One tradable instrument; all conversions between the outside and integers happen here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Symbol, unique within a policy.
    pub symbol: Symbol,
    /// Smallest price step, in price units.
    pub tick: Money,
    /// Smallest size step, in units of the instrument.
    pub lot: Money,
    /// Money per price unit and unit of the instrument.
    pub point_value: Money,
}

impl Instrument {
    /// Checks that every figure is positive and that profits are exact integers.
    ///
    /// # Errors
    /// [`InstrumentError`] names the first field that is wrong.
    pub fn new(symbol: Symbol, tick: Money, lot: Money, point_value: Money) -> Result<Self, InstrumentError> {
        for (field, value) in [("tick", tick), ("lot", lot), ("pointValue", point_value)] {
            if value <= Money::ZERO {
                return Err(InstrumentError::NotPositive { symbol: symbol.to_string(), field, value: value.to_string() });
            }
        }
        let product = tick.nanos().checked_mul(lot.nanos()).and_then(|value| value.checked_mul(point_value.nanos()));
        match product {
            Some(product) if product % 1_000_000_000_000_000_000 == 0 => Ok(Self { symbol, tick, lot, point_value }),
            _ => Err(InstrumentError::TickValue { symbol: symbol.to_string() }),
        }
    }

    /// Money that one lot gains when the price rises by one tick.
    #[must_use]
    pub const fn tick_value(&self) -> Money {
        Money::from_nanos(self.tick.nanos() * self.lot.nanos() * self.point_value.nanos() / 1_000_000_000_000_000_000)
    }

    /// Value of `size` at `price`; negative for a short size. Figures beyond every market end at 10^32 nano units, far
    /// above any limit, so that no sum of them can overflow.
    #[must_use]
    pub const fn notional(&self, size: Lots, price: Ticks) -> Money {
        const MOST: i128 = 100_000_000_000_000_000_000_000_000_000_000;
        let value = self.tick_value().nanos().saturating_mul(size.0 as i128).saturating_mul(price.0 as i128);
        Money::from_nanos(if value > MOST {
            MOST
        } else if value < -MOST {
            -MOST
        } else {
            value
        })
    }

    /// The nearest tick to a price in nano units; ties away from zero.
    #[must_use]
    pub fn ticks_from_nanos(&self, price_nanos: i64) -> Ticks {
        let (price, tick) = (i128::from(price_nanos), self.tick.nanos());
        let rounded = (2 * price.abs() + tick) / (2 * tick) * price.signum();
        Ticks(i64::try_from(rounded).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spx() -> Instrument {
        let amount = |t: &str| t.parse::<Money>().unwrap_or_default();
        Instrument::new(Symbol("SPX".into()), amount("0.01"), amount("1"), amount("1")).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn one_tick_of_one_lot_is_exact() {
        assert_eq!(spx().tick_value().to_string(), "0.01");
        assert_eq!(spx().notional(Lots(-3), Ticks(122_923)).to_string(), "-3687.69");
    }

    #[test]
    fn recorded_prices_round_to_the_nearest_tick() {
        assert_eq!(spx().ticks_from_nanos(1_229_229_980_000), Ticks(122_923));
        assert_eq!(spx().ticks_from_nanos(5_000_000), Ticks(1));
    }

    #[test]
    fn inexact_tick_values_are_refused() {
        let amount = |t: &str| t.parse::<Money>().unwrap_or_default();
        let wrong = Instrument::new(Symbol("X".into()), amount("0.00001"), amount("0.00001"), amount("1"));
        assert!(matches!(wrong, Err(InstrumentError::TickValue { .. })));
    }
}
