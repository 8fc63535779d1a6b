//! Digest of a ledger: SHA-256 over its lines, each ended by a line feed.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// SHA-256 over ledger lines as they are written, readable at any time.
///
/// `sha256sum` over the printed ledger gives the same figure.
#[derive(Clone, Debug, Default)]
pub struct LedgerDigest {
    state: Sha256,
    lines: u64,
}

impl LedgerDigest {
    /// The digest of an empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one line, given without its line feed.
    pub fn push_line(&mut self, line: &str) {
        self.state.update(line.as_bytes());
        self.state.update(b"\n");
        self.lines += 1;
    }

    /// Adds the ledger line of a record.
    ///
    /// # Errors
    /// When the record cannot be written as JSON.
    pub fn push<T: Serialize>(&mut self, record: &T) -> Result<(), serde_json::Error> {
        self.push_line(&line_of(record)?);
        Ok(())
    }

    /// Lines so far.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// 64 lower-case hexadecimal digits over the lines so far.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.state.clone().finalize())
    }
}

/// The ledger line of a record: compact JSON, fields in the order of the struct, no line feed.
///
/// # Errors
/// When the record cannot be written as JSON.
pub fn line_of<T: Serialize>(record: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(record)
}

/// Digest of a whole ledger.
///
/// # Errors
/// When a record cannot be written as JSON.
pub fn digest_of<'a, T: Serialize + 'a>(records: impl IntoIterator<Item = &'a T>) -> Result<LedgerDigest, serde_json::Error> {
    let mut digest = LedgerDigest::new();
    for record in records {
        digest.push(record)?;
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn equals_sha256sum_of_the_printed_lines() {
        let mut digest = LedgerDigest::new();
        assert_eq!(digest.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "digest of nothing");
        digest.push(&"abc").unwrap();
        digest.push_line("{}");
        let whole = hex::encode(Sha256::digest(b"\"abc\"\n{}\n"));
        assert_eq!((digest.hex(), digest.lines()), (whole, 2));
    }

    #[test]
    fn order_and_line_ends_matter() {
        let hex = |lines: &[&str]| digest_of(lines).unwrap().hex();
        assert_ne!(hex(&["a", "b"]), hex(&["b", "a"]));
        assert_ne!(hex(&["a", "b"]), hex(&["ab"]));
    }
}
