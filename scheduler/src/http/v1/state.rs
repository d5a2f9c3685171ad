//! `/v1/state`: framework id and properties.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::json;
use crate::http::router::App;

/// The framework id as a list of one; 404 before the first registration.
pub(in crate::http) async fn framework_id(State(app): State<App>) -> Response {
    match &app.view().framework_id {
        Some(id) => json::object(StatusCode::OK, &[id.as_str()]),
        None => json::empty(StatusCode::NOT_FOUND),
    }
}

/// Keys of all properties, sorted.
pub(in crate::http) async fn properties(State(app): State<App>) -> Response {
    let view = app.view();
    json::object(StatusCode::OK, &view.properties.keys().collect::<Vec<_>>())
}

/// The bytes of one property, labelled as JSON whatever they are; clients of the SDK expect so.
pub(in crate::http) async fn property(State(app): State<App>, Path(key): Path<String>) -> Response {
    match app.view().properties.get(&key) {
        Some(value) => json::raw(String::from_utf8_lossy(value).into_owned()),
        None => json::empty(StatusCode::NOT_FOUND),
    }
}

/// Reads the store again: never possible, since the memory of a running scheduler is the truth and edits behind its back are
/// not taken over. Answered as by the SDK with its cache switched off.
pub(in crate::http) async fn refresh() -> Response {
    json::empty(StatusCode::CONFLICT)
}
