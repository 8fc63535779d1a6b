//! The strategic engine on recorded and generated bars.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;

use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::decision::{FallbackCause, Logits, ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{
    BarPlan, COLUMNS, CONTEXT, Candle, Decided, EventStream, HalfHours, MmdConfig, SnapshotError, StrategicEngine,
    StrategicEngineError, StrategicFeatureError, StrategicFeatures, StrategicStageConfig,
};
use tradewind_features::tactical::{Engine, NetworkError, Synergy, TacticalConfig};

use super::recorded::{MINUTE, daily};

/// Answers by the direction of the synergy, and counts how often it was asked.
#[derive(Clone, Debug)]
struct Agree {
    asked: Rc<Cell<usize>>,
    answer: fn(f32) -> Result<Logits, NetworkError>,
}

impl StrategicNetwork for Agree {
    fn logits(&mut self, rows: &[[f32; COLUMNS]], context: &[f64; CONTEXT]) -> Result<Logits, NetworkError> {
        assert_eq!(rows.len(), 48);
        self.asked.set(self.asked.get() + 1);
        (self.answer)(context[1] as f32)
    }
}

#[allow(clippy::unnecessary_wraps)]
fn agree(direction: f32) -> Result<Logits, NetworkError> {
    Ok([[3.0 * direction, 0.0, -3.0 * direction]; 3])
}

fn spx() -> Symbol {
    "SPX".to_owned().try_into().unwrap()
}

/// A market that never closes.
fn listed() -> (Symbol, CalendarName) {
    (spx(), CalendarName::AroundTheClock)
}

/// Small samples of the discrepancy, which is most of the work of a bar and none of the engine's.
fn config(bars: BarPlan) -> StrategicStageConfig {
    let mut config = StrategicStageConfig { bars, ..StrategicStageConfig::default() };
    config.features.mmd = MmdConfig { recent: 12, reference: 60, volume_bars: 20 };
    config
}

/// Number of the first strategic bar with a matrix.
fn first_matrix() -> u64 {
    config(BarPlan::AsFed).features.warm_up_bars() - 1
}

fn engine(bars: BarPlan, answer: fn(f32) -> Result<Logits, NetworkError>) -> (StrategicEngine<Agree>, Rc<Cell<usize>>) {
    let network = Agree { asked: Rc::default(), answer };
    let asked = Rc::clone(&network.asked);
    (StrategicEngine::new(config(bars), ModelParameters::default(), &[listed()], network).unwrap(), asked)
}

/// Recorded daily bars, in ticks of 0.01.
static DAILY: LazyLock<Vec<Bar>> = LazyLock::new(|| {
    let ticks = |price: f64| Ticks((price * 100.0).round() as i64);
    let bar = |candle: &Candle| Bar {
        index: candle.index,
        open_time: Nanos(candle.close_time.0 - 24 * 60 * MINUTE),
        close_time: candle.close_time,
        open: ticks(candle.open),
        high: ticks(candle.high),
        low: ticks(candle.low),
        close: ticks(candle.close),
        volume: candle.volume,
    };
    daily("SPX").iter().map(bar).collect()
});

/// What an engine that never stops makes of them.
static LIVED: LazyLock<Vec<Option<Decided>>> = LazyLock::new(|| {
    let (mut engine, _) = engine(BarPlan::AsFed, agree);
    DAILY.iter().map(|bar| engine.decide(&spx(), bar).unwrap()).collect()
});

/// Five-minute bars with steps, jumps and holes: gaps open and fill, half hours are incomplete or missing.
fn five_minutes(count: u64) -> Vec<Bar> {
    let (mut price, mut seed, mut minute) = (100_000_i64, 11_u64, 0_i64);
    let mut bars = Vec::new();
    for index in 0..count {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = |shift: u32, range: u64| ((seed >> shift) % range) as i64;
        minute += if chance(40, 97) == 0 { 5 * (1 + chance(30, 20)) } else { 5 };
        let open = price;
        let wave = (60.0 * (index as f64 / 90.0).sin()) as i64;
        let jump = if chance(45, 9) == 0 { chance(33, 2_401) - 1_200 } else { 0 };
        price = (price + chance(20, 301) - 150 + wave + jump).max(10_000);
        let [high, low] = [open.max(price) + chance(50, 20), open.min(price) - chance(55, 20)];
        let [open, high, low, close] = [open, high, low, price].map(Ticks);
        let (open_time, close_time) = (Nanos((minute - 5) * MINUTE), Nanos(minute * MINUTE));
        bars.push(Bar { index, open_time, close_time, open, high, low, close, volume: 100.0 + chance(25, 50) as f64 });
    }
    bars
}

/// ST-18, ST-39, ST-127, TA-G26: events on real bars; those of the warm-up fall back, the others are decided.
#[test]
fn events_of_daily_bars() {
    let decided: Vec<&Decided> = LIVED.iter().flatten().collect();
    let (early, late): (Vec<&Decided>, Vec<&Decided>) =
        decided.iter().partition(|decided| decided.decision.index < first_matrix());
    assert!(late.len() >= 10, "{} events are too few to tell", late.len());
    assert!(early.iter().all(|decided| decided.decision.fallback == Some(FallbackCause::WarmingUp)));
    for Decided { event, decision } in &late {
        let bar = &DAILY[decision.index as usize];
        assert_eq!((event.bar_close_time, event.detected_at), (bar.close_time, bar.close_time));
        assert_eq!(event.event_id, format!("SPX/{}/{}", bar.index, event.synergy_type.name()));
        assert_eq!((&decision.event_id, decision.synergy.direction), (&event.event_id, event.direction));
        assert_eq!((decision.feature_hash.len(), decision.regime_label.is_some()), (64, true));
        assert!(event.volatility_30.is_some());
        let weak = event.confidence < 0.5;
        assert_eq!(decision.fallback, weak.then_some(FallbackCause::LowSynergyConfidence), "SU-48");
        assert_eq!((decision.should_proceed, decision.aligned_with_synergy), (!weak, !weak));
    }
    let proceeding = late.iter().filter(|decided| decided.decision.should_proceed).count();
    assert!(proceeding > 5 && proceeding < late.len(), "{proceeding} proceed");
}

/// A restart at any bar equals never having stopped: the past is read again without asking the networks.
#[test]
fn a_restart_changes_no_decision() {
    for stopped in [0, 137, 138, 1_400, 4_990] {
        let (mut restarted, asked) = engine(BarPlan::AsFed, agree);
        for bar in &DAILY[..stopped] {
            restarted.warm(&spx(), bar).unwrap();
        }
        assert_eq!((asked.get(), restarted.next_index(&spx())), (0, Some(stopped as u64)));
        // Answers to the questions of before the stop, then new bars.
        for index in stopped.saturating_sub(65)..(stopped + 300).min(DAILY.len()) {
            assert_eq!(restarted.decide(&spx(), &DAILY[index]).unwrap(), LIVED[index], "bar {index} after {stopped}");
        }
    }
}

/// A restart from a snapshot, at any bar, equals never having stopped: the same state byte for byte, the same decisions.
#[test]
fn a_snapshot_continues_the_engine() {
    let restore = |stage: StrategicStageConfig, symbols: &[(Symbol, CalendarName)], bytes: &[u8]| {
        StrategicEngine::restore(stage, ModelParameters::default(), symbols, Agree { asked: Rc::default(), answer: agree }, bytes)
    };
    for (bars, stop) in [(five_minutes(2_000), 1_300), (five_minutes(300), 20)] {
        let (mut lived, _) = engine(BarPlan::HalfHours, agree);
        bars[..stop].iter().for_each(|bar| drop(lived.decide(&spx(), bar).unwrap()));
        let bytes = lived.snapshot().unwrap();
        let mut restored = restore(config(BarPlan::HalfHours), &[listed()], &bytes).unwrap();
        assert_eq!(restored.snapshot().unwrap(), bytes);
        for bar in &bars[stop.saturating_sub(65)..] {
            assert_eq!(restored.context(&spx(), bar).unwrap(), lived.context(&spx(), bar).unwrap());
            assert_eq!(restored.decide(&spx(), bar).unwrap(), lived.decide(&spx(), bar).unwrap());
        }
        assert!(restored.snapshot().unwrap() == lived.snapshot().unwrap(), "bit for bit after {} more bars", bars.len() - stop);
    }
    let (mut daily, _) = engine(BarPlan::AsFed, agree);
    DAILY[..3_000].iter().for_each(|bar| daily.warm(&spx(), bar).unwrap());
    let bytes = daily.snapshot().unwrap();
    let mut restored = restore(config(BarPlan::AsFed), &[listed()], &bytes).unwrap();
    for index in 2_935..3_600 {
        assert_eq!(restored.decide(&spx(), &DAILY[index]).unwrap(), LIVED[index], "bar {index}");
    }

    // What is not exactly this state is refused by name; thresholds are no part of it.
    let refused = |stage, symbols: &[(Symbol, CalendarName)], bytes: &[u8]| restore(stage, symbols, bytes).unwrap_err();
    let stage = || config(BarPlan::AsFed);
    for at in [0, 64, 65, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert_eq!(refused(stage(), &[listed()], &damaged), SnapshotError::Damaged, "byte {at}");
    }
    assert_eq!(refused(stage(), &[listed()], b""), SnapshotError::Damaged);
    assert_eq!(refused(config(BarPlan::HalfHours), &[listed()], &bytes), SnapshotError::OtherConfiguration);
    let other: Symbol = "IXIC".to_owned().try_into().unwrap();
    assert!(matches!(refused(stage(), &[(other, CalendarName::AroundTheClock)], &bytes), SnapshotError::OtherSymbols { .. }));
    let elsewhere = [(spx(), CalendarName::Xnys)];
    assert!(restore(stage(), &elsewhere, &bytes).is_ok(), "bars as fed have no hours");
    let (half_hours, _) = engine(BarPlan::HalfHours, agree);
    let bytes_of_half_hours = half_hours.snapshot().unwrap();
    assert_eq!(refused(config(BarPlan::HalfHours), &elsewhere, &bytes_of_half_hours), SnapshotError::OtherConfiguration);
    let mut stricter = stage();
    stricter.decision.confidence_threshold = 0.9;
    assert!(restore(stricter, &[listed()], &bytes).is_ok());
}

/// ST-130: asking again gives the stored decision without the networks; bars of long ago, rewritten bars, holes and
/// impossible bars are refused, and the due bar still decides.
#[test]
fn repeated_and_impossible_bars() {
    let bars = five_minutes(400);
    let (mut engine, asked) = engine(BarPlan::HalfHours, agree);
    let first: Vec<_> = bars[..300].iter().map(|bar| engine.decide(&spx(), bar).unwrap()).collect();
    let questions = asked.get();
    for index in 235..300 {
        assert_eq!(engine.decide(&spx(), &bars[index]).unwrap(), first[index]);
    }
    assert_eq!(asked.get(), questions);
    let forgotten = engine.decide(&spx(), &bars[234]);
    assert_eq!(forgotten, Err(StrategicEngineError::Forgotten { symbol: spx(), index: 234, next: 300 }));
    let rewritten = engine.decide(&spx(), &Bar { volume: 1.0, ..bars[299] });
    assert_eq!(rewritten, Err(StrategicEngineError::Rewritten { symbol: spx(), index: 299 }));
    let refused = |engine: &mut StrategicEngine<Agree>, bar: &Bar| match engine.decide(&spx(), bar) {
        Err(StrategicEngineError::Feature { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut engine, &bars[301]), "bar 301 arrived, bar 300 is due: read the stream from there");
    assert_eq!(refused(&mut engine, &Bar { volume: f64::NAN, ..bars[300] }), "bar 300: volume is NaN, it must be finite");
    let backwards = Bar { close_time: bars[299].close_time, ..bars[300] };
    assert!(refused(&mut engine, &backwards).contains("it must close after"));
    let other: Symbol = "IXIC".to_owned().try_into().unwrap();
    assert_eq!(engine.decide(&other, &bars[300]), Err(StrategicEngineError::UnknownSymbol(other)));
    assert_eq!(engine.decide(&spx(), &bars[300]).unwrap().map(|decided| decided.decision.index), engine_at(&bars, 300));
}

fn engine_at(bars: &[Bar], index: usize) -> Option<u64> {
    let (mut fresh, _) = engine(BarPlan::HalfHours, agree);
    bars[..=index].iter().map(|bar| fresh.decide(&spx(), bar).unwrap()).last()?.map(|decided| decided.decision.index)
}

/// ST-6, ST-17, ST-18, ST-41: half hours are joined as they close, and nothing depends on later bars.
#[test]
fn half_hours_feed_the_features() {
    let bars = five_minutes(30_000);
    let stage = config(BarPlan::HalfHours);
    let mut stream = EventStream::new(&stage, CalendarName::AroundTheClock).unwrap();
    let mut features = StrategicFeatures::new(&stage.features, BarPlan::HalfHours.clock(CalendarName::AroundTheClock)).unwrap();
    let (mut half_hours, mut events, mut within) = (HalfHours::default(), 0, 0);
    for (index, bar) in bars.iter().enumerate() {
        let event = stream.push(bar).unwrap();
        let closed = half_hours.push(bar);
        for candle in closed.iter().flatten() {
            features.push(candle).unwrap();
        }
        if closed.iter().flatten().next().is_some() {
            let newest = features.next_index() - 1;
            assert_eq!(stream.features().snapshot(newest), features.snapshot(newest), "bar {index}");
        }
        if let Some(event) = event {
            events += 1;
            within += usize::from(closed[1].is_none());
            assert!(event.slot >= event.first_slot && event.bars_to_complete() <= 10);
        }
    }
    assert!(events > 10 && within > 3 && features.next_index() > 4_000, "{events} events, {within} within a half hour");
}

/// ST-73: networks that fail or answer no figures give fallbacks, not errors.
#[test]
fn networks_that_fail_take_no_risk() {
    let event = LIVED.iter().flatten().find(|decided| decided.decision.should_proceed).unwrap().decision.index;
    for (answer, cause) in [
        ((|_| Err(NetworkError("out of order".into()))) as fn(f32) -> Result<Logits, NetworkError>, FallbackCause::NetworkFailed),
        (|_| Ok([[f32::NAN; 3]; 3]), FallbackCause::NetworkNotFinite),
    ] {
        let (mut engine, _) = engine(BarPlan::AsFed, answer);
        DAILY[..event as usize].iter().for_each(|bar| engine.warm(&spx(), bar).unwrap());
        let decided = engine.decide(&spx(), &DAILY[event as usize]).unwrap().unwrap();
        assert_eq!((decided.decision.fallback, decided.decision.should_proceed), (Some(cause), false));
        assert_eq!(engine.context(&spx(), &DAILY[event as usize]).unwrap(), None);
    }
}

/// TA-34, TA-35: a decision that proceeds is the context of its bar and of the next one, and of no other.
#[test]
fn contexts_of_the_tactical_stage() {
    let (mut engine, _) = engine(BarPlan::AsFed, agree);
    let mut seen = 0;
    for (index, bar) in DAILY.iter().enumerate().take(3_000) {
        let newest = LIVED[index.saturating_sub(1)..=index].iter().flatten().next_back();
        let wanted = newest.and_then(|decided| decided.decision.tactical_context());
        assert_eq!(engine.context(&spx(), bar).unwrap(), wanted, "bar {index}");
        assert_eq!(engine.context(&spx(), bar).unwrap(), wanted, "asked again");
        seen += usize::from(wanted.is_some());
    }
    assert!(seen > 0);
}

/// ST-124: whether a bar is finished behind its answer, with the next bar or when it is asked again changes nothing.
#[test]
fn settling_changes_no_decision() {
    let (mut engine, _) = engine(BarPlan::AsFed, agree);
    for (index, (bar, lived)) in DAILY.iter().zip(LIVED.iter()).enumerate() {
        match index % 5 {
            0 => engine.warm(&spx(), bar).unwrap(),
            1 => engine.settle(&spx()),
            _ => {}
        }
        assert_eq!(engine.decide(&spx(), bar).unwrap(), *lived, "bar {index}");
        for _ in 0..index % 3 {
            engine.settle(&spx());
        }
    }
}

/// TA-29, TA-34, ST-1: with the strategic context the tactical stage may trade, without it the same votes hold.
#[test]
fn the_tactical_stage_takes_the_context() {
    let amount = |text: &str| text.parse::<Money>().unwrap();
    let instrument = Instrument::new(spx(), amount("0.01"), amount("1"), amount("1")).unwrap();
    let bullish = |_: &tradewind_features::tactical::Matrix| Ok([[8.0, 0.0, -8.0], [8.0, 0.0, -8.0], [0.0, 8.0, 0.0]]);
    let decided = |context: Option<Synergy>| {
        let instruments = [instrument.clone()];
        let mut engine = Engine::new("b", TacticalConfig::default(), &instruments, Votes(bullish)).unwrap();
        DAILY[..100].iter().for_each(|bar| engine.warm(&spx(), bar).unwrap());
        let first = engine.decide(&spx(), &DAILY[100], context).unwrap();
        assert_eq!(engine.decide(&spx(), &DAILY[100], None).unwrap(), first, "the first context stays");
        (first.execute, first.reason, first.synergy_aligned)
    };
    let context = |direction, confidence| {
        Some(Synergy { synergy_type: "TYPE_2".into(), direction, confidence, source: "Strategic".into() })
    };
    assert_eq!(decided(context(1, 0.8)), (true, String::new(), true));
    assert_eq!(decided(None), (false, "no_synergy".into(), false));
    assert_eq!(decided(context(1, 0.4)), (false, "weak_synergy".into(), true));
    assert_eq!(decided(context(-1, 0.8)), (true, String::new(), false), "0.9997 survives the penalty");
}

struct Votes<F>(F);

impl<F> tradewind_features::tactical::Network for Votes<F>
where
    F: FnMut(&tradewind_features::tactical::Matrix) -> Result<Logits, NetworkError>,
{
    fn logits(&mut self, matrix: &tradewind_features::tactical::Matrix) -> Result<Logits, NetworkError> {
        (self.0)(matrix)
    }
}

/// A configuration that cannot serve is refused with every fault.
#[test]
fn a_faulty_stage_is_refused() {
    let wrong = StrategicStageConfig { context_bars: 99, ..config(BarPlan::AsFed) };
    let network = Agree { asked: Rc::default(), answer: agree };
    let error = StrategicEngine::new(wrong, ModelParameters::default(), &[listed()], network).unwrap_err();
    assert_eq!(error.to_string(), "strategic stage: contextBars is 99, it must be 0 to 64");
    let first = StrategicFeatureError::Order { expected: 0, found: 1 };
    assert_eq!(EventStream::new(&config(BarPlan::AsFed), CalendarName::AroundTheClock).unwrap().push(&DAILY[1]), Err(first));
}
