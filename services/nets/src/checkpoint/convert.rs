//! From a file of another tool to a checkpoint: PyTorch's `safetensors.torch.save_file`, numpy's, anyone's.

use serde_json::{Map, Value, json};

use super::container::{self, Entry};
use super::fault::{Faults, Reason, quote};
use super::manifest::{self, Manifest, STATISTICS};
use super::self_test::SelfTest;
use super::tensors::{self, Wanted};
use super::{Checkpoint, write};
use crate::architecture::{Network, Role, Stage, Step};
use crate::golden;
use crate::reference::Reference;
use crate::weights::NetworkWeights;

/// Keys that only the author can know; all others have a value that follows from the stage.
const KEYS_OF_THE_AUTHOR: [&str; 5] = ["role", "featureSchema", "actions", "trainingDataDigest", "codeRevision"];
/// Inputs of a self-test that is recorded here.
const RECORDED_INPUTS: usize = 64;

/// Where the self-test of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfTestSource {
    /// The file holds `golden.*`: outputs of the author's own network. They prove that both mean the same layers.
    File,
    /// This release records its own outputs: they prove that the file arrives whole, and nothing about the author's network.
    Recorded,
}

/// Makes a checkpoint of tensors and a manifest in JSON.
///
/// Keys of the manifest that follow from the stage may be left out; an old order of actions is permuted (ST-57), also in the
/// self-test; statistics under the names of SU-39 get those of ST-56.
///
/// # Errors
/// Everything that is wrong with the tensors or the manifest.
pub fn convert(bytes: &[u8], manifest: &str, source: SelfTestSource) -> Result<Vec<u8>, Faults> {
    let mut entries = container::open(bytes)?.tensors;
    let mut faults = Faults::default();
    let (mut object, stage) = author(manifest)?;
    if source == SelfTestSource::Recorded && entries.iter().any(|entry| entry.name.starts_with("golden.")) {
        faults.add(
            Reason::BadFormat,
            "golden.inputs",
            "the file has a self-test of its own, which is worth more than a recorded one",
        );
        return Err(faults);
    }
    rename(stage, &mut entries, &mut faults);
    let orders = mirror(stage, &mut object);
    if !object.contains_key("normaliser") {
        let has = |name: &str| entries.iter().any(|entry| entry.name == name);
        let statistics = stage.vectors.iter().any(|vector| vector.statistic && has(vector.name));
        object.insert("normaliser".to_owned(), json!(if statistics { STATISTICS } else { manifest::IDENTITY }));
    }
    fill(stage, &mut object)?;
    let judged = manifest::read(&Value::Object(object).to_string(), stage.role.name(), &mut faults);
    let statistics = judged.manifest.as_ref().map(|manifest| manifest.normaliser == STATISTICS);
    let wanted = Wanted { statistics, golden: source == SelfTestSource::File };
    let (mut weights, mut golden) = tensors::read(&entries, stage, wanted, &mut faults);
    let manifest = match (judged.manifest, faults.is_empty()) {
        (Some(manifest), true) => manifest,
        _ => return Err(faults),
    };
    for (at, order) in &orders {
        if let Some(weights) = &mut weights.networks[*at] {
            permute_outputs(&stage.networks[*at], weights, order);
        }
        for (served, rows) in stage.served().map(|(served, _)| served).zip(&mut golden.logits) {
            if served == *at {
                rows.iter_mut().for_each(|row| *row = order.iter().map(|from| row[*from]).collect());
            }
        }
    }
    if source == SelfTestSource::Recorded {
        let inputs = golden::self_test_inputs(stage, RECORDED_INPUTS);
        let recorded = Reference::new(&manifest, &weights).and_then(|mut networks| SelfTest::record(inputs, &mut networks));
        golden = recorded.map_err(|error| Faults::one(Reason::GoldenMismatch, "golden.inputs", error.to_string()))?;
    }
    write(&Checkpoint { manifest, weights, golden }).map_err(|error| Faults::one(Reason::BadFormat, "file", error.to_string()))
}

/// The author's manifest and the stage it is for.
fn author(text: &str) -> Result<(Map<String, Value>, &'static Stage), Faults> {
    let object = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(Faults::one(Reason::BadFormat, "manifest", "must be a JSON object")),
        Err(error) => {
            return Err(Faults::one(Reason::BadFormat, "manifest", format!("not JSON: {}", quote(&error.to_string()))));
        }
    };
    let mut faults = Faults::default();
    for key in KEYS_OF_THE_AUTHOR.into_iter().filter(|key| !object.contains_key(*key)) {
        faults.add(Reason::BadFormat, &format!("manifest.{key}"), "missing; only the author of the weights knows it");
    }
    faults.into_result()?;
    let role = object.get("role").and_then(Value::as_str).unwrap_or_default();
    let Some(role) = Role::from_name(role) else {
        let known = Role::ALL.map(Role::name).join(", ");
        return Err(Faults::one(Reason::WrongRole, "manifest.role", format!("is {}, known are {known}", quote(role))));
    };
    let named = object.get("architecture").and_then(Value::as_str).and_then(|name| Stage::find(role, name));
    Ok((object, named.unwrap_or_else(|| role.stage())))
}

/// Adds what follows from the stage.
fn fill(stage: &'static Stage, object: &mut Map<String, Value>) -> Result<(), Faults> {
    let fixed = serde_json::to_value(Manifest::of(stage));
    let Ok(Value::Object(fixed)) = fixed else {
        return Err(Faults::one(Reason::BadFormat, "manifest", "cannot be written as JSON"));
    };
    for (key, value) in fixed {
        object.entry(key).or_insert(value);
    }
    Ok(())
}

/// Gives statistics under the names of SU-39 the names of ST-56.
fn rename(stage: &Stage, entries: &mut [Entry<'_>], faults: &mut Faults) {
    for vector in stage.vectors.iter().filter(|vector| vector.statistic) {
        let mut parts = vector.name.split('.');
        let (Some(norm), Some(agent), Some(field)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let other = format!("agents.{agent}.{norm}.{field}");
        let taken = entries.iter().any(|entry| entry.name == vector.name);
        if let Some(entry) = entries.iter_mut().find(|entry| entry.name == other) {
            if taken {
                faults.add(Reason::BadFormat, &other, format!("is there beside {}, which is the same", vector.name));
            }
            entry.name = vector.name.to_owned();
        }
    }
}

/// Replaces orders of actions that are permutations of ours; the result says for each network where output `i` came from.
/// Other orders stay: reading the manifest refuses them by name.
fn mirror(stage: &Stage, object: &mut Map<String, Value>) -> Vec<(usize, Vec<usize>)> {
    let mut orders = Vec::new();
    let Some(Value::Object(actions)) = object.get_mut("actions") else { return orders };
    // Outputs of several heads stand in tensors of their own: their order is that of the names.
    for (at, network) in stage.networks.iter().enumerate().filter(|(_, network)| network.heads.len() == 1) {
        let Some(given) = actions.get(network.id).and_then(Value::as_array) else { continue };
        let place = |action: &str| given.iter().position(|given| given.as_str() == Some(action));
        let order: Option<Vec<usize>> = network.actions.iter().map(|action| place(action)).collect();
        let Some(order) = order.filter(|order| order.len() == given.len() && !order.is_sorted()) else { continue };
        actions.insert(network.id.to_owned(), json!(network.actions));
        orders.push((at, order));
    }
    orders
}

/// Reorders the rows of the last linear layer of a network with one head: output `i` becomes what output `order[i]` was.
fn permute_outputs(network: &Network, weights: &mut NetworkWeights, order: &[usize]) {
    let Some((Step::Dense(_, inputs, _), layer)) = network.layers().last().copied().zip(weights.layers.last_mut()) else {
        return;
    };
    let (weight, bias) = (layer.weight.clone(), layer.bias.clone());
    for (to, from) in order.iter().enumerate() {
        layer.weight[to * inputs..(to + 1) * inputs].copy_from_slice(&weight[from * inputs..(from + 1) * inputs]);
        layer.bias[to] = bias[*from];
    }
}
