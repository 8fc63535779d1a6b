//! The table and the JSON.

use serde::Serialize;

use crate::engine::Stage;
use crate::features::FeatureReport;
use crate::floor::Floor;
use crate::measure::Latency;

/// One engine on one stage.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The engine.
    pub engine: String,
    /// With warm caches.
    pub warm: Latency,
    /// After 96 MB of other memory.
    pub cold: Latency,
}

/// One stage.
#[derive(Debug, Serialize)]
pub struct StageReport {
    /// Name of the stage.
    pub stage: &'static str,
    /// What the machine allows.
    pub floor: Floor,
    /// The engines; the first is the serving path as it is served here.
    pub rows: Vec<Row>,
    /// The graph that ONNX Runtime runs fastest.
    pub peer: String,
    /// p50 and p99 as shares of ONNX Runtime's.
    pub ratios: [f64; 2],
    /// Largest shares that are aimed at.
    pub aims: [f64; 2],
    /// p50 and p99 with cold caches as shares of ONNX Runtime's.
    pub cold_ratios: [f64; 2],
    /// p50 in multiples of the floor.
    pub over_floor: f64,
}

/// The whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Processor.
    pub machine: String,
    /// Instructions of the serving path.
    pub instructions: &'static str,
    /// Core that everything ran on.
    pub cpu: usize,
    /// Load average of the last minute at the start: other work makes every figure larger.
    pub load_average: String,
    /// From bars to rows.
    pub features: FeatureReport,
    /// The stages.
    pub stages: Vec<StageReport>,
    /// Engines that could not be measured, with the reason.
    pub missing: Vec<String>,
}

impl StageReport {
    /// Compares the first row with the better of ONNX Runtime's graphs.
    pub fn new(stage: Stage, floor: Floor, rows: Vec<Row>) -> Option<Self> {
        let ours = rows.first()?;
        let peers = rows.iter().filter(|row| row.engine.starts_with("ONNX Runtime"));
        let peer = peers.min_by(|a, b| a.warm.p50.total_cmp(&b.warm.p50))?;
        let (p50, p99) = stage.aims();
        Some(Self {
            stage: stage.name(),
            floor,
            peer: peer.engine.clone(),
            ratios: [ours.warm.p50 / peer.warm.p50, ours.warm.p99 / peer.warm.p99],
            aims: [p50, p99],
            cold_ratios: [ours.cold.p50 / peer.cold.p50, ours.cold.p99 / peer.cold.p99],
            over_floor: ours.warm.p50 / floor.us,
            rows,
        })
    }

    fn print(&self) {
        let Floor { bytes, bandwidth, operations, peak, us } = self.floor;
        println!("\n{}: three actors, batch 1, microseconds", self.stage);
        println!("  {:<26} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8}", "", "p50", "p99", "p99.9", "cold p50", "p99", "p99.9");
        for Row { engine, warm, cold } in &self.rows {
            println!(
                "  {engine:<26} {:>8.2} {:>8.2} {:>8.2}   {:>8.1} {:>8.1} {:>8.1}",
                warm.p50, warm.p99, warm.p999, cold.p50, cold.p99, cold.p999
            );
        }
        println!(
            "  floor {us:.2}: {bytes} bytes at {bandwidth:.0} GB/s, {operations} multiply-adds at {peak:.0} G/s; p50 is {:.2} x floor",
            self.over_floor
        );
        let verdict = |ratio: f64, aim: f64| if ratio <= aim { "met" } else { "missed" };
        for (name, ratio, aim) in [("p50", self.ratios[0], self.aims[0]), ("p99", self.ratios[1], self.aims[1])] {
            println!("  {name} is {ratio:.3} x {} (aim {aim:.2}: {})", self.peer, verdict(ratio, aim));
        }
        println!("  cold p50 is {:.3} x, p99 {:.3} x", self.cold_ratios[0], self.cold_ratios[1]);
    }
}

impl Report {
    /// Prints the table.
    pub fn print(&self) {
        println!("{}, core {}, load average {}, {}", self.machine, self.cpu, self.load_average, self.instructions);
        println!("No activation is skipped: every weight is read on every call.");
        self.features.print();
        self.stages.iter().for_each(StageReport::print);
        for missing in &self.missing {
            println!("not measured: {missing}");
        }
    }
}
