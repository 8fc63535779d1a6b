//! The gRPC side.

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use tonic::{Request, Response, Status};
use tradewind_wire::hot::{EngineEnded, HotEngine};
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::v1;
use tradewind_wire::v1::execution_server::{Execution as ExecutionRpc, ExecutionServer};

use super::{Execution, is_fatal};
use crate::ExecutionError;

/// `tradewind.v1.Execution` on a running engine.
#[derive(Clone, Debug)]
pub struct Service {
    engine: HotEngine<Execution>,
    trades: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Service {
    /// The service and its instruments.
    #[must_use]
    pub fn new(engine: HotEngine<Execution>, metrics: &Metrics) -> Self {
        let meter = metrics.meter("execution");
        let buckets = vec![0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5];
        Self {
            engine,
            trades: meter.u64_counter("execution_trades_total").with_description("Submitted trades by status and reason").build(),
            seconds: meter.f64_histogram("execution_call_seconds").with_unit("s").with_boundaries(buckets).build(),
        }
    }

    /// To be added to the process's routes.
    #[must_use]
    pub fn server(self) -> ExecutionServer<Self> {
        ExecutionServer::new(self)
    }

    async fn ask<T: Send + 'static>(
        &self,
        name: &'static str,
        call: impl FnOnce(&mut Execution) -> Result<T, ExecutionError> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let asked = Instant::now();
        let outcome: Result<Result<T, ExecutionError>, EngineEnded> = self.engine.call(call, is_fatal).await;
        self.seconds.record(asked.elapsed().as_secs_f64(), &[KeyValue::new("call", name)]);
        match outcome {
            Ok(Ok(answer)) => Ok(Response::new(answer)),
            Ok(Err(error)) => Err(status(&error)),
            Err(ended) => Err(Status::unavailable(ended.to_string())),
        }
    }
}

/// What cannot be answered later is the question's own fault; everything else is worth asking again.
fn status(error: &ExecutionError) -> Status {
    match error {
        ExecutionError::UnknownSymbol(_) | ExecutionError::Message(_) | ExecutionError::Trade { .. } => {
            Status::invalid_argument(error.to_string())
        }
        _ => Status::unavailable(error.to_string()),
    }
}

#[tonic::async_trait]
impl ExecutionRpc for Service {
    async fn advance(&self, request: Request<v1::AdvanceRequest>) -> Result<Response<v1::AccountView>, Status> {
        let request = request.into_inner();
        self.ask("advance", move |engine| engine.advance(&request)).await
    }

    async fn submit(&self, request: Request<v1::TradeQualified>) -> Result<Response<v1::SubmitReply>, Status> {
        let trade = request.into_inner();
        let reply = self.ask("submit", move |engine| engine.submit(&trade)).await?;
        let (status, reason) = (reply.get_ref().status.clone(), reply.get_ref().reason.clone());
        self.trades.add(1, &[KeyValue::new("status", status), KeyValue::new("reason", reason)]);
        Ok(reply)
    }

    async fn halt(&self, request: Request<v1::HaltRequest>) -> Result<Response<v1::HaltReply>, Status> {
        let request = request.into_inner();
        tracing::warn!(halt = request.halt, reason = request.reason, "halt asked for");
        self.ask("halt", move |engine| engine.halt(&request)).await
    }

    async fn settle(&self, request: Request<v1::SettleRequest>) -> Result<Response<v1::SettleReply>, Status> {
        let request = request.into_inner();
        self.ask("settle", move |engine| engine.settle(&request)).await
    }
}
