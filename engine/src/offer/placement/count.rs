//! How many pods of a type each value of a key has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Key;
use crate::ids::PodInstance;
use crate::offer::requirement::Requirement;
use crate::state::Task;

/// Counts made so far for one requirement: every offer is measured against the same ones.
#[derive(Debug, Default)]
pub struct Counts(RefCell<Vec<(Key, String, Rc<ByValue>)>>);

/// Pods of one type by the value of one key.
#[derive(Debug, Default)]
pub(super) struct ByValue {
    /// Values that have any.
    pub(super) values: BTreeMap<String, usize>,
    /// The least that a value has, 0 without values.
    pub(super) least: usize,
    /// The most that a value has, 0 without values.
    pub(super) most: usize,
}

impl ByValue {
    /// Pods on this value.
    pub(super) fn pods_on(&self, value: &str) -> usize {
        self.values.get(value).copied().unwrap_or(0)
    }
}

/// Stored tasks that count: of this pod type, not of the instance that is being placed.
fn counted<'a>(requirement: &Requirement<'a>, pod_type: &'a str) -> impl Iterator<Item = &'a Task> + use<'a> {
    let placed = requirement.pod;
    requirement.all_tasks.iter().copied().filter(move |task| task.pod.pod_type == pod_type && task.pod != *placed)
}

/// Pods of this type on every value that has any.
pub(super) fn pods_by_value(key: &Key, pod_type: &str, requirement: &Requirement<'_>) -> Rc<ByValue> {
    let mut known = requirement.counts.0.borrow_mut();
    if let Some((_, _, counts)) = known.iter().find(|(of, named, _)| of == key && named == pod_type) {
        return Rc::clone(counts);
    }
    let counts = Rc::new(count(key, pod_type, requirement));
    known.push((key.clone(), pod_type.to_owned(), Rc::clone(&counts)));
    counts
}

fn count(key: &Key, pod_type: &str, requirement: &Requirement<'_>) -> ByValue {
    let mut pairs: Vec<(&str, &PodInstance)> = counted(requirement, pod_type)
        .flat_map(|task| key.of_task(task).map(move |value| (value, &task.pod)))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut counts = ByValue::default();
    for (value, _) in pairs {
        match counts.values.get_mut(value) {
            Some(pods) => *pods += 1,
            None => drop(counts.values.insert(value.to_owned(), 1)),
        }
    }
    counts.least = counts.values.values().copied().min().unwrap_or(0);
    counts.most = counts.values.values().copied().max().unwrap_or(0);
    counts
}
