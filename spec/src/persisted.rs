//! The target configuration as the SDK stores it: JSON, one document per configuration.
//!
//! Not the YAML and not the whole service: plans are never stored. The writer writes the final generation's form with
//! every key; the one reader takes the documents of every generation, unset keys with their defaults.
//! Invariant: writing is deterministic, and reading what was written gives the same service.
//! Next: `persisted/write.rs`, `persisted/read.rs`, `persisted/placement.rs`, `persisted/changed.rs`, `persisted/layout.rs`.
//! Source: `Configurations/<uuid>` of the SDK's stored tree.

mod changed;
mod layout;
mod mappings;
mod placement;
mod read;
mod write;

use crate::service::ServiceSpec;

pub use changed::pod_changed;
pub use read::{Error, ReadOptions};

/// A configuration read from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSpec {
    /// The service. It has no plans, its configuration templates no paths, its networks no port mappings that every port
    /// gets anyway, and `declared_role` is set only where the role differs from the one derived from the name.
    pub spec: ServiceSpec,
    /// Role of its reservations.
    pub role: String,
}

/// The stored form of a service whose reservations have this role.
///
/// Shape: a JSON object in the layout of the SDK's writer, without a final line end.
pub fn to_json(spec: &ServiceSpec, role: &str) -> String {
    layout::pretty(&write::service(spec, role))
}

/// Reads a stored configuration, of any generation.
///
/// Errors: text that is not such a document, and what has no place in the model, with the path of the key.
pub fn from_json(text: &str) -> Result<StoredSpec, Error> {
    from_json_with(text, &ReadOptions::default())
}

/// The same, with what a document of the older generation does not say by itself.
pub fn from_json_with(text: &str, options: &ReadOptions<'_>) -> Result<StoredSpec, Error> {
    read::service(text, options)
}
