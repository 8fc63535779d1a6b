//! Who may talk to whom: everything that is not named here is refused, in both directions.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tradewind_crds::names;

use super::owner::{Owner, matching};
use super::pod::GRPC_PORT;

/// One end of a permitted connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Pods of a role of this owner.
    Role(&'static str),
    /// Pods of a role of any owner in this namespace.
    RoleOfNamespace(&'static str),
    /// The operator, in its namespace.
    Operator,
    /// The cluster's DNS.
    Dns,
    /// The event bus: the chart's server in the operator's namespace, or any address when it is external.
    Bus {
        /// TCP port.
        port: u16,
    },
    /// The API server; its addresses are not known here.
    ApiServer,
    /// Any address at these TCP ports.
    Anywhere(Vec<u16>),
}

/// Who may connect, and whereto.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Traffic {
    /// May open connections to the gRPC port.
    pub from: Vec<Peer>,
    /// May be connected to.
    pub to: Vec<Peer>,
}

/// The policy of the pods that `selector` names.
#[must_use]
pub fn network_policy(
    owner: &Owner,
    name: &str,
    labels: BTreeMap<String, String>,
    selector: BTreeMap<String, String>,
    traffic: &Traffic,
    operator_namespace: &str,
) -> NetworkPolicy {
    let peers = |peer: &Peer| peer_rule(owner, operator_namespace, peer);
    let ingress =
        traffic.from.iter().map(|peer| NetworkPolicyIngressRule { from: peers(peer).0, ports: Some(vec![tcp(GRPC_PORT)]) });
    let egress = traffic.to.iter().map(|peer| {
        let (to, ports) = peers(peer);
        NetworkPolicyEgressRule { to, ports: Some(ports) }
    });
    NetworkPolicy {
        metadata: owner.metadata(name.to_owned(), labels),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(matching(selector)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress.collect()),
            egress: Some(egress.collect()),
        }),
    }
}

fn peer_rule(owner: &Owner, operator_namespace: &str, peer: &Peer) -> (Option<Vec<NetworkPolicyPeer>>, Vec<NetworkPolicyPort>) {
    let grpc = || vec![tcp(GRPC_PORT)];
    match peer {
        Peer::Role(role) => (pods(&[(owner.label, &owner.name), (names::LABEL_ROLE, role)], None), grpc()),
        Peer::RoleOfNamespace(role) => {
            (pods(&[("app.kubernetes.io/name", "tradewind"), (names::LABEL_ROLE, role)], None), grpc())
        }
        Peer::Operator => {
            let labels = [("app.kubernetes.io/name", "tradewind"), ("app.kubernetes.io/component", "operator")];
            (pods(&labels, Some(operator_namespace)), grpc())
        }
        Peer::Dns => (pods(&[("k8s-app", "kube-dns")], Some("kube-system")), vec![udp(53), tcp(53)]),
        Peer::Bus { port } => (None, vec![tcp(i32::from(*port))]),
        Peer::ApiServer => (None, vec![tcp(443), tcp(6443)]),
        Peer::Anywhere(ports) => (None, ports.iter().map(|port| tcp(i32::from(*port))).collect()),
    }
}

fn pods(labels: &[(&str, &str)], namespace: Option<&str>) -> Option<Vec<NetworkPolicyPeer>> {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Some(vec![NetworkPolicyPeer {
        pod_selector: Some(matching(owned(labels))),
        namespace_selector: namespace.map(|name| matching(owned(&[("kubernetes.io/metadata.name", name)]))),
        ip_block: None,
    }])
}

fn tcp(port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(IntOrString::Int(port)), protocol: Some("TCP".to_owned()), end_port: None }
}

fn udp(port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(IntOrString::Int(port)), protocol: Some("UDP".to_owned()), end_port: None }
}
