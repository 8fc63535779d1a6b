//! The Secrets of the operator's own namespace: the root, and certificates of processes that the chart starts; and the
//! operator's own certificate, which is in no Secret.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, ObjectMeta};
use kube::{Api, ResourceExt};
use tracing::info;
use tradewind_crds::FIELD_MANAGER;
use tradewind_wire::identity::Process;
use tradewind_wire::tls::{Pem, Security, TlsError, TlsMaterial};

use super::authority::{Authority, AuthorityError, CLOCK_SKEW, ISSUED_FOR, Leaf, LeafRequest, NOT_BEFORE, due};
use super::writes::{WriteError, Writes};

/// Secret of the root.
pub const ROOT_SECRET: &str = "tradewind-authority";
/// Processes of the chart, each with a Secret `<name>-tls`.
pub const CHART_PROCESSES: [(Process, &str); 2] = [(Process::Nats, "tradewind-nats"), (Process::Market, "tradewind-market")];

/// Pod of the chart's event bus, and Secret of its certificate.
const BUS: (&str, &str) = ("tradewind-nats-0", "tradewind-nats-tls");

/// Why the operator's own certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A Secret cannot be read.
    #[error("{name}: {source}")]
    Read {
        /// Its name.
        name: String,
        /// Reason.
        source: Box<kube::Error>,
    },
    /// A Secret cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A certificate cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The operator's own certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The operator's own certificate: it calls processes, and is in no Secret.
#[derive(Debug)]
pub struct OwnCertificate {
    request: LeafRequest,
    issued_for: String,
    annotations: BTreeMap<String, String>,
    material: TlsMaterial,
}

impl OwnCertificate {
    /// Issues the first one.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn issue(authority: &Authority, request: LeafRequest, now: Timestamp) -> Result<Self, CertificateError> {
        let leaf = authority.issue(&request, now)?;
        let (issued_for, annotations) = (authority.issued_for(&request), leaf.annotations());
        let material = TlsMaterial::from_pem(pem(leaf), now.into())?;
        Ok(Self { request, issued_for, annotations, material })
    }

    /// What clients share; it follows every renewal.
    #[must_use]
    pub fn security(&self) -> Security {
        Security::Mutual(self.material.clone())
    }

    /// Issues another one when this one is due or the authority has changed; whether it did.
    ///
    /// # Errors
    /// [`CertificateError`]; the former one stays.
    pub fn renew(&mut self, authority: &Authority, now: Timestamp) -> Result<bool, CertificateError> {
        let issued_for = authority.issued_for(&self.request);
        if issued_for == self.issued_for && !due(&self.annotations, now) {
            return Ok(false);
        }
        let leaf = authority.issue(&self.request, now)?;
        let annotations = leaf.annotations();
        self.material.replace(pem(leaf), now.into())?;
        (self.issued_for, self.annotations) = (issued_for, annotations);
        Ok(true)
    }
}

fn pem(leaf: Leaf) -> Pem {
    Pem { ca: leaf.ca, certificate: leaf.certificate, key: leaf.key }
}

/// The root of this installation: the one in its Secret, or a new one when there is none or it is past two thirds of its life.
/// `known` is the one of the last look: when its Secret was deleted, the new root replaces it without a break.
///
/// # Errors
/// [`CertificateError`].
pub async fn root(
    writes: &Writes,
    namespace: &str,
    known: Option<&Authority>,
    now: Timestamp,
) -> Result<Authority, CertificateError> {
    let stored = read(writes, namespace, ROOT_SECRET).await?;
    let (former, exists) = match &stored {
        Some(secret) if due(secret.annotations(), now) => (Some(&Authority::from_secret(secret, now)?), true),
        Some(secret) => return Ok(Authority::from_secret(secret, now)?),
        None => (known, false),
    };
    let (authority, mut secret) = Authority::generate(former, now)?;
    secret.metadata = ObjectMeta { annotations: secret.metadata.annotations.take(), ..metadata(namespace, ROOT_SECRET) };
    if exists {
        writes.apply(&secret).await?;
        info!(secret = ROOT_SECRET, "the certificate authority was renewed; the former one stays trusted");
        return Ok(authority);
    }
    match writes.create(&secret).await {
        Ok(_) => {
            info!(secret = ROOT_SECRET, replaces = former.is_some(), "a certificate authority was made");
            Ok(authority)
        }
        // made by another replica between the look and the write
        Err(error) if error.code() == Some(409) => {
            let secret = read(writes, namespace, ROOT_SECRET).await?.unwrap_or_default();
            Ok(Authority::from_secret(&secret, now)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Issues the certificate of a process in the operator's namespace unless a current one is there.
///
/// # Errors
/// [`CertificateError`].
pub async fn issue(
    writes: &Writes,
    authority: &Authority,
    namespace: &str,
    request: &LeafRequest,
    secret: &str,
    now: Timestamp,
) -> Result<(), CertificateError> {
    let stored = read(writes, namespace, secret).await?;
    let current = stored.as_ref().is_some_and(|stored| {
        stored.annotations().get(ISSUED_FOR) == Some(&authority.issued_for(request)) && !due(stored.annotations(), now)
    });
    if current {
        return Ok(());
    }
    let mut wanted = Secret { metadata: metadata(namespace, secret), ..Secret::default() };
    authority.fill(&mut wanted, request, now)?;
    writes.apply(&wanted).await?;
    info!(secret, "a certificate was issued");
    Ok(())
}

/// Makes the event bus start again when its certificate was renewed since it started: a NATS server reads its files once.
/// Called once an hour, so that a change of authority, which issues twice, does not restart it in between.
///
/// # Errors
/// [`CertificateError`].
pub async fn restart_outdated_bus(writes: &Writes, namespace: &str) -> Result<(), CertificateError> {
    let (pod, secret) = BUS;
    let Some(secret) = read(writes, namespace, secret).await? else { return Ok(()) };
    let api: Api<Pod> = Api::namespaced(writes.client().clone(), namespace);
    let failed = |source| CertificateError::Read { name: format!("Pod {pod}"), source: Box::new(source) };
    let found = api.list(&ListParams::default().fields(&format!("metadata.name={pod}"))).await.map_err(failed)?;
    for pod in found.items.iter().filter(|pod| started_before_issue(pod, &secret)) {
        info!(pod = %pod.name_any(), "the certificate of the event bus was renewed: it starts again with the new one");
        writes.delete(pod).await?;
    }
    Ok(())
}

/// Whether a container of `pod` has been running since before the certificate in `secret` was issued. A pod that still waits
/// for the Secret has not started, whenever it was created.
fn started_before_issue(pod: &Pod, secret: &Secret) -> bool {
    let issued =
        secret.annotations().get(NOT_BEFORE).and_then(|text| text.parse::<Timestamp>().ok()).map(|from| from + CLOCK_SKEW);
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let started = containers.iter().filter_map(|container| container.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    started.into_iter().any(|started| issued.is_some_and(|issued| started.0 < issued))
}

async fn read(writes: &Writes, namespace: &str, name: &str) -> Result<Option<Secret>, CertificateError> {
    let api: Api<Secret> = Api::namespaced(writes.client().clone(), namespace);
    api.get_opt(name).await.map_err(|source| CertificateError::Read { name: format!("Secret {name}"), source: Box::new(source) })
}

fn metadata(namespace: &str, name: &str) -> ObjectMeta {
    let labels = [("app.kubernetes.io/name", "tradewind"), ("app.kubernetes.io/managed-by", FIELD_MANAGER)];
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn secret(issued: &str) -> Secret {
        let from = issued.parse::<Timestamp>().unwrap() - CLOCK_SKEW;
        serde_json::from_value(json!({"metadata": {"name": "tradewind-nats-tls", "annotations": {NOT_BEFORE: from.to_string()}}}))
            .unwrap()
    }

    fn pod(state: serde_json::Value) -> Pod {
        let container = json!({"name": "nats", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state});
        serde_json::from_value(json!({
            "metadata": {"name": "tradewind-nats-0", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"containerStatuses": [container]}
        }))
        .unwrap()
    }

    #[test]
    fn the_operator_renews_its_own_certificate() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let request = LeafRequest {
            process: Process::Operator,
            namespace: "tradewind-system".into(),
            name: "tradewind-operator".into(),
            dns_names: vec!["localhost".into()],
        };
        let (root, _) = Authority::generate(None, at(0)).unwrap();
        let mut own = OwnCertificate::issue(&root, request, at(0)).unwrap();
        let Security::Mutual(shared) = own.security() else { panic!("no certificate") };
        let left = |now: Timestamp| shared.remaining(now.into()).unwrap().as_secs() / 86_400;
        assert!(!own.renew(&root, at(86_400)).unwrap());
        assert_eq!(left(at(23 * 86_400)), 7);
        assert!(own.renew(&root, at(23 * 86_400)).unwrap(), "two thirds of its life are over");
        assert_eq!(left(at(23 * 86_400)), 30, "and whoever shares it has the new one");
        assert!(!own.renew(&root, at(23 * 86_400)).unwrap());
        let (changed, _) = Authority::generate(Some(&root), at(24 * 86_400)).unwrap();
        assert!(own.renew(&changed, at(24 * 86_400)).unwrap(), "another authority is to be trusted");
        assert!(!own.renew(&changed, at(24 * 86_400)).unwrap());
    }

    #[test]
    fn the_bus_starts_again_only_when_it_runs_with_a_former_certificate() {
        let running = |at: &str| pod(json!({"running": {"startedAt": at}}));
        let renewed = secret("2026-09-01T00:00:00Z");
        assert!(started_before_issue(&running("2026-08-31T23:59:59Z"), &renewed));
        assert!(!started_before_issue(&running("2026-09-01T00:00:01Z"), &renewed));
        assert!(!started_before_issue(&pod(json!({"waiting": {"reason": "ContainerCreating"}})), &renewed));
        assert!(!started_before_issue(&Pod::default(), &renewed));
        assert!(!started_before_issue(&running("2026-01-01T00:00:00Z"), &Secret::default()), "an unknown age restarts nothing");
    }
}
