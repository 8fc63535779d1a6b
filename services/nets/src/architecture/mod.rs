//! Networks as data: for each role its agents, layers, tensor names and shapes.
//!
//! A [`Stage`] is a table, [`network`] the words it is written in. Reader, writer, candle networks, self-test and
//! documentation all follow the table, so that a new architecture is one more constant.

pub mod execution;
mod network;
pub mod risk;
pub mod strategic;
pub mod tactical;

pub use network::{BINS, KERNEL, Network, Step, TensorSpec, Use, View};
pub use tactical::{
    ACTIONS, AGENT_COUNT, AGENTS, Agent, CHANNELS_1, CHANNELS_2, COLUMNS, FEATURE_SCHEMA, FLAT, HIDDEN_1, HIDDEN_2, Logits,
    Matrix, ROWS, pool_bin,
};

use crate::schema::Schema;

/// What a checkpoint is for; the names are those of a `ModelCheckpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// 30-minute agents and critic (ST-50).
    Strategic,
    /// 5-minute agents (TA-17).
    Tactical,
    /// Size, timing and protection of an order (EX-15).
    Execution,
    /// Agents and critic of the risk service (RK-19).
    Risk,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Strategic, Self::Tactical, Self::Execution, Self::Risk];

    /// Name in manifests and resources.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strategic => "Strategic",
            Self::Tactical => "Tactical",
            Self::Execution => "Execution",
            Self::Risk => "Risk",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The architecture that is used unless a manifest names another.
    pub const fn stage(self) -> &'static Stage {
        match self {
            Self::Strategic => &strategic::STAGE,
            Self::Tactical => &tactical::STAGE,
            Self::Execution => &execution::STAGE,
            Self::Risk => &risk::STAGE,
        }
    }
}

/// All architectures, each role's default first.
pub const STAGES: [&Stage; 5] = [&strategic::STAGE, &tactical::STAGE, &execution::STAGE, &risk::STAGE, &risk::STATE_ONLY];

/// The networks of one role in one architecture.
#[derive(Debug, PartialEq)]
pub struct Stage {
    /// Role.
    pub role: Role,
    /// Name in a manifest.
    pub architecture: &'static str,
    /// Meaning of the inputs.
    pub schema: &'static Schema,
    /// Shape of one input of the self-test.
    pub input_shape: &'static [usize],
    /// What the values of an input can be; repeated over the rows of an input.
    pub samples: &'static [Sample],
    /// Agents in their order, then the critic.
    pub networks: &'static [Network],
    /// Tensors that are no layers.
    pub vectors: &'static [Vector],
}

impl Stage {
    /// The architecture of a name.
    pub fn find(role: Role, architecture: &str) -> Option<&'static Self> {
        STAGES.into_iter().find(|stage| stage.role == role && stage.architecture == architecture)
    }

    /// Values in one input of the self-test.
    pub fn input_width(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// The agents, in order.
    pub fn agents(&self) -> impl Iterator<Item = &'static Network> {
        self.networks.iter().filter(|network| !network.actions.is_empty())
    }

    /// Networks that answer when the stage serves: those of the self-test.
    pub fn served(&self) -> impl Iterator<Item = (usize, &'static Network)> {
        self.networks.iter().enumerate().filter(|(_, network)| network.used == Use::Served)
    }

    /// Values that all served networks give for one input.
    pub fn output_width(&self) -> usize {
        self.served().map(|(_, network)| network.outputs()).sum()
    }
}

/// A tensor that is no layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vector {
    /// Full name.
    pub name: &'static str,
    /// Number of values.
    pub width: usize,
    /// Least and largest value allowed, both included.
    pub range: (f32, f32),
    /// Belongs to the statistics of the normaliser, which a checkpoint may do without (ST-14, EX-14, RK-8).
    pub statistic: bool,
}

impl Vector {
    /// Means of a normaliser.
    pub(crate) const fn mean(name: &'static str, width: usize) -> Self {
        Self { name, width, range: (f32::MIN, f32::MAX), statistic: true }
    }

    /// Deviations of a normaliser: what is divided by is at least 1e-6 (SU-45).
    pub(crate) const fn deviation(name: &'static str, width: usize) -> Self {
        Self { name, width, range: (1e-6, f32::MAX), statistic: true }
    }
}

/// What a value of an input can be, for inputs of self-tests and tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    /// 0 or 1.
    Flag,
    /// -1, 0 or 1.
    Direction,
    /// A multiple of 1/60 from 0 to 1.
    Sixtieth,
    /// Anything between the two.
    Range(f32, f32),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(stage: &Stage, id: &str) -> usize {
        let tensors = stage.networks.iter().filter(|network| network.id == id).flat_map(Network::tensors);
        tensors.map(|spec| spec.shape.iter().product::<usize>()).sum()
    }

    /// ST-55, SU-40, TA-17, TA-20, EX-16..EX-19, RK-28, RK-30: trainable parameters of every network.
    /// A policy's temperature is counted by ST-55 and is a vector here; RK-30 does not count the value head.
    #[test]
    fn parameter_counts_of_every_network() {
        let counts = |stage: &Stage| stage.networks.iter().map(|network| parameters(stage, network.id)).collect::<Vec<_>>();
        assert_eq!(counts(&strategic::STAGE), [45_060 - 1, 45_060 - 1, 44_804 - 1, 177_921]);
        let shared = strategic::STAGE.vectors.iter().filter(|vector| !vector.statistic).map(|vector| vector.width).sum::<usize>();
        assert_eq!(counts(&strategic::STAGE).iter().sum::<usize>() + shared, 312_848);
        assert_eq!(counts(&tactical::STAGE), [302_602, 302_602, 302_602, 809_985]);
        assert_eq!(counts(&execution::STAGE), [12_820, 12_787, 14_801, 54_897]);
        assert_eq!(counts(&risk::STAGE), [14_213, 14_114, 14_180, 14_213, 60_612 + 65]);
    }

    /// Widths of consecutive layers fit, names of tensors are unique, views fit the inputs.
    #[test]
    fn tables_are_consistent() {
        for stage in STAGES {
            let mut names = std::collections::BTreeSet::new();
            for network in stage.networks {
                network.check().unwrap_or_else(|fault| panic!("{} {}: {fault}", stage.architecture, network.id));
                for spec in network.tensors() {
                    assert!(names.insert(spec.name.clone()), "{} is there twice", spec.name);
                }
            }
            for vector in stage.vectors {
                assert!(names.insert(vector.name.to_owned()), "{} is there twice", vector.name);
            }
            assert_eq!(stage.input_width() % stage.samples.len(), 0, "{}", stage.architecture);
            assert_eq!(Stage::find(stage.role, stage.architecture), Some(stage));
        }
        assert!(Role::ALL.into_iter().all(|role| Role::from_name(role.name()) == Some(role) && role.stage().role == role));
        assert_eq!(Role::from_name("tactical"), None);
    }
}
