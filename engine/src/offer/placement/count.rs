//! How many pods of a type each value of a key has.

use super::Key;
use crate::ids::PodInstance;
use crate::offer::requirement::Requirement;
use crate::state::Task;

/// Stored tasks that count: of this pod type, not of the instance that is being placed.
fn counted<'a>(requirement: &Requirement<'a>, pod_type: &'a str) -> impl Iterator<Item = &'a Task> + use<'a> {
    let placed = requirement.pod;
    requirement.all_tasks.iter().copied().filter(move |task| task.pod.pod_type == pod_type && task.pod != *placed)
}

/// Pods of this type on this value.
pub(super) fn pods_on(key: &Key, value: &str, pod_type: &str, requirement: &Requirement<'_>) -> usize {
    let mut pods: Vec<&PodInstance> = Vec::new();
    for task in counted(requirement, pod_type) {
        if key.of_task(task).any(|found| found == value) && !pods.contains(&&task.pod) {
            pods.push(&task.pod);
        }
    }
    pods.len()
}

/// Pods of this type on every value that has any, sorted by value.
pub(super) fn pods_by_value<'a>(
    key: &'a Key,
    pod_type: &'a str,
    requirement: &Requirement<'a>,
) -> Vec<(&'a str, usize)> {
    let mut pairs: Vec<(&str, &PodInstance)> = counted(requirement, pod_type)
        .flat_map(|task| key.of_task(task).map(move |value| (value, &task.pod)))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for (value, _) in pairs {
        match counts.last_mut() {
            Some(last) if last.0 == value => last.1 += 1,
            _ => counts.push((value, 1)),
        }
    }
    counts
}
