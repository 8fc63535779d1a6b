//! Times of the newest decisions, per stage.

use std::time::Duration;

/// A part of one decision, with its budget (TA-55).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Waiting for the deciding thread.
    Queue,
    /// The strategic stage: features, synergy, and on an event its networks.
    Strategic,
    /// The three tactical networks.
    AgentInference,
    /// Matrix, aggregation and intent.
    FeaturesAndAggregation,
    /// From the question to the answer, inside the process.
    Total,
}

impl Stage {
    /// All stages, in the order of a decision.
    pub const ALL: [Self; 5] = [Self::Queue, Self::Strategic, Self::AgentInference, Self::FeaturesAndAggregation, Self::Total];

    /// Name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Strategic => "strategic",
            Self::AgentInference => "agent_inference",
            Self::FeaturesAndAggregation => "features_and_aggregation",
            Self::Total => "total_pipeline",
        }
    }

    /// Longest time before a warning (TA-55); matrix and aggregation are measured together.
    #[must_use]
    pub const fn target(self) -> Duration {
        match self {
            Self::Queue => Duration::from_millis(55),
            // ST-124: features of a closed strategic bar may take so long by themselves.
            Self::Strategic => Duration::from_millis(100),
            Self::AgentInference => Duration::from_millis(30),
            Self::FeaturesAndAggregation => Duration::from_millis(15),
            Self::Total => Duration::from_millis(100),
        }
    }
}

/// Samples kept per stage (TA-56).
const KEPT: usize = 1_000;

/// The newest samples of one stage.
#[derive(Clone, Debug, Default)]
pub struct StageWindow {
    samples: Vec<f64>,
    next: usize,
    violations: u64,
}

/// Figures over a window, in seconds (TA-56).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Mean of the samples.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest sample.
    pub max: f64,
    /// Samples above the target since the start.
    pub violations: u64,
}

impl StageWindow {
    /// Adds a sample; the oldest of more than a thousand is dropped. True when it is above the target.
    pub fn add(&mut self, taken: Duration, target: Duration) -> bool {
        let seconds = taken.as_secs_f64();
        if self.samples.len() < KEPT {
            self.samples.push(seconds);
        } else {
            self.samples[self.next] = seconds;
        }
        self.next = (self.next + 1) % KEPT;
        let late = taken > target;
        self.violations += u64::from(late);
        late
    }

    /// Percentiles with linear interpolation; all zero without samples (TA-56, TA-59).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn summary(&self) -> Summary {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(&max) = sorted.last() else { return Summary::default() };
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let at = |share| percentile(&sorted, share);
        Summary { mean, p50: at(0.5), p95: at(0.95), p99: at(0.99), max, violations: self.violations }
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, fraction) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(millis: impl IntoIterator<Item = u64>) -> StageWindow {
        let mut window = StageWindow::default();
        for sample in millis {
            window.add(Duration::from_millis(sample), Duration::from_millis(1_000));
        }
        window
    }

    /// TA-56: linear interpolation over the last thousand samples.
    #[test]
    fn figures_are_those_of_the_last_thousand() {
        assert_eq!(StageWindow::default().summary(), Summary::default());
        let five = window([10, 20, 30, 40, 50]).summary();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(five.p50, 0.030) && near(five.p95, 0.048) && near(five.p99, 0.0496) && near(five.mean, 0.030));
        let many = window(1..=3_000).summary();
        assert!(near(many.max, 3.0) && near(many.p50, 2.5005) && near(many.mean, 2.5005));
        assert_eq!(many.violations, 2_000, "counted since the start");
    }
}
