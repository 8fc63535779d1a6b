//! Following a feed through restarts of the server, bar by bar, without holes.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream;
use futures::StreamExt;
use prost::Message;

use super::{BusError, FeedName, SequencedBar};
use crate::client::chain;
use crate::v1;

/// Silence after which the consumer is made anew: the server forgets consumers when it restarts.
const SILENCE: Duration = Duration::from_secs(2);
/// Largest number of bars asked for at once: bounds memory when the reader is slow.
const BATCH: i64 = 500;

/// Reads a feed in order. Dropping it forgets the consumer; nothing is acknowledged.
pub struct Follower {
    feed: FeedName,
    stream: stream::Stream,
    next: u64,
    consumer: Option<Box<Ordered>>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("feed", &self.feed).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Follower {
    pub(super) const fn new(feed: FeedName, stream: stream::Stream, from: u64) -> Self {
        Self { feed, stream, next: from, consumer: None }
    }

    /// Sequence of the bar that is due.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next
    }

    // The helpers take `&mut self` because the consumer may move between threads but not be shared.

    /// The next bar, waiting for as long as it takes. May be dropped and called again.
    ///
    /// # Errors
    /// [`BusError::Request`] when the server does not answer (call again), [`BusError::Hole`] and
    /// [`BusError::NotABar`] for a stream that cannot be followed.
    pub async fn next(&mut self) -> Result<SequencedBar, BusError> {
        loop {
            if self.consumer.is_none() {
                self.consumer = Some(Box::new(self.subscribe().await?));
            }
            let Some(consumer) = self.consumer.as_mut() else { continue };
            let Ok(message) = tokio::time::timeout(SILENCE, consumer.next()).await else {
                // Quiet feed or lost consumer: only the head tells which.
                if self.behind().await? {
                    self.consumer = None;
                }
                continue;
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.consumer = None;
                    return Err(BusError::Request { action: "following the feed", detail: chain(&error) });
                }
                None => {
                    self.consumer = None;
                    continue;
                }
            };
            let info = message.info().map(|info| info.stream_sequence);
            let sequence = info.map_err(|error| BusError::Request { action: "reading a message", detail: error.to_string() })?;
            if sequence < self.next {
                continue;
            }
            if sequence > self.next {
                return Err(BusError::Hole { stream: self.feed.stream(), expected: self.next, found: sequence });
            }
            let bar = v1::Bar::decode(message.payload.clone()).map_err(|error| self.not_a_bar(error.to_string()))?;
            if self.feed.subject(&bar.symbol) != message.subject.as_str() {
                return Err(self.not_a_bar(format!("a bar of '{}' on subject {}", bar.symbol, message.subject)));
            }
            self.next += 1;
            return Ok(SequencedBar { sequence, bar });
        }
    }

    fn not_a_bar(&self, detail: String) -> BusError {
        BusError::NotABar { stream: self.feed.stream(), sequence: self.next, detail }
    }

    async fn behind(&mut self) -> Result<bool, BusError> {
        let info = self.stream.get_info().await;
        let info = info.map_err(|error| BusError::Request { action: "reading the feed's head", detail: chain(&error) })?;
        Ok(info.state.last_sequence >= self.next)
    }

    async fn subscribe(&mut self) -> Result<Ordered, BusError> {
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next },
            replay_policy: ReplayPolicy::Instant,
            max_batch: BATCH,
            ..Default::default()
        };
        let failed = |detail| BusError::Request { action: "following the feed", detail };
        let consumer = self.stream.create_consumer(config).await.map_err(|error| failed(chain(&error)))?;
        consumer.messages().await.map_err(|error| failed(chain(&error)))
    }
}
