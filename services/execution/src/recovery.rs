//! After a start: the account is acquired, both books are brought together, and only then anything is traded.

use std::collections::BTreeMap;

use tradewind_core::instrument::{Lots, Symbol};
use tradewind_core::orders::{OrderId, OrderState};
use tradewind_wire::v1;

use crate::engine::Engine;
use crate::error::ExecutionError;
use crate::gate::RiskGate;
use crate::record::{OrderRecord, Record};
use crate::venue::Venue;

impl<R: RiskGate, V: Venue> Engine<R, V> {
    /// Acquires the account and reconciles: takes in what the venue did, sends again what may not have arrived,
    /// finishes a trade that was cut short, compares both books (EX-183, EX-184). Repeat it until it succeeds.
    ///
    /// # Errors
    /// [`ExecutionError::Differs`] when the books differ after that; otherwise what kept it from finishing.
    pub fn recover(&mut self) -> Result<(), ExecutionError> {
        if self.recovered {
            return Ok(());
        }
        let (account, policy) = (self.config.account.clone(), self.config.policy.clone());
        let reply = self.gate.acquire(&v1::AcquireRequest { account, policy, last_token: self.book.token })?;
        self.commit(vec![Record::Acquired { token: reply.token }])?;
        self.venue.acquire(reply.token)?;
        self.drain()?;
        let in_flight = |state| move |live: &&crate::LiveOrder| live.progress.state == state;
        let unsent: Vec<_> = self.book.working.values().filter(in_flight(OrderState::PendingSubmit)).cloned().collect();
        for live in unsent {
            self.send_again(&live.record)?;
        }
        let leaving: Vec<_> = self.book.working.values().filter(in_flight(OrderState::CancelPending)).cloned().collect();
        for live in leaving {
            self.venue.cancel(self.book.token, &live.record.order.id)?;
        }
        self.drain()?;
        self.compare()?;
        for trade_id in self.book.unfinished_trades() {
            self.carry_out(&trade_id)?;
        }
        self.recovered = true;
        Ok(())
    }

    /// An order whose arrival is unknown and that the venue does not have: asked again, sent again or given up.
    fn send_again(&mut self, record: &OrderRecord) -> Result<(), ExecutionError> {
        let (event_time, data_time) = self.clocks(&record.order.symbol);
        let again = self.check(&record.trade_id, record.role, record.order.clone(), record.reference, event_time, data_time)?;
        if again.denial.is_empty() {
            return Ok(self.venue.place(self.book.token, &record.order)?);
        }
        let reason = format!("{}: {}", again.denial, again.message);
        self.commit(vec![Record::Dropped { order_id: record.order.id.clone(), reason }])
    }

    /// Compares working orders and positions with the venue.
    fn compare(&self) -> Result<(), ExecutionError> {
        let theirs: BTreeMap<OrderId, Lots> = self.venue.working().into_iter().collect();
        let ours: BTreeMap<OrderId, Lots> = self.book.working.iter().map(|(id, live)| (id.clone(), live.left())).collect();
        differing("order", &ours, &theirs)?;
        let held = self.book.account.positions().filter(|position| position.lots.0 != 0);
        let ours: BTreeMap<Symbol, Lots> = held.map(|position| (position.instrument.symbol.clone(), position.lots)).collect();
        differing("position", &ours, &self.venue.positions().into_iter().collect())
    }
}

fn differing<K: Ord + ToString>(
    what: &'static str,
    ours: &BTreeMap<K, Lots>,
    theirs: &BTreeMap<K, Lots>,
) -> Result<(), ExecutionError> {
    let lots =
        |book: &BTreeMap<K, Lots>, key: &K| book.get(key).map_or_else(|| "nothing".to_owned(), |lots| format!("{} lots", lots.0));
    match ours.keys().chain(theirs.keys()).find(|key| ours.get(key) != theirs.get(key)) {
        None => Ok(()),
        Some(key) => {
            Err(ExecutionError::Differs { what, key: key.to_string(), ours: lots(ours, key), theirs: lots(theirs, key) })
        }
    }
}
