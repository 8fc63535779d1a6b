//! Kubernetes Events (`events.k8s.io/v1`) of transitions.
//!
//! The name of an Event is a hash of what it says and of the status it was decided from. A reconcile that
//! is repeated after a crash writes the same name again and gets a harmless 409: none lost, none doubled.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::metrics::Metrics;
use super::writes::{FIELD_MANAGER, WriteError, Writes};

/// How loud an Event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something went as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

/// One transition, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How loud.
    pub severity: Severity,
    /// CamelCase, from a closed list.
    pub reason: String,
    /// CamelCase verb: what the operator was doing.
    pub action: String,
    /// A sentence, with figures.
    pub note: String,
}

impl Notice {
    /// Something went as it should.
    #[must_use]
    pub fn normal(reason: impl Into<String>, action: impl Into<String>, note: impl Into<String>) -> Self {
        Self { severity: Severity::Normal, reason: reason.into(), action: action.into(), note: note.into() }
    }

    /// Somebody should look.
    #[must_use]
    pub fn warning(reason: impl Into<String>, action: impl Into<String>, note: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, reason: reason.into(), action: action.into(), note: note.into() }
    }
}

/// API limit on the length of `note`.
const NOTE_LIMIT: usize = 1024;

/// The Event object of `notice` about `regarding`; `context` tells apart two equal notices of
/// different moments (a digest of the status that the transition left).
#[must_use]
pub fn event(notice: &Notice, regarding: &ObjectReference, context: &str, reporter: &str, now: Timestamp) -> Event {
    let mut digest = Sha256::new();
    for part in [regarding.uid.as_deref().unwrap_or_default(), context, &notice.reason, &notice.action, &notice.note] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let hash = hex::encode(&digest.finalize()[..8]);
    let object = regarding.name.as_deref().unwrap_or("unnamed");
    let mut note = notice.note.clone();
    if note.len() > NOTE_LIMIT {
        let cut = (0..=NOTE_LIMIT - 3).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
        note.truncate(cut);
        note.push_str("...");
    }
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{hash}", &object[..object.len().min(200)])),
            namespace: regarding.namespace.clone(),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some("tradewind.dev/operator".into()),
        reporting_instance: Some(reporter.to_owned()),
        action: Some(notice.action.clone()),
        reason: Some(notice.reason.clone()),
        type_: Some(match notice.severity {
            Severity::Normal => "Normal".into(),
            Severity::Warning => "Warning".into(),
        }),
        note: Some(note),
        regarding: Some(regarding.clone()),
        ..Event::default()
    }
}

/// Writes one Event. One that exists already, or a namespace that is being deleted, is fine.
///
/// # Errors
/// [`WriteError`] when it may be lost.
pub async fn publish(writes: &Writes, metrics: &Metrics, event: &Event) -> Result<(), WriteError> {
    match writes.create(event).await {
        Ok(_) => metrics.event("created"),
        Err(error) if error.code() == Some(409) => metrics.event("duplicate"),
        Err(error) if matches!(error.code(), Some(403 | 404)) => {
            tracing::warn!(%error, manager = FIELD_MANAGER, "an event could not be written: the namespace is going away, or RBAC lacks create on events");
            metrics.event("failed");
        }
        Err(error) => {
            metrics.event("failed");
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn about() -> ObjectReference {
        ObjectReference {
            name: Some("indices".into()),
            namespace: Some("trading".into()),
            uid: Some("u1".into()),
            ..Default::default()
        }
    }

    #[test]
    fn a_repeated_pass_names_the_same_event_and_a_later_one_does_not() {
        let notice = Notice::warning("RolledBack", "Judge", "mean -3 bps");
        let first = event(&notice, &about(), "status-1", "pod-a", Timestamp::UNIX_EPOCH);
        let again = event(&notice, &about(), "status-1", "pod-b", Timestamp::from_second(9).unwrap());
        let later = event(&notice, &about(), "status-2", "pod-a", Timestamp::UNIX_EPOCH);
        assert_eq!(first.metadata.name, again.metadata.name);
        assert_ne!(first.metadata.name, later.metadata.name);
        assert_eq!(first.type_.as_deref(), Some("Warning"));
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let notice = Notice::normal("Waiting", "Plan", "ä".repeat(2000));
        let note = event(&notice, &about(), "", "pod", Timestamp::UNIX_EPOCH).note.unwrap();
        assert!(note.len() <= NOTE_LIMIT && note.ends_with("..."));
    }
}
