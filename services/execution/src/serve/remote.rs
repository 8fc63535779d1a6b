//! The risk service over gRPC, as the engine's thread asks it.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tradewind_wire::client::{Patience, within};
use tradewind_wire::probes::Readiness;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_client::RiskClient;

use crate::gate::{GateError, RiskGate};

/// A question that takes longer is given up and asked again.
const DEADLINE: Duration = Duration::from_secs(1);
/// Silence that counts as gone (RK-159).
const SILENCE: Duration = Duration::from_secs(1);

/// The newest word of the risk service.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Its state.
    pub state: v1::RiskState,
    /// When it arrived.
    pub at: Instant,
}

/// A client whose calls wait on the calling thread, which must not be one of the runtime's.
#[derive(Clone, Debug)]
pub struct RemoteGate {
    client: RiskClient<Channel>,
    heartbeats: watch::Receiver<Option<Heartbeat>>,
    runtime: Handle,
}

impl RemoteGate {
    /// Must be called inside the runtime.
    #[must_use]
    pub fn new(client: RiskClient<Channel>, heartbeats: watch::Receiver<Option<Heartbeat>>) -> Self {
        Self { client, heartbeats, runtime: Handle::current() }
    }

    fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, GateError> {
        self.runtime.block_on(within(DEADLINE, call)).map_err(|status| {
            let text = format!("{:?}: {}", status.code(), status.message());
            match status.code() {
                Code::FailedPrecondition => GateError::Fenced(text),
                Code::InvalidArgument | Code::DataLoss | Code::NotFound | Code::OutOfRange | Code::Unimplemented => {
                    GateError::Refused(text)
                }
                _ => GateError::Unavailable(text),
            }
        })
    }
}

impl RiskGate for RemoteGate {
    fn alive(&mut self) -> Result<(), GateError> {
        let heard = self.heartbeats.borrow().as_ref().map(|beat| beat.at.elapsed());
        match heard {
            Some(silence) if silence <= SILENCE => Ok(()),
            Some(silence) => Err(GateError::Unavailable(format!(
                "silent for {} ms, allowed are {} ms",
                silence.as_millis(),
                SILENCE.as_millis()
            ))),
            None => Err(GateError::Unavailable("not heard yet".to_owned())),
        }
    }

    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError> {
        let mut client = self.client.clone();
        self.ask(client.acquire(request.clone()))
    }

    fn place(&mut self, request: &v1::PlaceRequest) -> Result<v1::PlaceReply, GateError> {
        let mut client = self.client.clone();
        self.ask(client.place(request.clone()))
    }

    fn cancel(&mut self, request: &v1::CancelRequest) -> Result<v1::EventsReply, GateError> {
        let mut client = self.client.clone();
        self.ask(client.cancel(request.clone()))
    }

    fn meet(&mut self, request: &v1::MeetRequest) -> Result<v1::MeetReply, GateError> {
        let mut client = self.client.clone();
        self.ask(client.meet(request.clone()))
    }

    fn settle(&mut self, request: &v1::SettleOwnerRequest) -> Result<(), GateError> {
        let mut client = self.client.clone();
        self.ask(client.settle(request.clone())).map(drop)
    }

    fn events(&mut self, request: &v1::EventsRequest) -> Result<v1::EventsReply, GateError> {
        let mut client = self.client.clone();
        self.ask(client.events(request.clone()))
    }
}

/// Follows the heartbeats of the risk service until `stop`, connecting again whenever they end.
pub async fn follow_risk(
    mut client: RiskClient<Channel>,
    heartbeats: watch::Sender<Option<Heartbeat>>,
    readiness: Readiness,
    stop: CancellationToken,
) {
    let patience = Patience::default();
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        readiness.hold("risk", "no heartbeat");
        let outcome = tokio::select! {
            outcome = listen(&mut client, &heartbeats, &readiness, &mut failures) => outcome,
            () = stop.cancelled() => return,
        };
        failures += 1;
        if failures.is_power_of_two() {
            tracing::warn!(failures, reason = %outcome.message(), "the risk service is not heard");
        }
        tokio::select! {
            () = tokio::time::sleep(patience.pause(failures)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Listens until the stream ends, and says why it did.
async fn listen(
    client: &mut RiskClient<Channel>,
    heartbeats: &watch::Sender<Option<Heartbeat>>,
    readiness: &Readiness,
    failures: &mut u32,
) -> Status {
    let mut stream = match within(DEADLINE, client.watch(v1::WatchRequest {})).await {
        Ok(stream) => stream,
        Err(status) => return status,
    };
    loop {
        match tokio::time::timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(state))) => {
                *failures = 0;
                readiness.release("risk");
                heartbeats.send_replace(Some(Heartbeat { state, at: Instant::now() }));
            }
            Ok(Ok(None)) => return Status::unavailable("the stream of heartbeats ended"),
            Ok(Err(status)) => return status,
            Err(_) => return Status::deadline_exceeded("no heartbeat within a second"),
        }
    }
}
