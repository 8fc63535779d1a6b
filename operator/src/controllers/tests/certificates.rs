//! Secrets that somebody deleted, and a change of the authority: nothing restarts.

use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::cluster::{Cluster, Operator, clock};
use super::server::Key;
use super::{authority, declared, run_until};
use crate::runtime::authority::{Authority, CurrentAuthority, ISSUED_FOR, SIGNS_AFTER};
use crate::runtime::certificates::{ROOT_SECRET, root};
use crate::runtime::writes::Writes;

const SYSTEM: &str = "tradewind-system";

fn secrets(cluster: &Cluster) -> Vec<(Key, Value)> {
    let state = cluster.server.state.lock().unwrap();
    state
        .objects
        .iter()
        .filter(|((plural, _, _), _)| plural == "secrets")
        .map(|(key, secret)| (key.clone(), secret.clone()))
        .collect()
}

/// What makes a pod start again.
fn templates(cluster: &Cluster) -> Vec<Value> {
    let state = cluster.server.state.lock().unwrap();
    let sets = state.objects.iter().filter(|((plural, _, _), _)| plural == "statefulsets");
    sets.map(|(_, set)| set["spec"]["template"].clone()).collect()
}

fn healthy(cluster: &Cluster) -> bool {
    cluster.phase() == "Healthy"
}

/// Passes without optimisation are too large for the stack of a test when a story holds several.
async fn settle(cluster: &Cluster, operator: &mut Operator, authority: &CurrentAuthority) {
    Box::pin(run_until(cluster, operator, authority, healthy)).await;
}

async fn look(writes: &Writes, authority: &CurrentAuthority) -> bool {
    let known = authority.get();
    authority.set(Box::pin(root(writes, SYSTEM, Some(&known), clock())).await.unwrap())
}

async fn running() -> (Cluster, Operator, CurrentAuthority) {
    let (cluster, authority) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &authority);
    settle(&cluster, &mut operator, &authority).await;
    (cluster, operator, authority)
}

#[tokio::test]
async fn a_deleted_leaf_comes_back_and_no_pod_starts_again() {
    let (cluster, mut operator, authority) = running().await;
    let (before, templates_before) = (secrets(&cluster), templates(&cluster));
    assert!(before.len() >= 4, "risk, policy, execution and inference: {}", before.len());
    for (key, _) in &before {
        cluster.server.state.lock().unwrap().remove(key);
    }
    settle(&cluster, &mut operator, &authority).await;
    let after = secrets(&cluster);
    assert_eq!(after.iter().map(|(key, _)| key).collect::<Vec<_>>(), before.iter().map(|(key, _)| key).collect::<Vec<_>>());
    assert!(after.iter().zip(&before).all(|((_, after), (_, before))| after["data"]["tls.crt"] != before["data"]["tls.crt"]));
    assert_eq!(templates(&cluster), templates_before);
}

#[tokio::test]
async fn a_deleted_authority_is_replaced_in_two_steps_and_no_pod_starts_again() {
    let (cluster, mut operator, authority) = running().await;
    let templates_before = templates(&cluster);
    let issued_for = |cluster: &Cluster| -> Vec<Value> {
        secrets(cluster).iter().map(|(_, secret)| secret["metadata"]["annotations"][ISSUED_FOR].clone()).collect()
    };
    let first = issued_for(&cluster);

    // nothing is in the Secret of the root: somebody deleted it while the operator ran
    let writes = operator.context.writes.clone();
    assert!(look(&writes, &authority).await);
    let key = ("secrets".to_owned(), SYSTEM.to_owned(), ROOT_SECRET.to_owned());
    let stored = cluster.server.state.lock().unwrap().objects.get(&key).cloned().unwrap();
    settle(&cluster, &mut operator, &authority).await;
    let second = issued_for(&cluster);
    assert!(second.iter().take(first.len()).all(|issued| !first.contains(issued)), "all leaves bring both roots");
    let written = cluster.writes().len();
    assert!(!look(&writes, &authority).await && cluster.writes().len() == written, "another look changes nothing");

    let later = Authority::from_secret(&serde_json::from_value::<Secret>(stored).unwrap(), clock() + SIGNS_AFTER).unwrap();
    assert!(authority.set(later), "the new root signs");
    settle(&cluster, &mut operator, &authority).await;
    assert!(issued_for(&cluster).iter().filter(|issued| !issued.is_null()).all(|issued| !second.contains(issued)));
    assert_eq!(templates(&cluster), templates_before);
}
