//! What must hold in every run.
//!
//! After each step: the engine's own invariants and the equality of memory and store (`mainstay_engine::check`), the master's accounts, and
//! - a LAUNCH is sent only for tasks whose id, STAGING status and reservations are stored;
//! - a task is launched only when the framework was told of every other launch of it that it is over, lost or unreachable;
//! - a volume on which a task has run is destroyed only after its pod was replaced, or its agent was marked gone.
//!
//! At rest: every task that should run runs once; nothing else of ours runs; what is reserved is what is stored; plans are complete.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mainstay_devcluster::model::{Cluster, Output};
use mainstay_engine::Engine;
use mainstay_engine::check;
use mainstay_engine::plan::Status;
use mainstay_engine::resource::Resource;
use mainstay_engine::task::status::State as TaskState;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::scheduler::Call;

/// What the rules remember of a run.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Last state of each launch that the framework was told.
    told: BTreeMap<String, TaskState>,
    /// Pod of each volume.
    volume_pods: BTreeMap<String, String>,
    /// Volumes on which a task has run.
    used: BTreeSet<String>,
    /// Pods that were replaced or lost for good.
    pub(super) given_up: BTreeSet<String>,
    /// Volumes whose pod was given up while they were its own.
    doomed: BTreeSet<String>,
}

impl Rules {
    pub(super) fn told(&mut self, task_id: &str, state: TaskState) {
        self.told.insert(task_id.to_owned(), state);
    }

    /// The pod is given up: the volumes it has now may go.
    pub(super) fn give_up(&mut self, pod: &str) {
        self.given_up.insert(pod.to_owned());
        let its = self.volume_pods.iter().filter(|(_, owner)| *owner == pod).map(|(volume, _)| volume.clone());
        self.doomed.extend(its);
    }

    /// The rules about a call that is about to leave.
    pub(super) fn call(
        &mut self,
        call: &Call,
        stored: &BTreeMap<String, Bytes>,
        cluster: &Cluster,
    ) -> Result<(), String> {
        let operations = call.accept.iter().flat_map(|accept| &accept.operations);
        for operation in operations {
            let single = operation.launch.iter().flat_map(|launch| &launch.task_infos);
            let group = operation.launch_group.iter().flat_map(|group| &group.task_group.tasks);
            for task in single.chain(group) {
                self.launch(task, operation, stored, cluster)?;
            }
        }
        Ok(())
    }

    fn launch(
        &mut self,
        task: &wire::TaskInfo,
        operation: &wire::offer::Operation,
        stored: &BTreeMap<String, Bytes>,
        cluster: &Cluster,
    ) -> Result<(), String> {
        let state = check::reload(stored);
        let id = &task.task_id.value;
        let Some(known) =
            state.tasks.values().find(|known| known.task_id.as_ref().is_some_and(|known| known.as_str() == id))
        else {
            return Err(format!("launch {id} is sent and not stored"));
        };
        if known.state() != Some(TaskState::Staging) {
            return Err(format!("launch {id} is sent, stored as {:?}", known.state()));
        }
        let kept: BTreeSet<String> = known.resource_ids().map(|id| id.to_string()).collect();
        let executor = task.executor.as_deref().or(operation.launch_group.as_ref().map(|group| &group.executor));
        for resource in task.resources.iter().chain(executor.iter().flat_map(|executor| &executor.resources)) {
            let resource = Resource::from_wire(resource).map_err(|problem| format!("launch {id}: {problem}"))?;
            let resource_id = resource.resource_id().map(|id| id.to_string()).unwrap_or_default();
            if !kept.contains(&resource_id) {
                return Err(format!("launch {id} uses the reservation {resource_id:?}, which is not stored with it"));
            }
            if let Some(volume) = resource.persistence_id() {
                self.volume_pods.insert(volume.to_string(), known.pod.to_string());
            }
        }
        for other in cluster.live_tasks().iter().filter(|other| other.name == task.name && other.task_id != *id) {
            let told = self.told.get(&other.task_id);
            if told.is_none_or(|told| told.is_live()) {
                return Err(format!(
                    "launch {id} is sent while {} may live; it was last told as {told:?}",
                    other.task_id
                ));
            }
        }
        Ok(())
    }

    /// The rules about what the cluster did.
    pub(super) fn outputs(&mut self, outputs: &[Output], cluster: &Cluster) -> Result<(), String> {
        for task in cluster.live_tasks().iter().filter(|task| task.state == wire::TaskState::TaskRunning) {
            let volumes =
                task.info.resources.iter().filter_map(|resource| resource.disk.as_ref()?.persistence.as_ref());
            self.used.extend(volumes.map(|volume| volume.id.clone()));
        }
        for output in outputs {
            if let Output::DestroyVolume { volume, .. } = output {
                let pod = self.volume_pods.get(&volume.id);
                if self.used.contains(&volume.id) && !self.doomed.contains(&volume.id) {
                    return Err(format!("volume {} of {pod:?} is destroyed; nobody has given it up", volume.id));
                }
            }
        }
        if outputs.is_empty() { Ok(()) } else { cluster.check_accounts() }
    }

    /// The engine's own invariants.
    pub(super) fn engine(engine: &Engine, stored: &BTreeMap<String, Bytes>) -> Result<(), String> {
        let found = check::violations(engine, stored);
        if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
    }

    /// What must be true once faults have ended and time has passed.
    pub(super) fn at_rest(engine: &Engine, cluster: &Cluster, is_gone: impl Fn(usize) -> bool) -> Result<(), String> {
        let mut problems = Vec::new();
        for plan in engine.plans().iter().filter(|plan| !plan.is_interrupted && plan.status() != Status::Complete) {
            problems.push(format!("plan {} is {}", plan.name, plan.status().as_str()));
            for (_, _, step) in plan.steps().filter(|(_, _, step)| step.status() != Status::Complete) {
                problems.push(format!("step {} is {}", step.name, step.status().as_str()));
            }
        }
        let state = engine.state();
        let live: BTreeMap<String, String> = cluster
            .live_tasks()
            .into_iter()
            .filter(|task| !is_gone(task.agent))
            .map(|task| (task.task_id, task.name))
            .collect();
        for task in state.tasks.values().filter(|task| task.is_live()) {
            let id = task.task_id.as_ref().map(ToString::to_string).unwrap_or_default();
            if !live.contains_key(&id) {
                problems.push(format!("{id} is stored as live and does not run"));
            }
        }
        for (id, name) in &live {
            let is_known =
                state.tasks.values().any(|task| task.task_id.as_ref().is_some_and(|known| known.as_str() == id));
            if !is_known {
                problems.push(format!("{id} ({name}) runs and is not stored"));
            }
        }
        let kept: BTreeSet<String> = state.kept_resource_ids().iter().map(ToString::to_string).collect();
        let mut reserved = BTreeSet::new();
        for agent in (0..cluster.config().agents.len()).filter(|agent| !is_gone(*agent)) {
            for resource in cluster.reservations(agent) {
                let id = Resource::from_wire(&resource)
                    .ok()
                    .and_then(|resource| resource.resource_id())
                    .map(|id| id.to_string());
                let id = id.unwrap_or_default();
                if !kept.contains(&id) {
                    problems.push(format!("reservation {id} on agent {agent} is nobody's"));
                }
                reserved.insert(id);
            }
        }
        for id in kept.difference(&reserved) {
            problems.push(format!("reservation {id} is stored and does not exist"));
        }
        if !state.planned.is_empty() {
            problems.push(format!("reservations are still planned: {:?}", state.planned));
        }
        // What an agent held that is gone for good is never seen again; it stays noted, in case it comes back under the same id.
        let is_there = |agent: &str| cluster.agent_of(agent).is_some_and(|agent| !is_gone(agent));
        for (id, given_up) in state.releasing.iter().filter(|(_, given_up)| is_there(given_up.agent_id.as_str())) {
            problems.push(format!("reservation {id} on {given_up} is still being released"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n  ")) }
    }
}
