//! The contexts in which tactical decisions are made (TA-34).

use tradewind_features::tactical::{FeatureError, FeatureState, Synergy, TacticalConfig, momentum_rule};

use crate::bars::Series;

/// By series, then by number of the bar.
pub type Contexts = [Vec<Option<Synergy>>];

/// The baseline: the momentum rule at every bar, without networks and without memory.
///
/// # Errors
/// When a bar is impossible.
pub fn momentum(series: &[Series]) -> Result<Vec<Vec<Option<Synergy>>>, FeatureError> {
    let config = TacticalConfig::default();
    let of = |one: &Series| {
        let mut features = FeatureState::new(&config);
        let context = |bar| {
            features.push(bar)?;
            Ok(features.snapshot(bar.index).and_then(|snapshot| momentum_rule(&snapshot.raw, &config)))
        };
        one.bars.iter().map(context).collect()
    };
    series.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::strategic::samples::tests::swinging;

    /// From the sixth bar on there is a momentum of five bars, and its sign is the direction.
    #[test]
    fn the_baseline_follows_five_bars() {
        let one = swinging(100);
        let contexts = momentum(std::slice::from_ref(&one)).unwrap();
        assert_eq!(contexts[0].len(), 100);
        for (index, context) in contexts[0].iter().enumerate().skip(20) {
            let moved = one.bars[index].close.0 - one.bars[index - 5].close.0;
            let direction = context.as_ref().map_or(0, |context| i64::from(context.direction));
            assert_eq!(direction, moved.signum(), "bar {index}");
        }
    }
}
