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
    /// Gpus, above zero when present.
    pub gpus: Option<Scalar>,
    /// Ports in declaration order.
    pub ports: Vec<PortSpec>,
    /// Volumes in declaration order.
    pub volumes: Vec<VolumeSpec>,
    /// How much a task may use beyond what is reserved.
    pub limits: ResourceLimits,
}

/// What a task may use at most, where that is more than it reserves.
///
/// Source: `svc.yml` `resource-limits`; Mesos `TaskInfo.limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResourceLimits {
    /// Cpus.
    pub cpus: Option<Limit>,
    /// Memory in MB.
    pub memory_mb: Option<Limit>,
}

/// A bound on what is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Whatever the agent has.
    Unlimited,
    /// This much.
    Amount(Scalar),
}
