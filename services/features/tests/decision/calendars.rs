//! Ruling 14, case D12: what counts is the calendar of the instrument, not the clock on the wall.

use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Symbol, Ticks};
use tradewind_core::time::Nanos;
use tradewind_features::strategic::decision::{Logits, ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{COLUMNS, CONTEXT, EventStream, StrategicEngine, StrategicStageConfig};
use tradewind_features::tactical::NetworkError;
use tradewind_features::warm_up::{Stage, WarmUp};

use super::recorded::MINUTE;

const DAY: i64 = 24 * 60;
/// Half hours before the first matrix (ST-18).
const NEEDED: u64 = 594;

/// Days since 1970 of 2024-10-01, 2024-11-03 (clocks go back in New York), 2025-03-09 (forward) and 2025-04-15.
const OCTOBER: i64 = 19_997;
const WINTER: i64 = 20_030;
const SUMMER: i64 = 20_156;
const APRIL: i64 = 20_193;
/// 2024-11-28, 2024-12-25, 2025-01-01, 2025-01-09, 2025-01-20, 2025-02-17.
const HOLIDAYS: [i64; 6] = [20_055, 20_082, 20_089, 20_097, 20_108, 20_136];
/// 2024-11-29, 2024-12-24.
const EARLY: [i64; 2] = [20_056, 20_081];

/// Monday 0; day 0 of the era was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// Hour of UTC at which it is midnight in New York.
fn midnight(day: i64) -> i64 {
    if (WINTER..SUMMER).contains(&day) { 5 * 60 } else { 4 * 60 }
}

/// The market of New York is open at this minute of UTC, written down by hand.
fn new_york(minute: i64) -> bool {
    let day = minute.div_euclid(DAY);
    let local = minute - day * DAY - midnight(day);
    let close = if EARLY.contains(&day) { 13 * 60 } else { 16 * 60 };
    weekday(day) < 5 && !HOLIDAYS.contains(&day) && (9 * 60 + 30..close).contains(&local)
}

/// Currencies are traded: from 17:00 in New York on Sunday to 17:00 on Friday.
fn currencies(minute: i64) -> bool {
    let day = minute.div_euclid(DAY);
    let late = minute - day * DAY >= midnight(day) + 17 * 60;
    match weekday(day) {
        4 => !late,
        5 => false,
        6 => late,
        _ => true,
    }
}

/// Five-minute bars of a random walk in the minutes that are open.
fn walk(days: std::ops::Range<i64>, open: impl Fn(i64) -> bool) -> Vec<Bar> {
    let (mut price, mut seed) = (100_000_i64, 5_u64);
    let minutes = (days.start * DAY..days.end * DAY).step_by(5).filter(|minute| open(*minute));
    let bar = |(index, minute): (usize, i64)| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = |shift: u32, range: u64| ((seed >> shift) % range) as i64;
        let before = price;
        price = (price + chance(20, 301) - 150 + (60.0 * (index as f64 / 90.0).sin()) as i64).max(10_000);
        let [high, low] = [before.max(price) + chance(50, 20), before.min(price) - chance(55, 20)];
        let [open, high, low, close] = [before, high, low, price].map(Ticks);
        let (open_time, close_time) = (Nanos(minute * MINUTE), Nanos((minute + 5) * MINUTE));
        Bar { index: index as u64, open_time, close_time, open, high, low, close, volume: 100.0 + chance(25, 50) as f64 }
    };
    minutes.enumerate().map(bar).collect()
}

/// Bars with a hole of so many half hours, which begins with the half hour `at`.
fn with_hole(bars: &[Bar], at: usize, half_hours: usize) -> Vec<Bar> {
    let kept = bars.iter().enumerate().filter(|(index, _)| !(6 * at..6 * (at + half_hours)).contains(index));
    (0..).zip(kept).map(|(index, (_, bar))| Bar { index, ..*bar }).collect()
}

fn strategic(seen: u64) -> Option<WarmUp> {
    WarmUp::of(Stage::Strategic, seen, NEEDED)
}

/// ST-18, D12: warm after 594 half hours of its own, over two changes of the clocks, holidays and early closes; nothing is
/// ever missing, and until then the stage says how far it is.
#[test]
fn each_market_is_warm_after_its_own_half_hours() {
    let tables: [(CalendarName, Vec<Bar>); 3] = [
        (CalendarName::AroundTheClock, walk(WINTER - 15..WINTER + 15, |_| true)),
        (CalendarName::Currencies, walk(OCTOBER..WINTER + 20, currencies)),
        (CalendarName::Xnys, walk(OCTOBER..APRIL, new_york)),
    ];
    for (calendar, bars) in tables {
        let mut stream = EventStream::new(&StrategicStageConfig::default(), calendar).unwrap();
        let mut half_hours = 0;
        for bar in &bars {
            stream.push(bar).unwrap();
            let features = stream.features();
            if features.next_index() == half_hours {
                continue;
            }
            half_hours = features.next_index();
            let newest = features.snapshot(half_hours - 1).unwrap();
            assert_eq!((newest.missing, newest.slot, newest.after_gap), (0, half_hours - 1, false), "{calendar}: {half_hours}");
            assert_eq!(features.warm_up(), strategic(half_hours), "{calendar}: {half_hours}");
            assert_eq!(features.matrix(half_hours - 1).is_some(), half_hours >= NEEDED, "{calendar}: {half_hours}");
        }
        assert!(half_hours > NEEDED + 600, "{calendar}: {half_hours} half hours are too few to tell");
    }
}

/// Case D12 as it was found: by the clock on the wall every weekend of an exchange starts the warm-up anew.
#[test]
fn an_exchange_is_never_warm_around_the_clock() {
    let mut stream = EventStream::new(&StrategicStageConfig::default(), CalendarName::AroundTheClock).unwrap();
    let mut most = 0;
    for bar in walk(OCTOBER..WINTER + 30, new_york) {
        stream.push(&bar).unwrap();
        most = most.max(stream.features().warm_up().unwrap().seen);
    }
    assert_eq!(most, 5 * 13, "the half hours of one week");
}

/// Ruling 14: 48 promised half hours missing in a row are survived, 49 start the warm-up anew, whatever nights, weekends, a
/// holiday and an early close lie within.
#[test]
fn holes_are_counted_in_promised_bars() {
    let whole = walk(OCTOBER..SUMMER, new_york);
    // The first one begins two days before Thanksgiving: 13 half hours a day, 7 on the day after it.
    for at in [40 * 13, 700] {
        for (hole, seen) in [(48, None), (49, Some(1))] {
            let bars = with_hole(&whole, at, hole);
            let mut stream = EventStream::new(&StrategicStageConfig::default(), CalendarName::Xnys).unwrap();
            for bar in &bars[..6 * (at + 1)] {
                stream.push(bar).unwrap();
            }
            let features = stream.features();
            let newest = features.snapshot(at as u64).unwrap();
            assert_eq!(newest.missing, hole as u64, "hole of {hole} at {at}");
            let wanted = seen.map_or_else(|| strategic(at as u64 + 1), strategic);
            assert_eq!(features.warm_up(), wanted, "hole of {hole} at {at}");
        }
    }
}

/// Asked again, an engine says of each bar how far it was then; a restored one does so too.
#[test]
fn the_warm_up_of_each_bar_is_remembered() {
    #[derive(Clone)]
    struct Silent;
    impl StrategicNetwork for Silent {
        fn logits(&mut self, _: &[[f32; COLUMNS]], _: &[f64; CONTEXT]) -> Result<Logits, NetworkError> {
            Err(NetworkError("silent".into()))
        }
    }
    let (bars, symbol) = (walk(OCTOBER..OCTOBER + 20, new_york), Symbol::try_from("SPX".to_owned()).unwrap());
    let symbols = [(symbol.clone(), CalendarName::Xnys)];
    let (stage, model) = (StrategicStageConfig::default(), ModelParameters::default());
    let mut engine = StrategicEngine::new(stage.clone(), model.clone(), &symbols, Silent).unwrap();
    bars[..600].iter().for_each(|bar| engine.warm(&symbol, bar).unwrap());
    let restored = StrategicEngine::restore(stage, model, &symbols, Silent, &engine.snapshot().unwrap()).unwrap();
    for engine in [&engine, &restored] {
        for index in 535..600 {
            assert_eq!(engine.warm_up(&symbol, index), strategic((index + 1) / 6), "bar {index}");
        }
        assert_eq!(engine.warm_up(&symbol, 600), None, "not known yet");
    }
}
