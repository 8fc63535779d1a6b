//! One object of the API server, followed by the process that obeys it: limits and halts work while the operator is down.
//!
//! A watch alone can be dead for minutes without anybody noticing: packets are dropped, no byte comes, and silence is what a
//! watch of a quiet object looks like. So the object is also read, twice a second: a read has a deadline, a read that missed
//! it closes its connection, and what a read brings is as good as what the watch brings. TCP keep-alive and the client's
//! read timeouts were no help: the former tells of a dead peer and not of a proxy that is stuck, the latter would end
//! every quiet watch, and neither brings the object.

mod order;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::Resource;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tradewind_wire::probes::Readiness;

use order::Order;

/// Pause between two reads.
const PAUSE: Duration = Duration::from_millis(500);
/// A read that takes longer has failed. With one more try over a new connection a dead one costs less than 2 s.
const DEADLINE: Duration = Duration::from_millis(500);
/// Pause after a read that failed, as long as the next one may simply need another connection.
const RETRY: Duration = Duration::from_millis(100);
/// A connection that died right after an answer: the pause, the read that fails, and the one over a new connection.
const _: () = assert!(
    PAUSE.as_millis() + DEADLINE.as_millis() + RETRY.as_millis() + DEADLINE.as_millis() < 2_000,
    "a connection that died silently is noticed in less than 2 s"
);
/// Reads that are repeated quickly.
const QUICK: u32 = 3;
/// Without any answer for this long the process says that it is not ready.
const STALE: Duration = Duration::from_secs(3);
/// Follows the object called `name` until `stop` and keeps in `known` what `read` makes of it. While the API server does
/// not answer, the newest known state holds, and `readiness` says so.
///
/// `read` gets the object, `None` when there is none (never made, or deleted), and what was known before. It may get the
/// same object again.
///
/// The process is not ready from this call on, not only once the future is polled: there is no moment in which it could
/// say that it is ready and has read nothing.
pub fn follow<K, T>(
    api: Api<K>,
    name: String,
    known: watch::Sender<Option<T>>,
    readiness: Readiness,
    stop: CancellationToken,
    read: impl Fn(Option<&K>, Option<&T>) -> Option<T>,
) -> impl Future<Output = ()>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: PartialEq + Debug,
{
    readiness.hold(&subject(&name), "the API server has not answered yet");
    following(api, name, known, readiness, stop, read)
}

/// What the process waits for then. A process may follow several objects, and one that answers says nothing of the others.
fn subject(name: &str) -> String {
    format!("watch of {name}")
}

async fn following<K, T>(
    api: Api<K>,
    name: String,
    known: watch::Sender<Option<T>>,
    readiness: Readiness,
    stop: CancellationToken,
    read: impl Fn(Option<&K>, Option<&T>) -> Option<T>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: PartialEq + Debug,
{
    let (mut order, mut failures, mut proven) = (Order::default(), 0, Instant::now());
    let mut changes = watching(&api, &name);
    let mut probe = Box::pin(look(&api, &name, Duration::ZERO));
    loop {
        let object = tokio::select! {
            change = changes.next() => match change {
                Some(Ok(object)) => order.watched(object.as_ref()).then_some(object),
                Some(Err(_)) => continue,
                None => {
                    changes = watching(&api, &name);
                    continue;
                }
            },
            answer = &mut probe => {
                let fine = answer.is_ok();
                // After a failure the watch may hang on the same dead connection, or on one that was begun meanwhile.
                let renew = !fine || failures > 0 || order.is_behind();
                failures = if fine { 0 } else { failures + 1 };
                let pause = if fine || failures > QUICK { PAUSE } else { RETRY };
                probe.set(look(&api, &name, pause));
                if renew {
                    changes = watching(&api, &name);
                    order.begun_again();
                }
                match answer {
                    Ok(object) => {
                        proven = Instant::now();
                        readiness.release(&subject(&name));
                        order.read(object.as_ref()).then_some(object)
                    }
                    Err(error) => {
                        tracing::warn!(name = name.as_str(), error, "the object cannot be read, asking again");
                        if proven.elapsed() >= STALE {
                            readiness.hold(&subject(&name), format!("the API server has not answered for {STALE:?}: {error}"));
                        }
                        None
                    }
                }
            }
            () = stop.cancelled() => return,
        };
        let Some(object) = object else { continue };
        known.send_if_modified(|known| {
            let new = read(object.as_ref(), known.as_ref());
            let changed = *known != new;
            if changed {
                tracing::info!(name = name.as_str(), ?new, "the object was read");
                *known = new;
            }
            changed
        });
    }
}

/// The watch. Its errors are told and answered with a backoff.
fn watching<K>(api: &Api<K>, name: &str) -> BoxStream<'static, watcher::Result<Option<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let told = name.to_owned();
    let changes = watch_object(api.clone(), name).default_backoff().inspect_err(move |error| {
        tracing::warn!(name = told, error = %tradewind_wire::client::chain(error), "the object cannot be watched, asking again");
    });
    changes.boxed()
}

/// One read after `pause`, within its deadline.
async fn look<K>(api: &Api<K>, name: &str, pause: Duration) -> Result<Option<K>, String>
where
    K: Clone + DeserializeOwned + Debug,
{
    tokio::time::sleep(pause).await;
    match tokio::time::timeout(DEADLINE, api.get_opt(name)).await {
        Ok(answer) => answer.map_err(|error| tradewind_wire::client::chain(&error)),
        Err(_) => Err(format!("no answer within {DEADLINE:?}")),
    }
}
