//! Which steps of all plans may be worked on now.
//!
//! Invariant: of two steps that share a task of one pod instance at most one is returned, and the earlier plan wins.

use std::collections::BTreeMap;

use crate::ids::PodInstance;
use crate::plan::model::Plan;

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

/// What is worked on, by pod instance: the step and the tasks it touches.
type Assets<'a> = BTreeMap<&'a PodInstance, Vec<(uuid::Uuid, &'a [String])>>;

/// Steps that may be worked on, plans in the order given, steps in declaration order.
///
/// Source: the SDK's coordinator; plans an operator holds are skipped and block nobody.
pub fn candidates(plans: &[Plan]) -> Vec<Place> {
    let mut taken = Assets::new();
    for plan in plans.iter().filter(|plan| !plan.is_interrupted) {
        for (_, _, step) in plan.steps().filter(|(_, _, step)| step.is_dirty()) {
            taken.entry(&step.pod).or_default().push((step.id, &step.touched));
        }
    }
    let mut found = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        for phase_at in plan.candidate_phases() {
            let Some(phase) = plan.phases.get(phase_at) else { continue };
            for step_at in phase.candidates() {
                let Some(step) = phase.steps.get(step_at) else { continue };
                // A step is not in its own way.
                let of_pod = taken.entry(&step.pod).or_default();
                let is_blocked =
                    of_pod.iter().any(|(owner, touched)| *owner != step.id && step.conflicts_with(&step.pod, touched));
                if is_blocked {
                    continue;
                }
                found.push(Place { plan: at, phase: phase_at, step: step_at });
                of_pod.push((step.id, &step.touched));
            }
        }
    }
    found
}
