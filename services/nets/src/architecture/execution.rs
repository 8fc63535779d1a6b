//! The execution networks: three actors with one shape of trunk, and a critic; names of EX-25, attention of EX-20. The
//! vectors of EX-21 belong to no tensor.

use super::{Network, Role, Sample, Stage, Step, Use, Vector, View};
use crate::schema::EXECUTION;

/// Values of the execution context (EX-6).
pub const CONTEXT: usize = 15;

/// Layers that all actors have (EX-15).
const TRUNK: [Step; 5] = [
    Step::Dense("feature_extractor.0", CONTEXT, 128),
    Step::Relu,
    Step::Norm("feature_extractor.2", 128),
    Step::Dense("feature_extractor.3", 128, 64),
    Step::Relu,
];

const fn actor(
    id: &'static str,
    prefix: &'static str,
    actions: &'static [&'static str],
    attention: &'static [f32; CONTEXT],
    heads: &'static [&'static [Step]],
) -> Network {
    Network { id, prefix, actions, view: View::All, inputs: CONTEXT, attention, trunk: &TRUNK, heads, used: Use::Served }
}

/// The execution stage: input is the context of EX-7 before the normaliser of EX-14.
pub static STAGE: Stage = Stage {
    role: Role::Execution,
    architecture: "execution-attention-15-v1",
    schema: &EXECUTION,
    input_shape: &[CONTEXT],
    samples: &[
        Sample::Direction,
        Sample::Range(0.0, 1.0),
        Sample::Range(0.0, 1.0),
        Sample::Range(0.0, 1.0),
        Sample::Range(0.0, 5.0),
        Sample::Range(0.0, 1.0),
        Sample::Range(0.0, 3.0),
        Sample::Range(0.0, 0.05),
        Sample::Range(-5.0, 5.0),
        Sample::Range(0.0, 1.0),
        Sample::Range(-0.05, 0.05),
        Sample::Range(0.0, 1.5),
        Sample::Range(0.0, 1.0),
        Sample::Range(0.0, 60.0),
        Sample::Range(0.0, 1.0),
    ],
    networks: &[
        // EX-16, EX-22: index 4 is five contracts.
        actor(
            "position_sizing",
            "position_sizing_agent",
            &["contracts_0", "contracts_1", "contracts_2", "contracts_3", "contracts_5"],
            &[0.1, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05],
            &[&[Step::Dense("policy_head.0", 64, 32), Step::Relu, Step::Dense("policy_head.2", 32, 5)]],
        ),
        // EX-17, EX-23.
        actor(
            "execution_timing",
            "execution_timing_agent",
            &["immediate", "twap_5min", "vwap_aggressive", "iceberg"],
            &[0.1, 0.1, 0.05, 0.2, 0.2, 0.15, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.1, 0.1],
            &[&[Step::Dense("policy_head.0", 64, 32), Step::Relu, Step::Dense("policy_head.2", 32, 4)]],
        ),
        // EX-18, EX-24: before the sigmoids, stop first.
        actor(
            "risk_management",
            "risk_management_agent",
            &["stop_loss_atr_multiplier", "take_profit_atr_multiplier"],
            &[0.1, 0.15, 0.1, 0.05, 0.05, 0.05, 0.05, 0.2, 0.1, 0.05, 0.15, 0.15, 0.15, 0.05, 0.05],
            &[
                &[Step::Dense("stop_loss_head.0", 64, 32), Step::Relu, Step::Dense("stop_loss_head.2", 32, 1)],
                &[Step::Dense("take_profit_head.0", 64, 32), Step::Relu, Step::Dense("take_profit_head.2", 32, 1)],
            ],
        ),
        // EX-19; its market features are values 4 to 7 of the context (EX-13).
        Network {
            id: "critic",
            prefix: "centralized_critic",
            actions: &[],
            view: View::All,
            inputs: CONTEXT,
            attention: &[],
            trunk: &[
                Step::Append(
                    4,
                    4,
                    &[Step::Dense("market_features.0", 4, 16), Step::Relu, Step::Dense("market_features.2", 16, 32), Step::Relu],
                ),
                Step::Dense("network.0", CONTEXT + 32, 256),
                Step::Relu,
                Step::Norm("network.2", 256),
                Step::Dense("network.3", 256, 128),
                Step::Relu,
                Step::Norm("network.5", 128),
                Step::Dense("network.6", 128, 64),
                Step::Relu,
            ],
            heads: &[&[Step::Dense("network.8", 64, 1)]],
            used: Use::Optional,
        },
    ],
    vectors: &[Vector::mean("norm.mean", CONTEXT), Vector::deviation("norm.std", CONTEXT)],
};
