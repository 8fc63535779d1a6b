//! Bars of the feed, read back: at the start, and when a question skips some.

use std::future::Future;

use tokio::sync::OnceCell;
use tradewind_wire::bus::{Bus, BusAddress, BusError, FeedName, Followed, SequencedBar, StreamIdentity};

/// Bars handed over at once.
const BATCH: u64 = 2_000;

/// Why history was not read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The thread that takes the bars.
    #[error(transparent)]
    Hot(#[from] crate::hot::HotError),
}

/// The bars that a feed holds, in order, by sequence from 1.
pub trait History: Send + Sync + 'static {
    /// Bars behind sequence `after`, at most some thousands. The second value is the sequence up to which was read;
    /// `after` itself when there is no more.
    fn read(&self, after: u64) -> impl Future<Output = Result<(Vec<SequencedBar>, u64), FeedError>> + Send;
}

/// The history on the event bus, connected at the first read.
#[derive(Debug)]
pub struct FeedHistory {
    address: BusAddress,
    bus: OnceCell<Bus>,
    name: FeedName,
    /// The stream that was read first: another one of its name has another past.
    identity: OnceCell<StreamIdentity>,
}

impl FeedHistory {
    /// History of a feed that may not exist yet: then it is empty.
    #[must_use]
    pub const fn new(address: BusAddress, name: FeedName) -> Self {
        Self { address, bus: OnceCell::const_new(), name, identity: OnceCell::const_new() }
    }
}

impl History for FeedHistory {
    async fn read(&self, after: u64) -> Result<(Vec<SequencedBar>, u64), FeedError> {
        let bus = self.bus.get_or_try_init(|| Bus::connect(&self.address)).await?;
        let feed = match bus.open_feed(&self.name).await {
            Err(BusError::NoFeed(_)) => return Ok((Vec::new(), after)),
            opened => opened?,
        };
        let expected = *self.identity.get_or_init(async || feed.identity()).await;
        if expected != feed.identity() {
            return Err(BusError::Replaced { stream: self.name.stream(), expected, found: feed.identity() }.into());
        }
        let last = feed.head().await?.last.min(after + BATCH);
        let found = feed.read(after + 1, last).await?;
        let end = found.last().map_or(after, Followed::sequence).max(after);
        for other in found.iter().filter(|found| !matches!(found, Followed::Bar(_))) {
            tracing::warn!(feed = %self.name, ?other, "the past of the feed has no bar here");
        }
        Ok((found.into_iter().filter_map(Followed::bar).collect(), end))
    }
}

/// A feed without a past, for tests and benchmarks.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHistory;

impl History for NoHistory {
    async fn read(&self, after: u64) -> Result<(Vec<SequencedBar>, u64), FeedError> {
        Ok((Vec::new(), after))
    }
}
