//! The operator's certificate authority: one self-signed root, short-lived leaves for each process.
//!
//! Pure but for the random keys: the clock comes in as an argument, Secrets go out as values.
//!
//! A change of root takes two steps, because processes read what changed at different times: first everybody trusts both
//! roots while the former one still signs, [`SIGNS_AFTER`] later the new one signs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use sha2::{Digest, Sha256};
use tradewind_wire::identity::{IdentityError, Peer, Process};

/// Annotation: start of validity, RFC 3339.
pub const NOT_BEFORE: &str = "tradewind.dev/not-before";
/// Annotation: end of validity, RFC 3339.
pub const NOT_AFTER: &str = "tradewind.dev/not-after";
/// Annotation: digest of the root that signed, and of the names that were asked for.
pub const ISSUED_FOR: &str = "tradewind.dev/issued-for";
/// Annotation of the root's Secret: when the newest root begins to sign, RFC 3339.
pub const SIGNS_FROM: &str = "tradewind.dev/signs-from";
/// Key of the root certificates (the present and, after a change of root, the former one).
pub const CA_CRT: &str = "ca.crt";
/// Key of the certificate chain.
pub const TLS_CRT: &str = "tls.crt";
/// Key of the private key.
pub const TLS_KEY: &str = "tls.key";

const ROOT_KEY: &str = "ca.key";
const FORMER_CRT: &str = "former.crt";
const FORMER_KEY: &str = "former.key";
const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Organisation in the subject of every leaf; the event bus maps subjects to its users.
const ORGANISATION: &str = "tradewind";
/// Clocks of nodes differ: a certificate is valid from a little before it was made.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// Until a new root signs, everybody must have learnt to trust it; the event bus learns it at its hourly restart.
pub const SIGNS_AFTER: SignedDuration = SignedDuration::from_hours(3);

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Key generation, signing or parsing failed.
    #[error("certificate {subject}: {source}")]
    Certificate {
        /// Root or process.
        subject: String,
        /// Reason.
        source: rcgen::Error,
    },
    /// A process has a name that no URI takes.
    #[error("certificate: {0}")]
    Identity(#[from] IdentityError),
    /// The Secret of the root lacks a key or holds something else.
    #[error(
        "Secret {secret}: key {key} is missing or not PEM text; delete the Secret to get a new authority (processes take it over while they run)"
    )]
    Secret {
        /// Name of the Secret.
        secret: String,
        /// Key of the Secret.
        key: &'static str,
    },
}

/// The root that signs, and all that are trusted.
pub struct Authority {
    bundle: String,
    own: Root,
    issuer: Issuer<'static, KeyPair>,
}

/// One root in PEM.
#[derive(Clone, PartialEq, Eq)]
struct Root {
    certificate: String,
    key: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

/// The authority of the moment: it changes while passes run. Clones share.
#[derive(Clone, Debug)]
pub struct CurrentAuthority(Arc<RwLock<Arc<Authority>>>);

impl CurrentAuthority {
    /// Begins with `authority`.
    #[must_use]
    pub fn new(authority: Authority) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(authority))))
    }

    /// The one that signs now.
    #[must_use]
    pub fn get(&self) -> Arc<Authority> {
        // whoever held the lock swapped one pointer
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what was read; whether it differs.
    pub fn set(&self, authority: Authority) -> bool {
        let differs = !self.get().same(&authority);
        if differs {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authority);
        }
        differs
    }
}

/// A certificate to be kept in a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRequest {
    /// Kind of the process.
    pub process: Process,
    /// Namespace that it runs in.
    pub namespace: String,
    /// Policy, profile or release that it belongs to.
    pub name: String,
    /// DNS names a client may use, `localhost` included.
    pub dns_names: Vec<String>,
}

impl LeafRequest {
    /// What the URI of the certificate says.
    ///
    /// # Errors
    /// [`IdentityError`] for a name that Kubernetes would not take.
    pub fn identity(&self) -> Result<Peer, IdentityError> {
        Peer::new(self.process, &self.namespace, &self.name)
    }
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

impl Leaf {
    /// The annotations that tell its validity.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        validity(self.not_before, self.not_after).into()
    }
}

impl Authority {
    /// A new root, and the data and annotations of the Secret that keeps it. `former` is the one that it replaces: it stays
    /// trusted, and signs for [`SIGNS_AFTER`] more.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`].
    pub fn generate(former: Option<&Self>, now: Timestamp) -> Result<(Self, Secret), AuthorityError> {
        let subject = format!("Tradewind authority {}", now.as_second());
        let failed = |source| AuthorityError::Certificate { subject: subject.clone(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, subject.clone());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let (not_before, not_after) = (now - CLOCK_SKEW, now + ROOT_LIFE);
        set_validity(&mut params, not_before, not_after);
        let newest = Root { certificate: params.self_signed(&key).map_err(failed)?.pem(), key: key.serialize_pem() };
        let mut data = BTreeMap::from([(ROOT_KEY, newest.key.clone())]);
        let mut bundle = newest.certificate.clone();
        let mut annotations = validity(not_before, not_after).to_vec();
        if let Some(Self { own: former, .. }) = former {
            bundle.push_str(&former.certificate);
            data.extend([(FORMER_CRT, former.certificate.clone()), (FORMER_KEY, former.key.clone())]);
            annotations.push((SIGNS_FROM.to_owned(), (now + SIGNS_AFTER).to_string()));
        }
        data.insert(CA_CRT, bundle);
        let mut secret = Secret {
            data: Some(data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).collect()),
            type_: Some("Opaque".into()),
            ..Secret::default()
        };
        secret.annotations_mut().extend(annotations);
        Ok((Self::from_secret(&secret, now)?, secret))
    }

    /// The roots kept in `secret`, with the one that signs now.
    ///
    /// # Errors
    /// [`AuthorityError`] when the Secret does not hold one.
    pub fn from_secret(secret: &Secret, now: Timestamp) -> Result<Self, AuthorityError> {
        let read = |key| text(secret, key).ok_or_else(|| AuthorityError::Secret { secret: secret.name_any(), key });
        let bundle = read(CA_CRT)?;
        let signs_from = secret.annotations().get(SIGNS_FROM).and_then(|text| text.parse::<Timestamp>().ok());
        let own = if signs_from.is_some_and(|from| now < from) {
            Root { certificate: read(FORMER_CRT)?, key: read(FORMER_KEY)? }
        } else {
            let newest = first_certificate(bundle.clone());
            let missing = || AuthorityError::Secret { secret: secret.name_any(), key: CA_CRT };
            Root { certificate: newest.ok_or_else(missing)?, key: read(ROOT_KEY)? }
        };
        let failed = |source| AuthorityError::Certificate { subject: secret.name_any(), source };
        let key = KeyPair::from_pem(&own.key).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_pem(&own.certificate, key).map_err(failed)?;
        Ok(Self { bundle, own, issuer })
    }

    /// Whether the same root signs and the same ones are trusted.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.bundle == other.bundle && self.own == other.own
    }

    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.own.certificate.as_bytes()))
    }

    /// Signs a leaf that both serves and dials.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`].
    pub fn issue(&self, request: &LeafRequest, now: Timestamp) -> Result<Leaf, AuthorityError> {
        let uri = request.identity()?.to_string();
        let failed = |source| AuthorityError::Certificate { subject: uri.clone(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(request.dns_names.clone()).map_err(failed)?;
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().map_err(failed)?));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, ORGANISATION);
        params.distinguished_name.push(DnType::CommonName, request.process.as_str());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let (not_before, not_after) = (now - CLOCK_SKEW, now + LEAF_LIFE);
        set_validity(&mut params, not_before, not_after);
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?.pem();
        Ok(Leaf { ca: self.bundle.clone(), certificate, key: key.serialize_pem(), not_before, not_after })
    }

    /// What a Secret issued for `request` by this root carries in [`ISSUED_FOR`].
    #[must_use]
    pub fn issued_for(&self, request: &LeafRequest) -> String {
        let mut digest = Sha256::new();
        let fingerprint = self.fingerprint();
        let names = [&fingerprint, &self.bundle, request.process.as_str(), &request.namespace, &request.name];
        for part in names.into_iter().chain(request.dns_names.iter().map(String::as_str)) {
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
        let validity = leaf.annotations();
        secret.type_ = Some("kubernetes.io/tls".into());
        secret.data = Some(BTreeMap::from([
            (CA_CRT.to_owned(), ByteString(leaf.ca.into_bytes())),
            (TLS_CRT.to_owned(), ByteString(leaf.certificate.into_bytes())),
            (TLS_KEY.to_owned(), ByteString(leaf.key.into_bytes())),
        ]));
        let issued_for = self.issued_for(request);
        let annotations = secret.annotations_mut();
        annotations.extend(validity);
        annotations.insert(ISSUED_FOR.to_owned(), issued_for);
        Ok(())
    }
}

/// Whether a certificate with these annotations is to be renewed, or says nothing about it.
#[must_use]
pub fn due(annotations: &BTreeMap<String, String>, now: Timestamp) -> bool {
    renewal_at(annotations).is_none_or(|at| at <= now)
}

/// Two thirds of the life that the annotations tell, and up to a twelfth more: by whom it was issued for, so that processes
/// made together are not renewed together.
#[must_use]
pub fn renewal_at(annotations: &BTreeMap<String, String>) -> Option<Timestamp> {
    let read = |key: &str| annotations.get(key)?.parse::<Timestamp>().ok();
    let (start, end) = (read(NOT_BEFORE)?, read(NOT_AFTER)?);
    let life = end.as_second() - start.as_second();
    let jitter = annotations.get(ISSUED_FOR).map_or(0, |text| i64::from(Sha256::digest(text.as_bytes())[0]) * (life / 12) / 256);
    Timestamp::from_second(start.as_second() + life / 3 * 2 + jitter).ok()
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
        LeafRequest {
            process: Process::Risk,
            namespace: "trading".into(),
            name: "main".into(),
            dns_names: vec!["main-risk.trading.svc".into(), "localhost".into()],
        }
    }

    fn der(pem: &str) -> Vec<u8> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap()
    }

    #[test]
    fn a_root_survives_its_secret_and_signs_the_same_names() {
        let (root, secret) = Authority::generate(None, at(1_000_000)).unwrap();
        let again = Authority::from_secret(&secret, at(1_000_000)).unwrap();
        assert!(root.same(&again));
        assert_eq!(root.issued_for(&request()), again.issued_for(&request()));
        let leaf = again.issue(&request(), at(1_000_000)).unwrap();
        assert_eq!(leaf.ca, root.bundle);
        for other in [
            LeafRequest { process: Process::Policy, ..request() },
            LeafRequest { namespace: "x".into(), ..request() },
            LeafRequest { name: "x".into(), ..request() },
            LeafRequest { dns_names: Vec::new(), ..request() },
        ] {
            assert_ne!(root.issued_for(&request()), root.issued_for(&other), "{other:?}");
        }
    }

    #[test]
    fn a_leaf_names_its_process_and_a_name_that_is_none_is_refused() {
        let (root, _) = Authority::generate(None, at(0)).unwrap();
        let leaf = root.issue(&request(), at(1_000_000)).unwrap();
        let peer = Peer::of_certificate(&der(&leaf.certificate)).unwrap();
        assert_eq!(peer.to_string(), "spiffe://tradewind/trading/risk/main");
        let wrong = LeafRequest { name: "main/../operator".into(), ..request() };
        assert!(matches!(root.issue(&wrong, at(0)), Err(AuthorityError::Identity(_))));
    }

    #[test]
    fn a_new_root_is_trusted_first_and_signs_later() {
        let (first, _) = Authority::generate(None, at(1)).unwrap();
        let (second, secret) = Authority::generate(Some(&first), at(2)).unwrap();
        assert_eq!(second.bundle.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(second.fingerprint(), first.fingerprint(), "the former root signs");
        assert_ne!(second.issued_for(&request()), first.issued_for(&request()), "and what it signs brings the new one");
        let later = at(2) + SIGNS_AFTER;
        let signing = Authority::from_secret(&secret, later).unwrap();
        assert!(!signing.same(&second) && signing.bundle == second.bundle);
        assert!(signing.bundle.starts_with(&signing.own.certificate));
        let (third, _) = Authority::generate(Some(&signing), later).unwrap();
        assert!(third.bundle.contains(&signing.own.certificate) && !third.bundle.contains(&first.own.certificate));
        assert!(!format!("{third:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_leaf_is_due_after_two_thirds_of_its_life_and_not_all_at_once() {
        let (root, _) = Authority::generate(None, at(0)).unwrap();
        let renewal = |name: &str| {
            let mut secret = Secret::default();
            let request = LeafRequest { name: name.into(), ..request() };
            root.fill(&mut secret, &request, at(1_000_000)).unwrap();
            assert!(!due(secret.annotations(), at(1_000_000 + 19 * 86_400)));
            assert!(due(secret.annotations(), at(1_000_000 + 23 * 86_400)), "a week before its end");
            renewal_at(secret.annotations()).unwrap()
        };
        let times: std::collections::BTreeSet<_> = (0..8).map(|n| renewal(&format!("profile-{n}"))).collect();
        assert!(times.len() > 4, "{times:?}");
        assert!(due(&BTreeMap::new(), at(0)), "unknown validity is renewed");
    }

    #[test]
    fn a_damaged_root_says_what_to_do() {
        let error = Authority::from_secret(&Secret::default(), at(0)).unwrap_err().to_string();
        assert!(error.contains("ca.crt") && error.contains("delete the Secret"), "{error}");
    }
}
