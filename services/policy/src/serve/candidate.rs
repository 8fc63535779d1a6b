//! The candidate's side of a bar, in tasks of its own: whatever the candidate does, the stable goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tradewind_core::instrument::Symbol;
use tradewind_wire::v1;

use super::live::Live;
use super::metrics::Figures;
use super::revisions::{Revision, Revisions};
use crate::evidence::{CandidateAnswer, PairEntry, PairError};
use crate::messages::Answer;
use crate::record::{Entry, intent_of};

/// An answer later than this counts as a deadline miss.
pub const LATE: Duration = Duration::from_millis(100);
/// An answer later than this is none.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// A new bundle reads the past of each symbol at the first question about it: so long may that take in the shadow.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// So long may a new bundle take until no bar waits for it any more.
const CATCHING_UP: Duration = Duration::from_secs(60);
/// Bars on their way through the candidate. Each is over after `DEADLINE` at most, so the queue cannot fill up at
/// any rate that the stable can keep; a bar that finds it full has no evidence.
const QUEUE: usize = 4096;

/// One bar for the candidate.
#[derive(Debug)]
pub struct Job {
    /// Symbol of the bar.
    pub symbol: Symbol,
    /// The bar.
    pub bar: v1::Bar,
    /// Bundle to ask.
    pub bundle: String,
    /// When the bar came.
    pub asked_at: Instant,
    /// Who waits for the decision, if the candidate is to drive. Always answered within the deadline.
    pub drives: Option<oneshot::Sender<Option<Answer>>>,
    /// The journal entry of the bar, once it is written.
    pub entry: oneshot::Receiver<Entry>,
}

#[derive(Debug)]
struct Answered {
    entry: oneshot::Receiver<Entry>,
    answer: Result<(Answer, bool), String>,
}

/// Where the bar loop leaves bars for the candidate.
#[derive(Clone, Debug)]
pub struct Candidates {
    jobs: mpsc::Sender<Job>,
}

impl Candidates {
    /// Starts asking and recording. Failures of the evidence journal arrive at `failed`.
    #[must_use]
    pub fn start(revisions: Revisions, live: Live, figures: Figures, failed: mpsc::Sender<PairError>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (answers, answered) = mpsc::channel(QUEUE);
        tokio::spawn(ask(revisions, queue, answers, figures));
        tokio::spawn(record(live, answered, failed));
        Self { jobs }
    }

    /// Leaves a bar; never waits.
    pub fn submit(&self, job: Job) {
        if let Err(error) = self.jobs.try_send(job) {
            tracing::error!(%error, "a bar has no evidence, the candidate's queue is full");
        }
    }
}

/// Asks the candidate bar by bar. A bar whose time is over is answered at once, so a slow candidate catches up.
async fn ask(revisions: Revisions, mut queue: mpsc::Receiver<Job>, answers: mpsc::Sender<Answered>, figures: Figures) {
    let mut client: Option<Client> = None;
    while let Some(job) = queue.recv().await {
        let answer = ask_once(&revisions, &mut client, &job).await;
        if let Some(client) = client.as_mut().filter(|client| queue.is_empty() || client.since.elapsed() > CATCHING_UP) {
            client.caught_up = true;
        }
        figures.candidate(&answer);
        if let Err(reason) = &answer {
            tracing::warn!(bundle = job.bundle, symbol = %job.symbol, index = job.bar.index, reason, "candidate is silent");
        }
        if let Some(drives) = job.drives {
            // The bar loop may be stopping.
            let _ = drives.send(answer.as_ref().ok().map(|(answer, _)| answer.clone()));
        }
        if answers.send(Answered { entry: job.entry, answer }).await.is_err() {
            return;
        }
    }
}

/// A bundle that is asked, and how far it is with the past: what it needs for that says nothing about its decisions, so
/// the clock of lateness starts behind it.
#[derive(Debug)]
struct Client {
    revision: Revision,
    since: Instant,
    /// Symbols that it has answered for.
    answered: BTreeSet<Symbol>,
    /// No bar has waited for it once.
    caught_up: bool,
}

impl Client {
    async fn connect(revisions: &Revisions, bundle: &str) -> Result<Self, String> {
        let mut revision = revisions.client(bundle)?;
        revision.connect(DEADLINE).await;
        Ok(Self { revision, since: Instant::now(), answered: BTreeSet::new(), caught_up: false })
    }

    /// The answer, and whether it is late.
    async fn ask(&mut self, job: &Job) -> Result<(Answer, bool), String> {
        let counted_from = if self.caught_up { job.asked_at } else { Instant::now() };
        let first = !self.answered.contains(&job.symbol);
        // Who waits for a driver does not wait for its past.
        let patience = if first && job.drives.is_none() { FIRST_ANSWER } else { DEADLINE };
        let left = patience.saturating_sub(counted_from.elapsed());
        if left.is_zero() {
            return Err(format!("no answer within {} ms", patience.as_millis()));
        }
        let answer = self
            .revision
            .decide(&job.symbol, &job.bar, left)
            .await
            .map_err(|status| format!("{:?}: {}", status.code(), status.message()))?;
        self.answered.insert(job.symbol.clone());
        Ok((answer, !first && counted_from.elapsed() > LATE))
    }
}

async fn ask_once(revisions: &Revisions, client: &mut Option<Client>, job: &Job) -> Result<(Answer, bool), String> {
    let client = match client.take().filter(|known| known.revision.bundle() == job.bundle) {
        Some(known) => client.insert(known),
        None => client.insert(Client::connect(revisions, &job.bundle).await?),
    };
    client.ask(job).await
}

/// Writes the evidence down, in the order of the bars.
async fn record(live: Live, mut answered: mpsc::Receiver<Answered>, failed: mpsc::Sender<PairError>) {
    while let Some(Answered { entry, answer }) = answered.recv().await {
        // Dropped when the process stops before the bar was decided: after the restart the bar comes again.
        let Ok(entry) = entry.await else { continue };
        let answer = match answer {
            Ok((answer, late)) => CandidateAnswer::Answered { intent: intent_of(&answer.decision, entry.bar.close), late },
            Err(reason) => CandidateAnswer::Silent { reason },
        };
        let Some(pair) = PairEntry::of(&entry, answer) else { continue };
        let outcome = tokio::task::block_in_place(|| live.pairing().record(&pair));
        if let Err(error) = outcome {
            tracing::error!(%error, sequence = pair.sequence, "evidence cannot be kept");
            let _ = failed.send(error).await;
            return;
        }
    }
}
