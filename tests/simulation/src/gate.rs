//! The risk process of the account and its clients' links to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tradewind_core::calendar::CalendarName;
use tradewind_crds::{RiskProfileSpec, samples};
use tradewind_execution::{GateError, RiskGate};
use tradewind_journal::testing::SimulatedDisk;
use tradewind_risk::{Arrival, Engine, Record, RiskError};
use tradewind_wire::account::{AccountConfig, PolicyConfig};
use tradewind_wire::bus::{FeedKind, FeedName, SequencedBar};
use tradewind_wire::config::{InstrumentConfig, VenueConfig};
use tradewind_wire::v1;

use crate::market::{ACCOUNT, Market, POLICIES, instrument};
use crate::node::{Missing, WatchedLog, Written};
use crate::oracle::{Oracle, State};
use crate::weather::{Fate, Question, Weather};

/// The risk process: started again at the next question after its death.
pub struct Gate {
    /// Its disk.
    pub disk: SimulatedDisk,
    /// What its disk has acknowledged.
    written: Written<Record>,
    /// The newest generation of the profile.
    profile: (i64, RiskProfileSpec),
    account: AccountConfig,
    /// Bars that its own feed has brought.
    shown: BTreeMap<u64, SequencedBar>,
    engine: Option<Engine>,
    /// Judges everything that the process writes.
    pub oracle: Oracle,
    /// Starts.
    pub lives: u64,
}

impl Gate {
    /// A new account with the limits of the samples.
    #[must_use]
    pub fn new() -> Self {
        let spec = samples::profile("main", ACCOUNT).spec;
        let oracle = Oracle::new(spec.starting_equity);
        let (disk, written, profile) = (SimulatedDisk::new(), Written::default(), (1, spec));
        Self { disk, written, profile, account: account(), shown: BTreeMap::new(), engine: None, oracle, lives: 0 }
    }

    /// What it is in the middle of.
    #[must_use]
    pub fn state(&self) -> State {
        if self.engine.is_some() { self.oracle.state() } else { State::Down }
    }

    /// The process dies.
    pub fn kill(&mut self) {
        self.engine = None;
    }

    /// Its own feed brings a bar.
    pub fn show(&mut self, bar: &SequencedBar) {
        self.shown.insert(bar.sequence, bar.clone());
    }

    /// The resource changes; the process reads it now, or when it starts next.
    pub fn edit(&mut self, market: &Market, change: impl FnOnce(&mut RiskProfileSpec)) {
        self.profile.0 += 1;
        change(&mut self.profile.1);
        let (generation, spec) = self.profile.clone();
        // A process that cannot write it down dies, and reads it at its next start.
        let _ = self.ask(market, |engine, _| engine.apply_profile(generation, &spec));
    }

    /// Halts by a direct call; tells whether the process confirmed it.
    pub fn halt(&mut self, market: &Market) -> bool {
        let request =
            v1::HaltNowRequest { account: ACCOUNT.into(), actor: "anna".into(), reason: "a drill".into(), generation: 0 };
        self.ask(market, |engine, _| engine.halt_now(&request, tradewind_core::time::Nanos(0))).is_ok()
    }

    /// Names the halt in force in the resource.
    pub fn lift(&mut self, market: &Market) {
        let Ok(id) = self.ask(market, |engine, _| Ok(engine.status().halt_id)) else { return };
        self.edit(market, |spec| {
            spec.halt = false;
            spec.acknowledge_halt = id;
        });
    }

    fn started(&mut self) -> Result<(), GateError> {
        if self.engine.is_some() {
            return Ok(());
        }
        self.lives += 1;
        let away = |text: String| GateError::Unavailable(text);
        let log = match WatchedLog::open("risk", &self.disk, &self.written) {
            Ok(log) => log,
            Err(Missing::Disk) => return Err(away("the disk says no".into())),
            Err(Missing::Lost(text)) => {
                self.oracle.violated(text.clone());
                return Err(away(text));
            }
        };
        let open = || -> Result<Engine, RiskError> {
            let mut engine = Engine::open_as(ACCOUNT, "journal", Box::new(log))?;
            engine.apply_profile(self.profile.0, &self.profile.1)?;
            engine.apply_account(&self.account)?;
            Ok(engine)
        };
        let opened = open();
        if let Err(error) = &opened
            && !matches!(error, RiskError::Journal(_))
        {
            self.oracle.violated(format!("the gate does not start on its own journal: {error}"));
        }
        self.engine = Some(opened.map_err(|error| away(error.to_string()))?);
        Ok(())
    }

    /// Calls the engine, and judges all that it wrote, also when it died of it.
    pub fn ask<T>(
        &mut self,
        market: &Market,
        call: impl FnOnce(&mut Engine, &BTreeMap<u64, SequencedBar>) -> Result<T, RiskError>,
    ) -> Result<T, GateError> {
        let started = self.started();
        self.judge(market);
        started?;
        let Some(engine) = &mut self.engine else { return Err(GateError::Unavailable("not started".into())) };
        let outcome = call(engine, &self.shown);
        if outcome.as_ref().is_err_and(RiskError::is_fatal) {
            self.engine = None;
        }
        if let Err(RiskError::Broken(text)) = &outcome {
            self.oracle.violated(format!("the gate is broken: {text}"));
        }
        self.judge(market);
        outcome.map_err(|error| match error {
            RiskError::Fenced { .. } => GateError::Fenced(error.to_string()),
            RiskError::Journal(_) | RiskError::NotSeen { .. } | RiskError::NoProfile => GateError::Unavailable(error.to_string()),
            other => GateError::Refused(other.to_string()),
        })
    }

    fn judge(&mut self, market: &Market) {
        let fresh = self.written.from(self.oracle.judged());
        fresh.iter().for_each(|record| self.oracle.judge(record, market));
    }

    fn carry_out(&mut self, market: &Market, question: &Question) -> Result<Answer, GateError> {
        let answered = self.ask(market, |engine, shown| match question {
            Question::Acquire(request) => engine.acquire(request).map(Answer::Acquired),
            Question::Place(request) => engine.place(request, Arrival::default()).map(Answer::Placed),
            Question::Cancel(request) => engine.cancel(request).map(Answer::Told),
            Question::Meet(request) => engine.meet(request, shown.get(&request.sequence)).map(Answer::Met),
            Question::Events(request) => engine.events(request).map(Answer::Told),
        })?;
        if let (Question::Place(request), Answer::Placed(reply)) = (question, &answered) {
            self.oracle.promised(request, reply);
        }
        Ok(answered)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

enum Answer {
    Acquired(v1::AcquireReply),
    Placed(v1::PlaceReply),
    Told(v1::EventsReply),
    Met(v1::MeetReply),
}

/// A trader's link to the gate.
#[derive(Clone)]
pub struct Link {
    /// The gate.
    pub gate: Rc<RefCell<Gate>>,
    /// The market.
    pub market: Rc<RefCell<Market>>,
    /// What becomes of messages.
    pub weather: Rc<RefCell<Weather>>,
}

impl Link {
    /// Asks without a trader: nothing becomes of the message on its way, and nobody waits for the answer.
    pub fn tell(&self, question: &Question) {
        let _ = self.gate.borrow_mut().carry_out(&self.market.borrow(), question);
    }

    fn send(&self, question: &Question) -> Result<Answer, GateError> {
        let (fate, old) = self.weather.borrow_mut().take(question.clone());
        let market = self.market.borrow();
        let mut gate = self.gate.borrow_mut();
        if let Some(old) = old {
            // Nobody waits for its answer.
            let _ = gate.carry_out(&market, &old);
        }
        let lost = |what: &str| GateError::Unavailable(format!("{what} was lost"));
        match fate {
            Fate::QuestionLost => return Err(lost("the question")),
            Fate::Twice => drop(gate.carry_out(&market, question)),
            Fate::Arrives | Fate::AnswerLost | Fate::AfterAnOldOne(_) => {}
        }
        let answer = gate.carry_out(&market, question);
        if fate == Fate::AnswerLost { Err(lost("the answer")) } else { answer }
    }
}

/// An answer of another kind than the question.
fn other<T>() -> Result<T, GateError> {
    Err(GateError::Refused("an answer of another kind".into()))
}

impl RiskGate for Link {
    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError> {
        match self.send(&Question::Acquire(request.clone()))? {
            Answer::Acquired(reply) => Ok(reply),
            _ => other(),
        }
    }

    fn place(&mut self, request: &v1::PlaceRequest) -> Result<v1::PlaceReply, GateError> {
        match self.send(&Question::Place(request.clone()))? {
            Answer::Placed(reply) => Ok(reply),
            _ => other(),
        }
    }

    fn cancel(&mut self, request: &v1::CancelRequest) -> Result<v1::EventsReply, GateError> {
        match self.send(&Question::Cancel(request.clone()))? {
            Answer::Told(reply) => Ok(reply),
            _ => other(),
        }
    }

    fn meet(&mut self, request: &v1::MeetRequest) -> Result<v1::MeetReply, GateError> {
        match self.send(&Question::Meet(request.clone()))? {
            Answer::Met(reply) => Ok(reply),
            _ => other(),
        }
    }

    fn settle(&mut self, _: &v1::SettleOwnerRequest) -> Result<(), GateError> {
        // The order of policies on a shared feed lives in the process around the engine.
        Ok(())
    }

    fn events(&mut self, request: &v1::EventsRequest) -> Result<v1::EventsReply, GateError> {
        match self.send(&Question::Events(request.clone()))? {
            Answer::Told(reply) => Ok(reply),
            _ => other(),
        }
    }
}

/// What the resources say: three policies with an instrument each on one recorded feed.
fn account() -> AccountConfig {
    let venue = VenueConfig { spread_bps: 2, fee_bps: 1, seed: 7, partial_fill_bps: 3_000, latency_ms: 20 };
    let policy = |number: usize| {
        let listed = instrument(number);
        let symbol = InstrumentConfig {
            symbol: listed.symbol,
            point_value: listed.point_value,
            tick: listed.tick,
            lot: listed.lot,
            calendar: CalendarName::default(),
        };
        PolicyConfig {
            policy: POLICIES[number].into(),
            feed: feed(),
            feed_kind: FeedKind::Replay,
            venue: venue.clone(),
            instruments: vec![symbol],
        }
    };
    AccountConfig {
        account: ACCOUNT.into(),
        calendar: CalendarName::default(),
        policies: (0..POLICIES.len()).map(policy).collect(),
    }
}

fn feed() -> FeedName {
    "default".parse().unwrap_or_else(|_| unreachable!("a valid name"))
}
