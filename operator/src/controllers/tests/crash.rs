//! The operator dies after each of its writes, one life for each, and the end is always the same.

use super::cluster::{Cluster, Evidence, Operator};
use super::{authority, checkpoint, declared, essence, events, point_at, run_until};

/// Runs the story once undisturbed, then once for every write of it with a death right after that write.
async fn dies_after_each_write(start: &Cluster, done: impl Fn(&Cluster) -> bool + Copy, at_least: usize) {
    let root = authority();
    let calm = start.fork();
    let mut operator = Operator::start(&calm, &root);
    assert_eq!(run_until(&calm, &mut operator, &root, done).await, 0);
    let writes = calm.writes().len();
    assert!(writes >= at_least, "the story has only {writes} writes: {:#?}", calm.writes());
    let (wanted, told) = (essence(&calm), events(&calm));
    for point in 1..=writes {
        let cluster = start.fork();
        cluster.server.die_after(point);
        let mut operator = Operator::start(&cluster, &root);
        let deaths = run_until(&cluster, &mut operator, &root, done).await;
        assert_eq!(deaths, 1, "death after write {point} of {writes}");
        let ended = essence(&cluster);
        for (wanted, ended) in wanted.as_array().unwrap().iter().zip(ended.as_array().unwrap()) {
            assert_eq!(wanted, ended, "death after write {point}, {}", calm.writes()[point - 1]);
        }
        assert_eq!(wanted.as_array().unwrap().len(), ended.as_array().unwrap().len(), "death after write {point}");
        assert_eq!(told, events(&cluster), "events, death after write {point}, {}", calm.writes()[point - 1]);
    }
}

async fn healthy() -> Cluster {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    checkpoint(&cluster, "tactical-b", 'b');
    point_at(&cluster, "tactical-b");
    cluster
}

#[tokio::test]
async fn while_everything_starts() {
    dies_after_each_write(&declared(), |cluster| cluster.phase() == "Healthy", 25).await;
}

#[tokio::test]
async fn while_a_candidate_is_promoted() {
    let done = |cluster: &Cluster| cluster.phase() == "Healthy" && cluster.names("statefulsets").len() == 4;
    let promoted = move |cluster: &Cluster| {
        let policy = cluster.get("tradingpolicies", "indices").unwrap();
        done(cluster) && policy["status"]["stable"]["tactical"]["checkpoint"] == serde_json::json!("tactical-b")
    };
    dies_after_each_write(&healthy().await, promoted, 18).await;
}

#[tokio::test]
async fn while_a_candidate_is_rolled_back() {
    let mut cluster = healthy().await;
    cluster.evidence = Evidence::TradesTooOften;
    let done = |cluster: &Cluster| cluster.phase() == "RolledBack" && cluster.names("statefulsets").len() == 4;
    dies_after_each_write(&cluster, done, 14).await;
}
