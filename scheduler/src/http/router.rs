//! The list of routes, and what holds for all of them.
//!
//! One trailing slash is accepted; literal segments win over parameters; HEAD works where GET does; OPTIONS answers with
//! `Allow`; unknown path 404, known path with a wrong verb 405, both without a body.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post, put};
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::v1::{
    artifacts, configurations, debug, endpoints, health, offers, placement, plan, plans, pods, state, waiting,
};
use super::{ANSWER_WITHIN, AppState, json};

/// What every handler gets.
pub(super) type App = Arc<AppState>;

/// The whole API as a service.
pub fn router(state: AppState) -> Router {
    let routes = Router::new()
        .merge(plan_routes())
        .merge(pod_routes())
        .route("/v1/health", get(health::show))
        .route("/v1/waiting", get(waiting::list))
        .route("/v1/placement", get(placement::list))
        .route("/v1/placement/offers", get(offers::list))
        .route("/v1/placement/{pod}", get(placement::show))
        .route("/v1/state/frameworkId", get(state::framework_id))
        .route("/v1/state/properties", get(state::properties))
        .route("/v1/state/properties/{key}", get(state::property))
        .route("/v1/state/refresh", put(state::refresh))
        .route("/v1/configurations", get(configurations::list))
        .route("/v1/configurations/targetId", get(configurations::target_id))
        .route("/v1/configurations/target", get(configurations::target))
        .route("/v1/configurations/{id}", get(configurations::show))
        .route("/v1/endpoints", get(endpoints::list))
        .route("/v1/endpoints/{name}", get(endpoints::show))
        .route("/v1/artifacts/executor", get(artifacts::executor))
        .route("/v1/artifacts/template/{config}/{pod_type}/{task}/{file}", get(artifacts::template))
        .route("/v1/debug/offers", get(debug::offers_v1))
        .route("/v2/debug/offers", get(debug::offers_v2))
        .route("/v1/debug/plans", get(debug::plans))
        .route("/v1/debug/taskStatuses", get(debug::task_statuses))
        .route("/v1/debug/reservations", get(debug::reservations))
        .fallback(async || json::empty(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(wrong_method)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_WITHIN))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(Arc::new(state));
    // Layers of a router run after its routing; the path has to be trimmed before it.
    Router::new().fallback(async move |mut request: Request| {
        trim_slash(request.uri_mut());
        routes.oneshot(request).await
    })
}

fn plan_routes() -> Router<App> {
    Router::new()
        .route("/v1/plans", get(plans::list))
        .route("/v1/plans/{plan}", get(plans::show))
        .route("/v1/plans/{plan}/start", post(plans::start))
        .route("/v1/plans/{plan}/stop", post(plans::stop))
        .route("/v1/plans/{plan}/continue", post(plans::resume))
        .route("/v1/plans/{plan}/interrupt", post(plans::interrupt))
        .route("/v1/plans/{plan}/forceComplete", post(plans::force_complete))
        .route("/v1/plans/{plan}/restart", post(plans::restart))
        .route("/v1/plan", get(plan::show))
        .route("/v1/plan/continue", post(plan::resume))
        .route("/v1/plan/interrupt", post(plan::interrupt))
        .route("/v1/plan/forceComplete", post(plan::force_complete))
        .route("/v1/plan/restart", post(plan::restart))
}

fn pod_routes() -> Router<App> {
    let both = |prefix: &str| {
        Router::new()
            .route(prefix, get(pods::list))
            .route(&format!("{prefix}/{{pod}}/info"), get(pods::info))
            .route(&format!("{prefix}/{{pod}}/restart"), post(pods::restart))
            .route(&format!("{prefix}/{{pod}}/replace"), post(pods::replace))
    };
    both("/v1/pod")
        .merge(both("/v1/pods"))
        .route("/v1/pod/status", get(pods::status))
        .route("/v1/pod/{pod}/status", get(pods::pod_status))
        .route("/v1/pod/{pod}/pause", post(pods::unsupported))
        .route("/v1/pod/{pod}/resume", post(pods::unsupported))
        .route("/v1/pods/status", get(pods::flat_status))
        .route("/v1/pods/{pod}/status", get(pods::flat_pod_status))
}

/// `Allow` is added by the router to what this answers.
async fn wrong_method(method: Method) -> Response {
    json::empty(if method == Method::OPTIONS { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED })
}

pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("unknown"), "http handler panicked");
    json::empty(StatusCode::INTERNAL_SERVER_ERROR)
}

fn trim_slash(uri: &mut Uri) {
    let Some(path) = uri.path().strip_suffix('/').filter(|path| !path.is_empty()) else { return };
    let trimmed = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    if let Ok(trimmed) = PathAndQuery::try_from(trimmed) {
        parts.path_and_query = Some(trimmed);
        if let Ok(trimmed) = Uri::from_parts(parts) {
            *uri = trimmed;
        }
    }
}
