//! Status updates of tasks and operations: stored by the agent, sent one at a time, repeated until acknowledged.
//!
//! Invariant: per task at most one update is on its way to the scheduler; the next follows its acknowledgement.
//! Invariant: only what carries a uuid is repeated, and always with the same one.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use mainstay_proto::v1::{self, executor, scheduler};

use super::agent::{ExecutorKey, ExecutorState, event};
use super::{AgentIndex, Cluster, Output};

use v1::TaskState;
use v1::task_status::{Reason, Source};

/// The updates of one task.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) executor_id: String,
    pub(super) pending: VecDeque<v1::TaskStatus>,
    seen: BTreeSet<Vec<u8>>,
    is_terminal: bool,
    pub(super) latest: TaskState,
    interval: Duration,
    pub(super) retry_at: Option<Duration>,
}

/// The one final status of an operation with feedback.
#[derive(Debug, Clone)]
pub(super) struct OperationStream {
    pub(super) framework_id: String,
    pub(super) status: v1::OperationStatus,
    interval: Duration,
    pub(super) retry_at: Option<Duration>,
}

/// Which updates to send again.
pub(super) struct Unacknowledged {
    streams: Vec<(String, String)>,
    operations: Vec<Vec<u8>>,
}

impl Stream {
    /// The stream as an agent finds it on its disk.
    pub(super) fn restored(executor_id: String, pending: Vec<v1::TaskStatus>, interval: Duration) -> Self {
        let latest = pending.last().map_or(TaskState::TaskStaging, v1::TaskStatus::state);
        let seen = pending.iter().filter_map(|status| status.uuid.as_ref()).map(|uuid| uuid.to_vec()).collect();
        let is_terminal = is_terminal(latest);
        Self { executor_id, pending: pending.into(), seen, is_terminal, latest, interval, retry_at: None }
    }
}

/// Whether a task in this state never changes again.
pub(super) fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator => true,
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling
        | TaskState::TaskUnreachable
        | TaskState::TaskUnknown => false,
    }
}

impl Cluster {
    /// An update that an executor sent.
    pub(super) fn store_executor_update(&mut self, agent: AgentIndex, key: &ExecutorKey, status: v1::TaskStatus) {
        if self.agents[agent].removing.contains(&key.0) {
            return;
        }
        let task_id = status.task_id.clone();
        let uuid = status.uuid.clone().unwrap_or_default();
        let is_known = self.agents[agent].executors.get(key).is_some_and(|executor| {
            executor.tasks.contains_key(&task_id.value) || executor.terminated.contains_key(&task_id.value)
        });
        self.store_update(agent, key, status);
        if is_known {
            let acknowledged = Some(Box::new(executor::event::Acknowledged { task_id, uuid }));
            let event = executor::Event { acknowledged, ..event(executor::event::Type::Acknowledged) };
            self.tell_executor(agent, key, event);
        }
    }

    /// An update that the agent makes itself.
    pub(super) fn agent_update(
        &mut self,
        agent: AgentIndex,
        key: &ExecutorKey,
        task_id: &v1::TaskId,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) {
        if self.agents[agent].removing.contains(&key.0) {
            return;
        }
        let mut status = v1::TaskStatus { task_id: task_id.clone(), ..Default::default() };
        status.set_state(state);
        status.set_source(Source::Agent);
        status.set_reason(reason);
        status.message = Some(message.to_owned());
        status.executor_id = Some(v1::ExecutorId { value: key.1.clone() });
        status.uuid = Some(Bytes::copy_from_slice(&self.rng.uuid_bytes()));
        self.store_update(agent, key, status);
    }

    /// The same, with a state that only partition-aware frameworks know.
    pub(super) fn agent_lost(
        &mut self,
        agent: AgentIndex,
        key: &ExecutorKey,
        task_id: &v1::TaskId,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) {
        let state = self.agent_lost_state(agent, &key.0, state);
        self.agent_update(agent, key, task_id, state, reason, message);
    }

    pub(super) fn agent_lost_state(&self, agent: AgentIndex, framework_id: &str, state: TaskState) -> TaskState {
        let is_aware = self.agents[agent].frameworks.get(framework_id).is_some_and(|info| {
            super::validation::has_capability(info, v1::framework_info::capability::Type::PartitionAware)
        });
        if is_aware { state } else { TaskState::TaskLost }
    }

    fn store_update(&mut self, agent: AgentIndex, key: &ExecutorKey, mut status: v1::TaskStatus) {
        let state = status.state();
        let task_id = status.task_id.value.clone();
        let stream_key = (key.0.clone(), task_id.clone());
        let timestamp = self.timestamp();
        let interval = self.config.update_retry_min;
        let ip = self.config.agents[agent].ip.clone();
        let known = &mut self.agents[agent];
        status.agent_id = known.id.clone().map(|value| v1::AgentId { value });
        status.timestamp = status.timestamp.or(Some(timestamp));
        if let Some(executor) = known.executors.get(key) {
            status.container_status.get_or_insert_with(|| Box::new(container_status(&executor.container_id, &ip)));
        }
        let uuid = status.uuid.as_ref().map(|uuid| uuid.to_vec()).unwrap_or_default();
        let stream = known.streams.entry(stream_key.clone()).or_insert_with(|| Stream {
            executor_id: key.1.clone(),
            pending: VecDeque::new(),
            seen: BTreeSet::new(),
            is_terminal: false,
            latest: state,
            interval,
            retry_at: None,
        });
        if !stream.seen.insert(uuid) || stream.is_terminal {
            return;
        }
        stream.latest = state;
        stream.is_terminal = is_terminal(state);
        stream.pending.push_back(status);
        let is_first = stream.pending.len() == 1;
        self.note_state(agent, key, &task_id, state);
        if is_first {
            self.forward_update(agent, &stream_key);
        }
    }

    /// Keeps the executor's books: a task that ended gives its volumes back.
    fn note_state(&mut self, agent: AgentIndex, key: &ExecutorKey, task_id: &str, state: TaskState) {
        let Some(executor) = self.agents[agent].executors.get_mut(key) else { return };
        if let Some(task) = executor.tasks.get_mut(task_id) {
            task.state = state;
        }
        if !is_terminal(state) {
            return;
        }
        if let Some(task) = executor.tasks.remove(task_id) {
            executor.terminated.insert(task_id.to_owned(), task);
        }
        if executor.state == ExecutorState::Terminated {
            return;
        }
        let container_id = executor.container_id.clone();
        let paths: Vec<String> = executor
            .links
            .iter()
            .filter(|(_, (_, owner))| owner.as_deref() == Some(task_id))
            .map(|(path, _)| path.clone())
            .collect();
        for container_path in paths {
            executor.links.remove(&container_path);
            self.outputs.push(Output::UnlinkVolume { agent, container_id: container_id.clone(), container_path });
        }
    }

    /// Sends the head of a stream to the master; lost when the master does not hear the agent.
    fn forward_update(&mut self, agent: AgentIndex, key: &(String, String)) {
        let now = self.now;
        let longest = self.config.update_retry_max;
        let Some(stream) = self.agents[agent].streams.get_mut(key) else { return };
        let Some(status) = stream.pending.front().cloned() else { return };
        stream.retry_at = Some(now + stream.interval);
        stream.interval = (stream.interval * 2).min(longest);
        let latest = stream.latest;
        if self.heard_as(agent).is_some() {
            self.master_update(agent, &key.0, status, latest);
        }
    }

    /// The updates an agent has not heard back about: of one framework, or all.
    pub(super) fn unacknowledged(&self, agent: AgentIndex, framework_id: Option<&str>) -> Unacknowledged {
        let is_meant = |of: &str| framework_id.is_none_or(|only| only == of);
        let known = &self.agents[agent];
        Unacknowledged {
            streams: known.streams.keys().filter(|(of, _)| is_meant(of)).cloned().collect(),
            operations: known
                .operations
                .iter()
                .filter(|(_, one)| is_meant(&one.framework_id))
                .map(|(uuid, _)| uuid.clone())
                .collect(),
        }
    }

    /// Sends heads again: after a registration or a framework's subscription.
    pub(super) fn resend(&mut self, agent: AgentIndex, what: Unacknowledged) {
        for key in what.streams {
            self.forward_update(agent, &key);
        }
        for uuid in what.operations {
            self.forward_operation(agent, &uuid);
        }
    }

    pub(super) fn resend_updates_of(&mut self, framework_id: &str) {
        for agent in 0..self.agents.len() {
            if self.agents[agent].recovering_until.is_none() && self.heard_as(agent).is_some() {
                let what = self.unacknowledged(agent, Some(framework_id));
                self.resend(agent, what);
            }
        }
    }

    pub(super) fn retry_updates(&mut self, agent: AgentIndex) {
        let now = self.now;
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let keys: Vec<(String, String)> = self.agents[agent]
            .streams
            .iter()
            .filter(|(_, stream)| due(stream.retry_at))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.forward_update(agent, &key);
        }
        let uuids: Vec<Vec<u8>> = self.agents[agent]
            .operations
            .iter()
            .filter(|(_, one)| due(one.retry_at))
            .map(|(uuid, _)| uuid.clone())
            .collect();
        for uuid in uuids {
            self.forward_operation(agent, &uuid);
        }
    }

    /// An update arrives at the master.
    fn master_update(&mut self, agent: AgentIndex, framework_id: &str, status: v1::TaskStatus, latest: TaskState) {
        if !self.master.frameworks.contains_key(framework_id) {
            return;
        }
        self.send_status(framework_id, status.clone());
        let Some(agent_id) = self.agents[agent].id.clone() else { return };
        let key = (framework_id.to_owned(), status.task_id.value.clone());
        let task = self.master.agents.get_mut(&agent_id).and_then(|known| known.tasks.get_mut(&key));
        let Some(task) = task else { return };
        let was_terminal = is_terminal(task.state());
        if !was_terminal {
            task.set_state(latest);
        }
        task.status_update_state = Some(status.state);
        task.status_update_uuid.clone_from(&status.uuid);
        match task.statuses.last_mut() {
            Some(last) if last.state == status.state => *last = status,
            _ => task.statuses.push(status),
        }
        if !was_terminal && is_terminal(latest) {
            self.resources_freed();
        }
    }

    /// ACKNOWLEDGE of a scheduler.
    pub(super) fn acknowledge(&mut self, framework_id: &str, call: &scheduler::call::Acknowledge) {
        let agent_id = &call.agent_id.value;
        let key = (framework_id.to_owned(), call.task_id.value.clone());
        let Some(known) = self.master.agents.get_mut(agent_id).filter(|known| known.connected) else { return };
        let is_last = known.tasks.get(&key).is_some_and(|task| {
            task.status_update_uuid.as_ref() == Some(&call.uuid) && is_terminal(task.status_update_state())
        });
        if is_last
            && let Some(task) = known.tasks.remove(&key)
            && let Some(framework) = self.master.frameworks.get_mut(framework_id)
        {
            framework.complete_task(task);
        }
        if let Some(agent) = self.reach_agent(agent_id) {
            self.acknowledged(agent, &key, &call.uuid);
        }
    }

    fn acknowledged(&mut self, agent: AgentIndex, key: &(String, String), uuid: &Bytes) {
        let interval = self.config.update_retry_min;
        let Some(stream) = self.agents[agent].streams.get_mut(key) else { return };
        if stream.pending.front().and_then(|head| head.uuid.as_ref()) != Some(uuid) {
            return;
        }
        let done = stream.pending.pop_front().is_some_and(|head| is_terminal(head.state()));
        stream.retry_at = None;
        stream.interval = interval;
        if !done {
            return self.forward_update(agent, key);
        }
        let executor_key = (key.0.clone(), stream.executor_id.clone());
        self.agents[agent].streams.remove(key);
        if let Some(executor) = self.agents[agent].executors.get_mut(&executor_key) {
            executor.terminated.remove(&key.1);
        }
        self.forget_idle_executor(agent, &executor_key);
    }

    /// The agent reports the end of an operation with feedback.
    pub(super) fn operation_report(
        &mut self,
        agent: AgentIndex,
        framework_id: &str,
        uuid: Vec<u8>,
        operation_id: Option<v1::OperationId>,
        state: v1::OperationState,
    ) {
        let mut status = v1::OperationStatus { operation_id, ..Default::default() };
        status.set_state(state);
        status.uuid = Some(v1::Uuid { value: Bytes::copy_from_slice(&self.rng.uuid_bytes()) });
        status.agent_id = self.agents[agent].id.clone().map(|value| v1::AgentId { value });
        let interval = self.config.update_retry_min;
        let stream = OperationStream { framework_id: framework_id.to_owned(), status, interval, retry_at: None };
        self.agents[agent].operations.insert(uuid.clone(), stream);
        self.forward_operation(agent, &uuid);
    }

    fn forward_operation(&mut self, agent: AgentIndex, uuid: &[u8]) {
        let now = self.now;
        let longest = self.config.update_retry_max;
        let Some(stream) = self.agents[agent].operations.get_mut(uuid) else { return };
        stream.retry_at = Some(now + stream.interval);
        stream.interval = (stream.interval * 2).min(longest);
        let (framework_id, status) = (stream.framework_id.clone(), stream.status.clone());
        let Some(agent_id) = self.heard_as(agent) else { return };
        if let Some(known) = self.master.agents.get_mut(&agent_id)
            && let Some(operation) = known.operations.get_mut(uuid)
        {
            operation.latest_status = status.clone();
            operation.statuses.push(status.clone());
        }
        self.send_operation_status(&framework_id, status);
    }

    /// ACKNOWLEDGE_OPERATION_STATUS of a scheduler.
    pub(super) fn acknowledge_operation(
        &mut self,
        framework_id: &str,
        call: &scheduler::call::AcknowledgeOperationStatus,
    ) {
        let agent_id = call.agent_id.as_ref().map(|id| id.value.clone()).unwrap_or_default();
        let Some(agent) = self.reach_agent(&agent_id) else { return };
        let found = self.agents[agent].operations.iter().find(|(_, stream)| {
            stream.framework_id == framework_id
                && stream.status.operation_id.as_ref() == Some(&call.operation_id)
                && stream.status.uuid.as_ref().is_some_and(|uuid| uuid.value == call.uuid)
        });
        if let Some(uuid) = found.map(|(uuid, _)| uuid.clone()) {
            self.agents[agent].operations.remove(&uuid);
            if let Some(known) = self.master.agents.get_mut(&agent_id) {
                known.operations.remove(&uuid);
            }
        }
    }
}

fn container_status(container_id: &str, ip: &str) -> v1::ContainerStatus {
    let address = v1::network_info::IpAddress { ip_address: Some(ip.to_owned()), ..Default::default() };
    v1::ContainerStatus {
        network_infos: vec![v1::NetworkInfo { ip_addresses: vec![address], ..Default::default() }],
        container_id: Some(Box::new(v1::ContainerId { value: container_id.to_owned(), parent: None })),
        ..Default::default()
    }
}
