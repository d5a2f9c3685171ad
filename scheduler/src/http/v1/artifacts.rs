//! `/v1/artifacts`: what agents and tasks fetch: the executor program and unrendered configuration templates.
//!
//! Invariant: templates of every stored configuration are served, registered or not: a task may still be started from an old one.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::configurations::parse_id;
use crate::http::json;
use crate::http::router::App;

/// The template of one configuration file, unrendered.
pub(in crate::http) async fn template(
    State(app): State<App>,
    Path((config, pod_type, task, file)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if !accepts_text(&headers) {
        return json::empty(StatusCode::NOT_ACCEPTABLE);
    }
    let Some(id) = parse_id(&config) else { return json::empty(StatusCode::BAD_REQUEST) };
    let view = app.view();
    let Some(spec) = view.parsed_configurations.get(&id) else {
        let is_unreadable = view.configurations.contains_key(&id);
        return json::empty(if is_unreadable { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NOT_FOUND });
    };
    let task = spec.pod(&pod_type).and_then(|pod| pod.task(&task));
    match task.and_then(|task| task.configs.iter().find(|config| config.name == file)) {
        Some(config) => json::text(StatusCode::OK, config.content.clone()),
        None => json::empty(StatusCode::NOT_FOUND),
    }
}

/// The executor program, streamed from disk: it is too big to be kept in memory for the rare launch on a new agent.
pub(in crate::http) async fn executor(State(app): State<App>) -> Response {
    let opened = async {
        let file = File::open(&app.executor_path).await?;
        let length = file.metadata().await?.len();
        std::io::Result::Ok((file, length))
    };
    match opened.await {
        Ok((file, length)) => {
            let body = Body::from_stream(ReaderStream::with_capacity(file, 64 * 1024));
            let mut response = json::with_type(StatusCode::OK, "application/octet-stream", body);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => {
            tracing::error!(path = %app.executor_path.display(), %error, "executor cannot be served");
            json::text(StatusCode::NOT_FOUND, "the executor program is not beside the scheduler; set EXECUTOR_URI")
        }
    }
}

/// Whether plain text is among what the client takes.
fn accepts_text(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let essence = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ranges
        .flat_map(|list| list.split(','))
        .any(|range| matches!(essence(range).as_str(), "text/plain" | "text/*" | "*/*"))
}
