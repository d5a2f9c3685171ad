//! An agent: what it holds, and what it does with the master's messages.
//!
//! Not here: the executor API (`executors.rs`), status updates (`updates.rs`), stops, partitions and registration
//! (`faults.rs`).
//!
//! | executor state | reached by | leaves by |
//! |---|---|---|
//! | Registering | first launch | its SUBSCRIBE, or the registration timeout |
//! | Running | SUBSCRIBE | SHUTDOWN, a refused volume, an agent restart without it |
//! | Terminating | SHUTDOWN or a kill | the end of its process |
//! | Terminated | the end of its process | the last acknowledgement of its tasks' updates |
//!
//! Invariant: a task is in exactly one of `queued`, `tasks`, `terminated`; it leaves the last one when its terminal
//! update is acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use mainstay_proto::v1::{self, executor};

use super::resources::{self, Resources};
use super::updates::{OperationStream, Stream};
use super::{AgentConfig, AgentIndex, Cluster, Disk, Launch, Link, Output, VolumeRef};

use executor::event::Type as EventType;
use v1::task_status::Reason;

const NO_CPU_ISOLATOR: &str = "CPU limits can only be set on tasks when the agent has the 'cgroups/cpu' isolator";
const NO_MEMORY_ISOLATOR: &str = "Memory limits can only be set on tasks when the agent has the 'cgroups/mem' isolator";

/// Framework id and executor id.
pub(super) type ExecutorKey = (String, String);

/// An agent's memory and disk.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    /// The id in its work folder.
    pub(super) id: Option<String>,
    pub(super) running: bool,
    pub(super) partitioned: bool,
    /// Whether it believes to be registered with the current master.
    pub(super) linked: bool,
    /// Messages of the master that still get lost.
    pub(super) losing: u32,
    pub(super) register_at: Option<Duration>,
    /// Until when a restarted agent waits for its executors.
    pub(super) recovering_until: Option<Duration>,
    pub(super) total: Resources,
    /// The folders that exist.
    pub(super) volumes: BTreeMap<VolumeRef, v1::Resource>,
    pub(super) frameworks: BTreeMap<String, v1::FrameworkInfo>,
    /// Frameworks being removed: their updates are dropped.
    pub(super) removing: BTreeSet<String>,
    pub(super) executors: BTreeMap<ExecutorKey, Executor>,
    /// By framework id and task id.
    pub(super) streams: BTreeMap<(String, String), Stream>,
    /// By operation uuid.
    pub(super) operations: BTreeMap<Vec<u8>, OperationStream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecutorState {
    Registering,
    Running,
    Terminating,
    Terminated,
}

#[derive(Debug, Clone)]
pub(super) struct Executor {
    pub(super) info: v1::ExecutorInfo,
    pub(super) container_id: String,
    pub(super) state: ExecutorState,
    pub(super) conn: Option<u64>,
    pub(super) queued: Vec<Queued>,
    pub(super) tasks: BTreeMap<String, LiveTask>,
    pub(super) terminated: BTreeMap<String, LiveTask>,
    /// By container path: the volume and the task it is linked for (`None`: for the executor itself).
    pub(super) links: BTreeMap<String, (VolumeRef, Option<String>)>,
    /// Registration timeout, or the end of the grace of a shutdown.
    pub(super) deadline: Option<Duration>,
    /// What to report of its tasks when it ends, if not TASK_FAILED for the end itself.
    pub(super) end: Option<End>,
    /// Whether the kill was sent already.
    pub(super) killed: bool,
    /// The wait status of a process that ended while its agent was down.
    pub(super) exited: Option<i32>,
    /// Whether it came back to a restarted agent.
    pub(super) back: bool,
}

/// One LAUNCH or LAUNCH_GROUP that waits for the executor.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub(super) tasks: Vec<v1::TaskInfo>,
    pub(super) is_group: bool,
}

#[derive(Debug, Clone)]
pub(super) struct LiveTask {
    pub(super) info: v1::TaskInfo,
    pub(super) state: v1::TaskState,
}

#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) state: v1::TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Agent {
    pub(super) fn new(config: &AgentConfig) -> Self {
        let mut all = config.resources.clone();
        all.iter_mut().for_each(resources::upgrade);
        Self {
            id: None,
            running: true,
            partitioned: false,
            linked: false,
            losing: 0,
            register_at: Some(Duration::ZERO),
            recovering_until: None,
            total: Resources::new(all),
            volumes: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            removing: BTreeSet::new(),
            executors: BTreeMap::new(),
            streams: BTreeMap::new(),
            operations: BTreeMap::new(),
        }
    }

    pub(super) fn next_timer(&self) -> Option<Duration> {
        if !self.running {
            return None;
        }
        let executors = self.executors.values().filter_map(|executor| executor.deadline);
        let streams = self.streams.values().filter_map(|stream| stream.retry_at);
        let operations = self.operations.values().filter_map(|operation| operation.retry_at);
        let register = self.register_at.filter(|_| !self.partitioned);
        register.into_iter().chain(self.recovering_until).chain(executors).chain(streams).chain(operations).min()
    }

    /// Whether a message of the master arrives; a lost one is noticed at `notice_at`.
    pub(super) fn takes_message(&mut self, notice_at: Duration) -> bool {
        if !self.running || self.partitioned || !self.linked {
            return false;
        }
        if self.losing > 0 {
            self.losing -= 1;
            self.register_at = Some(self.register_at.map_or(notice_at, |at| at.min(notice_at)));
            return false;
        }
        true
    }

    pub(super) fn executor_of_task(&self, framework_id: &str, task_id: &str) -> Option<&ExecutorKey> {
        let holds = |executor: &Executor| {
            executor.tasks.contains_key(task_id)
                || executor.terminated.contains_key(task_id)
                || executor.queued.iter().any(|queued| queued.tasks.iter().any(|task| task.task_id.value == task_id))
        };
        self.executors.iter().find(|((of, _), executor)| of == framework_id && holds(executor)).map(|(key, _)| key)
    }

    pub(super) fn key_of_container(&self, container_id: &str) -> Option<ExecutorKey> {
        self.executors.iter().find(|(_, executor)| executor.container_id == container_id).map(|(key, _)| key.clone())
    }
}

/// Where a volume lies; `None` for what is no volume.
pub(super) fn volume_ref(resource: &v1::Resource) -> Option<VolumeRef> {
    use v1::resource::disk_info::source::Type;
    let id = resources::persistence_id(resource)?.to_owned();
    let role = resources::reservation_role(resource).unwrap_or("*").to_owned();
    let disk = match resources::disk_source(resource).map(|source| (source.r#type(), source)) {
        Some((Type::Path, source)) => {
            Disk::Path(source.path.as_ref().and_then(|path| path.root.clone()).unwrap_or_default())
        }
        Some((Type::Mount, source)) => {
            Disk::Mount(source.mount.as_ref().and_then(|mount| mount.root.clone()).unwrap_or_default())
        }
        _ => Disk::Root,
    };
    Some(VolumeRef { role, id, disk })
}

/// The links a list of resources asks for; paths of several components are skipped, as agents skip them.
fn links(list: &[v1::Resource]) -> Vec<Link> {
    let linked = list.iter().filter_map(|resource| {
        let volume = volume_ref(resource)?;
        let container_path = resource.disk.as_ref()?.volume.as_ref()?.container_path.clone();
        (!container_path.contains('/') && !container_path.is_empty()).then_some(Link { volume, container_path })
    });
    linked.collect()
}

pub(super) fn event(kind: EventType) -> executor::Event {
    executor::Event { r#type: Some(kind as i32), ..Default::default() }
}

impl Cluster {
    pub(super) fn run_agent_timers(&mut self, agent: AgentIndex) {
        if !self.agents[agent].running {
            return;
        }
        let now = self.now;
        if self.agents[agent].recovering_until.is_some_and(|at| at <= now) {
            self.finish_recovery(agent);
        }
        if self.agents[agent].register_at.is_some_and(|at| at <= now) && !self.agents[agent].partitioned {
            self.agents[agent].register_at = None;
            self.register(agent);
        }
        let late: Vec<ExecutorKey> = self.agents[agent]
            .executors
            .iter()
            .filter(|(_, executor)| executor.deadline.is_some_and(|at| at <= now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in late {
            self.executor_is_late(agent, &key);
        }
        self.retry_updates(agent);
    }

    fn executor_is_late(&mut self, agent: AgentIndex, key: &ExecutorKey) {
        let timeout = self.config.executor_registration_timeout;
        let Some(executor) = self.agents[agent].executors.get_mut(key) else { return };
        executor.deadline = None;
        if executor.state == ExecutorState::Registering {
            let message = format!("Executor did not register within {}secs", timeout.as_secs());
            let end = End { state: v1::TaskState::TaskFailed, reason: Reason::ExecutorRegistrationTimeout, message };
            self.destroy(agent, key, Some(end));
        } else {
            self.destroy(agent, key, None);
        }
    }

    /// Kills an executor's container.
    pub(super) fn destroy(&mut self, agent: AgentIndex, key: &ExecutorKey, end: Option<End>) {
        let Some(executor) = self.agents[agent].executors.get_mut(key) else { return };
        if executor.state == ExecutorState::Terminated {
            return;
        }
        executor.state = ExecutorState::Terminating;
        executor.deadline = None;
        executor.end = executor.end.take().or(end);
        if !std::mem::replace(&mut executor.killed, true) {
            let container_id = executor.container_id.clone();
            self.emit(Output::KillContainer { agent, container_id });
        }
    }

    /// Makes reservations and volumes real; false when the agent does not have what is to be converted.
    pub(super) fn convert_on_agent(&mut self, agent: AgentIndex, from: &[v1::Resource], to: &[v1::Resource]) -> bool {
        let known = &mut self.agents[agent];
        if !known.total.subtract_all(from) {
            return false;
        }
        known.total.add_all(to.iter().cloned());
        for resource in from {
            if let Some(volume) = volume_ref(resource)
                && self.agents[agent].volumes.remove(&volume).is_some()
            {
                self.emit(Output::DestroyVolume { agent, volume });
            }
        }
        for resource in to {
            if let Some(volume) = volume_ref(resource) {
                self.agents[agent].volumes.insert(volume.clone(), resource.clone());
                self.emit(Output::CreateVolume { agent, volume });
            }
        }
        true
    }

    /// The master's message to run tasks of one LAUNCH (one task) or LAUNCH_GROUP.
    pub(super) fn run_tasks(
        &mut self,
        agent: AgentIndex,
        framework: &v1::FrameworkInfo,
        executor: v1::ExecutorInfo,
        tasks: Vec<v1::TaskInfo>,
        is_group: bool,
        is_new: bool,
    ) {
        let framework_id = framework.id.as_ref().map(|id| id.value.clone()).unwrap_or_default();
        let key = (framework_id.clone(), executor.executor_id.value.clone());
        self.agents[agent].frameworks.insert(framework_id.clone(), framework.clone());
        self.agents[agent].removing.remove(&framework_id);
        let dropped = self.reason_to_drop(agent, &key, &executor, &tasks, is_new);
        if let Some((reason, message)) = dropped {
            // Of one that limits are refused to the agent says nothing: the master has its resources in use until the agent registers anew.
            let is_told = reason != Reason::GcError;
            if is_told && (is_new || !self.agents[agent].executors.contains_key(&key)) {
                self.master_executor_exited(agent, &key, -1);
            }
            for task in &tasks {
                self.agent_lost(agent, &key, &task.task_id, v1::TaskState::TaskDropped, reason, message);
            }
            return;
        }
        let queued = Queued { tasks, is_group };
        match self.agents[agent].executors.get_mut(&key) {
            None => self.launch_executor(agent, key, framework, executor, queued),
            Some(live) if live.state == ExecutorState::Registering => live.queued.push(queued),
            Some(_) => self.deliver(agent, &key, queued),
        }
    }

    fn reason_to_drop(
        &self,
        agent: AgentIndex,
        key: &ExecutorKey,
        executor: &v1::ExecutorInfo,
        tasks: &[v1::TaskInfo],
        is_new: bool,
    ) -> Option<(Reason, &'static str)> {
        let known = &self.agents[agent];
        let wanted = tasks.iter().flat_map(|task| &task.resources).chain(&executor.resources);
        for resource in wanted {
            let mut resource = resource.clone();
            resources::upgrade(&mut resource);
            let is_checkpointed = resources::is_dynamically_reserved(&resource) || resources::is_volume(&resource);
            if is_checkpointed && !known.total.contains_all(&[resource]) {
                return Some((
                    Reason::ResourcesUnknown,
                    "The checkpointed resources being used by the task or task group are unknown to the agent",
                ));
            }
        }
        if !self.config.agents[agent].has_cgroups {
            for (name, message) in [("cpus", NO_CPU_ISOLATOR), ("mem", NO_MEMORY_ISOLATOR)] {
                if tasks.iter().any(|task| task.limits.contains_key(name)) {
                    return Some((Reason::GcError, message));
                }
            }
        }
        match known.executors.get(key).map(|live| live.state) {
            Some(_) if is_new => Some((Reason::ExecutorTerminated, "Executor is already known to the agent")),
            None if !is_new => Some((Reason::ExecutorTerminated, "Executor is unknown to the agent")),
            Some(ExecutorState::Terminating | ExecutorState::Terminated) => {
                Some((Reason::ExecutorTerminated, "Executor terminating"))
            }
            Some(ExecutorState::Registering | ExecutorState::Running) | None => None,
        }
    }

    fn launch_executor(
        &mut self,
        agent: AgentIndex,
        key: ExecutorKey,
        framework: &v1::FrameworkInfo,
        info: v1::ExecutorInfo,
        queued: Queued,
    ) {
        let container_id = self.rng.uuid();
        let mut made = BTreeMap::new();
        let mut linked = Vec::new();
        let of_tasks =
            queued.tasks.iter().map(|task| (links(&with_upgrade(&task.resources)), Some(task.task_id.value.clone())));
        for (wanted, owner) in std::iter::once((links(&with_upgrade(&info.resources)), None)).chain(of_tasks) {
            for link in wanted {
                // A second volume under one path is not refused here but when the tasks are delivered.
                if !made.contains_key(&link.container_path) {
                    made.insert(link.container_path.clone(), (link.volume.clone(), owner.clone()));
                    linked.push(link);
                }
            }
        }
        let executor = Executor {
            info: info.clone(),
            container_id: container_id.clone(),
            state: ExecutorState::Registering,
            conn: None,
            queued: vec![queued],
            tasks: BTreeMap::new(),
            terminated: BTreeMap::new(),
            links: made,
            deadline: Some(self.now + self.config.executor_registration_timeout),
            end: None,
            killed: false,
            exited: None,
            back: true,
        };
        self.agents[agent].executors.insert(key, executor);
        let agent_id = self.agents[agent].id.clone().unwrap_or_default();
        let launch =
            Launch { container_id, agent_id, framework_info: framework.clone(), executor_info: info, links: linked };
        self.emit(Output::LaunchExecutor { agent, launch: Box::new(launch) });
    }

    /// Updates the container for tasks and hands them to the executor.
    pub(super) fn deliver(&mut self, agent: AgentIndex, key: &ExecutorKey, queued: Queued) {
        for task in &queued.tasks {
            let state = v1::TaskState::TaskStaging;
            if let Some(executor) = self.agents[agent].executors.get_mut(key) {
                executor.tasks.insert(task.task_id.value.clone(), LiveTask { info: task.clone(), state });
            }
        }
        for task in &queued.tasks {
            for link in links(&with_upgrade(&task.resources)) {
                let Some(executor) = self.agents[agent].executors.get_mut(key) else { return };
                let container_id = executor.container_id.clone();
                match executor.links.get(&link.container_path) {
                    Some((volume, _)) if *volume == link.volume => {}
                    Some(_) => {
                        let message = format!(
                            "Failed to update container: existing symlink '{}' points to another volume",
                            link.container_path
                        );
                        return self.container_update_failed(agent, &container_id, &message);
                    }
                    None => {
                        let owner = Some(task.task_id.value.clone());
                        executor.links.insert(link.container_path.clone(), (link.volume.clone(), owner));
                        self.emit(Output::LinkVolume { agent, container_id, link });
                    }
                }
            }
        }
        if queued.is_group {
            let launch_group =
                Some(executor::event::LaunchGroup { task_group: v1::TaskGroupInfo { tasks: queued.tasks } });
            let launch_group = launch_group.map(Box::new);
            self.tell_executor(agent, key, executor::Event { launch_group, ..event(EventType::LaunchGroup) });
        } else {
            for task in queued.tasks {
                let launch = Some(Box::new(executor::event::Launch { task }));
                self.tell_executor(agent, key, executor::Event { launch, ..event(EventType::Launch) });
            }
        }
    }

    /// A volume was refused: the agent kills the executor, all its tasks are gone.
    pub(super) fn container_update_failed(&mut self, agent: AgentIndex, container_id: &str, message: &str) {
        let Some(key) = self.agents[agent].key_of_container(container_id) else { return };
        let state = self.agent_lost_state(agent, &key.0, v1::TaskState::TaskGone);
        let end = End { state, reason: Reason::ContainerUpdateFailed, message: message.to_owned() };
        self.destroy(agent, &key, Some(end));
    }

    /// Sends an event to an executor; it is lost when the executor is not connected.
    pub(super) fn tell_executor(&mut self, agent: AgentIndex, key: &ExecutorKey, event: executor::Event) {
        let conn = self.agents[agent].executors.get(key).and_then(|executor| executor.conn);
        if let Some(conn) = conn {
            self.emit(Output::ToExecutor { agent, conn, event: Box::new(event) });
        }
    }

    pub(super) fn kill_task(
        &mut self,
        agent: AgentIndex,
        framework_id: &str,
        task_id: &str,
        policy: Option<Box<v1::KillPolicy>>,
    ) {
        let Some(key) = self.agents[agent].executor_of_task(framework_id, task_id).cloned() else {
            let key = (framework_id.to_owned(), self.executor_in_master(agent, framework_id, task_id));
            let id = v1::TaskId { value: task_id.to_owned() };
            let message = "Unable to find the executor of the task";
            return self.agent_lost(agent, &key, &id, v1::TaskState::TaskDropped, Reason::ExecutorTerminated, message);
        };
        let Some(executor) = self.agents[agent].executors.get_mut(&key) else { return };
        let waiting =
            executor.queued.iter().position(|queued| queued.tasks.iter().any(|task| task.task_id.value == task_id));
        if let Some(index) = waiting {
            let killed = executor.queued.remove(index).tasks;
            for info in &killed {
                let task = LiveTask { info: info.clone(), state: v1::TaskState::TaskStaging };
                executor.tasks.insert(info.task_id.value.clone(), task);
            }
            for task in killed {
                let message = "Killed before delivery to the executor";
                let reason = Reason::TaskKilledDuringLaunch;
                self.agent_update(agent, &key, &task.task_id, v1::TaskState::TaskKilled, reason, message);
            }
            return;
        }
        if executor.state == ExecutorState::Running && executor.tasks.contains_key(task_id) {
            let kill = executor::event::Kill { task_id: v1::TaskId { value: task_id.to_owned() }, kill_policy: policy };
            self.tell_executor(agent, &key, executor::Event { kill: Some(Box::new(kill)), ..event(EventType::Kill) });
        }
    }

    fn executor_in_master(&self, agent: AgentIndex, framework_id: &str, task_id: &str) -> String {
        let known = self.agents[agent].id.as_ref().and_then(|id| self.master.agents.get(id));
        let task = known.and_then(|known| known.tasks.get(&(framework_id.to_owned(), task_id.to_owned())));
        task.and_then(|task| task.executor_id.as_ref()).map(|id| id.value.clone()).unwrap_or_default()
    }

    pub(super) fn shutdown_executor(&mut self, agent: AgentIndex, framework_id: &str, executor_id: &str) {
        let key = (framework_id.to_owned(), executor_id.to_owned());
        let default = self.config.executor_shutdown_grace;
        let now = self.now;
        let Some(executor) = self.agents[agent].executors.get_mut(&key) else { return };
        if matches!(executor.state, ExecutorState::Terminating | ExecutorState::Terminated) {
            return;
        }
        executor.state = ExecutorState::Terminating;
        let own = executor.info.shutdown_grace_period.as_ref();
        let grace = own.map_or(default, |own| Duration::from_nanos(own.nanoseconds.max(0) as u64));
        executor.deadline = Some(now + grace);
        self.tell_executor(agent, &key, event(EventType::Shutdown));
    }

    /// The framework is removed: its updates are dropped and its executors shut down.
    pub(super) fn shutdown_framework(&mut self, agent: AgentIndex, framework_id: &str) {
        let known = &mut self.agents[agent];
        known.removing.insert(framework_id.to_owned());
        known.streams.retain(|(of, _), _| of != framework_id);
        known.operations.retain(|_, operation| operation.framework_id != framework_id);
        known.executors.retain(|(of, _), executor| of != framework_id || executor.state != ExecutorState::Terminated);
        let ids: Vec<String> =
            known.executors.keys().filter(|(of, _)| of == framework_id).map(|(_, id)| id.clone()).collect();
        for id in ids {
            self.shutdown_executor(agent, framework_id, &id);
        }
        self.forget_idle_framework(agent, framework_id);
    }

    pub(super) fn message_executor(&mut self, agent: AgentIndex, framework_id: &str, executor_id: &str, data: Bytes) {
        let key = (framework_id.to_owned(), executor_id.to_owned());
        let message = Some(executor::event::Message { data });
        self.tell_executor(agent, &key, executor::Event { message, ..event(EventType::Message) });
    }
}

fn with_upgrade(list: &[v1::Resource]) -> Vec<v1::Resource> {
    let mut list = list.to_vec();
    list.iter_mut().for_each(resources::upgrade);
    list
}
