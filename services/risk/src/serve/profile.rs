//! The RiskProfile of this service, watched by the service itself: limits and halts work while the operator is down.

use kube::api::DynamicObject;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tradewind_crds::RiskProfileSpec;
use tradewind_wire::hot::EngineEnded;
use tradewind_wire::probes::Readiness;

use super::Running;
use super::feeds::arrival_clock;
use crate::stops::halt::{HaltAsk, asked_in};

/// What was seen at the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A profile that can be read; whether it is valid is for the engine to say.
    Profile {
        /// `metadata.generation`.
        generation: i64,
        /// Its spec.
        spec: Box<RiskProfileSpec>,
    },
    /// An object that cannot be read as a profile.
    Unreadable {
        /// `metadata.generation`.
        generation: i64,
        /// Field and reason.
        reason: String,
    },
    /// The profile was deleted.
    Gone,
}

/// What was seen at the API server, and the halt that must not be overlooked in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// The newest object.
    pub seen: Seen,
    /// The newest request to halt. It stays here when an object without one comes right behind: looks may be overtaken
    /// before they are handed on, halts may not.
    pub halt: Option<HaltAsk>,
}

impl Sight {
    /// What holds after a look at the API server: before the first sight there is nothing that could be gone.
    #[must_use]
    pub fn after(object: Option<&DynamicObject>, known: Option<&Self>) -> Option<Self> {
        let seen = Seen::after(object, known.map(|known| &known.seen))?;
        let asked =
            object.and_then(|object| Some((object.metadata.generation.unwrap_or(0), asked_in(object.data.get("spec")?)?)));
        // An object that is made again counts its generations from 1: what its predecessor asked was handed on before.
        let before = known.filter(|known| known.seen != Seen::Gone).and_then(|known| known.halt.clone());
        let halt = match (asked, before) {
            (Some((generation, mode)), _) => Some(HaltAsk::Spec { generation, mode }),
            (None, Some(HaltAsk::Spec { generation, mode })) => Some(HaltAsk::Overtaken { generation, mode }),
            (None, before) => before,
        };
        Some(Self { seen, halt })
    }
}

impl From<Seen> for Sight {
    fn from(seen: Seen) -> Self {
        let halt = match &seen {
            Seen::Profile { generation, spec } if spec.halt => {
                Some(HaltAsk::Spec { generation: *generation, mode: spec.halt_mode })
            }
            _ => None,
        };
        Self { seen, halt }
    }
}

impl Seen {
    /// What holds after a look at the API server: before the first sight there is nothing that could be gone.
    #[must_use]
    pub fn after(object: Option<&DynamicObject>, known: Option<&Self>) -> Option<Self> {
        object.map(Self::of).or_else(|| known.map(|_| Self::Gone))
    }

    fn of(object: &DynamicObject) -> Self {
        let generation = object.metadata.generation.unwrap_or(0);
        match serde_json::from_value(object.data.get("spec").cloned().unwrap_or_default()) {
            Ok(spec) => Self::Profile { generation, spec: Box::new(spec) },
            Err(error) => Self::Unreadable { generation, reason: format!("spec: {error}") },
        }
    }
}

/// Hands everything that is seen to the engine until `stop`. Ready once a valid profile is in force.
pub(super) async fn apply(
    running: &Running,
    mut seen: watch::Receiver<Option<Sight>>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<(), EngineEnded> {
    loop {
        let (newest, halt) = seen.borrow_and_update().clone().map_or((None, None), |sight| (Some(sight.seen), sight.halt));
        if let Some(ask) = halt {
            match running.call(move |engine| engine.see_halt(&ask, arrival_clock())).await? {
                Ok(id) if id.is_empty() => {}
                Ok(id) => tracing::warn!(id, "the account is halted"),
                Err(error) => tracing::error!(%error, "the halt could not be journaled"),
            }
        }
        let outcome = match newest {
            Some(Seen::Profile { generation, spec }) => {
                running.call(move |engine| engine.apply_profile(generation, &spec)).await?
            }
            Some(Seen::Unreadable { generation, reason }) => {
                running
                    .call(move |engine| {
                        engine.refuse_profile(generation, &reason);
                        Ok(())
                    })
                    .await?
            }
            Some(Seen::Gone) => running.call(crate::Engine::profile_gone).await?,
            None => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "the profile could not be applied");
        }
        let status = running.call(|engine| Ok(engine.status())).await?;
        if let Ok(status) = status {
            if !status.invalid_profile.is_empty() {
                tracing::warn!(reason = status.invalid_profile, "the newest RiskProfile is not in force");
            }
            if status.observed_generation > 0 {
                readiness.release("profile");
            }
        }
        tokio::select! {
            changed = seen.changed() => if changed.is_err() {
                // Nobody follows the profile any more; what is in force stays in force.
                stop.cancelled().await;
                return Ok(());
            },
            () = stop.cancelled() => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;
    use tradewind_crds::risk_profile::HaltMode;
    use tradewind_crds::samples;

    fn object(generation: i64, halt: serde_json::Value) -> DynamicObject {
        let mut spec = serde_json::to_value(samples::profile("main", "paper-1").spec).unwrap();
        spec["halt"] = halt;
        let meta = json!({ "name": "main", "generation": generation });
        serde_json::from_value(json!({ "metadata": meta, "spec": spec })).unwrap()
    }

    #[test]
    fn k1_a_halt_is_seen_though_a_manifest_is_applied_right_behind_it() {
        let halted = Sight::after(Some(&object(5, json!(true))), None).unwrap();
        let mode = HaltMode::ReduceOnly;
        assert_eq!(halted.halt, Some(HaltAsk::Spec { generation: 5, mode }));
        let applied = Sight::after(Some(&object(6, json!(false))), Some(&halted)).unwrap();
        assert!(matches!(applied.seen, Seen::Profile { generation: 6, .. }));
        assert_eq!(applied.halt, Some(HaltAsk::Overtaken { generation: 5, mode }));
        let gone = Sight::after(None, Some(&applied)).unwrap();
        assert_eq!((gone.seen.clone(), gone.halt.clone()), (Seen::Gone, applied.halt));
        assert_eq!(Sight::after(Some(&object(1, json!(false))), Some(&gone)).unwrap().halt, None);
        assert_eq!(Sight::after(None, None), None);
    }

    #[test]
    fn a_halt_is_read_however_unreadable_the_rest_is() {
        let mut wrong = object(7, json!("true"));
        wrong.data["spec"]["limits"] = json!("none");
        let sight = Sight::after(Some(&wrong), None).unwrap();
        assert!(matches!(sight.seen, Seen::Unreadable { generation: 7, .. }), "{sight:?}");
        assert_eq!(sight.halt, Some(HaltAsk::Spec { generation: 7, mode: HaltMode::ReduceOnly }));
        let milder = Sight::after(Some(&object(8, json!(1))), None).unwrap();
        assert!(matches!(milder.seen, Seen::Unreadable { .. }) && milder.halt.is_some());
    }
}
