//! Status, conditions and events of a checkpoint.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tradewind_crds::conditions::{CheckpointReason, set_condition};
use tradewind_crds::model_checkpoint::CheckpointPhase;
use tradewind_crds::{Condition, ConditionStatus, ConditionType, ModelCheckpoint, ModelCheckpointStatus};

use super::verify::Stage;
use crate::runtime::events::Notice;

/// What the status has to be, and what to say about the change.
#[must_use]
pub(super) fn status(
    checkpoint: &ModelCheckpoint,
    stage: &Stage,
    image: &str,
    now: Timestamp,
) -> (ModelCheckpointStatus, Vec<Notice>) {
    let before = checkpoint.status.clone().unwrap_or_default();
    let mut status = before.clone();
    let (phase, reason, message) = match stage {
        Stage::Decided => return (before, Vec::new()),
        // a verdict of the image before stays in force until there is a new one
        Stage::Start | Stage::Running { .. } if before.phase == Some(CheckpointPhase::Verified) => return (before, Vec::new()),
        Stage::Retry { .. } if before.phase == Some(CheckpointPhase::Verified) => return (before, Vec::new()),
        Stage::Start => running(&before, None),
        Stage::Running { note } => running(&before, note.as_deref()),
        Stage::Retry { reason, message, .. } => {
            let said = format!("{message}; it is tried again after a growing pause of at most 5 minutes");
            (CheckpointPhase::Verifying, *reason, said)
        }
        Stage::Verdict(report) => {
            status.figures = Some(report.figures());
            status.verified_by = Some(image.to_owned());
            status.verified_at = Some(Time(now));
            let phase = if report.verified() { CheckpointPhase::Verified } else { CheckpointPhase::Rejected };
            (phase, report.reason(), report.message().to_owned())
        }
    };
    status.phase = Some(phase);
    status.reason = Some(reason);
    status.message = Some(cut(&message));
    status.observed_generation = checkpoint.metadata.generation;
    conditions(&mut status, phase, reason, &cut(&message), now);
    let notices = notices(&before, &status, checkpoint);
    (status, notices)
}

/// Between two attempts the reason of the last failure stays.
fn running(before: &ModelCheckpointStatus, note: Option<&str>) -> (CheckpointPhase, CheckpointReason, String) {
    let failing =
        before.reason.filter(|reason| matches!(reason, CheckpointReason::SourceUnreachable | CheckpointReason::JobFailed));
    match (failing, note) {
        (Some(reason), _) => (CheckpointPhase::Verifying, reason, before.message.clone().unwrap_or_default()),
        (None, Some(note)) => (CheckpointPhase::Verifying, CheckpointReason::Verifying, note.to_owned()),
        (None, None) => (CheckpointPhase::Verifying, CheckpointReason::Verifying, "the verification runs".to_owned()),
    }
}

fn conditions(
    status: &mut ModelCheckpointStatus,
    phase: CheckpointPhase,
    reason: CheckpointReason,
    message: &str,
    now: Timestamp,
) {
    use ConditionStatus::{False, True, Unknown};
    let (ready, verified, reconciling, stalled) = match phase {
        CheckpointPhase::Verified => (True, True, False, False),
        CheckpointPhase::Rejected => (False, False, False, True),
        CheckpointPhase::Pending | CheckpointPhase::Verifying => (False, Unknown, True, False),
    };
    for (r#type, value) in [
        (ConditionType::Ready, ready),
        (ConditionType::Verified, verified),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stalled),
    ] {
        let condition = Condition {
            r#type,
            status: value,
            observed_generation: status.observed_generation,
            last_transition_time: Time(now),
            reason: reason.to_string(),
            message: message.to_owned(),
        };
        set_condition(&mut status.conditions, condition);
    }
}

fn notices(before: &ModelCheckpointStatus, after: &ModelCheckpointStatus, checkpoint: &ModelCheckpoint) -> Vec<Notice> {
    if before.reason == after.reason && before.phase == after.phase {
        return Vec::new();
    }
    let Some(reason) = after.reason else { return Vec::new() };
    let message = after.message.clone().unwrap_or_default();
    let note = format!("{}: {message}", checkpoint.spec.source.uri);
    vec![match reason {
        CheckpointReason::Verified | CheckpointReason::Verifying => Notice::normal(reason.as_str(), "Verify", note),
        _ => Notice::warning(reason.as_str(), "Verify", note),
    }]
}

fn cut(message: &str) -> String {
    message.chars().take(1000).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::controllers::model_checkpoint::Report;
    use tradewind_crds::samples;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn verdict(text: &str) -> Stage {
        Stage::Verdict(Box::new(Report::parse(text).unwrap()))
    }

    #[test]
    fn a_rejection_is_final_said_once_and_stalled() {
        let mut checkpoint = samples::checkpoint("tactical-a", '1');
        let stage = verdict(
            r#"{"verdict":"Rejected","reason":"BadShape","message":"conv1: [8,7,3], allowed [8,7,5]","figures":{"sizeBytes":9}}"#,
        );
        let (status, notices) = status(&checkpoint, &stage, "image:1", at(50));
        assert_eq!((status.phase, status.reason), (Some(CheckpointPhase::Rejected), Some(CheckpointReason::BadShape)));
        assert_eq!(status.figures.as_ref().unwrap().size_bytes, Some(9));
        assert_eq!(notices.len(), 1);
        assert!(notices[0].note.contains("[8,7,5]"));
        let stalled = tradewind_crds::conditions::find_condition(&status.conditions, ConditionType::Stalled).unwrap();
        assert_eq!(stalled.status, ConditionStatus::True);
        checkpoint.status = Some(status.clone());
        assert_eq!(super::status(&checkpoint, &stage, "image:1", at(60)).1, vec![]);
    }

    #[test]
    fn attempts_in_a_row_write_nothing_new() {
        let mut checkpoint = samples::checkpoint("tactical-a", '1');
        let retry = |wait: u64| Stage::Retry {
            reason: CheckpointReason::SourceUnreachable,
            message: "connection refused".into(),
            wait: std::time::Duration::from_secs(wait),
        };
        let (first, notices) = status(&checkpoint, &retry(5), "image:1", at(50));
        assert_eq!(notices.len(), 1);
        checkpoint.status = Some(first.clone());
        for stage in [Stage::Start, Stage::Running { note: None }, retry(10)] {
            assert_eq!(status(&checkpoint, &stage, "image:1", at(90)), (first.clone(), vec![]), "{stage:?}");
        }
    }

    #[test]
    fn a_verified_file_stays_verified_while_another_image_looks_at_it() {
        let mut checkpoint = samples::checkpoint("tactical-a", '1');
        let stage = verdict(r#"{"verdict":"Verified","message":"fine"}"#);
        checkpoint.status = Some(status(&checkpoint, &stage, "image:1", at(50)).0);
        let (same, notices) = status(&checkpoint, &Stage::Running { note: None }, "image:2", at(60));
        assert_eq!((Some(same), notices), (checkpoint.status.clone(), vec![]));
    }
}
