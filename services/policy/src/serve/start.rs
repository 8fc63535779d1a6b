//! Where a policy begins in its feed, kept beside its journal: which stream it is, and from where it decides.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tradewind_core::bar::Bar;
use tradewind_core::instrument::Symbol;
use tradewind_wire::admission::Admitted;
use tradewind_wire::bus::{Bus, BusAddress, BusError, Feed, FeedName, Followed, Follower, StreamIdentity};
use tradewind_wire::config::StartAt;
use tradewind_wire::convert::bar_from_wire;

use crate::sequencer::WARM;

use super::bars::Bars;
use super::{BUS_PAUSE, ServeError, waits};

/// Name of the file in the data directory.
pub const PLACE_FILE: &str = "feed.json";
/// Messages of the past that are read at once.
const BATCH: u64 = 2_000;

/// Where a policy began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The feed.
    pub feed: FeedName,
    /// Its stream.
    pub stream: StreamIdentity,
    /// First sequence that is decided.
    pub begin: u64,
}

/// Why the place cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// File in question.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not what this process wrote.
    #[error("{path}: {source}; the data of the policy is damaged, restore it or begin with a new policy")]
    Form {
        /// File in question.
        path: PathBuf,
        /// What the reader says.
        source: serde_json::Error,
    },
}

impl Place {
    /// The place that was kept in a directory, if one was.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn load(directory: &Path) -> Result<Option<Self>, PlaceError> {
        let path = directory.join(PLACE_FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|source| PlaceError::File { path: path.clone(), source })?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| PlaceError::Form { path, source })
    }

    /// Keeps it, whole or not at all.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn keep(&self, directory: &Path) -> Result<(), PlaceError> {
        let (path, draft) = (directory.join(PLACE_FILE), directory.join("feed.json.new"));
        let failed = |source| PlaceError::File { path: path.clone(), source };
        let text = serde_json::to_vec(self).map_err(|source| PlaceError::Form { path: path.clone(), source })?;
        let mut file = std::fs::File::create(&draft).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&draft, &path).map_err(failed)?;
        std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

/// The feed of a policy and where it begins.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) bus: BusAddress,
    pub(super) feed: FeedName,
    pub(super) start_at: StartAt,
    pub(super) data: PathBuf,
}

impl Source {
    /// Opens the feed, waiting for the server and for the first bar for as long as it takes, warms the market states with
    /// what lies before the first bar that is decided, and goes on where the journal ends.
    ///
    /// # Errors
    /// [`ServeError::Bus`] with [`BusError::Replaced`] for another stream than the one that the policy began on.
    pub(super) async fn begin(&self, bars: &mut Bars) -> Result<Follower, ServeError> {
        let mut failures = 0_u32;
        loop {
            let error = match self.try_begin(bars).await {
                Err(ServeError::Bus(error)) if error.may_answer_later() => error,
                begun => return begun,
            };
            failures += 1;
            if failures.is_power_of_two() {
                tracing::warn!(%error, failures, "the feed is not there, asking again");
            }
            waits(bars, &error);
            tokio::select! {
                () = tokio::time::sleep(BUS_PAUSE) => {}
                () = bars.stop.cancelled() => return Err(ServeError::Stopped),
            }
        }
    }

    async fn try_begin(&self, bars: &mut Bars) -> Result<Follower, ServeError> {
        let feed = Bus::connect(&self.bus).await?.open_feed(&self.feed).await?;
        let decided = bars.engine.last_sequence();
        let place = match Place::load(&self.data)? {
            Some(place) => place,
            None => {
                let begin = match self.start_at {
                    // A journal from before places were kept began with the first bar.
                    StartAt::Newest if decided == 0 => feed.head().await?.last.max(1),
                    StartAt::Newest | StartAt::Beginning => 1,
                };
                let place = Place { feed: self.feed.clone(), stream: feed.identity(), begin };
                place.keep(&self.data)?;
                tracing::info!(?place, "the policy begins");
                place
            }
        };
        if place.stream != feed.identity() || place.feed != self.feed {
            let (stream, found) = (self.feed.stream(), feed.identity());
            return Err(BusError::Replaced { stream, expected: place.stream, found }.into());
        }
        if place.begin > 1 {
            let past = past(bars, &feed, place.begin).await?;
            tokio::task::block_in_place(|| bars.engine.warm(&past))?;
        }
        bars.admission = bars.engine.admission();
        bars.live.intake().newest = bars.engine.newest();
        bars.live.intake().fault.clear();
        bars.live.waiting_for("");
        let last = bars.engine.last().filter(|entry| entry.record.sequence >= place.begin);
        let known = last.and_then(|entry| {
            let instrument = bars.engine.settings().instruments.get(&entry.record.symbol)?;
            Some((instrument.clone(), entry.bar))
        });
        Ok(match known {
            // The server may have lost that bar and have another one in its place.
            Some((instrument, bar)) => {
                feed.follow_after(decided, move |found| bar_from_wire(found, &instrument).is_ok_and(|found| found == bar))
            }
            None => feed.follow(place.begin.max(decided + 1)),
        })
    }
}

/// The bars before the first that is decided, through the same gate as all others.
async fn past(bars: &Bars, feed: &Feed, begin: u64) -> Result<Vec<(Symbol, Bar)>, ServeError> {
    let settings = bars.engine.settings();
    let mut gate = tradewind_wire::admission::Admission::new(settings.freshness.kind, settings.instruments.values().cloned());
    let mut past = Vec::new();
    let mut from = begin.saturating_sub(WARM).max(1);
    while from < begin {
        let to = (from + BATCH).min(begin) - 1;
        for found in feed.read(from, to).await?.into_iter().filter_map(Followed::bar) {
            if let Admitted::Taken(taken) = gate.admit(found.sequence, &found.bar, found.arrived) {
                past.push((taken.symbol, taken.bar));
            }
        }
        from = to + 1;
    }
    Ok(past)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_place_is_kept_and_a_damaged_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Place::load(directory.path()).unwrap(), None);
        let place = Place { feed: "default".parse().unwrap(), stream: StreamIdentity(7), begin: 12 };
        place.keep(directory.path()).unwrap();
        assert_eq!(Place::load(directory.path()).unwrap(), Some(place));
        std::fs::write(directory.path().join(PLACE_FILE), "{").unwrap();
        let error = Place::load(directory.path()).unwrap_err().to_string();
        assert!(error.contains(PLACE_FILE), "{error}");
    }
}
