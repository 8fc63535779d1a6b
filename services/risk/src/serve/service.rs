//! The gRPC side.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::Stream;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;
use tradewind_wire::bus::FeedName;
use tradewind_wire::hot::EngineEnded;
use tradewind_wire::identity::caller_of;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_server::{Risk, RiskServer};

use super::Running;
use super::feeds::{Feeds, arrival_clock};
use super::turns::Turns;
use crate::{Arrival, Awaited, Engine, RiskError};

/// How long a call waits for a bar of the gate's own feed.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long a call waits for the policies that come before it: the caller's thread has other work as well.
const TURN: Duration = Duration::from_millis(200);

/// `tradewind.v1.Risk` on a running engine.
#[derive(Clone, Debug)]
pub struct Service {
    running: Running,
    feeds: Feeds,
    turns: Turns,
    verdicts: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Service {
    /// The service and its instruments.
    #[must_use]
    pub fn new(running: Running, feeds: Feeds, metrics: &Metrics) -> Self {
        let meter = metrics.meter("risk");
        let buckets = vec![0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05];
        Self {
            running,
            feeds,
            turns: Turns::default(),
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
        RiskError::Journal(_)
        | RiskError::Broken(_)
        | RiskError::NoProfile
        | RiskError::NotSeen { .. }
        // A person may restore the stream.
        | RiskError::Replaced { .. } => {
            Status::unavailable(text)
        }
        // The operator may be about to name it.
        RiskError::UnknownPolicy(_) => Status::unavailable(text),
        RiskError::Fenced { .. } => Status::failed_precondition(text),
        RiskError::Account { .. }
        | RiskError::OtherAccount { .. }
        | RiskError::UnknownSymbol { .. }
        | RiskError::TooMany { .. }
        | RiskError::Ahead { .. }
        | RiskError::Message(_)
        | RiskError::Instrument(_) => Status::invalid_argument(text),
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
        caller_of(&request)?.speaks_for(&request.get_ref().policy)?;
        let request = request.into_inner();
        tracing::info!(policy = request.policy, "the orders of a policy are asked for");
        answer(self.running.call(move |engine| engine.acquire(&request)).await)
    }

    async fn place(&self, request: Request<v1::PlaceRequest>) -> Result<Response<v1::PlaceReply>, Status> {
        speaks_for(&request, request.get_ref().owner.as_ref())?;
        let (request, asked, came_at) = (request.into_inner(), Instant::now(), arrival_clock());
        let work = move |engine: &mut Engine| {
            let now = Nanos(came_at.0.saturating_add(i64::try_from(asked.elapsed().as_nanos()).unwrap_or(i64::MAX)));
            engine.place(&request, Arrival { came_at, now })
        };
        let outcome = self.running.call(work).await;
        self.seconds.record(asked.elapsed().as_secs_f64(), &[]);
        if let Ok(Ok(reply)) = &outcome {
            for verdict in &reply.verdicts {
                let denial = if verdict.allowed { "allowed".to_owned() } else { verdict.denial.clone() };
                self.verdicts.add(1, &[KeyValue::new("verdict", denial)]);
            }
        }
        answer(outcome)
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::EventsReply>, Status> {
        speaks_for(&request, request.get_ref().owner.as_ref())?;
        let request = request.into_inner();
        answer(self.running.call(move |engine| engine.cancel(&request)).await)
    }

    async fn events(&self, request: Request<v1::EventsRequest>) -> Result<Response<v1::EventsReply>, Status> {
        speaks_for(&request, request.get_ref().owner.as_ref())?;
        let request = request.into_inner();
        answer(self.running.call(move |engine| engine.events(&request)).await)
    }

    async fn meet(&self, request: Request<v1::MeetRequest>) -> Result<Response<v1::MeetReply>, Status> {
        speaks_for(&request, request.get_ref().owner.as_ref())?;
        let request = request.into_inner();
        let (sequence, mut state) = (request.sequence, self.running.watch());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let asked = request.clone();
        let own = match self.running.call(move |engine| engine.awaited(&asked)).await {
            Ok(Ok(Some(Awaited { feed, peers }))) => {
                let read = tokio::time::timeout_at(deadline, self.feeds.recorded(&self.running, &feed, sequence)).await;
                let read = read.map_err(|_| Status::unavailable(format!("bar {sequence} of feed {feed} has not come yet")))?;
                let read = read.map_err(|error| Status::unavailable(error.to_string()))?;
                let turn = self.turns.turn(policy_of(request.owner.as_ref()), sequence, &peers, Instant::now() + TURN).await;
                turn.map_err(Status::unavailable)?;
                Some(read)
            }
            Ok(Ok(None)) => None,
            refused => return answer(refused.map(|outcome| outcome.map(|_| v1::MeetReply::default()))),
        };
        loop {
            let (asked, own) = (request.clone(), own.clone());
            let outcome = self.running.call(move |engine| engine.meet(&asked, own.as_ref())).await;
            if !matches!(&outcome, Ok(Err(RiskError::NotSeen { .. })))
                || !matches!(tokio::time::timeout_at(deadline, state.changed()).await, Ok(Ok(())))
            {
                self.turns.heard(policy_of(request.owner.as_ref()));
                return answer(outcome);
            }
        }
    }

    async fn settle(&self, request: Request<v1::SettleOwnerRequest>) -> Result<Response<v1::SettleOwnerReply>, Status> {
        speaks_for(&request, request.get_ref().owner.as_ref())?;
        let request = request.into_inner();
        let sequence = request.sequence;
        let settled = self.running.call(move |engine| engine.settles(&request)).await;
        if let Ok(Ok(policy)) = &settled {
            self.turns.come(policy, sequence);
        }
        answer(settled.map(|outcome| outcome.map(|_| v1::SettleOwnerReply {})))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::RiskState, Status>> + Send>>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(heartbeats(self.running.watch()))))
    }

    async fn status(&self, _: Request<v1::RiskStatusRequest>) -> Result<Response<v1::RiskStatus>, Status> {
        let asked = self.running.call(|engine| {
            let (feeds, now) = (engine.feeds(), arrival_clock());
            let overdue: Vec<_> = feeds.iter().map(|(feed, ..)| (feed.clone(), engine.overdue(feed, now))).collect();
            Ok((engine.status(), feeds, overdue))
        });
        answer(asked.await.map(|outcome| {
            outcome.map(|(mut status, feeds, overdue)| {
                status.feeds = self.feeds.sights().told(&feeds, |feed| overdue_text(feed, &overdue));
                status
            })
        }))
    }

    async fn halt(&self, request: Request<v1::HaltNowRequest>) -> Result<Response<v1::HaltNowReply>, Status> {
        let request = request.into_inner();
        tracing::warn!(account = request.account, actor = request.actor, reason = request.reason, "a direct call to halt");
        answer(self.running.call(move |engine| engine.halt_now(&request, arrival_clock())).await)
    }
}

/// Instruments of a feed whose bars are overdue, and since when, UTC.
fn overdue_text(feed: &FeedName, overdue: &[(FeedName, Vec<(Symbol, Nanos)>)]) -> String {
    let late = overdue.iter().filter(|(name, _)| name == feed).flat_map(|(_, late)| late);
    let told = late.map(|(symbol, due)| {
        let since = jiff::Timestamp::from_second(due.0.div_euclid(1_000_000_000));
        format!("{symbol} since {}", since.map_or_else(|_| format!("{} ns", due.0), |since| since.to_string()))
    });
    told.take(5).collect::<Vec<_>>().join(", ")
}

/// An owner's calls come from that owner's process.
fn speaks_for<T>(request: &Request<T>, owner: Option<&v1::Owner>) -> Result<(), Status> {
    caller_of(request)?.speaks_for(policy_of(owner))
}

fn policy_of(owner: Option<&v1::Owner>) -> &str {
    owner.map_or("", |owner| owner.policy.as_str())
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
