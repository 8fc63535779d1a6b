//! `/livez`, `/readyz` and `/metrics` over plain HTTP, and what makes a process ready.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::hot::Liveness;
use crate::telemetry::Metrics;

/// An engine that has not beaten for this long is not alive. A healthy disk writes a hundred times faster.
pub const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// What a process still waits for; ready when there is nothing left. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    waiting: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// Ready until something is [held](Readiness::hold).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready because of `subject`, with what is known about it. Replaces the earlier reason.
    pub fn hold(&self, subject: &str, reason: impl Into<String>) {
        self.lock().insert(subject.to_owned(), reason.into());
    }

    /// `subject` is no longer a reason.
    pub fn release(&self, subject: &str) {
        self.lock().remove(subject);
    }

    /// `None` when ready, else all reasons in one line.
    #[must_use]
    pub fn not_ready_reason(&self) -> Option<String> {
        let waiting = self.lock();
        let reasons: Vec<_> = waiting.iter().map(|(subject, reason)| format!("{subject}: {reason}")).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Insert and remove leave the map whole even if a holder of the lock panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why probes cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The address cannot be used.
    #[error("cannot serve probes on {address}: {source}; choose another address with --http")]
    Bind {
        /// Address seen.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("probes: {0}")]
    Serve(std::io::Error),
}

/// The router alone; tests call it in process, services may add routes. `/livez` says that the process answers: for one
/// whose work is done by an engine use [`living_router`].
pub fn router(readiness: Readiness, metrics: Metrics) -> Router {
    living_router(readiness, metrics, Liveness::default())
}

/// As [`router`]; `/livez` says whether the engine's thread has beaten within [`ALIVE_WITHIN`].
pub fn living_router(readiness: Readiness, metrics: Metrics, liveness: Liveness) -> Router {
    Router::new()
        .route("/livez", get(move || async move { alive(&liveness) }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state((readiness, metrics))
}

fn alive(liveness: &Liveness) -> Response {
    let silence = liveness.silence();
    if silence <= ALIVE_WITHIN {
        return "ok\n".into_response();
    }
    let text = format!("the engine's thread has been silent for {silence:?}, allowed is {ALIVE_WITHIN:?}: it hangs in a call\n");
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// Serves the probes until `stop`.
///
/// # Errors
/// [`ProbeError`].
pub async fn serve(address: SocketAddr, router: Router, stop: CancellationToken) -> Result<(), ProbeError> {
    let listener = TcpListener::bind(address).await.map_err(|source| ProbeError::Bind { address, source })?;
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await.map_err(ProbeError::Serve)
}

async fn ready(State((readiness, _)): State<(Readiness, Metrics)>) -> Response {
    match readiness.not_ready_reason() {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn scrape(State((_, metrics)): State<(Readiness, Metrics)>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_every_reason_and_life_goes_on() {
        let (readiness, metrics) = (Readiness::new(), Metrics::new().unwrap());
        metrics.meter("test").u64_counter("bars_total").build().add(3, &[]);
        let router = router(readiness.clone(), metrics);
        assert_eq!(ask(&router, "/readyz").await, (StatusCode::OK, "ok\n".into()));
        readiness.hold("feed", "12 of 80 bars");
        readiness.hold("risk", "not reachable");
        readiness.hold("feed", "13 of 80 bars");
        let answer = ask(&router, "/readyz").await;
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, "feed: 13 of 80 bars; risk: not reachable\n".into()));
        assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
        readiness.release("feed");
        readiness.release("risk");
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
        assert!(ask(&router, "/metrics").await.1.contains("bars_total 3"));
        assert_eq!(ask(&router, "/other").await.0, StatusCode::NOT_FOUND);
    }
}
