//! Which changes of a pod restart its tasks.
//!
//! Invariant: the structures are taken apart without `..`, so that a new field of the model does not compile until it is
//! decided here. Source: the SDK's comparison, which sees only the last port of a task and none of its extras, and no resource
//! limits; all are compared here, since a change that is not rolled out is one that never takes effect.

use super::mappings;
use crate::{
    network::NetworkSpec,
    pod::PodSpec,
    port::PortSpec,
    resource_set::ResourceSet,
    task::{ConfigSpec, TaskSpec},
};

/// Whether running tasks of a pod must be restarted for the new specification.
///
/// Number of instances, placement, permission to decommission, `essential`, transport encryption, and the ids of resource
/// sets never restart a task; everything else does, every port and its extras included. Names have no
/// order: those of environment, labels, configurations, ports, and volumes of a set. Other lists have one.
pub fn pod_changed(old: &PodSpec, new: &PodSpec) -> bool {
    comparable(old) != comparable(new)
}

/// The pod without what does not matter, in an order of its own, each task with its resource set.
fn comparable(pod: &PodSpec) -> (PodSpec, Vec<ResourceSet>) {
    let mut result = pod.clone();
    let PodSpec {
        pod_type: _,
        count,
        allow_decommission,
        placement,
        image: _,
        networks,
        rlimits: _,
        uris: _,
        volumes: _,
        host_volumes: _,
        external_volumes: _,
        secrets: _,
        pre_reserved_role: _,
        share_pid_namespace: _,
        seccomp_unconfined: _,
        seccomp_profile_name: _,
        ipc_mode: _,
        shm_size_mb: _,
        resource_sets,
        tasks,
    } = &mut result;
    *count = 0;
    *allow_decommission = false;
    *placement = None;
    for network in networks {
        let mappings = mappings::stored(pod, network);
        let NetworkSpec { name: _, port_mappings, labels } = network;
        *port_mappings = mappings;
        labels.sort();
    }
    // Sets appear with the tasks that use them; one that no task uses is neither reserved nor stored.
    resource_sets.clear();
    let mut sets = Vec::new();
    for task in tasks {
        sets.push(comparable_set(pod.resource_set(&task.resource_set)));
        forget_in_task(task);
    }
    (result, sets)
}

fn comparable_set(set: Option<&ResourceSet>) -> ResourceSet {
    let mut result = set.cloned().unwrap_or_default();
    let ResourceSet { id, cpus: _, memory_mb: _, gpus: _, ports, volumes, limits: _ } = &mut result;
    id.clear();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    for PortSpec { name: _, port: _, env_key: _, advertise: _, vip: _, ranges: _ } in ports {}
    volumes.sort_by(|a, b| a.path.cmp(&b.path));
    result
}

fn forget_in_task(task: &mut TaskSpec) {
    let TaskSpec {
        name: _,
        goal: _,
        essential,
        cmd: _,
        env: _,
        configs,
        resource_set,
        health_check: _,
        readiness_check: _,
        discovery: _,
        labels,
        kill_grace_period_secs: _,
        uris: _,
        transport_encryption,
        ipc_mode: _,
        shm_size_mb: _,
    } = task;
    *essential = true;
    resource_set.clear();
    labels.sort();
    transport_encryption.clear();
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    for ConfigSpec { name: _, template_path, dest: _, content: _ } in configs {
        template_path.clear();
    }
}
