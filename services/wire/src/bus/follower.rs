//! Following a feed through restarts of the server, message by message. What is missing or no bar is told, not hidden; a
//! stream that was made again under its name is never taken for the old one, nor one that lost its newest messages for whole.

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
use crate::v1;

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
    /// Knows the bar before the one that is due, if that was a bar.
    known: Option<Known>,
    /// What is known was not looked for yet since the stream may have changed.
    unsure: bool,
    /// The present consumer has brought what is known.
    found: bool,
    /// The stream was seen to end before what was read of it.
    behind: bool,
    /// It reaches that far again, and what was read there was no bar that could be known again.
    whole: bool,
}

/// Whether a bar is the one that was read.
type Known = Box<dyn Fn(&v1::Bar) -> bool + Send>;

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("feed", &self.feed).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Follower {
    pub(super) const fn new(feed: FeedName, stream: stream::Stream, identity: StreamIdentity, from: u64) -> Self {
        Self {
            feed,
            stream,
            identity,
            next: from,
            consumer: None,
            trusted: None,
            pending: None,
            gone: None,
            known: None,
            unsure: false,
            found: false,
            behind: false,
            whole: false,
        }
    }

    pub(super) fn knowing(mut self, is_it: impl Fn(&v1::Bar) -> bool + Send + 'static) -> Self {
        self.known = Some(Box::new(is_it));
        self.unsure = true;
        self
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
    /// [`BusError::Request`] when the server does not answer and [`BusError::RolledBack`] while the stream ends before what was
    /// read (call again), [`BusError::Replaced`] and [`BusError::Rewritten`] for ever.
    pub async fn next(&mut self) -> Result<Followed, BusError> {
        loop {
            if std::mem::take(&mut self.whole) {
                return Ok(Followed::Whole { read: self.next.saturating_sub(1) });
            }
            if let Some((from, to)) = self.gone.take() {
                (self.next, self.known) = (to + 1, None);
                return Ok(Followed::Gap { from, to });
            }
            if self.pending.is_none() {
                self.pending = self.receive().await?;
            }
            let Some(message) = &self.pending else { continue };
            let info = message.info();
            let info = info.map_err(|error| BusError::Request { action: "reading a message", detail: error.to_string() })?;
            if self.trusted.as_deref() != Some(info.consumer) {
                // One that the client made by itself begins behind what was read: what is there now is looked at again.
                if self.trusted.is_some() {
                    self.forget();
                    continue;
                }
                let consumer = info.consumer.to_owned();
                self.head().await?;
                self.trusted = Some(consumer);
                continue;
            }
            let (sequence, arrived) = (info.stream_sequence, info.published.unix_timestamp_nanos());
            if sequence < self.next {
                let same = match &self.known {
                    Some(is_it) if self.unsure && sequence + 1 == self.next => {
                        read_bar(&self.feed, sequence, message.subject.as_str(), &message.payload).is_ok_and(|bar| is_it(&bar))
                    }
                    _ => true,
                };
                self.pending = None;
                if !same {
                    self.forget();
                    return Err(BusError::Rewritten { stream: self.feed.stream(), sequence });
                }
                if sequence + 1 == self.next {
                    (self.unsure, self.found) = (false, true);
                    if std::mem::take(&mut self.behind) {
                        return Ok(Followed::Whole { read: sequence });
                    }
                }
                continue;
            }
            self.unsure = false;
            if std::mem::take(&mut self.behind) {
                self.whole = true;
                continue;
            }
            if sequence > self.next {
                self.gone = Some((self.next, sequence - 1));
                continue;
            }
            let read = read_bar(&self.feed, sequence, message.subject.as_str(), &message.payload);
            self.pending = None;
            self.next += 1;
            self.known = read.as_ref().ok().map(|bar| {
                let bar = bar.clone();
                Box::new(move |found: &v1::Bar| *found == bar) as Known
            });
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
                // One that has just brought what is known brings nothing more because nothing more is there.
                let found = self.found;
                self.forget();
                self.unsure = !found;
            }
            return Ok(None);
        };
        match message {
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(error)) => {
                self.forget();
                Err(BusError::Request { action: "following the feed", detail: chain(&error) })
            }
            None => {
                self.forget();
                Ok(None)
            }
        }
    }

    /// Last sequence of the stream, which must be the one on which the reader began.
    async fn head(&mut self) -> Result<u64, BusError> {
        let info = self.stream.get_info().await;
        let info = info.map_err(|error| BusError::Request { action: "reading the feed's head", detail: chain(&error) })?;
        if let Err(replaced) = self.feed.expect(self.identity, StreamIdentity::of(&info)) {
            self.forget();
            return Err(replaced);
        }
        let last = info.state.last_sequence;
        if last.saturating_add(1) < self.next {
            self.forget();
            self.behind = true;
            return Err(BusError::RolledBack { stream: self.feed.stream(), read: self.next - 1, last });
        }
        if self.known.is_none() {
            self.whole |= std::mem::take(&mut self.behind);
        }
        Ok(last)
    }

    /// Another consumer is made before anything more is read.
    fn forget(&mut self) {
        (self.consumer, self.pending, self.trusted) = (None, None, None);
        self.unsure = true;
    }

    /// A consumer from the sequence that is due, or from the bar before it that is known; none when everything up to the head is
    /// gone, which is told then.
    async fn subscribe(&mut self) -> Result<Option<Ordered>, BusError> {
        let last = self.head().await?;
        let looks = self.unsure && self.known.is_some();
        let start = if looks { self.next.saturating_sub(1).max(1) } else { self.next };
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: start },
            replay_policy: ReplayPolicy::Instant,
            max_batch: BATCH,
            ..Default::default()
        };
        let failed = |detail| BusError::Request { action: "following the feed", detail };
        let consumer = self.stream.create_consumer(config).await.map_err(|error| failed(chain(&error)))?;
        if consumer.cached_info().num_pending == 0 && last >= start {
            // The bar that is known may be gone too, and nothing else due.
            (self.gone, self.unsure) = ((last >= self.next).then_some((self.next, last)), false);
            return Ok(None);
        }
        (self.trusted, self.found) = (None, false);
        consumer.messages().await.map(Some).map_err(|error| failed(chain(&error)))
    }
}
