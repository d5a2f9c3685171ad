//! Pods, their tasks and resource sets.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_template::Template;

use super::{Inputs, check_name, env};
use crate::{
    code::Code,
    diagnostic::Diagnostic,
    placement::Rule,
    pod::PodSpec,
    port::PortSpec,
    problem::{Problems, Span, Spanned},
    raw::{Placed, pod as raw_pod, resources::Resources, task as raw_task},
    resource_set::ResourceSet,
    suggest,
    task::{ConfigSpec, Goal, TaskSpec},
    volume::VolumeSpec,
    yaml::reader::join,
};

/// A pod with the places that rules across pods need.
pub(super) struct Lowered {
    pub(super) spec: PodSpec,
    /// Keys that lead to it, and the place of its name.
    pub(super) at: (String, Span),
    /// Whether the number of instances could be read; otherwise nothing is said about indexes.
    pub(super) has_count: bool,
    /// Names of all its tasks, also of those that could not be read.
    pub(super) task_names: BTreeSet<String>,
    /// Advertised ports: name, path, place.
    advertised: Vec<(String, String, Span)>,
    /// Discovery prefixes: prefix, path, place.
    prefixes: Vec<(String, String, Span)>,
}

pub(super) fn lower(
    raw: Placed<raw_pod::Pod>,
    service_user: &str,
    inputs: &mut Inputs<'_>,
    problems: &mut Problems<'_>,
) -> Lowered {
    let Placed { value: pod, path, name } = raw;
    check_name(&path, &name, problems);
    check_user(&pod, service_user, problems);
    let placement = pod.placement.and_then(|text| placement(&text, &path, &name.value, inputs, problems));
    let mut lowered = Lowered {
        at: (path, name.span),
        spec: PodSpec {
            pod_type: name.value,
            count: pod.count.unwrap_or(0),
            allow_decommission: pod.allow_decommission,
            placement,
            image: pod.container.image,
            networks: pod.container.networks,
            rlimits: pod.container.rlimits,
            uris: pod.uris,
            volumes: Vec::new(),
            host_volumes: pod.host_volumes,
            external_volumes: pod.external_volumes,
            secrets: pod.secrets,
            pre_reserved_role: pod.pre_reserved_role,
            share_pid_namespace: pod.share_pid_namespace,
            seccomp_unconfined: pod.seccomp_unconfined,
            seccomp_profile_name: pod.seccomp_profile_name,
            ipc_mode: pod.ipc_mode,
            shm_size_mb: pod.shm_size_mb,
            resource_sets: Vec::new(),
            tasks: Vec::new(),
        },
        has_count: pod.count.is_some(),
        task_names: BTreeSet::new(),
        advertised: Vec::new(),
        prefixes: Vec::new(),
    };
    let pod_paths = check_volumes(&pod.volumes, &BTreeSet::new(), problems);
    lowered.spec.volumes = pod.volumes.into_iter().map(|volume| volume.value).collect();
    let declared: BTreeSet<String> = pod.resource_sets.iter().map(|set| set.name.value.clone()).collect();
    for set in pod.resource_sets {
        if !set.value.has_resources() {
            let message = "has no resources; at least one of cpus, memory, gpus and ports is needed";
            problems.push(Code::NoResources, &set.path, &set.name.span, message);
        }
        check_ports_alone(&set.value, &lowered.spec, &set.path, &set.name.span, problems);
        let id = set.name.value;
        let resources = resource_set(id, set.value, &set.path, &pod_paths, &mut lowered.advertised, problems);
        lowered.spec.resource_sets.push(resources);
    }
    for task in pod.tasks {
        self::task(task, &mut lowered, &declared, &pod_paths, inputs, problems);
    }
    lowered
}

/// Most patterns of all pods together. Each takes up to two MB.
const MAX_PATTERNS: usize = 100;

/// The rule of a constraint, or problems that mark the parts of the text that cannot be understood.
fn placement(
    text: &Spanned<String>,
    path: &str,
    pod_type: &str,
    inputs: &mut Inputs<'_>,
    problems: &mut Problems<'_>,
) -> Option<Rule> {
    if inputs.patterns >= MAX_PATTERNS {
        let message = format!("the placement of all pods together has more than {MAX_PATTERNS} patterns");
        problems.push(Code::InvalidPlacement, &join(path, "placement"), &text.span, message);
        return None;
    }
    let path = join(path, "placement");
    let reading = Rule::read(&text.value, pod_type);
    // Also those of a constraint that is refused: the next pod has none the less to be read in good time.
    inputs.patterns += reading.patterns;
    for error in reading.errors {
        let help = error.help.map(|help| problems.places.as_written(text, help));
        problems.found_inside(Code::InvalidPlacement, &path, text, error.at, &error.message, help);
    }
    for remark in reading.remarks {
        let help = remark.help.map(|help| problems.places.as_written(text, help));
        problems.push_inside(Code::OddPlacement, &path, text, remark.at, remark.message, help);
    }
    reading.rule
}

/// Silently running as another user than asked for is worse than refusing.
fn check_user(pod: &raw_pod::Pod, service_user: &str, problems: &mut Problems<'_>) {
    let Some((path, user)) = &pod.user else { return };
    if user.value == service_user {
        let message = "is an older key; scheduler.user, which says the same, is enough";
        problems.push(Code::Deprecated, path, &user.span, message);
    } else {
        let allowed = format!("every pod runs as the user of the service, {service_user:?}; set scheduler.user");
        problems.found(Code::DifferentUser, path, &user.span, &user.value, &allowed);
    }
}

fn task(
    raw: Placed<raw_task::Task>,
    lowered: &mut Lowered,
    declared: &BTreeSet<String>,
    pod_paths: &BTreeSet<String>,
    inputs: &mut Inputs<'_>,
    problems: &mut Problems<'_>,
) {
    let Placed { value: task, path, name } = raw;
    check_name(&path, &name, problems);
    lowered.task_names.insert(name.value.clone());
    let set = if let Some((set_path, set)) = &task.resource_set {
        for (key, key_path, span) in &task.resources.given {
            let message = format!("{key} has no effect beside resource-set; {} says what is reserved", set.value);
            problems.push(Code::KeyWithoutEffect, key_path, span, message);
            problems.forget_features(key_path);
        }
        if !declared.contains(&set.value) {
            let known: Vec<&str> = declared.iter().map(String::as_str).collect();
            let allowed = match (suggest::key(&set.value, &known), known.is_empty()) {
                (Some(near), _) => format!("did you mean {near}?"),
                (None, true) => "the pod has no resource-sets".to_owned(),
                (None, false) => format!("the pod has {}", known.join(", ")),
            };
            problems.found(Code::UnknownResourceSet, set_path, &set.span, &set.value, &allowed);
        }
        set.value.clone()
    } else {
        if !task.resources.has_resources() {
            let message = "has no resources; at least one of cpus, memory, gpus, ports and resource-set is needed";
            problems.push(Code::NoResources, &path, &name.span, message);
        }
        check_ports_alone(&task.resources, &lowered.spec, &path, &name.span, problems);
        let id = format!("{}-resource-set", name.value);
        if declared.contains(&id) {
            let message = format!("its own resources get the id {id}, which a declared resource set already has");
            problems.push(Code::ResourceSetCollision, &path, &name.span, message);
        }
        let resources = resource_set(id.clone(), task.resources, &path, pod_paths, &mut lowered.advertised, problems);
        lowered.spec.resource_sets.push(resources);
        id
    };
    let configs = configs(task.configs, inputs, problems);
    let mut task_env = task.env;
    env::route(&mut task_env, &lowered.spec.pod_type, inputs.variables);
    let discovery = task.discovery.map(|discovery| {
        if let (Some(prefix), Some((path, span))) = (&discovery.spec.prefix, discovery.prefix) {
            lowered.prefixes.push((prefix.clone(), path, span));
        }
        discovery.spec
    });
    lowered.spec.tasks.push(TaskSpec {
        name: name.value,
        // Whatever is absent here has been reported; the specification is not used then.
        goal: task.goal.unwrap_or(Goal::Running),
        essential: task.essential,
        cmd: task.cmd.unwrap_or_default(),
        env: task_env,
        configs,
        resource_set: set,
        health_check: task.health_check,
        readiness_check: task.readiness_check,
        discovery,
        labels: task.labels,
        kill_grace_period_secs: task.kill_grace_period_secs,
        uris: task.uris,
        transport_encryption: task.transport_encryption,
        ipc_mode: task.ipc_mode,
        shm_size_mb: task.shm_size_mb,
    });
}

fn resource_set(
    id: String,
    resources: Resources,
    path: &str,
    pod_paths: &BTreeSet<String>,
    advertised: &mut Vec<(String, String, Span)>,
    problems: &mut Problems<'_>,
) -> ResourceSet {
    check_volumes(&resources.volumes, pod_paths, problems);
    check_ports(&resources.ports, path, problems);
    check_limits(&resources, problems);
    for port in resources.ports.iter().filter(|port| port.value.advertise) {
        advertised.push((port.name.value.clone(), port.path.clone(), port.name.span.clone()));
    }
    ResourceSet {
        id,
        cpus: resources.cpus,
        memory_mb: resources.memory_mb,
        gpus: resources.gpus,
        limits: resources.limits,
        ports: resources.ports.into_iter().map(|port| port.value).collect(),
        volumes: resources.volumes.into_iter().map(|volume| volume.value).collect(),
    }
}

/// Mesos takes a limit only of what is reserved as well.
fn check_limits(resources: &Resources, problems: &mut Problems<'_>) {
    let given = |key: &str| resources.given.iter().find(|(name, ..)| *name == key);
    let Some((_, path, span)) = given("resource-limits") else { return };
    for (name, limit) in [("cpus", resources.limits.cpus), ("memory", resources.limits.memory_mb)] {
        // What is there and wrong has been reported.
        if limit.is_some() && given(name).is_none() {
            let message = format!("{name} is limited and none is requested, which Mesos refuses; add {name}");
            problems.push(Code::LimitBelowRequest, path, span, message);
        }
    }
}

/// Mesos refuses a task without resources, and on a network without mapping a port is none.
fn check_ports_alone(resources: &Resources, pod: &PodSpec, path: &str, span: &Span, problems: &mut Problems<'_>) {
    let is_alone = resources.cpus.is_none() && resources.memory_mb.is_none() && resources.gpus.is_none();
    if is_alone && resources.volumes.is_empty() && !resources.ports.is_empty() && !pod.uses_host_ports() {
        let message = "has only ports, which on the network of the pod take nothing of the agent; cpus, memory or gpus are needed";
        problems.push(Code::NoResources, path, span, message);
    }
}

/// Paths must be unique in a set, and a set must not hide a volume of the pod. Returns the paths.
fn check_volumes(
    volumes: &[Placed<VolumeSpec>],
    pod_paths: &BTreeSet<String>,
    problems: &mut Problems<'_>,
) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for volume in volumes {
        let path = &volume.value.path;
        if !paths.insert(path.clone()) {
            let message = format!("the path {path:?} is used by another volume of the same set");
            problems.push(Code::DuplicatePath, &volume.path, &volume.name.span, message);
        } else if pod_paths.contains(path) {
            let message = format!("the path {path:?} is used by a volume of the pod, which this one would hide");
            problems.push(Code::DuplicatePath, &volume.path, &volume.name.span, message);
        }
    }
    paths
}

fn check_ports(ports: &[Placed<PortSpec>], path: &str, problems: &mut Problems<'_>) {
    let mut numbers: BTreeMap<u16, &str> = BTreeMap::new();
    for port in ports {
        let Some(number) = port.value.port else { continue };
        if let Some(first) = numbers.get(&number) {
            let message = format!("has the number {number}, as {first} of {path}; each number may be used once");
            problems.push(Code::DuplicatePort, &port.path, &port.name.span, message);
        } else {
            numbers.insert(number, &port.value.name);
        }
    }
    for port in ports {
        let Some(vip) = &port.value.vip else { continue };
        if ports.iter().any(|other| other.value.name != port.value.name && other.value.name == vip.prefix) {
            let message = format!("the vip prefix {} is the name of another port of {path}", vip.prefix);
            problems.push(Code::VipNameCollision, &port.path, &port.name.span, message);
        }
    }
}

fn configs(
    raw: Vec<Placed<raw_task::Config>>,
    inputs: &mut Inputs<'_>,
    problems: &mut Problems<'_>,
) -> Vec<ConfigSpec> {
    let mut destinations: BTreeMap<String, String> = BTreeMap::new();
    let mut configs = Vec::new();
    for Placed { value, path, name } in raw {
        let dest_path = join(&path, "dest");
        if let Some(first) = destinations.get(&value.dest.value) {
            let allowed = format!("{first} is written there too");
            problems.found(Code::DuplicateDestination, &dest_path, &value.dest.span, &value.dest.value, &allowed);
        }
        destinations.insert(value.dest.value.clone(), name.value.clone());
        let (template_path, template_span) = (join(&path, "template"), &value.template.span);
        let content = match (inputs.read_file)(&value.template.value) {
            Ok(content) if content.is_empty() => {
                let allowed = "the file is empty";
                let found = &value.template.value;
                problems.found(Code::ConfigTemplateUnreadable, &template_path, template_span, found, allowed);
                continue;
            }
            Ok(content) => content,
            Err(reason) => {
                let found = &value.template.value;
                problems.found(Code::ConfigTemplateUnreadable, &template_path, template_span, found, &reason);
                continue;
            }
        };
        if let Err(errors) = Template::parse(&content) {
            let lines = mainstay_template::Lines::new(&content);
            inputs.elsewhere.extend(errors.into_iter().map(|error| Diagnostic {
                code: Code::ConfigTemplateSyntax,
                severity: Code::ConfigTemplateSyntax.severity(),
                file: value.template.value.clone(),
                position: error.position,
                rendered: None,
                path: path.clone(),
                message: format!("{}; the task will fail to start", error.kind),
                help: None,
                excerpt: lines.line(&content, error.position.line).to_owned(),
                marked: error.length.max(1),
                rendered_excerpt: None,
                known: Vec::new(),
            }));
        }
        let (template_path, dest) = (value.template.value, value.dest.value);
        configs.push(ConfigSpec { name: name.value, template_path, dest, content });
    }
    configs
}

/// Rules over all pods: names of advertised ports and discovery prefixes.
pub(super) fn check_across(pods: &[Lowered], problems: &mut Problems<'_>) {
    let mut ports: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, path, span) in pods.iter().flat_map(|pod| &pod.advertised) {
        if let Some(first) = ports.get(name.as_str()) {
            let message = format!("{first} is advertised under the same name; endpoints are listed by name");
            problems.push(Code::DuplicateAdvertisedPort, path, span, message);
        } else {
            ports.insert(name, path);
        }
    }
    let mut prefixes: BTreeMap<&str, &str> = BTreeMap::new();
    for pod in pods {
        for (prefix, path, span) in &pod.prefixes {
            let first = *prefixes.entry(prefix).or_insert(&pod.spec.pod_type);
            if first != pod.spec.pod_type {
                let allowed = format!("pod {first} uses it too; tasks of different pods cannot share DNS names");
                problems.found(Code::SharedDiscoveryPrefix, path, span, prefix, &allowed);
            }
        }
    }
}
