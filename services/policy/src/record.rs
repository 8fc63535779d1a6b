//! What is written down of every bar: the line of the ledger and the entry of the journal.

use crate::active_policy::{ActivePolicy, EntryMode};
use crate::regime::MarketState;
use serde::{Deserialize, Serialize};
use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Symbol, Ticks};
use tradewind_core::side::Side;
use tradewind_core::sizing::TradeIntent;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::Decided;
use tradewind_features::tactical::Decision;
use tradewind_wire::v1;

use crate::account::AccountFigures;

/// Which revision decided a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// The bundle that serves.
    Stable,
    /// The bundle on its way.
    Candidate,
}

/// Whether qualified trades become orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trading {
    /// Decisions are recorded, nothing is sent.
    Off,
    /// Decisions are recorded and followed in a book of their own, nothing is sent.
    Shadow,
    /// Qualified trades become orders at the paper venue.
    Paper,
}

/// One line of the decision ledger: exactly one per symbol and bar. It holds no wall-clock time, so the same
/// bars, bundle and settings give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// Place of the bar in the feed's stream: total order over symbols.
    pub sequence: u64,
    /// Symbol of the bar.
    pub symbol: Symbol,
    /// Number of the bar.
    pub index: u64,
    /// Event time of the decision.
    pub close_time: Nanos,
    /// Who drove.
    pub driver: Driver,
    /// Bundle of the driver.
    pub bundle: String,
    /// The candidate was to drive and did not answer, so the stable did.
    pub fallback: bool,
    /// Rollout step; 0 when nothing is on its way or in the shadow phase.
    pub step: u32,
    /// Share of sessions that the candidate drives, basis points.
    pub weight_bps: u32,
    /// What becomes of a qualified trade.
    pub trading: Trading,
    /// Account at the close of the bar.
    pub account: AccountFigures,
    /// Signed size held in the symbol, lots.
    pub held_lots: i64,
    /// Market state; absent while too few bars are known.
    pub market: Option<MarketState>,
    /// Trading policy in force; absent like the market state.
    pub policy: Option<ActivePolicy>,
    /// The synergy event that the bar completed for the driver, and its strategic decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategic: Option<Decided>,
    /// What the driver's networks decided.
    pub decision: Decision,
    /// Why there is no trade; empty when there is one.
    pub reason: String,
    /// The qualified trade.
    pub trade: Option<Trade>,
}

/// A qualified trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trade {
    /// `<policy>/<symbol>/<index>`: the key of idempotence.
    pub trade_id: String,
    /// Direction wanted.
    pub side: Side,
    /// Close of the deciding bar.
    pub reference_price: Ticks,
    /// Protective stop.
    pub stop: Ticks,
    /// Take-profit.
    pub target: Ticks,
    /// Multiple of the base size.
    pub confidence_multiplier: f64,
    /// Share of the base size that the orchestrator and the risk per trade leave, basis points.
    pub risk_scale_bps: u32,
    /// How to enter.
    pub entry_mode: EntryMode,
    /// Sent to execution; else only recorded.
    pub paper: bool,
}

impl DecisionRecord {
    /// The message for execution, if there is a trade that is to be sent.
    #[must_use]
    pub fn submission(&self) -> Option<v1::TradeQualified> {
        let trade = self.trade.as_ref().filter(|trade| trade.paper)?;
        Some(v1::TradeQualified {
            trade_id: trade.trade_id.clone(),
            symbol: self.symbol.to_string(),
            index: self.index,
            sequence: self.sequence,
            decided_at_ns: self.close_time.0,
            side: i32::from(trade.side == Side::Long) - i32::from(trade.side == Side::Short),
            reference_price_ticks: trade.reference_price.0,
            stop_ticks: trade.stop.0,
            target_ticks: trade.target.0,
            confidence: self.decision.confidence,
            confidence_multiplier: trade.confidence_multiplier,
            risk_scale_bps: trade.risk_scale_bps,
            entry_mode: trade.entry_mode.text().to_owned(),
            bundle: self.bundle.clone(),
            paper: trade.paper,
        })
    }
}

/// One entry of the decision journal: the ledger line and what is needed to go on from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The ledger line.
    pub record: DecisionRecord,
    /// The bar.
    pub bar: Bar,
    /// Pair that was compared on this bar, if a candidate was on its way.
    pub pair: Option<PairKey>,
    /// The stable's decision when the candidate drove.
    pub stable: Option<Decision>,
}

impl Entry {
    /// What the stable decided, whoever drove.
    #[must_use]
    pub fn stable_decision(&self) -> &Decision {
        self.stable.as_ref().unwrap_or(&self.record.decision)
    }
}

/// What a comparison is about; when any of it changes, measuring starts again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairKey {
    /// Bundle that serves.
    pub stable: String,
    /// Bundle on its way.
    pub candidate: String,
    /// Confidence of the interval, basis points.
    pub confidence_bps: u32,
    /// Differences beyond this count as this, basis points of starting equity per bar.
    pub bound_bps: f64,
}

/// What a decision wants at full scale, as the shadow books take it; `None` when it holds.
#[must_use]
pub fn intent_of(decision: &Decision, reference_price: Ticks) -> Option<TradeIntent> {
    let side = Side::from_sign(i64::from(decision.action)).filter(|_| decision.execute)?;
    Some(TradeIntent {
        side,
        reference_price,
        stop: decision.stop,
        target: decision.target,
        confidence_multiplier: decision.confidence_multiplier,
        risk_scale_bps: 10_000,
    })
}
