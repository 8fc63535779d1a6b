//! Who a message speaks for is held against who sent it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use tonic::{Code, Request};
use tradewind_journal::MemoryLog;
use tradewind_risk::Engine;
use tradewind_risk::serve::{Running, Service};
use tradewind_wire::identity::Caller;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_server::Risk;

fn service() -> Service {
    let engine = Engine::open("paper-1", Box::new(MemoryLog::default())).unwrap();
    Service::new(Running::start(engine, &Pinning::read().unwrap()).unwrap(), &Metrics::new().unwrap())
}

fn acquire(policy: &str, caller: Option<&str>) -> Request<v1::AcquireRequest> {
    let mut request = Request::new(v1::AcquireRequest { account: "paper-1".into(), policy: policy.into(), last_token: 0 });
    if let Some(uri) = caller {
        request.extensions_mut().insert(Caller::Known(Arc::new(uri.parse().unwrap())));
    }
    request
}

#[tokio::test]
async fn the_account_is_acquired_for_the_callers_own_policy_only() {
    let (service, indices) = (service(), Some("spiffe://tradewind/trading/execution/indices"));
    assert_eq!(service.acquire(acquire("indices", indices)).await.unwrap().into_inner().token, 1);
    let refused = service.acquire(acquire("metals", indices)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("execution/indices") && refused.message().contains("'metals'"), "{refused}");
    assert!(service.acquire(acquire("indices", None)).await.is_err(), "a request that came from nowhere");
    assert_eq!(service.acquire(acquire("indices", indices)).await.unwrap().into_inner().token, 2, "the refused took nothing");
}
