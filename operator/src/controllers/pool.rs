//! The dedicated pool as it is now: read from the API server, and only when something pinned is about to start.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tradewind_crds::names::{LABEL_BUNDLE, LABEL_DEDICATED, LABEL_POLICY};

use super::differs::nanos;
use super::outcome::ReconcileError;
use crate::plan::placement::PoolNode;

/// Pods of one policy whose bundle is no longer kept: they are on their way out and are not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the policy.
    pub policy: String,
    /// Bundles that stay.
    pub kept: BTreeSet<String>,
}

impl Leaving {
    fn has(&self, pod: &Pod) -> bool {
        let labels = pod.labels();
        pod.namespace().as_deref() == Some(self.namespace.as_str())
            && labels.get(LABEL_POLICY) == Some(&self.policy)
            && labels.get(LABEL_BUNDLE).is_some_and(|bundle| !self.kept.contains(bundle))
    }
}

/// Nodes of the pool and what their pods have asked for, whoever made them; ascending by name.
///
/// # Errors
/// [`ReconcileError::Read`].
pub async fn read_pool(client: &Client, leaving: Option<&Leaving>) -> Result<Vec<PoolNode>, ReconcileError> {
    let read = |what| move |source| ReconcileError::Read { what, source: Box::new(source) };
    let nodes = Api::<Node>::all(client.clone());
    let dedicated =
        nodes.list(&ListParams::default().labels(&format!("{LABEL_DEDICATED}=true"))).await.map_err(read("dedicated nodes"))?;
    let mut pool = Vec::new();
    for node in dedicated {
        let name = node.name_any();
        let running = ListParams::default().fields(&format!("spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed"));
        let pods = Api::<Pod>::all(client.clone()).list(&running).await.map_err(read("pods of a dedicated node"))?;
        if let Some(node) = pool_node(
            &node,
            pods.items.iter().filter(|pod| leaving.is_none_or(|leaving| !leaving.has(pod))).filter_map(|pod| pod.spec.as_ref()),
        ) {
            pool.push(node);
        }
    }
    pool.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pool)
}

/// `None`: nothing is scheduled there (cordoned, not ready).
fn pool_node<'a>(node: &Node, pods: impl Iterator<Item = &'a PodSpec>) -> Option<PoolNode> {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let conditions = node.status.as_ref()?.conditions.iter().flatten();
    let ready = conditions.filter(|c| c.type_ == "Ready").any(|c| c.status == "True");
    if cordoned || !ready {
        return None;
    }
    let allocatable = millis(node.status.as_ref()?.allocatable.as_ref()?);
    Some(PoolNode { name: node.name_any(), allocatable_millis: allocatable, requested_millis: pods.map(pod_millis).sum() })
}

/// What the scheduler counts for a pod: all containers together, or the largest initialiser.
fn pod_millis(pod: &PodSpec) -> i64 {
    let request =
        |resources: &Option<ResourceRequirements>| resources.as_ref().and_then(|r| r.requests.as_ref()).map_or(0, millis);
    let together: i64 = pod.containers.iter().map(|container| request(&container.resources)).sum();
    let largest = pod.init_containers.iter().flatten().map(|container| request(&container.resources)).max().unwrap_or(0);
    together.max(largest) + pod.overhead.as_ref().map_or(0, millis)
}

fn millis(quantities: &BTreeMap<String, Quantity>) -> i64 {
    let cpu = quantities.get("cpu").and_then(|quantity| nanos(&quantity.0)).unwrap_or(0);
    i64::try_from(cpu / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn node(unschedulable: bool, ready: &str) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": {"unschedulable": unschedulable},
            "status": {"allocatable": {"cpu": "3"}, "conditions": [{"type": "Ready", "status": ready}]}}))
        .unwrap()
    }

    #[test]
    fn requests_are_counted_as_the_scheduler_does() {
        let pod: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}, {"name": "b", "resources": {"requests": {"cpu": "250m"}}}],
            "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "2"}}}],
        }))
        .unwrap();
        let found = pool_node(&node(false, "True"), [&pod].into_iter()).unwrap();
        assert_eq!((found.allocatable_millis, found.requested_millis, found.free()), (3_000, 2_000, 1));
    }

    #[test]
    fn a_node_that_takes_no_pods_is_not_in_the_pool() {
        assert!(pool_node(&node(true, "True"), std::iter::empty()).is_none());
        assert!(pool_node(&node(false, "Unknown"), std::iter::empty()).is_none());
    }
}
