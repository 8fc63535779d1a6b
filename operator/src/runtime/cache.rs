//! What is known of one kind of object: fed by a watch, with this process's own writes laid over it until
//! the watch has caught up. A reconcile that runs between a write and its watch event so sees the write and
//! does not send it again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tracing::warn;

/// A watch that has not brought an own write after this long has missed it for another reason (the object
/// is gone again): then the watch is right.
const OVERLAY_LIFE: Duration = Duration::from_secs(5);

/// What a kind must be to be kept.
pub trait Cacheable: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static {}

impl<K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static> Cacheable for K {}

type Key = (String, String);
type OwnWrites<K> = BTreeMap<Key, (Arc<K>, Instant)>;

/// Objects of one kind.
pub struct Cache<K: Cacheable> {
    store: Store<K>,
    own_writes: Arc<Mutex<OwnWrites<K>>>,
}

impl<K: Cacheable> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), own_writes: Arc::clone(&self.own_writes) }
    }
}

impl<K: Cacheable> Debug for Cache<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache<{}>", K::kind(&()))
    }
}

impl<K: Cacheable> Cache<K>
where
    (): Eq + Hash,
{
    /// An empty cache and its writer: for [`feed`], or for a test that fills it by hand.
    #[must_use]
    pub fn new() -> (Self, Writer<K>) {
        let (store, writer) = reflector::store();
        (Self { store, own_writes: Arc::default() }, writer)
    }

    /// The underlying store.
    #[must_use]
    pub fn store(&self) -> &Store<K> {
        &self.store
    }

    /// One object as last seen or last written.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let watched = self.store.get(&ObjectRef::new(name).within(namespace));
        let key = (namespace.to_owned(), name.to_owned());
        let mut own = self.own_writes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((written, at)) = own.get(&key) else { return watched };
        let caught_up = watched.as_ref().is_some_and(|seen| version(seen.as_ref()) >= version(written.as_ref()));
        if caught_up || at.elapsed() > OVERLAY_LIFE {
            own.remove(&key);
            return watched;
        }
        Some(Arc::clone(written))
    }

    /// All watched objects that satisfy `wanted`, ascending by namespace and name.
    #[must_use]
    pub fn list(&self, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let mut found = self.store.state_filter(wanted);
        found.sort_by_key(|object| (object.namespace(), object.name_any()));
        found
    }

    /// Lays an own write over the watch.
    pub fn wrote(&self, object: K) {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        let mut own = self.own_writes.lock().unwrap_or_else(PoisonError::into_inner);
        own.insert(key, (Arc::new(object), Instant::now()));
    }

    /// Forgets an own write after a deletion.
    pub fn deleted(&self, namespace: &str, name: &str) {
        let mut own = self.own_writes.lock().unwrap_or_else(PoisonError::into_inner);
        own.remove(&(namespace.to_owned(), name.to_owned()));
    }
}

/// Numbers in order; anything else counts as older than every number.
fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Keeps `writer` up to date from `api` for ever, with backoff, and tells `touched` about every change,
/// deletions included. `trim` drops what nobody reads before it is kept. For `PartialObjectMeta` only metadata
/// are asked for: Secrets so stay out of this process's memory.
pub async fn feed<K>(
    api: Api<K>,
    config: watcher::Config,
    writer: Writer<K>,
    trim: fn(&mut K),
    mut touched: impl FnMut(&K) + Send,
) where
    K: Cacheable + DeserializeOwned,
{
    let stream = watcher::watcher(api, config).default_backoff().modify(move |object| {
        object.meta_mut().managed_fields = None;
        trim(object);
    });
    follow(stream, writer, &mut touched).await;
}

async fn follow<K: Cacheable>(
    stream: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    writer: Writer<K>,
    touched: &mut (impl FnMut(&K) + Send),
) {
    let mut stream = std::pin::pin!(reflector::reflector(writer, stream));
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object) | watcher::Event::Delete(object)) => {
                touched(&object)
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
            Err(error) => warn!(kind = %K::kind(&()), %error, "watch interrupted; it continues after a pause"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn object(version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("trading".into());
        object.metadata.name = Some("a".into());
        object.metadata.resource_version = Some(version.into());
        object
    }

    fn seen(cache: &Cache<ConfigMap>) -> Option<String> {
        cache.get("trading", "a").and_then(|object| object.metadata.resource_version.clone())
    }

    #[test]
    fn an_own_write_is_seen_until_the_watch_is_as_new() {
        let (cache, mut writer) = Cache::<ConfigMap>::new();
        writer.apply_watcher_event(&watcher::Event::Apply(object("9")));
        cache.wrote(object("10"));
        assert_eq!(seen(&cache).as_deref(), Some("10"));
        writer.apply_watcher_event(&watcher::Event::Apply(object("11")));
        assert_eq!(seen(&cache).as_deref(), Some("11"), "versions compare as numbers");
        writer.apply_watcher_event(&watcher::Event::Delete(object("11")));
        assert_eq!(seen(&cache), None, "the overlay is gone once the watch caught up");
    }
}
