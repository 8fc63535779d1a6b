//! The layer in front of every handler: a call that the table does not list is refused before it is read.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::Either;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::peer::{IdentityError, Peer};
use super::table::check;

/// Who a connection belongs to. It is an extension of every request.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A process whose certificate the handshake verified.
    Known(Arc<Peer>),
    /// The handshake verified the certificate, and it names no process.
    Nameless(IdentityError),
    /// Plaintext on this machine: tests, and all processes in one.
    Loopback,
}

impl Caller {
    /// Refuses a message about a policy that is not the caller's own.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` naming both.
    #[allow(clippy::result_large_err)] // what a tonic handler returns
    pub fn speaks_for(&self, policy: &str) -> Result<(), Status> {
        match self {
            Self::Loopback => Ok(()),
            Self::Known(peer) if peer.name() == policy => Ok(()),
            Self::Known(peer) => {
                Err(Status::permission_denied(format!("{peer} may not speak for policy '{policy}', only for its own")))
            }
            Self::Nameless(error) => Err(Status::permission_denied(error.to_string())),
        }
    }
}

/// Who sent a request: what the server's connection found out.
///
/// # Errors
/// `INTERNAL` when the request came through no server of this crate.
#[allow(clippy::result_large_err)] // what a tonic handler returns
pub fn caller_of<T>(request: &tonic::Request<T>) -> Result<&Caller, Status> {
    let found = request.extensions().get::<Caller>();
    found.ok_or_else(|| Status::internal("the connection says nothing about its caller"))
}

/// Puts [`Guarded`] in front of a server's routes.
#[derive(Clone, Debug)]
pub struct Gate {
    server: Option<Arc<Peer>>,
}

impl Gate {
    /// The gate of a server with a certificate.
    #[must_use]
    pub const fn of(server: Arc<Peer>) -> Self {
        Self { server: Some(server) }
    }

    /// The gate of a server that speaks plaintext on loopback: whoever is on this machine is let in.
    #[must_use]
    pub const fn loopback() -> Self {
        Self { server: None }
    }

    fn refusal(&self, caller: Option<&Caller>, method: &str) -> Option<String> {
        match (&self.server, caller) {
            (Some(server), Some(Caller::Known(peer))) => check(method, server, peer).err(),
            (Some(server), Some(Caller::Nameless(error))) => Some(format!("{method} of {server}: {error}")),
            (None, Some(Caller::Loopback)) => None,
            _ => Some(format!("{method}: the connection says nothing about its caller")),
        }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { gate: self.clone(), inner }
    }
}

/// Routes behind a [`Gate`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    gate: Gate,
    inner: S,
}

type Answer = http::Response<Body>;

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = Answer>,
{
    type Response = Answer;
    type Error = S::Error;
    type Future = Either<Ready<Result<Answer, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self.gate.refusal(request.extensions().get(), request.uri().path()) {
            None => Either::Right(self.inner.call(request)),
            Some(refusal) => {
                tracing::warn!(refusal, "a call was refused");
                Either::Left(ready(Ok(Status::permission_denied(refusal).into_http())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn peer(text: &str) -> Arc<Peer> {
        Arc::new(text.parse().unwrap())
    }

    #[test]
    fn silence_about_the_caller_is_a_refusal() {
        let gate = Gate::of(peer("spiffe://tradewind/trading/risk/main"));
        let method = "/tradewind.v1.Risk/Status";
        let operator = Caller::Known(peer("spiffe://tradewind/system/operator/tradewind-operator"));
        assert_eq!(gate.refusal(Some(&operator), method), None);
        assert!(gate.refusal(None, method).is_some());
        assert!(gate.refusal(Some(&Caller::Loopback), method).is_some(), "plaintext never reaches a server with certificates");
        assert!(gate.refusal(Some(&Caller::Nameless(IdentityError::NoUri)), method).unwrap().contains("names no process"));
        assert!(Gate::loopback().refusal(Some(&operator), method).is_some());
        assert_eq!(Gate::loopback().refusal(Some(&Caller::Loopback), method), None);
    }

    #[test]
    fn a_caller_speaks_for_its_own_policy_only() {
        let caller = Caller::Known(peer("spiffe://tradewind/trading/execution/indices"));
        caller.speaks_for("indices").unwrap();
        let refused = caller.speaks_for("metals").unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        assert!(refused.message().contains("'metals'") && refused.message().contains("execution/indices"), "{refused}");
        assert!(Caller::Nameless(IdentityError::NoUri).speaks_for("indices").is_err());
        Caller::Loopback.speaks_for("indices").unwrap();
    }
}
