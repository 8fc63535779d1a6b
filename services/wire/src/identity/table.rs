//! Each gRPC method and the processes that may call it. What is not listed is refused.

use std::fmt;

use super::peer::{Peer, Process};

/// Which owner a caller must belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The operator watches over all namespaces.
    AnyNamespace,
    /// Any owner of the server's namespace.
    AnyOfNamespace,
    /// The owner of the server itself, in its namespace.
    SameAsServer,
    /// Any owner of the server's namespace; the message names a policy, and the handler holds it against the caller
    /// (`Caller::speaks_for`).
    NamedInMessage,
}

/// One kind of caller of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Kind of the calling process.
    pub process: Process,
    /// Whose process it must be.
    pub owner: Owner,
}

/// One method of one kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Path as HTTP/2 carries it.
    pub method: &'static str,
    /// Servers of this row; other servers need a row of their own.
    pub servers: &'static [Process],
    /// Who may call it.
    pub callers: &'static [Allowed],
}

const OPERATOR: Allowed = Allowed { process: Process::Operator, owner: Owner::AnyNamespace };
const OWN_POLICY: Allowed = Allowed { process: Process::Policy, owner: Owner::SameAsServer };
const ANY_POLICY: Allowed = Allowed { process: Process::Policy, owner: Owner::AnyOfNamespace };
const ANY_EXECUTION: Allowed = Allowed { process: Process::Execution, owner: Owner::AnyOfNamespace };
const TRADING: Allowed = Allowed { process: Process::Execution, owner: Owner::NamedInMessage };

const fn risk(method: &'static str, callers: &'static [Allowed]) -> Rule {
    Rule { method, servers: &[Process::Risk], callers }
}

const fn execution(method: &'static str) -> Rule {
    Rule { method, servers: &[Process::Execution], callers: &[OWN_POLICY] }
}

/// The table. A method that is not here cannot be called by anybody.
pub const TABLE: &[Rule] = &[
    Rule {
        method: "/tradewind.v1.Process/Describe",
        servers: &[Process::Policy, Process::Risk, Process::Execution, Process::Market],
        callers: &[OPERATOR],
    },
    // The decider opens the connection of a bundle ahead of its first question.
    Rule { method: "/tradewind.v1.Process/Describe", servers: &[Process::Inference], callers: &[OPERATOR, OWN_POLICY] },
    Rule { method: "/tradewind.v1.Inference/Decide", servers: &[Process::Inference], callers: &[OWN_POLICY] },
    Rule { method: "/tradewind.v1.PolicyEngine/Status", servers: &[Process::Policy], callers: &[OPERATOR] },
    execution("/tradewind.v1.Execution/Advance"),
    execution("/tradewind.v1.Execution/Submit"),
    execution("/tradewind.v1.Execution/Halt"),
    execution("/tradewind.v1.Execution/Settle"),
    risk("/tradewind.v1.Risk/Acquire", &[TRADING]),
    risk("/tradewind.v1.Risk/Place", &[TRADING]),
    risk("/tradewind.v1.Risk/Cancel", &[TRADING]),
    risk("/tradewind.v1.Risk/Meet", &[TRADING]),
    risk("/tradewind.v1.Risk/Settle", &[TRADING]),
    risk("/tradewind.v1.Risk/Events", &[TRADING]),
    risk("/tradewind.v1.Risk/Watch", &[ANY_EXECUTION, ANY_POLICY]),
    risk("/tradewind.v1.Risk/Status", &[OPERATOR]),
    risk("/tradewind.v1.Risk/Halt", &[OPERATOR]),
];

impl Allowed {
    /// Whether `caller` may call `server`.
    #[must_use]
    pub fn admits(self, server: &Peer, caller: &Peer) -> bool {
        let neighbours = caller.namespace() == server.namespace();
        caller.process() == self.process
            && match self.owner {
                Owner::AnyNamespace => true,
                Owner::AnyOfNamespace | Owner::NamedInMessage => neighbours,
                Owner::SameAsServer => neighbours && caller.name() == server.name(),
            }
    }
}

/// How a refusal names who is allowed, seen from one server.
struct Callers<'a>(&'a [Allowed], &'a Peer);

impl fmt::Display for Callers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(callers, server) = *self;
        for (number, allowed) in callers.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { " or " })?;
            let process = allowed.process;
            match allowed.owner {
                Owner::AnyNamespace => write!(f, "{process}")?,
                Owner::AnyOfNamespace => write!(f, "{process} of namespace {}", server.namespace())?,
                Owner::NamedInMessage => write!(f, "{process} of namespace {} for its own policy", server.namespace())?,
                Owner::SameAsServer => write!(f, "{process} of {}/{}", server.namespace(), server.name())?,
            }
        }
        Ok(())
    }
}

/// Holds a call against the table.
///
/// # Errors
/// A text that names the method, the caller seen and the callers allowed.
pub fn check(method: &str, server: &Peer, caller: &Peer) -> Result<(), String> {
    let rule = TABLE.iter().find(|rule| rule.method == method && rule.servers.contains(&server.process()));
    let Some(rule) = rule else {
        return Err(format!("{method} of {server}: the table of methods lists no caller for it, {caller} was seen"));
    };
    if rule.callers.iter().any(|allowed| allowed.admits(server, caller)) {
        return Ok(());
    }
    Err(format!("{method} of {server}: {caller} may not call it, only {}", Callers(rule.callers, server)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::collections::BTreeSet;

    /// Rows whose methods are agreed and come with the inline gate and the direct halt.
    const AGREED: [&str; 5] = ["Risk/Place", "Risk/Cancel", "Risk/Meet", "Risk/Events", "Risk/Halt"];

    /// Every `rpc` of the protobuf files, as its path.
    fn methods() -> BTreeSet<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/tradewind/v1");
        let mut found = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let mut service = "";
            for line in text.lines().map(str::trim) {
                if let Some(rest) = line.strip_prefix("service ") {
                    service = rest.split_whitespace().next().unwrap();
                }
                if let Some(rest) = line.strip_prefix("rpc ") {
                    found.insert(format!("/tradewind.v1.{service}/{}", rest.split('(').next().unwrap().trim()));
                }
            }
        }
        assert!(found.contains("/tradewind.v1.Risk/Status"), "{found:?}");
        found
    }

    #[test]
    fn every_method_has_a_row_and_every_row_a_method() {
        let methods = methods();
        for method in &methods {
            assert!(TABLE.iter().any(|rule| rule.method == method), "{method}: add a row that says who may call it");
        }
        for rule in TABLE {
            let agreed = AGREED.iter().any(|name| rule.method.ends_with(name));
            assert!(agreed || methods.contains(rule.method), "{}: no such method, remove the row", rule.method);
            assert!(!rule.callers.is_empty() && !rule.servers.is_empty(), "{}: a row that admits nobody", rule.method);
        }
    }

    #[test]
    fn no_server_has_two_rows_for_one_method() {
        let mut seen = BTreeSet::new();
        for rule in TABLE {
            for server in rule.servers {
                assert!(seen.insert((rule.method, *server)), "{} of {server} twice", rule.method);
            }
        }
    }

    #[test]
    fn a_refusal_names_who_was_seen_and_who_is_allowed() {
        let peer = |text: &str| text.parse::<Peer>().unwrap();
        let risk = peer("spiffe://tradewind/trading/risk/main");
        let error = check("/tradewind.v1.Risk/Watch", &risk, &peer("spiffe://tradewind/trading/market/m")).unwrap_err();
        for part in ["Risk/Watch", "trading/risk/main", "trading/market/m", "execution of namespace trading or policy"] {
            assert!(error.contains(part), "'{part}' is missing in '{error}'");
        }
        let error = check("/tradewind.v1.Risk/Steal", &risk, &risk).unwrap_err();
        assert!(error.contains("lists no caller"), "{error}");
    }
}
