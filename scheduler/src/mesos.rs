//! The Mesos side of the shell: one subscription to the leading master and one ordered connection for calls.
//!
//! Journey of an event: bytes → RecordIO → `convert.rs` → bounded channel → the loop. Of a call: the loop → bounded channel →
//! `calls.rs` → the master. Next: `client.rs`.
//!
//! Not here: any decision about offers, tasks or plans.

pub mod auth;
pub mod calls;
pub mod client;
pub mod connection;
pub mod convert;
pub mod leader;
pub mod subscribe;
