//! What the pod instance has reserved already, matched against what the specification wants.
//!
//! Invariant: a stored volume matches by the path, never by the kind of disk or the size: data stays where it is.
//! Invariant: of several stored reservations for one thing the one that is offered wins; none of them counts as an orphan.
//! Invariant: a task that is launched again gets the volume it ran on and no other, offered or not.

use mainstay_spec::{PortSpec, ResourceSet, VolumeSpec};

use super::claim::SetDraft;
use super::requirement::Requirement;
use crate::ids::{PersistenceId, ResourceId, TaskName};
use crate::resource::{LABEL_RESOURCE_ID, Pool, Resource, Value};
use crate::state::Task;
use crate::state::parse::PORT_VARIABLE_PREFIX;
use crate::task::env;

/// Stored reservations of one resource set or of the executor.
#[derive(Debug, Default)]
pub(super) struct Stored<'a> {
    tasks: Vec<&'a Task>,
    resources: Vec<&'a Resource>,
    has_run: bool,
    /// Volumes that the tasks launched now ran on.
    own: Vec<&'a Resource>,
}

impl<'a> Stored<'a> {
    /// Of the tasks that use this resource set, those launched now first.
    pub(super) fn of_set(requirement: &Requirement<'a>, set: &ResourceSet) -> Self {
        let mut names: Vec<_> = requirement.pod_spec.tasks.iter().filter(|task| task.resource_set == set.id).collect();
        names.sort_by_key(|task| (!requirement.launch.contains(&task.name), &task.name));
        let mut stored = Self::default();
        for name in names {
            let full = requirement.pod.task_name(&name.name);
            if let Some(task) = requirement.stored.iter().find(|task| task.name == full) {
                stored.tasks.push(task);
                stored.has_run |= task.status.is_some();
                if task.status.is_some() && requirement.launch.contains(&name.name) {
                    stored.own.extend(task.resources.iter().filter(|resource| resource.persistence_id().is_some()));
                }
                stored.add(&task.resources);
            }
        }
        stored
    }

    /// Of the executors of all tasks of the pod.
    pub(super) fn of_executor(requirement: &Requirement<'a>) -> Self {
        let mut stored = Self::default();
        for executor in requirement.stored.iter().filter_map(|task| task.executor.as_ref()) {
            stored.add(&executor.resources);
        }
        stored.has_run = requirement.stored.iter().any(|task| task.status.is_some());
        stored
    }

    /// Whether anything ever ran on it, so that its volumes may hold data.
    pub(super) fn has_run(&self) -> bool {
        self.has_run
    }

    fn add(&mut self, resources: &'a [Resource]) {
        for resource in resources {
            let id = resource.reservation_label(LABEL_RESOURCE_ID);
            let is_known = |known: &&Resource| known.reservation_label(LABEL_RESOURCE_ID) == id;
            if id.is_some() && !self.resources.iter().any(is_known) {
                self.resources.push(resource);
            }
        }
    }

    /// The reservation of a scalar.
    pub(super) fn scalar(&self, name: &str, pool: &Pool<'_>) -> Option<ResourceId> {
        self.best(pool, |resource| is_plain(resource, name)).and_then(Resource::resource_id)
    }

    /// The reservation and identity of a volume.
    pub(super) fn volume(&self, volume: &VolumeSpec, pool: &Pool<'_>) -> Option<(ResourceId, PersistenceId)> {
        let own = self.own.iter().copied().find(|resource| is_volume(resource, volume));
        let found = own.or_else(|| self.best(pool, |resource| is_volume(resource, volume)))?;
        Some((found.resource_id()?, found.persistence_id()?.clone()))
    }

    /// The number a port had, unless it may not have it any more.
    pub(super) fn port_number(&self, port: &PortSpec) -> Option<u16> {
        self.earlier_number(port).filter(|number| is_allowed(port, *number))
    }

    fn earlier_number(&self, port: &PortSpec) -> Option<u16> {
        let ports = || self.tasks.iter().flat_map(|task| &task.ports);
        if let Some((_, number)) = ports().find(|(name, _)| *name == port.name) {
            return Some(*number);
        }
        let variable = port.env_key.as_deref().map_or_else(|| env::port_variable(&port.name), env::variable_name);
        ports()
            .find(|(name, _)| name.strip_prefix(PORT_VARIABLE_PREFIX).is_some_and(|name| *name == variable))
            .map(|(_, number)| *number)
    }

    /// The reservation of just this port. One for several ports (older generation) does not count: it is split.
    pub(super) fn port(&self, number: u16, pool: &Pool<'_>) -> Option<ResourceId> {
        self.best(pool, |resource| single_port(resource) == Some(u64::from(number))).and_then(Resource::resource_id)
    }

    fn best(&self, pool: &Pool<'_>, is_wanted: impl Fn(&Resource) -> bool) -> Option<&'a Resource> {
        let mut found = self.resources.iter().copied().filter(|resource| is_wanted(resource)).peekable();
        let first = found.peek().copied();
        found
            .find(|resource| resource.reservation_label(LABEL_RESOURCE_ID).is_some_and(|id| pool.has_reserved(id)))
            .or(first)
    }

    /// Reservations the set has no use for.
    pub(super) fn orphans_of_set(&self, set: &ResourceSet) -> Vec<&'a Resource> {
        let is_wanted = |resource: &Resource| match resource.name.as_str() {
            "cpus" => set.cpus.is_some(),
            "mem" => set.memory_mb.is_some(),
            "gpus" => set.gpus.is_some(),
            "ports" => single_port(resource).is_some_and(|number| {
                let numbers = set.ports.iter().filter_map(|port| port.port.or_else(|| self.port_number(port)));
                numbers.map(u64::from).any(|wanted| wanted == number)
            }),
            "disk" => set.volumes.iter().any(|volume| is_volume(resource, volume)),
            _ => false,
        };
        self.resources.iter().copied().filter(|resource| !is_wanted(resource)).collect()
    }

    /// Volumes the pod has no use for; plain leftovers of executors are not judged here.
    pub(super) fn orphans_of_executor(&self, volumes: &[VolumeSpec]) -> Vec<&'a Resource> {
        let is_wanted = |resource: &Resource| volumes.iter().any(|volume| is_volume(resource, volume));
        self.resources
            .iter()
            .copied()
            .filter(|resource| resource.persistence_id().is_some() && !is_wanted(resource))
            .collect()
    }
}

/// Whether a port that is chosen may have this number.
pub(super) fn is_allowed(port: &PortSpec, number: u16) -> bool {
    port.ranges.is_empty() || port.ranges.iter().any(|range| (range.begin..=range.end).contains(&number))
}

/// A scalar that is not a volume.
fn is_plain(resource: &Resource, name: &str) -> bool {
    resource.name == name
        && matches!(resource.value, Value::Scalar(_))
        && resource.disk.as_ref().is_none_or(|disk| disk.persistence.is_none())
}

fn is_volume(resource: &Resource, volume: &VolumeSpec) -> bool {
    volume_path(resource) == Some(&*volume.path)
}

/// Where a volume is in the sandbox; `None` for anything else.
fn volume_path(resource: &Resource) -> Option<&str> {
    resource.disk.as_ref().filter(|disk| disk.persistence.is_some())?.container_path.as_deref()
}

/// Whether a task is stored with a volume that holds data, at the path where its set has another one now: it must stay the task's.
pub(super) fn has_other_data(requirement: &Requirement<'_>, name: &TaskName, set: &SetDraft<'_>) -> bool {
    let Some(task) = requirement.stored.iter().find(|task| task.name == *name) else { return false };
    let is_used = |volume: &Resource| {
        let has_run_on = |task: &&Task| {
            task.status.is_some() && task.resources.iter().any(|one| one.persistence_id() == volume.persistence_id())
        };
        requirement.stored.iter().any(has_run_on)
    };
    let has_other = |volume: &Resource| {
        let path = volume_path(volume);
        let claimed = set.claims.iter().filter_map(|claim| claim.volume.as_ref());
        path.is_some()
            && claimed.filter(|one| Some(one.path) == path).any(|one| Some(&one.id) != volume.persistence_id())
    };
    task.resources.iter().any(|resource| has_other(resource) && is_used(resource))
}

/// The number of a resource that is just one port.
pub(super) fn single_port(resource: &Resource) -> Option<u64> {
    match &resource.value {
        Value::Ranges(ranges) if resource.name == "ports" => ranges.as_single(),
        Value::Ranges(_) | Value::Scalar(_) | Value::Set(_) => None,
    }
}
