//! Instruments of the operator. No object name is ever a label: the number of series stays bounded.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

/// Every instrument, created once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    api_writes: Counter<u64>,
    reconciles: Counter<u64>,
    reconcile_seconds: Histogram<f64>,
    status_writes: Counter<u64>,
    events: Counter<u64>,
    transitions: Counter<u64>,
    polls: Counter<u64>,
    leader: Gauge<u64>,
}

impl Metrics {
    /// Creates the instruments on `meter`.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        Self {
            api_writes: meter
                .u64_counter("tradewind_operator_api_writes_total")
                .with_description("Writes sent to the API server, by kind, verb and outcome.")
                .build(),
            reconciles: meter
                .u64_counter("tradewind_operator_reconciles_total")
                .with_description("Passes, by controller and outcome: done, waiting, invalid or error.")
                .build(),
            reconcile_seconds: meter
                .f64_histogram("tradewind_operator_reconcile_duration_seconds")
                .with_description("Duration of a reconcile, by controller.")
                .build(),
            status_writes: meter
                .u64_counter("tradewind_operator_status_writes_total")
                .with_description("Status writes, by outcome: written, conflict, failed, timed_out, not_leader or dropped.")
                .build(),
            events: meter
                .u64_counter("tradewind_operator_events_total")
                .with_description("Events, by outcome: created, duplicate or failed.")
                .build(),
            transitions: meter
                .u64_counter("tradewind_operator_rollout_transitions_total")
                .with_description("Phases that rollouts entered.")
                .build(),
            polls: meter
                .u64_counter("tradewind_operator_polls_total")
                .with_description("Questions to running processes, by what was asked and outcome.")
                .build(),
            leader: meter
                .u64_gauge("tradewind_operator_leader")
                .with_description("1 while this process holds the lease.")
                .build(),
        }
    }

    /// Instruments that go nowhere unless a provider was installed.
    #[must_use]
    pub fn global() -> Self {
        Self::new(&opentelemetry::global::meter("tradewind-operator"))
    }

    /// One write to the API server.
    pub fn api_write(&self, kind: &str, verb: &'static str, outcome: &'static str) {
        let labels = [KeyValue::new("kind", kind.to_owned()), KeyValue::new("verb", verb), KeyValue::new("outcome", outcome)];
        self.api_writes.add(1, &labels);
    }

    /// One reconcile of a controller.
    pub fn reconcile(&self, controller: &'static str, outcome: &'static str, took: Duration) {
        self.reconciles.add(1, &[KeyValue::new("controller", controller), KeyValue::new("outcome", outcome)]);
        self.reconcile_seconds.record(took.as_secs_f64(), &[KeyValue::new("controller", controller)]);
    }

    /// One status write, or one that was dropped.
    pub fn status_write(&self, outcome: &'static str) {
        self.status_writes.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// One event.
    pub fn event(&self, outcome: &'static str) {
        self.events.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// A rollout entered `phase`.
    pub fn transition(&self, phase: &str) {
        self.transitions.add(1, &[KeyValue::new("phase", phase.to_owned())]);
    }

    /// One question to a running process.
    pub fn poll(&self, asked: &'static str, outcome: &'static str) {
        self.polls.add(1, &[KeyValue::new("asked", asked), KeyValue::new("outcome", outcome)]);
    }

    /// Whether this process leads.
    pub fn leading(&self, leads: bool) {
        self.leader.record(u64::from(leads), &[]);
    }
}
