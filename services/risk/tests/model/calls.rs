//! What can happen to a gate, in words of no implementation.

use std::collections::BTreeSet;

/// An instrument as the resources list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The one policy that may trade it.
    pub policy: String,
    /// Its name.
    pub symbol: String,
    /// Smallest price step, nanos.
    pub tick: i128,
    /// Smallest size step, nanos.
    pub lot: i128,
    /// Money per price unit and unit of the instrument, nanos.
    pub point_value: i128,
    /// Length of its bars, nanoseconds.
    pub interval: i64,
}

impl Listing {
    /// Nanos that one lot gains when the price rises by one tick.
    #[must_use]
    pub const fn tick_value(&self) -> i128 {
        self.tick * self.lot * self.point_value / 1_000_000_000_000_000_000
    }
}

/// Every limit of the account; a figure equal to its limit passes (EX-114).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Value of one order, nanos.
    pub order: i128,
    /// Value of the position in one symbol, nanos.
    pub position: i128,
    /// All positions, basis points of equity.
    pub gross_bps: i64,
    /// Loss of the session, basis points of the equity at its start.
    pub daily_loss_bps: i64,
    /// Fall from the high, basis points of it.
    pub drawdown_bps: i64,
    /// Accepted orders in any minute; one that reduces counts and is never refused for it.
    pub per_minute: i64,
    /// Distance of a price from the mark, basis points of the mark.
    pub collar_bps: i64,
    /// Age of the newest bar beyond the close that is due, nanoseconds; whole milliseconds.
    pub data_age: i64,
}

/// What a halt leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaves {
    /// Orders that reduce.
    Reducing,
    /// None.
    Nothing,
}

/// Which id an acknowledgement names; the driver knows the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// None.
    Absent,
    /// The one that stands.
    Standing,
    /// Another than the one that stands: an earlier one, or one that never was.
    Other,
}

/// A generation of the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Limits that it asks for.
    pub limits: Limits,
    /// `spec.halt` with its mode.
    pub halt: Option<Leaves>,
    /// `spec.acknowledgeHalt`.
    pub halt_ack: Ack,
    /// `spec.acknowledgeBreaker`.
    pub breaker_ack: Ack,
    /// The rest is unreadable: only the halt acts.
    pub broken: bool,
}

/// The epoch that an order shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// The one that stands for its policy.
    Standing,
    /// The one before.
    Former,
    /// A number out of the blue: 0 or near the largest.
    Number(u64),
}

/// When an order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At any price.
    Market,
    /// At this price or better.
    Limit(i64),
    /// At any price once this one is reached.
    Stop(i64),
}

impl Kind {
    /// The price that it names, ticks.
    #[must_use]
    pub const fn price(self) -> Option<i64> {
        match self {
            Self::Market => None,
            Self::Limit(price) | Self::Stop(price) => Some(price),
        }
    }
}

/// An order as a sender puts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Account that it names.
    pub account: String,
    /// Policy that it names.
    pub policy: String,
    /// Epoch that it shows.
    pub epoch: Epoch,
    /// Its id.
    pub id: String,
    /// What it trades.
    pub symbol: String,
    /// Signed size.
    pub lots: i64,
    /// When it trades, and at what price.
    pub kind: Kind,
    /// May only reduce.
    pub reduce_only: bool,
    /// The gate's clock when it arrives.
    pub at: i64,
    /// What the sender says about the mark: nobody believes it.
    pub said_mark: i64,
    /// What the sender says about the time of its data, 0 when it says nothing: it makes no data fresher.
    pub said_time: i64,
}

/// A closed bar that the gate's own feed brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Of which symbol.
    pub symbol: String,
    /// When it opened.
    pub open_time: i64,
    /// From when on it is known.
    pub close_time: i64,
    /// First, highest, lowest and last price, ticks.
    pub prices: [i64; 4],
    /// Session of the account's calendar that it belongs to; here the day of UTC in which it closes, never at midnight.
    pub session: i64,
    /// The gate's clock when it arrives.
    pub at: i64,
}

impl Bar {
    /// Last price, ticks.
    #[must_use]
    pub const fn close(&self) -> i64 {
        self.prices[3]
    }
}

/// An execution that the venue reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Order that it fills.
    pub id: String,
    /// Signed size.
    pub lots: i64,
    /// Price, ticks.
    pub price: i64,
    /// Fee, nanos.
    pub fee: i128,
}

/// Something that happens to the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The profile is read.
    Profile(Profile),
    /// The profile is deleted.
    ProfileGone,
    /// The operator halts directly.
    HaltNow(Leaves),
    /// A new execution process of the policy takes its epoch.
    Acquire(String),
    /// A bar arrives.
    Bar(Bar),
    /// An order arrives.
    Order(Order),
    /// The owner of an order cancels it and the venue confirms.
    Cancel(String),
    /// The venue fills outside of a bar; only when the generator is to play the venue.
    Fill(Fill),
}

/// A reason against an order, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Code {
    UnknownAccount,
    StaleEpoch,
    IdReused,
    UnknownInstrument,
    OrderInvalid,
    VenueRefused,
    Unpriced,
    Halted,
    NotReducing,
    ReducingOrders,
    NoMark,
    DrawdownBreaker,
    DailyLoss,
    DataAge,
    DataAhead,
    PriceCollar,
    OrderRate,
    OrderNotional,
    PositionNotional,
    GrossExposure,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::UnknownAccount,
        Self::StaleEpoch,
        Self::IdReused,
        Self::UnknownInstrument,
        Self::OrderInvalid,
        Self::VenueRefused,
        Self::Unpriced,
        Self::Halted,
        Self::NotReducing,
        Self::ReducingOrders,
        Self::NoMark,
        Self::DrawdownBreaker,
        Self::DailyLoss,
        Self::DataAge,
        Self::DataAhead,
        Self::PriceCollar,
        Self::OrderRate,
        Self::OrderNotional,
        Self::PositionNotional,
        Self::GrossExposure,
    ];

    /// As replies name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::StaleEpoch => "stale_epoch",
            Self::IdReused => "id_reused",
            Self::UnknownInstrument => "unknown_instrument",
            Self::OrderInvalid => "order_invalid",
            Self::VenueRefused => "venue_refused",
            Self::Unpriced => "unpriced",
            Self::Halted => "halted",
            Self::NotReducing => "not_reducing",
            Self::ReducingOrders => "reducing_orders",
            Self::NoMark => "no_mark",
            Self::DrawdownBreaker => "drawdown_breaker",
            Self::DailyLoss => "daily_loss",
            Self::DataAge => "data_age",
            Self::DataAhead => "data_ahead",
            Self::PriceCollar => "price_collar",
            Self::OrderRate => "order_rate",
            Self::OrderNotional => "order_notional",
            Self::PositionNotional => "position_notional",
            Self::GrossExposure => "gross_exposure",
        }
    }
}

/// The answer to an order: every reason against it, none when it is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict(pub BTreeSet<Code>);

impl Verdict {
    /// One reason alone.
    #[must_use]
    pub fn only(code: Code) -> Self {
        Self(BTreeSet::from([code]))
    }

    /// Whether the order is accepted.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the reasons, in the order in which they are told.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|code| code.name()).collect()
    }
}
