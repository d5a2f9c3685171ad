//! The scheduler: a thin shell around the engine.
//!
//! Turns bytes into events, hands them to the engine one batch at a time, commits what the engine wants stored, then sends what
//! it wants sent, then answers who waits. Makes no choice about the service: that `if` belongs in the engine.
//!
//! Invariant: nothing is sent to Mesos before what it depends on is stored; one loop, `run.rs`, is the only place that does either.

pub mod builder;
pub mod control;
pub mod env;
pub mod http;
pub mod mesos;
pub mod run;
pub mod shutdown;
pub mod startup;
pub mod store;
pub mod telemetry;

pub use builder::{Builder, Running, Scheduler};
pub use mainstay_engine as engine;
pub use mainstay_spec as spec;
pub use run::{Exit, Hook};
pub use tokio_util::sync::CancellationToken;

/// Environment variables by name.
pub type Vars = std::collections::BTreeMap<String, String>;
