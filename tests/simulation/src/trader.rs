//! The execution process of one policy, and what its decider still wants of it.

use std::collections::VecDeque;

use tradewind_core::money::Money;
use tradewind_execution::{Engine, ExecutionConfig, ExecutionError, GateError, Record};
use tradewind_journal::testing::SimulatedDisk;
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::v1;

use crate::gate::Link;
use crate::market::{ACCOUNT, POLICIES, instrument};
use crate::node::{Missing, WatchedLog, Written};

/// Attempts of one call before the world goes on without an answer.
const ATTEMPTS: usize = 2;

/// One policy's execution: started again at the next call after its death.
pub struct Trader {
    /// Number of the policy and of its symbol.
    pub number: usize,
    /// Its disk.
    pub disk: SimulatedDisk,
    written: Written<Record>,
    link: Link,
    engine: Option<Engine<Link>>,
    bars: VecDeque<SequencedBar>,
    trade: Option<v1::TradeQualified>,
    /// The newest bar that it has dealt with.
    newest: Option<SequencedBar>,
    /// Starts.
    pub lives: u64,
}

impl Trader {
    /// A policy that has never run.
    #[must_use]
    pub fn new(number: usize, link: Link) -> Self {
        let (disk, written) = (SimulatedDisk::new(), Written::default());
        Self { number, disk, written, link, engine: None, bars: VecDeque::new(), trade: None, newest: None, lives: 0 }
    }

    /// The process dies.
    pub fn kill(&mut self) {
        self.engine = None;
    }

    /// The feed brings a bar.
    pub fn bring(&mut self, bar: SequencedBar) {
        self.bars.push_back(bar);
    }

    /// The decider wants to trade on the newest bar; nothing while it still waits for something.
    pub fn wish(&mut self, side: i32, scale: u32, stop_bps: i64) {
        let Some(bar) = self.newest.as_ref().filter(|_| self.is_idle()) else { return };
        let (close, offset) = (bar.bar.close_nanos / 10_000_000, i64::from(side) * stop_bps);
        self.trade = Some(v1::TradeQualified {
            trade_id: format!("{}/{}/{}", POLICIES[self.number], bar.bar.symbol, bar.bar.index),
            symbol: bar.bar.symbol.clone(),
            index: bar.bar.index,
            sequence: bar.sequence,
            decided_at_ns: bar.bar.close_time_ns,
            side,
            reference_price_ticks: close,
            stop_ticks: close - close * offset / 10_000,
            target_ticks: close + close * offset / 5_000,
            confidence: 0.8,
            confidence_multiplier: 1.0,
            risk_scale_bps: scale,
            entry_mode: "NORMAL".into(),
            bundle: "0123456789ab".into(),
            paper: true,
        });
    }

    /// Whether nothing waits to be done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.bars.is_empty() && self.trade.is_none()
    }

    /// Does what waits, in its order, as far as it is answered.
    pub fn work(&mut self) {
        loop {
            if let Some(trade) = self.trade.clone() {
                if self.call(|engine| engine.submit(&trade)).is_none() {
                    return;
                }
                self.trade = None;
            }
            let Some(bar) = self.bars.front().cloned() else { return };
            let request = v1::AdvanceRequest { bar: Some(bar.bar.clone()), sequence: bar.sequence };
            if self.call(|engine| engine.advance(&request)).is_none() {
                return;
            }
            self.newest = self.bars.pop_front();
        }
    }

    /// Ids and lots of working orders, and lots held; `None` when it does not answer.
    pub fn books(&mut self) -> Option<(Vec<(String, i64)>, i64)> {
        let symbol = instrument(self.number).symbol;
        self.call(|engine| {
            let working = engine.book().working().iter().map(|(id, live)| (id.to_string(), live.left().0)).collect();
            Ok((working, engine.book().account().lots(&symbol).0))
        })
    }

    fn call<T>(&mut self, call: impl Fn(&mut Engine<Link>) -> Result<T, ExecutionError>) -> Option<T> {
        for _ in 0..ATTEMPTS {
            let Some(mut engine) = self.engine.take().or_else(|| self.start()) else { continue };
            match engine.recover().and_then(|()| call(&mut engine)) {
                Ok(answer) => {
                    self.engine = Some(engine);
                    return Some(answer);
                }
                // Asked again.
                Err(ExecutionError::Gate(GateError::Unavailable(_))) => self.engine = Some(engine),
                Err(ExecutionError::Journal(_)) => {}
                Err(error) => {
                    self.violated(&error);
                    return None;
                }
            }
        }
        None
    }

    fn start(&mut self) -> Option<Engine<Link>> {
        self.lives += 1;
        let policy = POLICIES[self.number];
        let log = match WatchedLog::open(policy, &self.disk, &self.written) {
            Ok(log) => log,
            Err(Missing::Disk) => return None,
            Err(Missing::Lost(text)) => {
                self.link.gate.borrow_mut().oracle.violated(text);
                return None;
            }
        };
        let amount = |units: i128| Money::from_nanos(units * 1_000_000_000);
        let config = ExecutionConfig {
            account: ACCOUNT.into(),
            policy: policy.into(),
            instruments: vec![instrument(self.number)],
            base_notional: amount(100_000),
            starting_equity: amount(1_000_000),
            process: format!("{policy}-{}", self.lives),
        };
        match Engine::open(config, Box::new(log), self.link.clone()) {
            Ok(engine) => Some(engine),
            Err(ExecutionError::Journal(_)) => None,
            Err(error) => {
                self.violated(&error);
                None
            }
        }
    }

    fn violated(&self, error: &ExecutionError) {
        let text = format!("execution of {} cannot go on: {error}", POLICIES[self.number]);
        self.link.gate.borrow_mut().oracle.violated(text);
    }
}
