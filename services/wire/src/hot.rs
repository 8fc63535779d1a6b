//! One thread that owns an engine: every call runs on it, one after the other, bound to one CPU.

use std::ops::ControlFlow;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::pinning::Pinning;

/// Calls that may wait; a full queue makes callers wait, it never grows.
const WAITING: usize = 256;

/// The thread is gone: its engine said that it cannot go on, so the process must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended; the process is about to")]
pub struct EngineEnded;

type Work<E> = Box<dyn FnOnce(&mut E) -> ControlFlow<()> + Send>;

/// Handle of the thread; clones share it. It ends when the last handle is dropped or the engine cannot go on.
pub struct HotEngine<E> {
    work: mpsc::Sender<Work<E>>,
    ended: CancellationToken,
}

impl<E> std::fmt::Debug for HotEngine<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HotEngine").field("ended", &self.ended.is_cancelled()).finish_non_exhaustive()
    }
}

impl<E> Clone for HotEngine<E> {
    fn clone(&self) -> Self {
        Self { work: self.work.clone(), ended: self.ended.clone() }
    }
}

impl<E: 'static> HotEngine<E> {
    /// Starts the thread and binds it. One that cannot be bound runs unbound: the report of the process says so.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, pinning: &Pinning, engine: E) -> std::io::Result<Self>
    where
        E: Send,
    {
        Self::build(name, pinning, move || Ok::<_, std::io::Error>(engine))
    }

    /// As [`HotEngine::start`] for an engine that is made on its thread, because it cannot be sent to one.
    ///
    /// # Errors
    /// When the system gives no thread, or what `build` says.
    pub fn build<B>(name: &str, pinning: &Pinning, build: impl FnOnce() -> Result<E, B> + Send + 'static) -> Result<Self, B>
    where
        B: From<std::io::Error> + Send + 'static,
    {
        let (work, waiting) = mpsc::channel::<Work<E>>(WAITING);
        let ended = CancellationToken::new();
        let (pinning, end) = (pinning.clone(), ended.clone().drop_guard());
        let (ready, built) = std::sync::mpsc::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Cancelled however the thread ends, by panic too.
            let _end = end;
            match pinning.bind_hot_thread() {
                Ok(cpu) => tracing::info!(cpu, "the engine's thread is bound"),
                Err(error) => tracing::warn!(%error, "the engine's thread is not bound"),
            }
            // Nobody listens only when the starter is gone, and then nobody calls either.
            match build() {
                Ok(engine) => {
                    drop(ready.send(Ok(())));
                    run(engine, waiting);
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        built.recv().map_err(|_| std::io::Error::other("the engine's thread ended before it had its engine"))??;
        Ok(Self { work, ended })
    }

    /// Runs a call on the thread. When `is_fatal` says so of its outcome, the thread ends after it.
    ///
    /// # Errors
    /// [`EngineEnded`].
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut E) -> T + Send + 'static,
        is_fatal: fn(&T) -> bool,
    ) -> Result<T, EngineEnded> {
        let (reply, answer) = oneshot::channel();
        let work: Work<E> = Box::new(move |engine| {
            let outcome = call(engine);
            let fatal = is_fatal(&outcome);
            // Nobody may be waiting any more; what was done stays done.
            drop(reply.send(outcome));
            if fatal { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.work.send(work).await.map_err(|_| EngineEnded)?;
        answer.await.map_err(|_| EngineEnded)
    }

    /// Calls that wait for the thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.work.max_capacity() - self.work.capacity()
    }

    /// Waits until the thread has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

fn run<E>(mut engine: E, mut waiting: mpsc::Receiver<Work<E>>) {
    while let Some(work) = waiting.blocking_recv() {
        if work(&mut engine).is_break() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[tokio::test]
    async fn calls_run_in_order_until_the_engine_cannot_go_on() {
        let hot = HotEngine::start("test", &Pinning::read().unwrap(), Vec::new()).unwrap();
        for number in 0..3 {
            let seen = hot
                .call(
                    move |engine: &mut Vec<i32>| {
                        engine.push(number);
                        engine.len()
                    },
                    |length| *length == 3,
                )
                .await;
            assert_eq!(seen, Ok(usize::try_from(number).unwrap() + 1));
        }
        hot.ended().await;
        assert_eq!(hot.call(|engine| engine.len(), |_| false).await, Err(EngineEnded));
    }
}
