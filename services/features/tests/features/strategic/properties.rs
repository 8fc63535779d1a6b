//! Whatever finite bars come: finite rows within their ranges. What is not finite is refused by name.

use proptest::prelude::*;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::synergy::SignalSource;
use tradewind_features::strategic::{
    BarClock, COLUMNS, Candle, CandleError, CheckedMatrix, MatrixPolicy, MmdConfig, SCHEMA, SharedContext, StrategicConfig,
    StrategicFeatureError, StrategicFeatures, SynergyConfig, VolatilityConfig,
};

use crate::recorded::MINUTE;
use crate::series::generated;

/// Short samples, so that a row exists after 59 bars.
fn short_config() -> StrategicConfig {
    StrategicConfig {
        mmd: MmdConfig { recent: 4, reference: 12, volume_bars: 3 },
        volatility: VolatilityConfig { bars: 30, median_bars: 20 },
        ..StrategicConfig::default()
    }
}

fn state() -> StrategicFeatures {
    StrategicFeatures::new(&short_config(), BarClock::default()).unwrap()
}

/// What is chosen of one bar: relative step, wicks, volume, missing bars.
type Choice = (f64, f64, f64, f64, i64);

fn bars(scale: f64, choices: &[Choice]) -> Vec<Candle> {
    let (mut close, mut time) = (scale, 0);
    let bar = |(index, (step, above, below, volume, missing)): (u64, &Choice)| {
        let open = close;
        close = (close * step).clamp(1e-8, 1e9);
        time += 30 * MINUTE * (1 + missing);
        let high = (open.max(close) * (1.0 + above)).min(1e10);
        Candle { index, close_time: Nanos(time), open, high, low: open.min(close) * (1.0 - below), close, volume: *volume }
    };
    (0..).zip(choices).map(bar).collect()
}

/// Calm, flat and wild markets; volumes of every size and none; holes.
fn choices(length: usize) -> impl Strategy<Value = Vec<Choice>> {
    let step = prop_oneof![6 => 0.98..1.02_f64, 3 => Just(1.0), 1 => 1e-3..1e3_f64];
    let wick = || prop_oneof![2 => 0.0..0.02_f64, 2 => Just(0.0), 1 => 0.0..0.9_f64];
    let volume = prop_oneof![4 => 1.0..1e6_f64, 2 => Just(0.0), 1 => 0.0..1e-12_f64, 1 => 1e15..1e24_f64];
    let missing = prop_oneof![96 => Just(0_i64), 2 => Just(1), 2 => 2..=48_i64];
    prop::collection::vec((step, wick(), wick(), volume, missing), length)
}

fn check(bars: &[Candle]) -> Result<(), TestCaseError> {
    let mut state = state();
    let mut source = SignalSource::new(SynergyConfig::default());
    for bar in bars {
        let snapshot = *state.push(bar).unwrap();
        let Some(row) = snapshot.row else { continue };
        for ((column, value), [least, most]) in row.into_iter().enumerate().zip(SCHEMA.ranges) {
            prop_assert!((least..=most).contains(&value), "bar {}, column {column} is {value}", bar.index);
        }
        prop_assert!([-1.0, 0.0, 1.0].contains(&row[1]));
        for signal in source.push(&snapshot).into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&signal.strength()));
        }
        let ratio = snapshot.readings.volatility.map(|volatility| volatility.ratio);
        let context = SharedContext::new(Some((1.0, -1)), ratio, bar.close_time);
        prop_assert!(context.values.iter().all(|value| value.is_finite()));
        if let Some(matrix) = state.matrix(bar.index) {
            let checked = CheckedMatrix::new(matrix.as_flattened(), COLUMNS, MatrixPolicy::default()).unwrap();
            prop_assert!(!checked.degraded().any());
        }
    }
    prop_assert!(state.matrix(bars.len() as u64 - 1).is_some(), "no matrix was seen");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// ST-8, ST-148: bounded and finite from 1e-8 to 1e9, with flat prices, zero volume and gaps.
    #[test]
    fn rows_stay_within_their_ranges(exponent in -8_i32..=9, choices in choices(140)) {
        check(&bars(10_f64.powi(exponent), &choices))?;
    }

    /// Independent prices over the whole range from bar to bar: nothing overflows.
    #[test]
    fn wild_bars_stay_finite(prices in prop::collection::vec((-8.0..9.0_f64, -8.0..9.0_f64, -8.0..9.0_f64), 140), volume in 0.0..1e24_f64) {
        let bar = |(index, (a, b, c)): (u64, &(f64, f64, f64))| {
            let [a, b, c] = [a, b, c].map(|exponent| 10_f64.powf(*exponent));
            let (low, high) = (a.min(b).min(c), a.max(b).max(c));
            Candle { index, close_time: Nanos(index as i64 * 30 * MINUTE), open: a, high, low, close: c, volume }
        };
        check(&(0..).zip(&prices).map(bar).collect::<Vec<_>>())?;
    }

    /// ST-19: NaN and infinity in any field of any bar are refused by name; the state does not notice.
    #[test]
    fn what_is_not_finite_is_refused(at in 1_usize..130, field in 0_usize..5, kind in 0_usize..3) {
        let bars = generated(140);
        let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][kind];
        let name = ["open", "high", "low", "close", "volume"][field];
        let mut spoilt = bars[at];
        *[&mut spoilt.open, &mut spoilt.high, &mut spoilt.low, &mut spoilt.close, &mut spoilt.volume][field] = bad;
        let (mut plain, mut tried) = (state(), state());
        for (t, bar) in bars.iter().enumerate() {
            if t == at {
                let refused = tried.push(&spoilt).unwrap_err();
                let named = matches!(refused, StrategicFeatureError::Candle(CandleError::NotFinite { field, index, .. })
                    if field == name && index == at as u64);
                prop_assert!(named, "{refused}");
                prop_assert_eq!(refused.to_string(), format!("bar {at}: {name} is {bad}, it must be finite"));
            }
            prop_assert_eq!(tried.push(bar).unwrap(), plain.push(bar).unwrap());
        }
    }

    /// Repeated bars, bars out of order and bars that do not move on in time are refused; the state does not notice.
    #[test]
    fn duplicates_and_disorder_are_refused(choices in choices(80), at in 2_usize..79, back in 1_usize..3) {
        let bars = bars(100.0, &choices);
        let (mut plain, mut tried) = (state(), state());
        for (t, bar) in bars.iter().enumerate() {
            if t == at {
                let expected = t as u64;
                let again = tried.push(&bars[t - back]).unwrap_err();
                prop_assert_eq!(again, StrategicFeatureError::Order { expected, found: expected - back as u64 });
                let ahead = tried.push(&Candle { index: expected + 1, ..*bar }).unwrap_err();
                prop_assert_eq!(ahead, StrategicFeatureError::Order { expected, found: expected + 1 });
                let before = bars[t - 1].close_time;
                let stale = tried.push(&Candle { close_time: before, ..*bar }).unwrap_err();
                prop_assert_eq!(stale, StrategicFeatureError::Time { index: expected, close_time: before, before });
            }
            prop_assert_eq!(tried.push(bar).unwrap(), plain.push(bar).unwrap());
        }
    }
}

/// ST-19, ST-29, ST-32, ST-33, ST-38: a market that does not move at all has a neutral row.
#[test]
fn flat_prices_and_no_volume() {
    let flat = |index: u64| {
        let close_time = Nanos((index as i64 + 1) * 1440 * MINUTE);
        Candle { index, close_time, open: 5.0, high: 5.0, low: 5.0, close: 5.0, volume: 0.0 }
    };
    let mut state = StrategicFeatures::new(&short_config(), BarClock::Numbered).unwrap();
    for index in 0..120 {
        state.push(&flat(index)).unwrap();
    }
    let row = state.snapshot(119).unwrap().row.unwrap();
    assert!(row[2].abs() < 1e-12, "rounding of the weights: {}", row[2]);
    assert_eq!([row[0], row[1], row[3], row[4], row[5]], [0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(row[8..], [0.0; 5]);
}
