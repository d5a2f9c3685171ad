//! Plan commands: names are resolved, legality is checked, the plan is changed.
//!
//! Source: the command table and selection rules of the SDK's HTTP API.

use uuid::Uuid;

use crate::command::{Answer, PlanVerb};
use crate::plan::model::{Phase, Plan, Step};
use crate::plan::status::Status;

/// Carries out a command on the plan it names. Nothing is killed or launched here: the next look at the plan does that.
pub fn carry_out(plan: &mut Plan, verb: &PlanVerb, phase: Option<&str>, step: Option<&str>) -> Answer {
    let answer = match verb {
        PlanVerb::Start(parameters) => {
            plan.parameters.clone_from(parameters);
            if plan.status() == Status::Complete {
                restart_all(plan);
            }
            plan.is_interrupted = false;
            Answer::Received
        }
        PlanVerb::Stop => {
            plan.is_interrupted = true;
            restart_all(plan);
            Answer::Received
        }
        PlanVerb::Continue => hold(plan, phase, false),
        PlanVerb::Interrupt => hold(plan, phase, true),
        PlanVerb::ForceComplete => on_element(plan, phase, step, Status::Complete, |step| {
            step.is_forced = true;
            step.is_reset = false;
        }),
        PlanVerb::Restart => on_element(plan, phase, step, Status::Pending, Step::restart),
    };
    if answer == Answer::Received {
        plan.version += 1;
    }
    answer
}

fn restart_all(plan: &mut Plan) {
    plan.steps_mut().for_each(Step::restart);
}

/// Interrupts or releases the plan, or every phase that matches.
fn hold(plan: &mut Plan, phase: Option<&str>, wanted: bool) -> Answer {
    let Some(name) = phase else {
        let status = plan.status();
        let is_already = if wanted { plan.is_interrupted } else { status.is_running() };
        if is_already || status == Status::Complete {
            return Answer::Already;
        }
        plan.is_interrupted = wanted;
        return Answer::Received;
    };
    let matching: Vec<&mut Phase> = plan.phases.iter_mut().filter(|phase| names(name, phase.id, &phase.name)).collect();
    if matching.is_empty() {
        return Answer::NotFound { kind: "Phase", name: name.to_owned() };
    }
    let statuses: Vec<Status> = matching.iter().map(|phase| phase.status()).collect();
    let is_already = if wanted {
        // A canary phase that waits at a gate counts as interrupted.
        matching.iter().all(|phase| phase.is_held())
    } else {
        statuses.iter().all(|status| status.is_running())
    };
    if is_already || statuses.iter().all(|status| *status == Status::Complete) {
        return Answer::Already;
    }
    for phase in matching {
        if phase.gates.is_empty() {
            phase.is_interrupted = wanted;
        } else if !wanted {
            // Each `continue` opens one gate; `interrupt` during the canary changes nothing.
            // Nothing waits at the gate of a step that is done.
            phase.is_interrupted = false;
            let steps = &phase.steps;
            phase.gates.retain(|at| steps.get(*at).is_some_and(|step| step.status() != Status::Complete));
            if !phase.gates.is_empty() {
                phase.gates.remove(0);
            }
            phase.is_gate_released = true;
        }
    }
    Answer::Received
}

/// Applies a change to one step, or to every step of a phase or the plan.
fn on_element(
    plan: &mut Plan,
    phase: Option<&str>,
    step: Option<&str>,
    already: Status,
    mut change: impl FnMut(&mut Step),
) -> Answer {
    let is_restart = already == Status::Pending;
    let Some(phase_name) = phase else {
        if step.is_some() {
            return Answer::MissingPhase;
        }
        if plan.status() == already {
            return Answer::Already;
        }
        if is_restart {
            plan.is_interrupted = false;
        }
        plan.steps_mut().for_each(change);
        return Answer::Received;
    };
    let Some(found) = plan.phases.iter_mut().find(|phase| names(phase_name, phase.id, &phase.name)) else {
        return Answer::NotFound { kind: "Phase", name: phase_name.to_owned() };
    };
    let Some(step_name) = step else {
        if found.status() == already {
            return Answer::Already;
        }
        if is_restart {
            found.is_interrupted = false;
        }
        found.steps.iter_mut().for_each(change);
        return Answer::Received;
    };
    let statuses = found.step_statuses();
    let mut matching: Vec<(usize, &mut Step)> =
        found.steps.iter_mut().enumerate().filter(|(_, step)| names(step_name, step.id, &step.name)).collect();
    let [(at, one)] = matching.as_mut_slice() else {
        return Answer::NotFound { kind: "Step", name: step_name.to_owned() };
    };
    if statuses.get(*at) == Some(&already) {
        return Answer::Already;
    }
    change(one);
    // To restart a step is to want it: its gate opens, if it waits at one.
    let at = *at;
    if is_restart && found.gates.contains(&at) {
        found.gates.retain(|gate| *gate != at);
        found.is_gate_released = true;
    }
    Answer::Received
}

/// A text that parses as a UUID names ids only, any other text names only.
fn names(wanted: &str, id: Uuid, name: &str) -> bool {
    match Uuid::parse_str(wanted) {
        Ok(uuid) => uuid == id,
        Err(_) => wanted == name,
    }
}
