//! From the model to the final generation's JSON, key by key in its written order.

use serde_json::{Map, Value, json};

use super::placement;
use crate::{
    health::{HealthCheckSpec, ReadinessCheckSpec},
    pod::PodSpec,
    port::PortSpec,
    resource_set::ResourceSet,
    scalar::Scalar,
    service::ServiceSpec,
    task::{Goal, TaskSpec, Visibility},
    volume::{VolumeKind, VolumeSpec},
};

/// What every resource repeats.
#[derive(Clone, Copy)]
struct Owner<'o> {
    role: &'o str,
    principal: &'o str,
}

pub(super) fn service(spec: &ServiceSpec, role: &str) -> Value {
    let owner = Owner { role, principal: &spec.principal };
    json!({
        "name": spec.name,
        "role": role,
        "principal": spec.principal,
        "user": spec.user,
        "goal": "RUNNING",
        "region": spec.region,
        "web-url": spec.web_url,
        "zookeeper": spec.zookeeper,
        "replacement-failure-policy": null,
        "pod-specs": spec.pods.iter().map(|item| pod(item, &spec.user, owner)).collect::<Vec<_>>(),
    })
}

fn pod(pod: &PodSpec, user: &str, owner: Owner<'_>) -> Value {
    json!({
        "type": pod.pod_type,
        "user": user,
        "count": pod.count,
        "allow-decommission": pod.allow_decommission,
        "image": null,
        "networks": [],
        "rlimits": [],
        "uris": pod.uris,
        "task-specs": pod.tasks.iter().map(|item| task(item, pod, owner)).collect::<Vec<_>>(),
        "placement-rule": placement::to_json(pod.placement.as_ref()),
        "volumes": pod.volumes.iter().map(|item| volume(item, owner)).collect::<Vec<_>>(),
        "pre-reserved-role": "*",
        "secrets": [],
        "share-pid-namespace": false,
        "host-volumes": [],
        "external-volumes": [],
        "seccomp-unconfined": false,
        "seccomp-profile-name": null,
        "ipc-mode": null,
        "shm-size": null,
    })
}

fn task(task: &TaskSpec, pod: &PodSpec, owner: Owner<'_>) -> Value {
    let absent = ResourceSet { id: task.resource_set.clone(), ..ResourceSet::default() };
    let labels: Map<_, _> = task.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let config = |config: &crate::task::ConfigSpec| json!({ "name": config.name, "relative-path": config.dest, "template-content": config.content });
    json!({
        "name": task.name,
        "goal": match task.goal { Goal::Running => "RUNNING", Goal::Finish => "FINISH", Goal::Once => "ONCE" },
        "essential": task.essential,
        "resource-set": resource_set(pod.resource_set(&task.resource_set).unwrap_or(&absent), owner),
        "command-spec": { "value": task.cmd, "environment": task.env },
        "task-labels": labels,
        "health-check-spec": task.health_check.as_ref().map(health_check),
        "readiness-check-spec": task.readiness_check.as_ref().map(readiness_check),
        "config-files": task.configs.iter().map(config).collect::<Vec<_>>(),
        "discovery-spec": task.discovery.as_ref().map(|discovery| json!({
            "prefix": discovery.prefix,
            "visibility": visibility(discovery.visibility),
        })),
        "kill-grace-period": task.kill_grace_period_secs,
        "transport-encryption": [],
        "ipc-mode": null,
        "shm-size": null,
    })
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

fn resource_set(set: &ResourceSet, owner: Owner<'_>) -> Value {
    let mut resources = Vec::new();
    for (name, amount) in [("cpus", set.cpus), ("mem", set.memory_mb)] {
        resources.extend(amount.map(|amount| {
            json!({
                "@type": "DefaultResourceSpec",
                "name": name,
                "value": scalar(amount),
                "role": owner.role,
                "pre-reserved-role": "*",
                "principal": owner.principal,
            })
        }));
    }
    resources.extend(set.ports.iter().map(|item| port(item, owner)));
    json!({
        "id": set.id,
        "resource-specifications": resources,
        "volume-specifications": set.volumes.iter().map(|item| volume(item, owner)).collect::<Vec<_>>(),
        "role": owner.role,
        "principal": owner.principal,
        "resource-limits": { "cpus": null, "memory": null },
    })
}

fn scalar(amount: Scalar) -> Value {
    json!({ "type": "SCALAR", "scalar": { "value": amount.to_f64() } })
}

fn port(port: &PortSpec, owner: Owner<'_>) -> Value {
    let number = port.port.unwrap_or(0);
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("@type", json!(if port.vip.is_some() { "NamedVIPSpec" } else { "PortSpec" }));
    put("value", json!({ "type": "RANGES", "ranges": { "range": [{ "begin": number, "end": number }] } }));
    put("role", json!(owner.role));
    put("pre-reserved-role", json!("*"));
    put("principal", json!(owner.principal));
    put("env-key", json!(port.env_key));
    put("port-name", json!(port.name));
    put("visibility", json!(if port.advertise { "EXTERNAL" } else { "CLUSTER" }));
    put("network-names", json!([]));
    if let Some(vip) = &port.vip {
        put("protocol", json!("tcp"));
        put("vip-name", json!(vip.prefix));
        put("vip-port", json!(vip.port));
        put("name", json!("ports"));
        put("ranges", json!([]));
    } else {
        put("ranges", json!([]));
        put("name", json!("ports"));
    }
    Value::Object(fields)
}

fn volume(volume: &VolumeSpec, owner: Owner<'_>) -> Value {
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
        "pre-reserved-role": "*",
        "principal": owner.principal,
    })
}
