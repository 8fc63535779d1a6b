//! The process around the engine: its journal, the gate of the account, gRPC, probes.

mod remote;
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tradewind_core::instrument::InstrumentError;
use tradewind_journal::{Journal, JournalError};
use tradewind_wire::client::{ClientError, Expected, Patience, channel_to};
use tradewind_wire::config::TradingConfig;
use tradewind_wire::hot::{EngineEnded, HotEngine};
use tradewind_wire::identity;
use tradewind_wire::pinning::{Pinning, PinningError};
use tradewind_wire::probes::{self, ProbeError, Readiness};
use tradewind_wire::process::Describe;
use tradewind_wire::renewal::Renewal;
use tradewind_wire::server::{BoundServer, ServerError};
use tradewind_wire::telemetry::{Metrics, TelemetryError};
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_client::RiskClient;

use crate::{Engine, ExecutionConfig, ExecutionError, GateError};

pub use remote::{RemoteGate, follow_risk};
pub use service::Service;

/// Name of the engine's journal in the data directory.
pub const ORDERS_FILE: &str = "orders.journal";

/// The engine as the process runs it.
pub type Execution = Engine<RemoteGate>;

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
    /// A journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The engine refuses its journal or cannot go on.
    #[error(transparent)]
    Engine(#[from] ExecutionError),
    /// An instrument is unusable.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    /// The risk service cannot be addressed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The engine's thread cannot start.
    #[error("starting the engine's thread: {0}")]
    Thread(std::io::Error),
    /// The engine could not go on.
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
    /// `trading.json`.
    pub config: TradingConfig,
    /// Directory of the journal.
    pub data: PathBuf,
    /// Unlike that of every other process of the policy: what it claims the orders with.
    pub process: String,
    /// CPUs of the process, read before any thread was bound.
    pub pinning: Pinning,
    /// Certificates.
    pub security: Security,
    /// gRPC address.
    pub listen: SocketAddr,
    /// Address of probes and metrics.
    pub http: SocketAddr,
}

/// Runs until `stop`.
///
/// # Errors
/// [`ServeError`] when the process cannot go on; a restart continues where it was.
pub async fn serve(options: Options, stop: CancellationToken) -> Result<(), ServeError> {
    let (readiness, metrics) = (Readiness::new(), Metrics::new()?);
    readiness.hold("account", "not acquired and reconciled yet");
    let server = BoundServer::bind(options.listen, options.security.clone()).await?.renewing(Renewal::told(&readiness, &metrics));
    let risk = channel_to(&options.config.risk_endpoint, &options.security, Expected::Neighbour(identity::Process::Risk))?;
    let client = RiskClient::new(risk);
    let (sender, heartbeats) = watch::channel(None);
    let engine = open(&options, RemoteGate::new(client.clone(), heartbeats.clone()))?;
    let hot = HotEngine::start("execution", &options.pinning, engine).map_err(ServeError::Thread)?;
    let describe = Describe::new("execution", "", options.pinning, readiness.clone());
    let routes = Routes::new(describe.service()).add_service(Service::new(hot.clone(), &metrics).server());
    tracing::info!(address = %server.address(), risk = options.config.risk_endpoint, "serving");
    let outcome = tokio::select! {
        outcome = server.run(routes, stop.clone()) => outcome.map_err(ServeError::from),
        outcome = probes::serve(options.http, probes::router(readiness.clone(), metrics), stop.clone()) => outcome.map_err(ServeError::from),
        outcome = recover(&hot, &readiness, &stop) => outcome,
        outcome = obey(&hot, heartbeats, &stop) => outcome,
        () = follow_risk(client, sender, readiness.clone(), stop.clone()) => Ok(()),
        () = hot.ended() => Err(ServeError::Ended(EngineEnded)),
    };
    stop.cancel();
    outcome
}

fn open(options: &Options, gate: RemoteGate) -> Result<Execution, ServeError> {
    let path = &options.data;
    std::fs::create_dir_all(path).map_err(|source| ServeError::Data { path: path.clone(), source })?;
    let config = ExecutionConfig::from_trading(&options.config, &options.process)?;
    let records = Journal::open(&path.join(ORDERS_FILE))?;
    Ok(Engine::open(config, Box::new(records), gate)?)
}

/// Whether the engine's thread must end after this outcome.
fn is_fatal<T>(outcome: &Result<T, ExecutionError>) -> bool {
    outcome.as_ref().is_err_and(ExecutionError::is_fatal)
}

/// Acquires the account and reconciles, again and again until it succeeds; then waits for the end.
async fn recover(hot: &HotEngine<Execution>, readiness: &Readiness, stop: &CancellationToken) -> Result<(), ServeError> {
    let patience = Patience { most: Duration::from_millis(500), ..Patience::default() };
    let mut failures = 0_u32;
    loop {
        match hot.call(Execution::recover, is_fatal).await? {
            Ok(()) => break,
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => {
                failures += 1;
                if failures.is_power_of_two() {
                    tracing::warn!(failures, %error, "not reconciled yet");
                }
                readiness.hold("account", error.to_string());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(patience.pause(failures)) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
    tracing::info!("the account is acquired, the books agree");
    readiness.release("account");
    stop.cancelled().await;
    Ok(())
}

/// Takes working entries back as soon as a heartbeat restricts trading. A heartbeat that is older than the newest
/// bar says nothing about what was allowed since, and is left alone.
async fn obey(
    hot: &HotEngine<Execution>,
    mut heartbeats: watch::Receiver<Option<remote::Heartbeat>>,
    stop: &CancellationToken,
) -> Result<(), ServeError> {
    loop {
        let restricting =
            heartbeats.borrow_and_update().as_ref().map(|beat| beat.state.clone()).filter(|state| state.state != "Normal");
        if let Some(state) = restricting {
            let cancelled = hot.call(move |engine| take_back(engine, &state), is_fatal).await?;
            match cancelled {
                Ok(0) => {}
                Ok(entries) => tracing::warn!(entries, "working entries were taken back"),
                Err(error) => tracing::warn!(%error, "working entries could not be taken back yet"),
            }
        }
        tokio::select! {
            changed = heartbeats.changed() => if changed.is_err() { return Ok(()) },
            () = stop.cancelled() => return Ok(()),
        }
    }
}

fn take_back(engine: &mut Execution, state: &v1::RiskState) -> Result<u32, ExecutionError> {
    if engine.is_recovered() && state.sequence >= engine.book().sequence() { engine.cancel_entries() } else { Ok(0) }
}

impl From<GateError> for ServeError {
    fn from(error: GateError) -> Self {
        Self::Engine(error.into())
    }
}
