//! gRPC in front of the hot thread, and the feed behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::Mutex;
use tonic::{Code, Request, Response, Status};
use tradewind_features::strategic::StrategicEngineError;
use tradewind_features::tactical::EngineError;
use tradewind_wire::bus::BusError;
use tradewind_wire::convert::required;
use tradewind_wire::v1;
use tradewind_wire::v1::inference_server::{Inference, InferenceServer};

use crate::core::CoreError;
use crate::feed::{FeedError, History};
use crate::figures::Figures;
use crate::hot::{HotError, HotThread};
use crate::message::decision_to_wire;

/// Answers `Inference.Decide` (TA-37, TA-38) for one bundle. Clones share everything.
#[derive(Debug)]
pub struct Service<H> {
    bundle: Arc<str>,
    hot: HotThread,
    history: Arc<H>,
    figures: Figures,
    /// The past of the feed was read once.
    ready: Arc<AtomicBool>,
    /// Sequence of the feed up to which bars were loaded; held while loading, so that two gaps are
    /// filled one after the other.
    loaded: Arc<Mutex<u64>>,
}

impl<H> Clone for Service<H> {
    fn clone(&self) -> Self {
        Self {
            bundle: Arc::clone(&self.bundle),
            hot: self.hot.clone(),
            history: Arc::clone(&self.history),
            figures: self.figures.clone(),
            ready: Arc::clone(&self.ready),
            loaded: Arc::clone(&self.loaded),
        }
    }
}

impl<H: History> Service<H> {
    /// A service that has not read the feed yet: see [`Service::load_history`].
    #[must_use]
    pub fn new(bundle: &str, hot: HotThread, history: H, figures: Figures) -> Self {
        let (ready, loaded) = (Arc::default(), Arc::default());
        Self { bundle: bundle.into(), hot, history: Arc::new(history), figures, ready, loaded }
    }

    /// The gRPC service, to be added to the process's routes.
    #[must_use]
    pub fn server(self) -> InferenceServer<Self> {
        InferenceServer::new(self)
    }

    /// Reads what the feed holds behind what was read before; the number of bars that came.
    ///
    /// # Errors
    /// [`FeedError`]; call again to go on.
    pub async fn load_history(&self) -> Result<u64, FeedError> {
        let mut loaded = self.loaded.lock().await;
        let mut count = 0;
        loop {
            let (bars, last) = self.history.read(*loaded).await?;
            if last <= *loaded {
                self.ready.store(true, Ordering::Release);
                return Ok(count);
            }
            count += bars.len() as u64;
            self.hot.load(bars).await?;
            *loaded = last;
        }
    }

    /// Decides; fills a gap from the feed once.
    ///
    /// # Errors
    /// A status whose code says whether asking again can help.
    pub async fn decide_bar(&self, bar: v1::Bar) -> Result<v1::Decision, Status> {
        let begun = Instant::now();
        if !self.ready.load(Ordering::Acquire) {
            return Err(Status::unavailable("the past of the feed is not read yet"));
        }
        let first = self.hot.decide(bar.clone()).await;
        let outcome = match &first {
            Err(HotError::Core(CoreError::Missing { .. })) => {
                self.load_history().await.map_err(|error| unread(&error))?;
                self.hot.decide(bar).await
            }
            Err(HotError::Core(error)) if error.is_forgotten() => {
                tracing::warn!(symbol = bar.symbol, index = bar.index, "a bar of long ago is asked, its symbol is built again");
                self.hot.forget(&bar.symbol).await.map_err(|error| status(&error))?;
                *self.loaded.lock().await = 0;
                self.load_history().await.map_err(|error| unread(&error))?;
                self.hot.decide(bar).await
            }
            _ => first,
        };
        let (decided, waited) = outcome.map_err(|error| status(&error))?;
        self.figures.decided(&decided, waited, begun.elapsed());
        Ok(decision_to_wire(decided))
    }
}

#[tonic::async_trait]
impl<H: History> Inference for Service<H> {
    async fn decide(&self, request: Request<v1::DecideRequest>) -> Result<Response<v1::Decision>, Status> {
        let asked = request.into_inner();
        let checked = async {
            if asked.bundle != *self.bundle {
                let message = format!("bundle '{}' was asked, this process serves '{}'", asked.bundle, self.bundle);
                return Err(Status::failed_precondition(message));
            }
            let bar = required(asked.bar, "DecideRequest", "bar").map_err(|error| Status::invalid_argument(error.to_string()))?;
            self.decide_bar(bar).await
        };
        let outcome = checked.await;
        if let Err(status) = &outcome {
            self.figures.failed(status.code());
        }
        outcome.map(Response::new)
    }
}

/// A feed that cannot be read for good is said to be so: asking again changes nothing until a person acts.
fn unread(error: &FeedError) -> Status {
    let text = format!("bars are missing and the feed was not read: {error}");
    match error {
        FeedError::Bus(BusError::Replaced { .. }) => Status::failed_precondition(text),
        FeedError::Bus(_) | FeedError::Hot(_) => Status::unavailable(text),
    }
}

/// Codes tell the caller whether to ask again (`UNAVAILABLE`, `RESOURCE_EXHAUSTED`, `INTERNAL`) or not.
fn status(error: &HotError) -> Status {
    let code = match error {
        HotError::Busy => Code::ResourceExhausted,
        HotError::Gone(_) | HotError::Thread(_) => Code::Unavailable,
        HotError::Core(error) => match error {
            CoreError::Missing { .. } => Code::Unavailable,
            // Said of this bar for ever: who asks is to leave it out.
            CoreError::UnknownSymbol(_)
            | CoreError::Bar(_)
            | CoreError::NotInFeed { .. }
            | CoreError::Engine(EngineError::Feature { .. } | EngineError::Rewritten { .. } | EngineError::Matrix { .. })
            | CoreError::Strategic(StrategicEngineError::Feature { .. } | StrategicEngineError::Rewritten { .. }) => {
                Code::InvalidArgument
            }
            CoreError::Engine(EngineError::Network(_)) => Code::Internal,
            CoreError::Engine(_)
            | CoreError::Strategic(_)
            | CoreError::Config(_)
            | CoreError::Stage(_)
            | CoreError::Calendar { .. }
            | CoreError::Instrument(_) => Code::FailedPrecondition,
        },
    };
    Status::new(code, error.to_string())
}
