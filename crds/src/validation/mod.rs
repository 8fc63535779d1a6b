//! Rules that CEL cannot express exactly, as pure functions. The operator and the services use the same ones.
//!
//! Every function collects all violations instead of stopping at the first.

mod checkpoint;
mod policy;
mod profile;

pub use checkpoint::validate_checkpoint;
pub use policy::{validate_instrument, validate_policy, validate_policy_with_checkpoint, validate_policy_with_profile};
pub use profile::{Loosening, loosened, loosening_digest, validate_risk_profile};

/// One fault of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `spec.limits.maxDataAge`.
    pub field: String,
    /// The value seen.
    pub seen: String,
    /// The values allowed.
    pub allowed: String,
    /// Why, or what to do; may be empty.
    pub hint: String,
}

impl Violation {
    /// A violation; `hint` may be empty.
    #[must_use]
    pub fn new(field: impl Into<String>, seen: impl ToString, allowed: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { field: field.into(), seen: seen.to_string(), allowed: allowed.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}, allowed is {}", self.field, self.seen, self.allowed)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, ": {}", self.hint) }
    }
}

/// All violations as one message for a condition.
#[must_use]
pub fn join(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Checks the name of an object: names of its children are made from it.
#[must_use]
pub fn validate_name(name: &str) -> Vec<Violation> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let ends = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    if plain && ends && name.len() <= crate::names::MAX_NAME {
        return Vec::new();
    }
    let allowed = format!("at most {} characters a-z, 0-9 and -, starting with a letter", crate::names::MAX_NAME);
    vec![Violation::new("metadata.name", format!("\"{name}\""), allowed, "names of Services are made from it")]
}

fn range(found: &mut Vec<Violation>, field: &str, value: i64, min: i64, max: i64) {
    if !(min..=max).contains(&value) {
        found.push(Violation::new(field, value, format!("{min} to {max}"), ""));
    }
}

fn positive(found: &mut Vec<Violation>, field: &str, value: crate::Decimal) {
    if !value.is_positive() {
        found.push(Violation::new(field, value, "above 0", ""));
    }
}
