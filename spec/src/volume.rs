//! Persistent volumes.

use crate::scalar::Scalar;

/// A persistent volume of a pod or a resource set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Path below the task's sandbox.
    pub path: String,
    /// Kind of disk.
    pub kind: VolumeKind,
    /// Size in MB; for MOUNT the least size.
    pub size_mb: Scalar,
}

/// Which disk a volume is cut from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeKind {
    /// A part of the agent's shared disk.
    Root,
    /// A whole disk of its own, with one of these profiles when any is named.
    Mount {
        /// Profiles accepted; empty means a disk without a profile.
        profiles: Vec<String>,
    },
}
