//! The tactical stage: rewards, samples, training, report.

pub mod fit;
pub mod report;
pub mod reward;
pub mod samples;
