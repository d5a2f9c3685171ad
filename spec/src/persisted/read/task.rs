//! A task, without what it reserves.

use super::{At, Result, pod::ipc_mode};
use crate::{
    health::{HealthCheckSpec, ReadinessCheckSpec},
    task::{ConfigSpec, DiscoverySpec, Goal, TaskSpec, Visibility},
    transport_encryption::{TransportEncryptionKind, TransportEncryptionSpec},
};

pub(super) fn task(task: &At<'_>, resource_set: &str) -> Result<TaskSpec> {
    let goal_at = task.need("goal")?;
    let goal = match goal_at.text()?.as_str() {
        "RUNNING" => Goal::Running,
        "FINISH" => Goal::Finish,
        "ONCE" | "FINISHED" => Goal::Once,
        "NONE" => return Err(goal_at.not_supported_yet("the goal NONE of the older generation")),
        _ => return Err(goal_at.wrong("RUNNING, FINISH or ONCE")),
    };
    let command = task.need("command-spec")?;
    let object = |key| task.get(key).map(At::object).transpose();
    Ok(TaskSpec {
        name: task.need("name")?.text()?,
        goal,
        essential: task.flag("essential", true)?,
        cmd: command.need("value")?.text()?,
        env: command.pairs("environment")?.into_iter().collect(),
        configs: task.each("config-files", config)?,
        resource_set: resource_set.to_owned(),
        health_check: object("health-check-spec")?.map(|check| health_check(&check)).transpose()?,
        readiness_check: object("readiness-check-spec")?.map(|check| readiness_check(&check)).transpose()?,
        discovery: object("discovery-spec")?.map(|spec| discovery(&spec)).transpose()?,
        labels: task.pairs("task-labels")?,
        kill_grace_period_secs: seconds_or(task, "kill-grace-period", 0)?,
        uris: task.each("uris", At::text)?,
        transport_encryption: task.each("transport-encryption", transport_encryption)?,
        ipc_mode: ipc_mode(task)?,
        shm_size_mb: task.whole_of("shm-size", "a size in MB")?,
    })
}

fn config(config: &At<'_>) -> Result<ConfigSpec> {
    Ok(ConfigSpec {
        name: config.need("name")?.text()?,
        template_path: String::new(),
        dest: config.need("relative-path")?.text()?,
        content: config.need("template-content")?.text()?,
    })
}

fn transport_encryption(item: &At<'_>) -> Result<TransportEncryptionSpec> {
    let kind = item.need("type")?.one_of("TLS or KEYSTORE", |text| match text {
        "TLS" => Some(TransportEncryptionKind::Tls),
        "KEYSTORE" => Some(TransportEncryptionKind::Keystore),
        _ => None,
    })?;
    Ok(TransportEncryptionSpec { name: item.need("name")?.text()?, kind })
}

fn discovery(spec: &At<'_>) -> Result<DiscoverySpec> {
    let visibility = match spec.get("visibility") {
        None => Visibility::Cluster,
        Some(at) => visibility(&at)?,
    };
    Ok(DiscoverySpec { prefix: spec.text_of("prefix")?, visibility })
}

pub(super) fn visibility(at: &At<'_>) -> Result<Visibility> {
    at.one_of("FRAMEWORK, CLUSTER or EXTERNAL", |text| match text {
        "FRAMEWORK" => Some(Visibility::Framework),
        "CLUSTER" => Some(Visibility::Cluster),
        "EXTERNAL" => Some(Visibility::External),
        _ => None,
    })
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

fn seconds_or(at: &At<'_>, key: &str, default: u32) -> Result<u32> {
    Ok(at.whole_of(key, "a number")?.unwrap_or(default))
}
