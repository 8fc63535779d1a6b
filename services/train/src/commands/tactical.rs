//! `fit` and `report` of the tactical role.

use std::collections::BTreeMap;

use anyhow::Context;
use tradewind_core::time::Nanos;
use tradewind_features::tactical::Synergy;
use tradewind_nets::checkpoint::{Checkpoint, Manifest, TACTICAL_ROLE, write};
use tradewind_nets::forward::TacticalForward;
use tradewind_nets::weights::TacticalWeights;
use tradewind_train::bars::Series;
use tradewind_train::contexts;
use tradewind_train::objective::{ENTROPY_COEF, MAX_GRAD_NORM, POLICY_LR};
use tradewind_train::run::BATCH;
use tradewind_train::tactical::fit::{self as training, Fitted};
use tradewind_train::tactical::report::{self as judging, Figures, FollowMomentum, Terms};
use tradewind_train::tactical::samples::{self, Judgement};

use super::{SELF_TEST_INPUTS, date, provenance, read, save, show_loss, with_progress, writable};
use crate::{FitArgs, Judged, ReportArgs};

/// Trains, reports, writes a checkpoint.
pub(crate) fn fit(args: &FitArgs) -> anyhow::Result<()> {
    writable(&args.out)?;
    let data = &args.judged.data;
    let series = data.series(&args.judged.stage)?;
    let defaults = Judgement::default();
    let judgement = Judgement { hold_reward: args.hold_reward.unwrap_or(defaults.hold_reward), ..defaults };
    let samples = samples::collect(&series, Nanos(0), data.split, &judgement)?;
    println!("{} samples of {} before {}", samples.len(), data.symbols.join(", "), date(data.split));
    let fitted = with_progress(args.steps, |progress| training::fit(&samples, args.seed, args.steps, progress))?;
    for loss in &fitted.losses {
        show_loss(loss, &format!(" (never acting: {:.4})", -judgement.hold_reward));
    }
    let golden = training::self_test(&fitted.weights, SELF_TEST_INPUTS)?;
    let figures = show(&args.judged, &series, TacticalForward::new(&fitted.weights))?;
    let manifest = manifest(args, &series, &fitted, &figures, &judgement);
    save(&args.out, &write(&Checkpoint { manifest, weights: fitted.weights.to_stage(), golden })?)
}

/// Reports on a checkpoint.
pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<()> {
    let checkpoint = Checkpoint::read(&read(&args.checkpoint)?, TACTICAL_ROLE);
    let checkpoint = checkpoint.with_context(|| args.checkpoint.display().to_string())?;
    let weights = TacticalWeights::from_stage(&checkpoint.weights).context("the checkpoint has no tactical networks")?;
    let series = args.judged.data.series(&args.judged.stage)?;
    show(&args.judged, &series, TacticalForward::new(&weights))?;
    Ok(())
}

fn manifest(args: &FitArgs, series: &[Series], fitted: &Fitted, figures: &Figures, judgement: &Judgement) -> Manifest {
    let mut metrics: BTreeMap<String, f64> = BTreeMap::from([
        ("net_return".to_owned(), figures.net_pct / 100.0),
        ("sharpe".to_owned(), figures.sharpe),
        ("max_drawdown".to_owned(), -figures.drawdown_pct / 100.0),
        ("turnover".to_owned(), figures.turnover),
        ("trades".to_owned(), figures.trades as f64),
        ("execute_share".to_owned(), figures.executes as f64 / figures.bars.max(1) as f64),
        ("context_share".to_owned(), figures.with_context as f64 / figures.bars.max(1) as f64),
    ]);
    for loss in &fitted.losses {
        metrics.insert(format!("loss_{}", loss.network), loss.last);
    }
    let hyperparameters = [
        ("batch_size", BATCH as f64),
        ("learning_rate", POLICY_LR),
        ("entropy_coef", ENTROPY_COEF),
        ("max_grad_norm", MAX_GRAD_NORM),
        ("horizon_bars", judgement.horizon as f64),
        ("hold_reward", judgement.hold_reward),
    ];
    Manifest {
        metrics,
        hyperparameters: hyperparameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..provenance(Manifest::tactical(), series, args.judged.data.split, args.seed, args.steps)
    }
}

/// Name and contexts of what tactical decisions are made in.
fn contexts(judged: &Judged, series: &[Series]) -> anyhow::Result<(String, Vec<Vec<Option<Synergy>>>)> {
    let Some(path) = &judged.strategic else {
        return Ok(("momentum context (baseline)".to_owned(), contexts::momentum(series)?));
    };
    let course = judged.stage.follow(series, &read(path)?).with_context(|| path.display().to_string())?;
    Ok((format!("context of {}", path.display()), course.contexts))
}

/// Prints the table of the report; the result is the checkpoint's row on bars that it has not seen.
fn show(judged: &Judged, series: &[Series], forward: TacticalForward) -> anyhow::Result<Figures> {
    let split = judged.data.split;
    let (seen, late) = ([Nanos(0), Nanos(split.0 - 1)], [split, Nanos(i64::MAX)]);
    let terms = Terms { min_synergy_confidence: judged.stage.min_synergy_confidence, ..Terms::default() };
    let (name, contexts) = contexts(judged, series)?;
    let seen = judging::run(series, &contexts, seen, &terms, forward.clone())?;
    let figures = judging::run(series, &contexts, late, &terms, forward)?;
    let baseline = judging::run(series, &contexts, late, &terms, FollowMomentum)?;
    let flat = Figures { bars: figures.bars, with_context: figures.with_context, ..Figures::default() };
    println!(
        "{name}; net of costs, {} equity, {} a trade, spread {} bps, fee {} bps a side; trained on bars before {}, judged on the \
         others:",
        terms.starting_equity,
        terms.base_notional,
        terms.fills.spread_bps,
        terms.fills.fee_bps,
        date(split)
    );
    let rows = [
        ("checkpoint", &figures),
        ("always flat", &flat),
        ("follow the momentum", &baseline),
        ("checkpoint, on bars it was trained on", &seen),
    ];
    print!("{}", judging::table(&rows));
    Ok(figures)
}
