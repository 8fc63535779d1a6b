//! The core on a thread of its own, bound to one CPU of the allowed set.

use std::time::{Duration, Instant};

use tradewind_wire::bus::SequencedBar;
use tradewind_wire::config::BundleConfig;
use tradewind_wire::hot::{EngineEnded, HotEngine};
use tradewind_wire::pinning::Pinning;
use tradewind_wire::v1;

use crate::core::{Core, CoreError, Decided};
use crate::networks::Networks;

/// Questions that may wait; more are refused, because their answers would come too late anyway.
const WAITING: usize = 64;

/// Why the hot thread gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum HotError {
    /// Too many questions wait.
    #[error("{WAITING} questions are waiting already; ask again later")]
    Busy,
    /// The thread cannot start.
    #[error("starting the deciding thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread is gone: the process must end.
    #[error(transparent)]
    Gone(#[from] EngineEnded),
    /// The core refuses.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// Handle of the hot thread; clones share it. It ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct HotThread(HotEngine<Core>);

impl HotThread {
    /// Starts the thread, binds it, and builds the core on it. A thread that cannot be bound runs
    /// unbound: the report of the process says so, and trading goes on.
    ///
    /// # Errors
    /// [`CoreError`] for a bundle that cannot be served; [`HotError::Thread`] when no thread can start.
    pub fn start(bundle: BundleConfig, networks: Networks, pinning: &Pinning) -> Result<Self, HotError> {
        let build = move || Core::new(bundle, networks).map_err(HotError::from);
        Ok(Self(HotEngine::build("decide", pinning, build)?))
    }

    /// Decides a bar; the second value is how long the question waited.
    ///
    /// # Errors
    /// [`HotError`]; asking again is safe.
    pub async fn decide(&self, bar: v1::Bar) -> Result<(Decided, Duration), HotError> {
        if self.0.waiting() >= WAITING {
            return Err(HotError::Busy);
        }
        let (asked, symbol) = (Instant::now(), bar.symbol.clone());
        let decide = move |core: &mut Core| {
            let waited = asked.elapsed();
            core.decide(&bar).map(|decided| (decided, waited))
        };
        let decided = self.0.call(decide, |_| false).await?;
        let engine = self.0.clone();
        // Nobody waits for it, and when the thread is gone there is nothing to settle.
        tokio::spawn(async move { engine.call(move |core| core.settle(&symbol), |()| false).await });
        Ok(decided?)
    }

    /// Hands over bars of the feed.
    ///
    /// # Errors
    /// [`HotError::Gone`].
    pub async fn load(&self, bars: Vec<SequencedBar>) -> Result<(), HotError> {
        Ok(self.0.call(move |core| bars.iter().for_each(|bar| core.load(bar)), |()| false).await?)
    }

    /// Forgets a symbol, to be loaded again from its first bar.
    ///
    /// # Errors
    /// [`HotError::Core`] for an unknown symbol.
    pub async fn forget(&self, symbol: &str) -> Result<(), HotError> {
        let symbol = symbol.to_owned();
        Ok(self.0.call(move |core| core.forget(&symbol), |_| false).await??)
    }

    /// Waits until the thread has ended: a process without it must not go on answering.
    pub async fn ended(&self) {
        self.0.ended().await;
    }
}
