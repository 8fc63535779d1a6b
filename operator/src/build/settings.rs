//! What the operator itself was told: the same for every child.

/// Settings of the operator that its children inherit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Image of every process.
    pub image: String,
    /// Event bus, `tls://host:port` or `nats://host:port`.
    pub nats_url: String,
    /// Storage class of journals whose spec names none; `None`: the cluster's default.
    pub storage_class: Option<String>,
    /// Namespace of the operator and of its event bus.
    pub operator_namespace: String,
    /// The one namespace that is watched; `None`: all.
    pub namespace_scope: Option<String>,
}

impl Settings {
    /// TCP port of the event bus; 4222 when the address names none.
    #[must_use]
    pub fn nats_port(&self) -> u16 {
        port_of(&self.nats_url).unwrap_or(4222)
    }

    /// Storage class for a spec that asks for `wanted`, which may be empty.
    #[must_use]
    pub fn class(&self, wanted: &str) -> Option<String> {
        if wanted.is_empty() { self.storage_class.clone() } else { Some(wanted.to_owned()) }
    }
}

/// TCP port in a URL: the one written, else that of the scheme.
#[must_use]
pub fn port_of(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let written = host.rsplit_once(':').map(|(_, port)| port).filter(|_| !host.ends_with(']'));
    match (written, scheme) {
        (Some(port), _) => port.parse().ok(),
        (None, "https") => Some(443),
        (None, "http") => Some(80),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_or_follow_from_the_scheme() {
        for (url, port) in [
            ("http://a.b.svc/x:1", Some(80)),
            ("https://a/x", Some(443)),
            ("http://u:p@a:8080/x", Some(8080)),
            ("tls://tradewind-nats.ns.svc:4222", Some(4222)),
            ("http://[::1]/x", Some(80)),
            ("file:///x", None),
            ("nonsense", None),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }
}
