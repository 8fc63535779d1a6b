//! What the process tells about itself while it works: the `PolicyEngine` service and its figures.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tradewind_core::bar::Bar;
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;
use tradewind_wire::v1;
use tradewind_wire::v1::policy_engine_server::{PolicyEngine, PolicyEngineServer};

use super::clock::WallClock;
use super::intake::Intake;
use crate::control::Wanted;
use crate::evidence::{Figures, Pairing, Report};
use crate::freshness::Freshness;
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
    /// Wall clock: since when it waits without a pause.
    waiting_since: Nanos,
    /// What of the spec execution has not heard, and why.
    untold: String,
}

/// Shared by the bar loop, the evidence and the gRPC service. Clones share.
#[derive(Clone, Debug)]
pub struct Live {
    progress: Arc<Mutex<Progress>>,
    pairing: Arc<Mutex<Pairing>>,
    wanted: watch::Receiver<Option<Wanted>>,
    intake: Arc<Mutex<Intake>>,
    freshness: Freshness,
    clock: WallClock,
}

impl Live {
    /// State of a process that has just opened its journals.
    #[must_use]
    pub fn new(engine: &Engine, pairing: Pairing, wanted: watch::Receiver<Option<Wanted>>, clock: WallClock) -> Self {
        let live = Self {
            progress: Arc::default(),
            pairing: Arc::new(Mutex::new(pairing)),
            wanted,
            intake: Arc::new(Mutex::new(Intake::begin(engine.newest()))),
            freshness: engine.settings().freshness.clone(),
            clock,
        };
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
        let (what, now) = (what.into(), self.clock.now());
        let mut progress = self.lock();
        if progress.waiting_for.is_empty() {
            progress.waiting_since = now;
        }
        progress.waiting_for = what;
    }

    /// What of the spec's word on trading execution has not heard, and why; empty: it knows.
    pub fn untold(&self, why: &str) {
        why.clone_into(&mut self.lock().untold);
    }

    /// What the feed brought beside bars that were decided.
    pub fn intake(&self) -> MutexGuard<'_, Intake> {
        // Assignments leave it whole even if a holder of the lock panicked.
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a bar that is taken now is too old to be traded on.
    #[must_use]
    pub fn is_stale(&self, symbol: &Symbol, bar: &Bar) -> bool {
        self.freshness.is_stale(symbol, bar, self.clock.now())
    }

    /// The engine has written this entry.
    pub fn decided(&self, engine: &Engine, entry: &Entry) {
        let policy = entry.record.policy.as_ref();
        self.intake().newest.insert(entry.record.symbol.clone(), entry.bar);
        let untold = self.lock().untold.clone();
        *self.lock() = Progress {
            last_sequence: entry.record.sequence,
            last_event_time_ns: entry.record.close_time.0,
            bars_decided: engine.records(),
            digest: engine.digest(),
            note: policy.map_or_else(|| "market state not known yet".to_owned(), |policy| policy.note.clone()),
            waiting_for: String::new(),
            waiting_since: Nanos(0),
            untold,
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
        let intake = self.intake().clone();
        let waiting_for = match (progress.waiting_for.is_empty(), routing.stable.is_empty()) {
            _ if !intake.fault.is_empty() => intake.fault.clone(),
            _ if !progress.untold.is_empty() => format!("execution to hear of the spec's halt or trading: {}", progress.untold),
            (true, true) => "a stable bundle in status.rollout".to_owned(),
            _ => progress.waiting_for.clone(),
        };
        let silent = self.freshness.silent(&intake.newest, self.clock.now());
        let (silent_since, silent_symbols) = silent.map_or_else(Default::default, |(since, symbols)| {
            (since, symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", "))
        });
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
            waiting_since_ns: if progress.waiting_for.is_empty() { 0 } else { progress.waiting_since.0 },
            quarantined_total: intake.quarantined(),
            recent_quarantined: intake.sample(),
            duplicates_total: intake.duplicates,
            missing_total: intake.missing,
            stale_total: intake.stale,
            feed_fault: intake.fault,
            feed_silent_since_ns: silent_since.0,
            silent_symbols,
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
