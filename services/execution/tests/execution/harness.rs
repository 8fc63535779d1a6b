//! Execution and the gate in one process on two journals, each of which can die at a chosen write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_crds::{RiskProfileSpec, samples};
use tradewind_execution::{Engine, ExecutionConfig, ExecutionError, GateError, Record, RiskGate, ledger};
use tradewind_journal::{JournalError, Log, MemoryLog, Records, digest_of};
use tradewind_risk::{Arrival, RiskError};
use tradewind_venue::fills::FillModel;
use tradewind_venue::paper::PaperConfig;
use tradewind_wire::account::{AccountConfig, PolicyConfig};
use tradewind_wire::bus::{FeedKind, SequencedBar};
use tradewind_wire::config::{InstrumentConfig, VenueConfig};
use tradewind_wire::v1;

pub(crate) fn amount(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn symbol(text: &str) -> Symbol {
    Symbol::try_from(text.to_owned()).unwrap()
}

pub(crate) fn instrument(name: &str) -> Instrument {
    Instrument::new(symbol(name), amount("0.01"), amount("1"), amount("1")).unwrap()
}

/// Which writes kill, and whether before or after the record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FatalKind {
    /// None.
    Never,
    /// This one, before it is kept.
    Before(u64),
    /// This one, after it is kept.
    After(u64),
    /// Every n-th, alternating.
    Every(u64),
}

/// Counts the writes of all journals and kills at chosen ones.
#[derive(Debug)]
pub(crate) struct Fuse {
    kind: FatalKind,
    writes: AtomicU64,
    deaths: AtomicU64,
}

impl Fuse {
    pub(crate) fn new(kind: FatalKind) -> Arc<Self> {
        Arc::new(Self { kind, writes: AtomicU64::new(0), deaths: AtomicU64::new(0) })
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    pub(crate) fn deaths(&self) -> u64 {
        self.deaths.load(Ordering::SeqCst)
    }

    /// Counts a write; `Some(kept)` when it kills.
    fn burn(&self) -> Option<bool> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let death = match self.kind {
            FatalKind::Never => None,
            FatalKind::Before(fatal) => (write == fatal).then_some(false),
            FatalKind::After(fatal) => (write == fatal).then_some(true),
            FatalKind::Every(n) => write.is_multiple_of(n).then_some((write / n).is_multiple_of(2)),
        };
        self.deaths.fetch_add(u64::from(death.is_some()), Ordering::SeqCst);
        death
    }
}

/// A journal that outlives the process and may kill it.
struct FusedLog<T> {
    disk: MemoryLog<T>,
    fuse: Arc<Fuse>,
    dead: bool,
}

impl<T: Clone + Send + Serialize + 'static> Log<T> for FusedLog<T> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        if self.dead {
            return Err(JournalError::Injected { write: 0 });
        }
        if records.is_empty() {
            return self.disk.append_batch(records);
        }
        let death = self.fuse.burn();
        if death != Some(false) {
            self.disk.append_batch(records)?;
        }
        self.dead = death.is_some();
        if self.dead { Err(JournalError::Injected { write: self.fuse.writes() }) } else { Ok(self.disk.len()) }
    }

    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError> {
        self.disk.records_from(first)
    }

    fn len(&self) -> u64 {
        self.disk.len()
    }
}

/// The risk process: restarted on its journal at the question after its death.
struct RiskProcess {
    disk: MemoryLog<tradewind_risk::Record>,
    fuse: Arc<Fuse>,
    profile: (i64, RiskProfileSpec),
    account: AccountConfig,
    /// The gate's own feed.
    feed: Vec<SequencedBar>,
    engine: Option<tradewind_risk::Engine>,
}

/// A handle to the risk process, as the gRPC client is one in the cluster.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Mutex<RiskProcess>>);

impl Gate {
    fn new(fuse: Arc<Fuse>, spec: RiskProfileSpec, venue: PaperConfig) -> Self {
        let (disk, feed) = (MemoryLog::new(), Vec::new());
        let account = account(venue);
        Self(Arc::new(Mutex::new(RiskProcess { disk, fuse, profile: (1, spec), account, feed, engine: None })))
    }

    /// A bar comes on the gate's own feed.
    pub(crate) fn brings(&self, sequence: u64, bar: &v1::Bar) {
        self.0.lock().unwrap().feed.push(SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar: bar.clone() });
    }

    fn own(&self, sequence: u64) -> Option<SequencedBar> {
        self.0.lock().unwrap().feed.iter().rev().find(|own| own.sequence == sequence).cloned()
    }

    /// Calls the engine; an answer may be lost with the process.
    pub(crate) fn ask<T>(&self, call: impl Fn(&mut tradewind_risk::Engine) -> Result<T, RiskError>) -> Result<T, GateError> {
        let mut process = self.0.lock().unwrap();
        let gone = |error: RiskError| match error {
            RiskError::Fenced { .. } => GateError::Fenced(error.to_string()),
            other => GateError::Unavailable(other.to_string()),
        };
        if process.engine.is_none() {
            let log = FusedLog { disk: process.disk.clone(), fuse: Arc::clone(&process.fuse), dead: false };
            let mut engine = tradewind_risk::Engine::open("paper-1", Box::new(log)).map_err(gone)?;
            engine.apply_profile(process.profile.0, &process.profile.1).map_err(gone)?;
            engine.apply_account(&process.account).map_err(gone)?;
            process.engine = Some(engine);
        }
        let outcome = process.engine.as_mut().map(call).unwrap();
        if outcome.as_ref().is_err_and(RiskError::is_fatal) {
            process.engine = None;
        }
        outcome.map_err(gone)
    }

    /// Asks until there is an answer.
    pub(crate) fn surely<T>(&self, call: impl Fn(&mut tradewind_risk::Engine) -> Result<T, RiskError>) -> T {
        (0..100).find_map(|_| self.ask(&call).ok()).expect("the risk process answers")
    }

    /// A new generation of the profile.
    pub(crate) fn change_profile(&self, change: impl FnOnce(&mut RiskProfileSpec)) {
        let (generation, spec) = {
            let mut process = self.0.lock().unwrap();
            process.profile.0 += 1;
            change(&mut process.profile.1);
            process.profile.clone()
        };
        self.surely(|engine| engine.apply_profile(generation, &spec));
    }

    /// A new generation of the profile that names the halt in force and asks for none.
    pub(crate) fn lift_halt(&self) {
        let id = self.surely(|engine| Ok(engine.status().halt_id));
        self.change_profile(|spec| {
            spec.halt = false;
            spec.acknowledge_halt = id;
        });
    }

    /// The risk process is killed.
    pub(crate) fn kill(&self) {
        self.0.lock().unwrap().engine = None;
    }
}

impl RiskGate for Gate {
    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError> {
        self.ask(|engine| engine.acquire(request))
    }

    fn place(&mut self, request: &v1::PlaceRequest) -> Result<v1::PlaceReply, GateError> {
        self.ask(|engine| engine.place(request, Arrival::default()))
    }

    fn cancel(&mut self, request: &v1::CancelRequest) -> Result<v1::EventsReply, GateError> {
        self.ask(|engine| engine.cancel(request))
    }

    fn meet(&mut self, request: &v1::MeetRequest) -> Result<v1::MeetReply, GateError> {
        let own = self.own(request.sequence);
        self.ask(|engine| engine.meet(request, own.as_ref()))
    }

    fn settle(&mut self, request: &v1::SettleOwnerRequest) -> Result<(), GateError> {
        self.ask(|engine| engine.settles(request)).map(drop)
    }

    fn events(&mut self, request: &v1::EventsRequest) -> Result<v1::EventsReply, GateError> {
        self.ask(|engine| engine.events(request))
    }
}

/// What the resources say: one policy with both indices on a recorded feed.
pub(crate) fn account(venue: PaperConfig) -> AccountConfig {
    let listed = |name: &str| {
        let Instrument { symbol, tick, lot, point_value } = instrument(name);
        let fields = serde_json::json!({"symbol": symbol, "pointValue": point_value, "tick": tick, "lot": lot});
        serde_json::from_value::<InstrumentConfig>(fields).unwrap()
    };
    AccountConfig {
        account: "paper-1".into(),
        calendar: CalendarName::default(),
        policies: vec![PolicyConfig {
            policy: "indices".into(),
            feed: "default".parse().unwrap(),
            feed_kind: FeedKind::Replay,
            venue: VenueConfig {
                spread_bps: venue.fills.spread_bps,
                fee_bps: venue.fills.fee_bps,
                seed: venue.seed,
                partial_fill_bps: venue.partial_fill_bps,
                latency_ms: venue.latency_ms,
            },
            instruments: vec![listed("IXIC"), listed("SPX")],
        }],
    }
}

/// The policy that the world runs.
pub(crate) fn config(policy: &str, process: &str) -> ExecutionConfig {
    ExecutionConfig {
        account: "paper-1".into(),
        policy: policy.into(),
        instruments: vec![instrument("IXIC"), instrument("SPX")],
        base_notional: amount("100000"),
        starting_equity: amount("1000000"),
        process: process.into(),
    }
}

pub(crate) type Execution = Engine<Gate>;

/// Everything that survives a crash, and the running execution process.
pub(crate) struct World {
    pub(crate) records: MemoryLog<Record>,
    pub(crate) fuse: Arc<Fuse>,
    pub(crate) gate: Gate,
    pub(crate) engine: Option<Execution>,
    pub(crate) restarts: u64,
}

impl World {
    pub(crate) fn new(kind: FatalKind) -> Self {
        Self::with(
            kind,
            PaperConfig { fills: FillModel { spread_bps: 2, fee_bps: 1 }, seed: 7, partial_fill_bps: 3_000, latency_ms: 20 },
            |_| {},
        )
    }

    pub(crate) fn with(kind: FatalKind, venue: PaperConfig, change: impl FnOnce(&mut RiskProfileSpec)) -> Self {
        let fuse = Fuse::new(kind);
        let mut spec = samples::profile("main", "paper-1").spec;
        change(&mut spec);
        let gate = Gate::new(Arc::clone(&fuse), spec, venue);
        Self { records: MemoryLog::new(), fuse, gate, engine: None, restarts: 0 }
    }

    fn start(&self) -> Result<Execution, ExecutionError> {
        let records = FusedLog { disk: self.records.clone(), fuse: Arc::clone(&self.fuse), dead: false };
        let mut engine = Engine::open(config("indices", "process"), Box::new(records), self.gate.clone())?;
        engine.recover()?;
        Ok(engine)
    }

    /// Calls the execution process until it answers; it is restarted whenever it has died.
    pub(crate) fn surely<T>(&mut self, call: impl Fn(&mut Execution) -> Result<T, ExecutionError>) -> T {
        for _ in 0..100 {
            let mut engine = match self.engine.take() {
                Some(engine) => engine,
                None => {
                    self.restarts += 1;
                    let Ok(engine) = self.start() else { continue };
                    engine
                }
            };
            match call(&mut engine) {
                Ok(answer) => {
                    self.engine = Some(engine);
                    return answer;
                }
                Err(error) if error.is_fatal() => {}
                Err(ExecutionError::Gate(GateError::Unavailable(_))) => self.engine = Some(engine),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no answer after a hundred attempts");
    }

    pub(crate) fn kill(&mut self) {
        self.engine = None;
    }

    pub(crate) fn advance(&mut self, bar: &v1::Bar, sequence: u64) -> v1::AccountView {
        self.gate.brings(sequence, bar);
        self.surely(|engine| engine.advance(&v1::AdvanceRequest { bar: Some(bar.clone()), sequence }))
    }

    pub(crate) fn submit(&mut self, trade: &v1::TradeQualified) -> v1::SubmitReply {
        self.surely(|engine| engine.submit(trade))
    }

    /// Digests of both ledgers and the number of their lines.
    pub(crate) fn digests(&self) -> [(String, u64); 2] {
        let records = self.records.records();
        let (orders, fills) = (digest_of(&ledger::orders(&records)).unwrap(), digest_of(&ledger::fills(&records)).unwrap());
        [(orders.hex(), orders.lines()), (fills.hex(), fills.lines())]
    }
}

/// A daily bar in price units.
pub(crate) fn bar(name: &str, index: u64, prices: [f64; 4]) -> v1::Bar {
    const DAY: i64 = 86_400_000_000_000;
    let open_time_ns = (10_000 + i64::try_from(index).unwrap()) * DAY;
    #[allow(clippy::cast_possible_truncation)]
    let [open_nanos, high_nanos, low_nanos, close_nanos] = prices.map(|price| (price * 1e9).round() as i64);
    v1::Bar {
        symbol: name.into(),
        index,
        open_time_ns,
        close_time_ns: open_time_ns + DAY,
        open_nanos,
        high_nanos,
        low_nanos,
        close_nanos,
        volume: 1.0,
    }
}

/// Recorded bars of both indices in the order of the feed.
pub(crate) fn recorded(from: usize, count: usize) -> Vec<v1::Bar> {
    let read = |name: &str| -> Vec<v1::Bar> {
        let path = format!("{}/../../tests/fixtures/bars/{name}.csv", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let row = |(index, line): (usize, &str)| {
            let fields: Vec<f64> = line.split(',').skip(1).map(|field| field.parse().unwrap()).collect();
            bar(name, index as u64, [fields[0], fields[1], fields[2], fields[3]])
        };
        text.lines().skip(1 + from).take(count).enumerate().map(row).collect()
    };
    read("IXIC").into_iter().zip(read("SPX")).flat_map(|(ixic, spx)| [ixic, spx]).collect()
}

/// A trade at the close of a bar, protected 2 % below and 3 % above (mirrored for a short one).
pub(crate) fn trade(bar: &v1::Bar, sequence: u64, side: i32) -> v1::TradeQualified {
    let close = (bar.close_nanos + 5_000_000) / 10_000_000;
    v1::TradeQualified {
        trade_id: format!("indices/{}/{}", bar.symbol, bar.index),
        symbol: bar.symbol.clone(),
        index: bar.index,
        sequence,
        decided_at_ns: bar.close_time_ns,
        side,
        reference_price_ticks: close,
        stop_ticks: close - i64::from(side) * close / 50,
        target_ticks: close + i64::from(side) * close * 3 / 100,
        confidence: 0.8,
        confidence_multiplier: 1.0,
        risk_scale_bps: 10_000,
        entry_mode: "NORMAL".into(),
        bundle: "0123456789ab".into(),
        paper: true,
    }
}

/// The wish of a simple rule: every third bar the direction of the last move, so that trades open, flip and repeat.
pub(crate) fn wish(bar: &v1::Bar) -> Option<i32> {
    (bar.index % 3 == 1).then_some(if bar.close_nanos >= bar.open_nanos { 1 } else { -1 })
}

/// Drives a world through bars as the decider does.
pub(crate) fn drive(world: &mut World, bars: &[v1::Bar]) {
    for (sequence, bar) in (1..).zip(bars) {
        world.advance(bar, sequence);
        if let Some(side) = wish(bar) {
            world.submit(&trade(bar, sequence, side));
        }
    }
}
