//! Random calls that go to the edges: sizes around the room that is left, prices around the collar, ages around the
//! limit, ids again, other people's symbols and epochs, and numbers that fit nowhere. The same seed, the same calls.

use std::collections::BTreeMap;

use super::calls::{Ack, Bar, Call, Epoch, Fill, Kind, Leaves, Limits, Listing, Order, Profile};
use super::gate::Model;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const UNIT: i128 = 1_000_000_000;
/// Orders whose ids may come again: fewer than any gate remembers.
const REPEATED: usize = 200;

/// Splitmix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for each seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u128::from(high.abs_diff(low)) + 1;
        let offset = u128::from(self.bits()) % span;
        i64::try_from(i128::from(low) + i128::try_from(offset).unwrap_or(0)).unwrap_or(high)
    }

    /// True in so many of a thousand.
    pub fn in_thousand(&mut self, often: i64) -> bool {
        self.between(0, 999) < often
    }

    /// One of a few numbers.
    pub fn one_of<T: Copy>(&mut self, all: &[T], otherwise: T) -> T {
        self.pick(all).copied().unwrap_or(otherwise)
    }

    /// One of several; `None` of none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let last = i64::try_from(all.len()).ok()?.checked_sub(1).filter(|last| *last >= 0)?;
        all.get(usize::try_from(self.between(0, last)).ok()?)
    }
}

/// What the generator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Plays the venue: fills outside of bars. Not when the gate under test has a venue of its own.
    pub fills: bool,
    /// Orders that may open and have no limit price.
    pub naked: bool,
    /// A recorded feed: the gate's clock is that of the newest bar, whichever symbol it is of.
    pub recorded: bool,
}

/// An account to try the gate with, and calls for it.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    options: Options,
    listings: Vec<Listing>,
    limits: Limits,
    starting_equity: i128,
    opening: Vec<Call>,
    walk: BTreeMap<String, i64>,
    newest: BTreeMap<String, Bar>,
    recent: Vec<Order>,
    orders: u64,
    clock: i64,
}

impl Generator {
    /// Name of the account.
    pub const ACCOUNT: &'static str = "paper-1";
    /// The policies of the account.
    pub const POLICIES: [&'static str; 2] = ["indices", "metals"];

    /// An account drawn from the seed: two policies, four symbols, of which one may never get a bar.
    #[must_use]
    pub fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let make = |policy: &str, symbol: &str, [tick, lot, point_value]: [i128; 3], minutes: i64| Listing {
            policy: policy.to_owned(),
            symbol: symbol.to_owned(),
            tick,
            lot,
            point_value,
            interval: minutes * 60 * SECOND,
        };
        let listings = vec![
            make("indices", "SPX", [UNIT, UNIT, UNIT], 1),
            make("indices", "ES", [UNIT / 4, UNIT, 5 * UNIT], 1),
            make("metals", "XAU", [UNIT / 100, UNIT, 10 * UNIT], 5),
            make("metals", "XAG", [UNIT / 1_000, UNIT / 100, UNIT * 5], 1),
        ];
        let limits = Limits {
            order: i128::from(random.between(50_000, 400_000)) * UNIT,
            position: i128::from(random.between(200_000, 800_000)) * UNIT,
            gross_bps: random.between(5_000, 20_000),
            daily_loss_bps: random.between(100, 500),
            drawdown_bps: random.between(100, 500),
            per_minute: random.between(3, 12),
            collar_bps: random.between(20, 500),
            data_age: random.between(5, 120) * SECOND,
        };
        let limits = sayable(limits);
        let profile = Profile { limits, halt: None, halt_ack: Ack::Absent, breaker_ack: Ack::Absent, broken: false };
        let mut opening: Vec<Call> = Self::POLICIES.iter().map(|policy| Call::Acquire((*policy).to_owned())).collect();
        opening.push(Call::Profile(profile));
        opening.reverse();
        let walk = [("SPX", 4_000), ("ES", 16_000), ("XAU", 200_000), ("XAG", 25_000)];
        let silent = random.in_thousand(250);
        let walk = walk.into_iter().filter(|(symbol, _)| !(silent && *symbol == "XAG"));
        Self {
            options,
            listings,
            limits,
            starting_equity: 1_000_000 * UNIT,
            opening,
            walk: walk.map(|(symbol, price)| (symbol.to_owned(), price)).collect(),
            newest: BTreeMap::new(),
            recent: Vec::new(),
            orders: 0,
            // 10:00 on a day that is no holiday anywhere.
            clock: (20_000 + random.between(0, 300)) * DAY + 10 * 3_600 * SECOND,
            random,
        }
    }

    /// The instruments, as the resources list them.
    #[must_use]
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }

    /// Equity at the start, nanos.
    #[must_use]
    pub const fn starting_equity(&self) -> i128 {
        self.starting_equity
    }

    /// The model of the account before the first call.
    #[must_use]
    pub fn model(&self) -> Model {
        Model::new(Self::ACCOUNT, self.starting_equity, &self.listings)
    }

    /// The next call, aimed at the account as the model has it.
    pub fn next(&mut self, model: &Model) -> Call {
        let mut call = self.draw(model);
        if self.options.recorded {
            let newest = self.newest.values().map(|bar| bar.close_time).max().unwrap_or(0);
            match &mut call {
                Call::Bar(bar) => bar.at = newest,
                Call::Order(order) => order.at = newest,
                _ => {}
            }
        }
        call
    }

    fn draw(&mut self, model: &Model) -> Call {
        if let Some(mut call) = self.opening.pop() {
            if let Call::Order(order) = &mut call {
                order.at = self.clock;
            }
            return call;
        }
        if self.random.in_thousand(1) {
            self.heap(model);
        }
        if self.random.between(0, 59_999) == 0 {
            self.flood(model);
        }
        let stopped = model.halt().is_some() || model.is_gone() || model.breaker();
        if stopped && self.random.in_thousand(80) {
            return Call::Profile(self.profile(model));
        }
        match self.random.between(0, 999) {
            0..=1 => Call::ProfileGone,
            2..=3 => Call::HaltNow(self.leaves()),
            4..=11 => Call::Profile(self.profile(model)),
            12..=19 => Call::Acquire(self.policy()),
            20..=219 => self.bar().map_or_else(|| self.order(model), Call::Bar),
            220..=259 => self.cancel(model).map_or_else(|| self.order(model), Call::Cancel),
            260..=379 if self.options.fills => self.fill(model).map_or_else(|| self.order(model), Call::Fill),
            _ => self.order(model),
        }
    }

    /// More stops than a position needs, all of them far away.
    fn heap(&mut self, model: &Model) {
        let held = |listing: &&Listing| model.book().lots(&listing.symbol) != 0;
        let listed: Vec<Listing> = self.listings.iter().filter(held).cloned().collect();
        let Some(listing) = self.random.pick(&listed).cloned() else { return };
        let (held, mark) =
            (model.book().lots(&listing.symbol), model.book().mark(&listing.symbol).map_or(1_000, |mark| mark.price));
        let price = if held > 0 { mark / 2 } else { mark * 2 };
        for _ in 0..45 {
            let lots = i64::try_from(-held).unwrap_or(1);
            let order = Order { kind: Kind::Stop(price.max(1)), reduce_only: true, lots, ..self.plain(&listing) };
            self.opening.push(Call::Order(order));
        }
    }

    /// Orders in vain without end, one of them again and again.
    fn flood(&mut self, model: &Model) {
        let Some(listing) = self.random.pick(&self.listings).cloned() else { return };
        let mark = model.book().mark(&listing.symbol).map_or(1_000, |mark| mark.price);
        for _ in 0..900 {
            let order = Order { kind: Kind::Limit(mark.saturating_mul(3)), lots: 1, ..self.plain(&listing) };
            self.recent.push(order.clone());
            self.opening.push(Call::Order(order));
        }
        self.recent.drain(..self.recent.len().saturating_sub(REPEATED));
    }

    /// An order of the listing's policy that says nothing false.
    fn plain(&mut self, listing: &Listing) -> Order {
        self.orders += 1;
        Order {
            account: Self::ACCOUNT.to_owned(),
            policy: listing.policy.clone(),
            epoch: Epoch::Standing,
            id: format!("{}/order-{}", listing.policy, self.orders),
            symbol: listing.symbol.clone(),
            lots: 1,
            kind: Kind::Market,
            reduce_only: false,
            at: self.clock,
            said_mark: 0,
            said_time: 0,
        }
    }

    fn leaves(&mut self) -> Leaves {
        if self.random.in_thousand(300) { Leaves::Nothing } else { Leaves::Reducing }
    }

    fn policy(&mut self) -> String {
        self.random.pick(&Self::POLICIES).map_or_else(String::new, |policy| (*policy).to_owned())
    }

    /// Mostly one that lifts what stands; else one that halts, tightens, asks for more, or cannot be read.
    fn profile(&mut self, model: &Model) -> Profile {
        let mut limits = model.limits().unwrap_or(self.limits);
        let mut halt = None;
        let (mut halt_ack, mut breaker_ack, mut broken) = (Ack::Absent, Ack::Absent, false);
        match self.random.between(0, 9) {
            0 => halt = Some(self.leaves()),
            1 => {
                broken = true;
                halt = self.random.in_thousand(500).then_some(Leaves::Reducing);
                (halt_ack, breaker_ack) = (Ack::Standing, Ack::Standing);
            }
            2 => limits = self.tightened(limits),
            3 => limits = Limits { order: limits.order * 2, collar_bps: limits.collar_bps + 1, ..limits },
            4 => {
                halt = Some(Leaves::Reducing);
                halt_ack = Ack::Standing;
            }
            5 => (halt_ack, breaker_ack) = (Ack::Other, Ack::Other),
            6 => breaker_ack = Ack::Standing,
            7 => halt_ack = Ack::Standing,
            _ => (halt_ack, breaker_ack) = (Ack::Standing, Ack::Standing),
        }
        Profile { limits: sayable(limits), halt, halt_ack, breaker_ack, broken }
    }

    /// One limit a little tighter, within what a profile may say.
    fn tightened(&mut self, limits: Limits) -> Limits {
        let mut tighter = limits;
        match self.random.between(0, 6) {
            0 => tighter.order = (limits.order / UNIT * 9 / 10).max(1_000) * UNIT,
            1 => tighter.position = (limits.position / UNIT * 9 / 10).max(1_000) * UNIT,
            2 => tighter.gross_bps = (limits.gross_bps * 9 / 10).max(100),
            3 => tighter.daily_loss_bps = (limits.daily_loss_bps * 9 / 10).max(10),
            4 => tighter.drawdown_bps = (limits.drawdown_bps * 9 / 10).max(10),
            5 => tighter.collar_bps = (limits.collar_bps * 9 / 10).max(5),
            _ => tighter.per_minute = (limits.per_minute - 1).max(1),
        }
        tighter
    }

    /// The newest whole bar of a symbol, one that was there before, or now and then the first of the next session.
    fn bar(&mut self) -> Option<Bar> {
        let symbol = self.due()?;
        let before = self.newest.get(&symbol).cloned();
        if let Some(before) = before.as_ref().filter(|_| self.random.in_thousand(30)) {
            return Some(Bar { at: self.clock, ..before.clone() });
        }
        let interval = self.listings.iter().find(|listing| listing.symbol == symbol)?.interval;
        if self.random.in_thousand(10) {
            self.clock = (self.clock.div_euclid(DAY) + 1) * DAY + interval;
        }
        let mut close_time = self.clock.div_euclid(interval) * interval;
        if let Some(before) = before.as_ref().filter(|before| close_time <= before.close_time) {
            close_time = before.close_time + interval;
        }
        if close_time.rem_euclid(DAY) == 0 {
            close_time += interval;
        }
        self.clock = self.clock.max(close_time + self.random.between(0, 200) * 1_000_000);
        let last = *self.walk.get(&symbol)?;
        let step = if self.random.in_thousand(60) { 150 } else { 15 };
        let open = moved(last, self.random.between(-5, 5));
        let close = moved(last, self.random.between(-step, step));
        let high = moved(open.max(close), self.random.between(0, 10));
        let low = moved(open.min(close), -self.random.between(0, 10));
        self.walk.insert(symbol.clone(), close);
        let session = (close_time - 1).div_euclid(DAY);
        let prices = [open, high, low, close];
        let bar = Bar { symbol: symbol.clone(), open_time: close_time - interval, close_time, prices, session, at: self.clock };
        self.newest.insert(symbol, bar.clone());
        Some(bar)
    }

    /// Mostly the symbol whose next bar has been due for longest, so that time goes on when all have theirs.
    fn due(&mut self) -> Option<String> {
        let symbols: Vec<String> = self.walk.keys().cloned().collect();
        if self.random.in_thousand(100) {
            return self.random.pick(&symbols).cloned();
        }
        let next = |symbol: &String| self.newest.get(symbol).map_or(i64::MIN, |bar| 2 * bar.close_time - bar.open_time);
        symbols.into_iter().min_by_key(next)
    }

    fn cancel(&mut self, model: &Model) -> Option<String> {
        let ids: Vec<&String> = model.book().working().keys().collect();
        self.random.pick(&ids).map(|id| (*id).clone())
    }

    /// Part or all of a working order, near the mark; of an order that may only reduce, never through flat.
    fn fill(&mut self, model: &Model) -> Option<Fill> {
        let id = self.cancel(model)?;
        let order = model.book().working().get(&id)?;
        let held = model.book().lots(&order.symbol);
        let room = if order.reduce_only { order.lots.abs().min(held.abs()) } else { order.lots.abs() };
        let room = i64::try_from(room).ok()?;
        if room == 0 || order.reduce_only && held.signum() == order.lots.signum() {
            return None;
        }
        let size = if self.random.in_thousand(600) { room } else { self.random.between(1, room) };
        let lots = if order.lots < 0 { -size } else { size };
        let price = moved(model.book().mark(&order.symbol)?.price, self.random.between(-20, 20));
        Some(Fill { id, lots, price, fee: i128::from(self.random.between(0, 5)) * UNIT })
    }

    fn order(&mut self, model: &Model) -> Call {
        let day = self.newest.values().map(|bar| bar.session).max();
        let mut at = self.clock + self.pause();
        let symbol = self.random.pick(&self.listings).cloned();
        let Some(listing) = symbol else { return Call::Acquire(self.policy()) };
        if self.random.in_thousand(15)
            && let (Some(mark), Some(limits)) = (model.book().mark(&listing.symbol), model.limits())
        {
            // Right at the age that is allowed, or a nanosecond beyond.
            let edge = mark.close_time + listing.interval + limits.data_age + self.random.between(0, 1);
            at = if edge - at < 150 * SECOND { at.max(edge) } else { at };
        }
        if day.is_some_and(|day| at.div_euclid(DAY) != day) {
            // The session ends here: it is for a bar to say so.
            if let Some(bar) = self.bar() {
                return Call::Bar(bar);
            }
        }
        self.clock = at;
        if self.random.in_thousand(80)
            && let Some(known) = self.random.pick(&self.recent).cloned()
        {
            return Call::Order(self.again(known));
        }
        let order = self.fresh(&listing, model);
        self.recent.push(order.clone());
        if self.recent.len() > REPEATED {
            self.recent.remove(0);
        }
        Call::Order(order)
    }

    fn pause(&mut self) -> i64 {
        match self.random.between(0, 9) {
            0..=3 => 0,
            4..=6 => self.random.between(1, 50) * 1_000_000,
            7..=8 => self.random.between(1, 1_000) * 1_000_000,
            _ => 5 * SECOND,
        }
    }

    fn fresh(&mut self, listing: &Listing, model: &Model) -> Order {
        self.orders += 1;
        let mark = model.book().mark(&listing.symbol).map_or(1_000, |mark| mark.price);
        let price = self.price(mark, model.limits().unwrap_or(self.limits).collar_bps);
        let reduce_only = self.random.in_thousand(if model.book().lots(&listing.symbol) == 0 { 50 } else { 250 });
        let naked = self.options.naked && self.random.in_thousand(300);
        let kind = match self.random.between(0, 9) {
            0 if reduce_only || naked => Kind::Market,
            1 if reduce_only || naked => Kind::Stop(price),
            _ => Kind::Limit(price),
        };
        let lots = if reduce_only { self.reduction(listing, model) } else { self.size(listing, model, mark.max(price)) };
        let mark_said = self.random.one_of(&[mark, price, 1, i64::MAX], mark);
        let time_said = self.time_said(listing, model);
        let mut order = Order {
            account: Self::ACCOUNT.to_owned(),
            policy: listing.policy.clone(),
            epoch: Epoch::Standing,
            id: String::new(),
            symbol: listing.symbol.clone(),
            lots,
            kind,
            reduce_only,
            at: self.clock,
            said_mark: mark_said,
            said_time: time_said,
        };
        match self.random.between(0, 99) {
            0 => order.account = "paper-2".to_owned(),
            1 | 2 => order.epoch = Epoch::Former,
            3 => order.epoch = Epoch::Number(self.random.one_of(&[0, u64::MAX, u64::MAX - 1], 0)),
            4 | 5 => order.policy = self.policy(),
            6 => order.symbol = "DAX".to_owned(),
            _ => {}
        }
        let names = if self.random.in_thousand(10) { Self::POLICIES[0] } else { order.policy.as_str() };
        order.id = format!("{names}/order-{}", self.orders);
        order
    }

    /// An order that was there before: as it was, or with the same id and other content.
    fn again(&mut self, known: Order) -> Order {
        let known = Order { at: self.clock, epoch: Epoch::Standing, ..known };
        match self.random.between(0, 9) {
            0 => Order { lots: known.lots.wrapping_add(1), ..known },
            1 => Order { lots: known.lots.wrapping_mul(10_000), ..known },
            2 => Order { reduce_only: !known.reduce_only, ..known },
            3 => Order { kind: Kind::Limit(known.kind.price().map_or(1, |price| price.wrapping_add(1))), ..known },
            4 => Order { policy: self.policy(), ..known },
            5 => Order { said_mark: 1, said_time: 0, ..known },
            _ => known,
        }
    }

    /// Mostly that of the newest bar; else nothing, an older or a newer one, or any.
    fn time_said(&mut self, listing: &Listing, model: &Model) -> i64 {
        let seen = model.book().mark(&listing.symbol).map_or(self.clock, |mark| mark.close_time);
        match self.random.between(0, 29) {
            0 => self.clock - self.random.between(-3_600, 3_600) * SECOND,
            1 => seen + 1,
            2 => seen + listing.interval,
            3 => seen - listing.interval,
            4..=9 => 0,
            _ => seen,
        }
    }

    /// Near the mark, right at the collar on either side, or nowhere.
    fn price(&mut self, mark: i64, collar_bps: i64) -> i64 {
        let distance = i64::try_from(i128::from(mark) * i128::from(collar_bps) / 10_000).unwrap_or(0);
        match self.random.between(0, 99) {
            0 => 0,
            1 => -mark,
            2 => i64::MAX,
            3 => i64::MIN,
            4 => 1,
            5 => mark.saturating_mul(2),
            6..=17 => mark + distance + self.random.between(-1, 1),
            18..=29 => mark - distance + self.random.between(-1, 1),
            30..=59 => mark,
            _ => moved(mark, self.random.between(-15, 15)),
        }
    }

    /// All that is held, a little more, a part, or the wrong way.
    fn reduction(&mut self, listing: &Listing, model: &Model) -> i64 {
        let held = i64::try_from(model.book().lots(&listing.symbol)).unwrap_or(0);
        if held == 0 {
            return self.random.one_of(&[1, -1, 0], 1);
        }
        match self.random.between(0, 9) {
            0..=3 => -held,
            4 => -held - held.signum(),
            5 => -held + held.signum(),
            6 => held,
            7 => self.random.one_of(&[i64::MAX, i64::MIN, 0], 0),
            _ => -held / 2,
        }
    }

    /// The room that one of the limits leaves, give or take a lot; small; or as large as numbers go.
    fn size(&mut self, listing: &Listing, model: &Model, price: i64) -> i64 {
        let (book, limits) = (model.book(), model.limits().unwrap_or(self.limits));
        let price = book.dearest(&listing.symbol).map_or(i128::from(price), |dearest| dearest.max(i128::from(price)));
        let unit = price.max(1).saturating_mul(listing.tick_value()).max(1);
        let taken = book.value(&listing.symbol, book.worst_lots(&listing.symbol, 0), price).unwrap_or(0);
        let others = book.others(&listing.symbol).unwrap_or(0);
        let gross = book.equity().max(0) / 10_000 * i128::from(limits.gross_bps);
        let room = match self.random.between(0, 11) {
            0 | 1 => limits.order,
            2 => limits.position - taken,
            3 => limits.position,
            4 | 5 => gross - others - taken,
            6 => return self.random.one_of(&[i64::MAX, i64::MIN, 0, -1], 0),
            7 => limits.order * 3,
            8 | 9 => limits.order / 3,
            _ => unit * 3,
        };
        let lots = i64::try_from(room / unit).unwrap_or(0) + self.random.between(-1, 1);
        let lots = if lots == 0 { 1 } else { lots };
        if self.random.in_thousand(450) { -lots } else { lots }
    }
}

/// What a profile may say: no limit that could never bind.
fn sayable(limits: Limits) -> Limits {
    let (position, drawdown_bps) = (limits.position.max(limits.order), limits.drawdown_bps.max(limits.daily_loss_bps));
    Limits { position, drawdown_bps, ..limits }
}

/// A price some thousandths further, never below one tick.
fn moved(price: i64, thousandths: i64) -> i64 {
    let moved = i128::from(price) * (1_000 + i128::from(thousandths)) / 1_000;
    i64::try_from(moved).unwrap_or(price).max(1)
}
