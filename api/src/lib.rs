//! JSON shapes of the HTTP API, shared by the scheduler, which writes them, and the command line, which reads them.
//!
//! Not here: paths and status codes (`scheduler/src/http`), how JSON is spaced (`scheduler/src/http/json.rs`).
//!
//! Invariant: field names and their order are those of the DC/OS Commons SDK, byte for byte; clients compare them literally.
//! Invariant: a reader accepts objects with fields missing or added, since either side may be older.

pub mod debug;
pub mod endpoint;
pub mod placement;
pub mod plan;
pub mod pod;
pub mod text;

use serde::{Deserialize, Serialize};

/// Answer to a command: `{"message": "Received cmd: restart"}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// Never empty in a success; clients take an empty one as failure.
    pub message: String,
}

impl Message {
    /// The answer to a command that was carried out.
    pub fn received(verb: &str) -> Self {
        Self { message: format!("{}{verb}", text::RECEIVED) }
    }
}
