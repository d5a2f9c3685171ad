//! A set of resources that one or several tasks use one after another.

use crate::{port::PortSpec, scalar::Scalar, volume::VolumeSpec};

/// What is reserved together for the tasks that name this set.
///
/// Units: cpus and gpus in cores, memory in MB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceSet {
    /// Its id; `<task>-resource-set` for the set a task declares inline.
    pub id: String,
    /// Cpus, above zero when present.
    pub cpus: Option<Scalar>,
    /// Memory in MB, above zero when present.
    pub memory_mb: Option<Scalar>,
    /// Ports in declaration order.
    pub ports: Vec<PortSpec>,
    /// Volumes in declaration order.
    pub volumes: Vec<VolumeSpec>,
}
