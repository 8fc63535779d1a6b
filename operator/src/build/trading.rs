//! The two processes of a policy that keep journals: the decider and order execution.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use sha2::{Digest, Sha256};
use tradewind_crds::names;
use tradewind_crds::placement::{RolePlacement, Storage};
use tradewind_wire::identity;

use super::access::{reader, service_account};
use super::certificates::{Certificate, certificate, secret_name};
use super::inference::{config_volume, share};
use super::network::{Peer, Traffic, network_policy};
use super::owner::Owner;
use super::pod::{self, CONFIG_DIR, DATA_DIR, Process, Share, Shell};
use super::settings::Settings;
use super::workload::{Claim, Workload, service, stateful_set};

/// Component and role label of the decider.
pub const POLICY: &str = "policy";
/// Component and role label of order execution.
pub const EXECUTION: &str = "execution";
/// File in the ConfigMap of both.
pub const TRADING_FILE: &str = "trading.json";
const MEMORY_MIB: u32 = 256;

/// What the two processes are made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Trading<'a> {
    /// Text of `trading.json`.
    pub config: &'a str,
    /// CPUs of execution; the decider always shares.
    pub execution: &'a RolePlacement,
    /// Volumes.
    pub storage: &'a Storage,
    /// 0 while the brake holds execution, else 1.
    pub execution_replicas: i32,
}

/// A process with a journal and its surroundings.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessChildren {
    /// Its account.
    pub service_account: ServiceAccount,
    /// Its certificate.
    pub certificate: Certificate,
    /// Its address.
    pub service: Service,
    /// Its pod and volume.
    pub stateful_set: StatefulSet,
    /// Its traffic.
    pub network_policy: NetworkPolicy,
}

/// Children that a policy has whatever its bundles are.
#[derive(Clone, Debug, PartialEq)]
pub struct TradingChildren {
    /// `trading.json`.
    pub config_map: ConfigMap,
    /// The decider reads its own TradingPolicy.
    pub role: Role,
    /// Grants it.
    pub role_binding: RoleBinding,
    /// The decider.
    pub policy: ProcessChildren,
    /// Order execution.
    pub execution: ProcessChildren,
}

/// All children that do not depend on bundles.
#[must_use]
pub fn trading(owner: &Owner, settings: &Settings, inputs: &Trading<'_>) -> TradingChildren {
    let config_name = names::trading_config(&owner.name);
    let policy_name = names::policy_engine(&owner.name);
    let (role, role_binding) = reader(owner, POLICY, &policy_name, "tradingpolicies");
    let digest = hex::encode(&Sha256::digest(inputs.config.as_bytes())[..8]);
    let config = format!("{CONFIG_DIR}/{TRADING_FILE}");
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let policy = Journaled {
        component: POLICY,
        process: identity::Process::Policy,
        name: policy_name,
        command: words(&[
            "tradewind-policy",
            "serve",
            "--config-file",
            &config,
            "--namespace",
            &owner.namespace,
            "--policy",
            &owner.name,
            "--data",
            DATA_DIR,
            "--nats",
            &settings.nats_url,
        ]),
        share: Share { pinned: None, cpus: 1, memory_mib: MEMORY_MIB },
        config_map: Some(&config_name),
        api_access: true,
        replicas: 1,
        digest: digest.clone(),
        traffic: Traffic {
            from: vec![Peer::Operator],
            to: vec![
                Peer::Dns,
                Peer::Bus { port: settings.nats_port() },
                Peer::Role("inference"),
                Peer::Role(EXECUTION),
                Peer::RoleOfNamespace("risk"),
                Peer::ApiServer,
            ],
        },
    };
    let execution = Journaled {
        component: EXECUTION,
        process: identity::Process::Execution,
        name: names::execution(&owner.name),
        command: words(&["tradewind-execution", "serve", "--config-file", &config, "--data", DATA_DIR]),
        share: share(inputs.execution, MEMORY_MIB),
        config_map: Some(&config_name),
        api_access: false,
        replicas: inputs.execution_replicas,
        digest,
        traffic: Traffic { from: vec![Peer::Role(POLICY), Peer::Operator], to: vec![Peer::Dns, Peer::RoleOfNamespace("risk")] },
    };
    TradingChildren {
        config_map: ConfigMap {
            metadata: owner.metadata(config_name.clone(), owner.labels("trading", &[])),
            data: Some(BTreeMap::from([(TRADING_FILE.to_owned(), inputs.config.to_owned())])),
            ..ConfigMap::default()
        },
        role,
        role_binding,
        policy: journaled(owner, settings, inputs.storage, policy),
        execution: journaled(owner, settings, inputs.storage, execution),
    }
}

/// A process with a journal.
#[derive(Clone, Debug)]
pub(super) struct Journaled<'a> {
    pub(super) component: &'static str,
    pub(super) process: identity::Process,
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) share: Share,
    pub(super) config_map: Option<&'a str>,
    pub(super) api_access: bool,
    pub(super) replicas: i32,
    pub(super) digest: String,
    pub(super) traffic: Traffic,
}

pub(super) fn journaled(owner: &Owner, settings: &Settings, storage: &Storage, journaled: Journaled<'_>) -> ProcessChildren {
    let Journaled { component, process, name, command, share, config_map, api_access, replicas, digest, traffic } = journaled;
    let labels = owner.labels(component, &[]);
    let selector = names::selector(component, &owner.name);
    let mut mounts = vec![pod::writable("data", DATA_DIR)];
    mounts.extend(config_map.map(|_| pod::read_only("config", CONFIG_DIR)));
    let shell = Shell {
        labels: labels.clone(),
        annotations: BTreeMap::from([(pod::CONFIG_DIGEST.to_owned(), digest)]),
        service_account: name.clone(),
        api_access,
        tls_secret: secret_name(&name),
        volumes: config_map.map(config_volume).into_iter().collect(),
        init: None,
        grace_seconds: 10,
    };
    let container = Process { name: component.to_owned(), image: settings.image.clone(), command, share, mounts };
    let workload = Workload {
        name: name.clone(),
        labels: labels.clone(),
        selector: selector.clone(),
        replicas,
        template: pod::template(shell, container),
        claim: Some(Claim { name: "data", class: settings.class(&storage.class_name), size: storage.size.clone() }),
    };
    ProcessChildren {
        service_account: service_account(owner, component, &name),
        certificate: certificate(owner, process, &name, labels.clone()),
        service: service(owner, &name, labels.clone(), selector.clone(), true),
        stateful_set: stateful_set(owner, workload),
        network_policy: network_policy(owner, &name, labels, selector, &traffic, &settings.operator_namespace),
    }
}
