//! The stored tasks: bytes as in the store plus what the engine looks at.
//!
//! Invariant: the fields always agree with `info` and `status`; both are replaced together, never edited.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{AgentId, ConfigId, ExecutorId, PodInstance, ResourceId, TaskId, TaskName};
use crate::resource::Resource;
use crate::task::status::{State, Status};

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
    pub executor: Option<Arc<Executor>>,
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

/// The tasks of one pod instance, by name.
pub(crate) fn of_pod<'t>(tasks: &'t BTreeMap<TaskName, Arc<Task>>, pod: &PodInstance) -> Vec<&'t Task> {
    let prefix = pod.task_prefix();
    let named_alike = tasks.range(&prefix..).take_while(|(name, _)| name.as_str().starts_with(prefix.as_str()));
    named_alike.map(|(_, task)| task.as_ref()).filter(|task| task.pod == *pod).collect()
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

impl Task {
    /// Short name of the task within its pod.
    pub fn short_name(&self) -> &str {
        let prefix = self.pod.pod_type.len() + 1 + decimal_digits(self.pod.index) + 1;
        self.name.as_str().get(prefix..).unwrap_or(self.name.as_str())
    }

    /// The state of its current launch; `None` when it was never launched or the status is of an older launch.
    pub fn state(&self) -> Option<State> {
        let id = self.task_id.as_ref()?;
        self.status.as_ref().filter(|status| status.task_id == *id).map(|status| status.state)
    }

    /// Whether a process of its current launch may be alive. A launch that nothing was heard of counts.
    pub fn is_live(&self) -> bool {
        self.task_id.is_some() && self.state().is_none_or(State::is_live)
    }

    /// Whether its readiness check has passed, as far as the last status tells.
    ///
    /// Source: SDK: no check status means no check; a G17 executor reports a label instead.
    pub fn is_ready(&self) -> bool {
        let Some(status) = &self.status else { return false };
        if let Some(passed) = status.readiness_label {
            return passed;
        }
        match (self.has_readiness_check, status.check_exit_code) {
            (false, _) => true,
            (true, code) => code == Some(0),
        }
    }

    /// All it holds, the executor's share included.
    pub fn reserved(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter().chain(self.executor.iter().flat_map(|executor| &executor.resources))
    }

    /// Ids of all its reservations, the executor's included.
    pub fn resource_ids(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.reserved().filter_map(Resource::resource_id)
    }

    /// Whether it holds GPUs.
    pub fn has_gpus(&self) -> bool {
        self.resources.iter().any(|resource| resource.name == "gpus")
    }
}

fn decimal_digits(number: u32) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}
