//! ACCEPT: offers become one pool, operations run against it one after the other.
//!
//! Invariant: a failed operation changes nothing and stops nothing; what came before it stays.
//! Invariant: what is left at the end is declined with the call's filters, except what was just converted.

use mainstay_proto::v1::{self, Resource, offer::Operation, scheduler};

use super::resources::{self, Resources, describe};
use super::validation::{self, Problem, TaskContext};
use super::{AgentIndex, Cluster};

use v1::framework_info::capability::Type as Capability;
use v1::offer::operation::Type as OperationType;
use v1::task_status::{Reason, Source};

/// The state of one ACCEPT while its operations run.
struct Pool {
    framework_id: String,
    agent_id: String,
    role: String,
    left: Resources,
    /// What of `left` was made by an operation of this call.
    converted: Resources,
}

impl Cluster {
    pub(super) fn accept(&mut self, framework_id: &str, accept: scheduler::call::Accept) {
        let Some(mut pool) = self.take_offers(framework_id, &accept.offer_ids) else {
            return self.accept_of_invalid_offers(framework_id, &accept);
        };
        for operation in accept.operations {
            self.run_operation(&mut pool, operation);
        }
        let mut declined = pool.left;
        declined.subtract_present(pool.converted.iter());
        self.refused(framework_id, &pool.role, &pool.agent_id, declined, accept.filters.as_ref());
        self.resources_freed();
    }

    /// The sum of the offers, or `None` when they cannot be accepted together; they are gone either way.
    fn take_offers(&mut self, framework_id: &str, offer_ids: &[v1::OfferId]) -> Option<Pool> {
        let mut taken = Vec::new();
        let mut are_valid = !offer_ids.is_empty();
        for offer_id in offer_ids {
            let is_theirs =
                self.master.offers.get(&offer_id.value).is_some_and(|offer| offer.framework_id == framework_id);
            match self.master.offers.remove(&offer_id.value) {
                Some(offer) if is_theirs => taken.push(offer),
                Some(foreign) => {
                    self.master.offers.insert(offer_id.value.clone(), foreign);
                    are_valid = false;
                }
                // Unknown, or listed twice.
                None => are_valid = false,
            }
        }
        let first = taken.first()?;
        are_valid &= taken.iter().all(|offer| offer.agent_id == first.agent_id && offer.role == first.role);
        if !are_valid {
            self.resources_freed();
            return None;
        }
        let (agent_id, role) = (first.agent_id.clone(), first.role.clone());
        let left = Resources::new(taken.into_iter().flat_map(|offer| offer.resources));
        Some(Pool { framework_id: framework_id.to_owned(), agent_id, role, left, converted: Resources::default() })
    }

    fn accept_of_invalid_offers(&mut self, framework_id: &str, accept: &scheduler::call::Accept) {
        for operation in &accept.operations {
            for task in launched_tasks(operation) {
                let state = self.lost_state(framework_id, v1::TaskState::TaskDropped);
                let message = "Task launched with invalid offers: Offer is no longer valid";
                let status =
                    self.master_status(&task.task_id, Some(&task.agent_id), state, Reason::InvalidOffers, message);
                self.send_status(framework_id, status);
            }
            self.operation_error(framework_id, operation, "Operation attempted with invalid offers");
        }
    }

    /// Tells a framework that wants to know that its operation was refused.
    fn operation_error(&mut self, framework_id: &str, operation: &Operation, message: &str) {
        let is_launch = matches!(operation.r#type(), OperationType::Launch | OperationType::LaunchGroup);
        if let Some(operation_id) = operation.id.clone().filter(|_| !is_launch) {
            let mut status = v1::OperationStatus { operation_id: Some(operation_id), ..Default::default() };
            status.set_state(v1::OperationState::OperationError);
            status.message = Some(message.to_owned());
            self.send_operation_status(framework_id, status);
        }
    }

    fn run_operation(&mut self, pool: &mut Pool, mut operation: Operation) {
        match operation.r#type() {
            OperationType::Launch => self.launch(pool, operation),
            OperationType::LaunchGroup => self.launch_group(pool, operation),
            _ => {
                if let Err(problem) = self.convert(pool, &mut operation) {
                    let framework_id = pool.framework_id.clone();
                    self.operation_error(&framework_id, &operation, &problem);
                }
            }
        }
    }

    /// An operation that turns resources into others.
    fn convert(&mut self, pool: &mut Pool, operation: &mut Operation) -> Result<(), Problem> {
        let info = self.framework_info(&pool.framework_id);
        let pairs = match operation.r#type() {
            OperationType::Reserve => {
                let reserve = operation.reserve.as_mut().ok_or("Expecting 'reserve' to be present")?;
                if !reserve.source.is_empty() {
                    return Err("Reserve operations with a source are not supported by the scheduler API".into());
                }
                normalize(&mut reserve.resources, &pool.role)?;
                reserve_pairs(&info, pool, &reserve.resources)?
            }
            OperationType::Unreserve => {
                let unreserve = operation.unreserve.as_mut().ok_or("Expecting 'unreserve' to be present")?;
                normalize(&mut unreserve.resources, &pool.role)?;
                unreserve_pairs(&unreserve.resources)?
            }
            OperationType::Create => {
                let create = operation.create.as_mut().ok_or("Expecting 'create' to be present")?;
                normalize(&mut create.volumes, &pool.role)?;
                self.create_pairs(&info, pool, &create.volumes)?
            }
            OperationType::Destroy => {
                let destroy = operation.destroy.as_mut().ok_or("Expecting 'destroy' to be present")?;
                normalize(&mut destroy.volumes, &pool.role)?;
                self.destroy_pairs(pool, &destroy.volumes)?
            }
            other => return Err(format!("{} is not supported by this cluster", other.as_str_name())),
        };
        let (from, to): (Vec<Resource>, Vec<Resource>) = pairs.iter().cloned().unzip();
        // Entries of one kind count together.
        let from = Resources::new(from).to_vec();
        let mut left = pool.left.clone();
        if !left.subtract_all(&from) {
            return Err(format!(
                "Invalid {} Operation: {} does not contain {}",
                operation.r#type().as_str_name(),
                describe(pool.left.iter()),
                describe(&from)
            ));
        }
        left.add_all(to.iter().cloned());
        pool.left = left;
        pool.converted.subtract_present(&from);
        pool.converted.add_all(to.iter().cloned());
        self.apply_conversion(pool, operation, &from, &to);
        Ok(())
    }

    /// The master takes success for granted and tells the agent.
    fn apply_conversion(&mut self, pool: &Pool, operation: &Operation, from: &[Resource], to: &[Resource]) {
        if let Some(agent) = self.master.agents.get_mut(&pool.agent_id) {
            agent.total.subtract_all(from);
            agent.total.add_all(to.iter().cloned());
        }
        let uuid = self.rng.uuid_bytes().to_vec();
        let feedback = operation.id.is_some();
        if feedback && let Some(agent) = self.master.agents.get_mut(&pool.agent_id) {
            let mut pending = v1::OperationStatus { operation_id: operation.id.clone(), ..Default::default() };
            pending.set_state(v1::OperationState::OperationPending);
            let record = v1::Operation {
                framework_id: Some(v1::FrameworkId { value: pool.framework_id.clone() }),
                agent_id: Some(v1::AgentId { value: pool.agent_id.clone() }),
                info: operation.clone(),
                latest_status: pending,
                statuses: Vec::new(),
                uuid: v1::Uuid { value: uuid.clone().into() },
            };
            agent.operations.insert(uuid.clone(), record);
        }
        if let Some(agent) = self.reach_agent(&pool.agent_id) {
            let report = feedback.then_some((uuid, operation.id.clone()));
            self.agent_apply(agent, &pool.framework_id, from, to, report);
        }
    }

    fn create_pairs(
        &self,
        info: &v1::FrameworkInfo,
        pool: &Pool,
        list: &[Resource],
    ) -> Result<Vec<(Resource, Resource)>, Problem> {
        let bad = |problem: String| Err(format!("Invalid CREATE Operation: {problem}"));
        let mut ids: std::collections::BTreeSet<(String, String)> = self
            .master
            .agents
            .get(&pool.agent_id)
            .into_iter()
            .flat_map(|agent| agent.total.iter())
            .filter_map(volume_key)
            .collect();
        for volume in list {
            let Some(disk) = &volume.disk else { return bad("DiskInfo is not set".into()) };
            let Some(persistence) = &disk.persistence else {
                return bad("'persistence' is not set in DiskInfo".into());
            };
            validation::id(&persistence.id)
                .map_err(|problem| format!("Invalid CREATE Operation: Persistence ID: {problem}"))?;
            let Some(mount) = &disk.volume else {
                return bad("Expecting 'volume' to be set for persistent volume".into());
            };
            if mount.mode() != v1::volume::Mode::Rw {
                return bad("Expecting 'volume.mode' to be RW".into());
            }
            if mount.host_path.is_some() {
                return bad("Expecting 'volume.host_path' to be unset for persistent volume".into());
            }
            if volume.reservations.is_empty() {
                return bad("Persistent volumes cannot be created from unreserved resources".into());
            }
            if volume.revocable.is_some() {
                return bad("Persistent volumes cannot be created from revocable resources".into());
            }
            if volume.shared.is_some() {
                let can = validation::has_capability(info, Capability::SharedResources);
                return bad(if can {
                    "shared volumes are not supported by this cluster".into()
                } else {
                    "framework is not SHARED_RESOURCES capable".into()
                });
            }
            if info.principal.is_some() && persistence.principal != info.principal {
                return bad(format!(
                    "create volume operation has been attempted by principal '{}', but there is a volume in the operation with principal '{}' set in 'DiskInfo.Persistence'",
                    info.principal(),
                    persistence.principal()
                ));
            }
            if !volume_key(volume).is_some_and(|key| ids.insert(key)) {
                return bad(format!("Persistence ID '{}' is not unique on the agent", persistence.id));
            }
        }
        Ok(list.iter().map(|volume| (resources::strip_volume(volume), volume.clone())).collect())
    }

    fn destroy_pairs(&self, pool: &Pool, list: &[Resource]) -> Result<Vec<(Resource, Resource)>, Problem> {
        let bad = |problem: String| Err(format!("Invalid DESTROY Operation: {problem}"));
        let Some(agent) = self.master.agents.get(&pool.agent_id) else { return bad("the agent is gone".into()) };
        let used = Resources::new(agent.used());
        for volume in list {
            if !resources::is_volume(volume) {
                return bad(format!("'{}' is not a persistent volume", describe([volume])));
            }
            if !agent.total.contains_all(std::slice::from_ref(volume)) {
                return bad("Persistent volumes not found".into());
            }
            if used.contains_all(std::slice::from_ref(volume)) {
                return bad("Persistent volumes in use".into());
            }
        }
        Ok(list.iter().map(|volume| (volume.clone(), resources::strip_volume(volume))).collect())
    }

    fn launch(&mut self, pool: &mut Pool, operation: Operation) {
        let has_id = operation.id.is_some();
        let Some(launch) = operation.launch else { return };
        for mut task in launch.task_infos {
            let mut checked = prepare(&mut task, &pool.role);
            if has_id {
                checked = Err("'Offer.Operation.id' is not supported on LAUNCH".into());
            }
            let mut executor = task.executor.as_deref().cloned();
            if let Some(executor) = &mut executor {
                // The master fills in the framework before it compares.
                executor.framework_id.get_or_insert_with(|| v1::FrameworkId { value: pool.framework_id.clone() });
                if executor.r#type.is_none() {
                    executor.set_type(v1::executor_info::Type::Custom);
                }
            }
            let checked =
                checked.and_then(|()| self.check_task(pool, &task, executor.as_ref(), false)).and_then(|()| {
                    executor
                        .clone()
                        .ok_or_else(|| "this cluster has no command executor; use 'TaskInfo.executor'".to_owned())
                });
            match checked {
                Ok(executor) => {
                    task.executor = Some(Box::new(executor.clone()));
                    self.start(pool, executor, vec![task], false);
                }
                Err(problem) => self.task_error(pool, &task, Reason::TaskInvalid, &problem),
            }
        }
    }

    fn launch_group(&mut self, pool: &mut Pool, operation: Operation) {
        let Some(group) = operation.launch_group else { return };
        let mut executor = group.executor;
        let mut tasks = group.task_group.tasks;
        let mut checked = if operation.id.is_some() {
            Err("'Offer.Operation.id' is not supported on LAUNCH_GROUP".to_owned())
        } else {
            normalize(&mut executor.resources, &pool.role)
        };
        for task in &mut tasks {
            checked = checked.and_then(|()| prepare(task, &pool.role));
            match &task.executor {
                Some(theirs) if **theirs != executor => {
                    checked = checked.and(Err("The executor of a task differs from that of its group".into()));
                }
                Some(_) => {}
                None => task.executor = Some(Box::new(executor.clone())),
            }
        }
        if tasks.is_empty() {
            checked = checked.and(Err("Task group cannot be empty".into()));
        }
        let checked = checked.and_then(|()| self.check_group(pool, &executor, &tasks));
        match checked {
            Ok(()) => self.start(pool, executor, tasks, true),
            Err(problem) => {
                for task in &tasks {
                    self.task_error(pool, task, Reason::TaskGroupInvalid, &problem);
                }
            }
        }
    }

    fn check_group(&self, pool: &Pool, executor: &v1::ExecutorInfo, tasks: &[v1::TaskInfo]) -> Result<(), Problem> {
        let mut needed = Vec::new();
        let mut ids = std::collections::BTreeSet::new();
        let is_docker = |container: &v1::ContainerInfo| container.r#type() == v1::container_info::Type::Docker;
        for task in tasks {
            self.check_task(pool, task, Some(executor), true)
                .map_err(|problem| format!("Task '{}' is invalid: {problem}", task.task_id.value))?;
            if task.container.as_deref().is_some_and(is_docker) {
                return Err("Docker ContainerInfo is not supported on a task of a group".into());
            }
            if !ids.insert(&task.task_id.value) {
                return Err(format!("Task has duplicate ID: {}", task.task_id.value));
            }
            needed.extend(task.resources.iter().cloned());
        }
        let shares = |task: &v1::TaskInfo| validation::share_cgroups(task).unwrap_or(true);
        let wanted = tasks.first().is_none_or(shares);
        let known = self.shares_cgroups(pool, &executor.executor_id.value);
        if tasks.iter().map(shares).chain(known).any(|one| one != wanted) {
            return Err(
                "'share_cgroups' must be the same for all tasks in each task group and under a single executor".into(),
            );
        }
        let is_new = self.live_executor(pool, &executor.executor_id.value).is_none();
        if is_new {
            needed.extend(executor.resources.iter().cloned());
        }
        let needed = Resources::new(needed).to_vec();
        if pool.left.contains_all(&needed) {
            return Ok(());
        }
        Err(format!(
            "Total resources {} required by task group and its executor are more than available {}",
            describe(&needed),
            describe(pool.left.iter())
        ))
    }

    fn check_task(
        &self,
        pool: &Pool,
        task: &v1::TaskInfo,
        executor: Option<&v1::ExecutorInfo>,
        in_group: bool,
    ) -> Result<(), Problem> {
        let is_known = |id: &str| {
            let key = (pool.framework_id.clone(), id.to_owned());
            self.master.agents.values().any(|agent| agent.tasks.contains_key(&key))
                || self
                    .master
                    .frameworks
                    .get(&pool.framework_id)
                    .is_some_and(|framework| framework.unreachable_tasks.contains_key(id))
        };
        let context = TaskContext {
            framework_id: &pool.framework_id,
            agent_id: &pool.agent_id,
            is_known: &is_known,
            pool: &pool.left,
            live_executor: &|id| self.live_executor(pool, id),
            in_group,
        };
        validation::task(task, executor, &context)
    }

    /// What each task that the master knows under an executor says of sharing cgroups.
    fn shares_cgroups(&self, pool: &Pool, executor_id: &str) -> Vec<bool> {
        let tasks = self.master.agents.get(&pool.agent_id).into_iter().flat_map(|agent| agent.tasks.iter());
        let of_executor = tasks.filter(|((framework, _), task)| {
            *framework == pool.framework_id && task.executor_id.as_ref().is_some_and(|id| id.value == executor_id)
        });
        let said = |task: &v1::Task| task.container.as_ref()?.linux_info.as_ref()?.share_cgroups;
        of_executor.map(|(_, task)| said(task).unwrap_or(true)).collect()
    }

    /// The live executor as it was launched, resources in the model's form but with their allocation.
    fn live_executor(&self, pool: &Pool, executor_id: &str) -> Option<v1::ExecutorInfo> {
        let agent = self.master.agents.get(&pool.agent_id)?;
        let live = agent.executors.get(&(pool.framework_id.clone(), executor_id.to_owned()))?;
        let mut live = live.clone();
        // An offer of another role changes the injected allocation, which breaks equality.
        let is_same_role = live.resources.iter().all(|one| resources::allocation_role(one) == Some(&pool.role));
        if is_same_role {
            live.resources.iter_mut().for_each(|one| one.allocation_info = None);
        }
        Some(live)
    }

    fn task_error(&mut self, pool: &Pool, task: &v1::TaskInfo, reason: Reason, problem: &str) {
        let status = self.master_status(&task.task_id, Some(&task.agent_id), v1::TaskState::TaskError, reason, problem);
        self.send_status(&pool.framework_id, status);
    }

    /// Books valid tasks and sends them to the agent.
    fn start(&mut self, pool: &mut Pool, executor: v1::ExecutorInfo, tasks: Vec<v1::TaskInfo>, is_group: bool) {
        let framework_id = pool.framework_id.clone();
        let executor_id = executor.executor_id.value.clone();
        let is_new = self.live_executor(pool, &executor_id).is_none();
        let info = self.framework_info(&framework_id);
        let allocated =
            |list: &[Resource]| list.iter().map(|one| resources::allocate(one.clone(), &pool.role)).collect();
        let mut executor = executor;
        if is_new {
            pool.left.subtract_present(&executor.resources);
        }
        let of_executor: Vec<Resource> = allocated(&executor.resources);
        let mut booked = Vec::new();
        let mut sent = Vec::new();
        executor.resources = of_executor;
        for mut task in tasks {
            pool.left.subtract_present(&task.resources);
            task.resources = allocated(&task.resources);
            task.executor = Some(Box::new(executor.clone()));
            booked.push(new_task(&task, &framework_id, &executor_id, &info));
            sent.push(task);
        }
        if let Some(agent) = self.master.agents.get_mut(&pool.agent_id) {
            if is_new {
                agent.executors.insert((framework_id.clone(), executor_id), executor.clone());
            }
            for task in booked {
                agent.tasks.insert((framework_id.clone(), task.task_id.value.clone()), task);
            }
        }
        if let Some(agent) = self.reach_agent(&pool.agent_id) {
            self.run_tasks(agent, &info, executor, sent, is_group, is_new);
        }
    }

    pub(super) fn framework_info(&self, framework_id: &str) -> v1::FrameworkInfo {
        self.master.frameworks.get(framework_id).map(|framework| framework.info.clone()).unwrap_or_default()
    }

    /// The state of something lost: the given one for partition-aware frameworks, else LOST.
    pub(super) fn lost_state(&self, framework_id: &str, state: v1::TaskState) -> v1::TaskState {
        let is_aware =
            self.master.frameworks.get(framework_id).is_some_and(super::master::Framework::is_partition_aware);
        if is_aware { state } else { v1::TaskState::TaskLost }
    }

    /// A status the master makes by itself: without uuid, sent once.
    pub(super) fn master_status(
        &self,
        task_id: &v1::TaskId,
        agent_id: Option<&v1::AgentId>,
        state: v1::TaskState,
        reason: Reason,
        message: &str,
    ) -> v1::TaskStatus {
        let mut status = v1::TaskStatus { task_id: task_id.clone(), agent_id: agent_id.cloned(), ..Default::default() };
        status.set_state(state);
        status.set_source(Source::Master);
        status.set_reason(reason);
        status.message = Some(message.to_owned());
        status.timestamp = Some(self.timestamp());
        status
    }

    /// What an agent does with a conversion; `report` is the operation's uuid and id when feedback is asked for.
    fn agent_apply(
        &mut self,
        agent: AgentIndex,
        framework_id: &str,
        from: &[Resource],
        to: &[Resource],
        report: Option<(Vec<u8>, Option<v1::OperationId>)>,
    ) {
        let is_done = self.convert_on_agent(agent, from, to);
        if let Some((uuid, operation_id)) = report {
            // What is to be converted came from an operation whose message was lost.
            let state =
                if is_done { v1::OperationState::OperationFinished } else { v1::OperationState::OperationDropped };
            self.operation_report(agent, framework_id, uuid, operation_id, state);
        }
    }
}

fn launched_tasks(operation: &Operation) -> Vec<v1::TaskInfo> {
    match operation.r#type() {
        OperationType::Launch => operation.launch.as_ref().map(|launch| launch.task_infos.clone()).unwrap_or_default(),
        OperationType::LaunchGroup => {
            operation.launch_group.as_ref().map(|group| group.task_group.tasks.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Role and id of a volume: unique on an agent.
fn volume_key(resource: &Resource) -> Option<(String, String)> {
    let id = resources::persistence_id(resource)?;
    Some((resources::reservation_role(resource).unwrap_or("*").to_owned(), id.to_owned()))
}

fn reserve_pairs(
    info: &v1::FrameworkInfo,
    pool: &Pool,
    list: &[Resource],
) -> Result<Vec<(Resource, Resource)>, Problem> {
    let bad = |problem: String| Err(format!("Invalid RESERVE Operation: {problem}"));
    let subscribed = validation::roles(info);
    for resource in list {
        if !resources::is_dynamically_reserved(resource) {
            return bad(format!("Resource {} is not dynamically reserved", describe([resource])));
        }
        let role = resources::reservation_role(resource).unwrap_or_default();
        if role != pool.role {
            return bad(format!(
                "A reserve operation was attempted for a resource with role '{role}', but the resources are allocated to role '{}'",
                pool.role
            ));
        }
        if !subscribed.iter().any(|known| known == role) {
            return bad(format!("The framework is not subscribed to role '{role}'"));
        }
        let principal = resource.reservations.last().and_then(|last| last.principal.as_ref());
        if info.principal.is_some() && principal != info.principal.as_ref() {
            return bad(format!(
                "A reserve operation was attempted by principal '{}', but there is a reserved resource in the request with principal '{}'",
                info.principal(),
                principal.map_or("", String::as_str)
            ));
        }
        if resource.revocable.is_some() {
            return bad("Revocable resources cannot be reserved".into());
        }
        if resources::is_volume(resource) {
            return bad(format!("A persistent volume {} cannot be reserved", describe([resource])));
        }
    }
    Ok(list.iter().map(|resource| (resources::pop_reservation(resource), resource.clone())).collect())
}

fn unreserve_pairs(list: &[Resource]) -> Result<Vec<(Resource, Resource)>, Problem> {
    let bad = |problem: String| Err(format!("Invalid UNRESERVE Operation: {problem}"));
    for resource in list {
        if !resources::is_dynamically_reserved(resource) {
            return bad(format!("Resource {} is not dynamically reserved", describe([resource])));
        }
        if resources::is_volume(resource) {
            return bad(format!(
                "A dynamically reserved persistent volume {} cannot be unreserved directly. Please destroy the persistent volume first then unreserve the resource",
                describe([resource])
            ));
        }
    }
    Ok(list.iter().map(|resource| (resource.clone(), resources::pop_reservation(resource))).collect())
}

/// Checks resources as a call carries them and brings them into the model's form.
fn normalize(list: &mut [Resource], role: &str) -> Result<(), Problem> {
    for resource in list {
        validation::resource(resource)?;
        if resources::allocation_role(resource).is_some_and(|allocated| allocated != role) {
            return Err(format!("Invalid resource '{}': it is allocated to another role than '{role}'", resource.name));
        }
        resources::upgrade(resource);
    }
    Ok(())
}

/// The same for a task and its executor.
fn prepare(task: &mut v1::TaskInfo, role: &str) -> Result<(), Problem> {
    normalize(&mut task.resources, role).map_err(|problem| format!("Task uses invalid resources: {problem}"))?;
    match &mut task.executor {
        Some(executor) => normalize(&mut executor.resources, role)
            .map_err(|problem| format!("Executor uses invalid resources: {problem}")),
        None => Ok(()),
    }
}

/// A task as the master keeps it.
pub(super) fn new_task(
    task: &v1::TaskInfo,
    framework_id: &str,
    executor_id: &str,
    framework: &v1::FrameworkInfo,
) -> v1::Task {
    let executor = task.executor.as_deref();
    let user = executor.and_then(|executor| executor.command.as_ref()).and_then(|command| command.user.clone());
    v1::Task {
        name: task.name.clone(),
        task_id: task.task_id.clone(),
        framework_id: v1::FrameworkId { value: framework_id.to_owned() },
        executor_id: Some(v1::ExecutorId { value: executor_id.to_owned() }),
        agent_id: task.agent_id.clone(),
        state: v1::TaskState::TaskStaging as i32,
        resources: task.resources.clone(),
        labels: task.labels.clone(),
        discovery: task.discovery.clone(),
        container: task.container.clone(),
        user: user.or_else(|| Some(framework.user.clone())),
        health_check: task.health_check.clone(),
        kill_policy: task.kill_policy.clone(),
        limits: task.limits.clone(),
        ..Default::default()
    }
}
