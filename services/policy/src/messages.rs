//! A decision from the wire, checked.

use tradewind_core::instrument::{InstrumentError, Symbol, Ticks};
use tradewind_core::time::Nanos;
use tradewind_features::strategic::Decided;
use tradewind_features::tactical::{AgentVote, Decision, Synergy, Urgency};
use tradewind_features::warm_up::{Stage, WarmUp};
use tradewind_wire::v1;

/// Why an answer of inference cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// The answer is about something else.
    #[error("inference answered for {found}, {wanted} was asked")]
    Other {
        /// Bundle, symbol and bar of the answer.
        found: String,
        /// Bundle, symbol and bar of the question.
        wanted: String,
    },
    /// A figure is out of range or not a number.
    #[error("inference of bundle {bundle}: {field} is {value}, it must be {allowed}")]
    Value {
        /// Bundle that answered.
        bundle: String,
        /// Field in question.
        field: &'static str,
        /// Value seen.
        value: String,
        /// Value allowed.
        allowed: &'static str,
    },
    /// The symbol is not one.
    #[error(transparent)]
    Symbol(#[from] InstrumentError),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Bundle that was asked.
    pub bundle: String,
    /// Symbol of the bar.
    pub symbol: Symbol,
    /// Number of the bar.
    pub index: u64,
}

/// What inference answers for a bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// The synergy event that the bar completed, and the strategic decision on it.
    pub strategic: Option<Decided>,
}

/// Reads an answer; what is not finite, not known or about another bar is refused.
///
/// # Errors
/// [`AnswerError`] names the first fault.
pub fn answer_from_wire(answer: &v1::Decision, question: &Question) -> Result<Answer, AnswerError> {
    Ok(Answer { decision: decision_from_wire(answer, question)?, strategic: strategic_from_wire(answer, question)? })
}

fn strategic_from_wire(answer: &v1::Decision, question: &Question) -> Result<Option<Decided>, AnswerError> {
    if answer.strategic.is_empty() {
        return Ok(None);
    }
    let refuse = |value: String| AnswerError::Value {
        bundle: answer.bundle.clone(),
        field: "strategic",
        value,
        allowed: "the event and the strategic decision of this bar as JSON",
    };
    let decided: Decided = serde_json::from_str(&answer.strategic).map_err(|error| refuse(error.to_string()))?;
    let of_this_bar = decided.decision.symbol == question.symbol && decided.decision.index == question.index;
    if of_this_bar { Ok(Some(decided)) } else { Err(refuse(decided.event.event_id)) }
}

fn decision_from_wire(answer: &v1::Decision, question: &Question) -> Result<Decision, AnswerError> {
    let place = |bundle: &str, symbol: &str, index| format!("{bundle} {symbol}/{index}");
    let found = place(&answer.bundle, &answer.symbol, answer.index);
    let wanted = place(&question.bundle, question.symbol.as_str(), question.index);
    if found != wanted {
        return Err(AnswerError::Other { found, wanted });
    }
    let refuse = |field, value: String, allowed| AnswerError::Value { bundle: answer.bundle.clone(), field, value, allowed };
    let numbers = [answer.confidence, answer.score_long, answer.score_hold, answer.score_short, answer.confidence_multiplier];
    let unfit = numbers.into_iter().chain([answer.atr]).find(|value| !value.is_finite() || *value < 0.0);
    if let Some(value) = unfit {
        return Err(refuse("a score", value.to_string(), "finite and at least 0"));
    }
    let action = direction(answer.action).ok_or_else(|| refuse("action", answer.action.to_string(), "-1, 0 or 1"))?;
    if answer.execute != (action != 0) {
        return Err(refuse("execute", answer.execute.to_string(), "true exactly when action is not 0"));
    }
    let urgency = match answer.urgency.as_str() {
        "" => None,
        "normal" => Some(Urgency::Normal),
        "aggressive" => Some(Urgency::Aggressive),
        other => return Err(refuse("urgency", other.to_owned(), "empty, normal or aggressive")),
    };
    let synergy = match &answer.synergy {
        None => None,
        Some(synergy) => Some(Synergy {
            synergy_type: synergy.r#type.clone(),
            direction: direction(synergy.direction)
                .ok_or_else(|| refuse("synergy.direction", synergy.direction.to_string(), "-1 or 1"))?,
            confidence: synergy.confidence,
            source: synergy.source.clone(),
        }),
    };
    let warm_up = answer.warm_up.as_ref().map(|warm_up| {
        let read = Stage::of(&warm_up.stage).and_then(|stage| WarmUp::of(stage, warm_up.seen, warm_up.needed));
        read.ok_or_else(|| {
            refuse("warm_up", format!("{warm_up:?}"), "of the strategic or tactical stage, with seen below needed")
        })
    });
    let vote = |vote: &v1::AgentVote| {
        let probabilities: [f64; 3] = vote.probabilities.clone().try_into().ok()?;
        let (vote_direction, action_index) = (direction(vote.vote)?, u8::try_from(vote.action_index).ok().filter(|i| *i < 3)?);
        let (agent, confidence) = (vote.agent.clone(), vote.confidence);
        Some(AgentVote { agent, action_index, vote: vote_direction, probabilities, confidence })
    };
    let agents = answer.agents.iter().map(vote).collect::<Option<Vec<_>>>();
    Ok(Decision {
        bundle: answer.bundle.clone(),
        symbol: question.symbol.clone(),
        index: answer.index,
        close_time: Nanos(answer.close_time_ns),
        agents: agents.ok_or_else(|| refuse("agents", format!("{:?}", answer.agents), "three probabilities and a vote each"))?,
        synergy,
        action,
        execute: answer.execute,
        confidence: answer.confidence,
        scores: [answer.score_long, answer.score_hold, answer.score_short],
        urgency,
        synergy_aligned: answer.synergy_aligned,
        reason: answer.reason.clone(),
        warm_up: warm_up.transpose()?,
        stop: Ticks(answer.stop_ticks),
        target: Ticks(answer.target_ticks),
        confidence_multiplier: answer.confidence_multiplier,
        atr: answer.atr,
    })
}

fn direction(value: i32) -> Option<i8> {
    i8::try_from(value).ok().filter(|value| (-1..=1).contains(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn answer() -> v1::Decision {
        let vote = |agent: &str| v1::AgentVote {
            agent: agent.into(),
            action_index: 0,
            vote: 1,
            probabilities: vec![0.8, 0.1, 0.1],
            confidence: 0.8,
        };
        v1::Decision {
            bundle: "b1".into(),
            symbol: "SPX".into(),
            index: 100,
            close_time_ns: 5,
            agents: vec![vote("fvg"), vote("momentum"), vote("entry")],
            synergy: Some(v1::Synergy { r#type: "TYPE_2".into(), direction: 1, confidence: 0.7, source: "Strategic".into() }),
            action: 1,
            execute: true,
            confidence: 0.8,
            score_long: 0.8,
            urgency: "normal".into(),
            synergy_aligned: true,
            stop_ticks: 90,
            target_ticks: 120,
            confidence_multiplier: 1.0,
            atr: 0.05,
            ..v1::Decision::default()
        }
    }

    fn question() -> Question {
        Question { bundle: "b1".into(), symbol: "SPX".to_owned().try_into().unwrap(), index: 100 }
    }

    #[test]
    fn a_sound_answer_is_taken_whole() {
        let read = answer_from_wire(&answer(), &question()).unwrap().decision;
        assert_eq!((read.action, read.execute, read.stop, read.target), (1, true, Ticks(90), Ticks(120)));
        assert_eq!((read.agents.len(), read.scores, read.urgency), (3, [0.8, 0.0, 0.0], Some(Urgency::Normal)));
        assert_eq!(read.synergy.unwrap().synergy_type, "TYPE_2");
        let unknown = v1::Decision { reason: "a_reason_of_tomorrow".into(), execute: false, action: 0, ..answer() };
        assert_eq!(answer_from_wire(&unknown, &question()).unwrap().decision.reason, "a_reason_of_tomorrow");
    }

    /// Another bar's answer, figures that are not finite, and contradictions open no trade.
    #[test]
    fn an_unsound_answer_is_refused() {
        let with = |change: &dyn Fn(&mut v1::Decision)| {
            let mut wrong = answer();
            change(&mut wrong);
            answer_from_wire(&wrong, &question()).unwrap_err().to_string()
        };
        for wrong in [with(&|d| d.bundle = "b2".into()), with(&|d| d.symbol = "IXIC".into()), with(&|d| d.index = 99)] {
            assert!(wrong.contains("b1 SPX/100 was asked"), "{wrong}");
        }
        for (wrong, says) in [
            (with(&|d| d.confidence = f64::NAN), "NaN"),
            (with(&|d| d.atr = f64::INFINITY), "inf"),
            (with(&|d| d.confidence_multiplier = -1.0), "-1"),
            (with(&|d| d.action = 2), "action is 2"),
            (with(&|d| d.execute = false), "execute is false"),
            (with(&|d| d.urgency = "soon".into()), "urgency is soon"),
            (with(&|d| d.agents[1].probabilities.truncate(2)), "three probabilities"),
            (with(&|d| d.agents[0].action_index = 3), "three probabilities"),
            (with(&|d| d.warm_up = Some(v1::WarmUp { stage: "strategic".into(), seen: 594, needed: 594 })), "seen below needed"),
            (with(&|d| d.warm_up = Some(v1::WarmUp { stage: "other".into(), seen: 1, needed: 2 })), "seen below needed"),
            (with(&|d| d.strategic = "{}".into()), "strategic is missing field"),
        ] {
            assert!(wrong.contains(says), "'{says}' is missing in {wrong}");
        }
    }
}
