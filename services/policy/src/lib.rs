//! The decision engine: routing by revision, orchestrator, paired evidence.
