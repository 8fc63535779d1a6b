//! Figures of the decider for Prometheus.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use tradewind_wire::admission::Reason;
use tradewind_wire::telemetry::Metrics;

use crate::messages::Answer;
use crate::record::DecisionRecord;

/// Upper ends of the latency buckets, seconds.
const BUCKETS: [f64; 14] = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Instruments of the process. Clones share.
#[derive(Clone, Debug)]
pub struct Figures {
    bars: Counter<u64>,
    sequence: Gauge<u64>,
    stages: Histogram<f64>,
    candidate: Counter<u64>,
    quarantined: Counter<u64>,
    ignored: Counter<u64>,
}

impl Figures {
    /// Registers the instruments.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let meter = metrics.meter("policy");
        let bars = meter.u64_counter("tradewind_policy_bars_total").with_description("Bars decided, by driver and outcome");
        let sequence = meter.u64_gauge("tradewind_policy_last_sequence").with_description("Newest stream sequence decided");
        let stages = meter
            .f64_histogram("tradewind_policy_stage_seconds")
            .with_description("Time per stage of a bar: advance, inference, journal, submit, total")
            .with_boundaries(BUCKETS.to_vec());
        let candidate =
            meter.u64_counter("tradewind_policy_candidate_bars_total").with_description("Bars asked of the candidate, by answer");
        let quarantined = meter
            .u64_counter("tradewind_policy_quarantined_total")
            .with_description("Messages of the feed that were not taken, by reason");
        let ignored = meter
            .u64_counter("tradewind_policy_feed_irregular_total")
            .with_description("Duplicate bars, missing messages and numbers, stale bars, by kind");
        let (quarantined, ignored) = (quarantined.build(), ignored.build());
        Self {
            quarantined,
            ignored,
            bars: bars.build(),
            sequence: sequence.build(),
            stages: stages.build(),
            candidate: candidate.build(),
        }
    }

    /// A bar was decided.
    pub fn decided(&self, record: &DecisionRecord) {
        let outcome = if record.trade.is_some() { "qualified".to_owned() } else { record.reason.clone() };
        let driver = format!("{:?}", record.driver).to_lowercase();
        self.bars.add(1, &[KeyValue::new("driver", driver), KeyValue::new("outcome", outcome)]);
        self.sequence.record(record.sequence, &[]);
    }

    /// A stage of a bar took this long.
    pub fn stage(&self, stage: &'static str, took: Duration) {
        self.stages.record(took.as_secs_f64(), &[KeyValue::new("stage", stage)]);
    }

    /// A message of the feed was not taken.
    pub fn quarantined(&self, reason: Reason) {
        self.quarantined.add(1, &[KeyValue::new("reason", reason.code())]);
    }

    /// The feed had duplicates, holes or late bars.
    pub fn irregular(&self, kind: &'static str, count: u64) {
        self.ignored.add(count, &[KeyValue::new("kind", kind)]);
    }

    /// The candidate answered a bar, or did not.
    pub fn candidate(&self, answer: &Result<(Answer, bool), String>) {
        let kind = match answer {
            Ok((_, false)) => "in_time",
            Ok((_, true)) => "late",
            Err(_) => "silent",
        };
        self.candidate.add(1, &[KeyValue::new("answer", kind)]);
    }
}
