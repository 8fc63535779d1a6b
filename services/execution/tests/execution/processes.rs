//! Both processes as they run in a pod, over gRPC on loopback: heartbeats, halt, restarts, ledgers on disk.
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{FatalKind, World, account, bar, recorded, trade, wish};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tradewind_core::time::Nanos;
use tradewind_crds::{RiskProfileSpec, samples};
use tradewind_execution::serve::ORDERS_FILE;
use tradewind_execution::{Record, ledger};
use tradewind_journal::{Journal, JournalError, digest_of};
use tradewind_risk::serve::{FeedSource, Seen, SeenAccount, ServeError, Sight, Watched};
use tradewind_venue::fills::FillModel;
use tradewind_venue::paper::PaperConfig;
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::client::{Patience, channel, until_answered};
use tradewind_wire::pinning::Pinning;
use tradewind_wire::server::ServerError;
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;
use tradewind_wire::v1::process_client::ProcessClient;
use tradewind_wire::v1::risk_client::RiskClient;

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

/// An address that was free a moment ago.
fn address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The risk service on a runtime of its own, so that nothing of it outlives a kill.
struct RiskProcess(Runtime);

impl RiskProcess {
    fn kill(self) {
        self.0.shutdown_background();
    }
}

/// The execution service as a child process.
struct ExecutionProcess(Child);

impl ExecutionProcess {
    /// SIGKILL.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

struct Pod {
    risk: SocketAddr,
    execution: SocketAddr,
    data: tempfile::TempDir,
    profile: watch::Sender<Option<Sight>>,
    account: watch::Sender<Option<SeenAccount>>,
    /// The gate's own feed.
    bars: Arc<Mutex<BTreeMap<u64, SequencedBar>>>,
}

impl Pod {
    fn new() -> Self {
        let spec = Box::new(samples::profile("main", "paper-1").spec);
        let profile = watch::Sender::new(Some(Sight::from(Seen::Profile { generation: 1, spec })));
        let fills = FillModel { spread_bps: 2, fee_bps: 1 };
        let venue = PaperConfig { fills, seed: 7, partial_fill_bps: 3_000, latency_ms: 20 };
        let account = watch::Sender::new(Some(SeenAccount::Account(Box::new(account(venue)))));
        let (risk, execution, bars) = (address(), address(), Arc::default());
        Self { risk, execution, data: tempfile::tempdir().unwrap(), profile, account, bars }
    }

    fn see(&self, generation: i64, change: impl FnOnce(&mut RiskProfileSpec)) {
        let mut spec = Box::new(samples::profile("main", "paper-1").spec);
        change(&mut spec);
        self.profile.send_replace(Some(Sight::from(Seen::Profile { generation, spec })));
    }

    fn data(&self, name: &str) -> std::path::PathBuf {
        self.data.path().join(name)
    }

    fn start_risk(&self) -> RiskProcess {
        let (data, listen, bars) = (self.data("risk"), self.risk, Arc::clone(&self.bars));
        let (profile, account) = (self.profile.subscribe(), self.account.subscribe());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            loop {
                let options = tradewind_risk::serve::Options {
                    data: data.clone(),
                    pinning: Pinning::read().unwrap(),
                    feeds: FeedSource::Recorded(Arc::clone(&bars)),
                    security: Security::PlaintextLoopback,
                    listen,
                    http: address(),
                    readiness: tradewind_wire::probes::Readiness::new(),
                };
                let watched = Watched { profile: profile.clone(), account: account.clone() };
                // The thread of the killed one may hold the journal, or its socket the port, a moment longer.
                match tradewind_risk::serve::serve(options, watched, CancellationToken::new()).await {
                    Err(ServeError::Journal(JournalError::Locked { .. }) | ServeError::Server(ServerError::Bind { .. })) => {
                        tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
                    }
                    outcome => return outcome.unwrap(),
                }
            }
        });
        RiskProcess(runtime)
    }

    fn start_execution(&self) -> ExecutionProcess {
        let config = serde_json::json!({
            "policy": "indices", "account": "paper-1", "feed": "default",
            "instruments": [
                {"symbol": "IXIC", "pointValue": "1", "tick": "0.01", "lot": "1"},
                {"symbol": "SPX", "pointValue": "1", "tick": "0.01", "lot": "1"}
            ],
            "sizing": {"baseNotional": "100000"}, "startingEquity": "1000000",
            "venue": {"spreadBps": 2, "feeBps": 1, "seed": 7, "partialFillBps": 3000, "latencyMs": 20},
            "riskEndpoint": self.risk.to_string(), "executionEndpoint": self.execution.to_string()
        });
        let file = self.data("trading.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let (listen, http) = (self.execution.to_string(), address().to_string());
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_tradewind-execution"))
            .args(["serve", "--plaintext-loopback", "--listen", &listen, "--http", &http])
            .arg("--config-file")
            .arg(&file)
            .arg("--data")
            .arg(self.data("execution"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        ExecutionProcess(child)
    }

    /// A bar comes on the feed, which the gate reads for itself.
    async fn advance(&self, client: &ExecutionClient<Channel>, bar: &v1::Bar, sequence: u64) -> v1::AccountView {
        self.bars
            .lock()
            .unwrap()
            .insert(sequence, SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar: bar.clone() });
        advance(client, bar, sequence).await
    }

    fn client(&self) -> ExecutionClient<Channel> {
        ExecutionClient::new(channel(&self.execution.to_string(), &Security::PlaintextLoopback).unwrap())
    }
}

/// Asks until there is an answer, as the decider does.
async fn surely<T, F: Future<Output = Result<tonic::Response<T>, tonic::Status>>>(call: impl FnMut() -> F) -> T {
    let stop = CancellationToken::new();
    let asking = until_answered("test", Patience::default(), &stop, |_, _| {}, call);
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("an answer within a minute").unwrap()
}

async fn advance(client: &ExecutionClient<Channel>, bar: &v1::Bar, sequence: u64) -> v1::AccountView {
    surely(|| {
        let (mut client, request) = (client.clone(), v1::AdvanceRequest { bar: Some(bar.clone()), sequence });
        async move { client.advance(request).await }
    })
    .await
}

async fn submit(client: &ExecutionClient<Channel>, trade: &v1::TradeQualified) -> v1::SubmitReply {
    surely(|| {
        let (mut client, trade) = (client.clone(), trade.clone());
        async move { client.submit(trade).await }
    })
    .await
}

fn digests(data: &Path) -> [(String, u64); 2] {
    let records: Vec<Record> = Journal::read(&data.join(ORDERS_FILE)).unwrap().collect::<Result<_, _>>().unwrap();
    let (orders, fills) = (digest_of(&ledger::orders(&records)).unwrap(), digest_of(&ledger::fills(&records)).unwrap());
    [(orders.hex(), orders.lines()), (fills.hex(), fills.lines())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_leave_the_ledgers_of_an_undisturbed_run() {
    let bars = recorded(2_300, 30);
    let mut undisturbed = World::new(FatalKind::Never);
    crate::harness::drive(&mut undisturbed, &bars);
    let pod = Pod::new();
    let (mut risk, mut execution) = (pod.start_risk(), pod.start_execution());
    let client = pod.client();
    for (sequence, bar) in (1..).zip(&bars) {
        pod.advance(&client, bar, sequence).await;
        // Every fifth bar one of them dies between the bar and the trade.
        match sequence % 10 {
            0 => {
                risk.kill();
                risk = pod.start_risk();
            }
            5 => {
                execution.kill();
                execution = pod.start_execution();
            }
            _ => {}
        }
        if let Some(side) = wish(bar) {
            submit(&client, &trade(bar, sequence, side)).await;
        }
    }
    assert_eq!(digests(&pod.data("execution")), undisturbed.digests());
    risk.kill();
    execution.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_reaches_the_next_order_and_a_silent_risk_service_stops_the_bars() {
    let pod = Pod::new();
    let (risk, execution) = (pod.start_risk(), pod.start_execution());
    let client = pod.client();
    let first = bar("SPX", 0, [1000.0; 4]);
    assert_eq!(pod.advance(&client, &first, 1).await.trading_state, "Normal");
    assert_eq!(submit(&client, &trade(&first, 1, 1)).await.status, "accepted");

    let mut watching = RiskClient::new(channel(&pod.risk.to_string(), &Security::PlaintextLoopback).unwrap());
    let mut states = watching.watch(v1::WatchRequest {}).await.unwrap().into_inner();
    let deadline = Instant::now() + Duration::from_secs(30);
    pod.see(2, |spec| spec.halt = true);
    while states.message().await.unwrap().unwrap().state != "ReduceOnly" {
        assert!(Instant::now() < deadline, "the heartbeat tells of the halt");
    }
    let view = pod.advance(&client, &bar("SPX", 1, [1000.0; 4]), 2).await;
    assert_eq!(view.trading_state, "ReduceOnly");
    let reply = submit(&client, &trade(&bar("SPX", 1, [1000.0; 4]), 2, -1)).await;
    assert!(!reply.order_ids.iter().any(|id| id.ends_with("#1")), "no entry: {reply:?}");
    let mut again = RiskClient::new(channel(&pod.risk.to_string(), &Security::PlaintextLoopback).unwrap());
    let status = again.status(v1::RiskStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.observed_generation, status.state.as_str()), (2, "ReduceOnly"));

    risk.kill();
    let mut direct = client.clone();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let request = v1::AdvanceRequest { bar: Some(bar("SPX", 2, [1000.0; 4])), sequence: 3 };
        match direct.advance(request).await {
            Err(status) => {
                assert!(status.message().starts_with("risk service"), "{status}");
                break;
            }
            Ok(_) => assert!(Instant::now() < deadline, "no bar is met without the risk service"),
        }
    }
    let risk = pod.start_risk();
    assert_eq!(pod.advance(&client, &bar("SPX", 2, [1000.0; 4]), 3).await.sequence, 3, "the same bar, once it is back");
    let mut process = ProcessClient::new(channel(&pod.execution.to_string(), &Security::PlaintextLoopback).unwrap());
    let info = process.describe(v1::DescribeRequest {}).await.unwrap().into_inner();
    assert_eq!((info.process.as_str(), info.pinning.unwrap().hot_thread_pinned), ("execution", true));
    execution.kill();
    risk.kill();
}
