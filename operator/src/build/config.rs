//! The three files that processes read, made from specs.

use serde_json::Value;
use tradewind_crds::{RiskProfileSpec, TradingPolicySpec, names, process_files};
use tradewind_wire::config::{BundleConfig, TradingConfig};

pub use tradewind_crds::process_files::{BundleContent, Share};

use super::owner::Owner;
use super::pod::GRPC_PORT;

/// A spec that gives no configuration that the processes accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the spec gives no usable {file}: {faults}")]
pub struct UnusableSpec {
    file: &'static str,
    faults: String,
}

/// Text of `bundle.json`.
///
/// # Errors
/// [`UnusableSpec`] with all faults.
pub fn bundle_json(content: &BundleContent<'_>) -> Result<String, UnusableSpec> {
    let config: BundleConfig = parse("bundle.json", process_files::bundle(content))?;
    refuse("bundle.json", &config.violations())?;
    render("bundle.json", &config)
}

/// Text of `trading.json`.
///
/// # Errors
/// [`UnusableSpec`] with all faults.
pub fn trading_json(owner: &Owner, spec: &TradingPolicySpec, profile: &RiskProfileSpec) -> Result<String, UnusableSpec> {
    let endpoint = |service: &str| format!("{}:{GRPC_PORT}", names::service_host(service, &owner.namespace));
    let (risk, execution) = (endpoint(&names::risk(&spec.risk_profile_ref.name)), endpoint(&names::execution(&owner.name)));
    let value = process_files::trading(&owner.name, spec, profile, &risk, &execution);
    let config: TradingConfig = parse("trading.json", value)?;
    refuse("trading.json", &config.violations())?;
    render("trading.json", &config)
}

/// Text of `account.json`.
#[must_use]
pub fn account_json(profile: &RiskProfileSpec, shares: &[Share<'_>]) -> String {
    process_files::account(profile, shares).to_string()
}

fn parse<T: serde::de::DeserializeOwned>(file: &'static str, value: Value) -> Result<T, UnusableSpec> {
    serde_json::from_value(value).map_err(|error| UnusableSpec { file, faults: error.to_string() })
}

fn refuse(file: &'static str, faults: &[String]) -> Result<(), UnusableSpec> {
    if faults.is_empty() { Ok(()) } else { Err(UnusableSpec { file, faults: faults.join("; ") }) }
}

fn render<T: serde::Serialize>(file: &'static str, config: &T) -> Result<String, UnusableSpec> {
    serde_json::to_string(config).map_err(|error| UnusableSpec { file, faults: error.to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use tradewind_crds::names::LABEL_POLICY;
    use tradewind_crds::trading_policy::{FeedKind, StartAt};
    use tradewind_crds::{Calendar, samples};

    use super::*;

    /// A word that the schema allows and the processes do not know would stop a policy that every check had passed.
    #[test]
    fn the_processes_know_every_calendar_kind_of_feed_and_beginning_of_the_schema() {
        let mut policy = samples::policy("indices", "main", "tactical-a");
        policy.metadata.namespace = Some("trading".into());
        policy.metadata.uid = Some("u".into());
        let owner = Owner::of(&policy, LABEL_POLICY).unwrap();
        let profile = samples::profile("main", "paper-1").spec;
        for calendar in Calendar::ALL {
            policy.spec.instruments[0].calendar = *calendar;
            let text = trading_json(&owner, &policy.spec, &profile).unwrap();
            assert!(text.contains(&format!(r#""calendar":"{calendar}""#)), "{text}");
        }
        for kind in FeedKind::ALL {
            for start in StartAt::ALL {
                (policy.spec.feed.kind, policy.spec.start_at) = (*kind, *start);
                let text = trading_json(&owner, &policy.spec, &profile).unwrap();
                assert!(text.contains(&format!(r#""feedKind":"{kind}""#)), "{text}");
                assert!(text.contains(&format!(r#""startAt":"{start}""#)), "{text}");
            }
        }
    }
}
