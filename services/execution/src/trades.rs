//! From a qualified trade to orders at the gate.

use tradewind_core::instrument::{Instrument, Lots, Ticks};
use tradewind_core::orders::{OrderState, Role};
use tradewind_core::side::Side;
use tradewind_core::sizing::{self, TradeIntent};
use tradewind_core::time::Nanos;
use tradewind_wire::v1;

use crate::engine::Engine;
use crate::error::ExecutionError;
use crate::gate::RiskGate;
use crate::plan::entry_orders;
use crate::record::{OrderRecord, Outcome, Record, TradeRecord};

impl<R: RiskGate> Engine<R> {
    /// Reads a trade and decides what becomes of it.
    pub(crate) fn plan(&self, trade: &v1::TradeQualified) -> Result<TradeRecord, ExecutionError> {
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
            Ok(size) => Outcome::Planned {
                orders: entry_orders(&record, self.book.account.lots(&record.symbol), size, self.book.figures.price_collar_bps),
            },
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

    /// Hands over what is left of a plan. An entry waits for nothing but the verdict on its close.
    pub(crate) fn carry_out(&mut self, trade_id: &str) -> Result<(), ExecutionError> {
        let Some(trade) = self.book.trade(trade_id).map(|trade| trade.record.clone()) else { return Ok(()) };
        let Outcome::Planned { orders } = &trade.outcome else { return Ok(()) };
        let superseded = self.book.is_old_trade(&trade.symbol, trade.index + 1);
        for (role, order) in orders.iter().filter(|_| !superseded) {
            let known = self.book.order(&order.id).map(|live| live.progress.state);
            if known.is_some_and(|state| state != OrderState::PendingSubmit) {
                continue;
            }
            let (trade_id, role, reference, order) = (trade_id.to_owned(), *role, trade.reference, order.clone());
            let record = OrderRecord { trade_id, role, reference, order };
            if known.is_none() {
                self.commit(vec![Record::Order(record.clone())])?;
            }
            let close = orders.iter().find(|(role, _)| *role == Role::Close).and_then(|(_, close)| self.book.order(&close.id));
            if role == Role::Entry && close.is_some_and(|close| close.progress.state == OrderState::Rejected) {
                let message = "the order that closes the earlier position was denied".to_owned();
                let (order_id, denial) = (record.order.id.clone(), "close_denied".to_owned());
                self.commit(vec![Record::Denied { order_id, denial, message }])?;
            } else {
                self.hand_over(&[record])?;
            }
        }
        Ok(())
    }

    pub(crate) fn reply(&self, trade_id: &str) -> v1::SubmitReply {
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
        let lives: Vec<_> = orders.iter().filter_map(|(_, order)| self.book.order(&order.id)).collect();
        let sent: Vec<String> =
            lives.iter().filter(|live| live.denial.is_empty()).map(|live| live.record.order.id.to_string()).collect();
        let denial = lives.iter().map(|live| live.denial.as_str()).find(|denial| !denial.is_empty()).unwrap_or_default();
        answer(if sent.is_empty() { "rejected" } else { "accepted" }, denial, sent)
    }
}
