//! The engines under one interface.

pub mod candle;
pub mod onnxruntime;
pub mod openvino;
pub mod tract;
pub mod tradewind;

use anyhow::{Result, ensure};

/// The networks of one stage in one engine.
pub trait Engine {
    /// Name in the table.
    fn name(&self) -> &str;
    /// Puts an input where the engine reads it. Not timed: copying inputs is no peer's weakness.
    fn load(&mut self, sample: usize) -> Result<()>;
    /// One pass of the three actors, to the outputs in memory.
    fn run(&mut self) -> Result<()>;
    /// The logits of the last pass, actor by actor.
    fn outputs(&self) -> Result<Vec<f32>>;
}

/// The three stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Three perceptrons of 10-256-128-64-3.
    Strategic,
    /// Three convolutional networks on 60 x 7.
    Tactical,
    /// Three perceptrons of 15-128-64-32-5.
    Execution,
}

impl Stage {
    /// In the order of the table.
    pub const ALL: [Self; 3] = [Self::Strategic, Self::Tactical, Self::Execution];

    /// Name of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strategic => "strategic",
            Self::Tactical => "tactical",
            Self::Execution => "execution",
        }
    }

    /// Largest p50 and p99 that are aimed at, as shares of ONNX Runtime's.
    pub fn aims(self) -> (f64, f64) {
        match self {
            Self::Strategic => (0.20, 0.25),
            Self::Tactical => (0.55, 0.65),
            Self::Execution => (0.12, 0.15),
        }
    }
}

/// The inputs of a graph for each sample, by name with shape.
pub struct Feed {
    /// Name, shape and, for each sample, numbers.
    pub inputs: Vec<(String, Vec<usize>, Vec<Vec<f32>>)>,
    /// Names of the outputs, with the numbers that count: a stacked output has rows that are filled up.
    pub outputs: Vec<(String, Vec<std::ops::Range<usize>>)>,
}

/// The two forms in which `graphs.py` writes a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Actors side by side.
    Merged,
    /// The same layer of all actors in one operation.
    Stacked,
}

impl Form {
    /// Part of the file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Stacked => "stacked",
        }
    }
}

impl Feed {
    /// What the graph of a stage reads and writes.
    pub fn new(weights: &crate::weights::Weights, stage: Stage, form: Form) -> Result<Self> {
        let rows = |name: &str, width: usize| -> Result<Vec<Vec<f32>>> {
            let values = weights.tensor(&format!("inputs.{name}"))?;
            ensure!(values.len().is_multiple_of(width), "inputs.{name} does not have rows of {width}");
            Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
        };
        let logits = |names: &[(&str, usize)]| {
            names.iter().map(|(name, n)| (format!("{name}.logits"), std::iter::once(0..*n).collect())).collect()
        };
        Ok(match (stage, form) {
            (Stage::Strategic, Form::Merged) => {
                let input = |name: &str, width| Ok((name.to_owned(), vec![1, width], rows(name, width)?));
                Self {
                    inputs: [input("mlmi", 10), input("nwrqk", 10), input("regime", 9)].into_iter().collect::<Result<_>>()?,
                    outputs: logits(&[("mlmi", 3), ("nwrqk", 3), ("regime", 3)]),
                }
            }
            (Stage::Strategic, Form::Stacked) => {
                let mut all: Vec<Vec<f32>> = rows("mlmi", 10)?;
                for (row, (nwrqk, regime)) in all.iter_mut().zip(rows("nwrqk", 10)?.into_iter().zip(rows("regime", 9)?)) {
                    row.extend(nwrqk);
                    row.extend(regime);
                    row.push(0.0);
                }
                Self {
                    inputs: vec![("all".to_owned(), vec![3, 1, 10], all)],
                    outputs: vec![("logits".to_owned(), vec![0..3, 3..6, 6..9])],
                }
            }
            (Stage::Tactical, _) => Self {
                inputs: vec![("matrix".to_owned(), vec![1, 60, 7], rows("matrix", 420)?)],
                outputs: logits(&[("fvg", 3), ("momentum", 3), ("entry", 3)]),
            },
            (Stage::Execution, form) => Self {
                inputs: vec![("context".to_owned(), vec![1, 15], rows("context", 15)?)],
                outputs: match form {
                    Form::Merged => {
                        logits(&[("position_sizing_agent", 5), ("execution_timing_agent", 4), ("risk_management_agent", 2)])
                    }
                    Form::Stacked => vec![("logits".to_owned(), vec![0..5, 5..9, 10..12])],
                },
            },
        })
    }
}
