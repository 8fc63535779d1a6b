//! The engines of all services, wired as the processes of the cluster are.

use std::path::Path;

use tradewind_core::time::Nanos;
use tradewind_execution::ExecutionError;
use tradewind_execution::serve::ORDERS_FILE;
use tradewind_inference::{Core, CoreError, Networks, decision_to_wire};
use tradewind_journal::{Journal, JournalError, Log, MemoryLog};
use tradewind_policy::serve::Intake;
use tradewind_policy::{
    AccountSnapshot, AnswerError, CandidateAnswer, Control, Entry, Input, PairEntry, PairError, Pairing, Question, Report,
    Routing, SequencerError, answer_from_wire, intent_of,
};
use tradewind_risk::RiskError;
use tradewind_wire::admission::{Admission, Admitted};
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::config::BundleConfig;
use tradewind_wire::convert::ConvertError;
use tradewind_wire::v1;

use crate::gate::LocalRisk;
use crate::setup::Setup;

/// Why a run stops.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
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

/// The journals of all engines.
pub struct Journals {
    /// Of the decider.
    pub decisions: Box<dyn Log<Entry>>,
    /// Of execution.
    pub execution: Box<dyn Log<tradewind_execution::Record>>,
    /// Of risk.
    pub risk: Box<dyn Log<tradewind_risk::Record>>,
}

impl Journals {
    /// Files below a directory, as durable as those of the cluster.
    ///
    /// # Errors
    /// [`JournalError`] when one cannot be opened.
    pub fn on_disk(directory: &Path) -> Result<Self, JournalError> {
        Ok(Self {
            decisions: Box::new(Journal::open(&directory.join(tradewind_policy::DECISIONS_FILE))?),
            execution: Box::new(Journal::open(&directory.join(ORDERS_FILE))?),
            risk: Box::new(Journal::open(&directory.join("risk.journal"))?),
        })
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
        Journals {
            decisions: Box::new(self.decisions.clone()),
            execution: Box::new(self.execution.clone()),
            risk: Box::new(self.risk.clone()),
        }
    }
}

/// One policy, its bundle, and the gate of its account.
pub struct Pipeline {
    inference: Core,
    policy: tradewind_policy::Engine,
    execution: tradewind_execution::Engine<LocalRisk>,
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

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Opens all engines on their journals, reconciles, and sends the last trade again.
    ///
    /// # Errors
    /// [`PipelineError`] of the first engine that cannot go on.
    pub fn open(setup: &Setup, networks: Networks, journals: Journals) -> Result<Self, PipelineError> {
        let mut risk = tradewind_risk::Engine::open(&setup.trading.account, journals.risk)?;
        risk.apply_profile(1, &setup.profile.spec)?;
        risk.apply_account(&setup.account)?;
        let gate = LocalRisk { engine: risk, own: None };
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

    /// Takes the bar at this place of the stream: advance, decide, write down, submit. Bars of the past only
    /// rebuild features; bars of other symbols pass by. Returns what was decided.
    ///
    /// # Errors
    /// [`PipelineError`]; open the pipeline again on its journals and give the same bar.
    pub fn take(&mut self, sequence: u64, message: &v1::Bar) -> Result<Option<(v1::AccountView, &Entry)>, PipelineError> {
        // A recording has no arrival: its feed is a replay.
        let found = SequencedBar { sequence, arrived: Nanos(message.close_time_ns), bar: message.clone() };
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
        self.execution.gate().own = Some(found);
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
