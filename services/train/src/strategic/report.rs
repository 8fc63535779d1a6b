//! How good the decisions on synergy events were, beside simple rules on the same events.

use crate::strategic::learning::{StrategicAccuracy, wilson_interval};
use tradewind_core::time::Nanos;
use tradewind_features::strategic::Decided;

use super::course::Course;
use super::outcome::Judgement;
use crate::bars::Series;

/// Figures of one rule over the events of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Events.
    pub events: u64,
    /// Events on which the networks were asked.
    pub decided: u64,
    /// Mean confidence of the ensemble on those, 0 to 1.
    pub confidence: f64,
    /// Decisions that proceed.
    pub proceeding: u64,
    /// Of those whose outcome is known: with a net profit in the direction of the rule (ST-5).
    pub accuracy: StrategicAccuracy,
    /// Mean net return in the direction of the rule over the same, as a fraction; 0 without any.
    pub mean_return: f64,
}

/// Judges the events that come within `from..=until`. `rule` gives the direction, +1 or -1, that is taken where the networks
/// proceed.
pub fn figures(
    series: &[Series],
    course: &Course,
    [from, until]: [Nanos; 2],
    judgement: &Judgement,
    rule: impl Fn(&Decided) -> i8,
) -> Figures {
    let mut figures = Figures::default();
    for (one, decided) in series.iter().zip(&course.decided) {
        for decided in decided.iter().filter(|decided| (from..=until).contains(&decided.decision.detected_at)) {
            let decision = &decided.decision;
            figures.events += 1;
            if decision.fallback.is_none() {
                figures.decided += 1;
                figures.confidence += decision.confidence;
            }
            if !decision.should_proceed {
                continue;
            }
            figures.proceeding += 1;
            let Ok(index) = usize::try_from(decision.index) else { continue };
            if let Some(net) = judgement.net_return(&one.bars, index, f64::from(rule(decided))) {
                figures.accuracy.decided += 1;
                figures.accuracy.won += u64::from(net > 0.0);
                figures.mean_return += net;
            }
        }
    }
    figures.confidence /= figures.decided.max(1) as f64;
    figures.mean_return /= figures.accuracy.decided.max(1) as f64;
    figures
}

/// Share of the bars of each series within `from..=until` that have a context.
pub fn coverage(series: &[Series], course: &Course, [from, until]: [Nanos; 2]) -> Vec<f64> {
    let share = |(one, contexts): (&Series, &Vec<_>)| {
        let within = one.bars.iter().zip(contexts).filter(|(bar, _)| (from..=until).contains(&bar.close_time));
        let (bars, covered) =
            within.fold((0u64, 0u64), |(bars, covered), (_, context)| (bars + 1, covered + u64::from(Option::is_some(context))));
        covered as f64 / bars.max(1) as f64
    };
    series.iter().zip(&course.contexts).map(share).collect()
}

/// Rows of rules as a table.
pub fn table(rows: &[(&str, &Figures)]) -> String {
    let mut text = format!(
        "{:<38}{:>8}{:>9}{:>12}{:>9}{:>8}{:>8}{:>14}{:>10}\n",
        "rule", "events", "decided", "confidence", "proceed", "known", "right", "95 %", "mean net"
    );
    for (name, figures) in rows {
        let StrategicAccuracy { won, decided: known } = figures.accuracy;
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let right = figures.accuracy.share().map_or_else(String::new, percent);
        let interval = wilson_interval(won, known)
            .map_or_else(String::new, |[low, high]| format!("{:.0}..{:.0}%", 100.0 * low, 100.0 * high));
        text.push_str(&format!(
            "{name:<38}{:>8}{:>9}{:>12.3}{:>9}{known:>8}{right:>8}{interval:>14}{:>9.2}%\n",
            figures.events,
            figures.decided,
            figures.confidence,
            figures.proceeding,
            100.0 * figures.mean_return
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use tradewind_features::strategic::SynergyDetected;
    use tradewind_features::strategic::decision::{DecisionConfig, Logits, ModelParameters, Request, StrategicNetwork, decide};
    use tradewind_features::strategic::synergy::{AcceptedEvent, SynergyType};
    use tradewind_features::strategic::{COLUMNS, CONTEXT, CheckedMatrix};
    use tradewind_features::tactical::NetworkError;

    use super::*;
    use crate::strategic::samples::tests::swinging;

    struct Says([f32; 3]);

    impl StrategicNetwork for Says {
        fn logits(&mut self, _: &[[f32; COLUMNS]], _: &[f64; CONTEXT]) -> Result<Logits, NetworkError> {
            Ok([self.0; 3])
        }
    }

    /// An event at a bar and what these logits decide on it.
    fn decided(one: &Series, index: usize, direction: i8, confidence: f64, logits: [f32; 3]) -> Decided {
        let bar = one.bars[index];
        let event = SynergyDetected {
            schema_version: 1,
            event_id: format!("{index}"),
            symbol: one.instrument.symbol.clone(),
            bar_close_time: bar.close_time,
            detected_at: bar.close_time,
            synergy_type: SynergyType::Type1,
            direction,
            confidence,
            signal_sequence: SynergyType::Type1.sequence(),
            volatility_30: None,
        };
        let request = Request {
            event_id: &event.event_id,
            symbol: &event.symbol,
            index: bar.index,
            detected_at: event.detected_at,
            bar_close_time: event.bar_close_time,
            synergy: AcceptedEvent { synergy_type: event.synergy_type, direction, confidence },
            volatility: None,
            regime_label: None,
        };
        let config = DecisionConfig::default();
        let matrix = CheckedMatrix::new(&[0.0; 48 * COLUMNS], COLUMNS, config.matrix).unwrap();
        let decision = decide(&request, Some(&matrix), &mut Says(logits), &ModelParameters::default(), &config);
        Decided { event, decision }
    }

    /// The market rises from bar 90 to bar 150 and falls to bar 210; ten bars are the horizon.
    #[test]
    fn figures_of_hand_made_decisions() {
        let (up, down, torn) = ([9.0, 0.0, 0.0], [0.0, 0.0, 9.0], [1.0, 1.0, 0.9]);
        let series = [swinging(200)];
        let decisions = vec![
            decided(&series[0], 5, 1, 0.9, up),      // before the period
            decided(&series[0], 100, 1, 0.9, up),    // right
            decided(&series[0], 110, -1, 0.9, up),   // right, against the synergy
            decided(&series[0], 120, -1, 0.9, down), // wrong
            decided(&series[0], 125, 1, 0.9, torn),  // does not proceed
            decided(&series[0], 130, 1, 0.1, up),    // too weak to be decided
            decided(&series[0], 195, 1, 0.9, up),    // outcome not known yet
        ];
        let course = Course { decided: vec![decisions], contexts: vec![vec![None; 200]] };
        let judgement = Judgement::default();
        let period = [series[0].bars[50].close_time, Nanos(i64::MAX)];
        let own = figures(&series, &course, period, &judgement, |decided| decided.decision.direction);
        assert_eq!((own.events, own.decided, own.proceeding), (6, 5, 4));
        assert_eq!(own.accuracy, StrategicAccuracy { decided: 3, won: 2 });
        let net = |index, side| judgement.net_return(&series[0].bars, index, side).unwrap();
        assert!((own.mean_return - (net(100, 1.0) + net(110, 1.0) + net(120, -1.0)) / 3.0).abs() < 1e-12);
        let confident = own.confidence * 5.0 - 4.0 * 0.999_753;
        assert!((confident - 0.344_3).abs() < 1e-3, "{confident}");
        let synergy = figures(&series, &course, period, &judgement, |decided| decided.event.direction);
        assert_eq!(synergy.accuracy, StrategicAccuracy { decided: 3, won: 1 });
        let bullish = figures(&series, &course, period, &judgement, |_| 1);
        assert_eq!(bullish.accuracy, StrategicAccuracy { decided: 3, won: 3 });
        let text = table(&[("checkpoint", &own), ("always bullish", &bullish)]);
        assert!(text.contains("66.7%") && text.contains("100.0%"), "{text}");
    }

    #[test]
    fn coverage_counts_bars_of_the_period() {
        let series = [swinging(10)];
        let some = decided(&series[0], 3, 1, 0.9, [9.0, 0.0, 0.0]).decision.tactical_context();
        let mut contexts = vec![None; 10];
        contexts[2..5].fill(some);
        let course = Course { decided: vec![Vec::new()], contexts: vec![contexts] };
        let until = Nanos(i64::MAX);
        assert_eq!(coverage(&series, &course, [Nanos(0), until]), [0.3]);
        assert_eq!(coverage(&series, &course, [series[0].bars[4].close_time, until]), [1.0 / 6.0]);
    }
}
