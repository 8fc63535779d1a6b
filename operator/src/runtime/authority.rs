//! The operator's certificate authority: one self-signed root, short-lived leaves for each process.
//!
//! Pure but for the random keys: the clock comes in as an argument, Secrets go out as values.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use sha2::{Digest, Sha256};

/// Annotation: start of validity, RFC 3339.
pub const NOT_BEFORE: &str = "tradewind.dev/not-before";
/// Annotation: end of validity, RFC 3339.
pub const NOT_AFTER: &str = "tradewind.dev/not-after";
/// Annotation: digest of the root that signed, and of the names that were asked for.
pub const ISSUED_FOR: &str = "tradewind.dev/issued-for";
/// Key of the root certificates (the present and, during a change of root, the former one).
pub const CA_CRT: &str = "ca.crt";
/// Key of the certificate chain.
pub const TLS_CRT: &str = "tls.crt";
/// Key of the private key.
pub const TLS_KEY: &str = "tls.key";

const ROOT_KEY: &str = "ca.key";
const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// Clocks of nodes differ: a certificate is valid from a little before it was made.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Key generation, signing or parsing failed.
    #[error("certificate {subject}: {source}")]
    Certificate {
        /// Common name.
        subject: String,
        /// Reason.
        source: rcgen::Error,
    },
    /// The Secret of the root lacks a key or holds something else.
    #[error(
        "Secret {secret}: key {key} is missing or not PEM text; delete the Secret to get a new authority (every process restarts its connections)"
    )]
    Secret {
        /// Name of the Secret.
        secret: String,
        /// Key of the Secret.
        key: &'static str,
    },
}

/// One root: its certificate, and the key that signs leaves.
#[derive(Debug)]
pub struct Authority {
    bundle: String,
    fingerprint: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate to be kept in a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRequest {
    /// Common name: the process.
    pub subject: String,
    /// DNS names a client may use, `localhost` included.
    pub dns_names: Vec<String>,
}

/// PEM texts of a leaf.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Root certificates to trust.
    pub ca: String,
    /// Certificate.
    pub certificate: String,
    /// Private key, PKCS #8.
    pub key: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Authority {
    /// A new root, and the data and annotations of the Secret that keeps it. `former` is the Secret of the root that
    /// this one replaces: its certificate stays trusted so that running processes keep their connections.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`].
    pub fn generate(former: Option<&Secret>, now: Timestamp) -> Result<(Self, Secret), AuthorityError> {
        let subject = format!("Tradewind authority {}", now.as_second());
        let failed = |source| AuthorityError::Certificate { subject: subject.clone(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, subject.clone());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let (not_before, not_after) = (now - CLOCK_SKEW, now + ROOT_LIFE);
        set_validity(&mut params, not_before, not_after);
        let own = params.self_signed(&key).map_err(failed)?.pem();
        let trusted = former.and_then(|secret| text(secret, CA_CRT)).and_then(first_certificate);
        let bundle = own.clone() + &trusted.unwrap_or_default();
        let mut secret = Secret {
            data: Some(BTreeMap::from([
                (CA_CRT.to_owned(), ByteString(bundle.clone().into_bytes())),
                (ROOT_KEY.to_owned(), ByteString(key.serialize_pem().into_bytes())),
            ])),
            type_: Some("Opaque".into()),
            ..Secret::default()
        };
        secret.annotations_mut().extend(validity(not_before, not_after));
        Ok((Self { fingerprint: fingerprint(&own), bundle, issuer: Issuer::new(params, key) }, secret))
    }

    /// The root kept in `secret`.
    ///
    /// # Errors
    /// [`AuthorityError`] when the Secret does not hold one.
    pub fn from_secret(secret: &Secret) -> Result<Self, AuthorityError> {
        let missing = |key| AuthorityError::Secret { secret: secret.name_any(), key };
        let bundle = text(secret, CA_CRT).ok_or_else(|| missing(CA_CRT))?;
        let own = first_certificate(bundle.clone()).ok_or_else(|| missing(CA_CRT))?;
        let failed = |source| AuthorityError::Certificate { subject: secret.name_any(), source };
        let key = KeyPair::from_pem(&text(secret, ROOT_KEY).ok_or_else(|| missing(ROOT_KEY))?).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_pem(&own, key).map_err(failed)?;
        Ok(Self { fingerprint: fingerprint(&own), bundle, issuer })
    }

    /// Signs a leaf that both serves and dials.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`].
    pub fn issue(&self, request: &LeafRequest, now: Timestamp) -> Result<Leaf, AuthorityError> {
        let failed = |source| AuthorityError::Certificate { subject: request.subject.clone(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(request.dns_names.clone()).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, request.subject.clone());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let (not_before, not_after) = (now - CLOCK_SKEW, now + LEAF_LIFE);
        set_validity(&mut params, not_before, not_after);
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?.pem();
        Ok(Leaf { ca: self.bundle.clone(), certificate, key: key.serialize_pem(), not_before, not_after })
    }

    /// What a leaf issued now carries in [`NOT_BEFORE`].
    #[must_use]
    pub fn valid_from(&self, now: Timestamp) -> String {
        (now - CLOCK_SKEW).to_string()
    }

    /// What a Secret issued for `request` by this root carries in [`ISSUED_FOR`].
    #[must_use]
    pub fn issued_for(&self, request: &LeafRequest) -> String {
        let mut digest = Sha256::new();
        for part in [&self.fingerprint, &self.bundle, &request.subject].into_iter().chain(&request.dns_names) {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        hex::encode(&digest.finalize()[..8])
    }

    /// Fills `secret` with a fresh leaf.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`].
    pub fn fill(&self, secret: &mut Secret, request: &LeafRequest, now: Timestamp) -> Result<(), AuthorityError> {
        let leaf = self.issue(request, now)?;
        secret.type_ = Some("kubernetes.io/tls".into());
        secret.data = Some(BTreeMap::from([
            (CA_CRT.to_owned(), ByteString(leaf.ca.into_bytes())),
            (TLS_CRT.to_owned(), ByteString(leaf.certificate.into_bytes())),
            (TLS_KEY.to_owned(), ByteString(leaf.key.into_bytes())),
        ]));
        let issued_for = self.issued_for(request);
        let annotations = secret.annotations_mut();
        annotations.extend(validity(leaf.not_before, leaf.not_after));
        annotations.insert(ISSUED_FOR.to_owned(), issued_for);
        Ok(())
    }
}

/// Whether a certificate with these annotations is past two thirds of its life, or says nothing about it.
#[must_use]
pub fn due(annotations: &BTreeMap<String, String>, now: Timestamp) -> bool {
    renewal_at(annotations).is_none_or(|at| at <= now)
}

/// Two thirds of the life that the annotations tell.
#[must_use]
pub fn renewal_at(annotations: &BTreeMap<String, String>) -> Option<Timestamp> {
    let read = |key: &str| annotations.get(key)?.parse::<Timestamp>().ok();
    let (start, end) = (read(NOT_BEFORE)?, read(NOT_AFTER)?);
    Timestamp::from_second(start.as_second() + (end.as_second() - start.as_second()) / 3 * 2).ok()
}

fn validity(not_before: Timestamp, not_after: Timestamp) -> [(String, String); 2] {
    [(NOT_BEFORE.to_owned(), not_before.to_string()), (NOT_AFTER.to_owned(), not_after.to_string())]
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

fn first_certificate(bundle: String) -> Option<String> {
    const END: &str = "-----END CERTIFICATE-----\n";
    let end = bundle.find(END)? + END.len();
    Some(bundle[..end].to_owned())
}

fn fingerprint(pem: &str) -> String {
    hex::encode(Sha256::digest(pem.as_bytes()))
}

/// Sets both ends of the validity. rcgen speaks the `time` crate, which is reached by arithmetic on
/// its own epoch so that it need not be a dependency here.
fn set_validity(params: &mut CertificateParams, not_before: Timestamp, not_after: Timestamp) {
    let seconds = |at: Timestamp| std::time::Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    params.not_before = date_time_ymd(1970, 1, 1) + seconds(not_before);
    params.not_after = date_time_ymd(1970, 1, 1) + seconds(not_after);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn request() -> LeafRequest {
        LeafRequest { subject: "main-risk".into(), dns_names: vec!["main-risk.trading.svc".into(), "localhost".into()] }
    }

    #[test]
    fn a_root_survives_its_secret_and_signs_the_same_names() {
        let (root, secret) = Authority::generate(None, at(1_000_000)).unwrap();
        let again = Authority::from_secret(&secret).unwrap();
        assert_eq!(root.issued_for(&request()), again.issued_for(&request()));
        let leaf = again.issue(&request(), at(1_000_000)).unwrap();
        assert!(leaf.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(leaf.ca, root.bundle);
        let other = LeafRequest { subject: "x".into(), ..request() };
        assert_ne!(root.issued_for(&request()), root.issued_for(&other));
    }

    #[test]
    fn a_new_root_keeps_trusting_the_former_one_and_only_that() {
        let (first, first_secret) = Authority::generate(None, at(1)).unwrap();
        let (_, second_secret) = Authority::generate(Some(&first_secret), at(2)).unwrap();
        let (third, third_secret) = Authority::generate(Some(&second_secret), at(3)).unwrap();
        assert_eq!(third.bundle.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(!third.bundle.contains(first.bundle.trim_end()));
        assert_eq!(Authority::from_secret(&third_secret).unwrap().fingerprint, third.fingerprint);
    }

    #[test]
    fn a_leaf_is_due_after_two_thirds_of_its_life() {
        let (root, _) = Authority::generate(None, at(0)).unwrap();
        let mut secret = Secret::default();
        root.fill(&mut secret, &request(), at(1_000_000)).unwrap();
        let days = |n: i64| at(1_000_000 + n * 86_400);
        assert!(!due(secret.annotations(), days(243)));
        assert!(due(secret.annotations(), days(244)));
        assert!(due(&BTreeMap::new(), days(0)), "unknown validity is renewed");
    }

    #[test]
    fn a_damaged_root_says_what_to_do() {
        let error = Authority::from_secret(&Secret::default()).unwrap_err().to_string();
        assert!(error.contains("ca.crt") && error.contains("delete the Secret"), "{error}");
    }
}
