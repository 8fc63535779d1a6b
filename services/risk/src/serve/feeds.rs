//! The gate's own view of the market: it reads the feeds of the account's instruments itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tradewind_core::time::Nanos;
use tradewind_wire::bus::{Bus, BusAddress, BusError, Feed, FeedKind, FeedName, Follower, SequencedBar};
use tradewind_wire::hot::EngineEnded;

use super::Running;
use crate::RiskError;

/// Bars of a recorded feed that are kept for policies at different places of it.
const KEPT: usize = 4_096;
/// Distance over which reading on is cheaper than beginning anew.
const AHEAD: u64 = 1_024;
/// Pause before the bus is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// The clock of arrival: UTC nanoseconds. Read at the edge, injected into the engine.
pub(super) fn arrival_clock() -> Nanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Where the gate's feeds are read.
#[derive(Clone, Debug)]
pub enum FeedSource {
    /// The event bus.
    Bus(BusAddress),
    /// Recorded bars by sequence, of every feed: for a process that is given its bars.
    Recorded(Arc<std::sync::Mutex<BTreeMap<u64, SequencedBar>>>),
}

/// The feeds of the account.
#[derive(Clone, Debug)]
pub struct Feeds {
    source: FeedSource,
    bus: Arc<Mutex<Option<Bus>>>,
    recorded: Arc<Mutex<BTreeMap<FeedName, Arc<Mutex<Recorded>>>>>,
    stop: CancellationToken,
}

/// A recorded feed, read where it is asked for.
#[derive(Debug)]
struct Recorded {
    feed: Feed,
    follower: Option<Follower>,
    bars: BTreeMap<u64, SequencedBar>,
}

impl Recorded {
    async fn bar(&mut self, sequence: u64) -> Result<SequencedBar, BusError> {
        loop {
            if let Some(bar) = self.bars.get(&sequence) {
                return Ok(bar.clone());
            }
            let near = |follower: &Follower| (follower.next_sequence()..=follower.next_sequence() + AHEAD).contains(&sequence);
            if !self.follower.as_ref().is_some_and(near) {
                self.follower = Some(self.feed.follow(sequence));
            }
            let Some(follower) = &mut self.follower else { continue };
            let next = follower.next().await?;
            let come = next.sequence();
            if let Some(bar) = next.bar() {
                self.bars.insert(bar.sequence, bar);
            }
            // The farthest go first: policies may be at very different places.
            while self.bars.len() > KEPT {
                let far = |at: Option<&u64>| at.map_or(0, |at| at.abs_diff(sequence));
                if far(self.bars.keys().next()) > far(self.bars.keys().next_back()) {
                    self.bars.pop_first();
                } else {
                    self.bars.pop_last();
                }
            }
            if come >= sequence && !self.bars.contains_key(&sequence) {
                let detail = format!("the stream holds no bar at sequence {sequence}");
                return Err(BusError::Request { action: "reading a bar of the feed", detail });
            }
        }
    }
}

impl Feeds {
    /// Feeds that are read from there until `stop`.
    #[must_use]
    pub fn new(source: FeedSource, stop: CancellationToken) -> Self {
        Self { source, bus: Arc::default(), recorded: Arc::default(), stop }
    }

    async fn open(&self, name: &FeedName) -> Result<Feed, BusError> {
        let FeedSource::Bus(address) = &self.source else { return Err(BusError::NoFeed(name.clone())) };
        let mut bus = self.bus.lock().await;
        let connected = match bus.take() {
            Some(connected) => connected,
            None => Bus::connect(address).await?,
        };
        bus.insert(connected).open_feed(name).await
    }

    /// One bar of a recorded feed; waits until the feed has it. May be dropped and called again.
    pub(super) async fn recorded(&self, name: &FeedName, sequence: u64) -> Result<SequencedBar, BusError> {
        if let FeedSource::Recorded(bars) = &self.source {
            let known = bars.lock().map_or(None, |bars| bars.get(&sequence).cloned());
            return known.ok_or_else(|| BusError::NoFeed(name.clone()));
        }
        let known = self.recorded.lock().await.get(name).cloned();
        let recorded = match known {
            Some(recorded) => recorded,
            None => {
                let feed = self.open(name).await?;
                let opened = Arc::new(Mutex::new(Recorded { feed, follower: None, bars: BTreeMap::new() }));
                Arc::clone(self.recorded.lock().await.entry(name.clone()).or_insert(opened))
            }
        };
        recorded.lock().await.bar(sequence).await
    }

    /// Follows every live feed of the account until the process stops; new ones as the resources name them.
    pub(super) async fn follow_live(&self, running: &Running) -> Result<(), EngineEnded> {
        let (mut followed, mut tasks) = (BTreeSet::new(), tokio::task::JoinSet::new());
        let mut state = running.watch();
        loop {
            let feeds = running.call(|engine| Ok(engine.feeds())).await?.unwrap_or_default();
            for (feed, kind, newest) in feeds {
                if kind == FeedKind::Live && followed.insert(feed.clone()) {
                    let (feeds, running) = (self.clone(), running.clone());
                    tasks.spawn(async move { feeds.follow(&running, &feed, newest).await });
                }
            }
            tokio::select! {
                Some(ended) = tasks.join_next() => if let Ok(Err(ended)) = ended { return Err(ended) },
                changed = state.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn follow(&self, running: &Running, name: &FeedName, newest: u64) -> Result<(), EngineEnded> {
        let (mut next, mut failures) = (newest + 1, 0_u32);
        while !self.stop.is_cancelled() {
            let outcome = tokio::select! {
                outcome = self.deliver(running, name, &mut next) => outcome?,
                () = self.stop.cancelled() => return Ok(()),
            };
            failures += 1;
            if failures.is_power_of_two() {
                tracing::warn!(feed = %name, failures, error = %outcome, "the gate's feed is not read, asking again");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Delivers bars until the bus fails, and says how it did. A feed that was never read begins at its newest bar.
    async fn deliver(&self, running: &Running, name: &FeedName, next: &mut u64) -> Result<BusError, EngineEnded> {
        let feed = match self.open(name).await {
            Ok(feed) => feed,
            Err(error) => return Ok(error),
        };
        if *next == 1 {
            match feed.head().await {
                Ok(head) => *next = head.last.max(1),
                Err(error) => return Ok(error),
            }
        }
        let mut follower = feed.follow(*next);
        loop {
            let come = match follower.next().await {
                Ok(come) => come,
                Err(error) => return Ok(error),
            };
            *next = come.sequence().saturating_add(1);
            let Some(bar) = come.bar() else { continue };
            let (feed, arrived_at) = (name.clone(), arrival_clock());
            let (sequence, symbol) = (bar.sequence, bar.bar.symbol.clone());
            let taken = running.call(move |engine| engine.arrive(&feed, &bar, arrived_at)).await?;
            if let Err(error) = taken.as_ref().map_err(RiskError::to_string) {
                tracing::warn!(feed = %name, sequence, symbol, error, "a bar was refused at the gate");
            }
        }
    }
}
