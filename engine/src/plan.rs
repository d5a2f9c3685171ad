//! Plans: phases and steps towards the target, and what operators can do with them.
//!
//! Not here: evaluation of offers (`offer/`) and what is stored (`state/`). A plan is the difference between the specification and the stored
//! tasks; it is rebuilt at every start. Next: `plan/model.rs`, `plan/status.rs`, then `plan/coordinator.rs`.

pub mod command;
pub mod coordinator;
pub mod deploy;
pub mod model;
pub mod overrides;
pub mod recovery;
pub mod status;
pub mod strategy;

pub use model::{Phase, Plan, Step, StepTask};
pub use status::Status;
