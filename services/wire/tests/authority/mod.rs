//! A certificate authority for tests, as the operator keeps one.
#![allow(dead_code)] // each test file uses a part of it

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;

/// Issues certificates that trust each other.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate says, before anybody signs it.
pub(crate) struct Wanted<'a> {
    pub(crate) host: &'a str,
    pub(crate) uris: &'a [&'a str],
    pub(crate) ended: bool,
}

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

    /// Certificate and key in PEM, for the host `localhost` and one process.
    pub(crate) fn certificate(&self, uri: &str) -> (String, String) {
        self.issue(&Wanted { host: "localhost", uris: &[uri], ended: false })
    }

    /// Certificate and key in PEM. The subject is the kind of process, as the operator writes it.
    pub(crate) fn issue(&self, wanted: &Wanted<'_>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![wanted.host.to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "tradewind");
        let process = wanted.uris.first().and_then(|uri| uri.split('/').nth(4)).unwrap_or("nobody");
        params.distinguished_name.push(DnType::CommonName, process);
        params.subject_alt_names.extend(wanted.uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        if wanted.ended {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        }
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// What a process of this authority has in its TLS directory.
    pub(crate) fn directory(&self, host: &str, uri: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = self.issue(&Wanted { host, uris: &[uri], ended: false });
        for (file, pem) in [("ca.crt", self.pem()), ("tls.crt", certificate), ("tls.key", key)] {
            std::fs::write(directory.path().join(file), pem).unwrap();
        }
        directory
    }
}
