//! The resources of the API, one file each.

pub mod answer;
pub mod artifacts;
pub mod configurations;
pub mod debug;
pub mod endpoints;
pub mod health;
pub mod offers;
pub mod placement;
pub mod plan;
pub mod plans;
pub mod pods;
pub mod state;
pub mod waiting;
