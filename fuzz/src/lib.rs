//! The functions that are fuzzed. They are shared with property tests that a stable compiler runs.

#[path = "../../spec/tests/fuzzed/targets.rs"]
pub mod targets;
