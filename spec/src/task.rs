//! A task of a pod.

use std::collections::BTreeMap;

use crate::{
    health::{HealthCheckSpec, ReadinessCheckSpec},
    isolation::IpcMode,
    transport_encryption::TransportEncryptionSpec,
};

/// One process of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// Short name, key of the `tasks` map; the full one is `<pod>-<index>-<name>`. Never contains `__`.
    pub name: String,
    /// When it counts as done.
    pub goal: Goal,
    /// Whether its failure restarts the other tasks of the pod instance.
    pub essential: bool,
    /// Shell command.
    pub cmd: String,
    /// Environment of the author and `TASKCFG_*`, merged. Names sorted.
    pub env: BTreeMap<String, String>,
    /// Configuration files rendered before the task starts, in declaration order.
    pub configs: Vec<ConfigSpec>,
    /// Id of the resource set it uses; always one of the pod's.
    pub resource_set: String,
    /// Liveness.
    pub health_check: Option<HealthCheckSpec>,
    /// Gate of the plan step.
    pub readiness_check: Option<ReadinessCheckSpec>,
    /// Discovery settings.
    pub discovery: Option<DiscoverySpec>,
    /// Labels of the author, in declaration order.
    pub labels: Vec<(String, String)>,
    /// Seconds between SIGTERM and SIGKILL, at most 1,209,600.
    pub kill_grace_period_secs: u32,
    /// Files fetched for this task besides those of its pod; an extension, the SDK has no such key.
    pub uris: Vec<String>,
    /// Certificates it gets, in declaration order.
    pub transport_encryption: Vec<TransportEncryptionSpec>,
    /// Whose shared memory it sees.
    pub ipc_mode: Option<IpcMode>,
    /// Size of its `/dev/shm`, MB.
    pub shm_size_mb: Option<u32>,
}

/// A task without a name that does nothing: what each key means when it is absent.
impl Default for TaskSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            goal: Goal::Running,
            essential: true,
            cmd: String::new(),
            env: BTreeMap::new(),
            configs: Vec::new(),
            resource_set: String::new(),
            health_check: None,
            readiness_check: None,
            discovery: None,
            labels: Vec::new(),
            kill_grace_period_secs: 0,
            uris: Vec::new(),
            transport_encryption: Vec::new(),
            ipc_mode: None,
            shm_size_mb: None,
        }
    }
}

/// When a task counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It runs and is ready; restarted whenever it ends.
    Running,
    /// It finished with the current configuration.
    Finish,
    /// It finished once, with whatever configuration.
    Once,
}

/// A configuration file template and where its rendering goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSpec {
    /// Key of the `configs` map.
    pub name: String,
    /// Path of the template as the author wrote it.
    pub template_path: String,
    /// Destination relative to the task's working directory.
    pub dest: String,
    /// The template itself, read when the spec was loaded. Never empty.
    pub content: String,
}

/// How the task is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoverySpec {
    /// Discovery name is `<prefix>-<pod index>`; default the task's name.
    pub prefix: Option<String>,
    /// Who may see it.
    pub visibility: Visibility,
}

/// Visibility of a task or port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Within the framework.
    Framework,
    /// Within the cluster.
    Cluster,
    /// Everywhere.
    External,
}
