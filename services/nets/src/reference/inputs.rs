//! What each network of a stage sees of the stage's input.

use tradewind_features::strategic::{AGENT_WIDTHS, AGENTS, COLUMNS, CONTEXT, Gathers, Normaliser, PolicyInput};

use crate::architecture::{Network, Role, View};
use crate::checkpoint::Manifest;
use crate::weights::StageWeights;

/// The part of a checkpoint that stands before its networks: which columns are gathered, and frozen statistics.
#[derive(Debug, Clone)]
pub struct Inputs {
    gathers: Gathers,
    normalisers: [Normaliser; 3],
    affine: Option<(Vec<f32>, Vec<f32>)>,
}

impl Inputs {
    /// Those of a checkpoint.
    ///
    /// # Errors
    /// Columns or statistics that fit no network, in words. Reading a checkpoint checks both.
    pub fn new(manifest: &Manifest, weights: &StageWeights) -> Result<Self, String> {
        let both = |mean: &str, std: &str| weights.vector(mean).zip(weights.vector(std));
        let mut normalisers = [0, 1, 2].map(Normaliser::identity);
        if weights.stage.role == Role::Strategic {
            for (agent, id) in AGENTS.into_iter().enumerate() {
                if let Some((mean, std)) = both(&format!("norm.{id}.mean"), &format!("norm.{id}.std")) {
                    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
                    normalisers[agent] = Normaliser::new(agent, wide(mean), wide(std)).map_err(|error| error.to_string())?;
                }
            }
        }
        let affine = both("norm.mean", "norm.std").filter(|_| weights.stage.role == Role::Execution);
        Ok(Self { gathers: manifest.gathers()?, normalisers, affine: affine.map(|(mean, std)| (mean.to_vec(), std.to_vec())) })
    }

    /// Columns of the strategic agents (ST-8).
    pub fn gathers(&self) -> &Gathers {
        &self.gathers
    }

    /// Statistics of the strategic agents (ST-14); identity without.
    pub fn normalisers(&self) -> &[Normaliser; 3] {
        &self.normalisers
    }

    /// Appends to `view` what a network sees of an input of the self-test. `input` has the width of the stage.
    pub fn view(&self, network: &Network, input: &[f32], view: &mut Vec<f32>) {
        match network.view {
            View::All => match &self.affine {
                // EX-14: before the attention.
                Some((mean, std)) => {
                    view.extend(input.iter().zip(mean).zip(std).map(|((value, mean), std)| (value - mean) / std))
                }
                None => view.extend_from_slice(input),
            },
            View::Ranges(ranges) => ranges.iter().for_each(|(first, end)| view.extend_from_slice(&input[*first..*end])),
            View::Policy(agent) => {
                let mut wide = [0.0; COLUMNS + CONTEXT];
                wide.iter_mut().zip(input).for_each(|(wide, value)| *wide = f64::from(*value));
                let (mut pooled, mut context) = ([0.0; COLUMNS], [0.0; CONTEXT]);
                pooled.copy_from_slice(&wide[..COLUMNS]);
                context.copy_from_slice(&wide[COLUMNS..]);
                let input = PolicyInput::new(agent, &pooled, &self.gathers, &self.normalisers[agent], &context);
                debug_assert_eq!(input.as_slice().len(), AGENT_WIDTHS[agent] + CONTEXT);
                view.extend_from_slice(input.as_slice());
            }
            View::Own => {}
        }
    }
}
