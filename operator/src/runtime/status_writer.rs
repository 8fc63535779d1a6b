//! One task writes every status: bounded queue, named field manager, a look at the lease each turn.
//!
//! A reconcile hands in the whole new status and what to say about it. Events go first, under names that a
//! repeat cannot double, then the status: a crash in between loses neither.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::events::{Notice, event, publish};
use super::metrics::Metrics;
use super::writes::{WriteError, Writes, Written};

/// Statuses that may wait; a full queue refuses, it does not grow.
const QUEUE: usize = 1024;
/// Writes under way at once.
const IN_FLIGHT: usize = 16;

/// What became of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object has it already; nothing was sent.
    Unchanged,
    /// Stored.
    Written,
    /// The object changed in between: its watch event brings the next reconcile.
    Conflict,
}

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The queue is full or closed.
    #[error("the status of {name} was dropped: {waiting} others wait; the next reconcile tries again")]
    Dropped {
        /// `namespace/name`.
        name: String,
        /// Length of the queue.
        waiting: usize,
    },
    /// An event or the status could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A status could not be turned into JSON.
    #[error("the status of {name} is not JSON: {source}")]
    Encode {
        /// `namespace/name`.
        name: String,
        /// Reason.
        source: serde_json::Error,
    },
}

type Job = BoxFuture<'static, ()>;

/// Handle on the writer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StatusWriter {
    queue: mpsc::Sender<Job>,
    writes: Writes,
    metrics: Metrics,
    reporter: Arc<str>,
}

impl StatusWriter {
    /// The handle, and the task to spawn.
    pub fn new(writes: Writes, metrics: Metrics, reporter: &str) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        let task = async move {
            tokio_stream_of(jobs).for_each_concurrent(IN_FLIGHT, |job| job).await;
        };
        (Self { queue, writes, metrics, reporter: reporter.into() }, task)
    }

    /// Writes `status` on `object` (as this reconcile read it) if it differs from `before`, with its notices.
    ///
    /// # Errors
    /// [`StatusError`]; nothing is retried here, the reconcile comes back.
    pub async fn write<K: Written>(
        &self,
        object: &K,
        before: &Value,
        status: Value,
        notices: Vec<Notice>,
    ) -> Result<Outcome, StatusError> {
        if *before == status && notices.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        let (done, answer) = oneshot::channel();
        let turn = Turn {
            writes: self.writes.clone(),
            metrics: self.metrics.clone(),
            reporter: Arc::clone(&self.reporter),
            object: object.clone(),
            before: before.clone(),
            status,
            notices,
        };
        let job: Job = Box::pin(async move {
            // the reconcile may have been cancelled meanwhile; the write was wanted all the same
            drop(done.send(turn.run().await));
        });
        let dropped = || StatusError::Dropped { name: name.clone(), waiting: QUEUE };
        if self.queue.try_send(job).is_err() {
            self.metrics.status_write("dropped");
            return Err(dropped());
        }
        let result = answer.await.map_err(|_| dropped())?;
        self.metrics.status_write(match &result {
            Ok(Outcome::Unchanged) => "unchanged",
            Ok(Outcome::Written) => "written",
            Ok(Outcome::Conflict) => "conflict",
            Err(StatusError::Write(error)) => error.category(),
            Err(_) => "failed",
        });
        result
    }
}

fn tokio_stream_of(mut jobs: mpsc::Receiver<Job>) -> impl futures::Stream<Item = Job> {
    futures::stream::poll_fn(move |context| jobs.poll_recv(context))
}

struct Turn<K> {
    writes: Writes,
    metrics: Metrics,
    reporter: Arc<str>,
    object: K,
    before: Value,
    status: Value,
    notices: Vec<Notice>,
}

impl<K: Written> Turn<K> {
    async fn run(self) -> Result<Outcome, StatusError> {
        let regarding = reference(&self.object);
        let context = digest(&self.before);
        for notice in &self.notices {
            let event = event(notice, &regarding, &context, &self.reporter, Timestamp::now());
            publish(&self.writes, &self.metrics, &event).await?;
        }
        if self.before == self.status {
            return Ok(Outcome::Unchanged);
        }
        let namespace = self.object.namespace().unwrap_or_default();
        let name = self.object.name_any();
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": self.object.resource_version()},
            "status": self.status,
        });
        match self.writes.apply_status::<K>(&namespace, &name, &body).await {
            Ok(_) => Ok(Outcome::Written),
            Err(error) if error.code() == Some(409) => Ok(Outcome::Conflict),
            // deleted in between: there is nothing left to report on
            Err(error) if error.code() == Some(404) => Ok(Outcome::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

/// The reference that Events carry.
#[must_use]
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: object.meta().name.clone(),
        namespace: object.meta().namespace.clone(),
        uid: object.meta().uid.clone(),
        resource_version: object.meta().resource_version.clone(),
        ..ObjectReference::default()
    }
}

fn digest(value: &Value) -> String {
    hex::encode(Sha256::digest(value.to_string().as_bytes()))
}
