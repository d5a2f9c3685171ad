//! Services, offers and a strict master, for the tests of this folder.
//!
//! Not a simulation: [`Master`] only checks that an ACCEPT would be applied as a whole, by the rules of the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use mainstay_proto::v1;
use mainstay_proto::v1::offer::operation;
use mainstay_spec::{
    ConfigSpec, Goal, HealthCheckSpec, PodSpec, PortSpec, ReadinessCheckSpec, ResourceSet, ServiceSpec, TaskSpec,
    VipSpec, VolumeKind, VolumeSpec,
};

use super::Offer;
use super::evaluate::evaluate;
use super::placement::Counts;
use super::report::Report;
use super::requirement::{Accepted, Recovery, Requirement};
use super::role;
use crate::config::Config;
use crate::ids::{AgentId, ConfigId, ExecutorId, FrameworkId, Generator, OfferId, PodInstance};
use crate::resource::{Disk, DiskSource, Ranges, Reservation, ReservationKind, Resource, Value};
use crate::state::Task;
use crate::task::status::{State, Status};
use crate::units::Scalar;

#[path = "../../tests/support/pool.rs"]
mod pool;

use pool::{add, popped, read, take, without_volume};

pub(crate) const ROLE: &str = "hello-role";

pub(crate) const fn units(units: u64) -> Scalar {
    Scalar::from_units(units)
}

pub(crate) fn config() -> Config {
    Config::new(ROLE, "scheduler", 8080)
}

pub(crate) fn root_volume(path: &str, size: u64) -> VolumeSpec {
    VolumeSpec { path: path.into(), kind: VolumeKind::Root, size_mb: units(size) }
}

pub(crate) fn mount_volume(path: &str, size: u64) -> VolumeSpec {
    VolumeSpec { path: path.into(), kind: VolumeKind::Mount { profiles: Vec::new() }, size_mb: units(size) }
}

pub(crate) fn port(name: &str, number: Option<u16>) -> PortSpec {
    PortSpec { name: name.into(), port: number, env_key: None, advertise: false, vip: None, ..PortSpec::default() }
}

pub(crate) fn task(name: &str, set: &str) -> TaskSpec {
    TaskSpec {
        name: name.into(),
        goal: Goal::Running,
        essential: true,
        cmd: format!("./{name}"),
        env: BTreeMap::new(),
        configs: Vec::new(),
        resource_set: set.into(),
        health_check: None,
        readiness_check: None,
        discovery: None,
        labels: Vec::new(),
        kill_grace_period_secs: 0,
        ..TaskSpec::default()
    }
}

pub(crate) fn set(id: &str) -> ResourceSet {
    ResourceSet {
        id: id.into(),
        cpus: Some(Scalar::from_millis(500)),
        memory_mb: Some(units(128)),
        ports: Vec::new(),
        volumes: Vec::new(),
        ..ResourceSet::default()
    }
}

/// Two tasks with a set each; the server with everything a task can have.
pub(crate) fn pod() -> PodSpec {
    let server = TaskSpec {
        env: BTreeMap::from([("NAME".into(), "world".into()), ("FRAMEWORK_NAME".into(), "overridden".into())]),
        configs: vec![ConfigSpec {
            name: "site.xml".into(),
            template_path: "site.mustache".into(),
            dest: "conf/site.xml".into(),
            content: "x".into(),
        }],
        health_check: Some(HealthCheckSpec {
            cmd: "./healthy".into(),
            interval_secs: 5,
            grace_period_secs: 30,
            max_consecutive_failures: 3,
            delay_secs: 0,
            timeout_secs: 10,
        }),
        readiness_check: Some(ReadinessCheckSpec {
            cmd: "./ready".into(),
            interval_secs: 5,
            delay_secs: 0,
            timeout_secs: 10,
        }),
        labels: vec![("team".into(), "blue".into())],
        kill_grace_period_secs: 30,
        ..task("server", "server-set")
    };
    let vip = VipSpec { prefix: "web".into(), port: 80, advertise: true };
    let server_set = ResourceSet {
        ports: vec![
            PortSpec { env_key: Some("ADMIN_PORT".into()), ..port("admin", None) },
            // Listed for its virtual address.
            PortSpec { vip: Some(vip), ..port("http-api", Some(8080)) },
        ],
        volumes: vec![root_volume("data", 1000)],
        ..set("server-set")
    };
    PodSpec {
        pod_type: "hello".into(),
        count: 2,
        allow_decommission: false,
        placement: None,
        uris: vec!["http://files/server.tgz".into()],
        volumes: vec![root_volume("shared", 50)],
        resource_sets: vec![server_set, set("agent-set")],
        tasks: vec![server, task("agent", "agent-set")],
        ..PodSpec::default()
    }
}

pub(crate) fn service(pod: PodSpec) -> ServiceSpec {
    ServiceSpec {
        name: "/team/hello".into(),
        web_url: None,
        principal: "hello-principal".into(),
        user: "nobody".into(),
        zookeeper: "master.mesos:2181".into(),
        declared_role: None,
        pods: vec![pod],
        plans: Vec::new(),
        ..ServiceSpec::default()
    }
}

pub(crate) fn resource(name: &str, value: Value) -> Resource {
    Resource {
        name: name.into(),
        value,
        allocation_role: Some(ROLE.into()),
        reservations: Vec::new(),
        disk: None,
        provider_id: None,
        shared: false,
        revocable: false,
    }
}

pub(crate) fn scalar(name: &str, amount: Scalar) -> Resource {
    resource(name, Value::Scalar(amount))
}

pub(crate) fn mount(size: u64, root: &str) -> Resource {
    let source = DiskSource { kind: 2, root: Some(root.into()), ..DiskSource::default() };
    Resource { disk: Some(Box::new(Disk { source: Some(source), ..Disk::default() })), ..scalar("disk", units(size)) }
}

/// An agent with plenty of everything.
pub(crate) fn roomy() -> Vec<Resource> {
    vec![
        scalar("cpus", units(4)),
        scalar("mem", units(4096)),
        scalar("disk", units(10_000)),
        resource("ports", Value::Ranges(Ranges::new([(8080, 8090), (31_000, 32_000)]))),
    ]
}

/// Resources as an offer to the role below a pre-reserved role has them: all set aside for that one, or none.
pub(crate) fn refined(resources: Vec<Resource>, outer: &str, is_set_aside: bool) -> Vec<Resource> {
    let fixed = Reservation { kind: ReservationKind::Static, role: outer.into(), principal: None, labels: Vec::new() };
    let refine = |resource| Resource {
        allocation_role: Some(format!("{outer}/{ROLE}")),
        reservations: is_set_aside.then(|| fixed.clone()).into_iter().collect(),
        ..resource
    };
    resources.into_iter().map(refine).collect()
}

pub(crate) fn offer(resources: Vec<Resource>) -> Offer {
    Offer {
        id: OfferId::parse("offer-1").unwrap(),
        agent_id: AgentId::parse("agent-1").unwrap(),
        hostname: "host1".into(),
        region: Some("west".into()),
        zone: None,
        attributes: vec![("rack".into(), "r1".into())],
        resources,
        executor_ids: Vec::new(),
        allocation_role: Some(ROLE.into()),
    }
}

/// What an accept stores of a task.
#[track_caller]
pub(crate) fn stored(accepted: &Accepted, name: &str) -> v1::TaskInfo {
    let task = accepted.tasks.iter().find(|task| task.name.as_str() == name).unwrap();
    <v1::TaskInfo as prost::Message>::decode(task.info.clone()).unwrap()
}

/// One evaluation and what follows from it.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) report: Report,
    pub(crate) accepted: Option<Accepted>,
}

/// A service, what is stored of its one pod instance, and the master's view of one agent.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) spec: ServiceSpec,
    pub(crate) stored: Vec<Task>,
    pub(crate) others: Vec<Task>,
    pub(crate) master: Master,
    pub(crate) ids: Generator,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) local_region: Option<String>,
}

impl World {
    pub(crate) fn new(pod: PodSpec) -> Self {
        Self {
            config: config(),
            spec: service(pod),
            stored: Vec::new(),
            others: Vec::new(),
            master: Master { free: roomy(), executor: None, used: Vec::new() },
            ids: Generator::seeded(1),
            parameters: BTreeMap::new(),
            local_region: None,
        }
    }

    pub(crate) fn pod_mut(&mut self) -> &mut PodSpec {
        self.spec.pods.first_mut().unwrap()
    }

    /// The offer that the master would make now.
    pub(crate) fn offer(&self) -> Offer {
        let executor_ids =
            self.master.executor.iter().map(|wire| ExecutorId::parse(wire.executor_id.value.clone()).unwrap());
        let allocation_role = self.master.free.first().and_then(|resource| resource.allocation_role.clone());
        Offer { executor_ids: executor_ids.collect(), allocation_role, ..offer(self.master.free.clone()) }
    }

    /// Evaluates the master's offer.
    pub(crate) fn evaluate(&mut self, launch: &[&str], recovery: Recovery) -> Evaluated {
        let offer = self.offer();
        self.evaluate_offer(&offer, launch, recovery)
    }

    pub(crate) fn evaluate_offer(&mut self, offer: &Offer, launch: &[&str], recovery: Recovery) -> Evaluated {
        let mut ids = self.ids.clone();
        let evaluated = self.with_requirement(launch, recovery, |requirement| {
            let evaluation = evaluate(requirement, offer, &mut ids);
            let accepted = evaluation.accept(requirement, offer, &mut ids);
            Evaluated { report: evaluation.report, accepted }
        });
        self.ids = ids;
        assert_eq!(evaluated.report.passed(), evaluated.accepted.is_some());
        let operations = evaluated.accepted.as_ref().map_or(0, |accepted| accepted.operations.len());
        assert_eq!(evaluated.report.recommendations, operations);
        evaluated
    }

    /// What the pod wants now.
    pub(crate) fn with_requirement<T>(
        &self,
        launch: &[&str],
        recovery: Recovery,
        look: impl FnOnce(&Requirement<'_>) -> T,
    ) -> T {
        let spec = &self.spec;
        let pod_spec = spec.pods.first().unwrap();
        let rule = pod_spec.placement.clone();
        let launch: Vec<String> = launch.iter().map(|name| (*name).to_owned()).collect();
        let stored: Vec<&Task> = self.stored.iter().collect();
        let all_tasks: Vec<&Task> = self.stored.iter().chain(&self.others).collect();
        let requirement = Requirement {
            config: &self.config,
            framework_id: &FrameworkId::parse("framework-1").unwrap(),
            spec,
            config_id: &ConfigId::parse("config-1").unwrap(),
            pod_spec,
            pod: &PodInstance { pod_type: pod_spec.pod_type.clone(), index: 0 },
            launch: &launch,
            recovery,
            parameters: &self.parameters,
            stored: &stored,
            unconfirmed: &std::collections::BTreeSet::new(),
            placement: rule.as_ref(),
            local_region: self.local_region.as_deref(),
            all_tasks: &all_tasks,
            counts: &Counts::default(),
        };
        look(&requirement)
    }

    /// Stores what was accepted and lets the master apply it; the launched tasks run.
    #[track_caller]
    pub(crate) fn accept(&mut self, accepted: &Accepted) {
        self.master.apply(&accepted.operations).unwrap();
        for task in &accepted.tasks {
            let status =
                task.task_id.as_ref().map(|id| Status::parse(status_bytes(id.as_str(), State::Running)).unwrap());
            let task = Task { status, ..task.clone() };
            self.stored.retain(|known| known.name != task.name);
            self.stored.push(task);
        }
        self.stored.sort_by(|left, right| left.name.cmp(&right.name));
    }

    /// Evaluates, expects a full pass, applies it.
    #[track_caller]
    pub(crate) fn launch(&mut self, launch: &[&str], recovery: Recovery) -> Evaluated {
        let evaluation = self.evaluate(launch, recovery);
        let text = evaluation.report.render(1, "step", &self.offer());
        let accepted = evaluation.accepted.as_ref().unwrap_or_else(|| panic!("{text}"));
        self.accept(accepted);
        evaluation
    }

    /// The pod ends: its tasks fail, everything they used is offered again.
    pub(crate) fn end(&mut self) {
        for task in &mut self.stored {
            if let Some(id) = &task.task_id {
                task.status = Some(Status::parse(status_bytes(id.as_str(), State::Failed)).unwrap());
            }
        }
        self.master.executor = None;
        for resource in std::mem::take(&mut self.master.used) {
            add(&mut self.master.free, resource);
        }
    }

    pub(crate) fn report(&self, evaluation: &Evaluated) -> String {
        redact(&evaluation.report.render(1, "hello-0:[server]", &self.offer()))
    }
}

fn status_bytes(task_id: &str, state: State) -> bytes::Bytes {
    use prost::Message as _;
    let task_id = v1::TaskId { value: task_id.into() };
    v1::TaskStatus { task_id, state: state.to_wire(), ..Default::default() }.encode_to_vec().into()
}

/// Replaces every UUID by `id<n>`, numbered in the order of appearance.
pub(crate) fn redact(text: &str) -> String {
    let pattern = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let mut seen: Vec<String> = Vec::new();
    pattern
        .replace_all(text, |found: &regex::Captures<'_>| {
            let at = seen.iter().position(|id| *id == found[0]).unwrap_or_else(|| {
                seen.push(found[0].to_owned());
                seen.len() - 1
            });
            format!("id{}", at + 1)
        })
        .into_owned()
}

/// What the master knows of one agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Master {
    pub(crate) free: Vec<Resource>,
    pub(crate) executor: Option<v1::ExecutorInfo>,
    pub(crate) used: Vec<Resource>,
}

impl Master {
    /// Applies operations in order; the first that Mesos would refuse is an error.
    pub(crate) fn apply(&mut self, operations: &[v1::offer::Operation]) -> Result<(), String> {
        for one in operations {
            let kind = operation::Type::try_from(one.r#type.unwrap()).unwrap();
            let has_id = one.id.as_ref().is_some_and(|id| !id.value.is_empty());
            match kind {
                operation::Type::Reserve => {
                    require(has_id, "RESERVE without id")?;
                    for resource in read(&one.reserve.as_ref().unwrap().resources)? {
                        require(
                            resource.is_dynamically_reserved()
                                && role::is_own(resource.role(), ROLE)
                                && resource.allocation_role.as_deref() == Some(resource.role()),
                            "RESERVE for another role",
                        )?;
                        require(resource.persistence_id().is_none(), "RESERVE of a volume")?;
                        take(&mut self.free, &popped(&resource))?;
                        add(&mut self.free, resource);
                    }
                }
                operation::Type::Unreserve => {
                    for resource in read(&one.unreserve.as_ref().unwrap().resources)? {
                        require(resource.persistence_id().is_none(), "UNRESERVE of a volume")?;
                        require(resource.is_dynamically_reserved(), "UNRESERVE of what is not reserved")?;
                        take(&mut self.free, &resource)?;
                        add(&mut self.free, popped(&resource));
                    }
                }
                operation::Type::Create => {
                    require(has_id, "CREATE without id")?;
                    for volume in read(&one.create.as_ref().unwrap().volumes)? {
                        let disk = volume.disk.as_ref().unwrap();
                        require(disk.persistence.as_ref().unwrap().principal.is_some(), "CREATE without principal")?;
                        require(disk.container_path.is_some(), "CREATE without path")?;
                        take(&mut self.free, &without_volume(&volume))?;
                        add(&mut self.free, volume);
                    }
                }
                operation::Type::Destroy => {
                    for volume in read(&one.destroy.as_ref().unwrap().volumes)? {
                        require(volume.persistence_id().is_some(), "DESTROY of what is no volume")?;
                        take(&mut self.free, &volume)?;
                        add(&mut self.free, without_volume(&volume));
                    }
                }
                operation::Type::LaunchGroup => {
                    let group = one.launch_group.as_ref().unwrap();
                    require(self.executor.is_none(), "a second executor of the pod")?;
                    require(group.executor.framework_id.is_some(), "executor without framework id")?;
                    require(group.executor.r#type == Some(2), "executor is not CUSTOM")?;
                    self.use_all(&group.executor.resources)?;
                    self.executor = Some(group.executor.clone());
                    require(!group.task_group.tasks.is_empty(), "empty group")?;
                    for task in &group.task_group.tasks {
                        require(task.executor.is_none(), "executor inside a group")?;
                        self.task(task)?;
                    }
                    self.check_paths(&group.task_group.tasks)?;
                }
                operation::Type::Launch => {
                    let tasks = &one.launch.as_ref().unwrap().task_infos;
                    require(!tasks.is_empty(), "empty launch")?;
                    for task in tasks {
                        require(
                            task.executor.as_deref() == self.executor.as_ref(),
                            "another executor than the running one",
                        )?;
                        self.task(task)?;
                    }
                    self.check_paths(tasks)?;
                }
                other => return Err(format!("unexpected {other:?}")),
            }
        }
        Ok(())
    }

    fn task(&mut self, task: &v1::TaskInfo) -> Result<(), String> {
        require(!task.task_id.value.is_empty(), "task without id")?;
        require(task.command.is_none() && task.data.is_some(), "task with a command of its own")?;
        require(!task.resources.is_empty(), "task without resources")?;
        self.use_all(&task.resources)
    }

    fn use_all(&mut self, resources: &[v1::Resource]) -> Result<(), String> {
        for resource in read(resources)? {
            take(&mut self.free, &resource)?;
            self.used.push(resource);
        }
        Ok(())
    }

    /// Each volume has its own name of one component, and a label that says where it belongs.
    fn check_paths(&self, tasks: &[v1::TaskInfo]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for disk in self.used.iter().filter_map(|resource| resource.disk.as_ref()) {
            let Some(persistence) = &disk.persistence else { continue };
            let path = disk.container_path.clone().unwrap_or_default();
            require(path == format!("mainstay-volume-{}", persistence.id), "a volume under another name")?;
            require(seen.insert(path), "two volumes under one name")?;
        }
        for task in tasks {
            let has = |key: &str| task.labels.iter().flat_map(|labels| &labels.labels).any(|label| label.key == key);
            let executor = self.executor.iter().flat_map(|executor| &executor.resources);
            for resource in read(&task.resources)?.into_iter().chain(read(&executor.cloned().collect::<Vec<_>>())?) {
                if let Some(id) = resource.persistence_id() {
                    require(has(&format!("volume:{id}")), "a volume without its label")?;
                }
            }
        }
        Ok(())
    }
}

fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// A TaskInfo as text: its resources one a line, then everything else that is there.
pub(crate) fn task_text(info: &v1::TaskInfo) -> String {
    let mut info = info.clone();
    // Shown on its own: as bytes nobody can read it.
    info.data = info.data.map(|_| bytes::Bytes::from_static(b"command"));
    let mut text = String::new();
    let mut list = |owner: &str, resources: &mut Vec<v1::Resource>| {
        for resource in read(&std::mem::take(resources)).unwrap() {
            let allocation = resource.allocation_role.as_deref().unwrap();
            let reserved = &resource.reservations;
            writeln!(text, "{owner} {resource} allocated to {allocation}, reserved {reserved:?}").unwrap();
        }
    };
    list("task", &mut info.resources);
    if let Some(executor) = &mut info.executor {
        list("executor", &mut executor.resources);
    }
    text + &compact(&info)
}

/// Debug text without what is absent and without the wrappings of what is there.
pub(crate) fn compact(message: &impl std::fmt::Debug) -> String {
    let text = format!("{message:#?}").replace("    ", " ");
    let kept: Vec<_> = text.lines().filter(|line| !line.ends_with(": None,") && !line.ends_with(": [],")).collect();
    let mut text = kept.join("\n");
    for (pattern, replacement) in [
        (r"Some\(\s*([^(){}\[\]]*?),\s*\)", "$1"),
        (r"(?:Label|Variable) \{\s*(?:key|name): ([^\n]*),\s*value: ([^\n]*),\s*\}", "$1 = $2"),
        (r"\w+ \{\s*(?:value|nanoseconds): ([^\n]*),\s*\}", "$1"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    text
}
