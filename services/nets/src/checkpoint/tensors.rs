//! From the tensors of a file to weights and self-test: every tensor that a stage needs, and no other.

use super::SELF_TEST_INPUTS;
use super::container::Entry;
use super::fault::{Faults, Reason};
use super::self_test::{GOLDEN_INPUTS, SelfTest, golden_logits};
use crate::architecture::{Network, Stage, TensorSpec, Use, Vector};
use crate::weights::{NetworkWeights, StageWeights};

/// What a file must hold besides what the stage says.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Statistics of the normaliser; `None` when the manifest could not say.
    pub(super) statistics: Option<bool>,
    /// The self-test.
    pub(super) golden: bool,
}

/// Reads all tensors (ST-56, ST-58, SU-39, SU-45, EX-25, EX-26, RK-34); every violation lands in `faults`.
pub(super) fn read(found: &[Entry<'_>], stage: &'static Stage, wanted: Wanted, faults: &mut Faults) -> (StageWeights, SelfTest) {
    let mut tensors = Tensors { found, known: Vec::new(), faults };
    let networks = stage.networks.iter().map(|network| tensors.network(network)).collect();
    let statistics = wanted.statistics.unwrap_or_else(|| {
        stage.vectors.iter().any(|vector| vector.statistic && found.iter().any(|entry| entry.name == vector.name))
    });
    let vectors = stage.vectors.iter().map(|vector| (statistics || !vector.statistic).then(|| tensors.vector(vector)));
    let weights = StageWeights { stage, networks, vectors: vectors.collect() };
    let golden = if wanted.golden { tensors.golden(stage) } else { SelfTest { inputs: Vec::new(), logits: Vec::new() } };
    tensors.report_unknown(stage, statistics);
    (weights, golden)
}

/// The tensors of a file while they are compared with what is needed.
struct Tensors<'a, 'b> {
    found: &'a [Entry<'b>],
    known: Vec<String>,
    faults: &'a mut Faults,
}

impl<'a, 'b> Tensors<'a, 'b> {
    /// The tensor of a name, if it holds 32-bit floats; its shape is the caller's business.
    fn get(&mut self, name: &str, wanted: &str) -> Option<&'a Entry<'b>> {
        self.known.push(name.to_owned());
        let Some(entry) = self.found.iter().find(|entry| entry.name == name) else {
            self.faults.add(Reason::MissingTensor, name, format!("not in the file, must be F32 {wanted}"));
            return None;
        };
        if entry.dtype != "F32" {
            self.faults.add(Reason::BadShape, name, format!("is {}, must be F32 {wanted}", entry.describe()));
            return None;
        }
        Some(entry)
    }

    fn fill(&mut self, spec: &TensorSpec, into: &mut [f32]) {
        let wanted = format!("{:?}", spec.shape);
        let Some(entry) = self.get(&spec.name, &wanted) else { return };
        if entry.shape != spec.shape {
            self.faults.add(Reason::BadShape, &spec.name, format!("is {}, must be F32 {wanted}", entry.describe()));
            return;
        }
        into.copy_from_slice(&self.finite(entry));
    }

    /// An optional network is absent as a whole or present as a whole.
    fn network(&mut self, network: &Network) -> Option<NetworkWeights> {
        let prefix = format!("{}.", network.prefix);
        if network.used == Use::Optional && !self.found.iter().any(|entry| entry.name.starts_with(&prefix)) {
            return None;
        }
        let mut weights = NetworkWeights::zeros(network);
        for (spec, into) in network.tensors().iter().zip(weights.values_mut()) {
            self.fill(spec, into);
        }
        Some(weights)
    }

    fn vector(&mut self, vector: &Vector) -> Vec<f32> {
        let (low, high) = vector.range;
        let mut values = vec![low.max(1.0); vector.width];
        self.fill(&TensorSpec { name: vector.name.to_owned(), shape: vec![vector.width] }, &mut values);
        if let Some(at) = values.iter().position(|value| value.is_finite() && !(low..=high).contains(value)) {
            let upper = if high == f32::MAX { String::new() } else { format!(" and at most {high}") };
            let message = format!("element {at} is {}, it must be at least {low}{upper}", values[at]);
            self.faults.add(Reason::BadFormat, vector.name, message);
        }
        values
    }

    /// The values; those that are not finite are counted as one fault.
    fn finite(&mut self, entry: &Entry<'_>) -> Vec<f32> {
        let values = entry.values();
        if let Some(first) = values.iter().position(|value| !value.is_finite()) {
            let (value, count) = (values[first], values.iter().filter(|value| !value.is_finite()).count());
            let message = format!("element {first} is {value} ({count} of {} are not finite), all must be finite", values.len());
            self.faults.add(Reason::NotFinite, &entry.name, message);
        }
        values
    }

    fn golden(&mut self, stage: &Stage) -> SelfTest {
        let (least, most) = (SELF_TEST_INPUTS.start(), SELF_TEST_INPUTS.end());
        let inputs = self.rows(GOLDEN_INPUTS, stage.input_shape, None, &format!("n from {least} to {most}"));
        let rows = Some(inputs.len()).filter(|rows| *rows > 0);
        let logits = stage.served().map(|(_, network)| {
            let note = format!("as many as {GOLDEN_INPUTS}");
            self.rows(&golden_logits(network.id), &[network.outputs()], rows, &note)
        });
        SelfTest { logits: logits.collect(), inputs }
    }

    /// Rows of a self-test tensor: as many as given, or as many as are allowed.
    fn rows(&mut self, name: &str, row: &[usize], count: Option<usize>, note: &str) -> Vec<Vec<f32>> {
        let size = row.iter().map(|size| format!(", {size}")).collect::<String>();
        let wanted = format!("[{}{size}] ({note})", count.map_or_else(|| "n".to_owned(), |count| count.to_string()));
        let Some(entry) = self.get(name, &wanted) else { return Vec::new() };
        let fits = |seen: usize| count.map_or_else(|| SELF_TEST_INPUTS.contains(&seen), |count| seen == count);
        match entry.shape.split_first() {
            Some((seen, rest)) if fits(*seen) && rest == row => {
                self.finite(entry).chunks_exact(row.iter().product()).map(<[f32]>::to_vec).collect()
            }
            _ => {
                self.faults.add(Reason::BadShape, name, format!("is {}, must be F32 {wanted}", entry.describe()));
                Vec::new()
            }
        }
    }

    fn report_unknown(&mut self, stage: &Stage, statistics: bool) {
        for entry in self.found.iter().filter(|entry| !self.known.contains(&entry.name)) {
            let statistic = !statistics && stage.vectors.iter().any(|vector| vector.name == entry.name);
            let why = if statistic {
                "the manifest's normaliser is \"identity\", with \"statistics\" it would be read"
            } else {
                "the architecture has no such tensor"
            };
            self.faults.add(Reason::UnknownTensor, &entry.name, format!("is {}, {why}", entry.describe()));
        }
    }
}
