//! Agents and masters that stop, start, part and come back; registration.
//!
//! | agent | master sees | ends by |
//! |---|---|---|
//! | stopped | disconnected at once, offers rescinded | start: recovery, then registration |
//! | partitioned | nothing, until pings fail | heal: registration |
//! | either, longer than the pings allow | unreachable: UPDATEs, RESCINDs, then FAILURE | registration: states announced |
//! | gone | refused for ever | never |
//!
//! Invariant: an agent's id, reservations and volumes survive everything but a wipe.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_proto::v1;

use super::agent::{End, ExecutorKey, ExecutorState};
use super::master::{Framework, Master, MasterAgent};
use super::operations::new_task;
use super::updates::is_terminal;
use super::{AgentIndex, Cluster, Output};

use v1::TaskState;
use v1::task_status::{Reason, Source};

/// How long a new master waits for agents it only knows from the registry.
const AGENT_REREGISTER_TIMEOUT: Duration = Duration::from_secs(600);

impl Cluster {
    fn pings_fail_at(&self) -> Duration {
        self.now + self.config.agent_ping_timeout * self.config.max_agent_ping_timeouts
    }

    /// A delay that differs from agent to agent.
    fn register_delay(&mut self) -> Duration {
        let base = self.config.agent_reregister_delay;
        base + Duration::from_micros(self.rng.below(base.as_micros() as u64 + 1))
    }

    pub(super) fn agent_stop(&mut self, agent: AgentIndex) {
        if !self.agents[agent].running {
            return;
        }
        let was_heard = self.heard_as(agent);
        let known = &mut self.agents[agent];
        known.running = false;
        known.linked = false;
        known.losing = 0;
        known.register_at = None;
        known.recovering_until = None;
        let keys: Vec<ExecutorKey> = known.executors.keys().cloned().collect();
        for key in &keys {
            self.close_executor(agent, key);
        }
        self.forget_without_checkpoint(agent);
        if let Some(agent_id) = was_heard {
            self.agent_disconnected(&agent_id);
        }
    }

    /// Executors of frameworks without checkpointing do not outlive their agent.
    fn forget_without_checkpoint(&mut self, agent: AgentIndex) {
        let known = &mut self.agents[agent];
        let lost: Vec<String> =
            known.frameworks.iter().filter(|(_, info)| !info.checkpoint()).map(|(id, _)| id.clone()).collect();
        for framework_id in lost {
            let keys: Vec<ExecutorKey> =
                self.agents[agent].executors.keys().filter(|(of, _)| *of == framework_id).cloned().collect();
            for key in keys {
                if let Some(executor) = self.agents[agent].executors.remove(&key)
                    && executor.state != ExecutorState::Terminated
                {
                    self.emit(Output::KillContainer { agent, container_id: executor.container_id });
                }
            }
            let known = &mut self.agents[agent];
            known.streams.retain(|(of, _), _| *of != framework_id);
            known.operations.retain(|_, operation| operation.framework_id != framework_id);
            known.frameworks.remove(&framework_id);
            known.removing.remove(&framework_id);
        }
    }

    /// The master notices that an agent's connection broke.
    fn agent_disconnected(&mut self, agent_id: &str) {
        let unreachable_at = self.pings_fail_at();
        let Some(known) = self.master.agents.get_mut(agent_id) else { return };
        known.connected = false;
        known.unreachable_at = Some(unreachable_at);
        let owners: Vec<String> = known.tasks.keys().chain(known.executors.keys()).map(|(of, _)| of.clone()).collect();
        self.rescind_offers_of(agent_id);
        for framework_id in owners {
            let is_checkpointing =
                self.master.frameworks.get(&framework_id).is_some_and(|framework| framework.info.checkpoint());
            if !is_checkpointing {
                let message = "Agent disconnected";
                self.lose_tasks(agent_id, Some(&framework_id), TaskState::TaskLost, Reason::AgentDisconnected, message);
            }
        }
    }

    fn rescind_offers_of(&mut self, agent_id: &str) {
        let ids: Vec<String> = self
            .master
            .offers
            .iter()
            .filter(|(_, offer)| offer.agent_id == agent_id)
            .map(|(id, _)| id.clone())
            .collect();
        for offer_id in ids {
            self.rescind(&offer_id);
        }
    }

    /// Ends the master's tasks on an agent: one update each, in the given state, from the master.
    fn lose_tasks(&mut self, agent_id: &str, only: Option<&str>, state: TaskState, reason: Reason, message: &str) {
        let Some(known) = self.master.agents.get_mut(agent_id) else { return };
        let is_meant = |of: &str| only.is_none_or(|only| only == of);
        known.executors.retain(|(of, _), _| !is_meant(of));
        let (lost, kept) = std::mem::take(&mut *known.tasks).into_iter().partition(|((of, _), _)| is_meant(of));
        *known.tasks = kept;
        let lost: std::collections::BTreeMap<(String, String), v1::Task> = lost;
        let unreachable_time = (state == TaskState::TaskUnreachable).then(|| self.time_info(self.now));
        for ((framework_id, task_id), mut task) in lost {
            // A task that has ended is not lost; its update comes when the agent does.
            if is_terminal(task.state()) {
                continue;
            }
            let state = self.lost_state(&framework_id, state);
            let mut status = self.master_status(&task.task_id, Some(&task.agent_id), state, reason, message);
            status.executor_id.clone_from(&task.executor_id);
            status.unreachable_time.clone_from(&unreachable_time);
            task.set_state(state);
            if let Some(framework) = self.master.frameworks.get_mut(&framework_id) {
                if unreachable_time.is_some() {
                    framework.unreachable_tasks.insert(task_id, (agent_id.to_owned(), task));
                } else {
                    framework.complete_task(task);
                }
            }
            self.send_status(&framework_id, status);
        }
        self.resources_freed();
    }

    /// FAILURE of an agent goes to every connected framework.
    fn announce_agent_failure(&mut self, agent_id: &str) {
        let ids: Vec<String> = self.master.frameworks.keys().cloned().collect();
        for framework_id in ids {
            self.send_failure(&framework_id, agent_id, None);
        }
    }

    fn forget_filters_of(&mut self, agent_id: &str) {
        for framework in self.master.frameworks.values_mut() {
            framework.filters.retain(|filter| filter.agent_id != agent_id);
        }
    }

    pub(super) fn mark_unreachable(&mut self, agent_id: &str) {
        let now = self.now;
        if self.master.recovered.remove(agent_id).is_some() {
            self.master.unreachable.insert(agent_id.to_owned(), now);
            return self.announce_agent_failure(agent_id);
        }
        self.lose_tasks(agent_id, None, TaskState::TaskUnreachable, Reason::AgentRemoved, "Agent is unreachable");
        self.remove_master_agent(agent_id, v1::OperationState::OperationUnreachable);
        self.master.unreachable.insert(agent_id.to_owned(), now);
        self.announce_agent_failure(agent_id);
    }

    /// Takes a registered agent out of the master's memory; its tasks were dealt with.
    fn remove_master_agent(&mut self, agent_id: &str, operations: v1::OperationState) {
        self.rescind_offers_of(agent_id);
        self.forget_filters_of(agent_id);
        let Some(known) = self.master.agents.remove(agent_id) else { return };
        for operation in known.operations.into_values() {
            let framework_id = operation.framework_id.map(|id| id.value).unwrap_or_default();
            let mut status = v1::OperationStatus {
                operation_id: operation.info.id,
                agent_id: operation.agent_id,
                ..Default::default()
            };
            status.set_state(operations);
            self.send_operation_status(&framework_id, status);
        }
    }

    pub(super) fn agent_start(&mut self, agent: AgentIndex) {
        if self.agents[agent].running || self.agents[agent].id.as_ref().is_some_and(|id| self.master.gone.contains(id))
        {
            return;
        }
        let delay = self.register_delay();
        let until = self.now + self.config.executor_reregistration_timeout;
        let now = self.now;
        let known = &mut self.agents[agent];
        known.running = true;
        if known.executors.is_empty() {
            known.register_at = Some(now + delay);
            return;
        }
        known.recovering_until = Some(until);
        for executor in known.executors.values_mut() {
            executor.back = executor.state == ExecutorState::Terminated;
            executor.deadline = None;
        }
    }

    /// The wait for executors is over: those that did not come are ended, and the agent registers.
    pub(super) fn finish_recovery(&mut self, agent: AgentIndex) {
        let now = self.now;
        self.agents[agent].recovering_until = None;
        self.agents[agent].register_at = Some(now);
        let missing: Vec<(ExecutorKey, Option<i32>)> = self.agents[agent]
            .executors
            .iter()
            .filter(|(_, executor)| !executor.back)
            .map(|(key, executor)| (key.clone(), executor.exited))
            .collect();
        for (key, exited) in missing {
            if let Some(status) = exited {
                // Found dead: no FAILURE event.
                self.executor_terminated(agent, &key, status, false);
            } else {
                let state = self.agent_lost_state(agent, &key.0, TaskState::TaskGone);
                let message = "Executor did not reregister within the timeout".to_owned();
                if let Some(executor) = self.agents[agent].executors.get_mut(&key) {
                    executor.killed = false;
                }
                self.destroy(agent, &key, Some(End { state, reason: Reason::ExecutorReregistrationTimeout, message }));
            }
        }
    }

    pub(super) fn agent_wipe(&mut self, agent: AgentIndex) {
        if self.agents[agent].running {
            return;
        }
        let orphans: Vec<String> = self.agents[agent]
            .executors
            .values()
            .filter(|executor| executor.state != ExecutorState::Terminated)
            .map(|executor| executor.container_id.clone())
            .collect();
        for container_id in orphans {
            self.emit(Output::KillContainer { agent, container_id });
        }
        let mut fresh = super::Agent::new(&self.config.agents[agent]);
        fresh.running = false;
        fresh.register_at = None;
        fresh.partitioned = self.agents[agent].partitioned;
        let old = std::mem::replace(&mut *self.agents[agent], fresh);
        for volume in old.volumes.into_keys() {
            self.emit(Output::DestroyVolume { agent, volume });
        }
    }

    pub(super) fn agent_partition(&mut self, agent: AgentIndex) {
        let unreachable_at = self.pings_fail_at();
        let was_heard = self.heard_as(agent);
        self.agents[agent].partitioned = true;
        if let Some(known) = was_heard.and_then(|id| self.master.agents.get_mut(&id)) {
            known.unreachable_at.get_or_insert(unreachable_at);
        }
    }

    pub(super) fn agent_heal(&mut self, agent: AgentIndex) {
        if !std::mem::take(&mut self.agents[agent].partitioned) {
            return;
        }
        let at = self.now + self.register_delay();
        let known = &mut self.agents[agent];
        if known.running && known.recovering_until.is_none() {
            known.register_at = Some(at);
        }
    }

    pub(super) fn agent_lose_messages(&mut self, agent: AgentIndex, count: u32) {
        let at = self.now + self.config.agent_ping_timeout;
        let known = &mut self.agents[agent];
        if known.running && known.linked {
            known.losing += count;
            known.register_at = Some(known.register_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    pub(super) fn agent_gone(&mut self, agent: AgentIndex) {
        let Some(agent_id) = self.agents[agent].id.clone() else { return self.refuse(404, "Agent is not known") };
        if self.master.gone.contains(&agent_id) {
            return;
        }
        let is_reached = self.heard_as(agent).is_some();
        let (state, reason) = (TaskState::TaskGoneByOperator, Reason::AgentRemovedByOperator);
        let message = "Agent has been marked gone";
        if self.master.agents.contains_key(&agent_id) {
            self.lose_tasks(&agent_id, None, state, reason, message);
            self.remove_master_agent(&agent_id, v1::OperationState::OperationGoneByOperator);
            self.announce_agent_failure(&agent_id);
        }
        self.master.recovered.remove(&agent_id);
        if self.master.unreachable.remove(&agent_id).is_some() {
            self.lose_unreachable_tasks(&agent_id, state, reason, message);
        }
        self.master.gone.insert(agent_id);
        if is_reached {
            self.agent_shut_down(agent);
        }
    }

    fn lose_unreachable_tasks(&mut self, agent_id: &str, state: TaskState, reason: Reason, message: &str) {
        let ids: Vec<String> = self.master.frameworks.keys().cloned().collect();
        for framework_id in ids {
            let Some(framework) = self.master.frameworks.get_mut(&framework_id) else { continue };
            let (lost, kept) =
                std::mem::take(&mut framework.unreachable_tasks).into_iter().partition(|(_, (on, _))| on == agent_id);
            framework.unreachable_tasks = kept;
            let lost: std::collections::BTreeMap<String, (String, v1::Task)> = lost;
            for (_, task) in lost.into_values() {
                let state = self.lost_state(&framework_id, state);
                let status = self.master_status(&task.task_id, Some(&task.agent_id), state, reason, message);
                self.send_status(&framework_id, status);
            }
        }
    }

    /// An agent that is barred ends, and its executors with it. Its disk stays.
    fn agent_shut_down(&mut self, agent: AgentIndex) {
        let known = &mut self.agents[agent];
        known.running = false;
        known.linked = false;
        known.register_at = None;
        known.recovering_until = None;
        known.streams.clear();
        known.operations.clear();
        known.frameworks.clear();
        known.removing.clear();
        for executor in std::mem::take(&mut known.executors).into_values() {
            if let Some(conn) = executor.conn {
                self.emit(Output::CloseExecutor { agent, conn });
            }
            if executor.state != ExecutorState::Terminated {
                self.emit(Output::KillContainer { agent, container_id: executor.container_id });
            }
        }
    }

    /// The agent (re)registers with the master.
    pub(super) fn register(&mut self, agent: AgentIndex) {
        self.agents[agent].losing = 0;
        let agent_id = match self.agents[agent].id.clone() {
            Some(id) if self.master.gone.contains(&id) => return self.agent_shut_down(agent),
            Some(id) => id,
            None => {
                self.replace_agent_at(agent);
                let id = self.master.new_agent_id();
                self.agents[agent].id = Some(id.clone());
                id
            }
        };
        self.agents[agent].linked = true;
        let was_recovered = self.master.recovered.remove(&agent_id).is_some();
        let was_unreachable = self.master.unreachable.remove(&agent_id).is_some();
        let is_known = self.master.agents.contains_key(&agent_id);
        if is_known {
            self.rescind_offers_of(&agent_id);
        } else {
            self.add_master_agent(agent, &agent_id);
        }
        // Taken before the comparison: what that brings up is sent by itself.
        let unacknowledged = self.unacknowledged(agent, None);
        self.compare_with_agent(agent, &agent_id);
        if was_unreachable && !was_recovered {
            self.announce_states(&agent_id);
        }
        self.resend(agent, unacknowledged);
        self.allocate(Some(&agent_id));
    }

    /// An agent without an id takes the place of the one that was at its address.
    fn replace_agent_at(&mut self, agent: AgentIndex) {
        let old: Vec<String> =
            self.master.agents.iter().filter(|(_, known)| known.index == agent).map(|(id, _)| id.clone()).collect();
        for agent_id in old {
            let message = "A new agent registered at the same address";
            self.lose_tasks(&agent_id, None, TaskState::TaskLost, Reason::AgentRemoved, message);
            self.remove_master_agent(&agent_id, v1::OperationState::OperationUnreachable);
            self.announce_agent_failure(&agent_id);
        }
    }

    fn add_master_agent(&mut self, agent: AgentIndex, agent_id: &str) {
        let known = MasterAgent {
            index: agent,
            total: self.agents[agent].total.clone().into(),
            connected: true,
            tasks: BTreeMap::new().into(),
            executors: BTreeMap::new().into(),
            unused: RefCell::default(),
            operations: BTreeMap::new(),
            pending_kills: BTreeMap::new(),
            unreachable_at: None,
            registered_at: self.now,
            reregistered_at: None,
        };
        self.master.agents.insert(agent_id.to_owned(), known);
    }

    /// Brings the master's view of an agent in line with what the agent says it has.
    fn compare_with_agent(&mut self, agent: AgentIndex, agent_id: &str) {
        let now = self.now;
        let mut tasks = std::collections::BTreeMap::new();
        let mut executors = std::collections::BTreeMap::new();
        for (key, executor) in &self.agents[agent].executors {
            if executor.state != ExecutorState::Terminated {
                executors.insert(key.clone(), executor.info.clone());
            }
            let framework = self.agents[agent].frameworks.get(&key.0).cloned().unwrap_or_default();
            let queued =
                executor.queued.iter().flat_map(|queued| &queued.tasks).map(|info| (info, TaskState::TaskStaging));
            let held = executor.tasks.values().chain(executor.terminated.values()).map(|task| (&task.info, task.state));
            for (info, state) in queued.chain(held) {
                let mut task = new_task(info, &key.0, &key.1, &framework);
                task.set_state(state);
                tasks.insert((key.0.clone(), info.task_id.value.clone()), task);
            }
        }
        for (framework_id, info) in self.agents[agent].frameworks.clone() {
            if self.master.completed.contains(&framework_id) {
                tasks.retain(|(of, _), _| *of != framework_id);
                executors.retain(|(of, _), _| *of != framework_id);
                self.shutdown_framework(agent, &framework_id);
            } else {
                // A framework this master has not met yet: kept as recovered until it subscribes.
                self.master.frameworks.entry(framework_id).or_insert_with(|| Framework::new(info, now));
            }
        }
        for framework in self.master.frameworks.values_mut() {
            framework.unreachable_tasks.retain(|_, (on, _)| on != agent_id);
        }
        let total = self.agents[agent].total.clone();
        let Some(known) = self.master.agents.get_mut(agent_id) else { return };
        known.connected = true;
        known.unreachable_at = None;
        known.reregistered_at = Some(now);
        *known.total = total;
        *known.executors = executors;
        let before = std::mem::take(&mut *known.tasks);
        let kills = std::mem::take(&mut known.pending_kills);
        for (key, mut task) in tasks {
            if let Some(old) = before.get(&key) {
                task.statuses.clone_from(&old.statuses);
                task.status_update_state = old.status_update_state;
                task.status_update_uuid.clone_from(&old.status_update_uuid);
            }
            known.tasks.insert(key, task);
        }
        let known_tasks: std::collections::BTreeSet<(String, String)> = known.tasks.keys().cloned().collect();
        for (key, task) in before {
            if !known_tasks.contains(&key) && !is_terminal(task.state()) {
                self.task_never_arrived(agent, agent_id, key, task);
            }
        }
        self.drop_unknown_operations(agent, agent_id);
        for ((framework_id, task_id), policy) in kills {
            if let Some(agent) = self.reach_agent(agent_id) {
                self.kill_task(agent, &framework_id, &task_id, policy);
            }
        }
    }

    /// The master sent a task that the agent does not know: the agent says so.
    fn task_never_arrived(&mut self, agent: AgentIndex, agent_id: &str, key: (String, String), task: v1::Task) {
        let executor_key = (key.0.clone(), task.executor_id.as_ref().map(|id| id.value.clone()).unwrap_or_default());
        let task_id = task.task_id.clone();
        if let Some(framework) = self.master.frameworks.get(&key.0) {
            self.agents[agent].frameworks.entry(key.0.clone()).or_insert_with(|| framework.info.clone());
        }
        if let Some(known) = self.master.agents.get_mut(agent_id) {
            known.tasks.insert(key.clone(), task);
        }
        // One that ended meanwhile has its update on the way.
        if !self.agents[agent].streams.contains_key(&key) {
            let message = "Reconciliation: task unknown to the agent";
            self.agent_lost(agent, &executor_key, &task_id, TaskState::TaskDropped, Reason::Reconciliation, message);
        }
    }

    fn drop_unknown_operations(&mut self, agent: AgentIndex, agent_id: &str) {
        let Some(known) = self.master.agents.get(agent_id) else { return };
        let unknown: Vec<(Vec<u8>, v1::Operation)> = known
            .operations
            .iter()
            .filter(|(uuid, _)| !self.agents[agent].operations.contains_key(*uuid))
            .map(|(uuid, operation)| (uuid.clone(), operation.clone()))
            .collect();
        for (uuid, operation) in unknown {
            let framework_id = operation.framework_id.map(|id| id.value).unwrap_or_default();
            let state = v1::OperationState::OperationDropped;
            self.operation_report(agent, &framework_id, uuid, operation.info.id, state);
        }
    }

    /// Tells frameworks the real states of tasks on an agent that was unreachable.
    fn announce_states(&mut self, agent_id: &str) {
        let Some(known) = self.master.agents.get(agent_id) else { return };
        let live: Vec<(String, v1::Task)> = known
            .tasks
            .iter()
            .filter(|(_, task)| !is_terminal(task.state()))
            .map(|((framework_id, _), task)| (framework_id.clone(), task.clone()))
            .collect();
        for (framework_id, task) in live {
            let message = "Unreachable agent reregistered";
            let mut status = self.master_status(
                &task.task_id,
                Some(&task.agent_id),
                task.state(),
                Reason::AgentReregistered,
                message,
            );
            status.set_source(Source::Master);
            status.executor_id.clone_from(&task.executor_id);
            self.send_status(&framework_id, status);
        }
    }

    pub(super) fn master_restart(&mut self) {
        let conns: Vec<u64> = self
            .master
            .frameworks
            .values()
            .filter_map(|framework| framework.connection.as_ref().map(|connection| connection.conn))
            .collect();
        for conn in conns {
            self.emit(Output::CloseScheduler { conn });
        }
        let mut next = Master::new(self.rng.uuid());
        let old = std::mem::replace(&mut self.master, Master::new(String::new()));
        let until = self.now + AGENT_REREGISTER_TIMEOUT;
        next.recovered = old.agents.into_keys().chain(old.recovered.into_keys()).map(|id| (id, until)).collect();
        next.unreachable = old.unreachable;
        next.gone = old.gone;
        self.master = next;
        for agent in 0..self.agents.len() {
            let at = self.now + self.register_delay();
            let known = &mut self.agents[agent];
            known.linked = false;
            if known.running && known.recovering_until.is_none() {
                known.register_at = Some(at);
            }
        }
    }
}
