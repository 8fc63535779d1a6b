//! Feature states and networks of one bundle, moved forward bar by bar on demand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tradewind_domain::bar::Bar;
use tradewind_domain::instrument::{Instrument, Symbol};
use tradewind_domain::tactical::{ConfigError, Decision, Engine, EngineError, Logits, Matrix, Network, NetworkError};
use tradewind_wire::config::BundleConfig;
use tradewind_wire::convert::{ConvertError, bar_from_wire};
use tradewind_wire::v1;

/// Why a bar was not decided.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CoreError {
    /// The bundle cannot be served.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An instrument of the bundle is wrong.
    #[error(transparent)]
    Instrument(#[from] tradewind_domain::instrument::InstrumentError),
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
    /// The engine refuses or the networks give no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A decision and how long its parts took.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The networks; zero when the answer was remembered or the symbol is warming up.
    pub networks: Duration,
    /// Features and aggregation: everything but the networks.
    pub rest: Duration,
}

/// One bundle: an engine per symbol over shared networks.
///
/// Bars of the feed are kept aside until a later bar is asked, so the state never runs ahead of
/// the questions: a policy that is behind the feed's head, as in a fast replay, gets the same answers.
#[derive(Debug)]
pub struct Core<N> {
    bundle: BundleConfig,
    network: Shared<N>,
    symbols: BTreeMap<String, SymbolState<N>>,
}

#[derive(Debug)]
struct SymbolState<N> {
    instrument: Instrument,
    engine: Engine<Shared<N>>,
    /// Bars of the feed that nobody has asked for, by number.
    ahead: BTreeMap<u64, Bar>,
}

/// Networks used by several engines of one thread, with the time they took.
#[derive(Debug)]
struct Shared<N>(Rc<RefCell<(N, Duration)>>);

impl<N> Clone for Shared<N> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<N: Network> Network for Shared<N> {
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
        let (network, spent) = &mut *self.0.borrow_mut();
        let begun = Instant::now();
        let answer = network.logits(matrix);
        *spent += begun.elapsed();
        answer
    }
}

impl<N: Network> Core<N> {
    /// A core without any bars.
    ///
    /// # Errors
    /// [`CoreError::Config`] and [`CoreError::Instrument`] for a bundle that cannot be served.
    pub fn new(bundle: BundleConfig, network: N) -> Result<Self, CoreError> {
        let network = Shared(Rc::new(RefCell::new((network, Duration::ZERO))));
        let mut symbols = BTreeMap::new();
        for instrument in bundle.instruments()? {
            let engine = engine(&bundle, &instrument, network.clone())?;
            symbols.insert(instrument.symbol.to_string(), SymbolState { instrument, engine, ahead: BTreeMap::new() });
        }
        Ok(Self { bundle, network, symbols })
    }

    /// Takes a bar of the feed. Bars of other symbols and bars that were asked already are passed
    /// over; what a question later contradicts is refused then.
    ///
    /// # Errors
    /// [`CoreError::Bar`] for an impossible bar.
    pub fn load(&mut self, message: &v1::Bar) -> Result<(), CoreError> {
        let Some(state) = self.symbols.get_mut(&message.symbol) else { return Ok(()) };
        let bar = bar_from_wire(message, &state.instrument)?;
        if bar.index >= next_index(state) {
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
        self.network.0.borrow_mut().1 = Duration::ZERO;
        let unknown = || CoreError::UnknownSymbol(message.symbol.clone());
        let state = self.symbols.get_mut(&message.symbol).ok_or_else(unknown)?;
        let bar = bar_from_wire(message, &state.instrument)?;
        let symbol = &state.instrument.symbol;
        while next_index(state) < bar.index {
            let next = next_index(state);
            let missing = || CoreError::Missing { symbol: symbol.clone(), next, asked: bar.index };
            let known = state.ahead.get(&next).ok_or_else(missing)?;
            state.engine.warm(symbol, known)?;
            state.ahead.remove(&next);
        }
        if state.ahead.get(&bar.index).is_some_and(|known| *known != bar) {
            return Err(EngineError::Rewritten { symbol: symbol.clone(), index: bar.index }.into());
        }
        let decision = state.engine.decide(symbol, &bar)?;
        state.ahead.remove(&bar.index);
        let networks = self.network.0.borrow().1;
        Ok(Decided { decision, networks, rest: begun.elapsed().saturating_sub(networks) })
    }

    /// Forgets everything about a symbol, so that its bars can be loaded from the first again.
    ///
    /// # Errors
    /// [`CoreError::UnknownSymbol`].
    pub fn forget(&mut self, symbol: &str) -> Result<(), CoreError> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| CoreError::UnknownSymbol(symbol.to_owned()))?;
        state.engine = engine(&self.bundle, &state.instrument, self.network.clone())?;
        state.ahead.clear();
        Ok(())
    }
}

fn next_index<N: Network>(state: &SymbolState<N>) -> u64 {
    state.engine.next_index(&state.instrument.symbol).unwrap_or(0)
}

fn engine<N: Network>(
    bundle: &BundleConfig,
    instrument: &Instrument,
    network: Shared<N>,
) -> Result<Engine<Shared<N>>, ConfigError> {
    let only = std::slice::from_ref(instrument);
    Engine::new(&bundle.bundle, bundle.tactical.clone(), bundle.synergy_source, only, network)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// A bundle of two symbols with default thresholds.
    pub(crate) fn bundle() -> BundleConfig {
        let instrument = |symbol: &str| serde_json::json!({"symbol": symbol, "pointValue": "1", "tick": "0.01", "lot": "1"});
        serde_json::from_value(serde_json::json!({
            "bundle": "0123456789ab", "policy": "indices", "feed": "default", "image": "tradewind:1",
            "instruments": [instrument("SPX"), instrument("IXIC")],
            "tactical": {}, "synergySource": "Momentum", "checkpoints": []
        }))
        .unwrap()
    }

    /// Follows the five-bar momentum.
    pub(crate) struct Follow;

    impl Network for Follow {
        fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
            let up = 8.0 * matrix[59][5].signum();
            Ok([[up, 0.0, -up], [up, 0.0, -up], [0.0, 8.0, 0.0]])
        }
    }

    /// A wave with gaps; the symbols differ.
    pub(crate) fn bar(symbol: &str, index: u64) -> v1::Bar {
        let at = |index: f64| 1000.0 + 40.0 * (index / if symbol == "SPX" { 7.0 } else { 5.0 }).sin();
        let price = |value: f64| (value * 100.0) as i64 * 10_000_000;
        let (open, close) = (at(index as f64 - 1.0), at(index as f64));
        v1::Bar {
            symbol: symbol.into(),
            index,
            open_time_ns: index as i64 * 86_400_000_000_000,
            close_time_ns: (index as i64 + 1) * 86_400_000_000_000,
            open_nanos: price(open),
            high_nanos: price(open.max(close) + 1.0),
            low_nanos: price(open.min(close) - 1.0),
            close_nanos: price(close),
            volume: 1000.0 + (index % 5) as f64 * 300.0,
        }
    }

    fn core() -> Core<Follow> {
        Core::new(bundle(), Follow).unwrap()
    }

    fn decisions(core: &mut Core<Follow>, range: std::ops::Range<u64>) -> Vec<Decision> {
        let symbols = ["SPX", "IXIC"];
        range.flat_map(|index| symbols.map(|symbol| bar(symbol, index))).map(|bar| core.decide(&bar).unwrap().decision).collect()
    }

    #[test]
    fn a_core_that_loads_the_past_answers_like_one_that_lived_through_it() {
        let lived = decisions(&mut core(), 0..300);
        assert!(lived.iter().any(|decision| decision.execute));
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
        let mut whole = super::Core::new(bundle(), Follow).unwrap();
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
        assert!(matches!(forgotten, CoreError::Engine(EngineError::Forgotten { index: 100, next: 300, .. })));
        core.forget("SPX").unwrap();
        (0..300).for_each(|index| core.load(&bar("SPX", index)).unwrap());
        assert_eq!(core.decide(&bar("SPX", 100)).unwrap().decision, lived[200]);
        assert_eq!(core.decide(&bar("IXIC", 299)).unwrap().decision, lived[599], "the other symbol is untouched");
    }
}
