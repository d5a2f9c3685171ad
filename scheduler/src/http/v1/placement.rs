//! `/v1/placement`: why each unfinished step is not placed now. Ours; the SDK has no such route.
//!
//! The loop only hands over a snapshot; offers are evaluated again on a thread of their own, so that a large cluster holds up
//! neither the loop nor other requests.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_api::placement::{Closest, Group, Search, Step};
use mainstay_engine::explain::{self, Explanation, Waiting};

use super::answer::{pod_not_found, unanswered};
use crate::http::json;
use crate::http::router::App;

/// Every unfinished step.
pub(in crate::http) async fn list(State(app): State<App>) -> Response {
    answer(&app, None).await
}

/// The unfinished steps of one pod instance, or of every instance of a pod type; none for a pod that has nothing left to do.
pub(in crate::http) async fn show(State(app): State<App>, Path(name): Path<String>) -> Response {
    let view = app.view();
    let is_instance = |pod_type: &str, count: u32| {
        let index = name.strip_prefix(pod_type).and_then(|rest| rest.strip_prefix('-'));
        index.and_then(|index| index.parse::<u32>().ok()).is_some_and(|index| index < count)
    };
    let is_known = view.spec.pods.iter().any(|pod| pod.pod_type == name || is_instance(&pod.pod_type, pod.count));
    if !is_known && view.tasks.values().all(|task| task.pod.to_string() != name) {
        return pod_not_found(&name);
    }
    answer(&app, Some(name)).await
}

async fn answer(app: &App, name: Option<String>) -> Response {
    let question = match app.commands.question().await {
        Ok(question) => question,
        Err(busy) => return unanswered(busy),
    };
    let explained = tokio::task::spawn_blocking(move || {
        let is_wanted = |pod: &mainstay_engine::ids::PodInstance| {
            name.as_ref().is_none_or(|name| pod.pod_type == *name || pod.to_string() == *name)
        };
        question.answer(is_wanted).iter().map(to_wire).collect::<Vec<_>>()
    });
    match explained.await {
        Ok(steps) => json::object(StatusCode::OK, &steps),
        Err(error) => {
            tracing::error!(%error, "an explanation could not be made");
            json::empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// The answer's form of an explanation.
pub fn to_wire(explanation: &Explanation) -> Step {
    let (waits_for, search) = match &explanation.waiting {
        Waiting::NotSubscribed => ("subscription", None),
        Waiting::Reconciling { .. } => ("reconciliation", None),
        Waiting::Earlier { .. } => ("earlier", None),
        Waiting::Held { .. } => ("operator", None),
        Waiting::Delayed { .. } => ("backoff", None),
        Waiting::OtherPlan => ("otherPlan", None),
        Waiting::Ending { .. } => ("taskEnd", None),
        Waiting::Launched { .. } => ("taskStatus", None),
        Waiting::Error { .. } => ("nothing", None),
        Waiting::Offer(search) => ("offer", Some(of_search(search))),
    };
    Step {
        plan: explanation.plan.clone(),
        phase: explanation.phase.clone(),
        step: explanation.step.clone(),
        pod: explanation.pod.as_ref().map(ToString::to_string).unwrap_or_default(),
        waits_for: waits_for.to_owned(),
        text: explanation.to_string(),
        search,
    }
}

fn of_search(search: &explain::Search) -> Search {
    let texts = |changes: &Vec<explain::Change>| changes.iter().map(ToString::to_string).collect();
    Search {
        pinned_agent_id: search.pinned.as_ref().map(|(agent, _)| agent.to_string()),
        agents: search.agents,
        fits: search.fits,
        fitting: search.fitting.clone(),
        groups: search.groups.iter().map(of_group).collect(),
        closest: search.closest.as_ref().map(|closest| Closest {
            agent_id: closest.agent_id.to_string(),
            hostname: closest.hostname.clone(),
            obstacles: closest.obstacles.iter().map(ToString::to_string).collect(),
            changes: closest.changes.as_ref().map(texts),
        }),
    }
}

fn of_group(group: &explain::Group) -> Group {
    Group {
        agents: group.agents,
        obstacle: group.obstacle.to_string(),
        examples: group.examples.clone(),
        short_by_least: group.short_by.map(|(least, _)| least.to_f64()),
        short_by_most: group.short_by.map(|(_, most)| most.to_f64()),
    }
}
