//! Lives without an accident: start, promotion, rollback, rejection, and silence afterwards.

use serde_json::json;

use super::cluster::{Cluster, Evidence, Operator};
use super::{authority, checkpoint, declared, point_at, point_role_at, run_until, strategic_checkpoint};

#[tokio::test]
async fn from_nothing_to_healthy_and_then_silence() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let policy = cluster.get("tradingpolicies", "indices").unwrap();
    let conditions = policy["status"]["conditions"].as_array().unwrap();
    let of = |kind: &str| conditions.iter().find(|c| c["type"] == json!(kind)).unwrap()["status"].clone();
    assert_eq!(
        (of("Ready"), of("Stalled"), of("CpuPinned"), of("TradingAllowed")),
        (json!("True"), json!("False"), json!("True"), json!("True"))
    );
    // design: quiet when nothing changes, also for an operator that has just started
    let before = cluster.writes().len();
    let mut fresh = Operator::start(&cluster, &root);
    for _ in 0..3 {
        super::pass_time(600);
        fresh.round(&cluster).await.unwrap();
        operator.round(&cluster).await.unwrap();
    }
    assert_eq!(cluster.writes()[before..], Vec::<String>::new());
}

/// Status, reason and message of TradingAllowed.
fn trading_of(cluster: &Cluster, plural: &str, name: &str) -> [String; 3] {
    let object = cluster.get(plural, name).unwrap();
    let conditions = object["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == json!("TradingAllowed")).unwrap();
    [&found["status"], &found["reason"], &found["message"]].map(|text| text.as_str().unwrap().to_owned())
}

fn trading(cluster: &Cluster) -> [String; 3] {
    trading_of(cluster, "tradingpolicies", "indices")
}

#[tokio::test]
async fn a_gate_that_is_gone_is_told_on_the_profile_and_on_its_policies_until_it_is_back() {
    let (mut cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy" && trading(cluster)[1] == "Trading").await;
    let before = cluster.writes().len();
    cluster.silent_gate = true;
    run_until(&cluster, &mut operator, &root, |cluster| trading(cluster)[1] == "Unreachable").await;
    let [status, _, message] = trading(&cluster);
    assert!(status == "False" && message.contains("risk service"), "{status}: {message}");
    let [status, reason, _] = trading_of(&cluster, "riskprofiles", "main");
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "Unreachable"));
    let profile = cluster.get("riskprofiles", "main").unwrap();
    assert!(profile["status"]["state"].is_null(), "kubectl get rp shows {}", profile["status"]["state"]);
    let written = cluster.writes()[before..].to_vec();
    assert!(written.len() <= 8, "{written:#?}");
    cluster.silent_gate = false;
    run_until(&cluster, &mut operator, &root, |cluster| trading(cluster)[1] == "Trading").await;
    assert_eq!(cluster.get("riskprofiles", "main").unwrap()["status"]["state"], json!("Normal"));
}

#[tokio::test]
async fn trading_is_not_said_to_be_allowed_before_the_feed_has_brought_a_bar() {
    let (mut cluster, root) = (declared(), authority());
    cluster.evidence = Evidence::NoFeed;
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let [status, reason, message] = trading(&cluster);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "WaitingForBars"));
    assert!(message.contains("feed 'default'") && message.contains("does not exist yet"), "{message}");
    // one bar is news, and the answers that are lost later are none until silence is certain
    cluster.evidence = Evidence::Good;
    run_until(&cluster, &mut operator, &root, |cluster| trading(cluster)[1] == "Trading").await;
    cluster.evidence = Evidence::Silent;
    let before = cluster.writes().len();
    run_until(&cluster, &mut operator, &root, |cluster| trading(cluster)[1] == "Unreachable").await;
    let written = cluster.writes()[before..].to_vec();
    assert!(written.len() <= 4, "{written:#?}");
}

#[tokio::test]
async fn a_promotion_writes_this_and_nothing_else() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let old = cluster.get("tradingpolicies", "indices").unwrap()["status"]["stable"]["bundle"].as_str().unwrap().to_owned();
    checkpoint(&cluster, "tactical-b", 'b');
    run_until(&cluster, &mut operator, &root, |cluster| {
        cluster.get("modelcheckpoints", "tactical-b").unwrap()["status"]["phase"] == json!("Verified")
    })
    .await;
    let before = cluster.writes().len();
    point_at(&cluster, "tactical-b");
    run_until(&cluster, &mut operator, &root, |cluster| {
        cluster.phase() == "Healthy"
            && cluster.names("jobs").len() == 3
            && !cluster.names("statefulsets").contains(&format!("indices-inference-{old}"))
    })
    .await;
    let new = cluster.get("tradingpolicies", "indices").unwrap()["status"]["stable"]["bundle"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    let expected = [
        format!("apply configmaps/indices-bundle-{new}"),
        format!("apply secrets/indices-inference-{new}-tls"),
        format!("apply services/indices-inference-{new}"),
        format!("apply statefulsets/indices-inference-{new}"),
        "create events/Shadowing".to_owned(),
        "status tradingpolicies/indices Shadowing 0 of strategic-a, tactical-b".to_owned(),
        "status tradingpolicies/indices Shadowing 0 of strategic-a, tactical-b".to_owned(),
        "create events/Canary".to_owned(),
        "status tradingpolicies/indices Canary 1000 of strategic-a, tactical-b".to_owned(),
        "create events/Canary".to_owned(),
        "status tradingpolicies/indices Canary 5000 of strategic-a, tactical-b".to_owned(),
        "create events/Promoting".to_owned(),
        "status tradingpolicies/indices Promoting 10000 of strategic-a, tactical-b".to_owned(),
        "create events/Promoted".to_owned(),
        "status tradingpolicies/indices Healthy 0 of -".to_owned(),
        format!("delete statefulsets/indices-inference-{old}"),
        format!("delete services/indices-inference-{old}"),
        format!("delete configmaps/indices-bundle-{old}"),
        format!("delete secrets/indices-inference-{old}-tls"),
    ];
    let written: Vec<String> = cluster.writes()[before..].to_vec();
    for (number, (written, expected)) in written.iter().zip(&expected).enumerate() {
        assert_eq!(written, expected, "write {number}");
    }
    assert_eq!(written[expected.len().min(written.len())..], Vec::<String>::new());
    assert_eq!(written.len(), expected.len());
}

#[tokio::test]
async fn a_candidate_that_trades_too_often_is_rolled_back_before_its_pods_go() {
    let (mut cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let stable = cluster.get("tradingpolicies", "indices").unwrap()["status"]["stable"]["bundle"].as_str().unwrap().to_owned();
    cluster.evidence = Evidence::TradesTooOften;
    checkpoint(&cluster, "tactical-b", 'b');
    point_at(&cluster, "tactical-b");
    let before = cluster.writes().len();
    run_until(&cluster, &mut operator, &root, |cluster| {
        cluster.phase() == "RolledBack" && cluster.names("statefulsets").len() == 4
    })
    .await;
    let writes = cluster.writes()[before..].to_vec();
    let at = |text: &str| {
        writes.iter().position(|write| write.contains(text)).unwrap_or_else(|| panic!("{text} is not in {writes:#?}"))
    };
    assert!(at("RollingBack 0") < at("RolledBack 0"), "routing moves before the candidate leaves the status");
    assert!(at("RolledBack 0") < at("delete statefulsets"), "the candidate leaves the status before its pods go");
    let policy = cluster.get("tradingpolicies", "indices").unwrap();
    assert_eq!(policy["status"]["stable"]["bundle"], json!(stable));
    assert_eq!(
        policy["status"]["revertPatch"],
        json!(r#"{"spec":{"models":{"tactical":{"checkpointRef":{"name":"tactical-a"}}}}}"#)
    );
    // the patch makes Git agree, without a new rollout
    point_at(&cluster, "tactical-a");
    let before = cluster.writes().len();
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    assert!(cluster.writes()[before..].iter().all(|write| !write.starts_with("apply") && !write.starts_with("delete")));
}

#[tokio::test]
async fn a_rejected_checkpoint_reaches_no_pod_and_the_policy_says_why() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    checkpoint(&cluster, "tactical-bad", 'c');
    point_at(&cluster, "tactical-bad");
    run_until(&cluster, &mut operator, &root, |cluster| {
        let policy = cluster.get("tradingpolicies", "indices").unwrap();
        policy["status"]["summary"].as_str().is_some_and(|text| text.contains("NotFinite") && text.contains("keeps serving"))
    })
    .await;
    assert_eq!(cluster.names("statefulsets").iter().filter(|name| name.contains("inference")).count(), 1);
    let status = cluster.get("modelcheckpoints", "tactical-bad").unwrap()["status"].clone();
    assert_eq!((status["phase"].clone(), status["reason"].clone()), (json!("Rejected"), json!("NotFinite")));
}

#[tokio::test]
async fn a_policy_waits_for_both_checkpoints_and_says_which_one_is_missing() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let old = cluster.get("tradingpolicies", "indices").unwrap()["status"]["stable"]["bundle"].clone();
    point_role_at(&cluster, "strategic", "strategic-b");
    run_until(&cluster, &mut operator, &root, |cluster| {
        let policy = cluster.get("tradingpolicies", "indices").unwrap();
        policy["status"]["summary"].as_str().is_some_and(|text| text.starts_with("ModelCheckpoint strategic-b does not exist"))
    })
    .await;
    assert_eq!(cluster.names("statefulsets").iter().filter(|name| name.contains("inference")).count(), 1);
    // once it is there, the pair is rolled out as one bundle
    strategic_checkpoint(&cluster, "strategic-b", 'e');
    run_until(&cluster, &mut operator, &root, |cluster| {
        cluster.phase() == "Healthy"
            && cluster.get("tradingpolicies", "indices").unwrap()["status"]["stable"]["bundle"] != old
            && cluster.names("statefulsets").len() == 4
    })
    .await;
    let status = cluster.get("tradingpolicies", "indices").unwrap()["status"].clone();
    assert_eq!(status["stable"]["strategic"]["checkpoint"], json!("strategic-b"));
    assert_eq!(status["stable"]["tactical"]["checkpoint"], json!("tactical-a"));
    assert_eq!(status["history"][0]["checkpoints"], json!("strategic-b, tactical-a"));
    assert!(status["summary"].as_str().unwrap().contains("(strategic-b, tactical-a) serves"), "{}", status["summary"]);
}

#[tokio::test]
async fn a_rejected_strategic_checkpoint_is_named_before_a_tactical_one_that_is_awaited() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    strategic_checkpoint(&cluster, "strategic-bad", 'c');
    point_role_at(&cluster, "strategic", "strategic-bad");
    point_at(&cluster, "tactical-missing");
    run_until(&cluster, &mut operator, &root, |cluster| {
        let policy = cluster.get("tradingpolicies", "indices").unwrap();
        policy["status"]["conditions"].as_array().is_some_and(|all| {
            all.iter().any(|c| {
                c["reason"] == json!("CheckpointRejected") && c["type"] == json!("Stalled") && c["status"] == json!("True")
            })
        })
    })
    .await;
    let summary = cluster.get("tradingpolicies", "indices").unwrap()["status"]["summary"].clone();
    assert!(summary.as_str().unwrap().starts_with("ModelCheckpoint strategic-bad was rejected, NotFinite"), "{summary}");
    assert!(cluster.names("statefulsets").iter().all(|name| !name.contains("inference")));
}

#[tokio::test]
async fn a_checkpoint_of_another_role_is_refused_by_name_and_what_serves_keeps_serving() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    checkpoint(&cluster, "tactical-b", 'b');
    point_role_at(&cluster, "strategic", "tactical-b");
    run_until(&cluster, &mut operator, &root, |cluster| {
        let policy = cluster.get("tradingpolicies", "indices").unwrap();
        policy["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["reason"] == json!("InvalidSpec") && c["type"] == json!("Stalled") && c["status"] == json!("True"))
    })
    .await;
    let policy = cluster.get("tradingpolicies", "indices").unwrap();
    let text = policy["status"]["summary"].as_str().unwrap();
    let wanted = "spec.models.strategic.checkpointRef.name is tactical-b, whose role is Tactical, allowed is a ModelCheckpoint of role Strategic";
    assert!(text.starts_with(wanted) && text.contains("(strategic-a, tactical-a) keeps serving"), "{text}");
    assert_eq!(cluster.names("statefulsets").iter().filter(|name| name.contains("inference")).count(), 1);
}

#[tokio::test]
async fn more_cpus_than_the_pool_has_are_refused_with_the_arithmetic() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    cluster.edit("tradingpolicies", "indices", |policy| policy["spec"]["placement"]["inference"]["cpus"] = json!(2));
    run_until(&cluster, &mut operator, &root, |cluster| {
        let policy = cluster.get("tradingpolicies", "indices").unwrap();
        policy["status"]["conditions"].as_array().unwrap().iter().any(|c| {
            c["reason"] == json!("InsufficientPinnedCPU") && c["type"] == json!("Stalled") && c["status"] == json!("True")
        })
    })
    .await;
    let policy = cluster.get("tradingpolicies", "indices").unwrap();
    let text = policy["status"]["summary"].as_str().unwrap();
    assert!(
        text.contains("asks for 2 exclusive CPUs") && text.contains("pool-3: 1 of 1 free") && text.contains("keeps serving"),
        "{text}"
    );
    assert_eq!(cluster.names("statefulsets").len(), 4);
}

#[tokio::test]
async fn rejected_pods_are_removed_and_the_set_is_scaled_to_zero() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let bundle = cluster.get("tradingpolicies", "indices").unwrap()["status"]["stable"]["bundle"].as_str().unwrap().to_owned();
    let set = format!("indices-inference-{bundle}");
    let pod = format!("{set}-0");
    cluster.status(
        "pods",
        &pod,
        json!({"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "requested=1, available=0"}),
    );
    operator.sync(&cluster);
    let stored: k8s_openapi::api::core::v1::Pod = serde_json::from_value(cluster.get("pods", &pod).unwrap()).unwrap();
    assert!(operator.context.brake.look_at(&stored).is_some(), "the first rejected pod trips the brake");
    operator.round(&cluster).await.unwrap();
    assert_eq!(cluster.get("pods", &pod), None, "the dead pod is removed");
    assert_eq!(cluster.get("statefulsets", &set).unwrap()["spec"]["replicas"], json!(0));
    let policy = cluster.get("tradingpolicies", "indices").unwrap();
    let stalled =
        policy["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == json!("Stalled")).unwrap().clone();
    assert_eq!((stalled["status"].clone(), stalled["reason"].clone()), (json!("True"), json!("PinnedPodsRejected")));
    assert!(stalled["message"].as_str().unwrap().contains("requested=1, available=0"));
    // an operator that starts now takes the brake over from the status
    let mut fresh = Operator::start(&cluster, &root);
    fresh.round(&cluster).await.unwrap();
    assert_eq!(cluster.get("statefulsets", &set).unwrap()["spec"]["replicas"], json!(0));
}
