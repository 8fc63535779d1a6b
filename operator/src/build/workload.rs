//! StatefulSets and their Services.
//!
//! Inference is a StatefulSet too, although it keeps nothing: a ReplicaSet answers a rejected pod with another
//! one at once and leaves the dead one behind, a StatefulSet removes the dead pod before it makes the next, and it
//! never has two pods where the pool holds one.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, Service, ServicePort, ServiceSpec,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::owner::{Owner, matching};
use super::pod::GRPC_PORT;

/// A volume that outlives its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name of the volume in the pod.
    pub name: &'static str,
    /// Storage class; `None`: the cluster's default.
    pub class: Option<String>,
    /// Size, for example `1Gi`.
    pub size: String,
}

/// What makes up a StatefulSet.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Name of the set and of its Service.
    pub name: String,
    /// Labels of the set.
    pub labels: BTreeMap<String, String>,
    /// Labels that select its pods; never changed.
    pub selector: BTreeMap<String, String>,
    /// 0 or 1.
    pub replicas: i32,
    /// Pods.
    pub template: PodTemplateSpec,
    /// Volume of the journal.
    pub claim: Option<Claim>,
}

/// The StatefulSet. Its volumes outlive it: a journal is never deleted by the operator.
#[must_use]
pub fn stateful_set(owner: &Owner, workload: Workload) -> StatefulSet {
    let selector = workload.selector;
    StatefulSet {
        metadata: owner.metadata(workload.name.clone(), workload.labels),
        spec: Some(StatefulSetSpec {
            replicas: Some(workload.replicas),
            service_name: Some(workload.name),
            pod_management_policy: Some("Parallel".to_owned()),
            revision_history_limit: Some(2),
            update_strategy: Some(StatefulSetUpdateStrategy { type_: Some("RollingUpdate".to_owned()), rolling_update: None }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some("Retain".to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            volume_claim_templates: workload.claim.map(|claim| vec![claim_template(claim, selector.clone())]),
            selector: matching(selector),
            template: workload.template,
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn claim_template(claim: Claim, labels: BTreeMap<String, String>) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(claim.name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: claim.class,
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(claim.size))])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// The Service of a workload. `before_ready`: reachable even while not ready, so that it can be asked why.
#[must_use]
pub fn service(
    owner: &Owner,
    name: &str,
    labels: BTreeMap<String, String>,
    selector: BTreeMap<String, String>,
    before_ready: bool,
) -> Service {
    Service {
        metadata: owner.metadata(name.to_owned(), labels),
        spec: Some(ServiceSpec {
            selector: Some(selector),
            publish_not_ready_addresses: before_ready.then_some(true),
            ports: Some(vec![ServicePort {
                name: Some("grpc".to_owned()),
                port: GRPC_PORT,
                target_port: Some(IntOrString::String("grpc".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            type_: Some("ClusterIP".to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
