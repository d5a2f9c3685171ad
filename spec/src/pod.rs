//! A pod type and what its instances share.

use crate::{resource_set::ResourceSet, task::TaskSpec, volume::VolumeSpec};

/// A pod type: `count` equal instances, each on one agent under one executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpec {
    /// The type, key of the `pods` map. Never contains `__`.
    pub pod_type: String,
    /// Number of instances.
    pub count: u32,
    /// Whether a lower count or the removal of the pod is permitted later.
    pub allow_decommission: bool,
    /// Placement constraint as the author wrote it; parsed by the engine.
    pub placement: Option<String>,
    /// Files fetched for every task of the pod.
    pub uris: Vec<String>,
    /// Volumes of the pod itself, shared by its tasks.
    pub volumes: Vec<VolumeSpec>,
    /// Every resource set, the implicit ones (`<task>-resource-set`) included, in declaration order.
    pub resource_sets: Vec<ResourceSet>,
    /// Tasks in declaration order, at least one.
    pub tasks: Vec<TaskSpec>,
}

impl PodSpec {
    /// The task of this name.
    pub fn task(&self, name: &str) -> Option<&TaskSpec> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// The resource set of this id.
    pub fn resource_set(&self, id: &str) -> Option<&ResourceSet> {
        self.resource_sets.iter().find(|set| set.id == id)
    }
}

impl PodSpec {
    /// Why these tasks cannot be launched by one step, or `None` when they can.
    ///
    /// Source: two tasks of a step must share neither a resource set nor a discovery prefix; the SDK shows such a step
    /// in error.
    pub fn step_conflict(&self, tasks: &[String]) -> Option<String> {
        let specs: Vec<&TaskSpec> = tasks.iter().filter_map(|name| self.task(name)).collect();
        let prefix = |task: &TaskSpec| task.discovery.as_ref().and_then(|discovery| discovery.prefix.clone());
        for (index, task) in specs.iter().enumerate() {
            for other in &specs[index + 1..] {
                if task.resource_set == other.resource_set {
                    let set = &task.resource_set;
                    return Some(format!("tasks {} and {} share the resource set {set}", task.name, other.name));
                }
                if let Some(shared) = prefix(task).filter(|shared| prefix(other).as_ref() == Some(shared)) {
                    return Some(format!("tasks {} and {} share the discovery prefix {shared}", task.name, other.name));
                }
            }
        }
        None
    }
}
