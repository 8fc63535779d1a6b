//! Inference of one bundle: fetches its checkpoints, checks their digests, serves.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, ConfigMapVolumeSource, EmptyDirVolumeSource, Service, ServiceAccount, Volume};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;
use tradewind_crds::names;
use tradewind_crds::placement::{CpuMode, RolePlacement};
use tradewind_wire::identity;

use super::access::service_account;
use super::certificates::{Certificate, certificate, secret_name};
use super::network::{Peer, Traffic, network_policy};
use super::owner::Owner;
use super::pod::{self, CONFIG_DIR, Process, Share, Shell};
use super::settings::{Settings, port_of};
use super::workload::{Workload, service, stateful_set};

/// Component and role label.
pub const COMPONENT: &str = "inference";
const MEMORY_MIB: u32 = 256;
const CHECKPOINT_DIR: &str = "/var/lib/tradewind/checkpoints";
/// File in the bundle's ConfigMap.
pub const BUNDLE_FILE: &str = "bundle.json";

/// One bundle to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// Bundle id, 12 hex characters.
    pub id: String,
    /// Image that is part of the bundle.
    pub image: String,
    /// CPUs.
    pub placement: RolePlacement,
    /// Text of `bundle.json`.
    pub config: String,
    /// Where its checkpoints come from.
    pub uris: Vec<String>,
    /// 0 while the brake holds, else 1.
    pub replicas: i32,
}

/// What the inference of all bundles of a policy shares.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedChildren {
    /// Account of the pods, without rights.
    pub service_account: ServiceAccount,
    /// Their traffic.
    pub network_policy: NetworkPolicy,
}

/// Children of one bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct InferenceChildren {
    /// `bundle.json`, immutable.
    pub config_map: ConfigMap,
    /// Its certificate.
    pub certificate: Certificate,
    /// Its address.
    pub service: Service,
    /// Its pods.
    pub stateful_set: StatefulSet,
}

/// Name of what the inference of all bundles of a policy shares.
#[must_use]
pub fn shared_name(policy: &str) -> String {
    format!("{policy}-{COMPONENT}")
}

/// Account and traffic of the inference of a policy; `uris` are the checkpoints of all its bundles.
#[must_use]
pub fn shared(owner: &Owner, settings: &Settings, uris: &[String]) -> SharedChildren {
    let name = shared_name(&owner.name);
    let (labels, selector) = (owner.labels(COMPONENT, &[]), names::selector(COMPONENT, &owner.name));
    SharedChildren {
        service_account: service_account(owner, COMPONENT, &name),
        network_policy: network_policy(owner, &name, labels, selector, &traffic(settings, uris), &settings.operator_namespace),
    }
}

/// CPUs and memory of a role.
#[must_use]
pub fn share(placement: &RolePlacement, memory_mib: u32) -> Share {
    let pinned = match placement.mode {
        CpuMode::Pinned => u32::try_from(placement.cpus).ok(),
        CpuMode::Shared => None,
    };
    Share { pinned, cpus: u32::try_from(placement.cpus).unwrap_or(1), memory_mib }
}

/// All children of one bundle.
#[must_use]
pub fn inference(owner: &Owner, settings: &Settings, bundle: &Bundle) -> InferenceChildren {
    let name = names::inference(&owner.name, &bundle.id);
    let config_name = names::bundle_config(&owner.name, &bundle.id);
    let extra = [(names::LABEL_BUNDLE, bundle.id.as_str())];
    let labels = owner.labels(COMPONENT, &extra);
    let mut selector = names::selector(COMPONENT, &owner.name);
    selector.insert(names::LABEL_BUNDLE.to_owned(), bundle.id.clone());
    let share = share(&bundle.placement, MEMORY_MIB);
    let config = format!("{CONFIG_DIR}/{BUNDLE_FILE}");
    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let files = ["--bundle-file", config.as_str(), "--checkpoints", CHECKPOINT_DIR];
    let fetch = Process {
        name: "fetch".to_owned(),
        image: bundle.image.clone(),
        command: command(&[&["tradewind-inference", "fetch"][..], &files].concat()),
        share,
        mounts: vec![pod::read_only("config", CONFIG_DIR), pod::writable("checkpoints", CHECKPOINT_DIR)],
    };
    let serve = Process {
        name: COMPONENT.to_owned(),
        image: bundle.image.clone(),
        command: command(&[&["tradewind-inference", "serve"][..], &files, &["--nats", &settings.nats_url]].concat()),
        share,
        mounts: vec![pod::read_only("config", CONFIG_DIR), pod::read_only("checkpoints", CHECKPOINT_DIR)],
    };
    let shell = Shell {
        labels: labels.clone(),
        annotations: BTreeMap::new(),
        service_account: shared_name(&owner.name),
        api_access: false,
        tls_secret: secret_name(&name),
        volumes: vec![config_volume(&config_name), checkpoint_volume()],
        init: Some(fetch),
        grace_seconds: 5,
    };
    let workload = Workload {
        name: name.clone(),
        labels: labels.clone(),
        selector: selector.clone(),
        replicas: bundle.replicas,
        template: pod::template(shell, serve),
        claim: None,
    };
    InferenceChildren {
        config_map: bundle_config_map(owner, config_name, labels.clone(), &bundle.config),
        certificate: certificate(owner, identity::Process::Inference, &name, labels.clone()),
        service: service(owner, &name, labels, selector, false),
        stateful_set: stateful_set(owner, workload),
    }
}

fn traffic(settings: &Settings, uris: &[String]) -> Traffic {
    let mut ports: Vec<u16> = uris.iter().filter_map(|uri| port_of(uri)).collect();
    ports.sort_unstable();
    ports.dedup();
    let mut to = vec![Peer::Dns, Peer::Bus { port: settings.nats_port() }];
    if !ports.is_empty() {
        to.push(Peer::Anywhere(ports));
    }
    Traffic { from: vec![Peer::Role("policy"), Peer::Operator], to }
}

fn bundle_config_map(owner: &Owner, name: String, labels: BTreeMap<String, String>, config: &str) -> ConfigMap {
    ConfigMap {
        metadata: owner.metadata(name, labels),
        immutable: Some(true),
        data: Some(BTreeMap::from([(BUNDLE_FILE.to_owned(), config.to_owned())])),
        binary_data: None,
    }
}

/// A ConfigMap as a volume called `config`.
#[must_use]
pub fn config_volume(config_map: &str) -> Volume {
    Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map.to_owned(),
            default_mode: Some(0o444),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn checkpoint_volume() -> Volume {
    Volume {
        name: "checkpoints".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity("512Mi".to_owned())), medium: None }),
        ..Volume::default()
    }
}
