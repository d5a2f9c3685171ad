//! Environment of a task and of its checks.
//!
//! Invariant: every name once, sorted; where sources disagree the later one in this order wins: specification, built-in names,
//! configuration templates, plan parameters, secrets, ports, fault domain. A `PORT_<NAME>` of the author stays his.
//! Source: the environment contract of the SDK; tasks and their scripts rely on these names.

use std::collections::BTreeMap;

use mainstay_proto::v1;
use mainstay_spec::{PortSpec, TaskSpec};

use crate::offer::Offer;
use crate::offer::placement::Rule;
use crate::offer::requirement::Requirement;

/// Folder of the configuration templates, below the folder of the task.
pub const TEMPLATES_FOLDER: &str = "config-templates";

/// Environment of the command.
pub(crate) fn of_task(
    requirement: &Requirement<'_>,
    offer: &Offer,
    task: &TaskSpec,
    ports: &[(&PortSpec, u16)],
) -> BTreeMap<String, String> {
    let mut env = base(requirement, task);
    for config in &task.configs {
        let key = format!("CONFIG_TEMPLATE_{}", variable_name(&config.name));
        env.insert(key, format!("{TEMPLATES_FOLDER}/{},{}", config.name, config.dest));
    }
    env.extend(requirement.parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
    leave_secrets(&mut env, requirement);
    add_ports(&mut env, task, ports);
    for (name, value) in [("REGION", &offer.region), ("ZONE", &offer.zone)] {
        if let Some(value) = value {
            env.insert(name.to_owned(), value.clone());
        }
    }
    env
}

/// Environment of the health check and of the readiness check.
pub(crate) fn of_checks(
    requirement: &Requirement<'_>,
    task: &TaskSpec,
    ports: &[(&PortSpec, u16)],
) -> BTreeMap<String, String> {
    let mut env = base(requirement, task);
    leave_secrets(&mut env, requirement);
    add_ports(&mut env, task, ports);
    env
}

/// The agent puts secrets into the environment of the executor, from which those of tasks and checks are made.
fn leave_secrets(env: &mut BTreeMap<String, String>, requirement: &Requirement<'_>) {
    for name in requirement.pod_spec.secrets.iter().filter_map(|secret| secret.env_key.as_ref()) {
        env.remove(name);
    }
}

/// The wire form.
pub(crate) fn to_wire(env: BTreeMap<String, String>) -> v1::Environment {
    let variables = env
        .into_iter()
        .map(|(name, value)| v1::environment::Variable { name, value: Some(value), ..Default::default() })
        .collect();
    v1::Environment { variables }
}

/// Upper case, and `_` for everything that is neither a letter nor a digit.
pub(crate) fn variable_name(text: &str) -> String {
    text.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' }).collect()
}

/// Variable of a port of this name.
pub(crate) fn port_variable(port: &str) -> String {
    format!("PORT_{}", variable_name(port))
}

fn base(requirement: &Requirement<'_>, task: &TaskSpec) -> BTreeMap<String, String> {
    let Requirement { config, spec, pod, placement, .. } = requirement;
    let name = pod.task_name(&task.name).to_string();
    let mut env = task.env.clone();
    let region = placement.is_some_and(Rule::references_region);
    let zone = placement.is_some_and(Rule::references_zone);
    let built_in = [
        ("POD_INSTANCE_INDEX", pod.index.to_string()),
        ("TASK_NAME", name.clone()),
        (name.as_str(), "true".to_owned()),
        ("FRAMEWORK_NAME", spec.name.clone()),
        ("FRAMEWORK_HOST", spec.framework_host(&config.service_tld)),
        ("FRAMEWORK_VIP_HOST", spec.vip_host(&config.vip_tld)),
        ("SCHEDULER_API_HOSTNAME", config.api_hostname.clone()),
        ("SCHEDULER_API_PORT", config.api_port.to_string()),
        ("PLACEMENT_REFERENCED_REGION", region.to_string()),
        ("PLACEMENT_REFERENCED_ZONE", zone.to_string()),
    ];
    env.extend(built_in.map(|(name, value)| (name.to_owned(), value)));
    env
}

fn add_ports(env: &mut BTreeMap<String, String>, task: &TaskSpec, ports: &[(&PortSpec, u16)]) {
    for (port, number) in ports {
        let default = port_variable(&port.name);
        if !task.env.contains_key(&default) {
            env.insert(default, number.to_string());
        }
    }
    for (port, number) in ports {
        if let Some(key) = &port.env_key {
            env.insert(key.clone(), number.to_string());
        }
    }
}
