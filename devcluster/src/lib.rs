//! An embedded Mesos: a master and agents in one process.
//!
//! [`model`] is the pure core: a state machine without clock, sockets or processes. The simulation drives it in virtual
//! time with [`fake_executor`]; [`start`] serves it over HTTP on loopback with executors as real processes, which is
//! what `mainstay dev` does.
//!
//! Not here: isolation (`container.rs` says what becomes of it), users other than our own, several masters.
//!
//! Read next: `model.rs` for what Mesos does, `node.rs` for how it reaches the machine.

pub mod fake_executor;
pub mod model;

mod container;
mod disk;
mod fetcher;
mod http;
mod node;
mod process;
mod running;
mod state_json;
mod wire;

pub use model::ids::Rng;
pub use model::{AgentConfig, Cluster, Config, Input, Output};
pub use running::{AgentOptions, Error, MAX_AGENTS, Options, Running, start};
pub use wire::from_json;
