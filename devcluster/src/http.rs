//! The HTTP front: scheduler, executor and operator APIs, and the older JSON endpoints.
//!
//! Not here: what a call does (`model`), bodies (`wire.rs`), the JSON of `/state` and the like (`state_json.rs`).
//!
//! Invariant: checks come in the order of the real servers: method, content type, body, call, `Accept`, stream id,
//! then what the master knows.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Frame;
use mainstay_proto::v1::{executor, master, scheduler};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::model::{AgentIndex, Input, operator, validation};
use crate::node::{Command, Opened};
use crate::state_json;
use crate::wire::{Encoding, Refusal};

/// The largest request body.
///
/// Units: bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;

const STREAM_ID: &str = "mesos-stream-id";

type Node = mpsc::Sender<Command>;

/// The body of an event stream.
struct Frames {
    frames: mpsc::Receiver<Bytes>,
    _alive: oneshot::Sender<()>,
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.poll_recv(context).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn refused((status, text): Refusal) -> Response {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text).into_response()
}

fn stopped() -> Response {
    refused((503, "The cluster is being stopped".into()))
}

/// Asks the node and waits for its answer; `None` when it is gone.
async fn ask<T>(node: &Node, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    node.send(command(reply)).await.ok()?;
    answer.await.ok()
}

fn only_post(method: &Method) -> Result<(), Refusal> {
    if method == Method::POST {
        Ok(())
    } else {
        Err((405, format!("Expecting one of {{ 'POST' }}, but received '{method}'")))
    }
}

fn stream(opened: Opened, encoding: Encoding) -> Response {
    let mut response = Response::new(Body::new(Frames { frames: opened.frames, _alive: opened.alive }));
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(encoding.content_type()));
    if let Some(value) = opened.stream_id.and_then(|id| id.parse().ok()) {
        headers.insert(STREAM_ID, value);
    }
    response
}

/// The servers of the master.
pub(crate) fn master_router(node: Node) -> Router {
    let json = Router::new()
        .route("/health", get(|| async { StatusCode::OK }))
        .route("/version", get(version))
        .route("/state", get(state))
        .route("/slaves", get(slaves))
        .route("/frameworks", get(frameworks))
        .route("/tasks", get(tasks))
        .route("/teardown", post(teardown))
        .route("/api/v1", any(operator_api))
        .route("/api/v1/scheduler", any(scheduler_api));
    Router::new()
        .merge(json.clone())
        .nest("/master", json)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(node)
}

/// The servers of one agent.
pub(crate) fn agent_router(node: Node, agent: AgentIndex) -> Router {
    let routes = Router::new()
        .route("/api/v1/executor", any(executor_api))
        .route("/health", get(|| async { StatusCode::OK }))
        .route("/version", get(agent_version))
        .route("/state", get(agent_state));
    Router::new()
        .merge(routes.clone())
        .nest("/slave(1)", routes)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state((node, agent))
}

async fn scheduler_api(State(node): State<Node>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    scheduler_call(&node, &method, &headers, &body).await.unwrap_or_else(refused)
}

async fn scheduler_call(node: &Node, method: &Method, headers: &HeaderMap, body: &[u8]) -> Result<Response, Refusal> {
    use scheduler::call::Type;
    only_post(method)?;
    let content = Encoding::of_content(headers)?;
    let call: scheduler::Call = content.decode("mesos.v1.scheduler.Call", body)?;
    validation::call(&call).map_err(|problem| (400, format!("Failed to validate scheduler::Call: {problem}")))?;
    let stream_id = headers.get(STREAM_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if matches!(call.r#type(), Type::Subscribe | Type::ReconcileOperations) {
        Encoding::of_accept(headers)?;
    }
    if call.r#type() == Type::Subscribe {
        let encoding = Encoding::of_accept(headers)?;
        if stream_id.is_some() {
            return Err((400, "Subscribe calls should not include the 'Mesos-Stream-Id' header".into()));
        }
        let subscribe = |reply| Command::SubscribeScheduler { call: Box::new(call), encoding, reply };
        return Ok(match ask(node, subscribe).await {
            Some(opened) => stream(opened?, encoding),
            None => stopped(),
        });
    }
    let status = if call.r#type() == Type::UpdateFramework { StatusCode::OK } else { StatusCode::ACCEPTED };
    let input = Input::SchedulerCall { stream_id, call: Box::new(call) };
    Ok(match ask(node, |reply| Command::Apply { input, reply }).await {
        Some(answer) => answer.map(|()| status.into_response())?,
        None => stopped(),
    })
}

async fn executor_api(
    State((node, agent)): State<(Node, AgentIndex)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    executor_call(&node, agent, &method, &headers, &body).await.unwrap_or_else(refused)
}

async fn executor_call(
    node: &Node,
    agent: AgentIndex,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refusal> {
    only_post(method)?;
    let content = Encoding::of_content(headers)?;
    let call: executor::Call = content.decode("mesos.v1.executor.Call", body)?;
    if call.r#type() == executor::call::Type::Subscribe {
        let encoding = Encoding::of_accept(headers)?;
        let subscribe = |reply| Command::SubscribeExecutor { agent, call: Box::new(call), encoding, reply };
        return Ok(match ask(node, subscribe).await {
            Some(opened) => stream(opened?, encoding),
            None => stopped(),
        });
    }
    let input = Input::ExecutorCall { agent, call: Box::new(call) };
    Ok(match ask(node, |reply| Command::Apply { input, reply }).await {
        Some(answer) => answer.map(|()| StatusCode::ACCEPTED.into_response())?,
        None => stopped(),
    })
}

async fn operator_api(State(node): State<Node>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    operator_call(&node, &method, &headers, &body).await.unwrap_or_else(refused)
}

async fn operator_call(node: &Node, method: &Method, headers: &HeaderMap, body: &[u8]) -> Result<Response, Refusal> {
    use master::call::Type;
    only_post(method)?;
    let content = Encoding::of_content(headers)?;
    let call: master::Call = content.decode("mesos.v1.master.Call", body)?;
    let encoding = Encoding::of_accept(headers)?;
    let kind = call.r#type();
    let input = match kind {
        Type::Unknown => return Err((400, "Expecting 'type' to be present".into())),
        Type::Teardown => {
            let teardown = call.teardown.ok_or_else(|| (400, "Expecting 'teardown' to be present".to_owned()))?;
            Input::Teardown { framework_id: teardown.framework_id.value }
        }
        Type::MarkAgentGone => {
            let gone =
                call.mark_agent_gone.ok_or_else(|| (400, "Expecting 'mark_agent_gone' to be present".to_owned()))?;
            Input::AgentGone { agent: find_agent(node, &gone.agent_id.value).await? }
        }
        _ => {
            return Ok(match ask(node, |reply| Command::Get { kind, reply }).await {
                Some(Some(response)) => {
                    let bytes = encoding.encode("mesos.v1.master.Response", &*response);
                    ([(http::header::CONTENT_TYPE, encoding.content_type())], bytes).into_response()
                }
                Some(None) => refused((501, format!("{} is not served by this cluster", kind.as_str_name()))),
                None => stopped(),
            });
        }
    };
    Ok(match ask(node, |reply| Command::Apply { input, reply }).await {
        Some(answer) => answer.map(|()| StatusCode::OK.into_response())?,
        None => stopped(),
    })
}

async fn find_agent(node: &Node, id: &str) -> Result<AgentIndex, Refusal> {
    let ids = ask(node, |reply| Command::AgentIds { reply }).await.unwrap_or_default();
    let found = ids.iter().position(|known| known.as_deref() == Some(id));
    found.ok_or_else(|| (404, "Agent could not be found".into()))
}

async fn get_state(node: &Node) -> Option<Value> {
    use master::call::Type;
    let state = ask(node, |reply| Command::Get { kind: Type::GetState, reply }).await??;
    let leader = ask(node, |reply| Command::Get { kind: Type::GetMaster, reply }).await??;
    Some(state_json::master(&state, &leader))
}

async fn version() -> Response {
    axum::Json(json!({ "version": operator::VERSION })).into_response()
}

async fn state(State(node): State<Node>) -> Response {
    get_state(&node).await.map_or_else(stopped, |state| axum::Json(state).into_response())
}

type Filters = Query<std::collections::BTreeMap<String, String>>;

/// One list of `/state`, filtered by the query's id.
async fn part(node: &Node, list: &str, filter: Option<(&str, &String)>) -> Option<Value> {
    let mut state = get_state(node).await?;
    let all = state.get_mut(list).map_or_else(|| json!([]), Value::take);
    let kept = match (all, filter) {
        (Value::Array(all), Some((key, wanted))) => all.into_iter().filter(|one| one[key] == **wanted).collect(),
        (all, _) => all,
    };
    Some(json!({ list: kept }))
}

async fn slaves(State(node): State<Node>, Query(query): Filters) -> Response {
    let filter = query.get("slave_id").map(|id| ("id", id));
    part(&node, "slaves", filter).await.map_or_else(stopped, |part| axum::Json(part).into_response())
}

async fn frameworks(State(node): State<Node>, Query(query): Filters) -> Response {
    let filter = query.get("framework_id").map(|id| ("id", id));
    part(&node, "frameworks", filter).await.map_or_else(stopped, |part| axum::Json(part).into_response())
}

async fn tasks(State(node): State<Node>, Query(query): Filters) -> Response {
    let Some(state) = get_state(&node).await else { return stopped() };
    let limit = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(100);
    let offset = query.get("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
    let all = state_json::tasks(&state, query.get("framework_id"), query.get("task_id"));
    let page: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    axum::Json(json!({ "tasks": page })).into_response()
}

async fn teardown(State(node): State<Node>, body: String) -> Response {
    let Some(id) = body.split('&').find_map(|pair| pair.strip_prefix("frameworkId=")) else {
        return refused((400, "Missing 'frameworkId' query parameter in the request body".into()));
    };
    let input = Input::Teardown { framework_id: id.trim().to_owned() };
    match ask(&node, |reply| Command::Apply { input, reply }).await {
        Some(Ok(())) => StatusCode::OK.into_response(),
        Some(Err(refusal)) => refused(refusal),
        None => stopped(),
    }
}

async fn agent_version() -> Response {
    version().await
}

async fn agent_state(State((node, agent)): State<(Node, AgentIndex)>) -> Response {
    let Some(ids) = ask(&node, |reply| Command::AgentIds { reply }).await else { return stopped() };
    let id = ids.get(agent).cloned().flatten();
    let Some(state) = get_state(&node).await else { return stopped() };
    let own = state["slaves"].as_array().and_then(|all| all.iter().find(|one| one["id"].as_str() == id.as_deref()));
    let known = own.cloned().unwrap_or_else(|| json!({ "id": id }));
    let all = state_json::tasks(&state, None, None);
    let tasks: Vec<Value> = all.into_iter().filter(|task| task["slave_id"].as_str() == id.as_deref()).collect();
    let mut answer = known;
    answer["tasks"] = Value::Array(tasks);
    axum::Json(answer).into_response()
}
