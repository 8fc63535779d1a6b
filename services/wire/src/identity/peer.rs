//! The process that a certificate names, as a URI in its subject alternative names.

use std::fmt;
use std::str::FromStr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The one trust domain: whoever the operator's authority signs for.
pub const TRUST_DOMAIN: &str = "tradewind";
const SCHEME: &str = "spiffe://";
/// Longest name of a namespace or owner, as Kubernetes allows it.
const LONGEST: usize = 253;

/// Why no process can be read from a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are no certificate.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// The certificate names hosts only, or nothing.
    #[error("the certificate names no process: it needs the URI {SCHEME}{TRUST_DOMAIN}/<namespace>/<process>/<name>")]
    NoUri,
    /// Several URIs: nobody could say which one counts.
    #[error("the certificate holds {0} URIs, exactly one names its process")]
    SeveralUris(usize),
    /// The URI has another form.
    #[error("'{seen}' names no process: {wanted}")]
    Malformed {
        /// URI seen.
        seen: String,
        /// What is allowed at the place that is wrong.
        wanted: &'static str,
    },
}

/// Kind of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// The operator.
    Operator,
    /// Publishes bars.
    Market,
    /// Answers with the networks of one bundle.
    Inference,
    /// The decider of one TradingPolicy.
    Policy,
    /// The gate of one account.
    Risk,
    /// Turns the trades of one TradingPolicy into orders.
    Execution,
    /// The event bus.
    Nats,
    /// The plugin of kubectl.
    Cli,
}

impl Process {
    /// All kinds, in the order of the URI's documentation.
    pub const ALL: [Self; 8] =
        [Self::Operator, Self::Market, Self::Inference, Self::Policy, Self::Risk, Self::Execution, Self::Nats, Self::Cli];

    /// As the URI writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Market => "market",
            Self::Inference => "inference",
            Self::Policy => "policy",
            Self::Risk => "risk",
            Self::Execution => "execution",
            Self::Nats => "nats",
            Self::Cli => "cli",
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A process that showed its certificate: `spiffe://tradewind/<namespace>/<process>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    process: Process,
    namespace: String,
    name: String,
}

impl Peer {
    /// A process of a namespace that belongs to the policy, profile or release called `name`.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] for a text that Kubernetes would not take as a name.
    pub fn new(process: Process, namespace: &str, name: &str) -> Result<Self, IdentityError> {
        let peer = Self { process, namespace: namespace.to_owned(), name: name.to_owned() };
        let wrong = |wanted| IdentityError::Malformed { seen: peer.to_string(), wanted };
        if !is_name(namespace) {
            return Err(wrong("the namespace is 1 to 253 characters of a-z, 0-9, '-' and '.'"));
        }
        if !is_name(name) {
            return Err(wrong("the name is 1 to 253 characters of a-z, 0-9, '-' and '.'"));
        }
        Ok(peer)
    }

    /// Reads the one URI of a certificate. Says nothing about whether anybody vouches for it: the handshake did that.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn of_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| IdentityError::Unreadable(error.to_string()))?;
        let names = certificate.subject_alternative_name().map_err(|error| IdentityError::Unreadable(error.to_string()))?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            })
            .collect();
        match uris.as_slice() {
            [] => Err(IdentityError::NoUri),
            [uri] => uri.parse(),
            several => Err(IdentityError::SeveralUris(several.len())),
        }
    }

    /// Kind of the process.
    #[must_use]
    pub const fn process(&self) -> Process {
        self.process
    }

    /// Namespace that it runs in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Policy, profile or release that it belongs to.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{TRUST_DOMAIN}/{}/{}/{}", self.namespace, self.process, self.name)
    }
}

impl FromStr for Peer {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |wanted| IdentityError::Malformed { seen: text.to_owned(), wanted };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("it must begin with spiffe://"))?;
        let mut parts = rest.split('/');
        if parts.next() != Some(TRUST_DOMAIN) {
            return Err(wrong("the trust domain must be tradewind"));
        }
        let path = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(namespace), Some(process), Some(name), None) = path else {
            return Err(wrong("the path must be <namespace>/<process>/<name>"));
        };
        let process = Process::ALL.into_iter().find(|known| known.as_str() == process);
        let process = process
            .ok_or_else(|| wrong("the process must be operator, market, inference, policy, risk, execution, nats or cli"))?;
        Self::new(process, namespace, name)
    }
}

/// End of a certificate's validity, seconds since 1970.
///
/// # Errors
/// [`IdentityError::Unreadable`].
pub fn valid_until(der: &[u8]) -> Result<u64, IdentityError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| IdentityError::Unreadable(error.to_string()))?;
    Ok(u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0))
}

fn is_name(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn every_process_reads_what_it_writes() {
        for process in Process::ALL {
            let peer = Peer::new(process, "trading", "indices").unwrap();
            assert_eq!(peer.to_string().parse::<Peer>().unwrap(), peer);
        }
        let peer: Peer = "spiffe://tradewind/trading/execution/indices".parse().unwrap();
        assert_eq!((peer.process(), peer.namespace(), peer.name()), (Process::Execution, "trading", "indices"));
    }

    #[test]
    fn whatever_is_not_exactly_an_identity_is_none() {
        for wrong in [
            "",
            "spiffe://",
            "tradewind/trading/risk/main",
            "https://tradewind/trading/risk/main",
            "SPIFFE://tradewind/trading/risk/main",
            "spiffe://other/trading/risk/main",
            "spiffe://tradewind.evil/trading/risk/main",
            "spiffe://tradewind@evil/trading/risk/main",
            "spiffe://tradewind:443/trading/risk/main",
            "spiffe://tradewind/trading/risk",
            "spiffe://tradewind/trading/risk/",
            "spiffe://tradewind//risk/main",
            "spiffe://tradewind/trading/risk/main/more",
            "spiffe://tradewind/trading/risk/main/",
            "spiffe://tradewind/trading/Risk/main",
            "spiffe://tradewind/trading/bank/main",
            "spiffe://tradewind/trading/risk/ma%69n",
            "spiffe://tradewind/trading/risk/main?x",
            "spiffe://tradewind/trading/risk/main#x",
            "spiffe://tradewind/trading/risk/MAIN",
        ] {
            let error = wrong.parse::<Peer>().unwrap_err();
            assert!(error.to_string().contains(&format!("'{wrong}'")), "{wrong}: {error}");
        }
        assert!(Peer::new(Process::Risk, "trading", &"n".repeat(254)).is_err());
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        assert!(matches!(Peer::of_certificate(b"no certificate"), Err(IdentityError::Unreadable(_))));
    }
}
