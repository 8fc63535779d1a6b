//! Service accounts, and for the two processes that read their own resource: the right to read exactly that.

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
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let role = Role {
        metadata: owner.metadata(name.to_owned(), owner.labels(component, &[])),
        rules: Some(vec![PolicyRule {
            api_groups: Some(text(&[tradewind_crds::GROUP])),
            resources: Some(text(&[resource])),
            resource_names: Some(vec![owner.name.clone()]),
            verbs: text(&["get", "list", "watch"]),
            non_resource_urls: None,
        }]),
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
