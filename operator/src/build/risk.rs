//! The risk service of one account.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use tradewind_crds::names;
use tradewind_crds::trading_policy::{RolePlacement, Storage};
use tradewind_wire::identity;

use super::access::reader;
use super::disruption::budget;
use super::inference::share;
use super::network::{Peer, Traffic};
use super::owner::Owner;
use super::pod::DATA_DIR;
use super::settings::Settings;
use super::trading::{Journaled, ProcessChildren, journaled};

/// Component and role label.
pub const COMPONENT: &str = "risk";
const MEMORY_MIB: u32 = 128;

/// Children of a RiskProfile.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskChildren {
    /// The service reads its own RiskProfile.
    pub role: Role,
    /// Grants it.
    pub role_binding: RoleBinding,
    /// The process.
    pub process: ProcessChildren,
    /// Drains ask.
    pub disruption_budget: PodDisruptionBudget,
}

/// All children of a profile. `replicas` is 0 while the brake holds, else 1.
#[must_use]
pub fn risk(owner: &Owner, settings: &Settings, placement: &RolePlacement, storage: &Storage, replicas: i32) -> RiskChildren {
    let name = names::risk(&owner.name);
    let (role, role_binding) = reader(owner, COMPONENT, &name, "riskprofiles");
    let words = ["tradewind-risk", "serve", "--namespace", &owner.namespace, "--profile", &owner.name, "--data", DATA_DIR];
    let process = Journaled {
        component: COMPONENT,
        process: identity::Process::Risk,
        name: name.clone(),
        command: words.map(str::to_owned).to_vec(),
        share: share(placement, MEMORY_MIB),
        config_map: None,
        api_access: true,
        replicas,
        digest: String::new(),
        traffic: Traffic {
            from: vec![Peer::RoleOfNamespace("execution"), Peer::RoleOfNamespace("policy"), Peer::Operator],
            to: vec![Peer::Dns, Peer::ApiServer],
        },
    };
    RiskChildren {
        role,
        role_binding,
        process: journaled(owner, settings, storage, process),
        disruption_budget: budget(owner, name),
    }
}
