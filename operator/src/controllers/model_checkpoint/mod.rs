//! `ModelCheckpoint`: one verification Job, then a verdict for ever.

mod report;
mod status;
mod verify;

use std::sync::Arc;

use kube::ResourceExt;
use tradewind_crds::ModelCheckpoint;
use tradewind_crds::names::LABEL_CHECKPOINT;

use super::apply::Apply;
use super::context::Context;
use super::outcome::{Next, ReconcileError};
use crate::build::owner::Owner;
use crate::build::verification;
pub use report::Report;
pub use verify::{Stage, stage};

/// One reconcile over one checkpoint.
///
/// # Errors
/// [`ReconcileError`]; the reconcile is repeated after a pause.
pub async fn reconcile(checkpoint: Arc<ModelCheckpoint>, context: Arc<Context>) -> Result<Next, ReconcileError> {
    let owner = Owner::of(checkpoint.as_ref(), LABEL_CHECKPOINT)?;
    let now = context.now();
    // dereference
    let wanted = verification::job(&owner, &context.settings, &checkpoint.spec);
    let job = context.caches.jobs.get(&owner.namespace, &wanted.name_any());
    let pod = job.as_ref().and_then(|job| {
        let uid = job.uid();
        let mut pods =
            context.caches.pods.list(|pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()));
        pods.pop()
    });
    // plan
    let stage = stage(checkpoint.status.as_ref(), &context.settings.image, job.as_deref(), pod.as_deref(), now);
    // apply
    let apply = Apply::new(&context, &owner, now);
    let next = match &stage {
        Stage::Decided => return Ok(Next::AwaitChange),
        Stage::Start => {
            apply.ensure(wanted).await?;
            Next::AwaitChange
        }
        Stage::Running { .. } | Stage::Verdict(_) => Next::AwaitChange,
        Stage::Retry { wait, .. } if wait.is_zero() => {
            if let Some(job) = &job {
                context.writes.delete(job.as_ref()).await?;
            }
            Next::AwaitChange // its deletion starts the next one
        }
        Stage::Retry { wait, .. } => Next::Requeue(*wait),
    };
    // status
    let before = serde_json::to_value(checkpoint.status.clone().unwrap_or_default())?;
    let (status, notices) = status::status(&checkpoint, &stage, &context.settings.image, now);
    context.status.write(checkpoint.as_ref(), &before, serde_json::to_value(status)?, notices).await?;
    Ok(next)
}
