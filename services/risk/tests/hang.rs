//! A risk service that hangs in a write is silent, and its liveness probe fails (RK-159: silence is what its clients act on).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::StreamExt;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tradewind_crds::samples;
use tradewind_journal::{JournalError, Log, MemoryLog, Records};
use tradewind_risk::serve::{FeedSource, Feeds, Running, Service};
use tradewind_risk::{Engine, Record};
use tradewind_wire::hot::{BEAT, Liveness};
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::{ALIVE_WITHIN, Readiness, living_router};
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_server::Risk;

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

/// A disk whose next write of a halt takes as long as the test wants.
struct StuckLog {
    disk: MemoryLog<Record>,
    begun: Sender<()>,
    release: Receiver<()>,
}

impl Log<Record> for StuckLog {
    fn append_batch(&mut self, records: &[Record]) -> Result<u64, JournalError> {
        if records.iter().any(|record| matches!(record, Record::Halted(_))) {
            self.begun.send(()).unwrap();
            self.release.recv().unwrap();
        }
        self.disk.append_batch(records)
    }

    fn records_from(&self, first: u64) -> Result<Records<Record>, JournalError> {
        self.disk.records_from(first)
    }

    fn len(&self) -> u64 {
        self.disk.len()
    }
}

/// For what happens at once on a machine that is not busy.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_hangs_in_a_write_has_no_heartbeat_and_is_not_alive() {
    let ((begun, hangs), (free, release)) = (channel(), channel());
    let log = StuckLog { disk: MemoryLog::new(), begun, release };
    let mut engine = Engine::open("paper-1", Box::new(log)).unwrap();
    engine.apply_profile(1, &samples::profile("main", "paper-1").spec).unwrap();
    let running = Running::start(engine, &Pinning::read().unwrap()).unwrap();
    let (metrics, liveness) = (Metrics::new().unwrap(), Liveness::default());
    liveness.follow(running.pulse());
    let service = Service::new(running, Feeds::new(FeedSource::Recorded(Arc::default()), CancellationToken::new()), &metrics);
    let router = living_router(Readiness::new(), metrics, liveness);
    let livez = async || {
        let request = Request::get("/livez").body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    };
    let listen = async || service.watch(tonic::Request::new(v1::WatchRequest {})).await.unwrap().into_inner();

    let mut states = listen().await;
    for _ in 0..3 {
        let state = timeout(LIMIT, states.next()).await.expect("idle, and yet a heartbeat").unwrap().unwrap();
        assert_eq!(state.state, "Normal");
    }
    let deadline = Instant::now() + LIMIT;
    while livez().await != StatusCode::OK {
        assert!(Instant::now() < deadline, "/livez says that an idle engine hangs");
        tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
    }

    let request = v1::HaltNowRequest { account: "paper-1".into(), actor: "anna".into(), reason: "test".into(), generation: 0 };
    let calling = service.clone();
    let call = tokio::spawn(async move { calling.halt(tonic::Request::new(request)).await });
    tokio::task::spawn_blocking(move || hangs.recv()).await.unwrap().unwrap();
    // One that was on its way may still come.
    while timeout(4 * BEAT, states.next()).await.is_ok() {}
    let mut late = listen().await;
    assert!(timeout(4 * BEAT, late.next()).await.is_err(), "what it said before it hung is no heartbeat");
    let deadline = Instant::now() + ALIVE_WITHIN + LIMIT;
    while livez().await == StatusCode::OK {
        assert!(Instant::now() < deadline, "/livez says that an engine is alive that hangs");
        tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
    }

    free.send(()).unwrap();
    let reply = call.await.unwrap().unwrap().into_inner();
    assert!(reply.halt_id.starts_with("halt-1-"), "{reply:?}");
    let state = timeout(LIMIT, late.next()).await.expect("it goes on").unwrap().unwrap();
    assert_eq!(state.state, "ReduceOnly");
    // The call tells of its outcome before the thread is back in its loop and beats.
    let deadline = Instant::now() + LIMIT;
    while livez().await != StatusCode::OK {
        assert!(Instant::now() < deadline, "/livez says that an engine hangs that goes on");
        tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
    }
}
