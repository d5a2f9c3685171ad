//! `plans.<name>`.

use super::{Placed, placed};
use crate::{
    code::Code,
    plan::Strategy,
    problem::{Problems, Spanned},
    suggest::Section,
    yaml::reader::Field,
};

/// What a list of steps must look like.
const STEPS: &str = "write a list with one entry per instance and a list of lists, like - default: [[first], [second]]";

/// A plan as written.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    pub(crate) phases: Vec<Placed<Phase>>,
}

/// A phase as written.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) pod: Option<(String, Spanned<String>)>,
    pub(crate) strategy: Strategy,
    /// `None` when no steps are written: one step per instance with all tasks.
    pub(crate) steps: Option<Steps>,
}

/// The steps of a phase.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(crate) path: String,
    pub(crate) entries: Vec<Entry>,
    /// Whether every entry could be read; otherwise nothing is said about missing ones.
    pub(crate) is_complete: bool,
}

/// The steps of one instance, or of all others.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: String,
    /// Index or `default`.
    pub(crate) key: Spanned<String>,
    /// Tasks launched together, step by step.
    pub(crate) steps: Vec<Vec<Spanned<String>>>,
}

/// Reads a plan.
pub(crate) fn plan(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Plan> {
    let mut fields = field.map(problems)?;
    let plan_strategy = fields.optional("strategy").and_then(|field| strategy(&field, false, problems));
    let mut phases = Vec::new();
    if let Some(field) = fields.required("phases", "a map of phases", problems) {
        phases = field.named(problems).iter().filter_map(|field| placed(field, phase(field, problems)?)).collect();
    }
    fields.finish(Section::Plan, problems);
    Some(Plan { strategy: plan_strategy.unwrap_or(Strategy::Serial), phases })
}

fn strategy(field: &Field<'_>, in_phase: bool, problems: &mut Problems<'_>) -> Option<Strategy> {
    let parse = |text: &str| match text {
        "serial" => Some(Strategy::Serial),
        "parallel" => Some(Strategy::Parallel),
        "canary" | "serial-canary" if in_phase => Some(Strategy::SerialCanary),
        "parallel-canary" if in_phase => Some(Strategy::ParallelCanary),
        _ => None,
    };
    let allowed: &[_] = if in_phase {
        &["serial", "parallel", "canary", "serial-canary", "parallel-canary"]
    } else {
        &["serial", "parallel"]
    };
    field.word(parse, allowed, problems).map(|word| word.value)
}

fn phase(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Phase> {
    let mut fields = field.map(problems)?;
    let phase_strategy = fields.optional("strategy").and_then(|field| strategy(&field, true, problems));
    let pod = fields.required("pod", "the type of a pod", problems).and_then(|field| {
        let text = field.text(problems)?;
        Some((field.path, text))
    });
    let steps = fields.optional("steps").and_then(|field| steps(&field, problems));
    fields.finish(Section::Phase, problems);
    Some(Phase { pod, strategy: phase_strategy.unwrap_or(Strategy::Serial), steps })
}

fn steps(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Steps> {
    let Some(items) = field.try_list() else {
        refuse(field, format!("found {}", field.kind()), problems);
        return Some(Steps { path: field.path.clone(), entries: Vec::new(), is_complete: false });
    };
    if items.is_empty() {
        return None;
    }
    let count = items.len();
    let entries: Vec<_> = items.iter().filter_map(|item| entry(item, problems)).collect();
    Some(Steps { path: field.path.clone(), is_complete: entries.len() == count, entries })
}

fn entry(item: &Field<'_>, problems: &mut Problems<'_>) -> Option<Entry> {
    let Some(mut keys) = item.try_named() else {
        refuse(item, format!("found {}", item.kind()), problems);
        return None;
    };
    if keys.len() != 1 {
        refuse(item, format!("an entry has {} keys; it must have one, the index or default", keys.len()), problems);
        return None;
    }
    let value = keys.pop()?;
    let Some(lists) = value.try_list() else {
        refuse(&value, format!("found {}; write [] for no steps", value.kind()), problems);
        return None;
    };
    let mut steps = Vec::new();
    for list in &lists {
        let Some(names) = list.try_list() else {
            refuse(list, format!("found {} instead of a list of tasks", list.kind()), problems);
            return None;
        };
        let names: Vec<_> =
            names.iter().filter_map(|name| if name.is_there(problems) { name.text(problems) } else { None }).collect();
        // A step without tasks does nothing and is left out.
        if !names.is_empty() {
            steps.push(names);
        }
    }
    Some(Entry { path: value.path.clone(), key: value.key, steps })
}

fn refuse(field: &Field<'_>, message: String, problems: &mut Problems<'_>) {
    problems.push_with_help(Code::StepShape, &field.path, field.span(), message, Some(STEPS.to_owned()));
}
