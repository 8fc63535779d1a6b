//! A story: what happens, step by step, drawn from a seed, shortened when it ends badly.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::select;
use tradewind_core::money::Money;
use tradewind_crds::{Decimal, RiskProfileSpec};
use tradewind_journal::testing::Fault;
use tradewind_wire::v1;

use crate::gate::{Gate, Link};
use crate::market::{ACCOUNT, Market, POLICIES, SYMBOLS, Shape};
use crate::oracle::{State, Tally};
use crate::trader::Trader;
use crate::weather::{Fate, Question, Weather};

/// Whom something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The gate of the account.
    Gate,
    /// The execution of policy `one` or `two`.
    Trader(usize),
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// The market makes a bar; the gate's own feed may bring it only with the next one.
    Bar {
        /// Number of its symbol.
        symbol: usize,
        /// What it looks like.
        shape: Shape,
        /// The gate sees it late.
        late: bool,
    },
    /// A decider wants to trade on its newest bar.
    Wish {
        /// Policy.
        trader: usize,
        /// +1 or -1.
        side: i32,
        /// Risk scale, basis points.
        scale: u32,
        /// Distance of the stop, basis points.
        stop_bps: i64,
    },
    /// A process dies.
    Kill(Process),
    /// A machine loses its power; the bits say which sectors its disk had.
    LosePower(Process, u64),
    /// The next write or sync of a disk goes wrong.
    Break(Process, Fault),
    /// The next message of a trader meets this.
    Weather(Fate),
    /// A process with a certificate of its own says what it likes.
    Lie(Lie),
    /// The account is halted.
    Halt,
    /// The halt in force is lifted.
    Lift,
    /// The limits in the resource become these parts of those of the samples, percent.
    Limits {
        /// Of order, position and gross exposure.
        size_percent: i64,
        /// Of the collar.
        collar_percent: i64,
    },
}

/// An order that nobody planned.
#[derive(Clone, Debug)]
pub struct Lie {
    /// Under which number of id; few, so that they are used again.
    pub id: u8,
    /// Number of the symbol.
    pub symbol: usize,
    /// Signed size.
    pub lots: i64,
    /// Distance of its price from the mark, basis points.
    pub away_bps: i64,
    /// Market, limit, stop.
    pub kind: i32,
    /// Whether it says that it only reduces.
    pub reduce_only: bool,
    /// Whose orders it says they are, and how old its epoch is.
    pub owner: (usize, u64),
    /// Whether it takes the order back instead.
    pub cancel: bool,
}

/// What a story came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Orders, fills, halts.
    pub tally: Tally,
    /// Starts of the gate beyond the first.
    pub gate_restarts: u64,
    /// Starts of traders beyond their first.
    pub trader_restarts: u64,
    /// How often what happened in which state.
    pub met: BTreeMap<(State, &'static str), u64>,
}

impl Ending {
    /// Adds another story's.
    pub fn add(&mut self, other: &Self) {
        self.tally.checked += other.tally.checked;
        self.tally.allowed += other.tally.allowed;
        self.tally.fills += other.tally.fills;
        self.tally.halts += other.tally.halts;
        self.gate_restarts += other.gate_restarts;
        self.trader_restarts += other.trader_restarts;
        other.met.iter().for_each(|(pair, count)| *self.met.entry(*pair).or_default() += count);
    }

    /// How many pairs of a state and something that happens were met, of those that there are.
    #[must_use]
    pub fn pairs(&self) -> (usize, usize) {
        (self.met.len(), State::ALL.len() * FAULTS.len())
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { checked, allowed, fills, halts } = self.tally;
        let (gate, traders) = (self.gate_restarts, self.trader_restarts);
        let (met, all) = self.pairs();
        write!(
            f,
            "{met} of {all} pairs of state and fault, {checked} orders judged, {allowed} let through, {fills} fills, {halts} halts, {gate} restarts of the gate, {traders} of traders"
        )
    }
}

/// Stories of up to `steps` steps.
pub fn stories(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=steps)
}

fn process() -> impl Strategy<Value = Process> {
    select(vec![Process::Gate, Process::Trader(0), Process::Trader(1)])
}

fn shape() -> impl Strategy<Value = Shape> {
    let usual = (-150..=150_i64, -250..=250_i64, 0..=150_i64, 0..=150_i64);
    let wild = (-1_500..=1_500_i64, -1_500..=1_500_i64, 0..=900_i64, 0..=900_i64);
    prop_oneof![5 => usual, 1 => wild].prop_map(|(gap, drift, above, below)| Shape { gap, drift, above, below })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![(0..3_000_usize).prop_map(Fault::ShortWrite), Just(Fault::FailedSync)]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::QuestionLost), Just(Fate::AnswerLost), Just(Fate::Twice), (0..40_u8).prop_map(Fate::AfterAnOldOne),]
}

fn lie() -> impl Strategy<Value = Lie> {
    let what = (0..24_u8, 0..SYMBOLS.len(), -600..=600_i64, -900..=900_i64, 0..=4_i32);
    let who =
        (prop_oneof![6 => Just((2_usize, 0_u64)), 1 => (0..POLICIES.len(), 1..3_u64)], any::<bool>(), prop::bool::weighted(0.15));
    (what, who).prop_map(|((id, symbol, lots, away_bps, kind), (owner, reduce_only, cancel))| {
        // Mostly its own symbol: what is refused at once says little.
        let symbol = if id % 4 == 0 { symbol } else { 2 };
        Lie { id, symbol, lots, away_bps, kind, reduce_only, owner, cancel }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let side = select(vec![1, -1]);
    prop_oneof![
        24 => (0..SYMBOLS.len(), shape(), prop::bool::weighted(0.1)).prop_map(|(symbol, shape, late)| Step::Bar { symbol, shape, late }),
        24 => (0..2_usize, side, 2_000..=30_000_u32, 20..=400_i64)
            .prop_map(|(trader, side, scale, stop_bps)| Step::Wish { trader, side, scale, stop_bps }),
        3 => process().prop_map(Step::Kill),
        3 => (process(), any::<u64>()).prop_map(|(process, bits)| Step::LosePower(process, bits)),
        4 => (process(), fault()).prop_map(|(process, fault)| Step::Break(process, fault)),
        12 => fate().prop_map(Step::Weather),
        16 => lie().prop_map(Step::Lie),
        1 => Just(Step::Halt),
        2 => Just(Step::Lift),
        2 => (1..=200_i64, 10..=200_i64).prop_map(|(size_percent, collar_percent)| Step::Limits { size_percent, collar_percent }),
    ]
}

/// What happens beside trading, as the table of pairs names it.
pub const FAULTS: [&str; 15] = [
    "gate dies",
    "trader dies",
    "gate loses power",
    "trader loses power",
    "gate's disk full",
    "trader's disk full",
    "gate's sync fails",
    "trader's sync fails",
    "question lost",
    "answer lost",
    "question twice",
    "old question",
    "lie",
    "limits edited",
    "bar late",
];

/// The name of what happens; none for what is no fault.
const fn fault_of(step: &Step) -> Option<&'static str> {
    Some(match step {
        Step::Kill(Process::Gate) => "gate dies",
        Step::Kill(Process::Trader(_)) => "trader dies",
        Step::LosePower(Process::Gate, _) => "gate loses power",
        Step::LosePower(Process::Trader(_), _) => "trader loses power",
        Step::Break(Process::Gate, Fault::ShortWrite(_)) => "gate's disk full",
        Step::Break(Process::Trader(_), Fault::ShortWrite(_)) => "trader's disk full",
        Step::Break(Process::Gate, Fault::FailedSync) => "gate's sync fails",
        Step::Break(Process::Trader(_), Fault::FailedSync) => "trader's sync fails",
        Step::Weather(Fate::QuestionLost) => "question lost",
        Step::Weather(Fate::AnswerLost) => "answer lost",
        Step::Weather(Fate::Twice) => "question twice",
        Step::Weather(Fate::AfterAnOldOne(_)) => "old question",
        Step::Lie(_) => "lie",
        Step::Limits { .. } => "limits edited",
        Step::Bar { late: true, .. } => "bar late",
        Step::Weather(Fate::Arrives) | Step::Bar { .. } | Step::Wish { .. } | Step::Halt | Step::Lift => return None,
    })
}

struct World {
    link: Link,
    traders: [Trader; 2],
    /// Bars that the gate's own feed has not brought yet.
    held_back: Vec<tradewind_wire::bus::SequencedBar>,
    epochs_asked: u64,
    /// The newest bar of the liar's symbol.
    lied_about: u64,
    met: BTreeMap<(State, &'static str), u64>,
}

/// Tells a story to its end, lets everything heal, and compares all books.
///
/// # Errors
/// The first thing that did not hold, with the step after which it was seen.
pub fn tell(steps: &[Step]) -> Result<Ending, String> {
    let link = Link {
        gate: Rc::new(RefCell::new(Gate::new())),
        market: Rc::new(RefCell::new(Market::default())),
        weather: Rc::new(RefCell::new(Weather::default())),
    };
    let traders = [0, 1].map(|number| Trader::new(number, link.clone()));
    let mut world = World { link, traders, held_back: Vec::new(), epochs_asked: 0, lied_about: 0, met: BTreeMap::new() };
    for (number, step) in steps.iter().enumerate() {
        world.take(step);
        world.sound().map_err(|text| format!("after step {number}: {text}"))?;
    }
    world.heal().map_err(|text| format!("after healing: {text}"))
}

impl World {
    fn sound(&self) -> Result<(), String> {
        self.link.gate.borrow().oracle.violations().first().map_or(Ok(()), |text| Err(text.clone()))
    }

    fn take(&mut self, step: &Step) {
        if let Some(fault) = fault_of(step) {
            *self.met.entry((self.link.gate.borrow().state(), fault)).or_default() += 1;
        }
        match step {
            Step::Bar { symbol, shape, late } => self.bar(*symbol, *shape, *late),
            Step::Wish { trader, side, scale, stop_bps } => self.traders[*trader].wish(*side, *scale, *stop_bps),
            Step::Kill(process) => self.kill(*process),
            Step::LosePower(process, bits) => {
                self.kill(*process);
                let mut bits = *bits | 1;
                self.disk(*process).lose_power(|| {
                    bits = bits.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    bits >> 63 == 1
                });
            }
            Step::Break(process, fault) => self.disk(*process).fail(*fault),
            Step::Weather(fate) => self.link.weather.borrow_mut().brew(*fate),
            Step::Lie(lie) => self.lie(lie),
            Step::Halt => drop(self.link.gate.borrow_mut().halt(&self.link.market.borrow())),
            Step::Lift => self.link.gate.borrow_mut().lift(&self.link.market.borrow()),
            Step::Limits { size_percent, collar_percent } => {
                let change = |spec: &mut RiskProfileSpec| {
                    let samples = tradewind_crds::samples::profile("main", ACCOUNT).spec.limits;
                    let part = |of: Decimal| {
                        let units = of.nanos() / 1_000_000_000 * i128::from(*size_percent) / 100;
                        Decimal::from_units(u32::try_from(units).unwrap_or(u32::MAX))
                    };
                    spec.limits.max_order_notional = part(samples.max_order_notional);
                    spec.limits.max_position_notional = part(samples.max_position_notional);
                    spec.limits.max_gross_exposure_bps = samples.max_gross_exposure_bps * size_percent / 100;
                    spec.limits.price_collar_bps = samples.price_collar_bps * collar_percent / 100;
                };
                self.link.gate.borrow_mut().edit(&self.link.market.borrow(), change);
            }
        }
        self.traders.iter_mut().for_each(Trader::work);
    }

    fn bar(&mut self, symbol: usize, shape: Shape, late: bool) {
        let bar = self.link.market.borrow_mut().next(symbol, shape);
        let mut gate = self.link.gate.borrow_mut();
        self.held_back.drain(..).for_each(|bar| gate.show(&bar));
        if late {
            self.held_back.push(bar.clone());
        } else {
            gate.show(&bar);
        }
        drop(gate);
        match self.traders.get_mut(symbol) {
            Some(trader) => trader.bring(bar),
            None => {
                self.lied_about = bar.sequence;
                self.meet_for_the_liar();
            }
        }
    }

    /// The liar has no execution of its own: its bars are met so that its symbol has marks.
    fn meet_for_the_liar(&mut self) {
        let sequence = self.lied_about;
        self.claim();
        for _ in 0..2 {
            let owner = Some(self.owner(2, 0));
            let request = v1::MeetRequest { owner, symbol: SYMBOLS[2].into(), sequence };
            self.whisper(|engine, shown| engine.meet(&request, shown.get(&sequence)).map(drop));
        }
    }

    /// Takes the orders of the liar's policy, if nobody has them.
    fn claim(&mut self) {
        if self.link.gate.borrow().oracle.epoch(POLICIES[2]) == 0 {
            self.epochs_asked += 1;
            let (account, policy, claim) = (ACCOUNT.into(), POLICIES[2].into(), format!("liar-{}", self.epochs_asked));
            let request = v1::AcquireRequest { account, policy, last_epoch: 0, claim };
            self.whisper(|engine, _| engine.acquire(&request).map(drop));
        }
    }

    fn owner(&self, policy: usize, age: u64) -> v1::Owner {
        let gate = self.link.gate.borrow();
        let (epoch, told) = (gate.oracle.epoch(POLICIES[policy]), gate.oracle.events(POLICIES[policy]));
        // Far in the future or of before: never the present one of a policy that has a trader.
        let epoch = if age == 0 { epoch } else { epoch.checked_sub(age).unwrap_or(epoch + age) };
        // What waits for the owner's word goes on.
        let acknowledged = if age == 2 { u64::MAX } else { told };
        v1::Owner { account: ACCOUNT.into(), policy: POLICIES[policy].into(), epoch, acknowledged }
    }

    fn lie(&mut self, lie: &Lie) {
        self.claim();
        let mark = self.link.gate.borrow().oracle.mark(lie.symbol).unwrap_or(100_000);
        let order = v1::NewOrder {
            order_id: format!("{}/{}", POLICIES[lie.owner.0], lie.id),
            symbol: SYMBOLS[lie.symbol].into(),
            lots: lie.lots,
            kind: lie.kind,
            price_ticks: if lie.kind == 1 { 0 } else { mark + mark * lie.away_bps / 10_000 },
            immediate_or_cancel: lie.id.is_multiple_of(2),
            reduce_only: lie.reduce_only,
            group: String::new(),
            reference_price_ticks: mark,
            data_time_ns: 0,
        };
        let owner = Some(self.owner(lie.owner.0, lie.owner.1));
        if lie.cancel {
            let request = v1::CancelRequest { owner, order_ids: vec![order.order_id] };
            self.whisper(|engine, _| engine.cancel(&request).map(drop));
        } else {
            let question = Question::Place(v1::PlaceRequest { owner, orders: vec![order] });
            self.link.tell(&question);
        }
    }

    fn whisper(
        &self,
        call: impl FnOnce(
            &mut tradewind_risk::Engine,
            &BTreeMap<u64, tradewind_wire::bus::SequencedBar>,
        ) -> Result<(), tradewind_risk::RiskError>,
    ) {
        // A liar is not surprised by a no.
        let _ = self.link.gate.borrow_mut().ask(&self.link.market.borrow(), call);
    }

    fn kill(&mut self, process: Process) {
        match process {
            Process::Gate => self.link.gate.borrow_mut().kill(),
            Process::Trader(number) => self.traders[number].kill(),
        }
    }

    fn disk(&self, process: Process) -> tradewind_journal::testing::SimulatedDisk {
        match process {
            Process::Gate => self.link.gate.borrow().disk.clone(),
            Process::Trader(number) => self.traders[number].disk.clone(),
        }
    }

    /// Nothing goes wrong any more: everything starts anew, catches up, and all books are the same.
    fn heal(&mut self) -> Result<Ending, String> {
        self.link.weather.borrow_mut().clear();
        self.held_back.drain(..).for_each(|bar| self.link.gate.borrow_mut().show(&bar));
        for process in [Process::Gate, Process::Trader(0), Process::Trader(1)] {
            self.kill(process);
        }
        // At most one fault still waits on each disk.
        for _ in 0..3 {
            self.traders.iter_mut().for_each(Trader::work);
            self.meet_for_the_liar();
        }
        self.sound()?;
        for trader in &mut self.traders {
            let (number, policy) = (trader.number, POLICIES[trader.number]);
            if !trader.is_idle() {
                return Err(format!("{policy} does not come to an end"));
            }
            let Some((working, held)) = trader.books() else { return Err(format!("{policy} does not answer")) };
            let gate = self.link.gate.borrow();
            let (theirs, lots) = (gate.oracle.working(&format!("{policy}/")), gate.oracle.lots(number));
            if (&working, held) != (&theirs, lots) {
                return Err(format!(
                    "{policy} has {held} lots and {working:?}; by the venue's events it is {lots} and {theirs:?}"
                ));
            }
        }
        let market = self.link.market.borrow();
        let mut gate = self.link.gate.borrow_mut();
        let symbols = [0, 1, 2].map(|number| crate::market::instrument(number).symbol);
        let asked = gate.ask(&market, |engine, _| {
            let lots = symbols.each_ref().map(|symbol| engine.lots(symbol));
            Ok((engine.open_reservations(), lots, engine.state().equity))
        });
        let (reserved, lots, equity) = asked.map_err(|error| error.to_string())?;
        let (working, held) = (gate.oracle.working("").len(), [0, 1, 2].map(|symbol| gate.oracle.lots(symbol)));
        if (reserved, lots) != (working, held) {
            return Err(format!(
                "the gate reserves {reserved} orders and holds {lots:?}; by the venue's events it is {working} and {held:?}"
            ));
        }
        let equity = equity.map_or(Money::ZERO, |equity| tradewind_wire::convert::money_from_wire(equity).unwrap_or(Money::ZERO));
        if equity.nanos() != gate.oracle.equity() && gate.oracle.tally.checked > 0 {
            return Err(format!("equity at the gate is {equity}, by the fills {}", Money::from_nanos(gate.oracle.equity())));
        }
        if let Some(text) = gate.oracle.violations().first() {
            return Err(text.clone());
        }
        Ok(Ending {
            tally: gate.oracle.tally,
            gate_restarts: gate.lives.saturating_sub(1),
            trader_restarts: self.traders.iter().map(|trader| trader.lives.saturating_sub(1)).sum(),
            met: self.met.clone(),
        })
    }
}
