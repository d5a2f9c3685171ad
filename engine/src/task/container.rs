//! The container of a pod: what its executor and all its tasks run in.
//!
//! One container for each pod instance, that of the executor; tasks are processes in it. So image, networks and what is mounted or
//! shared stand in the ExecutorInfo. A task carries the limits of its processes, which the executor sets, and labels that say where
//! in its folder a mount belongs: in the sandbox of the executor each mount has a name of its own.
//!
//! | Wanted | executor, sent and stored | task, sent | task, stored |
//! |---|---|---|---|
//! | image | yes | – | yes |
//! | networks | yes | – | – |
//! | limits of processes | all but those that one process uses up over its life | yes | yes |
//! | resource limits | – | yes; in a group also `share_cgroups` false | yes |
//! | host and external volumes, secret files | `mainstay-mount-<name>` | label `mount:<name>` = path of the specification | path of the specification |
//! | seccomp, IPC, shared memory | yes | – | yes |
//! | secret variables | in the environment of its command, which tasks inherit | – | in the environment |
//! | sharing of the process namespace | nothing: tasks of one container see each other | – | – |
//!
//! Invariant: depends on the specification and the chosen ports only.
//! Source: Mesos v1 `ContainerInfo`; of a custom executor's task Mesos looks at nothing of it.

use std::fmt::Write as _;

use mainstay_proto::v1;
use mainstay_spec::{ExternalVolumeSpec, IpcMode, NetworkSpec, PodSpec, RlimitKind, RlimitSpec, VolumeMode};

use super::labels;
use crate::offer::requirement::Requirement;

/// Prefix of the name of a mount in the executor's sandbox.
pub(crate) const MOUNT_FILE_PREFIX: &str = "mainstay-mount-";

/// The container of the executor; `chosen` are the ports whose numbers were chosen at placement, of all tasks of the pod.
///
/// `None` when the pod wants nothing of it: the executor then runs as it is on its agent.
pub(crate) fn of_executor(requirement: &Requirement<'_>, chosen: &[u16]) -> Option<Box<v1::ContainerInfo>> {
    let pod = requirement.pod_spec;
    // The executor lives as long as the pod: it would reach these before any task does.
    let is_used_up = |limit: &&RlimitSpec| matches!(limit.kind, RlimitKind::Cpu | RlimitKind::Fsize);
    let container = v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        mesos: image(pod),
        volumes: mounts(requirement).into_iter().map(Mount::into_sandbox).collect(),
        network_infos: pod.networks.iter().map(|one| network(pod, one, chosen)).collect(),
        linux_info: linux(pod),
        rlimit_info: rlimits(pod.rlimits.iter().filter(|limit| !is_used_up(limit))),
        ..Default::default()
    };
    unless_empty(container)
}

/// What is stored of the container with a task, as the SDK does.
pub(crate) fn of_stored_task(requirement: &Requirement<'_>) -> Option<Box<v1::ContainerInfo>> {
    let pod = requirement.pod_spec;
    let container = v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        mesos: image(pod),
        volumes: mounts(requirement).into_iter().map(|mount| mount.volume).collect(),
        linux_info: linux(pod),
        rlimit_info: rlimits(&pod.rlimits),
        ..Default::default()
    };
    unless_empty(container)
}

/// Limits of the processes of a task; the executor sets them.
pub(crate) fn of_sent_task(pod: &PodSpec) -> Option<Box<v1::ContainerInfo>> {
    unless_empty(v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        rlimit_info: rlimits(&pod.rlimits),
        ..Default::default()
    })
}

/// Says that the task has cgroups of its own.
pub(crate) fn give_own_cgroups(task: &mut v1::TaskInfo) {
    let container = task.container.get_or_insert_with(|| {
        Box::new(v1::ContainerInfo { r#type: v1::container_info::Type::Mesos as i32, ..Default::default() })
    });
    container.linux_info.get_or_insert_default().share_cgroups = Some(false);
}

/// Labels that tell the executor where in a task's folder the mounts belong.
pub(crate) fn mount_labels(requirement: &Requirement<'_>) -> Vec<v1::Label> {
    let mounts = mounts(requirement);
    mounts
        .iter()
        .filter_map(|mount| Some(labels::mount(mount.name.as_deref()?, &mount.volume.container_path)))
        .collect()
}

/// Variables that hold secrets.
pub(crate) fn secret_variables(pod: &PodSpec) -> Vec<v1::environment::Variable> {
    let variable = |(name, secret): (&String, &String)| v1::environment::Variable {
        name: name.clone(),
        r#type: Some(v1::environment::variable::Type::Secret as i32),
        secret: Some(Box::new(reference(secret))),
        ..Default::default()
    };
    let keyed = pod.secrets.iter().filter_map(|secret| Some((secret.env_key.as_ref()?, &secret.secret)));
    // Of several for one name the last one counts, as everywhere in an environment.
    let by_name: std::collections::BTreeMap<_, _> = keyed.collect();
    by_name.into_iter().map(variable).collect()
}

/// A part of the agent, of a driver or of the secret store that tasks see in their folder.
struct Mount {
    /// Name in the sandbox behind [`MOUNT_FILE_PREFIX`]; `None` for one that is mounted at an absolute path.
    name: Option<String>,
    /// With the path of the specification.
    volume: v1::Volume,
}

impl Mount {
    fn new(path: &str, mode: VolumeMode, source: v1::volume::Source) -> Self {
        let mode = match mode {
            VolumeMode::ReadWrite => v1::volume::Mode::Rw,
            VolumeMode::ReadOnly => v1::volume::Mode::Ro,
        };
        let volume = v1::Volume {
            container_path: path.to_owned(),
            mode: mode as i32,
            source: Some(Box::new(source)),
            ..Default::default()
        };
        Self { name: (!path.starts_with('/')).then(|| file_name(path)), volume }
    }

    fn into_sandbox(self) -> v1::Volume {
        match self.name {
            Some(name) => v1::Volume { container_path: format!("{MOUNT_FILE_PREFIX}{name}"), ..self.volume },
            None => self.volume,
        }
    }
}

/// One component that names a path and no other.
fn file_name(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    for byte in path.trim_end_matches('/').bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => name.push(char::from(byte)),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(name, "={other:02x}");
            }
        }
    }
    name
}

fn mounts(requirement: &Requirement<'_>) -> Vec<Mount> {
    use v1::volume::source::Type;
    let Requirement { pod_spec: pod, .. } = requirement;
    let host = pod.host_volumes.iter().map(|volume| {
        let path = v1::volume::source::HostPath { path: volume.host_path.clone(), ..Default::default() };
        let source = v1::volume::Source {
            r#type: Some(Type::HostPath as i32),
            host_path: Some(Box::new(path)),
            ..Default::default()
        };
        Mount::new(&volume.container_path, volume.mode, source)
    });
    let external = pod.external_volumes.iter().map(|volume| {
        let source = v1::volume::Source {
            r#type: Some(Type::DockerVolume as i32),
            docker_volume: Some(Box::new(docker_volume(requirement, volume))),
            ..Default::default()
        };
        Mount::new(&volume.container_path, volume.mode, source)
    });
    let secrets = pod.secrets.iter().filter_map(|secret| {
        let source = v1::volume::Source {
            r#type: Some(Type::Secret as i32),
            secret: Some(Box::new(reference(&secret.secret))),
            ..Default::default()
        };
        Some(Mount::new(secret.file.as_deref()?, VolumeMode::ReadOnly, source))
    });
    host.chain(external).chain(secrets).collect()
}

fn docker_volume(requirement: &Requirement<'_>, volume: &ExternalVolumeSpec) -> v1::volume::source::DockerVolume {
    let Requirement { spec, pod, .. } = requirement;
    let parameter = |(key, value)| v1::Parameter { key, value };
    let options: Vec<_> = volume.options().into_iter().map(parameter).collect();
    v1::volume::source::DockerVolume {
        driver: volume.driver_name.clone(),
        name: volume.volume_name(&spec.name, &pod.pod_type, pod.index),
        driver_options: (!options.is_empty()).then_some(Box::new(v1::Parameters { parameter: options })),
    }
}

fn reference(secret: &str) -> v1::Secret {
    let reference = v1::secret::Reference { name: secret.to_owned(), ..Default::default() };
    v1::Secret {
        r#type: Some(v1::secret::Type::Reference as i32),
        reference: Some(Box::new(reference)),
        ..Default::default()
    }
}

fn image(pod: &PodSpec) -> Option<Box<v1::container_info::MesosInfo>> {
    let docker = v1::image::Docker { name: pod.image.clone()?, ..Default::default() };
    let image =
        v1::Image { r#type: v1::image::Type::Docker as i32, docker: Some(Box::new(docker)), ..Default::default() };
    Some(Box::new(v1::container_info::MesosInfo { image: Some(Box::new(image)) }))
}

fn network(pod: &PodSpec, network: &NetworkSpec, chosen: &[u16]) -> v1::NetworkInfo {
    let mut pairs = pod.port_mappings(network);
    if network.maps_ports() {
        for port in chosen {
            if !pairs.iter().any(|(host, _)| host == port) {
                pairs.push((*port, *port));
            }
        }
    }
    let mapping = |(host, container)| v1::network_info::PortMapping {
        host_port: u32::from(host),
        container_port: u32::from(container),
        protocol: Some("tcp".to_owned()),
    };
    let labels: Vec<_> = network.labels.iter().map(|(key, value)| labels::label(&**key, &**value)).collect();
    v1::NetworkInfo {
        name: Some(network.name.clone()),
        labels: (!labels.is_empty()).then_some(Box::new(v1::Labels { labels })),
        port_mappings: pairs.into_iter().map(mapping).collect(),
        ..Default::default()
    }
}

/// What the container has of its own in the kernel. A lone task may say it in the place of its pod: it is all there is in the container.
fn linux(pod: &PodSpec) -> Option<Box<v1::LinuxInfo>> {
    let alone = match pod.tasks.as_slice() {
        [task] => Some(task),
        _ => None,
    };
    let shm_size = pod.shm_size_mb.or_else(|| alone?.shm_size_mb);
    let is_private = pod.ipc_mode == Some(IpcMode::Private)
        || alone.is_some_and(|task| task.ipc_mode == Some(IpcMode::Private))
        // A size is the size of something of one's own; Mesos wants the mode said with it.
        || shm_size.is_some();
    let seccomp = (pod.seccomp_unconfined || pod.seccomp_profile_name.is_some()).then(|| v1::SeccompInfo {
        profile_name: pod.seccomp_profile_name.clone(),
        unconfined: pod.seccomp_unconfined.then_some(true),
    });
    (is_private || seccomp.is_some()).then(|| {
        Box::new(v1::LinuxInfo {
            seccomp: seccomp.map(Box::new),
            ipc_mode: is_private.then_some(v1::linux_info::IpcMode::Private as i32),
            shm_size,
            ..Default::default()
        })
    })
}

fn rlimits<'a>(limits: impl IntoIterator<Item = &'a RlimitSpec>) -> Option<Box<v1::RLimitInfo>> {
    let limit = |limit: &RlimitSpec| v1::r_limit_info::RLimit {
        r#type: Some(rlimit_kind(limit.kind) as i32),
        soft: limit.values.map(|(soft, _)| soft),
        hard: limit.values.map(|(_, hard)| hard),
    };
    let rlimits: Vec<_> = limits.into_iter().map(limit).collect();
    (!rlimits.is_empty()).then_some(Box::new(v1::RLimitInfo { rlimits }))
}

const fn rlimit_kind(kind: RlimitKind) -> v1::r_limit_info::r_limit::Type {
    use v1::r_limit_info::r_limit::Type;
    match kind {
        RlimitKind::As => Type::RlmtAs,
        RlimitKind::Core => Type::RlmtCore,
        RlimitKind::Cpu => Type::RlmtCpu,
        RlimitKind::Data => Type::RlmtData,
        RlimitKind::Fsize => Type::RlmtFsize,
        RlimitKind::Locks => Type::RlmtLocks,
        RlimitKind::Memlock => Type::RlmtMemlock,
        RlimitKind::Msgqueue => Type::RlmtMsgqueue,
        RlimitKind::Nice => Type::RlmtNice,
        RlimitKind::Nofile => Type::RlmtNofile,
        RlimitKind::Nproc => Type::RlmtNproc,
        RlimitKind::Rss => Type::RlmtRss,
        RlimitKind::Rtprio => Type::RlmtRtprio,
        RlimitKind::Rttime => Type::RlmtRttime,
        RlimitKind::Sigpending => Type::RlmtSigpending,
        RlimitKind::Stack => Type::RlmtStack,
    }
}

fn unless_empty(container: v1::ContainerInfo) -> Option<Box<v1::ContainerInfo>> {
    let empty = v1::ContainerInfo { r#type: container.r#type, ..Default::default() };
    (container != empty).then_some(Box::new(container))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mainstay_proto::v1::offer::Operation;
    use mainstay_spec::{
        HostVolumeSpec, Limit, PortSpec, ResourceLimits, ResourceSet, Scalar, SecretSpec, TaskSpec, VipSpec,
    };

    use super::*;
    use crate::offer::fixture::{self, World, port, set, task};
    use crate::offer::requirement::{Accepted, Recovery};
    use crate::resource::Value;

    /// A pod with everything a container can have, on a network that maps ports.
    fn pod() -> PodSpec {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let secret = |secret: &str, env_key: Option<&str>, file: Option<&str>| SecretSpec {
            secret: secret.into(),
            env_key: env_key.map(Into::into),
            file: file.map(Into::into),
        };
        let vip = VipSpec { prefix: "web".into(), port: 80, advertise: true };
        let ports = vec![port("admin", None), PortSpec { vip: Some(vip), ..port("http", Some(8080)) }];
        PodSpec {
            pod_type: "hello".into(),
            count: 1,
            image: Some("registry/hello:1".into()),
            networks: vec![NetworkSpec {
                name: "mesos-bridge".into(),
                port_mappings: BTreeMap::from([(31_999, 4000)]),
                labels: vec![pair("zone", "b"), pair("area", "a")],
            }],
            rlimits: vec![
                RlimitSpec { kind: RlimitKind::Nofile, values: Some((1000, 2000)) },
                RlimitSpec { kind: RlimitKind::Cpu, values: Some((60, 60)) },
                RlimitSpec { kind: RlimitKind::Memlock, values: None },
            ],
            host_volumes: vec![HostVolumeSpec {
                host_path: "/etc/ssl".into(),
                container_path: "conf/ssl".into(),
                mode: VolumeMode::ReadOnly,
            }],
            external_volumes: vec![
                ExternalVolumeSpec {
                    container_path: "data".into(),
                    driver_name: Some("pxd".into()),
                    driver_options: BTreeMap::from([pair("size", "10")]),
                    ..ExternalVolumeSpec::default()
                },
                ExternalVolumeSpec { container_path: "/absolute".into(), ..ExternalVolumeSpec::default() },
            ],
            secrets: vec![
                secret("hello/password", Some("PASSWORD"), None),
                secret("hello/key", None, Some("keys/key")),
            ],
            share_pid_namespace: true,
            seccomp_profile_name: Some("strict.json".into()),
            shm_size_mb: Some(64),
            resource_sets: vec![ResourceSet { ports, ..set("s") }, set("x")],
            tasks: vec![
                TaskSpec { env: BTreeMap::from([pair("PASSWORD", "of the author")]), ..task("server", "s") },
                task("extra", "x"),
            ],
            ..PodSpec::default()
        }
    }

    fn group(accepted: &Accepted) -> &v1::offer::operation::LaunchGroup {
        accepted.operations.last().unwrap().launch_group.as_ref().unwrap()
    }

    fn labels_with(info: &v1::TaskInfo, prefix: &str) -> Vec<(String, String)> {
        let labels = info.labels.iter().flat_map(|labels| &labels.labels);
        let wanted = labels.filter(|label| label.key.starts_with(prefix));
        wanted.map(|label| (label.key.clone(), label.value.clone().unwrap())).collect()
    }

    fn environment(command: &v1::CommandInfo) -> Vec<&v1::environment::Variable> {
        command.environment.iter().flat_map(|environment| &environment.variables).collect()
    }

    // contract: 2.4/image 2.4/network-info 2.4/rlimits 2.4/mounted-volumes 2.5/labels 2.5/automatic 2.8/env-key 2.8/file
    // contract: 2.10/pxd-name 2.10/other-name 2.15/scope-label
    #[test]
    fn the_container_is_the_executors_and_is_stored_with_its_tasks() {
        let mut world = World::new(pod());
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        let group = group(&accepted);
        let container = group.executor.container.as_ref().unwrap();
        insta::assert_snapshot!("executor_container", fixture::compact(container));
        let command = group.executor.command.as_ref().unwrap();
        insta::assert_snapshot!("executor_command_in_an_image", fixture::compact(command));

        let [sent] = group.task_group.tasks.as_slice() else { panic!("one task is launched") };
        insta::assert_snapshot!("sent_container", fixture::compact(sent.container.as_ref().unwrap()));
        let expected = [("mount:conf=2fssl", "conf/ssl"), ("mount:data", "data"), ("mount:keys=2fkey", "keys/key")];
        assert_eq!(labels_with(sent, "mount:"), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let data = <v1::CommandInfo as prost::Message>::decode(sent.data.clone().unwrap()).unwrap();
        assert!(environment(&data).iter().all(|variable| variable.name != "PASSWORD"), "the executor's wins");

        let stored = &fixture::stored(&accepted, "hello-0-server");
        assert_eq!(stored.executor.as_deref(), Some(&group.executor));
        insta::assert_snapshot!("stored_container", fixture::compact(stored.container.as_ref().unwrap()));
        assert!(labels_with(stored, "mount:").is_empty());
        let of_password = environment(stored.command.as_ref().unwrap());
        let of_password: Vec<_> = of_password.iter().filter(|variable| variable.name == "PASSWORD").collect();
        assert_eq!(of_password, [&&secret_variables(&pod())[0]]);
        let ports = &stored.discovery.as_ref().unwrap().ports.as_ref().unwrap().ports;
        let scopes = ports.iter().map(|port| {
            let labels = port.labels.iter().flat_map(|labels| &labels.labels);
            labels.filter(|label| label.key == "network-scope").map(|label| label.value.clone().unwrap()).collect()
        });
        assert_eq!(scopes.collect::<Vec<Vec<String>>>(), [vec!["host".to_owned()], vec![]]);
    }

    #[test]
    fn a_pod_without_any_of_it_has_no_container() {
        let mut world = World::new(fixture::pod());
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        assert_eq!(group(&accepted).executor.container, None);
        assert_eq!(fixture::stored(&accepted, "hello-0-server").container, None);
    }

    type Edit = fn(&mut PodSpec);

    #[test]
    fn a_task_joins_the_same_container_and_a_plan_refuses_another() {
        let mut world = World::new(pod());
        world.launch(&["server"], Recovery::None);
        let joined = world.launch(&["extra"], Recovery::None).accepted.unwrap();
        let Some(Operation { launch: Some(launch), .. }) = joined.operations.last() else { panic!("a LAUNCH") };
        assert_eq!(launch.task_infos[0].executor.as_deref(), world.master.executor.as_ref(), "byte for byte");

        let changes: [(&str, Edit); 5] = [
            ("image", |pod| pod.image = Some("registry/hello:2".into())),
            ("no image", |pod| pod.image = None),
            ("host volumes", |pod| pod.host_volumes.clear()),
            ("secrets", |pod| pod.secrets.truncate(1)),
            ("rlimits", |pod| pod.rlimits[0].values = None),
        ];
        for (what, change) in changes {
            let mut world = World::new(pod());
            world.launch(&["server"], Recovery::None);
            change(world.pod_mut());
            let evaluation = world.evaluate(&["extra"], Recovery::None);
            let failure = evaluation.report.first_failure().unwrap_or_else(|| panic!("{what}: joins"));
            let reason = failure.reason.to_string();
            assert!(reason.contains("of an earlier configuration; restart the pod"), "{what}: {reason}");
            let back = world.evaluate(&["extra"], Recovery::Transient);
            assert!(back.accepted.is_some(), "{what}: a task that only comes back is not held up");
        }
    }

    // contract: 2.5/no-host-resources
    #[test]
    fn in_a_network_of_its_own_a_pod_reserves_no_ports_and_keeps_its_numbers() {
        let overlay = NetworkSpec { name: "dcos".into(), ..NetworkSpec::default() };
        let mut world = World::new(PodSpec { networks: vec![overlay], image: None, ..pod() });
        world.master.free.retain(|resource| resource.name != "ports");
        let evaluation = world.launch(&["server", "extra"], Recovery::None);
        insta::assert_snapshot!("ports_of_network", world.report(&evaluation));
        let accepted = evaluation.accepted.unwrap();
        let container = group(&accepted).executor.container.as_ref().unwrap();
        assert!(container.network_infos[0].port_mappings.is_empty());
        let server = world.stored.iter().find(|task| task.name.as_str() == "hello-0-server").unwrap();
        assert_eq!(server.ports, [("http".to_owned(), 8080), ("admin".to_owned(), 1025)]);
        assert!(server.resources.iter().all(|resource| !matches!(resource.value, Value::Ranges(_))));

        world.end();
        world.pod_mut().resource_sets[0].ports.insert(0, port("new", None));
        world.launch(&["server", "extra"], Recovery::None);
        let server = world.stored.iter().find(|task| task.name.as_str() == "hello-0-server").unwrap();
        let expected = [("http", 8080), ("new", 1026), ("admin", 1025)];
        assert_eq!(server.ports, expected.map(|(name, number)| (name.to_owned(), number)));
    }

    #[test]
    fn what_a_lone_task_wants_for_itself_is_its_pods() {
        let lone = |mode, size| PodSpec {
            tasks: vec![TaskSpec { ipc_mode: mode, shm_size_mb: size, ..task("server", "s") }],
            ..PodSpec::default()
        };
        let seen = |pod: &PodSpec| {
            linux(pod).map(|linux| (linux.ipc_mode() == v1::linux_info::IpcMode::Private, linux.shm_size))
        };
        assert_eq!(seen(&lone(None, None)), None);
        assert_eq!(seen(&lone(Some(IpcMode::ShareParent), None)), None);
        assert_eq!(seen(&lone(Some(IpcMode::Private), None)), Some((true, None)));
        assert_eq!(seen(&lone(None, Some(32))), Some((true, Some(32))));
        let both = PodSpec { shm_size_mb: Some(64), ..lone(Some(IpcMode::Private), Some(32)) };
        assert_eq!(seen(&both), Some((true, Some(64))), "what the pod says holds");
        let two = PodSpec { tasks: vec![task("a", "s"), task("b", "s")], ..PodSpec::default() };
        assert_eq!(seen(&two), None);
        let unconfined = PodSpec { seccomp_unconfined: true, ..two };
        assert_eq!(linux(&unconfined).unwrap().seccomp.unwrap().unconfined, Some(true));
    }

    // contract: 2.11/resource-limits 2.12/cpus 2.12/memory
    #[test]
    fn resource_limits_stand_in_the_task_and_ask_for_cgroups_of_its_own_in_a_group_only() {
        let limited = |cpus, memory_mb| ResourceLimits { cpus, memory_mb };
        let amount = |millis| Some(Limit::Amount(Scalar::from_millis(millis)));
        let sets = vec![
            ResourceSet { limits: limited(amount(1_500), Some(Limit::Unlimited)), ..set("s") },
            ResourceSet { limits: limited(None, amount(256_000)), ..set("x") },
            set("y"),
        ];
        let tasks = vec![task("server", "s"), task("extra", "x"), task("plain", "y")];
        let mut world =
            World::new(PodSpec { pod_type: "hello".into(), resource_sets: sets, tasks, ..PodSpec::default() });
        let accepted = world.launch(&["server", "plain"], Recovery::None).accepted.unwrap();
        let [plain, server] = group(&accepted).task_group.tasks.as_slice() else { panic!("two tasks") };
        let seen = |task: &v1::TaskInfo| {
            let limits: Vec<_> = task.limits.iter().map(|(name, limit)| format!("{name} {}", limit.value)).collect();
            let linux = task.container.as_ref().and_then(|container| container.linux_info.as_ref());
            (limits.join(", "), linux.and_then(|linux| linux.share_cgroups))
        };
        assert_eq!(seen(server), ("cpus 1.5, mem inf".to_owned(), Some(false)));
        assert_eq!(seen(plain), (String::new(), Some(false)), "the same for all of a group");
        let stored = |accepted: &Accepted, name: &str| seen(&fixture::stored(accepted, name));
        assert_eq!(stored(&accepted, "hello-0-server"), ("cpus 1.5, mem inf".to_owned(), None));
        assert_eq!(group(&accepted).executor.container, None, "limits are no part of what the executor lives in");

        let joined = world.launch(&["extra"], Recovery::None).accepted.unwrap();
        let Some(Operation { launch: Some(launch), .. }) = joined.operations.last() else { panic!("a LAUNCH") };
        assert_eq!(seen(&launch.task_infos[0]), ("mem 256".to_owned(), None), "Mesos refuses the flag in a LAUNCH");
        assert_eq!(stored(&joined, "hello-0-extra"), ("mem 256".to_owned(), None));

        // A group without limits is as it always was.
        world.end();
        let plain = world.launch(&["plain"], Recovery::Transient).accepted.unwrap();
        assert_eq!(seen(&group(&plain).task_group.tasks[0]), (String::new(), None));
    }

    #[test]
    fn names_of_mounts_are_one_component_each_and_differ() {
        let paths = ["a", "a/b", "a=2fb", "a_b", "a b", "ä"];
        let names: std::collections::BTreeSet<_> = paths.map(file_name).into();
        assert_eq!(names.len(), paths.len());
        assert!(names.iter().all(|name| !name.contains('/') && name.is_ascii()), "{names:?}");
        assert_eq!(file_name("a/b/"), "a=2fb");
    }
}
