//! The tactical engine of one bundle: closed bars in, decisions out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Symbol, Ticks};
use tradewind_core::time::Nanos;

use super::NetworkError;
use super::aggregate::{AgentVote, Aggregate, HoldReason, Urgency, aggregate, distributions};
use super::config::{ConfigError, TacticalConfig, WARM_UP_BARS};
use super::features::{FeatureError, FeatureState, HISTORY, Snapshot};
use super::intent::{confidence_multiplier, levels};
use super::matrix::{MatrixError, Network, check_matrix};
use super::synergy::{Context, Synergy};
use crate::warm_up::{Stage, WarmUp};

/// What the networks of one bundle make of one bar (TA-28); field for field the `Decision` of the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Bundle that decided.
    pub bundle: String,
    /// Symbol of the bar.
    pub symbol: Symbol,
    /// Number of the bar.
    pub index: u64,
    /// Event time of the decision.
    pub close_time: Nanos,
    /// Votes of `fvg`, `momentum`, `entry`; empty while warming up.
    pub agents: Vec<AgentVote>,
    /// Strategic context, if any.
    pub synergy: Option<Synergy>,
    /// +1 long, -1 short, 0 hold; 0 unless `execute`.
    pub action: i8,
    /// The networks want to trade; gates and limits come later.
    pub execute: bool,
    /// Score of the winner after the counter-synergy penalty.
    pub confidence: f64,
    /// Scores of long, hold and short.
    pub scores: [f64; 3],
    /// How soon, when the entry agent wants to act.
    pub urgency: Option<Urgency>,
    /// The winner has the synergy's direction (TA-32).
    pub synergy_aligned: bool,
    /// Why not, empty when `execute`: a [`HoldReason`] text, or one that a newer bundle knows.
    pub reason: String,
    /// Which stage is warming up and how far it is, when that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
    /// Protective stop; 0 unless `execute`.
    pub stop: Ticks,
    /// Take-profit; 0 unless `execute`.
    pub target: Ticks,
    /// Multiple of the base size (TA-30); 0 unless `execute`.
    pub confidence_multiplier: f64,
    /// Average true range in price units; 0 while unknown.
    pub atr: f64,
}

/// Why a bar was not decided.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// The bundle does not trade this symbol.
    #[error("{0} is not an instrument of this bundle")]
    UnknownSymbol(Symbol),
    /// The bar is impossible or not the one that is due.
    #[error("{symbol}: {source}")]
    Feature {
        /// Symbol of the bar.
        symbol: Symbol,
        /// What is wrong.
        source: FeatureError,
    },
    /// The bar lies too far back to be decided again.
    #[error("{symbol}: bar {index} was decided long ago, bar {next} is due")]
    Forgotten {
        /// Symbol of the bar.
        symbol: Symbol,
        /// Number of the bar.
        index: u64,
        /// Number of the bar that is due.
        next: u64,
    },
    /// The same bar was seen before with other figures.
    #[error("{symbol}: bar {index} came before with other figures; the feed must not rewrite bars")]
    Rewritten {
        /// Symbol of the bar.
        symbol: Symbol,
        /// Number of the bar.
        index: u64,
    },
    /// The matrix is not one (TA-6).
    #[error("{symbol}: {source}")]
    Matrix {
        /// Symbol of the bar.
        symbol: Symbol,
        /// What is wrong.
        source: MatrixError,
    },
    /// The networks could not be evaluated.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Feature states of all symbols of a bundle, and its networks.
///
/// Deterministic: a decision is a function of the bundle and of the bars of its symbol up to this one.
/// Asking again for one of the newest 65 bars gives the same decision.
#[derive(Debug)]
pub struct Engine<N> {
    bundle: String,
    config: TacticalConfig,
    symbols: BTreeMap<Symbol, SymbolState>,
    network: N,
}

#[derive(Debug)]
struct SymbolState {
    instrument: Instrument,
    features: FeatureState,
    /// Decisions by bar number modulo the length.
    decided: Vec<Option<Decision>>,
}

impl<N: Network> Engine<N> {
    /// An engine without any bars.
    ///
    /// # Errors
    /// [`ConfigError`] with every violation.
    pub fn new(
        bundle: impl Into<String>,
        config: TacticalConfig,
        instruments: &[Instrument],
        network: N,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let state = |instrument: &Instrument| SymbolState {
            instrument: instrument.clone(),
            features: FeatureState::new(&config),
            decided: vec![None; HISTORY + 1],
        };
        let symbols = instruments.iter().map(|instrument| (instrument.symbol.clone(), state(instrument))).collect();
        Ok(Self { bundle: bundle.into(), symbols, network, config })
    }

    /// Bundle that is served.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// Number of the bar of a symbol that is due next.
    #[must_use]
    pub fn next_index(&self, symbol: &Symbol) -> Option<u64> {
        self.symbols.get(symbol).map(|state| state.features.next_index())
    }

    /// Feature state of a symbol, for display and audit.
    #[must_use]
    pub fn features(&self, symbol: &Symbol) -> Option<&FeatureState> {
        self.symbols.get(symbol).map(|state| &state.features)
    }

    /// Takes a bar of the past without evaluating the networks: how a restarted process catches up.
    /// Bars that were taken before are checked, not taken twice.
    ///
    /// # Errors
    /// As [`Engine::decide`].
    pub fn warm(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), EngineError> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| EngineError::UnknownSymbol(symbol.clone()))?;
        take(state, bar)
    }

    /// Decides one bar in the context that the strategic stage gives it (TA-29, TA-34); idempotent: a bar that was
    /// decided keeps its first context.
    ///
    /// # Errors
    /// [`EngineError`]: a bar out of order, rewritten, too old, impossible, or networks that gave no answer.
    /// Nothing is decided then, and asking again is safe.
    pub fn decide(&mut self, symbol: &Symbol, bar: &Bar, context: impl Into<Context>) -> Result<Decision, EngineError> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| EngineError::UnknownSymbol(symbol.clone()))?;
        take(state, bar)?;
        let slot = bar.index as usize % state.decided.len();
        if let Some(decision) = &state.decided[slot]
            && decision.index == bar.index
        {
            return Ok(decision.clone());
        }
        let forgotten = || EngineError::Forgotten { symbol: symbol.clone(), index: bar.index, next: state.features.next_index() };
        let snapshot = state.features.snapshot(bar.index).ok_or_else(forgotten)?;
        let logits = match state.features.matrix(bar.index) {
            None => None,
            Some(matrix) => {
                check_matrix(matrix).map_err(|source| EngineError::Matrix { symbol: symbol.clone(), source })?;
                Some(self.network.logits(matrix)?)
            }
        };
        let draft = Draft { bundle: &self.bundle, instrument: &state.instrument, snapshot, config: &self.config };
        let decision = match logits {
            None => {
                let warm_up = WarmUp::of(Stage::Tactical, bar.index + 1, WARM_UP_BARS);
                Decision { warm_up, ..draft.hold(HoldReason::WarmingUp) }
            }
            Some(logits) => match distributions(&logits, &self.config) {
                None => draft.hold(HoldReason::NetworkNotFinite),
                Some(probabilities) => draft.decide(&probabilities, context.into()),
            },
        };
        state.decided[slot] = Some(decision.clone());
        Ok(decision)
    }
}

/// Takes the bar that is due; accepts a remembered one unchanged; refuses everything else.
fn take(state: &mut SymbolState, bar: &Bar) -> Result<(), EngineError> {
    let (symbol, next) = (&state.instrument.symbol, state.features.next_index());
    if bar.index >= next {
        return state.features.push(bar).map_err(|source| EngineError::Feature { symbol: symbol.clone(), source });
    }
    match state.features.snapshot(bar.index) {
        None => Err(EngineError::Forgotten { symbol: symbol.clone(), index: bar.index, next }),
        Some(known) if known.bar != *bar => Err(EngineError::Rewritten { symbol: symbol.clone(), index: bar.index }),
        Some(_) => Ok(()),
    }
}

/// What a decision is made from, the distributions aside.
struct Draft<'a> {
    bundle: &'a str,
    instrument: &'a Instrument,
    snapshot: &'a Snapshot,
    config: &'a TacticalConfig,
}

impl Draft<'_> {
    /// A decision that takes no risk.
    #[allow(clippy::cast_precision_loss)]
    fn hold(&self, reason: HoldReason) -> Decision {
        let bar = &self.snapshot.bar;
        Decision {
            bundle: self.bundle.to_owned(),
            symbol: self.instrument.symbol.clone(),
            index: bar.index,
            close_time: bar.close_time,
            agents: Vec::new(),
            synergy: None,
            action: 0,
            execute: false,
            confidence: 0.0,
            scores: [0.0; 3],
            urgency: None,
            synergy_aligned: false,
            reason: reason.text().to_owned(),
            warm_up: None,
            stop: Ticks(0),
            target: Ticks(0),
            confidence_multiplier: 0.0,
            atr: self.snapshot.atr_ticks.map_or(0.0, |atr| atr * self.instrument.tick.nanos() as f64 / 1e9),
        }
    }

    /// TA-27 with sizing and levels (TA-30, TA-31).
    fn decide(&self, probabilities: &[[f64; 3]; 3], context: Context) -> Decision {
        let (synergy, warm_up) = match context {
            Context::Synergy(synergy) => (Some(synergy), None),
            Context::WarmingUp(warm_up) => (None, Some(warm_up)),
            Context::Quiet => (None, None),
        };
        let Aggregate { votes, scores, winner, confidence, urgency, synergy_aligned, hold } =
            aggregate(probabilities, synergy.as_ref(), self.config);
        let hold = warm_up.map_or(hold, |_| Some(HoldReason::WarmingUp));
        let levels = match hold {
            Some(reason) => Err(reason),
            None => self
                .snapshot
                .atr_ticks
                .and_then(|atr| levels(winner, self.snapshot.bar.close, atr, self.config))
                .ok_or(HoldReason::NoRange),
        };
        let base = Decision {
            agents: votes.into(),
            synergy,
            confidence,
            scores,
            urgency,
            synergy_aligned,
            warm_up,
            ..self.hold(HoldReason::HoldVote)
        };
        match levels {
            Err(reason) => Decision { reason: reason.text().to_owned(), ..base },
            Ok(levels) => Decision {
                action: winner,
                execute: true,
                reason: String::new(),
                stop: levels.stop,
                target: levels.target,
                confidence_multiplier: confidence_multiplier(confidence, self.config),
                ..base
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::tactical::{Logits, Matrix, momentum_rule};
    use tradewind_core::money::Money;

    /// Votes long when the last close rose over five bars, and counts how often it was asked.
    struct Follow {
        asked: usize,
        answer: fn(&Matrix) -> Result<Logits, NetworkError>,
    }

    impl Network for Follow {
        fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
            self.asked += 1;
            (self.answer)(matrix)
        }
    }

    #[allow(clippy::unnecessary_wraps)]
    fn follow(matrix: &Matrix) -> Result<Logits, NetworkError> {
        let up = 8.0 * matrix[59][5].signum();
        Ok([[up, 0.0, -up], [up, 0.0, -up], [0.0, 8.0, 0.0]])
    }

    fn instrument() -> Instrument {
        let amount = |text: &str| text.parse::<Money>().unwrap();
        Instrument::new("SPX".to_owned().try_into().unwrap(), amount("0.01"), amount("1"), amount("1")).unwrap()
    }

    fn engine(answer: fn(&Matrix) -> Result<Logits, NetworkError>) -> Engine<Follow> {
        Engine::new("b1", TacticalConfig::default(), &[instrument()], Follow { asked: 0, answer }).unwrap()
    }

    fn bar(index: u64) -> Bar {
        let wave = (index as f64 / 7.0).sin();
        let close = (100_000.0 + 4_000.0 * wave) as i64;
        let open = (100_000.0 + 4_000.0 * ((index as f64 - 1.0) / 7.0).sin()) as i64;
        let [open_ticks, high, low, close_ticks] = [open, open.max(close) + 100, open.min(close) - 100, close].map(Ticks);
        let time = Nanos(index as i64 * 300_000_000_000);
        let volume = 1000.0 + (index % 5) as f64 * 300.0;
        Bar { index, open_time: time, close_time: time, open: open_ticks, high, low, close: close_ticks, volume }
    }

    fn spx() -> Symbol {
        instrument().symbol
    }

    /// Decides in the context of the baseline, with which the following network always agrees.
    fn decide(engine: &mut Engine<Follow>, index: u64) -> Result<Decision, EngineError> {
        engine.warm(&spx(), &bar(index))?;
        let snapshot = engine.features(&spx()).and_then(|features| features.snapshot(index));
        let context = snapshot.and_then(|snapshot| momentum_rule(&snapshot.raw, &TacticalConfig::default()));
        engine.decide(&spx(), &bar(index), context)
    }

    /// TA-7, TA-28, TA-31: warming up for 79 bars, then votes; what executes has levels on the right sides.
    #[test]
    fn decisions_of_a_following_network() {
        let mut engine = engine(follow);
        let mut executed = [0, 0];
        for index in 0..300 {
            let decision = decide(&mut engine, index).unwrap();
            assert_eq!((decision.index, decision.bundle.as_str()), (index, "b1"));
            if index < 79 {
                assert_eq!((decision.reason.as_str(), decision.agents.len()), ("warming_up", 0));
                continue;
            }
            assert_eq!(decision.agents.len(), 3);
            assert!(decision.atr > 2.0);
            let close = bar(index).close;
            if decision.execute {
                executed[usize::from(decision.action < 0)] += 1;
                assert!(decision.reason.is_empty() && decision.synergy_aligned && decision.confidence >= 0.65);
                let ordered = [decision.stop, close, decision.target];
                let ordered = if decision.action > 0 { ordered } else { [ordered[2], ordered[1], ordered[0]] };
                assert!(ordered[0] < ordered[1] && ordered[1] < ordered[2]);
            } else {
                assert!(!decision.reason.is_empty());
                assert_eq!((decision.action, decision.stop, decision.target), (0, Ticks(0), Ticks(0)));
            }
        }
        assert!(executed[0] > 20 && executed[1] > 20, "{executed:?}");
        assert_eq!(engine.network.asked, 221, "once per bar from the 80th");
    }

    /// Idempotent by bar number; after a restart the same decision without asking for the past.
    #[test]
    fn asking_again_and_restarting_give_the_same_decision() {
        let mut first = engine(follow);
        let decisions: Vec<Decision> = (0..200).map(|index| decide(&mut first, index).unwrap()).collect();
        let asked = first.network.asked;
        for index in 135..200 {
            assert_eq!(decide(&mut first, index).unwrap(), decisions[index as usize]);
        }
        assert_eq!(first.network.asked, asked, "answered from memory");
        let forgotten = decide(&mut first, 134);
        assert_eq!(forgotten, Err(EngineError::Forgotten { symbol: spx(), index: 134, next: 200 }));

        let mut second = engine(follow);
        for index in 0..200 {
            second.warm(&spx(), &bar(index)).unwrap();
        }
        assert_eq!(second.network.asked, 0);
        for index in [199, 150, 135] {
            assert_eq!(decide(&mut second, index).unwrap(), decisions[index as usize]);
        }
    }

    /// Bars out of order, rewritten or of another symbol are refused, and the due bar still decides.
    #[test]
    fn what_is_not_the_due_bar_is_refused() {
        let mut engine = engine(follow);
        for index in 0..100 {
            decide(&mut engine, index).unwrap();
        }
        let gap = decide(&mut engine, 101);
        assert!(
            matches!(gap, Err(EngineError::Feature { source: FeatureError::Gap { expected: 100, found: 101 }, .. })),
            "{gap:?}"
        );
        let rewritten = engine.decide(&spx(), &Bar { close: bar(99).open, ..bar(99) }, None);
        assert_eq!(rewritten, Err(EngineError::Rewritten { symbol: spx(), index: 99 }));
        let other: Symbol = "IXIC".to_owned().try_into().unwrap();
        assert_eq!(engine.decide(&other, &bar(100), None), Err(EngineError::UnknownSymbol(other)));
        let impossible = engine.decide(&spx(), &Bar { volume: f64::NAN, ..bar(100) }, None);
        assert!(matches!(impossible, Err(EngineError::Feature { source: FeatureError::Bar(_), .. })));
        assert_eq!(decide(&mut engine, 100).unwrap().index, 100);
    }

    /// A network that fails gives no decision and may be asked again; one that answers NaN holds.
    #[test]
    fn networks_that_fail_take_no_risk() {
        let mut failing = engine(|_| Err(NetworkError("out of order".into())));
        for index in 0..79 {
            decide(&mut failing, index).unwrap();
        }
        assert!(matches!(decide(&mut failing, 79), Err(EngineError::Network(_))));
        failing.network.answer = follow;
        let late = decide(&mut failing, 79).unwrap();
        let mut fine = engine(follow);
        (0..79).for_each(|index| drop(decide(&mut fine, index).unwrap()));
        assert_eq!(late, decide(&mut fine, 79).unwrap());

        let mut nan = engine(|_| Ok([[f32::NAN; 3]; 3]));
        let last = (0..200).map(|index| decide(&mut nan, index).unwrap()).last().unwrap();
        assert_eq!((last.reason.as_str(), last.execute), ("network_not_finite", false));
    }

    /// The record survives JSON bit for bit.
    #[test]
    fn decisions_survive_json() {
        let mut engine = engine(follow);
        for index in 0..200 {
            let decision = decide(&mut engine, index).unwrap();
            let text = serde_json::to_string(&decision).unwrap();
            assert!(!text.contains("-0.0"), "{text}");
            assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
        }
    }
}
