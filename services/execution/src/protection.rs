//! Stop and target of a held position.

use tradewind_core::bar::Bar;
use tradewind_core::instrument::Symbol;
use tradewind_core::orders::{OrderId, OrderState, Role};

use crate::engine::Engine;
use crate::error::ExecutionError;
use crate::gate::RiskGate;
use crate::plan::{GuardPlace, guard_orders};
use crate::record::{OrderRecord, Record};

impl<R: RiskGate> Engine<R> {
    /// Makes sure that exactly the held position has a stop and a target.
    pub(crate) fn protect(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), ExecutionError> {
        let held = self.held(symbol);
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
        if guards.len() == wanted && guards.iter().all(fits) {
            let unsent = guards.iter().filter(|live| live.progress.state == OrderState::PendingSubmit);
            let unsent: Vec<OrderRecord> = unsent.map(|live| live.record.clone()).collect();
            return if unsent.is_empty() { Ok(()) } else { self.hand_over(&unsent) };
        }
        if all_refused {
            return Ok(());
        }
        let ids: Vec<OrderId> = guards.iter().map(|live| live.record.order.id.clone()).collect();
        if !ids.is_empty() {
            self.cancel(&ids)?;
        }
        let held = self.held(symbol);
        if held.0 == 0 {
            return Ok(());
        }
        let holder = self.book.holding.get(symbol).cloned();
        let orphan = || ExecutionError::Orphan(symbol.clone());
        let trade = holder.as_deref().and_then(|trade_id| self.book.trade(trade_id)).ok_or_else(orphan)?;
        let (trade_id, child) = (trade.record.trade_id.clone(), trade.next_child);
        let place = GuardPlace { trade_id: &trade_id, symbol, held, child, bar_index: bar.index, sent_at: bar.open_time };
        let orders = guard_orders(&place, trade.record.stop, trade.record.target);
        let record = |(role, order)| OrderRecord { trade_id: trade_id.clone(), role, reference: bar.open, order };
        let records: Vec<OrderRecord> = orders.into_iter().map(record).collect();
        // Both or none: a position is never left with half of its protection.
        self.commit(records.iter().cloned().map(Record::Order).collect())?;
        self.hand_over(&records)
    }
}
