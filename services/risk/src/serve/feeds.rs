//! The gate's own view of the market: it reads the feeds of the account's instruments itself.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tradewind_core::time::Nanos;
use tradewind_wire::admission::{Admission, Admitted};
use tradewind_wire::bus::{Bus, BusAddress, BusError, Feed, FeedKind, FeedName, Followed, Follower, SequencedBar};
use tradewind_wire::hot::EngineEnded;

use super::Running;
use super::sights::Sights;
use crate::RiskError;

/// Bars of a recorded feed that are kept for policies at different places of it.
const KEPT: usize = 4_096;
/// Distance over which reading on is cheaper than beginning anew.
const AHEAD: u64 = 1_024;
/// Messages before the first that is followed, by which the first is judged.
const REMEMBERED: u64 = 200;
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
    sights: Sights,
    stop: CancellationToken,
}

/// Why a feed gives no bar.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The gate does not take this stream, or cannot keep which one it is.
    #[error(transparent)]
    Gate(#[from] RiskError),
    /// The engine is gone.
    #[error(transparent)]
    Ended(#[from] EngineEnded),
}

impl FeedError {
    const fn is_replaced(&self) -> bool {
        matches!(self, Self::Bus(BusError::Replaced { .. }) | Self::Gate(RiskError::Replaced { .. }))
    }
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
        Self { source, bus: Arc::default(), recorded: Arc::default(), sights: Sights::default(), stop }
    }

    /// What is known of the account's feeds.
    pub(super) const fn sights(&self) -> &Sights {
        &self.sights
    }

    /// Opens a feed, if it is the stream on which the gate began.
    async fn open(&self, running: &Running, name: &FeedName) -> Result<Feed, FeedError> {
        let FeedSource::Bus(address) = &self.source else { return Err(BusError::NoFeed(name.clone()).into()) };
        let feed = {
            let mut bus = self.bus.lock().await;
            let connected = match bus.take() {
                Some(connected) => connected,
                None => Bus::connect(address).await?,
            };
            bus.insert(connected).open_feed(name).await?
        };
        let (opened, stream) = (name.clone(), feed.identity());
        running.call(move |engine| engine.follows(&opened, stream)).await??;
        Ok(feed)
    }

    /// One bar of a recorded feed; waits until the feed has it. May be dropped and called again.
    pub(super) async fn recorded(&self, running: &Running, name: &FeedName, sequence: u64) -> Result<SequencedBar, FeedError> {
        if let FeedSource::Recorded(bars) = &self.source {
            let known = bars.lock().map_or(None, |bars| bars.get(&sequence).cloned());
            return known.ok_or_else(|| BusError::NoFeed(name.clone()).into());
        }
        let read = self.read(running, name, sequence).await;
        match &read {
            Ok(bar) => self.sights.came(name, FeedKind::Replay, bar.sequence, bar.arrived),
            Err(error) => {
                self.sights.fails(name, FeedKind::Replay, &error.to_string(), error.is_replaced());
                // Whether it is still the same stream is asked anew.
                self.recorded.lock().await.remove(name);
            }
        }
        read
    }

    async fn read(&self, running: &Running, name: &FeedName, sequence: u64) -> Result<SequencedBar, FeedError> {
        let known = self.recorded.lock().await.get(name).cloned();
        let recorded = match known {
            Some(recorded) => recorded,
            None => {
                let feed = self.open(running, name).await?;
                let opened = Arc::new(Mutex::new(Recorded { feed, follower: None, bars: BTreeMap::new() }));
                Arc::clone(self.recorded.lock().await.entry(name.clone()).or_insert(opened))
            }
        };
        let bar = recorded.lock().await.bar(sequence).await?;
        Ok(bar)
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
                outcome = self.deliver(running, name, &mut next) => outcome,
                () = self.stop.cancelled() => return Ok(()),
            };
            let error = match outcome {
                Err(FeedError::Ended(ended)) => return Err(ended),
                Err(error) => error,
                Ok(never) => match never {},
            };
            self.sights.fails(name, FeedKind::Live, &error.to_string(), error.is_replaced());
            failures += 1;
            if failures.is_power_of_two() {
                tracing::warn!(feed = %name, failures, %error, "the gate's feed is not read, asking again");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Delivers bars until something fails, and says what. A feed that was never read begins at its newest bar. What is
    /// taken is what the decider takes: both judge a message by the same rules and the same bars before it.
    async fn deliver(&self, running: &Running, name: &FeedName, next: &mut u64) -> Result<Infallible, FeedError> {
        let feed = self.open(running, name).await?;
        self.sights.answers(name, FeedKind::Live);
        if *next == 1 {
            *next = feed.head().await?.last.max(1);
        }
        let listed = name.clone();
        let instruments = running.call(move |engine| Ok(engine.instruments_of(&listed))).await??;
        let mut admission = Admission::new(FeedKind::Live, instruments);
        for known in feed.read(next.saturating_sub(REMEMBERED).max(1), *next - 1).await?.into_iter().filter_map(Followed::bar) {
            admission.admit(known.sequence, &known.bar, known.arrived);
        }
        let mut follower = feed.follow(*next);
        loop {
            let come = follower.next().await?;
            let arrived_at = arrival_clock();
            *next = come.sequence().saturating_add(1);
            self.sights.came(name, FeedKind::Live, come.sequence(), arrived_at);
            match come {
                Followed::Bar(bar) => self.take(running, name, &mut admission, bar, arrived_at).await?,
                Followed::Quarantined(quarantined) => self.sights.refused(name, FeedKind::Live, &quarantined.to_string()),
                Followed::Gap { from, to } => tracing::warn!(feed = %name, from, to, "messages of the feed are gone"),
                Followed::Whole { read } => tracing::info!(feed = %name, read, "the stream holds again what it had lost"),
            }
        }
    }

    async fn take(
        &self,
        running: &Running,
        name: &FeedName,
        admission: &mut Admission,
        bar: SequencedBar,
        arrived_at: Nanos,
    ) -> Result<(), FeedError> {
        let mut admitted = admission.admit(bar.sequence, &bar.bar, bar.arrived);
        if matches!(admitted, Admitted::Other) {
            // An instrument may have been added since the feed was opened.
            let listed = name.clone();
            for instrument in running.call(move |engine| Ok(engine.instruments_of(&listed))).await?? {
                admission.list(instrument);
            }
            admitted = admission.admit(bar.sequence, &bar.bar, bar.arrived);
        }
        match admitted {
            Admitted::Taken(_) => {}
            Admitted::Quarantined(quarantined) => {
                tracing::warn!(feed = %name, %quarantined, "a bar was refused at the gate");
                self.sights.refused(name, FeedKind::Live, &quarantined.to_string());
                return Ok(());
            }
            Admitted::Duplicate { .. } | Admitted::Other => return Ok(()),
        }
        let (feed, sequence) = (name.clone(), bar.sequence);
        let taken = running.call(move |engine| engine.arrive(&feed, &bar, arrived_at)).await?;
        if let Err(error) = taken {
            tracing::warn!(feed = %name, sequence, %error, "a bar was refused at the gate");
            self.sights.refused(name, FeedKind::Live, &error.to_string());
        }
        Ok(())
    }
}
