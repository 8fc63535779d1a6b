//! The process around the engine: journals, clients, the stream, the resource, probes.

mod bars;
mod candidate;
mod clock;
mod halt;
mod intake;
mod live;
mod metrics;
mod progress;
mod revisions;
mod start;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tradewind_journal::{Journal, JournalError};
use tradewind_wire::bus::{BusAddress, BusError, FeedName};
use tradewind_wire::client::{ClientError, Expected, channel_to};
use tradewind_wire::config::StartAt;
use tradewind_wire::convert::ConvertError;
use tradewind_wire::identity;
use tradewind_wire::pinning::{Pinning, PinningError};
use tradewind_wire::probes::{self, ProbeError, Readiness};
use tradewind_wire::process::Describe;
use tradewind_wire::renewal::Renewal;
use tradewind_wire::server::{BoundServer, ServerError};
use tradewind_wire::telemetry::{Metrics, TelemetryError};
use tradewind_wire::tls::Security;
use tradewind_wire::v1::execution_client::ExecutionClient;

use crate::control::Wanted;
use crate::evidence::{PairEntry, PairError, Pairing};
use crate::ledger::{DECISIONS_FILE, EVIDENCE_FILE};
use crate::record::Entry;
use crate::sequencer::{Engine, SequencerError};
use crate::settings::Settings;
use start::Source;

pub use bars::Bars;
pub use candidate::{Candidates, DEADLINE, Job, LATE};
pub use clock::WallClock;
pub use halt::carry as carry_halt;
pub use intake::Intake;
pub use live::Live;
pub use metrics::Figures;
pub use progress::Progress;
pub use revisions::{Revision, Revisions};
pub use start::{PLACE_FILE, Place, PlaceError};

/// Pause before the bus is asked again.
const BUS_PAUSE: Duration = Duration::from_millis(250);

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The decision journal or the engine on it.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// The evidence journal.
    #[error(transparent)]
    Pairing(#[from] PairError),
    /// A journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A service refuses for good.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A message cannot be used.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The stream cannot be followed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Where the policy began cannot be kept.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The gRPC server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The probes.
    #[error(transparent)]
    Probes(#[from] ProbeError),
    /// Metrics.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The kernel does not tell which CPUs are allowed.
    #[error(transparent)]
    Pinning(#[from] PinningError),
    /// The process stops, as it was asked to.
    #[error("stopped")]
    Stopped,
}

impl ServeError {
    /// The process ends because it was asked to.
    #[must_use]
    pub const fn is_stop(&self) -> bool {
        matches!(self, Self::Stopped | Self::Client(ClientError::Stopped { .. }))
    }
}

/// What the process is made from.
#[derive(Debug)]
pub struct Options {
    /// Settings of the engine.
    pub settings: Settings,
    /// Feed that is followed.
    pub feed: FeedName,
    /// Where a policy begins that has decided nothing yet.
    pub start_at: StartAt,
    /// The clock on the wall.
    pub clock: WallClock,
    /// The event bus.
    pub bus: BusAddress,
    /// Directory of the journals.
    pub data: PathBuf,
    /// `host:port` of the execution service.
    pub execution: String,
    /// The inference services.
    pub revisions: Revisions,
    /// Certificates.
    pub security: Security,
    /// gRPC address.
    pub listen: SocketAddr,
    /// Address of probes and metrics.
    pub http: SocketAddr,
    /// What the process waits for; shared with whoever follows the TradingPolicy.
    pub readiness: Readiness,
}

/// Runs until `stop`. `wanted` is what the TradingPolicy says; nothing is decided before it says something.
///
/// # Errors
/// [`ServeError`] when the process cannot go on; a restart continues where it was.
pub async fn serve(options: Options, wanted: watch::Receiver<Option<Wanted>>, stop: CancellationToken) -> Result<(), ServeError> {
    let metrics = Metrics::new()?;
    let figures = Figures::new(&metrics);
    let readiness = options.readiness.clone();
    let renewal = Renewal::told(&readiness, &metrics);
    readiness.hold("journal", "being read");
    let mut probes = tokio::spawn(probes::serve(options.http, probes::router(readiness.clone(), metrics), stop.clone()));
    let engine = Engine::open(options.settings.clone(), Box::new(Journal::<Entry>::open(&options.data.join(DECISIONS_FILE))?))?;
    let evidence = Journal::<PairEntry>::open(&options.data.join(EVIDENCE_FILE))?;
    let pairing = Pairing::open(options.settings.shadow(), options.settings.instruments.clone(), Box::new(evidence))?;
    tracing::info!(last_sequence = engine.last_sequence(), digest = engine.digest(), "journals read");

    let live = Live::new(&engine, pairing, wanted.clone(), options.clock);
    let describe = Describe::new("policy", "", Pinning::read()?, readiness.clone());
    let server = BoundServer::bind(options.listen, options.security.clone()).await?.renewing(renewal);
    // Not before its port is there: whoever sees a Ready pod calls it.
    readiness.release("journal");
    let routes = Routes::new(live.clone().service()).add_service(describe.service());
    let mut grpc = tokio::spawn(server.run(routes, stop.clone()));

    let expected = Expected::SameOwner(identity::Process::Execution);
    let execution = ExecutionClient::new(channel_to(&options.execution, &options.security, expected)?);
    tokio::spawn(halt::carry(execution.clone(), wanted.clone(), live.clone(), stop.clone()));
    let (failed, mut failures) = mpsc::channel(1);
    let candidates = Candidates::start(options.revisions.clone(), live.clone(), figures.clone(), failed);
    let bars = Bars {
        admission: engine.admission(),
        engine,
        execution,
        revisions: options.revisions,
        candidates,
        wanted,
        live,
        figures,
        stop: stop.clone(),
        stable: None,
        progress: Progress::default(),
    };
    let source = Source { bus: options.bus, feed: options.feed, start_at: options.start_at, data: options.data };
    let ended =
        |outcome: Result<Result<(), ServeError>, _>| outcome.unwrap_or(Err(ServeError::Stopped)).and(Err(ServeError::Stopped));
    let outcome = tokio::select! {
        outcome = run(bars, &source) => outcome,
        Some(error) = failures.recv() => Err(error.into()),
        outcome = &mut grpc => ended(outcome.map(|served| served.map_err(ServeError::from))),
        outcome = &mut probes => ended(outcome.map(|served| served.map_err(ServeError::from))),
        () = stop.cancelled() => Err(ServeError::Stopped),
    };
    // Answers in flight are given before the process ends.
    stop.cancel();
    if !grpc.is_finished() {
        let _ = grpc.await;
    }
    outcome
}

/// Follows the stream for as long as the process lives.
async fn run(mut bars: Bars, source: &Source) -> Result<(), ServeError> {
    bars.resume().await?;
    let mut follower = match source.begin(&mut bars).await {
        Err(ServeError::Bus(error)) => return no_feed(&bars, &error).await,
        begun => begun?,
    };
    loop {
        let next = {
            let next = follower.next();
            tokio::pin!(next);
            match futures::poll!(&mut next) {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    bars.settle().await;
                    tokio::select! {
                        next = &mut next => next,
                        () = bars.stop.cancelled() => return Err(ServeError::Stopped),
                    }
                }
            }
        };
        match next {
            Ok(next) => bars.take(next).await?,
            Err(error) if error.may_answer_later() => {
                waits(&bars, &error);
                tokio::time::sleep(BUS_PAUSE).await;
            }
            Err(error) => return no_feed(&bars, &error).await,
        }
    }
}

/// What a fault of the feed begins with when the stream lost what was read of it.
const ROLLED_BACK: &str = "StreamRolledBack";

/// The feed is waited for, and people are told why.
fn waits(bars: &Bars, error: &BusError) {
    if matches!(error, BusError::RolledBack { .. }) {
        bars.live.intake().fault = format!("{ROLLED_BACK}: {error}");
    }
    bars.live.waiting_for(error.to_string());
}

/// The feed cannot be followed any more and no restart would change it: the process stays, decides nothing and says why
/// until a person acts.
async fn no_feed(bars: &Bars, error: &BusError) -> Result<(), ServeError> {
    let fault = match error {
        BusError::Replaced { .. } => format!("StreamReplaced: {error}"),
        BusError::Rewritten { .. } => format!("{ROLLED_BACK}: {error}"),
        _ => format!("FeedUnusable: {error}"),
    };
    tracing::error!(fault, "the feed is not followed any more");
    bars.live.waiting_for(fault.clone());
    bars.live.intake().fault = fault;
    bars.stop.cancelled().await;
    Err(ServeError::Stopped)
}
