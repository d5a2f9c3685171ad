//! The recovery plan: brings back what failed.
//!
//! Recomputed from the stored tasks at every look; only what has been launched is carried over. So a recovery that is no longer needed (an agent
//! came back with its task alive) vanishes by itself, and one that became worse (a pod given up while its restart waited) is replaced.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_spec::{Goal, ServiceSpec, Strategy};

use crate::ids::{Generator, PodInstance};
use crate::offer::requirement::Recovery;
use crate::plan::model::{self, Phase, Plan, Step};
use crate::plan::status::Status;
use crate::state::{State, Task};

/// Name of the plan.
pub const RECOVERY: &str = "recovery";
/// Completed recoveries that stay visible; older ones are dropped.
const COMPLETED_KEPT: usize = 32;

/// A pod instance that has to be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Pod instance.
    pub pod: PodInstance,
    /// Short names of the tasks to launch, in declaration order.
    pub tasks: Vec<String>,
    /// Short names of the tasks that launching them touches.
    pub touched: Vec<String>,
    /// In place, or anew.
    pub kind: Recovery,
}

/// An empty plan.
pub fn empty() -> Plan {
    Plan::new(RECOVERY, Strategy::Parallel)
}

/// What has to be brought back, by pod instance.
///
/// Source: only tasks with goal RUNNING are recovered. An essential one takes along every goal-RUNNING task of its pod that was launched before.
/// A pod of which some tasks are given up and others are not is given up as a whole (the SDK would leave it).
pub fn wanted(state: &State, spec_of: impl Fn(&Task) -> Option<ServiceSpecRef>) -> Vec<Wanted> {
    let pods: BTreeSet<&PodInstance> = state.tasks.values().map(|task| &task.pod).collect();
    pods.into_iter().filter_map(|pod| wanted_of(pod, state, &spec_of)).collect()
}

/// What has to be brought back of one pod instance.
pub fn wanted_of(
    pod: &PodInstance,
    state: &State,
    spec_of: impl Fn(&Task) -> Option<ServiceSpecRef>,
) -> Option<Wanted> {
    // Whatever it holds that cannot be read must not be launched beside, let alone replaced.
    if state.unreadable_of(pod).is_some() {
        return None;
    }
    let tasks = state.pod_tasks(pod);
    let spec = tasks.iter().find_map(|task| spec_of(task))?;
    let pod_spec = spec.pod(&pod.pod_type)?;
    let of_goal = |goal: Goal| {
        tasks.iter().copied().filter(move |task| pod_spec.task(task.short_name()).is_some_and(|spec| spec.goal == goal))
    };
    let is_given_up = tasks.iter().any(|task| task.is_permanently_failed);
    let failed: Vec<&Task> =
        of_goal(Goal::Running).filter(|task| task.is_permanently_failed || has_failed(task)).collect();
    if failed.is_empty() && !is_given_up {
        return None;
    }
    let is_essential = |task: &&Task| pod_spec.task(task.short_name()).is_some_and(|spec| spec.essential);
    let relaunched: Vec<&Task> = if is_given_up || failed.iter().any(is_essential) {
        of_goal(Goal::Running).filter(|task| task.task_id.is_some()).collect()
    } else {
        failed
    };
    let in_order = pod_spec.tasks.iter().map(|spec| spec.name.clone());
    let tasks: Vec<String> = in_order.filter(|name| relaunched.iter().any(|task| task.short_name() == name)).collect();
    if tasks.is_empty() {
        return None;
    }
    let kind = if is_given_up { Recovery::Permanent } else { Recovery::Transient };
    let touched = match kind {
        Recovery::Permanent => pod_spec.tasks.iter().map(|task| task.name.clone()).collect(),
        Recovery::None | Recovery::Transient => model::touched(pod_spec, &tasks),
    };
    Some(Wanted { pod: pod.clone(), tasks, touched, kind })
}

/// A specification held by reference count.
pub type ServiceSpecRef = std::sync::Arc<ServiceSpec>;

fn has_failed(task: &Task) -> bool {
    use crate::task::status::State as S;
    task.state().is_some_and(|state| state.is_terminal() || matches!(state, S::Lost | S::Unreachable | S::Unknown))
}

/// Brings the plan in line with what is wanted; returns the recoveries that are new.
pub fn refresh(plan: &mut Plan, wanted: Vec<Wanted>, ids: &mut Generator) -> Vec<Wanted> {
    let mut changed = false;
    let by_pod: BTreeMap<&PodInstance, &Wanted> = wanted.iter().map(|wanted| (&wanted.pod, wanted)).collect();
    plan.phases.retain(|phase| {
        let keep = phase.steps.iter().all(|step| {
            let current = by_pod.get(&step.pod);
            match (step.status(), current) {
                // Done, and nothing new about this pod; or under way.
                (Status::Complete | Status::Starting | Status::Started | Status::Delayed, None) => true,
                // Not needed any more, or needed once more.
                (_, None) | (Status::Complete, Some(_)) => false,
                // What is wanted now is what this step does, unless it has to start over on another agent.
                (_, Some(current)) => current.kind == step.recovery && current.tasks == step.tasks,
            }
        });
        changed |= !keep;
        keep
    });
    let mut added = Vec::new();
    let unfinished: BTreeSet<PodInstance> = plan
        .steps()
        .filter(|(_, _, step)| step.status() != Status::Complete)
        .map(|(_, _, step)| step.pod.clone())
        .collect();
    // No two are of the same pod instance.
    for wanted in wanted {
        if unfinished.contains(&wanted.pod) {
            continue;
        }
        let (tasks, touched) = (wanted.tasks.clone(), wanted.touched.clone());
        let step = Step::new(ids.uuid(), wanted.pod.clone(), tasks, touched, wanted.kind);
        plan.phases.push(Phase {
            id: ids.uuid(),
            name: step.name.clone(),
            strategy: Strategy::Serial,
            keeps_instance_order: false,
            steps: vec![step],
            is_interrupted: false,
            gates: Vec::new(),
            is_gate_released: false,
        });
        added.push(wanted);
        changed = true;
    }
    let completed = plan.phases.iter().filter(|phase| phase.status() == Status::Complete).count();
    let mut surplus = completed.saturating_sub(COMPLETED_KEPT);
    plan.phases.retain(|phase| {
        let drop = surplus > 0 && phase.status() == Status::Complete;
        surplus -= usize::from(drop);
        changed |= drop;
        !drop
    });
    plan.version += u64::from(changed);
    added
}
