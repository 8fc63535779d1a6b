//! Waits until the API server knows the three resources, instead of exiting when it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use tracing::{info, warn};

const EVERY: Duration = Duration::from_secs(2);

/// Plural names that are missing from `found`, ascending.
#[must_use]
pub fn missing<'a>(wanted: &[&'a str], found: &BTreeSet<String>) -> Vec<&'a str> {
    wanted.iter().copied().filter(|plural| !found.contains(*plural)).collect()
}

/// Asks every two seconds until `group_version` serves all of `wanted`. One log line when it starts to
/// wait, one for each change, one when it is over.
pub async fn wait_for_resources(client: &Client, group_version: &str, wanted: &[&str]) {
    let mut said: Option<String> = None;
    loop {
        let state = match client.list_api_group_resources(group_version).await {
            Ok(list) => {
                let found = list.resources.into_iter().map(|resource| resource.name).collect();
                let missing = missing(wanted, &found);
                if missing.is_empty() {
                    if said.is_some() {
                        info!(group_version, "all custom resources are there");
                    }
                    return;
                }
                format!("missing: {}", missing.join(", "))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => format!("missing: {}", wanted.join(", ")),
            Err(error) => format!("the API server cannot be asked: {error}"),
        };
        if said.as_ref() != Some(&state) {
            warn!(group_version, %state, "waiting for the custom resources; install the chart tradewind-crds");
            said = Some(state);
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_absent_is_missing() {
        let found = BTreeSet::from(["tradingpolicies".to_owned(), "tradingpolicies/status".to_owned()]);
        assert_eq!(missing(&["riskprofiles", "tradingpolicies"], &found), ["riskprofiles"]);
    }
}
