//! The engine: calls in messages, changes through the journal.

use std::collections::BTreeMap;

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Lots, Symbol};
use tradewind_core::money::Money;
use tradewind_core::orders::{OrderId, OrderState, Role};
use tradewind_journal::Log;
use tradewind_wire::config::TradingConfig;
use tradewind_wire::convert::{bar_from_wire, money_to_wire, required};
use tradewind_wire::v1;

use crate::book::Book;
use crate::error::ExecutionError;
use crate::gate::RiskGate;
use crate::messages;
use crate::record::{BarRecord, OrderRecord, Record};

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
    /// Unlike that of every other process that ever ran for the policy: what it claims the orders with.
    pub process: String,
}

impl ExecutionConfig {
    /// The part of `trading.json` that execution reads, and who this process is.
    ///
    /// # Errors
    /// An instrument that is unusable.
    pub fn from_trading(config: &TradingConfig, process: &str) -> Result<Self, tradewind_core::instrument::InstrumentError> {
        Ok(Self {
            account: config.account.clone(),
            policy: config.policy.clone(),
            instruments: config.instruments()?,
            base_notional: config.sizing.base_notional,
            starting_equity: config.starting_equity,
            process: process.to_owned(),
        })
    }
}

/// The execution engine of one policy. Generic over the gate of the account; one caller at a time.
pub struct Engine<R> {
    pub(crate) config: ExecutionConfig,
    pub(crate) symbols: BTreeMap<String, Instrument>,
    log: Box<dyn Log<Record>>,
    pub(crate) book: Book,
    pub(crate) gate: R,
    pub(crate) recovered: bool,
    /// Whether other policies wait for the places of this one, as the gate said last.
    shared: bool,
}

impl<R> std::fmt::Debug for Engine<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).field("sequence", &self.book.sequence).finish_non_exhaustive()
    }
}

impl<R: RiskGate> Engine<R> {
    /// Replays the journal, or begins an empty one. Call [`Engine::recover`] before anything else.
    ///
    /// # Errors
    /// [`ExecutionError::OtherJournal`] when it was written for another account, policy or starting equity;
    /// [`ExecutionError::Journal`] when it cannot be read.
    pub fn open(config: ExecutionConfig, log: Box<dyn Log<Record>>, gate: R) -> Result<Self, ExecutionError> {
        let mut book = Book::new();
        for record in log.records_from(0)? {
            book.apply(&record?)?;
        }
        let symbols = config.instruments.iter().map(|instrument| (instrument.symbol.to_string(), instrument.clone())).collect();
        let mut engine = Self { config, symbols, log, book, gate, recovered: false, shared: false };
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

    /// Moves event time to the close of a bar (`sequence` = its position in the feed): the gate lets working orders meet its
    /// own copy of the bar, positions are protected, the account is valued. Repeating a sequence changes nothing.
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
        // A restart may have come between the open of this bar and the protection of what it filled.
        if self.book.filled_in.get(symbol) == Some(&bar.index) {
            self.protect(symbol, &bar)?;
        }
        let reply = loop {
            let owner = Some(self.owner());
            let asked = v1::MeetRequest { owner, symbol: symbol.to_string(), sequence: request.sequence };
            let reply = self.gate.meet(&asked)?;
            self.drain(&reply.events)?;
            self.protect(symbol, &bar)?;
            if reply.done {
                break reply;
            }
        };
        self.shared = reply.shared;
        self.finish(symbol, &bar, request.sequence, reply)?;
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

    /// Tells the gate that everything of the feed up to a place is dealt with: policies of the same account go on behind
    /// it in the order of the feed.
    ///
    /// # Errors
    /// [`ExecutionError`]; whoever waits for it goes on by itself after a while.
    pub fn settle(&mut self, request: &v1::SettleRequest) -> Result<v1::SettleReply, ExecutionError> {
        self.ready()?;
        let told = v1::SettleOwnerRequest { owner: Some(self.owner()), sequence: request.sequence };
        self.gate.settle(&told)?;
        Ok(v1::SettleReply {})
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

    /// The gate.
    pub const fn gate(&mut self) -> &mut R {
        &mut self.gate
    }

    /// The account as of the newest finished bar: figures of all its policies as the gate has them, positions of this one
    /// ascending by symbol; realised profit is after fees.
    ///
    /// # Errors
    /// [`ExecutionError::Message`] when an amount is beyond what a message carries.
    pub fn view(&self) -> Result<v1::AccountView, ExecutionError> {
        let (account, figures) = (&self.book.account, &self.book.figures);
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
            equity: Some(money_to_wire(figures.equity)?),
            session_start_equity: Some(money_to_wire(figures.session_start)?),
            daily_pnl_bps: figures.daily_pnl_bps,
            drawdown_bps: figures.drawdown_bps,
            gross_exposure_bps: figures.gross_exposure_bps,
            losing_streak: figures.losing_streak,
            open_positions: figures.open_positions,
            positions,
            trading_state: state.to_owned(),
            trading_state_reason: reason.clone(),
            epoch: self.book.epoch,
            shared: self.shared,
        })
    }

    const fn ready(&self) -> Result<(), ExecutionError> {
        if self.recovered { Ok(()) } else { Err(ExecutionError::NotRecovered) }
    }

    pub(crate) fn commit(&mut self, records: Vec<Record>) -> Result<(), ExecutionError> {
        self.log.append_batch(&records)?;
        records.iter().try_for_each(|record| self.book.apply(record))
    }

    /// Number of records in the journal: no two claims of one journal are alike.
    pub(crate) fn records(&self) -> u64 {
        self.log.len()
    }

    /// Who asks the gate.
    pub(crate) fn owner(&self) -> v1::Owner {
        v1::Owner {
            account: self.config.account.clone(),
            policy: self.config.policy.clone(),
            epoch: self.book.epoch,
            acknowledged: self.book.venue_number,
        }
    }

    /// Journals what the venue told.
    pub(crate) fn drain(&mut self, messages: &[v1::VenueEvent]) -> Result<(), ExecutionError> {
        let mut events = messages::events(messages)?;
        events.retain(|event| event.number > self.book.venue_number);
        // Refused before it is journaled: what is journaled must be readable for ever.
        if let Some(event) = events.iter().find(|event| self.book.order(&event.order_id).is_none()) {
            return Err(ExecutionError::UnknownOrder { number: event.number, order_id: event.order_id.clone() });
        }
        let expected = (self.book.venue_number + 1..).zip(&events).find(|(number, event)| *number != event.number);
        if let Some((number, event)) = expected {
            return Err(ExecutionError::Answer(format!("event {} of the venue came where {number} was due", event.number)));
        }
        self.commit(events.into_iter().map(Record::Venue).collect())
    }

    /// Hands orders that are in the journal to the gate, and journals its verdicts.
    pub(crate) fn hand_over(&mut self, records: &[OrderRecord]) -> Result<(), ExecutionError> {
        let seen = |symbol: &Symbol| self.book.bars.get(symbol).map_or_else(Default::default, |bar| bar.close_time);
        let orders = records.iter().map(|record| messages::order(record, seen(&record.order.symbol))).collect();
        let reply = self.gate.place(&v1::PlaceRequest { owner: Some(self.owner()), orders })?;
        if reply.verdicts.len() != records.len() {
            let text = format!("{} verdicts on {} orders", reply.verdicts.len(), records.len());
            return Err(ExecutionError::Answer(text));
        }
        let mut denied = Vec::new();
        for (record, verdict) in records.iter().zip(reply.verdicts) {
            let id = &record.order.id;
            if verdict.order_id != id.as_str() {
                return Err(ExecutionError::Answer(format!("a verdict on {} where {id} was asked for", verdict.order_id)));
            }
            let waits = self.book.order(id).is_some_and(|live| live.progress.state == OrderState::PendingSubmit);
            if !verdict.allowed && waits {
                denied.push(Record::Denied { order_id: id.clone(), denial: verdict.denial, message: verdict.message });
            }
        }
        self.commit(denied)?;
        self.drain(&reply.events)
    }

    pub(crate) fn cancel(&mut self, ids: &[OrderId]) -> Result<(), ExecutionError> {
        let working =
            |id: &&OrderId| self.book.working.get(id).is_some_and(|live| live.progress.state != OrderState::CancelPending);
        let records = ids.iter().filter(working).map(|order_id| Record::CancelSent { order_id: order_id.clone() }).collect();
        self.commit(records)?;
        for some in ids.chunks(64) {
            let order_ids = some.iter().map(ToString::to_string).collect();
            let reply = self.gate.cancel(&v1::CancelRequest { owner: Some(self.owner()), order_ids })?;
            self.drain(&reply.events)?;
            // The gate never had what it neither works nor speaks of, and from now on refuses it.
            let works = |id: &OrderId| reply.working.iter().any(|working| working.order_id == id.as_str());
            let lost: Vec<_> = some.iter().filter(|id| self.book.working.contains_key(id) && !works(id)).cloned().collect();
            let dropped = |order_id| Record::Dropped { order_id, reason: "not_sent".to_owned() };
            self.commit(lost.into_iter().map(dropped).collect())?;
        }
        Ok(())
    }

    /// Compares positions with the gate's and closes the bar.
    fn finish(&mut self, symbol: &Symbol, bar: &Bar, sequence: u64, reply: v1::MeetReply) -> Result<(), ExecutionError> {
        let mut state = required(reply.state, "MeetReply", "state")?;
        let theirs: BTreeMap<&str, i64> = reply.positions.iter().map(|one| (one.symbol.as_str(), one.lots)).collect();
        let held = self.book.account.positions().filter(|position| position.lots.0 != 0);
        let ours: BTreeMap<&str, i64> = held.map(|one| (one.instrument.symbol.as_str(), one.lots.0)).collect();
        let differs = ours != theirs;
        if differs {
            state.state = "ReduceOnly".to_owned();
            state.reason = format!("positions are {ours:?} here and {theirs:?} at the risk service: compare both journals");
        }
        let figures = messages::figures(&state)?;
        if state.state != "Normal" {
            self.cancel_entries()?;
        }
        self.commit(vec![Record::Bar(BarRecord {
            sequence,
            symbol: symbol.clone(),
            index: bar.index,
            close: bar.close,
            close_time: bar.close_time,
            state: state.state,
            reason: state.reason,
            figures,
            differs,
        })])
    }

    /// Lots held in a symbol.
    pub(crate) fn held(&self, symbol: &Symbol) -> Lots {
        self.book.account.lots(symbol)
    }
}
