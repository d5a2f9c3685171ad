//! Plans: which steps there are, instance by instance.

use std::collections::BTreeMap;

use super::pod::Lowered;
use crate::{
    code::Code,
    plan::{PhaseSpec, PlanSpec, StepSpec},
    problem::{Problems, Span},
    raw::{
        Placed,
        plan::{Entry, Phase, Plan, Steps},
    },
    suggest,
};

/// Most steps of all plans together.
const MAX_STEPS: usize = 100_000;

pub(super) fn lower(
    raw: Option<Placed<Vec<Placed<Plan>>>>,
    pods: &[Lowered],
    problems: &mut Problems<'_>,
) -> Vec<PlanSpec> {
    let has_deploy = raw.iter().flat_map(|plans| &plans.value).any(|plan| plan.name.value == "deploy");
    if !has_deploy {
        warn_of_generated_conflicts(pods, problems);
    }
    let Some(Placed { value: plans, path, name }) = raw else { return Vec::new() };
    if !has_deploy {
        let message = "there is no plan deploy; the generated one launches every task of every pod";
        let help = "add a plan deploy when some tasks belong to other plans only".to_owned();
        problems.push_with_help(Code::GeneratedDeployPlan, &path, &name.span, message, Some(help));
    }
    let mut room = MAX_STEPS;
    let mut plan = |plan: Placed<Plan>| PlanSpec {
        name: plan.name.value,
        strategy: plan.value.strategy,
        phases: plan.value.phases.into_iter().filter_map(|raw| phase(raw, pods, &mut room, problems)).collect(),
    };
    plans.into_iter().map(&mut plan).collect()
}

fn phase(raw: Placed<Phase>, pods: &[Lowered], room: &mut usize, problems: &mut Problems<'_>) -> Option<PhaseSpec> {
    let Placed { value: phase, path, name } = raw;
    let (pod_path, pod_name) = phase.pod?;
    let Some(pod) = pods.iter().find(|pod| pod.spec.pod_type == pod_name.value) else {
        let known: Vec<&str> = pods.iter().map(|pod| pod.spec.pod_type.as_str()).collect();
        let near = suggest::key(&pod_name.value, &known).map(|near| format!("; did you mean {near}?"));
        let allowed = format!("the service has the pods {}{}", known.join(", "), near.unwrap_or_default());
        problems.found(Code::UnknownPod, &pod_path, &pod_name.span, &pod_name.value, &allowed);
        return None;
    };
    let has_custom_steps = phase.steps.is_some();
    let per_instance =
        phase.steps.as_ref().map_or(1, |steps| steps.entries.iter().map(|e| e.steps.len()).max().unwrap_or(0));
    let wanted = per_instance.saturating_mul(pod.spec.count as usize);
    let Some(left) = room.checked_sub(wanted) else {
        let message = format!("the plans have more than {MAX_STEPS} steps");
        problems.push(Code::OutOfRange, &path, &name.span, message);
        return None;
    };
    *room = left;
    let steps = match phase.steps {
        Some(steps) => custom(&steps, pod, &name.value, &name.span, problems),
        None => default(pod, &path, &name.span, problems),
    };
    let pod_type = pod_name.value;
    Some(PhaseSpec { name: name.value, pod_type, strategy: phase.strategy, steps, has_custom_steps })
}

/// One step per instance with all tasks of the pod, whatever their goals.
fn default(pod: &Lowered, path: &str, at: &Span, problems: &mut Problems<'_>) -> Vec<StepSpec> {
    let tasks: Vec<String> = pod.spec.tasks.iter().map(|task| task.name.clone()).collect();
    warn_of_conflict(pod, &tasks, path, at, problems);
    (0..pod.spec.count).map(|index| StepSpec { index, tasks: tasks.clone() }).collect()
}

fn custom(steps: &Steps, pod: &Lowered, phase: &str, phase_at: &Span, problems: &mut Problems<'_>) -> Vec<StepSpec> {
    let count = pod.spec.count;
    let mut by_index: BTreeMap<u32, &Entry> = BTreeMap::new();
    let mut default: Option<&Entry> = None;
    for entry in &steps.entries {
        check_tasks(entry, pod, problems);
        let key = &entry.key;
        let earlier = if key.value == "default" {
            default.replace(entry)
        } else {
            let index = key.value.parse::<u32>().ok().filter(|index| index.to_string() == key.value);
            if let Some(index) = index.filter(|index| *index < count) {
                by_index.insert(index, entry)
            } else {
                if pod.has_count {
                    let message = format!("{:?} is no instance; pod {} has {count}", key.value, pod.spec.pod_type);
                    problems.push(Code::UnusedStepIndex, &entry.path, &key.span, message);
                }
                None
            }
        };
        if let Some(earlier) = earlier {
            let line = problems.places.position(earlier.key.span.start).line;
            let message = format!("steps for {} are already given in line {line}", key.value);
            problems.push(Code::DuplicateStepIndex, &entry.path, &key.span, message);
        }
    }
    let missing: Vec<String> = match default {
        None if steps.is_complete => {
            (0..count).filter(|index| !by_index.contains_key(index)).take(10).map(|index| index.to_string()).collect()
        }
        _ => Vec::new(),
    };
    if !missing.is_empty() {
        let message = format!("phase {phase} has no steps for instance {} and no default", missing.join(", "));
        let help = Some("add an entry default; write - default: [] for no steps".to_owned());
        problems.push_with_help(Code::MissingStepIndex, &steps.path, phase_at, message, help);
    }
    let mut generated = Vec::new();
    for index in 0..count {
        let Some(entry) = by_index.get(&index).copied().or(default) else { continue };
        for tasks in &entry.steps {
            generated.push(StepSpec { index, tasks: tasks.iter().map(|task| task.value.clone()).collect() });
        }
    }
    generated
}

/// Every task of every step must be one of the pod's.
fn check_tasks(entry: &Entry, pod: &Lowered, problems: &mut Problems<'_>) {
    for step in &entry.steps {
        for task in step.iter().filter(|task| !pod.task_names.contains(&task.value)) {
            let known: Vec<&str> = pod.task_names.iter().map(String::as_str).collect();
            let near = suggest::key(&task.value, &known).map(|near| format!("; did you mean {near}?"));
            let pod_type = &pod.spec.pod_type;
            let allowed = format!("pod {pod_type} has the tasks {}{}", known.join(", "), near.unwrap_or_default());
            problems.found(Code::UnknownTask, &entry.path, &task.span, &task.value, &allowed);
        }
        let names: Vec<String> = step.iter().map(|task| task.value.clone()).collect();
        warn_of_conflict(pod, &names, &entry.path, &entry.key.span, problems);
    }
}

/// The generated deploy plan launches all tasks of an instance in one step.
fn warn_of_generated_conflicts(pods: &[Lowered], problems: &mut Problems<'_>) {
    for pod in pods.iter().filter(|pod| pod.spec.count > 0) {
        let tasks: Vec<String> = pod.spec.tasks.iter().map(|task| task.name.clone()).collect();
        let Some(conflict) = pod.spec.step_conflict(&tasks) else { continue };
        let message = format!("{conflict}; the step of the generated deploy plan will be in error");
        let help = Some("write a plan deploy that has them in steps of their own".to_owned());
        let (path, at) = &pod.at;
        problems.push_with_help(Code::StepConflict, path, at, message, help);
    }
}

/// Tasks that share a resource set or a discovery prefix cannot run at the same time; the step will be in error.
fn warn_of_conflict(pod: &Lowered, tasks: &[String], path: &str, at: &Span, problems: &mut Problems<'_>) {
    let Some(conflict) = pod.spec.step_conflict(tasks) else { return };
    let message = format!("{conflict}; the step will be in error");
    let help = Some("put them into steps of their own".to_owned());
    problems.push_with_help(Code::StepConflict, path, at, message, help);
}
