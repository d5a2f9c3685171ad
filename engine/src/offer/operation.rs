//! From what the stages left behind to operations and stored tasks, in the order Mesos must apply them.
//!
//! Shape: DESTROY and UNRESERVE of orphans, UNRESERVE of what is left of reservations that shrink; per resource RESERVE, for a volume then CREATE; one LAUNCH_GROUP with a new executor, or one
//! LAUNCH into the running one.
//! Invariant: RESERVE and CREATE carry an id, so that Mesos says what became of them.
//! Source: Mesos v1 `Offer.Operation`.

use std::sync::Arc;

use mainstay_proto::v1::offer::{Operation, operation};
use mainstay_proto::v1::{self, OperationId};
use prost::Message as _;

use super::Offer;
use super::claim::{Amount, Basis, Claim, Draft, ExecutorDraft};
use super::requirement::{Accepted, Requirement};
use super::stored::Stored;
use crate::ids::{Generator, ResourceId};
use crate::resource::{
    Disk, LABEL_FRAMEWORK_ID, LABEL_RESOURCE_ID, Persistence, Ranges, Reservation, ReservationKind, Resource, Value,
};
use crate::state::{Executor, Task};
use crate::task::{container, info};

/// Asks for a reservation.
pub fn reserve(resource: &Resource, id: Option<crate::ids::OperationId>) -> Operation {
    Operation {
        r#type: Some(operation::Type::Reserve as i32),
        reserve: Some(Box::new(operation::Reserve { resources: vec![resource.to_wire()], source: Vec::new() })),
        id: id.map(to_wire_id),
        ..Default::default()
    }
}

/// Asks for a volume on a reserved disk; it gets the name that it will have in the sandbox.
fn create(volume: &Resource, id: Option<crate::ids::OperationId>) -> Operation {
    Operation {
        r#type: Some(operation::Type::Create as i32),
        create: Some(Box::new(operation::Create { volumes: vec![info::in_sandbox(volume)] })),
        id: id.map(to_wire_id),
        ..Default::default()
    }
}

/// Gives up a reservation; `resource` is the reserved resource without volume.
pub fn unreserve(resource: &Resource) -> Operation {
    Operation {
        r#type: Some(operation::Type::Unreserve as i32),
        unreserve: Some(Box::new(operation::Unreserve { resources: vec![without_volume(resource).to_wire()] })),
        ..Default::default()
    }
}

/// Deletes a volume with its data.
pub fn destroy(volume: &Resource) -> Operation {
    Operation {
        r#type: Some(operation::Type::Destroy as i32),
        destroy: Some(Box::new(operation::Destroy { volumes: vec![volume.to_wire()] })),
        ..Default::default()
    }
}

fn to_wire_id(id: crate::ids::OperationId) -> OperationId {
    OperationId { value: id.as_str().to_owned() }
}

/// The reserved disk below a volume; anything else unchanged.
fn without_volume(resource: &Resource) -> Resource {
    let disk = resource.disk.as_ref().and_then(|disk| disk.source.clone());
    Resource { disk: disk.map(|source| Box::new(Disk { source: Some(source), ..Disk::default() })), ..resource.clone() }
}

/// Everything that follows when every stage has passed.
pub(super) fn accept(requirement: &Requirement<'_>, offer: &Offer, draft: &Draft<'_>, ids: &mut Generator) -> Accepted {
    let operations = Vec::with_capacity(draft.operations());
    let mut build = Build { requirement, ids, operations, planned: Vec::new() };
    let volumes = draft.orphans.iter().filter(|orphan| orphan.persistence_id().is_some());
    build.operations.extend(volumes.map(|orphan| destroy(orphan)));
    build.operations.extend(draft.orphans.iter().map(|orphan| unreserve(orphan)));
    // One claim may grow by what another one gives up.
    build.operations.extend(draft.claims().filter_map(surplus).map(|surplus| unreserve(&surplus)));

    let chosen = chosen_ports(requirement, draft);
    let (executor, stored_executor) = match &draft.executor {
        ExecutorDraft::New { id, claims } => {
            let resources: Vec<_> = claims.iter().map(|claim| build.claim(claim)).collect();
            let executor = info::executor(requirement, id, &resources, &chosen);
            let stored = Executor { id: id.clone(), info: executor.encode_to_vec().into(), resources };
            (executor, Arc::new(stored))
        }
        ExecutorDraft::Running(executor) => {
            // Checked by the executor stage; an unreadable one is not ours.
            (v1::ExecutorInfo::decode(executor.info.clone()).unwrap_or_default(), Arc::clone(executor))
        }
    };
    let mut sets: Vec<Vec<Resource>> =
        draft.sets.iter().map(|set| set.claims.iter().map(|claim| build.claim(claim)).collect()).collect();

    let Build { ids, mut operations, planned, .. } = build;
    let mut tasks = Vec::with_capacity(draft.tasks.len());
    let mut launched = Vec::new();
    // One message that goes from task to task: each is stored with it.
    let mut executor = Box::new(executor);
    for (at, task) in draft.tasks.iter().enumerate() {
        let (Some(resources), Some(set)) = (sets.get_mut(task.set), draft.sets.get(task.set)) else { continue };
        let name = requirement.pod.task_name(&task.spec.name);
        let task_id = task.is_launched.then(|| ids.task_id(&requirement.spec.id_safe_name(), &name));
        let stored = info::stored(requirement, offer, task.spec, task_id.as_ref(), resources, &set.ports, ids);
        let mut stored = v1::TaskInfo { executor: Some(executor), ..stored };
        let is_last_of_set = draft.tasks.iter().skip(at + 1).all(|later| later.set != task.set);
        let resources = if is_last_of_set { std::mem::take(resources) } else { resources.clone() };
        let of_task = Task::of_accept(name, &stored, resources, Arc::clone(&stored_executor));
        tasks.push(of_task.expect("a task of an accept reads back"));
        executor = stored.executor.take().unwrap_or_default();
        if task.is_launched {
            launched.push(info::into_sent(stored, requirement, &stored_executor.resources));
        }
    }
    operations.push(match draft.executor {
        ExecutorDraft::New { .. } => launch_group(*executor, launched),
        ExecutorDraft::Running(_) => launch(&executor, launched),
    });
    Accepted { operations, tasks, planned }
}

/// Whether the executor that is joined lives under the conditions that the specification asks for.
pub(super) fn is_container_kept(requirement: &Requirement<'_>, draft: &Draft<'_>) -> bool {
    let ExecutorDraft::Running(executor) = &draft.executor else { return true };
    let wanted = info::executor(requirement, &executor.id, &[], &chosen_ports(requirement, draft));
    v1::ExecutorInfo::decode(executor.info.clone()).is_ok_and(|running| info::is_same_container(&running, &wanted))
}

/// The numbers of all ports of the pod that were chosen at placement, now or earlier, in the order of the specification.
fn chosen_ports(requirement: &Requirement<'_>, draft: &Draft<'_>) -> Vec<u16> {
    let mut numbers = Vec::new();
    for set in &requirement.pod_spec.resource_sets {
        let now = draft.sets.iter().find(|draft| draft.set.id == set.id);
        for port in set.ports.iter().filter(|port| port.port.is_none()) {
            match now {
                Some(now) => {
                    numbers
                        .extend(now.ports.iter().filter(|(one, _)| one.name == port.name).map(|(_, number)| *number));
                }
                None => numbers.extend(Stored::of_set(requirement, set).port_number(port)),
            }
        }
    }
    numbers
}

/// Starts an executor with its first tasks.
///
/// Mesos takes limits in a group only of tasks with cgroups of their own, and then wants all of the group to have them. A LAUNCH into the
/// running executor takes limits without, and would refuse them with: so it joins whatever the executor was started with, also when the
/// limits are new. What the flag says is done for containers that the agent makes for tasks; ours are made by the executor.
fn launch_group(executor: v1::ExecutorInfo, mut tasks: Vec<v1::TaskInfo>) -> Operation {
    if tasks.iter().any(|task| !task.limits.is_empty()) {
        tasks.iter_mut().for_each(container::give_own_cgroups);
    }
    Operation {
        r#type: Some(operation::Type::LaunchGroup as i32),
        launch_group: Some(Box::new(operation::LaunchGroup { executor, task_group: v1::TaskGroupInfo { tasks } })),
        ..Default::default()
    }
}

fn launch(executor: &v1::ExecutorInfo, tasks: Vec<v1::TaskInfo>) -> Operation {
    let under = |task| v1::TaskInfo { executor: Some(Box::new(executor.clone())), ..task };
    Operation {
        r#type: Some(operation::Type::Launch as i32),
        launch: Some(Box::new(operation::Launch { task_infos: tasks.into_iter().map(under).collect() })),
        ..Default::default()
    }
}

/// What a claim leaves of its reservation.
fn surplus(claim: &Claim<'_>) -> Option<Resource> {
    let (Basis::Resized { offered, from }, Amount::Scalar(to)) = (claim.basis, claim.amount) else { return None };
    let less = from.minus(to).filter(|less| !less.is_zero())?;
    Some(Resource { value: Value::Scalar(less), ..without_volume(offered) })
}

struct Build<'a, 'g> {
    requirement: &'a Requirement<'a>,
    ids: &'g mut Generator,
    operations: Vec<Operation>,
    planned: Vec<ResourceId>,
}

impl Build<'_, '_> {
    /// Adds the operations of a claim; answers the resource as the stored task names it.
    fn claim(&mut self, claim: &Claim<'_>) -> Resource {
        let reserved = match claim.basis {
            Basis::New { role } => {
                let reserved = self.reserved(claim, role, None);
                self.reserve(&reserved, claim);
                reserved
            }
            Basis::NewMount { disk } => {
                let reserved = self.reserved(claim, "*", Some(disk));
                self.reserve(&reserved, claim);
                reserved
            }
            Basis::Reserved { offered } => without_volume(offered),
            Basis::Resized { offered, from } => {
                let whole = Resource { value: claim.amount.to_value(), ..without_volume(offered) };
                let Amount::Scalar(to) = claim.amount else { return whole };
                // The same labels on both parts: Mesos joins them into one reservation.
                if let Some(more) = to.minus(from) {
                    let part = Resource { value: Value::Scalar(more), ..whole.clone() };
                    self.operations.push(reserve(&part, Some(self.ids.operation_id())));
                }
                whole
            }
        };
        let Some(volume) = &claim.volume else { return reserved };
        // What an existing volume says of its principal stays: it is not ours to change.
        let known = match claim.basis {
            Basis::Reserved { offered } => offered.disk.as_ref().and_then(|disk| disk.persistence.clone()),
            Basis::New { .. } | Basis::NewMount { .. } | Basis::Resized { .. } => None,
        };
        let fresh = || Persistence { id: volume.id.clone(), principal: Some(self.requirement.spec.principal.clone()) };
        let disk = Disk {
            persistence: Some(known.unwrap_or_else(fresh)),
            container_path: Some(volume.path.to_owned()),
            source: reserved.disk.as_ref().and_then(|disk| disk.source.clone()),
        };
        let resource = Resource { disk: Some(Box::new(disk)), ..reserved };
        if volume.is_new {
            if !self.planned.contains(&claim.id) {
                self.planned.push(claim.id.clone());
            }
            self.operations.push(create(&resource, Some(self.ids.operation_id())));
        }
        resource
    }

    fn reserve(&mut self, reserved: &Resource, claim: &Claim<'_>) {
        self.operations.push(reserve(reserved, Some(self.ids.operation_id())));
        self.planned.push(claim.id.clone());
    }

    /// A fresh reservation on top of what the role says.
    fn reserved(&self, claim: &Claim<'_>, below: &str, disk: Option<&Resource>) -> Resource {
        let Requirement { framework_id, spec, .. } = self.requirement;
        let role = self.requirement.role().into_owned();
        let mut reservations = match disk {
            // A disk that was given back a moment ago still names the layer it has lost.
            Some(disk) => {
                disk.reservations.iter().take_while(|layer| layer.kind == ReservationKind::Static).cloned().collect()
            }
            None if below == "*" => Vec::new(),
            None => vec![Reservation {
                kind: ReservationKind::Static,
                role: below.to_owned(),
                principal: None,
                labels: Vec::new(),
            }],
        };
        reservations.push(Reservation {
            kind: ReservationKind::Dynamic,
            role: role.clone(),
            principal: Some(spec.principal.clone()),
            labels: vec![
                (LABEL_FRAMEWORK_ID.to_owned(), Some(framework_id.as_str().to_owned())),
                (LABEL_RESOURCE_ID.to_owned(), Some(claim.id.as_str().to_owned())),
            ],
        });
        Resource {
            name: claim.name.to_owned(),
            value: claim.amount.to_value(),
            allocation_role: Some(role),
            reservations,
            disk: disk.and_then(|disk| without_volume(disk).disk),
            provider_id: disk.and_then(|disk| disk.provider_id.clone()),
            shared: false,
            revocable: false,
        }
    }
}

impl Amount {
    fn to_value(self) -> Value {
        match self {
            Self::Scalar(amount) => Value::Scalar(amount),
            Self::Port(number) => Value::Ranges(Ranges::single(u64::from(number))),
        }
    }
}
