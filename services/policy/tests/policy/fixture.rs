//! A small market, decisions that follow it, and the settings of a policy over two symbols.
#![allow(clippy::cast_possible_wrap, clippy::cast_precision_loss)]

use std::collections::BTreeMap;

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::time::{NANOS_PER_DAY, Nanos};
use tradewind_features::strategic::decision::{
    DecisionConfig, EnsembleWeights, FallbackCause, ModelParameters, Request, fall_back,
};
use tradewind_features::strategic::synergy::{AcceptedEvent, SignalKind, SynergyType};
use tradewind_features::strategic::{Decided, SynergyDetected};
use tradewind_features::tactical::Decision;
use tradewind_policy::gates::AccountState;
use tradewind_policy::{AccountFigures, AccountSnapshot, Answer, Control, Settings, Trading};

pub(crate) const STABLE: &str = "aaaaaaaaaaaa";
pub(crate) const CANDIDATE: &str = "bbbbbbbbbbbb";

pub(crate) fn symbol(name: &str) -> Symbol {
    name.to_owned().try_into().unwrap()
}

pub(crate) fn settings() -> Settings {
    let config = serde_json::json!({
        "policy": "indices", "account": "paper-1", "feed": "default", "feedKind": "Replay",
        "instruments": [
            {"symbol": "SPX", "pointValue": "1", "tick": "0.01", "lot": "1"},
            {"symbol": "IXIC", "pointValue": "1", "tick": "0.01", "lot": "1"}
        ],
        "sizing": {"baseNotional": "100000"}, "startingEquity": "1000000",
        "venue": {"spreadBps": 2, "feeBps": 1, "seed": 7, "partialFillBps": 0, "latencyMs": 0},
        "riskEndpoint": "localhost:1", "executionEndpoint": "localhost:2",
        "orchestrator": {"baseConfidence": 0.5}
    });
    Settings::from_config(&serde_json::from_value(config).unwrap()).unwrap()
}

/// Bar of a slow wave with a little noise; even sequences are SPX, odd ones IXIC.
pub(crate) fn bar(name: &str, index: u64) -> Bar {
    let offset = if name == "SPX" { 0.0 } else { 1.3 };
    let price = |i: f64| 100_000.0 + 3_000.0 * (i / 9.0 + offset).sin() + 400.0 * (i * 1.7 + offset).sin();
    let (open, close) = (price(index as f64 - 1.0) as i64, price(index as f64) as i64);
    let time = |day: u64| Nanos(day as i64 * NANOS_PER_DAY);
    let [open, high, low, close] = [open, open.max(close) + 150, open.min(close) - 150, close].map(Ticks);
    Bar { index, open_time: time(index), close_time: time(index + 1), open, high, low, close, volume: 1000.0 }
}

/// The stream: sequence 1 is SPX/0, 2 is IXIC/0, 3 is SPX/1 and so on.
pub(crate) fn stream(len: u64) -> Vec<(u64, Symbol, Bar)> {
    let place = |sequence: u64| {
        let name = if sequence % 2 == 1 { "SPX" } else { "IXIC" };
        (sequence, symbol(name), bar(name, (sequence - 1) / 2))
    };
    (1..=len).map(place).collect()
}

/// A decision that holds two bars of three and otherwise follows the last bar; `flip` trades against it.
pub(crate) fn decision(bundle: &str, symbol: &Symbol, bar: &Bar, flip: bool) -> Decision {
    let acts = bar.index.is_multiple_of(3) && bar.index > 30;
    let up = (bar.close > bar.open) != flip;
    let side = if up { 1 } else { -1 };
    let level = |distance: i64| if acts { Ticks(bar.close.0 + side * distance) } else { Ticks(0) };
    Decision {
        bundle: bundle.to_owned(),
        symbol: symbol.clone(),
        index: bar.index,
        close_time: bar.close_time,
        agents: vec![],
        synergy: None,
        action: if acts { side as i8 } else { 0 },
        execute: acts,
        confidence: 0.8,
        scores: [0.8, 0.0, 0.0],
        urgency: None,
        synergy_aligned: true,
        reason: if acts { String::new() } else { "hold_vote".to_owned() },
        warm_up: None,
        stop: level(-600),
        target: level(900),
        confidence_multiplier: if acts { 1.0 } else { 0.0 },
        atr: 3.0,
    }
}

/// The same as the whole answer of inference, on a bar without an event.
pub(crate) fn answer(bundle: &str, symbol: &Symbol, bar: &Bar, flip: bool) -> Answer {
    Answer { decision: decision(bundle, symbol, bar, flip), strategic: None }
}

/// An event of this bar that came before there was a matrix.
pub(crate) fn strategic(version: &str, symbol: &Symbol, bar: &Bar) -> Decided {
    let synergy = AcceptedEvent { synergy_type: SynergyType::Type2, direction: 1, confidence: 0.7 };
    let event_id = format!("{symbol}/{}/TYPE_2", bar.index);
    let request = Request {
        event_id: &event_id,
        symbol,
        index: bar.index,
        detected_at: bar.close_time,
        bar_close_time: bar.close_time,
        synergy,
        volatility: None,
        regime_label: None,
    };
    let model = ModelParameters::new(version, [1.0; 3], EnsembleWeights::default(), true).unwrap();
    let decision = fall_back(&request, None, FallbackCause::WarmingUp, &model, &DecisionConfig::default());
    let event = SynergyDetected {
        schema_version: 1,
        event_id: event_id.clone(),
        symbol: symbol.clone(),
        bar_close_time: bar.close_time,
        detected_at: bar.close_time,
        synergy_type: SynergyType::Type2,
        direction: 1,
        confidence: 0.7,
        signal_sequence: [SignalKind::Mlmi, SignalKind::Fvg, SignalKind::Nwrqk],
        volatility_30: None,
    };
    Decided { event, decision }
}

pub(crate) fn account(equity: i64) -> AccountSnapshot {
    let figures = AccountFigures {
        equity: Money::from_units(equity),
        daily_pnl_bps: 0,
        drawdown_bps: 0,
        gross_exposure_bps: 0,
        losing_streak: 0,
        open_positions: 0,
        state: AccountState::Normal,
    };
    AccountSnapshot { figures, positions: BTreeMap::new() }
}

pub(crate) fn holding(name: &str, lots: i64) -> AccountSnapshot {
    let mut account = account(1_000_000);
    account.positions.insert(symbol(name), Lots(lots));
    account.figures.open_positions = 1;
    account
}

pub(crate) const PAPER: Control = Control { halt: false, trading: Trading::Paper };
