//! From stored JSON of any generation to the model.
//!
//! Every key is optional where the SDK has a default, and a null is an absent key. Unknown keys are ignored, as every
//! reader of this form does. A value that asks for a feature without a place in the model is an error that names it.
//! What only the service as a whole has, its replacement policy, does not reach the model: it comes from the
//! environment here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{StoredSpec, placement};
use crate::{
    health::{HealthCheckSpec, ReadinessCheckSpec},
    pod::PodSpec,
    port::{PortSpec, VipSpec},
    resource_set::ResourceSet,
    scalar::Scalar,
    service::ServiceSpec,
    task::{ConfigSpec, DiscoverySpec, Goal, TaskSpec, Visibility},
    volume::{VolumeKind, VolumeSpec},
};

/// Why a stored configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not JSON.
    #[error("stored configuration is not JSON")]
    Json(#[source] serde_json::Error),
    /// A key without a default is absent.
    #[error("stored configuration lacks {path}")]
    Missing {
        /// Keys that lead to it.
        path: String,
    },
    /// A value is not what this key holds.
    #[error("stored configuration has {found} at {path}, where {wanted} belongs")]
    Wrong {
        /// Keys that lead to it.
        path: String,
        /// The value, shortened.
        found: String,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A value asks for a feature that this version does not honour.
    #[error("stored configuration uses {feature} at {path}, which is not supported yet")]
    NotSupportedYet {
        /// Keys that lead to it.
        path: String,
        /// The feature.
        feature: String,
    },
}

pub(super) type Result<T> = std::result::Result<T, Error>;

/// A value and the keys that lead to it.
#[derive(Clone)]
pub(super) struct At<'j> {
    pub(super) value: &'j Value,
    pub(super) path: String,
}

impl<'j> At<'j> {
    /// The value of a key, when it is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<At<'j>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Some(At { value, path })
    }

    pub(super) fn need(&self, key: &str) -> Result<At<'j>> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.get(key).ok_or(Error::Missing { path })
    }

    pub(super) fn items(&self) -> Result<Vec<At<'j>>> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let item = |(index, value)| At { value, path: format!("{}.{index}", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    pub(super) fn text(&self) -> Result<String> {
        self.value.as_str().map(str::to_owned).ok_or_else(|| self.wrong("text"))
    }

    pub(super) fn int(&self, wanted: &'static str) -> Result<i64> {
        let double = self.double().ok_or_else(|| self.wrong(wanted))?;
        if double.fract() == 0.0 && double.abs() < 9e15 { Ok(double as i64) } else { Err(self.wrong(wanted)) }
    }

    /// A number, also written with an exponent or as text.
    fn double(&self) -> Option<f64> {
        let number = self.value.as_f64().or_else(|| self.value.as_str()?.trim().parse().ok())?;
        number.is_finite().then_some(number)
    }

    fn boolean(&self) -> Result<bool> {
        match self.value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    fn texts(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.pairs()?.into_iter().collect())
    }

    fn pairs(&self) -> Result<Vec<(String, String)>> {
        let entries = self.value.as_object().ok_or_else(|| self.wrong("an object"))?;
        let pair = |(key, value): (&String, &'j Value)| {
            let at = At { value, path: format!("{}.{key}", self.path) };
            // A variable without a value: the older generation stored null.
            let text = if value.is_null() { String::new() } else { at.text()? };
            Ok((key.clone(), text))
        };
        entries.iter().map(pair).collect()
    }

    pub(super) fn wrong(&self, wanted: &'static str) -> Error {
        let text = self.value.to_string();
        let found = text.chars().take(60).collect();
        let path = if self.path.is_empty() { "the top".to_owned() } else { self.path.clone() };
        Error::Wrong { path, found, wanted }
    }

    pub(super) fn not_supported_yet(&self, feature: &str) -> Error {
        Error::NotSupportedYet { path: self.path.clone(), feature: feature.to_owned() }
    }

    /// Refuses a key that asks for a feature: anything but null, false, an empty list or an empty object.
    fn refuse(&self, key: &str, feature: &str) -> Result<()> {
        let Some(at) = self.get(key) else { return Ok(()) };
        let is_empty = match at.value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.values().all(Value::is_null),
            Value::Number(_) => false,
        };
        if is_empty { Ok(()) } else { Err(at.not_supported_yet(feature)) }
    }
}

pub(super) fn service(text: &str) -> Result<StoredSpec> {
    let document: Value = serde_json::from_str(text).map_err(Error::Json)?;
    let root = At { value: &document, path: String::new() };
    if !document.is_object() {
        return Err(root.wrong("an object"));
    }
    let role = root.need("role")?.text()?;
    if let Some(goal) = root.get("goal")
        && goal.text()? != "RUNNING"
    {
        return Err(goal.not_supported_yet("a service that finishes"));
    }
    let zookeeper = text_or(&root, "zookeeper", "master.mesos:2181")?;
    let pods = root.need("pod-specs")?.items()?;
    // Documents of 2017 may name the user only in the pods.
    let first_user = pods.first().and_then(|pod| pod.get("user")).map(|user| user.text()).transpose()?;
    let user = match root.get("user") {
        Some(user) => user.text()?,
        None => first_user.unwrap_or_else(|| "root".to_owned()),
    };
    let mut spec = ServiceSpec {
        name: root.need("name")?.text()?,
        web_url: root.get("web-url").map(|url| url.text()).transpose()?,
        principal: root.need("principal")?.text()?,
        zookeeper: if zookeeper.trim().is_empty() { "master.mesos:2181".to_owned() } else { zookeeper },
        declared_role: None,
        region: root.get("region").map(|region| region.text()).transpose()?.filter(|region| !region.is_empty()),
        pods: pods.iter().map(|item| pod(item, &user)).collect::<Result<_>>()?,
        user,
        plans: Vec::new(),
        ..ServiceSpec::default()
    };
    spec.declared_role = Some(role.clone()).filter(|role| *role != spec.role());
    Ok(StoredSpec { spec, role })
}

fn pod(pod: &At<'_>, service_user: &str) -> Result<PodSpec> {
    for (key, feature) in [
        ("image", "a container image"),
        ("networks", "networks"),
        ("rlimits", "resource limits of processes"),
        ("secrets", "secrets"),
        ("share-pid-namespace", "a shared process namespace"),
        ("host-volumes", "host volumes"),
        ("external-volumes", "external volumes"),
        ("seccomp-unconfined", "running without seccomp"),
        ("seccomp-profile-name", "a seccomp profile"),
        ("ipc-mode", "an IPC mode"),
        ("shm-size", "a shared memory size"),
    ] {
        pod.refuse(key, feature)?;
    }
    if let Some(user) = pod.get("user")
        && user.text()? != service_user
    {
        return Err(user.not_supported_yet("a user of the pod that differs from the service's"));
    }
    pre_reserved(pod)?;
    let pod_type = pod.need("type")?.text()?;
    let mut resource_sets: Vec<ResourceSet> = Vec::new();
    let mut tasks = Vec::new();
    for item in pod.need("task-specs")?.items()? {
        let (spec, set) = task(&item)?;
        // Each task repeats the set it uses.
        if !resource_sets.iter().any(|known| known.id == set.id) {
            resource_sets.push(set);
        }
        tasks.push(spec);
    }
    Ok(PodSpec {
        count: u32::try_from(pod.need("count")?.int("a number of instances")?)
            .map_err(|_| pod.wrong("a number of instances"))?,
        allow_decommission: bool_or(pod, "allow-decommission", false)?,
        placement: placement::from_json(pod.get("placement-rule"), &pod_type)?,
        uris: optional_items(pod, "uris")?.iter().map(At::text).collect::<Result<_>>()?,
        volumes: optional_items(pod, "volumes")?.iter().map(volume).collect::<Result<_>>()?,
        resource_sets,
        tasks,
        pod_type,
        ..PodSpec::default()
    })
}

fn task(task: &At<'_>) -> Result<(TaskSpec, ResourceSet)> {
    for (key, feature) in [
        ("transport-encryption", "transport encryption"),
        ("ipc-mode", "an IPC mode"),
        ("shm-size", "a shared memory size"),
    ] {
        task.refuse(key, feature)?;
    }
    let goal_at = task.need("goal")?;
    let goal = match goal_at.text()?.as_str() {
        "RUNNING" => Goal::Running,
        "FINISH" => Goal::Finish,
        "ONCE" | "FINISHED" => Goal::Once,
        "NONE" => return Err(goal_at.not_supported_yet("the goal NONE of the older generation")),
        _ => return Err(goal_at.wrong("RUNNING, FINISH or ONCE")),
    };
    let set = resource_set(&task.need("resource-set")?)?;
    let command = task.need("command-spec")?;
    let configs = optional_items(task, "config-files")?;
    let spec = TaskSpec {
        name: task.need("name")?.text()?,
        goal,
        essential: bool_or(task, "essential", true)?,
        cmd: command.need("value")?.text()?,
        env: command.get("environment").map(|env| env.texts()).transpose()?.unwrap_or_default(),
        configs: configs.iter().map(config).collect::<Result<_>>()?,
        resource_set: set.id.clone(),
        health_check: task.get("health-check-spec").map(|check| health_check(&check)).transpose()?,
        readiness_check: task.get("readiness-check-spec").map(|check| readiness_check(&check)).transpose()?,
        discovery: task.get("discovery-spec").map(|spec| discovery(&spec)).transpose()?,
        labels: task.get("task-labels").map(|labels| labels.pairs()).transpose()?.unwrap_or_default(),
        kill_grace_period_secs: seconds_or(task, "kill-grace-period", 0)?,
        ..TaskSpec::default()
    };
    Ok((spec, set))
}

fn config(config: &At<'_>) -> Result<ConfigSpec> {
    Ok(ConfigSpec {
        name: config.need("name")?.text()?,
        template_path: String::new(),
        dest: config.need("relative-path")?.text()?,
        content: config.need("template-content")?.text()?,
    })
}

fn discovery(spec: &At<'_>) -> Result<DiscoverySpec> {
    let visibility = match spec.get("visibility") {
        None => Visibility::Cluster,
        Some(at) => visibility(&at)?,
    };
    Ok(DiscoverySpec { prefix: spec.get("prefix").map(|prefix| prefix.text()).transpose()?, visibility })
}

fn visibility(at: &At<'_>) -> Result<Visibility> {
    match at.text()?.as_str() {
        "FRAMEWORK" => Ok(Visibility::Framework),
        "CLUSTER" => Ok(Visibility::Cluster),
        "EXTERNAL" => Ok(Visibility::External),
        _ => Err(at.wrong("FRAMEWORK, CLUSTER or EXTERNAL")),
    }
}

fn health_check(check: &At<'_>) -> Result<HealthCheckSpec> {
    let older = seconds_or(check, "gracePeriod", 0)?;
    Ok(HealthCheckSpec {
        cmd: check.need("command")?.text()?,
        interval_secs: seconds_or(check, "interval", 0)?,
        grace_period_secs: seconds_or(check, "grace-period", older)?,
        max_consecutive_failures: seconds_or(check, "max-consecutive-failures", 1)?,
        delay_secs: seconds_or(check, "delay", 0)?,
        timeout_secs: seconds_or(check, "timeout", 0)?,
    })
}

fn readiness_check(check: &At<'_>) -> Result<ReadinessCheckSpec> {
    Ok(ReadinessCheckSpec {
        cmd: check.need("command")?.text()?,
        interval_secs: seconds_or(check, "interval", 0)?,
        delay_secs: seconds_or(check, "delay", 0)?,
        timeout_secs: seconds_or(check, "timeout", 0)?,
    })
}

fn resource_set(set: &At<'_>) -> Result<ResourceSet> {
    set.refuse("resource-limits", "resource limits")?;
    let mut result = ResourceSet { id: set.need("id")?.text()?, ..ResourceSet::default() };
    for item in set.need("resource-specifications")?.items()? {
        resource(&item, &mut result)?;
    }
    result.volumes = optional_items(set, "volume-specifications")?.iter().map(volume).collect::<Result<_>>()?;
    Ok(result)
}

fn resource(item: &At<'_>, set: &mut ResourceSet) -> Result<()> {
    let tag = item.need("@type")?;
    match tag.text()?.as_str() {
        "DefaultResourceSpec" => {
            pre_reserved(item)?;
            let name = item.need("name")?;
            let amount = amount(item)?;
            match name.text()?.as_str() {
                "cpus" => set.cpus = Some(amount),
                "mem" => set.memory_mb = Some(amount),
                other => return Err(name.not_supported_yet(&format!("the resource {other}"))),
            }
        }
        "PortSpec" | "NamedVIPSpec" => set.ports.push(port(item)?),
        // The older generation wraps the ports of a task.
        "PortsSpec" => {
            for port in item.need("port-specs")?.items()? {
                resource(&port, set)?;
            }
        }
        _ => return Err(tag.wrong("a kind of resource")),
    }
    Ok(())
}

fn port(port: &At<'_>) -> Result<PortSpec> {
    pre_reserved(port)?;
    port.refuse("network-names", "networks")?;
    port.refuse("ranges", "port ranges")?;
    let ranges = port.need("value")?.need("ranges")?.need("range")?;
    let begin = ranges.items()?.first().ok_or_else(|| ranges.wrong("one port"))?.need("begin")?;
    let number = begin.int("a port number")?;
    let number = u16::try_from(number).map_err(|_| begin.wrong("a port number"))?;
    let is_vip = port.need("@type")?.text()? == "NamedVIPSpec";
    let vip = if is_vip {
        let vip_port = port.need("vip-port")?;
        let number = u16::try_from(vip_port.int("a port number")?).map_err(|_| vip_port.wrong("a port number"))?;
        Some(VipSpec { prefix: port.need("vip-name")?.text()?, port: number, advertise: true })
    } else {
        None
    };
    let advertise = match port.get("visibility") {
        Some(at) => visibility(&at)? == Visibility::External,
        None => false,
    };
    Ok(PortSpec {
        name: port.need("port-name")?.text()?,
        port: Some(number).filter(|number| *number != 0),
        env_key: port.get("env-key").map(|key| key.text()).transpose()?,
        advertise,
        vip,
        ..PortSpec::default()
    })
}

fn volume(volume: &At<'_>) -> Result<VolumeSpec> {
    pre_reserved(volume)?;
    let profiles: Vec<String> = optional_items(volume, "profiles")?.iter().map(At::text).collect::<Result<_>>()?;
    let kind_at = volume.need("type")?;
    let kind = match kind_at.text()?.as_str() {
        "ROOT" => VolumeKind::Root,
        "MOUNT" => VolumeKind::Mount { profiles },
        "PATH" => return Err(kind_at.not_supported_yet("a PATH volume")),
        _ => return Err(kind_at.wrong("ROOT or MOUNT")),
    };
    Ok(VolumeSpec { path: volume.need("container-path")?.text()?, kind, size_mb: amount(volume)? })
}

fn amount(item: &At<'_>) -> Result<Scalar> {
    let value = item.need("value")?.need("scalar")?.need("value")?;
    value.double().and_then(Scalar::from_f64).ok_or_else(|| value.wrong("an amount"))
}

fn pre_reserved(item: &At<'_>) -> Result<()> {
    match item.get("pre-reserved-role") {
        Some(role) if role.text()? != "*" => Err(role.not_supported_yet("a pre-reserved role")),
        _ => Ok(()),
    }
}

fn optional_items<'j>(at: &At<'j>, key: &str) -> Result<Vec<At<'j>>> {
    at.get(key).map_or(Ok(Vec::new()), |list| list.items())
}

fn text_or(at: &At<'_>, key: &str, default: &str) -> Result<String> {
    at.get(key).map_or_else(|| Ok(default.to_owned()), |text| text.text())
}

fn bool_or(at: &At<'_>, key: &str, default: bool) -> Result<bool> {
    at.get(key).map_or(Ok(default), |value| value.boolean())
}

fn seconds_or(at: &At<'_>, key: &str, default: u32) -> Result<u32> {
    let Some(at) = at.get(key) else { return Ok(default) };
    u32::try_from(at.int("a number")?).map_err(|_| at.wrong("a number"))
}
