//! `/v1/debug` and `/v2/debug`: why nothing happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_api::debug::{
    Offers, Outcome as WireOutcome, Outcomes, Phase, PhaseStatuses, Plan, PlanStatuses, Plans, Step, StepStatuses,
    TaskState, Topology,
};
use mainstay_api::text;
use mainstay_engine::resource::LABEL_RESOURCE_ID;
use mainstay_engine::view::{Outcome, PhaseView, PlanView, StepView, View};
use serde_json::json;

use super::health::is_running;
use crate::http::json;
use crate::http::query::Query;
use crate::http::router::App;

/// Property that is written when a deployment completes.
const COMPLETED: &str = "last-completed-update-type";

/// Recent evaluations, oldest first, with counts.
pub(in crate::http) async fn offers_v2(State(app): State<App>) -> Response {
    let outcomes = &app.view().outcomes;
    let offers = Offers {
        offers: outcomes.recent.iter().map(|outcome| to_wire(outcome, outcome.explanation.clone())).collect(),
        accepted_count: outcomes.accepted,
        failure_reasons: outcomes.failure_reasons.clone(),
        rejected_count: outcomes.rejected,
        rejected_agents: outcomes.rejected_agents.clone(),
    };
    json::object(StatusCode::OK, &offers)
}

/// Recent evaluations, newest first: a page for people, or JSON with `json=true`.
pub(in crate::http) async fn offers_v1(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let view = app.view();
    let newest_first = view.outcomes.recent.iter().rev();
    if Query::parse(query.as_deref()).is_true("json") {
        let outcomes = newest_first.map(|outcome| to_wire(outcome, outcome.explanation.join("\n"))).collect();
        return json::object(StatusCode::OK, &Outcomes { outcomes });
    }
    let mut page =
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>Offers</title></head><body><table border=\"1\">\n\
        <tr><th>time</th><th>pod</th><th>outcome</th><th>explanation</th><th>offer</th></tr>\n"
            .to_owned();
    for outcome in newest_first {
        let explanation = outcome.explanation.iter().map(|line| escape(line)).collect::<Vec<_>>().join("<br>");
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{explanation}</td><td><pre>{}</pre></td></tr>",
            outcome.at,
            escape(&outcome.pod_instance),
            word(outcome),
            escape(&outcome.offer),
        );
    }
    page.push_str("</table></body></html>\n");
    json::with_type(StatusCode::OK, "text/html; charset=utf-8", page)
}

fn word(outcome: &Outcome) -> &'static str {
    if outcome.passed { "pass" } else { "fail" }
}

fn to_wire<T: Default>(outcome: &Outcome, explanation: T) -> WireOutcome<T> {
    WireOutcome {
        timestamp: outcome.at.0,
        pod_instance_name: outcome.pod_instance.clone(),
        outcome: word(outcome).to_owned(),
        explanation,
        offer: outcome.offer.clone(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Which plans, phases and steps are asked for; names in any case.
struct Filter<'a> {
    plan: Option<&'a str>,
    phase: Option<&'a str>,
    step: Option<&'a str>,
}

fn matches(wanted: Option<&str>, name: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
}

impl<'a> Filter<'a> {
    fn from(query: &'a Query) -> Self {
        let named = |name| query.get_unless_blank(name);
        Self { plan: named("plan"), phase: named("phase"), step: named("step") }
    }

    fn plans(&'a self, view: &'a View) -> impl Iterator<Item = &'a PlanView> {
        view.plans.iter().map(AsRef::as_ref).filter(|plan| matches(self.plan, &plan.name))
    }

    fn phases(&'a self, plan: &'a PlanView) -> impl Iterator<Item = &'a PhaseView> {
        plan.phases.iter().filter(|phase| matches(self.phase, &phase.name))
    }

    fn steps(&'a self, phase: &'a PhaseView) -> impl Iterator<Item = &'a StepView> {
        phase.steps.iter().filter(|step| matches(self.step, &step.name))
    }

    /// Why the filter selects nothing sensible.
    fn problem(&self, view: &View) -> Option<String> {
        match self {
            Self { plan: None, phase: Some(_), .. } => return Some("a phase is named without its plan".to_owned()),
            Self { phase: None, step: Some(_), .. } => return Some("a step is named without its phase".to_owned()),
            _ => {}
        }
        let mut phases = self.plans(view).flat_map(|plan| self.phases(plan));
        match self {
            Self { plan: Some(plan), .. } if self.plans(view).next().is_none() => {
                Some(format!("no plan is called {plan:?}"))
            }
            Self { phase: Some(phase), .. } if phases.next().is_none() => Some(format!("no phase is called {phase:?}")),
            Self { step: Some(step), .. } => {
                let mut steps = self.plans(view).flat_map(|plan| self.phases(plan)).flat_map(|phase| self.steps(phase));
                steps.next().is_none().then(|| format!("no step is called {step:?}"))
            }
            _ => None,
        }
    }
}

/// Plans without messages and ids.
pub(in crate::http) async fn plans(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let (view, query) = (app.view(), Query::parse(query.as_deref()));
    let filter = Filter::from(&query);
    if let Some(problem) = filter.problem(&view) {
        return json::object(StatusCode::OK, &json!({ "invalid-input": problem }));
    }
    let step =
        |step: &StepView| Step { name: step.name.clone(), status: step.status.to_owned(), errors: step.errors.clone() };
    let phase = |phase: &PhaseView| Phase {
        name: phase.name.clone(),
        status: phase.status.to_owned(),
        strategy: phase.strategy.to_owned(),
        steps: filter.steps(phase).map(step).collect(),
    };
    let plan = |plan: &PlanView| {
        let steps = || plan.phases.iter().flat_map(|phase| &phase.steps);
        Plan {
            name: plan.name.clone(),
            status: plan.status.to_owned(),
            strategy: plan.strategy.to_owned(),
            total_steps: steps().count(),
            completed_steps: steps().filter(|step| step.status == "COMPLETE").count(),
            phases: filter.phases(plan).map(phase).collect(),
        }
    };
    let plans = Plans {
        scheduler_state: scheduler_state(&view).to_owned(),
        active_plans: view.plans.iter().filter(|p| is_running(p.status)).map(|p| p.name.clone()).collect(),
        plans: filter.plans(&view).map(plan).collect(),
        service_topology: view.plans.iter().map(|plan| topology(plan)).collect(),
    };
    json::object(StatusCode::OK, &plans)
}

/// The last that applies wins.
fn scheduler_state(view: &View) -> &'static str {
    let runs = |name: &str| view.plans.iter().any(|plan| plan.name == name && is_running(plan.status));
    let states = [
        (true, "RUNNING"),
        (runs("deploy"), "DEPLOYING"),
        (view.properties.contains_key(COMPLETED), "DEPLOYED"),
        (runs("recovery"), "RECOVERING"),
        (runs("decommission"), "DECOMMISSIONING"),
    ];
    states.iter().rev().find(|(applies, _)| *applies).map_or("RUNNING", |(_, state)| state)
}

fn topology(plan: &PlanView) -> Topology {
    let node = |name: &str, kind: &str, children| Topology { name: name.to_owned(), r#type: kind.to_owned(), children };
    let phase = |phase: &PhaseView| {
        node(&phase.name, "phase", Some(phase.steps.iter().map(|step| node(&step.name, "step", None)).collect()))
    };
    node(&plan.name, "plan", Some(plan.phases.iter().map(phase).collect()))
}

/// The tasks of every step and their last states; steps without tasks are left out.
pub(in crate::http) async fn task_statuses(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let (view, query) = (app.view(), Query::parse(query.as_deref()));
    let filter = Filter::from(&query);
    let step = |step: &StepView| StepStatuses {
        name: step.name.clone(),
        task_status: step
            .tasks
            .iter()
            .map(|(name, id, state)| TaskState {
                name: name.to_string(),
                task_status: state.unwrap_or(text::UNKNOWN_STATE).to_owned(),
                task_id: id.clone().unwrap_or_default(),
            })
            .collect(),
    };
    let phase = |phase: &PhaseView| PhaseStatuses {
        name: phase.name.clone(),
        steps: filter.steps(phase).filter(|step| !step.tasks.is_empty()).map(step).collect(),
    };
    let plan =
        |plan: &PlanView| PlanStatuses { name: plan.name.clone(), phases: filter.phases(plan).map(phase).collect() };
    json::object(StatusCode::OK, &filter.plans(&view).map(plan).collect::<Vec<_>>())
}

/// Ids of all reservations that the stored tasks and their executors hold, by agent.
pub(in crate::http) async fn reservations(State(app): State<App>) -> Response {
    let view = app.view();
    let mut agents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for task in view.tasks.values() {
        let ids = agents.entry(task.hostname.as_deref().unwrap_or(text::UNKNOWN_AGENT)).or_default();
        let resources = task.resources.iter().chain(task.executor.iter().flat_map(|executor| &executor.resources));
        let labels = resources.flat_map(|resource| &resource.reservations).flat_map(|reservation| &reservation.labels);
        ids.extend(labels.filter(|(key, _)| key == LABEL_RESOURCE_ID).filter_map(|(_, value)| value.as_deref()));
    }
    json::object(StatusCode::OK, &agents)
}
