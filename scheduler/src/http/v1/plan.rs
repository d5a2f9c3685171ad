//! `/v1/plan`, deprecated: the deploy plan under its oldest path.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use mainstay_engine::command::PlanVerb;

use super::plans;
use crate::http::router::App;

const DEPLOY: &str = "deploy";

/// The deploy plan.
pub(in crate::http) async fn show(State(app): State<App>) -> Response {
    plans::show_named(&app, DEPLOY)
}

/// Releases the plan; a query is ignored.
pub(in crate::http) async fn resume(State(app): State<App>) -> Response {
    plans::command(&app, DEPLOY.to_owned(), PlanVerb::Continue, None, None).await
}

/// Holds the plan; a query is ignored.
pub(in crate::http) async fn interrupt(State(app): State<App>) -> Response {
    plans::command(&app, DEPLOY.to_owned(), PlanVerb::Interrupt, None, None).await
}

/// Marks plan, phase or step as done.
pub(in crate::http) async fn force_complete(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    plans::on_element(&app, DEPLOY.to_owned(), PlanVerb::ForceComplete, query.as_deref()).await
}

/// Does plan, phase or step again.
pub(in crate::http) async fn restart(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    plans::on_element(&app, DEPLOY.to_owned(), PlanVerb::Restart, query.as_deref()).await
}
