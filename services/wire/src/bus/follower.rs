//! Following a feed through restarts of the server, message by message. What is missing or no bar is told, not hidden; a
//! stream that was made again under its name is never taken for the old one.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream;
use futures::StreamExt;
use tradewind_core::time::Nanos;

use super::feed::read_bar;
use super::{BusError, FeedName, Followed, SequencedBar, StreamIdentity};
use crate::client::chain;

/// Silence after which the consumer is made anew: the server forgets consumers when it restarts.
const SILENCE: Duration = Duration::from_secs(2);
/// Largest number of bars asked for at once: bounds memory when the reader is slow.
const BATCH: i64 = 500;

/// Reads a feed in order. Dropping it forgets the consumer; nothing is acknowledged.
pub struct Follower {
    feed: FeedName,
    stream: stream::Stream,
    identity: StreamIdentity,
    next: u64,
    consumer: Option<Box<Ordered>>,
    /// Name of the consumer that is known to belong to the stream: the client makes a new one by itself, on whatever
    /// stream has the name by then.
    trusted: Option<String>,
    /// A message that came and was not handed on yet.
    pending: Option<jetstream::Message>,
    /// Messages that are gone and were not told yet.
    gone: Option<(u64, u64)>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("feed", &self.feed).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Follower {
    pub(super) const fn new(feed: FeedName, stream: stream::Stream, identity: StreamIdentity, from: u64) -> Self {
        Self { feed, stream, identity, next: from, consumer: None, trusted: None, pending: None, gone: None }
    }

    /// Sequence of the bar that is due.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next
    }

    // The helpers take `&mut self` because the consumer may move between threads but not be shared.

    /// What comes next, waiting for as long as it takes. May be dropped and called again.
    ///
    /// # Errors
    /// [`BusError::Request`] when the server does not answer (call again), [`BusError::Replaced`] for ever once the stream
    /// was removed and made again.
    pub async fn next(&mut self) -> Result<Followed, BusError> {
        loop {
            if let Some((from, to)) = self.gone.take() {
                self.next = to + 1;
                return Ok(Followed::Gap { from, to });
            }
            if self.pending.is_none() {
                self.pending = self.receive().await?;
            }
            let Some(message) = &self.pending else { continue };
            let info = message.info();
            let info = info.map_err(|error| BusError::Request { action: "reading a message", detail: error.to_string() })?;
            if self.trusted.as_deref() != Some(info.consumer) {
                let consumer = info.consumer.to_owned();
                self.head().await?;
                self.trusted = Some(consumer);
                continue;
            }
            let (sequence, arrived) = (info.stream_sequence, info.published.unix_timestamp_nanos());
            if sequence < self.next {
                self.pending = None;
                continue;
            }
            if sequence > self.next {
                self.gone = Some((self.next, sequence - 1));
                continue;
            }
            let read = read_bar(&self.feed, sequence, message.subject.as_str(), &message.payload);
            self.pending = None;
            self.next += 1;
            let arrived = Nanos(i64::try_from(arrived).unwrap_or(i64::MAX));
            return Ok(read.map_or_else(Followed::Quarantined, |bar| Followed::Bar(SequencedBar { sequence, arrived, bar })));
        }
    }

    /// The next message of the consumer; none when the consumer has to be made anew, or was.
    async fn receive(&mut self) -> Result<Option<jetstream::Message>, BusError> {
        if self.consumer.is_none() {
            self.consumer = self.subscribe().await?.map(Box::new);
        }
        let Some(consumer) = self.consumer.as_mut() else { return Ok(None) };
        let Ok(message) = tokio::time::timeout(SILENCE, consumer.next()).await else {
            // Quiet feed or lost consumer: only the head tells which.
            if self.head().await? >= self.next {
                self.consumer = None;
            }
            return Ok(None);
        };
        match message {
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(error)) => {
                self.consumer = None;
                Err(BusError::Request { action: "following the feed", detail: chain(&error) })
            }
            None => {
                self.consumer = None;
                Ok(None)
            }
        }
    }

    /// Last sequence of the stream, which must be the one on which the reader began.
    async fn head(&mut self) -> Result<u64, BusError> {
        let info = self.stream.get_info().await;
        let info = info.map_err(|error| BusError::Request { action: "reading the feed's head", detail: chain(&error) })?;
        if let Err(replaced) = self.feed.expect(self.identity, StreamIdentity::of(&info)) {
            (self.consumer, self.pending, self.trusted) = (None, None, None);
            return Err(replaced);
        }
        Ok(info.state.last_sequence)
    }

    /// A consumer from the sequence that is due; none when everything up to the head is gone, which is told then.
    async fn subscribe(&mut self) -> Result<Option<Ordered>, BusError> {
        let last = self.head().await?;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next },
            replay_policy: ReplayPolicy::Instant,
            max_batch: BATCH,
            ..Default::default()
        };
        let failed = |detail| BusError::Request { action: "following the feed", detail };
        let consumer = self.stream.create_consumer(config).await.map_err(|error| failed(chain(&error)))?;
        if consumer.cached_info().num_pending == 0 && last >= self.next {
            self.gone = Some((self.next, last));
            return Ok(None);
        }
        self.trusted = None;
        consumer.messages().await.map(Some).map_err(|error| failed(chain(&error)))
    }
}
