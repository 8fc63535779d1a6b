//! The process around the engine against services in this process that fail on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::fixture::{CANDIDATE, STABLE, decision, settings, stream, symbol};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tradewind_core::bar::Bar;
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;
use tradewind_journal::MemoryLog;
use tradewind_policy::serve::{Bars, Candidates, DEADLINE, Figures, Live, Progress, Revisions, WallClock, carry_halt};
use tradewind_policy::{Control, Driver, Engine, Entry, PairEntry, Pairing, Routing, Settings, Trading, Wanted};
use tradewind_wire::bus::{FeedKind, Followed, SequencedBar};
use tradewind_wire::client::channel;
use tradewind_wire::convert::{bar_from_wire, bar_to_wire, money_to_wire};
use tradewind_wire::server::BoundServer;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;
use tradewind_wire::v1::execution_server::{Execution, ExecutionServer};
use tradewind_wire::v1::inference_server::{Inference, InferenceServer};

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

/// Faults that a test switches on and off, and what was heard.
#[derive(Clone, Default)]
struct World {
    execution_down: Arc<AtomicBool>,
    stable_down: Arc<AtomicBool>,
    candidate_delay_ms: Arc<AtomicU64>,
    candidate_fails: Arc<AtomicBool>,
    submitted: Arc<Mutex<Vec<String>>>,
    advanced: Arc<Mutex<Vec<u64>>>,
    halts: Arc<Mutex<Vec<bool>>>,
    /// Sequences and bars that execution and the stable refuse for good.
    execution_refuses: Arc<AtomicU64>,
    stable_refuses: Arc<AtomicU64>,
    /// Execution refuses every trade for good.
    trades_refused: Arc<AtomicBool>,
    /// Whether other policies share the account, and the places that they were told of.
    shared: Arc<AtomicBool>,
    settled: Arc<Mutex<Vec<u64>>>,
}

#[tonic::async_trait]
impl Execution for World {
    async fn advance(&self, request: Request<v1::AdvanceRequest>) -> Result<Response<v1::AccountView>, Status> {
        if self.execution_down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("starting"));
        }
        let sequence = request.into_inner().sequence;
        if self.execution_refuses.load(Ordering::SeqCst) == sequence {
            return Err(Status::invalid_argument("this bar never"));
        }
        self.advanced.lock().unwrap().push(sequence);
        let equity = Some(money_to_wire(Money::from_units(1_000_000)).unwrap());
        let shared = self.shared.load(Ordering::SeqCst);
        let trading_state = "Normal".into();
        Ok(Response::new(v1::AccountView { sequence, equity, trading_state, shared, ..v1::AccountView::default() }))
    }

    async fn submit(&self, request: Request<v1::TradeQualified>) -> Result<Response<v1::SubmitReply>, Status> {
        let trade_id = request.into_inner().trade_id;
        if self.trades_refused.load(Ordering::SeqCst) {
            return Err(Status::invalid_argument("no such side"));
        }
        self.submitted.lock().unwrap().push(trade_id.clone());
        Ok(Response::new(v1::SubmitReply { trade_id, status: "accepted".into(), ..v1::SubmitReply::default() }))
    }

    async fn halt(&self, request: Request<v1::HaltRequest>) -> Result<Response<v1::HaltReply>, Status> {
        self.halts.lock().unwrap().push(request.into_inner().halt);
        Ok(Response::new(v1::HaltReply { cancelled: 0 }))
    }

    async fn settle(&self, request: Request<v1::SettleRequest>) -> Result<Response<v1::SettleReply>, Status> {
        self.settled.lock().unwrap().push(request.into_inner().sequence);
        Ok(Response::new(v1::SettleReply {}))
    }
}

/// An inference service of one bundle.
struct Model {
    bundle: &'static str,
    world: World,
}

#[tonic::async_trait]
impl Inference for Model {
    async fn decide(&self, request: Request<v1::DecideRequest>) -> Result<Response<v1::Decision>, Status> {
        let request = request.into_inner();
        let message = request.bar.unwrap();
        let name = symbol(&message.symbol);
        let bar = bar_from_wire(&message, &settings().instruments[&name]).unwrap();
        if self.bundle == CANDIDATE {
            tokio::time::sleep(Duration::from_millis(self.world.candidate_delay_ms.load(Ordering::SeqCst))).await;
            if self.world.candidate_fails.load(Ordering::SeqCst) {
                return Err(Status::internal("broken"));
            }
        } else if self.world.stable_down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("restarting"));
        }
        if self.bundle == STABLE && self.world.stable_refuses.load(Ordering::SeqCst) == bar.index {
            return Err(Status::invalid_argument("this bar never"));
        }
        let decided = decision(self.bundle, &name, &bar, self.bundle == CANDIDATE);
        Ok(Response::new(v1::Decision {
            bundle: decided.bundle,
            symbol: message.symbol,
            index: decided.index,
            close_time_ns: decided.close_time.0,
            action: i32::from(decided.action),
            execute: decided.execute,
            confidence: decided.confidence,
            score_long: 0.8,
            reason: decided.reason,
            stop_ticks: decided.stop.0,
            target_ticks: decided.target.0,
            confidence_multiplier: decided.confidence_multiplier,
            atr: decided.atr,
            synergy_aligned: true,
            ..v1::Decision::default()
        }))
    }
}

struct Bench {
    bars: Bars,
    world: World,
    wanted: watch::Sender<Option<Wanted>>,
    log: MemoryLog<Entry>,
    evidence: MemoryLog<PairEntry>,
    stop: CancellationToken,
    /// The wall clock, nanoseconds; it stands still.
    clock: Arc<AtomicI64>,
}

async fn listen(routes: Routes, stop: &CancellationToken) -> String {
    let server = BoundServer::bind("127.0.0.1:0".parse().unwrap(), Security::PlaintextLoopback).await.unwrap();
    let address = server.address().to_string();
    tokio::spawn(server.run(routes, stop.clone()));
    address
}

fn wanted(weight_bps: u32, candidate: bool) -> Wanted {
    let candidate = candidate.then(|| CANDIDATE.to_owned());
    let routing = Routing { stable: STABLE.into(), candidate, step: 1, weight_bps, confidence_bps: 9_500 };
    Wanted { control: Control { halt: false, trading: Trading::Paper }, routing, generation: 3 }
}

/// Everything but the bus and the API server, on journals that may hold something already.
async fn bench(first: Option<Wanted>, log: MemoryLog<Entry>, evidence: MemoryLog<PairEntry>) -> Bench {
    bench_of(settings(), first, log, evidence).await
}

async fn bench_of(settings: Settings, first: Option<Wanted>, log: MemoryLog<Entry>, evidence: MemoryLog<PairEntry>) -> Bench {
    let (world, stop) = (quiet_world(), CancellationToken::new());
    let execution = listen(Routes::new(ExecutionServer::new(world.clone())), &stop).await;
    let mut elsewhere = BTreeMap::new();
    for bundle in [STABLE, CANDIDATE] {
        let routes = Routes::new(InferenceServer::new(Model { bundle, world: world.clone() }));
        elsewhere.insert(bundle.to_owned(), listen(routes, &stop).await);
    }
    let (sender, receiver) = watch::channel(first);
    let engine = Engine::open(settings.clone(), Box::new(log.clone())).unwrap();
    let pairing = Pairing::open(settings.shadow(), settings.instruments, Box::new(evidence.clone())).unwrap();
    let clock = Arc::new(AtomicI64::new(0));
    let told = Arc::clone(&clock);
    let live = Live::new(&engine, pairing, receiver.clone(), WallClock::new(move || Nanos(told.load(Ordering::SeqCst))));
    let figures = Figures::new(&Metrics::new().unwrap());
    let revisions = Revisions::new("indices".into(), "trading".into(), Security::PlaintextLoopback, elsewhere);
    let (failed, _) = mpsc::channel(1);
    let bars = Bars {
        admission: engine.admission(),
        engine,
        execution: ExecutionClient::new(channel(&execution, &Security::PlaintextLoopback).unwrap()),
        candidates: Candidates::start(revisions.clone(), live.clone(), figures.clone(), failed),
        revisions,
        wanted: receiver,
        live,
        figures,
        stop: stop.clone(),
        stable: None,
        progress: Progress::default(),
    };
    Bench { bars, world, wanted: sender, log, evidence, stop, clock }
}

/// A world that refuses nothing.
fn quiet_world() -> World {
    let world = World::default();
    world.stable_refuses.store(u64::MAX, Ordering::SeqCst);
    world
}

async fn fresh(wanted: Wanted) -> Bench {
    bench(Some(wanted), MemoryLog::new(), MemoryLog::new()).await
}

impl Bench {
    async fn take(&mut self, sequences: std::ops::RangeInclusive<u64>) {
        for (sequence, name, bar) in stream(*sequences.end()) {
            if sequences.contains(&sequence) {
                self.bars.take(message(sequence, &name, &bar)).await.unwrap();
            }
        }
    }

    /// Waits until the evidence of a bar is written.
    async fn compared(&self, sequence: u64) {
        until(|| self.evidence.records().last().is_some_and(|entry| entry.sequence >= sequence)).await;
    }
}

fn message(sequence: u64, name: &tradewind_core::instrument::Symbol, bar: &Bar) -> Followed {
    followed(sequence, bar_to_wire(bar, &settings().instruments[name]).unwrap())
}

/// A message that arrived when its bar closed.
fn followed(sequence: u64, bar: v1::Bar) -> Followed {
    Followed::Bar(SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar })
}

async fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < give_up, "the condition did not come true within 60 s");
        tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_are_decided_once_and_trades_are_sent() {
    let mut bench = fresh(wanted(0, false)).await;
    bench.take(1..=200).await;
    let entries = bench.log.records();
    assert_eq!(entries.len(), 200);
    let trades: Vec<String> = entries.iter().filter_map(|e| Some(e.record.trade.as_ref()?.trade_id.clone())).collect();
    assert!(trades.len() > 20);
    assert_eq!(*bench.world.submitted.lock().unwrap(), trades);
    assert_eq!(*bench.world.advanced.lock().unwrap(), (1..=200).collect::<Vec<_>>());
    let status = bench.bars.live.status();
    assert_eq!((status.last_sequence, status.bars_decided, status.observed_generation), (200, 200, 3));
    assert_eq!((status.decisions_digest, status.stable_bundle.as_str()), (bench.bars.engine.digest(), STABLE));
    assert!(status.paired.is_none() && status.waiting_for.is_empty());
    // A bar of a symbol that the policy does not trade passes by.
    let other = v1::Bar { symbol: "DAX".into(), ..v1::Bar::default() };
    bench.bars.take(followed(201, other)).await.unwrap();
    assert_eq!(bench.log.records().len(), 200);
}

/// On a recorded feed those who share the account wait for the place of the others: a decider without a bar in hand says it.
#[tokio::test(flavor = "multi_thread")]
async fn a_decider_that_shares_its_account_tells_its_place() {
    let mut bench = fresh(wanted(0, false)).await;
    let other = |sequence| followed(sequence, v1::Bar { symbol: "DAX".into(), ..v1::Bar::default() });
    bench.take(1..=2).await;
    bench.bars.take(other(3)).await.unwrap();
    bench.bars.settle().await;
    assert!(bench.world.settled.lock().unwrap().is_empty(), "alone in its account it says nothing");
    bench.world.shared.store(true, Ordering::SeqCst);
    bench.take(4..=4).await;
    bench.bars.settle().await;
    for sequence in [5, 6] {
        bench.bars.take(other(sequence)).await.unwrap();
    }
    bench.bars.settle().await;
    bench.bars.settle().await;
    assert_eq!(*bench.world.settled.lock().unwrap(), [4, 6], "its own bar when it is done, then all that passed by, each once");
}

/// The ledger of a run in which everything failed once is that of a run without a fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_is_down_makes_the_bar_wait() {
    let mut quiet = fresh(wanted(0, false)).await;
    quiet.take(1..=80).await;
    let mut bench = fresh(wanted(0, false)).await;
    bench.take(1..=69).await;
    for (fault, says, sequence) in
        [(bench.world.execution_down.clone(), "execution", 70), (bench.world.stable_down.clone(), "inference", 71)]
    {
        fault.store(true, Ordering::SeqCst);
        let live = bench.bars.live.clone();
        let (_, name, bar) = stream(sequence).pop().unwrap();
        let repair = async {
            until(|| live.status().waiting_for.starts_with(says)).await;
            assert_eq!(live.status().last_sequence, sequence - 1, "nothing is decided meanwhile");
            fault.store(false, Ordering::SeqCst);
        };
        let (outcome, ()) = tokio::join!(bench.bars.take(message(sequence, &name, &bar)), repair);
        outcome.unwrap();
    }
    bench.take(72..=80).await;
    assert_eq!(bench.bars.engine.digest(), quiet.bars.engine.digest());
}

/// A candidate that answers too late, or never, costs the stable nothing and is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_candidate_delays_nothing() {
    let mut bench = fresh(wanted(0, true)).await;
    // The first answer for each symbol has time: the past is read for it.
    bench.world.candidate_delay_ms.store(400, Ordering::SeqCst);
    bench.take(1..=2).await;
    bench.compared(2).await;
    bench.world.candidate_delay_ms.store(3_000, Ordering::SeqCst);
    let began = Instant::now();
    bench.take(3..=101).await;
    let (took, waited) = (began.elapsed(), 99 * DEADLINE);
    assert!(took < waited / 3, "99 bars took {took:?}; if each waited for the candidate it would be {waited:?}");
    bench.compared(101).await;
    bench.world.candidate_delay_ms.store(130, Ordering::SeqCst);
    for sequence in 102..=103 {
        bench.take(sequence..=sequence).await;
        bench.compared(sequence).await;
    }
    let status = bench.bars.live.status();
    let candidate = status.candidate.unwrap();
    assert_eq!((candidate.bars, candidate.errors, candidate.deadline_misses), (4, 99, 2));
    assert_eq!((status.stable.unwrap().bars, status.bars_in_step, status.paired.unwrap().n), (103, 4, 103));
}

/// The bars that a broken candidate was to drive are driven by the stable, and the records say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_candidate_falls_back() {
    let mut bench = fresh(wanted(10_000, true)).await;
    bench.take(1..=3).await;
    bench.world.candidate_fails.store(true, Ordering::SeqCst);
    bench.take(4..=6).await;
    let drivers: Vec<_> = bench.log.records().iter().map(|e| (e.record.driver, e.record.fallback)).collect();
    let (own, fallen) = ((Driver::Candidate, false), (Driver::Stable, true));
    assert_eq!(drivers, [own, own, own, fallen, fallen, fallen]);
    bench.compared(6).await;
}

/// A halt reaches execution although no bar comes, and the next bar is decided under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_arrives_at_once() {
    let mut bench = fresh(wanted(0, false)).await;
    tokio::spawn(carry_halt(
        bench.bars.execution.clone(),
        bench.bars.wanted.clone(),
        bench.bars.live.clone(),
        bench.stop.clone(),
    ));
    bench.take(1..=66).await;
    bench.wanted.send_modify(|wanted| wanted.as_mut().unwrap().control.halt = true);
    until(|| bench.world.halts.lock().unwrap().last().is_some_and(|halt| *halt)).await;
    let before = bench.world.submitted.lock().unwrap().len();
    bench.take(67..=130).await;
    assert_eq!(bench.world.submitted.lock().unwrap().len(), before);
    let entries = bench.log.records();
    assert!(entries.iter().skip(66).filter(|e| e.record.decision.execute).all(|e| e.record.reason == "policy_halt"));
    assert!(bench.bars.live.status().halted);
    bench.wanted.send_modify(|wanted| wanted.as_mut().unwrap().control.halt = false);
    until(|| bench.world.halts.lock().unwrap().last().is_some_and(|halt| !*halt)).await;
    bench.take(131..=200).await;
    assert!(bench.world.submitted.lock().unwrap().len() > before, "it clears");
}

/// Nothing is decided before the resource says who serves.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_resource_means_no_decision() {
    let mut bench = bench(None, MemoryLog::new(), MemoryLog::new()).await;
    let live = bench.bars.live.clone();
    let sender = bench.wanted.clone();
    let (sequence, name, bar) = stream(1).pop().unwrap();
    let tell = async {
        until(|| live.status().waiting_for.contains("API server")).await;
        let mut none = wanted(0, false);
        none.routing.stable.clear();
        sender.send_replace(Some(none));
        until(|| live.status().waiting_for.contains("stable bundle")).await;
        sender.send_replace(Some(wanted(0, false)));
    };
    let (outcome, ()) = tokio::join!(bench.bars.take(message(sequence, &name, &bar)), tell);
    outcome.unwrap();
    assert_eq!(bench.log.records().len(), 1);
}

/// Killed between decision and evidence: the trade is sent again, the comparison has each bar once.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_last_trade_and_the_missing_evidence_follow() {
    let mut first = fresh(wanted(5_000, true)).await;
    let mut last = 150;
    first.take(1..=last).await;
    while first.log.records().last().unwrap().record.trade.is_none() {
        last += 1;
        first.take(last..=last).await;
    }
    first.compared(last).await;
    let (entries, compared) = (first.log.records(), first.evidence.records());
    first.stop.cancel();

    // The journal of decisions is whole, that of evidence lacks the last seven bars.
    let (log, evidence) = (MemoryLog::new(), MemoryLog::new());
    tradewind_journal::Log::append_batch(&mut log.clone(), &entries).unwrap();
    tradewind_journal::Log::append_batch(&mut evidence.clone(), &compared[..compared.len() - 7]).unwrap();
    let mut second = bench(Some(wanted(5_000, true)), log, evidence).await;
    second.bars.resume().await.unwrap();
    second.compared(last).await;
    assert_eq!(second.evidence.records(), compared);
    let sent = second.world.submitted.lock().unwrap().clone();
    assert_eq!(sent, [entries.last().unwrap().record.trade.as_ref().unwrap().trade_id.clone()]);
    assert_eq!(second.bars.engine.last_sequence(), last);
    let side = entries.last().unwrap().record.trade.as_ref().unwrap().side;
    assert!(matches!(side, Side::Long | Side::Short));
}

/// D4, D5, D14 in the bar loop: each kind of wrong message is named and counted, and the bars around it are decided as if
/// it had not come.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_feed_brings_ends_the_loop() {
    let mut bench = fresh(wanted(0, false)).await;
    bench.take(1..=80).await;
    let good = |sequence: u64| {
        let (_, name, bar) = stream(sequence).pop().unwrap();
        bar_to_wire(&bar, &settings().instruments[&name]).unwrap()
    };
    let next = good(81);
    let wrong = [
        ("volume", v1::Bar { volume: 2.5e27, ..next.clone() }),
        ("volume", v1::Bar { volume: f64::NAN, ..next.clone() }),
        ("price", v1::Bar { low_nanos: 4_500_000, ..next.clone() }),
        ("off_grid", v1::Bar { open_nanos: next.open_nanos + 4_000_000, ..next.clone() }),
        ("range", v1::Bar { high_nanos: next.low_nanos, ..next.clone() }),
        ("interval", v1::Bar { close_time_ns: next.open_time_ns, ..next.clone() }),
        ("rewritten", v1::Bar { volume: 7.0, ..good(79) }),
        ("time_order", v1::Bar { open_time_ns: 0, close_time_ns: 1, ..next.clone() }),
        ("jump", v1::Bar { index: u64::MAX, ..next.clone() }),
    ];
    for (number, (reason, message)) in (1..).zip(&wrong) {
        bench.bars.take(followed(100, message.clone())).await.unwrap();
        let status = bench.bars.live.status();
        assert_eq!((status.quarantined_total, status.last_sequence), (number, 80), "{reason}");
        let shown = status.recent_quarantined.last().unwrap();
        assert_eq!((shown.reason.as_str(), shown.symbol.as_str(), shown.index), (*reason, "SPX", message.index));
        assert!(!shown.value.is_empty() && !shown.limit.is_empty(), "{shown:?}");
    }
    bench.bars.take(followed(110, good(79))).await.unwrap();
    bench.bars.take(Followed::Gap { from: 111, to: 113 }).await.unwrap();
    // Two numbers of IXIC are left out.
    bench.bars.take(followed(120, good(81))).await.unwrap();
    bench.bars.take(followed(121, good(86))).await.unwrap();
    let status = bench.bars.live.status();
    assert_eq!((status.duplicates_total, status.missing_total, status.last_sequence, status.bars_decided), (1, 5, 121, 82));
}

/// Item 6: what a service refuses of a bar or a trade for good is quarantined, not asked for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_good_costs_one_bar() {
    let mut bench = fresh(wanted(0, false)).await;
    bench.world.execution_refuses.store(5, Ordering::SeqCst);
    bench.world.stable_refuses.store(10, Ordering::SeqCst);
    bench.world.trades_refused.store(true, Ordering::SeqCst);
    bench.take(1..=120).await;
    let status = bench.bars.live.status();
    // Bar 5 by execution, bar 10 of both symbols by the stable.
    assert_eq!((status.bars_decided, status.waiting_for.as_str(), status.waiting_since_ns), (117, "", 0));
    let trades = bench.log.records().iter().filter(|entry| entry.record.trade.is_some()).count() as u64;
    assert!(trades > 0);
    assert_eq!(status.quarantined_total, 3 + trades);
    assert_eq!(status.recent_quarantined.last().unwrap().reason, "trade_refused");
}

/// Item 5: `Off` and `Shadow` take working entries back as a halt does, and leave no halt behind.
#[tokio::test(flavor = "multi_thread")]
async fn trading_off_and_shadow_withdraw_working_entries() {
    for mode in [Trading::Off, Trading::Shadow] {
        let bench = fresh(wanted(0, false)).await;
        let (execution, live) = (bench.bars.execution.clone(), bench.bars.live.clone());
        tokio::spawn(carry_halt(execution, bench.bars.wanted.clone(), live, bench.stop.clone()));
        let told = || bench.world.halts.lock().unwrap().clone();
        until(|| told() == [false]).await;
        bench.wanted.send_modify(|wanted| wanted.as_mut().unwrap().control.trading = mode);
        until(|| told() == [false, true, false]).await;
        bench.wanted.send_modify(|wanted| wanted.as_mut().unwrap().control.halt = true);
        until(|| told() == [false, true, false, true]).await;
    }
}

/// Item 5: after a restart nothing is sent that the spec no longer allows, and status says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_sends_only_what_the_spec_still_allows() {
    let mut first = fresh(wanted(0, false)).await;
    let mut last = 60;
    first.take(1..=last).await;
    while first.log.records().last().unwrap().record.trade.is_none() {
        last += 1;
        first.take(last..=last).await;
    }
    let entries = first.log.records();
    first.stop.cancel();
    for (halt, trading, sent) in
        [(true, Trading::Paper, 0), (false, Trading::Off, 0), (false, Trading::Shadow, 0), (false, Trading::Paper, 1)]
    {
        let log = MemoryLog::new();
        tradewind_journal::Log::append_batch(&mut log.clone(), &entries).unwrap();
        let mut now = wanted(0, false);
        now.control = Control { halt, trading };
        let mut second = bench(None, log, MemoryLog::new()).await;
        let (live, sender) = (second.bars.live.clone(), second.wanted.clone());
        let tell = async {
            until(|| live.status().waiting_for.contains("API server")).await;
            sender.send_replace(Some(now));
        };
        let (outcome, ()) = tokio::join!(second.bars.resume(), tell);
        outcome.unwrap();
        assert_eq!(second.world.submitted.lock().unwrap().len(), sent, "{halt} {trading:?}");
        let withheld = second.bars.live.status().recent_quarantined;
        assert_eq!(withheld.len(), 1 - sent);
        assert!(withheld.iter().all(|one| one.reason == "trade_withheld"), "{withheld:?}");
    }
}

/// Item 6: a wait says for what and since when.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_tells_since_when() {
    let bench = fresh(wanted(0, false)).await;
    let live = &bench.bars.live;
    bench.clock.store(100, Ordering::SeqCst);
    live.waiting_for("execution: starting");
    bench.clock.store(200, Ordering::SeqCst);
    live.waiting_for("execution: still starting");
    let status = live.status();
    assert_eq!((status.waiting_for.as_str(), status.waiting_since_ns), ("execution: still starting", 100));
    live.waiting_for("");
    assert_eq!(live.status().waiting_since_ns, 0);
}

/// Item 4: a backlog of a live feed is recorded, not traded, and a trade of long ago is not sent after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_not_traded_as_fresh() {
    let mut live = settings();
    live.freshness.kind = FeedKind::Live;
    let clock = |bench: &Bench, sequence: u64, later: i64| {
        let (_, _, bar) = stream(sequence).pop().unwrap();
        bench.clock.store(bar.close_time.0 + later, Ordering::SeqCst);
    };
    let mut first = bench_of(live.clone(), Some(wanted(0, false)), MemoryLog::new(), MemoryLog::new()).await;
    // On time: traded.
    let mut last = 0;
    while first.log.records().last().is_none_or(|entry| entry.record.trade.is_none()) {
        last += 1;
        clock(&first, last, 1_000_000);
        first.take(last..=last).await;
    }
    assert_eq!(first.world.submitted.lock().unwrap().len(), 1);
    let (entries, day) = (first.log.records(), 86_400_000_000_000);
    first.stop.cancel();
    let log = MemoryLog::new();
    tradewind_journal::Log::append_batch(&mut log.clone(), &entries).unwrap();
    let mut second = bench_of(live, Some(wanted(0, false)), log, MemoryLog::new()).await;
    clock(&second, last + 200, 2 * day);
    second.bars.resume().await.unwrap();
    second.take(last + 1..=last + 200).await;
    assert!(second.world.submitted.lock().unwrap().is_empty());
    let status = second.bars.live.status();
    assert_eq!((status.stale_total, status.quarantined_total, status.bars_decided), (200, 1, last + 200));
    assert_eq!(status.recent_quarantined[0].reason, "trade_withheld");
    assert!(second.log.records().iter().any(|entry| entry.record.reason == "stale_bar"));
    assert!(status.feed_silent_since_ns > 0 && status.silent_symbols == "IXIC, SPX", "{}", status.silent_symbols);
    // The next bar comes on time: fresh again.
    clock(&second, last + 202, 0);
    second.take(last + 201..=last + 202).await;
    let status = second.bars.live.status();
    assert_eq!((status.stale_total, status.feed_silent_since_ns, status.silent_symbols.as_str()), (200, 0, ""));
}
