//! The gate's own feed on a real NATS server: what it sees, what it leaves out, what its status says of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tradewind_crds::samples;
use tradewind_journal::JournalError;
use tradewind_risk::serve::{FeedSource, Options, Seen, SeenAccount, ServeError, Sight, Watched, serve};
use tradewind_wire::bus::{BusAddress, Feed, FeedName};
use tradewind_wire::client::channel;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::Readiness;
use tradewind_wire::server::ServerError;
use tradewind_wire::testing::NatsServer;
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_client::RiskClient;

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

const MINUTE: i64 = 60_000_000_000;

fn name() -> FeedName {
    "default".parse().unwrap()
}

/// A free port; another process may take it meanwhile, then the test fails loudly.
fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// A bar of a minute that closes as many minutes before the present as the newest number is ahead of `index`.
fn bar(index: u64, newest: u64, price: i64) -> v1::Bar {
    let behind = i64::try_from(newest - index).unwrap();
    let close_time_ns = now() - behind * MINUTE;
    let nanos = price * 10_000_000;
    v1::Bar {
        symbol: "SPX".into(),
        index,
        open_time_ns: close_time_ns - MINUTE,
        close_time_ns,
        open_nanos: nanos,
        high_nanos: nanos,
        low_nanos: nanos,
        close_nanos: nanos,
        volume: 1.0,
    }
}

async fn publish(feed: &Feed, bar: &v1::Bar, after: u64) {
    feed.send(bar, after).await.unwrap().acknowledged().await.unwrap();
}

struct Gate {
    running: JoinHandle<Result<(), ServeError>>,
    stop: CancellationToken,
    client: RiskClient<Channel>,
}

fn start(server: &NatsServer, data: &Path) -> Gate {
    let (listen, http, stop) = (free_port(), free_port(), CancellationToken::new());
    let (data, url) = (data.to_owned(), server.url());
    let options = move || Options {
        data: data.clone(),
        pinning: Pinning::read().unwrap(),
        feeds: FeedSource::Bus(BusAddress { url: url.clone(), name: "risk-main".into(), tls: None }),
        security: Security::PlaintextLoopback,
        listen,
        http,
        readiness: Readiness::new(),
    };
    let spec = Box::new(samples::profile("main", "paper-1").spec);
    let account = serde_json::json!({
        "account": "paper-1", "calendar": "24x7",
        "policies": [{
            "policy": "indices", "feed": "default", "feedKind": "Live",
            "venue": {"spreadBps": 2, "feeBps": 1, "seed": 7, "partialFillBps": 0, "latencyMs": 0},
            "instruments": [{"symbol": "SPX", "pointValue": "1", "tick": "0.01", "lot": "1", "calendar": "24x7"}]
        }]
    });
    let (profile, account) = (
        watch::channel(Some(Sight::from(Seen::Profile { generation: 1, spec }))),
        watch::channel(Some(SeenAccount::Account(Box::new(serde_json::from_value(account).unwrap())))),
    );
    let stopping = stop.clone();
    let running = tokio::spawn(async move {
        let _senders = (profile.0, account.0);
        loop {
            let watched = Watched { profile: profile.1.clone(), account: account.1.clone() };
            // The thread of the one before may hold the journal, or its socket the port, a moment longer. A process that ends
            // cancels its token.
            match serve(options(), watched, stopping.child_token()).await {
                Err(ServeError::Journal(JournalError::Locked { .. }) | ServeError::Server(ServerError::Bind { .. })) => {
                    tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    });
    let client = RiskClient::new(channel(&listen.to_string(), &Security::PlaintextLoopback).unwrap());
    Gate { running, stop, client }
}

impl Gate {
    /// Waits until the gate says so of its only feed, and the process still runs.
    async fn until(&mut self, what: &str, condition: impl Fn(&v1::GateFeed) -> bool) -> v1::GateFeed {
        let (give_up, mut last) = (Instant::now() + Duration::from_secs(60), None);
        loop {
            if self.running.is_finished() {
                panic!("the process ended with {:?}; {what}, last {last:?}", (&mut self.running).await);
            }
            assert!(Instant::now() < give_up, "{what}: not within 60 s; last {last:?}");
            if let Ok(status) = self.client.status(v1::RiskStatusRequest {}).await
                && let Some(feed) = status.into_inner().feeds.first()
            {
                if condition(feed) {
                    return feed.clone();
                }
                last = Some(feed.clone());
            }
            tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
        }
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// D14 at the gate, rulings 18 and 19: nothing that a feed brings ends the process or is hidden, and bars of another stream
/// under the old name are never taken, after a restart as well.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the NATS server that `make test` builds"]
async fn the_gate_tells_what_becomes_of_its_feed() {
    let (mut server, data) = (NatsServer::start().unwrap(), tempfile::tempdir().unwrap());
    let mut gate = start(&server, data.path());
    let missing = gate.until("no stream yet", |feed| !feed.fault.is_empty()).await;
    assert!(missing.fault.contains("default") && !missing.replaced, "{missing:?}");

    server.make_stream("BARS_DEFAULT", "bars.default.*").await.unwrap();
    let feed = server.connect().await.unwrap().open_feed(&name()).await.unwrap();
    for index in 0..3 {
        publish(&feed, &bar(index, 3, 10_000), index).await;
    }
    gate.until("bars are followed", |feed| feed.newest_sequence == 3 && feed.fault.is_empty()).await;
    // Every message of this kind is left out, counted and named.
    let empty = server.publish_raw("bars.default.SPX", b"no bar").await.unwrap();
    let early = v1::Bar { close_time_ns: now() + 400 * 86_400_000_000_000, ..bar(3, 3, 10_000) };
    publish(&feed, &early, empty).await;
    let far = v1::Bar { index: 900, ..bar(3, 3, 20_000) };
    publish(&feed, &far, empty + 1).await;
    let refused = gate.until("three are left out", |feed| feed.refused_total == 3).await;
    assert!(refused.last_refused.contains("900"), "{refused:?}");
    // The server knows numbers that were published before as repeated.
    publish(&feed, &bar(4, 4, 10_010), empty + 2).await;
    let fine = gate.until("the good one is taken", |feed| feed.newest_sequence == empty + 3).await;
    assert_eq!((fine.fault.as_str(), fine.overdue.as_str()), ("", ""), "{fine:?}");
    assert!(fine.live && fine.arrived_at_ns > 0, "{fine:?}");

    server.kill().unwrap();
    gate.until("the bus is gone", |feed| !feed.fault.is_empty() && !feed.replaced).await;
    server.restart().unwrap();
    gate.until("the bus is back", |feed| feed.fault.is_empty()).await;

    // The same name, other bars, further on than before.
    server.delete_stream("BARS_DEFAULT").await.unwrap();
    server.make_stream("BARS_DEFAULT", "bars.default.*").await.unwrap();
    let other = server.connect().await.unwrap().open_feed(&name()).await.unwrap();
    for sequence in 0..12 {
        publish(&other, &bar(sequence, 12, 50_000), sequence).await;
    }
    let replaced = gate.until("another stream is told", |feed| feed.replaced).await;
    assert!(replaced.fault.contains("another one"), "{replaced:?}");
    gate.stopped().await;
    let mut again = start(&server, data.path());
    let still = again.until("a restart changes nothing", |feed| feed.replaced).await;
    assert_eq!(still.newest_sequence, empty + 3, "no bar of it was taken: {still:?}");
    again.stopped().await;
}
