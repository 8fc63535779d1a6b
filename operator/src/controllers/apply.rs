//! Applying children: in order, only what differs, then deleting what is no longer desired.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;

use super::context::Context;
use super::differs::{differs, stamp};
use crate::build::certificates::Certificate;
use crate::build::owner::Owner;
use crate::runtime::authority::{AuthorityError, ISSUED_FOR, LeafRequest, due};
use crate::runtime::caches::Kept;
use crate::runtime::writes::{WriteError, Written};

/// A child as stored after it was applied. Status is computed from these, never from intent.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied<K>(K);

impl<K> Applied<K> {
    /// The stored object.
    pub fn stored(&self) -> &K {
        &self.0
    }
}

/// Why children could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A certificate could not be issued.
    #[error(transparent)]
    Certificate(#[from] AuthorityError),
    /// An object of that name belongs to somebody else.
    #[error("{kind} {name} exists and is not owned by {owner}: rename or delete one of them")]
    Foreign {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// Who wants it.
        owner: String,
    },
}

/// Applies the children of one owner.
#[derive(Debug)]
pub struct Apply<'a> {
    context: &'a Context,
    owner: &'a Owner,
    now: Timestamp,
}

impl<'a> Apply<'a> {
    /// For the children of `owner`, in the reconcile that began at `now`.
    #[must_use]
    pub fn new(context: &'a Context, owner: &'a Owner, now: Timestamp) -> Self {
        Self { context, owner, now }
    }

    /// Makes the stored object what is desired; sends nothing when it is already.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn ensure<K: Written + Kept>(&self, mut desired: K) -> Result<Applied<K>, ApplyError> {
        stamp(&mut desired);
        let cache = K::cache(&self.context.caches);
        if let Some(stored) = cache.get(&self.owner.namespace, &desired.name_any()) {
            self.refuse_foreign(stored.as_ref())?;
            if !differs(&desired, stored.as_ref()) {
                return Ok(Applied(stored.as_ref().clone()));
            }
        }
        let stored = self.context.writes.apply(&desired).await?;
        cache.wrote(stored.clone());
        Ok(Applied(stored))
    }

    /// Creates an object whose content follows from its name: one that is there is right.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn ensure_immutable(&self, desired: ConfigMap) -> Result<(), ApplyError> {
        if let Some(stored) = ConfigMap::cache(&self.context.caches).get(&self.owner.namespace, &desired.name_any()) {
            return self.refuse_foreign(stored.as_ref());
        }
        self.ensure(desired).await.map(|_| ())
    }

    /// As [`Apply::ensure`], but the fields of a set that can never change stay as they are stored: another default
    /// storage class concerns new volumes only.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn ensure_set(&self, mut desired: StatefulSet) -> Result<Applied<StatefulSet>, ApplyError> {
        // the brake may have tripped since this reconcile looked
        let tripped = self.context.brake.tripped(&self.owner.namespace, &desired.name_any());
        if let (Some(tripped), Some(spec)) = (tripped, desired.spec.as_mut())
            && !tripped.pause.is_zero()
        {
            spec.replicas = Some(0);
        }
        let stored = StatefulSet::cache(&self.context.caches).get(&self.owner.namespace, &desired.name_any());
        if let (Some(stored), Some(spec)) = (stored.as_ref().and_then(|set| set.spec.as_ref()), desired.spec.as_mut()) {
            let classes =
                stored.volume_claim_templates.iter().flatten().map(|claim| claim.spec.as_ref()?.storage_class_name.clone());
            for (claim, class) in spec.volume_claim_templates.iter_mut().flatten().zip(classes) {
                if let Some(spec) = claim.spec.as_mut() {
                    spec.storage_class_name = class;
                }
            }
        }
        self.ensure(desired).await
    }

    /// Issues a certificate unless a current one for the same names is there.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn ensure_certificate(&self, certificate: Certificate) -> Result<(), ApplyError> {
        let Certificate { mut secret, request } = certificate;
        let cache = &self.context.caches.secrets;
        let stored = cache.get(&self.owner.namespace, &secret.name_any());
        if let Some(stored) = &stored {
            self.refuse_foreign(stored.as_ref())?;
            if current(self.context, stored, &request, self.now) {
                return Ok(());
            }
        }
        self.context.authority.get().fill(&mut secret, &request, self.now)?;
        let written = self.context.writes.apply(&secret).await?;
        cache.wrote(metadata_of(written));
        Ok(())
    }

    /// Deletes the children of kind `K` whose names are not in `keep`.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn sweep<K: Written + Kept>(&self, keep: &BTreeSet<String>) -> Result<(), ApplyError> {
        for orphan in self.children::<K>() {
            if !keep.contains(&orphan.name_any()) && orphan.meta().deletion_timestamp.is_none() {
                self.context.writes.delete(orphan.as_ref()).await?;
                K::cache(&self.context.caches).deleted(&self.owner.namespace, &orphan.name_any());
                // a later attempt of the same bundle starts with a clean record
                self.context.brake.release(&self.owner.namespace, &orphan.name_any());
            }
        }
        Ok(())
    }

    /// Deletes the Secrets of this owner whose names are not in `keep`.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn sweep_secrets(&self, keep: &BTreeSet<String>) -> Result<(), ApplyError> {
        for orphan in self.children::<PartialObjectMeta<Secret>>() {
            if !keep.contains(&orphan.name_any()) && orphan.metadata.deletion_timestamp.is_none() {
                let secret = Secret { metadata: orphan.metadata.clone(), ..Secret::default() };
                self.context.writes.delete(&secret).await?;
                self.context.caches.secrets.deleted(&self.owner.namespace, &orphan.name_any());
            }
        }
        Ok(())
    }

    fn children<K: Kept>(&self) -> Vec<std::sync::Arc<K>> {
        K::cache(&self.context.caches).list(|child| {
            child.meta().namespace.as_deref() == Some(self.owner.namespace.as_str()) && self.owner.owns(child.owner_references())
        })
    }

    /// An object of the same name that somebody else made is not taken over.
    fn refuse_foreign<K: kube::Resource<DynamicType = ()>>(&self, stored: &K) -> Result<(), ApplyError> {
        if self.owner.owns(stored.meta().owner_references.as_deref().unwrap_or_default()) {
            return Ok(());
        }
        Err(ApplyError::Foreign {
            kind: K::kind(&()).into_owned(),
            name: stored.meta().name.clone().unwrap_or_default(),
            owner: self.owner.name.clone(),
        })
    }
}

fn current(context: &Context, stored: &PartialObjectMeta<Secret>, request: &LeafRequest, now: Timestamp) -> bool {
    let annotations = stored.annotations();
    annotations.get(ISSUED_FOR) == Some(&context.authority.get().issued_for(request)) && !due(annotations, now)
}

fn metadata_of(secret: Secret) -> PartialObjectMeta<Secret> {
    PartialObjectMeta { types: None, metadata: secret.metadata, _phantom: std::marker::PhantomData }
}
