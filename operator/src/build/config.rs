//! The two files that processes read, made from a spec. They are built through the types that the processes parse.

use serde_json::Value;
use tradewind_crds::{RiskProfileSpec, TradingPolicySpec, names, process_files};
use tradewind_wire::config::{BundleConfig, TradingConfig};

pub use tradewind_crds::process_files::BundleContent;

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

fn parse<T: serde::de::DeserializeOwned>(file: &'static str, value: Value) -> Result<T, UnusableSpec> {
    serde_json::from_value(value).map_err(|error| UnusableSpec { file, faults: error.to_string() })
}

fn refuse(file: &'static str, faults: &[String]) -> Result<(), UnusableSpec> {
    if faults.is_empty() { Ok(()) } else { Err(UnusableSpec { file, faults: faults.join("; ") }) }
}

fn render<T: serde::Serialize>(file: &'static str, config: &T) -> Result<String, UnusableSpec> {
    serde_json::to_string(config).map_err(|error| UnusableSpec { file, faults: error.to_string() })
}
