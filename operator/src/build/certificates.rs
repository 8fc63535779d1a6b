//! Which certificate each process has: one Secret per process, named after it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use tradewind_crds::names;

use super::owner::Owner;
use crate::runtime::authority::LeafRequest;

/// A Secret to be filled by the authority.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Metadata of the Secret; its data are filled when it is issued.
    pub secret: Secret,
    /// Names that the certificate carries.
    pub request: LeafRequest,
}

/// Secret of the process whose workload and Service are called `process`.
#[must_use]
pub fn secret_name(process: &str) -> String {
    format!("{process}-tls")
}

/// The certificate of a process that is reached through the Service `process`.
#[must_use]
pub fn certificate(owner: &Owner, process: &str, labels: BTreeMap<String, String>) -> Certificate {
    Certificate {
        secret: Secret { metadata: owner.metadata(secret_name(process), labels), ..Secret::default() },
        request: leaf(process, &owner.namespace),
    }
}

/// Names of a Service inside its cluster, and `localhost` for port forwarding.
#[must_use]
pub fn leaf(service: &str, namespace: &str) -> LeafRequest {
    let host = names::service_host(service, namespace);
    LeafRequest {
        subject: format!("{service}.{namespace}"),
        dns_names: vec![
            service.to_owned(),
            format!("{service}.{namespace}"),
            host.clone(),
            format!("{host}.cluster.local"),
            "localhost".to_owned(),
        ],
    }
}
