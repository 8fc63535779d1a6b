//! What every pod of Tradewind has in common: the restricted security level, certificates, probes, CPUs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, KeyToPath, PodAffinityTerm, PodAntiAffinity,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource,
    SecurityContext, Toleration, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Label of dedicated nodes, and key of their taint.
pub const DEDICATED: &str = "tradewind.dev/dedicated";
/// Label of pods that ask for exclusive CPUs.
pub const PINNED: &str = "tradewind.dev/pinned";
/// Annotation of pod templates: digest of the configuration that the pod read at its start.
pub const CONFIG_DIGEST: &str = "tradewind.dev/config-digest";
/// gRPC port of every process.
pub const GRPC_PORT: i32 = 9000;
/// HTTP port of every process: probes and metrics.
pub const HTTP_PORT: i32 = 9100;
/// Where certificates are mounted.
pub const TLS_DIR: &str = "/etc/tradewind/tls";
/// Where configuration is mounted.
pub const CONFIG_DIR: &str = "/etc/tradewind/config";
/// Where journals live.
pub const DATA_DIR: &str = "/var/lib/tradewind";

const USER: i64 = 65_532;

/// CPUs and memory of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// `Some(n)`: n exclusive CPUs on a dedicated node. `None`: whatever is free, anywhere.
    pub pinned: Option<u32>,
    /// Limit when shared.
    pub cpus: u32,
    /// Memory limit, MiB; the request too when pinned.
    pub memory_mib: u32,
}

impl Share {
    /// Guaranteed with integer CPUs when pinned (all containers of the pod alike, or the static CPU
    /// manager grants nothing), burstable otherwise.
    #[must_use]
    pub fn resources(self) -> ResourceRequirements {
        let memory = |mib: u32| ("memory".to_owned(), Quantity(format!("{mib}Mi")));
        let cpu = |text: String| ("cpu".to_owned(), Quantity(text));
        let (requests, limits) = match self.pinned {
            Some(cpus) => {
                let all = BTreeMap::from([cpu(cpus.to_string()), memory(self.memory_mib)]);
                (all.clone(), all)
            }
            None => (
                BTreeMap::from([cpu("20m".to_owned()), memory((self.memory_mib / 4).max(16))]),
                BTreeMap::from([cpu(self.cpus.to_string()), memory(self.memory_mib)]),
            ),
        };
        ResourceRequirements { requests: Some(requests), limits: Some(limits), ..ResourceRequirements::default() }
    }
}

/// One process of a pod.
#[derive(Clone, Debug)]
pub struct Process {
    /// Container name.
    pub name: String,
    /// Image of Tradewind.
    pub image: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// CPUs and memory.
    pub share: Share,
    /// Mounts beside the certificates.
    pub mounts: Vec<VolumeMount>,
}

/// The pod around a process.
#[derive(Clone, Debug)]
pub struct Shell {
    /// Labels of the pod; the selector is among them.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod.
    pub annotations: BTreeMap<String, String>,
    /// Service account; its token is mounted only when `api_access`.
    pub service_account: String,
    /// Whether the process talks to the API server.
    pub api_access: bool,
    /// Secret with ca.crt, tls.crt, tls.key.
    pub tls_secret: String,
    /// Volumes beside the certificates.
    pub volumes: Vec<Volume>,
    /// Runs before the process.
    pub init: Option<Process>,
    /// Time to finish the bar in hand and close the journal, seconds.
    pub grace_seconds: i64,
}

/// The pod template of one long-running process.
#[must_use]
pub fn template(shell: Shell, process: Process) -> PodTemplateSpec {
    let pinned = process.share.pinned.is_some();
    let mut labels = shell.labels;
    if pinned {
        labels.insert(PINNED.to_owned(), "true".to_owned());
    }
    let mut volumes = shell.volumes;
    volumes.push(tls_volume(&shell.tls_secret));
    let spec = PodSpec {
        service_account_name: Some(shell.service_account),
        automount_service_account_token: Some(shell.api_access),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(shell.grace_seconds),
        security_context: Some(pod_security()),
        node_selector: pinned.then(|| BTreeMap::from([(DEDICATED.to_owned(), "true".to_owned())])),
        tolerations: pinned.then(|| vec![dedicated_toleration()]),
        affinity: pinned.then(spread),
        init_containers: shell.init.map(|init| vec![container(init)]),
        containers: vec![serving(process)],
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    let annotations = (!shell.annotations.is_empty()).then_some(shell.annotations);
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations, ..ObjectMeta::default() }),
        spec: Some(spec),
    }
}

/// A container that runs to its end.
#[must_use]
pub fn container(process: Process) -> Container {
    let mut mounts = process.mounts;
    mounts.push(read_only("tls", TLS_DIR));
    Container {
        name: process.name,
        image: Some(process.image),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(process.command),
        // Why it ended is then in the pod's status, for conditions and whoever reads it at night.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(process.share.resources()),
        security_context: Some(container_security()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn serving(process: Process) -> Container {
    let probe = |path: &str, period: i32, timeout: i32, failures: i32| Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    };
    let port = |name: &str, number: i32| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        ports: Some(vec![port("grpc", GRPC_PORT), port("http", HTTP_PORT)]),
        startup_probe: Some(probe("/livez", 1, 1, 120)),
        liveness_probe: Some(probe("/livez", 10, 3, 3)),
        readiness_probe: Some(probe("/readyz", 1, 1, 3)),
        env: Some(vec![EnvVar { name: "RUST_LOG".to_owned(), value: Some("info".to_owned()), value_from: None }]),
        ..container(process)
    }
}

/// `restricted` at the pod.
#[must_use]
pub fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

/// `restricted` at the container, and a root file system that nobody writes.
#[must_use]
pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

/// Lets a pod onto dedicated nodes.
#[must_use]
pub fn dedicated_toleration() -> Toleration {
    Toleration {
        key: Some(DEDICATED.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoSchedule".to_owned()),
        ..Toleration::default()
    }
}

/// Pinned pods keep apart while there is room: one lost node then takes one process.
fn spread() -> Affinity {
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: PodAffinityTerm {
                    topology_key: "kubernetes.io/hostname".to_owned(),
                    label_selector: Some(LabelSelector {
                        match_labels: Some(BTreeMap::from([(PINNED.to_owned(), "true".to_owned())])),
                        match_expressions: None,
                    }),
                    ..PodAffinityTerm::default()
                },
            }]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// A mount that is never written.
#[must_use]
pub fn read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), read_only: Some(true), ..VolumeMount::default() }
}

/// A mount that the process writes.
#[must_use]
pub fn writable(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn tls_volume(secret: &str) -> Volume {
    let item = |key: &str| KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None };
    Volume {
        name: "tls".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o440),
            items: Some(vec![item("ca.crt"), item("tls.crt"), item("tls.key")]),
            optional: None,
        }),
        ..Volume::default()
    }
}
