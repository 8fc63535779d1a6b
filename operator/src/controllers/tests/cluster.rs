//! A cluster around the server in memory: sets get pods, jobs end, processes answer, time passes. And the operator in it,
//! which can be taken down and started again.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tradewind_crds::{ModelCheckpoint, RiskProfile, TradingPolicy};
use tradewind_wire::v1::{CpuPinning, PairedPnl, PolicyStatus, ProcessInfo, RevisionFigures, RiskStatus};

use super::server::{Key, Server};
use crate::build::settings::Settings;
use crate::controllers::context::Context;
use crate::controllers::outcome::ReconcileError;
use crate::controllers::{model_checkpoint, risk_profile, trading_policy};
use crate::runtime::authority::CurrentAuthority;
use crate::runtime::brake::Brake;
use crate::runtime::cache::Cacheable;
use crate::runtime::caches::{Caches, Writers};
use crate::runtime::halts::{HaltOrder, Halts};
use crate::runtime::leadership::Leadership;
use crate::runtime::metrics::Metrics;
use crate::runtime::polls::{Answer, Asked, Polls, Question};
use crate::runtime::status_writer::StatusWriter;
use crate::runtime::writes::Writes;

pub(super) const NAMESPACE: &str = "trading";

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(1_800_000_000) };
}

pub(super) fn clock() -> Timestamp {
    Timestamp::from_second(NOW.get()).unwrap()
}

pub(super) fn pass_time(seconds: i64) {
    NOW.set(NOW.get() + seconds);
}

/// What the decider reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    Good,
    TradesTooOften,
    NoFeed,
    Silent,
}

pub(super) struct Cluster {
    pub(super) server: Server,
    pub(super) evidence: Evidence,
    /// The gate of the account does not answer.
    pub(super) silent_gate: bool,
    /// Sets whose pods do not become ready.
    pub(super) stuck: Vec<String>,
}

pub(super) fn key(plural: &str, name: &str) -> Key {
    (plural.to_owned(), NAMESPACE.to_owned(), name.to_owned())
}

impl Cluster {
    pub(super) fn new() -> Self {
        let cluster = Self { server: Server::default(), evidence: Evidence::Good, silent_gate: false, stuck: Vec::new() };
        for node in ["pool-0", "pool-1", "pool-2", "pool-3"] {
            cluster.put(
                "nodes",
                node,
                json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": node, "labels": {"tradewind.dev/dedicated": "true"}}, "spec": {},
                "status": {"allocatable": {"cpu": "1"}, "conditions": [{"type": "Ready", "status": "True"}]}}),
            );
        }
        cluster
    }

    pub(super) fn fork(&self) -> Self {
        Self { server: self.server.fork(), evidence: self.evidence, silent_gate: self.silent_gate, stuck: self.stuck.clone() }
    }

    pub(super) fn put(&self, plural: &str, name: &str, object: Value) {
        self.put_in(if plural == "nodes" { "" } else { NAMESPACE }, plural, name, object);
    }

    pub(super) fn put_in(&self, namespace: &str, plural: &str, name: &str, mut object: Value) {
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(namespace);
        self.server.state.lock().unwrap().put((plural.to_owned(), namespace.to_owned(), name.to_owned()), object);
    }

    pub(super) fn edit(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.server.state.lock().unwrap();
        let mut object = state.objects[&key(plural, name)].clone();
        change(&mut object);
        state.put(key(plural, name), object);
    }

    pub(super) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.server.state.lock().unwrap().objects.get(&key(plural, name)).cloned()
    }

    pub(super) fn names(&self, plural: &str) -> Vec<String> {
        let state = self.server.state.lock().unwrap();
        state.objects.keys().filter(|(kind, _, _)| kind == plural).map(|(_, _, name)| name.clone()).collect()
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.server.state.lock().unwrap().writes.clone()
    }

    pub(super) fn phase(&self) -> String {
        let policy = self.get("tradingpolicies", "indices").unwrap();
        policy["status"]["rollout"]["phase"].as_str().unwrap_or("none").to_owned()
    }

    /// Kubernetes does its part: pods of sets and jobs.
    pub(super) fn settle(&self) {
        for name in self.names("statefulsets") {
            self.settle_set(&name);
        }
        for name in self.names("jobs") {
            self.settle_job(&name);
        }
        let mut state = self.server.state.lock().unwrap();
        let lost: Vec<Key> = state
            .objects
            .iter()
            .filter(|((kind, _, _), pod)| {
                let owner = &pod["metadata"]["ownerReferences"][0];
                let set = key("statefulsets", owner["name"].as_str().unwrap_or_default());
                kind == "pods"
                    && owner["kind"] == json!("StatefulSet")
                    && state.objects.get(&set).is_none_or(|set| set["spec"]["replicas"] == json!(0))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for pod in lost {
            state.remove(&pod);
        }
    }

    fn settle_set(&self, name: &str) {
        let set = self.get("statefulsets", name).unwrap();
        let replicas = set["spec"]["replicas"].as_i64().unwrap();
        let ready = if self.stuck.iter().any(|stuck| stuck == name) { 0 } else { replicas };
        let status = json!({"observedGeneration": set["metadata"]["generation"], "replicas": replicas, "readyReplicas": ready,
            "updatedReplicas": replicas, "currentRevision": "r", "updateRevision": "r"});
        if set["status"] != status {
            self.status("statefulsets", name, status);
        }
        let pod = format!("{name}-0");
        if replicas == 1 && self.get("pods", &pod).is_none() {
            let template = &set["spec"]["template"];
            let mut spec = template["spec"].clone();
            let pinned = !spec["nodeSelector"].is_null();
            spec["nodeName"] = if pinned { self.free_node().map_or(Value::Null, Value::from) } else { json!("general") };
            if spec["nodeName"].is_null() {
                return;
            }
            let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": set["metadata"]["uid"], "controller": true}]);
            self.put(
                "pods",
                &pod,
                json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"labels": template["metadata"]["labels"], "ownerReferences": owner}, "spec": spec}),
            );
            self.status(
                "pods",
                &pod,
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": if ready == 1 {"True"} else {"False"}}]}),
            );
        }
    }

    fn free_node(&self) -> Option<String> {
        let state = self.server.state.lock().unwrap();
        let taken =
            |node: &str| state.objects.iter().any(|((kind, _, _), pod)| kind == "pods" && pod["spec"]["nodeName"] == json!(node));
        state.objects.keys().filter(|(kind, _, _)| kind == "nodes").map(|(_, _, name)| name.clone()).find(|name| !taken(name))
    }

    fn settle_job(&self, name: &str) {
        let job = self.get("jobs", name).unwrap();
        let pod = format!("{name}-x");
        if self.get("pods", &pod).is_some() {
            return;
        }
        let uri = job["spec"]["template"]["spec"]["containers"][0]["command"][3].as_str().unwrap().to_owned();
        let (code, message) = verdict(&uri);
        let owner =
            json!([{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": true}]);
        self.put("pods", &pod, json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"labels": job["spec"]["template"]["metadata"]["labels"], "ownerReferences": owner}, "spec": {"containers": []}}));
        self.status(
            "pods",
            &pod,
            json!({"phase": "Succeeded", "containerStatuses": [{"name": "verify", "image": "i", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": code, "message": message}}}]}),
        );
        let kind = if code == 0 { "Complete" } else { "Failed" };
        self.status(
            "jobs",
            name,
            json!({"conditions": [{"type": kind, "status": "True", "lastTransitionTime": clock().to_string()}]}),
        );
    }

    pub(super) fn status(&self, plural: &str, name: &str, status: Value) {
        let mut state = self.server.state.lock().unwrap();
        let mut object = state.objects[&key(plural, name)].clone();
        object["status"] = status;
        state.objects.get_mut(&key(plural, name)).unwrap()["status"] = object["status"].clone();
        state.put(key(plural, name), object);
    }

    /// The answer of the process that `name` owns.
    fn answer(&self, name: &str, question: &Question) -> Result<Answer, String> {
        match question.asked {
            Asked::Describe => Ok(Answer::Describe(ProcessInfo {
                ready: true,
                pinning: Some(CpuPinning {
                    allowed_cpus: 1,
                    allowed_list: "1".into(),
                    hot_thread_pinned: true,
                    ..CpuPinning::default()
                }),
                ..ProcessInfo::default()
            })),
            Asked::Risk if self.silent_gate => Err("connection refused".to_owned()),
            Asked::Risk => {
                let profile = self.get("riskprofiles", "main").ok_or("no profile")?;
                Ok(Answer::Risk(Box::new(RiskStatus {
                    account: "paper-1".into(),
                    state: "Normal".into(),
                    observed_generation: profile["metadata"]["generation"].as_i64().unwrap(),
                    effective_limits_json: profile["spec"]["limits"].to_string(),
                    ..RiskStatus::default()
                })))
            }
            Asked::Policy => self.policy_answer(name).ok_or_else(|| "silent".to_owned()),
        }
    }

    fn policy_answer(&self, name: &str) -> Option<Answer> {
        let policy = self.get("tradingpolicies", name)?;
        let rollout = &policy["status"]["rollout"];
        let text = |field: &str| rollout[field].as_str().unwrap_or_default().to_owned();
        let number = |field: &str| u32::try_from(rollout[field].as_i64().unwrap_or(0)).unwrap();
        if self.evidence == Evidence::Silent {
            return None;
        }
        if self.evidence == Evidence::NoFeed {
            return Some(Answer::Policy(Box::new(PolicyStatus {
                stable_bundle: text("stableBundle"),
                waiting_for: "feed default does not exist yet".into(),
                ..PolicyStatus::default()
            })));
        }
        let turnover = if self.evidence == Evidence::TradesTooOften { 900_000.0 } else { 21_000.0 };
        let figures = |bundle: String, turnover_bps| RevisionFigures {
            bundle,
            bars: 5_000,
            turnover_bps,
            trades: 40,
            ..RevisionFigures::default()
        };
        Some(Answer::Policy(Box::new(PolicyStatus {
            stable_bundle: text("stableBundle"),
            candidate_bundle: text("candidateBundle"),
            step: number("step"),
            weight_bps: number("weightBps"),
            bars_in_step: 5_000,
            bars_decided: 5_000,
            stable: Some(figures(text("stableBundle"), 20_000.0)),
            candidate: Some(figures(text("candidateBundle"), turnover)),
            paired: Some(PairedPnl { n: 5_000, mean_bps: 0.1, lower_bps: -0.5, upper_bps: 0.7, winsorised: 0 }),
            ..PolicyStatus::default()
        })))
    }
}

fn verdict(uri: &str) -> (i64, String) {
    if uri.contains("bad") {
        return (0, r#"{"verdict":"Rejected","reason":"NotFinite","message":"agents.fvg.fc1.weight: NaN"}"#.to_owned());
    }
    if uri.contains("gone") {
        return (1, r#"{"verdict":"Rejected","reason":"SourceUnreachable","message":"connection refused"}"#.to_owned());
    }
    (0, r#"{"verdict":"Verified","message":"fine","figures":{"sizeBytes":1}}"#.to_owned())
}

/// One life of the operator.
pub(super) struct Operator {
    pub(super) context: Arc<Context>,
    writers: Writers,
    writer: JoinHandle<()>,
    /// Direct calls to risk processes, in order.
    pub(super) halted: Arc<Mutex<Vec<HaltOrder>>>,
    _held: watch::Sender<Option<Instant>>,
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Operator {
    /// Starts with empty caches and no memory. The root is the one of the whole installation.
    pub(super) fn start(cluster: &Cluster, authority: &CurrentAuthority) -> Self {
        Self::start_with(authority, cluster.server.client())
    }

    /// As [`Operator::start`], with another server to write to.
    pub(super) fn start_with(authority: &CurrentAuthority, client: kube::Client) -> Self {
        let (held, leadership) = Leadership::channel();
        held.send_replace(Some(Instant::now() + Duration::from_secs(3600)));
        let metrics = Metrics::global();
        let writes = Writes::new(client, leadership, metrics.clone());
        let (caches, writers) = Caches::new();
        let (status, task) = StatusWriter::new(writes.clone(), metrics.clone(), "pod-a");
        let unused = Arc::new(|_| -> futures::future::BoxFuture<'static, _> { Box::pin(async { Err("unused".to_owned()) }) });
        let settings = Settings {
            image: "tradewind.dev/tradewind:1".into(),
            nats_url: "tls://tradewind-nats.tradewind-system.svc:4222".into(),
            storage_class: None,
            operator_namespace: "tradewind-system".into(),
            namespace_scope: None,
        };
        let halted = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::clone(&halted);
        let context = Context {
            caches,
            writes,
            status,
            polls: Polls::new(unused, metrics.clone()),
            halts: Halts::new(Arc::new(move |order| {
                calls.lock().unwrap().push(order);
                Box::pin(async { Ok("halt-2-0a1b2c3d4e5f".to_owned()) })
            })),
            brake: Brake::default(),
            authority: authority.clone(),
            settings,
            metrics,
            clock,
        };
        Self { context: Arc::new(context), writers, writer: tokio::spawn(task), halted, _held: held }
    }

    /// The watches bring everything.
    pub(super) fn sync(&mut self, cluster: &Cluster) {
        let state = cluster.server.state.lock().unwrap();
        macro_rules! relist {
            ($($field:ident => $plural:literal),+ $(,)?) => { $(relist(&mut self.writers.$field, &state.objects, $plural);)+ };
        }
        relist!(
            policies => "tradingpolicies", profiles => "riskprofiles", checkpoints => "modelcheckpoints", stateful_sets => "statefulsets",
            jobs => "jobs", pods => "pods", services => "services", config_maps => "configmaps", service_accounts => "serviceaccounts",
            secrets => "secrets", roles => "roles", role_bindings => "rolebindings", network_policies => "networkpolicies",
            disruption_budgets => "poddisruptionbudgets",
            leases => "leases",
        );
    }

    /// Every question gets its answer.
    pub(super) fn listen(&self, cluster: &Cluster) {
        for (owner, question) in self.context.polls.questions() {
            self.context.polls.note(&owner, &question, cluster.answer(&owner.2, &question));
        }
    }

    /// One reconcile over everything there is. They live on the heap, as in the product: a test's stack is small.
    pub(super) async fn round(&mut self, cluster: &Cluster) -> Result<(), ReconcileError> {
        self.sync(cluster);
        self.listen(cluster);
        for checkpoint in self.context.caches.checkpoints.list(|_| true) {
            let checkpoint: ModelCheckpoint = checkpoint.0.clone().unwrap();
            Box::pin(model_checkpoint::reconcile(Arc::new(checkpoint), Arc::clone(&self.context))).await?;
        }
        for profile in self.context.caches.profiles.list(|_| true) {
            let profile: RiskProfile = profile.0.clone().unwrap();
            Box::pin(risk_profile::reconcile(Arc::new(profile), Arc::clone(&self.context))).await?;
        }
        self.sync(cluster);
        for policy in self.context.caches.policies.list(|_| true) {
            let policy: TradingPolicy = policy.0.clone().unwrap();
            Box::pin(trading_policy::reconcile(Arc::new(policy), Arc::clone(&self.context))).await?;
        }
        Ok(())
    }
}

fn relist<K: Cacheable + DeserializeOwned>(
    writer: &mut Writer<K>,
    objects: &std::collections::BTreeMap<Key, Value>,
    plural: &str,
) {
    writer.apply_watcher_event(&Event::Init);
    for (_, object) in objects.iter().filter(|((kind, _, _), _)| kind == plural) {
        writer.apply_watcher_event(&Event::InitApply(serde_json::from_value(object.clone()).unwrap()));
    }
    writer.apply_watcher_event(&Event::InitDone);
}
