//! The Secrets of the operator's own namespace: the root, and certificates of processes that the chart starts.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::{Api, ResourceExt};
use tracing::info;
use tradewind_crds::FIELD_MANAGER;

use super::authority::{Authority, AuthorityError, ISSUED_FOR, LeafRequest, due};
use super::writes::{WriteError, Writes};

/// Secret of the root.
pub const ROOT_SECRET: &str = "tradewind-authority";
/// Processes of the chart, each with a Secret `<name>-tls`.
pub const CHART_PROCESSES: [&str; 2] = ["tradewind-nats", "tradewind-market"];

/// Why the operator's own certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A Secret cannot be read.
    #[error("Secret {name}: {source}")]
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
}

/// The root of this installation: the one in its Secret, or a new one when there is none or it is past two thirds of its life.
///
/// # Errors
/// [`CertificateError`].
pub async fn root(writes: &Writes, namespace: &str, now: Timestamp) -> Result<Authority, CertificateError> {
    let stored = read(writes, namespace, ROOT_SECRET).await?;
    if let Some(secret) = stored.as_ref().filter(|secret| !due(secret.annotations(), now)) {
        return Ok(Authority::from_secret(secret)?);
    }
    let (authority, mut secret) = Authority::generate(stored.as_ref(), now)?;
    secret.metadata = ObjectMeta { annotations: secret.metadata.annotations.take(), ..metadata(namespace, ROOT_SECRET) };
    if stored.is_some() {
        writes.apply(&secret).await?;
        info!(secret = ROOT_SECRET, "the certificate authority was renewed; the former one stays trusted");
        return Ok(authority);
    }
    match writes.create(&secret).await {
        Ok(_) => {
            info!(secret = ROOT_SECRET, "a certificate authority was made");
            Ok(authority)
        }
        // made by another replica between the look and the write
        Err(error) if error.code() == Some(409) => {
            let secret = read(writes, namespace, ROOT_SECRET).await?.unwrap_or_default();
            Ok(Authority::from_secret(&secret)?)
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

async fn read(writes: &Writes, namespace: &str, name: &str) -> Result<Option<Secret>, CertificateError> {
    let api: Api<Secret> = Api::namespaced(writes.client().clone(), namespace);
    api.get_opt(name).await.map_err(|source| CertificateError::Read { name: name.to_owned(), source: Box::new(source) })
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
