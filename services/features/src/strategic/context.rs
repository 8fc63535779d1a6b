//! Six values that every agent sees beside its own features.

use tradewind_core::time::{NANOS_PER_DAY, Nanos};

use super::degraded::Degraded;

/// Values in the shared context.
pub const CONTEXT: usize = 6;
/// Volatility ratios outside are held at the border (ST-12).
const VOLATILITY_RANGE: [f64; 2] = [0.01, 100.0];
const NANOS_PER_HOUR: i64 = 3_600_000_000_000;

/// Shared context of a decision (ST-10).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedContext {
    /// Confidence and direction of the synergy, `ln` of the volatility ratio, sine and cosine of the hour, weekday.
    pub values: [f64; CONTEXT],
    /// The volatility that was used.
    pub volatility: f64,
    /// A volatility that had to be replaced.
    pub degraded: Degraded,
}

impl SharedContext {
    /// Context of a decision at a bar's close: hour and weekday are those of the event in UTC (ST-11, SU-50).
    ///
    /// `synergy` is confidence and direction; without one both are 0. `volatility` is the ratio itself, not the
    /// column of the matrix; absent it is 1, and what is not finite or not above 0 counts as 1 and degrades (ST-12).
    #[must_use]
    pub fn new(synergy: Option<(f64, i8)>, volatility: Option<f64>, close_time: Nanos) -> Self {
        let (confidence, direction) = synergy.unwrap_or((0.0, 0));
        let given = volatility.unwrap_or(1.0);
        let bad_volatility = !(given.is_finite() && given > 0.0);
        let volatility = if bad_volatility { 1.0 } else { given.clamp(VOLATILITY_RANGE[0], VOLATILITY_RANGE[1]) };
        let [sine, cosine] = day_circle(whole_hour(close_time));
        let values = [confidence, f64::from(direction), libm::log(volatility), sine, cosine, weekday(close_time) / 6.0];
        Self { values, volatility, degraded: Degraded { bad_volatility, ..Degraded::default() } }
    }
}

/// Sine and cosine of an hour of the day, 0 to 24 (ST-8, ST-10).
#[must_use]
pub fn day_circle(hour: f64) -> [f64; 2] {
    let angle = std::f64::consts::TAU * hour / 24.0;
    [libm::sin(angle), libm::cos(angle)]
}

/// Hour of the day with its fraction, UTC (ST-8).
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub const fn fractional_hour(time: Nanos) -> f64 {
    time.0.rem_euclid(NANOS_PER_DAY) as f64 / NANOS_PER_HOUR as f64
}

/// Hour of the day without its fraction, UTC (ST-10).
#[allow(clippy::cast_precision_loss)]
const fn whole_hour(time: Nanos) -> f64 {
    (time.0.rem_euclid(NANOS_PER_DAY) / NANOS_PER_HOUR) as f64
}

/// Monday 0 to Sunday 6, UTC (ST-10). Day 0 of the era was a Thursday.
#[allow(clippy::cast_precision_loss)]
const fn weekday(time: Nanos) -> f64 {
    (time.utc_day() + 3).rem_euclid(7) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use std::f64::consts::{FRAC_1_SQRT_2, LN_10};

    use super::*;

    /// 2025-01-06 00:00 UTC, a Monday.
    const MONDAY: i64 = 1_736_121_600_000_000_000;

    fn at(day: i64, minutes: i64) -> Nanos {
        Nanos(MONDAY + day * NANOS_PER_DAY + minutes * 60_000_000_000)
    }

    fn near(seen: &[f64], wanted: &[f64]) {
        assert_eq!(seen.len(), wanted.len());
        seen.iter().zip(wanted).for_each(|(s, w)| assert!((s - w).abs() < 1e-8, "{seen:?} instead of {wanted:?}"));
    }

    /// ST-V13 (second part), SU-V9: at 14:00 and at 14:30, because the hour is whole.
    #[test]
    fn context_of_a_wednesday_afternoon() {
        for minutes in [840, 870] {
            let context = SharedContext::new(Some((0.8, 1)), Some(1.2), at(2, minutes));
            near(&context.values, &[0.8, 1.0, 0.182_321_556_8, -0.5, -0.866_025_403_8, 0.333_333_333_3]);
            assert!(!context.degraded.any());
        }
        near(&day_circle(0.0), &[0.0, 1.0]);
        near(&day_circle(23.0), &[-0.258_819_045_1, 0.965_925_826_3]);
    }

    /// ST-V14, second part; ST-11: UTC, Sunday is 6.
    #[test]
    fn hours_and_weekdays() {
        near(&day_circle(fractional_hour(at(0, 540))), &[FRAC_1_SQRT_2, -FRAC_1_SQRT_2]);
        assert_eq!(fractional_hour(at(5, 90)), 1.5);
        assert_eq!((weekday(at(0, 0)), weekday(at(6, 1439)), weekday(Nanos(-1))), (0.0, 6.0, 2.0));
    }

    /// ST-12, SU-122, SU-V9 (last figures): the guard of the volatility.
    #[test]
    fn volatility_is_guarded() {
        let of = |volatility| SharedContext::new(None, volatility, at(0, 0));
        near(&of(None).values[..3], &[0.0; 3]);
        assert!(!of(None).degraded.any());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!((of(Some(bad)).values[2], of(Some(bad)).degraded.bad_volatility), (0.0, true), "{bad}");
        }
        for (given, wanted) in [(10.0, LN_10), (0.01, -4.605_170_186), (1e-9, -4.605_170_186), (1e9, 4.605_170_186)] {
            near(&[of(Some(given)).values[2]], &[wanted]);
            assert!(!of(Some(given)).degraded.any());
        }
    }
}
