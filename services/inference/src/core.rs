//! Feature states and networks of one bundle, moved forward bar by bar on demand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_features::strategic::decision::{self, ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{self, StageConfigError, StrategicEngine, StrategicEngineError};
use tradewind_features::tactical::{self, ConfigError, Context, Decision, Engine, EngineError, Matrix, Network, NetworkError};
use tradewind_wire::config::BundleConfig;
use tradewind_wire::convert::{ConvertError, bar_from_wire};
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
    /// An instrument of the bundle is wrong.
    #[error(transparent)]
    Instrument(#[from] tradewind_core::instrument::InstrumentError),
    /// The bar's symbol is none of the bundle's.
    #[error("{0} is not an instrument of this bundle")]
    UnknownSymbol(String),
    /// The bar is impossible.
    #[error(transparent)]
    Bar(#[from] ConvertError),
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
}

struct SymbolState {
    instrument: Instrument,
    calendar: CalendarName,
    engines: Engines,
    /// Bars of the feed that nobody has asked for, by number.
    ahead: BTreeMap<u64, Bar>,
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
    /// [`CoreError::Config`], [`CoreError::Stage`] and [`CoreError::Instrument`] for a bundle that cannot be served.
    pub fn new(bundle: BundleConfig, networks: Networks) -> Result<Self, CoreError> {
        let Networks { strategic, parameters, tactical } = networks;
        let (strategic, tactical) = (Shared::new(strategic), Shared::new(tactical));
        let (instruments, calendars) = (bundle.instruments()?, bundle.calendars());
        let mut core = Self { bundle, strategic, parameters, tactical, symbols: BTreeMap::new() };
        for instrument in instruments {
            let calendar = calendars.get(&instrument.symbol).copied().unwrap_or_default();
            let engines = core.engines(&instrument, calendar)?;
            let state = SymbolState { engines, ahead: BTreeMap::new(), instrument, calendar };
            core.symbols.insert(state.instrument.symbol.to_string(), state);
        }
        Ok(core)
    }

    /// Takes a bar of the feed. Bars of other symbols and bars that were asked already are passed
    /// over; what a question later contradicts is refused then.
    ///
    /// # Errors
    /// [`CoreError::Bar`] for an impossible bar.
    pub fn load(&mut self, message: &v1::Bar) -> Result<(), CoreError> {
        let Some(state) = self.symbols.get_mut(&message.symbol) else { return Ok(()) };
        let bar = bar_from_wire(message, &state.instrument)?;
        if bar.index >= state.next_index() {
            state.ahead.insert(bar.index, bar);
        }
        Ok(())
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
        let bar = bar_from_wire(message, &state.instrument)?;
        state.catch_up(bar.index)?;
        let symbol = &state.instrument.symbol;
        if state.ahead.get(&bar.index).is_some_and(|known| *known != bar) {
            return Err(EngineError::Rewritten { symbol: symbol.clone(), index: bar.index }.into());
        }
        let synergy = state.engines.strategic.context(symbol, &bar)?;
        let context = match (synergy, state.engines.strategic.warm_up(symbol, bar.index)) {
            (None, Some(warm_up)) => Context::WarmingUp(warm_up),
            (synergy, _) => synergy.into(),
        };
        let strategic = state.engines.strategic.decide(symbol, &bar)?;
        let strategic_stage = begun.elapsed();
        let decision = state.engines.tactical.decide(symbol, &bar, context)?;
        state.ahead.remove(&bar.index);
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
        self.symbols.insert(symbol.to_owned(), SymbolState { engines, ahead: BTreeMap::new(), instrument, calendar });
        Ok(())
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

impl SymbolState {
    /// Number of the bar that is due: a bar that one stage took and the other refused is not done.
    fn next_index(&self) -> u64 {
        let symbol = &self.instrument.symbol;
        let due = [self.engines.strategic.next_index(symbol), self.engines.tactical.next_index(symbol)];
        due.into_iter().flatten().min().unwrap_or(0)
    }

    /// Takes the bars before this one that nobody has asked for, from what was loaded of the feed.
    fn catch_up(&mut self, index: u64) -> Result<(), CoreError> {
        while self.next_index() < index {
            let (next, symbol) = (self.next_index(), &self.instrument.symbol);
            let missing = || CoreError::Missing { symbol: symbol.clone(), next, asked: index };
            let known = self.ahead.get(&next).ok_or_else(missing)?;
            self.engines.strategic.warm(symbol, known)?;
            self.engines.tactical.warm(symbol, known)?;
            self.ahead.remove(&next);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::sync::LazyLock;

    use crate::testing::{daily_bars, following, swift_stage};

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
                restarted.load(&bar("SPX", index)).unwrap();
                restarted.load(&bar("IXIC", index)).unwrap();
                restarted.load(&bar("OTHER", index)).unwrap();
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
        (0..95).for_each(|index| core.load(&bar("SPX", index)).unwrap());
        let mut whole = super::Core::new(bundle(), following()).unwrap();
        decisions(&mut whole, 0..95);
        assert_eq!(core.decide(&bar("SPX", 95)).unwrap().decision, whole.decide(&bar("SPX", 95)).unwrap().decision);
    }

    #[test]
    fn a_feed_that_contradicts_a_question_is_refused() {
        let mut core = core();
        decisions(&mut core, 0..90);
        core.load(&bar("SPX", 90)).unwrap();
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
        (0..300).for_each(|index| core.load(&bar("SPX", index)).unwrap());
        assert_eq!(core.decide(&bar("SPX", 100)).unwrap().decision, lived[200]);
        assert_eq!(core.decide(&bar("IXIC", 299)).unwrap().decision, lived[599], "the other symbol is untouched");
    }
}
