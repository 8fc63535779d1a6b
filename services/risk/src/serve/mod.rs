//! The process around the engine: journal, gRPC, the watched RiskProfile, probes.

mod account;
mod feeds;
mod profile;
mod service;
mod sights;
mod turns;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tradewind_journal::{Journal, JournalError};
use tradewind_wire::hot::{EngineEnded, HotEngine, Liveness, Pulse};
use tradewind_wire::pinning::{Pinning, PinningError};
use tradewind_wire::probes::{self, ProbeError, Readiness};
use tradewind_wire::process::Describe;
use tradewind_wire::renewal::Renewal;
use tradewind_wire::server::{BoundServer, ServerError};
use tradewind_wire::telemetry::{Metrics, TelemetryError};
use tradewind_wire::tls::Security;
use tradewind_wire::v1;

use crate::{Engine, Record, RiskError};
use feeds::arrival_clock;

pub use account::{ACCOUNT_FILE, SeenAccount};
pub use feeds::{FeedSource, Feeds};
pub use profile::{Seen, Sight};
pub use service::Service;

/// Name of the journal in the data directory.
pub const JOURNAL_FILE: &str = "risk.journal";

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be made.
    #[error("data directory {path}: {source}")]
    Data {
        /// Directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The engine refuses its journal.
    #[error(transparent)]
    Engine(#[from] RiskError),
    /// The engine's thread cannot start.
    #[error("starting the engine's thread: {0}")]
    Thread(std::io::Error),
    /// The engine cannot go on.
    #[error(transparent)]
    Ended(#[from] EngineEnded),
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
}

/// What the process is made from.
#[derive(Debug)]
pub struct Options {
    /// Directory of the journal.
    pub data: PathBuf,
    /// CPUs of the process, read before any thread was bound.
    pub pinning: Pinning,
    /// Where the gate reads its feeds.
    pub feeds: FeedSource,
    /// Certificates.
    pub security: Security,
    /// gRPC address.
    pub listen: SocketAddr,
    /// Address of probes and metrics.
    pub http: SocketAddr,
    /// What the process waits for; shared with whoever follows the RiskProfile.
    pub readiness: Readiness,
}

/// The engine on its thread, and its newest state for whoever watches.
#[derive(Clone, Debug)]
pub struct Running {
    engine: HotEngine<Engine>,
    state: watch::Sender<v1::RiskState>,
}

impl Running {
    /// Puts an engine on its thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(engine: Engine, pinning: &Pinning) -> std::io::Result<Self> {
        let (state, _) = watch::channel(engine.state());
        let beating = state.clone();
        let beat = move |engine: &Engine| drop(beating.send_replace(engine.state()));
        Ok(Self { engine: HotEngine::start_beating("risk", pinning, engine, beat)?, state })
    }

    /// Calls the engine and tells watchers when its state has changed, before the caller gets the answer.
    ///
    /// # Errors
    /// [`EngineEnded`] when the engine could not go on.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Engine) -> Result<T, RiskError> + Send + 'static,
    ) -> Result<Result<T, RiskError>, EngineEnded> {
        let sender = self.state.clone();
        let work = move |engine: &mut Engine| {
            let outcome = call(engine);
            let state = engine.state();
            sender.send_if_modified(|known| {
                let changed = *known != state;
                if changed {
                    *known = state;
                }
                changed
            });
            outcome
        };
        self.engine.call(work, |outcome| outcome.as_ref().is_err_and(RiskError::is_fatal)).await
    }

    /// When the engine's thread beat last.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.engine.pulse()
    }

    /// The state as it changes, and with every beat of the engine's thread.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<v1::RiskState> {
        self.state.subscribe()
    }
}

/// What the API server says, as it changes.
#[derive(Debug)]
pub struct Watched {
    /// The RiskProfile.
    pub profile: watch::Receiver<Option<Sight>>,
    /// Policies and instruments of the account.
    pub account: watch::Receiver<Option<SeenAccount>>,
}

/// Runs until `stop`; a journal with an account answers before the API server says anything.
///
/// # Errors
/// [`ServeError`] when the process cannot go on; a restart continues where it was.
pub async fn serve(options: Options, watched: Watched, stop: CancellationToken) -> Result<(), ServeError> {
    let (readiness, metrics, liveness) = (options.readiness, Metrics::new()?, Liveness::default());
    readiness.hold("profile", "no valid RiskProfile has been read yet");
    let server = BoundServer::bind(options.listen, options.security).await?.renewing(Renewal::told(&readiness, &metrics));
    let router = probes::living_router(readiness.clone(), metrics.clone(), liveness.clone());
    let probes = probes::serve(options.http, router, stop.clone());
    let describe = Describe::new("risk", "", options.pinning.clone(), readiness.clone());
    let running = async {
        let Some(engine) = open(&options.data, watched.profile.clone(), &stop).await? else { return Ok(()) };
        let running = Running::start(engine, &options.pinning).map_err(ServeError::Thread)?;
        liveness.follow(running.pulse());
        let feeds = feeds::Feeds::new(options.feeds.clone(), stop.clone());
        let service = Service::new(running.clone(), feeds.clone(), &metrics);
        let routes = Routes::new(describe.service()).add_service(service.server());
        tracing::info!(address = %server.address(), "serving");
        tokio::select! {
            outcome = server.run(routes, stop.clone()) => Ok(outcome?),
            outcome = profile::apply(&running, watched.profile, &readiness, &stop) => Ok(outcome?),
            outcome = account::apply(&running, watched.account, &readiness, &stop) => Ok(outcome?),
            outcome = feeds.follow_live(&running) => Ok(outcome?),
            () = running.engine.ended() => Err(ServeError::Ended(EngineEnded)),
        }
    };
    let outcome = tokio::select! {
        outcome = running => outcome,
        outcome = probes => Ok(outcome?),
    };
    stop.cancel();
    outcome
}

/// Opens the engine on its journal. Only the first start needs the RiskProfile, to know the account.
async fn open(
    data: &std::path::Path,
    mut seen: watch::Receiver<Option<Sight>>,
    stop: &CancellationToken,
) -> Result<Option<Engine>, ServeError> {
    std::fs::create_dir_all(data).map_err(|source| ServeError::Data { path: data.to_owned(), source })?;
    let journal = Journal::<Record>::open(&data.join(JOURNAL_FILE))?;
    if journal.opened().records > 0 {
        return Ok(Some(Engine::reopen(Box::new(journal))?));
    }
    let account = tokio::select! {
        account = seen.wait_for(|seen| matches!(seen, Some(Sight { seen: Seen::Profile { .. }, .. }))) => match account.as_deref() {
            Ok(Some(Sight { seen: Seen::Profile { spec, .. }, .. })) => spec.account.clone(),
            _ => return Ok(None),
        },
        () = stop.cancelled() => return Ok(None),
    };
    // The time of its beginning is the name of the journal: another volume, another name, other ids.
    Ok(Some(Engine::open_as(&account, &format!("{:x}", arrival_clock().0), Box::new(journal))?))
}
