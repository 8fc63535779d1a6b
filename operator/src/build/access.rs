//! Service accounts, and for the two processes that read their own resource: the right to read exactly that, and for risk
//! one ConfigMap beside it.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::owner::Owner;

/// An account without a token: every process gets one of its own, few need more.
#[must_use]
pub fn service_account(owner: &Owner, component: &str, name: &str) -> ServiceAccount {
    ServiceAccount {
        metadata: owner.metadata(name.to_owned(), owner.labels(component, &[])),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// Reading (get, list, watch) of the one object that the process obeys. `list` and `watch` are granted for this name
/// only, which holds for requests with the field selector `metadata.name`.
#[must_use]
pub fn reader(owner: &Owner, component: &str, name: &str, resource: &str) -> (Role, RoleBinding) {
    let role = Role {
        metadata: owner.metadata(name.to_owned(), owner.labels(component, &[])),
        rules: Some(vec![reads(tradewind_crds::GROUP, resource, &owner.name)]),
    };
    let binding = RoleBinding {
        metadata: owner.metadata(name.to_owned(), owner.labels(component, &[])),
        role_ref: RoleRef { api_group: "rbac.authorization.k8s.io".to_owned(), kind: "Role".to_owned(), name: name.to_owned() },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: Some(owner.namespace.clone()),
            api_group: None,
        }]),
    };
    (role, binding)
}

/// Adds the same right on one ConfigMap.
#[must_use]
pub fn also_reading(mut role: Role, config_map: &str) -> Role {
    role.rules.get_or_insert_default().push(reads("", "configmaps", config_map));
    role
}

fn reads(group: &str, resource: &str, name: &str) -> PolicyRule {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(text(&[group])),
        resources: Some(text(&[resource])),
        resource_names: Some(text(&[name])),
        verbs: text(&["get", "list", "watch"]),
        non_resource_urls: None,
    }
}
