//! Several policies on one account, and several profiles that want one.

use serde_json::{Value, json};
use tradewind_crds::samples;

use super::cluster::{Cluster, NAMESPACE, Operator, key, pass_time};
use super::{authority, declared, run_until};
use crate::controllers::accounts;

const SYSTEM: &str = "tradewind-system";

/// A policy of the profile of the tests, on shared CPUs, over `symbols`.
fn policy(cluster: &Cluster, name: &str, symbols: &[&str]) {
    let mut policy = samples::policy(name, "main", "tactical-a");
    policy.spec.placement = tradewind_crds::placement::Placement::default();
    policy.spec.instruments = symbols.iter().map(|symbol| samples::instrument(symbol)).collect();
    cluster.put("tradingpolicies", name, serde_json::to_value(policy).unwrap());
}

fn condition(object: &Value, kind: &str) -> (String, String, String) {
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|condition| condition["type"] == json!(kind)).unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

fn stalled(cluster: &Cluster, policy: &str) -> Option<(String, String)> {
    let (status, reason, message) = condition(&cluster.get("tradingpolicies", policy).unwrap(), "Stalled");
    (status == "True").then_some((reason, message))
}

/// Symbols of the account by policy, as its risk process reads them.
fn account(cluster: &Cluster) -> Vec<(String, Vec<String>)> {
    let map = cluster.get("configmaps", "main-account").unwrap();
    let file: Value = serde_json::from_str(map["data"]["account.json"].as_str().unwrap()).unwrap();
    let symbols = |policy: &Value| {
        let all = policy["instruments"].as_array().unwrap();
        all.iter().map(|one| one["symbol"].as_str().unwrap().to_owned()).collect()
    };
    let policies = file["policies"].as_array().unwrap();
    policies.iter().map(|policy| (policy["policy"].as_str().unwrap().to_owned(), symbols(policy))).collect()
}

fn owned(all: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    all.iter().map(|(name, symbols)| ((*name).to_owned(), symbols.iter().map(|symbol| (*symbol).to_owned()).collect())).collect()
}

fn phase(cluster: &Cluster, policy: &str) -> String {
    cluster.get("tradingpolicies", policy).unwrap()["status"]["phase"].as_str().unwrap_or_default().to_owned()
}

/// Issue 11, item 5: limits of the account count them all, instruments are apart.
#[tokio::test]
async fn two_policies_with_instruments_of_their_own_share_an_account() {
    let (cluster, root) = (declared(), authority());
    policy(&cluster, "metals", &["XAU", "XAG"]);
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| {
        ["indices", "metals"].iter().all(|policy| phase(cluster, policy) == "Healthy")
    })
    .await;
    assert_eq!(account(&cluster), owned(&[("indices", &["SPX", "IXIC"]), ("metals", &["XAU", "XAG"])]));
    let status = cluster.get("riskprofiles", "main").unwrap()["status"].clone();
    assert_eq!(status["policiesTotal"], json!(2));
    assert_eq!(status["policies"][1], json!({"name": "metals", "instruments": ["XAU", "XAG"]}));
    // a policy that goes leaves the account, and nothing that the others run on changes
    let set = cluster.get("statefulsets", "main-risk").unwrap()["metadata"]["resourceVersion"].clone();
    cluster.server.state.lock().unwrap().remove(&key("tradingpolicies", "metals"));
    run_until(&cluster, &mut operator, &root, |cluster| account(cluster).len() == 1).await;
    assert_eq!(cluster.get("statefulsets", "main-risk").unwrap()["metadata"]["resourceVersion"], set);
}

#[tokio::test]
async fn the_younger_of_two_policies_on_one_instrument_starts_nothing_and_says_whose_it_is() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    policy(&cluster, "rival", &["XAU", "IXIC"]);
    run_until(&cluster, &mut operator, &root, |cluster| stalled(cluster, "rival").is_some()).await;
    let (reason, message) = stalled(&cluster, "rival").unwrap();
    assert_eq!(reason, "InstrumentConflict");
    assert!(message.starts_with("instrument IXIC of account paper-1 is held by TradingPolicy indices"), "{message}");
    assert!(cluster.names("statefulsets").iter().all(|name| !name.starts_with("rival")));
    assert_eq!(account(&cluster), owned(&[("indices", &["SPX", "IXIC"]), ("rival", &["XAU"])]));
    // no other tick can reach the account by a second policy: the holder's is the one in the file
    cluster.edit("tradingpolicies", "rival", |rival| rival["spec"]["instruments"][1]["tick"] = json!("5"));
    run_until(&cluster, &mut operator, &root, |_| true).await;
    let map = cluster.get("configmaps", "main-account").unwrap();
    assert!(!map["data"]["account.json"].as_str().unwrap().contains(r#""tick":"5""#), "{map:#}");
    // once the holder is gone the other one starts
    cluster.server.state.lock().unwrap().remove(&key("tradingpolicies", "indices"));
    policy(&cluster, "indices", &["DAX"]);
    run_until(&cluster, &mut operator, &root, |cluster| phase(cluster, "rival") == "Healthy").await;
    assert_eq!(stalled(&cluster, "rival"), None);
}

/// The older one is stopped from growing into what the younger one trades; the younger one goes on.
#[tokio::test]
async fn a_policy_that_grows_takes_no_instrument_from_one_that_trades_it() {
    let (cluster, root) = (declared(), authority());
    policy(&cluster, "metals", &["XAU"]);
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| {
        ["indices", "metals"].iter().all(|policy| phase(cluster, policy) == "Healthy")
    })
    .await;
    let gold = serde_json::to_value(samples::instrument("XAU")).unwrap();
    cluster.edit("tradingpolicies", "indices", |policy| policy["spec"]["instruments"].as_array_mut().unwrap().push(gold));
    run_until(&cluster, &mut operator, &root, |cluster| stalled(cluster, "indices").is_some()).await;
    let (reason, message) = stalled(&cluster, "indices").unwrap();
    assert_eq!(reason, "InstrumentConflict");
    assert!(message.starts_with("instrument XAU of account paper-1 is held by TradingPolicy metals"), "{message}");
    assert_eq!((stalled(&cluster, "metals"), phase(&cluster, "indices").as_str()), (None, "Healthy"));
    assert_eq!(account(&cluster), owned(&[("indices", &["SPX", "IXIC"]), ("metals", &["XAU"])]));
}

/// The processes that trade see a new symbol when the bundle that can decide it serves, the gate sees it at once.
#[tokio::test]
async fn a_symbol_that_is_added_is_rolled_out() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let bundle = |cluster: &Cluster| cluster.get("tradingpolicies", "indices").unwrap()["status"]["stable"]["bundle"].clone();
    let trading = |cluster: &Cluster| {
        cluster.get("configmaps", "indices-trading").unwrap()["data"]["trading.json"].as_str().unwrap().contains("DJI")
    };
    let (old, set) = (bundle(&cluster), cluster.get("statefulsets", "main-risk").unwrap()["metadata"]["resourceVersion"].clone());
    let added = serde_json::to_value(samples::instrument("DJI")).unwrap();
    cluster.edit("tradingpolicies", "indices", |policy| policy["spec"]["instruments"].as_array_mut().unwrap().push(added));
    cluster.settle();
    pass_time(1);
    operator.round(&cluster).await.unwrap();
    assert_eq!(account(&cluster), owned(&[("indices", &["SPX", "IXIC", "DJI"])]));
    assert!(!trading(&cluster), "what serves cannot decide the new symbol");
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy" && bundle(cluster) != old).await;
    assert!(trading(&cluster));
    assert_eq!(cluster.get("statefulsets", "main-risk").unwrap()["metadata"]["resourceVersion"], set, "the gate did not restart");
}

fn lease(cluster: &Cluster) -> Option<String> {
    let state = cluster.server.state.lock().unwrap();
    let lease = state.objects.get(&("leases".to_owned(), SYSTEM.to_owned(), "account-paper-1".to_owned()))?;
    Some(lease["spec"]["holderIdentity"].as_str().unwrap().to_owned())
}

fn elsewhere(cluster: &Cluster) -> Value {
    let state = cluster.server.state.lock().unwrap();
    state.objects[&("riskprofiles".to_owned(), "elsewhere".to_owned(), "main".to_owned())].clone()
}

/// A second profile of the account, of the same name, in another namespace.
fn rival_profile(cluster: &Cluster) {
    let profile = serde_json::to_value(samples::profile("main", "paper-1")).unwrap();
    cluster.put_in("elsewhere", "riskprofiles", "main", profile);
}

fn uid(profile: &Value) -> String {
    profile["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_account_belongs_to_one_profile_of_the_cluster_until_that_is_gone() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let first = cluster.get("riskprofiles", "main").unwrap();
    let held = format!("{NAMESPACE}/main/{}", uid(&first));
    assert_eq!(lease(&cluster), Some(held.clone()));
    rival_profile(&cluster);
    run_until(&cluster, &mut operator, &root, |cluster| condition(&elsewhere(cluster), "Stalled").0 == "True").await;
    let (_, reason, message) = condition(&elsewhere(&cluster), "Stalled");
    assert_eq!(reason, "AccountTaken");
    assert!(message.starts_with("account paper-1 is held by RiskProfile main of namespace trading; "), "{message}");
    assert_eq!(elsewhere(&cluster)["status"]["policies"], json!([]));
    assert_eq!(condition(&cluster.get("riskprofiles", "main").unwrap(), "Stalled").0, "False");
    // it stays so, without a write, whoever runs as operator
    let before = cluster.writes().len();
    let mut fresh = Operator::start(&cluster, &root);
    for _ in 0..3 {
        pass_time(600);
        fresh.round(&cluster).await.unwrap();
        accounts::release(&fresh.context).await.unwrap();
    }
    assert_eq!((cluster.writes()[before..].to_vec(), lease(&cluster)), (vec![], Some(held.clone())));
    // the profile goes, its process has not ended yet: the account is still his
    let set = cluster.get("statefulsets", "main-risk").unwrap();
    let pod = cluster.get("pods", "main-risk-0").unwrap();
    {
        let mut state = cluster.server.state.lock().unwrap();
        state.remove(&key("tradingpolicies", "indices"));
        state.remove(&key("riskprofiles", "main"));
        state.objects.insert(key("pods", "main-risk-0"), pod);
    }
    assert_eq!(set["metadata"]["ownerReferences"][0]["uid"], first["metadata"]["uid"]);
    operator.round(&cluster).await.unwrap();
    accounts::release(&operator.context).await.unwrap();
    assert_eq!(lease(&cluster), Some(held));
    // now it has
    cluster.server.state.lock().unwrap().remove(&key("pods", "main-risk-0"));
    operator.round(&cluster).await.unwrap();
    assert_eq!(lease(&cluster), Some(format!("elsewhere/main/{}", uid(&elsewhere(&cluster)))));
    assert_ne!(condition(&elsewhere(&cluster), "Stalled").1, "AccountTaken");
}

#[tokio::test]
async fn the_lease_of_an_account_goes_with_its_profile() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    accounts::release(&operator.context).await.unwrap();
    assert!(lease(&cluster).is_some());
    for gone in [key("tradingpolicies", "indices"), key("riskprofiles", "main"), key("pods", "main-risk-0")] {
        cluster.server.state.lock().unwrap().remove(&gone);
    }
    operator.sync(&cluster);
    accounts::release(&operator.context).await.unwrap();
    assert_eq!(lease(&cluster), None);
}

/// Deleted and declared again under the same name: another object, which takes over once the old one's process is gone.
#[tokio::test]
async fn a_profile_of_the_same_name_is_not_the_one_that_was_deleted() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    let old = lease(&cluster).unwrap();
    let pod = cluster.get("pods", "main-risk-0").unwrap();
    {
        let mut state = cluster.server.state.lock().unwrap();
        state.remove(&key("riskprofiles", "main"));
        state.objects.insert(key("pods", "main-risk-0"), pod);
    }
    cluster.put("riskprofiles", "main", serde_json::to_value(samples::profile("main", "paper-1")).unwrap());
    operator.round(&cluster).await.unwrap();
    assert_eq!(lease(&cluster), Some(old.clone()));
    assert_eq!(condition(&cluster.get("riskprofiles", "main").unwrap(), "Stalled").1, "AccountTaken");
    cluster.server.state.lock().unwrap().remove(&key("pods", "main-risk-0"));
    run_until(&cluster, &mut operator, &root, |cluster| lease(cluster).is_some_and(|now| now != old)).await;
    assert_eq!(condition(&cluster.get("riskprofiles", "main").unwrap(), "Stalled").0, "False");
}

/// Both are there before anybody has the account, as after an upgrade: the older one gets it, in whatever order they are seen.
#[tokio::test]
async fn of_two_profiles_that_nobody_has_decided_the_older_one_gets_the_account() {
    let (cluster, root) = (declared(), authority());
    rival_profile(&cluster);
    let mut operator = Operator::start(&cluster, &root);
    // `elsewhere` sorts before `trading`, so the younger one is looked at first
    operator.round(&cluster).await.unwrap();
    let first = cluster.get("riskprofiles", "main").unwrap();
    assert_eq!(lease(&cluster), Some(format!("{NAMESPACE}/main/{}", uid(&first))));
    assert_eq!(condition(&elsewhere(&cluster), "Stalled").1, "AccountTaken");
}

/// A person wrote into the lease: nobody trades the account before someone has looked.
#[tokio::test]
async fn a_lease_that_names_no_profile_is_nobodys() {
    let (cluster, root) = (declared(), authority());
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "me"}});
    cluster.put_in(SYSTEM, "leases", "account-paper-1", lease);
    let mut operator = Operator::start(&cluster, &root);
    for _ in 0..5 {
        cluster.settle();
        pass_time(1);
        operator.round(&cluster).await.unwrap();
    }
    let (status, reason, message) = condition(&cluster.get("riskprofiles", "main").unwrap(), "Stalled");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "AccountTaken"));
    assert!(message.contains("held by 'me'") && message.contains("delete Lease account-paper-1"), "{message}");
    assert!(cluster.names("statefulsets").is_empty());
    // nor does a policy of it start, although its bundle is verified
    let policy = cluster.get("tradingpolicies", "indices").unwrap();
    let (_, reason, message) = condition(&policy, "Ready");
    assert_eq!(reason, "WaitingForRiskProfile", "{message}");
    assert!(message.contains("does not have account paper-1: it is held by me"), "{message}");
}

/// As after an upgrade from a version that asked within a namespace only, or after somebody gave the account away by hand.
#[tokio::test]
async fn a_guard_whose_account_is_anothers_is_stopped_once() {
    let (cluster, root) = (declared(), authority());
    let mut operator = Operator::start(&cluster, &root);
    run_until(&cluster, &mut operator, &root, |cluster| cluster.phase() == "Healthy").await;
    rival_profile(&cluster);
    let holder = format!("elsewhere/main/{}", uid(&elsewhere(&cluster)));
    let lease = ("leases".to_owned(), SYSTEM.to_owned(), "account-paper-1".to_owned());
    {
        let mut state = cluster.server.state.lock().unwrap();
        let mut given = state.objects[&lease].clone();
        given["spec"]["holderIdentity"] = json!(holder);
        state.put(lease, given);
    }
    run_until(&cluster, &mut operator, &root, |cluster| {
        cluster.get("statefulsets", "main-risk").unwrap()["spec"]["replicas"] == json!(0)
    })
    .await;
    let stops = cluster.writes().iter().filter(|write| *write == "merge statefulsets/main-risk").count();
    assert_eq!((stops, cluster.get("pods", "main-risk-0")), (1, None));
    assert_eq!(condition(&cluster.get("riskprofiles", "main").unwrap(), "Stalled").1, "AccountTaken");
}
