//! Random calls on the gate and on an independent model of its limits: `cargo run -p tradewind-risk --example limits_model
//! -- [--calls N] [--seed S]`.
//!
//! The model and the calls are those of `tests/model`; here is only what turns a call into the gate's messages. Accounts
//! of a thousand calls each, on recorded and live feeds in turn. The last line is the tally; the exit code is 0 only when
//! no answer, position or equity differed.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use clap::Parser;
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;
use tradewind_crds::risk_profile::{HaltMode, Limits as Written};
use tradewind_crds::{Decimal, DurationText, RiskProfileSpec, samples};
use tradewind_journal::{JournalError, Log, Records};
use tradewind_risk::stops::halt::HaltAsk;
use tradewind_risk::{Arrival, Engine, Record, RiskError};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedName, SequencedBar};
use tradewind_wire::v1;

use model::calls::{Ack, Bar, Call, Epoch, Fill, Kind, Leaves, Limits, Listing, Order, Profile};
use model::generator::{Generator, Options};
use model::trial::{self, Answer, Gate, Tally};

#[path = "../tests/model/mod.rs"]
mod model;

/// Calls of one account.
const EACH: u64 = 1_000;

#[derive(Debug, Parser)]
struct Args {
    /// Calls altogether.
    #[arg(long, default_value_t = 100_000)]
    calls: u64,
    /// Seed of the first account.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The newest verdict that was journaled: id and every code.
type Checked = Arc<Mutex<Option<(String, Vec<String>)>>>;

/// A journal that keeps no more than this trial looks at.
#[derive(Debug, Default)]
struct Newest {
    checked: Checked,
    records: u64,
}

impl Log<Record> for Newest {
    fn append_batch(&mut self, records: &[Record]) -> Result<u64, JournalError> {
        for record in records {
            if let Record::Checked(check) = record {
                let codes = check.denials.iter().map(|denial| denial.code().to_owned()).collect();
                *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some((check.order.id.to_string(), codes));
            }
        }
        self.records += records.len() as u64;
        Ok(self.records.saturating_sub(u64::from(!records.is_empty())))
    }

    fn records_from(&self, _: u64) -> Result<Records<Record>, JournalError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn len(&self) -> u64 {
        self.records
    }
}

/// What a process of a policy knows.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    epoch: u64,
    acknowledged: u64,
}

/// The gate under trial.
struct Engined {
    engine: Engine,
    checked: Checked,
    listings: Vec<Listing>,
    recorded: bool,
    starting_equity: i128,
    generation: i64,
    mode: Leaves,
    processes: BTreeMap<String, Process>,
    /// Codes and message of each verdict that was journaled: a repetition hears it again.
    verdicts: BTreeMap<String, (Vec<String>, String)>,
}

const fn halt_mode(leaves: Leaves) -> HaltMode {
    match leaves {
        Leaves::Reducing => HaltMode::ReduceOnly,
        Leaves::Nothing => HaltMode::None,
    }
}

fn written(limits: &Limits) -> Written {
    Written {
        max_order_notional: Decimal::from_nanos(limits.order),
        max_position_notional: Decimal::from_nanos(limits.position),
        max_gross_exposure_bps: limits.gross_bps,
        daily_loss_bps: limits.daily_loss_bps,
        max_drawdown_bps: limits.drawdown_bps,
        max_orders_per_minute: limits.per_minute,
        price_collar_bps: limits.collar_bps,
        max_data_age: DurationText::from_millis(limits.data_age / 1_000_000),
    }
}

fn account(listings: &[Listing], recorded: bool) -> Result<AccountConfig> {
    let policy = |name: &&str| {
        let text = |nanos: i128| Decimal::from_nanos(nanos).to_string();
        let instrument = |one: &Listing| serde_json::json!({"symbol": one.symbol, "pointValue": text(one.point_value), "tick": text(one.tick), "lot": text(one.lot)});
        let instruments: Vec<_> = listings.iter().filter(|one| one.policy == **name).map(instrument).collect();
        serde_json::json!({
            "policy": name, "feed": "default", "feedKind": if recorded { "Replay" } else { "Live" },
            "venue": {"spreadBps": 0, "feeBps": 0, "seed": 1, "partialFillBps": 0, "latencyMs": 0},
            "instruments": instruments,
        })
    };
    let policies: Vec<_> = Generator::POLICIES.iter().map(policy).collect();
    Ok(serde_json::from_value(serde_json::json!({"account": Generator::ACCOUNT, "policies": policies}))?)
}

impl Engined {
    fn new(generator: &Generator, recorded: bool) -> Result<Self> {
        let (log, listings) = (Newest::default(), generator.listings().to_vec());
        let checked = Arc::clone(&log.checked);
        let mut engine = Engine::open(Generator::ACCOUNT, Box::new(log))?;
        engine.apply_account(&account(&listings, recorded)?)?;
        anyhow::ensure!(engine.status().invalid_account.is_empty(), "{}", engine.status().invalid_account);
        let starting_equity = generator.starting_equity();
        let (mode, processes, verdicts) = (Leaves::Reducing, BTreeMap::new(), BTreeMap::new());
        Ok(Self { engine, checked, listings, recorded, starting_equity, generation: 0, mode, processes, verdicts })
    }

    fn owner(&self, policy: &str) -> v1::Owner {
        let Process { epoch, acknowledged } = self.processes.get(policy).copied().unwrap_or_default();
        v1::Owner { account: Generator::ACCOUNT.to_owned(), policy: policy.to_owned(), epoch, acknowledged }
    }

    fn made(&mut self, call: &Call) -> Result<Answer> {
        let mut answer = Answer::default();
        match call {
            Call::Profile(profile) => self.profile(profile)?,
            Call::ProfileGone => self.engine.profile_gone()?,
            Call::HaltNow(leaves) => self.halt_now(*leaves)?,
            Call::Acquire(policy) => {
                let last_epoch = self.owner(policy).epoch;
                let (account, policy, claim) = (Generator::ACCOUNT.to_owned(), policy.clone(), format!("claim {last_epoch}"));
                let reply = self.engine.acquire(&v1::AcquireRequest { account, policy: policy.clone(), last_epoch, claim })?;
                self.processes.entry(policy).or_default().epoch = reply.epoch;
            }
            Call::Bar(bar) => self.bar(bar, &mut answer)?,
            Call::Order(order) => answer.codes = self.order(order)?,
            Call::Cancel(id) => {
                let policy = id.split('/').next().unwrap_or_default();
                let request = v1::CancelRequest { owner: Some(self.owner(policy)), order_ids: vec![id.clone()] };
                let reply = self.engine.cancel(&request)?;
                self.hear(policy, &reply.events, &mut answer)?;
            }
            Call::Fill(_) => anyhow::bail!("only the gate's own venue fills"),
        }
        for policy in Generator::POLICIES {
            if self.owner(policy).epoch > 0 {
                let reply = self.engine.events(&v1::EventsRequest { owner: Some(self.owner(policy)) })?;
                self.hear(policy, &reply.events, &mut answer)?;
            }
        }
        Ok(answer)
    }

    /// Events that have not been heard yet.
    fn hear(&mut self, policy: &str, events: &[v1::VenueEvent], answer: &mut Answer) -> Result<()> {
        use v1::venue_event::What;
        let process = self.processes.entry(policy.to_owned()).or_default();
        for event in events.iter().filter(|event| event.number > process.acknowledged) {
            match event.what.as_ref().context("an event says nothing")? {
                What::Filled(filled) => {
                    let fee = filled.fee.as_ref().map_or(0, nanos);
                    let (id, lots, price) = (event.order_id.clone(), filled.lots, filled.price_ticks);
                    answer.fills.push(Fill { id, lots, price, fee });
                }
                What::Cancelled(_) => answer.ended.push(event.order_id.clone()),
                What::Reduced(_) => anyhow::bail!("order {} was reduced without a group", event.order_id),
                What::Accepted(_) => {}
            }
        }
        process.acknowledged = events.iter().map(|event| event.number).fold(process.acknowledged, u64::max);
        Ok(())
    }

    fn profile(&mut self, profile: &Profile) -> Result<()> {
        self.generation += 1;
        let status = self.engine.status();
        let named = |ack: Ack, standing: String, other: &str| match ack {
            Ack::Absent => String::new(),
            Ack::Standing => standing,
            Ack::Other => other.to_owned(),
        };
        let mode = profile.halt.unwrap_or(Leaves::Reducing);
        let mut spec = RiskProfileSpec {
            starting_equity: Decimal::from_nanos(self.starting_equity),
            limits: written(&profile.limits),
            halt: profile.halt.is_some(),
            halt_mode: halt_mode(mode),
            acknowledge_halt: named(profile.halt_ack, status.halt_id, "halt-1-000000000000"),
            acknowledge_breaker: named(profile.breaker_ack, status.breaker_id, "drawdown-000000000000"),
            ..samples::profile("main", Generator::ACCOUNT).spec
        };
        if profile.broken {
            spec.limits.max_order_notional = Decimal::from_nanos(-1);
        } else {
            self.mode = mode;
        }
        self.engine.apply_profile(self.generation, &spec)?;
        let invalid = self.engine.status().invalid_profile;
        anyhow::ensure!(invalid.is_empty() != profile.broken, "profile {profile:?}: '{invalid}'");
        Ok(())
    }

    /// By a person when the profile in force has that mode, else by a profile that was seen and replaced.
    fn halt_now(&mut self, leaves: Leaves) -> Result<()> {
        if leaves == self.mode {
            let [account, actor, reason] = [Generator::ACCOUNT, "anna", "trial"].map(str::to_owned);
            self.engine.halt_now(&v1::HaltNowRequest { account, actor, reason, generation: 0 }, Nanos(1))?;
        } else {
            self.generation += 1;
            let ask = HaltAsk::Overtaken { generation: self.generation, mode: halt_mode(leaves) };
            self.engine.see_halt(&ask, Nanos(1))?;
        }
        Ok(())
    }

    fn bar(&mut self, bar: &Bar, answer: &mut Answer) -> Result<()> {
        let listing = self.listings.iter().find(|listing| listing.symbol == bar.symbol).context("a bar of no listing")?;
        let (policy, tick) = (listing.policy.clone(), listing.tick);
        let price = |ticks: i64| i64::try_from(i128::from(ticks) * tick).context("a price beyond the message");
        let [open, high, low, close] = bar.prices;
        let index = u64::try_from(bar.close_time / 1_000_000_000)?;
        let message = v1::Bar {
            symbol: bar.symbol.clone(),
            index,
            open_time_ns: bar.open_time,
            close_time_ns: bar.close_time,
            open_nanos: price(open)?,
            high_nanos: price(high)?,
            low_nanos: price(low)?,
            close_nanos: price(close)?,
            volume: 1.0,
        };
        let own = SequencedBar { sequence: index, arrived: Nanos(bar.at), bar: message };
        if !self.recorded {
            let feed: FeedName = "default".parse().map_err(|error| anyhow::anyhow!("{error:?}"))?;
            self.engine.arrive(&feed, &own, Nanos(bar.at))?;
            return Ok(());
        }
        loop {
            let request = v1::MeetRequest { owner: Some(self.owner(&policy)), symbol: bar.symbol.clone(), sequence: index };
            let reply = self.engine.meet(&request, Some(&own))?;
            self.hear(&policy, &reply.events, answer)?;
            if reply.done {
                return Ok(());
            }
        }
    }

    fn order(&mut self, order: &Order) -> Result<Vec<String>> {
        let mut owner = v1::Owner { account: order.account.clone(), ..self.owner(&order.policy) };
        owner.epoch = match order.epoch {
            Epoch::Standing => owner.epoch,
            Epoch::Former => owner.epoch.saturating_sub(1),
            Epoch::Number(epoch) => epoch,
        };
        let kind = match order.kind {
            Kind::Market => v1::OrderKind::Market,
            Kind::Limit(_) => v1::OrderKind::Limit,
            Kind::Stop(_) => v1::OrderKind::Stop,
        };
        let message = v1::NewOrder {
            order_id: order.id.clone(),
            symbol: order.symbol.clone(),
            lots: order.lots,
            kind: kind.into(),
            price_ticks: order.kind.price().unwrap_or(0),
            // Every second id: both ways to trade, and a repetition stays one.
            immediate_or_cancel: order.id.bytes().last().is_some_and(|last| last % 2 == 0),
            reduce_only: order.reduce_only,
            group: String::new(),
            reference_price_ticks: order.said_mark,
            data_time_ns: order.said_time,
        };
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reply =
            self.engine.place(&v1::PlaceRequest { owner: Some(owner), orders: vec![message] }, Arrival::at(Nanos(order.at)));
        let reply = match reply {
            Err(RiskError::OtherAccount { .. }) => return Ok(vec!["unknown_account".to_owned()]),
            Err(RiskError::Fenced { .. }) => return Ok(vec!["stale_epoch".to_owned()]),
            reply => reply?,
        };
        let verdict = reply.verdicts.into_iter().next().context("an order without a verdict")?;
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((id, codes)) = checked {
            anyhow::ensure!(id == order.id && verdict.allowed == codes.is_empty(), "{verdict:?} is not what was journaled");
            self.verdicts.insert(id, (codes.clone(), verdict.message));
            return Ok(codes);
        }
        match self.verdicts.get(&order.id) {
            Some((codes, message)) if *message == verdict.message => Ok(codes.clone()),
            _ => {
                anyhow::ensure!(!verdict.allowed, "{verdict:?} was allowed and not journaled");
                Ok(verdict.denials)
            }
        }
    }
}

fn nanos(money: &v1::Money) -> i128 {
    i128::from(money.units) * 1_000_000_000 + i128::from(money.nanos)
}

impl Gate for &mut Engined {
    fn call(&mut self, call: &Call) -> Option<Answer> {
        if matches!(call, Call::Fill(_)) {
            return None;
        }
        // What the gate cannot answer is a difference too: no code of the model has this form.
        let failed = |error: anyhow::Error| {
            let fills = vec![Fill { id: format!("error: {error:#}"), lots: 0, price: 0, fee: 0 }];
            Answer { codes: vec![format!("error: {error:#}")], fills, ended: Vec::new() }
        };
        Some(self.made(call).unwrap_or_else(failed))
    }

    fn lots(&self, symbol: &str) -> i128 {
        Symbol::try_from(symbol.to_owned()).map_or(0, |symbol| i128::from(self.engine.lots(&symbol)))
    }

    fn equity(&self) -> i128 {
        self.engine.state().equity.as_ref().map_or(self.starting_equity, nanos)
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let (mut tally, mut differences) = (Tally::default(), 0_u64);
    for number in 0..args.calls.div_ceil(EACH) {
        let (seed, calls) = (args.seed.wrapping_add(number), EACH.min(args.calls - number * EACH));
        let recorded = number % 2 == 0;
        let options = Options { fills: false, naked: number % 3 == 0, recorded };
        let mut engined = Engined::new(&Generator::new(seed, options), recorded)?;
        let made = trial::run(seed, calls, options, |_| &mut engined);
        match made {
            Ok(seen) => tally.add(&seen),
            Err(difference) => {
                differences += 1;
                println!("{}: {difference}", if recorded { "recorded" } else { "live" });
                if differences >= 5 {
                    break;
                }
            }
        }
    }
    println!("{differences} accounts differed");
    println!("{tally}");
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
