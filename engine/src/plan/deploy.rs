//! Plans that come from the specification: deploy (or update) and the author's own.
//!
//! Invariant: a step built over stored tasks that already run with the target configuration is complete or under way, never launched again.

use mainstay_spec::{Goal, PlanSpec, PodSpec, ServiceSpec, Strategy};

use crate::ids::{Generator, PodInstance};
use crate::offer::requirement::Recovery;
use crate::plan::model::{self, Phase, Plan, Step, StepTask};
use crate::plan::status::Status;
use crate::state::State;
use crate::task::status::State as Mesos;

/// Name of the plan every service has.
pub const DEPLOY: &str = "deploy";
/// Name of the author's plan that takes deploy's place once a deployment was completed.
pub const UPDATE: &str = "update";

/// Makes deploy (first) and the author's other plans.
///
/// Source: the author's `update` plan, if any, is served as `deploy` once a deployment has completed, and hidden before.
pub fn plans(spec: &ServiceSpec, state: &State, was_deployed: bool, ids: &mut Generator) -> Vec<Plan> {
    let named = |name: &str| spec.plans.iter().find(|plan| plan.name == name);
    let deploy = if was_deployed { named(UPDATE).or_else(|| named(DEPLOY)) } else { named(DEPLOY) };
    let mut plans = vec![match deploy {
        Some(plan) => from_spec(DEPLOY, plan, spec, state, ids),
        None => generated(spec, state, ids),
    }];
    for plan in spec.plans.iter().filter(|plan| plan.name != DEPLOY && plan.name != UPDATE) {
        let mut made = from_spec(&plan.name, plan, spec, state, ids);
        made.is_interrupted = true;
        plans.push(made);
    }
    plans
}

/// One serial phase per pod in declaration order, one step per instance with all its tasks.
fn generated(spec: &ServiceSpec, state: &State, ids: &mut Generator) -> Plan {
    let mut plan = Plan::new(DEPLOY, Strategy::Serial);
    for pod in &spec.pods {
        let tasks: Vec<String> = pod.tasks.iter().map(|task| task.name.clone()).collect();
        let steps = (0..pod.count).map(|index| step(pod, index, tasks.clone(), state, ids)).collect();
        plan.phases.push(phase(&pod.pod_type, Strategy::Serial, false, steps, ids));
    }
    plan
}

fn from_spec(name: &str, plan_spec: &PlanSpec, spec: &ServiceSpec, state: &State, ids: &mut Generator) -> Plan {
    let mut plan = Plan::new(name, plan_spec.strategy);
    for phase_spec in &plan_spec.phases {
        let Some(pod) = spec.pod(&phase_spec.pod_type) else { continue };
        let steps =
            phase_spec.steps.iter().map(|wanted| step(pod, wanted.index, wanted.tasks.clone(), state, ids)).collect();
        plan.phases.push(phase(&phase_spec.name, phase_spec.strategy, phase_spec.has_custom_steps, steps, ids));
    }
    plan
}

fn phase(name: &str, strategy: Strategy, keeps_instance_order: bool, steps: Vec<Step>, ids: &mut Generator) -> Phase {
    let gates = match strategy {
        Strategy::SerialCanary | Strategy::ParallelCanary => {
            let pending = steps.iter().enumerate().filter(|(_, step)| step.status() == Status::Pending);
            pending.map(|(at, _)| at).take(2).collect()
        }
        Strategy::Serial | Strategy::Parallel => Vec::new(),
    };
    Phase {
        id: ids.uuid(),
        name: name.to_owned(),
        strategy,
        keeps_instance_order,
        steps,
        is_interrupted: false,
        gates,
        is_gate_released: false,
    }
}

fn step(pod: &PodSpec, index: u32, tasks: Vec<String>, state: &State, ids: &mut Generator) -> Step {
    let instance = PodInstance { pod_type: pod.pod_type.clone(), index };
    let touched = model::touched(pod, &tasks);
    let mut step = Step::new(ids.uuid(), instance, tasks, touched, Recovery::None);
    step.errors = pod.step_conflict(&step.tasks).into_iter().collect();
    // A plan of a refused specification may speak of what the one in force does not have.
    let unknown = step.tasks.iter().filter(|task| pod.task(task).is_none());
    step.errors.extend(unknown.map(|task| format!("the specification in force has no task {task} in {}", step.pod)));
    if index >= pod.count {
        step.errors.push(format!("the specification in force has no pod {}", step.pod));
    }
    if let Some(name) = state.unreadable_of(&step.pod) {
        step.errors.push(format!(
            "{} cannot be read, so nobody knows what {} holds; repair or delete Tasks/{name} and restart the scheduler",
            crate::state::paths::task_info(name),
            step.pod
        ));
    }
    resume(&mut step, pod, state);
    step
}

/// Picks up where stored tasks stand.
fn resume(step: &mut Step, pod: &PodSpec, state: &State) {
    for short in &step.tasks {
        let name = step.pod.task_name(short);
        let (Some(task), Some(spec)) = (state.tasks.get(&name), pod.task(short)) else { continue };
        // Its replacement belongs to recovery.
        if task.is_permanently_failed {
            if let Some(task_id) = &task.task_id {
                step.launched.insert(name, StepTask { task_id: task_id.clone(), status: Status::Complete });
            }
            continue;
        }
        let is_current = task.config_id == state.target;
        let (Some(task_id), Some(now)) = (&task.task_id, task.state()) else {
            // Not launched since its pod moved or its reservation changed: what it had finished stays finished.
            if let Some(status) = &task.status
                && status.state == Mesos::Finished
                && (spec.goal == Goal::Once || spec.goal == Goal::Finish && is_current)
            {
                let done = StepTask { task_id: status.task_id.clone(), status: Status::Complete };
                step.launched.insert(name, done);
            }
            continue;
        };
        if is_current || spec.goal == Goal::Once {
            let status = model::task_status(now, task, spec.goal);
            // Only a finished ONCE task counts under an older configuration.
            if status != Status::Complete && !is_current {
                continue;
            }
            step.launched.insert(name, StepTask { task_id: task_id.clone(), status });
        }
    }
    let all_launched = step.launched.len() == step.tasks.len();
    step.is_complete = all_launched && step.launched.values().all(|task| task.status == Status::Complete);
}
