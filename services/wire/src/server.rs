//! A gRPC server: mutual TLS, callers held against the table of methods, no Nagle delay, an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::handshake::accept;
use crate::identity::gate::Gate;
use crate::renewal::Renewal;
use crate::tls::{Security, TlsError};

/// Calls in flight at the end of a process may take this long.
const GRACE: Duration = Duration::from_secs(3);
/// A peer that is gone is noticed within twice this time.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Handshakes under way at once; a peer that does not finish one holds a place for five seconds.
const HANDSHAKES: usize = 256;

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Bind {
        /// Address seen.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Certificates or plaintext rules.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The TLS configuration or the transport failed.
    #[error("gRPC server: {}", crate::client::chain(.0))]
    Transport(#[from] tonic::transport::Error),
}

/// A server that has its port and does not answer yet.
#[derive(Debug)]
pub struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
    security: Security,
    renewal: Renewal,
}

impl BoundServer {
    /// Takes the port (0 for any).
    ///
    /// # Errors
    /// [`ServerError::Bind`]; [`ServerError::Tls`] for plaintext on an address others can reach.
    pub async fn bind(address: SocketAddr, security: Security) -> Result<Self, ServerError> {
        security.check_host(&address.ip().to_string())?;
        let bind = |source| ServerError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self { listener, address, security, renewal: Renewal::default() })
    }

    /// The address, with the real port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks after the certificates in another way than the default. Everything else in the process that shares them
    /// benefits too.
    #[must_use]
    pub fn renewing(mut self, renewal: Renewal) -> Self {
        self.renewal = renewal;
        self
    }

    /// Serves until `stop` is cancelled, then gives calls in flight three seconds.
    ///
    /// # Errors
    /// [`ServerError::Transport`] for a failed listener.
    pub async fn run(self, routes: Routes, stop: CancellationToken) -> Result<(), ServerError> {
        let gate = match &self.security {
            Security::Mutual(material) => Gate::of(Arc::clone(material.identity())),
            Security::PlaintextLoopback => Gate::loopback(),
        };
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .http2_adaptive_window(Some(false))
            .layer(gate);
        let (security, listener) = (self.security.clone(), TcpListenerStream::new(self.listener));
        let incoming = listener.map(move |stream| {
            let security = security.clone();
            async move { accept(stream?, security).await }
        });
        let incoming = incoming.buffer_unordered(HANDSHAKES);
        let graceful = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        let renewal = async {
            match self.security {
                Security::Mutual(material) => self.renewal.run(material, stop.clone()).await,
                Security::PlaintextLoopback => {}
            }
            std::future::pending::<()>().await;
        };
        // Long streams never end by themselves: they are cut when the grace is over.
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            outcome = graceful => Ok(outcome?),
            () = renewal => Ok(()),
            () = over => {
                tracing::warn!(grace_s = GRACE.as_secs(), "calls were still in flight and are cut");
                Ok(())
            }
        }
    }
}
