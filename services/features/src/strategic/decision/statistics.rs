//! Running figures of a serving process; they can be rebuilt at any time (ST-143).

use super::outcome::StrategicDecision;

/// Share of the newest value in a running average (ST-68).
const NEWEST: f64 = 0.1;

/// Figures of one agent (ST-68).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AgentStatistics {
    /// Actions counted.
    pub actions_taken: u64,
    /// Running average of its confidence, from 0.
    pub average_confidence: f64,
    /// Running average of its entropy in nats, from 0.
    pub average_entropy: f64,
}

/// Figures of all decisions (ST-68).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Decisions counted, fallbacks among them.
    pub decisions_made: u64,
    /// Running average of their confidence, from 0.
    pub average_confidence: f64,
    /// By agent id.
    pub agents: [AgentStatistics; 3],
}

impl Statistics {
    /// Counts a decision.
    pub fn record(&mut self, decision: &StrategicDecision) {
        self.decisions_made += 1;
        smooth(&mut self.average_confidence, decision.confidence);
        for (agent, action) in self.agents.iter_mut().zip(&decision.individual_actions) {
            agent.actions_taken += 1;
            smooth(&mut agent.average_confidence, action.confidence);
            smooth(&mut agent.average_entropy, action.entropy);
        }
    }
}

fn smooth(average: &mut f64, newest: f64) {
    *average = (1.0 - NEWEST) * *average + NEWEST * newest;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ST-V32
    #[test]
    fn running_averages_start_at_zero() {
        let mut average = 0.0;
        for (confidence, wanted) in [(0.8, 0.08), (0.6, 0.132)] {
            smooth(&mut average, confidence);
            assert!((average - wanted).abs() < 1e-12);
        }
    }
}
