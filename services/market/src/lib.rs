//! Recorded bars: reading, checking, merging, and publishing them to the bus at a chosen pace.
//!
//! The recording's own time is the clock of a replay: nothing downstream sees when a bar was
//! published, only when it closed.

mod csv;
mod interval;
mod merge;
mod publisher;
mod source;

pub use crate::csv::{CsvError, HEADER, read_bars};
pub use interval::{Interval, IntervalError};
pub use merge::{MergeError, merge};
pub use publisher::{Pace, Progress, PublishError, publish};
pub use source::{Source, SourceError, load};
