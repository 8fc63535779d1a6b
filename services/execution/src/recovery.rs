//! After a start: the policy's orders are acquired, both books are brought together, and only then anything is traded.

use std::collections::BTreeMap;

use tradewind_core::orders::{OrderId, OrderState, Role};
use tradewind_wire::v1;

use crate::engine::Engine;
use crate::error::ExecutionError;
use crate::gate::RiskGate;
use crate::record::Record;

impl<R: RiskGate> Engine<R> {
    /// Acquires the policy's orders and reconciles: takes in what the venue did, hands over again what may not have arrived
    /// (what a halt no longer allows is taken back instead), finishes a trade that was cut short, compares both books
    /// (EX-183, EX-184). Repeat it until it succeeds.
    ///
    /// # Errors
    /// [`ExecutionError::Differs`] when the books differ after that; otherwise what kept it from finishing.
    pub fn recover(&mut self) -> Result<(), ExecutionError> {
        if self.recovered {
            return Ok(());
        }
        self.acquire()?;
        let reply = self.gate.events(&v1::EventsRequest { owner: Some(self.owner()) })?;
        self.drain(&reply.events)?;
        let in_flight = |state| move |live: &&crate::LiveOrder| live.progress.state == state;
        let unsent: Vec<_> = self.book.working.values().filter(in_flight(OrderState::PendingSubmit)).cloned().collect();
        let stopped = self.book.halted.is_some();
        let (void, again): (Vec<_>, Vec<_>) =
            unsent.into_iter().map(|live| live.record).partition(|record| stopped && record.role == Role::Entry);
        for some in again.chunks(16) {
            self.hand_over(some)?;
        }
        let leaving = self.book.working.values().filter(in_flight(OrderState::CancelPending));
        let mut ids: Vec<OrderId> = leaving.map(|live| live.record.order.id.clone()).collect();
        ids.extend(void.into_iter().map(|record| record.order.id));
        if !ids.is_empty() {
            self.cancel(&ids)?;
        }
        let reply = self.gate.events(&v1::EventsRequest { owner: Some(self.owner()) })?;
        self.drain(&reply.events)?;
        self.compare(&reply)?;
        for trade_id in self.book.unfinished_trades() {
            self.carry_out(&trade_id)?;
        }
        self.recovered = true;
        Ok(())
    }

    /// The claim is journaled before the gate is asked, because its answer may be lost: the same claim gets it again.
    fn acquire(&mut self) -> Result<(), ExecutionError> {
        let claim = match &self.book.claim {
            Some(claim) => claim.clone(),
            None => {
                let claim = format!("{}-{}", self.config.process, self.records());
                self.commit(vec![Record::Claimed { claim: claim.clone() }])?;
                claim
            }
        };
        let (account, policy) = (self.config.account.clone(), self.config.policy.clone());
        let reply = self.gate.acquire(&v1::AcquireRequest { account, policy, last_epoch: self.book.epoch, claim })?;
        if reply.epoch <= self.book.epoch {
            let text = format!("epoch {} came where one above {} was due", reply.epoch, self.book.epoch);
            return Err(ExecutionError::Answer(text));
        }
        self.commit(vec![Record::Acquired { epoch: reply.epoch }])
    }

    /// Compares working orders and positions with the gate's.
    fn compare(&self, reply: &v1::EventsReply) -> Result<(), ExecutionError> {
        let theirs = reply.working.iter().map(|one| (one.order_id.clone(), one.lots)).collect();
        let ours = self.book.working.iter().map(|(id, live)| (id.to_string(), live.left().0)).collect();
        differing("order", &ours, &theirs)?;
        let held = self.book.account.positions().filter(|position| position.lots.0 != 0);
        let ours = held.map(|position| (position.instrument.symbol.to_string(), position.lots.0)).collect();
        differing("position", &ours, &reply.positions.iter().map(|one| (one.symbol.clone(), one.lots)).collect())
    }
}

fn differing(what: &'static str, ours: &BTreeMap<String, i64>, theirs: &BTreeMap<String, i64>) -> Result<(), ExecutionError> {
    let lots = |book: &BTreeMap<String, i64>, key: &str| {
        book.get(key).map_or_else(|| "nothing".to_owned(), |lots| format!("{lots} lots"))
    };
    match ours.keys().chain(theirs.keys()).find(|key| ours.get(*key) != theirs.get(*key)) {
        None => Ok(()),
        Some(key) => Err(ExecutionError::Differs { what, key: key.clone(), ours: lots(ours, key), theirs: lots(theirs, key) }),
    }
}
