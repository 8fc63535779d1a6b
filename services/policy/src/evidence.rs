//! Paired evidence: what both revisions would have earned, bar by bar, kept in a journal of its own.
//!
//! It runs beside the sequencer and may lag behind it: a slow candidate delays its own evidence and nothing else.

use std::collections::BTreeMap;

use crate::paired::{EvidenceError, PairedEvidence};
use serde::{Deserialize, Serialize};
use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_core::sizing::TradeIntent;
use tradewind_journal::{JournalError, Log};
use tradewind_venue::shadow::{ShadowBook, ShadowConfig, ShadowError};

use crate::record::{Entry, PairKey, intent_of};

/// How the candidate answered a bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CandidateAnswer {
    /// It answered within the deadline.
    Answered {
        /// What it wants; `None`: hold.
        intent: Option<TradeIntent>,
        /// Later than the time that counts as a miss.
        late: bool,
    },
    /// It did not.
    Silent {
        /// Why.
        reason: String,
    },
}

/// One bar of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairEntry {
    /// Place in the stream.
    pub sequence: u64,
    /// Symbol of the bar.
    pub symbol: Symbol,
    /// The bar.
    pub bar: Bar,
    /// What is compared.
    pub pair: PairKey,
    /// Rollout step.
    pub step: u32,
    /// What the stable wants; `None`: hold.
    pub stable: Option<TradeIntent>,
    /// How the candidate answered.
    pub candidate: CandidateAnswer,
}

impl PairEntry {
    /// The evidence of a bar; `None` when no comparison was going on.
    #[must_use]
    pub fn of(entry: &Entry, candidate: CandidateAnswer) -> Option<Self> {
        Some(Self {
            sequence: entry.record.sequence,
            symbol: entry.record.symbol.clone(),
            bar: entry.bar,
            pair: entry.pair.clone()?,
            step: entry.record.step,
            stable: intent_of(entry.stable_decision(), entry.bar.close),
            candidate,
        })
    }
}

/// Why evidence could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The symbol is not traded by this policy.
    #[error("{0} is not an instrument of this policy")]
    UnknownSymbol(Symbol),
    /// A shadow book refused.
    #[error(transparent)]
    Shadow(#[from] ShadowError),
    /// The interval refused.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Figures of one revision since the candidate arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Bars answered.
    pub bars: u64,
    /// Bars not answered.
    pub errors: u64,
    /// Bars answered late.
    pub deadline_misses: u64,
    /// Traded notional over starting equity, basis points.
    pub turnover_bps: f64,
    /// Net profit over starting equity, basis points.
    pub net_pnl_bps: f64,
    /// Trades.
    pub trades: u64,
}

/// State of the comparison at hand.
#[derive(Clone, Debug)]
struct Comparison {
    pair: PairKey,
    step: u32,
    bars_in_step: u64,
    bars: u64,
    answered: u64,
    late: u64,
    stable: ShadowBook,
    candidate: ShadowBook,
    evidence: PairedEvidence,
}

/// What is reported of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What is compared.
    pub pair: PairKey,
    /// Rollout step of the newest bar.
    pub step: u32,
    /// Bars of this step that both revisions answered.
    pub bars_in_step: u64,
    /// The bundle that serves.
    pub stable: Figures,
    /// The bundle on its way.
    pub candidate: Figures,
    /// Differences per bar.
    pub evidence: PairedEvidence,
}

/// The shadow books of a rollout and their difference.
pub struct Pairing {
    config: ShadowConfig,
    instruments: BTreeMap<Symbol, Instrument>,
    journal: Box<dyn Log<PairEntry>>,
    last_sequence: u64,
    comparison: Option<Comparison>,
}

impl std::fmt::Debug for Pairing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pairing").field("last_sequence", &self.last_sequence).finish_non_exhaustive()
    }
}

impl Pairing {
    /// Opens the comparison on its journal and goes on where the journal ends.
    ///
    /// # Errors
    /// [`PairError`] when the journal cannot be read or contradicts itself.
    pub fn open(
        config: ShadowConfig,
        instruments: BTreeMap<Symbol, Instrument>,
        journal: Box<dyn Log<PairEntry>>,
    ) -> Result<Self, PairError> {
        let entries = journal.records_from(0)?;
        let mut pairing = Self { config, instruments, journal, last_sequence: 0, comparison: None };
        for entry in entries {
            pairing.apply(&entry?)?;
        }
        Ok(pairing)
    }

    /// Newest sequence compared; 0 before the first.
    #[must_use]
    pub const fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Writes one bar down and compares it. A bar that was compared before changes nothing, and neither does the
    /// silence of a candidate that has not answered yet: it arrives with its first answer, not with its first pod.
    ///
    /// # Errors
    /// [`PairError`]; after [`PairError::Journal`] it must be opened again.
    pub fn record(&mut self, entry: &PairEntry) -> Result<(), PairError> {
        let begun = self.comparison.as_ref().is_some_and(|comparison| comparison.pair == entry.pair);
        let silent = matches!(entry.candidate, CandidateAnswer::Silent { .. });
        if entry.sequence <= self.last_sequence || (silent && !begun) {
            return Ok(());
        }
        self.journal.append(entry)?;
        self.apply(entry)
    }

    /// The comparison at hand, if it is the one of these two bundles.
    #[must_use]
    pub fn report(&self, stable: &str, candidate: &str) -> Option<Report> {
        let comparison = self.comparison.as_ref().filter(|c| c.pair.stable == stable && c.pair.candidate == candidate)?;
        let figures = |book: &ShadowBook| Figures {
            turnover_bps: book.turnover_bps(),
            net_pnl_bps: book.net_pnl_bps(),
            trades: book.trades(),
            ..Figures::default()
        };
        let (bars, answered, late) = (comparison.bars, comparison.answered, comparison.late);
        Some(Report {
            pair: comparison.pair.clone(),
            step: comparison.step,
            bars_in_step: comparison.bars_in_step,
            stable: Figures { bars, ..figures(&comparison.stable) },
            candidate: Figures {
                bars: answered,
                errors: bars - answered,
                deadline_misses: late,
                ..figures(&comparison.candidate)
            },
            evidence: comparison.evidence,
        })
    }

    fn apply(&mut self, entry: &PairEntry) -> Result<(), PairError> {
        let instrument = self.instruments.get(&entry.symbol).ok_or_else(|| PairError::UnknownSymbol(entry.symbol.clone()))?;
        let kept = self.comparison.take().filter(|comparison| comparison.pair == entry.pair);
        let mut comparison = match kept {
            Some(comparison) => comparison,
            None => Comparison::new(self.config, entry)?,
        };
        comparison.take(instrument, entry)?;
        self.comparison = Some(comparison);
        self.last_sequence = entry.sequence;
        Ok(())
    }
}

impl Comparison {
    /// Both books start flat when a candidate arrives.
    fn new(config: ShadowConfig, entry: &PairEntry) -> Result<Self, EvidenceError> {
        Ok(Self {
            pair: entry.pair.clone(),
            step: entry.step,
            bars_in_step: 0,
            bars: 0,
            answered: 0,
            late: 0,
            stable: ShadowBook::new(config),
            candidate: ShadowBook::new(config),
            evidence: PairedEvidence::new(entry.pair.bound_bps, entry.pair.confidence_bps)?,
        })
    }

    fn take(&mut self, instrument: &Instrument, entry: &PairEntry) -> Result<(), PairError> {
        if self.step != entry.step {
            (self.step, self.bars_in_step) = (entry.step, 0);
        }
        let stable = self.stable.on_bar(instrument, &entry.bar)?;
        let candidate = self.candidate.on_bar(instrument, &entry.bar)?;
        self.evidence.push(candidate.net_bps - stable.net_bps)?;
        self.bars += 1;
        want(&mut self.stable, instrument, entry.stable.as_ref())?;
        if let CandidateAnswer::Answered { intent, late } = &entry.candidate {
            self.answered += 1;
            self.bars_in_step += 1;
            self.late += u64::from(*late);
            want(&mut self.candidate, instrument, intent.as_ref())?;
        }
        Ok(())
    }
}

/// Gives a decision to a book. A trade without a size is no trade, as at the venue.
fn want(book: &mut ShadowBook, instrument: &Instrument, intent: Option<&TradeIntent>) -> Result<(), ShadowError> {
    let Some(intent) = intent else { return Ok(()) };
    match book.decide(instrument, intent) {
        Ok(_) | Err(ShadowError::Sizing(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
