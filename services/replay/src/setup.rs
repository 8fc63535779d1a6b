//! From manifests to the configuration that the processes of the cluster get.

use serde::de::DeserializeOwned;
use tradewind_core::calendar::CalendarName;
use tradewind_crds::policy_status::BundleCheckpoint;
use tradewind_crds::process_files::{self, BundleContent};
use tradewind_crds::trading_policy::{ModelSource, TradingMode};
use tradewind_crds::validation;
use tradewind_crds::{RiskProfile, TradingPolicy};
use tradewind_execution::ExecutionConfig;
use tradewind_policy::{Control, Settings, Trading};
use tradewind_wire::account::{AccountConfig, PolicyConfig};
use tradewind_wire::bus::FeedKind;
use tradewind_wire::config::{BundleConfig, TradingConfig};

/// Why manifests give no run.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The text is no YAML of the kind.
    #[error("{file}: {source}")]
    Yaml {
        /// File in question.
        file: String,
        /// What the reader says.
        source: serde_yaml_ng::Error,
    },
    /// No document of the kind.
    #[error("{file}: holds no {kind}; give the file that does")]
    Missing {
        /// File in question.
        file: String,
        /// Kind wanted.
        kind: &'static str,
    },
    /// The manifests contradict the rules or each other.
    #[error("the manifests cannot run: {0}")]
    Invalid(String),
}

/// Configuration of all engines of one run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Of inference.
    pub bundle: BundleConfig,
    /// Of policy and execution.
    pub trading: TradingConfig,
    /// Of execution, checked.
    pub execution: ExecutionConfig,
    /// Of the decider, checked.
    pub settings: Settings,
    /// Halt and mode of trading.
    pub control: Control,
    /// Limits.
    pub profile: RiskProfile,
    /// Confidence of a comparison, basis points.
    pub confidence_bps: u32,
    /// How much worse per bar a candidate may be, basis points of starting equity.
    pub margin_bps: f64,
}

/// What a run needs beside the manifests.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// Bundle id that records carry: 12 hexadecimal digits.
    pub bundle: &'a str,
    /// SHA-256 of the strategic checkpoint file.
    pub strategic_sha256: &'a str,
    /// SHA-256 of the tactical checkpoint file.
    pub tactical_sha256: &'a str,
}

impl Setup {
    /// Makes what the operator would make.
    ///
    /// # Errors
    /// [`SetupError::Invalid`] with every violation.
    pub fn new(policy: &TradingPolicy, profile: &RiskProfile, served: Served<'_>) -> Result<Self, SetupError> {
        let invalid = |text: String| SetupError::Invalid(text);
        let name = policy.metadata.name.clone().unwrap_or_default();
        // Addresses are those of no process: everything is in this one.
        let here = "localhost:9000";
        let trading = process_files::trading(&name, &policy.spec, &profile.spec, here, here);
        let trading: TradingConfig =
            serde_json::from_value(trading).map_err(|error| invalid(format!("trading.json: {error}")))?;
        let models = &policy.spec.models;
        let checkpoint = |source: &ModelSource, sha256: &str| BundleCheckpoint {
            checkpoint: source.checkpoint_ref.name.clone(),
            uri: String::new(),
            sha256: sha256.to_owned(),
        };
        let bundle = process_files::bundle(&BundleContent {
            bundle: served.bundle,
            policy: &name,
            feed: &policy.spec.feed,
            image: "",
            instruments: &policy.spec.instruments,
            strategic: &policy.spec.strategic,
            tactical: &policy.spec.tactical,
            strategic_checkpoint: &checkpoint(&models.strategic, served.strategic_sha256),
            tactical_checkpoint: &checkpoint(&models.tactical, served.tactical_sha256),
        });
        let bundle: BundleConfig = serde_json::from_value(bundle).map_err(|error| invalid(format!("bundle.json: {error}")))?;
        Self::of_files(policy, profile, trading, bundle)
    }

    /// Takes the two files as they are, for instance as the cluster has them.
    ///
    /// # Errors
    /// [`SetupError::Invalid`] with every violation.
    pub fn of_files(
        policy: &TradingPolicy,
        profile: &RiskProfile,
        trading: TradingConfig,
        bundle: BundleConfig,
    ) -> Result<Self, SetupError> {
        let invalid = |text: String| SetupError::Invalid(text);
        let mut violations: Vec<String> =
            validation::validate_risk_profile(&profile.spec).iter().map(ToString::to_string).collect();
        violations.extend(bundle.violations());
        if !violations.is_empty() {
            return Err(invalid(violations.join("; ")));
        }
        let gate = &policy.spec.rollout.gates.paired_pnl;
        let trading_mode = match policy.spec.trading {
            TradingMode::Off => Trading::Off,
            TradingMode::Shadow => Trading::Shadow,
            TradingMode::Paper => Trading::Paper,
        };
        Ok(Self {
            settings: Settings::from_config(&trading).map_err(|error| invalid(error.to_string()))?,
            execution: ExecutionConfig::from_trading(&trading, "replay").map_err(|error| invalid(error.to_string()))?,
            control: Control { halt: policy.spec.halt, trading: trading_mode },
            profile: profile.clone(),
            confidence_bps: u32::try_from(gate.confidence_bps).unwrap_or(0),
            margin_bps: gate.margin_bps.to_f64(),
            bundle,
            trading,
        })
    }
}

/// The account with these policies, on one recorded feed: what the operator would make of their resources.
///
/// # Errors
/// [`SetupError::Invalid`] when they cannot share an account.
pub fn account_of(setups: &[&Setup]) -> Result<AccountConfig, SetupError> {
    let invalid = |text: String| SetupError::Invalid(text);
    let first = setups.first().ok_or_else(|| invalid("there is no policy; give at least one".to_owned()))?;
    let (account, profile) = (&first.trading.account, &first.profile.spec);
    if let Some(other) = setups.iter().find(|other| other.trading.account != *account || other.profile.spec != *profile) {
        let (one, other) = (&first.trading, &other.trading);
        return Err(invalid(format!(
            "policies '{}' and '{}' are of accounts '{account}' and '{}' or of different profiles; replay each account by itself",
            one.policy, other.policy, other.account
        )));
    }
    let mut policies: Vec<PolicyConfig> = setups.iter().map(|setup| policy_of(&setup.trading)).collect();
    policies.sort_by(|one, other| one.policy.cmp(&other.policy));
    // The profile has passed the rules of its resource.
    let calendar = serde_json::to_value(profile.calendar).and_then(serde_json::from_value::<CalendarName>);
    let calendar = calendar.map_err(|error| invalid(format!("spec.calendar: {error}")))?;
    let config = AccountConfig { account: account.clone(), calendar, policies };
    let violations = config.violations();
    if violations.is_empty() { Ok(config) } else { Err(invalid(violations.join("; "))) }
}

fn policy_of(trading: &TradingConfig) -> PolicyConfig {
    PolicyConfig {
        policy: trading.policy.clone(),
        feed: trading.feed.clone(),
        feed_kind: FeedKind::Replay,
        venue: trading.venue.clone(),
        instruments: trading.instruments.clone(),
    }
}

/// The first document of a kind in a YAML text, which may hold several.
///
/// # Errors
/// [`SetupError::Yaml`] and [`SetupError::Missing`].
pub fn read_manifest<T: DeserializeOwned>(file: &str, text: &str, kind: &'static str) -> Result<T, SetupError> {
    use serde::Deserialize;
    let wrong = |source| SetupError::Yaml { file: file.to_owned(), source };
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let value = serde_yaml_ng::Value::deserialize(document).map_err(wrong)?;
        if value.get("kind").and_then(|kind| kind.as_str()) == Some(kind) {
            return serde_yaml_ng::from_value(value).map_err(wrong);
        }
    }
    Err(SetupError::Missing { file: file.to_owned(), kind })
}
