//! A gRPC server: mutual TLS, no Nagle delay, an orderly end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::tls::{Security, TlsError};

/// Calls in flight at the end of a process may take this long.
const GRACE: Duration = Duration::from_secs(3);
/// A peer that is gone is noticed within twice this time.
const KEEPALIVE: Duration = Duration::from_secs(5);

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
        Ok(Self { listener, address, security })
    }

    /// The address, with the real port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, then gives calls in flight three seconds.
    ///
    /// # Errors
    /// [`ServerError::Transport`] for unusable certificates or a failed listener.
    pub async fn run(self, routes: Routes, stop: CancellationToken) -> Result<(), ServerError> {
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .http2_adaptive_window(Some(false));
        if let Security::Mutual(material) = &self.security {
            server = server.tls_config(material.server())?;
        }
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let graceful = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        // Long streams never end by themselves: they are cut when the grace is over.
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            outcome = graceful => Ok(outcome?),
            () = over => {
                tracing::warn!(grace_s = GRACE.as_secs(), "calls were still in flight and are cut");
                Ok(())
            }
        }
    }
}
