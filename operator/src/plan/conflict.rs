//! Who holds what: an instrument of an account belongs to one policy, an account to one profile of the cluster.

use k8s_openapi::jiff::Timestamp;

/// Age of an object, the older first; two objects of the same second are ordered by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    /// An object without a time of creation is not stored yet, hence the youngest.
    unknown: bool,
    created: Option<Timestamp>,
    namespace: String,
    name: String,
}

impl Age {
    /// The age of an object.
    #[must_use]
    pub fn new(created: Option<Timestamp>, namespace: &str, name: &str) -> Self {
        Self { unknown: created.is_none(), created, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Name of the object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Namespace of the object.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// What a policy claims in an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The policy.
    pub age: Age,
    /// Symbols that its spec names, in order.
    pub symbols: Vec<String>,
    /// Those of them that the bundle that serves it knows: it trades them already.
    pub traded: Vec<String>,
}

/// An instrument that another policy of the account holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The instrument.
    pub symbol: String,
    /// Name of the policy that holds it.
    pub holder: String,
}

/// The holder of a symbol among the policies of one account: the one that trades it already, else the older one. So an older
/// policy that grows takes nothing away from a younger one.
fn holder<'a>(symbol: &str, claims: &'a [Claim]) -> Option<&'a Claim> {
    let traded = |claim: &Claim| claim.traded.iter().any(|one| one == symbol);
    claims
        .iter()
        .filter(|claim| claim.symbols.iter().any(|one| one == symbol))
        .min_by_key(|claim| (!traded(claim), claim.age.clone()))
}

/// The instruments of `mine` that other policies of the account hold, in the order of its spec. `claims` are those of all
/// policies of the account, `mine` among them.
#[must_use]
pub fn conflicts(mine: &Claim, claims: &[Claim]) -> Vec<Conflict> {
    let lost = mine.symbols.iter().filter_map(|symbol| {
        let holder = holder(symbol, claims).filter(|holder| holder.age != mine.age)?;
        Some(Conflict { symbol: symbol.clone(), holder: holder.age.name.clone() })
    });
    lost.collect()
}

/// The symbols that each policy holds: every symbol is held once. In the order of `claims`; policies that hold nothing are
/// left out.
#[must_use]
pub fn held(claims: &[Claim]) -> Vec<(String, Vec<String>)> {
    let all = claims.iter().map(|mine| {
        let mut symbols = mine.symbols.clone();
        let lost = conflicts(mine, claims);
        symbols.retain(|symbol| lost.iter().all(|conflict| conflict.symbol != *symbol));
        (mine.age.name.clone(), symbols)
    });
    all.filter(|(_, symbols)| !symbols.is_empty()).collect()
}

/// Message of the condition `InstrumentConflict`.
#[must_use]
pub fn message(account: &str, mine: &Claim, conflicts: &[Conflict]) -> String {
    let lost: Vec<String> = conflicts
        .iter()
        .map(|conflict| {
            format!("instrument {} of account {account} is held by TradingPolicy {}", conflict.symbol, conflict.holder)
        })
        .collect();
    format!("{}; delete that policy, or create one in place of {} without what is held", lost.join(", "), mine.age.name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn claim(name: &str, second: i64, symbols: &[&str], traded: &[&str]) -> Claim {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Claim {
            age: Age::new(Some(Timestamp::from_second(second).unwrap()), "trading", name),
            symbols: owned(symbols),
            traded: owned(traded),
        }
    }

    fn lost(mine: &Claim, all: &[Claim]) -> Vec<(String, String)> {
        conflicts(mine, all).into_iter().map(|conflict| (conflict.symbol, conflict.holder)).collect()
    }

    #[test]
    fn the_younger_of_two_policies_loses_the_instrument_and_keeps_the_others() {
        let all = [claim("b", 2, &["SPX", "XAU"], &[]), claim("a", 1, &["IXIC", "SPX"], &[])];
        assert_eq!(lost(&all[1], &all), []);
        assert_eq!(lost(&all[0], &all), [("SPX".to_owned(), "a".to_owned())]);
        let held = held(&all);
        assert_eq!(held, [("b".to_owned(), vec!["XAU".to_owned()]), ("a".to_owned(), vec!["IXIC".to_owned(), "SPX".to_owned()])]);
        let text = message("paper-1", &all[0], &conflicts(&all[0], &all));
        assert!(text.starts_with("instrument SPX of account paper-1 is held by TradingPolicy a; "), "{text}");
    }

    #[test]
    fn two_policies_of_the_same_second_are_told_apart_by_name() {
        let mut all = [claim("b", 1, &["SPX"], &[]), claim("a", 1, &["SPX"], &[])];
        for _ in 0..2 {
            assert_eq!(held(&all), [("a".to_owned(), vec!["SPX".to_owned()])]);
            all.reverse();
        }
    }

    #[test]
    fn an_older_policy_that_grows_takes_nothing_from_a_younger_one_that_trades_it() {
        let all = [claim("old", 1, &["SPX", "XAU"], &["SPX"]), claim("new", 2, &["XAU"], &["XAU"])];
        assert_eq!(lost(&all[0], &all), [("XAU".to_owned(), "new".to_owned())]);
        assert_eq!(lost(&all[1], &all), []);
    }

    proptest! {
        /// Whatever claims there are and in whatever order: every symbol that somebody claims is held exactly once.
        #[test]
        fn every_claimed_symbol_is_held_once(policies in proptest::collection::vec((0_i64..3, 0_u8..16, 0_u8..16), 1..6)) {
            let symbols = |bits: u8| -> Vec<&str> {
                ["A", "B", "C", "D"].into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, one)| one).collect()
            };
            let all: Vec<Claim> = policies
                .iter()
                .enumerate()
                .map(|(i, (second, wanted, traded))| claim(&format!("p{i}"), *second, &symbols(*wanted), &symbols(wanted & traded)))
                .collect();
            let mut found: Vec<String> = held(&all).into_iter().flat_map(|(_, symbols)| symbols).collect();
            found.sort();
            let mut claimed: Vec<String> = all.iter().flat_map(|claim| claim.symbols.clone()).collect();
            claimed.sort();
            claimed.dedup();
            prop_assert_eq!(&found, &claimed);
            let mut reversed: Vec<Claim> = all.clone();
            reversed.reverse();
            for mine in &all {
                prop_assert_eq!(conflicts(mine, &all), conflicts(mine, &reversed));
            }
        }
    }
}
