//! What the process tells about its decisions (TA-55 to TA-57).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use tradewind_features::strategic::decision::StrategicDecision;
use tradewind_features::tactical::{AGENTS, Decision};
use tradewind_wire::telemetry::Metrics;

use crate::core::Decided;
use crate::health::{Health, Measure};
use crate::stages::{Stage, StageWindow};

type Windows = Arc<Mutex<BTreeMap<Stage, StageWindow>>>;
/// When the newest decision was made.
type Newest = Arc<Mutex<Option<Instant>>>;

/// Metrics of one inference process.
#[derive(Clone, Debug)]
pub struct Figures {
    latency: Histogram<f64>,
    stages: Histogram<f64>,
    decisions: Counter<u64>,
    confidence: Histogram<f64>,
    strategic_decisions: Counter<u64>,
    strategic_gates: Counter<u64>,
    strategic_fallbacks: Counter<u64>,
    failures: Counter<u64>,
    windows: Windows,
    newest: Newest,
}

impl Figures {
    /// Registers the instruments; names and buckets are those of TA-57.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let meter = metrics.meter("inference");
        let (windows, newest) = (Windows::default(), Newest::default());
        observe_health(&meter, &windows, &newest);
        let observed = Arc::clone(&windows);
        meter
            .f64_observable_gauge("tactical_stage_latency_summary_seconds")
            .with_description("Statistics of the last 1000 samples of a stage")
            .with_callback(move |observer| {
                for (stage, window) in observed.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    let figures = window.summary();
                    let named = [("mean", figures.mean), ("p50", figures.p50), ("p95", figures.p95), ("p99", figures.p99)];
                    for (statistic, value) in named.into_iter().chain([("max", figures.max)]) {
                        observer.observe(value, &[KeyValue::new("stage", stage.name()), KeyValue::new("statistic", statistic)]);
                    }
                }
            })
            .build();
        Self {
            latency: meter
                .f64_histogram("tactical_inference_latency_seconds")
                .with_boundaries(vec![0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0])
                .with_description("From the question to the answer, inside the process")
                .build(),
            stages: meter
                .f64_histogram("tactical_stage_latency_seconds")
                .with_boundaries(vec![0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.03, 0.1])
                .with_description("Time of one stage of a decision")
                .build(),
            decisions: meter.u64_counter("tactical_decisions_total").with_description("Votes of each agent").build(),
            confidence: meter
                .f64_histogram("tactical_model_confidence")
                .with_boundaries((0..=10).map(|tenth| f64::from(tenth) / 10.0).collect())
                .with_description("Confidence of the winning action")
                .build(),
            strategic_decisions: meter
                .u64_counter("strategic_decisions_total")
                .with_description("Decisions on synergy events")
                .build(),
            strategic_gates: meter
                .u64_counter("strategic_gate_total")
                .with_description("Conditions that kept a strategic decision from proceeding")
                .build(),
            strategic_fallbacks: meter
                .u64_counter("strategic_fallback_total")
                .with_description("Strategic decisions that the networks did not make, by cause")
                .build(),
            failures: meter
                .u64_counter("tactical_unanswered_total")
                .with_description("Questions without a decision, by the code they were answered with")
                .build(),
            windows,
            newest,
        }
    }

    /// Counts a decision. Remembered answers count as latency, not as decisions.
    pub fn decided(&self, decided: &Decided, waited: Duration, total: Duration) {
        self.latency.record(total.as_secs_f64(), &[]);
        let taken = [
            (Stage::Queue, waited),
            (Stage::Strategic, decided.strategic_stage),
            (Stage::AgentInference, decided.networks),
            (Stage::FeaturesAndAggregation, decided.rest),
            (Stage::Total, total),
        ];
        for (stage, taken) in taken {
            self.stage(stage, taken);
        }
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if !decided.networks.is_zero() {
            self.votes(&decided.decision);
            if let Some(strategic) = &decided.strategic {
                self.strategic(&strategic.decision);
            }
        }
    }

    /// Counts a question that got no decision.
    pub fn failed(&self, code: tonic::Code) {
        self.failures.add(1, &[KeyValue::new("code", format!("{code:?}"))]);
    }

    fn stage(&self, stage: Stage, taken: Duration) {
        self.stages.record(taken.as_secs_f64(), &[KeyValue::new("stage", stage.name())]);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.entry(stage).or_default().add(taken, stage.target()) {
            let (took_us, target_us) = (taken.as_micros(), stage.target().as_micros());
            tracing::warn!(stage = stage.name(), took_us, target_us, "a stage took longer than its budget");
        }
    }

    /// ST-136
    fn strategic(&self, decision: &StrategicDecision) {
        let direction = match decision.direction {
            1 => "bullish",
            -1 => "bearish",
            _ => "neutral",
        };
        let labels = [
            KeyValue::new("symbol", decision.symbol.to_string()),
            KeyValue::new("direction", direction),
            KeyValue::new("should_proceed", decision.should_proceed),
        ];
        self.strategic_decisions.add(1, &labels);
        for reason in &decision.gate_reasons {
            self.strategic_gates.add(1, &[KeyValue::new("reason", label(reason))]);
        }
        if let Some(cause) = &decision.fallback {
            self.strategic_fallbacks.add(1, &[KeyValue::new("cause", label(cause))]);
        }
    }

    fn votes(&self, decision: &Decision) {
        for (agent, vote) in AGENTS.into_iter().zip(&decision.agents) {
            let action = match vote.vote {
                1 => "long",
                -1 => "short",
                _ => "hold",
            };
            self.decisions.add(1, &[KeyValue::new("action_type", action), KeyValue::new("agent", agent)]);
        }
        self.confidence.record(decision.confidence, &[]);
    }
}

/// TA-58, TA-59: what the process knows of its own health.
fn observe_health(meter: &Meter, windows: &Windows, newest: &Newest) {
    let (windows, newest) = (Arc::clone(windows), Arc::clone(newest));
    meter
        .u64_observable_gauge("tactical_health")
        .with_description(
            "0 healthy, 1 degraded, 2 critical: by the latency and the age of the newest decisions, and the worse of both",
        )
        .with_callback(move |observer| {
            let total = windows.lock().unwrap_or_else(PoisonError::into_inner).get(&Stage::Total).map(StageWindow::summary);
            let latency = Measure::TotalP95Ms.judge(total.unwrap_or_default().p95 * 1e3);
            let newest = *newest.lock().unwrap_or_else(PoisonError::into_inner);
            let age = newest.map(|newest| Measure::SinceDecisionSeconds.judge(newest.elapsed().as_secs_f64()));
            let overall = Health::of([latency].into_iter().chain(age));
            for (measure, health) in [("latency", Some(latency)), ("age", age), ("overall", Some(overall))] {
                if let Some(health) = health {
                    observer.observe(health as u64, &[KeyValue::new("measure", measure)]);
                }
            }
        })
        .build();
}

/// The name under which a reason is written in records.
fn label(reason: &impl serde::Serialize) -> String {
    serde_json::to_value(reason).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}
