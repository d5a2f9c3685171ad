//! How many pods of a type each value of a key has, and each agent.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Counted, Key, key as keys};
use crate::ids::{AgentId, PodInstance};
use crate::offer::report::Of;
use crate::offer::requirement::Requirement;
use crate::state::Task;

/// Counts made so far for one requirement: every offer is measured against the same ones.
#[derive(Debug, Default)]
pub struct Counts {
    by_value: RefCell<Vec<(Key, Counted, Rc<ByValue>)>>,
    by_agent: RefCell<Vec<(String, Rc<ByAgent>)>>,
}

/// Counted pods by the value of one key.
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

/// Pods of one type by agent.
#[derive(Debug, Default)]
pub(super) struct ByAgent {
    pods: BTreeMap<AgentId, usize>,
    /// Pods on all agents.
    pub(super) all: usize,
}

impl ByAgent {
    /// Pods on this agent.
    pub(super) fn pods_on(&self, agent: &AgentId) -> usize {
        self.pods.get(agent).copied().unwrap_or(0)
    }
}

/// Stored tasks that count, never those of the instance that is being placed.
fn counted<'a>(requirement: &Requirement<'a>, counted: &'a Counted) -> impl Iterator<Item = &'a Task> + use<'a> {
    let placed = requirement.pod;
    requirement.all_tasks.iter().copied().filter(move |task| {
        task.pod != *placed
            && match counted {
                Counted::Pods(pod_type) => task.pod.pod_type == *pod_type,
                Counted::All => true,
                Counted::TaskNames(matcher) => matcher.matches(&task.name.to_string()),
            }
    })
}

/// How a report names what is counted.
pub(super) fn named(counted: &Counted, requirement: &Requirement<'_>) -> Of {
    match counted {
        Counted::Pods(pod_type) if *pod_type == requirement.pod.pod_type => Of::SameType,
        Counted::Pods(pod_type) => Of::Type(pod_type.clone()),
        Counted::All => Of::AnyType,
        Counted::TaskNames(matcher) => Of::TasksNamed(matcher.text().to_owned()),
    }
}

/// Counted pods on every value that has any.
pub(super) fn pods_by_value(key: &Key, which: &Counted, requirement: &Requirement<'_>) -> Rc<ByValue> {
    let mut known = requirement.counts.by_value.borrow_mut();
    if let Some((_, _, counts)) = known.iter().find(|(of, named, _)| of == key && named == which) {
        return Rc::clone(counts);
    }
    let counts = Rc::new(count(key, which, requirement));
    known.push((key.clone(), which.clone(), Rc::clone(&counts)));
    counts
}

/// Pods of a type, never the instance that is being placed, on every agent that has any.
pub(super) fn pods_by_agent(pod_type: &str, requirement: &Requirement<'_>) -> Rc<ByAgent> {
    let mut known = requirement.counts.by_agent.borrow_mut();
    if let Some((_, counts)) = known.iter().find(|(of, _)| of == pod_type) {
        return Rc::clone(counts);
    }
    let of_type = requirement.all_tasks.iter().filter(|task| task.pod != *requirement.pod);
    let of_type = of_type.filter(|task| task.pod.pod_type == pod_type);
    // The tasks of one instance may be on several agents for a while, when it was replaced.
    let places: BTreeSet<(&AgentId, &PodInstance)> = of_type.map(|task| (&task.agent_id, &task.pod)).collect();
    let mut counts = ByAgent::default();
    for (agent, _) in places {
        *counts.pods.entry(agent.clone()).or_default() += 1;
        counts.all += 1;
    }
    let counts = Rc::new(counts);
    known.push((pod_type.to_owned(), Rc::clone(&counts)));
    counts
}

fn count(key: &Key, which: &Counted, requirement: &Requirement<'_>) -> ByValue {
    let mut pairs: Vec<(&str, &PodInstance)> = counted(requirement, which)
        .flat_map(|task| keys::of_task(key, task).map(move |value| (value, &task.pod)))
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
