//! The process around the engine against services in this process that fail on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use tradewind_journal::MemoryLog;
use tradewind_policy::serve::{Bars, Candidates, DEADLINE, Figures, Live, Revisions, carry_halt};
use tradewind_policy::{Control, Driver, Engine, Entry, PairEntry, Pairing, Routing, Trading, Wanted};
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::client::channel;
use tradewind_wire::convert::{bar_from_wire, bar_to_wire, money_to_wire};
use tradewind_wire::server::BoundServer;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;
use tradewind_wire::v1::execution_server::{Execution, ExecutionServer};
use tradewind_wire::v1::inference_server::{Inference, InferenceServer};

/// Faults that a test switches on and off, and what was heard.
#[derive(Clone, Default)]
struct World {
    execution_down: Arc<AtomicBool>,
    stable_down: Arc<AtomicBool>,
    candidate_delay_ms: Arc<AtomicU64>,
    candidate_fails: Arc<AtomicBool>,
    submitted: Arc<Mutex<Vec<String>>>,
    advanced: Arc<Mutex<Vec<u64>>>,
    halts: Arc<Mutex<Vec<(bool, Instant)>>>,
}

#[tonic::async_trait]
impl Execution for World {
    async fn advance(&self, request: Request<v1::AdvanceRequest>) -> Result<Response<v1::AccountView>, Status> {
        if self.execution_down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("starting"));
        }
        let sequence = request.into_inner().sequence;
        self.advanced.lock().unwrap().push(sequence);
        let equity = Some(money_to_wire(Money::from_units(1_000_000)).unwrap());
        Ok(Response::new(v1::AccountView { sequence, equity, trading_state: "Normal".into(), ..v1::AccountView::default() }))
    }

    async fn submit(&self, request: Request<v1::TradeQualified>) -> Result<Response<v1::SubmitReply>, Status> {
        let trade_id = request.into_inner().trade_id;
        self.submitted.lock().unwrap().push(trade_id.clone());
        Ok(Response::new(v1::SubmitReply { trade_id, status: "accepted".into(), ..v1::SubmitReply::default() }))
    }

    async fn halt(&self, request: Request<v1::HaltRequest>) -> Result<Response<v1::HaltReply>, Status> {
        self.halts.lock().unwrap().push((request.into_inner().halt, Instant::now()));
        Ok(Response::new(v1::HaltReply { cancelled: 0 }))
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
    let (world, stop) = (World::default(), CancellationToken::new());
    let execution = listen(Routes::new(ExecutionServer::new(world.clone())), &stop).await;
    let mut elsewhere = BTreeMap::new();
    for bundle in [STABLE, CANDIDATE] {
        let routes = Routes::new(InferenceServer::new(Model { bundle, world: world.clone() }));
        elsewhere.insert(bundle.to_owned(), listen(routes, &stop).await);
    }
    let (sender, receiver) = watch::channel(first);
    let settings = settings();
    let engine = Engine::open(settings.clone(), Box::new(log.clone())).unwrap();
    let pairing = Pairing::open(settings.shadow(), settings.instruments, Box::new(evidence.clone())).unwrap();
    let live = Live::new(&engine, pairing, receiver.clone());
    let figures = Figures::new(&Metrics::new().unwrap());
    let revisions = Revisions::new("indices".into(), "trading".into(), Security::PlaintextLoopback, elsewhere);
    let (failed, _) = mpsc::channel(1);
    let bars = Bars {
        engine,
        execution: ExecutionClient::new(channel(&execution, &Security::PlaintextLoopback).unwrap()),
        candidates: Candidates::start(revisions.clone(), live.clone(), figures.clone(), failed),
        revisions,
        wanted: receiver,
        live,
        figures,
        stop: stop.clone(),
        stable: None,
    };
    Bench { bars, world, wanted: sender, log, evidence, stop }
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

fn message(sequence: u64, name: &tradewind_core::instrument::Symbol, bar: &Bar) -> SequencedBar {
    SequencedBar { sequence, bar: bar_to_wire(bar, &settings().instruments[name]).unwrap() }
}

async fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < give_up, "the condition did not come true within 20 s");
        tokio::task::yield_now().await;
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
    let other = SequencedBar { sequence: 201, bar: v1::Bar { symbol: "DAX".into(), ..v1::Bar::default() } };
    bench.bars.take(other).await.unwrap();
    assert_eq!(bench.log.records().len(), 200);
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
    assert!(began.elapsed() < DEADLINE, "99 bars took {:?}, less than one answer of the candidate may", began.elapsed());
    bench.compared(101).await;
    bench.world.candidate_delay_ms.store(130, Ordering::SeqCst);
    bench.take(102..=103).await;
    bench.compared(103).await;
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

/// A halt reaches execution within a second while bars flow, and the next bar is decided under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_arrives_at_once() {
    let mut bench = fresh(wanted(0, false)).await;
    tokio::spawn(carry_halt(bench.bars.execution.clone(), bench.bars.wanted.clone(), bench.stop.clone()));
    bench.take(1..=66).await;
    let halted_at = Instant::now();
    bench.wanted.send_modify(|wanted| wanted.as_mut().unwrap().control.halt = true);
    until(|| bench.world.halts.lock().unwrap().last().is_some_and(|(halt, _)| *halt)).await;
    let heard_at = bench.world.halts.lock().unwrap().last().unwrap().1;
    assert!(heard_at - halted_at < Duration::from_secs(1), "{:?}", heard_at - halted_at);
    let before = bench.world.submitted.lock().unwrap().len();
    bench.take(67..=130).await;
    assert_eq!(bench.world.submitted.lock().unwrap().len(), before);
    let entries = bench.log.records();
    assert!(entries.iter().skip(66).filter(|e| e.record.decision.execute).all(|e| e.record.reason == "policy_halt"));
    assert!(bench.bars.live.status().halted);
    bench.wanted.send_modify(|wanted| wanted.as_mut().unwrap().control.halt = false);
    until(|| bench.world.halts.lock().unwrap().last().is_some_and(|(halt, _)| !*halt)).await;
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
