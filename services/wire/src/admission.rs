//! What of a feed is taken: one pure rule for every process that reads bars, and for a replay.
//!
//! A bar that no market produces, or that contradicts the bars before it, is quarantined by name and the feed goes on
//! (ruling 19, cases D4, D5, D14). The outcome is a function of the messages in the order of the stream and of the
//! instants at which the stream received them, which are kept with the messages; two processes that read one stream
//! therefore always take the same bars.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::time::{NANOS_PER_DAY, Nanos};

use crate::bus::FeedKind;
use crate::v1;

/// An event this far ahead of the arrival clock is quarantined, unless the feed is a replay (ruling 18).
pub const MAX_LEAD: i64 = 5_000_000_000;
/// Largest volume of a bar. Sums over any number of bars that a window holds stay far below what features refuse.
pub const MAX_VOLUME: f64 = 1e18;
/// Largest price, ticks: a price times ten thousand basis points still fits 64 bits.
pub const MAX_TICKS: i64 = 100_000_000_000_000;
/// Longest interval of a bar.
const MAX_INTERVAL: i64 = 366 * NANOS_PER_DAY;
/// Silence of a symbol after which one bar alone is not believed: the bar behind it must confirm it.
const MAX_SILENCE: i64 = 32 * NANOS_PER_DAY;
/// Bars of a symbol that are remembered to tell a repeated bar from a rewritten one.
pub const REMEMBERED: usize = 64;
/// A recording in single precision is off the grid by at most this share of the price (2^-24); see [`on_grid`].
const SINGLE_PRECISION: i128 = 1 << 24;

/// Why a message of a feed is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The payload is no bar.
    NotABar,
    /// The bar came on the subject of another symbol.
    Subject,
    /// A price is below one tick or beyond [`MAX_TICKS`].
    Price,
    /// A price lies between two ticks.
    Grid,
    /// High and low do not enclose open and close.
    Range,
    /// The volume is negative, not a number or beyond [`MAX_VOLUME`].
    Volume,
    /// The bar does not close after it opens, or is longer than a year.
    Interval,
    /// The number was used before, by a bar that is not remembered, or goes backwards.
    Index,
    /// The number was used before, by a bar with other figures.
    Rewritten,
    /// The bar does not close after the one before it.
    Time,
    /// The bar lies further ahead than the bars in between have time for, and none has confirmed it yet.
    Jump,
    /// The bar closes later than the clock of its arrival allows.
    Early,
    /// A service refused the bar for good.
    Refused,
    /// A service refused the trade that came of the bar for good.
    TradeRefused,
    /// The spec no longer allows the trade that came of the bar.
    TradeWithheld,
}

impl Reason {
    /// The reason as metrics and messages name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotABar => "not_a_bar",
            Self::Subject => "wrong_subject",
            Self::Price => "price",
            Self::Grid => "off_grid",
            Self::Range => "range",
            Self::Volume => "volume",
            Self::Interval => "interval",
            Self::Index => "index",
            Self::Rewritten => "rewritten",
            Self::Time => "time_order",
            Self::Jump => "jump",
            Self::Early => "ahead_of_clock",
            Self::Refused => "refused",
            Self::TradeRefused => "trade_refused",
            Self::TradeWithheld => "trade_withheld",
        }
    }
}

/// A message that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Sequence in the stream.
    pub sequence: u64,
    /// Symbol as the message names it; what was found instead for a message that is no bar.
    pub symbol: String,
    /// Number of the bar as the message names it.
    pub index: u64,
    /// Why.
    pub reason: Reason,
    /// Value seen.
    pub value: String,
    /// Value allowed.
    pub limit: String,
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, symbol, index, reason, value, limit } = self;
        write!(f, "{symbol}/{index} at sequence {sequence}: {}: {value}, allowed is {limit}", reason.code())
    }
}

/// What is wrong with a bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub reason: Reason,
    /// Value seen.
    pub value: String,
    /// Value allowed.
    pub limit: String,
}

impl Fault {
    fn new(reason: Reason, value: impl Into<String>, limit: impl Into<String>) -> Self {
        Self { reason, value: value.into(), limit: limit.into() }
    }

    /// The fault with the bar that has it.
    #[must_use]
    pub fn of(self, sequence: u64, message: &v1::Bar) -> Quarantined {
        let Self { reason, value, limit } = self;
        // A symbol comes from outside and is shown to people: its length is bounded here.
        let symbol = message.symbol.chars().take(32).collect();
        Quarantined { sequence, symbol, index: message.index, reason, value, limit }
    }
}

/// A bar that is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Its symbol.
    pub symbol: Symbol,
    /// The bar, in ticks.
    pub bar: Bar,
    /// Numbers between the bar before it and this one that did not come.
    pub missing: u64,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// It is about an instrument that is not followed.
    Other,
    /// It repeats a remembered bar unchanged: ignored.
    Duplicate {
        /// Symbol of the bar.
        symbol: Symbol,
        /// Its number.
        index: u64,
    },
    /// It is the next bar of its symbol.
    Taken(Taken),
    /// It is not taken.
    Quarantined(Quarantined),
}

/// The gate through which a process takes the bars of a feed, in the order of the stream.
#[derive(Clone, Debug)]
pub struct Admission {
    kind: FeedKind,
    gates: BTreeMap<Symbol, Gate>,
}

#[derive(Clone, Debug)]
struct Gate {
    instrument: Instrument,
    /// The newest bars that were taken, oldest first.
    recent: VecDeque<Bar>,
    /// A bar that lies too far ahead and waits for the next one to confirm it.
    suspect: Option<Bar>,
}

impl Admission {
    /// A gate that has seen nothing yet.
    #[must_use]
    pub fn new(kind: FeedKind, instruments: impl IntoIterator<Item = Instrument>) -> Self {
        let gate = |instrument: Instrument| Gate { instrument, recent: VecDeque::new(), suspect: None };
        Self { kind, gates: instruments.into_iter().map(|one| (one.symbol.clone(), gate(one))).collect() }
    }

    /// Takes an instrument up that it does not know yet; one that it knows stays as it is.
    pub fn list(&mut self, instrument: Instrument) {
        let fresh = Gate { instrument: instrument.clone(), recent: VecDeque::new(), suspect: None };
        self.gates.entry(instrument.symbol).or_insert(fresh);
    }

    /// Remembers a bar that was taken before, oldest first: how a restarted process goes on.
    pub fn remember(&mut self, symbol: &Symbol, bar: &Bar) {
        if let Some(gate) = self.gates.get_mut(symbol) {
            gate.remember(*bar);
        }
    }

    /// Forgets the bars of a symbol, whose past is to be read again from its beginning.
    pub fn forget(&mut self, symbol: &Symbol) {
        if let Some(gate) = self.gates.get_mut(symbol) {
            gate.recent.clear();
            gate.suspect = None;
        }
    }

    /// Judges the next message of the stream, which arrived there at `arrived`.
    pub fn admit(&mut self, sequence: u64, message: &v1::Bar, arrived: Nanos) -> Admitted {
        let Ok(symbol) = Symbol::try_from(message.symbol.clone()) else { return Admitted::Other };
        let Some(gate) = self.gates.get_mut(&symbol) else { return Admitted::Other };
        let judged = check_figures(message, &gate.instrument)
            .and_then(|bar| in_time(&bar, self.kind, arrived).map(|()| bar))
            .and_then(|bar| gate.place(bar));
        match judged {
            Ok(Some((bar, missing))) => Admitted::Taken(Taken { symbol, bar, missing }),
            Ok(None) => Admitted::Duplicate { symbol, index: message.index },
            Err(fault) => Admitted::Quarantined(fault.of(sequence, message)),
        }
    }
}

impl Gate {
    fn remember(&mut self, bar: Bar) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(bar);
        self.suspect = None;
    }

    /// The bar and how many were left out before it; `None` for one that is known.
    fn place(&mut self, bar: Bar) -> Result<Option<(Bar, u64)>, Fault> {
        let Some(last) = self.recent.back().copied() else {
            self.remember(bar);
            return Ok(Some((bar, 0)));
        };
        if bar.index <= last.index {
            return match self.recent.iter().find(|known| known.index == bar.index) {
                Some(known) if *known == bar => Ok(None),
                Some(_) => {
                    let value = format!("bar {} with other figures", bar.index);
                    Err(Fault::new(Reason::Rewritten, value, "the same figures for the same number"))
                }
                None => Err(Fault::new(Reason::Index, bar.index.to_string(), format!("above {}", last.index))),
            };
        }
        if bar.close_time <= last.close_time {
            let limit = format!("after {} ns", last.close_time.0);
            return Err(Fault::new(Reason::Time, format!("closes at {} ns", bar.close_time.0), limit));
        }
        if let Err(fault) = follows(&last, &bar) {
            // One bar alone could carry the feed so far ahead that nothing would follow it any more.
            let confirmed = self.suspect.is_some_and(|suspect| {
                bar.index > suspect.index && bar.close_time > suspect.close_time && follows(&suspect, &bar).is_ok()
            });
            if !confirmed {
                self.suspect = Some(bar);
                return Err(fault);
            }
        }
        self.remember(bar);
        Ok(Some((bar, bar.index - last.index - 1)))
    }
}

/// Whether a bar lies where a bar after `last` may lie: not further in time than [`MAX_SILENCE`], and not so many numbers
/// ahead that the bars left out would not have fitted in between.
fn follows(last: &Bar, bar: &Bar) -> Result<(), Fault> {
    let length = |bar: &Bar| i128::from(bar.close_time.0) - i128::from(bar.open_time.0);
    let interval = length(last).min(length(bar)).max(1);
    let step = i128::from(bar.close_time.0) - i128::from(last.close_time.0);
    let longest = i128::from(MAX_SILENCE).max(4 * interval);
    if step > longest {
        let value = format!("{step} ns after the bar before it");
        return Err(Fault::new(Reason::Jump, value, format!("at most {longest} ns, or a next bar that confirms it")));
    }
    // One number of slack: days that a clock change shortens.
    let fitting = step / interval + 1;
    let numbers = bar.index - last.index;
    if i128::from(numbers) > fitting {
        let value = format!("{numbers} numbers ahead");
        return Err(Fault::new(
            Reason::Jump,
            value,
            format!("at most {fitting} in the time since, or a next bar that confirms it"),
        ));
    }
    Ok(())
}

fn in_time(bar: &Bar, kind: FeedKind, arrived: Nanos) -> Result<(), Fault> {
    let lead = bar.close_time.since(arrived);
    if kind == FeedKind::Replay || lead <= MAX_LEAD {
        return Ok(());
    }
    Err(Fault::new(Reason::Early, format!("closes {lead} ns after its arrival"), format!("at most {MAX_LEAD} ns")))
}

/// The bar in ticks, when its figures are such as a market produces; it says nothing about the bars before it.
///
/// # Errors
/// The first [`Fault`].
pub fn check_figures(message: &v1::Bar, instrument: &Instrument) -> Result<Bar, Fault> {
    if !(0.0..=MAX_VOLUME).contains(&message.volume) {
        return Err(Fault::new(Reason::Volume, message.volume.to_string(), format!("0 to {MAX_VOLUME}")));
    }
    let price = |name: &str, nanos: i64| {
        on_grid(nanos, instrument).map_err(|fault| Fault { value: format!("{name} {}", fault.value), ..fault })
    };
    let (open, high) = (price("open", message.open_nanos)?, price("high", message.high_nanos)?);
    let (low, close) = (price("low", message.low_nanos)?, price("close", message.close_nanos)?);
    if low > open.min(close) || high < open.max(close) {
        let amount = |price: i64| Money::from_nanos(price.into());
        let value = format!("low {} and high {}", amount(message.low_nanos), amount(message.high_nanos));
        let limit = format!("enclosing open {} and close {}", amount(message.open_nanos), amount(message.close_nanos));
        return Err(Fault::new(Reason::Range, value, limit));
    }
    let length = i128::from(message.close_time_ns) - i128::from(message.open_time_ns);
    if !(1..=i128::from(MAX_INTERVAL)).contains(&length) {
        let value = format!("closes {length} ns after it opens");
        return Err(Fault::new(Reason::Interval, value, format!("1 to {MAX_INTERVAL} ns")));
    }
    let (open_time, close_time) = (Nanos(message.open_time_ns), Nanos(message.close_time_ns));
    Ok(Bar { index: message.index, open_time, close_time, open, high, low, close, volume: message.volume })
}

/// The tick of a price. Recordings in single precision are a little off (1229.22998 for 1229.23): what lies within that
/// noise, or within a millionth of a tick, is rounded; anything else has no place on the grid.
fn on_grid(nanos: i64, instrument: &Instrument) -> Result<Ticks, Fault> {
    let (tick, price) = (instrument.tick.nanos(), i128::from(nanos));
    let ticks = instrument.ticks_from_nanos(nanos);
    let shown = || Money::from_nanos(price).to_string();
    if !(1..=MAX_TICKS).contains(&ticks.0) {
        let limit = format!("{} to {}", instrument.tick, Money::from_nanos(tick.saturating_mul(MAX_TICKS.into())));
        return Err(Fault::new(Reason::Price, shown(), limit));
    }
    let off = (i128::from(ticks.0) * tick - price).abs();
    // Half a nano for the ninth decimal, which a recording rounds.
    let noise = (price / SINGLE_PRECISION + 1).max(tick / 1_000_000);
    if off > noise {
        return Err(Fault::new(Reason::Grid, shown(), format!("a multiple of the tick {}", instrument.tick)));
    }
    Ok(ticks)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const DAY: i64 = NANOS_PER_DAY;
    /// Long after all bars of these tests.
    const LATER: Nanos = Nanos(100_000 * DAY);

    fn instrument() -> Instrument {
        let amount = |text: &str| text.parse::<Money>().unwrap();
        Instrument::new("SPX".to_owned().try_into().unwrap(), amount("0.01"), amount("1"), amount("1")).unwrap()
    }

    fn bar(index: u64) -> v1::Bar {
        v1::Bar {
            symbol: "SPX".into(),
            index,
            open_time_ns: index as i64 * DAY,
            close_time_ns: (index as i64 + 1) * DAY,
            open_nanos: 1_229_229_980_000,
            high_nanos: 1_248_810_059_000,
            low_nanos: 1_219_099_976_000,
            close_nanos: 1_228_099_976_000 + index as i64 * 10_000_000,
            volume: 877_000_000.0,
        }
    }

    fn gate(kind: FeedKind) -> Admission {
        Admission::new(kind, [instrument()])
    }

    fn taken(admitted: Admitted) -> (u64, u64) {
        let Admitted::Taken(taken) = admitted else { panic!("{admitted:?}") };
        (taken.bar.index, taken.missing)
    }

    fn refused(admitted: Admitted) -> Quarantined {
        let Admitted::Quarantined(quarantined) = admitted else { panic!("{admitted:?}") };
        quarantined
    }

    /// D4, D5: each impossible figure has its reason, value and limit, and the bar behind it is taken.
    #[test]
    fn impossible_bars_are_quarantined_by_name() {
        let wrong = [
            (v1::Bar { volume: 2.5e27, ..bar(1) }, Reason::Volume, "2500000000000000000000000000"),
            (v1::Bar { volume: f64::NAN, ..bar(1) }, Reason::Volume, "NaN"),
            (v1::Bar { volume: f64::INFINITY, ..bar(1) }, Reason::Volume, "inf"),
            (v1::Bar { volume: -1.0, ..bar(1) }, Reason::Volume, "-1"),
            (v1::Bar { low_nanos: 4_500_000, ..bar(1) }, Reason::Price, "low 0.0045"),
            (v1::Bar { low_nanos: 0, ..bar(1) }, Reason::Price, "low 0"),
            (v1::Bar { low_nanos: i64::MIN, ..bar(1) }, Reason::Price, "low -9223372036.854775808"),
            (v1::Bar { open_nanos: 1_229_234_000_000, ..bar(1) }, Reason::Grid, "open 1229.234"),
            (v1::Bar { high_nanos: 1_220_000_000_000, ..bar(1) }, Reason::Range, "low 1219.099976 and high 1220"),
            (v1::Bar { close_time_ns: DAY, ..bar(1) }, Reason::Interval, "closes 0 ns after it opens"),
            (v1::Bar { open_time_ns: i64::MIN, ..bar(1) }, Reason::Interval, "closes 9223544836854775808 ns"),
        ];
        for (message, reason, value) in wrong {
            let mut gate = gate(FeedKind::Live);
            assert_eq!(taken(gate.admit(1, &bar(0), LATER)), (0, 0));
            let found = refused(gate.admit(2, &message, LATER));
            assert_eq!((found.reason, found.sequence, found.index), (reason, 2, 1), "{found}");
            assert!(found.value.contains(value) && !found.limit.is_empty(), "{found}");
            assert_eq!(taken(gate.admit(3, &bar(2), LATER)), (2, 1), "{found}");
        }
    }

    #[test]
    fn a_price_beyond_what_is_exact_is_refused() {
        let fine = Instrument { tick: Money::from_nanos(1), ..instrument() };
        let huge = check_figures(&v1::Bar { high_nanos: i64::MAX, ..bar(0) }, &fine).unwrap_err();
        assert_eq!(huge.reason, Reason::Price);
        assert!(check_figures(&bar(0), &fine).is_ok());
    }

    /// D6: recordings in single or double precision are read, rounded to the tick.
    #[test]
    fn the_noise_of_floats_is_rounded() {
        for (nanos, ticks) in [(1_229_229_980_000, 122_923), (2_066_620_117_000, 206_662), (4_810_000_000, 481)] {
            assert_eq!(on_grid(nanos, &instrument()), Ok(Ticks(ticks)));
        }
        for nanos in [1_229_231_000_000, 4_811_000_000, 4_810_001_000] {
            assert_eq!(on_grid(nanos, &instrument()).unwrap_err().reason, Reason::Grid, "{nanos}");
        }
    }

    /// D14: a bar that comes twice is ignored, one that was rewritten is not believed.
    #[test]
    fn repeated_bars_are_ignored_and_rewritten_ones_refused() {
        let mut gate = gate(FeedKind::Live);
        (0..100).for_each(|index| assert_eq!(taken(gate.admit(index + 1, &bar(index), LATER)), (index, 0)));
        for index in [99, 60, 36] {
            let symbol = instrument().symbol;
            assert_eq!(gate.admit(101, &bar(index), LATER), Admitted::Duplicate { symbol, index });
        }
        assert_eq!(refused(gate.admit(101, &bar(35), LATER)).reason, Reason::Index, "too long ago to be compared");
        assert_eq!(refused(gate.admit(101, &v1::Bar { volume: 1.0, ..bar(99) }, LATER)).reason, Reason::Rewritten);
        let early = v1::Bar { open_time_ns: 97 * DAY, close_time_ns: 98 * DAY, ..bar(100) };
        assert_eq!(refused(gate.admit(101, &early, LATER)).reason, Reason::Time);
        assert_eq!(taken(gate.admit(102, &bar(100), LATER)), (100, 0));
    }

    /// D14: numbers that are missing are a gap, told with the bar behind it.
    #[test]
    fn a_gap_goes_on() {
        let mut gate = gate(FeedKind::Live);
        gate.admit(1, &bar(0), LATER);
        assert_eq!(taken(gate.admit(5, &bar(4), LATER)), (4, 3));
        assert_eq!(taken(gate.admit(6, &bar(5), LATER)), (5, 0));
    }

    /// One bar far ahead cannot end a feed, and a feed that really went on far ahead is followed.
    #[test]
    fn a_jump_needs_a_second_bar() {
        let at = |index: u64, day: i64| v1::Bar { open_time_ns: day * DAY, close_time_ns: (day + 1) * DAY, ..bar(index) };
        for wrong in [at(1, 4_000), at(u64::MAX, 1), at(500, 2)] {
            let mut gate = gate(FeedKind::Replay);
            gate.admit(1, &bar(0), LATER);
            assert_eq!(refused(gate.admit(2, &wrong, LATER)).reason, Reason::Jump, "{wrong:?}");
            assert_eq!(taken(gate.admit(3, &bar(1), LATER)), (1, 0), "{wrong:?}");
        }
        let mut gate = gate(FeedKind::Replay);
        gate.admit(1, &bar(0), LATER);
        assert_eq!(refused(gate.admit(2, &at(1, 400), LATER)).reason, Reason::Jump);
        assert_eq!(taken(gate.admit(3, &at(2, 401), LATER)), (2, 1));
        assert_eq!(taken(gate.admit(4, &at(3, 402), LATER)), (3, 0));
    }

    /// Ruling 18.
    #[test]
    fn a_bar_ahead_of_its_arrival_is_refused_unless_the_feed_is_a_replay() {
        let close = bar(0).close_time_ns;
        for (kind, arrived, fine) in [
            (FeedKind::Live, close - MAX_LEAD, true),
            (FeedKind::Live, close - MAX_LEAD - 1, false),
            (FeedKind::Replay, close - MAX_LEAD - 1, true),
            (FeedKind::Live, i64::MIN, false),
        ] {
            let admitted = gate(kind).admit(1, &bar(0), Nanos(arrived));
            assert_eq!(matches!(admitted, Admitted::Taken(_)), fine, "{admitted:?}");
            assert!(fine || refused(admitted).reason == Reason::Early);
        }
    }

    #[test]
    fn a_restarted_gate_goes_on_and_other_symbols_pass_by() {
        let (mut lived, mut restarted) = (gate(FeedKind::Live), gate(FeedKind::Live));
        for index in 0..10 {
            let Admitted::Taken(taken) = lived.admit(index + 1, &bar(index), LATER) else { panic!() };
            restarted.remember(&taken.symbol, &taken.bar);
        }
        for message in [bar(9), bar(3), bar(12), v1::Bar { symbol: "DAX".into(), ..bar(9) }, v1::Bar::default()] {
            assert_eq!(restarted.admit(11, &message, LATER), lived.admit(11, &message, LATER));
        }
        restarted.forget(&instrument().symbol);
        assert_eq!(taken(restarted.admit(1, &bar(0), LATER)), (0, 0));
    }
}
