//! In-memory truth, mirrored by the store.

pub mod tasks;

pub use tasks::{Executor, Task};
