//! Publishing to a real NATS server: order, resumption, faults.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tradewind_market::{Pace, Progress, PublishError, merge, publish};
use tradewind_wire::bus::Feed;
use tradewind_wire::testing::NatsServer;
use tradewind_wire::v1;

fn recording(length: u64) -> Vec<v1::Bar> {
    let bars = |symbol: &str| {
        let bar =
            |index| v1::Bar { symbol: symbol.into(), index, close_time_ns: index as i64, volume: 0.1, ..Default::default() };
        (0..length).map(bar).collect()
    };
    merge(vec![bars("SPX"), bars("IXIC")]).unwrap()
}

async fn feed(server: &NatsServer) -> Feed {
    server.connect().await.unwrap().ensure_feed(&"default".parse().unwrap()).await.unwrap()
}

async fn stored(feed: &Feed) -> Vec<v1::Bar> {
    let head = feed.head().await.unwrap().last;
    feed.read(1, head).await.unwrap().into_iter().map(|found| found.bar().unwrap().bar).collect()
}

fn fastest() -> Pace {
    Pace::per_second(0.0).unwrap()
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_stopped_replay_goes_on_and_a_finished_one_publishes_nothing() {
    let server = NatsServer::start().unwrap();
    let (feed, all) = (feed(&server).await, recording(700));
    let stop = CancellationToken::new();
    let first = publish(&feed, &all, Pace::per_second(2000.0).unwrap(), &stop, |progress| {
        if progress.in_stream == 137 {
            stop.cancel();
        }
    });
    let first = first.await.unwrap();
    assert!((137..400).contains(&first.in_stream), "{first:?}");
    let go = CancellationToken::new();
    let mut heard = Vec::new();
    let second = publish(&feed, &all, fastest(), &go, |progress| heard.push(progress.in_stream)).await.unwrap();
    assert_eq!(second, Progress { in_stream: 1400, planned: 1400 });
    assert_eq!((heard[0], heard.last(), heard.is_sorted()), (first.in_stream, Some(&1400), true));
    assert_eq!(publish(&feed, &all, fastest(), &go, |_| {}).await.unwrap().in_stream, 1400);
    assert_eq!(stored(&feed).await, all);
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn two_publishers_and_a_server_that_dies_leave_one_whole_recording() {
    let mut server = NatsServer::start().unwrap();
    let all = recording(1500);
    let go = CancellationToken::new();
    let publisher = |feed: Feed| {
        let (all, go) = (all.clone(), go.clone());
        tokio::spawn(async move { publish(&feed, &all, Pace::per_second(3000.0).unwrap(), &go, |_| {}).await })
    };
    let running = [publisher(feed(&server).await), publisher(feed(&server).await)];
    let watching = feed(&server).await;
    for limit in [300, 900] {
        let reached = async { while watching.head().await.map_or(true, |head| head.last < limit) {} };
        tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap();
        server.kill().unwrap();
        server.restart().unwrap();
    }
    for publisher in running {
        let done = tokio::time::timeout(Duration::from_secs(120), publisher).await.unwrap().unwrap().unwrap();
        assert_eq!(done.in_stream, 3000);
    }
    assert_eq!(stored(&feed(&server).await).await, all);
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_feed_with_another_recording_is_refused_and_left_alone() {
    let server = NatsServer::start().unwrap();
    let (feed, all) = (feed(&server).await, recording(10));
    let go = CancellationToken::new();
    publish(&feed, &all, fastest(), &go, |_| {}).await.unwrap();
    let mut other = all.clone();
    other[7].volume = 0.2;
    let changed = publish(&feed, &other, fastest(), &go, |_| {}).await.unwrap_err();
    assert!(matches!(changed, PublishError::Different { sequence: 8, .. }), "{changed}");
    let shorter = publish(&feed, &all[..5], fastest(), &go, |_| {}).await.unwrap_err();
    assert!(matches!(shorter, PublishError::Different { sequence: 6, .. }), "{shorter}");
    assert_eq!(stored(&feed).await, all);
}
