//! In-memory truth, mirrored by the store.

pub mod parse;
pub mod tasks;

pub use tasks::{Executor, Task};
