//! The calendars that exist, by name.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::sessions::Calendar;

/// A text that names no calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no calendar: use 24x7, FX24x5 or the code of an exchange, one of {exchanges}", exchanges = exchanges())]
pub struct CalendarNameError(String);

fn exchanges() -> String {
    CalendarName::EXCHANGES.map(CalendarName::as_str).join(", ")
}

macro_rules! calendars {
    ($($(#[$doc:meta])* $name:ident = $code:literal from $file:literal;)*) => {
        /// The calendar of an instrument or an account: around the clock, currencies, or an exchange by its market
        /// identifier code (ISO 10383).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum CalendarName {
            /// Never closes; a session is a day of UTC.
            #[default]
            AroundTheClock,
            /// Currencies: sessions of a day that begin at 17:00 in New York, Sunday to Thursday.
            Currencies,
            $($(#[$doc])* $name,)*
        }

        impl CalendarName {
            /// All exchanges.
            pub const EXCHANGES: [Self; [$($code),*].len()] = [$(Self::$name),*];

            /// The name as written in resources.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::AroundTheClock => "24x7",
                    Self::Currencies => "FX24x5",
                    $(Self::$name => $code,)*
                }
            }

            const fn file(self) -> &'static str {
                match self {
                    Self::AroundTheClock => "",
                    Self::Currencies => include_str!("data/FX24x5.csv"),
                    $(Self::$name => include_str!(concat!("data/", $file, ".csv")),)*
                }
            }
        }
    };
}

calendars! {
    /// New York Stock Exchange
    Xnys = "XNYS" from "XNYS";
    /// Nasdaq, which keeps the days and hours of New York
    Xnas = "XNAS" from "XNYS";
    /// Toronto
    Xtse = "XTSE" from "XTSE";
    /// B3, São Paulo
    Bvmf = "BVMF" from "BVMF";
    /// Mexico City
    Xmex = "XMEX" from "XMEX";
    /// Chicago Mercantile Exchange
    Cmes = "CMES" from "CMES";
    /// London
    Xlon = "XLON" from "XLON";
    /// Xetra, Frankfurt
    Xetr = "XETR" from "XETR";
    /// Paris
    Xpar = "XPAR" from "XPAR";
    /// Amsterdam
    Xams = "XAMS" from "XAMS";
    /// Brussels
    Xbru = "XBRU" from "XBRU";
    /// Madrid
    Xmad = "XMAD" from "XMAD";
    /// Milan
    Xmil = "XMIL" from "XMIL";
    /// Zurich
    Xswx = "XSWX" from "XSWX";
    /// Stockholm
    Xsto = "XSTO" from "XSTO";
    /// Copenhagen
    Xcse = "XCSE" from "XCSE";
    /// Helsinki
    Xhel = "XHEL" from "XHEL";
    /// Oslo
    Xosl = "XOSL" from "XOSL";
    /// Tokyo
    Xtks = "XTKS" from "XTKS";
    /// Hong Kong
    Xhkg = "XHKG" from "XHKG";
    /// Shanghai; holidays are known until 2026
    Xshg = "XSHG" from "XSHG";
    /// Taipei
    Xtai = "XTAI" from "XTAI";
    /// Singapore; holidays are known until 2026
    Xses = "XSES" from "XSES";
    /// Sydney
    Xasx = "XASX" from "XASX";
    /// Auckland
    Xnze = "XNZE" from "XNZE";
    /// Mumbai; holidays are known until 2026
    Xbom = "XBOM" from "XBOM";
    /// Johannesburg
    Xjse = "XJSE" from "XJSE";
}

impl CalendarName {
    /// Number of names.
    pub const COUNT: usize = Self::EXCHANGES.len() + 2;

    /// Every name.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::AroundTheClock, Self::Currencies].into_iter().chain(Self::EXCHANGES)
    }

    /// The calendar of this name; its file is read when it is first asked for.
    #[must_use]
    pub fn calendar(self) -> &'static Calendar {
        static READ: [OnceLock<Calendar>; CalendarName::COUNT] = [const { OnceLock::new() }; CalendarName::COUNT];
        static ALWAYS: Calendar = Calendar::AROUND_THE_CLOCK;
        match self {
            Self::AroundTheClock => &ALWAYS,
            name => READ.get(name as usize).map_or(&ALWAYS, |read| read.get_or_init(|| Calendar::of_file(name.file()))),
        }
    }
}

impl std::fmt::Display for CalendarName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<CalendarName> for &'static str {
    fn from(name: CalendarName) -> Self {
        name.as_str()
    }
}

impl std::str::FromStr for CalendarName {
    type Err = CalendarNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all().find(|name| name.as_str() == text).ok_or_else(|| CalendarNameError(text.to_owned()))
    }
}

impl TryFrom<String> for CalendarName {
    type Error = CalendarNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::table::Table;
    use super::*;

    /// Every file can be read: a calendar that cannot is never open.
    #[test]
    fn all_files_are_read() {
        for name in CalendarName::all().filter(|name| *name != CalendarName::AroundTheClock) {
            Table::read(name.file()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn names_survive_the_round_trip_and_others_are_refused_with_the_list() {
        assert_eq!(CalendarName::all().count(), CalendarName::COUNT);
        for name in CalendarName::all() {
            let text = serde_json::to_string(&name).unwrap();
            assert_eq!(text, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<CalendarName>(&text).unwrap(), name);
        }
        assert_eq!(CalendarName::default().as_str(), "24x7");
        for wrong in ["", "xnys", "NYSE", "24/7"] {
            let error = serde_json::from_str::<CalendarName>(&format!("\"{wrong}\"")).unwrap_err().to_string();
            for part in [format!("'{wrong}' is no calendar"), "24x7, FX24x5".into(), "XNYS, XNAS".into(), "XJSE".into()] {
                assert!(error.contains(&part), "{error}");
            }
        }
    }
}
