//! What the feed brought that was not decided, as people are shown it.

use std::collections::{BTreeMap, VecDeque};

use tradewind_core::bar::Bar;
use tradewind_core::instrument::Symbol;
use tradewind_wire::admission::Quarantined;
use tradewind_wire::v1;

/// Quarantined messages that are kept as a sample.
const SAMPLE: usize = 10;
/// Longest text of a value that came from outside.
const LONGEST: usize = 200;

/// Counts since the process started, and a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intake {
    /// Messages that were not taken.
    quarantined: u64,
    recent: VecDeque<Quarantined>,
    /// Bars that repeated a known one.
    pub duplicates: u64,
    /// Messages and numbers that never came.
    pub missing: u64,
    /// Bars that came too late to be traded on.
    pub stale: u64,
    /// Why the feed is not followed any more; empty while it is.
    pub fault: String,
    /// The newest bar of each symbol that had one.
    pub newest: BTreeMap<Symbol, Bar>,
}

impl Intake {
    /// Nothing yet, but for the newest bars that were taken before.
    #[must_use]
    pub fn begin(newest: BTreeMap<Symbol, Bar>) -> Self {
        Self { newest, ..Self::default() }
    }

    /// A message was not taken.
    pub fn quarantine(&mut self, message: Quarantined) {
        self.quarantined += 1;
        if self.recent.len() == SAMPLE {
            self.recent.pop_front();
        }
        self.recent.push_back(message);
    }

    /// Messages that were not taken.
    #[must_use]
    pub const fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// The sample, oldest first.
    #[must_use]
    pub fn sample(&self) -> Vec<v1::QuarantinedBar> {
        let short = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let shown = |one: &Quarantined| v1::QuarantinedBar {
            sequence: one.sequence,
            symbol: one.symbol.clone(),
            index: one.index,
            reason: one.reason.code().to_owned(),
            value: short(&one.value),
            limit: short(&one.limit),
        };
        self.recent.iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_wire::admission::Reason;

    #[test]
    fn the_sample_is_bounded_and_the_count_is_not() {
        let mut intake = Intake::default();
        for sequence in 1..=25 {
            let (symbol, value, limit) = ("SPX".to_owned(), "x".repeat(5_000), String::new());
            intake.quarantine(Quarantined { sequence, symbol, index: 0, reason: Reason::Volume, value, limit });
        }
        let sample = intake.sample();
        assert_eq!((intake.quarantined(), sample.len(), sample[0].sequence, sample[9].sequence), (25, 10, 16, 25));
        assert!(sample.iter().all(|one| one.value.len() == LONGEST && one.reason == "volume"));
    }
}
