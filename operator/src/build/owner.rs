//! To whom a child belongs: namespace, labels, owner reference.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;
use tradewind_crds::names;

/// The resource that children are made for. Its name is the `instance` label.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// Namespace of the resource and all its children.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// Label that carries the name: policy, profile or checkpoint.
    pub label: &'static str,
    reference: OwnerReference,
}

/// The resource has no name, namespace or UID: it does not come from an API server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} has no {missing}: it was not read from an API server")]
pub struct NotStored {
    kind: String,
    missing: &'static str,
}

impl Owner {
    /// The owner that `object` is; `label` is the label that carries its name.
    ///
    /// # Errors
    /// [`NotStored`].
    pub fn of<K: Resource<DynamicType = ()>>(object: &K, label: &'static str) -> Result<Self, NotStored> {
        let missing = |missing| NotStored { kind: K::kind(&()).into_owned(), missing };
        let meta = object.meta();
        Ok(Self {
            namespace: meta.namespace.clone().ok_or_else(|| missing("namespace"))?,
            name: meta.name.clone().ok_or_else(|| missing("name"))?,
            label,
            reference: object.controller_owner_ref(&()).ok_or_else(|| missing("uid"))?,
        })
    }

    /// Labels of a child of `component`; `extra` adds to them.
    #[must_use]
    pub fn labels(&self, component: &str, extra: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut all = names::labels(component, &self.name, extra);
        all.insert(self.label.to_owned(), self.name.clone());
        all.insert(names::LABEL_ROLE.to_owned(), component.to_owned());
        all
    }

    /// Metadata of a child.
    #[must_use]
    pub fn metadata(&self, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![self.reference.clone()]),
            ..ObjectMeta::default()
        }
    }

    /// Selects all pods of this owner.
    #[must_use]
    pub fn all_pods(&self) -> LabelSelector {
        matching(BTreeMap::from([
            ("app.kubernetes.io/name".to_owned(), "tradewind".to_owned()),
            (self.label.to_owned(), self.name.clone()),
        ]))
    }

    /// Whether an object with these owner references is a child of this owner.
    #[must_use]
    pub fn owns(&self, references: &[OwnerReference]) -> bool {
        references.iter().any(|reference| reference.uid == self.reference.uid)
    }
}

/// A selector of exactly these labels.
#[must_use]
pub fn matching(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), match_expressions: None }
}
