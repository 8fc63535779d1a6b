//! The engine: calls in messages, changes through the journal.

use std::collections::BTreeMap;

use tradewind_core::bar::Bar;
use tradewind_core::calendar::SessionId;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::orders::{Order, OrderId, OrderState, Role};
use tradewind_core::side::Side;
use tradewind_core::sizing::{self, TradeIntent};
use tradewind_core::time::Nanos;
use tradewind_journal::Log;
use tradewind_wire::config::TradingConfig;
use tradewind_wire::convert::{bar_from_wire, money_from_wire, money_to_wire, required};
use tradewind_wire::v1;

use crate::book::Book;
use crate::error::ExecutionError;
use crate::gate::RiskGate;
use crate::plan::{GuardPlace, entry_orders, guard_orders};
use crate::record::{BarRecord, OrderRecord, Outcome, Record, TradeRecord};
use crate::venue::Venue;

/// What an engine trades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionConfig {
    /// Account.
    pub account: String,
    /// Policy.
    pub policy: String,
    /// Instruments.
    pub instruments: Vec<Instrument>,
    /// Notional of a trade at multiplier 1 and full risk scale.
    pub base_notional: Money,
    /// Equity before the first trade.
    pub starting_equity: Money,
}

impl ExecutionConfig {
    /// The part of `trading.json` that execution reads.
    ///
    /// # Errors
    /// An instrument that is unusable.
    pub fn from_trading(config: &TradingConfig) -> Result<Self, tradewind_core::instrument::InstrumentError> {
        Ok(Self {
            account: config.account.clone(),
            policy: config.policy.clone(),
            instruments: config.instruments()?,
            base_notional: config.sizing.base_notional,
            starting_equity: config.starting_equity,
        })
    }
}

/// The execution engine of one policy. Generic over the risk service and the venue; one caller at a time.
pub struct Engine<R, V> {
    pub(crate) config: ExecutionConfig,
    symbols: BTreeMap<String, Instrument>,
    log: Box<dyn Log<Record>>,
    pub(crate) book: Book,
    pub(crate) gate: R,
    pub(crate) venue: V,
    pub(crate) recovered: bool,
}

impl<R, V> std::fmt::Debug for Engine<R, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).field("sequence", &self.book.sequence).finish_non_exhaustive()
    }
}

impl<R: RiskGate, V: Venue> Engine<R, V> {
    /// Replays the journal, or begins an empty one. Call [`Engine::recover`] before anything else.
    ///
    /// # Errors
    /// [`ExecutionError::OtherJournal`] when it was written for another account, policy or starting equity;
    /// [`ExecutionError::Journal`] when it cannot be read.
    pub fn open(config: ExecutionConfig, mut log: Box<dyn Log<Record>>, gate: R, venue: V) -> Result<Self, ExecutionError> {
        let mut book = Book::new();
        for record in log.replay()? {
            book.apply(&record)?;
        }
        let symbols = config.instruments.iter().map(|instrument| (instrument.symbol.to_string(), instrument.clone())).collect();
        let mut engine = Self { config, symbols, log, book, gate, venue, recovered: false };
        let config = engine.config.clone();
        let (account, policy, starting_equity) = (config.account, config.policy, config.starting_equity);
        if engine.log.is_empty() {
            engine.commit(vec![Record::Opened { account: account.clone(), policy: policy.clone(), starting_equity }])?;
        }
        let book = &engine.book;
        for (field, found, wanted) in [
            ("account", book.account_name.clone(), account),
            ("policy", book.policy.clone(), policy),
            ("startingEquity", book.account.starting_equity().to_string(), starting_equity.to_string()),
        ] {
            if found != wanted {
                return Err(ExecutionError::OtherJournal { field, found, wanted });
            }
        }
        for instrument in config.instruments {
            if engine.book.instrument(&instrument.symbol) != Some(&instrument) {
                engine.commit(vec![Record::Listed { instrument }])?;
            }
        }
        Ok(engine)
    }

    /// Moves event time to the close of a bar (`sequence` = its position in the feed): working orders meet it,
    /// positions are protected and valued, the risk service hears of it. Repeating a sequence changes nothing.
    ///
    /// # Errors
    /// [`ExecutionError`]; call again with the same bar, it continues where it stopped.
    pub fn advance(&mut self, request: &v1::AdvanceRequest) -> Result<v1::AccountView, ExecutionError> {
        self.ready()?;
        let message = required(request.bar.as_ref(), "AdvanceRequest", "bar")?;
        let Some(instrument) = self.symbols.get(&message.symbol).cloned() else {
            return Err(ExecutionError::UnknownSymbol(message.symbol.clone()));
        };
        let bar = bar_from_wire(message, &instrument)?;
        let symbol = &instrument.symbol;
        let known = self.book.bars.get(symbol).is_some_and(|newest| bar.index <= newest.index);
        if request.sequence <= self.book.sequence || known {
            return self.view();
        }
        self.gate.alive()?;
        // Written before the venue meets the bar: a restart that finds fills there books them in their session.
        if self.book.account.session().is_none_or(|session| session < SessionId::around_the_clock(bar.close_time)) {
            self.commit(vec![Record::Meeting { close_time: bar.close_time }])?;
        }
        self.venue.open(symbol, &bar)?;
        self.drain()?;
        self.protect(symbol, &bar)?;
        self.venue.range(symbol, &bar)?;
        self.drain()?;
        self.protect(symbol, &bar)?;
        self.finish(&instrument, &bar, request.sequence)?;
        self.view()
    }

    /// Turns a qualified trade into orders. The same trade id gets the same answer again.
    ///
    /// # Errors
    /// [`ExecutionError`]; call again with the same trade, it continues where it stopped.
    pub fn submit(&mut self, trade: &v1::TradeQualified) -> Result<v1::SubmitReply, ExecutionError> {
        self.ready()?;
        if self.book.trade(&trade.trade_id).is_none() {
            let record = self.plan(trade)?;
            self.commit(vec![Record::Trade(record)])?;
        }
        self.carry_out(&trade.trade_id)?;
        Ok(self.reply(&trade.trade_id))
    }

    /// Halts: working entries are taken back, new trades are refused, protective orders stay. Or releases.
    ///
    /// # Errors
    /// [`ExecutionError`]; call again.
    pub fn halt(&mut self, request: &v1::HaltRequest) -> Result<v1::HaltReply, ExecutionError> {
        self.ready()?;
        if request.halt != self.book.halted.is_some() {
            self.commit(vec![Record::Halt { halt: request.halt, reason: request.reason.clone() }])?;
        }
        let cancelled = if request.halt { self.cancel_entries()? } else { 0 };
        Ok(v1::HaltReply { cancelled })
    }

    /// Takes back every working entry; closes and protective orders stay. Returns how many.
    ///
    /// # Errors
    /// [`ExecutionError`]; call again.
    pub fn cancel_entries(&mut self) -> Result<u32, ExecutionError> {
        let entries = self.book.working.values().filter(|live| live.record.role == Role::Entry);
        let ids: Vec<OrderId> = entries.map(|live| live.record.order.id.clone()).collect();
        self.cancel(&ids)?;
        Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))
    }

    /// Whether [`Engine::recover`] has succeeded.
    #[must_use]
    pub const fn is_recovered(&self) -> bool {
        self.recovered
    }

    /// What the engine remembers.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// The venue.
    #[must_use]
    pub const fn venue(&self) -> &V {
        &self.venue
    }

    /// The risk service.
    pub const fn gate(&mut self) -> &mut R {
        &mut self.gate
    }

    /// The account as of the newest finished bar. Positions ascend by symbol; realised profit is after fees.
    ///
    /// # Errors
    /// [`ExecutionError::Message`] when an amount is beyond what a message carries.
    pub fn view(&self) -> Result<v1::AccountView, ExecutionError> {
        let account = &self.book.account;
        let mut positions = Vec::new();
        for position in account.positions() {
            let symbol = &position.instrument.symbol;
            let working = self.book.working.values().filter(|live| live.record.order.symbol == *symbol).count();
            positions.push(v1::PositionView {
                symbol: symbol.to_string(),
                lots: position.lots.0,
                average_price_ticks: position.average_price().0,
                realised_pnl: Some(money_to_wire(position.realised - position.fees)?),
                unrealised_pnl: Some(money_to_wire(position.unrealised())?),
                working_orders: u32::try_from(working).unwrap_or(u32::MAX),
            });
        }
        let halted = self.book.halted.as_ref().filter(|_| self.book.state == "Normal");
        let (state, reason) = halted.map_or((self.book.state.as_str(), &self.book.reason), |reason| ("ReduceOnly", reason));
        Ok(v1::AccountView {
            sequence: self.book.sequence,
            equity: Some(money_to_wire(account.equity())?),
            session_start_equity: Some(money_to_wire(account.session_start())?),
            daily_pnl_bps: account.daily_pnl_bps(),
            drawdown_bps: self.book.drawdown_bps,
            gross_exposure_bps: account.gross_exposure_bps(),
            losing_streak: account.losing_streak(),
            open_positions: account.open_positions(),
            positions,
            trading_state: state.to_owned(),
            trading_state_reason: reason.clone(),
            fencing_token: self.book.token,
        })
    }

    const fn ready(&self) -> Result<(), ExecutionError> {
        if self.recovered { Ok(()) } else { Err(ExecutionError::NotRecovered) }
    }

    pub(crate) fn commit(&mut self, records: Vec<Record>) -> Result<(), ExecutionError> {
        self.log.append_batch(&records)?;
        records.iter().try_for_each(|record| self.book.apply(record))
    }

    /// Journals what the venue told.
    pub(crate) fn drain(&mut self) -> Result<(), ExecutionError> {
        let events = self.venue.events_after(self.book.venue_number);
        let Some(newest) = events.last().map(|event| event.number) else { return Ok(()) };
        // Refused before it is journaled: what is journaled must be readable for ever.
        if let Some(event) = events.iter().find(|event| self.book.order(&event.order_id).is_none()) {
            return Err(ExecutionError::UnknownOrder { number: event.number, order_id: event.order_id.clone() });
        }
        self.commit(events.into_iter().map(Record::Venue).collect())?;
        self.venue.forget_through(newest);
        Ok(())
    }

    /// Makes sure that exactly the held position has a stop and a target.
    fn protect(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), ExecutionError> {
        let held = self.book.account.lots(symbol);
        let guards: Vec<_> = self.book.working_of(symbol, &[Role::Stop, Role::Target]).collect();
        let holder = self.book.holding.get(symbol).cloned();
        let fits = |live: &&crate::LiveOrder| {
            Some(&live.record.trade_id) == holder.as_ref()
                && live.left().0 == -held.0
                && live.progress.state != OrderState::CancelPending
        };
        let wanted = if held.0 == 0 { 0 } else { 2 };
        // While no order at all is allowed, what protects the position stays as it is.
        let all_refused = held.0 != 0 && self.book.state == "Halted";
        if all_refused || (guards.len() == wanted && guards.iter().all(fits)) {
            return Ok(());
        }
        let ids: Vec<OrderId> = guards.iter().map(|live| live.record.order.id.clone()).collect();
        self.cancel(&ids)?;
        if held.0 == 0 {
            return Ok(());
        }
        let orphan = || ExecutionError::Orphan(symbol.clone());
        let trade = holder.as_deref().and_then(|trade_id| self.book.trade(trade_id)).ok_or_else(orphan)?;
        let (trade_id, child) = (trade.record.trade_id.clone(), trade.next_child);
        let place = GuardPlace { trade_id: &trade_id, symbol, held, child, bar_index: bar.index, sent_at: bar.open_time };
        let orders = guard_orders(&place, trade.record.stop, trade.record.target);
        // The risk service must know the position before it is asked to let it be reduced.
        self.report(None, bar.close_time, self.book.sequence)?;
        let mut records = Vec::new();
        for (role, order) in orders {
            let record = self.check(&trade_id, role, order, bar.open, bar.open_time, bar.open_time)?;
            records.push(record);
        }
        // Both or none: a position is never left with half of its protection.
        self.commit(records.iter().cloned().map(Record::Order).collect())?;
        for record in records.iter().filter(|record| record.denial.is_empty()) {
            self.venue.place(self.book.token, &record.order)?;
        }
        self.drain()
    }

    fn cancel(&mut self, ids: &[OrderId]) -> Result<(), ExecutionError> {
        let working =
            |id: &&OrderId| self.book.working.get(id).is_some_and(|live| live.progress.state != OrderState::CancelPending);
        let records = ids.iter().filter(working).map(|order_id| Record::CancelSent { order_id: order_id.clone() }).collect();
        self.commit(records)?;
        for id in ids {
            self.venue.cancel(self.book.token, id)?;
        }
        self.drain()
    }

    /// Values the position, tells the risk service and closes the bar.
    fn finish(&mut self, instrument: &Instrument, bar: &Bar, sequence: u64) -> Result<(), ExecutionError> {
        let mark = v1::MarkEvent {
            symbol: instrument.symbol.to_string(),
            price_ticks: bar.close.0,
            event_time_ns: bar.close_time.0,
            point_value: Some(money_to_wire(instrument.point_value)?),
            tick: Some(money_to_wire(instrument.tick)?),
            lot: Some(money_to_wire(instrument.lot)?),
        };
        let (reported, closed) = (self.book.fills, self.book.closed.clone());
        let mut state = self.report(Some(mark), bar.close_time, sequence)?;
        // The bar's own mark, on a copy: the account as it will be once the bar is closed.
        let mut account = self.book.account.clone();
        account.roll_session(SessionId::around_the_clock(bar.close_time));
        account.mark(&instrument.symbol, bar.close, bar.close_time)?;
        let (ours, theirs) = (account.equity(), money_from_wire(required(state.equity, "RiskState", "equity")?)?);
        let differs = ours != theirs;
        if differs {
            state.state = "ReduceOnly".to_owned();
            state.reason = format!("equity is {ours} here and {theirs} at the risk service: compare both journals");
        }
        if state.state != "Normal" {
            self.cancel_entries()?;
        }
        self.commit(vec![Record::Bar(BarRecord {
            sequence,
            symbol: instrument.symbol.clone(),
            index: bar.index,
            close: bar.close,
            close_time: bar.close_time,
            reported,
            closed,
            state: state.state,
            reason: state.reason,
            drawdown_bps: state.drawdown_bps,
            differs,
        })])
    }

    fn report(&mut self, mark: Option<v1::MarkEvent>, session: Nanos, sequence: u64) -> Result<v1::RiskState, ExecutionError> {
        let mut fills = Vec::new();
        for known in &self.book.unreported {
            fills.push(v1::FillEvent {
                order_id: known.order_id.to_string(),
                fill_number: known.number,
                symbol: known.fill.symbol.to_string(),
                lots: known.fill.lots.0,
                price_ticks: known.fill.price.0,
                fee: Some(money_to_wire(known.fill.fee)?),
                event_time_ns: known.fill.event_time.0,
            });
        }
        Ok(self.gate.report(&v1::AccountReport {
            account: self.config.account.clone(),
            fencing_token: self.book.token,
            sequence,
            fills,
            mark,
            closed_order_ids: self.book.closed.clone(),
            session_time_ns: session.0,
        })?)
    }

    /// Asks the risk service about one order.
    pub(crate) fn check(
        &mut self,
        trade_id: &str,
        role: Role,
        order: Order,
        reference: Ticks,
        event_time: Nanos,
        data_time: Nanos,
    ) -> Result<OrderRecord, ExecutionError> {
        let unknown = || ExecutionError::UnknownSymbol(order.symbol.to_string());
        let instrument = self.book.instrument(&order.symbol).ok_or_else(unknown)?;
        let proposal = v1::OrderProposal {
            order_id: order.id.to_string(),
            account: self.config.account.clone(),
            fencing_token: self.book.token,
            symbol: order.symbol.to_string(),
            lots: order.lots.0,
            price_ticks: order.kind.price().unwrap_or(reference).0,
            reference_price_ticks: reference.0,
            reduce_only: order.reduce_only,
            event_time_ns: event_time.0,
            data_time_ns: data_time.0,
            point_value: Some(money_to_wire(instrument.point_value)?),
            tick: Some(money_to_wire(instrument.tick)?),
            lot: Some(money_to_wire(instrument.lot)?),
        };
        let verdict = self.gate.check_order(&proposal)?;
        if verdict.denial == "stale_fencing_token" {
            return Err(crate::GateError::Fenced(verdict.message).into());
        }
        let (denial, message) = if verdict.allowed { Default::default() } else { (verdict.denial, verdict.message) };
        Ok(OrderRecord { trade_id: trade_id.to_owned(), role, reference, order, denial, message })
    }

    /// Clock of the feed, and age of the symbol's newest bar.
    pub(crate) fn clocks(&self, symbol: &Symbol) -> (Nanos, Nanos) {
        (self.book.event_time, self.book.bars.get(symbol).map_or(Nanos(0), |bar| bar.close_time))
    }

    /// Reads a trade and decides what becomes of it.
    fn plan(&self, trade: &v1::TradeQualified) -> Result<TradeRecord, ExecutionError> {
        let Some(instrument) = self.symbols.get(&trade.symbol) else {
            return Err(ExecutionError::UnknownSymbol(trade.symbol.clone()));
        };
        let side = Side::from_sign(i64::from(trade.side)).ok_or_else(|| ExecutionError::Trade {
            trade_id: trade.trade_id.clone(),
            field: "side",
            seen: trade.side.to_string(),
            allowed: "+1 or -1",
        })?;
        let intent = TradeIntent {
            side,
            reference_price: Ticks(trade.reference_price_ticks),
            stop: Ticks(trade.stop_ticks),
            target: Ticks(trade.target_ticks),
            confidence_multiplier: trade.confidence_multiplier,
            risk_scale_bps: trade.risk_scale_bps,
        };
        let mut record = TradeRecord {
            trade_id: trade.trade_id.clone(),
            symbol: instrument.symbol.clone(),
            index: trade.index,
            sequence: trade.sequence,
            decided_at: Nanos(trade.decided_at_ns),
            side,
            reference: intent.reference_price,
            stop: intent.stop,
            target: intent.target,
            bundle: trade.bundle.clone(),
            outcome: Outcome::Planned { orders: Vec::new() },
        };
        record.outcome = match self.size(trade, &record, instrument, &intent) {
            Ok(size) => Outcome::Planned { orders: entry_orders(&record, self.book.account.lots(&record.symbol), size) },
            Err((status, reason)) => Outcome::TurnedAway { status: status.to_owned(), reason: reason.to_owned() },
        };
        Ok(record)
    }

    /// Size of a trade, or status and reason why there is none.
    fn size(
        &self,
        trade: &v1::TradeQualified,
        record: &TradeRecord,
        instrument: &Instrument,
        intent: &TradeIntent,
    ) -> Result<Lots, (&'static str, &'static str)> {
        let symbol = &record.symbol;
        let newest = self.book.bars.get(symbol).map(|bar| bar.index);
        if !trade.paper {
            return Err(("nothing_to_do", "not_paper"));
        }
        if self.book.halted.is_some() {
            return Err(("rejected", "halted"));
        }
        if self.book.bars.values().any(|bar| bar.differs && bar.sequence == self.book.sequence) {
            return Err(("rejected", "risk_account_differs"));
        }
        if self.book.is_old_trade(symbol, trade.index) || newest != Some(trade.index) {
            return Err(("rejected", "stale_decision"));
        }
        if self.book.working_of(symbol, &[Role::Entry, Role::Close]).next().is_some() {
            return Err(("nothing_to_do", "order_working"));
        }
        if Side::of(self.book.account.lots(symbol)) == Some(intent.side) {
            return Err(("nothing_to_do", "already_held"));
        }
        sizing::lots(self.config.base_notional, instrument, intent).map_err(|error| ("rejected", error.code()))
    }

    /// Checks and sends what is left of a plan. An entry waits for nothing but the verdict on its close.
    pub(crate) fn carry_out(&mut self, trade_id: &str) -> Result<(), ExecutionError> {
        let Some(trade) = self.book.trade(trade_id).map(|trade| trade.record.clone()) else { return Ok(()) };
        let Outcome::Planned { orders } = &trade.outcome else { return Ok(()) };
        let superseded = self.book.is_old_trade(&trade.symbol, trade.index + 1);
        for (role, order) in orders.iter().filter(|_| !superseded) {
            if self.book.order(&order.id).is_some() {
                continue;
            }
            let close = orders.iter().find(|(role, _)| *role == Role::Close).and_then(|(_, close)| self.book.order(&close.id));
            let record = if close.is_some_and(|close| close.progress.state == OrderState::Rejected) {
                let message = "the order that closes the earlier position was denied".to_owned();
                let (trade_id, role, reference, order) = (trade_id.to_owned(), *role, trade.reference, order.clone());
                OrderRecord { trade_id, role, reference, order, denial: "close_denied".to_owned(), message }
            } else {
                let (event_time, data_time) = self.clocks(&trade.symbol);
                self.check(trade_id, *role, order.clone(), trade.reference, event_time, data_time)?
            };
            let allowed = record.denial.is_empty();
            self.commit(vec![Record::Order(record)])?;
            if allowed {
                self.venue.place(self.book.token, order)?;
            }
            self.drain()?;
        }
        Ok(())
    }

    fn reply(&self, trade_id: &str) -> v1::SubmitReply {
        let answer = |status: &str, reason: &str, order_ids| v1::SubmitReply {
            trade_id: trade_id.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            order_ids,
        };
        let orders = match self.book.trade(trade_id).map(|trade| &trade.record.outcome) {
            Some(Outcome::Planned { orders }) => orders,
            Some(Outcome::TurnedAway { status, reason }) => return answer(status, reason, Vec::new()),
            None => return answer("rejected", "unknown_trade", Vec::new()),
        };
        let records: Vec<_> =
            orders.iter().filter_map(|(_, order)| self.book.order(&order.id)).map(|live| &live.record).collect();
        let sent: Vec<String> =
            records.iter().filter(|record| record.denial.is_empty()).map(|record| record.order.id.to_string()).collect();
        let denial = records.iter().map(|record| record.denial.as_str()).find(|denial| !denial.is_empty()).unwrap_or_default();
        answer(if sent.is_empty() { "rejected" } else { "accepted" }, denial, sent)
    }
}
