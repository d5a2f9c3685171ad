//! An embedded Mesos: a master and agents in one process.
//!
//! [`model`] is the pure core: a state machine without clock, sockets or processes. The simulation drives it in virtual
//! time with [`fake_executor`]; `mainstay dev` serves it over HTTP with real executors.
//!
//! Read next: `model.rs`.

pub mod fake_executor;
pub mod model;

pub use model::ids::Rng;
pub use model::{AgentConfig, Cluster, Config, Input, Output};
