//! The service as a picture for a terminal: plans, tasks, and what is waited for.

use mainstay_scheduler::engine::view::{PhaseView, PlanView, StepView, View};

use super::folder::Folder;
use super::line::Line;

/// Draws at most `height` lines.
///
/// Shape: the deploy plan, then every other plan that has begun and is not complete, then names of the rest; steps of complete phases are
/// left out when there is no room, then whatever comes last.
pub(super) fn draw(view: &View, folder: &Folder, waiting: &[String], height: usize) -> Vec<Line> {
    let full = lines(view, folder, waiting, false);
    let mut lines = if full.len() > height { lines(view, folder, waiting, true) } else { full };
    if lines.len() > height {
        let rest = lines.len() - height.saturating_sub(1);
        lines.truncate(height.saturating_sub(1));
        lines.push(Line::default().dim(format!("… {rest} more lines; mainstay plan status shows all")));
    }
    lines
}

fn lines(view: &View, folder: &Folder, waiting: &[String], is_short: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut idle = Vec::new();
    for plan in &view.plans {
        let is_idle = plan.status == "COMPLETE" || plan.is_interrupted;
        if plan.name != "deploy" && is_idle {
            // An interrupted plan that has not begun waits for its operator.
            let word = if plan.status == "COMPLETE" { "complete" } else { "start it by hand" };
            if plan.name != "recovery" {
                idle.push(format!("{} ({word})", plan.name));
            }
            continue;
        }
        draw_plan(&mut lines, plan, view, folder, is_short);
    }
    if !idle.is_empty() {
        lines.push(Line::default().dim(format!("other plans: {}", idle.join(", "))));
    }
    for text in waiting {
        lines.push(Line::new("waiting: ").plain(text));
    }
    lines
}

fn draw_plan(lines: &mut Vec<Line>, plan: &PlanView, view: &View, folder: &Folder, is_short: bool) {
    lines.push(Line::default().bold(&plan.name).plain(" ").status(plan.status));
    for (index, phase) in plan.phases.iter().enumerate() {
        let is_last = index + 1 == plan.phases.len();
        lines.push(
            Line::default().dim(if is_last { "└─ " } else { "├─ " }).plain(&phase.name).plain(" ").status(phase.status),
        );
        if is_short && phase.status == "COMPLETE" {
            continue;
        }
        draw_steps(lines, phase, if is_last { "   " } else { "│  " }, view, folder);
    }
    for error in &plan.errors {
        lines.push(Line::new("   ").status("ERROR").plain(format!(" {error}")));
    }
}

fn draw_steps(lines: &mut Vec<Line>, phase: &PhaseView, indent: &str, view: &View, folder: &Folder) {
    for (index, step) in phase.steps.iter().enumerate() {
        let is_last = index + 1 == phase.steps.len();
        let branch = format!("{indent}{}", if is_last { "└─ " } else { "├─ " });
        lines.push(tasks(
            Line::default().dim(branch).plain(&step.name).plain(" ").status(step.status),
            step,
            view,
            folder,
        ));
    }
}

/// Adds the tasks of a step: state, agent, folder.
fn tasks(mut line: Line, step: &StepView, view: &View, folder: &Folder) -> Line {
    for (name, id, state) in &step.tasks {
        if id.is_none() {
            continue;
        }
        let state = state.map_or("LAUNCHED", |state| state.trim_start_matches("TASK_"));
        let hostname = view.tasks.get(name).and_then(|task| task.hostname.as_deref()).unwrap_or("?");
        let place = format!(" {hostname} {}", folder.task(name.as_str()).display());
        line = line.plain("  ").status(state).dim(place);
    }
    line
}
