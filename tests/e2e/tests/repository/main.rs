//! What the repository says about itself is true: ids resolve, files stay readable in one sitting, and everything has a caller.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod callers;
mod circles;
mod requirements;
mod sizes;
mod sources;
mod tracked;
