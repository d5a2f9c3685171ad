//! The published view.

use std::sync::Arc;

use super::question::held_phase;
use super::{Engine, RECOVERY};
use crate::explain::{Explanation, Waiting};
use crate::plan::{Phase, Plan, Status, Step};
use crate::view::{PhaseView, PlanView, StepView, View};

impl Engine {
    /// Makes the view anew; plans that have not changed are shared with the last one.
    pub(super) fn publish(&mut self) {
        let waiting = Arc::new(self.waiting());
        let mut published = Vec::with_capacity(self.plans.len());
        for (at, plan) in self.plans.iter().enumerate() {
            let known =
                self.published.get(at).filter(|(version, view)| *version == plan.version && view.name == plan.name);
            published.push(match known {
                Some(known) => known.clone(),
                None => (plan.version, Arc::new(self.plan_view(at, plan))),
            });
        }
        self.published = published;
        self.view = Arc::new(View {
            spec: Arc::clone(&self.spec),
            framework_id: self.state.framework_id.clone(),
            is_subscribed: self.is_subscribed,
            plans: self.published.iter().map(|(_, view)| Arc::clone(view)).collect(),
            tasks: Arc::clone(&self.state.tasks),
            target: self.state.target.clone(),
            configurations: Arc::clone(&self.state.configurations),
            parsed_configurations: Arc::clone(&self.state.parsed_configurations),
            properties: Arc::clone(&self.state.properties),
            outcomes: Arc::clone(&self.outcomes),
            waiting,
        });
    }

    fn plan_view(&self, at: usize, plan: &Plan) -> PlanView {
        // The parent's status is taken first, so that a reader never sees a parent done before its children.
        let status = plan.status().as_str();
        PlanView {
            name: plan.name.clone(),
            status,
            strategy: plan.strategy.as_str(),
            errors: plan.all_errors(),
            is_interrupted: plan.is_interrupted,
            phases: plan.phases.iter().map(|phase| self.phase_view(at, phase)).collect(),
        }
    }

    fn phase_view(&self, at: usize, phase: &Phase) -> PhaseView {
        let steps = phase.steps.iter().zip(phase.step_statuses());
        PhaseView {
            id: phase.id.to_string(),
            name: phase.name.clone(),
            status: phase.status().as_str(),
            strategy: phase.strategy.as_str(),
            steps: steps
                .enumerate()
                .map(|(index, (step, status))| self.step_view(at, step, status, phase.gates.contains(&index)))
                .collect(),
        }
    }

    fn step_view(&self, at: usize, step: &Step, status: Status, is_gated: bool) -> StepView {
        let kind = if at == RECOVERY { "RecoveryStep" } else { "DeploymentStep" };
        let tasks = step.tasks.iter().map(|short| {
            let name = step.pod.task_name(short);
            let task = self.state.tasks.get(&name);
            let task_id = task.and_then(|task| task.task_id.as_ref()).map(ToString::to_string);
            let state = task.and_then(|task| task.state()).map(crate::task::status::State::as_str);
            (name, task_id, state)
        });
        StepView {
            id: step.id.to_string(),
            name: step.name.clone(),
            status: status.as_str(),
            message: format!("{kind}: {} [{}] with status: {}", step.name, step.id, status.as_str()),
            errors: step.errors.clone(),
            is_interrupted: is_gated,
            tasks: tasks.collect(),
        }
    }

    /// One line for every step that could go on and does not, for every phase and plan that an operator holds, and for what holds everything
    /// up.
    fn waiting(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.is_subscribed {
            lines.push("not subscribed to a master".to_owned());
        } else if !self.reconciler.is_done() {
            lines.push(format!("reconciling: {} tasks not answered yet", self.reconciler.unanswered()));
        }
        let mut places = self.candidates().to_vec();
        places.extend(&self.looked.waiting);
        places.sort();
        for place in places {
            let Some(plan) = self.plans.get(place.plan) else { continue };
            let Some(step) = plan.phases.get(place.phase).and_then(|phase| phase.steps.get(place.step)) else {
                continue;
            };
            if let Some(why) = self.waits.line(step.id).filter(|_| step.delayed_until.is_none()) {
                lines.push(format!("{} {}: {why}", plan.name, step.name));
            }
        }
        for (at, plan) in self.plans.iter().enumerate() {
            if plan.is_interrupted {
                // The author's plans begin held: that nobody has started one is no news.
                if at <= RECOVERY && !plan.is_complete() {
                    lines.push(format!("{}: held by an operator; continue the plan", plan.name));
                }
                continue;
            }
            for phase in &plan.phases {
                if (phase.is_interrupted || !phase.gates.is_empty()) && phase.is_held() && !is_done(phase) {
                    lines.push(line(plan, None, Waiting::Held { what: held_phase(plan, phase) }, String::new()));
                }
                // Without backoff nothing is delayed: then there is no need to look.
                for step in phase.steps.iter().filter(|_| self.config.backoff.is_some()) {
                    if let Some(until) = step.delayed_until {
                        lines.push(line(plan, Some(step), Waiting::Delayed { until }, self.last_failure(step)));
                    }
                }
            }
        }
        lines
    }
}

fn is_done(phase: &Phase) -> bool {
    phase.steps.iter().all(|step| step.status() == Status::Complete)
}

/// In the words of `why`.
fn line(plan: &Plan, step: Option<&Step>, waiting: Waiting, last_failure: String) -> String {
    let explanation = Explanation {
        plan: plan.name.clone(),
        phase: String::new(),
        step: step.map(|step| step.name.clone()).unwrap_or_default(),
        pod: None,
        waiting,
        last_failure,
    };
    explanation.to_string()
}
