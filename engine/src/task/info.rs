//! TaskInfo and ExecutorInfo of one launch, as sent and as stored.
//!
//! A stored TaskInfo has the shape the SDK gives it: command, embedded executor, paths of the specification. The one that is sent differs:
//!
//! | Field | sent | stored |
//! |---|---|---|
//! | `command` | absent | set |
//! | `data` | the encoded `CommandInfo`: command, user, environment, URIs of the configuration templates | absent |
//! | `executor` | absent in a LAUNCH_GROUP, the running one in a LAUNCH | set, exactly as sent |
//! | container path of a volume | `mainstay-volume-<persistence id>` | path of the specification |
//! | labels | also `volume:<persistence id>` = path of the specification, and those of mounts | without |
//! | `container` | limits of processes; in a group with resource limits, cgroups of its own | that of the pod, see `container.rs` |
//!
//! Mesos wants exactly one of command and executor, and one name per volume in the executor's sandbox. Templates travel with the task,
//! because the executor must be presented unchanged for as long as it lives, whatever the configuration of its tasks.
//! Invariant: nothing in an ExecutorInfo depends on the configuration of a single launch.
//! Source: Mesos v1 `TaskInfo`, `ExecutorInfo`; the stored form of the SDK.

use std::collections::BTreeMap;

use mainstay_proto::v1;
use mainstay_spec::{Limit, PodSpec, PortSpec, ResourceSet, TaskSpec, Visibility};
use prost::Message as _;

use super::{container, env, labels};
use crate::ids::{ConfigId, ExecutorId, Generator, PersistenceId, TaskId};
use crate::offer::Offer;
use crate::offer::requirement::Requirement;
use crate::resource::Resource;

/// Name of the executor's program in its sandbox.
pub const EXECUTOR_FILE: &str = "mainstay-executor";
/// Prefix of the name of a volume in the executor's sandbox.
pub const VOLUME_FILE_PREFIX: &str = "mainstay-volume-";
/// Time the executor needs beyond the longest kill grace of its tasks.
const EXECUTOR_GRACE_SECS: u32 = 5;

/// The executor of a pod, as sent and stored alike.
///
/// `resources` name their volumes by the path of the specification; here that becomes the name in the sandbox, and a label.
/// `chosen` are the ports of the whole pod whose numbers were chosen at placement.
pub(crate) fn executor(
    requirement: &Requirement<'_>,
    id: &ExecutorId,
    resources: &[Resource],
    chosen: &[u16],
) -> v1::ExecutorInfo {
    let Requirement { config, framework_id, spec, pod_spec, .. } = requirement;
    let mut label_list = vec![labels::label(labels::DCOS_SPACE, &*config.dcos_space)];
    label_list.extend(volumes(resources).map(|(id, path)| labels::volume(id.as_str(), path)));
    let mut uris = vec![v1::command_info::Uri {
        value: config.executor_uri.clone(),
        executable: Some(true),
        extract: Some(false),
        cache: Some(false),
        output_file: Some(EXECUTOR_FILE.to_owned()),
    }];
    uris.extend(pod_spec.uris.iter().map(|uri| v1::command_info::Uri { value: uri.clone(), ..Default::default() }));
    let grace = pod_spec.tasks.iter().map(|task| task.kill_grace_period_secs).max().unwrap_or(0);
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: id.as_str().to_owned() },
        resources: resources.iter().map(in_sandbox).collect(),
        command: Some(Box::new(v1::CommandInfo {
            uris,
            user: Some(spec.user.clone()),
            environment: secrets(requirement),
            ..program(pod_spec)
        })),
        container: container::of_executor(requirement, chosen),
        framework_id: Some(v1::FrameworkId { value: framework_id.as_str().to_owned() }),
        name: Some(pod_spec.pod_type.clone()),
        shutdown_grace_period: Some(seconds(grace.saturating_add(EXECUTOR_GRACE_SECS))),
        labels: Some(Box::new(v1::Labels { labels: label_list })),
        r#type: Some(v1::executor_info::Type::Custom as i32),
        ..Default::default()
    }
}

/// What starts the executor.
fn program(pod: &PodSpec) -> v1::CommandInfo {
    if pod.image.is_some() {
        // An image has a working directory of its own, and the agent says where the sandbox is in there. Tasks need a shell anyway.
        let value = format!("exec \"$MESOS_SANDBOX/{EXECUTOR_FILE}\"");
        return v1::CommandInfo { value: Some(value), shell: Some(true), ..Default::default() };
    }
    v1::CommandInfo {
        value: Some(format!("./{EXECUTOR_FILE}")),
        shell: Some(false),
        arguments: vec![EXECUTOR_FILE.to_owned()],
        ..Default::default()
    }
}

/// Whether an executor lives under the same conditions as another: its container, its secrets, its program's start.
pub(crate) fn is_same_container(running: &v1::ExecutorInfo, wanted: &v1::ExecutorInfo) -> bool {
    let parts = |info: &v1::ExecutorInfo| {
        let command = info.command.clone().unwrap_or_default();
        (info.container.clone(), command.environment, command.value)
    };
    parts(running) == parts(wanted)
}

fn secrets(requirement: &Requirement<'_>) -> Option<Box<v1::Environment>> {
    let variables = container::secret_variables(requirement.pod_spec);
    (!variables.is_empty()).then_some(Box::new(v1::Environment { variables }))
}

/// A task as it is stored, but for its executor; `task_id` is `None` for one that is only reserved for.
///
/// `resources` name their volumes by the path of the specification.
pub(crate) fn stored(
    requirement: &Requirement<'_>,
    offer: &Offer,
    task: &TaskSpec,
    task_id: Option<&TaskId>,
    resources: &[Resource],
    ports: &[(&PortSpec, u16)],
    ids: &mut Generator,
) -> v1::TaskInfo {
    v1::TaskInfo {
        name: requirement.pod.task_name(&task.name).to_string(),
        task_id: v1::TaskId { value: task_id.map_or_else(String::new, |id| id.as_str().to_owned()) },
        agent_id: v1::AgentId { value: offer.agent_id.as_str().to_owned() },
        resources: resources.iter().map(Resource::to_wire).collect(),
        command: Some(Box::new(command(requirement, offer, task, ports))),
        health_check: health_check(requirement, task, ports),
        labels: Some(Box::new(v1::Labels {
            labels: labels::of_task(requirement.pod, requirement.config_id, offer, &task.labels),
        })),
        discovery: Some(Box::new(discovery(requirement, task, ports, ids))),
        kill_policy: Some(Box::new(v1::KillPolicy { grace_period: Some(seconds(task.kill_grace_period_secs)) })),
        check: readiness_check(requirement, task, ports),
        container: container::of_stored_task(requirement),
        limits: limits(requirement.pod_spec.resource_set(&task.resource_set)),
        ..Default::default()
    }
}

/// The task as it is sent, made of what [`stored`] answers; `pod_resources` name their volumes by the path of the specification.
pub(crate) fn into_sent(
    stored: v1::TaskInfo,
    requirement: &Requirement<'_>,
    pod_resources: &[Resource],
) -> v1::TaskInfo {
    let v1::TaskInfo { mut resources, command, mut labels, .. } = stored;
    let list = &mut labels.get_or_insert_default().labels;
    list.extend(resources.iter_mut().filter_map(rename_volume).map(|(id, path)| labels::volume(id, &path)));
    list.extend(volumes(pod_resources).map(|(id, path)| labels::volume(id.as_str(), path)));
    list.extend(container::mount_labels(requirement));
    let data = command.map(|command| packed(*command, requirement.pod_spec).encode_to_vec().into());
    v1::TaskInfo {
        resources,
        command: None,
        data,
        labels,
        container: container::of_sent_task(requirement.pod_spec),
        ..stored
    }
}

/// What the executor needs of a stored command. The agent gives the rest, the files of the pod and the secrets, to the executor itself.
fn packed(mut command: v1::CommandInfo, pod: &PodSpec) -> v1::CommandInfo {
    command.uris.drain(..pod.uris.len().min(command.uris.len()));
    if let Some(environment) = &mut command.environment {
        environment.variables.retain(|variable| variable.secret.is_none());
    }
    command
}

/// What the task may use at most, where that is not just what it reserves.
fn limits(set: Option<&ResourceSet>) -> BTreeMap<String, v1::value::Scalar> {
    let limits = set.map(|set| set.limits).unwrap_or_default();
    let value = |limit| match limit {
        Limit::Unlimited => f64::INFINITY,
        Limit::Amount(amount) => amount.to_f64(),
    };
    [("cpus", limits.cpus), ("mem", limits.memory_mb)]
        .into_iter()
        .filter_map(|(name, limit)| Some((name.to_owned(), v1::value::Scalar { value: value(limit?) })))
        .collect()
}

/// Volumes with the path of the specification.
fn volumes(resources: &[Resource]) -> impl Iterator<Item = (&PersistenceId, &str)> {
    resources
        .iter()
        .filter_map(|resource| Some((resource.persistence_id()?, resource.disk.as_ref()?.container_path.as_deref()?)))
}

/// The wire form; a volume has its name in the sandbox.
pub(crate) fn in_sandbox(resource: &Resource) -> v1::Resource {
    let mut wire = resource.to_wire();
    rename_volume(&mut wire);
    wire
}

/// Gives a volume its name in the sandbox, one component and unique in the executor; answers its id and the path it had.
fn rename_volume(resource: &mut v1::Resource) -> Option<(&str, String)> {
    let disk = resource.disk.as_deref_mut()?;
    let (id, volume) = (disk.persistence.as_ref()?.id.as_str(), disk.volume.as_mut()?);
    let path = std::mem::replace(&mut volume.container_path, format!("{VOLUME_FILE_PREFIX}{id}"));
    Some((id, path))
}

/// The command as it is stored: the files of the pod, then those of the task; its environment with the names of secrets.
fn command(
    requirement: &Requirement<'_>,
    offer: &Offer,
    task: &TaskSpec,
    ports: &[(&PortSpec, u16)],
) -> v1::CommandInfo {
    let Requirement { spec, pod_spec, .. } = requirement;
    let fetched = pod_spec.uris.iter().map(|uri| v1::command_info::Uri { value: uri.clone(), ..Default::default() });
    let env = env::of_task(requirement, offer, task, ports);
    let mut secrets = container::secret_variables(pod_spec);
    secrets.retain(|secret| !env.contains_key(&secret.name));
    let mut environment = env::to_wire(env);
    if !secrets.is_empty() {
        environment.variables.extend(secrets);
        environment.variables.sort_by(|left, right| left.name.cmp(&right.name));
    }
    v1::CommandInfo {
        uris: fetched.chain(templates(requirement, task)).collect(),
        environment: Some(Box::new(environment)),
        value: Some(task.cmd.clone()),
        user: Some(spec.user.clone()),
        shell: Some(true),
        ..Default::default()
    }
}

/// Where the executor fetches the configuration templates of a task.
fn templates(requirement: &Requirement<'_>, task: &TaskSpec) -> Vec<v1::command_info::Uri> {
    let Requirement { config, config_id, pod, .. } = requirement;
    let uri = |name: &str| v1::command_info::Uri {
        value: template_uri(&config.api_hostname, config.api_port, config_id, &pod.pod_type, &task.name, name),
        extract: Some(false),
        output_file: Some(format!("{}/{name}", env::TEMPLATES_FOLDER)),
        ..Default::default()
    };
    task.configs.iter().map(|config| uri(&config.name)).collect()
}

fn template_uri(host: &str, port: u16, config: &ConfigId, pod_type: &str, task: &str, name: &str) -> String {
    format!("http://{host}:{port}/v1/artifacts/template/{config}/{pod_type}/{task}/{name}")
}

fn health_check(
    requirement: &Requirement<'_>,
    task: &TaskSpec,
    ports: &[(&PortSpec, u16)],
) -> Option<Box<v1::HealthCheck>> {
    let check = task.health_check.as_ref()?;
    let env = env::of_checks(requirement, task, ports);
    Some(Box::new(v1::HealthCheck {
        delay_seconds: Some(f64::from(check.delay_secs)),
        interval_seconds: Some(f64::from(check.interval_secs)),
        timeout_seconds: Some(f64::from(check.timeout_secs)),
        consecutive_failures: Some(check.max_consecutive_failures),
        grace_period_seconds: Some(f64::from(check.grace_period_secs)),
        command: Some(Box::new(check_command(&check.cmd, env))),
        r#type: Some(v1::health_check::Type::Command as i32),
        ..Default::default()
    }))
}

fn readiness_check(
    requirement: &Requirement<'_>,
    task: &TaskSpec,
    ports: &[(&PortSpec, u16)],
) -> Option<Box<v1::CheckInfo>> {
    let check = task.readiness_check.as_ref()?;
    let env = env::of_checks(requirement, task, ports);
    Some(Box::new(v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Command as i32),
        command: Some(Box::new(v1::check_info::Command { command: check_command(&check.cmd, env) })),
        delay_seconds: Some(f64::from(check.delay_secs)),
        interval_seconds: Some(f64::from(check.interval_secs)),
        timeout_seconds: Some(f64::from(check.timeout_secs)),
        ..Default::default()
    }))
}

fn check_command(cmd: &str, env: BTreeMap<String, String>) -> v1::CommandInfo {
    v1::CommandInfo {
        environment: Some(Box::new(env::to_wire(env))),
        value: Some(cmd.to_owned()),
        ..Default::default()
    }
}

fn discovery(
    requirement: &Requirement<'_>,
    task: &TaskSpec,
    ports: &[(&PortSpec, u16)],
    ids: &mut Generator,
) -> v1::DiscoveryInfo {
    use v1::discovery_info::Visibility as Wire;
    let settings = task.discovery.as_ref();
    let name = match settings.and_then(|settings| settings.prefix.as_deref()) {
        Some(prefix) => format!("{prefix}-{}", requirement.pod.index),
        None => requirement.pod.task_name(&task.name).to_string(),
    };
    let visibility = match settings.map_or(Visibility::Cluster, |settings| settings.visibility) {
        Visibility::Framework => Wire::Framework,
        Visibility::Cluster => Wire::Cluster,
        Visibility::External => Wire::External,
    };
    let port = |(port, number): &(&PortSpec, u16), ids: &mut Generator| v1::Port {
        number: u32::from(*number),
        name: Some(port.name.clone()),
        protocol: Some("tcp".to_owned()),
        visibility: Some(if port.is_listed() { Wire::External } else { Wire::Cluster } as i32),
        labels: port.vip.as_ref().map(|vip| {
            let label = labels::label(format!("VIP_{}", ids.uuid()), format!("{}:{}", vip.prefix, vip.port));
            let labels = std::iter::once(label).chain(network_scope(requirement.pod_spec)).collect();
            Box::new(v1::Labels { labels })
        }),
    };
    let ports: Vec<_> = ports.iter().map(|one| port(one, ids)).collect();
    v1::DiscoveryInfo {
        visibility: visibility as i32,
        name: Some(name),
        ports: (!ports.is_empty()).then(|| Box::new(v1::Ports { ports })),
        ..Default::default()
    }
}

/// Where a virtual address leads; said of pods with networks only.
fn network_scope(pod: &PodSpec) -> Option<v1::Label> {
    let scope = if pod.uses_host_ports() { "host" } else { "container" };
    (!pod.networks.is_empty()).then(|| labels::label(labels::NETWORK_SCOPE, scope))
}

fn seconds(secs: u32) -> v1::DurationInfo {
    v1::DurationInfo { nanoseconds: i64::from(secs) * 1_000_000_000 }
}
