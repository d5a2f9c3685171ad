//! Which children of a plan or phase may be worked on now.
//!
//! Computed from the live list each time: an early step that is restarted holds back the later ones again.

use std::collections::BTreeSet;

use mainstay_spec::Strategy;

use crate::ids::PodInstance;
use crate::plan::model::{Phase, Plan};
use crate::plan::status::Status;

/// Indices of the steps that may be worked on, ascending.
///
/// Invariant: none is complete, none has errors, none is behind a closed gate. Whether two of them touch the same pod instance is the
/// coordinator's concern.
pub fn step_candidates(phase: &Phase) -> Vec<usize> {
    // With a gate closed only the steps in front of it move.
    let open = |at: usize| phase.gates.first().is_none_or(|gate| at < *gate);
    let unfinished =
        phase.steps.iter().enumerate().filter(|(_, step)| step.status() != Status::Complete).map(|(at, _)| at);
    match phase.strategy {
        Strategy::Serial | Strategy::SerialCanary => {
            unfinished.take(1).filter(|at| open(*at) && is_eligible(phase, *at)).collect()
        }
        Strategy::Parallel | Strategy::ParallelCanary => {
            let mut seen = BTreeSet::new();
            unfinished
                .filter(|at| !phase.keeps_instance_order || is_first_of_instance(phase, *at, &mut seen))
                .filter(|at| open(*at) && is_eligible(phase, *at))
                .collect()
        }
    }
}

fn is_eligible(phase: &Phase, at: usize) -> bool {
    phase.steps.get(at).is_some_and(|step| step.errors.is_empty())
}

/// Asked for each unfinished step in order; `seen` holds the instances of those before.
fn is_first_of_instance<'a>(phase: &'a Phase, at: usize, seen: &mut BTreeSet<&'a PodInstance>) -> bool {
    phase.steps.get(at).is_some_and(|step| seen.insert(&step.pod))
}

/// Indices of the phases that may be worked on, in order.
pub fn phase_candidates(plan: &Plan) -> Vec<usize> {
    let unfinished =
        plan.phases.iter().enumerate().filter(|(_, phase)| phase.status() != Status::Complete).map(|(at, _)| at);
    match plan.strategy {
        Strategy::Serial | Strategy::SerialCanary => unfinished.take(1).collect(),
        Strategy::Parallel | Strategy::ParallelCanary => unfinished.collect(),
    }
}
