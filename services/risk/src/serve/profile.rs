//! The RiskProfile of this service, watched by the service itself: limits and halts work while the operator is down.

use kube::api::DynamicObject;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tradewind_crds::RiskProfileSpec;
use tradewind_wire::hot::EngineEnded;
use tradewind_wire::probes::Readiness;

use super::Running;

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
    mut seen: watch::Receiver<Option<Seen>>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<(), EngineEnded> {
    loop {
        let newest = seen.borrow_and_update().clone();
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
