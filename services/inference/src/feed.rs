//! Bars of the feed, read back: at the start, and when a question skips some.

use std::future::Future;

use tokio::sync::OnceCell;
use tradewind_wire::bus::{Bus, BusAddress, BusError, FeedName};
use tradewind_wire::v1;

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
    /// Bars behind sequence `after`, at most some thousands; none when there are no more. The
    /// second value is the sequence of the last.
    fn read(&self, after: u64) -> impl Future<Output = Result<(Vec<v1::Bar>, u64), FeedError>> + Send;
}

/// The history on the event bus, connected at the first read.
#[derive(Debug)]
pub struct FeedHistory {
    address: BusAddress,
    bus: OnceCell<Bus>,
    name: FeedName,
}

impl FeedHistory {
    /// History of a feed that may not exist yet: then it is empty.
    #[must_use]
    pub const fn new(address: BusAddress, name: FeedName) -> Self {
        Self { address, bus: OnceCell::const_new(), name }
    }
}

impl History for FeedHistory {
    async fn read(&self, after: u64) -> Result<(Vec<v1::Bar>, u64), FeedError> {
        let bus = self.bus.get_or_try_init(|| Bus::connect(&self.address)).await?;
        let feed = match bus.open_feed(&self.name).await {
            Err(BusError::NoFeed(_)) => return Ok((Vec::new(), after)),
            opened => opened?,
        };
        let last = feed.head().await?.last.min(after + BATCH);
        let found = feed.read(after + 1, last).await?;
        let end = found.last().map_or(after, |bar| bar.sequence);
        Ok((found.into_iter().map(|found| found.bar).collect(), end))
    }
}

/// A feed without a past, for tests and benchmarks.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHistory;

impl History for NoHistory {
    async fn read(&self, after: u64) -> Result<(Vec<v1::Bar>, u64), FeedError> {
        Ok((Vec::new(), after))
    }
}
