//! Which change of a pod restarts its tasks, field by field. Source: svc-yml §6.6 and the effects of stored-form §2.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use mainstay_spec::{
    ConfigSpec, DiscoverySpec, ExternalVolumeSpec, Goal, HealthCheckSpec, HostVolumeSpec, IpcMode, Limit, NetworkSpec,
    PodSpec, PortRange, PortSpec, ReadinessCheckSpec, ResourceLimits, ResourceSet, RlimitSpec, Scalar, SecretSpec,
    TaskSpec, TransportEncryptionKind, TransportEncryptionSpec, VipSpec, Visibility, VolumeKind, VolumeMode,
    VolumeSpec, from_json, placement::Rule, pod_changed,
};

/// The richest pod, with a network that maps ports.
fn sample() -> PodSpec {
    let stored = from_json(include_str!("stored/g20.json")).unwrap();
    let [index, front, ..] = stored.spec.pods.as_slice() else { panic!("three pods") };
    PodSpec { networks: front.networks.clone(), external_volumes: front.external_volumes.clone(), ..index.clone() }
}

fn set(pod: &mut PodSpec) -> &mut ResourceSet {
    &mut pod.resource_sets[0]
}

/// The one with ranges, which is not the last.
fn port(pod: &mut PodSpec) -> &mut PortSpec {
    &mut pod.resource_sets[0].ports[0]
}

fn vip(pod: &mut PodSpec) -> &mut VipSpec {
    pod.resource_sets[0].ports.iter_mut().find_map(|port| port.vip.as_mut()).unwrap()
}

fn task(pod: &mut PodSpec) -> &mut TaskSpec {
    &mut pod.tasks[0]
}

fn health(pod: &mut PodSpec) -> &mut HealthCheckSpec {
    pod.tasks[0].health_check.as_mut().unwrap()
}

fn readiness(pod: &mut PodSpec) -> &mut ReadinessCheckSpec {
    pod.tasks[0].readiness_check.as_mut().unwrap()
}

fn discovery(pod: &mut PodSpec) -> &mut DiscoverySpec {
    pod.tasks[0].discovery.as_mut().unwrap()
}

fn rename_set(pod: &mut PodSpec) {
    set(pod).id.push('x');
    task(pod).resource_set.push('x');
}

/// Field, whether a change of it restarts tasks, and such a change.
type Row = (&'static str, bool, fn(&mut PodSpec));

const TABLE: &[Row] = &[
    ("PodSpec.pod_type", true, |pod| pod.pod_type.push('x')),
    ("PodSpec.count", false, |pod| pod.count += 1),
    ("PodSpec.allow_decommission", false, |pod| pod.allow_decommission ^= true),
    ("PodSpec.placement", false, |pod| pod.placement = Rule::parse("hostname:UNIQUE", "x").unwrap()),
    ("PodSpec.image", true, |pod| pod.image = None),
    ("PodSpec.networks", true, |pod| pod.networks.clear()),
    ("PodSpec.rlimits", true, |pod| pod.rlimits.truncate(1)),
    ("PodSpec.uris", true, |pod| pod.uris.reverse()),
    ("PodSpec.volumes", true, |pod| pod.volumes.clear()),
    ("PodSpec.host_volumes", true, |pod| drop(pod.host_volumes.pop())),
    ("PodSpec.external_volumes", true, |pod| drop(pod.external_volumes.pop())),
    ("PodSpec.secrets", true, |pod| drop(pod.secrets.pop())),
    ("PodSpec.pre_reserved_role", true, |pod| pod.pre_reserved_role = Some("slave_public".to_owned())),
    ("PodSpec.share_pid_namespace", true, |pod| pod.share_pid_namespace ^= true),
    ("PodSpec.seccomp_unconfined", true, |pod| pod.seccomp_unconfined ^= true),
    ("PodSpec.seccomp_profile_name", true, |pod| pod.seccomp_profile_name = None),
    ("PodSpec.ipc_mode", true, |pod| pod.ipc_mode = None),
    ("PodSpec.shm_size_mb", true, |pod| pod.shm_size_mb = None),
    // Order of sets, and sets that no task uses.
    ("PodSpec.resource_sets", false, |pod| pod.resource_sets.reverse()),
    ("PodSpec.resource_sets", false, |pod| {
        pod.resource_sets.push(ResourceSet { id: "unused".to_owned(), ..ResourceSet::default() });
    }),
    ("PodSpec.tasks", true, |pod| drop(pod.tasks.pop())),
    ("TaskSpec.name", true, |pod| task(pod).name.push('x')),
    ("TaskSpec.goal", true, |pod| task(pod).goal = Goal::Once),
    ("TaskSpec.essential", false, |pod| task(pod).essential ^= true),
    ("TaskSpec.cmd", true, |pod| task(pod).cmd.push('x')),
    ("TaskSpec.env", true, |pod| drop(task(pod).env.insert("A".to_owned(), "B".to_owned()))),
    ("TaskSpec.configs", false, |pod| task(pod).configs.reverse()),
    ("TaskSpec.configs", true, |pod| drop(task(pod).configs.pop())),
    // Another set with other resources, and the same one under another name.
    ("TaskSpec.resource_set", true, |pod| pod.tasks[0].resource_set = pod.tasks[1].resource_set.clone()),
    ("TaskSpec.resource_set", false, rename_set),
    ("TaskSpec.health_check", true, |pod| task(pod).health_check = None),
    ("TaskSpec.readiness_check", true, |pod| task(pod).readiness_check = None),
    ("TaskSpec.discovery", true, |pod| task(pod).discovery = None),
    ("TaskSpec.labels", false, |pod| task(pod).labels.reverse()),
    ("TaskSpec.labels", true, |pod| drop(task(pod).labels.pop())),
    ("TaskSpec.kill_grace_period_secs", true, |pod| task(pod).kill_grace_period_secs += 1),
    ("TaskSpec.uris", true, |pod| task(pod).uris.push("a".to_owned())),
    ("TaskSpec.transport_encryption", false, |pod| drop(task(pod).transport_encryption.pop())),
    ("TaskSpec.ipc_mode", true, |pod| task(pod).ipc_mode = Some(IpcMode::ShareParent)),
    ("TaskSpec.shm_size_mb", true, |pod| task(pod).shm_size_mb = Some(1)),
    ("ConfigSpec.name", true, |pod| task(pod).configs[0].name.push('x')),
    ("ConfigSpec.template_path", false, |pod| task(pod).configs[0].template_path.push('x')),
    ("ConfigSpec.dest", true, |pod| task(pod).configs[0].dest.push('x')),
    ("ConfigSpec.content", true, |pod| task(pod).configs[0].content.push('x')),
    ("HealthCheckSpec.cmd", true, |pod| health(pod).cmd.push('x')),
    ("HealthCheckSpec.interval_secs", true, |pod| health(pod).interval_secs += 1),
    ("HealthCheckSpec.grace_period_secs", true, |pod| health(pod).grace_period_secs += 1),
    ("HealthCheckSpec.max_consecutive_failures", true, |pod| health(pod).max_consecutive_failures += 1),
    ("HealthCheckSpec.delay_secs", true, |pod| health(pod).delay_secs += 1),
    ("HealthCheckSpec.timeout_secs", true, |pod| health(pod).timeout_secs += 1),
    ("ReadinessCheckSpec.cmd", true, |pod| readiness(pod).cmd.push('x')),
    ("ReadinessCheckSpec.interval_secs", true, |pod| readiness(pod).interval_secs += 1),
    ("ReadinessCheckSpec.delay_secs", true, |pod| readiness(pod).delay_secs += 1),
    ("ReadinessCheckSpec.timeout_secs", true, |pod| readiness(pod).timeout_secs += 1),
    ("DiscoverySpec.prefix", true, |pod| discovery(pod).prefix = None),
    ("DiscoverySpec.visibility", true, |pod| discovery(pod).visibility = Visibility::External),
    ("TransportEncryptionSpec.name", false, |pod| task(pod).transport_encryption[0].name.push('x')),
    ("TransportEncryptionSpec.kind", false, |pod| {
        task(pod).transport_encryption[0].kind = TransportEncryptionKind::Keystore;
    }),
    ("ResourceSet.id", false, rename_set),
    ("ResourceSet.cpus", true, |pod| set(pod).cpus = None),
    ("ResourceSet.memory_mb", true, |pod| set(pod).memory_mb = None),
    ("ResourceSet.gpus", true, |pod| set(pod).gpus = Some(Scalar::from_units(1))),
    // Order of ports, and all of them.
    ("ResourceSet.ports", false, |pod| set(pod).ports.reverse()),
    ("ResourceSet.ports", true, |pod| drop(set(pod).ports.remove(0))),
    ("ResourceSet.volumes", false, |pod| set(pod).volumes.reverse()),
    ("ResourceSet.volumes", true, |pod| drop(set(pod).volumes.pop())),
    ("ResourceSet.limits", true, |pod| set(pod).limits = ResourceLimits::default()),
    ("ResourceLimits.cpus", true, |pod| set(pod).limits.cpus = None),
    ("ResourceLimits.memory_mb", true, |pod| set(pod).limits.memory_mb = Some(Limit::Unlimited)),
    ("PortSpec.name", true, |pod| port(pod).name.push('x')),
    ("PortSpec.port", true, |pod| port(pod).port = Some(9301)),
    ("PortSpec.env_key", true, |pod| port(pod).env_key = None),
    ("PortSpec.advertise", true, |pod| port(pod).advertise ^= true),
    ("PortSpec.vip", true, |pod| port(pod).vip = Some(VipSpec { prefix: "p".to_owned(), port: 1, advertise: true })),
    ("PortSpec.ranges", true, |pod| port(pod).ranges.truncate(1)),
    ("PortRange.begin", true, |pod| port(pod).ranges[0].begin -= 1),
    ("PortRange.end", true, |pod| port(pod).ranges[0].end += 1),
    ("VipSpec.prefix", true, |pod| vip(pod).prefix.push('x')),
    ("VipSpec.port", true, |pod| vip(pod).port += 1),
    ("VipSpec.advertise", true, |pod| vip(pod).advertise ^= true),
    ("VolumeSpec.path", true, |pod| pod.volumes[0].path.push('x')),
    ("VolumeSpec.kind", true, |pod| pod.volumes[0].kind = VolumeKind::Mount { profiles: Vec::new() }),
    ("VolumeSpec.size_mb", true, |pod| set(pod).volumes[0].size_mb = Scalar::from_units(1)),
    ("NetworkSpec.name", true, |pod| pod.networks[0].name.push('x')),
    ("NetworkSpec.port_mappings", true, |pod| pod.networks[0].port_mappings.clear()),
    // What every port gets anyway, written by the author.
    ("NetworkSpec.port_mappings", false, |pod| pod.networks[0].port_mappings.extend([(9200, 9200)])),
    ("NetworkSpec.labels", false, |pod| pod.networks[0].labels.reverse()),
    ("NetworkSpec.labels", true, |pod| drop(pod.networks[0].labels.pop())),
    ("RlimitSpec.kind", true, |pod| pod.rlimits[0].kind = pod.rlimits[1].kind),
    ("RlimitSpec.values", true, |pod| pod.rlimits[0].values = None),
    ("SecretSpec.secret", true, |pod| pod.secrets[0].secret.push('x')),
    ("SecretSpec.env_key", true, |pod| pod.secrets[0].env_key = Some("K".to_owned())),
    ("SecretSpec.file", true, |pod| pod.secrets[0].file = None),
    ("HostVolumeSpec.host_path", true, |pod| pod.host_volumes[0].host_path.push('x')),
    ("HostVolumeSpec.container_path", true, |pod| pod.host_volumes[0].container_path.push('x')),
    ("HostVolumeSpec.mode", true, |pod| pod.host_volumes[0].mode = VolumeMode::ReadWrite),
    ("ExternalVolumeSpec.container_path", true, |pod| pod.external_volumes[0].container_path.push('x')),
    ("ExternalVolumeSpec.driver_name", true, |pod| pod.external_volumes[0].driver_name = None),
    ("ExternalVolumeSpec.driver_options", true, |pod| pod.external_volumes[0].driver_options.clear()),
    ("ExternalVolumeSpec.volume_name", true, |pod| pod.external_volumes[0].volume_name = None),
    ("ExternalVolumeSpec.mode", true, |pod| pod.external_volumes[0].mode = VolumeMode::ReadOnly),
];

#[test]
fn each_field_restarts_tasks_or_does_not() {
    let old = sample();
    for (field, restarts, change) in TABLE {
        let mut new = old.clone();
        change(&mut new);
        assert_ne!(old, new, "the case of {field} changes something");
        assert_eq!(pod_changed(&old, &new), *restarts, "{field}");
        assert_eq!(pod_changed(&new, &old), *restarts, "{field}, backwards");
    }
}

/// Names of all fields; without `..`, so that a new one does not compile before it is listed, and then not pass before it has
/// a row.
macro_rules! fields {
    ($($kind:ident { $($field:ident),* })*) => {{
        $(const _: fn($kind) = |value| { let $kind { $($field: _),* } = value; };)*
        BTreeSet::from([$($(concat!(stringify!($kind), ".", stringify!($field)),)*)*])
    }};
}

#[test]
fn every_field_of_the_model_has_a_row() {
    let fields = fields! {
        PodSpec { pod_type, count, allow_decommission, placement, image, networks, rlimits, uris, volumes, host_volumes,
            external_volumes, secrets, pre_reserved_role, share_pid_namespace, seccomp_unconfined, seccomp_profile_name,
            ipc_mode, shm_size_mb, resource_sets, tasks }
        TaskSpec { name, goal, essential, cmd, env, configs, resource_set, health_check, readiness_check, discovery, labels,
            kill_grace_period_secs, uris, transport_encryption, ipc_mode, shm_size_mb }
        ConfigSpec { name, template_path, dest, content }
        HealthCheckSpec { cmd, interval_secs, grace_period_secs, max_consecutive_failures, delay_secs, timeout_secs }
        ReadinessCheckSpec { cmd, interval_secs, delay_secs, timeout_secs }
        DiscoverySpec { prefix, visibility }
        TransportEncryptionSpec { name, kind }
        ResourceSet { id, cpus, memory_mb, gpus, ports, volumes, limits }
        ResourceLimits { cpus, memory_mb }
        PortSpec { name, port, env_key, advertise, vip, ranges }
        PortRange { begin, end }
        VipSpec { prefix, port, advertise }
        VolumeSpec { path, kind, size_mb }
        NetworkSpec { name, port_mappings, labels }
        RlimitSpec { kind, values }
        SecretSpec { secret, env_key, file }
        HostVolumeSpec { host_path, container_path, mode }
        ExternalVolumeSpec { container_path, driver_name, driver_options, volume_name, mode }
    };
    let rows: BTreeSet<&str> = TABLE.iter().map(|(field, _, _)| *field).collect();
    assert_eq!(rows, fields);
}
