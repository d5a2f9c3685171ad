//! The target configuration as the SDK stores it: JSON, one document per configuration.
//!
//! Not the YAML and not the whole service: plans are never stored. The writer writes the final generation's form with
//! every key; the one reader takes the documents of every generation, unset keys with their defaults.
//! Invariant: writing is deterministic, and reading what was written gives the same service.
//! Next: `persisted/write.rs`, `persisted/read.rs`, `persisted/placement.rs`, `persisted/layout.rs`.
//! Source: `Configurations/<uuid>` of the SDK's stored tree.

mod layout;
mod placement;
mod read;
mod write;

use crate::{pod::PodSpec, service::ServiceSpec};

pub use read::Error;

/// A configuration read from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSpec {
    /// The service. It has no plans, its configuration templates no paths, and `declared_role` is set only where the
    /// role differs from the one derived from the name.
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
/// Errors: text that is not such a document, and features that are not supported yet, with the path of the key.
pub fn from_json(text: &str) -> Result<StoredSpec, Error> {
    read::service(text)
}

/// Whether running tasks of a pod must be restarted for the new specification.
///
/// The number of instances, placement, permission to decommission and `essential` never restart a task; everything
/// else does, every port and its extras included. The order of names carries no meaning.
/// Source: the SDK's comparison, without its weakness of seeing only the last port.
pub fn pod_changed(old: &PodSpec, new: &PodSpec) -> bool {
    comparable(old) != comparable(new)
}

/// The pod without what does not matter, in an order of its own.
fn comparable(pod: &PodSpec) -> PodSpec {
    let mut pod = pod.clone();
    pod.count = 0;
    pod.placement = None;
    pod.allow_decommission = false;
    pod.volumes.sort_by(|a, b| a.path.cmp(&b.path));
    let tasks = &pod.tasks;
    // A set no task uses is neither reserved nor stored.
    pod.resource_sets.retain(|set| tasks.iter().any(|task| task.resource_set == set.id));
    pod.resource_sets.sort_by(|a, b| a.id.cmp(&b.id));
    for set in &mut pod.resource_sets {
        set.ports.sort_by(|a, b| a.name.cmp(&b.name));
        set.volumes.sort_by(|a, b| a.path.cmp(&b.path));
    }
    for task in &mut pod.tasks {
        task.essential = true;
        task.labels.sort();
        task.configs.sort_by(|a, b| a.name.cmp(&b.name));
        for config in &mut task.configs {
            config.template_path.clear();
        }
    }
    pod
}
