//! The time that a bar covers.

use std::fmt;
use std::str::FromStr;

const SECOND: i64 = 1_000_000_000;

/// Length of a bar in nanoseconds: 1 second to 1 day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(i64);

/// Why a text or a length is no interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interval '{0}': write a number and s, m, h or d, from 1s to 1d, for example 5m")]
pub struct IntervalError(pub String);

impl Interval {
    /// One day.
    pub const DAY: Self = Self(86_400 * SECOND);

    /// From nanoseconds; whole seconds from 1 to 86,400.
    ///
    /// # Errors
    /// [`IntervalError`] for everything else.
    pub fn from_nanos(nanos: i64) -> Result<Self, IntervalError> {
        let fine = nanos % SECOND == 0 && (SECOND..=Self::DAY.0).contains(&nanos);
        if fine { Ok(Self(nanos)) } else { Err(IntervalError(format!("{nanos} ns"))) }
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The interval that a file name states between hyphens, as in `index-SPX-1d-19990104.csv`.
    #[must_use]
    pub fn in_file_name(name: &str) -> Option<Self> {
        name.split(['-', '.', '/']).find_map(|part| part.parse().ok())
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IntervalError(text.to_owned());
        let unit = match text.bytes().last() {
            Some(b's') => SECOND,
            Some(b'm') => 60 * SECOND,
            Some(b'h') => 3_600 * SECOND,
            Some(b'd') => 86_400 * SECOND,
            _ => return Err(wrong()),
        };
        let digits = &text[..text.len() - 1];
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let count: i64 = digits.parse().map_err(|_| wrong())?;
        count.checked_mul(unit).and_then(|nanos| Self::from_nanos(nanos).ok()).ok_or_else(wrong)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / SECOND;
        let (count, unit) = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')]
            .into_iter()
            .find_map(|(size, unit)| (seconds % size == 0).then_some((seconds / size, unit)))
            .unwrap_or((seconds, 's'));
        write!(f, "{count}{unit}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn texts_and_lengths_agree() {
        for text in ["1s", "5m", "30m", "1h", "1d"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        for wrong in ["", "m", "0m", "2d", "1w", "-5m", "5 m", "99999999999999999999d", "1.5h", "é"] {
            assert!(wrong.parse::<Interval>().is_err(), "{wrong}");
        }
        assert!(Interval::from_nanos(SECOND + 1).is_err());
    }

    #[test]
    fn file_names_state_it_or_not() {
        assert_eq!(Interval::in_file_name("index-SPX-1d-19990104_20181231.csv"), Some(Interval::DAY));
        assert_eq!(Interval::in_file_name("bittrex-ETHBTC-30m-20171120.csv").unwrap().to_string(), "30m");
        assert_eq!(Interval::in_file_name("SPX.csv"), None);
    }
}
