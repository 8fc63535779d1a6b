//! The whole process on a real NATS server: where it begins, and case D14.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "policy/fixture.rs"]
mod fixture;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use fixture::{PAPER, STABLE, decision, settings, stream, symbol};
use prost::Message;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_policy::serve::{Options, Revisions, ServeError, WallClock, serve};
use tradewind_policy::{Routing, Wanted};
use tradewind_wire::bus::{BusAddress, Feed, FeedName};
use tradewind_wire::client::channel;
use tradewind_wire::config::StartAt;
use tradewind_wire::convert::{bar_from_wire, bar_to_wire, money_to_wire};
use tradewind_wire::server::BoundServer;
use tradewind_wire::testing::NatsServer;
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::execution_server::{Execution, ExecutionServer};
use tradewind_wire::v1::inference_server::{Inference, InferenceServer};
use tradewind_wire::v1::policy_engine_client::PolicyEngineClient;

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

/// Execution and inference that answer everything.
#[derive(Clone, Copy)]
struct World;

#[tonic::async_trait]
impl Execution for World {
    async fn advance(&self, request: Request<v1::AdvanceRequest>) -> Result<Response<v1::AccountView>, Status> {
        let equity = Some(money_to_wire(Money::from_units(1_000_000)).unwrap());
        let sequence = request.into_inner().sequence;
        Ok(Response::new(v1::AccountView { sequence, equity, trading_state: "Normal".into(), ..v1::AccountView::default() }))
    }

    async fn submit(&self, request: Request<v1::TradeQualified>) -> Result<Response<v1::SubmitReply>, Status> {
        Ok(Response::new(v1::SubmitReply { trade_id: request.into_inner().trade_id, ..v1::SubmitReply::default() }))
    }

    async fn halt(&self, _: Request<v1::HaltRequest>) -> Result<Response<v1::HaltReply>, Status> {
        Ok(Response::new(v1::HaltReply::default()))
    }

    async fn settle(&self, _: Request<v1::SettleRequest>) -> Result<Response<v1::SettleReply>, Status> {
        Ok(Response::new(v1::SettleReply {}))
    }
}

#[tonic::async_trait]
impl Inference for World {
    async fn decide(&self, request: Request<v1::DecideRequest>) -> Result<Response<v1::Decision>, Status> {
        let message = request.into_inner().bar.unwrap();
        let name = symbol(&message.symbol);
        let bar = bar_from_wire(&message, &settings().instruments[&name]).unwrap();
        let hold = decision(STABLE, &name, &bar, false);
        Ok(Response::new(v1::Decision {
            bundle: hold.bundle,
            symbol: message.symbol,
            index: hold.index,
            close_time_ns: hold.close_time.0,
            reason: "hold_vote".into(),
            ..v1::Decision::default()
        }))
    }
}

fn name() -> FeedName {
    "default".parse().unwrap()
}

fn bar(sequence: u64) -> v1::Bar {
    let (_, name, bar) = stream(sequence).pop().unwrap();
    bar_to_wire(&bar, &settings().instruments[&name]).unwrap()
}

async fn publish(feed: &Feed, bar: &v1::Bar, after: u64) {
    feed.send(bar, after).await.unwrap().acknowledged().await.unwrap();
}

async fn listen(routes: Routes, stop: &CancellationToken) -> String {
    let server = BoundServer::bind("127.0.0.1:0".parse().unwrap(), Security::PlaintextLoopback).await.unwrap();
    let address = server.address().to_string();
    tokio::spawn(server.run(routes, stop.clone()));
    address
}

/// A free port; another process may take it meanwhile, then the test fails loudly.
fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

struct Process {
    running: JoinHandle<Result<(), ServeError>>,
    stop: CancellationToken,
    client: PolicyEngineClient<tonic::transport::Channel>,
}

async fn start(server: &NatsServer, data: &Path, start_at: StartAt) -> Process {
    let stop = CancellationToken::new();
    let execution = listen(Routes::new(ExecutionServer::new(World)), &stop).await;
    let inference = listen(Routes::new(InferenceServer::new(World)), &stop).await;
    let elsewhere = BTreeMap::from([(STABLE.to_owned(), inference)]);
    let (listen, http) = (free_port(), free_port());
    let options = Options {
        settings: settings(),
        feed: name(),
        start_at,
        clock: WallClock::new(|| Nanos(1)),
        bus: BusAddress { url: server.url(), name: "test".into(), tls: None },
        data: data.to_owned(),
        execution,
        revisions: Revisions::new("indices".into(), "trading".into(), Security::PlaintextLoopback, elsewhere),
        security: Security::PlaintextLoopback,
        listen,
        http,
        readiness: tradewind_wire::probes::Readiness::new(),
    };
    let wanted = Wanted { control: PAPER, routing: Routing::fixed(STABLE), generation: 1 };
    let (sender, receiver) = watch::channel(Some(wanted));
    let stopping = stop.clone();
    // On a thread of its own, as its main runs it.
    let runtime = tokio::runtime::Handle::current();
    let running = tokio::task::spawn_blocking(move || {
        let _sender = sender;
        runtime.block_on(serve(options, receiver, stopping))
    });
    let client = PolicyEngineClient::new(channel(&listen.to_string(), &Security::PlaintextLoopback).unwrap());
    Process { running, stop, client }
}

impl Process {
    /// Waits until status says so, and the process still runs.
    async fn until(&mut self, condition: impl Fn(&v1::PolicyStatus) -> bool) -> v1::PolicyStatus {
        let (give_up, mut last) = (Instant::now() + Duration::from_secs(60), None);
        loop {
            assert!(!self.running.is_finished(), "the process ended; last {last:?}");
            assert!(Instant::now() < give_up, "not within 60 s; last {last:?}");
            if let Ok(status) = self.client.status(v1::PolicyStatusRequest {}).await {
                let status = status.into_inner();
                if condition(&status) {
                    return status;
                }
                last = Some(status);
            }
            tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
        }
    }

    async fn stopped(self) {
        self.stop.cancel();
        assert!(self.running.await.unwrap().unwrap_err().is_stop());
    }
}

/// `startAt: Newest`: what was there before is not decided, a restart goes on where the journal is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_new_policy_begins_at_the_newest_bar() {
    let (server, data) = (NatsServer::start().unwrap(), tempfile::tempdir().unwrap());
    let feed = server.connect().await.unwrap().ensure_feed(&name()).await.unwrap();
    for sequence in 1..=200 {
        publish(&feed, &bar(sequence), sequence - 1).await;
    }
    let mut newest = start(&server, data.path(), StartAt::Newest).await;
    let status = newest.until(|status| status.last_sequence == 200).await;
    assert_eq!((status.bars_decided, status.feed_fault.as_str()), (1, ""));
    assert_ne!(status.active_policy_note, "market state not known yet", "it is warm");
    newest.stopped().await;
    for sequence in 201..=205 {
        publish(&feed, &bar(sequence), sequence - 1).await;
    }
    let mut again = start(&server, data.path(), StartAt::Newest).await;
    assert_eq!(again.until(|status| status.last_sequence == 205).await.bars_decided, 6, "nothing is left out");
    again.stopped().await;
    let other = tempfile::tempdir().unwrap();
    let mut all = start(&server, other.path(), StartAt::Beginning).await;
    assert_eq!(all.until(|status| status.last_sequence == 205).await.bars_decided, 205);
    all.stopped().await;
}

/// D14, D4, D5 on the bus: what is wrong is counted by name, a stream that was made again is told and nothing crashes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the NATS server that `make test` builds"]
async fn no_feed_ends_the_process() {
    let (server, data) = (NatsServer::start().unwrap(), tempfile::tempdir().unwrap());
    server.make_stream("BARS_DEFAULT", "bars.default.*").await.unwrap();
    let bus = server.connect().await.unwrap();
    let feed = bus.open_feed(&name()).await.unwrap();
    for sequence in 1..=10 {
        publish(&feed, &bar(sequence), sequence - 1).await;
    }
    server.delete_message("BARS_DEFAULT", 4).await.unwrap();
    let raw = async |bar: v1::Bar| {
        let subject = format!("bars.default.{}", bar.symbol);
        server.publish_raw(&subject, &bar.encode_to_vec()).await.unwrap();
    };
    raw(bar(9)).await;
    server.publish_raw("bars.default.SPX", b"\xff\xff garbage").await.unwrap();
    raw(v1::Bar { volume: 2.5e27, ..bar(11) }).await;
    raw(v1::Bar { low_nanos: 4_500_000, ..bar(11) }).await;
    raw(bar(11)).await;
    let mut process = start(&server, data.path(), StartAt::Beginning).await;
    let status = process.until(|status| status.last_sequence == 15).await;
    let reasons: Vec<_> = status.recent_quarantined.iter().map(|one| (one.sequence, one.reason.as_str())).collect();
    assert_eq!(reasons, [(12, "not_a_bar"), (13, "volume"), (14, "price")]);
    // Message 4, and the bar of IXIC that it held.
    assert_eq!((status.bars_decided, status.duplicates_total, status.missing_total), (10, 1, 2));

    server.delete_stream("BARS_DEFAULT").await.unwrap();
    let other = bus.ensure_feed(&name()).await.unwrap();
    for sequence in 1..=30 {
        publish(&other, &bar(sequence), sequence - 1).await;
    }
    let status = process.until(|status| status.feed_fault.starts_with("StreamReplaced")).await;
    assert_eq!((status.last_sequence, status.bars_decided), (15, 10), "two histories are not mixed");
    assert!(status.waiting_for.starts_with("StreamReplaced"), "{}", status.waiting_for);
    process.stopped().await;
    let mut again = start(&server, data.path(), StartAt::Beginning).await;
    assert_eq!(again.until(|status| status.feed_fault.starts_with("StreamReplaced")).await.bars_decided, 10);
    again.stopped().await;
}

/// The server loses its newest bars under a running process and under one that is down. The same bars again heal both; other
/// bars in their place are never mixed with what was decided.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_stream_that_lost_its_newest_bars_is_told_and_heals() {
    let (mut server, data) = (NatsServer::start().unwrap(), tempfile::tempdir().unwrap());
    let feed = server.connect().await.unwrap().ensure_feed(&name()).await.unwrap();
    let publish_all = async |bars: std::ops::RangeInclusive<u64>, other: u64| {
        let give_up = Instant::now() + Duration::from_secs(60);
        for sequence in bars {
            // The client may not have noticed yet that the server is back.
            while let Err(error) = async { feed.send(&bar(sequence + other), sequence - 1).await?.acknowledged().await }.await {
                assert!(error.may_answer_later() && Instant::now() < give_up, "{error}");
            }
        }
    };
    publish_all(1..=10, 0).await;
    server.keep().unwrap();
    publish_all(11..=14, 0).await;
    let mut process = start(&server, data.path(), StartAt::Beginning).await;
    process.until(|status| status.last_sequence == 14).await;

    server.roll_back().unwrap();
    let status = process.until(|status| status.feed_fault.starts_with("StreamRolledBack")).await;
    assert!(status.feed_fault.contains("ends at 10, this reader has had 14"), "{}", status.feed_fault);
    publish_all(11..=16, 0).await;
    let status = process.until(|status| status.last_sequence == 16).await;
    assert_eq!((status.bars_decided, status.feed_fault.as_str(), status.missing_total), (16, "", 0), "each bar once");
    process.stopped().await;

    server.roll_back().unwrap();
    let mut process = start(&server, data.path(), StartAt::Beginning).await;
    process.until(|status| status.feed_fault.starts_with("StreamRolledBack")).await;
    publish_all(11..=18, 2).await;
    let status = process.until(|status| status.feed_fault.contains("another one than this reader has had")).await;
    assert_eq!((status.last_sequence, status.bars_decided), (16, 16), "two histories are not mixed");
    process.stopped().await;
}
