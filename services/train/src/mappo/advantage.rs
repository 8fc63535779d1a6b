//! How much better an action was than the critic expected.

use super::column::{self, ColumnError};

/// Keeps a standardised advantage finite when all are equal (ST-83, EX-102).
const LEAST_DEVIATION: f64 = 1e-8;

/// How far ahead an advantage looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Horizon {
    /// Discount of the next step, 0 to 1.
    pub gamma: f64,
    /// Weight of longer estimates, 0 to 1: 0 is one step, 1 the whole trajectory.
    pub lambda: f64,
}

impl Horizon {
    /// Of the strategic and tactical agents (ST-80, SU-26, TA-44).
    pub const SIGNALS: Self = Self { gamma: 0.99, lambda: 0.95 };
    /// Of the execution and risk agents (EX-101, RK-111).
    pub const ORDERS: Self = Self { gamma: 0.995, lambda: 0.97 };
}

/// Consecutive steps of one symbol, in the order of time; all columns have the same length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trajectory<'a> {
    /// Reward of each step.
    pub rewards: &'a [f64],
    /// What the critic expected of each step's state.
    pub values: &'a [f64],
    /// Whether an episode ended with the step.
    pub ends: &'a [bool],
    /// What the critic expects after the last step: of no effect when an episode ended there, 0 for a state without future.
    pub bootstrap: f64,
}

/// `r + gamma V' (1 - end) - V`: error of one expectation (ST-81, SU-25, TA-46).
#[must_use]
pub fn temporal_difference(reward: f64, value: f64, next_value: f64, end: bool, gamma: f64) -> f64 {
    let future = if end { 0.0 } else { gamma * next_value };
    reward + future - value
}

/// Generalised advantages of the steps, begun anew after every end (ST-81, SU-26, TA-46, EX-102). No steps have none.
///
/// # Errors
/// [`ColumnError`] when lengths differ, a figure is not finite, or the horizon is not within 0 and 1.
pub fn generalised_advantages(trajectory: &Trajectory<'_>, horizon: Horizon) -> Result<Vec<f64>, ColumnError> {
    let Trajectory { rewards, values, ends, bootstrap } = *trajectory;
    let steps = rewards.len();
    column::finite("rewards", rewards, steps)?;
    column::finite("values", values, steps)?;
    column::finite("bootstrap", &[bootstrap], 1)?;
    if ends.len() != steps {
        return Err(ColumnError::Length { name: "ends", seen: ends.len(), wanted: steps });
    }
    column::every("horizon", &[horizon.gamma, horizon.lambda], "within 0 and 1", |part| (0.0..=1.0).contains(&part))?;
    let mut advantages = vec![0.0; steps];
    let (mut next_value, mut next_advantage) = (bootstrap, 0.0);
    for step in (0..steps).rev() {
        let delta = temporal_difference(rewards[step], values[step], next_value, ends[step], horizon.gamma);
        let future = if ends[step] { 0.0 } else { horizon.gamma * horizon.lambda * next_advantage };
        (next_value, next_advantage) = (values[step], delta + future);
        advantages[step] = next_advantage;
    }
    Ok(advantages)
}

/// Targets of the critic: advantage plus value (ST-82, SU-26, TA-46).
///
/// # Errors
/// [`ColumnError`] when lengths differ or a figure is not finite.
pub fn returns(advantages: &[f64], values: &[f64]) -> Result<Vec<f64>, ColumnError> {
    column::finite("advantages", advantages, advantages.len())?;
    column::finite("values", values, advantages.len())?;
    Ok(advantages.iter().zip(values).map(|(advantage, value)| advantage + value).collect())
}

/// Advantages of a batch with mean 0 and sample deviation 1 (ST-83, TA-46, EX-102); fewer than two stay as they are, since
/// they have no deviation.
///
/// # Errors
/// [`ColumnError`] when one is not finite.
pub fn standardised(advantages: &[f64]) -> Result<Vec<f64>, ColumnError> {
    if advantages.len() < 2 {
        column::finite("advantages", advantages, advantages.len())?;
        return Ok(advantages.to_vec());
    }
    let (mean, deviation) = column::moments("advantages", advantages)?;
    Ok(advantages.iter().map(|advantage| (advantage - mean) / (deviation + LEAST_DEVIATION)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::*;

    const REWARDS: [f64; 5] = [1.0, 0.5, -0.2, 1.5, 0.0];
    const VALUES: [f64; 5] = [0.8, 0.6, 0.3, 1.2, 0.1];

    /// Advantages of a trajectory that ends at these steps.
    fn of(rewards: &[f64], values: &[f64], ends: &[usize], bootstrap: f64, horizon: Horizon) -> Vec<f64> {
        let ends: Vec<bool> = (0..rewards.len()).map(|step| ends.contains(&step)).collect();
        generalised_advantages(&Trajectory { rewards, values, ends: &ends, bootstrap }, horizon).unwrap()
    }

    fn signals(ends: &[usize], bootstrap: f64) -> Vec<f64> {
        of(&REWARDS, &VALUES, ends, bootstrap, Horizon::SIGNALS)
    }

    /// ST-V35: an end at the last step, a batch cut there, an end within, one step per episode; X-23: the first advantage
    /// lies farther than 1 from the first error, and rightly so.
    #[test]
    fn advantages_of_a_strategic_trajectory() {
        let ended = signals(&[4], 9.0);
        near(&ended, &[1.841_533_18, 1.113_804_55, 0.974_805_47, 0.304_95, -0.1], 1e-8);
        near(&returns(&ended, &VALUES).unwrap(), &[2.641_533_18, 1.713_804_55, 1.274_805_47, 1.504_95, 0.0], 1e-8);
        near(&signals(&[], 0.4), &[2.151_368_11, 1.443_240_95, 1.325_083_41, 0.677_388, 0.296], 1e-8);
        near(&signals(&[1, 4], 0.0), &[0.699_95, -0.1, 0.974_805_47, 0.304_95, -0.1], 1e-8);
        near(&signals(&[0, 1, 2, 3, 4], 0.0), &[0.2, -0.1, -0.5, 0.3, -0.1], 1e-12);
    }

    /// ST-V36
    #[test]
    fn standardised_strategic_advantages() {
        let wanted = [1.348_126_27, 0.381_092_24, 0.196_384_88, -0.693_745_06, -1.231_858_33];
        near(&standardised(&signals(&[4], 0.0)).unwrap(), &wanted, 1e-8);
        near(&standardised(&[3.0]).unwrap(), &[3.0], 1e-12);
        near(&standardised(&[2.0; 3]).unwrap(), &[0.0; 3], 1e-12);
    }

    /// SU-V1: errors of one step, advantages, returns, standardised; cut with a future; with ends.
    #[test]
    fn advantages_of_the_training_pipeline() {
        near(
            &of(&REWARDS, &VALUES, &[], 0.0, Horizon { lambda: 0.0, ..Horizon::SIGNALS }),
            &[0.794, 0.197, 0.688, 0.399, -0.1],
            1e-12,
        );
        let whole = signals(&[], 0.0);
        near(&whole, &[1.841_533_178_6, 1.113_804_549_2, 0.974_805_475_0, 0.304_950_000_0, -0.1], 1e-10);
        let (mean, deviation) = column::moments("advantages", &whole).unwrap();
        near(&[mean, deviation], &[0.827_018_640_6, 0.752_536_723_2], 1e-10);
        let wanted = [1.348_126_268_4, 0.381_092_239_1, 0.196_384_877_9, -0.693_745_059_2, -1.231_858_326_2];
        near(&standardised(&whole).unwrap(), &wanted, 1e-10);
        let cut = [2.151_368_114_3, 1.443_240_950_9, 1.325_083_414_0, 0.677_388_000_0, 0.296];
        near(&signals(&[], 0.4), &cut, 1e-10);
        near(&signals(&[2, 4], 0.0), &[0.537_008_375_0, -0.273_25, -0.5, 0.304_95, -0.1], 1e-10);
    }

    /// TA-V14
    #[test]
    fn advantages_of_a_tactical_trajectory() {
        let tactical =
            |ends: &[usize], bootstrap| of(&[1.0, 0.0, -0.5, 0.3], &[0.2, 0.1, 0.0, 0.4], ends, bootstrap, Horizon::SIGNALS);
        let whole = tactical(&[], 0.0);
        near(&whole, &[0.629_766_803, -0.286_266_025, -0.198_05, -0.1], 1e-9);
        near(&standardised(&whole).unwrap(), &[1.475_094, -0.709_941, -0.499_517, -0.265_636], 1e-6);
        near(&tactical(&[], 0.25), &[0.835_664_555, -0.067_342_313, 0.034_723_75, 0.147_5], 1e-9);
        near(&tactical(&[2], 0.0), &[0.362_679_875, -0.570_25, -0.5, -0.1], 1e-9);
    }

    /// EX-V16
    #[test]
    fn advantages_of_an_execution_trajectory() {
        let values = [0.5, 0.4, 0.3, 0.2, 0.1];
        let seen = of(&[1.0, 0.5, -0.25, 2.0, 0.0], &values, &[2], 0.6, Horizon::ORDERS);
        near(&seen, &[0.770_279_288, -0.132_332_5, -0.55, 2.379_179_55, 0.497], 1e-8);
        let wanted = [1.270_279_29, 0.267_667_5, -0.25, 2.579_179_55, 0.597];
        near(&returns(&seen, &values).unwrap(), &wanted, 1e-8);
        let (mean, deviation) = column::moments("advantages", &seen).unwrap();
        near(&[mean, deviation], &[0.592_825_268, 1.125_126_37], 1e-8);
        let wanted = [0.157_719_189, -0.644_512_278, -1.015_730_58, 1.587_692_11, -0.085_168_447_8];
        near(&standardised(&seen).unwrap(), &wanted, 1e-8);
    }

    /// RK-V19: the fourth value is that of the state after the last step.
    #[test]
    fn advantages_of_a_risk_trajectory() {
        let risk = |horizon| of(&[1.0, -0.5, 2.0], &[0.5, 0.4, 0.3], &[], 0.2, horizon);
        near(&risk(Horizon::ORDERS), &[2.086_408_353_2, 1.231_319_85, 1.899], 1e-10);
        near(&risk(Horizon::SIGNALS), &[2.007_735_894_5, 1.182_069, 1.898], 1e-10);
    }

    #[test]
    fn impossible_trajectories_are_refused() {
        let refused = |rewards: &[f64], values: &[f64], ends: &[bool], bootstrap, gamma| {
            let horizon = Horizon { gamma, lambda: 0.95 };
            generalised_advantages(&Trajectory { rewards, values, ends, bootstrap }, horizon).unwrap_err().to_string()
        };
        assert_eq!(refused(&[1.0], &[], &[true], 0.0, 0.9), "values: 0 figures where the batch has 1");
        assert_eq!(refused(&[1.0], &[1.0], &[], 0.0, 0.9), "ends: 0 figures where the batch has 1");
        assert_eq!(refused(&[0.0, f64::NAN], &[1.0; 2], &[false; 2], 0.0, 0.9), "rewards[1] is NaN, it must be finite");
        assert_eq!(refused(&[1.0], &[1.0], &[true], f64::INFINITY, 0.9), "bootstrap[0] is inf, it must be finite");
        assert_eq!(refused(&[1.0], &[1.0], &[true], 0.0, 1.1), "horizon[0] is 1.1, it must be within 0 and 1");
        assert!(standardised(&[f64::NAN]).is_err() && standardised(&[1.0, f64::NAN]).is_err());
        assert!(returns(&[1.0], &[f64::NAN]).is_err() && returns(&[1.0], &[]).is_err());
        assert!(of(&[], &[], &[], 0.0, Horizon::SIGNALS).is_empty());
    }
}
