//! The strategic engine of one bundle: closed bars in, decisions on synergy events out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tactical::{HISTORY, Synergy};
use crate::warm_up::WarmUp;
use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;

use super::decision::{DecisionConfig, ModelParameters, Request, StrategicDecision, StrategicNetwork, decide};
use super::event_stream::EventStream;
use super::features::{Snapshot, StrategicFeatureError};
use super::matrix::CheckedMatrix;
use super::schema::COLUMNS;
use super::stage::{MAX_CONTEXT_BARS, StageConfigError, StrategicStageConfig};
use super::synergy::{AcceptedEvent, SignalKind, SynergyEvent, SynergyType};

/// Bars remembered: those that may be asked again, and those whose decision may be the context of the oldest.
pub(super) const KEPT: usize = HISTORY + 1 + MAX_CONTEXT_BARS as usize;

/// `SYNERGY_DETECTED` as published (ST-39, ST-127).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SynergyDetected {
    /// Version of this form: 1.
    pub schema_version: u32,
    /// Unique name of the event, the same for every process that sees the feed (SU-72).
    pub event_id: String,
    /// Symbol.
    pub symbol: Symbol,
    /// Close of the newest strategic bar: the matrix that belongs to the event ends with it.
    pub bar_close_time: Nanos,
    /// Close of the feed's bar with which the event was known.
    pub detected_at: Nanos,
    /// Which pattern.
    pub synergy_type: SynergyType,
    /// +1 bullish, -1 bearish.
    pub direction: i8,
    /// 0 to 1.
    pub confidence: f64,
    /// The three signals in the order in which they came.
    pub signal_sequence: [SignalKind; 3],
    /// Volatility ratio at the close of the matrix (ST-33), if known.
    pub volatility_30: Option<f64>,
}

/// An event and what was decided on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The event.
    pub event: SynergyDetected,
    /// The decision; it may well say not to proceed (SU-76).
    pub decision: StrategicDecision,
}

/// Why a bar was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StrategicEngineError {
    /// The bundle does not trade this symbol.
    #[error("{0} is not an instrument of this bundle")]
    UnknownSymbol(Symbol),
    /// The bar is impossible or not the one that is due.
    #[error("{symbol}: {source}")]
    Feature {
        /// Symbol of the bar.
        symbol: Symbol,
        /// What is wrong.
        source: StrategicFeatureError,
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
}

/// Feature states of all symbols of a bundle, and its strategic networks.
///
/// Deterministic: an event is a function of the bars of its symbol up to this one, a decision of the event and the
/// bundle. Asking again for one of the newest 65 bars gives the same decision (ST-130). A restarted process continues
/// from a [`StrategicEngine::snapshot`] or reads the bars again by [`StrategicEngine::warm`], which asks no networks;
/// either way it then answers as if it had never stopped.
#[derive(Debug)]
pub struct StrategicEngine<N> {
    pub(super) config: StrategicStageConfig,
    model: ModelParameters,
    pub(super) symbols: BTreeMap<Symbol, SymbolState>,
    network: N,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SymbolState {
    symbol: Symbol,
    pub(super) stream: EventStream,
    /// Ring of the newest bars.
    taken: Vec<Taken>,
}

/// A bar and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Taken {
    bar: Bar,
    /// The event that it completed, with the number of the strategic bar that was the newest then.
    event: Option<(SynergyEvent, u64)>,
    /// How far the stage was from its first matrix then.
    warm_up: Option<WarmUp>,
    /// Decided when first asked.
    #[serde(skip)]
    decided: Option<Decided>,
}

impl<N: StrategicNetwork> StrategicEngine<N> {
    /// An engine without any bars, of instruments and the calendars of their markets.
    ///
    /// # Errors
    /// [`StageConfigError`] with every violation.
    pub fn new(
        config: StrategicStageConfig,
        model: ModelParameters,
        symbols: &[(Symbol, CalendarName)],
        network: N,
    ) -> Result<Self, StageConfigError> {
        let mut states = BTreeMap::new();
        for (symbol, calendar) in symbols {
            let stream = EventStream::new(&config, *calendar)?;
            let state = SymbolState { symbol: symbol.clone(), stream, taken: Vec::with_capacity(KEPT) };
            states.insert(symbol.clone(), state);
        }
        Ok(Self { config, model, symbols: states, network })
    }

    /// Number of the bar of a symbol that is due next.
    #[must_use]
    pub fn next_index(&self, symbol: &Symbol) -> Option<u64> {
        self.symbols.get(symbol).map(|state| state.stream.next_index())
    }

    /// What is known of the newest strategic bar of a symbol, for display and audit; whole once it is settled.
    #[must_use]
    pub fn newest(&self, symbol: &Symbol) -> Option<&Snapshot> {
        let features = self.symbols.get(symbol)?.stream.features();
        features.snapshot(features.next_index().checked_sub(1)?)
    }

    /// Takes a bar of the past without asking the networks: how a restarted process catches up. Bars that were taken
    /// before are checked, not taken twice.
    ///
    /// # Errors
    /// As [`StrategicEngine::decide`].
    pub fn warm(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), StrategicEngineError> {
        self.state(symbol)?.take(bar)
    }

    /// Takes one bar; the event that it completes, with the decision on it. Idempotent.
    ///
    /// # Errors
    /// [`StrategicEngineError`]: a bar out of order, rewritten, too old or impossible. Nothing is decided then, and
    /// asking again is safe. Networks that give no answer are no error but a fallback (ST-73).
    pub fn decide(&mut self, symbol: &Symbol, bar: &Bar) -> Result<Option<Decided>, StrategicEngineError> {
        self.state(symbol)?.take(bar)?;
        Ok(self.decided(symbol, bar.index).cloned())
    }

    /// Takes one bar; the context that tactical decisions have at it: the newest decision of this bar or of the
    /// `context_bars` before it, if it proceeds (TA-34, TA-35, TA-G26). Idempotent.
    ///
    /// # Errors
    /// As [`StrategicEngine::decide`].
    pub fn context(&mut self, symbol: &Symbol, bar: &Bar) -> Result<Option<Synergy>, StrategicEngineError> {
        let oldest = bar.index.saturating_sub(u64::from(self.config.context_bars));
        let state = self.state(symbol)?;
        state.take(bar)?;
        let newest = (oldest..=bar.index).rev().find(|index| state.at(*index).is_some_and(|taken| taken.event.is_some()));
        Ok(newest.and_then(|index| self.decided(symbol, index)?.decision.tactical_context()))
    }

    /// How far the stage was from its first matrix after one of the newest 65 bars of a symbol; `None` when it was warm
    /// or the bar is not known.
    #[must_use]
    pub fn warm_up(&self, symbol: &Symbol, index: u64) -> Option<WarmUp> {
        self.symbols.get(symbol)?.at(index)?.warm_up
    }

    /// Finishes the features of the newest bar of a symbol, which only a later decision needs: to be called behind an
    /// answer, so that it does not wait for them (ST-124). Whether and when changes no decision.
    pub fn settle(&mut self, symbol: &Symbol) {
        if let Some(state) = self.symbols.get_mut(symbol) {
            state.stream.settle();
        }
    }

    fn state(&mut self, symbol: &Symbol) -> Result<&mut SymbolState, StrategicEngineError> {
        self.symbols.get_mut(symbol).ok_or_else(|| StrategicEngineError::UnknownSymbol(symbol.clone()))
    }

    fn decided(&mut self, symbol: &Symbol, index: u64) -> Option<&Decided> {
        self.symbols.get_mut(symbol)?.decided(index, &mut self.network, &self.model, &self.config.decision)
    }
}

impl SymbolState {
    /// Takes the bar that is due; accepts a remembered one unchanged; refuses everything else.
    fn take(&mut self, bar: &Bar) -> Result<(), StrategicEngineError> {
        let (index, next) = (bar.index, self.stream.next_index());
        if index < next {
            let askable = next - index <= HISTORY as u64 + 1;
            return match self.at(index).filter(|_| askable) {
                None => Err(StrategicEngineError::Forgotten { symbol: self.symbol.clone(), index, next }),
                Some(known) if known.bar != *bar => Err(StrategicEngineError::Rewritten { symbol: self.symbol.clone(), index }),
                Some(_) => Ok(()),
            };
        }
        let failed = |source| StrategicEngineError::Feature { symbol: self.symbol.clone(), source };
        let event = self.stream.take(bar).map_err(failed)?;
        let newest = self.stream.features().next_index().checked_sub(1);
        let warm_up = self.stream.features().warm_up();
        let taken = Taken { bar: *bar, event: event.zip(newest), warm_up, decided: None };
        match self.taken.get_mut(place(index)) {
            Some(old) => *old = taken,
            None => self.taken.push(taken),
        }
        Ok(())
    }

    fn at(&self, index: u64) -> Option<&Taken> {
        self.taken.get(place(index)).filter(|taken| taken.bar.index == index)
    }

    fn decided<N: StrategicNetwork>(
        &mut self,
        index: u64,
        network: &mut N,
        model: &ModelParameters,
        config: &DecisionConfig,
    ) -> Option<&Decided> {
        let taken = self.taken.get_mut(place(index)).filter(|taken| taken.bar.index == index)?;
        let (event, row) = taken.event?;
        if taken.decided.is_none() {
            self.stream.settle();
            let features = self.stream.features();
            let snapshot = features.snapshot(row)?;
            let matrix = features.matrix(row);
            let matrix = matrix.and_then(|matrix| CheckedMatrix::new(matrix.as_flattened(), COLUMNS, config.matrix).ok());
            let synergy = AcceptedEvent::from(&event);
            let event = detected(&self.symbol, &taken.bar, &event, snapshot);
            let request = Request {
                event_id: &event.event_id,
                symbol: &self.symbol,
                index,
                detected_at: event.detected_at,
                bar_close_time: event.bar_close_time,
                synergy,
                volatility: event.volatility_30,
                regime_label: snapshot.label,
            };
            let decision = decide(&request, matrix.as_ref(), network, model, config);
            taken.decided = Some(Decided { event, decision });
        }
        taken.decided.as_ref()
    }
}

fn detected(symbol: &Symbol, bar: &Bar, event: &SynergyEvent, snapshot: &Snapshot) -> SynergyDetected {
    SynergyDetected {
        schema_version: 1,
        event_id: format!("{symbol}/{}/{}", bar.index, event.synergy_type.name()),
        symbol: symbol.clone(),
        bar_close_time: snapshot.candle.close_time,
        detected_at: bar.close_time,
        synergy_type: event.synergy_type,
        direction: event.direction,
        confidence: event.confidence,
        signal_sequence: event.signal_sequence,
        volatility_30: snapshot.readings.volatility.map(|volatility| volatility.ratio),
    }
}

/// Place of a bar in the ring.
#[allow(clippy::cast_possible_truncation)]
const fn place(index: u64) -> usize {
    (index % KEPT as u64) as usize
}
