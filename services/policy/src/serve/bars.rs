//! The bar loop: for each bar of the stream advance, ask, decide, write down, submit. Whatever does not answer makes
//! the bar in hand wait, and status says for what and since when; what is refused for good is quarantined by name and the
//! stream goes on (ruling 19). Nothing is done twice.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tradewind_core::bar::Bar;
use tradewind_core::instrument::Symbol;
use tradewind_wire::admission::{Admission, Admitted, Fault, Quarantined, Reason, Taken};
use tradewind_wire::bus::{Followed, SequencedBar};
use tradewind_wire::client::{ClientError, Patience, until_answered};
use tradewind_wire::convert::bar_to_wire;
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;

use super::ServeError;
use super::candidate::{Candidates, Job};
use super::halt::withdraw;
use super::live::Live;
use super::metrics::Figures;
use super::progress::Progress;
use super::revisions::{Revision, Revisions};
use crate::account::AccountSnapshot;
use crate::control::Wanted;
use crate::messages::Answer;
use crate::record::{Driver, Entry, Trading};
use crate::sequencer::{Control, Engine, Input, Routing};

/// Bars of the past for which the candidate is asked again after a restart: what inference remembers.
const ASK_AGAIN: usize = 64;
/// Failures of the stable after which a warning repeats, as a power of two.
const PATIENCE: Patience =
    Patience { deadline: Duration::from_secs(1), first: Duration::from_millis(5), most: Duration::from_millis(250) };

/// Pause after an answer that cannot be used and is not about the bar: someone has to repair what answers.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Everything that a bar meets.
#[derive(Debug)]
pub struct Bars {
    /// The sequencer.
    pub engine: Engine,
    /// Which bars are taken.
    pub admission: Admission,
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
    /// How far it has come.
    pub progress: Progress,
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
    /// After a restart: the last trade is sent again if the spec still allows it, and bars whose evidence was not written
    /// are compared now.
    ///
    /// # Errors
    /// [`ServeError`]; [`ServeError::Client`] with `Stopped` when the process stops meanwhile.
    pub async fn resume(&mut self) -> Result<(), ServeError> {
        let last =
            self.engine.last().and_then(|entry| Some((entry.record.submission()?, entry.record.symbol.clone(), entry.bar)));
        if let Some((message, symbol, bar)) = last {
            // What the spec and the clock say now counts, not what they said when the trade was decided.
            self.wait_for_word().await?;
            self.submit(message, &symbol, &bar).await?;
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

    /// Takes what comes next of the stream; bars of other symbols pass by, and what is wrong is quarantined.
    ///
    /// # Errors
    /// [`ServeError`]: the process must restart, or stops. Nothing that a feed can bring is one.
    pub async fn take(&mut self, next: Followed) -> Result<(), ServeError> {
        let end = next.sequence();
        self.admit(next).await?;
        self.progress.dealt_with(end);
        Ok(())
    }

    /// Tells those who share the account how far it has come, while no bar is at hand.
    pub async fn settle(&mut self) {
        self.progress.tell(&self.execution).await;
    }

    async fn admit(&mut self, next: Followed) -> Result<(), ServeError> {
        let SequencedBar { sequence, arrived, bar: message } = match next {
            Followed::Bar(bar) => bar,
            Followed::Quarantined(quarantined) => {
                self.quarantine(quarantined);
                return Ok(());
            }
            Followed::Gap { from, to } => {
                tracing::warn!(from, to, "messages of the feed are gone");
                self.miss(to - from + 1);
                return Ok(());
            }
            Followed::Whole { read } => {
                tracing::info!(read, "the stream holds again what it had lost");
                self.live.waiting_for("");
                self.live.intake().fault.clear();
                return Ok(());
            }
        };
        match self.admission.admit(sequence, &message, arrived) {
            Admitted::Other => {}
            Admitted::Duplicate { symbol, index } => {
                tracing::debug!(%symbol, index, "a bar came again");
                self.figures.irregular("duplicate", 1);
                self.live.intake().duplicates += 1;
            }
            Admitted::Quarantined(quarantined) => self.quarantine(quarantined),
            Admitted::Taken(Taken { symbol, bar, missing }) => {
                if missing > 0 {
                    tracing::warn!(%symbol, index = bar.index, missing, "bars of the symbol never came");
                    self.miss(missing);
                }
                let in_hand = InHand { sequence, symbol, bar, message, came_at: Instant::now() };
                if let Err(fault) = self.handle(&in_hand).await? {
                    self.quarantine(fault.of(sequence, &in_hand.message));
                    self.live.waiting_for("");
                }
            }
        }
        Ok(())
    }

    fn quarantine(&self, message: Quarantined) {
        tracing::warn!(%message, "quarantined");
        self.figures.quarantined(message.reason);
        self.live.intake().quarantine(message);
    }

    fn miss(&self, count: u64) {
        self.figures.irregular("missing", count);
        let mut intake = self.live.intake();
        intake.missing = intake.missing.saturating_add(count);
    }

    /// One bar from its account to its order. The inner error is a refusal of this bar for good.
    async fn handle(&mut self, in_hand: &InHand) -> Result<Result<(), Fault>, ServeError> {
        self.wait_for_stable().await?;
        let (account, shared) = match self.advance(in_hand).await? {
            Ok(advanced) => advanced,
            Err(fault) => return Ok(Err(fault)),
        };
        self.progress.met(in_hand.sequence, shared);
        self.figures.stage("advance", in_hand.came_at.elapsed());
        let (entry, evidence) = match self.decide(in_hand, &account).await? {
            Ok(decided) => decided,
            Err(fault) => return Ok(Err(fault)),
        };
        self.figures.decided(&entry.record);
        self.live.decided(&self.engine, &entry);
        let submission = entry.record.submission();
        if let Some(evidence) = evidence {
            // The recorder may be stopping.
            let _ = evidence.send(entry);
        }
        if let Some(message) = submission {
            let sent_at = Instant::now();
            self.submit(message, &in_hand.symbol, &in_hand.bar).await?;
            self.figures.stage("submit", sent_at.elapsed());
        }
        self.figures.stage("total", in_hand.came_at.elapsed());
        Ok(Ok(()))
    }

    /// What the spec says of trading, once it was read.
    async fn wait_for_word(&mut self) -> Result<(), ServeError> {
        while self.wanted.borrow_and_update().is_none() {
            self.live.waiting_for("the TradingPolicy from the API server");
            tokio::select! {
                changed = self.wanted.changed() => changed.map_err(|_| ServeError::Stopped)?,
                () = self.stop.cancelled() => return Err(ServeError::Stopped),
            }
        }
        self.live.waiting_for("");
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

    /// The account at the close of a bar, and whether other policies share it.
    async fn advance(&self, in_hand: &InHand) -> Result<Result<(AccountSnapshot, bool), Fault>, ServeError> {
        let request = v1::AdvanceRequest { bar: Some(in_hand.message.clone()), sequence: in_hand.sequence };
        loop {
            let asked = self
                .ask("Execution.Advance", || {
                    let (mut client, request) = (self.execution.clone(), request.clone());
                    async move { client.advance(request).await }
                })
                .await?;
            let view = match asked {
                Ok(view) => view,
                Err(refusal) => return Ok(Err(fault(Reason::Refused, refusal))),
            };
            match AccountSnapshot::from_wire(&view) {
                Ok(account) => return Ok(Ok((account, view.shared))),
                Err(error) => self.pause(format!("execution, whose answer cannot be used: {error}")).await?,
            }
        }
    }

    /// Asks execution until it answers. The inner error is what it refuses of this message for good; other refusals are
    /// waited for, because someone has to repair what refuses, and a process that ends would only come back.
    async fn ask<T, Call>(&self, what: &str, mut call: impl FnMut() -> Call) -> Result<Result<T, String>, ServeError>
    where
        Call: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        loop {
            let waiting = |_, status: &tonic::Status| self.live.waiting_for(format!("execution: {}", status.message()));
            match until_answered(what, PATIENCE, &self.stop, waiting, &mut call).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(ClientError::Refused { status, .. }) if is_about_the_message(status.code()) => {
                    return Ok(Err(format!("{what}: {}", status.message())));
                }
                Err(ClientError::Refused { status, .. }) => {
                    tracing::error!(what, code = ?status.code(), message = status.message(), "refused, asking again");
                    let why = format!("execution, which refuses with {:?}: {}", status.code(), status.message());
                    self.pause(why).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn pause(&self, waiting_for: String) -> Result<(), ServeError> {
        self.live.waiting_for(waiting_for);
        tokio::select! {
            () = tokio::time::sleep(REFUSED_PAUSE) => Ok(()),
            () = self.stop.cancelled() => Err(ServeError::Stopped),
        }
    }

    /// Asks both revisions, decides, writes down. Also gives where the evidence waits for the entry.
    async fn decide(
        &mut self,
        in_hand: &InHand,
        account: &AccountSnapshot,
    ) -> Result<Result<(Entry, Option<oneshot::Sender<Entry>>), Fault>, ServeError> {
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
        let (stable, serving) = match self.ask_stable(in_hand).await? {
            Ok(answered) => answered,
            Err(fault) => return Ok(Err(fault)),
        };
        // A job that was dropped counts as silence.
        let candidate = match drives {
            Some(receiver) => receiver.await.ok().flatten(),
            None => None,
        };
        self.figures.stage("inference", asked_at.elapsed());
        // A halt that came while the networks worked counts; who was asked stays who is recorded.
        let control = self.current()?.control;
        let routing = self.routing_of(planned.routing, serving)?;
        let stale = self.live.is_stale(&in_hand.symbol, &in_hand.bar);
        if stale {
            self.figures.irregular("stale", 1);
            self.live.intake().stale += 1;
        }
        let input = Input {
            sequence: in_hand.sequence,
            symbol: &in_hand.symbol,
            bar: &in_hand.bar,
            routing: &routing,
            control,
            stale,
            account,
            stable,
            candidate,
        };
        let written_at = Instant::now();
        let entry = tokio::task::block_in_place(|| self.engine.decide(input))?.clone();
        self.figures.stage("journal", written_at.elapsed());
        Ok(Ok((entry, evidence)))
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
    /// What it refuses of the bar for good is a fault of the bar.
    async fn ask_stable(&mut self, in_hand: &InHand) -> Result<Result<(Answer, String), Fault>, ServeError> {
        let mut failures = 0_u32;
        loop {
            let bundle = self.current()?.routing.stable;
            let outcome = match self.stable_client(&bundle) {
                Ok(client) => client.decide(&in_hand.symbol, &in_hand.message, PATIENCE.deadline).await,
                Err(reason) => Err(tonic::Status::unavailable(reason)),
            };
            let status = match outcome {
                Ok(answer) => return Ok(Ok((answer, bundle))),
                Err(status) if is_about_the_message(status.code()) => {
                    return Ok(Err(fault(Reason::Refused, format!("inference {bundle}: {}", status.message()))));
                }
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

    /// Sends a trade, if the spec allows trades at this moment and its bar is not too old by now. When it stopped allowing them while the trade was on its way,
    /// what came of it is taken back.
    async fn submit(&self, message: v1::TradeQualified, symbol: &Symbol, bar: &Bar) -> Result<(), ServeError> {
        let refused = |reason, value: String, limit: &str| {
            let (sequence, symbol, index) = (message.sequence, message.symbol.clone(), message.index);
            self.quarantine(Quarantined { sequence, symbol, index, reason, value, limit: limit.to_owned() });
        };
        if !allows_trades(self.current()?.control) {
            let value = format!("trade {} is not sent", message.trade_id);
            refused(Reason::TradeWithheld, value, "spec.trading Paper and no halt at the moment of sending");
            return Ok(());
        }
        if self.live.is_stale(symbol, bar) {
            let value = format!("trade {} of a bar that closed at {} ns is not sent", message.trade_id, bar.close_time.0);
            refused(Reason::TradeWithheld, value, "a bar behind which no other is overdue");
            return Ok(());
        }
        let asked = self
            .ask("Execution.Submit", || {
                let (mut client, message) = (self.execution.clone(), message.clone());
                async move { client.submit(message).await }
            })
            .await?;
        self.live.waiting_for("");
        match asked {
            Ok(reply) => tracing::info!(trade = reply.trade_id, status = reply.status, reason = reply.reason, "trade submitted"),
            Err(refusal) => refused(Reason::TradeRefused, refusal, "a trade that execution accepts or rejects"),
        }
        let control = self.current()?.control;
        if !allows_trades(control) && !control.halt {
            // A halt holds at execution by itself.
            withdraw(&self.execution, control, &self.live, &self.stop).await?;
        }
        Ok(())
    }

    fn current(&self) -> Result<Wanted, ServeError> {
        self.wanted.borrow().clone().ok_or(ServeError::Stopped)
    }
}

const fn allows_trades(control: Control) -> bool {
    !control.halt && matches!(control.trading, Trading::Paper)
}

/// Whether a refusal is about the message alone, so that the next one may well be taken.
const fn is_about_the_message(code: tonic::Code) -> bool {
    matches!(code, tonic::Code::InvalidArgument | tonic::Code::OutOfRange)
}

fn fault(reason: Reason, value: String) -> Fault {
    Fault { reason, value, limit: "a bar that every service takes".to_owned() }
}
