//! One thread that owns an engine: every call runs on it, one after the other, bound to one CPU.
//!
//! The thread also beats: at least every [`BEAT`] while it is idle, and after a call when that long has passed. A call that
//! hangs stops the beat, so what is made of it (heartbeats, [`Pulse`]) tells of the loop that does the work and of nothing
//! else.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::pinning::Pinning;

/// Longest time between two beats of a thread that does not hang.
pub const BEAT: Duration = Duration::from_millis(200);

/// Calls that may wait; a full queue makes callers wait, it never grows.
const WAITING: usize = 256;

/// The thread is gone: its engine said that it cannot go on, so the process must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended; the process is about to")]
pub struct EngineEnded;

/// When the thread beat last. Clones share.
#[derive(Clone, Debug)]
pub struct Pulse {
    origin: Instant,
    /// Milliseconds after `origin`.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// Beats once, now.
    fn start() -> Self {
        Self { origin: Instant::now(), last: Arc::new(AtomicU64::new(0)) }
    }

    fn beat(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// Time since the last beat.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// Whether a process is alive: before its engine runs it is, from then on the engine's pulse says so. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<RwLock<Option<Pulse>>>);

impl Liveness {
    /// From now on the process lives as long as this pulse beats.
    pub fn follow(&self, pulse: Pulse) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(pulse);
    }

    /// Time since the last beat; 0 before there is an engine.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let pulse = self.0.read().unwrap_or_else(PoisonError::into_inner);
        pulse.as_ref().map_or(Duration::ZERO, Pulse::age)
    }
}

type Work<E> = Box<dyn FnOnce(&mut E) -> ControlFlow<()> + Send>;

/// Handle of the thread; clones share it. It ends when the last handle is dropped or the engine cannot go on.
pub struct HotEngine<E> {
    work: mpsc::Sender<Work<E>>,
    ended: CancellationToken,
    pulse: Pulse,
}

impl<E> std::fmt::Debug for HotEngine<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HotEngine").field("ended", &self.ended.is_cancelled()).finish_non_exhaustive()
    }
}

impl<E> Clone for HotEngine<E> {
    fn clone(&self) -> Self {
        Self { work: self.work.clone(), ended: self.ended.clone(), pulse: self.pulse.clone() }
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

    /// As [`HotEngine::start`]; `beat` runs on the thread with every beat.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_beating(name: &str, pinning: &Pinning, engine: E, beat: impl FnMut(&E) + Send + 'static) -> std::io::Result<Self>
    where
        E: Send,
    {
        Self::spawn(name, pinning, move || Ok::<_, std::io::Error>(engine), beat)
    }

    /// As [`HotEngine::start`] for an engine that is made on its thread, because it cannot be sent to one.
    ///
    /// # Errors
    /// When the system gives no thread, or what `build` says.
    pub fn build<B>(name: &str, pinning: &Pinning, build: impl FnOnce() -> Result<E, B> + Send + 'static) -> Result<Self, B>
    where
        B: From<std::io::Error> + Send + 'static,
    {
        Self::spawn(name, pinning, build, |_| {})
    }

    fn spawn<B>(
        name: &str,
        pinning: &Pinning,
        build: impl FnOnce() -> Result<E, B> + Send + 'static,
        beat: impl FnMut(&E) + Send + 'static,
    ) -> Result<Self, B>
    where
        B: From<std::io::Error> + Send + 'static,
    {
        let pulse = Pulse::start();
        let beating = pulse.clone();
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
                    run(engine, waiting, &beating, beat);
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        built.recv().map_err(|_| std::io::Error::other("the engine's thread ended before it had its engine"))??;
        Ok(Self { work, ended, pulse })
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

    /// When the thread beat last.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Waits until the thread has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// Wakes the thread when a call comes.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn run<E>(mut engine: E, mut waiting: mpsc::Receiver<Work<E>>, pulse: &Pulse, mut beat: impl FnMut(&E)) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut last = None::<Instant>;
    loop {
        if last.is_none_or(|last| last.elapsed() >= BEAT) {
            pulse.beat();
            beat(&engine);
            last = Some(Instant::now());
        }
        match waiting.poll_recv(&mut context) {
            Poll::Ready(Some(work)) => {
                if work(&mut engine).is_break() {
                    return;
                }
            }
            Poll::Ready(None) => return,
            Poll::Pending => thread::park_timeout(BEAT.saturating_sub(last.map_or(BEAT, |last| last.elapsed()))),
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

    #[tokio::test]
    async fn the_thread_beats_while_it_is_idle_and_not_while_a_call_hangs() {
        let (beats, mut heard) = mpsc::unbounded_channel();
        let pinning = Pinning::read().unwrap();
        let hot = HotEngine::start_beating("test", &pinning, "here".to_owned(), move |engine| drop(beats.send(engine.clone())))
            .unwrap();
        let limit = Duration::from_secs(30);
        for _ in 0..3 {
            assert_eq!(tokio::time::timeout(limit, heard.recv()).await.unwrap(), Some("here".to_owned()), "idle");
        }
        let (hold, release) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = tokio::sync::oneshot::channel();
        let hanging = hot.clone();
        let hang = move |_: &mut String| begins.send(()).is_ok() && release.recv().is_ok();
        let call = tokio::spawn(async move { hanging.call(hang, |_| false).await });
        begun.await.unwrap();
        // The beat of before the call may still be on its way; after it there is none.
        while tokio::time::timeout(3 * BEAT, heard.recv()).await.is_ok() {}
        assert!(hot.pulse().age() >= 2 * BEAT, "{:?}", hot.pulse().age());
        hold.send(()).unwrap();
        assert!(call.await.unwrap().unwrap());
        assert_eq!(tokio::time::timeout(limit, heard.recv()).await.unwrap(), Some("here".to_owned()), "it goes on");
        assert!(hot.pulse().age() < limit);
    }
}
