//! Runs the reconciles of one controller: a queue of names, a bounded number at once, backoff after errors.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Error, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::context::Context;
use super::outcome::{Next, ReconcileError};

/// Passes of one controller that may run at once.
const CONCURRENCY: u16 = 16;
/// Changes that follow each other this closely make one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Failures in a row per object, for growing pauses.
#[derive(Debug, Default)]
struct Failures(Mutex<BTreeMap<(String, String), u32>>);

impl Failures {
    fn clear<K: Resource>(&self, object: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(object));
    }

    fn next_pause<K: Resource>(&self, object: &K) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(key(object)).or_insert(0);
        *count = count.saturating_add(1);
        pause(*count)
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.meta().namespace.clone().unwrap_or_default(), object.meta().name.clone().unwrap_or_default())
}

/// Pause after failure number `count` (from 1): doubling, without randomness, at most a minute.
fn pause(count: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << count.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

type ReconcileFuture = BoxFuture<'static, Result<Action, ReconcileError>>;

/// Reconciles the names that `queue` brings until `stop`; what is under way is finished first.
pub async fn drive<K, F, Fut>(
    name: &'static str,
    context: Arc<Context>,
    store: Store<DeserializeGuard<K>>,
    mut queue: mpsc::UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>,
    stop: CancellationToken,
    reconcile: F,
) where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<Context>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Next, ReconcileError>> + Send + 'static,
{
    let failures = Arc::new(Failures::default());
    let counted = Arc::clone(&failures);
    let reconcile_one = move |guarded: Arc<DeserializeGuard<K>>, context: Arc<Context>| -> ReconcileFuture {
        let (reconcile, failures) = (reconcile.clone(), Arc::clone(&failures));
        once(name, guarded, context, reconcile, failures).boxed()
    };
    let on_error = move |object: Arc<DeserializeGuard<K>>, _: &ReconcileError, _: Arc<Context>| {
        Action::requeue(counted.next_pause(object.as_ref()))
    };
    let names =
        futures::stream::poll_fn(move |task| queue.poll_recv(task)).map(Ok::<_, Infallible>).take_until(stop.cancelled_owned());
    let config = Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE);
    applier(reconcile_one, on_error, context, store, names, config)
        .for_each(|outcome| async move {
            match outcome {
                Ok(_) | Err(Error::ReconcilerFailed(..)) => {}
                // a name whose object is gone: its children go with it
                Err(Error::ObjectNotFound(object)) => debug!(controller = name, %object, "gone"),
                Err(other) => error!(controller = name, error = %other, "the controller's own machinery failed"),
            }
        })
        .await;
}

async fn once<K, F, Fut>(
    name: &'static str,
    guarded: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
    reconcile: F,
    failures: Arc<Failures>,
) -> Result<Action, ReconcileError>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<Context>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Next, ReconcileError>> + Send,
{
    let object = match &guarded.0 {
        Ok(object) => Arc::new(object.clone()),
        Err(invalid) => {
            // the schema refuses such an object at the API server; an older stored one cannot stop the others
            warn!(controller = name, object = %guarded.name_any(), error = %invalid.error, "the object cannot be read");
            context.metrics.reconcile(name, "invalid", Duration::ZERO);
            return Ok(Action::await_change());
        }
    };
    if object.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change()); // children go by their owner references
    }
    let started = Instant::now();
    let outcome = reconcile(object, Arc::clone(&context)).await;
    let (label, result) = match outcome {
        Ok(next) => {
            failures.clear(guarded.as_ref());
            (if next == Next::AwaitChange { "done" } else { "waiting" }, Ok(next.into()))
        }
        Err(error) => {
            warn!(controller = name, object = %guarded.name_any(), category = error.category(), %error, "the reconcile failed and is repeated");
            (error.category(), Err(error))
        }
    };
    context.metrics.reconcile(name, label, started.elapsed());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        assert_eq!(pause(1), Duration::from_millis(500));
        assert_eq!(pause(2), Duration::from_secs(1));
        assert_eq!(pause(40), LONGEST_PAUSE);
    }
}
