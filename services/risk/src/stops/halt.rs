//! Halts by people: latched, with an id, until a person names that id beside `halt: false`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::TradingState;
use tradewind_core::time::Nanos;
use tradewind_crds::risk_profile::HaltMode;

use super::ids::Ids;

/// Texts of people in the journal and the status are cut to this many characters.
const LONGEST: usize = 500;

/// By which way a halt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltSource {
    /// `spec.halt`, read by risk itself.
    Spec,
    /// `spec.halt`, read by the operator and handed on.
    Operator,
    /// A direct call of a person.
    Direct,
}

/// One request to stop, before it is known whether it says anything new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltAsk {
    /// The newest profile asks for it, however wrong the rest of it is.
    Spec {
        /// `metadata.generation`.
        generation: i64,
        /// `spec.haltMode`.
        mode: HaltMode,
    },
    /// A profile that was replaced before it could be handed on asked for it: it was seen, so it holds.
    Overtaken {
        /// `metadata.generation`.
        generation: i64,
        /// `spec.haltMode`.
        mode: HaltMode,
    },
    /// The operator hands on `spec.halt` of a generation.
    Operator {
        /// `metadata.generation`.
        generation: i64,
        /// Who says so.
        actor: String,
        /// Why.
        reason: String,
    },
    /// A person asks directly.
    Direct {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
}

/// A halt as it is journaled, before it is acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HaltRecord {
    /// Id; that of the halt in force when there is one.
    pub id: String,
    /// By which way.
    pub source: HaltSource,
    /// Generation of the profile that asks, or that was in force at a direct call.
    pub generation: i64,
    /// What it leaves.
    pub mode: HaltMode,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, on the clock of the caller.
    pub at: Nanos,
}

/// The halt in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Id that `spec.acknowledgeHalt` must name.
    pub id: String,
    /// What it leaves: the strictest of all that asked.
    pub mode: HaltMode,
    /// Who asked first.
    pub actor: String,
    /// Why, as the first said.
    pub reason: String,
    /// When the first asked.
    pub since: Nanos,
    /// How often it was asked for.
    pub asked: u32,
    text: String,
}

impl Halt {
    /// What it allows, and why in one line that says how to lift it.
    #[must_use]
    pub fn restriction(&self) -> (TradingState, &str) {
        let state = match self.mode {
            HaltMode::ReduceOnly => TradingState::ReduceOnly,
            HaltMode::None => TradingState::Halted,
        };
        (state, &self.text)
    }
}

/// What stands when a halt is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// What ids are made from.
    pub ids: &'a Ids,
    /// Records in the journal so far.
    pub position: u64,
    /// Generation of the profile in force; 0 without one.
    pub generation: i64,
    /// `spec.haltMode` in force.
    pub mode: HaltMode,
    /// The caller's clock.
    pub at: Nanos,
}

/// The latch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Halts {
    latched: Option<Halt>,
    /// Newest generation of the profile whose halt was journaled.
    heard: i64,
}

impl Halts {
    /// The halt in force.
    #[must_use]
    pub const fn latched(&self) -> Option<&Halt> {
        self.latched.as_ref()
    }

    /// What to journal for a request; `None` when it says nothing new. A generation is heard once, whichever way it came;
    /// a person is always heard, with the id of the halt in force.
    #[must_use]
    pub fn record(&self, ask: &HaltAsk, moment: &Moment<'_>) -> Option<HaltRecord> {
        let latched = self.latched.as_ref();
        let stricter = |mode: HaltMode| latched.is_none_or(|halt| mode > halt.mode);
        let from_spec = |generation: i64| (HaltSource::Spec, format!("spec.halt of generation {generation}"));
        let ((source, actor), generation, mode, reason, is_news) = match ask {
            HaltAsk::Spec { generation, mode } => {
                (from_spec(*generation), *generation, *mode, WHY.to_owned(), *generation > self.heard || stricter(*mode))
            }
            HaltAsk::Overtaken { generation, mode } => {
                (from_spec(*generation), *generation, *mode, WHY.to_owned(), *generation > self.heard)
            }
            HaltAsk::Operator { generation, actor, reason } => {
                let is_news = *generation > self.heard.max(moment.generation);
                ((HaltSource::Operator, actor.clone()), *generation, moment.mode, reason.clone(), is_news)
            }
            HaltAsk::Direct { actor, reason } => {
                ((HaltSource::Direct, actor.clone()), moment.generation, moment.mode, reason.clone(), true)
            }
        };
        let [actor, reason] = [actor, reason].map(|text| text.chars().take(LONGEST).collect::<String>());
        let new_id = || {
            let parts = [moment.position.to_string(), moment.at.0.to_string(), actor.clone(), reason.clone()];
            moment.ids.id(&format!("halt-{generation}"), &parts)
        };
        is_news.then(|| HaltRecord {
            id: latched.map_or_else(new_id, |halt| halt.id.clone()),
            source,
            generation,
            mode,
            actor: actor.clone(),
            reason: reason.clone(),
            at: moment.at,
        })
    }

    /// Folds a journaled halt.
    pub fn apply(&mut self, record: &HaltRecord) {
        if record.source != HaltSource::Direct {
            self.heard = self.heard.max(record.generation);
        }
        match &mut self.latched {
            Some(halt) => {
                halt.mode = halt.mode.max(record.mode);
                halt.asked = halt.asked.saturating_add(1);
            }
            None => {
                let text = format!(
                    "{} ({}): halt {} stays until spec.acknowledgeHalt names it beside spec.halt: false",
                    record.reason, record.actor, record.id
                );
                self.latched = Some(Halt {
                    id: record.id.clone(),
                    mode: record.mode,
                    actor: record.actor.clone(),
                    reason: record.reason.clone(),
                    since: record.at,
                    asked: 1,
                    text,
                });
            }
        }
    }

    /// Lifts the halt when a valid profile names its id and does not ask for one itself. Nothing else lifts it.
    pub fn acknowledge(&mut self, halt: bool, id: &str) -> bool {
        let named = !halt && self.latched.as_ref().is_some_and(|latched| latched.id == id);
        if named {
            self.latched = None;
        }
        named
    }

    /// The profile was deleted: the next one counts its generations from 1.
    pub const fn profile_gone(&mut self) {
        self.heard = 0;
    }
}

const WHY: &str = "spec.halt of the RiskProfile";

/// Whether a spec asks for a halt although it cannot be read as one, and with which mode. Only `false`, `null` and
/// nothing at all do not ask: whoever writes `"true"` or `1` means to stop.
#[must_use]
pub fn asked_in(spec: &Value) -> Option<HaltMode> {
    let halts = !matches!(spec.get("halt"), None | Some(Value::Null | Value::Bool(false)));
    let none = spec.get("haltMode").and_then(Value::as_str) == Some(HaltMode::None.as_str());
    halts.then_some(if none { HaltMode::None } else { HaltMode::ReduceOnly })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn moment(ids: &Ids, position: u64, generation: i64) -> Moment<'_> {
        Moment { ids, position, generation, mode: HaltMode::ReduceOnly, at: Nanos(17) }
    }

    fn spec(generation: i64) -> HaltAsk {
        HaltAsk::Spec { generation, mode: HaltMode::ReduceOnly }
    }

    fn person(reason: &str) -> HaltAsk {
        HaltAsk::Direct { actor: "anna".into(), reason: reason.into() }
    }

    fn operator(generation: i64) -> HaltAsk {
        HaltAsk::Operator { generation, actor: "operator".into(), reason: "spec.halt".into() }
    }

    #[test]
    fn a_halt_latches_until_its_id_is_named_beside_no_halt() {
        let (ids, mut halts) = (Ids::new("paper-1", "j"), Halts::default());
        let record = halts.record(&spec(2), &moment(&ids, 5, 1)).unwrap();
        halts.apply(&record);
        assert!(record.id.starts_with("halt-2-"), "{}", record.id);
        assert_eq!(halts.record(&spec(2), &moment(&ids, 6, 2)), None, "read again");
        for (halt, id) in [(false, ""), (false, "halt-2-000000000000"), (true, record.id.as_str())] {
            assert!(!halts.acknowledge(halt, id), "{halt} {id}");
        }
        assert!(halts.acknowledge(false, &record.id));
        assert_eq!(halts.latched(), None);
        // The next one has another id, and the old acknowledgement lifts nothing.
        let next = halts.record(&spec(4), &moment(&ids, 9, 3)).unwrap();
        halts.apply(&next);
        assert_ne!(next.id, record.id);
        assert!(!halts.acknowledge(false, &record.id));
    }

    #[test]
    fn ids_differ_between_journals_and_never_come_back() {
        let (one, other) = (Ids::new("paper-1", "a"), Ids::new("paper-1", "b"));
        let mut seen = std::collections::BTreeSet::new();
        for ids in [&one, &other] {
            for position in 0..50 {
                assert!(seen.insert(Halts::default().record(&spec(1), &moment(ids, position, 0)).unwrap().id));
            }
        }
    }

    #[test]
    fn a_second_direct_halt_is_recorded_with_the_same_id() {
        let (ids, mut halts) = (Ids::new("paper-1", "j"), Halts::default());
        let first = halts.record(&person("fat finger"), &moment(&ids, 3, 7)).unwrap();
        halts.apply(&first);
        let second = halts.record(&person("still"), &moment(&ids, 4, 7)).unwrap();
        halts.apply(&second);
        assert_eq!(first.id, second.id);
        let halt = halts.latched().unwrap();
        assert_eq!((halt.asked, halt.reason.as_str(), halt.actor.as_str()), (2, "fat finger", "anna"));
        let (state, text) = halt.restriction();
        assert_eq!(state, TradingState::ReduceOnly);
        assert!(text.contains(&first.id) && text.contains("spec.acknowledgeHalt"), "{text}");
    }

    /// Both ways bring the same generation: one halt, and a late second one does not come back after the acknowledgement.
    #[test]
    fn a_generation_is_heard_once_whichever_way_it_comes() {
        let (ids, mut halts) = (Ids::new("paper-1", "j"), Halts::default());
        let direct = halts.record(&operator(5), &moment(&ids, 3, 4)).unwrap();
        halts.apply(&direct);
        assert_eq!(halts.record(&spec(5), &moment(&ids, 4, 4)), None);
        assert!(halts.acknowledge(false, &direct.id));
        assert_eq!(halts.record(&operator(5), &moment(&ids, 5, 6)), None, "late");
        let overtaken = HaltAsk::Overtaken { generation: 5, mode: HaltMode::None };
        assert_eq!(halts.record(&overtaken, &moment(&ids, 5, 6)), None);
        let unseen = HaltAsk::Overtaken { generation: 7, mode: HaltMode::None };
        assert!(halts.record(&unseen, &moment(&ids, 5, 6)).is_some(), "seen, though halt: false came right behind it");
    }

    #[test]
    fn a_profile_made_again_is_heard_from_its_first_generation() {
        let (ids, mut halts) = (Ids::new("paper-1", "j"), Halts::default());
        halts.apply(&halts.record(&spec(9), &moment(&ids, 1, 8)).unwrap());
        let id = halts.latched().unwrap().id.clone();
        halts.profile_gone();
        assert!(halts.latched().is_some(), "deleting the profile lifts nothing");
        assert!(halts.acknowledge(false, &id));
        assert!(halts.record(&spec(1), &moment(&ids, 2, 9)).is_some());
    }

    #[test]
    fn a_stricter_halt_tightens_and_a_milder_one_does_not_loosen() {
        let (ids, mut halts) = (Ids::new("paper-1", "j"), Halts::default());
        halts.apply(&halts.record(&spec(2), &moment(&ids, 1, 1)).unwrap());
        let none = HaltAsk::Spec { generation: 2, mode: HaltMode::None };
        halts.apply(&halts.record(&none, &moment(&ids, 2, 2)).unwrap());
        halts.apply(&halts.record(&spec(3), &moment(&ids, 3, 2)).unwrap());
        assert_eq!(halts.latched().unwrap().restriction().0, TradingState::Halted);
    }

    #[test]
    fn whoever_writes_anything_but_false_means_to_stop() {
        for spec in
            [json!({"halt": true}), json!({"halt": "true"}), json!({"halt": 1}), json!({"halt": {}}), json!({"halt": "yes"})]
        {
            assert_eq!(asked_in(&spec), Some(HaltMode::ReduceOnly), "{spec}");
        }
        for spec in [json!({}), json!({"halt": false}), json!({"halt": null}), json!("halt"), json!(null)] {
            assert_eq!(asked_in(&spec), None, "{spec}");
        }
        assert_eq!(asked_in(&json!({"halt": 1, "haltMode": "None"})), Some(HaltMode::None));
        assert_eq!(asked_in(&json!({"halt": 1, "haltMode": 7})), Some(HaltMode::ReduceOnly), "protective orders stay");
    }
}
