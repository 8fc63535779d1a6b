//! The generated objects, compared with files. After an intended change: `UPDATE_GOLDEN=1 cargo test -p tradewind-operator --test golden`,
//! then read the difference before it is committed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use kube::Resource;
use serde::Serialize;
use tradewind_crds::names::{LABEL_CHECKPOINT, LABEL_POLICY, LABEL_PROFILE};
use tradewind_crds::placement::{CpuMode, RolePlacement, Storage};
use tradewind_crds::policy_status::BundleCheckpoint;
use tradewind_crds::{Calendar, RiskProfile, TradingPolicy, samples};
use tradewind_operator::build::certificates::Certificate;
use tradewind_operator::build::config::{BundleContent, Share, account_json, bundle_json, trading_json};
use tradewind_operator::build::disruption::budget;
use tradewind_operator::build::inference::{Bundle, InferenceChildren, SharedChildren, inference, shared};
use tradewind_operator::build::owner::Owner;
use tradewind_operator::build::risk::{Gate, RiskChildren, risk};
use tradewind_operator::build::settings::Settings;
use tradewind_operator::build::trading::{ProcessChildren, Trading, TradingChildren, trading};
use tradewind_operator::build::verification::job;

fn settings() -> Settings {
    Settings {
        image: "tradewind.dev/tradewind:0.1.0".into(),
        nats_url: "tls://tradewind-nats.tradewind-system.svc:4222".into(),
        storage_class: Some("fast".into()),
        operator_namespace: "tradewind-system".into(),
        namespace_scope: None,
    }
}

fn stored<K: Resource<DynamicType = ()>>(mut object: K) -> K {
    object.meta_mut().namespace = Some("trading".into());
    object.meta_mut().uid = Some("0a0b0c0d".into());
    object
}

fn policy() -> TradingPolicy {
    stored(samples::policy("indices", "main", "tactical-a"))
}

fn profile() -> RiskProfile {
    stored(samples::profile("main", "paper-1"))
}

/// Several documents of one file.
#[derive(Default)]
struct Documents(String);

impl Documents {
    fn add(&mut self, object: &impl Serialize) {
        self.0.push_str("---\n");
        self.0.push_str(&serde_yaml_ng::to_string(object).unwrap());
    }

    fn add_certificate(&mut self, certificate: &Certificate) {
        self.add(&certificate.secret);
        self.0.push_str(&format!(
            "# certificate of {}: {}\n",
            certificate.request.identity().unwrap(),
            certificate.request.dns_names.join(", ")
        ));
    }

    fn add_process(&mut self, process: &ProcessChildren) {
        let ProcessChildren { service_account, certificate, service, stateful_set, network_policy } = process;
        self.add(service_account);
        self.add_certificate(certificate);
        self.add(service);
        self.add(stateful_set);
        self.add(network_policy);
    }

    fn compare(self, file: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &self.0).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (wanted, found)) in wanted.lines().zip(self.0.lines()).enumerate() {
            assert_eq!(found, wanted, "{file}, line {}", number + 1);
        }
        assert_eq!(self.0.lines().count(), wanted.lines().count(), "{file}: number of lines");
    }
}

fn bundle(placement: RolePlacement) -> Bundle {
    let policy = policy();
    let file = |name: &str, digit: &str| BundleCheckpoint {
        checkpoint: name.into(),
        uri: format!("http://checkpoints.trading.svc/{name}.safetensors"),
        sha256: digit.repeat(64),
    };
    let (strategic, tactical) = (file("strategic-a", "d"), file("tactical-a", "a"));
    let content = BundleContent {
        bundle: "0123456789ab",
        policy: "indices",
        feed: &policy.spec.feed,
        image: "tradewind.dev/tradewind:0.1.0",
        instruments: &policy.spec.instruments,
        strategic: &policy.spec.strategic,
        tactical: &policy.spec.tactical,
        strategic_checkpoint: &strategic,
        tactical_checkpoint: &tactical,
    };
    Bundle {
        id: "0123456789ab".into(),
        image: "tradewind.dev/tradewind:0.1.0".into(),
        placement,
        config: bundle_json(&content).unwrap(),
        uris: vec![strategic.uri.clone(), tactical.uri.clone()],
        replicas: 1,
    }
}

#[test]
fn inference_of_a_bundle() {
    let owner = Owner::of(&policy(), LABEL_POLICY).unwrap();
    for (file, mode) in [("inference-pinned.yaml", CpuMode::Pinned), ("inference-shared.yaml", CpuMode::Shared)] {
        let bundle = bundle(RolePlacement { mode, cpus: 2 });
        let SharedChildren { service_account, network_policy } = shared(&owner, &settings(), &bundle.uris);
        let InferenceChildren { config_map, certificate, service, stateful_set } = inference(&owner, &settings(), &bundle);
        let mut documents = Documents::default();
        documents.add(&service_account);
        documents.add(&network_policy);
        documents.add(&config_map);
        documents.add_certificate(&certificate);
        documents.add(&service);
        documents.add(&stateful_set);
        documents.compare(file);
    }
}

#[test]
fn processes_that_trade() {
    let (policy, profile) = (policy(), profile());
    let owner = Owner::of(&policy, LABEL_POLICY).unwrap();
    let config = trading_json(&owner, &policy.spec, &profile.spec).unwrap();
    let inputs = Trading {
        config: &config,
        execution: &policy.spec.placement.execution,
        storage: &policy.spec.storage,
        execution_replicas: 1,
    };
    let TradingChildren { config_map, role, role_binding, policy, execution } = trading(&owner, &settings(), &inputs);
    let mut documents = Documents::default();
    documents.add(&config_map);
    documents.add(&role);
    documents.add(&role_binding);
    documents.add_process(&policy);
    documents.add_process(&execution);
    documents.add(&budget(&owner, owner.name.clone()));
    documents.compare("trading.yaml");
}

#[test]
fn risk_service() {
    let owner = Owner::of(&profile(), LABEL_PROFILE).unwrap();
    let placement = RolePlacement { mode: CpuMode::Pinned, cpus: 1 };
    let storage = Storage { class_name: "slow".into(), size: "2Gi".into() };
    let mut metals = samples::policy("metals", "main", "tactical-a").spec;
    metals.instruments = vec![samples::instrument("XAU")];
    metals.instruments[0].calendar = Calendar::Fx;
    metals.venue.spread_bps = 4;
    let indices = policy().spec;
    let shares = [
        Share { policy: "indices", spec: &indices, instruments: indices.instruments.iter().collect() },
        Share { policy: "metals", spec: &metals, instruments: metals.instruments.iter().collect() },
    ];
    let gate = Gate { account: &account_json(&profile().spec, &shares), placement: &placement, storage: &storage, replicas: 1 };
    let RiskChildren { config_map, role, role_binding, process, disruption_budget } = risk(&owner, &settings(), &gate);
    let mut documents = Documents::default();
    documents.add(&config_map);
    documents.add(&role);
    documents.add(&role_binding);
    documents.add_process(&process);
    documents.add(&disruption_budget);
    documents.compare("risk.yaml");
}

#[test]
fn verification() {
    let checkpoint = stored(samples::checkpoint("tactical-a", 'a'));
    let owner = Owner::of(&checkpoint, LABEL_CHECKPOINT).unwrap();
    let mut documents = Documents::default();
    documents.add(&job(&owner, &settings(), &checkpoint.spec));
    documents.compare("verification.yaml");
}

/// What a restart depends on is the pod template: policies and instruments of the account are not in it.
#[test]
fn policies_and_instruments_that_come_and_go_do_not_restart_the_risk_service() {
    let owner = Owner::of(&profile(), LABEL_PROFILE).unwrap();
    let (placement, storage, indices) = (RolePlacement::default(), Storage::default(), policy().spec);
    let with = |instruments: usize| {
        let share =
            Share { policy: "indices", spec: &indices, instruments: indices.instruments.iter().take(instruments).collect() };
        let account = account_json(&profile().spec, &[share]);
        let gate = Gate { account: &account, placement: &placement, storage: &storage, replicas: 1 };
        risk(&owner, &settings(), &gate)
    };
    let (one, two) = (with(1), with(2));
    assert_ne!(one.config_map, two.config_map);
    assert_eq!(one.process, two.process);
    assert_eq!((one.role, one.role_binding), (two.role, two.role_binding));
}
