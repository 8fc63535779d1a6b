//! Which certificate each process has: one Secret per process, named after it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use tradewind_crds::names;
use tradewind_wire::identity::Process;

use super::owner::Owner;
use crate::runtime::authority::LeafRequest;

/// A Secret to be filled by the authority.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Metadata of the Secret; its data are filled when it is issued.
    pub secret: Secret,
    /// Process and hosts that the certificate names.
    pub request: LeafRequest,
}

/// Secret of the process whose workload and Service are called `process`.
#[must_use]
pub fn secret_name(process: &str) -> String {
    format!("{process}-tls")
}

/// The certificate of a process of `owner` that is reached through the Service `service`.
#[must_use]
pub fn certificate(owner: &Owner, process: Process, service: &str, labels: BTreeMap<String, String>) -> Certificate {
    Certificate {
        secret: Secret { metadata: owner.metadata(secret_name(service), labels), ..Secret::default() },
        request: leaf(process, &owner.namespace, &owner.name, service),
    }
}

/// A process of the policy, profile or release called `name`, and the names of its Service inside its cluster; `localhost`
/// is for port forwarding.
#[must_use]
pub fn leaf(process: Process, namespace: &str, name: &str, service: &str) -> LeafRequest {
    let host = names::service_host(service, namespace);
    LeafRequest {
        process,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dns_names: vec![
            service.to_owned(),
            format!("{service}.{namespace}"),
            host.clone(),
            format!("{host}.cluster.local"),
            "localhost".to_owned(),
        ],
    }
}
