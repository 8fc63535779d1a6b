//! A certificate authority for tests, as the operator keeps one.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// Issues certificates that trust each other.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The authority's own certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key in PEM.
    pub(crate) fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// What a process of this authority has in its TLS directory.
    pub(crate) fn directory(&self, name: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = self.certificate(name);
        for (file, pem) in [("ca.crt", self.pem()), ("tls.crt", certificate), ("tls.key", key)] {
            std::fs::write(directory.path().join(file), pem).unwrap();
        }
        directory
    }
}
