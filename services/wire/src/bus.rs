//! The event bus: a feed of closed bars as one JetStream stream, whose sequence is the total order.

mod feed;
mod follower;
mod kind;

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use tokio_util::sync::CancellationToken;

use crate::client::chain;
use crate::tls::TlsFiles;

pub use feed::{Feed, FeedName, Followed, Head, PendingPublish, Published, SequencedBar, StreamIdentity};
pub use follower::Follower;
pub use kind::FeedKind;

/// Requests to the server give up after this time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Bars published and not yet acknowledged; publishers keep a smaller window of their own.
const IN_FLIGHT: usize = 65_536;
/// How long the server recognises a message that is published again.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

/// What went wrong on the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server cannot be reached or refuses the connection.
    #[error("event bus {url}: {detail}; is NATS running there, with JetStream?")]
    Connect {
        /// Server address.
        url: String,
        /// What the client says.
        detail: String,
    },
    /// The name of a feed is not one.
    #[error("feed '{0}': use 1 to 32 characters of a-z, 0-9 and '-', beginning with a letter")]
    FeedName(String),
    /// The feed has no stream yet.
    #[error("feed {0} does not exist yet: nothing has been published to it")]
    NoFeed(FeedName),
    /// The stream was removed and made again: its numbers stand for other bars.
    #[error(
        "stream {stream} is another one than before ({found}, this reader began on the one {expected}): two histories must not \
         be mixed; make a new policy for the new stream, or restore the old stream"
    )]
    Replaced {
        /// Name of the stream.
        stream: String,
        /// The stream on which the reader began.
        expected: StreamIdentity,
        /// The stream of that name now.
        found: StreamIdentity,
    },
    /// The stream ends before what was read of it.
    #[error(
        "stream {stream} ends at {last}, this reader has had {read}: its server lost the newest messages (power was lost before \
         they were on its disk, or an older copy was restored); a publisher of the same recording brings them again and this goes \
         on by itself, else restore a newer copy, or make a new policy for the stream as it is"
    )]
    RolledBack {
        /// Name of the stream.
        stream: String,
        /// Last sequence that was read.
        read: u64,
        /// Last sequence of the stream.
        last: u64,
    },
    /// What was read of the stream is not what it holds there now.
    #[error(
        "stream {stream}: message {sequence} is another one than this reader has had: its server lost its newest messages, and \
         others were written under their numbers; two histories must not be mixed; restore a newer copy, or make a new policy for \
         the stream as it is"
    )]
    Rewritten {
        /// Name of the stream.
        stream: String,
        /// The message that differs.
        sequence: u64,
    },
    /// A request to the server failed.
    #[error("event bus: {action}: {detail}")]
    Request {
        /// What was attempted.
        action: &'static str,
        /// What the client says.
        detail: String,
    },
    /// Another publisher wrote to the stream, or an earlier bar was lost on the way.
    #[error(
        "feed {feed}: bar {symbol}/{index} was to follow sequence {expected}, the stream has moved; read its head and go on from there"
    )]
    Moved {
        /// Feed in question.
        feed: FeedName,
        /// Symbol of the bar.
        symbol: String,
        /// Number of the bar.
        index: u64,
        /// Last sequence that the publisher knew.
        expected: u64,
    },
}

impl BusError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn may_answer_later(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Request { .. } | Self::NoFeed(_) | Self::RolledBack { .. })
    }
}

/// Where the bus is and who calls.
#[derive(Clone, Debug)]
pub struct BusAddress {
    /// `nats://host:port`, or `tls://host:port`.
    pub url: String,
    /// Name of this process as the server lists it.
    pub name: String,
    /// Certificates for `tls://`.
    pub tls: Option<TlsFiles>,
}

/// A connection, which reconnects by itself for as long as it lives.
#[derive(Clone, Debug)]
pub struct Bus {
    context: jetstream::Context,
}

impl Bus {
    /// Connects once; fails when the server is not there.
    ///
    /// # Errors
    /// [`BusError::Connect`].
    pub async fn connect(address: &BusAddress) -> Result<Self, BusError> {
        crate::tls::install_provider();
        let mut options = async_nats::ConnectOptions::new()
            .name(&address.name)
            .connection_timeout(Duration::from_secs(2))
            .request_timeout(Some(REQUEST_TIMEOUT))
            .ping_interval(Duration::from_secs(5))
            .max_reconnects(None)
            .reconnect_delay_callback(|attempts| Duration::from_millis((attempts as u64 * 20).min(500)));
        if let Some(files) = &address.tls {
            options = options
                .require_tls(true)
                .add_root_certificates(files.ca.clone())
                .add_client_certificate(files.certificate.clone(), files.key.clone());
        }
        let failed = |error: &dyn std::error::Error| BusError::Connect { url: address.url.clone(), detail: chain(error) };
        let client = options.connect(&address.url).await.map_err(|error| failed(&error))?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .max_ack_inflight(IN_FLIGHT)
            .backpressure_on_inflight(false)
            .build(client);
        Ok(Self { context })
    }

    /// Connects as soon as the server is there. `waiting` hears of each failure.
    ///
    /// # Errors
    /// [`BusError::Connect`] with the last failure when `stop` is cancelled.
    pub async fn connect_patiently(
        address: &BusAddress,
        stop: &CancellationToken,
        mut waiting: impl FnMut(&BusError),
    ) -> Result<Self, BusError> {
        let patience = crate::client::Patience { most: Duration::from_secs(1), ..Default::default() };
        let mut failures = 0_u32;
        loop {
            let error = match Self::connect(address).await {
                Ok(bus) => return Ok(bus),
                Err(error) => error,
            };
            failures += 1;
            if failures.is_power_of_two() {
                tracing::warn!(failures, %error, "waiting for the event bus");
            }
            waiting(&error);
            tokio::select! {
                () = tokio::time::sleep(patience.pause(failures)) => {}
                () = stop.cancelled() => return Err(error),
            }
        }
    }

    /// The feed, created when it is not there: file storage, nothing is ever removed.
    ///
    /// # Errors
    /// [`BusError::Request`].
    pub async fn ensure_feed(&self, name: &FeedName) -> Result<Feed, BusError> {
        let config = stream::Config {
            name: name.stream(),
            subjects: vec![format!("bars.{name}.*")],
            storage: stream::StorageType::File,
            retention: stream::RetentionPolicy::Limits,
            discard: stream::DiscardPolicy::New,
            duplicate_window: DUPLICATE_WINDOW,
            allow_direct: true,
            deny_delete: true,
            deny_purge: true,
            ..Default::default()
        };
        let stream = self.context.get_or_create_stream(config).await;
        let stream = stream.map_err(|error| BusError::Request { action: "creating the feed's stream", detail: chain(&error) })?;
        Ok(Feed::new(name.clone(), self.context.clone(), stream))
    }

    /// The feed as it exists.
    ///
    /// # Errors
    /// [`BusError::NoFeed`] when nothing was published yet, [`BusError::Request`].
    pub async fn open_feed(&self, name: &FeedName) -> Result<Feed, BusError> {
        use jetstream::context::GetStreamErrorKind::JetStream;
        let stream = self.context.get_stream(name.stream()).await.map_err(|error| match error.kind() {
            JetStream(refusal) if refusal.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND => {
                BusError::NoFeed(name.clone())
            }
            _ => BusError::Request { action: "looking up the feed's stream", detail: chain(&error) },
        })?;
        Ok(Feed::new(name.clone(), self.context.clone(), stream))
    }
}
