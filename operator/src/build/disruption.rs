//! Disruption budgets: a drained node takes one process of an owner at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::owner::Owner;

/// At most one pod of the owner is evicted at once; a pod that does not work anyway never blocks a drain.
#[must_use]
pub fn budget(owner: &Owner, name: String) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: owner.metadata(name, owner.labels("disruption", &[])),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(owner.all_pods()),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
