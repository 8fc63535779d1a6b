//! Two policies on one account: what one of them holds counts at the other's limits, so the order in which they come to the
//! gate decides. Processes of any speed at a served gate give the ledgers of one process, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tradewind_core::time::Nanos;
use tradewind_crds::samples;
use tradewind_execution::serve::{RemoteGate, follow_risk};
use tradewind_execution::{ExecutionError, GateError};
use tradewind_inference::testing::{daily_bars, following, swift_stage};
use tradewind_journal::MemoryLog;
use tradewind_replay::{
    Account, Ledgers, Member, MemoryJournals, Pipeline, PipelineError, Served, Setup, SetupError, account_of,
};
use tradewind_risk::serve::{FeedSource, Feeds, Running, Service};
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::client::channel;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::Readiness;
use tradewind_wire::server::BoundServer;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::risk_client::RiskClient;

const POLICIES: [(&str, &str); 2] = [("nasdaq", "IXIC"), ("spx", "SPX")];
const LIMIT_BPS: i64 = 1_300;
const DAYS: u64 = 260;

/// The feed: a bar of each symbol a day.
fn bars() -> Vec<v1::Bar> {
    let [one, other] = POLICIES.map(|(_, symbol)| daily_bars(symbol, DAYS));
    one.into_iter().zip(other).flat_map(|(one, other)| [one, other]).collect()
}

/// A policy with one instrument, under limits that are too narrow for both to hold what they want.
fn setup(policy: &str, symbol: &str) -> Setup {
    let mut resource = samples::policy(policy, "main", "tactical-a");
    resource.spec.venue.partial_fill_bps = 3_000;
    resource.spec.venue.latency_ms = 20;
    resource.spec.instruments.retain(|instrument| instrument.symbol == symbol);
    let mut profile = samples::profile("main", "paper-1");
    profile.spec.limits.max_gross_exposure_bps = LIMIT_BPS;
    let digest = "0".repeat(64);
    let served = Served { bundle: "0123456789ab", strategic_sha256: &digest, tactical_sha256: &digest };
    let mut setup = Setup::new(&resource, &profile, served).unwrap();
    setup.bundle.strategic = swift_stage();
    setup.bundle.tactical.min_synergy_confidence = 0.0;
    setup
}

fn setups() -> [Setup; 2] {
    POLICIES.map(|(policy, symbol)| setup(policy, symbol))
}

fn ledgers(journals: &MemoryJournals) -> Ledgers {
    Ledgers::of(&journals.decisions.records(), &journals.execution.records()).unwrap()
}

/// Both policies in this process, one bar after the other.
fn in_one_process(setups: &[Setup; 2], bars: &[v1::Bar]) -> [Ledgers; 2] {
    let journals = [MemoryJournals::default(), MemoryJournals::default()];
    let member = |(setup, journals): (&Setup, &MemoryJournals)| Member {
        setup: setup.clone(),
        networks: following(),
        journals: journals.of_policy(),
    };
    let members = setups.iter().zip(&journals).map(member).collect();
    let mut account = Account::open(members, Box::new(MemoryLog::new())).unwrap();
    (1..).zip(bars).try_for_each(|(sequence, bar)| account.take(sequence, bar)).unwrap();
    journals.each_ref().map(ledgers)
}

/// The gate of the account as its process serves it.
async fn serve(setups: &[Setup; 2], bars: &[v1::Bar], stop: &CancellationToken) -> String {
    let found = |(sequence, bar): (u64, &v1::Bar)| {
        (sequence, SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar: bar.clone() })
    };
    let recording: BTreeMap<u64, SequencedBar> = (1..).zip(bars).map(found).collect();
    let mut engine = tradewind_risk::Engine::open("paper-1", Box::new(MemoryLog::new())).unwrap();
    engine.apply_profile(1, &setups[0].profile.spec).unwrap();
    engine.apply_account(&account_of(&[&setups[0], &setups[1]]).unwrap()).unwrap();
    let running = Running::start(engine, &Pinning::read().unwrap()).unwrap();
    let feeds = Feeds::new(FeedSource::Recorded(Arc::new(Mutex::new(recording))), stop.clone());
    let service = Service::new(running, feeds, &Metrics::new().unwrap());
    let server = BoundServer::bind("127.0.0.1:0".parse().unwrap(), Security::PlaintextLoopback).await.unwrap();
    let address = server.address().to_string();
    tokio::spawn(server.run(Routes::new(service.server()), stop.clone()));
    address
}

/// The processes of one policy: as fast as `pace` says, opened again on its journals whenever the gate does not answer.
struct Processes {
    setup: Setup,
    gate: RemoteGate,
    journals: MemoryJournals,
    pace: Box<dyn Fn(u64) -> Duration + Send>,
    /// All have claimed their orders.
    ready: Arc<Barrier>,
}

impl Processes {
    fn run(self, bars: &[v1::Bar]) -> Ledgers {
        let mut first = true;
        while !self.life(bars, std::mem::take(&mut first)) {}
        ledgers(&self.journals)
    }

    /// Until the end of the feed (true), or until the gate does not answer.
    fn life(&self, bars: &[v1::Bar], first: bool) -> bool {
        let policy = self.journals.of_policy();
        let mut pipeline = match Pipeline::join(&self.setup, following(), policy, self.gate.clone()) {
            Ok(pipeline) => pipeline,
            Err(error) if unanswered(&error) => return false,
            Err(error) => panic!("{error}"),
        };
        if first {
            self.ready.wait();
        }
        for (sequence, bar) in (1..).zip(bars) {
            // A process is as slow as it is; nothing is waited for.
            std::thread::sleep((self.pace)(sequence));
            match pipeline.step(sequence, bar) {
                Ok(_) => {}
                Err(error) if unanswered(&error) => return false,
                Err(error) => panic!("bar {sequence}: {error}"),
            }
            // What the decider does when it finds no bar at hand. A word that is lost costs time, nothing else.
            let _ = pipeline.execution().settle(&v1::SettleRequest { sequence });
        }
        true
    }
}

fn unanswered(error: &PipelineError) -> bool {
    matches!(error, PipelineError::Execution(ExecutionError::Gate(GateError::Unavailable(_))))
}

async fn at_a_served_gate(setups: &[Setup; 2], bars: &Arc<Vec<v1::Bar>>, seed: u64) -> [Ledgers; 2] {
    let stop = CancellationToken::new();
    let address = serve(setups, bars, &stop).await;
    let ready = Arc::new(Barrier::new(2));
    let mut running = Vec::new();
    for (at, setup) in (0_u64..).zip(setups) {
        let client = RiskClient::new(channel(&address, &Security::PlaintextLoopback).unwrap());
        let (sender, heard) = watch::channel(None);
        tokio::spawn(follow_risk(client.clone(), sender, Readiness::new(), stop.clone()));
        heard.clone().wait_for(Option::is_some).await.unwrap();
        let pace = move |sequence: u64| {
            let chance =
                (sequence + 1).wrapping_mul(6_364_136_223_846_793_005).rotate_left(u32::try_from(7 * (seed + at)).unwrap());
            // One is usually ahead for a while, then the other.
            let slow = (sequence / 40 + at + seed).is_multiple_of(2);
            Duration::from_micros(chance % if slow { 3_000 } else { 150 })
        };
        let processes = Processes {
            setup: setup.clone(),
            gate: RemoteGate::new(client, heard),
            journals: MemoryJournals::default(),
            pace: Box::new(pace),
            ready: Arc::clone(&ready),
        };
        let bars = Arc::clone(bars);
        running.push(tokio::task::spawn_blocking(move || std::thread::spawn(move || processes.run(&bars)).join().unwrap()));
    }
    let mut seen = Vec::new();
    for one in running {
        seen.push(tokio::time::timeout(Duration::from_secs(180), one).await.expect("both come to the end").unwrap());
    }
    stop.cancel();
    seen.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_policies_at_one_gate_give_the_ledgers_of_one_process_however_fast_each_is() {
    let (setups, bars) = (setups(), Arc::new(bars()));
    let wanted = in_one_process(&setups, &bars);
    for ledger in &wanted {
        assert!(ledger.fills.len() > 10, "{} fills", ledger.fills.len());
    }
    let denied = |ledgers: &Ledgers| ledgers.orders.iter().filter(|line| line.contains("gross")).count();
    assert!(
        denied(&wanted[0]) + denied(&wanted[1]) > 3,
        "the account's limit must come between them: {:?}",
        wanted.each_ref().map(denied)
    );
    for seed in 0..2 {
        let seen = at_a_served_gate(&setups, &bars, seed).await;
        for ((seen, wanted), (policy, _)) in seen.iter().zip(&wanted).zip(POLICIES) {
            for (name, seen, wanted) in [
                ("decisions", &seen.decisions, &wanted.decisions),
                ("orders", &seen.orders, &wanted.orders),
                ("fills", &seen.fills, &wanted.fills),
            ] {
                let differs = seen.iter().zip(wanted).position(|(seen, wanted)| seen != wanted);
                assert_eq!(differs.map(|at| (at, &seen[at], &wanted[at])), None, "{policy}, {name}, seed {seed}");
                assert_eq!(seen.len(), wanted.len(), "{policy}, {name}, seed {seed}");
            }
        }
    }
}

#[test]
fn policies_that_cannot_share_an_account_are_refused() {
    let refused = |setups: &[&Setup]| match account_of(setups) {
        Err(SetupError::Invalid(text)) => text,
        other => panic!("{other:?}"),
    };
    let one = setup("nasdaq", "IXIC");
    let twice = refused(&[&one, &setup("also", "IXIC")]);
    assert!(twice.contains("IXIC"), "{twice}");
    let mut elsewhere = setup("spx", "SPX");
    elsewhere.trading.account = "paper-2".into();
    let other = refused(&[&one, &elsewhere]);
    assert!(other.contains("'paper-1'") && other.contains("'paper-2'"), "{other}");
    assert!(refused(&[]).contains("no policy"));
}
