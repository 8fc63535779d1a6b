//! gRPC clients: lazy channels, deadlines, and asking until there is an answer.

use std::future::Future;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Response, Status};

use crate::handshake::dial;
use crate::tls::{Security, TlsError};

pub use crate::handshake::Expected;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Why a client cannot be made or gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The endpoint is no URL that can be called.
    #[error("endpoint '{endpoint}': write {wanted}")]
    Endpoint {
        /// Text seen.
        endpoint: String,
        /// Form allowed.
        wanted: &'static str,
    },
    /// Plaintext rules.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The other side refused for good: asking again would not help.
    #[error("{what}: refused with {:?}: {}", .status.code(), .status.message())]
    Refused {
        /// What was asked.
        what: String,
        /// The refusal.
        status: Box<Status>,
    },
    /// This process stops.
    #[error("{what}: given up because the process stops")]
    Stopped {
        /// What was asked.
        what: String,
    },
}

/// An error with all its causes, for logs and messages.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// A channel to whichever process has the host name in its certificate: see [`channel_to`].
///
/// # Errors
/// As [`channel_to`].
pub fn channel(endpoint: &str, security: &Security) -> Result<Channel, ClientError> {
    channel_to(endpoint, security, Expected::AnyProcess)
}

/// A channel that connects at its first call and again whenever the connection is lost, each time with the newest
/// certificates; it hangs up on a server that is not the process `expected`. Accepts `host:port`, or a URL whose scheme
/// is set by `security` anyway.
///
/// # Errors
/// [`ClientError::Endpoint`] for a text that is no endpoint, [`ClientError::Tls`] for plaintext
/// beyond loopback.
pub fn channel_to(endpoint: &str, security: &Security, expected: Expected) -> Result<Channel, ClientError> {
    let wrong = || ClientError::Endpoint { endpoint: endpoint.to_owned(), wanted: "host:port" };
    let authority = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest).trim_end_matches('/');
    let target = Endpoint::from_shared(format!("http://{authority}")).map_err(|_| wrong())?;
    let port = target.uri().port_u16().ok_or_else(wrong)?;
    if target.uri().path() != "/" {
        return Err(wrong());
    }
    let host = target.uri().host().ok_or_else(wrong)?.to_owned();
    security.check_host(&host)?;
    let target = target
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    let Security::Mutual(material) = security else { return Ok(target.connect_lazy()) };
    let material = material.clone();
    let target = target.origin(format!("https://{authority}").parse::<Uri>().map_err(|_| wrong())?);
    Ok(target.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (host, material) = (host.clone(), material.clone());
        async move { dial(&host, port, &material, expected).await.map(TokioIo::new) }
    })))
}

/// Whether the same question may get an answer later.
#[must_use]
pub const fn may_answer_later(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Cancelled
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::Internal
    )
}

/// Pauses between questions: doubling from `first` to at most `most`, without randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Limit of one call.
    pub deadline: Duration,
    /// Pause after the first failure.
    pub first: Duration,
    /// Longest pause.
    pub most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(1), first: Duration::from_millis(5), most: Duration::from_millis(250) }
    }
}

impl Patience {
    /// Pause after failure number `failures` (from 1).
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.most)
    }
}

/// One call within a deadline.
///
/// # Errors
/// The status of the other side, or `DEADLINE_EXCEEDED`.
pub async fn within<T>(deadline: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(deadline, call).await {
        Ok(outcome) => outcome.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} ms", deadline.as_millis()))),
    }
}

/// Asks until there is an answer. Only for idempotent calls: a lost answer is asked for again.
/// `waiting` hears of each failure, so that the caller can say what it waits for.
///
/// # Errors
/// [`ClientError::Refused`] for a refusal that stays one, [`ClientError::Stopped`] when `stop` is
/// cancelled.
pub async fn until_answered<T, Call>(
    what: &str,
    patience: Patience,
    stop: &CancellationToken,
    mut waiting: impl FnMut(u32, &Status),
    mut call: impl FnMut() -> Call,
) -> Result<T, ClientError>
where
    Call: Future<Output = Result<Response<T>, Status>>,
{
    let stopped = || ClientError::Stopped { what: what.to_owned() };
    let mut failures = 0_u32;
    loop {
        let outcome = tokio::select! {
            outcome = within(patience.deadline, call()) => outcome,
            () = stop.cancelled() => return Err(stopped()),
        };
        let status = match outcome {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        if !may_answer_later(status.code()) {
            return Err(ClientError::Refused { what: what.to_owned(), status: Box::new(status) });
        }
        failures += 1;
        if failures.is_power_of_two() {
            tracing::warn!(what, failures, code = ?status.code(), message = status.message(), "no answer, asking again");
        }
        waiting(failures, &status);
        tokio::select! {
            () = tokio::time::sleep(patience.pause(failures)) => {}
            () = stop.cancelled() => return Err(stopped()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn quick() -> Patience {
        Patience { deadline: Duration::from_millis(50), first: Duration::from_millis(1), most: Duration::from_millis(2) }
    }

    #[tokio::test]
    async fn endpoints_are_host_and_port() {
        for fine in ["127.0.0.1:9000", "http://localhost:9000", "https://[::1]:9000/"] {
            channel(fine, &Security::PlaintextLoopback).unwrap();
        }
        for wrong in ["", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:1/path", "a b:1"] {
            let error = channel(wrong, &Security::PlaintextLoopback).unwrap_err();
            assert!(matches!(error, ClientError::Endpoint { .. }), "{wrong}: {error}");
        }
        let far = channel("risk.trading.svc:9000", &Security::PlaintextLoopback).unwrap_err();
        assert!(matches!(far, ClientError::Tls(TlsError::PlaintextBeyondLoopback { .. })), "{far}");
    }

    #[test]
    fn pauses_double_up_to_the_limit() {
        let patience = Patience::default();
        let pauses: Vec<_> = [1, 2, 3, 7, 8, 1000].map(|n| patience.pause(n).as_millis()).to_vec();
        assert_eq!(pauses, [5, 10, 20, 250, 250, 250]);
    }

    #[tokio::test]
    async fn asks_until_there_is_an_answer_and_tells_what_it_waits_for() {
        let (mut asked, mut heard, stop) = (0, Vec::new(), CancellationToken::new());
        let answer = until_answered(
            "risk",
            quick(),
            &stop,
            |n, status| heard.push((n, status.code())),
            || {
                asked += 1;
                let attempt = asked;
                async move {
                    match attempt {
                        1 => Err(Status::unavailable("starting")),
                        2 => std::future::pending().await,
                        _ => Ok(Response::new(attempt)),
                    }
                }
            },
        );
        assert_eq!(answer.await.unwrap(), 3);
        assert_eq!(heard, [(1, Code::Unavailable), (2, Code::DeadlineExceeded)]);
    }

    #[tokio::test]
    async fn a_refusal_is_not_asked_again() {
        let mut asked = 0;
        let outcome: Result<(), _> = until_answered(
            "risk",
            quick(),
            &CancellationToken::new(),
            |_, _| {},
            || {
                asked += 1;
                async { Err(Status::failed_precondition("another bundle")) }
            },
        )
        .await;
        assert!(matches!(outcome, Err(ClientError::Refused { .. })));
        assert_eq!(asked, 1);
    }

    #[tokio::test]
    async fn stopping_ends_the_asking() {
        let stop = CancellationToken::new();
        let outcome: Result<(), _> = until_answered(
            "risk",
            quick(),
            &stop,
            |n, _| {
                if n == 3 {
                    stop.cancel()
                }
            },
            || async { Err(Status::unavailable("gone")) },
        )
        .await;
        assert!(matches!(outcome, Err(ClientError::Stopped { .. })));
    }
}
