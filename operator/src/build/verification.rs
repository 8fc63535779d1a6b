//! The Job that judges a checkpoint. It says what it found in the termination message of its one container.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, PodSpec, PodTemplateSpec, Volume, VolumeMount};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};
use tradewind_crds::ModelCheckpointSpec;
use tradewind_crds::names;

use super::owner::Owner;
use super::pod::{Share, container_security, pod_security};
use super::settings::Settings;
use k8s_openapi::api::core::v1::Container;

/// Component and role label.
pub const COMPONENT: &str = "verify";
const TERMINATION_LOG: &str = "/dev/termination-log";
const MEMORY_MIB: u32 = 512;
/// A fetch or a check that hangs is ended.
const DEADLINE_SECONDS: i64 = 300;
/// The verdict is in the status long before; the pod stays for its log.
const KEEP_SECONDS: i32 = 600;

/// Name of the Job: another file or another image is another verification.
#[must_use]
pub fn job_name(checkpoint: &str, spec: &ModelCheckpointSpec, image: &str) -> String {
    let mut digest = Sha256::new();
    for part in [spec.source.uri.as_str(), &spec.source.sha256, spec.role.as_str(), image] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    names::verify_job(checkpoint, &hex::encode(&digest.finalize()[..4]))
}

/// The Job. It is not retried by Kubernetes: the operator decides when an unreachable source is asked again.
#[must_use]
pub fn job(owner: &Owner, settings: &Settings, spec: &ModelCheckpointSpec) -> Job {
    let labels = owner.labels(COMPONENT, &[]);
    let words = [
        "tradewind-inference",
        "verify",
        "--uri",
        &spec.source.uri,
        "--sha256",
        &spec.source.sha256,
        "--role",
        spec.role.as_str(),
        "--termination-log",
        TERMINATION_LOG,
    ];
    let container = Container {
        name: COMPONENT.to_owned(),
        image: Some(settings.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(words.map(str::to_owned).to_vec()),
        resources: Some(Share { pinned: None, cpus: 1, memory_mib: MEMORY_MIB }.resources()),
        security_context: Some(container_security()),
        termination_message_path: Some(TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![VolumeMount {
            name: "work".to_owned(),
            mount_path: "/tmp".to_owned(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    };
    let work = Volume {
        name: "work".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity("1Gi".to_owned())), medium: None }),
        ..Volume::default()
    };
    let pod = PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security()),
        termination_grace_period_seconds: Some(5),
        containers: vec![container],
        volumes: Some(vec![work]),
        ..PodSpec::default()
    };
    Job {
        metadata: owner.metadata(job_name(&owner.name, spec, &settings.image), labels.clone()),
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            ttl_seconds_after_finished: Some(KEEP_SECONDS),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(pod),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}
