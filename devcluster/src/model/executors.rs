//! The executor API of an agent, and the ends of executors.
//!
//! Invariant: an executor's process that ended is reported as FAILURE first, then one update per live task.
//! Invariant: an update is acknowledged to the executor as soon as it is stored, whether or not a scheduler is there.

use mainstay_proto::v1::{self, executor, scheduler};

use super::agent::{End, ExecutorKey, ExecutorState, event};
use super::{AgentIndex, Cluster, Output};

use executor::call::Type as CallType;
use executor::event::Type as EventType;
use v1::task_status::{Reason, Source};

/// Whether a call is complete; what fails here is answered with status 400.
fn problem_of(call: &executor::Call) -> Option<String> {
    let missing = |name: &str| Some(format!("Expecting '{name}' to be present"));
    let Some(kind) = call.r#type.and_then(|number| CallType::try_from(number).ok()) else { return missing("type") };
    if call.executor_id.value.is_empty() {
        return missing("executor_id");
    }
    if call.framework_id.value.is_empty() {
        return missing("framework_id");
    }
    match kind {
        CallType::Subscribe if call.subscribe.is_none() => missing("subscribe"),
        CallType::Message if call.message.is_none() => missing("message"),
        CallType::Update => {
            let Some(update) = &call.update else { return missing("update") };
            let status = &update.status;
            if status.uuid.as_ref().is_none_or(|uuid| uuid.len() != 16) {
                return Some("Expecting 'uuid' to be 16 bytes long".into());
            }
            if status.executor_id.as_ref().is_some_and(|id| *id != call.executor_id) {
                return Some("ExecutorID in Call does not match ExecutorID in TaskStatus".into());
            }
            if status.source() != Source::Executor {
                return Some("Received Call with invalid source: expecting SOURCE_EXECUTOR".into());
            }
            (status.state() == v1::TaskState::TaskStaging)
                .then(|| "Received TASK_STAGING from executor, which is not allowed".into())
        }
        _ => None,
    }
}

impl Cluster {
    fn executor_key(&self, agent: AgentIndex, call: &executor::Call) -> Option<ExecutorKey> {
        let key = (call.framework_id.value.clone(), call.executor_id.value.clone());
        self.agents[agent].executors.contains_key(&key).then_some(key)
    }

    pub(super) fn executor_connected(&mut self, agent: AgentIndex, conn: u64, call: executor::Call) {
        if !self.agents[agent].running {
            return self.refuse(503, "Agent is not running");
        }
        if let Some(problem) = problem_of(&call) {
            return self.refuse(400, problem);
        }
        let Some(key) = self.executor_key(agent, &call) else {
            return self.refuse(400, "Framework or executor cannot be found");
        };
        let Some(executor) = self.agents[agent].executors.get_mut(&key) else { return };
        let old = executor.conn.replace(conn);
        let is_first = executor.state == ExecutorState::Registering;
        let has_no_tasks = executor.queued.is_empty() && executor.tasks.is_empty();
        let is_ending = matches!(executor.state, ExecutorState::Terminating | ExecutorState::Terminated);
        if let Some(old) = old {
            self.emit(Output::CloseExecutor { agent, conn: old });
        }
        if is_ending || (is_first && has_no_tasks) {
            self.tell_executor(agent, &key, event(EventType::Shutdown));
            if is_ending {
                self.close_executor(agent, &key);
            } else {
                // All its tasks were killed before it came: shut down, with its grace, like any other.
                if let Some(executor) = self.agents[agent].executors.get_mut(&key) {
                    executor.state = ExecutorState::Terminating;
                    executor.deadline = Some(self.now + self.config.executor_shutdown_grace);
                }
            }
            return;
        }
        if let Some(executor) = self.agents[agent].executors.get_mut(&key) {
            executor.state = ExecutorState::Running;
            executor.deadline = None;
            executor.back = true;
        }
        let subscribed = self.executor_subscribed(agent, &key);
        self.tell_executor(agent, &key, subscribed);
        self.resubscribed(agent, &key, *call.subscribe.unwrap_or_default());
        let queued = self.agents[agent].executors.get_mut(&key).map(|executor| std::mem::take(&mut executor.queued));
        for queued in queued.unwrap_or_default() {
            self.deliver(agent, &key, queued);
        }
    }

    fn executor_subscribed(&self, agent: AgentIndex, key: &ExecutorKey) -> executor::Event {
        let known = &self.agents[agent];
        let config = &self.config.agents[agent];
        let executor = &known.executors[key];
        let subscribed = executor::event::Subscribed {
            executor_info: executor.info.clone(),
            framework_info: known.frameworks.get(&key.0).cloned().unwrap_or_default(),
            agent_info: v1::AgentInfo {
                hostname: config.hostname.clone(),
                resources: config.resources.clone(),
                attributes: config.attributes.clone(),
                id: known.id.clone().map(|value| v1::AgentId { value }),
                checkpoint: Some(true),
                port: Some(i32::from(config.port)),
                domain: config.domain.clone().map(Box::new),
            },
            container_id: Some(Box::new(v1::ContainerId { value: executor.container_id.clone(), parent: None })),
        };
        executor::Event { subscribed: Some(Box::new(subscribed)), ..event(EventType::Subscribed) }
    }

    /// Takes over what an executor says it holds: its updates, and the tasks it knows of.
    fn resubscribed(&mut self, agent: AgentIndex, key: &ExecutorKey, subscribe: executor::call::Subscribe) {
        for update in subscribe.unacknowledged_updates {
            self.store_executor_update(agent, key, update.status);
        }
        let named: std::collections::BTreeSet<String> =
            subscribe.unacknowledged_tasks.into_iter().map(|task| task.task_id.value).collect();
        let Some(executor) = self.agents[agent].executors.get(key) else { return };
        let never_arrived: Vec<v1::TaskId> = executor
            .tasks
            .values()
            .filter(|task| task.state == v1::TaskState::TaskStaging && !named.contains(&task.info.task_id.value))
            .map(|task| task.info.task_id.clone())
            .collect();
        for id in never_arrived {
            let message = "Task launched during agent restart";
            self.agent_lost(agent, key, &id, v1::TaskState::TaskDropped, Reason::AgentRestarted, message);
        }
    }

    pub(super) fn executor_call(&mut self, agent: AgentIndex, call: executor::Call) {
        if !self.agents[agent].running {
            return self.refuse(503, "Agent is not running");
        }
        if let Some(problem) = problem_of(&call) {
            return self.refuse(400, problem);
        }
        if call.r#type() == CallType::Heartbeat {
            return;
        }
        if self.agents[agent].recovering_until.is_some() {
            return self.refuse(503, "Agent has not finished recovery");
        }
        let Some(key) = self.executor_key(agent, &call) else {
            return self.refuse(400, "Framework or executor cannot be found");
        };
        if self.agents[agent].executors[&key].state == ExecutorState::Registering {
            return self.refuse(403, "Executor is not subscribed");
        }
        match call.r#type() {
            CallType::Subscribe => self.refuse(400, "SUBSCRIBE needs a connection of its own"),
            CallType::Update => {
                if let Some(update) = call.update {
                    self.store_executor_update(agent, &key, update.status);
                }
            }
            CallType::Message => {
                let data = call.message.map(|message| message.data).unwrap_or_default();
                self.forward_message(agent, &key, data);
            }
            CallType::Heartbeat | CallType::Unknown => {}
        }
    }

    fn forward_message(&mut self, agent: AgentIndex, key: &ExecutorKey, data: bytes::Bytes) {
        let Some(agent_id) = self.heard_as(agent) else { return };
        let message = scheduler::event::Message {
            agent_id: v1::AgentId { value: agent_id },
            executor_id: v1::ExecutorId { value: key.1.clone() },
            data,
        };
        let event = scheduler::Event {
            r#type: Some(scheduler::event::Type::Message as i32),
            message: Some(Box::new(message)),
            ..Default::default()
        };
        self.send(&key.0, event);
    }

    pub(super) fn close_executor(&mut self, agent: AgentIndex, key: &ExecutorKey) {
        let conn = self.agents[agent].executors.get_mut(key).and_then(|executor| executor.conn.take());
        if let Some(conn) = conn {
            self.emit(Output::CloseExecutor { agent, conn });
        }
    }

    pub(super) fn executor_disconnected(&mut self, agent: AgentIndex, conn: u64) {
        // The agent does nothing: the executor comes back, or its process ends.
        for executor in self.agents[agent].executors.values_mut() {
            if executor.conn == Some(conn) {
                executor.conn = None;
            }
        }
    }

    pub(super) fn executor_exited(&mut self, agent: AgentIndex, container_id: &str, status: i32) {
        let Some(key) = self.agents[agent].key_of_container(container_id) else { return };
        let known = &mut self.agents[agent];
        let is_away = !known.running || known.recovering_until.is_some();
        if let Some(executor) = known.executors.get_mut(&key)
            && is_away
            && executor.state != ExecutorState::Terminated
        {
            // Found out at the end of the recovery.
            executor.exited = Some(status);
            executor.conn = None;
            executor.back = false;
            return;
        }
        self.executor_terminated(agent, &key, status, true);
    }

    pub(super) fn executor_launch_failed(&mut self, agent: AgentIndex, container_id: &str, message: &str) {
        let Some(key) = self.agents[agent].key_of_container(container_id) else { return };
        if let Some(executor) = self.agents[agent].executors.get_mut(&key) {
            let (state, reason) = (v1::TaskState::TaskFailed, Reason::ContainerLaunchFailed);
            executor.end.get_or_insert(End { state, reason, message: message.to_owned() });
        }
        // As of a fetcher that exits with 1.
        self.executor_exited(agent, container_id, 256);
    }

    /// The end of an executor as its agent sees it.
    pub(super) fn executor_terminated(
        &mut self,
        agent: AgentIndex,
        key: &ExecutorKey,
        status: i32,
        is_announced: bool,
    ) {
        let Some(executor) = self.agents[agent].executors.get_mut(key) else { return };
        if executor.state == ExecutorState::Terminated {
            return;
        }
        executor.state = ExecutorState::Terminated;
        executor.deadline = None;
        executor.links.clear();
        let end = executor.end.take().unwrap_or_else(|| End {
            state: v1::TaskState::TaskFailed,
            reason: Reason::ExecutorTerminated,
            message: "Executor terminated".into(),
        });
        let queued: Vec<v1::TaskInfo> =
            std::mem::take(&mut executor.queued).into_iter().flat_map(|queued| queued.tasks).collect();
        for info in queued {
            let state = v1::TaskState::TaskStaging;
            executor.tasks.insert(info.task_id.value.clone(), super::agent::LiveTask { info, state });
        }
        let live: Vec<v1::TaskId> = executor.tasks.values().map(|task| task.info.task_id.clone()).collect();
        self.close_executor(agent, key);
        if is_announced {
            self.master_executor_exited(agent, key, status);
        } else {
            self.master_executor_removed(agent, key);
        }
        for id in live {
            self.agent_update(agent, key, &id, end.state, end.reason, &end.message);
        }
        self.forget_idle_executor(agent, key);
    }

    /// Forgets a terminated executor once all its tasks' updates are acknowledged.
    pub(super) fn forget_idle_executor(&mut self, agent: AgentIndex, key: &ExecutorKey) {
        let known = &mut self.agents[agent];
        let is_removed = known.removing.contains(&key.0);
        let is_done = known.executors.get(key).is_some_and(|executor| {
            executor.state == ExecutorState::Terminated && (is_removed || executor.terminated.is_empty())
        });
        if is_done {
            known.executors.remove(key);
            self.forget_idle_framework(agent, &key.0);
        }
    }

    pub(super) fn forget_idle_framework(&mut self, agent: AgentIndex, framework_id: &str) {
        let known = &mut self.agents[agent];
        let is_used = known.executors.keys().any(|(of, _)| of == framework_id)
            || known.streams.keys().any(|(of, _)| of == framework_id);
        if !is_used {
            known.frameworks.remove(framework_id);
            known.removing.remove(framework_id);
        }
    }

    /// The agent tells the master that an executor ended: the framework hears of it.
    pub(super) fn master_executor_exited(&mut self, agent: AgentIndex, key: &ExecutorKey, status: i32) {
        if self.agents[agent].removing.contains(&key.0) {
            return;
        }
        let Some(agent_id) = self.heard_as(agent) else { return };
        self.master_executor_removed(agent, key);
        self.send_failure(&key.0, &agent_id, Some((&key.1, status)));
    }

    fn master_executor_removed(&mut self, agent: AgentIndex, key: &ExecutorKey) {
        let Some(agent_id) = self.heard_as(agent) else { return };
        if let Some(known) = self.master.agents.get_mut(&agent_id) {
            known.executors.remove(key);
        }
        self.resources_freed();
    }

    /// The id under which the master hears this agent now; `None` when its messages are lost.
    pub(super) fn heard_as(&self, agent: AgentIndex) -> Option<String> {
        let known = &self.agents[agent];
        let id = known.id.as_ref().filter(|_| known.running && known.linked && !known.partitioned)?;
        self.master.agents.contains_key(id).then(|| id.clone())
    }
}
