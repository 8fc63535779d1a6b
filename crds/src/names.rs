//! Names and labels of everything that the operator creates. Everybody takes them from here.

use std::collections::BTreeMap;

/// Longest name of a policy, profile or checkpoint; the longest child name then still is a DNS label.
pub const MAX_NAME: usize = 40;
/// Length of a bundle id in hex characters.
pub const BUNDLE_ID_LENGTH: usize = 12;

/// Label with the name of the policy.
pub const LABEL_POLICY: &str = "tradewind.dev/policy";
/// Label with the name of the risk profile.
pub const LABEL_PROFILE: &str = "tradewind.dev/profile";
/// Label with the name of the checkpoint.
pub const LABEL_CHECKPOINT: &str = "tradewind.dev/checkpoint";
/// Label with the bundle id.
pub const LABEL_BUNDLE: &str = "tradewind.dev/bundle";
/// Label with the role: policy, execution, inference, risk, verify.
pub const LABEL_ROLE: &str = "tradewind.dev/role";
/// Label, and taint key, of nodes with dedicated CPUs (value `true`).
pub const LABEL_DEDICATED: &str = "tradewind.dev/dedicated";

/// StatefulSet and Service of the decider.
#[must_use]
pub fn policy_engine(policy: &str) -> String {
    format!("{policy}-policy")
}

/// StatefulSet and Service of order execution.
#[must_use]
pub fn execution(policy: &str) -> String {
    format!("{policy}-execution")
}

/// StatefulSet and Service of one bundle's inference.
#[must_use]
pub fn inference(policy: &str, bundle: &str) -> String {
    format!("{policy}-inference-{bundle}")
}

/// Immutable ConfigMap of one bundle (key `bundle.json`).
#[must_use]
pub fn bundle_config(policy: &str, bundle: &str) -> String {
    format!("{policy}-bundle-{bundle}")
}

/// ConfigMap of the processes that trade (key `trading.json`).
#[must_use]
pub fn trading_config(policy: &str) -> String {
    format!("{policy}-trading")
}

/// StatefulSet and Service of the risk service.
#[must_use]
pub fn risk(profile: &str) -> String {
    format!("{profile}-risk")
}

/// ConfigMap of the risk service (key `account.json`). The service reads it over the API, so its content restarts nothing.
#[must_use]
pub fn account_config(profile: &str) -> String {
    format!("{profile}-account")
}

/// Lease in the operator's namespace that says which profile of the cluster has an account.
#[must_use]
pub fn account_lease(account: &str) -> String {
    format!("account-{account}")
}

/// Job that verifies a checkpoint; `sha256` is the hex digest of its spec, `image` the runtime image:
/// another image verifies again.
#[must_use]
pub fn verify_job(checkpoint: &str, hash8: &str) -> String {
    format!("{checkpoint}-verify-{hash8}")
}

/// Host name of a service inside the cluster, fully qualified enough for any namespace.
#[must_use]
pub fn service_host(service: &str, namespace: &str) -> String {
    format!("{service}.{namespace}.svc")
}

/// Labels that select the pods of one component and never change during its life.
#[must_use]
pub fn selector(component: &str, instance: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "tradewind"),
        ("app.kubernetes.io/component", component),
        ("app.kubernetes.io/instance", instance),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

/// Labels of a child: the selector, who manages it, and what `extra` adds.
#[must_use]
pub fn labels(component: &str, instance: &str, extra: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = selector(component, instance);
    all.insert("app.kubernetes.io/managed-by".into(), crate::FIELD_MANAGER.into());
    all.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_are_dns_labels() {
        let (name, bundle) = ("n".repeat(MAX_NAME), "b".repeat(BUNDLE_ID_LENGTH));
        let all = [
            policy_engine(&name),
            inference(&name, &bundle),
            bundle_config(&name, &bundle),
            account_config(&name),
            account_lease(&name),
            verify_job(&name, "12345678"),
        ];
        for child in all {
            assert!(child.len() <= 63, "{child} has {} characters", child.len());
        }
        // A StatefulSet adds `-<10 characters>` to its name in the label of its revision.
        assert!(execution(&name).len() + 11 <= 63);
    }
}
