//! Checkpoints that are wrong on purpose: what verification must refuse, and one that it must not.
//!
//! For tests and demonstrations. Each kind has one fault, so that a test can name the reason.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::answer::NoAnswer;
use crate::architecture::{ACTIONS, BINS, CHANNELS_1, COLUMNS, FLAT, HIDDEN_1, HIDDEN_2, KERNEL, tactical};
use crate::checkpoint::{Checkpoint, Faults, MANIFEST_KEY, Manifest, Reason, SelfTest, TACTICAL_ROLE, WriteError, write};
use crate::forward::TacticalForward;
use crate::golden;
use crate::weights::{ActorWeights, TacticalWeights};

/// A kind of wrong checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// One bit of a weight is flipped; only the digest shows it.
    FlippedByte,
    /// The last tenth is missing.
    Truncated,
    /// `agents.entry.fc3.weight` is stored transposed.
    WrongShape,
    /// `agents.momentum.fc2.bias` is missing.
    MissingTensor,
    /// One weight of fvg is NaN.
    Nan,
    /// The manifest says Execution.
    WrongRole,
    /// The expected output of the self-test is off by 0.01.
    Golden,
    /// The manifest names a feature schema that does not exist.
    Schema,
    /// Well-formed, and trades on nearly every bar, each time the other way.
    Overtrader,
}

/// All kinds.
pub const SPOILS: [Spoil; 9] = [
    Spoil::FlippedByte,
    Spoil::Truncated,
    Spoil::WrongShape,
    Spoil::MissingTensor,
    Spoil::Nan,
    Spoil::WrongRole,
    Spoil::Golden,
    Spoil::Schema,
    Spoil::Overtrader,
];

/// Why a checkpoint could not be spoiled.
#[derive(Debug, thiserror::Error)]
pub enum SpoilError {
    /// The input is not a checkpoint.
    #[error("only a good checkpoint can be spoiled, this one is not: {0}")]
    Input(#[from] Faults),
    /// The result could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The result could not be put together.
    #[error("the file cannot be put together: {0}")]
    Container(#[from] safetensors::SafeTensorError),
    /// The overtrader gave no answer to a self-test input.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

impl Spoil {
    /// Name on the command line and in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlippedByte => "flipped-byte",
            Self::Truncated => "truncated",
            Self::WrongShape => "wrong-shape",
            Self::MissingTensor => "missing-tensor",
            Self::Nan => "nan",
            Self::WrongRole => "wrong-role",
            Self::Golden => "golden",
            Self::Schema => "schema",
            Self::Overtrader => "overtrader",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        SPOILS.into_iter().find(|kind| kind.name() == name)
    }

    /// The reason that verification gives; none for the overtrader. A flipped byte is seen only
    /// against the digest of the good file.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::FlippedByte => Some(Reason::DigestMismatch),
            Self::Truncated => Some(Reason::Truncated),
            Self::WrongShape => Some(Reason::BadShape),
            Self::MissingTensor => Some(Reason::MissingTensor),
            Self::Nan => Some(Reason::NotFinite),
            Self::WrongRole => Some(Reason::WrongRole),
            Self::Golden => Some(Reason::GoldenMismatch),
            Self::Schema => Some(Reason::UnknownFeatureSchema),
            Self::Overtrader => None,
        }
    }
}

/// Makes a wrong checkpoint out of a good one.
///
/// # Errors
/// When `good` is not a checkpoint.
pub fn spoil(good: &[u8], kind: Spoil) -> Result<Vec<u8>, SpoilError> {
    let mut checkpoint = Checkpoint::read(good, TACTICAL_ROLE)?;
    match kind {
        Spoil::FlippedByte => {
            let mut bytes = good.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            return Ok(bytes);
        }
        Spoil::Truncated => return Ok(good[..good.len() - good.len() / 10].to_vec()),
        Spoil::WrongShape => {
            return edit(good, |name, shape| match name {
                "agents.entry.fc3.weight" => Some(shape.iter().rev().copied().collect()),
                _ => Some(shape.to_vec()),
            });
        }
        Spoil::MissingTensor => return edit(good, |name, shape| (name != "agents.momentum.fc2.bias").then(|| shape.to_vec())),
        Spoil::Nan => {
            if let Some(fvg) = &mut checkpoint.weights.networks[0] {
                fvg.layers[2].weight[12_345] = f32::NAN;
            }
        }
        Spoil::WrongRole => checkpoint.manifest.role = "Execution".to_owned(),
        Spoil::Golden => checkpoint.golden.logits[1][3][0] += 0.01,
        Spoil::Schema => checkpoint.manifest.feature_schema = "tactical-60x9-v7".to_owned(),
        Spoil::Overtrader => checkpoint = overtrader()?,
    }
    Ok(write(&checkpoint)?)
}

/// Rewrites a file with other shapes (`None` leaves the tensor out).
fn edit(good: &[u8], shape_of: impl Fn(&str, &[usize]) -> Option<Vec<usize>>) -> Result<Vec<u8>, SpoilError> {
    let (_, metadata) = SafeTensors::read_metadata(good)?;
    let file = SafeTensors::deserialize(good)?;
    let mut views = Vec::new();
    for (name, view) in file.tensors() {
        if let Some(shape) = shape_of(&name, view.shape()) {
            views.push((name, TensorView::new(Dtype::F32, shape, view.data())?));
        }
    }
    let manifest = metadata.metadata().clone().map(|mut all| {
        all.retain(|key, _| key == MANIFEST_KEY);
        all
    });
    Ok(safetensors::serialize(views, manifest)?)
}

/// A checkpoint that verifies and should never be promoted: at each bar it is certain of a
/// direction, which is that of the last turn of the five-bar momentum and so changes nearly every
/// other bar, and it is always in a hurry.
///
/// # Errors
/// When its self-test cannot be recorded or written.
pub fn overtrader() -> Result<Checkpoint, SpoilError> {
    let weights = overtrader_weights();
    let inputs = golden::self_test_inputs(&tactical::STAGE, 32);
    let golden = SelfTest::record(inputs, &mut TacticalForward::new(&weights))?;
    let mut manifest = Manifest::tactical();
    manifest.code_revision = format!("{} by hand", env!("CARGO_PKG_VERSION"));
    Ok(Checkpoint { manifest, weights: weights.to_stage(), golden })
}

fn overtrader_weights() -> TacticalWeights {
    let turn = turn_follower();
    TacticalWeights { agents: [turn.clone(), turn, always_aggressive()], critic: None }
}

/// Column whose turns are followed: five-bar momentum.
const MOMENTUM: usize = 5;
/// Factor that silences a position of the second convolution.
const SILENCE: f32 = 100.0;
/// Steepness of the decision: a turn of a hundredth is certain.
const STEEP: f32 = 1000.0;
/// Largest logit.
const CERTAIN: f32 = 10.0;

/// An actor by hand. With x the momentum: logits (long, hold, short) = (c(d), 0, c(-d)), where
/// d = x[59] - 2 x[58] + x[57] and c cuts to 0..=10.
fn turn_follower() -> ActorWeights {
    let mut actor = ActorWeights::zeros([1.0; COLUMNS]);
    let [conv1, conv2, fc1, fc2, fc3] = &mut actor.layers;
    // conv1: channel 0 is x + 1, channel 1 is x of the bar before + 1, both positive, so that the
    // ReLU lets them pass; channel 2 is always 1.
    let tap = |output: usize, input: usize, tap: usize, inputs: usize| (output * inputs + input) * KERNEL + tap;
    conv1.weight[tap(0, MOMENTUM, 1, COLUMNS)] = 1.0;
    conv1.weight[tap(1, MOMENTUM, 0, COLUMNS)] = 1.0;
    conv1.bias[..3].fill(1.0);
    // conv2: channels 0, 1, 2 are x[59], x[58], x[57] (each + 1) at the last bar and 0 elsewhere:
    // the padding behind the last bar is the one place where channel 2 has no right neighbour.
    for (channel, (input, at)) in [(0, 1), (1, 1), (1, 0)].into_iter().enumerate() {
        conv2.weight[tap(channel, input, at, CHANNELS_1)] = 1.0;
        conv2.weight[tap(channel, 2, 2, CHANNELS_1)] = -SILENCE;
    }
    // The last bin averages four bars, three of them silent.
    let bin = |channel: usize| channel * BINS + BINS - 1;
    for (neuron, (sign, bias)) in [(1.0, 0.0), (1.0, -CERTAIN), (-1.0, 0.0), (-1.0, -CERTAIN)].into_iter().enumerate() {
        let row = neuron * FLAT;
        for (channel, factor) in [1.0, -2.0, 1.0].into_iter().enumerate() {
            fc1.weight[row + bin(channel)] = sign * factor * 4.0 * STEEP;
        }
        fc1.bias[neuron] = bias;
    }
    // Ramp minus the same ramp later: cut at CERTAIN.
    for (neuron, first) in [0, 2].into_iter().enumerate() {
        fc2.weight[neuron * HIDDEN_1 + first] = 1.0;
        fc2.weight[neuron * HIDDEN_1 + first + 1] = -1.0;
    }
    fc3.weight[0] = 1.0;
    fc3.weight[2 * HIDDEN_2 + 1] = 1.0;
    actor
}

/// An entry agent that does not look: always aggressive.
fn always_aggressive() -> ActorWeights {
    let mut actor = ActorWeights::zeros([1.0; COLUMNS]);
    actor.layers[4].bias[ACTIONS - 1] = CERTAIN;
    actor
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in SPOILS {
            assert_eq!(Spoil::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Spoil::from_name("other"), None);
    }

    /// The hand-made actor computes the formula in its comment.
    #[test]
    fn the_overtrader_follows_the_last_turn() {
        let mut networks = TacticalForward::new(&overtrader_weights());
        for index in 100..140 {
            let input = golden::self_test_input(index);
            let turn = f64::from(input[59][5]) - 2.0 * f64::from(input[58][5]) + f64::from(input[57][5]);
            let steep = f64::from(STEEP);
            let expected = [(turn * steep).clamp(0.0, 10.0), 0.0, (-turn * steep).clamp(0.0, 10.0)];
            let [fvg, momentum, entry] = networks.logits(&input).unwrap();
            for i in 0..ACTIONS {
                assert!((f64::from(fvg[i]) - expected[i]).abs() < 0.01, "{fvg:?} instead of {expected:?}");
            }
            assert_eq!(fvg, momentum);
            assert_eq!(entry, [0.0, 0.0, 10.0]);
        }
    }
}
