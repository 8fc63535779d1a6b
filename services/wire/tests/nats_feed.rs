//! The feed on a real NATS server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use tradewind_wire::admission::Reason;
use tradewind_wire::bus::{BusError, Feed, FeedName, Followed, Follower, Head, Published};
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

/// Sequence and bar of the next thing, which must be a bar.
fn sequenced(followed: Followed) -> (u64, v1::Bar) {
    let Followed::Bar(found) = followed else { panic!("{followed:?}") };
    (found.sequence, found.bar)
}

/// The next thing, through failures that may pass, within a minute.
async fn next(follower: &mut Follower) -> Result<Followed, BusError> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match tokio::time::timeout_at(deadline, follower.next()).await.expect("nothing within 60 s") {
            Err(error) if error.may_answer_later() => {}
            told => return told,
        }
    }
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
    let arrivals: Vec<_> = all.iter().cloned().map(|found| found.bar().unwrap().arrived).collect();
    assert!(arrivals.is_sorted() && arrivals[0].0 > 0, "the stream's own clock");
    assert!(all.into_iter().zip(0..).all(|(found, index)| sequenced(found) == (index + 1, bar("BRK.B", index))));
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
        assert_eq!(follower.next().await.unwrap().sequence(), sequence);
    }
    let waiting = tokio::spawn(async move { (next(&mut follower).await.unwrap(), follower) });
    server.kill().unwrap();
    server.restart().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = publish(&feed, &bar("SPX", 3), 3).await {
        assert!(error.may_answer_later() && tokio::time::Instant::now() < deadline, "{error}");
    }
    let (found, mut follower) = waiting.await.unwrap();
    assert_eq!(sequenced(found), (4, bar("SPX", 3)));
    publish(&feed, &bar("SPX", 4), 4).await.unwrap();
    assert_eq!(next(&mut follower).await.unwrap().sequence(), 5);
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_server_that_is_not_there_is_named() {
    let mut server = NatsServer::start().unwrap();
    server.kill().unwrap();
    let error = server.connect().await.unwrap_err();
    assert!(matches!(error, BusError::Connect { .. }) && error.to_string().contains(&server.url()), "{error}");
}

/// D14: garbage, a bar on another's subject and a bar that comes twice are told one by one, and the feed goes on.
#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn what_is_no_bar_is_told_and_the_feed_goes_on() {
    let server = NatsServer::start().unwrap();
    let feed = server.connect().await.unwrap().ensure_feed(&name()).await.unwrap();
    publish(&feed, &bar("SPX", 0), 0).await.unwrap();
    server.publish_raw("bars.us-daily.SPX", b"\xff\xff\xffgarbage").await.unwrap();
    server.publish_raw("bars.us-daily.IXIC", &prost::Message::encode_to_vec(&bar("SPX", 1))).await.unwrap();
    // Twice, without a message id by which the server would know.
    server.publish_raw("bars.us-daily.SPX", &prost::Message::encode_to_vec(&bar("SPX", 0))).await.unwrap();
    publish(&feed, &bar("SPX", 1), 4).await.unwrap();
    let found = feed.read(1, 5).await.unwrap();
    assert_eq!(found.iter().map(Followed::sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let reason = |at: usize| match &found[at] {
        Followed::Quarantined(quarantined) => Some((quarantined.reason, quarantined.symbol.clone())),
        _ => None,
    };
    assert_eq!((reason(1), reason(2)), (Some((Reason::NotABar, "SPX".into())), Some((Reason::Subject, "SPX".into()))));
    assert_eq!(sequenced(found[3].clone()), (4, bar("SPX", 0)));
    assert_eq!(sequenced(found[4].clone()), (5, bar("SPX", 1)));
}

/// D14: messages that were removed are a gap with both ends, at the beginning, in the middle and at the end.
#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn holes_are_told_and_the_feed_goes_on() {
    let server = NatsServer::start().unwrap();
    server.make_stream("BARS_US_DAILY", "bars.us-daily.*").await.unwrap();
    let feed = server.connect().await.unwrap().open_feed(&name()).await.unwrap();
    for index in 0..12 {
        publish(&feed, &bar("SPX", index), index).await.unwrap();
    }
    server.trim("BARS_US_DAILY", 3).await.unwrap();
    for sequence in [6, 7, 11, 12] {
        server.delete_message("BARS_US_DAILY", sequence).await.unwrap();
    }
    let gap = |from, to| Followed::Gap { from, to };
    let found = feed.read(1, 12).await.unwrap();
    let gaps: Vec<_> = found.iter().filter(|followed| matches!(followed, Followed::Gap { .. })).cloned().collect();
    assert_eq!(gaps, [gap(1, 2), gap(6, 7), gap(11, 12)]);
    let bars: Vec<_> = found.into_iter().filter_map(Followed::bar).map(|bar| bar.sequence).collect();
    assert_eq!(bars, [3, 4, 5, 8, 9, 10]);
    let mut follower = feed.follow(11);
    assert_eq!(next(&mut follower).await.unwrap(), gap(11, 12));
    publish(&feed, &bar("SPX", 12), 12).await.unwrap();
    assert_eq!(sequenced(next(&mut follower).await.unwrap()), (13, bar("SPX", 12)));
}

/// D14: a stream that was made again is another one, also when it is longer than the old one was.
#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_recreated_stream_is_never_taken_for_the_old_one() {
    let server = NatsServer::start().unwrap();
    let bus = server.connect().await.unwrap();
    let feed = bus.ensure_feed(&name()).await.unwrap();
    publish(&feed, &bar("SPX", 0), 0).await.unwrap();
    let (mut reading, mut waiting) = (feed.follow(1), feed.follow(2));
    assert_eq!(next(&mut reading).await.unwrap().sequence(), 1);
    let waiting = tokio::spawn(async move { (next(&mut waiting).await, waiting) });
    server.delete_stream("BARS_US_DAILY").await.unwrap();
    let again = bus.ensure_feed(&name()).await.unwrap();
    assert_ne!(again.identity(), feed.identity());
    for index in 0..5 {
        publish(&again, &bar("IXIC", index), index).await.unwrap();
    }
    let (told, mut waiting) = waiting.await.unwrap();
    for told in [told, next(&mut reading).await, next(&mut waiting).await, next(&mut feed.follow(1)).await] {
        let error = told.unwrap_err();
        assert!(matches!(error, BusError::Replaced { .. }) && !error.may_answer_later(), "{error}");
    }
    assert!(matches!(feed.head().await, Err(BusError::Replaced { .. })));
    assert_eq!(again.read(1, 5).await.unwrap().len(), 5);
}

/// A follower that has read five bars of a stream that is rolled back to three.
async fn rolled_back() -> (NatsServer, Feed, Follower) {
    let mut server = NatsServer::start().unwrap();
    let feed = server.connect().await.unwrap().ensure_feed(&name()).await.unwrap();
    for index in 0..3 {
        publish(&feed, &bar("SPX", index), index).await.unwrap();
    }
    server.keep().unwrap();
    for index in 3..5 {
        surely(&feed, index, &bar("SPX", index)).await;
    }
    let mut follower = feed.follow(1);
    for sequence in 1..=5 {
        assert_eq!(next(&mut follower).await.unwrap().sequence(), sequence);
    }
    server.roll_back().unwrap();
    (server, feed, follower)
}

/// Publishes although the client has not noticed yet that the server is back.
async fn surely(feed: &Feed, after: u64, bar: &v1::Bar) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = publish(feed, bar, after).await {
        assert!(error.may_answer_later() && tokio::time::Instant::now() < deadline, "{error}");
    }
}

/// What the follower says once it has noticed.
async fn noticed(follower: &mut Follower, wanted: fn(&Result<Followed, BusError>) -> bool) -> Result<Followed, BusError> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let told = tokio::time::timeout_at(deadline, follower.next()).await.expect("nothing within 60 s");
        if wanted(&told) {
            return told;
        }
        assert!(told.as_ref().is_err_and(BusError::may_answer_later), "{told:?}");
    }
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_stream_that_lost_its_newest_bars_is_waited_for_until_they_are_there_again() {
    let (_server, feed, mut follower) = rolled_back().await;
    let lost = noticed(&mut follower, |told| matches!(told, Err(BusError::RolledBack { .. }))).await.unwrap_err();
    assert!(
        matches!(&lost, BusError::RolledBack { read: 5, last: 3, .. }) && lost.to_string().contains("BARS_US_DAILY"),
        "{lost}"
    );
    assert_eq!(publish(&feed, &bar("SPX", 3), 3).await.unwrap().sequence, 4);
    let lost = noticed(&mut follower, |told| matches!(told, Err(BusError::RolledBack { last: 4, .. }))).await.unwrap_err();
    assert!(lost.may_answer_later(), "{lost}");
    publish(&feed, &bar("SPX", 4), 4).await.unwrap();
    assert_eq!(noticed(&mut follower, Result::is_ok).await.unwrap(), Followed::Whole { read: 5 });
    publish(&feed, &bar("SPX", 5), 5).await.unwrap();
    assert_eq!(sequenced(next(&mut follower).await.unwrap()), (6, bar("SPX", 5)));
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn other_bars_under_numbers_that_were_read_are_never_taken_for_known() {
    let (_server, feed, mut follower) = rolled_back().await;
    for index in 3..6 {
        surely(&feed, index, &bar("SPX", index + 100)).await;
    }
    for _ in 0..2 {
        let told = noticed(&mut follower, |told| !told.as_ref().is_err_and(BusError::may_answer_later)).await.unwrap_err();
        assert!(matches!(told, BusError::Rewritten { sequence: 5, .. }), "{told}");
    }
    // A process that starts again knows its newest bar from its journal.
    let known = bar("SPX", 4);
    let mut again = feed.follow_after(5, move |found| *found == known);
    let told = noticed(&mut again, |told| !told.as_ref().is_err_and(BusError::may_answer_later)).await.unwrap_err();
    assert!(matches!(told, BusError::Rewritten { sequence: 5, .. }), "{told}");
    let there = bar("SPX", 104);
    let mut other = feed.follow_after(5, move |found| *found == there);
    assert_eq!(sequenced(next(&mut other).await.unwrap()), (6, bar("SPX", 105)));
}

/// The newest message was no bar, so that nothing can be known again: that the stream reaches as far has to do.
#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_stream_whose_newest_message_was_no_bar_is_whole_when_it_reaches_as_far() {
    let mut server = NatsServer::start().unwrap();
    let feed = server.connect().await.unwrap().ensure_feed(&name()).await.unwrap();
    publish(&feed, &bar("SPX", 0), 0).await.unwrap();
    server.keep().unwrap();
    server.publish_raw("bars.us-daily.SPX", b"\xff\xffgarbage").await.unwrap();
    let mut follower = feed.follow(1);
    for sequence in 1..=2 {
        assert_eq!(next(&mut follower).await.unwrap().sequence(), sequence);
    }
    server.roll_back().unwrap();
    noticed(&mut follower, |told| matches!(told, Err(BusError::RolledBack { read: 2, last: 1, .. }))).await.unwrap_err();
    server.publish_raw("bars.us-daily.SPX", b"\xff\xffgarbage").await.unwrap();
    assert_eq!(noticed(&mut follower, Result::is_ok).await.unwrap(), Followed::Whole { read: 2 });
    surely(&feed, 2, &bar("SPX", 1)).await;
    assert_eq!(sequenced(next(&mut follower).await.unwrap()), (3, bar("SPX", 1)));
}
