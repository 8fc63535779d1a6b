//! The clock on the wall, injected: the only time here that is not that of an event.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tradewind_core::time::Nanos;

/// Tells the wall-clock time in UTC nanoseconds. Clones share.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Nanos + Send + Sync>);

impl WallClock {
    /// A clock that asks `read`.
    #[must_use]
    pub fn new(read: impl Fn() -> Nanos + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
        })
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Nanos {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.now()).finish()
    }
}
