//! Stories by seed.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::story::{Ending, Step, stories, tell};

/// A story that ended badly, as short as it could be made.
#[derive(Debug)]
pub struct Failure {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// What happened.
    pub steps: Vec<Step>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        self.steps.iter().enumerate().try_for_each(|(number, step)| writeln!(f, "  {number:3} {step:?}"))
    }
}

/// Tells the story of a seed, of up to `length` steps.
///
/// # Errors
/// [`Failure`], after as many shorter stories were tried as help.
///
/// # Panics
/// Never: stories are drawn without a condition that could fail.
pub fn run(seed: u64, length: usize) -> Result<Ending, Box<Failure>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let Ok(mut drawn) = stories(length).new_tree(&mut runner) else { unreachable!("no condition is attached to a story") };
    let mut what = match tell(&drawn.current()) {
        Ok(ending) => return Ok(ending),
        Err(what) => what,
    };
    let mut steps = drawn.current();
    // Each turn either makes the story simpler while it still ends badly, or takes the last simplification back.
    let mut simpler = drawn.simplify();
    for _ in 0..4_000 {
        if !simpler {
            break;
        }
        match tell(&drawn.current()) {
            Err(shorter) => {
                (what, steps) = (shorter, drawn.current());
                simpler = drawn.simplify();
            }
            Ok(_) => simpler = drawn.complicate(),
        }
    }
    Err(Box::new(Failure { seed, what, steps }))
}
