//! The bar loop: for each bar of the stream advance, ask, decide, write down, submit. Whatever does not answer makes
//! the bar in hand wait; nothing is skipped and nothing is done twice.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tradewind_core::bar::Bar;
use tradewind_core::instrument::Symbol;
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::client::{Patience, until_answered};
use tradewind_wire::convert::{bar_from_wire, bar_to_wire};
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;

use super::ServeError;
use super::candidate::{Candidates, Job};
use super::live::Live;
use super::metrics::Figures;
use super::revisions::{Revision, Revisions};
use crate::account::AccountSnapshot;
use crate::control::Wanted;
use crate::messages::Answer;
use crate::record::{Driver, Entry};
use crate::sequencer::{Engine, Input, Routing};

/// Bars of the past for which the candidate is asked again after a restart: what inference remembers.
const ASK_AGAIN: usize = 64;
/// Failures of the stable after which a warning repeats, as a power of two.
const PATIENCE: Patience =
    Patience { deadline: Duration::from_secs(1), first: Duration::from_millis(5), most: Duration::from_millis(250) };

/// Everything that a bar meets.
#[derive(Debug)]
pub struct Bars {
    /// The sequencer.
    pub engine: Engine,
    /// Client of the execution service.
    pub execution: ExecutionClient<Channel>,
    /// Clients of the inference services.
    pub revisions: Revisions,
    /// The candidate's tasks.
    pub candidates: Candidates,
    /// What the spec and the rollout status say.
    pub wanted: watch::Receiver<Option<Wanted>>,
    /// What is told about the process.
    pub live: Live,
    /// Metrics.
    pub figures: Figures,
    /// Ends waiting.
    pub stop: CancellationToken,
    /// Client of the bundle that served last.
    pub stable: Option<Revision>,
}

/// A bar with its symbol, in both forms.
struct InHand {
    sequence: u64,
    symbol: Symbol,
    bar: Bar,
    message: v1::Bar,
    came_at: Instant,
}

impl Bars {
    /// After a restart: the last trade is sent again, and bars whose evidence was not written are compared now.
    ///
    /// # Errors
    /// [`ServeError`]; [`ServeError::Client`] with `Stopped` when the process stops meanwhile.
    pub async fn resume(&mut self) -> Result<(), ServeError> {
        if let Some(message) = self.engine.last().and_then(|entry| entry.record.submission()) {
            self.submit(message).await?;
        }
        let compared = self.live.pairing().last_sequence();
        let missing: VecDeque<Entry> = self.engine.entries_after(compared)?.into();
        for entry in missing.into_iter().rev().take(ASK_AGAIN).rev() {
            let Some(pair) = entry.pair.clone() else { continue };
            let Some(instrument) = self.engine.settings().instruments.get(&entry.record.symbol) else { continue };
            let (decided, written) = oneshot::channel();
            let job = Job {
                symbol: entry.record.symbol.clone(),
                bar: bar_to_wire(&entry.bar, instrument)?,
                bundle: pair.candidate,
                asked_at: Instant::now(),
                drives: None,
                entry: written,
            };
            self.candidates.submit(job);
            // The recorder may be stopping.
            let _ = decided.send(entry);
        }
        Ok(())
    }

    /// Takes one message of the stream; bars of other symbols pass by.
    ///
    /// # Errors
    /// [`ServeError`]: the process must restart, or stops.
    pub async fn take(&mut self, next: SequencedBar) -> Result<(), ServeError> {
        let SequencedBar { sequence, bar: message } = next;
        let Ok(symbol) = Symbol::try_from(message.symbol.clone()) else { return Ok(()) };
        let Some(instrument) = self.engine.settings().instruments.get(&symbol) else { return Ok(()) };
        let bar = bar_from_wire(&message, instrument)?;
        let in_hand = InHand { sequence, symbol, bar, message, came_at: Instant::now() };
        self.wait_for_stable().await?;
        let account = self.advance(&in_hand).await?;
        self.figures.stage("advance", in_hand.came_at.elapsed());
        let (entry, evidence) = self.decide(&in_hand, &account).await?;
        self.figures.decided(&entry.record);
        self.live.decided(&self.engine, &entry);
        let submission = entry.record.submission();
        if let Some(evidence) = evidence {
            // The recorder may be stopping.
            let _ = evidence.send(entry);
        }
        if let Some(message) = submission {
            let sent_at = Instant::now();
            self.submit(message).await?;
            self.figures.stage("submit", sent_at.elapsed());
        }
        self.figures.stage("total", in_hand.came_at.elapsed());
        Ok(())
    }

    /// Nothing is decided before the resource was read and names a bundle that serves.
    async fn wait_for_stable(&mut self) -> Result<(), ServeError> {
        loop {
            let known = self.wanted.borrow_and_update().as_ref().map(|wanted| wanted.routing.stable.clone());
            let missing = match known.as_deref() {
                None => "the TradingPolicy from the API server",
                Some("") => "a stable bundle in status.rollout",
                Some(_) => return Ok(()),
            };
            self.live.waiting_for(missing);
            tokio::select! {
                changed = self.wanted.changed() => changed.map_err(|_| ServeError::Stopped)?,
                () = self.stop.cancelled() => return Err(ServeError::Stopped),
            }
        }
    }

    async fn advance(&self, in_hand: &InHand) -> Result<AccountSnapshot, ServeError> {
        let request = v1::AdvanceRequest { bar: Some(in_hand.message.clone()), sequence: in_hand.sequence };
        let waiting = |_, status: &tonic::Status| self.live.waiting_for(format!("execution: {}", status.message()));
        let view = until_answered("Execution.Advance", PATIENCE, &self.stop, waiting, || {
            let (mut client, request) = (self.execution.clone(), request.clone());
            async move { client.advance(request).await }
        })
        .await?;
        Ok(AccountSnapshot::from_wire(&view)?)
    }

    /// Asks both revisions, decides, writes down. Also gives where the evidence waits for the entry.
    async fn decide(
        &mut self,
        in_hand: &InHand,
        account: &AccountSnapshot,
    ) -> Result<(Entry, Option<oneshot::Sender<Entry>>), ServeError> {
        let asked_at = Instant::now();
        let planned = self.current()?;
        let driver = self.engine.driver(&in_hand.symbol, &in_hand.bar, &planned.routing);
        let (mut evidence, mut drives) = (None, None);
        if let Some(bundle) = planned.routing.candidate.clone() {
            let (decided, written) = oneshot::channel();
            let (sender, receiver) = oneshot::channel();
            let leads = driver == Driver::Candidate;
            let (symbol, bar) = (in_hand.symbol.clone(), in_hand.message.clone());
            self.candidates.submit(Job { symbol, bar, bundle, asked_at, drives: leads.then_some(sender), entry: written });
            (evidence, drives) = (Some(decided), leads.then_some(receiver));
        }
        let (stable, serving) = self.ask_stable(in_hand).await?;
        // A job that was dropped counts as silence.
        let candidate = match drives {
            Some(receiver) => receiver.await.ok().flatten(),
            None => None,
        };
        self.figures.stage("inference", asked_at.elapsed());
        // A halt that came while the networks worked counts; who was asked stays who is recorded.
        let control = self.current()?.control;
        let routing = self.routing_of(planned.routing, serving)?;
        let input = Input {
            sequence: in_hand.sequence,
            symbol: &in_hand.symbol,
            bar: &in_hand.bar,
            routing: &routing,
            control,
            account,
            stable,
            candidate,
        };
        let written_at = Instant::now();
        let entry = tokio::task::block_in_place(|| self.engine.decide(input))?.clone();
        self.figures.stage("journal", written_at.elapsed());
        Ok((entry, evidence))
    }

    /// Who is recorded. When another bundle has become the stable while this bar waited, the rollout as it is now counts.
    fn routing_of(&self, planned: Routing, serving: String) -> Result<Routing, ServeError> {
        if planned.stable == serving {
            return Ok(planned);
        }
        let now = self.current()?.routing;
        let candidate = now.candidate.filter(|candidate| *candidate != serving && Some(candidate) == planned.candidate.as_ref());
        Ok(Routing { stable: serving, candidate, ..now })
    }

    /// Asks the bundle that serves until it answers. When the rollout names another one meanwhile, that one is asked.
    async fn ask_stable(&mut self, in_hand: &InHand) -> Result<(Answer, String), ServeError> {
        let mut failures = 0_u32;
        loop {
            let bundle = self.current()?.routing.stable;
            let outcome = match self.stable_client(&bundle) {
                Ok(client) => client.decide(&in_hand.symbol, &in_hand.message, PATIENCE.deadline).await,
                Err(reason) => Err(tonic::Status::unavailable(reason)),
            };
            let status = match outcome {
                Ok(answer) => return Ok((answer, bundle)),
                Err(status) => status,
            };
            failures += 1;
            if failures.is_power_of_two() {
                tracing::warn!(bundle, failures, code = ?status.code(), message = status.message(), "the stable does not answer");
            }
            self.live.waiting_for(format!("inference {bundle}: {}", status.message()));
            tokio::select! {
                () = tokio::time::sleep(PATIENCE.pause(failures)) => {}
                () = self.stop.cancelled() => return Err(ServeError::Stopped),
            }
        }
    }

    fn stable_client(&mut self, bundle: &str) -> Result<&mut Revision, String> {
        match self.stable.take().filter(|client| client.bundle() == bundle) {
            Some(client) => Ok(self.stable.insert(client)),
            None => Ok(self.stable.insert(self.revisions.client(bundle)?)),
        }
    }

    async fn submit(&self, message: v1::TradeQualified) -> Result<(), ServeError> {
        let waiting = |_, status: &tonic::Status| self.live.waiting_for(format!("execution: {}", status.message()));
        let reply = until_answered("Execution.Submit", PATIENCE, &self.stop, waiting, || {
            let (mut client, message) = (self.execution.clone(), message.clone());
            async move { client.submit(message).await }
        })
        .await?;
        tracing::info!(trade = reply.trade_id, status = reply.status, reason = reply.reason, "trade submitted");
        self.live.waiting_for("");
        Ok(())
    }

    fn current(&self) -> Result<Wanted, ServeError> {
        self.wanted.borrow().clone().ok_or(ServeError::Stopped)
    }
}
