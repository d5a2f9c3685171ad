//! The state of a cluster that outlives its process: what agents keep on disk and what the master's registry holds.
//!
//! A restored cluster is a master that failed over and agents that restarted: frameworks come back under their ids,
//! executors have to be found again or are reported as ended.
//!
//! Invariant: restoring what was saved loses no reservation, no volume, no agent id and no unacknowledged update.

use std::collections::BTreeMap;

use mainstay_proto::v1;
use prost::Message;

use super::agent::{Executor, ExecutorState, LiveTask, volume_ref};
use super::resources::Resources;
use super::updates::Stream;
use super::{Cluster, Config};

/// The whole saved state.
#[derive(Clone, PartialEq, Message)]
struct Saved {
    #[prost(message, repeated, tag = "1")]
    agents: Vec<SavedAgent>,
    #[prost(uint64, tag = "2")]
    now_nanos: u64,
    #[prost(string, repeated, tag = "3")]
    completed: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SavedAgent {
    #[prost(string, tag = "1")]
    hostname: String,
    #[prost(string, optional, tag = "2")]
    id: Option<String>,
    #[prost(message, repeated, tag = "3")]
    total: Vec<v1::Resource>,
    #[prost(message, repeated, tag = "4")]
    frameworks: Vec<v1::FrameworkInfo>,
    #[prost(message, repeated, tag = "5")]
    executors: Vec<SavedExecutor>,
    #[prost(message, repeated, tag = "6")]
    updates: Vec<SavedUpdates>,
}

#[derive(Clone, PartialEq, Message)]
struct SavedExecutor {
    #[prost(string, tag = "1")]
    framework_id: String,
    #[prost(message, required, tag = "2")]
    info: v1::ExecutorInfo,
    #[prost(string, tag = "3")]
    container_id: String,
    #[prost(message, repeated, tag = "4")]
    tasks: Vec<SavedTask>,
    #[prost(bool, tag = "5")]
    is_terminated: bool,
}

#[derive(Clone, PartialEq, Message)]
struct SavedTask {
    #[prost(message, required, tag = "1")]
    info: v1::TaskInfo,
    #[prost(int32, tag = "2")]
    state: i32,
    #[prost(bool, tag = "3")]
    is_terminated: bool,
}

#[derive(Clone, PartialEq, Message)]
struct SavedUpdates {
    #[prost(string, tag = "1")]
    framework_id: String,
    #[prost(string, tag = "2")]
    task_id: String,
    #[prost(string, tag = "3")]
    executor_id: String,
    #[prost(message, repeated, tag = "4")]
    pending: Vec<v1::TaskStatus>,
}

/// Why saved state cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the saved state of the cluster cannot be read")]
pub struct RestoreError(#[from] prost::DecodeError);

impl Cluster {
    /// The state to keep, encoded.
    pub fn save(&self) -> Vec<u8> {
        let agents = self.agents.iter().zip(&self.config.agents).map(|(agent, config)| SavedAgent {
            hostname: config.hostname.clone(),
            id: agent.id.clone(),
            total: agent.total.to_vec(),
            frameworks: agent.frameworks.values().cloned().collect(),
            executors: agent.executors.iter().map(|(key, executor)| save_executor(&key.0, executor)).collect(),
            updates: agent
                .streams
                .iter()
                .map(|(key, stream)| SavedUpdates {
                    framework_id: key.0.clone(),
                    task_id: key.1.clone(),
                    executor_id: stream.executor_id.clone(),
                    pending: stream.pending.iter().cloned().collect(),
                })
                .collect(),
        });
        let completed = self.master.completed.iter().cloned().collect();
        Saved { agents: agents.collect(), now_nanos: self.now.as_nanos() as u64, completed }.encode_to_vec()
    }

    /// A cluster that goes on where the saved one stood; all executors of it count as ended.
    ///
    /// Agents are matched by host name; one that the configuration no longer has is forgotten with its volumes' entries
    /// (their folders stay on disk).
    pub fn restore(config: Config, saved: &[u8]) -> Result<Self, RestoreError> {
        let saved = Saved::decode(saved)?;
        let mut cluster = Self::new(config);
        cluster.master.completed = saved.completed.into();
        let wait = cluster.config.executor_reregistration_timeout;
        let interval = cluster.config.update_retry_min;
        for agent in saved.agents {
            let Some(index) = cluster.config.agents.iter().position(|config| config.hostname == agent.hostname) else {
                continue;
            };
            let known = &mut cluster.agents[index];
            known.id.clone_from(&agent.id);
            known.total = Resources::new(agent.total);
            known.volumes = known.total.iter().filter_map(|one| Some((volume_ref(one)?, one.clone()))).collect();
            known.frameworks = agent
                .frameworks
                .into_iter()
                .map(|info| (info.id.as_ref().map(|id| id.value.clone()).unwrap_or_default(), info))
                .collect();
            for executor in agent.executors {
                let key = (executor.framework_id.clone(), executor.info.executor_id.value.clone());
                known.executors.insert(key, restore_executor(executor));
            }
            for updates in agent.updates {
                let stream = Stream::restored(updates.executor_id, updates.pending, interval);
                known.streams.insert((updates.framework_id, updates.task_id), stream);
            }
            if known.executors.values().any(|executor| executor.state != ExecutorState::Terminated) {
                known.recovering_until = Some(wait.min(std::time::Duration::from_millis(100)));
                known.register_at = None;
            }
            if let Some(id) = agent.id {
                cluster.master.recovered.insert(id, std::time::Duration::from_secs(600));
            }
        }
        Ok(cluster)
    }
}

fn save_executor(framework_id: &str, executor: &Executor) -> SavedExecutor {
    let task = |info: &v1::TaskInfo, state: v1::TaskState, is_terminated: bool| SavedTask {
        info: info.clone(),
        state: state as i32,
        is_terminated,
    };
    let queued = executor.queued.iter().flat_map(|queued| &queued.tasks);
    let queued = queued.map(|info| task(info, v1::TaskState::TaskStaging, false));
    let live = executor.tasks.values().map(|one| task(&one.info, one.state, false));
    let ended = executor.terminated.values().map(|one| task(&one.info, one.state, true));
    SavedExecutor {
        framework_id: framework_id.to_owned(),
        info: executor.info.clone(),
        container_id: executor.container_id.clone(),
        tasks: queued.chain(live).chain(ended).collect(),
        is_terminated: executor.state == ExecutorState::Terminated,
    }
}

fn restore_executor(saved: SavedExecutor) -> Executor {
    let mut tasks = BTreeMap::new();
    let mut terminated = BTreeMap::new();
    for task in saved.tasks {
        let id = task.info.task_id.value.clone();
        let state = v1::TaskState::try_from(task.state).unwrap_or(v1::TaskState::TaskStaging);
        let map = if task.is_terminated { &mut terminated } else { &mut tasks };
        map.insert(id, LiveTask { info: task.info, state });
    }
    Executor {
        info: saved.info,
        container_id: saved.container_id,
        state: if saved.is_terminated { ExecutorState::Terminated } else { ExecutorState::Running },
        conn: None,
        queued: Vec::new(),
        tasks,
        terminated,
        links: BTreeMap::new(),
        deadline: None,
        end: None,
        killed: false,
        // Its process ended with the cluster that is restored.
        exited: (!saved.is_terminated).then_some(9),
        back: saved.is_terminated,
    }
}
