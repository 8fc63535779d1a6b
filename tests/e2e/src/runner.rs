//! Whose output is read.

/// How a runner's lines are counted.
#[derive(Clone, Copy, Debug)]
pub enum Runner {
    /// `cargo test`: `test result: ok. 3 passed; 0 failed; ...`.
    Cargo,
    /// `go test -v`: `--- PASS: Name` and `--- FAIL: Name`, top level only.
    Go,
    /// Our own: `3 passed, 0 failed`.
    Plain,
}
