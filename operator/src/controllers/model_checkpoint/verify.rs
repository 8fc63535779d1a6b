//! Where the verification of a checkpoint is: a pure function over the Job, its pod and the status.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use tradewind_crds::ModelCheckpointStatus;
use tradewind_crds::conditions::CheckpointReason;
use tradewind_crds::model_checkpoint::CheckpointPhase;

use super::report::Report;

/// Pause before an unreachable source is asked again: as long as it has been tried, between these.
const SHORTEST_PAUSE: i64 = 5;
const LONGEST_PAUSE: i64 = 300;

/// Where the verification is.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The verdict is in the status.
    Decided,
    /// The Job has to be created.
    Start,
    /// The Job runs; `note` says what its pod waits for, if anything.
    Running {
        /// For people.
        note: Option<String>,
    },
    /// The file was judged.
    Verdict(Box<Report>),
    /// The file could not be judged: try again.
    Retry {
        /// SourceUnreachable or JobFailed.
        reason: CheckpointReason,
        /// What was seen.
        message: String,
        /// Time until then; zero: now.
        wait: Duration,
    },
}

/// Decides the stage. A verdict of another image is given again, and until then stays.
#[must_use]
pub fn stage(status: Option<&ModelCheckpointStatus>, image: &str, job: Option<&Job>, pod: Option<&Pod>, now: Timestamp) -> Stage {
    let decided = status.is_some_and(|status| {
        matches!(status.phase, Some(CheckpointPhase::Verified | CheckpointPhase::Rejected))
            && status.verified_by.as_deref() == Some(image)
    });
    if decided {
        return Stage::Decided;
    }
    let Some(job) = job else { return Stage::Start };
    if job.metadata.deletion_timestamp.is_some() {
        return Stage::Running { note: Some("the previous attempt is being removed".to_owned()) };
    }
    let container = pod.and_then(container_status);
    if let Some(ended) = container.and_then(|container| container.state.as_ref()?.terminated.as_ref()) {
        let message = ended.message.as_deref().unwrap_or_default();
        return match Report::parse(message) {
            Some(report) if report.reason() == CheckpointReason::SourceUnreachable => {
                retry(CheckpointReason::SourceUnreachable, report.message(), status, job, now)
            }
            Some(report) => Stage::Verdict(Box::new(report)),
            None => {
                let why = ended.reason.as_deref().unwrap_or("no reason given");
                let said = format!(
                    "the verification ended with exit code {} ({why}) and without a verdict: {}",
                    ended.exit_code,
                    tail(message)
                );
                retry(CheckpointReason::JobFailed, &said, status, job, now)
            }
        };
    }
    if let Some(failure) = failure(job) {
        return retry(CheckpointReason::JobFailed, &failure, status, job, now);
    }
    Stage::Running { note: pod.and_then(waiting_note) }
}

/// The pause grows with the time that the checkpoint has waited, so nothing has to be remembered: 5 s at first, doubling to 5 min.
fn retry(reason: CheckpointReason, message: &str, status: Option<&ModelCheckpointStatus>, job: &Job, now: Timestamp) -> Stage {
    let started = job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let failing_since = status.filter(|status| status.reason == Some(reason)).and_then(|status| {
        let condition = status.conditions.iter().find(|c| c.reason == reason.as_str())?;
        Some(condition.last_transition_time.0)
    });
    let failing = failing_since.map_or(0, |since| started.as_second() - since.as_second());
    let pause = failing.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    let ended = finished(job).unwrap_or(started);
    let left = ended.as_second() + pause - now.as_second();
    Stage::Retry { reason, message: message.to_owned(), wait: Duration::from_secs(u64::try_from(left.max(0)).unwrap_or(0)) }
}

fn finished(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let ended = conditions.iter().find(|c| matches!(c.type_.as_str(), "Failed" | "Complete") && c.status == "True")?;
    Some(ended.last_transition_time.as_ref()?.0)
}

fn failure(job: &Job) -> Option<String> {
    let failed = job.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == "Failed" && c.status == "True")?;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    Some(format!("Job {} failed: {}: {}", job.name_any(), part(&failed.reason), part(&failed.message)))
}

fn container_status(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn waiting_note(pod: &Pod) -> Option<String> {
    let state: &ContainerState = container_status(pod)?.state.as_ref()?;
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.clone()?;
    (reason != "ContainerCreating").then(|| match &waiting.message {
        Some(message) => format!("pod {}: {reason}: {message}", pod.name_any()),
        None => format!("pod {}: {reason}", pod.name_any()),
    })
}

/// The end of a text is where a crash says why.
fn tail(text: &str) -> &str {
    let text = text.trim();
    let from = text.len().saturating_sub(300);
    (from..text.len()).find(|at| text.is_char_boundary(*at)).map_or(text, |at| &text[at..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn job() -> Job {
        serde_json::from_value(
            json!({"metadata": {"name": "a-verify-1", "uid": "j", "creationTimestamp": "1970-01-01T00:01:40Z"}}),
        )
        .unwrap()
    }

    fn ended(message: &str, code: i32) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [{
            "name": "verify", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "reason": "Error", "message": message}}}]}}))
        .unwrap()
    }

    const REJECTED: &str = r#"{"verdict":"Rejected","reason":"NotFinite","message":"conv1: NaN"}"#;

    #[test]
    fn a_verdict_is_final_for_its_image() {
        let status = ModelCheckpointStatus {
            phase: Some(CheckpointPhase::Verified),
            verified_by: Some("image:1".into()),
            ..ModelCheckpointStatus::default()
        };
        assert_eq!(stage(Some(&status), "image:1", None, None, at(0)), Stage::Decided);
        assert_eq!(stage(Some(&status), "image:2", None, None, at(0)), Stage::Start);
    }

    #[test]
    fn job_pod_and_message_lead_to_a_verdict() {
        assert_eq!(stage(None, "i", None, None, at(0)), Stage::Start);
        assert_eq!(stage(None, "i", Some(&job()), None, at(0)), Stage::Running { note: None });
        let Stage::Verdict(report) = stage(None, "i", Some(&job()), Some(&ended(REJECTED, 0)), at(101)) else {
            panic!("no verdict")
        };
        assert_eq!(report.reason(), CheckpointReason::NotFinite);
    }

    #[test]
    fn an_unreachable_source_and_a_crash_are_tried_again() {
        let unreachable = r#"{"verdict":"Rejected","reason":"SourceUnreachable","message":"connection refused"}"#;
        let first = stage(None, "i", Some(&job()), Some(&ended(unreachable, 1)), at(101));
        assert_eq!(
            first,
            Stage::Retry {
                reason: CheckpointReason::SourceUnreachable,
                message: "connection refused".into(),
                wait: Duration::from_secs(4)
            }
        );
        let Stage::Retry { reason, message, wait } = stage(None, "i", Some(&job()), Some(&ended("panicked at x", 101)), at(106))
        else {
            panic!("no retry")
        };
        assert_eq!((reason, wait), (CheckpointReason::JobFailed, Duration::ZERO));
        assert!(message.contains("exit code 101") && message.contains("panicked at x"), "{message}");
    }

    #[test]
    fn the_pause_grows_with_the_time_it_has_failed() {
        let failing = |since: &str| -> ModelCheckpointStatus {
            serde_json::from_value(
                json!({"reason": "JobFailed", "conditions": [{"type": "Ready", "status": "False", "reason": "JobFailed",
                "message": "", "lastTransitionTime": since}]}),
            )
            .unwrap()
        };
        let wait = |status: &ModelCheckpointStatus| match stage(Some(status), "i", Some(&job()), Some(&ended("", 1)), at(100)) {
            Stage::Retry { wait, .. } => wait.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(&failing("1970-01-01T00:01:00Z")), 40);
        assert_eq!(wait(&failing("1969-12-31T00:00:00Z")), 300);
    }
}
