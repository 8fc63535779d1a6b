//! Whatever computes the served networks of a stage, and why it may not answer: what the reference and the serving path share.

use crate::architecture::Stage;

/// Why there is no answer. Nothing is guessed: the caller does nothing new.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// The served networks of a stage.
pub trait Served {
    /// The table that inputs and outputs follow.
    fn stage(&self) -> &'static Stage;

    /// Outputs of all served networks side by side ([`Stage::output_width`] values) for one input of the self-test
    /// ([`Stage::input_width`] values).
    ///
    /// # Errors
    /// When a value is not finite, with its place.
    fn outputs(&mut self, input: &[f32], outputs: &mut [f32]) -> Result<(), NoAnswer>;
}

/// Refuses values that are not finite.
pub(crate) fn check_finite(what: &str, values: &[f32]) -> Result<(), NoAnswer> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(NoAnswer(format!("value {at} of {what} is {}; every value must be finite", values[at]))),
        None => Ok(()),
    }
}
