//! Feature states and networks of one bundle, moved forward bar by bar on demand.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_features::strategic::decision::{self, ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{self, BarPlan, StageConfigError, StrategicEngine, StrategicEngineError};
use tradewind_features::tactical::{self, ConfigError, Context, Decision, Engine, EngineError, Matrix, Network, NetworkError};
use tradewind_wire::admission::{Admission, Admitted, Quarantined, check_figures};
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::config::BundleConfig;
use tradewind_wire::v1;

use crate::networks::Networks;

/// Why a bar was not decided.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CoreError {
    /// The bundle cannot be served.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its strategic stage cannot be served.
    #[error(transparent)]
    Stage(#[from] StageConfigError),
    /// Its strategic networks learned the bars of another market.
    #[error(
        "{symbol}: the strategic checkpoint learned half hours of {learned}; its bars are {seen}; serve it with strategic.bars \
         HalfHours to instruments of calendar {learned}, or train one for these"
    )]
    Calendar {
        /// Symbol in question.
        symbol: Symbol,
        /// Calendar that the checkpoint names.
        learned: CalendarName,
        /// What it would be served.
        seen: String,
    },
    /// An instrument of the bundle is wrong.
    #[error(transparent)]
    Instrument(#[from] tradewind_core::instrument::InstrumentError),
    /// The bar's symbol is none of the bundle's.
    #[error("{0} is not an instrument of this bundle")]
    UnknownSymbol(String),
    /// The bar is impossible.
    #[error("{0}")]
    Bar(Quarantined),
    /// The feed goes on without such a bar: it never came, or was not taken.
    #[error("{symbol}: the feed has no bar {index} that can be used; it must not be decided")]
    NotInFeed {
        /// Symbol in question.
        symbol: Symbol,
        /// Bar that was asked.
        index: u64,
    },
    /// Earlier bars are not known yet.
    #[error("{symbol}: bar {asked} was asked, bars {next} to {} are missing", .asked - 1)]
    Missing {
        /// Symbol in question.
        symbol: Symbol,
        /// First bar that is missing.
        next: u64,
        /// Bar that was asked.
        asked: u64,
    },
    /// The tactical engine refuses or its networks give no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The strategic engine refuses.
    #[error(transparent)]
    Strategic(#[from] StrategicEngineError),
}

impl CoreError {
    /// The bar lies too far back: the symbol's past has to be read again before it can be decided.
    #[must_use]
    pub const fn is_forgotten(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Forgotten { .. }) | Self::Strategic(StrategicEngineError::Forgotten { .. }))
    }
}

/// A decision and how long its parts took.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The synergy event that the bar completed, and the decision on it (ST-39, ST-128).
    pub strategic: Option<strategic::Decided>,
    /// The strategic stage, its networks included.
    pub strategic_stage: Duration,
    /// The tactical networks; zero when the answer was remembered or the symbol is warming up.
    pub networks: Duration,
    /// Features and aggregation of the tactical stage: everything else.
    pub rest: Duration,
}

/// One bundle: two engines per symbol, of the strategic and the tactical stage, over shared networks.
///
/// Bars of the feed are kept aside until a later bar is asked, so the state never runs ahead of
/// the questions: a policy that is behind the feed's head, as in a fast replay, gets the same answers.
pub struct Core {
    bundle: BundleConfig,
    strategic: Shared<Box<dyn StrategicNetwork + Send>>,
    parameters: ModelParameters,
    tactical: Shared<Box<dyn Network + Send>>,
    symbols: BTreeMap<String, SymbolState>,
    /// Takes the bars of the feed that the deciding process takes.
    admission: Admission,
}

struct SymbolState {
    instrument: Instrument,
    calendar: CalendarName,
    engines: Engines,
    /// Bars of the feed that nobody has asked for, by number.
    ahead: BTreeMap<u64, Bar>,
    places: Places,
}

/// Both stages of one symbol. They take the same bars, the strategic one first: what it decides is the context of
/// the tactical one.
struct Engines {
    strategic: StrategicEngine<Shared<Box<dyn StrategicNetwork + Send>>>,
    tactical: Engine<Shared<Box<dyn Network + Send>>>,
}

/// Networks used by several engines of one thread, with the time that tactical ones took.
struct Shared<N>(Rc<RefCell<(N, Duration)>>);

impl<N> Shared<N> {
    fn new(network: N) -> Self {
        Self(Rc::new(RefCell::new((network, Duration::ZERO))))
    }

    /// Time since it was last taken.
    fn take_time(&self) -> Duration {
        std::mem::take(&mut self.0.borrow_mut().1)
    }
}

impl<N> Clone for Shared<N> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<N: Network> Network for Shared<N> {
    fn logits(&mut self, matrix: &Matrix) -> Result<tactical::Logits, NetworkError> {
        let (network, spent) = &mut *self.0.borrow_mut();
        let begun = Instant::now();
        let answer = network.logits(matrix);
        *spent += begun.elapsed();
        answer
    }
}

impl<N: StrategicNetwork> StrategicNetwork for Shared<N> {
    fn logits(
        &mut self,
        rows: &[[f32; strategic::COLUMNS]],
        context: &[f64; strategic::CONTEXT],
    ) -> Result<decision::Logits, NetworkError> {
        self.0.borrow_mut().0.logits(rows, context)
    }
}

impl Core {
    /// A core without any bars.
    ///
    /// # Errors
    /// [`CoreError::Config`], [`CoreError::Stage`], [`CoreError::Calendar`] and [`CoreError::Instrument`] for a bundle that cannot be served.
    pub fn new(bundle: BundleConfig, networks: Networks) -> Result<Self, CoreError> {
        let Networks { strategic, parameters, calendar: learned, tactical } = networks;
        let (strategic, tactical) = (Shared::new(strategic), Shared::new(tactical));
        let (instruments, calendars) = (bundle.instruments()?, bundle.calendars());
        let admission = Admission::new(bundle.feed_kind, instruments.iter().cloned());
        let mut core = Self { bundle, strategic, parameters, tactical, symbols: BTreeMap::new(), admission };
        for instrument in instruments {
            let calendar = calendars.get(&instrument.symbol).copied().unwrap_or_default();
            learned.map_or(Ok(()), |learned| core.fits(&instrument.symbol, calendar, learned))?;
            let engines = core.engines(&instrument, calendar)?;
            core.symbols.insert(instrument.symbol.to_string(), SymbolState::new(instrument, calendar, engines));
        }
        Ok(core)
    }

    /// Takes a bar of the feed. Bars of other symbols, bars that nobody may take and bars that were asked already are
    /// passed over; what a question later contradicts is refused then.
    pub fn load(&mut self, found: &SequencedBar) {
        match self.admission.admit(found.sequence, &found.bar, found.arrived) {
            Admitted::Taken(taken) => {
                if let Some(state) = self.symbols.get_mut(taken.symbol.as_str())
                    && taken.bar.index >= state.due_number()
                {
                    state.ahead.insert(taken.bar.index, taken.bar);
                }
            }
            Admitted::Quarantined(quarantined) => tracing::debug!(%quarantined, "a message of the feed is not taken"),
            Admitted::Other | Admitted::Duplicate { .. } => {}
        }
    }

    /// Decides a bar; idempotent for the newest bars of a symbol.
    ///
    /// # Errors
    /// [`CoreError`]; nothing is decided then, and asking again is safe.
    pub fn decide(&mut self, message: &v1::Bar) -> Result<Decided, CoreError> {
        let begun = Instant::now();
        self.tactical.take_time();
        let unknown = || CoreError::UnknownSymbol(message.symbol.clone());
        let state = self.symbols.get_mut(&message.symbol).ok_or_else(unknown)?;
        let bar = check_figures(message, &state.instrument).map_err(|fault| CoreError::Bar(fault.of(0, message)))?;
        state.catch_up(bar.index)?;
        if state.ahead.get(&bar.index).is_some_and(|known| *known != bar) {
            let symbol = state.instrument.symbol.clone();
            return Err(EngineError::Rewritten { symbol, index: bar.index }.into());
        }
        let placed = state.place(&bar)?;
        let outcome = state.engines.decide(&state.instrument.symbol, &placed);
        state.release();
        let (mut decision, mut strategic, strategic_stage) = outcome?;
        state.ahead.remove(&bar.index);
        if placed.index != bar.index {
            decision.index = bar.index;
            strategic = strategic.map(|decided| numbered(decided, bar.index));
        }
        let networks = self.tactical.take_time();
        let rest = begun.elapsed().saturating_sub(strategic_stage + networks);
        Ok(Decided { decision, strategic, strategic_stage, networks, rest })
    }

    /// Does what the next decision about a symbol needs and this one did not: to be called behind an answer (ST-124).
    pub fn settle(&mut self, symbol: &str) {
        if let Some(state) = self.symbols.get_mut(symbol) {
            state.engines.strategic.settle(&state.instrument.symbol);
        }
    }

    /// Forgets everything about a symbol, so that its bars can be loaded from the first again.
    ///
    /// # Errors
    /// [`CoreError::UnknownSymbol`].
    pub fn forget(&mut self, symbol: &str) -> Result<(), CoreError> {
        let unknown = || CoreError::UnknownSymbol(symbol.to_owned());
        let known = self.symbols.get(symbol).ok_or_else(unknown)?;
        let (instrument, calendar) = (known.instrument.clone(), known.calendar);
        let engines = self.engines(&instrument, calendar)?;
        self.admission.forget(&instrument.symbol);
        self.symbols.insert(symbol.to_owned(), SymbolState::new(instrument, calendar, engines));
        Ok(())
    }

    /// Features of half hours are those of the calendar that counts them: other bars, or the same of another market, are not
    /// what the networks learned.
    fn fits(&self, symbol: &Symbol, calendar: CalendarName, learned: CalendarName) -> Result<(), CoreError> {
        let seen = match self.bundle.strategic.bars {
            BarPlan::HalfHours if calendar == learned => return Ok(()),
            BarPlan::HalfHours => format!("half hours of {calendar}"),
            BarPlan::AsFed => "as fed".to_owned(),
        };
        Err(CoreError::Calendar { symbol: symbol.clone(), learned, seen })
    }

    fn engines(&self, instrument: &Instrument, calendar: CalendarName) -> Result<Engines, CoreError> {
        let (bundle, symbols) = (&self.bundle, [(instrument.symbol.clone(), calendar)]);
        let strategic =
            StrategicEngine::new(bundle.strategic.clone(), self.parameters.clone(), &symbols, self.strategic.clone())?;
        let only = std::slice::from_ref(instrument);
        let tactical = Engine::new(&bundle.bundle, bundle.tactical.clone(), only, self.tactical.clone())?;
        Ok(Engines { strategic, tactical })
    }
}

impl Engines {
    /// Both stages on one bar, and how long the strategic one took.
    fn decide(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(Decision, Option<strategic::Decided>, Duration), CoreError> {
        let begun = Instant::now();
        let context = match (self.strategic.context(symbol, bar)?, self.strategic.warm_up(symbol, bar.index)) {
            (None, Some(warm_up)) => Context::WarmingUp(warm_up),
            (synergy, _) => synergy.into(),
        };
        let strategic = self.strategic.decide(symbol, bar)?;
        let took = begun.elapsed();
        Ok((self.tactical.decide(symbol, bar, context)?, strategic, took))
    }

    fn warm(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), CoreError> {
        self.strategic.warm(symbol, bar)?;
        Ok(self.tactical.warm(symbol, bar)?)
    }

    /// Place of the bar that is due: a bar that one stage took and the other refused is not done.
    fn due(&self, symbol: &Symbol) -> u64 {
        [self.strategic.next_index(symbol), self.tactical.next_index(symbol)].into_iter().flatten().min().unwrap_or(0)
    }

    /// The place behind all bars that a stage took.
    fn taken(&self, symbol: &Symbol) -> u64 {
        [self.strategic.next_index(symbol), self.tactical.next_index(symbol)].into_iter().flatten().max().unwrap_or(0)
    }
}

/// The places of bars among those taken. Engines count the bars that they take without holes; a feed may have some.
#[derive(Default)]
struct Places {
    /// Numbers in the feed of the newest bars, ascending.
    numbers: VecDeque<u64>,
    /// Bars that have a place.
    given: u64,
}

/// Numbers remembered; more than any engine can be asked about again.
const PLACES: usize = 4_096;

impl Places {
    /// Place of a bar that has one.
    fn of(&self, number: u64) -> Option<u64> {
        let at = self.numbers.binary_search(&number).ok()?;
        Some(self.given - (self.numbers.len() - at) as u64)
    }

    fn newest(&self) -> Option<u64> {
        self.numbers.back().copied()
    }

    /// The place behind all others.
    fn give(&mut self, number: u64) -> u64 {
        if self.numbers.len() == PLACES {
            self.numbers.pop_front();
        }
        self.numbers.push_back(number);
        self.given += 1;
        self.given - 1
    }

    /// Takes the newest place back.
    fn release(&mut self) {
        self.given -= u64::from(self.numbers.pop_back().is_some());
    }
}

impl SymbolState {
    fn new(instrument: Instrument, calendar: CalendarName, engines: Engines) -> Self {
        Self { instrument, calendar, engines, ahead: BTreeMap::new(), places: Places::default() }
    }

    /// Smallest number that the next bar may have.
    fn due_number(&self) -> u64 {
        let behind = |newest: u64| newest.saturating_add(1);
        let whole = self.engines.due(&self.instrument.symbol) >= self.places.given;
        self.places.newest().map_or(0, |newest| if whole { behind(newest) } else { newest })
    }

    /// Takes the bars before this one that nobody has asked for, from what was loaded of the feed. Numbers that the feed
    /// left out are passed over once the feed is known to have gone on behind them.
    fn catch_up(&mut self, index: u64) -> Result<(), CoreError> {
        let (due, symbol) = (self.due_number(), self.instrument.symbol.clone());
        if index < due {
            return Ok(());
        }
        match self.ahead.range(index..).next() {
            Some((found, _)) if *found == index => {}
            // The feed went on without it.
            Some(_) => return Err(CoreError::NotInFeed { symbol, index }),
            // The feed was not read so far: nothing may be left out that it could still hold.
            None => {
                let known = self.ahead.range(due..index).zip(due..).take_while(|((number, _), next)| *number == next).count();
                let next = due + known as u64;
                if next < index {
                    return Err(CoreError::Missing { symbol, next, asked: index });
                }
            }
        }
        while let Some(bar) = self.ahead.first_key_value().map(|(_, bar)| *bar).filter(|bar| bar.index < index) {
            let placed = self.place(&bar)?;
            let outcome = self.engines.warm(&symbol, &placed);
            self.release();
            outcome?;
            self.ahead.remove(&bar.index);
        }
        Ok(())
    }

    /// The bar as the engines count it.
    fn place(&mut self, bar: &Bar) -> Result<Bar, CoreError> {
        let symbol = &self.instrument.symbol;
        let index = match (self.places.of(bar.index), self.places.newest()) {
            (Some(place), _) => place,
            (None, Some(newest)) if bar.index < newest => {
                let forgotten =
                    self.places.numbers.front().is_some_and(|oldest| bar.index < *oldest) && self.places.given > PLACES as u64;
                let (symbol, index) = (symbol.clone(), bar.index);
                return Err(if forgotten {
                    StrategicEngineError::Forgotten { symbol, index, next: newest.saturating_add(1) }.into()
                } else {
                    CoreError::NotInFeed { symbol, index }
                });
            }
            (None, _) => self.places.give(bar.index),
        };
        Ok(Bar { index, ..*bar })
    }

    /// A place that no stage has used goes to the next bar.
    fn release(&mut self) {
        while self.places.given > self.engines.taken(&self.instrument.symbol) {
            self.places.release();
        }
    }
}

/// The event and its decision under the number that the bar has in the feed.
fn numbered(mut decided: strategic::Decided, index: u64) -> strategic::Decided {
    let event_id = format!("{}/{index}/{}", decided.event.symbol, decided.event.synergy_type.name());
    decided.event.event_id.clone_from(&event_id);
    decided.decision.event_id = event_id;
    decided.decision.index = index;
    decided
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::sync::LazyLock;

    use crate::testing::{daily_bars, following, swift_stage};
    use tradewind_core::time::Nanos;

    /// A bundle of two symbols that acts early and often.
    fn bundle() -> BundleConfig {
        let instrument = |symbol: &str| serde_json::json!({"symbol": symbol, "pointValue": "1", "tick": "0.01", "lot": "1"});
        serde_json::from_value(serde_json::json!({
            "bundle": "0123456789ab", "policy": "indices", "feed": "default", "image": "tradewind:1",
            "instruments": [instrument("SPX"), instrument("IXIC")],
            "strategic": swift_stage(), "tactical": {"minSynergyConfidence": 0.0}, "checkpoints": []
        }))
        .unwrap()
    }

    static SPX: LazyLock<Vec<v1::Bar>> = LazyLock::new(|| daily_bars("SPX", 310));
    static IXIC: LazyLock<Vec<v1::Bar>> = LazyLock::new(|| daily_bars("IXIC", 310));

    fn bar(symbol: &str, index: u64) -> v1::Bar {
        let made = if symbol == "IXIC" { &IXIC[index as usize] } else { &SPX[index as usize] };
        v1::Bar { symbol: symbol.to_owned(), ..made.clone() }
    }

    /// The bar as the feed has it; sequences do not matter here.
    fn load(core: &mut Core, bar: v1::Bar) {
        core.load(&SequencedBar { sequence: bar.index + 1, arrived: Nanos(bar.close_time_ns), bar });
    }

    fn core() -> Core {
        Core::new(bundle(), following()).unwrap()
    }

    fn decisions(core: &mut Core, range: std::ops::Range<u64>) -> Vec<Decision> {
        let symbols = ["SPX", "IXIC"];
        range.flat_map(|index| symbols.map(|symbol| bar(symbol, index))).map(|bar| core.decide(&bar).unwrap().decision).collect()
    }

    #[test]
    fn a_core_that_loads_the_past_answers_like_one_that_lived_through_it() {
        let lived = decisions(&mut core(), 0..300);
        let contexts = lived.iter().filter(|decision| decision.synergy.is_some()).count();
        let executed = lived.iter().filter(|decision| decision.execute).count();
        assert!(contexts > 100 && executed > 20, "{contexts} contexts, {executed} executed");
        for restart in [0, 1, 79, 80, 150, 299] {
            let mut restarted = core();
            // All that the feed holds, far beyond what was asked so far.
            for index in 0..300 {
                load(&mut restarted, bar("SPX", index));
                load(&mut restarted, bar("IXIC", index));
                load(&mut restarted, bar("OTHER", index));
            }
            assert_eq!(decisions(&mut restarted, restart..300), lived[restart as usize * 2..], "restart at {restart}");
        }
    }

    #[test]
    fn asking_again_gives_the_same_and_takes_no_network() {
        let mut core = core();
        let lived = decisions(&mut core, 0..200);
        let again = core.decide(&bar("SPX", 150)).unwrap();
        assert_eq!((again.decision, again.networks), (lived[300].clone(), Duration::ZERO));
    }

    #[test]
    fn missing_bars_are_named_and_asked_after_they_came() {
        let mut core = core();
        decisions(&mut core, 0..90);
        let missing = core.decide(&bar("SPX", 95)).unwrap_err();
        assert_eq!(missing, CoreError::Missing { symbol: "SPX".to_owned().try_into().unwrap(), next: 90, asked: 95 });
        (0..95).for_each(|index| load(&mut core, bar("SPX", index)));
        let mut whole = super::Core::new(bundle(), following()).unwrap();
        decisions(&mut whole, 0..95);
        assert_eq!(core.decide(&bar("SPX", 95)).unwrap().decision, whole.decide(&bar("SPX", 95)).unwrap().decision);
    }

    #[test]
    fn a_feed_that_contradicts_a_question_is_refused() {
        let mut core = core();
        decisions(&mut core, 0..90);
        load(&mut core, bar("SPX", 90));
        let other = v1::Bar { volume: 1.0, ..bar("SPX", 90) };
        assert!(matches!(core.decide(&other), Err(CoreError::Engine(EngineError::Rewritten { index: 90, .. }))));
        core.decide(&bar("SPX", 90)).unwrap();
        assert!(matches!(core.decide(&v1::Bar { high_nanos: 1, ..bar("SPX", 91) }), Err(CoreError::Bar(_))));
        assert!(matches!(core.decide(&bar("DAX", 0)), Err(CoreError::UnknownSymbol(symbol)) if symbol == "DAX"));
    }

    #[test]
    fn a_bar_of_long_ago_is_answered_after_forgetting_and_loading_again() {
        let mut core = core();
        let lived = decisions(&mut core, 0..300);
        let forgotten = core.decide(&bar("SPX", 100)).unwrap_err();
        assert!(matches!(forgotten, CoreError::Strategic(StrategicEngineError::Forgotten { index: 100, next: 300, .. })));
        assert!(forgotten.is_forgotten());
        core.forget("SPX").unwrap();
        (0..300).for_each(|index| load(&mut core, bar("SPX", index)));
        assert_eq!(core.decide(&bar("SPX", 100)).unwrap().decision, lived[200]);
        assert_eq!(core.decide(&bar("IXIC", 299)).unwrap().decision, lived[599], "the other symbol is untouched");
    }

    /// D14: numbers that the feed left out are passed over, and the answers are those of the same bars without a hole.
    #[test]
    fn a_hole_of_the_feed_is_passed_over() {
        let left_out = [5, 150, 151, 152, 201];
        let numbers = || (0..300_u64).filter(|index| !left_out.contains(index));
        let mut whole = core();
        // The same bars, numbered without holes.
        let dense: Vec<_> =
            (0..).zip(numbers()).map(|(at, index)| whole.decide(&v1::Bar { index: at, ..bar("SPX", index) }).unwrap()).collect();
        for loaded in [0, 100, 299] {
            let mut core = core();
            (0..=loaded).filter(|index| !left_out.contains(index)).for_each(|index| load(&mut core, bar("SPX", index)));
            for (at, index) in numbers().enumerate() {
                if let Err(CoreError::Missing { asked, .. }) = core.decide(&bar("SPX", index)) {
                    assert!(asked == index && left_out.contains(&(index - 1)), "{index}");
                    // The process reads the feed up to this bar.
                    (0..=index).filter(|index| !left_out.contains(index)).for_each(|index| load(&mut core, bar("SPX", index)));
                }
                let found = core.decide(&bar("SPX", index)).unwrap();
                let expected = Decision { index, ..dense[at].decision.clone() };
                assert_eq!(found.decision, expected, "{index}");
                let event =
                    |decided: &Option<strategic::Decided>| decided.as_ref().map(|one| one.decision.ensemble_probabilities);
                assert_eq!(event(&found.strategic), event(&dense[at].strategic), "{index}");
                if let Some(decided) = found.strategic {
                    assert_eq!((decided.decision.index, decided.decision.symbol.as_str()), (index, "SPX"));
                    assert!(decided.event.event_id.starts_with(&format!("SPX/{index}/")), "{}", decided.event.event_id);
                }
            }
            assert!(dense.iter().filter(|decided| decided.strategic.is_some()).count() > 3);
        }
    }

    /// D4, D5: what nobody may take of the feed changes no later answer, and who asks for it is refused for good.
    #[test]
    fn impossible_bars_of_the_feed_are_passed_over() {
        let mut lived = core();
        let wrong = |index| v1::Bar { volume: 2.5e27, ..bar("SPX", index) };
        let mut loaded = core();
        for index in 0..200 {
            load(&mut loaded, if index % 50 == 7 { wrong(index) } else { bar("SPX", index) });
        }
        for (at, index) in (0..200).filter(|index| index % 50 != 7).enumerate() {
            let expected = lived.decide(&v1::Bar { index: at as u64, ..bar("SPX", index) }).unwrap().decision;
            assert_eq!(loaded.decide(&bar("SPX", index)).unwrap().decision, Decision { index, ..expected });
        }
        assert!(matches!(loaded.decide(&wrong(207)), Err(CoreError::Bar(_))));
        let skipped = loaded.decide(&bar("SPX", 157)).unwrap_err();
        assert!(matches!(skipped, CoreError::NotInFeed { index: 157, .. }), "{skipped}");
    }
}
