//! When a market is open: sessions of exchanges by name, with holidays, early closes, pauses and clock changes.
//!
//! Windows, gaps, warm-up, loss limits and rollouts count bars and sessions of the instrument's calendar, never hours
//! of the wall clock or days of UTC. Everything is a function of an instant: no clock is read, time zones come from the
//! database inside the binary, and the calendars of exchanges from `data/`, written once by
//! `tests/oracles/make_calendars.py` from a library that is also their oracle.

mod bars;
mod day;
mod name;
mod session;
mod sessions;
mod table;

pub use name::{CalendarName, CalendarNameError};
pub use session::{Session, SessionId};
pub use sessions::Calendar;
