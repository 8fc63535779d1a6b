//! Ids of what stops an account: unique over time, so that an old acknowledgement can never name a new stop.

use sha2::{Digest, Sha256};

/// What makes ids of one journal differ from those of every other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    account: String,
    journal: String,
}

impl Ids {
    /// Ids of the journal called `journal` of an account. A volume that was lost begins another journal, with another
    /// name, and therefore other ids.
    #[must_use]
    pub fn new(account: &str, journal: &str) -> Self {
        Self { account: account.to_owned(), journal: journal.to_owned() }
    }

    /// `kind`, a hyphen, and twelve hex digits that stand for account, journal and `parts`. Parts that differ within one
    /// journal (its position, a count) make it unique.
    #[must_use]
    pub fn id(&self, kind: &str, parts: &[String]) -> String {
        let mut hash = Sha256::new();
        for part in [&self.account, &self.journal].into_iter().chain(parts) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let hex: String = hex::encode(hash.finalize()).chars().take(12).collect();
        format!("{kind}-{hex}")
    }

    /// What binds an approval to this journal and to the count of `adoptions` before it.
    #[must_use]
    pub fn scope(&self, adoptions: u64) -> String {
        format!("{}\0{}\0{adoptions}", self.account, self.journal)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn an_id_stands_for_account_journal_and_parts() {
        let part = |text: &str| [text.to_owned()];
        let ids = Ids::new("paper-1", "j1");
        let all = [
            ids.id("halt-3", &part("7")),
            ids.id("halt-3", &part("8")),
            Ids::new("paper-1", "j2").id("halt-3", &part("7")),
            Ids::new("paper-2", "j1").id("halt-3", &part("7")),
        ];
        for (n, id) in all.iter().enumerate() {
            assert_eq!(id.len(), "halt-3-".len() + 12);
            assert!(!all[n + 1..].contains(id), "{id} twice");
        }
        assert_eq!(all[0], ids.id("halt-3", &part("7")), "the same journal replays to the same id");
    }
}
