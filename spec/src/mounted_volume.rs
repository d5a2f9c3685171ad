//! Volumes that are mounted as they are, never reserved: folders of the agent, and volumes of a driver.

use std::collections::BTreeMap;

/// Whether a task may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VolumeMode {
    /// Read and write.
    #[default]
    ReadWrite,
    /// Read only.
    ReadOnly,
}

impl VolumeMode {
    /// Its name in specifications and in Mesos.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "RW",
            Self::ReadOnly => "RO",
        }
    }
}

/// A folder of the agent seen by every task of the pod.
///
/// Source: `svc.yml` `host-volumes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVolumeSpec {
    /// Absolute path on the agent.
    pub host_path: String,
    /// Path below the task's sandbox.
    pub container_path: String,
    /// Whether tasks may write.
    pub mode: VolumeMode,
}

/// A volume of a Docker volume driver.
///
/// Source: `svc.yml` `external-volumes`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExternalVolumeSpec {
    /// Path in the container.
    pub container_path: String,
    /// Driver, for example `pxd`.
    pub driver_name: Option<String>,
    /// Options of the driver. Never contains `name`, which is computed.
    pub driver_options: BTreeMap<String, String>,
    /// First part of the volume's name; default from service and pod. Never contains `__`.
    pub volume_name: Option<String>,
    /// Whether tasks may write.
    pub mode: VolumeMode,
}
