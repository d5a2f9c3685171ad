//! Which steps of all plans may be worked on now.
//!
//! Invariant: of two steps that share a task of one pod instance at most one is returned, and the earlier plan wins.

use crate::ids::PodInstance;
use crate::plan::model::{Plan, Step};

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

/// Tasks of one pod instance that a step works on.
type Asset<'a> = (uuid::Uuid, &'a PodInstance, &'a [String]);

/// Steps that may be worked on, plans in the order given, steps in declaration order.
///
/// Source: the SDK's coordinator; plans an operator holds are skipped and block nobody.
pub fn candidates(plans: &[Plan]) -> Vec<Place> {
    let mut taken: Vec<Asset> = Vec::new();
    for plan in plans.iter().filter(|plan| !plan.is_interrupted) {
        taken.extend(plan.steps().filter(|(_, _, step)| step.is_dirty()).map(|(_, _, step)| asset(step)));
    }
    let mut found = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        for phase_at in plan.candidate_phases() {
            let Some(phase) = plan.phases.get(phase_at) else { continue };
            for step_at in phase.candidates() {
                let Some(step) = phase.steps.get(step_at) else { continue };
                // A step is not in its own way.
                let is_blocked =
                    taken.iter().any(|(owner, pod, touched)| *owner != step.id && step.conflicts_with(pod, touched));
                if is_blocked {
                    continue;
                }
                found.push(Place { plan: at, phase: phase_at, step: step_at });
                taken.push(asset(step));
            }
        }
    }
    found
}

fn asset(step: &Step) -> Asset<'_> {
    (step.id, &step.pod, step.touched.as_slice())
}
