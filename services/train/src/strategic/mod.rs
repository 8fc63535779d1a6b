//! The strategic stage: what its networks do with recorded bars, samples, training, report.

pub mod course;
pub mod fit;
pub mod learning;
pub mod outcome;
pub mod report;
pub mod samples;
