//! One object of the API server, followed by the process that obeys it: limits and halts work while the operator is down.

use std::fmt::Debug;

use futures::{StreamExt, TryStreamExt, pin_mut};
use kube::Resource;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Follows the object called `name` until `stop` and keeps in `known` what `read` makes of it. While the API server does
/// not answer, the newest known state holds.
///
/// `read` gets the object, `None` when there is none (never made, or deleted), and what was known before.
pub async fn follow<K, T>(
    api: Api<K>,
    name: &str,
    known: watch::Sender<Option<T>>,
    stop: CancellationToken,
    read: impl Fn(Option<&K>, Option<&T>) -> Option<T>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: PartialEq + Debug,
{
    let changes = watch_object(api, name).default_backoff().inspect_err(|error| {
        tracing::warn!(name, error = %tradewind_wire::client::chain(error), "the object cannot be watched, asking again");
    });
    pin_mut!(changes);
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = stop.cancelled() => return,
        };
        let Some(change) = change else { return };
        let Ok(object) = change else { continue };
        known.send_if_modified(|known| {
            let new = read(object.as_ref(), known.as_ref());
            let changed = *known != new;
            if changed {
                tracing::info!(name, ?new, "the object was read");
                *known = new;
            }
            changed
        });
    }
}
