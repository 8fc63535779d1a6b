//! The feed on a real NATS server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use tradewind_wire::bus::{BusError, Feed, FeedName, Head, Published, SequencedBar};
use tradewind_wire::testing::NatsServer;
use tradewind_wire::v1;

fn name() -> FeedName {
    "us-daily".parse().unwrap()
}

fn bar(symbol: &str, index: u64) -> v1::Bar {
    v1::Bar { symbol: symbol.into(), index, close_nanos: 1_000_000_000 + index as i64, volume: 0.1, ..Default::default() }
}

async fn publish(feed: &Feed, bar: &v1::Bar, after: u64) -> Result<Published, BusError> {
    feed.send(bar, after).await?.acknowledged().await
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_feed_keeps_the_order_and_knows_what_it_has() {
    let server = NatsServer::start().unwrap();
    let bus = server.connect().await.unwrap();
    assert!(matches!(bus.open_feed(&name()).await, Err(BusError::NoFeed(_))));
    let feed = bus.ensure_feed(&name()).await.unwrap();
    assert_eq!(feed.head().await.unwrap().last, 0);
    let mut pending = Vec::new();
    for index in 0..1200 {
        pending.push(feed.send(&bar("BRK.B", index), index).await.unwrap());
    }
    for (number, sent) in (1..).zip(pending) {
        assert_eq!(sent.acknowledged().await.unwrap(), Published { sequence: number, duplicate: false });
    }
    assert_eq!(bus.open_feed(&name()).await.unwrap().head().await.unwrap(), Head { first: 1, last: 1200 });
    let all = bus.ensure_feed(&name()).await.unwrap().read(1, 1200).await.unwrap();
    assert!(all.iter().zip(0..).all(|(found, index)| *found == SequencedBar { sequence: index + 1, bar: bar("BRK.B", index) }));
    assert_eq!(feed.read(600, 601).await.unwrap().len(), 2);
    assert!(feed.read(5, 4).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_repeated_bar_is_recognised_and_a_bar_out_of_place_is_refused() {
    let server = NatsServer::start().unwrap();
    let feed = server.connect().await.unwrap().ensure_feed(&name()).await.unwrap();
    publish(&feed, &bar("SPX", 0), 0).await.unwrap();
    assert_eq!(publish(&feed, &bar("SPX", 0), 1).await.unwrap(), Published { sequence: 1, duplicate: true });
    assert!(matches!(publish(&feed, &bar("SPX", 0), 0).await, Err(BusError::Moved { .. })));
    let moved = publish(&feed, &bar("SPX", 2), 2).await.unwrap_err();
    assert!(matches!(&moved, BusError::Moved { symbol, index: 2, expected: 2, .. } if symbol == "SPX"), "{moved}");
    assert!(matches!(publish(&feed, &bar("SPX", 1), 0).await, Err(BusError::Moved { .. })));
    assert_eq!(publish(&feed, &bar("SPX", 1), 1).await.unwrap().sequence, 2);
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_follower_sees_old_and_new_bars_and_outlives_the_server() {
    let mut server = NatsServer::start().unwrap();
    let feed = server.connect().await.unwrap().ensure_feed(&name()).await.unwrap();
    for index in 0..3 {
        publish(&feed, &bar("SPX", index), index).await.unwrap();
    }
    let mut follower = feed.follow(2);
    for sequence in 2..=3 {
        assert_eq!(follower.next().await.unwrap().sequence, sequence);
    }
    let waiting = tokio::spawn(async move {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            match tokio::time::timeout_at(deadline, follower.next()).await.unwrap() {
                Ok(found) => return (found, follower),
                Err(error) => assert!(error.may_answer_later(), "{error}"),
            }
        }
    });
    server.kill().unwrap();
    server.restart().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = publish(&feed, &bar("SPX", 3), 3).await {
        assert!(error.may_answer_later() && tokio::time::Instant::now() < deadline, "{error}");
    }
    let (found, mut follower) = waiting.await.unwrap();
    assert_eq!(found, SequencedBar { sequence: 4, bar: bar("SPX", 3) });
    publish(&feed, &bar("SPX", 4), 4).await.unwrap();
    assert_eq!(follower.next().await.unwrap().sequence, 5);
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_server_that_is_not_there_is_named() {
    let mut server = NatsServer::start().unwrap();
    server.kill().unwrap();
    let error = server.connect().await.unwrap_err();
    assert!(matches!(error, BusError::Connect { .. }) && error.to_string().contains(&server.url()), "{error}");
}
