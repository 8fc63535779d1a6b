//! `fit` and `report` of the strategic role.

use std::collections::BTreeMap;

use anyhow::Context;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::StrategicStageConfig;
use tradewind_nets::checkpoint::{Manifest, write};
use tradewind_train::bars::Series;
use tradewind_train::objective::{ENTROPY_COEF, MAX_GRAD_NORM, POLICY_LR};
use tradewind_train::run::BATCH;
use tradewind_train::strategic::fit::{self as training, CRITIC_LR, Fitted};
use tradewind_train::strategic::outcome::Judgement;
use tradewind_train::strategic::report::{self as judging, Figures};
use tradewind_train::strategic::samples;

use super::{SELF_TEST_INPUTS, date, provenance, read, save, show_loss, with_progress, writable};
use crate::{FitArgs, Judged, ReportArgs};

/// Trains, reports, writes a checkpoint.
pub(crate) fn fit(args: &FitArgs) -> anyhow::Result<()> {
    writable(&args.out)?;
    let data = &args.judged.data;
    let series = data.series(&args.judged.stage)?;
    let defaults = Judgement::default();
    let judgement = Judgement { hold_reward: args.hold_reward.unwrap_or(defaults.hold_reward), ..defaults };
    let samples = samples::collect(&series, &args.judged.stage.config(), data.split, &judgement, args.seed)?;
    println!("{} samples of {} before {}", samples.len(), data.symbols.join(", "), date(data.split));
    let fitted = with_progress(args.steps, |progress| training::fit(&samples, args.seed, args.steps, progress))?;
    for loss in &fitted.losses {
        show_loss(loss, "");
    }
    println!("critic explains {:.1} % of the variance of the returns it was fitted to", 100.0 * fitted.explained_variance);
    let calendar = args.judged.stage.half_hours.then_some(data.calendar);
    let base = Manifest { calendar, ..provenance(training::manifest(), &series, data.split, args.seed, args.steps) };
    // The file is judged as it will be served; its figures go into its manifest afterwards.
    let unjudged = write(&training::checkpoint(base.clone(), fitted.weights.clone(), SELF_TEST_INPUTS)?)?;
    let figures = show(&args.judged, &series, &unjudged, &judgement)?;
    let manifest = with_figures(base, &fitted, &figures, &judgement, &args.judged.stage.config());
    save(&args.out, &write(&training::checkpoint(manifest, fitted.weights, SELF_TEST_INPUTS)?)?)
}

/// Reports on a checkpoint.
pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<()> {
    let series = args.judged.data.series(&args.judged.stage)?;
    show(&args.judged, &series, &read(&args.checkpoint)?, &Judgement::default())
        .with_context(|| args.checkpoint.display().to_string())?;
    Ok(())
}

/// Figures are worth something only beside the thresholds that they were measured with.
fn with_figures(
    base: Manifest,
    fitted: &Fitted,
    figures: &Figures,
    judgement: &Judgement,
    stage: &StrategicStageConfig,
) -> Manifest {
    let mut metrics: BTreeMap<String, f64> = BTreeMap::from([
        ("events".to_owned(), figures.events as f64),
        ("decided".to_owned(), figures.decided as f64),
        ("proceeding".to_owned(), figures.proceeding as f64),
        ("mean_confidence".to_owned(), figures.confidence),
        ("mean_net_return".to_owned(), figures.mean_return),
        ("explained_variance".to_owned(), fitted.explained_variance),
    ]);
    metrics.extend(figures.accuracy.share().map(|share| ("accuracy".to_owned(), share)));
    metrics.extend(fitted.losses.iter().map(|loss| (format!("loss_{}", loss.network), loss.last)));
    let hyperparameters = [
        ("batch_size", BATCH as f64),
        ("learning_rate", POLICY_LR),
        ("critic_learning_rate", CRITIC_LR),
        ("entropy_coef", ENTROPY_COEF),
        ("max_grad_norm", MAX_GRAD_NORM),
        ("horizon_bars", judgement.horizon as f64),
        ("hold_reward", judgement.hold_reward),
        ("confidence_threshold", stage.decision.confidence_threshold),
        ("min_synergy_confidence", stage.decision.min_synergy_confidence),
        ("synergy_window_bars", f64::from(stage.features.synergy.window_bars)),
    ];
    let hyperparameters = hyperparameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Manifest { metrics, hyperparameters, ..base }
}

/// Prints the table of the report; the result is the checkpoint's row on events that it has not seen.
fn show(judged: &Judged, series: &[Series], checkpoint: &[u8], judgement: &Judgement) -> anyhow::Result<Figures> {
    let split = judged.data.split;
    let (seen, late) = ([Nanos(0), Nanos(split.0 - 1)], [split, Nanos(i64::MAX)]);
    let stage = judged.stage.config();
    let course = judged.stage.follow(series, checkpoint)?;
    let own = judging::figures(series, &course, late, judgement, |decided| decided.decision.direction);
    let synergy = judging::figures(series, &course, late, judgement, |decided| decided.event.direction);
    let bullish = judging::figures(series, &course, late, judgement, |_| 1);
    let trained = judging::figures(series, &course, seen, judgement, |decided| decided.decision.direction);
    println!(
        "synergy window {} bars, synergy confidence of at least {}, gate above {}; returns of {} bars net of spread {} bps and fee \
         {} bps a side; trained on bars before {}, judged on the events of the others:",
        stage.features.synergy.window_bars,
        stage.decision.min_synergy_confidence,
        stage.decision.confidence_threshold,
        judgement.horizon,
        judgement.costs.spread_bps,
        judgement.costs.fee_bps,
        date(split)
    );
    let rows = [
        ("checkpoint", &own),
        ("always with the synergy, same events", &synergy),
        ("always bullish, same events", &bullish),
        ("checkpoint, on bars it was trained on", &trained),
    ];
    print!("{}", judging::table(&rows));
    println!(
        "confidence is how decided the training has made the policies, not how often they are right: that is the column 'right'"
    );
    for (one, share) in series.iter().zip(judging::coverage(series, &course, late)) {
        let (symbol, bars) = (&one.instrument.symbol, stage.context_bars);
        println!("{symbol}: {:.1} % of the bars have a context, which lasts {bars} bars beyond its own", 100.0 * share);
    }
    Ok(own)
}
