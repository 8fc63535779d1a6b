//! What can be wrong with a checkpoint file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest text taken over from a file into a message.
const MAX_QUOTE: usize = 96;
/// Faults kept; the rest is counted.
const MAX_FAULTS: usize = 64;

/// Kind of a fault; a closed list, the same as the reasons in a `ModelCheckpoint`'s status. In
/// order of weight: the first one present names the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The file could not be fetched. Decided by whoever fetches it.
    SourceUnreachable,
    /// The file, its header or a list in it is larger than allowed.
    TooLarge,
    /// The file ends before the data that its header promises.
    Truncated,
    /// SHA-256 of the file is not the expected one.
    DigestMismatch,
    /// Header or manifest cannot be read, or break a rule of the format.
    BadFormat,
    /// A checkpoint of another role.
    WrongRole,
    /// Trained on features that this release does not compute.
    UnknownFeatureSchema,
    /// Networks of another shape than this release has.
    UnknownArchitecture,
    /// Agents or their outputs in another order (ruling 1).
    BadActionOrder,
    /// A tensor that the architecture does not have.
    UnknownTensor,
    /// A tensor that the architecture needs.
    MissingTensor,
    /// Another shape or number type.
    BadShape,
    /// NaN or infinity.
    NotFinite,
    /// The networks do not give the outputs that the file says they give.
    GoldenMismatch,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Kind.
    pub reason: Reason,
    /// The tensor, the manifest key or the part of the file that it is about.
    pub subject: String,
    /// Value seen and value allowed.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.reason, self.subject, self.message)
    }
}

/// Everything that is wrong with a file, in the order of discovery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    list: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// A list with one fault.
    pub fn one(reason: Reason, subject: &str, message: impl Into<String>) -> Self {
        let mut faults = Self::default();
        faults.add(reason, subject, message);
        faults
    }

    /// Adds a fault. `subject` may come from the file: it is escaped and cut. The message is ours.
    pub fn add(&mut self, reason: Reason, subject: &str, message: impl Into<String>) {
        if self.list.len() < MAX_FAULTS {
            self.list.push(Fault { reason, subject: quote(subject), message: message.into() });
        } else {
            self.more += 1;
        }
    }

    /// Adds all faults of another list.
    pub fn extend(&mut self, other: Self) {
        self.more += other.more;
        for fault in other.list {
            self.add(fault.reason, &fault.subject, fault.message);
        }
    }

    /// The faults kept, at most 64.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Number of all faults, kept or not.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// True when nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The weightiest fault; the first of its kind.
    pub fn worst(&self) -> Option<&Fault> {
        self.list.iter().min_by_key(|fault| fault.reason)
    }

    /// True when a fault of this kind was found.
    pub fn has(&self, reason: Reason) -> bool {
        self.list.iter().any(|fault| fault.reason == reason)
    }

    /// `Ok` when nothing is wrong.
    ///
    /// # Errors
    /// The list itself.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.list.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "; " })?;
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Text from a file, safe to print: control characters escaped, at most 96 characters.
pub(super) fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(MAX_QUOTE).flat_map(char::escape_debug).take(MAX_QUOTE).collect();
    if text.chars().nth(MAX_QUOTE).is_some() {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weightiest_fault_names_the_verdict() {
        let mut faults = Faults::one(Reason::NotFinite, "a", "1");
        faults.add(Reason::MissingTensor, "b", "2");
        faults.add(Reason::MissingTensor, "c", "3");
        assert_eq!(faults.worst().map(|fault| fault.subject.as_str()), Some("b"));
        assert_eq!(faults.to_string(), "NotFinite: a: 1; MissingTensor: b: 2; MissingTensor: c: 3");
    }

    #[test]
    fn a_hostile_name_is_cut_and_escaped() {
        let faults = Faults::one(Reason::UnknownTensor, &"\u{1b}[31m\n".repeat(500), "x");
        let subject = &faults.list()[0].subject;
        assert!(subject.len() < 110 && !subject.contains('\n') && !subject.contains('\u{1b}'), "{subject}");
    }

    #[test]
    fn thousands_of_faults_are_counted_and_not_kept() {
        let mut faults = Faults::default();
        for i in 0..5_000 {
            faults.add(Reason::UnknownTensor, &i.to_string(), "x");
        }
        assert_eq!((faults.list().len(), faults.count()), (64, 5_000));
        assert!(faults.to_string().ends_with("; and 4936 more"));
    }
}
