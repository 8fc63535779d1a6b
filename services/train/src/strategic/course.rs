//! What strategic networks do along recorded bars: the engine of the cluster, without the cluster.

use tradewind_features::strategic::decision::{ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{Decided, StageConfigError, StrategicEngine, StrategicEngineError, StrategicStageConfig};
use tradewind_features::tactical::Synergy;

use crate::bars::Series;

/// Why there is no course.
#[derive(Debug, thiserror::Error)]
pub enum CourseError {
    /// The configuration is refused.
    #[error(transparent)]
    Stage(#[from] StageConfigError),
    /// A bar was not decided.
    #[error(transparent)]
    Engine(#[from] StrategicEngineError),
}

/// Everything that was decided, and the contexts that follow from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// By series: the decisions on its events, oldest first.
    pub decided: Vec<Vec<Decided>>,
    /// By series and bar: the context of the tactical stage (TA-34, TA-35).
    pub contexts: Vec<Vec<Option<Synergy>>>,
}

/// Follows all bars of all series.
///
/// # Errors
/// [`CourseError`].
pub fn follow(
    series: &[Series],
    stage: &StrategicStageConfig,
    model: &ModelParameters,
    network: impl StrategicNetwork,
) -> Result<Course, CourseError> {
    let symbols: Vec<_> = series.iter().map(|one| (one.instrument.symbol.clone(), one.calendar)).collect();
    let mut engine = StrategicEngine::new(stage.clone(), model.clone(), &symbols, network)?;
    let mut course = Course::default();
    for one in series {
        let symbol = &one.instrument.symbol;
        let (mut decided, mut contexts) = (Vec::new(), Vec::with_capacity(one.bars.len()));
        for bar in &one.bars {
            decided.extend(engine.decide(symbol, bar)?);
            contexts.push(engine.context(symbol, bar)?);
        }
        course.decided.push(decided);
        course.contexts.push(contexts);
    }
    Ok(course)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::path::Path;

    use tradewind_core::calendar::CalendarName;
    use tradewind_features::strategic::decision::Logits;
    use tradewind_features::strategic::{BarPlan, COLUMNS, CONTEXT};
    use tradewind_features::tactical::NetworkError;

    use super::*;
    use crate::bars;

    struct Bullish;

    impl StrategicNetwork for Bullish {
        fn logits(&mut self, _: &[[f32; COLUMNS]], _: &[f64; CONTEXT]) -> Result<Logits, NetworkError> {
            Ok([[9.0, 0.0, 0.0]; 3])
        }
    }

    /// TA-35 on recorded bars: a context at the bars from a proceeding decision on, and at no other.
    #[test]
    fn contexts_follow_decisions() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bars");
        let mut series = bars::read(&fixtures, &["IXIC".to_owned()], CalendarName::Xnys).unwrap();
        series[0].bars.truncate(2000);
        let mut stage = StrategicStageConfig { bars: BarPlan::AsFed, context_bars: 7, ..StrategicStageConfig::default() };
        stage.features.synergy.window_bars = 40;
        stage.decision.min_synergy_confidence = 0.25;
        let course = follow(&series, &stage, &ModelParameters::default(), Bullish).unwrap();
        let decided = &course.decided[0];
        let proceeding = decided.iter().filter(|one| one.decision.should_proceed).count();
        assert!(proceeding >= 3 && proceeding < decided.len(), "{proceeding} of {}", decided.len());
        for (index, context) in (0u64..).zip(&course.contexts[0]) {
            let newest = decided.iter().rev().find(|one| (index.saturating_sub(7)..=index).contains(&one.decision.index));
            let expected = newest.filter(|one| one.decision.should_proceed);
            assert_eq!(context.as_ref().map(|context| context.direction), expected.map(|_| 1), "bar {index}");
        }
    }
}
