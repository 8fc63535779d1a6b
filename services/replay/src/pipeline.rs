//! The engines of all services, wired as the processes of the cluster are.

use std::path::Path;

use tradewind_core::time::Nanos;
use tradewind_execution::serve::ORDERS_FILE;
use tradewind_execution::{ExecutionError, RiskGate};
use tradewind_inference::{Core, CoreError, Networks, decision_to_wire};
use tradewind_journal::{Journal, JournalError, Log, MemoryLog};
use tradewind_policy::serve::Intake;
use tradewind_policy::{
    AccountSnapshot, AnswerError, CandidateAnswer, Control, Entry, Input, PairEntry, PairError, Pairing, Question, Report,
    Routing, SequencerError, WARM, answer_from_wire, intent_of,
};
use tradewind_risk::RiskError;
use tradewind_wire::admission::{Admission, Admitted};
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::config::BundleConfig;
use tradewind_wire::convert::ConvertError;
use tradewind_wire::v1;

use crate::gate::LocalRisk;
use crate::setup::{Setup, SetupError, account_of};

/// Name of the gate's journal.
pub const RISK_FILE: &str = "risk.journal";

/// Why a run stops.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The manifests.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Inference.
    #[error("inference: {0}")]
    Inference(#[from] CoreError),
    /// What inference answered.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The decider.
    #[error("policy: {0}")]
    Policy(#[from] SequencerError),
    /// The comparison.
    #[error("evidence: {0}")]
    Pairing(#[from] PairError),
    /// Execution.
    #[error("execution: {0}")]
    Execution(#[from] ExecutionError),
    /// Risk.
    #[error("risk: {0}")]
    Risk(#[from] RiskError),
    /// A message.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The journals of the engines of one policy.
pub struct PolicyJournals {
    /// Of the decider.
    pub decisions: Box<dyn Log<Entry>>,
    /// Of execution.
    pub execution: Box<dyn Log<tradewind_execution::Record>>,
}

impl PolicyJournals {
    /// Files below a directory, as durable as those of the cluster.
    ///
    /// # Errors
    /// [`JournalError`] when one cannot be opened.
    pub fn on_disk(directory: &Path) -> Result<Self, JournalError> {
        Ok(Self {
            decisions: Box::new(Journal::open(&directory.join(tradewind_policy::DECISIONS_FILE))?),
            execution: Box::new(Journal::open(&directory.join(ORDERS_FILE))?),
        })
    }
}

/// The journals of an account with one policy.
pub struct Journals {
    /// Of the policy.
    pub policy: PolicyJournals,
    /// Of risk.
    pub risk: Box<dyn Log<tradewind_risk::Record>>,
}

impl Journals {
    /// Files below a directory, as durable as those of the cluster.
    ///
    /// # Errors
    /// [`JournalError`] when one cannot be opened.
    pub fn on_disk(directory: &Path) -> Result<Self, JournalError> {
        Ok(Self { policy: PolicyJournals::on_disk(directory)?, risk: Box::new(Journal::open(&directory.join(RISK_FILE))?) })
    }
}

/// Journals in memory; clones share what is written.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournals {
    /// Of the decider.
    pub decisions: MemoryLog<Entry>,
    /// Of execution.
    pub execution: MemoryLog<tradewind_execution::Record>,
    /// Of risk.
    pub risk: MemoryLog<tradewind_risk::Record>,
}

impl MemoryJournals {
    /// Handles for a pipeline.
    #[must_use]
    pub fn handles(&self) -> Journals {
        Journals { policy: self.of_policy(), risk: Box::new(self.risk.clone()) }
    }

    /// Handles for the engines of a policy alone.
    #[must_use]
    pub fn of_policy(&self) -> PolicyJournals {
        PolicyJournals { decisions: Box::new(self.decisions.clone()), execution: Box::new(self.execution.clone()) }
    }
}

/// One policy, its bundle, and the gate of its account.
pub struct Pipeline<R = LocalRisk> {
    inference: Core,
    policy: tradewind_policy::Engine,
    execution: tradewind_execution::Engine<R>,
    routing: Routing,
    control: Control,
    comparison: Option<Comparison>,
    admission: Admission,
    intake: Intake,
}

/// Another bundle that sees every bar and drives none: the shadow phase of a rollout.
struct Comparison {
    inference: Core,
    bundle: String,
    pairing: Pairing,
}

impl<R> std::fmt::Debug for Pipeline<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Opens all engines of an account with one policy on their journals, reconciles, and sends the last trade again.
    ///
    /// # Errors
    /// [`PipelineError`] of the first engine that cannot go on.
    pub fn open(setup: &Setup, networks: Networks, journals: Journals) -> Result<Self, PipelineError> {
        let gate = LocalRisk::open(setup, &account_of(&[setup])?, journals.risk)?;
        Self::join(setup, networks, journals.policy, gate)
    }

    /// Takes the bar at this place of the stream, which is the newest that the gate's own feed has brought.
    ///
    /// # Errors
    /// As [`Pipeline::step`].
    pub fn take(&mut self, sequence: u64, message: &v1::Bar) -> Result<Option<(v1::AccountView, &Entry)>, PipelineError> {
        self.execution.gate().brought(found(sequence, message));
        self.step(sequence, message)
    }
}

impl<R: RiskGate> Pipeline<R> {
    /// As [`Pipeline::open`], at a gate that other policies share.
    ///
    /// # Errors
    /// [`PipelineError`] of the first engine that cannot go on.
    pub fn join(setup: &Setup, networks: Networks, journals: PolicyJournals, gate: R) -> Result<Self, PipelineError> {
        let mut execution = tradewind_execution::Engine::open(setup.execution.clone(), journals.execution, gate)?;
        execution.recover()?;
        let policy = tradewind_policy::Engine::open(setup.settings.clone(), journals.decisions)?;
        let routing = Routing::fixed(setup.bundle.bundle.clone());
        let inference = Core::new(setup.bundle.clone(), networks)?;
        let (admission, intake) = (policy.admission(), Intake::default());
        let control = setup.control;
        let mut pipeline = Self { inference, policy, execution, routing, control, comparison: None, admission, intake };
        if let Some(trade) = pipeline.policy.last().and_then(|entry| entry.record.submission()) {
            pipeline.execution.submit(&trade)?;
        }
        Ok(pipeline)
    }

    /// Lets another bundle see every bar from here on, as a candidate in the shadow phase. Its evidence is kept in
    /// memory; ledgers do not change by it.
    ///
    /// # Errors
    /// [`PipelineError`] when the bundle cannot be served.
    pub fn compare(&mut self, setup: &Setup, bundle: &str, networks: Networks) -> Result<(), PipelineError> {
        let config = BundleConfig { bundle: bundle.to_owned(), ..setup.bundle.clone() };
        let settings = &setup.settings;
        let pairing = Pairing::open(settings.shadow(), settings.instruments.clone(), Box::new(MemoryLog::new()))?;
        self.routing.candidate = Some(bundle.to_owned());
        self.routing.confidence_bps = setup.confidence_bps;
        self.comparison = Some(Comparison { inference: Core::new(config, networks)?, bundle: bundle.to_owned(), pairing });
        Ok(())
    }

    /// What the comparison shows so far.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        let comparison = self.comparison.as_ref()?;
        comparison.pairing.report(&self.routing.stable, &comparison.bundle)
    }

    /// Sequence of the newest bar decided; 0 before the first.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.policy.last_sequence()
    }

    /// What was not taken of the recording, as a process of the cluster would not take it either.
    #[must_use]
    pub const fn intake(&self) -> &Intake {
        &self.intake
    }

    /// The decider.
    #[must_use]
    pub const fn policy(&self) -> &tradewind_policy::Engine {
        &self.policy
    }

    /// Execution, whose gate may be another process.
    pub const fn execution(&mut self) -> &mut tradewind_execution::Engine<R> {
        &mut self.execution
    }

    /// Begins behind bars that are known and not decided, as a policy with `startAt: Newest` does: they warm features and market
    /// states, and no venue meets them. `past` is the stream from its first message on; to be called before the first bar is
    /// taken, also when the pipeline is opened again.
    ///
    /// # Errors
    /// [`PipelineError::Policy`] when the journal cannot be read.
    pub fn begin_behind(&mut self, past: &[v1::Bar]) -> Result<(), PipelineError> {
        let settings = self.policy.settings();
        let mut gate = Admission::new(settings.freshness.kind, settings.instruments.values().cloned());
        let unread = (past.len() as u64).saturating_sub(WARM);
        let mut warm = Vec::new();
        for (sequence, message) in (1..).zip(past) {
            let found = found(sequence, message);
            self.inference.load(&found);
            if let Some(comparison) = &mut self.comparison {
                comparison.inference.load(&found);
            }
            if sequence > unread
                && let Admitted::Taken(taken) = gate.admit(sequence, message, found.arrived)
            {
                warm.push((taken.symbol, taken.bar));
            }
        }
        self.policy.warm(&warm)?;
        self.admission = self.policy.admission();
        Ok(())
    }

    /// A bar of a stream that the gate reads by itself: advance, decide, write down, submit. Bars of the past only
    /// rebuild features; bars of other symbols pass by. Returns what was decided.
    ///
    /// # Errors
    /// [`PipelineError`]; open the pipeline again on its journals and give the same bar.
    pub fn step(&mut self, sequence: u64, message: &v1::Bar) -> Result<Option<(v1::AccountView, &Entry)>, PipelineError> {
        let found = found(sequence, message);
        self.inference.load(&found);
        if let Some(comparison) = &mut self.comparison {
            comparison.inference.load(&found);
        }
        if sequence <= self.policy.last_sequence() {
            return Ok(None);
        }
        let (symbol, bar) = match self.admission.admit(sequence, message, found.arrived) {
            Admitted::Taken(taken) => {
                self.intake.missing = self.intake.missing.saturating_add(taken.missing);
                (taken.symbol, taken.bar)
            }
            Admitted::Quarantined(quarantined) => {
                self.intake.quarantine(quarantined);
                return Ok(None);
            }
            Admitted::Duplicate { .. } => {
                self.intake.duplicates += 1;
                return Ok(None);
            }
            Admitted::Other => return Ok(None),
        };
        let view = self.execution.advance(&v1::AdvanceRequest { bar: Some(message.clone()), sequence })?;
        let account = AccountSnapshot::from_wire(&view)?;
        // Through the message, because in the cluster it goes through the message.
        let answer = decision_to_wire(self.inference.decide(message)?);
        let question = Question { bundle: self.routing.stable.clone(), symbol: symbol.clone(), index: bar.index };
        let stable = answer_from_wire(&answer, &question)?;
        let entry = self.policy.decide(Input {
            sequence,
            symbol: &symbol,
            bar: &bar,
            routing: &self.routing,
            control: self.control,
            stale: false,
            account: &account,
            stable,
            candidate: None,
        })?;
        if let Some(trade) = entry.record.submission() {
            self.execution.submit(&trade)?;
        }
        if let Some(comparison) = &mut self.comparison {
            let decision = comparison.inference.decide(message)?.decision;
            let answer = CandidateAnswer::Answered { intent: intent_of(&decision, bar.close), late: false };
            PairEntry::of(entry, answer).map_or(Ok(()), |pair| comparison.pairing.record(&pair))?;
        }
        Ok(Some((view, entry)))
    }
}

/// A recording has no arrival: its feed is a replay.
fn found(sequence: u64, message: &v1::Bar) -> SequencedBar {
    SequencedBar { sequence, arrived: Nanos(message.close_time_ns), bar: message.clone() }
}
