//! The trading calendars that a resource may name.

use crate::closed_list::closed_list;

closed_list! {
    /// When an instrument trades, or when a session of an account begins and ends: holidays, early closes and changes of the
    /// clock are part of it.
    pub enum Calendar {
        /// New York Stock Exchange.
        Xnys = "XNYS",
        /// Nasdaq.
        Xnas = "XNAS",
        /// London Stock Exchange.
        Xlon = "XLON",
        /// Xetra, Frankfurt.
        Xetr = "XETR",
        /// Euronext Paris.
        Xpar = "XPAR",
        /// Tokyo Stock Exchange.
        Xtks = "XTKS",
        /// Hong Kong Exchanges.
        Xhkg = "XHKG",
        /// Australian Securities Exchange.
        Xasx = "XASX",
        /// Toronto Stock Exchange.
        Xtse = "XTSE",
        /// SIX Swiss Exchange.
        Xswx = "XSWX",
        /// Bombay Stock Exchange.
        Xbom = "XBOM",
        /// Chicago Mercantile Exchange, futures.
        Cmes = "CMES",
        /// Never closes; a session is a day of UTC.
        AllDay = "24x7",
        /// Foreign exchange: five days of 24 hours, each beginning at 17:00 in New York.
        Fx = "FX24x5",
    }
}

impl Default for Calendar {
    /// What a manifest that names none means.
    fn default() -> Self {
        Self::AllDay
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn calendars_are_written_as_markets_call_them() {
        let written: Vec<&str> = Calendar::ALL.iter().map(|calendar| calendar.as_str()).collect();
        assert_eq!(
            written,
            ["XNYS", "XNAS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XASX", "XTSE", "XSWX", "XBOM", "CMES", "24x7", "FX24x5"]
        );
        for calendar in Calendar::ALL {
            let json = serde_json::to_string(calendar).unwrap();
            assert_eq!(json, format!("\"{calendar}\""));
            assert_eq!(serde_json::from_str::<Calendar>(&json).unwrap(), *calendar);
        }
        assert!(serde_json::from_str::<Calendar>("\"Xnys\"").is_err(), "the name of the variant is no calendar");
    }
}
