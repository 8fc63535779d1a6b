//! One thread that owns the core, bound to one CPU of the allowed set.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tradewind_domain::tactical::Network;
use tradewind_wire::config::BundleConfig;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::v1;

use crate::core::{Core, CoreError, Decided};

/// Questions that may wait; more are refused, because their answers would come too late anyway.
const WAITING: usize = 64;

/// Why the hot thread gave no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HotError {
    /// Too many questions wait.
    #[error("{WAITING} questions are waiting already; ask again later")]
    Busy,
    /// The thread is gone: the process must end.
    #[error("the deciding thread has ended")]
    Gone,
    /// The core refuses.
    #[error(transparent)]
    Core(#[from] CoreError),
}

enum Work {
    Load(Vec<v1::Bar>, oneshot::Sender<Result<(), CoreError>>),
    Forget(String, oneshot::Sender<Result<(), CoreError>>),
    Decide(v1::Bar, Instant, oneshot::Sender<Result<(Decided, Duration), CoreError>>),
}

/// Handle of the hot thread; clones share it. It ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct HotThread {
    work: mpsc::Sender<Work>,
}

impl HotThread {
    /// Starts the thread, binds it, and builds the core on it. A thread that cannot be bound runs
    /// unbound: the report of the process says so, and trading goes on.
    ///
    /// # Errors
    /// [`CoreError`] for a bundle that cannot be served; [`HotError::Gone`] when no thread can start.
    pub fn start<N>(bundle: BundleConfig, network: N, pinning: &Pinning) -> Result<(Self, JoinHandle<()>), HotError>
    where
        N: Network + Send + 'static,
    {
        let (work, waiting) = mpsc::channel(WAITING);
        let (ready, built) = std::sync::mpsc::channel();
        let pinning = pinning.clone();
        let body = move || {
            match pinning.bind_hot_thread() {
                Ok(cpu) => tracing::info!(cpu, "the deciding thread is bound"),
                Err(error) => tracing::warn!(%error, "the deciding thread is not bound"),
            }
            match Core::new(bundle, network) {
                Ok(core) => {
                    let _ = ready.send(Ok(()));
                    run(core, waiting);
                }
                // Nobody listens only when the starter is gone, and then nobody asks either.
                Err(error) => drop(ready.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new().name("decide".into()).spawn(body).map_err(|_| HotError::Gone)?;
        built.recv().map_err(|_| HotError::Gone)??;
        Ok((Self { work }, thread))
    }

    /// Decides a bar; the second value is how long the question waited.
    ///
    /// # Errors
    /// [`HotError`]; asking again is safe.
    pub async fn decide(&self, bar: v1::Bar) -> Result<(Decided, Duration), HotError> {
        let (reply, answer) = oneshot::channel();
        self.work.try_send(Work::Decide(bar, Instant::now(), reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => HotError::Busy,
            mpsc::error::TrySendError::Closed(_) => HotError::Gone,
        })?;
        Ok(answer.await.map_err(|_| HotError::Gone)??)
    }

    /// Hands over bars of the feed.
    ///
    /// # Errors
    /// [`HotError::Core`] for the first bar that is impossible.
    pub async fn load(&self, bars: Vec<v1::Bar>) -> Result<(), HotError> {
        let (reply, answer) = oneshot::channel();
        self.work.send(Work::Load(bars, reply)).await.map_err(|_| HotError::Gone)?;
        Ok(answer.await.map_err(|_| HotError::Gone)??)
    }

    /// Forgets a symbol, to be loaded again from its first bar.
    ///
    /// # Errors
    /// [`HotError::Core`] for an unknown symbol.
    pub async fn forget(&self, symbol: &str) -> Result<(), HotError> {
        let (reply, answer) = oneshot::channel();
        self.work.send(Work::Forget(symbol.to_owned(), reply)).await.map_err(|_| HotError::Gone)?;
        Ok(answer.await.map_err(|_| HotError::Gone)??)
    }
}

/// Answers nobody waits for any more are dropped: the asker's deadline has passed.
fn run<N: Network>(mut core: Core<N>, mut waiting: mpsc::Receiver<Work>) {
    while let Some(work) = waiting.blocking_recv() {
        match work {
            Work::Load(bars, reply) => drop(reply.send(bars.iter().try_for_each(|bar| core.load(bar)))),
            Work::Forget(symbol, reply) => drop(reply.send(core.forget(&symbol))),
            Work::Decide(bar, asked, reply) => {
                let waited = asked.elapsed();
                drop(reply.send(core.decide(&bar).map(|decided| (decided, waited))));
            }
        }
    }
}
