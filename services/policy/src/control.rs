//! What the policy's own resource says: halt, mode of trading, and who may drive. Read by this process itself, so
//! that a halt works while the operator is down.

use std::borrow::Cow;

use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;
use tradewind_crds::TradingPolicy;
use tradewind_crds::trading_policy::TradingMode;

use crate::record::Trading;
use crate::sequencer::{Control, Routing};

/// A TradingPolicy as the API server gives it, readable whatever stands in it: a halt must act even if the rest was written
/// for another version of this process.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PolicyObject {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Spec, unread.
    #[serde(default)]
    pub spec: Value,
    /// Status, unread.
    #[serde(default)]
    pub status: Value,
}

impl Resource for PolicyObject {
    type DynamicType = ();
    type Scope = <TradingPolicy as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        TradingPolicy::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        TradingPolicy::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        TradingPolicy::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        TradingPolicy::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl PolicyObject {
    fn read(&self) -> Result<TradingPolicy, serde_json::Error> {
        let spec = serde_json::from_value(self.spec.clone())?;
        let status = serde_json::from_value(self.status.clone())?;
        let mut policy = TradingPolicy::new("", spec);
        (policy.metadata, policy.status) = (self.metadata.clone(), status);
        Ok(policy)
    }

    /// Whether the spec asks for a halt; anything there but `false` does.
    fn halts(&self) -> bool {
        !matches!(self.spec.get("halt"), None | Some(Value::Null | Value::Bool(false)))
    }
}

/// The part of a TradingPolicy that its decider obeys.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Halt and mode of trading.
    pub control: Control,
    /// Who may drive.
    pub routing: Routing,
    /// Generation of the spec.
    pub generation: i64,
}

impl Wanted {
    /// Reads a policy as it stands at the API server.
    #[must_use]
    pub fn of(policy: &TradingPolicy) -> Self {
        let spec = &policy.spec;
        let trading = match spec.trading {
            TradingMode::Off => Trading::Off,
            TradingMode::Shadow => Trading::Shadow,
            TradingMode::Paper => Trading::Paper,
        };
        let unsigned = |value: i64| u32::try_from(value).unwrap_or(0);
        let confidence_bps = unsigned(spec.rollout.gates.paired_pnl.confidence_bps);
        let rollout = policy.status.as_ref().and_then(|status| status.rollout.as_ref());
        let routing = rollout.map_or_else(
            || Routing { confidence_bps, ..Routing::default() },
            |rollout| Routing {
                stable: rollout.stable_bundle.clone(),
                candidate: Some(rollout.candidate_bundle.clone()).filter(|bundle| !bundle.is_empty()),
                step: u32::try_from(rollout.step).unwrap_or(0),
                weight_bps: u32::try_from(rollout.weight_bps).unwrap_or(0),
                confidence_bps,
            },
        );
        Self { control: Control { halt: spec.halt, trading }, routing, generation: policy.metadata.generation.unwrap_or(0) }
    }

    /// What holds after a look at the API server: a policy that was deleted stops trading, and of one that cannot be read
    /// the halt still counts. What was known holds for the rest of it.
    #[must_use]
    pub fn after(policy: Option<&PolicyObject>, known: Option<&Self>) -> Option<Self> {
        let Some(object) = policy else { return known.cloned().map(Self::stopped) };
        match object.read() {
            Ok(policy) => Some(Self::of(&policy)),
            Err(error) => {
                tracing::error!(%error, halted = object.halts(), "the TradingPolicy cannot be read, its halt counts nevertheless");
                match known.cloned() {
                    Some(known) if object.halts() => Some(known.stopped()),
                    None if object.halts() => Some(Self::nothing().stopped()),
                    known => known,
                }
            }
        }
    }

    /// Nobody drives and nothing is traded.
    fn nothing() -> Self {
        Self { control: Control { halt: false, trading: Trading::Off }, routing: Routing::default(), generation: 0 }
    }

    fn stopped(mut self) -> Self {
        self.control.halt = true;
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn object(change: impl FnOnce(&mut Value)) -> PolicyObject {
        let mut text = serde_json::to_value(tradewind_crds::samples::policy("indices", "main", "tactical-a")).unwrap();
        change(&mut text);
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_readable_policy_is_read_whole() {
        let policy = tradewind_crds::samples::policy("indices", "main", "tactical-a");
        assert_eq!(Wanted::after(Some(&object(|_| {})), None), Some(Wanted::of(&policy)));
        assert_eq!(PolicyObject::kind(&()), "TradingPolicy");
    }

    /// A halt acts however unreadable the rest is, and an unreadable policy without one changes nothing.
    #[test]
    fn a_halt_needs_nothing_else() {
        let known = Wanted::after(Some(&object(|_| {})), None);
        let broken = |halt: Value| {
            object(|text| {
                text["spec"]["instruments"] = json!("none of your business");
                text["spec"]["trading"] = json!("Quantum");
                text["spec"]["halt"] = halt;
            })
        };
        for halt in [json!(true), json!("true"), json!(1)] {
            let after = Wanted::after(Some(&broken(halt.clone())), known.as_ref()).unwrap();
            assert!(after.control.halt, "{halt}");
            assert_eq!(after.routing, known.as_ref().unwrap().routing);
            assert!(Wanted::after(Some(&broken(halt)), None).unwrap().control.halt, "also when nothing was known");
        }
        assert_eq!(Wanted::after(Some(&broken(json!(false))), known.as_ref()), known);
        assert_eq!(Wanted::after(Some(&broken(Value::Null)), None), None);
        let no_status = object(|text| text["status"] = json!({"rollout": 7}));
        assert_eq!(Wanted::after(Some(&no_status), known.as_ref()), known);
        assert!(Wanted::after(None, known.as_ref()).unwrap().control.halt, "deleted");
    }
}
