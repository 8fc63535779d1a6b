//! The only door to the API server for writes: fenced by the lease, limited in time, counted.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::leadership::{FenceError, Leadership};
use super::metrics::Metrics;

/// Field manager of every server-side apply of the operator.
pub const FIELD_MANAGER: &str = "tradewind-operator";
/// Field manager of status writes, so that the two sets of fields never meet.
pub const STATUS_MANAGER: &str = "tradewind-operator-status";

const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Why a write did not happen, or may not have happened.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The lease is not held, or the write was given up.
    #[error("{verb} of {kind} {name}: {source}")]
    Fenced {
        /// What was tried.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// Reason.
        source: FenceError,
    },
    /// The API server refused.
    #[error("{verb} of {kind} {name} was refused: {source}")]
    Refused {
        /// What was tried.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// `namespace/name`.
        name: String,
        /// Answer of the API server.
        source: Box<kube::Error>,
    },
}

impl WriteError {
    /// HTTP status of the refusal, when there was one.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Fenced { .. } => None,
        }
    }

    /// Static category for metrics.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match (self, self.code()) {
            (Self::Fenced { source: FenceError::NotLeader, .. }, _) => "not_leader",
            (Self::Fenced { .. }, _) => "timed_out",
            (_, Some(409)) => "conflict",
            (_, Some(403)) => "forbidden",
            (_, Some(404)) => "not_found",
            (_, Some(422)) => "invalid",
            _ => "failed",
        }
    }
}

/// Sends writes. Cheap to clone.
#[derive(Clone)]
pub struct Writes {
    client: Client,
    leadership: Leadership,
    metrics: Metrics,
}

impl Debug for Writes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writes").field("leadership", &self.leadership).finish_non_exhaustive()
    }
}

/// What can be written here: a namespaced object whose type is known.
pub trait Written:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Written for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

impl Writes {
    /// Writes through `client` while `leadership` is held.
    #[must_use]
    pub fn new(client: Client, leadership: Leadership, metrics: Metrics) -> Self {
        Self { client, leadership, metrics }
    }

    /// Whether a write would be sent now.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.leadership.holds()
    }

    /// The client, for reads.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Server-side apply; answers the object as stored.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn apply<K: Written>(&self, desired: &K) -> Result<K, WriteError> {
        let (namespace, name) = key(desired);
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.send::<K, _>("apply", &namespace, &name, api.patch(&name, &params, &Patch::Apply(desired))).await
    }

    /// Creates an object that must not exist yet.
    ///
    /// # Errors
    /// [`WriteError`]; its code is 409 when the object exists.
    pub async fn create<K: Written>(&self, desired: &K) -> Result<K, WriteError> {
        let (namespace, name) = key(desired);
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        self.send::<K, _>("create", &namespace, &name, api.create(&params, desired)).await
    }

    /// Sets the replicas of a set to zero and leaves everything else of it alone.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn scale_to_zero<K: Written>(&self, namespace: &str, name: &str) -> Result<K, WriteError> {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(serde_json::json!({"spec": {"replicas": 0}}));
        self.send::<K, _>("scale", namespace, name, api.patch(name, &params, &patch)).await
    }

    /// Server-side apply of a status. `status` is the whole object of the status write: type,
    /// name, `resourceVersion` (so that a stale leader conflicts) and status.
    ///
    /// # Errors
    /// [`WriteError`]; its code is 409 when the object has changed since.
    pub async fn apply_status<K: Written>(
        &self,
        namespace: &str,
        name: &str,
        status: &serde_json::Value,
    ) -> Result<K, WriteError> {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams::apply(STATUS_MANAGER).force();
        self.send::<K, _>("status", namespace, name, api.patch_status(name, &params, &Patch::Apply(status))).await
    }

    /// Deletes exactly the object that was looked at (its UID), dependents in the background.
    /// An object that is already gone is fine.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn delete<K: Written>(&self, observed: &K) -> Result<(), WriteError> {
        let (namespace, name) = key(observed);
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let params = DeleteParams::background().preconditions(Preconditions { uid: observed.uid(), resource_version: None });
        match self.send::<K, _>("delete", &namespace, &name, api.delete(&name, &params)).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(404) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn send<K: Written, T>(
        &self,
        verb: &'static str,
        namespace: &str,
        name: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, WriteError> {
        let kind = K::kind(&()).into_owned();
        let full_name = || format!("{namespace}/{name}");
        let result = match self.leadership.fence(WRITE_LIMIT, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(WriteError::Refused { verb, kind: kind.clone(), name: full_name(), source: Box::new(source) }),
            Err(source) => Err(WriteError::Fenced { verb, kind: kind.clone(), name: full_name(), source }),
        };
        self.metrics.api_write(&kind, verb, result.as_ref().map_or_else(WriteError::category, |_| "ok"));
        result
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.meta().namespace.clone().unwrap_or_default(), object.meta().name.clone().unwrap_or_default())
}
