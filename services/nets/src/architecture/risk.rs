//! The risk networks: four actors of one shape (RK-19, RK-20, RK-21, RK-22, RK-28) and a critic with two heads (RK-30, RK-33).
//!
//! Outputs stand before softmax, box and sigmoid (RK-29). Names follow RK-34 with the prefixes of ruling 13, because one file
//! holds the whole role. The deviations of the continuous actors (`log_std`) are the trainer's state and stand in no
//! checkpoint.

use super::{Network, Role, Sample, Stage, Step, Use, Vector, View};
use crate::schema::RISK;

/// Values of the risk state (RK-5).
pub const STATE: usize = 10;
/// Values of each agent's context block, P1 to P4 (RK-24, RK-25, RK-26, RK-27).
pub const BLOCK: usize = 16;
/// The state, then the blocks of all agents (RK-31).
pub const INPUTS: usize = STATE + 4 * BLOCK;
/// Meaning of the critic's first four outputs, before their sigmoids (RK-31); the fifth is the value (RK-33).
pub const SCORES: [&str; 4] = ["portfolio_risk", "position_risk", "correlation_risk", "liquidity_risk"];

/// Layers between the first norm and the head (RK-28).
const fn trunk(inputs: usize) -> [Step; 7] {
    [
        Step::Dense("trunk.0", inputs, 128),
        Step::Relu,
        Step::Norm("norm", 128),
        Step::Dense("trunk.1", 128, 64),
        Step::Relu,
        Step::Dense("trunk.2", 64, 32),
        Step::Relu,
    ]
}

const WITH_BLOCK: [Step; 7] = trunk(STATE + BLOCK);
const WITHOUT_BLOCK: [Step; 7] = trunk(STATE);
/// What each actor sees: the state and its own block (RK-23).
const VIEWS: [&[(usize, usize)]; 4] = [&[(0, 10), (10, 26)], &[(0, 10), (26, 42)], &[(0, 10), (42, 58)], &[(0, 10), (58, 74)]];
const STATE_VIEW: &[(usize, usize)] = &[(0, STATE)];

/// The four actors and the critic; `context` is RK-23's `actor_context_dim`, 16 or 0.
const fn networks(context: usize) -> [Network; 5] {
    [
        actor(
            context,
            0,
            "position_sizing",
            "agents.position_sizing",
            &["contracts_1", "contracts_2", "contracts_3", "contracts_4", "contracts_5"],
            &[&[Step::Dense("head", 32, 5)]],
        ),
        actor(
            context,
            1,
            "stop_target",
            "agents.stop_target",
            &["stop_multiplier", "target_multiplier"],
            &[&[Step::Dense("head", 32, 2)]],
        ),
        actor(
            context,
            2,
            "risk_monitor",
            "agents.risk_monitor",
            &["no_action", "reduce_position", "close_all", "hedge"],
            &[&[Step::Dense("head", 32, 4)]],
        ),
        actor(
            context,
            3,
            "portfolio",
            "agents.portfolio",
            &["strategy_1", "strategy_2", "strategy_3", "strategy_4", "strategy_5"],
            &[&[Step::Dense("head", 32, 5)]],
        ),
        Network {
            id: "critic",
            prefix: "critic",
            actions: &[],
            view: View::All,
            inputs: INPUTS,
            attention: &[],
            trunk: &[
                Step::Dense("trunk.0", INPUTS, 256),
                Step::Relu,
                Step::Dense("trunk.1", 256, 128),
                Step::Relu,
                Step::Dense("trunk.2", 128, 64),
                Step::Relu,
            ],
            heads: &[&[Step::Dense("head", 64, 4)], &[Step::Dense("value", 64, 1)]],
            used: Use::Served,
        },
    ]
}

const fn actor(
    context: usize,
    agent: usize,
    id: &'static str,
    prefix: &'static str,
    actions: &'static [&'static str],
    heads: &'static [&'static [Step]],
) -> Network {
    let (view, trunk): (&'static [(usize, usize)], &'static [Step]) =
        if context == BLOCK { (VIEWS[agent], &WITH_BLOCK) } else { (STATE_VIEW, &WITHOUT_BLOCK) };
    Network {
        id,
        prefix,
        actions,
        view: View::Ranges(view),
        inputs: STATE + context,
        attention: &[],
        trunk,
        heads,
        used: Use::Served,
    }
}

static NETWORKS: [Network; 5] = networks(BLOCK);
static STATE_NETWORKS: [Network; 5] = networks(0);

const fn stage(architecture: &'static str, networks: &'static [Network]) -> Stage {
    Stage {
        role: Role::Risk,
        architecture,
        schema: &RISK,
        input_shape: &[INPUTS],
        // z-scores are cut at five deviations (RK-8), blocks are ratios (RK-24..RK-27).
        samples: &SAMPLES,
        networks,
        vectors: &VECTORS,
    }
}

/// The rolling window's state for a warm start (RK-8): used by whoever keeps the window, not by the networks.
const VECTORS: [Vector; 2] = [Vector::mean("norm.mean", STATE), Vector::deviation("norm.std", STATE)];

const SAMPLES: [Sample; INPUTS] = {
    let mut samples = [Sample::Range(-1.0, 1.0); INPUTS];
    let mut i = 0;
    while i < STATE {
        samples[i] = Sample::Range(-5.0, 5.0);
        i += 1;
    }
    samples
};

/// The risk stage: input is the z-scored state, then P1 to P4.
pub static STAGE: Stage = stage("risk-mlp-10+16-v1", &NETWORKS);
/// The same with actors that see the state only (RK-23, `actor_context_dim` 0); the critic sees all.
pub static STATE_ONLY: Stage = stage("risk-mlp-10-v1", &STATE_NETWORKS);
