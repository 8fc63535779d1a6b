//! The state of the engine: a fold over its records.

use std::collections::{BTreeMap, VecDeque};

use tradewind_core::account::{Account, Fill};
use tradewind_core::instrument::{Instrument, Lots, Symbol};
use tradewind_core::money::Money;
use tradewind_core::orders::{OrderEvent, OrderId, Progress, Role};
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;
use tradewind_venue::paper::{VenueEvent, What};

use crate::error::ExecutionError;
use crate::plan::FIRST_GUARD;
use crate::record::{AccountFigures, BarRecord, OrderRecord, Outcome, Record, TradeRecord};

/// Trades and finished orders that are kept in memory (EX-80).
const KEPT: usize = 1_000;

/// An order and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOrder {
    /// As journaled.
    pub record: OrderRecord,
    /// State and sizes.
    pub progress: Progress,
    /// Code of the gate's denial; empty without one.
    pub denial: String,
}

impl LiveOrder {
    /// Signed size left.
    #[must_use]
    pub fn left(&self) -> Lots {
        Lots(self.progress.left() * self.record.order.lots.0.signum())
    }
}

/// A trade and the next free child index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TradeState {
    pub(crate) record: TradeRecord,
    pub(crate) next_child: u32,
}

/// Everything the engine remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    pub(crate) account_name: String,
    pub(crate) policy: String,
    pub(crate) account: Account,
    pub(crate) epoch: u64,
    /// Drawn and not yet answered.
    pub(crate) claim: Option<String>,
    pub(crate) sequence: u64,
    pub(crate) event_time: Nanos,
    pub(crate) bars: BTreeMap<Symbol, BarRecord>,
    pub(crate) working: BTreeMap<OrderId, LiveOrder>,
    finished: BTreeMap<OrderId, LiveOrder>,
    finished_order: VecDeque<OrderId>,
    trades: BTreeMap<String, TradeState>,
    trade_order: VecDeque<String>,
    newest_trade: BTreeMap<Symbol, u64>,
    pub(crate) holding: BTreeMap<Symbol, String>,
    pub(crate) fills: u64,
    /// Bar of the newest fill of a symbol.
    pub(crate) filled_in: BTreeMap<Symbol, u64>,
    pub(crate) venue_number: u64,
    pub(crate) halted: Option<String>,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) figures: AccountFigures,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            account_name: String::new(),
            policy: String::new(),
            account: Account::new(Money::ZERO),
            epoch: 0,
            claim: None,
            sequence: 0,
            event_time: Nanos::default(),
            bars: BTreeMap::new(),
            working: BTreeMap::new(),
            finished: BTreeMap::new(),
            finished_order: VecDeque::new(),
            trades: BTreeMap::new(),
            trade_order: VecDeque::new(),
            newest_trade: BTreeMap::new(),
            holding: BTreeMap::new(),
            fills: 0,
            filled_in: BTreeMap::new(),
            venue_number: 0,
            halted: None,
            state: "Halted".to_owned(),
            reason: "no bar has been met yet".to_owned(),
            figures: AccountFigures::default(),
        }
    }

    /// The account as booked from fills.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Working orders, by order id.
    #[must_use]
    pub const fn working(&self) -> &BTreeMap<OrderId, LiveOrder> {
        &self.working
    }

    /// Number of fills booked.
    #[must_use]
    pub const fn fills(&self) -> u64 {
        self.fills
    }

    /// Position in the feed up to which bars are done.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), ExecutionError> {
        match record {
            Record::Opened { account, policy, starting_equity } => {
                self.account_name.clone_from(account);
                self.policy.clone_from(policy);
                self.account = Account::new(*starting_equity);
            }
            Record::Listed { instrument } => self.account.register(instrument)?,
            Record::Claimed { claim } => self.claim = Some(claim.clone()),
            Record::Acquired { epoch } => (self.epoch, self.claim) = (*epoch, None),
            Record::Trade(trade) => self.take_trade(trade),
            Record::Order(order) => self.take_order(order)?,
            Record::CancelSent { order_id } => self.progress(order_id, OrderEvent::CancelSent)?,
            Record::Denied { order_id, denial, .. } => {
                if let Some(live) = self.working.get_mut(order_id) {
                    live.denial.clone_from(denial);
                }
                self.progress(order_id, OrderEvent::VenueRejected)?;
            }
            Record::Dropped { order_id, .. } => self.progress(order_id, OrderEvent::Cancelled)?,
            Record::Venue(event) => self.venue_event(event)?,
            Record::Bar(bar) => self.finish_bar(bar)?,
            Record::Halt { halt, reason } => self.halted = halt.then(|| reason.clone()),
        }
        Ok(())
    }

    fn take_trade(&mut self, trade: &TradeRecord) {
        let newest = self.newest_trade.entry(trade.symbol.clone()).or_insert(trade.index);
        *newest = trade.index.max(*newest);
        let state = TradeState { record: trade.clone(), next_child: FIRST_GUARD };
        if self.trades.insert(trade.trade_id.clone(), state).is_none() {
            self.trade_order.push_back(trade.trade_id.clone());
        }
        // The trade that holds a position is kept, however old it is.
        for _ in KEPT..self.trade_order.len() {
            let Some(oldest) = self.trade_order.pop_front() else { break };
            if self.holding.values().any(|held| *held == oldest) {
                self.trade_order.push_back(oldest);
            } else {
                self.trades.remove(&oldest);
            }
        }
    }

    fn take_order(&mut self, record: &OrderRecord) -> Result<(), ExecutionError> {
        let id = record.order.id.clone();
        let progress = Progress::new(record.order.lots.0.abs());
        self.working.insert(id.clone(), LiveOrder { record: record.clone(), progress, denial: String::new() });
        if let (Role::Stop | Role::Target, Some(trade)) = (record.role, self.trades.get_mut(&record.trade_id)) {
            trade.next_child += 1;
        }
        self.progress(&id, OrderEvent::Validated)?;
        self.progress(&id, OrderEvent::Sent)
    }

    /// Moves an order; one that ends leaves the working set.
    fn progress(&mut self, id: &OrderId, event: OrderEvent) -> Result<(), ExecutionError> {
        let Some(live) = self.working.get_mut(id).or_else(|| self.finished.get_mut(id)) else {
            return Err(ExecutionError::UnknownOrder { number: self.venue_number, order_id: id.clone() });
        };
        live.progress.apply(event).map_err(|source| ExecutionError::Transition { order_id: id.clone(), source })?;
        if live.progress.state.is_terminal()
            && let Some(ended) = self.working.remove(id)
        {
            self.finished.insert(id.clone(), ended);
            self.finished_order.push_back(id.clone());
            if self.finished_order.len() > KEPT
                && let Some(oldest) = self.finished_order.pop_front()
            {
                self.finished.remove(&oldest);
            }
        }
        Ok(())
    }

    fn venue_event(&mut self, event: &VenueEvent) -> Result<(), ExecutionError> {
        if event.number <= self.venue_number {
            return Ok(());
        }
        self.venue_number = event.number;
        let id = &event.order_id;
        match &event.what {
            What::Accepted => self.progress(id, OrderEvent::Accepted),
            What::Reduced { lots } => self.progress(id, OrderEvent::Reduced { lots: lots.0.abs() }),
            What::Cancelled { .. } => self.progress(id, OrderEvent::Cancelled),
            What::Filled { lots, price, fee, at, bar } => {
                let order =
                    self.order(id).ok_or_else(|| ExecutionError::UnknownOrder { number: event.number, order_id: id.clone() })?;
                let (symbol, trade_id) = (order.record.order.symbol.clone(), order.record.trade_id.clone());
                let fill = Fill { symbol, lots: *lots, price: *price, fee: *fee, event_time: *at };
                self.account.book(&fill)?;
                self.fills += 1;
                self.hold(&fill.symbol, &trade_id);
                self.filled_in.insert(fill.symbol, *bar);
                self.progress(id, OrderEvent::Filled { lots: lots.0.abs() })
            }
        }
    }

    /// Notes which trade holds the position: its levels protect it.
    fn hold(&mut self, symbol: &Symbol, filled: &str) {
        let Some(side) = Side::of(self.account.lots(symbol)) else {
            self.holding.remove(symbol);
            return;
        };
        let fits = |trade_id: &str| self.trades.get(trade_id).is_some_and(|trade| trade.record.side == side);
        if fits(filled) {
            self.holding.insert(symbol.clone(), filled.to_owned());
        } else if !self.holding.get(symbol).is_some_and(|trade_id| fits(trade_id)) {
            self.holding.remove(symbol);
        }
    }

    fn finish_bar(&mut self, bar: &BarRecord) -> Result<(), ExecutionError> {
        self.account.mark(&bar.symbol, bar.close, bar.close_time)?;
        self.sequence = bar.sequence;
        self.event_time = self.event_time.max(bar.close_time);
        self.state.clone_from(&bar.state);
        self.reason.clone_from(&bar.reason);
        self.figures = bar.figures;
        self.bars.insert(bar.symbol.clone(), bar.clone());
        Ok(())
    }

    pub(crate) fn order(&self, id: &OrderId) -> Option<&LiveOrder> {
        self.working.get(id).or_else(|| self.finished.get(id))
    }

    pub(crate) fn trade(&self, trade_id: &str) -> Option<&TradeState> {
        self.trades.get(trade_id)
    }

    /// Trades whose planned orders were not all checked: a crash came between.
    pub(crate) fn unfinished_trades(&self) -> Vec<String> {
        let unfinished = |trade: &&TradeState| match &trade.record.outcome {
            Outcome::Planned { orders } => orders.iter().any(|(_, order)| self.order(&order.id).is_none()),
            Outcome::TurnedAway { .. } => false,
        };
        // Only the newest trade of a symbol can be unfinished; older ones may have lost finished orders to age.
        let newest = |trade: &&TradeState| self.newest_trade.get(&trade.record.symbol) == Some(&trade.record.index);
        self.trades.values().filter(newest).filter(unfinished).map(|trade| trade.record.trade_id.clone()).collect()
    }

    /// Whether a trade of this bar or a later one was taken in before.
    pub(crate) fn is_old_trade(&self, symbol: &Symbol, index: u64) -> bool {
        self.newest_trade.get(symbol).is_some_and(|newest| index <= *newest)
    }

    pub(crate) fn instrument(&self, symbol: &Symbol) -> Option<&Instrument> {
        self.account.position(symbol).map(|position| &position.instrument)
    }

    pub(crate) fn working_of<'a>(&'a self, symbol: &'a Symbol, roles: &'a [Role]) -> impl Iterator<Item = &'a LiveOrder> {
        self.working.values().filter(move |live| live.record.order.symbol == *symbol && roles.contains(&live.record.role))
    }
}
