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

/// The driver whose volumes are named and placed in a way of their own.
const PORTWORX: &str = "pxd";

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

impl ExternalVolumeSpec {
    /// Name of the volume an instance gets.
    ///
    /// Source: the SDK's names per driver; `pxd` joins with dashes, knows no slashes, and may share one volume.
    pub fn volume_name(&self, service: &str, pod_type: &str, index: u32) -> String {
        if !self.is_portworx() {
            let base = self.volume_name.clone().unwrap_or_else(|| format!("{service}_{pod_type}"));
            return format!("{base}_{index}");
        }
        let base = self.volume_name.clone().unwrap_or_else(|| format!("{service}-{pod_type}")).replace('/', "__");
        let is_shared = self.driver_options.get("shared").is_some_and(|value| value == "true");
        if is_shared { base } else { format!("{base}-{index}") }
    }

    /// Options handed to the driver: the author's, and for `pxd` that the volume lies on the agent of its task.
    pub fn options(&self) -> BTreeMap<String, String> {
        let mut options = self.driver_options.clone();
        if self.is_portworx() {
            options.insert("nodes".to_owned(), "LocalNode".to_owned());
        }
        options
    }

    fn is_portworx(&self) -> bool {
        self.driver_name.as_deref() == Some(PORTWORX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(driver: &str, name: Option<&str>, options: &[(&str, &str)]) -> ExternalVolumeSpec {
        ExternalVolumeSpec {
            driver_name: Some(driver.into()),
            volume_name: name.map(Into::into),
            driver_options: options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            ..ExternalVolumeSpec::default()
        }
    }

    // contract: 2.10/pxd-name 2.10/other-name
    #[test]
    fn volumes_are_named_by_their_driver() {
        let name = |volume: &ExternalVolumeSpec| volume.volume_name("/path/svc", "data", 2);
        assert_eq!(name(&volume("pxd", None, &[])), "__path__svc-data-2");
        assert_eq!(name(&volume("pxd", Some("own/name"), &[])), "own__name-2");
        assert_eq!(name(&volume("pxd", Some("own"), &[("shared", "true")])), "own");
        assert_eq!(name(&volume("pxd", Some("own"), &[("shared", "false")])), "own-2");
        assert_eq!(name(&volume("rexray", None, &[])), "/path/svc_data_2");
        assert_eq!(name(&volume("rexray", Some("own"), &[("shared", "true")])), "own_2");
    }

    #[test]
    fn portworx_keeps_volumes_local() {
        let local = volume("pxd", None, &[("size", "10"), ("nodes", "all")]).options();
        assert_eq!(local, [("nodes", "LocalNode"), ("size", "10")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(volume("rexray", None, &[("size", "10")]).options().len(), 1);
    }
}
