//! What the process tells about itself while it works: the `PolicyEngine` service and its figures.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tradewind_wire::v1;
use tradewind_wire::v1::policy_engine_server::{PolicyEngine, PolicyEngineServer};

use crate::control::Wanted;
use crate::evidence::{Figures, Pairing, Report};
use crate::record::Entry;
use crate::sequencer::Engine;

/// Newest state of the bar loop.
#[derive(Clone, Debug, Default, PartialEq)]
struct Progress {
    last_sequence: u64,
    last_event_time_ns: i64,
    bars_decided: u64,
    digest: String,
    note: String,
    waiting_for: String,
}

/// Shared by the bar loop, the evidence and the gRPC service. Clones share.
#[derive(Clone, Debug)]
pub struct Live {
    progress: Arc<Mutex<Progress>>,
    pairing: Arc<Mutex<Pairing>>,
    wanted: watch::Receiver<Option<Wanted>>,
}

impl Live {
    /// State of a process that has just opened its journals.
    #[must_use]
    pub fn new(engine: &Engine, pairing: Pairing, wanted: watch::Receiver<Option<Wanted>>) -> Self {
        let live = Self { progress: Arc::default(), pairing: Arc::new(Mutex::new(pairing)), wanted };
        if let Some(entry) = engine.last() {
            live.decided(engine, entry);
        }
        live
    }

    /// The gRPC service, to be added to the process's routes.
    #[must_use]
    pub fn service(self) -> PolicyEngineServer<Self> {
        PolicyEngineServer::new(self)
    }

    /// The bar in hand waits for this; empty: for nothing.
    pub fn waiting_for(&self, what: impl Into<String>) {
        self.lock().waiting_for = what.into();
    }

    /// The engine has written this entry.
    pub fn decided(&self, engine: &Engine, entry: &Entry) {
        let policy = entry.record.policy.as_ref();
        *self.lock() = Progress {
            last_sequence: entry.record.sequence,
            last_event_time_ns: entry.record.close_time.0,
            bars_decided: engine.records(),
            digest: engine.digest(),
            note: policy.map_or_else(|| "market state not known yet".to_owned(), |policy| policy.note.clone()),
            waiting_for: String::new(),
        };
    }

    /// The evidence, for its recorder.
    pub fn pairing(&self) -> MutexGuard<'_, Pairing> {
        self.pairing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of `PolicyEngine.Status`.
    #[must_use]
    pub fn status(&self) -> v1::PolicyStatus {
        let progress = self.lock().clone();
        let wanted = self.wanted.borrow().clone();
        let (routing, halted, generation) =
            wanted.map_or_else(Default::default, |wanted| (wanted.routing, wanted.control.halt, wanted.generation));
        let candidate = routing.candidate.unwrap_or_default();
        let report = self.pairing().report(&routing.stable, &candidate);
        // Bars of an earlier step say nothing about this one.
        let bars_in_step = report.as_ref().filter(|report| report.step == routing.step).map_or(0, |report| report.bars_in_step);
        let waiting_for = match (progress.waiting_for.is_empty(), routing.stable.is_empty()) {
            (true, true) => "a stable bundle in status.rollout".to_owned(),
            _ => progress.waiting_for,
        };
        v1::PolicyStatus {
            last_sequence: progress.last_sequence,
            last_event_time_ns: progress.last_event_time_ns,
            bars_decided: progress.bars_decided,
            stable: report.as_ref().map(|report| figures(&routing.stable, &report.stable)),
            candidate: report.as_ref().map(|report| figures(&candidate, &report.candidate)),
            paired: report.as_ref().map(paired),
            stable_bundle: routing.stable,
            candidate_bundle: candidate,
            step: routing.step,
            weight_bps: routing.weight_bps,
            bars_in_step,
            halted,
            waiting_for,
            observed_generation: generation,
            active_policy_note: progress.note,
            decisions_digest: progress.digest,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Assignments leave it whole even if a holder of the lock panicked.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn figures(bundle: &str, figures: &Figures) -> v1::RevisionFigures {
    v1::RevisionFigures {
        bundle: bundle.to_owned(),
        bars: figures.bars,
        errors: figures.errors,
        deadline_misses: figures.deadline_misses,
        turnover_bps: figures.turnover_bps,
        net_pnl_bps: figures.net_pnl_bps,
        trades: figures.trades,
    }
}

fn paired(report: &Report) -> v1::PairedPnl {
    let interval = report.evidence.interval();
    v1::PairedPnl {
        n: report.evidence.n(),
        mean_bps: interval.mean_bps,
        lower_bps: interval.lower_bps,
        upper_bps: interval.upper_bps,
        winsorised: report.evidence.winsorised(),
    }
}

#[tonic::async_trait]
impl PolicyEngine for Live {
    async fn status(&self, _: Request<v1::PolicyStatusRequest>) -> Result<Response<v1::PolicyStatus>, Status> {
        Ok(Response::new(self.status()))
    }
}
