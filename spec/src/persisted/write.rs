//! From the model to the final generation's JSON, key by key in its written order.
//!
//! Invariant: every key the SDK writes is written, unset ones as null, `[]` or `{}`. Keys of ours, for what the SDK does not
//! have, come last in their object and only when they say something: `uris` of a task, `vip-advertise` of a port.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{mappings, placement};
use crate::{
    health::{HealthCheckSpec, ReadinessCheckSpec},
    isolation::IpcMode,
    mounted_volume::{ExternalVolumeSpec, HostVolumeSpec},
    network::NetworkSpec,
    pod::PodSpec,
    port::PortSpec,
    resource_set::{Limit, ResourceSet},
    rlimit::RlimitSpec,
    scalar::Scalar,
    secret::SecretSpec,
    service::ServiceSpec,
    task::{Goal, TaskSpec, Visibility},
    volume::{VolumeKind, VolumeSpec},
};

/// What every resource of a pod repeats.
struct Owner<'o> {
    /// `<pre-reserved>/<main>`, or the main role alone.
    role: String,
    pre_reserved: &'o str,
    principal: &'o str,
    networks: Vec<&'o str>,
}

pub(super) fn service(spec: &ServiceSpec, role: &str) -> Value {
    json!({
        "name": spec.name,
        "role": role,
        "principal": spec.principal,
        "user": spec.user,
        "goal": "RUNNING",
        "region": spec.region,
        "web-url": spec.web_url,
        "zookeeper": spec.zookeeper,
        "replacement-failure-policy": spec.replacement.map(|policy| json!({
            "permanent-failure-timeout-secs": policy.permanent_failure_timeout_secs,
            // The capital is the SDK's.
            "min-replace-delay-Secs": policy.min_replace_delay_secs,
        })),
        "pod-specs": list(&spec.pods, |item| pod(item, spec, role)),
    })
}

fn pod(pod: &PodSpec, service: &ServiceSpec, role: &str) -> Value {
    let owner = Owner {
        role: pod.pre_reserved_role.as_ref().map_or_else(|| role.to_owned(), |outer| format!("{outer}/{role}")),
        pre_reserved: pod.pre_reserved_role.as_deref().unwrap_or("*"),
        principal: &service.principal,
        networks: pod.networks.iter().map(|network| network.name.as_str()).collect(),
    };
    json!({
        "type": pod.pod_type,
        "user": service.user,
        "count": pod.count,
        "allow-decommission": pod.allow_decommission,
        "image": pod.image,
        "networks": list(&pod.networks, |item| network(item, pod)),
        "rlimits": list(&pod.rlimits, rlimit),
        "uris": pod.uris,
        "task-specs": list(&pod.tasks, |item| task(item, pod, &owner)),
        "placement-rule": placement::to_json(pod.placement.as_ref()),
        "volumes": list(&pod.volumes, |item| volume(item, &owner)),
        "pre-reserved-role": owner.pre_reserved,
        "secrets": list(&pod.secrets, secret),
        "share-pid-namespace": pod.share_pid_namespace,
        "host-volumes": list(&pod.host_volumes, host_volume),
        "external-volumes": list(&pod.external_volumes, external_volume),
        "seccomp-unconfined": pod.seccomp_unconfined,
        "seccomp-profile-name": pod.seccomp_profile_name,
        "ipc-mode": pod.ipc_mode.map(IpcMode::as_str),
        "shm-size": pod.shm_size_mb,
    })
}

fn network(network: &NetworkSpec, pod: &PodSpec) -> Value {
    let mappings = mappings::stored(pod, network);
    json!({
        "network-name": network.name,
        "port-mappings": mappings.iter().map(|(host, port)| (host.to_string(), json!(port))).collect::<Map<_, _>>(),
        "network-labels": labels(&network.labels),
    })
}

fn rlimit(rlimit: &RlimitSpec) -> Value {
    let (soft, hard) = rlimit.values.unzip();
    json!({ "name": rlimit.kind.as_str(), "soft": soft, "hard": hard })
}

fn secret(secret: &SecretSpec) -> Value {
    json!({ "secret": secret.secret, "env-key": secret.env_key, "file": secret.file })
}

fn host_volume(volume: &HostVolumeSpec) -> Value {
    json!({
        "host-path": volume.host_path,
        "container-path": volume.container_path,
        "mode": volume.mode.as_str(),
    })
}

fn external_volume(volume: &ExternalVolumeSpec) -> Value {
    json!({
        "container-path": volume.container_path,
        "driver-name": volume.driver_name,
        "driver-options": texts(&volume.driver_options),
        "volume-name": volume.volume_name,
        "volume-mode": volume.mode.as_str(),
        "type": "DOCKER",
    })
}

fn task(task: &TaskSpec, pod: &PodSpec, owner: &Owner<'_>) -> Value {
    let absent = ResourceSet { id: task.resource_set.clone(), ..ResourceSet::default() };
    let mut object = json!({
        "name": task.name,
        "goal": match task.goal { Goal::Running => "RUNNING", Goal::Finish => "FINISH", Goal::Once => "ONCE" },
        "essential": task.essential,
        "resource-set": resource_set(pod.resource_set(&task.resource_set).unwrap_or(&absent), owner),
        "command-spec": { "value": task.cmd, "environment": texts(&task.env) },
        "task-labels": labels(&task.labels),
        "health-check-spec": task.health_check.as_ref().map(health_check),
        "readiness-check-spec": task.readiness_check.as_ref().map(readiness_check),
        "config-files": list(&task.configs, |config| json!({
            "name": config.name,
            "relative-path": config.dest,
            "template-content": config.content,
        })),
        "discovery-spec": task.discovery.as_ref().map(|discovery| json!({
            "prefix": discovery.prefix,
            "visibility": visibility(discovery.visibility),
        })),
        "kill-grace-period": task.kill_grace_period_secs,
        "transport-encryption": list(&task.transport_encryption, |item| json!({
            "name": item.name,
            "type": item.kind.as_str(),
        })),
        "ipc-mode": task.ipc_mode.map(IpcMode::as_str),
        "shm-size": task.shm_size_mb,
    });
    if let Some(fields) = object.as_object_mut().filter(|_| !task.uris.is_empty()) {
        fields.insert("uris".to_owned(), json!(task.uris));
    }
    object
}

const fn visibility(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Framework => "FRAMEWORK",
        Visibility::Cluster => "CLUSTER",
        Visibility::External => "EXTERNAL",
    }
}

fn health_check(check: &HealthCheckSpec) -> Value {
    json!({
        "command": check.cmd,
        "max-consecutive-failures": check.max_consecutive_failures,
        "delay": check.delay_secs,
        "interval": check.interval_secs,
        "timeout": check.timeout_secs,
        // Written under both spellings, because older readers know only the second.
        "grace-period": check.grace_period_secs,
        "gracePeriod": check.grace_period_secs,
    })
}

fn readiness_check(check: &ReadinessCheckSpec) -> Value {
    json!({
        "command": check.cmd,
        "delay": check.delay_secs,
        "interval": check.interval_secs,
        "timeout": check.timeout_secs,
    })
}

fn resource_set(set: &ResourceSet, owner: &Owner<'_>) -> Value {
    let mut resources = Vec::new();
    for (name, amount) in [("cpus", set.cpus), ("mem", set.memory_mb), ("gpus", set.gpus)] {
        resources.extend(amount.map(|amount| {
            json!({
                "@type": "DefaultResourceSpec",
                "name": name,
                "value": scalar(amount),
                "role": owner.role,
                "pre-reserved-role": owner.pre_reserved,
                "principal": owner.principal,
            })
        }));
    }
    resources.extend(set.ports.iter().map(|item| port(item, owner)));
    json!({
        "id": set.id,
        "resource-specifications": resources,
        "volume-specifications": list(&set.volumes, |item| volume(item, owner)),
        "role": owner.role,
        "principal": owner.principal,
        "resource-limits": { "cpus": set.limits.cpus.map(limit), "memory": set.limits.memory_mb.map(limit) },
    })
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::Amount(amount) => amount.to_string(),
    }
}

fn scalar(amount: Scalar) -> Value {
    json!({ "type": "SCALAR", "scalar": { "value": amount.to_f64() } })
}

fn port(port: &PortSpec, owner: &Owner<'_>) -> Value {
    let number = port.port.unwrap_or(0);
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("@type", json!(if port.vip.is_some() { "NamedVIPSpec" } else { "PortSpec" }));
    put("value", json!({ "type": "RANGES", "ranges": { "range": [{ "begin": number, "end": number }] } }));
    put("role", json!(owner.role));
    put("pre-reserved-role", json!(owner.pre_reserved));
    put("principal", json!(owner.principal));
    put("env-key", json!(port.env_key));
    put("port-name", json!(port.name));
    put("visibility", json!(if port.advertise { "EXTERNAL" } else { "CLUSTER" }));
    put("network-names", json!(owner.networks));
    // With a virtual address the SDK forgets the ranges, and writes and reads none; ours are kept for our own reader.
    let ranges = list(&port.ranges, |range| json!({ "begin": range.begin, "end": range.end }));
    if let Some(vip) = &port.vip {
        put("protocol", json!("tcp"));
        put("vip-name", json!(vip.prefix));
        put("vip-port", json!(vip.port));
        put("name", json!("ports"));
        put("ranges", ranges);
        if !vip.advertise {
            put("vip-advertise", json!(false));
        }
    } else {
        put("ranges", ranges);
        put("name", json!("ports"));
    }
    Value::Object(fields)
}

fn volume(volume: &VolumeSpec, owner: &Owner<'_>) -> Value {
    let (kind, profiles): (_, &[String]) = match &volume.kind {
        VolumeKind::Root => ("ROOT", &[]),
        VolumeKind::Mount { profiles } => ("MOUNT", profiles),
    };
    json!({
        "@type": "DefaultVolumeSpec",
        "type": kind,
        "container-path": volume.path,
        "profiles": profiles,
        "name": "disk",
        "value": scalar(volume.size_mb),
        "role": owner.role,
        "pre-reserved-role": owner.pre_reserved,
        "principal": owner.principal,
    })
}

fn list<T>(items: &[T], write: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(write).collect())
}

fn labels(labels: &[(String, String)]) -> Map<String, Value> {
    labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
}

fn texts(texts: &BTreeMap<String, String>) -> Map<String, Value> {
    texts.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
}
