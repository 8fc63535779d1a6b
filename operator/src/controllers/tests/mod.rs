//! Whole lives of resources against a server in memory: no cluster, no clock, no network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod certificates;
mod cluster;
mod crash;
mod rollout;
mod script;
mod server;

use std::sync::Arc;

use serde_json::{Value, json};
use tradewind_crds::samples;

use crate::runtime::authority::{Authority, CurrentAuthority};
use cluster::{Cluster, Operator, clock, pass_time};

/// Rounds without a write after which nothing more comes: an operator that has just started asks in the first and hears in the
/// second.
const QUIET: usize = 3;
/// Rounds after which something that should have settled has not.
const ROUNDS: usize = 120;

fn authority() -> CurrentAuthority {
    CurrentAuthority::new(Authority::generate(None, clock()).unwrap().0)
}

/// A cluster with a profile, two checkpoints and a policy, nothing of which the operator has seen.
fn declared() -> Cluster {
    let cluster = Cluster::new();
    cluster.put("riskprofiles", "main", serde_json::to_value(samples::profile("main", "paper-1")).unwrap());
    cluster.put("tradingpolicies", "indices", serde_json::to_value(samples::policy("indices", "main", "tactical-a")).unwrap());
    strategic_checkpoint(&cluster, "strategic-a", 'd');
    checkpoint(&cluster, "tactical-a", 'a');
    cluster
}

fn checkpoint(cluster: &Cluster, name: &str, digit: char) {
    cluster.put("modelcheckpoints", name, serde_json::to_value(samples::checkpoint(name, digit)).unwrap());
}

fn strategic_checkpoint(cluster: &Cluster, name: &str, digit: char) {
    cluster.put("modelcheckpoints", name, serde_json::to_value(samples::strategic_checkpoint(name, digit)).unwrap());
}

/// Points the policy at another tactical checkpoint.
fn point_at(cluster: &Cluster, name: &str) {
    point_role_at(cluster, "tactical", name);
}

fn point_role_at(cluster: &Cluster, role: &str, name: &str) {
    cluster.edit("tradingpolicies", "indices", |policy| {
        policy["spec"]["models"][role]["checkpointRef"]["name"] = json!(name);
    });
}

/// Lets operator and cluster take turns until nothing is written any more and `done` holds; starts the operator again whenever the
/// server takes it down. Answers with the number of times that happened.
async fn run_until(
    cluster: &Cluster,
    operator: &mut Operator,
    authority: &CurrentAuthority,
    done: impl Fn(&Cluster) -> bool,
) -> usize {
    let (mut deaths, mut quiet) = (0, 0);
    for _ in 0..ROUNDS {
        cluster.settle();
        pass_time(1);
        let before = cluster.writes().len();
        let died = Arc::clone(&cluster.server.died);
        let dead = tokio::select! {
            biased;
            () = died.notified() => true,
            outcome = operator.round(cluster) => {
                outcome.unwrap();
                false
            }
        };
        if dead {
            deaths += 1;
            *operator = Operator::start(cluster, authority);
        }
        quiet = if dead || cluster.writes().len() != before { 0 } else { quiet + 1 };
        if quiet >= QUIET && done(cluster) {
            return deaths;
        }
    }
    let policy = cluster.get("tradingpolicies", "indices").unwrap();
    panic!("not settled after {ROUNDS} rounds: {:#}\nwrites: {:#?}", policy["status"], cluster.writes());
}

/// Everything stored, without what differs from life to life: ids, versions, times, certificates.
fn essence(cluster: &Cluster) -> Value {
    let state = cluster.server.state.lock().unwrap();
    let mut all: Vec<Value> = Vec::new();
    for ((plural, _, name), object) in &state.objects {
        if matches!(plural.as_str(), "events" | "pods" | "nodes") {
            continue;
        }
        let mut object = object.clone();
        strip(&mut object);
        all.push(json!({"plural": plural, "name": name, "object": object}));
    }
    Value::Array(all)
}

fn strip(value: &mut Value) {
    const FLEETING: [&str; 16] = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "observedGeneration",
        "lastTransitionTime",
        "startedAt",
        "stepStartedAt",
        "promotedAt",
        "verifiedAt",
        "at",
        "deadlineAt",
        "tradewind.dev/not-before",
        "tradewind.dev/not-after",
        "tradewind.dev/applied",
        "data",
    ];
    match value {
        Value::Object(map) => {
            // configuration is compared, keys and certificates are new each time
            let keep_data = map.get("data").is_some_and(|data| data.get("tls.key").is_none());
            map.retain(|key, _| !FLEETING.contains(&key.as_str()) || (key == "data" && keep_data));
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Reason and note of all events about rollouts and verdicts, sorted. Observations are left out: a Job may end while the
/// operator is down, and then it was never seen running.
fn events(cluster: &Cluster) -> Vec<String> {
    let state = cluster.server.state.lock().unwrap();
    let mut all: Vec<String> = state
        .objects
        .iter()
        .filter(|((plural, _, _), event)| {
            plural == "events" && event["action"] != json!("Observe") && event["reason"] != json!("Verifying")
        })
        .map(|(_, event)| format!("{} {}: {}", event["regarding"]["kind"], event["reason"], event["note"]))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_halt_is_handed_to_the_risk_process_once_and_before_anything_is_written() {
    let (cluster, authority) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &authority);
    run_until(&cluster, &mut operator, &authority, |cluster| cluster.phase() == "Healthy").await;
    assert_eq!(*operator.halted.lock().unwrap(), vec![]);
    cluster.edit("riskprofiles", "main", |profile| profile["spec"]["halt"] = json!(true));
    let generation = cluster.get("riskprofiles", "main").unwrap()["metadata"]["generation"].as_i64().unwrap();
    for _ in 0..3 {
        operator.round(&cluster).await.unwrap();
    }
    let halted = operator.halted.lock().unwrap().clone();
    assert_eq!(halted.len(), 1, "{halted:?}");
    assert_eq!(halted[0].endpoint, "main-risk.trading.svc:9000");
    assert_eq!((halted[0].request.account.as_str(), halted[0].request.generation), ("paper-1", generation));
}
