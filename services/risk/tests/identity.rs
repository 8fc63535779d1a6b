//! Who a message speaks for is held against who sent it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};
use tradewind_journal::MemoryLog;
use tradewind_risk::Engine;
use tradewind_risk::serve::{FeedSource, Feeds, Running, Service};
use tradewind_wire::identity::Caller;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_server::Risk;

fn service() -> Service {
    let mut engine = Engine::open("paper-1", Box::new(MemoryLog::default())).unwrap();
    let account = serde_json::json!({"account": "paper-1", "policies": [{
        "policy": "indices", "feed": "default", "feedKind": "Replay", "instruments": [],
        "venue": {"spreadBps": 0, "feeBps": 0, "seed": 1, "partialFillBps": 0, "latencyMs": 0},
    }]});
    engine.apply_account(&serde_json::from_value(account).unwrap()).unwrap();
    let feeds = Feeds::new(FeedSource::Recorded(Arc::default()), CancellationToken::new());
    Service::new(Running::start(engine, &Pinning::read().unwrap()).unwrap(), feeds, &Metrics::new().unwrap())
}

fn acquire(policy: &str, caller: Option<&str>) -> Request<v1::AcquireRequest> {
    let (account, policy, claim) = ("paper-1".to_owned(), policy.to_owned(), "first".to_owned());
    from(v1::AcquireRequest { account, policy, last_epoch: 0, claim }, caller)
}

fn from<T>(message: T, caller: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(uri) = caller {
        request.extensions_mut().insert(Caller::Known(Arc::new(uri.parse().unwrap())));
    }
    request
}

#[tokio::test]
async fn the_account_is_acquired_for_the_callers_own_policy_only() {
    let (service, indices) = (service(), Some("spiffe://tradewind/trading/execution/indices"));
    assert_eq!(service.acquire(acquire("indices", indices)).await.unwrap().into_inner().epoch, 1);
    let refused = service.acquire(acquire("metals", indices)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("execution/indices") && refused.message().contains("'metals'"), "{refused}");
    assert!(service.acquire(acquire("indices", None)).await.is_err(), "a request that came from nowhere");
    assert_eq!(service.acquire(acquire("indices", indices)).await.unwrap().into_inner().epoch, 1, "the refused took nothing");
}

/// Whoever speaks for a policy in any call of an owner shows that policy's certificate.
#[tokio::test]
async fn an_owners_calls_come_from_that_owner_only() {
    let service = service();
    let (indices, metals) = ("spiffe://tradewind/trading/execution/indices", "spiffe://tradewind/trading/execution/metals");
    service.acquire(acquire("indices", Some(indices))).await.unwrap();
    let owner = || Some(v1::Owner { account: "paper-1".into(), policy: "indices".into(), epoch: 1, acknowledged: 0 });
    for caller in [Some(metals), None] {
        let refused = [
            service.place(from(v1::PlaceRequest { owner: owner(), orders: vec![] }, caller)).await.map(drop),
            service.cancel(from(v1::CancelRequest { owner: owner(), order_ids: vec![] }, caller)).await.map(drop),
            service.events(from(v1::EventsRequest { owner: owner() }, caller)).await.map(drop),
            service.meet(from(v1::MeetRequest { owner: owner(), ..Default::default() }, caller)).await.map(drop),
        ];
        assert!(refused.iter().all(Result::is_err), "{caller:?}: {refused:?}");
    }
    assert!(service.events(from(v1::EventsRequest { owner: owner() }, Some(indices))).await.is_ok());
}
