//! Latency of features and the serving path beside other libraries: same inputs, same weights, same run, one core.

mod engine;
mod features;
mod floor;
mod measure;
mod report;
mod weights;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use ort::environment::Environment;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tradewind_nets::forward::simd::Isa;

use engine::onnxruntime::OnnxRuntime;
use engine::openvino::OpenVino;
use engine::tract::Tract;
use engine::{Engine, Feed, Form, Stage};
use report::{Report, Row, StageReport};
use weights::Weights;

/// Samples whose outputs are compared before anything is timed.
const COMPARED: usize = 64;
/// Largest difference of an output from ours.
const TOLERANCE: f32 = 1e-5;

/// Measures features and the serving path beside other libraries.
#[derive(Parser)]
struct Cli {
    /// What graphs.py wrote.
    graphs: PathBuf,
    /// Shared library of ONNX Runtime.
    #[arg(long)]
    onnxruntime: PathBuf,
    /// Recorded daily bars.
    #[arg(long)]
    bars: PathBuf,
    /// Python with the libraries of requirements.txt.
    #[arg(long)]
    python: PathBuf,
    /// Where the figures go as JSON. The last one counts: `run` names a place of its own before those of its caller.
    #[arg(long, overrides_with = "json")]
    json: Option<PathBuf>,
    /// Core to run on: the last one that is allowed, unless given.
    #[arg(long)]
    cpu: Option<usize>,
    /// Repetitions; for each percentile the smallest counts.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let cpu = pin(cli.cpu)?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut report = Report {
        machine: machine(),
        instructions: Isa::detect().name(),
        cpu,
        load_average: load.split(' ').next().unwrap_or_default().to_owned(),
        features: features::measure(&cli.bars, &cli.python, cli.repetitions)?,
        stages: Vec::new(),
        missing: Vec::new(),
    };
    let environment = ort::init_from(&cli.onnxruntime)?.build()?;
    for stage in Stage::ALL {
        let weights = Weights::read(&cli.graphs.join(format!("{}.safetensors", stage.name())))?;
        let (mut engines, bytes) = open(&cli.graphs, &environment, &weights, stage, &mut report.missing)?;
        compare(&mut engines, stage)?;
        let floor = floor::measure(stage, bytes);
        let warm = measure::warm(&mut engines, cli.repetitions)?;
        let cold = measure::cold(&mut engines)?;
        let rows = engines.iter().zip(warm).zip(cold);
        let rows = rows.map(|((engine, warm), cold)| Row { engine: engine.name().to_owned(), warm, cold }).collect();
        report.stages.push(StageReport::new(stage, floor, rows).context("ONNX Runtime was not measured")?);
    }
    report.print();
    if let Some(path) = cli.json {
        std::fs::write(&path, serde_json::to_string_pretty(&report)?).with_context(|| path.display().to_string())?;
        println!("\n{}", path.display());
    }
    Ok(())
}

/// Pins this process, and with it every thread that a library starts, to one core.
fn pin(asked: Option<usize>) -> Result<usize> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu)).context("no core is allowed")?;
    let cpu = asked.unwrap_or(last);
    ensure!(allowed.is_set(cpu), "core {cpu} is not allowed");
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one)?;
    Ok(cpu)
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split(':').nth(1)).unwrap_or_default().trim().to_owned()
    };
    format!("{} (family {}, model {})", field("model name"), field("cpu family"), field("model"))
}

/// All engines of a stage, ours in the best instructions first, and the bytes of its weights.
fn open(
    graphs: &Path,
    environment: &Environment,
    weights: &Weights,
    stage: Stage,
    missing: &mut Vec<String>,
) -> Result<(Vec<Box<dyn Engine>>, usize)> {
    let mut engines = Vec::new();
    let mut bytes = 0;
    for isa in Isa::available() {
        let (engine, size) = engine::tradewind::open(weights, stage, isa)?;
        bytes = if bytes == 0 { size } else { bytes };
        engines.push(engine);
    }
    let graph = |form: Form| graphs.join(format!("{}.{}.onnx", stage.name(), form.name()));
    for form in [Form::Merged, Form::Stacked] {
        engines.push(boxed(OnnxRuntime::open(environment, &graph(form), Feed::new(weights, stage, form)?, form)?));
    }
    let feed = |form| Feed::new(weights, stage, form);
    let openvino = |form| OpenVino::open(&graph(form), feed(form)?, form).map(boxed);
    let tract = |form| Tract::open(&graph(form), feed(form)?, form).map(boxed);
    let others = [
        ("OpenVINO, merged", openvino(Form::Merged)),
        ("OpenVINO, stacked", openvino(Form::Stacked)),
        ("tract, merged", tract(Form::Merged)),
        ("tract, stacked", tract(Form::Stacked)),
        ("candle", engine::candle::open(weights, stage)),
    ];
    for (name, engine) in others {
        match engine {
            Ok(engine) => engines.push(engine),
            Err(error) => missing.push(format!("{name}, {}: {error:#}", stage.name())),
        }
    }
    Ok((engines, bytes))
}

fn boxed(engine: impl Engine + 'static) -> Box<dyn Engine> {
    Box::new(engine)
}

/// Every engine must compute the same before it is timed.
fn compare(engines: &mut [Box<dyn Engine>], stage: Stage) -> Result<()> {
    for sample in 0..COMPARED {
        let mut expected: Option<Vec<f32>> = None;
        for engine in engines.iter_mut() {
            engine.load(sample)?;
            engine.run()?;
            let seen = engine.outputs()?;
            let expected = expected.get_or_insert_with(|| seen.clone());
            ensure!(seen.len() == expected.len(), "{} gives {} outputs", engine.name(), seen.len());
            let worst = seen.iter().zip(expected.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            ensure!(worst < TOLERANCE, "{}, {}: an output differs by {worst}", stage.name(), engine.name());
        }
    }
    Ok(())
}
