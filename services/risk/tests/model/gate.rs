//! The gate as the specification has it: what an order is answered, and what stops latch.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{Book, Working};
use super::calls::{Ack, Bar, Call, Code, Epoch, Fill, Kind, Leaves, Limits, Listing, Order, Profile, Verdict};

const MINUTE: i64 = 60_000_000_000;
/// Sizes and prices beyond these have no form: no market knows them, and products of them would not fit.
const MOST_LOTS: i64 = 1_000_000_000_000;
const MOST_TICKS: i64 = 1_000_000_000_000_000;
/// Orders that may wait to reduce one position.
const MOST_REDUCING: usize = 32;
/// Refusals of a policy in a minute that are kept.
const MOST_REFUSALS: usize = 600;

/// What an id stands for.
type Content = (String, String, i64, Kind, bool);

/// The model of one account's gate.
#[derive(Clone, Debug)]
pub struct Model {
    account: String,
    book: Book,
    limits: Option<Limits>,
    gone: bool,
    halt: Option<Leaves>,
    breaker: bool,
    daily_loss: bool,
    session: Option<i64>,
    session_start: i128,
    high: i128,
    owners: BTreeSet<String>,
    seen: BTreeMap<String, (Content, Verdict)>,
    counted: Vec<i64>,
    refused: BTreeMap<String, Vec<i64>>,
    clock: i64,
}

impl Model {
    /// A gate that has seen no profile and no bar.
    #[must_use]
    pub fn new(account: &str, starting_equity: i128, listings: &[Listing]) -> Self {
        Self {
            account: account.to_owned(),
            book: Book::new(starting_equity, listings),
            limits: None,
            gone: false,
            halt: None,
            breaker: false,
            daily_loss: false,
            session: None,
            session_start: starting_equity,
            high: starting_equity,
            owners: BTreeSet::new(),
            seen: BTreeMap::new(),
            counted: Vec::new(),
            refused: BTreeMap::new(),
            clock: i64::MIN,
        }
    }

    /// Makes a call that needs nothing from a venue; the verdict of an order.
    pub fn apply(&mut self, call: &Call) -> Option<Verdict> {
        match call {
            Call::Profile(profile) => self.profile(profile),
            Call::ProfileGone => self.profile_gone(),
            Call::HaltNow(leaves) => self.halt_now(*leaves),
            Call::Acquire(policy) => self.acquire(policy),
            Call::Bar(bar) => {
                self.bar(bar, &[]);
            }
            Call::Order(order) => return Some(self.order(order)),
            Call::Cancel(id) => self.ended(id),
            Call::Fill(fill) => {
                self.fills(std::slice::from_ref(fill));
            }
        }
        None
    }

    /// The profile is read. Tighter limits, a halt and acknowledgements act at once; looser limits do not (design 2.4).
    pub fn profile(&mut self, profile: &Profile) {
        if let Some(leaves) = profile.halt {
            self.halt_now(leaves);
        }
        if profile.broken {
            return;
        }
        self.gone = false;
        self.limits = Some(self.limits.map_or(profile.limits, |in_force| tighter(&in_force, &profile.limits)));
        if profile.halt.is_none() && profile.halt_ack == Ack::Standing {
            self.halt = None;
        }
        if self.breaker && profile.breaker_ack == Ack::Standing {
            self.breaker = false;
            self.high = self.book.equity();
        }
        self.watch();
    }

    /// The profile is deleted: only reduction until it is back.
    pub const fn profile_gone(&mut self) {
        self.gone = self.limits.is_some();
    }

    /// A halt, by whichever way it came: it stands until its id is acknowledged.
    pub fn halt_now(&mut self, leaves: Leaves) {
        self.halt = Some(self.halt.map_or(leaves, |standing| standing.max(leaves)));
    }

    /// A new process of the policy takes its epoch; the one before has lost it.
    pub fn acquire(&mut self, policy: &str) {
        self.owners.insert(policy.to_owned());
    }

    /// A bar with the fills that it brings. False when the bar is not newer than the one before (D14), or a fill is of
    /// no working order.
    pub fn bar(&mut self, bar: &Bar, fills: &[Fill]) -> bool {
        self.clock = self.clock.max(bar.at);
        let newer = self.book.mark(&bar.symbol).is_none_or(|mark| bar.close_time > mark.close_time);
        if !newer || self.book.listing(&bar.symbol).is_none() {
            return false;
        }
        if self.session.is_none_or(|session| bar.session > session) {
            self.session = Some(bar.session);
            self.session_start = self.book.equity();
            self.daily_loss = false;
        }
        let booked = self.book_all(fills);
        self.book.set_mark(bar);
        self.high = self.high.max(self.book.equity());
        self.watch();
        booked
    }

    /// Fills outside of a bar. False when one is of no working order.
    pub fn fills(&mut self, fills: &[Fill]) -> bool {
        let booked = self.book_all(fills);
        self.watch();
        booked
    }

    fn book_all(&mut self, fills: &[Fill]) -> bool {
        let unknown = fills.iter().filter(|fill| !self.book.fill(fill)).count();
        unknown == 0
    }

    /// The venue says that an order is done without being filled.
    pub fn ended(&mut self, id: &str) {
        self.book.end(id);
    }

    /// Looks at the losses; what has fired stays (ruling 17).
    fn watch(&mut self) {
        let Some(limits) = self.limits else { return };
        let equity = self.book.equity();
        self.breaker |= beyond_share(Some(self.high.saturating_sub(equity)), self.high, limits.drawdown_bps);
        let loss = self.session_start.saturating_sub(equity);
        self.daily_loss |= beyond_share(Some(loss), self.session_start, limits.daily_loss_bps);
    }

    /// An order arrives.
    pub fn order(&mut self, order: &Order) -> Verdict {
        self.clock = self.clock.max(order.at);
        if order.account != self.account {
            return Verdict::only(Code::UnknownAccount);
        }
        if order.epoch != Epoch::Standing || !self.owners.contains(&order.policy) {
            return Verdict::only(Code::StaleEpoch);
        }
        if let Some(code) = malformed(order) {
            return Verdict::only(code);
        }
        let content = (order.policy.clone(), order.symbol.clone(), order.lots, order.kind, order.reduce_only);
        if let Some((known, verdict)) = self.seen.get(&order.id) {
            return if *known == content { verdict.clone() } else { Verdict::only(Code::IdReused) };
        }
        if self.book.listing(&order.symbol).is_none_or(|listing| listing.policy != order.policy) {
            return Verdict::only(Code::UnknownInstrument);
        }
        if self.book.mark(&order.symbol).is_none() {
            return Verdict::only(Code::NoMark);
        }
        let verdict = self.judge(order);
        let refused = self.refused.entry(order.policy.clone()).or_default();
        refused.retain(|at| self.clock - at < MINUTE);
        if !verdict.accepted() && refused.len() >= MOST_REFUSALS {
            return verdict;
        }
        if !verdict.accepted() {
            refused.push(self.clock);
        }
        self.seen.insert(order.id.clone(), (content, verdict.clone()));
        if verdict.accepted() {
            let price = self.priced(order).unwrap_or(0);
            let (symbol, lots, reduce_only) = (order.symbol.clone(), i128::from(order.lots), order.reduce_only);
            self.book.work(&order.id, Working { symbol, lots, price, reduce_only });
            self.counted.retain(|at| self.clock - at < MINUTE);
            self.counted.push(self.clock);
        }
        verdict
    }

    fn judge(&self, order: &Order) -> Verdict {
        let Some(limits) = self.limits.filter(|_| self.halt != Some(Leaves::Nothing)) else {
            let claims = self.claims(order).into_iter().filter(|_| !order.reduce_only);
            return Verdict(claims.chain([Code::Halted]).collect());
        };
        if order.reduce_only {
            let after = self.book.lots(&order.symbol) + i128::from(order.lots);
            let held = self.book.lots(&order.symbol);
            // EX-118: nearer to flat, or flat, and never through it.
            let reduces = after.abs() < held.abs() && after.signum() * held.signum() >= 0;
            if !reduces {
                return Verdict::only(Code::NotReducing);
            }
            let waits = self.book.working().values().filter(|one| one.reduce_only && one.symbol == order.symbol).count();
            return if waits < MOST_REDUCING { Verdict::default() } else { Verdict::only(Code::ReducingOrders) };
        }
        let reasons = [
            (self.halt.is_some() || self.gone, Code::Halted),
            (self.breaker, Code::DrawdownBreaker),
            (self.daily_loss, Code::DailyLoss),
            (self.stale(order, &limits), Code::DataAge),
            (self.off_the_mark(order, &limits), Code::PriceCollar),
            (self.minute() >= limits.per_minute, Code::OrderRate),
        ];
        let mut verdict = Verdict(reasons.into_iter().filter(|(is_so, _)| *is_so).map(|(_, code)| code).collect());
        verdict.0.extend(self.claims(order));
        self.sizes(order, &limits, &mut verdict);
        verdict
    }

    /// What the sender says that cannot be.
    fn claims(&self, order: &Order) -> Option<Code> {
        if order.said_mark < 0 {
            return Some(Code::OrderInvalid);
        }
        let is_ahead = self.book.mark(&order.symbol).is_none_or(|mark| order.said_time > mark.close_time);
        is_ahead.then_some(Code::DataAhead)
    }

    /// Ruling 23: the age counts from the close that is due; from that of an older bar when the sender decided on one.
    fn stale(&self, order: &Order, limits: &Limits) -> bool {
        let (Some(mark), Some(listing)) = (self.book.mark(&order.symbol), self.book.listing(&order.symbol)) else {
            return true;
        };
        let decided_on = if order.said_time > 0 { order.said_time.min(mark.close_time) } else { mark.close_time };
        let due = i128::from(decided_on) + i128::from(listing.interval);
        i128::from(self.clock) - due > i128::from(limits.data_age)
    }

    fn off_the_mark(&self, order: &Order, limits: &Limits) -> bool {
        let (Some(mark), Kind::Limit(price)) = (self.book.mark(&order.symbol), order.kind) else { return true };
        let (mark, price) = (i128::from(mark.price), i128::from(price));
        beyond_share(Some((price - mark).abs()), mark, limits.collar_bps)
    }

    /// Accepted orders of the minute that ends now.
    fn minute(&self) -> i64 {
        let within = self.counted.iter().filter(|at| self.clock - **at < MINUTE).count();
        i64::try_from(within).unwrap_or(i64::MAX)
    }

    fn sizes(&self, order: &Order, limits: &Limits, verdict: &mut Verdict) {
        let (lots, symbol) = (i128::from(order.lots), &order.symbol);
        let price = self.priced(order).unwrap_or(i128::MAX);
        if beyond(self.book.value(symbol, lots, price), limits.order) {
            verdict.0.insert(Code::OrderNotional);
        }
        let dearest = self.book.dearest(symbol).map_or(price, |dearest| dearest.max(price));
        let position = self.book.value(symbol, self.book.worst_lots(symbol, lots), dearest);
        if beyond(position, limits.position) {
            verdict.0.insert(Code::PositionNotional);
        }
        let gross = position.zip(self.book.others(symbol)).and_then(|(position, others)| position.checked_add(others));
        if beyond_share(gross, self.book.equity(), limits.gross_bps) {
            verdict.0.insert(Code::GrossExposure);
        }
    }

    /// The worse of an order's own price and the mark, ticks; `None` without a mark.
    fn priced(&self, order: &Order) -> Option<i128> {
        let mark = i128::from(self.book.mark(&order.symbol)?.price);
        Some(order.kind.price().map_or(mark, |price| mark.max(i128::from(price))))
    }

    /// What is held and what works.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Limits in force; `None` before the first profile.
    #[must_use]
    pub const fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// The halt that stands.
    #[must_use]
    pub const fn halt(&self) -> Option<Leaves> {
        self.halt
    }

    /// Whether the drawdown breaker has fired and is not acknowledged.
    #[must_use]
    pub const fn breaker(&self) -> bool {
        self.breaker
    }

    /// Whether the loss of the session has reached beyond its limit.
    #[must_use]
    pub const fn daily_loss(&self) -> bool {
        self.daily_loss
    }

    /// Whether the profile is deleted.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.gone
    }
}

/// What is wrong with an order whoever sends it, and whatever the account holds.
fn malformed(order: &Order) -> Option<Code> {
    let is_size = order.lots != 0 && (-MOST_LOTS..=MOST_LOTS).contains(&order.lots);
    if !is_size || order.kind.price().is_some_and(|price| !(1..=MOST_TICKS).contains(&price)) {
        return Some(Code::OrderInvalid);
    }
    if !order.id.strip_prefix(&order.policy).is_some_and(|rest| rest.starts_with('/')) {
        return Some(Code::VenueRefused);
    }
    (!order.reduce_only && !matches!(order.kind, Kind::Limit(_))).then_some(Code::Unpriced)
}

/// Strictly above; what does not fit is above everything.
fn beyond(figure: Option<i128>, limit: i128) -> bool {
    figure.is_none_or(|figure| figure > limit)
}

/// Strictly above a share of a whole; anything above 0 is beyond every share of nothing.
fn beyond_share(part: Option<i128>, whole: i128, bps: i64) -> bool {
    let part = part.and_then(|part| part.checked_mul(10_000));
    let allowed = whole.max(0).checked_mul(i128::from(bps));
    part.zip(allowed).is_none_or(|(part, allowed)| part > allowed)
}

/// One by one the tighter: every limit is a maximum.
fn tighter(a: &Limits, b: &Limits) -> Limits {
    Limits {
        order: a.order.min(b.order),
        position: a.position.min(b.position),
        gross_bps: a.gross_bps.min(b.gross_bps),
        daily_loss_bps: a.daily_loss_bps.min(b.daily_loss_bps),
        drawdown_bps: a.drawdown_bps.min(b.drawdown_bps),
        per_minute: a.per_minute.min(b.per_minute),
        collar_bps: a.collar_bps.min(b.collar_bps),
        data_age: a.data_age.min(b.data_age),
    }
}
