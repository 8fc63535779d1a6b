//! The gRPC side.

use std::pin::Pin;
use std::time::Instant;

use futures::Stream;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tradewind_wire::hot::EngineEnded;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_server::{Risk, RiskServer};

use super::{Running, now};
use crate::RiskError;

/// `tradewind.v1.Risk` on a running engine.
#[derive(Clone, Debug)]
pub struct Service {
    running: Running,
    verdicts: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Service {
    /// The service and its instruments.
    #[must_use]
    pub fn new(running: Running, metrics: &Metrics) -> Self {
        let meter = metrics.meter("risk");
        let buckets = vec![0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05];
        Self {
            running,
            verdicts: meter.u64_counter("risk_verdicts_total").with_description("Checked orders by verdict").build(),
            seconds: meter.f64_histogram("risk_check_seconds").with_unit("s").with_boundaries(buckets).build(),
        }
    }

    /// To be added to the process's routes.
    #[must_use]
    pub fn server(self) -> RiskServer<Self> {
        RiskServer::new(self)
    }
}

fn status(error: &RiskError) -> Status {
    let text = error.to_string();
    match error {
        RiskError::Journal(_) | RiskError::NoProfile => Status::unavailable(text),
        RiskError::Fenced { .. } => Status::failed_precondition(text),
        RiskError::Gap { .. } => Status::data_loss(text),
        RiskError::Account { .. }
        | RiskError::OtherAccount { .. }
        | RiskError::Message(_)
        | RiskError::Instrument(_)
        | RiskError::Figures(_) => Status::invalid_argument(text),
    }
}

fn answer<T>(outcome: Result<Result<T, RiskError>, EngineEnded>) -> Result<Response<T>, Status> {
    match outcome {
        Ok(Ok(answer)) => Ok(Response::new(answer)),
        Ok(Err(error)) => Err(status(&error)),
        Err(ended) => Err(Status::unavailable(ended.to_string())),
    }
}

#[tonic::async_trait]
impl Risk for Service {
    async fn acquire(&self, request: Request<v1::AcquireRequest>) -> Result<Response<v1::AcquireReply>, Status> {
        let request = request.into_inner();
        tracing::info!(policy = request.policy, "the account is acquired");
        answer(self.running.call(move |engine| engine.acquire(&request)).await)
    }

    async fn check_order(&self, request: Request<v1::OrderProposal>) -> Result<Response<v1::OrderVerdict>, Status> {
        let (order, asked) = (request.into_inner(), Instant::now());
        let outcome = self.running.call(move |engine| engine.check_order(&order)).await;
        self.seconds.record(asked.elapsed().as_secs_f64(), &[]);
        if let Ok(Ok(verdict)) = &outcome {
            let denial = if verdict.allowed { "allowed".to_owned() } else { verdict.denial.clone() };
            self.verdicts.add(1, &[KeyValue::new("verdict", denial)]);
        }
        answer(outcome)
    }

    async fn report(&self, request: Request<v1::AccountReport>) -> Result<Response<v1::RiskState>, Status> {
        let report = request.into_inner();
        answer(self.running.call(move |engine| engine.report(&report)).await)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::RiskState, Status>> + Send>>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(heartbeats(self.running.watch()))))
    }

    async fn status(&self, _: Request<v1::RiskStatusRequest>) -> Result<Response<v1::RiskStatus>, Status> {
        answer(self.running.call(|engine| Ok(engine.status())).await)
    }

    async fn halt(&self, request: Request<v1::HaltNowRequest>) -> Result<Response<v1::HaltNowReply>, Status> {
        let request = request.into_inner();
        tracing::warn!(account = request.account, actor = request.actor, reason = request.reason, "a direct call to halt");
        answer(self.running.call(move |engine| engine.halt_now(&request, now())).await)
    }
}

/// The state with the next beat of the engine's thread, with every one after it, and at once on every change. What an
/// engine said before it hung is no heartbeat: whoever begins to listen then hears nothing.
fn heartbeats(mut state: watch::Receiver<v1::RiskState>) -> impl Stream<Item = Result<v1::RiskState, Status>> + Send {
    state.mark_unchanged();
    futures::stream::unfold(state, |mut state| async move {
        state.changed().await.ok()?;
        let newest = state.borrow_and_update().clone();
        Some((Ok(newest), state))
    })
}
