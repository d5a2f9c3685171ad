//! The engine: decides everything, does nothing.
//!
//! Synchronous and deterministic: same state, same event, same [`units::Timestamp`], same effects. Knows no socket, file, clock, environment or
//! runtime. Next: `engine.rs`, then `event.rs` and `effect.rs`.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm))]

pub mod check;
pub mod command;
pub mod config;
pub mod effect;
pub mod engine;
pub mod event;
pub mod explain;
pub mod ids;
pub mod journal;
pub mod limits;
pub mod offer;
pub mod plan;
pub mod resource;
pub mod state;
pub mod task;
pub mod units;
pub mod view;

pub use engine::{Engine, StartError};
