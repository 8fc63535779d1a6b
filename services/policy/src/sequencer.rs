//! The sequencer: one decision record per symbol and bar, written down before anything acts on it.
//!
//! Pure but for its journal: state is a function of the entries, so a restarted engine that replays them is the
//! engine that never stopped.

use std::collections::{BTreeMap, VecDeque};

use crate::active_policy::ActivePolicy;
use crate::gates::{GateInputs, first_refusal};
use crate::orchestrator::{CostLevel, Inputs, PerformanceTag, evaluate};
use crate::regime::{MarketState, Regime, RegimeEngine};
use crate::routing::candidate_drives;
use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::sizing::{self, SizingError, TradeIntent};
use tradewind_features::tactical::Decision;
use tradewind_journal::{JournalError, LedgerDigest, Log};
use tradewind_wire::admission::{Admission, REMEMBERED};

use crate::account::AccountSnapshot;
use crate::messages::Answer;
use crate::record::{DecisionRecord, Driver, Entry, PairKey, Trade, Trading, intent_of};
use crate::settings::Settings;

/// Messages of the past that market states are warmed with: more than any state reaches back.
pub const WARM: u64 = 100_000;
/// Evaluations without panic before the orchestrator's output counts unchanged again (PO-17).
const CALM_EVALUATIONS: u32 = 3;

/// Who may drive, as the rollout status says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// Bundle that serves.
    pub stable: String,
    /// Bundle on its way.
    pub candidate: Option<String>,
    /// Rollout step; 0 in the shadow phase.
    pub step: u32,
    /// Share of sessions that the candidate drives, basis points.
    pub weight_bps: u32,
    /// Confidence of the evidence, basis points.
    pub confidence_bps: u32,
}

impl Routing {
    /// One bundle and nothing on its way.
    #[must_use]
    pub fn fixed(bundle: impl Into<String>) -> Self {
        Self { stable: bundle.into(), ..Self::default() }
    }

    /// Bundle of a driver.
    #[must_use]
    pub fn bundle(&self, driver: Driver) -> Option<&str> {
        match driver {
            Driver::Stable => Some(&self.stable),
            Driver::Candidate => self.candidate.as_deref(),
        }
    }
}

/// What the policy's spec allows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Halted by the spec.
    pub halt: bool,
    /// What becomes of qualified trades.
    pub trading: Trading,
}

/// One bar with everything that its decision depends on.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Place in the stream.
    pub sequence: u64,
    /// Symbol of the bar.
    pub symbol: &'a Symbol,
    /// The bar.
    pub bar: &'a Bar,
    /// Who may drive.
    pub routing: &'a Routing,
    /// What the spec allows.
    pub control: Control,
    /// The bar came too late to be traded on (ruling 23).
    pub stale: bool,
    /// Account after the bar.
    pub account: &'a AccountSnapshot,
    /// Answer of the stable.
    pub stable: Answer,
    /// Answer of the candidate, when it was asked and answered in time.
    pub candidate: Option<Answer>,
}

/// Why a bar was not decided.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// The symbol is not traded by this policy.
    #[error("{0} is not an instrument of this policy")]
    UnknownSymbol(Symbol),
    /// The bar comes after one that was decided already.
    #[error("sequence {found} comes after sequence {last} was decided; every bar is decided once, in the order of the stream")]
    Past {
        /// Sequence of the bar.
        found: u64,
        /// Newest sequence decided.
        last: u64,
    },
    /// A bar of the symbol comes twice.
    #[error("{symbol}: bar {found} arrived, bar {expected} or a later one is due")]
    Order {
        /// Symbol of the bar.
        symbol: Symbol,
        /// Number seen.
        found: u64,
        /// Smallest number that is due.
        expected: u64,
    },
    /// The journal failed; the engine is useless until it is opened again.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The record has no ledger line.
    #[error("the record has no ledger line: {0}")]
    Line(#[from] serde_json::Error),
}

#[derive(Debug)]
struct SymbolState {
    instrument: Instrument,
    regime: RegimeEngine,
    /// Evaluations since the last panic.
    calm: u32,
    next_index: u64,
    last_trade: Option<u64>,
    /// The newest bars, oldest first.
    recent: VecDeque<Bar>,
}

/// What the market of a symbol looks like after a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Observed {
    market: Option<MarketState>,
    /// A panic is too recent for the usual policy.
    safe: bool,
}

impl SymbolState {
    fn new(instrument: Instrument, settings: &Settings) -> Self {
        Self {
            instrument,
            regime: RegimeEngine::new(settings.orchestrator.bars_per_day),
            // A symbol that never panicked starts calm.
            calm: CALM_EVALUATIONS,
            next_index: 0,
            last_trade: None,
            recent: VecDeque::new(),
        }
    }

    fn observe(&mut self, bar: &Bar) -> Observed {
        self.next_index = bar.index.saturating_add(1);
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(*bar);
        let market = self.regime.push(bar.close);
        let panic = market.is_some_and(|state| state.regime == Regime::Panic);
        self.calm = if panic { 0 } else { self.calm.saturating_add(1) };
        Observed { market, safe: self.calm < CALM_EVALUATIONS }
    }
}

/// The decider of one policy.
pub struct Engine {
    settings: Settings,
    symbols: BTreeMap<Symbol, SymbolState>,
    journal: Box<dyn Log<Entry>>,
    last: Option<Entry>,
    digest: LedgerDigest,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("policy", &self.settings.policy)
            .field("last", &self.last_sequence())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the engine on its journal and goes on where the journal ends.
    ///
    /// # Errors
    /// [`SequencerError`] when the journal cannot be read or belongs to other instruments.
    pub fn open(settings: Settings, journal: Box<dyn Log<Entry>>) -> Result<Self, SequencerError> {
        let entries = journal.records_from(0)?;
        let symbols = states(&settings);
        let mut engine = Self { settings, symbols, journal, last: None, digest: LedgerDigest::new() };
        for entry in entries {
            let entry = entry?;
            engine.observe(&entry.record.symbol, &entry.bar)?;
            engine.remember(entry)?;
        }
        Ok(engine)
    }

    /// Lets the market states begin with bars from before the first that was decided, oldest first. Nothing is decided or
    /// written; the journal is read again, because states follow from all bars in their order.
    ///
    /// # Errors
    /// [`SequencerError`] when the journal cannot be read, or holds bars of before these.
    pub fn warm(&mut self, past: &[(Symbol, Bar)]) -> Result<(), SequencerError> {
        let entries = self.journal.records_from(0)?;
        self.symbols = states(&self.settings);
        for (symbol, bar) in past {
            self.observe(symbol, bar)?;
        }
        for entry in entries {
            let entry = entry?;
            self.observe(&entry.record.symbol, &entry.bar)?;
            self.traded(&entry);
        }
        Ok(())
    }

    /// The gate for the bars behind those that the engine has seen.
    #[must_use]
    pub fn admission(&self) -> Admission {
        let mut admission = Admission::new(self.settings.freshness.kind, self.settings.instruments.values().cloned());
        for (symbol, state) in &self.symbols {
            state.recent.iter().for_each(|bar| admission.remember(symbol, bar));
        }
        admission
    }

    /// The newest bar of each symbol that had one.
    #[must_use]
    pub fn newest(&self) -> BTreeMap<Symbol, Bar> {
        self.symbols.iter().filter_map(|(symbol, state)| Some((symbol.clone(), *state.recent.back()?))).collect()
    }

    /// Settings of the engine.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Newest sequence decided; 0 before the first.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.last.as_ref().map_or(0, |entry| entry.record.sequence)
    }

    /// Newest entry.
    #[must_use]
    pub const fn last(&self) -> Option<&Entry> {
        self.last.as_ref()
    }

    /// Records written.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.digest.lines()
    }

    /// Digest of the decision ledger so far.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest.hex()
    }

    /// Entries after a sequence, oldest first.
    ///
    /// # Errors
    /// [`SequencerError::Journal`] when the journal cannot be read.
    pub fn entries_after(&self, sequence: u64) -> Result<Vec<Entry>, SequencerError> {
        let later = |entry: &Result<Entry, _>| entry.as_ref().map_or(true, |entry| entry.record.sequence > sequence);
        Ok(self.journal.records_from(0)?.filter(later).collect::<Result<_, _>>()?)
    }

    /// Who is to drive a symbol on a bar: sticky within the session and step.
    #[must_use]
    pub fn driver(&self, symbol: &Symbol, bar: &Bar, routing: &Routing) -> Driver {
        let session = self.settings.session(symbol, bar);
        let drawn = candidate_drives(&self.settings.policy, symbol.as_str(), session, routing.step, routing.weight_bps);
        if routing.candidate.is_some() && drawn { Driver::Candidate } else { Driver::Stable }
    }

    /// Decides one bar: picks the driver, applies orchestrator and gates, writes the record down, returns it.
    /// Asking again for the newest bar returns the same entry.
    ///
    /// # Errors
    /// [`SequencerError`]. After [`SequencerError::Journal`] the engine must be opened again.
    pub fn decide(&mut self, input: Input<'_>) -> Result<&Entry, SequencerError> {
        let last = self.last_sequence();
        if input.sequence <= last {
            let again = self.last.as_ref().filter(|entry| entry.record.sequence == input.sequence);
            return again.ok_or(SequencerError::Past { found: input.sequence, last });
        }
        let driver = self.driver(input.symbol, input.bar, input.routing);
        let observed = self.observe(input.symbol, input.bar)?;
        let entry = self.draft(input, driver, observed);
        self.journal.append(&entry)?;
        self.remember(entry)
    }

    /// Lets the market state of a symbol take its next bar.
    fn observe(&mut self, symbol: &Symbol, bar: &Bar) -> Result<Observed, SequencerError> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| SequencerError::UnknownSymbol(symbol.clone()))?;
        if bar.index < state.next_index {
            return Err(SequencerError::Order { symbol: symbol.clone(), found: bar.index, expected: state.next_index });
        }
        Ok(state.observe(bar))
    }

    /// Takes over an entry that is in the journal.
    fn remember(&mut self, entry: Entry) -> Result<&Entry, SequencerError> {
        self.digest.push(&entry.record)?;
        self.traded(&entry);
        Ok(self.last.insert(entry))
    }

    fn traded(&mut self, entry: &Entry) {
        if let Some(state) = self.symbols.get_mut(&entry.record.symbol)
            && entry.record.trade.is_some()
        {
            state.last_trade = Some(entry.record.index);
        }
    }

    /// The entry of a bar; nothing is changed.
    fn draft(&self, input: Input<'_>, planned: Driver, observed: Observed) -> Entry {
        let Input { sequence, symbol, bar, routing, control, stale, account, stable, candidate } = input;
        let (driver, Answer { decision, strategic }, kept) = match (planned, candidate) {
            (Driver::Candidate, Some(answer)) => (Driver::Candidate, answer, Some(stable.decision)),
            _ => (Driver::Stable, stable, None),
        };
        let policy = observed.market.map(|market| self.policy(&market, observed.safe, account));
        let verdict = match self.qualify(symbol, bar, control, account, policy.as_ref(), &decision) {
            // Features and states follow every bar, but an old price is no price to trade at.
            Ok(_) if stale => Err("stale_bar".to_owned()),
            verdict => verdict,
        };
        let (reason, trade) = match verdict {
            Ok(trade) => (String::new(), Some(trade)),
            Err(reason) => (reason, None),
        };
        let pair = routing.candidate.as_ref().map(|candidate| PairKey {
            stable: routing.stable.clone(),
            candidate: candidate.clone(),
            confidence_bps: routing.confidence_bps,
            bound_bps: self.settings.bound_bps(),
        });
        let record = DecisionRecord {
            sequence,
            symbol: symbol.clone(),
            index: bar.index,
            close_time: bar.close_time,
            driver,
            bundle: routing.bundle(driver).unwrap_or_default().to_owned(),
            fallback: planned != driver,
            step: routing.step,
            weight_bps: routing.weight_bps,
            trading: control.trading,
            account: account.figures,
            held_lots: account.lots(symbol).0,
            market: observed.market,
            policy,
            strategic,
            decision,
            reason,
            trade,
        };
        Entry { record, bar: *bar, pair, stable: kept }
    }

    /// The orchestrator's policy for a symbol (PO-51), stricter for a while after a panic (PO-17, PO-25).
    fn policy(&self, market: &MarketState, safe: bool, account: &AccountSnapshot) -> ActivePolicy {
        let symbols: Vec<_> = self.symbols.keys().map(|symbol| (symbol.clone(), PerformanceTag::Neutral)).collect();
        let inputs = Inputs {
            regime_tag: market.tag(),
            vol_level: market.vol_level,
            risk: account.figures.risk_inputs(),
            symbols: &symbols,
            ensemble_quality: None,
            spread_level: self.settings.spread_level(),
            slippage_level: CostLevel::Normal,
        };
        let policy = evaluate(&self.settings.orchestrator, &inputs);
        if safe { policy.made_safe() } else { policy }
    }

    /// TA-36: a trade, or the reason why not.
    fn qualify(
        &self,
        symbol: &Symbol,
        bar: &Bar,
        control: Control,
        account: &AccountSnapshot,
        policy: Option<&ActivePolicy>,
        decision: &Decision,
    ) -> Result<Trade, String> {
        let state = self.symbols.get(symbol).ok_or("unknown_symbol")?;
        let intent = intent_of(decision, bar.close).ok_or_else(|| decision.reason.clone())?;
        let scale = policy.map_or(0, |policy| policy.risk_scale_bps);
        let cap = policy.map_or(Money::ZERO, |policy| risk_cap(account.figures.equity, policy.max_risk_pct));
        let sized = fit(self.settings.base_notional, &state.instrument, TradeIntent { risk_scale_bps: scale, ..intent }, cap);
        let loss = sized.as_ref().map_or(Money::ZERO, |(_, loss)| *loss);
        let gates = GateInputs {
            policy_halt: control.halt,
            account: account.figures.state,
            policy,
            symbol,
            side: intent.side,
            confidence: decision.confidence,
            session_pnl_bps: account.figures.daily_pnl_bps,
            held: Side::of(account.lots(symbol)),
            open_positions: account.figures.open_positions,
            bars_since_trade: state.last_trade.map(|last| bar.index.saturating_sub(last)),
            position_risk_bps: loss_bps(loss, account.figures.equity),
        };
        if let Some(gate) = first_refusal(&self.settings.orchestrator.gates, &gates) {
            return Err(gate.text().to_owned());
        }
        let (risk_scale_bps, _) = sized.map_err(|error| error.code().to_owned())?;
        let entry_mode = policy.map(|policy| policy.entry_mode).ok_or("regime_unknown")?;
        Ok(Trade {
            trade_id: format!("{}/{}/{}", self.settings.policy, symbol, bar.index),
            side: intent.side,
            reference_price: intent.reference_price,
            stop: intent.stop,
            target: intent.target,
            confidence_multiplier: intent.confidence_multiplier,
            risk_scale_bps,
            entry_mode,
            paper: control.trading == Trading::Paper,
        })
    }
}

/// States without any bars.
fn states(settings: &Settings) -> BTreeMap<Symbol, SymbolState> {
    let instruments = settings.instruments.iter();
    instruments.map(|(symbol, instrument)| (symbol.clone(), SymbolState::new(instrument.clone(), settings))).collect()
}

/// Loss that one trade may make at its stop: `max_risk_pct` of equity, rounded down (PO-54).
#[allow(clippy::cast_possible_truncation)]
fn risk_cap(equity: Money, max_risk_pct: f64) -> Money {
    // Percent to hundred-thousandths of a percent: whole, so that money stays exact.
    let parts = (max_risk_pct * 1e5 + 1e-6).floor() as i128;
    Money::from_nanos(equity.nanos().max(0) * parts / 10_000_000)
}

/// Scale at which the loss at the stop stays within `cap`, and that loss.
fn fit(base: Money, instrument: &Instrument, intent: TradeIntent, cap: Money) -> Result<(u32, Money), SizingError> {
    let loss_at = |scale: u32| -> Result<Money, SizingError> {
        let lots = sizing::lots(base, instrument, &TradeIntent { risk_scale_bps: scale, ..intent })?;
        let distance = (intent.reference_price.0 - intent.stop.0).abs();
        Ok(Money::from_nanos(instrument.tick_value().nanos() * i128::from(lots.0) * i128::from(distance)))
    };
    let (mut scale, mut loss) = (intent.risk_scale_bps, loss_at(intent.risk_scale_bps)?);
    // Lots round down, so one step may leave a lot too many; each step makes the scale smaller.
    while loss > cap {
        scale = u32::try_from(i128::from(scale) * cap.nanos() / loss.nanos()).unwrap_or(0).min(scale.saturating_sub(1));
        loss = loss_at(scale)?;
    }
    Ok((scale, loss))
}

/// A loss in basis points of equity, rounded up; `None` when there is no equity.
fn loss_bps(loss: Money, equity: Money) -> Option<u64> {
    let down = (-loss).ratio_bps(equity)?;
    u64::try_from(-down).ok()
}
