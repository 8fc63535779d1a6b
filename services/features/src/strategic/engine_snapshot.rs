//! The state of an engine, carried from one process to the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::Symbol;

use super::decision::{ModelParameters, StrategicNetwork};
use super::engine::{KEPT, StrategicEngine, SymbolState};
use super::features::RETAINED;
use super::schema::SCHEMA;
use super::stage::{StageConfigError, StrategicStageConfig};

/// Version of the form of a snapshot; another one is refused.
const VERSION: u32 = 2;

/// Why a snapshot cannot be used; the bars must be read again then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The configuration cannot be served at all.
    #[error(transparent)]
    Config(#[from] StageConfigError),
    /// The bytes are not those that were written.
    #[error("the snapshot is damaged: its content has another digest")]
    Damaged,
    /// The content is none of this version.
    #[error("the snapshot cannot be read or written: {0}")]
    Unreadable(String),
    /// It was made with other constants, another schema or calendar, or by another version.
    #[error("the snapshot was made for another configuration or by another version")]
    OtherConfiguration,
    /// It holds other symbols.
    #[error("the snapshot holds the symbols {found:?}, the bundle trades {wanted:?}")]
    OtherSymbols {
        /// Symbols of the snapshot.
        found: Vec<Symbol>,
        /// Symbols of the bundle.
        wanted: Vec<Symbol>,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    configuration: String,
    symbols: &'a BTreeMap<Symbol, SymbolState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    configuration: String,
    symbols: BTreeMap<Symbol, SymbolState>,
}

impl<N: StrategicNetwork> StrategicEngine<N> {
    /// Everything that [`StrategicEngine::restore`] needs: a line with a digest, then JSON, a few MB per symbol.
    ///
    /// Networks, thresholds and decisions are not part of it: features and events do not depend on them, so that any
    /// bundle with the same constants can continue, and what is asked again is decided again, the same.
    ///
    /// # Errors
    /// [`SnapshotError::Unreadable`]
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let written = Written { configuration: configuration(&self.config), symbols: &self.symbols };
        let content = serde_json::to_vec(&written).map_err(|error| SnapshotError::Unreadable(error.to_string()))?;
        let mut bytes = digest(&content).into_bytes();
        bytes.push(b'\n');
        bytes.extend(content);
        Ok(bytes)
    }

    /// An engine that continues where another stopped, bit for bit as if there had been no stop.
    ///
    /// The digest finds damage, it proves no origin: read snapshots only from where this process writes them.
    ///
    /// # Errors
    /// [`SnapshotError`]: read the bars again with [`StrategicEngine::warm`] then.
    pub fn restore(
        config: StrategicStageConfig,
        model: ModelParameters,
        symbols: &[(Symbol, CalendarName)],
        network: N,
        snapshot: &[u8],
    ) -> Result<Self, SnapshotError> {
        let mut engine = Self::new(config, model, symbols, network)?;
        let line = snapshot.iter().position(|byte| *byte == b'\n').ok_or(SnapshotError::Damaged)?;
        let (written, content) = (&snapshot[..line], &snapshot[line + 1..]);
        if digest(content).as_bytes() != written {
            return Err(SnapshotError::Damaged);
        }
        let read: Read = serde_json::from_slice(content).map_err(|error| SnapshotError::Unreadable(error.to_string()))?;
        if read.configuration != configuration(&engine.config) {
            return Err(SnapshotError::OtherConfiguration);
        }
        if !read.symbols.keys().eq(engine.symbols.keys()) {
            let [found, wanted] = [&read.symbols, &engine.symbols].map(|symbols| symbols.keys().cloned().collect());
            return Err(SnapshotError::OtherSymbols { found, wanted });
        }
        let clock = |state: &SymbolState| state.stream.features().clock();
        if !read.symbols.values().map(clock).eq(engine.symbols.values().map(clock)) {
            return Err(SnapshotError::OtherConfiguration);
        }
        engine.symbols = read.symbols;
        Ok(engine)
    }
}

/// Digest of everything that shapes the state: constants, schema, lengths of rings, version.
fn configuration(config: &StrategicStageConfig) -> String {
    let shape = serde_json::json!({
        "version": VERSION, "schema": SCHEMA.name, "kept": KEPT, "retained": RETAINED,
        "bars": config.bars, "features": config.features, "gaps": config.gaps,
    });
    digest(shape.to_string().as_bytes())
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
