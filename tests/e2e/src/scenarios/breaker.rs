//! The fall of 2008 fires the drawdown breaker; only the id of the breaker in the spec clears it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::ledger::{self, Kind};
use super::manifests::{self, PolicySpec};
use super::{feed, setup};
use crate::environment::Environment;
use crate::kubectl::{LATER, Poll, SOON, text};

/// Name of namespace, policy, profile and feed.
const NAME: &str = "fall";
/// A model that trades in nearly every bar: the trained ones hardly lose in those years.
const CHECKPOINT: &str = "spoiled-overtrader";
/// Value of a full-size trade: as large as an order may be.
const BASE_NOTIONAL: u32 = 250_000;
/// Allowed fall from the highest equity: the sample's 20 % would take larger positions than its limits allow.
const MAX_DRAWDOWN_BPS: u32 = 600;
/// Bars of both indices to the middle of 2008.
const BEFORE_THE_FALL: usize = 4_780;

/// Starts the replay, the years before at once and the fall at a pace, if it does not run yet: other things can be shown
/// meanwhile, since a breaker that has fired stays so.
///
/// # Errors
/// When the API server refuses something.
pub fn begin(environment: &Environment) -> Result<()> {
    let spec = PolicySpec {
        name: NAME,
        risk_profile: NAME,
        tactical: CHECKPOINT,
        feed: NAME,
        placement: "Shared",
        base_notional: BASE_NOTIONAL,
        ..PolicySpec::SAMPLE
    };
    setup::namespace(environment, NAME)?;
    environment.kubectl.apply(NAME, &manifests::risk_profile_with(NAME, MAX_DRAWDOWN_BPS))?;
    setup::checkpoint(environment, NAME, spec.strategic)?;
    setup::checkpoint(environment, NAME, spec.tactical)?;
    environment.kubectl.apply(NAME, &manifests::trading_policy(&spec))?;
    feed::start_after(environment, NAME, BEFORE_THE_FALL, 15)
}

/// Waits for the breaker, and clears it by its id.
///
/// # Errors
/// When it does not fire, lets an entry through, or clears by another id.
pub fn run(environment: &Environment) -> Result<String> {
    begin(environment)?;
    let fired = until(environment, "the breaker to fire", |profile| !text(profile, "/status/breaker/id").is_empty())?;
    let why = text(&fired, "/status/breaker/reason").to_owned();
    let id = text(&fired, "/status/breaker/id").to_owned();
    ensure!(id.starts_with("drawdown-"), "the breaker is {}", fired["status"]["breaker"]);
    let when = text(&fired, "/status/lastTransition");
    ensure!(when.starts_with("2008-09") || when.starts_with("2008-10"), "it fired at the bars of {when}");
    let columns = environment.kubectl.output(&["get", "riskprofiles", "-n", NAME])?;
    ensure!(columns.contains(&id) && columns.contains("ReduceOnly"), "`kubectl get rp` does not show it: {columns}");

    let (entries, decided) = (ledger::entries(environment, NAME, NAME)?, decided(environment)?);
    acknowledge(environment, "drawdown-000000000000")?;
    let decided = more_decided(environment, decided + 50)?;
    let still = environment.kubectl.get(NAME, &["riskprofile/fall"])?.context("the profile")?;
    ensure!(text(&still, "/status/breaker/id") == id, "another id cleared the breaker");
    let after = ledger::entries(environment, NAME, NAME)?;
    ensure!(after == entries, "{} entries went out while the breaker held", after - entries);

    acknowledge(environment, &id)?;
    until(environment, "the breaker to clear", |profile| text(profile, "/status/state") == "Normal")?;
    environment.kubectl.until("an entry after the breaker was cleared", SOON, || {
        let seen = ledger::entries(environment, NAME, NAME)?;
        Ok(if seen > entries { Poll::Ready(()) } else { Poll::NotYet(format!("{seen} entries")) })
    })?;
    feed::stop(environment, NAME)?;
    setup::leave_namespace(environment, NAME)?;
    Ok(format!("bar of {when}: {why}\n{columns}no entry for the next {} bars; cleared by its own id only", decided.1))
}

/// Waits until the profile is as wanted.
fn until(environment: &Environment, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    environment.kubectl.until(what, LATER, || {
        let profile = environment.kubectl.get(NAME, &["riskprofile/fall"])?.context("the profile does not exist")?;
        Ok(if wanted(&profile) { Poll::Ready(profile) } else { Poll::NotYet(profile["status"].to_string()) })
    })
}

/// Names a breaker in the spec and waits until the risk service has read it.
fn acknowledge(environment: &Environment, id: &str) -> Result<()> {
    environment.console.typed(&format!(
        "kubectl patch riskprofile {NAME} -n {NAME} --type=merge -p '{{\"spec\":{{\"acknowledgeBreaker\":\"{id}\"}}}}'"
    ));
    let patch = format!(r#"{{"spec":{{"acknowledgeBreaker":"{id}"}}}}"#);
    environment.kubectl.patch(NAME, "riskprofile/fall", &patch)?;
    until(environment, "the risk service to read the acknowledgement", |profile| {
        profile["status"]["acknowledgedGeneration"] == profile["metadata"]["generation"]
    })?;
    Ok(())
}

fn decided(environment: &Environment) -> Result<usize> {
    Ok(ledger::lines(environment, NAME, NAME, Kind::Decisions)?.len())
}

/// Waits until so many bars are decided; how many are, and how many of them are new.
fn more_decided(environment: &Environment, wanted: usize) -> Result<(usize, usize)> {
    environment.kubectl.until("more bars to be decided", SOON, || {
        let now = decided(environment)?;
        Ok(if now >= wanted { Poll::Ready((now, now + 50 - wanted)) } else { Poll::NotYet(format!("{now} decided")) })
    })
}
