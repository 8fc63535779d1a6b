//! The operator as a process: probes at once, then the lease, then everything else.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, Config, ResourceExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tradewind_wire::identity::Process;
use tradewind_wire::probes::{self, ProbeError, Readiness};
use tradewind_wire::telemetry::{self, LogFormat, TelemetryError};

use crate::build::certificates::{leaf, secret_name};
use crate::build::settings::Settings;
use crate::controllers::context::Context;
use crate::controllers::{accounts, drive, model_checkpoint, pods, risk_profile, trading_policy};
use crate::runtime::authority::{AuthorityError, CurrentAuthority};
use crate::runtime::brake::Brake;
use crate::runtime::caches::{Caches, Queues, Scope, Triggers, watch_all};
use crate::runtime::certificates::{self, CHART_PROCESSES, CertificateError, OwnCertificate};
use crate::runtime::crd_check::wait_for_resources;
use crate::runtime::halt_door::{self, Door, Reviewer};
use crate::runtime::halts::{Halts, grpc_caller};
use crate::runtime::leadership::{Elector, Leadership};
use crate::runtime::lease::LeaseTerms;
use crate::runtime::metrics::Metrics;
use crate::runtime::polls::{Polls, grpc_dialer};
use crate::runtime::status_writer::StatusWriter;
use crate::runtime::writes::Writes;

/// Name of the lease.
pub const LEASE: &str = "tradewind-operator";
/// Passes under way may take this long after a signal.
const DRAIN: Duration = Duration::from_secs(5);
/// Time between two looks at the certificates of the operator's namespace.
const LOOK: Duration = Duration::from_secs(30);
/// Looks after which everything is looked at.
const LOOKS_AN_HOUR: u64 = 120;

/// Runs Tradewind's resources on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "tradewind-operator", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work until SIGTERM
    Run(RunArgs),
}

/// How to run.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Namespace of the operator: its lease, its certificate authority, its event bus
    #[arg(long, env = "POD_NAMESPACE", visible_alias = "lease-namespace", default_value = "tradewind-system")]
    pub namespace: String,
    /// Watch one namespace only; without it, all
    #[arg(long, env = "TRADEWIND_WATCH_NAMESPACE")]
    pub namespace_scope: Option<String>,
    /// Image that every process of Tradewind is started from
    #[arg(long, env = "TRADEWIND_IMAGE")]
    pub image: String,
    /// Event bus that the processes use
    #[arg(long, env = "TRADEWIND_NATS_URL", visible_alias = "nats-url")]
    pub nats: String,
    /// Storage class of journals whose spec names none; without it, the cluster's default class
    #[arg(long, env = "TRADEWIND_STORAGE_CLASS")]
    pub storage_class: Option<String>,
    /// Name of this pod: who holds the lease
    #[arg(long, env = "POD_NAME", default_value_t = host_name())]
    pub identity: String,
    /// Address of probes and metrics
    #[arg(long, default_value = "0.0.0.0:9100")]
    pub http: SocketAddr,
    /// Form of the log lines
    #[arg(long, env = "TRADEWIND_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

fn host_name() -> String {
    let name = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "tradewind-operator".to_owned() } else { name.to_owned() }
}

/// Why the operator ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Signals cannot be handled.
    #[error("signals: {0}")]
    Signals(#[from] std::io::Error),
    /// Metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// There is no API server to talk to.
    #[error("no way to the API server: {0}; run it in a pod, or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("API client: {0}")]
    Client(#[from] kube::Error),
    /// Probes cannot be served.
    #[error(transparent)]
    Probes(#[from] ProbeError),
    /// The root or a certificate of the operator's namespace.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The operator's own certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The lease went to another pod, or could not be renewed.
    #[error("the lease was lost: ending, so that nothing half-done goes on; the kubelet starts a standby")]
    LeaseLost,
}

/// Runs until a signal, or until the lease is lost.
///
/// # Errors
/// [`RunError`].
pub async fn run(args: RunArgs) -> Result<(), RunError> {
    telemetry::init_logs(args.log_format);
    tradewind_wire::tls::install_provider();
    let signal = tradewind_wire::shutdown::on_signal()?;
    let exporter = telemetry::Metrics::new()?;
    let metrics = Metrics::new(&exporter.meter("tradewind-operator"));
    metrics.leading(false);
    let readiness = Readiness::new();
    readiness.hold("lease", "another pod works");
    let mut tasks = JoinSet::new();
    let router = probes::router(readiness.clone(), exporter);
    let probes_stop = CancellationToken::new();
    let server = tokio::spawn(probes::serve(args.http, router, probes_stop.clone()));
    let client = client().await?;
    let (held, mut leadership) = Leadership::channel();
    let elector = Elector {
        api: Api::namespaced(client.clone(), &args.namespace),
        name: LEASE.to_owned(),
        identity: args.identity.clone(),
        terms: LeaseTerms::default(),
        held_until: held,
    };
    let release = CancellationToken::new();
    let election = tokio::spawn(elector.run(release.clone()));
    let mut candidacy = leadership.clone();
    let outcome = tokio::select! {
        () = signal.cancelled() => Ok(()),
        () = candidacy.acquired() => {
            metrics.leading(true);
            readiness.hold("lease", "the caches are being filled");
            lead(&args, client, leadership.clone(), &metrics, &readiness, &signal, &mut tasks).await
        }
        finished = server => finished.unwrap_or(Ok(())).map_err(RunError::from),
    };
    let lost = outcome.is_ok() && !signal.is_cancelled();
    tasks.shutdown().await;
    release.cancel();
    drop(election.await);
    leadership.lost().await;
    metrics.leading(false);
    probes_stop.cancel();
    if lost { Err(RunError::LeaseLost) } else { outcome }
}

/// The client. Retries are the reconciles' own: a request that waits inside the client would outlive the lease.
async fn client() -> Result<Client, RunError> {
    let mut config = Config::infer().await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    let agent = concat!("tradewind-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    Ok(Client::try_from(config)?)
}

/// Works until the signal or the loss of the lease.
async fn lead(
    args: &RunArgs,
    client: Client,
    mut leadership: Leadership,
    metrics: &Metrics,
    readiness: &Readiness,
    signal: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), RunError> {
    tokio::select! {
        ended = work(args, client, leadership.clone(), metrics, readiness, signal, tasks) => ended,
        () = leadership.lost() => Ok(()),
    }
}

async fn work(
    args: &RunArgs,
    client: Client,
    leadership: Leadership,
    metrics: &Metrics,
    readiness: &Readiness,
    signal: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), RunError> {
    let writes = Writes::new(client.clone(), leadership, metrics.clone());
    let now = Timestamp::now();
    let authority = CurrentAuthority::new(certificates::root(&writes, &args.namespace, None, now).await?);
    certificates::restart_outdated_bus(&writes, &args.namespace).await?;
    chart_certificates(&writes, &authority, &args.namespace, now).await?;
    let group_version = format!("{}/{}", tradewind_crds::GROUP, tradewind_crds::VERSION);
    tokio::select! {
        () = wait_for_resources(&client, &group_version, &["tradingpolicies", "riskprofiles", "modelcheckpoints"]) => {}
        () = signal.cancelled() => return Ok(()),
    }
    let (caches, writers) = Caches::new();
    let (triggers, queues) = Triggers::new();
    let brake = Brake::default();
    let scope = Scope { watched: args.namespace_scope.as_deref(), own: &args.namespace };
    watch_all(&client, scope, &caches, writers, &triggers, &brake, tasks);
    let (status, writer) = StatusWriter::new(writes.clone(), metrics.clone(), &args.identity);
    tasks.spawn(writer);
    let request = leaf(Process::Operator, &args.namespace, "tradewind-operator", "tradewind-operator");
    let own = OwnCertificate::issue(&authority.get(), request, now)?;
    let polls = Polls::new(grpc_dialer(own.security()), metrics.clone());
    let halts = Halts::new(grpc_caller(own.security()));
    let care = Care {
        namespace: args.namespace.clone(),
        writes: writes.clone(),
        authority: authority.clone(),
        own,
        caches: caches.clone(),
        triggers: triggers.clone(),
    };
    tasks.spawn(care.run());
    tasks.spawn(polls.clone().run(move |(kind, namespace, name)| match *kind {
        "TradingPolicy" => triggers.policy(namespace, name),
        _ => triggers.profile(namespace, name),
    }));
    let settings = Settings {
        image: args.image.clone(),
        nats_url: args.nats.clone(),
        storage_class: args.storage_class.clone(),
        operator_namespace: args.namespace.clone(),
        namespace_scope: args.namespace_scope.clone(),
    };
    let door = Door { caches: caches.clone(), halts: halts.clone(), reviewer: Reviewer::new(client.clone()) };
    tasks.spawn(open_door(door, signal.clone()));
    let context = Context {
        caches,
        writes,
        status,
        polls,
        halts,
        brake,
        authority,
        settings,
        metrics: metrics.clone(),
        clock: Timestamp::now,
    };
    tokio::select! {
        () = context.caches.ready() => {}
        () = signal.cancelled() => return Ok(()),
    }
    readiness.release("lease");
    info!(identity = %args.identity, "all caches are filled; working");
    control(Arc::new(context), queues, signal).await;
    Ok(())
}

/// Lets in who halts an account through the operator. Without the door everything else goes on, and spec.halt still works.
async fn open_door(door: Door, signal: CancellationToken) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, halt_door::PORT));
    if let Err(error) = probes::serve(address, halt_door::router(door), signal).await {
        warn!(%error, "`kubectl tradewind halt --now` is not served");
    }
}

async fn chart_certificates(
    writes: &Writes,
    authority: &CurrentAuthority,
    namespace: &str,
    now: Timestamp,
) -> Result<(), CertificateError> {
    for (process, name) in CHART_PROCESSES {
        let request = leaf(process, namespace, name, name);
        certificates::issue(writes, &authority.get(), namespace, &request, &secret_name(name), now).await?;
    }
    Ok(())
}

/// Looks after certificates: they come of age without any event, and Secrets of the operator's own namespace are not watched.
struct Care {
    namespace: String,
    writes: Writes,
    authority: CurrentAuthority,
    own: OwnCertificate,
    caches: Caches,
    triggers: Triggers,
}

impl Care {
    /// Looks at the Secrets of this namespace twice a minute, so that a deleted one comes back, and at everything once an
    /// hour, which also makes good a missed event. Writes nothing when nothing is due.
    async fn run(mut self) {
        for round in 1_u64.. {
            tokio::time::sleep(LOOK).await;
            let hour = round % LOOKS_AN_HOUR == 0;
            match self.look(hour, Timestamp::now()).await {
                Ok(changed) if changed || hour => self.wake_all(),
                Ok(_) => {}
                Err(error) => warn!(%error, "certificates of the operator's namespace; they are looked at again in {LOOK:?}"),
            }
        }
    }

    /// One look; whether the authority is another one, which concerns every certificate.
    async fn look(&mut self, hour: bool, now: Timestamp) -> Result<bool, CertificateError> {
        let known = self.authority.get();
        let changed = self.authority.set(certificates::root(&self.writes, &self.namespace, Some(&known), now).await?);
        self.own.renew(&self.authority.get(), now)?;
        if hour {
            certificates::restart_outdated_bus(&self.writes, &self.namespace).await?;
        }
        chart_certificates(&self.writes, &self.authority, &self.namespace, now).await?;
        Ok(changed)
    }

    fn wake_all(&self) {
        for policy in self.caches.policies.list(|_| true) {
            self.triggers.policy(&policy.namespace().unwrap_or_default(), &policy.name_any());
        }
        for profile in self.caches.profiles.list(|_| true) {
            self.triggers.profile(&profile.namespace().unwrap_or_default(), &profile.name_any());
        }
    }
}

async fn control(context: Arc<Context>, queues: Queues, signal: &CancellationToken) {
    let Queues { policies, profiles, checkpoints, tripped } = queues;
    let caches = context.caches.clone();
    let reconciles = async {
        tokio::join!(
            drive::drive(
                "model_checkpoint",
                Arc::clone(&context),
                caches.checkpoints.store().clone(),
                checkpoints,
                signal.clone(),
                model_checkpoint::reconcile
            ),
            drive::drive(
                "risk_profile",
                Arc::clone(&context),
                caches.profiles.store().clone(),
                profiles,
                signal.clone(),
                risk_profile::reconcile
            ),
            drive::drive(
                "trading_policy",
                Arc::clone(&context),
                caches.policies.store().clone(),
                policies,
                signal.clone(),
                trading_policy::reconcile
            ),
        )
    };
    let deadline = async {
        signal.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        _ = reconciles => {}
        () = pods::pull(Arc::clone(&context), tripped) => {}
        () = accounts::release_for_ever(Arc::clone(&context)) => {}
        () = deadline => warn!("reconciles are still under way after {DRAIN:?}; ending without them"),
    }
}
