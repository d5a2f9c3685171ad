//! The snapshot from which unfinished steps are explained: of the running service, or of recorded offers.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Engine, RECOVERY};
use crate::explain::search::EXAMPLES;
use crate::explain::{Asked, Question, Seen, Standing, Waiting};
use crate::ids::FrameworkId;
use crate::offer::Offer;
use crate::plan::coordinator::Place;
use crate::plan::{Phase, Plan, Status, Step};
use crate::units::Timestamp;

impl Engine {
    /// What is needed to explain why steps are not done. Plans of the author that nobody has started are left out.
    pub fn question(&mut self) -> Question {
        self.ask(false)
    }

    /// The question as if every unfinished step's turn had come, so that what follows a step that fits nowhere can be judged too.
    pub fn outlook(&mut self) -> Question {
        self.ask(true)
    }

    /// Keeps the last offers of at most so many agents for explanations.
    pub fn remember_offers(&mut self, most: usize) {
        Arc::make_mut(&mut self.seen).hold(most);
    }

    /// The question for offers that somebody recorded where the master was in this region: each unfinished step is held against them as if its
    /// turn had come and nothing else were in its way. Nothing is launched, so that every step sees every offer.
    pub fn question_on(
        &mut self,
        offers: impl IntoIterator<Item = Offer>,
        framework_id: FrameworkId,
        region: Option<String>,
        now: Timestamp,
    ) -> Question {
        self.master.region = region;
        let mut seen = Seen::holding(usize::MAX);
        for offer in offers {
            seen.put(offer, now);
        }
        Question { seen: Arc::new(seen), framework_id: Some(framework_id), ..self.ask(true) }
    }

    fn ask(&mut self, is_everyones_turn: bool) -> Question {
        let candidates: BTreeSet<Place> = self.candidates().iter().copied().collect();
        let mut steps = Vec::new();
        for (plan_at, plan) in self.plans.iter().enumerate() {
            if plan_at > RECOVERY && plan.is_interrupted {
                continue;
            }
            for (phase_at, phase) in plan.phases.iter().enumerate() {
                for (step_at, (step, status)) in phase.steps.iter().zip(phase.step_statuses()).enumerate() {
                    if status == Status::Complete {
                        continue;
                    }
                    let place = Place { plan: plan_at, phase: phase_at, step: step_at };
                    let on_offers = if is_everyones_turn { self.wants(plan, step, place) } else { None };
                    let standing = on_offers.unwrap_or_else(|| {
                        self.standing(plan, phase, step, status, place, candidates.contains(&place))
                    });
                    steps.push(Asked {
                        plan: plan.name.clone(),
                        phase: phase.name.clone(),
                        step: step.name.clone(),
                        pod: step.pod.clone(),
                        standing,
                        last_failure: self.last_failure(step),
                    });
                }
            }
        }
        Question {
            config: self.config.clone(),
            framework_id: self.state.framework_id.clone(),
            region: self.master.region.clone(),
            tasks: Arc::clone(&self.state.tasks),
            seen: Arc::clone(&self.seen),
            steps,
            refused: self
                .plans
                .iter()
                .filter(|plan| !plan.errors.is_empty())
                .map(|plan| (plan.name.clone(), plan.errors.clone()))
                .collect(),
            named: EXAMPLES,
        }
    }

    pub(super) fn last_failure(&self, step: &Step) -> String {
        let names = step.tasks.iter().map(|short| step.pod.task_name(short));
        let mut whys = names.filter_map(|name| self.delays.why(&name)).filter(|why| !why.is_empty());
        whys.next().unwrap_or_default().to_owned()
    }

    /// What a step wants from the offers, whoever's turn it is; `None` when it wants nothing, or can never have it.
    fn wants(&self, plan: &Plan, step: &Step, place: Place) -> Option<Standing> {
        if !plan.errors.is_empty() || !step.errors.is_empty() {
            return None;
        }
        let wanted = self.wanted(place)?;
        let rule = self.spec.pod(&wanted.pod.pod_type).and_then(|pod| pod.placement.clone());
        Some(Standing::Wants { wanted: Box::new(wanted), rule })
    }

    fn standing(
        &self,
        plan: &Plan,
        phase: &Phase,
        step: &Step,
        status: Status,
        place: Place,
        is_candidate: bool,
    ) -> Standing {
        let errors: Vec<String> = plan.errors.iter().chain(&step.errors).cloned().collect();
        Standing::Known(if !errors.is_empty() {
            Waiting::Error { errors }
        } else if let Some(until) = step.delayed_until {
            Waiting::Delayed { until }
        } else if !step.wants_launch() {
            let tasks = step.tasks.iter().filter_map(|short| {
                let name = step.pod.task_name(short);
                let state = self.state.tasks.get(&name)?.state().map_or("TASK_STAGING", |state| state.as_str());
                Some((name, state))
            });
            Waiting::Launched { tasks: tasks.collect() }
        } else if plan.is_interrupted {
            Waiting::Held { what: format!("plan {}", plan.name) }
        } else if phase.is_interrupted || status == Status::Waiting && phase.is_held() {
            Waiting::Held { what: held_phase(plan, phase) }
        } else if !is_candidate {
            earlier(plan, phase, place).map_or(Waiting::OtherPlan, |name| Waiting::Earlier { name })
        } else if !self.is_subscribed {
            Waiting::NotSubscribed
        } else if !self.reconciler.is_done() {
            Waiting::Reconciling { unanswered: self.reconciler.unanswered() }
        } else if let Some(wanted) = self.wanted(place) {
            if let Some(task) = self.blocked_by(&wanted) {
                Waiting::Ending { task }
            } else {
                let rule = self.spec.pod(&wanted.pod.pod_type).and_then(|pod| pod.placement.clone());
                return Standing::Wants { wanted: Box::new(wanted), rule };
            }
        } else {
            Waiting::OtherPlan
        })
    }
}

/// What is to be continued where an operator holds a phase.
pub(super) fn held_phase(plan: &Plan, phase: &Phase) -> String {
    format!("phase {} of plan {}", phase.name, plan.name)
}

/// What is worked on before this step: the first unfinished step of its phase, else the first unfinished phase of its plan.
fn earlier(plan: &Plan, phase: &Phase, place: Place) -> Option<String> {
    if !plan.candidate_phases().contains(&place.phase) {
        let first = plan.phases.iter().take(place.phase).find(|phase| phase.status() != Status::Complete)?;
        return Some(format!("phase {}", first.name));
    }
    if phase.candidates().contains(&place.step) {
        return None;
    }
    let first = phase.steps.iter().take(place.step).find(|step| step.status() != Status::Complete)?;
    Some(format!("step {}", first.name))
}
