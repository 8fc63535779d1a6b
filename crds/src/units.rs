//! Units at the edge: exact decimals and durations as people write them. No floats.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pattern of a [`Decimal`] written as text.
pub const DECIMAL_PATTERN: &str = r"^[0-9]{1,15}(\.[0-9]{1,9})?$";
/// Pattern of a [`DurationText`].
pub const DURATION_PATTERN: &str = r"^([0-9]{1,6}(ms|s|m|h))+$";

/// A decimal of zero or more with at most fifteen digits before and nine after the point.
///
/// Written as text (`"0.01"`) or as an integer (`250000`); serialised as text in its shortest form,
/// so that `"1.0"` and `1` are the same value and give the same bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

/// Why a text is not a [`Decimal`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a decimal: write up to 15 digits, optionally a point and up to 9 decimals, for example \"250000\" or \"0.01\""
)]
pub struct ParseDecimalError(pub String);

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// From whole units.
    #[must_use]
    pub const fn from_units(units: u32) -> Self {
        Self(units as i128 * 1_000_000_000)
    }

    /// From nano units (1e-9); negative values are cut to zero.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(if nanos < 0 { 0 } else { nanos })
    }

    /// Nano units (1e-9), the same scale as the account's money.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// Whether the value is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// For statistics and display; comparisons of money stay in nano units.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{units}");
        }
        let digits = format!("{nanos:09}");
        write!(f, "{units}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseDecimalError(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |part: &str, max: usize| (1..=max).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole, 15) || !plain(fraction, 9) {
            return Err(wrong());
        }
        let units: i128 = whole.parse().map_err(|_| wrong())?;
        let nanos: i128 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
        Ok(Self(units * 1_000_000_000 + nanos))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum IntOrText {
            Int(u64),
            Text(String),
        }
        let text = match IntOrText::deserialize(deserializer)? {
            IntOrText::Int(int) => int.to_string(),
            IntOrText::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": DECIMAL_PATTERN,
            "minimum": 0,
            "maximum": 999_999_999_999_999_i64,
        })
    }
}

/// A span of time as people write it: `500ms`, `30s`, `10m`, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(i64);

/// Why a text is not a [`DurationText`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a duration: write numbers with ms, s, m or h, for example \"30s\" or \"1h30m\"")]
pub struct ParseDurationError(pub String);

impl DurationText {
    /// From milliseconds; negative values are cut to zero.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// From seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_millis(secs * 1_000)
    }

    /// Milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Nanoseconds, the scale of event time.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0 * 1_000_000
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl FromStr for DurationText {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseDurationError(text.to_owned());
        let (mut rest, mut total) = (text, 0_i64);
        if text.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=6).contains(&digits) {
                return Err(wrong());
            }
            let (number, tail) = rest.split_at(digits);
            let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
            let Some((unit, millis)) = units.into_iter().find(|(unit, _)| tail.starts_with(unit)) else {
                return Err(wrong());
            };
            total += number.parse::<i64>().map_err(|_| wrong())? * millis;
            rest = &tail[unit.len()..];
        }
        Ok(Self(total))
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION_PATTERN, "maxLength": 24 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spelling_of_a_decimal_does_not_matter() {
        let from = |json: &str| serde_json::from_str::<Decimal>(json).unwrap();
        assert_eq!(from("\"1.0\""), from("1"));
        assert_eq!(serde_json::to_string(&from("\"0.010\"")).unwrap(), "\"0.01\"");
        assert_eq!(from("\"250000\"").nanos(), 250_000_000_000_000);
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-1", "+1", ".5", "5.", "1e3", "NaN", "1,5", "0.0000000001", "1000000000000000"] {
            assert!(text.parse::<Decimal>().is_err(), "{text} was accepted");
        }
        assert!(serde_json::from_str::<Decimal>("1.5").is_err(), "a float was accepted");
    }

    #[test]
    fn durations_read_as_people_write_them() {
        let millis = |text: &str| text.parse::<DurationText>().map(DurationText::millis);
        assert_eq!(millis("15m"), Ok(900_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("250ms"), Ok(250));
        for text in ["", "5", "5d", "-5s", "s", "1.5s", "5 s"] {
            assert!(millis(text).is_err(), "{text} was accepted");
        }
    }

    proptest! {
        #[test]
        fn decimals_survive_the_round_trip(nanos in 0_i128..1_000_000_000_000_000_000_000_000) {
            let decimal = Decimal::from_nanos(nanos);
            prop_assert_eq!(decimal.to_string().parse::<Decimal>(), Ok(decimal));
        }

        #[test]
        fn durations_survive_the_round_trip(millis in 0_i64..3_600_000_000) {
            let span = DurationText::from_millis(millis);
            prop_assert_eq!(span.to_string().parse::<DurationText>(), Ok(span));
        }
    }
}
