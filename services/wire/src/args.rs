//! Arguments that all processes share; flatten them into a `clap` parser.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use crate::bus::BusAddress;
use crate::telemetry::LogFormat;
use crate::tls::{Security, TlsError, TlsFiles};

/// Where a process finds its certificates.
#[derive(Args, Clone, Debug)]
pub struct TlsArgs {
    /// Directory with ca.crt, tls.crt and tls.key
    #[arg(long, env = "TRADEWIND_TLS_DIR", default_value = "/etc/tradewind/tls")]
    pub tls_dir: PathBuf,
    /// Speak without TLS, with loopback addresses only (tests and one machine)
    #[arg(long)]
    pub plaintext_loopback: bool,
}

impl TlsArgs {
    /// Reads the certificates, or allows plaintext on loopback when asked.
    ///
    /// # Errors
    /// [`TlsError`] when the directory or a file in it is missing or empty.
    pub fn load(&self) -> Result<Security, TlsError> {
        if self.plaintext_loopback {
            return Ok(Security::PlaintextLoopback);
        }
        TlsFiles::in_directory(&self.tls_dir).load().map(Security::Mutual)
    }
}

/// Where a process listens and how it logs.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// gRPC address
    #[arg(long, default_value = "0.0.0.0:9000")]
    pub listen: SocketAddr,
    /// Address of probes and metrics (plain HTTP, cluster-internal)
    #[arg(long, default_value = "0.0.0.0:9100")]
    pub http: SocketAddr,
    /// Certificates
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Form of the log lines
    #[arg(long, env = "TRADEWIND_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

impl ServeArgs {
    /// The gRPC address: without TLS, "all addresses" means all of this machine's loopback.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        let mut address = self.listen;
        if self.tls.plaintext_loopback && address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        address
    }
}

/// How a process reaches the event bus; `tls://` uses the certificates of [`TlsArgs`].
#[derive(Args, Clone, Debug)]
pub struct BusArgs {
    /// NATS server, for example nats://tradewind-nats:4222, or tls://... for TLS
    #[arg(long, env = "TRADEWIND_NATS_URL")]
    pub nats: String,
}

impl BusArgs {
    /// The address for [`crate::bus::Bus::connect`]; `name` is how the server lists this process.
    #[must_use]
    pub fn address(&self, name: &str, tls: &TlsArgs) -> BusAddress {
        let files = self.nats.starts_with("tls://").then(|| TlsFiles::in_directory(&tls.tls_dir));
        BusAddress { url: self.nats.clone(), name: name.to_owned(), tls: files }
    }
}
