//! A decision as message.

use tradewind_features::strategic;
use tradewind_features::tactical::{AgentVote, Synergy, Urgency};
use tradewind_features::warm_up::WarmUp;
use tradewind_wire::v1;

use crate::core::Decided;

/// Field for field, nothing rounded.
#[must_use]
pub fn decision_to_wire(decided: Decided) -> v1::Decision {
    let Decided { decision, strategic, .. } = decided;
    let [score_long, score_hold, score_short] = decision.scores;
    v1::Decision {
        bundle: decision.bundle,
        symbol: decision.symbol.to_string(),
        index: decision.index,
        close_time_ns: decision.close_time.0,
        agents: decision.agents.into_iter().map(vote).collect(),
        synergy: decision.synergy.map(synergy),
        action: decision.action.into(),
        execute: decision.execute,
        confidence: decision.confidence,
        score_long,
        score_hold,
        score_short,
        urgency: match decision.urgency {
            None => "",
            Some(Urgency::Normal) => "normal",
            Some(Urgency::Aggressive) => "aggressive",
        }
        .to_owned(),
        synergy_aligned: decision.synergy_aligned,
        reason: decision.reason,
        warm_up: decision.warm_up.map(warm_up),
        stop_ticks: decision.stop.0,
        target_ticks: decision.target.0,
        confidence_multiplier: decision.confidence_multiplier,
        atr: decision.atr,
        strategic: strategic.as_ref().map(event).unwrap_or_default(),
    }
}

/// Only finite numbers are in it, so it is always JSON.
fn event(decided: &strategic::Decided) -> String {
    serde_json::to_string(decided).unwrap_or_default()
}

fn vote(vote: AgentVote) -> v1::AgentVote {
    v1::AgentVote {
        agent: vote.agent,
        action_index: vote.action_index.into(),
        vote: vote.vote.into(),
        probabilities: vote.probabilities.to_vec(),
        confidence: vote.confidence,
    }
}

fn warm_up(warm_up: WarmUp) -> v1::WarmUp {
    v1::WarmUp { stage: warm_up.stage.text().to_owned(), seen: warm_up.seen, needed: warm_up.needed }
}

fn synergy(synergy: Synergy) -> v1::Synergy {
    v1::Synergy {
        r#type: synergy.synergy_type,
        direction: synergy.direction.into(),
        confidence: synergy.confidence,
        source: synergy.source,
    }
}
