//! From easy episodes to hard ones.

use super::column::{self, ColumnError};

/// One stage (SU-6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// Episodes in it, above 0.
    pub episodes: u32,
    /// Share of the episodes, calmest first, that may be drawn: above 0, at most 1 (SU-29).
    pub complexity: f64,
    /// Factor on rewards before they are clipped, above 0 (SU-29).
    pub reward_scale: f64,
}

/// Stages in their order, and how the exponent of the importance weights grows over them.
#[derive(Clone, Debug, PartialEq)]
pub struct Curriculum {
    stages: Vec<Stage>,
    beta: [f64; 2],
}

/// Where training stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Stage, from 0; the number of stages when all are done.
    pub stage: usize,
    /// Episodes done in it.
    pub progress: u64,
    /// [`Stage::complexity`]; 1 when all are done.
    pub complexity: f64,
    /// [`Stage::reward_scale`]; 1 when all are done.
    pub reward_scale: f64,
    /// Exponent of the importance weights.
    pub beta: f64,
}

impl Default for Curriculum {
    /// The stages of SU-6, and an exponent from 0.4 to 1 (SU-29).
    fn default() -> Self {
        let of = |episodes, complexity, reward_scale| Stage { episodes, complexity, reward_scale };
        Self { stages: vec![of(1000, 0.3, 1.0), of(2000, 0.6, 1.2), of(3000, 1.0, 1.0)], beta: [0.4, 1.0] }
    }
}

impl Curriculum {
    /// Stages, and the exponent at the start and at the end, both within 0 and 1.
    ///
    /// # Errors
    /// [`ColumnError`] without stages, or names the first figure that is out of range.
    pub fn new(stages: Vec<Stage>, beta: [f64; 2]) -> Result<Self, ColumnError> {
        column::at_least("stages", stages.len(), 1)?;
        let column = |of: fn(&Stage) -> f64| stages.iter().map(of).collect::<Vec<f64>>();
        column::every("episodes", &column(|stage| f64::from(stage.episodes)), "above 0", |episodes| episodes > 0.0)?;
        column::every("complexity", &column(|stage| stage.complexity), "above 0 and at most 1", |part| {
            part > 0.0 && part <= 1.0
        })?;
        let scale = column(|stage| stage.reward_scale);
        column::every("reward scale", &scale, "finite and above 0", |scale| scale.is_finite() && scale > 0.0)?;
        column::every("beta", &beta, "within 0 and 1", |beta| (0.0..=1.0).contains(&beta))?;
        Ok(Self { stages, beta })
    }

    /// Where training stands after this many episodes (SU-28, SU-29). How well they went does not matter.
    #[must_use]
    pub fn after(&self, episodes: u64) -> Standing {
        let total: u64 = self.stages.iter().map(|stage| u64::from(stage.episodes)).sum();
        let [from, to] = self.beta;
        let beta = from + (to - from) * (episodes as f64 / total as f64).min(1.0);
        let mut progress = episodes;
        for (stage, &Stage { episodes, complexity, reward_scale }) in self.stages.iter().enumerate() {
            if progress < u64::from(episodes) {
                return Standing { stage, progress, complexity, reward_scale, beta };
            }
            progress -= u64::from(episodes);
        }
        Standing { stage: self.stages.len(), progress, complexity: 1.0, reward_scale: 1.0, beta }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::*;

    fn check(curriculum: &Curriculum, rows: &[(u64, usize, f64, f64)]) {
        for &(episodes, stage, complexity, beta) in rows {
            let seen = curriculum.after(episodes);
            assert_eq!(seen.stage, stage, "{episodes}");
            near(&[seen.complexity, seen.beta], &[complexity, beta], 1e-12);
        }
    }

    /// SU-V6: the default stages, and those of SU-125.
    #[test]
    fn stages_follow_the_episodes() {
        let rows = [
            (0, 0, 0.3, 0.4),
            (500, 0, 0.3, 0.45),
            (999, 0, 0.3, 0.4999),
            (1000, 1, 0.6, 0.5),
            (2000, 1, 0.6, 0.6),
            (3000, 2, 1.0, 0.7),
            (4500, 2, 1.0, 0.85),
            (6000, 3, 1.0, 1.0),
            (7000, 3, 1.0, 1.0),
        ];
        check(&Curriculum::default(), &rows);
        let of = |episodes, complexity| Stage { episodes, complexity, reward_scale: 1.0 };
        let two = Curriculum::new(vec![of(100, 0.3), of(200, 1.0)], [0.4, 1.0]).unwrap();
        check(&two, &[(99, 0, 0.3, 0.598), (100, 1, 1.0, 0.6), (150, 1, 1.0, 0.7), (299, 1, 1.0, 0.998), (300, 2, 1.0, 1.0)]);
        assert_eq!((two.after(150).progress, two.after(300).progress), (50, 0));
        near(&[0, 1000, 3000, 9000].map(|after| Curriculum::default().after(after).reward_scale), &[1.0, 1.2, 1.0, 1.0], 1e-12);
    }

    #[test]
    fn impossible_stages_are_refused() {
        let good = Stage { episodes: 1, complexity: 1.0, reward_scale: 1.0 };
        let text = |stage, beta| Curriculum::new(vec![good, stage], beta).unwrap_err().to_string();
        assert!(Curriculum::new(vec![], [0.4, 1.0]).is_err() && Curriculum::new(vec![good], [0.4, 1.0]).is_ok());
        assert_eq!(text(Stage { episodes: 0, ..good }, [0.4, 1.0]), "episodes[1] is 0, it must be above 0");
        assert!(text(Stage { complexity: f64::NAN, ..good }, [0.4, 1.0]).starts_with("complexity[1] is NaN"));
        assert!(text(Stage { reward_scale: 0.0, ..good }, [0.4, 1.0]).starts_with("reward scale[1]"));
        assert!(text(good, [0.4, 1.1]).starts_with("beta[1]"));
    }
}
