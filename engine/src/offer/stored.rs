//! What the pod instance has reserved already, matched against what the specification wants.
//!
//! Invariant: a stored volume matches by the path, never by the kind of disk or the size: data stays where it is.
//! Invariant: of several stored reservations for one thing the one that is offered wins; none of them counts as an orphan.
//! Invariant: a task that is launched again gets the volume it ran on and no other, offered or not.
//! Invariant: what tasks name that are in different sets by now (they shared one) is of one set, whichever is launched first; what a live
//! task uses is of its set.

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
        if requirement.pod_spec.resource_sets.len() > 1 {
            stored.resources.retain(|resource| !is_of_other_set(requirement, set, resource));
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
        earlier_number(&self.tasks, port)
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
        let is_wanted = |resource: &&Resource| is_wanted(set, resource, |port| self.port_number(port));
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

/// Whether the set has a use for a reservation.
fn is_wanted(set: &ResourceSet, resource: &Resource, number: impl Fn(&PortSpec) -> Option<u16>) -> bool {
    match resource.name.as_str() {
        "cpus" => set.cpus.is_some(),
        "mem" => set.memory_mb.is_some(),
        "gpus" => set.gpus.is_some(),
        "ports" => single_port(resource).is_some_and(|reserved| {
            set.ports
                .iter()
                .filter_map(|port| port.port.or_else(|| number(port)))
                .any(|wanted| u64::from(wanted) == reserved)
        }),
        "disk" => set.volumes.iter().any(|volume| is_volume(resource, volume)),
        _ => false,
    }
}

/// The number that a port of these tasks had.
fn earlier_number(tasks: &[&Task], port: &PortSpec) -> Option<u16> {
    let ports = || tasks.iter().flat_map(|task| &task.ports);
    if let Some((_, number)) = ports().find(|(name, _)| *name == port.name) {
        return Some(*number);
    }
    let variable = port.env_key.as_deref().map_or_else(|| env::port_variable(&port.name), env::variable_name);
    ports()
        .find(|(name, _)| name.strip_prefix(PORT_VARIABLE_PREFIX).is_some_and(|name| *name == variable))
        .map(|(_, number)| *number)
}

/// Whether a reservation is another set's, although a task of this set names it: both tasks were in one set once.
///
/// It is of the live task that uses it; else of the first task by name whose set has a use for it. A volume that nothing uses is of both:
/// whoever needs it waits rather than begin without its data.
fn is_of_other_set(requirement: &Requirement<'_>, set: &ResourceSet, resource: &Resource) -> bool {
    let id = resource.reservation_label(LABEL_RESOURCE_ID);
    let set_of = |task: &Task| {
        let pod = requirement.pod_spec;
        pod.task(task.short_name()).and_then(|task| pod.resource_set(&task.resource_set))
    };
    let has_it = |task: &Task| task.resources.iter().any(|one| one.reservation_label(LABEL_RESOURCE_ID) == id);
    let named = requirement.stored.iter().copied().filter(|task| has_it(task));
    let holders = || named.clone().filter_map(|task| Some((task, set_of(task)?)));
    if holders().all(|(_, of)| of.id == set.id) {
        return false;
    }
    if let Some((_, of)) = holders().find(|(task, _)| task.is_live()) {
        return of.id != set.id;
    }
    if resource.persistence_id().is_some() {
        return false;
    }
    let wants = |task: &Task, of| is_wanted(of, resource, |port| earlier_number(&[task], port));
    let owner = holders().find(|(task, of)| wants(task, of)).or_else(|| holders().next());
    owner.is_some_and(|(_, of)| of.id != set.id)
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

/// Whether a task that is not launched must be stored again with what its set has now: that has changed, or is not what the task names.
///
/// Not one that lives, nor one that has data in another volume than the set has now: it would lose them.
pub(super) fn is_stale(requirement: &Requirement<'_>, name: &TaskName, set: &SetDraft<'_>, is_changed: bool) -> bool {
    let Some(task) = requirement.stored.iter().find(|task| task.name == *name) else { return is_changed };
    let is_claimed = |id: &str| set.claims.iter().any(|claim| claim.id.as_str() == id);
    let mut named = task.resources.iter().filter_map(|resource| resource.reservation_label(LABEL_RESOURCE_ID));
    (is_changed || named.any(|id| !is_claimed(id))) && !task.is_live() && !has_other_data(requirement, task, set)
}

/// Whether a task is stored with a volume that holds data, at the path where its set has another one now.
fn has_other_data(requirement: &Requirement<'_>, task: &Task, set: &SetDraft<'_>) -> bool {
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
