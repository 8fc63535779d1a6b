//! Mutual TLS from a directory of PEM files; `ring` is the one provider. The files may change while the process runs:
//! whoever shakes hands uses the newest that were usable.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::identity::peer::{IdentityError, Peer, valid_until};

/// gRPC is HTTP/2.
const ALPN: &[u8] = b"h2";

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
    /// The three do not belong together, or the library does not take them.
    #[error("TLS files {origin}: {detail}; all three come out of one Secret, which the operator fills")]
    Unusable {
        /// Directory or owner.
        origin: String,
        /// What is wrong.
        detail: String,
    },
    /// The certificate names no process.
    #[error("TLS certificate {origin}: {source}")]
    Identity {
        /// Directory or owner.
        origin: String,
        /// What is wrong.
        source: IdentityError,
    },
    /// A renewed certificate is somebody else's.
    #[error("TLS certificate {origin}: names {seen}, this process is {own}")]
    AnotherIdentity {
        /// Directory or owner.
        origin: String,
        /// Identity seen.
        seen: Box<Peer>,
        /// Identity of the process.
        own: Box<Peer>,
    },
    /// The certificate is past its end.
    #[error("TLS certificate {origin}: ended {ago_s} s ago; the operator renews it in its Secret, see the operator's log")]
    Expired {
        /// Directory or owner.
        origin: String,
        /// Seconds since its end.
        ago_s: u64,
    },
}

/// The three files of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate authorities that both sides may come from.
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

    /// Reads the files and makes them ready for handshakes.
    ///
    /// # Errors
    /// [`TlsError`] names the file, or what is wrong with all three.
    pub fn load(&self) -> Result<TlsMaterial, TlsError> {
        let made = Handshakes::new(self.read()?, &self.origin(), SystemTime::now())?;
        Ok(TlsMaterial::holding(made, Some(self.clone())))
    }

    fn read(&self) -> Result<Pem, TlsError> {
        let read = |path: &Path, wanted| {
            let pem = std::fs::read_to_string(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
            let fine = pem.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(wanted));
            if fine { Ok(pem) } else { Err(TlsError::NotPem { path: path.to_owned(), wanted }) }
        };
        Ok(Pem {
            ca: read(&self.ca, "CERTIFICATE")?,
            certificate: read(&self.certificate, "CERTIFICATE")?,
            key: read(&self.key, "PRIVATE KEY")?,
        })
    }

    fn origin(&self) -> String {
        self.certificate.parent().unwrap_or(&self.certificate).display().to_string()
    }
}

/// Certificates and key as PEM texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// Certificate authorities that both sides may come from.
    pub ca: String,
    /// Own certificate chain.
    pub certificate: String,
    /// Own private key.
    pub key: String,
}

// The key must not reach a log.
impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}

/// One set of certificates, checked and ready.
struct Handshakes {
    pem: Pem,
    own: Arc<Peer>,
    valid_until: SystemTime,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Handshakes {
    fn new(pem: Pem, origin: &str, now: SystemTime) -> Result<Self, TlsError> {
        let unusable = |detail: String| TlsError::Unusable { origin: origin.to_owned(), detail };
        let nameless = |source| TlsError::Identity { origin: origin.to_owned(), source };
        let certificates = |pem: &str| CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = certificates(&pem.certificate).map_err(|error| unusable(format!("tls.crt: {error}")))?;
        let leaf = chain.first().ok_or_else(|| unusable("tls.crt holds no certificate".to_owned()))?;
        let own = Arc::new(Peer::of_certificate(leaf).map_err(nameless)?);
        let valid_until = SystemTime::UNIX_EPOCH + Duration::from_secs(valid_until(leaf).map_err(nameless)?);
        if let Ok(ago) = now.duration_since(valid_until) {
            return Err(TlsError::Expired { origin: origin.to_owned(), ago_s: ago.as_secs() });
        }
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).map_err(|error| unusable(format!("tls.key: {error}")))?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&pem.ca).map_err(|error| unusable(format!("ca.crt: {error}")))? {
            roots.add(root).map_err(|error| unusable(format!("ca.crt: {error}")))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = server_config(&provider, roots.clone(), chain.clone(), key.clone_key()).map_err(unusable)?;
        let client = client_config(provider, roots, chain, key).map_err(unusable)?;
        Ok(Self { pem, own, valid_until, server: Arc::new(server), client: Arc::new(client) })
    }
}

/// Shows the certificate and demands one of the same authority. Nothing is resumed: a resumed session would not look at
/// the certificate again.
fn server_config(
    provider: &Arc<CryptoProvider>,
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, String> {
    let text = |error: rustls::Error| error.to_string();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let verifier = verifier.map_err(|error| format!("ca.crt: {error}"))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
    let mut config = builder.map_err(text)?.with_client_cert_verifier(verifier).with_single_cert(chain, key).map_err(text)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Checks the server's host name against its certificate and shows its own.
fn client_config(
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, String> {
    let text = |error: rustls::Error| error.to_string();
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(text)?;
    let mut config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).map_err(text)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The certificates of one process. Clones share: what one takes over, all use at their next handshake. Connections that
/// are open stay as they are.
#[derive(Clone)]
pub struct TlsMaterial {
    files: Option<TlsFiles>,
    own: Arc<Peer>,
    current: Arc<RwLock<Arc<Handshakes>>>,
}

impl std::fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsMaterial").field("own", &self.own).field("files", &self.files).finish_non_exhaustive()
    }
}

impl TlsMaterial {
    /// Certificates that come from no file: the operator issues its own.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn from_pem(pem: Pem, now: SystemTime) -> Result<Self, TlsError> {
        Ok(Self::holding(Handshakes::new(pem, "of this process", now)?, None))
    }

    fn holding(made: Handshakes, files: Option<TlsFiles>) -> Self {
        Self { files, own: Arc::clone(&made.own), current: Arc::new(RwLock::new(Arc::new(made))) }
    }

    /// Takes over other certificates of the same process; whether they differ. After an error the former ones stay.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used, or are those of another process.
    pub fn replace(&self, pem: Pem, now: SystemTime) -> Result<bool, TlsError> {
        if self.current().pem == pem {
            return Ok(false);
        }
        let origin = self.files.as_ref().map_or_else(|| "of this process".to_owned(), TlsFiles::origin);
        let made = Handshakes::new(pem, &origin, now)?;
        if made.own != self.own {
            let (seen, own) = (Box::new(made.own.as_ref().clone()), Box::new(self.own.as_ref().clone()));
            return Err(TlsError::AnotherIdentity { origin, seen, own });
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
        Ok(true)
    }

    /// Looks at the files again; whether they differ and were taken over. After an error the former ones stay.
    ///
    /// # Errors
    /// [`TlsError`] when a file is missing or the three cannot be used.
    pub fn refresh(&self, now: SystemTime) -> Result<bool, TlsError> {
        self.files.as_ref().map_or(Ok(false), |files| self.replace(files.read()?, now))
    }

    /// The process that the certificate names.
    #[must_use]
    pub const fn identity(&self) -> &Arc<Peer> {
        &self.own
    }

    /// Time until the certificate ends; `None` when it has.
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Option<Duration> {
        self.current().valid_until.duration_since(now).ok()
    }

    /// For the next handshake as a server.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().server)
    }

    /// For the next handshake as a client.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current().client)
    }

    fn current(&self) -> Arc<Handshakes> {
        // A holder of the lock swaps one pointer: it cannot leave half of something behind.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
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
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd};

    const RISK: &str = "spiffe://tradewind/trading/risk/main";

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        fn pem(&self, uris: &[&str]) -> Pem {
            let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::new(vec!["localhost".into()]).unwrap());
            params.not_after = date_time_ymd(2100, 1, 1);
            params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
            let certificate = params.signed_by(&key, &self.0).unwrap();
            Pem { ca: self.0.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
        }
    }

    fn write(directory: &Path, pem: &Pem) {
        for (name, text) in [("ca.crt", &pem.ca), ("tls.crt", &pem.certificate), ("tls.key", &pem.key)] {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

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
        let (directory, pem) = (tempfile::tempdir().unwrap(), Authority::new().pem(&[RISK]));
        write(directory.path(), &Pem { key: pem.certificate.clone(), ..pem.clone() });
        let files = TlsFiles::in_directory(directory.path());
        let error = files.load().unwrap_err();
        assert!(matches!(&error, TlsError::NotPem { path, wanted: "PRIVATE KEY" } if path.ends_with("tls.key")), "{error}");
        write(directory.path(), &pem);
        let secret = pem.key.lines().nth(1).unwrap();
        let material = files.load().unwrap();
        assert!(!format!("{material:?} {pem:?}").contains(secret));
        assert_eq!(material.identity().to_string(), RISK);
    }

    #[test]
    fn a_certificate_must_name_exactly_one_process() {
        let authority = Authority::new();
        let load = |uris: &[&str]| TlsMaterial::from_pem(authority.pem(uris), now()).unwrap_err();
        assert!(matches!(load(&[]), TlsError::Identity { source: IdentityError::NoUri, .. }));
        let two = load(&[RISK, "spiffe://tradewind/trading/operator/x"]);
        assert!(matches!(two, TlsError::Identity { source: IdentityError::SeveralUris(2), .. }), "{two}");
        assert!(matches!(load(&["spiffe://other/a/risk/b"]), TlsError::Identity { .. }));
    }

    #[test]
    fn what_cannot_be_used_leaves_the_former_certificate_in_place() {
        let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        write(directory.path(), &authority.pem(&[RISK]));
        let material = TlsFiles::in_directory(directory.path()).load().unwrap();
        let before = material.server();
        let kept = |what: &str| assert!(Arc::ptr_eq(&before, &material.server()), "{what}");
        assert!(!material.refresh(now()).unwrap(), "nothing changed");

        let renewed = authority.pem(&[RISK]);
        write(directory.path(), &Pem { key: authority.pem(&[RISK]).key, ..renewed.clone() });
        assert!(matches!(material.refresh(now()).unwrap_err(), TlsError::Unusable { .. }));
        kept("the key belongs to another certificate");
        std::fs::write(directory.path().join("tls.crt"), "half of a fi").unwrap();
        assert!(matches!(material.refresh(now()).unwrap_err(), TlsError::NotPem { .. }));
        kept("no certificate in the file");
        std::fs::remove_file(directory.path().join("tls.key")).unwrap();
        material.refresh(now()).unwrap_err();
        kept("a file is gone");
        write(directory.path(), &authority.pem(&["spiffe://tradewind/trading/operator/main"]));
        assert!(matches!(material.refresh(now()).unwrap_err(), TlsError::AnotherIdentity { .. }));
        kept("the certificate of another process");
        write(directory.path(), &renewed);
        let after_its_end = SystemTime::UNIX_EPOCH + Duration::from_secs(5_000_000_000);
        assert!(matches!(material.refresh(after_its_end).unwrap_err(), TlsError::Expired { .. }));
        kept("ended");
        assert!(material.refresh(now()).unwrap());
        assert!(!Arc::ptr_eq(&before, &material.server()));
        assert_eq!(material.remaining(after_its_end), None);
        assert!(material.remaining(now()).is_some());
    }
}
