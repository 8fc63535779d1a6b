//! The two files that the operator writes and the processes read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, InstrumentError, Symbol};
use tradewind_core::money::Money;
use tradewind_features::strategic::StrategicStageConfig;
use tradewind_features::tactical::TacticalConfig;

use crate::bus::{FeedKind, FeedName};

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {path}: {source}")]
    Read {
        /// File in question.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not the JSON that is expected.
    #[error("configuration {path}: {source}")]
    Parse {
        /// File in question.
        path: PathBuf,
        /// Line, column and field.
        source: serde_json::Error,
    },
    /// Values are out of range; all violations at once.
    #[error("configuration {path}: {}", .violations.join("; "))]
    Invalid {
        /// File in question.
        path: PathBuf,
        /// Field, value seen, value allowed of each violation.
        violations: Vec<String>,
    },
}

/// One instrument as written in a TradingPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstrumentConfig {
    /// Symbol, unique within a policy.
    pub symbol: Symbol,
    /// Money per price unit and unit of the instrument, above 0.
    pub point_value: Money,
    /// Smallest price step in price units, above 0.
    pub tick: Money,
    /// Smallest size step in units of the instrument, above 0.
    pub lot: Money,
    /// When its market is open; around the clock unless said otherwise.
    #[serde(default)]
    pub calendar: CalendarName,
}

impl InstrumentConfig {
    /// The checked instrument.
    ///
    /// # Errors
    /// [`InstrumentError`] names the field that is wrong.
    pub fn instrument(&self) -> Result<Instrument, InstrumentError> {
        Instrument::new(self.symbol.clone(), self.tick, self.lot, self.point_value)
    }
}

/// One verified checkpoint of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Role that it plays: `Strategic` or `Tactical`.
    pub role: String,
    /// Name of the ModelCheckpoint.
    pub name: String,
    /// Where the file is fetched: `http:`, `https:` or `file:`.
    pub uri: String,
    /// 64 lower-case hexadecimal digits over the file.
    pub sha256: String,
}

impl CheckpointConfig {
    /// Name of the file below the checkpoints directory.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.safetensors", self.sha256)
    }
}

/// `bundle.json`: what one revision decides with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleConfig {
    /// Id of the bundle, 12 hexadecimal digits.
    pub bundle: String,
    /// Name of the TradingPolicy.
    pub policy: String,
    /// Feed of bars that the features are built from.
    pub feed: FeedName,
    /// Whether its bars are of now.
    #[serde(default)]
    pub feed_kind: FeedKind,
    /// Runtime image that is part of the revision.
    pub image: String,
    /// Instruments that are decided on.
    pub instruments: Vec<InstrumentConfig>,
    /// Bars, synergy events and gates of the strategic stage.
    pub strategic: StrategicStageConfig,
    /// Thresholds of the tactical stage.
    pub tactical: TacticalConfig,
    /// Checkpoints, one per role.
    pub checkpoints: Vec<CheckpointConfig>,
}

/// `trading.json`: what the policy and execution processes of one TradingPolicy need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TradingConfig {
    /// Name of the TradingPolicy.
    pub policy: String,
    /// Account that is traded.
    pub account: String,
    /// Feed of bars that drives the policy.
    pub feed: FeedName,
    /// Whether its bars are of now.
    #[serde(default)]
    pub feed_kind: FeedKind,
    /// Where a policy begins that has decided nothing yet.
    #[serde(default)]
    pub start_at: StartAt,
    /// Age beyond its interval at which a bar of a live feed is recorded but not traded, milliseconds (ruling 23).
    #[serde(default = "max_data_age_ms")]
    pub max_data_age_ms: u64,
    /// Instruments in the order of the policy.
    pub instruments: Vec<InstrumentConfig>,
    /// Size of a trade.
    pub sizing: SizingConfig,
    /// Equity before the first trade, above 0.
    pub starting_equity: Money,
    /// The paper venue.
    pub venue: VenueConfig,
    /// `host:port` of the risk service.
    pub risk_endpoint: String,
    /// `host:port` of the execution service.
    pub execution_endpoint: String,
    /// Settings of the orchestrator as its own type reads them ([`TradingConfig::orchestrator`]).
    #[serde(default)]
    pub orchestrator: serde_json::Value,
}

/// Where a policy begins that has decided nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StartAt {
    /// At the newest bar: features are warm from the bars before it, which are not decided.
    #[default]
    Newest,
    /// At the first bar of the feed.
    Beginning,
}

/// That of the sample profile.
const fn max_data_age_ms() -> u64 {
    5_000
}

/// Size of a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SizingConfig {
    /// Notional at full confidence and full risk scale, above 0.
    pub base_notional: Money,
}

/// The paper venue: deterministic for one seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VenueConfig {
    /// Full spread, basis points of the price, at most 1000.
    pub spread_bps: u32,
    /// Fee per fill, basis points of its notional, at most 1000.
    pub fee_bps: u32,
    /// Seed of partial fills and latency.
    pub seed: u64,
    /// Share of orders that fill in parts, basis points, at most 10000.
    pub partial_fill_bps: u32,
    /// Mean latency of the venue, milliseconds of event time, at most 60000.
    pub latency_ms: u32,
}

/// Reads a JSON file of any type.
///
/// # Errors
/// [`ConfigError::Read`] and [`ConfigError::Parse`].
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })
}

impl BundleConfig {
    /// Reads and validates a bundle.
    ///
    /// # Errors
    /// [`ConfigError`]; all violations are reported at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = read_json(path)?;
        refuse(path, config.violations())?;
        Ok(config)
    }

    /// What is wrong with the values, nothing when usable.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !is_hex(&self.bundle, 12) {
            found.push(format!("bundle is '{}', it must be 12 lower-case hexadecimal digits", self.bundle));
        }
        check_instruments(&self.instruments, &mut found);
        if let Err(error) = self.strategic.validate() {
            found.push(error.to_string());
        }
        if let Err(error) = self.tactical.validate() {
            found.push(error.to_string());
        }
        let mut roles = BTreeSet::new();
        for (number, checkpoint) in self.checkpoints.iter().enumerate() {
            if !roles.insert(&checkpoint.role) {
                found.push(format!("checkpoints[{number}].role '{}' is there twice, one checkpoint per role", checkpoint.role));
            }
            if !is_hex(&checkpoint.sha256, 64) {
                let seen = &checkpoint.sha256;
                found.push(format!("checkpoints[{number}].sha256 is '{seen}', it must be 64 lower-case hexadecimal digits"));
            }
        }
        found
    }

    /// The checked instruments.
    ///
    /// # Errors
    /// [`InstrumentError`] of the first that is wrong.
    pub fn instruments(&self) -> Result<Vec<Instrument>, InstrumentError> {
        self.instruments.iter().map(InstrumentConfig::instrument).collect()
    }

    /// Symbol and calendar of each instrument.
    #[must_use]
    pub fn calendars(&self) -> BTreeMap<Symbol, CalendarName> {
        calendars(&self.instruments)
    }

    /// The checkpoint of a role, if there is one.
    #[must_use]
    pub fn checkpoint(&self, role: &str) -> Option<&CheckpointConfig> {
        self.checkpoints.iter().find(|checkpoint| checkpoint.role == role)
    }
}

impl TradingConfig {
    /// Reads and validates the configuration of a policy's processes.
    ///
    /// # Errors
    /// [`ConfigError`]; all violations are reported at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = read_json(path)?;
        refuse(path, config.violations())?;
        Ok(config)
    }

    /// What is wrong with the values, nothing when usable.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        check_instruments(&self.instruments, &mut found);
        for (field, amount) in [("startingEquity", self.starting_equity), ("sizing.baseNotional", self.sizing.base_notional)] {
            if amount <= Money::ZERO {
                found.push(format!("{field} is {amount}, it must be above 0"));
            }
        }
        let venue = &self.venue;
        for (field, value, most) in [
            ("venue.spreadBps", venue.spread_bps, 1_000),
            ("venue.feeBps", venue.fee_bps, 1_000),
            ("venue.partialFillBps", venue.partial_fill_bps, 10_000),
            ("venue.latencyMs", venue.latency_ms, 60_000),
        ] {
            if value > most {
                found.push(format!("{field} is {value}, it must be 0 to {most}"));
            }
        }
        found
    }

    /// The checked instruments.
    ///
    /// # Errors
    /// [`InstrumentError`] of the first that is wrong.
    pub fn instruments(&self) -> Result<Vec<Instrument>, InstrumentError> {
        self.instruments.iter().map(InstrumentConfig::instrument).collect()
    }

    /// Symbol and calendar of each instrument.
    #[must_use]
    pub fn calendars(&self) -> BTreeMap<Symbol, CalendarName> {
        calendars(&self.instruments)
    }

    /// The orchestrator's settings as its own type; nothing written means its defaults.
    ///
    /// # Errors
    /// The field that is wrong, as the type's reader says it.
    pub fn orchestrator<T: DeserializeOwned + Default>(&self) -> Result<T, serde_json::Error> {
        match &self.orchestrator {
            serde_json::Value::Null => Ok(T::default()),
            settings => serde_json::from_value(settings.clone()),
        }
    }
}

fn calendars(instruments: &[InstrumentConfig]) -> BTreeMap<Symbol, CalendarName> {
    instruments.iter().map(|config| (config.symbol.clone(), config.calendar)).collect()
}

fn refuse(path: &Path, violations: Vec<String>) -> Result<(), ConfigError> {
    if violations.is_empty() { Ok(()) } else { Err(ConfigError::Invalid { path: path.to_owned(), violations }) }
}

fn check_instruments(instruments: &[InstrumentConfig], found: &mut Vec<String>) {
    if instruments.is_empty() {
        found.push("instruments is empty, at least one is needed".into());
    }
    let mut symbols = BTreeSet::new();
    for (number, config) in instruments.iter().enumerate() {
        if !symbols.insert(&config.symbol) {
            found.push(format!("instruments[{number}].symbol '{}' is there twice, symbols must be unique", config.symbol));
        }
        if let Err(error) = config.instrument() {
            found.push(format!("instruments[{number}]: {error}"));
        }
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn trading() -> serde_json::Value {
        serde_json::json!({
            "policy": "indices", "account": "paper-1", "feed": "default",
            "instruments": [{"symbol": "SPX", "pointValue": "1", "tick": "0.01", "lot": "1"}],
            "sizing": {"baseNotional": "100000"}, "startingEquity": "1000000",
            "venue": {"spreadBps": 2, "feeBps": 1, "seed": 7, "partialFillBps": 2000, "latencyMs": 20},
            "riskEndpoint": "main-risk:9000", "executionEndpoint": "indices-execution:9000"
        })
    }

    fn bundle() -> serde_json::Value {
        serde_json::json!({
            "bundle": "0123456789ab", "policy": "indices", "feed": "default", "image": "tradewind:1",
            "instruments": [{"symbol": "SPX", "pointValue": "1", "tick": "0.01", "lot": "1"}],
            "strategic": {}, "tactical": {},
            "checkpoints": [{"role": "Tactical", "name": "a", "uri": "http://x/a", "sha256": "0".repeat(64)}]
        })
    }

    #[test]
    fn files_survive_the_round_trip() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, trading().to_string()).unwrap();
        let read = TradingConfig::load(&path).unwrap();
        assert_eq!(read.starting_equity, Money::from_units(1_000_000));
        assert_eq!((read.feed_kind, read.start_at, read.max_data_age_ms), (FeedKind::Live, StartAt::Newest, 5_000));
        std::fs::write(&path, serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(TradingConfig::load(&path).unwrap(), read);
        std::fs::write(&path, bundle().to_string()).unwrap();
        let read = BundleConfig::load(&path).unwrap();
        assert_eq!(read.checkpoint("Tactical").unwrap().file_name(), format!("{}.safetensors", "0".repeat(64)));
        assert!(read.checkpoint("Strategic").is_none());
        std::fs::write(&path, serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(BundleConfig::load(&path).unwrap(), read);
    }

    #[test]
    fn all_violations_are_reported_at_once() {
        let mut wrong = trading();
        wrong["startingEquity"] = "-1".into();
        wrong["venue"]["spreadBps"] = 1001.into();
        let same = wrong["instruments"][0].clone();
        wrong["instruments"].as_array_mut().unwrap().push(same);
        wrong["instruments"][0]["tick"] = "0".into();
        let read: TradingConfig = serde_json::from_value(wrong).unwrap();
        let found = read.violations().join("\n");
        for field in
            ["startingEquity is -1", "venue.spreadBps is 1001", "instruments[1].symbol 'SPX'", "instruments[0]: SPX: tick is 0"]
        {
            assert!(found.contains(field), "{field} is missing in\n{found}");
        }
        let mut wrong = bundle();
        wrong["bundle"] = "XYZ".into();
        wrong["instruments"] = serde_json::json!([]);
        wrong["checkpoints"][0]["sha256"] = "ABC".into();
        let found = serde_json::from_value::<BundleConfig>(wrong).unwrap().violations();
        assert_eq!(found.len(), 3, "{found:?}");
    }

    /// Ruling 14: a calendar is one of a closed list, and around the clock when nothing is said.
    #[test]
    fn calendars_are_read_and_others_refused_with_the_list() {
        let mut written = bundle();
        written["instruments"] = serde_json::json!([
            {"symbol": "SPX", "pointValue": "1", "tick": "0.01", "lot": "1", "calendar": "XNYS"},
            {"symbol": "BTC", "pointValue": "1", "tick": "0.01", "lot": "1"}
        ]);
        let read: BundleConfig = serde_json::from_value(written.clone()).unwrap();
        let symbol = |text: &str| Symbol::try_from(text.to_owned()).unwrap();
        let wanted = [(symbol("BTC"), CalendarName::AroundTheClock), (symbol("SPX"), CalendarName::Xnys)];
        assert_eq!(read.calendars(), BTreeMap::from(wanted));
        let mut mistaken = trading();
        mistaken["instruments"][0]["calendar"] = "NYSE".into();
        let error = serde_json::from_value::<TradingConfig>(mistaken).unwrap_err().to_string();
        assert!(error.contains("'NYSE' is no calendar") && error.contains("XNYS"), "{error}");
    }

    #[test]
    fn unknown_fields_bars_and_feeds_are_refused_with_the_file_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        for (field, value) in
            [("extra", "1".into()), ("strategic", serde_json::json!({"bars": "Hourly"})), ("feed", "Upper Case".into())]
        {
            let mut wrong = bundle();
            wrong[field] = value;
            std::fs::write(&path, wrong.to_string()).unwrap();
            let error = BundleConfig::load(&path).unwrap_err();
            assert!(matches!(error, ConfigError::Parse { .. }), "{field}: {error}");
            assert!(error.to_string().contains("config.json"), "{error}");
        }
        assert!(matches!(TradingConfig::load(Path::new("/nonexistent")), Err(ConfigError::Read { .. })));
    }
}
