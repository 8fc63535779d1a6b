//! The sequencer: one record per bar, restarts that leave no trace, gates in their order.

use std::collections::BTreeSet;

use crate::fixture::{CANDIDATE, PAPER, STABLE, account, answer, holding, settings, strategic, stream};
use proptest::prelude::*;
use tradewind_core::money::Money;
use tradewind_journal::testing::{Death, FaultyLog};
use tradewind_journal::{Journal, JournalError, MemoryLog};
use tradewind_policy::gates::AccountState;
use tradewind_policy::{
    AccountSnapshot, Answer, Control, DECISIONS_FILE, Driver, Engine, Entry, Input, Routing, SequencerError, Trading, read_ledger,
};

fn rollout(step: u32, weight_bps: u32) -> Routing {
    Routing { stable: STABLE.into(), candidate: Some(CANDIDATE.into()), step, weight_bps, confidence_bps: 9_500 }
}

/// Runs the stream from where the engine is; the account is flat.
fn run(engine: &mut Engine, routing: &Routing, len: u64) -> Result<Vec<Entry>, SequencerError> {
    run_with(engine, routing, PAPER, &account(1_000_000), len)
}

fn run_with(
    engine: &mut Engine,
    routing: &Routing,
    control: Control,
    account: &AccountSnapshot,
    len: u64,
) -> Result<Vec<Entry>, SequencerError> {
    let due = engine.last_sequence() + 1;
    let mut entries = Vec::new();
    for (sequence, symbol, bar) in stream(len).into_iter().filter(|(sequence, ..)| *sequence >= due) {
        let stable = answer(STABLE, &symbol, &bar, false);
        let candidate = routing.candidate.as_ref().map(|bundle| answer(bundle, &symbol, &bar, true));
        let (symbol, bar) = (&symbol, &bar);
        entries.push(
            engine.decide(Input { sequence, symbol, bar, routing, control, stale: false, account, stable, candidate })?.clone(),
        );
    }
    Ok(entries)
}

fn fresh() -> (Engine, MemoryLog<Entry>) {
    let log = MemoryLog::new();
    (Engine::open(settings(), Box::new(log.clone())).unwrap(), log)
}

#[test]
fn one_record_per_bar_and_the_newest_can_be_asked_again() {
    let (mut engine, log) = fresh();
    let entries = run(&mut engine, &Routing::fixed(STABLE), 400).unwrap();
    let keys: BTreeSet<_> = entries.iter().map(|entry| (entry.record.symbol.clone(), entry.record.index)).collect();
    assert_eq!((keys.len(), log.records().len(), engine.records()), (400, 400, 400));
    let trades = entries.iter().filter(|entry| entry.record.trade.is_some()).count();
    assert!(trades > 50, "{trades} trades");
    for entry in &entries {
        assert_eq!(entry.record.trade.is_none(), !entry.record.reason.is_empty(), "{:?}", entry.record);
        assert_eq!((entry.record.driver, entry.record.bundle.as_str()), (Driver::Stable, STABLE));
    }

    let (sequence, symbol, bar) = stream(400).pop().unwrap();
    let (routing, account) = (Routing::fixed(STABLE), account(1));
    let ask = |sequence| Input {
        sequence,
        symbol: &symbol,
        bar: &bar,
        routing: &routing,
        control: PAPER,
        stale: false,
        account: &account,
        stable: answer(STABLE, &symbol, &bar, true),
        candidate: None,
    };
    assert_eq!(engine.decide(ask(sequence)).unwrap(), &entries[399], "the first answer stands");
    assert_eq!(log.records().len(), 400);
    assert!(matches!(engine.decide(ask(399)), Err(SequencerError::Past { found: 399, last: 400 })));
    assert!(matches!(engine.decide(ask(401)), Err(SequencerError::Order { found: 199, expected: 200, .. })));
}

#[test]
fn the_ledger_on_disk_is_the_digest_of_the_engine() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::<Entry>::open(&directory.path().join(DECISIONS_FILE)).unwrap();
    let mut engine = Engine::open(settings(), Box::new(journal)).unwrap();
    run(&mut engine, &rollout(1, 5_000), 120).unwrap();
    let mut lines = Vec::new();
    let digest = read_ledger(directory.path(), Some(&mut lines)).unwrap();
    assert_eq!((digest.hex(), digest.lines()), (engine.digest(), 120));
    let text = String::from_utf8(lines).unwrap();
    assert_eq!(text.lines().count(), 120);
    assert!(text.starts_with(r#"{"sequence":1,"symbol":"SPX","index":0,"#), "{}", &text[..80]);
    assert!(!text.contains("-0.0,"), "a negative zero would be a sign of an empty sum");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Killed after any write, before or after the disk has it: the ledger is that of a run that was never killed.
    #[test]
    fn a_killed_engine_goes_on_as_if_nothing_had_happened(kills in prop::collection::vec((1_u64..60, any::<bool>()), 1..6)) {
        let len = 240;
        let (mut whole, _) = fresh();
        run(&mut whole, &rollout(2, 5_000), len).unwrap();
        let log = MemoryLog::<Entry>::new();
        for (writes, after) in kills {
            let death = if after { Death::AfterWrite } else { Death::BeforeWrite };
            let mut engine = Engine::open(settings(), Box::new(FaultyLog::new(log.clone(), writes, death))).unwrap();
            match run(&mut engine, &rollout(2, 5_000), len) {
                Ok(_) => prop_assert_eq!(engine.digest(), whole.digest()),
                Err(SequencerError::Journal(JournalError::Injected { .. })) => {}
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
        let mut last = Engine::open(settings(), Box::new(log)).unwrap();
        run(&mut last, &rollout(2, 5_000), len).unwrap();
        prop_assert_eq!(last.digest(), whole.digest());
    }
}

/// Design section 5: the unit of a canary is one symbol in one session; weight 0 never, 10000 always.
#[test]
fn the_candidate_drives_its_share_of_sessions() {
    for (weight, range) in [(0, 0..=0), (1_000, 20..=65), (5_000, 160..=240), (10_000, 400..=400)] {
        let (mut engine, _) = fresh();
        let entries = run(&mut engine, &rollout(1, weight), 400).unwrap();
        let driven: Vec<_> = entries.iter().filter(|entry| entry.record.driver == Driver::Candidate).collect();
        assert!(range.contains(&driven.len()), "weight {weight}: {}", driven.len());
        for entry in &entries {
            let candidate = entry.record.driver == Driver::Candidate;
            assert_eq!(entry.record.bundle, if candidate { CANDIDATE } else { STABLE });
            assert_eq!(entry.record.decision.bundle, entry.record.bundle);
            assert_eq!(entry.stable_decision().bundle, STABLE, "the stable is always there to compare with");
            assert_eq!(entry.pair.as_ref().unwrap().candidate, CANDIDATE);
        }
    }
}

#[test]
fn a_silent_candidate_falls_back_to_the_stable_and_the_record_says_so() {
    let (mut engine, _) = fresh();
    let (sequence, symbol, bar) = stream(1).pop().unwrap();
    let stable = answer(STABLE, &symbol, &bar, false);
    let account = account(1_000_000);
    let routing = rollout(1, 10_000);
    let input = Input {
        sequence,
        symbol: &symbol,
        bar: &bar,
        routing: &routing,
        control: PAPER,
        stale: false,
        account: &account,
        stable,
        candidate: None,
    };
    let record = &engine.decide(input).unwrap().record;
    assert_eq!((record.driver, record.bundle.as_str(), record.fallback), (Driver::Stable, STABLE, true));
}

/// ST-128: the event and the decision on it are written down as the driver had them, and survive the journal.
#[test]
fn the_strategic_decision_of_the_driver_is_recorded() {
    let (mut engine, log) = fresh();
    let (sequence, symbol, bar) = stream(1).pop().unwrap();
    let answers = [STABLE, CANDIDATE]
        .map(|bundle| Answer { strategic: Some(strategic(bundle, &symbol, &bar)), ..answer(bundle, &symbol, &bar, false) });
    let [stable, candidate] = answers;
    let (account, routing) = (account(1_000_000), rollout(1, 10_000));
    let input = Input {
        sequence,
        symbol: &symbol,
        bar: &bar,
        routing: &routing,
        control: PAPER,
        stale: false,
        account: &account,
        stable,
        candidate: Some(candidate.clone()),
    };
    assert_eq!(engine.decide(input).unwrap().record.strategic, candidate.strategic);
    let line = serde_json::to_string(&log.records()[0].record).unwrap();
    assert!(line.contains(r#""eventId":"SPX/0/TYPE_2""#), "{line}");
    let read: tradewind_policy::DecisionRecord = serde_json::from_str(&line).unwrap();
    assert_eq!(read.strategic, candidate.strategic);
}

#[test]
fn halts_modes_and_limits_end_in_their_reason() {
    let reasons = |control: Control, account: &AccountSnapshot| -> BTreeSet<String> {
        let (mut engine, _) = fresh();
        let entries = run_with(&mut engine, &Routing::fixed(STABLE), control, account, 300).unwrap();
        let wanting = entries.into_iter().filter(|entry| entry.record.decision.execute);
        wanting.map(|entry| if entry.record.trade.is_some() { "trade".into() } else { entry.record.reason }).collect()
    };
    let one = |reason: &str| BTreeSet::from([reason.to_owned()]);
    let flat = account(1_000_000);
    let with = |change: &dyn Fn(&mut AccountSnapshot)| {
        let mut account = flat.clone();
        change(&mut account);
        account
    };
    assert_eq!(reasons(PAPER, &flat), one("trade"));
    assert_eq!(reasons(Control { halt: true, ..PAPER }, &flat), one("policy_halt"));
    assert_eq!(reasons(PAPER, &with(&|a| a.figures.state = AccountState::Halted)), one("account_halt"));
    assert_eq!(reasons(PAPER, &with(&|a| a.figures.state = AccountState::ReduceOnly)), one("reduce_only"));
    assert_eq!(reasons(PAPER, &with(&|a| a.figures.daily_pnl_bps = -300)), one("new_trades_blocked"));
    assert_eq!(reasons(PAPER, &with(&|a| a.figures.daily_pnl_bps = -200)), one("session_drawdown"));
    assert_eq!(reasons(PAPER, &with(&|a| a.figures.gross_exposure_bps = 1_500)), one("new_trades_blocked"));
    assert_eq!(reasons(PAPER, &with(&|a| a.figures.equity = Money::ZERO)), one("position_risk"), "no equity, no risk");
    let long = reasons(PAPER, &holding("SPX", 3));
    assert_eq!(long, BTreeSet::from(["position_open".to_owned(), "trade".to_owned()]), "the same side is held, the other turns");
}

#[test]
fn off_and_shadow_record_trades_and_send_none() {
    for trading in [Trading::Off, Trading::Shadow, Trading::Paper] {
        let (mut engine, _) = fresh();
        let control = Control { halt: false, trading };
        let entries = run_with(&mut engine, &Routing::fixed(STABLE), control, &account(1_000_000), 200).unwrap();
        let trades: Vec<_> = entries.iter().filter(|entry| entry.record.trade.is_some()).collect();
        assert!(!trades.is_empty());
        assert!(trades.iter().all(|entry| entry.record.submission().is_some() == (trading == Trading::Paper)));
        let Some(message) = trades[0].record.submission() else { continue };
        assert_eq!(message.trade_id, format!("indices/{}/{}", message.symbol, message.index));
        assert!(message.side == 1 && message.stop_ticks < message.reference_price_ticks || message.side == -1);
    }
}

/// PO-54: the loss at the stop stays within the orchestrator's risk per trade, whatever the base size is.
#[test]
fn the_scale_keeps_the_loss_at_the_stop_within_the_risk_per_trade() {
    let mut large = settings();
    large.base_notional = Money::from_units(5_000_000);
    large.orchestrator.base_risk_pct = 0.4;
    let mut engine = Engine::open(large, Box::new(MemoryLog::new())).unwrap();
    let entries = run(&mut engine, &Routing::fixed(STABLE), 300).unwrap();
    let trades: Vec<_> = entries.iter().filter_map(|entry| Some((entry, entry.record.trade.as_ref()?))).collect();
    assert!(!trades.is_empty());
    for (entry, trade) in trades {
        // Whole lots of 5,000,000 x scale, whose stop is 600 ticks of 0.01 away.
        let price = trade.reference_price.0 as f64 / 100.0;
        let loss = (5_000_000.0 * f64::from(trade.risk_scale_bps) / 1e4 / price).floor() * 6.0;
        let policy = entry.record.policy.as_ref().unwrap();
        let cap = policy.max_risk_pct / 100.0 * 1_000_000.0;
        assert!(loss <= cap && loss > cap * 0.98, "loss {loss} of {cap}");
        assert!(trade.risk_scale_bps < policy.risk_scale_bps);
    }
}

/// Ruling 23: a bar that came too late is followed and recorded, and not traded.
#[test]
fn a_stale_bar_moves_states_and_opens_no_trade() {
    let (mut on_time, _) = fresh();
    let entries = run(&mut on_time, &Routing::fixed(STABLE), 300).unwrap();
    let trades = entries.iter().filter(|entry| entry.record.trade.is_some()).count();
    assert!(trades > 10);
    let (mut late, _) = fresh();
    let (routing, account) = (Routing::fixed(STABLE), account(1_000_000));
    for ((sequence, symbol, bar), expected) in stream(300).iter().zip(&entries) {
        let stable = answer(STABLE, symbol, bar, false);
        let input = Input {
            sequence: *sequence,
            symbol,
            bar,
            routing: &routing,
            control: PAPER,
            stale: true,
            account: &account,
            stable,
            candidate: None,
        };
        let record = late.decide(input).unwrap().record.clone();
        assert_eq!(record.market, expected.record.market);
        assert!(record.trade.is_none());
    }
    let entries = late.entries_after(0).unwrap();
    assert!(entries.iter().filter(|entry| entry.record.reason == "stale_bar").count() >= trades);
}

/// Ruling 19: numbers that never came are passed over.
#[test]
fn a_hole_in_the_numbers_is_passed_over() {
    let (mut engine, _) = fresh();
    let (routing, account) = (Routing::fixed(STABLE), account(1_000_000));
    for (sequence, symbol, bar) in stream(120).iter().filter(|(sequence, _, _)| !(40..50).contains(sequence)) {
        let input = Input {
            sequence: *sequence,
            symbol,
            bar,
            routing: &routing,
            control: PAPER,
            stale: false,
            account: &account,
            stable: answer(STABLE, symbol, bar, false),
            candidate: None,
        };
        engine.decide(input).unwrap();
    }
    assert_eq!((engine.records(), engine.last_sequence()), (110, 120));
}

/// A policy that begins in the middle has the market states of one that saw everything, also after a restart.
#[test]
fn a_warm_engine_knows_the_market_of_before() {
    let all = stream(300);
    let market = |engine: &mut Engine, from: u64, to: u64| {
        let (routing, account) = (Routing::fixed(STABLE), account(1_000_000));
        let mut last = None;
        for (sequence, symbol, bar) in all.iter().filter(|(sequence, _, _)| (from..=to).contains(sequence)) {
            let input = Input {
                sequence: *sequence,
                symbol,
                bar,
                routing: &routing,
                control: PAPER,
                stale: false,
                account: &account,
                stable: answer(STABLE, symbol, bar, false),
                candidate: None,
            };
            last = engine.decide(input).unwrap().record.market;
        }
        last
    };
    let past: Vec<_> = all[..200].iter().map(|(_, symbol, bar)| (symbol.clone(), *bar)).collect();
    let (mut whole, _) = fresh();
    market(&mut whole, 1, 250);
    let (mut begun, log) = fresh();
    begun.warm(&past).unwrap();
    market(&mut begun, 201, 250);
    assert_eq!(begun.records(), 50);
    let entries = log.records();
    let log = MemoryLog::new();
    tradewind_journal::Log::append_batch(&mut log.clone(), &entries).unwrap();
    let mut again = Engine::open(settings(), Box::new(log)).unwrap();
    again.warm(&past).unwrap();
    assert_eq!(again.newest(), whole.newest());
    let expected = market(&mut whole, 251, 300);
    assert!(expected.is_some());
    assert_eq!((market(&mut begun, 251, 300), market(&mut again, 251, 300)), (expected, expected));
}
