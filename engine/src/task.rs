//! Tasks: their descriptions, statuses, kills and reconciliation.

pub(crate) mod container;
pub mod env;
pub mod failure;
pub mod info;
pub mod kill;
pub mod labels;
pub mod reconcile;
pub mod status;
