//! From bytes to weights: every rule of the format, every violation at once.

use sha2::{Digest, Sha256};

use super::container::{self, Container, Entry};
use super::fault::{Faults, Reason};
use super::manifest::{self, Manifest};
use super::self_test::SelfTest;
use super::{MANIFEST_KEY, SELF_TEST_INPUTS};
use crate::architecture::{ACTIONS, AGENTS, COLUMNS, Matrix, ROWS, TensorSpec, actor_tensors, critic_tensors};
use crate::weights::{CriticWeights, TacticalWeights};

/// Metadata key that PyTorch's writer adds; it means nothing here.
const TORCH_KEY: &str = "format";
/// Self-test inputs `[n, 60, 7]`.
pub(super) const GOLDEN_INPUTS: &str = "golden.inputs";

/// Name of an agent's self-test outputs `[n, 3]`.
pub(super) fn golden_logits(agent: &str) -> String {
    format!("golden.{agent}.logits")
}

/// A checkpoint whose structure is right. Whether the networks do what it says is decided by
/// [`Checkpoint::self_test`].
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the file says about itself.
    pub manifest: Manifest,
    /// Its networks.
    pub weights: TacticalWeights,
    /// Inputs and outputs that come with it.
    pub golden: SelfTest,
}

/// Hex SHA-256 of a file.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Checkpoint {
    /// Reads a file of the given role (`Tactical` is the one that exists).
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(bytes: &[u8], expected_role: &str) -> Result<Self, Faults> {
        let container = container::open(bytes)?;
        let mut faults = Faults::default();
        let judged = match manifest_text(&container, &mut faults) {
            Some(text) => manifest::read(text, expected_role, &mut faults),
            None => manifest::Judged { manifest: None, right_role: true },
        };
        if !judged.right_role {
            return Err(faults);
        }
        let (weights, golden) = read_tensors(&container, &mut faults);
        match (judged.manifest, faults.is_empty()) {
            (Some(manifest), true) => Ok(Self { manifest, weights, golden }),
            _ => Err(faults),
        }
    }
}

fn manifest_text<'a>(container: &'a Container<'_>, faults: &mut Faults) -> Option<&'a str> {
    for (key, _) in container.metadata.iter().filter(|(key, _)| key != MANIFEST_KEY && key != TORCH_KEY) {
        faults.add(Reason::BadFormat, key, format!("unknown metadata key; {MANIFEST_KEY} is the one that is read"));
    }
    let found = container.metadata.iter().find(|(key, _)| key == MANIFEST_KEY);
    if found.is_none() {
        faults.add(
            Reason::BadFormat,
            MANIFEST_KEY,
            "missing in the metadata; a checkpoint carries a manifest, see CHECKPOINT.md",
        );
    }
    found.map(|(_, text)| text.as_str())
}

fn read_tensors(container: &Container<'_>, faults: &mut Faults) -> (TacticalWeights, SelfTest) {
    let mut weights = TacticalWeights::zeros();
    let mut tensors = Tensors { found: &container.tensors, known: Vec::new(), faults };
    for (agent, actor) in AGENTS.iter().zip(&mut weights.agents) {
        for (spec, into) in actor_tensors(agent.id).iter().zip(actor.tensors_mut()) {
            tensors.fill(spec, into);
        }
    }
    if container.tensors.iter().any(|tensor| tensor.name.starts_with("critic.")) {
        let mut critic = CriticWeights::zeros();
        for (spec, into) in critic_tensors().iter().zip(critic.tensors_mut()) {
            tensors.fill(spec, into);
        }
        weights.critic = Some(critic);
    }
    let golden = tensors.golden();
    tensors.report_unknown();
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

    fn golden(&mut self) -> SelfTest {
        let wanted = format!("[n, {ROWS}, {COLUMNS}] with n in {}..={}", SELF_TEST_INPUTS.start(), SELF_TEST_INPUTS.end());
        let mut inputs = Vec::new();
        if let Some(entry) = self.get(GOLDEN_INPUTS, &wanted) {
            match entry.shape[..] {
                [n, ROWS, COLUMNS] if SELF_TEST_INPUTS.contains(&n) => inputs = matrices(&self.finite(entry)),
                _ => self.faults.add(Reason::BadShape, GOLDEN_INPUTS, format!("is {}, must be F32 {wanted}", entry.describe())),
            }
        }
        let logits = AGENTS.map(|agent| {
            let name = golden_logits(agent.id);
            let wanted = format!("[{}, {ACTIONS}]", inputs.len());
            let Some(entry) = self.get(&name, &wanted) else { return Vec::new() };
            if entry.shape != [inputs.len(), ACTIONS] {
                self.faults.add(
                    Reason::BadShape,
                    &name,
                    format!("is {}, must be F32 {wanted} like {GOLDEN_INPUTS}", entry.describe()),
                );
                return Vec::new();
            }
            self.finite(entry).as_chunks::<ACTIONS>().0.to_vec()
        });
        SelfTest { inputs, logits }
    }

    fn report_unknown(&mut self) {
        for entry in self.found.iter().filter(|entry| !self.known.contains(&entry.name)) {
            self.faults.add(
                Reason::UnknownTensor,
                &entry.name,
                format!("is {}, the architecture has no such tensor", entry.describe()),
            );
        }
    }
}

fn matrices(values: &[f32]) -> Vec<Matrix> {
    values.as_chunks::<COLUMNS>().0.as_chunks::<ROWS>().0.to_vec()
}
