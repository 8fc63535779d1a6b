//! Mutual TLS from a directory of PEM files; `ring` is the one provider.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// A peer that does not finish its handshake is dropped.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or unreadable.
    #[error(
        "TLS file {path}: {source}; give --tls-dir a directory with ca.crt, tls.crt and tls.key, \
         or --plaintext-loopback for tests on one machine"
    )]
    Read {
        /// File in question.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file holds no PEM block of the wanted kind.
    #[error("TLS file {path}: no PEM block '{wanted}' in it")]
    NotPem {
        /// File in question.
        path: PathBuf,
        /// Kind of block that is missing.
        wanted: &'static str,
    },
    /// Plaintext was asked for and the address is not loopback.
    #[error("{address}: without TLS only loopback addresses are allowed; give --tls-dir, or use 127.0.0.1")]
    PlaintextBeyondLoopback {
        /// Address seen.
        address: String,
    },
}

/// The three files of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate authority that both sides must come from.
    pub ca: PathBuf,
    /// Own certificate chain.
    pub certificate: PathBuf,
    /// Own private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// `ca.crt`, `tls.crt` and `tls.key` in a directory, as a Kubernetes TLS secret is mounted.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        let file = |name| directory.join(name);
        Self { ca: file("ca.crt"), certificate: file("tls.crt"), key: file("tls.key") }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError::Read`] and [`TlsError::NotPem`] name the file.
    pub fn load(&self) -> Result<TlsMaterial, TlsError> {
        let read = |path: &Path, wanted| {
            let pem = std::fs::read_to_string(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
            let fine = pem.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(wanted));
            if fine { Ok(pem) } else { Err(TlsError::NotPem { path: path.to_owned(), wanted }) }
        };
        Ok(TlsMaterial {
            files: self.clone(),
            ca: read(&self.ca, "CERTIFICATE")?,
            certificate: read(&self.certificate, "CERTIFICATE")?,
            key: read(&self.key, "PRIVATE KEY")?,
        })
    }
}

/// Certificates in PEM, as read.
#[derive(Clone)]
pub struct TlsMaterial {
    files: TlsFiles,
    ca: String,
    certificate: String,
    key: String,
}

// The key must not reach a log.
impl std::fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsMaterial").field("files", &self.files).finish_non_exhaustive()
    }
}

impl TlsMaterial {
    /// For servers: shows its certificate and demands one of the same authority.
    #[must_use]
    pub fn server(&self) -> ServerTlsConfig {
        install_provider();
        ServerTlsConfig::new().identity(self.identity()).client_ca_root(Certificate::from_pem(&self.ca)).timeout(HANDSHAKE)
    }

    /// For clients: checks the server's name against its certificate and shows its own.
    #[must_use]
    pub fn client(&self) -> ClientTlsConfig {
        install_provider();
        ClientTlsConfig::new().identity(self.identity()).ca_certificate(Certificate::from_pem(&self.ca)).timeout(HANDSHAKE)
    }

    /// Where the certificates came from.
    #[must_use]
    pub const fn files(&self) -> &TlsFiles {
        &self.files
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

/// How a process speaks gRPC.
#[derive(Clone, Debug)]
pub enum Security {
    /// Mutual TLS.
    Mutual(TlsMaterial),
    /// No TLS, loopback addresses only.
    PlaintextLoopback,
}

impl Security {
    /// Refuses plaintext beyond this machine.
    ///
    /// # Errors
    /// [`TlsError::PlaintextBeyondLoopback`].
    pub fn check_host(&self, host: &str) -> Result<(), TlsError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        match self {
            Self::PlaintextLoopback if !loopback => Err(TlsError::PlaintextBeyondLoopback { address: host.to_owned() }),
            _ => Ok(()),
        }
    }
}

/// Makes `ring` the provider of the whole process; calls after the first do nothing.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when a provider is installed already, which is then this same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn plaintext_stays_on_this_machine() {
        let plaintext = Security::PlaintextLoopback;
        for host in ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"] {
            plaintext.check_host(host).unwrap();
        }
        for host in ["0.0.0.0", "::", "10.0.0.1", "risk.trading.svc", "localhost.example", ""] {
            let error = plaintext.check_host(host).unwrap_err();
            assert!(error.to_string().contains("--tls-dir"), "{error}");
        }
    }

    #[test]
    fn a_missing_directory_names_the_file_and_the_way_out() {
        let error = TlsFiles::in_directory(Path::new("/nonexistent")).load().unwrap_err().to_string();
        assert!(error.contains("/nonexistent/ca.crt") && error.contains("--plaintext-loopback"), "{error}");
    }

    #[test]
    fn a_file_without_a_key_is_named_and_keys_stay_out_of_logs() {
        let directory = tempfile::tempdir().unwrap();
        let pem = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        for name in ["ca.crt", "tls.crt", "tls.key"] {
            std::fs::write(directory.path().join(name), pem("CERTIFICATE")).unwrap();
        }
        let files = TlsFiles::in_directory(directory.path());
        let error = files.load().unwrap_err();
        assert!(matches!(&error, TlsError::NotPem { path, wanted: "PRIVATE KEY" } if path.ends_with("tls.key")), "{error}");
        std::fs::write(&files.key, pem("PRIVATE KEY")).unwrap();
        assert!(!format!("{:?}", files.load().unwrap()).contains("AAAA"));
    }
}
