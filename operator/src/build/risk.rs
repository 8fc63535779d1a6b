//! The risk service of one account: the gate that holds the venue, and follows the feeds of the account's instruments itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use tradewind_crds::names;
use tradewind_crds::placement::{RolePlacement, Storage};
use tradewind_wire::identity;

use super::access::{also_reading, reader};
use super::disruption::budget;
use super::inference::share;
use super::network::{Peer, Traffic};
use super::owner::Owner;
use super::pod::DATA_DIR;
use super::settings::Settings;
use super::trading::{Journaled, ProcessChildren, journaled};

/// Component and role label.
pub const COMPONENT: &str = "risk";
/// Key of the ConfigMap.
pub const ACCOUNT_FILE: &str = "account.json";
/// Books, journal and the venue of the account.
const MEMORY_MIB: u32 = 256;

/// What the service is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate<'a> {
    /// Text of `account.json`. The service watches it over the API: policies and instruments that come and go never restart
    /// what guards the others.
    pub account: &'a str,
    /// CPUs.
    pub placement: &'a RolePlacement,
    /// Volume.
    pub storage: &'a Storage,
    /// 0 while the brake holds, else 1.
    pub replicas: i32,
}

/// Children of a RiskProfile.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskChildren {
    /// `account.json`.
    pub config_map: ConfigMap,
    /// The service reads its own RiskProfile and `account.json`.
    pub role: Role,
    /// Grants it.
    pub role_binding: RoleBinding,
    /// The process.
    pub process: ProcessChildren,
    /// Drains ask.
    pub disruption_budget: PodDisruptionBudget,
}

/// All children of a profile.
#[must_use]
pub fn risk(owner: &Owner, settings: &Settings, gate: &Gate<'_>) -> RiskChildren {
    let name = names::risk(&owner.name);
    let config = names::account_config(&owner.name);
    let (role, role_binding) = reader(owner, COMPONENT, &name, "riskprofiles");
    let words = [
        "tradewind-risk",
        "serve",
        "--namespace",
        &owner.namespace,
        "--profile",
        &owner.name,
        "--account-config",
        &config,
        "--data",
        DATA_DIR,
        "--nats",
        &settings.nats_url,
    ];
    let process = Journaled {
        component: COMPONENT,
        process: identity::Process::Risk,
        name: name.clone(),
        command: words.map(str::to_owned).to_vec(),
        share: share(gate.placement, MEMORY_MIB),
        config_map: None,
        api_access: true,
        replicas: gate.replicas,
        digest: String::new(),
        traffic: Traffic {
            from: vec![Peer::RoleOfNamespace("execution"), Peer::RoleOfNamespace("policy"), Peer::Operator],
            to: vec![Peer::Dns, Peer::Bus { port: settings.nats_port() }, Peer::ApiServer],
        },
    };
    RiskChildren {
        config_map: ConfigMap {
            metadata: owner.metadata(config.clone(), owner.labels(COMPONENT, &[])),
            data: Some(BTreeMap::from([(ACCOUNT_FILE.to_owned(), gate.account.to_owned())])),
            ..ConfigMap::default()
        },
        role: also_reading(role, &config),
        role_binding,
        process: journaled(owner, settings, gate.storage, process),
        disruption_budget: budget(owner, name),
    }
}
