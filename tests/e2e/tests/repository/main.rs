//! What the repository says about itself is true: ids resolve, files stay readable in one sitting.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod circles;
mod requirements;
mod sizes;
mod tracked;
