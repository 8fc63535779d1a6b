//! The gate of the same process: its own feed is the bar that the pipelines were given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tradewind_execution::{GateError, RiskGate};
use tradewind_journal::Log;
use tradewind_risk::{Arrival, Engine, Record, RiskError};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::v1;

use crate::setup::Setup;

/// A gate that answers directly. Clones are the same gate: one for all policies of the account.
#[derive(Clone, Debug)]
pub struct LocalRisk(Arc<Mutex<Gate>>);

#[derive(Debug)]
struct Gate {
    engine: Engine,
    /// What its feed has brought.
    own: Option<SequencedBar>,
}

impl LocalRisk {
    /// Opens the gate of an account on its journal, with the limits of `setup`.
    ///
    /// # Errors
    /// [`RiskError`] when the journal cannot be read or is another account's.
    pub fn open(setup: &Setup, account: &AccountConfig, log: Box<dyn Log<Record>>) -> Result<Self, RiskError> {
        let mut engine = Engine::open(&account.account, log)?;
        engine.apply_profile(1, &setup.profile.spec)?;
        engine.apply_account(account)?;
        Ok(Self(Arc::new(Mutex::new(Gate { engine, own: None }))))
    }

    /// The feed has brought a bar.
    pub fn brought(&self, bar: SequencedBar) {
        self.gate().own = Some(bar);
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // One thread; an engine that panicked has written nothing that it did not apply.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, call: impl FnOnce(&mut Gate) -> Result<T, RiskError>) -> Result<T, GateError> {
        call(&mut self.gate()).map_err(refused)
    }
}

fn refused(error: RiskError) -> GateError {
    match error {
        RiskError::Fenced { .. } => GateError::Fenced(error.to_string()),
        RiskError::Journal(_) | RiskError::Broken(_) | RiskError::NotSeen { .. } => GateError::Unavailable(error.to_string()),
        other => GateError::Refused(other.to_string()),
    }
}

impl RiskGate for LocalRisk {
    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError> {
        self.ask(|gate| gate.engine.acquire(request))
    }

    fn place(&mut self, request: &v1::PlaceRequest) -> Result<v1::PlaceReply, GateError> {
        // A recorded feed has no clock but its events.
        self.ask(|gate| gate.engine.place(request, Arrival::default()))
    }

    fn cancel(&mut self, request: &v1::CancelRequest) -> Result<v1::EventsReply, GateError> {
        self.ask(|gate| gate.engine.cancel(request))
    }

    fn meet(&mut self, request: &v1::MeetRequest) -> Result<v1::MeetReply, GateError> {
        self.ask(|gate| gate.engine.meet(request, gate.own.as_ref()))
    }

    fn settle(&mut self, request: &v1::SettleOwnerRequest) -> Result<(), GateError> {
        // One caller after the other is the order of the feed already.
        self.ask(|gate| gate.engine.settles(request)).map(drop)
    }

    fn events(&mut self, request: &v1::EventsRequest) -> Result<v1::EventsReply, GateError> {
        self.ask(|gate| gate.engine.events(request))
    }
}
