//! One policy per account, one profile per account: of two, the older wins.

use k8s_openapi::jiff::Timestamp;

/// An object that claims an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name of the object.
    pub name: String,
    /// The account.
    pub account: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its uid: decides between two objects of the same second.
    pub uid: String,
}

/// The older object that holds the account of `mine`; `None` when `mine` holds it. Objects that are being deleted are
/// left out by the caller as soon as their children are gone.
#[must_use]
pub fn holder<'a>(mine: &Claim, all: &'a [Claim]) -> Option<&'a Claim> {
    let age = |claim: &Claim| (claim.created.is_none(), claim.created, claim.uid.clone());
    all.iter()
        .filter(|other| other.account == mine.account && other.uid != mine.uid && age(other) < age(mine))
        .min_by_key(|other| age(other))
}

/// Message of the condition `AccountConflict`.
#[must_use]
pub fn message(kind: &str, mine: &Claim, holder: &Claim) -> String {
    format!(
        "account {} is held by the older {kind} {}; delete that one, or give {} another account",
        mine.account, holder.name, mine.name
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn claim(name: &str, account: &str, second: i64) -> Claim {
        Claim {
            name: name.into(),
            account: account.into(),
            created: Some(Timestamp::from_second(second).unwrap()),
            uid: format!("uid-{name}"),
        }
    }

    #[test]
    fn the_younger_loses_and_ties_are_decided_by_uid() {
        let all = [claim("b", "x", 2), claim("a", "x", 1), claim("c", "x", 2), claim("d", "y", 0)];
        assert_eq!(holder(&all[1], &all), None);
        assert_eq!(holder(&all[0], &all).unwrap().name, "a");
        assert_eq!(holder(&all[3], &all), None);
        assert_eq!(holder(&all[2], &[all[0].clone(), all[2].clone()]).unwrap().name, "b");
        assert!(message("TradingPolicy", &all[0], &all[1]).contains("account x is held by the older TradingPolicy a"));
    }

    #[test]
    fn exactly_one_holds_an_account_in_any_order() {
        let mut all = vec![claim("a", "x", 3), claim("b", "x", 3), claim("c", "x", 1)];
        for _ in 0..3 {
            all.rotate_left(1);
            assert_eq!(all.iter().filter(|one| holder(one, &all).is_none()).count(), 1);
        }
    }
}
