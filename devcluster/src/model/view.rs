//! Read access to the truth of the cluster, for invariants of tests and simulation.
//!
//! What a framework is told may lag behind; this is what the agents really hold.

use mainstay_proto::v1;

use super::agent::{Executor, ExecutorState};
use super::updates::is_terminal;
use super::{AgentIndex, Cluster, VolumeRef, resources};

/// A task that an agent has taken on and that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveTask {
    /// Its id.
    pub task_id: String,
    /// Its name.
    pub name: String,
    /// Its framework.
    pub framework_id: String,
    /// Its executor.
    pub executor_id: String,
    /// Where it is.
    pub agent: AgentIndex,
    /// The agent's id.
    pub agent_id: String,
    /// Its state according to the agent: STAGING until the executor said more.
    pub state: v1::TaskState,
    /// What it was launched with.
    pub info: v1::TaskInfo,
}

/// An executor whose process may be alive.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveExecutor {
    /// Its id.
    pub executor_id: String,
    /// Its framework.
    pub framework_id: String,
    /// Its container.
    pub container_id: String,
    /// Where it is.
    pub agent: AgentIndex,
    /// Whether it is subscribed now.
    pub connected: bool,
}

/// A persistent volume on an agent's disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Where it is.
    pub agent: AgentIndex,
    /// Its place on that agent.
    pub place: VolumeRef,
    /// The resource it was created as.
    pub resource: v1::Resource,
}

fn is_alive(executor: &Executor) -> bool {
    executor.state != ExecutorState::Terminated && executor.exited.is_none()
}

impl Cluster {
    /// The configuration.
    pub fn config(&self) -> &super::Config {
        &self.config
    }

    /// The agent's id, once it has registered.
    pub fn agent_id(&self, agent: AgentIndex) -> Option<&str> {
        self.agents[agent].id.as_deref()
    }

    /// Position of the agent with this id.
    pub fn agent_of(&self, agent_id: &str) -> Option<AgentIndex> {
        self.agents.iter().position(|agent| agent.id.as_deref() == Some(agent_id))
    }

    /// Whether the agent's process runs.
    pub fn is_agent_running(&self, agent: AgentIndex) -> bool {
        self.agents[agent].running
    }

    /// Whether the master counts the agent as registered and connected.
    pub fn is_agent_registered(&self, agent: AgentIndex) -> bool {
        let id = self.agents[agent].id.as_ref();
        id.and_then(|id| self.master.agents.get(id)).is_some_and(|known| known.connected)
    }

    /// Tasks on agents, stopped and parted ones too: anything here may be running.
    pub fn live_tasks(&self) -> Vec<LiveTask> {
        let mut live = Vec::new();
        for (agent, known) in self.agents.iter().enumerate() {
            for ((framework_id, executor_id), executor) in
                known.executors.iter().filter(|(_, executor)| is_alive(executor))
            {
                let queued = executor.queued.iter().flat_map(|queued| &queued.tasks);
                let queued = queued.map(|info| (info, v1::TaskState::TaskStaging));
                let delivered = executor
                    .tasks
                    .values()
                    .filter(|task| !is_terminal(task.state))
                    .map(|task| (&task.info, task.state));
                live.extend(queued.chain(delivered).map(|(info, state)| LiveTask {
                    task_id: info.task_id.value.clone(),
                    name: info.name.clone(),
                    framework_id: framework_id.clone(),
                    executor_id: executor_id.clone(),
                    agent,
                    agent_id: known.id.clone().unwrap_or_default(),
                    state,
                    info: info.clone(),
                }));
            }
        }
        live
    }

    /// Executors on agents, stopped and parted ones too.
    pub fn live_executors(&self) -> Vec<LiveExecutor> {
        let all = self.agents.iter().enumerate().flat_map(|(agent, known)| {
            known.executors.iter().filter(|(_, executor)| is_alive(executor)).map(move |(key, executor)| LiveExecutor {
                executor_id: key.1.clone(),
                framework_id: key.0.clone(),
                container_id: executor.container_id.clone(),
                agent,
                connected: executor.conn.is_some(),
            })
        });
        all.collect()
    }

    /// What is dynamically reserved on an agent, volumes included, in the `reservations` format.
    pub fn reservations(&self, agent: AgentIndex) -> Vec<v1::Resource> {
        self.agents[agent].total.filter(resources::is_dynamically_reserved).to_vec()
    }

    /// Everything an agent has.
    pub fn total(&self, agent: AgentIndex) -> Vec<v1::Resource> {
        self.agents[agent].total.to_vec()
    }

    /// What of an agent no task and no executor uses, reserved or not; offers that are out do not count.
    pub fn unused(&self, agent: AgentIndex) -> Vec<v1::Resource> {
        let known = self.agents[agent].id.as_ref().and_then(|id| self.master.agents.get(id));
        let used = known.map(super::master::MasterAgent::used).unwrap_or_default();
        self.agents[agent].total.without(&used).to_vec()
    }

    /// The persistent volumes that exist.
    pub fn volumes(&self) -> Vec<Volume> {
        let all = self.agents.iter().enumerate().flat_map(|(agent, known)| {
            known.volumes.iter().map(move |(place, resource)| Volume {
                agent,
                place: place.clone(),
                resource: resource.clone(),
            })
        });
        all.collect()
    }

    /// Ids of the frameworks that the master knows.
    pub fn framework_ids(&self) -> Vec<String> {
        self.master.frameworks.keys().cloned().collect()
    }

    /// Ids of the offers that are out, with their framework.
    pub fn outstanding_offers(&self) -> Vec<(String, String)> {
        self.master.offers.iter().map(|(id, offer)| (id.clone(), offer.framework_id.clone())).collect()
    }

    /// Free plus offered plus used equals the total on every agent the master knows.
    ///
    /// Errors: names the agent and the two sides that differ.
    pub fn check_accounts(&self) -> Result<(), String> {
        for (agent_id, agent) in &self.master.agents {
            let mut rest = agent.total.clone();
            let used = resources::Resources::new(agent.used()).to_vec();
            if !rest.subtract_all(&used) {
                return Err(format!(
                    "agent {agent_id} uses {} of {}",
                    resources::describe(&used),
                    resources::describe(agent.total.iter())
                ));
            }
            for offer in self.master.offers.values().filter(|offer| offer.agent_id == *agent_id) {
                if !rest.subtract_all(&offer.resources.to_vec()) {
                    return Err(format!(
                        "agent {agent_id} offers {} beside {}",
                        resources::describe(offer.resources.iter()),
                        resources::describe(&used)
                    ));
                }
            }
        }
        Ok(())
    }
}
