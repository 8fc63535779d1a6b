//! The past of a feed on a real NATS server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tokio_util::sync::CancellationToken;
use tradewind_inference::{FeedHistory, History};
use tradewind_market::{Pace, publish};
use tradewind_wire::bus::BusAddress;
use tradewind_wire::testing::NatsServer;
use tradewind_wire::v1;

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn the_whole_past_comes_in_pieces_and_an_absent_feed_has_none() {
    let mut server = NatsServer::start().unwrap();
    let address = BusAddress { url: server.url(), name: "test".into(), tls: None };
    let history = FeedHistory::new(address, "default".parse().unwrap());
    assert_eq!(history.read(0).await.unwrap(), (Vec::new(), 0));
    let all: Vec<_> = (0..2_500).map(|index| v1::Bar { symbol: "SPX".into(), index, ..Default::default() }).collect();
    let feed = server.connect().await.unwrap().ensure_feed(&"default".parse().unwrap()).await.unwrap();
    publish(&feed, &all, Pace::per_second(0.0).unwrap(), &CancellationToken::new(), |_| {}).await.unwrap();
    let (first, at) = history.read(0).await.unwrap();
    let (second, end) = history.read(at).await.unwrap();
    assert_eq!(first.len(), 2_000);
    assert_eq!([first, second].concat().into_iter().map(|found| found.bar).collect::<Vec<_>>(), all);
    assert_eq!(history.read(end).await.unwrap(), (Vec::new(), 2_500));
    server.kill().unwrap();
    assert!(history.read(0).await.is_err());
}
