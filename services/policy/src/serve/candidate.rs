//! The candidate's side of a bar, in tasks of its own: whatever the candidate does, the stable goes on.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tradewind_domain::instrument::Symbol;
use tradewind_domain::tactical::Decision;
use tradewind_wire::v1;

use super::live::Live;
use super::metrics::Figures;
use super::revisions::{Revision, Revisions};
use crate::evidence::{CandidateAnswer, PairEntry, PairError};
use crate::record::{Entry, intent_of};

/// An answer later than this counts as a deadline miss.
pub const LATE: Duration = Duration::from_millis(100);
/// An answer later than this is none.
pub const DEADLINE: Duration = Duration::from_secs(1);
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
    pub drives: Option<oneshot::Sender<Option<Decision>>>,
    /// The journal entry of the bar, once it is written.
    pub entry: oneshot::Receiver<Entry>,
}

#[derive(Debug)]
struct Answered {
    entry: oneshot::Receiver<Entry>,
    answer: Result<(Decision, bool), String>,
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
    let mut client: Option<Revision> = None;
    while let Some(job) = queue.recv().await {
        let answer = ask_once(&revisions, &mut client, &job).await;
        figures.candidate(&answer);
        if let Err(reason) = &answer {
            tracing::warn!(bundle = job.bundle, symbol = %job.symbol, index = job.bar.index, reason, "candidate is silent");
        }
        if let Some(drives) = job.drives {
            // The bar loop may be stopping.
            let _ = drives.send(answer.as_ref().ok().map(|(decision, _)| decision.clone()));
        }
        if answers.send(Answered { entry: job.entry, answer }).await.is_err() {
            return;
        }
    }
}

async fn ask_once(revisions: &Revisions, client: &mut Option<Revision>, job: &Job) -> Result<(Decision, bool), String> {
    let mut counted_from = job.asked_at;
    if client.as_ref().is_none_or(|known| known.bundle() != job.bundle) {
        let mut new = revisions.client(&job.bundle)?;
        // The handshake of a new connection says nothing about the bundle: it is done before the clock of lateness starts.
        new.connect(DEADLINE).await;
        *client = Some(new);
        counted_from = Instant::now();
    }
    let left = DEADLINE.saturating_sub(job.asked_at.elapsed());
    let Some(client) = client.as_mut().filter(|_| !left.is_zero()) else {
        return Err(format!("no answer within {} ms", DEADLINE.as_millis()));
    };
    let decision = client
        .decide(&job.symbol, &job.bar, left)
        .await
        .map_err(|status| format!("{:?}: {}", status.code(), status.message()))?;
    Ok((decision, counted_from.elapsed() > LATE))
}

/// Writes the evidence down, in the order of the bars.
async fn record(live: Live, mut answered: mpsc::Receiver<Answered>, failed: mpsc::Sender<PairError>) {
    while let Some(Answered { entry, answer }) = answered.recv().await {
        // Dropped when the process stops before the bar was decided: after the restart the bar comes again.
        let Ok(entry) = entry.await else { continue };
        let answer = match answer {
            Ok((decision, late)) => CandidateAnswer::Answered { intent: intent_of(&decision, entry.bar.close), late },
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
