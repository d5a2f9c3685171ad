//! `/v1/plans`: reading plans and commanding them.
//!
//! Names are passed on as they are; which element they select is the engine's to say (`plan/command.rs`).

use std::collections::BTreeMap;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use mainstay_api::plan::{Phase, Plan, Step};
use mainstay_api::text;
use mainstay_engine::command::{Command, PlanVerb};
use mainstay_engine::view::PlanView;
use serde_json::value::RawValue;

use super::answer::{carry_out, element_not_found};
use crate::http::query::Query;
use crate::http::router::App;
use crate::http::{AppState, BODY_BYTES, json};

/// Names of all plans.
pub(in crate::http) async fn list(State(app): State<App>) -> Response {
    let view = app.view();
    json::object(StatusCode::OK, &view.plans.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>())
}

/// One plan; its status decides the code.
pub(in crate::http) async fn show(State(app): State<App>, Path(plan): Path<String>) -> Response {
    show_named(&app, &plan)
}

/// One plan by exact name.
pub(super) fn show_named(app: &AppState, name: &str) -> Response {
    match app.view().plans.iter().find(|plan| plan.name == name) {
        Some(plan) => json::bean(code(plan.status), &to_wire(plan)),
        None => element_not_found(),
    }
}

/// Source: `http-api.md` section 3; an error wins over everything.
fn code(status: &str) -> StatusCode {
    match status {
        "ERROR" => StatusCode::EXPECTATION_FAILED,
        "COMPLETE" => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    }
}

fn to_wire(plan: &PlanView) -> Plan {
    let step = |step: &mainstay_engine::view::StepView| Step {
        id: step.id.clone(),
        status: step.status.to_owned(),
        name: step.name.clone(),
        message: step.message.clone(),
    };
    let phase = |phase: &mainstay_engine::view::PhaseView| Phase {
        id: phase.id.clone(),
        name: phase.name.clone(),
        steps: phase.steps.iter().map(step).collect(),
        status: phase.status.to_owned(),
        strategy: phase.strategy.to_owned(),
    };
    Plan {
        phases: plan.phases.iter().map(phase).collect(),
        errors: plan.errors.clone(),
        status: plan.status.to_owned(),
        strategy: plan.strategy.to_owned(),
    }
}

/// Sets parameters and lets the plan go on.
pub(in crate::http) async fn start(
    State(app): State<App>,
    Path(plan): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, BODY_BYTES).await else {
        return json::text(StatusCode::PAYLOAD_TOO_LARGE, format!("a request body holds at most {BODY_BYTES} bytes"));
    };
    match parse_parameters(&headers, &body) {
        Ok(parameters) => command(&app, plan, PlanVerb::Start(parameters), None, None).await,
        Err((status, reason)) => json::text(status, reason),
    }
}

/// Interrupts and resets.
pub(in crate::http) async fn stop(State(app): State<App>, Path(plan): Path<String>) -> Response {
    command(&app, plan, PlanVerb::Stop, None, None).await
}

/// Releases the plan or a phase. Present but blank is a phase without a name, which no plan has.
pub(in crate::http) async fn resume(
    State(app): State<App>,
    Path(plan): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let phase = Query::parse(query.as_deref()).get("phase").map(str::to_owned);
    command(&app, plan, PlanVerb::Continue, phase, None).await
}

/// Holds the plan or a phase.
pub(in crate::http) async fn interrupt(
    State(app): State<App>,
    Path(plan): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let phase = Query::parse(query.as_deref()).get("phase").map(str::to_owned);
    command(&app, plan, PlanVerb::Interrupt, phase, None).await
}

/// Marks plan, phase or step as done.
pub(in crate::http) async fn force_complete(
    State(app): State<App>,
    Path(plan): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    on_element(&app, plan, PlanVerb::ForceComplete, query.as_deref()).await
}

/// Does plan, phase or step again.
pub(in crate::http) async fn restart(
    State(app): State<App>,
    Path(plan): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    on_element(&app, plan, PlanVerb::Restart, query.as_deref()).await
}

/// A command on plan, phase or step; blank counts as absent, as the older command line sends it.
pub(super) async fn on_element(app: &AppState, plan: String, verb: PlanVerb, query: Option<&str>) -> Response {
    let query = Query::parse(query);
    let named = |name| query.get_unless_blank(name).map(str::to_owned);
    command(app, plan, verb, named("phase"), named("step")).await
}

/// Sends a plan command.
pub(super) async fn command(
    app: &AppState,
    plan: String,
    verb: PlanVerb,
    phase: Option<String>,
    step: Option<String>,
) -> Response {
    let word = verb.as_str();
    carry_out(&app.commands, word, Command::Plan { plan, verb, phase, step }).await
}

/// Parameters of `start`: no body counts as none.
fn parse_parameters(headers: &HeaderMap, body: &Bytes) -> Result<BTreeMap<String, String>, (StatusCode, String)> {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let is_json = content_type.is_some_and(|value| {
        value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    });
    if !is_json && (content_type.is_some() || !body.is_empty()) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "parameters are sent as application/json".to_owned()));
    }
    if body.trim_ascii().is_empty() {
        return Ok(BTreeMap::new());
    }
    let bad = |reason: String| (StatusCode::BAD_REQUEST, format!("{}{reason}", text::BAD_PARAMETERS));
    let values: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let mut parameters = BTreeMap::new();
    for (key, value) in values {
        if !is_env_name(&key) {
            return Err(bad(format!("{key:?} is not a name of the form [A-Za-z_][A-Za-z0-9_]*")));
        }
        let value = match value.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(value.get()).map_err(|error| bad(error.to_string()))?,
            Some(b'{' | b'[') | None => return Err(bad(format!("the value of {key:?} is not a text"))),
            Some(_) if value.get() == "null" => return Err(bad(format!("the value of {key:?} is null"))),
            // Numbers and booleans are taken as they were written.
            Some(_) => value.get().to_owned(),
        };
        parameters.insert(key, value);
    }
    Ok(parameters)
}

fn is_env_name(key: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    key.bytes().next().is_some_and(is_letter) && key.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}
