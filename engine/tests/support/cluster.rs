//! A master and its agents, small: what is free, what is used by whom.
//!
//! Not a simulation (that is `devcluster`): it applies operations strictly, offers what is left and otherwise does what the scenario says.
//! Invariant: an operation that Mesos would refuse is an error, never passed over.

use mainstay_engine::ids::{AgentId, ExecutorId, OfferId};
use mainstay_engine::offer::Offer;
use mainstay_engine::resource::{Disk, Ranges, ReservationKind, Resource, Value};
use mainstay_engine::units::Scalar;
use mainstay_proto::v1;
use mainstay_proto::v1::offer::operation::Type;

#[path = "pool.rs"]
mod pool;

use pool::{add, popped, read, take, without_volume};

/// Role of every scenario's framework.
pub(crate) const ROLE: &str = "hello-role";

/// One agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    /// Name, also its id and host name.
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    region: Option<String>,
    /// Nobody uses these.
    pub(crate) free: Vec<Resource>,
    executors: Vec<Executor>,
}

#[derive(Debug, Clone)]
struct Executor {
    info: v1::ExecutorInfo,
    resources: Vec<Resource>,
}

/// A launched task.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// Task name.
    pub(crate) name: String,
    /// Task id.
    pub(crate) id: String,
    /// Its agent.
    pub(crate) agent: String,
    /// Its executor.
    pub(crate) executor: String,
    resources: Vec<Resource>,
    is_over: bool,
}

/// The whole cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    /// Agents in the order they were added.
    pub(crate) agents: Vec<Agent>,
    /// Every launch so far.
    pub(crate) launches: Vec<Launch>,
    offers: u32,
}

impl Cluster {
    /// Adds an agent: `cpus 2 mem 1024 disk 4096 ports 31000-31010 attr rack:r1 region west`.
    pub(crate) fn add(&mut self, name: &str, words: &[&str]) {
        let mut agent = Agent {
            name: name.to_owned(),
            attributes: Vec::new(),
            region: None,
            free: Vec::new(),
            executors: Vec::new(),
        };
        for pair in words.chunks(2) {
            let [what, value] = pair else { panic!("agent {name}: odd words") };
            match *what {
                "cpus" | "mem" | "disk" | "gpus" => {
                    let thousandths = (value.parse::<f64>().unwrap() * 1000.0).round() as u64;
                    agent.free.push(plain_resource(what, Value::Scalar(Scalar::from_millis(thousandths))));
                }
                "ports" => {
                    let (from, to) = value.split_once('-').unwrap();
                    let ranges = Ranges::new([(from.parse().unwrap(), to.parse().unwrap())]);
                    agent.free.push(plain_resource(what, Value::Ranges(ranges)));
                }
                "attr" => {
                    let (key, value) = value.split_once(':').unwrap();
                    agent.attributes.push((key.to_owned(), value.to_owned()));
                }
                "region" => agent.region = Some((*value).to_owned()),
                other => panic!("agent {name}: what is {other}"),
            }
        }
        self.agents.push(agent);
    }

    /// What the master would offer of these agents now (of all when none is named).
    pub(crate) fn offers(&mut self, names: &[&str]) -> Vec<Offer> {
        let mut offers = Vec::new();
        for agent in self.agents.iter().filter(|agent| names.is_empty() || names.contains(&agent.name.as_str())) {
            self.offers += 1;
            offers.push(Offer {
                id: OfferId::parse(format!("o{}", self.offers)).unwrap(),
                agent_id: AgentId::parse(agent.name.clone()).unwrap(),
                hostname: agent.name.clone(),
                region: agent.region.clone(),
                zone: None,
                attributes: agent.attributes.clone(),
                resources: agent.free.clone(),
                executor_ids: agent
                    .executors
                    .iter()
                    .map(|executor| ExecutorId::parse(executor.info.executor_id.value.clone()).unwrap())
                    .collect(),
                allocation_role: Some(ROLE.to_owned()),
            });
        }
        offers
    }

    /// The n-th launch (from 1) of a task name; the last one for `None`.
    pub(crate) fn launch(&self, name: &str, number: Option<usize>) -> Option<&Launch> {
        let mut found = self.launches.iter().filter(|launch| launch.name == name);
        match number {
            Some(number) => found.nth(number - 1),
            None => found.next_back(),
        }
    }

    /// A launch is over: what it used is free, and with the last one what its executor used.
    pub(crate) fn end(&mut self, id: &str) {
        let Some(launch) = self.launches.iter_mut().find(|launch| launch.id == id && !launch.is_over) else { return };
        launch.is_over = true;
        let (agent, executor) = (launch.agent.clone(), launch.executor.clone());
        let resources = std::mem::take(&mut launch.resources);
        let is_last = !self.launches.iter().any(|other| other.executor == executor && !other.is_over);
        let Some(agent) = self.agents.iter_mut().find(|known| known.name == agent) else { return };
        for resource in resources {
            add(&mut agent.free, resource);
        }
        if is_last && let Some(at) = agent.executors.iter().position(|one| one.info.executor_id.value == executor) {
            for resource in agent.executors.remove(at).resources {
                add(&mut agent.free, resource);
            }
        }
    }

    /// An agent is removed for good with everything on it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.agents.retain(|agent| agent.name != name);
        for launch in self.launches.iter_mut().filter(|launch| launch.agent == name) {
            launch.is_over = true;
        }
    }

    /// Applies the operations of an ACCEPT in order; answers one line for each.
    pub(crate) fn accept(&mut self, agent: &str, operations: &[v1::offer::Operation]) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        for one in operations {
            lines.push(self.operation(agent, one)?);
        }
        Ok(lines)
    }

    fn operation(&mut self, name: &str, one: &v1::offer::Operation) -> Result<String, String> {
        let Some(agent) = self.agents.iter_mut().find(|agent| agent.name == name) else {
            return Err(format!("no agent {name}"));
        };
        let kind = Type::try_from(one.r#type.unwrap_or_default()).unwrap_or_default();
        match kind {
            Type::Reserve => {
                let resources = read(&one.reserve.as_ref().ok_or("empty")?.resources)?;
                for resource in &resources {
                    take(&mut agent.free, &popped(resource))?;
                    add(&mut agent.free, resource.clone());
                }
                Ok(format!("RESERVE {}", texts(&resources)))
            }
            Type::Unreserve => {
                let resources = read(&one.unreserve.as_ref().ok_or("empty")?.resources)?;
                for resource in &resources {
                    take(&mut agent.free, resource)?;
                    add(&mut agent.free, popped(resource));
                }
                Ok(format!("UNRESERVE {}", texts(&resources)))
            }
            Type::Create => {
                let volumes = read(&one.create.as_ref().ok_or("empty")?.volumes)?;
                for volume in &volumes {
                    take(&mut agent.free, &without_volume(volume))?;
                    add(&mut agent.free, volume.clone());
                }
                Ok(format!("CREATE {}", texts(&volumes)))
            }
            Type::Destroy => {
                let volumes = read(&one.destroy.as_ref().ok_or("empty")?.volumes)?;
                for volume in &volumes {
                    take(&mut agent.free, volume)?;
                    add(&mut agent.free, without_volume(volume));
                }
                Ok(format!("DESTROY {}", texts(&volumes)))
            }
            Type::LaunchGroup => {
                let group = one.launch_group.as_ref().ok_or("empty")?;
                let info = group.executor.clone();
                let id = info.executor_id.value.clone();
                if agent.executors.iter().any(|known| known.info.executor_id == info.executor_id) {
                    return Err(format!("executor {id} is there already"));
                }
                let resources = read(&info.resources)?;
                for resource in &resources {
                    take(&mut agent.free, resource)?;
                }
                agent.executors.push(Executor { info, resources });
                let have_limits = group.task_group.tasks.iter().any(|task| !task.limits.is_empty());
                if group.task_group.tasks.iter().any(|task| shares_cgroups(task) == have_limits) {
                    return Err("limits in a group want cgroups of their own for all of its tasks".to_owned());
                }
                self.launch_all(name, &id, &group.task_group.tasks)?;
                Ok(format!("LAUNCH_GROUP {}", names(&group.task_group.tasks)))
            }
            Type::Launch => {
                let tasks = &one.launch.as_ref().ok_or("empty")?.task_infos;
                let mut executor = String::new();
                for task in tasks {
                    let info = task.executor.as_deref().ok_or("LAUNCH without executor")?;
                    let known =
                        agent.executors.iter().find(|known| known.info == *info).ok_or("another executor than runs")?;
                    executor.clone_from(&known.info.executor_id.value);
                    if !shares_cgroups(task) {
                        return Err("only tasks of a group may have cgroups of their own".to_owned());
                    }
                }
                self.launch_all(name, &executor, tasks)?;
                Ok(format!("LAUNCH {}", names(tasks)))
            }
            other => Err(format!("unexpected {other:?}")),
        }
    }

    fn launch_all(&mut self, agent: &str, executor: &str, tasks: &[v1::TaskInfo]) -> Result<(), String> {
        if tasks.is_empty() {
            return Err("a launch of nothing".to_owned());
        }
        for task in tasks {
            let resources = read(&task.resources)?;
            let known = self.agents.iter_mut().find(|known| known.name == agent).ok_or("no such agent")?;
            for resource in &resources {
                take(&mut known.free, resource)?;
            }
            if self.launches.iter().any(|known| known.id == task.task_id.value) {
                return Err(format!("launch id {} is used twice", task.task_id.value));
            }
            self.launches.push(Launch {
                name: task.name.clone(),
                id: task.task_id.value.clone(),
                agent: agent.to_owned(),
                executor: executor.to_owned(),
                resources,
                is_over: false,
            });
        }
        Ok(())
    }

    /// Every reservation, one line each, whether used or free.
    pub(crate) fn reservations(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for agent in &self.agents {
            let used = self
                .launches
                .iter()
                .filter(|launch| launch.agent == agent.name && !launch.is_over)
                .flat_map(|launch| launch.resources.iter().map(move |resource| (launch.name.as_str(), resource)));
            let executors = agent
                .executors
                .iter()
                .flat_map(|executor| executor.resources.iter().map(|resource| ("executor", resource)));
            let free = agent.free.iter().map(|resource| ("free", resource));
            for (by, resource) in used.chain(executors).chain(free).filter(|(_, one)| one.is_dynamically_reserved()) {
                lines.push(format!("{} {} ({by})", agent.name, text(resource)));
            }
        }
        lines
    }

    /// An operator unreserves what is free of a resource, or destroys the volumes that are free.
    pub(crate) fn unreserve(&mut self, agent: &str, name: &str) {
        let agent = self.agents.iter_mut().find(|known| known.name == agent).unwrap();
        let is_meant = |resource: &Resource| match (name, resource.persistence_id()) {
            ("volume", volume) => volume.is_some(),
            (name, volume) => volume.is_none() && resource.name == name && resource.is_dynamically_reserved(),
        };
        let meant: Vec<Resource> = agent.free.iter().filter(|resource| is_meant(resource)).cloned().collect();
        assert!(!meant.is_empty(), "nothing to take away");
        for resource in meant {
            take(&mut agent.free, &resource).unwrap();
            add(&mut agent.free, if name == "volume" { without_volume(&resource) } else { popped(&resource) });
        }
    }

    /// Puts a reservation under an agent that somebody else made.
    pub(crate) fn reserve_foreign(&mut self, name: &str, role: &str, labels: &[(String, String)]) {
        use mainstay_engine::resource::Reservation;
        let agent = self.agents.iter_mut().find(|agent| agent.name == name).unwrap();
        let mut resource = plain_resource("cpus", Value::Scalar(Scalar::from_millis(100)));
        take(&mut agent.free, &resource).unwrap();
        resource.reservations.push(Reservation {
            kind: ReservationKind::Dynamic,
            role: role.to_owned(),
            principal: Some("somebody".to_owned()),
            labels: labels.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect(),
        });
        agent.free.push(resource);
    }
}

fn shares_cgroups(task: &v1::TaskInfo) -> bool {
    let linux = task.container.as_ref().and_then(|container| container.linux_info.as_ref());
    linux.is_none_or(|linux| linux.share_cgroups())
}

fn plain_resource(name: &str, value: Value) -> Resource {
    Resource {
        name: name.to_owned(),
        value,
        allocation_role: Some(ROLE.to_owned()),
        reservations: Vec::new(),
        disk: None,
        provider_id: None,
        shared: false,
        revocable: false,
    }
}

fn names(tasks: &[v1::TaskInfo]) -> String {
    tasks.iter().map(|task| format!("{} as {}", task.name, task.task_id.value)).collect::<Vec<_>>().join(", ")
}

fn texts(resources: &[Resource]) -> String {
    resources.iter().map(|one| format!("{} {}", one.name, amount(one))).collect::<Vec<_>>().join(", ")
}

fn amount(resource: &Resource) -> String {
    match &resource.value {
        Value::Scalar(amount) => amount.to_string(),
        Value::Ranges(ranges) => ranges.to_string(),
        Value::Set(items) => format!("{items:?}"),
    }
}

fn text(resource: &Resource) -> String {
    let amount = amount(resource);
    let volume = resource.persistence_id().map(|id| format!(" volume {id}")).unwrap_or_default();
    let id = resource.resource_id().map_or_else(|| "?".to_owned(), |id| id.to_string());
    format!("{} {amount} id {id}{volume}", resource.name)
}
