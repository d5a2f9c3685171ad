//! Which steps of all plans may be worked on now.
//!
//! Invariant: of two steps that share a task of one pod instance at most one is returned, and the earlier plan wins.
//! Invariant: a pod instance that has to come back as a whole is left to a plan that brings back all of it.

use std::collections::BTreeMap;

use crate::ids::PodInstance;
use crate::offer::requirement::Recovery;
use crate::plan::model::{Plan, Step};
use crate::plan::status::Status;

/// Where a step is: indices of plan, phase and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index of the plan.
    pub plan: usize,
    /// Index of the phase.
    pub phase: usize,
    /// Index of the step.
    pub step: usize,
}

/// Pod instances that have to come back as a whole, with the short names of the tasks that do.
pub type Moving = BTreeMap<PodInstance, Vec<String>>;

/// What is worked on, by pod instance: the step and the tasks it touches.
type Assets<'a> = BTreeMap<&'a PodInstance, Vec<(uuid::Uuid, &'a [String])>>;

/// What came of one look at all plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Steps that may be worked on, plans in the order given, steps in declaration order.
    pub candidates: Vec<Place>,
    /// Steps whose turn it is, but whose pod instance has to come back as a whole first.
    pub waiting: Vec<Place>,
}

/// Looks at every plan.
///
/// Source: the SDK's coordinator; plans an operator holds are skipped and block nobody. In the SDK a later step of deploy launches its own tasks
/// into a pod that is given up, and nothing brings back those of the steps before it.
pub fn look(plans: &[Plan], moving: &Moving) -> Found {
    let mut taken = Assets::new();
    for plan in plans.iter().filter(|plan| !plan.is_interrupted) {
        for (_, _, step) in plan.steps().filter(|(_, _, step)| step.is_dirty() && may_launch(plan, step, moving)) {
            taken.entry(&step.pod).or_default().push((step.id, &step.touched));
        }
    }
    let mut found = Found::default();
    for (at, plan) in plans.iter().enumerate() {
        for phase_at in plan.candidate_phases() {
            let Some(phase) = plan.phases.get(phase_at) else { continue };
            for step_at in phase.candidates() {
                let Some(step) = phase.steps.get(step_at) else { continue };
                let place = Place { plan: at, phase: phase_at, step: step_at };
                if !may_launch(plan, step, moving) {
                    found.waiting.push(place);
                    continue;
                }
                // A step is not in its own way.
                let of_pod = taken.entry(&step.pod).or_default();
                let is_blocked =
                    of_pod.iter().any(|(owner, touched)| *owner != step.id && step.conflicts_with(&step.pod, touched));
                if is_blocked {
                    continue;
                }
                found.candidates.push(place);
                of_pod.push((step.id, &step.touched));
            }
        }
    }
    found
}

/// Whether a step may launch into its pod instance: when that has to come back as a whole, only if what its plan still launches there, and is
/// not held from launching, is all of it. What finished steps have launched would be missing otherwise.
pub fn may_launch(plan: &Plan, step: &Step, moving: &Moving) -> bool {
    let Some(tasks) = moving.get(&step.pod).filter(|_| step.recovery == Recovery::None) else { return true };
    let phases = plan.phases.iter().filter(|phase| !phase.is_interrupted);
    let unfinished: Vec<&Step> = phases
        .flat_map(|phase| phase.steps.iter().zip(phase.step_statuses()))
        .filter(|(_, status)| !matches!(status, Status::Complete | Status::Waiting | Status::Error))
        .map(|(other, _)| other)
        .filter(|other| other.pod == step.pod)
        .collect();
    tasks.iter().all(|task| unfinished.iter().any(|other| other.tasks.contains(task)))
}
