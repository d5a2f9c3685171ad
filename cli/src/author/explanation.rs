//! What a specification asks for, computed with the engine's own plans and the scheduler's own settings.
//!
//! Not the text for people: that is `render/explanation.rs`. Shape: this is what `mainstay explain --json` prints; keys are added, never
//! changed. Units: cores and MB.

use std::collections::BTreeSet;

use mainstay_scheduler::engine::config::Config;
use mainstay_scheduler::engine::ids::Generator;
use mainstay_scheduler::engine::plan::{Plan as Made, deploy};
use mainstay_scheduler::engine::state::State;
use mainstay_spec::placement::{Key, Neighbour, Rule};
use mainstay_spec::resource_set::Limit;
use mainstay_spec::{
    Goal, NetworkSpec, PodSpec, PortSpec, ResourceSet, Scalar, ServiceSpec, TaskSpec, VolumeKind, VolumeSpec,
};
use serde::Serialize;

/// The whole service.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    pub(crate) file: String,
    pub(crate) service: String,
    pub(crate) names: Names,
    /// Of all instances.
    pub(crate) total: Resources,
    pub(crate) instances: u32,
    pub(crate) tasks: usize,
    pub(crate) pods: Vec<Pod>,
    pub(crate) plans: Vec<Plan>,
    /// What this version does not honour yet.
    pub(crate) unsupported: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Under which names the service is known.
#[derive(Debug, Serialize)]
pub(crate) struct Names {
    pub(crate) role: String,
    pub(crate) principal: String,
    pub(crate) user: String,
    /// Host and port of the ensemble that holds the state.
    pub(crate) zookeeper: String,
    /// Node of the state in it.
    pub(crate) znode: String,
    /// DNS name of the scheduler on DC/OS.
    pub(crate) scheduler: String,
    /// Suffix of the DNS names of its tasks.
    pub(crate) framework_host: String,
    /// Suffix of its virtual addresses.
    pub(crate) framework_vip_host: String,
    pub(crate) web_url: Option<String>,
}

/// Amounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Resources {
    #[serde(serialize_with = "number")]
    pub(crate) cpus: Scalar,
    #[serde(serialize_with = "number")]
    pub(crate) memory_mb: Scalar,
    #[serde(serialize_with = "number")]
    pub(crate) gpus: Scalar,
    /// Of shared disks, not of whole ones.
    #[serde(serialize_with = "number")]
    pub(crate) disk_mb: Scalar,
    /// Whole disks.
    pub(crate) mount_disks: usize,
    /// Ports of the agent.
    pub(crate) ports: usize,
}

/// A pod type.
#[derive(Debug, Serialize)]
pub(crate) struct Pod {
    #[serde(rename = "type")]
    pub(crate) name: String,
    pub(crate) count: u32,
    pub(crate) allow_decommission: bool,
    /// What one instance needs of one agent, its executor included.
    pub(crate) needs: Resources,
    /// The part of that for the executor.
    pub(crate) executor: Resources,
    /// What all instances need together.
    pub(crate) total: Resources,
    /// Ports of the agent that must be free, ascending.
    pub(crate) fixed_ports: Vec<u16>,
    /// Where it may run, in words; absent for anywhere.
    pub(crate) placement: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) networks: Vec<String>,
    pub(crate) pre_reserved_role: Option<String>,
    /// Volumes of the pod itself.
    pub(crate) volumes: Vec<Volume>,
    pub(crate) host_volumes: Vec<String>,
    pub(crate) external_volumes: Vec<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) rlimits: Vec<String>,
    pub(crate) uris: Vec<String>,
    pub(crate) resource_sets: Vec<Set>,
    pub(crate) tasks: Vec<Task>,
}

/// What is reserved together.
#[derive(Debug, Serialize)]
pub(crate) struct Set {
    pub(crate) id: String,
    pub(crate) needs: Resources,
    /// How much may be used beyond that.
    pub(crate) limits: Vec<String>,
    pub(crate) ports: Vec<Port>,
    pub(crate) volumes: Vec<Volume>,
    /// Tasks that use it, one after another.
    pub(crate) tasks: Vec<String>,
}

/// A port.
#[derive(Debug, Serialize)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// Absent when it is chosen at placement.
    pub(crate) number: Option<u16>,
    pub(crate) ranges: Vec<String>,
    /// Variable of the task that holds the number.
    pub(crate) variable: String,
    /// Whether `/v1/endpoints` lists it.
    pub(crate) is_listed: bool,
    pub(crate) vip: Option<String>,
}

/// A persistent volume.
#[derive(Debug, Serialize)]
pub(crate) struct Volume {
    pub(crate) path: String,
    /// `ROOT` or `MOUNT`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    #[serde(serialize_with = "number")]
    pub(crate) size_mb: Scalar,
    pub(crate) profiles: Vec<String>,
}

/// A task.
#[derive(Debug, Serialize)]
pub(crate) struct Task {
    pub(crate) name: String,
    /// `RUNNING`, `FINISH` or `ONCE`.
    pub(crate) goal: &'static str,
    pub(crate) essential: bool,
    pub(crate) resource_set: String,
    /// Its DNS name, with `<index>` for the number of the instance.
    pub(crate) dns: String,
    pub(crate) env: Vec<String>,
    /// Configuration files: template and destination.
    pub(crate) configs: Vec<(String, String)>,
    pub(crate) readiness_check: Option<String>,
    pub(crate) health_check: Option<String>,
    pub(crate) transport_encryption: Vec<String>,
    pub(crate) uris: Vec<String>,
    /// Plans that launch it.
    pub(crate) plans: Vec<String>,
}

/// A plan, as the engine makes it for a new service.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) strategy: &'static str,
    /// Whether it begins by itself; the others are started by hand.
    pub(crate) is_automatic: bool,
    pub(crate) note: Option<&'static str>,
    pub(crate) phases: Vec<Phase>,
}

/// A phase.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) strategy: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// A step.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    /// Whether it waits until an operator lets the plan go on.
    pub(crate) is_gated: bool,
    pub(crate) errors: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn number<S: serde::Serializer>(scalar: &Scalar, serializer: S) -> Result<S::Ok, S::Error> {
    // Whole amounts are written without a fraction.
    if scalar.millis().is_multiple_of(1000) {
        serializer.serialize_u64(scalar.millis() / 1000)
    } else {
        serializer.serialize_f64(scalar.to_f64())
    }
}

impl Resources {
    fn plus(self, other: Self) -> Self {
        Self {
            cpus: self.cpus.plus(other.cpus),
            memory_mb: self.memory_mb.plus(other.memory_mb),
            gpus: self.gpus.plus(other.gpus),
            disk_mb: self.disk_mb.plus(other.disk_mb),
            mount_disks: self.mount_disks + other.mount_disks,
            ports: self.ports + other.ports,
        }
    }

    fn times(self, count: u32) -> Self {
        let scaled = |scalar: Scalar| Scalar::from_millis(scalar.millis().saturating_mul(u64::from(count)));
        Self {
            cpus: scaled(self.cpus),
            memory_mb: scaled(self.memory_mb),
            gpus: scaled(self.gpus),
            disk_mb: scaled(self.disk_mb),
            mount_disks: self.mount_disks.saturating_mul(count as usize),
            ports: self.ports.saturating_mul(count as usize),
        }
    }

    fn of_volume(volume: &VolumeSpec) -> Self {
        match volume.kind {
            VolumeKind::Root => Self { disk_mb: volume.size_mb, ..Self::default() },
            VolumeKind::Mount { .. } => Self { mount_disks: 1, ..Self::default() },
        }
    }

    fn of_set(set: &ResourceSet, takes_ports: bool) -> Self {
        let own = Self {
            cpus: set.cpus.unwrap_or_default(),
            memory_mb: set.memory_mb.unwrap_or_default(),
            gpus: set.gpus.unwrap_or_default(),
            ports: if takes_ports { set.ports.len() } else { 0 },
            ..Self::default()
        };
        set.volumes.iter().map(Self::of_volume).fold(own, Self::plus)
    }
}

impl Explanation {
    /// Explains a specification under the settings of its scheduler, whose DNS name on DC/OS is `scheduler`.
    pub(crate) fn new(file: &str, spec: &ServiceSpec, config: &Config, scheduler: String, notes: Vec<String>) -> Self {
        let plans = plans(spec);
        let pods: Vec<Pod> = spec.pods.iter().map(|pod| Pod::new(pod, spec, config)).collect();
        let tasks = spec.pods.iter().map(|pod| pod.tasks.len() * pod.count as usize).sum();
        Self {
            file: file.to_owned(),
            service: spec.name.clone(),
            names: Names {
                role: config.role.clone(),
                principal: spec.principal.clone(),
                user: spec.user.clone(),
                zookeeper: spec.zookeeper.clone(),
                znode: format!("/dcos-service-{}", spec.role_safe_name()),
                scheduler,
                framework_host: framework_host(spec, config),
                framework_vip_host: format!("{}.{}", spec.dns_safe_name(), config.vip_tld),
                web_url: spec.web_url.clone(),
            },
            total: pods.iter().map(|pod| pod.total).fold(Resources::default(), Resources::plus),
            instances: spec.pods.iter().map(|pod| pod.count).sum(),
            tasks,
            pods,
            plans,
            unsupported: spec.unsupported(),
            notes,
        }
    }
}

fn framework_host(spec: &ServiceSpec, config: &Config) -> String {
    format!("{}.{}", spec.dns_safe_name().replace('.', "-"), config.service_tld)
}

impl Pod {
    fn new(pod: &PodSpec, spec: &ServiceSpec, config: &Config) -> Self {
        // In a network of its own every port is free.
        let takes_ports = pod.networks.iter().all(NetworkSpec::maps_ports);
        let executor = Resources {
            cpus: config.executor_cpus,
            memory_mb: config.executor_mem_mb,
            disk_mb: config.executor_disk_mb,
            ..Resources::default()
        };
        let users = |set: &ResourceSet| -> Vec<String> {
            pod.tasks.iter().filter(|task| task.resource_set == set.id).map(|task| task.name.clone()).collect()
        };
        // A set that no task uses is never reserved.
        let used: Vec<&ResourceSet> = pod.resource_sets.iter().filter(|set| !users(set).is_empty()).collect();
        let volumes = pod.volumes.iter().map(Resources::of_volume);
        let sets = used.iter().map(|set| Resources::of_set(set, takes_ports));
        let needs = volumes.chain(sets).fold(executor, Resources::plus);
        let fixed: BTreeSet<u16> = used.iter().flat_map(|set| &set.ports).filter_map(|port| port.port).collect();
        Self {
            name: pod.pod_type.clone(),
            count: pod.count,
            allow_decommission: pod.allow_decommission,
            needs,
            executor,
            total: needs.times(pod.count),
            fixed_ports: fixed.into_iter().filter(|_| takes_ports).collect(),
            placement: pod.placement.as_ref().map(in_words),
            image: pod.image.clone(),
            networks: pod.networks.iter().map(network).collect(),
            pre_reserved_role: pod.pre_reserved_role.clone(),
            volumes: pod.volumes.iter().map(Volume::new).collect(),
            host_volumes: pod
                .host_volumes
                .iter()
                .map(|volume| {
                    format!("{} of the agent as {} ({})", volume.host_path, volume.container_path, volume.mode.as_str())
                })
                .collect(),
            external_volumes: pod
                .external_volumes
                .iter()
                .map(|volume| {
                    let driver = volume.driver_name.as_deref().unwrap_or("the default driver");
                    format!("{driver} as {} ({})", volume.container_path, volume.mode.as_str())
                })
                .collect(),
            secrets: pod
                .secrets
                .iter()
                .map(|secret| {
                    let variable = secret.env_key.iter().map(|name| format!("variable {name}"));
                    let file = secret.file.iter().map(|name| format!("file {name}"));
                    format!("{} as {}", secret.secret, variable.chain(file).collect::<Vec<_>>().join(" and "))
                })
                .collect(),
            rlimits: pod
                .rlimits
                .iter()
                .map(|limit| match limit.values {
                    Some((soft, hard)) => format!("{} {soft} soft, {hard} hard", limit.kind.as_str()),
                    None => format!("{} unlimited", limit.kind.as_str()),
                })
                .collect(),
            uris: pod.uris.clone(),
            resource_sets: pod
                .resource_sets
                .iter()
                .map(|set| Set::new(set, takes_ports, users(set), spec, config))
                .collect(),
            tasks: pod.tasks.iter().map(|task| Task::new(task, pod, spec, config)).collect(),
        }
    }
}

fn network(network: &NetworkSpec) -> String {
    let mappings: Vec<String> =
        network.port_mappings.iter().map(|(host, container)| format!("{host}→{container}")).collect();
    if mappings.is_empty() { network.name.clone() } else { format!("{} ({})", network.name, mappings.join(", ")) }
}

impl Set {
    fn new(set: &ResourceSet, takes_ports: bool, tasks: Vec<String>, spec: &ServiceSpec, config: &Config) -> Self {
        let limit = |what: &str, unit: &str, limit: Option<Limit>| {
            limit.map(|limit| match limit {
                Limit::Unlimited => format!("{what} unlimited"),
                Limit::Amount(amount) => format!("{what} up to {amount}{unit}"),
            })
        };
        Self {
            id: set.id.clone(),
            needs: Resources::of_set(set, takes_ports),
            limits: [limit("cpus", "", set.limits.cpus), limit("memory", " MB", set.limits.memory_mb)]
                .into_iter()
                .flatten()
                .collect(),
            ports: set.ports.iter().map(|port| Port::new(port, spec, config)).collect(),
            volumes: set.volumes.iter().map(Volume::new).collect(),
            tasks,
        }
    }
}

impl Port {
    fn new(port: &PortSpec, spec: &ServiceSpec, config: &Config) -> Self {
        let vip = port.vip.as_ref().map(|vip| {
            format!("{}.{}.{}:{}", vip.prefix.replace('/', ""), spec.dns_safe_name(), config.vip_tld, vip.port)
        });
        let upper = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
        let default = || format!("PORT_{}", port.name.chars().map(upper).collect::<String>());
        Self {
            name: port.name.clone(),
            number: port.port,
            ranges: port.ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect(),
            variable: port.env_key.clone().unwrap_or_else(default),
            is_listed: port.is_listed(),
            vip,
        }
    }
}

impl Volume {
    fn new(volume: &VolumeSpec) -> Self {
        let (kind, profiles) = match &volume.kind {
            VolumeKind::Root => ("ROOT", Vec::new()),
            VolumeKind::Mount { profiles } => ("MOUNT", profiles.clone()),
        };
        Self { path: volume.path.clone(), kind, size_mb: volume.size_mb, profiles }
    }
}

impl Task {
    fn new(task: &TaskSpec, pod: &PodSpec, spec: &ServiceSpec, config: &Config) -> Self {
        let prefix = task.discovery.as_ref().and_then(|discovery| discovery.prefix.as_deref());
        let label = match prefix {
            Some(prefix) => format!("{prefix}-<index>"),
            None => format!("{}-<index>-{}", pod.pod_type, task.name),
        };
        let launches = |plan: &&mainstay_spec::PlanSpec| {
            let phases = plan.phases.iter().filter(|phase| phase.pod_type == pod.pod_type);
            phases.flat_map(|phase| &phase.steps).any(|step| step.tasks.contains(&task.name))
        };
        let mut plans: Vec<String> = spec.plans.iter().filter(launches).map(|plan| plan.name.clone()).collect();
        if !spec.plans.iter().any(|plan| plan.name == deploy::DEPLOY) {
            plans.insert(0, deploy::DEPLOY.to_owned());
        }
        Self {
            name: task.name.clone(),
            goal: match task.goal {
                Goal::Running => "RUNNING",
                Goal::Finish => "FINISH",
                Goal::Once => "ONCE",
            },
            essential: task.essential,
            resource_set: task.resource_set.clone(),
            dns: format!("{}.{}", label.replace('.', "-"), framework_host(spec, config)),
            env: task.env.keys().cloned().collect(),
            configs: task.configs.iter().map(|config| (config.template_path.clone(), config.dest.clone())).collect(),
            readiness_check: task.readiness_check.as_ref().map(|check| {
                format!("every {} s after {} s: {}", check.interval_secs, check.delay_secs, line(&check.cmd))
            }),
            health_check: task.health_check.as_ref().map(|check| {
                let (interval, grace, failures) =
                    (check.interval_secs, check.grace_period_secs, check.max_consecutive_failures);
                format!("every {interval} s, killed after {failures} failures past {grace} s: {}", line(&check.cmd))
            }),
            transport_encryption: task
                .transport_encryption
                .iter()
                .map(|encryption| format!("{} ({})", encryption.name, encryption.kind.as_str()))
                .collect(),
            uris: task.uris.clone(),
            plans,
        }
    }
}

/// The first line of a command.
fn line(cmd: &str) -> String {
    let mut lines = cmd.trim().lines();
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() { format!("{first} …") } else { first }
}

/// Every plan of a service that is deployed for the first time, then the one for later updates.
fn plans(spec: &ServiceSpec) -> Vec<Plan> {
    let mut ids = Generator::seeded(0);
    let state = State::default();
    let mut made = deploy::plans(spec, &state, false, &mut ids);
    let mut plans: Vec<Plan> = made.drain(..).map(|plan| Plan::new(&plan, spec)).collect();
    if spec.plans.iter().any(|plan| plan.name == deploy::UPDATE)
        && let Some(update) = deploy::plans(spec, &state, true, &mut ids).first()
    {
        let note = Some("takes the place of deploy once that was complete");
        plans.insert(1, Plan { name: deploy::UPDATE.to_owned(), note, ..Plan::new(update, spec) });
    }
    plans
}

impl Plan {
    fn new(plan: &Made, spec: &ServiceSpec) -> Self {
        let is_generated = plan.name == deploy::DEPLOY && !spec.plans.iter().any(|own| own.name == deploy::DEPLOY);
        let phases = plan.phases.iter().map(|phase| Phase {
            name: phase.name.clone(),
            strategy: phase.strategy.as_str(),
            steps: phase
                .steps
                .iter()
                .enumerate()
                .map(|(at, step)| Step {
                    name: step.name.clone(),
                    is_gated: phase.gates.contains(&at),
                    errors: step.errors.clone(),
                })
                .collect(),
        });
        Self {
            name: plan.name.clone(),
            strategy: plan.strategy.as_str(),
            is_automatic: !plan.is_interrupted,
            note: is_generated.then_some("generated, because the specification has none"),
            phases: phases.collect(),
        }
    }
}

/// A placement rule for people.
fn in_words(rule: &Rule) -> String {
    use mainstay_spec::placement::Matcher;
    let joined = |rules: &[Rule], word: &str| {
        let several = rules.len() > 1;
        let words = rules.iter().map(|rule| match rule {
            Rule::And(inner) | Rule::Or(inner) if several && inner.len() > 1 => format!("({})", in_words(rule)),
            _ => in_words(rule),
        });
        words.collect::<Vec<_>>().join(word)
    };
    match rule {
        Rule::Match { key, matcher: Matcher::Exact(text) } => format!("{} is {text}", of(key)),
        Rule::Match { key, matcher: Matcher::Regex { text, .. } } => format!("{} matches {text}", of(key)),
        Rule::MaxPer { key, max: 1, counted } => format!("one instance of {counted} per {}", value(key)),
        Rule::MaxPer { key, max, counted } => format!("at most {max} instances of {counted} per {}", value(key)),
        Rule::RoundRobin { key, expected: Some(expected), counted } => {
            format!("instances of {counted} spread evenly over {expected} values of {}", of(key))
        }
        Rule::RoundRobin { key, expected: None, counted } => {
            format!("instances of {counted} spread evenly over the values of {}", of(key))
        }
        Rule::And(rules) => joined(rules, ", and "),
        Rule::Or(rules) => joined(rules, ", or "),
        Rule::Not(rule) => format!("not: {}", in_words(rule)),
        Rule::Passthrough => "anywhere".to_owned(),
        Rule::LocalRegion => "in the region of the master".to_owned(),
        Rule::Agent(id) => format!("on the agent {id}"),
        Rule::PodType { pod_type, neighbour: Neighbour::Avoid } => format!("not on an agent with {pod_type}"),
        Rule::PodType { pod_type, neighbour: Neighbour::Colocate } => format!("on an agent with {pod_type}"),
        Rule::Unknown(_) => "a rule that is not known".to_owned(),
    }
}

fn of(key: &Key) -> String {
    match key {
        Key::Hostname | Key::Region | Key::Zone => format!("the {key}"),
        Key::Attribute(name) => format!("the attribute {name}"),
    }
}

fn value(key: &Key) -> String {
    match key {
        Key::Hostname => "agent".to_owned(),
        Key::Region | Key::Zone => key.to_string(),
        Key::Attribute(name) => format!("value of the attribute {name}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rules_are_said_in_words() {
        let words = |text| in_words(&Rule::parse(text, "hello").unwrap().unwrap());
        for (text, expected) in [
            ("hostname:UNIQUE", "one instance of hello per agent"),
            ("rack:MAX_PER:2", "at most 2 instances of hello per value of the attribute rack"),
            ("@zone:GROUP_BY:3", "instances of hello spread evenly over 3 values of the zone"),
            ("rack:GROUP_BY", "instances of hello spread evenly over the values of the attribute rack"),
            ("rack:IS:r1", "the attribute rack is r1"),
            ("hostname:LIKE:a.*", "the hostname matches a.*"),
            ("hostname:UNLIKE:a.*", "not: the hostname matches a.*"),
            ("hostname:UNIQUE,@region:IS:x", "one instance of hello per agent, and the region is x"),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
