//! Both ends of a TLS handshake: each uses the newest certificates and asks the other who it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tonic::transport::server::Connected;

use crate::identity::gate::Caller;
use crate::identity::peer::{IdentityError, Peer, Process};
use crate::tls::{Security, TlsMaterial};

/// A peer that does not finish its handshake is dropped.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Which process a client means to reach, beside the host name that its certificate must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any process with an identity.
    AnyProcess,
    /// A process of this kind, wherever it runs.
    Process(Process),
    /// A process of this kind in the client's namespace.
    Neighbour(Process),
    /// A process of this kind that belongs to the same policy or profile as the client.
    SameOwner(Process),
}

impl Expected {
    /// Whether a server that shows the identity `seen` is meant by the client `own`.
    #[must_use]
    pub fn admits(self, own: &Peer, seen: &Peer) -> bool {
        let neighbours = own.namespace() == seen.namespace();
        match self {
            Self::AnyProcess => true,
            Self::Process(process) => seen.process() == process,
            Self::Neighbour(process) => seen.process() == process && neighbours,
            Self::SameOwner(process) => seen.process() == process && neighbours && seen.name() == own.name(),
        }
    }
}

/// A connection that was accepted.
pub(crate) enum Connection {
    Plain(TcpStream),
    Secured { stream: Box<server::TlsStream<TcpStream>>, caller: Caller },
}

/// Shakes hands with a client. One without a certificate of the authority gets no further.
pub(crate) async fn accept(stream: TcpStream, security: Security) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let Security::Mutual(material) = security else { return Ok(Connection::Plain(stream)) };
    let from = stream.peer_addr()?;
    let accepting = TlsAcceptor::from(material.server()).accept(stream);
    let accepted = match tokio::time::timeout(HANDSHAKE, accepting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake was not finished in time")),
    };
    let stream = accepted.inspect_err(|error| tracing::info!(%from, %error, "a connection was refused"))?;
    let caller = match identity(stream.get_ref().1.peer_certificates()) {
        Ok(peer) => Caller::Known(Arc::new(peer)),
        Err(error) => Caller::Nameless(error),
    };
    Ok(Connection::Secured { stream: Box::new(stream), caller })
}

/// Connects, and hangs up on a server that is not the process that is meant.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    material: &TlsMaterial,
    expected: Expected,
) -> io::Result<client::TlsStream<TcpStream>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
    let stream = TcpStream::connect((bare, port)).await?;
    stream.set_nodelay(true)?;
    let connecting = TlsConnector::from(material.client()).connect(name, stream);
    let stream = tokio::time::timeout(HANDSHAKE, connecting).await.map_err(io::Error::other)??;
    let refused = |text: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    match identity(stream.get_ref().1.peer_certificates()) {
        Ok(seen) if expected.admits(material.identity(), &seen) => Ok(stream),
        Ok(seen) => refused(format!("{host}:{port} is {seen}; {} asked for {expected:?}", material.identity())),
        Err(error) => refused(format!("{host}:{port}: {error}")),
    }
}

fn identity(chain: Option<&[CertificateDer<'_>]>) -> Result<Peer, IdentityError> {
    let leaf = chain.and_then(<[_]>::first).ok_or(IdentityError::NoUri)?;
    Peer::of_certificate(leaf)
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        match self {
            Self::Plain(_) => Caller::Loopback,
            Self::Secured { caller, .. } => caller.clone(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secured { stream, .. } => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secured { stream, .. } => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Secured { stream, .. } => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secured { stream, .. } => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured { stream, .. } => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured { stream, .. } => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_client_means_the_process_of_its_own_policy() {
        let peer = |text: &str| format!("spiffe://tradewind/{text}").parse::<Peer>().unwrap();
        let own = peer("trading/policy/indices");
        let cases = [
            (Expected::SameOwner(Process::Execution), "trading/execution/indices", true),
            (Expected::SameOwner(Process::Execution), "trading/execution/metals", false),
            (Expected::SameOwner(Process::Execution), "other/execution/indices", false),
            (Expected::SameOwner(Process::Execution), "trading/risk/indices", false),
            (Expected::Neighbour(Process::Risk), "trading/risk/main", true),
            (Expected::Neighbour(Process::Risk), "other/risk/main", false),
            (Expected::Process(Process::Risk), "other/risk/main", true),
            (Expected::Process(Process::Risk), "trading/execution/indices", false),
            (Expected::AnyProcess, "other/nats/tradewind-nats", true),
        ];
        for (expected, seen, admitted) in cases {
            assert_eq!(expected.admits(&own, &peer(seen)), admitted, "{expected:?} {seen}");
        }
    }
}
