//! Bundles: everything that decides, hashed into one id; and the way back to an earlier one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tradewind_crds::model_checkpoint::CheckpointSource;
use tradewind_crds::names::BUNDLE_ID_LENGTH;
use tradewind_crds::placement::RolePlacement;
use tradewind_crds::policy_status::{BundleCheckpoint, Revision};
use tradewind_crds::trading_policy::{InstrumentSpec, ModelSource, Models, StrategicSpec, TacticalSpec, TradingPolicySpec};

/// The part of a policy's spec that belongs to a bundle, in the shape of the spec.
///
/// The feed also decides, but cannot be changed; it is hashed and not kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Which checkpoints.
    pub models: Models,
    /// Bars, synergy events and thresholds of the strategic stage.
    pub strategic: StrategicSpec,
    /// Thresholds of the tactical stage.
    pub tactical: TacticalSpec,
    /// CPUs of inference.
    pub placement: InferencePlacement,
    /// The instruments that this bundle knows. The spec may have more by now: they begin with the bundle that brings them.
    /// Empty in what an earlier version wrote.
    #[serde(default)]
    pub instruments: Vec<InstrumentSpec>,
}

/// `spec.placement` as far as it belongs to a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferencePlacement {
    /// CPUs of inference.
    pub inference: RolePlacement,
}

impl Content {
    /// The part of a spec that belongs to its bundle.
    #[must_use]
    pub fn of(spec: &TradingPolicySpec) -> Self {
        Self {
            models: spec.models.clone(),
            strategic: spec.strategic.clone(),
            tactical: spec.tactical.clone(),
            placement: InferencePlacement { inference: spec.placement.inference.clone() },
            instruments: spec.instruments.clone(),
        }
    }

    /// The content that a revision was made from.
    ///
    /// # Errors
    /// When status holds a text that this version cannot read.
    pub fn of_revision(revision: &Revision) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&revision.content)
    }

    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What a spec can be taken back to: instruments stay, whatever bundle serves.
    fn revertible(&self) -> Value {
        let mut value = self.to_value();
        if let Value::Object(fields) = &mut value {
            fields.remove("instruments");
        }
        value
    }
}

/// The files of the checkpoints that a spec names.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// That of the strategic stage.
    pub strategic: &'a CheckpointSource,
    /// That of the tactical stage.
    pub tactical: &'a CheckpointSource,
}

/// The bundle that a spec asks for, given the checkpoints that it names and the runtime image.
///
/// The id depends on the digests of the checkpoints and not on their names or addresses, on everything that changes a decision,
/// on the CPUs of inference, and on the image. It does not depend on key order, on how a decimal is written, or on anything
/// that takes effect without new pods (weights, gates, sizing, halt).
#[must_use]
pub fn revision(spec: &TradingPolicySpec, sources: Sources<'_>, image: &str) -> Revision {
    let content = Content::of(spec);
    let hashed = json!({
        "feed": spec.feed,
        "instruments": content.instruments,
        "checkpoints": { "Strategic": sources.strategic.sha256, "Tactical": sources.tactical.sha256 },
        "strategic": content.strategic,
        "tactical": content.tactical,
        "placement": content.placement,
        "image": image,
    });
    // serde_json keeps the keys of an object sorted, so this text is canonical.
    let digest = hex::encode(Sha256::digest(hashed.to_string().as_bytes()));
    Revision {
        bundle: digest.chars().take(BUNDLE_ID_LENGTH).collect(),
        checkpoints: spec.models.names(),
        strategic: checkpoint(&spec.models.strategic, sources.strategic),
        tactical: checkpoint(&spec.models.tactical, sources.tactical),
        image: image.to_owned(),
        content: content.to_value().to_string(),
        promoted_at: None,
    }
}

fn checkpoint(model: &ModelSource, source: &CheckpointSource) -> BundleCheckpoint {
    BundleCheckpoint { checkpoint: model.checkpoint_ref.name.clone(), uri: source.uri.clone(), sha256: source.sha256.clone() }
}

/// The spec of the bundle `revision`: the given spec with the revision's content put in. Children of a bundle that serves
/// are built from this, so that a changed spec cannot change them.
///
/// # Errors
/// When status holds a text that this version cannot read.
pub fn spec_of(spec: &TradingPolicySpec, revision: &Revision) -> Result<TradingPolicySpec, serde_json::Error> {
    let content = Content::of_revision(revision)?;
    let mut bundled = spec.clone();
    bundled.models = content.models;
    bundled.strategic = content.strategic;
    bundled.tactical = content.tactical;
    bundled.placement.inference = content.placement.inference;
    if !content.instruments.is_empty() {
        bundled.instruments = content.instruments;
    }
    Ok(bundled)
}

/// The JSON merge patch that takes `spec` back to `stable`: only what differs, and nothing outside the bundle.
/// `None` when the spec already agrees (the bundles then differ by their image alone, or by instruments, which nobody can
/// take back) or the content cannot be read.
#[must_use]
pub fn revert_patch(spec: &TradingPolicySpec, stable: &Revision) -> Option<String> {
    let wanted = Content::of_revision(stable).ok()?.revertible();
    let changes = difference(&Content::of(spec).revertible(), &wanted)?;
    Some(json!({ "spec": changes }).to_string())
}

/// What a merge patch must hold to turn `from` into `to`; `None` when they agree. Both have the same keys throughout.
fn difference(from: &Value, to: &Value) -> Option<Value> {
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            let changed: Map<String, Value> = new
                .iter()
                .filter_map(|(key, value)| {
                    let change = old.get(key).map_or_else(|| Some(value.clone()), |had| difference(had, value));
                    change.map(|change| (key.clone(), change))
                })
                .collect();
            (!changed.is_empty()).then_some(Value::Object(changed))
        }
        (old, new) => (old != new).then(|| new.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_crds::placement::CpuMode;
    use tradewind_crds::trading_policy::{FeedKind, StartAt, StrategicBars};
    use tradewind_crds::{Calendar, Decimal, TradingPolicy, samples};

    fn bundle(spec: &TradingPolicySpec, [strategic, tactical]: [char; 2], image: &str) -> Revision {
        let strategic = samples::strategic_checkpoint("any", strategic).spec.source;
        let tactical = samples::checkpoint("any", tactical).spec.source;
        revision(spec, Sources { strategic: &strategic, tactical: &tactical }, image)
    }

    fn spec() -> TradingPolicySpec {
        samples::policy("indices", "main", "tactical-a").spec
    }

    fn id(spec: &TradingPolicySpec, tactical: char, image: &str) -> String {
        bundle(spec, ['d', tactical], image).bundle
    }

    #[test]
    fn the_id_is_twelve_hex_characters_and_depends_on_all_that_decides() {
        let base = id(&spec(), 'a', "tradewind:1");
        assert!(base.len() == 12 && base.bytes().all(|b| b.is_ascii_hexdigit()));
        let mut tactical = spec();
        tactical.tactical.execution_threshold_bps = 6_600;
        let mut placement = spec();
        placement.placement.inference.cpus = 2;
        let strategic = |change: fn(&mut StrategicSpec)| {
            let mut spec = spec();
            change(&mut spec.strategic);
            id(&spec, 'a', "tradewind:1")
        };
        let (mut calendar, mut grown, mut feed) = (spec(), spec(), spec());
        calendar.instruments[1].calendar = Calendar::Xnas;
        grown.instruments.push(samples::instrument("DJI"));
        feed.feed.kind = FeedKind::Live;
        let others = [
            id(&calendar, 'a', "tradewind:1"),
            id(&grown, 'a', "tradewind:1"),
            id(&feed, 'a', "tradewind:1"),
            strategic(|s| s.bars = StrategicBars::AsFed),
            strategic(|s| s.confidence_threshold_bps += 1),
            strategic(|s| s.min_synergy_confidence_bps += 1),
            strategic(|s| s.require_synergy_alignment = true),
            strategic(|s| s.synergy_window_bars += 1),
            strategic(|s| s.cooldown_bars += 1),
            strategic(|s| s.context_bars += 1),
            bundle(&spec(), ['e', 'a'], "tradewind:1").bundle,
            bundle(&spec(), ['a', 'd'], "tradewind:1").bundle,
            id(&spec(), 'b', "tradewind:1"),
            id(&spec(), 'a', "tradewind:2"),
            id(&tactical, 'a', "tradewind:1"),
            id(&placement, 'a', "tradewind:1"),
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(*other, base, "change {i} is not part of the bundle");
        }
    }

    #[test]
    fn the_id_does_not_depend_on_what_needs_no_new_pods() {
        let base = id(&spec(), 'a', "i");
        let mut other = spec();
        other.halt = true;
        other.rollout.paused = true;
        other.rollout.steps.clear();
        other.sizing.base_notional = Decimal::from_units(1);
        other.placement.execution.cpus = 7;
        other.start_at = StartAt::Newest;
        other.models.tactical.checkpoint_ref.name = "same-file-other-name".into();
        other.models.strategic.checkpoint_ref.name = "another-name-for-a-file".into();
        assert_eq!(id(&other, 'a', "i"), base);
    }

    #[test]
    fn how_a_manifest_is_written_does_not_matter() {
        let mut json = serde_json::to_value(samples::policy("indices", "main", "tactical-a")).unwrap();
        json["spec"]["tactical"]["stopAtrMultiple"] = json!("2.000");
        json["spec"]["instruments"][0]["lot"] = json!(1);
        let other: TradingPolicy = serde_json::from_value(json).unwrap();
        assert_eq!(id(&other.spec, 'a', "i"), id(&spec(), 'a', "i"));
    }

    #[test]
    fn a_revision_names_both_checkpoints_and_their_files() {
        let revision = bundle(&spec(), ['d', 'a'], "i");
        assert_eq!(revision.checkpoints, "strategic-a, tactical-a");
        let (strategic, tactical) = (revision.strategic, revision.tactical);
        assert_eq!((strategic.checkpoint.as_str(), strategic.sha256), ("strategic-a", "d".repeat(64)));
        assert_eq!((tactical.checkpoint.as_str(), tactical.sha256), ("tactical-a", "a".repeat(64)));
    }

    #[test]
    fn the_revert_patch_restores_the_stable_bundle_and_touches_nothing_else() {
        let stable = bundle(&spec(), ['d', 'a'], "i");
        let mut changed = spec();
        changed.models.strategic.checkpoint_ref.name = "strategic-b".into();
        changed.models.tactical.checkpoint_ref.name = "tactical-b".into();
        changed.strategic.context_bars = 64;
        changed.tactical.stop_atr_multiple = Decimal::from_units(9);
        changed.placement.inference.mode = CpuMode::Shared;
        changed.halt = true;
        let patch = revert_patch(&changed, &stable).unwrap();
        assert_eq!(
            patch,
            r#"{"spec":{"models":{"strategic":{"checkpointRef":{"name":"strategic-a"}},"tactical":{"checkpointRef":{"name":"tactical-a"}}},"placement":{"inference":{"mode":"Pinned"}},"strategic":{"contextBars":1},"tactical":{"stopAtrMultiple":"2"}}}"#
        );
        let mut merged = serde_json::to_value(TradingPolicy::new("indices", changed)).unwrap();
        merge(&mut merged, &serde_json::from_str(&patch).unwrap());
        let back: TradingPolicy = serde_json::from_value(merged).unwrap();
        assert_eq!(id(&back.spec, 'a', "i"), stable.bundle);
        assert!(back.spec.halt, "the patch touched what is outside the bundle");
    }

    /// RFC 7396, as the API server applies it.
    fn merge(target: &mut Value, patch: &Value) {
        match patch {
            Value::Object(changes) => {
                for (key, change) in changes {
                    merge(&mut target[key.as_str()], change);
                }
            }
            other => *target = other.clone(),
        }
    }

    #[test]
    fn bundles_that_differ_by_image_alone_need_no_patch() {
        assert_eq!(revert_patch(&spec(), &bundle(&spec(), ['d', 'a'], "old-image")), None);
    }

    #[test]
    fn children_of_the_stable_are_built_from_its_own_content() {
        let stable = bundle(&spec(), ['d', 'a'], "i");
        let mut changed = spec();
        changed.models.strategic.checkpoint_ref.name = "strategic-b".into();
        changed.strategic.cooldown_bars = 7;
        changed.tactical.max_gap_age_bars = 7;
        assert_eq!(spec_of(&changed, &stable).unwrap(), spec());
    }

    /// The bundle that serves knows nothing of an instrument that came after it, and no patch takes one back.
    #[test]
    fn an_instrument_that_is_added_begins_with_the_bundle_that_brings_it() {
        let stable = bundle(&spec(), ['d', 'a'], "i");
        let mut grown = spec();
        grown.instruments.push(samples::instrument("DJI"));
        grown.instruments[0].calendar = Calendar::Xnys;
        grown.tactical.stop_atr_multiple = Decimal::from_units(9);
        assert_eq!(spec_of(&grown, &stable).unwrap(), spec());
        assert_eq!(revert_patch(&grown, &stable).unwrap(), r#"{"spec":{"tactical":{"stopAtrMultiple":"2"}}}"#);
        grown.tactical = spec().tactical;
        assert_eq!(revert_patch(&grown, &stable), None);
        // what an earlier version wrote has no instruments: those of the spec are meant
        let mut old: Value = serde_json::from_str(&stable.content).unwrap();
        old.as_object_mut().unwrap().remove("instruments");
        let old = Revision { content: old.to_string(), ..stable };
        assert_eq!(spec_of(&grown, &old).unwrap(), grown);
    }

    /// `status.stable.content` takes 4096 characters.
    #[test]
    fn the_largest_content_fits_into_status() {
        let widest: Decimal = "999999999999999.999999999".parse().unwrap();
        let mut spec = spec();
        spec.instruments = (0..16)
            .map(|i| InstrumentSpec {
                symbol: format!("{i:0>32}"),
                point_value: widest,
                tick: widest,
                lot: widest,
                calendar: Calendar::Fx,
            })
            .collect();
        spec.models.strategic.checkpoint_ref.name = "s".repeat(40);
        spec.models.tactical.checkpoint_ref.name = "t".repeat(40);
        spec.tactical.stop_atr_multiple = widest;
        spec.tactical.target_atr_multiple = widest;
        let content = bundle(&spec, ['d', 'a'], "i").content;
        assert!(content.len() <= 4096, "{} characters", content.len());
    }
}
