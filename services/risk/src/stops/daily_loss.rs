//! The loss of a session: once beyond its limit it holds until the next session, even when the price comes back (RK-87).

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use tradewind_core::account::Account;
use tradewind_core::money::Money;

/// A session of the account's calendar. Keys are ordered as the sessions are; nothing else is known of them.
///
/// Only the calendar of the account may make one, from the market time of one of the account's own instruments (their
/// marks, or the injected clock): never from a stamp that a caller or a foreign feed brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(i64);

impl SessionKey {
    /// The session with this number in the account's calendar, for example its date as days since 1970-01-01.
    #[must_use]
    pub const fn of_calendar(number: i64) -> Self {
        Self(number)
    }
}

/// The loss that went beyond its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Loss when it was seen first.
    pub seen: Money,
    /// Loss allowed then.
    pub allowed: Money,
    /// Both, in words.
    pub reason: String,
}

/// The latch of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DailyLoss {
    session: Option<SessionKey>,
    hit: Option<Hit>,
}

impl DailyLoss {
    /// The loss of this session, if it went beyond its limit.
    #[must_use]
    pub const fn hit(&self) -> Option<&Hit> {
        self.hit.as_ref()
    }

    /// The next session begins; true when it does. The same session, or one before it, changes nothing.
    pub fn begin_session(&mut self, key: SessionKey) -> bool {
        if self.session.is_some_and(|current| key <= current) {
            return false;
        }
        self.session = Some(key);
        self.hit = None;
        true
    }

    /// Looks at the account; true when the limit is passed now. Neither a recovery nor a looser limit ends it.
    pub fn observe(&mut self, account: &Account, limits: &Limits) -> bool {
        if self.hit.is_some() || !limits.daily_loss_exceeded(account) {
            return false;
        }
        let (bps, allowed_bps) = (account.daily_pnl_bps(), limits.daily_loss_bps);
        self.hit = Some(Hit {
            seen: -account.daily_pnl(),
            allowed: account.session_start().bps(allowed_bps),
            reason: format!("result of the session went to {bps} bps, allowed is -{allowed_bps} bps; until the next session"),
        });
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::stops::approval::exact;
    use tradewind_core::account::Fill;
    use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
    use tradewind_core::time::Nanos;
    use tradewind_crds::samples;

    fn spx() -> Symbol {
        Symbol::try_from("SPX".to_owned()).unwrap()
    }

    /// One million with 400 lots bought at 1,000.
    fn account() -> Account {
        let unit = Money::from_nanos(1_000_000_000);
        let mut account = Account::new(Money::from_nanos(1_000_000 * 1_000_000_000));
        account.register(&Instrument::new(spx(), unit, unit, unit).unwrap()).unwrap();
        let fill = Fill { symbol: spx(), lots: Lots(400), price: Ticks(1_000), fee: Money::ZERO, event_time: Nanos(1) };
        account.book(&fill).unwrap();
        account
    }

    #[test]
    fn r6_the_price_comes_back_and_the_session_stays_closed() {
        let (mut account, mut loss) = (account(), DailyLoss::default());
        let limits = exact(&samples::profile("main", "paper-1").spec.limits);
        assert!(loss.begin_session(SessionKey::of_calendar(10)));
        account.mark(&spx(), Ticks(926), Nanos(2)).unwrap();
        assert!(!loss.observe(&account, &limits), "2.96 % is within 3 %");
        account.mark(&spx(), Ticks(924), Nanos(3)).unwrap();
        assert!(loss.observe(&account, &limits));
        account.mark(&spx(), Ticks(1_100), Nanos(4)).unwrap();
        assert!(!loss.observe(&account, &limits));
        let reason = &loss.hit().unwrap().reason;
        assert!(reason.contains("-304 bps") && reason.contains("-300 bps"), "{reason}");
        // R5: a stamp of another time is no session of the calendar, so nobody may make a key of it; a repeated one, or
        // one before it, begins nothing.
        assert!(!loss.begin_session(SessionKey::of_calendar(10)) && !loss.begin_session(SessionKey::of_calendar(9)));
        assert!(loss.hit().is_some());
        assert!(loss.begin_session(SessionKey::of_calendar(11)));
        assert_eq!(loss.hit(), None);
    }

    #[test]
    fn a_looser_limit_does_not_open_the_session_again() {
        let (mut account, mut loss) = (account(), DailyLoss::default());
        let mut limits = exact(&samples::profile("main", "paper-1").spec.limits);
        account.mark(&spx(), Ticks(900), Nanos(2)).unwrap();
        assert!(loss.observe(&account, &limits));
        limits.daily_loss_bps = 9_000;
        loss.observe(&account, &limits);
        assert_eq!(loss.hit().unwrap().allowed, Money::from_nanos(30_000 * 1_000_000_000));
    }
}
