//! The stored tasks: bytes as in the store plus what the engine looks at.
//!
//! Invariant: the fields always agree with `info` and `status`; both are replaced together, never edited.

use bytes::Bytes;

use crate::ids::{AgentId, ConfigId, ExecutorId, PodInstance, TaskId, TaskName};
use crate::resource::Resource;
use crate::task::status::Status;

/// One node below `Tasks`: a task of a pod instance, launched or only reserved for.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Full name.
    pub name: TaskName,
    /// The stored TaskInfo, byte for byte.
    pub info: Bytes,
    /// Id of its current launch; `None` is a footprint: reserved, never launched or blanked by a sibling's update.
    pub task_id: Option<TaskId>,
    /// Agent that holds its reservation.
    pub agent_id: AgentId,
    /// Pod instance, from the labels `task_type` and `index`.
    pub pod: PodInstance,
    /// Configuration it was made from.
    pub config_id: Option<ConfigId>,
    /// Whether the pod instance is to be replaced.
    pub is_permanently_failed: bool,
    /// Executor embedded in the stored TaskInfo.
    pub executor: Option<Executor>,
    /// Reserved resources of the task (not of the executor).
    pub resources: Vec<Resource>,
    /// Chosen ports by port name, from the stored DiscoveryInfo.
    pub ports: Vec<(String, u16)>,
    /// Host name of the agent at launch.
    pub hostname: Option<String>,
    /// Region of the agent at launch.
    pub region: Option<String>,
    /// Zone of the agent at launch.
    pub zone: Option<String>,
    /// Attributes of the agent at launch, as (name, text form).
    pub attributes: Vec<(String, String)>,
    /// Whether the task has a readiness check that gates its step.
    pub has_readiness_check: bool,
    /// Last accepted status.
    pub status: Option<Status>,
}

/// The executor of a stored task.
#[derive(Debug, Clone, PartialEq)]
pub struct Executor {
    /// Its id.
    pub id: ExecutorId,
    /// The stored ExecutorInfo, byte for byte: a live executor is only reused with an equal one.
    pub info: Bytes,
    /// Overhead and pod volumes.
    pub resources: Vec<Resource>,
}
