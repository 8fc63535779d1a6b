//! Money as an integer of nano units of the account currency.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nano units in one unit of currency.
pub const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// An amount of the account currency in nano units (1e-9). Never a float.
///
/// Serialised as a decimal string (`"-12.5"`), so that JSON readers cannot lose digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a decimal amount: write digits with at most nine decimals, for example \"250000\" or \"0.01\"")]
pub struct ParseMoneyError(pub String);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// From nano units.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// From whole units of currency.
    #[must_use]
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128 * NANOS_PER_UNIT)
    }

    /// Nano units.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// Absolute value.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// `self * bps / 10_000`, rounded toward negative infinity.
    #[must_use]
    pub const fn bps(self, bps: i64) -> Self {
        Self((self.0 * bps as i128).div_euclid(10_000))
    }

    /// `self / whole` in basis points, rounded toward negative infinity; `None` when `whole` is not positive.
    #[must_use]
    pub fn ratio_bps(self, whole: Self) -> Option<i64> {
        (whole.0 > 0).then(|| i64::try_from((self.0 * 10_000).div_euclid(whole.0)).ok())?
    }

    /// For display and statistics only; decisions on money stay in integers.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_UNIT as f64
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (units, nanos) = (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{sign}{units}");
        }
        let digits = format!("{nanos:09}");
        write!(f, "{sign}{units}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseMoneyError(text.to_owned());
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || fraction.len() > 9 || whole.len() > 18 {
            return Err(wrong());
        }
        let units: i128 = whole.parse().map_err(|_| wrong())?;
        let nanos: i128 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
        Ok(Self(sign * (units * NANOS_PER_UNIT + nanos)))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_the_round_trip() {
        for text in ["0", "250000", "-0.01", "1000000.000000001", "12.5"] {
            assert_eq!(text.parse::<Money>().map(|m| m.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-", "1e6", "1,000", ".5", "5.", "0.0000000001", "NaN", "+1", "--1", "9999999999999999999"] {
            assert!(text.parse::<Money>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn ratios_round_down_and_refuse_a_whole_that_is_not_positive() {
        assert_eq!(Money::from_units(-1).ratio_bps(Money::from_units(3)), Some(-3334));
        assert_eq!(Money::from_units(1).ratio_bps(Money::ZERO), None);
    }
}
