//! What the resources say about the account: a ConfigMap of the operator, watched by the gate itself.

use kube::api::DynamicObject;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tradewind_wire::account::AccountConfig;
use tradewind_wire::hot::EngineEnded;
use tradewind_wire::probes::Readiness;

use super::Running;

/// Key of the ConfigMap.
pub const ACCOUNT_FILE: &str = "account.json";

/// What was seen at the API server. Something unreadable changes nothing that is in force.
#[derive(Clone, Debug, PartialEq)]
pub enum SeenAccount {
    /// As the operator wrote it.
    Account(Box<AccountConfig>),
    /// Field and reason.
    Unreadable(String),
}

impl SeenAccount {
    /// What holds after a look at the API server. An object that is gone changes nothing.
    #[must_use]
    pub fn after(object: Option<&DynamicObject>, known: Option<&Self>) -> Option<Self> {
        object.map(Self::of).or_else(|| known.cloned())
    }

    fn of(object: &DynamicObject) -> Self {
        let text = object.data.get("data").and_then(|data| data.get(ACCOUNT_FILE)).and_then(|text| text.as_str());
        let Some(text) = text else { return Self::Unreadable(format!("the ConfigMap has no key {ACCOUNT_FILE}")) };
        match serde_json::from_str(text) {
            Ok(config) => Self::Account(Box::new(config)),
            Err(error) => Self::Unreadable(format!("{ACCOUNT_FILE}: {error}")),
        }
    }
}

/// Hands everything that is seen to the engine until `stop`.
pub(super) async fn apply(
    running: &Running,
    mut seen: watch::Receiver<Option<SeenAccount>>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<(), EngineEnded> {
    loop {
        let newest = seen.borrow_and_update().clone();
        match newest {
            Some(SeenAccount::Account(config)) => {
                if let Err(error) = running.call(move |engine| engine.apply_account(&config)).await? {
                    tracing::error!(%error, "policies and instruments could not be taken");
                }
                if let Ok(status) = running.call(|engine| Ok(engine.status())).await?
                    && !status.invalid_account.is_empty()
                {
                    tracing::warn!(reason = status.invalid_account, "the newest policies and instruments are not in force");
                }
            }
            Some(SeenAccount::Unreadable(reason)) => {
                tracing::warn!(reason, "policies and instruments cannot be read");
                let told = move |engine: &mut crate::Engine| {
                    engine.refuse_account(&format!("it cannot be read: {reason}"));
                    Ok(())
                };
                drop(running.call(told).await?);
            }
            None => {}
        }
        match running.call(|engine| Ok(engine.is_configured())).await? {
            Ok(true) => readiness.release("account"),
            _ => readiness.hold("account", "no policies and instruments of the account have been read yet"),
        }
        tokio::select! {
            changed = seen.changed() => if changed.is_err() {
                // Nobody follows the object any more; what is in force stays in force.
                stop.cancelled().await;
                return Ok(());
            },
            () = stop.cancelled() => return Ok(()),
        }
    }
}
