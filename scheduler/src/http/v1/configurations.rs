//! `/v1/configurations`: stored target configurations, byte for byte.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_engine::ids::ConfigId;
use mainstay_engine::view::View;
use uuid::Uuid;

use crate::http::json;
use crate::http::router::App;

/// Ids of all stored configurations.
pub(in crate::http) async fn list(State(app): State<App>) -> Response {
    let view = app.view();
    json::object(StatusCode::OK, &view.configurations.keys().map(ConfigId::as_str).collect::<Vec<_>>())
}

/// One configuration.
pub(in crate::http) async fn show(State(app): State<App>, Path(id): Path<String>) -> Response {
    match parse_id(&id) {
        Some(id) => stored(&app.view(), &id, StatusCode::NOT_FOUND),
        None => json::empty(StatusCode::BAD_REQUEST),
    }
}

/// Id of the target as a list of one.
pub(in crate::http) async fn target_id(State(app): State<App>) -> Response {
    match &app.view().target {
        Some(id) => json::object(StatusCode::OK, &[id.as_str()]),
        None => json::empty(StatusCode::NOT_FOUND),
    }
}

/// The target configuration.
pub(in crate::http) async fn target(State(app): State<App>) -> Response {
    let view = app.view();
    match &view.target {
        Some(id) => stored(&view, id, StatusCode::INTERNAL_SERVER_ERROR),
        None => json::empty(StatusCode::NOT_FOUND),
    }
}

fn stored(view: &View, id: &ConfigId, otherwise: StatusCode) -> Response {
    view.configurations.get(id).map_or_else(|| json::empty(otherwise), |bytes| json::raw(bytes.clone()))
}

/// An id in the spelling of the store; `None` if it is not a UUID.
pub(super) fn parse_id(text: &str) -> Option<ConfigId> {
    ConfigId::parse(Uuid::try_parse(text).ok()?.to_string()).ok()
}
