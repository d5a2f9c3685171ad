//! `/v1/waiting`: what each unfinished step waits for, one line each. Ours; the SDK has no such route.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::json;
use crate::http::router::App;

/// Lines for people, in the order of the plans.
pub(in crate::http) async fn list(State(app): State<App>) -> Response {
    json::object(StatusCode::OK, app.view().waiting.as_ref())
}
