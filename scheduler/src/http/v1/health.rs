//! `/v1/health`: one number that says how the service is.
//!
//! Marathon takes 200 to 399 as healthy, so the odd codes are deliberate; none has a `Location`, 204 has no body.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_engine::view::{PlanView, View};
use serde_json::json;

use crate::http::json;
use crate::http::query::Query;
use crate::http::router::App;

/// The code as status, and in the body unless it is 204.
pub(in crate::http) async fn show(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let view = app.view();
    let code = judge(&view);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::NO_CONTENT {
        return json::empty(status);
    }
    if Query::parse(query.as_deref()).is_true("verbose") {
        return json::object(status, &json!({ "value": code, "reasons": reasons(&view) }));
    }
    json::object(status, &json!({ "value": code }))
}

/// First match wins. Source: `http-api.md` section 8.
fn judge(view: &View) -> u16 {
    if view.plans.iter().any(|plan| !plan.errors.is_empty()) {
        return 500;
    }
    if view.framework_id.is_none() {
        return 318;
    }
    let plan = |name: &str| view.plans.iter().find(|plan| plan.name == name);
    let Some(deploy) = plan("deploy") else { return 503 };
    if let Some(code) = at_work(deploy, 208, 204, 202) {
        return code;
    }
    if is_held(deploy) {
        return 207;
    }
    if let Some(code) =
        plan("recovery").filter(|plan| plan.status != "COMPLETE").and_then(|p| at_work(p, 208, 203, 205))
    {
        return code;
    }
    if deploy.status != "COMPLETE" {
        return 503;
    }
    let is_any_running = |part: &str| view.plans.iter().any(|plan| plan.name.contains(part) && is_running(plan.status));
    match (is_any_running("restor"), is_any_running("back")) {
        (true, _) => 321,
        (false, true) => 320,
        (false, false) => 200,
    }
}

fn statuses(plan: &PlanView) -> impl Iterator<Item = &'static str> {
    plan.phases.iter().flat_map(|phase| &phase.steps).map(|step| step.status)
}

fn at_work(plan: &PlanView, delayed: u16, pending: u16, starting: u16) -> Option<u16> {
    let any = |words: &[&str]| statuses(plan).any(|status| words.contains(&status));
    if any(&["DELAYED"]) {
        Some(delayed)
    } else if any(&["PENDING", "PREPARED"]) {
        Some(pending)
    } else if any(&["STARTING", "STARTED"]) {
        Some(starting)
    } else {
        None
    }
}

fn is_held(plan: &PlanView) -> bool {
    let mut steps = plan.phases.iter().flat_map(|phase| &phase.steps);
    plan.is_interrupted || steps.any(|step| step.is_interrupted || step.status == "WAITING")
}

/// Whether a plan is at work. Source: `http-api.md` section 3.1.
pub(super) fn is_running(status: &str) -> bool {
    matches!(status, "PREPARED" | "STARTING" | "STARTED" | "IN_PROGRESS")
}

/// Ten texts for people: errors, initialising, waiting for user, running, deploying, degraded, recovering, backing up,
/// restoring, upgrade or rollback.
fn reasons(view: &View) -> [String; 10] {
    let errors: Vec<&str> = view.plans.iter().flat_map(|plan| &plan.errors).map(String::as_str).collect();
    let plan = |name: &str| view.plans.iter().find(|plan| plan.name == name);
    let line = |name: &str| {
        let Some(plan) = plan(name) else { return format!("no {name} plan") };
        let complete = statuses(plan).filter(|status| *status == "COMPLETE").count();
        format!("{name} plan is {}, {complete} of {} steps complete", plan.status, statuses(plan).count())
    };
    let named = |part: &str| {
        let running = view.plans.iter().filter(|plan| plan.name.contains(part) && is_running(plan.status));
        let running: Vec<&str> = running.map(|plan| plan.name.as_str()).collect();
        if running.is_empty() { "none running".to_owned() } else { running.join(", ") }
    };
    let is_held = plan("deploy").is_some_and(|plan| is_held(plan));
    [
        if errors.is_empty() { "Errors: none".to_owned() } else { format!("Errors: {}", errors.join("; ")) },
        format!(
            "Initialising: {}",
            if view.framework_id.is_some() { "no" } else { "not registered with the master yet" }
        ),
        format!(
            "Waiting for user: {}",
            if is_held { "the deploy plan or one of its steps is interrupted" } else { "no" }
        ),
        format!("Running: {}", if view.is_subscribed { "subscribed" } else { "not subscribed at the moment" }),
        format!("Deploying: {}", line("deploy")),
        "Degraded: not judged".to_owned(),
        format!("Recovering: {}", line("recovery")),
        format!("Backing up: {}", named("back")),
        format!("Restoring: {}", named("restor")),
        "Upgrade or rollback: not judged".to_owned(),
    ]
}
