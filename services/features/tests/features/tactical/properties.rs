//! Whatever bars come: finite rows within their ranges. What is not finite is refused by name.

use proptest::prelude::*;
use tradewind_core::bar::{Bar, BarError};
use tradewind_core::instrument::Ticks;
use tradewind_core::time::Nanos;
use tradewind_features::tactical::{FeatureError, FeatureState, SCHEMA, TacticalConfig, WARM_UP_BARS, check_matrix};

use crate::recorded::MINUTE;

fn state() -> FeatureState {
    FeatureState::new(&TacticalConfig::default())
}

fn bar(index: u64, [open, high, low, close]: [i64; 4], volume: f64) -> Bar {
    let close_time = Nanos((index as i64 + 1) * 5 * MINUTE);
    let [open, high, low, close] = [open, high, low, close].map(Ticks);
    Bar { index, open_time: Nanos(close_time.0 - 5 * MINUTE), close_time, open, high, low, close, volume }
}

/// What is chosen of one bar: relative step, wicks, volume.
type Choice = (f64, f64, f64, f64);

/// Calm, flat and wild markets; volumes of every size and none.
fn choices(length: usize) -> impl Strategy<Value = Vec<Choice>> {
    let step = prop_oneof![6 => 0.98..1.02_f64, 3 => Just(1.0), 1 => 1e-3..1e3_f64];
    let wick = || prop_oneof![2 => 0.0..0.02_f64, 2 => Just(0.0), 1 => 0.0..0.9_f64];
    let volume = prop_oneof![4 => 1.0..1e6_f64, 2 => Just(0.0), 1 => 0.0..1e-300_f64, 1 => 1e300..f64::MAX];
    prop::collection::vec((step, wick(), wick(), volume), length)
}

/// Bars in ticks of 1e-8 for prices around `price`, within 1e-8 and 1e9.
fn bars(price: f64, choices: &[Choice]) -> Vec<Bar> {
    let most = 1e17;
    let mut close = (price * 1e8).clamp(1.0, most);
    let one = |(index, (step, above, below, volume)): (u64, &Choice)| {
        let open = close;
        close = (close * step).clamp(1.0, most);
        let high = (open.max(close) * (1.0 + above)).min(most);
        let low = (open.min(close) * (1.0 - below)).max(1.0);
        bar(index, [open as i64, high.ceil() as i64, low as i64, close as i64], *volume)
    };
    (0..).zip(choices).map(one).collect()
}

fn check(bars: &[Bar]) -> Result<(), TestCaseError> {
    let mut state = state();
    for bar in bars {
        state.push(bar).unwrap();
        let snapshot = state.snapshot(bar.index).unwrap();
        prop_assert!(snapshot.atr_ticks.is_none_or(|atr| atr.is_finite() && atr >= 0.0));
        prop_assert!((-10.0..=10.0).contains(&snapshot.raw.price_momentum_5));
        prop_assert!((0.0..=10.5 + 1e-9).contains(&snapshot.raw.volume_ratio), "{}", snapshot.raw.volume_ratio);
        let Some(matrix) = state.matrix(bar.index) else { continue };
        prop_assert!(check_matrix(matrix).is_ok());
        for row in matrix {
            let fine = SCHEMA.vector(row.map(f64::from)).map_err(|error| error.to_string());
            prop_assert!(fine.is_ok(), "bar {}: {fine:?}", bar.index);
        }
    }
    prop_assert!(state.matrix(bars.len() as u64 - 1).is_some(), "no matrix was seen");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// TA-4, TA-8: bounded and finite from 1e-8 to 1e9, with flat prices and zero volume.
    #[test]
    fn rows_stay_within_their_ranges(exponent in -8_i32..=9, choices in choices(160)) {
        check(&bars(10_f64.powi(exponent), &choices))?;
    }

    /// Independent prices over all of the integers from bar to bar: nothing overflows.
    #[test]
    fn wild_bars_stay_finite(prices in prop::collection::vec((1..i64::MAX, 1..i64::MAX, 1..i64::MAX), 160), volume in 0.0..f64::MAX) {
        let one = |(index, &(a, b, c)): (u64, &(i64, i64, i64))| bar(index, [a, a.max(b).max(c), a.min(b).min(c), c], volume);
        check(&(0..).zip(&prices).map(one).collect::<Vec<_>>())?;
    }

    /// NaN, infinities and what no market can produce are refused by name; the state does not notice.
    #[test]
    fn impossible_bars_are_refused(choices in choices(120), at in 0_usize..120, kind in 0_usize..4) {
        let bars = bars(100.0, &choices);
        let (mut plain, mut tried) = (state(), state());
        for (t, bar) in bars.iter().enumerate() {
            let index = bar.index;
            if t == at {
                let volume = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0][kind];
                let refused = tried.push(&Bar { volume, ..*bar }).unwrap_err().to_string();
                prop_assert_eq!(refused, format!("bar {index}: volume is {volume}, it must be finite and at least 0"));
                let low = [0, -1, i64::MIN, -7][kind];
                let refused = tried.push(&Bar { low: Ticks(low), ..*bar }).unwrap_err();
                prop_assert_eq!(refused, FeatureError::Bar(BarError::Price { index, low }));
                let high = Ticks(bar.low.0 - 1);
                let refused = tried.push(&Bar { high, ..*bar }).unwrap_err();
                prop_assert_eq!(refused, FeatureError::Bar(BarError::Range { index, low: bar.low.0, high: high.0 }));
            }
            plain.push(bar).unwrap();
            tried.push(bar).unwrap();
            prop_assert_eq!(tried.snapshot(index), plain.snapshot(index));
            prop_assert_eq!(tried.matrix(index), plain.matrix(index));
        }
    }

    /// Repeated bars, bars out of order, in number or in time, and missing bars are refused; the state does not notice.
    #[test]
    fn duplicates_and_disorder_are_refused(choices in choices(120), at in 2_usize..119, back in 1_usize..3) {
        let bars = bars(100.0, &choices);
        let (mut plain, mut tried) = (state(), state());
        for (t, bar) in bars.iter().enumerate() {
            if t == at {
                let expected = bar.index;
                let again = tried.push(&bars[t - back]).unwrap_err();
                prop_assert_eq!(again, FeatureError::Gap { expected, found: expected - back as u64 });
                let ahead = tried.push(&bars[t + 1]).unwrap_err();
                prop_assert_eq!(ahead, FeatureError::Gap { expected, found: expected + 1 });
                let before = bars[t - 1].close_time;
                let close_time = Nanos(before.0 - i64::from(back > 1));
                let stale = tried.push(&Bar { open_time: close_time, close_time, ..*bar }).unwrap_err();
                prop_assert_eq!(stale, FeatureError::Time { index: expected, close_time, before });
            }
            plain.push(bar).unwrap();
            tried.push(bar).unwrap();
            prop_assert_eq!(tried.snapshot(bar.index), plain.snapshot(bar.index));
            prop_assert_eq!(tried.matrix(bar.index), plain.matrix(bar.index));
        }
    }
}

/// TA-9, TA-13, TA-14: a market that does not move at all has a row of zeros.
#[test]
fn flat_prices_and_no_volume() {
    let mut state = state();
    for index in 0..2 * WARM_UP_BARS {
        state.push(&bar(index, [5; 4], 0.0)).unwrap();
    }
    assert_eq!(state.matrix(2 * WARM_UP_BARS - 1).unwrap().as_flattened(), [0.0_f32; 420]);
    assert_eq!(state.snapshot(2 * WARM_UP_BARS - 1).unwrap().atr_ticks, Some(0.0));
}
