//! What operators' GET calls and tools see of the master.
//!
//! Not here: HTTP and JSON (`crate::http`).

use mainstay_proto::v1::{self, master};

use super::master::Framework;
use super::resources::Resources;
use super::updates::is_terminal;
use super::{Cluster, validation};

use master::response::{self, Type as ResponseType};

/// The version of Mesos whose behaviour is imitated.
pub(crate) const VERSION: &str = "1.11.0";

fn response(kind: ResponseType) -> master::Response {
    master::Response { r#type: Some(kind as i32), ..Default::default() }
}

impl Cluster {
    /// Answers a GET call of the master's operator API; `None` for what this cluster does not serve.
    pub fn operator_get(&self, kind: master::call::Type) -> Option<master::Response> {
        use master::call::Type;
        let answer = match kind {
            Type::GetHealth => master::Response {
                get_health: Some(response::GetHealth { healthy: true }),
                ..response(ResponseType::GetHealth)
            },
            Type::GetVersion => {
                let version_info = v1::VersionInfo { version: VERSION.into(), ..Default::default() };
                let get_version = Some(Box::new(response::GetVersion { version_info }));
                master::Response { get_version, ..response(ResponseType::GetVersion) }
            }
            Type::GetFlags => master::Response {
                get_flags: Some(Box::new(response::GetFlags { flags: Vec::new() })),
                ..response(ResponseType::GetFlags)
            },
            Type::GetMaster => {
                let get_master = response::GetMaster {
                    master_info: Some(Box::new(self.master_info())),
                    start_time: Some(self.config.epoch.as_secs_f64()),
                    elected_time: Some(self.config.epoch.as_secs_f64()),
                };
                master::Response { get_master: Some(Box::new(get_master)), ..response(ResponseType::GetMaster) }
            }
            Type::GetAgents => {
                master::Response { get_agents: Some(Box::new(self.get_agents())), ..response(ResponseType::GetAgents) }
            }
            Type::GetFrameworks => master::Response {
                get_frameworks: Some(Box::new(self.get_frameworks())),
                ..response(ResponseType::GetFrameworks)
            },
            Type::GetExecutors => master::Response {
                get_executors: Some(Box::new(self.get_executors())),
                ..response(ResponseType::GetExecutors)
            },
            Type::GetTasks => {
                master::Response { get_tasks: Some(Box::new(self.get_tasks())), ..response(ResponseType::GetTasks) }
            }
            Type::GetState => {
                let get_state = response::GetState {
                    get_tasks: Some(Box::new(self.get_tasks())),
                    get_executors: Some(Box::new(self.get_executors())),
                    get_frameworks: Some(Box::new(self.get_frameworks())),
                    get_agents: Some(Box::new(self.get_agents())),
                };
                master::Response { get_state: Some(Box::new(get_state)), ..response(ResponseType::GetState) }
            }
            Type::GetRoles => {
                master::Response { get_roles: Some(Box::new(self.get_roles())), ..response(ResponseType::GetRoles) }
            }
            Type::GetOperations => {
                let operations = self.master.agents.values().flat_map(|agent| agent.operations.values().cloned());
                let get_operations = response::GetOperations { operations: operations.collect() };
                master::Response {
                    get_operations: Some(Box::new(get_operations)),
                    ..response(ResponseType::GetOperations)
                }
            }
            _ => return None,
        };
        Some(answer)
    }

    fn agent_info(&self, index: super::AgentIndex, agent_id: &str) -> v1::AgentInfo {
        let config = &self.config.agents[index];
        v1::AgentInfo {
            hostname: config.hostname.clone(),
            resources: config.resources.clone(),
            attributes: config.attributes.clone(),
            id: Some(v1::AgentId { value: agent_id.to_owned() }),
            checkpoint: Some(true),
            port: Some(i32::from(config.port)),
            domain: config.domain.clone().map(Box::new),
        }
    }

    fn get_agents(&self) -> response::GetAgents {
        let agents = self.master.agents.iter().map(|(agent_id, agent)| {
            let config = &self.config.agents[agent.index];
            let offers = self.master.offers.values().filter(|offer| offer.agent_id == *agent_id);
            response::get_agents::Agent {
                agent_info: self.agent_info(agent.index, agent_id),
                active: agent.connected,
                version: VERSION.into(),
                pid: Some(format!("slave(1)@{}:{}", config.ip, config.port)),
                registered_time: Some(self.time_info(agent.registered_at)),
                reregistered_time: agent.reregistered_at.map(|at| self.time_info(at)),
                total_resources: agent.total.to_vec(),
                allocated_resources: Resources::new(agent.used()).to_vec(),
                offered_resources: Resources::new(offers.flat_map(|offer| offer.resources.to_vec())).to_vec(),
                capabilities: agent_capabilities(),
                ..Default::default()
            }
        });
        let index_of = |id: &str| self.agents.iter().position(|agent| agent.id.as_deref() == Some(id));
        let recovered = self.master.recovered.keys();
        response::GetAgents {
            agents: agents.collect(),
            recovered_agents: recovered.filter_map(|id| Some(self.agent_info(index_of(id)?, id))).collect(),
        }
    }

    fn get_frameworks(&self) -> response::GetFrameworks {
        let one = |(id, framework): (&String, &Framework)| {
            let offers: Vec<_> = self.master.offers.iter().filter(|(_, offer)| offer.framework_id == *id).collect();
            let used = self.master.agents.values().flat_map(|agent| {
                let tasks = agent.tasks.iter().filter(|((of, _), task)| of == id && !is_terminal(task.state()));
                let executors = agent.executors.iter().filter(|((of, _), _)| of == id);
                let of_tasks = tasks.flat_map(|(_, task)| task.resources.clone());
                of_tasks.chain(executors.flat_map(|(_, executor)| executor.resources.clone())).collect::<Vec<_>>()
            });
            response::get_frameworks::Framework {
                framework_info: framework.info.clone(),
                active: framework.connection.is_some(),
                connected: framework.connection.is_some(),
                recovered: framework.connection.is_none() && framework.remove_at.is_none(),
                registered_time: Some(self.time_info(framework.registered_at)),
                offers: offers.iter().map(|(offer_id, offer)| self.operator_offer(offer_id, offer)).collect(),
                allocated_resources: Resources::new(used).to_vec(),
                offered_resources: Resources::new(offers.iter().flat_map(|(_, offer)| offer.resources.to_vec()))
                    .to_vec(),
                ..Default::default()
            }
        };
        response::GetFrameworks { frameworks: self.master.frameworks.iter().map(one).collect(), ..Default::default() }
    }

    fn operator_offer(&self, offer_id: &str, offer: &super::allocator::Offer) -> v1::Offer {
        v1::Offer {
            id: v1::OfferId { value: offer_id.to_owned() },
            framework_id: v1::FrameworkId { value: offer.framework_id.clone() },
            agent_id: v1::AgentId { value: offer.agent_id.clone() },
            hostname: self.config.agents[self.master.agents[&offer.agent_id].index].hostname.clone(),
            resources: offer.resources.to_vec(),
            ..Default::default()
        }
    }

    fn get_executors(&self) -> response::GetExecutors {
        let executors = self.master.agents.iter().flat_map(|(agent_id, agent)| {
            agent.executors.values().map(|info| response::get_executors::Executor {
                executor_info: info.clone(),
                agent_id: v1::AgentId { value: agent_id.clone() },
            })
        });
        response::GetExecutors { executors: executors.collect(), ..Default::default() }
    }

    fn get_tasks(&self) -> response::GetTasks {
        let tasks = self.master.agents.values().flat_map(|agent| agent.tasks.values().cloned());
        let frameworks = self.master.frameworks.values();
        response::GetTasks {
            tasks: tasks.collect(),
            unreachable_tasks: frameworks
                .clone()
                .flat_map(|one| one.unreachable_tasks.values().map(|(_, task)| task.clone()))
                .collect(),
            completed_tasks: frameworks.flat_map(|one| one.completed_tasks.iter().cloned()).collect(),
            ..Default::default()
        }
    }

    fn get_roles(&self) -> response::GetRoles {
        let mut roles: std::collections::BTreeMap<String, Vec<v1::FrameworkId>> = std::collections::BTreeMap::new();
        for (id, framework) in &self.master.frameworks {
            for role in validation::roles(&framework.info) {
                roles.entry(role).or_default().push(v1::FrameworkId { value: id.clone() });
            }
        }
        let role = |(name, frameworks)| v1::Role { name, weight: 1.0, frameworks, resources: Vec::new() };
        response::GetRoles { roles: roles.into_iter().map(role).collect() }
    }
}

fn agent_capabilities() -> Vec<v1::agent_info::Capability> {
    use v1::agent_info::capability::Type;
    [Type::MultiRole, Type::HierarchicalRole, Type::ReservationRefinement, Type::AgentOperationFeedback]
        .map(|kind| v1::agent_info::Capability { r#type: Some(kind as i32) })
        .to_vec()
}
