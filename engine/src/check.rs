//! Invariants over the whole state, checked after every step of the simulation and by tests.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::engine::Engine;
use crate::ids::{PodInstance, ResourceId, TaskId};
use crate::state::{State, Task, paths};

/// Every invariant that does not hold, one line each.
///
/// `stored` is the tree as committed so far.
pub fn violations(engine: &Engine, stored: &BTreeMap<String, Bytes>) -> Vec<String> {
    let mut found = Vec::new();
    let state = engine.state();
    let mut owner: BTreeMap<ResourceId, &PodInstance> = BTreeMap::new();
    let mut launches: BTreeSet<&TaskId> = BTreeSet::new();
    for task in state.tasks.values() {
        for id in task.resource_ids() {
            if let Some(other) = owner.insert(id.clone(), &task.pod).filter(|other| **other != task.pod) {
                found.push(format!("reservation {id} belongs to both {other} and {}", task.pod));
            }
        }
        let Some(task_id) = &task.task_id else { continue };
        if !launches.insert(task_id) {
            found.push(format!("two stored tasks have the launch {task_id}"));
        }
        match &task.status {
            None => found.push(format!("launch {task_id} is stored without a status")),
            Some(status) if status.task_id != *task_id => {
                found.push(format!("launch {task_id} is stored with the status of {}", status.task_id));
            }
            Some(_) => {}
        }
    }
    let kept = state.kept_resource_ids();
    for id in state.releasing.keys().filter(|id| kept.contains(id)) {
        found.push(format!("reservation {id} is both kept and being released"));
    }
    for (pod, planned) in &state.planned {
        let of_pod: BTreeSet<ResourceId> = state.pod_tasks(pod).into_iter().flat_map(Task::resource_ids).collect();
        for id in planned.keys().filter(|id| !of_pod.contains(*id)) {
            found.push(format!("planned reservation {id} belongs to no stored task of {pod}"));
        }
    }
    for plan in engine.plans() {
        for (_, _, step) in
            plan.steps().filter(|(_, _, step)| step.is_complete && step.launched.len() != step.tasks.len())
        {
            found.push(format!(
                "step {} of plan {} is complete without having launched all its tasks",
                step.name, plan.name
            ));
        }
    }
    differences(state, &reload(stored), &mut found);
    found
}

/// What a restart would read of the tree, configurations aside: they never change, and reading them costs more than all the rest.
pub fn reload(stored: &BTreeMap<String, Bytes>) -> State {
    let is_configuration = |path: &str| path.starts_with(paths::CONFIGURATIONS);
    let others = stored.iter().filter(|(path, _)| !is_configuration(path));
    let others = others.map(|(path, data)| (path.clone(), data.clone())).collect();
    State::load(&others, &mainstay_spec::ReadOptions::default(), &mut Vec::new())
}

/// What a restart would see differently.
fn differences(state: &State, reloaded: &State, found: &mut Vec<String>) {
    if state.framework_id != reloaded.framework_id {
        found.push(format!("framework id {:?} is stored as {:?}", state.framework_id, reloaded.framework_id));
    }
    if state.target != reloaded.target {
        found.push(format!("target {:?} is stored as {:?}", state.target, reloaded.target));
    }
    for (name, task) in state.tasks.iter() {
        if reloaded.tasks.get(name) != Some(task) {
            found.push(format!("task {name} is not stored as it is in memory"));
        }
    }
    for name in reloaded.tasks.keys().filter(|name| !state.tasks.contains_key(name)) {
        found.push(format!("task {name} is stored but not in memory"));
    }
    if state.properties != reloaded.properties {
        found.push("the properties are not stored as they are in memory".to_owned());
    }
    if state.planned != reloaded.planned {
        found.push(format!("planned reservations {:?} are stored as {:?}", state.planned, reloaded.planned));
    }
    if state.releasing != reloaded.releasing {
        found.push("the reservations being released are not stored as they are in memory".to_owned());
    }
}
